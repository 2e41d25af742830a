/* SPDX-License-Identifier: MIT */
/* X06: context values: taken over at spawn, apart from then on, read by offloaded calls, owned by whoever has them. */
#include "group_tasks.h"

#include <stdlib.h>
#include <sys/resource.h>

struct place {
	uint16_t row, column;
};

NORIA_KEY(request, const char *);
NORIA_KEY_DEFINE(request);
NORIA_KEY_STATIC(attempt, int);
NORIA_KEY_STATIC(ratio, double);
NORIA_KEY_STATIC(place, struct place);
NORIA_KEY_STATIC(marked, bool);
NORIA_KEY_STATIC(total, uint64_t);

/* What was released, in that order. */
static int releases, released[16];

static void note_release(int number)
{
	released[releases++ % 16] = number;
}

NORIA_KEY_STATIC_OWNED(owned, int, note_release);

/* What a task of the tests below saw and shall set. */
struct reader {
	const bool *when; /* it reads once this is set; NULL: at once */
	int saw, sets;
	bool ready;
};

static int read_and_set(void *arg)
{
	struct reader *reader = arg;

	reader->ready = true;
	if (reader->when)
		UNTIL(*reader->when);
	reader->saw = noria_value_get(&attempt);
	return reader->sets ? noria_value_set(&attempt, reader->sets) : 0;
}

RULE(X06, values_keep_their_type_and_are_zero_before)
{
	EXPECT(noria_value_get(&request) == NULL && noria_value_get(&attempt) == 0 && !noria_value_get(&marked));
	EXPECT(noria_value_set(&request, "abc") == 0);
	EXPECT(noria_value_set(&attempt, -3) == 0);
	EXPECT(noria_value_set(&ratio, 0.25) == 0);
	EXPECT(noria_value_set(&place, ((struct place){.row = 7, .column = 9})) == 0);
	EXPECT(noria_value_set(&marked, true) == 0);
	EXPECT(noria_value_set(&total, UINT64_MAX) == 0);
	EXPECT(strcmp(noria_value_get(&request), "abc") == 0);
	EXPECT(noria_value_get(&attempt) == -3);
	EXPECT(noria_value_get(&ratio) == 0.25);
	EXPECT(noria_value_get(&place).row == 7 && noria_value_get(&place).column == 9);
	EXPECT(noria_value_get(&marked));
	EXPECT(noria_value_get(&total) == UINT64_MAX);
	_Static_assert(__builtin_types_compatible_p(__typeof__(noria_value_get(&place)), struct place), "its own type");
	return 0;
}

RULE(X06, a_value_can_be_changed_and_taken_away)
{
	EXPECT(noria_value_set(&attempt, 1) == 0 && noria_value_set(&total, 5) == 0);
	EXPECT(noria_value_set(&attempt, 2) == 0);
	EXPECT(noria_value_get(&attempt) == 2 && noria_value_get(&total) == 5);
	EXPECT(noria_value_unset(&attempt) == 0);
	EXPECT(noria_value_get(&attempt) == 0 && noria_value_get(&total) == 5);
	EXPECT(noria_value_unset(&attempt) == 0 && noria_value_unset(&total) == 0);
	EXPECT(noria_value_get(&total) == 0);
	return 0;
}

RULE(X06, there_can_be_many_values)
{
	static const struct noria_key_of_attempt keys[40]; /* keys are told apart by their addresses */

	for (int i = 0; i < 40; i++)
		MUST(noria_value_set(&keys[i], i + 1) == 0);
	for (int i = 0; i < 40; i++)
		EXPECT(noria_value_get(&keys[i]) == i + 1);
	for (int i = 0; i < 40; i += 2)
		MUST(noria_value_unset(&keys[i]) == 0);
	for (int i = 0; i < 40; i++)
		EXPECT(noria_value_get(&keys[i]) == (i % 2 ? i + 1 : 0));
	return 0;
}

