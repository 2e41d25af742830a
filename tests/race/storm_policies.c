/* SPDX-License-Identifier: MIT */
/*
 * The storm's groups of the other policies: races for a descriptor, of which each that was opened is the winner's or is
 * disposed of; collecting groups, which hand each result over once; supervised ones, whose failures the handler hears of.
 */
#include "storm.h"

#include <sys/eventfd.h>
#include <unistd.h>

enum { MEMBERS = 6 };

static unsigned long races_won, disposed, handed_over, supervised_failures;

/* ---- race ---- */

struct race {
	unsigned depth, opened, disposed;
};

static int run_for_it(void *arg)
{
	struct race *race = arg;
	int fd, r;

	if (storm_below(2))
		storm_some_operations(race->depth);
	if (storm_below(3) == 0)
		return noria_fail(-EIO, "fell");
	r = storm_below(4) ? noria_check() : 0; /* some do not look, and come too late */
	if (r < 0)
		return r;
	fd = eventfd(0, EFD_CLOEXEC);
	CHECK(fd > 0);
	race->opened++;
	return fd;
}

static void dispose(int result, void *arg)
{
	struct race *race = arg;

	CHECK(result > 0 && close(result) == 0);
	race->disposed++;
	disposed++;
}

static int race_for_descriptor(unsigned depth)
{
	struct race race = {.depth = depth + 1};
	struct noria_group_options options = {.policy = NORIA_RACE,
					      .dispose = dispose,
					      .dispose_arg = &race,
					      .children_max = storm_below(3) ? 0 : 2,
					      .deadline_ns = storm_below(2) ? 0 : noria_now() + 4 * storm_soon()};
	struct noria_group group;
	unsigned place;
	int r = 0;

	CHECK(noria_group_open_with(&group, &options) == 0);
	place = storm_expose(noria_group_scope(&group));
	for (unsigned n = 1 + storm_below(4); n > 0 && r == 0; n--)
		r = noria_spawn(&group, run_for_it, &race);
	CHECK(r == 0 || r == -ECANCELED);
	if (storm_below(8) == 0)
		r = noria_fail(-EPROTO, "the body of a race");
	r = noria_group_close(&group, r);
	storm_hide(place);
	CHECK(race.disposed + (r > 0) == race.opened);
	CHECK(r >= 0 || r == -ECANCELED || r == -ETIMEDOUT || r == -EIO || r == -EPROTO);
	races_won += r > 0;
	if (r > 0)
		CHECK(close(r) == 0);
	if (r == -EIO || r == -EPROTO)
		storm_take_apart(r, storm_count_failures(noria_last_failure()->causes), true);
	return r == -ECANCELED || r == -ETIMEDOUT ? r : 0;
}

/* ---- collect ---- */

struct collecting {
	struct noria_group group;
	struct errand {
		struct collecting *all;
		int result;
		bool ended, handed;
	} errands[MEMBERS];
	unsigned depth, spawned;
};

static int run_errand(void *arg)
{
	struct errand *errand = arg;
	int r;

	if (storm_below(2))
		storm_some_operations(errand->all->depth);
	r = storm_below(3) ? noria_check() : noria_fail(-ENODATA, "nothing was found");
	errand->result = r < 0 ? r : 5;
	errand->ended = true;
	return errand->result;
}

static void take_result(struct collecting *collecting, const struct noria_result *result)
{
	struct errand *errand = result->arg;

	CHECK(errand->all == collecting && errand->ended && !errand->handed && errand->result == result->result);
	errand->handed = true;
	handed_over++;
	CHECK((result->result == -ENODATA) == (result->failure != NULL));
	if (result->failure)
		CHECK(result->failure->code == -ENODATA && strcmp(result->failure->text, "nothing was found") == 0);
}

static unsigned count_left(const struct collecting *collecting, bool failed)
{
	unsigned count = 0;

	for (unsigned i = 0; i < collecting->spawned; i++)
		if (!collecting->errands[i].handed && (!failed || collecting->errands[i].result == -ENODATA))
			count++;
	return count;
}

static int collect(struct collecting *collecting)
{
	struct noria_result result;
	int r = 0;

	for (unsigned n = storm_below(MEMBERS); n > 0 && r == 0; n--) {
		struct errand *errand = &collecting->errands[collecting->spawned];

		*errand = (struct errand){.all = collecting};
		r = noria_spawn(&collecting->group, run_errand, errand);
		collecting->spawned += r == 0;
	}
	while (r >= 0 && storm_below(16)) {
		if (storm_below(3) == 0)
			r = noria_within(storm_soon(), noria_group_next(&collecting->group, &result));
		else
			r = noria_group_next(&collecting->group, &result);
		if (r == 1)
			take_result(collecting, &result);
		else
			break;
	}
	CHECK(r >= 0 || r == -ECANCELED || r == -ETIMEDOUT);
	if (r == 0 && noria_group_size(&collecting->group) == 0)
		CHECK(collecting->spawned == 0 || count_left(collecting, false) == 0 || noria_check() == 0);
	return r == -ETIMEDOUT || r > 0 ? 0 : r;
}

static int collect_results(unsigned depth)
{
	struct noria_group_options options = {.policy = NORIA_COLLECT, .children_max = storm_below(3) ? 0 : 2};
	struct collecting collecting = {.depth = depth + 1};
	unsigned place, left;
	int r;

	CHECK(noria_group_open_with(&collecting.group, &options) == 0);
	place = storm_expose(noria_group_scope(&collecting.group));
	r = noria_group_close(&collecting.group, collect(&collecting));
	storm_hide(place);
	left = count_left(&collecting, true);
	if (left == 0) {
		CHECK(r == 0 || r == -ECANCELED || r == -ETIMEDOUT);
		return r;
	}
	CHECK(r == -ENODATA);
	storm_take_apart(r, left, true);
	return 0;
}

/* ---- supervise ---- */

enum { SUPERVISED = -EXFULL }; /* of nothing else: the handler counts its reports by code */

static int fail_at_times(void *arg)
{
	if (storm_below(2))
		storm_some_operations(*(unsigned *)arg);
	if (storm_below(2))
		return noria_check();
	supervised_failures++;
	return noria_fail(SUPERVISED, "under supervision");
}

static int supervise(unsigned depth)
{
	struct noria_group_options options = {.policy = NORIA_SUPERVISE};
	struct noria_group group;
	unsigned place, deeper = depth + 1;
	int r = 0;

	CHECK(noria_group_open_with(&group, &options) == 0);
	place = storm_expose(noria_group_scope(&group));
	for (unsigned n = 1 + storm_below(3); n > 0 && r == 0; n--)
		r = noria_spawn_copy(&group, fail_at_times, &deeper, sizeof deeper);
	r = noria_group_close(&group, r);
	storm_hide(place);
	CHECK(r == 0 || r == -ECANCELED || r == -ETIMEDOUT);
	return r;
}

static void open_all(void)
{
	races_won = disposed = handed_over = supervised_failures = 0;
}

static void close_all(void)
{
	CHECK(supervised_failures == storm_heard(SUPERVISED));
	storm_note("races won", races_won);
	storm_note("late successes disposed of", disposed);
	storm_note("results collected", handed_over);
	storm_note("supervised failures heard", supervised_failures);
}

static const struct storm_operation operations[] = {
	{"race", race_for_descriptor, 4, .nests = true},
	{"collect", collect_results, 4, .nests = true},
	{"supervise", supervise, 3, .nests = true},
};

const struct storm_subject storm_policies = {.operations = operations,
					     .count = sizeof operations / sizeof operations[0],
					     .open = open_all,
					     .close = close_all};
