/* SPDX-License-Identifier: MIT */
/*
 * Chains. Each step is a submission of its own, linked to the next: they are placed in the ring together or not at all,
 * and the task waits until the last of them has ended.
 *
 * A step that uses a file names it before the step that opens it has run. So the file's place in the ring's table is
 * chosen here, among places that are kept for chains. Until then, steps name what a chain opens by numbers beyond those
 * of the table. Without a table, or a free place, the steps are run one by one, with ordinary descriptors.
 *
 * The kernel ends the rest of a chain with -ECANCELED when a step fails. Whether the task is cancelled, its scope says.
 */
#include "noria/chain.h"

#include "base/message.h"
#include "noria/op.h"
#include "op/block.h"
#include "op/chain.h"
#include "op/direct.h"
#include "op/op.h"
#include "op/position.h"
#include "ring/compat.h"
#include "scope/failure.h"
#include "scope/scope.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

static bool opens(const struct step *step)
{
	return step->submission.sqe.opcode == IORING_OP_OPENAT;
}

static bool closes(const struct step *step)
{
	return step->submission.sqe.opcode == IORING_OP_CLOSE;
}

/* The last step is a close, and runs also when the one before it has failed. */
static bool goes_on(const struct chain *chain, size_t index)
{
	return index + 2 == chain->count && closes(&chain->steps[index + 1]);
}

static int file_of(const struct chain *chain, int fd)
{
	return fd >= OPENED_FIRST ? chain->files[fd - OPENED_FIRST] : fd;
}

static void abandon(struct wait *wait)
{
	struct chain *chain = container_of(wait, struct chain, wait);

	noria_submission_cancel(wait->task->loop, &chain->steps[0].submission);
}

static size_t ended(const struct chain *chain)
{
	return chain->count - chain->left;
}

static void describe(const struct wait *wait, char *text, size_t size)
{
	const struct chain *chain = container_of(wait, struct chain, wait);

	snprintf(text, size, "%s, step %zu of the chain of %s:%d", chain->steps[ended(chain)].name, ended(chain),
		 chain->site->file, chain->site->line);
}

static const struct wait_class chain_class = {.abandon = abandon, .describe = describe};

static void completed(struct submission *submission, int32_t result, uint32_t flags, bool last)
{
	struct step *step = container_of(submission, struct step, submission);
	struct chain *chain = step->chain;

	(void)flags, (void)last; /* no step has more than one completion */
	if (result == -KERNEL_ERESTARTSYS)
		result = -EINTR;
	if (result == -EINTR && chain->wait.abandoned)
		result = -ECANCELED; /* what a worker's blocking call answers to that */
	step->result = result;
	if (--chain->left == 0)
		noria_wait_complete(&chain->wait);
}

static void give_places(struct loop *loop, struct chain *chain)
{
	for (unsigned i = 0; i < chain->opened; i++)
		if (chain->files[i] >= 0)
			loop->direct->chained &=
				~(UINT64_C(1) << (fd_direct_index(chain->files[i]) - loop->direct->places));
}

/* Places in the table for all that it opens. Returns whether there are. */
static bool take_places(struct loop *loop, struct chain *chain)
{
	struct direct *direct;

	for (unsigned i = 0; i < chain->opened; i++)
		chain->files[i] = -1;
	if (chain->opened == 0)
		return true;
	if (!direct_there(loop) || noria_direct_get(loop, &direct) < 0)
		return false;
	for (unsigned i = 0; i < chain->opened; i++) {
		int place = __builtin_ffsll((long long)~direct->chained) - 1;

		if (place < 0) {
			give_places(loop, chain);
			return false;
		}
		direct->chained |= UINT64_C(1) << place;
		chain->files[i] = fd_from_direct(direct->places + (unsigned)place);
	}
	return true;
}

