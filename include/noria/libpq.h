/* SPDX-License-Identifier: MIT */
/*
 * PostgreSQL, by libpq: its connections and results, without its blocking. In a library of its own (noria-libpq).
 *
 *     PGconn *conn;
 *     PGresult *result;
 *
 *     noria_try(noria_within(noria_sec(5), noria_pq_connect("dbname=shop", &conn)));
 *     noria_try(noria_within(noria_sec(1), noria_pq_exec(conn, "SELECT count(*) FROM orders", &result)));
 *     ...
 *     PQclear(result);
 *     PQfinish(conn);
 *
 * Connections are libpq's own, so everything of libpq that does not wait can be used with them as always. As in libpq,
 * a connection serves one task at a time; tasks that share one lock it (sync.h).
 *
 * Cancellation: when the scope of a task that waits for an answer is cancelled, or its deadline passes, the server is
 * asked to cancel the query, what it still says is read and dropped, and the connection is ready for the next query,
 * before the call returns -ECANCELED. All that takes place behind a soft shield of five seconds. Where it does not
 * succeed, because the server hangs, or the grace is spent, the connection is cut, and PQstatus() says CONNECTION_BAD.
 * An open transaction is the caller's to roll back, as after any error.
 *
 * Errors: what the server says of a query stands in the result, and the call returns 0, as with libpq. -ECONNRESET
 * says that the connection is bad (noria_pq_reset(), or PQfinish()). Both have libpq's words as the message
 * (noria_last_failure()). Functions answer -ENXIO outside a runtime; all belong to its thread. Since 0.2.
 */
#ifndef NORIA_LIBPQ_H
#define NORIA_LIBPQ_H

#include <noria/base.h>

#include <libpq-fe.h>

NORIA_BEGIN_DECLS

/*
 * noria_pq_connect - connect, as PQconnectdb(). Every step of the hand-shake is made on the executor, since some of
 * them block (names, certificates) or want a large stack (TLS); between the steps the task waits for the socket.
 * @ret_conn: set to the connection, which PQfinish() frees
 * Returns: 0; -ECONNREFUSED: there is no server, or none that speaks; -EACCES: the server turned us down (a password,
 * no such database, too many clients); -EINVAL for a bad `conninfo`; -ENOMEM; -ECANCELED: a step
 * that has begun is left to its thread. Checkpoint. Since 0.2.
 *
 * noria_pq_reset - connect again with the same parameters, as PQreset().
 * Returns: as above. The connection stays the caller's in any case. Checkpoint. Since 0.2.
 */
NORIA_PUBLIC NORIA_CHECKED int noria_pq_connect(const char *conninfo, PGconn **ret_conn);
NORIA_PUBLIC NORIA_CHECKED int noria_pq_reset(PGconn *conn);

/*
 * noria_pq_exec, noria_pq_exec_params, noria_pq_prepare, noria_pq_exec_prepared - as PQexec(), PQexecParams(),
 * PQprepare(), PQexecPrepared(): send a command and wait for its result; of several, the last one.
 * @ret_result: set to the result, which PQclear() frees; for COPY it says PGRES_COPY_IN or PGRES_COPY_OUT, and the data
 *              is next
 * Returns: 0 with a result, also one that tells of an error; -EINVAL when libpq does not take the command; -ECONNRESET;
 * -ENOMEM; -ECANCELED: it was not sent, or has been cancelled. Checkpoint. Since 0.2.
 */
NORIA_PUBLIC NORIA_CHECKED int noria_pq_exec(PGconn *conn, const char *command, PGresult **ret_result);
NORIA_PUBLIC NORIA_CHECKED int noria_pq_exec_params(PGconn *conn, const char *command, int count, const Oid *types,
						    const char *const *values, const int *lengths, const int *formats,
						    int result_format, PGresult **ret_result);
NORIA_PUBLIC NORIA_CHECKED int noria_pq_prepare(PGconn *conn, const char *name, const char *command, int count,
						const Oid *types, PGresult **ret_result);
NORIA_PUBLIC NORIA_CHECKED int noria_pq_exec_prepared(PGconn *conn, const char *name, int count,
						      const char *const *values, const int *lengths, const int *formats,
						      int result_format, PGresult **ret_result);

/*
 * noria_pq_get_result - as PQgetResult(), after PQsendQuery() and its kin: for results one by one, rows one by one
 * (PQsetSingleRowMode()), and pipelines (PQenterPipelineMode()). What was sent is flushed first.
 * Returns: 1 with *ret_result set; 0: there is none (`ret_result` is untouched); -ECONNRESET; -ECANCELED: the query was
 * cancelled and its results dropped; in pipeline mode, where that cannot be done, the connection was cut. Checkpoint.
 * Since 0.2.
 */
NORIA_PUBLIC NORIA_CHECKED int noria_pq_get_result(PGconn *conn, PGresult **ret_result);

/*
 * noria_pq_put_copy_data, noria_pq_put_copy_end - as PQputCopyData() and PQputCopyEnd(), after PGRES_COPY_IN. They wait
 * while the server is slow. The result of the whole comes by noria_pq_get_result(), until that returns 0.
 * noria_pq_get_copy_data - as PQgetCopyData(), after PGRES_COPY_OUT.
 * @ret_buffer: set to a row, which PQfreemem() frees
 * Returns: put: 0; get: the row's length, or 0 at the end; -EINVAL outside a COPY; -ECONNRESET; -ENOMEM; -ECANCELED:
 * the COPY has been cancelled. Checkpoints. Since 0.2.
 */
NORIA_PUBLIC NORIA_CHECKED int noria_pq_put_copy_data(PGconn *conn, const char *data, int size);
NORIA_PUBLIC NORIA_CHECKED int noria_pq_put_copy_end(PGconn *conn, const char *error);
NORIA_PUBLIC NORIA_CHECKED int noria_pq_get_copy_data(PGconn *conn, char **ret_buffer);

/*
 * noria_pq_wait_notify - wait for the next notification of a channel that the connection listens to (LISTEN).
 * @ret_notify: set to it; PQfreemem() frees it
 * An idle wait: in a drain it ends with -ECANCELED. To cancel it does nothing to the connection and loses nothing.
 * Returns: 0; -ECONNRESET; -ECANCELED. Checkpoint. Since 0.2.
 */
NORIA_PUBLIC NORIA_CHECKED int noria_pq_wait_notify(PGconn *conn, PGnotify **ret_notify);

NORIA_END_DECLS
#endif
