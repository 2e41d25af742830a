/* SPDX-License-Identifier: MIT */
/* Conditions and ranges, case by case as RFC 9110 has them. */
#include "condition.h"

#include <criterion/criterion.h>
#include <sys/stat.h>

#define BEFORE "Sun, 06 Nov 1994 08:49:36 GMT"
#define EXACT  "Sun, 06 Nov 1994 08:49:37 GMT"
#define AFTER  "Sun, 06 Nov 1994 08:49:38 GMT"

static const struct validators strong = {.etag = "\"one\"", .modified = 784111777};
static const struct validators weak = {.etag = "W/\"one\"", .weak = true, .modified = 784111777};

#define STATUS(validators, ...) condition_status(&(struct conditions){__VA_ARGS__}, &(validators))

Test(condition, without_any_goes_on)
{
	cr_expect_eq(condition_status(&(struct conditions){0}, &strong), 200);
}

Test(condition, if_none_match_compares_weakly)
{
	cr_expect_eq(STATUS(strong, .if_none_match = "\"one\""), 304);
	cr_expect_eq(STATUS(strong, .if_none_match = "W/\"one\""), 304);
	cr_expect_eq(STATUS(weak, .if_none_match = "\"one\""), 304);
	cr_expect_eq(STATUS(weak, .if_none_match = "W/\"one\""), 304);
	cr_expect_eq(STATUS(strong, .if_none_match = "\"two\""), 200);
}

Test(condition, if_none_match_takes_lists_and_the_star)
{
	cr_expect_eq(STATUS(strong, .if_none_match = "\"a\", W/\"b\" ,\"one\""), 304);
	cr_expect_eq(STATUS(strong, .if_none_match = ",, \"a\",\t\"one\""), 304);
	cr_expect_eq(STATUS(strong, .if_none_match = "\"a,\\\"b\", \"on\""), 200);
	cr_expect_eq(STATUS(strong, .if_none_match = " * "), 304);
	cr_expect_eq(STATUS(strong, .if_none_match = "\"x, \"one\""), 200, "a quote that is not closed ends the list");
	cr_expect_eq(STATUS(strong, .if_none_match = ""), 200);
	cr_expect_eq(STATUS(strong, .if_none_match = "one"), 200);
}

Test(condition, if_match_compares_strongly)
{
	cr_expect_eq(STATUS(strong, .if_match = "\"one\""), 200);
	cr_expect_eq(STATUS(strong, .if_match = "\"zero\", \"one\""), 200);
	cr_expect_eq(STATUS(strong, .if_match = "*"), 200);
	cr_expect_eq(STATUS(strong, .if_match = "W/\"one\""), 412);
	cr_expect_eq(STATUS(weak, .if_match = "W/\"one\""), 412);
	cr_expect_eq(STATUS(weak, .if_match = "\"one\""), 412);
	cr_expect_eq(STATUS(strong, .if_match = "\"two\""), 412);
}

Test(condition, dates)
{
	cr_expect_eq(STATUS(strong, .if_modified_since = BEFORE), 200);
	cr_expect_eq(STATUS(strong, .if_modified_since = EXACT), 304);
	cr_expect_eq(STATUS(strong, .if_modified_since = AFTER), 304);
	cr_expect_eq(STATUS(strong, .if_unmodified_since = BEFORE), 412);
	cr_expect_eq(STATUS(strong, .if_unmodified_since = EXACT), 200);
	cr_expect_eq(STATUS(strong, .if_modified_since = "yesterday"), 200);
	cr_expect_eq(STATUS(strong, .if_unmodified_since = "yesterday"), 200);
}

Test(condition, tags_beat_dates_and_preconditions_come_first)
{
	cr_expect_eq(STATUS(strong, .if_none_match = "\"two\"", .if_modified_since = AFTER), 200);
	cr_expect_eq(STATUS(strong, .if_match = "\"one\"", .if_unmodified_since = BEFORE), 200);
	cr_expect_eq(STATUS(strong, .if_match = "\"two\"", .if_none_match = "\"one\""), 412);
	cr_expect_eq(STATUS(strong, .if_match = "\"one\"", .if_none_match = "\"one\""), 304);
}

