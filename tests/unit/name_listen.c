/* SPDX-License-Identifier: MIT */
/* Listening by name. */
#include "name.h"

#include <fcntl.h>
#include <unistd.h>

static int get_option(int fd, int level, int option)
{
	socklen_t length = sizeof(int);
	int value = -1;

	MUST(getsockopt(fd, level, option, &value, &length) == 0);
	return value;
}

static struct sockaddr_storage bound(int fd)
{
	struct sockaddr_storage address = {0};
	socklen_t length = sizeof address;

	MUST(getsockname(fd, (struct sockaddr *)&address, &length) == 0);
	return address;
}

static const char *port_of(int fd)
{
	struct sockaddr_storage address = bound(fd);
	static char text[8];

	snprintf(text, sizeof text, "%d",
		 ntohs(address.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&address)->sin6_port
						     : ((struct sockaddr_in *)&address)->sin_port));
	return text;
}

/* Connects, and has the listener say from which family the connection came. */
static int family_of_client(int listener, const char *host)
{
	noria_autoclose int fd = noria_try(noria_connect_name(host, port_of(listener), NULL));
	struct sockaddr_storage peer;
	socklen_t length = sizeof peer;
	noria_autoclose int accepted =
		noria_try(noria_accept4(listener, (struct sockaddr *)&peer, &length, SOCK_CLOEXEC));

	return peer.ss_family;
}

UNIT(name_listen, an_address_is_listened_on)
{
	int fd = noria_listen_name("127.0.0.5", "0", NULL);

	MUST(fd >= 0);
	EXPECT_EQ(fcntl(fd, F_GETFD), FD_CLOEXEC);
	EXPECT_EQ(get_option(fd, SOL_SOCKET, SO_REUSEADDR), 1);
	EXPECT_EQ(get_option(fd, SOL_SOCKET, SO_REUSEPORT), 0);
	EXPECT_EQ(get_option(fd, SOL_SOCKET, SO_ACCEPTCONN), 1);
	EXPECT_EQ(family_of_client(fd, "127.0.0.5"), AF_INET);
	EXPECT_EQ(noria_close(fd), 0);
	return 0;
}

UNIT(name_listen, every_address_is_one_socket_for_both_families)
{
	static const char *const everywhere[] = {NULL, ""};

	for (size_t i = 0; i < 2; i++) {
		int fd = noria_listen_name(everywhere[i], "0", NULL);

		MUST(fd >= 0);
		EXPECT(family_of_client(fd, "127.0.0.1") > 0);
		if (names_have_ipv6()) {
			EXPECT_EQ(get_option(fd, IPPROTO_IPV6, IPV6_V6ONLY), 0);
			EXPECT_EQ(family_of_client(fd, "::1"), AF_INET6);
		}
		EXPECT_EQ(noria_close(fd), 0);
	}
	return 0;
}

UNIT(name_listen, one_family_can_be_asked_for)
{
	struct noria_listen_name_options options = {.family = AF_INET};
	int fd = noria_listen_name(NULL, "0", &options);

	MUST(fd >= 0);
	EXPECT_EQ(bound(fd).ss_family, AF_INET);
	EXPECT_EQ(noria_close(fd), 0);
	if (!names_have_ipv6())
		return 0;
	options.family = AF_INET6;
	fd = noria_listen_name(NULL, "0", &options);
	MUST(fd >= 0);
	EXPECT_EQ(get_option(fd, IPPROTO_IPV6, IPV6_V6ONLY), 1);
	EXPECT_EQ(noria_connect_name("127.0.0.1", port_of(fd), NULL), -ECONNREFUSED);
	EXPECT_EQ(noria_close(fd), 0);
	return 0;
}

static int prepare_calls;

static int without_ipv6(int fd, const struct sockaddr *address, socklen_t length, void *arg)
{
	(void)fd;
	(void)length;
	(void)arg;
	prepare_calls++;
	return address->sa_family == AF_INET6 ? -EAFNOSUPPORT : 0;
}

/* A kernel without IPv6 says -EAFNOSUPPORT, or that there is no such address. */
UNIT(name_listen, without_ipv6_every_address_is_the_wildcard_of_ipv4)
{
	struct noria_listen_name_options options = {.prepare = without_ipv6};
	int fd = noria_listen_name(NULL, "0", &options);

	MUST(fd >= 0);
	EXPECT_EQ(bound(fd).ss_family, AF_INET);
	EXPECT_EQ(noria_close(fd), 0);
	return 0;
}

