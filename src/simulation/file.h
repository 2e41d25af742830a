/* SPDX-License-Identifier: MIT */
/*
 * Open files: what a descriptor stands for, whatever kind it is. Nothing here waits. What cannot be done now answers
 * -EAGAIN, and sim_file_wake() tells those that wait when it may be tried again.
 */
#ifndef NORIA_SIMULATION_FILE_H
#define NORIA_SIMULATION_FILE_H

#include "base/list.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/uio.h>

struct sim_file;
struct sim_host;
struct sim_world;

/* Bytes that are to be moved: of read(2) and send(2) and all their variants. */
struct sim_transfer {
	const struct iovec *vector;
	size_t count;
	size_t size;            /* the sum of the vector */
	int64_t offset;         /* -1: the file's own position */
	int flags;              /* MSG_* of a socket's, RWF_* of a file's */
	struct msghdr *message; /* with address and control data; NULL: bytes alone */
	struct sim_host *host;  /* on which this is asked for */
};

struct sim_file_class {
	const char *noun;
	bool is_socket;
	bool seekable; /* a regular file or a block device: a worker moves its bytes, and it is never polled for */
	/* POLLIN, POLLOUT, POLLHUP, POLLERR, POLLRDHUP, POLLPRI: what holds now. NULL: always POLLIN | POLLOUT */
	unsigned (*poll)(struct sim_file *file);
	/*
	 * Bytes moved, or a negative errno; -EAGAIN: not now. NULL: -EBADF. Every class knows MSG_PEEK: bytes that are
	 * read stay, and a position does not move.
	 */
	int64_t (*read)(struct sim_file *file, struct sim_transfer *transfer);
	int64_t (*write)(struct sim_file *file, struct sim_transfer *transfer);
	/* The last reference is gone. Frees it. */
	void (*release)(struct sim_file *file);
};

/* The first member of what a family adds. */
struct sim_file {
	const struct sim_file_class *class;
	struct sim_world *world;
	struct sim_host *host;
	const char *origin;  /* the call that made it: "socket", "open", ... */
	struct list waiting; /* requests that wait for it to be ready */
	unsigned references; /* descriptors, and requests under way */
	unsigned descriptors;
	unsigned boot;    /* of its host when it was made: of an earlier one it is dead */
	int flags;        /* O_*: O_NONBLOCK, O_APPEND, and how it was opened */
	bool zero_copies; /* MSG_ZEROCOPY bytes are held until the peer has them */
};

/* Fill what every file has; one reference, the caller's. */
void sim_file_init(struct sim_file *file, const struct sim_file_class *class, struct sim_world *world,
		   struct sim_host *host, const char *origin, int flags);
static inline struct sim_file *sim_file_ref(struct sim_file *file)
{
	file->references++;
	return file;
}
void sim_file_unref(struct sim_file *file);
/* Its host has lost its power since it was made. */
bool sim_file_is_dead(const struct sim_file *file);

/* A descriptor of it, which takes over one reference. Returns its number, or -EMFILE, and the reference is gone. */
int sim_fd_install(struct sim_file *file);
/* What a descriptor stands for, or NULL. No reference is taken. */
struct sim_file *sim_fd_file(struct sim_world *world, int fd);
/* Returns 0 or -EBADF. */
int sim_fd_close(struct sim_world *world, int fd);

/* What is asked for with poll events; those that wait for any of them are tried again, in an order that is drawn. */
void sim_file_wake(struct sim_file *file, unsigned events);
static inline unsigned sim_file_poll(struct sim_file *file)
{
	return file->class->poll ? file->class->poll(file) : 0x001 /* POLLIN */ | 0x004 /* POLLOUT */;
}

/* Between a vector of a transfer and memory: copy up to `size` bytes that begin `skip` bytes into the vector. */
size_t sim_transfer_to(const struct sim_transfer *transfer, size_t skip, const void *from, size_t size);
size_t sim_transfer_from(const struct sim_transfer *transfer, size_t skip, void *to, size_t size);

#endif
