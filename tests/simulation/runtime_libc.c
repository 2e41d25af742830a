/* SPDX-License-Identifier: MIT */
/* The C library's calls in a world: its descriptors, disk, names, clocks and chance; and everything else as ever. */
#include "runtime.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define IN_WORLD(name) \
	static int name(void *arg); \
	Test(runtime_libc, name) \
	{ \
		struct outcome outcome = run_in_world(1, "", TESTING_ORDER_RANDOM, name, NULL); \
\
		cr_expect_eq(outcome.result, 0, "%s", noria_message()); \
		cr_expect_eq(outcome.fds, 0); \
	} \
	static int name(__attribute__((unused)) void *arg)

IN_WORLD(a_file_is_on_the_disk_of_its_host)
{
	char text[16] = "";
	struct stat status;
	int fd;

	MUST(mkdir("/var/data", 0755) == 0);
	fd = open("/var/data/file", O_RDWR | O_CREAT | O_EXCL, 0644);
	MUST(fd >= SIM_FD);
	MUST(write(fd, "hello", 5) == 5);
	MUST(lseek(fd, 1, SEEK_SET) == 1);
	MUST(read(fd, text, sizeof text) == 4 && strcmp(text, "ello") == 0);
	MUST(pwrite(fd, "J", 1, 0) == 1 && pread(fd, text, 1, 0) == 1 && text[0] == 'J');
	MUST(fstat(fd, &status) == 0 && status.st_size == 5 && S_ISREG(status.st_mode));
	MUST(ftruncate(fd, 2) == 0 && fsync(fd) == 0);
	MUST(fcntl(fd, F_GETFL) & O_RDWR);
	MUST(close(fd) == 0);
	MUST(close(fd) == -1 && errno == EBADF);
	MUST(stat("/var/data/file", &status) == 0 && status.st_size == 2);
	MUST(rename("/var/data/file", "/var/data/other") == 0);
	MUST(access("/var/data/file", F_OK) == -1 && errno == ENOENT);
	MUST(unlink("/var/data/other") == 0 && rmdir("/var/data") == 0);
	return 0;
}

IN_WORLD(noria_reads_what_was_written_by_hand)
{
	void *data = NULL;
	size_t size = 0;
	int fd = open("/tmp/text", O_WRONLY | O_CREAT, 0600);

	MUST(fd >= 0 && write(fd, "by hand", 7) == 7 && close(fd) == 0);
	MUST(noria_read_file(AT_FDCWD, "/tmp/text", 100, &data, &size) == 0);
	MUST(size == 7 && memcmp(data, "by hand", 7) == 0);
	free(data);
	return 0;
}

IN_WORLD(a_call_that_would_wait_is_refused_to_a_task)
{
	int fds[2];
	char byte;

	MUST(pipe(fds) == 0 && fds[0] >= SIM_FD);
	MUST(read(fds[0], &byte, 1) == -1 && errno == EAGAIN);
	MUST(strstr(noria_message(), "would have to wait"));
	MUST(write(fds[1], "x", 1) == 1);
	MUST(poll(&(struct pollfd){.fd = fds[0], .events = POLLIN}, 1, 0) == 1);
	MUST(read(fds[0], &byte, 1) == 1 && byte == 'x');
	MUST(close(fds[0]) == 0 && close(fds[1]) == 0);
	return 0;
}

static int read_by_hand(void *arg)
{
	char byte = 0;
	ssize_t n = read(*(int *)arg, &byte, 1);

	return n == 1 ? byte : -errno;
}

static int write_later(void *arg)
{
	MUST(noria_sleep(noria_msec(5)) == 0);
	return noria_write(*(int *)arg, "y", 1) == 1 ? 0 : -EIO;
}

