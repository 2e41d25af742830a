/* SPDX-License-Identifier: MIT */
/*
 * What echoing a datagram costs each server of udp_servers.c, in CPU time. All run at once, on one CPU with the client, each
 * asleep but for the one whose turn it is; turns come in random order, and a ratio is taken within one set of turns: see
 * README.md. The client keeps a window of datagrams on their way and compares what comes back.
 */
#include "udp.h"
#include "bench.h"
#include "load_usage.h"

#include <errno.h>
#include <getopt.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SERVERS_MAX = 4, SETS_MAX = 1000, WINDOW_MAX = 64, SIZE_LARGEST = 1400, SETTLE_US = 1000 };

static struct server {
	struct sockaddr_in address;
	pid_t pid;
	char pid_text[16];
	double cost[SETS_MAX]; /* ns a datagram */
} servers[SERVERS_MAX];

static unsigned servers_count, window = 64, size = 64, sets = 60;
static uint64_t turn_ns = BENCH_NSEC_PER_SEC / 20;

static void pin(void)
{
	cpu_set_t set;
	int cpu = 0;

	if (sched_getaffinity(0, sizeof set, &set) < 0)
		bench_die("sched_getaffinity", errno);
	while (!CPU_ISSET(cpu, &set))
		cpu++;
	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof set, &set) < 0)
		bench_die("sched_setaffinity", errno);
}

static int open_socket(struct sockaddr_in *ret_address)
{
	socklen_t length = sizeof *ret_address;
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	*ret_address = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	if (fd < 0 || bind(fd, (struct sockaddr *)ret_address, length) < 0 ||
	    getsockname(fd, (struct sockaddr *)ret_address, &length) < 0)
		bench_die("socket", errno);
	return fd;
}

static void start(struct server *server, const struct udp_server *kind)
{
	int fd = open_socket(&server->address);

	server->pid = fork();
	if (server->pid < 0)
		bench_die("fork", errno);
	if (server->pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		kind->serve(fd);
		_exit(1);
	}
	snprintf(server->pid_text, sizeof server->pid_text, "%d", server->pid);
	close(fd);
}

/* A window of datagrams there and back. */
static void round_trip(int fd, struct mmsghdr *messages)
{
	static unsigned char wanted;
	unsigned char *bytes = messages[0].msg_hdr.msg_iov->iov_base;

	memset(bytes, ++wanted, size);
	if (sendmmsg(fd, messages, window, 0) != (int)window)
		bench_die("sendmmsg", errno);
	for (unsigned i = 0; i < window; i++) {
		unsigned char answer[SIZE_LARGEST];

		if (recv(fd, answer, sizeof answer, 0) != (ssize_t)size)
			bench_die("no answer, or a wrong one", errno);
		if (memcmp(answer, bytes, size) != 0)
			bench_die("what came back is not what was sent", EIO);
	}
}

/* Returns the server's time for a datagram. */
static double one_turn(int fd, const struct server *server)
{
	static unsigned char bytes[SIZE_LARGEST];
	struct iovec part = {bytes, size};
	struct mmsghdr messages[WINDOW_MAX] = {0};
	struct usage before;
	uint64_t count = 0, end;

	if (connect(fd, (const struct sockaddr *)&server->address, sizeof server->address) < 0)
		bench_die("connect", errno);
	for (unsigned i = 0; i < window; i++)
		messages[i].msg_hdr = (struct msghdr){.msg_iov = &part, .msg_iovlen = 1};
	before = usage_read(server->pid_text);
	for (end = bench_now_ns() + turn_ns; bench_now_ns() < end; count += window)
		round_trip(fd, messages);
	usleep(SETTLE_US); /* for the server to fall asleep */
	return (double)usage_between(before, usage_read(server->pid_text)).run_ns / (double)count;
}

static void one_set(int fd, unsigned number)
{
	unsigned order[SERVERS_MAX];

	for (unsigned i = 0; i < servers_count; i++) {
		unsigned other = (unsigned)rand() % (i + 1);

		order[i] = order[other];
		order[other] = i;
	}
	for (unsigned i = 0; i < servers_count; i++)
		servers[order[i]].cost[number] = one_turn(fd, &servers[order[i]]);
}

static int compare(const void *a, const void *b)
{
	const double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static void print(unsigned number)
{
	double costs[SETS_MAX], ratios[SETS_MAX];

	for (unsigned i = 0; i < sets; i++) {
		costs[i] = servers[number].cost[i];
		ratios[i] = costs[i] / servers[0].cost[i];
	}
	qsort(costs, sets, sizeof costs[0], compare);
	qsort(ratios, sets, sizeof ratios[0], compare);
	printf("%-26s %6.0f ns  %.3f  [%.3f %.3f]\n", udp_servers[number].name, costs[sets / 2], ratios[sets / 2],
	       ratios[sets / 4], ratios[sets * 3 / 4]);
}

static void parse(int argc, char **argv)
{
	static const struct option options[] = {
		{"window", required_argument, NULL, 'w'},
		{"size", required_argument, NULL, 's'},
		{"sets", required_argument, NULL, 'n'},
		{0},
	};
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (option == 'w')
			window = (unsigned)bench_parse_number("--window", optarg, 1, WINDOW_MAX);
		else if (option == 's')
			size = (unsigned)bench_parse_number("--size", optarg, 1, SIZE_LARGEST);
		else if (option == 'n')
			sets = (unsigned)bench_parse_number("--sets", optarg, 1, SETS_MAX);
		else
			bench_usage("options are --window N, --size BYTES and --sets N");
	}
}

int main(int argc, char **argv)
{
	struct sockaddr_in address;
	int fd = open_socket(&address);

	parse(argc, argv);
	pin();
	srand((unsigned)bench_now_ns());
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &(struct timeval){.tv_sec = 2}, sizeof(struct timeval));
	for (; udp_servers[servers_count].name; servers_count++)
		start(&servers[servers_count], &udp_servers[servers_count]);
	for (unsigned i = 0; i < servers_count; i++)
		(void)one_turn(fd, &servers[i]); /* to warm up */
	for (unsigned i = 0; i < sets; i++)
		one_set(fd, i);
	printf("%u bytes, %u datagrams on their way: CPU time of one, and its ratio in %u sets of turns with the "
	       "quartiles\n",
	       size, window, sets);
	for (unsigned i = 0; i < servers_count; i++)
		print(i);
	for (unsigned i = 0; i < servers_count; i++) {
		kill(servers[i].pid, SIGKILL);
		waitpid(servers[i].pid, NULL, 0);
	}
	return 0;
}
