/* SPDX-License-Identifier: MIT */
/* Links, time limits, cancels, polls: what the ring itself does. */
#include "rig.h"

#include <errno.h>
#include <linux/futex.h>
#include <poll.h>
#include <string.h>

#define MS INT64_C(1000000)

static struct __kernel_timespec after_ms(int64_t ms)
{
	return (struct __kernel_timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * MS};
}

static void nops(struct rig *rig)
{
	rig_do(rig, "alone", io_uring_prep_nop);
	rig_put(rig, "first", IOSQE_IO_LINK, io_uring_prep_nop);
	rig_wait(rig, rig_put(rig, "second", 0, io_uring_prep_nop));
}

static void silent_success(struct rig *rig)
{
	rig_put(rig, "silent", IOSQE_CQE_SKIP_SUCCESS, io_uring_prep_nop);
	rig_put(rig, "loud", IOSQE_CQE_SKIP_SUCCESS, io_uring_prep_close, 99999);
	rig_settle(rig, 5 * MS);
}

static void prep_unknown(struct io_uring_sqe *sqe)
{
	sqe->opcode = 250;
}

static void unknown_operation(struct rig *rig)
{
	rig_do(rig, "unknown", prep_unknown);
}

/* A failure ends a chain; a hard link goes on. */
static void broken_chain(struct rig *rig)
{
	rig_put(rig, "good", IOSQE_IO_LINK, io_uring_prep_nop);
	rig_put(rig, "bad", IOSQE_IO_LINK, io_uring_prep_close, 99999);
	rig_put(rig, "left out", IOSQE_IO_LINK, io_uring_prep_nop);
	rig_put(rig, "left out too", 0, io_uring_prep_nop);
	rig_put(rig, "bad", IOSQE_IO_HARDLINK, io_uring_prep_close, 99999);
	rig_put(rig, "all the same", 0, io_uring_prep_nop);
	rig_settle(rig, 5 * MS);
}

static void timeouts(struct rig *rig)
{
	struct __kernel_timespec soon = after_ms(2), past = after_ms(0);
	unsigned tag = rig_put(rig, "soon", 0, io_uring_prep_timeout, &soon, 0, 0);

	rig_wait(rig, tag);
	rig_wait(rig, rig_put(rig, "past", 0, io_uring_prep_timeout, &past, 0, 0));
}

static void limit_expires(struct rig *rig)
{
	struct __kernel_timespec soon = after_ms(2);
	char byte;
	int pair[2];

	rig_pair(rig, pair);
	rig_put(rig, "recv", IOSQE_IO_LINK, io_uring_prep_recv, pair[0], &byte, 1, 0);
	rig_put(rig, "limit", 0, io_uring_prep_link_timeout, &soon, 0);
	rig_settle(rig, 10 * MS);
	rig_put(rig, "recv", IOSQE_IO_LINK, io_uring_prep_recv, pair[0], &byte, 1, 0);
	rig_put(rig, "silent limit", IOSQE_CQE_SKIP_SUCCESS, io_uring_prep_link_timeout, &soon, 0);
	rig_settle(rig, 10 * MS);
	rig_close(rig, pair[0]);
	rig_close(rig, pair[1]);
}

static void limit_is_not_needed(struct rig *rig)
{
	struct __kernel_timespec late = after_ms(5000);
	char byte = 'x';
	int pair[2];

	rig_pair(rig, pair);
	rig_put(rig, "recv", IOSQE_IO_LINK, io_uring_prep_recv, pair[0], &byte, 1, 0);
	rig_put(rig, "limit", 0, io_uring_prep_link_timeout, &late, 0);
	rig_settle(rig, 1 * MS);
	rig_do(rig, "send", io_uring_prep_send, pair[1], &byte, 1, 0);
	rig_settle(rig, 5 * MS);
	rig_do(rig, "send", io_uring_prep_send, pair[1], &byte, 1, 0);
	rig_put(rig, "recv", IOSQE_IO_LINK, io_uring_prep_recv, pair[0], &byte, 1, 0);
	rig_put(rig, "silent limit", IOSQE_CQE_SKIP_SUCCESS, io_uring_prep_link_timeout, &late, 0);
	rig_settle(rig, 5 * MS);
	rig_close(rig, pair[0]);
	rig_close(rig, pair[1]);
}

/* The second step waits; its limit ends it, and what comes after it. */
static void limit_within_a_chain(struct rig *rig)
{
	struct __kernel_timespec soon = after_ms(2);
	char byte;
	int pair[2];

	rig_pair(rig, pair);
	rig_put(rig, "first", IOSQE_IO_LINK, io_uring_prep_nop);
	rig_put(rig, "recv", IOSQE_IO_LINK, io_uring_prep_recv, pair[0], &byte, 1, 0);
	rig_put(rig, "limit", IOSQE_IO_LINK | IOSQE_CQE_SKIP_SUCCESS, io_uring_prep_link_timeout, &soon, 0);
	rig_put(rig, "left out", 0, io_uring_prep_nop);
	rig_settle(rig, 10 * MS);
	rig_close(rig, pair[0]);
	rig_close(rig, pair[1]);
}

