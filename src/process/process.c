/* SPDX-License-Identifier: MIT */
/*
 * A process of a task. It is waited for with WNOWAIT and reaped by the close alone: so its number stays its own, its
 * status can be had by everybody who asks and by nobody only once, and a wait that is cancelled can lose nothing.
 *
 * The close goes on when its task is cancelled: the grace is a soft shield with a deadline, which falls when the grace
 * of a cancelled scope around is spent; the last wait, for a process that has been sent SIGKILL, cannot be given up.
 * One that may not be signalled is left running, and that is reported.
 */
#include "noria/process.h"

#include "base/memcheck.h"
#include "base/message.h"
#include "noria/offload.h"
#include "noria/op.h"
#include "op/op.h"
#include "process/spawn.h"
#include "process/wait.h"
#include "scope/failure.h"
#include "scope/scope.h"
#include "task/storage.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

struct process {
	uint64_t magic;
	struct leftover leftover; /* closed for the task that forgets it */
	int64_t grace_ns;
	pid_t pid;
	int pidfd;
	int pipes[3]; /* our ends; -1: none */
	int stop_signal;
	unsigned waiting; /* tasks inside noria_process_wait() */
	bool group;       /* signals go to its process group */
};

_Static_assert(sizeof(struct process) <= sizeof(struct noria_process), "struct noria_process is too small");
_Static_assert(_Alignof(struct process) <= _Alignof(struct noria_process),
	       "struct noria_process is aligned too little");

static struct process *from_public(const struct noria_process *process)
{
	return (struct process *)(uintptr_t)process;
}

static uint64_t magic(const struct process *process)
{
	return UINT64_C(0x6e6f7269612e7072) ^ (uint64_t)(uintptr_t)process;
}

static bool is_open(const struct process *process)
{
	(void)VALGRIND_MAKE_MEM_DEFINED(&process->magic, sizeof process->magic);
	return process->magic == magic(process);
}

static bool is_closing(const struct process *process)
{
	return process->magic == ~magic(process);
}

static int refuse_use(const char *doing)
{
	return noria_refuse(-EINVAL, "%s of a process that is not open. Remedy: noria_process_open() first", doing);
}

static int check_stdio(const struct noria_stdio *stdio, int number)
{
	static const char *const names[] = {"input", "output", "errors"};

	if ((unsigned)stdio->kind > (number == 2 ? NORIA_STDIO_OUTPUT : NORIA_STDIO_FD))
		return noria_refuse(-EINVAL, "struct noria_process_options: %s.kind is not one of its kinds",
				    names[number]);
	if (stdio->kind == NORIA_STDIO_FD && stdio->fd < 0)
		return noria_refuse(-EBADF, "struct noria_process_options: %s.fd is negative", names[number]);
	return 0;
}

static int refuse_option(const char *text)
{
	return noria_refuse(-EINVAL, "struct noria_process_options: %s", text);
}

static int check_options(const struct noria_process_options *options)
{
	const unsigned known = NORIA_PROCESS_GROUP | NORIA_PROCESS_SESSION | NORIA_PROCESS_INHERIT_FDS |
			       NORIA_PROCESS_KEEP_SIGNALS | NORIA_PROCESS_USER;

	if (options->flags & ~known)
		return refuse_option("unknown flags");
	if (options->death_signal < 0 || options->death_signal > SIGRTMAX || options->stop_signal < 0 ||
	    options->stop_signal > SIGRTMAX)
		return refuse_option("death_signal and stop_signal must be signals");
	if (options->grace_ns < 0)
		return refuse_option("grace_ns must not be negative. Remedy: stop_signal = SIGKILL for no grace");
	if (options->fds_count > NORIA_PROCESS_FDS_MAX)
		return refuse_option("fds_count must be at most NORIA_PROCESS_FDS_MAX");
	for (unsigned i = 0; i < options->fds_count; i++)
		if (options->fds[i].fd < 0 || options->fds[i].number < 3)
			return refuse_option("fds: a descriptor is negative, or a number is below 3");
	for (size_t i = 0; i < sizeof options->reserved / sizeof options->reserved[0]; i++)
		if (options->reserved[i])
			return refuse_option("reserved must be zero");
	return 0;
}

