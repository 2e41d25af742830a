/* SPDX-License-Identifier: MIT */
/*
 * Scarcity, for real: a process that may lock no memory, or open no more descriptors, hears which limit it was and how
 * to raise it. Root is exempt from RLIMIT_MEMLOCK, so the child becomes nobody first. Kernels differ in what they
 * charge to that limit; where the ring is made all the same, there is nothing to explain.
 */
#include "unit.h"

#include <fcntl.h>
#include <grp.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum { NOBODY = 65534, SKIPPED = 77 };

static int root(__attribute__((unused)) void *arg)
{
	return 0;
}

/* Run, and write "RESULT MESSAGE" to standard error. */
static void run_and_tell(const struct noria_config *config)
{
	int r = noria_run(config, root, NULL);

	dprintf(STDERR_FILENO, "%d %s\n", r, noria_message());
}

static bool become_nobody(void)
{
	return geteuid() != 0 || (setgroups(0, NULL) == 0 && setgid(NOBODY) == 0 && setuid(NOBODY) == 0);
}

static void lock_no_memory(void *arg)
{
	struct rlimit none = {0};

	if (!become_nobody() || setrlimit(RLIMIT_MEMLOCK, &none) < 0)
		_exit(SKIPPED);
	run_and_tell(arg);
}

Test(limits, no_memory_may_be_locked, .timeout = 60)
{
	char text[4096];
	int status = unit_in_child(lock_no_memory, NULL, text, sizeof text), r = 1;

	cr_assert(WIFEXITED(status), "%s", text);
	if (WEXITSTATUS(status) == SKIPPED)
		cr_skip("this process may not change its user");
	cr_assert_eq(sscanf(text, "%d", &r), 1, "%s", text);
	if (r == 0)
		cr_skip("skip: kernel lacks a charge for rings");
	cr_expect_eq(r, -ENOMEM, "%s", text);
	cr_expect_not_null(strstr(text, "RLIMIT_MEMLOCK"), "%s", text);
	cr_expect_not_null(strstr(text, "Remedy"), "%s", text);
}

/* So little that the probe's small ring fits and the loop's large one does not. */
static void lock_little_memory(void *arg)
{
	struct rlimit little = {.rlim_cur = 64 * 1024, .rlim_max = 64 * 1024};

	if (!become_nobody() || setrlimit(RLIMIT_MEMLOCK, &little) < 0)
		_exit(SKIPPED);
	run_and_tell(arg);
}

Test(limits, a_ring_too_large_for_the_limit_says_its_size, .timeout = 60)
{
	struct noria_config config = {.ring_entries = 4096};
	char text[4096];
	int status = unit_in_child(lock_little_memory, &config, text, sizeof text), r = 1;

	cr_assert(WIFEXITED(status), "%s", text);
	if (WEXITSTATUS(status) == SKIPPED)
		cr_skip("this process may not change its user");
	cr_assert_eq(sscanf(text, "%d", &r), 1, "%s", text);
	if (r == 0)
		cr_skip("skip: kernel lacks a charge for rings");
	cr_expect_eq(r, -ENOMEM, "%s", text);
	cr_expect_not_null(strstr(text, "RLIMIT_MEMLOCK"), "%s", text);
	cr_expect_not_null(strstr(text, "64 KiB"), "%s", text);
}

/* With `*arg` descriptors to spare. */
static void open_few(void *arg)
{
	int lowest = dup(0);
	struct rlimit few = {.rlim_cur = (rlim_t)(lowest + *(int *)arg), .rlim_max = (rlim_t)(lowest + *(int *)arg)};
	int r, before;

	close(lowest);
	setrlimit(RLIMIT_NOFILE, &few);
	r = noria_run(NULL, root, NULL);
	dprintf(STDERR_FILENO, "%d %s\n", r, noria_message());
	before = dup(0); /* whatever came of it, no descriptor was left behind */
	if (*(int *)arg > 0 && before != lowest)
		dprintf(STDERR_FILENO, "leaked\n");
}

static void expect_no_descriptor(int spare, bool may_run)
{
	char text[4096];
	int status = unit_in_child(open_few, &spare, text, sizeof text), r = 1;

	cr_assert(WIFEXITED(status), "%d spare: status %#x: %s", spare, (unsigned)status, text);
	cr_assert_eq(sscanf(text, "%d", &r), 1, "%s", text);
	cr_expect_null(strstr(text, "leaked"), "%d spare: %s", spare, text);
	if (r == 0 && may_run)
		return;
	cr_expect_eq(r, -EMFILE, "%d spare: %s", spare, text);
	cr_expect_not_null(strstr(text, "RLIMIT_NOFILE"), "%d spare: %s", spare, text);
	cr_expect_not_null(strstr(text, "Remedy"), "%d spare: %s", spare, text);
}

Test(limits, no_descriptor_is_left, .timeout = 60)
{
	expect_no_descriptor(0, false);
}

Test(limits, few_descriptors_are_left, .timeout = 60)
{
	for (int spare = 1; spare < 5; spare++)
		expect_no_descriptor(spare, true);
}

/* Where an eventfd does the waking there must be room for it, too. */
Test(limits, few_descriptors_are_left_and_an_eventfd_is_needed, .timeout = 60)
{
	setenv("NORIA_HIDE", "sync_msg", 1);
	for (int spare = 0; spare < 5; spare++)
		expect_no_descriptor(spare, spare > 0);
}

/* Operations themselves pass on what the kernel says. */
static int exhaust(__attribute__((unused)) void *arg)
{
	struct rlimit limit;
	int lowest = dup(0), r;

	close(lowest);
	MUST(getrlimit(RLIMIT_NOFILE, &limit) == 0);
	limit.rlim_cur = (rlim_t)lowest;
	MUST(setrlimit(RLIMIT_NOFILE, &limit) == 0);
	EXPECT_EQ(noria_socket(AF_INET, SOCK_STREAM, 0), -EMFILE);
	EXPECT_EQ(noria_openat(AT_FDCWD, "/", O_RDONLY | O_DIRECTORY, 0), -EMFILE);
	limit.rlim_cur = limit.rlim_max;
	MUST(setrlimit(RLIMIT_NOFILE, &limit) == 0);
	r = noria_socket(AF_INET, SOCK_STREAM, 0);
	EXPECT(r >= 0);
	EXPECT_EQ(noria_close(r), 0);
	return 0;
}

Test(limits, operations_pass_the_lack_of_descriptors_on, .timeout = 60)
{
	unit_run(exhaust, NULL);
}
