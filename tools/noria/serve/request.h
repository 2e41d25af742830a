/* SPDX-License-Identifier: MIT */
/*
 * One request, from bytes to what the server needs to know of it. No I/O: bytes are fed in pieces of any size, so the
 * whole of it can be tested, and fuzzed, without a socket.
 */
#pragma once

#include <llhttp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The headers that are kept. Repeated ones are joined by ", " as RFC 9110, 5.3 has it. */
enum request_header {
	REQUEST_HOST = 0,
	REQUEST_RANGE,
	REQUEST_IF_RANGE,
	REQUEST_IF_MATCH,
	REQUEST_IF_NONE_MATCH,
	REQUEST_IF_MODIFIED_SINCE,
	REQUEST_IF_UNMODIFIED_SINCE,
	REQUEST_EXPECT,
	REQUEST_HEADERS,
	REQUEST_HEADER_OTHER = REQUEST_HEADERS,
};

enum request_state {
	REQUEST_EMPTY = 0, /* nothing has come but empty lines */
	REQUEST_HEAD,      /* in the request line or the headers */
	REQUEST_CONTINUE,  /* the client waits for "100 Continue" before it sends the body; feed on after that */
	REQUEST_BODY,      /* the body is read, and thrown away */
	REQUEST_DONE,      /* answer it; bytes that follow belong to the next one */
};

struct request_limits {
	size_t header; /* bytes of request line and headers: 431 */
	size_t target; /* bytes of the target: 414 */
	size_t body;   /* bytes of a body that is read to keep the connection: 413 */
};

struct request {
	llhttp_t parser;
	enum request_state state;
	int status;      /* 0, or the error to answer with */
	bool keep_alive; /* the client wants, and the request permits, another one on this connection */
	bool unread;     /* a body was left on the connection */
	const struct request_limits *limits;
	size_t header_size, body_size;    /* fed so far */
	uint32_t target;                  /* where it begins in `text` */
	uint32_t header[REQUEST_HEADERS]; /* likewise; 0: absent */
	enum request_header current;      /* whose value is being read */
	unsigned name_size;               /* bytes of the header name being read, also those that did not fit */
	char name[24];                    /* in lower case */
	uint32_t text_size, text_room;
	char *text; /* values, each closed by a NUL */
};

/* Begin with an empty request; `text_room` is at least request_text_room(limits). */
void request_begin(struct request *request, const struct request_limits *limits, char *text, size_t text_room);

/* How large `text` is to be: only many repeated headers, joined, can use it up, and then the answer is 431. */
size_t request_text_room(const struct request_limits *limits);

/*
 * Read on. Returns: how many bytes belonged to this request; fewer than `size` only when it is REQUEST_DONE or waits
 * in REQUEST_CONTINUE.
 */
size_t request_feed(struct request *request, const char *data, size_t size);

static inline const char *request_target(const struct request *request)
{
	return request->text + request->target;
}

/* A header's value, or NULL. */
static inline const char *request_header(const struct request *request, enum request_header header)
{
	return request->header[header] ? request->text + request->header[header] : NULL;
}

static inline llhttp_method_t request_method(const struct request *request)
{
	return (llhttp_method_t)request->parser.method;
}
