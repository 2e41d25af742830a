/* SPDX-License-Identifier: MIT */
/* A cancelled task asks why. */
#include <noria/noria.h>

#include <errno.h>
#include <stdio.h>

/* [cause] */
static int wait_for_news(void *arg)
{
	struct noria_cause cause;
	int result = noria_sleep(NORIA_FOREVER);

	(void)arg;
	if (noria_task_cause(&cause) == NORIA_CAUSE_SIBLING)
		printf("cancelled, since task %s failed: %s\n", cause.task, cause.reason);
	return result;
}

static int load_config(void *arg)
{
	(void)arg;
	return noria_fail(-EINVAL, "port 99999 is too large");
}
/* [end] */

static int both(struct noria_group *group)
{
	noria_try(noria_spawn(group, wait_for_news, NULL));
	noria_try(noria_spawn(group, load_config, NULL));
	return 0;
}

static int root(void *arg)
{
	struct noria_group group;
	int result = noria_grouped(&group, both(&group));

	(void)arg;
	return noria_failure_pick(result, -EINVAL, NULL, NULL);
}

int main(void)
{
	return noria_run(NULL, root, NULL) < 0;
}
