/* SPDX-License-Identifier: MIT */
/*
 * Futexes. Waiting is an operation of the ring: the kernel either takes a waiter out of the futex's queue, by which the
 * operation is cancelled, or finds that it was woken, and then that is the result. So a wake goes to one who hears of
 * it. Waking is a system call like an unlock: an entry of the ring would do it only at the end of this turn.
 *
 * For several words the ring is not used: a wake that meets a cancel there is counted as one that woke somebody, and
 * nobody hears of it (seen on Linux 6.18, one in some hundred under load). A thread waits instead.
 */
#include "noria/futex.h"

#include "base/message.h"
#include "op/op.h"
#include "process/futex_thread.h"
#include "scope/scope.h"

#include <errno.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

static int check_word(uint64_t value, uint64_t mask, unsigned flags)
{
	if ((flags | NORIA_FUTEX_PRIVATE) != (NORIA_FUTEX_32 | NORIA_FUTEX_PRIVATE))
		return noria_refuse(-EINVAL,
				    "a futex with flags %u. Remedy: NORIA_FUTEX_32, with NORIA_FUTEX_PRIVATE or not",
				    flags);
	if (value > UINT32_MAX || mask > UINT32_MAX || mask == 0)
		return noria_refuse(-EINVAL, "a futex has 32 bits, and its mask at least one of 32");
	return 0;
}

static bool on_ring(const struct task *task)
{
	return features_has(&task->loop->ring->features, FEATURE_FUTEX);
}

static int wait_without_ring(struct task *task, const uint32_t *futex, uint64_t value, uint64_t mask, unsigned flags)
{
	const struct futex_waitv waiter = {.val = value, .uaddr = (uintptr_t)futex, .flags = flags};
	int r = scope_door(task);

	if (r < 0)
		return r;
	if (mask != NORIA_FUTEX_ANY)
		return noria_refuse(-EOPNOTSUPP,
				    "this kernel's ring has no futexes, and no wait has a mask without. Remedy: "
				    "NORIA_FUTEX_ANY, or Linux 6.7");
	return noria_futex_wait_in_thread(task, &waiter, 1);
}

int noria_futex_wait(const uint32_t *futex, uint64_t value, uint64_t mask, unsigned flags)
{
	struct task *task = noria_current();
	int r;

	if (!task)
		return -ENXIO;
	r = check_word(value, mask, flags);
	if (r < 0)
		return r;
	if (!on_ring(task))
		return wait_without_ring(task, futex, value, mask, flags);
	return (int)op_call("futex_wait", OP_DONTWAIT, io_uring_prep_futex_wait, (uint32_t *)(uintptr_t)futex, value,
			    mask, flags, 0);
}

int noria_futex_waitv(const struct futex_waitv *waiters, unsigned count, unsigned flags)
{
	struct task *task = noria_current();
	int r;

	if (!task)
		return -ENXIO;
	if (count < 1 || count > NORIA_FUTEX_WAITV_MAX || flags)
		return noria_refuse(-EINVAL, "a wait on %u futexes with flags %u. Remedy: 1 to %d, without flags",
				    count, flags, NORIA_FUTEX_WAITV_MAX);
	for (unsigned i = 0; i < count; i++) {
		r = check_word(waiters[i].val, NORIA_FUTEX_ANY, waiters[i].flags);
		if (r < 0)
			return r;
	}
	r = scope_door(task);
	return r < 0 ? r : noria_futex_wait_in_thread(task, waiters, count);
}

int noria_futex_wake(const uint32_t *futex, uint64_t mask, int count, unsigned flags)
{
	int operation = FUTEX_WAKE_BITSET | (flags & NORIA_FUTEX_PRIVATE ? FUTEX_PRIVATE_FLAG : 0);
	int r = check_word(0, mask, flags);
	long woken;

	if (r < 0)
		return r;
	if (count <= 0)
		return count < 0 ? -EINVAL : 0; /* the system call would wake one */
	woken = syscall(SYS_futex, futex, operation, count, NULL, NULL, (uint32_t)mask);
	return woken < 0 ? -errno : (int)woken;
}
