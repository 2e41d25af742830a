/* SPDX-License-Identifier: MIT */
/* Channels, locks, select and promises, for people who come from asyncio, trio or Go. */
#include <noria/noria.h>

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <unistd.h>

static int put_on_disk(int job)
{
	noria_try(noria_yield());
	return job;
}

/* [channel] */
static int work(void *arg)
{
	struct noria_channel *jobs = arg;
	int job;

	while (noria_try(noria_channel_recv(jobs, &job)) > 0)
		printf("job %d\n", job);
	return 0; /* the channel is closed and empty */
}

static int pipeline(void)
{
	struct noria_channel jobs;
	int buffer[2];
	noria_autogroup struct noria_group group = {0};

	noria_try(noria_channel_init(&jobs, sizeof(int), buffer, 2));
	noria_try(noria_group_open(&group));
	noria_try(noria_spawn(&group, work, &jobs));
	for (int job = 1; job <= 4; job++)
		noria_try(noria_channel_send(&jobs, &job));
	noria_channel_close(&jobs);
	return noria_group_close(&group, 0);
}
/* [end] */

/* [mutex] */
static struct noria_mutex mutex;

static int save(int job)
{
	return noria_locked(&mutex, put_on_disk(job));
}
/* [end] */

/* [semaphore] */
static struct noria_semaphore connections = NORIA_SEMAPHORE(10);

static int use_connection(int job)
{
	return noria_acquired(&connections, put_on_disk(job));
}
/* [end] */

/* [event] */
static int wait_until_ready(struct noria_event *ready)
{
	noria_try(noria_within(noria_sec(1), noria_event_wait(ready)));
	printf("ready\n");
	return 0;
}
/* [end] */

/* [select] */
static int next(struct noria_channel *jobs, int control, int64_t deadline_ns)
{
	int job;
	struct noria_case cases[] = {
		noria_case_recv(jobs, &job),
		noria_case_fd(control, POLLIN),
		noria_case_until(deadline_ns),
	};

	switch (noria_try(noria_select(cases, 3))) {
	case 0:
		if (cases[0].result == 0)
			return printf("no more jobs\n");
		return printf("job %d\n", job);
	case 1:
		return printf("somebody knocks\n");
	default:
		return printf("too late\n");
	}
}
/* [end] */

/* [future] */
static void *other_thread(void *arg)
{
	if (noria_promise_complete(arg, 42) < 0) /* from any thread */
		fprintf(stderr, "somebody was faster\n");
	return NULL;
}

static int wait_for_callback(void)
{
	struct noria_promise promise;
	pthread_t thread;
	int64_t value;

	noria_try(noria_promise_init(&promise));
	if (pthread_create(&thread, NULL, other_thread, &promise) != 0)
		return -EAGAIN;
	noria_try(noria_promise_wait(&promise, &value));
	pthread_join(thread, NULL);
	printf("the other thread says %d\n", (int)value);
	return 0;
}
/* [end] */

static int select_each(void)
{
	struct noria_channel jobs;
	int fds[2], buffer[1], job = 7;
	int64_t soon_ns = noria_now() + noria_msec(20);

	noria_try(noria_channel_init(&jobs, sizeof(int), buffer, 1));
	if (pipe(fds) < 0)
		return -errno;
	noria_try(noria_channel_send(&jobs, &job));
	noria_try(next(&jobs, fds[0], NORIA_FOREVER));
	noria_try(next(&jobs, fds[0], soon_ns));
	noria_try(noria_write_all(fds[1], "x", 1));
	noria_try(next(&jobs, fds[0], NORIA_FOREVER));
	close(fds[0]);
	close(fds[1]);
	noria_channel_close(&jobs);
	return 0;
}

static int root(void *arg)
{
	struct noria_event ready = {0};

	(void)arg;
	noria_try(pipeline());
	if (noria_try(save(3)) != 3 || noria_try(use_connection(4)) != 4)
		return -EPROTO;
	noria_event_set(&ready);
	noria_try(wait_until_ready(&ready));
	noria_try(select_each());
	return wait_for_callback();
}

int main(void)
{
	return noria_run(NULL, root, NULL) < 0;
}
