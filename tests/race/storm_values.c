/* SPDX-License-Identifier: MIT */
/*
 * The storm's context values: a task has those of its spawner, whatever either does later, and a call in a thread reads its
 * caller's. Owned ones are counted: each that was set is released exactly once.
 */
#include "storm.h"

static unsigned long owned_set, owned_released, inherited;
static int64_t numbers;

static void release(int64_t number)
{
	CHECK(number > 0);
	owned_released++;
}

NORIA_KEY_STATIC(storm_number, int64_t);
NORIA_KEY_STATIC_OWNED(storm_owned, int64_t, release);

struct heir {
	int64_t number, owned;
	unsigned depth;
};

static void set_owned(int64_t number)
{
	CHECK(noria_value_set(&storm_owned, number) == 0);
	owned_set++;
}

static int inherit(void *arg)
{
	struct heir *heir = arg;

	CHECK(noria_value_get(&storm_number) == heir->number && noria_value_get(&storm_owned) == heir->owned);
	inherited++;
	if (storm_below(2))
		set_owned(++numbers);
	CHECK(noria_value_set(&storm_number, -heir->number) == 0);
	storm_some_operations(heir->depth);
	CHECK(noria_value_get(&storm_number) == -heir->number);
	return 0;
}

static int read_in_thread(void *arg)
{
	const struct heir *heir = arg;

	return noria_value_get(&storm_number) == heir->number && noria_value_get(&storm_owned) == heir->owned;
}

static int with_children(struct heir *heir)
{
	struct noria_group group;
	unsigned place;
	int r = 0;

	CHECK(noria_group_open(&group) == 0);
	place = storm_expose(noria_group_scope(&group));
	for (unsigned n = 1 + storm_below(2); n > 0 && r == 0; n--)
		r = noria_spawn(&group, inherit, heir);
	r = storm_below(2) ? noria_offload(read_in_thread, heir) : 1;
	CHECK(r == 1 || r == -ECANCELED);
	if (storm_below(2))
		storm_some_operations(heir->depth);
	CHECK(noria_value_get(&storm_number) == heir->number && noria_value_get(&storm_owned) == heir->owned);
	r = noria_group_close(&group, r < 0 ? r : 0);
	storm_hide(place);
	return r;
}

static int with_values(unsigned depth)
{
	struct heir heir = {.number = ++numbers, .depth = depth + 1};
	int64_t before = noria_value_get(&storm_number), owned_before = noria_value_get(&storm_owned);
	int r;

	heir.owned = owned_before;
	if (storm_below(2)) {
		heir.owned = ++numbers;
		owned_set++;
		r = noria_with_value(&storm_owned, heir.owned,
				     noria_with_value(&storm_number, heir.number, with_children(&heir)));
	} else {
		r = noria_with_value(&storm_number, heir.number, with_children(&heir));
	}
	CHECK(noria_value_get(&storm_number) == before && noria_value_get(&storm_owned) == owned_before);
	CHECK(r == 0 || r == -ECANCELED || r == -ETIMEDOUT);
	return r;
}

static void open_all(void)
{
	owned_set = owned_released = inherited = 0;
}

static void after_all(void)
{
	CHECK(owned_set == owned_released);
	storm_note("tasks that inherited values", inherited);
	storm_note("owned values released", owned_released);
}

static const struct storm_operation operations[] = {
	{"values", with_values, 4, .nests = true},
};

const struct storm_subject storm_values = {.operations = operations,
					   .count = sizeof operations / sizeof operations[0],
					   .open = open_all,
					   .after = after_all};
