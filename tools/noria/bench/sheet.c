/* SPDX-License-Identifier: MIT */
/*
 * Head and table. A few runs have colours that most eyes can tell apart; many of one sweep are a scale from blue to red;
 * of many from several files, each file has a hue. How a run was made stands in the head if all were made alike, else
 * below each.
 */
#include "sheet.h"
#include "words.h"

#include <math.h>
#include <noria/noria.h>
#include <string.h>

#define HEAD_HEIGHT 96
#define ROW_HEIGHT  22
#define MORE_HEIGHT 16 /* of a row's second line */
#define FONT_SIZE   13
#define LABEL_LEFT  66
#define LABEL_WIDTH 312 /* beside the figures */
#define WHOLE_WIDTH (SHEET_WIDTH - LABEL_LEFT - 40)
#define MARGIN      10

/* ---- colours ---- */

static const char *const few[] = {"#0072b2", "#d55e00", "#009e73", "#cc79a7", "#5b3a99", "#8c6d1f",
				  "#56b4e9", "#222222", "#b0003a", "#93b52b", "#e3a008", "#888888"};

enum { FEW = 6, MOST = sizeof few / sizeof *few };

/* A part from 0 to 1 of a scale that is told apart all along. */
static void choose_of_scale(char *colour, double part)
{
	static const unsigned char stops[][3] = {{48, 60, 170},  {30, 140, 210}, {20, 170, 130},
						 {190, 175, 20}, {235, 120, 20}, {170, 15, 40}};
	unsigned last = sizeof stops / sizeof *stops - 1, rgb[3];
	unsigned stop = part >= 1 ? last - 1 : (unsigned)(part * last);
	for (unsigned i = 0; i < 3; i++) {
		double between = part * last - stop;
		rgb[i] = (unsigned)(stops[stop][i] * (1 - between) + stops[stop + 1][i] * between);
	}
	snprintf(colour, COLOUR_SIZE, "#%02x%02x%02x", rgb[0] & 0xff, rgb[1] & 0xff, rgb[2] & 0xff);
}

/* The runs from `begin` to `end` are one group, the number `group` of `groups`. */
static void colour_group(struct sheet *sheet, unsigned begin, unsigned end, unsigned group, unsigned groups)
{
	for (unsigned i = begin; i < end; i++) {
		char *colour = sheet->colours[i];
		double part = end - begin > 1 ? (double)(i - begin) / (end - begin - 1) : 0.5;
		if (sheet->count <= FEW || (groups > 1 && sheet->count <= MOST))
			snprintf(colour, COLOUR_SIZE, "%s", few[i]);
		else if (groups == 1)
			choose_of_scale(colour, part);
		else
			snprintf(colour, COLOUR_SIZE, "hsl(%u,75%%,%.0f%%)", (205 + 360 * group / groups) % 360,
				 28 + 34 * part);
	}
}

static void choose_colours(struct sheet *sheet)
{
	const struct portrait *portraits = sheet->portraits;
	unsigned groups = sheet->count > 0, group = 0, begin = 0;
	for (unsigned i = 1; i < sheet->count; i++)
		groups += portraits[i].group != portraits[i - 1].group;
	for (unsigned end = 1; end <= sheet->count; end++)
		if (end == sheet->count || portraits[end].group != portraits[begin].group) {
			colour_group(sheet, begin, end, group++, groups);
			begin = end;
		}
}

/* ---- the table ---- */

static bool alike(const struct sheet *sheet)
{
	const struct portrait *a = sheet->portraits;
	for (unsigned i = 1; i < sheet->count; i++) {
		const struct portrait *b = &sheet->portraits[i];
		if (a->connections != b->connections || a->threads != b->threads || a->depth != b->depth ||
		    (a->rate > 0) != (b->rate > 0))
			return false;
	}
	return true;
}

