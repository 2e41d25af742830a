/* SPDX-License-Identifier: MIT */
/*
 * The timers: a pairing heap of intrusive nodes (Fredman, Sedgewick, Sleator, Tarjan 1986; two-pass deletion) of those
 * that are next, and behind it a wheel of lists of those that are later.
 *
 * Intrusive, so that arming a timer can never fail for want of memory; insertion is a handful of stores. The order is
 * (key, sequence): equal keys come out in the order in which they went in.
 *
 * Nodes lie on the stacks of tasks, a page each, so what costs is how many are touched. Time is divided into windows
 * of two milliseconds. The heap holds the nodes up to `window`; those of the windows after it lie unordered in a slot
 * each, and become a heap when theirs comes; those beyond the wheel wait in a heap of their own.
 *
 * Invariants: the heap is empty only if all is; nodes of a slot are of one window, from window + 1 to
 * window + HEAP_SLOTS - 1; a slot that is not empty has its bit in `busy`.
 */
#ifndef NORIA_BASE_HEAP_H
#define NORIA_BASE_HEAP_H

#include <stdbool.h>
#include <stdint.h>

#define HEAP_SLOTS 256

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
	int64_t window;        /* the last whose nodes are in the heap */
	int64_t last;          /* none in a slot is of a later window */
	struct heap_node *far; /* root of the heap of those beyond the wheel */
	uint64_t busy[HEAP_SLOTS / 64];
	struct heap_node slots[HEAP_SLOTS]; /* the lists' heads, as their parents */
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
