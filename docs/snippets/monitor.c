/* SPDX-License-Identifier: MIT */
/* The end of the tutorial: a monitor that outlives the failures of its tasks, and ends in good order when it is told to. */
#include "probe.h"

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

static int ask(struct server *server)
{
	noria_autoclose int fd = noria_try(dial(server->port));
	int result = talk(fd, server);

	noria_shielded(noria_msec(500), noria_send_all(fd, "bye\n", 4, 0));
	return result;
}

/* [watch] */
static int watch(void *arg)
{
	struct server *server = arg;
	int result;

	do {
		int load = noria_try(noria_within(noria_sec(2), ask(server)));

		printf("%s: load %d\n", server->name, load);
		result = noria_idle(noria_sleep(noria_sec(10)));
	} while (result == 0);
	return result;
}

static int watch_each(struct noria_group *watching, struct fleet *fleet)
{
	for (int i = 0; i < fleet->count; i++) {
		struct noria_spawn_options options = {.name = fleet->servers[i].name};

		noria_try(noria_spawn_with(watching, watch, &fleet->servers[i], &options));
	}
	return 0;
}

static int monitor(void *arg)
{
	struct noria_group_options options = {.policy = NORIA_SUPERVISE};
	struct noria_group watching;

	return noria_grouped_with(&watching, &options, watch_each(&watching, arg));
}
/* [end] */

/* [main] */
static void tell(const struct noria_failure *failure, const char *text, void *arg)
{
	char story[2048];

	(void)arg;
	noria_failure_print(failure, story, sizeof story);
	printf("%s:\n%s", text, story);
}

int main(int argc, char **argv)
{
	struct fleet fleet = parse_fleet(argc, argv);
	struct noria_config config = {
		.drain_timeout_ns = noria_sec(5),
		.grace_ns = noria_sec(1),
		.on_failure = tell,
	};
	int result = noria_run(&config, monitor, &fleet);

	printf("monitor: %s\n", result < 0 ? strerror(-result) : "ended in good order");
	free(fleet.servers);
	return result < 0;
}
/* [end] */
