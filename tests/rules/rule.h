/* SPDX-License-Identifier: MIT */
/*
 * What every rule test starts from. RULE(G03, name) { ... } is the body of a root task that returns 0; it is run twice,
 * with linked timeouts and with the loop's heap, as two Criterion tests. Afterwards the process must have as many
 * descriptors as before. EXPECT() notes a failure and goes on; MUST() ends the test.
 */
#ifndef NORIA_TESTS_RULES_RULE_H
#define NORIA_TESTS_RULES_RULE_H

#include <criterion/criterion.h>
#include <errno.h>
#include <netinet/in.h>
#include <noria/noria.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define EXPECT(condition) cr_expect(condition, "%s", #condition)

/* A task may not leave its stack by longjmp, as Criterion's assertions do: end the test's own process. */
#define MUST(condition) \
	do { \
		if (!(condition)) { \
			fprintf(stderr, "%s:%d: MUST(%s): %s\n", __FILE__, __LINE__, #condition, noria_message()); \
			abort(); \
		} \
	} while (0)

/* What the failure handler heard. */
struct heard {
	int count;
	struct noria_failure last;
	char text[256];
};

extern struct heard rule_heard;
/* How the running variant keeps timeouts. */
extern enum noria_timeouts rule_timeouts;

/* Run a body under its own runtime, with the checks; `config` may be NULL. Returns what noria_run() did. */
int rule_run(noria_task_fn *body, void *arg, const struct noria_config *config, enum noria_timeouts timeouts);

/* Descriptors that this process has open, and those that its simulated world has. */
int rule_count_fds(void);
/* Connect a socket, with no turn for other tasks; connect(2) would not wait in a simulated world. Returns whether it is. */
bool rule_connect(int fd, const struct sockaddr_in *address);

/* Let the other tasks run until `condition` holds, which a thread or a process elsewhere may have to bring about. */
#define UNTIL(condition) \
	do { \
		time_t end_ = time(NULL) + 30; \
		while (!(condition) && time(NULL) < end_) \
			MUST(noria_yield() == 0); \
		MUST(condition); \
	} while (0)

#define RULE(id, name) RULE_WITH(id, name, NULL)

/* The same with a configuration (a pointer). */
#define RULE_WITH(id, name, config) \
	static int id##_##name(void *arg); \
	Test(id, name##_linked, .timeout = 60) \
	{ \
		cr_expect_eq(rule_run(id##_##name, NULL, config, NORIA_TIMEOUTS_LINKED), 0); \
	} \
	Test(id, name##_heap, .timeout = 60) \
	{ \
		cr_expect_eq(rule_run(id##_##name, NULL, config, NORIA_TIMEOUTS_HEAP), 0); \
	} \
	static int id##_##name(__attribute__((unused)) void *arg)

#endif
