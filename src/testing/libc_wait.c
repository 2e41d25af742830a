/* SPDX-License-Identifier: MIT */
/*
 * What threads wait on, as far as a call on a thread of the world may: semaphores, and the processor. The semaphores
 * are the C library's own; only the wait is ours.
 */
#include "testing/libc.h"
#include "testing/thread.h"

#include <dlfcn.h>
#include <semaphore.h>

enum { YIELD_NS = 1000 };

static int libc_sem_wait(sem_t *semaphore)
{
	static int (*real)(sem_t *);

	if (!testing_thread()) {
		if (!real)
			real = (int (*)(sem_t *))dlsym(RTLD_NEXT, "sem_wait");
		return real(semaphore);
	}
	while (sem_trywait(semaphore) < 0)
		testing_thread_wait(semaphore);
	return 0;
}

static int libc_sem_post(sem_t *semaphore)
{
	static int (*real)(sem_t *);
	int r;

	if (!real)
		real = (int (*)(sem_t *))dlsym(RTLD_NEXT, "sem_post");
	r = real(semaphore);
	if (r == 0)
		testing_thread_wake(semaphore);
	return r;
}

static int libc_sched_yield(void)
{
	if (!testing_thread())
		return (int)LIBC_RAW(SYS_sched_yield, 0);
	testing_thread_sleep(YIELD_NS);
	return 0;
}

LIBC_EXPORT(sem_wait, sem_wait);
LIBC_EXPORT(sem_post, sem_post);
LIBC_EXPORT(sched_yield, sched_yield);
