/* SPDX-License-Identifier: MIT */
/*
 * The SVG report: a table of the runs, which is the legend as well, and charts in which they lie over one another. The
 * axis of percentiles is logarithmic in what lies beyond them, so that each further nine has as much room as the one
 * before; latencies are logarithmic, since what matters is how many times longer the slow ones take.
 */
#include "panel.h"
#include "report.h"
#include "words.h"

#include <math.h>
#include <noria/noria.h>
#include <string.h>

#define WIDTH        960
#define LEFT         100
#define PLOT_WIDTH   (WIDTH - LEFT - 40)
#define PLOT_HEIGHT  240
#define PANEL_HEIGHT (PLOT_HEIGHT + 100)
#define HEAD_HEIGHT  96
#define ROW_HEIGHT   22
#define NINES_MAX    5
#define LABEL_MAX    42

struct sheet {
	FILE *out;
	const struct run *runs;
	unsigned count;
	char colours[RATES_MAX + 8][24];
	double top; /* of what comes next */
};

/* ---- colours and the table ---- */

/* A few runs have colours that most eyes can tell apart; many are a scale from blue to red. */
static void choose_colours(struct sheet *sheet)
{
	static const char *const few[] = {"#0072b2", "#d55e00", "#009e73", "#cc79a7", "#5b3a99", "#8c6d1f"};
	unsigned most = sizeof few / sizeof *few;
	for (unsigned i = 0; i < sheet->count; i++)
		if (sheet->count <= most)
			snprintf(sheet->colours[i], sizeof sheet->colours[i], "%s", few[i]);
		else
			snprintf(sheet->colours[i], sizeof sheet->colours[i], "hsl(%u,75%%,42%%)",
				 230 - 230 * i / (sheet->count - 1));
}

static const double columns[] = {450, 525, 600, 675, 750, 825, 920};

static void print_cell(const struct sheet *sheet, unsigned column, const char *class, const char *text)
{
	fprintf(sheet->out, "<text class=\"%s\" x=\"%.0f\" y=\"%.1f\">%s</text>", class, columns[column], sheet->top,
		text);
}

static void print_heading(struct sheet *sheet)
{
	static const char *const names[] = {"answers/s", "50 %", "99 %", "99.9 %", "max", "errors", "no answer"};
	for (unsigned i = 0; i < sizeof names / sizeof *names; i++)
		print_cell(sheet, i, "end faint", names[i]);
	putc('\n', sheet->out);
	sheet->top += ROW_HEIGHT;
}

static void print_row(struct sheet *sheet, unsigned i)
{
	const struct run *run = &sheet->runs[i];
	char text[32], label[LABEL_MAX + 8];
	fprintf(sheet->out, "<path d=\"M30 %.1fh26\" stroke=\"%s\" stroke-width=\"3\"/><text x=\"66\" y=\"%.1f\">",
		sheet->top - 4, sheet->colours[i], sheet->top);
	snprintf(label, sizeof label, strlen(run->label) > LABEL_MAX ? "%.*s..." : "%.*s", LABEL_MAX, run->label);
	svg_text(sheet->out, label);
	fputs("</text>", sheet->out);
	print_cell(sheet, 0, "end", words_count(text, sizeof text, run_throughput(run)));
	print_cell(sheet, 1, "end", words_time(text, sizeof text, (double)run_latency(run, 50)));
	print_cell(sheet, 2, "end", words_time(text, sizeof text, (double)run_latency(run, 99)));
	print_cell(sheet, 3, "end", words_time(text, sizeof text, (double)run_latency(run, 99.9)));
	print_cell(sheet, 4, "end", words_time(text, sizeof text, (double)hdr_max(run->tally.latency)));
	print_cell(sheet, 5, run_troubles(run) ? "end bad" : "end",
		   words_count(text, sizeof text, (double)run_troubles(run)));
	print_cell(sheet, 6, run->tally.unanswered ? "end bad" : "end",
		   words_count(text, sizeof text, (double)run->tally.unanswered));
	putc('\n', sheet->out);
	sheet->top += ROW_HEIGHT;
}

static void print_head(struct sheet *sheet)
{
	const struct plan *plan = sheet->runs[0].plan;
	fprintf(sheet->out, "<text class=\"large\" x=\"30\" y=\"38\">noria bench</text>\n");
	fprintf(sheet->out,
		"<text class=\"faint\" x=\"30\" y=\"60\">connections: %u, threads: %u, in flight on each: %u; %s; "
		"noria "
		"%s</text>\n",
		plan->connections, plan->threads, plan->depth,
		sheet->runs[0].rate > 0 ? "open loop: latency counts from when a request was due"
					: "closed loop: latency counts from when a request was sent",
		noria_version());
	sheet->top = HEAD_HEIGHT;
	print_heading(sheet);
	for (unsigned i = 0; i < sheet->count; i++)
		print_row(sheet, i);
}

/* ---- charts ---- */

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

