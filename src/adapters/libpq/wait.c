/* SPDX-License-Identifier: MIT */
/*
 * Waiting, and cancelling. A cancelled query still has to be stopped in the server and its remains read; this is
 * clean-up, so it runs behind a soft shield with a limit: the grace of whatever was cancelled is the other limit. A
 * connection that could not be cleaned is cut, so that nobody takes the remains for the answer to another question.
 */
#include "adapters/libpq/wait.h"

#include <errno.h>
#include <noria/noria.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define SETTLE_NS noria_sec(5)
#define REPEAT_NS noria_msec(200)

/* libpq's sentences end with a line feed, and hints may follow. */
int noria_pq_say(const PGconn *conn, int code)
{
	const char *text = PQerrorMessage(conn);

	return noria_fail(code, "libpq: %.*s", (int)strcspn(text, "\n"), text);
}

int noria_pq_broken(const PGconn *conn)
{
	return noria_pq_say(conn, -ECONNRESET);
}

int noria_pq_move(PGconn *conn, bool unsent)
{
	int events = noria_poll(PQsocket(conn), (short)(POLLIN | (unsent ? POLLOUT : 0)));

	if (events < 0)
		return events == -EBADF ? noria_pq_broken(conn) : events;
	if ((events & ~POLLOUT) && !PQconsumeInput(conn))
		return noria_pq_broken(conn);
	return 0;
}

int noria_pq_await(PGconn *conn)
{
	for (;;) {
		int unsent = PQflush(conn), r;

		if (unsent < 0)
			return noria_pq_broken(conn);
		if (!PQisBusy(conn))
			return 0;
		r = noria_pq_move(conn, unsent > 0);
		if (r < 0)
			return r;
	}
}

/* Rows that nobody wants. */
static int drain_copy_out(PGconn *conn)
{
	char *row;
	int length;

	while ((length = PQgetCopyData(conn, &row, 1)) >= 0) {
		if (length > 0)
			PQfreemem(row);
		else
			noria_try(noria_pq_move(conn, PQflush(conn) > 0));
	}
	return 0;
}

int noria_pq_drain(PGconn *conn)
{
	for (;;) {
		PGresult *result;
		ExecStatusType status;

		noria_try(noria_pq_await(conn));
		result = PQgetResult(conn);
		if (!result)
			return PQstatus(conn) == CONNECTION_BAD ? noria_pq_broken(conn) : 0;
		status = PQresultStatus(result);
		PQclear(result);
		if (status == PGRES_COPY_IN && PQputCopyEnd(conn, "given up") < 0)
			return noria_pq_broken(conn);
		if (status == PGRES_COPY_OUT)
			noria_try(drain_copy_out(conn));
		if (status == PGRES_COPY_BOTH)
			return -EOPNOTSUPP; /* replication: there is no end of it */
	}
}

struct cancel {
	PGcancel *handle;
	char text[256];
};

static int ask_to_cancel(void *arg)
{
	struct cancel *cancel = arg;

	return PQcancel(cancel->handle, cancel->text, sizeof cancel->text) ? 0 : -ECONNREFUSED;
}

static void free_cancel(__attribute__((unused)) int result, void *arg)
{
	struct cancel *cancel = arg;

	PQfreeCancel(cancel->handle);
	free(cancel);
}

static struct cancel *make_cancel(PGconn *conn)
{
	struct cancel *cancel = calloc(1, sizeof *cancel);

	if (!cancel)
		return NULL;
	cancel->handle = PQgetCancel(conn);
	if (cancel->handle)
		return cancel;
	free(cancel);
	return NULL;
}

/*
 * Stops the query in the server and reads what it still says. A cancel that comes before the server has begun with the
 * query, or after its end, does nothing, and nobody says so: it is repeated until the query has ended. A server that
 * takes the request and does not answer is left alone when the limit has passed.
 */
static int stop(PGconn *conn)
{
	struct cancel *cancel = make_cancel(conn);
	bool abandoned = false;
	int r = cancel ? -ETIMEDOUT : -ENOMEM;

	while (r == -ETIMEDOUT) {
		struct noria_call_options options = {.dispose = free_cancel, .ret_abandoned = &abandoned};

		r = noria_offload_with(ask_to_cancel, cancel, &options);
		if (r == 0)
			r = noria_within(REPEAT_NS, noria_pq_drain(conn));
	}
	if (cancel && !abandoned)
		free_cancel(0, cancel);
	return r;
}

/* libpq notices, and says CONNECTION_BAD from now on. */
static void cut(PGconn *conn)
{
	noria_shutdown(PQsocket(conn), SHUT_RDWR);
	while (PQstatus(conn) == CONNECTION_OK && PQconsumeInput(conn))
		;
}

int noria_pq_settle(PGconn *conn, int result)
{
	int r;

	if (result >= 0 || PQstatus(conn) != CONNECTION_OK || PQtransactionStatus(conn) != PQTRANS_ACTIVE)
		return result;
	r = PQpipelineStatus(conn) == PQ_PIPELINE_OFF ? noria_shielded(SETTLE_NS, stop(conn)) : -EOPNOTSUPP;
	if (r < 0)
		cut(conn);
	return result;
}
