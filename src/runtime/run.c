/* SPDX-License-Identifier: MIT */
/*
 * noria_run(): the floors put together. Open the loop, make the root task, run until no task is left, take everything
 * down in reverse order. Nothing is freed while an operation is in flight: tasks end only when their operations have.
 */
#include "runtime/run.h"

#include "base/message.h"
#include "executor/executor.h"
#include "op/block.h"
#include "op/buffers.h"
#include "op/direct.h"
#include "runtime/deadlock.h"
#include "runtime/drain.h"
#include "runtime/overflow.h"
#include "scope/child.h"
#include "scope/enter.h"
#include "scope/leftover.h"
#include "scope/value.h"
#include "task/bridge.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>

#define KIB ((size_t)1024)

struct run {
	struct loop loop;
	struct drain drain;
	struct overflow_watch watch;
	int result;
};

static unsigned or_default(unsigned value, unsigned otherwise)
{
	return value ? value : otherwise;
}

static void fill_defaults(struct noria_config *config)
{
#if NORIA_ASAN || NORIA_TSAN
	const size_t stack_size = 256 * KIB; /* instrumented frames are several times as large */
#else
	const size_t stack_size = 64 * KIB;
#endif
	config->ring_entries = or_default(config->ring_entries, 128);
	config->ring_entries_max =
		or_default(config->ring_entries_max, config->ring_entries > 4096 ? config->ring_entries : 4096);
	config->stack_size = config->stack_size ? config->stack_size : stack_size;
	config->tasks_max = config->tasks_max ? config->tasks_max : 4000000;
	config->drain_timeout_ns = config->drain_timeout_ns ? config->drain_timeout_ns : noria_sec(30);
	config->cancel_timeout_ns = config->cancel_timeout_ns ? config->cancel_timeout_ns : noria_sec(5);
	config->grace_ns = config->grace_ns ? config->grace_ns : NORIA_FOREVER;
	config->zombie_answers = or_default(config->zombie_answers, 1000);
	config->executor_threads = or_default(config->executor_threads, 4);
	config->executor_queue = or_default(config->executor_queue, 1024);
	config->compute_queue = or_default(config->compute_queue, 1024);
	config->names_threads = or_default(config->names_threads, 64);
	config->names_queue = or_default(config->names_queue, 1024);
	config->receive_buffers = or_default(config->receive_buffers, 64);
	config->receive_buffer_size = or_default(config->receive_buffer_size, 32768);
}

static int refuse_config(const char *field, const char *remedy)
{
	return noria_refuse(-EINVAL, "struct noria_config: %s %s", field, remedy);
}

static int check_config(const struct noria_config *config)
{
	if (config->ring_entries < 2 || config->ring_entries > 32768)
		return refuse_config("ring_entries", "must be from 2 to 32768");
	if (config->ring_entries_max < config->ring_entries || config->ring_entries_max > 32768)
		return refuse_config("ring_entries_max", "must be from ring_entries to 32768");
	if (config->timeouts != NORIA_TIMEOUTS_LINKED && config->timeouts != NORIA_TIMEOUTS_HEAP)
		return refuse_config("timeouts", "is not one of enum noria_timeouts");
	if (config->signals != NORIA_SIGNALS_DRAIN && config->signals != NORIA_SIGNALS_NONE)
		return refuse_config("signals", "is not one of enum noria_signals");
	if (config->drain_timeout_ns < 0 || config->cancel_timeout_ns < 0 || config->grace_ns < 0)
		return refuse_config("drain_timeout_ns, cancel_timeout_ns, grace_ns", "must not be negative");
	if (config->stack_size > (size_t)1 << STACK_MAX_LOG2)
		return refuse_config("stack_size", "must be at most 256 MiB");
	if (config->executor_threads > 1024)
		return refuse_config("executor_threads", "must be at most 1024");
	if (config->executor_queue > 1U << 20)
		return refuse_config("executor_queue", "must be at most 1048576");
	if (config->compute_threads > 1024)
		return refuse_config("compute_threads", "must be at most 1024");
	if (config->compute_queue > 1U << 20)
		return refuse_config("compute_queue", "must be at most 1048576");
	if (config->names_threads > 1024)
		return refuse_config("names_threads", "must be at most 1024");
	if (config->names_queue > 1U << 20)
		return refuse_config("names_queue", "must be at most 1048576");
	if (config->executor_spin_ns < NORIA_SPIN_NEVER || config->executor_spin_ns > noria_sec(1))
		return refuse_config("executor_spin_ns", "must be NORIA_SPIN_NEVER, or from 0 to a second");
	if (config->spin_max_ns < 0 || config->spin_max_ns > SPIN_MAX_NS)
		return refuse_config("spin_max_ns",
				     "must be from 0 to 1,000,000, a millisecond: sleep through longer waits");
	if (config->receive_buffer_size > 1U << 20)
		return refuse_config("receive_buffer_size", "must be at most 1 MiB");
	if (config->direct_descriptors > DIRECT_MAX)
		return refuse_config("direct_descriptors", "must be at most 1048512");
	if (config->receive_buffers > 32768 || (config->receive_buffers & (config->receive_buffers - 1)))
		return refuse_config("receive_buffers", "must be a power of two up to 32768");
	for (size_t i = 0; i < sizeof config->reserved / sizeof config->reserved[0]; i++)
		if (config->reserved[i])
			return refuse_config("reserved", "must be zero: start from `struct noria_config config = {0}`");
	return 0;
}