/* Where the charts begin: not with the fastest of all, for whose sake the others would be pressed together. */
static double least_latency(const struct sheet *sheet)
{
	double least = INFINITY;
	for (unsigned i = 0; i < sheet->count; i++)
		if (sheet->runs[i].tally.latency->total_count > 0)
			least = fmin(least, (double)run_latency(&sheet->runs[i], 1));
	return isfinite(least) ? least : 1;
}

static double most_latency(const struct sheet *sheet)
{
	double most = 1;
	for (unsigned i = 0; i < sheet->count; i++)
		most = fmax(most, (double)hdr_max(sheet->runs[i].tally.latency));
	return most;
}

/* As many nines as there are answers enough for. */
static unsigned nines(const struct sheet *sheet)
{
	int64_t most = 0;
	unsigned count = 1;
	for (unsigned i = 0; i < sheet->count; i++)
		if (sheet->runs[i].tally.latency->total_count > most)
			most = sheet->runs[i].tally.latency->total_count;
	for (; count < NINES_MAX && most >= 100; most /= 10)
		count++;
	return count;
}

static void chart_percentiles(struct sheet *sheet)
{
	static const char *const names[] = {"0 %", "90 %", "99 %", "99.9 %", "99.99 %", "99.999 %"};
	struct panel panel = next_panel(sheet, "Latency by percentile", "percentile of requests", "latency");
	panel.x.high = nines(sheet);
	panel.y.logarithmic = true;
	axis_round(&panel.y, least_latency(sheet), most_latency(sheet));
	panel_ticks_y(&panel, words_round_time);
	panel_tick_x(&panel, log10(2), "50 %");
	for (unsigned i = 0; i <= panel.x.high; i++)
		panel_tick_x(&panel, i, names[i]);
	panel_frame(&panel);
	for (unsigned i = 0; i < sheet->count; i++) {
		const struct hdr_histogram *latency = sheet->runs[i].tally.latency;
		struct line line;
		if (latency->total_count == 0)
			continue;
		panel_line_begin(&line, &panel, &(struct stroke){sheet->colours[i], 2, NULL});
		for (double x = 0; x <= panel.x.high + 0.001; x += 0.02)
			panel_point(&line, x, (double)hdr_value_at_percentile(latency, 100 - 100 * pow(10, -x)));
		panel_line_end(&line);
	}
}

static double run_seconds(const struct run *run)
{
	return (double)run->measured_ns / 1e9 / run->rounds;
}

static double longest(const struct sheet *sheet)
{
	double seconds = 0;
	for (unsigned i = 0; i < sheet->count; i++)
		seconds = fmax(seconds, run_seconds(&sheet->runs[i]));
	return seconds;
}

/* A slice: when it was, and how long, in seconds. Returns: false when the run did not come so far. */
static bool slice_time(const struct run *run, unsigned number, double *ret_middle, double *ret_length)
{
	double whole = (double)run->tally.slice_ns / 1e9, begin = number * whole;
	double length = fmin(whole, run_seconds(run) - begin);
	*ret_middle = begin + length / 2;
	*ret_length = length;
	return number < run->tally.slices_count && length > whole / 4; /* of less than a quarter nothing can be said */
}

static double slice_rate(const struct run *run, unsigned number, double length)
{
	return (double)run->tally.slices[number].answers / length / run->rounds;
}

static void print_slice_troubles(const struct panel *panel, const struct run *run)
{
	double middle, length;
	char text[144], count[32];
	for (unsigned k = 0; slice_time(run, k, &middle, &length); k++) {
		if (run->tally.slices[k].troubles == 0)
			continue;
		words_count(count, sizeof count, (double)run->tally.slices[k].troubles);
		snprintf(text, sizeof text, "%s: %s errors", run->label, count);
		panel_dot(panel, middle, 0, "#c00", text);
	}
}

static void chart_throughput(struct sheet *sheet)
{
	struct panel panel = next_panel(sheet, "Throughput over time", "seconds", "answers a second");
	double most = 1, middle, length;
	bool troubles = false;
	for (unsigned i = 0; i < sheet->count; i++) {
		for (unsigned k = 0; slice_time(&sheet->runs[i], k, &middle, &length); k++)
			most = fmax(most, slice_rate(&sheet->runs[i], k, length));
		troubles |= run_troubles(&sheet->runs[i]) > 0;
	}
	axis_round(&panel.y, 0, most);
	panel.x.high = longest(sheet);
	panel_ticks_y(&panel, words_count);
	panel_ticks_x(&panel, words_count);
	panel_frame(&panel);
	if (troubles)
		print_key(&panel, "dots: errors");
	for (unsigned i = 0; i < sheet->count; i++) {
		struct line line;
		panel_line_begin(&line, &panel, &(struct stroke){sheet->colours[i], 2, NULL});
		for (unsigned k = 0; slice_time(&sheet->runs[i], k, &middle, &length); k++)
			panel_point(&line, middle, slice_rate(&sheet->runs[i], k, length));
		panel_line_end(&line);
		print_slice_troubles(&panel, &sheet->runs[i]);
	}
}

