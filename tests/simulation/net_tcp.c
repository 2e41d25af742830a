/* SPDX-License-Identifier: MIT */
/* TCP of the simulated net, as a program sees it: what Linux answers in the same place is what is expected. */
#include "net_world.h"

#include <netinet/tcp.h>
#include <sys/ioctl.h>

static void begin(void)
{
	open_world(1, "");
}

TestSuite(tcp, .init = begin, .fini = close_world, .timeout = 30);

/* ---- how it begins ---- */

Test(tcp, connecting_takes_time_and_is_told_once)
{
	int listening = listener(there, "0.0.0.0", 80, 10), fd = sim_socket(here, AF_INET, SOCK_STREAM, 0);
	struct sockaddr_in name;
	socklen_t length = sizeof name;

	EXPECT_EQ(polled(fd), POLLOUT | POLLHUP);
	EXPECT_EQ(put(fd, "x", 1), -EPIPE);
	EXPECT_EQ(get(fd, &name, 1), -ENOTCONN);
	EXPECT_EQ(connect_to(fd, "10.0.0.2", 80), -EINPROGRESS);
	EXPECT_EQ(connect_to(fd, "10.0.0.2", 80), -EALREADY);
	EXPECT_EQ(polled(fd), 0);
	EXPECT_EQ(put(fd, "x", 1), -EAGAIN);
	EXPECT_EQ(sim_accept(file(listening), NULL, NULL, 0), -EAGAIN);
	pass(20 * MS);
	EXPECT_EQ(polled(fd), POLLOUT);
	EXPECT_EQ(connect_to(fd, "10.0.0.2", 80), 0);
	EXPECT_EQ(connect_to(fd, "10.0.0.2", 80), -EISCONN);
	EXPECT_EQ(polled(listening), POLLIN);
	fd = sim_accept(file(listening), (struct sockaddr *)&name, &length, 0);
	EXPECT_EQ(ntohl(name.sin_addr.s_addr), 0x0a000001);
	EXPECT_EQ(sim_getsockname(file(fd), (struct sockaddr *)&name, &length), 0);
	EXPECT_EQ(ntohl(name.sin_addr.s_addr), 0x0a000002);
	EXPECT_EQ(ntohs(name.sin_port), 80);
	EXPECT_EQ(number_of(listening, SOL_SOCKET, SO_ACCEPTCONN), 1);
}

Test(tcp, refused_without_a_listener)
{
	int fd = sim_socket(here, AF_INET, SOCK_STREAM, 0), listening;

	EXPECT_EQ(connect_to(fd, "10.0.0.2", 80), -EINPROGRESS);
	pass(20 * MS);
	EXPECT_EQ(polled(fd), POLLIN | POLLOUT | POLLHUP | POLLERR | POLLRDHUP);
	EXPECT_EQ(connect_to(fd, "10.0.0.2", 80), -ECONNREFUSED);
	EXPECT_EQ(sim_shutdown(file(fd), SHUT_WR), -ENOTCONN);
	listening = listener(there, "10.0.0.2", 80, 1);
	EXPECT_EQ(connect_to(fd, "10.0.0.2", 80), -EINPROGRESS);
	pass(20 * MS);
	EXPECT_EQ(connect_to(fd, "10.0.0.2", 80), 0);
	shut(fd);
	shut(listening);
	fd = sim_socket(here, AF_INET, SOCK_STREAM, 0);
	EXPECT_EQ(connect_to(fd, "10.0.0.2", 81), -EINPROGRESS);
	pass(20 * MS);
	EXPECT_EQ(number_of(fd, SOL_SOCKET, SO_ERROR), ECONNREFUSED);
	EXPECT_EQ(number_of(fd, SOL_SOCKET, SO_ERROR), 0);
	EXPECT_EQ(connect_to(fd, "10.0.0.2", 81), -ECONNABORTED);
}

