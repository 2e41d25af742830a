/* SPDX-License-Identifier: MIT */
/*
 * Connecting: PQconnectPoll() on the executor, the waiting here. One thread at a time has the connection, which is what
 * libpq asks for. A step may take long (a resolver that does not answer); who is cancelled then leaves a new connection
 * to the thread, and waits for one that is the caller's.
 */
#include "adapters/libpq/wait.h"

#include <errno.h>
#include <noria/noria.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

struct connecting {
	char *conninfo; /* of a new one */
	PGconn *conn;
	PostgresPollingStatusType wants;
	ConnStatusType status; /* when the last step began */
};

static void free_connecting(__attribute__((unused)) int result, void *arg)
{
	struct connecting *connecting = arg;

	PQfinish(connecting->conn);
	free(connecting->conninfo);
	free(connecting);
}

/* Sets `*connecting` to NULL when the thread has it. */
static int make_step(noria_task_fn *step, struct connecting **connecting)
{
	bool abandoned = false;
	struct noria_call_options options = {.dispose = free_connecting, .ret_abandoned = &abandoned};
	int r = (*connecting)->conninfo ? noria_offload_with(step, *connecting, &options)
					: noria_offload(step, *connecting);

	if (abandoned)
		*connecting = NULL;
	return r;
}

static int start(void *arg)
{
	struct connecting *connecting = arg;

	connecting->conn = PQconnectStart(connecting->conninfo);
	connecting->wants = PGRES_POLLING_WRITING;
	return connecting->conn ? 0 : -ENOMEM;
}

static int start_again(void *arg)
{
	struct connecting *connecting = arg;

	connecting->wants = PGRES_POLLING_WRITING;
	return PQresetStart(connecting->conn) ? 0 : -ECONNREFUSED;
}

static int step(void *arg)
{
	struct connecting *connecting = arg;

	connecting->status = PQstatus(connecting->conn);
	connecting->wants = PQconnectPoll(connecting->conn);
	return 0;
}

/* Who did not let us in: nobody who speaks, or a server that had heard us. */
static int refused(const struct connecting *connecting)
{
	ConnStatusType status = connecting->status;
	bool nobody = status == CONNECTION_NEEDED || status == CONNECTION_STARTED || status == CONNECTION_BAD;

	return noria_pq_say(connecting->conn, nobody ? -ECONNREFUSED : -EACCES);
}

static int finish(struct connecting **at)
{
	struct connecting *connecting = *at;

	while (connecting->wants != PGRES_POLLING_OK) {
		if (connecting->wants == PGRES_POLLING_FAILED)
			return refused(connecting);
		noria_try(noria_poll(PQsocket(connecting->conn),
				     connecting->wants == PGRES_POLLING_READING ? POLLIN : POLLOUT));
		noria_try(make_step(step, at));
	}
	return PQsetnonblocking(connecting->conn, 1) == 0 ? 0 : noria_pq_broken(connecting->conn);
}

static int begin(struct connecting **at)
{
	struct connecting *connecting = *at;

	noria_try(make_step(start, at));
	if (PQstatus(connecting->conn) != CONNECTION_BAD)
		return finish(at);
	/* The parameters are wrong, and then there is no host yet; or no address will do. */
	return *PQhost(connecting->conn) ? refused(connecting) : noria_pq_say(connecting->conn, -EINVAL);
}

int noria_pq_connect(const char *conninfo, PGconn **ret_conn)
{
	struct connecting *connecting = calloc(1, sizeof *connecting);
	int r = -ENOMEM;

	if (!connecting)
		return -ENOMEM;
	connecting->status = CONNECTION_NEEDED;
	connecting->conninfo = strdup(conninfo);
	if (connecting->conninfo)
		r = begin(&connecting);
	if (r == 0) {
		*ret_conn = connecting->conn;
		connecting->conn = NULL;
	}
	if (connecting)
		free_connecting(r, connecting);
	return r;
}

int noria_pq_reset(PGconn *conn)
{
	struct connecting again = {.conn = conn, .status = CONNECTION_NEEDED}, *connecting = &again;
	int r = make_step(start_again, &connecting);

	return r == -ECONNREFUSED ? refused(connecting) : r < 0 ? r : finish(&connecting);
}
