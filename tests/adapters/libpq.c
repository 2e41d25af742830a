/* SPDX-License-Identifier: MIT */
/* The libpq adapter against a PostgreSQL server. */
#include "frame.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <noria/libpq.h>

static PGconn *connection(void)
{
	PGconn *conn = NULL;

	MUST(noria_pq_connect(frame_place("NORIA_TEST_POSTGRES"), &conn) == 0);
	return conn;
}

/* The only value of a command's result; "" when there is none. Valid until the next call. */
static const char *value_of(PGconn *conn, const char *command)
{
	static char text[256];
	PGresult *result = NULL;
	int r = noria_pq_exec(conn, command, &result);

	snprintf(text, sizeof text, "%s", r == 0 && PQntuples(result) == 1 ? PQgetvalue(result, 0, 0) : "");
	PQclear(result);
	return text;
}

static void perform(PGconn *conn, const char *command)
{
	PGresult *result = NULL;

	MUST(noria_pq_exec(conn, command, &result) == 0);
	MUST(PQresultStatus(result) == PGRES_COMMAND_OK || PQresultStatus(result) == PGRES_TUPLES_OK);
	PQclear(result);
}

/* The connection answers, and what it answers is the answer to this question. */
static bool is_well(PGconn *conn)
{
	static int asked;
	char question[64], answer[32];

	snprintf(question, sizeof question, "SELECT 'still here %d'", ++asked);
	snprintf(answer, sizeof answer, "still here %d", asked);
	return strcmp(value_of(conn, question), answer) == 0;
}

ADAPTER(pq, commands_and_results)
{
	PGconn *conn = connection();
	const char *values[] = {"20", "22"};
	PGresult *result = NULL;

	EXPECT_EQ(noria_pq_exec(conn, "SELECT 1; SELECT 2", &result), 0); /* the last of several */
	EXPECT(strcmp(PQgetvalue(result, 0, 0), "2") == 0);
	PQclear(result);
	EXPECT_EQ(noria_pq_exec_params(conn, "SELECT $1::int + $2::int", 2, NULL, values, NULL, NULL, 0, &result), 0);
	EXPECT(strcmp(PQgetvalue(result, 0, 0), "42") == 0);
	PQclear(result);
	EXPECT_EQ(noria_pq_prepare(conn, "minus", "SELECT $1::int - $2::int", 2, NULL, &result), 0);
	EXPECT_EQ(PQresultStatus(result), PGRES_COMMAND_OK);
	PQclear(result);
	EXPECT_EQ(noria_pq_exec_prepared(conn, "minus", 2, values, NULL, NULL, 0, &result), 0);
	EXPECT(strcmp(PQgetvalue(result, 0, 0), "-2") == 0);
	PQclear(result);
	PQfinish(conn);
	return 0;
}

ADAPTER(pq, a_large_result_and_a_large_question)
{
	enum { SIZE = 4 << 20 };
	PGconn *conn = connection();
	char *text = malloc(SIZE + 1);
	const char *values[] = {text};
	PGresult *result = NULL;

	memset(text, 'n', SIZE);
	text[SIZE] = '\0';
	MUST(noria_pq_exec_params(conn, "SELECT $1::text || 'x'", 1, NULL, values, NULL, NULL, 0, &result) == 0);
	EXPECT_EQ(PQgetlength(result, 0, 0), SIZE + 1);
	PQclear(result);
	free(text);
	MUST(noria_pq_exec(conn, "SELECT n FROM generate_series(1, 100000) AS n", &result) == 0);
	EXPECT_EQ(PQntuples(result), 100000);
	PQclear(result);
	PQfinish(conn);
	return 0;
}

ADAPTER(pq, errors_of_the_server_are_results)
{
	PGconn *conn = connection();
	PGresult *result = NULL;

	EXPECT_EQ(noria_pq_exec(conn, "SELECT 1/0", &result), 0);
	EXPECT_EQ(PQresultStatus(result), PGRES_FATAL_ERROR);
	EXPECT(strcmp(PQresultErrorField(result, PG_DIAG_SQLSTATE), "22012") == 0);
	PQclear(result);
	EXPECT(is_well(conn));
	PQfinish(conn);
	return 0;
}

