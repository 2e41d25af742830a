/* SPDX-License-Identifier: MIT */
/*
 * The one scope tree. Every task has a root scope, which hangs in the scope of its group; the scopes that it opens hang
 * in one another. Cancellation, deadlines, shields and draining are properties of scopes and nothing else.
 *
 * `cancelled` and `effective` hold what an operation must know, inherited from above already, so that a checkpoint is
 * two comparisons; a cancel spreads downward once, to what it concerns, and abandons the waits it meets.
 */
#ifndef NORIA_SCOPE_SCOPE_H
#define NORIA_SCOPE_SCOPE_H

#include "base/assert.h"
#include "base/list.h"
#include "noria/scope.h"
#include "task/loop.h"
#include "task/timer.h"
#include "task/wait.h"

#include <stdbool.h>
#include <stdint.h>

/*
 * With the flags of enum noria_scope_flags: a shield of the program, which should have a deadline. (The runtime has
 * shields of its own without one, around services and release handlers.)
 */
#define SCOPE_CHECKED (1U << 31)

/* Who cancelled a scope and why, copied: the one who did may have ended when somebody asks. */
struct scope_record {
	const struct noria_site *where;
	uint64_t task_id;
	char task[sizeof((struct noria_cause *)0)->task];
	char reason[sizeof((struct noria_cause *)0)->reason];
};

/* What opening a scope touches comes first; what only a cancelled or draining scope needs is not even cleared. */
struct scope {
	uint64_t magic; /* open: SCOPE_MAGIC of this address */
	struct scope *parent;
	struct scope *inner; /* the next one of the same task; NULL: this is its innermost */
	struct task *task;   /* who opened it */
	const struct noria_site *site;
	const struct noria_site *closed; /* where, once it is */
	int64_t deadline;                /* its own */
	int64_t effective;               /* the earliest that counts here */
	union {
		struct {
			bool cancelled; /* a checkpoint in here answers -ECANCELED */
			struct {
				bool unbounded : 1; /* a shield without a deadline, with checks on: no wait may begin */
				bool watched : 1;   /* a test kit is told of each checkpoint in here */
			};
			bool pierced; /* the grace of a cancelled scope is spent: soft shields hide nothing */
			bool draining;
		};
		uint16_t stop;      /* cancelled, unbounded or watched, in one look */
		uint32_t inherited; /* any of all these */
	};
	uint8_t cause; /* enum noria_cause_kind; NONE unless cancelled by itself */
	bool observed; /* a checkpoint has answered -ECANCELED because of this scope */
	bool group;    /* it is the scope of a struct group */
	bool shield : 1, hard : 1, idle : 1;
	bool drained : 1;     /* the drain was asked of this very scope */
	bool own_grace : 1;   /* not inherited */
	bool checked : 1;     /* SCOPE_CHECKED */
	int64_t grace;        /* a duration */
	struct list children; /* the outermost scopes of its child tasks */
	struct list sibling;  /* among these */
	uint64_t told;      /* cancelled: loop->interrupts when an answer in here was last noted in all scopes above */
	struct timer timer; /* for the deadline or the patience of a drain; once cancelled, for the end of the grace */
	int64_t patience_end;       /* drained: when it is cancelled */
	int64_t grace_end;          /* cancelled by itself: when soft shields beneath fall */
	struct scope_record record; /* cancelled by itself, or drained */
};

static inline struct scope *scope_from_public(const struct noria_scope *scope)
{
	return (struct scope *)(uintptr_t)scope;
}

/* What a scope's storage holds while it is open. */
static inline uint64_t scope_magic(const void *address)
{
	return UINT64_C(0x6e6f7269612e7363) ^ (uint64_t)(uintptr_t)address;
}

static inline bool scope_is_open(const struct scope *scope)
{
	return scope->magic == scope_magic(scope);
}

/* Its storage has not been used since. */
static inline bool scope_was_closed(const struct scope *scope)
{
	return scope->magic == ~scope_magic(scope);
}

/* Is what comes from outside kept out? */
static inline bool scope_hides(const struct scope *scope)
{
	return scope->shield && (scope->hard || !scope->parent->pierced);
}

/* What a scope with flags, or below one that is not in its plain state, starts with. */
void noria_scope_inherit(struct scope *scope, unsigned flags);
/* What the body's result comes to, once the scope has been left. */
ssize_t noria_scope_verdict(const struct scope *scope, ssize_t result);

/* The storage of the task's innermost scope is gone: the tree points into garbage, and the process ends. */
_Noreturn void noria_scope_lost(const struct task *task);
/* -EINVAL with both places in the message unless storage is free for a scope. */
int noria_scope_refuse_open(const struct scope *scope, const struct task *task, const struct noria_site *site);
/*
 * -EINVAL with both places in the message unless `scope` is the innermost one of the task. `site` is the closing call.
 */
