/* SPDX-License-Identifier: MIT */
/* How findings are told: see finding.c. */
#ifndef NORIA_TESTING_FINDING_H
#define NORIA_TESTING_FINDING_H

#include "testing/kit.h"

#include <stddef.h>

/* The command line of this process, as a shell would have to be given it. */
void testing_command(char *text, size_t size);
/*
 * For `noria sim`: lines of name=value; "what" is the last and may have several. `finding` NULL: by the name of the
 * report's.
 */
void testing_report_write(const struct noria_sim_report *report, const char *finding, const char *path);
/* The run was not begun, for the reason that noria_message() has: the line "refused". */
void testing_report_refuse(const char *path);

/* While a run is under way, hear of signals that end the process. */
void testing_watch_signals(void);
void testing_unwatch_signals(void);
/* Called from there: run.c tells what is known. */
void testing_run_crashed(struct testing_run *run);

#endif
