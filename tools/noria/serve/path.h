/* SPDX-License-Identifier: MIT */
/* From the target of a request to the name of a file; path.c says how, and what is refused. */
#pragma once

#include "text.h"

struct path {
	const char *
		name; /* relative to the served directory: "a/b.html", "." for the directory itself; never "..", "//" */
	const char *query; /* what follows the path in the target, from its "?"; "" without one */
	bool directory;    /* it was written with a slash at its end: a directory is meant */
};

/*
 * path_decode - decode and normalise the target of a request.
 * @target: as received, NUL-terminated, origin-form or absolute-form; ret_path->query points into it
 * @name: room for strlen(target) + 2 bytes, where ret_path->name is put
 * Returns: 0, or the status to answer with: 400 (not a path, or one that climbs out), 404 (cannot name a file).
 */
int path_decode(const char *target, char *name, struct path *ret_path);

/* Does a component begin with a dot? Such files are not served unless asked for; /.well-known (RFC 8615) is. */
bool path_hidden(const char *name);

/* Append a path, percent-encoded so that it can stand in a URL, in a header and in an HTML attribute. */
void path_encode(struct text *text, const char *name);
