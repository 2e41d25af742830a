/* SPDX-License-Identifier: MIT */
/* The frame around each unit test: a runtime of its own, and a count of descriptors before and after. */
#include "unit.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <netinet/in.h>
#include <sys/wait.h>
#include <unistd.h>

#if UNIT_SANITIZED
/* Criterion's own process sometimes ends without freeing a test's report. */
__attribute__((visibility("default"))) const char *__lsan_default_suppressions(void);

const char *__lsan_default_suppressions(void)
{
	return "leak:libcriterion";
}
#endif

int unit_count_fds(void)
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

/* The library's own: a debug build refuses waits behind shields without a deadline, which some tests need. */
extern bool noria_checks;

void unit_run(noria_task_fn *body, const struct noria_config *config)
{
	int before = unit_count_fds(), r;

	noria_checks = false;
	r = noria_run(config, body, NULL);
	cr_expect(r == 0, "noria_run: %s: %s", strerror(-r), noria_message());
	cr_expect_eq(unit_count_fds(), before, "descriptors: %d before, %d after", before, unit_count_fds());
}

void unit_run_twice(noria_task_fn *body, const struct noria_config *config)
{
	struct noria_config filled = {0};

	if (config)
		filled = *config;
	filled.timeouts = NORIA_TIMEOUTS_LINKED;
	unit_run(body, &filled);
	filled.timeouts = NORIA_TIMEOUTS_HEAP;
	unit_run(body, &filled);
}

void unit_pair(int pair[2])
{
	MUST(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
}

int unit_listener(struct sockaddr_storage *ret_address, socklen_t *ret_length)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	MUST(fd >= 0);
	MUST(bind(fd, (struct sockaddr *)&address, sizeof address) == 0 && listen(fd, 128) == 0);
	*ret_length = sizeof *ret_address;
	MUST(getsockname(fd, (struct sockaddr *)ret_address, ret_length) == 0);
	return fd;
}

void unit_tcp_pair(int pair[2])
{
	struct sockaddr_storage address;
	socklen_t length;
	int listener = unit_listener(&address, &length);

	pair[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	MUST(pair[0] >= 0 && connect(pair[0], (struct sockaddr *)&address, length) == 0);
	pair[1] = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	MUST(pair[1] >= 0);
	close(listener);
}

/* splitmix64 */
uint64_t unit_random(uint64_t *state)
{
	uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

int unit_in_child(void (*body)(void *arg), void *arg, char *ret_text, size_t size)
{
	int channel[2], status;
	size_t done = 0;
	ssize_t r;
	pid_t child;

	MUST(pipe(channel) == 0);
	fflush(NULL);
	child = fork();
	MUST(child >= 0);
	if (child == 0) {
		dup2(channel[1], STDERR_FILENO);
		close(channel[0]);
		close(channel[1]);
		body(arg);
		_exit(0);
	}
	close(channel[1]);
	while ((r = read(channel[0], ret_text + done, size - 1 - done)) > 0)
		done += (size_t)r;
	ret_text[done] = '\0';
	close(channel[0]);
	MUST(waitpid(child, &status, 0) == child);
	return status;
}

static int wait_for_byte(void *arg)
{
	char byte;

	return (int)read(*(int *)arg, &byte, 1);
}

int unit_hold_thread(void *arg)
{
	return noria_offload(wait_for_byte, arg) == 1 ? 0 : -EIO;
}
