/* SPDX-License-Identifier: MIT */
/*
 * Conditions are looked at in the order of RFC 9110, 13.2.2: If-Match or else If-Unmodified-Since, then If-None-Match
 * or else If-Modified-Since, then the range with its If-Range. A date that does not parse is as good as absent.
 *
 * An entity tag is made from inode, modification time in nanoseconds, and size. Two writes within one tick of the
 * kernel's clock can leave those the same, so the tag of a file modified this very moment is weak: good for "not
 * modified", not for putting ranges together. Several ranges in one request are answered with the whole file, which
 * the RFC allows: multipart/byteranges has been used to overload servers more than by readers.
 */
#include "condition.h"

#include "date.h"

#include <strings.h>
#include <sys/stat.h>

#define ETAG_SETTLED_NS 20000000 /* two ticks of the slowest kernel's clock: unchanged so long, the tag is strong */

static bool settled(const struct statx *file, const struct timespec *now)
{
	int64_t seconds = now->tv_sec - file->stx_mtime.tv_sec;
	return seconds > 1 || seconds * 1000000000 + now->tv_nsec - (int64_t)file->stx_mtime.tv_nsec >= ETAG_SETTLED_NS;
}

void validators_of(const struct statx *file, const struct timespec *now, struct validators *ret_validators)
{
	struct validators *v = ret_validators;
	struct text text = text_on(v->etag, sizeof v->etag - 1);
	v->modified = (time_t)file->stx_mtime.tv_sec;
	v->weak = !settled(file, now);
	text_put(&text, v->weak ? "W/\"" : "\"");
	text_hex(&text, file->stx_ino);
	text_char(&text, '-');
	text_hex(&text, (uint64_t)file->stx_mtime.tv_sec * 1000000000u + file->stx_mtime.tv_nsec);
	text_char(&text, '-');
	text_hex(&text, file->stx_size);
	text_char(&text, '"');
	*text.at = '\0';
}

static const char *skip_space(const char *at)
{
	return at + strspn(at, " \t");
}

/* Is the file's tag in the list? Strong comparison: neither may be weak. */
static bool etag_listed(const char *list, const struct validators *validators, bool strong)
{
	const char *own = validators->etag + (validators->weak ? 2 : 0);
	size_t own_size = strlen(own);
	list = skip_space(list);
	if (*list == '*')
		return *skip_space(list + 1) == '\0';
	for (;;) {
		list += strspn(list, " \t,");
		bool weak = strncmp(list, "W/", 2) == 0;
		list += weak ? 2 : 0;
		const char *close = *list == '"' ? strchr(list + 1, '"') : NULL;
		if (close == NULL)
			return false;
		size_t size = (size_t)(close + 1 - list);
		if (size == own_size && memcmp(list, own, size) == 0 && !(strong && (weak || validators->weak)))
			return true;
		list = close + 1;
	}
}

int condition_status(const struct conditions *conditions, const struct validators *validators)
{
	time_t when;
	if (conditions->if_match) {
		if (!etag_listed(conditions->if_match, validators, true))
			return 412;
	} else if (conditions->if_unmodified_since && date_parse(conditions->if_unmodified_since, &when)) {
		if (validators->modified > when)
			return 412;
	}
	if (conditions->if_none_match) {
		if (etag_listed(conditions->if_none_match, validators, false))
			return 304;
	} else if (conditions->if_modified_since && date_parse(conditions->if_modified_since, &when)) {
		if (validators->modified <= when)
			return 304;
	}
	return 200;
}

bool range_condition(const char *if_range, const struct validators *validators, time_t now)
{
	if (if_range == NULL)
		return true;
	if (*if_range == '"' || strncmp(if_range, "W/", 2) == 0)
		return *if_range == '"' && !validators->weak && strcmp(if_range, validators->etag) == 0;
	/* A date has a resolution of one second: it identifies a state only when that second is over. */
	time_t when;
	return date_parse(if_range, &when) && when == validators->modified && now - when >= 1;
}

/* A decimal number; one too large for its type is as large as can be. Returns: false when there is none. */
static bool read_decimal(const char **at, uint64_t *ret_value)
{
	uint64_t value = 0;
	const char *start = *at;
	for (; **at >= '0' && **at <= '9'; ++*at) {
		uint64_t digit = (uint64_t)(**at - '0');
		value = value > (UINT64_MAX - digit) / 10 ? UINT64_MAX : value * 10 + digit;
	}
	*ret_value = value;
	return *at != start;
}

/* "first-", "first-last" or "-count". Returns: false if it is none of them. */
static bool read_range(const char **at, uint64_t size, uint64_t *ret_first, uint64_t *ret_end)
{
	uint64_t first = 0, last = UINT64_MAX;
	bool has_first = read_decimal(at, &first);
	if (*(*at)++ != '-')
		return false;
	bool has_last = read_decimal(at, &last);
	if (!has_first) {
		*ret_first = last >= size ? 0 : size - last;
		*ret_end = last == 0 ? 0 : size;
		return has_last;
	}
	if (!has_last)
		last = UINT64_MAX;
	*ret_first = first;
	*ret_end = last >= size ? size : last + 1;
	return first <= last;
}

enum range_kind range_of(const char *range, uint64_t size, uint64_t *ret_first, uint64_t *ret_count)
{
	uint64_t first, end;
	*ret_first = 0;
	*ret_count = size;
	if (range == NULL || strncasecmp(range, "bytes=", 6) != 0)
		return RANGE_WHOLE;
	range = skip_space(range + 6);
	if (!read_range(&range, size, &first, &end) || *skip_space(range) != '\0')
		return RANGE_WHOLE;
	if (first >= end)
		return RANGE_UNSATISFIABLE;
	*ret_first = first;
	*ret_count = end - first;
	return RANGE_PART;
}
