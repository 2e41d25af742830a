/* SPDX-License-Identifier: MIT */
/* Programs: what goes in and comes out, what they inherit, how they end, and that nothing of them is left. */
#include "unit.h"

#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static bool no_child_is_left(void)
{
	return waitpid(-1, NULL, WNOHANG) == -1 && errno == ECHILD;
}

/* Run a program; what it writes, errors too, is compared with `wanted`. */
static void expect_program(char *const argv[], const struct noria_process_options *options, const char *wanted)
{
	struct noria_process_options filled = {0};
	char text[4096] = "";
	struct noria_process_io io = {.output = text, .output_max = sizeof text - 1};
	int status;

	if (options)
		filled = *options;
	filled.errors.kind = NORIA_STDIO_OUTPUT;
	status = noria_process_run(argv[0], argv, NULL, &io, &filled);
	cr_expect(status == 0, "%s: status %d: %s", argv[1], status, noria_message());
	cr_expect_str_eq(text, wanted, "%s writes %s", argv[1], text);
	EXPECT(no_child_is_left());
}

static void expect_output(const char *script, const struct noria_process_options *options, const char *wanted)
{
	expect_program((char *[]){"sh", "-c", (char *)(uintptr_t)script, NULL}, options, wanted);
}

static int open_sh(struct noria_process *process, const char *script, const struct noria_process_options *options)
{
	char *argv[] = {"sh", "-c", (char *)(uintptr_t)script, NULL};

	return noria_process_open(process, "sh", argv, NULL, options);
}

UNIT(process, status_says_how_it_ended)
{
	static const struct {
		const char *script;
		int status;
	} cases[] = {{"exit 0", 0}, {"exit 3", 3 << 8}, {"kill -KILL $$", SIGKILL}, {"kill -TERM $$", SIGTERM}};

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		noria_autoprocess struct noria_process process = {0};

		MUST(open_sh(&process, cases[i].script, NULL) == 0);
		EXPECT_EQ(noria_process_wait(&process), cases[i].status);
	}
	EXPECT(no_child_is_left());
	return 0;
}

UNIT(process, failure_names_the_program_and_the_step)
{
	const struct noria_process_options elsewhere = {.directory = "/no/such/directory"};
	struct noria_process process = {0};

	EXPECT_EQ(noria_process_open(&process, "/no/such/program", NULL, NULL, NULL), -ENOENT);
	EXPECT(strstr(noria_message(), "/no/such/program: exec: No such file"));
	EXPECT_EQ(noria_process_open(&process, "true", NULL, NULL, &elsewhere), -ENOENT);
	EXPECT(strstr(noria_message(), "true: its working directory"));
	EXPECT(no_child_is_left());
	return 0;
}

UNIT(process, pipes_are_descriptors)
{
	const struct noria_process_options options = {.input = {NORIA_STDIO_PIPE, 0}, .output = {NORIA_STDIO_PIPE, 0}};
	noria_autoprocess struct noria_process cat = {0};
	char text[16] = "";

	MUST(noria_process_open(&cat, "cat", NULL, NULL, &options) == 0);
	EXPECT_EQ(noria_write_all(noria_process_fd(&cat, 0), "bytes", 5), 5);
	EXPECT_EQ(noria_read_all(noria_process_fd(&cat, 1), text, 5), 5);
	EXPECT_EQ(strcmp(text, "bytes"), 0);
	EXPECT_EQ(noria_process_fd(&cat, 2), -EBADF);
	EXPECT_EQ(noria_process_close_fd(&cat, 0), 0);
	EXPECT_EQ(noria_process_close_fd(&cat, 0), -EBADF);
	EXPECT_EQ(noria_read(noria_process_fd(&cat, 1), text, 5), 0);
	EXPECT_EQ(noria_process_wait(&cat), 0);
	return 0;
}

enum { MEBIBYTE = 1024 * 1024 };

