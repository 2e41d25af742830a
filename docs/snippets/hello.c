/* SPDX-License-Identifier: MIT */
/* The smallest program: one task. */
#include <noria/noria.h>

#include <stdio.h>
#include <string.h>

static int hello(void *arg)
{
	const char *name = arg;

	noria_try(noria_sleep(noria_msec(10)));
	printf("hello, %s\n", name);
	return 0;
}

int main(void)
{
	int result = noria_run(NULL, hello, "world");

	if (result < 0)
		fprintf(stderr, "hello: %s %s\n", strerror(-result), noria_message());
	return result < 0;
}
