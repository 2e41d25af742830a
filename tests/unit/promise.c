/* SPDX-License-Identifier: MIT */
/*
 * Promises: a value from this thread, from another, too late; who may leave, who stays (R02); what is refused. How foreign
 * threads race with the loop is in tests/race/promise.c.
 */
#include "channel_tasks.h"
#include "scope/scope.h"

#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

static int call_wait(struct actor *actor)
{
	return noria_promise_wait(actor->object, &actor->item);
}

static const struct noria_promise_options local = {.flags = NORIA_PROMISE_LOCAL};

static int several_wait(struct noria_group *group, const struct noria_promise_options *options)
{
	struct noria_promise promise;
	struct actor actors[3] = {0};
	int64_t value = 0;

	MUST(noria_promise_init_with(&promise, options) == 0);
	EXPECT(!noria_promise_completed(&promise));
	for (int i = 0; i < 3; i++)
		start(group, &actors[i], call_wait, &promise, 0);
	EXPECT_EQ(noria_promise_destroy(&promise), -EBUSY);
	EXPECT_EQ(noria_promise_complete(&promise, -42), 0);
	EXPECT(noria_promise_completed(&promise));
	UNTIL(actors[0].ended && actors[1].ended && actors[2].ended);
	for (int i = 0; i < 3; i++) {
		EXPECT_EQ(actors[i].result, 0);
		EXPECT_EQ(actors[i].item, -42);
	}
	EXPECT_EQ(noria_promise_complete(&promise, 1), -EALREADY);
	EXPECT_EQ(noria_promise_wait(&promise, &value), 0);
	EXPECT_EQ(value, -42);
	EXPECT_EQ(noria_promise_wait(&promise, NULL), 0);
	EXPECT_EQ(noria_promise_destroy(&promise), 0);
	EXPECT_EQ(noria_promise_complete(&promise, 1), -EINVAL);
	return 0;
}

UNIT(promise, all_who_wait_get_the_value)
{
	struct noria_group group = {0};

	MUST(noria_grouped(&group, several_wait(&group, NULL)) == 0);
	return noria_grouped(&group, several_wait(&group, &local));
}

static void *complete(void *arg)
{
	struct noria_promise *promise = arg;

	EXPECT_EQ(noria_promise_complete(promise, 5), 0);
	return NULL;
}

UNIT(promise, another_thread_completes_it)
{
	struct noria_promise promise;
	pthread_t id;
	int64_t value = 0;

	MUST(noria_promise_init(&promise) == 0);
	MUST(pthread_create(&id, NULL, complete, &promise) == 0);
	EXPECT_EQ(noria_promise_wait(&promise, &value), 0);
	EXPECT_EQ(value, 5);
	MUST(pthread_join(id, NULL) == 0);
	return noria_promise_destroy(&promise);
}

static void *complete_local(void *arg)
{
	EXPECT_EQ(noria_promise_complete(arg, 5), -ENXIO);
	return NULL;
}

UNIT(promise, a_local_one_is_completed_here_only)
{
	struct noria_promise promise;
	pthread_t id;

	MUST(noria_promise_init_with(&promise, &local) == 0);
	MUST(pthread_create(&id, NULL, complete_local, &promise) == 0);
	MUST(pthread_join(id, NULL) == 0);
	EXPECT(!noria_promise_completed(&promise));
	return noria_promise_complete(&promise, 0);
}

struct aborted {
	struct noria_promise *promise;
	int count;
	uint64_t task;
	bool completes; /* in the callback */
};

static void on_abort(void *arg)
{
	struct aborted *aborted = arg;

	aborted->count++;
	aborted->task = noria_task_id();
	if (aborted->completes)
		EXPECT_EQ(noria_promise_complete(aborted->promise, -EINTR), 0);
}

