/* SPDX-License-Identifier: MIT */
/*
 * The life of a connection: connect, talk, count what went wrong, pause, again.
 *
 * A pause comes only after trouble, and grows while a server gives no answer at all, so that a server which closes at
 * once is neither hammered nor does it burn our processor. In an open loop the schedule goes on meanwhile: requests that
 * became due are sent later, and their latency says so.
 *
 * Time limits cost nothing a request: nobody sets a timer. The thread's watch (shard.c) looks at all connections ten
 * times within a limit, and cancels the scope around a talk whose oldest request is overdue.
 */
#include "caller.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>

#define PAUSE_MIN_NS 1000000
#define PAUSE_MAX_NS 500000000
#define TURNS_BYTES  65536 /* requests in flight up to this many bytes find room in any socket's buffers */
#define SEND_AT_ONCE 64    /* requests that leave by one call, when so many are due */

int caller_init(struct caller *caller, struct shard *shard, unsigned number)
{
	const struct plan *plan = shard->plan;
	bool datagrams = shard->target->scheme == SCHEME_UDP;
	*caller = (struct caller){.shard = shard, .number = number, .fd = -1};
	caller->duplex = shard->rate > 0 || datagrams || shard->script->size * plan->depth > TURNS_BYTES;
	caller->origin_ns = shard->course->start_ns;
	if (shard->rate > 0) {
		caller->step_ns = 1e9 * plan->connections / shard->rate;
		caller->origin_ns += (int64_t)(1e9 * number / shard->rate);
		caller->again = calloc(plan->depth, sizeof *caller->again);
	}
	caller->flights = calloc(plan->depth, sizeof *caller->flights);
	if (datagrams) {
		caller->places = calloc(plan->depth, sizeof *caller->places);
		caller->datagram = malloc(shard->script->size);
	}
	if (caller->flights && (caller->again || shard->rate == 0) &&
	    (!datagrams || (caller->places && caller->datagram)))
		return 0;
	caller_done(caller);
	return -ENOMEM;
}

void caller_done(struct caller *caller)
{
	free(caller->flights);
	free(caller->again);
	free(caller->places);
	free(caller->datagram);
	*caller = (struct caller){.fd = -1};
}

/* ---- counting ---- */

/* In an open loop it counts by when it was due, else by when it ended: so each of the schedule counts once. */
static bool counts(const struct shard *shard, int64_t from_ns, int64_t now_ns)
{
	int64_t time_ns = shard->rate > 0 ? from_ns : now_ns;
	return time_ns >= shard->course->begin_ns && time_ns < course_end(shard->course);
}

void caller_answered(struct caller *caller, const struct flight *flight, int64_t now_ns)
{
	struct shard *shard = caller->shard;
	int64_t latency_ns = now_ns - flight->from_ns;
	if (counts(shard, flight->from_ns, now_ns))
		tally_latency(&shard->tally, latency_ns);
	if (caller_measured(caller, now_ns))
		tally_answer(&shard->tally, latency_ns, now_ns);
	uint64_t seen = atomic_load_explicit(&shard->answers_seen, memory_order_relaxed);
	atomic_store_explicit(&shard->answers_seen, seen + 1, memory_order_relaxed);
}

void caller_lost(struct caller *caller, const struct flight *flight, int64_t now_ns)
{
	struct shard *shard = caller->shard;
	if (counts(shard, flight->from_ns, now_ns))
		tally_latency(&shard->tally, now_ns - flight->from_ns);
}

void caller_trouble(struct caller *caller, enum trouble trouble, unsigned count, int64_t now_ns)
{
	struct shard *shard = caller->shard;
	uint64_t seen = atomic_load_explicit(&shard->troubles_seen, memory_order_relaxed);
	atomic_store_explicit(&shard->troubles_seen, seen + count, memory_order_relaxed);
	if (now_ns < shard->course->begin_ns)
		return;
	shard->tally.troubles[trouble] += count;
	struct slice *slice = tally_slice(&shard->tally, now_ns);
	if (slice)
		slice->troubles += count;
}

/* ---- the schedule ---- */

/* Of those that are to be asked again, as many as there is room for. */
static unsigned take_again(struct caller *caller, unsigned room, int64_t *from_ns)
{
	unsigned count = caller->again_count < room ? caller->again_count : room;
	count = count < SEND_AT_ONCE ? count : SEND_AT_ONCE;
	memcpy(from_ns, caller->again, count * sizeof *from_ns);
	caller->again_count -= count;
	memmove(caller->again, caller->again + count, caller->again_count * sizeof *caller->again);
	return count;
}

/*
 * The server said that it answers no more on this connection, so what else was sent on it is no error: it was not
 * looked at. In an open loop it is sent again; in a closed one another takes its place.
 */
static void ask_again(struct caller *caller)
{
	unsigned depth = caller->shard->plan->depth, count = caller_in_flight(caller);
	if (caller->shard->rate > 0) {
		memmove(caller->again + count, caller->again, caller->again_count * sizeof *caller->again);
		for (unsigned i = 0; i < count; i++)
			caller->again[i] = caller->flights[(caller->answered + i) % depth].from_ns;
		caller->again_count += count;
	}
	caller->asked = caller->answered;
}

