/* SPDX-License-Identifier: MIT */
/*
 * The steps of a chain: an entry of the ring each, filled when the program names it. Nothing is begun here. What is
 * wrong with a step is kept, and the run says so, since these calls return nothing that a program would look at.
 */
#include "noria/chain.h"

#include "op/chain.h"
#include "op/op.h"

#include <errno.h>
#include <sys/socket.h>

_Static_assert(sizeof(struct chain) <= sizeof(struct noria_chain), "struct noria_chain is too small");
_Static_assert(sizeof(struct step) <= sizeof(struct noria_chain_step), "struct noria_chain_step is too small");
_Static_assert(_Alignof(struct step) <= _Alignof(struct noria_chain_step),
	       "struct noria_chain_step is aligned too little");

void noria_chain_begin_at(struct noria_chain *storage, struct noria_chain_step *steps, size_t count,
			  const struct noria_site *site)
{
	*chain_from_public(storage) =
		(struct chain){.steps = (struct step *)(void *)steps, .site = site, .room = count};
}

static int wrong(struct chain *chain, int error)
{
	if (chain->error == 0)
		chain->error = error;
	return error;
}

/* A descriptor that only chains know, and that this one has not given out. */
static bool is_foreign(const struct chain *chain, int fd)
{
	return fd >= OPENED_FIRST && (unsigned)(fd - OPENED_FIRST) >= chain->opened;
}

/* The next step, or NULL when there is no room. */
static struct step *append(struct noria_chain *storage, const char *name, size_t whole)
{
	struct chain *chain = chain_from_public(storage);
	struct step *step = &chain->steps[chain->count];

	if (chain->count >= chain->room) {
		wrong(chain, -EINVAL);
		return NULL;
	}
	chain->count++;
	step->chain = chain;
	step->name = name;
	step->result = -ECANCELED;
	step->whole = op_length(whole);
	io_uring_initialize_sqe(&step->submission.sqe);
	return step;
}

#define chain_append(chain, name, whole, prepare, ...) \
	do { \
		struct step *step_ = append(chain, name, whole); \
		if (step_) { \
			prepare(&step_->submission.sqe, ##__VA_ARGS__); \
			step_->fd = step_->submission.sqe.fd; \
			if (is_foreign(chain_from_public(chain), step_->fd)) \
				wrong(chain_from_public(chain), -EINVAL); \
		} \
	} while (0)

void noria_chain_read(struct noria_chain *chain, int fd, void *buffer, size_t size)
{
	chain_append(chain, "read", size, io_uring_prep_read, fd, buffer, op_length(size), OFFSET_CURRENT);
}

void noria_chain_write(struct noria_chain *chain, int fd, const void *buffer, size_t size)
{
	chain_append(chain, "write", size, io_uring_prep_write, fd, buffer, op_length(size), OFFSET_CURRENT);
}

void noria_chain_pread(struct noria_chain *chain, int fd, void *buffer, size_t size, off_t offset)
{
	if (offset < 0)
		wrong(chain_from_public(chain), -EINVAL);
	chain_append(chain, "pread", size, io_uring_prep_read, fd, buffer, op_length(size), (uint64_t)offset);
}

void noria_chain_pwrite(struct noria_chain *chain, int fd, const void *buffer, size_t size, off_t offset)
{
	if (offset < 0)
		wrong(chain_from_public(chain), -EINVAL);
	chain_append(chain, "pwrite", size, io_uring_prep_write, fd, buffer, op_length(size), (uint64_t)offset);
}

void noria_chain_fsync(struct noria_chain *chain, int fd)
{
	chain_append(chain, "fsync", 0, io_uring_prep_fsync, fd, 0);
}

void noria_chain_fdatasync(struct noria_chain *chain, int fd)
{
	chain_append(chain, "fdatasync", 0, io_uring_prep_fsync, fd, IORING_FSYNC_DATASYNC);
}

void noria_chain_renameat(struct noria_chain *chain, int olddirfd, const char *oldpath, int newdirfd,
			  const char *newpath)
{
	chain_append(chain, "renameat", 0, io_uring_prep_renameat, olddirfd, oldpath, newdirfd, newpath, 0);
}

void noria_chain_unlinkat(struct noria_chain *chain, int dirfd, const char *path, int flags)
{
	chain_append(chain, "unlinkat", 0, io_uring_prep_unlinkat, dirfd, path, flags);
}

void noria_chain_connect(struct noria_chain *chain, int fd, const struct sockaddr *address, socklen_t length)
{
	chain_append(chain, "connect", 0, io_uring_prep_connect, fd, address, length);
}

void noria_chain_send(struct noria_chain *chain, int fd, const void *buffer, size_t size, int flags)
{
	chain_append(chain, "send", size, io_uring_prep_send, fd, buffer, op_length(size),
		     flags | MSG_WAITALL | MSG_NOSIGNAL);
}

void noria_chain_recv(struct noria_chain *chain, int fd, void *buffer, size_t size, int flags)
{
	chain_append(chain, "recv", size, io_uring_prep_recv, fd, buffer, op_length(size), flags | MSG_WAITALL);
}

void noria_chain_shutdown(struct noria_chain *chain, int fd, int how)
{
	chain_append(chain, "shutdown", 0, io_uring_prep_shutdown, fd, how);
}

int noria_chain_openat(struct noria_chain *storage, int dirfd, const char *path, int flags, mode_t mode)
{
	struct chain *chain = chain_from_public(storage);

	if (chain->opened == OPENED_MAX)
		return wrong(chain, -EINVAL);
	chain_append(storage, "openat", 0, io_uring_prep_openat, dirfd, path, flags, mode);
	return OPENED_FIRST + (int)chain->opened++;
}

void noria_chain_close(struct noria_chain *chain, int fd)
{
	if (fd < OPENED_FIRST)
		wrong(chain_from_public(chain), -EINVAL);
	chain_append(chain, "close", 0, io_uring_prep_close, fd);
}
