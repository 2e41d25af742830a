/* SPDX-License-Identifier: MIT */
/*
 * Redis, by hiredis: its commands, formats and replies, without its blocking. In a library of its own (noria-hiredis).
 *
 *     redisReply *reply;
 *
 *     noria_try(noria_redis_connect("127.0.0.1", 6379, &redis));
 *     noria_try(noria_within(noria_sec(1), noria_redis_command(redis, &reply, "GET %s", key)));
 *     ...
 *     freeReplyObject(reply);
 *
 * Any number of tasks may share a connection: their commands go out at once, one behind the other, and each task gets
 * its own replies. A task that is cancelled leaves its place, not a mess: what it has sent is carried out by the
 * server, the reply that nobody waits for any more is dropped when it comes, and the connection is as good as before.
 * When the server goes away, or speaks nonsense, the connection is broken: every call on it, now and later, answers
 * the same error, and noria_redis_error() says why.
 *
 * hiredis' redisContext is not used, since it would block in the resolver and raise SIGPIPE; its reader and its
 * formats are. Functions that return int answer -ENXIO outside a runtime. All belong to the runtime's thread. Since
 * 0.2.
 */
#ifndef NORIA_HIREDIS_H
#define NORIA_HIREDIS_H

#include <noria/base.h>

#include <hiredis/hiredis.h>
#include <stdarg.h>

NORIA_BEGIN_DECLS

/* One connection. */
struct noria_redis;

/*
 * noria_redis_connect - connect by TCP, as noria_connect_name() does, by whichever address of the host answers first.
 * noria_redis_connect_unix - connect to a Unix socket.
 * @ret_redis: set to the connection, which noria_redis_free() frees
 * Returns: 0; what noria_connect_name() and noria_connect() answer: -ECONNREFUSED, -ENOENT for a name or a path that
 * does not exist, -EAGAIN for a name that cannot be resolved now (with the resolver's words in noria_message()), ...;
 * -ENAMETOOLONG for a path that is no address; -ENOMEM; -ECANCELED. Checkpoint. Since 0.2.
 */
NORIA_PUBLIC NORIA_CHECKED int noria_redis_connect(const char *host, int port, struct noria_redis **ret_redis);
NORIA_PUBLIC NORIA_CHECKED int noria_redis_connect_unix(const char *path, struct noria_redis **ret_redis);

/*
 * noria_redis_free - close a connection that no task is using. NULL is fine. Works in a cancelled scope; not a
 * checkpoint, but it may park. Replies that were returned stay the caller's. Since 0.2.
 */
NORIA_PUBLIC void noria_redis_free(struct noria_redis *redis);

/*
 * noria_redis_command - send a command and wait for its reply.
 * noria_redis_vcommand - the same with a va_list.
 * noria_redis_command_argv - the same from strings; `lengths` may be NULL where each ends with a zero.
 * @ret_reply: set to the reply, to be freed by freeReplyObject(); an error of the server is a reply too
 *             (REDIS_REPLY_ERROR), as hiredis has it
 * @format: as for redisCommand(): %s, %b, ...; not as for printf
 * Returns: 0; -EINVAL for a bad format; -ENOMEM: nothing was sent; -ECONNRESET, -EPIPE, -EPROTO, or what else has
 * broken the connection; -ECANCELED: it was not sent, or nobody will see its reply. Checkpoint. Since 0.2.
 */
NORIA_PUBLIC NORIA_CHECKED int noria_redis_command(struct noria_redis *redis, redisReply **ret_reply,
						   const char *format, ...);
NORIA_PUBLIC NORIA_CHECKED int noria_redis_vcommand(struct noria_redis *redis, redisReply **ret_reply,
						    const char *format, va_list arguments);
NORIA_PUBLIC NORIA_CHECKED int noria_redis_command_argv(struct noria_redis *redis, redisReply **ret_reply, int count,
							const char **arguments, const size_t *lengths);

/*
 * Pipelines: several commands, then their replies. Each task has a pipeline of its own in each connection.
 *
 * noria_redis_append - prepare a command, which leaves with the next one that is waited for.
 * noria_redis_vappend, noria_redis_append_argv - the same, as above.
 * Returns: 0; -EINVAL, -ENOMEM; what has broken the connection; -ECANCELED: it was not prepared. Does not wait.
 * Checkpoint. Since 0.2.
 *
 * noria_redis_get_reply - wait for the reply to the first command that the calling task has appended and not asked for.
 * Returns: 0; -ENOENT when there is none; what has broken the connection; -ECANCELED: the replies to all that the task
 * has appended are given up. Checkpoint. Since 0.2.
 *
 * noria_redis_give_up - nobody will ask for the replies to what the calling task has appended: for a task that leaves
 * before the end of its pipeline. Not a checkpoint. Since 0.2.
 */
NORIA_PUBLIC NORIA_CHECKED int noria_redis_append(struct noria_redis *redis, const char *format, ...);
NORIA_PUBLIC NORIA_CHECKED int noria_redis_vappend(struct noria_redis *redis, const char *format, va_list arguments);
NORIA_PUBLIC NORIA_CHECKED int noria_redis_append_argv(struct noria_redis *redis, int count, const char **arguments,
						       const size_t *lengths);
NORIA_PUBLIC NORIA_CHECKED int noria_redis_get_reply(struct noria_redis *redis, redisReply **ret_reply);
NORIA_PUBLIC void noria_redis_give_up(struct noria_redis *redis);

/*
 * noria_redis_receive - wait for the next message of a connection that has subscribed (SUBSCRIBE, PSUBSCRIBE or
 * SSUBSCRIBE by noria_redis_command(), whose reply is the first channel's; those of further channels are received as
 * messages are). An idle wait: in a drain it ends with -ECANCELED. One that is cancelled loses no message. Other tasks
 * may subscribe and unsubscribe meanwhile.
 * Returns: 0; what has broken the connection; -ECANCELED. Checkpoint. Since 0.2.
 */
NORIA_PUBLIC NORIA_CHECKED int noria_redis_receive(struct noria_redis *redis, redisReply **ret_reply);

/*
 * noria_redis_error - what has broken the connection: a sentence, valid until it is freed; NULL while it is well. Not a
 * checkpoint. Since 0.2.
 */
NORIA_PUBLIC const char *noria_redis_error(const struct noria_redis *redis);

NORIA_END_DECLS
#endif
