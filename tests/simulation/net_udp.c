/* SPDX-License-Identifier: MIT */
/* UDP of the simulated net: datagrams that are cut, lost, doubled and overtaken, and what is told of them. */
#include "net_world.h"

#include <netinet/udp.h>
#include <stdio.h>

static void begin(void)
{
	open_world(1, "");
}

TestSuite(udp, .init = begin, .fini = close_world, .timeout = 30);

static int bound(struct sim_host *host, uint16_t port)
{
	int fd = sim_socket(host, AF_INET, SOCK_DGRAM, 0);

	EXPECT_EQ(bind_to(fd, "0.0.0.0", port), 0);
	return fd;
}

static int64_t put_to(int fd, const char *ip, uint16_t port, const void *bytes, size_t size)
{
	struct sockaddr_in address = at(ip, port);
	struct msghdr message = {.msg_name = &address, .msg_namelen = sizeof address};

	return transfer(fd, (void *)(uintptr_t)bytes, size, 0, &message, true);
}

Test(udp, datagrams_keep_their_bounds)
{
	int in = bound(there, 53), out = sim_socket(here, AF_INET, SOCK_DGRAM, 0);
	struct sockaddr_in from;
	struct msghdr message = {.msg_name = &from, .msg_namelen = sizeof from};
	char buffer[4];

	EXPECT_EQ(put(out, "x", 1), -EDESTADDRREQ);
	EXPECT_EQ(put_to(out, "10.0.0.2", 53, "abcdef", 6), 6);
	EXPECT_EQ(put_to(out, "10.0.0.2", 53, "", 0), 0);
	EXPECT_EQ(get(in, buffer, 4), -EAGAIN);
	pass(20 * MS);
	EXPECT_EQ(polled(in), POLLIN | POLLOUT);
	EXPECT_EQ(transfer(in, buffer, 4, MSG_PEEK, &message, false), 4);
	EXPECT_EQ(message.msg_flags, MSG_TRUNC);
	EXPECT_EQ(ntohl(from.sin_addr.s_addr), 0x0a000001);
	EXPECT_EQ(transfer(in, buffer, 4, MSG_TRUNC, NULL, false), 6);
	EXPECT_EQ(get(in, buffer, 4), 0);
	EXPECT_EQ(get(in, buffer, 4), -EAGAIN);
	EXPECT_EQ(put_to(in, "10.0.0.1", ntohs(from.sin_port), "back", 4), 4);
	pass(20 * MS);
	EXPECT_EQ(get(out, buffer, 4), 4);
	EXPECT_EQ(put_to(out, "10.0.0.2", 53, NULL, 65508), -EMSGSIZE);
}

Test(udp, who_is_connected_hears_of_a_missing_port)
{
	int fd = sim_socket(here, AF_INET, SOCK_DGRAM, 0), other = sim_socket(here, AF_INET, SOCK_DGRAM, 0);
	char byte;

	EXPECT_EQ(connect_to(fd, "10.0.0.2", 53), 0);
	EXPECT_EQ(put(fd, "x", 1), 1);
	EXPECT_EQ(put_to(other, "10.0.0.2", 53, "x", 1), 1);
	pass(20 * MS);
	EXPECT_EQ(polled(fd), POLLOUT | POLLERR);
	EXPECT_EQ(get(fd, &byte, 1), -ECONNREFUSED);
	EXPECT_EQ(get(fd, &byte, 1), -EAGAIN);
	EXPECT_EQ(get(other, &byte, 1), -EAGAIN);
	sim_host_crash(there);
	EXPECT_EQ(put(fd, "x", 1), 1);
	pass(20 * MS);
	EXPECT_EQ(get(fd, &byte, 1), -EAGAIN); /* nobody is there to say so */
}

