/* SPDX-License-Identifier: MIT */
/*
 * Select: first every case is tried, in another order each time, then all are enlisted and the task parks. Whatever
 * happens first makes the others leave, before any other task runs; so no second case can have its effect.
 */
#include "sync/select.h"

#include "base/message.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>

_Static_assert(sizeof(struct arm) <= sizeof(struct noria_case), "struct noria_case is too small");
_Static_assert(_Alignof(struct arm) <= _Alignof(struct noria_case), "struct noria_case is aligned too little");
_Static_assert(offsetof(struct arm, kind) == offsetof(struct noria_case, kind) &&
		       offsetof(struct arm, result) == offsetof(struct noria_case, result) &&
		       offsetof(struct arm, object) == offsetof(struct noria_case, object) &&
		       offsetof(struct arm, item) == offsetof(struct noria_case, item) &&
		       offsetof(struct arm, number) == offsetof(struct noria_case, number),
	       "an arm begins as its case does");

static const struct arm_class *const classes[] = {
	[NORIA_CASE_RECV] = &noria_arm_recv,
	[NORIA_CASE_SEND] = &noria_arm_send,
	[NORIA_CASE_SUBSCRIBER] = &noria_arm_subscriber,
	[NORIA_CASE_PROMISE] = &noria_arm_promise,
	[NORIA_CASE_UNTIL] = &noria_arm_until,
	[NORIA_CASE_FD] = &noria_arm_fd,
	[NORIA_CASE_EVENT] = &noria_arm_event,
	[NORIA_CASE_SEMAPHORE] = &noria_arm_semaphore,
	[NORIA_CASE_CHILD] = &noria_arm_child,
};

struct selection {
	struct wait wait;
	struct noria_case *cases;
	size_t count, enlisted;
	struct arm *chosen; /* the one that has happened */
	size_t held;        /* arms that something outside holds on to */
	bool leaving, left; /* all arms are asked to leave; they have been */
};

static struct arm *arm_of(struct noria_case *storage)
{
	return (struct arm *)(void *)storage;
}

static struct selection *selection_of(const struct wait *wait)
{
	return container_of(wait, struct selection, wait);
}

static void settle(struct selection *selection)
{
	if (selection->left && selection->held == 0)
		noria_wait_complete(&selection->wait);
}

/* An arm may end, and say so, while it is asked to leave. */
static void leave(struct selection *selection)
{
	selection->leaving = true;
	for (size_t i = 0; i < selection->enlisted; i++) {
		struct arm *arm = arm_of(&selection->cases[i]);

		classes[arm->kind]->delist(arm);
	}
	selection->left = true;
	settle(selection);
}

void noria_arm_happened(struct arm *arm, int result)
{
	struct selection *selection = arm->selection;

	if (selection->chosen)
		return;
	arm->result = result;
	selection->chosen = arm;
	if (!selection->leaving)
		leave(selection);
}

void noria_arm_hold(struct arm *arm)
{
	arm->selection->held++;
}

void noria_arm_release(struct arm *arm)
{
	arm->selection->held--;
	settle(arm->selection);
}

static void told(struct waiter *waiter)
{
	struct exchange *exchange = exchange_of(waiter);

	noria_arm_happened(container_of(exchange, struct arm, exchange), exchange->result);
}

void noria_arm_append(struct arm *arm, struct waiters *queue)
{
	arm->exchange.waiter.task = arm->selection->wait.task;
	arm->exchange.waiter.told = told;
	arm->exchange.item = arm->item;
	arm->exchange.result = 0; /* for queues of things that know no other */
	waiters_append(queue, &arm->exchange.waiter);
}

void noria_arm_remove(struct arm *arm)
{
	waiters_remove(&arm->exchange.waiter);
}

static void abandon(struct wait *wait)
{
	leave(selection_of(wait));
}

static void describe(const struct wait *wait, char *text, size_t size)
{
	const struct selection *selection = selection_of(wait);
	size_t length;

	snprintf(text, size, "selects among %zu: ", selection->count);
	for (size_t i = 0; i < selection->count; i++) {
		struct arm *arm = arm_of(&selection->cases[i]);

		length = strlen(text);
		if (i > 0)
			length += (size_t)snprintf(text + length, size - length, ", ");
		if (length < size)
			classes[arm->kind]->describe(arm, text + length, size - length);
	}
}

