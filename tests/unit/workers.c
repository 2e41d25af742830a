/* SPDX-License-Identifier: MIT */
/* Executors of processes: results, crashes, limits, cancels at every moment, and what a worker has of the program. */
#include "unit.h"

#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static struct noria_workers *open_workers(struct noria_workers_options options)
{
	struct noria_workers *workers;

	options.processes = options.processes ? options.processes : 1;
	MUST(noria_workers_open(&workers, "unit", &options) == 0);
	return workers;
}

static int twice(void *arg)
{
	int *n = arg;

	*n *= 2;
	return 5;
}

static int process(void *arg)
{
	*(pid_t *)arg = getpid();
	return getppid() > 0 ? 0 : -EIO;
}

UNIT(workers, a_call_runs_in_another_process_and_its_argument_comes_back)
{
	struct noria_workers *workers = open_workers((struct noria_workers_options){0});
	pid_t pids[3];
	int n = 21;

	EXPECT_EQ(noria_workers_call(workers, twice, &n, sizeof n), 5);
	EXPECT_EQ(n, 42);
	for (int i = 0; i < 3; i++)
		EXPECT_EQ(noria_workers_call(workers, process, &pids[i], sizeof pids[i]), 0);
	EXPECT(pids[0] != getpid() && pids[0] == pids[1] && pids[1] == pids[2]); /* it is used again */
	EXPECT_EQ(noria_workers_close(workers), 0);
	EXPECT_EQ(kill(pids[0], 0), -1);
	EXPECT_EQ(waitpid(-1, NULL, WNOHANG), -1); /* and leaves nothing behind */
	return 0;
}

static int no_argument(void *arg)
{
	(void)arg;
	return 9;
}

UNIT(workers, what_makes_no_sense_is_refused)
{
	struct noria_workers *workers = NULL;
	struct noria_workers_options reserved = {.reserved = {1}};
	char large[5];

	EXPECT_EQ(noria_workers_open(&workers, NULL, NULL), -EINVAL);
	EXPECT_EQ(noria_workers_open(&workers, "many", &(struct noria_workers_options){.processes = 257}), -EINVAL);
	EXPECT_EQ(noria_workers_open(&workers, "large", &(struct noria_workers_options){.size_max = 1UL << 27}),
		  -EINVAL);
	EXPECT_EQ(noria_workers_open(&workers, "reserved", &reserved), -EINVAL);
	EXPECT(!workers);
	EXPECT_EQ(noria_workers_close(NULL), 0);
	workers = open_workers((struct noria_workers_options){.size_max = 4});
	EXPECT_EQ(noria_workers_call(workers, no_argument, large, sizeof large), -EMSGSIZE);
	EXPECT(strstr(noria_message(), "5 bytes"));
	EXPECT_EQ(noria_workers_call(workers, no_argument, large, 4), 9);
	EXPECT_EQ(noria_workers_call(workers, no_argument, NULL, 0), 9);
	EXPECT_EQ(noria_workers_call(workers, no_argument, NULL, 1), -EINVAL);
	EXPECT_EQ(noria_workers_call(workers, NULL, NULL, 0), -EINVAL);
	EXPECT_EQ(noria_workers_call(NULL, no_argument, NULL, 0), -EINVAL);
	EXPECT_EQ(noria_workers_close(workers), 0);
	return 0;
}

Test(workers, outside_a_runtime_there_are_none)
{
	struct noria_workers *workers;

	EXPECT_EQ(noria_workers_open(&workers, "outside", NULL), -ENXIO);
}

static int open_for_others(void *arg)
{
	MUST(noria_workers_open((struct noria_workers **)arg, "forgotten", NULL) == 0);
	return 0;
}

static int forget(void *arg)
{
	struct noria_workers *workers = NULL;
	struct noria_group group;

	MUST(noria_group_open(&group) == 0);
	MUST(noria_spawn(&group, open_for_others, &workers) == 0);
	MUST(noria_group_close(&group, 0) == 0);
	return noria_workers_call(workers, process, arg, sizeof(pid_t)); /* the task that opened it has ended */
}