UNIT(process, run_feeds_and_collects_side_by_side)
{
	char *input = malloc(MEBIBYTE), *output = calloc(1, MEBIBYTE), *errors = calloc(1, MEBIBYTE);
	struct noria_process_io io = {input, MEBIBYTE, output, MEBIBYTE, 0, errors, MEBIBYTE, 0};
	uint64_t state = 1;

	for (size_t i = 0; i < MEBIBYTE; i++)
		input[i] = (char)unit_random(&state);
	EXPECT_EQ(noria_process_run("tee", ((char *[]){"tee", "/dev/stderr", NULL}), NULL, &io, NULL), 0);
	EXPECT(io.output_size == MEBIBYTE && memcmp(input, output, MEBIBYTE) == 0);
	EXPECT(io.errors_size == MEBIBYTE && memcmp(input, errors, MEBIBYTE) == 0);
	free(input);
	free(output);
	free(errors);
	return 0;
}

UNIT(process, run_keeps_what_fits_and_counts_the_rest)
{
	char output[100];
	struct noria_process_io io = {.output = output, .output_max = sizeof output};

	EXPECT_EQ(noria_process_run("seq", ((char *[]){"seq", "100000", NULL}), NULL, &io, NULL), 0);
	EXPECT_EQ(io.output_size, 588895);
	EXPECT_EQ(memcmp(output, "1\n2\n3\n", 6), 0);
	return 0;
}

/* SIGPIPE has its default effect here: it would end the test. */
UNIT(process, run_of_a_program_that_does_not_read)
{
	char *input = calloc(1, MEBIBYTE);
	struct noria_process_io io = {.input = input, .input_size = MEBIBYTE};
	sigset_t pending;

	EXPECT_EQ(noria_process_run("true", NULL, NULL, &io, NULL), 0);
	MUST(sigpending(&pending) == 0);
	EXPECT(!sigismember(&pending, SIGPIPE));
	/* Nor is it waited for when a program that was left behind has the pipe. */
	EXPECT_EQ(noria_process_run("sh", ((char *[]){"sh", "-c", "exec 3<&0; sleep 100 <&3 >&- 2>&- & exit 0", NULL}),
				    NULL, &io, &(struct noria_process_options){.flags = NORIA_PROCESS_GROUP}),
		  0);
	free(input);
	return 0;
}

UNIT(process, run_within_a_limit)
{
	char output[16] = "";
	struct noria_process_io io = {.output = output, .output_max = sizeof output};

	EXPECT_EQ(noria_within(noria_msec(200),
			       noria_process_run("sh", ((char *[]){"sh", "-c", "echo a; exec sleep 100", NULL}), NULL,
						 &io, NULL)),
		  -ETIMEDOUT);
	EXPECT(io.output_size == 0 || (io.output_size == 2 && output[0] == 'a'));
	EXPECT(no_child_is_left());
	return 0;
}

UNIT(process, inherits_what_is_named_and_no_more)
{
	int other = open("/dev/null", O_RDONLY); /* without O_CLOEXEC */
	int ends[2];
	struct noria_process_descriptor fds[] = {{-1, 7}, {-1, 5}};
	struct noria_process_options options = {.fds = fds, .fds_count = 2};

	MUST(other >= 0 && pipe2(ends, O_CLOEXEC) == 0);
	MUST(write(ends[1], "piped", 5) == 5 && close(ends[1]) == 0);
	fds[0].fd = ends[0];
	fds[1].fd = other;
	expect_output("cd /proc/self/fd; for i in *; do [ -e $i ] && echo $i; done; :", NULL, "0\n1\n2\n");
	expect_output("cat <&7; cd /proc/self/fd; for i in *; do [ -e $i ] && echo $i; done; :", &options,
		      "piped0\n1\n2\n5\n7\n");
	/* Numbers may be exchanged. */
	MUST(dup3(other, 20, O_CLOEXEC) == 20 && dup3(STDERR_FILENO, 21, O_CLOEXEC) == 21);
	fds[0] = (struct noria_process_descriptor){20, 21};
	fds[1] = (struct noria_process_descriptor){21, 20};
	expect_output("[ /proc/self/fd/21 -ef /dev/null ] && ! [ /proc/self/fd/20 -ef /dev/null ] && echo yes",
		      &options, "yes\n");
	options = (struct noria_process_options){.flags = NORIA_PROCESS_INHERIT_FDS};
	MUST(dup2(other, 20) == 20);
	expect_output("[ /proc/self/fd/20 -ef /dev/null ] && echo yes", &options, "yes\n");
	MUST(close(other) == 0 && close(20) == 0 && close(21) == 0 && close(ends[0]) == 0);
	return 0;
}

