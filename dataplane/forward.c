/* SPDX-License-Identifier: Apache-2.0 */
/*
 * forward: IP packets that came out of a tunnel (or that we made ourselves) to where they belong:
 * a host on a port's network, Linux, or another tunnel. The inside of a packet was authenticated
 * and checked against the SA's selectors, but its header is still a stranger's.
 */
#include "dataplane/pipeline.h"

#include "dataplane/dp.h"
#include "dataplane/l2.h"

#define TCP_FLAGS 13
#define TCP_SYN   0x02

/* `from` is in all that follows the tunnel that a packet came out of, or DP_TUNNEL_NONE: our own. */
static void drop(struct dp_worker *w, struct rte_mbuf *m, uint32_t from, unsigned reason)
{
	if (from != DP_TUNNEL_NONE)
		dp_count_tunnel(w, &w->tunnels[from].in_dropped, 1);
	dp_drop(w, m, reason);
}

/* Of a packet that goes to another thread or phase, or is told about: where it came from. */
static void note_origin(struct rte_mbuf *m, uint32_t from, uint8_t family)
{
	if (from == DP_TUNNEL_NONE)
		return;
	*dp_meta(m) = (struct dp_meta){
		.port = DP_NO_PORT,
		.family = family,
		.in_tunnel = 1,
		.from_tunnel = from,
	};
}

/* A router's duty: one hop less. False: there is none left. */
static inline bool decrement_ttl(uint8_t *ip, uint8_t family)
{
	uint32_t word;

	if (family != 4) {
		if (ip[7] <= 1)
			return false;
		ip[7]--;
		return true;
	}
	memcpy(&word, ip + 8, sizeof(word));
	if ((word & 0xff) <= 1)
		return false;
	word = sum_ip4_hop(word);
	memcpy(ip + 8, &word, sizeof(word));
	return true;
}

/* Checks and changes of a packet that leaves for a port's network. False: it was dropped. */
static inline bool leave_by(struct dp_worker *w, struct rte_mbuf *m, uint32_t from, uint8_t family,
			    unsigned port)
{
	const uint32_t mtu = w->dp->ports[port].mtu;
	uint8_t *ip = dp_data(m);
	uint32_t limit;

	if (unlikely(m->pkt_len > mtu)) {
		note_origin(m, from, family);
		dp_icmp_too_big(w, m, mtu);
		drop(w, m, from, DP_DROP_TOO_BIG);
		return false;
	}
	if (from == DP_TUNNEL_NONE)
		return true;
	if (unlikely(!decrement_ttl(ip, family))) {
		note_origin(m, from, family);
		dp_icmp_ttl(w, m);
		drop(w, m, from, DP_DROP_TTL);
		return false;
	}
	limit = __atomic_load_n(&w->dp->tunnels.hot[from].clamp, __ATOMIC_RELAXED);
	if (limit)
		dp_mss_clamp(ip, family, m->pkt_len, RTE_MIN(limit, mtu));
	return true;
}

/* To a network of the port whose neighbour is not known, or has no address yet. */
static void to_unknown(struct dp_worker *w, struct rte_mbuf *m, uint32_t from, uint8_t family,
		       unsigned port)
{
	if (!leave_by(w, m, from, family, port))
		return;
	note_origin(m, from, family);
	dp_meta(m)->port = (uint8_t)port;
	dp_to_linux(w, m, DP_PKT_GLEAN);
}

static void to_inside(struct dp_worker *w, struct rte_mbuf *m, uint32_t from, uint8_t family)
{
	if (from == DP_TUNNEL_NONE ||
	    !__atomic_load_n(&w->dp->tunnels.hot[from].has_tun, __ATOMIC_RELAXED)) {
		drop(w, m, from, DP_DROP_NO_INSIDE);
		return;
	}
	note_origin(m, from, family);
	dp_meta(m)->tunnel = from;
	dp_to_linux(w, m, DP_PKT_TO_TUN);
}

