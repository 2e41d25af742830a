/* SPDX-License-Identifier: MIT */
/*
 * The audit: between two turns, where nothing runs, what noria keeps must agree with itself and with the ring. A slip
 * in its lists is found at the turn in which it happens, long before it costs a program something.
 *
 * The tree: each scope of each task is open, knows its parent, has inherited what it should, and no child, no timer
 * belongs to a scope that is closed. The ring: everything that is under way is waited for (R02), counted once and, when
 * somebody asked for its end, has been asked (R04). Timers: none that is due was left (T11). Buffers: each is with the
 * kernel, in reserve, or held.
 */
#include "testing/audit.h"

#include "op/buffers.h"
#include "ring/ring.h"
#include "scope/scope.h"
#include "simulation/request.h"
#include "simulation/ring.h"
#include "task/loop.h"
#include "task/submission.h"
#include "testing/kit.h"

#define BROKEN(run, ...) testing_find((run), NORIA_SIM_BROKEN, __VA_ARGS__)

static int64_t earlier(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

/* ---- the tree ---- */

/* What is wrong with an open scope whose parent is one too; NULL: nothing. */
static const char *fault_of(const struct scope *scope)
{
	const struct scope *parent = scope->parent;
	int64_t outer = parent && !scope->shield ? parent->effective : NORIA_FOREVER;
	bool stopped = scope->cause != NORIA_CAUSE_NONE || (parent && parent->cancelled && !scope_hides(scope));

	if (scope->cancelled != stopped)
		return stopped ? "is not cancelled, and should be" : "is cancelled, and should not be";
	if (scope->effective != earlier(scope->deadline, outer))
		return "has not the deadline that counts in it";
	if (parent && parent->pierced && !scope->hard && !scope->pierced)
		return "keeps a soft shield, though the grace around it is spent";
	if (parent && parent->draining && !scope->draining)
		return "does not drain, and what is around it does";
	return NULL;
}

/* The limit that its timer stands for. */
static bool has_right_timer(const struct scope *scope)
{
	int64_t key = scope->timer.node.key;

	if (!timer_armed(&scope->timer))
		return true;
	if (scope->cause != NORIA_CAUSE_NONE)
		return key == scope->grace_end;
	return key == scope->deadline || (scope->drained && key == scope->patience_end);
}

/* Returns how many children hang in it, or -1: one of them is no child of it. */
static long count_children(const struct scope *scope)
{
	long count = 0;

	for (const struct list *node = scope->children.next; node != &scope->children; node = node->next) {
		const struct scope *child = list_entry(node, struct scope, sibling);

		if (!scope_is_open(child) || child->parent != scope || child->task->outermost != child)
			return -1;
		count++;
	}
	return count;
}

/* One scope of a task's chain. Returns whether what is inside can be looked at. */
static bool look_at_scope(struct testing_run *run, const struct task *task, const struct scope *scope, long *children)
{
	const struct scope *parent = scope->parent;
	const char *fault;
	long count;

	if (!scope_is_open(scope) || scope->task != task || (parent && !scope_is_open(parent))) {
		BROKEN(run, "a scope that is closed is still linked in task %s", task->name);
		return false;
	}
	fault = fault_of(scope);
	count = count_children(scope);
	if (!fault && count < 0)
		fault = "has a child that has ended";
	if (!fault && !has_right_timer(scope))
		fault = "has a timer that stands for another time";
	if (fault)
		BROKEN(run, "the %s of %s:%d in task %s %s", scope->site->what, scope->site->file, scope->site->line,
		       task->name, fault);
	if (timer_armed(&scope->timer))
		run->audit.fire = scope->timer.fire;
	*children += count;
	return !fault;
}

static bool look_at_task(struct testing_run *run, const struct task *task, long *children)
{
	const struct scope *scope = task->outermost;
	const struct wait *wait = task->wait;

	while (look_at_scope(run, task, scope, children)) {
		if (scope == task->scope) {
			if (scope->inner)
				BROKEN(run, "a scope is still linked into the %s of %s:%d, in task %s",
				       scope->site->what, scope->site->file, scope->site->line, task->name);
			if (task->state == TASK_PARKED && scope->cancelled && wait && wait->class->abandon &&
			    !wait->done && !wait->abandoned)
				BROKEN(run, "task %s is cancelled, and nobody has told what it waits for", task->name);
			return true;
		}
		if (!scope->inner || scope->inner->parent != scope) {
			BROKEN(run, "the scopes of task %s are not linked to one another", task->name);
			return false;
		}
		scope = scope->inner;
	}
	return false;
}

static void look_at_tree(struct testing_run *run, struct loop *loop)
{
	long tasks = 0, children = 0;

	for (const struct list *node = loop->tasks.next; node != &loop->tasks; node = node->next) {
		tasks++;
		if (!look_at_task(run, list_entry(node, struct task, all), &children))
			return;
	}
	if (tasks > 0 && children != tasks - 1)
		BROKEN(run, "%ld tasks hang in the tree of scopes, and %ld are alive", children + 1, tasks);
}

/* ---- timers ---- */

static bool is_stray(const struct testing_run *run, const struct heap_node *node)
{
	const struct timer *timer = container_of(node, struct timer, node);

	return run->audit.fire && timer->fire == run->audit.fire &&
	       !scope_is_open(container_of(timer, struct scope, timer));
}

/* Is one of those beneath `top`? */
static bool has_stray_beneath(const struct testing_run *run, const struct heap_node *top)
{
	const struct heap_node *node = top->child;

	while (node) {
		if (is_stray(run, node))
			return true;
		if (node->child) {
			node = node->child;
			continue;
		}
		while (!node->next) { /* up: the first of a row of siblings knows the parent */
			while (node->prev->child != node)
				node = node->prev;
			node = node->prev;
			if (node == top)
				return false;
		}
		node = node->next;
	}
	return false;
}

static bool has_stray(const struct testing_run *run, const struct heap *timers)
{
	const struct heap_node *const roots[] = {timers->root, timers->far};

	for (int i = 0; i < 2; i++)
		if (roots[i] && (is_stray(run, roots[i]) || has_stray_beneath(run, roots[i])))
			return true;
	for (int i = 0; i < HEAP_SLOTS; i++)
		if (has_stray_beneath(run, &timers->slots[i]))
			return true;
	return false;
}

static void look_at_timers(struct testing_run *run, struct loop *loop)
{
	const struct heap_node *first = heap_first(&loop->timers);

	if (first && first->key <= loop->now && first->sequence < run->audit.timers)
		BROKEN(run, "a timer was due %lld ns ago, and has not fired", (long long)(loop->now - first->key));
	run->audit.timers = loop->timers.sequence;
	if (has_stray(run, &loop->timers))
		BROKEN(run, "a timer of a scope that is closed is still set");
}

/* ---- what is under way ---- */

static bool is_in(const struct list *list, const struct list *member)
{
	for (const struct list *node = list->next; node != list; node = node->next)
		if (node == member)
			return true;
	return false;
}

static bool is_operation(uint64_t word)
{
	return (word & RING_TAG) == RING_OPERATION;
}

static bool is_terminal(uint64_t user_data, uint32_t flags)
{
	return is_operation(user_data) && !(flags & IORING_CQE_F_MORE);
}

/* Entries and completions on their way. */
static size_t count_on_the_way(const struct sim_ring *ring)
{
	size_t count = 0;

	for (unsigned i = ring->sq_head; i != ring->ring.sq_tail; i++)
		count += is_operation(ring->ring.sqes[i & (ring->ring.sq_entries - 1)].user_data);
	for (unsigned i = ring->posted_first; i < ring->posted_end; i++)
		count += is_terminal(ring->posted[i].user_data, ring->posted[i].flags);
	for (unsigned i = ring->cq_head; i != ring->cq_tail; i++) {
		const struct io_uring_cqe *cqe = &ring->ring.cqes[i & (ring->ring.cq_entries - 1)];

		count += is_terminal(cqe->user_data, cqe->flags);
	}
	return count;
}

/* Was its end asked for, and nobody asks the ring? It may have what it waited for, or be beyond a cancel. */
static bool lost_its_cancel(const struct loop *loop, const struct sim_request *request,
			    const struct submission *submission)
{
	if (!submission->cancel_asked || submission->lingers || request->notifies)
		return false;
	if (list_empty(&submission->cancel))
		return true;
	return request->state == SIM_REQUEST_WAITING && !request->woken && !request->spared &&
	       ring_pending(loop->ring) == 0 && !is_in(&loop->cancels, &submission->cancel);
}

/* The word tells an activation: storage that is another's by now does not have it. */
__attribute__((no_sanitize_address)) static bool is_waited_for(const struct submission *submission, uint64_t word)
{
	return submission->token == word && submission->state == SUBMISSION_FLYING;
}

static void look_at_operations(struct testing_run *run, struct loop *loop)
{
	const struct sim_ring *ring = run->world->ring;
	size_t count = count_on_the_way(ring);

	for (const struct list *node = ring->all.next; node != &ring->all; node = node->next) {
		const struct sim_request *request = list_entry(node, struct sim_request, all);
		const struct submission *submission = noria_token_submission(request->sqe.user_data);

		if (!is_operation(request->sqe.user_data))
			continue;
		count++;
		if (!is_waited_for(submission, request->sqe.user_data)) {
			BROKEN(run,
			       "rule R02 is broken: %s on descriptor %d is under way, and whoever waited for it has "
			       "gone on",
			       request->operation->name, request->sqe.fd);
			return;
		}
		if (lost_its_cancel(loop, request, submission)) {
			BROKEN(run, "rule R04 is broken: the cancel of %s on descriptor %d is lost",
			       request->operation->name, request->sqe.fd);
			return;
		}
	}
	if (count != loop->in_flight)
		BROKEN(run, "%zu operations are under way, and %zu are counted", count, loop->in_flight);
}

/* ---- receive buffers ---- */

static void look_at_buffers(struct testing_run *run, const struct buffers *buffers)
{
	unsigned with_kernel = 0, reserve = 0, held = 0;

	for (unsigned i = 0; i < buffers->count; i++) {
		const struct buffer *buffer = &buffers->table[i];
		bool reserved = buffers->reserve[i / 64] >> i % 64 & 1;

		with_kernel += buffer->with_kernel;
		reserve += reserved;
		held += !buffer->with_kernel && buffer->pieces > 0;
		if (reserved && (buffer->with_kernel || buffer->pieces > 0))
			BROKEN(run, "receive buffer %u is in reserve, and in use", i);
	}
	if (with_kernel != buffers->stocked || with_kernel + reserve != buffers->left ||
	    with_kernel + reserve + held != buffers->count)
		BROKEN(run,
		       "of %u receive buffers %u are with the kernel, %u in reserve and %u held; %u and %u are counted "
		       "with the kernel and as left",
		       buffers->count, with_kernel, reserve, held, buffers->stocked, buffers->left);
}

void testing_audit(struct testing_run *run, struct loop *loop)
{
	if (run->report.finding == NORIA_SIM_BROKEN)
		return;
	look_at_tree(run, loop);
	look_at_timers(run, loop);
	look_at_operations(run, loop);
	for (int i = 0; i < 2; i++)
		if (loop->buffers[i])
			look_at_buffers(run, loop->buffers[i]);
}