/* Whatever numbers ours have: none is overwritten before it has been passed on. */
UNIT(process, inherits_many_in_any_order)
{
	struct noria_process_descriptor fds[20];
	const struct noria_process_options options = {.fds = fds, .fds_count = 20};

	for (int i = 0; i < 20; i++) {
		int file = memfd_create("letter", MFD_CLOEXEC);

		MUST(file >= 0 && write(file, &"abcdefghijklmnopqrst"[i], 1) == 1);
		fds[i] = (struct noria_process_descriptor){fcntl(file, F_DUPFD_CLOEXEC, 100), 22 - i};
		MUST(fds[i].fd >= 100 && close(file) == 0);
	}
	expect_output("for i in $(seq 3 22); do cat /proc/self/fd/$i; done", &options, "tsrqponmlkjihgfedcba");
	for (int i = 0; i < 20; i++)
		MUST(close(fds[i].fd) == 0);
	return 0;
}

UNIT(process, directory_limits_and_environment)
{
	const struct noria_process_limit limit = {RLIMIT_NOFILE, {50, 50}};
	const struct noria_process_options options = {.directory = "/usr", .limits = &limit, .limits_count = 1};
	char output[64] = "";
	struct noria_process_io io = {.output = output, .output_max = sizeof output - 1};

	expect_output("pwd; ulimit -n; ulimit -Hn", &options, "/usr\n50\n50\n");
	MUST(noria_process_run("env", NULL, ((char *[]){"ONLY=this", NULL}), &io, NULL) == 0);
	EXPECT_EQ(strcmp(output, "ONLY=this\n"), 0);
	return 0;
}

UNIT(process, session_and_group)
{
	struct noria_process_options options = {.flags = NORIA_PROCESS_SESSION};

	expect_output("read pid comm state ppid pgrp session rest </proc/self/stat; [ $pid = $session ] && echo yes",
		      &options, "yes\n");
	options.flags = NORIA_PROCESS_GROUP;
	expect_output("read pid comm state ppid pgrp session rest </proc/self/stat; [ $pid = $pgrp ] && "
		      "[ $pid != $session ] && echo yes",
		      &options, "yes\n");
	return 0;
}

UNIT(process, another_user)
{
	struct noria_process_options options = {.flags = NORIA_PROCESS_USER, .uid = 65534, .gid = 65533};
	struct noria_process process = {0};

	if (geteuid() == 0) {
		MUST(setgroups(1, (gid_t[]){65000}) == 0);
		expect_output("id -u; id -g; id -G", &options, "65534\n65533\n65533\n");
	} else {
		EXPECT_EQ(noria_process_open(&process, "true", NULL, NULL, &options), -EPERM);
		EXPECT(strstr(noria_message(), "its user"));
	}
	return 0;
}

/* The C library has a shell run it, for which it makes new arguments on the stack: far more than a small one holds. */
UNIT(process, a_script_without_a_first_line_may_have_many_arguments)
{
	enum { COUNT = 50000 };
	char path[] = "/tmp/noria-script-XXXXXX", text[16] = "";
	struct noria_process_io io = {.output = text, .output_max = sizeof text - 1};
	char **argv = calloc(COUNT + 2, sizeof *argv);
	int fd = mkstemp(path);

	MUST(argv && fd >= 0 && dprintf(fd, "echo $#\n") > 0 && fchmod(fd, 0700) == 0 && close(fd) == 0);
	argv[0] = path;
	for (int i = 1; i <= COUNT; i++)
		argv[i] = (char[]){"x"};
	EXPECT_EQ(noria_process_run(path, argv, NULL, &io, NULL), 0);
	cr_expect_str_eq(text, "50000\n");
	unlink(path);
	free(argv);
	return 0;
}

