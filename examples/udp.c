/* SPDX-License-Identifier: MIT */
/*
 * A time server for datagrams: whoever sends one gets it back with the time of its arrival behind it. Run `udp PORT`,
 * then `echo hello | nc -u localhost PORT`; Ctrl-C, or SIGTERM, has it say what it did and end.
 *
 * One submission receives all datagrams, and the answers to those that came together leave together. Compile with
 * -D_GNU_SOURCE, for struct mmsghdr.
 */
#include <noria/noria.h>

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TOGETHER = 32, TIME_SIZE = 24 };

struct statistics {
	unsigned long answered, batches, dropped;
};

struct answers {
	struct mmsghdr messages[TOGETHER];
	struct iovec parts[TOGETHER][2]; /* what came, and the time */
	char times[TOGETHER][TIME_SIZE];
};

static void prepare(struct answers *answers, int i, const struct noria_datagram *question)
{
	struct noria_datagram_info info;
	int length;

	noria_datagram_get_info(question, &info);
	length = snprintf(answers->times[i], TIME_SIZE, "%lld\n", (long long)info.time_ns);
	answers->parts[i][0] = (struct iovec){question->data, question->size};
	answers->parts[i][1] = (struct iovec){answers->times[i], (size_t)length};
	answers->messages[i].msg_hdr = (struct msghdr){.msg_name = question->address,
						       .msg_namelen = question->address_length,
						       .msg_iov = answers->parts[i],
						       .msg_iovlen = 2};
}

/* A client that is gone is no failure of the server: its answer is dropped, and those behind it are sent. */
static void send_answers(int fd, struct answers *answers, int count, struct statistics *statistics)
{
	for (int done = 0; done < count;) {
		int sent = noria_sendmmsg(fd, answers->messages + done, (unsigned)(count - done), 0);

		if (sent == -ECANCELED)
			return;
		statistics->answered += sent > 0 ? (unsigned long)sent : 0;
		statistics->dropped += sent < 0;
		done += sent > 0 ? sent : 1;
	}
	statistics->batches++;
}

static int serve(int fd, struct statistics *statistics)
{
	const struct noria_datagram_options options = {.size = 1400};
	struct noria_datagram questions[TOGETHER];
	struct noria_datagram_stream stream;
	struct answers answers;
	int n;

	noria_try(noria_datagram_stream_open(&stream, fd, &options));
	while ((n = noria_idle(noria_datagram_stream_next(&stream, questions, TOGETHER))) > 0) {
		for (int i = 0; i < n; i++)
			prepare(&answers, i, &questions[i]);
		send_answers(fd, &answers, n, statistics);
	}
	noria_datagram_stream_close(&stream);
	return n;
}

static int server(void *arg)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	noria_autoclose int fd = noria_try(noria_socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
	struct statistics statistics = {0};
	int result;

	address.sin_port = htons((uint16_t)atoi(arg));
	setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPNS, &(int){1}, sizeof(int));
	noria_try(noria_bind(fd, (struct sockaddr *)&address, sizeof address));
	puts("ready");
	fflush(stdout);
	result = serve(fd, &statistics);
	printf("%lu answered in %lu batches, %lu dropped\n", statistics.answered, statistics.batches,
	       statistics.dropped);
	return result;
}

int main(int argc, char **argv)
{
	int result = noria_run(NULL, server, argc > 1 ? argv[1] : "7000");

	if (result < 0)
		fprintf(stderr, "udp: %s %s\n", strerror(-result), noria_message());
	return result < 0;
}
