/* SPDX-License-Identifier: Apache-2.0 */
/*
 * classify: what a frame from a port is, and where it goes.
 *
 *   1. Frames that are not IP, and multicast and broadcast: Linux, by the mirror TAP.
 *   2. IP for one of our addresses: ESP, native or in UDP, is decapsulated; IKE passes the gate; the rest
 *      is Linux's.
 *   3. IP for a tunnel's route: into the tunnel.
 *   4. Anything else is dropped: a gateway forwards nothing in clear between its ports.
 */
#include "dataplane/pipeline.h"

#include "base/sum.h"
#include "dataplane/dp.h"
#include "dataplane/hop.h"
#include "dataplane/path_mtu.h"

#define FRAG_MASK     0x3fffu /* more fragments, or an offset */
#define UDP_SIZE      8u
#define ESP_SIZE      8u /* SPI, sequence number */
#define MARKER_SIZE   4u
#define OURS_LOOKUPS  4u   /* of addresses to which ESP comes, in a burst */
#define KEEPALIVE     0xff /* RFC 3948 2.3: a datagram of this one byte */
#define IPV6_FRAGMENT 44

static unsigned check_v4(struct rte_mbuf *m, const uint8_t *ip, uint32_t size)
{
	uint32_t header, total;

	if (size < 20)
		return DP_DROP_BAD_IP_HEADER;
	header = (ip[0] & 15u) * 4;
	total = dp_get16(ip + 2);
	if (header < 20 || total < header || total > size)
		return DP_DROP_BAD_IP_HEADER;
	if (header == 20 ? !sum_ip4_good(ip) : rte_raw_cksum(ip, header) != 0xffff)
		return DP_DROP_BAD_IP_CHECKSUM;
	if (total < size)
		(void)rte_pktmbuf_trim(m, (uint16_t)(size - total));
	dp_meta(m)->family = 4;
	return 0;
}

static unsigned check_v6(struct rte_mbuf *m, const uint8_t *ip, uint32_t size)
{
	uint32_t total;

	if (size < 40)
		return DP_DROP_BAD_IP_HEADER;
	total = 40u + dp_get16(ip + 4);
	if (total > size || total == 40)
		return DP_DROP_BAD_IP_HEADER;
	if (total < size)
		(void)rte_pktmbuf_trim(m, (uint16_t)(size - total));
	dp_meta(m)->family = 6;
	return 0;
}

unsigned dp_ip_check(struct rte_mbuf *m)
{
	const uint8_t *ip = dp_data(m);
	const uint32_t size = m->pkt_len;

	if (size == 0)
		return DP_DROP_BAD_IP_HEADER;
	switch (ip[0] >> 4) {
	case 4: return check_v4(m, ip, size);
	case 6: return check_v6(m, ip, size);
	default: return DP_DROP_BAD_IP_HEADER;
	}
}

void dp_to_mirror(struct dp_worker *w, struct rte_mbuf *m)
{
	(void)rte_pktmbuf_prepend(m, DP_ETH_SIZE);
	dp_to_linux(w, m, DP_PKT_TO_MIRROR);
}

enum local_kind {
	LOCAL_LINUX,
	LOCAL_IKE,
	LOCAL_ESP,
	LOCAL_KEEPALIVE,
	LOCAL_FRAGMENT,
	LOCAL_TOO_BIG,
};

/* `udp` has at least its header. */
static enum local_kind local_udp(const uint8_t *udp, uint32_t size)
{
	if (dp_get16(udp + 2) == DP_PORT_IKE)
		return LOCAL_IKE;
	if (dp_get16(udp + 2) != DP_PORT_NAT_T)
		return LOCAL_LINUX;
	if (size == UDP_SIZE + 1 && udp[UDP_SIZE] == KEEPALIVE)
		return LOCAL_KEEPALIVE;
	/* RFC 3948 2.2: four zero bytes in the SPI's place mark IKE. */
	return size < UDP_SIZE + MARKER_SIZE || dp_get32(udp + UDP_SIZE) == 0 ? LOCAL_IKE
									      : LOCAL_ESP;
}

