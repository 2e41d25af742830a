/* SPDX-License-Identifier: MIT */
/*
 * Many tasks run programs that end, are killed, wait for input, ignore SIGTERM; all of them within short deadlines, some in
 * groups that others cancel. Meanwhile tasks and threads pass permits of a semaphore around by futexes, under the same
 * deadlines. Afterwards no child, no descriptor and no permit may be missing, and every wake that the kernel gave to a task
 * must have been heard of.
 */
#include "race.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
	TASKS = 12,
	ROUNDS = RACE_SANITIZED ? 12 : 40,
	PERMITS = 3,
	THREADS = 2,
	FUTEX_FLAGS = NORIA_FUTEX_32 | NORIA_FUTEX_PRIVATE
};

static uint64_t state;
static uint32_t permits = PERMITS;
static atomic_bool end;
static atomic_long holders;
static unsigned long ended, killed, given_up, acquired;

static int64_t soon(void)
{
	return race_below(&state, 8) == 0 ? NORIA_FOREVER : noria_usec(race_below(&state, 8000));
}

static int to_its_end(void)
{
	static const int codes[] = {0, 3 << 8, SIGKILL};
	static char *const scripts[] = {"exit 0", "exit 3", "kill -KILL $$"};
	unsigned which = race_below(&state, 3);
	int status = noria_process_run("sh", ((char *[]){"sh", "-c", scripts[which], NULL}), NULL, NULL, NULL);

	CHECK(status == codes[which] || status == -ECANCELED);
	ended += status >= 0;
	return status < 0 ? status : 0;
}

static int with_bytes(void)
{
	static char input[100000];
	char output[64];
	struct noria_process_io io = {
		.input = input, .input_size = sizeof input, .output = output, .output_max = sizeof output};
	int status = noria_process_run("cat", NULL, NULL, &io, NULL);

	CHECK((status == 0 && io.output_size == sizeof input) || status == -ECANCELED);
	ended += status >= 0;
	return status;
}

/* It does not end by itself. A wait that is given up finds it alive, or its end a moment later. */
static int until_it_is_ended(void)
{
	const struct noria_process_options options = {.flags = race_below(&state, 2) ? NORIA_PROCESS_GROUP : 0,
						      .stop_signal = race_below(&state, 2) ? SIGKILL : SIGTERM};
	noria_autoprocess struct noria_process process = {0};
	int r = noria_process_open(&process, "sleep", ((char *[]){"sleep", "1000", NULL}), NULL, &options);

	CHECK(r == 0 || r == -ECANCELED);
	if (r < 0)
		return r;
	if (race_below(&state, 2)) {
		CHECK(noria_process_kill(&process, SIGKILL) == 0);
		r = noria_process_wait(&process);
		CHECK(r == SIGKILL || r == -ECANCELED);
		killed += r == SIGKILL;
	} else {
		r = noria_within(noria_usec(race_below(&state, 3000)), noria_process_wait(&process));
		CHECK(r == -ETIMEDOUT || r == -ECANCELED);
	}
	return r < 0 ? r : 0;
}

static int deaf_to_sigterm(void)
{
	const struct noria_process_options options = {.output = {NORIA_STDIO_PIPE, 0}, .grace_ns = noria_msec(2)};
	noria_autoprocess struct noria_process process = {0};
	char *argv[] = {"sh", "-c", "trap '' TERM; echo; exec sleep 1000", NULL};
	char byte;
	ssize_t r = noria_process_open(&process, "sh", argv, NULL, &options);

	if (r == 0)
		r = noria_read(noria_process_fd(&process, 1), &byte, 1);
	CHECK(r == 1 || r == -ECANCELED);
	return r < 0 ? (int)r : 0;
}

static int one_program(void)
{
	switch (race_below(&state, 5)) {
	case 0:
		return deaf_to_sigterm();
	case 1:
		return with_bytes();
	case 2:
		return to_its_end();
	default:
		return until_it_is_ended();
	}
}

static int run_programs(void *arg)
{
	(void)arg;
	for (int i = 0; i < ROUNDS && noria_check() == 0; i++)
		given_up += noria_within(soon(), one_program()) < 0;
	return 0;
}

