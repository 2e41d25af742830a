/* SPDX-License-Identifier: MIT */
/*
 * A task's life: made on a stack from the pool, started, parked and resumed, buried. A task that stops switches
 * directly to the next ready one while the turn's budget lasts, and to the hub (the loop, on the thread's own stack)
 * when it is spent or nobody is ready. So does one that ends, and gives back the stack on which it stands as its last
 * act.
 */
#include "task/task.h"

#include "base/assert.h"
#include "base/message.h"
#include "task/loop.h"
#include "task/storage.h"
#include "task/wait.h"

#include <errno.h>
#include <execinfo.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

/* Which states may come before: for a `state` known at compile time, a constant. */
static inline __attribute__((always_inline)) unsigned states_before(enum task_state state)
{
	unsigned states = 0;

#define X(before, next) states |= ((unsigned)(next) >> state & 1) << TASK_##before;
	TASK_STATES(X)
#undef X
	return states;
}

static inline __attribute__((always_inline)) void move(struct task *task, enum task_state state)
{
	invariant(states_before(state) >> task->state & 1);
	task->state = state;
}

/*
 * Where many tasks take turns, none is in the cache when its turn comes: begin to fetch the frames of the next, whose
 * record is here by now, and the record of the one after it.
 */
static inline void fetch_next(const struct fifo_node *next)
{
	if (!next)
		return;
	context_prefetch(&container_of(next, struct task, ready)->context);
	for (int line = 0; next->next && line < 2; line++)
		__builtin_prefetch((const char *)next->next + 64 * line);
}

/* Whom the loop goes on with: the first that is ready, while the turn's budget lasts, or the hub. */
static inline struct context *next_context(struct loop *loop)
{
	struct fifo_node *node = likely(loop->budget > 0) ? fifo_pop(&loop->ready) : NULL;

	loop->current = node ? container_of(node, struct task, ready) : NULL;
	if (!node)
		return &loop->hub;
	loop->budget--;
	fetch_next(node->next);
	move(loop->current, TASK_RUNNING);
	return &loop->current->context;
}

/* What unwinding may need on the stack of the task that is asked; one that has less is not asked. */
#if NORIA_ASAN || NORIA_TSAN
enum { INSPECTION_ROOM = 64 * 1024 };
#else
enum { INSPECTION_ROOM = 16 * 1024 };
#endif

/*
 * A task was resumed. If that was only to ask where it is, it answers on its own stack, where the unwinder can walk,
 * and goes back to wait: no state changes.
 */
static inline void answer_inspections(struct task *task)
{
	struct loop *loop = task->loop;

	while (unlikely(loop->inspection)) {
		loop->inspection->count = backtrace(loop->inspection->frames, loop->inspection->max);
		context_switch(&task->context, &loop->hub);
	}
}

/* Off this task, to the next. Returns when it is resumed. */
static inline void switch_away(struct task *task)
{
	struct context *to = next_context(task->loop);

	if (to == &task->context)
		return;
	context_switch(&task->context, to);
	answer_inspections(task);
}

int noria_task_backtrace(struct task *task, void **frames, int max)
{
	struct loop *loop = task->loop;
	struct inspection inspection = {.frames = frames, .max = max};

	invariant(!loop->current);
	if (!task->has_run || noria_context_sp(&task->context) < task->stack->low + INSPECTION_ROOM)
		return 0;
	loop->inspection = &inspection;
	context_switch(&loop->hub, &task->context);
	loop->inspection = NULL;
	return inspection.count;
}

/* What closing leftovers needs of a stack, and how far below them it happens, at least and at most. */
enum { CLOSING_ROOM = 12 * 1024, BELOW_MIN = 4096, BELOW_MAX = 32 * 1024 };

static inline __attribute__((always_inline)) const char *lower(const char *a, const void *b)
{
	return a < (const char *)b ? a : b;
}

/*
 * How far below `frame` lies what the task left open: the innermost scope and the streams are known here, and scopes
 * around them may lie lower in a large frame, so as much as can be spared is added.
 */
static inline __attribute__((always_inline)) size_t depth_of(const struct task *task, const char *frame)
{
	const char *lowest = frame;
	size_t room;

	if ((const char *)task->scope >= task->stack->low)
		lowest = lower(lowest, task->scope);
	for (struct list *node = task->leftovers.next; node != &task->leftovers; node = node->next) {
		if (unlikely(list_entry(node, struct leftover, node)->task != task))
			noria_storage_lost(task->loop, task, node);
		if ((const char *)node >= task->stack->low)
			lowest = lower(lowest, node);
	}
	room = (size_t)(lowest - task->stack->low);
	if (room < CLOSING_ROOM + BELOW_MIN)
		room = BELOW_MIN;
	else
		room = room - CLOSING_ROOM < BELOW_MAX ? room - CLOSING_ROOM : BELOW_MAX;
	return (size_t)(frame - lowest) + room;
}

static _Noreturn void returned_in_child(const struct task *task)
{
	noria_refuse(-EINVAL,
		     "the child of a fork returned from task %s (spawned at %s:%d): it must end by _exit() or exec",
		     task->name, task->site->file, task->site->line);
	noria_assert_failed(noria_message(), __FILE__, __LINE__);
}

/* Its stack goes back to the pool, and stays mapped until it is taken again: the task leaves it before. */
static void bury(struct task *task)
{
	struct loop *loop = task->loop;

	list_remove(&task->all);
	noria_context_done(&task->context);
	noria_stack_put(&loop->stacks, task->stack);
	loop->tasks_alive--;
}