bool dp_udp_is_esp(const uint8_t *udp, uint32_t size)
{
	return size >= UDP_SIZE && local_udp(udp, size) == LOCAL_ESP;
}

static inline enum local_kind local_kind(struct rte_mbuf *m, uint8_t family)
{
	const uint8_t *ip = dp_data(m);
	const bool v4 = family == 4;
	const uint32_t header = v4 ? (ip[0] & 15u) * 4 : 40u;
	const uint8_t protocol = v4 ? ip[9] : ip[6];
	const uint32_t size = m->pkt_len - header;

	/* RFC 4303 3.4.1: ESP is processed after reassembly. */
	if (v4 && (dp_get16(ip + 6) & FRAG_MASK))
		return protocol == DP_PROTO_ESP || protocol == IPPROTO_UDP ? LOCAL_FRAGMENT
									   : LOCAL_LINUX;
	if (!v4 && protocol == IPV6_FRAGMENT)
		return size >= 8 && (ip[40] == DP_PROTO_ESP || ip[40] == IPPROTO_UDP)
			       ? LOCAL_FRAGMENT
			       : LOCAL_LINUX;
	if (protocol == DP_PROTO_ESP)
		return LOCAL_ESP;
	if (protocol == IPPROTO_UDP && size >= UDP_SIZE)
		return local_udp(ip + header, size);
	if (protocol == (v4 ? IPPROTO_ICMP : IPPROTO_ICMPV6) &&
	    dp_path_mtu_is_news(ip + header, size, family))
		return LOCAL_TOO_BIG;
	return LOCAL_LINUX;
}

void dp_into_decap(struct dp_worker *w, struct rte_mbuf *m)
{
	struct dp_esp_vec *v = &w->decap;
	struct esp_pkt *p = &v->pkts[v->n];

	dp_esp_pkt(m, p);
	if (!esp_locate(p, &v->spi[v->n])) {
		dp_drop(w, m, dp_drop_of_esp(ESP_DROP_IN_TRUNCATED));
		return;
	}
	v->m[v->n++] = m;
}

/* Where ESP is in a checked IPv4 packet without options, of the usual kind: whole, native or in UDP
 * (RFC 3948 2.1) to its end. 0: it is of another kind, or no ESP. */
static inline uint32_t plain_esp(const uint8_t *ip, uint32_t size)
{
	uint32_t at = 20;

	if (ip[9] == IPPROTO_UDP && size >= 20 + UDP_SIZE && dp_get16(ip + 22) == DP_PORT_NAT_T &&
	    dp_get16(ip + 24) == size - 20)
		at += UDP_SIZE;
	else if (ip[9] != DP_PROTO_ESP)
		return 0;
	return (dp_get16(ip + 6) & FRAG_MASK) || size < at + ESP_SIZE || dp_get32(ip + at) == 0
		       ? 0
		       : at;
}

static inline void add_plain(struct dp_esp_vec *v, struct rte_mbuf *m, uint8_t *ip, uint32_t size,
			     uint32_t at)
{
	v->spi[v->n] = dp_get32(ip + at);
	v->pkts[v->n] = (struct esp_pkt){
		.data = ip,
		.size = size,
		.esp_offset = (uint16_t)at,
		.esp_size = size - at,
	};
	v->m[v->n++] = m;
}

/* For what is plain_esp(): what dp_into_decap() finds in it. False: it is none. */
static inline bool into_decap_plain(struct dp_worker *w, struct rte_mbuf *m)
{
	uint8_t *ip = dp_data(m);
	const uint32_t at = ip[0] == 0x45 ? plain_esp(ip, m->pkt_len) : 0;

	if (at == 0)
		return false;
	add_plain(&w->decap, m, ip, m->pkt_len, at);
	return true;
}

