/* SPDX-License-Identifier: MIT */
/*
 * From a submission to the ring's arrays and back. In flight, each stands in a list of its descriptor's bucket, so that
 * closing a descriptor can find what runs on it (closing.c).
 */
#include "task/submission.h"

#include "base/assert.h"
#include "ring/compat.h"
#include "ring/memcheck.h"
#include "ring/ring.h"
#include "task/closing.h"
#include "task/loop.h"
#include "task/storage.h"
#include "task/timer.h"

#include <errno.h>
#include <limits.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

/*
 * Entries for a device do not wait for the end of the turn: it works on the first of them while the tasks prepare the
 * others. (32 random reads with O_DIRECT under way: 84,000/s instead of 73,000/s, at the same CPU time for each.) Nor
 * shall who has been answered first wait for everyone whose turn it is.
 */
enum { DEVICE_BATCH = 4, SEND_BATCH = 16 };

/* Where many have completed, none is in the cache: so many completions ahead, what theirs will touch is fetched. */
enum { FETCH_AHEAD = 4 };

/* How long a peer may take nothing of what a zero-copy send has left with the kernel, once nobody wants to wait. */
enum { LINGER_MAX_MS = 20 * 1000 };

/* A word is address and generation: user addresses have 47 bits (48 on aarch64) of which the low 4 are clear. */
enum { TOKEN_GENERATION_BITS = 17, TOKEN_SHIFT = TOKEN_GENERATION_BITS + 3 };

static const unsigned char next_states[] = {
#define X(state, next) [SUBMISSION_##state] = (next),
	SUBMISSION_STATES(X)
#undef X
};

static inline void move(struct submission *submission, enum submission_state state)
{
	invariant(next_states[submission->state] >> state & 1);
	submission->state = state;
}

static uint64_t new_token(struct loop *loop, const struct submission *submission)
{
	uint64_t address = (uint64_t)(uintptr_t)submission;
	uint64_t generation = ++loop->generation & ((1U << TOKEN_GENERATION_BITS) - 1);

	invariant((address & 15) == 0 && address >> 48 == 0);
	return address >> 4 << TOKEN_SHIFT | generation << 3 | RING_OPERATION;
}

struct submission *noria_token_submission(uint64_t token)
{
	return (struct submission *)(uintptr_t)(token >> TOKEN_SHIFT << 4);
}

void noria_submission_init(struct submission *submission, int second_fd,
			   void (*complete)(struct submission *, int32_t, uint32_t, bool))
{
	list_init(&submission->node);
	list_init(&submission->cancel);
	list_init(&submission->pair);
	submission->head = submission->link = NULL;
	submission->complete = complete;
	submission->state = SUBMISSION_IDLE;
	submission->second_fd = second_fd;
	submission->persona = noria_loop->current->persona;
	submission->limited = false;
	submission->cancel_asked = submission->lingers = false;
	submission->closing[0] = submission->closing[1] = NULL;
}

static bool room(struct loop *loop, const struct submission *submission)
{
	unsigned entries = submission->limited ? 2 : 1;

	while (unlikely(submission->link)) {
		submission = submission->link;
		entries++;
	}
	return ring_room(loop->ring, entries);
}

static unsigned skip_flag(struct loop *loop)
{
	return features_has(&loop->ring->features, FEATURE_CQE_SKIP) ? IOSQE_CQE_SKIP_SUCCESS : 0;
}

/* The input of a splice or a tee is named beside the entry's own descriptor, and has a flag of its own. */
static void place_input(struct io_uring_sqe *sqe)
{
	if (sqe->opcode != IORING_OP_SPLICE && sqe->opcode != IORING_OP_TEE)
		return;
	if (fd_is_direct(sqe->splice_fd_in)) {
		sqe->splice_fd_in = (int)fd_direct_index(sqe->splice_fd_in);
		sqe->splice_flags |= SPLICE_F_FD_IN_FIXED;
	}
}

/* At a position: of a file or a device, and maybe with O_DIRECT. */
static bool is_for_device(const struct io_uring_sqe *sqe)
{
	switch (sqe->opcode) {
	case IORING_OP_READ:
	case IORING_OP_WRITE:
	case IORING_OP_READV:
	case IORING_OP_WRITEV:
	case IORING_OP_READ_FIXED:
	case IORING_OP_WRITE_FIXED:
		return sqe->off != (uint64_t)-1;
	default:
		return false;
	}
}

/* Direct descriptors have numbers of their own above the boundary; below it they are places in a table, and a flag. */
static void address_direct(struct io_uring_sqe *sqe)
{
	if (sqe->opcode == IORING_OP_CLOSE) {
		sqe->file_index = fd_direct_index(sqe->fd) + 1;
		sqe->fd = 0;
	} else {
		sqe->fd = (int)fd_direct_index(sqe->fd);
		sqe->flags |= IOSQE_FIXED_FILE;
	}
}

