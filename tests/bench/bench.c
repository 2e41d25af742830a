/* SPDX-License-Identifier: MIT */
/*
 * What the benchmark programs share, the part that runs before a measurement begins.
 *
 * Nothing here is on a measured path. A server prints its address only when it accepts
 * connections, so that whoever started it need not poll.
 */
#include "bench.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define FILE_LIMIT (1U << 20) /* the kernel's own default ceiling, fs.nr_open */

_Noreturn void bench_die(const char *what, int error)
{
	fprintf(stderr, "%s: %s: %s\n", program_invocation_short_name, what, strerror(abs(error)));
	exit(1);
}

_Noreturn void bench_usage(const char *message)
{
	fprintf(stderr, "%s: %s\nTry '%s --help'.\n", program_invocation_short_name, message, program_invocation_name);
	exit(2);
}

struct sockaddr_in bench_parse_address(const char *text)
{
	struct sockaddr_in address = {.sin_family = AF_INET};
	const char *colon = strrchr(text, ':');
	char host[INET_ADDRSTRLEN];

	if (!colon || (size_t)(colon - text) >= sizeof(host))
		bench_usage("an address is ADDRESS:PORT, such as 127.0.0.1:7000");

	memcpy(host, text, (size_t)(colon - text));
	host[colon - text] = '\0';
	if (inet_pton(AF_INET, host, &address.sin_addr) != 1)
		bench_usage("the address must be IPv4 in dotted form, such as 127.0.0.1");

	address.sin_port = htons((uint16_t)bench_parse_number("the port", colon + 1, 0, UINT16_MAX));
	return address;
}

uint64_t bench_parse_number(const char *option, const char *text, uint64_t min, uint64_t max)
{
	char message[128];
	char *end;
	unsigned long long value;

	errno = 0;
	value = strtoull(text, &end, 10);
	if (errno == 0 && end != text && *end == '\0' && *text != '-' && value >= min && value <= max)
		return value;

	snprintf(message, sizeof(message), "%s must be a number from %llu to %llu", option, (unsigned long long)min,
		 (unsigned long long)max);
	bench_usage(message);
}

unsigned int bench_file_limit(void)
{
	struct rlimit files;

	if (getrlimit(RLIMIT_NOFILE, &files) < 0)
		bench_die("getrlimit", errno);
	return files.rlim_cur < FILE_LIMIT ? (unsigned int)files.rlim_cur : FILE_LIMIT;
}

static void on_signal(int signal)
{
	(void)signal;
	_exit(0);
}

static void announce(int fd)
{
	struct sockaddr_in bound;
	socklen_t length = sizeof(bound);
	char host[INET_ADDRSTRLEN];

	if (getsockname(fd, (struct sockaddr *)&bound, &length) < 0)
		bench_die("getsockname", errno);

	printf("listening on %s:%u\n", inet_ntop(AF_INET, &bound.sin_addr, host, sizeof(host)), ntohs(bound.sin_port));
	fflush(stdout);
}

void bench_no_delay(int fd)
{
	const int on = 1;

	if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) < 0)
		bench_die("TCP_NODELAY", errno);
}

int bench_listen(const char *text)
{
	const struct sockaddr_in address = bench_parse_address(text);
	const struct sigaction ending = {.sa_handler = on_signal};
	const int on = 1;
	int fd;

	sigaction(SIGTERM, &ending, NULL);
	sigaction(SIGINT, &ending, NULL);
	signal(SIGPIPE, SIG_IGN);

	fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		bench_die("socket", errno);

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	bench_no_delay(fd);
	if (bind(fd, (const struct sockaddr *)&address, sizeof(address)) < 0)
		bench_die("bind", errno);
	if (listen(fd, SOMAXCONN) < 0)
		bench_die("listen", errno);

	announce(fd);
	return fd;
}
