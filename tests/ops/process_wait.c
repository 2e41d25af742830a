/* SPDX-License-Identifier: MIT */
/* Waiting for children. */
#include "ops.h"

#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static siginfo_t *info_of(struct op_place *place)
{
	return (siginfo_t *)(void *)place->buffer;
}

/* It has ended, and nobody has reaped it. */
static bool is_zombie(struct op_place *place, int flags)
{
	siginfo_t info = {0};

	return waitid(P_PID, (id_t)place->number, &info, WEXITED | WNOWAIT | flags) == 0 && info.si_pid != 0;
}

static void let_end(struct op_place *place)
{
	MUST(close(place->fd) == 0);
	place->fd = -1;
	MUST(is_zombie(place, 0));
}

/* A child that ends with 7 when the pipe `fd` is closed. */
static void open_child(struct op_place *place, bool ready)
{
	int ends[2];
	pid_t child;

	MUST(pipe(ends) == 0);
	child = fork();
	MUST(child >= 0);
	if (child == 0) {
		char byte;

		dup2(ends[0], STDIN_FILENO);
		syscall(SYS_close_range, 3, ~0U, 0);
		while (read(STDIN_FILENO, &byte, 1) > 0)
			;
		_exit(7);
	}
	MUST(close(ends[0]) == 0);
	place->fd = ends[1];
	place->number = (uint64_t)child;
	place->other = (int)syscall(SYS_pidfd_open, child, 0);
	MUST(place->other >= 0);
	if (ready)
		let_end(place);
}

static void close_child(struct op_place *place)
{
	if (place->fd >= 0)
		MUST(close(place->fd) == 0);
	MUST(close(place->other) == 0);
	if (waitpid((pid_t)place->number, NULL, WNOHANG) == 0) {
		MUST(kill((pid_t)place->number, SIGKILL) == 0);
		MUST(waitpid((pid_t)place->number, NULL, 0) > 0);
	}
}

static int64_t call_waitid(struct op_place *place)
{
	return noria_waitid(P_PID, (id_t)place->number, info_of(place), WEXITED);
}

static int64_t call_waitid_pidfd(struct op_place *place)
{
	return noria_waitid(P_PIDFD, (id_t)place->other, info_of(place), WEXITED);
}

static int64_t call_waitid_stopped(struct op_place *place)
{
	return noria_waitid(P_PID, (id_t)place->number, info_of(place), WEXITED | WSTOPPED | WCONTINUED);
}

static void did_waitid(struct op_place *place, int64_t result)
{
	EXPECT_EQ(result, 0);
	EXPECT_EQ(info_of(place)->si_pid, place->number);
	EXPECT_EQ(info_of(place)->si_signo, SIGCHLD);
	EXPECT_EQ(info_of(place)->si_code, CLD_EXITED);
	EXPECT_EQ(info_of(place)->si_status, 7);
	EXPECT(waitpid((pid_t)place->number, NULL, 0) == -1 && errno == ECHILD);
}

static int64_t call_waitid_nowait(struct op_place *place)
{
	return noria_waitid(P_PID, (id_t)place->number, info_of(place), WEXITED | WNOWAIT);
}

static void did_waitid_nowait(struct op_place *place, int64_t result)
{
	EXPECT_EQ(result, 0);
	EXPECT_EQ(info_of(place)->si_status, 7);
	EXPECT(is_zombie(place, WNOHANG));
}

static int64_t call_waitpid(struct op_place *place)
{
	place->third = 0;
	return noria_waitpid((pid_t)place->number, &place->third, 0);
}

static void did_waitpid(struct op_place *place, int64_t result)
{
	EXPECT_EQ(result, place->number);
	EXPECT(WIFEXITED(place->third) && WEXITSTATUS(place->third) == 7);
	EXPECT(waitpid((pid_t)place->number, NULL, 0) == -1 && errno == ECHILD);
}

static void still_there(struct op_place *place)
{
	EXPECT(is_zombie(place, WNOHANG));
}

static int64_t wait_for_stranger(struct op_place *place)
{
	return noria_waitid(P_PID, (id_t)getppid(), info_of(place), WEXITED);
}

