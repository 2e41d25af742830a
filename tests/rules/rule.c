/* SPDX-License-Identifier: MIT */
/* The frame around each rule test: a runtime of its own, and a count of descriptors before and after. */
#include "rule.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

/* Where the descriptors of a simulated world begin, and how many of them are looked at. */
enum { WORLD_FD = 1 << 20, WORLD_FDS = 1024 };

struct heard rule_heard;
enum noria_timeouts rule_timeouts;

/* The library's own: a debug build refuses waits behind shields without a deadline, which many tests need. */
extern bool noria_checks;

static void hear(const struct noria_failure *failure, const char *text, void *arg)
{
	struct heard *heard = arg;

	heard->count++;
	heard->last = *failure;
	snprintf(heard->text, sizeof heard->text, "%s", text);
}

int rule_count_fds(void)
{
	DIR *directory = opendir("/proc/self/fd");
	int count = -1; /* the directory itself */

	if (!directory)
		return -1;
	while (readdir(directory))
		count++;
	closedir(directory);
	for (int i = 0; i < WORLD_FDS; i++)
		count += fcntl(WORLD_FD + i, F_GETFD) >= 0;
	return count;
}

bool rule_connect(int fd, const struct sockaddr_in *address)
{
	struct pollfd end = {.fd = fd, .events = POLLOUT};
	int flags = fcntl(fd, F_GETFL);
	bool begun;

	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
		return false;
	begun = connect(fd, (const struct sockaddr *)address, sizeof *address) == 0 || errno == EINPROGRESS;
	for (int i = 0; i < 10000 && begun && poll(&end, 1, 0) == 0; i++)
		usleep(100); /* which lets time pass in a simulated world, too */
	return fcntl(fd, F_SETFL, flags) == 0 && begun && end.revents == POLLOUT;
}

int rule_run(noria_task_fn *body, void *arg, const struct noria_config *config, enum noria_timeouts timeouts)
{
	struct noria_config filled = {0};
	int before, r;

	if (config)
		filled = *config;
	filled.timeouts = rule_timeouts = timeouts;
	noria_checks = false;
	if (!filled.on_failure) {
		filled.on_failure = hear;
		filled.on_failure_arg = &rule_heard;
	}
	before = rule_count_fds();
	r = noria_run(&filled, body, arg);
	cr_expect_eq(rule_count_fds(), before, "a descriptor was left behind");
	if (r < 0)
		fprintf(stderr, "noria_run: %s: %s\n", strerror(-r), noria_message());
	return r;
}

#if defined(__SANITIZE_ADDRESS__)
/* Criterion's runner loses a few bytes of its own now and then. */
__attribute__((visibility("default"))) const char *__lsan_default_suppressions(void);

const char *__lsan_default_suppressions(void)
{
	return "leak:libcriterion";
}
#endif