Test(udp, who_is_connected_hears_only_its_peer)
{
	int in = bound(there, 53), out = bound(here, 1000), other = bound(here, 1001);
	char byte;

	EXPECT_EQ(connect_to(in, "10.0.0.1", 1000), 0);
	EXPECT_EQ(put_to(other, "10.0.0.2", 53, "x", 1), 1);
	EXPECT_EQ(put_to(out, "10.0.0.2", 53, "x", 1), 1);
	pass(20 * MS);
	EXPECT_EQ(get(in, &byte, 1), 1);
	EXPECT_EQ(get(in, &byte, 1), -EAGAIN);
}

/* How many of a thousand arrive, and how often one comes before one that was sent earlier. */
static void count(int out, int in, int *ret_arrived, int *ret_overtaken)
{
	int number, last = -1;

	*ret_arrived = *ret_overtaken = 0;
	for (int i = 0; i < 1000; i++) {
		EXPECT_EQ(put_to(out, "10.0.0.2", 53, &i, sizeof i), sizeof i);
		pass(10 * 1000);
		while (get(in, &number, sizeof number) > 0) {
			++*ret_arrived;
			*ret_overtaken += number < last;
			last = number;
		}
	}
	pass(SECOND);
	while (get(in, &number, sizeof number) > 0)
		++*ret_arrived;
}

Test(udp, some_are_lost_doubled_or_overtaken)
{
	const struct sim_link bad = {
		.latency_ns = 1 * MS, .jitter_ns = 1 * MS, .loss_ppm = 100000, .duplicate_ppm = 50000};
	const struct sim_link steady = {.latency_ns = 1 * MS};
	int in = bound(there, 53), out = bound(here, 1000), arrived, overtaken;

	sim_net_link(here, there, &bad);
	count(out, in, &arrived, &overtaken);
	cr_expect(arrived > 900 && arrived < 990, "%d", arrived);
	cr_expect(overtaken > 100, "%d", overtaken);
	sim_net_link(here, there, &steady);
	count(out, in, &arrived, &overtaken);
	EXPECT_EQ(arrived, 1000);
	EXPECT_EQ(overtaken, 0);
	close_world();
	open_world(1, "loss@1,duplicate@2,delay@0,enobufs@4");
	in = bound(there, 53), out = bound(here, 1000);
	for (int i = 0; i < 5; i++)
		EXPECT_EQ(put_to(out, "10.0.0.2", 53, &"01234"[i], 1), i == 4 ? -ENOBUFS : 1);
	pass(1 * MS + 500 * 1000);
	for (arrived = 0; get(in, &overtaken, 1) == 1;)
		arrived++;
	EXPECT_EQ(arrived, 3); /* the third twice and the fourth; the first is late and the second lost */
	pass(SECOND);
	EXPECT_EQ(get(in, &overtaken, 1), 1);
}

Test(udp, a_partition_swallows_them)
{
	int in = bound(there, 53), out = bound(here, 1000);
	char byte;

	put_to(out, "10.0.0.2", 53, "x", 1);
	sim_net_partition(here, there, true);
	put_to(out, "10.0.0.2", 53, "x", 1);
	pass(SECOND);
	sim_net_partition(here, there, false);
	pass(SECOND);
	EXPECT_EQ(get(in, &byte, 1), -EAGAIN); /* one that was under way, and one that set out then */
	sim_net_partition(here, there, true);
	put_to(out, "10.0.0.2", 53, "x", 1);
	sim_net_partition(here, there, false);
	pass(SECOND);
	EXPECT_EQ(get(in, &byte, 1), -EAGAIN);
}

Test(udp, a_full_buffer_drops)
{
	static char packet[1000];
	int in = bound(here, 53), out = bound(here, 1000), arrived = 0;

	EXPECT_EQ(set(in, SOL_SOCKET, SO_RCVBUF, 10000), 0);
	for (int i = 0; i < 100; i++)
		put_to(out, "127.0.0.1", 53, packet, sizeof packet);
	pass(SECOND);
	while (get(in, packet, sizeof packet) > 0)
		arrived++;
	EXPECT_EQ(arrived, 13);
}