/* R02, R01: whoever waits in the caller's storage stays until the value is there, and gets it. */
static int stays(struct noria_group *group)
{
	struct noria_promise promise;
	struct aborted aborted = {.promise = &promise};
	struct noria_promise_options options = {.abort = on_abort, .arg = &aborted};
	struct actor actors[2] = {0};

	MUST(noria_promise_init_with(&promise, &options) == 0);
	for (int i = 0; i < 2; i++)
		start(group, &actors[i], call_wait, &promise, 0);
	noria_scope_cancel(&actors[0].scope);
	EXPECT_EQ(aborted.count, 0); /* it is the waiter's task that asks */
	UNTIL(aborted.count == 1);
	EXPECT(aborted.task != noria_task_id());
	noria_scope_cancel(&actors[1].scope);
	for (int i = 0; i < 10; i++)
		MUST(noria_yield() == 0);
	EXPECT(!actors[0].ended && !actors[1].ended);
	EXPECT_EQ(noria_promise_complete(&promise, 3), 0);
	UNTIL(actors[0].ended && actors[1].ended);
	for (int i = 0; i < 2; i++) {
		EXPECT_EQ(actors[i].result, 0);
		EXPECT_EQ(actors[i].item, 3);
		EXPECT_EQ(actors[i].afterward, -ECANCELED);
	}
	EXPECT_EQ(aborted.count, 1);
	return 0;
}

UNIT(promise, a_cancelled_waiter_asks_once_and_stays)
{
	struct noria_group group = {0};

	return noria_grouped(&group, stays(&group));
}

static int aborting(struct noria_group *group)
{
	struct noria_promise promise;
	struct aborted aborted = {.promise = &promise, .completes = true};
	struct noria_promise_options options = {.abort = on_abort, .arg = &aborted};
	struct actor actor = {0};

	MUST(noria_promise_init_with(&promise, &options) == 0);
	start(group, &actor, call_wait, &promise, 0);
	noria_scope_cancel(&actor.scope);
	UNTIL(actor.ended);
	EXPECT_EQ(actor.result, 0);
	EXPECT_EQ(actor.item, -EINTR);
	return 0;
}

UNIT(promise, abort_may_complete_it)
{
	struct noria_group group = {0};

	return noria_grouped(&group, aborting(&group));
}

/* Also when the scope was cancelled before the call: somebody may hold the storage already. */
UNIT(promise, a_cancelled_scope_waits_all_the_same)
{
	struct noria_promise promise;
	struct aborted aborted = {.promise = &promise, .completes = true};
	struct noria_promise_options options = {.abort = on_abort, .arg = &aborted};
	struct noria_scope scope = {0};
	int64_t value = 0;

	MUST(noria_promise_init_with(&promise, &options) == 0);
	MUST(noria_scope_open(&scope, NORIA_FOREVER, 0) == 0);
	noria_scope_cancel(&scope);
	EXPECT_EQ(noria_promise_wait(&promise, &value), 0);
	EXPECT_EQ(value, -EINTR);
	EXPECT_EQ(noria_promise_wait(&promise, &value), 0);
	EXPECT_EQ(aborted.count, 1);
	return (int)noria_scope_close(&scope, 0);
}

static int call_too_late(struct actor *actor)
{
	struct noria_scope scope = {0};
	int r;

	MUST(noria_scope_open(&scope, 1, 0) == 0); /* long past, and nobody has noticed yet */
	r = noria_promise_wait(actor->object, &actor->item);
	EXPECT_EQ(noria_scope_close(&scope, 0), 0);
	return r;
}

static int stays_after_the_limit(struct noria_group *group)
{
	struct noria_promise promise;
	struct actor actor = {0};

	MUST(noria_promise_init(&promise) == 0);
	start(group, &actor, call_too_late, &promise, 0);
	MUST(noria_sleep(noria_msec(2)) == 0); /* the timer of the limit has fired by now */
	EXPECT(!actor.ended);
	EXPECT_EQ(noria_promise_complete(&promise, 4), 0);
	UNTIL(actor.ended);
	EXPECT_EQ(actor.result, 0);
	EXPECT_EQ(actor.item, 4);
	return 0;
}