RULE(X06, a_task_starts_with_the_values_at_its_spawn)
{
	struct reader before = {0}, after = {0};
	struct noria_group group = {0};

	MUST(noria_group_open(&group) == 0);
	MUST(noria_value_set(&attempt, 1) == 0);
	MUST(noria_spawn(&group, read_and_set, &before) == 0);
	MUST(noria_value_set(&attempt, 2) == 0); /* the child has not run yet */
	MUST(noria_spawn(&group, read_and_set, &after) == 0);
	MUST(noria_value_unset(&attempt) == 0);
	EXPECT(noria_group_close(&group, 0) == 0);
	EXPECT(before.saw == 1 && after.saw == 2);
	return 0;
}

RULE(X06, changes_do_not_flow_back_nor_sideways)
{
	bool first_has_set = false;
	struct reader first = {.sets = 10}, second = {.when = &first_has_set, .sets = 20};
	struct noria_group group = {0};

	MUST(noria_value_set(&attempt, 1) == 0 && noria_value_set(&total, 5) == 0);
	MUST(noria_group_open(&group) == 0);
	MUST(noria_spawn(&group, read_and_set, &second) == 0);
	MUST(noria_spawn(&group, read_and_set, &first) == 0);
	UNTIL(noria_group_size(&group) == 1);
	EXPECT(noria_value_get(&attempt) == 1);
	first_has_set = true;
	EXPECT(noria_group_close(&group, 0) == 0);
	EXPECT(first.saw == 1 && second.saw == 1);
	EXPECT(noria_value_get(&attempt) == 1 && noria_value_get(&total) == 5);
	return 0;
}

static int unset_it(void *arg)
{
	*(int *)arg = noria_value_get(&attempt);
	return noria_value_unset(&attempt);
}

RULE(X06, what_a_child_takes_away_its_parent_keeps)
{
	struct noria_group group = {0};
	int saw = 0;

	MUST(noria_value_set(&total, 5) == 0 && noria_value_set(&attempt, 4) == 0);
	MUST(noria_group_open(&group) == 0);
	MUST(noria_spawn(&group, unset_it, &saw) == 0);
	EXPECT(noria_group_close(&group, 0) == 0);
	EXPECT(saw == 4 && noria_value_get(&attempt) == 4 && noria_value_get(&total) == 5);
	return 0;
}

struct outward {
	struct noria_group *outer;
	struct reader reader, sibling;
};

static int spawn_outward(void *arg)
{
	struct outward *outward = arg;

	MUST(noria_value_set(&attempt, 2) == 0);
	MUST(noria_spawn(outward->outer, read_and_set, &outward->reader) == 0);
	return 0;
}

RULE(X06, the_spawner_counts_and_not_the_group)
{
	struct noria_group group = {0};
	struct outward outward = {.outer = &group};

	MUST(noria_value_set(&attempt, 1) == 0);
	MUST(noria_group_open(&group) == 0);
	MUST(noria_spawn(&group, spawn_outward, &outward) == 0);
	MUST(noria_yield() == 0); /* both have run */
	MUST(noria_spawn(&group, read_and_set, &outward.sibling) == 0);
	EXPECT(noria_group_close(&group, 0) == 0);
	EXPECT(outward.reader.saw == 2 && outward.sibling.saw == 1);
	return 0;
}

static int look(void)
{
	return noria_value_get(&attempt);
}

static int set_total(uint64_t value)
{
	return noria_value_set(&total, value);
}

RULE(X06, a_scoped_value_ends_with_its_expression)
{
	EXPECT(noria_with_value(&attempt, 3, look()) == 3);
	EXPECT(look() == 0);
	MUST(noria_value_set(&attempt, 1) == 0);
	EXPECT(noria_with_value(&attempt, 2, look() * 10 + noria_with_value(&attempt, 3, look())) == 23);
	EXPECT(look() == 1);
	EXPECT(noria_with_value(&attempt, 2, noria_value_set(&attempt, 9) + look()) == 9);
	EXPECT(look() == 1);
	EXPECT(noria_with_value(&attempt, 2, noria_value_unset(&attempt) + look()) == 0);
	EXPECT(look() == 1);
	EXPECT(noria_with_value(&attempt, 2, -EPROTO) == -EPROTO);
	EXPECT(look() == 1);
	return 0;
}

/* With so many keys the array grows while values are put back into it. */
NORIA_KEY_STATIC(extra_a, int);
NORIA_KEY_STATIC(extra_b, int);
NORIA_KEY_STATIC(extra_c, int);
NORIA_KEY_STATIC(extra_d, int);

