/* SPDX-License-Identifier: Apache-2.0 */
/*
 * diag: the collection of a text's errors and warnings, each at its place, up to a bound.
 *
 *	config_error(d, node, "'%s' is no address", config_shown(node, buf));
 */
#ifndef CONFIG_DIAG_H
#define CONFIG_DIAG_H

#include "base/sb.h"
#include "config/config.h"

struct config_node;

struct config_diag {
	struct config_errors *out;
	size_t n_lost; /* errors beyond the bound */
	struct sb sb;  /* of the message in work */
	char scratch[240];
};

void config_diag_init(struct config_diag *d, struct config_errors *out);
/* Sorts by place; says so when there were more errors than fit. */
void config_diag_finish(struct config_diag *d);

/* Starts a message at a place and lends the builder for its text; valid until the next one. */
struct sb *config_diag_error(struct config_diag *d, unsigned line, unsigned column);
struct sb *config_diag_warning(struct config_diag *d, unsigned line, unsigned column);

#define config_error_at(d, line, column, ...)                                                      \
	sb_printf(config_diag_error(d, line, column), __VA_ARGS__)
#define config_error(d, node, ...) config_error_at(d, (node)->line, (node)->column, __VA_ARGS__)
#define config_warning(d, node, ...)                                                               \
	sb_printf(config_diag_warning(d, (node)->line, (node)->column), __VA_ARGS__)

/* A scalar's text for a message: escaped and cut. Of a list or map: "a list", "a map". */
#define CONFIG_SHOWN_SIZE 64
const char *config_shown(const struct config_node *node, char buf[CONFIG_SHOWN_SIZE]);

#endif
