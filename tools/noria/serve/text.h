/* SPDX-License-Identifier: MIT */
/*
 * Text under construction in a buffer of fixed size: response headers, redirects, log lines.
 *
 * Appending never writes past the end: what does not fit is dropped as a whole piece and `overflow` says so, so that a
 * caller may append freely and look once at the end. There is no terminating NUL. Everything is inline, because the
 * server formats a header for every request and printf would be a visible part of its cost.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct text {
	char *begin, *at, *end;
	bool overflow;
};

static inline struct text text_on(char *buffer, size_t size)
{
	return (struct text){.begin = buffer, .at = buffer, .end = buffer + size};
}

static inline size_t text_size(const struct text *text)
{
	return (size_t)(text->at - text->begin);
}

static inline void text_bytes(struct text *text, const char *bytes, size_t size)
{
	if ((size_t)(text->end - text->at) < size) {
		text->overflow = true;
		return;
	}
	memcpy(text->at, bytes, size);
	text->at += size;
}

/* A C string; for a literal the compiler knows the length. */
static inline __attribute__((always_inline)) void text_put(struct text *text, const char *string)
{
	text_bytes(text, string, strlen(string));
}

static inline void text_char(struct text *text, char c)
{
	text_bytes(text, &c, 1);
}

static inline void text_decimal(struct text *text, uint64_t value)
{
	char digits[20], *first = digits + sizeof digits;
	do
		*--first = (char)('0' + value % 10);
	while ((value /= 10) > 0);
	text_bytes(text, first, (size_t)(digits + sizeof digits - first));
}

static inline void text_hex(struct text *text, uint64_t value)
{
	char digits[16], *first = digits + sizeof digits;
	do
		*--first = "0123456789abcdef"[value % 16];
	while ((value /= 16) > 0);
	text_bytes(text, first, (size_t)(digits + sizeof digits - first));
}

/* Two digits, with a leading zero: clocks and dates. */
static inline void text_two(struct text *text, int value)
{
	char digits[2] = {(char)('0' + value / 10 % 10), (char)('0' + value % 10)};
	text_bytes(text, digits, sizeof digits);
}