Test(workers, one_that_is_left_open_is_closed_and_named)
{
	int before = unit_count_fds();
	pid_t pid = 0;

	EXPECT_EQ(noria_run(NULL, forget, &pid), -EINVAL);
	EXPECT(strstr(noria_message(), "left the executor of processes of") && strstr(noria_message(), "workers.c:"));
	EXPECT(pid > 0);
	EXPECT_EQ(kill(pid, 0), -1);
	EXPECT_EQ(waitpid(-1, NULL, WNOHANG), -1);
	EXPECT_EQ(unit_count_fds(), before);
}

/* ---- crashes ---- */

static int crash(void *arg)
{
	*(int *)arg = 1;
	raise(SIGSEGV);
	return 0;
}

static int leave(void *arg)
{
	_exit(*(int *)arg);
}

UNIT(workers, a_crash_is_the_failure_of_one_call)
{
	struct noria_workers *workers = open_workers((struct noria_workers_options){0});
	const struct noria_failure *failure;
	int n = 4;

	for (int i = 0; i < 3; i++) {
		EXPECT_EQ(noria_workers_call(workers, crash, &n, sizeof n), -EOWNERDEAD);
		EXPECT_EQ(n, 4);
		EXPECT(strstr(noria_message(), "signal 11") && strstr(noria_message(), "crash()"));
		failure = noria_last_failure();
		EXPECT(failure && strstr(failure->text, "Segmentation fault"));
		EXPECT_EQ(noria_workers_call(workers, no_argument, NULL, 0), 9); /* by another process */
	}
	EXPECT_EQ(noria_workers_call(workers, leave, &n, sizeof n), -EOWNERDEAD);
	EXPECT(strstr(noria_message(), "exit status 4"));
	EXPECT_EQ(noria_workers_close(workers), 0);
	return 0;
}

static int say_why(void *arg)
{
	(void)arg;
	return noria_fail(-EBADMSG, "line %d is no line", 7);
}

UNIT(workers, the_message_of_an_error_comes_over)
{
	struct noria_workers *workers = open_workers((struct noria_workers_options){0});

	EXPECT_EQ(noria_workers_call(workers, say_why, NULL, 0), -EBADMSG);
	EXPECT(strstr(noria_last_failure()->text, "line 7 is no line"));
	EXPECT_EQ(noria_workers_close(workers), 0);
	return 0;
}

static int idle_pid(void *arg)
{
	*(pid_t *)arg = getpid();
	return 0;
}

/* It dies between two calls: the next one does not notice. */
UNIT(workers, an_idle_process_that_dies_is_replaced)
{
	struct noria_workers *workers = open_workers((struct noria_workers_options){0});
	pid_t pid, next;

	for (int i = 0; i < 5; i++) {
		MUST(noria_workers_call(workers, idle_pid, &pid, sizeof pid) == 0);
		MUST(kill(pid, SIGKILL) == 0);
		if (i % 2)
			MUST(noria_sleep(noria_msec(2)) == 0);
		EXPECT_EQ(noria_workers_call(workers, idle_pid, &next, sizeof next), 0);
		EXPECT(next != pid);
	}
	EXPECT_EQ(noria_workers_close(workers), 0);
	return 0;
}

static int kill_template(void *arg)
{
	(void)arg;
	kill(getppid(), SIGKILL);
	pause();
	return 0;
}

UNIT(workers, without_a_template_every_call_says_so)
{
	struct noria_workers *workers = open_workers((struct noria_workers_options){0});

	EXPECT_EQ(noria_workers_call(workers, kill_template, NULL, 0), -EPIPE);
	EXPECT(strstr(noria_message(), "Remedy"));
	EXPECT_EQ(noria_workers_call(workers, no_argument, NULL, 0), -EPIPE);
	EXPECT_EQ(noria_workers_close(workers), 0);
	return 0;
}

/* ---- limits ---- */

static int map(void *arg)
{
	size_t bytes = *(size_t *)arg;
	void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (memory == MAP_FAILED)
		return -errno;
	munmap(memory, bytes);
	return 0;
}

UNIT(workers, memory_is_limited)
{
	struct noria_workers *workers = open_workers((struct noria_workers_options){.memory_max = 64 << 20});
	size_t little = 16 << 20, much = 128 << 20;

	EXPECT_EQ(noria_workers_call(workers, map, &little, sizeof little), 0);
	EXPECT_EQ(noria_workers_call(workers, map, &much, sizeof much), -ENOMEM);
	EXPECT_EQ(noria_workers_close(workers), 0);
	return 0;
}

