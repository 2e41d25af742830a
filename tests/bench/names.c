/* SPDX-License-Identifier: MIT */
/*
 * What looking names up costs: by getaddrinfo() on threads, by the same through noria, and by c-ares where its headers
 * were found when this was built. The name server is tests/dns/stub.h, on loopback, in a process of its own, whose time
 * does not count; each name is asked for A and AAAA. A row: names, how many were under way at most, time from the first
 * question to the last answer, time of the processor for a name, and how many got no answer.
 */
#include "stub.h"

#include <errno.h>
#include <netdb.h>
#include <noria/noria.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#if BENCH_CARES
#include <ares.h>
#endif

enum { THREADS_MAX = 256 };

static const char *format; /* of the names, with one %d */
static int count;
static atomic_int next, lost;

static const struct addrinfo stream = {.ai_socktype = SOCK_STREAM};

static double seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static double processor(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
	       (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static void name(int number, char text[64])
{
	snprintf(text, 64, format, number);
}

/* ---- getaddrinfo() on threads ---- */

static void *ask(void *arg)
{
	int number;

	while ((number = atomic_fetch_add(&next, 1)) < count) {
		struct addrinfo *list;
		char host[64];

		name(number, host);
		if (getaddrinfo(host, "80", &stream, &list) == 0)
			freeaddrinfo(list);
		else
			atomic_fetch_add(&lost, 1);
	}
	return arg;
}

static void by_threads(int width)
{
	pthread_t threads[THREADS_MAX];

	for (int i = 0; i < width; i++)
		if (pthread_create(&threads[i], NULL, ask, NULL) != 0)
			exit(1);
	for (int i = 0; i < width; i++)
		pthread_join(threads[i], NULL);
}

/* ---- through noria: a task for each name ---- */

static int look_up(void *arg)
{
	struct addrinfo *list;
	char host[64];

	name(*(int *)arg, host);
	if (noria_getaddrinfo(host, "80", &stream, &list) == 0)
		freeaddrinfo(list);
	else
		atomic_fetch_add(&lost, 1);
	return 0;
}

static int look_all_up(void *arg)
{
	struct noria_group group;

	(void)arg;
	noria_try(noria_group_open(&group));
	for (int i = 0; i < count; i++)
		noria_try(noria_spawn_copy(&group, look_up, &i, sizeof i));
	return noria_group_close(&group, 0);
}

static void by_noria(int width)
{
	struct noria_config config = {.names_threads = (unsigned)width};

	if (noria_run(&config, look_all_up, NULL) < 0)
		exit(1);
}

/* ---- c-ares in a poll loop ---- */

#if BENCH_CARES
enum { SOCKETS_MAX = 64, ROOM = 8 << 20 };

static struct pollfd sockets[SOCKETS_MAX];
static int sockets_count, answered;

static void watch(void *arg, ares_socket_t fd, int readable, int writable)
{
	short events = (short)((readable ? POLLIN : 0) | (writable ? POLLOUT : 0));
	int at = 0;

	(void)arg;
	while (at < sockets_count && sockets[at].fd != fd)
		at++;
	if (events == 0 && at < sockets_count)
		sockets[at] = sockets[--sockets_count];
	else if (events != 0 && at < SOCKETS_MAX) {
		sockets[at] = (struct pollfd){.fd = fd, .events = events};
		sockets_count += at == sockets_count;
	}
}

static void answer(void *arg, int status, int timeouts, struct ares_addrinfo *list)
{
	(void)arg;
	(void)timeouts;
	answered++;
	if (status == ARES_SUCCESS)
		ares_freeaddrinfo(list);
	else
		atomic_fetch_add(&lost, 1);
}

static void turn(ares_channel channel)
{
	struct pollfd ready[SOCKETS_MAX];
	struct timeval room, *left = ares_timeout(channel, NULL, &room);
	int number = sockets_count;

	if (poll(sockets, (nfds_t)number, left ? (int)(left->tv_sec * 1000 + left->tv_usec / 1000) + 1 : -1) <= 0)
		ares_process_fd(channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
	memcpy(ready, sockets, sizeof ready);
	for (int i = 0; i < number; i++)
		if (ready[i].revents)
			ares_process_fd(channel, ready[i].revents & ~POLLOUT ? ready[i].fd : ARES_SOCKET_BAD,
					ready[i].revents & POLLOUT ? ready[i].fd : ARES_SOCKET_BAD);
}

static void by_cares(int width, int room)
{
	struct ares_options options = {.sock_state_cb = watch, .socket_receive_buffer_size = room};
	struct ares_addrinfo_hints hints = {.ai_socktype = SOCK_STREAM};
	ares_channel channel;
	int asked = 0;

	answered = sockets_count = 0;
	if (ares_init_options(&channel, &options, ARES_OPT_SOCK_STATE_CB | (room ? ARES_OPT_SOCK_RCVBUF : 0)) != 0)
		exit(1);
	while (answered < count) {
		for (; asked < count && asked - answered < width; asked++) {
			char host[64];

			name(asked, host);
			ares_getaddrinfo(channel, host, "80", &hints, answer, NULL);
		}
		if (answered < count)
			turn(channel);
	}
	ares_destroy(channel);
}

static void by_cares_plain(int width)
{
	by_cares(width, 0);
}

static void by_cares_with_room(int width)
{
	by_cares(width, ROOM);
}
#endif

/* ---- the table ---- */

static void row(const char *what, void (*run)(int width), int width)
{
	double began, used;

	atomic_store(&next, 0);
	atomic_store(&lost, 0);
	began = seconds();
	used = processor();
	run(width);
	began = seconds() - began;
	used = processor() - used;
	printf("%-28s %-22s %5d %5d %10.2f ms %8.1f us %6d\n", what, format, count, width, began * 1e3,
	       used * 1e6 / count, lost);
	fflush(stdout);
}

static void rows(const char *names, int number, const int *widths)
{
	format = names;
	count = number;
	for (; *widths; widths++) {
		if (*widths <= THREADS_MAX) {
			row("getaddrinfo, threads", by_threads, *widths);
			row("noria_getaddrinfo", by_noria, *widths);
		}
#if BENCH_CARES
		row("c-ares", by_cares_plain, *widths);
		row("c-ares, 8 MiB of room", by_cares_with_room, *widths);
#endif
	}
}

int main(void)
{
	pid_t stub;

	if (!dns_world_enter("nameserver 127.0.0.1\n", "127.0.0.1 localhost\n"))
		return 77;
	stub = dns_stub_start();
	printf("%-28s %-22s %5s %5s %13s %11s %6s\n", "", "name", "names", "width", "in all", "cpu/name", "lost");
	rows("n%d.example.test", 1, (const int[]){1, 0});
	rows("n%d.example.test", 1000, (const int[]){1, 16, 64, 256, 1000, 0});
	rows("d5.n%d.example.test", 1000, (const int[]){16, 64, 256, 1000, 0});
	rows("d50.n%d.example.test", 1000, (const int[]){16, 64, 256, 1000, 0});
	rows("localhost", 1000, (const int[]){1, 16, 0});
	rows("lost6.n%d.example.test", 1, (const int[]){1, 0});
	dns_stub_stop(stub);
	return 0;
}
