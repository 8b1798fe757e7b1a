/* SPDX-License-Identifier: Apache-2.0 */
/* table: aligned columns. Cells hold text from elsewhere: it is made safe for a terminal here. */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include "cli/cli.h"

#define COLUMNS_MAX 16
#define GAP         2

struct cell {
	char *text;
	enum cli_colour colour;
};

struct cli_table {
	struct cli_column columns[COLUMNS_MAX];
	size_t n_columns;
	struct cell *cells;
	size_t n, size;
	bool failed; /* out of memory */
};

struct cli_table *cli_table_new(const struct cli_column *columns, size_t n)
{
	struct cli_table *t = calloc(1, sizeof(*t));

	if (!t)
		return NULL;
	t->n_columns = n < COLUMNS_MAX ? n : COLUMNS_MAX;
	memcpy(t->columns, columns, t->n_columns * sizeof(*columns));
	return t;
}

void cli_cell(struct cli_table *t, enum cli_colour colour, const char *text)
{
	struct cell *bigger;
	size_t size;

	if (!t)
		return;
	if (t->n == t->size) {
		size = t->size ? t->size * 2 : 64;
		bigger = reallocarray(t->cells, size, sizeof(*bigger));
		if (!bigger) {
			t->failed = true;
			return;
		}
		t->cells = bigger;
		t->size = size;
	}
	t->cells[t->n].text = cli_safe(text && *text ? text : "-");
	t->cells[t->n].colour = colour;
	t->failed = t->failed || !t->cells[t->n].text;
	t->n++;
}

void cli_cellf(struct cli_table *t, enum cli_colour colour, const char *fmt, ...)
{
	char *text;
	va_list ap;

	va_start(ap, fmt);
	if (vasprintf(&text, fmt, ap) < 0)
		text = NULL;
	va_end(ap);
	cli_cell(t, colour, text);
	free(text);
}

static size_t total_width(const struct cli_table *t, const size_t *widths, const bool *shown)
{
	size_t i, sum = 0;

	for (i = 0; i < t->n_columns; i++)
		if (shown[i])
			sum += widths[i] + (sum ? GAP : 0);
	return sum;
}

/* Leaves columns out until the table fits, the least important first. */
static void choose_columns(const struct cli_table *t, const size_t *widths, unsigned room,
			   bool *shown)
{
	size_t i, worst;

	for (i = 0; i < t->n_columns; i++)
		shown[i] = true;
	while (room && total_width(t, widths, shown) > room) {
		worst = t->n_columns;
		for (i = 0; i < t->n_columns; i++)
			if (shown[i] && t->columns[i].drop &&
			    (worst == t->n_columns || t->columns[i].drop > t->columns[worst].drop))
				worst = i;
		if (worst == t->n_columns)
			return;
		shown[worst] = false;
	}
}

static void print_cell(const char *text, enum cli_colour colour, size_t width, bool right,
		       bool last)
{
	const int pad = (int)(width - strlen(text));

	if (right)
		printf("%*s", pad, "");
	printf("%s%s%s", cli_on(colour), text, cli_off(colour));
	if (!right && !last)
		printf("%*s", pad, "");
}

/* `cells` NULL: the titles. */
static void print_row(const struct cli_table *t, const size_t *widths, const bool *shown,
		      unsigned indent, const struct cell *cells)
{
	size_t i, last = 0, n = 0;

	for (i = 0; i < t->n_columns; i++)
		if (shown[i])
			last = i;
	printf("%*s", (int)indent, "");
	for (i = 0; i < t->n_columns; i++) {
		if (!shown[i])
			continue;
		printf("%*s", n++ ? GAP : 0, "");
		print_cell(cells ? cells[i].text : t->columns[i].title,
			   cells ? cells[i].colour : CLI_DIM, widths[i], t->columns[i].right,
			   i == last);
	}
	putchar('\n');
}

void cli_table_print(struct cli_table *t, unsigned indent)
{
	const unsigned width = cli_width();
	size_t widths[COLUMNS_MAX], i, rows;
	bool shown[COLUMNS_MAX];

	if (!t || t->failed) {
		fputs("twinbore: out of memory\n", stderr);
		goto out;
	}
	rows = t->n / t->n_columns;
	if (!rows)
		goto out;
	for (i = 0; i < t->n_columns; i++)
		widths[i] = strlen(t->columns[i].title);
	for (i = 0; i < rows * t->n_columns; i++)
		if (strlen(t->cells[i].text) > widths[i % t->n_columns])
			widths[i % t->n_columns] = strlen(t->cells[i].text);
	choose_columns(t, widths, width > indent ? width - indent : width, shown);
	print_row(t, widths, shown, indent, NULL);
	for (i = 0; i < rows; i++)
		print_row(t, widths, shown, indent, t->cells + i * t->n_columns);
out:
	for (i = 0; t && i < t->n; i++)
		free(t->cells[i].text);
	if (t)
		free(t->cells);
	free(t);
}