Test(tcp, nobody_answers)
{
	int to_dead = sim_socket(here, AF_INET, SOCK_STREAM, 0), to_none = sim_socket(here, AF_INET, SOCK_STREAM, 0);
	struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(80)};
	struct sim_host *lonely;
	int without;

	sim_host_crash(there);
	EXPECT_EQ(connect_to(to_dead, "10.0.0.2", 80), -EINPROGRESS);
	EXPECT_EQ(connect_to(to_none, "10.0.0.77", 80), -EINPROGRESS);
	pass(4 * SECOND);
	EXPECT_EQ(connect_to(to_none, "10.0.0.77", 80), -EHOSTUNREACH);
	pass(120 * SECOND);
	EXPECT_EQ(connect_to(to_dead, "10.0.0.2", 80), -EALREADY);
	pass(10 * SECOND);
	EXPECT_EQ(connect_to(to_dead, "10.0.0.2", 80), -ETIMEDOUT);
	EXPECT_EQ(sim_host_add(world, "lonely", "10.0.0.3", &lonely), 0);
	without = sim_socket(lonely, AF_INET6, SOCK_STREAM, 0);
	inet_pton(AF_INET6, "fd00::1", &v6.sin6_addr);
	EXPECT_EQ(sim_connect(file(without), (struct sockaddr *)&v6, sizeof v6), -ENETUNREACH);
}

Test(tcp, a_full_backlog_makes_others_wait)
{
	int listening = listener(there, "0.0.0.0", 80, 1), fds[3];

	for (int i = 0; i < 3; i++) {
		fds[i] = sim_socket(here, AF_INET, SOCK_STREAM, 0);
		EXPECT_EQ(connect_to(fds[i], "10.0.0.2", 80), -EINPROGRESS);
		pass(20 * MS);
	}
	EXPECT_EQ(connect_to(fds[1], "10.0.0.2", 80), 0);
	EXPECT_EQ(connect_to(fds[2], "10.0.0.2", 80), -EALREADY);
	cr_expect(sim_accept(file(listening), NULL, NULL, 0) >= SIM_FD);
	pass(2 * SECOND);
	EXPECT_EQ(connect_to(fds[2], "10.0.0.2", 80), 0);
	shut(listening);
	pass(20 * MS);
	EXPECT_EQ(get(fds[2], fds, 1), -ECONNRESET);
}

Test(tcp, closing_a_listener_or_shutting_it_down_ends_it)
{
	int listening = listener(there, "0.0.0.0", 80, 1), fd = sim_socket(here, AF_INET, SOCK_STREAM, 0);

	EXPECT_EQ(sim_shutdown(file(listening), SHUT_RDWR), 0);
	EXPECT_EQ(sim_accept(file(listening), NULL, NULL, 0), -EINVAL);
	EXPECT_EQ(connect_to(fd, "10.0.0.2", 80), -EINPROGRESS);
	EXPECT_EQ(sim_shutdown(file(fd), SHUT_WR), 0);
	pass(20 * MS);
	EXPECT_EQ(polled(fd), POLLOUT | POLLHUP);
}

Test(tcp, who_may_have_a_port)
{
	int pair[2], fd = sim_socket(there, AF_INET, SOCK_STREAM, 0);

	connected(there, "10.0.0.2", pair);
	EXPECT_EQ(bind_to(fd, "0.0.0.0", 80), -EADDRINUSE); /* a connection of it is alive */
	shut(pair[1]);
	pass(20 * MS);
	shut(pair[0]);
	pass(1 * SECOND);
	EXPECT_EQ(bind_to(fd, "0.0.0.0", 80), -EADDRINUSE); /* and was closed from here */
	pass(60 * SECOND);
	EXPECT_EQ(bind_to(fd, "10.0.0.1", 80), -EADDRNOTAVAIL);
	EXPECT_EQ(bind_to(fd, "0.0.0.0", 80), 0);
	EXPECT_EQ(bind_to(fd, "0.0.0.0", 81), -EINVAL);
	for (int reuse = 1; reuse >= 0; reuse--) {
		int other = sim_socket(there, AF_INET, SOCK_STREAM, 0);

		set(fd, SOL_SOCKET, SO_REUSEADDR, reuse);
		set(other, SOL_SOCKET, SO_REUSEADDR, reuse);
		EXPECT_EQ(bind_to(other, "10.0.0.2", 80), reuse ? 0 : -EADDRINUSE);
		EXPECT_EQ(sim_listen(file(fd), 1), 0);
		EXPECT_EQ(sim_listen(file(other), 1), reuse ? -EADDRINUSE : 0);
		shut(other);
	}
}

