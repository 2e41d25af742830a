/* SPDX-License-Identifier: MIT */
/*
 * The storm's plain groups: with and without failures, nested, bounded, with release handlers. Every failure of a child
 * stands in the tree that the outermost group closes with; no child outlives its group; every handler runs once.
 */
#include "storm.h"

struct crowd {
	unsigned alive, failed, bound;
};

struct member {
	struct crowd *crowd;
	struct noria_group *group;
	unsigned depth;
};

static unsigned long children, failures, released;

static bool ended_well(int r)
{
	return r == 0 || r == -ECANCELED || r == -ETIMEDOUT;
}

/* ---- no failures ---- */

static int child(void *arg)
{
	struct member *member = arg;

	children++;
	member->crowd->alive++;
	CHECK(member->crowd->bound == 0 || member->crowd->alive <= member->crowd->bound);
	storm_some_operations(member->depth);
	member->crowd->alive--;
	return storm_below(2) ? 0 : noria_check();
}

static int spawn_some(struct member *member, unsigned count)
{
	int r = 0;

	while (count-- > 0 && r == 0)
		r = noria_spawn_copy(member->group, child, member, sizeof *member);
	CHECK(r == 0 || r == -ECANCELED);
	return r;
}

static int in_group(unsigned depth)
{
	struct noria_group_options options = {.children_max = storm_below(3) ? 0 : 1 + storm_below(2),
					      .deadline_ns = storm_below(2) ? 0 : noria_now() + 4 * storm_soon(),
					      .grace_ns = storm_below(3) ? 0 : 1 + storm_soon()};
	struct crowd crowd = {.bound = options.children_max};
	struct noria_group group;
	struct member member = {&crowd, &group, depth + 1};
	unsigned place;
	int r;

	CHECK(noria_group_open_with(&group, &options) == 0);
	place = storm_expose(noria_group_scope(&group));
	r = spawn_some(&member, storm_below(4));
	if (storm_below(2))
		storm_some_operations(depth);
	r = noria_group_close(&group, r == 0 ? noria_check() : r);
	storm_hide(place);
	CHECK(crowd.alive == 0 && ended_well(r));
	return r;
}

/* ---- failures ---- */

static int fail_together(struct crowd *crowd, struct noria_group *group, unsigned depth);

static int may_fail(void *arg)
{
	struct member *member = arg;
	struct noria_group inner;
	unsigned depth = member->depth;

	member->crowd->alive++;
	if (storm_below(2))
		storm_some_operations(depth);
	member->crowd->alive--;
	if (depth < STORM_DEPTH && storm_below(3) == 0) {
		noria_try(noria_grouped(&inner, fail_together(member->crowd, &inner, depth)));
		return 0;
	}
	if (storm_below(3))
		return storm_below(2) ? 0 : noria_check();
	member->crowd->failed++;
	return noria_fail(storm_below(2) ? -EIO : -ENODATA, "a child at depth %u of %zu siblings", depth,
			  noria_group_size(member->group));
}

/* The body of a group. */
static int fail_together(struct crowd *crowd, struct noria_group *group, unsigned depth)
{
	struct member member = {crowd, group, depth + 1};

	for (unsigned n = 1 + storm_below(3); n > 0; n--)
		if (noria_spawn_copy(group, may_fail, &member, sizeof member) < 0)
			return noria_check();
	if (storm_below(4))
		return 0;
	crowd->failed++;
	return noria_fail(-EPROTO, "the body at depth %u", depth);
}

static int fail_fast(unsigned depth)
{
	struct noria_group_options options = {.failures_max = storm_below(2) ? 0 : 1 + storm_below(2)};
	struct crowd crowd = {0};
	struct noria_group group;
	int r = noria_grouped_with(&group, &options, fail_together(&crowd, &group, depth));

	CHECK(crowd.alive == 0);
	failures += crowd.failed;
	if (crowd.failed == 0) {
		CHECK(r == 0 || r == -ECANCELED);
		return r;
	}
	CHECK(r == -EIO || r == -ENODATA || r == -EPROTO);
	storm_take_apart(r, crowd.failed, options.failures_max == 0);
	return 0;
}

/* ---- release handlers ---- */

enum { HANDLERS = 4 };

struct handler {
	unsigned *left, number, depth;
	int result;
};

/* The latest first. Behind a shield: a cancel of the group, or around it, is not seen. */
static int release(void *arg)
{
	struct handler *handler = arg;

	CHECK(--*handler->left == handler->number);
	CHECK(noria_check() == 0 || noria_grace() != NORIA_FOREVER);
	released++;
	if (storm_below(2))
		storm_some_operations(handler->depth);
	return handler->result < 0 ? noria_fail(handler->result, "handler %u", handler->number) : 0;
}

static int with_handlers(unsigned depth)
{
	struct handler handlers[HANDLERS];
	struct noria_group group;
	struct crowd crowd = {0};
	struct member member = {&crowd, &group, depth + 1};
	unsigned left, place, count = 1 + storm_below(HANDLERS), failing = 0;
	int r;

	CHECK(noria_group_open(&group) == 0);
	place = storm_expose(noria_group_scope(&group));
	for (left = 0; left < count; left++) {
		handlers[left] = (struct handler){&left, left, depth + 1, storm_below(6) ? 0 : -EIO};
		failing += handlers[left].result < 0;
		CHECK(noria_group_release(&group, release, &handlers[left]) == 0);
	}
	r = noria_group_close(&group, spawn_some(&member, storm_below(3)));
	storm_hide(place);
	CHECK(left == 0 && crowd.alive == 0);
	CHECK(failing > 0 ? r == -EIO : ended_well(r));
	if (failing == 0)
		return r;
	storm_take_apart(r, failing, true);
	return 0;
}

static void open_all(void)
{
	children = failures = released = 0;
}

static void close_all(void)
{
	storm_note("children of plain groups", children);
	storm_note("failures in trees", failures);
	storm_note("release handlers run", released);
}

static const struct storm_operation operations[] = {
	{"group", in_group, 5, .nests = true},
	{"group that fails", fail_fast, 5, .nests = true},
	{"group with handlers", with_handlers, 3, .nests = true},
};

const struct storm_subject storm_groups = {.operations = operations,
					   .count = sizeof operations / sizeof operations[0],
					   .open = open_all,
					   .close = close_all};
