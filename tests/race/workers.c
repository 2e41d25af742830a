/* SPDX-License-Identifier: MIT */
/*
 * Executors of processes in several threads at once, each with a runtime and templates of its own: calls that return,
 * crash, leave, run for ever, meet deadlines at every moment and cancels of groups, while workers are killed and stopped
 * from outside. A call that says it has run has run once, none runs twice, and in the end no child and no descriptor is
 * left.
 */
#include "race.h"

#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum { THREADS = 2, PROCESSES = 3, TASKS = 8, ROUNDS = RACE_SANITIZED ? 25 : 60, CALLS = THREADS * 4096 };

/* What the processes share with us: how often each call has run, and who runs. */
static struct {
	atomic_int ran[CALLS];
	_Atomic(pid_t) worker;
} * shared;

static atomic_uint next_call;
static atomic_ulong returned, died, given_up;

/* One thread's. */
struct storm {
	struct noria_workers *workers;
	uint64_t state;
};

struct argument {
	unsigned call;
	pid_t pid;
};

static void begin(struct argument *argument)
{
	atomic_fetch_add(&shared->ran[argument->call], 1);
	argument->pid = getpid();
	atomic_store(&shared->worker, argument->pid);
}

static int run_and_return(void *arg)
{
	begin(arg);
	return 1;
}

static int run_and_crash(void *arg)
{
	begin(arg);
	raise(SIGKILL);
	return 1;
}

static int run_and_leave(void *arg)
{
	begin(arg);
	_exit(3);
}

static int run_for_ever(void *arg)
{
	begin(arg);
	for (;;)
		pause();
	return 1;
}

static int64_t soon(struct storm *storm)
{
	return noria_usec(race_below(&storm->state, 4000));
}

static int call_once(struct storm *storm, noria_task_fn *fn, bool ends)
{
	struct argument argument = {.call = atomic_fetch_add(&next_call, 1)};
	int r, ran;

	CHECK(argument.call < CALLS);
	r = (int)noria_within(ends && race_below(&storm->state, 2) ? NORIA_FOREVER : soon(storm),
			      noria_workers_call(storm->workers, fn, &argument, sizeof argument));
	ran = atomic_load(&shared->ran[argument.call]);
	CHECK(r == 1 || r == -EOWNERDEAD || r == -ETIMEDOUT || r == -ECANCELED);
	CHECK(ran <= 1 && (r != 1 || (ran == 1 && argument.pid > 0)));
	atomic_fetch_add(r == 1 ? &returned : r == -EOWNERDEAD ? &died : &given_up, 1);
	return r == -ECANCELED ? r : 0;
}

/* Whichever runs, of any thread's: it may be idle by now, or gone, which is a moment that has to be met too. */
static void hurt_somebody(struct storm *storm)
{
	pid_t pid = atomic_exchange(&shared->worker, 0);

	if (pid > 0 && race_below(&storm->state, 3) == 0) {
		kill(pid, SIGKILL);
	} else if (pid > 0 && kill(pid, SIGSTOP) == 0) {
		int r = noria_sleep(noria_usec(race_below(&storm->state, 300)));

		CHECK(r == 0 || r == -ECANCELED);
		kill(pid, SIGCONT);
	}
}

static int call_some(void *arg)
{
	struct storm *storm = arg;
	int r = 0;

	for (int i = 0; i < ROUNDS && r == 0; i++)
		switch (race_below(&storm->state, 8)) {
		case 0:
			r = call_once(storm, run_and_crash, true);
			break;
		case 1:
			r = call_once(storm, run_and_leave, true);
			break;
		case 2:
			r = call_once(storm, run_for_ever, false);
			break;
		case 3:
			hurt_somebody(storm);
			break;
		default:
			r = call_once(storm, run_and_return, true);
		}
	return r;
}

static void one_group(struct storm *storm, bool cancelled)
{
	struct noria_group group;

	CHECK(noria_group_open(&group) == 0);
	for (int i = 0; i < TASKS; i++)
		CHECK(noria_spawn(&group, call_some, storm) == 0);
	if (cancelled) {
		CHECK(noria_sleep(soon(storm) * 4) == 0);
		noria_group_cancel(&group);
	}
	CHECK(noria_group_close(&group, 0) == 0);
}

static int root(void *arg)
{
	const struct noria_workers_options options = {.processes = PROCESSES};
	struct storm *storm = arg;
	int sum = 0;

	for (int i = 0; i < 4; i++) {
		CHECK(noria_workers_open(&storm->workers, "race", &options) == 0);
		one_group(storm, i % 2);
		for (int n = 0; n < PROCESSES * 2; n++) /* the calm after it: each slot still works */
			sum += call_once(storm, run_and_return, true);
		CHECK(sum == 0);
		CHECK(noria_workers_close(storm->workers) == 0);
	}
	return 0;
}

static void *thread(void *arg)
{
	unsigned number = *(unsigned *)arg;
	struct noria_config config = {.ring_entries = number % 2 ? 2 : 64, .ring_entries_max = number % 2 ? 2 : 64};
	struct storm storm = {.state = race_seed * 2 + number};

	CHECK(race_run(&config, root, &storm) == 0);
	return NULL;
}

int main(int argc, char **argv)
{
	int fds = race_count_fds(), ran = 0;

	race_seed = argc > 1 ? strtoull(argv[1], NULL, 0) : 1;
	race_watchdog(110);
	shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	CHECK(shared != MAP_FAILED);
	race_threads(THREADS, thread);
	for (unsigned i = 0; i < CALLS; i++) {
		int times = atomic_load(&shared->ran[i]);

		CHECK(times <= 1);
		ran += times;
	}
	CHECK(waitpid(-1, NULL, WNOHANG) == -1 && errno == ECHILD);
	CHECK(race_count_fds() == fds);
	printf("%lu returned, %lu died, %lu given up; %d ran\n", returned, died, given_up, ran);
	CHECK(returned > 0 && died > 0 && given_up > 0);
	return 0;
}