static void link_steps(struct chain *chain)
{
	unsigned opened = 0;

	for (size_t i = 0; i < chain->count; i++) {
		struct step *step = &chain->steps[i];
		struct io_uring_sqe *sqe = &step->submission.sqe;

		noria_submission_init(&step->submission, -1, completed);
		step->submission.head = &chain->steps[0].submission;
		step->submission.link = i + 1 < chain->count ? &chain->steps[i + 1].submission : NULL;
		sqe->fd = file_of(chain, step->fd);
		sqe->flags = i + 1 == chain->count ? 0 : goes_on(chain, i) ? IOSQE_IO_HARDLINK : IOSQE_IO_LINK;
		if (opens(step)) {
			sqe->open_flags &= ~(uint32_t)O_CLOEXEC;
			sqe->file_index = fd_direct_index(chain->files[opened++]) + 1;
		}
	}
}

/* What it opened and did not close. */
static void close_rest(struct task *task, struct chain *chain)
{
	bool open[OPENED_MAX] = {false};
	unsigned opened = 0;

	for (size_t i = 0; i < chain->count; i++) {
		const struct step *step = &chain->steps[i];

		if (opens(step))
			open[opened++] = step->result >= 0;
		else if (closes(step) && step->result == 0)
			open[step->fd - OPENED_FIRST] = false;
	}
	for (unsigned i = 0; i < chain->opened; i++)
		if (open[i]) {
			++*loop_closes(task->loop, chain->files[i]);
			(void)op_call("close", OP_ALWAYS, io_uring_prep_close, chain->files[i]);
		}
}

static void run_linked(struct task *task, struct chain *chain)
{
	link_steps(chain);
	chain->left = chain->count;
	noria_wait_init(&chain->wait, &chain_class);
	noria_submit(task->loop, &chain->steps[0].submission);
	scope_wait(task, &chain->wait);
	close_rest(task, chain);
	give_places(task->loop, chain);
}

static bool fell_short(const struct step *step)
{
	return step->result < 0 || step->result < (int64_t)step->whole;
}

/* Without the kernel's links: the same, one after the other. */
static void run_one_by_one(struct task *task, struct chain *chain)
{
	unsigned opened = 0;

	for (size_t i = 0; i < chain->count; i++) {
		struct step *step = &chain->steps[i];
		struct op op = {.second_fd = -1};

		op.submission.sqe = step->submission.sqe;
		op.submission.sqe.flags = 0;
		op.submission.sqe.fd = file_of(chain, step->fd);
		if (opens(step)) {
			op.submission.sqe.open_flags |= O_CLOEXEC;
			op.submission.sqe.file_index = 0;
		}
		step->result = noria_op_run(&op, step->name, closes(step) ? OP_ALWAYS : OP_DONTWAIT);
		if (opens(step) && step->result >= 0) {
			chain->files[opened] = (int)step->result;
			step->result = 0;
		}
		opened += opens(step);
		if (fell_short(step) && !goes_on(chain, i))
			break;
	}
	close_rest(task, chain);
}

/* During the run the blocks that steps are on cannot be put back, and are registered memory where that is possible. */
static void let_blocks_go(struct chain *chain, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct step *step = &chain->steps[i];
		struct io_uring_sqe *sqe = &step->submission.sqe;

		noria_block_used(&step->blocks);
		if (sqe->opcode != IORING_OP_READ_FIXED && sqe->opcode != IORING_OP_WRITE_FIXED)
			continue;
		sqe->opcode = sqe->opcode == IORING_OP_READ_FIXED ? IORING_OP_READ : IORING_OP_WRITE;
		sqe->buf_index = 0;
	}
}

/* 0, or what a step's memory makes the run answer. */
static int take_blocks(struct loop *loop, struct chain *chain)
{
	for (size_t i = 0; i < chain->count; i++) {
		int r = noria_block_use(loop, &chain->steps[i].submission.sqe, &chain->steps[i].blocks);

		if (r < 0) {
			let_blocks_go(chain, i);
			return r;
		}
	}
	return 0;
}

static uint32_t closes_of(const struct chain *chain)
{
	uint32_t sum = 0;

	for (size_t i = 0; i < chain->count; i++)
		if (chain->steps[i].fd < OPENED_FIRST)
			sum += file_closes(chain->steps[i].fd);
	return sum;
}

