/* SPDX-License-Identifier: MIT */
/*
 * One request and the shape of its answer: the status line, the headers every answer has, the pages that explain a
 * status, and the line in the access log. What a file or directory adds stands in file.c and listing.c.
 *
 * Whether the connection goes on is decided when the header is closed, because the client must be told: not after a
 * request that could not be understood or whose body was left unread, and in a drain not after the last request that
 * has arrived. Requests that were pipelined before the drain are all answered.
 */
#include "serve.h"

#include <errno.h>
#include <stdio.h>

static const struct status {
	int code;
	const char *reason, *detail;
} statuses[] = {
	{200, "OK", ""},
	{204, "No Content", ""},
	{206, "Partial Content", ""},
	{301, "Moved Permanently", "That is a directory: its address ends with a slash."},
	{304, "Not Modified", ""},
	{400, "Bad Request", "The request is not well-formed HTTP."},
	{403, "Forbidden", "That is there, but it is not served."},
	{404, "Not Found", "There is nothing at this address."},
	{405, "Method Not Allowed", "Files can be read here (GET, HEAD), and not changed."},
	{408, "Request Timeout", "The request did not arrive in time."},
	{412, "Precondition Failed", "The file is not in the state that the request asks for."},
	{413, "Content Too Large", "The request has a body, and a larger one than is read here."},
	{414, "URI Too Long", "The address is too long."},
	{416, "Range Not Satisfiable", "The file has no bytes in that range."},
	{417, "Expectation Failed", "Only 100-continue may be expected here."},
	{431, "Request Header Fields Too Large", "The headers of the request are too large."},
	{500, "Internal Server Error", "The server failed to do this. Its log says more."},
	{501, "Not Implemented", "This method is not known here."},
	{503, "Service Unavailable", "The server is at its limit. Try again in a moment."},
	{505, "HTTP Version Not Supported", "HTTP/1.1 and HTTP/1.0 are spoken here."},
};

static const struct status *status_of(int code)
{
	for (size_t i = 0; i < sizeof statuses / sizeof *statuses; i++)
		if (statuses[i].code == code)
			return &statuses[i];
	return status_of(500);
}

void exchange_begin(struct exchange *exchange, int code)
{
	struct text *text = &exchange->text;
	const struct wall *wall = &exchange->connection->server->wall;
	exchange->status = code;
	*text = text_on(exchange->output, HEAD_MAX);
	text_put(text, "HTTP/1.1 ");
	text_decimal(text, (uint64_t)code);
	text_char(text, ' ');
	text_put(text, status_of(code)->reason);
	text_put(text, "\r\nServer: noria\r\nDate: ");
	text_bytes(text, wall->http, sizeof wall->http);
	text_put(text, "\r\nX-Request-Id: ");
	text_put(text, exchange->id);
	text_put(text, "\r\n");
}

void exchange_header(struct exchange *exchange, const char *name, const char *value)
{
	struct text *text = &exchange->text;
	text_put(text, name);
	text_put(text, ": ");
	text_put(text, value);
	text_put(text, "\r\n");
}

void exchange_finish(struct exchange *exchange, uint64_t length)
{
	struct text *text = &exchange->text;
	if (length != UINT64_MAX) {
		text_put(text, "Content-Length: ");
		text_decimal(text, length);
		text_put(text, "\r\n");
	}
	exchange->close = exchange->close || connection_last(exchange->connection);
	if (exchange->close)
		text_put(text, "Connection: close\r\n");
	else if (exchange->request->parser.http_minor == 0)
		text_put(text, "Connection: keep-alive\r\n");
	text_put(text, "\r\n");
}

void exchange_send(struct exchange *exchange, const char *body, size_t size)
{
	struct connection *connection = exchange->connection;
	if (exchange->head)
		size = 0;
	/* One segment if it is one buffer; else the kernel joins them. */
	bool adjacent = body == exchange->text.at;
	size_t first = text_size(&exchange->text) + (adjacent ? size : 0);
	int error = send_bytes(connection, exchange->output, first, adjacent || size == 0 ? 0 : MSG_MORE);
	if (error == 0 && !adjacent && size > 0)
		error = send_bytes(connection, body, size, 0);
	if (error < 0) {
		report_detail("%s: the answer was not taken: %s", exchange->id, strerror(-error));
		exchange->broken = true;
		return;
	}
	exchange->bytes += size;
}

