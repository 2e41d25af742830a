/* SPDX-License-Identifier: MIT */
/*
 * A line goes into a buffer; a task that exists only while there is something to write naps a moment, so that lines
 * gather, and writes them with one operation. A buffer that is half full ends the nap. There are two buffers: one is
 * filled while the other is written. When both are full the log is too slow for the server, and lines are dropped and
 * counted rather than requests held up: adding a line never waits.
 *
 * What a client chose (the target) is escaped: a quote, a backslash, control characters and bytes beyond ASCII become
 * \xHH, so that a line is always one line and a terminal is never sent an escape sequence.
 */
#include "log.h"

#include "text.h"
#include "wall.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define BUFFER_SIZE     (256 * 1024)
#define LINE_MAX_SIZE   2048
#define TARGET_MAX_SIZE 1024 /* of a target, escaped; longer ones are cut */
#define GATHER_MS       100
#define LAST_WRITE_S    5 /* how long a cancelled server waits for its log */

bool report_details;

static void vreport(const char *format, va_list arguments)
{
	char message[512];
	vsnprintf(message, sizeof message, format, arguments);
	fprintf(stderr, "noria serve: %s\n", message);
}

void report(const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	vreport(format, arguments);
	va_end(arguments);
}

void report_detail(const char *format, ...)
{
	if (!report_details)
		return;
	va_list arguments;
	va_start(arguments, format);
	vreport(format, arguments);
	va_end(arguments);
}

int access_log_open(struct access_log *log, const char *where)
{
	*log = (struct access_log){.fd = -1, .own = -1};
	if (strcmp(where, "off") == 0)
		return 0;
	if (strcmp(where, "-") == 0) {
		log->fd = STDOUT_FILENO;
	} else {
		log->fd = log->own = open(where, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
	}
	if (log->fd < 0)
		return -errno;
	log->buffer = malloc(BUFFER_SIZE);
	log->spare = malloc(BUFFER_SIZE);
	return log->buffer && log->spare ? 0 : -ENOMEM;
}

static void put_escaped(struct text *text, const char *value)
{
	char *cut = text->at + TARGET_MAX_SIZE;
	for (; *value != '\0' && text->at < cut; value++) {
		unsigned char c = (unsigned char)*value;
		if (c > ' ' && c < 0x7f && c != '"' && c != '\\') {
			text_char(text, *value);
		} else {
			char escape[4] = {'\\', 'x', "0123456789abcdef"[c >> 4], "0123456789abcdef"[c & 15]};
			text_bytes(text, escape, sizeof escape);
		}
	}
	if (*value != '\0')
		text_put(text, "...");
}

static void put_milliseconds(struct text *text, const struct timespec *now)
{
	int ms = (int)(now->tv_nsec / 1000000);
	char digits[4] = {'.', (char)('0' + ms / 100), (char)('0' + ms / 10 % 10), (char)('0' + ms % 10)};
	text_bytes(text, digits, sizeof digits);
}

size_t access_log_format(char *line, size_t room, const struct access_entry *entry)
{
	struct text text = text_on(line, room - 1);
	text_bytes(&text, entry->wall->iso, sizeof entry->wall->iso);
	put_milliseconds(&text, &entry->wall->now);
	text_put(&text, "Z ");
	text_put(&text, entry->id);
	text_char(&text, ' ');
	text_put(&text, entry->peer);
	text_char(&text, ' ');
	text_put(&text, entry->method);
	text_put(&text, " \"");
	put_escaped(&text, entry->target);
	text_put(&text, "\" ");
	text_decimal(&text, (uint64_t)entry->status);
	text_char(&text, ' ');
	text_decimal(&text, entry->bytes);
	text_char(&text, ' ');
	text_decimal(&text, (uint64_t)(entry->duration_ns < 0 ? 0 : entry->duration_ns / 1000));
	text_put(&text, "us");
	*text.at++ = '\n';
	return text_size(&text);
}

/* Write the buffer out; new lines go to the other one meanwhile. A server that ends waits for its log, but not long. */
static void write_out(struct access_log *log)
{
	char *full = log->buffer;
	size_t size = log->size;
	log->buffer = log->spare;
	log->spare = full;
	log->size = 0;
	ssize_t written = noria_write_all(log->fd, full, size);
	if (written == -ECANCELED) {
		size_t done = noria_progress();
		written = noria_shielded(noria_sec(LAST_WRITE_S), noria_write_all(log->fd, full + done, size - done));
	}
	if (written < 0) {
		report("the access log cannot be written (%s): no more lines", strerror((int)-written));
		log->fd = -1;
	}
}

static void nap(struct access_log *log)
{
	if (noria_scope_open(&log->nap, NORIA_FOREVER, 0) < 0)
		return;
	log->napping = true;
	int error = noria_sleep(noria_msec(GATHER_MS));
	log->napping = false;
	noria_scope_close(&log->nap, error);
}

static int flush_task(void *arg)
{
	struct access_log *log = arg;
	while (log->fd >= 0 && log->size > 0) {
		nap(log);
		write_out(log);
	}
	log->flusher = false;
	return 0;
}

void access_log_add(struct access_log *log, const struct access_entry *entry)
{
	if (log->fd < 0)
		return;
	if (BUFFER_SIZE - log->size < LINE_MAX_SIZE) {
		log->dropped++;
		return;
	}
	log->size += access_log_format(log->buffer + log->size, LINE_MAX_SIZE, entry);
	if (!log->flusher)
		log->flusher = noria_spawn(log->group, flush_task, log) == 0;
	else if (log->napping && log->size > BUFFER_SIZE / 2)
		noria_scope_cancel(&log->nap);
}

void access_log_finish(struct access_log *log)
{
	if (log->fd >= 0 && log->size > 0)
		write_out(log);
	if (log->dropped > 0)
		report("%llu lines of the access log were dropped: it could not be written fast enough",
		       (unsigned long long)log->dropped);
}

void access_log_close(struct access_log *log)
{
	if (log->own >= 0)
		close(log->own);
	free(log->buffer);
	free(log->spare);
	*log = (struct access_log){.fd = -1, .own = -1};
}