/* The program's ends of the pipes, as long as it is being started. */
struct ends {
	int fd[3];
};

static void close_ends(int fds[3])
{
	for (int i = 0; i < 3; i++) {
		if (fds[i] >= 0)
			(void)noria_close(fds[i]);
		fds[i] = -1;
	}
}

static int make_pipe(struct process *process, struct ends *ends, int number)
{
	int pair[2], ours = number == 0 ? 1 : 0;

	if (pipe2(pair, O_CLOEXEC) < 0)
		return noria_refuse(-errno, "no pipe to a program: %s. Remedy: raise RLIMIT_NOFILE", strerror(errno));
	process->pipes[number] = pair[ours];
	ends->fd[number] = pair[!ours];
	return 0;
}

static int prepare_stdio(struct process *process, struct ends *ends, struct spawn *spawn, int number)
{
	const struct noria_stdio *stdio = (const struct noria_stdio *[]){
		&spawn->options->input, &spawn->options->output, &spawn->options->errors}[number];
	int r = check_stdio(stdio, number);

	if (r >= 0 && stdio->kind == NORIA_STDIO_PIPE)
		r = make_pipe(process, ends, number);
	spawn->stdio[number] = stdio->kind == NORIA_STDIO_NULL     ? STDIO_NULL
			       : stdio->kind == NORIA_STDIO_OUTPUT ? STDIO_AS_OUTPUT
			       : stdio->kind == NORIA_STDIO_FD     ? stdio->fd
			       : stdio->kind == NORIA_STDIO_PIPE   ? ends->fd[number]
								   : STDIO_AS_IS;
	return r;
}

static int spawn_on_thread(void *arg)
{
	return noria_spawn_program(arg);
}

/* The signal at a parent's death is of the thread that made the child: that must be one that lasts. */
static int start(struct spawn *spawn)
{
	int r;

	spawn->step = NULL;
	if (spawn->options->death_signal) {
		r = noria_check();
		if (r >= 0)
			r = noria_spawn_program(spawn);
	} else {
		r = noria_offload(spawn_on_thread, spawn);
	}
	return r < 0 && spawn->step
		       ? noria_refuse(r, "cannot run %s: %s: %s", spawn->program, spawn->step, strerror(-r))
		       : r;
}

static int open_in(struct process *process, struct spawn *spawn)
{
	struct ends ends = {{-1, -1, -1}};
	int r = 0;

	memset(process, 0, sizeof *process);
	process->pipes[0] = process->pipes[1] = process->pipes[2] = -1;
	for (int i = 0; i < 3 && r >= 0; i++)
		r = prepare_stdio(process, &ends, spawn, i);
	if (r >= 0)
		r = start(spawn);
	close_ends(ends.fd);
	if (r < 0) {
		close_ends(process->pipes);
		return r;
	}
	process->pid = spawn->pid;
	process->pidfd = spawn->pidfd;
	process->group = spawn->options->flags & (NORIA_PROCESS_GROUP | NORIA_PROCESS_SESSION);
	process->stop_signal = spawn->options->stop_signal ? spawn->options->stop_signal : SIGTERM;
	process->grace_ns = spawn->options->grace_ns ? spawn->options->grace_ns : noria_sec(5);
	return 0;
}

static bool close_leftover(struct leftover *leftover);