/* The address of ours to which the burst's ESP packets come. */
struct ours {
	uint64_t dst; /* none: more than an address */
	unsigned lookups_left;
	bool bare; /* no packet of the burst has gone the other way: it would be overtaken */
};

static bool is_ours(struct ours *o, const struct dp_lpm *lpm, uint32_t dst)
{
	uint32_t nh;

	if (o->lookups_left == 0)
		return false;
	o->lookups_left--;
	dp_lpm_lookup4(lpm, &dst, &nh, 1);
	if (dp_nh_kind(nh) != DP_NH_LOCAL)
		return false;
	o->dst = dst;
	return true;
}

/* A usual frame's packet, if it is plain_esp() for us, into w->decap as it is: a burst's packets for one
 * address share its lookup. */
static inline bool into_decap_bare(struct dp_worker *w, struct rte_mbuf *m, uint8_t *ip,
				   uint32_t size, struct ours *ours, const struct dp_lpm *lpm)
{
	const uint32_t at = plain_esp(ip, size), dst = dp_get32(ip + 16);

	if (at == 0 || (unlikely(dst != ours->dst) && !is_ours(ours, lpm, dst)))
		return false;
	add_plain(&w->decap, m, ip, size, at);
	return true;
}

/* IKE, in a datagram of its own: to Linux, as far as the gate lets it. */
static void local_ike(struct dp_worker *w, struct rte_mbuf *m)
{
	const uint8_t *ip = dp_data(m);
	const bool v4 = dp_meta(m)->family == 4;
	const uint8_t *udp = ip + (v4 ? (ip[0] & 15u) * 4 : 40u);
	const struct ip_addr from =
		v4 ? ip_from_bytes(IP_V4, ip + 12) : ip_from_bytes(IP_V6, ip + 8);
	const uint32_t skip = UDP_SIZE + (dp_get16(udp + 2) == DP_PORT_NAT_T ? MARKER_SIZE : 0);
	const uint32_t size = m->pkt_len - (uint32_t)(udp - ip);
	const unsigned refused =
		dp_gate_pass(&w->gate, __atomic_load_n(&w->dp->peers, __ATOMIC_ACQUIRE), &from,
			     udp + skip, size > skip ? size - skip : 0, rte_rdtsc());

	if (refused)
		dp_drop(w, m, refused);
	else
		dp_to_mirror(w, m);
}

/* A router has dropped a packet that is ours, or says so: the manager looks at it, then it is Linux's. */
static void local_too_big(struct dp_worker *w, struct rte_mbuf *m)
{
	if (w->too_big_tokens == 0) {
		dp_count(&w->stats->drops[DP_NOTE_PATH_MTU_RATE], 1);
		dp_to_mirror(w, m);
		return;
	}
	w->too_big_tokens--;
	(void)rte_pktmbuf_prepend(m, DP_ETH_SIZE);
	dp_to_linux(w, m, DP_PKT_PATH_MTU);
}

static void local_input(struct dp_worker *w, struct rte_mbuf *m, uint8_t family)
{
	switch (local_kind(m, family)) {
	case LOCAL_ESP: dp_into_decap(w, m); break;
	case LOCAL_KEEPALIVE: dp_drop(w, m, DP_DROP_NAT_KEEPALIVE); break;
	case LOCAL_FRAGMENT:
		m = dp_reassemble(w, m);
		if (m)
			dp_into_decap(w, m);
		break;
	case LOCAL_IKE: local_ike(w, m); break;
	case LOCAL_TOO_BIG: local_too_big(w, m); break;
	case LOCAL_LINUX: dp_to_mirror(w, m); break;
	}
}

/* Packets that do not go to an SA as they are: their mbufs learn what the burst knows. */
static void dress(const struct dp_ip_vec *v, uint16_t first, uint16_t n, uint8_t port)
{
	for (uint16_t i = first; i < first + n; i++) {
		*dp_meta(v->m[i]) = (struct dp_meta){.port = port, .family = v->family};
		dp_set_data(v->m[i], v->ip[i], v->size[i]);
	}
}

