/* SPDX-License-Identifier: MIT */
/*
 * In a cancelled scope an operation answers at the door. Seen from outside: what was there to be taken is still there,
 * and nothing has been made. Seen from inside: no entry was reserved in the submission queue.
 */
#include "group_tasks.h"

#include "ring/ring.h"
#include "task/loop.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/stat.h>

/* A scope that is cancelled, and what the queue looked like when it was opened. */
struct dead {
	struct noria_scope scope;
	unsigned tail;
};

static void enter_dead(struct dead *dead)
{
	MUST(noria_scope_open(&dead->scope, NORIA_FOREVER, 0) == 0);
	noria_scope_cancel(&dead->scope);
	dead->tail = noria_loop->ring->sq_tail;
}

static void leave_dead(struct dead *dead)
{
	EXPECT(noria_loop->ring->sq_tail == dead->tail);
	EXPECT(noria_loop->in_flight == 0);
	EXPECT(noria_scope_close(&dead->scope, 0) == 0);
}

/* S19: bytes that are there stay there, for every way of receiving. */
RULE(S19, receiving_takes_nothing)
{
	struct dead dead;
	int fd[2];
	char byte[4] = {0};
	struct iovec vector = {byte, sizeof byte};
	struct msghdr message = {.msg_iov = &vector, .msg_iovlen = 1};

	socket_pair(fd);
	EXPECT(send(fd[1], "data", 4, 0) == 4);
	enter_dead(&dead);
	EXPECT(noria_recv(fd[0], byte, sizeof byte, 0) == -ECANCELED);
	EXPECT(noria_recv(fd[0], byte, sizeof byte, MSG_DONTWAIT) == -ECANCELED);
	EXPECT(noria_recvmsg(fd[0], &message, 0) == -ECANCELED);
	EXPECT(noria_read(fd[0], byte, sizeof byte) == -ECANCELED);
	EXPECT(noria_readv(fd[0], &vector, 1) == -ECANCELED);
	EXPECT(noria_recv_all(fd[0], byte, sizeof byte, 0) == -ECANCELED && noria_progress() == 0);
	EXPECT(noria_read_all(fd[0], byte, sizeof byte) == -ECANCELED && noria_progress() == 0);
	EXPECT(noria_poll(fd[0], POLLIN) == -ECANCELED);
	EXPECT(byte[0] == 0);
	leave_dead(&dead);
	EXPECT(noria_recv(fd[0], byte, sizeof byte, MSG_DONTWAIT) == 4 && memcmp(byte, "data", 4) == 0);
	close_pair(fd);
	return 0;
}

/* S19: a receive stream hands out nothing, and has it all afterwards. */
RULE(S19, a_receive_stream_keeps_its_bytes)
{
	struct dead dead;
	struct noria_recv_stream stream;
	const void *data = NULL;
	int fd[2];

	socket_pair(fd);
	EXPECT(send(fd[1], "data", 4, 0) == 4);
	MUST(noria_recv_stream_open(&stream, fd[0]) == 0);
	enter_dead(&dead);
	EXPECT(noria_recv_stream_next(&stream, &data) == -ECANCELED);
	EXPECT(data == NULL);
	leave_dead(&dead);
	EXPECT(noria_recv_stream_next(&stream, &data) == 4 && memcmp(data, "data", 4) == 0);
	noria_recv_stream_close(&stream);
	close_pair(fd);
	return 0;
}

/* S19: nothing is sent, in any way, not even the part that the first attempt would make. */
RULE(S19, sending_sends_nothing)
{
	struct dead dead;
	int fd[2];
	char byte[4] = "data";
	struct iovec vector = {byte, sizeof byte};
	struct msghdr message = {.msg_iov = &vector, .msg_iovlen = 1};

	socket_pair(fd);
	enter_dead(&dead);
	EXPECT(noria_send(fd[0], byte, sizeof byte, 0) == -ECANCELED);
	EXPECT(noria_send(fd[0], byte, sizeof byte, MSG_DONTWAIT) == -ECANCELED);
	EXPECT(noria_sendmsg(fd[0], &message, 0) == -ECANCELED);
	EXPECT(noria_write(fd[0], byte, sizeof byte) == -ECANCELED);
	EXPECT(noria_writev(fd[0], &vector, 1) == -ECANCELED);
	EXPECT(noria_send_all(fd[0], byte, sizeof byte, 0) == -ECANCELED && noria_progress() == 0);
	EXPECT(noria_write_all(fd[0], byte, sizeof byte) == -ECANCELED && noria_progress() == 0);
	leave_dead(&dead);
	let_the_kernel_see();
	EXPECT(recv(fd[1], byte, sizeof byte, MSG_DONTWAIT) == -1 && errno == EAGAIN);
	close_pair(fd);
	return 0;
}

