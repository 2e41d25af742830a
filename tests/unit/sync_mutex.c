/* SPDX-License-Identifier: MIT */
/* The mutex: order, hand-over, cancels, deadlines, cycles, and what is refused. */
#include "sync_tasks.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

enum { LOCK_LINE = __LINE__ + 4 };

static int lock(void *mutex)
{
	return noria_mutex_lock((struct noria_mutex *)mutex);
}

static int unlock(void *mutex)
{
	return noria_mutex_unlock((struct noria_mutex *)mutex);
}

static struct visit visit_to(struct noria_mutex *mutex, int *counter)
{
	return (struct visit){.enter = lock, .leave = unlock, .thing = mutex, .counter = counter};
}

static struct noria_mutex shared; /* static storage is ready, run after run */

UNIT(mutex, locks_and_unlocks_without_a_wait)
{
	EXPECT_EQ(noria_mutex_lock(&shared), 0);
	EXPECT_EQ(noria_mutex_trylock(&shared), -EBUSY);
	EXPECT_EQ(noria_mutex_unlock(&shared), 0);
	EXPECT_EQ(noria_mutex_trylock(&shared), 0);
	EXPECT_EQ(noria_mutex_unlock(&shared), 0);
	return 0;
}

/* The one that unlocks cannot have it again before those who wait, by trying neither. */
UNIT(mutex, is_handed_over_in_the_order_of_coming)
{
	struct noria_mutex mutex = {0};
	struct noria_group group;
	struct visit visits[5];
	int counter = 0;

	MUST(noria_group_open(&group) == 0);
	MUST(noria_mutex_lock(&mutex) == 0);
	for (int i = 0; i < 5; i++) {
		visits[i] = visit_to(&mutex, &counter);
		visits[i].go = true;
		come(&group, &visits[i]);
		EXPECT(!visits[i].inside);
	}
	EXPECT_EQ(noria_mutex_unlock(&mutex), 0);
	EXPECT_EQ(noria_mutex_trylock(&mutex), -EBUSY);
	EXPECT_EQ(noria_mutex_lock(&mutex), 0);
	EXPECT_EQ(counter, 5);
	EXPECT_EQ(noria_mutex_unlock(&mutex), 0);
	EXPECT_EQ(noria_group_close(&group, 0), 0);
	for (int i = 0; i < 5; i++)
		EXPECT_EQ(visits[i].order, i + 1);
	return 0;
}

/* One in the middle, the first, the last of the queue: the others keep their places. */
UNIT(mutex, a_cancelled_waiter_leaves_the_queue_as_it_was)
{
	for (int gone = 0; gone < 3; gone++) {
		struct noria_mutex mutex = {0};
		struct noria_group group;
		struct visit visits[3];
		int counter = 0;

		MUST(noria_group_open(&group) == 0);
		MUST(noria_mutex_lock(&mutex) == 0);
		for (int i = 0; i < 3; i++) {
			visits[i] = visit_to(&mutex, &counter);
			visits[i].go = true;
			come(&group, &visits[i]);
		}
		noria_scope_cancel(&visits[gone].scope);
		UNTIL(visits[gone].ended);
		EXPECT(visits[gone].result == -ECANCELED && visits[gone].closed == 0 && counter == 0);
		EXPECT_EQ(noria_mutex_unlock(&mutex), 0);
		EXPECT_EQ(noria_group_close(&group, 0), 0);
		EXPECT_EQ(counter, 2);
		for (int i = 0; i < 3; i++)
			EXPECT_EQ(visits[i].order, i == gone ? 0 : i < gone ? i + 1 : i);
	}
	return 0;
}

