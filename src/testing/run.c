/* SPDX-License-Identifier: MIT */
/*
 * A run in this process: a world is made, a runtime runs in it, and what it comes to is judged. Between two turns of
 * its loop, where nothing runs, the plan may cancel it, its time may be over, and noria's own rules are looked at.
 */
#include "testing/kit.h"

#include "base/message.h"
#include "ring/ring.h"
#include "runtime/run.h"
#include "runtime/tree.h"
#include "scope/child.h"
#include "scope/leftover.h"
#include "simulation/host.h"
#include "testing/audit.h"
#include "testing/draws.h"
#include "testing/finding.h"
#include "testing/order.h"
#include "testing/runtime.h"
#include "testing/thread.h"

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

enum { LATE_TIMES = 2, TREE_SIZE = 3072, PCT_STEPS = 1000, CROWD_ODDS = 4 };

__thread struct testing_run *testing_run;

/* ---- while it runs ---- */

static struct scope *root_of(const struct loop *loop)
{
	return list_entry(loop->tasks.next, struct task, all)->outermost;
}

static void cancel(struct testing_run *run, struct task *task, const char *when)
{
	run->cancelled = true;
	if (run->world)
		sim_trace(run->world, "the run is cancelled %s", when);
	noria_scope_interrupt(root_of(run->loop), NORIA_CAUSE_EXPLICIT, task, NULL, when);
}

static void checkpoint_met(struct task *task)
{
	struct testing_run *run = testing_run;

	if (run && !run->cancelled && sim_strikes(run->plan, SIM_FAULT_CANCEL))
		cancel(run, task, "at a checkpoint, by the test's plan");
}

/* Its time is over: it is cancelled, and if that does not help, its shields fall. */
static void look_at_time(struct testing_run *run, struct loop *loop)
{
	int64_t limit = run->options.time_limit_ns, since;
	char tree[TREE_SIZE];

	if (limit == NORIA_FOREVER)
		return;
	since = noria_loop_clock(loop) - run->began_ns;
	if (since <= limit)
		return;
	if (run->report.finding != NORIA_SIM_LATE) {
		noria_describe_tree(root_of(loop), tree, sizeof tree);
		testing_find(run, NORIA_SIM_LATE, "the run has taken more than its limit of %lld ms%s",
			     (long long)(limit / 1000000), tree);
		noria_scope_interrupt(root_of(loop), NORIA_CAUSE_SHUTDOWN, NULL, NULL, "the time limit of the test");
	} else if (since / LATE_TIMES > limit) {
		noria_scope_pierce(root_of(loop));
	}
}

/*
 * Mostly one task in each turn; now and then many, whose entries then fill the queue. Not in a run that keeps the order
 * of tasks: it is there for programs that count their turns. A budget that the program itself has set stays.
 */
static void draw_budget(struct testing_run *run, struct loop *loop)
{
	bool several = !fifo_empty(&loop->ready) && loop->ready.head->next;
	bool drawn = run->world && !run->script && run->options.schedule != NORIA_SIM_FIFO;

	if (loop->turn_budget != run->turn_budget)
		return;
	run->turn_budget = 1;
	if (several && drawn && sim_draw(run->world, SIM_CHOICE_READY, CROWD_ODDS) == 0)
		run->turn_budget = LOOP_BUDGET;
	loop->turn_budget = run->turn_budget;
}

static void arrange(struct loop *loop)
{
	struct testing_run *run = testing_run;

	if (run->arrange)
		run->arrange(loop);
	draw_budget(run, loop);
	if (!fifo_empty(&loop->ready) && sim_strikes(run->plan, SIM_FAULT_LATE) && !run->cancelled)
		cancel(run, NULL, "when something had completed, by the test's plan");
	if (run->world) {
		testing_hosts_strike(run);
		if (run->strict)
			testing_audit(run, loop);
	}
	look_at_time(run, loop);
}

/* ---- hooks ---- */

/* In a world whose system calls are dear small sends are entries: in one of four that draw the order of tasks. */
static bool calls_are_dear(const struct testing_run *run)
{
	return run->world && run->options.schedule != NORIA_SIM_FIFO && run->options.seed % 4 == 2;
}

static void (*arrange_loop)(struct loop *loop);

static void loop_opened(struct loop *loop)
{
	struct testing_run *run = testing_run;

	if (arrange_loop)
		arrange_loop(loop);
	if (!run)
		return;
	run->loop = loop;
	if (run->options.world == NORIA_SIM_CLOCK && testing_clock_wrap(loop->ring) == 0)
		loop->now = noria_loop_clock(loop);
	run->arrange = loop->arrange;
	loop->arrange = arrange;
	loop->turn_budget = run->turn_budget = 1;
	if (calls_are_dear(run))
		loop->ring->reply_batch = 1;
	run->began_ns = noria_loop_clock(loop);
}