Test(tcp, a_port_may_be_shared)
{
	int fds[2], count[2] = {0};

	for (int i = 0; i < 2; i++) {
		fds[i] = sim_socket(there, AF_INET, SOCK_STREAM, 0);
		EXPECT_EQ(set(fds[i], SOL_SOCKET, SO_REUSEPORT, 1), 0);
		EXPECT_EQ(bind_to(fds[i], "0.0.0.0", 80), 0);
		EXPECT_EQ(sim_listen(file(fds[i]), 100), 0);
	}
	for (int i = 0; i < 40; i++)
		EXPECT_EQ(connect_to(sim_socket(here, AF_INET, SOCK_STREAM, 0), "10.0.0.2", 80), -EINPROGRESS);
	pass(20 * MS);
	for (int i = 0; i < 2; i++)
		while (sim_accept(file(fds[i]), NULL, NULL, 0) >= 0)
			count[i]++;
	EXPECT_EQ(count[0] + count[1], 40);
	cr_expect(count[0] > 5 && count[1] > 5, "%d and %d", count[0], count[1]);
}

/* ---- bytes ---- */

Test(tcp, bytes_take_time_and_stay_in_order)
{
	char buffer[16] = {0};
	int pair[2];

	connected(there, "10.0.0.2", pair);
	EXPECT_EQ(put(pair[0], "abc", 3), 3);
	EXPECT_EQ(put(pair[0], "def", 3), 3);
	EXPECT_EQ(get(pair[1], buffer, 16), -EAGAIN);
	pass(20 * MS);
	EXPECT_EQ(transfer(pair[1], buffer, 16, MSG_PEEK, NULL, false), 6);
	EXPECT_EQ(get(pair[1], buffer, 4), 4);
	EXPECT_EQ(get(pair[1], buffer + 4, 16), 2);
	cr_expect_str_eq(buffer, "abcdef");
	EXPECT_EQ(get(pair[1], buffer, 4), -EAGAIN);
}

static char pattern(size_t position)
{
	return (char)(position * 131 + position / 251);
}

/* Both write as much as they can and read what comes; everything must arrive, in order. */
static void stream_through(int from, int to, size_t size)
{
	static char out[70000], in[50000];
	size_t sent = 0, received = 0;
	int idle = 0;

	while (received < size && idle < 100000) {
		size_t part = size - sent < sizeof out ? size - sent : sizeof out;
		int64_t r;

		for (size_t i = 0; i < part; i++)
			out[i] = pattern(sent + i);
		r = part > 0 ? put(from, out, part) : -EAGAIN;
		idle = r > 0 ? 0 : idle + 1;
		sent += r > 0 ? (size_t)r : 0;
		r = get(to, in, 1 + (received * 7 + sent) % sizeof in);
		for (int64_t i = 0; i < r; i++)
			if (in[i] != pattern(received + (size_t)i))
				cr_assert_fail("byte %zu differs", received + (size_t)i);
		received += r > 0 ? (size_t)r : 0;
		if (r == -EAGAIN)
			sim_world_step(world, INT64_MAX);
	}
	EXPECT_EQ(received, size);
}

