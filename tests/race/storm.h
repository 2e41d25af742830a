/* SPDX-License-Identifier: MIT */
/*
 * The channels of the cancel storm: socket pairs and pipes through which a known sequence of bytes goes. At most one task
 * sends and one receives on a channel at a time, so each byte's place is known, and whatever a cancel cuts short, the
 * next to send or receive goes on at the very byte where the last one stopped.
 */
#ifndef NORIA_TESTS_RACE_STORM_H
#define NORIA_TESTS_RACE_STORM_H

#include "race.h"

enum { CHANNELS = 24, STREAMS = 4 /* of these, received by streams */, CHUNK = 3000 };

struct channel {
	int in, out; /* received from, sent to */
	bool pipe, sending, receiving;
	uint64_t sent, received;
	unsigned number;
};

extern struct channel storm_channels[CHANNELS];
extern uint64_t storm_seed_state;

static inline unsigned storm_below(unsigned limit)
{
	return race_below(&storm_seed_state, limit);
}

void storm_channels_open(void);
/* What was sent is received or still inside; then close. */
void storm_channels_check_and_close(void);

/* Send, or receive, some bytes on a channel that is free for it, in a way of its choice, for a short time. */
void storm_send(void);
void storm_receive(void);
/* A task that receives from channel `*arg` by a stream until its end, with short deadlines. */
int storm_stream(void *arg);
/* No more will be sent on the channels of the streams. */
void storm_streams_end(void);

#endif
