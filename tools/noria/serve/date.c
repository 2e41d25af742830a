/* SPDX-License-Identifier: MIT */
/*
 * HTTP dates. Written in the one preferred form, "Sun, 06 Nov 1994 08:49:37 GMT"; read in that form and in the two
 * obsolete ones, RFC 850's "Sunday, 06-Nov-94 08:49:37 GMT" and asctime's "Sun Nov  6 08:49:37 1994".
 *
 * No strptime and no strftime: both follow the locale, and neither says where it stopped in a way that lets trailing
 * garbage be refused. A two-digit year is the one in the 50 years around it, as RFC 9110 asks. The name of the weekday
 * is not compared with the date: other servers do not either, and the date is what counts.
 */
#include "date.h"

#include <ctype.h>

static const char weekdays[7][4] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
static const char months[12][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};

#define DAY_SECONDS 86400
#define FIRST       (-62167219200) /* in the year 0 */
#define LAST        253402300799   /* in the year 9999 */

/*
 * As gmtime_r(3), for the years from 0 to 9999: that takes a lock, and every answer has such a date. Years that begin in
 * March end with the leap day; 400 of them are 146,097 days.
 */
static void split_date(time_t when, struct tm *ret_tm)
{
	uint64_t seconds = (uint64_t)(when - FIRST), days = seconds / DAY_SECONDS;
	uint32_t clock = (uint32_t)(seconds % DAY_SECONDS);
	uint32_t since_march = (uint32_t)days + 146097 - 60; /* since the 1st of March of the year -400 */
	uint32_t era = since_march / 146097, day = since_march % 146097;
	uint32_t year = (day - day / 1460 + day / 36524 - day / 146096) / 365;
	day -= 365 * year + year / 4 - year / 100;
	uint32_t month = (5 * day + 2) / 153; /* 0: March */
	*ret_tm = (struct tm){
		.tm_year = (int)(year + era * 400 + (month >= 10)) - 400 - 1900,
		.tm_mon = (int)(month < 10 ? month + 2 : month - 10),
		.tm_mday = (int)(day - (153 * month + 2) / 5 + 1),
		.tm_wday = (int)((days + 6) % 7), /* it began with a Saturday */
		.tm_hour = (int)(clock / 3600),
		.tm_min = (int)(clock / 60 % 60),
		.tm_sec = (int)(clock % 60),
	};
}

void date_format(struct text *text, time_t when)
{
	struct tm tm;
	split_date(when < FIRST || when > LAST ? 0 : when, &tm);
	int year = tm.tm_year + 1900;
	text_bytes(text, weekdays[tm.tm_wday], 3);
	text_put(text, ", ");
	text_two(text, tm.tm_mday);
	text_char(text, ' ');
	text_bytes(text, months[tm.tm_mon], 3);
	text_char(text, ' ');
	text_two(text, year / 100);
	text_two(text, year % 100);
	text_char(text, ' ');
	text_two(text, tm.tm_hour);
	text_char(text, ':');
	text_two(text, tm.tm_min);
	text_char(text, ':');
	text_two(text, tm.tm_sec);
	text_put(text, " GMT");
}

/* The reader: each step advances *at over what it expects, or answers false and leaves the rest unread. */

static bool read_literal(const char **at, const char *literal)
{
	size_t size = strlen(literal);
	if (strncmp(*at, literal, size) != 0)
		return false;
	*at += size;
	return true;
}

static bool read_number(const char **at, int digits, int *ret_number)
{
	int number = 0;
	for (int i = 0; i < digits; i++) {
		if (!isdigit((unsigned char)(*at)[i]))
			return false;
		number = number * 10 + ((*at)[i] - '0');
	}
	*at += digits;
	*ret_number = number;
	return true;
}

/* asctime pads the day of the month with a space. */
static bool read_padded_day(const char **at, int *ret_day)
{
	return read_literal(at, " ") ? read_number(at, 1, ret_day) : read_number(at, 2, ret_day);
}

static bool read_month(const char **at, int *ret_month)
{
	for (int i = 0; i < 12; i++)
		if (read_literal(at, months[i])) {
			*ret_month = i;
			return true;
		}
	return false;
}

/* The weekday's name, short or in full; what follows it tells the three forms apart. */
static bool read_weekday(const char **at)
{
	static const char rest[7][8] = {"day", "day", "sday", "nesday", "rsday", "day", "urday"};
	for (int i = 0; i < 7; i++)
		if (read_literal(at, weekdays[i])) {
			(void)read_literal(at, rest[i]);
			return true;
		}
	return false;
}

static bool read_clock(const char **at, struct tm *tm)
{
	return read_number(at, 2, &tm->tm_hour) && read_literal(at, ":") && read_number(at, 2, &tm->tm_min) &&
	       read_literal(at, ":") && read_number(at, 2, &tm->tm_sec);
}

static bool read_year(const char **at, struct tm *tm)
{
	int year;
	if (!read_number(at, 4, &year))
		return false;
	tm->tm_year = year - 1900;
	return true;
}

static bool read_short_year(const char **at, struct tm *tm)
{
	int year;
	if (!read_number(at, 2, &year))
		return false;
	struct tm today;
	time_t now = time(NULL);
	(void)gmtime_r(&now, &today);
	tm->tm_year = today.tm_year / 100 * 100 + year;
	if (tm->tm_year > today.tm_year + 50)
		tm->tm_year -= 100;
	return true;
}

static bool read_asctime(const char **at, struct tm *tm)
{
	return read_literal(at, " ") && read_month(at, &tm->tm_mon) && read_literal(at, " ") &&
	       read_padded_day(at, &tm->tm_mday) && read_literal(at, " ") && read_clock(at, tm) &&
	       read_literal(at, " ") && read_year(at, tm);
}

static bool read_day_month_year(const char **at, struct tm *tm)
{
	if (!read_number(at, 2, &tm->tm_mday))
		return false;
	if (read_literal(at, "-"))
		return read_month(at, &tm->tm_mon) && read_literal(at, "-") && read_short_year(at, tm);
	return read_literal(at, " ") && read_month(at, &tm->tm_mon) && read_literal(at, " ") && read_year(at, tm);
}

bool date_parse(const char *value, time_t *ret_when)
{
	struct tm tm = {0};
	const char *at = value;
	if (!read_weekday(&at))
		return false;
	bool read = read_literal(&at, ", ") ? read_day_month_year(&at, &tm) && read_literal(&at, " ") &&
						      read_clock(&at, &tm) && read_literal(&at, " GMT")
					    : read_asctime(&at, &tm);
	/* 60 is a leap second. A day that its month does not have becomes one of the next month, which does no harm. */
	if (!read || *at != '\0' || tm.tm_mday < 1 || tm.tm_mday > 31 || tm.tm_hour > 23 || tm.tm_min > 59 ||
	    tm.tm_sec > 60)
		return false;
	*ret_when = timegm(&tm);
	return true;
}