static const void *control_of(struct msghdr *message, int level, int type)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c; c = CMSG_NXTHDR(message, c))
		if (c->cmsg_level == level && c->cmsg_type == type)
			return CMSG_DATA(c);
	return NULL;
}

Test(udp, control_data)
{
	int in = bound(there, 53), out = bound(here, 1000), ttl = 0;
	union {
		char bytes[256];
		struct cmsghdr align;
	} control;
	struct msghdr message = {.msg_control = &control, .msg_controllen = sizeof control};
	struct in_pktinfo info;
	char byte;

	for (int i = 0; i < 2; i++) {
		EXPECT_EQ(set(in, IPPROTO_IP, IP_PKTINFO, 1), 0);
		EXPECT_EQ(set(in, IPPROTO_IP, IP_RECVTTL, 1), 0);
		EXPECT_EQ(set(out, IPPROTO_IP, IP_TTL, 7), 0);
		EXPECT_EQ(set(in, SOL_SOCKET, SO_TIMESTAMPNS, 1), 0);
		put_to(out, "10.0.0.2", 53, "x", 1);
	}
	pass(20 * MS);
	EXPECT_EQ(transfer(in, &byte, 1, 0, &message, false), 1);
	EXPECT_EQ(message.msg_flags, 0);
	cr_assert(control_of(&message, IPPROTO_IP, IP_PKTINFO) && control_of(&message, IPPROTO_IP, IP_TTL));
	memcpy(&info, control_of(&message, IPPROTO_IP, IP_PKTINFO), sizeof info);
	memcpy(&ttl, control_of(&message, IPPROTO_IP, IP_TTL), sizeof ttl);
	EXPECT_EQ(ntohl(info.ipi_addr.s_addr), 0x0a000002);
	EXPECT_EQ(ttl, 7);
	cr_expect(control_of(&message, SOL_SOCKET, SO_TIMESTAMPNS) != NULL);
	message.msg_controllen = 40;
	EXPECT_EQ(transfer(in, &byte, 1, 0, &message, false), 1);
	EXPECT_EQ(message.msg_flags, MSG_CTRUNC);
}

Test(udp, segments_are_cut_and_put_together)
{
	int in = bound(here, 53), out = bound(here, 1000), size = 0;
	union {
		char bytes[64];
		struct cmsghdr align;
	} control;
	struct msghdr message = {.msg_control = &control, .msg_controllen = sizeof control};
	char bytes[2500], buffer[4000];

	memset(bytes, 'x', sizeof bytes);
	EXPECT_EQ(set(out, IPPROTO_UDP, UDP_SEGMENT, 1000), 0);
	EXPECT_EQ(put_to(out, "127.0.0.1", 53, bytes, sizeof bytes), sizeof bytes);
	pass(20 * MS);
	EXPECT_EQ(get(in, buffer, sizeof buffer), 1000);
	EXPECT_EQ(get(in, buffer, sizeof buffer), 1000);
	EXPECT_EQ(get(in, buffer, sizeof buffer), 500);
	EXPECT_EQ(set(in, IPPROTO_UDP, UDP_GRO, 1), 0);
	EXPECT_EQ(put_to(out, "127.0.0.1", 53, bytes, sizeof bytes), sizeof bytes);
	pass(20 * MS);
	EXPECT_EQ(transfer(in, buffer, sizeof buffer, 0, &message, false), 2500);
	cr_assert(control_of(&message, SOL_UDP, UDP_GRO) != NULL);
	memcpy(&size, control_of(&message, SOL_UDP, UDP_GRO), sizeof size);
	EXPECT_EQ(size, 1000);
	for (int i = 0; i < 2; i++)
		EXPECT_EQ(put_to(out, "127.0.0.1", 53, bytes, 1500), 1500);
	pass(20 * MS);
	EXPECT_EQ(get(in, buffer, sizeof buffer), 1500); /* a shorter one is the last */
}

