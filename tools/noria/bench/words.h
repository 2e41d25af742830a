/* SPDX-License-Identifier: MIT */
/* Numbers for people. Each writes into `text`, which 32 bytes are enough for, and returns it. */
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
