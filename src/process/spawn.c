/* SPDX-License-Identifier: MIT */
/*
 * Starting a program. The child shares our memory (CLONE_VM), which costs the same however much of it there is, and
 * the thread that makes it stands still until it has become the program (CLONE_VFORK); so the child can say in our
 * memory what went wrong, and a failed exec is an error of the call. Its descriptor comes with it (CLONE_PIDFD): there
 * is no moment at which its number could be another's.
 *
 * What the child does before exec must not disturb us: it has a stack of its own, and makes bare system calls: those of
 * the C library tell other threads of a new user, and sanitizers note descriptors and handlers in memory that is ours.
 * All signals are blocked while it shares our memory, until their handlers, which are ours too, are gone.
 *
 * Where that thread stands still matters. 200 programs one after another from a process of 1 GiB, on two busy CPUs: an
 * open took 0.4 ms on a thread of the executor, while a tick of 1 ms on the loop was late by 1 to 7 ms; on the loop's
 * own thread 0.8 ms, and by 6 to 11 ms. Besides, exec(2) reads files, which may be far away.
 */
#include "process/spawn.h"

#include "base/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <sched.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Nothing here is seen by sanitizers: their records of our memory are our own threads'. */
#define CHILD_SIDE __attribute__((no_sanitize("address", "thread", "undefined"))) static

enum {
	STACK_SIZE = 256 * 1024,
	STACK_GUARD = 64 * 1024,
	SIGNALS = 64,
	FDS_MAX = NORIA_PROCESS_FDS_MAX + 3,
	SIGSET_BYTES = SIGNALS / 8
};

/* The kernel's: a handler comes first, everywhere. All zero: the default effect. */
struct kernel_sigaction {
	uintptr_t handler;
	uintptr_t rest[4];
};

CHILD_SIDE int reset_signals(const struct spawn *spawn)
{
	bool keep = spawn->options->flags & NORIA_PROCESS_KEEP_SIGNALS;

	for (int i = 1; i <= SIGNALS; i++) {
		struct kernel_sigaction action = {0}, plain = {0};

		if (syscall(SYS_rt_sigaction, i, NULL, &action, SIGSET_BYTES) < 0)
			return -1;
		if (action.handler == (uintptr_t)SIG_DFL || (keep && action.handler == (uintptr_t)SIG_IGN))
			continue;
		if (syscall(SYS_rt_sigaction, i, &plain, NULL, SIGSET_BYTES) < 0)
			return -1;
	}
	return 0;
}

CHILD_SIDE int unblock_signals(const struct spawn *spawn)
{
	uint64_t none = 0;
	const void *mask = spawn->options->flags & NORIA_PROCESS_KEEP_SIGNALS ? (const void *)&spawn->mask : &none;

	return (int)syscall(SYS_rt_sigprocmask, SIG_SETMASK, mask, NULL, SIGSET_BYTES);
}

CHILD_SIDE int set_group(const struct spawn *spawn)
{
	if (spawn->options->flags & NORIA_PROCESS_SESSION)
		return (int)syscall(SYS_setsid);
	if (spawn->options->flags & NORIA_PROCESS_GROUP)
		return (int)syscall(SYS_setpgid, 0, 0);
	return 0;
}

CHILD_SIDE int set_limits(const struct spawn *spawn)
{
	for (unsigned i = 0; i < spawn->options->limits_count; i++) {
		const struct noria_process_limit *limit = &spawn->options->limits[i];

		if (syscall(SYS_prlimit64, 0, limit->resource, &limit->limit, NULL) < 0)
			return -1;
	}
	return 0;
}

CHILD_SIDE int set_user(const struct spawn *spawn)
{
	const struct noria_process_options *options = spawn->options;

	if (!(options->flags & NORIA_PROCESS_USER))
		return 0;
	if (syscall(SYS_setgroups, 0, NULL) < 0 || syscall(SYS_setresgid, options->gid, options->gid, options->gid) < 0)
		return -1;
	return (int)syscall(SYS_setresuid, options->uid, options->uid, options->uid);
}

CHILD_SIDE int set_directory(const struct spawn *spawn)
{
	return spawn->options->directory ? (int)syscall(SYS_chdir, spawn->options->directory) : 0;
}

/* After the user, whose change forgets it. A parent that is gone already will not end any more. */
CHILD_SIDE int set_death_signal(const struct spawn *spawn)
{
	if (!spawn->options->death_signal)
		return 0;
	if (syscall(SYS_prctl, PR_SET_PDEATHSIG, spawn->options->death_signal, 0, 0, 0) < 0)
		return -1;
	if ((pid_t)syscall(SYS_getppid) == spawn->parent)
		return 0;
	errno = ESRCH;
	return -1;
}

/* Which of our descriptors becomes number `number` of standard input, output, error. -1: none that is named. */
CHILD_SIDE int stdio_source(const struct spawn *spawn, int number)
{
	int fd = spawn->stdio[number];

	return fd == STDIO_AS_OUTPUT ? (spawn->stdio[1] == STDIO_AS_IS ? 1 : spawn->stdio[1]) : fd;
}

