/* SPDX-License-Identifier: MIT */
/* What a test kit may put around a run. */
#ifndef NORIA_RUNTIME_RUN_H
#define NORIA_RUNTIME_RUN_H

#include "noria/run.h"

struct loop;

/* Makes the runs of noria_run_at(), by noria_run_here(); NULL: nobody stands between. */
extern int (*noria_runner)(const struct noria_config *config, noria_task_fn *fn, void *arg,
			   const struct noria_site *site);
/* Told of each loop whose tasks have all ended, before what was made for them is freed; NULL: nobody. */
extern void (*noria_run_ending)(struct loop *loop);

int noria_run_here(const struct noria_config *config, noria_task_fn *fn, void *arg, const struct noria_site *site);

#endif