/* Handed over, then cancelled before it could run: it has the lock, and hears of the cancel afterwards. */
UNIT(mutex, a_hand_over_before_a_cancel_counts)
{
	struct noria_mutex mutex = {0};
	struct noria_group group;
	struct visit first, second;
	int counter = 0;

	first = second = visit_to(&mutex, &counter);
	MUST(noria_group_open(&group) == 0);
	MUST(noria_mutex_lock(&mutex) == 0);
	come(&group, &first);
	come(&group, &second);
	EXPECT_EQ(noria_mutex_unlock(&mutex), 0);
	noria_scope_cancel(&first.scope);
	UNTIL(first.inside);
	EXPECT(first.result == 0 && first.after == -ECANCELED);
	EXPECT(!second.inside);
	first.go = second.go = true;
	EXPECT_EQ(noria_group_close(&group, 0), 0);
	EXPECT_EQ(second.order, 2);
	return 0;
}

/* The other way round it is the next one's. */
UNIT(mutex, a_cancel_before_a_hand_over_counts)
{
	struct noria_mutex mutex = {0};
	struct noria_group group;
	struct visit first, second;
	int counter = 0;

	first = second = visit_to(&mutex, &counter);
	second.go = true;
	MUST(noria_group_open(&group) == 0);
	MUST(noria_mutex_lock(&mutex) == 0);
	come(&group, &first);
	come(&group, &second);
	noria_scope_cancel(&first.scope);
	EXPECT_EQ(noria_mutex_unlock(&mutex), 0);
	EXPECT_EQ(noria_group_close(&group, 0), 0);
	EXPECT_EQ(first.result, -ECANCELED);
	EXPECT_EQ(second.order, 1);
	return 0;
}

UNIT(mutex, waits_with_a_deadline)
{
	struct noria_mutex mutex = {0};
	struct noria_group group;
	struct visit owner;
	int counter = 0;

	owner = visit_to(&mutex, &counter);
	MUST(noria_group_open(&group) == 0);
	come(&group, &owner);
	EXPECT_EQ(noria_within(noria_msec(2), noria_mutex_lock(&mutex)), -ETIMEDOUT);
	EXPECT_EQ(noria_within(noria_msec(2), noria_locked(&mutex, 1)), -ETIMEDOUT);
	owner.go = true;
	EXPECT_EQ(noria_within(noria_sec(3600), noria_mutex_lock(&mutex)), 0);
	EXPECT_EQ(noria_mutex_unlock(&mutex), 0);
	EXPECT_EQ(noria_group_close(&group, 0), 0);
	return 0;
}

/* A checkpoint also where nobody has it. */
UNIT(mutex, a_free_mutex_is_not_locked_in_a_cancelled_scope)
{
	struct noria_mutex mutex = {0};
	struct noria_scope scope;
	int evaluated = 0;

	MUST(noria_scope_open(&scope, NORIA_FOREVER, 0) == 0);
	noria_scope_cancel(&scope);
	EXPECT_EQ(noria_mutex_lock(&mutex), -ECANCELED);
	EXPECT_EQ(noria_locked(&mutex, ++evaluated), -ECANCELED);
	EXPECT_EQ(evaluated, 0);
	EXPECT_EQ(noria_mutex_trylock(&mutex), 0); /* this is none */
	EXPECT_EQ(noria_mutex_unlock(&mutex), 0);
	EXPECT_EQ(noria_scope_close(&scope, 0), 0);
	return 0;
}

static int lock_often(void *arg)
{
	struct noria_mutex mutex = {0};
	const bool *stop = arg;

	for (long i = 0; !*stop; i++) {
		MUST(i < 1000000);
		MUST(noria_mutex_lock(&mutex) == 0);
		noria_mutex_unlock(&mutex);
	}
	return 0;
}

/* R15: locking that never waits does not keep the others from running. */
UNIT(mutex, R15_locking_in_a_loop_lets_others_run)
{
	struct noria_group group;
	bool stop = false;

	MUST(noria_group_open(&group) == 0);
	MUST(noria_spawn(&group, lock_often, &stop) == 0);
	turns(3);
	stop = true;
	EXPECT_EQ(noria_group_close(&group, 0), 0);
	return 0;
}

