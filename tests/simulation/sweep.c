/* SPDX-License-Identifier: MIT */
/*
 * The sweeps: `sweep AREA[/PROGRAM[/VARIANT[/SWEEP]]]`. Each program of an area runs in its variants, a kind of runtime
 * each, under each sweep: cancelled everywhere, with each fault that noria mends and nobody may notice, with those that
 * are errors, without memory, from many seeds. A finding is written with the command that has it again, and the exit
 * status is 1.
 */
#include "sweep.h"

#include <stdarg.h>

/* A third of the runs where each takes three times as long. */
#ifdef __SANITIZE_ADDRESS__
enum { RUNS = 50, SEEDS = 8 };
#else
enum { RUNS = 150, SEEDS = 25 };
#endif

/* ---- what is swept ---- */

static const struct {
	const char *name;
	const struct sweep_program *programs;
} areas[] = {
	{"limits", sweep_limits}, {"queue", sweep_queue},       {"streams", sweep_streams},
	{"tasks", sweep_tasks},   {"meetings", sweep_meetings}, {"files", sweep_files},
};

static const struct variant {
	const char *name;
	struct noria_config config;
	const char *hidden;
} variants[] = {
	{"plain", {.receive_buffers = 4, .receive_buffer_size = 128}, ""},
	/* a queue that is full most of the time */
	{"tiny", {.ring_entries = 2, .ring_entries_max = 2, .receive_buffers = 4, .receive_buffer_size = 128}, ""},
	{"heap", {.timeouts = NORIA_TIMEOUTS_HEAP, .receive_buffers = 4, .receive_buffer_size = 128}, ""},
	/* an older kernel: no multishots, and a completion for each cancel */
	{"old",
	 {.ring_entries = 2, .ring_entries_max = 4, .receive_buffers = 4, .receive_buffer_size = 128},
	 "cqe_skip,recv_multishot,recvmsg_multishot,accept_multishot,incremental,bundle,resize,registered_buffers"},
	/* one between them: multishots into buffers of one message each, which run out */
	{"older", {.receive_buffers = 2, .receive_buffer_size = 128}, "cqe_skip,incremental,bundle,direct,send_zc"},
};

static const struct kind {
	const char *name;
	enum { CANCEL, FAULTS, SEED } by;
	const char *faults; /* the kinds that are swept; or a plan */
	bool may_fail;      /* with an error of the fault's own */
	bool may_be_late;   /* a millisecond, which the loop gives a kernel that has no memory */
	bool cancels;
	enum noria_sim_schedule schedule;
} kinds[] = {
	{"cancel", CANCEL, NULL, .cancels = true},
	{"mended", FAULTS, "eagain,enobufs,short,overflow,end,delay,slow"},
	{"busy", FAULTS, "busy", .may_be_late = true},
	{"errors", FAULTS, "eintr,reset,loss,duplicate,refuse,enospc,eio,emfile,thread", .may_fail = true},
	{"memory", FAULTS, "enomem", .may_fail = true},
	{"seeds", SEED, NULL},
	{"in-order", SEED, NULL, .schedule = NORIA_SIM_FIFO},
	{"priorities", SEED, NULL, .schedule = NORIA_SIM_PCT},
	{"storms", SEED, "short%5,end%15,overflow%15,enobufs%15,eagain%5,slow%5"},
	{"cancels", SEED, "late%0.7,cancel%0.3,overflow%5,end%5,enobufs%5,short%5", .cancels = true},
};

static const struct kind *kind;

/* ---- for the programs ---- */

_Noreturn void sweep_wrong(const char *file, int line, const char *what)
{
	fprintf(stderr, "%s:%d: not so, at %lld ns: %s\n", file, line, (long long)noria_now(), what);
	abort();
}

_Noreturn void sweep_not_equal(const char *file, int line, const char *what, long long actual, long long wanted)
{
	fprintf(stderr, "%s:%d: at %lld ns %s is %lld, not %lld\n", file, line, (long long)noria_now(), what, actual,
		wanted);
	abort();
}

bool sweep_cancelled(void)
{
	struct noria_cause cause = {0};

	return noria_task_cause(&cause) == NORIA_CAUSE_EXPLICIT && strstr(cause.reason, "test's plan");
}

bool sweep_may_fail(void)
{
	return kind->may_fail;
}

