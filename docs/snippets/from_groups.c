/* SPDX-License-Identifier: MIT */
/* Tasks, their results and their errors, for people who come from asyncio, trio or Go. */
#include <noria/noria.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* [fetch] */
struct page {
	const char *url;
	int64_t delay_ns; /* how long it takes */
	int error;        /* why it cannot be had */
	int status;
};

static int fetch(void *arg)
{
	struct page *page = arg;

	noria_try(noria_sleep(page->delay_ns));
	if (page->error)
		return noria_fail(page->error, "no connection to %s", page->url);
	page->status = 200;
	return page->status;
}
/* [end] */

/* [taskgroup] */
static int both(void)
{
	struct page a = {.url = "/a"}, b = {.url = "/b"};
	noria_autogroup struct noria_group group = {0};

	noria_try(noria_group_open(&group));
	noria_try(noria_spawn(&group, fetch, &a));
	noria_try(noria_spawn(&group, fetch, &b));
	noria_try(noria_group_close(&group, 0));
	printf("%d %d\n", a.status, b.status);
	return 0;
}
/* [end] */

/* [except] */
static void skip(const struct noria_failure *failure, void *arg)
{
	(void)arg;
	printf("skipped: %s\n", failure->text);
}

static int crawl(struct page *pages, int count)
{
	struct noria_group_options options = {.policy = NORIA_COLLECT};
	noria_autogroup struct noria_group group = {0};

	noria_try(noria_group_open_with(&group, &options));
	for (int i = 0; i < count; i++)
		noria_try(noria_spawn(&group, fetch, &pages[i]));
	return noria_failure_pick(noria_group_close(&group, 0), -ECONNREFUSED, skip, NULL);
}
/* [end] */

/* [gather] */
static int gather(struct page *pages, int count)
{
	struct noria_group_options options = {.policy = NORIA_COLLECT};
	noria_autogroup struct noria_group group = {0};
	struct noria_result one;

	noria_try(noria_group_open_with(&group, &options));
	for (int i = 0; i < count; i++)
		noria_try(noria_spawn(&group, fetch, &pages[i]));
	while (noria_try(noria_group_next(&group, &one)) > 0)
		((struct page *)one.arg)->status = one.result; /* also when it is an error */
	noria_try(noria_group_close(&group, 0));
	for (int i = 0; i < count; i++)
		printf("%s: %d\n", pages[i].url, pages[i].status);
	return 0;
}
/* [end] */

/* [race] */
static int fastest(struct page *mirrors, int count)
{
	struct noria_group_options options = {.policy = NORIA_RACE};
	noria_autogroup struct noria_group group = {0};
	int status;

	noria_try(noria_group_open_with(&group, &options));
	for (int i = 0; i < count; i++)
		noria_try(noria_spawn(&group, fetch, &mirrors[i]));
	status = noria_try(noria_group_close(&group, 0));
	printf("the fastest says %d\n", status);
	return 0;
}
/* [end] */

/* [completed] */
static int as_completed(struct page *pages, int count)
{
	struct noria_group_options options = {.policy = NORIA_COLLECT};
	noria_autogroup struct noria_group group = {0};
	struct noria_result one;

	noria_try(noria_group_open_with(&group, &options));
	for (int i = 0; i < count; i++)
		noria_try(noria_spawn(&group, fetch, &pages[i]));
	while (noria_try(noria_group_next(&group, &one)) > 0)
		if (one.result >= 0)
			printf("%s is here\n", ((struct page *)one.arg)->url);
		else
			printf("%s\n", one.failure->text);
	return noria_group_close(&group, 0);
}
/* [end] */

/* [forget] */
static int handle_requests(struct noria_group *background)
{
	static struct page mail = {.url = "mail", .error = -EHOSTUNREACH};

	noria_try(noria_spawn(background, fetch, &mail));
	return 0; /* and on to the next request */
}

static int server(void *arg)
{
	struct noria_group_options options = {.policy = NORIA_SUPERVISE};
	struct noria_group background;

	(void)arg;
	return noria_grouped_with(&background, &options, handle_requests(&background));
}

static void log_failure(const struct noria_failure *failure, const char *text, void *arg)
{
	(void)arg;
	printf("%s: %s\n", text, failure->text);
}

static int serve(void)
{
	struct noria_config config = {.on_failure = log_failure};

	return noria_run(&config, server, NULL);
}
/* [end] */

/* [start] */
static int listen_somewhere(void *arg)
{
	(void)arg;
	noria_try(noria_yield()); /* bind, listen: what may fail, and takes its time */
	noria_try(noria_ready(8080));
	return noria_sleep(NORIA_FOREVER); /* accept */
}

static int with_listener(void)
{
	noria_autogroup struct noria_group group = {0};
	int port;

	noria_try(noria_group_open(&group));
	port = noria_try(noria_start(&group, listen_somewhere, NULL));
	printf("listens on %d\n", port);
	noria_group_cancel(&group);
	return noria_group_close(&group, 0);
}
/* [end] */

/* [release] */
static int remove_socket(void *arg)
{
	printf("remove %s\n", (const char *)arg);
	return 0;
}

static int with_release(void)
{
	noria_autogroup struct noria_group group = {0};

	noria_try(noria_group_open(&group));
	noria_try(noria_group_release(&group, remove_socket, (void *)"first.sock"));
	noria_try(noria_group_release(&group, remove_socket, (void *)"second.sock"));
	return noria_group_close(&group, 0);
}
/* [end] */

static int root(void *arg)
{
	struct page pages[] = {
		{.url = "/slow", .delay_ns = noria_msec(60)},
		{.url = "/down", .delay_ns = noria_msec(30), .error = -ECONNREFUSED},
		{.url = "/quick"},
	};

	(void)arg;
	noria_try(both());
	noria_try(crawl(pages, 3));
	noria_try(gather(pages, 3));
	noria_try(fastest(pages, 3));
	noria_try(as_completed(pages, 3));
	noria_try(with_listener());
	return with_release();
}

int main(void)
{
	if (noria_run(NULL, root, NULL) < 0)
		return 1;
	return serve() < 0;
}
