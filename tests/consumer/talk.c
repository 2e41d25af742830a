/* SPDX-License-Identifier: MIT */
/*
 * A program as somebody outside the project would write it: a task asks over a socket, another answers.
 * Prints the library's version, which tests/consumer/run compares with that of noria.pc.
 */
#include <errno.h>
#include <noria/noria.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Sends back what comes, until the peer has no more to say. */
static int answer(void *arg)
{
	int fd = *(int *)arg;
	char buffer[64];

	for (;;) {
		ssize_t n = noria_recv(fd, buffer, sizeof buffer, 0);
		if (n <= 0)
			return (int)n;
		noria_try(noria_send_all(fd, buffer, (size_t)n, 0));
	}
}

static int ask(int fd)
{
	const char question[] = "what turns, and is turned by what it lifts?";
	char reply[sizeof question];
	size_t have = 0;

	ssize_t sent = noria_send(fd, question, sizeof question, 0);
	if (sent != (ssize_t)sizeof question)
		return sent < 0 ? (int)sent : -EPROTO;
	while (have < sizeof reply) {
		ssize_t n = noria_within(noria_sec(5), noria_recv(fd, reply + have, sizeof reply - have, 0));
		if (n <= 0)
			return n < 0 ? (int)n : -EPROTO;
		have += (size_t)n;
	}
	return memcmp(reply, question, sizeof reply) == 0 ? 0 : -EPROTO;
}

static int talk(void *arg)
{
	struct noria_group group;
	int fds[2];
	(void)arg;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0)
		return -errno;
	int result = noria_group_open(&group);
	if (result == 0) {
		result = noria_spawn(&group, answer, &fds[1]);
		if (result == 0)
			result = ask(fds[0]);
		shutdown(fds[0], SHUT_WR);
		result = noria_group_close(&group, result);
	}
	close(fds[0]);
	close(fds[1]);
	return result;
}

int main(void)
{
	int result = noria_run(NULL, talk, NULL);

	if (result == -ENOSYS || result == -EPERM) {
		printf("skip: kernel lacks io_uring: %s\n", noria_message());
		return 77;
	}
	if (result < 0) {
		fprintf(stderr, "talk: %s: %s\n", strerror(-result), noria_message());
		return 1;
	}
	puts(noria_version());
	return 0;
}
