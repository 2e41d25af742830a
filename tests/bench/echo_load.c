/* SPDX-License-Identifier: MIT */
/*
 * The client: a closed loop of N connections with D requests of S bytes in flight on each.
 *
 * Every connection sends its own window of one endless pseudo-random pattern and compares all that
 * comes back with the same window, so a lost, doubled, reordered or misdelivered byte is an error.
 * A request is issued when the answer D requests before it is complete; one reading of the clock ends
 * the old request and starts the new one.
 *
 * Given several servers it loads them by turns, one slice of time each, in random order. A machine's speed
 * drifts by more than the differences of interest, but not within a few slices. A slice begins and ends
 * with the server asleep and nothing in flight: that is when its time on the CPU can be read exactly.
 *
 * Invariant of a connection: received <= sent <= wanted <= received + D * S whenever no event is being handled.
 */
#include "bench.h"
#include "load_histogram.h"
#include "load_usage.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define PATTERN_SIZE (1U << 20) /* the pattern's period */
#define READ_SIZE    (1U << 18)
#define MAX_EVENTS   512
#define MAX_TARGETS  32
#define MAX_SLICES   100000
#define STALL_MS     2000
#define SETTLE_US    1000 /* for a server to fall asleep after its last answer */

struct connection {
	int fd;
	uint32_t offset; /* where in the pattern this connection's stream begins */
	uint64_t received;
	uint64_t sent;
	uint64_t wanted;
	uint64_t *issued_ns; /* when request n was issued, at n % depth */
};

struct slice {
	uint64_t requests;
	uint64_t elapsed_ns;
	struct usage server;
	struct usage client;
};

/* A server under load. */
struct target {
	struct sockaddr_in address;
	const char *pid;
	int epoll;
	bool stopping; /* no new requests: the slice ends when all are answered */
	struct connection *connections;
	uint64_t live;     /* connections that did not fail */
	uint64_t requests; /* answered in this slice */
	uint64_t errors;
	struct slice *slices;
	struct histogram latencies;
};

static struct {
	uint64_t connections;
	uint64_t size;
	uint64_t depth;
	uint64_t measure_ns;
	uint64_t warm_ns;
	uint64_t slice_ns;
	uint64_t slices;
} conf = {
	.connections = 64,
	.size = 64,
	.depth = 1,
	.measure_ns = BENCH_NSEC_PER_SEC * 3 / 2,
	.warm_ns = BENCH_NSEC_PER_SEC / 10,
	.slice_ns = BENCH_NSEC_PER_SEC / 20,
};

static struct target targets[MAX_TARGETS];
static unsigned int target_count;

/* The period and a read's length more, so that any window is contiguous. */
static unsigned char pattern[PATTERN_SIZE + READ_SIZE];
static unsigned char incoming[READ_SIZE];

static uint64_t next_random(void)
{
	static uint64_t state;

	if (state == 0)
		state = bench_now_ns() | 1;
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state >> 16;
}

static void fill_pattern(void)
{
	for (size_t i = 0; i < PATTERN_SIZE; i++)
		pattern[i] = (unsigned char)next_random();
	memcpy(pattern + PATTERN_SIZE, pattern, READ_SIZE);
}

static const unsigned char *window(const struct connection *c, uint64_t position)
{
	return pattern + ((position + c->offset) & (PATTERN_SIZE - 1));
}

static void fail(struct target *t, struct connection *c, const char *why)
{
	if (t->errors++ < 3)
		fprintf(stderr, "echo_load: connection %zu: %s\n", (size_t)(c - t->connections), why);
	close(c->fd);
	c->fd = -1;
	t->live--;
}

static void push(struct target *t, struct connection *c)
{
	while (c->sent < c->wanted) {
		const uint64_t pending = c->wanted - c->sent;
		const size_t length = pending < READ_SIZE ? pending : READ_SIZE;
		const ssize_t n = send(c->fd, window(c, c->sent), length, MSG_NOSIGNAL);

		if (n < 0 && errno == EAGAIN)
			return; /* edge-triggered: an event comes when it can be written */
		if (n < 0) {
			fail(t, c, strerror(errno));
			return;
		}
		c->sent += (uint64_t)n;
	}
}