Test(tcp, much_gets_through)
{
	int pair[2];

	connected(there, "10.0.0.2", pair);
	stream_through(pair[0], pair[1], 10 << 20);
	stream_through(pair[1], pair[0], 3 << 20);
}

Test(tcp, much_gets_through_a_bad_path)
{
	const struct sim_link bad = {
		.latency_ns = 1 * MS, .jitter_ns = 5 * MS, .bandwidth = 20 << 20, .loss_ppm = 50000};
	int pair[2];

	close_world();
	open_world(7, "short%20,delay%1,loss%2");
	sim_net_link(here, there, &bad);
	sim_net_link(there, here, &bad);
	connected(here, "10.0.0.1", pair);
	shut(pair[0]);
	shut(pair[1]);
	pass(100 * SECOND);
	{
		int listening = listener(there, "0.0.0.0", 80, 10);

		pair[0] = sim_socket(here, AF_INET, SOCK_STREAM, 0);
		EXPECT_EQ(connect_to(pair[0], "10.0.0.2", 80), -EINPROGRESS);
		pass(60 * SECOND);
		pair[1] = sim_accept(file(listening), NULL, NULL, 0);
	}
	stream_through(pair[0], pair[1], 1 << 20);
}

Test(tcp, buffers_fill_up_and_empty)
{
	static char much[1 << 20];
	size_t sent = 0, received = 0;
	int64_t r;
	int pair[2];

	connected(there, "10.0.0.2", pair);
	EXPECT_EQ(set(pair[0], SOL_SOCKET, SO_SNDBUF, 30000), 0);
	EXPECT_EQ(set(pair[1], SOL_SOCKET, SO_RCVBUF, 20000), 0);
	EXPECT_EQ(number_of(pair[0], SOL_SOCKET, SO_SNDBUF), 60000);
	while ((r = put(pair[0], much, sizeof much)) != -EAGAIN || sim_world_step(world, world->now + SECOND))
		sent += r > 0 ? (size_t)r : 0;
	EXPECT_EQ(sent, 100000);
	EXPECT_EQ(polled(pair[0]), 0);
	EXPECT_EQ(number_of(pair[0], SOL_SOCKET, SO_ERROR), 0);
	while (received < sent) {
		r = get(pair[1], much, 10000);
		received += r > 0 ? (size_t)r : 0;
		pass(1 * MS);
	}
	EXPECT_EQ(polled(pair[0]), POLLOUT);
}

Test(tcp, a_slow_link_takes_its_time)
{
	const struct sim_link slow = {.latency_ns = 10 * MS, .bandwidth = 1 << 20};
	int64_t began;
	int pair[2];

	connected(there, "10.0.0.2", pair);
	sim_net_link(here, there, &slow);
	began = world->now;
	stream_through(pair[0], pair[1], 2 << 20);
	cr_expect(world->now - began > 1900 * MS && world->now - began < 2200 * MS, "%lld ns",
		  (long long)(world->now - began));
}

/* ---- ends ---- */

Test(tcp, half_closed)
{
	char byte;
	int pair[2];

	connected(there, "10.0.0.2", pair);
	put(pair[0], "a", 1);
	EXPECT_EQ(sim_shutdown(file(pair[0]), SHUT_WR), 0);
	EXPECT_EQ(put(pair[0], "a", 1), -EPIPE);
	pass(20 * MS);
	EXPECT_EQ(polled(pair[1]), POLLIN | POLLOUT | POLLRDHUP);
	EXPECT_EQ(get(pair[1], &byte, 1), 1);
	EXPECT_EQ(get(pair[1], &byte, 1), 0);
	EXPECT_EQ(get(pair[1], &byte, 1), 0);
	EXPECT_EQ(put(pair[1], "b", 1), 1);
	pass(20 * MS);
	EXPECT_EQ(get(pair[0], &byte, 1), 1);
	EXPECT_EQ(get(pair[0], &byte, 1), -EAGAIN);
	shut(pair[1]);
	pass(20 * MS);
	EXPECT_EQ(get(pair[0], &byte, 1), 0);
	EXPECT_EQ(polled(pair[0]), POLLIN | POLLOUT | POLLHUP | POLLRDHUP);
}