static void print_cell(const struct sheet *sheet, unsigned column, const char *class, const char *text)
{
	static const double columns[] = {450, 525, 600, 675, 750, 825, 920};
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

/* About how wide a character is, in ems, rather too much than too little: the font is the reader's. */
static double width_of(const char *character)
{
	if ((unsigned char)*character >= 0x80 || strchr("mwMW@%&", *character))
		return 1;
	return strchr(" .,:;'|!ijlftI()[]{}/-", *character) ? 0.4 : *character >= 'A' && *character <= 'Z' ? 0.8 : 0.64;
}

/* How much of a label has room. Returns: bytes. */
static size_t fitting(const char *label, double room)
{
	size_t at = 0;
	double width = 0;
	while (label[at]) {
		size_t length = words_character(label + at);
		width += width_of(label + at) * FONT_SIZE;
		if (width > room)
			break;
		at += length ? length : 1;
	}
	return at;
}

/* It would reach into the figures. Then they stand below it. */
static bool is_long(const char *label)
{
	return label[fitting(label, LABEL_WIDTH)] != '\0';
}

/* Cut where the sheet ends; whole under the pointer. */
static void print_label(const struct sheet *sheet, const char *label)
{
	char text[sizeof sheet->portraits->label];
	size_t at = fitting(label, is_long(label) ? WHOLE_WIDTH : LABEL_WIDTH);
	snprintf(text, sizeof text, "%.*s", (int)at, label);
	fprintf(sheet->out, "<text x=\"%d\" y=\"%.1f\">", LABEL_LEFT, sheet->top);
	svg_text(sheet->out, text);
	if (label[at]) {
		fputs("\u2026<title>", sheet->out);
		svg_text(sheet->out, label);
		fputs("</title>", sheet->out);
	}
	fputs("</text>", sheet->out);
}

static void print_times(const struct sheet *sheet, const struct portrait *portrait)
{
	const double times[] = {portrait->p50, portrait->p99, portrait->p999, portrait->max};
	char text[32];
	for (unsigned i = 0; i < sizeof times / sizeof *times; i++)
		print_cell(sheet, 1 + i, portrait->count < 1 ? "end faint" : "end",
			   portrait->count < 1 ? "\u2013" : words_time(text, sizeof text, times[i]));
}

/* How it was made. */
static void print_more(struct sheet *sheet, const struct portrait *portrait)
{
	char rate[32];
	fprintf(sheet->out,
		"<text class=\"faint\" font-size=\"11\" x=\"%d\" y=\"%.1f\">%u connection%s, %u thread%s, %u in "
		"flight, ",
		LABEL_LEFT, sheet->top - ROW_HEIGHT + MORE_HEIGHT, portrait->connections,
		portrait->connections == 1 ? "" : "s", portrait->threads, portrait->threads == 1 ? "" : "s",
		portrait->depth);
	if (portrait->rate > 0)
		fprintf(sheet->out, "open loop at %s/s</text>\n", words_count(rate, sizeof rate, portrait->rate));
	else
		fputs("closed loop</text>\n", sheet->out);
	sheet->top += MORE_HEIGHT;
}

static void print_row(struct sheet *sheet, unsigned i)
{
	const struct portrait *portrait = &sheet->portraits[i];
	char text[32];
	fprintf(sheet->out, "<path d=\"M30 %.1fh26\" stroke=\"%s\" stroke-width=\"3\"/>", sheet->top - 4,
		sheet->colours[i]);
	print_label(sheet, portrait->label);
	if (is_long(portrait->label))
		sheet->top += MORE_HEIGHT;
	print_cell(sheet, 0, "end", words_count(text, sizeof text, portrait->throughput));
	print_times(sheet, portrait);
	print_cell(sheet, 5, portrait->errors > 0 ? "end bad" : "end",
		   words_count(text, sizeof text, portrait->errors));
	print_cell(sheet, 6, portrait->unanswered > 0 ? "end bad" : "end",
		   words_count(text, sizeof text, portrait->unanswered));
	putc('\n', sheet->out);
	sheet->top += ROW_HEIGHT;
}

static void print_head(const struct sheet *sheet, bool same)
{
	const struct portrait *first = sheet->portraits;
	fprintf(sheet->out,
		"<text class=\"large\" x=\"30\" y=\"38\">noria bench</text>\n<text class=\"faint\" x=\"30\" y=\"60\">");
	if (same)
		fprintf(sheet->out, "connections: %u, threads: %u, in flight on each: %u; %s; ", first->connections,
			first->threads, first->depth,
			first->rate > 0 ? "open loop: latency counts from when a request was due"
					: "closed loop: latency counts from when a request was sent");
	else
		fputs("latency counts from when a request was due (open loop) or sent (closed loop); ", sheet->out);
	fprintf(sheet->out, "noria %s</text>\n", noria_version());
}

void sheet_begin(struct sheet *sheet, double charts)
{
	bool same = alike(sheet);
	double rows = (sheet->count + 1) * ROW_HEIGHT + (same ? 0 : sheet->count * MORE_HEIGHT);
	for (unsigned i = 0; i < sheet->count; i++)
		rows += is_long(sheet->portraits[i].label) ? MORE_HEIGHT : 0;
	double height = HEAD_HEIGHT + rows + charts + MARGIN;
	fprintf(sheet->out,
		"<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %.0f\" width=\"%d\" height=\"%.0f\" "
		"font-family=\"system-ui,sans-serif\" font-size=\"%d\" fill=\"#222\">\n"
		"<style>.grid{stroke:#e4e4e4}.frame{fill:none;stroke:#999}.line{fill:none;stroke-linejoin:round}"
		".end{text-anchor:end}.middle{text-anchor:middle}.title{font-size:15px;font-weight:600}"
		".large{font-size:22px;font-weight:600}.faint{fill:#666}.bad{fill:#c00;font-weight:600}"
		"text{font-variant-numeric:tabular-nums}</style>\n"
		"<rect width=\"100%%\" height=\"100%%\" fill=\"#fff\"/>\n",
		SHEET_WIDTH, height, SHEET_WIDTH, height, FONT_SIZE);
	choose_colours(sheet);
	print_head(sheet, same);
	sheet->top = HEAD_HEIGHT;
	print_heading(sheet);
	for (unsigned i = 0; i < sheet->count; i++) {
		print_row(sheet, i);
		if (!same)
			print_more(sheet, &sheet->portraits[i]);
	}
}

void sheet_end(struct sheet *sheet)
{
	fputs("</svg>\n", sheet->out);
}
