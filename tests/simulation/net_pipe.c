/* SPDX-License-Identifier: MIT */
/* Pipes, eventfds and signalfds of the simulated net. */
#include "net_world.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>

static void begin(void)
{
	open_world(1, "");
}

TestSuite(pipes, .init = begin, .fini = close_world, .timeout = 30);

Test(pipes, small_writes_are_whole)
{
	static char much[70000];
	int pipe[2], unread;

	EXPECT_EQ(sim_pipe(here, O_CLOEXEC, pipe), 0);
	EXPECT_EQ(get(pipe[0], much, 1), -EAGAIN);
	EXPECT_EQ(put(pipe[1], much, 62000), 62000);
	EXPECT_EQ(put(pipe[1], much, 4096), -EAGAIN);
	EXPECT_EQ(polled(pipe[1]), 0);
	EXPECT_EQ(put(pipe[1], much, 5000), 3536);
	EXPECT_EQ(sim_socket_ioctl(file(pipe[0]), FIONREAD, &unread), 0);
	EXPECT_EQ(unread, 65536);
	EXPECT_EQ(get(pipe[0], much, 70000), 65536);
	EXPECT_EQ(polled(pipe[1]), POLLOUT);
	EXPECT_EQ(polled(pipe[0]), 0);
	EXPECT_EQ(sim_pipe_resize(file(pipe[1]), 8000), 8192);
	EXPECT_EQ(put(pipe[1], much, 10000), 8192);
	EXPECT_EQ(sim_pipe_resize(file(pipe[1]), 4096), -EBUSY);
	EXPECT_EQ(sim_pipe_size(file(pipe[0])), 8192);
}

Test(pipes, ends)
{
	char buffer[8];
	int pipe[2];

	EXPECT_EQ(sim_pipe(here, 0, pipe), 0);
	EXPECT_EQ(put(pipe[1], "abc", 3), 3);
	shut(pipe[1]);
	EXPECT_EQ(polled(pipe[0]), POLLIN | POLLHUP);
	EXPECT_EQ(get(pipe[0], buffer, 2), 2);
	EXPECT_EQ(get(pipe[0], buffer, 2), 1);
	EXPECT_EQ(get(pipe[0], buffer, 2), 0);
	EXPECT_EQ(sim_pipe(here, 0, pipe), 0);
	shut(pipe[0]);
	EXPECT_EQ(polled(pipe[1]), POLLOUT | POLLERR);
	EXPECT_EQ(put(pipe[1], "x", 1), -EPIPE);
	EXPECT_EQ(sim_bind(file(pipe[1]), NULL, 0), -ENOTSOCK);
	EXPECT_EQ(sim_pipe_size(file(sim_socket(here, AF_INET, SOCK_STREAM, 0))), -EBADF);
}

Test(pipes, two_descriptors_or_none)
{
	unsigned open;
	int pair[2];

	close_world();
	open_world(1, "emfile@1,emfile@3");
	open = world->fds_open;
	EXPECT_EQ(sim_pipe(here, 0, pair), -EMFILE);
	EXPECT_EQ(sim_socketpair(here, AF_UNIX, SOCK_STREAM, 0, pair), -EMFILE);
	EXPECT_EQ(world->fds_open, open);
}

Test(pipes, eventfds_count)
{
	uint64_t value = 3;
	int fd = sim_eventfd(here, 2, 0), semaphore = sim_eventfd(here, 2, EFD_SEMAPHORE);

	EXPECT_EQ(put(fd, &value, 8), 8);
	EXPECT_EQ(get(fd, &value, 4), -EINVAL);
	EXPECT_EQ(get(fd, &value, 8), 8);
	EXPECT_EQ(value, 5);
	EXPECT_EQ(get(fd, &value, 8), -EAGAIN);
	EXPECT_EQ(polled(fd), POLLOUT);
	value = UINT64_MAX - 1;
	EXPECT_EQ(put(fd, &value, 8), 8);
	EXPECT_EQ(polled(fd), POLLIN);
	value = 1;
	EXPECT_EQ(put(fd, &value, 8), -EAGAIN);
	for (int i = 0; i < 2; i++) {
		EXPECT_EQ(get(semaphore, &value, 8), 8);
		EXPECT_EQ(value, 1);
	}
	EXPECT_EQ(get(semaphore, &value, 8), -EAGAIN);
}

Test(pipes, signals_wait_for_who_wants_them)
{
	struct signalfd_siginfo info[2];
	sigset_t mask;
	int fd, other;

	sigemptyset(&mask);
	sigaddset(&mask, SIGTERM);
	sigaddset(&mask, SIGHUP);
	fd = sim_signalfd(here, NULL, &mask, 0);
	other = sim_signalfd(there, NULL, &mask, 0);
	EXPECT_EQ(get(fd, info, sizeof info), -EAGAIN);
	sim_host_signal(here, SIGTERM);
	sim_host_signal(here, SIGUSR1);
	sim_host_signal(here, SIGTERM);
	EXPECT_EQ(polled(fd), POLLIN);
	EXPECT_EQ(polled(other), 0);
	EXPECT_EQ(get(fd, info, sizeof info), sizeof info[0]);
	EXPECT_EQ(info[0].ssi_signo, SIGTERM);
	EXPECT_EQ(get(fd, info, sizeof info), -EAGAIN);
	sigaddset(&mask, SIGUSR1);
	EXPECT_EQ(sim_signalfd(here, file(fd), &mask, 0), 0);
	EXPECT_EQ(get(fd, info, sizeof info), sizeof info[0]);
	EXPECT_EQ(info[0].ssi_signo, SIGUSR1);
	sim_host_signal(here, SIGHUP);
	sim_host_crash(here);
	EXPECT_EQ(polled(fd), 0);
}
