/* SPDX-License-Identifier: Apache-2.0 */
#include "config/diag.h"

#include <stdlib.h>
#include <string.h>
#include "config/tree.h"

void config_diag_init(struct config_diag *d, struct config_errors *out)
{
	*d = (struct config_diag){.out = out};
	out->n = 0;
	out->n_warnings = 0;
}

static struct sb *open_message(struct config_diag *d, struct config_error *list, size_t *n,
			       unsigned line, unsigned column)
{
	struct config_error *e;

	if (*n == CONFIG_MAX_ERRORS) {
		d->n_lost++;
		d->sb = sb_of(d->scratch, sizeof(d->scratch));
		return &d->sb;
	}
	e = &list[(*n)++];
	e->line = line;
	e->column = column;
	d->sb = sb_of(e->text, sizeof(e->text));
	return &d->sb;
}

struct sb *config_diag_error(struct config_diag *d, unsigned line, unsigned column)
{
	return open_message(d, d->out->errors, &d->out->n, line, column);
}

struct sb *config_diag_warning(struct config_diag *d, unsigned line, unsigned column)
{
	const size_t n_lost = d->n_lost;
	struct sb *s = open_message(d, d->out->warnings, &d->out->n_warnings, line, column);

	d->n_lost = n_lost; /* only errors are worth counting */
	return s;
}

static int by_place(const void *va, const void *vb)
{
	const struct config_error *a = va, *b = vb;

	if (a->line != b->line)
		return a->line < b->line ? -1 : 1;
	return (a->column > b->column) - (a->column < b->column);
}

/* In order of place, and each once: what `defaults` says wrongly shows in both tunnels. */
static void sort(struct config_error *list, size_t *n)
{
	size_t i, kept = 0;

	qsort(list, *n, sizeof(*list), by_place);
	for (i = 0; i < *n; i++) {
		if (kept && !by_place(&list[kept - 1], &list[i]) &&
		    !strcmp(list[kept - 1].text, list[i].text))
			continue;
		if (kept != i)
			list[kept] = list[i];
		kept++;
	}
	*n = kept;
}

void config_diag_finish(struct config_diag *d)
{
	struct config_errors *out = d->out;

	sort(out->errors, &out->n);
	sort(out->warnings, &out->n_warnings);
	if (d->n_lost) {
		struct config_error *last = &out->errors[out->n - 1];
		struct sb s = sb_of(last->text, sizeof(last->text));

		sb_printf(&s, "too many errors: %zu more; correct these first", d->n_lost + 1);
	}
}

const char *config_shown(const struct config_node *node, char buf[CONFIG_SHOWN_SIZE])
{
	struct sb s = sb_of(buf, CONFIG_SHOWN_SIZE);

	if (node->kind == CONFIG_NODE_LIST)
		return "a list";
	if (node->kind == CONFIG_NODE_MAP)
		return "a map";
	/* An escape is at most four characters; leave room for the sign that text was cut. */
	if (node->size <= 40) {
		sb_escaped(&s, node->text, node->size);
	} else {
		sb_escaped(&s, node->text, 40);
	}
	if (s.truncated || node->size > 40) {
		if (s.n > CONFIG_SHOWN_SIZE - 4)
			s.n = CONFIG_SHOWN_SIZE - 4;
		s.truncated = false;
		sb_str(&s, "...");
	}
	return buf;
}
