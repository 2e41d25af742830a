/* SPDX-License-Identifier: MIT */
/*
 * What the parts of the file server share. From the outside in: serve.c (options, listening, drain), connection.c (one
 * task each: the keep-alive loop), exchange.c (one request and the shape of its answer), file.c and listing.c (what the
 * answer is), body.c (bytes on their way out). request.c, path.c, condition.c, date.c, mime.c and log.c's formatting
 * are pure functions. All of it belongs to one runtime's thread.
 */
#pragma once

#include "../listener.h"
#include "log.h"
#include "pool.h"
#include "request.h"
#include "wall.h"

#define INPUT_SIZE  4096        /* of the buffer that requests are received into */
#define SMALL_MAX   (16 * 1024) /* bodies up to here go out with their header from one buffer: measured, see body.c */
#define HEAD_MAX    (40 * 1024) /* room for a header: a redirect repeats a target, three times as long when encoded */
#define OUTPUT_SIZE (HEAD_MAX + SMALL_MAX)

struct serve_options {
	const char *directory;
	struct address address;
	int64_t header_timeout_ns; /* for a request to arrive, from its first byte */
	int64_t idle_timeout_ns;   /* for the next request to begin */
	int64_t send_timeout_ns;   /* without the client taking anything */
	int64_t drain_timeout_ns;
	unsigned connections_max;
	bool connections_given; /* by the user, who is to hear when it cannot be kept */
	struct request_limits limits;
	bool listing; /* directories without an index.html show what is in them */
	bool hidden;  /* names that begin with a dot are served */
	const char *access_log;
};

struct server {
	const struct serve_options *options;
	struct listener listener;
	int root_fd; /* the served directory */
	struct wall wall;
	struct access_log log;
	struct pool workspaces, outputs;
	struct pipes pipes;
	bool entered, listening;       /* how far the start came */
	char instance[17];             /* the first part of request ids: another one each time the server starts */
	unsigned connections, refused; /* now; `refused` are there to be told 503, and not counted in `connections` */
	uint64_t connections_total, requests_total, bytes_total, cut_total;
};

/* What a connection needs while a request is received and answered; an idle one has none. */
struct workspace {
	struct request request;
	char *name; /* room for the decoded path, in `text` */
	char input[INPUT_SIZE];
	char text[]; /* request_text_room(), then `name` */
};

/* Copied into its task's stack when that is spawned. */
struct connection {
	struct server *server;
	int fd;
	bool refuse; /* there are too many: answer 503 and close */
	uint64_t id;
	unsigned requests;
	int64_t request_ns; /* when the first byte of the request was there; for the access log */
	struct sockaddr_storage peer;
	struct workspace *work;
	size_t input_at, input_size; /* bytes of work->input not yet looked at: from, up to */
};

/* One request and its answer. Lives in connection_main()'s frame while that happens. */
struct exchange {
	struct connection *connection;
	struct request *request;
	char id[48];
	int status;
	bool head;        /* a HEAD request: no body */
	bool close;       /* the connection ends with this answer */
	bool begun;       /* of a body larger than SMALL_MAX: some may be out, and the status cannot change any more */
	bool broken;      /* the answer could not be sent in full: nothing more can be */
	uint64_t bytes;   /* of the body, sent */
	char *output;     /* OUTPUT_SIZE bytes */
	struct text text; /* the header, in `output` */
};

#define SERVE_GO_ON (-1)

/* arguments.c: read the arguments. Returns: SERVE_GO_ON, or the code to exit with; explained on standard error. */
int serve_arguments(int argc, char **argv, struct serve_options *options);

/* connection.c: the task of one connection; `arg` is a struct connection. */
int connection_main(void *arg);
/* In a drain: is this the last request that the client has sent? */
bool connection_last(const struct connection *connection);

enum exchange_end {
	EXCHANGE_KEEP = 0, /* another request may follow */
	EXCHANGE_CLOSE,    /* answered, and the client was told that this is the end */
	EXCHANGE_BROKEN,   /* the answer is not out, and cannot be */
};

/* exchange.c: answer the request in connection->work. */
enum exchange_end exchange_run(struct connection *connection);
void exchange_begin(struct exchange *exchange, int status);
void exchange_header(struct exchange *exchange, const char *name, const char *value);
/* End the header; a length of UINT64_MAX leaves Content-Length out, as a 304 does. */
void exchange_finish(struct exchange *exchange, uint64_t length);
/* Send the header as it stands, and `size` bytes of a body. Checkpoint. */
void exchange_send(struct exchange *exchange, const char *body, size_t size);
/* Close the header begun before with a page that says what the status means, and send both. Checkpoint. */
void exchange_page(struct exchange *exchange);
/* The same in one call, for a status that needs no header of its own. Checkpoint. */
void exchange_status(struct exchange *exchange, int status);

/* file.c: answer GET and HEAD. */
void file_answer(struct exchange *exchange);
/* listing.c: answer with the content of a directory. Takes the descriptor over. */
void listing_answer(struct exchange *exchange, int fd, const char *name);

/* body.c: bytes to the client. All answer 0 or a negative errno, and are checkpoints. */
int send_bytes(struct connection *connection, const char *bytes, size_t size, int flags);
/* The header as it stands, and a part of a file that is larger than SMALL_MAX. */
int send_file(struct exchange *exchange, int fd, uint64_t offset, uint64_t size);
/* Read exactly `size` bytes; less is -ENODATA: the file has shrunk. */
int read_file(int fd, char *buffer, size_t size, uint64_t offset);