/* ---- a program that may not be signalled ---- */

static unsigned told;

static void count_told(const struct noria_failure *failure, const char *text, void *arg)
{
	(void)arg;
	told += failure->code == -EPERM && strstr(text, "runs on");
}

/* May this process signal those of other users? */
static void set_cap_kill(bool on)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2];

	MUST(syscall(SYS_capget, &header, data) == 0);
	data[0].effective = on ? data[0].effective | 1U << CAP_KILL : data[0].effective & ~(1U << CAP_KILL);
	MUST(syscall(SYS_capset, &header, data) == 0);
}

static bool waits;

static int wait_in_vain(void *arg)
{
	waits = true;
	return noria_process_wait(arg) == -EPERM ? 0 : -EIO;
}

static const struct noria_config counts_told = {.on_failure = count_told};

UNIT_WITH(process, one_that_may_not_be_signalled_is_left_running_and_that_is_told, &counts_told)
{
	const struct noria_process_options options = {
		.flags = NORIA_PROCESS_USER, .uid = 65534, .gid = 65534, .grace_ns = noria_msec(5)};
	struct noria_process process = {0};
	struct noria_group group;
	pid_t pid;

	if (geteuid() != 0)
		return 0; /* every program is of our own user */
	told = 0;
	waits = false;
	set_cap_kill(false);
	MUST(open_sh(&process, "exec sleep 1000", &options) == 0);
	pid = noria_process_pid(&process);
	MUST(noria_group_open(&group) == 0);
	MUST(noria_spawn(&group, wait_in_vain, &process) == 0);
	UNTIL(waits);
	EXPECT_EQ(noria_process_kill(&process, SIGKILL), -EPERM);
	noria_process_close(&process);
	EXPECT_EQ(told, 1);
	EXPECT_EQ(noria_group_close(&group, 0), 0);
	set_cap_kill(true);
	EXPECT_EQ(kill(pid, SIGKILL), 0); /* it does run on */
	EXPECT_EQ(waitpid(pid, NULL, 0), pid);
	return 0;
}

UNIT(process, signals_are_as_in_a_fresh_program)
{
	char *grep[] = {"grep", "-E", "^Sig(Blk|Ign)", "/proc/self/status", NULL};
	struct noria_process_options options = {.flags = NORIA_PROCESS_KEEP_SIGNALS};
	sigset_t set, before;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	MUST(pthread_sigmask(SIG_BLOCK, &set, &before) == 0);
	for (const int *ignored = (const int[]){SIGHUP, SIGQUIT, SIGPIPE, 0}; *ignored; ignored++)
		MUST(signal(*ignored, SIG_DFL) != SIG_ERR); /* by who started the tests, maybe */
	MUST(signal(SIGUSR2, SIG_IGN) != SIG_ERR);
	expect_program(grep, NULL, "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n");
	expect_program(grep, &options, "SigBlk:\t0000000000000200\nSigIgn:\t0000000000000800\n");
	MUST(signal(SIGUSR2, SIG_DFL) != SIG_ERR && pthread_sigmask(SIG_SETMASK, &before, NULL) == 0);
	return 0;
}

/* A program that says when it is ready, and a task that waits for its end. */
struct watched {
	struct noria_process process;
	int status;
};

static int watch(void *arg)
{
	struct watched *watched = arg;

	watched->status = noria_process_wait(&watched->process);
	return 0;
}

