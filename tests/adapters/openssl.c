/* SPDX-License-Identifier: MIT */
/*
 * The OpenSSL adapter: against itself over a socket pair, against `openssl s_server`, and against `openssl s_client`,
 * which this program starts. The certificates are those of tests/adapters/servers.
 */
#include "frame.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <noria/openssl.h>
#include <openssl/err.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

static SSL_CTX *server_context(int version)
{
	SSL_CTX *context = SSL_CTX_new(TLS_server_method());

	MUST(context && SSL_CTX_use_certificate_chain_file(context, frame_place("NORIA_TEST_TLS_CERT")) == 1);
	MUST(SSL_CTX_use_PrivateKey_file(context, frame_place("NORIA_TEST_TLS_KEY"), SSL_FILETYPE_PEM) == 1);
	if (version)
		SSL_CTX_set_max_proto_version(context, version);
	return context;
}

static SSL_CTX *client_context(bool trusting)
{
	SSL_CTX *context = SSL_CTX_new(TLS_client_method());

	MUST(context);
	SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
	if (trusting)
		MUST(SSL_CTX_load_verify_locations(context, frame_place("NORIA_TEST_TLS_CA"), NULL) == 1);
	return context;
}

static SSL *make(SSL_CTX *context, int fd)
{
	SSL *ssl = SSL_new(context);

	MUST(ssl && noria_ssl_set_fd(ssl, fd) == 0);
	SSL_CTX_free(context); /* the SSL object has it */
	return ssl;
}

/* Both ends of a connection in one program. */
struct pair {
	int fd[2];
	SSL *client, *server;
	int accepted, records;
};

static int accept_pair(void *arg)
{
	struct pair *pair = arg;

	pair->accepted = noria_ssl_accept(pair->server);
	return 0;
}

static int connect_pair(struct noria_group *group, struct pair *pair)
{
	MUST(noria_spawn(group, accept_pair, pair) == 0);
	return noria_ssl_connect(pair->client);
}

static void open_pair(struct pair *pair, int version)
{
	*pair = (struct pair){.accepted = -1};
	MUST(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair->fd) == 0);
	pair->client = make(client_context(true), pair->fd[0]);
	pair->server = make(server_context(version), pair->fd[1]);
}

static void open_connected_pair(struct pair *pair, int version)
{
	struct noria_group group;

	open_pair(pair, version);
	MUST(noria_grouped(&group, connect_pair(&group, pair)) == 0 && pair->accepted == 0);
}

static void close_pair(struct pair *pair)
{
	SSL_free(pair->client);
	SSL_free(pair->server);
	noria_close(pair->fd[0]);
	noria_close(pair->fd[1]);
}

ADAPTER(tls, hand_shake_bytes_and_the_end)
{
	int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};

	for (int i = 0; i < 2; i++) {
		struct pair pair;
		char text[32];

		open_connected_pair(&pair, versions[i]);
		EXPECT_EQ(SSL_version(pair.client), versions[i]);
		EXPECT_EQ(noria_ssl_write(pair.client, "question", 8), 8);
		EXPECT_EQ(noria_ssl_read(pair.server, text, 3), 3);
		EXPECT_EQ(noria_ssl_read(pair.server, text + 3, sizeof text - 3), 5);
		EXPECT(memcmp(text, "question", 8) == 0);
		EXPECT_EQ(noria_ssl_write_all(pair.server, "answer", 6), 6);
		EXPECT_EQ(noria_ssl_read(pair.client, text, sizeof text), 6);
		EXPECT_EQ(noria_ssl_read(pair.client, text, 0), 0);
		EXPECT_EQ(noria_ssl_shutdown(pair.client, noria_sec(5)), 0);
		EXPECT_EQ(noria_ssl_read(pair.server, text, sizeof text), 0);
		EXPECT_EQ(noria_ssl_shutdown(pair.server, noria_sec(5)), 1);
		EXPECT_EQ(noria_ssl_read(pair.client, text, sizeof text), 0);
		EXPECT(noria_ssl_write(pair.client, "more", 4) < 0);
		close_pair(&pair);
	}
	return 0;
}