static void run_ending(struct loop *loop)
{
	struct testing_run *run = testing_run;

	if (!run)
		return;
	run->report.time_ns = noria_loop_clock(loop) - run->began_ns;
	testing_ledger_ending(run, loop);
}

static void install(void)
{
	testing_runtime_install();
	arrange_loop = noria_loop_opened;
	noria_loop_opened = loop_opened;
	noria_run_ending = run_ending;
	noria_left_open = testing_ledger_left_open;
	noria_checkpoint_met = checkpoint_met;
}

/* ---- from beginning to end ---- */

static void keep_words(struct testing_run *run, const struct noria_failure *failure, const char *text)
{
	char *words = run->unheard;
	size_t length = noria_report_print(failure, text, words, sizeof run->unheard);

	while (length > 0 && words[length - 1] == '\n')
		words[--length] = '\0';
}

static void hear(const struct noria_failure *failure, const char *text, void *arg)
{
	struct testing_run *run = arg;
	const struct noria_config *config = run->options.config;
	bool handled = config && config->on_failure;

	if (failure->code == -EDEADLK && strncmp(text, "deadlock", 8) == 0)
		testing_find(run, NORIA_SIM_DEADLOCK, "%s", text);
	else if (!handled && !run->options.quiet)
		noria_report_write(failure, text);
	else
		keep_words(run, failure, text);
	if (handled)
		config->on_failure(failure, text, config->on_failure_arg);
}

static int root_main(void *arg)
{
	struct testing_run *run = arg;

	if (run->request.hosts_too)
		return testing_hosts_run(run);
	noria_current()->scope->watched = true;
	return run->request.fn(run->request.arg);
}

static int open_world(struct testing_run *run)
{
	const struct noria_sim_options *options = &run->options;
	int r;

	if (options->world != NORIA_SIM_WORLD) {
		run->plan = &run->own_plan;
		return sim_plan_parse(run->plan, options->seed, options->faults);
	}
	r = sim_world_open(&run->world, options->seed, options->faults);
	if (r < 0)
		return r;
	run->plan = &run->world->plan;
	run->world->draws.script = run->script;
	run->world->fd_opened = testing_origin_note;
	if (options->trace) {
		run->world->trace = fopen(options->trace, "we");
		if (!run->world->trace)
			return noria_refuse(-errno, "the trace cannot be written to %s", options->trace);
	}
	testing_order_set(options->schedule == NORIA_SIM_RANDOM ? TESTING_ORDER_RANDOM
			  : options->schedule == NORIA_SIM_PCT  ? TESTING_ORDER_PCT
								: TESTING_ORDER_KEPT,
			  options->changes, PCT_STEPS);
	sim_world = run->world;
	testing_draws_attach(run);
	return 0;
}

static void close_world(struct testing_run *run)
{
	if (!run->world)
		return;
	testing_draws_detach(run);
	if (run->world->trace)
		fclose(run->world->trace);
	run->world->trace = NULL;
	sim_world_close(run->world);
	sim_world = NULL;
	run->world = NULL;
}

/* What is known now, also in the middle of it. */
static void fill_report(struct testing_run *run, const char *script)
{
	struct noria_sim_report *report = &run->report;

	report->seed = run->options.seed;
	report->checkpoints = run->plan ? run->plan->seen[SIM_FAULT_CANCEL] : 0;
	report->resumes = run->plan ? run->plan->seen[SIM_FAULT_LATE] : 0;
	report->draws = run->world ? run->world->draws.count : 0;
	report->faults = run->plan ? run->plan->struck_count + run->plan->struck_lost : 0;
	if (run->plan &&
	    (run->plan->struck_lost > 0 ||
	     sim_plan_print_struck(run->plan, report->struck, sizeof report->struck) >= sizeof report->struck))
		report->struck[0] = '\0';
	testing_spec_print(&run->options, script, report->replay, sizeof report->replay);
}

static void print_script(const struct sim_script *script, char *text, size_t size)
{
	size_t n = 0;

	text[0] = '\0';
	for (unsigned i = 0; script && i < script->length && n < size; i++)
		n += (size_t)snprintf(text + n, size - n, "%s%u", i > 0 ? "." : "", script->steps[i].drawn);
}

static void read_script(struct sim_script *script, const char *text)
{
	char *end = (char *)(uintptr_t)text;

	memset(script, 0, sizeof *script);
	while (*text && script->given < SIM_SCRIPT_MAX) {
		script->steps[script->given++].drawn = (uint32_t)strtoul(text, &end, 10);
		text = *end == '.' ? end + 1 : end;
		if (end == text && *end)
			break;
	}
}

static void finish_report(struct testing_run *run)
{
	char script[SCRIPT_TEXT_MAX];

	print_script(run->script, script, sizeof script);
	fill_report(run, script);
	if (run->request.shared && run->plan)
		memcpy(run->request.shared->seen, run->plan->seen, sizeof run->plan->seen);
}

