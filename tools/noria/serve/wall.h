/* SPDX-License-Identifier: MIT */
/* The time of day, kept in the forms that every response and every log line need; made anew once a second. */
#pragma once

#include "date.h"

struct wall {
	struct timespec now;
	time_t formatted;
	char http[DATE_SIZE];                       /* for Date */
	char iso[sizeof "2025-01-01T00:00:00" - 1]; /* for the log */
};

void wall_update(struct wall *wall);
