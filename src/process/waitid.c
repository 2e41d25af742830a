/* SPDX-License-Identifier: MIT */
/*
 * Waiting for children. The ring's own waitid reaps in this thread, when it delivers: a cancel either finds it still
 * waiting, or comes too late. Where the ring has none, this thread asks without waiting (WNOHANG) and waits for a
 * reason to ask again: a descriptor of the process that becomes readable, or, for what has no descriptor, a little
 * time. So nobody is ever reaped by a call that is given up.
 */
#include "noria/op.h"
#include "noria/process.h"
#include "op/op.h"
#include "process/wait.h"
#include "ring/direct.h"
#include "scope/scope.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { PAUSE_MIN_NS = 1000 * 1000, PAUSE_MAX_NS = 20 * 1000 * 1000 };

/* Without waiting. `info->si_pid` is 0 if there is nothing to tell. */
static int ask(idtype_t idtype, id_t id, siginfo_t *info, int options)
{
	memset(info, 0, sizeof *info);
	return waitid(idtype, id, info, options | WNOHANG) < 0 ? -errno : 0;
}

/*
 * A descriptor to poll for the exit of that one process, or -1. It is a child that nobody has reaped, so the number is
 * its own.
 */
static int exit_descriptor(idtype_t idtype, id_t id, int options)
{
	if (options & (WSTOPPED | WCONTINUED))
		return -1;
	if (idtype == P_PIDFD)
		return (int)id;
	return idtype == P_PID ? (int)syscall(SYS_pidfd_open, (pid_t)id, 0) : -1;
}

static int wait_by_asking(idtype_t idtype, id_t id, siginfo_t *info, int options)
{
	int64_t pause = PAUSE_MIN_NS;
	int fd = exit_descriptor(idtype, id, options), r;
	bool poll = fd >= 0;

	for (;;) {
		r = ask(idtype, id, info, options);
		if (r < 0 || info->si_pid != 0)
			break;
		r = poll ? noria_poll(fd, POLLIN) : noria_sleep(pause);
		if (r < 0)
			break;
		/* It is dead, but not ours to reap yet (a debugger has it): polling would not wait. */
		poll = poll && !(r & POLLIN && ask(idtype, id, info, options | WNOWAIT) == 0 && info->si_pid == 0);
		pause = pause * 2 < PAUSE_MAX_NS ? pause * 2 : PAUSE_MAX_NS;
	}
	if (fd >= 0 && idtype == P_PID)
		(void)noria_close(fd);
	return r;
}

static int wait_for(struct task *task, idtype_t idtype, id_t id, siginfo_t *info, int options)
{
	int r = scope_door(task);

	if (r >= 0)
		r = noria_loop_refuse_simulated(task->loop, "a wait for processes");
	if (r < 0)
		return r;
	if (idtype != P_PIDFD && fd_is_direct((int)id))
		return -ECHILD; /* no process has such a number */
	if (options & WNOHANG) {
		task_spend(task);
		return ask(idtype, id, info, options);
	}
	if (features_has(&task->loop->ring->features, FEATURE_WAITID))
		return (int)op_call("waitid", OP_DONTWAIT, io_uring_prep_waitid, idtype, id, info, options, 0);
	return wait_by_asking(idtype, id, info, options);
}

int noria_waitid(idtype_t idtype, id_t id, siginfo_t *info, int options)
{
	struct task *task = noria_current();
	siginfo_t unwanted;

	return task ? wait_for(task, idtype, id, info ? info : &unwanted, options) : -ENXIO;
}

pid_t noria_waitpid(pid_t pid, int *ret_status, int options)
{
	idtype_t idtype = pid > 0 ? P_PID : pid == -1 ? P_ALL : P_PGID;
	id_t id = pid > 0 ? (id_t)pid : pid == -1 ? 0 : -(id_t)pid;
	siginfo_t info;
	int r = noria_waitid(idtype, id, &info, options | WEXITED);

	if (r < 0)
		return r;
	if (ret_status && info.si_pid != 0)
		*ret_status = wait_status(&info);
	return info.si_pid;
}
