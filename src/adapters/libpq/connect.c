/* SPDX-License-Identifier: MIT */
/*
 * Connecting: PQconnectPoll() on the executor, the waiting here. Each step is short and made by one thread at a time,
 * which is what libpq asks for.
 */
#include "adapters/libpq/wait.h"

#include <errno.h>
#include <noria/noria.h>
#include <poll.h>

struct connecting {
	const char *conninfo;
	PGconn *conn;
	PostgresPollingStatusType wants;
	ConnStatusType status; /* when the last step began */
};

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

static int finish(struct connecting *connecting)
{
	while (connecting->wants != PGRES_POLLING_OK) {
		if (connecting->wants == PGRES_POLLING_FAILED)
			return refused(connecting);
		noria_try(noria_poll(PQsocket(connecting->conn),
				     connecting->wants == PGRES_POLLING_READING ? POLLIN : POLLOUT));
		noria_try(noria_offload(step, connecting));
	}
	return PQsetnonblocking(connecting->conn, 1) == 0 ? 0 : noria_pq_broken(connecting->conn);
}

static int connect_by(struct connecting *connecting)
{
	noria_try(noria_offload(start, connecting));
	if (PQstatus(connecting->conn) != CONNECTION_BAD)
		return finish(connecting);
	/* The parameters are wrong, and then there is no host yet; or no address will do. */
	return *PQhost(connecting->conn) ? refused(connecting) : noria_pq_say(connecting->conn, -EINVAL);
}

int noria_pq_connect(const char *conninfo, PGconn **ret_conn)
{
	struct connecting connecting = {.conninfo = conninfo, .status = CONNECTION_NEEDED};
	int r = connect_by(&connecting);

	if (r < 0)
		PQfinish(connecting.conn);
	else
		*ret_conn = connecting.conn;
	return r;
}

int noria_pq_reset(PGconn *conn)
{
	struct connecting connecting = {.conn = conn, .status = CONNECTION_NEEDED};
	int r = noria_offload(start_again, &connecting);

	return r == -ECONNREFUSED ? refused(&connecting) : r < 0 ? r : finish(&connecting);
}