static void to_tunnel(struct dp_worker *w, struct rte_mbuf *m, uint32_t from, uint8_t family,
		      uint32_t group)
{
	const struct dp_group_hot *g = dp_group_of(&w->dp->tunnels, group);
	const uint32_t tunnel = unlikely(g && g->n_ecmp) ? dp_group_share(w->dp, w, g, dp_data(m),
									  m->pkt_len, family)
							 : dp_group_pick(w->dp, w, g);

	if (tunnel == DP_TUNNEL_NONE) {
		drop(w, m, from, DP_DROP_NO_TUNNEL);
	} else if (tunnel == from) {
		/* It would only come back, until its TTL ends. */
		drop(w, m, from, DP_DROP_HAIRPIN);
	} else {
		note_origin(m, from, family);
		dp_into_tunnel(w, &m, 1, tunnel, family, from == DP_TUNNEL_NONE);
	}
}

uint32_t dp_through_ports(struct dp_worker *w, struct rte_mbuf *m, uint8_t family, uint32_t table)
{
	const bool apart = w->dp->ports_apart;
	const uint8_t *ip = dp_data(m);
	const struct ip_addr to =
		family == 4 ? ip_from_bytes(IP_V4, ip + 16) : ip_from_bytes(IP_V6, ip + 24);
	const uint32_t nh = dp_fib_lookup(&w->dp->fib, apart ? DP_FIB_PORTS : 0, &to);
	uint32_t port = dp_nh_index(nh);

	switch (dp_nh_kind(nh)) {
	case DP_NH_NEIGH: port = dp_l2_of(w, dp_nh_index(nh)).port; break;
	case DP_NH_CONNECTED:
	case DP_NH_LOCAL: break;
	case DP_NH_NONE:
	case DP_NH_GROUP:
	case DP_NH_BLACKHOLE:
	case DP_NH_PORTS: return 0;
	}
	/* A port with a table of its own is nobody else's. */
	if (apart && w->dp->ports[port].table && w->dp->ports[port].table != table)
		return 0;
	return nh;
}

/* The table that a packet was looked up in. */
static uint32_t table_of(const struct dp_worker *w, struct rte_mbuf *m, uint32_t from)
{
	return from == DP_TUNNEL_NONE
		       ? dp_meta(m)->table
		       : __atomic_load_n(&w->dp->tunnels.hot[from].table, __ATOMIC_ACQUIRE);
}

/* A port as its neighbours' packets need it, and those that are ready to leave by it. */
struct way {
	uint64_t tag;    /* what is above the MAC in a neighbour's word, if it is resolved */
	struct dp_l2 l2; /* for a neighbour that has no MAC */
	uint32_t mtu;
	uint32_t bytes; /* of the frames that are ready */
	uint16_t first; /* the first of them in the vector */
};

static struct way way_of(const struct dp_worker *w, uint64_t adj)
{
	const struct dp_l2 l2 = dp_l2_make(w, adj & ~DP_MAC_MASK);

	return (struct way){.tag = adj >> DP_MAC_BITS, .l2 = l2, .mtu = w->dp->ports[l2.port].mtu};
}

/* What is ready, up to the packet `end`, leaves. */
static void send_ready(struct dp_worker *w, const struct dp_ip_vec *v, struct way *way,
		       uint16_t end)
{
	if (end > way->first)
		dp_tx_all(w, way->l2.port, &v->m[way->first], (uint16_t)(end - way->first),
			  way->bytes);
	way->first = end;
	way->bytes = 0;
}

/* Whether a packet may be a TCP SYN, whose MSS matters. */
static inline bool may_be_syn(const uint8_t *ip, uint8_t family)
{
	if (family == 4)
		return ip[9] == IPPROTO_TCP && (ip[0] != 0x45 || (ip[20 + TCP_FLAGS] & TCP_SYN));
	if (ip[6] == IPPROTO_TCP)
		return ip[40 + TCP_FLAGS] & TCP_SYN;
	return ip[6] < 64 && (DP_MAY_BE_TCP >> ip[6] & 1);
}

/*
 * What is most frequent: out of a tunnel, to a neighbour that is resolved, small enough, no TCP whose MSS
 * matters. Where the outer header was there is room for Ethernet's. False: forward_one() has to look at it;
 * nothing is changed.
 */
