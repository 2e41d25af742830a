/* SPDX-License-Identifier: MIT */
/*
 * X10: when no task can ever go on, the run says so with the tree of its tasks, is cancelled and ends with -EDEADLK; it
 * says nothing as long as something may come. The tasks here wait for a lock that is only a queue, so that nothing but the
 * runtime's own waits takes part.
 */
#include "group_tasks.h"
#include "scope/waiters.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>

struct lock {
	const char *name;
	struct waiters queue;
	bool held;
};

struct locking {
	struct turn turn;
	const struct lock *lock;
};

static void describe_locking(const struct wait *wait, char *text, size_t size)
{
	snprintf(text, size, "waits for lock %s", container_of(turn_of(wait), struct locking, turn)->lock->name);
}

static const struct wait_class locking_class = {.abandon = noria_turn_abandon, .describe = describe_locking};
static const struct wait_class stubborn_class = {.describe = describe_locking};

static int take_as(struct lock *lock, const struct wait_class *class)
{
	struct task *task = noria_current();
	struct locking locking = {.lock = lock};
	int r = scope_door(task);

	if (r < 0)
		return r;
	if (lock->held)
		return noria_turn_wait(&locking.turn, task, &lock->queue, class);
	lock->held = true;
	return 0;
}

static int take(struct lock *lock)
{
	return take_as(lock, &locking_class);
}

static void release(struct lock *lock)
{
	if (!noria_waiters_tell_first(&lock->queue))
		lock->held = false;
}

/* What the failure handler heard of a deadlock. */
static struct {
	int count, code;
	char task[32], text[4096];
} told;

static void hear(const struct noria_failure *failure, const char *text, void *arg)
{
	(void)arg;
	told.count++;
	told.code = failure->code;
	snprintf(told.task, sizeof told.task, "%s", failure->task);
	snprintf(told.text, sizeof told.text, "%s", text);
}

static int run(noria_task_fn *body, enum noria_signals signals)
{
	struct noria_config config = {.signals = signals, .on_failure = hear, .executor_threads = 1};

	memset(&told, 0, sizeof told);
	return rule_run(body, NULL, &config, NORIA_TIMEOUTS_LINKED);
}

static bool text_names(const char *name, const char *what, int line)
{
	char wanted[256];

	snprintf(wanted, sizeof wanted, "task %s #", name);
	if (!strstr(told.text, wanted))
		return false;
	snprintf(wanted, sizeof wanted, "deadlock.c:%d: %s", line, what);
	return strstr(told.text, wanted) != NULL;
}

static bool deadlock_was_told(int count)
{
	return told.count == count && told.code == -EDEADLK && strncmp(told.text, "deadlock: ", 10) == 0;
}

static void expect_deadlock(int result, int count)
{
	EXPECT(result == -EDEADLK);
	EXPECT(strstr(noria_message(), "deadlock") != NULL);
	EXPECT(deadlock_was_told(count));
}

static void expect_none(int result)
{
	EXPECT(result == 0);
	EXPECT(told.count == 0);
}

/* Two tasks that take two locks, each the other's first. */
struct both {
	struct lock *first, *second;
	int answer;
	bool cleaned_up;
};

static void clean_up(bool *done)
{
	EXPECT(noria_check() == -ECANCELED);
	EXPECT(noria_shielded(noria_sec(10), noria_sleep(noria_usec(100))) == 0);
	*done = true;
}

static int take_both(void *arg)
{
	struct both *both = arg;

	MUST(take(both->first) == 0);
	MUST(noria_yield() == 0);
	both->answer = take(both->second);
	clean_up(&both->cleaned_up);
	release(both->first);
	return both->answer;
}

static struct both left, right;
static int left_line, right_line, after_close;

static int cross(void *arg)
{
	struct lock a = {.name = "a"}, b = {.name = "b"};
	const struct noria_spawn_options name_left = {.name = "left"}, name_right = {.name = "right"};
	struct noria_group group = {0};

	(void)arg;
	left = (struct both){.first = &a, .second = &b};
	right = (struct both){.first = &b, .second = &a};
	MUST(noria_group_open(&group) == 0);
	left_line = __LINE__ + 1;
	MUST(noria_spawn_with(&group, take_both, &left, &name_left) == 0);
	right_line = __LINE__ + 1;
	MUST(noria_spawn_with(&group, take_both, &right, &name_right) == 0);
	after_close = noria_group_close(&group, 0);
	return 0;
}

Test(X10, two_tasks_that_lock_each_other_out, .timeout = 60)
{
	expect_deadlock(run(cross, NORIA_SIGNALS_DRAIN), 1);
	EXPECT(left.answer == -ECANCELED && right.answer == -ECANCELED);
	EXPECT(left.cleaned_up && right.cleaned_up);
	EXPECT(after_close == -ECANCELED);
	EXPECT(text_names("left", "waits for lock b", left_line));
	EXPECT(text_names("right", "waits for lock a", right_line));
	EXPECT(strstr(told.text, ": waits for the children of the group of ") != NULL);
}

