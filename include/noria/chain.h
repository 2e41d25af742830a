/* SPDX-License-Identifier: MIT */
/*
 * Chains: several operations, one after the other, by one submission and one wait. The kernel begins each when the one
 * before it has done all that it was asked; so a file is opened, read and closed, or a reply sent and the connection
 * shut down, by one system call, where single operations take one each.
 *
 *     struct noria_chain chain;
 *     struct noria_chain_step steps[3];
 *
 *     noria_chain_begin(&chain, steps);
 *     int file = noria_chain_openat(&chain, AT_FDCWD, path, O_RDONLY, 0);
 *     noria_chain_read(&chain, file, buffer, sizeof buffer);
 *     noria_chain_close(&chain, file);
 *     noria_try(noria_chain_run(&chain));
 *     n = noria_chain_result(&chain, 1);
 *
 * A step that fails ends the chain: what follows does not run. So does one that moved less than it was asked to, since
 * the next may count on the whole; sends and receives on streams go on until the whole has moved, or the end. A close
 * at the very end runs all the same when the step before it fell short. A read to the end of a file, which is short,
 * is therefore well placed last, or before a last close.
 *
 * Storage is the caller's, and so is everything the steps point to: it stays until noria_chain_run() returns. A chain
 * may be run again. Nothing needs to be freed. All functions belong to the runtime's thread; only noria_chain_run() is
 * a checkpoint. All since 0.2.
 */
#ifndef NORIA_CHAIN_H
#define NORIA_CHAIN_H

#include <noria/base.h>
#include <sys/socket.h>

NORIA_BEGIN_DECLS

/* One step, and a chain: the content is noria's. */
struct noria_chain_step {
	uint64_t opaque[32];
} __attribute__((aligned(16)));

struct noria_chain {
	uint64_t opaque[20];
} __attribute__((aligned(16)));

/* noria_chain_begin - an empty chain. @steps: an array, with room for as many steps as it has elements */
#define noria_chain_begin(chain, steps) \
	noria_chain_begin_at((chain), (steps), sizeof(steps) / sizeof((steps)[0]), NORIA_SITE("chain"))
NORIA_PUBLIC void noria_chain_begin_at(struct noria_chain *chain, struct noria_chain_step *steps, size_t count,
				       const struct noria_site *site);

/*
 * Append a step: the operation of this name, with its arguments in its order. One too many is told by
 * noria_chain_run(). Descriptors may be direct or ordinary.
 */
NORIA_PUBLIC void noria_chain_read(struct noria_chain *chain, int fd, void *buffer, size_t size);
NORIA_PUBLIC void noria_chain_write(struct noria_chain *chain, int fd, const void *buffer, size_t size);
NORIA_PUBLIC void noria_chain_pread(struct noria_chain *chain, int fd, void *buffer, size_t size, off_t offset);
NORIA_PUBLIC void noria_chain_pwrite(struct noria_chain *chain, int fd, const void *buffer, size_t size, off_t offset);
NORIA_PUBLIC void noria_chain_fsync(struct noria_chain *chain, int fd);
NORIA_PUBLIC void noria_chain_fdatasync(struct noria_chain *chain, int fd);
NORIA_PUBLIC void noria_chain_renameat(struct noria_chain *chain, int olddirfd, const char *oldpath, int newdirfd,
				       const char *newpath);
NORIA_PUBLIC void noria_chain_unlinkat(struct noria_chain *chain, int dirfd, const char *path, int flags);
NORIA_PUBLIC void noria_chain_connect(struct noria_chain *chain, int fd, const struct sockaddr *address,
				      socklen_t length);
/* The whole of `size` bytes. */
NORIA_PUBLIC void noria_chain_send(struct noria_chain *chain, int fd, const void *buffer, size_t size, int flags);
NORIA_PUBLIC void noria_chain_recv(struct noria_chain *chain, int fd, void *buffer, size_t size, int flags);
NORIA_PUBLIC void noria_chain_shutdown(struct noria_chain *chain, int fd, int how);

/*
 * noria_chain_openat - append the opening of a file that lives within the run of the chain: what no step has closed is
 * closed when noria_chain_run() returns.
 * Returns: a descriptor for the steps of this chain that follow, and for nothing else.
 */
NORIA_PUBLIC int noria_chain_openat(struct noria_chain *chain, int dirfd, const char *path, int flags, mode_t mode);
/* noria_chain_close - append the close of a descriptor that noria_chain_openat() gave. Others noria_close() closes. */
NORIA_PUBLIC void noria_chain_close(struct noria_chain *chain, int fd);

/*
 * noria_chain_run - run the steps, and wait for all of them.
 * Returns: how many were done in full, from the first: all of them, or fewer when one moved less than it was asked. Or
 * the negative errno of the step that failed, and then noria_chain_done() says which. -ECANCELED: the scope is
 * cancelled; the step that was under way was stopped, and those behind it have not begun. -EBADF: the descriptor of a
 * step was closed, maybe of one that had not begun. -E2BIG: the chain has more steps than the submission queue has
 * entries, and would be split; -EINVAL: more steps than room, a descriptor that another chain opens, or another task
 * runs it; -EFAULT: memory of a block that was put back, or behind the last one (block.h); -EOPNOTSUPP: a step that the
 * kernel cannot do on a direct descriptor; in these four cases nothing has been done, and noria_message() says what to
 * do. -EAGAIN from a descriptor with O_NONBLOCK, for which not every kernel waits, is an error like others.
 *
 * The time limit of a scope around it is kept by the loop. Where the kernel has no direct descriptors, a chain that
 * opens files is run step by step, to the same effect.
 */
NORIA_PUBLIC NORIA_CHECKED int noria_chain_run(struct noria_chain *chain);

/* noria_chain_done - how many steps the last run has done in full, from the first. */
NORIA_PUBLIC size_t noria_chain_done(const struct noria_chain *chain);
/*
 * noria_chain_result - what a step of the last run came to: as its operation returns it. -ECANCELED for one that was
 * not run, whether for a cancel or because of the steps before; 0 for an opening that succeeded.
 */
NORIA_PUBLIC ssize_t noria_chain_result(const struct noria_chain *chain, size_t index);

NORIA_END_DECLS
#endif
