/* SPDX-License-Identifier: MIT */
/*
 * A thread is a context. Nothing of it is shared with the loop but the thread-local variables of the real thread, which
 * change hands at each switch: which loop this is (none, for a call), and which call runs.
 *
 * While it runs nothing else does, and it stops only where a thread would block, so that none of the library's locks is
 * held then. Before a call and after it there is a pause, so that a cancel may come while it is under way, and its
 * effects may be seen before its result comes home.
 */
#include "testing/thread.h"

#include "base/container.h"
#include "base/message.h"
#include "executor/pool.h"
#include "scope/value.h"
#include "simulation/world.h"
#include "task/loop.h"

#include <errno.h>
#include <noria/task.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

enum {
	STACK_BYTES = 1 << 20,
	GUARD_BYTES = 64 * 1024,
	START_NS = 20 * 1000,
	WAKE_NS = 5 * 1000,
	CALL_NS = 2 * 1000,
	MESSAGE_MAX = 768,
	FINISH_STEPS = 100000,
};

struct virtual_thread {
	struct sim_event event; /* when it goes on */
	struct list node;       /* among all of this world */
	struct context context, *back;
	struct worker *worker;
	struct call *call;     /* that it runs; while it does not run itself */
	const void *waits_for; /* an address; NULL: for its event, or its worker to be woken */
	char *stack;
	bool ended, joined;
	char message[MESSAGE_MAX]; /* noria_message() of its own */
};

static __thread struct virtual_thread *running;
static __thread struct list threads; /* zeroes until the first */

struct virtual_thread *testing_thread(void)
{
	return running;
}

unsigned testing_thread_persona(void)
{
	return noria_call_running ? noria_call_running->persona : 0;
}

/* ---- switching ---- */

static void lend(struct call *call)
{
	noria_call_running = call;
	noria_values_lend(call != NULL, call ? call->values : NULL);
	noria_error_lend(call ? &call->error : NULL);
}

static void forget(struct virtual_thread *thread)
{
	if (sim_world)
		sim_event_never(sim_world, &thread->event);
	list_remove(&thread->node);
	munmap(thread->stack, GUARD_BYTES + STACK_BYTES);
	free(thread);
}

/* From the loop, a task or another thread; returns when it stops. */
static void go_on(struct virtual_thread *thread)
{
	struct virtual_thread *outer = running;
	struct call *outer_call = noria_call_running;
	struct loop *loop = noria_loop;
	struct context alone;
	char message[MESSAGE_MAX];

	snprintf(message, sizeof message, "%s", noria_message());
	if (outer)
		thread->back = &outer->context;
	else if (loop)
		thread->back = loop->current ? &loop->current->context : &loop->hub;
	else
		noria_context_adopt(thread->back = &alone);
	thread->waits_for = NULL;
	noria_loop = NULL;
	lend(thread->call);
	noria_refuse(0, "%s", thread->message);
	running = thread;
	context_switch(thread->back, &thread->context);
	running = outer;
	lend(outer_call);
	noria_loop = loop;
	noria_refuse(0, "%s", message);
	if (thread->ended && !thread->joined)
		forget(thread);
}

/* Of the thread itself. */
static void stop(void)
{
	struct virtual_thread *thread = running;
	int saved_errno = errno;

	thread->call = noria_call_running;
	snprintf(thread->message, sizeof thread->message, "%s", noria_message());
	context_switch(&thread->context, thread->back);
	errno = saved_errno;
}

static void happen(struct sim_world *world, struct sim_event *event)
{
	(void)world;
	go_on(container_of(event, struct virtual_thread, event));
}

static void go_on_after(struct virtual_thread *thread, int64_t typical_ns)
{
	if (sim_world)
		sim_event_at(sim_world, &thread->event, sim_world->now + sim_draw_latency(sim_world, typical_ns));
}

void testing_thread_sleep(int64_t duration_ns)
{
	if (!sim_world) /* it is being brought to its end */
		return;
	sim_event_at(sim_world, &running->event, sim_world->now + duration_ns);
	stop();
}