bool sweep_in_order(void)
{
	return kind->schedule == NORIA_SIM_FIFO;
}

int sweep_ended_at(const char *file, int line, ssize_t result, ssize_t wanted, int64_t time_ns)
{
	int64_t late_ns = noria_now() - time_ns;

	if (sweep_cancelled())
		return result >= 0 || result == wanted ? 0 : result == -ETIMEDOUT ? -ECANCELED : (int)result;
	if (kind->may_fail && result < 0 && result != wanted)
		return (int)result;
	if (result != wanted)
		sweep_not_equal(file, line, "the result", result, wanted);
	if (late_ns < 0 || late_ns > (kind->may_be_late ? noria_msec(3) : 0))
		sweep_not_equal(file, line, "the time after its limit", late_ns, 0);
	return 0;
}

int sweep_pair(int fds[2])
{
	return noria_socketpair(AF_UNIX, SOCK_STREAM, 0, fds);
}

void sweep_close_pair(int fds[2])
{
	noria_close(fds[0]);
	noria_close(fds[1]);
}

/* ---- one after the other ---- */

static bool accept_result(int result, void *arg)
{
	(void)arg;
	return result == 0 || (result < 0 && kind->may_fail) || (result == -ECANCELED && kind->cancels);
}

static bool is_word_of(const char *words, const char *word)
{
	size_t length = strlen(word);

	for (const char *at = words; *at; at += strcspn(at, " "), at += *at == ' ')
		if (strcspn(at, " ") == length && memcmp(at, word, length) == 0)
			return true;
	return false;
}

/* Returns how many runs it took, or a negative errno: it found something. */
static int make(const char *area, const struct sweep_program *program, const struct variant *variant)
{
	char command[256];
	struct noria_sim_sweep sweep = {
		.options = {.config = &variant->config, .command = command, .schedule = kind->schedule},
		.accept = accept_result,
		.runs_max = program->runs && program->runs < RUNS ? program->runs : RUNS,
	};

	snprintf(command, sizeof command, "./sweep %s/%s/%s/%s", area, program->name, variant->name, kind->name);
	setenv("NORIA_HIDE", variant->hidden, 1);
	switch (kind->by) {
	case CANCEL:
		return noria_sim_sweep_cancel(&sweep, program->run, NULL);
	case FAULTS:
		return noria_sim_sweep_faults(&sweep, kind->faults, program->run, NULL);
	case SEED:
		sweep.options.faults = kind->faults;
		return noria_sim_sweep_seeds(&sweep, SEEDS, program->run, NULL);
	}
	return -EINVAL;
}

/* The i-th part of "a/b/c" is this, or not there. */
static bool is_asked_for(const char *path, int i, const char *name)
{
	for (; i > 0 && *path; i--)
		path += strcspn(path, "/"), path += *path == '/';
	return !*path || (strcspn(path, "/") == strlen(name) && memcmp(path, name, strlen(name)) == 0);
}

static int sweep_program(const char *path, const char *area, const struct sweep_program *program)
{
	int runs = 0;

	for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
		for (size_t j = 0; j < sizeof variants / sizeof variants[0]; j++) {
			int r;

			kind = &kinds[i];
			if (!is_word_of(program->variants, variants[j].name) ||
			    !is_asked_for(path, 2, variants[j].name) || !is_asked_for(path, 3, kind->name))
				continue;
			r = make(area, program, &variants[j]);
			if (r < 0) {
				printf("found by %s/%s/%s/%s\n", area, program->name, variants[j].name, kind->name);
				return r;
			}
			runs += r;
		}
	return runs;
}

int main(int argc, char **argv)
{
	const char *path = argc > 1 ? argv[1] : "";
	int found = 0;

	setvbuf(stdout, NULL, _IOLBF, 0);
	for (size_t i = 0; i < sizeof areas / sizeof areas[0]; i++)
		for (const struct sweep_program *program = areas[i].programs; program->name; program++) {
			int r;

			if (!is_asked_for(path, 0, areas[i].name) || !is_asked_for(path, 1, program->name))
				continue;
			r = sweep_program(path, areas[i].name, program);
			found += r < 0;
			if (r >= 0)
				printf("%s/%s: %d runs\n", areas[i].name, program->name, r);
			else if (!getenv("NORIA_SWEEP_ON"))
				return 1;
		}
	return found > 0;
}
