/* SPDX-License-Identifier: MIT */
/* One choice before each turn, in which one task runs: whom it falls on is brought to the front of the run queue. */
#include "testing/order.h"

#include "base/assert.h"
#include "base/container.h"
#include "simulation/draw.h"
#include "simulation/world.h"
#include "task/loop.h"

enum {
	WINDOW = 64,        /* of the ready tasks so many are looked at: the choice costs no more than that */
	PATIENCE = 1000,    /* a task that runs so often in a row waits for others, by yielding: they must come */
	HASH_PRIORITY = 17, /* the kind of draw, for sim_hash() */
};

/* A task that has lost its priority; the later, the lower. */
struct lowered {
	uint64_t id;
	uint64_t priority;
};

static __thread struct {
	enum testing_order order;
	unsigned changes;
	uint64_t steps;
	/* of the run */
	uint64_t step, change_at[TESTING_CHANGES_MAX];
	uint64_t lowest; /* the next to be given */
	struct lowered lowered[TESTING_CHANGES_MAX * 2];
	unsigned lowered_count;
	uint64_t last_id, in_a_row;
} state;

void testing_order_set(enum testing_order order, unsigned changes, uint64_t steps)
{
	state.order = order;
	state.changes = changes < TESTING_CHANGES_MAX ? changes : TESTING_CHANGES_MAX;
	state.steps = steps > 0 ? steps : 1;
}

static struct task *task_of(struct fifo_node *node)
{
	return container_of(node, struct task, ready);
}

/* To the front of the queue, from behind `before`; NULL: it is there. */
static void bring_forward(struct fifo *ready, struct fifo_node *before)
{
	struct fifo_node *node;

	if (!before)
		return;
	node = before->next;
	before->next = node->next;
	if (ready->tail == node)
		ready->tail = before;
	node->next = ready->head;
	ready->head = node;
}

static void arrange_at_random(struct loop *loop)
{
	struct fifo_node *node = loop->ready.head, *before = NULL;
	unsigned count = 0;
	uint64_t drawn;

	for (; node && count < WINDOW; node = node->next)
		count++;
	if (count < 2)
		return;
	drawn = sim_draw(sim_world, SIM_CHOICE_READY, count);
	for (node = loop->ready.head; drawn > 0; drawn--) {
		before = node;
		node = node->next;
	}
	bring_forward(&loop->ready, before);
}

/* ---- PCT ---- */

static uint64_t priority_of(const struct task *task)
{
	for (unsigned i = state.lowered_count; i > 0; i--)
		if (state.lowered[i - 1].id == task->id)
			return state.lowered[i - 1].priority;
	return sim_hash(sim_world->draws.seed, HASH_PRIORITY, task->id) | UINT64_C(1) << 63;
}

/* Below all others. The record of who lost it first is given up when there are too many: it has its own again. */
static void lower(const struct task *task)
{
	unsigned size = sizeof state.lowered / sizeof state.lowered[0];

	if (state.lowered_count == size) {
		for (unsigned i = 1; i < size; i++)
			state.lowered[i - 1] = state.lowered[i];
		state.lowered_count--;
	}
	state.lowered[state.lowered_count++] = (struct lowered){.id = task->id, .priority = --state.lowest};
}

/* Which stands before the one of the highest priority; NULL: it is the first. */
static struct fifo_node *before_highest(const struct loop *loop, struct task **ret_task)
{
	struct fifo_node *before = NULL, *before_best = NULL;
	uint64_t best = 0;
	int looked = 0;

	for (struct fifo_node *node = loop->ready.head; node && looked < WINDOW; before = node, node = node->next) {
		uint64_t priority = priority_of(task_of(node));

		if (looked++ > 0 && priority <= best)
			continue;
		best = priority;
		before_best = before;
		*ret_task = task_of(node);
	}
	return before_best;
}

static bool is_change(void)
{
	for (unsigned i = 0; i < state.changes; i++)
		if (state.change_at[i] == state.step)
			return true;
	return false;
}

static void arrange_by_priority(struct loop *loop)
{
	struct fifo_node *before;
	struct task *task = NULL;

	if (fifo_empty(&loop->ready) || !loop->ready.head->next)
		return;
	before = before_highest(loop, &task);
	state.step++;
	state.in_a_row = task->id == state.last_id ? state.in_a_row + 1 : 0;
	if (is_change() || state.in_a_row == PATIENCE) {
		lower(task);
		state.in_a_row = 0;
		before = before_highest(loop, &task);
	}
	state.last_id = task->id;
	bring_forward(&loop->ready, before);
}

void testing_order_loop(struct loop *loop)
{
	if (state.order == TESTING_ORDER_KEPT)
		return;
	loop->turn_budget = 1;
	loop->arrange = state.order == TESTING_ORDER_PCT ? arrange_by_priority : arrange_at_random;
	state.step = state.lowered_count = 0;
	state.last_id = state.in_a_row = 0;
	state.lowest = UINT64_C(1) << 62;
	for (unsigned i = 0; state.order == TESTING_ORDER_PCT && i < state.changes; i++)
		state.change_at[i] = 1 + sim_draw(sim_world, SIM_CHOICE_READY, state.steps);
}
