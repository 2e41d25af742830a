/* SPDX-License-Identifier: MIT */
/* Every operation once, with little data, for memcheck and the sanitizers: what they see is the point, not the values. */
#include "race.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

static struct sockaddr_in address;

static int client(void *arg)
{
	char buffer[16];
	int fd = noria_try(noria_socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));

	(void)arg;
	CHECK(noria_connect(fd, (struct sockaddr *)&address, sizeof address) == 0);
	CHECK(noria_send_all(fd, "0123456789", 10, 0) == 10);
	CHECK(noria_recv_all(fd, buffer, 4, 0) == 4);
	CHECK(noria_shutdown(fd, SHUT_WR) == 0);
	return noria_close(fd);
}

static void messages(int fd)
{
	char a[3], b[3];
	struct iovec in = {a, 3}, out = {"ab", 2};
	struct msghdr received = {.msg_iov = &in, .msg_iovlen = 1}, sent = {.msg_iov = &out, .msg_iovlen = 1};
	struct noria_recv_stream stream;
	const void *data;

	CHECK(noria_poll(fd, POLLIN) & POLLIN);
	CHECK(noria_recv(fd, b, 3, 0) == 3);
	CHECK(noria_recvmsg(fd, &received, 0) == 3);
	CHECK(noria_recv_stream_open(&stream, fd) == 0);
	CHECK(noria_recv_stream_next(&stream, &data) == 4);
	CHECK(memcmp(b, "012", 3) == 0 && memcmp(a, "345", 3) == 0 && memcmp(data, "6789", 4) == 0);
	CHECK(noria_within(noria_msec(1), noria_recv_stream_next(&stream, &data)) == -ETIMEDOUT);
	noria_recv_stream_close(&stream);
	CHECK(noria_sendmsg(fd, &sent, 0) == 2);
	CHECK(noria_send(fd, "cd", 2, 0) == 2);
}

static void sockets(void)
{
	struct noria_group group;
	socklen_t length = sizeof address;
	int listener = noria_socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), fd;

	address = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	CHECK(listener >= 0);
	CHECK(noria_bind(listener, (struct sockaddr *)&address, sizeof address) == 0);
	CHECK(noria_listen(listener, 4) == 0);
	CHECK(getsockname(listener, (struct sockaddr *)&address, &length) == 0);
	CHECK(noria_within(noria_msec(1), noria_accept(listener, NULL, NULL)) == -ETIMEDOUT);
	CHECK(noria_group_open(&group) == 0);
	CHECK(noria_spawn(&group, client, NULL) == 0);
	fd = noria_accept(listener, NULL, NULL);
	CHECK(fd >= 0);
	messages(fd);
	CHECK(noria_group_close(&group, 0) == 0);
	CHECK((noria_close(fd) | noria_close(listener)) == 0);
}

static void files(void)
{
	struct open_how how = {.flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC, .resolve = RESOLVE_NO_SYMLINKS};
	struct iovec out[2] = {{"ab", 2}, {"cd", 2}}, again[2] = {{"ef", 2}, {"gh", 2}}, in[2], rest[1];
	char a[4], b[4];
	struct statx found;
	int fd = noria_openat(AT_FDCWD, "/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600), directory;

	CHECK(fd >= 0);
	CHECK(noria_write(fd, "01", 2) == 2 && noria_write_all(fd, "23", 2) == 2);
	CHECK(noria_writev(fd, out, 2) == 4 && noria_writev_all(fd, again, 2) == 4);
	CHECK(noria_pwrite(fd, "X", 1, 0) == 1 && noria_pread(fd, a, 4, 0) == 4);
	CHECK(memcmp(a, "X123", 4) == 0 && lseek(fd, 0, SEEK_SET) == 0);
	in[0] = (struct iovec){a, 2}, in[1] = (struct iovec){b, 1}, rest[0] = (struct iovec){b, 3};
	CHECK(noria_read(fd, a, 1) == 1 && noria_readv(fd, in, 2) == 3);
	CHECK(noria_readv_all(fd, rest, 1) == 3 && noria_read_all(fd, a, 4) == 4);
	CHECK(noria_statx(fd, "", AT_EMPTY_PATH, STATX_SIZE, &found) == 0 && found.stx_size == 12);
	directory = noria_openat2(AT_FDCWD, "/proc", &how, sizeof how);
	CHECK(directory >= 0);
	CHECK((noria_close(directory) | noria_close(fd)) == 0);
}

static void pipes(void)
{
	int fd = noria_openat(AT_FDCWD, "/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600), channel[2];
	off_t offset = 2;
	char buffer[8];

	CHECK(fd >= 0 && pipe2(channel, O_CLOEXEC) == 0);
	CHECK(noria_write(fd, "012345", 6) == 6);
	CHECK(noria_splice(fd, &offset, channel[1], NULL, 2, 0) == 2 && offset == 4);
	CHECK(noria_splice_all(fd, &offset, channel[1], NULL, 2, 0) == 2 && noria_progress() == 2);
	CHECK(noria_read(channel[0], buffer, sizeof buffer) == 4 && memcmp(buffer, "2345", 4) == 0);
	CHECK(noria_within(noria_msec(1), noria_read(channel[0], buffer, 1)) == -ETIMEDOUT);
	CHECK((noria_close(channel[0]) | noria_close(channel[1]) | noria_close(fd)) == 0);
}

static int work(void *arg)
{
	return *(int *)arg;
}

static int wait_for_ever(void *arg)
{
	(void)arg;
	return noria_sleep(NORIA_FOREVER);
}

static int root(void *arg)
{
	struct noria_group group;
	int n = 5;

	(void)arg;
	sockets();
	files();
	pipes();
	CHECK(noria_offload(work, &n) == 5);
	CHECK(noria_yield() == 0 && noria_check() == 0 && noria_sleep(1000) == 0);
	CHECK(noria_shielded(noria_msec(1), noria_sleep(NORIA_FOREVER)) == -ETIMEDOUT);
	CHECK(noria_group_open_until(&group, noria_now() + noria_msec(1)) == 0);
	CHECK(noria_spawn_copy(&group, wait_for_ever, &n, sizeof n) == 0);
	CHECK(noria_group_close(&group, 0) == -ETIMEDOUT);
	return 0;
}

int main(void)
{
	struct noria_config heap = {.timeouts = NORIA_TIMEOUTS_HEAP};
	int before = race_count_fds();

	race_watchdog(50);
	CHECK(race_run(NULL, root, NULL) == 0);
	CHECK(race_run(&heap, root, NULL) == 0);
	CHECK(race_count_fds() == before);
	puts("ok: every operation");
	return 0;
}
