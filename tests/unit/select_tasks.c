/* SPDX-License-Identifier: MIT */
/* Selects among what tasks do for one another: events, permits, the ends of children. */
#include "unit.h"

#include "task/loop.h"
#include "task/wait.h"

struct choice {
	struct noria_case cases[3];
	size_t count;
	int which;
	struct noria_scope scope;
	bool parked;
};

static int choose(void *arg)
{
	struct choice *choice = arg;

	MUST(noria_scope_open(&choice->scope, NORIA_FOREVER, 0) == 0);
	choice->parked = true;
	choice->which = noria_select(choice->cases, choice->count);
	EXPECT_EQ(noria_scope_close(&choice->scope, 0), 0);
	return 0;
}

static void begin(struct noria_group *group, struct choice *choice)
{
	MUST(noria_group_open(group) == 0);
	MUST(noria_spawn(group, choose, choice) == 0);
	UNTIL(choice->parked);
}

UNIT(select_tasks, an_event_that_is_set_happens)
{
	struct noria_event set = {0}, unset = {0};
	struct choice choice = {.cases = {noria_case_event(&unset), noria_case_event(&set)}, .count = 2};
	struct noria_group group = {0};

	EXPECT_EQ(noria_select_try(choice.cases, 2), -EAGAIN);
	begin(&group, &choice);
	EXPECT_EQ(noria_event_set(&set), 0);
	EXPECT_EQ(noria_event_clear(&set), 0);
	EXPECT_EQ(noria_group_close(&group, 0), 0);
	EXPECT_EQ(choice.which, 1);
	EXPECT_EQ(noria_event_set(&unset), 0); /* nobody stands there any more */
	EXPECT_EQ(noria_select_try(choice.cases, 2), 0);
	return 0;
}

/* Of two semaphores one gives a permit; the other keeps its own for whoever comes. */
UNIT(select_tasks, one_permit_is_taken_and_no_other)
{
	struct noria_semaphore one = NORIA_SEMAPHORE(0), other = NORIA_SEMAPHORE(0);
	struct choice choice = {.cases = {noria_case_acquire(&one), noria_case_acquire(&other)}, .count = 2};
	struct noria_group group = {0};

	begin(&group, &choice);
	EXPECT_EQ(noria_semaphore_release_many(&other, 2), 0);
	EXPECT_EQ(noria_semaphore_release(&one), 0);
	EXPECT_EQ(noria_group_close(&group, 0), 0);
	EXPECT_EQ(choice.which, 1);
	EXPECT_EQ(noria_semaphore_permits(&one), 1);
	EXPECT_EQ(noria_semaphore_permits(&other), 1);
	return 0;
}

static int acquire_two(void *arg)
{
	return noria_semaphore_acquire_many(arg, 2);
}

/* A select does not overtake a large request, and is not overtaken. */
UNIT(select_tasks, permits_are_given_in_the_order_of_coming)
{
	struct noria_semaphore semaphore = NORIA_SEMAPHORE(1);
	struct choice choice = {.cases = {noria_case_acquire(&semaphore)}, .count = 1, .which = -1};
	struct noria_child large;
	struct noria_spawn_options options = {.child = &large};
	struct noria_group group = {0};

	MUST(noria_group_open(&group) == 0);
	MUST(noria_spawn_with(&group, acquire_two, &semaphore, &options) == 0);
	MUST(noria_yield() == 0);
	MUST(noria_spawn(&group, choose, &choice) == 0);
	UNTIL(choice.parked);
	EXPECT_EQ(choice.which, -1);
	EXPECT_EQ(noria_semaphore_release(&semaphore), 0);
	EXPECT_EQ(noria_child_wait(&large, NULL), 0);
	EXPECT_EQ(choice.which, -1);
	EXPECT_EQ(noria_semaphore_release(&semaphore), 0);
	EXPECT_EQ(noria_group_close(&group, 0), 0);
	EXPECT_EQ(choice.which, 0);
	EXPECT_EQ(noria_semaphore_permits(&semaphore), 0);
	return 0;
}