static void place_one(struct loop *loop, struct submission *submission)
{
	struct io_uring_sqe *sqe = ring_reserve(loop->ring);

	move(submission, SUBMISSION_FLYING);
	*sqe = submission->sqe;
	sqe->user_data = submission->token;
	sqe->personality = submission->persona;
	if (fd_is_direct(sqe->fd))
		address_direct(sqe);
	if (submission->limited) {
		struct io_uring_sqe *limit = ring_reserve(loop->ring);

		sqe->flags |= IOSQE_IO_LINK;
		io_uring_prep_link_timeout(limit, &submission->limit, IORING_TIMEOUT_ABS);
		limit->user_data = RING_IGNORE;
		limit->flags |= (uint8_t)skip_flag(loop);
	}
	list_push_back(&loop->flying[(unsigned)submission->sqe.fd % LOOP_FD_BUCKETS], &submission->node);
	if (unlikely(submission->second_fd >= 0)) {
		list_push_back(&loop->pairs, &submission->pair);
		place_input(sqe);
	}
	loop->in_flight++;
}

/* How many entries make it worth not to wait for more of the turn. */
static unsigned enough(const struct io_uring_sqe *sqe)
{
	if (sqe->opcode == IORING_OP_SEND)
		return SEND_BATCH;
	return is_for_device(sqe) ? DEVICE_BATCH : UINT_MAX;
}

/* There is room. */
static void place(struct loop *loop, struct submission *submission)
{
	place_one(loop, submission);
	while (unlikely(submission->link)) {
		submission = submission->link;
		place_one(loop, submission);
	}
	if (ring_pending(loop->ring) >= enough(&submission->sqe))
		loop->ring->class->push(loop->ring); /* never within a chain */
}

static bool is_refused(struct loop *loop, const struct submission *submission)
{
	return fd_is_closing(loop, submission_fd(submission), submission->second_fd);
}

/* A step of a chain must not reach the number's next owner: none is begun. */
static void refuse_chain(struct loop *loop, struct submission *submission)
{
	struct submission *next;

	for (; submission; submission = next) {
		next = submission->link; /* with the last completion the storage may go */
		submission->complete(submission, is_refused(loop, submission) ? -EBADF : -ECANCELED, 0, true);
	}
}

static void submit_chain(struct loop *loop, struct submission *submission)
{
	bool refused = false;

	for (struct submission *step = submission; step; step = step->link) {
		step->token = new_token(loop, step);
		step->cancel_asked = false;
		refused = refused || is_refused(loop, step);
	}
	if (refused) {
		refuse_chain(loop, submission);
	} else if (list_empty(&loop->backlog) && room(loop, submission)) {
		place(loop, submission);
	} else {
		for (struct submission *step = submission; step; step = step->link)
			move(step, SUBMISSION_BACKLOG);
		list_push_back(&loop->backlog, &submission->node);
	}
}

void noria_submit(struct loop *loop, struct submission *submission)
{
	if (unlikely(submission->link)) {
		submit_chain(loop, submission);
		return;
	}
	submission->token = new_token(loop, submission);
	submission->cancel_asked = submission->lingers = false;
	if (unlikely(!list_empty(&loop->closings) && is_refused(loop, submission))) {
		submission->complete(submission, -EBADF, 0, true); /* it must not reach the number's next owner */
	} else if (likely(list_empty(&loop->backlog) && room(loop, submission))) {
		place(loop, submission);
	} else {
		move(submission, SUBMISSION_BACKLOG);
		list_push_back(&loop->backlog, &submission->node);
	}
}

/* What a cancel brings: -EINTR and the kernel's internal -ERESTARTSYS come from calls that a worker was blocked in. */
static bool was_interrupted(int32_t result)
{
	return result == -ECANCELED || result == -EINTR || result == -KERNEL_ERESTARTSYS;
}

/* The result of a send that does not copy: when the peer takes the bytes, a close cannot wait for. */
static bool begins_to_linger(const struct submission *submission)
{
	return submission->sqe.opcode == IORING_OP_SEND_ZC || submission->sqe.opcode == IORING_OP_SENDMSG_ZC;
}

/*
 * Its task is cancelled, or its socket closed, and the kernel still reads the bytes: while the peer takes none, for
 * ever. There is no cancel for that, but TCP gives up a connection after a time that can be set.
 */
static void limit_linger(const struct submission *submission)
{
	int fd = submission->sqe.fd, ms = 0;
	socklen_t length = sizeof ms;

	if (fd_is_direct(fd) || getsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &ms, &length) < 0 || ms != 0)
		return;
	ms = LINGER_MAX_MS;
	(void)setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &ms, sizeof ms);
}

