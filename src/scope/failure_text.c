/* SPDX-License-Identifier: MIT */
/*
 * Failures as text, for people and as JSON. Trees are walked without recursion, since a task's stack is small and a
 * tree may be deep. Both formats go through one writer, which counts what finds no room as snprintf() does.
 */
#include "scope/failure.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { INDENT_MAX = 20 };

struct writer {
	char *buffer;
	size_t size, length;
};

static void put_bytes(struct writer *writer, const char *bytes, size_t count)
{
	for (size_t i = 0; i < count; i++, writer->length++)
		if (writer->length + 1 < writer->size)
			writer->buffer[writer->length] = bytes[i];
}

static void put_string(struct writer *writer, const char *string)
{
	put_bytes(writer, string, strlen(string));
}

/* The length of the well-formed UTF-8 sequence at `s`, 0 if there is none (Unicode 15, table 3-7). */
static size_t utf8_length(const unsigned char *s)
{
	unsigned char low = 0x80, high = 0xbf;
	size_t length;

	if (s[0] < 0x80)
		return 1;
	if (s[0] < 0xc2 || s[0] > 0xf4)
		return 0;
	length = s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : 4;
	if (s[0] == 0xe0)
		low = 0xa0;
	else if (s[0] == 0xed)
		high = 0x9f;
	else if (s[0] == 0xf0)
		low = 0x90;
	else if (s[0] == 0xf4)
		high = 0x8f;
	if (s[1] < low || s[1] > high)
		return 0;
	for (size_t i = 2; i < length; i++)
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	return length;
}

static bool is_control(unsigned char byte)
{
	return byte < 0x20 || byte == 0x7f;
}

/* For a terminal: a message must not forge lines, nor colour them. */
static void put_plain(struct writer *writer, const char *string)
{
	const unsigned char *s = (const unsigned char *)string;

	while (*s) {
		size_t length = utf8_length(s);
		char escape[8];

		if (length == 0 || is_control(*s)) {
			snprintf(escape, sizeof escape, *s == '\n' ? "\\n" : "\\x%02x", *s);
			put_string(writer, escape);
			length = 1;
		} else {
			put_bytes(writer, (const char *)s, length);
		}
		s += length;
	}
}

static void put_number(struct writer *writer, int64_t number)
{
	char text[24];

	snprintf(text, sizeof text, "%" PRId64, number);
	put_string(writer, text);
}

static void put_indent(struct writer *writer, size_t depth)
{
	for (size_t i = 0; i < depth && i < INDENT_MAX; i++)
		put_string(writer, "    ");
	if (depth > INDENT_MAX) {
		put_string(writer, "(");
		put_number(writer, (int64_t)depth);
		put_string(writer, " deep) ");
	}
}

static size_t finish(struct writer *writer)
{
	if (writer->size > 0)
		writer->buffer[writer->length < writer->size ? writer->length : writer->size - 1] = '\0';
	return writer->length;
}

/* What a format makes of a tree: called at each node, before and after its causes. */
struct format {
	void (*begin)(struct writer *writer, const struct noria_failure *failure, size_t depth, bool first);
	void (*end)(struct writer *writer, const struct noria_failure *failure, size_t depth);
};

static void walk(struct writer *writer, const struct noria_failure *failure, const struct format *format)
{
	size_t depth = 0;
	bool first = true;

	for (;;) {
		format->begin(writer, failure, depth, first);
		first = failure->causes;
		if (failure->causes) {
			failure = failure->causes;
			depth++;
			continue;
		}
		format->end(writer, failure, depth);
		while (depth > 1 && !failure->next) {
			failure = &failure_of(failure)->parent->public;
			format->end(writer, failure, --depth);
		}
		if (depth == 0 || !failure->next)
			break;
		failure = failure->next;
	}
}

/* The outermost failure may be a view, which its causes do not know as their parent. */
static size_t write_tree(const struct noria_failure *failure, char *buffer, size_t size, const struct format *format)
{
	struct writer writer = {.buffer = buffer, .size = size};

	walk(&writer, failure, format);
	if (failure->causes)
		format->end(&writer, failure, 0);
	return finish(&writer);
}

static void put_code(struct writer *writer, int code)
{
	const char *name = strerrorname_np(failure_errno(code)), *description = strerrordesc_np(failure_errno(code));

	if (!name) {
		put_string(writer, "error ");
		put_number(writer, -(int64_t)code);
		return;
	}
	put_string(writer, name);
	put_string(writer, " (");
	put_string(writer, description);
	put_string(writer, ")");
}

