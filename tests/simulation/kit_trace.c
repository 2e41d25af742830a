/* SPDX-License-Identifier: MIT */
/*
 * X11: a simulated run with the same seed gives the same trace, byte for byte: in one process, in others whose memory
 * lies elsewhere, and with faults. X10 in a world: what nothing can wake is a deadlock, with the tree of tasks.
 */
#include "kit.h"

#include <sys/wait.h>
#include <unistd.h>

static const char faults[] = "loss%5,delay%5,short%5,eintr%5";

static char *read_file(const char *path)
{
	FILE *file = fopen(path, "r");
	char *text = calloc(1, 1 << 20);

	MUST(file && text && fread(text, 1, (1 << 20) - 1, file) > 0);
	fclose(file);
	return text;
}

/* The trace of a run, which is the caller's. */
static char *trace_with(uint64_t seed, const struct noria_config *config)
{
	char path[] = "/tmp/noria-trace-XXXXXX";
	struct noria_sim_options options = {.seed = seed, .faults = faults, .trace = path, .config = config};
	int fd = mkstemp(path);
	char *text;

	MUST(fd >= 0);
	close(fd);
	EXPECT_EQ(noria_sim_run(&options, echo_between_hosts, NULL), 0);
	text = read_file(path);
	unlink(path);
	return text;
}

static char *trace_of(uint64_t seed)
{
	return trace_with(seed, NULL);
}

Test(X11, one_seed_one_trace)
{
	for (uint64_t seed = 0; seed < 20; seed++) {
		char *first = trace_of(seed), *second = trace_of(seed);

		cr_expect_str_eq(first, second);
		free(first);
		free(second);
	}
}

/* Looking before sleeping would be time that passes, and a matter of luck. */
Test(X11, a_world_knows_no_spinning)
{
	const struct noria_config spinning = {.spin_max_ns = noria_msec(1)};
	char *first = trace_of(7), *second = trace_with(7, &spinning);

	cr_expect_str_eq(first, second);
	free(first);
	free(second);
}

Test(X11, another_seed_another_trace)
{
	char *first = trace_of(1), *second = trace_of(2);

	EXPECT(strcmp(first, second) != 0);
	free(first);
	free(second);
}

/* This program again, whose addresses are others each time. */
static char *trace_of_process(const char *path)
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		unsetenv("BXFI_MAP"); /* Criterion would go on with this test */
		setenv("NORIA_TEST_TRACE", path, 1);
		execl("/proc/self/exe", "kit-trace", "--filter", "X11/one_that_writes", NULL);
		_exit(1);
	}
	MUST(waitpid(pid, &status, 0) == pid && status == 0);
	return read_file(path);
}

Test(X11, one_that_writes)
{
	struct noria_sim_options options = {.seed = 5, .faults = faults, .trace = getenv("NORIA_TEST_TRACE")};

	EXPECT_EQ(noria_sim_run(&options, echo_between_hosts, NULL), 0);
}

Test(X11, processes_with_other_addresses)
{
	char path[] = "/tmp/noria-trace-XXXXXX";
	int fd = mkstemp(path);
	char *first, *second;

	MUST(fd >= 0);
	close(fd);
	first = trace_of_process(path);
	second = trace_of_process(path);
	cr_expect_str_eq(first, second);
	free(first);
	free(second);
	unlink(path);
}

Test(X11, a_checking_run_compares_each_draw)
{
	struct noria_sim_options options = {.seed = 3, .faults = faults, .check = true};

	EXPECT_EQ(noria_sim_run(&options, echo_between_hosts, NULL), 0);
}

/* What a test does that depends on the process. */
static int draw_by_pid(void *arg)
{
	(void)arg;
	noria_try(noria_sleep(noria_sec(2)));
	return (int)noria_sim_random(1000 + (uint64_t)getpid());
}

Test(X11, the_first_difference_is_named)
{
	struct noria_sim_options options = {.seed = 3, .check = true, .quiet = true};

	EXPECT_EQ(noria_sim_run(&options, draw_by_pid, NULL), -EILSEQ);
	EXPECT_SAYS("two runs of seed 3 differ at draw ");
	EXPECT_SAYS("'program' at 2.000000000 s");
	EXPECT_SAYS("\n    at ");
}

static int wait_for_nobody(void *arg)
{
	struct noria_sim_host *server = arg;
	struct sockaddr_in address = address_of("0.0.0.0", 9);
	int fd = noria_socket(AF_INET, SOCK_STREAM, 0), r;

	(void)server;
	noria_try(fd);
	r = noria_bind(fd, (struct sockaddr *)&address, sizeof address);
	if (r >= 0)
		r = noria_listen(fd, 1);
	if (r >= 0)
		r = noria_accept(fd, NULL, NULL);
	noria_close(fd);
	return r;
}

Test(X10, an_operation_that_nothing_will_end)
{
	struct noria_sim_options options = {.quiet = true};

	EXPECT_EQ(noria_sim_run(&options, wait_for_nobody, NULL), -EDEADLK);
	EXPECT_EQ(noria_sim_last_report()->finding, NORIA_SIM_DEADLOCK);
	EXPECT_SAYS("task wait_for_nobody #2, spawned at");
	EXPECT_SAYS("accept on descriptor");
}

static int sleep_for_ever(void *arg)
{
	(void)arg;
	for (;;)
		noria_try(noria_sleep(noria_sec(60)));
}

Test(X10, one_that_is_only_slow_meets_its_time_limit)
{
	struct noria_sim_options options = {.quiet = true, .time_limit_ns = noria_sec(600)};

	EXPECT_EQ(noria_sim_run(&options, sleep_for_ever, NULL), -ETIME);
	EXPECT_SAYS("more than its limit of 600000 ms");
	EXPECT_SAYS("sleep_for_ever #2");
}
