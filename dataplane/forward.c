/* SPDX-License-Identifier: Apache-2.0 */
/*
 * forward: IP packets that came out of a tunnel (or that we made ourselves) to where they belong:
 * a host on a port's network, Linux, or another tunnel. The inside of a packet was authenticated
 * and checked against the SA's selectors, but its header is still a stranger's.
 */
#include "dataplane/pipeline.h"

#include "dataplane/dp.h"

struct dp_l2 dp_l2_of(const struct dp_worker *w, uint32_t neigh)
{
	struct dp_adj *adj;
	struct rte_ether_addr mac;
	struct dp_l2 out;
	uint64_t l2;

	if (neigh == DP_NEIGH_NONE)
		return (struct dp_l2){.resolved = false};
	adj = &w->dp->neighs.adjs[neigh];
	l2 = __atomic_load_n(&adj->l2, __ATOMIC_RELAXED);
	if (!__atomic_load_n(&adj->used, __ATOMIC_RELAXED))
		__atomic_store_n(&adj->used, 1, __ATOMIC_RELAXED);
	out.port = dp_adj_port(l2);
	out.resolved = l2 & DP_NEIGH_VALID;
	mac = w->dp->ports[out.port].mac;
	out.to = (l2 & 0xffffffffffff) | (uint64_t)mac.addr_bytes[0] << 48 |
		 (uint64_t)mac.addr_bytes[1] << 56;
	memcpy(&out.from, mac.addr_bytes + 2, 4);
	return out;
}

static void drop(struct dp_worker *w, struct rte_mbuf *m, unsigned reason)
{
	if (dp_meta(m)->in_tunnel)
		dp_count(&w->tunnels[dp_meta(m)->from_tunnel].in_dropped, 1);
	dp_drop(w, m, reason);
}

/* A router's duty: one hop less. False: it was dropped. */
static bool decrement_ttl(struct dp_worker *w, struct rte_mbuf *m)
{
	uint8_t *ip = dp_data(m);
	uint8_t *ttl = dp_meta(m)->family == 4 ? ip + 8 : ip + 7;
	uint32_t sum;

	if (dp_meta(m)->originated)
		return true;
	if (*ttl <= 1) {
		dp_icmp_ttl(w, m);
		drop(w, m, DP_DROP_TTL);
		return false;
	}
	--*ttl;
	if (dp_meta(m)->family == 4) {
		/* RFC 1141: the checksum grows by what the field lost. */
		sum = (uint32_t)dp_get16(ip + 10) + 0x100;
		dp_put16(ip + 10, (uint16_t)(sum + (sum >> 16)));
	}
	return true;
}

/* Checks and changes of a packet that leaves for a port's network. False: it was dropped. */
static bool leave_by(struct dp_worker *w, struct rte_mbuf *m, unsigned port)
{
	const struct dp_port *p = &w->dp->ports[port];
	const struct dp_meta *meta = dp_meta(m);
	const uint32_t limit =
		meta->in_tunnel ? __atomic_load_n(&w->dp->tunnels.hot[meta->from_tunnel].clamp,
						  __ATOMIC_RELAXED)
				: 0;

	if (m->pkt_len > p->mtu) {
		dp_icmp_too_big(w, m, p->mtu);
		drop(w, m, DP_DROP_TOO_BIG);
		return false;
	}
	if (!decrement_ttl(w, m))
		return false;
	if (limit)
		dp_mss_clamp(dp_data(m), meta->family, m->pkt_len,
			     RTE_MIN(limit, (uint32_t)p->mtu));
	return true;
}

/* To a network of the port whose neighbour is not known, or has no address yet. */
static void to_unknown(struct dp_worker *w, struct rte_mbuf *m, unsigned port)
{
	if (!leave_by(w, m, port))
		return;
	dp_meta(m)->port = (uint8_t)port;
	dp_to_linux(w, m, DP_PKT_GLEAN);
}

static void to_neigh(struct dp_worker *w, struct rte_mbuf *m, const struct dp_l2 *l2)
{
	if (!l2->resolved)
		to_unknown(w, m, l2->port);
	else if (leave_by(w, m, l2->port))
		dp_l2_send(w, m, l2, dp_meta(m)->family);
}

static void to_inside(struct dp_worker *w, struct rte_mbuf *m)
{
	const struct dp_meta *meta = dp_meta(m);

	if (!meta->in_tunnel ||
	    !__atomic_load_n(&w->dp->tunnels.hot[meta->from_tunnel].has_tun, __ATOMIC_RELAXED)) {
		drop(w, m, DP_DROP_NO_INSIDE);
		return;
	}
	dp_meta(m)->tunnel = meta->from_tunnel;
	dp_to_linux(w, m, DP_PKT_TO_TUN);
}

static void to_tunnel(struct dp_worker *w, struct rte_mbuf *m, uint32_t group)
{
	struct dp_meta *meta = dp_meta(m);
	const uint32_t tunnel = dp_group_pick(w->dp, w, group);

	if (tunnel == DP_TUNNEL_NONE) {
		drop(w, m, DP_DROP_NO_TUNNEL);
		return;
	}
	/* It would only come back, until its TTL ends. */
	if (meta->in_tunnel && tunnel == meta->from_tunnel) {
		drop(w, m, DP_DROP_HAIRPIN);
		return;
	}
	dp_into_tunnel(w, m, tunnel);
}

static bool is_for_link(const struct rte_mbuf *m, const uint8_t *ip)
{
	if (dp_meta((struct rte_mbuf *)(uintptr_t)m)->family == 4)
		return ip[16] >= 224;
	return ip[24] == 0xff || (ip[24] == 0xfe && (ip[25] & 0xc0) == 0x80);
}

static void dispatch(struct dp_worker *w, const struct dp_routed *r)
{
	uint32_t neigh = DP_NEIGH_NONE;
	struct dp_l2 l2 = {.resolved = false};

	for (uint16_t i = 0; i < r->n; i++) {
		struct rte_mbuf *m = r->m[i];
		const uint32_t index = dp_nh_index(r->nh[i]);

		switch (dp_nh_kind(r->nh[i])) {
		case DP_NH_NEIGH:
			if (index != neigh) {
				neigh = index;
				l2 = dp_l2_of(w, neigh);
			}
			to_neigh(w, m, &l2);
			break;
		case DP_NH_CONNECTED: to_unknown(w, m, index); break;
		case DP_NH_LOCAL: to_inside(w, m); break;
		case DP_NH_GROUP: to_tunnel(w, m, index); break;
		case DP_NH_BLACKHOLE: drop(w, m, DP_DROP_BLACKHOLE); break;
		case DP_NH_NONE:
			/* Multicast and link-local: for a routing protocol over the tunnel. */
			if (is_for_link(m, dp_data(m)))
				to_inside(w, m);
			else
				drop(w, m, DP_DROP_NO_ROUTE);
			break;
		}
	}
}

void dp_forward(struct dp_worker *w, struct rte_mbuf **m, uint16_t n)
{
	struct dp_routed r;

	dp_lookup(&w->dp->fib, m, n, &r);
	dispatch(w, &r);
}
