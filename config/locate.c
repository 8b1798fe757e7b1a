/* SPDX-License-Identifier: Apache-2.0 */
#include "config/locate.h"

#include <stdlib.h>
#include <string.h>
#include "config/tables.h"

static const struct config_node *member(const struct config_node *map, const char *name, size_t n)
{
	const struct config_node *v;

	if (!map || map->kind != CONFIG_NODE_MAP)
		return NULL;
	for (v = map->first; v; v = v->next)
		if (strlen(v->key->text) == n && !memcmp(v->key->text, name, n))
			return v;
	return NULL;
}

/* Down a dotted path. */
static const struct config_node *follow(const struct config_node *map, const char *path)
{
	const char *dot;

	for (; map && (dot = strchr(path, '.')); path = dot + 1)
		map = member(map, path, (size_t)(dot - path));
	return member(map, path, strlen(path));
}

static const struct config_key *key_of(const struct config_map *m, const char *path)
{
	const char *dot = strchr(path, '.');
	const size_t n = dot ? (size_t)(dot - path) : strlen(path);

	for (size_t i = 0; i < m->n; i++) {
		const struct config_key *k = &m->keys[i];

		if (strlen(k->name) != n || memcmp(k->name, path, n) != 0)
			continue;
		if (!dot)
			return k;
		return k->map ? key_of(k->map, dot + 1) : NULL;
	}
	return NULL;
}

/* A scalar or a list of scalars in one line. */
static void print(const struct config_node *v, struct sb *s)
{
	const struct config_node *item;

	if (v->kind == CONFIG_NODE_SCALAR) {
		sb_escaped(s, v->text, v->size);
		return;
	}
	if (v->kind != CONFIG_NODE_LIST)
		return;
	sb_str(s, "[");
	for (item = v->first; item; item = item->next) {
		if (item != v->first)
			sb_str(s, ", ");
		if (item->kind == CONFIG_NODE_SCALAR)
			sb_escaped(s, item->text, item->size);
	}
	sb_str(s, "]");
}

/* ------------------------------------------------------------------ tunnels */

struct entry {
	const char *name;
	const struct config_node *connection, *tunnel;
};

struct config_places {
	struct config_tree *tree;
	size_t n;
	struct entry *entries; /* by name */
};

static const struct config_node *list_of(const struct config_node *map, const char *name)
{
	const struct config_node *v = member(map, name, strlen(name));

	return v && v->kind == CONFIG_NODE_LIST ? v->first : NULL;
}

/* Every tunnel that has a name, put down if there is where; returns how many. */
static size_t list_tunnels(const struct config_node *root, struct entry *out)
{
	const struct config_node *c, *t, *name;
	size_t n = 0;

	for (c = list_of(root, "connections"); c; c = c->next) {
		for (t = list_of(c, "tunnels"); t; t = t->next) {
			name = member(t, "name", 4);
			if (!name || name->kind != CONFIG_NODE_SCALAR)
				continue;
			if (out)
				out[n] = (struct entry){name->text, c, t};
			n++;
		}
	}
	return n;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct entry *)a)->name, ((const struct entry *)b)->name);
}

struct config_places *config_places_new(const char *text, size_t size)
{
	struct config_places *p = calloc(1, sizeof(*p));
	struct config_errors errors = {.n = 0};
	const struct config_node *root = NULL;
	struct config_diag diag;

	if (!p)
		return NULL;
	config_diag_init(&diag, &errors);
	p->tree = config_tree_new();
	if (p->tree)
		root = config_tree_parse(p->tree, text, size, &diag);
	config_diag_finish(&diag);
	if (root) {
		p->n = list_tunnels(root, NULL);
		p->entries = calloc(p->n ? p->n : 1, sizeof(*p->entries));
	}
	if (!p->entries) {
		config_places_free(p);
		return NULL;
	}
	list_tunnels(root, p->entries);
	qsort(p->entries, p->n, sizeof(*p->entries), by_name);
	return p;
}

void config_places_free(struct config_places *p)
{
	if (!p)
		return;
	config_tree_free(p->tree);
	free(p->entries);
	free(p);
}

bool config_places_find(const struct config_places *p, const char *tunnel, const char *path,
			struct config_place *out)
{
	const struct config_key *key = key_of(&config_tunnel_map, path);
	const struct entry wanted = {.name = tunnel}, *e;
	const bool of_connection = !key;
	const struct config_node *v;
	struct sb s;

	*out = (struct config_place){.line = 0};
	s = sb_of(out->value, sizeof(out->value));
	if (of_connection)
		key = key_of(&config_connection_map, path);
	e = p && key ? bsearch(&wanted, p->entries, p->n, sizeof(*e), by_name) : NULL;
	if (!e)
		return false;
	if (of_connection) {
		v = follow(e->connection, path);
		out->kind = CONFIG_PLACE_CONNECTION;
	} else {
		v = follow(e->tunnel, path);
		out->kind = CONFIG_PLACE_TUNNEL;
		if (!v) {
			v = follow(member(e->connection, "defaults", 8), path);
			out->kind = CONFIG_PLACE_DEFAULTS;
		}
	}
	if (v) {
		out->line = v->key->line;
		out->is_list = v->kind == CONFIG_NODE_LIST;
		print(v, &s);
		return true;
	}
	out->kind = CONFIG_PLACE_NOWHERE;
	out->line = e->tunnel->line;
	out->is_list = key->def && key->def[0] == '[';
	sb_str(&s, key->def ? key->def : "");
	return true;
}
