/* SPDX-License-Identifier: MIT */
/*
 * Futexes: a 32-bit word of memory to wait on, for tasks that share memory with other processes or threads. Tasks of
 * one runtime have locks and channels, which are cheaper (sync.h, channel.h).
 *
 * The protocol is that of futex(2): who waits names the value that the word has as long as there is something to wait
 * for; who wants to wake changes the word first, and then wakes. A wait may end without a wake: look at the word again.
 */
#ifndef NORIA_FUTEX_H
#define NORIA_FUTEX_H

#include <noria/base.h>

struct futex_waitv; /* of <linux/futex.h> */

NORIA_BEGIN_DECLS

/* The flags of futex_wait(2) (FUTEX2_SIZE_U32, FUTEX2_PRIVATE), which are younger than some C libraries. */
enum noria_futex_flags {
	NORIA_FUTEX_32 = 2,        /* the word has 32 bits: always given */
	NORIA_FUTEX_PRIVATE = 128, /* only threads of this process use it */
};

#define NORIA_FUTEX_ANY 0xffffffffU /* a mask: whoever waits, whoever wakes */

enum { NORIA_FUTEX_WAITV_MAX = 127 };

/*
 * noria_futex_wait - wait on a word, as futex_wait(2).
 * @futex: aligned to 4 bytes; stays mapped until the call returns
 * @value: what the word must be for a wait to begin
 * @mask: not 0; only a wake whose mask has a bit in common ends it. NORIA_FUTEX_ANY
 * @flags: NORIA_FUTEX_32, with NORIA_FUTEX_PRIVATE or not; who wakes must give the same
 *
 * A wake is never lost by a cancel: either it ended this wait, and the call returns 0, or it was another's to have.
 * Where the kernel's ring has no futexes (`noria doctor`: futex), a thread is started for each wait.
 *
 * Returns: 0 when it was woken; -EAGAIN when the word has another value; -ECANCELED; -EFAULT; -EINVAL; -EOPNOTSUPP for
 * a mask that is not NORIA_FUTEX_ANY where the ring has no futexes; there also -EAGAIN with noria_message() when no
 * thread can be had; -ENXIO outside a runtime. Checkpoint. Runtime's thread. Since 0.2.
 *
 * noria_futex_waitv - wait on several words at once, as futex_waitv(2). A thread is started for it on every kernel:
 * the ring's own may lose a wake to a cancel.
 * @waiters: each with a value, an address and NORIA_FUTEX_32 or more; read before the call waits
 * @count: 1 to NORIA_FUTEX_WAITV_MAX
 * @flags: 0
 * Returns: the index of one that was woken; or as noria_futex_wait(). Checkpoint. Runtime's thread. Since 0.2.
 */
NORIA_PUBLIC NORIA_CHECKED int noria_futex_wait(const uint32_t *futex, uint64_t value, uint64_t mask, unsigned flags);
NORIA_PUBLIC NORIA_CHECKED int noria_futex_waitv(const struct futex_waitv *waiters, unsigned count, unsigned flags);

/*
 * noria_futex_wake - wake up to `count` of those that wait on a word, as futex_wake(2). Change the word first.
 * It waits for nothing and is done at once, by the system call: whoever else waits hears of it now, and not when this
 * turn of the loop is over. Like an unlock it is done in a cancelled scope as well.
 * Returns: how many were woken; -EFAULT, -EINVAL. Not a checkpoint. Any thread, also without a runtime. Since 0.2.
 */
NORIA_PUBLIC int noria_futex_wake(const uint32_t *futex, uint64_t mask, int count, unsigned flags);

NORIA_END_DECLS
#endif
