/* SPDX-License-Identifier: MIT */
/* Time limits, shields, the end of a program, and threads, for people who come from asyncio, trio or Go. */
#include <noria/noria.h>

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

static int query(void)
{
	return noria_sleep(noria_sec(10));
}

static int send_bye(void)
{
	noria_try(noria_sleep(noria_msec(1)));
	printf("bye\n");
	return 0;
}

/* [within] */
static int wait_for(void)
{
	int result = noria_within(noria_msec(20), query());

	if (result == -ETIMEDOUT)
		printf("too late\n");
	return result == -ETIMEDOUT ? 0 : result;
}
/* [end] */

/* [scope] */
static int timeout(void)
{
	noria_autoscope struct noria_scope scope = {0};
	int result;

	noria_try(noria_scope_open(&scope, noria_now() + noria_msec(20), 0));
	result = query();
	if (result == 0)
		result = query();
	return (int)noria_scope_close(&scope, result);
}
/* [end] */

/* [move on] */
static int move_on_after(void)
{
	int result = timeout();

	return result == -ETIMEDOUT ? 0 : result;
}
/* [end] */

/* [until] */
static int timeout_at(int64_t deadline_ns)
{
	noria_try(noria_until(deadline_ns, query()));
	noria_try(noria_until(deadline_ns, query()));
	return 0;
}
/* [end] */

/* [shield] */
static int session(void *arg)
{
	int result = query();

	(void)arg;
	noria_shielded(noria_sec(1), send_bye());
	return result;
}
/* [end] */

/* [cancel] */
static int cancel_one(void)
{
	noria_autogroup struct noria_group group = {0};
	struct noria_child child = {0};
	struct noria_spawn_options options = {.child = &child};

	noria_try(noria_group_open(&group));
	noria_try(noria_spawn_with(&group, session, NULL, &options));
	noria_try(noria_yield());
	noria_child_cancel(&child);
	noria_try(noria_child_wait(&child, NULL));
	return noria_group_close(&group, 0);
}
/* [end] */

/* [thread] */
static int resolve(void *arg)
{
	usleep(1000); /* a call that blocks, or a long computation */
	*(int *)arg = 42;
	return 0;
}

static int to_thread(void)
{
	int answer;

	noria_try(noria_offload(resolve, &answer));
	printf("%d\n", answer);
	return 0;
}
/* [end] */

/* [shutdown] */
static int worker(void *arg)
{
	int result;

	(void)arg;
	while ((result = noria_idle(noria_sleep(noria_sec(60)))) == 0)
		noria_try(query()); /* a job, once begun, is finished */
	return result;
}

static int server(void *arg)
{
	noria_autogroup struct noria_group group = {0};

	(void)arg;
	noria_try(noria_group_open(&group));
	noria_try(noria_spawn(&group, worker, NULL));
	noria_try(noria_yield());
	kill(getpid(), SIGTERM); /* as an operator would */
	return noria_group_close(&group, 0);
}

static int serve(void)
{
	struct noria_config config = {.drain_timeout_ns = noria_sec(10)};
	int result = noria_run(&config, server, NULL);

	printf(result == 0 ? "in good order\n" : "by force\n");
	return result;
}
/* [end] */

static int root(void *arg)
{
	(void)arg;
	noria_try(wait_for());
	noria_try(move_on_after());
	if (timeout_at(noria_now() + noria_msec(20)) != -ETIMEDOUT)
		return -EPROTO;
	noria_try(cancel_one());
	return to_thread();
}

int main(void)
{
	if (noria_run(NULL, root, NULL) < 0)
		return 1;
	return serve() < 0;
}
