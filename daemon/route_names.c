/* SPDX-License-Identifier: Apache-2.0 */
/* route_names: prefixes that have other names at the peers of connections, for people. */
#include "daemon/route_int.h"

#define NAME_SIZE 256u /* of one, as text */

void route_put_peer_prefix(struct sb *s, const struct ip_prefix *there)
{
	char text[IP_PREFIX_STRLEN];

	if (there->addr.family != IP_NONE)
		sb_printf(s, ",\"peer_prefix\":\"%s\"", ip_prefix_format(there, text));
}

struct names {
	struct sb *sb;
	size_t n;
	bool address; /* not a prefix was asked for */
};

static void put(struct names *l, const char *connection, enum translation_side side,
		const struct ip_prefix *here, const struct ip_prefix *there)
{
	char a[IP_PREFIX_STRLEN], b[IP_PREFIX_STRLEN];

	if ((l->n + 1) * NAME_SIZE > ROUTE_NAMES_SIZE)
		return;
	sb_printf(l->sb,
		  "%s{\"connection\":\"%s\",\"side\":\"%s\",\"here\":\"%s\",\"there\":\"%s\"}",
		  l->n++ ? "," : "", connection, side == TRANSLATION_OURS ? "ours" : "theirs",
		  l->address ? ip_format(&here->addr, a) : ip_prefix_format(here, a),
		  l->address ? ip_format(&there->addr, b) : ip_prefix_format(there, b));
}

void route_put_names(struct sb *s, const struct config *c, const struct ip_prefix *p, bool address)
{
	struct names l = {.sb = s, .address = address};
	struct ip_prefix other;

	for (size_t i = 0; i < c->n_connections; i++) {
		const struct config_connection *k = &c->connections[i];

		for (int side = TRANSLATION_THEIRS; side <= TRANSLATION_OURS; side++) {
			const enum translation_side x = (enum translation_side)side;

			if (translation_to_there(k->translations, k->n_translations, x, p,
						 &other) == TRANSLATION_DONE)
				put(&l, k->name, x, p, &other);
			if (translation_to_here(k->translations, k->n_translations, x, p, &other) ==
			    TRANSLATION_DONE)
				put(&l, k->name, x, &other, p);
		}
	}
}
