/* SPDX-License-Identifier: MIT */
/* What it costs to share: a mutex that nobody else wants, and an item to another task and one back, by channels. */
#include "rows.h"

#include <noria/channel.h>
#include <noria/noria.h>
#include <noria/sync.h>

/* Lock and unlock. */
void measure_mutex(void)
{
	struct noria_mutex mutex = {0};

	for (int i = 0; i < ROW_COUNT; i++) {
		must(noria_mutex_lock(&mutex), "lock");
		must(noria_mutex_unlock(&mutex), "unlock");
	}
}

/* Without a buffer: the tasks meet. */
struct echo {
	struct noria_channel there, back;
};

static int echo_items(void *arg)
{
	struct echo *echo = arg;
	int item, r;

	while ((r = noria_channel_recv(&echo->there, &item)) > 0)
		must(noria_channel_send(&echo->back, &item), "send back");
	return r;
}

void measure_channel(void)
{
	struct noria_group group;
	struct echo echo;

	must(noria_channel_init(&echo.there, sizeof(int), NULL, 0), "channel");
	must(noria_channel_init(&echo.back, sizeof(int), NULL, 0), "channel");
	must(noria_group_open(&group), "group");
	must(noria_spawn(&group, echo_items, &echo), "spawn");
	for (int i = 0, item; i < ROW_COUNT; i++) {
		must(noria_channel_send(&echo.there, &i), "send");
		must(noria_channel_recv(&echo.back, &item), "receive");
	}
	noria_channel_close(&echo.there);
	must(noria_group_close(&group, 0), "close");
	must(noria_channel_destroy(&echo.there), "destroy");
	must(noria_channel_destroy(&echo.back), "destroy");
}
