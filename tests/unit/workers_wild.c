/* SPDX-License-Identifier: MIT */
/*
 * Executors of processes, whose processes run wild, stand still, or cannot be forked: no call waits for ever, and none is
 * harmed by another's.
 */
#include "unit.h"

#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* What the processes and the test all see; before the executor is opened. */
static struct {
	atomic_int running, forks_fail, may_end;
	_Atomic(pid_t) left_over;
} * shared;

pid_t __real_fork(void);
pid_t __wrap_fork(void);

/* The library's forks. */
pid_t __wrap_fork(void)
{
	if (!shared || !atomic_load(&shared->forks_fail))
		return __real_fork();
	errno = EAGAIN;
	return -1;
}

void *__real_mmap64(void *address, size_t length, int protection, int flags, int fd, off_t offset);
void *__wrap_mmap64(void *address, size_t length, int protection, int flags, int fd, off_t offset);

/* What the program shares right behind the executor's memory. */
static char *neighbour;

/* The library's shared memory has a neighbour. */
void *__wrap_mmap64(void *address, size_t length, int protection, int flags, int fd, off_t offset)
{
	if (flags == (MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE)) {
		address = __real_mmap64(NULL, length + 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
		MUST(address != MAP_FAILED);
		neighbour = (char *)address + length;
		flags |= MAP_FIXED;
	}
	return __real_mmap64(address, length, protection, flags, fd, offset);
}

static struct noria_workers *open_workers(unsigned processes)
{
	struct noria_workers *workers;

	shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	MUST(shared != MAP_FAILED);
	MUST(noria_workers_open(&workers, "wild", &(struct noria_workers_options){.processes = processes}) == 0);
	return workers;
}

static void close_workers(struct noria_workers *workers)
{
	EXPECT_EQ(noria_workers_close(workers), 0);
	munmap(neighbour, 4096);
	munmap(shared, 4096);
	shared = NULL;
}

static int nine(void *arg)
{
	(void)arg;
	return 9;
}

static int leave(void *arg)
{
	(void)arg;
	_exit(1);
}

struct pids {
	pid_t worker, template;
};

static int tell_pids(void *arg)
{
	*(struct pids *)arg = (struct pids){getpid(), getppid()};
	return 0;
}

static struct pids pids_of(struct noria_workers *workers)
{
	struct pids pids;

	MUST(noria_workers_call(workers, tell_pids, &pids, sizeof pids) == 0);
	return pids;
}

static void stop(pid_t pid)
{
	siginfo_t info;

	MUST(kill(pid, SIGSTOP) == 0);
	(void)waitid(P_PID, (id_t)pid, &info, WSTOPPED | WNOWAIT); /* of our own child, the template */
}

static int run_for_ever(void *arg)
{
	(void)arg;
	atomic_fetch_add(&shared->running, 1);
	for (;;)
		pause();
	return 0;
}

static int call_for_ever(void *arg)
{
	return noria_workers_call(arg, run_for_ever, NULL, 0);
}

/* What cannot be forked for a call that was taken back says nothing about the next one. */
UNIT(workers_wild, a_refusal_that_comes_too_late_is_not_the_next_calls)
{
	struct noria_workers *workers = open_workers(1);
	pid_t template = pids_of(workers).template;

	for (int i = 0; i < 3; i++) {
		EXPECT_EQ(noria_workers_call(workers, leave, NULL, 0), -EOWNERDEAD);
		stop(template);
		atomic_store(&shared->forks_fail, 1);
		EXPECT_EQ(noria_within(noria_msec(1), noria_workers_call(workers, nine, NULL, 0)), -ETIMEDOUT);
		MUST(kill(template, SIGCONT) == 0);
		EXPECT_EQ(noria_within(noria_sec(5), noria_workers_call(workers, nine, NULL, 0)), -EAGAIN);
		EXPECT(strstr(noria_message(), "pids.max"));
		atomic_store(&shared->forks_fail, 0);
		EXPECT_EQ(noria_within(noria_sec(5), noria_workers_call(workers, nine, NULL, 0)), 9);
	}
	close_workers(workers);
	return 0;
}

/* Each call that is taken back leaves a message with it; no caller waits for room. */
UNIT(workers_wild, a_stopped_worker_holds_up_nobody_who_can_be_cancelled)
{
	struct noria_workers *workers = open_workers(1);
	pid_t pid = pids_of(workers).worker;

	MUST(kill(pid, SIGSTOP) == 0);
	for (int i = 0; i < 1000; i++)
		EXPECT_EQ(noria_within(noria_usec(5), noria_workers_call(workers, leave, NULL, 0)), -ETIMEDOUT);
	MUST(kill(pid, SIGCONT) == 0);
	EXPECT_EQ(noria_workers_call(workers, nine, NULL, 0), 9);
	EXPECT_EQ(pids_of(workers).worker, pid);
	close_workers(workers);
	return 0;
}

UNIT(workers_wild, a_stopped_template_goes_on_for_a_kill_and_a_close)
{
	struct noria_workers *workers = open_workers(1);
	pid_t template = pids_of(workers).template;
	struct noria_group group;

	MUST(noria_group_open(&group) == 0);
	MUST(noria_spawn(&group, call_for_ever, workers) == 0);
	UNTIL(atomic_load(&shared->running) == 1);
	stop(template);
	noria_group_cancel(&group);
	EXPECT_EQ(noria_group_close(&group, 0), 0);
	EXPECT_EQ(noria_workers_call(workers, nine, NULL, 0), 9);
	stop(template);
	close_workers(workers);
	return 0;
}

static int run_past_the_end(void *arg)
{
	memset(arg, 0xff, 1 << 20);
	return 0;
}

static int run_past_the_beginning(void *arg)
{
	memset((char *)arg - (64 << 10), 0xff, 64 << 10);
	return 0;
}

/* Two slots beside each other, of which one is in use; whichever it is. */
UNIT(workers_wild, a_call_that_runs_past_its_argument_ends_alone)
{
	struct noria_workers *workers = open_workers(2);
	struct noria_group group;
	char c = 1;

	MUST(noria_group_open(&group) == 0);
	MUST(noria_spawn(&group, call_for_ever, workers) == 0);
	UNTIL(atomic_load(&shared->running) == 1);
	EXPECT_EQ(noria_workers_call(workers, run_past_the_end, &c, sizeof c), -EOWNERDEAD);
	EXPECT_EQ(noria_workers_call(workers, run_past_the_beginning, &c, sizeof c), -EOWNERDEAD);
	EXPECT_EQ(noria_workers_call(workers, nine, NULL, 0), 9);
	EXPECT_EQ(atomic_load(&shared->running), 1);
	noria_group_cancel(&group);
	EXPECT_EQ(noria_group_close(&group, 0), 0);
	close_workers(workers);
	return 0;
}

UNIT(workers_wild, a_call_that_runs_past_the_last_argument_spares_what_the_program_shares)
{
	struct noria_workers *workers = open_workers(1);
	char c = 1;

	EXPECT_EQ(noria_workers_call(workers, run_past_the_end, &c, sizeof c), -EOWNERDEAD);
	EXPECT_EQ(*neighbour, 0);
	close_workers(workers);
	return 0;
}

/* All that its slot has but the argument. */
static void scribble(void *arg)
{
	uintptr_t page = (uintptr_t)arg & ~(uintptr_t)4095;

	memset((void *)page, 0xff, (uintptr_t)arg - page);
}

static int scribble_and_return(void *arg)
{
	scribble(arg);
	return 0;
}

static int scribble_and_stay(void *arg)
{
	scribble(arg);
	atomic_fetch_add(&shared->running, 1);
	for (;;)
		pause();
	return 0;
}

static int call_scribbler(void *arg)
{
	char c = 1;

	return noria_workers_call(arg, scribble_and_stay, &c, sizeof c);
}

UNIT(workers_wild, a_call_that_scribbles_over_its_slot_ends_and_can_be_killed)
{
	struct noria_workers *workers = open_workers(1);
	struct noria_group group;
	char c = 1;

	EXPECT_EQ(noria_workers_call(workers, scribble_and_return, &c, sizeof c), -EOWNERDEAD);
	EXPECT_EQ(noria_workers_call(workers, nine, NULL, 0), 9);
	MUST(noria_group_open(&group) == 0);
	MUST(noria_spawn(&group, call_scribbler, workers) == 0);
	UNTIL(atomic_load(&shared->running) == 1);
	noria_group_cancel(&group);
	EXPECT_EQ(noria_group_close(&group, 0), 0);
	EXPECT_EQ(noria_workers_call(workers, nine, NULL, 0), 9);
	close_workers(workers);
	return 0;
}

/* Into every descriptor that it has, the slot's socket among them: too little, and as much as a message. */
static int write_everywhere(void *arg)
{
	char garbage[24];

	memset(garbage, *(char *)arg, sizeof garbage);
	for (int fd = 3; fd < 256; fd++)
		if (write(fd, garbage, 1) > 0 && write(fd, garbage, sizeof garbage) < 0)
			return -errno;
	return 7;
}

UNIT(workers_wild, what_a_worker_writes_to_its_socket_is_no_harm)
{
	struct noria_workers *workers = open_workers(1);

	for (int c = 0; c < 2; c++) {
		char byte = c ? '\xff' : '\0';

		EXPECT_EQ(noria_workers_call(workers, write_everywhere, &byte, sizeof byte), 7);
		EXPECT_EQ(noria_workers_call(workers, nine, NULL, 0), 9);
	}
	close_workers(workers);
	return 0;
}

static int fork_and_return(void *arg)
{
	pid_t pid = fork();

	if (pid > 0)
		*(pid_t *)arg = pid;
	return 3;
}

static int fork_and_kill_template(void *arg)
{
	pid_t pid = fork();

	(void)arg;
	if (pid == 0)
		for (;;)
			pause();
	atomic_store(&shared->left_over, pid);
	kill(getppid(), SIGKILL);
	for (;;)
		pause();
	return 0;
}

UNIT(workers_wild, what_a_call_forks_is_no_worker)
{
	struct noria_workers *workers = open_workers(1);
	pid_t worker = pids_of(workers).worker, pid = 0;

	for (int i = 0; i < 5; i++) {
		EXPECT_EQ(noria_workers_call(workers, fork_and_return, &pid, sizeof pid), 3);
		EXPECT(pid > 0 && pid != worker);
		EXPECT_EQ(pids_of(workers).worker, worker);
	}
	EXPECT_EQ(noria_within(noria_sec(5), noria_workers_call(workers, fork_and_kill_template, NULL, 0)), -EPIPE);
	MUST(atomic_load(&shared->left_over) > 0);
	kill(atomic_load(&shared->left_over), SIGKILL);
	close_workers(workers);
	return 0;
}

/* What it forks comes back as soon as the next call has been run. */
static int fork_one_that_comes_back_late(void *arg)
{
	_Atomic(uint64_t) *word = (void *)((uintptr_t)arg & ~(uintptr_t)4095);
	uint64_t taken = atomic_load(word), next_done = taken + 9;
	pid_t pid = fork();

	if (pid == 0)
		while (atomic_load(word) != next_done)
			sched_yield();
	else
		atomic_store(&shared->left_over, pid);
	return 3;
}

static int end_when_told(void *arg)
{
	(void)arg;
	atomic_fetch_add(&shared->running, 1);
	while (!atomic_load(&shared->may_end))
		sched_yield();
	return 0;
}

static int call_until_told(void *arg)
{
	EXPECT_EQ(noria_workers_call(arg, end_when_told, NULL, 0), 0);
	return 0;
}

UNIT(workers_wild, what_a_call_has_forked_does_not_answer_for_the_next_call)
{
	struct noria_workers *workers = open_workers(1);
	struct noria_group group;
	struct pollfd end = {.events = POLLIN};

	EXPECT_EQ(noria_workers_call(workers, fork_one_that_comes_back_late, NULL, 0), 3);
	MUST(noria_group_open(&group) == 0);
	MUST(noria_spawn(&group, call_until_told, workers) == 0);
	UNTIL(atomic_load(&shared->running) == 1);
	end.fd = (int)syscall(SYS_pidfd_open, atomic_load(&shared->left_over), 0);
	MUST(end.fd >= 0);
	atomic_store(&shared->may_end, 1);
	MUST(poll(&end, 1, -1) == 1); /* meanwhile the answer lies there */
	close(end.fd);
	EXPECT_EQ(noria_group_close(&group, 0), 0);
	close_workers(workers);
	return 0;
}
