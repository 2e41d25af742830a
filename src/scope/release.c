/* SPDX-License-Identifier: MIT */
/* Release handlers of groups: called by the closing task, the latest first, behind a shield, all of them. */
#include "scope/group.h"

#include "base/memory.h"
#include "base/message.h"
#include "scope/enter.h"
#include "scope/leftover.h"

#include <errno.h>
#include <stdlib.h>

struct release {
	struct release *next;
	noria_task_fn *fn;
	void *arg;
	const struct noria_site *site;
};

int noria_group_release_at(struct noria_group *storage, noria_task_fn *fn, void *arg, const struct noria_site *site)
{
	struct group *group = group_from_public(storage);
	struct release *release;

	if (!noria_current())
		return -ENXIO;
	if (!fn)
		return noria_refuse(-EINVAL, "a release handler at %s:%d without a function", site->file, site->line);
	if (!scope_is_open(&group->scope) || group->closed)
		return noria_refuse(-EINVAL, "the release handler %s at %s:%d comes too late: its group is closed",
				    site->what, site->file, site->line);
	release = memory_new(sizeof *release);
	if (!release)
		return noria_refuse(-ENOMEM, "no memory for the release handler %s at %s:%d", site->what, site->file,
				    site->line);
	*release = (struct release){.next = group->releases, .fn = fn, .arg = arg, .site = site};
	group->releases = release;
	return 0;
}

static void run(struct group *group, struct task *task, const struct release *release)
{
	struct scope shield;
	bool excused;
	int r;

	scope_enter(&shield, task, task->scope, NORIA_FOREVER, NORIA_SCOPE_SHIELD, release->site);
	noria_error_drop(task); /* what the handler fails with is its own story */
	r = release->fn(release->arg);
	if (!noria_scopes_close_inside(task, &shield))
		noria_scope_lost(task);
	excused = group_excuses(&shield, r);
	task->scope = shield.parent;
	scope_leave(&shield, release->site);
	if (!excused)
		noria_group_fail(group, task, r, release->site);
}

void noria_releases_run(struct group *group, struct task *task)
{
	struct release *release;

	while ((release = group->releases)) {
		group->releases = release->next;
		run(group, task, release);
		free(release);
	}
}
