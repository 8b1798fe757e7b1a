/* SPDX-License-Identifier: Apache-2.0 */
/* nearest: which known word somebody meant. */
#include "config/config.h"

#include <string.h>

#define WORD_MAX 48

static unsigned min3(unsigned a, unsigned b, unsigned c)
{
	const unsigned ab = a < b ? a : b;

	return ab < c ? ab : c;
}

/* Edits that turn a into b: insert, delete, replace, swap of neighbours (each once a place). */
static unsigned distance(const char *a, size_t na, const char *b, size_t nb)
{
	unsigned rows[3][WORD_MAX + 1];
	unsigned *before = rows[0], *last = rows[1], *row = rows[2], *swap;
	size_t i, j;

	for (j = 0; j <= nb; j++) {
		before[j] = 0;
		last[j] = (unsigned)j;
	}
	for (i = 1; i <= na; i++) {
		row[0] = (unsigned)i;
		for (j = 1; j <= nb; j++) {
			row[j] = min3(last[j] + 1, row[j - 1] + 1,
				      last[j - 1] + (a[i - 1] != b[j - 1]));
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
			    before[j - 2] + 1 < row[j])
				row[j] = before[j - 2] + 1;
		}
		swap = before;
		before = last;
		last = row;
		row = swap;
	}
	return last[nb];
}

const char *config_nearest(const char *word, const char *const *words, size_t n)
{
	const size_t size = strlen(word);
	const char *best = NULL;
	unsigned limit, d;
	size_t i, n_other;

	if (!size || size > WORD_MAX)
		return NULL;
	/* Two edits, or a third of a long word; of a very short one nearly everything is near. */
	limit = size <= 3 ? 1 : size / 3 > 2 ? (unsigned)(size / 3) : 2;
	for (i = 0; i < n; i++) {
		n_other = strlen(words[i]);
		if (n_other > WORD_MAX)
			continue;
		d = distance(word, size, words[i], n_other);
		if (d <= limit) {
			best = words[i];
			limit = d;
			if (!d)
				break;
			limit--; /* only a better one from now on */
		}
	}
	return best;
}
