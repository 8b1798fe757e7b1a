/* SPDX-License-Identifier: Apache-2.0 */
/* indexes: the numbers of tunnels and of route tables, which stay with their names over reloads. */
#include "config/config.h"

#include <stdlib.h>
#include <string.h>
#include "base/sb.h"

#define NO_INDEX UINT32_MAX

struct known {
	const char *name;
	uint32_t index;
};

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct known *)a)->name, ((const struct known *)b)->name);
}

static size_t n_tunnels(const struct config *c)
{
	size_t i, n = 0;

	for (i = 0; i < c->n_connections; i++)
		n += c->connections[i].n_tunnels;
	return n;
}

/* The old tunnels, sorted by name. */
static void collect(const struct config *old, struct known *known)
{
	size_t i, j, n = 0;

	for (i = 0; i < old->n_connections; i++)
		for (j = 0; j < old->connections[i].n_tunnels; j++)
			known[n++] = (struct known){old->connections[i].tunnels[j].name,
						    old->connections[i].tunnels[j].index};
	qsort(known, n, sizeof(*known), by_name);
}

static bool assign(struct config *c, const struct known *known, size_t n_known, bool *used)
{
	uint32_t next = 0;
	size_t i, j;

	for (i = 0; i < n_known; i++)
		if (known[i].index < c->max_tunnels)
			used[known[i].index] = true;
	for (i = 0; i < c->n_connections; i++) {
		for (j = 0; j < c->connections[i].n_tunnels; j++) {
			struct config_tunnel *t = &c->connections[i].tunnels[j];
			const struct known key = {.name = t->name};
			const struct known *k =
				n_known ? bsearch(&key, known, n_known, sizeof(key), by_name)
					: NULL;

			t->index = k ? k->index : NO_INDEX;
			if (k && k->index >= c->max_tunnels)
				return false; /* max_tunnels shrank below a number in use */
		}
	}
	for (i = 0; i < c->n_connections; i++) {
		for (j = 0; j < c->connections[i].n_tunnels; j++) {
			struct config_tunnel *t = &c->connections[i].tunnels[j];

			if (t->index == NO_INDEX) {
				while (next < c->max_tunnels && used[next])
					next++;
				if (next == c->max_tunnels)
					return false;
				t->index = next++;
			}
			config_tunnel_number(t, t->index);
		}
	}
	return true;
}

void config_tunnel_number(struct config_tunnel *t, uint32_t index)
{
	struct sb s;

	t->index = index;
	if (t->interface[0])
		return;
	s = sb_of(t->interface, sizeof(t->interface));
	sb_printf(&s, "tb%u", index);
}

/* The main table is 0. Tables are few: no sorting. */
static void assign_tables(struct config *c, const struct config *old)
{
	bool used[CONFIG_TABLES_MAX] = {[0] = true}, kept[CONFIG_TABLES_MAX] = {[0] = true};
	const struct config_table *was;
	size_t i;
	uint16_t n;

	for (i = 0; old && i < old->routing.n_tables; i++)
		used[old->routing.tables[i].index] = true;
	for (i = 0; i < c->routing.n_tables; i++) {
		struct config_table *t = &c->routing.tables[i];

		was = old ? config_table_by_name(old, t->name) : NULL;
		t->index = was ? was->index : CONFIG_TABLES_MAX;
		if (!strcmp(t->name, CONFIG_MAIN_TABLE))
			t->index = 0;
		if (t->index < CONFIG_TABLES_MAX)
			kept[t->index] = true;
	}
	for (i = 0; i < c->routing.n_tables; i++) {
		struct config_table *t = &c->routing.tables[i];

		if (t->index < CONFIG_TABLES_MAX)
			continue;
		for (n = 1; n < CONFIG_TABLES_MAX && used[n]; n++)
			;
		/* All are in use: that of a table which goes. There are no more tables than numbers. */
		for (n = n < CONFIG_TABLES_MAX ? n : 1; kept[n]; n++)
			;
		t->index = n;
		used[n] = kept[n] = true;
	}
}

bool config_assign_indexes(struct config *c, const struct config *old)
{
	const size_t n_known = old ? n_tunnels(old) : 0;
	struct known *known = calloc(n_known + 1, sizeof(*known));
	bool *used = calloc(c->max_tunnels, sizeof(*used));
	bool ok = false;

	if (known && used) {
		if (old)
			collect(old, known);
		ok = assign(c, known, n_known, used);
		assign_tables(c, old);
	}
	free(known);
	free(used);
	return ok;
}
