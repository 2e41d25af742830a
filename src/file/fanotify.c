/* SPDX-License-Identifier: MIT */
/* fanotify. Events bring descriptors: those of events that nobody asked for are closed with the queue. */
#include "noria/watch.h"

#include "base/message.h"
#include "file/blocking.h"
#include "file/events.h"

#include <errno.h>
#include <string.h>
#include <sys/fanotify.h>
#include <sys/syscall.h>
#include <unistd.h>

static struct events *from_public(const struct noria_fanotify *fanotify)
{
	return (struct events *)(uintptr_t)fanotify;
}

static size_t length(const void *event)
{
	return ((const struct fanotify_event_metadata *)event)->event_len;
}

/* The descriptor of the file, and with FAN_REPORT_PIDFD that of the process. */
static void drop(void *event)
{
	const struct fanotify_event_metadata *metadata = event;
	const struct fanotify_event_info_header *info;

	if (metadata->fd >= 0)
		close(metadata->fd);
	for (size_t at = metadata->metadata_len; at < metadata->event_len; at += info->len) {
		info = (const void *)((const char *)event + at);
		if (info->info_type == FAN_EVENT_INFO_TYPE_PIDFD) {
			int fd = ((const struct fanotify_event_info_pidfd *)(const void *)info)->pidfd;

			if (fd >= 0)
				close(fd);
		}
	}
}

static int refuse(int error)
{
	if (error == -EPERM)
		return noria_refuse(
			error, "fanotify: not permitted. Remedy: CAP_SYS_ADMIN, or FAN_CLASS_NOTIF | FAN_REPORT_FID "
			       "and marks of inodes alone, or inotify");
	return noria_refuse(error, "no fanotify (%s)", strerror(-error));
}

int noria_fanotify_open_at(unsigned flags, unsigned event_flags, struct noria_fanotify **ret_fanotify,
			   const struct noria_site *site)
{
	struct task *task = noria_current();
	struct events *events;
	int fd, r;

	if (!task)
		return -ENXIO;
	r = noria_loop_refuse_simulated(task->loop, "fanotify");
	if (r < 0)
		return r;
	fd = fanotify_init(flags | FAN_CLOEXEC | FAN_NONBLOCK, event_flags);
	if (fd < 0)
		return refuse(-errno);
	r = noria_events_new(task, fd, site, &events);
	if (r < 0)
		return r;
	events->length = length;
	events->drop = drop;
	*ret_fanotify = (struct noria_fanotify *)events;
	return 0;
}

int noria_fanotify_mark(struct noria_fanotify *fanotify, unsigned flags, uint64_t mask, int dirfd, const char *path)
{
	int fd = from_public(fanotify)->fd, r;

	_Static_assert(sizeof(long) == 8, "the mask is one argument");
	r = (int)file_block("fanotify_mark", fd, dirfd, SYS_fanotify_mark, fd, (long)flags, (long)mask, (long)dirfd,
			    (long)(uintptr_t)path);
	return r == -EPERM ? refuse(r) : r;
}

int noria_fanotify_next(struct noria_fanotify *fanotify, struct noria_fanotify_event *ret_event)
{
	const void *data;
	int r = noria_events_next(from_public(fanotify), &data);

	if (r == 0) {
		const struct fanotify_event_metadata *event = data;

		*ret_event = (struct noria_fanotify_event){.mask = event->mask,
							   .fd = event->fd < 0 ? -1 : event->fd,
							   .pid = event->pid,
							   .info = (const char *)data + event->metadata_len,
							   .info_size = event->event_len - event->metadata_len};
	}
	return r;
}

int noria_fanotify_respond(struct noria_fanotify *fanotify, int fd, unsigned response)
{
	struct fanotify_response answer = {.fd = fd, .response = response};

	if (!noria_current())
		return -ENXIO;
	return write(from_public(fanotify)->fd, &answer, sizeof answer) < 0 ? -errno : 0;
}

void noria_fanotify_close(struct noria_fanotify *fanotify)
{
	noria_events_close(from_public(fanotify));
}

void noria_autofanotify_(struct noria_fanotify **fanotify)
{
	noria_fanotify_close(*fanotify);
}
