/* SPDX-License-Identifier: MIT */
/* inotify and fanotify: events one by one, none lost to a cancel or a limit, overflow, closing. */
#include "unit.h"

#include <fcntl.h>
#include <sys/fanotify.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

static char place[32];

static int make_place(void)
{
	int fd;

	strcpy(place, "/tmp/noria-unit-XXXXXX");
	MUST(mkdtemp(place));
	fd = open(place, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	MUST(fd >= 0);
	return fd;
}

static void remove_place(int fd)
{
	char command[64];

	snprintf(command, sizeof command, "rm -rf %s", place);
	MUST(close(fd) == 0 && system(command) == 0);
}

static void touch(int directory, const char *name)
{
	MUST(mknodat(directory, name, S_IFREG | 0600, 0) == 0);
}

UNIT(inotify, tells_of_each_event_with_name_and_cookie)
{
	noria_autoinotify struct noria_inotify *inotify = NULL;
	struct noria_inotify_event event;
	int fd = make_place(), watch;
	uint32_t cookie;

	MUST(noria_inotify_open(&inotify) == 0);
	watch = noria_inotify_add(inotify, place, IN_CREATE | IN_MOVE | IN_DELETE | IN_DELETE_SELF);
	MUST(watch >= 0);
	touch(fd, "one");
	MUST(renameat(fd, "one", fd, "another") == 0 && unlinkat(fd, "another", 0) == 0);
	MUST(noria_inotify_next(inotify, &event) == 0);
	EXPECT(event.watch == watch && event.mask == IN_CREATE && event.cookie == 0);
	EXPECT(strcmp(event.name, "one") == 0);
	MUST(noria_inotify_next(inotify, &event) == 0);
	cookie = event.cookie;
	EXPECT(event.mask == IN_MOVED_FROM && cookie != 0 && strcmp(event.name, "one") == 0);
	MUST(noria_inotify_next(inotify, &event) == 0);
	EXPECT(event.mask == IN_MOVED_TO && event.cookie == cookie && strcmp(event.name, "another") == 0);
	MUST(noria_inotify_next(inotify, &event) == 0);
	EXPECT(event.mask == IN_DELETE && strcmp(event.name, "another") == 0);
	EXPECT_EQ(noria_inotify_remove(inotify, watch), 0);
	MUST(noria_inotify_next(inotify, &event) == 0);
	EXPECT(event.mask == IN_IGNORED && event.watch == watch && strcmp(event.name, "") == 0);
	EXPECT_EQ(noria_inotify_remove(inotify, watch), -EINVAL);
	EXPECT_EQ(noria_within(noria_msec(1), noria_inotify_next(inotify, &event)), -ETIMEDOUT);
	remove_place(fd);
	return 0;
}

UNIT(inotify, errors_of_adding)
{
	noria_autoinotify struct noria_inotify *inotify = NULL;

	MUST(noria_inotify_open(&inotify) == 0);
	EXPECT_EQ(noria_inotify_add(inotify, "/nowhere", IN_CREATE), -ENOENT);
	EXPECT_EQ(noria_inotify_add(inotify, "/tmp", 0), -EINVAL);
	EXPECT_EQ(noria_within(0, noria_inotify_add(inotify, "/tmp", IN_CREATE)), -ETIMEDOUT);
	noria_inotify_close(NULL);
	return 0;
}

/* Half of the calls are in a scope that is cancelled already; limits pass in the others. */
UNIT(inotify, no_event_is_lost_to_cancels_and_limits)
{
	noria_autoinotify struct noria_inotify *inotify = NULL;
	struct noria_inotify_event event;
	int fd = make_place(), stopped = 0;
	char name[16];

	MUST(noria_inotify_open(&inotify) == 0 && noria_inotify_add(inotify, place, IN_CREATE) >= 0);
	for (int made = 0, seen = 0; seen < 300;) {
		int r;

		for (int i = 0; i < made % 4 && made < 300; i++, made++) {
			snprintf(name, sizeof name, "%d", made);
			touch(fd, name);
		}
		if (made < 300) {
			snprintf(name, sizeof name, "%d", made++);
			touch(fd, name);
		}
		r = noria_within(seen % 2 ? 0 : noria_usec(seen % 5 * 20), noria_inotify_next(inotify, &event));
		if (r == -ETIMEDOUT) {
			stopped++;
			r = noria_inotify_next(inotify, &event);
		}
		MUST(r == 0);
		EXPECT_EQ(event.mask, IN_CREATE);
		EXPECT_EQ(atoi(event.name), seen);
		seen++;
	}
	EXPECT(stopped >= 150);
	remove_place(fd);
	return 0;
}

struct waiter {
	struct noria_inotify *inotify;
	struct noria_inotify_event event;
	bool waits;
	int result;
};

static int wait_for_event(void *arg)
{
	struct waiter *waiter = arg;

	waiter->waits = true;
	waiter->result = noria_inotify_next(waiter->inotify, &waiter->event);
	waiter->waits = false;
	return 0;
}

static void start(struct waiter *waiter, struct noria_group *group)
{
	*waiter = (struct waiter){.result = 1};
	MUST(noria_inotify_open(&waiter->inotify) == 0);
	MUST(noria_inotify_add(waiter->inotify, place, IN_CREATE) >= 0);
	MUST(noria_group_open(group) == 0 && noria_spawn(group, wait_for_event, waiter) == 0);
	UNTIL(waiter->waits);
	for (int i = 0; i < 4; i++)
		MUST(noria_yield() == 0);
}

UNIT(inotify, wakes_who_waits)
{
	struct noria_group group;
	struct waiter waiter;
	int fd = make_place();

	start(&waiter, &group);
	EXPECT_EQ(noria_inotify_next(waiter.inotify, &waiter.event), -EINVAL); /* one at a time */
	EXPECT(strstr(noria_message(), "another task"));
	touch(fd, "file");
	EXPECT_EQ(noria_group_close(&group, 0), 0);
	EXPECT_EQ(waiter.result, 0);
	EXPECT(strcmp(waiter.event.name, "file") == 0);
	noria_inotify_close(waiter.inotify);
	remove_place(fd);
	return 0;
}

UNIT(inotify, closing_ends_the_wait)
{
	struct noria_group group;
	struct waiter waiter;
	int fd = make_place();

	start(&waiter, &group);
	noria_inotify_close(waiter.inotify);
	EXPECT_EQ(noria_group_close(&group, 0), 0);
	EXPECT_EQ(waiter.result, -EBADF);
	remove_place(fd);
	return 0;
}

UNIT(inotify, cancelling_and_draining_end_the_wait)
{
	struct noria_group group;
	struct waiter waiter;
	int fd = make_place();

	start(&waiter, &group);
	noria_group_cancel(&group);
	EXPECT_EQ(noria_group_close(&group, 0), 0);
	EXPECT_EQ(waiter.result, -ECANCELED);
	noria_inotify_close(waiter.inotify);
	start(&waiter, &group);
	noria_drain();
	UNTIL(!waiter.waits);
	EXPECT_EQ(waiter.result, -ECANCELED);
	EXPECT_EQ(noria_group_close(&group, 0), 0);
	noria_inotify_close(waiter.inotify);
	remove_place(fd);
	return 0;
}

/* More than the kernel's queue holds: what fits comes, then word of the overflow, then what is new. */
UNIT(inotify, an_overflow_is_an_event)
{
	noria_autoinotify struct noria_inotify *inotify = NULL;
	struct noria_inotify_event event;
	int fd = make_place(), file, count = 0;
	unsigned limit = 0;
	FILE *queue = fopen("/proc/sys/fs/inotify/max_queued_events", "r");

	MUST(queue && fscanf(queue, "%u", &limit) == 1 && fclose(queue) == 0);
	file = openat(fd, "file", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	MUST(file >= 0 && noria_inotify_open(&inotify) == 0);
	MUST(noria_inotify_add(inotify, place, IN_MODIFY | IN_ATTRIB | IN_CREATE) >= 0);
	for (unsigned i = 0; i < limit / 2 + 100; i++) /* by turns, or they are one event */
		MUST(write(file, "x", 1) == 1 && fchmod(file, 0600) == 0);
	do {
		MUST(noria_inotify_next(inotify, &event) == 0);
		count++;
	} while (!(event.mask & IN_Q_OVERFLOW));
	EXPECT_EQ(event.watch, -1);
	EXPECT_EQ(count, limit + 1);
	touch(fd, "new");
	MUST(noria_inotify_next(inotify, &event) == 0);
	EXPECT(event.mask == IN_CREATE && strcmp(event.name, "new") == 0);
	MUST(close(file) == 0);
	remove_place(fd);
	return 0;
}

static int forget(__attribute__((unused)) void *arg)
{
	struct noria_inotify *inotify;

	return noria_inotify_open(&inotify);
}

UNIT(inotify, what_a_task_forgets_is_closed_and_named)
{
	int before = unit_count_fds();
	struct noria_group group;

	MUST(noria_group_open(&group) == 0 && noria_spawn(&group, forget, NULL) == 0);
	EXPECT_EQ(noria_group_close(&group, 0), -EINVAL);
	EXPECT(strstr(noria_message(), "inotify"));
	EXPECT_EQ(unit_count_fds(), before);
	return 0;
}

/* ---- fanotify */

/* Open it, or skip the test where the kernel has none or does not let us. */
static struct noria_fanotify *open_fanotify(unsigned flags)
{
	struct noria_fanotify *fanotify = NULL;
	int r = noria_fanotify_open(flags, O_RDONLY | O_CLOEXEC, &fanotify);

	if (r == -ENOSYS)
		fprintf(stderr, "skip: kernel lacks fanotify\n");
	else if (r == -EPERM)
		fprintf(stderr, "not privileged for fanotify\n");
	else
		MUST(r == 0);
	return fanotify;
}

UNIT(fanotify, brings_descriptors_and_loses_none)
{
	noria_autofanotify struct noria_fanotify *fanotify = open_fanotify(FAN_CLASS_NOTIF);
	int fd = make_place(), file, n = 0;
	struct noria_fanotify_event event;
	struct stat status, wanted;
	char name[16];

	if (!fanotify) {
		remove_place(fd);
		return 0;
	}
	MUST(noria_fanotify_mark(fanotify, FAN_MARK_ADD, FAN_CLOSE_WRITE | FAN_EVENT_ON_CHILD, AT_FDCWD, place) == 0);
	for (int i = 0; i < 20; i++) {
		snprintf(name, sizeof name, "%d", i);
		file = openat(fd, name, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
		MUST(file >= 0 && close(file) == 0);
	}
	for (n = 0; n < 12; n++) { /* the rest is closed with the queue */
		int r = noria_within(n % 2 ? 0 : noria_sec(50), noria_fanotify_next(fanotify, &event));

		if (r == -ETIMEDOUT)
			r = noria_fanotify_next(fanotify, &event);
		MUST(r == 0);
		snprintf(name, sizeof name, "%d", n);
		EXPECT_EQ(event.mask, FAN_CLOSE_WRITE);
		EXPECT_EQ(event.pid, getpid());
		EXPECT_EQ(event.info_size, 0);
		MUST(fstat(event.fd, &status) == 0 && fstatat(fd, name, &wanted, 0) == 0);
		EXPECT_EQ(status.st_ino, wanted.st_ino);
		EXPECT_EQ(noria_close(event.fd), 0);
	}
	remove_place(fd);
	return 0;
}

/* Of processes too: those of events that were read and not asked for go with the queue. */
UNIT(fanotify, descriptors_of_processes_are_not_left_open)
{
	struct noria_fanotify *fanotify = open_fanotify(FAN_CLASS_NOTIF | FAN_REPORT_PIDFD);
	int fd = make_place(), before = unit_count_fds();
	struct noria_fanotify_event event;
	const struct fanotify_event_info_pidfd *record;

	if (fanotify) {
		MUST(noria_fanotify_mark(fanotify, FAN_MARK_ADD, FAN_CREATE | FAN_OPEN | FAN_EVENT_ON_CHILD, AT_FDCWD,
					 place) < 0); /* FAN_CREATE: not with descriptors */
		MUST(noria_fanotify_mark(fanotify, FAN_MARK_ADD, FAN_OPEN | FAN_EVENT_ON_CHILD, AT_FDCWD, place) == 0);
		for (int i = 0; i < 4; i++) {
			int file = openat(fd, i % 2 ? "a" : "b", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

			MUST(file >= 0 && close(file) == 0);
		}
		MUST(noria_fanotify_next(fanotify, &event) == 0);
		record = event.info;
		MUST(event.info_size >= sizeof *record && record->hdr.info_type == FAN_EVENT_INFO_TYPE_PIDFD);
		EXPECT(noria_close(event.fd) == 0 && noria_close(record->pidfd) == 0);
		noria_fanotify_close(fanotify);
		EXPECT_EQ(unit_count_fds(), before - 1);
	}
	remove_place(fd);
	return 0;
}

struct marking {
	struct noria_fanotify *fanotify;
	int dirfd;
};

static int mark_below(void *arg)
{
	const struct marking *marking = arg;

	EXPECT_EQ(noria_fanotify_mark(marking->fanotify, FAN_MARK_ADD, FAN_OPEN, marking->dirfd, "."), -EBADF);
	return 0;
}

static const struct noria_config one_thread = {.executor_threads = 1};

/* R10: what waits for a thread must not mark the directory that gets the descriptor's number next. */
UNIT_WITH(fanotify, closing_what_it_lies_below_ends_marking, &one_thread)
{
	noria_autofanotify struct noria_fanotify *fanotify = open_fanotify(FAN_CLASS_NOTIF);
	struct marking marking = {.fanotify = fanotify, .dirfd = open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
	struct noria_group holding, marks;
	int ends[2];

	MUST(marking.dirfd >= 0 && pipe2(ends, O_CLOEXEC) == 0);
	if (fanotify) {
		MUST(noria_group_open(&holding) == 0 && noria_spawn(&holding, unit_hold_thread, &ends[0]) == 0);
		MUST(noria_yield() == 0);
		MUST(noria_group_open(&marks) == 0 && noria_spawn(&marks, mark_below, &marking) == 0);
		MUST(noria_yield() == 0);
		EXPECT_EQ(noria_close(marking.dirfd), 0);
		EXPECT_EQ(open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC), marking.dirfd);
		MUST(write(ends[1], "", 1) == 1);
		EXPECT_EQ(noria_group_close(&marks, 0), 0);
		EXPECT_EQ(noria_group_close(&holding, 0), 0);
	}
	EXPECT(noria_close(marking.dirfd) == 0 && noria_close(ends[0]) == 0 && noria_close(ends[1]) == 0);
	return 0;
}

UNIT(fanotify, brings_records_instead_of_descriptors)
{
	noria_autofanotify struct noria_fanotify *fanotify = open_fanotify(FAN_CLASS_NOTIF | FAN_REPORT_DFID_NAME);
	const struct fanotify_event_info_fid *record;
	struct noria_fanotify_event event;
	int fd = make_place();

	if (fanotify) {
		MUST(noria_fanotify_mark(fanotify, FAN_MARK_ADD, FAN_CREATE, AT_FDCWD, place) == 0);
		touch(fd, "file");
		MUST(noria_fanotify_next(fanotify, &event) == 0);
		EXPECT_EQ(event.mask, FAN_CREATE);
		EXPECT_EQ(event.fd, -1);
		record = event.info;
		EXPECT(event.info_size > sizeof *record && record->hdr.info_type == FAN_EVENT_INFO_TYPE_DFID_NAME);
		EXPECT(memmem(event.info, event.info_size, "file", 5) != NULL);
		EXPECT_EQ(noria_fanotify_mark(fanotify, FAN_MARK_ADD, FAN_CREATE, AT_FDCWD, "/nowhere"), -ENOENT);
	}
	remove_place(fd);
	return 0;
}

struct opener {
	int directory, result;
};

static int open_on_thread(void *arg)
{
	struct opener *opener = arg;
	int fd = openat(opener->directory, "file", O_RDONLY | O_CLOEXEC);

	opener->result = fd < 0 ? -errno : close(fd);
	return 0;
}

static int open_file(void *arg)
{
	return noria_offload(open_on_thread, arg);
}

/* The kernel asks, and whoever opens the file waits for the answer. */
UNIT(fanotify, answers_requests_for_permission)
{
	noria_autofanotify struct noria_fanotify *fanotify = open_fanotify(FAN_CLASS_CONTENT);
	struct opener opener = {.directory = make_place()};
	struct noria_fanotify_event event;
	struct noria_group group;

	touch(opener.directory, "file");
	for (int allow = 0; fanotify && allow < 2; allow++) {
		MUST(noria_fanotify_mark(fanotify, FAN_MARK_ADD, FAN_OPEN_PERM | FAN_EVENT_ON_CHILD, AT_FDCWD, place) ==
		     0);
		MUST(noria_group_open(&group) == 0 && noria_spawn(&group, open_file, &opener) == 0);
		MUST(noria_fanotify_next(fanotify, &event) == 0);
		EXPECT_EQ(event.mask, FAN_OPEN_PERM);
		EXPECT_EQ(noria_fanotify_respond(fanotify, event.fd, 77), -EINVAL);
		EXPECT_EQ(noria_fanotify_respond(fanotify, event.fd, allow ? FAN_ALLOW : FAN_DENY), 0);
		EXPECT_EQ(noria_fanotify_respond(fanotify, event.fd, FAN_ALLOW), -ENOENT);
		EXPECT_EQ(noria_close(event.fd), 0);
		EXPECT_EQ(noria_group_close(&group, 0), 0);
		EXPECT_EQ(opener.result, allow ? 0 : -EPERM);
	}
	remove_place(opener.directory);
	return 0;
}

static int unprivileged(__attribute__((unused)) void *arg)
{
	struct noria_fanotify *fanotify;
	int r = noria_fanotify_open(FAN_CLASS_CONTENT, O_RDONLY, &fanotify);

	MUST(r == -ENOSYS || (r == -EPERM && strstr(noria_message(), "CAP_SYS_ADMIN")));
	return 0;
}

static void run_unprivileged(__attribute__((unused)) void *arg)
{
	if (setresuid(65534, 65534, 65534) < 0 && errno != EPERM)
		abort();
	MUST(noria_run(NULL, unprivileged, NULL) == 0);
}

Test(fanotify, says_what_is_needed)
{
	char text[1024];
	int status = unit_in_child(run_unprivileged, NULL, text, sizeof text);

	cr_expect_eq(status, 0, "%s", text);
}
