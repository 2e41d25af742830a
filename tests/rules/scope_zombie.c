/* SPDX-License-Identifier: MIT */
/*
 * S17: a task that is told -ECANCELED over and over and stays in its scope: reported once, then slowed down. That it is
 * slow is seen by others getting their turns, and by lower bounds of time.
 */
#include "group_tasks.h"

enum { LIMIT = 1000 };

static void ignore_checks(int times)
{
	while (times-- > 0)
		EXPECT(noria_check() == -ECANCELED);
}

static void ignore_sleeps(int times)
{
	while (times-- > 0)
		EXPECT(noria_sleep(1) == -ECANCELED);
}

static void open_cancelled(struct noria_scope *scope)
{
	MUST(noria_scope_open(scope, NORIA_FOREVER, 0) == 0);
	noria_scope_cancel_because(scope, "enough of it");
}

static char text[4096];
static int reports;
static struct noria_failure reported;
static uint64_t zombie_id;

static void hear(const struct noria_failure *failure, const char *told, __attribute__((unused)) void *arg)
{
	reports++;
	reported = *failure;
	snprintf(text, sizeof text, "%s", told);
}

static int never_leave(__attribute__((unused)) void *arg)
{
	zombie_id = noria_task_id();
	ignore_checks(LIMIT + 3);
	return 0;
}

static int raise_a_zombie(void *arg)
{
	struct noria_spawn_options options = {.stack_size = *(size_t *)arg};
	struct noria_group group;

	MUST(noria_group_open(&group) == 0);
	MUST(noria_spawn_with(&group, never_leave, NULL, &options) == 0);
	noria_scope_cancel_because(noria_group_scope(&group), "enough of it");
	return noria_group_close(&group, 0);
}

static void expect_report(size_t stack_size, bool with_stack)
{
	struct noria_config config = {.on_failure = hear};

	for (int t = NORIA_TIMEOUTS_LINKED; t <= NORIA_TIMEOUTS_HEAP; t++) {
		reports = 0;
		cr_expect_eq(rule_run(raise_a_zombie, &stack_size, &config, (enum noria_timeouts)t), 0);
		cr_expect_eq(reports, 1);
		cr_expect_eq(reported.code, -ECANCELED);
		cr_expect_eq(reported.task_id, zombie_id);
		cr_expect_str_eq(reported.spawn->function, "raise_a_zombie");
		cr_expect(strstr(text, "1000 times"), "%s", text);
		cr_expect(strstr(text, "scope_zombie.c") && strstr(text, "raise_a_zombie"), "%s", text);
		cr_expect(strstr(text, "on request by task body #1 at ") && strstr(text, ": enough of it"), "%s", text);
		cr_expect_eq(strstr(text, "\n    at ") != NULL, with_stack, "%s", text);
	}
}

/* S17: it is reported once, with the scope, the cause, and its stack. */
Test(S17, a_zombie_is_reported_once_with_its_stack, .timeout = 60)
{
	expect_report(256 * 1024, true);
}

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
/* S17: where the stack has no room for the unwinder the report comes without. */
Test(S17, a_zombie_with_a_small_stack_is_reported, .timeout = 60)
{
	expect_report(14 * 1024, false);
}
#endif

struct counter {
	bool stop;
	unsigned turns;
};

static int count_turns(void *arg)
{
	struct counter *counter = arg;

	while (!counter->stop) {
		counter->turns++;
		MUST(noria_yield() == 0);
	}
	return 0;
}

static void with_counter(void (*body)(struct counter *counter))
{
	struct noria_group group;
	struct counter counter = {0};

	MUST(noria_group_open(&group) == 0);
	MUST(noria_spawn(&group, count_turns, &counter) == 0);
	UNTIL(counter.turns > 0);
	body(&counter);
	counter.stop = true;
	EXPECT(noria_group_close(&group, 0) == 0);
}

static void stay_below(struct counter *counter)
{
	struct noria_scope scope;
	unsigned turns = counter->turns;

	open_cancelled(&scope);
	ignore_checks(LIMIT - 1);
	EXPECT(counter->turns == turns); /* it never parked */
	EXPECT(noria_scope_close(&scope, 0) == 0);
}

/* S17: a clean-up that ignores some hundred answers is left in peace: no report, no pause. */
RULE(S17, some_hundred_answers_are_nobodys_business)
{
	with_counter(stay_below);
	EXPECT(rule_heard.count == 0);
	return 0;
}

static void go_beyond(struct counter *counter)
{
	struct noria_scope scope;

	open_cancelled(&scope);
	ignore_checks(LIMIT - 1);
	for (int i = 0; i < 5; i++) {
		unsigned turns = counter->turns;
		int64_t begin = noria_now();

		EXPECT(noria_check() == -ECANCELED);
		EXPECT(counter->turns > turns);
		EXPECT(noria_now() - begin >= noria_msec(1 << i));
		noria_scope_cancel(&scope);
	}
	EXPECT(noria_scope_close(&scope, 0) == 0);
	EXPECT(noria_check() == 0 && noria_sleep(1) == 0);
}