ADAPTER(tls, what_is_misused_is_refused)
{
	SSL_CTX *context = client_context(true);
	SSL *ssl = SSL_new(context);
	struct pair pair;
	char byte;

	EXPECT_EQ(noria_ssl_connect(ssl), -EBADF);
	EXPECT_EQ(noria_ssl_read(ssl, &byte, 1), -EBADF);
	EXPECT_EQ(noria_ssl_write(ssl, &byte, 1), -EBADF);
	EXPECT_EQ(noria_ssl_shutdown(ssl, noria_sec(1)), -EBADF);
	EXPECT(strstr(frame_text(), "noria_ssl_set_fd"));
	SSL_free(ssl);
	SSL_CTX_free(context);
	open_pair(&pair, 0);
	EXPECT_EQ(noria_ssl_set_fd(pair.client, pair.fd[0]), -EBUSY);
	close_pair(&pair);
	return 0;
}

/* ---- Certificates ---- */

static void distrust(struct pair *pair, bool trusting, const char *name)
{
	SSL_free(pair->client);
	pair->client = make(client_context(trusting), pair->fd[0]);
	if (name)
		MUST(SSL_set1_host(pair->client, name) == 1);
}

static int connect_and_be_refused(struct noria_group *group, struct pair *pair, const char *words)
{
	EXPECT_EQ(connect_pair(group, pair), -EACCES);
	EXPECT(strstr(frame_text(), words));
	return 0;
}

ADAPTER(tls, certificates_that_are_not_accepted)
{
	const char *names[] = {NULL, "elsewhere.example"}, *words[] = {"local issuer", "ostname mismatch"};

	for (int i = 0; i < 2; i++) {
		struct noria_group group;
		struct pair pair;

		open_pair(&pair, 0);
		distrust(&pair, i == 1, names[i]);
		EXPECT_EQ(noria_grouped(&group, connect_and_be_refused(&group, &pair, words[i])), 0);
		EXPECT_EQ(pair.accepted, -EPROTO); /* the alert says why to the other side */
		close_pair(&pair);
	}
	return 0;
}

/* ---- Peers that misbehave ---- */

static int talk_nonsense(void *arg)
{
	struct pair *pair = arg;
	char hello[1024];

	noria_try(noria_recv(pair->fd[1], hello, sizeof hello, 0));
	return (int)noria_send_all(pair->fd[1], "HTTP/1.1 400 Bad Request\r\n\r\n", 28, 0);
}

static int connect_to_nonsense(struct noria_group *group, struct pair *pair)
{
	MUST(noria_spawn(group, talk_nonsense, pair) == 0);
	EXPECT_EQ(noria_ssl_connect(pair->client), -EPROTO);
	EXPECT(strstr(frame_text(), "tls: "));
	return 0;
}

ADAPTER(tls, a_peer_that_speaks_something_else)
{
	struct noria_group group;
	struct pair pair;

	open_pair(&pair, 0);
	EXPECT_EQ(noria_grouped(&group, connect_to_nonsense(&group, &pair)), 0);
	close_pair(&pair);
	return 0;
}

ADAPTER(tls, a_peer_that_is_gone)
{
	struct pair pair;
	char text[8];

	open_connected_pair(&pair, 0);
	MUST(noria_ssl_write(pair.server, "last", 4) == 4);
	MUST(noria_shutdown(pair.fd[1], SHUT_RDWR) == 0);
	EXPECT_EQ(noria_ssl_read(pair.client, text, sizeof text), 4);
	EXPECT_EQ(noria_ssl_read(pair.client, text, sizeof text), -ECONNRESET);
	EXPECT(strstr(frame_text(), "close_notify"));
	EXPECT_EQ(noria_ssl_write(pair.client, text, 1), -EPIPE); /* no SIGPIPE */
	close_pair(&pair);
	open_pair(&pair, 0);
	MUST(noria_shutdown(pair.fd[1], SHUT_WR) == 0);
	EXPECT_EQ(noria_ssl_connect(pair.client), -ECONNRESET);
	close_pair(&pair);
	return 0;
}

