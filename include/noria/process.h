/* SPDX-License-Identifier: MIT */
/*
 * Processes: waiting for children, running programs.
 *
 * A `struct noria_process` is one program that runs beneath a task. It never outlives that: closing it asks it to end
 * (SIGTERM), kills it when it has not after a grace (SIGKILL), and reaps it; and what a task forgot to close is closed
 * when the task ends. Until the close its pid stays its own, dead or alive, so that no signal can reach a stranger.
 *
 * Nothing here installs a signal handler. The library waits for each of its processes by descriptor; a program that
 * reaps any child it can get (wait(NULL), or SIGCHLD ignored) takes the status away, and the wait says -ECHILD.
 *
 * All functions belong to the runtime's thread. All since 0.2.
 */
#ifndef NORIA_PROCESS_H
#define NORIA_PROCESS_H

#include <noria/base.h>
#include <sys/resource.h>
#include <sys/wait.h>

NORIA_BEGIN_DECLS

/*
 * noria_waitid - as waitid(2): wait until a child changes its state.
 * noria_waitpid - as waitpid(2), by the same means.
 * @info: filled with what happened; may be NULL
 * @ret_status: filled with the status, for WIFEXITED() and its like; may be NULL
 *
 * A cancel reaps nobody: where the child was reaped, the call answers with success.
 * Where the kernel's ring cannot wait for processes (`noria doctor`: waitid), an exit is waited for by a descriptor of
 * the process; P_ALL, P_PGID, WSTOPPED and WCONTINUED are then asked for again and again, up to 20 ms apart.
 *
 * Returns: 0 (noria_waitpid(): the pid; 0 with WNOHANG when there is nothing to tell); -ECHILD when there is no such
 * child, or others reaped it; -EINVAL; -EBADF (P_PIDFD); -ECANCELED; -ENXIO outside a runtime. Checkpoint. Since 0.2.
 */
NORIA_PUBLIC NORIA_CHECKED int noria_waitid(idtype_t idtype, id_t id, siginfo_t *info, int options);
NORIA_PUBLIC NORIA_CHECKED pid_t noria_waitpid(pid_t pid, int *ret_status, int options);

/* What standard input, output or standard error of a program are. */
enum noria_stdio_kind {
	NORIA_STDIO_INHERIT = 0, /* the caller's own */
	NORIA_STDIO_NULL,        /* /dev/null */
	NORIA_STDIO_PIPE,        /* a pipe, whose other end is noria_process_fd() */
	NORIA_STDIO_FD,          /* the descriptor `fd`, which stays the caller's */
	NORIA_STDIO_OUTPUT,      /* of standard error: where standard output goes */
};

struct noria_stdio {
	enum noria_stdio_kind kind;
	int fd;
};

/* One more descriptor for a program: the caller's `fd` is its `number` (3 or more). */
struct noria_process_descriptor {
	int fd, number;
};

struct noria_process_limit {
	int resource; /* RLIMIT_... */
	struct rlimit limit;
};

enum noria_process_flags {
	/* In a process group of its own, and signals (of the close, too) go to all of the group. */
	NORIA_PROCESS_GROUP = 1 << 0,
	/* In a session of its own, without a terminal; a process group as well. */
	NORIA_PROCESS_SESSION = 1 << 1,
	/* Descriptors without FD_CLOEXEC are inherited, as by exec(3). Else the program gets what is named here. */
	NORIA_PROCESS_INHERIT_FDS = 1 << 2,
	/*
	 * The signal mask of this thread, and which signals are ignored, are inherited, as by exec(3). Else all signals
	 * are unblocked and have their default effect.
	 */
	NORIA_PROCESS_KEEP_SIGNALS = 1 << 3,
	/* As the user `uid` and the group `gid`, in no other groups. */
	NORIA_PROCESS_USER = 1 << 4,
};

enum { NORIA_PROCESS_FDS_MAX = 64 };

/* How a program is run, where the defaults do not do. All zero: the defaults. */
struct noria_process_options {
	struct noria_stdio input, output, errors;
	const char *directory; /* its working directory; NULL: the caller's */
	unsigned flags;        /* enum noria_process_flags */
	/* Sent by the kernel when the thread of this runtime ends (PR_SET_PDEATHSIG); 0: none. See noria_process(3). */
	int death_signal;
	int stop_signal;                            /* what the close sends first; 0: SIGTERM. SIGKILL: no grace */
	int64_t grace_ns;                           /* how long the close then waits before SIGKILL; 0: 5 s */
	const struct noria_process_descriptor *fds; /* up to NORIA_PROCESS_FDS_MAX */
	unsigned fds_count;
	unsigned limits_count;
	const struct noria_process_limit *limits; /* resource limits */
	uid_t uid;                                /* both with NORIA_PROCESS_USER */
	gid_t gid;
	uint64_t reserved[6]; /* zero */
};

/* Storage for a process, the caller's; the content is noria's. Must stay where it is from open to close. */
struct noria_process {
	uint64_t opaque[24];
} __attribute__((aligned(16)));

