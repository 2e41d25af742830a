/* SPDX-License-Identifier: MIT */
/*
 * What the ring has no operation for, or this kernel's has none: the system call itself, made on a thread of the
 * blocking executor. It is a checkpoint like any operation. A cancel takes a call that has not started out of the
 * queue (-ECANCELED, and nothing has happened); one that has started is waited for, so what it points at may be on its
 * caller's stack. Closing its descriptor does the same, so that a call that has waited never meets the number's next
 * owner.
 *
 * Direct descriptors are the ring's alone, so a system call knows nothing of them: they are refused.
 */
#ifndef NORIA_FILE_BLOCKING_H
#define NORIA_FILE_BLOCKING_H

#include "ring/ring.h"
#include "task/loop.h"

#include <stdint.h>

struct blocking {
	const char *name;
	int fd, second_fd; /* that it uses; negative: none, or AT_FDCWD */
	long number;       /* SYS_... */
	long arguments[6];
};

/* Returns what the system call returns, or a negative errno. */
int64_t noria_file_block(const struct blocking *call);

/* `arguments` are those of the system call, each as a long. */
#define file_block(name_, fd_, second_, number_, ...) \
	noria_file_block(&(struct blocking){.name = (name_), \
					    .fd = (fd_), \
					    .second_fd = (second_), \
					    .number = (number_), \
					    .arguments = {__VA_ARGS__}})

/*
 * The same for a function, which returns 0 or a negative errno. It may give up when noria_offload_cancelled() says so,
 * with -ECANCELED: that is -EBADF where the cancel came of a close.
 */
int noria_file_offload(struct task *task, int fd, int second_fd, int (*fn)(void *arg), void *arg);

/* Has the ring of the running task this? Outside a task: no, and whoever is asked next says so. */
static inline bool file_ring_has(enum feature feature)
{
	const struct loop *loop = noria_loop;

	return loop && features_has(&loop->ring->features, feature);
}

/* Returns 0, or -EOPNOTSUPP with the reason for a direct descriptor, where only the process's own can be used. */
int noria_file_refuse_direct(const char *name, int fd, int second_fd);

#endif
