/* SPDX-License-Identifier: MIT */
/*
 * The kernel's ring, on liburing: its set-up, registrations and growth come from there; the arrays are then read and
 * written through ring.h.
 *
 * One io_uring_enter() a turn submits everything and waits. Nothing is dropped: entries that the kernel could not take
 * stay in the queue, and completions that did not fit (CQ overflow) are kept by the kernel and flushed by the next
 * enter. Another thread wakes the loop by a message to its ring, or where the kernel lacks that, by an eventfd.
 */
#include "base/container.h"
#include "base/memcheck.h"
#include "base/memory.h"
#include "base/message.h"
#include "ring/compat.h"
#include "ring/direct.h"
#include "ring/ring.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { UNBOUNDED_WORKERS = 512, FIXED_MAX = 64 };

/* What a small send costs as an entry is won back when the call that submits it is shared by so many. */
enum { REPLY_BATCH = 4 };

struct kernel_ring {
	struct ring ring;
	struct io_uring uring;
	unsigned enter_flags;
	int enter_fd;     /* the ring's descriptor, or its registered index */
	int wake_fd;      /* eventfd, or -1 where ring messages do the waking */
	bool wake_armed;  /* a poll on wake_fd is submitted */
	bool fixed_table; /* there is a table for registered memory */
	uint64_t fixed;   /* a bit for each index in use */
};

#if NORIA_TSAN
char noria_ring_mappings;
#endif

static struct kernel_ring *kernel_ring(struct ring *ring)
{
	return container_of(ring, struct kernel_ring, ring);
}