/* The answers from number first up to, not including, number end are there. */
static void complete(struct target *t, struct connection *c, uint64_t first, uint64_t end)
{
	const uint64_t now = bench_now_ns();

	for (uint64_t i = first; i < end; i++) {
		uint64_t *issued = &c->issued_ns[conf.depth == 1 ? 0 : i % conf.depth];

		histogram_add(&t->latencies, now - *issued);
		*issued = now;
	}
	t->requests += end - first;
	if (!t->stopping)
		c->wanted += (end - first) * conf.size;
}

static void pull(struct target *t, struct connection *c)
{
	ssize_t n;

	do {
		const uint64_t first = c->received / conf.size;

		n = recv(c->fd, incoming, READ_SIZE, 0);
		if (n < 0 && errno == EAGAIN)
			return;
		if (n <= 0) {
			fail(t, c, n < 0 ? strerror(errno) : "closed by the server");
			return;
		}
		if (c->received + (uint64_t)n > c->sent || memcmp(incoming, window(c, c->received), (size_t)n) != 0) {
			fail(t, c, "what came back is not what was sent");
			return;
		}
		c->received += (uint64_t)n;
		complete(t, c, first, c->received / conf.size);
		push(t, c);
	} while (n == READ_SIZE && c->fd >= 0);
}

static void poll_once(struct target *t)
{
	struct epoll_event events[MAX_EVENTS];
	const int n = epoll_wait(t->epoll, events, MAX_EVENTS, STALL_MS);

	if (n < 0 && errno != EINTR)
		bench_die("epoll_wait", errno);
	if (n == 0)
		bench_die("no answer within two seconds", ETIMEDOUT);

	for (int i = 0; i < n; i++) {
		struct connection *c = events[i].data.ptr;

		if (c->fd >= 0 && (events[i].events & EPOLLOUT))
			push(t, c);
		if (c->fd >= 0 && (events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR)))
			pull(t, c);
	}
}

static void issue_all(struct target *t)
{
	for (uint64_t i = 0; i < conf.connections; i++) {
		struct connection *c = &t->connections[i];
		const uint64_t now = bench_now_ns();

		if (c->fd < 0)
			continue;
		for (uint64_t d = 0; d < conf.depth; d++)
			c->issued_ns[d] = now;
		c->wanted += conf.depth * conf.size;
		push(t, c);
	}
}

static bool all_answered(const struct target *t)
{
	for (uint64_t i = 0; i < conf.connections; i++)
		if (t->connections[i].fd >= 0 && t->connections[i].received < t->connections[i].wanted)
			return false;
	return true;
}

static struct slice run_slice(struct target *t, uint64_t length_ns)
{
	const struct usage server = usage_read(t->pid), client = usage_read("self");
	const uint64_t begin = bench_now_ns();
	struct slice slice;

	t->requests = 0;
	t->stopping = false;
	issue_all(t);
	while (t->live && (!t->stopping || !all_answered(t))) {
		poll_once(t);
		if (!t->stopping && bench_now_ns() - begin >= length_ns)
			t->stopping = true;
	}

	slice.elapsed_ns = bench_now_ns() - begin;
	slice.requests = t->requests;
	slice.client = usage_between(client, usage_read("self"));
	usleep(SETTLE_US);
	slice.server = usage_between(server, usage_read(t->pid));
	return slice;
}

static int connect_one(const struct target *t)
{
	const int on = 1;
	const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		bench_die("socket", errno);
	if (connect(fd, (const struct sockaddr *)&t->address, sizeof(t->address)) < 0)
		bench_die("connect", errno);
	if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) < 0)
		bench_die("TCP_NODELAY", errno);
	if (fcntl(fd, F_SETFL, O_NONBLOCK) < 0)
		bench_die("O_NONBLOCK", errno);
	return fd;
}

