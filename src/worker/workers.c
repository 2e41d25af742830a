/* SPDX-License-Identifier: MIT */
/* Opening an executor of processes, and closing it: sockets, shared memory, the fork of the template, and its end. */
#include "worker/workers.h"

#include "base/memory.h"
#include "base/message.h"
#include "noria/op.h"
#include "op/op.h"
#include "scope/scope.h"
#include "task/storage.h"

#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SIZE_DEFAULT = 64 << 10, SIZE_MAX_MAX = 64 << 20 };

static int refuse_option(const char *field, const char *remedy)
{
	return noria_refuse(-EINVAL, "struct noria_workers_options: %s %s", field, remedy);
}

static int check(const char *name, const struct noria_workers_options *options)
{
	if (!name || !*name)
		return noria_refuse(-EINVAL, "noria_workers_open() without a name");
	if (options->processes > WORKERS_MAX)
		return refuse_option("processes", "must be at most 256");
	if (options->size_max > SIZE_MAX_MAX)
		return refuse_option("size_max", "must be at most 64 MiB");
	for (size_t i = 0; i < sizeof options->reserved / sizeof options->reserved[0]; i++)
		if (options->reserved[i])
			return refuse_option("reserved",
					     "must be zero: start from `struct noria_workers_options options = {0}`");
	return 0;
}

static unsigned processors(void)
{
	cpu_set_t allowed;
	int count = sched_getaffinity(0, sizeof allowed, &allowed) < 0 ? WORKERS_MAX : CPU_COUNT(&allowed);

	return count < WORKERS_MAX ? (unsigned)count : WORKERS_MAX;
}

/* What the program has mapped, in bytes. */
static int mapped_bytes(rlim_t *ret_bytes)
{
	FILE *file = fopen("/proc/self/statm", "re");
	unsigned long pages;
	int found;

	if (!file)
		return noria_refuse(-errno, "memory_max needs /proc/self/statm: %s", strerrordesc_np(errno));
	found = fscanf(file, "%lu", &pages);
	fclose(file);
	if (found != 1)
		return noria_refuse(-EIO, "memory_max needs /proc/self/statm, which cannot be read");
	*ret_bytes = (rlim_t)pages * (rlim_t)sysconf(_SC_PAGESIZE);
	return 0;
}

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static void close_template_side(struct noria_workers *workers)
{
	close_fd(&workers->template_control);
	for (unsigned i = 0; i < workers->slots_count; i++)
		close_fd(&workers->slots[i].worker_fd);
}

static size_t page_bytes(void)
{
	return (size_t)sysconf(_SC_PAGESIZE);
}

static void free_workers(struct noria_workers *workers)
{
	close_template_side(workers);
	close_fd(&workers->control);
	close_fd(&workers->template_pid_fd);
	for (unsigned i = 0; i < workers->slots_count; i++)
		close_fd(&workers->slots[i].fd);
	if (workers->memory)
		munmap(workers->memory - page_bytes(), workers->slot_bytes * workers->slots_count + 2 * page_bytes());
	free(workers);
}

static int make_pair(int *ret_ours, int *ret_theirs)
{
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return noria_refuse(-errno, "no sockets for an executor of processes: %s", strerrordesc_np(errno));
	*ret_ours = pair[0];
	*ret_theirs = pair[1];
	return 0;
}

