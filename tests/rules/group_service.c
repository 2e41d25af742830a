/* SPDX-License-Identifier: MIT */
/*
 * Services: children that the others count on. They are stopped last, in every way in which a group can come to its end,
 * and their failures are failures.
 */
#include "failure_tasks.h"

/* Of the library: whether shields without a deadline are refused. */
extern bool noria_checks;

static struct noria_spawn_options service = {.service = true};

/* G23: alive while the body and the ordinary children are, then told, then awaited; its end is no failure. */
RULE(G23, a_service_is_cancelled_last)
{
	struct noria_group group;
	struct life worker = {0};
	bool go = false, ended = false;
	struct finisher child = {&go, 0, &ended};

	MUST(noria_group_open(&group) == 0);
	MUST(noria_spawn_with(&group, cleaner, &worker, &service) == 0);
	MUST(noria_spawn(&group, finisher, &child) == 0);
	UNTIL(worker.started);
	EXPECT(noria_group_size(&group) == 2);
	worker.go = go = true;
	UNTIL(ended);
	yield_times(3);
	EXPECT(!worker.told && noria_group_size(&group) == 1);
	EXPECT(noria_group_close(&group, 42) == 42);
	EXPECT(worker.told && worker.ended);
	EXPECT(noria_check() == 0);
	EXPECT_NOTHING_TOLD();
	return 0;
}

struct watcher {
	const struct life *service;
	bool started, told_early;
};

/* An ordinary child that looks, with its last instructions, whether the service is alive still. */
static int outlast_the_body(void *arg)
{
	struct watcher *watcher = arg;

	watcher->started = true;
	yield_times(10);
	watcher->told_early = watcher->service->told;
	return 0;
}

/* G23: it outlives the body for as long as an ordinary child works. */
RULE(G23, a_service_outlives_the_body)
{
	struct noria_group group;
	struct life worker = {0};
	struct watcher watcher = {.service = &worker};

	MUST(noria_group_open(&group) == 0);
	MUST(noria_spawn_with(&group, sleeper, &worker, &service) == 0);
	MUST(noria_spawn(&group, outlast_the_body, &watcher) == 0);
	EXPECT(noria_group_close(&group, 0) == 0);
	EXPECT(watcher.started && !watcher.told_early && worker.told);
	return 0;
}

/* A child that is told to stop and looks at the end of its clean-up whether the service was told already. */
static int clean_up_with_the_service(void *arg)
{
	struct watcher *watcher = arg;

	watcher->started = true;
	EXPECT(noria_sleep(NORIA_FOREVER) == -ECANCELED);
	EXPECT(noria_shielded(NORIA_FOREVER, yield_times(10)) == 0);
	watcher->told_early = watcher->service->told;
	return -ECANCELED;
}

/* Cancels in one of several ways a group that has a service and a child; the service must outlast the child's clean-up. */
static int cancel_with_service(struct noria_group *group, void (*cancel)(struct noria_group *, struct noria_scope *))
{
	struct noria_scope outer;
	struct life worker = {0};
	struct watcher watcher = {.service = &worker};
	int r;

	MUST(noria_scope_open(&outer, NORIA_FOREVER, 0) == 0);
	MUST(noria_group_open(group) == 0);
	MUST(noria_spawn_with(group, sleeper, &worker, &service) == 0);
	MUST(noria_spawn(group, clean_up_with_the_service, &watcher) == 0);
	UNTIL(watcher.started && worker.started);
	cancel(group, &outer);
	r = noria_group_close(group, noria_check());
	EXPECT(watcher.started && !watcher.told_early);
	EXPECT(worker.told && worker.ended);
	EXPECT(noria_scope_close(&outer, 0) == 0);
	EXPECT(noria_check() == 0);
	return r;
}

static void by_group(struct noria_group *group, __attribute__((unused)) struct noria_scope *outer)
{
	noria_group_cancel(group);
}

static void from_outside(__attribute__((unused)) struct noria_group *group, struct noria_scope *outer)
{
	noria_scope_cancel(outer);
}

static void by_failure(struct noria_group *group, __attribute__((unused)) struct noria_scope *outer)
{
	static struct failer bad = {NULL, -EIO};

	MUST(noria_spawn(group, failer, &bad) == 0);
	EXPECT(noria_sleep(NORIA_FOREVER) == -ECANCELED);
}

