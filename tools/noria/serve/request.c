/* SPDX-License-Identifier: MIT */
/*
 * llhttp does the parsing, strict, with no leniency switched on: what two parsers might read differently (a bare LF, a
 * space before the colon, Content-Length beside Transfer-Encoding) is an error and ends the connection. This file
 * keeps the values the server needs, holds the limits, and turns parser errors into statuses.
 *
 * The parser pauses where the headers of a request with a body end, so that header and body are counted exactly and
 * "Expect: 100-continue" can be answered, and again at the end of each message, so that bytes of the next request stay
 * with the caller. Values are copied out of the fed bytes: they may come in pieces, and the input buffer is reused.
 */
#include "request.h"

#include <string.h>
#include <strings.h>

static const struct {
	const char *name;
	enum request_header header;
} known_headers[] = {
	{"host", REQUEST_HOST},
	{"range", REQUEST_RANGE},
	{"if-range", REQUEST_IF_RANGE},
	{"if-match", REQUEST_IF_MATCH},
	{"if-none-match", REQUEST_IF_NONE_MATCH},
	{"if-modified-since", REQUEST_IF_MODIFIED_SINCE},
	{"if-unmodified-since", REQUEST_IF_UNMODIFIED_SINCE},
	{"expect", REQUEST_EXPECT},
};

static int fail(struct request *request, int status)
{
	request->status = status;
	return HPE_USER;
}

/* Keep bytes of a value. Only joining repeated headers can use up the room: see request_text_room(). */
static int keep(struct request *request, const char *bytes, size_t size)
{
	if (size >= request->text_room - request->text_size)
		return fail(request, 431);
	memcpy(request->text + request->text_size, bytes, size);
	request->text_size += (uint32_t)size;
	request->text[request->text_size] = '\0';
	return 0;
}

static int on_message_begin(llhttp_t *parser)
{
	struct request *request = parser->data;
	request->state = REQUEST_HEAD;
	request->target = request->text_size;
	return 0;
}

static int on_url(llhttp_t *parser, const char *at, size_t size)
{
	struct request *request = parser->data;
	if (request->text_size - request->target + size > request->limits->target)
		return fail(request, 414);
	return keep(request, at, size);
}

static int on_url_complete(llhttp_t *parser)
{
	((struct request *)parser->data)->text_size++; /* past the NUL */
	return 0;
}

static int on_header_field(llhttp_t *parser, const char *at, size_t size)
{
	struct request *request = parser->data;
	for (size_t i = 0; i < size && request->name_size + i < sizeof request->name; i++) {
		char c = at[i];
		request->name[request->name_size + i] = (char)(c >= 'A' && c <= 'Z' ? c | 0x20 : c);
	}
	request->name_size += (unsigned)size;
	return 0;
}

static enum request_header header_of(const char *name, size_t size)
{
	for (size_t i = 0; i < sizeof known_headers / sizeof *known_headers; i++)
		if (strlen(known_headers[i].name) == size && memcmp(known_headers[i].name, name, size) == 0)
			return known_headers[i].header;
	return REQUEST_HEADER_OTHER;
}

/* The name is there: begin its value. A header that came before is copied to the end, to be continued. */
static int on_header_field_complete(llhttp_t *parser)
{
	struct request *request = parser->data;
	size_t size = request->name_size;
	request->name_size = 0;
	/* What follows the headers is trailers: nobody's business. */
	bool known = request->state == REQUEST_HEAD && size <= sizeof request->name;
	request->current = known ? header_of(request->name, size) : REQUEST_HEADER_OTHER;
	if (request->current == REQUEST_HEADER_OTHER)
		return 0;
	uint32_t before = request->header[request->current];
	request->header[request->current] = request->text_size;
	if (before == 0)
		return keep(request, "", 0);
	int error = keep(request, request->text + before, strlen(request->text + before));
	return error ? error : keep(request, ", ", 2);
}

static int on_header_value(llhttp_t *parser, const char *at, size_t size)
{
	struct request *request = parser->data;
	return request->current == REQUEST_HEADER_OTHER ? 0 : keep(request, at, size);
}

static int on_header_value_complete(llhttp_t *parser)
{
	struct request *request = parser->data;
	if (request->current == REQUEST_HEADER_OTHER)
		return 0;
	uint32_t end = request->text_size, begin = request->header[request->current];
	while (end > begin && (request->text[end - 1] == ' ' || request->text[end - 1] == '\t'))
		end--;
	request->text[end] = '\0';
	request->text_size = end + 1;
	return 0;
}

/* A host and port, roughly: what must not be in it is what could make it something else. Empty is allowed. */
static bool host_valid(const char *host)
{
	return host[strcspn(host, " \t/?#@\\<>\"")] == '\0';
}

/* The headers make sense together, or the status that says they do not. */
static int check_head(const struct request *request)
{
	const llhttp_t *parser = &request->parser;
	const char *host = request_header(request, REQUEST_HOST);
	if (parser->http_major != 1 || parser->http_minor > 1)
		return 505;
	if (host ? !host_valid(host) : parser->http_minor == 1)
		return 400;
	/* RFC 9112, 6.1: a message with both, or with a transfer coding in HTTP/1.0, is an attempt at smuggling. */
	if ((parser->flags & F_TRANSFER_ENCODING) && ((parser->flags & F_CONTENT_LENGTH) || parser->http_minor == 0))
		return 400;
	return 0;
}

/* Methods that are answered otherwise than with 405. */
static bool served(llhttp_method_t method)
{
	return method == HTTP_GET || method == HTTP_HEAD || method == HTTP_OPTIONS;
}

