/* SPDX-License-Identifier: MIT */
/*
 * GET and HEAD: from the target to a file, and from the file to an answer.
 *
 * Nothing outside the served directory can be opened: every open is an openat2(2) from that directory's descriptor with
 * RESOLVE_BENEATH, so the kernel refuses a path, or a symbolic link on the way, that leads out, also while somebody
 * renames directories. O_NONBLOCK keeps the open of a FIFO from waiting; whatever is not a regular file is then refused.
 * What is asked of a file that is open (statx without a sync) does not wait, and is called directly; so is an open
 * whose path is in the kernel's cache (RESOLVE_CACHED), and the ring does the rest.
 */
#include "condition.h"
#include "mime.h"
#include "path.h"
#include "serve.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <noria/noria.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define RACES_MAX 8 /* how often an open is tried again that a rename disturbed */

/* Returns: a descriptor, or a negative errno. Checkpoint. */
static int open_beneath(const struct server *server, const char *name, int flags)
{
	struct open_how how = {
		.flags = (unsigned)(O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK | flags),
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS | RESOLVE_CACHED,
	};
	int fd = (int)syscall(SYS_openat2, server->root_fd, name, &how, sizeof how);
	if (fd >= 0)
		return fd;
	if (errno != EAGAIN && errno != ENOSYS) /* a filter, or Valgrind, may know the call on the ring alone */
		return -errno;
	how.resolve &= ~(uint64_t)RESOLVE_CACHED;
	for (int i = 0; i < RACES_MAX && (i == 0 || fd == -EAGAIN); i++)
		fd = noria_openat2(server->root_fd, name, &how, sizeof how);
	return fd;
}

static int status_of_error(int error)
{
	switch (error) {
	case -ENOENT:
	case -ENOTDIR:
	case -ENAMETOOLONG:
	case -ELOOP:
	case -EXDEV: /* a link that leads out: as if it were not there */
	case -ENXIO: /* a socket, or a device without a driver */
	case -ENODEV:
		return 404;
	case -EACCES:
	case -EPERM:
		return 403;
	case -EMFILE:
	case -ENFILE:
	case -ENOMEM:
	case -EAGAIN:
		return 503;
	default:
		return 500;
	}
}

static void answer_error(struct exchange *exchange, int error)
{
	int status = status_of_error(error);
	if (error == -ECANCELED) {
		exchange->broken = true;
		return;
	}
	if (status >= 500)
		report("%s: %s", exchange->id, strerror(-error));
	exchange_status(exchange, status);
}

static void put_date(struct exchange *exchange, const char *name, time_t when)
{
	struct text *text = &exchange->text;
	text_put(text, name);
	text_put(text, ": ");
	date_format(text, when);
	text_put(text, "\r\n");
}

/* What an answer about a file says of its state, also a 304 or 412. */
static void put_validators(struct exchange *exchange, const struct validators *validators)
{
	time_t now = exchange->connection->server->wall.now.tv_sec;
	exchange_header(exchange, "ETag", validators->etag);
	put_date(exchange, "Last-Modified", validators->modified < now ? validators->modified : now);
}

static void put_content_range(struct exchange *exchange, uint64_t first, uint64_t count, uint64_t size)
{
	struct text *text = &exchange->text;
	text_put(text, "Content-Range: bytes ");
	if (count > 0) {
		text_decimal(text, first);
		text_char(text, '-');
		text_decimal(text, first + count - 1);
	} else {
		text_char(text, '*');
	}
	text_char(text, '/');
	text_decimal(text, size);
	text_put(text, "\r\n");
}

static void answer_unsatisfiable(struct exchange *exchange, uint64_t size)
{
	exchange_begin(exchange, 416);
	put_content_range(exchange, 0, 0, size);
	exchange_page(exchange);
}

/* A file that could not be read, and nothing was sent yet. */
static void answer_unread(struct exchange *exchange, int error)
{
	answer_error(exchange, error == -ENODATA ? -EAGAIN : error);
}

/* Once a header is on its way, which says how many bytes follow, what fails ends the connection. */
static void send_large(struct exchange *exchange, int fd, uint64_t first, uint64_t count)
{
	int error = send_file(exchange, fd, first, count);
	if (error == 0)
		return;
	if (!exchange->begun) {
		answer_unread(exchange, error);
		return;
	}
	exchange->broken = true;
	if (error == -ENODATA)
		report("%s: the file became shorter while it was sent", exchange->id);
	else
		report_detail("%s: the answer was not taken: %s", exchange->id, strerror(-error));
}

static void send_body(struct exchange *exchange, int fd, uint64_t first, uint64_t count)
{
	if (exchange->head || count == 0) {
		exchange_send(exchange, NULL, 0);
	} else if (count > SMALL_MAX) {
		send_large(exchange, fd, first, count);
	} else {
		int error = read_file(fd, exchange->text.at, (size_t)count, first);
		if (error == 0)
			exchange_send(exchange, exchange->text.at, (size_t)count);
		else
			answer_unread(exchange, error);
	}
}

