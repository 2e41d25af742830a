/* SPDX-License-Identifier: MIT */
/* The media type of a file, by its name; mime.c has the table. */
#pragma once

/* Returns: a constant string for Content-Type, never NULL; application/octet-stream for what is not known. */
const char *mime_type(const char *path);