/* What is to be done about a body: read it, invite it, or answer without it. */
static void begin_body(struct request *request)
{
	const llhttp_t *parser = &request->parser;
	const char *expect = parser->http_minor == 1 ? request_header(request, REQUEST_EXPECT) : NULL;
	bool too_large = !(parser->flags & F_CHUNKED) && parser->content_length > request->limits->body;
	if (expect && strcasecmp(expect, "100-continue") != 0)
		request->status = 417;
	else if (too_large && served(request_method(request)))
		request->status = 413;
	request->state = expect ? REQUEST_CONTINUE : REQUEST_BODY;
	if (request->status != 0 || too_large || (expect && !served(request_method(request)))) {
		request->state = REQUEST_DONE;
		request->unread = true;
	}
}

static int on_headers_complete(llhttp_t *parser)
{
	struct request *request = parser->data;
	int status = check_head(request);
	if (status != 0)
		return fail(request, status);
	if (request_method(request) != HTTP_CONNECT)
		parser->upgrade = 0; /* no protocol to change to: the request is answered as it stands */
	if (!(parser->flags & F_CHUNKED) && parser->content_length == 0)
		return 0;
	begin_body(request);
	return HPE_PAUSED;
}

static int on_message_complete(llhttp_t *parser)
{
	struct request *request = parser->data;
	request->keep_alive = llhttp_should_keep_alive(parser) != 0 && parser->method != HTTP_CONNECT;
	request->state = REQUEST_DONE;
	return HPE_PAUSED;
}

static const llhttp_settings_t settings = {
	.on_message_begin = on_message_begin,
	.on_url = on_url,
	.on_url_complete = on_url_complete,
	.on_header_field = on_header_field,
	.on_header_field_complete = on_header_field_complete,
	.on_header_value = on_header_value,
	.on_header_value_complete = on_header_value_complete,
	.on_headers_complete = on_headers_complete,
	.on_message_complete = on_message_complete,
};

size_t request_text_room(const struct request_limits *limits)
{
	return limits->header * 2 + 64;
}

void request_begin(struct request *request, const struct request_limits *limits, char *text, size_t text_room)
{
	*request = (struct request){.limits = limits, .text = text, .text_room = (uint32_t)text_room, .text_size = 1};
	text[0] = text[1] = '\0';
	request->target = 1;
	llhttp_init(&request->parser, HTTP_REQUEST, &settings);
	request->parser.data = request;
}

/* "BREW /pot HTTP/1.1" is a request for something not implemented; other bytes are no request at all. */
static bool method_like(const char *data, size_t size)
{
	size_t i = 0;
	while (i < size && ((data[i] >= 'A' && data[i] <= 'Z') || data[i] == '-' || data[i] == '_'))
		i++;
	return i > 0 && i + 1 < size && data[i] == ' ' && (data[i + 1] == '/' || data[i + 1] == '*');
}

static int status_of(const struct request *request, llhttp_errno_t error, const char *data, size_t size)
{
	if (request->status != 0)
		return request->status;
	switch (error) {
	case HPE_INVALID_METHOD:
		return method_like(data, size) ? 501 : 400;
	case HPE_INVALID_VERSION: /* also what comes of a good version with a bad line end */
		return request->parser.http_major == 1 && request->parser.http_minor <= 1 ? 400 : 505;
	case HPE_PAUSED_H2_UPGRADE:
		return 505;
	default:
		return 400;
	}
}

/* The parser's own steps: one piece in which the limits cannot be passed. Returns: bytes used. */
static size_t feed_piece(struct request *request, const char *data, size_t size)
{
	llhttp_errno_t error = llhttp_get_errno(&request->parser);
	if (error == HPE_PAUSED)
		llhttp_resume(&request->parser);
	error = llhttp_execute(&request->parser, data, size);
	if (error == HPE_OK)
		return size;
	size_t used = (size_t)(llhttp_get_error_pos(&request->parser) - data);
	if (error == HPE_PAUSED)
		return used;
	if (error != HPE_PAUSED_UPGRADE)
		request->status = status_of(request, error, data, size);
	request->keep_alive = false;
	request->unread = true;
	request->state = REQUEST_DONE;
	return used;
}

/* Count what was used against the limit of the part it belonged to. */
static void count(struct request *request, bool head, size_t used)
{
	size_t *sum = head ? &request->header_size : &request->body_size;
	size_t limit = head ? request->limits->header : request->limits->body;
	*sum += used;
	bool unfinished = head ? request->state <= REQUEST_HEAD : request->state == REQUEST_BODY;
	if (!unfinished || *sum < limit)
		return;
	/* Where the method is refused anyway, its answer says more than that the body is large. */
	request->status = head ? 431 : served(request_method(request)) ? 413 : 0;
	request->keep_alive = false;
	request->unread = true;
	request->state = REQUEST_DONE;
}

size_t request_feed(struct request *request, const char *data, size_t size)
{
	size_t done = 0;
	if (request->state == REQUEST_CONTINUE)
		request->state = REQUEST_BODY;
	while (done < size && request->state != REQUEST_DONE && request->state != REQUEST_CONTINUE) {
		bool head = request->state <= REQUEST_HEAD;
		size_t room = head ? request->limits->header - request->header_size
				   : request->limits->body - request->body_size;
		size_t piece = size - done < room ? size - done : room;
		size_t used = feed_piece(request, data + done, piece);
		count(request, head, used);
		done += used;
	}
	return done;
}
