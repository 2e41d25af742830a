/* SPDX-License-Identifier: MIT */
/*
 * The beginning and the end of a connection. hiredis would ask the resolver on this thread, and every task would wait
 * for it; so the name, and the socket throughout, are noria's affair.
 */
#include "adapters/hiredis/connection.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

static void drop_all(struct redis_queue *queue)
{
	struct redis_reply *entry;

	while ((entry = noria_redis_dequeue(queue))) {
		freeReplyObject(entry->reply);
		free(entry);
	}
}

void noria_redis_free(struct noria_redis *redis)
{
	if (!redis)
		return;
	while (redis->appended) {
		struct redis_reply *entry = redis->appended;

		redis->appended = entry->next_appended;
		if (entry->reply) { /* it is not due any more */
			freeReplyObject(entry->reply);
			free(entry);
		}
	}
	drop_all(&redis->due);
	drop_all(&redis->messages);
	if (redis->reader)
		redisReaderFree(redis->reader);
	if (redis->fd >= 0)
		noria_close(redis->fd);
	free(redis->filling.data);
	free(redis->leaving.data);
	free(redis->input);
	free(redis);
}

const char *noria_redis_error(const struct noria_redis *redis)
{
	return redis->error ? redis->text : NULL;
}

/* Takes over the descriptor. */
static int make(int fd, struct noria_redis **ret_redis)
{
	struct noria_redis *redis = calloc(1, sizeof *redis);

	if (!redis) {
		noria_close(fd);
		return -ENOMEM;
	}
	redis->fd = fd;
	redis->appended_last = &redis->appended;
	redis->input = malloc(REDIS_INPUT_SIZE);
	redis->reader = redisReaderCreate();
	if (!redis->input || !redis->reader) {
		noria_redis_free(redis);
		return -ENOMEM;
	}
	*ret_redis = redis;
	return 0;
}

static int set_nodelay(int fd, __attribute__((unused)) const struct sockaddr *address,
		       __attribute__((unused)) socklen_t length, __attribute__((unused)) void *arg)
{
	int on = 1;

	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	return 0;
}

int noria_redis_connect_unix(const char *path, struct noria_redis **ret_redis)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	noria_autoclose int fd = -1;
	size_t length = strlen(path);
	int r;

	if (length >= sizeof address.sun_path)
		return noria_fail(-ENAMETOOLONG, "redis: the path of a Unix socket has at most %zu bytes",
				  sizeof address.sun_path - 1);
	memcpy(address.sun_path, path, length);
	fd = noria_socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	r = fd < 0 ? fd : noria_connect(fd, (struct sockaddr *)&address, sizeof address);
	return r < 0 ? r : make(noria_take(&fd), ret_redis);
}

int noria_redis_connect(const char *host, int port, struct noria_redis **ret_redis)
{
	static const struct noria_connect_name_options options = {.prepare = set_nodelay};
	char service[16];
	int fd;

	if (port < 0 || port > UINT16_MAX)
		return noria_fail(-EINVAL, "redis: there is no port %d", port);
	snprintf(service, sizeof service, "%d", port);
	fd = noria_connect_name(host, service, &options);
	return fd < 0 ? fd : make(fd, ret_redis);
}
