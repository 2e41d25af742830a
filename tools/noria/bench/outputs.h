/* SPDX-License-Identifier: MIT */
/* Which file a run is written to where each has one of its own, and whether all that is asked for can be written. */
#pragma once

#include "plan.h"

enum { MARK_SIZE = 32 };

/* What tells the files of one run from those of another, by the run's rate; `again`: so many had the same before it. */
void output_mark(char mark[MARK_SIZE], double rate, unsigned again);

/*
 * "dir/out.hgrm" of the run that is marked "A" is "dir/out-A.hgrm"; without a mark it is as it was given.
 * Returns: 0; -ENAMETOOLONG, explained on standard error.
 */
int output_name(char *path, size_t size, const char *given, const char *mark);

/*
 * Before anything is measured: can the files be written, and is none of them another's, or one that is read?
 * Returns: false, explained on standard error.
 */
bool outputs_check(const struct plan *plan);