static inline bool leave_plain(struct dp_worker *w, struct dp_adj *adjs, const struct dp_ip_vec *v,
			       uint16_t i, struct way *way, uint8_t family)
{
	struct rte_mbuf *m = v->m[i];
	uint8_t *ip = v->ip[i];
	struct dp_adj *adj;
	struct dp_l2 l2;
	uint64_t word;

	if (dp_nh_kind(v->nh[i]) != DP_NH_NEIGH)
		return false;
	adj = &adjs[dp_nh_index(v->nh[i])];
	word = __atomic_load_n(&adj->l2, __ATOMIC_RELAXED);
	if (unlikely(word >> DP_MAC_BITS != way->tag)) {
		if (!(word & DP_NEIGH_VALID))
			return false;
		send_ready(w, v, way, i);
		*way = way_of(w, word);
		way->first = i;
	}
	if (v->from[i] == DP_TUNNEL_NONE || v->size[i] > way->mtu || may_be_syn(ip, family) ||
	    !decrement_ttl(ip, family))
		return false;
	if (unlikely(!__atomic_load_n(&adj->used, __ATOMIC_RELAXED)))
		__atomic_store_n(&adj->used, 1, __ATOMIC_RELAXED);
	l2 = way->l2;
	l2.to |= word & DP_MAC_MASK;
	dp_l2_write(ip - DP_ETH_SIZE, &l2, dp_l2_type(family));
	dp_set_data(m, ip - DP_ETH_SIZE, v->size[i] + DP_ETH_SIZE);
	way->bytes += v->size[i] + DP_ETH_SIZE;
	return true;
}

/* Anything else, one by one. */
static void forward_one(struct dp_worker *w, struct rte_mbuf *m, uint32_t from, uint32_t nh,
			uint8_t family)
{
	struct dp_l2 l2;

	if (dp_nh_kind(nh) == DP_NH_PORTS)
		nh = dp_through_ports(w, m, family, table_of(w, m, from));
	switch (dp_nh_kind(nh)) {
	case DP_NH_NEIGH:
		l2 = dp_l2_of(w, dp_nh_index(nh));
		if (!l2.resolved)
			to_unknown(w, m, from, family, l2.port);
		else if (leave_by(w, m, from, family, l2.port))
			dp_l2_send(w, m, &l2, family);
		break;
	case DP_NH_CONNECTED: to_unknown(w, m, from, family, dp_nh_index(nh)); break;
	case DP_NH_LOCAL: to_inside(w, m, from, family); break;
	case DP_NH_BLACKHOLE: drop(w, m, from, DP_DROP_BLACKHOLE); break;
	case DP_NH_GROUP:
	case DP_NH_NONE:
	case DP_NH_PORTS:
		/* For a routing protocol over the tunnel. */
		if (unlikely(dp_is_for_link(dp_data(m), family)))
			to_inside(w, m, from, family);
		else if (dp_nh_kind(nh) == DP_NH_GROUP)
			to_tunnel(w, m, from, family, dp_nh_index(nh));
		else
			drop(w, m, from, DP_DROP_NO_ROUTE);
		break;
	}
}

static inline void dispatch(struct dp_worker *w, const struct dp_ip_vec *v, uint8_t family)
{
	struct way way = {.tag = UINT64_MAX}; /* nobody's */
	struct dp_adj *const adjs = w->dp->neighs.adjs;

	for (uint16_t i = 0; i < v->n; i++) {
		if (leave_plain(w, adjs, v, i, &way, family))
			continue;
		send_ready(w, v, &way, i);
		way.first = (uint16_t)(i + 1);
		dp_set_data(v->m[i], v->ip[i], v->size[i]);
		forward_one(w, v->m[i], v->from[i], v->nh[i], family);
	}
	send_ready(w, v, &way, v->n);
}

void dp_forward(struct dp_worker *w, struct dp_ip_burst *b)
{
	if (unlikely(__atomic_load_n(&w->dp->tunnels.n_apart, __ATOMIC_ACQUIRE)))
		dp_lookup_each(w->dp, b);
	else
		dp_lookup(b);
	dispatch(w, &b->v4, 4);
	dispatch(w, &b->v6, 6);
}