ADAPTER(pq, connections_that_are_refused)
{
	char text[200];
	PGconn *conn = NULL;
	int port, fd = frame_listen(&port);

	noria_close(fd);
	snprintf(text, sizeof text, "host=127.0.0.1 port=%d user=noria", port);
	EXPECT_EQ(noria_pq_connect(text, &conn), -ECONNREFUSED);
	EXPECT(strstr(frame_text(), "refused"));
	EXPECT_EQ(noria_pq_connect("host=/nowhere user=noria", &conn), -ECONNREFUSED);
	EXPECT(strstr(frame_text(), "/nowhere"));
	snprintf(text, sizeof text, "host=127.0.0.1 port=%s user=locked password=x dbname=postgres",
		 frame_place("NORIA_TEST_POSTGRES_PORT"));
	EXPECT_EQ(noria_pq_connect(text, &conn), -EACCES);
	EXPECT(strstr(frame_text(), "password authentication failed"));
	snprintf(text, sizeof text, "%s dbname=missing", frame_place("NORIA_TEST_POSTGRES"));
	EXPECT_EQ(noria_pq_connect(text, &conn), -EACCES);
	EXPECT(strstr(frame_text(), "missing"));
	EXPECT_EQ(noria_pq_connect("nonsense=1", &conn), -EINVAL);
	EXPECT(strstr(frame_text(), "nonsense"));
	EXPECT(!conn);
	return 0;
}

/* Somebody who takes connections and says nothing. */
ADAPTER(pq, connecting_ends_with_its_time_limit)
{
	char text[100];
	PGconn *conn = NULL;
	int port, fd = frame_listen(&port);
	int64_t begin = noria_now();

	snprintf(text, sizeof text, "host=127.0.0.1 port=%d user=noria", port);
	EXPECT_EQ(noria_within(noria_msec(50), noria_pq_connect(text, &conn)), -ETIMEDOUT);
	EXPECT(noria_now() - begin < noria_sec(5));
	EXPECT(!conn);
	noria_close(fd);
	return 0;
}

/* A cancelled task does not wait for the resolver. */
ADAPTER(pq, names_are_resolved_beside_the_loop)
{
	PGconn *conn = NULL;
	int64_t begin = noria_now();

	EXPECT_EQ(noria_within(noria_msec(30), noria_pq_connect("host=slow.example", &conn)), -ETIMEDOUT);
	EXPECT(noria_now() - begin < noria_msec(FRAME_RESOLVER_MS - 50));
	EXPECT_EQ(noria_pq_connect("host=slow.example", &conn), -ECONNREFUSED);
	EXPECT(strstr(frame_text(), "slow.example"));
	EXPECT(!conn);
	return 0;
}

ADAPTER(pq, in_a_cancelled_scope_nothing_happens)
{
	PGconn *conn = connection(), *other = NULL;
	struct noria_scope scope;
	PGresult *result = NULL;
	PGnotify *notify = NULL;

	perform(conn, "CREATE TEMP TABLE untouched (n int)");
	MUST(noria_scope_open(&scope, NORIA_FOREVER, 0) == 0);
	noria_scope_cancel(&scope);
	EXPECT_EQ(noria_pq_exec(conn, "INSERT INTO untouched VALUES (1)", &result), -ECANCELED);
	EXPECT_EQ(noria_pq_wait_notify(conn, &notify), -ECANCELED);
	EXPECT_EQ(noria_pq_connect(frame_place("NORIA_TEST_POSTGRES"), &other), -ECANCELED);
	noria_scope_close(&scope, -ECANCELED);
	EXPECT(!result && !notify && !other);
	EXPECT(strcmp(value_of(conn, "SELECT count(*) FROM untouched"), "0") == 0);
	PQfinish(conn);
	return 0;
}

