/* SPDX-License-Identifier: MIT */
/* Numbers for people: few digits, and a unit that fits. */
#include "words.h"

#include <math.h>
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
