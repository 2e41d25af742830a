/* SPDX-License-Identifier: MIT */
/*
 * A port checker: `ports < LIST` reads lines `ADDRESS PORT` and says of each whether somebody listens there.
 *
 * A pipeline of three parts, joined by channels: one task reads, WORKERS tasks check, one prints. The channels are short,
 * so a slow part holds the ones before it back, however long the list is. Each part ends when the channel before it does:
 * the reader closes `jobs`; when the group of the workers is closed none of them is left, and `results` is closed.
 */
#include <noria/noria.h>

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { WORKERS = 32, BUFFERED = 8 };

struct job {
	char address[INET_ADDRSTRLEN];
	int port;
	int result;
};

struct pipeline {
	struct noria_channel jobs, results;
	struct job job_buffer[BUFFERED], result_buffer[BUFFERED];
};

static int dial(const struct job *job)
{
	struct sockaddr_in peer = {.sin_family = AF_INET, .sin_port = htons((uint16_t)job->port)};
	noria_autoclose int fd = -1;

	if (inet_pton(AF_INET, job->address, &peer.sin_addr) != 1)
		return -EINVAL;
	fd = noria_try(noria_socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
	return noria_connect(fd, (struct sockaddr *)&peer, sizeof peer);
}

/* What becomes of a port is a result, and no failure; to be cancelled is neither, and ends the worker. */
static int work(void *arg)
{
	struct pipeline *pipeline = arg;
	struct job job;

	while (noria_try(noria_channel_recv(&pipeline->jobs, &job)) > 0) {
		job.result = noria_within(noria_sec(3), dial(&job));
		noria_try(noria_channel_send(&pipeline->results, &job));
	}
	return 0;
}

static int print(void *arg)
{
	struct pipeline *pipeline = arg;
	struct job job;

	while (noria_try(noria_channel_recv(&pipeline->results, &job)) > 0)
		printf("%s %d %s\n", job.address, job.port, job.result < 0 ? strerror(-job.result) : "open");
	return 0;
}

static int start_workers(struct noria_group *workers, struct pipeline *pipeline)
{
	for (int i = 0; i < WORKERS; i++)
		noria_try(noria_spawn(workers, work, pipeline));
	return 0;
}

static int check(void *arg)
{
	struct pipeline *pipeline = arg;
	struct noria_group workers;
	int result = noria_grouped(&workers, start_workers(&workers, pipeline));

	noria_channel_close(&pipeline->results);
	return result;
}

/* The next line, without its newline. Reading from a pipe or a terminal blocks: it is done on a thread. */
static int read_line(void *arg)
{
	return fgets(arg, 128, stdin) ? 1 : 0;
}

static int read_jobs(struct noria_group *parts, struct pipeline *pipeline)
{
	struct job job;
	char line[128];

	noria_try(noria_spawn(parts, check, pipeline));
	noria_try(noria_spawn(parts, print, pipeline));
	while (noria_try(noria_offload(read_line, line)) > 0)
		if (sscanf(line, "%15s %d", job.address, &job.port) == 2)
			noria_try(noria_channel_send(&pipeline->jobs, &job));
	noria_channel_close(&pipeline->jobs);
	return 0;
}

static int run(void *arg)
{
	struct pipeline *pipeline = arg;
	struct noria_group parts;

	noria_try(noria_channel_init(&pipeline->jobs, sizeof(struct job), pipeline->job_buffer, BUFFERED));
	noria_try(noria_channel_init(&pipeline->results, sizeof(struct job), pipeline->result_buffer, BUFFERED));
	return noria_grouped(&parts, read_jobs(&parts, pipeline));
}

int main(void)
{
	struct pipeline pipeline;

	return noria_run(NULL, run, &pipeline) < 0;
}