/* What the server does for this connection, as seen by another. */
static const char *activity(PGconn *other, PGconn *conn)
{
	char question[128];

	snprintf(question, sizeof question, "SELECT state FROM pg_stat_activity WHERE pid = %d", PQbackendPID(conn));
	return value_of(other, question);
}

ADAPTER(pq, a_time_limit_cancels_the_query_in_the_server)
{
	PGconn *conn = connection(), *other = connection();
	PGresult *result = NULL;
	int64_t begin = noria_now();

	EXPECT_EQ(noria_within(noria_msec(50), noria_pq_exec(conn, "SELECT pg_sleep(30)", &result)), -ETIMEDOUT);
	EXPECT(!result && noria_now() - begin < noria_sec(10));
	EXPECT(strcmp(activity(other, conn), "idle") == 0);
	EXPECT(is_well(conn));
	EXPECT_EQ(noria_within(noria_sec(20), noria_pq_exec(conn, "SELECT pg_sleep(0.01)", &result)), 0);
	PQclear(result);
	PQfinish(conn);
	PQfinish(other);
	return 0;
}

struct sleeper {
	PGconn *conn;
	int result;
};

static int sleep_long(void *arg)
{
	struct sleeper *sleeper = arg;
	PGresult *result = NULL;

	sleeper->result = noria_pq_exec(sleeper->conn, "SELECT pg_sleep(30)", &result);
	EXPECT(!result);
	return sleeper->result;
}

static int cancel_sleeper(struct noria_group *group, struct sleeper *sleeper, PGconn *other)
{
	MUST(noria_spawn(group, sleep_long, sleeper) == 0);
	UNTIL(strcmp(activity(other, sleeper->conn), "active") == 0);
	noria_group_cancel(group);
	return 0;
}

ADAPTER(pq, a_cancelled_task_leaves_its_connection_usable)
{
	struct sleeper sleeper = {.conn = connection()};
	PGconn *other = connection();
	struct noria_group group;

	EXPECT_EQ(noria_grouped(&group, cancel_sleeper(&group, &sleeper, other)), 0);
	EXPECT_EQ(sleeper.result, -ECANCELED);
	EXPECT(is_well(sleeper.conn));
	PQfinish(sleeper.conn);
	PQfinish(other);
	return 0;
}

/* Without grace there is no time to ask the server: better no connection than a wrong answer. */
ADAPTER(pq, without_grace_the_connection_is_cut)
{
	PGconn *conn = connection();
	struct noria_scope scope;
	PGresult *result = NULL;

	MUST(noria_scope_open(&scope, noria_now() + noria_msec(30), 0) == 0);
	MUST(noria_scope_set_grace(&scope, 0) == 0);
	EXPECT_EQ(noria_pq_exec(conn, "SELECT pg_sleep(30)", &result), -ECANCELED);
	EXPECT_EQ(noria_scope_close(&scope, -ECANCELED), -ETIMEDOUT);
	EXPECT(!result);
	EXPECT_EQ(PQstatus(conn), CONNECTION_BAD);
	EXPECT_EQ(noria_pq_exec(conn, "SELECT 1", &result), -ECONNRESET);
	EXPECT_EQ(noria_pq_reset(conn), 0);
	EXPECT(is_well(conn));
	PQfinish(conn);
	return 0;
}

/* ---- A server that does not react to a request to cancel ---- */

struct proxy {
	int listener, port, held;
};

static int pump(void *arg)
{
	int *ends = arg;
	char block[4096];
	ssize_t n;

	while ((n = noria_recv(ends[0], block, sizeof block, 0)) > 0)
		noria_try(noria_send_all(ends[1], block, (size_t)n, 0));
	return 0;
}

