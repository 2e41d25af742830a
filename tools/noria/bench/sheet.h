/* SPDX-License-Identifier: MIT */
/* The sheet that charts are drawn on: its head, the table of the runs with their colours, and what is still free. */
#pragma once

#include "panel.h"
#include "portrait.h"

#define SHEET_WIDTH 960

enum { COLOUR_SIZE = 24 };

struct sheet {
	FILE *out;
	const struct portrait *portraits;
	unsigned count;
	char colours[PORTRAITS_MAX][COLOUR_SIZE];
	double top; /* of what comes next */
};

/* The head and the table, with room for charts below of that height. */
void sheet_begin(struct sheet *sheet, double charts);
void sheet_end(struct sheet *sheet);