static int64_t kernel_now(struct ring *ring)
{
	struct timespec now;

	(void)ring;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* Copy the addresses that liburing found; again after each resize. */
static void adopt_arrays(struct kernel_ring *kernel)
{
	struct ring *ring = &kernel->ring;
	struct io_uring *uring = &kernel->uring;

	ring->sqes = uring->sq.sqes;
	ring->sq_head = uring->sq.khead;
	ring->sq_tail = *uring->sq.ktail;
	ring->sq_entries = uring->sq.ring_entries;
	ring->sq_flags = uring->sq.kflags;
	ring->cqes = uring->cq.cqes;
	ring->cq_head = uring->cq.khead;
	ring->cq_tail = uring->cq.ktail;
	ring->cq_entries = uring->cq.ring_entries;
}

static void arm_wake_poll(struct kernel_ring *kernel)
{
	struct io_uring_sqe *sqe;

	if (kernel->wake_fd < 0 || kernel->wake_armed || !ring_room(&kernel->ring, 1))
		return;
	sqe = ring_reserve(&kernel->ring);
	io_uring_prep_poll_multishot(sqe, kernel->wake_fd, POLLIN);
	sqe->user_data = RING_OWN;
	kernel->wake_armed = true;
}

static struct __kernel_timespec to_timespec(int64_t ns)
{
	return (struct __kernel_timespec){.tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000};
}

static inline __attribute__((always_inline)) int enter(struct kernel_ring *kernel, unsigned wait, int64_t deadline_ns)
{
	struct io_uring_getevents_arg arg = {.sigmask_sz = _NSIG / 8};
	struct __kernel_timespec limit;
	unsigned flags = kernel->enter_flags;
	void *sent = NULL; /* the argument, where there is a limit */
	size_t size = 0;
	int r;

	if (wait > 0 && deadline_ns != INT64_MAX) {
		if (!(flags & IORING_ENTER_ABS_TIMER))
			deadline_ns -= kernel_now(&kernel->ring);
		limit = to_timespec(deadline_ns > 0 ? deadline_ns : 0);
		arg.ts = (uint64_t)(uintptr_t)&limit;
		sent = &arg, size = sizeof arg;
	} else {
		flags &= ~(IORING_ENTER_ABS_TIMER | IORING_ENTER_EXT_ARG);
	}
	__atomic_store_n(kernel->uring.sq.ktail, kernel->ring.sq_tail, __ATOMIC_RELEASE);
	r = io_uring_enter2((unsigned)kernel->enter_fd, ring_pending(&kernel->ring), wait, flags, (sigset_t *)sent,
			    size);
	switch (r) {
	case -ETIME:
	case -EINTR:
	case -EBUSY: /* completions overflowed: reap, then submit again */
		return 0;
	default:
		return r < 0 ? r : 0;
	}
}

static void kernel_push(struct ring *ring)
{
	struct kernel_ring *kernel = kernel_ring(ring);

	__atomic_store_n(kernel->uring.sq.ktail, ring->sq_tail, __ATOMIC_RELEASE);
	/* Why the kernel takes none, if so, the next enter tells. */
	(void)io_uring_enter2((unsigned)kernel->enter_fd, ring_pending(ring), 0,
			      kernel->enter_flags & IORING_ENTER_REGISTERED_RING, NULL, 0);
}

/* Valgrind does not know that this call blocks, and holds all other threads meanwhile: look once a millisecond. */
static __attribute__((noinline)) int enter_under_valgrind(struct kernel_ring *kernel, unsigned wait,
							  int64_t deadline_ns)
{
	for (;;) {
		int r = enter(kernel, 0, INT64_MAX);

		if (r < 0 || wait == 0 || ring_ready(&kernel->ring) > 0 || kernel_now(&kernel->ring) >= deadline_ns)
			return r;
		if (poll(NULL, 0, 1) < 0)
			return 0; /* a signal: back to the scheduler */
	}
}

static int kernel_enter(struct ring *ring, unsigned wait, int64_t deadline_ns)
{
	struct kernel_ring *kernel = kernel_ring(ring);

	arm_wake_poll(kernel);
	if (kernel->wake_fd >= 0 && !kernel->wake_armed)
		wait = 0; /* no room for the poll that could wake us: submit, and come again */
	if (unlikely(ring->memcheck))
		return enter_under_valgrind(kernel, wait, deadline_ns);
	return enter(kernel, wait, deadline_ns);
}

/* Sockets are asked directly: a call that does not block costs less than an entry. */
/* poll(2) has other ways than the ring to say that a descriptor is not open. */
static int64_t attempt_poll(const struct io_uring_sqe *sqe)
{
	struct pollfd pollfd = {.fd = sqe->fd, .events = (short)sqe->poll32_events};
	int r = poll(&pollfd, 1, 0);

	if (r < 0)
		return -errno;
	if (sqe->fd < 0 || (pollfd.revents & POLLNVAL))
		return -EBADF;
	return r == 0 ? -EAGAIN : pollfd.revents;
}

static int64_t kernel_send(struct ring *ring, int fd, const void *buffer, size_t size, int flags)
{
	ssize_t r = send(fd, buffer, size, flags | MSG_DONTWAIT | MSG_NOSIGNAL);

	(void)ring;
	return unlikely(r < 0) ? -errno : r;
}

static int64_t kernel_attempt(struct ring *ring, const struct io_uring_sqe *sqe)
{
	void *address = (void *)(uintptr_t)sqe->addr;
	int flags = (int)sqe->msg_flags | MSG_DONTWAIT | MSG_NOSIGNAL;
	int64_t r;

	switch (sqe->opcode) {
	case IORING_OP_SEND:
		return kernel_send(ring, sqe->fd, address, sqe->len, flags);
	case IORING_OP_SENDMSG:
		r = sendmsg(sqe->fd, address, flags);
		break;
	case IORING_OP_RECV:
		r = recv(sqe->fd, address, sqe->len, flags & ~MSG_NOSIGNAL);
		break;
	case IORING_OP_SOCKET:
		r = socket(sqe->fd, (int)sqe->off, (int)sqe->len);
		break;
	case IORING_OP_SHUTDOWN:
		r = shutdown(sqe->fd, (int)sqe->len);
		break;
	case IORING_OP_BIND:
		r = bind(sqe->fd, address, (socklen_t)sqe->addr2);
		break;
	case IORING_OP_LISTEN:
		r = listen(sqe->fd, (int)sqe->len);
		break;
	case IORING_OP_CLOSE:
		r = close(sqe->fd);
		break;
	case RING_OP_PIPE:
		r = pipe2(address, (int)sqe->rw_flags);
		break;
	case IORING_OP_POLL_ADD:
		return attempt_poll(sqe);
	default:
		return -EAGAIN;
	}
	return r < 0 ? -errno : r;
}

static int kernel_send_many(struct ring *ring, int fd, struct mmsghdr *messages, unsigned count, int flags)
{
	int r = sendmmsg(fd, messages, count, flags | MSG_DONTWAIT | MSG_NOSIGNAL);

	(void)ring;
	return r < 0 ? -errno : r;
}

static bool kernel_splice_waits(struct ring *ring, int fd_in, int fd_out)
{
	int type;
	socklen_t length = sizeof type;

	(void)ring;
	if (fd_is_direct(fd_in) || fd_is_direct(fd_out))
		return true; /* who knows: polling does no harm */
	return getsockopt(fd_in, SOL_SOCKET, SO_TYPE, &type, &length) == 0 && fcntl(fd_out, F_GETPIPE_SZ) >= 0;
}

static int kernel_provide(struct ring *ring, struct io_uring_buf_ring *buffers, unsigned entries, unsigned group,
			  unsigned flags)
{
	struct io_uring_buf_reg registration = {
		.ring_addr = (uint64_t)(uintptr_t)buffers, .ring_entries = entries, .bgid = (uint16_t)group};

	if (!buffers)
		return io_uring_unregister_buf_ring(&kernel_ring(ring)->uring, (int)group);
	return io_uring_register_buf_ring(&kernel_ring(ring)->uring, &registration, flags);
}

static int fix(struct kernel_ring *kernel, unsigned index, void *memory, size_t size)
{
	struct iovec vector = {.iov_base = memory, .iov_len = size};
	int r = io_uring_register_buffers_update_tag(&kernel->uring, index, &vector, NULL, 1);

	return r < 0 ? r : 0;
}

static int kernel_fix(struct ring *ring, void *memory, size_t size)
{
	struct kernel_ring *kernel = kernel_ring(ring);
	int index, r = 0;

	if (!features_has(&ring->features, FEATURE_REGISTERED_BUFFERS))
		return -EOPNOTSUPP;
	if (!kernel->fixed_table)
		r = io_uring_register_buffers_sparse(&kernel->uring, FIXED_MAX);
	if (r < 0)
		return r;
	kernel->fixed_table = true;
	if (kernel->fixed == UINT64_MAX)
		return -ENOSPC;
	index = __builtin_ctzll(~kernel->fixed);
	r = fix(kernel, (unsigned)index, memory, size);
	if (r < 0)
		return r;
	kernel->fixed |= UINT64_C(1) << index;
	return index;
}

static void kernel_unfix(struct ring *ring, unsigned index)
{
	struct kernel_ring *kernel = kernel_ring(ring);
	int r = fix(kernel, index, NULL, 0);

	if (r == 0)
		kernel->fixed &= ~(UINT64_C(1) << index);
}

static int kernel_direct(struct ring *ring, unsigned places, unsigned chosen)
{
	struct io_uring *uring = &kernel_ring(ring)->uring;
	int r;

	if (places == 0)
		return io_uring_unregister_files(uring);
	r = io_uring_register_files_sparse(uring, places);
	if (r >= 0)
		r = io_uring_register_file_alloc_range(uring, 0, chosen);
	return r < 0 ? r : 0;
}

static int kernel_grow(struct ring *ring)
{
	struct kernel_ring *kernel = kernel_ring(ring);
	struct io_uring_params params = {.flags = IORING_SETUP_CQSIZE | IORING_SETUP_CLAMP};
	int r;

	if (!features_has(&ring->features, FEATURE_RESIZE))
		return -EOPNOTSUPP;
	if (ring->sq_entries >= ring->entries_max || ring_pending(ring) > 0)
		return -EBUSY;
	params.sq_entries = ring->sq_entries * 2;
	params.cq_entries = ring->cq_entries * 2;
	ring_unmapping();
	r = io_uring_resize_rings(&kernel->uring, &params);
	ring_mapped();
	if (r < 0) {
		ring->entries_max = ring->sq_entries; /* memory is short: stay as we are */
		return r;
	}
	adopt_arrays(kernel);
	return 0;
}

static void kernel_own(struct ring *ring, const struct io_uring_cqe *cqe)
{
	struct kernel_ring *kernel = kernel_ring(ring);
	uint64_t count;

	if (kernel->wake_fd < 0)
		return; /* a ring message has no state to clear */
	if (!(cqe->flags & IORING_CQE_F_MORE))
		kernel->wake_armed = false;
	if (read(kernel->wake_fd, &count, sizeof count) < 0)
		return; /* another completion took the count */
}

static void kernel_wake(struct ring *ring)
{
	struct kernel_ring *kernel = kernel_ring(ring);
	int saved_errno = errno; /* signal handlers come here */

	if (kernel->wake_fd < 0) {
		struct io_uring_sqe sqe = {0};

		io_uring_prep_msg_ring(&sqe, kernel->uring.ring_fd, 0, RING_OWN, 0);
		io_uring_register((unsigned)-1, RING_REGISTER_SEND_MSG_RING, &sqe, 1);
	} else {
		uint64_t one = 1;
		ssize_t ignored = write(kernel->wake_fd, &one, sizeof one);

		(void)ignored; /* a full counter wakes as well */
	}
	errno = saved_errno;
}

static void kernel_close(struct ring *ring)
{
	struct kernel_ring *kernel = kernel_ring(ring);

	ring_unmapping();
	io_uring_queue_exit(&kernel->uring);
	if (kernel->wake_fd >= 0)
		close(kernel->wake_fd);
	free(kernel);
}

static const struct ring_class kernel_class = {
	.enter = kernel_enter,
	.push = kernel_push,
	.attempt = kernel_attempt,
	.send = kernel_send,
	.send_many = kernel_send_many,
	.splice_waits = kernel_splice_waits,
	.provide = kernel_provide,
	.fix = kernel_fix,
	.unfix = kernel_unfix,
	.direct = kernel_direct,
	.grow = kernel_grow,
	.now = kernel_now,
	.own = kernel_own,
	.wake = kernel_wake,
	.close = kernel_close,
};

static int setup(struct kernel_ring *kernel, unsigned entries)
{
	struct io_uring_params params;
	int r = -ENOMEM;

	for (int i = 0; i < RING_MEMORY_RETRIES && r == -ENOMEM; i++) {
		if (i > 0)
			ring_memory_pause();
		params = (struct io_uring_params){
			.flags = noria_features_setup_flags(&kernel->ring.features),
			.cq_entries = entries * 4,
		};
		r = io_uring_queue_init_params(entries, &kernel->uring, &params);
	}
	ring_mapped();
	return r < 0 ? noria_ring_explain(r, entries) : 0;
}

static void choose_enter(struct kernel_ring *kernel)
{
	const struct features *features = &kernel->ring.features;

	kernel->enter_fd = kernel->uring.ring_fd;
	kernel->enter_flags = IORING_ENTER_GETEVENTS | IORING_ENTER_EXT_ARG;
	if (features_has(features, FEATURE_REGISTERED_RING) && io_uring_register_ring_fd(&kernel->uring) == 1) {
		kernel->enter_fd = kernel->uring.enter_ring_fd;
		kernel->enter_flags |= IORING_ENTER_REGISTERED_RING;
	}
	if (features_has(features, FEATURE_ABS_TIMER))
		kernel->enter_flags |= IORING_ENTER_ABS_TIMER;
	if (features_has(features, FEATURE_NO_IOWAIT))
		kernel->enter_flags |= IORING_ENTER_NO_IOWAIT;
}

/* Workers for what blocks forever (a FIFO's open, a splice) would otherwise grow to RLIMIT_NPROC. */
static void bound_workers(struct kernel_ring *kernel)
{
	unsigned bounded_unbounded[2] = {0, UNBOUNDED_WORKERS}; /* 0: as it is */

	io_uring_register_iowq_max_workers(&kernel->uring, bounded_unbounded);
}

int (*noria_ring_opener)(struct ring **, unsigned, unsigned) = noria_kernel_ring_open;

int noria_kernel_ring_open(struct ring **ret_ring, unsigned entries, unsigned entries_max)
{
	struct kernel_ring *kernel = memory_zeroed(1, sizeof *kernel);
	int r;

	if (!kernel)
		return noria_refuse(-ENOMEM, "no memory for a ring");
	kernel->ring.class = &kernel_class;
	kernel->ring.entries_max = entries_max;
	kernel->ring.memcheck = RUNNING_ON_VALGRIND;
	kernel->wake_fd = -1;
	r = noria_features_probe(&kernel->ring.features);
	if (r >= 0)
		r = setup(kernel, entries);
	if (r < 0) {
		free(kernel);
		return r;
	}
	choose_enter(kernel);
	adopt_arrays(kernel);
	kernel->ring.reply_batch = kernel->ring.features.call_ns >= DEAR_CALL_NS ? REPLY_BATCH : UINT_MAX;
	/* Under Valgrind one thread runs at a time: whoever looks keeps the others from what he looks for. */
	kernel->ring.watchable = features_has(&kernel->ring.features, FEATURE_TASKRUN_FLAG) && !kernel->ring.memcheck;
	if (!features_has(&kernel->ring.features, FEATURE_SYNC_MSG)) {
		kernel->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		if (kernel->wake_fd < 0) {
			r = noria_ring_explain(-errno, entries);
			kernel_close(&kernel->ring);
			return r;
		}
	}
	io_uring_ring_dontfork(&kernel->uring);
	bound_workers(kernel);
	*ret_ring = &kernel->ring;
	return 0;
}
