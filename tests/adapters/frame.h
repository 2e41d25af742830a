/* SPDX-License-Identifier: MIT */
/*
 * What the tests of the adapters share. They are programs as a user's would be: noria's public interface and the
 * adapter's, and the shared libraries of both. ADAPTER(suite, name) { ... } is the body of a root task that returns 0;
 * it runs twice, with linked timeouts and with the loop's heap, and must leave no descriptor behind.
 *
 * EXPECT() notes a failure and goes on. MUST() ends the process, which is the test's own: a task may not leave its
 * stack by longjmp, as Criterion's own assertions do.
 */
#ifndef NORIA_TESTS_ADAPTERS_FRAME_H
#define NORIA_TESTS_ADAPTERS_FRAME_H

#include <criterion/criterion.h>
#include <errno.h>
#include <noria/noria.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What the calling task's last error says. */
const char *frame_text(void);

#define EXPECT(condition) cr_expect(condition, "%s (%s)", #condition, frame_text())

#define EXPECT_EQ(actual, wanted) \
	do { \
		long long actual_ = (long long)(actual), wanted_ = (long long)(wanted); \
		cr_expect(actual_ == wanted_, "%s is %lld, not %s = %lld (%s)", #actual, actual_, #wanted, wanted_, \
			  frame_text()); \
	} while (0)

#define MUST(condition) \
	do { \
		if (!(condition)) { \
			fprintf(stderr, "%s:%d: MUST(%s): %s\n", __FILE__, __LINE__, #condition, frame_text()); \
			abort(); \
		} \
	} while (0)

/* Let the others run until `condition` holds; fails after ten seconds. */
#define UNTIL(condition) \
	do { \
		int64_t end_ = noria_now() + noria_sec(10); \
		while (!(condition) && noria_now() < end_) \
			MUST(noria_sleep(noria_usec(200)) == 0); \
		MUST(condition); \
	} while (0)

void frame_run(noria_task_fn *body);
int frame_count_fds(void);

/* A task that counts a tick every millisecond, for as long as its group lives: how long nobody held up the loop. */
struct frame_ticker {
	int ticks;
	int64_t last, longest_ns;
};

void frame_tick(struct noria_group *group, struct frame_ticker *ticker);

/* A server on a free loopback port; returns its descriptor. */
int frame_listen(int *ret_port);

/* How long the name slow.example takes to be resolved, to nothing. */
enum { FRAME_RESOLVER_MS = 300 };

/* A word of the environment that tests/adapters/servers has set. */
const char *frame_place(const char *name);

#define ADAPTER(suite, name) \
	static int suite##_##name(void *arg); \
	Test(suite, name, .timeout = 100) \
	{ \
		frame_run(suite##_##name); \
	} \
	static int suite##_##name(__attribute__((unused)) void *arg)

#endif
