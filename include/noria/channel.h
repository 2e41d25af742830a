/* SPDX-License-Identifier: MIT */
/*
 * Channels and broadcasts: items handed from task to task, copied in and copied out. A channel gives each item to one
 * receiver; a broadcast gives each item to every subscriber. The storage and the buffer are the caller's, and must stay
 * where they are until nobody uses them; nothing is allocated.
 *
 * Senders and receivers are served first come, first served. An item is handed over exactly once: a send that is
 * cancelled has either been made (and returns 0) or not (and returns -ECANCELED), and so has a receive. All functions
 * belong to the runtime's thread. All since 0.2.
 */
#ifndef NORIA_CHANNEL_H
#define NORIA_CHANNEL_H

#include <noria/base.h>

NORIA_BEGIN_DECLS

/* Storage for a channel, a broadcast, a subscriber: the caller's; the content is noria's. */
struct noria_channel {
	uint64_t opaque[16];
};

struct noria_broadcast {
	uint64_t opaque[16];
};

struct noria_subscriber {
	uint64_t opaque[10];
};

/*
 * noria_channel_init - make a channel for items of `item_size` bytes.
 * @channel: storage that nobody uses
 * @buffer: room for `capacity` items
 * @capacity: items that wait in the buffer before senders have to; 0 (and `buffer` NULL): sender and receiver meet, and
 *            the item is copied from the one's memory to the other's
 * Returns: 0; -EINVAL when `item_size` is 0, or there is a capacity without a buffer; -ENXIO outside a runtime.
 * Not a checkpoint.
 */
#define noria_channel_init(channel, item_size, buffer, capacity) \
	noria_channel_init_at((channel), (item_size), (buffer), (capacity), NORIA_SITE("channel"))
NORIA_PUBLIC NORIA_CHECKED int noria_channel_init_at(struct noria_channel *channel, size_t item_size, void *buffer,
						     size_t capacity, const struct noria_site *site);

/*
 * noria_channel_send - send a copy of the item; waits for a receiver, or for room in the buffer.
 * Returns: 0 when it has been sent; -EPIPE when the channel is closed, or is being closed while it waits; -ECANCELED
 * when the scope is cancelled: it has not been sent; -EINVAL when the channel is not initialised, or is another
 * runtime's; -ENXIO outside a task. Checkpoint.
 *
 * noria_channel_trysend - the same without waiting, also in a cancelled scope: -EAGAIN where it would have to wait. Not
 * a checkpoint.
 */
NORIA_PUBLIC NORIA_CHECKED int noria_channel_send(struct noria_channel *channel, const void *item);
NORIA_PUBLIC NORIA_CHECKED int noria_channel_trysend(struct noria_channel *channel, const void *item);

/*
 * noria_channel_recv - wait for an item.
 * @ret_item: memory that the item is copied to; untouched unless 1 is returned
 * Returns: 1 with an item; 0 at the end: the channel is closed, and what was buffered has been received; -ECANCELED
 * when the scope is cancelled: no item has been taken; -EINVAL when the channel is not initialised, or is another
 * runtime's; -ENXIO outside a task. Checkpoint.
 *
 * noria_channel_tryrecv - the same without waiting, also in a cancelled scope: -EAGAIN where it would have to wait. Not
 * a checkpoint.
 */
NORIA_PUBLIC NORIA_CHECKED int noria_channel_recv(struct noria_channel *channel, void *ret_item);
NORIA_PUBLIC NORIA_CHECKED int noria_channel_tryrecv(struct noria_channel *channel, void *ret_item);

/*
 * noria_channel_close - no more items: senders that wait are told -EPIPE, receivers get what is buffered and then the
 * end. Closing again does nothing, and so does closing a channel that is not initialised. Not a checkpoint.
 */
NORIA_PUBLIC void noria_channel_close(struct noria_channel *channel);

/* noria_channel_count - items in the buffer; 0 when it is not initialised. Not a checkpoint. */
NORIA_PUBLIC size_t noria_channel_count(const struct noria_channel *channel);

/*
 * noria_channel_destroy - the end of a channel's use: later calls are refused. It need not be called; there is nothing
 * to free. Items that are still in the buffer are the caller's affair.
 * Returns: 0; -EBUSY while tasks wait at it: close it, and let them go first; -EINVAL when it is not initialised, or is
 * another runtime's. Not a checkpoint.
 */
NORIA_PUBLIC int noria_channel_destroy(struct noria_channel *channel);