static void open_target(struct target *t)
{
	t->live = conf.connections;
	t->epoll = epoll_create1(EPOLL_CLOEXEC);
	t->connections = calloc(conf.connections, sizeof(*t->connections));
	t->slices = calloc(conf.slices, sizeof(*t->slices));
	if (t->epoll < 0 || !t->connections || !t->slices)
		bench_die("set-up", errno);

	for (uint64_t i = 0; i < conf.connections; i++) {
		struct connection *c = &t->connections[i];
		struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = c};

		c->fd = connect_one(t);
		c->offset = (uint32_t)(i * 7919);
		c->issued_ns = calloc(conf.depth, sizeof(*c->issued_ns));
		if (!c->issued_ns)
			bench_die("set-up", ENOMEM);
		if (epoll_ctl(t->epoll, EPOLL_CTL_ADD, c->fd, &event) < 0)
			bench_die("epoll_ctl", errno);
	}
}

static void run_all(void)
{
	unsigned int order[MAX_TARGETS];

	for (unsigned int i = 0; i < target_count; i++) {
		open_target(&targets[i]);
		run_slice(&targets[i], conf.warm_ns);
		memset(&targets[i].latencies, 0, sizeof(targets[i].latencies));
		order[i] = i;
	}

	for (uint64_t n = 0; n < conf.slices; n++) {
		for (unsigned int i = target_count - 1; i > 0; i--) {
			const unsigned int other = (unsigned int)(next_random() % (i + 1));
			const unsigned int mine = order[i];

			order[i] = order[other];
			order[other] = mine;
		}
		for (unsigned int i = 0; i < target_count; i++)
			targets[order[i]].slices[n] = run_slice(&targets[order[i]], conf.slice_ns);
	}
}

static void print_sum(const char *name, uint64_t value)
{
	printf(", \"%s\": %llu", name, (unsigned long long)value);
}

static void print_usage(const struct usage *u)
{
	printf(", %llu, %llu, %llu", (unsigned long long)u->run_ns, (unsigned long long)u->wait_ns,
	       (unsigned long long)u->runs);
}

/* Each slice as [requests, elapsed ns, and of the server and of the client: ns on CPU, ns waiting for it, runs]. */
static void print_slices(const struct target *t)
{
	printf(", \"slices\": [");
	for (uint64_t i = 0; i < conf.slices; i++) {
		const struct slice *s = &t->slices[i];

		printf("%s[%llu, %llu", i ? ", " : "", (unsigned long long)s->requests,
		       (unsigned long long)s->elapsed_ns);
		print_usage(&s->server);
		print_usage(&s->client);
		printf("]");
	}
	printf("]");
}

static void report(const struct target *t)
{
	struct slice sum = {0};
	double seconds;

	for (uint64_t i = 0; i < conf.slices; i++) {
		sum.requests += t->slices[i].requests;
		sum.elapsed_ns += t->slices[i].elapsed_ns;
		usage_add(&sum.server, t->slices[i].server);
		usage_add(&sum.client, t->slices[i].client);
	}
	seconds = (double)sum.elapsed_ns / (double)BENCH_NSEC_PER_SEC;

	printf("{\"requests\": %llu, \"seconds\": %.6f, \"requests_per_second\": %.1f",
	       (unsigned long long)sum.requests, seconds, (double)sum.requests / seconds);
	print_sum("p50_ns", histogram_quantile(&t->latencies, 0.5));
	print_sum("p99_ns", histogram_quantile(&t->latencies, 0.99));
	print_sum("p999_ns", histogram_quantile(&t->latencies, 0.999));
	print_sum("errors", t->errors);
	print_sum("client_cpu_ns", sum.client.run_ns);
	if (*t->pid) {
		print_sum("server_cpu_ns", sum.server.run_ns);
		print_sum("server_runs", sum.server.runs);
		print_slices(t);
	}
	printf("}\n");
}