static void by_deadline(struct noria_group *group, __attribute__((unused)) struct noria_scope *outer)
{
	MUST(noria_scope_set_deadline(noria_group_scope(group), noria_now()) == 0);
	EXPECT(noria_sleep(NORIA_FOREVER) == -ECANCELED);
}

/* G23: the clean-up of the ordinary children still has the service, whatever it was that cancelled them. */
RULE(G23, a_service_outlives_the_clean_up_of_the_others)
{
	struct noria_group group;

	EXPECT(cancel_with_service(&group, by_group) == 0);
	EXPECT(cancel_with_service(&group, by_failure) == -EIO);
	EXPECT(cancel_with_service(&group, from_outside) == -ECANCELED);
	EXPECT(cancel_with_service(&group, by_deadline) == -ETIMEDOUT);
	EXPECT_NOTHING_TOLD();
	return 0;
}

/* G23: also that of a body which has been cancelled and has not left yet. */
RULE(G23, a_service_outlives_the_clean_up_of_the_body)
{
	struct noria_group group;
	struct life worker = {0};

	MUST(noria_group_open(&group) == 0);
	MUST(noria_spawn_with(&group, sleeper, &worker, &service) == 0);
	UNTIL(worker.started);
	noria_group_cancel(&group);
	EXPECT(noria_shielded(NORIA_FOREVER, yield_times(10)) == 0);
	EXPECT(!worker.told);
	EXPECT(noria_group_close(&group, 0) == 0);
	EXPECT(worker.told);
	return 0;
}

/* G23: a service that fails while the others work is a failure like any: they are cancelled. */
RULE(G23, a_failing_service_fails_the_group)
{
	struct noria_group group;
	struct life child = {0};
	struct teller bad = {&child.started, -EIO, "service", NULL};

	MUST(noria_group_open(&group) == 0);
	MUST(noria_spawn_with(&group, teller, &bad, &service) == 0);
	MUST(noria_spawn(&group, sleeper, &child) == 0);
	EXPECT(noria_sleep(NORIA_FOREVER) == -ECANCELED);
	EXPECT(noria_group_close(&group, -ECANCELED) == -EIO);
	EXPECT(child.told && CAUSES_ARE(noria_last_failure(), -EIO));
	EXPECT(strcmp(noria_last_failure()->causes->text, "service") == 0);
	return 0;
}

/* G23, G05: so is an error of its own clean-up, when it is stopped at the end. */
RULE(G23, an_error_in_the_end_of_a_service_counts)
{
	struct noria_group group;
	struct life worker = {.go = true, .result = -ENOSPC};

	MUST(noria_group_open(&group) == 0);
	MUST(noria_spawn_with(&group, cleaner, &worker, &service) == 0);
	UNTIL(worker.started);
	EXPECT(noria_group_close(&group, 42) == -ENOSPC);
	EXPECT(CAUSES_ARE(noria_last_failure(), -ENOSPC));
	return 0;
}

/* G23: after the failure of a child, that of a service in its end is a further one. */
RULE(G23, failures_of_children_and_services_stand_together)
{
	struct noria_group group;
	struct life worker = {.go = true, .result = -ENOSPC};
	struct failer bad = {&worker.started, -EIO};

	MUST(noria_group_open(&group) == 0);
	MUST(noria_spawn_with(&group, cleaner, &worker, &service) == 0);
	MUST(noria_spawn(&group, failer, &bad) == 0);
	EXPECT(noria_group_close(&group, 0) == -EIO);
	EXPECT(CAUSES_ARE(noria_last_failure(), -EIO, -ENOSPC));
	EXPECT_NOTHING_TOLD();
	return 0;
}

/* G23: a service may end early, by itself or by its handle; the group does not mind. */
RULE(G23, a_service_may_end_early)
{
	struct noria_group group;
	struct noria_child handle;
	struct noria_spawn_options with_handle = {.service = true, .child = &handle};
	struct life worker = {0};
	int value = 3;

	MUST(noria_group_open(&group) == 0);
	MUST(noria_spawn_with(&group, returner, &value, &service) == 0);
	MUST(noria_spawn_with(&group, sleeper, &worker, &with_handle) == 0);
	UNTIL(worker.started);
	noria_child_cancel(&handle);
	EXPECT(noria_child_wait(&handle, NULL) == 0);
	EXPECT(noria_check() == 0 && noria_group_size(&group) == 0);
	EXPECT(noria_group_close(&group, 42) == 42);
	return 0;
}

