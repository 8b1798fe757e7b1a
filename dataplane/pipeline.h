/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pipeline: the phases of a worker's round, in the order in which a packet meets them. A phase
 * takes a burst, and every packet of it leaves to a later phase, another thread, or a drop counter.
 */
#ifndef DATAPLANE_PIPELINE_H
#define DATAPLANE_PIPELINE_H

#include <stdbool.h>
#include <stdint.h>
#include "dataplane/fib.h"
#include "dataplane/worker.h"

struct dp;
struct dp_group_hot;
struct dp_out;

/* IP packets of one family, and what the FIB says of their destinations (fib.h). */
struct dp_ip_vec {
	struct rte_mbuf *m[DP_VEC_SIZE];
	uint32_t from
		[DP_VEC_SIZE]; /* dp_forward(): the tunnel that it came out of, or DP_TUNNEL_NONE */
	uint32_t nh[DP_VEC_SIZE];
	/* Where it is and its size, which its mbuf may not know yet. */
	uint8_t *ip[DP_VEC_SIZE];
	uint32_t size[DP_VEC_SIZE];
	uint8_t family; /* 4 or 6 */
	uint16_t n;
};

/* A burst of both families: IPv4 goes first, then IPv6, each in its order. */
struct dp_ip_burst {
	struct dp_ip_vec v4, v6;
	uint32_t dst4[DP_VEC_SIZE];
	uint8_t dst6[DP_VEC_SIZE][16];
	const struct dp_lpm *lpm4, *lpm6; /* what they are looked up in: fetched as they come */
	bool begun;                       /* v4.nh has the entries of the root for dst4 */
	bool apart; /* dp_lookup(): the destinations of IPv4 are not all the same */
};

static inline void dp_ip_burst_init(struct dp_ip_burst *b, const struct dp_fib *fib, uint16_t table)
{
	b->lpm4 = dp_fib_lpm(fib, table, 4);
	b->lpm6 = dp_fib_lpm(fib, table, 6);
	b->v4.family = 4;
	b->v6.family = 6;
	b->v4.n = b->v6.n = 0;
	b->begun = false;
}

static inline void dp_ip_burst_add(struct dp_ip_burst *b, struct rte_mbuf *m, uint8_t *ip,
				   uint32_t size, uint8_t family)
{
	struct dp_ip_vec *v = family == 4 ? &b->v4 : &b->v6;

	if (family == 4) {
		b->dst4[v->n] = dp_get32(ip + 16);
		dp_lpm_fetch4(b->lpm4, b->dst4[v->n]);
	} else {
		memcpy(b->dst6[v->n], ip + 24, 16);
		dp_lpm_fetch6(b->lpm6, b->dst6[v->n]);
	}
	v->ip[v->n] = ip;
	v->size[v->n] = size;
	v->m[v->n++] = m;
}

/* The same for dp_forward(). */
static inline void dp_ip_burst_add_inner(struct dp_ip_burst *b, struct rte_mbuf *m, uint8_t *ip,
					 uint32_t size, uint8_t family, uint32_t from)
{
	struct dp_ip_vec *v = family == 4 ? &b->v4 : &b->v6;

	v->from[v->n] = from;
	dp_ip_burst_add(b, m, ip, size, family);
}

/* How many packets from `first` on follow each other with one next hop. */
static inline uint16_t dp_same_nh(const struct dp_ip_vec *v, uint16_t first)
{
	uint16_t end = (uint16_t)(first + 1);

	while (end < v->n && v->nh[end] == v->nh[first])
		end++;
	return (uint16_t)(end - first);
}

/* lookup.c: sets the next hops; all by one table, or each by that of the tunnel that it came out of. */
void dp_lookup(struct dp_ip_burst *b);
void dp_lookup_each(const struct dp *dp, struct dp_ip_burst *b);

/* How many of a vector's packets from `first` on follow each other with one SA. */
static inline uint16_t dp_run_size(const struct dp_esp_vec *v, uint16_t first)
{
	uint16_t end = (uint16_t)(first + 1);

	while (end < v->n && v->sa[end] == v->sa[first])
		end++;
	return (uint16_t)(end - first);
}

/* classify.c: frames from a port -> w->encap, w->decap, w->to_linux */
void dp_classify(struct dp_worker *w, unsigned port, struct rte_mbuf **m, uint16_t n);
/* Checks an IP packet's header, cuts trailing bytes, sets meta.family. A drop reason, or 0 = fine. */
unsigned dp_ip_check(struct rte_mbuf *m);

/* To the mirror TAP of the port it came from, with the Ethernet header that it came with. */
void dp_to_mirror(struct dp_worker *w, struct rte_mbuf *m);
/* An ESP packet for us, whose meta.family is set: into w->decap. */
void dp_into_decap(struct dp_worker *w, struct rte_mbuf *m);
/* RFC 3948: `udp` has at least its header; true if it is ESP, not IKE, a keepalive or else. */
bool dp_udp_is_esp(const uint8_t *udp, uint32_t size);

/* forward.c: what one of our own networks is to a table that has a route to them, by the packet's
 * destination: only what belongs to a port counts. 0: nothing. */