static struct context *task_main(void *arg)
{
	struct task *task = arg;
	struct loop *loop = task->loop;

	task->has_run = true;
	task->result = task->fn(task->arg);
	if (unlikely(loop != noria_loop))
		returned_in_child(task);
	/*
	 * What was left open lies in frames that are dead but untouched as yet, and children or the kernel may use what
	 * is there: go on below them. This cannot be a function of its own, whose frame would be the first to overwrite
	 * them.
	 */
	if (unlikely(task->scope != task->outermost || !list_empty(&task->leftovers))) {
		volatile char *below = __builtin_alloca(depth_of(task, __builtin_frame_address(0)));

		*below = 0;
	}
	task->on_end(task);
	move(task, TASK_ENDED);
	bury(task);
	return next_context(loop);
}

/* Objects of neighbouring stacks are spread over cache lines; at the same offset they would evict one another. */
static size_t colour(const struct stack *stack)
{
	return (size_t)(stack->index & 15) * 64;
}

int noria_task_new(struct loop *loop, size_t object_size, const struct task_spec *spec, struct task **ret_task)
{
	struct stack *stack;
	struct task *task;
	char *top;
	int r;

	if (unlikely(loop->tasks_alive >= loop->tasks_max))
		return noria_refuse(
			-EAGAIN,
			"the runtime's limit of %zu tasks is reached. Remedy: bound the work, or raise tasks_max",
			loop->tasks_max);
	r = noria_stack_get(&loop->stacks, spec->stack_size, &stack);
	if (unlikely(r < 0))
		return r;
	top = stack->low + stack->size - colour(stack);
	task = (struct task *)(((uintptr_t)top - object_size - 15 - spec->extra - 63) & ~(uintptr_t)63);
	memset(&task->wait, 0, offsetof(struct task, leftovers) - offsetof(struct task, wait));
	task->loop = loop;
	task->fn = spec->fn;
	task->arg = spec->arg;
	task->name = spec->name;
	task->site = spec->site;
	task->on_end = spec->on_end;
	task->id = ++loop->last_task_id;
	task->persona = loop->current ? loop->current->persona : 0;
	task->stack = stack;
	task->state = TASK_NEW;
	noria_context_make(&task->context, stack->low, (size_t)((char *)task - stack->low), task_main, task);
	list_init(&task->leftovers);
	list_push_back(&loop->tasks, &task->all);
	loop->tasks_alive++;
	*ret_task = task;
	return 0;
}

void noria_task_start(struct task *task)
{
	move(task, TASK_READY);
	fifo_push(&task->loop->ready, &task->ready);
}

void noria_task_yield(struct task *task)
{
	noria_task_start(task);
	switch_away(task);
}

int noria_task_answer_later(struct task *task, int r)
{
	char text[768];

	snprintf(text, sizeof text, "%s", noria_message());
	noria_task_yield(task);
	return noria_refuse(r, "%s", text);
}

void noria_task_park(struct task *task)
{
	move(task, TASK_PARKED);
	switch_away(task);
}

/* On the hub: run ready tasks until there are none, or the budget is spent. */
void noria_loop_run_ready(struct loop *loop)
{
	struct context *first;

	loop->budget = loop->turn_budget;
	first = next_context(loop);
	if (first != &loop->hub)
		context_switch(&loop->hub, first);
}

void noria_wait_init(struct wait *wait, const struct wait_class *class)
{
	*wait = (struct wait){.class = class, .task = noria_loop->current};
}

static void cork_is_there(const struct task *task, const struct cork *cork)
{
	if (unlikely(cork->task != task))
		noria_storage_lost(task->loop, task, cork);
}

void noria_task_uncork(struct task *task, struct cork *cork)
{
	struct cork **link = &task->corks;

	while (*link != cork) {
		cork_is_there(task, *link);
		link = &(*link)->next;
	}
	*link = cork->next;
	cork->task = NULL;
}

static void pull_corks(struct task *task)
{
	struct cork *cork = task->corks, *next;

	task->corks = NULL;
	for (; cork; cork = next) {
		cork_is_there(task, cork);
		next = cork->next;
		cork->task = NULL;
		cork->leave(cork);
	}
}

void noria_wait_park(struct wait *wait)
{
	struct task *task = wait->task;
	bool external = wait->class->external;

	invariant(task->state == TASK_RUNNING);
	task->has_sent = false;
	if (!wait->done && unlikely(task->corks))
		pull_corks(task);
	if (wait->done) {
		task_spend(task);
		return;
	}
	task->wait = wait;
	if (unlikely(external))
		task->loop->external++;
	noria_task_park(task);
	if (unlikely(external))
		task->loop->external--;
	task->wait = NULL;
	invariant(wait->done);
}

void noria_wait_complete(struct wait *wait)
{
	invariant(!wait->done);
	wait->done = true;
	if (wait->task->wait == wait)
		noria_task_start(wait->task);
}

void noria_wait_abandon(struct wait *wait)
{
	if (wait->done || wait->abandoned || !wait->class->abandon)
		return;
	wait->abandoned = true;
	wait->class->abandon(wait);
}

const char *noria_task_name(void)
{
	return noria_loop && noria_loop->current ? noria_loop->current->name : "";
}

uint64_t noria_task_id(void)
{
	return noria_loop && noria_loop->current ? noria_loop->current->id : 0;
}
