/* SPDX-License-Identifier: MIT */
/* The access log: one line a request, buffered; and messages to standard error. */
#pragma once

#include <noria/noria.h>
#include <stdbool.h>
#include <stdint.h>

struct wall;

struct access_log {
	int fd;       /* -1: off */
	int own;      /* to be closed at the end; -1: standard output is not */
	bool flusher; /* a task will write what is in the buffer */
	bool napping; /* it still gathers lines, in the scope `nap` */
	struct noria_scope nap;
	struct noria_group *group; /* where the flusher is spawned */
	char *buffer, *spare;
	size_t size;      /* bytes in `buffer` */
	uint64_t dropped; /* lines lost because the log could not keep up */
};

/* One answered request. */
struct access_entry {
	const struct wall *wall;
	const char *id, *peer, *method, *target; /* `target` as received: it is escaped here */
	int status;
	uint64_t bytes; /* of the body, sent */
	int64_t duration_ns;
};

/* @where: a file's name, "-" for standard output, "off". Returns: 0 or a negative errno. Before noria_run(). */
int access_log_open(struct access_log *log, const char *where);

/* Add a line. Not a checkpoint. */
void access_log_add(struct access_log *log, const struct access_entry *entry);

/* Write out what is left. Call when no task adds any more, within the runtime. Checkpoint. */
void access_log_finish(struct access_log *log);

/* After noria_run(). */
void access_log_close(struct access_log *log);

/* Format one line. Pure, for the tests. Returns: its size, at most `room`. */
size_t access_log_format(char *line, size_t room, const struct access_entry *entry);

/* A message on standard error, "noria serve: ...". */
void report(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* The same, with --verbose only: what concerns a single client. */
void report_detail(const char *format, ...) __attribute__((format(printf, 1, 2)));
extern bool report_details;
