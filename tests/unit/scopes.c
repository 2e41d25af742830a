/* SPDX-License-Identifier: MIT */
/*
 * The scope tree against its definition. A nest of scopes grows at random, through child tasks as well, with shields and
 * with grace or without; scopes anywhere in it are cancelled and have their shields lifted. After each step the task that is
 * innermost asks whether it is cancelled, and the test knows from the definition: it is, if some scope around it was
 * cancelled and nothing between hides that; a soft shield does unless that scope has no grace, a hard one always does.
 */
#include "unit.h"

enum { DEPTH = 12, STEPS = 200, ROUNDS = 100 };

struct level {
	struct noria_scope *scope;
	bool shield, hard, cancelled, no_grace;
};

static struct level levels[DEPTH];
static int depth, steps_left;
static uint64_t seed;

static unsigned below(unsigned limit)
{
	return (unsigned)(unit_random(&seed) >> 33) % limit;
}

static bool is_cancelled(void)
{
	bool soft = false;

	for (int i = depth - 1; i >= 0; i--) {
		if (levels[i].cancelled && (!soft || levels[i].no_grace))
			return true;
		if (levels[i].hard)
			return false;
		soft |= levels[i].shield;
	}
	return false;
}

static bool grace_has_ended(void)
{
	for (int i = depth - 1; i >= 0; i--) {
		if (levels[i].cancelled && levels[i].no_grace)
			return true;
		if (levels[i].hard)
			return false;
	}
	return false;
}

static void compare(void)
{
	EXPECT_EQ(noria_check(), is_cancelled() ? -ECANCELED : 0);
	EXPECT_EQ(noria_grace() < NORIA_FOREVER, grace_has_ended());
	EXPECT_EQ(noria_task_cause(NULL) != NORIA_CAUSE_NONE, is_cancelled());
}

static void disturb(void)
{
	struct level *level = &levels[below((unsigned)depth)];

	if (below(3) > 0) {
		noria_scope_cancel(level->scope);
		level->cancelled = true;
	} else {
		EXPECT_EQ(noria_scope_unshield(level->scope), 0);
		level->shield = level->hard = false;
	}
}

static void enter_level(struct noria_scope *scope, bool shield, bool hard)
{
	struct level *level = &levels[depth++];

	*level = (struct level){.scope = scope, .shield = shield || hard, .hard = hard};
	if (depth > 1)
		level->no_grace = levels[depth - 2].no_grace;
	if (below(3) == 0) {
		level->no_grace = below(2);
		EXPECT_EQ(noria_scope_set_grace(scope, level->no_grace ? 0 : NORIA_FOREVER), 0);
	}
	compare();
}

static int grow(void *arg);

static void grow_in_scope(void)
{
	static const unsigned kinds[] = {0, 0, NORIA_SCOPE_SHIELD, NORIA_SCOPE_SHIELD, NORIA_SCOPE_HARD_SHIELD};
	unsigned flags = kinds[below(5)];
	struct noria_scope scope;
	int64_t deadline_ns = flags == NORIA_SCOPE_HARD_SHIELD ? noria_now() + noria_sec(1000) : NORIA_FOREVER;

	MUST(noria_scope_open(&scope, deadline_ns, flags) == 0);
	enter_level(&scope, flags == NORIA_SCOPE_SHIELD, flags == NORIA_SCOPE_HARD_SHIELD);
	grow(NULL);
	depth--;
	EXPECT_EQ(noria_scope_close(&scope, 0), 0);
	compare();
}

/* The child goes on while its parent joins. A group that is cancelled takes no child. */
static void grow_in_group(void)
{
	struct noria_group group;
	int r;

	MUST(noria_group_open(&group) == 0);
	enter_level(noria_group_scope(&group), false, false);
	r = noria_spawn(&group, grow, NULL);
	EXPECT_EQ(r, is_cancelled() ? -ECANCELED : 0);
	r = noria_group_close(&group, 0);
	depth--;
	EXPECT_EQ(r, is_cancelled() ? -ECANCELED : 0);
	compare();
}

static int grow(__attribute__((unused)) void *arg)
{
	compare();
	while (steps_left-- > 0 && below(8) > 0) {
		if (depth < DEPTH && below(4) == 0)
			grow_in_group();
		else if (depth < DEPTH && below(2) == 0)
			grow_in_scope();
		if (depth > 0 && below(6) == 0)
			disturb();
		compare();
	}
	return 0;
}

static const struct noria_config patient = {.zombie_answers = UINT32_MAX};

/* S06, S14: a task is cancelled when the definition says so, and only then. */
UNIT_WITH(scopes, a_random_nest_is_as_defined, &patient)
{
	for (unsigned round = 1; round <= ROUNDS; round++) {
		seed = round;
		for (steps_left = STEPS; steps_left > 0;)
			grow(NULL);
	}
	return 0;
}