enum noria_broadcast_flags {
	/* A subscriber that is `capacity` items behind loses the oldest, and is told so; the sender never waits. */
	NORIA_BROADCAST_LOSSY = 1 << 0,
};

/*
 * noria_broadcast_init - make a broadcast for items of `item_size` bytes.
 * @broadcast: storage that nobody uses
 * @buffer: room for `capacity` items, which all subscribers share
 * @capacity: how far a subscriber may be behind; at least 1
 * @flags: enum noria_broadcast_flags
 * Returns: 0; -EINVAL when a size is 0, there is no buffer, or a flag is unknown; -ENXIO outside a runtime. Not a
 * checkpoint.
 */
#define noria_broadcast_init(broadcast, item_size, buffer, capacity, flags) \
	noria_broadcast_init_at((broadcast), (item_size), (buffer), (capacity), (flags), NORIA_SITE("broadcast"))
NORIA_PUBLIC NORIA_CHECKED int noria_broadcast_init_at(struct noria_broadcast *broadcast, size_t item_size,
						       void *buffer, size_t capacity, unsigned flags,
						       const struct noria_site *site);

/*
 * noria_broadcast_send - send a copy of the item to every subscriber there is; with none it is gone. Waits for the
 * slowest subscriber while that one is `capacity` items behind, unless the broadcast is lossy.
 * Returns: as noria_channel_send(). Checkpoint.
 *
 * noria_broadcast_trysend - the same without waiting, also in a cancelled scope: -EAGAIN where it would have to wait.
 * Not a checkpoint.
 */
NORIA_PUBLIC NORIA_CHECKED int noria_broadcast_send(struct noria_broadcast *broadcast, const void *item);
NORIA_PUBLIC NORIA_CHECKED int noria_broadcast_trysend(struct noria_broadcast *broadcast, const void *item);

/*
 * noria_broadcast_close - no more items: senders that wait are told -EPIPE, subscribers get what was sent and then the
 * end. Closing again does nothing, and so does closing one that is not initialised. Not a checkpoint.
 */
NORIA_PUBLIC void noria_broadcast_close(struct noria_broadcast *broadcast);

/*
 * noria_broadcast_destroy - the end of a broadcast's use: later calls are refused. It need not be called.
 * Returns: 0; -EBUSY while it has subscribers; -EINVAL when it is not initialised, or is another runtime's. Not a
 * checkpoint.
 */
NORIA_PUBLIC int noria_broadcast_destroy(struct noria_broadcast *broadcast);

/*
 * noria_broadcast_subscribe - get every item that is sent from now on.
 * @subscriber: storage, which must stay where it is until noria_broadcast_unsubscribe()
 * Returns: 0; -EINVAL when the broadcast is not initialised, is another runtime's, or `subscriber` is in use on it. Not
 * a checkpoint.
 *
 * noria_broadcast_unsubscribe - leave, with what has not been received; a task that waits at `subscriber` is told the
 * end. Nothing when it is not subscribed. Not a checkpoint.
 */
NORIA_PUBLIC NORIA_CHECKED int noria_broadcast_subscribe(struct noria_broadcast *broadcast,
							 struct noria_subscriber *subscriber);
NORIA_PUBLIC void noria_broadcast_unsubscribe(struct noria_subscriber *subscriber);

/*
 * noria_broadcast_recv - wait for the subscriber's next item. Several tasks may receive through one subscriber: each
 * item goes to one of them.
 * @ret_item: memory that the item is copied to; untouched unless 1 is returned
 * Returns: 1 with an item; 0 at the end; -EOVERFLOW when items were lost at this place (lossy broadcasts only):
 * noria_broadcast_lost() says how many, and the next call goes on with the oldest that is left; -ECANCELED when the
 * scope is cancelled: no item has been taken; -EINVAL when it is not subscribed; -ENXIO outside a task. Checkpoint.
 *
 * noria_broadcast_tryrecv - the same without waiting, also in a cancelled scope: -EAGAIN where it would have to wait.
 * Not a checkpoint.
 */
NORIA_PUBLIC NORIA_CHECKED int noria_broadcast_recv(struct noria_subscriber *subscriber, void *ret_item);
NORIA_PUBLIC NORIA_CHECKED int noria_broadcast_tryrecv(struct noria_subscriber *subscriber, void *ret_item);

/* noria_broadcast_lost - how many items the subscriber's last -EOVERFLOW stood for; 0 without one. Not a checkpoint. */
NORIA_PUBLIC uint64_t noria_broadcast_lost(const struct noria_subscriber *subscriber);

NORIA_END_DECLS
#endif
