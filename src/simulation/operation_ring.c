/* SPDX-License-Identifier: MIT */
/* Operations of descriptors, of time, and of the ring itself. */
#include "simulation/operation.h"

#include "base/container.h"
#include "simulation/ring.h"

#include <errno.h>

int64_t sim_run_nop(struct sim_request *request)
{
	return request->sqe.nop_flags & IORING_NOP_INJECT_RESULT ? (int32_t)request->sqe.len : 0;
}

int64_t sim_run_poll(struct sim_request *request)
{
	unsigned wanted = request->sqe.poll32_events | 0x008 /* POLLERR */ | 0x010 /* POLLHUP */;
	unsigned there = sim_file_poll(request->file) & wanted;

	return there ? (int64_t)there : -EAGAIN;
}

/* ---- descriptors ---- */

static int64_t close_direct(struct sim_ring *ring, unsigned index)
{
	struct sim_file *file;

	if (index >= ring->direct_places)
		return ring->direct ? -EINVAL : -ENXIO;
	file = ring->direct[index];
	if (!file)
		return -EBADF;
	ring->direct[index] = NULL;
	file->descriptors--;
	sim_file_unref(file);
	return 0;
}

int64_t sim_run_close(struct sim_request *request)
{
	if (request->sqe.file_index > 0)
		return close_direct(request->ring, request->sqe.file_index - 1);
	return sim_fd_close(request->ring->world, request->sqe.fd);
}

static int64_t put_direct(struct sim_ring *ring, unsigned index, struct sim_file *file)
{
	if (index >= ring->direct_places) {
		sim_file_unref(file);
		return ring->direct ? -EINVAL : -ENXIO;
	}
	if (ring->direct[index])
		close_direct(ring, index);
	ring->direct[index] = file;
	file->descriptors++;
	return 0;
}

static int64_t choose_direct(struct sim_ring *ring, struct sim_file *file)
{
	for (unsigned i = 0; i < ring->direct_chosen; i++)
		if (!ring->direct[i]) {
			put_direct(ring, i, file);
			return i;
		}
	sim_file_unref(file);
	return -ENFILE;
}

int64_t sim_request_install(struct sim_request *request, struct sim_file *file)
{
	unsigned index = request->sqe.file_index;

	if (index == 0)
		return sim_fd_install(file);
	if (index == IORING_FILE_INDEX_ALLOC)
		return choose_direct(request->ring, file);
	return put_direct(request->ring, index - 1, file);
}

int64_t sim_run_fd_install(struct sim_request *request)
{
	if (!(request->sqe.flags & IOSQE_FIXED_FILE))
		return -EBADF;
	return sim_fd_install(sim_file_ref(request->file));
}

/* One place of the table: a descriptor that is to be in it, or -1. */
static int64_t update(struct sim_ring *ring, unsigned index, int fd)
{
	struct sim_file *file;

	if (index >= ring->direct_places)
		return -EINVAL;
	if (fd == -1) {
		if (ring->direct[index])
			close_direct(ring, index);
		return 0;
	}
	file = sim_fd_file(ring->world, fd);
	return file ? put_direct(ring, index, sim_file_ref(file)) : -EBADF;
}

static int64_t update_chosen(struct sim_ring *ring, int *fd)
{
	struct sim_file *file = sim_fd_file(ring->world, *fd);
	int64_t r = file ? choose_direct(ring, sim_file_ref(file)) : -EBADF;

	if (r >= 0)
		*fd = (int)r;
	return r;
}

int64_t sim_run_files_update(struct sim_request *request)
{
	int *fds = (void *)(uintptr_t)request->sqe.addr;
	unsigned offset = (unsigned)request->sqe.off, done;
	int64_t r = 0;

	if (!request->ring->direct)
		return -ENXIO;
	for (done = 0; done < request->sqe.len; done++) {
		r = offset == IORING_FILE_INDEX_ALLOC ? update_chosen(request->ring, &fds[done])
						      : update(request->ring, offset + done, fds[done]);
		if (r < 0)
			break;
	}
	return done > 0 ? (int64_t)done : r;
}

/* ---- cancels and time ---- */

