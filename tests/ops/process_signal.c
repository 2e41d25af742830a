/* SPDX-License-Identifier: MIT */
/* Waiting for a signal. A signal has one stream at a time: each place has one of its own. */
#include "ops.h"

#include <signal.h>
#include <unistd.h>

static void raise_signal(struct op_place *place)
{
	MUST(kill(getpid(), (int)place->number) == 0);
}

static bool is_pending(const struct op_place *place)
{
	sigset_t pending;

	MUST(sigpending(&pending) == 0);
	return sigismember(&pending, (int)place->number);
}

/* What is left when a stream is closed has its usual effect: none. */
static void open_stream(struct op_place *place, bool ready)
{
	static int opened;
	sigset_t set;

	place->number = (uint64_t)(SIGRTMIN + opened++ % 20);
	place->extra = calloc(1, sizeof(struct noria_signal_stream));
	MUST(place->extra && signal((int)place->number, SIG_IGN) != SIG_ERR);
	sigemptyset(&set);
	sigaddset(&set, (int)place->number);
	MUST(noria_signal_stream_open(place->extra, &set) == 0);
	if (ready)
		raise_signal(place);
}

static void close_stream(struct op_place *place)
{
	noria_signal_stream_close(place->extra);
	EXPECT(!is_pending(place));
	free(place->extra);
}

static int64_t call_next(struct op_place *place)
{
	return noria_signal_stream_next(place->extra, NULL);
}

static void did_next(struct op_place *place, int64_t result)
{
	EXPECT_EQ(result, place->number);
	EXPECT(!is_pending(place));
}

static void still_pending(struct op_place *place)
{
	EXPECT(is_pending(place));
}

static int64_t next_of_closed(struct op_place *place)
{
	noria_signal_stream_close(place->extra);
	return noria_signal_stream_next(place->extra, NULL);
}

static const struct op_error next_errors[] = {{-EINVAL, next_of_closed}, {0, NULL}};

static const struct op_case cases[] = {
	{.name = "signal_stream_next",
	 .open = open_stream,
	 .call = call_next,
	 .complete = raise_signal,
	 .did = did_next,
	 .did_not = still_pending,
	 .close = close_stream,
	 .errors = next_errors},
	{0},
};

OPS(process_signal, cases)