Test(tcp, what_was_sent_before_a_close_arrives)
{
	char buffer[8];
	int pair[2];

	connected(there, "10.0.0.2", pair);
	put(pair[0], "last", 4);
	shut(pair[0]);
	pass(20 * MS);
	EXPECT_EQ(get(pair[1], buffer, 8), 4);
	EXPECT_EQ(get(pair[1], buffer, 8), 0);
	EXPECT_EQ(number_of(pair[1], SOL_SOCKET, SO_ERROR), 0);
	EXPECT_EQ(put(pair[1], "x", 1), 1); /* the first is answered with a reset */
	pass(20 * MS);
	EXPECT_EQ(put(pair[1], "x", 1), -EPIPE);
	EXPECT_EQ(get(pair[1], buffer, 8), 0);
}

Test(tcp, closed_with_bytes_unread_resets)
{
	char byte;
	int pair[2];

	connected(there, "10.0.0.2", pair);
	put(pair[0], "unread", 6);
	put(pair[1], "r", 1);
	pass(20 * MS);
	shut(pair[1]);
	pass(20 * MS);
	EXPECT_EQ(polled(pair[0]), POLLIN | POLLOUT | POLLHUP | POLLERR | POLLRDHUP);
	EXPECT_EQ(get(pair[0], &byte, 1), 1); /* what came before is there still */
	EXPECT_EQ(get(pair[0], &byte, 1), -ECONNRESET);
	EXPECT_EQ(get(pair[0], &byte, 1), 0);
	EXPECT_EQ(put(pair[0], "x", 1), -EPIPE);
}

Test(tcp, closed_without_lingering_resets)
{
	const struct linger none = {.l_onoff = 1};
	char byte;
	int pair[2];

	connected(there, "10.0.0.2", pair);
	EXPECT_EQ(sim_setsockopt(file(pair[1]), SOL_SOCKET, SO_LINGER, &none, sizeof none), 0);
	put(pair[1], "r", 1);
	shut(pair[1]);
	pass(20 * MS);
	EXPECT_EQ(put(pair[0], "x", 1), -ECONNRESET);
	EXPECT_EQ(put(pair[0], "x", 1), -EPIPE);
	EXPECT_EQ(get(pair[0], &byte, 1), 1);
	EXPECT_EQ(get(pair[0], &byte, 1), 0);
}

/* ---- what goes wrong between hosts ---- */

Test(tcp, a_partition_that_heals_only_delays)
{
	char buffer[8];
	int pair[2];

	connected(there, "10.0.0.2", pair);
	EXPECT_EQ(put(pair[0], "la", 2), 2); /* under way when it begins */
	sim_net_partition(here, there, true);
	EXPECT_EQ(put(pair[0], "te", 2), 2);
	pass(10 * SECOND);
	EXPECT_EQ(get(pair[1], buffer, 8), -EAGAIN);
	EXPECT_EQ(put(pair[1], "x", 1), 1);
	pass(20 * MS);
	EXPECT_EQ(get(pair[0], buffer, 8), 1); /* this direction is whole, but nobody can say that it arrived */
	sim_net_partition(here, there, false);
	pass(60 * SECOND);
	EXPECT_EQ(get(pair[1], buffer, 8), 4);
	EXPECT_EQ(number_of(pair[0], SOL_SOCKET, SO_ERROR), 0);
	EXPECT_EQ(number_of(pair[1], SOL_SOCKET, SO_ERROR), 0);
}

