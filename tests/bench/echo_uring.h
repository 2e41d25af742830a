/* SPDX-License-Identifier: MIT */
/*
 * The raw io_uring echo server: what its loop and its connections know of each other.
 *
 * A user_data is a connection's address with the operation in its low bits; the accept has no connection.
 */
#pragma once

#include "echo_uring_buffers.h"

#include <liburing.h>
#include <stdbool.h>
#include <stdint.h>

enum operation { OP_ACCEPT, OP_RECEIVE, OP_POLL, OP_CANCEL, OP_SEND, OP_MASK = 7 };

enum receive { RECEIVE_MULTISHOT, RECEIVE_ONESHOT, RECEIVE_POLL };

struct choices {
	enum receive receive;
	bool send_sqe;    /* a send is an SQE; otherwise send(2) is tried first */
	bool direct;      /* operations use direct descriptors */
	bool bundle;      /* one receive may fill several buffers */
	bool incremental; /* several receives may share a buffer */
	bool poll_first;  /* a receive waits before it tries */
	unsigned int buffers;
	unsigned int buffer_size;
};

struct server {
	struct choices choices;
	struct io_uring ring;
	struct buffers buffers;
	struct connection *starved; /* those whose receive ended for want of a buffer */
	int listen_fd;
};

extern struct server server;

/* An entry of the submission queue, submitting first when that is full. */
struct io_uring_sqe *next_sqe(void);

/* Takes over the descriptor and begins to receive. */
void connection_start(int fd);

void connection_on_receive(struct connection *c, const struct io_uring_cqe *cqe);
void connection_on_poll(struct connection *c, const struct io_uring_cqe *cqe);
void connection_on_send(struct connection *c, const struct io_uring_cqe *cqe);

/* Receives again on all connections that found no buffer. */
void connections_feed(void);
