/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tree: a YAML text as a bounded tree of nodes with their places, built from libyaml's events.
 *
 * What makes YAML dangerous or surprising is refused here, with its place: aliases and anchors (one
 * page of them can stand for gigabytes), tags, several documents, embedded NULs, too deep or too
 * many nodes. Scalars stay text: what "no" or "010" means is the schema's business.
 */
#ifndef CONFIG_TREE_H
#define CONFIG_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include "config/diag.h"

#define CONFIG_TEXT_MAX  (4u << 20) /* bytes */
#define CONFIG_NODES_MAX 400000u
#define CONFIG_DEPTH_MAX 16u

enum config_node_kind {
	CONFIG_NODE_SCALAR,
	CONFIG_NODE_LIST,
	CONFIG_NODE_MAP,
};

struct config_node {
	enum config_node_kind kind;
	unsigned line, column; /* from 1 */
	bool plain;            /* scalar without quotes */
	const char *text;      /* scalar: NUL-terminated, no NUL within */
	size_t size;
	struct config_node *key; /* member of a map: its key, a scalar */
	struct config_node *first, *last, *next;
	size_t n; /* children */
};

struct config_tree; /* owns nodes */

struct config_tree *config_tree_new(void); /* NULL: no memory */
void config_tree_free(struct config_tree *t);

/*
 * Parses a text into nodes that live as long as the tree. NULL when the text is no single YAML
 * document (reported) or is empty (reported).
 */
struct config_node *config_tree_parse(struct config_tree *t, const char *text, size_t size,
				      struct config_diag *d);

#endif
