/* SPDX-License-Identifier: MIT */
/* The tutorial's second step: time limits, retries, and a good-bye that is said whatever happens. */
#include "probe.h"

/* [polite] */
static int talk(int fd, struct server *server)
{
	noria_try(noria_send_all(fd, "status\n", 7, 0));
	return recv_line(fd, server->answer, sizeof server->answer);
}

static int ask(struct server *server)
{
	noria_autoclose int fd = noria_try(dial(server->port));
	int result = talk(fd, server);

	noria_shielded(noria_msec(500), noria_send_all(fd, "bye\n", 4, 0));
	return result;
}
/* [end] */

/* [retry] */
static int ask_again(struct server *server)
{
	int64_t pause_ns = noria_msec(10);
	int result;

	while ((result = ask(server)) == -EPIPE || result == -ECONNRESET) {
		noria_try(noria_sleep(pause_ns));
		pause_ns *= 2;
	}
	return result;
}
/* [end] */

/* [within] */
static int ask_and_note(void *arg)
{
	struct server *server = arg;

	server->error = noria_within(noria_sec(1), ask_again(server));
	return 0;
}
/* [end] */

static int ask_each(struct noria_group *asking, struct fleet *fleet)
{
	for (int i = 0; i < fleet->count; i++)
		noria_try(noria_spawn(asking, ask_and_note, &fleet->servers[i]));
	return 0;
}

/* [all] */
static int ask_all(void *arg)
{
	struct noria_group_options options = {.children_max = 100, .deadline_ns = noria_now() + noria_sec(20)};
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
