/* SPDX-License-Identifier: MIT */
/* HTTP dates: the preferred form is written and read, the obsolete ones are read, anything else is refused. */
#include "date.h"

#include <criterion/criterion.h>
#include <stdio.h>

static const char *formatted(time_t when)
{
	static char buffer[DATE_SIZE + 1];
	struct text text = text_on(buffer, DATE_SIZE);
	date_format(&text, when);
	cr_assert_not(text.overflow);
	*text.at = '\0';
	return buffer;
}

static time_t parsed(const char *value)
{
	time_t when = -1;
	cr_expect(date_parse(value, &when), "%s", value);
	return when;
}

Test(date, is_written_in_the_preferred_form)
{
	cr_expect_str_eq(formatted(784111777), "Sun, 06 Nov 1994 08:49:37 GMT");
	cr_expect_str_eq(formatted(0), "Thu, 01 Jan 1970 00:00:00 GMT");
	cr_expect_str_eq(formatted(951782400), "Tue, 29 Feb 2000 00:00:00 GMT");
}

static const char *by_the_library(time_t when)
{
	static char buffer[64];
	struct tm tm;
	size_t size = strftime(buffer, sizeof buffer, "%a, %d %b ", gmtime_r(&when, &tm));
	snprintf(buffer + size, sizeof buffer - size, "%04d %02d:%02d:%02d GMT", tm.tm_year + 1900, tm.tm_hour,
		 tm.tm_min, tm.tm_sec);
	return buffer;
}

Test(date, is_that_of_the_c_library)
{
	static const time_t first = -62167219200, last = 253402300799;
	cr_expect_str_eq(formatted(first), "Sat, 01 Jan 0000 00:00:00 GMT");
	cr_expect_str_eq(formatted(last), "Fri, 31 Dec 9999 23:59:59 GMT");
	cr_expect_str_eq(formatted(first - 1), "Thu, 01 Jan 1970 00:00:00 GMT");
	cr_expect_str_eq(formatted(last + 1), "Thu, 01 Jan 1970 00:00:00 GMT");
	for (time_t day = first; day < first + 2 * 146097 * 86400L; day += 86400) { /* it repeats after 400 years */
		cr_assert_str_eq(formatted(day), by_the_library(day));
		cr_assert_str_eq(formatted(day + 86399), by_the_library(day + 86399));
	}
}

Test(date, reads_all_three_forms)
{
	cr_expect_eq(parsed("Sun, 06 Nov 1994 08:49:37 GMT"), 784111777);
	cr_expect_eq(parsed("Sunday, 06-Nov-94 08:49:37 GMT"), 784111777);
	cr_expect_eq(parsed("Sun Nov  6 08:49:37 1994"), 784111777);
	cr_expect_eq(parsed("Wednesday, 09-Nov-94 00:00:00 GMT"), 784339200);
}

Test(date, round_trips_every_month_and_weekday)
{
	for (time_t when = 1; when < 2000000000; when += 86400 * 13 + 3601)
		cr_assert_eq(parsed(formatted(when)), when);
}

Test(date, refuses_what_is_not_a_date)
{
	static const char *const bad[] = {
		"",
		"0",
		"yesterday",
		"Sun",
		"Sun, 06 Nov 1994 08:49:37",
		"Sun, 06 Nov 1994 08:49:37 GMT ",
		"Sun, 06 Nov 1994 08:49:37 CET",
		"Sun, 6 Nov 1994 08:49:37 GMT",
		"Sun, 06 nov 1994 08:49:37 GMT",
		"Sun, 06 Nov 1994 24:00:00 GMT",
		"Sun, 06 Nov 1994 23:60:00 GMT",
		"Sun, 00 Nov 1994 08:49:37 GMT",
		"Sun, 32 Nov 1994 08:49:37 GMT",
		"Sun, 06 Nov 94 08:49:37 GMT",
		"Sun Nov 06 08:49:37 1994 GMT",
		"Sun, 06 Nov 1994 08:49:37 GMT, Sun, 06 Nov 1994 08:49:37 GMT",
	};
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		time_t when = 42;
		cr_expect_not(date_parse(bad[i], &when), "%s", bad[i]);
		cr_expect_eq(when, 42, "untouched on failure");
	}
}
