/* SPDX-License-Identifier: MIT */
/* The name server of stub.h: one UDP socket, and answers that wait for their time in order of it. */
#include "stub.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { MESSAGE_MAX = 512, PENDING_MAX = 8192, HEADER = 12, A = 1, AAAA = 28 };
enum { NOERROR = 0, SERVFAIL = 2, NXDOMAIN = 3, REFUSED = 5 };

struct answer {
	struct sockaddr_in to;
	int64_t at_ns;
	size_t size;
	uint8_t bytes[MESSAGE_MAX];
};

static struct answer *pending; /* the earliest last */
static size_t pending_count;

static int64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

/* What the labels of a question say. */
struct reply {
	bool lost;
	unsigned code, records;
	int64_t delay_ns;
};

static void read_label(struct reply *reply, const char *label, int type)
{
	const char *which = type == A ? "4" : "6";

	if (label[0] == 'd' && label[1] >= '0' && label[1] <= '9')
		reply->delay_ns = atoi(label + 1) * INT64_C(1000000);
	else if (strncmp(label, "no", 2) == 0 && strcmp(label + 2, which) == 0)
		reply->records = 0;
	else if (strcmp(label, "lost") == 0 || (strncmp(label, "lost", 4) == 0 && strcmp(label + 4, which) == 0))
		reply->lost = true;
	else if (strcmp(label, "nx") == 0)
		reply->code = NXDOMAIN;
	else if (strcmp(label, "fail") == 0)
		reply->code = SERVFAIL;
	else if (strcmp(label, "refused") == 0)
		reply->code = REFUSED;
	else if (strcmp(label, "many") == 0)
		reply->records = 3;
}

/* Returns where the question ends; 0: it is none. */
static size_t read_question(const uint8_t *bytes, size_t size, struct reply *ret_reply, int *ret_type)
{
	size_t at = HEADER, end = HEADER;
	char label[64];

	while (end < size && bytes[end] != 0 && bytes[end] < 64)
		end += 1U + bytes[end];
	if (end + 5 > size || bytes[end] != 0)
		return 0;
	*ret_type = bytes[end + 1] << 8 | bytes[end + 2];
	*ret_reply = (struct reply){.records = 1};
	for (; bytes[at] != 0; at += 1U + bytes[at]) {
		memcpy(label, &bytes[at + 1], bytes[at]);
		label[bytes[at]] = '\0';
		read_label(ret_reply, label, *ret_type);
	}
	return end + 5;
}

static size_t put_record(uint8_t *to, int type, unsigned number)
{
	uint8_t length = type == A ? 4 : 16;
	const uint8_t head[] = {0xc0, HEADER, 0, (uint8_t)type, 0, 1, 0, 0, 0, 60, 0, length};

	memcpy(to, head, sizeof head);
	memset(to + sizeof head, 0, length);
	if (type == A)
		to[sizeof head] = 127;
	to[sizeof head + length - 1] = (uint8_t)number;
	return sizeof head + length;
}

/* Turn a question into its answer, in place. Returns false when there is to be none. */
static bool make_answer(struct answer *answer)
{
	struct reply reply;
	int type;
	size_t end = read_question(answer->bytes, answer->size, &reply, &type);

	if (end == 0 || reply.lost)
		return false;
	if (reply.code != NOERROR || (type != A && type != AAAA))
		reply.records = 0;
	answer->bytes[2] = 0x81;
	answer->bytes[3] = (uint8_t)(0x80 | reply.code);
	memset(&answer->bytes[6], 0, 6);
	answer->bytes[7] = (uint8_t)reply.records;
	for (unsigned i = 1; i <= reply.records; i++)
		end += put_record(&answer->bytes[end], type, i);
	answer->size = end;
	answer->at_ns = now_ns() + reply.delay_ns;
	return true;
}

static void keep(const struct answer *answer)
{
	size_t at = pending_count;

	if (pending_count == PENDING_MAX)
		return;
	while (at > 0 && pending[at - 1].at_ns <= answer->at_ns)
		at--;
	memmove(&pending[at + 1], &pending[at], (pending_count - at) * sizeof *pending);
	pending[at] = *answer;
	pending_count++;
}

static void send_due(int fd)
{
	int64_t now = now_ns();

	for (; pending_count > 0 && pending[pending_count - 1].at_ns <= now; pending_count--) {
		const struct answer *answer = &pending[pending_count - 1];

		sendto(fd, answer->bytes, answer->size, 0, (const struct sockaddr *)&answer->to, sizeof answer->to);
	}
}

static void take_questions(int fd)
{
	struct answer answer;

	for (;;) {
		socklen_t length = sizeof answer.to;
		ssize_t size = recvfrom(fd, answer.bytes, sizeof answer.bytes - 128, MSG_DONTWAIT,
					(struct sockaddr *)&answer.to, &length);

		if (size < 0)
			return;
		answer.size = (size_t)size;
		if (make_answer(&answer))
			keep(&answer);
	}
}

static int serve(int fd)
{
	pending = malloc((PENDING_MAX + 1) * sizeof *pending);
	if (!pending)
		return 1;
	for (;;) {
		struct pollfd ready = {.fd = fd, .events = POLLIN};
		int64_t left = pending_count > 0 ? pending[pending_count - 1].at_ns - now_ns() : 0;
		struct timespec wait = {.tv_sec = left / 1000000000, .tv_nsec = left > 0 ? left % 1000000000 : 0};

		if (left < 0)
			wait.tv_sec = 0;
		ppoll(&ready, 1, pending_count > 0 ? &wait : NULL, NULL);
		take_questions(fd);
		send_due(fd);
	}
}

pid_t dns_stub_start(void)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET, .sin_port = htons(53), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), room = 4 << 20;
	pid_t stub;

	if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof address) < 0) {
		perror("the name server cannot serve");
		exit(1);
	}
	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof room);
	stub = fork();
	if (stub == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		_exit(serve(fd));
	}
	close(fd);
	return stub;
}

void dns_stub_stop(pid_t stub)
{
	kill(stub, SIGKILL);
	waitpid(stub, NULL, 0);
}