Test(X10, the_tree_shows_who_belongs_to_whom, .timeout = 60)
{
	const char *task, *group, *child, *stack;

	expect_deadlock(run(cross, NORIA_SIGNALS_NONE), 1);
	task = strstr(told.text, "\ntask ");
	group = strstr(told.text, "\n  group of ");
	child = strstr(told.text, "\n    task left #");
	stack = strstr(told.text, "\nstack of task left #");
	EXPECT(task && group && child && stack && task < group && group < child && child < stack);
	EXPECT(strstr(told.text, "\n    at ") != NULL);
	EXPECT(strncmp(told.task, task + 6, strlen(told.task)) == 0);
}

enum { CROWD = 200 };

static int wait_for_lock(void *arg)
{
	return take(arg);
}

static int crowd(void *arg)
{
	struct lock never = {.name = "never", .held = true};
	struct noria_group group = {0};

	(void)arg;
	MUST(noria_group_open(&group) == 0);
	for (int i = 0; i < CROWD; i++)
		MUST(noria_spawn(&group, wait_for_lock, &never) == 0);
	return noria_group_close(&group, 0);
}

Test(X10, a_tree_that_finds_no_room_says_how_much_is_missing, .timeout = 60)
{
	unsigned lines = 0, more = 0;
	const char *tail;

	expect_deadlock(run(crowd, NORIA_SIGNALS_DRAIN), 1);
	tail = strstr(told.text, "\n... and ");
	MUST(tail && sscanf(tail, "\n... and %u more", &more) == 1);
	for (const char *at = told.text; (at = strchr(at, '\n')); at++)
		lines++;
	EXPECT(lines - 1 + more == CROWD + 2);
}

static int sleep_for_ever(void *arg)
{
	(void)arg;
	return noria_sleep(NORIA_FOREVER);
}

Test(X10, without_signals_a_sleep_for_ever_is_a_deadlock, .timeout = 60)
{
	expect_deadlock(run(sleep_for_ever, NORIA_SIGNALS_NONE), 1);
	EXPECT(strstr(told.text, "sleeps for ever") != NULL);
}

static int wait_idly(void *arg)
{
	struct lock never = {.name = "never", .held = true};

	(void)arg;
	return noria_idle(take(&never));
}

Test(X10, without_signals_an_idle_wait_is_a_deadlock, .timeout = 60)
{
	expect_deadlock(run(wait_idly, NORIA_SIGNALS_NONE), 1);
}

/* A thread that does something once the loop sleeps. */
static struct loop *_Atomic sleeping_loop;
static pthread_t helper;

static void until_asleep(void)
{
	struct loop *loop;

	while (!(loop = atomic_load(&sleeping_loop)) || !atomic_load(&loop->asleep))
		sched_yield();
}

static void start_helper(void *(*fn)(void *), void *arg)
{
	loop_expect_posts(noria_loop); /* it shall tell when it sleeps */
	atomic_store(&sleeping_loop, noria_loop);
	MUST(pthread_create(&helper, NULL, fn, arg) == 0);
}

static void *signal_times(void *arg)
{
	unsigned times = *(unsigned *)arg;

	until_asleep();
	for (unsigned i = 0; i < times; i++) {
		kill(getpid(), SIGTERM);
		while (i + 1 < times && atomic_load(&atomic_load(&sleeping_loop)->signals) <= i)
			sched_yield(); /* two that are pending would count as one */
	}
	return NULL;
}

static unsigned one = 1, two = 2;

static int sleep_until_cancelled(void *arg)
{
	start_helper(signal_times, &two);
	return sleep_for_ever(arg);
}

static int wait_idly_until_drained(void *arg)
{
	start_helper(signal_times, &one);
	return wait_idly(arg);
}

static int sleep_while_two_are_stuck(void *arg)
{
	struct lock never = {.name = "never", .held = true};
	struct noria_group group = {0};
	int r;

	MUST(noria_group_open(&group) == 0);
	MUST(noria_spawn(&group, wait_for_lock, &never) == 0);
	r = sleep_until_cancelled(arg);
	return noria_group_close(&group, r);
}

Test(X10, a_signal_may_end_a_sleep_or_an_idle_wait, .timeout = 60)
{
	EXPECT(run(sleep_until_cancelled, NORIA_SIGNALS_DRAIN) == -ECANCELED && told.count == 0);
	pthread_join(helper, NULL);
	EXPECT(run(wait_idly_until_drained, NORIA_SIGNALS_DRAIN) == 0 && told.count == 0);
	pthread_join(helper, NULL);
	EXPECT(run(sleep_while_two_are_stuck, NORIA_SIGNALS_DRAIN) == -ECANCELED && told.count == 0);
	pthread_join(helper, NULL);
}

