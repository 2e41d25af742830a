/* SPDX-License-Identifier: MIT */
/*
 * One wait for several operations. The loop's heap keeps their time limit: a linked timeout goes with one entry only.
 */
#include "op/several.h"

#include "scope/scope.h"

#include <stdio.h>

struct several {
	struct wait wait;
	struct part *parts;
	const char *name;
	unsigned count, left;
};

static void completed(struct submission *submission, int32_t result, uint32_t flags, bool last)
{
	struct part *part = container_of(submission, struct part, submission);

	(void)flags;
	part->result = result;
	if (last && --part->several->left == 0)
		noria_wait_complete(&part->several->wait);
}

static void abandon(struct wait *wait)
{
	struct several *several = container_of(wait, struct several, wait);

	for (unsigned i = 0; i < several->count; i++)
		noria_submission_cancel(wait->task->loop, &several->parts[i].submission);
}

static void describe(const struct wait *wait, char *text, size_t size)
{
	const struct several *several = container_of(wait, struct several, wait);

	snprintf(text, size, "%s on descriptor %d, %u of %u left", several->name, several->parts[0].submission.sqe.fd,
		 several->left, several->count);
}

static const struct wait_class several_class = {.abandon = abandon, .describe = describe};

void noria_several_run(struct part *parts, unsigned count, const char *name)
{
	struct task *task = noria_loop->current;
	struct several several = {.parts = parts, .name = name, .count = count, .left = count};

	noria_wait_init(&several.wait, &several_class);
	for (unsigned i = 0; i < count; i++) {
		parts[i].several = &several;
		noria_submission_init(&parts[i].submission, -1, completed);
	}
	for (unsigned i = 0; i < count; i++)
		noria_submit(task->loop, &parts[i].submission);
	scope_wait(task, &several.wait);
	if (task->scope->cancelled)
		(void)noria_scope_answer(task); /* it has been seen now */
}
