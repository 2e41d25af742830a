/* SPDX-License-Identifier: MIT */
/*
 * What a server answers, on one connection of bytes: counts whole answers, and notices what is none. It needs no
 * socket, keeps no answer, and believes nothing.
 */
#pragma once

#include "script.h"

#include <llhttp.h>

enum { STATUS_CLASSES = 6 }; /* 1xx to 5xx, by their first digit; 0: others */

struct reader {
	const struct script *script;
	size_t offset; /* of an echo: in the message that is coming */
	llhttp_t parser;
	unsigned complete;                 /* answers since reader_feed() was called */
	unsigned statuses[STATUS_CLASSES]; /* theirs */
	bool closing;                      /* the server said that this was its last answer here */
};

/* Begin a connection. */
void reader_begin(struct reader *reader, const struct script *script);

/* Returns: how many answers have been completed by these bytes; -EBADMSG when they are no part of one. */
int reader_feed(struct reader *reader, const char *bytes, size_t size);

/* The connection has ended. Returns: 1 if that completes an answer (HTTP without a length); 0 if not. */
int reader_end(struct reader *reader);