static const struct wait_class select_class = {.abandon = abandon, .describe = describe};
static const struct wait_class external_class = {.abandon = abandon, .describe = describe, .external = true};

static bool any_external(struct noria_case *cases, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		const struct arm *arm = arm_of(&cases[i]);

		if (classes[arm->kind]->external && classes[arm->kind]->external(arm))
			return true;
	}
	return false;
}

static int refuse(struct noria_case *cases, size_t count)
{
	if (count == 0 || count > INT_MAX)
		return noria_refuse(-EINVAL, "a select among %zu cases", count);
	for (size_t i = 0; i < count; i++)
		if (cases[i].kind < NORIA_CASE_RECV || cases[i].kind >= sizeof classes / sizeof classes[0])
			return noria_refuse(-EINVAL,
					    "case %zu of a select was made by none of the noria_case functions", i);
	for (size_t i = 0; i < count; i++) {
		const struct arm *arm = arm_of(&cases[i]);
		int r = classes[arm->kind]->refuse ? classes[arm->kind]->refuse(arm) : 0;

		if (r < 0)
			return r;
	}
	return 0;
}

static int refuse_try(struct noria_case *cases, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		const struct arm *arm = arm_of(&cases[i]);
		int r = classes[arm->kind]->refuse_try ? classes[arm->kind]->refuse_try(arm) : 0;

		if (r < 0)
			return r;
	}
	return 0;
}

/* The next of a fixed sequence (splitmix64), below `n`, so that no rhythm of calls favours a case. */
static size_t draw(struct loop *loop, size_t n)
{
	uint64_t z = ++loop->draws * UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return (size_t)((z ^ z >> 31) % n);
}

/*
 * In an order that is drawn as far as it is needed: each order is as likely as any other, so of those that can happen
 * each is equally often the first, wherever they stand. A descriptor is asked for by a system call when it is drawn
 * first; else the ring asks, if nothing happens before.
 */
static int attempt(struct loop *loop, struct noria_case *cases, size_t count, bool thorough)
{
	for (size_t i = 0; i < count; i++)
		arm_of(&cases[i])->drawn = i;
	for (size_t i = 0; i < count; i++) {
		struct arm *here = arm_of(&cases[i]), *there = arm_of(&cases[i + draw(loop, count - i)]);
		size_t index = there->drawn;
		struct arm *arm = arm_of(&cases[index]);

		there->drawn = here->drawn;
		if (classes[arm->kind]->attempt(arm, thorough || i == 0))
			return (int)index;
	}
	return -EAGAIN;
}

static int wait_for_first(struct task *task, struct noria_case *cases, size_t count)
{
	struct selection selection = {.cases = cases, .count = count};

	noria_wait_init(&selection.wait, any_external(cases, count) ? &external_class : &select_class);
	while (selection.enlisted < count && !selection.chosen) {
		struct arm *arm = arm_of(&cases[selection.enlisted++]);

		arm->selection = &selection;
		classes[arm->kind]->enlist(arm);
	}
	scope_wait(task, &selection.wait);
	if (selection.chosen)
		return (int)((struct noria_case *)(void *)selection.chosen - cases);
	(void)noria_scope_answer(task);
	return -ECANCELED;
}

int noria_select(struct noria_case *cases, size_t count)
{
	struct task *task = noria_current();
	int r;

	if (!task)
		return -ENXIO;
	r = refuse(cases, count);
	if (r < 0)
		return task_answer(task, r);
	r = scope_door(task);
	if (r < 0)
		return r;
	r = attempt(task->loop, cases, count, false);
	if (r == -EAGAIN)
		return wait_for_first(task, cases, count);
	return task_answer(task, r);
}

int noria_select_try(struct noria_case *cases, size_t count)
{
	struct task *task = noria_current();
	int r;

	if (!task)
		return -ENXIO;
	r = refuse(cases, count);
	if (r >= 0)
		r = refuse_try(cases, count);
	return r < 0 ? r : attempt(task->loop, cases, count, true);
}