static void drop_all(struct dp_worker *w, struct rte_mbuf *const *m, uint16_t n, unsigned reason)
{
	for (uint16_t i = 0; i < n; i++)
		dp_drop(w, m[i], reason);
}

/* Packets of a group whose tunnels share them: those that follow each other with one tunnel go together. */
static void to_shared(struct dp_worker *w, struct rte_mbuf *const *m, uint16_t n,
		      const struct dp_group_hot *g, uint8_t family)
{
	uint32_t tunnels[DP_VEC_SIZE];

	for (uint16_t i = 0; i < n; i++)
		tunnels[i] = dp_group_share(w->dp, w, g, dp_data(m[i]), m[i]->pkt_len, family);
	for (uint16_t i = 0, end; i < n; i = end) {
		for (end = (uint16_t)(i + 1); end < n && tunnels[end] == tunnels[i]; end++)
			continue;
		if (tunnels[i] == DP_TUNNEL_NONE)
			drop_all(w, m + i, (uint16_t)(end - i), DP_DROP_NO_TUNNEL);
		else
			dp_into_tunnel(w, m + i, (uint16_t)(end - i), tunnels[i], family, false);
	}
}

static void to_group(struct dp_worker *w, const struct dp_ip_vec *v, uint16_t first, uint16_t n,
		     uint8_t family)
{
	const uintptr_t hop = dp_hop(w, dp_nh_index(v->nh[first]));
	struct rte_mbuf *const *m = &v->m[first];
	struct dp_out *o = (struct dp_out *)hop;

	if (likely(hop && !(hop & DP_HOP_KINDS) && family == 4 &&
		   dp_into_sa_bare(w, v, first, n, o)))
		return;
	dress(v, first, n, w->encap.port);
	if (unlikely(!hop))
		drop_all(w, m, n, DP_DROP_NO_TUNNEL);
	else if (unlikely(hop & DP_HOP_SHARED))
		to_shared(w, m, n, dp_hop_group(hop), family);
	else if (unlikely(hop & DP_HOP_HAND))
		dp_into_tunnel(w, m, n, (uint32_t)(hop >> 2), family, false);
	else
		dp_into_tunnel(w, m, n, o->tunnel, family, false);
}

/* One of our networks, by a route to it: an address of ours may be among them. */
static void to_ports(struct dp_worker *w, struct rte_mbuf *const *m, uint16_t n, uint8_t family)
{
	for (uint16_t i = 0; i < n; i++) {
		const uint32_t nh =
			dp_through_ports(w, m[i], family, w->dp->ports[dp_meta(m[i])->port].table);

		if (dp_nh_kind(nh) == DP_NH_LOCAL)
			local_input(w, m[i], family);
		else
			dp_drop(w, m[i], DP_DROP_NOT_PROTECTED);
	}
}

/* Packets that follow each other with one next hop, which may be `apart` for each, go there together. */
static inline void dispatch(struct dp_worker *w, const struct dp_ip_vec *v, uint8_t family,
			    bool apart)
{
	dp_group_fetch(w, v->nh, apart ? v->n : RTE_MIN(v->n, (uint16_t)1));
	for (uint16_t i = 0, n; i < v->n; i = (uint16_t)(i + n)) {
		struct rte_mbuf *const *m = &v->m[i];

		n = apart ? dp_same_nh(v, i) : v->n;
		if (dp_nh_kind(v->nh[i]) != DP_NH_GROUP)
			dress(v, i, n, w->encap.port);
		switch (dp_nh_kind(v->nh[i])) {
		case DP_NH_LOCAL:
			for (uint16_t k = 0; k < n; k++)
				if (family != 4 || !into_decap_plain(w, m[k]))
					local_input(w, m[k], family);
			break;
		case DP_NH_GROUP: to_group(w, v, i, n, family); break;
		case DP_NH_BLACKHOLE: drop_all(w, m, n, DP_DROP_BLACKHOLE); break;
		case DP_NH_PORTS: to_ports(w, m, n, family); break;
		case DP_NH_NONE:
		case DP_NH_CONNECTED:
		case DP_NH_NEIGH: drop_all(w, m, n, DP_DROP_NOT_PROTECTED); break;
		}
	}
}

