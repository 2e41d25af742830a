/* SPDX-License-Identifier: MIT */
/* Several runtimes at once, each in its thread, one after another: echo, timers and cancels in each of them. */
#include "race.h"

#include <sys/socket.h>
#include <unistd.h>

enum { THREADS = 6, RUNS = RACE_SANITIZED ? 6 : 20, PAIRS = 10, MESSAGES = 50 };

struct echo {
	int pair[2];
	unsigned echoed;
};

static int serve(void *arg)
{
	struct echo *echo = arg;
	char bytes[64];
	ssize_t n;

	while ((n = noria_recv(echo->pair[0], bytes, sizeof bytes, 0)) > 0)
		CHECK(noria_send_all(echo->pair[0], bytes, (size_t)n, 0) == n);
	return (int)n;
}

static int ask(void *arg)
{
	struct echo *echo = arg;
	char bytes[64], answer[64];

	for (unsigned i = 0; i < MESSAGES; i++) {
		memset(bytes, (int)i, sizeof bytes);
		CHECK(noria_send(echo->pair[1], bytes, sizeof bytes, 0) == sizeof bytes);
		CHECK(noria_within(noria_sec(20), noria_recv_all(echo->pair[1], answer, sizeof answer, 0)) ==
		      sizeof answer);
		CHECK(memcmp(bytes, answer, sizeof bytes) == 0);
		echo->echoed++;
		if (i % 16 == 0)
			CHECK(noria_sleep(noria_usec(50)) == 0);
	}
	return noria_shutdown(echo->pair[1], SHUT_WR);
}

static int wait_in_vain(void *arg)
{
	char byte;

	return (int)noria_recv(*(int *)arg, &byte, 1, 0);
}

static int cancel_some(void)
{
	struct noria_group group;
	int pair[2];

	CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
	CHECK(noria_group_open(&group) == 0);
	for (int i = 0; i < 20; i++)
		CHECK(noria_spawn(&group, wait_in_vain, &pair[0]) == 0);
	CHECK(noria_sleep(noria_usec(300)) == 0);
	noria_group_cancel(&group);
	CHECK(noria_group_close(&group, 0) == 0);
	CHECK(noria_within(noria_usec(100), wait_in_vain(&pair[0])) == -ETIMEDOUT);
	return noria_close(pair[0]) | noria_close(pair[1]);
}

static int root(void *arg)
{
	struct echo echoes[PAIRS] = {0};
	struct noria_group group;

	(void)arg;
	CHECK(noria_group_open(&group) == 0);
	for (int i = 0; i < PAIRS; i++) {
		CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, echoes[i].pair) == 0);
		CHECK(noria_spawn(&group, serve, &echoes[i]) == 0);
		CHECK(noria_spawn(&group, ask, &echoes[i]) == 0);
	}
	CHECK(cancel_some() == 0);
	CHECK(noria_group_close(&group, 0) == 0);
	for (int i = 0; i < PAIRS; i++) {
		CHECK(echoes[i].echoed == MESSAGES);
		CHECK((noria_close(echoes[i].pair[0]) | noria_close(echoes[i].pair[1])) == 0);
	}
	return 42;
}

static void *thread(void *arg)
{
	for (unsigned run = 0; run < RUNS; run++) {
		struct noria_config config = {.timeouts = (*(unsigned *)arg + run) % 2 ? NORIA_TIMEOUTS_HEAP
										       : NORIA_TIMEOUTS_LINKED};

		CHECK(race_run(&config, root, NULL) == 42);
	}
	return NULL;
}

int main(void)
{
	int before = race_count_fds();

	race_watchdog(50);
	race_threads(THREADS, thread);
	CHECK(race_count_fds() == before);
	puts("ok: runtimes side by side");
	return 0;
}