void exchange_page(struct exchange *exchange)
{
	const struct status *status = status_of(exchange->status);
	char page[512];
	int size = snprintf(page, sizeof page,
			    "<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\"><title>%d %s</title>\n"
			    "<h1>%d %s</h1>\n<p>%s</p>\n</html>\n",
			    status->code, status->reason, status->code, status->reason, status->detail);
	exchange_header(exchange, "Content-Type", "text/html; charset=utf-8");
	exchange_header(exchange, "X-Content-Type-Options", "nosniff");
	exchange_finish(exchange, (uint64_t)size);
	memcpy(exchange->text.at, page, (size_t)size); /* HEAD_MAX leaves more room than that behind it */
	exchange_send(exchange, exchange->text.at, (size_t)size);
}

void exchange_status(struct exchange *exchange, int code)
{
	exchange_begin(exchange, code);
	if (code == 503)
		exchange_header(exchange, "Retry-After", "1");
	exchange_page(exchange);
}

static void answer_method(struct exchange *exchange)
{
	llhttp_method_t method = request_method(exchange->request);
	if (method == HTTP_GET || method == HTTP_HEAD) {
		file_answer(exchange);
		return;
	}
	exchange_begin(exchange, method == HTTP_OPTIONS ? 204 : 405);
	exchange_header(exchange, "Allow", "GET, HEAD, OPTIONS");
	if (method != HTTP_OPTIONS) {
		exchange_page(exchange);
		return;
	}
	exchange_finish(exchange, UINT64_MAX);
	exchange_send(exchange, NULL, 0);
}

static void answer(struct exchange *exchange)
{
	if (exchange->connection->refuse)
		exchange_status(exchange, 503);
	else if (exchange->request->status != 0)
		exchange_status(exchange, exchange->request->status);
	else
		answer_method(exchange);
}

/* "5f3a9c01-17-3": this run of the server, the connection, and the request on it. */
static void make_id(struct exchange *exchange)
{
	struct text text = text_on(exchange->id, sizeof exchange->id - 1);
	text_put(&text, exchange->connection->server->instance);
	text_char(&text, '-');
	text_decimal(&text, exchange->connection->id);
	text_char(&text, '-');
	text_decimal(&text, exchange->connection->requests);
	*text.at = '\0';
}

static void account(const struct exchange *exchange)
{
	struct server *server = exchange->connection->server;
	server->requests_total++;
	server->bytes_total += exchange->bytes;
	server->cut_total += exchange->broken;
	if (server->log.fd < 0)
		return;
	char peer[72];
	address_format(&exchange->connection->peer, peer, sizeof peer);
	wall_update(&server->wall);
	const char *target = request_target(exchange->request);
	struct access_entry entry = {
		.wall = &server->wall,
		.id = exchange->id,
		.peer = peer,
		.method = *target == '\0' ? "-" : llhttp_method_name(request_method(exchange->request)),
		.target = target,
		.status = exchange->status,
		.bytes = exchange->bytes,
		.duration_ns = noria_now() - exchange->connection->request_ns,
	};
	access_log_add(&server->log, &entry);
}

enum exchange_end exchange_run(struct connection *connection)
{
	struct server *server = connection->server;
	struct request *request = &connection->work->request;
	struct exchange exchange = {
		.connection = connection,
		.request = request,
		.head = request_method(request) == HTTP_HEAD,
		.close = !request->keep_alive || request->unread || request->status != 0 || connection->refuse,
		.output = pool_get(&server->outputs),
	};
	if (exchange.output == NULL) {
		report("no memory for an answer");
		return EXCHANGE_BROKEN;
	}
	connection->requests++;
	make_id(&exchange);
	wall_update(&server->wall);
	answer(&exchange);
	pool_put(&server->outputs, exchange.output);
	account(&exchange);
	return exchange.broken ? EXCHANGE_BROKEN : exchange.close ? EXCHANGE_CLOSE : EXCHANGE_KEEP;
}