int noria_scope_refuse_close(const struct scope *scope, const struct task *task, const struct noria_site *site);
/* -EINVAL, with a message, unless the scope is open, and of this thread's runtime. `doing` is what was to be done. */
int noria_scope_refuse_use(const struct scope *scope, const char *doing);
/* -EINVAL: the task would wait behind a shield that has no deadline. */
int noria_scope_refuse_unbounded(const struct task *task);
/* -EINVAL if a hard shield would have no deadline. `site` is its own. */
int noria_scope_refuse_hard(int64_t deadline_ns, const struct noria_site *site);
/* Are such waits refused? A debug build begins with true. Scopes look when they are opened. */
extern bool noria_checks;

/*
 * Cancel a scope, unless it has been. `who` is the task that did it or failed, `where` the place of its call; NULL for
 * the runtime itself; `reason` may be NULL. All three are copied or static. For a deadline the place is the scope's
 * own.
 */
void noria_scope_interrupt(struct scope *scope, enum noria_cause_kind kind, const struct task *who,
			   const struct noria_site *where, const char *reason);
/* The same once who, where and why stand in its record, and it has not been cancelled. */
void noria_scope_interrupt_noted(struct scope *scope, enum noria_cause_kind kind);
/* The scope became cancelled: tell everything beneath. */
void noria_scope_spread(struct scope *scope);
/* The grace of a cancelled scope is spent: tell everything beneath, through soft shields. */
void noria_scope_pierce(struct scope *scope);
/* A scope was cancelled by itself: from now on its grace runs. */
void noria_scope_begin_grace(struct scope *scope);
/* Its deadline or shield changed: work out again what counts beneath. */
void noria_scope_refresh(struct scope *scope);
/* Soft cancel: idle scopes beneath end, now and later, and their cause is this. */
void noria_scope_begin_drain(struct scope *scope, const struct task *who, const struct noria_site *where,
			     const char *reason);
/* It has been drained for as long as was allowed. */
void noria_scope_lose_patience(struct scope *scope);
/* Below a scope that is draining an idle one is cancelled. */
void noria_scope_end_idle(struct scope *scope);
/* Set the deadlines that count in this scope onto the loop's heap. */
void noria_scope_arm(struct scope *scope);
/* The same for its own limit alone: the deadline, or the patience of its drain. */
void noria_scope_arm_one(struct scope *scope);
/* The same for the scopes that a soft shield hides, which pierce it when their grace is spent. */
void noria_scope_arm_hidden(struct scope *shield);
/* The scope is cancelled or its deadline has passed: say so. Returns -ECANCELED, or 0 if it was neither. */
int noria_scope_answer(struct task *task);
/* The task's effective deadline has passed by the real clock: cancel the scopes concerned. */
void noria_scope_expire(struct scope *scope, int64_t now);
/* The scope that made its cancelled task so: the outermost that no shield hides. NULL if it is not cancelled. */
const struct scope *noria_scope_culprit(const struct task *task);
/* Write down who did it. */
void noria_scope_note(struct scope *scope, const struct task *who, const struct noria_site *where, const char *reason);
/* A cancelled scope's cause in words, to follow on "was cancelled". */
void noria_scope_explain(const struct scope *scope, char *text, size_t size);

/*
 * The scope after `scope` in the tree of `top`, parents first; NULL at the end. `descend`: not past what is beneath it.
 */
struct scope *noria_scope_next(struct scope *scope, const struct scope *top, bool descend);

/*
 * A test kit's: told of each checkpoint of a task in a watched scope, before its answer. May cancel scopes. NULL:
 * nobody.
 */
extern void (*noria_checkpoint_met)(struct task *task);

/* The door was closed: the answer, and its consequences for a task that knocks again and again. */
int noria_scope_turn_away(struct task *task);
/* The same of a call that does not park: it may have been closed. */
int noria_scope_answer_checkpoint(struct task *task);
/* The running task was told -ECANCELED without having waited. May park it, once it has ignored too many. */
void noria_scope_told(struct task *task);

/* The checkpoint of a call that does not park. */
static inline int scope_checkpoint(struct task *task)
{
	const struct scope *scope = task->scope;

	if (unlikely(scope->stop || scope->effective <= task->loop->now))
		return noria_scope_answer_checkpoint(task);
	return 0;
}

/*
 * The checkpoint at the door of a call that may park. A task that takes no notice of -ECANCELED and calls again must
 * not keep the others from running: being turned away counts against its turn, and many times make it wait (zombie.c).
 */
static inline int scope_door(struct task *task)
{
	const struct scope *scope = task->scope;

	if (unlikely(scope->stop || scope->effective <= task->loop->now))
		return noria_scope_turn_away(task);
	return 0;
}

/*
 * Park on a wait that the scope's cancellation and deadlines may abandon. In a scope that is cancelled already, maybe
 * since the door or during an earlier wait of the same call, it is abandoned at once.
 */
static inline void scope_wait(struct task *task, struct wait *wait)
{
	if (unlikely(task->scope->cancelled))
		noria_wait_abandon(wait);
	else if (task->scope->effective != NORIA_FOREVER)
		noria_scope_arm(task->scope);
	noria_wait_park(wait);
}

#endif