static int spin_seconds(void *arg)
{
	struct timespec now;
	int seconds = *(int *)arg;

	do
		clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	while (now.tv_sec < seconds);
	return 0;
}

UNIT_ONCE(workers, processor_time_is_limited)
{
	struct noria_workers *workers = open_workers((struct noria_workers_options){.cpu_seconds = 1});
	int seconds = 60, none = 0;

	EXPECT_EQ(noria_workers_call(workers, spin_seconds, &none, sizeof none), 0);
	EXPECT_EQ(noria_workers_call(workers, spin_seconds, &seconds, sizeof seconds), -EOWNERDEAD);
	EXPECT(strstr(noria_message(), "limit of CPU time"));
	EXPECT_EQ(noria_workers_call(workers, no_argument, NULL, 0), 9);
	EXPECT_EQ(noria_workers_close(workers), 0);
	return 0;
}

/* ---- cancellation ---- */

/* What a worker and the test both see. */
static atomic_int *shared;

static void share(void)
{
	shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	MUST(shared != MAP_FAILED);
}

static int run_for_ever(void *arg)
{
	(void)arg;
	atomic_fetch_add(&shared[0], 1);
	while (atomic_fetch_add(&shared[1], 1) >= 0)
		;
	return 0;
}

UNIT(workers, a_limit_kills_what_runs)
{
	struct noria_workers *workers;
	int seen;

	share();
	workers = open_workers((struct noria_workers_options){0});
	for (int i = 0; i < 3; i++) {
		EXPECT_EQ(noria_within(noria_msec(20), noria_workers_call(workers, run_for_ever, NULL, 0)), -ETIMEDOUT);
		seen = atomic_load(&shared[1]);
		MUST(noria_sleep(noria_msec(2)) == 0);
		EXPECT_EQ(atomic_load(&shared[1]), seen); /* nothing of it runs any more */
		EXPECT_EQ(noria_workers_call(workers, no_argument, NULL, 0), 9);
	}
	EXPECT_EQ(noria_workers_close(workers), 0);
	EXPECT(atomic_load(&shared[0]) <= 3);
	munmap(shared, 4096);
	return 0;
}

static int call_for_ever(void *arg)
{
	return noria_workers_call(arg, run_for_ever, NULL, 0);
}

static int count_call(void *arg)
{
	(void)arg;
	return atomic_fetch_add(&shared[2], 1);
}

UNIT(workers, a_cancel_before_and_while_waiting_starts_nothing)
{
	struct noria_workers *workers;
	struct noria_scope scope;
	struct noria_group group;

	share();
	workers = open_workers((struct noria_workers_options){0});
	MUST(noria_scope_open(&scope, NORIA_FOREVER, 0) == 0);
	noria_scope_cancel(&scope);
	EXPECT_EQ(noria_workers_call(workers, count_call, NULL, 0), -ECANCELED);
	EXPECT_EQ(noria_scope_close(&scope, 0), 0);
	MUST(noria_group_open(&group) == 0);
	MUST(noria_spawn(&group, call_for_ever, workers) == 0);
	UNTIL(atomic_load(&shared[0]) == 1);
	EXPECT_EQ(noria_within(noria_msec(2), noria_workers_call(workers, count_call, NULL, 0)), -ETIMEDOUT);
	EXPECT_EQ(noria_workers_close(workers), -EBUSY);
	noria_group_cancel(&group);
	EXPECT_EQ(noria_group_close(&group, 0), 0);
	EXPECT_EQ(atomic_load(&shared[2]), 0);
	EXPECT_EQ(noria_workers_call(workers, count_call, NULL, 0), 0);
	EXPECT_EQ(noria_workers_close(workers), 0);
	munmap(shared, 4096);
	return 0;
}

/* The worker is stopped, so it cannot take the call; it finds the call taken back when it goes on. */
UNIT(workers, a_call_taken_back_never_starts)
{
	struct noria_workers *workers;
	pid_t pid;

	share();
	workers = open_workers((struct noria_workers_options){0});
	MUST(noria_workers_call(workers, idle_pid, &pid, sizeof pid) == 0);
	MUST(kill(pid, SIGSTOP) == 0);
	EXPECT_EQ(noria_within(noria_msec(2), noria_workers_call(workers, count_call, NULL, 0)), -ETIMEDOUT);
	MUST(kill(pid, SIGCONT) == 0);
	EXPECT_EQ(noria_workers_call(workers, count_call, NULL, 0), 0);
	EXPECT_EQ(noria_workers_call(workers, count_call, NULL, 0), 1);
	EXPECT_EQ(noria_workers_close(workers), 0);
	munmap(shared, 4096);
	return 0;
}

