/* SPDX-License-Identifier: MIT */
/*
 * Names of the kernel's interface that are younger than the oldest headers we build with (liburing 2.9 and its
 * kernel headers). The values are ABI and never change.
 */
#ifndef NORIA_RING_COMPAT_H
#define NORIA_RING_COMPAT_H

#include "base/sanitize.h"

#include <liburing.h>
#include <time.h>

#ifndef IORING_ENTER_NO_IOWAIT
#define IORING_ENTER_NO_IOWAIT (1U << 7)
#endif

#ifndef IORING_FEAT_NO_IOWAIT
#define IORING_FEAT_NO_IOWAIT (1U << 17)
#endif

/* Enumerators in newer headers, so they cannot be tested for; hence names of our own. */
#define RING_REGISTER_SEND_MSG_RING 31U
#define RING_OP_PIPE                62U

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102
#define MADV_GUARD_REMOVE  103
#endif

#ifndef PIDFD_SELF_THREAD
#define PIDFD_SELF_THREAD -10000
#endif

/* What a worker thread of the kernel answers when its blocking call was interrupted; it leaks out of io-wq. */
enum { KERNEL_ERESTARTSYS = 512 };

/*
 * liburing maps and unmaps rings by raw system calls, which ThreadSanitizer does not see: it would take a ring at the
 * address of one that another thread has closed for shared memory. The kernel orders the two; say so.
 */
#if NORIA_TSAN
#include <sanitizer/tsan_interface.h>
extern char noria_ring_mappings;
#define ring_unmapping() __tsan_release(&noria_ring_mappings)
#define ring_mapped()    __tsan_acquire(&noria_ring_mappings)
#else
#define ring_unmapping() ((void)0)
#define ring_mapped()    ((void)0)
#endif

/* The memory of a closed ring stays charged for about 30 ms (RLIMIT_MEMLOCK): how long -ENOMEM is worth a retry. */
enum { RING_MEMORY_RETRIES = 10 };

static inline void ring_memory_pause(void)
{
	struct timespec pause = {.tv_nsec = 10 * 1000 * 1000};

	nanosleep(&pause, NULL);
}

#endif