static void open_ready(struct watched *watched, const char *script, struct noria_process_options options)
{
	char byte;

	options.output = (struct noria_stdio){NORIA_STDIO_PIPE, 0};
	memset(watched, 0, sizeof *watched);
	MUST(open_sh(&watched->process, script, &options) == 0);
	MUST(noria_read(noria_process_fd(&watched->process, 1), &byte, 1) == 1);
}

/* Close it while it runs. Returns the status that another task is given. */
static int close_watched(struct watched *watched)
{
	struct noria_group group;

	MUST(noria_group_open(&group) == 0);
	MUST(noria_spawn(&group, watch, watched) == 0);
	MUST(noria_yield() == 0);
	noria_process_close(&watched->process);
	MUST(noria_group_close(&group, 0) == 0);
	EXPECT(no_child_is_left());
	return watched->status;
}

UNIT(process, close_asks_first)
{
	struct watched watched;

	open_ready(&watched, "echo; exec sleep 100", (struct noria_process_options){0});
	EXPECT_EQ(close_watched(&watched), SIGTERM);
	open_ready(&watched, "trap 'exit 9' TERM; echo; while :; do sleep 0.01; done",
		   (struct noria_process_options){0});
	EXPECT_EQ(close_watched(&watched), 9 << 8);
	open_ready(&watched, "echo; exec sleep 100", (struct noria_process_options){.stop_signal = SIGINT});
	EXPECT_EQ(close_watched(&watched), SIGINT);
	/* One that is stopped hears of it as well. */
	open_ready(&watched, "trap 'exit 9' TERM; echo; while :; do sleep 0.01; done",
		   (struct noria_process_options){.grace_ns = noria_sec(30)});
	EXPECT_EQ(noria_process_kill(&watched.process, SIGSTOP), 0);
	EXPECT_EQ(close_watched(&watched), 9 << 8);
	return 0;
}

UNIT(process, close_kills_after_the_grace)
{
	struct noria_process_options options = {.grace_ns = noria_msec(20)};
	struct watched watched;
	int64_t before;

	open_ready(&watched, "trap '' TERM; echo; while :; do sleep 1; done", options);
	before = noria_now();
	EXPECT_EQ(close_watched(&watched), SIGKILL);
	EXPECT(noria_now() - before >= noria_msec(20));
	options = (struct noria_process_options){.stop_signal = SIGKILL, .grace_ns = NORIA_FOREVER};
	open_ready(&watched, "echo; exec sleep 100", options);
	EXPECT_EQ(close_watched(&watched), SIGKILL);
	return 0;
}

/* In a cancelled scope it has its grace all the same, but no longer than the scope's own. */
UNIT(process, close_in_a_cancelled_scope)
{
	const struct noria_process_options options = {.grace_ns = NORIA_FOREVER};
	struct noria_scope scope;
	struct watched watched;

	open_ready(&watched, "trap '' TERM; echo; while :; do sleep 1; done", options);
	MUST(noria_scope_open(&scope, NORIA_FOREVER, 0) == 0);
	MUST(noria_scope_set_grace(&scope, noria_msec(20)) == 0);
	noria_scope_cancel(&scope);
	EXPECT_EQ(noria_process_wait(&watched.process), -ECANCELED);
	noria_process_close(&watched.process);
	EXPECT_EQ(noria_scope_close(&scope, 0), 0);
	EXPECT(no_child_is_left());
	return 0;
}

/* What it does when it is asked to end it has the time for. */
UNIT(process, close_in_a_cancelled_scope_has_its_grace)
{
	struct noria_process_descriptor fd = {-1, 3};
	const struct noria_process_options options = {.fds = &fd, .fds_count = 1};
	struct noria_scope scope;
	struct watched watched;
	char text[8] = "";
	int ends[2];

	MUST(pipe2(ends, O_CLOEXEC) == 0);
	fd.fd = ends[1];
	open_ready(&watched, "trap 'sleep 0.05; echo bye >&3; exit' TERM; echo; while :; do sleep 0.01; done", options);
	MUST(close(ends[1]) == 0);
	MUST(noria_scope_open(&scope, NORIA_FOREVER, 0) == 0);
	noria_scope_cancel(&scope);
	noria_process_close(&watched.process);
	EXPECT_EQ(noria_scope_close(&scope, 0), 0);
	EXPECT(no_child_is_left());
	EXPECT_EQ(read(ends[0], text, 4), 4);
	MUST(close(ends[0]) == 0);
	return 0;
}

