/* SPDX-License-Identifier: Apache-2.0 */
/*
 * schema: the engine that carries a tree into structs by descriptor tables. One row a key: its
 * type, bounds, default (written as in a file, so that documents can be checked against it) and
 * where the value goes. Unknown, duplicate and missing keys are the engine's business.
 */
#ifndef CONFIG_SCHEMA_H
#define CONFIG_SCHEMA_H

#include "config/diag.h"
#include "config/tree.h"

struct config_parse {
	struct config_diag diag;
	struct config_tree *tree;
	struct config *config;
	struct config_marks *marks; /* see check.h */
};

enum config_kind {
	CONFIG_BOOL,
	CONFIG_UINT,     /* min..max; the field is `size` bytes wide */
	CONFIG_DURATION, /* min..max in milliseconds; zero too if `zero_ok` */
	CONFIG_WORD,     /* one of `words`; the field is an enum with the word's index */
	CONFIG_TEXT,     /* printable ASCII, at most size - 1 characters */
	CONFIG_NAME,     /* [A-Za-z0-9][A-Za-z0-9._-]*, at most max characters */
	CONFIG_PATH,     /* absolute, at most size - 1 characters */
	CONFIG_ADDRESS,  /* struct ip_addr */
	CONFIG_MAP,      /* `map`, into the same struct */
	CONFIG_CUSTOM,   /* `handle` */
};

struct config_key {
	const char *name;
	enum config_kind kind;
	bool required;
	bool zero_ok;
	size_t offset; /* of the field in the struct that the map fills */
	size_t size;   /* of the field */
	size_t at; /* of a `const struct config_node *` that takes the value's place; 0 = none */
	uint64_t min, max;
	const char *def;  /* as written in a file; NULL: none, or computed (see the manual page) */
	const char *hint; /* required: what to add */
	const char *const *words;     /* NULL-terminated */
	const struct config_map *map; /* MAP; CUSTOM: of the map or of the items of the list */
	/* Reports its own errors. */
	void (*handle)(struct config_parse *p, const struct config_node *value, void *field);
};

struct config_map {
	const char *what; /* for messages: "a tunnel" */
	const struct config_key *keys;
	size_t n;
};

#define CONFIG_KEYS_MAX 64 /* in one map */

#define CONFIG_FIELD(type, member)                                                                 \
	.offset = offsetof(type, member), .size = sizeof(((type *)0)->member)

/* Writes the defaults of a map's keys, and of the maps within. */
void config_map_defaults(struct config_parse *p, const struct config_map *m, void *target);

/*
 * Carries a node into `target`. `with_required` false lets required keys be missing (a `defaults`
 * map, or a map laid over one). False when anything was reported.
 */
bool config_map_apply(struct config_parse *p, const struct config_map *m,
		      const struct config_node *node, bool with_required, void *target);

/* The missing required keys of a map whose fields were filled through more than one apply. */
void config_map_report_missing(struct config_parse *p, const struct config_map *m,
			       const struct config_node *at, const struct config_key *key);

/* Every key as "a.b.c", depth first, lists as their items: for checks of the documentation. */
void config_schema_walk(void (*fn)(void *ctx, const char *path, const struct config_key *key),
			void *ctx);

/* Scalars (scalar.c). Each reports and returns false when the node is no such value. */
bool config_get_bool(struct config_parse *p, const struct config_node *n, bool *out);
bool config_get_uint(struct config_parse *p, const struct config_node *n, uint64_t min,
		     uint64_t max, uint64_t *out);
bool config_get_duration(struct config_parse *p, const struct config_node *n, uint64_t min_ms,
			 uint64_t max_ms, bool zero_ok, struct mono_span *out);
bool config_get_word(struct config_parse *p, const struct config_node *n, const char *const *words,
		     unsigned *out);
bool config_get_text(struct config_parse *p, const struct config_node *n, char *out, size_t size);
bool config_get_name(struct config_parse *p, const struct config_node *n, size_t max, char *out,
		     size_t size);
bool config_get_path(struct config_parse *p, const struct config_node *n, char *out, size_t size);
bool config_get_address(struct config_parse *p, const struct config_node *n, struct ip_addr *out);
/* `network` refuses host bits; else the prefix is an interface's address. */
bool config_get_prefix(struct config_parse *p, const struct config_node *n, bool network,
		       struct ip_prefix *out);
/* A list of 1..max items, or (reported) not. */
bool config_is_list(struct config_parse *p, const struct config_node *n, size_t max);
/* A new array of a list's prefixes; entries that are wrong or double are reported and left out. */
bool config_get_prefixes(struct config_parse *p, const struct config_node *n, bool network,
			 size_t max, struct ip_prefix **out, size_t *n_out);

#endif
