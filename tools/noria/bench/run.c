/* SPDX-License-Identifier: MIT */
/*
 * Threads share the clock, so the course of a run is three points in time that they are told before they start. The
 * main thread only watches: it shows how things go if there is a terminal to show it on, and joins.
 */
#include "run.h"

#include "words.h"

#include <errno.h>
#include <noria/noria.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define HEAD_START_NS 10000000 /* for the threads to have their runtimes, before the first connects */
#define LOOK_NS       200000000

static struct course *_Atomic running;
static _Atomic bool interrupted;

static int64_t now(void)
{
	struct timespec time;
	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec * 1000000000 + time.tv_nsec;
}

static void on_signal(int number)
{
	(void)number;
	struct course *course = atomic_load(&running);
	atomic_store(&interrupted, true);
	if (course) {
		atomic_store(&course->interrupted, true);
		atomic_store(&course->end_ns, now());
	}
}

void run_catch_signals(void)
{
	struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESETHAND};
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
}

bool run_interrupted(void)
{
	return atomic_load(&interrupted);
}

/* ---- what is seen meanwhile ---- */

struct look {
	int64_t now_ns;
	uint64_t answers;
};

static void show(const struct run *run, const struct shard *shards, struct course *course, struct look *last)
{
	struct look look = {.now_ns = now()};
	uint64_t troubles = 0;
	char rate[32], count[32];
	for (unsigned i = 0; i < run->plan->threads; i++) {
		look.answers += atomic_load_explicit(&shards[i].answers_seen, memory_order_relaxed);
		troubles += atomic_load_explicit(&shards[i].troubles_seen, memory_order_relaxed);
	}
	double seconds = (double)(look.now_ns - last->now_ns) / 1e9;
	double left = (double)(course_end(course) - look.now_ns) / 1e9;
	fprintf(stderr, "\r\033[K%s: %s answers/s, %s errors, %s %.0f s", run->label,
		words_count(rate, sizeof rate, (double)(look.answers - last->answers) / seconds),
		words_count(count, sizeof count, (double)troubles),
		look.now_ns < course->begin_ns ? "warming up," : "measuring,", left > 0 ? left : 0);
	*last = look;
}

static void look_on(const struct run *run, const struct shard *shards, struct course *course)
{
	bool visible = !run->plan->quiet && isatty(STDERR_FILENO);
	struct look last = {.now_ns = now()};
	int64_t left;
	while ((left = course_end(course) - now()) > 0) {
		int64_t sleep_ns = left < LOOK_NS ? left : LOOK_NS;
		struct timespec time = {.tv_nsec = sleep_ns};
		nanosleep(&time, NULL);
		if (visible && left > LOOK_NS)
			show(run, shards, course, &last);
	}
	if (visible)
		fputs("\r\033[K", stderr);
}

/* ---- threads ---- */

static int collect(struct run *run, const struct shard *shard)
{
	if (shard->result < 0)
		fprintf(stderr, "noria bench: %s. %s\n", strerror(-shard->result), shard->message);
	tally_add(&run->tally, &shard->tally);
	run->cpu_ns += shard->cpu_ns;
	return shard->result;
}

static int run_threads(struct run *run, struct shard *shards, struct course *course)
{
	unsigned started = 0;
	int error = 0;
	atomic_store(&running, course);
	for (; started < run->plan->threads && error == 0; started += error == 0)
		error = -pthread_create(&shards[started].thread, NULL, shard_run, &shards[started]);
	if (error < 0) {
		fprintf(stderr, "noria bench: no thread to be had: %s\n", strerror(-error));
		atomic_store(&course->end_ns, 0);
	}
	look_on(run, shards, course);
	for (unsigned i = 0; i < started; i++) {
		pthread_join(shards[i].thread, NULL);
		int result = collect(run, &shards[i]);
		error = error < 0 ? error : result;
	}
	atomic_store(&running, NULL);
	return error;
}

static int prepare(struct run *run, const struct script *script, struct course *course, struct shard *shards)
{
	const struct plan *plan = run->plan;
	unsigned given = 0;
	for (unsigned i = 0; i < plan->threads; i++) {
		unsigned count = (plan->connections - given) / (plan->threads - i);
		shards[i] = (struct shard){
			.plan = plan,
			.target = run->target,
			.script = script,
			.course = course,
			.rate = run->rate,
			.first = given,
			.count = count,
		};
		given += count;
		noria_try(tally_init(&shards[i].tally, course->begin_ns, plan->duration_ns));
	}
	return tally_init(&run->tally, course->begin_ns, plan->duration_ns);
}

static int measure(struct run *run, const struct script *script)
{
	const struct plan *plan = run->plan;
	struct course course = {.start_ns = now() + HEAD_START_NS};
	course.begin_ns = course.start_ns + plan->ramp_ns + plan->warmup_ns;
	course.end_ns = course.begin_ns + plan->duration_ns;
	struct shard *shards = calloc(plan->threads, sizeof *shards);
	int error = shards ? prepare(run, script, &course, shards) : -ENOMEM;
	if (error < 0)
		fprintf(stderr, "noria bench: not enough memory\n");
	else
		error = run_threads(run, shards, &course);
	for (unsigned i = 0; shards && i < plan->threads; i++)
		tally_done(&shards[i].tally);
	free(shards);
	run->measured_ns = course_end(&course) - course.begin_ns;
	return error == 0 && run->measured_ns <= 0 ? -ECANCELED : error;
}

int run_measure(const struct plan *plan, const struct target *target, double rate, const char *label,
		struct run *ret_run)
{
	struct run run = {.plan = plan, .target = target, .rate = rate, .rounds = 1};
	struct script script;
	snprintf(run.label, sizeof run.label, "%s", label);
	int error = script_write(&script, plan, target);
	if (error == 0)
		error = measure(&run, &script);
	script_done(&script);
	if (error == 0)
		*ret_run = run;
	else
		run_done(&run);
	return error;
}

void run_done(struct run *run)
{
	tally_done(&run->tally);
}

void run_add(struct run *sum, const struct run *more)
{
	tally_add(&sum->tally, &more->tally);
	sum->measured_ns += more->measured_ns;
	sum->cpu_ns += more->cpu_ns;
	sum->rounds += more->rounds;
}

double run_throughput(const struct run *run)
{
	return (double)run->tally.answers * 1e9 / (double)run->measured_ns;
}

int64_t run_latency(const struct run *run, double percentile)
{
	return hdr_value_at_percentile(run->tally.latency, percentile);
}

uint64_t run_troubles(const struct run *run)
{
	uint64_t sum = 0;
	for (unsigned i = 0; i < TROUBLE_KINDS; i++)
		sum += run->tally.troubles[i];
	return sum;
}

bool run_succeeded(const struct run *run)
{
	if (run->target->scheme != SCHEME_HTTP)
		return run->tally.answers > 0;
	return run->tally.statuses[2] > 0 || run->tally.statuses[3] > 0;
}

double run_busy(const struct run *run)
{
	return (double)run->cpu_ns / (double)run->measured_ns / run->plan->threads;
}
