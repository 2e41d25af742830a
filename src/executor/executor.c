/* SPDX-License-Identifier: MIT */
/*
 * Making executors and letting go of them: the program's own, and the three that each runtime makes on first use. A
 * runtime's end waits until no thread is handing it a result; it does not wait for abandoned calls, whose threads free
 * the executor themselves.
 */
#include "executor/executor.h"

#include "base/memory.h"
#include "base/message.h"
#include "executor/pool.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

enum { THREADS_MAX = 1024, QUEUE_MAX = 1 << 20, SPIN_NS = 50000 };

static atomic_uint forks;

static void count_fork(void)
{
	atomic_fetch_add(&forks, 1);
}

static void watch_forks(void)
{
	pthread_atfork(NULL, NULL, count_fork);
}

unsigned noria_executor_forks(void)
{
	return atomic_load_explicit(&forks, memory_order_relaxed);
}

static int refuse_option(const char *field, const char *remedy)
{
	return noria_refuse(-EINVAL, "struct noria_executor_options: %s %s", field, remedy);
}

static int check_options(const struct noria_executor_options *options)
{
	if (options->threads > THREADS_MAX)
		return refuse_option("threads", "must be at most 1024");
	if (options->queue > QUEUE_MAX)
		return refuse_option("queue", "must be at most 1048576");
	if (options->when_full != NORIA_FULL_WAIT && options->when_full != NORIA_FULL_FAIL)
		return refuse_option("when_full", "is not one of enum noria_when_full");
	if (options->nice < -20 || options->nice > 19)
		return refuse_option("nice", "must be from -20 to 19");
	if (!options->cpus != !options->cpus_count)
		return refuse_option("cpus, cpus_count", "go together");
	if (options->spin_ns < NORIA_SPIN_NEVER || options->spin_ns > 1000000000)
		return refuse_option("spin_ns", "must be NORIA_SPIN_NEVER, or from 0 to a second");
	for (size_t i = 0; i < sizeof options->reserved / sizeof options->reserved[0]; i++)
		if (options->reserved[i])
			return refuse_option("reserved",
					     "must be zero: start from `struct noria_executor_options options = {0}`");
	return 0;
}

/* -1: there are several. */
static int only_of(const cpu_set_t *cpus)
{
	int cpu = 0;

	if (CPU_COUNT(cpus) != 1)
		return -1;
	while (!CPU_ISSET((size_t)cpu, cpus))
		cpu++;
	return cpu;
}

/* The processors for its threads: those that were asked for, as far as the process may have them, or all of these. */
static int fill_cpus(const struct noria_executor_options *options, cpu_set_t *ret_cpus)
{
	cpu_set_t allowed;

	CPU_ZERO(ret_cpus);
	if (sched_getaffinity(0, sizeof allowed, &allowed) < 0)
		return 0; /* more processors than fit: neither pinned nor spinning */
	if (options->cpus_count == 0)
		*ret_cpus = allowed;
	for (unsigned i = 0; i < options->cpus_count; i++) {
		int cpu = options->cpus[i];

		if (cpu < 0 || cpu >= CPU_SETSIZE || !CPU_ISSET((size_t)cpu, &allowed))
			return noria_refuse(-EINVAL,
					    "struct noria_executor_options: cpus: this thread may not use processor %d",
					    cpu);
		CPU_SET((size_t)cpu, ret_cpus);
	}
	return 0;
}

/* Threads are made later, and then it would be too late to say so. */
static int check_nice(int nice)
{
	int now;

	errno = 0;
	now = getpriority(PRIO_PROCESS, 0);
	if (nice == 0 || nice >= now)
		return 0;
	if (setpriority(PRIO_PROCESS, 0, nice) < 0)
		return noria_refuse(
			-EACCES,
			"struct noria_executor_options: this process may not have niceness %d. Remedy: raise "
			"RLIMIT_NICE, or give it CAP_SYS_NICE",
			nice);
	setpriority(PRIO_PROCESS, 0, now);
	return 0;
}

static void init(struct noria_executor *executor, const char *name, const struct noria_executor_options *options)
{
	pthread_mutexattr_t attributes;

	atomic_init(&executor->references, 1);
	executor->forks = noria_executor_forks();
	snprintf(executor->name, sizeof executor->name, "%s", name);
	executor->threads_max = options->threads ? options->threads : 4;
	executor->calls_max = executor->threads_max + (options->queue ? options->queue : 1024);
	executor->when_full = options->when_full;
	executor->nice = options->nice;
	executor->average_ns = CALL_LONG_NS;
	executor->pinned = options->cpus_count > 0;
	executor->only_cpu = only_of(&executor->cpus);
	if (options->spin_ns != NORIA_SPIN_NEVER && CPU_COUNT(&executor->cpus) > 1)
		executor->spin_ns = options->spin_ns ? options->spin_ns : SPIN_NS;
	pthread_mutexattr_init(&attributes);
	pthread_mutexattr_settype(&attributes, PTHREAD_MUTEX_ADAPTIVE_NP);
	pthread_mutex_init(&executor->lock, &attributes);
	pthread_mutexattr_destroy(&attributes);
	for (int i = 0; i < PRIORITIES; i++)
		list_init(&executor->queue[i]);
	list_init(&executor->waiting);
	for (unsigned i = 0; i < executor->threads_max; i++)
		executor->workers[i].executor = executor;
}

