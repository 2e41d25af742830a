/* SPDX-License-Identifier: MIT */
/* Signals as streams: what they tell, which are refused, and what becomes of masks and of the drain. */
#include "unit.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/wait.h>
#include <unistd.h>

static sigset_t set_of(int signal_number)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, signal_number);
	return set;
}

static void open_one(struct noria_signal_stream *stream, int signal_number)
{
	sigset_t set = set_of(signal_number);

	MUST(noria_signal_stream_open(stream, &set) == 0);
}

static bool is_blocked(int signal_number)
{
	sigset_t set;

	MUST(pthread_sigmask(SIG_SETMASK, NULL, &set) == 0);
	return sigismember(&set, signal_number);
}

UNIT(signal, tells_who_sent_it_and_what)
{
	noria_autosignals struct noria_signal_stream stream = {0};
	struct noria_signal told;

	open_one(&stream, SIGUSR1);
	MUST(sigqueue(getpid(), SIGUSR1, (union sigval){.sival_int = 42}) == 0);
	EXPECT_EQ(noria_signal_stream_next(&stream, &told), SIGUSR1);
	EXPECT_EQ(told.signo, SIGUSR1);
	EXPECT_EQ(told.code, SI_QUEUE);
	EXPECT_EQ(told.pid, getpid());
	EXPECT_EQ(told.uid, getuid());
	EXPECT_EQ(told.value, 42);
	/* One for this thread alone is read as well. */
	MUST(pthread_kill(pthread_self(), SIGUSR1) == 0);
	EXPECT_EQ(noria_signal_stream_next(&stream, NULL), SIGUSR1);
	return 0;
}

UNIT(signal, nothing_is_lost_between_calls)
{
	noria_autosignals struct noria_signal_stream stream = {0};
	struct noria_signal told;

	open_one(&stream, SIGRTMIN);
	for (int i = 0; i < 5; i++)
		MUST(sigqueue(getpid(), SIGRTMIN, (union sigval){.sival_int = i}) == 0);
	for (int i = 0; i < 5; i++) {
		EXPECT_EQ(noria_signal_stream_next(&stream, &told), SIGRTMIN);
		EXPECT_EQ(told.value, i);
	}
	EXPECT_EQ(noria_within(noria_msec(5), noria_signal_stream_next(&stream, &told)), -ETIMEDOUT);
	return 0;
}

UNIT(signal, one_stream_for_a_signal)
{
	struct noria_signal_stream one = {0}, two = {0};
	sigset_t both = set_of(SIGUSR1);

	sigaddset(&both, SIGUSR2);
	open_one(&one, SIGUSR2);
	EXPECT_EQ(noria_signal_stream_open(&two, &both), -EBUSY);
	EXPECT(strstr(noria_message(), __FILE__));
	EXPECT(!is_blocked(SIGUSR1));
	EXPECT_EQ(noria_signal_stream_open(&one, &both), -EINVAL);
	noria_signal_stream_close(&one);
	noria_signal_stream_close(&one);
	EXPECT_EQ(noria_signal_stream_open(&two, &both), 0);
	noria_signal_stream_close(&two);
	return 0;
}

UNIT(signal, some_cannot_be_streams)
{
	static const int never[] = {SIGKILL, SIGSTOP, SIGSEGV, SIGBUS, SIGFPE, SIGILL};
	struct noria_signal_stream stream = {0};
	sigset_t set;

	for (size_t i = 0; i < sizeof never / sizeof never[0]; i++) {
		set = set_of(never[i]);
		EXPECT_EQ(noria_signal_stream_open(&stream, &set), -EINVAL);
	}
	sigemptyset(&set);
	EXPECT_EQ(noria_signal_stream_open(&stream, &set), -EINVAL);
	return 0;
}

UNIT(signal, masks_are_as_before)
{
	noria_autosignals struct noria_signal_stream stream = {0};
	sigset_t set = set_of(SIGUSR1);

	MUST(pthread_sigmask(SIG_BLOCK, &set, NULL) == 0);
	sigaddset(&set, SIGUSR2);
	MUST(noria_signal_stream_open(&stream, &set) == 0);
	EXPECT(is_blocked(SIGUSR1) && is_blocked(SIGUSR2));
	noria_signal_stream_close(&stream);
	EXPECT(is_blocked(SIGUSR1) && !is_blocked(SIGUSR2));
	MUST(pthread_sigmask(SIG_UNBLOCK, &set, NULL) == 0);
	return 0;
}

struct thread {
	pthread_t thread;
	atomic_bool runs, end;
};

static void *wait_for_end(void *arg)
{
	struct thread *thread = arg;

	atomic_store(&thread->runs, true);
	while (!atomic_load(&thread->end))
		sched_yield();
	return NULL;
}

/* Until it runs its function it blocks everything. */
static void start(struct thread *thread)
{
	atomic_store(&thread->runs, false);
	MUST(pthread_create(&thread->thread, NULL, wait_for_end, thread) == 0);
	while (!atomic_load(&thread->runs))
		sched_yield();
}

/* It could take the signal, and the default effect would end the process. */
UNIT(signal, refused_while_a_thread_does_not_block)
{
	noria_autosignals struct noria_signal_stream stream = {0};
	sigset_t set = set_of(SIGUSR1);
	struct thread thread = {0};

	start(&thread);
	EXPECT_EQ(noria_signal_stream_open(&stream, &set), -EBUSY);
	EXPECT(strstr(noria_message(), "does not block SIGUSR1"));
	EXPECT(!is_blocked(SIGUSR1));
	atomic_store(&thread.end, true);
	MUST(pthread_join(thread.thread, NULL) == 0);
	open_one(&stream, SIGUSR1);
	/* One that begins now has the mask. */
	atomic_store(&thread.end, false);
	start(&thread);
	noria_signal_stream_close(&stream);
	EXPECT_EQ(noria_signal_stream_open(&stream, &set), 0);
	atomic_store(&thread.end, true);
	MUST(pthread_join(thread.thread, NULL) == 0);
	return 0;
}

