/* SPDX-License-Identifier: MIT */
/*
 * SIGINT and SIGTERM for runtimes. The handlers are the process's, the runtimes are many: each that wants signals has a
 * slot, and a handler counts the signal for every slot and wakes its loop, which is all async-signal-safe. When a
 * signal is the third for every runtime, it gets its default effect: nobody should have to look for SIGKILL.
 *
 * A slot is emptied before its loop is freed; a handler that is reading it meanwhile on another thread is waited for.
 */
#include "runtime/drain.h"

#include "base/message.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>

enum { SLOTS = 256, PATIENCE = 2 };

static _Atomic(struct loop *) slots[SLOTS];
static atomic_uint handlers_running;
static atomic_int last_signal;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static unsigned users;
static struct sigaction old_int, old_term;

static struct sigaction *old_action(int signal_number)
{
	return signal_number == SIGINT ? &old_int : &old_term;
}

/* Counts a signal for every runtime. Returns the least count of any, 0 if there is none. */
static unsigned count_for_all(void)
{
	unsigned least = 0;

	for (int i = 0; i < SLOTS; i++) {
		struct loop *loop = atomic_load(&slots[i]);
		unsigned count;

		if (!loop)
			continue;
		noria_loop_signal(loop);
		count = atomic_load(&loop->signals);
		least = least == 0 || count < least ? count : least;
	}
	return least;
}

static void handle(int signal_number)
{
	unsigned least;

	atomic_fetch_add(&handlers_running, 1);
	atomic_store(&last_signal, signal_number);
	least = count_for_all();
	atomic_fetch_sub(&handlers_running, 1);
	if (least > PATIENCE) {
		signal(signal_number, SIG_DFL);
		raise(signal_number);
	} else if (least == 0) { /* the last runtime ended just now: the signal is for whoever had it before */
		sigaction(signal_number, old_action(signal_number), NULL);
		raise(signal_number);
	}
}

static void install(void)
{
	struct sigaction action = {.sa_handler = handle, .sa_flags = SA_RESTART | SA_ONSTACK};

	sigemptyset(&action.sa_mask);
	sigaction(SIGINT, &action, &old_int);
	sigaction(SIGTERM, &action, &old_term);
}

int noria_signals_acquire(struct loop *loop)
{
	int i;

	pthread_mutex_lock(&lock);
	for (i = 0; i < SLOTS && atomic_load(&slots[i]); i++)
		;
	if (i < SLOTS) {
		atomic_store(&slots[i], loop);
		if (users++ == 0)
			install();
	}
	pthread_mutex_unlock(&lock);
	return i < SLOTS ? 0
			 : noria_refuse(-EAGAIN,
					"%d runtimes of this process take signals already. Remedy: set "
					"config.signals = NORIA_SIGNALS_NONE in some",
					SLOTS);
}

void noria_signals_release(struct loop *loop)
{
	pthread_mutex_lock(&lock);
	for (int i = 0; i < SLOTS; i++) {
		if (atomic_load(&slots[i]) != loop)
			continue;
		atomic_store(&slots[i], NULL);
		if (--users == 0) {
			sigaction(SIGINT, &old_int, NULL);
			sigaction(SIGTERM, &old_term, NULL);
		}
	}
	pthread_mutex_unlock(&lock);
	while (atomic_load(&handlers_running) > 0)
		sched_yield();
}

const char *noria_signals_last(void)
{
	return atomic_load(&last_signal) == SIGINT ? "SIGINT" : "SIGTERM";
}

void noria_signals_forget(void)
{
	lock = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER; /* another thread of the parent may have held it */
	atomic_store(&handlers_running, 0);
	for (int i = 0; i < SLOTS; i++)
		atomic_store(&slots[i], NULL);
	if (users == 0)
		return;
	users = 0;
	sigaction(SIGINT, &old_int, NULL);
	sigaction(SIGTERM, &old_term, NULL);
}
