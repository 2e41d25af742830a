/* SPDX-License-Identifier: MIT */
/*
 * Every operation outside a runtime is -ENXIO, and in a cancelled scope -ECANCELED without an effect; closing and
 * shutting down are carried out all the same.
 */
#include "unit.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

/* All that may park, on the two ends of a socket pair with bytes to read and room to write; each must give `wanted`. */
static void try_all(int fd, int listener, int wanted)
{
	char buffer[4] = "abc";
	struct iovec vector = {buffer, 3};
	struct msghdr message = {.msg_iov = &vector, .msg_iovlen = 1};
	struct sockaddr_storage address = {.ss_family = AF_UNIX};
	struct open_how how = {.flags = O_RDONLY};
	struct statx found;

	EXPECT_EQ(noria_socket(AF_UNIX, SOCK_STREAM, 0), wanted);
	EXPECT_EQ(noria_bind(fd, (struct sockaddr *)&address, sizeof(sa_family_t)), wanted);
	EXPECT_EQ(noria_listen(listener, 3), wanted);
	EXPECT_EQ(noria_accept(listener, NULL, NULL), wanted);
	EXPECT_EQ(noria_accept4(listener, NULL, NULL, 0), wanted);
	EXPECT_EQ(noria_connect(fd, (struct sockaddr *)&address, sizeof(sa_family_t)), wanted);
	EXPECT_EQ(noria_recv(fd, buffer, 3, 0), wanted);
	EXPECT_EQ(noria_recv(fd, buffer, 3, MSG_DONTWAIT), wanted);
	EXPECT_EQ(noria_send(fd, buffer, 3, 0), wanted);
	EXPECT_EQ(noria_recvmsg(fd, &message, 0), wanted);
	EXPECT_EQ(noria_sendmsg(fd, &message, 0), wanted);
	EXPECT_EQ(noria_read(fd, buffer, 3), wanted);
	EXPECT_EQ(noria_write(fd, buffer, 3), wanted);
	EXPECT_EQ(noria_readv(fd, &vector, 1), wanted);
	EXPECT_EQ(noria_writev(fd, &vector, 1), wanted);
	EXPECT_EQ(noria_pread(fd, buffer, 3, 0), wanted);
	EXPECT_EQ(noria_pwrite(fd, buffer, 3, 0), wanted);
	EXPECT_EQ(noria_openat(AT_FDCWD, "/", O_RDONLY, 0), wanted);
	EXPECT_EQ(noria_openat2(AT_FDCWD, "/", &how, sizeof how), wanted);
	EXPECT_EQ(noria_statx(AT_FDCWD, "/", 0, STATX_TYPE, &found), wanted);
	EXPECT_EQ(noria_splice(fd, NULL, listener, NULL, 3, 0), wanted);
	EXPECT_EQ(noria_poll(fd, POLLIN | POLLOUT), wanted);
	EXPECT_EQ(noria_recv_all(fd, buffer, 3, 0), wanted);
	EXPECT_EQ(noria_send_all(fd, buffer, 3, 0), wanted);
	EXPECT_EQ(noria_read_all(fd, buffer, 3), wanted);
	EXPECT_EQ(noria_write_all(fd, buffer, 3), wanted);
	EXPECT_EQ(noria_readv_all(fd, &vector, 1), wanted);
	EXPECT_EQ(noria_writev_all(fd, &vector, 1), wanted);
	EXPECT_EQ(noria_splice_all(fd, NULL, listener, NULL, 3, 0), wanted);
	EXPECT_EQ(noria_progress(), 0);
	EXPECT(strcmp(buffer, "abc") == 0);
}

static void prepare(int pair[2], int *listener)
{
	struct sockaddr_storage address = {.ss_family = AF_UNIX};

	unit_pair(pair);
	MUST(write(pair[0], "xyz", 3) == 3 && write(pair[1], "xyz", 3) == 3);
	*listener = socket(AF_UNIX, SOCK_STREAM, 0);
	MUST(*listener >= 0 && bind(*listener, (struct sockaddr *)&address, sizeof(sa_family_t)) == 0);
	MUST(listen(*listener, 3) == 0);
}

/* Nothing was taken from, and nothing added to, what waits in the pair. */
static void expect_untouched(const int pair[2])
{
	char buffer[8];

	EXPECT_EQ(recv(pair[0], buffer, sizeof buffer, MSG_DONTWAIT), 3);
	EXPECT_EQ(recv(pair[1], buffer, sizeof buffer, MSG_DONTWAIT), 3);
}

Test(refused, outside_a_runtime)
{
	struct noria_recv_stream stream;
	struct noria_scope scope;
	struct noria_group group;
	int pair[2], listener;

	memset(&scope, 0, sizeof scope);
	memset(&group, 0, sizeof group);
	prepare(pair, &listener);
	try_all(pair[0], listener, -ENXIO);
	cr_expect_not_null(strstr(noria_message(), "Remedy"));
	expect_untouched(pair);
	EXPECT_EQ(noria_shutdown(pair[0], SHUT_RDWR), -ENXIO);
	EXPECT_EQ(noria_close(pair[0]), -ENXIO);
	EXPECT_EQ(fcntl(pair[0], F_GETFD) & 0, 0);
	EXPECT_EQ(noria_recv_stream_open(&stream, pair[0]), -ENXIO);
	EXPECT_EQ(noria_sleep(1), -ENXIO);
	EXPECT_EQ(noria_sleep(0), -ENXIO);
	EXPECT_EQ(noria_sleep_until(1), -ENXIO);
	EXPECT_EQ(noria_yield(), -ENXIO);
	EXPECT_EQ(noria_check(), -ENXIO);
	EXPECT_EQ(noria_now(), -ENXIO);
	EXPECT_EQ(noria_deadline(), -ENXIO);
	EXPECT_EQ(noria_draining(), false);
	EXPECT_EQ(noria_task_id(), 0);
	EXPECT(strcmp(noria_task_name(), "") == 0);
	EXPECT_EQ(noria_scope_open(&scope, NORIA_FOREVER, 0), -ENXIO);
	EXPECT_EQ(noria_group_open(&group), -ENXIO);
	EXPECT_EQ(noria_within(noria_sec(1), noria_sleep(1)), -ENXIO);
	close(pair[0]), close(pair[1]), close(listener);
}

UNIT(refused, in_a_cancelled_scope)
{
	struct noria_scope scope;
	int pair[2], listener;

	prepare(pair, &listener);
	MUST(noria_scope_open(&scope, NORIA_FOREVER, 0) == 0);
	noria_scope_cancel(&scope);
	try_all(pair[0], listener, -ECANCELED);
	expect_untouched(pair);
	EXPECT_EQ(noria_shutdown(pair[0], SHUT_WR), 0);
	EXPECT_EQ(noria_close(pair[0]) | noria_close(pair[1]) | noria_close(listener), 0);
	EXPECT_EQ(fcntl(pair[0], F_GETFD), -1);
	EXPECT_EQ(noria_sleep(1), -ECANCELED);
	EXPECT_EQ(noria_sleep(0), -ECANCELED);
	EXPECT_EQ(noria_scope_close(&scope, -ECANCELED), 0);
	return 0;
}
