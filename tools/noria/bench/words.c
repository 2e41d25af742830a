/* SPDX-License-Identifier: MIT */
/* Numbers for people: few digits, and a unit that fits; and text that came from outside. */
#include "words.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

char *words_count(char *text, size_t size, double number)
{
	char digits[32];
	int length =
		snprintf(digits, sizeof digits, number < 99.95 && number != floor(number) ? "%.1f" : "%.0f", number);
	size_t at = 0, whole = strcspn(digits, ".");
	for (int i = 0; i < length && at + 2 < size; i++) {
		if (i > 0 && (size_t)i < whole && (whole - (size_t)i) % 3 == 0)
			text[at++] = ',';
		text[at++] = digits[i];
	}
	text[at] = '\0';
	return text;
}

static const char *const times[] = {"ns", "us", "ms", "s", NULL};

static char *scaled(char *text, size_t size, double number, double step, const char *const *units)
{
	while (units[1] && number >= step * 0.9995) {
		number /= step;
		units++;
	}
	int decimals = number < 9.995 ? 2 : number < 99.95 ? 1 : 0;
	snprintf(text, size, "%.*f %s", decimals, number, *units);
	return text;
}

char *words_time(char *text, size_t size, double ns)
{
	return scaled(text, size, ns, 1000, times);
}

char *words_round_time(char *text, size_t size, double ns)
{
	const char *const *unit = times;
	for (; unit[1] && ns >= 999.5; unit++)
		ns /= 1000;
	snprintf(text, size, "%.3g %s", ns, *unit);
	return text;
}

char *words_bytes(char *text, size_t size, double bytes)
{
	static const char *const units[] = {"B", "kB", "MB", "GB", "TB", NULL};
	return scaled(text, size, bytes, 1000, units);
}

char *words_number(char *text, size_t size, double number)
{
	snprintf(text, size, "%g", number);
	return text;
}

/* How many bytes a first byte says there are. */
static size_t announced(unsigned char first)
{
	if (first < 0x80)
		return 1;
	return first >= 0xc2 && first < 0xe0   ? 2
	       : first >= 0xe0 && first < 0xf0 ? 3
	       : first >= 0xf0 && first < 0xf5 ? 4
					       : 0;
}

size_t words_character(const char *text)
{
	const unsigned char *bytes = (const unsigned char *)text;
	size_t length = announced(bytes[0]);
	uint32_t rune = length > 1 ? bytes[0] & (0x7fu >> length) : bytes[0];
	if (length <= 1)
		return rune >= ' ' && rune != 0x7f ? length : 0;
	for (size_t i = 1; i < length; i++) {
		if ((bytes[i] & 0xc0) != 0x80)
			return 0;
		rune = rune << 6 | (bytes[i] & 0x3f);
	}
	bool shorter = (length == 3 && rune < 0x800) || (length == 4 && rune < 0x10000); /* would have been enough */
	bool surrogate = rune >= 0xd800 && rune < 0xe000, none = rune == 0xfffe || rune == 0xffff;
	return shorter || surrogate || none || rune > 0x10ffff ? 0 : length;
}

char *words_clean(char *text, size_t size, const char *given)
{
	size_t at = 0;
	while (*given) {
		size_t length = words_character(given);
		if (at + (length ? length : 1) >= size)
			break;
		memcpy(text + at, length ? given : "?", length ? length : 1);
		at += length ? length : 1;
		given += length ? length : 1;
	}
	text[at] = '\0';
	return text;
}