/* S17: each further answer parks it, from 1 ms on, twice as long each time; others run; a new cancel does not wake it. */
RULE(S17, a_zombie_is_slowed_down)
{
	with_counter(go_beyond);
	EXPECT(rule_heard.count == 1);
	return 0;
}

static bool pause_ends;

static int cancel_all_the_time(void *arg)
{
	while (!pause_ends) {
		noria_scope_cancel(arg);
		MUST(noria_yield() == 0);
	}
	return 0;
}

/* S17: nor does the cancel of an outer scope. */
RULE(S17, a_pause_is_not_cut_short)
{
	struct noria_group others;
	struct noria_scope outer, inner;
	int64_t begin;

	pause_ends = false;
	MUST(noria_group_open(&others) == 0);
	MUST(noria_scope_open(&outer, NORIA_FOREVER, 0) == 0);
	open_cancelled(&inner);
	ignore_checks(LIMIT + 3);
	MUST(noria_spawn(&others, cancel_all_the_time, &outer) == 0);
	begin = noria_now();
	EXPECT(noria_sleep(1) == -ECANCELED);
	EXPECT(noria_now() - begin >= noria_msec(16));
	EXPECT(noria_scope_cause(&outer, NULL) == NORIA_CAUSE_EXPLICIT);
	pause_ends = true;
	EXPECT(noria_scope_close(&inner, 0) == 0 && noria_scope_close(&outer, 0) == 0);
	EXPECT(noria_group_close(&others, 0) == 0);
	return 0;
}

/* S17: leaving the cancelled scope begins the count anew. */
RULE(S17, leaving_the_scope_begins_the_count_anew)
{
	struct noria_scope scope;

	for (int i = 0; i < 3; i++) {
		open_cancelled(&scope);
		ignore_checks(LIMIT / 2);
		ignore_sleeps(LIMIT / 2 - 1);
		EXPECT(noria_scope_close(&scope, 0) == 0);
	}
	EXPECT(rule_heard.count == 0);
	return 0;
}

/* S17: scopes that come and go inside the cancelled one do not, and neither does what succeeds behind a shield. */
RULE(S17, scopes_inside_do_not_end_the_count)
{
	struct noria_scope scope;

	open_cancelled(&scope);
	for (int i = 0; i < LIMIT; i++) {
		EXPECT(rule_heard.count == 0);
		EXPECT(noria_within(noria_sec(1000), noria_sleep(1)) == -ECANCELED);
		EXPECT(noria_shielded(noria_sec(1000), noria_check()) == 0);
	}
	EXPECT(rule_heard.count == 1);
	EXPECT(noria_scope_close(&scope, 0) == 0);
	return 0;
}

static const struct noria_config ten = {.zombie_answers = 10};

/* S17: the configuration says how many answers are too many. */
RULE_WITH(S17, the_configuration_sets_the_limit, &ten)
{
	struct noria_scope scope;

	open_cancelled(&scope);
	ignore_sleeps(9);
	EXPECT(rule_heard.count == 0);
	EXPECT(noria_yield() == -ECANCELED);
	EXPECT(rule_heard.count == 1);
	EXPECT(noria_scope_close(&scope, 0) == 0);
	return 0;
}

static struct noria_mutex mutex;
static struct noria_rwlock rwlock;
static struct noria_semaphore semaphore = NORIA_SEMAPHORE(1);
static struct noria_event event;
static struct noria_once once;
static struct noria_barrier barrier = NORIA_BARRIER(1);

static int lock_free(int which)
{
	switch (which) {
	case 0:
		return noria_mutex_lock(&mutex);
	case 1:
		return noria_rwlock_wrlock(&rwlock);
	case 2:
		return noria_semaphore_acquire(&semaphore);
	case 3:
		return noria_event_wait(&event);
	case 4:
		return noria_once(&once, never_leave, NULL);
	default:
		return noria_barrier_wait(&barrier);
	}
}

/* S17: what is free, and would be had without waiting, tells of the cancel as loudly as what is not. */
RULE_WITH(S17, what_is_free_counts_too, &ten)
{
	struct noria_scope scope;

	MUST(noria_event_set(&event) == 0);
	for (int which = 0; which < 6; which++) {
		int before = rule_heard.count;

		open_cancelled(&scope);
		for (int i = 0; i < 11; i++) {
			int r = lock_free(which);

			EXPECT(r == -ECANCELED);
		}
		EXPECT(rule_heard.count == before + 1);
		EXPECT(noria_scope_close(&scope, 0) == 0);
		barrier = (struct noria_barrier)NORIA_BARRIER(1);
	}
	return 0;
}
