/* SPDX-License-Identifier: MIT */
/*
 * Redis from several tasks over one connection: `redis [HOST [PORT]]`. Ten tasks count to a hundred together, with a
 * second for each command; their commands are on the wire at the same time, and each gets its own replies.
 */
#include <noria/hiredis.h>
#include <noria/noria.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct counting {
	struct noria_redis *redis;
	long long highest;
};

static int count_to_ten(void *arg)
{
	struct counting *counting = arg;

	for (int i = 0; i < 10; i++) {
		redisReply *reply;

		noria_try(noria_within(noria_sec(1), noria_redis_command(counting->redis, &reply, "INCR visitors")));
		if (reply->integer > counting->highest)
			counting->highest = reply->integer;
		freeReplyObject(reply);
	}
	return 0;
}

static int count_together(struct noria_group *group, struct counting *counting)
{
	redisReply *reply;

	noria_try(noria_redis_command(counting->redis, &reply, "DEL visitors"));
	freeReplyObject(reply);
	for (int i = 0; i < 10; i++)
		noria_try(noria_spawn(group, count_to_ten, counting));
	return 0;
}

static int run(void *arg)
{
	char **place = arg;
	struct counting counting = {NULL, 0};
	struct noria_group group;
	int result;

	noria_try(noria_within(noria_sec(5), noria_redis_connect(place[0], atoi(place[1]), &counting.redis)));
	result = noria_grouped(&group, count_together(&group, &counting));
	noria_redis_free(counting.redis);
	if (result == 0)
		printf("%lld visitors\n", counting.highest);
	return result;
}

int main(int argc, char **argv)
{
	char *place[] = {argc > 1 ? argv[1] : "127.0.0.1", argc > 2 ? argv[2] : "6379"};
	int result = noria_run(NULL, run, place);

	if (result < 0)
		fprintf(stderr, "redis: %s %s\n", strerror(-result), noria_message());
	return result < 0;
}
