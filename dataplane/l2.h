/* SPDX-License-Identifier: Apache-2.0 */
/* l2: the Ethernet header of packets for a neighbour. Inline: every packet that leaves gets one. */
#ifndef DATAPLANE_L2_H
#define DATAPLANE_L2_H

#include "dataplane/dp.h"
#include "dataplane/pipeline.h"

/* The header as the words that it is written with. */
struct dp_l2 {
	uint64_t to; /* destination, and the source's first bytes */
	uint32_t from;
	bool resolved;
	uint8_t port;
};

/* The header for a neighbour's packets, which is marked as used. */
static inline struct dp_l2 dp_l2_of(const struct dp_worker *w, uint32_t neigh)
{
	const struct rte_ether_addr *mac;
	struct dp_adj *adj;
	struct dp_l2 out;
	uint64_t l2;
	uint16_t first;

	if (neigh == DP_NEIGH_NONE)
		return (struct dp_l2){.resolved = false};
	adj = &w->dp->neighs.adjs[neigh];
	l2 = __atomic_load_n(&adj->l2, __ATOMIC_RELAXED);
	if (!__atomic_load_n(&adj->used, __ATOMIC_RELAXED))
		__atomic_store_n(&adj->used, 1, __ATOMIC_RELAXED);
	out.port = dp_adj_port(l2);
	out.resolved = l2 & DP_NEIGH_VALID;
	mac = &w->dp->ports[out.port].mac;
	memcpy(&first, mac->addr_bytes, sizeof(first));
	memcpy(&out.from, mac->addr_bytes + sizeof(first), sizeof(out.from));
	out.to = (l2 & 0xffffffffffff) | (uint64_t)first << 48;
	return out;
}

/* The type of what follows. */
static inline uint16_t dp_l2_type(uint8_t family)
{
	return family == 4 ? RTE_BE16(RTE_ETHER_TYPE_IPV4) : RTE_BE16(RTE_ETHER_TYPE_IPV6);
}

static inline void dp_l2_write(uint8_t *eth, const struct dp_l2 *l2, uint16_t type)
{
	memcpy(eth, &l2->to, 8);
	memcpy(eth + 8, &l2->from, 4);
	memcpy(eth + 12, &type, 2);
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
