/* SPDX-License-Identifier: Apache-2.0 */
#include "config/schema.h"

#include <string.h>
#include "config/tables.h"

static void store_uint(void *field, size_t size, uint64_t v)
{
	const uint8_t v8 = (uint8_t)v;
	const uint16_t v16 = (uint16_t)v;
	const uint32_t v32 = (uint32_t)v;

	if (size == 1)
		memcpy(field, &v8, size);
	else if (size == 2)
		memcpy(field, &v16, size);
	else if (size == 4)
		memcpy(field, &v32, size);
	else
		memcpy(field, &v, sizeof(v));
}

static bool apply_key(struct config_parse *p, const struct config_key *k,
		      const struct config_node *value, void *target)
{
	char *field = (char *)target + k->offset;
	const size_t n_errors = p->diag.out->n + p->diag.n_lost;
	uint64_t u;
	unsigned w;

	switch (k->kind) {
	case CONFIG_BOOL: return config_get_bool(p, value, (bool *)field);
	case CONFIG_UINT:
		if (!config_get_uint(p, value, k->min, k->max, &u))
			return false;
		store_uint(field, k->size, u);
		return true;
	case CONFIG_DURATION:
		return config_get_duration(p, value, k->min, k->max, k->zero_ok,
					   (struct mono_span *)field);
	case CONFIG_WORD:
		if (!config_get_word(p, value, k->words, &w))
			return false;
		store_uint(field, k->size, w);
		return true;
	case CONFIG_TEXT: return config_get_text(p, value, field, k->size);
	case CONFIG_NAME: return config_get_name(p, value, k->max, field, k->size);
	case CONFIG_PATH: return config_get_path(p, value, field, k->size);
	case CONFIG_ADDRESS: return config_get_address(p, value, (struct ip_addr *)field);
	case CONFIG_MAP: return config_map_apply(p, k->map, value, true, target);
	case CONFIG_CUSTOM:
		k->handle(p, value, field);
		return p->diag.out->n + p->diag.n_lost == n_errors;
	}
	return false;
}

static void note_place(const struct config_key *k, const struct config_node *value, void *target)
{
	if (k->at)
		memcpy((char *)target + k->at, &value, sizeof(value));
}

void config_map_defaults(struct config_parse *p, const struct config_map *m, void *target)
{
	struct config_node plain = {.kind = CONFIG_NODE_SCALAR, .plain = true};
	const struct config_node *value;
	size_t i;

	for (i = 0; i < m->n; i++) {
		const struct config_key *k = &m->keys[i];

		if (k->kind == CONFIG_MAP)
			config_map_defaults(p, k->map, target);
		if (!k->def)
			continue;
		plain.text = k->def;
		plain.size = strlen(k->def);
		value = &plain;
		if (k->def[0] == '[')
			value = config_tree_parse(p->tree, k->def, plain.size, &p->diag);
		if (value)
			(void)apply_key(p, k, value, target);
	}
}

static void report_unknown(struct config_parse *p, const struct config_map *m,
			   const struct config_node *key)
{
	const char *names[CONFIG_KEYS_MAX];
	char buf[CONFIG_SHOWN_SIZE];
	const char *near;
	struct sb *s;
	size_t i;

	if (!strcmp(key->text, "<<")) {
		config_error(&p->diag, key,
			     "merge keys are not supported; use 'defaults:' of a connection for "
			     "what its tunnels share");
		return;
	}
	for (i = 0; i < m->n; i++)
		names[i] = m->keys[i].name;
	near = config_nearest(key->text, names, m->n);
	s = config_diag_error(&p->diag, key->line, key->column);
	if (near) {
		sb_printf(s, "unknown key '%s'; did you mean '%s'?", config_shown(key, buf), near);
		return;
	}
	for (i = 0; i < m->n; i++) {
		const struct config_map *below = m->keys[i].map;
		size_t j;

		for (j = 0; below && j < below->n && j < CONFIG_KEYS_MAX; j++)
			names[j] = below->keys[j].name;
		near = below ? config_nearest(key->text, names, j) : NULL;
		if (near) {
			sb_printf(s, "unknown key '%s' here; did you mean '%s' below '%s'?",
				  config_shown(key, buf), near, m->keys[i].name);
			return;
		}
	}
	sb_printf(s, "unknown key '%s'; %s has ", config_shown(key, buf), m->what);
	for (i = 0; i < m->n; i++)
		sb_printf(s, "%s%s", i ? ", " : "", names[i]);
}

void config_map_report_missing(struct config_parse *p, const struct config_map *m,
			       const struct config_node *at, const struct config_key *key)
{
	config_error(&p->diag, at, "%s has no '%s'; add %s", m->what, key->name, key->hint);
}

bool config_map_apply(struct config_parse *p, const struct config_map *m,
		      const struct config_node *node, bool with_required, void *target)
{
	const struct config_node *seen[CONFIG_KEYS_MAX] = {NULL};
	const struct config_node *v;
	char buf[CONFIG_SHOWN_SIZE];
	bool ok = true;
	size_t i;

	if (node->kind != CONFIG_NODE_MAP) {
		config_error(&p->diag, node, "%s is a map ('key: value' lines), not %s%s%s",
			     m->what, node->kind == CONFIG_NODE_SCALAR ? "'" : "",
			     config_shown(node, buf), node->kind == CONFIG_NODE_SCALAR ? "'" : "");
		return false;
	}
	for (v = node->first; v; v = v->next) {
		for (i = 0; i < m->n && strcmp(m->keys[i].name, v->key->text) != 0; i++)
			;
		if (i == m->n) {
			report_unknown(p, m, v->key);
			ok = false;
		} else if (seen[i]) {
			config_error(&p->diag, v->key, "duplicate key '%s'; it was set in line %u",
				     m->keys[i].name, seen[i]->key->line);
			ok = false;
		} else {
			seen[i] = v;
			note_place(&m->keys[i], v, target);
			if (!apply_key(p, &m->keys[i], v, target))
				ok = false;
		}
	}
	for (i = 0; i < m->n && with_required; i++) {
		if (m->keys[i].required && !seen[i]) {
			config_map_report_missing(p, m, node, &m->keys[i]);
			ok = false;
		}
	}
	return ok;
}

/* ------------------------------------------------------------ for documents */

struct walk {
	void (*fn)(void *ctx, const char *path, const struct config_key *key);
	void *ctx;
};

static void walk_map(const struct walk *w, const struct config_map *m, const char *prefix)
{
	char path[128];
	size_t i;

	for (i = 0; i < m->n; i++) {
		struct sb s = sb_of(path, sizeof(path));

		sb_printf(&s, "%s%s%s", prefix, *prefix ? "." : "", m->keys[i].name);
		w->fn(w->ctx, path, &m->keys[i]);
		/* `defaults` holds what a tunnel holds: its keys are told there. */
		if (m->keys[i].map && strcmp(m->keys[i].name, "defaults") != 0)
			walk_map(w, m->keys[i].map, path);
	}
}

void config_schema_walk(void (*fn)(void *ctx, const char *path, const struct config_key *key),
			void *ctx)
{
	const struct walk w = {fn, ctx};

	walk_map(&w, &config_root_map, "");
}
