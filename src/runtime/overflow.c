/* SPDX-License-Identifier: MIT */
/*
 * A stack that overflows runs into its guard and faults. The handler, on a stack of its own, sees whose guard that is,
 * says which task, where it was spawned and how large its stack is, and lets the fault kill the process where it
 * happened, so that a core file shows the frames. Faults elsewhere go to whoever handled them before.
 */
#include "runtime/overflow.h"

#include "base/memory.h"
#include "base/message.h"
#include "task/loop.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { HANDLER_STACK = 32 * 1024 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static unsigned watches;
static struct sigaction old_action;

static void report(const struct task *task)
{
	char text[512];
	int n = snprintf(text, sizeof text,
			 "noria: stack overflow in task %s, spawned at %s:%d (%s), stack of %zu bytes. Remedy: smaller "
			 "frames, or "
			 "a larger stack_size in noria_spawn_with() or struct noria_config\n",
			 task->name, task->site->file, task->site->line, task->site->function, task->stack->size);
	ssize_t ignored = write(STDERR_FILENO, text, n < 0 ? 0 : (size_t)n < sizeof text ? (size_t)n : sizeof text - 1);

	(void)ignored;
}

static void handle(int number, siginfo_t *info, void *context)
{
	const struct task *task = noria_loop ? noria_loop->current : NULL;
	const char *address = info->si_addr;

	(void)context;
	if (task && address >= task->stack->low - STACK_GUARD && address < task->stack->low)
		report(task);
	/* Returning repeats the faulting instruction, now in the care of whoever was there before. */
	sigaction(number, &old_action, NULL);
	if (info->si_code <= 0)
		raise(number); /* it was sent: there is no instruction to repeat */
}

int noria_overflow_watch(struct overflow_watch *watch)
{
	struct sigaction action = {.sa_sigaction = handle, .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER};
	stack_t stack;

	watch->memory = NULL;
	sigemptyset(&action.sa_mask);
	if (sigaltstack(NULL, &stack) == 0 && (stack.ss_flags & SS_DISABLE)) {
		watch->memory = memory_map(HANDLER_STACK, MAP_STACK);
		if (!watch->memory)
			return noria_refuse(-ENOMEM, "no memory for a signal stack");
		stack = (stack_t){.ss_sp = watch->memory, .ss_size = HANDLER_STACK};
		sigaltstack(&stack, NULL);
	}
	pthread_mutex_lock(&lock);
	if (watches++ == 0)
		sigaction(SIGSEGV, &action, &old_action);
	pthread_mutex_unlock(&lock);
	return 0;
}

void noria_overflow_unwatch(struct overflow_watch *watch)
{
	stack_t none = {.ss_flags = SS_DISABLE};

	pthread_mutex_lock(&lock);
	if (--watches == 0)
		sigaction(SIGSEGV, &old_action, NULL);
	pthread_mutex_unlock(&lock);
	if (watch->memory) {
		sigaltstack(&none, NULL);
		munmap(watch->memory, HANDLER_STACK);
	}
}
