/* SPDX-License-Identifier: MIT */
/*
 * syscall(): what has no function in the C library, or is called by its number for another reason; noria's own calls on
 * threads are among them. Those that concern the world's files and futexes go where their functions go.
 */
#include "simulation/ring.h"
#include "testing/libc.h"
#include "testing/libc_disk.h"

#include <linux/futex.h>
#include <stdarg.h>

/* Waiters of the simulated ring come first, then threads of the kernel's. */
static long wake_futex(const long a[6])
{
	unsigned count = (unsigned)a[2], woken;
	uint64_t mask = ((unsigned)a[1] & FUTEX_CMD_MASK) == FUTEX_WAKE ? FUTEX_BITSET_MATCH_ANY : (uint32_t)a[5];
	long more;

	woken = sim_futex_wake(sim_world, (const void *)a[0], count, mask);
	if (woken == count)
		return woken;
	more = LIBC_RAW(SYS_futex, a[0], a[1], count - woken, a[3], a[4], a[5]);
	return more < 0 ? more : (long)woken + more;
}

static bool wakes_futex(long number, const long a[6])
{
	long command = a[1] & FUTEX_CMD_MASK;

	return number == SYS_futex && (command == FUTEX_WAKE || command == FUTEX_WAKE_BITSET) && testing_simulated();
}

static long libc_syscall(long number, ...)
{
	long a[6], r;
	va_list list;

	va_start(list, number);
	for (int i = 0; i < 6; i++)
		a[i] = va_arg(list, long);
	va_end(list);
	if (wakes_futex(number, a))
		return wake_futex(a);
	if (noria_libc_disk_syscall(number, a, &r))
		return r;
	return noria_libc_raw(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

LIBC_EXPORT(syscall, syscall);