UNIT(promise, a_limit_that_passes_once_more_changes_nothing)
{
	struct noria_group group = {0};

	return noria_grouped(&group, stays_after_the_limit(&group));
}

/* The limit ended nothing, so it is not reported; the next checkpoint would tell of it (T04). */
UNIT(promise, a_time_limit_does_not_take_the_value_away)
{
	struct noria_promise promise;
	struct aborted aborted = {.promise = &promise, .completes = true};
	struct noria_promise_options options = {.abort = on_abort, .arg = &aborted};
	int64_t value = 0;

	for (int64_t limit = 0; limit < noria_msec(2); limit += noria_msec(1)) {
		MUST(noria_promise_init_with(&promise, &options) == 0);
		EXPECT_EQ(noria_within(limit, noria_promise_wait(&promise, &value)), 0);
		EXPECT_EQ(value, -EINTR);
	}
	EXPECT_EQ(aborted.count, 2);
	return 0;
}

/* R02: one that was cancelled but has not run yet still waits, at storage that must not go. */
static int cancelled_and_completed(struct noria_group *group, unsigned flags)
{
	struct noria_promise promise;
	struct aborted aborted = {.promise = &promise};
	struct noria_promise_options options = {
		.flags = NORIA_PROMISE_LOCAL | flags, .abort = on_abort, .arg = &aborted};
	struct actor actors[2] = {0};

	MUST(noria_promise_init_with(&promise, &options) == 0);
	for (int i = 0; i < 2; i++)
		start(group, &actors[i], call_wait, &promise, 0);
	for (int i = 0; i < 2; i++) {
		noria_scope_cancel(&actors[i].scope);
		EXPECT_EQ(noria_promise_destroy(&promise), -EBUSY);
	}
	EXPECT_EQ(noria_promise_complete(&promise, 42), 0);
	EXPECT_EQ(noria_promise_destroy(&promise), 0);
	memset(&promise, 0xee, sizeof promise);
	UNTIL(actors[0].ended && actors[1].ended);
	for (int i = 0; i < 2; i++) {
		EXPECT_EQ(actors[i].result, 0);
		EXPECT_EQ(actors[i].item, 42);
		EXPECT_EQ(actors[i].afterward, -ECANCELED);
	}
	EXPECT_EQ(aborted.count, 0);
	for (size_t i = 0; i < sizeof promise; i++)
		EXPECT(((unsigned char *)&promise)[i] == 0xee);
	return 0;
}

UNIT(promise, a_cancelled_waiter_stays_until_it_has_run)
{
	struct noria_group group = {0};

	MUST(noria_grouped(&group, cancelled_and_completed(&group, 0)) == 0);
	return noria_grouped(&group, cancelled_and_completed(&group, NORIA_PROMISE_DETACHABLE));
}

/* What is there already, or not waited for, is not asked to end. */
UNIT(promise, abort_is_for_pending_ones_and_cancelled_tasks)
{
	struct noria_promise promise;
	struct aborted aborted = {.promise = &promise};
	struct noria_promise_options options = {.flags = NORIA_PROMISE_DETACHABLE, .abort = on_abort, .arg = &aborted};
	struct noria_scope scope = {0};

	MUST(noria_promise_init_with(&promise, &options) == 0);
	noria_checks = true;
	MUST(noria_scope_open(&scope, NORIA_FOREVER, NORIA_SCOPE_SHIELD) == 0);
	EXPECT_EQ(noria_promise_wait(&promise, NULL), -EINVAL);
	EXPECT_EQ(aborted.count, 0);
	EXPECT_EQ(noria_scope_close(&scope, 0), 0);
	EXPECT_EQ(noria_promise_complete(&promise, 1), 0);
	MUST(noria_scope_open(&scope, NORIA_FOREVER, 0) == 0);
	noria_scope_cancel(&scope);
	EXPECT_EQ(noria_promise_wait(&promise, NULL), -ECANCELED);
	EXPECT_EQ(aborted.count, 0);
	return (int)noria_scope_close(&scope, 0);
}

