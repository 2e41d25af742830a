/* SPDX-License-Identifier: MIT */
/*
 * From the start of a server's process to the first answer of it: `bench_start COMMAND...`, 21 times; a line of
 * JSON with the median and the least. The command gets `--listen 127.0.0.1:0`, and prints its address when it listens.
 */
#include "bench.h"

#include <errno.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { TURNS = 21 };

static const char greeting[] = "listening on ";

static void read_address(int fd, char *text, size_t size)
{
	size_t got = 0;
	ssize_t n;

	while (got < size - 1 && !memchr(text, '\n', got)) {
		n = read(fd, text + got, size - 1 - got);
		if (n <= 0)
			bench_die("the server ended", ECHILD);
		got += (size_t)n;
	}
	text[got] = '\0';
	text[strcspn(text, "\n")] = '\0';
	if (strncmp(text, greeting, strlen(greeting)) != 0)
		bench_die(text, EPROTO);
}

static void ask(const char *text)
{
	const struct sockaddr_in address = bench_parse_address(text);
	const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	char answer;

	if (fd < 0 || connect(fd, (const struct sockaddr *)&address, sizeof address) < 0 || send(fd, "?", 1, 0) != 1 ||
	    recv(fd, &answer, 1, 0) != 1)
		bench_die("the first request", errno);
	close(fd);
}

static double start_once(char **argv)
{
	posix_spawn_file_actions_t actions;
	char line[128];
	uint64_t begin;
	double taken;
	int ends[2], r;
	pid_t pid;

	if (pipe(ends) < 0)
		bench_die("pipe", errno);
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
	posix_spawn_file_actions_addclose(&actions, ends[0]);
	begin = bench_now_ns();
	r = posix_spawn(&pid, argv[0], &actions, NULL, argv, environ);
	if (r)
		bench_die(argv[0], r);
	close(ends[1]);
	read_address(ends[0], line, sizeof line);
	ask(line + strlen(greeting));
	taken = (double)(bench_now_ns() - begin);
	kill(pid, SIGTERM);
	waitpid(pid, NULL, 0);
	close(ends[0]);
	posix_spawn_file_actions_destroy(&actions);
	return taken;
}

static int compare(const void *a, const void *b)
{
	const double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

int main(int argc, char **argv)
{
	char **command = calloc((size_t)argc + 2, sizeof *command);
	double taken[TURNS];

	if (argc < 2)
		bench_usage("the arguments are a server's command");
	if (!command)
		bench_die("memory", ENOMEM);
	memcpy(command, argv + 1, (size_t)(argc - 1) * sizeof *command);
	command[argc - 1] = "--listen";
	command[argc] = "127.0.0.1:0";
	for (int i = 0; i < TURNS; i++)
		taken[i] = start_once(command);
	free(command);
	qsort(taken, TURNS, sizeof *taken, compare);
	printf("{\"median_ms\": %.3f, \"least_ms\": %.3f}\n", taken[TURNS / 2] / 1e6, taken[0] / 1e6);
	return 0;
}
