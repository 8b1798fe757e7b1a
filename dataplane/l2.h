/* SPDX-License-Identifier: Apache-2.0 */
/* l2: the Ethernet header of packets for a neighbour. Inline: every packet that leaves gets one. */
#ifndef DATAPLANE_L2_H
#define DATAPLANE_L2_H

#include "dataplane/dp.h"
#include "dataplane/pipeline.h"

/* The header as the words that it is written with: they share two bytes, so that two are enough. */
struct dp_l2 {
	uint64_t to;   /* destination, and the source's first bytes */
	uint64_t from; /* source, and zeros where the type comes */
	bool resolved;
	uint8_t port;
};
#define DP_L2_FROM 6 /* where the second word is */

/* A MAC address as a word's beginning. */
static inline uint64_t dp_l2_mac(const struct rte_ether_addr *mac)
{
	uint64_t v = 0;

	memcpy(&v, mac->addr_bytes, sizeof(mac->addr_bytes));
	return v;
}

/* `adj`: a neighbour's word. */
static inline struct dp_l2 dp_l2_make(const struct dp_worker *w, uint64_t adj)
{
	const unsigned port = dp_adj_port(adj);
	const uint64_t from = dp_l2_mac(&w->dp->ports[port].mac);

	return (struct dp_l2){
		.to = (adj & DP_MAC_MASK) | from << DP_MAC_BITS,
		.from = from,
		.resolved = adj & DP_NEIGH_VALID,
		.port = (uint8_t)port,
	};
}

/* The header for a neighbour's packets, which is marked as used. */
static inline struct dp_l2 dp_l2_of(const struct dp_worker *w, uint32_t neigh)
{
	struct dp_adj *adj;

	if (neigh == DP_NEIGH_NONE)
		return (struct dp_l2){.resolved = false};
	adj = &w->dp->neighs.adjs[neigh];
	if (!__atomic_load_n(&adj->used, __ATOMIC_RELAXED))
		__atomic_store_n(&adj->used, 1, __ATOMIC_RELAXED);
	return dp_l2_make(w, __atomic_load_n(&adj->l2, __ATOMIC_RELAXED));
}

/* The type of what follows. */
static inline uint16_t dp_l2_type(uint8_t family)
{
	return family == 4 ? RTE_BE16(RTE_ETHER_TYPE_IPV4) : RTE_BE16(RTE_ETHER_TYPE_IPV6);
}

static inline void dp_l2_write(uint8_t *eth, const struct dp_l2 *l2, uint16_t type)
{
	const uint64_t from = l2->from | (uint64_t)type << DP_MAC_BITS;

	memcpy(eth, &l2->to, 8);
	memcpy(eth + DP_L2_FROM, &from, 8);
}

/* Puts the header in front (without room for it the packet is dropped) and queues. */
static inline void dp_l2_send(struct dp_worker *w, struct rte_mbuf *m, const struct dp_l2 *l2,
			      uint8_t family)
{
	uint8_t *eth = (uint8_t *)rte_pktmbuf_prepend(m, DP_ETH_SIZE);

	if (!eth) {
		dp_drop(w, m, DP_DROP_NO_BUFFER);
		return;
	}
	dp_l2_write(eth, l2, dp_l2_type(family));
	dp_tx(w, l2->port, m);
}

#endif