static const char help[] = "usage: echo_load --connect ADDRESS:PORT [--server-pid PID] [...] [options]\n"
			   "\n"
			   "Keeps requests in flight to echo servers, compares every byte that comes back,\n"
			   "and prints one line of JSON for each server. Several servers are loaded by turns.\n"
			   "\n"
			   "  --server-pid PID  of the server named last: report also its time on the CPU\n"
			   "  --connections N   connections to each server (64)\n"
			   "  --size BYTES      bytes a request (64)\n"
			   "  --depth D         requests in flight on each connection (1)\n"
			   "  --seconds T       how long to count, each server (1.5)\n"
			   "  --slice T         how long one turn is (0.05)\n"
			   "  --warmup T        how long to run each server before counting (0.1)\n"
			   "\n"
			   "The status is 0 when every byte was right, 1 otherwise, 2 for wrong usage.\n";

static uint64_t parse_seconds(const char *option, const char *text)
{
	char *end;
	const double value = strtod(text, &end);

	if (end == text || *end != '\0' || !(value > 0.0 && value <= 3600.0)) {
		fprintf(stderr, "%s %s: ", option, text);
		bench_usage("a time is a number of seconds up to 3600");
	}
	return (uint64_t)(value * (double)BENCH_NSEC_PER_SEC);
}

static void add_target(const char *address)
{
	if (target_count == MAX_TARGETS)
		bench_usage("too many servers");
	targets[target_count].address = bench_parse_address(address);
	targets[target_count].pid = "";
	target_count++;
}

static void set_option(int option)
{
	switch (option) {
	case 'a':
		add_target(optarg);
		break;
	case 'p':
		if (target_count == 0)
			bench_usage("--server-pid belongs after the --connect it goes with");
		bench_parse_number("--server-pid", optarg, 1, INT32_MAX);
		targets[target_count - 1].pid = optarg;
		break;
	case 'c':
		conf.connections = bench_parse_number("--connections", optarg, 1, 100000);
		break;
	case 's':
		conf.size = bench_parse_number("--size", optarg, 1, 1U << 24);
		break;
	case 'd':
		conf.depth = bench_parse_number("--depth", optarg, 1, 4096);
		break;
	case 't':
		conf.measure_ns = parse_seconds("--seconds", optarg);
		break;
	case 'l':
		conf.slice_ns = parse_seconds("--slice", optarg);
		break;
	case 'w':
		conf.warm_ns = parse_seconds("--warmup", optarg);
		break;
	case 'h':
		fputs(help, stdout);
		exit(0);
	default:
		bench_usage("that option is not known, or its value is missing");
	}
}

static void parse_options(int argc, char **argv)
{
	static const struct option options[] = {
		{"connect", required_argument, NULL, 'a'},
		{"server-pid", required_argument, NULL, 'p'},
		{"connections", required_argument, NULL, 'c'},
		{"size", required_argument, NULL, 's'},
		{"depth", required_argument, NULL, 'd'},
		{"seconds", required_argument, NULL, 't'},
		{"slice", required_argument, NULL, 'l'},
		{"warmup", required_argument, NULL, 'w'},
		{"help", no_argument, NULL, 'h'},
		{0},
	};
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) >= 0)
		set_option(option);
	if (optind != argc || target_count == 0)
		bench_usage("--connect ADDRESS:PORT is needed, and nothing but options");

	conf.slices = conf.measure_ns / conf.slice_ns;
	if (conf.slices < 1)
		conf.slices = 1;
	if (conf.slices > MAX_SLICES)
		bench_usage("--slice is too short for --seconds");
}

int main(int argc, char **argv)
{
	uint64_t errors = 0;

	parse_options(argc, argv);
	fill_pattern();
	run_all();
	for (unsigned int i = 0; i < target_count; i++) {
		report(&targets[i]);
		errors += targets[i].errors;
	}
	return errors ? 1 : 0;
}