static void answer_content(struct exchange *exchange, int fd, const char *name, const struct statx *file,
			   const struct validators *validators)
{
	const struct request *request = exchange->request;
	time_t now = exchange->connection->server->wall.now.tv_sec;
	const char *range = exchange->head ? NULL : request_header(request, REQUEST_RANGE);
	if (range && !range_condition(request_header(request, REQUEST_IF_RANGE), validators, now))
		range = NULL;
	uint64_t first, count;
	enum range_kind kind = range_of(range, file->stx_size, &first, &count);
	if (kind == RANGE_UNSATISFIABLE) {
		answer_unsatisfiable(exchange, file->stx_size);
		return;
	}
	exchange_begin(exchange, kind == RANGE_PART ? 206 : 200);
	exchange_header(exchange, "Content-Type", mime_type(name));
	exchange_header(exchange, "X-Content-Type-Options", "nosniff");
	exchange_header(exchange, "Accept-Ranges", "bytes");
	put_validators(exchange, validators);
	if (kind == RANGE_PART)
		put_content_range(exchange, first, count, file->stx_size);
	exchange_finish(exchange, count);
	send_body(exchange, fd, first, count);
}

static void answer_file(struct exchange *exchange, int fd, const char *name, const struct statx *file)
{
	const struct request *request = exchange->request;
	struct validators validators;
	struct conditions conditions = {
		.if_match = request_header(request, REQUEST_IF_MATCH),
		.if_none_match = request_header(request, REQUEST_IF_NONE_MATCH),
		.if_modified_since = request_header(request, REQUEST_IF_MODIFIED_SINCE),
		.if_unmodified_since = request_header(request, REQUEST_IF_UNMODIFIED_SINCE),
	};
	validators_of(file, &exchange->connection->server->wall.now, &validators);
	int status = condition_status(&conditions, &validators);
	if (status == 200) {
		answer_content(exchange, fd, name, file, &validators);
		return;
	}
	exchange_begin(exchange, status);
	put_validators(exchange, &validators);
	if (status == 412) {
		exchange_page(exchange);
		return;
	}
	exchange_finish(exchange, UINT64_MAX);
	exchange_send(exchange, NULL, 0);
}

/* The address of a directory without its slash: send the client to the one with it. */
static void answer_redirect(struct exchange *exchange, const struct path *path)
{
	struct text *text = &exchange->text;
	exchange_begin(exchange, 301);
	text_put(text, "Location: /");
	path_encode(text, path->name);
	text_char(text, '/');
	text_put(text, path->query);
	text_put(text, "\r\n");
	exchange_page(exchange);
}

/* What is behind a descriptor that was opened: a file, a directory, or something not to be served. */
static void answer_opened(struct exchange *exchange, int fd, const struct path *path)
{
	struct statx file;
	if (statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_BASIC_STATS, &file) < 0)
		answer_error(exchange, -errno);
	else if (S_ISDIR(file.stx_mode))
		answer_redirect(exchange, path);
	else if (S_ISREG(file.stx_mode))
		answer_file(exchange, fd, path->name, &file);
	else
		exchange_status(exchange, 403);
	noria_close(fd);
}

/* A directory: its index.html, or what is in it. There is room behind `name` for the longer one. */
static void answer_directory(struct exchange *exchange, const struct path *path)
{
	const struct server *server = exchange->connection->server;
	char *end = exchange->connection->work->name + strlen(path->name);
	strcpy(end, "/index.html");
	int fd = open_beneath(server, path->name, 0);
	if (fd >= 0) {
		answer_opened(exchange, fd, path);
		return;
	}
	*end = '\0';
	if (fd == -ENOENT)
		fd = open_beneath(server, path->name, O_DIRECTORY);
	if (fd < 0) {
		answer_error(exchange, fd);
	} else if (server->options->listing) {
		listing_answer(exchange, fd, path->name);
	} else {
		noria_close(fd);
		exchange_status(exchange, 403);
	}
}

void file_answer(struct exchange *exchange)
{
	const struct server *server = exchange->connection->server;
	struct path path;
	int status = path_decode(request_target(exchange->request), exchange->connection->work->name, &path);
	if (status == 0 && !server->options->hidden && path_hidden(path.name))
		status = 404;
	if (status != 0) {
		exchange_status(exchange, status);
	} else if (path.directory) {
		answer_directory(exchange, &path);
	} else {
		int fd = open_beneath(server, path.name, 0);
		if (fd >= 0)
			answer_opened(exchange, fd, &path);
		else
			answer_error(exchange, fd);
	}
}
