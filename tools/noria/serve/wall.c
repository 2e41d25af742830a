/* SPDX-License-Identifier: MIT */
/*
 * The coarse clock is read without a system call and is as fine as the kernel's tick, a few milliseconds: enough for a
 * log and for dates in seconds. Durations are measured elsewhere, on the monotonic clock.
 */
#include "wall.h"

void wall_update(struct wall *wall)
{
	clock_gettime(CLOCK_REALTIME_COARSE, &wall->now);
	if (wall->formatted == wall->now.tv_sec)
		return;
	wall->formatted = wall->now.tv_sec;
	struct text http = text_on(wall->http, sizeof wall->http), iso = text_on(wall->iso, sizeof wall->iso);
	date_format(&http, wall->now.tv_sec);
	struct tm tm;
	gmtime_r(&wall->now.tv_sec, &tm);
	int year = tm.tm_year + 1900;
	text_two(&iso, year / 100);
	text_two(&iso, year % 100);
	text_char(&iso, '-');
	text_two(&iso, tm.tm_mon + 1);
	text_char(&iso, '-');
	text_two(&iso, tm.tm_mday);
	text_char(&iso, 'T');
	text_two(&iso, tm.tm_hour);
	text_char(&iso, ':');
	text_two(&iso, tm.tm_min);
	text_char(&iso, ':');
	text_two(&iso, tm.tm_sec);
}
