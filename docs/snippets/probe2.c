/* SPDX-License-Identifier: MIT */
/* The end of the tutorial's first step: what goes wrong with one server is noted, and two at most are asked at once. */
#include "probe.h"

static int ask(struct server *server)
{
	noria_autoclose int fd = noria_try(dial(server->port));

	noria_try(noria_send_all(fd, "status\n", 7, 0));
	noria_try(recv_line(fd, server->answer, sizeof server->answer));
	noria_try(noria_send_all(fd, "bye\n", 4, 0));
	return 0;
}

/* [note] */
static int ask_and_note(void *arg)
{
	struct server *server = arg;

	server->error = ask(server);
	return 0;
}
/* [end] */

/* [bounded] */
static int ask_each(struct noria_group *asking, struct fleet *fleet)
{
	for (int i = 0; i < fleet->count; i++)
		noria_try(noria_spawn(asking, ask_and_note, &fleet->servers[i]));
	return 0;
}

static int ask_all(void *arg)
{
	struct noria_group_options options = {.children_max = 2};
	struct noria_group asking;

	return noria_grouped_with(&asking, &options, ask_each(&asking, arg));
}
/* [end] */

int main(int argc, char **argv)
{
	struct fleet fleet = parse_fleet(argc, argv);
	int result = noria_run(NULL, ask_all, &fleet);

	if (result == 0)
		print_fleet(&fleet);
	free(fleet.servers);
	return result < 0;
}
