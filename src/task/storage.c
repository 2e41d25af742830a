/* SPDX-License-Identifier: MIT */
/* The end of a process whose streams, writers, scopes or locks were overwritten: with all that is known of them. */
#include "task/storage.h"

#include "base/message.h"

#include <errno.h>

static bool lies_in(const void *address, const void *from, size_t size)
{
	return (uintptr_t)address - (uintptr_t)from < size;
}

static const struct storage_note *note_of(const struct loop *loop, const void *address)
{
	for (size_t i = 0; i < LOOP_NOTES; i++)
		if (loop->notes[i].storage && lies_in(address, loop->notes[i].storage, loop->notes[i].size))
			return &loop->notes[i];
	return NULL;
}

/* On whose stack the address lies, or NULL. */
static const struct task *owner_of(struct loop *loop, const void *address)
{
	for (struct list *node = loop->tasks.next; node != &loop->tasks; node = node->next) {
		const struct task *task = list_entry(node, struct task, all);

		if (lies_in(address, task->stack->low, task->stack->size))
			return task;
	}
	return NULL;
}

static void tell(const struct storage_note *note, const struct task *task, const void *address)
{
	static const struct noria_site nowhere = {.file = "?"};
	const struct noria_site *spawned = task ? task->site : &nowhere;
	const char *name = task ? task->name : "that has ended";

	if (note)
		noria_refuse(-EINVAL,
			     "the %s that task %s (spawned at %s:%d) opened at %s:%d was left open, and its storage is "
			     "gone. Remedy: close it before its function returns, or declare it with %s, which does so",
			     note->site->what, name, spawned->file, spawned->line, note->site->file, note->site->line,
			     note->automatic);
	else
		noria_refuse(-EINVAL,
			     "a function of task %s (spawned at %s:%d) returned and left a scope, a group, a stream, a "
			     "writer or a locked mutex behind at %p, in its frame, which is gone. Remedy: close or "
			     "unlock it on every path, or declare it with noria_auto..., which does so",
			     name, spawned->file, spawned->line, address);
}

_Noreturn void noria_storage_lost(struct loop *loop, const struct task *task, const void *address)
{
	tell(note_of(loop, address), task ? task : owner_of(loop, address), address);
	noria_assert_failed(noria_message(), __FILE__, __LINE__);
}