/* Whoever reads the report knows how the run is had again: the program as it is may not be what simulates it. */
static const char *command_of(const struct testing_run *run)
{
	return run->request.report_path ? "" : run->options.command;
}

void testing_run_crashed(struct testing_run *run)
{
	finish_report(run);
	sim_world = NULL; /* files are the kernel's again */
	if (run->world && run->world->trace)
		fflush(run->world->trace);
	if (run->request.draws)
		fflush(run->request.draws);
	if (!run->options.quiet)
		testing_tell(&run->report, command_of(run));
	if (run->request.shared)
		run->request.shared->report = run->report;
	if (run->request.report_path)
		testing_report_write(&run->report, NULL, run->request.report_path);
}

static int run_here(struct testing_run *run)
{
	struct testing_fds *before = run->options.world == NORIA_SIM_WORLD ? NULL : testing_fds_count();
	int r;

	testing_watch_signals();
	r = noria_run_here(&run->config, root_main, run, run->request.hosts_too ? &run->site : run->request.site);
	testing_unwatch_signals();
	if (run->world) {
		testing_threads_finish();
		testing_ledger_world(run);
	}
	testing_fds_compare(run, before);
	return r;
}

static void judge(struct testing_run *run, int r)
{
	struct noria_sim_report *report = &run->report;

	report->result = r;
	if (r == -EDEADLK && report->finding == NORIA_SIM_FINE)
		testing_find(run, NORIA_SIM_DEADLOCK, "%s", noria_message());
	if (report->finding == NORIA_SIM_FINE && r < 0 && run->request.hosts_too &&
	    !(r == -ECANCELED && run->cancelled))
		testing_find(run, NORIA_SIM_FAILED, "%s of %s:%d failed: %s (%d)%s%s", run->request.site->what,
			     run->request.site->file, run->request.site->line, strerror(-r), r,
			     run->unheard[0] ? "\n" : "", run->unheard);
	if (report->finding > NORIA_SIM_FAILED)
		report->result = testing_code(report->finding);
}

static void prepare(struct testing_run *run, const struct testing_request *request)
{
	struct noria_config *config = &run->config;

	run->request = *request;
	run->options = *request->options;
	run->site = *request->site;
	run->site.what = "run"; /* its only child is the test */
	if (request->script) {
		run->script = &run->own_script;
		read_script(run->script, request->script);
	} else if (request->shared && request->shared->scripted) {
		run->script = &request->shared->script;
	}
	run->strict = request->strict || run->script || (run->options.faults && run->options.faults[0]);
	list_init(&run->hosts);
	if (run->options.config)
		*config = *run->options.config;
	config->on_failure = hear;
	config->on_failure_arg = run;
	if (run->options.world == NORIA_SIM_CLOCK)
		config->timeouts = NORIA_TIMEOUTS_HEAP;
	if (request->hosts_too)
		config->signals = NORIA_SIGNALS_NONE;
	run->origins = testing_origins_new();
}

static bool told; /* of several runs of a process the first with a finding counts in its report */

/* Should the process end before the run does, that is in the report. */
static void begin_report(struct testing_run *run)
{
	if (!run->request.report_path || told)
		return;
	finish_report(run);
	testing_report_write(&run->report, "unfinished", run->request.report_path);
}

/* It is over: tell whoever wants to know. */
static void tell(const struct testing_run *run)
{
	if (run->refused) {
		if (run->request.report_path)
			testing_report_refuse(run->request.report_path);
		return;
	}
	if (!run->options.quiet)
		testing_tell(&run->report, command_of(run));
	if (!run->request.report_path || told)
		return;
	testing_report_write(&run->report, NULL, run->request.report_path);
	told = run->report.finding != NORIA_SIM_FINE;
}

int testing_run_here(const struct testing_request *request, struct noria_sim_report *ret_report)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	struct testing_run *run;
	int r;

	if (testing_run || noria_loop)
		return noria_refuse(-EBUSY, "this thread runs a runtime already");
	pthread_once(&once, install);
	run = calloc(1, sizeof *run);
	if (!run)
		return noria_refuse(-ENOMEM, "no memory for a run");
	prepare(run, request);
	begin_report(run);
	testing_run = run;
	r = run->origins ? open_world(run) : noria_refuse(-ENOMEM, "no memory for a run");
	if (r >= 0) {
		r = run_here(run);
		judge(run, r);
		r = request->hosts_too ? run->report.result : r;
	} else {
		run->report.result = r;
		run->refused = true;
	}
	finish_report(run);
	close_world(run);
	testing_run = NULL;
	testing_origins_free(run->origins);
	tell(run);
	*ret_report = run->report;
	free(run);
	return r;
}
