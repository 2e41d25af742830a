/* SPDX-License-Identifier: MIT */
/*
 * The SVG report: a table of the runs (sheet.c), which is the legend as well, and charts in which they lie over one
 * another. The axis of percentiles is logarithmic in what lies beyond them, so that each further nine has as much room
 * as the one before; latencies are logarithmic, since what matters is how many times longer the slow ones take.
 */
#include "report.h"
#include "sheet.h"
#include "words.h"

#include <math.h>
#include <stdio.h>

#define PLOT_WIDTH   (SHEET_WIDTH - LEFT - 40)
#define LEFT         100
#define PLOT_HEIGHT  240
#define PANEL_HEIGHT (PLOT_HEIGHT + 100)

static struct panel next_panel(struct sheet *sheet, const char *title, const char *x, const char *y)
{
	struct panel panel = {
		.out = sheet->out,
		.left = LEFT,
		.top = sheet->top + 44,
		.width = PLOT_WIDTH,
		.height = PLOT_HEIGHT,
		.title = title,
		.x = {.name = x},
		.y = {.name = y},
	};
	sheet->top += PANEL_HEIGHT;
	return panel;
}

/* What the lines of a chart mean, at its upper right corner. */
static void print_key(const struct panel *panel, const char *text)
{
	fprintf(panel->out, "<text class=\"end faint\" x=\"%.1f\" y=\"%.1f\">%s</text>\n", panel->left + panel->width,
		panel->top - 12, text);
}

/* The axis of latencies begins not with the fastest of all, for whose sake the others would be pressed together. */
static void set_latencies(const struct sheet *sheet, struct axis *axis)
{
	double least = INFINITY, most = 1;
	for (unsigned i = 0; i < sheet->count; i++) {
		if (sheet->portraits[i].count < 1)
			continue;
		least = fmin(least, fmax(1, sheet->portraits[i].curve[1])); /* of some 4 % */
		most = fmax(most, sheet->portraits[i].max);
	}
	axis->logarithmic = true;
	axis_round(axis, isfinite(least) ? least : 1e6, fmax(most, isfinite(least) ? least : 1e6));
}

static bool any_latency(const struct sheet *sheet)
{
	for (unsigned i = 0; i < sheet->count; i++)
		if (sheet->portraits[i].count >= 1)
			return true;
	return false;
}

/* The frame of a chart of latencies. Returns: whether there is anything to be drawn in it. */
static bool frame_latencies(const struct sheet *sheet, const struct panel *panel, const char *key)
{
	bool any = any_latency(sheet);
	if (any)
		panel_ticks_y(panel, words_round_time);
	panel_frame(panel);
	if (!any)
		panel_note(panel, "no answers");
	else if (key)
		print_key(panel, key);
	return any;
}

/* As many nines as there are answers enough for. */
static unsigned nines(const struct sheet *sheet)
{
	double most = 0;
	unsigned count = 1;
	for (unsigned i = 0; i < sheet->count; i++)
		most = fmax(most, sheet->portraits[i].count);
	for (; count < NINES_MAX && most >= 100; most /= 10)
		count++;
	return count;
}

static void chart_percentiles(struct sheet *sheet)
{
	static const char *const names[] = {"0 %", "90 %", "99 %", "99.9 %", "99.99 %", "99.999 %"};
	struct panel panel = next_panel(sheet, "Latency by percentile", "percentile of requests", "latency");
	unsigned shown = nines(sheet);
	panel.x.high = shown;
	set_latencies(sheet, &panel.y);
	panel_tick_x(&panel, log10(2), "50 %");
	for (unsigned i = 0; i <= shown; i++)
		panel_tick_x(&panel, i, names[i]);
	frame_latencies(sheet, &panel, NULL);
	for (unsigned i = 0; i < sheet->count; i++) {
		struct line line;
		if (sheet->portraits[i].count < 1)
			continue;
		panel_line_begin(&line, &panel, &(struct stroke){sheet->colours[i], 2, NULL});
		for (unsigned k = 0; k <= shown * POINTS_OF_A_NINE; k++)
			panel_point(&line, (double)k / POINTS_OF_A_NINE, sheet->portraits[i].curve[k]);
		panel_line_end(&line);
	}
}

