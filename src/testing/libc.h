/* SPDX-License-Identifier: MIT */
/*
 * The C library's calls as a simulated world needs them: what concerns its descriptors, its files and hosts, its clock
 * and its chance. Each is defined here under the name that the C library has for it, so that programs, other libraries
 * and noria itself come here first. What does not concern a world goes to the kernel as it is: by a system call of our
 * own, since these functions are what the C library's own would be.
 *
 * Descriptors from SIM_FD on are a world's at any time; paths, clocks and chance are while a simulated run is under way
 * on this thread.
 *
 * Each function is written once, under the name libc_NAME, and LIBC_EXPORT() gives it the names under which it is
 * called, of which headers would make something else (open64 for open).
 */
#ifndef NORIA_TESTING_LIBC_H
#define NORIA_TESTING_LIBC_H

#include "simulation/request.h"
#include "simulation/world.h"
#include "testing/runtime.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/syscall.h>

#define LIBC_EXPORT(name, symbol) \
	extern __typeof__(libc_##name) libc_export_##symbol __asm__(#symbol) \
		__attribute__((alias("libc_" #name), visibility("default")))

/* Of this thread's world? */
static inline bool libc_is_ours(int fd)
{
	return __builtin_expect(fd >= SIM_FD, 0) && sim_world;
}

/* The kernel's call with this number: what it returns, or -1 with errno. */
long noria_libc_raw(long number, long a, long b, long c, long d, long e, long f);

#define LIBC_RAW(number, ...) LIBC_RAW_(number, __VA_ARGS__, 0, 0, 0, 0, 0, 0)
#define LIBC_RAW_(number, a, b, c, d, e, f, ...) \
	noria_libc_raw((number), (long)(a), (long)(b), (long)(c), (long)(d), (long)(e), (long)(f))

/* What a function of the simulation returned, as the C library would say it: -1 with errno. */
static inline long libc_answer(int64_t r)
{
	if (r >= 0)
		return (long)r;
	errno = (int)-r;
	return -1;
}

/* An entry of the ring, made here and now for whoever runs. Negative errno; -EAGAIN: it would have to wait. */
int64_t noria_libc_make(struct io_uring_sqe *sqe);
/* The same, and where it would have to wait a call on a thread of the world waits; others are refused. */
int64_t noria_libc_make_waiting(struct io_uring_sqe *sqe);
/* The open file; NULL with EBADF, or EHOSTDOWN, if its host has lost its power since it was opened. */
struct sim_file *noria_libc_file(int fd);
/* Is what this names on a simulated disk? */
bool noria_libc_names_ours(int dirfd, const char *path);
/* On which host something is to be made: NULL while no simulated run is under way. */
struct sim_host *noria_libc_host(void);
/* It would have to wait, and no thread of the world calls: -EAGAIN, and noria_message(). */
int noria_libc_refuse_wait(const char *what);
/* That is not simulated: -1 with EOPNOTSUPP, and noria_message(). */
long noria_libc_refuse(const char *what);

#endif
