/* SPDX-License-Identifier: MIT */
/*
 * The test kit: a program of noria's in a simulated world. It is libnoria-test's (pkg-config noria-test), which a
 * program links instead of libnoria; noria.h does not include this header.
 *
 * A world is hosts with addresses, the network between them, their disks and their clocks, in memory. All that is left
 * to chance in it (which task runs first, how long things take, how much of a transfer is made at once, whether a
 * cancel comes in time) is drawn from a seed, and all that goes wrong comes from a plan; the same seed and plan give
 * the same run, whose trace is the same byte for byte. Time is virtual: the clock jumps to whatever happens next. The
 * functions of noria are the same as ever, and read and write the world instead of the kernel.
 *
 * A run that finds something says what, on standard error, with one line by which it can be had again:
 *     NORIA_SIM=seed=42,faults=reset@3 ./program
 *
 * Every function belongs to the thread that calls noria_sim_run(). All since 0.2.
 */
#ifndef NORIA_TEST_H
#define NORIA_TEST_H

#include <noria/base.h>
#include <noria/run.h>
#include <noria/task.h>
#include <stdio.h>

NORIA_BEGIN_DECLS

/* Which of the ready tasks runs next. */
enum noria_sim_schedule {
	NORIA_SIM_RANDOM = 0, /* any, each time */
	NORIA_SIM_PCT,        /* the one of the highest priority; some change at drawn moments: finds rare orders */
	NORIA_SIM_FIFO,       /* as they became ready: what the kernel's ring does */
};

enum noria_sim_world {
	NORIA_SIM_WORLD = 0, /* all is simulated */
	/*
	 * The kernel's ring and a virtual clock: it goes as the real one does, and jumps to the next timer when every
	 * task is blocked and no operation, offloaded call or other thread is under way.
	 */
	NORIA_SIM_CLOCK,
	NORIA_SIM_KERNEL, /* the kernel's ring and clock; what is left behind is looked for all the same */
};

/* How a run is made. All zero: the defaults. */
struct noria_sim_options {
	uint64_t seed;
	/*
	 * What goes wrong, entries separated by commas: "reset" (the first time it could), "reset@7" (the eighth),
	 * "reset@7x3" (three in a row from there), "reset@7x*" (from there on), "reset%1.5" (each with 1.5 percent).
	 * noria-sim(1) lists the names. NULL: nothing.
	 */
	const char *faults;
	enum noria_sim_schedule schedule;
	unsigned changes; /* of priorities, with NORIA_SIM_PCT, up to 16; 0: 3 */
	enum noria_sim_world world;
	int64_t time_limit_ns; /* of the world's clock: a run that takes longer has failed; 0: an hour; NORIA_FOREVER */
	const char *trace;     /* a file that is written: what is submitted, what completes, and when; NULL: none */
	bool check;            /* run twice, and compare each draw: a run that differs has failed */
	bool leaks_allowed;    /* what is left behind is not looked for */
	bool quiet;            /* findings are not written to standard error, only reported (noria_sim_last_report()) */
	const char *command;   /* what the line that replays it runs; NULL: this process's command line */
	const struct noria_config *config; /* of its runtime; NULL: the defaults */
	uint64_t reserved[8];              /* zero */
};

enum noria_sim_finding {
	NORIA_SIM_FINE = 0,  /* the root task succeeded, and nothing was left behind */
	NORIA_SIM_FAILED,    /* the root task failed, or a host's main task: its code is the result */
	NORIA_SIM_DEADLOCK,  /* -EDEADLK: every task waits, and nothing would ever happen again */
	NORIA_SIM_LATE,      /* -ETIME: the time limit */
	NORIA_SIM_LEFT,      /* -EUCLEAN: a task, a descriptor, a buffer or a timer was left behind */
	NORIA_SIM_DIFFERENT, /* -EILSEQ: two runs of the same seed differ */
	NORIA_SIM_BROKEN,    /* -ENOTRECOVERABLE: noria broke a rule of its own, such as R02 */
	NORIA_SIM_CRASHED,   /* -ECHILD: of a run in a process of its own (sweeps): it was ended by a signal, or hung */
};

