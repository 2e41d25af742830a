/* SPDX-License-Identifier: MIT */
/*
 * What the unit tests share. UNIT(suite, name) { ... } is the body of a root task that returns 0; it runs twice, with
 * linked timeouts and with the loop's heap, and must leave no descriptor behind. Tests that want no runtime are plain
 * Criterion tests.
 *
 * EXPECT() notes a failure and goes on. MUST() ends the test: a task may not leave its stack by longjmp, as Criterion's
 * own assertions do, so it ends the process, which is the test's own.
 */
#ifndef NORIA_TESTS_UNIT_UNIT_H
#define NORIA_TESTS_UNIT_UNIT_H

#include <criterion/criterion.h>
#include <errno.h>
#include <noria/noria.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#if defined(__SANITIZE_ADDRESS__)
#define UNIT_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define UNIT_SANITIZED 1
#endif
#endif
#ifndef UNIT_SANITIZED
#define UNIT_SANITIZED 0
#endif

#define EXPECT(condition) cr_expect(condition, "%s (message: %s)", #condition, noria_message())

/* Two integers, shown when they differ. */
#define EXPECT_EQ(actual, wanted) \
	do { \
		long long actual_ = (long long)(actual), wanted_ = (long long)(wanted); \
		cr_expect(actual_ == wanted_, "%s is %lld, not %s = %lld", #actual, actual_, #wanted, wanted_); \
	} while (0)

#define MUST(condition) \
	do { \
		if (!(condition)) { \
			fprintf(stderr, "%s:%d: MUST(%s): %s\n", __FILE__, __LINE__, #condition, noria_message()); \
			abort(); \
		} \
	} while (0)

/* Let the other tasks run until `condition` holds, which a thread or a process elsewhere may have to bring about. */
#define UNTIL(condition) \
	do { \
		time_t end_ = time(NULL) + 30; \
		while (!(condition) && time(NULL) < end_) \
			MUST(noria_yield() == 0); \
		MUST(condition); \
	} while (0)

/* Run `body` as a root task with the checks. `config` may be NULL. */
void unit_run(noria_task_fn *body, const struct noria_config *config);
/* The same, under both ways of keeping timeouts. */
void unit_run_twice(noria_task_fn *body, const struct noria_config *config);

/* Descriptors that this process has open. */
int unit_count_fds(void);

/* For a task: holds a thread of the executor until a byte comes from the descriptor that `arg` points to. */
int unit_hold_thread(void *arg);

/* Two connected stream sockets, by AF_UNIX or over loopback TCP. */
void unit_pair(int pair[2]);
void unit_tcp_pair(int pair[2]);
/* A TCP socket that listens on a free loopback port. */
int unit_listener(struct sockaddr_storage *ret_address, socklen_t *ret_length);
/* The next of a sequence of pseudo-random numbers. */
uint64_t unit_random(uint64_t *state);
/* Run `body` in a forked child; returns its wait status. What it writes to standard error goes to `ret_text`. */
int unit_in_child(void (*body)(void *arg), void *arg, char *ret_text, size_t size);

#define UNIT(suite, name) UNIT_WITH(suite, name, NULL)

/* The same with a configuration (a pointer). */
#define UNIT_WITH(suite, name, config) \
	static int suite##_##name(void *arg); \
	Test(suite, name, .timeout = 100) \
	{ \
		unit_run_twice(suite##_##name, config); \
	} \
	static int suite##_##name(__attribute__((unused)) void *arg)

/* The same for long ones: with linked timeouts only. */
#define UNIT_ONCE(suite, name) \
	static int suite##_##name(void *arg); \
	Test(suite, name, .timeout = 100) \
	{ \
		unit_run(suite##_##name, NULL); \
	} \
	static int suite##_##name(__attribute__((unused)) void *arg)

#endif