/* The run answers with one number: what it does not tell of the root task's end, the failure handler hears. */
static void report_end(struct task *task, int verdict)
{
	if (task->result < 0 && task->result != -ECANCELED &&
	    (verdict != task->result || noria_error_speaks(task, task->result)))
		noria_error_report(task, task->result, "the run ended with a failure");
}

static void root_ended(struct task *task)
{
	struct child *root = child_of(task);
	struct run *run = container_of(task->loop, struct run, loop);

	noria_close_leftovers(task);
	noria_direct_report(task);
	run->result = noria_drain_verdict(&run->drain, task->result);
	report_end(task, run->result);
	noria_values_drop(task);
	noria_error_drop(task);
	scope_leave(&root->root, task->site);
}

static int run_loop(struct run *run, noria_task_fn *fn, void *arg, const struct noria_site *site)
{
	struct loop *loop = &run->loop;
	struct child *root;
	int r = noria_root_new(loop, fn, arg, site, root_ended, &root);

	if (r < 0)
		return r;
	root->root.grace = loop->config.grace_ns;
	noria_drain_init(&run->drain, loop, &root->root);
	noria_deadlock_watch(&run->drain);
	noria_task_start(&root->task);
	noria_loop_run(loop);
	noria_drain_done(&run->drain);
	return run->result;
}

static int run_with_signals(struct run *run, noria_task_fn *fn, void *arg, const struct noria_site *site)
{
	int r;

	if (run->loop.config.signals == NORIA_SIGNALS_NONE)
		return run_loop(run, fn, arg, site);
	r = noria_signals_acquire(&run->loop);
	if (r < 0)
		return r;
	r = run_loop(run, fn, arg, site);
	noria_signals_release(&run->loop);
	return r;
}

/* In the child of a fork the ring is the parent's: let every call there answer -ENXIO, and signals find no loop. */
static void forget_loop(void)
{
	noria_loop = NULL;
	noria_signals_forget();
}

static void watch_forks(void)
{
	pthread_atfork(NULL, NULL, forget_loop);
}

int (*noria_runner)(const struct noria_config *config, noria_task_fn *fn, void *arg, const struct noria_site *site);
void (*noria_run_ending)(struct loop *loop);

int noria_run_at(const struct noria_config *config, noria_task_fn *fn, void *arg, const struct noria_site *site)
{
	return (noria_runner ? noria_runner : noria_run_here)(config, fn, arg, site);
}

int noria_run_here(const struct noria_config *config, noria_task_fn *fn, void *arg, const struct noria_site *site)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	struct noria_config filled = {0};
	struct run run;
	int r;

	if (noria_loop)
		return noria_refuse(-EBUSY,
				    "this thread runs a runtime already. Remedy: spawn a task, or use another thread");
	noria_refuse(0, "%s", "");
	if (!fn)
		return noria_refuse(-EINVAL, "noria_run() without a function to run");
	if (config)
		filled = *config;
	fill_defaults(&filled);
	r = check_config(&filled);
	if (r < 0)
		return r;
	pthread_once(&once, watch_forks);
	r = noria_loop_open(&run.loop, &filled);
	if (r < 0)
		return r;
	r = noria_overflow_watch(&run.watch);
	if (r >= 0) {
		noria_loop = &run.loop;
		r = run_with_signals(&run, fn, arg, site);
		noria_loop = NULL;
		noria_overflow_unwatch(&run.watch);
	}
	if (noria_run_ending)
		noria_run_ending(&run.loop);
	noria_bridge_end(&run.loop);
	noria_executors_free(&run.loop);
	noria_buffers_free_all(&run.loop);
	noria_blocks_free_all(&run.loop);
	noria_direct_free(&run.loop);
	noria_loop_close(&run.loop);
	return r;
}

const char *noria_version(void)
{
	return NORIA_VERSION;
}
