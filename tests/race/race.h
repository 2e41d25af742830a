/* SPDX-License-Identifier: MIT */
/* What the race programs share: checks that end the program, seeded numbers, threads, a watchdog. */
#ifndef NORIA_TESTS_RACE_RACE_H
#define NORIA_TESTS_RACE_RACE_H

#include <errno.h>
#include <noria/noria.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define RACE_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define RACE_SANITIZED 1
#endif
#endif
#ifndef RACE_SANITIZED
#define RACE_SANITIZED 0
#endif

#define CHECK(condition) \
	do { \
		if (!(condition)) \
			race_failed(#condition, __FILE__, __LINE__); \
	} while (0)

/* Printed with every failure. */
extern uint64_t race_seed;

_Noreturn void race_failed(const char *condition, const char *file, int line);

/* End the program with a failure when it still runs after this many seconds. */
void race_watchdog(unsigned seconds);

/* The next of a sequence of pseudo-random numbers; and one below `limit`. */
uint64_t race_random(uint64_t *state);
unsigned race_below(uint64_t *state, unsigned limit);

/* Descriptors that this process has open. */
int race_count_fds(void);

/* Run `body(&numbers[i])` in `count` threads, numbers from 0, and wait for all. */
void race_threads(unsigned count, void *(*body)(void *number));

/* Run a root task; ends the program when no ring can be had. Returns what noria_run() did. */
int race_run(const struct noria_config *config, noria_task_fn *fn, void *arg);

#endif
