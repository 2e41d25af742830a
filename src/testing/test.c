/* SPDX-License-Identifier: MIT */
/*
 * The doors of the kit: noria_sim_run(), and noria_run() where NORIA_SIM asks for a simulation. A checking run is made
 * twice, the first time in a fork, so that both begin with the same memory.
 */
#include "testing/finding.h"

#include "base/message.h"
#include "runtime/run.h"
#include "simulation/host.h"
#include "task/loop.h"
#include "testing/runtime.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static __thread struct noria_sim_report last_report;

const struct noria_sim_report *noria_sim_last_report(void)
{
	return &last_report;
}

void testing_report_keep(const struct noria_sim_report *report)
{
	last_report = *report;
}

/* In the fork: what it says has been said, or will be. */
_Noreturn static void make_first(struct testing_request *request)
{
	struct noria_sim_options quiet = *request->options;
	struct noria_sim_report report;
	int null = open("/dev/null", O_WRONLY | O_CLOEXEC);

	dup2(null, STDOUT_FILENO);
	dup2(null, STDERR_FILENO);
	quiet.quiet = true;
	quiet.trace = NULL;
	request->options = &quiet;
	request->report_path = NULL;
	(void)testing_run_here(request, &report);
	fflush(request->draws);
	_exit(0);
}

static int check(struct testing_request *request)
{
	FILE *draws = tmpfile();
	pid_t pid;
	int r;

	if (!draws)
		return noria_refuse(-errno, "no temporary file for the draws of a checking run");
	fflush(NULL);
	pid = fork();
	if (pid < 0) {
		fclose(draws);
		return noria_refuse(-EAGAIN, "no process for the first of two runs");
	}
	request->draws = draws;
	if (pid == 0)
		make_first(request);
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	request->draws = NULL;
	request->compared = draws;
	rewind(draws);
	r = testing_run_here(request, &last_report);
	fclose(draws);
	return r;
}

static int run_as_asked(struct testing_request *request)
{
	if (request->options->check && request->options->world == NORIA_SIM_WORLD)
		return check(request);
	return testing_run_here(request, &last_report);
}

/* NORIA_SIM does not say what it should: who set it is told, also when the program does not. */
static void tell_refusal(const struct testing_spec *spec)
{
	if (spec->report)
		testing_report_refuse(spec->report);
	if (spec->given)
		fprintf(stderr, "noria: %s\n", noria_message());
}

int noria_sim_run_at(const struct noria_sim_options *options, noria_task_fn *fn, void *arg,
		     const struct noria_site *site)
{
	struct noria_sim_options filled = {0};
	struct testing_spec *spec = calloc(1, sizeof *spec);
	struct testing_request request = {.options = &filled, .fn = fn, .arg = arg, .site = site, .hosts_too = true};
	int r;

	if (!spec)
		return noria_refuse(-ENOMEM, "no memory for a run");
	last_report = (struct noria_sim_report){0};
	if (options)
		filled = *options;
	r = fn ? testing_spec_read(spec, &filled) : noria_refuse(-EINVAL, "noria_sim_run() without a function");
	if (r >= 0)
		r = testing_options_fill(&filled);
	if (r >= 0) {
		request.script = spec->script;
		request.report_path = spec->report;
		r = run_as_asked(&request);
	} else {
		last_report.result = r;
		tell_refusal(spec);
	}
	free(spec);
	return r;
}

/* ---- noria_run() where NORIA_SIM is set ---- */

static int run_simulated(const struct noria_config *config, noria_task_fn *fn, void *arg, const struct noria_site *site)
{
	struct noria_sim_options options = {.config = config};
	struct testing_spec *spec;
	struct testing_request request = {.options = &options, .fn = fn, .arg = arg, .site = site};
	int r;

	if (testing_run || noria_loop || !fn)
		return noria_run_here(config, fn, arg, site);
	spec = calloc(1, sizeof *spec);
	if (!spec)
		return noria_refuse(-ENOMEM, "no memory for a run");
	r = testing_spec_read(spec, &options);
	if (r >= 0)
		r = testing_options_fill(&options);
	if (r >= 0) {
		request.script = spec->script;
		request.report_path = spec->report;
		r = run_as_asked(&request);
	} else {
		tell_refusal(spec);
	}
	free(spec);
	return r;
}

__attribute__((constructor)) static void stand_between(void)
{
	if (getenv("NORIA_SIM"))
		noria_runner = run_simulated;
}

/* ---- of a run, from within ---- */

bool noria_sim_here(void)
{
	return testing_simulated();
}

uint64_t noria_sim_seed(void)
{
	return testing_run ? testing_run->options.seed : 0;
}

uint64_t noria_sim_random(uint64_t among)
{
	if (testing_run && testing_run->world && among > 0)
		return sim_draw(testing_run->world, SIM_CHOICE_PROGRAM, among);
	return among > 0 ? (uint64_t)random() % among : 0;
}

void noria_sim_note_(const char *format, ...)
{
	struct sim_world *world = testing_run ? testing_run->world : NULL;
	char text[512];
	va_list arguments;

	if (!world || !world->trace)
		return;
	va_start(arguments, format);
	vsnprintf(text, sizeof text, format, arguments);
	va_end(arguments);
	sim_trace(world, "%s: %s", testing_host()->name, text);
}
