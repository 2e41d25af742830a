/* SPDX-License-Identifier: MIT */
/*
 * A wait on futexes in a thread of its own: not the executor's, whose few threads must not be taken up by waits that
 * nobody can say the end of.
 *
 * The thread waits on one word more, ours, by which the wait is given up. Of several words that were woken the kernel
 * names the last in the vector, and ours is the first: a wake that came together with the cancel is delivered.
 */
#include "process/futex_thread.h"

#include "base/message.h"
#include "noria/futex.h"
#include "scope/scope.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

struct futex_thread {
	struct remote remote;
	struct wait wait;
	pthread_t thread;
	_Atomic(uint32_t) given_up;
	unsigned count; /* of the vector, ours included */
	int result;
	struct futex_waitv vector[1 + NORIA_FUTEX_WAITV_MAX];
};

static int wait_for_any(struct futex_thread *self)
{
	long r;

	do
		r = syscall(SYS_futex_waitv, self->vector, self->count, 0, NULL, 0);
	while (r < 0 && errno == EINTR);
	if (r > 0)
		return (int)r - 1;
	return r == 0 || atomic_load(&self->given_up) ? -ECANCELED : -errno;
}

static void *work(void *arg)
{
	struct futex_thread *self = arg;

	self->result = wait_for_any(self);
	noria_loop_post(self->wait.task->loop, &self->remote);
	return NULL;
}

static void ended(struct remote *remote)
{
	noria_wait_complete(&container_of(remote, struct futex_thread, remote)->wait);
}

static void abandon(struct wait *wait)
{
	struct futex_thread *self = container_of(wait, struct futex_thread, wait);

	atomic_store(&self->given_up, 1);
	syscall(SYS_futex, &self->given_up, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
}

static void describe(const struct wait *wait, char *text, size_t size)
{
	snprintf(text, size, "waits on %u futexes", container_of(wait, struct futex_thread, wait)->count - 1);
}

static const struct wait_class futex_class = {.abandon = abandon, .describe = describe, .external = true};

/* With a small stack, and all signals blocked: those are for the program's own threads. */
static int start(struct futex_thread *self)
{
	pthread_attr_t attributes;
	sigset_t all, before;
	int r;

	sigfillset(&all);
	pthread_attr_init(&attributes);
	pthread_attr_setstacksize(&attributes, 256 * 1024);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	r = pthread_create(&self->thread, &attributes, work, self);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&attributes);
	return r == 0 ? 0
		      : noria_refuse(-EAGAIN,
				     "no thread to wait on a futex: %s. Remedy: raise RLIMIT_NPROC or pids.max",
				     strerror(r));
}

int noria_futex_wait_in_thread(struct task *task, const struct futex_waitv *waiters, unsigned count)
{
	struct futex_thread self;
	int r = noria_loop_refuse_simulated(task->loop, "a thread that waits on several futexes");

	if (r < 0)
		return r;
	self.remote.run = ended;
	self.count = 1 + count;
	self.vector[0] =
		(struct futex_waitv){.uaddr = (uintptr_t)&self.given_up, .flags = NORIA_FUTEX_32 | NORIA_FUTEX_PRIVATE};
	memcpy(self.vector + 1, waiters, count * sizeof *waiters);
	atomic_init(&self.given_up, 0);
	noria_wait_init(&self.wait, &futex_class);
	loop_expect_posts(task->loop);
	r = start(&self);
	if (r < 0)
		return r;
	scope_wait(task, &self.wait);
	pthread_join(self.thread, NULL); /* it is done with the loop but for its last instructions */
	if (self.result == -ECANCELED)
		(void)noria_scope_answer(task);
	return self.result;
}