/* A cancelled select has taken nothing; one that was served before the cancel has. */
UNIT(select_tasks, a_cancel_takes_no_permit)
{
	struct noria_semaphore semaphore = NORIA_SEMAPHORE(0);
	struct choice late = {.cases = {noria_case_acquire(&semaphore)}, .count = 1}, served = late;
	struct noria_group group = {0};

	begin(&group, &late);
	MUST(noria_spawn(&group, choose, &served) == 0);
	UNTIL(served.parked);
	noria_scope_cancel(&late.scope);
	EXPECT_EQ(noria_semaphore_release(&semaphore), 0);
	noria_scope_cancel(&served.scope);
	EXPECT_EQ(noria_group_close(&group, 0), 0);
	EXPECT_EQ(late.which, -ECANCELED);
	EXPECT_EQ(served.which, 0);
	EXPECT_EQ(noria_semaphore_permits(&semaphore), 0);
	return 0;
}

static int wait_for_event(void *arg)
{
	int r = noria_event_wait(arg);

	return r < 0 ? r : 42;
}

UNIT(select_tasks, the_first_child_to_end)
{
	struct noria_event go = {0}, never = {0};
	struct noria_child fast, slow;
	struct noria_spawn_options fast_options = {.child = &fast}, slow_options = {.child = &slow};
	int fast_result = 0, slow_result = 0;
	struct choice choice = {.count = 3};
	struct noria_group group = {0};

	MUST(noria_group_open(&group) == 0);
	MUST(noria_spawn_with(&group, wait_for_event, &never, &slow_options) == 0);
	MUST(noria_spawn_with(&group, wait_for_event, &go, &fast_options) == 0);
	choice.cases[0] = noria_case_child(&slow, &slow_result);
	choice.cases[1] = noria_case_child(&fast, &fast_result);
	choice.cases[2] = noria_case_until(NORIA_FOREVER);
	MUST(noria_spawn(&group, choose, &choice) == 0);
	UNTIL(choice.parked);
	EXPECT_EQ(noria_event_set(&go), 0);
	UNTIL(noria_child_ended(&fast));
	UNTIL(noria_group_size(&group) == 1);
	EXPECT_EQ(choice.which, 1);
	EXPECT_EQ(fast_result, 42);
	EXPECT_EQ(slow_result, 0);
	fast_result = 0;
	EXPECT_EQ(noria_select_try(choice.cases, 3), 1); /* it has ended already */
	EXPECT_EQ(fast_result, 42);
	noria_child_cancel(&slow);
	EXPECT_EQ(noria_group_close(&group, 0), 0);
	return 0;
}

static int wait_for_oneself(void *arg)
{
	struct noria_case itself = noria_case_child(arg, NULL);

	return noria_select(&itself, 1) == -EDEADLK ? 0 : -EIO;
}

UNIT(select_tasks, children_that_cannot_be_waited_for_are_refused)
{
	struct noria_child itself, nobody = {{0}};
	struct noria_spawn_options options = {.child = &itself};
	struct noria_case of_nobody = noria_case_child(&nobody, NULL);
	struct noria_group group = {0};

	EXPECT_EQ(noria_select(&of_nobody, 1), -EINVAL);
	MUST(noria_group_open(&group) == 0);
	MUST(noria_spawn_with(&group, wait_for_oneself, &itself, &options) == 0);
	EXPECT_EQ(noria_group_close(&group, 0), 0);
	return 0;
}

UNIT(select_tasks, a_wait_names_what_it_waits_for)
{
	struct noria_event event = {0};
	struct noria_semaphore semaphore = NORIA_SEMAPHORE(0);
	struct choice choice = {.cases = {noria_case_event(&event), noria_case_acquire(&semaphore)}, .count = 2};
	struct noria_group group = {0};
	const struct task *task;
	char text[200];

	begin(&group, &choice);
	task = container_of(noria_loop->tasks.prev, struct task, all);
	MUST(task->wait);
	task->wait->class->describe(task->wait, text, sizeof text);
	EXPECT(strstr(text, "selects among 2: the event at ") && strstr(text, ", a permit of the semaphore at "));
	noria_scope_cancel(&choice.scope);
	EXPECT_EQ(noria_group_close(&group, 0), 0);
	return 0;
}