Test(tcp, a_partition_that_stays_ends_it_for_who_sends)
{
	char byte;
	int pair[2];

	connected(there, "10.0.0.2", pair);
	sim_net_partition(here, there, true);
	EXPECT_EQ(put(pair[0], "x", 1), 1);
	pass(900 * SECOND);
	EXPECT_EQ(get(pair[0], &byte, 1), -EAGAIN);
	pass(900 * SECOND);
	EXPECT_EQ(get(pair[0], &byte, 1), -ETIMEDOUT);
	EXPECT_EQ(get(pair[0], &byte, 1), 0);
	EXPECT_EQ(get(pair[1], &byte, 1), -EAGAIN); /* who waits does not hear of it */
	sim_net_partition(here, there, false);
	EXPECT_EQ(put(pair[1], "y", 1), 1);
	pass(20 * MS);
	EXPECT_EQ(get(pair[1], &byte, 1), -ECONNRESET);
}

Test(tcp, acknowledgements_may_be_cut_off)
{
	char byte;
	int pair[2];

	connected(there, "10.0.0.2", pair);
	sim_net_partition(there, here, true);
	EXPECT_EQ(put(pair[0], "x", 1), 1);
	pass(20 * MS);
	EXPECT_EQ(get(pair[1], &byte, 1), 1);
	pass(2000 * SECOND);
	EXPECT_EQ(get(pair[0], &byte, 1), -ETIMEDOUT);
}

Test(tcp, a_limit_on_how_long_bytes_may_be_unacknowledged)
{
	char byte;
	int pair[2];

	connected(there, "10.0.0.2", pair);
	EXPECT_EQ(set(pair[0], IPPROTO_TCP, TCP_USER_TIMEOUT, 5000), 0);
	sim_net_partition(here, there, true);
	put(pair[0], "x", 1);
	pass(4900 * MS);
	EXPECT_EQ(get(pair[0], &byte, 1), -EAGAIN);
	pass(200 * MS);
	EXPECT_EQ(get(pair[0], &byte, 1), -ETIMEDOUT);
}

Test(tcp, a_crash_leaves_the_other_half_open)
{
	char byte;
	int pair[2];

	connected(there, "10.0.0.2", pair);
	sim_host_crash(there);
	pass(10000 * SECOND);
	EXPECT_EQ(get(pair[0], &byte, 1), -EAGAIN);
	EXPECT_EQ(number_of(pair[0], SOL_SOCKET, SO_ERROR), 0);
	sim_host_restart(there);
	pass(10 * SECOND);
	EXPECT_EQ(put(pair[0], "x", 1), 1);
	pass(20 * MS);
	EXPECT_EQ(get(pair[0], &byte, 1), -ECONNRESET);
	EXPECT_EQ(sim_file_is_dead(file(pair[1])), true);
	shut(pair[1]);
	listener(there, "0.0.0.0", 80, 1); /* its ports are free again */
}

Test(tcp, keep_alive_notices)
{
	char byte;
	int pair[2];

	connected(there, "10.0.0.2", pair);
	EXPECT_EQ(set(pair[0], SOL_SOCKET, SO_KEEPALIVE, 1), 0);
	EXPECT_EQ(set(pair[0], IPPROTO_TCP, TCP_KEEPIDLE, 10), 0);
	EXPECT_EQ(set(pair[0], IPPROTO_TCP, TCP_KEEPINTVL, 5), 0);
	EXPECT_EQ(set(pair[0], IPPROTO_TCP, TCP_KEEPCNT, 3), 0);
	cr_expect(!sim_world_step(world, INT64_MAX), "nothing happens while all is well");
	sim_net_partition(here, there, true);
	pass(24 * SECOND);
	EXPECT_EQ(get(pair[0], &byte, 1), -EAGAIN);
	pass(2 * SECOND);
	EXPECT_EQ(get(pair[0], &byte, 1), -ETIMEDOUT);
	EXPECT_EQ(set(pair[1], SOL_SOCKET, SO_KEEPALIVE, 1), 0);
	sim_net_partition(here, there, false);
	pass(7300 * SECOND);
	EXPECT_EQ(get(pair[1], &byte, 1), -ECONNRESET);
}