static bool is_link_local_v6(const uint8_t *ip)
{
	return ip[24] == 0xfe && (ip[25] & 0xc0) == 0x80;
}

/* Step 1 for any frame. Adds it to the burst if it holds an IP packet for us to look at. */
static void take_any(struct dp_worker *w, unsigned port, struct rte_mbuf *m, struct dp_ip_burst *b)
{
	struct dp_meta *meta = dp_meta(m);
	const struct rte_ether_hdr *eth;
	unsigned bad;

	*meta = (struct dp_meta){.port = (uint8_t)port};
	if (m->pkt_len < DP_ETH_SIZE) {
		dp_drop(w, m, DP_DROP_BAD_FRAME);
		return;
	}
	/* A driver may scatter what it receives; from here on a packet is in one piece. */
	if (m->nb_segs != 1 && rte_pktmbuf_linearize(m) != 0) {
		dp_drop(w, m, DP_DROP_SCATTERED);
		return;
	}
	eth = rte_pktmbuf_mtod(m, const struct rte_ether_hdr *);
	if (rte_is_multicast_ether_addr(&eth->dst_addr)) {
		dp_to_linux(w, m, DP_PKT_TO_MIRROR);
		return;
	}
	/* The port may hear everything on its line. */
	if (!rte_is_same_ether_addr(&eth->dst_addr, &w->dp->ports[port].mac)) {
		dp_drop(w, m, DP_DROP_OTHER_MAC);
		return;
	}
	if (eth->ether_type != rte_cpu_to_be_16(RTE_ETHER_TYPE_IPV4) &&
	    eth->ether_type != rte_cpu_to_be_16(RTE_ETHER_TYPE_IPV6)) {
		dp_to_linux(w, m, DP_PKT_TO_MIRROR);
		return;
	}
	(void)rte_pktmbuf_adj(m, DP_ETH_SIZE);
	bad = dp_ip_check(m);
	if (bad)
		dp_drop(w, m, bad);
	else if (meta->family == 6 && is_link_local_v6(dp_data(m)))
		dp_to_mirror(w, m);
	else
		dp_ip_burst_add(b, m, dp_data(m), m->pkt_len, meta->family);
}

/* The device has verified the checksum of the IPv4 header. */
static inline bool sum_told_good(const struct rte_mbuf *m)
{
	return (m->ol_flags & RTE_MBUF_F_RX_IP_CKSUM_MASK) == RTE_MBUF_F_RX_IP_CKSUM_GOOD;
}

/* The usual frame passes all of the above: to our MAC, good IPv4 without options or trailing bytes.
 * `told`: the port's device may know of the checksum. */
static inline bool is_usual(const struct rte_mbuf *m, const uint8_t *eth, uint64_t mac, bool told)
{
	const uint8_t *ip = eth + DP_ETH_SIZE;
	uint64_t to;
	uint16_t type;

	memcpy(&to, eth, sizeof(to));
	memcpy(&type, eth + 2 * RTE_ETHER_ADDR_LEN, sizeof(type));
	return m->nb_segs == 1 && m->pkt_len >= DP_ETH_SIZE + 20 && (to << 16) == (mac << 16) &&
	       type == RTE_BE16(RTE_ETHER_TYPE_IPV4) && ip[0] == 0x45 &&
	       dp_get16(ip + 2) == m->pkt_len - DP_ETH_SIZE &&
	       ((told && sum_told_good(m)) || sum_ip4_good(ip));
}

