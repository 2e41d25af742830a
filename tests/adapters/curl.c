/* SPDX-License-Identifier: MIT */
/*
 * The libcurl adapter: against an HTTP server of this program's own, which misbehaves when told to, against Python's,
 * and against the TLS server of OpenSSL.
 */
#include "frame.h"

#include <noria/curl.h>

/* ---- A server ---- */

struct server {
	int listener, port, connections, requests, gone;
};

struct served {
	struct server *server;
	int fd;
};

static int reply(int fd, const char *head, const char *body, size_t size)
{
	char text[256];
	int length = snprintf(text, sizeof text, "HTTP/1.1 %s\r\nContent-Length: %zu\r\n\r\n", head, size);

	noria_try(noria_send_all(fd, text, (size_t)length, 0));
	return (int)noria_send_all(fd, body, size, 0);
}

/* The body of a POST, as its length. */
static int count_body(int fd, const char *request, size_t length)
{
	const char *body = strstr(request, "\r\n\r\n") + 4, *header = strcasestr(request, "content-length: ");
	size_t wanted = header ? (size_t)atol(header + 16) : 0, had = length - (size_t)(body - request);
	char rest[8192], text[32];

	while (had < wanted)
		had += (size_t)noria_try(noria_recv(fd, rest, sizeof rest, 0));
	snprintf(text, sizeof text, "%zu", had);
	return reply(fd, "200 OK", text, strlen(text));
}

static int answer(struct server *server, int fd, const char *request, size_t length)
{
	static char big[4 << 20];

	server->requests++;
	if (strncmp(request, "POST", 4) == 0)
		return count_body(fd, request, length);
	if (strncmp(request, "GET /slow", 9) == 0)
		noria_try(noria_sleep(noria_msec(10)));
	if (strncmp(request, "GET /never", 10) == 0)
		return (int)noria_recv(fd, big, sizeof big, 0) > 0 ? 0 : -EPIPE;
	if (strncmp(request, "GET /big", 8) == 0)
		return reply(fd, "200 OK", big, sizeof big);
	if (strncmp(request, "GET /half", 9) == 0) {
		noria_try(noria_send_all(fd, "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nhalf", 44, 0));
		return -EPIPE;
	}
	if (strncmp(request, "GET /nothing", 12) == 0)
		return -EPIPE;
	return strncmp(request, "GET /missing", 12) == 0 ? reply(fd, "404 Not Found", "", 0)
							 : reply(fd, "200 OK", "hello", 5);
}

static int serve(void *arg)
{
	struct served *served = arg;
	noria_autoclose int fd = served->fd;
	char request[4096];
	ssize_t n;

	served->server->connections++;
	while ((n = noria_recv(fd, request, sizeof request - 1, 0)) > 0) {
		request[n] = '\0';
		if (answer(served->server, fd, request, (size_t)n) < 0)
			break;
	}
	served->server->gone++;
	return 0;
}

static int accept_all(void *arg)
{
	struct server *server = arg;
	struct noria_group group;

	noria_try(noria_group_open(&group));
	for (;;) {
		struct served served = {server, noria_accept(server->listener, NULL, NULL)};

		if (served.fd < 0)
			break;
		MUST(noria_spawn_copy(&group, serve, &served, sizeof served) == 0);
	}
	noria_group_cancel(&group);
	return noria_group_close(&group, 0);
}

/* ---- What the tests need ---- */

struct fixture {
	struct noria_group *group;
	struct noria_curl *curl;
	struct server server;
	struct frame_ticker ticker;
};

struct body {
	char text[256];
	size_t length;
	bool pause;
};

static size_t on_body(char *data, size_t size, size_t count, void *arg)
{
	struct body *body = arg;

	if (body->pause) {
		body->pause = false;
		return CURL_WRITEFUNC_PAUSE;
	}
	for (size_t i = 0; i < size * count && body->length + i < sizeof body->text - 1; i++)
		body->text[body->length + i] = data[i];
	body->length += size * count;
	return size * count;
}

static CURL *easy_for(struct fixture *fixture, const char *path, struct body *body)
{
	CURL *easy = curl_easy_init();
	char url[128];

	snprintf(url, sizeof url, "http://127.0.0.1:%d/%s", fixture->server.port, path);
	*body = (struct body){0};
	curl_easy_setopt(easy, CURLOPT_URL, url);
	curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(easy, CURLOPT_WRITEDATA, body);
	curl_easy_setopt(easy, CURLOPT_NOPROXY, "*");
	return easy;
}