static int wait_idly_in_children(void *arg)
{
	struct lock never = {.name = "never", .held = true};
	struct noria_group group = {0};

	(void)arg;
	start_helper(signal_times, &one);
	MUST(noria_group_open(&group) == 0);
	MUST(noria_spawn(&group, wait_for_lock, &never) == 0);
	return noria_group_close(&group, 0);
}

static int idle_around_children(void *arg)
{
	return noria_idle(wait_idly_in_children(arg));
}

Test(X10, an_idle_scope_counts_for_all_that_is_in_it, .timeout = 60)
{
	EXPECT(run(idle_around_children, NORIA_SIGNALS_DRAIN) == 0 && told.count == 0);
	pthread_join(helper, NULL);
}

/* A drain has not what a shield hides, nor what cannot be given up. */
static int idle_behind_shield(void *arg)
{
	struct lock never = {.name = "never", .held = true};

	(void)arg;
	return noria_idle(noria_shielded(NORIA_FOREVER, take(&never)));
}

static int sleep_behind_shield(void *arg)
{
	return noria_shielded(NORIA_FOREVER, sleep_for_ever(arg));
}

Test(X10, a_signal_does_not_reach_behind_a_shield, .timeout = 60)
{
	expect_deadlock(run(idle_behind_shield, NORIA_SIGNALS_DRAIN), 1);
	expect_deadlock(run(sleep_behind_shield, NORIA_SIGNALS_DRAIN), 1);
}

static int limited_wait(void *arg)
{
	struct lock never = {.name = "never", .held = true};

	(void)arg;
	EXPECT(noria_within(noria_msec(5), take(&never)) == -ETIMEDOUT);
	return 0;
}

Test(X10, a_timer_may_wake_one, .timeout = 60)
{
	expect_none(run(limited_wait, NORIA_SIGNALS_NONE));
}

static void *write_byte(void *arg)
{
	until_asleep();
	MUST(write(*(int *)arg, "x", 1) == 1);
	return NULL;
}

static int read_then_release(void *arg)
{
	struct lock lock = {.name = "lock", .held = true};
	struct noria_group group = {0};
	int ends[2];
	char byte;

	(void)arg;
	socket_pair(ends);
	MUST(noria_group_open(&group) == 0);
	MUST(noria_spawn(&group, wait_for_lock, &lock) == 0);
	start_helper(write_byte, &ends[1]);
	EXPECT(noria_read(ends[0], &byte, 1) == 1);
	release(&lock);
	EXPECT(noria_group_close(&group, 0) == 0);
	close_pair(ends);
	return 0;
}

Test(X10, an_operation_may_wake_one, .timeout = 60)
{
	expect_none(run(read_then_release, NORIA_SIGNALS_NONE));
	pthread_join(helper, NULL);
}

static int return_once_asleep(void *arg)
{
	(void)arg;
	until_asleep();
	return 0;
}

static int offload_then_release(void *arg)
{
	struct lock lock = {.name = "lock", .held = true};
	struct noria_group group = {0};

	MUST(noria_group_open(&group) == 0);
	MUST(noria_spawn(&group, wait_for_lock, &lock) == 0);
	loop_expect_posts(noria_loop); /* it shall tell when it sleeps */
	atomic_store(&sleeping_loop, noria_loop);
	EXPECT(noria_offload(return_once_asleep, arg) == 0);
	release(&lock);
	return noria_group_close(&group, 0);
}

static int offload_then_get_stuck(void *arg)
{
	struct lock never = {.name = "never", .held = true};

	MUST(offload_then_release(arg) == 0);
	return take(&never);
}

Test(X10, an_offloaded_call_may_wake_one, .timeout = 60)
{
	expect_none(run(offload_then_release, NORIA_SIGNALS_NONE));
	expect_deadlock(run(offload_then_get_stuck, NORIA_SIGNALS_NONE), 1); /* it is over, and counts no more */
}

struct foreign {
	struct remote remote;
	struct wait wait;
	struct loop *loop;
};

static void describe_foreign(const struct wait *wait, char *text, size_t size)
{
	(void)wait;
	snprintf(text, size, "waits for another thread");
}

static const struct wait_class foreign_class = {.describe = describe_foreign, .external = true};

static void complete_foreign(struct remote *remote)
{
	noria_wait_complete(&container_of(remote, struct foreign, remote)->wait);
}

static void *post_foreign(void *arg)
{
	struct foreign *foreign = arg;

	until_asleep();
	noria_loop_post(foreign->loop, &foreign->remote);
	return NULL;
}

