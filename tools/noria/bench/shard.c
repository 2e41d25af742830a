/* SPDX-License-Identifier: MIT */
/*
 * A thread's runtime. Its root task opens the connections and ends them: in a closed loop when the time is up, in an
 * open loop when all that was sent has been answered, or has had its time for that. Beside the connections runs the
 * watch, which finds those whose answers are overdue.
 */
#include "caller.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>

#define LOOK_NS      50000000  /* how often an interrupt is looked for */
#define WATCH_MAX_NS 100000000 /* how often the watch looks, at least */
#define WATCH_MIN_NS 1000000
#define STACK_SIZE   32768

static int watch(void *arg)
{
	struct shard *shard = arg;
	int64_t period = shard->plan->timeout_ns / 10;
	period = period > WATCH_MAX_NS ? WATCH_MAX_NS : period < WATCH_MIN_NS ? WATCH_MIN_NS : period;
	for (;;) {
		noria_try(noria_sleep(period));
		int64_t now_ns = noria_now();
		for (unsigned i = 0; i < shard->count; i++)
			caller_watch(&shard->callers[i], now_ns);
	}
}

static int64_t thread_cpu_ns(void)
{
	struct timespec time;
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
	return time.tv_sec * 1000000000 + time.tv_nsec;
}

/* Sleep until the measured time begins, and until it ends, which may be sooner than was planned. */
static int wait_for_end(struct shard *shard)
{
	int64_t now_ns, end_ns, begin_ns = shard->course->begin_ns, cpu_ns = thread_cpu_ns();
	bool begun = false;
	while ((now_ns = noria_now()) < (end_ns = course_end(shard->course))) {
		if (!begun && now_ns >= begin_ns) {
			begun = true;
			cpu_ns = thread_cpu_ns();
		}
		int64_t next_ns = now_ns + LOOK_NS;
		if (!begun && begin_ns < next_ns)
			next_ns = begin_ns;
		noria_try(noria_sleep_until(next_ns < end_ns ? next_ns : end_ns));
	}
	shard->cpu_ns = thread_cpu_ns() - cpu_ns;
	return 0;
}

static int spawn_all(struct shard *shard, struct noria_group *group)
{
	struct noria_spawn_options service = {.service = true}, small = {.stack_size = STACK_SIZE};
	noria_try(noria_spawn_with(group, watch, shard, &service));
	for (unsigned i = 0; i < shard->count; i++)
		noria_try(noria_spawn_with(group, caller_main, &shard->callers[i], &small));
	return 0;
}

static int load(struct shard *shard, struct noria_scope *scope)
{
	struct noria_group group;
	noria_try(noria_group_open(&group));
	int error = spawn_all(shard, &group);
	if (error == 0)
		error = wait_for_end(shard);
	bool patient = shard->rate > 0 && !shard->course->interrupted;
	if (error < 0 || !patient)
		noria_group_cancel(&group);
	else /* the watch looks every tenth of the limit */
		error = noria_scope_set_deadline(scope, noria_now() + shard->plan->timeout_ns * 5 / 4);
	return noria_group_close(&group, error);
}

static int shard_main(void *arg)
{
	struct noria_scope scope;
	noria_try(noria_scope_open(&scope, NORIA_FOREVER, 0));
	int error = (int)noria_scope_close(&scope, load(arg, &scope));
	return error == -ETIMEDOUT || error == -ECANCELED ? 0 : error;
}

static int make_callers(struct shard *shard)
{
	shard->callers = calloc(shard->count, sizeof *shard->callers);
	if (shard->callers == NULL)
		return -ENOMEM;
	for (unsigned i = 0; i < shard->count; i++)
		noria_try(caller_init(&shard->callers[i], shard, shard->first + i));
	return 0;
}

void *shard_run(void *arg)
{
	struct shard *shard = arg;
	struct noria_config config = {.timeouts = NORIA_TIMEOUTS_HEAP, .signals = NORIA_SIGNALS_NONE};
	prctl(PR_SET_TIMERSLACK, 1000); /* nanoseconds: what is due is not sent late so that the kernel may nap */
	shard->result = make_callers(shard);
	if (shard->result == 0)
		shard->result = noria_run(&config, shard_main, shard);
	if (shard->result < 0)
		snprintf(shard->message, sizeof shard->message, "%s", noria_message());
	for (unsigned i = 0; shard->callers && i < shard->count; i++)
		caller_done(&shard->callers[i]);
	free(shard->callers);
	return NULL;
}
