/* SPDX-License-Identifier: MIT */
/* What is done with each operation of a table; see ops.h. */
#include "ops.h"

#include "ring/feature.h"

#include <fcntl.h>
#include <unistd.h>

enum { CROWD = 12 };

const struct noria_config ops_narrow = {.ring_entries = 2, .ring_entries_max = 2};
const struct noria_config ops_one_thread = {.executor_threads = 1};

#define SAY(op, condition) cr_expect(condition, "%s: %s (%s)", (op)->name, #condition, noria_message())
#define SAY_EQ(op, actual, wanted) \
	do { \
		long long actual_ = (long long)(actual), wanted_ = (long long)(wanted); \
		cr_expect(actual_ == wanted_, "%s: %s is %lld, not %lld (%s)", (op)->name, #actual, actual_, wanted_, \
			  noria_message()); \
	} while (0)

static void open_place(const struct op_case *op, struct op_place *place, bool ready)
{
	memset(place, 0, sizeof *place);
	place->fd = place->other = place->third = -1;
	snprintf(place->path, sizeof place->path, "/tmp/noria-ops-XXXXXX");
	MUST(mkdtemp(place->path));
	place->dir = open(place->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	MUST(place->dir >= 0);
	op->open(place, ready);
}

static void close_place(const struct op_case *op, struct op_place *place)
{
	int r;

	if (op->close)
		op->close(place);
	MUST(close(place->dir) == 0);
	r = rmdir(place->path);
	cr_expect_eq(r, 0, "%s leaves something in its directory", op->name);
}

static void did(const struct op_case *op, struct op_place *place, int64_t result)
{
	SAY(op, result >= 0);
	if (result < 0)
		fprintf(stderr, "%s: result %lld\n", op->name, (long long)result);
	else if (op->did)
		op->did(place, result);
}

/* The executor's only thread, which others wait for. */
struct hold {
	struct noria_group group;
	int ends[2];
};

static int block(void *arg)
{
	struct hold *hold = arg;
	char byte;

	return (int)read(hold->ends[0], &byte, 1);
}

static int hold_thread(void *arg)
{
	return noria_offload(block, arg);
}

static void hold(struct hold *hold)
{
	MUST(pipe2(hold->ends, O_CLOEXEC) == 0);
	MUST(noria_group_open(&hold->group) == 0);
	MUST(noria_spawn(&hold->group, hold_thread, hold) == 0);
	MUST(noria_yield() == 0);
}

static void release(struct hold *hold)
{
	MUST(write(hold->ends[1], "", 1) == 1);
}

static void close_hold(struct hold *hold)
{
	MUST(noria_group_close(&hold->group, 0) == 0);
	MUST(close(hold->ends[0]) == 0 && close(hold->ends[1]) == 0);
}

static bool is_offloaded(const struct op_case *op)
{
	struct features features;
	int i = 0;

	if (!op->offloaded || !*op->offloaded)
		return op->offloaded != NULL;
	MUST(noria_features_probe(&features) == 0);
	while (i < FEATURE_COUNT && strcmp(noria_feature_table[i].name, op->offloaded) != 0)
		i++;
	MUST(i < FEATURE_COUNT);
	return !features_has(&features, (enum feature)i);
}

void ops_success(const struct op_case *op)
{
	struct op_place place;

	open_place(op, &place, true);
	did(op, &place, op->call(&place));
	close_place(op, &place);
}

void ops_errors(const struct op_case *op)
{
	for (const struct op_error *error = op->errors; error && error->error; error++) {
		struct op_place place;
		int64_t r;

		open_place(op, &place, true);
		r = error->call(&place);
		cr_expect(r == error->error, "%s: error %d of the list: %lld instead of %d (%s)", op->name,
			  (int)(error - op->errors), (long long)r, error->error, strerror(-error->error));
		close_place(op, &place);
	}
}

void ops_before(const struct op_case *op)
{
	struct noria_scope scope;
	struct op_place place;
	int64_t r;

	open_place(op, &place, true);
	MUST(noria_scope_open(&scope, NORIA_FOREVER, 0) == 0);
	noria_scope_cancel(&scope);
	r = op->call(&place);
	if (op->always) {
		SAY_EQ(op, noria_scope_close(&scope, 0), 0);
		did(op, &place, r);
	} else {
		SAY_EQ(op, r, -ECANCELED);
		SAY_EQ(op, noria_scope_close(&scope, 0), 0);
		if (op->did_not)
			op->did_not(&place);
	}
	close_place(op, &place);
}

/* A task that makes the call, and what it came to. */
struct caller {
	const struct op_case *op;
	struct op_place place;
	struct noria_scope scope;
	bool begun, ended;
	int64_t result;
	int next; /* what the checkpoint after the call said */
};

static int call(void *arg)
{
	struct caller *caller = arg;

	MUST(noria_scope_open(&caller->scope, NORIA_FOREVER, 0) == 0);
	caller->begun = true;
	caller->result = caller->op->call(&caller->place);
	caller->next = noria_check();
	caller->ended = true;
	return (int)noria_scope_close(&caller->scope, 0);
}

/* Started, and far enough to wait: it was submitted, and the kernel has looked at it. */
static void start(struct caller *caller, struct noria_group *group, const struct op_case *op)
{
	memset(caller, 0, sizeof *caller);
	caller->op = op;
	open_place(op, &caller->place, !op->complete);
	MUST(noria_spawn(group, call, caller) == 0);
	UNTIL(caller->begun);
	for (int i = 0; i < 4; i++)
		MUST(noria_yield() == 0);
	SAY(op, !caller->ended);
}

/* Told off in the executor's queue: it never begins, and so has done nothing when the thread is there again. */
static void ops_during_queued(const struct op_case *op)
{
	struct noria_group group;
	struct caller caller;
	struct hold thread;

	hold(&thread);
	MUST(noria_group_open(&group) == 0);
	start(&caller, &group, op);
	noria_scope_cancel(&caller.scope);
	MUST(noria_group_close(&group, 0) == 0);
	release(&thread);
	close_hold(&thread);
	SAY_EQ(op, caller.result, -ECANCELED);
	SAY_EQ(op, caller.next, -ECANCELED);
	if (op->did_not)
		op->did_not(&caller.place);
	did(op, &caller.place, op->call(&caller.place));
	close_place(op, &caller.place);
}

static void ops_after_queued(const struct op_case *op)
{
	struct noria_group group;
	struct caller caller;
	struct hold thread;

	hold(&thread);
	MUST(noria_group_open(&group) == 0);
	start(&caller, &group, op);
	release(&thread);
	noria_scope_cancel(&caller.scope);
	MUST(noria_group_close(&group, 0) == 0);
	close_hold(&thread);
	if (caller.result == -ECANCELED) {
		if (op->did_not)
			op->did_not(&caller.place);
		caller.result = op->call(&caller.place);
	}
	did(op, &caller.place, caller.result);
	close_place(op, &caller.place);
}

static void ops_late_queued(const struct op_case *op)
{
	struct op_place place;
	struct hold thread;
	int64_t r;

	hold(&thread);
	open_place(op, &place, true);
	r = noria_within(noria_msec(2), op->call(&place));
	release(&thread);
	close_hold(&thread);
	SAY_EQ(op, r, -ETIMEDOUT);
	SAY_EQ(op, noria_check(), 0);
	if (op->did_not)
		op->did_not(&place);
	did(op, &place, op->call(&place));
	close_place(op, &place);
}

void ops_during(const struct op_case *op)
{
	struct noria_group group;
	struct caller caller;

	if (is_offloaded(op))
		ops_during_queued(op);
	if (!op->complete)
		return;
	MUST(noria_group_open(&group) == 0);
	start(&caller, &group, op);
	noria_scope_cancel(&caller.scope);
	MUST(noria_group_close(&group, 0) == 0);
	if (!op->unsure || caller.result < 0)
		SAY_EQ(op, caller.result, -ECANCELED);
	SAY_EQ(op, caller.next, -ECANCELED);
	if (caller.result == -ECANCELED) {
		op->complete(&caller.place);
		did(op, &caller.place, op->call(&caller.place));
	}
	close_place(op, &caller.place);
}

/* Which of the two wins is the kernel's to say. A result must be delivered; nothing may be lost. */
void ops_after(const struct op_case *op)
{
	struct noria_group group;
	struct caller caller;

	if (is_offloaded(op))
		ops_after_queued(op);
	if (!op->complete)
		return;
	MUST(noria_group_open(&group) == 0);
	start(&caller, &group, op);
	op->complete(&caller.place);
	noria_scope_cancel(&caller.scope);
	MUST(noria_group_close(&group, 0) == 0);
	SAY_EQ(op, caller.next, -ECANCELED);
	if (caller.result == -ECANCELED)
		caller.result = op->call(&caller.place);
	did(op, &caller.place, caller.result);
	close_place(op, &caller.place);
}

void ops_late(const struct op_case *op)
{
	struct op_place place;
	int64_t r;

	if (is_offloaded(op))
		ops_late_queued(op);
	if (!op->complete)
		return;
	open_place(op, &place, false);
	r = noria_within(noria_msec(2), op->call(&place));
	if (!op->unsure || r < 0)
		SAY_EQ(op, r, -ETIMEDOUT);
	SAY_EQ(op, noria_check(), 0);
	if (r == -ETIMEDOUT) {
		op->complete(&place);
		did(op, &place, op->call(&place));
	}
	close_place(op, &place);
}

static int complete_later(void *arg)
{
	struct caller *caller = arg;

	for (int i = 0; i < 3; i++)
		MUST(noria_yield() == 0);
	caller->op->complete(&caller->place);
	return 0;
}

void ops_early(const struct op_case *op)
{
	struct noria_group group;
	struct caller caller = {.op = op};
	int64_t r;

	open_place(op, &caller.place, !op->complete);
	MUST(noria_group_open(&group) == 0);
	if (op->complete)
		MUST(noria_spawn(&group, complete_later, &caller) == 0);
	r = noria_within(noria_sec(50), op->call(&caller.place));
	MUST(noria_group_close(&group, 0) == 0);
	did(op, &caller.place, r);
	close_place(op, &caller.place);
}

void ops_crowded(const struct op_case *op)
{
	static struct caller callers[CROWD];
	struct noria_group group;

	MUST(noria_group_open(&group) == 0);
	for (int i = 0; i < CROWD; i++) {
		memset(&callers[i], 0, sizeof callers[i]);
		callers[i].op = op;
		open_place(op, &callers[i].place, i % 2 == 0 || !op->complete);
		MUST(noria_spawn(&group, call, &callers[i]) == 0);
	}
	MUST(noria_yield() == 0);
	for (int i = 1; op->complete && i < CROWD; i += 2)
		op->complete(&callers[i].place);
	MUST(noria_group_close(&group, 0) == 0);
	for (int i = 0; i < CROWD; i++) {
		did(op, &callers[i].place, callers[i].result);
		close_place(op, &callers[i].place);
	}
}
