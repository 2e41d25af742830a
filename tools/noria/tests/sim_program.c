/* SPDX-License-Identifier: MIT */
/* A program for `noria sim` that ends in the way that its argument names. */
#include <errno.h>
#include <noria/noria.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int nap(void *arg)
{
	const char *how = arg;

	if (strcmp(how, "exit") == 0)
		exit(0);
	if (strcmp(how, "killed") == 0)
		kill(getpid(), SIGKILL);
	if (strcmp(how, "hang") == 0)
		for (;;)
			pause();
	if (strcmp(how, "leave") == 0 && fork() == 0)
		for (;;)
			pause();
	if (strcmp(how, "fail") == 0)
		return noria_fail(-EIO, "as it was asked to");
	return noria_sleep(noria_sec(60));
}

int main(int argc, char **argv)
{
	return noria_run(NULL, nap, argc > 1 ? argv[1] : "") < 0;
}