/* ---- Cancellation ---- */

ADAPTER(tls, in_a_cancelled_scope_nothing_happens_but_the_end)
{
	struct noria_scope scope;
	struct pair pair;
	char text[8];

	open_connected_pair(&pair, 0);
	MUST(noria_scope_open(&scope, NORIA_FOREVER, 0) == 0);
	noria_scope_cancel(&scope);
	EXPECT_EQ(noria_ssl_write(pair.client, "no", 2), -ECANCELED);
	EXPECT_EQ(noria_ssl_read(pair.client, text, sizeof text), -ECANCELED);
	EXPECT_EQ(noria_ssl_connect(pair.client), -ECANCELED);
	EXPECT_EQ(noria_ssl_shutdown(pair.client, noria_sec(5)), 0);
	noria_scope_close(&scope, -ECANCELED);
	EXPECT_EQ(noria_ssl_read(pair.server, text, sizeof text), 0);
	close_pair(&pair);
	return 0;
}

ADAPTER(tls, time_limits)
{
	struct pair pair;
	char text[8];

	open_pair(&pair, 0);
	EXPECT_EQ(noria_within(noria_msec(20), noria_ssl_connect(pair.client)), -ETIMEDOUT);
	close_pair(&pair);
	open_connected_pair(&pair, 0);
	EXPECT_EQ(noria_within(noria_msec(20), noria_ssl_read(pair.client, text, sizeof text)), -ETIMEDOUT);
	MUST(noria_ssl_write(pair.server, "late", 4) == 4); /* nothing is lost */
	EXPECT_EQ(noria_within(noria_sec(20), noria_ssl_read(pair.client, text, sizeof text)), 4);
	close_pair(&pair);
	return 0;
}

/*
 * A peer that does not read: the write ends with its limit, the shutdown with its own, and what had been taken over comes
 * out whole and in order when the peer reads after all.
 */
static ssize_t write_until_full(SSL *ssl, char *record)
{
	for (int i = 0;; i++) {
		memset(record, 'a' + i % 26, 10000);
		noria_try(noria_within(noria_msec(200), noria_ssl_write_all(ssl, record, 10000)));
	}
}

static int read_to_the_end(void *arg)
{
	struct pair *pair = arg;
	char block[7000];
	size_t total = 0, wrong = 0;
	ssize_t n;

	while ((n = noria_ssl_read(pair->server, block, sizeof block)) > 0)
		for (ssize_t i = 0; i < n; i++, total++)
			wrong += block[i] != 'a' + (char)(total / 10000 % 26);
	EXPECT_EQ(n, 0);
	EXPECT_EQ(wrong, 0);
	EXPECT(total >= 30000);
	return 0;
}

static int shut_down_after_all(struct noria_group *group, struct pair *pair)
{
	MUST(noria_spawn(group, read_to_the_end, pair) == 0);
	return noria_ssl_shutdown(pair->client, noria_sec(20));
}

ADAPTER(tls, a_write_that_was_cut_off_leaves_a_whole_stream)
{
	static char record[10000];
	struct noria_group group;
	struct pair pair;
	int64_t begin;

	open_connected_pair(&pair, 0);
	EXPECT_EQ(write_until_full(pair.client, record), -ETIMEDOUT);
	begin = noria_now();
	EXPECT_EQ(noria_ssl_shutdown(pair.client, noria_msec(30)), -ETIMEDOUT);
	EXPECT(noria_now() - begin < noria_sec(5));
	EXPECT_EQ(noria_grouped(&group, shut_down_after_all(&group, &pair)), 0);
	close_pair(&pair);
	return 0;
}

/* ---- Both directions at once ---- */

enum { STREAM = 8 << 20 };

struct direction {
	SSL *ssl;
	bool rekey;
	unsigned seed;
};

