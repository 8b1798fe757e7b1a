/* SPDX-License-Identifier: Apache-2.0 */
#include "config/locate.h"

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

static bool is_named(const struct config_node *map, const char *name)
{
	const struct config_node *v = member(map, "name", 4);

	return v && v->kind == CONFIG_NODE_SCALAR && !strcmp(v->text, name);
}

/* The connection and the tunnel of this name. */
static bool find(const struct config_node *root, const char *name,
		 const struct config_node **connection, const struct config_node **tunnel)
{
	const struct config_node *list = member(root, "connections", 11), *tunnels, *c, *t;

	if (!list || list->kind != CONFIG_NODE_LIST)
		return false;
	for (c = list->first; c; c = c->next) {
		tunnels = member(c, "tunnels", 7);
		if (!tunnels || tunnels->kind != CONFIG_NODE_LIST)
			continue;
		for (t = tunnels->first; t; t = t->next) {
			if (!is_named(t, name))
				continue;
			*connection = c;
			*tunnel = t;
			return true;
		}
	}
	return false;
}

static bool locate(const struct config_node *root, const char *name, const char *path,
		   struct config_place *out)
{
	const struct config_key *key = key_of(&config_tunnel_map, path);
	const bool of_connection = !key;
	const struct config_node *connection, *tunnel, *v;
	struct sb s = sb_of(out->value, sizeof(out->value));

	if (of_connection)
		key = key_of(&config_connection_map, path);
	if (!key || !find(root, name, &connection, &tunnel))
		return false;
	if (of_connection) {
		v = follow(connection, path);
		out->kind = CONFIG_PLACE_CONNECTION;
	} else {
		v = follow(tunnel, path);
		out->kind = CONFIG_PLACE_TUNNEL;
		if (!v) {
			v = follow(member(connection, "defaults", 8), path);
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
	out->line = tunnel->line;
	out->is_list = key->def && key->def[0] == '[';
	sb_str(&s, key->def ? key->def : "");
	return true;
}

bool config_locate(const char *text, size_t size, const char *tunnel, const char *key,
		   struct config_place *out)
{
	struct config_errors errors = {.n = 0};
	struct config_tree *tree = config_tree_new();
	const struct config_node *root;
	struct config_diag diag;
	bool ok = false;

	*out = (struct config_place){.line = 0};
	config_diag_init(&diag, &errors);
	if (tree) {
		root = config_tree_parse(tree, text, size, &diag);
		ok = root && locate(root, tunnel, key, out);
	}
	config_diag_finish(&diag);
	config_tree_free(tree);
	return ok;
}