uint32_t dp_through_ports(struct dp_worker *w, struct rte_mbuf *m, uint8_t family, uint32_t table);

/* encap.c: w->encap -> adjacency -> w->tx */
void dp_encap(struct dp_worker *w);
/* A packet that another thread handed to us for meta.tunnel: into w->encap. */
void dp_encap_handed(struct dp_worker *w, struct rte_mbuf *m);
/* The first tunnel of a group (NULL: there is none) by which this worker (NULL: the manager) can send, or
 * DP_TUNNEL_NONE. */
uint32_t dp_group_pick(const struct dp *dp, const struct dp_worker *w,
		       const struct dp_group_hot *g);
/* The same of a group whose first tunnels share the traffic (g->n_ecmp): the one for this packet. */
uint32_t dp_group_share(const struct dp *dp, const struct dp_worker *w,
			const struct dp_group_hot *g, const uint8_t *ip, uint32_t size,
			uint8_t family);
/* Fetches what encapsulation will read for packets with these next hops, those of no group among them. */
void dp_group_fetch(struct dp_worker *w, const uint32_t *nh, uint16_t n);
/* Checked packets for a tunnel: into w->encap if we send by this tunnel, else to the worker that
 * owns it. `family` and `originated` are those of their meta data. */
void dp_into_tunnel(struct dp_worker *w, struct rte_mbuf *const *m, uint16_t n, uint32_t tunnel,
		    uint8_t family, bool originated);

/* Usual packets as a port has received them, from `first` on, by the SA by which this worker sends: their mbufs are not
 * written. Nothing of the SA is read. False: they would overtake others, or there is no room. */
bool dp_into_sa_bare(struct dp_worker *w, const struct dp_ip_vec *b, uint16_t first, uint16_t n,
		     struct dp_out *o);

/* decap.c: w->decap -> dp_forward(), or the worker that owns the SA */
void dp_decap(struct dp_worker *w);

/* forward.c: inner packets that came out of tunnels, in whose mbufs neither meta data nor place are written
 * yet, and (from: no tunnel) our own. */
void dp_forward(struct dp_worker *w, struct dp_ip_burst *b);

/* worker.c */
void dp_tx_flush(struct dp_worker *w, unsigned port);
static inline void dp_tx(struct dp_worker *w, unsigned port, struct rte_mbuf *m)
{
	struct dp_tx_vec *v = &w->tx[port];

	v->m[v->n++] = m;
	v->bytes += m->pkt_len;
	if (v->n == DP_BURST)
		dp_tx_flush(w, port);
}
/* Frames for one port, `bytes` in all of them, DP_BURST at most. */
void dp_tx_all(struct dp_worker *w, unsigned port, struct rte_mbuf *const *m, uint16_t n,
	       uint32_t bytes);
/* l2.h: dp_l2_send() puts an Ethernet header in front of a packet, then dp_tx(). */

void dp_to_linux(struct dp_worker *w, struct rte_mbuf *m, enum dp_kind kind);
void dp_handoff(struct dp_worker *w, unsigned owner, struct rte_mbuf *m, enum dp_kind kind);

#define DP_MAX_FRAGMENTS 24 /* a jumbo packet for the narrowest path */
/*
 * fragment.c: copies an IPv4 packet into pieces of at most `mtu` bytes. Returns how
 * many, 0 if it cannot be cut so, or -1 without memory. `m` stays the caller's.
 */
int dp_fragment_v4(struct rte_mempool *pool, struct rte_mbuf *m, uint32_t mtu,
		   struct rte_mbuf *pieces[DP_MAX_FRAGMENTS]);
/* The same of an outer packet of our own, of either family, whatever its DF bit. */
int dp_fragment_outer(struct rte_mempool *pool, struct rte_mbuf *m, uint32_t mtu, uint32_t id,
		      struct rte_mbuf *pieces[DP_MAX_FRAGMENTS]);

/* mss.c: lowers the MSS option of a TCP SYN to what `mtu` allows. */
void dp_mss_clamp_tcp(uint8_t *ip, uint32_t size, uint32_t mtu);
/* Next headers of IPv6 behind which TCP may come: hop-by-hop, TCP itself, routing, fragment, destination. */
#define DP_MAY_BE_TCP                                                                              \
	(UINT64_C(1) | 1 << 6 | UINT64_C(1) << 43 | UINT64_C(1) << 44 | UINT64_C(1) << 60)
/* Of a checked IP packet. */
static inline void dp_mss_clamp(uint8_t *ip, uint8_t family, uint32_t size, uint32_t mtu)
{
	if (family == 4 ? ip[9] == IPPROTO_TCP : ip[6] < 64 && (DP_MAY_BE_TCP >> ip[6] & 1))
		dp_mss_clamp_tcp(ip, size, mtu);
}

/* icmp.c: tells the sender of `m` (IP header at its data pointer, still whole) what went wrong. */
void dp_icmp_too_big(struct dp_worker *w, struct rte_mbuf *m, uint32_t mtu);
void dp_icmp_ttl(struct dp_worker *w, struct rte_mbuf *m);

#endif