Test(condition, if_range_wants_a_strong_match)
{
	const time_t now = strong.modified + 60;
	cr_expect(range_condition(NULL, &strong, now));
	cr_expect(range_condition("\"one\"", &strong, now));
	cr_expect(range_condition(EXACT, &strong, now));
	cr_expect_not(range_condition("\"two\"", &strong, now));
	cr_expect_not(range_condition("W/\"one\"", &strong, now));
	cr_expect_not(range_condition("W/\"one\"", &weak, now));
	cr_expect_not(range_condition(BEFORE, &strong, now));
	cr_expect_not(range_condition(AFTER, &strong, now));
	cr_expect_not(range_condition("garbage", &strong, now));
	cr_expect_not(range_condition(EXACT, &strong, strong.modified), "within the second of the change");
}

Test(condition, the_tag_of_a_file_just_changed_is_weak)
{
	struct statx file = {.stx_ino = 0xabc, .stx_size = 16, .stx_mtime = {.tv_sec = 1000, .tv_nsec = 5}};
	struct validators validators;
	validators_of(&file, &(struct timespec){1000, 5 + 1000000}, &validators);
	cr_expect(validators.weak);
	cr_expect_str_eq(validators.etag, "W/\"abc-e8d4a51005-10\"");
	validators_of(&file, &(struct timespec){1000, 500000000}, &validators);
	cr_expect_not(validators.weak);
	cr_expect_str_eq(validators.etag, "\"abc-e8d4a51005-10\"");
	validators_of(&file, &(struct timespec){900, 0}, &validators);
	cr_expect(validators.weak, "a file from the future may change again within its second");
	validators_of(&file, &(struct timespec){100000000000, 0}, &validators);
	cr_expect_not(validators.weak);
}

Test(condition, the_longest_tag_fits)
{
	struct statx file = {.stx_ino = UINT64_MAX, .stx_size = UINT64_MAX, .stx_mtime = {.tv_sec = -1, .tv_nsec = 0}};
	struct validators validators;
	validators_of(&file, &(struct timespec){-2, 0}, &validators);
	cr_expect_eq(validators.etag[strlen(validators.etag) - 1], '"');
}

static void expect_part(const char *range, uint64_t size, uint64_t first, uint64_t count)
{
	uint64_t got_first, got_count;
	cr_expect_eq(range_of(range, size, &got_first, &got_count), RANGE_PART, "%s", range);
	cr_expect_eq(got_first, first, "%s", range);
	cr_expect_eq(got_count, count, "%s", range);
}

Test(range, forms)
{
	expect_part("bytes=0-0", 10, 0, 1);
	expect_part("bytes=0-9", 10, 0, 10);
	expect_part("bytes=0-", 10, 0, 10);
	expect_part("bytes=9-", 10, 9, 1);
	expect_part("bytes=2-5", 10, 2, 4);
	expect_part("bytes=5-100", 10, 5, 5);
	expect_part("bytes=-1", 10, 9, 1);
	expect_part("bytes=-10", 10, 0, 10);
	expect_part("bytes=-100", 10, 0, 10);
	expect_part("BYTES=1-2", 10, 1, 2);
	expect_part("bytes= 1-2 ", 10, 1, 2);
	expect_part("bytes=1-18446744073709551615", 10, 1, 9);
	expect_part("bytes=1-99999999999999999999999", 10, 1, 9);
}

Test(range, unsatisfiable)
{
	static const char *const beyond[] = {"bytes=10-", "bytes=10-20", "bytes=-0", "bytes=99999999999999999999-"};
	uint64_t first, count;
	for (size_t i = 0; i < sizeof beyond / sizeof *beyond; i++)
		cr_expect_eq(range_of(beyond[i], 10, &first, &count), RANGE_UNSATISFIABLE, "%s", beyond[i]);
	cr_expect_eq(range_of("bytes=0-", 0, &first, &count), RANGE_UNSATISFIABLE);
	cr_expect_eq(range_of("bytes=-5", 0, &first, &count), RANGE_UNSATISFIABLE);
}

Test(range, what_is_not_one_range_is_the_whole)
{
	static const char *const whole[] = {
		NULL,        "",           "bytes",      "bytes=",        "bytes=-",     "bytes=a-b",
		"bytes=1",   "bytes=5-2",  "lines=1-2",  "bytes=1-2,4-5", "bytes=1-2,",  "bytes=1--2",
		"bytes=--2", "bytes=1-2x", "bytes =1-2", "bytes=+1-2",    "bytes=0x1-2",
	};
	for (size_t i = 0; i < sizeof whole / sizeof *whole; i++) {
		uint64_t first = 1, count = 1;
		cr_expect_eq(range_of(whole[i], 10, &first, &count), RANGE_WHOLE, "%s", whole[i] ? whole[i] : "(none)");
		cr_expect(first == 0 && count == 10);
	}
}
