/* SPDX-License-Identifier: MIT */
/*
 * Scopes and groups used wrongly. Each misuse is refused with an errno and a message that names the places concerned,
 * and changes nothing: after each refusal the test does it right, and that works.
 */
#include "group_tasks.h"

/* G21: an open scope is not opened again; the message names both places, and the scope goes on as it was. */
RULE(G21, an_open_scope_is_not_opened_again)
{
	struct noria_scope scope;
	int first, second, r;

	first = __LINE__ + 1;
	MUST(noria_scope_open(&scope, NORIA_FOREVER, 0) == 0);
	second = __LINE__ + 1;
	r = noria_scope_open(&scope, noria_now(), NORIA_SCOPE_SHIELD);
	EXPECT(r == -EINVAL);
	EXPECT(message_names(__FILE__, first) && message_names(__FILE__, second));
	EXPECT(noria_deadline() == NORIA_FOREVER && noria_yield() == 0);
	EXPECT(noria_scope_close(&scope, 3) == 3);
	EXPECT(noria_scope_close(&scope, 3) == -EINVAL); /* it was opened once */
	return 0;
}

/* G21: nor is an open group, which keeps its children. */
RULE(G21, an_open_group_is_not_opened_again)
{
	struct noria_group group;
	struct life child = {0};
	int first, second, r;

	first = __LINE__ + 1;
	MUST(noria_group_open(&group) == 0);
	MUST(noria_spawn(&group, sleeper, &child) == 0);
	second = __LINE__ + 1;
	r = noria_group_open(&group);
	EXPECT(r == -EINVAL);
	EXPECT(message_names(__FILE__, first) && message_names(__FILE__, second));
	EXPECT(noria_group_open_until(&group, 0) == -EINVAL);
	EXPECT(noria_group_size(&group) == 1 && noria_yield() == 0);
	noria_group_cancel(&group);
	EXPECT(noria_group_close(&group, 0) == 0);
	EXPECT(child.told);
	EXPECT(noria_group_close(&group, 0) == -EINVAL);
	return 0;
}

static int open_again(void *arg)
{
	return noria_scope_open((struct noria_scope *)arg, NORIA_FOREVER, 0) == -EINVAL ? noria_check() : -EPROTO;
}

/* G21: another task cannot open it either. */
RULE(G21, a_scope_of_another_task_is_not_opened)
{
	struct noria_group group;
	struct noria_scope scope;

	MUST(noria_scope_open(&scope, NORIA_FOREVER, 0) == 0);
	MUST(noria_group_open(&group) == 0);
	MUST(noria_spawn(&group, open_again, &scope) == 0);
	EXPECT(noria_group_close(&group, 0) == 0);
	EXPECT(noria_scope_close(&scope, 0) == 0);
	return 0;
}

/* G21: once closed, the storage may be opened again, as often as one likes. */
RULE(G21, a_closed_scope_or_group_can_be_opened_again)
{
	struct noria_scope scope;
	struct noria_group group;

	for (int i = 0; i < 3; i++) {
		EXPECT(noria_scope_open(&scope, NORIA_FOREVER, 0) == 0);
		EXPECT(noria_group_open(&group) == 0);
		EXPECT(noria_group_close(&group, 0) == 0);
		EXPECT(noria_scope_close(&scope, 0) == 0);
	}
	return 0;
}

/* G22: an outer scope is not closed before the inner one, in any mixture of scopes and groups. */
RULE(G22, closing_out_of_order_is_refused)
{
	struct noria_scope outer, inner;
	struct noria_group group;
	int first, second, third;

	first = __LINE__ + 1;
	MUST(noria_scope_open(&outer, NORIA_FOREVER, 0) == 0);
	second = __LINE__ + 1;
	MUST(noria_group_open(&group) == 0);
	EXPECT(noria_scope_close(&outer, 0) == -EINVAL);
	EXPECT(message_names(__FILE__, first) && message_names(__FILE__, second));
	third = __LINE__ + 1;
	MUST(noria_scope_open(&inner, NORIA_FOREVER, 0) == 0);
	EXPECT(noria_group_close(&group, 0) == -EINVAL);
	EXPECT(message_names(__FILE__, second) && message_names(__FILE__, third));
	EXPECT(noria_scope_close(&outer, 0) == -EINVAL);
	EXPECT(message_names(__FILE__, first) && message_names(__FILE__, third));
	EXPECT(noria_yield() == 0);
	EXPECT(noria_scope_close(&inner, 1) == 1);
	EXPECT(noria_group_close(&group, 2) == 2);
	EXPECT(noria_scope_close(&outer, 3) == 3);
	return 0;
}

struct thief {
	struct noria_scope *scope;
	struct noria_group *group;
	int closed_scope, closed_group;
	char about_scope[256], about_group[256];
};

static int close_what_is_not_ones_own(void *arg)
{
	struct thief *thief = arg;

	thief->closed_scope = (int)noria_scope_close(thief->scope, 0);
	snprintf(thief->about_scope, sizeof thief->about_scope, "%s", noria_message());
	thief->closed_group = noria_group_close(thief->group, 0);
	snprintf(thief->about_group, sizeof thief->about_group, "%s", noria_message());
	return noria_yield();
}