static int leave_early(struct noria_mutex *mutex, int how)
{
	struct noria_mutex *same = mutex;

	if (how == 0)
		return noria_locked(same++, noria_try(-EIO));
	noria_try(noria_mutex_lock(mutex));
	noria_autounlock struct noria_mutex *locked = mutex;
	if (how == 1)
		return -EPIPE;
	EXPECT_EQ(noria_mutex_unlock(mutex), 0);
	return how;
}

UNIT(mutex, is_unlocked_by_a_return)
{
	struct noria_mutex mutex = {0};
	ssize_t wide = noria_locked(&mutex, (ssize_t)1 << 40);

	EXPECT(wide == (ssize_t)1 << 40);
	EXPECT_EQ(noria_locked(&mutex, noria_mutex_trylock(&mutex)), -EBUSY);
	EXPECT_EQ(leave_early(&mutex, 0), -EIO);
	EXPECT_EQ(leave_early(&mutex, 1), -EPIPE);
	EXPECT_EQ(leave_early(&mutex, 2), 2);
	EXPECT_EQ(noria_mutex_trylock(&mutex), 0);
	EXPECT_EQ(noria_mutex_unlock(&mutex), 0);
	return 0;
}

UNIT(mutex, cleaning_up_leaves_what_another_has)
{
	struct noria_mutex mutex = {0};
	struct noria_group group;
	struct visit waiter;
	int counter = 0;

	waiter = visit_to(&mutex, &counter);
	waiter.go = true;
	MUST(noria_group_open(&group) == 0);
	MUST(noria_mutex_lock(&mutex) == 0);
	come(&group, &waiter);
	EXPECT_EQ(noria_locked(&mutex, 1), -EDEADLK);
	{
		noria_autounlock struct noria_mutex *locked = &mutex;

		EXPECT_EQ(noria_mutex_unlock(locked), 0);
	}
	EXPECT_EQ(noria_mutex_trylock(&mutex), -EBUSY);
	EXPECT_EQ(noria_group_close(&group, 0), 0);
	EXPECT_EQ(waiter.order, 1);
	return 0;
}

UNIT(mutex, refuses_what_cannot_be)
{
	struct noria_mutex mutex = {0};
	struct noria_group group;
	struct visit owner;
	int counter = 0, line;

	EXPECT_EQ(noria_mutex_unlock(&mutex), -EPERM);
	EXPECT(names(__FILE__, __LINE__ - 1) && strstr(noria_message(), "never locked"));
	line = __LINE__ + 1;
	EXPECT_EQ(noria_mutex_lock(&mutex), 0);
	EXPECT_EQ(noria_mutex_lock(&mutex), -EDEADLK);
	EXPECT(names(__FILE__, line) && names(__FILE__, __LINE__ - 1));
	EXPECT_EQ(noria_mutex_unlock(&mutex), 0);

	owner = visit_to(&mutex, &counter);
	MUST(noria_group_open(&group) == 0);
	come(&group, &owner);
	EXPECT_EQ(noria_mutex_unlock(&mutex), -EPERM);
	EXPECT(names(__FILE__, LOCK_LINE) && names(__FILE__, __LINE__ - 1) && strstr(noria_message(), "task visitor"));
	EXPECT_EQ(noria_mutex_trylock(&mutex), -EBUSY);
	owner.go = true;
	EXPECT_EQ(noria_group_close(&group, 0), 0);
	return 0;
}

UNIT(mutex, a_wait_tells_who_has_it)
{
	struct noria_mutex mutex = {0};
	struct noria_group group;
	struct visit waiter;
	int counter = 0;
	char place[256];

	waiter = visit_to(&mutex, &counter);
	waiter.go = true;
	MUST(noria_group_open(&group) == 0);
	snprintf(place, sizeof place, "locked by task %s at %s:%d", noria_task_name(), __FILE__, __LINE__ + 1);
	MUST(noria_mutex_lock(&mutex) == 0);
	come(&group, &waiter);
	EXPECT(says(&waiter, "for the mutex at 0x") && says(&waiter, place));
	EXPECT_EQ(noria_mutex_unlock(&mutex), 0);
	EXPECT_EQ(noria_group_close(&group, 0), 0);
	return 0;
}