RULE(X06, other_values_set_inside_an_expression_stay)
{
	EXPECT(noria_with_value(&attempt, 3, set_total(5)) == 0);
	EXPECT(look() == 0 && noria_value_get(&total) == 5);
	MUST(noria_value_set(&attempt, 1) == 0);
	EXPECT(noria_with_value(&attempt, 2,
				noria_value_set(&extra_a, 1) + noria_value_set(&extra_b, 2) +
					noria_value_set(&extra_c, 3) + noria_value_set(&extra_d, 4) + set_total(6)) ==
	       0);
	EXPECT(look() == 1 && noria_value_get(&total) == 6);
	EXPECT(noria_value_get(&extra_a) == 1 && noria_value_get(&extra_b) == 2);
	EXPECT(noria_value_get(&extra_c) == 3 && noria_value_get(&extra_d) == 4);
	return 0;
}

static int return_from_inside(void)
{
	return noria_with_value(&attempt, 2, ({
		if (look() == 2)
			return 77;
		0;
	}));
}

static int try_inside(void)
{
	return noria_with_value(&attempt, 2, noria_try(look() == 2 ? -EPIPE : 0));
}

RULE(X06, a_scoped_value_ends_with_a_return)
{
	MUST(noria_value_set(&attempt, 1) == 0);
	EXPECT(return_from_inside() == 77);
	EXPECT(look() == 1);
	EXPECT(try_inside() == -EPIPE);
	EXPECT(look() == 1);
	return 0;
}

struct inside {
	struct noria_group *outer;
	struct reader *reader;
};

static int spawn_inside(struct inside *inside)
{
	MUST(noria_spawn(inside->outer, read_and_set, inside->reader) == 0);
	UNTIL(inside->reader->ready);
	return 0;
}

RULE(X06, a_child_of_an_outer_group_keeps_a_scoped_value)
{
	struct noria_group group = {0};
	bool go = false;
	struct reader reader = {.when = &go, .sets = 8};

	MUST(noria_group_open(&group) == 0);
	MUST(noria_value_set(&total, 5) == 0);
	EXPECT(noria_with_value(&attempt, 2, spawn_inside(&(struct inside){&group, &reader})) == 0);
	EXPECT(look() == 0 && noria_value_get(&total) == 5);
	go = true; /* it reads what its spawner has no more */
	EXPECT(noria_group_close(&group, 0) == 0);
	EXPECT(reader.saw == 2 && look() == 0);
	return 0;
}

struct call {
	int saw, set, unset, with;
	char message[256];
};

static int look_offloaded(void *arg)
{
	struct call *call = arg;

	call->saw = noria_value_get(&attempt);
	return 0;
}

static int change_offloaded(void *arg)
{
	struct call *call = arg;

	call->set = noria_value_set(&attempt, 50);
	snprintf(call->message, sizeof call->message, "%s", noria_message());
	call->unset = noria_value_unset(&attempt);
	call->with = noria_with_value(&attempt, 51, ++call->saw);
	return 0;
}

static struct noria_config one_thread = {.executor_threads = 1};

static int offload_without_values(void *arg)
{
	MUST(noria_value_unset(&attempt) == 0);
	return noria_offload(look_offloaded, arg);
}

RULE_WITH(X06, offloaded_calls_see_the_values_of_their_caller, &one_thread)
{
	struct call first = {.saw = -1}, second = {.saw = -1}, third = {.saw = -1};
	struct noria_group group = {0};

	MUST(noria_offload(look_offloaded, &third) == 0);
	EXPECT(third.saw == 0);
	MUST(noria_value_set(&attempt, 4) == 0);
	MUST(noria_offload(look_offloaded, &first) == 0);
	EXPECT(first.saw == 4);
	MUST(noria_group_open(&group) == 0);
	MUST(noria_spawn(&group, offload_without_values, &second) == 0);
	EXPECT(noria_group_close(&group, 0) == 0);
	EXPECT(second.saw == 0); /* the only thread there is has forgotten the call before */
	MUST(noria_value_set(&attempt, 5) == 0);
	MUST(noria_with_value(&attempt, 6, noria_offload(look_offloaded, &third)) == 0);
	EXPECT(third.saw == 6);
	return 0;
}