static int write_stream(void *arg)
{
	struct direction *direction = arg;
	char block[5000];
	size_t total = 0;

	while (total < STREAM) {
		for (size_t i = 0; i < sizeof block; i++)
			block[i] = (char)((total + i) * 31 + direction->seed);
		if (direction->rekey && total / sizeof block % 100 == 50)
			EXPECT_EQ(SSL_key_update(direction->ssl, SSL_KEY_UPDATE_REQUESTED), 1);
		noria_try(noria_ssl_write_all(direction->ssl, block, sizeof block));
		total += sizeof block;
	}
	return noria_ssl_shutdown(direction->ssl, noria_sec(20)) < 0 ? -EIO : 0;
}

static int read_stream(void *arg)
{
	struct direction *direction = arg;
	char block[7000];
	size_t total = 0, wrong = 0;
	ssize_t n;

	while ((n = noria_try(noria_ssl_read(direction->ssl, block, sizeof block))) > 0)
		for (ssize_t i = 0; i < n; i++)
			wrong += block[i] != (char)(total++ * 31 + direction->seed);
	EXPECT_EQ(wrong, 0);
	EXPECT(total >= STREAM);
	return 0;
}

static int spawn_directions(struct noria_group *group, struct direction *directions)
{
	for (int i = 0; i < 2; i++) {
		MUST(noria_spawn(group, write_stream, &directions[i]) == 0);
		MUST(noria_spawn(group, read_stream, &directions[2 + i]) == 0);
	}
	return 0;
}

static void run_both_directions(int version, bool rekey)
{
	struct noria_group group;
	struct pair pair;

	open_connected_pair(&pair, version);
	struct direction directions[] = {
		{pair.client, rekey, 1}, {pair.server, rekey, 2}, {pair.server, false, 1}, {pair.client, false, 2}};

	EXPECT_EQ(noria_grouped(&group, spawn_directions(&group, directions)), 0);
	close_pair(&pair);
}

ADAPTER(tls, one_task_reads_while_another_writes)
{
	run_both_directions(TLS1_2_VERSION, false);
	run_both_directions(TLS1_3_VERSION, false);
	return 0;
}

static int connect_to_port(const char *port)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port))};
	int fd = noria_socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	MUST(fd >= 0 && noria_connect(fd, (struct sockaddr *)&address, sizeof address) == 0);
	return fd;
}

/* ---- OpenSSL on the socket itself, and kernel TLS where there is any ---- */

static SSL *make_on_socket(SSL_CTX *context, int fd)
{
	SSL_CTX_set_options(context, SSL_OP_ENABLE_KTLS);
	return make(context, fd);
}

/* Two sockets of TCP, since kernel TLS knows no others. */
static void open_pair_on_sockets(struct pair *pair, int version)
{
	char port[16];
	int number, listener = frame_listen(&number);
	struct noria_group group;

	*pair = (struct pair){.accepted = -1};
	snprintf(port, sizeof port, "%d", number);
	pair->fd[0] = connect_to_port(port);
	MUST((pair->fd[1] = noria_accept(listener, NULL, NULL)) >= 0);
	noria_close(listener);
	pair->client = make_on_socket(client_context(true), pair->fd[0]);
	pair->server = make_on_socket(server_context(version), pair->fd[1]);
	MUST(noria_grouped(&group, connect_pair(&group, pair)) == 0 && pair->accepted == 0);
}

static bool kernel_has_tls(void)
{
	struct pair pair;
	bool has;

	open_pair_on_sockets(&pair, TLS1_2_VERSION);
	has = noria_ssl_ktls(pair.client) != 0;
	close_pair(&pair);
	return has;
}

/* What is spliced into the socket arrives as if it had been written. */
static void splice_as_tls(struct pair *pair)
{
	char text[16];
	int fds[2];

	MUST(pipe2(fds, O_CLOEXEC) == 0 && noria_write_all(fds[1], "spliced", 7) == 7);
	EXPECT_EQ(noria_splice(fds[0], NULL, pair->fd[0], NULL, 7, 0), 7);
	EXPECT_EQ(noria_ssl_read(pair->server, text, sizeof text), 7);
	EXPECT(memcmp(text, "spliced", 7) == 0);
	noria_close(fds[0]);
	noria_close(fds[1]);
}

