/* SPDX-License-Identifier: MIT */
/* How long the next wait may look, by what the last ones were like. */
#include "task/spin.h"

#include "unit.h"

enum { MAX = 100 * 1000, SOON = MAX + SPIN_WAKE_NS, LATE = SOON + 1 };

/* A wait that takes so long for whoever looks, and for whoever is woken; returns how much of it was looked. */
static int64_t wait_once(struct spin *spin, int64_t looking_ns, int64_t sleeping_ns)
{
	int64_t limit_ns = spin->limit_ns;

	if (looking_ns <= limit_ns) {
		noria_spin_learn(spin, looking_ns, true);
		return looking_ns;
	}
	noria_spin_learn(spin, sleeping_ns, true);
	return limit_ns;
}

static void grow_to_most(struct spin *spin)
{
	for (int i = 0; i < 20 && spin->limit_ns < spin->max_ns; i++)
		noria_spin_learn(spin, spin->max_ns + SPIN_WAKE_NS, true);
	cr_assert_eq(spin->limit_ns, spin->max_ns);
}

Test(spin_policy, nothing_is_looked_for_before_a_wait_has_ended_soon)
{
	struct spin spin;

	noria_spin_init(&spin, MAX);
	cr_expect_eq(spin.limit_ns, 0);
	noria_spin_learn(&spin, LATE, true);
	cr_expect_eq(spin.limit_ns, 0);
	noria_spin_learn(&spin, SOON, true);
	cr_expect_eq(spin.limit_ns, SPIN_START_NS);
}

Test(spin_policy, waits_that_end_soon_let_it_grow_to_the_most)
{
	static const int64_t limits[] = {10000, 20000, 40000, 80000, MAX, MAX};
	struct spin spin;

	noria_spin_init(&spin, MAX);
	for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++) {
		noria_spin_learn(&spin, SOON, true);
		cr_expect_eq(spin.limit_ns, limits[i], "%zu: %lld", i, (long long)spin.limit_ns);
	}
}

Test(spin_policy, the_most_may_be_less_than_the_first_look)
{
	struct spin spin;

	noria_spin_init(&spin, 3000);
	noria_spin_learn(&spin, 50000, true);
	cr_expect_eq(spin.limit_ns, 3000);
	noria_spin_learn(&spin, LATE, true);
	cr_expect_eq(spin.limit_ns, 0);
}

Test(spin_policy, what_was_seen_keeps_the_limit_and_raises_it_when_it_was_close)
{
	struct spin spin;

	noria_spin_init(&spin, MAX);
	noria_spin_learn(&spin, SOON, true);
	for (int i = 0; i < 1000; i++)
		noria_spin_learn(&spin, SPIN_START_NS / 2, true);
	cr_expect_eq(spin.limit_ns, SPIN_START_NS);
	noria_spin_learn(&spin, SPIN_START_NS / 2 + 1, true);
	cr_expect_eq(spin.limit_ns, 2 * SPIN_START_NS);
}

Test(spin_policy, late_waits_bring_it_to_nothing_within_a_few)
{
	struct spin spin;

	noria_spin_init(&spin, SPIN_MAX_NS);
	grow_to_most(&spin);
	for (int i = 0; i < 7; i++) {
		cr_expect_gt(spin.limit_ns, 0);
		noria_spin_learn(&spin, noria_msec(50), true);
	}
	cr_expect_eq(spin.limit_ns, 0);
}

Test(spin_policy, a_timer_is_no_reward_however_soon)
{
	struct spin spin;

	noria_spin_init(&spin, MAX);
	grow_to_most(&spin);
	for (int i = 0; i < 4; i++)
		noria_spin_learn(&spin, 1000, false);
	cr_expect_eq(spin.limit_ns, 0);
	noria_spin_learn(&spin, 1000, false);
	cr_expect_eq(spin.limit_ns, 0);
}

Test(spin_policy, a_peer_that_answers_soon_is_nearly_always_seen)
{
	struct spin spin;
	int seen = 0;

	noria_spin_init(&spin, MAX);
	for (int i = 0; i < 1000; i++)
		seen += wait_once(&spin, 35000, 130000) == 35000;
	cr_expect_gt(seen, 990, "%d", seen);
}

Test(spin_policy, one_answer_in_ten_that_is_late_does_no_harm)
{
	struct spin spin;
	int seen = 0;

	noria_spin_init(&spin, MAX);
	for (int i = 0; i < 1000; i++)
		seen += i % 10 ? wait_once(&spin, 35000, 130000) == 35000 : wait_once(&spin, LATE, LATE) < 0;
	cr_expect_gt(seen, 700, "%d", seen);
}

Test(spin_policy, misses_between_which_something_was_seen_do_not_end_it)
{
	struct spin spin;

	noria_spin_init(&spin, MAX);
	grow_to_most(&spin);
	for (int i = 0; i < 100; i++) {
		noria_spin_learn(&spin, i % SPIN_MISSES ? SOON : 1000, true);
		cr_expect_eq(spin.limit_ns, MAX);
	}
}

/* Soon, but never soon enough: looking must cost next to nothing, and not be forgotten either. */
Test(spin_policy, a_peer_that_is_always_a_little_too_late_is_looked_for_now_and_then)
{
	struct spin spin;
	int64_t looked_ns = 0, all_ns = 0;
	int late_looks = 0;

	noria_spin_init(&spin, MAX);
	for (int i = 0; i < 10000; i++) {
		int64_t looked = wait_once(&spin, MAX + 1, MAX + 20000);

		looked_ns += looked;
		all_ns += MAX + 20000;
		late_looks += looked > 0 && i > 5000;
	}
	cr_expect_lt(looked_ns * 100, all_ns * 3, "%lld of %lld ns", (long long)looked_ns, (long long)all_ns);
	cr_expect_gt(late_looks, 0);
}

Test(spin_policy, after_a_rest_a_peer_that_has_become_quick_is_seen_again)
{
	struct spin spin;
	int seen = 0;

	noria_spin_init(&spin, MAX);
	for (int i = 0; i < 10000; i++)
		wait_once(&spin, MAX + 1, MAX + 20000);
	for (int i = 0; i < 10000; i++)
		seen += wait_once(&spin, 35000, 130000) == 35000;
	cr_expect_gt(seen, 10000 - SPIN_REST_MAX - 10, "%d", seen);
	cr_expect_eq(spin.last_rest, 0);
}