RULE_WITH(X06, offloaded_calls_cannot_change_values, &one_thread)
{
	struct call call = {0};

	MUST(noria_value_set(&attempt, 4) == 0);
	MUST(noria_offload(change_offloaded, &call) == 0);
	EXPECT(call.set == -EPERM && call.unset == -EPERM && call.with == -EPERM);
	EXPECT(call.saw == 0); /* the expression was not evaluated */
	EXPECT(strstr(call.message, "attempt") != NULL);
	EXPECT(look() == 4);
	return 0;
}

static struct {
	bool ran;
	int inner;
} nested;

static int set_in_nested_run(void *arg)
{
	(void)arg;
	nested.ran = true;
	MUST(noria_value_set(&attempt, 60) == 0);
	nested.inner = look();
	return 0;
}

static int run_offloaded(void *arg)
{
	struct noria_config config = {.signals = NORIA_SIGNALS_NONE};
	struct call *call = arg;
	int r = noria_run(&config, set_in_nested_run, NULL);

	call->saw = noria_value_get(&attempt);
	return r;
}

RULE(X06, a_runtime_inside_an_offloaded_call_has_values_of_its_own)
{
	struct call call = {0};

	MUST(noria_value_set(&attempt, 4) == 0);
	MUST(noria_offload(run_offloaded, &call) == 0);
	EXPECT(nested.ran && nested.inner == 60 && call.saw == 4 && look() == 4);
	return 0;
}

static int hold(void *arg)
{
	UNTIL(*(const bool *)arg);
	EXPECT(noria_value_get(&owned) == 1);
	return 0;
}

static int use_owned(void *arg)
{
	struct noria_group group = {0};
	bool go = false;

	(void)arg;
	MUST(noria_value_set(&owned, 1) == 0);
	MUST(noria_group_open(&group) == 0);
	MUST(noria_spawn(&group, hold, &go) == 0);
	MUST(noria_spawn(&group, hold, &go) == 0);
	MUST(noria_value_set(&owned, 2) == 0); /* the children have the first still */
	EXPECT(releases == 0);
	MUST(noria_value_set(&owned, 3) == 0);
	EXPECT(releases == 1 && released[0] == 2);
	EXPECT(noria_with_value(&owned, 4, releases * 10) == 10);
	EXPECT(releases == 2 && released[1] == 4);
	EXPECT(noria_with_value(&owned, 5, noria_value_set(&attempt, 9)) == 0);
	EXPECT(releases == 3 && released[2] == 5);
	MUST(noria_value_unset(&owned) == 0);
	EXPECT(releases == 4 && released[3] == 3);
	go = true;
	EXPECT(noria_group_close(&group, 0) == 0);
	EXPECT(releases == 5 && released[4] == 1);
	return noria_value_set(&owned, 6); /* goes with the root task */
}

Test(X06, owned_values_are_released_once_by_the_last_who_has_them)
{
	EXPECT(rule_run(use_owned, NULL, NULL, NORIA_TIMEOUTS_LINKED) == 0);
	EXPECT(releases == 6 && released[5] == 6);
}

/* A release function that reads, and sets a value anew. */
static int seen_in_release = -1;

static void set_in_release(int number)
{
	seen_in_release = noria_value_get(&attempt);
	if (number > 0)
		MUST(noria_value_set(&owned, 100 + number) == 0);
}

NORIA_KEY_STATIC_OWNED(restless, int, set_in_release);

static int leave_restless(void *arg)
{
	(void)arg;
	MUST(noria_value_set(&attempt, 3) == 0 && noria_value_set(&restless, 1) == 0);
	MUST(noria_value_set(&restless, 2) == 0);
	EXPECT(seen_in_release == 3 && noria_value_get(&owned) == 101 && noria_value_get(&restless) == 2);
	return 0;
}

RULE(X06, a_release_function_may_set_values)
{
	struct noria_group group = {0};

	releases = 0;
	MUST(noria_group_open(&group) == 0);
	MUST(noria_spawn(&group, leave_restless, NULL) == 0);
	EXPECT(noria_group_close(&group, 0) == 0);
	EXPECT(releases == 2); /* what it set at the end of the task is dropped with the rest */
	return 0;
}

