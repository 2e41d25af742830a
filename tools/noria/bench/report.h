/* SPDX-License-Identifier: MIT */
/*
 * What a measurement came to, for people and for programs: text on standard output, JSON there, and files. All take
 * several runs, those of a sweep or of a comparison.
 */
#pragma once

#include "portrait.h"
#include "run.h"

#include <jansson.h>
#include <stdio.h>

/* The percentiles that are told everywhere. */
enum { PERCENTILES = 6 };
extern const double report_percentiles[PERCENTILES];

/* One run in full. */
void report_run(const struct run *run);
/* What should make the reader doubt: an overloaded client, requests never sent. Nothing where all is well. */
void report_doubts(const struct run *run);

/* One run as an object. Returns: NULL when there is no memory. */
json_t *report_json(const struct run *run);
/* The document around an array of them. */
json_t *report_document(json_t *runs);
/* Returns: false when it is NULL, or could not be written. */
bool report_print_json(FILE *out, json_t *document);

/* Write the files that the plan asks for. Returns: 0 or a negative errno, explained on standard error. */
int report_files(const struct plan *plan, const struct run *runs, unsigned count);

/* The SVG of runs laid over one another; those of a group stand together. */
void svg_write(FILE *out, const struct portrait *portraits, unsigned count);
