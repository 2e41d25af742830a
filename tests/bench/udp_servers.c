/* SPDX-License-Identifier: MIT */
/*
 * Three ways to echo datagrams: many by one call, which is the measure; one by one behind epoll, as most programs do; and
 * a datagram stream of noria with noria_sendmmsg(). The first sleeps in recvmmsg() itself and can do nothing else beside.
 */
#include "bench.h"
#include "udp.h"

#include <errno.h>
#include <noria/noria.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

enum { MANY = 64, SIZE_MAX_ECHOED = 2048 };

static struct mmsghdr messages[MANY];
static struct iovec parts[MANY];

static void serve_many(int fd)
{
	static struct sockaddr_storage addresses[MANY];
	static char buffers[MANY][SIZE_MAX_ECHOED];

	for (;;) {
		int n;

		for (int i = 0; i < MANY; i++) {
			parts[i] = (struct iovec){buffers[i], sizeof buffers[i]};
			messages[i].msg_hdr = (struct msghdr){.msg_name = &addresses[i],
							      .msg_namelen = sizeof addresses[i],
							      .msg_iov = &parts[i],
							      .msg_iovlen = 1};
		}
		n = recvmmsg(fd, messages, MANY, MSG_WAITFORONE, NULL);
		if (n < 0)
			bench_die("recvmmsg", errno);
		for (int i = 0; i < n; i++)
			parts[i].iov_len = messages[i].msg_len;
		if (sendmmsg(fd, messages, (unsigned)n, 0) != n)
			bench_die("sendmmsg", errno);
	}
}

static void echo_all(int fd)
{
	struct sockaddr_storage address;
	char buffer[SIZE_MAX_ECHOED];

	for (;;) {
		socklen_t length = sizeof address;
		ssize_t n = recvfrom(fd, buffer, sizeof buffer, MSG_DONTWAIT, (struct sockaddr *)&address, &length);

		if (n < 0 && errno == EAGAIN)
			return;
		if (n < 0 || sendto(fd, buffer, (size_t)n, 0, (struct sockaddr *)&address, length) != n)
			bench_die("recvfrom or sendto", errno);
	}
}

static void serve_epoll(int fd)
{
	int epoll = epoll_create1(EPOLL_CLOEXEC);
	struct epoll_event event = {.events = EPOLLIN | EPOLLET};

	if (epoll < 0 || epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) < 0)
		bench_die("epoll", errno);
	for (;;)
		if (epoll_wait(epoll, &event, 1, -1) == 1)
			echo_all(fd);
}

static int run_noria(void *arg)
{
	const struct noria_datagram_options options = {.size = SIZE_MAX_ECHOED, .control = 16, .buffers = 2 * MANY};
	static struct noria_datagram datagrams[MANY];
	struct noria_datagram_stream stream;
	int fd = *(int *)arg;

	noria_try(noria_datagram_stream_open(&stream, fd, &options));
	for (;;) {
		int n = noria_try(noria_datagram_stream_next(&stream, datagrams, MANY));

		for (int i = 0; i < n; i++) {
			parts[i] = (struct iovec){datagrams[i].data, datagrams[i].size};
			messages[i].msg_hdr = (struct msghdr){.msg_name = datagrams[i].address,
							      .msg_namelen = datagrams[i].address_length,
							      .msg_iov = &parts[i],
							      .msg_iovlen = 1};
		}
		if (noria_sendmmsg(fd, messages, (unsigned)n, 0) != n)
			return -EIO;
	}
}

static void serve_noria(int fd)
{
	int r = noria_run(NULL, run_noria, &fd);

	bench_die(noria_message(), r);
}

const struct udp_server udp_servers[] = {
	{"recvmmsg, sendmmsg", serve_many},
	{"epoll, recvfrom, sendto", serve_epoll},
	{"noria", serve_noria},
	{0},
};
