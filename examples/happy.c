/* SPDX-License-Identifier: MIT */
/*
 * The fastest of several hosts: `happy PORT HOST...` connects to all of them at once, and takes the connection that stands
 * first. noria_connect_name() tries the addresses of one host (happy eyeballs, RFC 8305); the hosts race here.
 *
 * The group races: the first success cancels the others, and close returns when these are gone. Two connections may come
 * to stand at the same moment; the second one goes to the disposer, so that no descriptor is lost.
 */
#include <noria/noria.h>

#include <errno.h>
#include <stdio.h>

struct race {
	const char *port, **hosts;
	int count;
};

struct entrant {
	const char *host, *port;
};

static int try_host(void *arg)
{
	const struct entrant *entrant = arg;

	return noria_connect_name(entrant->host, entrant->port, NULL);
}

static int try_all(struct noria_group *racing, const struct race *race)
{
	for (int i = 0; i < race->count; i++) {
		struct entrant entrant = {race->hosts[i], race->port};

		noria_try(noria_spawn_copy(racing, try_host, &entrant, sizeof entrant));
	}
	return 0;
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

	noria_autoclose int fd = noria_try(noria_grouped_with(&racing, &options, try_all(&racing, arg)));

	if (getpeername(fd, (struct sockaddr *)&peer, &length) < 0)
		return -errno;
	if (getnameinfo((struct sockaddr *)&peer, length, host, sizeof host, NULL, 0, NI_NUMERICHOST) == 0)
		printf("connected to %s\n", host);
	return 0;
}

int main(int argc, char **argv)
{
	struct race race = {.port = argv[1], .hosts = (const char **)argv + 2, .count = argc - 2};

	if (argc < 3) {
		fprintf(stderr, "usage: happy PORT HOST...\n");
		return 2;
	}
	return noria_run(NULL, connect_first, &race) <
	       0; /* what failed is told on standard error, each host with its addresses */
}
