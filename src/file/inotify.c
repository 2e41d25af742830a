/* SPDX-License-Identifier: MIT */
/* inotify. A path may have to be looked up on a disk, so a thread adds watches; everything else never waits. */
#include "noria/watch.h"

#include "base/message.h"
#include "file/blocking.h"
#include "file/events.h"

#include <errno.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/syscall.h>

static struct events *from_public(const struct noria_inotify *inotify)
{
	return (struct events *)(uintptr_t)inotify;
}

static size_t length(const void *event)
{
	return sizeof(struct inotify_event) + ((const struct inotify_event *)event)->len;
}

int noria_inotify_open_at(struct noria_inotify **ret_inotify, const struct noria_site *site)
{
	struct task *task = noria_current();
	struct events *events;
	int fd, r;

	if (!task)
		return -ENXIO;
	r = noria_loop_refuse_simulated(task->loop, "inotify");
	if (r < 0)
		return r;
	fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	if (fd < 0)
		return noria_refuse(-errno,
				    "no inotify (%s). Remedy: raise fs.inotify.max_user_instances or RLIMIT_NOFILE",
				    strerror(errno));
	r = noria_events_new(task, fd, site, &events);
	if (r < 0)
		return r;
	events->length = length;
	*ret_inotify = (struct noria_inotify *)events;
	return 0;
}

int noria_inotify_add(struct noria_inotify *inotify, const char *path, uint32_t mask)
{
	int fd = from_public(inotify)->fd;
	int r = (int)file_block("inotify_add_watch", fd, -1, SYS_inotify_add_watch, fd, (long)(uintptr_t)path,
				(long)mask);

	if (r == -ENOSPC)
		noria_refuse(r, "no more inotify watches. Remedy: raise fs.inotify.max_user_watches");
	return r;
}

int noria_inotify_remove(struct noria_inotify *inotify, int watch)
{
	if (!noria_current())
		return -ENXIO;
	return inotify_rm_watch(from_public(inotify)->fd, watch) < 0 ? -errno : 0;
}

int noria_inotify_next(struct noria_inotify *inotify, struct noria_inotify_event *ret_event)
{
	const void *data;
	int r = noria_events_next(from_public(inotify), &data);

	if (r == 0) {
		const struct inotify_event *event = data;

		*ret_event = (struct noria_inotify_event){.watch = event->wd,
							  .mask = event->mask,
							  .cookie = event->cookie,
							  .name = event->len > 0 ? event->name : ""};
	}
	return r;
}

void noria_inotify_close(struct noria_inotify *inotify)
{
	noria_events_close(from_public(inotify));
}

void noria_autoinotify_(struct noria_inotify **inotify)
{
	noria_inotify_close(*inotify);
}