int noria_executor_open(struct noria_executor **ret_executor, const char *name,
			const struct noria_executor_options *options)
{
	static const struct noria_executor_options defaults;
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	struct noria_executor *executor;
	unsigned threads;
	cpu_set_t cpus;
	int r;

	options = options ? options : &defaults;
	if (!name || !*name)
		return noria_refuse(-EINVAL, "noria_executor_open() without a name");
	r = check_options(options);
	if (r >= 0)
		r = fill_cpus(options, &cpus);
	if (r >= 0)
		r = check_nice(options->nice);
	if (r < 0)
		return r;
	threads = options->threads ? options->threads : 4;
	executor = memory_zeroed(1, sizeof *executor + threads * sizeof executor->workers[0]);
	if (!executor)
		return noria_refuse(-ENOMEM, "no memory for the executor %s", name);
	pthread_once(&once, watch_forks);
	executor->cpus = cpus;
	init(executor, name, options);
	*ret_executor = executor;
	return 0;
}

struct noria_executor *noria_executor_ref(struct noria_executor *executor)
{
	atomic_fetch_add_explicit(&executor->references, 1, memory_order_relaxed);
	return executor;
}

void noria_executor_unref(struct noria_executor *executor)
{
	if (!executor || atomic_fetch_sub_explicit(&executor->references, 1, memory_order_acq_rel) > 1)
		return;
	if (executor->forks != noria_executor_forks())
		free(executor); /* its threads are the parent's */
	else
		noria_pool_close(executor);
}

/* ---- a runtime's own ---- */

static int own_cpu(void)
{
	cpu_set_t allowed;

	return sched_getaffinity(0, sizeof allowed, &allowed) < 0 ? -1 : only_of(&allowed);
}

int noria_executors_get(struct loop *loop, struct executors **ret_executors)
{
	struct executors *executors = loop->executors;

	if (!executors) {
		executors = memory_zeroed(1, sizeof *executors);
		if (!executors)
			return noria_refuse(-ENOMEM, "no memory for an executor");
		executors->loop = loop;
		list_init(&executors->guarded);
		list_init(&executors->late);
		executors->only_cpu = own_cpu();
		executors->waking.run = noria_calls_wake;
		executors->guard.fire = noria_calls_guard;
		loop->executors = executors;
		loop_expect_posts(loop);
	}
	*ret_executors = executors;
	return 0;
}

static int own(struct noria_executor **slot, const char *name, unsigned threads, unsigned queue, int64_t spin_ns,
	       struct noria_executor **ret_executor)
{
	struct noria_executor_options options = {.threads = threads, .queue = queue, .spin_ns = spin_ns};
	int r = *slot ? 0 : noria_executor_open(slot, name, &options);

	if (r >= 0)
		*ret_executor = *slot;
	return r;
}

int noria_executors_blocking(struct executors *executors, struct noria_executor **ret_executor)
{
	const struct noria_config *config = &executors->loop->config;

	return own(&executors->blocking, "blocking", config->executor_threads, config->executor_queue,
		   config->executor_spin_ns, ret_executor);
}

/* As many threads as processors, unless the configuration says otherwise. */
static unsigned compute_threads(const struct noria_config *config)
{
	cpu_set_t allowed;
	int count;

	if (config->compute_threads > 0)
		return config->compute_threads;
	count = sched_getaffinity(0, sizeof allowed, &allowed) < 0 ? THREADS_MAX : CPU_COUNT(&allowed);
	return count < THREADS_MAX ? (unsigned)count : THREADS_MAX;
}

int noria_executors_compute(struct executors *executors, struct noria_executor **ret_executor)
{
	const struct noria_config *config = &executors->loop->config;

	return own(&executors->compute, "compute", compute_threads(config), config->compute_queue,
		   config->executor_spin_ns, ret_executor);
}

/* A lookup takes far longer than a wake-up. */
int noria_executors_names(struct executors *executors, struct noria_executor **ret_executor)
{
	const struct noria_config *config = &executors->loop->config;

	return own(&executors->names, "names", config->names_threads, config->names_queue, NORIA_SPIN_NEVER,
		   ret_executor);
}

void noria_executors_free(struct loop *loop)
{
	struct executors *executors = loop->executors;

	if (!executors)
		return;
	while (atomic_load(&executors->posting) > 0) /* a few instructions, by which a result has come home already */
		sched_yield();
	noria_timer_clear(loop, &executors->guard);
	noria_executor_unref(executors->blocking);
	noria_executor_unref(executors->compute);
	noria_executor_unref(executors->names);
	free(executors);
	loop->executors = NULL;
}