/*
 * noria_process_open - run a program.
 * @program: a path; a name without a slash is looked for in PATH
 * @argv: its arguments, argv[0] first, NULL last; NULL: { program, NULL }
 * @envp: its environment; NULL: the caller's
 * @options: NULL: defaults. Nothing of all this is kept
 *
 * It belongs to the task that opened it. The program is started on a thread of the executor, since exec(2) reads files;
 * with a `death_signal` on this one.
 *
 * Returns: 0, and the program runs; or the error of what could not be done, with noria_message() naming the program
 * and the step: -ENOENT, -EACCES, -ENOEXEC, -E2BIG, ... of execve(2); -ENOENT, -ENOTDIR of the directory; -EPERM of a
 * user or a limit; -EBADF of a descriptor; -EMFILE, -ENFILE; -EAGAIN (RLIMIT_NPROC, pids.max), -ENOMEM; -EINVAL when
 * it is open already or an option is not as said above; -ECANCELED (nothing was started); -ENXIO outside a runtime.
 * Checkpoint. Since 0.2.
 */
#define noria_process_open(process, program, argv, envp, ...) \
	noria_process_open_at((process), (program), (argv), (envp), (__VA_ARGS__), NORIA_SITE("process"))
NORIA_PUBLIC NORIA_CHECKED int noria_process_open_at(struct noria_process *process, const char *program,
						     char *const argv[], char *const envp[],
						     const struct noria_process_options *options,
						     const struct noria_site *site);

/*
 * noria_process_wait - wait until it ends. Any number of tasks, any number of times: its status is kept.
 * Returns: the status, >= 0, as of waitpid(2): 0 is success, WIFEXITED() and its like of <sys/wait.h> take it apart;
 * -ECHILD when somebody else reaped it; -ECANCELED (it runs on, until the close); -EPERM when it was closed meanwhile
 * and could not be ended; -EINVAL when it is not open; -ENXIO outside a runtime. Checkpoint. Since 0.2.
 */
NORIA_PUBLIC NORIA_CHECKED int noria_process_wait(struct noria_process *process);

/*
 * noria_process_kill - send it a signal, or to its group if it has one of its own. 0: none, only ask.
 * Who has got its number since others reaped it is not reached.
 * Returns: 0; -ESRCH when it is no more; -EPERM; -EINVAL when it is not open, or for no signal. Not a checkpoint.
 * Since 0.2.
 *
 * noria_process_pid - its pid, its own until the close. -EINVAL when it is not open. Not a checkpoint. Since 0.2.
 */
NORIA_PUBLIC int noria_process_kill(struct noria_process *process, int signal_number);
NORIA_PUBLIC pid_t noria_process_pid(const struct noria_process *process);

/*
 * noria_process_fd - our end of the pipe that is its descriptor `number` (0, 1 or 2): write to 0, read from 1 and 2.
 * It is closed with the process. Writing to a program that has ended raises SIGPIPE, as write(2) does.
 * Returns: the descriptor; -EBADF when there is no pipe (any more); -EINVAL when it is not open. Not a checkpoint.
 * Since 0.2.
 *
 * noria_process_close_fd - close our end now: the program reads the end of its input. Always completes; may park as
 * noria_close() does. Returns: 0, or as noria_process_fd(). Since 0.2.
 */
NORIA_PUBLIC int noria_process_fd(const struct noria_process *process, int number);
NORIA_PUBLIC int noria_process_close_fd(struct noria_process *process, int number);

/*
 * noria_process_close - end it and forget it. Our ends of its pipes are closed; if it runs it is sent its stop signal
 * and SIGCONT, and after the grace, or when that of a cancelled scope around is spent (noria_scope_set_grace()),
 * SIGKILL; what is left of a group of its own gets SIGKILL in any case. It is reaped. Always completes, cancelled or
 * not, when the process is dead. Tasks that wait for it get its status. Does nothing when it is not open. One that has
 * changed its user, so that it may not be signalled, and runs on after the grace, is left to itself: the failure
 * handler (run.h) is told, and those who wait for it. Since 0.2.
 *
 * noria_autoprocess - a process that closes itself at the end of its variable's block:
 *     noria_autoprocess struct noria_process process = {0};
 */
NORIA_PUBLIC void noria_process_close(struct noria_process *process);
#define noria_autoprocess __attribute__((cleanup(noria_process_close), unused))

/* What goes into a program and what comes out of it. */
struct noria_process_io {
	const void *input; /* all of its standard input; NULL: as the options say, /dev/null by default */
	size_t input_size;
	void *output; /* for its standard output; NULL: as the options say */
	size_t output_max;
	size_t output_size; /* set: what it wrote; more than `output_max`: the rest was read and dropped */
	void *errors;       /* the same of its standard error */
	size_t errors_max;
	size_t errors_size;
};

/*
 * noria_process_run - run a program to its end, feed it and collect what it writes, all side by side.
 * @io: NULL: neither is wanted
 * @options: NULL: defaults
 *
 * With .errors = {NORIA_STDIO_OUTPUT} in the options standard error is collected with the output. A program may leave
 * input unread. The end of its output is waited for, which programs that it left behind may hold open: put a time limit
 * around the call. Where the call fails, `output_size` and `errors_size` say what had come by then.
 *
 * Returns: the status as noria_process_wait(), or an error of noria_process_open(), noria_read() or noria_write();
 * -ECANCELED and the program was ended as by noria_process_close(). Checkpoint. Since 0.2.
 */
#define noria_process_run(program, argv, envp, io, ...) \
	noria_process_run_at((program), (argv), (envp), (io), (__VA_ARGS__), NORIA_SITE("process"))
NORIA_PUBLIC NORIA_CHECKED int noria_process_run_at(const char *program, char *const argv[], char *const envp[],
						    struct noria_process_io *io,
						    const struct noria_process_options *options,
						    const struct noria_site *site);

NORIA_END_DECLS
#endif