static double longest(const struct sheet *sheet)
{
	double seconds = 0;
	for (unsigned i = 0; i < sheet->count; i++)
		seconds = fmax(seconds, sheet->portraits[i].seconds);
	return seconds;
}

/* A slice: when it was, and how long, in seconds. Returns: false when the run did not come so far. */
static bool slice_time(const struct portrait *portrait, unsigned number, double *ret_middle, double *ret_length)
{
	double whole = portrait->slice_seconds, begin = number * whole;
	double length = fmin(whole, portrait->seconds - begin);
	*ret_middle = begin + length / 2;
	*ret_length = length;
	if (number >= portrait->slices_count || length <= 0)
		return false;
	return number == 0 || length > whole / 4; /* of less than a quarter nothing can be said, beside others */
}

static double slice_rate(const struct portrait *portrait, unsigned number, double length)
{
	return portrait->slices[number].answers / length / portrait->rounds;
}

static void print_slice_troubles(const struct panel *panel, const struct portrait *portrait)
{
	double middle, length;
	char text[224], count[32];
	for (unsigned k = 0; slice_time(portrait, k, &middle, &length); k++) {
		if (portrait->slices[k].errors <= 0)
			continue;
		words_count(count, sizeof count, portrait->slices[k].errors);
		snprintf(text, sizeof text, "%s: %s errors", portrait->label, count);
		panel_dot(panel, middle, 0, "#c00", text);
	}
}

static void chart_throughput(struct sheet *sheet)
{
	struct panel panel = next_panel(sheet, "Throughput over time", "seconds", "answers a second");
	double most = 0, middle, length;
	bool troubles = false;
	for (unsigned i = 0; i < sheet->count; i++) {
		for (unsigned k = 0; slice_time(&sheet->portraits[i], k, &middle, &length); k++)
			most = fmax(most, slice_rate(&sheet->portraits[i], k, length));
		troubles |= sheet->portraits[i].errors > 0;
	}
	axis_round(&panel.y, 0, most > 0 ? most * 1.02 : 1); /* no line lies on the frame */
	panel.x.high = longest(sheet);
	panel_ticks_y(&panel, words_count);
	panel_ticks_x(&panel, words_number);
	panel_frame(&panel);
	if (troubles)
		print_key(&panel, "dots: errors");
	for (unsigned i = 0; i < sheet->count; i++) {
		struct line line;
		panel_line_begin(&line, &panel, &(struct stroke){sheet->colours[i], 2, NULL});
		for (unsigned k = 0; slice_time(&sheet->portraits[i], k, &middle, &length); k++)
			panel_point(&line, middle, slice_rate(&sheet->portraits[i], k, length));
		panel_line_end(&line);
	}
	for (unsigned i = 0; i < sheet->count; i++)
		print_slice_troubles(&panel, &sheet->portraits[i]);
}

enum which { P50, P99, P999, MAX };

static double latency_of(const struct portrait_slice *slice, enum which which)
{
	return which == P50 ? slice->p50 : which == P99 ? slice->p99 : slice->max;
}

static void line_of_slices(const struct panel *panel, const struct portrait *portrait, enum which which,
			   const struct stroke *stroke)
{
	struct line line;
	double middle, length;
	panel_line_begin(&line, panel, stroke);
	for (unsigned k = 0; slice_time(portrait, k, &middle, &length); k++) {
		double latency = latency_of(&portrait->slices[k], which);
		if (latency < 0)
			panel_gap(&line);
		else
			panel_point(&line, middle, latency);
	}
	panel_line_end(&line);
}

/* With many runs only one line for each: more would be a thicket. */
static void chart_latency(struct sheet *sheet)
{
	static const char *const keys[] = {"solid: 99 %, dashed: 50 %, thin: max", "solid: 99 %, dashed: 50 %", "99 %"};
	struct panel panel = next_panel(sheet, "Latency over time", "seconds", "latency");
	unsigned crowd = sheet->count == 1 ? 0 : sheet->count <= 6 ? 1 : 2;
	set_latencies(sheet, &panel.y);
	panel.x.high = longest(sheet);
	panel_ticks_x(&panel, words_number);
	if (!frame_latencies(sheet, &panel, keys[crowd]))
		return;
	for (unsigned i = 0; i < sheet->count; i++) {
		const char *colour = sheet->colours[i];
		line_of_slices(&panel, &sheet->portraits[i], P99, &(struct stroke){colour, 2, NULL});
		if (crowd <= 1)
			line_of_slices(&panel, &sheet->portraits[i], P50, &(struct stroke){colour, 1.5, "5 4"});
		if (crowd == 0)
			line_of_slices(&panel, &sheet->portraits[i], MAX, &(struct stroke){colour, 0.7, NULL});
	}
}

