/* SPDX-License-Identifier: MIT */
/*
 * Intrusive lists. `list` is circular and doubly linked with a head that is a node itself: insertion and removal
 * anywhere without a search and without allocation. A node that is on no list points to itself, so that removal is
 * idempotent. `fifo` is singly linked with a tail: the run queue.
 */
#ifndef NORIA_BASE_LIST_H
#define NORIA_BASE_LIST_H

#include "base/container.h"

#include <stdbool.h>

struct list {
	struct list *next, *prev;
};

static inline void list_init(struct list *node)
{
	node->next = node->prev = node;
}

static inline bool list_empty(const struct list *head)
{
	return head->next == head;
}

/* The same question asked of a node. */
static inline bool list_linked(const struct list *node)
{
	return node->next != node;
}

static inline void list_push_back(struct list *head, struct list *node)
{
	node->prev = head->prev;
	node->next = head;
	head->prev->next = node;
	head->prev = node;
}

static inline void list_push_front(struct list *head, struct list *node)
{
	list_push_back(head->next, node);
}

static inline void list_remove(struct list *node)
{
	node->prev->next = node->next;
	node->next->prev = node->prev;
	list_init(node);
}

static inline struct list *list_pop_front(struct list *head)
{
	struct list *node = head->next;

	if (node == head)
		return NULL;
	list_remove(node);
	return node;
}

#define list_entry(node, type, member) container_of(node, type, member)

struct fifo_node {
	struct fifo_node *next;
};

struct fifo {
	struct fifo_node *head, *tail;
};

static inline bool fifo_empty(const struct fifo *fifo)
{
	return fifo->head == NULL;
}

static inline void fifo_push(struct fifo *fifo, struct fifo_node *node)
{
	node->next = NULL;
	if (fifo->head)
		fifo->tail->next = node;
	else
		fifo->head = node;
	fifo->tail = node;
}

static inline struct fifo_node *fifo_pop(struct fifo *fifo)
{
	struct fifo_node *node = fifo->head;

	if (node)
		fifo->head = node->next;
	return node;
}

#endif