ADAPTER(tls, kernel_tls_or_none)
{
	int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
	unsigned wanted = kernel_has_tls() ? NORIA_SSL_KTLS_SEND : 0;

	printf("kernel TLS: %s\n", wanted ? "yes" : "no");
	for (int i = 0; i < 2; i++) {
		struct pair pair;
		char text[32];

		open_pair_on_sockets(&pair, versions[i]);
		EXPECT_EQ(noria_ssl_ktls(pair.client) & NORIA_SSL_KTLS_SEND, wanted);
		EXPECT_EQ(noria_ssl_ktls(pair.server) & NORIA_SSL_KTLS_SEND, wanted);
		EXPECT_EQ(noria_ssl_write(pair.client, "question", 8), 8);
		EXPECT_EQ(noria_ssl_read(pair.server, text, sizeof text), 8);
		EXPECT(memcmp(text, "question", 8) == 0);
		EXPECT_EQ(noria_within(noria_msec(20), noria_ssl_read(pair.client, text, sizeof text)), -ETIMEDOUT);
		if (wanted)
			splice_as_tls(&pair);
		EXPECT_EQ(noria_ssl_shutdown(pair.client, noria_sec(5)), 0);
		EXPECT_EQ(noria_ssl_read(pair.server, text, sizeof text), 0);
		EXPECT_EQ(noria_ssl_shutdown(pair.server, noria_sec(5)), 1);
		close_pair(&pair);
	}
	return 0;
}

ADAPTER(tls, both_directions_on_sockets)
{
	int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};

	for (int i = 0; i < 2; i++) {
		struct noria_group group;
		struct pair pair;

		open_pair_on_sockets(&pair, versions[i]);
		struct direction directions[] = {{pair.client, false, 1},
						 {pair.server, false, 2},
						 {pair.server, false, 1},
						 {pair.client, false, 2}};

		EXPECT_EQ(noria_grouped(&group, spawn_directions(&group, directions)), 0);
		close_pair(&pair);
	}
	return 0;
}

ADAPTER(tls, on_a_socket_a_write_that_was_cut_off_is_the_last)
{
	static char record[10000];
	struct pair pair;

	open_pair_on_sockets(&pair, TLS1_3_VERSION);
	EXPECT_EQ(write_until_full(pair.client, record), -ETIMEDOUT);
	EXPECT_EQ(noria_ssl_write(pair.client, record, 1), -EPIPE);
	EXPECT_EQ(noria_ssl_shutdown(pair.client, noria_sec(5)), -EPIPE);
	EXPECT(strstr(frame_text(), "cut off"));
	close_pair(&pair);
	return 0;
}

/* Several tasks write to one connection, more than it takes at once: no record is lost, doubled or mixed up. */
enum { SHOUTS = 100, SHOUT = 15000 };

struct shouting {
	SSL *ssl;
	char letter;
};

static int shout(void *arg)
{
	struct shouting *shouting = arg;
	char *block = malloc(SHOUT);
	int r = 0;

	memset(block, shouting->letter, SHOUT);
	for (int i = 0; i < SHOUTS && r == 0; i++)
		r = noria_ssl_write(shouting->ssl, block, SHOUT) == SHOUT ? 0 : -EIO;
	free(block);
	return r;
}

static int listen_to_shouts(struct noria_group *group, struct pair *pair)
{
	int shouts[4] = {0};
	char *block = malloc(SHOUT);

	for (int i = 0; i < 4; i++) {
		struct shouting shouting = {pair->client, (char)('a' + i)};

		MUST(noria_spawn_copy(group, shout, &shouting, sizeof shouting) == 0);
	}
	MUST(noria_sleep(noria_msec(20)) == 0); /* they are all stuck */
	for (int i = 0; i < 4 * SHOUTS && noria_ssl_read(pair->server, block, SHOUT) == SHOUT; i++) {
		EXPECT(block[0] >= 'a' && block[0] <= 'd' && block[0] == block[SHOUT - 1]);
		shouts[(block[0] - 'a') & 3]++;
	}
	for (int i = 0; i < 4; i++)
		EXPECT_EQ(shouts[i], SHOUTS);
	free(block);
	return 0;
}