/* One with what IPv6 tells, and with what the sender asked for in its own control data. */
Test(udp, control_data_of_ipv6)
{
	int in = sim_socket(there, AF_INET6, SOCK_DGRAM, 0), out = sim_socket(here, AF_INET6, SOCK_DGRAM, 0);
	struct sockaddr_in6 address = {.sin6_family = AF_INET6, .sin6_port = htons(53)};
	int limit = 3, class = 0x20;
	union {
		char bytes[256];
		struct cmsghdr align;
	} control = {.bytes = {0}};
	struct msghdr message = {.msg_name = &address,
				 .msg_namelen = sizeof address,
				 .msg_control = &control,
				 .msg_controllen = CMSG_SPACE(sizeof limit) + CMSG_SPACE(sizeof class)};
	struct cmsghdr *part = CMSG_FIRSTHDR(&message);
	struct in6_pktinfo info;
	char byte;

	EXPECT_EQ(sim_bind(file(in), (struct sockaddr *)&address, sizeof address), 0);
	EXPECT_EQ(set(in, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1), 0);
	EXPECT_EQ(set(in, IPPROTO_IPV6, IPV6_RECVHOPLIMIT, 1), 0);
	EXPECT_EQ(set(in, IPPROTO_IPV6, IPV6_RECVTCLASS, 1), 0);
	EXPECT_EQ(set(in, IPPROTO_IPV6, IPV6_RECVTCLASS, 1), 0);
	*part = (struct cmsghdr){CMSG_LEN(sizeof limit), IPPROTO_IPV6, IPV6_HOPLIMIT};
	memcpy(CMSG_DATA(part), &limit, sizeof limit);
	part = CMSG_NXTHDR(&message, part);
	*part = (struct cmsghdr){CMSG_LEN(sizeof class), IPPROTO_IPV6, IPV6_TCLASS};
	memcpy(CMSG_DATA(part), &class, sizeof class);
	inet_pton(AF_INET6, "fd00::2", &address.sin6_addr);
	EXPECT_EQ(transfer(out, "x", 1, 0, &message, true), 1);
	pass(20 * MS);
	message.msg_controllen = sizeof control;
	EXPECT_EQ(transfer(in, &byte, 1, 0, &message, false), 1);
	cr_assert(control_of(&message, IPPROTO_IPV6, IPV6_PKTINFO) != NULL);
	memcpy(&info, control_of(&message, IPPROTO_IPV6, IPV6_PKTINFO), sizeof info);
	memcpy(&limit, control_of(&message, IPPROTO_IPV6, IPV6_HOPLIMIT), sizeof limit);
	memcpy(&class, control_of(&message, IPPROTO_IPV6, IPV6_TCLASS), sizeof class);
	cr_expect(info.ipi6_addr.s6_addr[0] == 0xfd && info.ipi6_addr.s6_addr[15] == 2);
	EXPECT_EQ(limit, 3);
	EXPECT_EQ(class, 0x20);
}

Test(udp, of_both_families)
{
	int both = sim_socket(there, AF_INET6, SOCK_DGRAM, 0), out = bound(here, 1000);
	int out6 = sim_socket(here, AF_INET6, SOCK_DGRAM, 0);
	struct sockaddr_in6 address = {.sin6_family = AF_INET6, .sin6_port = htons(53)}, from;
	struct msghdr message = {.msg_name = &from, .msg_namelen = sizeof from};
	char byte;

	EXPECT_EQ(sim_bind(file(both), (struct sockaddr *)&address, sizeof address), 0);
	put_to(out, "10.0.0.2", 53, "4", 1);
	pass(20 * MS);
	EXPECT_EQ(transfer(both, &byte, 1, 0, &message, false), 1);
	cr_expect(IN6_IS_ADDR_V4MAPPED(&from.sin6_addr));
	inet_pton(AF_INET6, "fd00::2", &address.sin6_addr);
	EXPECT_EQ(sim_connect(file(out6), (struct sockaddr *)&address, sizeof address), 0);
	EXPECT_EQ(put(out6, "6", 1), 1);
	pass(20 * MS);
	EXPECT_EQ(get(both, &byte, 1), 1);
	EXPECT_EQ(byte, '6');
}
