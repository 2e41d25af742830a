/* SPDX-License-Identifier: MIT */
/*
 * The pairing heap. Melding makes the later root the first child of the earlier one; removing a node melds its
 * children in pairs from left to right and then the pairs from right to left, which keeps the amortised cost of a
 * removal logarithmic. Nothing recurses: task stacks are small.
 */
#include "base/heap.h"

#include "base/assert.h"

#include <stddef.h>

static bool before(const struct heap_node *a, const struct heap_node *b)
{
	return a->key != b->key ? a->key < b->key : a->sequence < b->sequence;
}

/* Both are roots without siblings. */
static struct heap_node *meld(struct heap_node *a, struct heap_node *b)
{
	struct heap_node *swap;

	if (!a || !b)
		return a ? a : b;
	if (before(b, a)) {
		swap = a;
		a = b;
		b = swap;
	}
	b->next = a->child;
	if (a->child)
		a->child->prev = b;
	b->prev = a;
	a->child = b;
	return a;
}

static struct heap_node *meld_children(struct heap_node *first)
{
	struct heap_node *pairs = NULL, *root = NULL;

	while (first) { /* left to right, in pairs, onto a stack linked by `next` */
		struct heap_node *a = first, *b = a->next;

		first = b ? b->next : NULL;
		a->next = NULL;
		if (b)
			b->next = NULL;
		a = meld(a, b);
		a->next = pairs;
		pairs = a;
	}
	while (pairs) { /* and back */
		struct heap_node *pair = pairs;

		pairs = pair->next;
		pair->next = NULL;
		root = meld(root, pair);
	}
	return root;
}

static void set_root(struct heap *heap, struct heap_node *root)
{
	heap->root = root;
	if (root) {
		root->next = NULL;
		root->prev = root;
	}
}

void noria_heap_insert(struct heap *heap, struct heap_node *node, int64_t key)
{
	invariant(!heap_node_linked(node));
	node->key = key;
	node->sequence = heap->sequence++;
	node->child = node->next = NULL;
	set_root(heap, meld(heap->root, node));
}

void noria_heap_remove(struct heap *heap, struct heap_node *node)
{
	struct heap_node *children = meld_children(node->child);

	invariant(heap_node_linked(node));
	if (node == heap->root) {
		set_root(heap, children);
	} else {
		if (node->prev->child == node)
			node->prev->child = node->next;
		else
			node->prev->next = node->next;
		if (node->next)
			node->next->prev = node->prev;
		set_root(heap, meld(heap->root, children));
	}
	node->child = node->next = node->prev = NULL;
}
