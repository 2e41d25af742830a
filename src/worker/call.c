/* SPDX-License-Identifier: MIT */
/*
 * A call in a process. The caller takes a slot, puts function and argument there, says so to the slot's worker, and
 * receives until it hears how that has ended. A cancel takes the call back, or has the worker killed and waits for its
 * death: the caller goes on when nothing of its call is left.
 */
#include "worker/workers.h"

#include "base/message.h"
#include "op/op.h"
#include "scope/failure.h"
#include "scope/scope.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>

enum { STARTS_MAX = 3 };

struct call {
	struct noria_workers *workers;
	struct slot *slot;
	const struct noria_site *site;
	void *argument;
	size_t size;
	unsigned starts; /* workers that were forked for it */
	char name[96];   /* of the operation that it waits in */
};

/* More calls that were taken back than a worker has read of: any one message that it finds will do. */
static void tell_worker(int fd, const struct message *message)
{
	(void)op_call("send", OP_ATTEMPT | OP_ALWAYS | OP_DONTWAIT, io_uring_prep_send, fd, message, sizeof *message,
		      MSG_NOSIGNAL | MSG_DONTWAIT);
}

static void tell_template(int fd, const struct message *message)
{
	/* Where nobody is left to hear it, the receive that follows says so. */
	(void)op_call("send", OP_ATTEMPT | OP_ALWAYS, io_uring_prep_send, fd, message, sizeof *message, MSG_NOSIGNAL);
}

static uint64_t word_of(const struct call *call, enum slot_state state)
{
	return slot_word(call->slot->number, state);
}

/* From one state into another, if it is in the one. */
static bool move(struct call *call, enum slot_state from, enum slot_state to)
{
	uint64_t word = word_of(call, from);

	return atomic_compare_exchange_strong(&call->slot->memory->word, &word, word_of(call, to));
}

static struct message message_of(const struct call *call, enum message_kind kind, enum slot_state state)
{
	return (struct message){
		.kind = kind, .slot = (unsigned)(call->slot - call->workers->slots), .word = word_of(call, state)};
}

/* See that there is a worker, and give it the call. */
static void ask(struct call *call)
{
	struct message message = message_of(call, MESSAGE_START, SLOT_ASKED);

	if (!call->slot->started) {
		tell_template(call->workers->control, &message);
		call->slot->started = true;
		call->starts++;
	}
	message.kind = MESSAGE_CALL;
	tell_worker(call->slot->fd, &message);
}

static int fail(struct call *call, int code, const char *how)
{
	char text[NORIA_FAILURE_TEXT_MAX];

	snprintf(text, sizeof text, "%s() in a process of the executor %s %s", call->site->what, call->workers->name,
		 how);
	noria_refuse(code, "%s", text);
	return noria_fail_at(code, call->site, "%s", text);
}

static int died(struct call *call, int status)
{
	char how[96];

	if (WIFSIGNALED(status))
		snprintf(how, sizeof how, "was ended by signal %d (%s)%s", WTERMSIG(status),
			 sigdescr_np(WTERMSIG(status)),
			 WTERMSIG(status) == SIGXCPU ? ", at its limit of CPU time" : "");
	else
		snprintf(how, sizeof how, "ended its process with exit status %d", WEXITSTATUS(status));
	return fail(call, -EOWNERDEAD, how);
}

/* It has run: the copy comes back, and the story of its error. */
static int ended(struct call *call)
{
	const struct slot_memory *memory = call->slot->memory;
	int r = memory->result;

	if (call->size > 0)
		memcpy(call->argument, memory->argument, call->size);
	if (r < 0 && memory->error == r) {
		char text[NORIA_FAILURE_TEXT_MAX];

		memcpy(text, memory->text, sizeof text);
		text[sizeof text - 1] = '\0';
		return noria_fail_at(r, call->site, "%s", text);
	}
	return r;
}

static int broken(struct call *call)
{
	call->workers->broken = true;
	return fail(call, -EPIPE, "is lost: the template process is gone. Remedy: close the executor, open another");
}

/*
 * The worker is gone. True when that is the end of the call. One that died before it took the call is replaced; but not
 * for ever. A worker that scribbled over the word had taken it.
 */
static bool is_end(struct call *call, const struct message *message, int *ret_result)
{
	call->slot->started = false;
	if (atomic_load(&call->slot->memory->word) == word_of(call, SLOT_ASKED) && call->starts < STARTS_MAX) {
		ask(call);
		return false;
	}
	*ret_result = died(call, message->value);
	return true;
}

