/* SPDX-License-Identifier: MIT */
/*
 * Sweeps: many trials, several at once, until one finds something. The one with the lowest number counts, so that the
 * finding does not depend on which was faster; what struck in it is made as short as possible before it is told.
 */
#include "testing/kit.h"

#include "base/message.h"
#include "task/loop.h"
#include "testing/finding.h"
#include "testing/shrink.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { RUNS_MAX = 100000, JOBS_MAX = 256, SHRINK_TRIES = 400 };

struct sweep {
	struct testing_trial base;
	struct testing_trial *trials; /* `jobs` of them */
	unsigned jobs, running;
	unsigned runs, runs_max;
	/* The index-th run; false: there are no more. */
	bool (*prepare)(struct sweep *sweep, struct testing_trial *trial, unsigned index);
	/* what is swept */
	const char *own_faults; /* of the options */
	struct {
		enum sim_fault fault;
		uint64_t places;
	} kinds[SIM_FAULT_COUNT];
	unsigned kinds_count;
	uint64_t stride;
	unsigned seeds;
	/* the finding of the lowest index */
	bool found;
	unsigned found_index;
	struct testing_trial found_trial;
	struct noria_sim_report report;
};

/* ---- one by one ---- */

static void take_end(struct sweep *sweep, struct testing_trial *trial, bool late)
{
	testing_trial_end(trial, late);
	sweep->running--;
	sweep->runs++;
	if (trial->shared->report.finding == NORIA_SIM_FINE || (sweep->found && sweep->found_index < trial->index))
		return;
	sweep->found = true;
	sweep->found_index = trial->index;
	sweep->found_trial = *trial;
	sweep->report = trial->shared->report;
}

/* Until one of those that run has ended, or its time is over. */
static void await_one(struct sweep *sweep)
{
	struct pollfd ends[JOBS_MAX];
	struct testing_trial *whose[JOBS_MAX];
	int64_t now = testing_real_now(), next = INT64_MAX;
	nfds_t count = 0;

	for (unsigned i = 0; i < sweep->jobs; i++) {
		struct testing_trial *trial = &sweep->trials[i];
		int64_t end = trial->began_ns + trial->real_limit_ns;

		if (!trial->pid)
			continue;
		whose[count] = trial;
		ends[count++] = (struct pollfd){.fd = trial->pidfd, .events = POLLIN};
		next = end < next ? end : next;
	}
	if (poll(ends, count, next > now ? (int)((next - now) / 1000000) + 1 : 0) < 0)
		return;
	now = testing_real_now();
	for (nfds_t i = 0; i < count; i++) {
		bool late = now > whose[i]->began_ns + whose[i]->real_limit_ns;

		if (ends[i].revents || late)
			take_end(sweep, whose[i], !ends[i].revents);
	}
}

static struct testing_trial *idle_one(struct sweep *sweep)
{
	for (unsigned i = 0; i < sweep->jobs; i++)
		if (!sweep->trials[i].pid)
			return &sweep->trials[i];
	return NULL;
}

static void copy_base(const struct sweep *sweep, struct testing_trial *trial)
{
	struct testing_shared *shared = trial->shared;

	*trial = sweep->base;
	trial->shared = shared;
}

static int run_all(struct sweep *sweep)
{
	int r = 0;

	for (unsigned index = 0; r == 0 && !sweep->found && index < sweep->runs_max; index++) {
		struct testing_trial *trial;

		while (!(trial = idle_one(sweep)))
			await_one(sweep);
		if (sweep->found)
			break;
		copy_base(sweep, trial);
		trial->index = index;
		if (!sweep->prepare(sweep, trial, index))
			break;
		r = testing_trial_begin(trial);
		sweep->running += r == 0;
	}
	while (sweep->running > 0)
		await_one(sweep);
	return r;
}

/* ---- what was found ---- */

static bool finds_the_same(const char *plan, void *arg)
{
	struct sweep *sweep = arg;
	struct testing_trial *trial = &sweep->trials[0];

	copy_base(sweep, trial);
	trial->options = sweep->found_trial.options;
	trial->options.faults = plan;
	if (testing_trial_make(trial) < 0 || trial->shared->report.finding != sweep->report.finding)
		return false;
	sweep->report = trial->shared->report;
	return true;
}

static void shrink(struct sweep *sweep)
{
	char plan[sizeof sweep->report.struck];

	const char *faults = sweep->found_trial.options.faults;

	if (!faults || !faults[0] || finds_the_same("", sweep) || !sweep->report.struck[0])
		return;
	snprintf(plan, sizeof plan, "%s", sweep->report.struck);
	if (finds_the_same(plan, sweep))
		noria_shrink(plan, finds_the_same, sweep, SHRINK_TRIES);
}

