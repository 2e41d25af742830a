/* SPDX-License-Identifier: MIT */
/*
 * Watching files: what happens to them comes event by event, from inotify(7) or fanotify(7). Waiting for the next event
 * is an idle wait, which ends when the runtime drains. When the kernel's queue was too short, that is an event too
 * (IN_Q_OVERFLOW, FAN_Q_OVERFLOW), and nothing that came before it is lost.
 *
 * A queue of events belongs to the task that opened it, is closed for that task if it forgets, and one task at a time
 * may wait for its next event. All since 0.2.
 */
#ifndef NORIA_WATCH_H
#define NORIA_WATCH_H

#include <noria/base.h>

NORIA_BEGIN_DECLS

/* ---- inotify */

struct noria_inotify;

struct noria_inotify_event {
	int watch; /* as noria_inotify_add() returned it; -1: IN_Q_OVERFLOW */
	uint32_t mask;
	uint32_t cookie;  /* joins the two events of a renaming; else 0 */
	const char *name; /* within the watched directory, or ""; valid until the next call */
};

/*
 * noria_inotify_open - a queue of events, with nothing watched yet.
 * @ret_inotify: set to it; it is to be closed
 * Returns: 0; -EMFILE with the limit to raise (noria_message()); -ENOMEM; -ENXIO outside a runtime. Not a checkpoint.
 */
#define noria_inotify_open(ret_inotify) noria_inotify_open_at((ret_inotify), NORIA_SITE("inotify"))
NORIA_PUBLIC NORIA_CHECKED int noria_inotify_open_at(struct noria_inotify **ret_inotify, const struct noria_site *site);

/*
 * noria_inotify_add, noria_inotify_remove - as inotify_add_watch(2), on a thread of the executor, and
 * inotify_rm_watch(2).
 * Returns: the watch (a small number), or 0; their errors, -ENOSPC with the limit to raise; for adding the errors of
 * noria_offload(). Adding is a checkpoint, removing is not.
 */
NORIA_PUBLIC NORIA_CHECKED int noria_inotify_add(struct noria_inotify *inotify, const char *path, uint32_t mask);
NORIA_PUBLIC int noria_inotify_remove(struct noria_inotify *inotify, int watch);

/*
 * noria_inotify_next - wait for the next event.
 * @ret_event: set to it
 * Returns: 0; -ECANCELED, also when the runtime drains (no event is lost); -EBADF when another task closed it
 * meanwhile; -EINVAL when another task is in this call; -ENXIO outside a runtime. Checkpoint.
 */
NORIA_PUBLIC NORIA_CHECKED int noria_inotify_next(struct noria_inotify *inotify, struct noria_inotify_event *ret_event);

/*
 * noria_inotify_close - end of watching; NULL is fine. Always done, cancelled or not; may park; no checkpoint.
 * `noria_autoinotify struct noria_inotify *inotify = NULL;` closes itself at the end of its block.
 */
NORIA_PUBLIC void noria_inotify_close(struct noria_inotify *inotify);
#define noria_autoinotify __attribute__((cleanup(noria_autoinotify_), unused))
NORIA_PUBLIC void noria_autoinotify_(struct noria_inotify **inotify);

/* ---- fanotify */

struct noria_fanotify;

struct noria_fanotify_event {
	uint64_t mask; /* FAN_Q_OVERFLOW: nothing else is told */
	int fd;        /* the file, yours to close; -1 with FAN_REPORT_FID and its kin */
	pid_t pid;     /* who did it (with FAN_REPORT_TID its thread); 0: who is not to be told */
	/*
	 * What else the event has: records of struct fanotify_event_info_header and what follows it (<sys/fanotify.h>),
	 * as the flags at opening asked for. Valid until the next call.
	 */
	const void *info;
	size_t info_size;
};

/*
 * noria_fanotify_open - as fanotify_init(2).
 * @flags: FAN_CLASS_..., FAN_REPORT_...; FAN_CLOEXEC and FAN_NONBLOCK are added
 * @event_flags: of the descriptors that events bring: O_RDONLY | O_CLOEXEC, ...
 * @ret_fanotify: set to it; it is to be closed
 * Returns: 0; -EPERM without CAP_SYS_ADMIN for what needs it, with the remedy in noria_message(); -ENOSYS; -EINVAL;
 * -EMFILE; -ENOMEM; -ENXIO outside a runtime. Not a checkpoint.
 */
#define noria_fanotify_open(flags, event_flags, ret_fanotify) \
	noria_fanotify_open_at((flags), (event_flags), (ret_fanotify), NORIA_SITE("fanotify"))
NORIA_PUBLIC NORIA_CHECKED int noria_fanotify_open_at(unsigned flags, unsigned event_flags,
						      struct noria_fanotify **ret_fanotify,
						      const struct noria_site *site);

/*
 * noria_fanotify_mark - as fanotify_mark(2), on a thread of the executor.
 * Returns: 0; its errors, -EPERM with the remedy; the errors of noria_offload(). Checkpoint.
 */
NORIA_PUBLIC NORIA_CHECKED int noria_fanotify_mark(struct noria_fanotify *fanotify, unsigned flags, uint64_t mask,
						   int dirfd, const char *path);

/*
 * noria_fanotify_next - wait for the next event.
 * @ret_event: set to it; close its `fd`
 * Returns: as noria_inotify_next(). Checkpoint.
 */
NORIA_PUBLIC NORIA_CHECKED int noria_fanotify_next(struct noria_fanotify *fanotify,
						   struct noria_fanotify_event *ret_event);

/*
 * noria_fanotify_respond - answer an event that asks for permission (FAN_OPEN_PERM, ...): FAN_ALLOW or FAN_DENY. The
 * process that is asking waits for it: answer also in a cancelled scope, which is why this is no checkpoint. The
 * runtime that answers must not itself open what it is asked about: the kernel would make it wait for its own answer.
 * Let noria_offload() do that.
 * Returns: 0; -ENOENT when the event was answered before; -EINVAL; -ENXIO outside a runtime.
 */
NORIA_PUBLIC int noria_fanotify_respond(struct noria_fanotify *fanotify, int fd, unsigned response);

/* noria_fanotify_close - as noria_inotify_close(). The kernel allows whatever was not answered. */
NORIA_PUBLIC void noria_fanotify_close(struct noria_fanotify *fanotify);
#define noria_autofanotify __attribute__((cleanup(noria_autofanotify_), unused))
NORIA_PUBLIC void noria_autofanotify_(struct noria_fanotify **fanotify);

NORIA_END_DECLS
#endif
