/* SPDX-License-Identifier: MIT */
/*
 * Commands and their results, COPY, notifications. Each call is: nothing under way, send without waiting, wait, take;
 * and when it was cancelled on the way, settle.
 */
#include "adapters/libpq/wait.h"

#include <errno.h>
#include <noria/noria.h>

/* libpq does not take it. */
static int not_taken(const PGconn *conn)
{
	return noria_pq_say(conn, PQstatus(conn) == CONNECTION_BAD ? -ECONNRESET : -EINVAL);
}

/* Before a command: the task is wanted, the connection well, and nothing under way. */
static int begin(PGconn *conn)
{
	noria_try(noria_check());
	if (PQstatus(conn) == CONNECTION_BAD)
		return noria_pq_broken(conn);
	if (PQpipelineStatus(conn) != PQ_PIPELINE_OFF)
		return noria_fail(-EINVAL, "libpq: in pipeline mode commands are sent, and results taken one by one");
	if (!PQisnonblocking(conn) && PQsetnonblocking(conn, 1) < 0)
		return not_taken(conn);
	return PQtransactionStatus(conn) == PQTRANS_ACTIVE ? noria_pq_settle(conn, noria_pq_drain(conn)) : 0;
}

static bool is_copy(const PGresult *result)
{
	ExecStatusType status = PQresultStatus(result);

	return status == PGRES_COPY_IN || status == PGRES_COPY_OUT || status == PGRES_COPY_BOTH;
}

/* The last result of a command, or the one that begins a COPY. */
static int take_last(PGconn *conn, PGresult **ret_result)
{
	PGresult *last = NULL, *next;
	int r;

	while ((r = noria_pq_await(conn)) == 0 && (next = PQgetResult(conn))) {
		PQclear(last);
		last = next;
		if (is_copy(last))
			break;
	}
	if (r == 0 && last) {
		*ret_result = last;
		return 0;
	}
	PQclear(last);
	return r < 0 ? noria_pq_settle(conn, r) : not_taken(conn);
}

/* `sent`: what PQsend...() said. */
static int finish(PGconn *conn, int sent, PGresult **ret_result)
{
	return sent ? take_last(conn, ret_result) : not_taken(conn);
}

int noria_pq_exec(PGconn *conn, const char *command, PGresult **ret_result)
{
	noria_try(begin(conn));
	return finish(conn, PQsendQuery(conn, command), ret_result);
}

int noria_pq_exec_params(PGconn *conn, const char *command, int count, const Oid *types, const char *const *values,
			 const int *lengths, const int *formats, int result_format, PGresult **ret_result)
{
	noria_try(begin(conn));
	return finish(conn, PQsendQueryParams(conn, command, count, types, values, lengths, formats, result_format),
		      ret_result);
}

int noria_pq_prepare(PGconn *conn, const char *name, const char *command, int count, const Oid *types,
		     PGresult **ret_result)
{
	noria_try(begin(conn));
	return finish(conn, PQsendPrepare(conn, name, command, count, types), ret_result);
}

int noria_pq_exec_prepared(PGconn *conn, const char *name, int count, const char *const *values, const int *lengths,
			   const int *formats, int result_format, PGresult **ret_result)
{
	noria_try(begin(conn));
	return finish(conn, PQsendQueryPrepared(conn, name, count, values, lengths, formats, result_format),
		      ret_result);
}

int noria_pq_get_result(PGconn *conn, PGresult **ret_result)
{
	PGresult *result;
	int r = noria_check();

	if (r == 0)
		r = noria_pq_await(conn);
	if (r < 0)
		return noria_pq_settle(conn, r);
	result = PQgetResult(conn);
	if (!result)
		return PQstatus(conn) == CONNECTION_BAD ? noria_pq_broken(conn) : 0;
	*ret_result = result;
	return 1;
}

/* ---- COPY ---- */

/* Until libpq has no more to send than fits its buffer: `put` said 0, or has buffered it. */
static int flush(PGconn *conn)
{
	int unsent, r = 0;

	while (r == 0 && (unsent = PQflush(conn)) != 0)
		r = unsent < 0 ? noria_pq_broken(conn) : noria_pq_move(conn, true);
	return r;
}

static int put(PGconn *conn, int (*fn)(PGconn *conn, const void *arg, int size), const void *arg, int size)
{
	int r = noria_check(), taken;

	while (r == 0 && (taken = fn(conn, arg, size)) != 1)
		r = taken < 0 ? not_taken(conn) : noria_pq_move(conn, true);
	if (r == 0)
		r = flush(conn);
	return r < 0 ? noria_pq_settle(conn, r) : 0;
}

static int put_data(PGconn *conn, const void *arg, int size)
{
	return PQputCopyData(conn, arg, size);
}

static int put_end(PGconn *conn, const void *arg, __attribute__((unused)) int size)
{
	return PQputCopyEnd(conn, arg);
}

int noria_pq_put_copy_data(PGconn *conn, const char *data, int size)
{
	return put(conn, put_data, data, size);
}

int noria_pq_put_copy_end(PGconn *conn, const char *error)
{
	return put(conn, put_end, error, 0);
}

int noria_pq_get_copy_data(PGconn *conn, char **ret_buffer)
{
	int r = noria_check();

	while (r == 0) {
		char *row = NULL;
		int length = PQgetCopyData(conn, &row, 1);

		if (length > 0) {
			*ret_buffer = row;
			return length;
		}
		if (length == -1)
			return 0;
		r = length == -2 ? not_taken(conn) : noria_pq_move(conn, PQflush(conn) > 0);
	}
	return noria_pq_settle(conn, r);
}

/* ---- Notifications ---- */

static int wait_notify(PGconn *conn, PGnotify **ret_notify)
{
	PGnotify *notify;

	while (!(notify = PQnotifies(conn))) {
		noria_try(noria_pq_move(conn, PQflush(conn) > 0));
	}
	*ret_notify = notify;
	return 0;
}

int noria_pq_wait_notify(PGconn *conn, PGnotify **ret_notify)
{
	noria_try(noria_check());
	if (PQstatus(conn) == CONNECTION_BAD)
		return noria_pq_broken(conn);
	return noria_idle(wait_notify(conn, ret_notify));
}