/* The last packet of the handshake is lost for good: one side believes that it is connected, the other forgets it. */
Test(tcp, half_a_handshake)
{
	const struct sim_link exact = {.latency_ns = 1 * MS};
	int listening = listener(there, "0.0.0.0", 80, 0), fd = sim_socket(here, AF_INET, SOCK_STREAM, 0), other;
	char byte;

	sim_net_link(here, there, &exact);
	sim_net_link(there, here, &exact);
	EXPECT_EQ(connect_to(fd, "10.0.0.2", 80), -EINPROGRESS);
	pass(1500 * 1000);
	sim_net_partition(here, there, true);
	pass(100 * SECOND);
	EXPECT_EQ(connect_to(fd, "10.0.0.2", 80), 0);
	EXPECT_EQ(polled(listening), 0);
	EXPECT_EQ(get(fd, &byte, 1), -EAGAIN);
	sim_net_partition(here, there, false);
	other = sim_socket(here, AF_INET, SOCK_STREAM, 0);
	EXPECT_EQ(connect_to(other, "10.0.0.2", 80), -EINPROGRESS);
	pass(10 * MS);
	EXPECT_EQ(connect_to(other, "10.0.0.2", 80), 0); /* its place in the queue is free again */
	EXPECT_EQ(put(fd, "x", 1), 1);
	pass(10 * MS);
	EXPECT_EQ(get(fd, &byte, 1), -ECONNRESET);
}

static int state_of(int fd)
{
	struct tcp_info info;
	socklen_t length = sizeof info;

	EXPECT_EQ(sim_getsockopt(file(fd), IPPROTO_TCP, TCP_INFO, &info, &length), 0);
	return info.tcpi_state;
}

Test(tcp, states_and_what_is_under_way)
{
	const struct sim_link exact = {.latency_ns = 1 * MS};
	int pair[2], size;

	connected(there, "10.0.0.2", pair);
	sim_net_link(here, there, &exact);
	sim_net_link(there, here, &exact);
	EXPECT_EQ(state_of(pair[0]), TCP_ESTABLISHED);
	put(pair[0], "abc", 3);
	pass(1500 * 1000);
	EXPECT_EQ(sim_socket_ioctl(file(pair[0]), TIOCOUTQ, &size), 0);
	EXPECT_EQ(size, 3);
	EXPECT_EQ(sim_socket_ioctl(file(pair[1]), FIONREAD, &size), 0);
	EXPECT_EQ(size, 3);
	pass(1 * MS);
	EXPECT_EQ(sim_socket_ioctl(file(pair[0]), TIOCOUTQ, &size), 0);
	EXPECT_EQ(size, 0);
	EXPECT_EQ(sim_socket_ioctl(file(pair[0]), TCGETS, &size), -ENOTTY);
	sim_shutdown(file(pair[0]), SHUT_WR);
	EXPECT_EQ(state_of(pair[0]), TCP_FIN_WAIT1);
	pass(3 * MS);
	EXPECT_EQ(state_of(pair[0]), TCP_FIN_WAIT2);
	EXPECT_EQ(state_of(pair[1]), TCP_CLOSE_WAIT);
	sim_shutdown(file(pair[1]), SHUT_WR);
	EXPECT_EQ(state_of(pair[1]), TCP_LAST_ACK);
	pass(3 * MS);
	EXPECT_EQ(state_of(pair[0]), TCP_CLOSE);
	EXPECT_EQ(state_of(pair[1]), TCP_CLOSE);
	EXPECT_EQ(get(pair[1], &size, 4), 3);
}

