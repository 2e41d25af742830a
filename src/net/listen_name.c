/* SPDX-License-Identifier: MIT */
/*
 * Listening by name: the addresses are had, and the first that can be bound and listened on is taken. Every address of
 * the machine is one socket of IPv6 that takes IPv4 as well; without IPv6 in the kernel it is the wildcard of IPv4.
 */
#include "net/name.h"

#include "noria/net.h"
#include "noria/op.h"
#include "scope/scope.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>

enum { BACKLOG_DEFAULT = 4096 };

struct listening {
	const struct noria_listen_name_options *options;
	const struct noria_site *site;
	const char *host, *service;
};

static int set_option(int fd, int level, int option, int value)
{
	return setsockopt(fd, level, option, &value, sizeof value) < 0 ? -errno : 0;
}

/* The wildcard of IPv6 takes both families unless one was asked for, whatever net.ipv6.bindv6only says. */
static int set_options(const struct listening *listening, int fd, const struct sockaddr *address, socklen_t length)
{
	const struct noria_listen_name_options *options = listening->options;
	int r = 0;

	if (address->sa_family != AF_UNIX)
		r = set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1);
	if (r >= 0 && options->reuse_port)
		r = set_option(fd, SOL_SOCKET, SO_REUSEPORT, 1);
	if (r >= 0 && address->sa_family == AF_INET6)
		r = set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, options->family == AF_INET6);
	if (r >= 0 && options->prepare)
		r = options->prepare(fd, address, length, options->prepare_arg);
	return r;
}

static int listen_on(const struct listening *listening, const struct sockaddr *address, socklen_t length)
{
	int backlog = listening->options->backlog ? listening->options->backlog : BACKLOG_DEFAULT;
	noria_autoclose int fd = noria_socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int r = fd;

	if (r >= 0)
		r = set_options(listening, fd, address, length);
	if (r >= 0)
		r = noria_bind(fd, address, length);
	if (r >= 0)
		r = noria_listen(fd, backlog);
	return r < 0 ? r : noria_take(&fd);
}

static const char *remedy(int error, const struct sockaddr *address)
{
	bool local = address->sa_family == AF_UNIX;

	switch (error) {
	case -EADDRINUSE:
		return local ? ". Remedy: remove the file, if no program listens there any more"
			     : ". Remedy: another program listens there; choose another port, or 0 for a free one";
	case -EACCES:
		return local ? ". Remedy: see who may write to the directory"
			     : ". Remedy: ports below 1024 need privileges (CAP_NET_BIND_SERVICE); choose a higher one";
	case -EADDRNOTAVAIL:
		return ". Remedy: this machine does not have that address; see `ip address`";
	default:
		return "";
	}
}

static int tell(const struct listening *listening, int error, const struct sockaddr *address, socklen_t length)
{
	const char *words = strerrordesc_np(-error);
	char text[NAME_TEXT_MAX];

	noria_name_text(address, length, text);
	return noria_name_fail(error, listening->site, "listening on %s%s%s: %s%s", text,
			       address->sa_family == AF_UNIX ? "" : ", service ",
			       address->sa_family == AF_UNIX ? "" : listening->service,
			       words ? words : "an unknown error", remedy(error, address));
}

static int listen_any(const struct listening *listening, const struct addrinfo *list)
{
	int first = 0;

	for (const struct addrinfo *one = list; one; one = one->ai_next) {
		int r = listen_on(listening, one->ai_addr, one->ai_addrlen);

		if (r >= 0 || r == -ECANCELED)
			return r;
		if (first == 0)
			first = r;
	}
	return tell(listening, first, list->ai_addr, list->ai_addrlen);
}

/* Every address; and where there is no IPv6, that of IPv4. */
static int listen_everywhere(const struct listening *listening)
{
	bool v4 = listening->options->family == AF_INET;
	struct name_query query = {
		.host = v4 ? "0.0.0.0" : "::", .service = listening->service, .site = listening->site};
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *list;
	int r;

	query.hints = &hints;
	r = noria_name_look_up(&query, &list);
	if (r < 0)
		return r;
	r = listen_on(listening, list->ai_addr, list->ai_addrlen);
	if (r < 0 && r != -ECANCELED)
		r = tell(listening, r, list->ai_addr, list->ai_addrlen);
	freeaddrinfo(list);
	return r;
}

static int listen_inet(const struct listening *listening)
{
	struct noria_listen_name_options v4 = *listening->options;
	struct listening again = *listening;
	struct addrinfo hints = {
		.ai_family = listening->options->family, .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE};
	struct name_query query = {
		.host = listening->host, .service = listening->service, .hints = &hints, .site = listening->site};
	struct addrinfo *list;
	int r;

	if (!listening->host || !*listening->host) {
		r = listen_everywhere(listening);
		if ((r != -EAFNOSUPPORT && r != -EADDRNOTAVAIL) || v4.family != AF_UNSPEC)
			return r;
		v4.family = AF_INET;
		again.options = &v4;
		return listen_everywhere(&again);
	}
	r = noria_name_look_up(&query, &list);
	if (r < 0)
		return r;
	r = listen_any(listening, list);
	freeaddrinfo(list);
	return r;
}

static int listen_unix(const struct listening *listening, const struct sockaddr_un *address, socklen_t length)
{
	int r = listen_on(listening, (const void *)address, length);

	return r < 0 && r != -ECANCELED ? tell(listening, r, (const void *)address, length) : r;
}

static int check(const struct listening *listening)
{
	const struct noria_listen_name_options *options = listening->options;
	const char *wrong = NULL;

	if (options->family != AF_UNSPEC && options->family != AF_INET && options->family != AF_INET6)
		wrong = "family must be AF_INET, AF_INET6 or 0";
	else if (options->backlog < 0)
		wrong = "backlog must not be negative";
	else if (name_reserved_used(options->reserved, sizeof options->reserved / sizeof options->reserved[0]))
		wrong = "reserved must be zero";
	return wrong ? noria_name_fail(-EINVAL, listening->site, "struct noria_listen_name_options: %s", wrong) : 0;
}

int noria_listen_name_at(const char *host, const char *service, const struct noria_listen_name_options *options,
			 const struct noria_site *site)
{
	static const struct noria_listen_name_options defaults;
	struct listening listening = {options ? options : &defaults, site, host, service};
	struct task *task = noria_current();
	struct sockaddr_un address;
	socklen_t length;
	int r;

	if (!task)
		return -ENXIO;
	r = scope_door(task);
	if (r >= 0)
		r = check(&listening);
	if (r >= 0)
		r = noria_name_unix(host, site, &address, &length);
	if (r == 0 && (!service || !*service))
		r = noria_name_fail(-EINVAL, site, "listening on %s: no service; give \"0\" for a free port",
				    name_or(host, "every address"));
	if (r < 0)
		return task_answer(task, r);
	return r > 0 ? listen_unix(&listening, &address, length) : listen_inet(&listening);
}
