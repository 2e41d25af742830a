/* SPDX-License-Identifier: MIT */
/*
 * PostgreSQL from a task: `postgres CONNINFO`. A query that takes its time has a limit; when that passes, the server is
 * told to stop it, and the connection goes on with the next one.
 */
#include <noria/libpq.h>
#include <noria/noria.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* Prints the first value of a query's result. */
static int ask(PGconn *conn, const char *query)
{
	PGresult *result;

	noria_try(noria_within(noria_msec(200), noria_pq_exec(conn, query, &result)));
	if (PQresultStatus(result) == PGRES_TUPLES_OK)
		printf("%s\n", PQgetvalue(result, 0, 0));
	else
		printf("%s", PQresultErrorMessage(result));
	PQclear(result);
	return 0;
}

static int ask_all(PGconn *conn)
{
	int result;

	noria_try(ask(conn, "SELECT 6 * 7"));
	result = ask(conn, "SELECT pg_sleep(60)");
	if (result != -ETIMEDOUT)
		return result;
	printf("that would have taken too long\n");
	return ask(conn, "SELECT 'the connection is as good as before'");
}

static int run(void *arg)
{
	PGconn *conn;
	int result;

	noria_try(noria_within(noria_sec(5), noria_pq_connect(arg, &conn)));
	result = ask_all(conn);
	PQfinish(conn);
	return result;
}

int main(int argc, char **argv)
{
	int result = noria_run(NULL, run, argc > 1 ? argv[1] : "");

	if (result < 0)
		fprintf(stderr, "postgres: %s %s\n", strerror(-result), noria_message());
	return result < 0;
}
