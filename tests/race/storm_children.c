/* SPDX-License-Identifier: MIT */
/*
 * The storm's single children: with handles, by which they are cancelled and waited for; started with a handshake, of which
 * both sides tell the same; and services, which are told to end when nobody else is left.
 */
#include "storm.h"

enum { MEMBERS = 4 };

static unsigned long waited_for, cancelled_singly, started, start_failed, served;

/* ---- handles ---- */

struct flock {
	struct noria_child handles[MEMBERS];
	struct member {
		struct flock *flock;
		unsigned number;
		int result;
		bool ended;
	} members[MEMBERS];
	unsigned depth, spawned;
};

static void cancel_one(struct flock *flock, unsigned below)
{
	cancelled_singly++;
	noria_child_cancel(&flock->handles[storm_below(below)]);
}

static int wait_for_one(struct flock *flock, unsigned below)
{
	unsigned number = storm_below(below);
	int result = 1000, r = noria_child_wait(&flock->handles[number], &result);

	CHECK(r == -ECANCELED || (r == 0 && flock->members[number].ended && flock->members[number].result == result &&
				  noria_child_ended(&flock->handles[number])));
	waited_for += r == 0;
	return r;
}

static int run_member(void *arg)
{
	struct member *member = arg;

	storm_some_operations(member->flock->depth);
	if (member->number > 0 && storm_below(2))
		(void)!wait_for_one(member->flock, member->number);
	if (member->number > 0 && storm_below(4) == 0)
		cancel_one(member->flock, member->number);
	member->result = storm_below(2) ? (int)storm_below(100) : noria_check();
	member->ended = true;
	return member->result;
}

static int with_handles(unsigned depth)
{
	struct flock flock = {.depth = depth + 1};
	struct noria_group group;
	unsigned place;
	int r = 0;

	CHECK(noria_group_open(&group) == 0);
	place = storm_expose(noria_group_scope(&group));
	for (unsigned n = 1 + storm_below(MEMBERS); n > 0 && r == 0; n--) {
		unsigned number = flock.spawned;
		struct noria_spawn_options options = {.name = "member", .child = &flock.handles[number]};

		flock.members[number] = (struct member){&flock, number, 0, false};
		r = noria_spawn_with(&group, run_member, &flock.members[number], &options);
		CHECK(r == 0 || r == -ECANCELED);
		flock.spawned += r == 0;
	}
	for (unsigned n = flock.spawned > 0 ? storm_below(4) : 0; n > 0; n--)
		if (storm_below(2))
			cancel_one(&flock, flock.spawned);
		else
			r = wait_for_one(&flock, flock.spawned);
	r = noria_group_close(&group, r);
	storm_hide(place);
	for (unsigned i = 0; i < flock.spawned; i++)
		CHECK(flock.members[i].ended);
	CHECK(r == 0 || r == -ECANCELED || r == -ETIMEDOUT);
	return r;
}

/* ---- the start handshake ---- */

enum { READY = 42 };

struct start {
	unsigned depth;
	enum { FAILS, FORGETS, GETS_READY } way;
	bool alive, ready;
};

static int get_ready(void *arg)
{
	struct start *start = arg;
	int r;

	start->alive = true;
	if (storm_below(2))
		storm_some_operations(start->depth);
	if (start->way == FAILS) {
		start->alive = false;
		return noria_fail(-EIO, "did not start");
	}
	r = start->way == GETS_READY ? noria_ready(READY) : 0;
	CHECK(r == 0 || r == -ECANCELED);
	start->ready = start->way == GETS_READY && r == 0;
	if (start->ready)
		CHECK(noria_ready(READY) == -EINVAL);
	if (start->ready && storm_below(2))
		storm_some_operations(start->depth);
	start->alive = false;
	return r;
}

static void check_start(const struct start *start, int r)
{
	if (r == READY) {
		started++;
		CHECK(start->ready);
		return;
	}
	start_failed++;
	CHECK(!start->ready && !start->alive);
	CHECK(r == -ECANCELED || (r == -EIO && start->way == FAILS) || (r == -EPROTO && start->way == FORGETS));
}