/* The one that fell short, if it is a write at the position of a file that lives on. */
static void came_short(const struct chain *chain, const struct step *step)
{
	const struct io_uring_sqe *sqe = &step->submission.sqe;

	if (sqe->opcode == IORING_OP_WRITE && sqe->off == OFFSET_CURRENT && step->result > 0 &&
	    step->fd < OPENED_FIRST && closes_of(chain) == chain->closes)
		noria_file_came_short(step->fd, file_closes(step->fd), (size_t)step->result);
}

static void run(struct task *task, struct chain *chain)
{
	chain->running = true;
	chain->closes = closes_of(chain);
	if (take_places(task->loop, chain))
		run_linked(task, chain);
	else
		run_one_by_one(task, chain);
	if (unlikely(task->loop->blocks))
		let_blocks_go(chain, chain->count);
	while (chain->done < chain->count && !fell_short(&chain->steps[chain->done]))
		chain->done++;
	if (chain->done < chain->count)
		came_short(chain, &chain->steps[chain->done]);
	chain->running = false;
}

/* A step behind the one that was under way has lost its descriptor, which ended both. */
static bool was_closed(const struct chain *chain)
{
	for (size_t i = chain->done; i < chain->count; i++)
		if (chain->steps[i].result == -EBADF)
			return !chain->wait.abandoned;
	return false;
}

/* Where the run came to an end, and what the caller is told. */
static int verdict(struct task *task, struct chain *chain)
{
	int64_t r;

	if (chain->done == chain->count)
		return (int)chain->done;
	r = chain->steps[chain->done].result;
	if (r >= 0)
		return (int)chain->done;
	if (r == -ECANCELED && was_closed(chain))
		r = -EBADF;
	if (r == -ECANCELED && (task->scope->cancelled || chain->wait.abandoned))
		(void)noria_scope_answer(task);
	noria_error_arose(task, (int)r);
	return (int)r;
}

static int refuse(struct task *task, const struct chain *chain)
{
	unsigned entries = task->loop->ring->sq_entries;
	const struct noria_site *site = chain->site;
	int r = 0;

	if (chain->error < 0)
		return noria_refuse(chain->error,
				    "the chain of %s:%d has more than its %zu steps or %d files, a negative offset, or "
				    "uses or closes what it has not opened",
				    site->file, site->line, chain->room, OPENED_MAX);
	if (chain->count > entries)
		return noria_refuse(-E2BIG,
				    "the chain of %s:%d has %zu steps, the submission queue %u entries. Remedy: a "
				    "larger ring_entries, or two chains",
				    site->file, site->line, chain->count, entries);
	for (size_t i = 0; i < chain->count && r == 0; i++)
		if (fd_is_direct(chain->steps[i].fd))
			r = noria_direct_refuse(task->loop, &chain->steps[i].submission.sqe, chain->steps[i].name);
	return r;
}

int noria_chain_run(struct noria_chain *storage)
{
	struct chain *chain = chain_from_public(storage);
	struct task *task = noria_current();
	int r;

	if (!task)
		return -ENXIO;
	if (chain->running)
		return noria_refuse(-EINVAL, "the chain of %s:%d is being run by another task", chain->site->file,
				    chain->site->line);
	chain->done = 0;
	chain->wait = (struct wait){0};
	for (size_t i = 0; i < chain->count; i++)
		chain->steps[i].result = -ECANCELED;
	r = scope_door(task);
	if (r == 0)
		r = refuse(task, chain);
	if (r == 0 && unlikely(task->loop->blocks))
		r = take_blocks(task->loop, chain);
	if (r < 0) {
		noria_error_arose(task, r);
		return task_answer(task, r);
	}
	if (chain->count == 0)
		return task_answer(task, 0);
	run(task, chain);
	return verdict(task, chain);
}

size_t noria_chain_done(const struct noria_chain *chain)
{
	return chain_from_public(chain)->done;
}

ssize_t noria_chain_result(const struct noria_chain *storage, size_t index)
{
	const struct chain *chain = chain_from_public(storage);

	return index < chain->count ? (ssize_t)chain->steps[index].result : -EINVAL;
}