static void line_of_slices(const struct panel *panel, const struct run *run, double percentile,
			   const struct stroke *stroke)
{
	struct line line;
	double middle, length;
	panel_line_begin(&line, panel, stroke);
	for (unsigned k = 0; slice_time(run, k, &middle, &length); k++) {
		const struct hdr_histogram *latency = run->tally.slices[k].latency;
		if (latency->total_count == 0)
			panel_gap(&line);
		else
			panel_point(&line, middle, (double)hdr_value_at_percentile(latency, percentile));
	}
	panel_line_end(&line);
}

static void chart_latency(struct sheet *sheet)
{
	struct panel panel = next_panel(sheet, "Latency over time", "seconds", "latency");
	panel.y.logarithmic = true;
	axis_round(&panel.y, least_latency(sheet), most_latency(sheet));
	panel.x.high = longest(sheet);
	panel_ticks_y(&panel, words_round_time);
	panel_ticks_x(&panel, words_count);
	panel_frame(&panel);
	print_key(&panel, sheet->count == 1 ? "solid: 99 %, dashed: 50 %, thin: max" : "solid: 99 %, dashed: 50 %");
	for (unsigned i = 0; i < sheet->count; i++) {
		const char *colour = sheet->colours[i];
		line_of_slices(&panel, &sheet->runs[i], 99, &(struct stroke){colour, 2, NULL});
		line_of_slices(&panel, &sheet->runs[i], 50, &(struct stroke){colour, 1.5, "5 4"});
		if (sheet->count == 1)
			line_of_slices(&panel, &sheet->runs[i], 100, &(struct stroke){colour, 0.7, NULL});
	}
}

/* Only of a sweep: runs that differ in their rates, the lowest first. */
static bool is_sweep(const struct sheet *sheet)
{
	for (unsigned i = 1; i < sheet->count; i++)
		if (sheet->runs[i].rate <= sheet->runs[i - 1].rate)
			return false;
	return sheet->count > 1;
}

static void chart_rates(struct sheet *sheet)
{
	static const double percentiles[] = {50, 99, 99.9};
	static const char *const dashes[] = {"5 4", NULL, "1 3"};
	struct panel panel = next_panel(sheet, "Latency by rate", "requests offered a second", "latency");
	panel.x.logarithmic = panel.y.logarithmic = true;
	axis_round(&panel.x, sheet->runs[0].rate, sheet->runs[sheet->count - 1].rate);
	axis_round(&panel.y, least_latency(sheet), most_latency(sheet));
	panel_ticks_y(&panel, words_round_time);
	panel_ticks_x(&panel, words_count);
	panel_frame(&panel);
	print_key(&panel, "dotted: 99.9 %, solid: 99 %, dashed: 50 %");
	for (unsigned k = 0; k < sizeof percentiles / sizeof *percentiles; k++) {
		struct line line;
		panel_line_begin(&line, &panel, &(struct stroke){"#444", 1.5, dashes[k]});
		for (unsigned i = 0; i < sheet->count; i++)
			panel_point(&line, sheet->runs[i].rate, (double)run_latency(&sheet->runs[i], percentiles[k]));
		panel_line_end(&line);
	}
	for (unsigned i = 0; i < sheet->count; i++)
		panel_dot(&panel, sheet->runs[i].rate, (double)run_latency(&sheet->runs[i], 99), sheet->colours[i],
			  sheet->runs[i].label);
}

void svg_write(FILE *out, const struct run *runs, unsigned count)
{
	struct sheet sheet = {.out = out, .runs = runs, .count = count};
	bool sweep = is_sweep(&sheet);
	double height = HEAD_HEIGHT + (count + 1) * ROW_HEIGHT + (sweep ? 4 : 3) * PANEL_HEIGHT + 10;
	fprintf(out,
		"<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %.0f\" width=\"%d\" height=\"%.0f\" "
		"font-family=\"system-ui,sans-serif\" font-size=\"13\" fill=\"#222\">\n"
		"<style>.grid{stroke:#e4e4e4}.frame{fill:none;stroke:#999}.line{fill:none;stroke-linejoin:round}"
		".end{text-anchor:end}.middle{text-anchor:middle}.title{font-size:15px;font-weight:600}"
		".large{font-size:22px;font-weight:600}.faint{fill:#666}.bad{fill:#c00;font-weight:600}"
		"text{font-variant-numeric:tabular-nums}</style>\n"
		"<rect width=\"100%%\" height=\"100%%\" fill=\"#fff\"/>\n",
		WIDTH, height, WIDTH, height);
	choose_colours(&sheet);
	print_head(&sheet);
	chart_percentiles(&sheet);
	if (sweep)
		chart_rates(&sheet);
	chart_throughput(&sheet);
	chart_latency(&sheet);
	fputs("</svg>\n", out);
}