static void put_site(struct writer *writer, const struct noria_site *site)
{
	put_string(writer, site ? site->file : "?");
	put_string(writer, ":");
	put_number(writer, site ? site->line : 0);
}

static void put_lost(struct writer *writer, size_t lost, size_t depth, const char *what)
{
	if (lost == 0)
		return;
	put_indent(writer, depth);
	put_string(writer, "and ");
	put_number(writer, (int64_t)lost);
	put_string(writer, what);
}

static void text_begin(struct writer *writer, const struct noria_failure *failure, size_t depth, bool first)
{
	(void)first;
	put_indent(writer, depth);
	put_string(writer, "task ");
	put_plain(writer, failure->task);
	put_string(writer, " #");
	put_number(writer, (int64_t)failure->task_id);
	put_string(writer, ", spawned at ");
	put_site(writer, failure->spawn);
	put_string(writer, ": ");
	put_code(writer, failure->code);
	if (failure->text[0]) {
		put_string(writer, ": ");
		put_plain(writer, failure->text);
	}
	put_string(writer, "\n");
	for (size_t i = 0; i < failure->path_length; i++) {
		put_indent(writer, depth);
		put_string(writer, "  at ");
		put_site(writer, failure->path[i]);
		put_string(writer, " in ");
		put_string(writer, failure->path[i]->function);
		put_string(writer, "()\n");
	}
	put_lost(writer, failure->path_lost, depth, " places further up\n");
}

static void text_end(struct writer *writer, const struct noria_failure *failure, size_t depth)
{
	put_lost(writer, failure->causes_lost, depth + 1, " failures more\n");
}

size_t noria_failure_print(const struct noria_failure *failure, char *buffer, size_t size)
{
	static const struct format text = {.begin = text_begin, .end = text_end};

	return write_tree(failure, buffer, size, &text);
}

static void json_string(struct writer *writer, const char *string)
{
	const unsigned char *s = (const unsigned char *)string;

	put_string(writer, "\"");
	while (*s) {
		size_t length = utf8_length(s);
		char escape[8];

		if (length == 0) {
			put_string(writer, "\\ufffd"); /* the replacement character for what is no UTF-8 */
			length = 1;
		} else if (is_control(*s)) {
			snprintf(escape, sizeof escape, "\\u%04x", *s);
			put_string(writer, escape);
		} else {
			if (*s == '"' || *s == '\\')
				put_string(writer, "\\");
			put_bytes(writer, (const char *)s, length);
		}
		s += length;
	}
	put_string(writer, "\"");
}

static void json_site(struct writer *writer, const struct noria_site *site)
{
	put_string(writer, "{\"file\": ");
	json_string(writer, site ? site->file : "");
	put_string(writer, ", \"line\": ");
	put_number(writer, site ? site->line : 0);
	put_string(writer, ", \"function\": ");
	json_string(writer, site ? site->function : "");
	put_string(writer, "}");
}

static void json_begin(struct writer *writer, const struct noria_failure *failure, size_t depth, bool first)
{
	const char *name = strerrorname_np(failure_errno(failure->code));

	(void)depth;
	put_string(writer, first ? "{\"code\": " : ", {\"code\": ");
	put_number(writer, failure->code);
	put_string(writer, ", \"error\": ");
	json_string(writer, name ? name : "");
	put_string(writer, ", \"time_ns\": ");
	put_number(writer, failure->time_ns);
	put_string(writer, ", \"task_id\": ");
	put_number(writer, (int64_t)failure->task_id);
	put_string(writer, ", \"task\": ");
	json_string(writer, failure->task);
	put_string(writer, ", \"spawn\": ");
	json_site(writer, failure->spawn);
	put_string(writer, ", \"text\": ");
	json_string(writer, failure->text);
	put_string(writer, ", \"path\": [");
	for (size_t i = 0; i < failure->path_length; i++) {
		put_string(writer, i ? ", " : "");
		json_site(writer, failure->path[i]);
	}
	put_string(writer, "], \"path_lost\": ");
	put_number(writer, (int64_t)failure->path_lost);
	put_string(writer, ", \"causes\": [");
}

static void json_end(struct writer *writer, const struct noria_failure *failure, size_t depth)
{
	(void)depth;
	put_string(writer, "], \"causes_lost\": ");
	put_number(writer, (int64_t)failure->causes_lost);
	put_string(writer, "}");
}

size_t noria_failure_json(const struct noria_failure *failure, char *buffer, size_t size)
{
	static const struct format json = {.begin = json_begin, .end = json_end};

	return write_tree(failure, buffer, size, &json);
}