/* G22: a task cannot close what another one opened; the message names both. */
RULE(G22, closing_from_another_task_is_refused)
{
	struct noria_group outer, group;
	struct noria_scope scope;
	struct thief thief = {.scope = &scope, .group = &group};
	char place[64];

	MUST(noria_group_open(&outer) == 0);
	MUST(noria_spawn(&outer, close_what_is_not_ones_own, &thief) == 0);
	snprintf(place, sizeof place, "scope_misuse.c:%d", __LINE__ + 1);
	MUST(noria_group_open(&group) == 0);
	MUST(noria_scope_open(&scope, NORIA_FOREVER, 0) == 0);
	UNTIL(noria_group_size(&outer) == 0);
	EXPECT(thief.closed_scope == -EINVAL && thief.closed_group == -EINVAL);
	EXPECT(strstr(thief.about_scope, "close_what_is_not_ones_own") != NULL);
	EXPECT(strstr(thief.about_group, "close_what_is_not_ones_own") && strstr(thief.about_group, place));
	EXPECT(noria_scope_close(&scope, 1) == 1);
	EXPECT(noria_group_close(&group, 2) == 2);
	EXPECT(noria_group_close(&outer, 0) == 0);
	return 0;
}

static int close_ones_own_group(void *arg)
{
	return noria_group_close(arg, 0) == -EINVAL ? 0 : -EPROTO;
}

/* G22: a child cannot close its own group, also while the parent waits for it. */
RULE(G22, a_child_cannot_close_its_own_group)
{
	struct noria_group group;

	MUST(noria_group_open(&group) == 0);
	MUST(noria_spawn(&group, close_ones_own_group, &group) == 0);
	EXPECT(noria_group_close(&group, 0) == 0);
	return 0;
}

/* G22: what was never opened, or is closed, cannot be closed, moved or lifted, and can be cancelled without effect. */
RULE(G22, what_is_not_open_is_refused)
{
	struct noria_scope scope = {0};
	struct noria_group group = {0};

	EXPECT(noria_scope_close(&scope, 0) == -EINVAL);
	EXPECT(noria_group_close(&group, 0) == -EINVAL);
	EXPECT(noria_scope_set_deadline(&scope, 0) == -EINVAL);
	EXPECT(noria_scope_unshield(&scope) == -EINVAL);
	EXPECT(noria_scope_cause(&scope, NULL) == NORIA_CAUSE_NONE);
	EXPECT(noria_group_size(&group) == 0);
	noria_scope_cancel(&scope);
	noria_group_cancel(&group);
	EXPECT(noria_check() == 0);
	EXPECT(noria_scope_open(&scope, NORIA_FOREVER, 1U << 31) == -EINVAL);
	EXPECT(noria_scope_close(&scope, 0) == -EINVAL);
	return 0;
}

static int nothing(__attribute__((unused)) void *arg)
{
	return 0;
}

/* A runtime inside a task is refused, and the one that runs is unharmed. */
RULE(G22, a_run_inside_a_task_is_refused)
{
	EXPECT(noria_run(NULL, nothing, NULL) == -EBUSY);
	EXPECT(noria_message()[0] != '\0');
	EXPECT(noria_sleep(1) == 0);
	return 0;
}

static int call_from_a_thread(void *arg)
{
	struct noria_group *group = arg;
	struct noria_scope scope = {0};

	return noria_scope_open(&scope, NORIA_FOREVER, 0) == -ENXIO && noria_check() == -ENXIO &&
			       noria_spawn(group, nothing, NULL) == -ENXIO && noria_group_close(group, 0) == -ENXIO
		       ? 0
		       : -EPROTO;
}

/* Calls from an offloaded function are refused: it is on another thread, which has no runtime. */
RULE(G22, calls_from_an_offloaded_function_are_refused)
{
	struct noria_group group;

	MUST(noria_group_open(&group) == 0);
	EXPECT(noria_offload(call_from_a_thread, &group) == 0);
	EXPECT(noria_group_size(&group) == 0);
	EXPECT(noria_group_close(&group, 0) == 0);
	return 0;
}

/* G22: without a runtime every call says so, and the expression macros give their expression's own value. */
Test(G22, calls_without_a_runtime_are_refused, .timeout = 60)
{
	struct noria_scope scope = {0};
	struct noria_group group = {0};
	char byte;

	EXPECT(noria_scope_open(&scope, NORIA_FOREVER, 0) == -ENXIO);
	EXPECT(strstr(noria_message(), "noria_run") != NULL);
	EXPECT(noria_scope_close(&scope, 0) == -ENXIO);
	EXPECT(noria_group_open(&group) == -ENXIO);
	EXPECT(noria_spawn(&group, nothing, NULL) == -ENXIO);
	EXPECT(noria_spawn_copy(&group, nothing, &byte, 1) == -ENXIO);
	EXPECT(noria_group_close(&group, 0) == -ENXIO);
	EXPECT(noria_check() == -ENXIO && noria_yield() == -ENXIO);
	EXPECT(noria_sleep(1) == -ENXIO && noria_sleep(0) == -ENXIO && noria_sleep_until(0) == -ENXIO);
	EXPECT(noria_recv(0, &byte, 1, 0) == -ENXIO);
	EXPECT(noria_recv_all(0, &byte, 1, 0) == -ENXIO);
	EXPECT(noria_offload(nothing, NULL) == -ENXIO);
	EXPECT(noria_close(0) == -ENXIO);
	EXPECT(noria_deadline() == -ENXIO && noria_now() == -ENXIO);
	EXPECT(!noria_draining() && noria_task_id() == 0 && noria_task_name()[0] == '\0');
	EXPECT(noria_within(noria_sec(1), 5) == 5);
	EXPECT(noria_shielded(noria_sec(1), noria_check()) == -ENXIO);
	noria_scope_cancel(&scope);
	noria_group_cancel(&group);
	noria_drain();
}