static void complete(struct submission *submission, int32_t result, uint32_t flags, bool last)
{
	if (last) {
		move(submission, SUBMISSION_IDLE);
		list_remove(&submission->node);
		list_remove(&submission->cancel);
		list_remove(&submission->pair);
	} else if (unlikely(!(flags & IORING_CQE_F_BUFFER)) && begins_to_linger(submission)) {
		submission->lingers = true;
		list_remove(&submission->cancel); /* too late */
		if (submission->cancel_asked)
			limit_linger(submission);
	}
	if (unlikely(submission->closing[0]) && (last || submission->lingers)) {
		noria_closing_tell(submission->closing);
		result = was_interrupted(result) ? -EBADF : result; /* as its task shall see it */
	}
	submission->complete(submission, result, flags, last);
}

static void cancel_one(struct loop *loop, struct submission *submission)
{
	if (submission->state == SUBMISSION_IDLE || submission->cancel_asked)
		return;
	submission->cancel_asked = true;
	if (submission->lingers) {
		limit_linger(submission);
		return;
	}
	if (submission->state == SUBMISSION_BACKLOG)
		complete(submission, -ECANCELED, 0, true);
	else
		list_push_back(&loop->cancels, &submission->cancel);
}

void noria_submission_cancel(struct loop *loop, struct submission *submission)
{
	struct submission *step = submission->head, *next;

	if (likely(!step))
		cancel_one(loop, submission);
	for (; unlikely(step); step = next) {
		next = step->link; /* with the last completion the storage may go */
		cancel_one(loop, step);
	}
}

/*
 * The kernel cancels what one of its workers is blocked in by a single signal, which is lost if the worker has not
 * blocked yet. Whatever has not ended by now is asked again, at growing intervals.
 */
void noria_submissions_ask_again(struct timer *timer)
{
	struct loop *loop = container_of(timer, struct loop, ask_again);
	struct list *node;

	loop->ask_again_ns = list_empty(&loop->asked)                ? ASK_AGAIN_MIN_NS
			     : loop->ask_again_ns < ASK_AGAIN_MAX_NS ? loop->ask_again_ns * 2
								     : ASK_AGAIN_MAX_NS;
	while ((node = list_pop_front(&loop->asked)))
		list_push_back(&loop->cancels, node);
}

void noria_submissions_flush(struct loop *loop)
{
	while (!list_empty(&loop->cancels) && ring_room(loop->ring, 1)) {
		struct submission *submission = list_entry(list_pop_front(&loop->cancels), struct submission, cancel);
		struct io_uring_sqe *sqe = ring_reserve(loop->ring);

		io_uring_prep_cancel64(sqe, submission->token, 0);
		sqe->user_data = RING_IGNORE;
		sqe->flags |= (uint8_t)skip_flag(loop);
		list_push_back(&loop->asked, &submission->cancel);
	}
	if (!list_empty(&loop->asked) && !timer_armed(&loop->ask_again))
		noria_timer_set(loop, &loop->ask_again, noria_loop_clock(loop) + loop->ask_again_ns);
	while (!list_empty(&loop->backlog)) {
		struct submission *submission = list_entry(loop->backlog.next, struct submission, node);

		if (!room(loop, submission))
			break;
		list_remove(&submission->node);
		place(loop, submission);
	}
}

static void dispatch(struct loop *loop, uint64_t token, int32_t result, uint32_t flags)
{
	struct submission *submission = noria_token_submission(token);
	bool last = !(flags & IORING_CQE_F_MORE);

	if (unlikely(submission->token != token || submission->state != SUBMISSION_FLYING))
		noria_storage_lost(loop, NULL, submission);
	if (unlikely(loop->ring->memcheck))
		noria_memcheck_filled(&submission->sqe, result);
	loop->in_flight -= last;
	complete(submission, result, flags, last);
}

/* Its last line, and two that follow: a stream's own. The word of what is no operation is no address: none is read. */
static inline void fetch(uint64_t token)
{
	uintptr_t address = (uintptr_t)noria_token_submission(token);

	__builtin_prefetch((const void *)(address + offsetof(struct submission, token)));
	for (size_t line = 0; line < 2; line++)
		__builtin_prefetch((const void *)(address + sizeof(struct submission) + 64 * line));
}

void noria_submissions_reap(struct loop *loop)
{
	struct ring *ring = loop->ring;
	unsigned ready = ring_ready(ring);

	for (unsigned i = 0; i < ready; i++) {
		struct io_uring_cqe cqe = *ring_peek(ring, i);

		if (i + FETCH_AHEAD < ready)
			fetch(ring_peek(ring, i + FETCH_AHEAD)->user_data);
		if (likely((cqe.user_data & RING_TAG) == RING_OPERATION))
			dispatch(loop, cqe.user_data, cqe.res, cqe.flags);
		else if ((cqe.user_data & RING_TAG) == RING_OWN)
			ring->class->own(ring, &cqe);
	}
	loop->batch = ready;
	if (ready > 0)
		ring_reaped(ring, ready);
}
