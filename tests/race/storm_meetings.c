/* SPDX-License-Identifier: MIT */
/*
 * Where the storm's tasks wait for one another: conditions, events, barriers, once. A signal wakes one who says so, and none
 * is used up by one who was cancelled; a barrier lets its parties pass in full rounds; a function runs once with success.
 */
#include "storm.h"

enum { PLACES = 2, PARTIES = 3 };

static struct {
	struct noria_mutex mutex;
	struct noria_condition condition;
	unsigned inside;
	unsigned long tokens, signalled, woken;
} conditions[PLACES];

static struct {
	struct noria_event event;
	unsigned long times_set;
} events[PLACES];

static struct {
	struct noria_barrier barrier;
	unsigned long last, others;
} barriers[PLACES];

static struct once {
	struct noria_once once;
	unsigned users, running, successes;
} onces[PLACES];

static unsigned long signals_given, rounds, onces_done;

static int wait_for_token(unsigned depth)
{
	unsigned i = storm_below(PLACES);
	int r = noria_mutex_lock(&conditions[i].mutex);

	(void)depth;
	if (r < 0)
		return r;
	while (r == 0 && conditions[i].tokens == 0) {
		CHECK(conditions[i].inside == 0);
		r = noria_condition_wait(&conditions[i].condition, &conditions[i].mutex);
		CHECK(r == 0 || r == -ECANCELED);
		conditions[i].woken += r == 0;
	}
	CHECK(++conditions[i].inside == 1);
	if (conditions[i].tokens > 0)
		conditions[i].tokens--;
	storm_pause();
	CHECK(--conditions[i].inside == 0);
	CHECK(noria_mutex_unlock(&conditions[i].mutex) == 0);
	return r;
}

static int bring_token(unsigned depth)
{
	unsigned i = storm_below(PLACES);
	struct noria_condition *condition = &conditions[i].condition;
	bool hold = storm_below(2);
	int r = hold ? noria_mutex_lock(&conditions[i].mutex) : 0;

	(void)depth;
	if (r < 0)
		return r;
	conditions[i].tokens += conditions[i].tokens == 0;
	r = storm_below(4) ? noria_condition_signal(condition) : noria_condition_broadcast(condition);
	CHECK(r >= 0);
	conditions[i].signalled += (unsigned)r;
	if (hold)
		CHECK(noria_mutex_unlock(&conditions[i].mutex) == 0);
	return 0;
}

static int wait_for_event(unsigned depth)
{
	unsigned i = storm_below(PLACES);
	bool was_set = noria_event_is_set(&events[i].event);
	unsigned long before = events[i].times_set;
	int r = noria_event_wait(&events[i].event);

	(void)depth;
	CHECK(r == -ECANCELED || (r == 0 && (was_set || events[i].times_set > before)));
	return r;
}

static int set_or_clear(unsigned depth)
{
	unsigned i = storm_below(PLACES);

	(void)depth;
	if (storm_below(3) == 0) {
		events[i].times_set++;
		CHECK(noria_event_set(&events[i].event) == 0 && noria_event_is_set(&events[i].event));
	} else {
		CHECK(noria_event_clear(&events[i].event) == 0 && !noria_event_is_set(&events[i].event));
	}
	return 0;
}

static int meet(unsigned depth)
{
	unsigned i = storm_below(PLACES);
	int r = noria_barrier_wait(&barriers[i].barrier);

	(void)depth;
	CHECK(r == 0 || r == 1 || r == -ECANCELED || r == -EPIPE);
	barriers[i].last += r == 1;
	barriers[i].others += r == 0;
	if (r == -EPIPE || r == -ECANCELED)
		CHECK(noria_barrier_reset(&barriers[i].barrier) == 0);
	return r == -ECANCELED ? r : 0;
}

static int succeed_at_times(void *arg)
{
	struct once *once = arg;
	int r;

	CHECK(once->successes == 0 && ++once->running == 1);
	storm_pause();
	r = storm_below(3) ? noria_check() : -EIO;
	CHECK(--once->running == 0);
	if (r == 0)
		once->successes++;
	return r < 0 ? r : 11;
}

