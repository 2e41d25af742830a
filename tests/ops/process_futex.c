/* SPDX-License-Identifier: MIT */
/* Waiting on futexes, whose memory is shared with other processes. */
#include "ops.h"

#include <linux/futex.h>
#include <sys/mman.h>

static uint32_t *words_of(struct op_place *place)
{
	return place->extra;
}

static void set(struct op_place *place)
{
	__atomic_store_n(words_of(place), 1, __ATOMIC_RELEASE);
	MUST(noria_futex_wake(words_of(place), NORIA_FUTEX_ANY, 1, NORIA_FUTEX_32) >= 0);
}

static void open_words(struct op_place *place, bool ready)
{
	place->extra = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	MUST(place->extra != MAP_FAILED);
	if (ready)
		set(place);
}

static void close_words(struct op_place *place)
{
	MUST(munmap(place->extra, 4096) == 0);
}

/* Until the word is 1. */
static int64_t call_wait(struct op_place *place)
{
	int r = noria_futex_wait(words_of(place), 0, NORIA_FUTEX_ANY, NORIA_FUTEX_32);

	return r == -EAGAIN ? 0 : r;
}

static void did_wait(struct op_place *place, int64_t result)
{
	EXPECT_EQ(result, 0);
	EXPECT_EQ(*words_of(place), 1);
}

/* Until the first of three is; the others stay. */
static int64_t call_waitv(struct op_place *place)
{
	struct futex_waitv waiters[3] = {{.flags = NORIA_FUTEX_32, .uaddr = (uintptr_t)(words_of(place) + 1)},
					 {.flags = NORIA_FUTEX_32, .uaddr = (uintptr_t)words_of(place)},
					 {.flags = NORIA_FUTEX_32, .uaddr = (uintptr_t)(words_of(place) + 2)}};
	int r = noria_futex_waitv(waiters, 3, 0);

	return r == -EAGAIN ? 1 : r;
}

static void did_waitv(struct op_place *place, int64_t result)
{
	EXPECT_EQ(result, 1);
	EXPECT_EQ(*words_of(place), 1);
}

static int64_t wait_other_value(struct op_place *place)
{
	return noria_futex_wait(words_of(place), 2, NORIA_FUTEX_ANY, NORIA_FUTEX_32);
}

static int64_t wait_nowhere(struct op_place *place)
{
	(void)place;
	return noria_futex_wait((uint32_t *)16, 0, NORIA_FUTEX_ANY, NORIA_FUTEX_32);
}

static int64_t wait_unaligned(struct op_place *place)
{
	return noria_futex_wait((uint32_t *)(void *)((char *)place->extra + 2), 0, NORIA_FUTEX_ANY, NORIA_FUTEX_32);
}

static int64_t wait_without_size(struct op_place *place)
{
	return noria_futex_wait(words_of(place), 1, NORIA_FUTEX_ANY, 0);
}

static int64_t wait_without_mask(struct op_place *place)
{
	return noria_futex_wait(words_of(place), 1, 0, NORIA_FUTEX_32);
}

static int64_t wait_large_value(struct op_place *place)
{
	return noria_futex_wait(words_of(place), UINT64_C(1) << 32, NORIA_FUTEX_ANY, NORIA_FUTEX_32);
}

static const struct op_error wait_errors[] = {{-EAGAIN, wait_other_value},
					      {-EFAULT, wait_nowhere},
					      {-EINVAL, wait_unaligned},
					      {-EINVAL, wait_without_size},
					      {-EINVAL, wait_without_mask},
					      {-EINVAL, wait_large_value},
					      {0, NULL}};

static int64_t waitv_none(struct op_place *place)
{
	(void)place;
	return noria_futex_waitv(NULL, 0, 0);
}

static int64_t waitv_too_many(struct op_place *place)
{
	(void)place;
	return noria_futex_waitv(NULL, NORIA_FUTEX_WAITV_MAX + 1, 0);
}

static int64_t waitv_other_value(struct op_place *place)
{
	struct futex_waitv waiter = {.flags = NORIA_FUTEX_32, .uaddr = (uintptr_t)words_of(place), .val = 2};

	return noria_futex_waitv(&waiter, 1, 0);
}

static int64_t waitv_without_size(struct op_place *place)
{
	struct futex_waitv waiter = {.uaddr = (uintptr_t)words_of(place), .val = 1};

	return noria_futex_waitv(&waiter, 1, 0);
}

static const struct op_error waitv_errors[] = {{-EINVAL, waitv_none},
					       {-EINVAL, waitv_too_many},
					       {-EAGAIN, waitv_other_value},
					       {-EINVAL, waitv_without_size},
					       {0, NULL}};

static int64_t call_wake(struct op_place *place)
{
	return noria_futex_wake(words_of(place), NORIA_FUTEX_ANY, 3, NORIA_FUTEX_32);
}

static void did_wake(struct op_place *place, int64_t result)
{
	(void)place;
	EXPECT_EQ(result, 0); /* nobody waits */
}

static int64_t wake_unaligned(struct op_place *place)
{
	return noria_futex_wake((uint32_t *)(void *)((char *)place->extra + 2), NORIA_FUTEX_ANY, 1, NORIA_FUTEX_32);
}

static int64_t wake_negative(struct op_place *place)
{
	return noria_futex_wake(words_of(place), NORIA_FUTEX_ANY, -1, NORIA_FUTEX_32);
}

static const struct op_error wake_errors[] = {{-EINVAL, wake_unaligned}, {-EINVAL, wake_negative}, {0, NULL}};

static const struct op_case cases[] = {
	{.name = "futex_wait",
	 .open = open_words,
	 .call = call_wait,
	 .complete = set,
	 .did = did_wait,
	 .close = close_words,
	 .errors = wait_errors},
	{.name = "futex_waitv",
	 .open = open_words,
	 .call = call_waitv,
	 .complete = set,
	 .did = did_waitv,
	 .close = close_words,
	 .errors = waitv_errors},
	{.name = "futex_wake",
	 .open = open_words,
	 .call = call_wake,
	 .did = did_wake,
	 .close = close_words,
	 .errors = wake_errors,
	 .always = true},
	{0},
};

OPS(process_futex, cases)
