/* SPDX-License-Identifier: MIT */
/* Dates as HTTP writes them (RFC 9110, 5.6.7); date.c has the words. */
#pragma once

#include "text.h"

#include <time.h>

#define DATE_SIZE 29 /* of "Sun, 06 Nov 1994 08:49:37 GMT", without a NUL */

/* Append `when` in the preferred form. */
void date_format(struct text *text, time_t when);

/*
 * Read any of the three forms that a recipient must accept, case-sensitively as the grammar has it.
 * Returns: true and *ret_when; false for anything else, which a recipient ignores.
 */
bool date_parse(const char *value, time_t *ret_when);