static int64_t wait_for_impossible(struct op_place *place)
{
	return noria_waitid(P_PID, (id_t)place->number + (1U << 30), info_of(place), WEXITED);
}

static int64_t wait_for_nothing(struct op_place *place)
{
	return noria_waitid(P_PID, (id_t)place->number, info_of(place), 0);
}

static int64_t wait_for_closed(struct op_place *place)
{
	return noria_waitid(P_PIDFD, 9999, info_of(place), WEXITED);
}

static const struct op_error waitid_errors[] = {{-ECHILD, wait_for_stranger},
						{-ECHILD, wait_for_impossible},
						{-EINVAL, wait_for_nothing},
						{-EBADF, wait_for_closed},
						{0, NULL}};

static int64_t waitpid_stranger(struct op_place *place)
{
	(void)place;
	return noria_waitpid(getppid(), NULL, 0);
}

static const struct op_error waitpid_errors[] = {{-ECHILD, waitpid_stranger}, {0, NULL}};

#define CHILD .open = open_child, .complete = let_end, .did_not = still_there, .close = close_child

static const struct op_case cases[] = {
	{.name = "waitid", CHILD, .call = call_waitid, .did = did_waitid, .errors = waitid_errors},
	{.name = "waitid of a pidfd", CHILD, .call = call_waitid_pidfd, .did = did_waitid},
	{.name = "waitid of any change", CHILD, .call = call_waitid_stopped, .did = did_waitid},
	{.name = "waitid, WNOWAIT", CHILD, .call = call_waitid_nowait, .did = did_waitid_nowait},
	{.name = "waitpid", CHILD, .call = call_waitpid, .did = did_waitpid, .errors = waitpid_errors},
	{0},
};

OPS(process_wait, cases)

/* What has no descriptor to poll: any child, and children that stop. */
UNIT(process_wait, of_any_child_and_of_stops)
{
	struct op_place place = {.fd = -1};
	siginfo_t info;

	open_child(&place, false);
	MUST(kill((pid_t)place.number, SIGSTOP) == 0);
	EXPECT_EQ(noria_waitid(P_ALL, 0, &info, WSTOPPED), 0);
	EXPECT(info.si_pid == (pid_t)place.number && info.si_code == CLD_STOPPED);
	EXPECT_EQ(noria_waitid(P_PID, (id_t)place.number, &info, WEXITED | WNOHANG), 0);
	EXPECT_EQ(info.si_pid, 0);
	EXPECT_EQ(noria_waitpid(-1, NULL, WNOHANG), 0);
	MUST(kill((pid_t)place.number, SIGCONT) == 0);
	EXPECT_EQ(noria_waitid(P_PID, (id_t)place.number, NULL, WCONTINUED), 0);
	EXPECT_EQ(noria_within(noria_msec(5), noria_waitid(P_ALL, 0, &info, WEXITED)), -ETIMEDOUT);
	MUST(kill((pid_t)place.number, SIGKILL) == 0);
	EXPECT_EQ(noria_waitpid(-1, &place.third, 0), place.number);
	EXPECT(WIFSIGNALED(place.third) && WTERMSIG(place.third) == SIGKILL);
	EXPECT_EQ(noria_waitpid(-1, NULL, 0), -ECHILD);
	close_child(&place);
	return 0;
}

static int wait_for_place(void *arg)
{
	struct op_place *place = arg;

	return (int)call_waitid(place);
}

/* The number of the process is no descriptor: closing the descriptor of that number does not end the wait. */
UNIT(process_wait, is_not_ended_by_a_descriptor_of_the_same_number)
{
	struct op_place place = {.fd = -1};
	struct noria_group group;
	int fd;

	open_child(&place, false);
	fd = dup2(place.fd, (int)place.number);
	MUST(fd == (int)place.number || errno == EBADF); /* beyond RLIMIT_NOFILE */
	MUST(noria_group_open(&group) == 0);
	MUST(noria_spawn(&group, wait_for_place, &place) == 0);
	for (int i = 0; i < 4; i++)
		MUST(noria_yield() == 0);
	EXPECT(fd < 0 || noria_close(fd) == 0);
	let_end(&place);
	EXPECT_EQ(noria_group_close(&group, 0), 0);
	did_waitid(&place, 0);
	close_child(&place);
	return 0;
}
