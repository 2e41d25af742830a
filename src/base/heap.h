/* SPDX-License-Identifier: MIT */
/*
 * A pairing heap of intrusive nodes (Fredman, Sedgewick, Sleator, Tarjan 1986; two-pass deletion): the timers.
 *
 * Intrusive, so that arming a timer can never fail for want of memory; insertion is a handful of stores. The order is
 * (key, sequence): equal keys come out in the order in which they went in.
 */
#ifndef NORIA_BASE_HEAP_H
#define NORIA_BASE_HEAP_H

#include <stdbool.h>
#include <stdint.h>

struct heap_node {
	int64_t key;
	uint64_t sequence;
	struct heap_node *child; /* first child */
	struct heap_node *next;  /* next sibling */
	struct heap_node *prev;  /* previous sibling, or the parent of a first child; itself for the root */
};

struct heap {
	struct heap_node *root;
	uint64_t sequence;
};

/* A node must be zeroed, or have been removed, before it is inserted. */
void noria_heap_insert(struct heap *heap, struct heap_node *node, int64_t key);
void noria_heap_remove(struct heap *heap, struct heap_node *node);

static inline bool heap_node_linked(const struct heap_node *node)
{
	return node->prev != 0;
}

static inline struct heap_node *heap_first(const struct heap *heap)
{
	return heap->root;
}

#endif