struct link {
	struct noria_mutex *own, *next;
	const bool *go;
	bool has_own, parked;
	int result;
};

static const char *const link_names[] = {"anna", "bert", "cora", "dirk", "emil"};

enum { OWN_LINE = __LINE__ + 7, NEXT_LINE = OWN_LINE + 4 };

/* Locks its own, then the next one's. */
static int link_up(void *arg)
{
	struct link *link = arg;

	MUST(noria_mutex_lock(link->own) == 0);
	link->has_own = true;
	UNTIL(*link->go);
	link->parked = true;
	link->result = noria_mutex_lock(link->next);
	if (link->result == 0)
		noria_mutex_unlock(link->next);
	noria_mutex_unlock(link->own);
	return 0;
}

/* Whoever would close the circle is refused; the others get what they wait for once it has let go. */
static void close_a_circle(int length)
{
	struct noria_mutex mutexes[5] = {0};
	struct link links[5];
	bool go[5] = {0};
	struct noria_group group;
	int refused = 0;

	MUST(noria_group_open(&group) == 0);
	for (int i = 0; i < length; i++) {
		struct noria_spawn_options options = {.name = link_names[i]};

		links[i] = (struct link){&mutexes[i], &mutexes[(i + 1) % length], &go[i], false, false, 1};
		MUST(noria_spawn_with(&group, link_up, &links[i], &options) == 0);
		UNTIL(links[i].has_own);
	}
	for (int i = 0; i < length; i++) {
		go[i] = true;
		UNTIL(links[i].parked);
	}
	EXPECT_EQ(links[length - 1].result, -EDEADLK);
	for (int i = 0; i < length; i++)
		EXPECT(strstr(noria_message(), link_names[i]));
	EXPECT(names(__FILE__, OWN_LINE) && names(__FILE__, NEXT_LINE));
	EXPECT_EQ(noria_group_close(&group, 0), 0);
	for (int i = 0; i < length; i++)
		refused += links[i].result != 0;
	EXPECT_EQ(refused, 1);
}

UNIT(mutex, a_cycle_of_two_is_refused)
{
	close_a_circle(2);
	return 0;
}

UNIT(mutex, a_cycle_of_five_is_refused)
{
	close_a_circle(5);
	return 0;
}

/* A chain that ends is none, and neither is one whose last task has been handed what it waits for. */
UNIT(mutex, a_chain_is_no_cycle)
{
	struct noria_mutex mutexes[3] = {0};
	struct link links[2];
	bool go = false;
	struct noria_group group;

	MUST(noria_group_open(&group) == 0);
	MUST(noria_mutex_lock(&mutexes[2]) == 0);
	for (int i = 0; i < 2; i++) {
		links[i] = (struct link){&mutexes[i], &mutexes[i + 1], &go, false, false, 1};
		MUST(noria_spawn(&group, link_up, &links[i]) == 0);
		UNTIL(links[i].has_own);
	}
	go = true;
	UNTIL(links[0].parked && links[1].parked);
	EXPECT_EQ(noria_mutex_unlock(&mutexes[2]), 0);
	EXPECT_EQ(noria_mutex_lock(&mutexes[2]), 0); /* behind the second link, which has it by now */
	EXPECT_EQ(noria_mutex_unlock(&mutexes[2]), 0);
	EXPECT_EQ(noria_group_close(&group, 0), 0);
	EXPECT(links[0].result == 0 && links[1].result == 0);
	return 0;
}

struct pair {
	struct noria_mutex own, other;
	struct noria_scope scope;
	bool waits;
	int result;
};

static int lock_pair(void *arg)
{
	struct pair *pair = arg;

	MUST(noria_mutex_lock(&pair->own) == 0);
	MUST(noria_scope_open(&pair->scope, NORIA_FOREVER, 0) == 0);
	pair->waits = true;
	pair->result = noria_mutex_lock(&pair->other);
	EXPECT_EQ(noria_scope_close(&pair->scope, 0), 0);
	return noria_mutex_unlock(&pair->own);
}