static int close_it(void *arg)
{
	noria_process_close(arg);
	EXPECT(no_child_is_left());
	return 0;
}

UNIT(process, closed_by_two)
{
	struct noria_process_options options = {.grace_ns = noria_msec(20)};
	struct noria_group group;
	struct watched watched;

	open_ready(&watched, "trap '' TERM; echo; while :; do sleep 1; done", options);
	MUST(noria_group_open(&group) == 0);
	MUST(noria_spawn(&group, close_it, &watched.process) == 0);
	MUST(noria_spawn(&group, close_it, &watched.process) == 0);
	MUST(noria_group_close(&group, 0) == 0);
	EXPECT_EQ(noria_process_wait(&watched.process), -EINVAL);
	EXPECT_EQ(noria_process_kill(&watched.process, 0), -EINVAL);
	EXPECT_EQ(noria_process_fd(&watched.process, 1), -EINVAL);
	return 0;
}

static int forget(void *arg)
{
	return open_sh(arg, "exec sleep 100", NULL);
}

UNIT(process, forgotten_by_its_task)
{
	struct noria_process process = {0};
	struct noria_group group;

	MUST(noria_group_open(&group) == 0);
	MUST(noria_spawn(&group, forget, &process) == 0);
	EXPECT_EQ(noria_group_close(&group, 0), -EINVAL);
	EXPECT(no_child_is_left());
	return 0;
}

/* As on a kernel before 6.9: a descriptor stands for a process, not for its group. This process has no way back. */
static void hide_signals_to_groups(void)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_pidfd_send_signal, 0, 3),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[3])),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 1, 0),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EINVAL),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = {.len = sizeof code / sizeof code[0], .filter = code};

	MUST(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
	MUST(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0);
}

/* The end of the pipe says that nobody has it any more. */
static int close_a_group(void)
{
	noria_autoprocess struct noria_process process = {0};
	int ends[2];
	char byte;

	MUST(pipe2(ends, O_CLOEXEC) == 0);
	for (int ended = 0; ended < 2; ended++) {
		const char *script = ended ? "sleep 100 & echo; exit 0" : "trap '' TERM; sleep 100 & echo; wait";

		MUST(open_sh(&process, script,
			     &(struct noria_process_options){.output = {NORIA_STDIO_FD, ends[1]},
							     .flags = NORIA_PROCESS_GROUP,
							     .grace_ns = noria_msec(20)}) == 0);
		EXPECT_EQ(noria_read(ends[0], &byte, 1), 1);
		if (ended)
			EXPECT_EQ(noria_process_wait(&process), 0);
		noria_process_close(&process);
	}
	MUST(close(ends[1]) == 0);
	EXPECT_EQ(noria_within(noria_sec(20), noria_read(ends[0], &byte, 1)), 0);
	MUST(close(ends[0]) == 0);
	EXPECT(no_child_is_left());
	return 0;
}

UNIT(process, close_ends_all_of_its_group)
{
	return close_a_group();
}

UNIT(process, close_ends_all_of_its_group_by_its_number)
{
	hide_signals_to_groups();
	return close_a_group();
}

/* A process that leads a group, with a number of our choice, and sends back what it is sent. -EPERM: not our choice. */
static pid_t start_stranger(pid_t number, const int ends[2])
{
	struct clone_args args = {
		.exit_signal = SIGCHLD, .set_tid = (uintptr_t)&number, .set_tid_size = number > 0 ? 1 : 0};
	pid_t pid = (pid_t)syscall(SYS_clone3, &args, sizeof args);
	char byte = 0;

	if (pid != 0)
		return pid < 0 ? -errno : pid;
	if (setpgid(0, 0) == 0 && close(ends[0]) == 0 && write(ends[1], &byte, 1) == 1)
		while (read(ends[1], &byte, 1) == 1 && write(ends[1], &byte, 1) == 1)
			;
	_exit(0);
}

