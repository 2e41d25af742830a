/* SPDX-License-Identifier: MIT */
/* The README's blocking server: a thread for each connection. Here it serves one end of a pair of sockets. */
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* [serve] */
static void *serve(void *arg)
{
	int fd = *(int *)arg;
	char buffer[4096];
	ssize_t n;

	while ((n = recv(fd, buffer, sizeof buffer, 0)) > 0)
		if (send(fd, buffer, (size_t)n, 0) < 0)
			break;
	close(fd);
	return NULL;
}
/* [end] */

int main(void)
{
	char answer[6] = "";
	pthread_t thread;
	int fds[2];

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, fds) || pthread_create(&thread, NULL, serve, &fds[1]))
		return 1;
	if (send(fds[0], "hello", 5, 0) != 5 || recv(fds[0], answer, 5, MSG_WAITALL) != 5)
		return 1;
	close(fds[0]);
	pthread_join(thread, NULL);
	return strcmp(answer, "hello") != 0;
}
