/* SPDX-License-Identifier: MIT */
/* The frame around each test of an adapter: a runtime of its own, and a count of descriptors before and after. */
#include "frame.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <netinet/in.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__)
/* Criterion's own process sometimes ends without freeing a test's report. */
__attribute__((visibility("default"))) const char *__lsan_default_suppressions(void);

const char *__lsan_default_suppressions(void)
{
	return "leak:libcriterion";
}
#endif

const char *frame_text(void)
{
	const struct noria_failure *failure = noria_last_failure();

	return failure && *failure->text ? failure->text : noria_message();
}

int frame_count_fds(void)
{
	DIR *directory = opendir("/proc/self/fd");
	int count = -3; /* `.`, `..` and the directory itself */

	if (!directory)
		return -1;
	while (readdir(directory))
		count++;
	closedir(directory);
	return count;
}

/* A call that was abandoned, as a resolver's is, goes on for a while and closes what it opened. */
static void wait_for_fds(int count)
{
	for (int i = 0; i < 10000 && frame_count_fds() != count; i++)
		usleep(1000);
}

void frame_run(noria_task_fn *body)
{
	enum noria_timeouts ways[] = {NORIA_TIMEOUTS_LINKED, NORIA_TIMEOUTS_HEAP};

	for (int i = 0; i < 2; i++) {
		struct noria_config config = {.timeouts = ways[i]};
		int before = frame_count_fds(), r = noria_run(&config, body, NULL);

		cr_expect(r == 0, "noria_run: %s: %s", strerror(-r), noria_message());
		wait_for_fds(before);
		cr_expect_eq(frame_count_fds(), before, "descriptors: %d before, %d after", before, frame_count_fds());
	}
}

static int tick(void *arg)
{
	struct frame_ticker *ticker = arg;

	for (ticker->last = noria_now(); noria_sleep(noria_msec(1)) == 0; ticker->ticks++) {
		int64_t now = noria_now();

		if (now - ticker->last > ticker->longest_ns)
			ticker->longest_ns = now - ticker->last;
		ticker->last = now;
	}
	return 0;
}

void frame_tick(struct noria_group *group, struct frame_ticker *ticker)
{
	*ticker = (struct frame_ticker){0};
	MUST(noria_spawn_with(group, tick, ticker, &(struct noria_spawn_options){.service = true}) == 0);
}

int frame_listen(int *ret_port)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t length = sizeof address;
	int fd = noria_socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	MUST(fd >= 0 && noria_bind(fd, (struct sockaddr *)&address, length) == 0 && noria_listen(fd, 128) == 0);
	MUST(getsockname(fd, (struct sockaddr *)&address, &length) == 0);
	*ret_port = ntohs(address.sin_port);
	return fd;
}

const char *frame_place(const char *name)
{
	const char *place = getenv(name);

	if (!place) {
		fprintf(stderr, "%s is not set: run this by tests/adapters/servers\n", name);
		abort();
	}
	return place;
}