UNIT(promise, a_detachable_one_lets_go_at_once)
{
	struct noria_promise promise;
	struct aborted aborted = {.promise = &promise};
	struct noria_promise_options options = {.flags = NORIA_PROMISE_DETACHABLE, .abort = on_abort, .arg = &aborted};
	int64_t value = 1;

	MUST(noria_promise_init_with(&promise, &options) == 0);
	EXPECT_EQ(noria_within(noria_msec(1), noria_promise_wait(&promise, &value)), -ETIMEDOUT);
	EXPECT_EQ(aborted.count, 1);
	EXPECT_EQ(noria_promise_complete(&promise, 2), 0);
	EXPECT_EQ(noria_within(0, noria_promise_wait(&promise, &value)), -ETIMEDOUT);
	EXPECT_EQ(value, 1);
	EXPECT_EQ(noria_promise_wait(&promise, &value), 0);
	EXPECT_EQ(value, 2);
	return noria_promise_destroy(&promise);
}

struct disposed {
	int count;
	int64_t value;
};

static void on_dispose(int64_t value, void *arg)
{
	struct disposed *disposed = arg;

	disposed->count++;
	disposed->value = value;
}

UNIT(promise, a_value_that_nobody_got_is_disposed_of)
{
	struct disposed disposed = {0};
	struct noria_promise_options options = {.dispose = on_dispose, .arg = &disposed};
	struct noria_promise *promise, *completer;
	int64_t value = 0;

	MUST(noria_promise_new(&options, &promise) == 0);
	completer = noria_promise_ref(promise);
	EXPECT_EQ(noria_within(noria_msec(1), noria_promise_wait(promise, &value)), -ETIMEDOUT);
	EXPECT_EQ(noria_promise_destroy(promise), -EINVAL);
	noria_promise_unref(promise);
	EXPECT_EQ(noria_promise_complete(completer, 6), 0);
	EXPECT_EQ(disposed.count, 0);
	noria_promise_unref(completer);
	EXPECT_EQ(disposed.count, 1);
	EXPECT_EQ(disposed.value, 6);

	MUST(noria_promise_new(&options, &promise) == 0);
	EXPECT_EQ(noria_promise_complete(promise, 7), 0);
	EXPECT_EQ(noria_promise_complete(promise, 8), -EALREADY);
	EXPECT_EQ(noria_promise_wait(promise, &value), 0);
	EXPECT_EQ(value, 7);
	noria_promise_unref(promise);
	MUST(noria_promise_new(&options, &promise) == 0);
	noria_promise_unref(promise); /* never completed */
	noria_promise_unref(NULL);
	EXPECT_EQ(disposed.count, 1);
	MUST(noria_promise_new(&options, &promise) == 0);
	EXPECT_EQ(noria_promise_complete(promise, 9), 0);
	EXPECT_EQ(noria_promise_wait(promise, NULL), 0); /* not wanted */
	noria_promise_unref(promise);
	EXPECT_EQ(disposed.count, 2);
	EXPECT_EQ(disposed.value, 9);
	return 0;
}

/* X03: the value comes when the runtime has gone, and maybe another has come. */
static struct noria_promise *left_behind;
static struct disposed late;

static int leave_behind(__attribute__((unused)) void *arg)
{
	struct noria_promise_options options = {.dispose = on_dispose, .arg = &late};

	return noria_promise_new(&options, &left_behind);
}

static int find(__attribute__((unused)) void *arg)
{
	struct noria_promise *own;
	int64_t value;

	MUST(noria_promise_new(NULL, &own) == 0);
	EXPECT_EQ(noria_promise_wait(left_behind, &value), -EINVAL);
	EXPECT(strstr(noria_message(), "another runtime"));
	noria_promise_unref(own);
	return 0;
}

