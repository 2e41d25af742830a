/* SPDX-License-Identifier: MIT */
/*
 * The other yardstick: a TCP echo server on raw io_uring, the best that could be made by hand.
 *
 * One thread and one ring: SINGLE_ISSUER and DEFER_TASKRUN, so that completions are made in this thread when it asks
 * for them; no SQ array; a registered ring descriptor; a multishot accept; a multishot receive
 * into provided buffers for each connection; send(2) in place. One io_uring_enter submits what the last batch
 * left and waits for the next. The options are the other ways, so that the choice can be
 * measured again on another kernel; README.md has the numbers that made it.
 */
#include "echo_uring.h"

#include "bench.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define SQ_ENTRIES 256
#define CQ_ENTRIES 4096

struct server server = {
	.choices = {.buffers = 32, .buffer_size = 65536},
};

struct io_uring_sqe *next_sqe(void)
{
	struct io_uring_sqe *sqe;

	while (!(sqe = io_uring_get_sqe(&server.ring)))
		io_uring_submit(&server.ring);
	return sqe;
}

static void start_accept(void)
{
	struct io_uring_sqe *sqe = next_sqe();

	io_uring_prep_multishot_accept(sqe, server.listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	io_uring_sqe_set_data64(sqe, OP_ACCEPT);
}

static void on_accept(const struct io_uring_cqe *cqe)
{
	if (!(cqe->flags & IORING_CQE_F_MORE))
		start_accept();
	if (cqe->res >= 0)
		connection_start(cqe->res);
}

static void dispatch(const struct io_uring_cqe *cqe)
{
	struct connection *c = (struct connection *)(uintptr_t)(cqe->user_data & ~(uint64_t)OP_MASK);

	switch ((enum operation)(cqe->user_data & OP_MASK)) {
	case OP_ACCEPT:
		on_accept(cqe);
		break;
	case OP_RECEIVE:
		connection_on_receive(c, cqe);
		break;
	case OP_POLL:
		connection_on_poll(c, cqe);
		break;
	case OP_CANCEL:
		break; /* the completion of what was cancelled tells how it ended */
	case OP_SEND:
		connection_on_send(c, cqe);
		break;
	case OP_MASK:
		abort();
	}
}

_Noreturn static void loop(void)
{
	for (;;) {
		const int submitted = io_uring_submit_and_wait(&server.ring, 1);
		const struct io_uring_cqe *cqe;
		unsigned int head, count = 0;

		if (submitted < 0 && submitted != -EINTR)
			bench_die("io_uring_submit_and_wait", submitted);

		io_uring_for_each_cqe(&server.ring, head, cqe)
		{
			dispatch(cqe);
			count++;
		}
		io_uring_cq_advance(&server.ring, count);
		buffers_publish(&server.buffers);
		if (server.starved && buffers_available(&server.buffers))
			connections_feed();
	}
}

static void set_up(const char *address)
{
	const struct choices *choices = &server.choices;
	struct io_uring_params params = {
		.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_NO_SQARRAY |
			 IORING_SETUP_CQSIZE,
		.cq_entries = CQ_ENTRIES,
	};
	int error = io_uring_queue_init_params(SQ_ENTRIES, &server.ring, &params);

	if (error < 0)
		bench_die("io_uring_queue_init_params", error);
	error = io_uring_register_ring_fd(&server.ring);
	if (error < 0)
		bench_die("io_uring_register_ring_fd", error);
	if (choices->direct && (error = io_uring_register_files_sparse(&server.ring, bench_file_limit())) < 0)
		bench_die("io_uring_register_files_sparse", error);
	error = buffers_init(&server.buffers, &server.ring, choices->buffers, choices->buffer_size,
			     choices->incremental);
	if (error < 0)
		bench_die("provided buffers", error);

	server.listen_fd = bench_listen(address);
	start_accept();
}

static const char help[] =
	"usage: echo_uring --listen ADDRESS:PORT [options]\n"
	"\n"
	"A TCP echo server on raw io_uring. The defaults are what was measured to be best.\n"
	"\n"
	"  --receive multishot|oneshot|poll   into provided buffers, or recv(2) when a multishot poll says so\n"
	"  --send inline|sqe                  send(2) in place, or an operation of the ring\n"
	"  --direct                           direct descriptors for operations of the ring\n"
	"  --bundle                           a receive may fill several buffers\n"
	"  --incremental                      receives share a buffer until it is full\n"
	"  --poll-first                       a receive waits before it tries\n"
	"  --buffers N                        provided buffers, a power of two (32)\n"
	"  --buffer-size BYTES                bytes of one (65536)\n";

static unsigned int one_of(const char *text, const char *const *words, unsigned int count)
{
	for (unsigned int i = 0; i < count; i++)
		if (strcmp(text, words[i]) == 0)
			return i;
	bench_usage("that value is not one of those listed");
}

static void set_option(struct choices *choices, int option)
{
	static const char *const receives[] = {"multishot", "oneshot", "poll"};
	static const char *const sends[] = {"inline", "sqe"};

	switch (option) {
	case 'r':
		choices->receive = (enum receive)one_of(optarg, receives, 3);
		break;
	case 's':
		choices->send_sqe = one_of(optarg, sends, 2) == 1;
		break;
	case 'd':
		choices->direct = true;
		break;
	case 'b':
		choices->bundle = true;
		break;
	case 'i':
		choices->incremental = true;
		break;
	case 'p':
		choices->poll_first = true;
		break;
	case 'n':
		choices->buffers = (unsigned int)bench_parse_number("--buffers", optarg, 1, 32768);
		if (choices->buffers & (choices->buffers - 1))
			bench_usage("--buffers must be a power of two");
		break;
	case 'z':
		choices->buffer_size = (unsigned int)bench_parse_number("--buffer-size", optarg, 1, 1U << 24);
		break;
	case 'h':
		fputs(help, stdout);
		exit(0);
	default:
		bench_usage("that option is not known, or its value is missing");
	}
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{"listen", required_argument, NULL, 'l'},
		{"receive", required_argument, NULL, 'r'},
		{"send", required_argument, NULL, 's'},
		{"direct", no_argument, NULL, 'd'},
		{"bundle", no_argument, NULL, 'b'},
		{"incremental", no_argument, NULL, 'i'},
		{"poll-first", no_argument, NULL, 'p'},
		{"buffers", required_argument, NULL, 'n'},
		{"buffer-size", required_argument, NULL, 'z'},
		{"help", no_argument, NULL, 'h'},
		{0},
	};
	const char *address = NULL;
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) >= 0) {
		if (option == 'l')
			address = optarg;
		else
			set_option(&server.choices, option);
	}
	if (!address || optind != argc)
		bench_usage("--listen ADDRESS:PORT is needed, and nothing but options");

	set_up(address);
	loop();
}
