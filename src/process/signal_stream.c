/* SPDX-License-Identifier: MIT */
/*
 * Signals as streams: a signalfd, polled for on the ring and read in this thread, since signals that are for one thread
 * can be read by that one alone. Reading is never asked of the kernel ahead, so a wait that is cancelled has taken no
 * signal.
 *
 * A signal has one stream in the process at most: two descriptors would share out the signals between them.
 */
#include "noria/signal.h"

#include "base/memcheck.h"
#include "base/message.h"
#include "noria/op.h"
#include "noria/scope.h"
#include "process/signal_threads.h"
#include "scope/scope.h"
#include "task/storage.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

struct signals {
	uint64_t magic;
	struct leftover leftover; /* closed for the task that forgets it */
	sigset_t set;
	sigset_t added; /* of these: blocked by us */
	int fd;
	unsigned waiting; /* tasks inside noria_signal_stream_next() */
};

enum { SIGNALS = 64 };

_Static_assert(sizeof(struct signals) <= sizeof(struct noria_signal_stream), "struct noria_signal_stream is too small");
_Static_assert(_Alignof(struct signals) <= _Alignof(struct noria_signal_stream),
	       "struct noria_signal_stream is aligned too little");

/* Where the stream of each signal was opened, in any thread; and the process that says so: a fork's child has none. */
static _Atomic(const struct noria_site *) owners[SIGNALS + 1];
static _Atomic(pid_t) owners_process;

static struct signals *from_public(const struct noria_signal_stream *stream)
{
	return (struct signals *)(uintptr_t)stream;
}

static uint64_t magic(const struct signals *signals)
{
	return UINT64_C(0x6e6f7269612e7369) ^ (uint64_t)(uintptr_t)signals;
}

static bool is_open(const struct signals *signals)
{
	(void)VALGRIND_MAKE_MEM_DEFINED(&signals->magic, sizeof signals->magic);
	return signals->magic == magic(signals);
}

static bool is_closing(const struct signals *signals)
{
	return signals->magic == ~magic(signals);
}

static uint64_t bits_of(const sigset_t *set)
{
	uint64_t bits = 0;

	for (int i = 1; i <= SIGNALS; i++)
		bits |= sigismember(set, i) == 1 ? signal_bit(i) : 0;
	return bits;
}

static int check_set(const sigset_t *set)
{
	static const int never[] = {SIGKILL, SIGSTOP, SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS};

	for (size_t i = 0; i < sizeof never / sizeof never[0]; i++)
		if (sigismember(set, never[i]))
			return noria_refuse(-EINVAL, "a signal stream cannot take SIG%s", sigabbrev_np(never[i]));
	return bits_of(set) ? 0 : noria_refuse(-EINVAL, "a signal stream for no signal");
}

static void disown(uint64_t bits)
{
	for (int i = 1; i <= SIGNALS; i++)
		if (bits & signal_bit(i))
			atomic_store(&owners[i], NULL);
}

static void disown_parents(void)
{
	if (atomic_exchange(&owners_process, getpid()) != getpid())
		disown(~UINT64_C(0));
}

static int own(uint64_t bits, const struct noria_site *site)
{
	for (int i = 1; i <= SIGNALS; i++) {
		const struct noria_site *other = NULL;

		if (!(bits & signal_bit(i)) || atomic_compare_exchange_strong(&owners[i], &other, site))
			continue;
		disown(bits & (signal_bit(i) - 1));
		return noria_refuse(
			-EBUSY,
			"signal %d has a stream already, opened at %s:%d. Remedy: read it there, and tell others "
			"by a broadcast",
			i, other->file, other->line);
	}
	return 0;
}

/* From now on they wait until they are read. */
static void block(struct signals *signals)
{
	sigset_t before;

	pthread_sigmask(SIG_BLOCK, &signals->set, &before);
	sigemptyset(&signals->added);
	for (int i = 1; i <= SIGNALS; i++)
		if (sigismember(&signals->set, i) == 1 && !sigismember(&before, i))
			sigaddset(&signals->added, i);
}