UNIT(name_listen, a_name_is_listened_on_at_its_first_address_that_can_be_had)
{
	int fd;

	names_use();
	fd = noria_listen_name("240.0.0.1+127.0.0.7+127.0.0.8", "0", NULL);
	MUST(fd >= 0);
	EXPECT_EQ(names.asked, 1);
	EXPECT_EQ(family_of_client(fd, "127.0.0.7"), AF_INET);
	EXPECT_EQ(noria_close(fd), 0);
	EXPECT_EQ(noria_listen_name("240.0.0.1+240.0.0.2", "0", NULL), -EADDRNOTAVAIL);
	EXPECT(strstr(noria_message(), "240.0.0.1") && strstr(noria_message(), "Remedy"));
	EXPECT_EQ(noria_listen_name("eai:-2", "0", NULL), -ENOENT);
	EXPECT(strstr(noria_message(), "eai:-2"));
	return 0;
}

UNIT(name_listen, a_port_is_shared_only_if_it_is_asked_for)
{
	struct noria_listen_name_options share = {.reuse_port = true};
	int fd = noria_listen_name("127.0.0.1", "0", &share), other;

	MUST(fd >= 0);
	EXPECT_EQ(noria_listen_name("127.0.0.1", port_of(fd), NULL), -EADDRINUSE);
	EXPECT(strstr(noria_message(), "another program listens there"));
	EXPECT(strstr(noria_last_failure()->text, "listening on 127.0.0.1"));
	other = noria_listen_name("127.0.0.1", port_of(fd), &share);
	MUST(other >= 0);
	EXPECT_EQ(noria_close(fd) | noria_close(other), 0);
	return 0;
}

/* The backlog: with none, one connection may wait, and the kernel says how many it would let. */
UNIT(name_listen, a_backlog_is_passed_on)
{
	struct noria_listen_name_options options = {.backlog = 1};
	int fd = noria_listen_name("127.0.0.1", "0", &options), clients[3];

	MUST(fd >= 0);
	for (int i = 0; i < 2; i++) {
		clients[i] = noria_connect_name("127.0.0.1", port_of(fd), NULL);
		MUST(clients[i] >= 0);
	}
	EXPECT_EQ(noria_within(noria_msec(5), noria_connect_name("127.0.0.1", port_of(fd), NULL)), -ETIMEDOUT);
	EXPECT_EQ(noria_close(clients[0]) | noria_close(clients[1]) | noria_close(fd), 0);
	return 0;
}

static int refuse(int fd, const struct sockaddr *address, socklen_t length, void *arg)
{
	(void)fd;
	(void)length;
	EXPECT_EQ(address->sa_family, AF_INET);
	return *(int *)arg;
}

UNIT(name_listen, what_prepares_the_socket_can_refuse_it)
{
	int answer = -EPERM;
	struct noria_listen_name_options options = {.prepare = refuse, .prepare_arg = &answer};

	EXPECT_EQ(noria_listen_name("127.0.0.1", "0", &options), -EPERM);
	return 0;
}

UNIT(name_listen, what_cannot_be_meant_is_refused)
{
	struct noria_listen_name_options options = {.family = AF_UNIX};

	EXPECT_EQ(noria_listen_name("127.0.0.1", NULL, NULL), -EINVAL);
	EXPECT_EQ(noria_listen_name(NULL, "", NULL), -EINVAL);
	EXPECT_EQ(noria_listen_name(NULL, "65536", NULL), -EINVAL);
	EXPECT_EQ(noria_listen_name("127.0.0.1", "0", &options), -EINVAL);
	options = (struct noria_listen_name_options){.backlog = -1};
	EXPECT_EQ(noria_listen_name("127.0.0.1", "0", &options), -EINVAL);
	options = (struct noria_listen_name_options){.reserved = {1}};
	EXPECT_EQ(noria_listen_name("127.0.0.1", "0", &options), -EINVAL);
	EXPECT_EQ(noria_listen_name("unix:/nowhere/at/all", NULL, NULL), -ENOENT);
	return 0;
}

/* Cancelled: at the door, and while the name is looked up. */
UNIT(name_listen, cancelled_nothing_listens)
{
	struct noria_scope scope;

	names_use();
	MUST(noria_scope_open(&scope, NORIA_FOREVER, 0) == 0);
	noria_scope_cancel(&scope);
	EXPECT_EQ(noria_listen_name("127.0.0.1", "0", NULL), -ECANCELED);
	EXPECT_EQ(noria_listen_name("127.0.0.1+127.0.0.2", "0", NULL), -ECANCELED);
	EXPECT_EQ(noria_listen_name(NULL, "0", NULL), -ECANCELED);
	EXPECT_EQ(noria_scope_close(&scope, 0), 0);
	EXPECT_EQ(names.asked, 0);
	EXPECT_EQ(noria_within(noria_msec(2), noria_listen_name("hold:127.0.0.1", "0", NULL)), -ETIMEDOUT);
	names_release();
	names_settle();
	return 0;
}
