/* SPDX-License-Identifier: MIT */
/*
 * The beginning and the end of a connection. hiredis would ask the resolver on this thread, and every task would wait
 * for it; so names are resolved on the executor, and the socket is noria's affair throughout.
 */
#include "adapters/hiredis/connection.h"

#include <errno.h>
#include <netdb.h>
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

static int connect_to(const struct sockaddr *address, socklen_t length, struct noria_redis **ret_redis)
{
	noria_autoclose int fd = noria_socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int on = 1, r = fd < 0 ? fd : noria_connect(fd, address, length);

	if (r < 0)
		return r;
	if (address->sa_family != AF_UNIX)
		(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	return make(noria_take(&fd), ret_redis);
}

int noria_redis_connect_unix(const char *path, struct noria_redis **ret_redis)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	size_t length = strlen(path);

	if (length >= sizeof address.sun_path)
		return noria_fail(-ENAMETOOLONG, "redis: the path of a Unix socket has at most %zu bytes",
				  sizeof address.sun_path - 1);
	memcpy(address.sun_path, path, length);
	return connect_to((struct sockaddr *)&address, sizeof address, ret_redis);
}

struct lookup {
	char *host;
	char service[16];
	struct addrinfo hints, *found;
	int result; /* of getaddrinfo() */
};

static int look_up(void *arg)
{
	struct lookup *lookup = arg;

	lookup->result = getaddrinfo(lookup->host, lookup->service, &lookup->hints, &lookup->found);
	return lookup->result == EAI_SYSTEM ? -errno : 0;
}

static void free_lookup(__attribute__((unused)) int result, void *arg)
{
	struct lookup *lookup = arg;

	if (lookup->found)
		freeaddrinfo(lookup->found);
	free(lookup->host);
	free(lookup);
}

static struct lookup *make_lookup(const char *host, int port)
{
	struct lookup *lookup = calloc(1, sizeof *lookup);

	if (!lookup)
		return NULL;
	lookup->host = strdup(host);
	if (!lookup->host) {
		free(lookup);
		return NULL;
	}
	snprintf(lookup->service, sizeof lookup->service, "%d", port);
	lookup->hints.ai_socktype = SOCK_STREAM;
	return lookup;
}

/* Numbers need no resolver. Sets `*at` to NULL when the resolver's thread has it, since this task was cancelled. */
static int resolve(struct lookup **at)
{
	struct lookup *lookup = *at;
	bool abandoned = false;
	struct noria_call_options options = {.dispose = free_lookup, .ret_abandoned = &abandoned};
	int r;

	lookup->hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV;
	if (look_up(lookup) == 0 && lookup->result == 0)
		return 0;
	lookup->hints.ai_flags = AI_ADDRCONFIG | AI_NUMERICSERV;
	r = noria_offload_with(look_up, lookup, &options);
	if (abandoned)
		*at = NULL;
	if (r < 0 || lookup->result == 0)
		return r;
	if (lookup->result == EAI_MEMORY)
		return -ENOMEM;
	return noria_fail(lookup->result == EAI_AGAIN ? -EAGAIN : -ENOENT, "redis: %s: %s", lookup->host,
			  gai_strerror(lookup->result));
}

static int connect_to_any(const struct addrinfo *found, struct noria_redis **ret_redis)
{
	int r = -ENOENT;

	for (; found && r != 0 && r != -ECANCELED; found = found->ai_next)
		r = connect_to(found->ai_addr, found->ai_addrlen, ret_redis);
	return r;
}

int noria_redis_connect(const char *host, int port, struct noria_redis **ret_redis)
{
	struct lookup *lookup;
	int r;

	if (port < 0 || port > UINT16_MAX)
		return noria_fail(-EINVAL, "redis: there is no port %d", port);
	r = noria_check();
	if (r < 0)
		return r;
	lookup = make_lookup(host, port);
	if (!lookup)
		return -ENOMEM;
	r = resolve(&lookup);
	if (r == 0)
		r = connect_to_any(lookup->found, ret_redis);
	if (lookup)
		free_lookup(r, lookup);
	return r;
}
