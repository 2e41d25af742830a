/* SPDX-License-Identifier: MIT */
/* Context values, for people who come from asyncio, trio or Go. */
#include <noria/noria.h>

#include <stdio.h>

/* [values] */
NORIA_KEY_STATIC(request_id, const char *);

static int child(void *arg)
{
	(void)arg;
	printf("request %s\n", noria_value_get(&request_id));
	return noria_value_set(&request_id, "changed"); /* its own */
}

static int with_value(struct noria_group *group)
{
	noria_try(noria_with_value(&request_id, "r-17", noria_spawn(group, child, NULL)));
	return 0;
}
/* [end] */

static int root(void *arg)
{
	struct noria_group group;

	(void)arg;
	noria_try(noria_grouped(&group, with_value(&group)));
	return noria_value_get(&request_id) != NULL;
}

int main(void)
{
	return noria_run(NULL, root, NULL) != 0;
}