static bool is_meant(const struct sim_request *cancel, const struct sim_request *request)
{
	const struct io_uring_sqe *sqe = &cancel->sqe;
	unsigned flags = sqe->cancel_flags;

	if (request == cancel || request->sqe.opcode == IORING_OP_LINK_TIMEOUT)
		return false;
	if (flags & IORING_ASYNC_CANCEL_ANY)
		return true;
	if (flags & IORING_ASYNC_CANCEL_FD)
		return request->sqe.fd == sqe->fd &&
		       !(flags & IORING_ASYNC_CANCEL_FD_FIXED) == !(request->sqe.flags & IOSQE_FIXED_FILE);
	return request->sqe.user_data == sqe->addr;
}

/* The kernel counts the waits for a futex that it cancels, also where it is asked for one. */
static int64_t cancel_one(struct sim_request *request)
{
	bool counts = request->sqe.opcode == IORING_OP_FUTEX_WAIT;
	int r = sim_request_cancel(request);

	return r == 0 && counts ? 1 : r;
}

/* Cancel the first that is meant and can be. False: there is none. *ret_r: what the last one answered. */
static bool cancel_next(struct sim_request *cancel, struct list *list, bool by_data, int64_t *ret_r)
{
	for (struct list *node = list->next; node != list; node = node->next) {
		struct sim_request *request = by_data ? list_entry(node, struct sim_request, node)
						      : list_entry(node, struct sim_request, all);

		if (!is_meant(cancel, request))
			continue;
		*ret_r = cancel_one(request);
		if (*ret_r >= 0)
			return true; /* the list has changed */
	}
	return false;
}

int64_t sim_run_cancel(struct sim_request *request)
{
	unsigned flags = request->sqe.cancel_flags;
	bool by_data = !(flags & (IORING_ASYNC_CANCEL_ANY | IORING_ASYNC_CANCEL_FD));
	struct list *list = by_data ? sim_requests_like(request->ring, request->sqe.addr) : &request->ring->all;
	int64_t r = -ENOENT, count = 0;

	while (cancel_next(request, list, by_data, &r)) {
		if (!(flags & (IORING_ASYNC_CANCEL_ALL | IORING_ASYNC_CANCEL_ANY)))
			return r;
		count++;
	}
	return flags & (IORING_ASYNC_CANCEL_ALL | IORING_ASYNC_CANCEL_ANY) ? count : r;
}

int64_t sim_run_timeout(struct sim_request *request)
{
	const struct __kernel_timespec *time = (const void *)(uintptr_t)request->sqe.addr;
	struct sim_world *world = request->ring->world;
	int64_t ns = time->tv_sec * INT64_C(1000000000) + time->tv_nsec;

	if (request->begun)
		return -ETIME;
	request->begun = true;
	sim_event_at(world, &request->event, request->sqe.timeout_flags & IORING_TIMEOUT_ABS ? ns : world->now + ns);
	return SIM_WAIT;
}

/* ---- futexes ---- */

static bool is_awaited(const struct sim_request *request, const void *word, uint64_t mask)
{
	return request->sqe.addr == (uintptr_t)word && (request->sqe.addr3 & mask);
}

unsigned sim_futex_wake(struct sim_world *world, const void *word, unsigned count, uint64_t mask)
{
	struct list *node = world->ring ? world->ring->futexes.next : NULL;
	unsigned woken = 0;

	while (node && node != &world->ring->futexes && woken < count) {
		struct sim_request *request = list_entry(node, struct sim_request, futex);

		node = node->next;
		if (is_awaited(request, word, mask)) {
			list_remove(&request->futex);
			sim_request_wake(request);
			woken++;
		}
	}
	return woken;
}

int64_t sim_run_futex_wait(struct sim_request *request)
{
	const uint32_t *word = (const void *)(uintptr_t)request->sqe.addr;

	if (request->begun)
		return 0; /* woken */
	if (__atomic_load_n(word, __ATOMIC_SEQ_CST) != (uint32_t)request->sqe.addr2)
		return -EAGAIN;
	request->begun = true;
	list_push_back(&request->ring->futexes, &request->futex);
	return SIM_WAIT;
}

int64_t sim_run_futex_wake(struct sim_request *request)
{
	return sim_futex_wake(request->ring->world, (const void *)(uintptr_t)request->sqe.addr,
			      (unsigned)request->sqe.addr2, request->sqe.addr3);
}