int noria_process_open_at(struct noria_process *storage, const char *program, char *const argv[], char *const envp[],
			  const struct noria_process_options *options, const struct noria_site *site)
{
	static const struct noria_process_options defaults;
	struct process *process = from_public(storage);
	struct task *task = noria_current();
	struct spawn spawn = {.program = program, .argv = argv, .envp = envp, .options = options ? options : &defaults};
	int r;

	if (!task)
		return -ENXIO;
	if (is_open(process) || is_closing(process))
		return noria_refuse(-EINVAL, "the process at %s:%d is open already: it was opened at %s:%d", site->file,
				    site->line, process->leftover.site->file, process->leftover.site->line);
	if (!program || (argv && !argv[0]))
		return noria_refuse(-EINVAL, "noria_process_open() without a program, or with an empty argv");
	r = check_options(spawn.options);
	if (r >= 0)
		r = noria_loop_refuse_simulated(task->loop, "a process");
	if (r < 0)
		return r;
	spawn.parent = getpid();
	pthread_sigmask(SIG_SETMASK, NULL, &spawn.mask);
	r = open_in(process, &spawn);
	if (r < 0)
		return r;
	process->leftover.task = task;
	process->leftover.site = site;
	process->leftover.close = close_leftover;
	process->leftover.waits = true;
	leftover_add(&process->leftover);
	process->magic = magic(process);
	return 0;
}

int noria_process_wait(struct noria_process *storage)
{
	struct process *process = from_public(storage);
	siginfo_t info;
	int r;

	if (!noria_current())
		return -ENXIO;
	if (!is_open(process))
		return refuse_use("a wait");
	process->waiting++;
	r = noria_waitid(P_PIDFD, (id_t)process->pidfd, &info, WEXITED | WNOWAIT);
	if (r == -EBADF && is_closing(process))
		r = noria_refuse(-EPERM, "process %d was closed, but may not be signalled, and runs on", process->pid);
	process->waiting--;
	if (r == -ECHILD)
		return noria_refuse(
			r,
			"process %d was reaped by others. Remedy: do not wait for any child (wait(2), P_ALL), and do "
			"not ignore SIGCHLD, in a program that opens processes",
			process->pid);
	return r < 0 ? r : wait_status(&info);
}

#ifndef PIDFD_SIGNAL_PROCESS_GROUP
#define PIDFD_SIGNAL_PROCESS_GROUP (1U << 2)
#endif

static int send_by_descriptor(const struct process *process, int signal_number, unsigned flags)
{
	return syscall(SYS_pidfd_send_signal, process->pidfd, signal_number, NULL, flags) < 0 ? -errno : 0;
}

/*
 * By the descriptor, no signal can reach a group that has got the number since. Kernels before 6.9 send to a group by
 * its number alone: that is its own until the process is reaped, which others may do in spite of what we ask of them.
 */
static int send_signal(const struct process *process, int signal_number)
{
	int r = send_by_descriptor(process, signal_number, process->group ? PIDFD_SIGNAL_PROCESS_GROUP : 0);

	if (r != -EINVAL || !process->group)
		return r;
	r = send_by_descriptor(process, 0, 0);
	if (r == -ESRCH)
		return r;
	return kill(-process->pid, signal_number) < 0 ? -errno : 0;
}

int noria_process_kill(struct noria_process *storage, int signal_number)
{
	const struct process *process = from_public(storage);

	return is_open(process) ? send_signal(process, signal_number) : refuse_use("a kill");
}

pid_t noria_process_pid(const struct noria_process *storage)
{
	const struct process *process = from_public(storage);

	return is_open(process) ? process->pid : refuse_use("the pid");
}

int noria_process_fd(const struct noria_process *storage, int number)
{
	const struct process *process = from_public(storage);

	if (!is_open(process))
		return refuse_use("a descriptor");
	if (number < 0 || number > 2 || process->pipes[number] < 0)
		return noria_refuse(
			-EBADF,
			"there is no pipe to descriptor %d of process %d. Remedy: open it with NORIA_STDIO_PIPE",
			number, process->pid);
	return process->pipes[number];
}

