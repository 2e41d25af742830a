/* SPDX-License-Identifier: MIT */
/* Trees of tasks: every policy, services, starts, releases, scopes in scopes; who is told what, and who ends when. */
#include "sweep.h"

enum { CHILDREN = 5, FAILURE = -EDOM };

static struct {
	int fds[2];
	int64_t end_ns; /* when all that waits is told */
	int numbers[CHILDREN];
	unsigned begun, ended, released, disposed, services;
} tree;

/* ---- those who wait, and those who end it ---- */

static int for_ever(void *arg)
{
	char byte;
	int r;

	tree.begun++;
	r = *(int *)arg % 2 ? (int)noria_recv(tree.fds[0], &byte, 1, 0) : noria_sleep(NORIA_FOREVER);
	if (r == -ECANCELED && !sweep_cancelled())
		r = sweep_ended(r, -ECANCELED, tree.end_ns) < 0 ? -EPROTO : r;
	tree.ended++;
	return r;
}

/* Its end is a few scopes deep, and it cleans up behind a shield. */
static int deep_down(void *arg)
{
	struct noria_scope outer, inner;
	int r, clean;

	noria_try(noria_scope_open(&outer, tree.end_ns + noria_sec(1), 0));
	r = noria_scope_open(&inner, NORIA_FOREVER, 0);
	if (r >= 0) {
		r = noria_within(noria_sec(9), for_ever(arg));
		clean = noria_shielded(noria_sec(1), noria_sleep(MS(1)));
		CHECK(clean == 0);
		r = (int)noria_scope_close(&inner, r);
	}
	r = (int)noria_scope_close(&outer, r);
	return r;
}

static int service(void *arg)
{
	int r;

	(void)arg;
	tree.services++;
	r = noria_sleep(NORIA_FOREVER);
	CHECK_EQ(tree.begun, tree.ended); /* the others have ended */
	tree.services--;
	return r;
}

static int fail(void *arg)
{
	(void)arg;
	noria_try(sweep_ended(noria_sleep_until(tree.end_ns), 0, tree.end_ns));
	return FAILURE;
}

static int succeed(void *arg)
{
	noria_try(sweep_ended(noria_sleep_until(tree.end_ns), 0, tree.end_ns));
	return *(int *)arg;
}

static int release(void *arg)
{
	CHECK_EQ(tree.begun, tree.ended);
	CHECK(tree.released == (unsigned)*(int *)arg || sweep_may_fail()); /* last in, first out */
	tree.released++;
	return noria_sleep(1000);
}

static void dispose(int result, void *arg)
{
	(void)result, (void)arg;
	tree.disposed++;
}

static int spawn_crowd(struct noria_group *group, noria_task_fn *fn)
{
	for (int i = 0; i < CHILDREN; i++)
		noria_try(noria_spawn(group, fn, &tree.numbers[i]));
	return 0;
}

static int begin(void)
{
	memset(&tree, 0, sizeof tree);
	for (int i = 0; i < CHILDREN; i++)
		tree.numbers[i] = i;
	noria_try(sweep_pair(tree.fds));
	tree.end_ns = noria_now() + MS(3);
	return 0;
}

static int end(int r)
{
	sweep_close_pair(tree.fds);
	CHECK_EQ(tree.begun, tree.ended);
	CHECK_EQ(tree.services, 0);
	return r;
}

/* A result that comes of a group: another is right when the run was cancelled, or a fault was in the way. */
static int came_to(int result, int wanted)
{
	if (sweep_cancelled() || (sweep_may_fail() && result < 0 && result != wanted))
		return result == FAILURE || result >= 0 ? 0 : result;
	CHECK_EQ(result, wanted);
	return 0;
}

/* ---- policies ---- */

static int fill_fast(struct noria_group *group)
{
	static int first = 1, second = 0;

	noria_try(noria_group_release(group, release, &first));
	noria_try(noria_group_release(group, release, &second));
	noria_try(noria_spawn_with(group, service, NULL, &(struct noria_spawn_options){.service = true}));
	noria_try(spawn_crowd(group, for_ever));
	return noria_spawn(group, fail, NULL);
}

static int fail_fast(void *arg)
{
	struct noria_group group;
	int r;

	(void)arg;
	noria_try(begin());
	r = noria_group_open(&group);
	if (r >= 0) {
		r = fill_fast(&group);
		if (r >= 0)
			r = noria_sleep(NORIA_FOREVER); /* the body is interrupted as well */
		r = came_to(noria_group_close(&group, r), FAILURE);
	}
	return end(r);
}

