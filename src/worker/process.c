/* SPDX-License-Identifier: MIT */
/*
 * The two kinds of process. The template has one thread, no handler and no lock of its own; it waits for orders and for
 * deaths, forks, kills and reports. It alone reaps the workers, so the process that it kills is the one that it means.
 * A worker reads calls from its slot's socket until that ends.
 *
 * Both run on a stack of the usual size, because the fork was made on a task's. They die with their parent.
 */
#include "worker/workers.h"

#include "base/assert.h"
#include "scope/failure.h"
#include "scope/value.h"
#include "task/context.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

struct template
{
	struct noria_workers *workers;
	int signals; /* a signalfd, of SIGCHLD */
	pid_t pids[WORKERS_MAX];
};

/* A worker's own; -1 in what it has forked. */
static int slot_socket;

static int compare_fds(const void *a, const void *b)
{
	return *(const int *)a - *(const int *)b;
}

void noria_worker_close_others(int *keep, unsigned count)
{
	unsigned from = STDERR_FILENO + 1;

	qsort(keep, count, sizeof *keep, compare_fds);
	for (unsigned i = 0; i < count; i++) {
		unsigned fd = (unsigned)keep[i];

		if (fd > from)
			close_range(from, fd - 1, 0);
		from = fd >= from ? fd + 1 : from;
	}
	close_range(from, ~0U, 0);
}

static void reset_signals(void)
{
	struct sigaction standard = {.sa_handler = SIG_DFL};
	stack_t none = {.ss_flags = SS_DISABLE};
	sigset_t empty;

	for (int signal = 1; signal < NSIG; signal++)
		sigaction(signal, &standard, NULL);
	sigaltstack(&none, NULL);
	sigemptyset(&empty);
	sigprocmask(SIG_SETMASK, &empty, NULL);
}

static void send_message(int fd, const struct message *message)
{
	/* A peer that is gone needs no answer, and there are never more messages than the socket has room for. */
	ssize_t ignored = send(fd, message, sizeof *message, MSG_NOSIGNAL | MSG_DONTWAIT);

	(void)ignored;
}

static bool receive(int fd, struct message *ret_message)
{
	ssize_t n;

	do
		n = recv(fd, ret_message, sizeof *ret_message, 0);
	while (n < 0 && errno == EINTR);
	return n == sizeof *ret_message;
}

/* ---- the worker ---- */

static void limit_memory(const struct noria_workers *workers)
{
	struct rlimit limit;

	if (workers->address_space == RLIM_INFINITY || getrlimit(RLIMIT_AS, &limit) < 0)
		return;
	if (limit.rlim_max == RLIM_INFINITY || limit.rlim_max > workers->address_space)
		limit.rlim_max = workers->address_space;
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_AS, &limit);
}

/* From now on it may take so many seconds more than it has taken so far. */
static void limit_cpu(const struct noria_workers *workers)
{
	struct rusage usage;
	struct rlimit limit;

	if (workers->cpu_seconds == 0 || getrusage(RUSAGE_SELF, &usage) < 0 || getrlimit(RLIMIT_CPU, &limit) < 0)
		return;
	limit.rlim_cur = (rlim_t)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) + workers->cpu_seconds + 1;
	if (limit.rlim_cur > limit.rlim_max)
		limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_CPU, &limit);
}

/*
 * What a call has forked ends here, before it has touched the slot: the worker may have answered long ago, and be at
 * the next call.
 */
static void run_call(const struct noria_workers *workers, struct slot_memory *memory)
{
	pid_t worker = getpid();
	struct error error;
	int result;

	error_init(&error);
	limit_cpu(workers);
	noria_values_lend(true, NULL);
	noria_error_lend(&error);
	result = memory->fn(memory->argument);
	if (getpid() != worker)
		_exit(0);
	noria_error_lend(NULL);
	noria_values_lend(false, NULL);
	memory->result = result;
	memory->error = result < 0 && error.code == result ? error.code : 0;
	if (memory->error)
		memcpy(memory->text, error.text, sizeof memory->text);
}

/*
 * What a call has forked is nobody's worker, and must not keep the slot's socket open: that it ends is how the program
 * learns of the template's end.
 */
static void leave_slot(void)
{
	close(slot_socket);
	slot_socket = -1;
}

/* It has run. If it may not say so, it is to be killed, or has scribbled over the word, and would not be heard. */
static void end_call(struct slot_memory *memory, uint64_t number)
{
	uint64_t taken = slot_word(number, SLOT_TAKEN);

	if (atomic_compare_exchange_strong(&memory->word, &taken, slot_word(number, SLOT_DONE)))
		return;
	while (taken == slot_word(number, SLOT_KILLED))
		pause();
	abort();
}

