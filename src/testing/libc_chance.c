/* SPDX-License-Identifier: MIT */
/* Chance of a simulated run: drawn from its seed. And what differs from machine to machine: it has four processors. */
#include "testing/libc.h"

#include <sched.h>
#include <string.h>
#include <sys/random.h>

enum { PROCESSORS = 4, ENTROPY_MAX = 256 };

static void draw(void *buffer, size_t size)
{
	unsigned char *bytes = buffer;

	for (size_t done = 0; done < size; done += 4) {
		uint32_t word = (uint32_t)sim_draw(sim_world, SIM_CHOICE_PROGRAM, UINT64_C(1) << 32);

		memcpy(bytes + done, &word, size - done < sizeof word ? size - done : sizeof word);
	}
}

static ssize_t libc_getrandom(void *buffer, size_t size, unsigned flags)
{
	if (!testing_simulated())
		return LIBC_RAW(SYS_getrandom, buffer, size, flags);
	draw(buffer, size);
	return (ssize_t)size;
}

static int libc_getentropy(void *buffer, size_t size)
{
	if (size > ENTROPY_MAX)
		return (int)libc_answer(-EIO);
	for (size_t done = 0; done < size;) {
		ssize_t n = libc_getrandom((char *)buffer + done, size - done, 0);

		if (n < 0 && errno != EINTR)
			return -1;
		done += n > 0 ? (size_t)n : 0;
	}
	return 0;
}

static void libc_arc4random_buf(void *buffer, size_t size)
{
	for (size_t done = 0; done < size;) {
		size_t part = size - done < ENTROPY_MAX ? size - done : ENTROPY_MAX;

		if (libc_getentropy((char *)buffer + done, part) == 0)
			done += part;
	}
}

static uint32_t libc_arc4random(void)
{
	uint32_t word;

	libc_arc4random_buf(&word, sizeof word);
	return word;
}

static uint32_t libc_arc4random_uniform(uint32_t among)
{
	return among < 2 ? 0 : (uint32_t)((uint64_t)libc_arc4random() * among >> 32);
}

LIBC_EXPORT(getrandom, getrandom);
LIBC_EXPORT(getentropy, getentropy);
LIBC_EXPORT(arc4random, arc4random);
LIBC_EXPORT(arc4random_buf, arc4random_buf);
LIBC_EXPORT(arc4random_uniform, arc4random_uniform);

static int libc_sched_getaffinity(pid_t pid, size_t size, cpu_set_t *ret_set)
{
	long r;

	if (!testing_simulated()) {
		r = LIBC_RAW(SYS_sched_getaffinity, pid, size, ret_set);
		if (r >= 0)
			memset((char *)ret_set + r, 0, size - (size_t)r);
		return r < 0 ? -1 : 0;
	}
	memset(ret_set, 0, size);
	for (int i = 0; i < PROCESSORS; i++)
		CPU_SET_S((size_t)i, size, ret_set);
	return 0;
}

LIBC_EXPORT(sched_getaffinity, sched_getaffinity);