/* With a page before and after it that nobody may touch: what the program shares with others may lie next to it. */
static int make_memory(struct noria_workers *workers)
{
	size_t page = page_bytes(), bytes = sizeof(struct slot_memory) + workers->size_max, all;
	char *low;

	workers->slot_bytes = (bytes + page - 1) / page * page;
	all = workers->slot_bytes * workers->slots_count;
	low = mmap(NULL, all + 2 * page, PROT_NONE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (low == MAP_FAILED)
		return noria_refuse(-ENOMEM, "no shared memory for the executor %s", workers->name);
	workers->memory = low + page;
	if (mprotect(workers->memory, all, PROT_READ | PROT_WRITE) < 0)
		return noria_refuse(-errno, "no shared memory for the executor %s", workers->name);
	return 0;
}

static int make_slots(struct noria_workers *workers)
{
	for (unsigned i = 0; i < workers->slots_count; i++) {
		struct slot *slot = &workers->slots[i];
		int r = make_pair(&slot->fd, &slot->worker_fd);

		if (r < 0)
			return r;
		slot->memory = (struct slot_memory *)(workers->memory + i * workers->slot_bytes);
		slot->next = workers->free;
		workers->free = slot;
	}
	return 0;
}

/* A stack of the usual size for the template, with a guard below it. NULL: there is no memory. */
static char *map_stack(size_t guard)
{
	char *low = memory_map(TEMPLATE_STACK_BYTES + guard, MAP_NORESERVE | MAP_STACK);

	if (!low)
		return NULL;
	if (mprotect(low, guard, PROT_NONE) == 0)
		return low;
	munmap(low, TEMPLATE_STACK_BYTES + guard);
	return NULL;
}

/* Returns its process id, or a negative errno. */
static pid_t fork_template(struct noria_workers *workers)
{
	const size_t guard = page_bytes();
	char *low = map_stack(guard);
	pid_t pid;

	if (!low)
		return noria_refuse(-ENOMEM, "no memory for the executor %s", workers->name);
	pid = fork();
	if (pid == 0)
		noria_template_run(workers, low + guard);
	if (pid < 0)
		pid = noria_refuse(-errno, "no process for the executor %s: %s. Remedy: raise RLIMIT_NPROC or pids.max",
				   workers->name, strerrordesc_np(errno));
	munmap(low, TEMPLATE_STACK_BYTES + guard);
	return pid;
}

static int make_template(struct noria_workers *workers)
{
	int r = make_pair(&workers->control, &workers->template_control);
	pid_t pid = r < 0 ? r : fork_template(workers);

	if (pid < 0)
		return pid;
	workers->template_pid_fd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (workers->template_pid_fd < 0) {
		r = noria_refuse(-errno, "no descriptor for the executor %s: %s", workers->name,
				 strerrordesc_np(errno));
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		return r;
	}
	close_template_side(workers);
	return 0;
}

static struct noria_workers *new_workers(const char *name, const struct noria_workers_options *options)
{
	unsigned count = options->processes ? options->processes : processors();
	struct noria_workers *workers = memory_zeroed(1, sizeof *workers + count * sizeof workers->slots[0]);

	if (!workers)
		return NULL;
	snprintf(workers->name, sizeof workers->name, "%s", name);
	workers->run = noria_loop->run;
	workers->size_max = options->size_max ? options->size_max : SIZE_DEFAULT;
	workers->cpu_seconds = options->cpu_seconds;
	workers->address_space = RLIM_INFINITY;
	workers->slots_count = count;
	workers->places = (struct noria_semaphore)NORIA_SEMAPHORE(count);
	workers->control = workers->template_control = workers->template_pid_fd = -1;
	for (unsigned i = 0; i < count; i++)
		workers->slots[i].fd = workers->slots[i].worker_fd = -1;
	return workers;
}

static int limit_memory(struct noria_workers *workers, size_t memory_max)
{
	rlim_t mapped = 0;
	int r;

	if (memory_max == 0)
		return 0;
	r = mapped_bytes(&mapped);
	if (r >= 0)
		workers->address_space = mapped + TEMPLATE_STACK_BYTES + memory_max;
	return r;
}

static bool close_leftover(struct leftover *leftover);

static void watch(struct noria_workers *workers, const struct noria_site *site)
{
	struct scope *scope = noria_loop->current->scope;

	while (scope->parent)
		scope = scope->parent;
	workers->leftover =
		(struct leftover){.task = scope->task, .site = site, .close = close_leftover, .waits = true};
	leftover_add(&workers->leftover);
}

int noria_workers_open_at(struct noria_workers **ret_workers, const char *name,
			  const struct noria_workers_options *options, const struct noria_site *site)
{
	static const struct noria_workers_options defaults;
	struct noria_workers *workers;
	int r;

	options = options ? options : &defaults;
	if (!noria_current())
		return -ENXIO;
	r = check(name, options);
	if (r >= 0)
		r = noria_loop_refuse_simulated(noria_loop, "an executor of processes");
	if (r < 0)
		return r;
	workers = new_workers(name, options);
	if (!workers)
		return noria_refuse(-ENOMEM, "no memory for the executor %s", name);
	r = make_memory(workers);
	if (r >= 0)
		r = make_slots(workers);
	if (r >= 0)
		r = limit_memory(workers, options->memory_max);
	if (r >= 0)
		r = make_template(workers);
	if (r < 0) {
		free_workers(workers);
		return r;
	}
	watch(workers, site);
	*ret_workers = workers;
	return 0;
}

void noria_workers_continue(const struct noria_workers *workers)
{
	(void)syscall(SYS_pidfd_send_signal, workers->template_pid_fd, SIGCONT, NULL, 0);
}

/* Its socket has been closed: it kills the workers, and ends. */
static void await_template(struct noria_workers *workers)
{
	siginfo_t info;

	noria_workers_continue(workers);
	(void)op_call("end of an executor of processes", OP_ALWAYS, io_uring_prep_poll_add, workers->template_pid_fd,
		      POLLIN);
	waitid(P_PIDFD, (id_t)workers->template_pid_fd, &info, WEXITED | WNOHANG);
}

static void close_workers(struct noria_workers *workers)
{
	leftover_remove(&workers->leftover);
	close_fd(&workers->control);
	await_template(workers);
	free_workers(workers);
}

/* At the end of the run: no task is left to call it. */
static bool close_leftover(struct leftover *leftover)
{
	close_workers(container_of(leftover, struct noria_workers, leftover));
	return true;
}

int noria_workers_close(struct noria_workers *workers)
{
	if (!noria_current())
		return -ENXIO;
	if (!workers)
		return 0;
	if (workers->run != noria_loop->run)
		return noria_refuse(-EINVAL, "the executor %s belongs to another runtime", workers->name);
	if (workers->calls > 0)
		return noria_refuse(-EBUSY,
				    "the executor %s has %u calls under way. Remedy: close it after the group of the "
				    "tasks that call it",
				    workers->name, workers->calls);
	close_workers(workers);
	return 0;
}