static int call_count(void *arg)
{
	return noria_workers_call(arg, count_call, NULL, 0);
}

/* Limits that meet every moment of a call: each is delivered or given up, and the executor stays whole. */
UNIT(workers, limits_race_with_results)
{
	struct noria_workers *workers;
	int delivered = 0;

	share();
	workers = open_workers((struct noria_workers_options){0});
	for (int i = 0; i < 150; i++) {
		int r = (int)noria_within(noria_usec(i % 50 * 4), noria_workers_call(workers, count_call, NULL, 0));

		EXPECT(r >= 0 || r == -ETIMEDOUT);
		delivered += r >= 0;
	}
	EXPECT(atomic_load(&shared[2]) >= delivered);
	EXPECT(noria_workers_call(workers, count_call, NULL, 0) >= delivered);
	EXPECT_EQ(noria_workers_close(workers), 0);
	munmap(shared, 4096);
	return 0;
}

/* ---- many at once ---- */

static int meet(void *arg)
{
	(void)arg;
	atomic_fetch_add(&shared[3], 1);
	while (atomic_load(&shared[3]) < 4)
		usleep(100);
	return 0;
}

static int call_meet(void *arg)
{
	return noria_workers_call(arg, meet, NULL, 0);
}

static const struct noria_config small_ring = {.ring_entries = 2};

UNIT_WITH(workers, as_many_run_at_once_as_there_are_processes, &small_ring)
{
	struct noria_workers *workers;
	struct noria_group group;

	share();
	workers = open_workers((struct noria_workers_options){.processes = 4});
	MUST(noria_group_open(&group) == 0);
	for (int i = 0; i < 4; i++)
		MUST(noria_spawn(&group, call_meet, workers) == 0);
	EXPECT_EQ(noria_group_close(&group, 0), 0);
	MUST(noria_group_open_with(&group, &(struct noria_group_options){.policy = NORIA_COLLECT}) == 0);
	for (int i = 0; i < 40; i++)
		MUST(noria_spawn(&group, call_count, workers) == 0);
	EXPECT_EQ(noria_group_close(&group, 0), 0);
	EXPECT_EQ(atomic_load(&shared[2]), 40);
	EXPECT_EQ(noria_workers_close(workers), 0);
	munmap(shared, 4096);
	return 0;
}

/* ---- what a worker has of the program ---- */

static int look_around(void *arg)
{
	struct sigaction action;
	sigset_t mask;

	if (fcntl(*(int *)arg, F_GETFD) >= 0 || fcntl(STDERR_FILENO, F_GETFD) < 0)
		return 1;
	if (sigaction(SIGTERM, NULL, &action) < 0 || action.sa_handler != SIG_DFL)
		return 2;
	if (sigprocmask(SIG_SETMASK, NULL, &mask) < 0 || sigismember(&mask, SIGCHLD))
		return 3;
	if (noria_yield() != -ENXIO)
		return 4;
	return getpgid(0) == getppid() ? 0 : 5;
}

UNIT(workers, a_worker_has_neither_descriptors_nor_handlers_of_the_program)
{
	struct noria_workers *workers;
	int fd = dup(STDERR_FILENO);

	workers = open_workers((struct noria_workers_options){0});
	EXPECT_EQ(noria_workers_call(workers, look_around, &fd, sizeof fd), 0);
	close(fd);
	EXPECT_EQ(noria_workers_close(workers), 0);
	return 0;
}

static int use_stack(void *arg)
{
	volatile char large[1 << 20];

	for (size_t i = 0; i < sizeof large; i++)
		large[i] = *(char *)arg;
	return large[sizeof large / 2];
}

/* The fork was made on a task's small stack. */
UNIT(workers, a_worker_has_a_stack_of_the_usual_size)
{
	struct noria_workers *workers = open_workers((struct noria_workers_options){0});
	char c = 77;

	EXPECT_EQ(noria_workers_call(workers, use_stack, &c, sizeof c), 77);
	EXPECT_EQ(noria_workers_close(workers), 0);
	return 0;
}
