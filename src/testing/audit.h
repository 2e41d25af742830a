/* SPDX-License-Identifier: MIT */
/* See audit.c. */
#ifndef NORIA_TESTING_AUDIT_H
#define NORIA_TESTING_AUDIT_H

struct loop;
struct testing_run;

/* Between two turns, on the hub, of a run in a world. */
void testing_audit(struct testing_run *run, struct loop *loop);

#endif