/* G23, G20: a group with nothing but services, closed at once: they run to their first checkpoint. */
RULE(G23, a_group_of_services_only)
{
	struct noria_group group;
	struct life worker[2] = {0};

	MUST(noria_group_open(&group) == 0);
	for (int i = 0; i < 2; i++)
		MUST(noria_spawn_with(&group, sleeper, &worker[i], &service) == 0);
	EXPECT(noria_group_close(&group, 0) == 0);
	EXPECT(worker[0].told && worker[1].told);
	return 0;
}

struct starter {
	struct noria_group *group;
	struct life *service, *child;
	int answer;
};

static int spawn_a_service(void *arg)
{
	struct starter *starter = arg;

	return noria_spawn_with(starter->group, sleeper, starter->service, &service);
}

/* G23: a service that an ordinary child spawns belongs to the group, and outlives that child. */
RULE(G23, a_child_may_spawn_a_service)
{
	struct noria_group group;
	struct life worker = {0};
	struct starter starter = {.group = &group, .service = &worker};
	struct watcher watcher = {.service = &worker};

	MUST(noria_group_open(&group) == 0);
	MUST(noria_spawn(&group, spawn_a_service, &starter) == 0);
	MUST(noria_spawn(&group, outlast_the_body, &watcher) == 0);
	UNTIL(worker.started && noria_group_size(&group) == 2);
	yield_times(2);
	EXPECT(!worker.told);
	EXPECT(noria_group_close(&group, 0) == 0);
	EXPECT(!watcher.told_early && worker.told);
	return 0;
}

static int serve_by_spawning(void *arg)
{
	struct starter *starter = arg;

	starter->service->started = true;
	UNTIL(starter->child->started);
	starter->answer = noria_spawn(starter->group, cleaner, starter->child + 1);
	starter->service->heard = noria_sleep(NORIA_FOREVER);
	starter->service->told = true;
	return starter->service->heard;
}

/* Lets the clean-up of nothing begin: ends when the child that a service spawned runs. */
static int until_the_other_runs(void *arg)
{
	struct life *life = arg;

	life[0].started = true;
	UNTIL(life[1].started);
	return 0;
}

/* G23, G17: a service spawns an ordinary child while the group closes: that one is waited for before the service is told. */
RULE(G23, a_service_may_spawn_children)
{
	struct noria_group group, outer;
	struct life worker = {0}, child[2] = {0};
	struct starter starter = {&group, &worker, child, 1};
	struct noria_child handle;
	struct noria_spawn_options with_handle = {.child = &handle};

	MUST(noria_group_open(&outer) == 0);
	MUST(noria_group_open(&group) == 0);
	MUST(noria_spawn_with(&group, serve_by_spawning, &starter, &service) == 0);
	MUST(noria_spawn_with(&group, until_the_other_runs, child, &with_handle) == 0);
	UNTIL(noria_child_ended(&handle));
	yield_times(3);
	EXPECT(starter.answer == 0 && child[1].started && !child[1].told && !worker.told);
	noria_group_cancel(&group);
	EXPECT(noria_shielded(NORIA_FOREVER, until_set(&child[1].told)) == 0);
	EXPECT(!worker.told);
	child[1].go = true;
	EXPECT(noria_group_close(&group, 0) == 0);
	EXPECT(worker.told);
	EXPECT(noria_group_close(&outer, 0) == 0);
	return 0;
}

struct late_spawner {
	struct noria_group *group;
	int answer, as_service;
	bool ran;
};

static int spawn_when_told(void *arg)
{
	struct late_spawner *late = arg;

	EXPECT(noria_sleep(NORIA_FOREVER) == -ECANCELED);
	late->answer = noria_spawn(late->group, setter, &late->ran);
	late->as_service = noria_spawn_with(late->group, setter, &late->ran, &service);
	return -ECANCELED;
}

/* G23, G18: a group whose services are being stopped takes no child any more, of either kind. */
RULE(G23, a_group_that_stops_its_services_takes_no_child)
{
	struct noria_group group;
	struct late_spawner late = {.group = &group};

	MUST(noria_group_open(&group) == 0);
	MUST(noria_spawn_with(&group, spawn_when_told, &late, &service) == 0);
	EXPECT(noria_group_close(&group, 0) == 0);
	EXPECT(late.answer == -EINVAL && late.as_service == -EINVAL && !late.ran);
	return 0;
}

