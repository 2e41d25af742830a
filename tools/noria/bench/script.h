/* SPDX-License-Identifier: MIT */
/*
 * What is said to a server: the bytes of one request, laid out several times in a row, so that many requests leave by
 * one call. Made once, shared by all threads, never changed.
 */
#pragma once

#include "plan.h"

struct script {
	enum scheme scheme;
	bool headless; /* answers have no body, whatever their header says: HEAD */
	char *bytes;
	size_t size;     /* of one request */
	unsigned copies; /* that lie in `bytes` */
};

/* Returns: 0 or -ENOMEM. */
int script_write(struct script *script, const struct plan *plan, const struct target *target);
void script_done(struct script *script);
