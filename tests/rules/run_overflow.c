/* SPDX-License-Identifier: MIT */
/* R13: a task that overruns its stack: the process dies of the fault, and has said which task it was. */
#include "rule.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

static volatile int depth_wanted = 1000000;

__attribute__((noinline)) static int go_deeper(int depth)
{
	volatile char frame[512];

	frame[0] = (char)depth;
	if (depth >= depth_wanted)
		return 0;
	return go_deeper(depth + 1) + frame[0];
}

static int overrun(void *arg)
{
	(void)arg;
	return go_deeper(0);
}

static int spawn_overrun(void *arg)
{
	struct noria_spawn_options options = {.name = "glutton", .stack_size = *(size_t *)arg};
	struct noria_group group = {0};

	MUST(noria_group_open(&group) == 0);
	MUST(noria_spawn_with(&group, overrun, NULL, &options) == 0);
	return noria_group_close(&group, 0);
}

static int fault_elsewhere(void *arg)
{
	void *no_access = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	(void)arg;
	*(volatile char *)no_access = 1;
	return 0;
}

static int raise_fault(void *arg)
{
	(void)arg;
	raise(SIGSEGV);
	return 0;
}

/* Run a body in a process of its own. Returns how it ended; `text` is what it said. */
static int run_apart(noria_task_fn *body, size_t stack_size, char *text, size_t size)
{
	int ends[2], status;
	size_t length = 0;
	ssize_t n;
	pid_t pid;

	cr_assert_eq(pipe(ends), 0);
	pid = fork();
	if (pid == 0) {
		struct rlimit no_core = {0};
		int r;

		setrlimit(RLIMIT_CORE, &no_core);
		signal(SIGSEGV, SIG_DFL);
		dup2(ends[1], STDERR_FILENO);
		r = noria_run(NULL, body, &stack_size);
		_exit(r < 0 ? 1 : 0);
	}
	close(ends[1]);
	while (length < size - 1 && (n = read(ends[0], text + length, size - 1 - length)) > 0)
		length += (size_t)n;
	text[length] = 0;
	close(ends[0]);
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	return status;
}

static void check_death(int status)
{
	if (SANITIZED)
		cr_expect(status != 0);
	else
		cr_expect(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
}

static void check_overflow(size_t stack_size)
{
	char text[4096], bytes[64];

	check_death(run_apart(spawn_overrun, stack_size, text, sizeof text));
	snprintf(bytes, sizeof bytes, "stack of %zu bytes", stack_size);
	cr_expect(strstr(text, "stack overflow in task glutton"), "%s", text);
	cr_expect(strstr(text, __FILE__), "%s", text);
	cr_expect(strstr(text, "spawn_overrun"), "%s", text);
	cr_expect(strstr(text, bytes), "%s", text);
}

/* R13: the message names the task, the place of its spawn, and the size of its stack. */
Test(R13, an_overflow_is_named, .timeout = 60)
{
	check_overflow(32 * 1024);
	check_overflow(1024 * 1024);
}

/* R13: the same where guards are mappings of their own. */
Test(R13, an_overflow_is_named_without_guard_advice, .timeout = 60)
{
	setenv("NORIA_HIDE", "guard", 1);
	check_overflow(64 * 1024);
}

/* R13: a fault that is no overflow ends the process as well, and is not called one. */
Test(R13, another_fault_is_not_called_an_overflow, .timeout = 60)
{
	char text[4096];

	check_death(run_apart(fault_elsewhere, 0, text, sizeof text));
	cr_expect(!strstr(text, "noria: stack overflow"), "%s", text);
	check_death(run_apart(raise_fault, 0, text, sizeof text)); /* sent, so that there is nothing to repeat */
	cr_expect(!strstr(text, "noria: stack overflow"), "%s", text);
}

static int deep_but_within(void *arg)
{
	(void)arg;
	depth_wanted = 20;
	return go_deeper(0) < 0 ? -EIO : 0;
}

/* R13: and the handlers are as before when the run is over. */
Test(R13, the_handler_is_given_back, .timeout = 60)
{
	struct sigaction before, after;
	stack_t stack_before, stack_after;

	sigaction(SIGSEGV, NULL, &before);
	sigaltstack(NULL, &stack_before);
	cr_expect_eq(noria_run(NULL, deep_but_within, NULL), 0);
	sigaction(SIGSEGV, NULL, &after);
	sigaltstack(NULL, &stack_after);
	cr_expect(before.sa_handler == after.sa_handler);
	cr_expect_eq(stack_before.ss_flags, stack_after.ss_flags);
	cr_expect_eq(stack_before.ss_sp, stack_after.ss_sp);
}
