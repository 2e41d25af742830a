/* SPDX-License-Identifier: MIT */
/*
 * From a URL to an address. A name may have several addresses, and a server often listens on one of them only
 * ("localhost" is ::1 and 127.0.0.1): each is tried with a connection, and the first that stands is the target of all
 * that follow. So a server that is not there is told of before anything runs.
 */
#include "plan.h"

#include "../command.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/un.h>
#include <unistd.h>

#define PROBE_MS 3000 /* for one of several addresses to answer */

static int refuse(const char *url, const char *why)
{
	fprintf(stderr,
		"noria bench: %s: %s. Give http://HOST[:PORT]/PATH, tcp://HOST:PORT, udp://HOST:PORT or unix:/PATH.\n",
		url, why);
	return EXIT_USAGE;
}

/* Try to connect. Returns: 0, also when it was reset at once: there is a server; or a negative errno. */
static int probe(const struct sockaddr *address, socklen_t size, int type)
{
	int fd = socket(address->sa_family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), error = 0;
	if (fd < 0)
		return -errno;
	if (connect(fd, address, size) < 0)
		error = errno;
	if (error == EINPROGRESS) {
		struct pollfd wait = {.fd = fd, .events = POLLOUT};
		socklen_t length = sizeof error;
		if (poll(&wait, 1, PROBE_MS) <= 0)
			error = ETIMEDOUT;
		else if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length) < 0)
			error = errno;
	}
	close(fd);
	return error == ECONNRESET ? 0 : -error;
}

static int unreachable(const char *url, int error)
{
	fprintf(stderr, "noria bench: %s: %s. Is the server running, and does it listen there?\n", url,
		strerror(-error));
	return EXIT_FAILED;
}

static void take_socket(struct target *target, const void *address, socklen_t size)
{
	memcpy(&target->socket, address, size);
	target->socket_size = size;
}

static int read_unix(const char *path, struct target *target)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	size_t length = strlen(path);
	if (strncmp(path, "//", 2) == 0) { /* unix:///path is the same */
		path += 2;
		length -= 2;
	}
	if (length == 0 || length >= sizeof address.sun_path)
		return refuse(target->url, length ? "the path is too long for a socket" : "no path in it");
	memcpy(address.sun_path, path, length);
	take_socket(target, &address, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length + 1));
	int error = probe((const struct sockaddr *)&address, target->socket_size, SOCK_STREAM);
	return error == 0 ? ARGUMENTS_READ : unreachable(target->url, error);
}

/* Part "host:port" or "[host]:port", in place. Returns: the port, NULL where there is none. */
static char *split_port(char *authority, char **ret_host)
{
	char *end = *authority == '[' ? strchr(authority, ']') : NULL, *colon;
	*ret_host = authority + (end != NULL);
	colon = strchr(end ? end : authority, ':');
	if (end)
		*end = '\0';
	if (colon == NULL)
		return NULL;
	*colon = '\0';
	return colon + 1;
}

static int resolve(const char *host, const char *port, struct target *target)
{
	int type = target->scheme == SCHEME_UDP ? SOCK_DGRAM : SOCK_STREAM, first = 0;
	struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = type}, *list;
	if (port[strspn(port, "0123456789")] == '\0' && (strtoul(port, NULL, 10) > 65535 || *port == '\0'))
		return refuse(target->url, "a port is a number from 1 to 65535");
	int error = getaddrinfo(host, port, &hints, &list);
	if (error == EAI_SERVICE)
		return refuse(target->url, "that is no port (and an IPv6 address has brackets: [::1])");
	if (error != 0) {
		fprintf(stderr, "noria bench: %s: %s: %s. Is the name spelled right?\n", target->url, host,
			gai_strerror(error));
		return EXIT_FAILED;
	}
	bool found = false;
	for (const struct addrinfo *each = list; each && !found; each = each->ai_next) {
		error = probe(each->ai_addr, each->ai_addrlen, type);
		found = error == 0;
		if (found)
			take_socket(target, each->ai_addr, each->ai_addrlen);
		else if (first == 0)
			first = error;
	}
	freeaddrinfo(list);
	return found ? ARGUMENTS_READ : unreachable(target->url, first);
}

/* Nothing in it would end the line of the request, or be no ASCII. */
static bool is_path(const char *path)
{
	for (; *path; path++)
		if (*path <= ' ' || *path >= 0x7f || *path == '#')
			return false;
	return true;
}

static int read_authority(const char *rest, struct target *target)
{
	char text[sizeof target->authority], *host;
	size_t length = strcspn(rest, "/?#");
	if (length == 0 || length >= sizeof text)
		return refuse(target->url, length ? "the host is too long" : "no host in it");
	memcpy(text, rest, length);
	text[length] = '\0';
	if (strpbrk(text, "@ \t\r\n"))
		return refuse(target->url, "that is no host");
	memcpy(target->authority, text, length + 1);
	target->path = rest[length] == '/' ? rest + length : "/";
	char *port = split_port(text, &host);
	if (port == NULL && target->scheme != SCHEME_HTTP)
		return refuse(target->url, "no port in it");
	if (target->scheme != SCHEME_HTTP && strcmp(rest + length, "/") != 0 && rest[length] != '\0')
		return refuse(target->url, "an echo has no path");
	if (rest[length] == '?')
		return refuse(target->url, "there is no path before the question mark: write /?");
	if (!is_path(target->path))
		return refuse(target->url,
			      "the path has a fragment in it, or what has to be written %20 (a blank), %C3 and so on");
	return resolve(host, port ? port : "80", target);
}

int target_read(const char *url, struct target *ret_target)
{
	static const struct {
		const char *prefix;
		enum scheme scheme;
	} schemes[] = {
		{"http://", SCHEME_HTTP}, {"tcp://", SCHEME_TCP}, {"udp://", SCHEME_UDP}, {"unix:", SCHEME_UNIX}};

	*ret_target = (struct target){.url = url};
	for (size_t i = 0; i < sizeof schemes / sizeof *schemes; i++) {
		size_t length = strlen(schemes[i].prefix);
		if (strncasecmp(url, schemes[i].prefix, length) != 0)
			continue;
		ret_target->scheme = schemes[i].scheme;
		return schemes[i].scheme == SCHEME_UNIX ? read_unix(url + length, ret_target)
							: read_authority(url + length, ret_target);
	}
	if (strncasecmp(url, "https:", 6) == 0)
		return refuse(url, "TLS is not spoken here: measure the server behind it");
	return refuse(url, "it does not begin with a kind of server");
}