/* Step 1 for the frames of a burst, or for a part of it. */
static inline void recognise(struct dp_worker *w, unsigned port, struct rte_mbuf **m, uint16_t n,
			     struct ours *ours, struct dp_ip_burst *b, bool told)
{
	uint64_t mac = 0;

	memcpy(&mac, &w->dp->ports[port].mac, RTE_ETHER_ADDR_LEN);
	for (uint16_t i = 0; i < n; i++) {
		uint8_t *eth = dp_data(m[i]);

		if (!is_usual(m[i], eth, mac, told)) {
			take_any(w, port, m[i], b);
			ours->bare = false;
			continue;
		}
		ours->bare =
			ours->bare && into_decap_bare(w, m[i], eth + DP_ETH_SIZE,
						      m[i]->pkt_len - DP_ETH_SIZE, ours, b->lpm4);
		if (ours->bare) {
			w->decap.n_bare = w->decap.n;
			continue;
		}
		dp_ip_burst_add(b, m[i], eth + DP_ETH_SIZE, m[i]->pkt_len - DP_ETH_SIZE, 4);
	}
}

/*
 * The same where a lookup would wait for memory twice, for the root's entries and for nodes: both are asked for
 * while frames are recognised, by what stands where a usual frame has its destination.
 */
static inline void recognise_ahead(struct dp_worker *w, unsigned port, struct rte_mbuf **m,
				   uint16_t n, struct ours *ours, struct dp_ip_burst *b, bool told)
{
	const uint16_t half = n / 2;
	uint32_t dst4[DP_VEC_SIZE];

	for (uint16_t i = 0; i < n; i++) {
		dst4[i] = dp_get32(dp_data(m[i]) + DP_ETH_SIZE + 16);
		dp_lpm_fetch4(b->lpm4, dst4[i]);
	}
	recognise(w, port, m, half, ours, b, told);
	for (uint16_t i = 0; i < n; i++)
		b->v4.nh[i] = dp_lpm_root4(b->lpm4, dst4[i]);
	recognise(w, port, m + half, (uint16_t)(n - half), ours, b, told);
	/* Any other frame, and those behind it, may be somewhere else in the burst, or nowhere. */
	b->begun = b->v4.n == n && memcmp(dst4, b->dst4, n * sizeof(dst4[0])) == 0;
}

static inline void classify(struct dp_worker *w, unsigned port, struct rte_mbuf **m, uint16_t n,
			    bool told)
{
	struct ours ours = {
		.dst = UINT64_MAX, .lookups_left = OURS_LOOKUPS, .bare = w->decap.n == 0};
	bool *apart = &w->port[port].apart;
	struct dp_ip_burst b;

	w->decap.port = w->encap.port = (uint8_t)port;
	dp_ip_burst_init(&b, &w->dp->fib, w->dp->ports[port].table);
	for (uint16_t i = 0; i < n; i++) {
		const uint8_t *eth = dp_data(m[i]);

		__builtin_prefetch(eth, 1);
		__builtin_prefetch(eth - 64, 1);
		__builtin_prefetch(eth + m[i]->data_len, 1);
	}
	if (*apart && dp_lpm_is_large(b.lpm4))
		recognise_ahead(w, port, m, n, &ours, &b, told);
	else
		recognise(w, port, m, n, &ours, &b, told);
	if (b.v4.n == 0 && b.v6.n == 0)
		return;
	dp_lookup(&b);
	*apart = b.apart;
	dispatch(w, &b.v4, 4, b.apart);
	dispatch(w, &b.v6, 6, true);
}

void dp_classify(struct dp_worker *w, unsigned port, struct rte_mbuf **m, uint16_t n)
{
	if (dp_offload_on(&w->dp->ports[port].offloads, DP_OFFLOAD_RX_CHECKSUM))
		classify(w, port, m, n, true);
	else
		classify(w, port, m, n, false);
}
