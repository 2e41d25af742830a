/* SPDX-License-Identifier: MIT */
/*
 * A request: one entry of the ring, from its submission to its last completion. The engine (request.c) does what is
 * the same for all: finding the file (entry.c), waiting until it is ready, links, time limits and cancels (cancel.c),
 * multishots, provided buffers (buffers.c). What a single operation does is a function of its family (operation.h).
 */
#ifndef NORIA_SIMULATION_REQUEST_H
#define NORIA_SIMULATION_REQUEST_H

#include "simulation/file.h"
#include "simulation/world.h"

#include <liburing.h>
#include <stdbool.h>
#include <stdint.h>

struct sim_operation;
struct sim_ring;

/* X(state, what may follow) */
#define SIM_REQUEST_STATES(X) \
	X(NEW, 1 << SIM_REQUEST_LINKED | 1 << SIM_REQUEST_RUNNING | 1 << SIM_REQUEST_DONE) \
	X(LINKED, \
	  1 << SIM_REQUEST_RUNNING | 1 << SIM_REQUEST_DONE) /* not begun: one before it in its chain is under way */ \
	X(RUNNING, 1 << SIM_REQUEST_WAITING | 1 << SIM_REQUEST_WORKING | 1 << SIM_REQUEST_DONE) \
	X(WAITING, 1 << SIM_REQUEST_RUNNING | 1 << SIM_REQUEST_DONE) /* for its file to be ready, or for its event */ \
	X(WORKING, \
	  1 << SIM_REQUEST_RUNNING | 1 << SIM_REQUEST_DONE) /* a worker or a disk has it: a cancel may fail */ \
	X(DONE, 0)

enum sim_request_state {
#define X(state, next) SIM_REQUEST_##state,
	SIM_REQUEST_STATES(X)
#undef X
};

struct sim_request {
	struct list node;    /* among those of the ring with a similar user_data */
	struct list all;     /* among all of the ring, in the order of their submission */
	uint64_t number;     /* submitted as the so-many-th */
	uint64_t order;      /* completions of one order stay in it: the number of its chain's first */
	struct list waiting; /* in file->waiting, or in ring->woken */
	struct sim_ring *ring;
	struct io_uring_sqe sqe;
	const struct sim_operation *operation;
	enum sim_request_state state;
	struct sim_host *host;       /* whose */
	unsigned boot;               /* of that host */
	struct sim_file *file;       /* of the entry's descriptor; a reference; NULL: it has none */
	struct sim_file *second;     /* of a splice */
	struct sim_event event;      /* when a worker is done with it, or its time is up */
	struct sim_request *link;    /* the next of its chain */
	struct sim_request *limit;   /* its linked timeout */
	struct sim_request *limited; /* of a linked timeout: what it limits */
	int64_t done;                /* bytes moved before it had to wait (MSG_WAITALL) */
	uint32_t cqe_flags;          /* for its next completion: the buffer */
	uint16_t vectors;            /* chosen buffers that `sim_request_memory` has lent */
	bool incremental;            /* from a group of buffers that are filled bit by bit */
	bool multishot;
	bool begun;        /* it has set its event, stands with its futex, or its connect is under way */
	bool worked;       /* a worker has had it: now it is done */
	bool interrupted;  /* cancelled while it worked */
	bool spared;       /* a cancel has come too late for it, and it may go on to wait */
	bool woken;        /* in ring->woken, not in file->waiting */
	bool notifies;     /* a zero-copy send that has its result, and whose bytes are still read */
	bool inline_call;  /* not an entry: class->attempt, which must not wait */
	struct list futex; /* in ring->futexes */
	void *own;         /* of its operation; freed with it by `forget` */
	void (*forget)(struct sim_request *request);
};

/* Results that are none yet. */
enum {
	SIM_WAIT = INT32_MIN, /* it waits for its event, which the operation has set */
};

/* What a read of a disk typically takes. */
enum { SIM_READ_NS = 60 * 1000 };

struct sim_operation {
	const char *name;
	/*
	 * Do it now, or answer -EAGAIN: then it waits until its file is ready for `events`. Called again each time.
	 * Returns the result of its completion, or SIM_WAIT.
	 */
	int64_t (*run)(struct sim_request *request);
	unsigned events;    /* POLLIN or POLLOUT */
	int64_t typical_ns; /* of a worker and its disk */
	bool has_file;      /* sqe->fd is a descriptor; its -EAGAIN is a reason to wait */
	bool works;         /* always a worker's affair: paths, syncs */
	bool transfers;     /* a worker's affair if the file is seekable; less than asked for breaks a link */
	bool zero_copy;
};

/* By opcode; one without a `run` is unknown (-EINVAL). */
extern const struct sim_operation sim_operations[256];

static inline bool sim_is_link_timeout(const struct sim_request *request)
{
	return request->sqe.opcode == IORING_OP_LINK_TIMEOUT;
}

/* Begin one whose entry has been filled in. It may be over when this returns. */
void sim_request_begin(struct sim_request *request);
/* It waits, and may go on: now, or when its turn comes. */
void sim_request_wake(struct sim_request *request);
/* Try those again that have been woken. */
void sim_requests_resume(struct sim_ring *ring);
/* Its last completion, and its end: what is linked to it begins, or is cancelled. */
void sim_request_end(struct sim_request *request, int64_t result);
/* Returns 0: it has ended; -ENOENT, -EALREADY: it goes on. */
int sim_request_cancel(struct sim_request *request);
/* The power of a host is gone. */
void sim_requests_of_host_fail(struct sim_host *host);
/* Would it do without waiting? A call on the spot; the request is the caller's. Its result, or -EAGAIN. */
int64_t sim_request_attempt(struct sim_request *request);

/*
 * Memory that the request receives into: what the entry names, or buffers of its group, at most `count` of them.
 * Returns how many vectors were filled, or -ENOBUFS. sim_request_received() then says how much of it was used.
 */
int sim_request_memory(struct sim_request *request, struct iovec *vector, unsigned count, size_t most);
void sim_request_received(struct sim_request *request, size_t size);

/* An own descriptor for a new file, direct or not, as the entry asks for (file_index). Takes over a reference. */
int64_t sim_request_install(struct sim_request *request, struct sim_file *file);

/* ---- among request.c, entry.c and cancel.c ---- */

void sim_request_move(struct sim_request *request, enum sim_request_state state);
/* Find what its entry names. Returns 0 or a negative errno. */
int sim_request_prepare(struct sim_request *request);
/* The limit of one that begins now; of one that is over. */
void sim_limit_begin(struct sim_request *request);
void sim_limit_drop(struct sim_request *request);

#endif