static int collected(void *arg)
{
	struct noria_group_options options = {.policy = NORIA_COLLECT};
	struct noria_group group;
	struct noria_result result;
	int r, failures = 0, successes = 0;

	(void)arg;
	noria_try(begin());
	r = noria_group_open_with(&group, &options);
	if (r >= 0) {
		r = spawn_crowd(&group, succeed);
		if (r >= 0)
			r = noria_spawn(&group, fail, NULL);
		while (r >= 0 && (r = noria_group_next(&group, &result)) > 0) {
			failures += result.result == FAILURE;
			successes += result.result >= 0;
		}
		if (r == 0 && !sweep_cancelled()) {
			CHECK_EQ(successes, CHILDREN);
			CHECK_EQ(failures, 1);
		}
		r = came_to(noria_group_close(&group, r), 0);
	}
	return end(r);
}

static int race(void *arg)
{
	struct noria_group_options options = {.policy = NORIA_RACE, .dispose = dispose};
	struct noria_group group;
	int r, result;

	(void)arg;
	noria_try(begin());
	r = noria_group_open_with(&group, &options);
	if (r >= 0) {
		r = spawn_crowd(&group, for_ever);
		if (r >= 0)
			r = noria_spawn(&group, succeed, &tree.numbers[3]);
		if (r >= 0)
			r = noria_spawn(&group, succeed, &tree.numbers[3]);
		result = noria_group_close(&group, r);
		r = came_to(result, 3);
		if (r == 0 && result == 3 && !sweep_cancelled())
			CHECK_EQ(tree.disposed, 1);
	}
	return end(r);
}

/* More want to be children than may be; the last are told of the cancel where they wait for a place. */
static int feeder(void *arg)
{
	struct noria_group *group = arg;
	int r = 0;

	while (r >= 0)
		r = noria_spawn(group, for_ever, &tree.numbers[1]);
	return r;
}

static int bounded(void *arg)
{
	struct noria_group_options options = {.children_max = 3};
	struct noria_group group;
	int r;

	(void)arg;
	noria_try(begin());
	r = noria_group_open_with(&group, &options);
	if (r >= 0) {
		r = noria_spawn(&group, feeder, &group);
		if (r >= 0)
			r = sweep_ended(noria_sleep_until(tree.end_ns), 0, tree.end_ns);
		noria_group_cancel(&group);
		r = noria_group_close(&group, r);
		if (r >= 0 && !sweep_cancelled())
			r = sweep_ended(r, 0, tree.end_ns);
	}
	return end(r);
}

/* ---- starts ---- */

static int ready_soon(void *arg)
{
	int r;

	tree.begun++;
	r = noria_sleep(1000);
	if (r >= 0)
		r = noria_ready(*(int *)arg);
	if (r >= 0)
		r = noria_sleep(NORIA_FOREVER);
	tree.ended++;
	return r;
}

static int never_ready(void *arg)
{
	(void)arg;
	noria_try(noria_sleep(1000));
	return FAILURE;
}

static int slow_to_start(void *arg)
{
	(void)arg;
	return noria_sleep(NORIA_FOREVER);
}

static int start_all(struct noria_group *group)
{
	int64_t limit = noria_now() + MS(2);

	noria_try(came_to(noria_start(group, ready_soon, &tree.numbers[4]), 4));
	noria_try(came_to(noria_start(group, never_ready, NULL), FAILURE));
	limit = noria_now() + MS(2);
	return sweep_ended(noria_until(limit, noria_start(group, slow_to_start, NULL)), -ETIMEDOUT, limit);
}

static int starts(void *arg)
{
	struct noria_group group;
	int r;

	(void)arg;
	noria_try(begin());
	r = noria_group_open(&group);
	if (r >= 0) {
		r = start_all(&group);
		tree.end_ns = noria_now();
		noria_group_cancel(&group);
		r = noria_group_close(&group, r);
	}
	return end(r);
}

/* ---- depth ---- */

static int shallow_service(void *arg)
{
	(void)arg;
	return noria_sleep(NORIA_FOREVER);
}

/* Groups in groups; in the end one cancel from the outermost reaches all, at once. */
static int nest(void *arg)
{
	struct noria_spawn_options options = {.service = true, .name = "beside"};
	int depth = *(int *)arg, r;
	struct noria_group group;

	if (depth == 0)
		return deep_down(&tree.numbers[1]);
	depth--;
	noria_try(noria_group_open(&group));
	r = noria_spawn_copy(&group, nest, &depth, sizeof depth);
	if (r >= 0)
		r = noria_spawn(&group, deep_down, &tree.numbers[depth % CHILDREN]);
	if (r >= 0)
		r = noria_spawn_with(&group, shallow_service, NULL, &options);
	return noria_group_close(&group, r);
}