/* A group whose tasks are cancelled in the middle of things. */
static int cancel_some(void *arg)
{
	(void)arg;
	for (int i = 0; i < ROUNDS / 4; i++) {
		struct noria_group group;

		CHECK(noria_group_open(&group) == 0);
		for (int n = 0; n < 3; n++)
			CHECK(noria_spawn(&group, run_programs, NULL) == 0);
		CHECK(noria_sleep(noria_usec(race_below(&state, 20000))) == 0);
		noria_group_cancel(&group);
		CHECK(noria_group_close(&group, 0) == 0);
	}
	return 0;
}

static bool take_permit(void)
{
	uint32_t now = __atomic_load_n(&permits, __ATOMIC_RELAXED);

	while (now > 0)
		if (__atomic_compare_exchange_n(&permits, &now, now - 1, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED)) {
			CHECK(atomic_fetch_add(&holders, 1) < PERMITS);
			return true;
		}
	return false;
}

static void give_permit(void)
{
	atomic_fetch_sub(&holders, 1);
	__atomic_add_fetch(&permits, 1, __ATOMIC_RELEASE);
	CHECK(noria_futex_wake(&permits, NORIA_FUTEX_ANY, 1, FUTEX_FLAGS) >= 0);
}

static int with_permit(void)
{
	int r = 0;

	while (!take_permit()) {
		r = noria_futex_wait(&permits, 0, NORIA_FUTEX_ANY, FUTEX_FLAGS);
		CHECK(r == 0 || r == -EAGAIN || r == -ECANCELED);
		if (r == -ECANCELED)
			return r;
	}
	r = race_below(&state, 2) ? noria_yield() : noria_sleep(noria_usec(race_below(&state, 200)));
	give_permit();
	acquired++;
	return r;
}

/* The last round has no deadline: a wake that was lost is a hang. */
static int pass_permits(void *arg)
{
	(void)arg;
	for (int i = 0; i < ROUNDS * 10; i++) {
		int r = noria_within(i % 10 == 9 ? NORIA_FOREVER : noria_usec(race_below(&state, 300)), with_permit());

		CHECK(r == 0 || r == -ETIMEDOUT);
	}
	return 0;
}

static void *take_and_give(void *arg)
{
	(void)arg;
	while (!atomic_load(&end)) {
		if (take_permit())
			give_permit();
		usleep(50);
	}
	return NULL;
}

static int storm(void *arg)
{
	struct noria_group group;

	(void)arg;
	CHECK(noria_group_open(&group) == 0);
	for (int i = 0; i < TASKS; i++) {
		CHECK(noria_spawn(&group, run_programs, NULL) == 0);
		CHECK(noria_spawn(&group, pass_permits, NULL) == 0);
	}
	CHECK(noria_spawn(&group, cancel_some, NULL) == 0);
	return noria_group_close(&group, 0);
}

static void run(enum noria_timeouts timeouts, unsigned entries)
{
	const struct noria_config config = {.timeouts = timeouts, .ring_entries = entries, .ring_entries_max = entries};
	pthread_t threads[THREADS];
	int fds = race_count_fds();

	atomic_store(&end, false);
	for (int i = 0; i < THREADS; i++)
		CHECK(pthread_create(&threads[i], NULL, take_and_give, NULL) == 0);
	CHECK(race_run(&config, storm, NULL) == 0);
	atomic_store(&end, true);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	CHECK(permits == PERMITS);
	CHECK(waitpid(-1, NULL, WNOHANG) == -1 && errno == ECHILD);
	CHECK(race_count_fds() == fds);
}

int main(int argc, char **argv)
{
	race_seed = state = argc > 1 ? strtoull(argv[1], NULL, 0) : 1;
	race_watchdog(110);
	signal(SIGPIPE, SIG_DFL);
	run(NORIA_TIMEOUTS_LINKED, 64);
	run(NORIA_TIMEOUTS_HEAP, 2);
	printf("%lu ended, %lu killed, %lu given up, %lu permits\n", ended, killed, given_up, acquired);
	CHECK(ended > 0 && killed > 0 && given_up > 0 && acquired > 0);
	return 0;
}
