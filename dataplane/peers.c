/* SPDX-License-Identifier: Apache-2.0 */
/* peers: a hash with open addressing, at most half full. See peers.h. */
#include "dataplane/peers.h"

#include <stdlib.h>
#include <string.h>
#include <rte_bitops.h>
#include <rte_common.h>
#include <rte_jhash.h>
#include "config/config.h"

struct dp_peers {
	uint32_t mask;
	struct ip_addr slots[]; /* family IP_NONE: free */
};

/* The place of `a`, or the free one where it would stand. */
static uint32_t place(const struct dp_peers *p, const struct ip_addr *a)
{
	uint32_t words[4], at;

	memcpy(words, a->b, sizeof(words));
	at = rte_jhash_32b(words, 4, a->family) & p->mask;

	while (p->slots[at].family != IP_NONE && !ip_equal(&p->slots[at], a))
		at = (at + 1) & p->mask;
	return at;
}

struct dp_peers *dp_peers_of(const struct config *c)
{
	size_t n = 0;
	uint32_t size;
	struct dp_peers *p;

	for (size_t i = 0; i < c->n_connections; i++)
		n += c->connections[i].n_tunnels;
	size = rte_align32pow2((uint32_t)(2 * n + 1));
	p = calloc(1, sizeof(*p) + size * sizeof(p->slots[0]));
	if (!p)
		return NULL;
	p->mask = size - 1;
	for (size_t i = 0; i < c->n_connections; i++) {
		const struct config_connection *k = &c->connections[i];

		for (size_t t = 0; t < k->n_tunnels; t++) {
			const struct ip_addr *a = &k->tunnels[t].remote;

			if (a->family != IP_NONE)
				p->slots[place(p, a)] = *a;
		}
	}
	return p;
}

bool dp_peers_have(const struct dp_peers *p, const struct ip_addr *a)
{
	return p->slots[place(p, a)].family != IP_NONE;
}
