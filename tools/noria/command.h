/* SPDX-License-Identifier: MIT */
/* The subcommands of `noria`: each parses its own arguments, argv[0] being its name, and returns the exit code. */
#pragma once

enum exit_code {
	EXIT_OK = 0,      /* done; for a server: drained, no response was cut short */
	EXIT_FAILED = 1,  /* it could not be done; standard error says why, and what to do about it */
	EXIT_USAGE = 2,   /* the arguments were not understood */
	EXIT_CUT = 3,     /* a server had to end before every response was out: grace spent, or a second signal */
	EXIT_REFUSED = 4, /* a server was measured, and none of its answers was a success */
};

int cmd_serve(int argc, char **argv);
int cmd_echo(int argc, char **argv);
int cmd_bench(int argc, char **argv);
int cmd_sim(int argc, char **argv);
int cmd_doctor(int argc, char **argv);
