/* SPDX-License-Identifier: MIT */
/* Charts in SVG: nothing but text and lines, no script, no font of its own; a picture that can be mailed. */
#include "panel.h"

#include "words.h"

#include <math.h>
#include <string.h>

#define TICKS 6 /* about so many on a linear axis */

static double part(const struct axis *axis, double value)
{
	if (!axis->logarithmic)
		return (value - axis->low) / (axis->high - axis->low);
	return value <= axis->low ? 0 : log(value / axis->low) / log(axis->high / axis->low);
}

static double at_x(const struct panel *panel, double x)
{
	return panel->left + panel->width * part(&panel->x, x);
}

static double at_y(const struct panel *panel, double y)
{
	return panel->top + panel->height * (1 - part(&panel->y, y));
}

void svg_text(FILE *out, const char *text)
{
	while (*text) {
		size_t length = words_character(text);
		if (length == 0)
			putc('?', out);
		else if (strchr("<>&\"", *text))
			fprintf(out, "&#%d;", *text);
		else
			fwrite(text, 1, length, out);
		text += length ? length : 1;
	}
}

/* ---- axes ---- */

/* The next of 1, 2, 5, 10, 20, ... that is at least `value` (or at most, downward). */
static double round_number(double value, bool up)
{
	static const double steps[] = {1, 2, 5, 10};
	double unit = pow(10, floor(log10(value))), best = unit;
	for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
		if (up && steps[i] * unit >= value * 0.9999)
			return steps[i] * unit;
		if (!up && steps[i] * unit <= value * 1.0001)
			best = steps[i] * unit;
	}
	return up ? 10 * unit : best;
}

void axis_round(struct axis *axis, double low, double high)
{
	if (axis->logarithmic) {
		low = low > 0 ? low : 1;
		axis->low = round_number(low, false);
		axis->high = round_number(high > low ? high : low, true);
		if (axis->high < axis->low * 2)
			axis->high = round_number(axis->low * 2, true);
	} else {
		double step = round_number((high > low ? high - low : 1) / TICKS, true);
		axis->low = floor(low / step) * step;
		axis->high = ceil((high > low ? high : low + 1) / step - 0.0001) * step;
	}
}

/* Call for each round number of an axis. */
static void each_tick(const struct axis *axis, void (*tick)(const struct panel *, double, words_fn *),
		      const struct panel *panel, words_fn *words)
{
	if (!axis->logarithmic) {
		double step = round_number((axis->high - axis->low) / TICKS, true);
		double first = ceil(axis->low / step - 0.0001);
		for (int i = 0; (first + i) * step <= axis->high * 1.0001; i++)
			tick(panel, fabs((first + i) * step), words); /* data is never below zero, and there is no -0 */
		return;
	}
	bool many = axis->high / axis->low > 2000; /* then only powers of ten are told */
	for (double at = axis->low; at <= axis->high * 1.0001; at = round_number(at * 1.5, true))
		if (!many || fabs(log10(at) - round(log10(at))) < 0.001)
			tick(panel, at, words);
}

static void tick_y(const struct panel *panel, double y, words_fn *words)
{
	char text[32];
	fprintf(panel->out, "<path class=\"grid\" d=\"M%.1f %.1fh%.1f\"/>", panel->left, at_y(panel, y), panel->width);
	fprintf(panel->out, "<text class=\"end\" x=\"%.1f\" y=\"%.1f\">%s</text>\n", panel->left - 8,
		at_y(panel, y) + 4, words(text, sizeof text, y));
}

void panel_tick_x(const struct panel *panel, double x, const char *label)
{
	fprintf(panel->out, "<path class=\"grid\" d=\"M%.1f %.1fv%.1f\"/>", at_x(panel, x), panel->top, panel->height);
	fprintf(panel->out, "<text class=\"middle\" x=\"%.1f\" y=\"%.1f\">%s</text>\n", at_x(panel, x),
		panel->top + panel->height + 18, label);
}

static void tick_x(const struct panel *panel, double x, words_fn *words)
{
	char text[32];
	panel_tick_x(panel, x, words(text, sizeof text, x));
}

void panel_ticks_x(const struct panel *panel, words_fn *words)
{
	each_tick(&panel->x, tick_x, panel, words);
}

void panel_ticks_y(const struct panel *panel, words_fn *words)
{
	each_tick(&panel->y, tick_y, panel, words);
}

void panel_frame(const struct panel *panel)
{
	double middle = panel->top + panel->height / 2, bottom = panel->top + panel->height;
	fprintf(panel->out, "<text class=\"title\" x=\"%.1f\" y=\"%.1f\">%s</text>\n", panel->left, panel->top - 12,
		panel->title);
	fprintf(panel->out, "<rect class=\"frame\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\"/>\n",
		panel->left, panel->top, panel->width, panel->height);
	fprintf(panel->out, "<text class=\"middle\" x=\"%.1f\" y=\"%.1f\">%s</text>\n", panel->left + panel->width / 2,
		bottom + 38, panel->x.name);
	fprintf(panel->out, "<text class=\"middle\" transform=\"translate(%.1f %.1f) rotate(-90)\">%s</text>\n",
		panel->left - 72, middle, panel->y.name);
}

void panel_note(const struct panel *panel, const char *text)
{
	fprintf(panel->out, "<text class=\"middle faint\" x=\"%.1f\" y=\"%.1f\">%s</text>\n",
		panel->left + panel->width / 2, panel->top + panel->height / 2 + 4, text);
}

/* ---- lines ---- */

void panel_line_begin(struct line *line, const struct panel *panel, const struct stroke *stroke)
{
	*line = (struct line){.panel = panel};
	fprintf(panel->out, "<path class=\"line\" stroke=\"%s\" stroke-width=\"%.1f\"", stroke->colour, stroke->width);
	if (stroke->dashes)
		fprintf(panel->out, " stroke-dasharray=\"%s\"", stroke->dashes);
	fputs(" d=\"", panel->out);
}

void panel_point(struct line *line, double x, double y)
{
	fprintf(line->panel->out, "%c%.1f %.1f", line->points++ ? 'L' : 'M', at_x(line->panel, x),
		at_y(line->panel, y));
}

void panel_gap(struct line *line)
{
	if (line->points == 1) /* a piece of one point would not be seen */
		fputs("h1", line->panel->out);
	line->points = 0;
}

void panel_line_end(struct line *line)
{
	panel_gap(line);
	fputs("\"/>\n", line->panel->out);
}

void panel_dot(const struct panel *panel, double x, double y, const char *colour, const char *text)
{
	fprintf(panel->out, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"3\" fill=\"%s\"><title>", at_x(panel, x),
		at_y(panel, y), colour);
	svg_text(panel->out, text);
	fputs("</title></circle>\n", panel->out);
}