ADAPTER(tls, tasks_write_one_at_a_time)
{
	struct noria_group group;
	struct pair pair;

	for (int i = 0; i < 2; i++) {
		if (i == 0)
			open_connected_pair(&pair, 0);
		else
			open_pair_on_sockets(&pair, 0);
		EXPECT_EQ(noria_grouped(&group, listen_to_shouts(&group, &pair)), 0);
		close_pair(&pair);
	}
	return 0;
}

ADAPTER(tls, keys_change_under_way)
{
	run_both_directions(TLS1_3_VERSION, true);
	return 0;
}

/* Several tasks read from one connection: each gets what one record holds. */
static int read_records(void *arg)
{
	struct pair *pair = arg;
	char block[1000];
	ssize_t n;

	while ((n = noria_try(noria_ssl_read(pair->server, block, sizeof block))) > 0) {
		EXPECT(n == 1000 && block[0] == block[999]);
		pair->records++;
	}
	return 0;
}

static int write_records(struct noria_group *group, struct pair *pair)
{
	char block[1000];

	for (int i = 0; i < 3; i++)
		MUST(noria_spawn(group, read_records, pair) == 0);
	for (int i = 0; i < 500; i++) {
		memset(block, i, sizeof block);
		noria_try(noria_ssl_write_all(pair->client, block, sizeof block));
		if (i % 5 == 0)
			noria_try(noria_sleep(noria_usec(10))); /* they have read all, and wait */
	}
	return noria_ssl_shutdown(pair->client, noria_sec(20));
}

ADAPTER(tls, tasks_read_side_by_side)
{
	struct noria_group group;
	struct pair pair;

	open_connected_pair(&pair, 0);
	EXPECT_EQ(noria_grouped(&group, write_records(&group, &pair)), 0);
	EXPECT_EQ(pair.records, 500);
	close_pair(&pair);
	return 0;
}

/* TLS 1.2: the server asks for new keys while the client writes, so that a write has to read first. */
static int renegotiate(void *arg)
{
	struct pair *pair = arg;
	char block[4096];
	ssize_t n;
	size_t total = 0;

	for (bool asked = false; (n = noria_try(noria_ssl_read(pair->server, block, sizeof block))) > 0;
	     total += (size_t)n)
		if (!asked && total > 100000) {
			asked = true;
			EXPECT_EQ(SSL_renegotiate(pair->server), 1);
			noria_try(noria_ssl_write(pair->server, "!", 1));
		}
	EXPECT_EQ(total, 1000000);
	EXPECT_EQ(SSL_num_renegotiations(pair->server), 1);
	return 0;
}

static int read_mark(void *arg)
{
	struct pair *pair = arg;
	char byte;

	return noria_ssl_read(pair->client, &byte, 1) == 1 ? 0 : -EIO;
}

static int write_through_renegotiation(struct noria_group *group, struct pair *pair)
{
	static char block[10000];

	MUST(noria_spawn(group, renegotiate, pair) == 0);
	MUST(noria_spawn(group, read_mark, pair) == 0);
	for (int i = 0; i < 100; i++)
		noria_try(noria_ssl_write_all(pair->client, block, sizeof block));
	return noria_ssl_shutdown(pair->client, noria_sec(20)) < 0 ? -EIO : 0;
}

ADAPTER(tls, a_write_meets_a_renegotiation)
{
	struct noria_group group;
	struct pair pair;

	open_pair(&pair, TLS1_2_VERSION);
	SSL_clear_options(pair.client, SSL_OP_NO_RENEGOTIATION);
	MUST(noria_grouped(&group, connect_pair(&group, &pair)) == 0 && pair.accepted == 0);
	EXPECT_EQ(noria_grouped_until(&group, noria_now() + noria_sec(30), write_through_renegotiation(&group, &pair)),
		  0);
	close_pair(&pair);
	return 0;
}