_Noreturn void noria_worker_run(struct noria_workers *workers, struct slot *slot)
{
	struct slot_memory *memory = slot->memory;
	struct message message;

	slot_socket = slot->worker_fd;
	pthread_atfork(NULL, NULL, leave_slot);
	while (receive(slot->worker_fd, &message)) {
		/* Whichever is asked for now: the message may be about one that was taken back. */
		uint64_t asked = atomic_load(&memory->word), number = asked >> SLOT_STATE_BITS;

		if (asked != slot_word(number, SLOT_ASKED) ||
		    !atomic_compare_exchange_strong(&memory->word, &asked, slot_word(number, SLOT_TAKEN)))
			continue; /* withdrawn, or asked twice */
		run_call(workers, memory);
		end_call(memory, number);
		message = (struct message){.kind = MESSAGE_ENDED, .slot = message.slot, .word = asked};
		send_message(slot->worker_fd, &message);
	}
	_exit(0);
}

/* ---- the template ---- */

/* Who runs past the end of his argument harms nobody else. */
static void shut_other_slots(const struct noria_workers *workers, const struct slot *slot)
{
	char *own = (char *)slot->memory, *end = workers->memory + workers->slot_bytes * workers->slots_count;
	char *next = own + workers->slot_bytes;

	if (mprotect(workers->memory, (size_t)(own - workers->memory), PROT_NONE) < 0 ||
	    mprotect(next, (size_t)(end - next), PROT_NONE) < 0)
		_exit(1);
}

static _Noreturn void become_worker(struct template *template, struct slot *slot, pid_t parent)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(0);
	noria_worker_close_others(&slot->worker_fd, 1);
	shut_other_slots(template->workers, slot);
	reset_signals();
	limit_memory(template->workers);
	noria_worker_run(template->workers, slot);
}

static void start_worker(struct template *template, const struct message *order)
{
	struct slot *slot = &template->workers->slots[order->slot];
	pid_t parent = getpid(), pid;

	if (template->pids[order->slot] > 0)
		return;
	pid = fork();
	if (pid == 0)
		become_worker(template, slot, parent);
	if (pid < 0)
		send_message(slot->worker_fd,
			     &(struct message){.kind = MESSAGE_NONE, .value = errno, .word = order->word});
	else
		template->pids[order->slot] = pid;
}

static void report_death(struct template *template, pid_t pid, int status)
{
	struct noria_workers *workers = template->workers;

	for (unsigned i = 0; i < workers->slots_count; i++) {
		struct slot *slot = &workers->slots[i];

		if (template->pids[i] != pid)
			continue;
		template->pids[i] = 0;
		send_message(slot->worker_fd, &(struct message){.kind = MESSAGE_DIED, .slot = i, .value = status});
	}
}

static void reap(struct template *template)
{
	struct signalfd_siginfo info;
	int status;
	pid_t pid;

	if (read(template->signals, &info, sizeof info) < 0)
		return;
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		report_death(template, pid, status);
}

static void obey(struct template *template, const struct message *order)
{
	pid_t pid = template->pids[order->slot];

	if (order->kind == MESSAGE_START)
		start_worker(template, order);
	else if (pid > 0)
		kill(pid, SIGKILL); /* its caller waits for that: there is no next call yet */
}

/* The program has closed the executor, or is gone. */
static _Noreturn void end(struct template *template)
{
	for (unsigned i = 0; i < template->workers->slots_count; i++)
		if (template->pids[i] > 0)
			kill(template->pids[i], SIGKILL);
	while (waitpid(-1, NULL, 0) > 0 || errno == EINTR)
		;
	_exit(0);
}

static _Noreturn void serve(struct template *template)
{
	struct pollfd fds[] = {{.fd = template->workers->template_control, .events = POLLIN},
			       {.fd = template->signals, .events = POLLIN}};
	struct message order;

	for (;;) {
		poll(fds, 2, -1);
		if (fds[1].revents)
			reap(template);
		if (!fds[0].revents)
			continue;
		if (!receive(fds[0].fd, &order))
			end(template);
		obey(template, &order);
	}
}

static struct context *template_main(void *arg)
{
	struct template template = {.workers = arg};
	struct noria_workers *workers = arg;
	int keep[WORKERS_MAX + 1];
	sigset_t deaths;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	setpgid(0, 0);
	reset_signals();
	for (unsigned i = 0; i < workers->slots_count; i++)
		keep[i] = workers->slots[i].worker_fd;
	keep[workers->slots_count] = workers->template_control;
	noria_worker_close_others(keep, workers->slots_count + 1);
	sigemptyset(&deaths);
	sigaddset(&deaths, SIGCHLD);
	sigprocmask(SIG_BLOCK, &deaths, NULL);
	template.signals = signalfd(-1, &deaths, SFD_CLOEXEC | SFD_NONBLOCK);
	if (template.signals < 0)
		_exit(1);
	serve(&template);
}

_Noreturn void noria_template_run(struct noria_workers *workers, char *stack)
{
	static struct context here, there;

	noria_context_adopt(&here);
	noria_context_make(&there, stack, TEMPLATE_STACK_BYTES, template_main, workers);
	context_switch(&here, &there);
	_exit(1);
}