/* What a run came to. */
struct noria_sim_report {
	enum noria_sim_finding finding;
	int result; /* what noria_sim_run() returned */
	uint64_t seed;
	int64_t time_ns;               /* how long it took, by the world's clock */
	uint64_t draws;                /* how often something was left to chance */
	uint64_t checkpoints, resumes; /* that a cancel can aim at: faults "cancel" and "late" */
	uint64_t faults;               /* that struck */
	char what[4096];               /* the finding in words; "" for none */
	char replay[2048];             /* "seed=42,faults=reset%1": what NORIA_SIM must be to have it again */
	char struck[2048];             /* "reset@3,loss@17": the faults that struck; "" also when they are too many */
};

/*
 * noria_sim_run - run `int fn(void *arg)` as the root task of a runtime in a world of its own, until it and all it
 * spawned have ended.
 * @options: NULL for the defaults; copied. Where the environment has NORIA_SIM, what stands there takes precedence.
 *
 * Returns: what the root task returned, or the code of the finding (see above; the words are written to standard
 * error); -EINVAL (the options or the plan), -ENOMEM or -EBUSY (this thread runs a runtime already) with
 * noria_message() before anything has run. Not to be called from a task.
 */
#define noria_sim_run(options, fn, arg) noria_sim_run_at((options), (fn), (arg), NORIA_SITE(#fn))
NORIA_PUBLIC NORIA_CHECKED int noria_sim_run_at(const struct noria_sim_options *options, noria_task_fn *fn, void *arg,
						const struct noria_site *site);

/* noria_sim_last_report - what this thread's last run, or the worst of its last sweep, came to. Never NULL. */
NORIA_PUBLIC const struct noria_sim_report *noria_sim_last_report(void);

/*
 * noria_sim_here - does this thread run in a simulated world (NORIA_SIM_WORLD)?
 * noria_sim_seed - the seed of the run; 0 outside one.
 * noria_sim_random - one of 0 .. among - 1, drawn from the seed; outside a run by the C library's random(). `among`
 * is at least 1.
 * noria_sim_note - a line of the program's own in the trace, as by printf. Print nothing that differs from run to
 * run, as addresses do.
 * Not checkpoints.
 */
NORIA_PUBLIC bool noria_sim_here(void);
NORIA_PUBLIC uint64_t noria_sim_seed(void);
NORIA_PUBLIC uint64_t noria_sim_random(uint64_t among);
#define noria_sim_note(...) noria_sim_note_(__VA_ARGS__)
NORIA_PUBLIC void noria_sim_note_(const char *format, ...) __attribute__((format(printf, 1, 2)));

/*
 * Hosts. A run begins with one, "localhost", with the addresses 127.0.0.1, ::1 and 10.0.0.1; the root task is on it. A
 * task is on the host on which it was spawned. What is said of hosts holds for runs in a world; with the kernel's ring
 * a host is a set of tasks, all share this machine, and links, disks and clocks are what they are.
 */
struct noria_sim_host;

/*
 * noria_sim_host - the host of this name; it is made if there is none yet.
 * @name: up to 63 bytes, copied
 * @address: IPv4 or IPv6, of no other host; NULL: the next free one of 10.0.0.0/24. With the kernel's ring each host
 *           has one of 127.0.0.0/8 instead.
 * Returns: the host, noria's until the run ends; NULL with noria_message() (no run, the name, the address, 64 hosts).
 * Not a checkpoint.
 */
NORIA_PUBLIC struct noria_sim_host *noria_sim_host_named(const char *name, const char *address);

/* noria_sim_address - its address as a text, noria's: what to listen on and to connect to. Not a checkpoint. */
NORIA_PUBLIC const char *noria_sim_address(const struct noria_sim_host *host);

/* noria_sim_host_name - the name of the host the calling task is on. Not a checkpoint. */
NORIA_PUBLIC const char *noria_sim_host_name(void);

/*
 * noria_sim_start - boot a host: `int fn(void *arg)` is its main task, whose child tasks are the host's too.
 * @arg: the caller's, also for later boots
 * Its main task may end when it likes; a failure of it is one of the run. When the root task ends, hosts that still run
 * are drained and then cancelled.
 * Returns: 0; -EBUSY when its main task runs already; -ENOMEM; -EINVAL for no host. Not a checkpoint.
 */