/* The group is gone, reaped by others; who has its number now, where we may choose one, hears of nothing. */
static int spare_a_stranger(void)
{
	noria_autoprocess struct noria_process process = {0};
	pid_t pid, stranger;
	int ends[2];
	char byte;

	MUST(open_sh(&process, "exit 0", &(struct noria_process_options){.flags = NORIA_PROCESS_GROUP}) == 0);
	pid = noria_process_pid(&process);
	MUST(waitpid(pid, NULL, 0) == pid);
	MUST(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
	stranger = start_stranger(pid, ends);
	if (stranger == -EPERM)
		stranger = start_stranger(0, ends);
	MUST(stranger > 0);
	MUST(close(ends[1]) == 0);
	EXPECT_EQ(noria_read(ends[0], &byte, 1), 1);
	EXPECT_EQ(noria_process_kill(&process, SIGKILL), -ESRCH);
	noria_process_close(&process);
	EXPECT_EQ(noria_write(ends[0], "", 1), 1);
	EXPECT_EQ(noria_read(ends[0], &byte, 1), 1); /* it lives */
	MUST(close(ends[0]) == 0);
	MUST(waitpid(stranger, NULL, 0) == stranger);
	EXPECT(no_child_is_left());
	return 0;
}

UNIT(process, no_signal_reaches_a_group_of_the_same_number)
{
	return spare_a_stranger();
}

UNIT(process, no_signal_by_number_reaches_a_group_of_the_same_number)
{
	hide_signals_to_groups();
	return spare_a_stranger();
}

static int open_for_life(void *arg)
{
	const struct noria_process_options options = {.output = {NORIA_STDIO_FD, *(int *)arg}, .death_signal = SIGKILL};
	struct noria_process process = {0};

	MUST(open_sh(&process, "echo; exec sleep 100", &options) == 0);
	return noria_sleep(NORIA_FOREVER);
}

/* A process whose runtime is killed with no chance to end it. */
Test(process, death_signal, .timeout = 60)
{
	int ends[2];
	char byte;
	pid_t child;

	MUST(pipe2(ends, O_CLOEXEC) == 0);
	child = fork();
	MUST(child >= 0);
	if (child == 0)
		_exit(noria_run(NULL, open_for_life, &ends[1]) < 0);
	MUST(close(ends[1]) == 0);
	MUST(read(ends[0], &byte, 1) == 1);
	MUST(kill(child, SIGKILL) == 0 && waitpid(child, NULL, 0) == child);
	EXPECT_EQ(read(ends[0], &byte, 1), 0);
	MUST(close(ends[0]) == 0);
}

static int run_one(void *arg)
{
	int number = *(int *)arg;
	struct noria_process_options options = {.input = {NORIA_STDIO_PIPE, 0}};
	noria_autoprocess struct noria_process process = {0};

	noria_try(open_sh(&process, number % 2 ? "read line; exit 5" : "exec sleep 100", &options));
	if (number % 2) {
		noria_try(noria_process_close_fd(&process, 0));
		EXPECT_EQ(noria_process_wait(&process), 5 << 8);
	}
	return 0;
}

/* Half of them end by themselves, half are ended. */
UNIT_WITH(process, two_hundred_at_once, &((const struct noria_config){.ring_entries = 2, .ring_entries_max = 2}))
{
	struct noria_group group;

	MUST(noria_group_open(&group) == 0);
	for (int i = 0; i < (UNIT_SANITIZED ? 40 : 200); i++)
		MUST(noria_spawn_copy(&group, run_one, &i, sizeof i) == 0);
	EXPECT_EQ(noria_group_close(&group, 0), 0);
	EXPECT(no_child_is_left());
	return 0;
}