static int wait_for_foreign(void *arg)
{
	struct foreign foreign = {.remote.run = complete_foreign, .loop = noria_loop};

	(void)arg;
	noria_wait_init(&foreign.wait, &foreign_class);
	start_helper(post_foreign, &foreign);
	noria_wait_park(&foreign.wait);
	return 0;
}

Test(X10, another_thread_may_wake_one, .timeout = 60)
{
	expect_none(run(wait_for_foreign, NORIA_SIGNALS_NONE));
	pthread_join(helper, NULL);
}

/* Clean-up that gets stuck in its turn. */
static int stuck_in_clean_up(void *arg)
{
	struct lock never = {.name = "never", .held = true};

	(void)arg;
	EXPECT(take(&never) == -ECANCELED);
	EXPECT(noria_shielded(NORIA_FOREVER, noria_shielded(NORIA_FOREVER, take(&never))) == -ECANCELED);
	EXPECT(noria_shielded(NORIA_FOREVER, noria_sleep(NORIA_FOREVER)) == -ECANCELED);
	return 5;
}

Test(X10, clean_up_that_is_stuck_loses_its_shields, .timeout = 60)
{
	expect_deadlock(run(stuck_in_clean_up, NORIA_SIGNALS_DRAIN), 1);
}

/* The timer of a drain without end is none. */
static int drain_without_end(void *arg)
{
	struct lock never = {.name = "never", .held = true};

	(void)arg;
	noria_drain();
	return take(&never);
}

Test(X10, a_timer_that_never_fires_does_not_count, .timeout = 60)
{
	struct noria_config config = {
		.drain_timeout_ns = NORIA_FOREVER, .signals = NORIA_SIGNALS_NONE, .on_failure = hear};

	expect_deadlock(rule_run(drain_without_end, NULL, &config, NORIA_TIMEOUTS_LINKED), 1);
}

/* A wait that cannot be cancelled, and one that takes no notice of it. */
static int wait_stubbornly(void *arg)
{
	struct lock never = {.name = "never", .held = true};

	(void)arg;
	return take_as(&never, &stubborn_class);
}

static void ignore(struct wait *wait)
{
	(void)wait;
}

static const struct wait_class deaf_class = {.describe = describe_locking, .abandon = ignore};

static int wait_deafly(void *arg)
{
	struct lock never = {.name = "never", .held = true};

	(void)arg;
	return noria_idle(noria_shielded(NORIA_FOREVER, take_as(&never, &deaf_class)));
}

static int deaf_once_cancelled(void *arg)
{
	struct lock never = {.name = "never", .held = true};

	(void)arg;
	raise(SIGTERM); /* the drain begins at the next turn, and is not heard */
	return noria_idle(take_as(&never, &deaf_class));
}

/* Run a body in a process of its own, with the default handler. Returns how it ended; `text` is what it said. */
static int run_apart(noria_task_fn *body, char *text, size_t size)
{
	struct noria_config config = {.drain_timeout_ns = NORIA_FOREVER};
	size_t length = 0;
	ssize_t n;
	int ends[2], status;
	pid_t pid;

	MUST(pipe(ends) == 0);
	fflush(NULL);
	pid = fork();
	MUST(pid >= 0);
	if (pid == 0) {
		alarm(20); /* silence is what must not be */
		dup2(ends[1], STDERR_FILENO);
		close(ends[0]);
		close(ends[1]);
		_exit(noria_run(&config, body, NULL) == -EDEADLK ? 3 : 4);
	}
	close(ends[1]);
	while (length < size - 1 && (n = read(ends[0], text + length, size - 1 - length)) > 0)
		length += (size_t)n;
	text[length] = '\0';
	close(ends[0]);
	MUST(waitpid(pid, &status, 0) == pid);
	return status;
}

Test(X10, the_process_ends_when_even_a_cancel_wakes_nobody, .timeout = 60)
{
	static char text[16384];

	for (noria_task_fn **body = (noria_task_fn *[]){wait_stubbornly, wait_deafly, deaf_once_cancelled, NULL}; *body;
	     body++) {
		int status = run_apart(*body, text, sizeof text);

		EXPECT(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
		EXPECT(strstr(text, "waits for lock never") != NULL);
		EXPECT(strstr(text, "the run was cancelled, but its tasks are in waits that cannot be") != NULL);
		EXPECT(strstr(text, "wait for ever in calls that cannot be cancelled") != NULL);
	}
}

Test(X10, without_a_handler_the_tree_goes_to_standard_error, .timeout = 60)
{
	static char text[16384];
	int status = run_apart(cross, text, sizeof text);

	EXPECT(WIFEXITED(status) && WEXITSTATUS(status) == 3);
	EXPECT(strstr(text, "task left #") && strstr(text, "task right #"));
}