/* What the slot has to say. True when the call has ended, with its result. */
static bool heard(struct call *call, const struct message *message, int *ret_result)
{
	switch (message->kind) {
	case MESSAGE_ENDED:
		if (message->word != word_of(call, SLOT_ASKED))
			return false; /* an earlier one, which was killed too late */
		*ret_result = ended(call);
		return true;
	case MESSAGE_DIED:
		return is_end(call, message, ret_result);
	case MESSAGE_NONE:
		call->slot->started = false;
		if (message->word != word_of(call, SLOT_ASKED)) {
			ask(call); /* that was for an earlier one, which was taken back meanwhile */
			return false;
		}
		*ret_result = noria_refuse(-message->value,
					   "no process for the executor %s: %s. Remedy: raise RLIMIT_NPROC or pids.max",
					   call->workers->name, strerrordesc_np(message->value));
		return true;
	default:
		return false;
	}
}

/* 1, or 0 when nobody is left to say anything. What is too short is none of ours: a worker that runs wild wrote it. */
static int receive(struct call *call, struct message *ret_message, unsigned flags)
{
	int64_t n;

	do
		n = op_call(call->name, flags, io_uring_prep_recv, call->slot->fd, ret_message, sizeof *ret_message, 0);
	while (n > 0 && n < (int64_t)sizeof *ret_message);
	return n > 0 ? 1 : (int)n;
}

/* A cancelled caller waits for the end that it has brought about. */
static int await_end(struct call *call)
{
	struct message message;
	int r, result = -ECANCELED;

	do
		r = receive(call, &message, OP_ALWAYS);
	while (r > 0 && message.kind != MESSAGE_DIED &&
	       !(message.kind == MESSAGE_ENDED && heard(call, &message, &result)));
	if (r > 0 && message.kind == MESSAGE_DIED)
		call->slot->started = false;
	if (r <= 0)
		call->workers->broken = true;
	return result;
}

/* It can no longer end well, unless it has: TAKEN, or whatever a worker that runs wild has made of that. */
static bool condemn(struct call *call)
{
	uint64_t word = atomic_load(&call->slot->memory->word);

	while (word != word_of(call, SLOT_DONE))
		if (atomic_compare_exchange_strong(&call->slot->memory->word, &word, word_of(call, SLOT_KILLED)))
			return true;
	return false;
}

/* The scope is cancelled. */
static int give_up(struct call *call)
{
	if (move(call, SLOT_ASKED, SLOT_WITHDRAWN))
		return -ECANCELED;
	if (condemn(call)) {
		struct message message = message_of(call, MESSAGE_KILL, SLOT_KILLED);

		tell_template(call->workers->control, &message);
		noria_workers_continue(call->workers);
	}
	return await_end(call);
}

static int run(struct call *call, noria_task_fn *fn)
{
	struct slot_memory *memory = call->slot->memory;
	struct message message;
	int r, result;

	call->slot->number++;
	memory->fn = fn;
	if (call->size > 0)
		memcpy(memory->argument, call->argument, call->size);
	atomic_store(&memory->word, word_of(call, SLOT_ASKED));
	ask(call);
	do {
		r = receive(call, &message, OP_POLLABLE);
		if (r == -ECANCELED)
			return give_up(call);
		if (r <= 0)
			return broken(call);
	} while (!heard(call, &message, &result));
	return result;
}

static int refuse(const struct noria_workers *workers, noria_task_fn *fn, const void *arg, size_t size)
{
	if (!workers || workers->run != noria_loop->run)
		return noria_refuse(-EINVAL, "noria_workers_call() %s",
				    workers ? "with the executor of another runtime" : "without an executor");
	if (!fn || (size > 0 && !arg))
		return noria_refuse(-EINVAL, "noria_workers_call() without a function to run, or its argument");
	if (size > workers->size_max)
		return noria_refuse(-EMSGSIZE,
				    "an argument of %zu bytes for the executor %s, which takes %zu. Remedy: raise "
				    "size_max",
				    size, workers->name, workers->size_max);
	return 0;
}

/* In a slot of its own. */
static int run_in_slot(struct noria_workers *workers, noria_task_fn *fn, void *arg, size_t size,
		       const struct noria_site *site)
{
	struct call call = {.workers = workers, .slot = workers->free, .site = site, .argument = arg, .size = size};
	int r;

	workers->free = call.slot->next;
	snprintf(call.name, sizeof call.name, "call of %s() in a process of the executor %s:", site->what,
		 workers->name);
	r = workers->broken ? broken(&call) : run(&call, fn);
	call.slot->next = workers->free;
	workers->free = call.slot;
	return r;
}

int noria_workers_call_at(struct noria_workers *workers, noria_task_fn *fn, void *arg, size_t size,
			  const struct noria_site *site)
{
	struct task *task = noria_current();
	int r;

	if (!task)
		return -ENXIO;
	r = refuse(workers, fn, arg, size);
	if (r < 0)
		return task_answer(task, r);
	workers->calls++;
	r = noria_semaphore_acquire_at(&workers->places, 1, site);
	if (r >= 0) {
		r = run_in_slot(workers, fn, arg, size, site);
		noria_semaphore_release_at(&workers->places, 1, site);
	}
	workers->calls--;
	return r;
}
