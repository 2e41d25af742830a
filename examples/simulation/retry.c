/* SPDX-License-Identifier: MIT */
/*
 * A client that asks a flaky server until it has an answer: each attempt has a time limit, and the pauses double. The
 * server's host crashes in the middle of the test, its connections are reset, and a run says how long the client took.
 * An hour of retries takes no time in a world; on the kernel's ring (--kernel) the same program takes what it takes.
 *
 *     retry [--kernel] [--seeds N]
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <noria/noria.h>
#include <noria/test.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PORT = 7410, QUESTIONS = 10, ATTEMPTS = 12 };

static struct noria_sim_host *server;

static struct sockaddr_in server_address(void)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(PORT)};

	inet_pton(AF_INET, noria_sim_address(server), &address.sin_addr);
	return address;
}

static int answer(void *arg)
{
	int fd = *(int *)arg;
	char question[8];
	ssize_t n;

	n = noria_recv_all(fd, question, sizeof question, 0);
	if (n == sizeof question)
		n = noria_send_all(fd, question, sizeof question, 0);
	noria_close(fd);
	return n == -ECANCELED ? -ECANCELED : 0; /* a client that went away asks again */
}

static int accept_clients(int listener)
{
	struct noria_group group;
	int r;

	noria_try(noria_group_open(&group));
	do {
		int fd = r = noria_idle(noria_accept(listener, NULL, NULL));

		if (r == -ECONNABORTED)
			r = 0;
		else if (r >= 0)
			r = noria_spawn_copy(&group, answer, &fd, sizeof fd);
		if (r < 0 && fd >= 0)
			noria_close(fd);
	} while (r >= 0);
	return noria_group_close(&group, r);
}

static int serve(void *arg)
{
	struct sockaddr_in address = server_address();
	int fd = noria_socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1, r;

	(void)arg;
	noria_try(fd);
	r = noria_setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
	if (r >= 0)
		r = noria_bind(fd, (struct sockaddr *)&address, sizeof address);
	if (r >= 0)
		r = noria_listen(fd, 16);
	if (r >= 0)
		r = accept_clients(fd);
	noria_close(fd);
	return r;
}

static int exchange(int fd, int number)
{
	struct sockaddr_in address = server_address();
	char question[8], reply[8];
	ssize_t n;

	snprintf(question, sizeof question, "q%d", number);
	noria_try(noria_connect(fd, (struct sockaddr *)&address, sizeof address));
	noria_try(noria_send_all(fd, question, sizeof question, 0));
	n = noria_recv_all(fd, reply, sizeof reply, 0);
	if (n != sizeof reply)
		return n < 0 ? (int)n : -ECONNRESET;
	return memcmp(question, reply, sizeof reply) == 0 ? 0 : -EPROTO;
}

static int ask_once(int number)
{
	int fd = noria_socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), r;

	noria_try(fd);
	r = noria_within(noria_sec(1), exchange(fd, number));
	noria_close(fd);
	return r;
}

static int ask(int number)
{
	int64_t pause = noria_msec(20);
	int r = 0;

	for (int attempt = 0; attempt < ATTEMPTS; attempt++) {
		r = ask_once(number);
		if (r >= 0 || r == -ECANCELED || r == -EPROTO)
			return r;
		noria_try(noria_sleep(pause));
		pause *= 2;
	}
	return r;
}

static int be_client(void *arg)
{
	(void)arg;
	for (int i = 0; i < QUESTIONS; i++) {
		noria_try(ask(i));
		noria_try(noria_sleep(noria_msec(20)));
	}
	return 0;
}

static int break_server(void *arg)
{
	(void)arg;
	noria_try(noria_sleep(noria_msec(60)));
	noria_try(noria_sim_crash(server));
	noria_try(noria_sleep(noria_msec(200)));
	return noria_sim_restart(server);
}

static int work(struct noria_group *group)
{
	noria_try(noria_spawn(group, be_client, NULL));
	return noria_spawn(group, break_server, NULL);
}

static int test(void *arg)
{
	struct noria_group group;
	int64_t began;

	(void)arg;
	server = noria_sim_host_named("server", NULL);
	noria_try(noria_sim_start(server, serve, NULL));
	noria_try(noria_sleep(noria_msec(10)));
	began = noria_now();
	noria_try(noria_grouped(&group, work(&group)));
	noria_sim_note("answered after %lld ms", (long long)((noria_now() - began) / 1000000));
	return 0;
}

int main(int argc, char **argv)
{
	struct noria_sim_sweep sweep = {.options = {.faults = "reset%2,loss%2,refuse%5"}};
	unsigned seeds = 0;
	int r;

	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--kernel") == 0)
			sweep.options.world = NORIA_SIM_KERNEL;
		else if (strcmp(argv[i], "--seeds") == 0 && i + 1 < argc)
			seeds = (unsigned)atoi(argv[++i]);
	}
	r = seeds ? noria_sim_sweep_seeds(&sweep, seeds, test, NULL) : noria_sim_run(&sweep.options, test, NULL);
	printf("%s\n", r >= 0 ? "answered" : strerror(-r));
	return r < 0;
}