/* ---- OpenSSL's own programs ---- */

ADAPTER(tls, a_page_of_s_server)
{
	int fd = connect_to_port(frame_place("NORIA_TEST_TLS_PORT"));
	SSL *ssl = make(client_context(true), fd);
	char page[16384];
	size_t total = 0;
	ssize_t n;

	MUST(SSL_set1_host(ssl, "localhost") == 1);
	MUST(noria_within(noria_sec(20), noria_ssl_connect(ssl)) == 0);
	EXPECT_EQ(noria_ssl_write_all(ssl, "GET / HTTP/1.0\r\n\r\n", 18), 18);
	while (total < sizeof page && (n = noria_ssl_read(ssl, page + total, sizeof page - total)) > 0)
		total += (size_t)n;
	EXPECT(n == 0 && memcmp(page, "HTTP/1.0 200", 12) == 0);
	EXPECT(noria_ssl_shutdown(ssl, noria_sec(5)) >= 0);
	SSL_free(ssl);
	noria_close(fd);
	return 0;
}

/* Starts `openssl s_client`, which says what comes in by `in` and prints what it hears to `out`. */
static pid_t start_client(int port, int in, int out)
{
	char place[32];
	pid_t child;

	snprintf(place, sizeof place, "127.0.0.1:%d", port);
	child = fork();
	if (child == 0) {
		dup2(in, STDIN_FILENO);
		dup2(out, STDOUT_FILENO);
		execlp("openssl", "openssl", "s_client", "-quiet", "-verify_quiet", "-verify_return_error", "-connect",
		       place, "-CAfile", frame_place("NORIA_TEST_TLS_CA"), "-alpn", "noria", (char *)NULL);
		_exit(127);
	}
	return child;
}

static int choose(SSL *ssl, const unsigned char **chosen, unsigned char *length, const unsigned char *offered,
		  unsigned offered_length, void *arg)
{
	(void)ssl, (void)arg, (void)offered_length;
	*chosen = offered + 1;
	*length = offered[0];
	return SSL_TLSEXT_ERR_OK;
}

ADAPTER(tls, s_client_is_served)
{
	int port, listener = frame_listen(&port), in[2], out[2], fd, status;
	SSL_CTX *context = server_context(0);
	const unsigned char *protocol;
	unsigned length;
	char text[64];
	pid_t child;
	SSL *ssl;

	MUST(pipe2(in, O_CLOEXEC) == 0 && pipe2(out, O_CLOEXEC) == 0);
	child = start_client(port, in[0], out[1]);
	SSL_CTX_set_alpn_select_cb(context, choose, NULL);
	MUST((fd = noria_accept(listener, NULL, NULL)) >= 0);
	ssl = make(context, fd);
	MUST(noria_within(noria_sec(20), noria_ssl_accept(ssl)) == 0);
	SSL_get0_alpn_selected(ssl, &protocol, &length);
	EXPECT(length == 5 && memcmp(protocol, "noria", 5) == 0);
	MUST(noria_write_all(in[1], "hello\n", 6) == 6);
	EXPECT_EQ(noria_ssl_read(ssl, text, sizeof text), 6);
	EXPECT_EQ(noria_ssl_write_all(ssl, text, 6), 6);
	EXPECT(noria_ssl_shutdown(ssl, noria_sec(5)) >= 0);
	EXPECT_EQ(noria_read_all(out[0], text + 10, 6), 6);
	EXPECT(memcmp(text + 10, "hello\n", 6) == 0);
	SSL_free(ssl);
	noria_close(fd);
	kill(child, SIGTERM);
	MUST(waitpid(child, &status, 0) == child);
	for (int i = 0; i < 2; i++) {
		noria_close(in[i]);
		noria_close(out[i]);
	}
	noria_close(listener);
	return 0;
}
