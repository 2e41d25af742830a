/* SPDX-License-Identifier: MIT */
/* A task's wait and stack as a text. Only the failure handler's reports need it: it allocates, and is slow. */
#include "scope/describe.h"

#include "task/task.h"
#include "task/wait.h"

#include <execinfo.h>
#include <stdio.h>
#include <stdlib.h>

/* The first ones are the runtime's own way of asking. */
enum { FRAMES = 24, OWN_FRAMES = 2 };

void noria_describe_task(struct task *task, char *text, size_t size)
{
	void *frames[FRAMES], *here;
	char doing[160] = "is ready to run";
	char **symbols;
	int count, n;

	(void)backtrace(&here, 1); /* its first use loads a library, for which a task's stack may be too small */
	count = noria_task_backtrace(task, frames, FRAMES);
	symbols = count > 0 ? backtrace_symbols(frames, count) : NULL;
	if (task->wait && !task->wait->done)
		task->wait->class->describe(task->wait, doing, sizeof doing);
	n = snprintf(text, size, "%s", doing);
	for (int i = OWN_FRAMES; symbols && i < count && n > 0 && (size_t)n < size; i++)
		n += snprintf(text + n, size - (size_t)n, "\n    at %s", symbols[i]);
	free(symbols);
}