Test(tcp, any_address_and_no_address)
{
	int listening = listener(here, "0.0.0.0", 80, 1), fd = sim_socket(here, AF_INET, SOCK_STREAM, 0);
	struct sockaddr none = {.sa_family = AF_UNSPEC};
	struct sockaddr_in name;
	socklen_t length = sizeof name;
	char byte;

	EXPECT_EQ(connect_to(fd, "0.0.0.0", 80), -EINPROGRESS);
	pass(1 * MS);
	EXPECT_EQ(connect_to(fd, "0.0.0.0", 80), 0);
	EXPECT_EQ(sim_getpeername(file(fd), (struct sockaddr *)&name, &length), 0);
	EXPECT_EQ(ntohl(name.sin_addr.s_addr), INADDR_LOOPBACK);
	listening = sim_accept(file(listening), NULL, NULL, 0);
	EXPECT_EQ(sim_connect(file(fd), &none, sizeof none), 0);
	EXPECT_EQ(sim_getpeername(file(fd), (struct sockaddr *)&name, &length), -ENOTCONN);
	pass(1 * MS);
	EXPECT_EQ(get(listening, &byte, 1), -ECONNRESET);
}

/* Many small writes while nothing arrives. */
Test(tcp, more_is_under_way_than_there_are_records)
{
	char buffer[200];
	int pair[2];

	connected(there, "10.0.0.2", pair);
	for (int i = 0; i < 100; i++) {
		buffer[0] = pattern((size_t)i);
		EXPECT_EQ(put(pair[0], buffer, 1), 1);
	}
	pass(100 * MS);
	EXPECT_EQ(get(pair[1], buffer, 200), 100);
	for (int i = 0; i < 100; i++)
		EXPECT_EQ(buffer[i], pattern((size_t)i));
}

/* ---- faults of the plan ---- */

Test(tcp, faults_strike)
{
	char byte;
	int pair[2], fd, listening;

	close_world();
	open_world(1, "reset@1,refuse@1,emfile@4");
	connected(there, "10.0.0.2", pair);
	EXPECT_EQ(put(pair[0], "x", 1), 1);
	EXPECT_EQ(put(pair[0], "x", 1), -ECONNRESET);
	EXPECT_EQ(get(pair[1], &byte, 1), -ECONNRESET);
	listening = listener(there, "0.0.0.0", 81, 1);
	fd = sim_socket(here, AF_INET, SOCK_STREAM, 0);
	EXPECT_EQ(fd, -EMFILE);
	fd = sim_socket(here, AF_INET, SOCK_STREAM, 0);
	EXPECT_EQ(connect_to(fd, "10.0.0.2", 81), -EINPROGRESS);
	pass(20 * MS);
	EXPECT_EQ(connect_to(fd, "10.0.0.2", 81), -ECONNREFUSED);
	shut(listening);
}

Test(tcp, a_connection_without_a_descriptor_stays)
{
	char byte;
	int fd, listening;

	close_world();
	open_world(1, "emfile@2");
	listening = listener(there, "0.0.0.0", 80, 1);
	fd = sim_socket(here, AF_INET, SOCK_STREAM, 0);
	EXPECT_EQ(connect_to(fd, "10.0.0.2", 80), -EINPROGRESS);
	pass(20 * MS);
	EXPECT_EQ(put(fd, "x", 1), 1);
	EXPECT_EQ(sim_accept(file(listening), NULL, NULL, 0), -EMFILE);
	pass(20 * MS);
	fd = sim_accept(file(listening), NULL, NULL, 0);
	EXPECT_EQ(get(fd, &byte, 1), 1);
}

static uint64_t checksum(uint64_t seed)
{
	uint64_t sum;
	int pair[2];

	close_world();
	open_world(seed, "short%10,loss%3");
	connected(there, "10.0.0.2", pair);
	stream_through(pair[0], pair[1], 1 << 20);
	sum = world->draws.checksum ^ (uint64_t)world->now;
	return sum;
}

Test(tcp, the_same_seed_gives_the_same_run)
{
	uint64_t first = checksum(3);

	cr_expect(checksum(3) == first);
	cr_expect(checksum(4) != first);
}
