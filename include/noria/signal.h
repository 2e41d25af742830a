/* SPDX-License-Identifier: MIT */
/*
 * Signals as streams: a signal is read by a task like anything else that comes from outside, instead of interrupting
 * the program in a handler.
 *
 * While a stream is open its signals are blocked in the runtime's thread, and wait in the kernel until a task takes
 * them. A signal for the process goes to any thread that does not block it, so all of them must: open the stream
 * before other threads start (they inherit the mask), or block its signals in main() before that. Opening looks, and
 * refuses where a thread would take them away. (Threads of the library block all signals.)
 *
 * SIGINT and SIGTERM: a stream for them takes them from the drain (run.h). The program then calls noria_drain()
 * itself; that ends the wait for the next signal, and once the stream is closed the drain gets them again, a further
 * signal beginning to count anew.
 *
 * SIGCHLD says that some child changed its state, and one may stand for many: look at your children with
 * noria_waitpid(pid, &status, WNOHANG) for each pid you know. Processes of process.h need no SIGCHLD.
 *
 * All functions belong to the runtime's thread. All since 0.2.
 */
#ifndef NORIA_SIGNAL_H
#define NORIA_SIGNAL_H

#include <noria/base.h>
#include <signal.h>

NORIA_BEGIN_DECLS

/* Storage for a stream, the caller's; the content is noria's. Must stay where it is from open to close. */
struct noria_signal_stream {
	uint64_t opaque[48];
} __attribute__((aligned(16)));

/* A signal that came, as siginfo_t says it. */
struct noria_signal {
	int signo;
	int code;      /* SI_USER, SI_QUEUE, CLD_EXITED, ... */
	pid_t pid;     /* who sent it; of SIGCHLD, the child */
	uid_t uid;     /* as whom */
	int status;    /* of SIGCHLD: as si_status */
	int value;     /* of sigqueue(3): sival_int */
	void *pointer; /* of sigqueue(3): sival_ptr, where only the sender's own process finds something */
};

/*
 * noria_signal_stream_open - begin to take signals.
 * @set: which; not SIGKILL, SIGSTOP, nor what a fault raises (SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS)
 *
 * Returns: 0; -EBUSY when a signal of the set has a stream already, or a thread of the process does not block it, which
 * noria_message() names; -EINVAL when the stream is open already, or the set is empty or holds one of the above;
 * -EMFILE, -ENFILE, -ENOMEM; -ENXIO outside a runtime. Not a checkpoint. Since 0.2.
 */
#define noria_signal_stream_open(stream, set) noria_signal_stream_open_at((stream), (set), NORIA_SITE("signal stream"))
NORIA_PUBLIC NORIA_CHECKED int noria_signal_stream_open_at(struct noria_signal_stream *stream, const sigset_t *set,
							   const struct noria_site *site);

/*
 * noria_signal_stream_next - wait for the next signal: an idle wait, which a drain ends (run.h).
 * @ret_signal: filled; NULL: the number will do
 *
 * Signals that come between two calls wait; of the ordinary ones (below SIGRTMIN) one of each at most, as the kernel
 * has it. Several tasks may wait: each signal goes to one of them.
 * Returns: its number; -ECANCELED (no signal was taken); -EBADF when the stream was closed meanwhile; -EINVAL when it
 * is not open; -ENXIO outside a runtime. Checkpoint. Since 0.2.
 */
NORIA_PUBLIC NORIA_CHECKED int noria_signal_stream_next(struct noria_signal_stream *stream,
							struct noria_signal *ret_signal);

/*
 * noria_signal_stream_close - end the stream. Signals that were not blocked before are unblocked: what has come and was
 * not taken has its usual effect now, that of a handler or the default one. Always completes; may park. Does nothing
 * when it is not open. What a task forgot to close is closed when the task ends, and is its failure. Since 0.2.
 *
 * noria_autosignals - a stream that closes itself at the end of its variable's block:
 *     noria_autosignals struct noria_signal_stream stream = {0};
 */
NORIA_PUBLIC void noria_signal_stream_close(struct noria_signal_stream *stream);
#define noria_autosignals __attribute__((cleanup(noria_signal_stream_close), unused))

NORIA_END_DECLS
#endif
