/* SPDX-License-Identifier: MIT */
/*
 * One connection: wait for a request, read it, have it answered, again. The task of a connection ends only here, and
 * always with 0: what goes wrong between a client and this server is no failure of the server.
 *
 * Waiting. For a short while after an answer the connection keeps its buffer and receives into it, because a client
 * that has more to ask asks at once. Then the buffer goes back to the pool and the task waits for readability with
 * nothing but its stack: that is what an idle connection costs.
 *
 * Draining. The wait for a request is idle: a drain ends it. A request may be on its way at that moment, so a
 * connection that was in use just now, or is new, gets a last call, a moment in which a request that comes is still
 * answered, with "Connection: close"; one that has been idle for longer is closed if nothing has arrived. A request that
 * has come in part is read to its end. Only the end of the drain's grace cuts anything short.
 *
 * Closing. Bytes that were never read turn a close into a reset, and a reset can destroy the answer before the client
 * has read it. So after an answer that left bytes unread, or may have, the sending side is shut down and what still
 * comes is thrown away, for a second at most.
 */
#include "serve.h"

#include <errno.h>
#include <noria/noria.h>
#include <poll.h>
#include <sys/ioctl.h>

#define WARM_MS      50   /* how long a connection keeps its buffer while it waits */
#define RECENT_MS    1000 /* a connection used so lately may have a request on its way */
#define LAST_CALL_MS 500  /* how long a drain waits for that */
#define REFUSE_MS    1000 /* for the request of a client that will be told 503 */
#define LINGER_MS    1000
#define LINGER_MAX   (1024 * 1024) /* bytes thrown away at the most */

static bool take_workspace(struct connection *connection)
{
	struct server *server = connection->server;
	if (connection->work == NULL) {
		connection->work = pool_get(&server->workspaces);
		connection->input_at = connection->input_size = 0;
	}
	if (connection->work == NULL)
		report("no memory for a request");
	return connection->work != NULL;
}

static void give_workspace(struct connection *connection)
{
	pool_put(&connection->server->workspaces, connection->work);
	connection->work = NULL;
	connection->input_at = connection->input_size = 0;
}

static bool has_input(const struct connection *connection)
{
	return connection->input_at < connection->input_size;
}

/* Receive into the input buffer, which is empty. Returns: as noria_recv(). */
static ssize_t receive(struct connection *connection, int flags)
{
	ssize_t size = noria_recv(connection->fd, connection->work->input, INPUT_SIZE, flags);
	connection->input_at = 0;
	connection->input_size = size > 0 ? (size_t)size : 0;
	return size;
}

/* The same, up to a point in time; `flags` are a scope's. */
static ssize_t receive_until(struct connection *connection, int64_t time_ns, unsigned flags)
{
	struct noria_scope scope;
	noria_try(noria_scope_open(&scope, time_ns, flags));
	return noria_scope_close(&scope, receive(connection, 0));
}

/* Wait without a buffer, then receive. */
static ssize_t receive_later(struct connection *connection, int64_t time_ns)
{
	struct noria_scope scope;
	give_workspace(connection);
	noria_try(noria_scope_open(&scope, time_ns, NORIA_SCOPE_IDLE));
	noria_try(noria_scope_close(&scope, noria_poll(connection->fd, POLLIN)));
	return take_workspace(connection) ? receive(connection, MSG_DONTWAIT) : -ENOMEM;
}

/* A drain ended the wait. Returns: as noria_recv(): more than 0 when there is a request to answer after all. */
static ssize_t last_call(struct connection *connection, int64_t idle_since_ns)
{
	int64_t now_ns = noria_now();
	if (!take_workspace(connection))
		return -ENOMEM;
	if (now_ns - idle_since_ns < noria_msec(RECENT_MS))
		return receive_until(connection, now_ns + noria_msec(LAST_CALL_MS), 0);
	return receive(connection, MSG_DONTWAIT);
}

/* How long a request may take to arrive. A client that is to be refused anyway must not hold its place for long. */
static int64_t arrival_ns(const struct connection *connection)
{
	int64_t limit_ns = connection->server->options->header_timeout_ns;
	return connection->refuse && limit_ns > noria_msec(REFUSE_MS) ? noria_msec(REFUSE_MS) : limit_ns;
}

