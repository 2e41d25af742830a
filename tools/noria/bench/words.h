/* SPDX-License-Identifier: MIT */
/* Numbers for people. Each writes into `text`, which 32 bytes are enough for, and returns it; and text of others, made harmless. */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* "12,345"; below 100 with a decimal where there is one: "3.4". */
char *words_count(char *text, size_t size, double number);
/* "640 ns", "12.3 us", "1.20 ms", "3.00 s": three digits. */
char *words_time(char *text, size_t size, double ns);
/* The same without zeros at the end of a fraction, for round numbers: "5 ms". */
char *words_round_time(char *text, size_t size, double ns);
/* "1.2 MB": decimal units. */
char *words_bytes(char *text, size_t size, double bytes);
/* "0.05": as many digits as it needs, six at the most. */
char *words_number(char *text, size_t size, double number);

/*
 * The length of the character that begins there: UTF-8, and one that XML may have in it.
 * Returns: 0 when it is none, or at the end.
 */
size_t words_character(const char *text);
/* A copy in which what is no such character is a question mark; it ends where `size` does, at a whole character. */
char *words_clean(char *text, size_t size, const char *given);