RULE(X06, a_spawn_that_fails_takes_no_values)
{
	struct noria_group group = {0};

	releases = 0;
	MUST(noria_value_set(&owned, 1) == 0);
	EXPECT(noria_spawn(&group, returner, NULL) == -EINVAL);
	MUST(noria_value_unset(&owned) == 0);
	EXPECT(releases == 1);
	return 0;
}

Test(X06, there_are_no_values_outside_a_runtime)
{
	int evaluated = 0;

	EXPECT(noria_value_get(&attempt) == 0);
	EXPECT(noria_value_set(&attempt, 1) == -ENXIO && noria_value_unset(&attempt) == -ENXIO);
	EXPECT(noria_with_value(&attempt, 1, ++evaluated) == -ENXIO && evaluated == 0);
}

#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

struct chunk {
	struct chunk *next;
};

/* Take all memory that malloc() has for small pieces, and let it have no more. */
static struct chunk *take_all_memory(struct rlimit *ret_before)
{
	struct rlimit none;
	struct chunk *chunks = NULL, *chunk;

	MUST(getrlimit(RLIMIT_AS, ret_before) == 0);
	none = (struct rlimit){.rlim_cur = 1, .rlim_max = ret_before->rlim_max};
	MUST(setrlimit(RLIMIT_AS, &none) == 0);
	for (size_t size = 24; size <= 2048; size += 16)
		while ((chunk = malloc(size))) {
			chunk->next = chunks;
			chunks = chunk;
		}
	return chunks;
}

static void give_back(struct chunk *chunks, const struct rlimit *before)
{
	struct chunk *next;

	MUST(setrlimit(RLIMIT_AS, before) == 0);
	for (; chunks; chunks = next) {
		next = chunks->next;
		free(chunks);
	}
}

/* Without the room that the former value needs to come back beside it, what was set inside is lost. */
static int set_and_take_all(struct chunk **ret_chunks, struct rlimit *ret_before, struct noria_group *group,
			    struct reader *reader)
{
	MUST(set_total(6) == 0);
	MUST(noria_spawn(group, read_and_set, reader) == 0); /* the array is shared, and would have to be copied */
	*ret_chunks = take_all_memory(ret_before);
	return 0;
}

RULE(X06, without_memory_values_stay_as_they_are)
{
	struct noria_group group = {0};
	struct reader reader = {0};
	struct chunk *chunks;
	struct rlimit before;
	int set, set_halfway, unset, with, evaluated = 0;
	void *volatile spare; /* or the compiler sees that nobody uses it */

	if (SANITIZED)
		return 0; /* its malloc() is another */
	releases = 0;
	MUST(noria_value_set(&attempt, 1) == 0 && noria_value_set(&total, 5) == 0);
	MUST(noria_value_set(&ratio, 0.5) == 0 && noria_value_set(&marked, true) == 0); /* no room for a fifth */
	spare = malloc(24);
	chunks = take_all_memory(&before);
	set = noria_value_set(&owned, 7);
	free(spare);
	set_halfway = noria_value_set(&owned, 7); /* there is memory for the value, but not for a larger array */
	spare = malloc(24);
	with = noria_with_value(&attempt, 2, ++evaluated);
	unset = noria_value_unset(&attempt); /* takes none */
	free(spare);
	give_back(chunks, &before);
	EXPECT(set == -ENOMEM && set_halfway == -ENOMEM && with == -ENOMEM && unset == 0);
	EXPECT(evaluated == 0 && releases == 0);
	EXPECT(look() == 0 && noria_value_get(&owned) == 0 && noria_value_get(&total) == 5);
	MUST(noria_value_set(&attempt, 1) == 0);
	MUST(noria_group_open(&group) == 0);
	EXPECT(noria_with_value(&attempt, 2, set_and_take_all(&chunks, &before, &group, &reader)) == 0);
	give_back(chunks, &before);
	EXPECT(look() == 1 && noria_value_get(&total) == 5);
	EXPECT(noria_group_close(&group, 0) == 0);
	EXPECT(reader.saw == 2);
	return 0;
}
