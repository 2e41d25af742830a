/* SPDX-License-Identifier: MIT */
/*
 * Zombies: tasks that are told -ECANCELED again and again and do not leave their scope. A clean-up may ignore some
 * hundred answers, so the first thousand cost only their turns. Then the task is reported, once, and from there on each
 * answer keeps it waiting, longer and longer, in a wait that nothing can cut short: it cannot burn a processor.
 *
 * Answers are counted where a call is refused without having waited, from one moment at which the task is not cancelled
 * to the next (scope_leave() begins anew). What succeeds behind a shield in between does not count as leaving.
 *
 * The report is made while the task waits for the first time, by the timer that ends this wait: on the hub there is
 * room for the handler and for the unwinder, whatever the task's own stack has left.
 */
#include "scope/describe.h"
#include "scope/group.h"
#include "scope/scope.h"

#include <errno.h>
#include <stdio.h>

enum { DELAY_MS_MAX = 100, DOUBLINGS_MAX = 7 };

struct penance {
	struct wait wait;
	struct timer timer;
};

static void describe(const struct wait *wait, char *text, size_t size)
{
	snprintf(text, size, "is slowed down after %u answers of -ECANCELED", wait->task->turned_away);
}

static const struct wait_class penance_class = {.describe = describe};

static void released(struct timer *timer)
{
	noria_wait_complete(&container_of(timer, struct penance, timer)->wait);
}

static void report(struct task *task)
{
	const struct scope *scope = noria_scope_culprit(task);
	struct noria_failure failure = noria_failure_bare(task, -ECANCELED, task->site);
	char cause[512] = "", doing[2560], text[3584];

	noria_scope_explain(scope, cause, sizeof cause);
	noria_describe_task(task, doing, sizeof doing);
	snprintf(text, sizeof text,
		 "a task was told -ECANCELED %u times and does not leave the %s of %s:%d (%s), which was cancelled %s; "
		 "it %s",
		 task->turned_away, scope->site->what, scope->site->file, scope->site->line, scope->site->function,
		 cause, doing);
	noria_report(task->loop, &failure, text);
}

static void reported(struct timer *timer)
{
	report(container_of(timer, struct penance, timer)->wait.task);
	released(timer);
}

static void do_penance(struct task *task, unsigned beyond)
{
	struct penance penance = {.timer.fire = beyond == 0 ? reported : released};
	int64_t delay_ms = beyond < DOUBLINGS_MAX ? INT64_C(1) << beyond : DELAY_MS_MAX;

	noria_wait_init(&penance.wait, &penance_class);
	noria_timer_set(task->loop, &penance.timer, noria_loop_clock(task->loop) + noria_msec(delay_ms));
	noria_wait_park(&penance.wait);
}

void noria_scope_told(struct task *task)
{
	unsigned limit = task->loop->config.zombie_answers;

	task->turned_away++;
	if (unlikely(task->turned_away >= limit))
		do_penance(task, task->turned_away - limit);
}

void (*noria_checkpoint_met)(struct task *task);

int noria_scope_answer_checkpoint(struct task *task)
{
	if (unlikely(task->scope->watched))
		noria_checkpoint_met(task);
	return noria_scope_answer(task);
}

int noria_scope_turn_away(struct task *task)
{
	int r = noria_scope_answer_checkpoint(task);

	if (r < 0) {
		noria_scope_told(task);
	} else {
		if (!task->scope->unbounded)
			return 0;
		r = noria_scope_refuse_unbounded(task);
	}
	return task_answer(task, r);
}