static int do_once(unsigned depth)
{
	struct once *once = &onces[storm_below(PLACES)];
	int r;

	(void)depth;
	if (once->users == 0 && once->successes > 0) {
		onces_done++;
		*once = (struct once){.users = 0};
	}
	once->users++;
	r = noria_once(&once->once, succeed_at_times, once);
	CHECK(r == -EIO || r == -ECANCELED || (r == 11 && once->successes == 1 && once->running == 0));
	once->users--;
	return r == -ECANCELED ? r : 0;
}

/* ---- the calm: three bring what three take, and three each meet at a barrier ---- */

static int consume(unsigned i)
{
	CHECK(noria_mutex_lock(&conditions[i].mutex) == 0);
	while (conditions[i].tokens == 0) {
		CHECK(noria_condition_wait(&conditions[i].condition, &conditions[i].mutex) == 0);
		conditions[i].woken++;
	}
	conditions[i].tokens--;
	return noria_mutex_unlock(&conditions[i].mutex);
}

static int produce(unsigned i)
{
	storm_pause();
	conditions[i].tokens++;
	conditions[i].signalled += (unsigned)noria_condition_signal(&conditions[i].condition);
	return 0;
}

static int succeed(void *arg)
{
	struct once *once = arg;

	storm_pause();
	once->successes++;
	return 11;
}

static int meet_calmly(void *arg)
{
	unsigned task = *(unsigned *)arg, i = task / PARTIES;

	for (unsigned n = 0; n < STORM_ROUNDS; n++) {
		int r = noria_barrier_wait(&barriers[i].barrier);

		CHECK(r == 0 || r == 1);
		barriers[i].last += r == 1;
		barriers[i].others += r == 0;
	}
	for (unsigned n = 0; n < STORM_ROUNDS; n++)
		for (i = 0; i < PLACES; i++)
			CHECK((task % 2 ? consume(i) : produce(i)) == 0);
	storm_pause();
	for (i = 0; i < PLACES; i++) {
		CHECK((task == 0 ? noria_event_set(&events[i].event) : noria_event_wait(&events[i].event)) == 0);
		CHECK(noria_once(&onces[i].once, succeed, &onces[i]) == 11 && onces[i].successes == 1);
	}
	return 0;
}

_Static_assert(PLACES *PARTIES == STORM_CALM, "each barrier has its parties");

static void open_all(void)
{
	memset(conditions, 0, sizeof conditions);
	memset(events, 0, sizeof events);
	memset(onces, 0, sizeof onces);
	for (unsigned i = 0; i < PLACES; i++) {
		barriers[i].barrier = (struct noria_barrier)NORIA_BARRIER(PARTIES);
		barriers[i].last = barriers[i].others = 0;
	}
	signals_given = rounds = onces_done = 0;
}

static void close_all(void)
{
	for (unsigned i = 0; i < PLACES; i++)
		CHECK(noria_barrier_reset(&barriers[i].barrier) == 0 && noria_event_clear(&events[i].event) == 0);
	storm_calm("conditions, events, barriers, once, with nothing cancelled", meet_calmly);
	for (unsigned i = 0; i < PLACES; i++) {
		CHECK(noria_mutex_trylock(&conditions[i].mutex) == 0 && noria_mutex_unlock(&conditions[i].mutex) == 0);
		CHECK(conditions[i].signalled == conditions[i].woken);
		CHECK(noria_condition_broadcast(&conditions[i].condition) == 0);
		CHECK(barriers[i].others == barriers[i].last * (PARTIES - 1));
		CHECK(onces[i].users == 0 && onces[i].running == 0);
		signals_given += conditions[i].signalled;
		rounds += barriers[i].last;
	}
	storm_note("signals taken", signals_given);
	storm_note("rounds of barriers", rounds);
	storm_note("onces done", onces_done);
}

static const struct storm_operation operations[] = {
	{"condition: wait", wait_for_token, 5},
	{"condition: signal", bring_token, 4},
	{"event: wait", wait_for_event, 4},
	{"event: set, clear", set_or_clear, 2},
	{"barrier", meet, 5},
	{"once", do_once, 4},
};

const struct storm_subject storm_meetings = {.operations = operations,
					     .count = sizeof operations / sizeof operations[0],
					     .open = open_all,
					     .close = close_all};