/* Passes on the first connection, and takes the second one without a word. */
static int serve_proxy(void *arg)
{
	struct proxy *proxy = arg;
	struct sockaddr_in server = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	noria_autoclose int near = noria_try(noria_accept(proxy->listener, NULL, NULL));
	noria_autoclose int far = noria_try(noria_socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
	int there[] = {near, far}, back[] = {far, near};
	struct noria_group group;

	server.sin_port = htons((uint16_t)atoi(frame_place("NORIA_TEST_POSTGRES_PORT")));
	noria_try(noria_connect(far, (struct sockaddr *)&server, sizeof server));
	noria_try(noria_group_open(&group));
	MUST(noria_spawn(&group, pump, there) == 0 && noria_spawn(&group, pump, back) == 0);
	proxy->held = noria_accept(proxy->listener, NULL, NULL);
	return noria_group_close(&group, proxy->held < 0 ? proxy->held : 0);
}

static int cancel_in_vain(struct noria_group *group, struct proxy *proxy)
{
	PGconn *conn = NULL;
	PGresult *result = NULL;
	struct noria_scope scope;
	char text[100];
	int64_t begin;

	MUST(noria_spawn_with(group, serve_proxy, proxy, &(struct noria_spawn_options){.service = true}) == 0);
	snprintf(text, sizeof text, "host=127.0.0.1 port=%d user=noria dbname=postgres", proxy->port);
	MUST(noria_pq_connect(text, &conn) == 0);
	begin = noria_now();
	MUST(noria_scope_open(&scope, begin + noria_msec(30), 0) == 0);
	MUST(noria_scope_set_grace(&scope, noria_msec(100)) == 0);
	EXPECT_EQ(noria_pq_exec(conn, "SELECT pg_sleep(3)", &result), -ECANCELED);
	EXPECT_EQ(noria_scope_close(&scope, -ECANCELED), -ETIMEDOUT);
	EXPECT(noria_now() - begin >= noria_msec(100) && noria_now() - begin < noria_sec(2));
	EXPECT(proxy->held > 0);
	EXPECT_EQ(PQstatus(conn), CONNECTION_BAD);
	PQfinish(conn);
	return 0;
}

ADAPTER(pq, a_server_that_hangs_costs_the_connection_and_no_more_than_the_grace)
{
	struct proxy proxy = {.held = -1};
	struct noria_group group;

	proxy.listener = frame_listen(&proxy.port);
	EXPECT_EQ(noria_grouped(&group, cancel_in_vain(&group, &proxy)), 0);
	noria_close(proxy.held);
	noria_close(proxy.listener);
	MUST(noria_sleep(noria_msec(50)) == 0); /* the thread that was left alone hears of it */
	return 0;
}

static int kill_sleeper(struct noria_group *group, struct sleeper *sleeper, PGconn *other)
{
	char command[64];

	MUST(noria_spawn(group, sleep_long, sleeper) == 0);
	UNTIL(strcmp(activity(other, sleeper->conn), "active") == 0);
	snprintf(command, sizeof command, "SELECT pg_terminate_backend(%d)", PQbackendPID(sleeper->conn));
	/* Its failure may come before this reply, and cancels the group. */
	return noria_shielded(noria_sec(50), (perform(other, command), 0));
}

ADAPTER(pq, a_server_that_goes_away_is_reported)
{
	struct sleeper sleeper = {.conn = connection()};
	PGconn *other = connection();
	struct noria_group group;

	EXPECT_EQ(noria_grouped(&group, kill_sleeper(&group, &sleeper, other)), -ECONNRESET);
	EXPECT_EQ(sleeper.result, -ECONNRESET);
	EXPECT_EQ(PQstatus(sleeper.conn), CONNECTION_BAD);
	PQfinish(sleeper.conn);
	PQfinish(other);
	return 0;
}

/* ---- Results one by one ---- */

ADAPTER(pq, rows_one_by_one)
{
	PGconn *conn = connection();
	PGresult *result = NULL;
	int rows = 0, r;

	MUST(PQsendQuery(conn, "SELECT n FROM generate_series(1, 5000) AS n") == 1 && PQsetSingleRowMode(conn) == 1);
	while ((r = noria_pq_get_result(conn, &result)) == 1) {
		if (PQresultStatus(result) == PGRES_SINGLE_TUPLE)
			EXPECT_EQ(atoi(PQgetvalue(result, 0, 0)), ++rows);
		PQclear(result);
	}
	EXPECT_EQ(r, 0);
	EXPECT_EQ(rows, 5000);
	EXPECT_EQ(noria_pq_get_result(conn, &result), 0);
	EXPECT(is_well(conn));
	PQfinish(conn);
	return 0;
}

ADAPTER(pq, what_nobody_fetched_is_dropped_by_the_next_command)
{
	PGconn *conn = connection();
	PGresult *result = NULL;

	MUST(PQsendQuery(conn, "SELECT n FROM generate_series(1, 5000) AS n") == 1 && PQsetSingleRowMode(conn) == 1);
	MUST(noria_pq_get_result(conn, &result) == 1);
	PQclear(result);
	EXPECT(is_well(conn));
	PQfinish(conn);
	return 0;
}

static int begin_pipeline(PGconn *conn, const char *command)
{
	return PQenterPipelineMode(conn) == 1 && PQsendQueryParams(conn, command, 0, NULL, NULL, NULL, NULL, 0) == 1 &&
	       PQpipelineSync(conn) == 1;
}

ADAPTER(pq, pipelines_pass_and_are_cut_by_a_cancel)
{
	PGconn *conn = connection();
	PGresult *result = NULL;

	MUST(begin_pipeline(conn, "SELECT 7"));
	EXPECT_EQ(noria_pq_exec(conn, "SELECT 1", &result), -EINVAL);
	MUST(noria_pq_get_result(conn, &result) == 1);
	EXPECT(strcmp(PQgetvalue(result, 0, 0), "7") == 0);
	PQclear(result);
	EXPECT_EQ(noria_pq_get_result(conn, &result), 0);
	MUST(noria_pq_get_result(conn, &result) == 1 && PQresultStatus(result) == PGRES_PIPELINE_SYNC);
	PQclear(result);
	MUST(PQexitPipelineMode(conn) == 1);
	EXPECT(is_well(conn));
	MUST(begin_pipeline(conn, "SELECT pg_sleep(30)"));
	EXPECT_EQ(noria_within(noria_msec(30), noria_pq_get_result(conn, &result)), -ETIMEDOUT);
	EXPECT_EQ(PQstatus(conn), CONNECTION_BAD);
	PQfinish(conn);
	return 0;
}

/* ---- COPY ---- */

static int copy_in(PGconn *conn, int rows)
{
	PGresult *result = NULL;

	noria_try(noria_pq_exec(conn, "COPY copied FROM STDIN", &result));
	EXPECT_EQ(PQresultStatus(result), PGRES_COPY_IN);
	PQclear(result);
	for (int i = 0; i < rows; i++) {
		char row[64];
		int length = snprintf(row, sizeof row, "%d\trow number %d\n", i, i);

		noria_try(noria_pq_put_copy_data(conn, row, length));
	}
	return 0;
}

static int end_copy_in(PGconn *conn, const char *error)
{
	PGresult *result = NULL;
	ExecStatusType status;

	noria_try(noria_pq_put_copy_end(conn, error));
	MUST(noria_pq_get_result(conn, &result) == 1);
	status = PQresultStatus(result);
	PQclear(result);
	EXPECT_EQ(noria_pq_get_result(conn, &result), 0);
	return status == PGRES_COMMAND_OK ? 0 : -EIO;
}

static int copy_out(PGconn *conn, int rows_wanted)
{
	PGresult *result = NULL;
	char *row = NULL;
	int rows = 0, r;

	noria_try(noria_pq_exec(conn, "COPY copied TO STDOUT", &result));
	EXPECT_EQ(PQresultStatus(result), PGRES_COPY_OUT);
	PQclear(result);
	while (rows < rows_wanted && (r = noria_try(noria_pq_get_copy_data(conn, &row))) > 0) {
		rows++;
		PQfreemem(row);
	}
	return rows;
}

ADAPTER(pq, copy_both_ways)
{
	enum { ROWS = 50000 };
	PGconn *conn = connection();
	PGresult *result = NULL;
	char *row = NULL;

	perform(conn, "CREATE TEMP TABLE copied (n int, words text)");
	EXPECT_EQ(noria_pq_put_copy_data(conn, "1\tx\n", 4), -EINVAL);
	EXPECT_EQ(noria_pq_get_copy_data(conn, &row), -EINVAL);
	EXPECT_EQ(copy_in(conn, ROWS), 0);
	EXPECT_EQ(end_copy_in(conn, NULL), 0);
	EXPECT_EQ(copy_out(conn, ROWS + 1), ROWS);
	EXPECT_EQ(noria_pq_get_result(conn, &result), 1);
	EXPECT_EQ(PQresultStatus(result), PGRES_COMMAND_OK);
	PQclear(result);
	EXPECT(is_well(conn));
	EXPECT_EQ(copy_in(conn, 10), 0);
	EXPECT_EQ(end_copy_in(conn, "on second thoughts"), -EIO);
	EXPECT_EQ(copy_in(conn, 10), 0); /* and no end: the next command ends it, and drops it */
	EXPECT(is_well(conn));
	EXPECT_EQ(copy_out(conn, 10), 10);
	EXPECT(is_well(conn));
	EXPECT(strcmp(value_of(conn, "SELECT count(*) FROM copied"), "50000") == 0);
	PQfinish(conn);
	return 0;
}

static int copy_in_for_ever(PGconn *conn)
{
	noria_try(copy_in(conn, 100));
	for (;;)
		noria_try(noria_pq_put_copy_data(conn, "1\tand one more\n", 15));
}

static int copy_out_for_ever(PGconn *conn)
{
	for (;;) {
		PGresult *result = NULL;

		noria_try(copy_out(conn, 1000000));
		while (noria_try(noria_pq_get_result(conn, &result)) > 0)
			PQclear(result);
	}
}

ADAPTER(pq, a_cancelled_copy_leaves_nothing)
{
	PGconn *conn = connection();

	perform(conn, "CREATE TEMP TABLE copied (n int, words text)");
	EXPECT_EQ(noria_within(noria_msec(50), copy_in_for_ever(conn)), -ETIMEDOUT);
	EXPECT(is_well(conn));
	EXPECT(strcmp(value_of(conn, "SELECT count(*) FROM copied"), "0") == 0);
	perform(conn, "INSERT INTO copied SELECT n, repeat('x', 100) FROM generate_series(1, 20000) AS n");
	EXPECT_EQ(noria_within(noria_msec(50), copy_out_for_ever(conn)), -ETIMEDOUT);
	EXPECT(is_well(conn));
	PQfinish(conn);
	return 0;
}

/* ---- Notifications ---- */

struct listening {
	PGconn *conn;
	int received;
	bool in_order;
};

static int receive_notifications(void *arg)
{
	struct listening *listening = arg;

	while (listening->received < 100) {
		char text[16];
		PGnotify *notify = NULL;
		/* A short limit, so that waits are cut off between notifications, and lose none. */
		int r = noria_within(noria_usec(500), noria_pq_wait_notify(listening->conn, &notify));

		if (r == -ETIMEDOUT)
			continue;
		noria_try(r);
		snprintf(text, sizeof text, "%d", listening->received++);
		listening->in_order &= strcmp(notify->extra, text) == 0 && strcmp(notify->relname, "news") == 0;
		PQfreemem(notify);
	}
	return 0;
}

static int notify_all(struct noria_group *group, struct listening *listening)
{
	PGconn *other = connection();

	perform(listening->conn, "LISTEN news");
	MUST(noria_spawn(group, receive_notifications, listening) == 0);
	for (int i = 0; i < 100; i++) {
		char command[64];

		snprintf(command, sizeof command, "NOTIFY news, '%d'", i);
		perform(other, command);
	}
	PQfinish(other);
	return 0;
}

ADAPTER(pq, notifications_come_in_order_and_none_is_lost)
{
	struct listening listening = {.conn = connection(), .in_order = true};
	struct noria_group group;

	EXPECT_EQ(noria_grouped(&group, notify_all(&group, &listening)), 0);
	EXPECT_EQ(listening.received, 100);
	EXPECT(listening.in_order);
	EXPECT(is_well(listening.conn));
	PQfinish(listening.conn);
	return 0;
}

ADAPTER(pq, a_drain_ends_the_wait_for_notifications)
{
	PGconn *conn = connection();
	struct noria_scope scope;
	PGnotify *notify = NULL;

	perform(conn, "LISTEN quiet");
	MUST(noria_scope_open(&scope, NORIA_FOREVER, 0) == 0);
	MUST(noria_scope_drain(&scope, NORIA_FOREVER) == 0);
	EXPECT_EQ(noria_pq_wait_notify(conn, &notify), -ECANCELED);
	EXPECT(is_well(conn)); /* work in progress goes on in a drain */
	noria_scope_close(&scope, 0);
	PQfinish(conn);
	return 0;
}

/* ---- Many ---- */

enum { TASKS = 200, CONNECTIONS = 10 };

struct pool {
	struct noria_channel channel;
	PGconn *room[CONNECTIONS];
	int right, cancelled, next;
};

static int ask_in_turn(PGconn *conn, struct pool *pool, int number)
{
	bool hasty = number % 9 == 0;
	char question[64];
	PGresult *result = NULL;
	int r;

	snprintf(question, sizeof question, "SELECT %d, pg_sleep(%s)", number, hasty ? "5" : "0.005");
	r = noria_within(hasty ? noria_msec(3) : noria_sec(60), noria_pq_exec(conn, question, &result));
	EXPECT_EQ(r, hasty ? -ETIMEDOUT : 0);
	pool->cancelled += r == -ETIMEDOUT;
	pool->right += r == 0 && atoi(PQgetvalue(result, 0, 0)) == number;
	PQclear(result);
	return 0;
}

static int ask_by_pool(void *arg)
{
	struct pool *pool = arg;
	int number = pool->next++;
	PGconn *conn;

	MUST(noria_channel_recv(&pool->channel, &conn) == 1);
	ask_in_turn(conn, pool, number);
	return noria_channel_send(&pool->channel, &conn);
}

static int spawn_all(struct noria_group *group, struct pool *pool, struct frame_ticker *ticker)
{
	frame_tick(group, ticker);
	for (int i = 0; i < TASKS; i++)
		MUST(noria_spawn(group, ask_by_pool, pool) == 0);
	return 0;
}

ADAPTER(pq, many_tasks_share_few_connections)
{
	struct pool pool = {.right = 0};
	struct frame_ticker ticker;
	struct noria_group group;

	MUST(noria_channel_init(&pool.channel, sizeof(PGconn *), pool.room, CONNECTIONS) == 0);
	for (int i = 0; i < CONNECTIONS; i++) {
		PGconn *conn = connection();

		MUST(noria_channel_send(&pool.channel, &conn) == 0);
	}
	EXPECT_EQ(noria_grouped(&group, spawn_all(&group, &pool, &ticker)), 0);
	EXPECT_EQ(pool.right + pool.cancelled, TASKS);
	EXPECT(pool.cancelled == (TASKS + 8) / 9);
	EXPECT(ticker.ticks > 20);
	for (int i = 0; i < CONNECTIONS; i++) {
		PGconn *conn;

		MUST(noria_channel_recv(&pool.channel, &conn) == 1);
		EXPECT(is_well(conn));
		PQfinish(conn);
	}
	return 0;
}

static int wait_with_ticker(struct noria_group *group, PGconn *conn, struct frame_ticker *ticker)
{
	frame_tick(group, ticker);
	perform(conn, "SELECT pg_sleep(0.2)");
	return 0;
}

ADAPTER(pq, a_slow_query_holds_up_nobody)
{
	PGconn *conn = connection();
	struct frame_ticker ticker;
	struct noria_group group;

	EXPECT_EQ(noria_grouped(&group, wait_with_ticker(&group, conn, &ticker)), 0);
	EXPECT(ticker.ticks > 50);
	PQfinish(conn);
	return 0;
}