/* A task that has given up waiting, and has not run since, waits for nobody. */
UNIT(mutex, a_cancelled_waiter_is_no_link_of_a_cycle)
{
	struct pair pair = {.result = 1};
	struct noria_group group;

	MUST(noria_group_open(&group) == 0);
	MUST(noria_mutex_lock(&pair.other) == 0);
	MUST(noria_spawn(&group, lock_pair, &pair) == 0);
	UNTIL(pair.waits);
	EXPECT_EQ(noria_mutex_lock(&pair.own), -EDEADLK);
	noria_scope_cancel(&pair.scope);
	EXPECT_EQ(noria_mutex_lock(&pair.own), 0);
	EXPECT_EQ(noria_mutex_unlock(&pair.own), 0);
	EXPECT_EQ(noria_mutex_unlock(&pair.other), 0);
	EXPECT_EQ(noria_group_close(&group, 0), 0);
	EXPECT_EQ(pair.result, -ECANCELED);
	return 0;
}

static bool may_end;

enum { LEFT_LINE = __LINE__ + 4 };

static int lock_and_end(void *mutex)
{
	MUST(noria_mutex_lock((struct noria_mutex *)mutex) == 0);
	UNTIL(may_end);
	return 0;
}

/* The task has failed; the mutex goes to whoever waits, and then it is free. */
UNIT(mutex, of_a_task_that_has_ended_is_handed_on)
{
	struct noria_mutex mutex = {0};
	struct noria_group outer, group;
	struct visit waiter;
	int counter = 0;

	waiter = visit_to(&mutex, &counter);
	waiter.go = true;
	may_end = false;
	MUST(noria_group_open(&outer) == 0);
	MUST(noria_group_open(&group) == 0);
	MUST(noria_spawn(&group, lock_and_end, &mutex) == 0);
	turns(2);
	come(&outer, &waiter);
	EXPECT(!waiter.inside);
	may_end = true;
	EXPECT_EQ(noria_group_close(&group, 0), -EINVAL);
	EXPECT(names(__FILE__, LEFT_LINE) && strstr(noria_message(), "task lock_and_end ended"));
	UNTIL(waiter.ended);
	EXPECT_EQ(waiter.order, 1);
	EXPECT_EQ(noria_group_close(&outer, 0), 0);
	EXPECT_EQ(noria_mutex_trylock(&mutex), 0);
	EXPECT_EQ(noria_mutex_unlock(&mutex), 0);
	return 0;
}

/* A locked mutex that is overwritten, before another is locked or between the two. */
static int lose_a_mutex(void *arg)
{
	static struct noria_mutex mutexes[3];
	int last = *(const int *)arg;

	for (int i = 0; i <= last; i++)
		MUST(noria_mutex_lock(&mutexes[i]) == 0);
	memset(&mutexes[1], 0x55, sizeof mutexes[1]);
	return last == 1 ? noria_mutex_lock(&mutexes[2]) : noria_mutex_unlock(&mutexes[2]);
}

static void run_and_lose(void *arg)
{
	_exit(noria_run(NULL, lose_a_mutex, arg) == 0);
}

/* Nothing is written through what is no longer there: the process ends, and says why. */
Test(mutex, whose_storage_was_overwritten_ends_the_process, .timeout = 100)
{
	for (int last = 1; last <= 2; last++) {
		char text[1024];
		int status = unit_in_child(run_and_lose, &last, text, sizeof text);

		EXPECT(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
		EXPECT(strstr(text, "lose_a_mutex") && strstr(text, "locked mutex"));
	}
}

Test(mutex, outside_a_runtime_nothing_is_locked)
{
	struct noria_mutex mutex = {0};

	EXPECT_EQ(noria_mutex_lock(&mutex), -ENXIO);
	EXPECT_EQ(noria_mutex_trylock(&mutex), -ENXIO);
	EXPECT_EQ(noria_mutex_unlock(&mutex), -ENXIO);
}