static int nested(void *arg)
{
	struct noria_scope scope;
	struct noria_group group;
	int depth = 3, r;

	(void)arg;
	noria_try(begin());
	r = noria_scope_open(&scope, noria_now() + noria_sec(3), 0);
	if (r >= 0) {
		r = noria_group_open(&group);
		if (r >= 0) {
			r = noria_spawn(&group, nest, &depth);
			if (r >= 0)
				r = noria_spawn(&group, shallow_service, NULL);
			if (r >= 0)
				r = sweep_ended(noria_sleep_until(tree.end_ns), 0, tree.end_ns);
			noria_scope_cancel(&scope);
			r = noria_group_close(&group, r);
		}
		r = (int)noria_scope_close(&scope, r);
		if (!sweep_cancelled() && !sweep_may_fail())
			r = sweep_ended(r, 0, tree.end_ns + MS(1)); /* the clean-up */
	}
	return end(r);
}

/* ---- leaving early ---- */

/* Functions that return in the middle of their groups and scopes, which close themselves, and what is in them. */
static int leave_early(int how)
{
	struct noria_scope inner;
	noria_autoscope struct noria_scope scope = {0};
	noria_autogroup struct noria_group group = {0};

	noria_try(noria_scope_open(&scope, noria_now() + MS(50), 0));
	noria_try(noria_group_open(&group));
	noria_try(noria_spawn(&group, for_ever, &tree.numbers[how % 2]));
	if (how == 0)
		return 0;
	noria_try(noria_sleep(1000));
	tree.end_ns = noria_now();
	if (how == 1)
		return 0;
	if (how == 2) {
		noria_try(noria_scope_open(&inner, noria_now() + MS(2), 0));
		noria_try(noria_sleep(1000));
		tree.end_ns = noria_now();
		return 0;
	}
	noria_scope_cancel(&scope);
	return noria_idle(noria_check()) == -ECANCELED ? 0 : -EPROTO;
}

static int early(void *arg)
{
	int r = 0;

	(void)arg;
	noria_try(begin());
	for (int how = 0; how < 4 && r >= 0; how++) {
		tree.end_ns = noria_now();
		r = leave_early(how);
	}
	return end(r);
}

/* ---- one after the other, in the same storage ---- */

/* A scope's frame is used again and again: what is still linked to it, or set for it, is found by the next. */
static int frame(int round, int fd)
{
	int64_t limit = noria_now() + MS(2) + round;
	struct noria_scope outer, inner;
	char byte;
	ssize_t r;

	noria_try(noria_scope_open(&outer, limit + round % 2, 0));
	r = noria_scope_open(&inner, limit, round % 3 == 2 ? NORIA_SCOPE_SHIELD : 0);
	if (r >= 0) {
		r = round % 2 ? noria_sleep(1000) : noria_recv(fd, &byte, 1, MSG_DONTWAIT);
		if (r == -EAGAIN)
			r = noria_sleep(500);
		if (round % 4 == 3)
			noria_scope_cancel(&inner);
		r = noria_scope_close(&inner, r);
	}
	if (r >= 0)
		r = noria_sleep(10);
	return (int)noria_scope_close(&outer, r);
}

static int again(void *arg)
{
	int r = 0;

	for (int round = 0; round < 12 && r >= 0; round++)
		r = frame(round + *(int *)arg, tree.fds[1]);
	return r;
}

static int frames(void *arg)
{
	struct noria_group group;
	int r;

	(void)arg;
	noria_try(begin());
	r = noria_group_open(&group);
	if (r >= 0) {
		r = spawn_crowd(&group, again);
		if (r >= 0)
			r = again(&tree.numbers[0]);
		r = noria_group_close(&group, r);
		if (r >= 0)
			r = noria_sleep(noria_sec(1)); /* what was left set would fire now */
	}
	return end(r);
}

/* ---- handles ---- */

static int handles(void *arg)
{
	struct noria_group group;
	struct noria_child child = {0};
	int r, result = 1;

	(void)arg;
	noria_try(begin());
	r = noria_group_open(&group);
	if (r >= 0) {
		r = noria_spawn_with(&group, for_ever, &tree.numbers[1],
				     &(struct noria_spawn_options){.child = &child});
		if (r >= 0)
			r = sweep_ended(noria_sleep_until(tree.end_ns), 0, tree.end_ns);
		if (r >= 0) {
			noria_child_cancel(&child);
			r = noria_child_wait(&child, &result);
			r = sweep_ended(r, 0, tree.end_ns);
			if (r == 0 && !sweep_cancelled())
				CHECK_EQ(result, -ECANCELED);
		}
		r = noria_group_close(&group, r);
	}
	return end(r);
}

const struct sweep_program sweep_tasks[] = {
	{"fail-fast", fail_fast, "plain tiny", 0},
	{"collected", collected, "plain", 0},
	{"race", race, "plain tiny", 0},
	{"bounded", bounded, "plain tiny", 0},
	{"starts", starts, "plain", 0},
	{"nested", nested, "plain heap", 0},
	{"early", early, "plain tiny", 0},
	{"frames", frames, "plain heap", 0},
	{"handles", handles, "plain tiny", 0},
	{0},
};