static int conclude(struct sweep *sweep, int r)
{
	if (!sweep->found) {
		testing_report_keep(&sweep->report);
		return r < 0 ? r : (int)sweep->runs;
	}
	shrink(sweep);
	testing_report_keep(&sweep->report);
	if (!sweep->base.options.quiet)
		testing_tell(&sweep->report, sweep->base.options.command);
	return sweep->report.result < 0 ? sweep->report.result : testing_code(NORIA_SIM_FAILED);
}

/* ---- beginning and end ---- */

static void done(struct sweep *sweep)
{
	for (unsigned i = 0; sweep->trials && i < sweep->jobs; i++)
		testing_trial_done(&sweep->trials[i]);
	free(sweep->trials);
	free(sweep);
}

/* A plan that no run takes would be no finding of any. */
static int check_plan(const char *text)
{
	struct sim_plan *plan = calloc(1, sizeof *plan);
	int r = plan ? sim_plan_parse(plan, 0, text) : noria_refuse(-ENOMEM, "no memory for a sweep");

	free(plan);
	return r;
}

static int fill(struct sweep *sweep, const struct noria_sim_sweep *public)
{
	static const struct noria_sim_sweep defaults;
	long processors = sysconf(_SC_NPROCESSORS_ONLN);
	int r;

	public = public ? public : &defaults;
	for (size_t i = 0; i < sizeof public->reserved / sizeof public->reserved[0]; i++)
		if (public->reserved[i] || public->real_limit_ns < 0)
			return noria_refuse(-EINVAL,
					    "struct noria_sim_sweep: reserved must be zero, no limit negative");
	sweep->base.options = public->options;
	sweep->base.accept = public->accept;
	sweep->base.real_limit_ns = public->real_limit_ns ? public->real_limit_ns : noria_sec(10);
	sweep->own_faults = public->options.faults ? public->options.faults : "";
	sweep->runs_max = public->runs_max ? public->runs_max : RUNS_MAX;
	sweep->jobs = public->jobs ? public->jobs : (unsigned)(processors > 0 ? processors : 1);
	sweep->jobs = sweep->jobs < JOBS_MAX ? sweep->jobs : JOBS_MAX;
	if (noria_loop)
		return noria_refuse(-EBUSY, "a sweep from within a run: it is made outside, of whole runs");
	r = testing_options_fill(&sweep->base.options);
	if (r == 0)
		r = check_plan(sweep->own_faults);
	sweep->trials = calloc(sweep->jobs, sizeof *sweep->trials);
	if (!sweep->trials)
		return noria_refuse(-ENOMEM, "no memory for a sweep");
	for (unsigned i = 0; r == 0 && i < sweep->jobs; i++)
		r = testing_trial_init(&sweep->trials[i]);
	return r;
}

/* Where NORIA_SIM says which one: that one, in this process. */
static int replay(struct sweep *sweep)
{
	struct noria_sim_report report;
	int r = noria_sim_run_at(&sweep->base.options, sweep->base.fn, sweep->base.arg, sweep->base.site);

	report = *noria_sim_last_report();
	if (r < 0 && r != -ECANCELED && report.finding == NORIA_SIM_FINE)
		return r; /* there was no run */
	testing_accept(&report, sweep->base.accept, sweep->base.arg, sweep->base.lenient);
	testing_report_keep(&report);
	return report.finding == NORIA_SIM_FINE ? 1 : r < 0 ? r : testing_code(report.finding);
}

static int sweep_new(const struct noria_sim_sweep *public, noria_task_fn *fn, void *arg, const struct noria_site *site,
		     struct sweep **ret_sweep)
{
	struct sweep *sweep = calloc(1, sizeof *sweep);
	int r;

	if (!sweep)
		return noria_refuse(-ENOMEM, "no memory for a sweep");
	sweep->base.fn = fn;
	sweep->base.arg = arg;
	sweep->base.site = site;
	r = fn ? fill(sweep, public) : noria_refuse(-EINVAL, "a sweep without a function");
	if (r < 0)
		done(sweep);
	else
		*ret_sweep = sweep;
	return r;
}

static bool is_replay(void)
{
	const char *text = getenv("NORIA_SIM");

	return text && *text;
}

/* The run as it is: how many places there are for each fault. Returns whether nothing was found. */
static bool count_places(struct sweep *sweep, int *ret)
{
	struct testing_trial *trial = &sweep->trials[0];

	copy_base(sweep, trial);
	*ret = testing_trial_make(trial);
	if (*ret < 0)
		return false;
	sweep->runs = 1;
	sweep->report = trial->shared->report;
	sweep->found = sweep->report.finding != NORIA_SIM_FINE;
	sweep->found_trial = *trial;
	return !sweep->found;
}

/* ---- the sweeps ---- */

static void add_kind(struct sweep *sweep, enum sim_fault fault)
{
	uint64_t places = sweep->trials[0].shared->seen[fault];

	if (places == 0)
		return;
	sweep->kinds[sweep->kinds_count].fault = fault;
	sweep->kinds[sweep->kinds_count++].places = places;
}