static int with_start(unsigned depth)
{
	struct start starts[3];
	struct noria_group group;
	unsigned place;
	int r = 0;

	CHECK(noria_group_open(&group) == 0);
	place = storm_expose(noria_group_scope(&group));
	for (unsigned i = 0; i < 3 && r != -ECANCELED; i++) {
		starts[i] = (struct start){.depth = depth + 1, .way = storm_below(3)};
		if (storm_below(3) == 0)
			r = noria_within(storm_soon(), noria_start(&group, get_ready, &starts[i]));
		else
			r = noria_start(&group, get_ready, &starts[i]);
		check_start(&starts[i], r == -ETIMEDOUT && !starts[i].ready ? -ECANCELED : r == -ETIMEDOUT ? READY : r);
	}
	r = noria_group_close(&group, r == -ECANCELED ? r : 0);
	storm_hide(place);
	CHECK(r == 0 || r == -ECANCELED || r == -ETIMEDOUT);
	return r;
}

/* ---- services ---- */

struct house {
	unsigned depth, guests, services;
	bool body_left;
};

static int serve(void *arg)
{
	struct house *house = arg;

	while (noria_check() == 0) {
		storm_some_operations(house->depth);
		if (noria_sleep(noria_usec(storm_below(200))) < 0)
			break;
	}
	if (noria_grace() == NORIA_FOREVER) /* else something may have come through the shield of services */
		CHECK(noria_task_cause(NULL) == NORIA_CAUSE_DECIDED && house->body_left && house->guests == 0);
	house->services--;
	served++;
	return storm_below(2) ? 0 : noria_check();
}

static int visit(void *arg)
{
	struct house *house = arg;

	CHECK(house->services > 0 || noria_check() < 0 || noria_grace() != NORIA_FOREVER);
	storm_some_operations(house->depth);
	house->guests--;
	return 0;
}

static int with_services(unsigned depth)
{
	struct house house = {.depth = depth + 1};
	struct noria_spawn_options service = {.service = true};
	struct noria_group group;
	unsigned place;
	int r;

	CHECK(noria_group_open(&group) == 0);
	place = storm_expose(noria_group_scope(&group));
	r = noria_spawn_with(&group, serve, &house, &service);
	house.services += r == 0;
	for (unsigned n = storm_below(4); n > 0 && r == 0; n--) {
		r = noria_spawn(&group, visit, &house);
		house.guests += r == 0;
	}
	CHECK(r == 0 || r == -ECANCELED);
	if (storm_below(2))
		storm_some_operations(depth);
	house.body_left = true;
	r = noria_group_close(&group, r);
	storm_hide(place);
	CHECK(house.services == 0 && house.guests == 0);
	CHECK(r == 0 || r == -ECANCELED || r == -ETIMEDOUT);
	return r;
}

/* ---- the calm: several wait for one, and nothing ends their wait but its end ---- */

static int pause_calmly(void *arg)
{
	struct member *member = arg;

	storm_pause();
	storm_pause();
	member->ended = true;
	return member->result;
}

static int wait_calmly(void *arg)
{
	CHECK(wait_for_one(arg, 1) == 0);
	return 0;
}

static int live_calmly(void *arg)
{
	(void)arg;
	for (unsigned n = 0; n < STORM_ROUNDS; n++) {
		struct flock flock = {.spawned = 1};
		struct noria_spawn_options options = {.child = &flock.handles[0]};
		struct noria_group group;

		flock.members[0].result = 17;
		CHECK(noria_group_open(&group) == 0);
		CHECK(noria_spawn_with(&group, pause_calmly, &flock.members[0], &options) == 0);
		for (unsigned i = 0; i < MEMBERS; i++)
			CHECK(noria_spawn(&group, wait_calmly, &flock) == 0);
		CHECK(noria_group_close(&group, 0) == 0);
	}
	return 0;
}

static void open_all(void)
{
	waited_for = cancelled_singly = started = start_failed = served = 0;
}

static void close_all(void)
{
	storm_calm("children, with nothing cancelled", live_calmly);
	storm_note("children waited for", waited_for);
	storm_note("children cancelled singly", cancelled_singly);
	storm_note("children started", started);
	storm_note("starts that failed", start_failed);
	storm_note("services that ended", served);
}

static const struct storm_operation operations[] = {
	{"children with handles", with_handles, 4, .nests = true},
	{"start", with_start, 4, .nests = true},
	{"services", with_services, 3, .nests = true},
};

const struct storm_subject storm_children = {.operations = operations,
					     .count = sizeof operations / sizeof operations[0],
					     .open = open_all,
					     .close = close_all};
