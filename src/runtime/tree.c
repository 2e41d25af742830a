/* SPDX-License-Identifier: MIT */
/*
 *     task main #1, spawned at main.c:80: waits for the children of the group of main.c:31
 *       group of main.c:31
 *         task left #2, spawned at main.c:33: waits for a mutex
 *         task right #3, spawned at main.c:34: waits for a mutex
 *     stack of task left #2: waits for a mutex
 *         at program(left+0x40)
 *
 * The tree comes first, because it says who waits for whom; what room there is after it, all stacks share.
 */
#include "runtime/tree.h"

#include "scope/describe.h"
#include "scope/scope.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { INDENT = 2, DEPTH_MAX = 20, STACK_MIN = 240, STACK_MAX = 1536, TAIL = 48 };

struct text {
	char *buffer;
	size_t size, length;
	size_t lost;
};

static size_t room(const struct text *text)
{
	return text->size - text->length;
}

/* A line goes in as a whole, with room left for the tail, or not at all. */
__attribute__((format(printf, 3, 4))) static void add_line(struct text *text, int depth, const char *format, ...)
{
	int indent = depth * INDENT;
	char line[768];
	va_list list;
	int n;

	if (text->lost > 0) { /* what comes first is worth more than what is short */
		text->lost++;
		return;
	}
	va_start(list, format);
	n = vsnprintf(line, sizeof line, format, list);
	va_end(list);
	if (n < 0 || (size_t)(indent + n) + TAIL >= room(text)) {
		text->lost++;
		return;
	}
	text->length += (size_t)snprintf(text->buffer + text->length, room(text), "\n%*s%s", indent, "", line);
}

static int depth_of(const struct scope *scope)
{
	int depth = 0;

	while (depth < DEPTH_MAX && (scope = scope->parent))
		depth++;
	return depth;
}

static void add_task(struct text *text, int depth, const struct task *task)
{
	char doing[160] = "is ready to run";

	if (task->wait && !task->wait->done)
		task->wait->class->describe(task->wait, doing, sizeof doing);
	add_line(text, depth, "task %s #%llu, spawned at %s:%d: %s", task->name, (unsigned long long)task->id,
		 task->site->file, task->site->line, doing);
}

static void add_scope(struct text *text, int depth, const struct scope *scope)
{
	add_line(text, depth, "%s of %s:%d%s%s%s", scope->site->what, scope->site->file, scope->site->line,
		 scope->shield ? ", a shield" : "", scope->idle ? ", idle" : "", scope->cancelled ? ", cancelled" : "");
}

static void add_stack(struct text *text, struct task *task, size_t size)
{
	char stack[STACK_MAX];
	char *end;

	noria_describe_task(task, stack, size < sizeof stack ? size : sizeof stack);
	end = strrchr(stack, '\n');
	if (!end)
		return; /* it could not be asked */
	if (strlen(stack) + 1 >= size)
		*end = '\0'; /* the last frame may be half a line */
	text->length += (size_t)snprintf(text->buffer + text->length, room(text), "\nstack of task %s #%llu: %s",
					 task->name, (unsigned long long)task->id, stack);
	if (text->length >= text->size)
		text->length = text->size - 1;
}

static void add_stacks(struct text *text, struct loop *loop)
{
	size_t left = loop->tasks_alive;

	for (struct list *node = loop->tasks.next; node != &loop->tasks; node = node->next) {
		size_t share = room(text) / left--;

		if (share < STACK_MIN)
			return;
		add_stack(text, list_entry(node, struct task, all), share - STACK_MIN / 2);
	}
}

void noria_describe_tree(struct scope *root, char *buffer, size_t size)
{
	struct text text = {.buffer = buffer, .size = size};

	for (struct scope *scope = root; scope; scope = noria_scope_next(scope, root, true)) {
		if (scope->task->outermost == scope)
			add_task(&text, depth_of(scope), scope->task);
		else
			add_scope(&text, depth_of(scope), scope);
	}
	if (text.lost > 0)
		snprintf(buffer + text.length, room(&text), "\n... and %zu more", text.lost);
	else
		add_stacks(&text, root->task->loop);
}
