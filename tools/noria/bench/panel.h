/* SPDX-License-Identifier: MIT */
/*
 * One chart of an SVG: a frame with axes, and lines in it. Coordinates are those of the data; on a logarithmic axis they
 * are positive, and what is not lies on its lower end.
 */
#pragma once

#include <stdbool.h>
#include <stdio.h>

struct axis {
	double low, high;
	bool logarithmic;
	const char *name;
};

struct panel {
	FILE *out;
	double left, top, width, height; /* of the plot itself; labels stand outside */
	const char *title;
	struct axis x, y;
};

struct stroke {
	const char *colour;
	double width;
	const char *dashes; /* of stroke-dasharray; NULL: solid */
};

typedef char *words_fn(char *text, size_t size, double number);

/* Widen an axis to round ends, for data from `low` to `high`. A logarithmic one goes in steps of 1, 2, 5. */
void axis_round(struct axis *axis, double low, double high);

/* The frame, the title, the names of the axes. */
void panel_frame(const struct panel *panel);
/* Grid lines and labels at round numbers. */
void panel_ticks_x(const struct panel *panel, words_fn *words);
void panel_ticks_y(const struct panel *panel, words_fn *words);
/* One of them, where the caller wants it. */
void panel_tick_x(const struct panel *panel, double x, const char *label);

/* A text in the middle: why there is nothing to be seen. */
void panel_note(const struct panel *panel, const char *text);

/* A line, point by point; panel_gap() ends a piece, and so does panel_line_end(), the line. */
struct line {
	const struct panel *panel;
	unsigned points; /* of the piece */
};
void panel_line_begin(struct line *line, const struct panel *panel, const struct stroke *stroke);
void panel_point(struct line *line, double x, double y);
void panel_gap(struct line *line);
void panel_line_end(struct line *line);

/* A dot with a text that appears under the pointer. */
void panel_dot(const struct panel *panel, double x, double y, const char *colour, const char *text);

/* Text with the characters escaped that mean something to XML, and a question mark for what it does not have. */
void svg_text(FILE *out, const char *text);
