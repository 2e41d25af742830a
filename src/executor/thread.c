/* SPDX-License-Identifier: MIT */
/*
 * What workers run on: threads of the kernel, that sleep on a futex of their own. A test kit may have others in their
 * place (pool.h), and then a worker is whatever calls noria_worker_main() and returns from there.
 */
#include "executor/pool.h"

#include <linux/futex.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

static void *thread_main(void *arg)
{
	struct worker *worker = arg;

	if (worker->executor->nice != 0)
		setpriority(PRIO_PROCESS, (id_t)gettid(), worker->executor->nice);
	noria_worker_main(worker);
	return NULL;
}

/* Workers take no signals, which are for the program's own threads, but for those that their own faults raise. */
static int start(struct worker *worker)
{
	struct noria_executor *executor = worker->executor;
	pthread_attr_t attributes;
	sigset_t all, before;
	int r;

	sigfillset(&all);
	for (const int *fault = (const int[]){SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS, SIGABRT, 0}; *fault;
	     fault++)
		sigdelset(&all, *fault);
	r = pthread_attr_init(&attributes);
	if (r != 0)
		return -r;
	if (executor->pinned)
		r = pthread_attr_setaffinity_np(&attributes, sizeof executor->cpus, &executor->cpus);
	if (r == 0) {
		pthread_sigmask(SIG_SETMASK, &all, &before);
		r = pthread_create(&worker->thread, &attributes, thread_main, worker);
		pthread_sigmask(SIG_SETMASK, &before, NULL);
	}
	pthread_attr_destroy(&attributes);
	return -r;
}

static void sleep_until_awake(struct worker *worker)
{
	while (atomic_load(&worker->awake) == 0)
		syscall(SYS_futex, &worker->awake, FUTEX_WAIT_PRIVATE, 0, NULL, NULL, 0);
}

static void wake(struct worker *worker)
{
	syscall(SYS_futex, &worker->awake, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

static int make(struct call *call)
{
	return call->fn(call->arg);
}

static void join(struct worker *worker)
{
	pthread_join(worker->thread, NULL);
}

static void detach(struct worker *worker)
{
	pthread_detach(worker->thread);
}

const struct thread_class noria_kernel_threads = {
	.start = start,
	.sleep = sleep_until_awake,
	.wake = wake,
	.call = make,
	.join = join,
	.detach = detach,
};

const struct thread_class *noria_threads = &noria_kernel_threads;