void testing_thread_wait(const void *address)
{
	running->waits_for = address;
	stop();
}

void testing_thread_wake(const void *address)
{
	for (struct list *node = threads.next; node && node != &threads; node = node->next) {
		struct virtual_thread *thread = list_entry(node, struct virtual_thread, node);

		if (thread->waits_for == address && !sim_event_set(&thread->event))
			go_on_after(thread, WAKE_NS);
	}
}

/* ---- what workers run on ---- */

static struct context *thread_main(void *arg)
{
	struct virtual_thread *thread = arg;

	noria_worker_main(thread->worker);
	thread->ended = true;
	noria_context_done(&thread->context);
	return thread->back;
}

static int start(struct worker *worker)
{
	struct virtual_thread *thread;

	if (!sim_world)
		return noria_kernel_threads.start(worker);
	if (sim_strikes(&sim_world->plan, SIM_FAULT_THREAD))
		return -EAGAIN;
	thread = calloc(1, sizeof *thread);
	if (!thread)
		return -ENOMEM;
	thread->stack = mmap(NULL, GUARD_BYTES + STACK_BYTES, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
	if (thread->stack == MAP_FAILED) {
		free(thread);
		return -ENOMEM;
	}
	mprotect(thread->stack, GUARD_BYTES, PROT_NONE);
	thread->event.happen = happen;
	thread->worker = worker;
	worker->virtual_thread = thread;
	noria_context_make(&thread->context, thread->stack + GUARD_BYTES, STACK_BYTES, thread_main, thread);
	if (!threads.next)
		list_init(&threads);
	list_push_back(&threads, &thread->node);
	go_on_after(thread, START_NS);
	return 0;
}

static void rest(struct worker *worker)
{
	if (!worker->virtual_thread) {
		noria_kernel_threads.sleep(worker);
		return;
	}
	while (atomic_load(&worker->awake) == 0)
		stop();
}

static void wake(struct worker *worker)
{
	if (worker->virtual_thread)
		go_on_after(worker->virtual_thread, WAKE_NS);
	else
		noria_kernel_threads.wake(worker);
}

static int make(struct call *call)
{
	int r;

	if (!running)
		return noria_kernel_threads.call(call);
	testing_thread_sleep(sim_world ? sim_draw_latency(sim_world, CALL_NS) : 0);
	r = call->fn(call->arg);
	testing_thread_sleep(sim_world ? sim_draw_latency(sim_world, CALL_NS) : 0);
	return r;
}

static void join(struct worker *worker)
{
	struct virtual_thread *thread = worker->virtual_thread;

	if (!thread) {
		noria_kernel_threads.join(worker);
		return;
	}
	thread->joined = true;
	while (!thread->ended)
		go_on(thread);
	forget(thread);
}

static void detach(struct worker *worker)
{
	if (!worker->virtual_thread)
		noria_kernel_threads.detach(worker);
}

static const struct thread_class virtual_threads = {
	.start = start,
	.sleep = rest,
	.wake = wake,
	.call = make,
	.join = join,
	.detach = detach,
};

void testing_threads_install(void)
{
	noria_threads = &virtual_threads;
}

static struct virtual_thread *one_with_event(void)
{
	for (struct list *node = threads.next; node && node != &threads; node = node->next) {
		struct virtual_thread *thread = list_entry(node, struct virtual_thread, node);

		if (sim_event_set(&thread->event))
			return thread;
	}
	return NULL;
}

void testing_threads_finish(void)
{
	struct virtual_thread *thread;

	for (int i = 0; i < FINISH_STEPS && one_with_event(); i++)
		sim_world_step(sim_world, INT64_MAX);
	while ((thread = one_with_event())) /* it sleeps again and again: nobody will know */
		sim_event_never(sim_world, &thread->event);
}

unsigned testing_threads_busy(void)
{
	unsigned busy = 0;

	for (struct list *node = threads.next; node && node != &threads; node = node->next)
		busy += list_entry(node, struct virtual_thread, node)->call != NULL;
	return busy;
}