#define noria_sim_start(host, fn, arg) noria_sim_start_at((host), (fn), (arg), NORIA_SITE(#fn))
NORIA_PUBLIC NORIA_CHECKED int noria_sim_start_at(struct noria_sim_host *host, noria_task_fn *fn, void *arg,
						  const struct noria_site *site);

/*
 * noria_sim_crash - a host loses its power. Its sockets vanish without a word to their peers, what was not yet
 * durable on its disk may be lost or torn, and whatever its tasks still ask for is answered -EHOSTDOWN, without any
 * effect: they are cancelled so that their memory is given back, and no more. What the main task returns does not
 * count.
 * noria_sim_restart - its power comes back, and its main task begins anew, with the disk as the crash left it.
 *
 * Both wait until the tasks of the former boot have ended, shielded. A host that is down already, or up, stays so; one
 * that is up and whose main task has ended is booted again by noria_sim_restart().
 * Returns: 0; -EINVAL for no host, for the caller's own, for one that was never started (restart). Checkpoints.
 */
NORIA_PUBLIC NORIA_CHECKED int noria_sim_crash(struct noria_sim_host *host);
NORIA_PUBLIC NORIA_CHECKED int noria_sim_restart(struct noria_sim_host *host);
/* noria_sim_is_up - does it have power? Not a checkpoint. */
NORIA_PUBLIC bool noria_sim_is_up(const struct noria_sim_host *host);

/*
 * noria_sim_on - evaluate `expression` on another host: what it opens and connects to, and the tasks that it spawns,
 * are that host's. (A client beside a server needs no main task of its own for this.) Its value is the expression's.
 */
#define noria_sim_on(host, expression) \
	(__extension__({ \
		__attribute__((unused, cleanup(noria_sim_leave_))) unsigned noria_sim_before_ = \
			noria_sim_enter_(host); \
		(expression); \
	}))
NORIA_PUBLIC unsigned noria_sim_enter_(struct noria_sim_host *host);
NORIA_PUBLIC void noria_sim_leave_(unsigned *before);

/*
 * noria_sim_signal - SIGTERM or SIGINT for the process on a host: its main task and all beneath are drained, and at the
 * second one cancelled, as a run is (run.h). Returns: 0; -ESRCH when its main task does not run; -EINVAL for another
 * signal. Not a checkpoint.
 */
NORIA_PUBLIC NORIA_CHECKED int noria_sim_signal(struct noria_sim_host *host, int signal_number);

/* What lies between two hosts, each way. */
struct noria_sim_link {
	int64_t latency_ns;     /* of one packet */
	int64_t jitter_ns;      /* around so much more, drawn; 0: never anything, and packets stay in order */
	uint64_t bytes_per_sec; /* 0: no limit */
	double loss, duplicate; /* the probabilities that a packet is lost, and that a datagram comes twice: 0 to 1 */
	uint64_t reserved[4];   /* zero */
};

/*
 * noria_sim_link - change what lies between two hosts; NULL for one of them means every other host, for both all links.
 * noria_sim_partition - nothing gets from `from` to `to` any more. TCP holds it back and tries again, as it does; the
 * other way is a partition of its own.
 * noria_sim_heal - it does again.
 * Both hosts as above. Return 0 or -EINVAL. Not checkpoints. Without effect with the kernel's ring.
 */
NORIA_PUBLIC NORIA_CHECKED int noria_sim_set_link(struct noria_sim_host *a, struct noria_sim_host *b,
						  const struct noria_sim_link *link);
NORIA_PUBLIC NORIA_CHECKED int noria_sim_partition(struct noria_sim_host *from, struct noria_sim_host *to);
NORIA_PUBLIC NORIA_CHECKED int noria_sim_heal(struct noria_sim_host *from, struct noria_sim_host *to);

/*
 * noria_sim_clock - the wall clock of a host (CLOCK_REALTIME) is off by `skew_ns`, and runs away by `drift_ppm`
 * millionths. The monotonic clock stays. Not a checkpoint.
 */
NORIA_PUBLIC void noria_sim_clock(struct noria_sim_host *host, int64_t skew_ns, int64_t drift_ppm);

