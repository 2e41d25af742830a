/* SPDX-License-Identifier: MIT */
/*
 * The test kit for programs that test with Criterion: each test is the root task of a runtime of its own, in a world of
 * its own, whose end is checked for what it left behind. Other frameworks, or none, do the same by calling
 * noria_sim_run() in a test and looking at its result.
 *
 *     NORIA_TEST(ledger, entries_survive_a_crash, .seed = 7, .faults = "crash@3")
 *     {
 *             noria_try(write_entries());
 *             ...
 *             return 0;
 *     }
 *
 * A body fails the test by a negative result, by Criterion's cr_expect(), or by assert(); not by cr_assert(), which
 * leaves a task's stack by longjmp. Since 0.2.
 */
#ifndef NORIA_TEST_CRITERION_H
#define NORIA_TEST_CRITERION_H

#include <criterion/criterion.h>
#include <errno.h>
#include <noria/test.h>
#include <stdio.h>

/* The line that replays a test runs it alone. */
#define NORIA_TEST_COMMAND_(suite, name) \
	char noria_command_[512], noria_program_[256]; \
	noria_sim_program_(noria_program_, sizeof noria_program_); \
	snprintf(noria_command_, sizeof noria_command_, "%s --filter %s/%s", noria_program_, #suite, #name)

#define NORIA_TEST_AS_(suite, name, call, ...) \
	static int suite##_##name(void *arg); \
	Test(suite, name) \
	{ \
		NORIA_TEST_COMMAND_(suite, name); \
		struct noria_sim_sweep noria_sweep_ = {.options = {__VA_ARGS__}}; \
		noria_sweep_.options.command = noria_command_; \
		cr_expect((call) >= 0, "%s", \
			  noria_sim_last_report()->what[0] ? noria_sim_last_report()->what : noria_message()); \
	} \
	static int suite##_##name(__attribute__((unused)) void *arg)

/*
 * NORIA_TEST - a run from one seed. What follows the names are members of struct noria_sim_options.
 * NORIA_TEST_SEEDS - from `count` seeds, from .seed on, each in a process of its own.
 * NORIA_TEST_CANCELLED - cancelled at each checkpoint and each resume (noria_sim_sweep_cancel()).
 * NORIA_TEST_FAULTS - with each of the faults `kinds` (NULL: see noria_sim_sweep_faults()) at each place.
 * NORIA_TEST_SCHEDULES - in all orders.
 */
#define NORIA_TEST(suite, name, ...) \
	NORIA_TEST_AS_(suite, name, noria_sim_run(&noria_sweep_.options, suite##_##name, NULL), __VA_ARGS__)
#define NORIA_TEST_SEEDS(suite, name, count, ...) \
	NORIA_TEST_AS_(suite, name, noria_sim_sweep_seeds(&noria_sweep_, (count), suite##_##name, NULL), __VA_ARGS__)
#define NORIA_TEST_CANCELLED(suite, name, ...) \
	NORIA_TEST_AS_(suite, name, noria_sim_sweep_cancel(&noria_sweep_, suite##_##name, NULL), __VA_ARGS__)
#define NORIA_TEST_FAULTS(suite, name, kinds, ...) \
	NORIA_TEST_AS_(suite, name, noria_sim_sweep_faults(&noria_sweep_, (kinds), suite##_##name, NULL), __VA_ARGS__)
#define NORIA_TEST_SCHEDULES(suite, name, ...) \
	NORIA_TEST_AS_(suite, name, noria_sim_sweep_schedules(&noria_sweep_, suite##_##name, NULL), __VA_ARGS__)

#endif
