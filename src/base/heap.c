/* SPDX-License-Identifier: MIT */
/*
 * The pairing heap. Melding makes the later root the first child of the earlier one; removing a node melds its
 * children in pairs from left to right and then the pairs from right to left, which keeps the amortised cost of a
 * removal logarithmic. Nothing recurses: task stacks are small.
 */
#include "base/heap.h"

#include "base/assert.h"

#include <stddef.h>

#define WINDOW_BITS 21 /* of nanoseconds */

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

/* Both heaps have their root in `*ret_root`. */
static void set_root(struct heap_node **ret_root, struct heap_node *root)
{
	*ret_root = root;
	if (root) {
		root->next = NULL;
		root->prev = root;
	}
}

static int64_t window_of(const struct heap_node *node)
{
	return node->key >> WINDOW_BITS;
}

/* For its window to come: in its slot, or beyond the wheel. */
static void put_by(struct heap *heap, struct heap_node *node)
{
	const int64_t window = window_of(node);
	const unsigned slot = (unsigned)((uint64_t)window % HEAP_SLOTS);
	struct heap_node *head = &heap->slots[slot];

	if (window - heap->window >= HEAP_SLOTS) {
		set_root(&heap->far, meld(heap->far, node));
		return;
	}
	node->next = head->child;
	if (head->child)
		head->child->prev = node;
	node->prev = head;
	head->child = node;
	heap->busy[slot / 64] |= 1ULL << slot % 64;
	if (window > heap->last)
		heap->last = window;
}

/* The first of the slots in these bits of a word that is not empty; bits of others are cleared. */
static struct heap_node *busy_slot(struct heap *heap, unsigned word, uint64_t bits)
{
	for (; bits; bits &= bits - 1) {
		const unsigned bit = (unsigned)__builtin_ctzll(bits);
		struct heap_node *head = &heap->slots[word * 64 + bit];

		if (head->child)
			return head;
		heap->busy[word] &= ~(1ULL << bit);
	}
	return NULL;
}

/* The slot of the earliest window after the heap's; NULL if all are empty. */
static struct heap_node *next_slot(struct heap *heap)
{
	const unsigned start = (unsigned)(((uint64_t)heap->window + 1) % HEAP_SLOTS), words = HEAP_SLOTS / 64;
	const uint64_t from_start = ~0ULL << start % 64;
	struct heap_node *head = busy_slot(heap, start / 64, heap->busy[start / 64] & from_start);

	for (unsigned n = 1; !head && n <= words; n++) {
		const unsigned word = (start / 64 + n) % words;

		head = busy_slot(heap, word, heap->busy[word] & (n < words ? ~0ULL : ~from_start));
	}
	return head;
}

/* The heap is empty: the next window's nodes become it. */
static void turn_wheel(struct heap *heap)
{
	struct heap_node *head = next_slot(heap), *root = NULL, *far;

	if (!head && !heap->far)
		return;
	heap->window = head ? window_of(head->child) : window_of(heap->far);
	if (heap->far && window_of(heap->far) < heap->window)
		heap->window = window_of(heap->far);
	if (head && window_of(head->child) == heap->window) {
		root = meld_children(head->child);
		head->child = NULL;
	}
	while ((far = heap->far) && window_of(far) == heap->window) {
		set_root(&heap->far, meld_children(far->child));
		far->child = NULL;
		root = meld(root, far);
	}
	set_root(&heap->root, root);
}

/* The new node is earlier than the only one of the heap: that one can be put by, and the heap stays small. */
static bool takes_over(const struct heap *heap, const struct heap_node *node)
{
	const struct heap_node *root = heap->root;

	return !root->child && window_of(node) < window_of(root) && heap->last - window_of(node) < HEAP_SLOTS;
}

void noria_heap_insert(struct heap *heap, struct heap_node *node, int64_t key)
{
	struct heap_node *root = heap->root;

	invariant(!heap_node_linked(node));
	node->key = key;
	node->sequence = heap->sequence++;
	node->child = node->next = NULL;
	if (!root) {
		heap->window = heap->last = window_of(node);
	} else if (window_of(node) > heap->window) {
		put_by(heap, node);
		return;
	} else if (takes_over(heap, node)) {
		heap->window = window_of(node);
		put_by(heap, root);
		root = NULL;
	}
	set_root(&heap->root, meld(root, node));
}

void noria_heap_remove(struct heap *heap, struct heap_node *node)
{
	struct heap_node **root = window_of(node) > heap->window ? &heap->far : &heap->root;
	struct heap_node *children = meld_children(node->child);

	invariant(heap_node_linked(node));
	if (node == *root) {
		set_root(root, children);
	} else {
		if (node->prev->child == node)
			node->prev->child = node->next;
		else
			node->prev->next = node->next;
		if (node->next)
			node->next->prev = node->prev;
		if (children)
			set_root(root, meld(*root, children));
	}
	node->child = node->next = node->prev = NULL;
	if (!heap->root)
		turn_wheel(heap);
}
