/* SPDX-License-Identifier: MIT */
/* R15: a task whose operations never have to wait starves neither the other tasks, nor the timers, nor the ring. */
#include "noria/stream.h"
#include "ring_inside.h"

#include <poll.h>

static bool stop;

/* Ways of being busy without ever waiting. */
static ssize_t busy(int kind, const int pair[2])
{
	char byte = 0;

	switch (kind) {
	case 0:
		return noria_shutdown(-1, SHUT_RD) == -EBADF ? 0 : -EIO;
	case 1:
		return noria_yield();
	case 2:
		return noria_recv(pair[0], &byte, 1, MSG_DONTWAIT) == -EAGAIN ? 0 : -ECANCELED;
	default: /* through the ring, completed at once */
		return noria_poll(pair[1], POLLOUT) > 0 ? 0 : -ECANCELED;
	}
}

enum { BUSY = 4 };

struct hog {
	int kind, pair[2];
};

static int hog(void *arg)
{
	const struct hog *hog = arg;

	while (!stop)
		if (busy(hog->kind, hog->pair) < 0)
			return -EIO;
	return 0;
}

static int receive(void *arg)
{
	char byte;

	return noria_recv(*(int *)arg, &byte, 1, 0) == 1 ? 0 : -EIO;
}

static int ready(void *arg)
{
	*(bool *)arg = true;
	return 0;
}

/* R15: beside hogs of all kinds, a ready task runs, a timer fires, a receive completes. */
RULE(R15, hogs_starve_nobody)
{
	struct noria_group group = {0}, others = {0};
	struct hog hogs[BUSY];
	int pair[2];
	bool ran = false;

	stop = false;
	inside_pair(pair);
	MUST(noria_group_open(&group) == 0);
	for (int i = 0; i < BUSY; i++) {
		hogs[i].kind = i;
		inside_pair(hogs[i].pair);
		MUST(noria_spawn(&group, hog, &hogs[i]) == 0);
	}
	MUST(noria_group_open(&others) == 0);
	MUST(noria_spawn(&others, receive, &pair[0]) == 0);
	EXPECT(noria_sleep(noria_msec(2)) == 0);
	MUST(send(pair[1], "!", 1, 0) == 1);
	MUST(noria_spawn(&others, ready, &ran) == 0);
	EXPECT(noria_group_close(&others, 0) == 0);
	EXPECT(ran);
	stop = true;
	EXPECT(noria_group_close(&group, 0) == 0);
	for (int i = 0; i < BUSY; i++)
		inside_close(hogs[i].pair);
	inside_close(pair);
	return 0;
}

/* R15: one hog alone, of each kind, against a timer. */
RULE(R15, a_lone_hog_does_not_starve_a_timer)
{
	for (int kind = 0; kind < BUSY; kind++) {
		struct noria_group group = {0};
		struct hog hog_of_kind = {.kind = kind};

		stop = false;
		inside_pair(hog_of_kind.pair);
		MUST(noria_group_open(&group) == 0);
		MUST(noria_spawn(&group, hog, &hog_of_kind) == 0);
		EXPECT(noria_sleep(noria_msec(2)) == 0);
		stop = true;
		EXPECT(noria_group_close(&group, 0) == 0);
		inside_close(hog_of_kind.pair);
	}
	return 0;
}

/* R15: and its own deadline reaches it. */
RULE(R15, a_hog_meets_its_own_deadline)
{
	for (int kind = 0; kind < BUSY; kind++) {
		int pair[2];
		ssize_t r;

		inside_pair(pair);
		r = noria_within(noria_msec(2), ({
					 ssize_t result;

					 do
						 result = busy(kind, pair);
					 while (result == 0 && noria_check() == 0);
					 (ssize_t)0;
				 }));
		EXPECT(r == -ETIMEDOUT);
		inside_close(pair);
	}
	return 0;
}

static int stream_hog(void *arg)
{
	struct hog *hog_with = arg;
	struct noria_recv_stream stream;
	const void *data;

	MUST(noria_recv_stream_open(&stream, hog_with->pair[0]) == 0);
	while (!stop) {
		MUST(send(hog_with->pair[1], "data", 4, 0) == 4);
		MUST(noria_recv_stream_next(&stream, &data) > 0);
	}
	noria_recv_stream_close(&stream);
	return 0;
}

/* R15: a stream that always has bytes waits no more than its turn. */
RULE(R15, a_full_stream_does_not_starve_a_timer)
{
	struct noria_group group = {0};
	struct hog hog_with = {0};

	stop = false;
	inside_pair(hog_with.pair);
	MUST(send(hog_with.pair[1], "more", 4, 0) == 4);
	MUST(noria_group_open(&group) == 0);
	MUST(noria_spawn(&group, stream_hog, &hog_with) == 0);
	EXPECT(noria_sleep(noria_msec(2)) == 0);
	stop = true;
	EXPECT(noria_group_close(&group, 0) == 0);
	inside_close(hog_with.pair);
	return 0;
}
