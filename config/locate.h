/* SPDX-License-Identifier: Apache-2.0 */
/*
 * locate: where in a configuration's text the value of a tunnel's key stands, for messages that say
 * which line to change. The text is parsed once for all questions that somebody has.
 */
#ifndef CONFIG_LOCATE_H
#define CONFIG_LOCATE_H

#include <stdbool.h>
#include <stddef.h>

enum config_place_kind {
	CONFIG_PLACE_TUNNEL,     /* in the tunnel itself */
	CONFIG_PLACE_DEFAULTS,   /* in its connection's `defaults` */
	CONFIG_PLACE_CONNECTION, /* a key of the connection */
	CONFIG_PLACE_NOWHERE,    /* a default holds: the place is where the tunnel begins */
};

struct config_place {
	enum config_place_kind kind;
	unsigned line; /* of the value, from 1 */
	bool is_list;
	char value[256]; /* as YAML in one line: "[19, 20]"; cut at an item when it is long; of
			  * NOWHERE the default, "" if there is none */
};

struct config_places;

/* NULL when the text is no configuration. The text is not needed afterwards. */
struct config_places *config_places_new(const char *text, size_t size);
void config_places_free(struct config_places *p); /* NULL is fine, likewise below */
/*
 * `key` as "ike.dh", "remote_id" or, of the connection, "remote_networks". False when the text holds
 * no tunnel of this name, or tunnels have no such key.
 */
bool config_places_find(const struct config_places *p, const char *tunnel, const char *key,
			struct config_place *out);

#endif
