/* SPDX-License-Identifier: MIT */
/*
 * Happy eyeballs (RFC 8305): `happy PORT HOST...` tries all addresses of all hosts, and takes the connection that stands
 * first. An attempt begins when the one before it has failed, or has taken 250 ms, so that an address that swallows
 * packets costs a quarter of a second and not two minutes.
 *
 * The group races: the first success cancels the other attempts, and close returns when these are gone. Two connections
 * may come to stand at the same moment; the second one goes to the disposer, so that no descriptor is lost.
 */
#include <noria/noria.h>

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>

enum { ATTEMPTS_MAX = 16 };

struct attempt {
	struct sockaddr_storage address;
	socklen_t length;
	struct attempt *before;
	struct noria_event failed;
};

struct race {
	const char *port, **hosts;
	int hosts_count, count;
	struct attempt attempts[ATTEMPTS_MAX];
};

/* Runs on a thread: the system's resolver blocks. */
static int resolve(void *arg)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found;
	struct race *race = arg;

	for (int i = 0; i < race->hosts_count; i++) {
		if (getaddrinfo(race->hosts[i], race->port, &hints, &found) != 0)
			continue;
		for (struct addrinfo *one = found; one && race->count < ATTEMPTS_MAX; one = one->ai_next) {
			struct attempt *attempt = &race->attempts[race->count];

			memcpy(&attempt->address, one->ai_addr, one->ai_addrlen);
			attempt->length = one->ai_addrlen;
			attempt->before = race->count > 0 ? attempt - 1 : NULL;
			race->count++;
		}
		freeaddrinfo(found);
	}
	return race->count;
}

static int dial(struct attempt *attempt)
{
	noria_autoclose int fd = noria_try(noria_socket(attempt->address.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0));

	noria_try(noria_connect(fd, (struct sockaddr *)&attempt->address, attempt->length));
	return noria_take(&fd);
}

static int try_address(void *arg)
{
	struct attempt *attempt = arg;
	int fd, turn = 0;

	if (attempt->before)
		turn = noria_within(noria_msec(250), noria_event_wait(&attempt->before->failed));
	if (turn < 0 && turn != -ETIMEDOUT)
		return turn;
	fd = dial(attempt);
	if (fd < 0)
		noria_event_set(&attempt->failed);
	return fd;
}

static int try_all(struct noria_group *racing, struct race *race)
{
	for (int i = 0; i < race->count; i++)
		noria_try(noria_spawn(racing, try_address, &race->attempts[i]));
	return race->count > 0 ? 0 : noria_fail(-EHOSTUNREACH, "none of the names has an address");
}

static void close_late(int fd, void *arg)
{
	(void)arg;
	noria_close(fd);
}

static int connect_first(void *arg)
{
	struct noria_group_options options = {.policy = NORIA_RACE, .dispose = close_late};
	struct sockaddr_storage peer;
	socklen_t length = sizeof peer;
	struct noria_group racing;
	char host[NI_MAXHOST];

	noria_try(noria_offload(resolve, arg));
	noria_autoclose int fd = noria_try(noria_grouped_with(&racing, &options, try_all(&racing, arg)));

	if (getpeername(fd, (struct sockaddr *)&peer, &length) < 0)
		return -errno;
	if (getnameinfo((struct sockaddr *)&peer, length, host, sizeof host, NULL, 0, NI_NUMERICHOST) == 0)
		printf("connected to %s\n", host);
	return 0;
}

int main(int argc, char **argv)
{
	struct race race = {.port = argv[1], .hosts = (const char **)argv + 2, .hosts_count = argc - 2};

	if (argc < 3) {
		fprintf(stderr, "usage: happy PORT HOST...\n");
		return 2;
	}
	return noria_run(NULL, connect_first, &race) <
	       0; /* what failed is told on standard error, each attempt of it */
}
