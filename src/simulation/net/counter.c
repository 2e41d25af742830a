/* SPDX-License-Identifier: MIT */
/* Descriptors that count: eventfd(2), and signalfd(2), which reads the signals that are pending for its host. */
#include "simulation/net/socket.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>

/* ---- eventfd ---- */

struct event_file {
	struct sim_file file;
	uint64_t count;
	bool semaphore;
};

static struct event_file *event_of(struct sim_file *file)
{
	return container_of(file, struct event_file, file);
}

static int64_t event_read(struct sim_file *file, struct sim_transfer *transfer)
{
	struct event_file *event = event_of(file);
	uint64_t count = event->semaphore ? 1 : event->count;

	if (transfer->size < sizeof count)
		return -EINVAL;
	if (event->count == 0)
		return -EAGAIN;
	sim_transfer_to(transfer, 0, &count, sizeof count);
	if (transfer->flags & MSG_PEEK)
		return sizeof count;
	event->count -= count;
	sim_file_wake(file, POLLOUT);
	return sizeof count;
}

static int64_t event_write(struct sim_file *file, struct sim_transfer *transfer)
{
	struct event_file *event = event_of(file);
	uint64_t more;

	if (transfer->size < sizeof more)
		return -EINVAL;
	sim_transfer_from(transfer, 0, &more, sizeof more);
	if (more == UINT64_MAX)
		return -EINVAL;
	if (more > UINT64_MAX - 1 - event->count)
		return -EAGAIN;
	event->count += more;
	if (event->count > 0)
		sim_file_wake(file, POLLIN);
	return sizeof more;
}

static unsigned event_poll(struct sim_file *file)
{
	uint64_t count = event_of(file)->count;

	return (count > 0 ? POLLIN : 0) | (count < UINT64_MAX - 1 ? POLLOUT : 0);
}

static void event_release(struct sim_file *file)
{
	free(event_of(file));
}

static const struct sim_file_class event_class = {
	.noun = "eventfd", .poll = event_poll, .read = event_read, .write = event_write, .release = event_release};

int sim_eventfd(struct sim_host *host, unsigned initial, int flags)
{
	struct event_file *event;

	if (flags & ~(EFD_CLOEXEC | EFD_NONBLOCK | EFD_SEMAPHORE))
		return -EINVAL;
	event = calloc(1, sizeof *event);
	if (!event)
		return -ENOMEM;
	sim_file_init(&event->file, &event_class, host->world, host, "eventfd", O_RDWR | (flags & EFD_NONBLOCK));
	event->count = initial;
	event->semaphore = flags & EFD_SEMAPHORE;
	return sim_fd_install(&event->file);
}

/* ---- signalfd ---- */

struct signal_file {
	struct sim_file file;
	struct list node; /* in net->signal_files */
	uint64_t mask;    /* bit n - 1: signal n */
};

static struct signal_file *signal_of(struct sim_file *file)
{
	return container_of(file, struct signal_file, file);
}

static uint64_t *pending(const struct sim_host *host)
{
	return &host->world->net->signals[host->number];
}

static int64_t signal_read(struct sim_file *file, struct sim_transfer *transfer)
{
	uint64_t *signals = pending(file->host), left = *signals & signal_of(file)->mask;
	size_t done = 0;

	if (transfer->size < sizeof(struct signalfd_siginfo))
		return -EINVAL;
	while (left && done + sizeof(struct signalfd_siginfo) <= transfer->size) {
		struct signalfd_siginfo info = {.ssi_signo = (uint32_t)__builtin_ctzll(left) + 1};

		sim_transfer_to(transfer, done, &info, sizeof info);
		done += sizeof info;
		if (!(transfer->flags & MSG_PEEK))
			*signals &= ~(left & -left);
		left &= left - 1;
	}
	return done > 0 ? (int64_t)done : -EAGAIN;
}

static unsigned signal_poll(struct sim_file *file)
{
	return *pending(file->host) & signal_of(file)->mask ? POLLIN : 0;
}

static void signal_release(struct sim_file *file)
{
	list_remove(&signal_of(file)->node);
	free(signal_of(file));
}

static const struct sim_file_class signal_class = {
	.noun = "signalfd", .poll = signal_poll, .read = signal_read, .release = signal_release};

static uint64_t bits_of(const sigset_t *set)
{
	uint64_t bits = 0;

	for (int i = 1; i <= 64; i++)
		if (i != SIGKILL && i != SIGSTOP && sigismember(set, i) == 1)
			bits |= UINT64_C(1) << (i - 1);
	return bits;
}

static int make_signal_file(struct sim_host *host, const sigset_t *mask, int flags)
{
	struct signal_file *signal = calloc(1, sizeof *signal);

	if (!signal)
		return -ENOMEM;
	sim_file_init(&signal->file, &signal_class, host->world, host, "signalfd", O_RDWR | (flags & SFD_NONBLOCK));
	signal->mask = bits_of(mask);
	list_push_back(&host->world->net->signal_files, &signal->node);
	return sim_fd_install(&signal->file);
}

int sim_signalfd(struct sim_host *host, struct sim_file *file, const sigset_t *mask, int flags)
{
	if (flags & ~(SFD_CLOEXEC | SFD_NONBLOCK))
		return -EINVAL;
	if (!file)
		return make_signal_file(host, mask, flags);
	if (file->class != &signal_class)
		return -EINVAL;
	signal_of(file)->mask = bits_of(mask);
	if (signal_poll(file))
		sim_file_wake(file, POLLIN);
	return 0;
}

void sim_host_signal(struct sim_host *host, int signal)
{
	struct list *files = &host->world->net->signal_files;

	if (!host->up || signal < 1 || signal > 64)
		return;
	*pending(host) |= UINT64_C(1) << (signal - 1);
	for (struct list *node = files->next; node != files; node = node->next) {
		struct signal_file *file = list_entry(node, struct signal_file, node);

		if (file->file.host == host && signal_poll(&file->file))
			sim_file_wake(&file->file, POLLIN);
	}
}

void sim_signals_host_crashed(struct sim_host *host)
{
	*pending(host) = 0;
}
