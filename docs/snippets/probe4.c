/* SPDX-License-Identifier: MIT */
/* The tutorial's third step: servers in two zones, and everything that fails, each with its story, as one tree. */
#include "probe.h"

struct zone {
	const char *name;
	struct server *servers;
	int count;
};

/* [parse] */
static int parse(const struct server *server)
{
	int load;

	if (sscanf(server->answer, "ok %d", &load) != 1)
		return noria_fail(-EPROTO, "%s answers \"%s\"", server->name, server->answer);
	return load;
}

static int talk(int fd, struct server *server)
{
	noria_try(noria_send_all(fd, "status\n", 7, 0));
	noria_try(recv_line(fd, server->answer, sizeof server->answer));
	return noria_try(parse(server));
}
/* [end] */

static int ask(struct server *server)
{
	noria_autoclose int fd = noria_try(dial(server->port));
	int result = talk(fd, server);

	noria_shielded(noria_msec(500), noria_send_all(fd, "bye\n", 4, 0));
	return result;
}

/* [zone] */
static int ask_in_time(void *arg)
{
	return noria_try(noria_within(noria_sec(1), ask(arg)));
}

static int ask_each(struct noria_group *asking, struct zone *zone)
{
	for (int i = 0; i < zone->count; i++) {
		struct noria_spawn_options options = {.name = zone->servers[i].name};

		noria_try(noria_spawn_with(asking, ask_in_time, &zone->servers[i], &options));
	}
	return 0;
}

static int ask_zone(void *arg)
{
	struct noria_group_options options = {.policy = NORIA_COLLECT};
	struct noria_group asking;

	return noria_try(noria_grouped_with(&asking, &options, ask_each(&asking, arg)));
}
/* [end] */

/* [zones] */
static int ask_both(struct noria_group *asking, struct zone zones[2])
{
	for (int i = 0; i < 2; i++) {
		struct noria_spawn_options options = {.name = zones[i].name};

		noria_try(noria_spawn_with(asking, ask_zone, &zones[i], &options));
	}
	return 0;
}

static void count_down(const struct noria_failure *failure, void *arg)
{
	int *down = arg;

	printf("%s is down\n", failure->task);
	(*down)++;
}

static int ask_zones(void *arg)
{
	struct noria_group_options options = {.policy = NORIA_COLLECT};
	struct noria_group asking;
	int down = 0;
	int result = noria_grouped_with(&asking, &options, ask_both(&asking, arg));

	result = noria_failure_pick(result, -ECONNREFUSED, count_down, &down);
	printf("%d down\n", down);
	return result;
}
/* [end] */

int main(int argc, char **argv)
{
	struct fleet fleet = parse_fleet(argc, argv);
	int half = fleet.count / 2;
	struct zone zones[2] = {{"east", fleet.servers, half}, {"west", fleet.servers + half, fleet.count - half}};
	int result;

	setlinebuf(stdout);
	result = noria_run(NULL, ask_zones, zones);
	free(fleet.servers);
	return result < 0;
}