static void complete_and_drop(int64_t value)
{
	late = (struct disposed){0};
	EXPECT_EQ(noria_promise_complete(left_behind, value), 0);
	EXPECT_EQ(late.count, 0);
	noria_promise_unref(left_behind);
	EXPECT_EQ(late.count, 1);
	EXPECT_EQ(late.value, value);
}

static struct noria_promise of_the_first;

static int init_local(__attribute__((unused)) void *arg)
{
	return noria_promise_init_with(&of_the_first, &local);
}

static int use_in_the_second(__attribute__((unused)) void *arg)
{
	EXPECT_EQ(noria_promise_wait(&of_the_first, NULL), -EINVAL);
	EXPECT_EQ(noria_promise_complete(&of_the_first, 1), -ENXIO);
	return 0;
}

/* The next run's loop may have the address of the first's. */
Test(promise, a_local_one_belongs_to_its_run, .timeout = 100)
{
	EXPECT_EQ(noria_run(NULL, init_local, NULL), 0);
	EXPECT_EQ(noria_run(NULL, use_in_the_second, NULL), 0);
}

static int complete_in_another(__attribute__((unused)) void *arg)
{
	complete_and_drop(10);
	return 0;
}

Test(promise, a_value_after_the_end_of_the_runtime_is_harmless, .timeout = 100)
{
	EXPECT_EQ(noria_run(NULL, leave_behind, NULL), 0);
	EXPECT_EQ(noria_run(NULL, find, NULL), 0);
	complete_and_drop(9);
	EXPECT_EQ(noria_run(NULL, leave_behind, NULL), 0);
	EXPECT_EQ(noria_run(NULL, complete_in_another, NULL), 0);
}

/* Completed by another thread as the last thing that happens: the loop has no turn left in which it would hear of it. */
static void *complete_and_unref(void *arg)
{
	EXPECT_EQ(noria_promise_complete(arg, 12), 0);
	noria_promise_unref(arg);
	return NULL;
}

static int end_with_a_value_on_its_way(void *arg)
{
	pthread_t id;
	int r = leave_behind(arg);

	MUST(pthread_create(&id, NULL, complete_and_unref, left_behind) == 0);
	MUST(pthread_join(id, NULL) == 0); /* blocks the loop: it cannot hear of it */
	EXPECT(!noria_promise_completed(left_behind));
	return r;
}

Test(promise, a_value_on_its_way_when_the_runtime_ends_is_disposed_of, .timeout = 100)
{
	late = (struct disposed){0};
	EXPECT_EQ(noria_run(NULL, end_with_a_value_on_its_way, NULL), 0);
	EXPECT_EQ(late.count, 1);
	EXPECT_EQ(late.value, 12);
}

static int on_its_way(__attribute__((unused)) void *arg)
{
	struct noria_promise promise;
	pthread_t id;

	MUST(noria_promise_init(&promise) == 0);
	MUST(pthread_create(&id, NULL, complete, &promise) == 0);
	MUST(pthread_join(id, NULL) == 0);
	EXPECT_EQ(noria_promise_complete(&promise, 6), -EALREADY);
	EXPECT_EQ(noria_promise_destroy(&promise), -EBUSY);
	EXPECT_EQ(noria_promise_wait(&promise, NULL), 0);
	EXPECT_EQ(noria_promise_destroy(&promise), 0);
	return 0;
}

UNIT(promise, one_whose_value_is_on_its_way_is_in_use)
{
	return on_its_way(arg);
}

static void complete_in_child(void *arg)
{
	if (noria_promise_complete(arg, 1) == -ENXIO)
		fputs(noria_message(), stderr);
}