/* Take from the schedule what is due, as much as there is room for. In a closed loop: what there is room for. */
static unsigned take_due(struct caller *caller, int64_t now_ns, int64_t *from_ns)
{
	unsigned room = caller->shard->plan->depth - caller_in_flight(caller);
	unsigned count = caller->again_count > 0 ? take_again(caller, room, from_ns) : 0;
	int64_t end = course_end(caller->shard->course);
	while (count < room && count < SEND_AT_ONCE) {
		int64_t due = caller->shard->rate > 0 ? caller_due(caller) : now_ns;
		if (due > now_ns || due >= end)
			break;
		caller->scheduled++;
		from_ns[count++] = due;
	}
	return count;
}

/* Nothing could be sent now: wait for room, or for the time of the next. */
static int wait_to_send(struct caller *caller)
{
	if (caller_in_flight(caller) < caller->shard->plan->depth)
		return noria_sleep_until(caller_due(caller));
	noria_event_clear(&caller->room);
	return noria_event_wait(&caller->room);
}

static int send_on_schedule(void *arg)
{
	struct caller *caller = arg;
	bool datagrams = caller->shard->target->scheme == SCHEME_UDP;
	int64_t from_ns[SEND_AT_ONCE], now_ns;
	int error = 0;
	while (error == 0 && !caller_sent_all(caller, now_ns = noria_now())) {
		unsigned count = take_due(caller, now_ns, from_ns);
		if (count == 0)
			error = wait_to_send(caller);
		else if (datagrams)
			error = datagram_ask(caller, from_ns, count, now_ns);
		else
			error = stream_ask(caller, from_ns, count, now_ns);
	}
	if (error < 0 && error != -ECANCELED && caller->trouble == TROUBLE_NONE)
		caller->trouble = error == -ECONNREFUSED ? TROUBLE_CONNECT : TROUBLE_RESET;
	if (error < 0 || caller_in_flight(caller) == 0)
		noria_scope_cancel(&caller->scope);
	return 0;
}

/* What ends a talk is no failure of the group's: it is counted by its kind, and that is all. */
int caller_talk_in_duplex(struct caller *caller, int (*listen_to)(struct caller *))
{
	struct noria_group group;
	noria_try(noria_group_open(&group));
	int error = noria_spawn(&group, send_on_schedule, caller);
	if (error == 0)
		error = listen_to(caller);
	noria_group_cancel(&group);
	int closed = noria_group_close(&group, 0);
	return error < 0 ? error : closed;
}

/* The end of an open loop: what was due and is not answered has waited until now, at least. */
static void count_unanswered(struct caller *caller, int64_t from_ns, int64_t now_ns)
{
	struct shard *shard = caller->shard;
	if (shard->rate == 0 || shard->course->interrupted || !counts(shard, from_ns, now_ns))
		return;
	shard->tally.unanswered++;
	tally_latency(&shard->tally, now_ns - from_ns);
}

static void abandon_in_flight(struct caller *caller, int64_t now_ns)
{
	unsigned depth = caller->shard->plan->depth;
	for (uint64_t i = caller->answered; i < caller->asked && caller->places == NULL; i++)
		count_unanswered(caller, caller->flights[i % depth].from_ns, now_ns);
	for (unsigned place = 0; caller->places && place < depth; place++)
		if (caller->flights[place].number != 0)
			count_unanswered(caller, caller->flights[place].from_ns, now_ns);
}

static void abandon_schedule(struct caller *caller, int64_t now_ns)
{
	int64_t end = course_end(caller->shard->course);
	for (unsigned i = 0; i < caller->again_count; i++)
		count_unanswered(caller, caller->again[i], now_ns);
	for (; caller->shard->rate > 0 && caller_due(caller) < end; caller->scheduled++)
		count_unanswered(caller, caller_due(caller), now_ns);
}

/* ---- connecting and talking ---- */

/* Where nobody listens, the port that the kernel chose for us may be the very one that we ask for. */
static bool reached_itself(int fd, const struct target *target)
{
	struct sockaddr_storage own = {0};
	socklen_t size = sizeof own;
	return getsockname(fd, (struct sockaddr *)&own, &size) == 0 && size > sizeof own.ss_family &&
	       size == target->socket_size && memcmp(&own, &target->socket, size) == 0;
}

static int open_socket(struct caller *caller)
{
	const struct target *target = caller->shard->target;
	int type = target->scheme == SCHEME_UDP ? SOCK_DGRAM : SOCK_STREAM, on = 1;
	noria_autoclose int fd = noria_try(noria_socket(target->socket.ss_family, type | SOCK_CLOEXEC, 0));
	if (target->scheme == SCHEME_TCP || target->scheme == SCHEME_HTTP)
		noria_try(noria_setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on));
	noria_try(noria_within(caller->shard->plan->timeout_ns,
			       noria_connect(fd, (const struct sockaddr *)&target->socket, target->socket_size)));
	if (reached_itself(fd, target))
		return noria_fail(-ECONNREFUSED, "the socket was connected with itself: nobody listens there");
	return noria_take(&fd);
}

