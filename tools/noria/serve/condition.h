/* SPDX-License-Identifier: MIT */
/* Conditional requests and ranges (RFC 9110, sections 13 and 14), as pure functions of header values. */
#pragma once

#include "text.h"

#include <time.h>

struct statx;

/* What identifies one state of a file. */
struct validators {
	char etag[56]; /* with its quotes and, when weak, its W/; NUL-terminated */
	bool weak;
	time_t modified;
};

/* The header values that bear on it, NULL where the request has none. */
struct conditions {
	const char *if_match, *if_none_match, *if_modified_since, *if_unmodified_since, *if_range, *range;
};

/* The validators of a file at the time `now`. */
void validators_of(const struct statx *file, const struct timespec *now, struct validators *ret_validators);

/* The status that the conditions lead to: 200 (go on), 304 or 412. */
int condition_status(const struct conditions *conditions, const struct validators *validators);

enum range_kind {
	RANGE_WHOLE = 0,     /* no range, one that is not understood, several, or If-Range says otherwise: 200 */
	RANGE_PART,          /* 206 */
	RANGE_UNSATISFIABLE, /* 416 */
};

/* One range of a file of `size` bytes; *ret_first and *ret_count are set whatever the kind (whole: all of it). */
enum range_kind range_of(const char *range, uint64_t size, uint64_t *ret_first, uint64_t *ret_count);

/* Does the range count, as far as If-Range is concerned? */
bool range_condition(const char *if_range, const struct validators *validators, time_t now);
