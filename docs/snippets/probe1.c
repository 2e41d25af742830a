/* SPDX-License-Identifier: MIT */
/* The tutorial's first step: `probe1 NAME=PORT...` asks all servers at once; the first error ends it. */
#include "probe.h"

/* [ask] */
static int ask(void *arg)
{
	struct server *server = arg;
	noria_autoclose int fd = noria_try(dial(server->port));

	noria_try(noria_send_all(fd, "status\n", 7, 0));
	noria_try(recv_line(fd, server->answer, sizeof server->answer));
	noria_try(noria_send_all(fd, "bye\n", 4, 0));
	return 0;
}
/* [end] */

/* [group] */
static int ask_each(struct noria_group *asking, struct fleet *fleet)
{
	for (int i = 0; i < fleet->count; i++)
		noria_try(noria_spawn(asking, ask, &fleet->servers[i]));
	return 0;
}

static int ask_all(void *arg)
{
	struct noria_group asking;

	return noria_grouped(&asking, ask_each(&asking, arg));
}
/* [end] */

/* [main] */
int main(int argc, char **argv)
{
	struct fleet fleet = parse_fleet(argc, argv);
	int result = noria_run(NULL, ask_all, &fleet);

	if (result == 0)
		print_fleet(&fleet);
	free(fleet.servers);
	return result < 0;
}
/* [end] */