static void cancels(struct rig *rig)
{
	unsigned tag;
	char byte;
	int pair[2];

	rig_pair(rig, pair);
	rig_do(rig, "nobody", io_uring_prep_cancel64, 4242 << 3, 0);
	tag = rig_put(rig, "recv", 0, io_uring_prep_recv, pair[0], &byte, 1, 0);
	rig_settle(rig, 1 * MS);
	rig_do(rig, "cancel", io_uring_prep_cancel64, (uint64_t)(tag + 1) << 3, 0);
	rig_wait(rig, tag);
	rig_do(rig, "too late", io_uring_prep_cancel64, (uint64_t)(tag + 1) << 3, 0);
	rig_put(rig, "recv", 0, io_uring_prep_recv, pair[0], &byte, 1, 0);
	rig_put(rig, "poll", 0, io_uring_prep_poll_add, pair[0], POLLIN);
	rig_settle(rig, 1 * MS);
	rig_do(rig, "all", io_uring_prep_cancel_fd, pair[0], IORING_ASYNC_CANCEL_ALL);
	rig_settle(rig, 5 * MS);
	rig_close(rig, pair[0]);
	rig_close(rig, pair[1]);
}

/* What stands after its cancel in the queue is not met by it. */
static void cancel_before_its_target(struct rig *rig)
{
	unsigned cancel, tag;
	char byte = 'x';
	int pair[2];

	rig_pair(rig, pair);
	cancel = rig_put(rig, "cancel", 0, io_uring_prep_cancel64, (uint64_t)(rig->tags + 2) << 3, 0);
	tag = rig_put(rig, "recv", 0, io_uring_prep_recv, pair[0], &byte, 1, 0);
	rig_wait(rig, cancel);
	rig_do(rig, "send", io_uring_prep_send, pair[1], &byte, 1, 0);
	rig_wait(rig, tag);
	rig_close(rig, pair[0]);
	rig_close(rig, pair[1]);
}

static void polls(struct rig *rig)
{
	char byte = 'x';
	unsigned tag;
	int pair[2];

	rig_pair(rig, pair);
	rig_do(rig, "room", io_uring_prep_poll_add, pair[0], POLLOUT);
	tag = rig_put(rig, "bytes", 0, io_uring_prep_poll_add, pair[0], POLLIN);
	rig_settle(rig, 1 * MS);
	rig_do(rig, "send", io_uring_prep_send, pair[1], &byte, 1, 0);
	rig_wait(rig, tag);
	rig_do(rig, "still", io_uring_prep_poll_add, pair[0], POLLIN);
	rig_close(rig, pair[1]);
	rig_do(rig, "the end", io_uring_prep_poll_add, pair[0], POLLIN | POLLRDHUP);
	rig_close(rig, pair[0]);
	rig_do(rig, "closed", io_uring_prep_poll_add, 99999, POLLIN);
}

static void poll_for_each(struct rig *rig)
{
	char byte = 'x';
	unsigned tag;
	int pair[2];

	rig_pair(rig, pair);
	tag = rig_put(rig, "bytes", 0, io_uring_prep_poll_multishot, pair[0], POLLIN);
	rig_settle(rig, 1 * MS);
	for (int i = 1; i <= 3; i++) {
		rig_do(rig, "send", io_uring_prep_send, pair[1], &byte, 1, 0);
		rig_wait_for(rig, tag, i);
		rig_do(rig, "recv", io_uring_prep_recv, pair[0], &byte, 1, 0);
	}
	rig_do(rig, "cancel", io_uring_prep_cancel64, (uint64_t)(tag + 1) << 3, 0);
	rig_wait(rig, tag);
	rig_close(rig, pair[0]);
	rig_close(rig, pair[1]);
}

static void futexes(struct rig *rig)
{
	uint32_t word = 7;
	unsigned tag = rig_put(rig, "wait", 0, io_uring_prep_futex_wait, &word, 7, FUTEX_BITSET_MATCH_ANY,
			       FUTEX2_SIZE_U32 | FUTEX2_PRIVATE, 0);

	rig_settle(rig, 1 * MS);
	rig_do(rig, "other value", io_uring_prep_futex_wait, &word, 8, FUTEX_BITSET_MATCH_ANY,
	       FUTEX2_SIZE_U32 | FUTEX2_PRIVATE, 0);
	rig_do(rig, "wake", io_uring_prep_futex_wake, &word, 1, FUTEX_BITSET_MATCH_ANY,
	       FUTEX2_SIZE_U32 | FUTEX2_PRIVATE, 0);
	rig_wait(rig, tag);
	rig_do(rig, "nobody", io_uring_prep_futex_wake, &word, 1, FUTEX_BITSET_MATCH_ANY,
	       FUTEX2_SIZE_U32 | FUTEX2_PRIVATE, 0);
	tag = rig_put(rig, "cancelled", 0, io_uring_prep_futex_wait, &word, 7, FUTEX_BITSET_MATCH_ANY,
		      FUTEX2_SIZE_U32 | FUTEX2_PRIVATE, 0);
	rig_settle(rig, 1 * MS);
	rig_do(rig, "cancel", io_uring_prep_cancel64, (uint64_t)(tag + 1) << 3, 0);
	rig_wait(rig, tag);
}

const struct scenario basic_scenarios[] = {
	{"nops", nops, RIG_ANY},
	{"silent success", silent_success, FEATURE_CQE_SKIP},
	{"unknown operation", unknown_operation, RIG_ANY},
	{"broken chain", broken_chain, RIG_ANY},
	{"timeouts", timeouts, RIG_ANY},
	{"limit expires", limit_expires, FEATURE_CQE_SKIP},
	{"limit is not needed", limit_is_not_needed, FEATURE_CQE_SKIP},
	{"limit within a chain", limit_within_a_chain, FEATURE_CQE_SKIP},
	{"cancels", cancels, RIG_ANY},
	{"cancel before its target", cancel_before_its_target, RIG_ANY},
	{"polls", polls, RIG_ANY},
	{"poll for each", poll_for_each, RIG_ANY},
	{"futexes", futexes, FEATURE_FUTEX},
	{NULL},
};
