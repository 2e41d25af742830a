/* SPDX-License-Identifier: MIT */
/*
 * A register that three hosts hold, as Attiya, Bar-Noy and Dolev have it: a write goes to a majority; a read asks a
 * majority, takes the newest value, and brings that to a majority as well before it answers. With --bug a read leaves
 * the last step out, as it seems to be no use, since nothing was written. Ordinary tests pass: `register --kernel --bug`
 * says "linearizable" each time. The simulator finds it among the first seeds: one reader has seen a value that is on its
 * way, and another, later, has not.
 *
 *     register [--bug] [--kernel] [--seeds N]
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <noria/noria.h>
#include <noria/test.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { REPLICAS = 3, MAJORITY = 2, PORT = 7400, WRITES = 20, READS = 40, READERS = 2, HISTORY = READS * READERS };

/* What goes over the wire, both ways; hosts of one kind need no more. */
struct message {
	int32_t is_write;
	int32_t value; /* of a single writer: it grows, and is its own time stamp */
};

struct operation {
	int64_t began, ended;
	int value;
};

static struct noria_sim_host *replicas[REPLICAS];
static struct operation writes[WRITES], reads[HISTORY];
static int writes_begun, reads_done;
static int values[REPLICAS]; /* the memory of each */
static bool bug;

/* ---- a replica ---- */

struct client {
	int fd, replica;
};

static int answer(void *arg)
{
	struct client *client = arg;
	int *value = &values[client->replica];
	struct message message;
	ssize_t n;

	n = noria_recv_all(client->fd, &message, sizeof message, 0);
	if (n == sizeof message) {
		if (message.is_write && message.value > *value)
			*value = message.value;
		message.value = *value;
		n = noria_send_all(client->fd, &message, sizeof message, 0);
	}
	noria_close(client->fd);
	return 0; /* a client that goes away is no failure */
}

static struct sockaddr_in address_of(int replica)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)(PORT + replica))};

	inet_pton(AF_INET, noria_sim_address(replicas[replica]), &address.sin_addr);
	return address;
}

static int accept_clients(int listener, int replica)
{
	struct noria_group group;
	int r;

	noria_try(noria_group_open(&group));
	for (;;) {
		struct client client = {.replica = replica};

		client.fd = r = noria_idle(noria_accept(listener, NULL, NULL));
		if (r >= 0)
			r = noria_spawn_copy(&group, answer, &client, sizeof client);
		if (r < 0 && client.fd >= 0)
			noria_close(client.fd);
		if (r < 0)
			break;
	}
	return noria_group_close(&group, r);
}

static int be_replica(void *arg)
{
	int replica = (int)(intptr_t)arg, one = 1, r;
	struct sockaddr_in address = address_of(replica);
	int fd = noria_socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	noria_try(fd);
	r = noria_setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
	if (r >= 0)
		r = noria_bind(fd, (struct sockaddr *)&address, sizeof address);
	if (r >= 0)
		r = noria_listen(fd, 64);
	if (r >= 0)
		r = accept_clients(fd, replica);
	noria_close(fd);
	return r;
}

/* ---- a client ---- */

struct question {
	struct message message;
	struct noria_group *group;
	int answers, newest;
};

struct call {
	struct question *question;
	int replica;
};

static int exchange(int fd, int replica, struct message *message)
{
	struct sockaddr_in address = address_of(replica);
	ssize_t n;

	noria_try(noria_connect(fd, (struct sockaddr *)&address, sizeof address));
	noria_try(noria_send_all(fd, message, sizeof *message, 0));
	n = noria_recv_all(fd, message, sizeof *message, 0);
	return n == sizeof *message ? 0 : n < 0 ? (int)n : -EPIPE;
}

/* A replica that does not answer is no failure; the answer that makes a majority ends the others. */
static int call_replica(void *arg)
{
	struct call *call = arg;
	struct question *question = call->question;
	struct message message = question->message;
	int fd = noria_socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int r = fd < 0 ? fd : exchange(fd, call->replica, &message);

	if (fd >= 0)
		noria_close(fd);
	if (r < 0)
		return r == -ECANCELED ? r : 0;
	if (message.value > question->newest)
		question->newest = message.value;
	if (++question->answers == MAJORITY)
		noria_group_cancel(question->group);
	return 0;
}