/* Wait for a request to begin. Returns: whether one has; else the connection is to be closed without a word. */
static bool await_request(struct connection *connection)
{
	if (has_input(connection))
		return true;
	if (!take_workspace(connection))
		return false;
	int64_t now_ns = noria_now(), warm_ns = now_ns + noria_msec(WARM_MS), end_ns = now_ns;
	end_ns += connection->requests == 0 ? arrival_ns(connection) : connection->server->options->idle_timeout_ns;
	ssize_t size = receive_until(connection, warm_ns < end_ns ? warm_ns : end_ns, NORIA_SCOPE_IDLE);
	if (size == -ETIMEDOUT && warm_ns < end_ns)
		size = receive_later(connection, end_ns);
	if (size == -ECANCELED && noria_draining() && noria_check() == 0)
		size = last_call(connection, now_ns);
	if (size < 0)
		report_detail("connection %llu: closed while idle: %s", (unsigned long long)connection->id,
			      strerror((int)-size));
	return size > 0;
}

static const char continue_line[] = "HTTP/1.1 100 Continue\r\n\r\n";

/* Feed what has been received. Returns: 0, or a negative errno of inviting the client to go on. */
static int feed(struct connection *connection)
{
	struct request *request = &connection->work->request;
	while (has_input(connection) && request->state != REQUEST_DONE) {
		size_t at = connection->input_at;
		connection->input_at +=
			request_feed(request, connection->work->input + at, connection->input_size - at);
		/* A client that has begun to send its body did not wait: no need to invite it. */
		if (request->state == REQUEST_CONTINUE && !has_input(connection))
			return send_bytes(connection, continue_line, sizeof continue_line - 1, 0);
	}
	return 0;
}

/* The rest of the request will not come: answer what there is of it. */
static int give_up(struct request *request, int status)
{
	request->status = status;
	request->unread = true;
	request->state = REQUEST_DONE;
	return 0;
}

static int read_on(struct connection *connection)
{
	while (connection->work->request.state != REQUEST_DONE) {
		ssize_t size = receive(connection, 0);
		noria_try(size);
		if (size == 0)
			return give_up(&connection->work->request, 400);
		noria_try(feed(connection));
	}
	return 0;
}

/* Most requests are there whole already, and then no timer is set. Returns: whether there is something to answer. */
static bool read_request(struct connection *connection)
{
	struct workspace *work = connection->work;
	const struct request_limits *limits = &connection->server->options->limits;
	if (connection->server->log.fd >= 0)
		connection->request_ns = noria_now();
	request_begin(&work->request, limits, work->text, request_text_room(limits));
	work->name = work->text + request_text_room(limits);
	int error = feed(connection);
	if (error == 0 && work->request.state != REQUEST_DONE)
		error = noria_within(arrival_ns(connection), read_on(connection));
	if (error == -ETIMEDOUT)
		error = give_up(&work->request, 408);
	if (error < 0)
		report_detail("connection %llu: the request broke off: %s", (unsigned long long)connection->id,
			      strerror(-error));
	return error == 0;
}

bool connection_last(const struct connection *connection)
{
	int waiting = 0;
	return noria_draining() && !has_input(connection) && ioctl(connection->fd, FIONREAD, &waiting) == 0 &&
	       waiting == 0;
}

static ssize_t discard(struct connection *connection)
{
	ssize_t size, sum = 0;
	while ((size = receive(connection, 0)) > 0 && sum < LINGER_MAX)
		sum += size;
	return size;
}

static void linger(struct connection *connection)
{
	noria_shutdown(connection->fd, SHUT_WR);
	(void)!noria_within(noria_msec(LINGER_MS), discard(connection));
}

static void keep_alive(struct connection *connection)
{
	enum exchange_end end = EXCHANGE_KEEP;
	while (end == EXCHANGE_KEEP && await_request(connection)) {
		if (!read_request(connection))
			return;
		end = exchange_run(connection);
	}
	bool unread = end == EXCHANGE_CLOSE && (connection->work->request.unread || has_input(connection));
	if (unread || (end == EXCHANGE_CLOSE && (noria_draining() || connection->refuse)))
		linger(connection);
}

int connection_main(void *arg)
{
	struct connection *connection = arg;
	struct server *server = connection->server;
	keep_alive(connection);
	give_workspace(connection);
	noria_close(connection->fd);
	if (connection->refuse)
		server->refused--;
	else
		server->connections--;
	return 0;
}