UNIT(promise, the_child_of_a_fork_is_refused)
{
	struct noria_promise promise;
	char text[200];

	MUST(noria_promise_init(&promise) == 0);
	EXPECT_EQ(unit_in_child(complete_in_child, &promise, text, sizeof text), 0);
	EXPECT(strstr(text, "child of a fork"));
	EXPECT_EQ(noria_promise_complete(&promise, 1), 0);
	return 0;
}

UNIT(promise, misuse_is_refused)
{
	struct noria_promise promise = {0};
	struct noria_promise_options options = {.flags = 4};
	struct noria_promise *counted = NULL;

	EXPECT_EQ(noria_promise_wait(&promise, NULL), -EINVAL);
	EXPECT_EQ(noria_promise_complete(&promise, 0), -EINVAL);
	EXPECT_EQ(noria_promise_destroy(&promise), -EINVAL);
	EXPECT(!noria_promise_completed(&promise));
	EXPECT_EQ(noria_promise_init_with(&promise, &options), -EINVAL);
	EXPECT_EQ(noria_promise_new(&options, &counted), -EINVAL);
	options = (struct noria_promise_options){.reserved = {1}};
	EXPECT_EQ(noria_promise_init_with(&promise, &options), -EINVAL);
	EXPECT(!counted);
	MUST(noria_promise_init(&promise) == 0);
	EXPECT(noria_promise_ref(&promise) == &promise);
	noria_promise_unref(&promise);
	noria_promise_unref(&promise);
	EXPECT(strstr(noria_message(), "in the caller's storage"));
	EXPECT_EQ(noria_promise_destroy(&promise), 0); /* nobody was to complete it */
	return 0;
}

Test(promise, outside_a_runtime_none_is_made, .timeout = 100)
{
	struct noria_promise promise;
	struct noria_promise *counted;

	EXPECT_EQ(noria_promise_init(&promise), -ENXIO);
	EXPECT_EQ(noria_promise_new(NULL, &counted), -ENXIO);
}

static int describe(struct noria_group *group, bool is_local)
{
	struct noria_promise promise;
	struct actor actor = {0};
	char text[100];
	struct task *task;

	MUST(noria_promise_init_with(&promise, is_local ? &local : NULL) == 0);
	start(group, &actor, call_wait, &promise, 0);
	EXPECT(strstr(waits_for(text, sizeof text), "waits for the promise of "));
	EXPECT(strstr(text, "promise.c:"));
	task = list_entry(noria_loop->tasks.prev, struct task, all);
	EXPECT_EQ(task->wait->class->external, !is_local);
	EXPECT_EQ(noria_promise_complete(&promise, 0), 0);
	UNTIL(actor.ended);
	return 0;
}

UNIT(promise, a_wait_says_what_it_is_and_who_can_end_it)
{
	struct noria_group group = {0};

	MUST(noria_grouped(&group, describe(&group, false)) == 0);
	return noria_grouped(&group, describe(&group, true));
}

static int call_select(struct actor *actor)
{
	struct noria_case cases[] = {noria_case_until(NORIA_FOREVER), noria_case_promise(actor->object, &actor->item)};

	return noria_select(cases, 2);
}

static int describe_select(struct noria_group *group, bool is_local)
{
	struct noria_promise promise;
	struct actor actor = {0};
	struct task *task;

	MUST(noria_promise_init_with(&promise, is_local ? &local : NULL) == 0);
	start(group, &actor, call_select, &promise, 0);
	task = list_entry(noria_loop->tasks.prev, struct task, all);
	EXPECT_EQ(task->wait->class->external, !is_local);
	EXPECT_EQ(noria_promise_complete(&promise, 8), 0);
	UNTIL(actor.ended);
	EXPECT_EQ(actor.result, 1);
	EXPECT_EQ(actor.item, 8);
	return 0;
}

UNIT(promise, a_select_with_one_may_be_ended_from_outside)
{
	struct noria_group group = {0};

	MUST(noria_grouped(&group, describe_select(&group, false)) == 0);
	return noria_grouped(&group, describe_select(&group, true));
}