/* Returns the newest value of a majority. */
static int ask_majority(bool is_write, int value)
{
	struct noria_group group;
	struct question question = {.message = {.is_write = is_write, .value = value}, .group = &group};
	int r = 0;

	noria_try(noria_group_open(&group));
	for (int i = 0; i < REPLICAS && r >= 0; i++) {
		struct call call = {.question = &question, .replica = i};

		r = noria_spawn_copy(&group, call_replica, &call, sizeof call);
	}
	noria_try(noria_group_close(&group, r));
	return question.answers >= MAJORITY ? question.newest : -EHOSTUNREACH;
}

static int read_register(void)
{
	int value = noria_try(ask_majority(false, 0));

	if (!bug)
		noria_try(ask_majority(true, value));
	return value;
}

static int be_writer(void *arg)
{
	(void)arg;
	for (int i = 0; i < WRITES; i++) {
		writes[i] = (struct operation){.began = noria_now(), .ended = INT64_MAX, .value = i + 1};
		writes_begun = i + 1;
		noria_try(ask_majority(true, i + 1));
		writes[i].ended = noria_now();
		noria_try(noria_sleep(noria_msec(2)));
	}
	return 0;
}

static int be_reader(void *arg)
{
	(void)arg;
	for (int i = 0; i < READS; i++) {
		int64_t began = noria_now();
		int value = noria_try(read_register());

		reads[reads_done++] = (struct operation){.began = began, .ended = noria_now(), .value = value};
	}
	return 0;
}

/* ---- the judge ---- */

/*
 * One writer, whose values grow: a read gives nothing older than what was written before it began, nothing that was
 * written after it ended, and nothing older than a read that ended before it began.
 */
static int check_history(void)
{
	for (int i = 0; i < reads_done; i++) {
		for (int j = 0; j < writes_begun; j++) {
			bool before = writes[j].ended<reads[i].began, after = writes[j].began> reads[i].ended;

			if ((before && reads[i].value < writes[j].value) ||
			    (after && reads[i].value >= writes[j].value))
				return noria_fail(-EPROTO, "a read of %d, and the write of %d", reads[i].value,
						  writes[j].value);
		}
		for (int j = 0; j < reads_done; j++)
			if (reads[j].ended < reads[i].began && reads[j].value > reads[i].value)
				return noria_fail(-EPROTO, "a read of %d after one of %d: not linearizable",
						  reads[i].value, reads[j].value);
	}
	return 0;
}

static int work(struct noria_group *group)
{
	noria_try(noria_spawn(group, be_writer, NULL));
	for (int i = 0; i < READERS; i++)
		noria_try(noria_spawn(group, be_reader, NULL));
	return 0;
}

static int test(void *arg)
{
	struct noria_sim_link link = {.latency_ns = noria_usec(200), .jitter_ns = noria_msec(1)};
	struct noria_group group;

	(void)arg;
	writes_begun = reads_done = 0;
	memset(values, 0, sizeof values);
	for (int i = 0; i < REPLICAS; i++) {
		replicas[i] = noria_sim_host_named((const char *[]){"a", "b", "c"}[i], NULL);
		if (!replicas[i])
			return -EINVAL;
		noria_try(noria_sim_start(replicas[i], be_replica, (void *)(intptr_t)i));
	}
	noria_try(noria_sim_set_link(NULL, NULL, &link));
	noria_try(noria_sleep(noria_msec(5)));
	noria_try(noria_grouped(&group, work(&group)));
	return check_history();
}

int main(int argc, char **argv)
{
	struct noria_sim_sweep sweep = {0};
	unsigned seeds = 0;
	int r;

	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--bug") == 0)
			bug = true;
		else if (strcmp(argv[i], "--kernel") == 0)
			sweep.options.world = NORIA_SIM_KERNEL;
		else if (strcmp(argv[i], "--seeds") == 0 && i + 1 < argc)
			seeds = (unsigned)atoi(argv[++i]);
	}
	r = seeds ? noria_sim_sweep_seeds(&sweep, seeds, test, NULL) : noria_sim_run(&sweep.options, test, NULL);
	printf("%s\n", r >= 0 ? "linearizable" : strerror(-r));
	return r < 0;
}