static int listener(struct sockaddr_in *address)
{
	socklen_t length = sizeof *address;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	*address = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	MUST(fd >= 0);
	MUST(bind(fd, (struct sockaddr *)address, sizeof *address) == 0 && listen(fd, 4) == 0);
	MUST(getsockname(fd, (struct sockaddr *)address, &length) == 0);
	return fd;
}

/* S19: a connection that waits is not accepted, and comes with the next accept outside. */
RULE(S19, accepting_takes_no_connection)
{
	struct dead dead;
	struct sockaddr_in address;
	int server = listener(&address), client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), fd;

	MUST(rule_connect(client, &address));
	enter_dead(&dead);
	EXPECT(noria_accept(server, NULL, NULL) == -ECANCELED);
	EXPECT(noria_accept4(server, NULL, NULL, SOCK_CLOEXEC) == -ECANCELED);
	leave_dead(&dead);
	fd = noria_accept(server, NULL, NULL);
	EXPECT(fd >= 0);
	EXPECT(close(fd) == 0 && close(client) == 0 && close(server) == 0);
	return 0;
}

/* S19: no connection is begun, no socket is made, no name is bound. */
RULE(S19, connecting_and_making_sockets_does_nothing)
{
	struct dead dead;
	struct sockaddr_in address, own = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int server = listener(&address), client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	socklen_t length = sizeof own;
	struct pollfd waiting = {.fd = server, .events = POLLIN};
	int fds = rule_count_fds();

	enter_dead(&dead);
	EXPECT(noria_connect(client, (struct sockaddr *)&address, sizeof address) == -ECANCELED);
	EXPECT(noria_bind(client, (struct sockaddr *)&own, sizeof own) == -ECANCELED);
	EXPECT(noria_listen(client, 1) == -ECANCELED);
	EXPECT(noria_socket(AF_INET, SOCK_STREAM, 0) == -ECANCELED);
	leave_dead(&dead);
	let_the_kernel_see();
	EXPECT(rule_count_fds() == fds);
	EXPECT(poll(&waiting, 1, 0) == 0);
	EXPECT(getsockname(client, (struct sockaddr *)&own, &length) == 0 && own.sin_port == 0);
	EXPECT(close(client) == 0 && close(server) == 0);
	return 0;
}

/* S19: files are not opened, made, read, written or asked about. */
RULE(S19, files_are_left_alone)
{
	struct dead dead;
	struct statx info = {0};
	char byte[4] = {0};
	int file = memfd_create("rule", MFD_CLOEXEC), fds = rule_count_fds();
	off_t offset = 0;
	int pipes[2];

	MUST(file >= 0 && pwrite(file, "old", 3, 0) == 3 && pipe2(pipes, O_CLOEXEC) == 0);
	enter_dead(&dead);
	EXPECT(noria_openat(AT_FDCWD, "/dev/null", O_RDONLY | O_CLOEXEC, 0) == -ECANCELED);
	EXPECT(noria_statx(file, "", AT_EMPTY_PATH, STATX_SIZE, &info) == -ECANCELED);
	EXPECT(noria_pread(file, byte, 3, 0) == -ECANCELED);
	EXPECT(noria_pwrite(file, "new", 3, 0) == -ECANCELED);
	EXPECT(noria_splice(file, &offset, pipes[1], NULL, 3, 0) == -ECANCELED && offset == 0);
	EXPECT(noria_splice_all(file, &offset, pipes[1], NULL, 3, 0) == -ECANCELED && offset == 0);
	leave_dead(&dead);
	let_the_kernel_see();
	EXPECT(rule_count_fds() == fds + 2 && info.stx_size == 0 && byte[0] == 0);
	EXPECT(pread(file, byte, 3, 0) == 3 && memcmp(byte, "old", 3) == 0);
	EXPECT(fcntl(pipes[0], F_SETFL, O_NONBLOCK) == 0 && read(pipes[0], byte, 1) == -1 && errno == EAGAIN);
	close_pair(pipes);
	EXPECT(close(file) == 0);
	return 0;
}

static atomic_int calls;

static int count_call(__attribute__((unused)) void *arg)
{
	atomic_fetch_add(&calls, 1);
	return 0;
}

/* S19: an offloaded call never starts. */
RULE(S19, an_offloaded_call_never_starts)
{
	struct dead dead;

	atomic_store(&calls, 0);
	enter_dead(&dead);
	EXPECT(noria_offload(count_call, NULL) == -ECANCELED);
	leave_dead(&dead);
	EXPECT(noria_offload(count_call, NULL) == 0); /* behind it in the queue, had it been there */
	EXPECT(atomic_load(&calls) == 1);
	return 0;
}