/* G23: under a policy that spares the others a service is stopped last as well, and its failures go where theirs go. */
RULE(G23, services_under_the_other_policies)
{
	static const struct noria_group_options supervise = {.policy = NORIA_SUPERVISE}, race = {.policy = NORIA_RACE};
	struct noria_group group;
	struct life worker = {.go = true, .result = -ENOSPC};
	struct watcher watcher = {.service = &worker};
	struct finisher winner = {&watcher.started, 7, NULL};

	MUST(noria_group_open_with(&group, &supervise) == 0);
	MUST(noria_spawn_with(&group, cleaner, &worker, &service) == 0);
	MUST(noria_spawn(&group, outlast_the_body, &watcher) == 0);
	EXPECT(noria_group_close(&group, 0) == 0);
	EXPECT(!watcher.told_early && worker.told);
	EXPECT(rule_heard.count == 1 && rule_heard.last.code == -ENOSPC);

	worker = (struct life){.result = -ECANCELED, .go = true};
	watcher = (struct watcher){.service = &worker};
	MUST(noria_group_open_with(&group, &race) == 0);
	MUST(noria_spawn_with(&group, cleaner, &worker, &service) == 0);
	MUST(noria_spawn(&group, clean_up_with_the_service, &watcher) == 0);
	MUST(noria_spawn(&group, finisher, &winner) == 0);
	EXPECT(noria_group_close(&group, 0) == 7);
	EXPECT(!watcher.told_early && worker.told);
	EXPECT(rule_heard.count == 1);
	return 0;
}

struct outer_canceller {
	struct noria_scope *scope;
	struct life *service;
};

static int cancel_and_let_go(void *arg)
{
	struct outer_canceller *canceller = arg;

	UNTIL(canceller->service->told);
	noria_scope_cancel(canceller->scope);
	yield_times(3);
	EXPECT(!canceller->service->ended);
	canceller->service->go = true;
	return 0;
}

/* G23, G02: a cancel from outside while only services are left: they are awaited all the same, then it is reported. */
RULE(G23, an_outer_cancel_while_services_end)
{
	struct noria_scope outer;
	struct noria_group group, others;
	struct life worker = {.result = -ECANCELED};
	struct outer_canceller canceller = {&outer, &worker};

	MUST(noria_group_open(&others) == 0);
	MUST(noria_scope_open(&outer, NORIA_FOREVER, 0) == 0);
	MUST(noria_group_open(&group) == 0);
	MUST(noria_spawn_with(&group, cleaner, &worker, &service) == 0);
	MUST(noria_spawn(&others, cancel_and_let_go, &canceller) == 0);
	EXPECT(noria_group_close(&group, 0) == -ECANCELED);
	EXPECT(worker.told && worker.ended);
	EXPECT(noria_scope_close(&outer, 0) == 0);
	EXPECT(noria_group_close(&others, 0) == 0);
	EXPECT(noria_check() == 0);
	EXPECT_NOTHING_TOLD();
	return 0;
}

static int sleep_a_little(void *arg)
{
	*(int *)arg = noria_sleep(1);
	return 0;
}

/* G23, G26: where shields without a deadline are refused, those that noria raises itself are not meant. */
RULE(G23, services_and_handlers_wait_where_shields_are_checked)
{
	struct noria_group group;
	struct life worker = {0};
	int slept = 1;

	noria_checks = true;
	MUST(noria_group_open(&group) == 0);
	MUST(noria_group_release(&group, sleep_a_little, &slept) == 0);
	MUST(noria_spawn_with(&group, sleeper, &worker, &service) == 0);
	EXPECT(noria_group_close(&group, 0) == 0);
	EXPECT(worker.heard == -ECANCELED && slept == 0);
	return 0;
}

static int end_at_once(void *arg)
{
	(void)arg;
	return 0;
}

/* G23: it may end by itself, in the turn in which the last ordinary child does. */
RULE(G23, a_service_ends_with_the_last_child)
{
	struct noria_group group;

	MUST(noria_group_open(&group) == 0);
	MUST(noria_spawn(&group, end_at_once, NULL) == 0);
	MUST(noria_spawn_with(&group, end_at_once, NULL, &service) == 0);
	EXPECT(noria_group_close(&group, 7) == 7);
	EXPECT_NOTHING_TOLD();
	return 0;
}
