/* SPDX-License-Identifier: Apache-2.0 */
/*
 * neigh: neighbours on the ports. Linux resolves them on the mirror TAPs and rtnetlink tells us;
 * here they get a number, an entry in the FIB, and a word that workers read: MAC and port.
 *
 * Packets for a neighbour that is not resolved yet come to the manager, which asks Linux for it
 * and holds a few of them for a second.
 */
#ifndef DATAPLANE_NEIGH_H
#define DATAPLANE_NEIGH_H

#include <stdbool.h>
#include <stdint.h>
#include <rte_mbuf.h>
#include "base/addr.h"
#include "base/mono.h"

struct dp;

#define DP_MAX_NEIGH     8192u
#define DP_NEIGH_NONE    UINT32_MAX
#define DP_NEIGH_HOLD    32u   /* packets for one neighbour */
#define DP_NEIGH_HOLDALL 1024u /* packets for all */
#define DP_NEIGH_VALID   (1ull << 56)
#define DP_MAC_BITS      48
#define DP_MAC_MASK      ((1ull << DP_MAC_BITS) - 1)

/* What workers see: indexed by the neighbour's number. */
struct dp_adj {
	uint64_t l2;   /* atomic: 0, or DP_NEIGH_VALID | port << 48 | MAC in memory order */
	uint32_t used; /* set by workers, cleared by the manager */
	uint32_t pad;
};

static inline uint8_t dp_adj_port(uint64_t l2)
{
	return (uint8_t)(l2 >> 48);
}

struct dp_neigh;

struct dp_neighs {
	struct dp_adj *adjs;     /* DP_MAX_NEIGH */
	struct dp_neigh **by_id; /* DP_MAX_NEIGH */
	struct dp_neigh **buckets;
	uint32_t *free_ids;
	uint32_t n_free;
	uint32_t n_held;
	struct mono next_refresh;
};

bool dp_neighs_init(struct dp_neighs *n);
void dp_neighs_fini(struct dp *dp); /* frees what is held, too */

/* The number of a neighbour, created if unknown (then Linux is asked), or DP_NEIGH_NONE if full. */
uint32_t dp_neigh_get(struct dp *dp, unsigned port, const struct ip_addr *a);
/* An outbound SA uses it: it is kept although nothing is heard of it. */
void dp_neigh_ref(struct dp *dp, uint32_t id);
void dp_neigh_unref(struct dp *dp, uint32_t id);

/* From rtnetlink: `mac` NULL = not resolved any more. */
void dp_neigh_update(struct dp *dp, unsigned port, const struct ip_addr *a, const uint8_t *mac,
		     bool stale);
/* Holds a packet (IP header at its data pointer) until the neighbour is resolved, or drops it. */
void dp_neigh_hold(struct dp *dp, uint32_t id, struct rte_mbuf *m, struct mono now);
/* Gives up what was held too long, asks Linux to confirm those in use, forgets the unused. */
void dp_neigh_tick(struct dp *dp, struct mono now);

#endif