static int talk(struct caller *caller)
{
	noria_try(noria_scope_open(&caller->scope, NORIA_FOREVER, 0));
	caller->talking = true;
	int result = caller->shard->target->scheme == SCHEME_UDP ? datagram_talk(caller) : stream_talk(caller);
	caller->talking = false;
	return (int)noria_scope_close(&caller->scope, result);
}

static void pause_after_trouble(struct caller *caller)
{
	int64_t longer = caller->answered > 0 || caller->pause_ns == 0 ? PAUSE_MIN_NS : caller->pause_ns * 2;
	caller->pause_ns = longer < PAUSE_MAX_NS ? longer : PAUSE_MAX_NS;
}

/* The talk is over: requests that it leaves behind share its fate, and are counted as that. */
static void settle(struct caller *caller, int result, int64_t now_ns)
{
	if (caller->trouble == TROUBLE_NONE && result < 0)
		caller->trouble = result == -ECONNREFUSED ? TROUBLE_CONNECT : TROUBLE_RESET;
	if (caller->trouble == TROUBLE_CONNECT && caller->shard->tally.connect_error == 0)
		caller->shard->tally.connect_error = -ECONNREFUSED; /* datagrams are told of it later */
	if (caller->trouble == TROUBLE_NONE && caller->reader.closing)
		ask_again(caller);
	if (caller->trouble == TROUBLE_NONE && !caller_finished(caller, now_ns) &&
	    (caller->answered == 0 || caller_in_flight(caller) > 0))
		caller->trouble = TROUBLE_SHORT;
	caller->pause_ns = caller->trouble == TROUBLE_NONE ? 0 : caller->pause_ns;
	if (caller->trouble == TROUBLE_NONE)
		return;
	unsigned lost = caller_in_flight(caller);
	caller_trouble(caller, (enum trouble)caller->trouble, lost ? lost : 1, now_ns);
	pause_after_trouble(caller);
}

static void attempt(struct caller *caller)
{
	caller->asked = caller->answered = 0;
	caller->trouble = TROUBLE_NONE;
	caller->fd = open_socket(caller);
	if (caller->fd < 0) {
		if (noria_check() < 0)
			return;
		if (caller->shard->tally.connect_error == 0)
			caller->shard->tally.connect_error = caller->fd;
		caller_trouble(caller, TROUBLE_CONNECT, 1, noria_now());
		pause_after_trouble(caller);
		return;
	}
	if (caller->stood_ns == 0)
		caller->stood_ns = noria_now();
	int result = talk(caller);
	noria_close(caller->fd);
	if (noria_check() == 0)
		settle(caller, result, noria_now());
	else if (caller->trouble == TROUBLE_NONE)
		abandon_in_flight(caller, noria_now());
}

/* The ramp: when this connection begins. Of its schedule, what lies before is nobody's. */
static int wait_for_start(struct caller *caller)
{
	const struct shard *shard = caller->shard;
	double part = (double)caller->number / shard->plan->connections;
	int64_t start = shard->course->start_ns + (int64_t)(part * (double)shard->plan->ramp_ns);
	while (shard->rate > 0 && caller_due(caller) < start)
		caller->scheduled++;
	return noria_sleep_until(start);
}

/* The connection stood only when the measuring had begun; or not at all, where nothing went before that. */
static bool is_late(const struct caller *caller)
{
	const struct plan *plan = caller->shard->plan;
	bool prepared = plan->ramp_ns + plan->warmup_ns > 0;
	int64_t limit_ns = prepared ? caller->shard->course->begin_ns : INT64_MAX;
	return caller->stood_ns == 0 || caller->stood_ns > limit_ns;
}

int caller_main(void *arg)
{
	struct caller *caller = arg;
	int error = wait_for_start(caller);
	while (error == 0 && !caller_finished(caller, noria_now())) {
		attempt(caller);
		error = caller->pause_ns > 0 ? noria_sleep(caller->pause_ns) : noria_check();
	}
	abandon_schedule(caller, noria_now());
	caller->shard->tally.late += is_late(caller);
	return 0;
}

void caller_watch(struct caller *caller, int64_t now_ns)
{
	const struct plan *plan = caller->shard->plan;
	if (!caller->talking || caller_in_flight(caller) == 0)
		return;
	if (caller->shard->target->scheme == SCHEME_UDP) {
		datagram_expire(caller, now_ns);
		return;
	}
	const struct flight *oldest = &caller->flights[caller->answered % plan->depth];
	if (now_ns - oldest->sent_ns < plan->timeout_ns || caller->trouble != TROUBLE_NONE)
		return;
	caller->trouble = TROUBLE_TIMEOUT;
	for (uint64_t i = caller->answered; i < caller->asked; i++)
		caller_lost(caller, &caller->flights[i % plan->depth], now_ns);
	noria_scope_cancel(&caller->scope);
}
