/* SPDX-License-Identifier: MIT */
/* Of a simulated disk's calls those that have no function in the C library, or are made by number all the same. */
#ifndef NORIA_TESTING_LIBC_DISK_H
#define NORIA_TESTING_LIBC_DISK_H

#include <stdbool.h>

/* Does the system call with this number and these arguments concern a simulated disk? Then it is made: *ret_r as of
 * syscall(). */
bool noria_libc_disk_syscall(long number, const long arguments[6], long *ret_r);

#endif
