/* SPDX-License-Identifier: MIT */
/* Starting a program: a blocking call, for any thread. */
#ifndef NORIA_PROCESS_SPAWN_H
#define NORIA_PROCESS_SPAWN_H

#include "noria/process.h"

#include <signal.h>

enum { STDIO_AS_IS = -1, STDIO_NULL = -2, STDIO_AS_OUTPUT = -3 };

struct spawn {
	const char *program;
	char *const *argv;
	char *const *envp;
	const struct noria_process_options *options;
	int stdio[3]; /* the descriptor for each, or one of the above */
	sigset_t mask;
	pid_t parent;

	pid_t pid;        /* set */
	int pidfd;        /* set; -1 when it failed */
	const char *step; /* what was being done, for who reads of a failure */
	int error;        /* positive */
};

/* Returns 0 and sets `pid` and `pidfd`, or a negative errno; `step` says of what. */
int noria_spawn_program(struct spawn *spawn);

#endif
