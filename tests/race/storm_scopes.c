/* SPDX-License-Identifier: MIT */
/*
 * The storm's scopes: deadlines, shields of both kinds, graces, idle waits, and those who meddle with what other tasks do:
 * they cancel, drain, and move deadlines.
 */
#include "storm.h"

enum { PLACES = 24 };

static struct noria_scope *places[PLACES];
static unsigned long ended_by[NORIA_CAUSE_DEADLOCK + 1];

unsigned storm_expose(struct noria_scope *scope)
{
	unsigned place = storm_below(PLACES);

	if (places[place])
		return PLACES;
	places[place] = scope;
	return place;
}

void storm_hide(unsigned place)
{
	if (place < PLACES)
		places[place] = NULL;
}

static int cancel_some(unsigned depth)
{
	struct noria_scope *scope = places[storm_below(PLACES)];

	(void)depth;
	if (!scope)
		return STORM_NOTHING;
	if (storm_below(2))
		noria_scope_cancel(scope);
	else
		noria_scope_cancel_because(scope, "the storm");
	return 0;
}

/* -EINVAL: a group that has been left, by a close that lets others run before it returns. */
static int drain_some(unsigned depth)
{
	struct noria_scope *scope = places[storm_below(PLACES)];

	int r;

	(void)depth;
	if (!scope)
		return STORM_NOTHING;
	r = noria_scope_drain(scope, storm_below(4) ? storm_soon() : NORIA_FOREVER);
	CHECK(r == 0 || r == -EINVAL);
	return 0;
}

static int move_some(unsigned depth)
{
	struct noria_scope *scope = places[storm_below(PLACES)];
	int r;

	(void)depth;
	if (!scope)
		return STORM_NOTHING;
	r = noria_scope_set_deadline(scope, noria_now() + storm_soon());
	CHECK(r == 0 || r == -EBUSY || r == -EINVAL);
	return 0;
}

static void set_grace(struct noria_scope *scope)
{
	int r = noria_scope_set_grace(scope, storm_below(3) ? storm_soon() : 0);

	CHECK(r == 0 || r == -EBUSY);
}

/* What tells a task behind a shield to stop is the shield's own, or has come through it for a reason. */
static void check_shield(struct noria_scope *scope, unsigned flags)
{
	struct noria_cause cause;
	enum noria_cause_kind kind = noria_scope_cause(scope, &cause);

	if (noria_check() == 0)
		return;
	CHECK(noria_task_cause(NULL) != NORIA_CAUSE_NONE);
	kind = noria_scope_cause(scope, &cause);
	if (flags & NORIA_SCOPE_HARD_SHIELD)
		CHECK(kind != NORIA_CAUSE_NONE);
	else if (flags & NORIA_SCOPE_SHIELD)
		CHECK(kind != NORIA_CAUSE_NONE || noria_grace() != NORIA_FOREVER);
}

static int in_scope(unsigned depth)
{
	static const unsigned kinds[] = {0, 0, 0, NORIA_SCOPE_SHIELD, NORIA_SCOPE_HARD_SHIELD, NORIA_SCOPE_IDLE};
	struct noria_scope scope;
	unsigned flags = kinds[storm_below(6)], place;
	ssize_t r;

	CHECK(noria_scope_open(&scope, noria_now() + 4 * storm_soon(), flags) == 0);
	place = storm_expose(&scope);
	if (storm_below(4) == 0)
		set_grace(&scope);
	storm_some_operations(depth);
	check_shield(&scope, flags);
	if (storm_below(8) == 0) {
		r = noria_scope_set_deadline(&scope, noria_now() + storm_soon());
		CHECK(r == 0 || r == -EBUSY);
		storm_some_operations(depth);
	}
	if (storm_below(8) == 0)
		CHECK(noria_scope_unshield(&scope) == 0);
	storm_hide(place);
	r = noria_scope_close(&scope, noria_check());
	ended_by[noria_scope_cause(&scope, NULL)]++;
	CHECK(r == 0 || r == -ECANCELED || r == -ETIMEDOUT);
	return (int)r;
}

static void open_all(void)
{
	memset(ended_by, 0, sizeof ended_by);
}

static void close_all(void)
{
	for (unsigned i = 0; i < PLACES; i++)
		CHECK(!places[i]);
	storm_note("scopes left in peace", ended_by[NORIA_CAUSE_NONE]);
	storm_note("scopes cancelled by a call", ended_by[NORIA_CAUSE_EXPLICIT]);
	storm_note("scopes ended by a deadline", ended_by[NORIA_CAUSE_DEADLINE]);
	storm_note("scopes ended by a drain", ended_by[NORIA_CAUSE_SHUTDOWN]);
}

static const struct storm_operation operations[] = {
	{"cancel", cancel_some, 8},
	{"drain", drain_some, 2},
	{"move a deadline", move_some, 2},
	{"scope", in_scope, 8, .nests = true},
};

const struct storm_subject storm_scopes = {.operations = operations,
					   .count = sizeof operations / sizeof operations[0],
					   .open = open_all,
					   .close = close_all};