/*
 * First all of them go out of the way of the numbers they shall have, and everything that may be closed at exec is;
 * then each gets its number, and with it stays open.
 */
CHILD_SIDE int set_descriptors(const struct spawn *spawn)
{
	const struct noria_process_options *options = spawn->options;
	int source[FDS_MAX], number[FDS_MAX], count = 0, highest = 2;

	for (int i = 0; i < 3; i++) {
		number[count] = i;
		source[count] = stdio_source(spawn, i);
		if (source[count] == STDIO_NULL)
			source[count] = (int)syscall(SYS_openat, AT_FDCWD, "/dev/null", O_RDWR | O_CLOEXEC, 0);
		else if (source[count] < 0)
			continue;
		if (source[count++] < 0)
			return -1;
	}
	for (unsigned i = 0; i < options->fds_count; i++, count++) {
		source[count] = options->fds[i].fd;
		number[count] = options->fds[i].number;
		highest = number[count] > highest ? number[count] : highest;
	}
	for (int i = 0; i < count; i++) {
		source[i] = (int)syscall(SYS_fcntl, source[i], F_DUPFD_CLOEXEC, highest + 1);
		if (source[i] < 0)
			return -1;
	}
	if (!(options->flags & NORIA_PROCESS_INHERIT_FDS) && syscall(SYS_close_range, 3, ~0U, CLOSE_RANGE_CLOEXEC) < 0)
		return -1;
	for (int i = 0; i < count; i++)
		if (syscall(SYS_dup3, source[i], number[i], 0) < 0)
			return -1;
	return 0;
}

CHILD_SIDE int run_program(const struct spawn *spawn)
{
	char *const plain[] = {(char *)(uintptr_t)spawn->program, NULL};

	return execvpe(spawn->program, spawn->argv ? spawn->argv : plain, spawn->envp ? spawn->envp : environ);
}

static const struct {
	const char *name;
	int (*do_it)(const struct spawn *spawn);
} steps[] = {
	{"resetting its signals", reset_signals},
	{"its process group or session", set_group},
	{"its descriptors", set_descriptors},
	{"its resource limits", set_limits},
	{"its user", set_user},
	{"its working directory", set_directory},
	{"its death signal", set_death_signal},
	{"unblocking its signals", unblock_signals},
	{"exec", run_program},
};

CHILD_SIDE int child(void *arg)
{
	struct spawn *spawn = arg;

	for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
		spawn->step = steps[i].name;
		if (steps[i].do_it(spawn) < 0)
			break;
	}
	spawn->error = errno;
	_exit(127);
}

/* It said that it could not, and is about to end or has. */
static void reap(struct spawn *spawn)
{
	siginfo_t info;

	while (waitid(P_PIDFD, (id_t)spawn->pidfd, &info, WEXITED) < 0 && errno == EINTR)
		;
	close(spawn->pidfd);
	spawn->pidfd = -1;
}

/*
 * ThreadSanitizer takes a clone() for a fork, and notes in our memory, which the child shares, that there must be no
 * more threads. This name it does not know.
 */
#if defined(__SANITIZE_THREAD__)
#define UNSEEN_CLONE 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define UNSEEN_CLONE 1
#endif
#endif
#ifdef UNSEEN_CLONE
int __clone(int (*fn)(void *), void *stack, int flags, void *arg, ...);
#define clone __clone
#endif

static int clone_child(struct spawn *spawn, char *stack_end)
{
	sigset_t all, before;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	spawn->pid = clone(child, stack_end, CLONE_VM | CLONE_VFORK | CLONE_PIDFD | SIGCHLD, spawn, &spawn->pidfd);
	if (spawn->pid < 0) {
		spawn->step = "a new process";
		spawn->error = errno;
		spawn->pidfd = -1;
	}
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return -spawn->error;
}

/*
 * Room for the search of PATH, of which the C library keeps a copy on the stack if that is below 64 KiB, and for the
 * arguments of a shell that stands in for a script without #!.
 */
static size_t stack_bytes(const struct spawn *spawn)
{
	size_t arguments = 0;

	while (spawn->argv && spawn->argv[arguments])
		arguments++;
	return (STACK_SIZE + arguments * sizeof(char *)) & ~(size_t)(STACK_GUARD - 1);
}

int noria_spawn_program(struct spawn *spawn)
{
	size_t size = STACK_GUARD + stack_bytes(spawn);
	char *stack;
	int r;

	spawn->error = 0;
	spawn->pidfd = -1;
	stack = memory_map(size, MAP_STACK);
	if (!stack || mprotect(stack, STACK_GUARD, PROT_NONE) < 0) {
		r = -errno;
		spawn->step = "a stack for it";
	} else {
		r = clone_child(spawn, stack + size);
	}
	if (stack)
		munmap(stack, size);
	if (r < 0 && spawn->pidfd >= 0)
		reap(spawn);
	return r;
}