/* A fault at the index-th of all places. Where there are more than runs, every so-many-th. */
static bool prepare_fault(struct sweep *sweep, struct testing_trial *trial, unsigned index)
{
	uint64_t place = index * sweep->stride;

	for (unsigned i = 0; i < sweep->kinds_count; i++) {
		if (place < sweep->kinds[i].places) {
			snprintf(trial->faults, sizeof trial->faults, "%s%s%s@%llu", sweep->own_faults,
				 sweep->own_faults[0] ? "," : "", sim_fault_names[sweep->kinds[i].fault],
				 (unsigned long long)place);
			trial->options.faults = trial->faults;
			return true;
		}
		place -= sweep->kinds[i].places;
	}
	return false;
}

static int sweep_places(struct sweep *sweep)
{
	uint64_t places = 0;

	for (unsigned i = 0; i < sweep->kinds_count; i++)
		places += sweep->kinds[i].places;
	sweep->stride = places / sweep->runs_max + 1;
	sweep->prepare = prepare_fault;
	return run_all(sweep);
}

/* A name of the list `kinds`; NULL: each but those of the other sweeps, and of hosts. */
static bool is_meant(const char *kinds, enum sim_fault fault)
{
	size_t length = strlen(sim_fault_names[fault]);

	if (!kinds)
		return fault != SIM_FAULT_NOMEM && fault != SIM_FAULT_CANCEL && fault != SIM_FAULT_LATE &&
		       fault != SIM_FAULT_CRASH;
	for (const char *name = kinds; *name; name += strcspn(name, ","), name += *name == ',')
		if (strcspn(name, ",") == length && memcmp(name, sim_fault_names[fault], length) == 0)
			return true;
	return false;
}

static int sweep_kinds(const struct noria_sim_sweep *public, const char *kinds, bool lenient, noria_task_fn *fn,
		       void *arg, const struct noria_site *site)
{
	struct sweep *sweep;
	int r = kinds ? check_plan(kinds) : 0;

	if (r >= 0)
		r = sweep_new(public, fn, arg, site, &sweep);
	if (r < 0)
		return r;
	sweep->base.lenient = lenient;
	if (is_replay()) {
		r = replay(sweep);
	} else {
		if (count_places(sweep, &r)) {
			for (int fault = 0; fault < SIM_FAULT_COUNT; fault++)
				if (is_meant(kinds, (enum sim_fault)fault))
					add_kind(sweep, (enum sim_fault)fault);
			r = sweep_places(sweep);
		}
		r = conclude(sweep, r);
	}
	done(sweep);
	return r;
}

int noria_sim_sweep_cancel_at(const struct noria_sim_sweep *sweep, noria_task_fn *fn, void *arg,
			      const struct noria_site *site)
{
	return sweep_kinds(sweep, "cancel,late", false, fn, arg, site);
}

int noria_sim_sweep_faults_at(const struct noria_sim_sweep *sweep, const char *kinds, noria_task_fn *fn, void *arg,
			      const struct noria_site *site)
{
	return sweep_kinds(sweep, kinds, true, fn, arg, site);
}

static bool prepare_seed(struct sweep *sweep, struct testing_trial *trial, unsigned index)
{
	trial->options.seed += index;
	return index < sweep->seeds;
}

int noria_sim_sweep_seeds_at(const struct noria_sim_sweep *public, unsigned count, noria_task_fn *fn, void *arg,
			     const struct noria_site *site)
{
	struct sweep *sweep;
	int r = sweep_new(public, fn, arg, site, &sweep);

	if (r < 0)
		return r;
	sweep->base.lenient = sweep->own_faults[0] != '\0';
	sweep->seeds = count;
	sweep->prepare = prepare_seed;
	r = is_replay() ? replay(sweep) : conclude(sweep, run_all(sweep));
	done(sweep);
	return r;
}

/* The next follows from what the last one met: one after the other. */
static int search(struct sweep *sweep)
{
	struct testing_trial *trial = &sweep->trials[0];
	int r = 0;

	copy_base(sweep, trial);
	memset(&trial->shared->script, 0, sizeof trial->shared->script);
	trial->shared->scripted = true;
	do {
		r = testing_trial_make(trial);
		sweep->runs++;
		sweep->report = trial->shared->report;
		sweep->found = r == 0 && sweep->report.finding != NORIA_SIM_FINE;
	} while (r == 0 && !sweep->found && sweep->runs < sweep->runs_max && sim_script_next(&trial->shared->script));
	sweep->report.struck[0] = '\0'; /* the script is what replays it */
	return r;
}

int noria_sim_sweep_schedules_at(const struct noria_sim_sweep *public, noria_task_fn *fn, void *arg,
				 const struct noria_site *site)
{
	struct sweep *sweep;
	int r = sweep_new(public, fn, arg, site, &sweep);

	if (r < 0)
		return r;
	r = is_replay() ? replay(sweep) : conclude(sweep, search(sweep));
	done(sweep);
	return r;
}
