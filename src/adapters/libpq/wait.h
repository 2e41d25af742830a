/* SPDX-License-Identifier: MIT */
/*
 * The one way in which a task waits for a connection, and what is done when it is cancelled meanwhile. libpq says what
 * it still has to send and whether it needs more to read; the socket is asked for both; libpq never waits itself, since
 * it is only asked for results when they are there.
 */
#ifndef NORIA_ADAPTERS_LIBPQ_WAIT_H
#define NORIA_ADAPTERS_LIBPQ_WAIT_H

#include <noria/libpq.h>

/* Flushes, and waits until PQgetResult() would not block. */
int noria_pq_await(PGconn *conn);

/* Waits once: until some bytes can move. `unsent`: there is something to send. */
int noria_pq_move(PGconn *conn, bool unsent);

/* `code`, with libpq's words as the message; noria_pq_broken(): -ECONNRESET. */
int noria_pq_say(const PGconn *conn, int code);
int noria_pq_broken(const PGconn *conn);

/* Ends whatever is under way: reads and drops results, ends a COPY. */
int noria_pq_drain(PGconn *conn);

/* What a call comes to. After a cancel the query is cancelled and drained, or the connection is cut. */
int noria_pq_settle(PGconn *conn, int result);

#endif
