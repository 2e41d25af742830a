/* SPDX-License-Identifier: MIT */
/*
 * Requests are the same each time: a generator that made them up would measure itself. An echoed message is letters
 * whose order has no short period, so that lost or doubled bytes are seen.
 */
#include "script.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define COPIES_SIZE (256 * 1024) /* bytes that the copies may take together */

static void fill(char *bytes, size_t size)
{
	uint32_t state = 1;
	for (size_t i = 0; i < size; i++) {
		state = state * 1664525 + 1013904223;
		bytes[i] = (char)('a' + (state >> 24) % 26);
	}
}

static int write_message(struct script *script, size_t size)
{
	script->bytes = malloc(size);
	if (script->bytes == NULL)
		return -ENOMEM;
	fill(script->bytes, size);
	script->size = size;
	return 0;
}

static bool has_header(const struct plan *plan, const char *name)
{
	size_t length = strlen(name);
	for (unsigned i = 0; i < plan->headers_count; i++)
		if (strncasecmp(plan->headers[i], name, length) == 0 && plan->headers[i][length] == ':')
			return true;
	return false;
}

static int write_http(struct script *script, const struct plan *plan, const struct target *target)
{
	FILE *out = open_memstream(&script->bytes, &script->size);
	if (out == NULL)
		return -ENOMEM;
	fprintf(out, "%s %s HTTP/1.1\r\n", plan->method, target->path);
	if (!has_header(plan, "host"))
		fprintf(out, "Host: %s\r\n", target->authority);
	for (unsigned i = 0; i < plan->headers_count; i++)
		fprintf(out, "%s\r\n", plan->headers[i]);
	if (plan->body && !has_header(plan, "content-length"))
		fprintf(out, "Content-Length: %zu\r\n", plan->body_size);
	fputs("\r\n", out);
	if (plan->body)
		fwrite(plan->body, 1, plan->body_size, out);
	script->headless = strcmp(plan->method, "HEAD") == 0;
	return fclose(out) == 0 ? 0 : -ENOMEM;
}

/* Lay the request out as often as it is worth while. */
static int repeat(struct script *script, unsigned depth)
{
	size_t copies = COPIES_SIZE / script->size;
	script->copies = copies < 1 ? 1 : copies > depth ? depth : (unsigned)copies;
	char *bytes = realloc(script->bytes, script->size * script->copies);
	if (bytes == NULL)
		return -ENOMEM;
	script->bytes = bytes;
	for (unsigned i = 1; i < script->copies; i++)
		memcpy(bytes + i * script->size, bytes, script->size);
	return 0;
}

int script_write(struct script *script, const struct plan *plan, const struct target *target)
{
	*script = (struct script){.scheme = target->scheme};
	int error =
		target->scheme == SCHEME_HTTP ? write_http(script, plan, target) : write_message(script, plan->size);
	if (error == 0)
		error = repeat(script, plan->depth);
	if (error < 0)
		script_done(script);
	return error;
}

void script_done(struct script *script)
{
	free(script->bytes);
	*script = (struct script){0};
}