/* ---- a sweep: the runs of a group that differ in their rates, the lowest first ---- */

/* One group of runs, those of a command. */
struct part {
	const struct portrait *first;
	const char (*colours)[COLOUR_SIZE];
	unsigned count;
};

/* The next group, from run `begin` on. */
static struct part part_from(const struct sheet *sheet, unsigned begin)
{
	struct part part = {.first = &sheet->portraits[begin], .colours = &sheet->colours[begin]};
	while (begin + part.count < sheet->count && part.first[part.count].group == part.first->group)
		part.count++;
	return part;
}

static bool is_sweep(const struct part *part)
{
	for (unsigned i = 1; i < part->count; i++)
		if (part->first[i].rate <= part->first[i - 1].rate)
			return false;
	return part->count > 1 && part->first->rate > 0;
}

/* Returns: how many sweeps there are, and their lowest and highest rate. */
static unsigned sweeps(const struct sheet *sheet, double *ret_low, double *ret_high)
{
	unsigned count = 0;
	struct part part;
	*ret_low = INFINITY;
	*ret_high = 0;
	for (unsigned at = 0; at < sheet->count; at += part.count) {
		part = part_from(sheet, at);
		if (!is_sweep(&part))
			continue;
		count++;
		*ret_low = fmin(*ret_low, part.first->rate);
		*ret_high = fmax(*ret_high, part.first[part.count - 1].rate);
	}
	return count;
}

static double latency_at(const struct portrait *portrait, enum which which)
{
	return which == P50 ? portrait->p50 : which == P99 ? portrait->p99 : portrait->p999;
}

static void line_of_rates(const struct panel *panel, const struct part *part, enum which which,
			  const struct stroke *stroke)
{
	struct line line;
	panel_line_begin(&line, panel, stroke);
	for (unsigned i = 0; i < part->count; i++)
		if (part->first[i].count >= 1)
			panel_point(&line, part->first[i].rate, latency_at(&part->first[i], which));
	panel_line_end(&line);
}

static void draw_sweep(const struct panel *panel, const struct part *part, const char *colour)
{
	static const char *const dashes[] = {"5 4", NULL, "1 3"};
	for (enum which which = P50; which <= P999; which++)
		line_of_rates(panel, part, which, &(struct stroke){colour, 1.5, dashes[which]});
	for (unsigned i = 0; i < part->count; i++)
		if (part->first[i].count >= 1)
			panel_dot(panel, part->first[i].rate, part->first[i].p99, part->colours[i],
				  part->first[i].label);
}

static void chart_rates(struct sheet *sheet)
{
	struct panel panel = next_panel(sheet, "Latency by rate", "requests offered a second", "latency");
	struct part part;
	double low, high;
	unsigned count = sweeps(sheet, &low, &high);
	panel.x.logarithmic = true;
	axis_round(&panel.x, low, high);
	set_latencies(sheet, &panel.y);
	panel_ticks_x(&panel, words_count);
	frame_latencies(sheet, &panel, "dotted: 99.9 %, solid: 99 %, dashed: 50 %");
	for (unsigned at = 0; at < sheet->count; at += part.count) {
		part = part_from(sheet, at);
		if (is_sweep(&part))
			draw_sweep(&panel, &part, count == 1 ? "#444" : part.colours[part.count / 2]);
	}
}

void svg_write(FILE *out, const struct portrait *portraits, unsigned count)
{
	struct sheet sheet = {.out = out, .portraits = portraits, .count = count};
	double low, high;
	bool sweep = sweeps(&sheet, &low, &high) > 0;
	sheet_begin(&sheet, (sweep ? 4 : 3) * PANEL_HEIGHT);
	chart_percentiles(&sheet);
	if (sweep)
		chart_rates(&sheet);
	chart_throughput(&sheet);
	chart_latency(&sheet);
	sheet_end(&sheet);
}
