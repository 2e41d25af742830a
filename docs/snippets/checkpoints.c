/* SPDX-License-Identifier: MIT */
/* What a task hears once its time is up, and who says that it was the time. */
#include <noria/noria.h>

#include <stdio.h>
#include <string.h>

/* [body] */
static const char *said(int64_t result)
{
	return result < 0 ? strerror((int)-result) : "success";
}

static int body(void)
{
	printf("sleep:    %s\n", said(noria_sleep(noria_sec(10))));
	printf("again:    %s\n", said(noria_sleep(noria_sec(10))));
	printf("send:     %s\n", said(noria_send_all(1, "x", 1, 0)));
	printf("shielded: %s\n", said(noria_shielded(noria_sec(1), noria_sleep(noria_msec(1)))));
	printf("check:    %s\n", said(noria_check()));
	return 0;
}

static int root(void *arg)
{
	(void)arg;
	printf("within:   %s\n", said(noria_within(noria_msec(20), body())));
	printf("after:    %s\n", said(noria_check()));
	return 0;
}
/* [end] */

int main(void)
{
	return noria_run(NULL, root, NULL) < 0;
}