static int work(void *arg)
{
	(void)arg;
	return 0;
}

UNIT(signal, threads_of_the_executor_block_all)
{
	noria_autosignals struct noria_signal_stream stream = {0};

	MUST(noria_offload(work, NULL) == 0);
	open_one(&stream, SIGUSR1);
	return 0;
}

struct taker {
	struct noria_signal_stream stream;
	int result;
};

static int take(void *arg)
{
	struct taker *taker = arg;

	taker->result = noria_signal_stream_next(&taker->stream, NULL);
	return 0;
}

UNIT(signal, closed_under_a_task_that_waits)
{
	struct taker taker = {0};
	struct noria_group group;

	open_one(&taker.stream, SIGUSR1);
	MUST(noria_group_open(&group) == 0);
	MUST(noria_spawn(&group, take, &taker) == 0);
	for (int i = 0; i < 3; i++)
		MUST(noria_yield() == 0);
	noria_signal_stream_close(&taker.stream);
	EXPECT_EQ(taker.result, -EBADF);
	EXPECT_EQ(noria_group_close(&group, 0), 0);
	EXPECT_EQ(noria_signal_stream_next(&taker.stream, NULL), -EINVAL);
	return 0;
}

static int forget(void *arg)
{
	open_one(arg, SIGUSR1);
	return 0;
}

UNIT(signal, forgotten_by_its_task)
{
	struct noria_signal_stream stream = {0};
	struct noria_group group;

	MUST(noria_group_open(&group) == 0);
	MUST(noria_spawn(&group, forget, &stream) == 0);
	EXPECT_EQ(noria_group_close(&group, 0), -EINVAL);
	EXPECT(!is_blocked(SIGUSR1));
	return 0;
}

/* X07: the stream has it, and not the drain; the program drains when it likes, and that ends the wait for the next. */
UNIT(signal, sigterm_is_the_streams_and_not_the_drains)
{
	noria_autosignals struct noria_signal_stream stream = {0};

	open_one(&stream, SIGTERM);
	MUST(kill(getpid(), SIGTERM) == 0);
	EXPECT_EQ(noria_signal_stream_next(&stream, NULL), SIGTERM);
	MUST(noria_yield() == 0);
	EXPECT(!noria_draining());
	noria_drain();
	EXPECT(noria_draining());
	EXPECT_EQ(noria_signal_stream_next(&stream, NULL), -ECANCELED);
	return 0;
}

/* X07: what the stream did not take goes to the drain at its close. */
UNIT(signal, sigterm_that_was_not_taken_begins_the_drain)
{
	noria_autosignals struct noria_signal_stream stream = {0};

	open_one(&stream, SIGTERM);
	MUST(kill(getpid(), SIGTERM) == 0);
	MUST(noria_yield() == 0);
	EXPECT(!noria_draining());
	noria_signal_stream_close(&stream);
	UNTIL(noria_draining());
	return 0;
}

static int drain_soon(void *arg)
{
	(void)arg;
	for (int i = 0; i < 3; i++)
		MUST(noria_yield() == 0);
	noria_drain();
	return 0;
}

UNIT(signal, a_drain_ends_the_wait)
{
	noria_autosignals struct noria_signal_stream stream = {0};
	struct noria_group group;

	open_one(&stream, SIGHUP);
	MUST(noria_group_open(&group) == 0);
	MUST(noria_spawn(&group, drain_soon, NULL) == 0);
	EXPECT_EQ(noria_signal_stream_next(&stream, NULL), -ECANCELED);
	EXPECT_EQ(noria_group_close(&group, 0), 0);
	return 0;
}

UNIT(signal, sigchld_beside_a_wait)
{
	noria_autosignals struct noria_signal_stream stream = {0};
	noria_autoprocess struct noria_process process = {0};
	struct noria_signal told;

	open_one(&stream, SIGCHLD);
	MUST(noria_process_open(&process, "sh", ((char *[]){"sh", "-c", "exit 3", NULL}), NULL, NULL) == 0);
	EXPECT_EQ(noria_signal_stream_next(&stream, &told), SIGCHLD);
	EXPECT_EQ(told.code, CLD_EXITED);
	EXPECT_EQ(told.pid, noria_process_pid(&process));
	EXPECT_EQ(told.status, 3);
	EXPECT_EQ(noria_process_wait(&process), 3 << 8);
	return 0;
}

static int open_again(void *arg)
{
	noria_autosignals struct noria_signal_stream stream = {0};
	sigset_t set = set_of(SIGUSR1);

	(void)arg;
	return noria_signal_stream_open(&stream, &set);
}

/* The streams of a process are not its child's. */
UNIT(signal, a_fork_may_open_its_own)
{
	noria_autosignals struct noria_signal_stream stream = {0};
	int status;
	pid_t child;

	open_one(&stream, SIGUSR1);
	child = fork();
	MUST(child >= 0);
	if (child == 0)
		_exit(noria_run(NULL, open_again, NULL) < 0);
	EXPECT_EQ(noria_waitpid(child, &status, 0), child);
	EXPECT_EQ(status, 0);
	return 0;
}