IN_WORLD(an_offloaded_call_waits)
{
	struct noria_group group = {0};
	int fds[2];

	MUST(pipe(fds) == 0);
	MUST(noria_group_open(&group) == 0);
	MUST(noria_spawn(&group, write_later, &fds[1]) == 0);
	MUST(noria_offload(read_by_hand, &fds[0]) == 'y');
	MUST(noria_group_close(&group, 0) == 0);
	MUST(close(fds[0]) == 0 && close(fds[1]) == 0);
	return 0;
}

IN_WORLD(sockets_are_asked_by_hand)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)}, own;
	socklen_t length = sizeof own;
	int listener = socket(AF_INET, SOCK_STREAM, 0), client, server, type = 0;

	MUST(listener >= SIM_FD && bind(listener, (void *)&address, sizeof address) == 0 && listen(listener, 5) == 0);
	MUST(getsockname(listener, (void *)&own, &length) == 0 && own.sin_port != 0);
	client = socket(AF_INET, SOCK_STREAM, 0);
	MUST(noria_connect(client, (void *)&own, sizeof own) == 0);
	server = noria_accept(listener, NULL, NULL);
	MUST(server >= 0);
	length = sizeof type;
	MUST(getsockopt(server, SOL_SOCKET, SO_TYPE, &type, &length) == 0 && type == SOCK_STREAM);
	MUST(send(client, "ping", 4, 0) == 4);
	MUST(noria_sleep(noria_sec(1)) == 0);
	MUST(ioctl(server, FIONREAD, &type) == 0 && type == 4);
	MUST(close(listener) == 0 && close(client) == 0 && close(server) == 0);
	return 0;
}

IN_WORLD(clocks_and_chance_are_the_worlds)
{
	struct timespec wall, monotonic;
	uint64_t number = 0;

	MUST(clock_gettime(CLOCK_REALTIME, &wall) == 0 && clock_gettime(CLOCK_MONOTONIC, &monotonic) == 0);
	MUST(wall.tv_sec == SIM_REALTIME_NS / 1000000000 && time(NULL) == wall.tv_sec);
	MUST(monotonic.tv_sec == SIM_EPOCH_NS / 1000000000);
	MUST(getrandom(&number, sizeof number, 0) == sizeof number && number != 0);
	return 0;
}

IN_WORLD(names_are_those_of_hosts)
{
	const struct addrinfo hints = {.ai_family = AF_INET, .ai_socktype = SOCK_STREAM};
	struct addrinfo *list = NULL;

	MUST(getaddrinfo("localhost", "80", &hints, &list) == 0 && list && !list->ai_next);
	MUST(((struct sockaddr_in *)list->ai_addr)->sin_port == htons(80));
	freeaddrinfo(list);
	MUST(getaddrinfo("nobody.example", "80", &hints, &list) == EAI_NONAME);
	MUST(getaddrinfo("10.1.2.3", "http", &hints, &list) == 0);
	freeaddrinfo(list);
	return 0;
}

/* Where there is no world everything is as ever. */
Test(runtime_libc, outside_it_is_the_kernels)
{
	struct timespec time = {0};
	int fds[2];
	char byte;

	cr_assert_eq(pipe2(fds, O_CLOEXEC | O_NONBLOCK), 0);
	cr_expect_lt(fds[0], SIM_FD);
	cr_expect_eq(read(fds[0], &byte, 1), -1);
	cr_expect_eq(errno, EAGAIN);
	cr_expect_eq(writev(fds[1], &(struct iovec){.iov_base = "z", .iov_len = 1}, 1), 1);
	cr_expect_eq(read(fds[0], &byte, 1), 1);
	cr_expect_eq(fcntl(fds[0], F_GETFL) & O_NONBLOCK, O_NONBLOCK);
	cr_expect_eq(close(fds[0]) + close(fds[1]), 0);
	cr_expect_eq(close(SIM_FD), -1);
	cr_expect_eq(open("/nowhere/at/all", O_RDONLY), -1);
	cr_expect_eq(errno, ENOENT);
	cr_expect_eq(clock_gettime(CLOCK_REALTIME, &time), 0);
	cr_expect_neq(time.tv_sec, SIM_REALTIME_NS / 1000000000);
}