static long status_of(CURL *easy)
{
	long status = 0;

	curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
	return status;
}

static int open_fixture(struct noria_group *group, struct fixture *fixture)
{
	*fixture = (struct fixture){.group = group};
	fixture->server.listener = frame_listen(&fixture->server.port);
	frame_tick(group, &fixture->ticker);
	MUST(noria_spawn_with(group, accept_all, &fixture->server, &(struct noria_spawn_options){.service = true}) ==
	     0);
	return noria_curl_open(group, &fixture->curl);
}

static int with_fixture(struct noria_group *group, struct fixture *fixture, int (*body)(struct fixture *fixture))
{
	MUST(open_fixture(group, fixture) == 0);
	return body(fixture);
}

/* CURL_TEST(name) { ... }: a test with `fixture`: a server, and a libcurl handle in `group`. */
#define CURL_TEST(name) \
	static int body_##name(struct fixture *fixture); \
	ADAPTER(curl, name) \
	{ \
		struct fixture fixture; \
		struct noria_group group; \
		EXPECT_EQ(noria_grouped(&group, with_fixture(&group, &fixture, body_##name)), 0); \
		noria_close(fixture.server.listener); \
		return 0; \
	} \
	static int body_##name(__attribute__((unused)) struct fixture *fixture)

CURL_TEST(transfers_and_their_status)
{
	struct body body;
	CURL *easy = easy_for(fixture, "hello", &body);

	EXPECT_EQ(noria_curl_perform(fixture->curl, easy), CURLE_OK);
	EXPECT(status_of(easy) == 200 && strcmp(body.text, "hello") == 0);
	curl_easy_cleanup(easy);
	easy = easy_for(fixture, "missing", &body);
	EXPECT_EQ(noria_curl_perform(fixture->curl, easy), CURLE_OK);
	EXPECT_EQ(status_of(easy), 404);
	curl_easy_cleanup(easy);
	easy = easy_for(fixture, "big", &body);
	EXPECT_EQ(noria_curl_perform(fixture->curl, easy), CURLE_OK);
	EXPECT_EQ(body.length, 4 << 20);
	curl_easy_cleanup(easy);
	return 0;
}

CURL_TEST(an_upload)
{
	enum { SIZE = 1 << 20 };
	struct body body;
	CURL *easy = easy_for(fixture, "", &body);
	char *data = calloc(1, SIZE);

	curl_easy_setopt(easy, CURLOPT_POSTFIELDS, data);
	curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE, (long)SIZE);
	EXPECT_EQ(noria_curl_perform(fixture->curl, easy), CURLE_OK);
	EXPECT(strcmp(body.text, "1048576") == 0);
	curl_easy_cleanup(easy);
	free(data);
	return 0;
}

CURL_TEST(connections_are_kept_for_the_next_transfer)
{
	for (int i = 0; i < 10; i++) {
		struct body body;
		CURL *easy = easy_for(fixture, "hello", &body);

		EXPECT_EQ(noria_curl_perform(fixture->curl, easy), CURLE_OK);
		curl_easy_cleanup(easy);
	}
	EXPECT_EQ(fixture->server.requests, 10);
	EXPECT_EQ(fixture->server.connections, 1);
	return 0;
}

CURL_TEST(errors_are_those_of_libcurl)
{
	const char *paths[] = {"half", "nothing"};
	int codes[] = {CURLE_PARTIAL_FILE, CURLE_GOT_NOTHING}, port, fd = frame_listen(&port);
	struct body body;
	CURL *easy;

	for (int i = 0; i < 2; i++) {
		easy = easy_for(fixture, paths[i], &body);
		EXPECT_EQ(noria_curl_perform(fixture->curl, easy), codes[i]);
		curl_easy_cleanup(easy);
	}
	noria_close(fd);
	easy = easy_for(fixture, "", &body);
	curl_easy_setopt(easy, CURLOPT_PORT, (long)port);
	EXPECT_EQ(noria_curl_perform(fixture->curl, easy), CURLE_COULDNT_CONNECT);
	curl_easy_cleanup(easy);
	return 0;
}

CURL_TEST(in_a_cancelled_scope_nothing_happens)
{
	struct body body;
	CURL *easy = easy_for(fixture, "hello", &body);
	struct noria_scope scope;

	MUST(noria_scope_open(&scope, NORIA_FOREVER, 0) == 0);
	noria_scope_cancel(&scope);
	EXPECT_EQ(noria_curl_perform(fixture->curl, easy), -ECANCELED);
	noria_scope_close(&scope, -ECANCELED);
	MUST(noria_sleep(noria_msec(5)) == 0);
	EXPECT_EQ(fixture->server.connections, 0);
	curl_easy_cleanup(easy);
	return 0;
}

CURL_TEST(a_time_limit_closes_the_connection_and_leaves_the_handle)
{
	struct body body;
	CURL *easy = easy_for(fixture, "never", &body);
	char url[64];

	EXPECT_EQ(noria_within(noria_msec(30), noria_curl_perform(fixture->curl, easy)), -ETIMEDOUT);
	UNTIL(fixture->server.gone == 1);
	snprintf(url, sizeof url, "http://127.0.0.1:%d/hello", fixture->server.port);
	curl_easy_setopt(easy, CURLOPT_URL, url);
	EXPECT_EQ(noria_within(noria_sec(20), noria_curl_perform(fixture->curl, easy)), CURLE_OK);
	EXPECT(strcmp(body.text, "hello") == 0);
	curl_easy_cleanup(easy);
	return 0;
}

struct performer {
	struct fixture *fixture;
	CURL *easy;
	int result;
	struct body body;
};

static int perform_one(void *arg)
{
	struct performer *performer = arg;

	performer->result = noria_curl_perform(performer->fixture->curl, performer->easy);
	return performer->result;
}

CURL_TEST(a_handle_does_one_transfer_at_a_time)
{
	struct performer performer = {.fixture = fixture};
	struct noria_child child;

	performer.easy = easy_for(fixture, "never", &performer.body);
	MUST(noria_spawn_with(fixture->group, perform_one, &performer,
			      &(struct noria_spawn_options){.child = &child}) == 0);
	UNTIL(fixture->server.requests == 1);
	EXPECT_EQ(noria_curl_perform(fixture->curl, performer.easy), -EBUSY);
	noria_child_cancel(&child);
	EXPECT_EQ(noria_child_wait(&child, NULL), 0);
	EXPECT_EQ(performer.result, -ECANCELED);
	curl_easy_cleanup(performer.easy);
	return 0;
}

/* A consumer that is full pauses the transfer, and goes on from its own task. */
CURL_TEST(a_paused_transfer_goes_on)
{
	struct performer performer = {.fixture = fixture};
	struct noria_child child;

	performer.easy = easy_for(fixture, "hello", &performer.body);
	performer.body.pause = true;
	MUST(noria_spawn_with(fixture->group, perform_one, &performer,
			      &(struct noria_spawn_options){.child = &child}) == 0);
	UNTIL(!performer.body.pause);
	MUST(noria_sleep(noria_msec(20)) == 0);
	EXPECT(!noria_child_ended(&child) && performer.body.length == 0);
	EXPECT_EQ(curl_easy_pause(performer.easy, CURLPAUSE_CONT), CURLE_OK);
	EXPECT_EQ(noria_child_wait(&child, NULL), 0);
	EXPECT(performer.result == CURLE_OK && strcmp(performer.body.text, "hello") == 0);
	curl_easy_cleanup(performer.easy);
	return 0;
}

/* ---- Many ---- */

enum { TASKS = 200, CONNECTIONS = 10 };

struct crowd {
	struct fixture *fixture;
	int next, right, cancelled;
};

static int fetch(void *arg)
{
	struct crowd *crowd = arg;
	int number = crowd->next++;
	bool hasty = number % 7 == 0;
	struct body body;
	CURL *easy = easy_for(crowd->fixture, hasty ? "never" : "slow", &body);
	int r = noria_within(hasty ? noria_usec(200 * number) : noria_sec(60),
			     noria_curl_perform(crowd->fixture->curl, easy));

	EXPECT_EQ(r, hasty ? -ETIMEDOUT : CURLE_OK);
	crowd->cancelled += r == -ETIMEDOUT;
	crowd->right += r == CURLE_OK && strcmp(body.text, "hello") == 0;
	curl_easy_cleanup(easy);
	return 0;
}

static int spawn_crowd(struct noria_group *group, struct crowd *crowd)
{
	for (int i = 0; i < TASKS; i++)
		MUST(noria_spawn(group, fetch, crowd) == 0);
	return 0;
}

CURL_TEST(many_tasks_share_few_connections)
{
	struct crowd crowd = {.fixture = fixture};
	struct noria_group group;

	curl_multi_setopt(noria_curl_multi(fixture->curl), CURLMOPT_MAX_HOST_CONNECTIONS, (long)CONNECTIONS);
	EXPECT_EQ(noria_grouped(&group, spawn_crowd(&group, &crowd)), 0);
	EXPECT_EQ(crowd.right + crowd.cancelled, TASKS);
	EXPECT_EQ(crowd.cancelled, (TASKS + 6) / 7);
	EXPECT(fixture->server.connections < TASKS);
	EXPECT(fixture->ticker.ticks > 20);
	return 0;
}

/* ---- The resolver ---- */

CURL_TEST(names_are_resolved_beside_the_loop)
{
	struct body body;
	CURL *easy = easy_for(fixture, "", &body);
	int64_t begin = noria_now();

	curl_easy_setopt(easy, CURLOPT_URL, "http://slow.example/");
	EXPECT_EQ(noria_within(noria_msec(30), noria_curl_perform(fixture->curl, easy)), -ETIMEDOUT);
	EXPECT(noria_now() - begin < noria_msec(FRAME_RESOLVER_MS - 50));
	EXPECT_EQ(noria_curl_perform(fixture->curl, easy), CURLE_COULDNT_RESOLVE_HOST);
	EXPECT(fixture->ticker.ticks > 100);
	curl_easy_cleanup(easy);
	/* The thread that was left alone ends by itself; nobody may be missing when descriptors are counted. */
	MUST(noria_sleep(noria_msec(FRAME_RESOLVER_MS + 50)) == 0);
	return 0;
}

/* ---- The end ---- */

static int fetch_from_outside(void *arg)
{
	(void)perform_one(arg);
	return 0;
}

static int open_and_leave(struct noria_group *inner, struct noria_group *outer, struct performer *performer)
{
	MUST(open_fixture(inner, performer->fixture) == 0);
	performer->easy = easy_for(performer->fixture, "never", &performer->body);
	MUST(noria_spawn(outer, fetch_from_outside, performer) == 0);
	UNTIL(performer->fixture->server.requests == 1);
	return 0;
}

static int two_groups(struct noria_group *outer, struct performer *performer)
{
	struct noria_group inner;

	return noria_grouped(&inner, open_and_leave(&inner, outer, performer));
}

/* A task of another group still waits when the driver ends. */
ADAPTER(curl, who_is_left_at_the_end_is_told)
{
	struct fixture fixture;
	struct performer performer = {.fixture = &fixture};
	struct noria_group outer;

	EXPECT_EQ(noria_grouped(&outer, two_groups(&outer, &performer)), 0);
	EXPECT_EQ(performer.result, -EPIPE);
	curl_easy_cleanup(performer.easy);
	noria_close(fixture.server.listener);
	return 0;
}

/* ---- Real servers ---- */

CURL_TEST(files_of_pythons_server)
{
	struct body body;
	CURL *easy = easy_for(fixture, "", &body);

	curl_easy_setopt(easy, CURLOPT_PORT, atol(frame_place("NORIA_TEST_HTTP_PORT")));
	EXPECT_EQ(noria_curl_perform(fixture->curl, easy), CURLE_OK);
	EXPECT(status_of(easy) == 200 && strstr(body.text, "Directory listing"));
	curl_easy_cleanup(easy);
	return 0;
}

static CURL *easy_for_tls(struct fixture *fixture, struct body *body)
{
	CURL *easy = easy_for(fixture, "", body);
	char url[64];

	snprintf(url, sizeof url, "https://127.0.0.1:%s/", frame_place("NORIA_TEST_TLS_PORT"));
	curl_easy_setopt(easy, CURLOPT_URL, url);
	return easy;
}

CURL_TEST(certificates_are_checked)
{
	struct body body;
	CURL *easy = easy_for_tls(fixture, &body);

	EXPECT_EQ(noria_curl_perform(fixture->curl, easy), CURLE_PEER_FAILED_VERIFICATION);
	curl_easy_setopt(easy, CURLOPT_CAINFO, frame_place("NORIA_TEST_TLS_CA"));
	EXPECT_EQ(noria_curl_perform(fixture->curl, easy), CURLE_OK);
	EXPECT(status_of(easy) == 200 && body.length > 0);
	curl_easy_cleanup(easy);
	return 0;
}