static int open_owned(struct signals *signals)
{
	int r;

	block(signals);
	r = noria_signals_refuse_unblocked(bits_of(&signals->set));
	if (r >= 0) {
		signals->fd = signalfd(-1, &signals->set, SFD_NONBLOCK | SFD_CLOEXEC);
		r = signals->fd < 0 ? noria_refuse(-errno, "no signalfd: %s", strerror(errno)) : 0;
	}
	if (r < 0)
		pthread_sigmask(SIG_UNBLOCK, &signals->added, NULL);
	return r;
}

static bool close_leftover(struct leftover *leftover);

int noria_signal_stream_open_at(struct noria_signal_stream *storage, const sigset_t *set, const struct noria_site *site)
{
	struct signals *signals = from_public(storage);
	struct task *task = noria_current();
	int r;

	if (!task)
		return -ENXIO;
	if (is_open(signals) || is_closing(signals))
		return noria_refuse(-EINVAL, "the signal stream at %s:%d is open already: it was opened at %s:%d",
				    site->file, site->line, signals->leftover.site->file, signals->leftover.site->line);
	r = check_set(set);
	if (r < 0)
		return r;
	disown_parents();
	r = own(bits_of(set), site);
	if (r < 0)
		return r;
	memset(signals, 0, sizeof *signals);
	signals->set = *set;
	r = open_owned(signals);
	if (r < 0) {
		disown(bits_of(set));
		return r;
	}
	signals->leftover.task = task;
	signals->leftover.site = site;
	signals->leftover.close = close_leftover;
	signals->leftover.waits = true;
	leftover_add(&signals->leftover);
	signals->magic = magic(signals);
	return 0;
}

static int take(const struct signals *signals, struct noria_signal *ret_signal)
{
	struct signalfd_siginfo info;
	ssize_t n = read(signals->fd, &info, sizeof info);

	if (n < 0)
		return -errno;
	if (ret_signal)
		*ret_signal = (struct noria_signal){
			.signo = (int)info.ssi_signo,
			.code = info.ssi_code,
			.pid = (pid_t)info.ssi_pid,
			.uid = info.ssi_uid,
			.status = info.ssi_status,
			.value = info.ssi_int,
			.pointer = (void *)(uintptr_t)info.ssi_ptr,
		};
	return (int)info.ssi_signo;
}

static int next(const struct signals *signals, struct task *task, struct noria_signal *ret_signal)
{
	int r = scope_door(task);

	while (r >= 0) {
		if (!is_open(signals))
			return -EBADF;
		r = take(signals, ret_signal);
		if (r != -EAGAIN)
			break;
		r = noria_poll(signals->fd, POLLIN);
	}
	task_spend(task);
	return r;
}

int noria_signal_stream_next(struct noria_signal_stream *storage, struct noria_signal *ret_signal)
{
	struct signals *signals = from_public(storage);
	struct task *task = noria_current();
	int r;

	if (!task)
		return -ENXIO;
	if (!is_open(signals))
		return noria_refuse(-EINVAL, "a signal stream that is not open");
	signals->waiting++;
	r = (int)noria_idle(next(signals, task, ret_signal));
	signals->waiting--;
	return r;
}

/* Until its last statement the storage is in use: another task that closes it too waits for that. */
static void close_stream(struct signals *signals, struct task *task)
{
	signals->magic = ~magic(signals);
	(void)noria_close(signals->fd);
	while (signals->waiting > 0)
		noria_task_yield(task);
	disown(bits_of(&signals->set));
	pthread_sigmask(SIG_UNBLOCK, &signals->added, NULL);
	leftover_remove(&signals->leftover);
	signals->magic = 0;
}

static bool close_once(struct signals *signals, struct task *task)
{
	bool open = is_open(signals);

	if (open)
		close_stream(signals, task);
	while (is_closing(signals))
		noria_task_yield(task);
	return open;
}

static bool close_leftover(struct leftover *leftover)
{
	return close_once(container_of(leftover, struct signals, leftover), noria_loop->current);
}

void noria_signal_stream_close(struct noria_signal_stream *storage)
{
	struct task *task = noria_current();

	if (task)
		(void)close_once(from_public(storage), task);
}