/*
 * noria_sim_disk - the disk of a host holds so many bytes, beyond which writes answer -ENOSPC (0: 1 GiB), and takes
 * typically so long for an access (0: 100 us). Returns 0, -ENOMEM or -EINVAL. Not a checkpoint.
 */
NORIA_PUBLIC NORIA_CHECKED int noria_sim_disk(struct noria_sim_host *host, uint64_t capacity, int64_t latency_ns);

/*
 * Sweeps: the same run again and again, each time with one thing done to it, each in a process of its own (a fork), on
 * all processors. The first that finds something ends the sweep: its plan is made as short as possible, and it is told
 * with the line by which it can be had again.
 */
struct noria_sim_sweep {
	struct noria_sim_options options; /* of each run; its faults come on top of what is swept */
	/*
	 * Is this result of the root task as it should be? Called in the process of the run. NULL: any of 0 and above,
	 * and of the errors -ECANCELED where a cancel was swept, any that is no finding where faults were.
	 */
	bool (*accept)(int result, void *arg);
	unsigned runs_max;     /* no more than this; 0: 100,000 */
	unsigned jobs;         /* at once; 0: as many as processors */
	int64_t real_limit_ns; /* of each run, by the real clock; 0: 10 s */
	uint64_t reserved[8];  /* zero */
};

/*
 * noria_sim_sweep_seeds - `count` runs, with the seeds from options.seed on.
 * noria_sim_sweep_cancel - one run that counts its checkpoints and the resumes of its tasks; then one for each of them,
 * in which the root task is cancelled there: at the checkpoint, or when what a task waits for has completed and it has
 * not run yet.
 * noria_sim_sweep_faults - one run for each occurrence of each kind of fault in `kinds` (names separated by commas;
 * NULL: all but those of the next and of the cancel).
 * noria_sim_sweep_allocations - one for each allocation of the runtime, which finds no memory.
 * noria_sim_sweep_schedules - all orders of ready tasks, completions and other choices, until there are no more, or
 * runs_max is reached. For small cases.
 *
 * Each run is checked for what is left behind, and that noria kept its rules. `sweep` may be NULL. Not to be called
 * from a task. Return: the number of runs; or the code of a finding, which noria_sim_last_report() has; -EINVAL,
 * -ENOMEM, -EAGAIN (no process could be forked) with noria_message().
 */
#define noria_sim_sweep_seeds(sweep, count, fn, arg) \
	noria_sim_sweep_seeds_at((sweep), (count), (fn), (arg), NORIA_SITE(#fn))
#define noria_sim_sweep_cancel(sweep, fn, arg) noria_sim_sweep_cancel_at((sweep), (fn), (arg), NORIA_SITE(#fn))
#define noria_sim_sweep_faults(sweep, kinds, fn, arg) \
	noria_sim_sweep_faults_at((sweep), (kinds), (fn), (arg), NORIA_SITE(#fn))
#define noria_sim_sweep_allocations(sweep, fn, arg) \
	noria_sim_sweep_faults_at((sweep), "enomem", (fn), (arg), NORIA_SITE(#fn))
#define noria_sim_sweep_schedules(sweep, fn, arg) noria_sim_sweep_schedules_at((sweep), (fn), (arg), NORIA_SITE(#fn))
NORIA_PUBLIC NORIA_CHECKED int noria_sim_sweep_seeds_at(const struct noria_sim_sweep *sweep, unsigned count,
							noria_task_fn *fn, void *arg, const struct noria_site *site);
NORIA_PUBLIC NORIA_CHECKED int noria_sim_sweep_cancel_at(const struct noria_sim_sweep *sweep, noria_task_fn *fn,
							 void *arg, const struct noria_site *site);
NORIA_PUBLIC NORIA_CHECKED int noria_sim_sweep_faults_at(const struct noria_sim_sweep *sweep, const char *kinds,
							 noria_task_fn *fn, void *arg, const struct noria_site *site);
NORIA_PUBLIC NORIA_CHECKED int noria_sim_sweep_schedules_at(const struct noria_sim_sweep *sweep, noria_task_fn *fn,
							    void *arg, const struct noria_site *site);

/* Of noria/test_criterion.h: the path of this program. */
NORIA_PUBLIC void noria_sim_program_(char *text, size_t size);

NORIA_END_DECLS
#endif