int noria_process_close_fd(struct noria_process *storage, int number)
{
	struct process *process = from_public(storage);
	int fd = noria_process_fd(storage, number);

	if (fd < 0)
		return fd;
	process->pipes[number] = -1;
	return noria_close(fd);
}

/* Dead, whoever has reaped it. */
static bool has_ended(const struct process *process)
{
	siginfo_t info = {0};

	return waitid(P_PIDFD, (id_t)process->pidfd, &info, WEXITED | WNOWAIT | WNOHANG) < 0 || info.si_pid != 0;
}

/* For its end, as long as the grace allows. */
static void wait_within_grace(struct process *process)
{
	int64_t now = noria_now();
	int64_t end = process->grace_ns < NORIA_FOREVER - now ? now + process->grace_ns : NORIA_FOREVER;
	struct noria_scope grace;
	siginfo_t info;
	int r;

	if (noria_scope_open_at(&grace, end, NORIA_SCOPE_SHIELD, process->leftover.site) < 0)
		return;
	r = noria_waitid(P_PIDFD, (id_t)process->pidfd, &info, WEXITED | WNOWAIT);
	(void)noria_scope_close_at(&grace, r, process->leftover.site);
}

/* It has been killed: nothing can give this up. */
static void wait_always(struct process *process)
{
	while (!has_ended(process))
		if (op_call("poll", OP_ALWAYS, io_uring_prep_poll_add, process->pidfd, POLLIN) < 0 ||
		    !has_ended(process))
			noria_task_yield(noria_loop->current); /* a debugger has it */
}

/* It has changed its user (sudo, say), and ours may not signal it. */
static bool is_out_of_reach(const struct process *process)
{
	return send_by_descriptor(process, 0, 0) == -EPERM;
}

/* False: nobody can, and it runs on. */
static bool end_process(struct process *process)
{
	if (!has_ended(process)) {
		(void)send_signal(process, process->stop_signal);
		(void)send_signal(process, SIGCONT);
		if (process->stop_signal != SIGKILL)
			wait_within_grace(process);
	}
	if (process->group || !has_ended(process))
		(void)send_signal(process, SIGKILL);
	if (!has_ended(process) && is_out_of_reach(process))
		return false;
	wait_always(process);
	return true;
}

/* Its end might be long in coming. Those who wait for it are told -EBADF. */
static void leave_running(struct process *process, struct task *task)
{
	struct noria_failure failure = noria_failure_bare(task, -EPERM, process->leftover.site);
	char text[128];

	snprintf(text, sizeof text, "process %d could not be ended, since it may not be signalled, and runs on",
		 process->pid);
	noria_report(task->loop, &failure, text);
	(void)noria_close(process->pidfd);
	process->pidfd = -1;
}

/* Until its last statement the storage is in use: another task that closes it too waits for that. */
static void close_process(struct process *process, struct task *task)
{
	siginfo_t info;

	process->magic = ~magic(process);
	close_ends(process->pipes);
	if (!end_process(process))
		leave_running(process, task);
	while (process->waiting > 0) /* they have their answer, and are on their way */
		noria_task_yield(task);
	if (process->pidfd >= 0) {
		(void)waitid(P_PIDFD, (id_t)process->pidfd, &info, WEXITED | WNOHANG);
		(void)noria_close(process->pidfd);
	}
	leftover_remove(&process->leftover);
	process->magic = 0;
}

/* Returns whether it was open. */
static bool close_once(struct process *process, struct task *task)
{
	bool open = is_open(process);

	if (open)
		close_process(process, task);
	while (is_closing(process)) {
		wait_always(process);
		noria_task_yield(task);
	}
	return open;
}

static bool close_leftover(struct leftover *leftover)
{
	return close_once(container_of(leftover, struct process, leftover), noria_loop->current);
}

void noria_process_close(struct noria_process *storage)
{
	struct task *task = noria_current();

	if (task)
		(void)close_once(from_public(storage), task);
}
