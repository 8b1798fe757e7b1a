/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pipeline: the phases of a worker's round, in the order in which a packet meets them. A phase
 * takes a burst, and every packet of it leaves to a later phase, another thread, or a drop counter.
 */
#ifndef DATAPLANE_PIPELINE_H
#define DATAPLANE_PIPELINE_H

#include <stdbool.h>
#include <stdint.h>
#include "dataplane/worker.h"

struct dp_fib;
struct dp_out;

/* lookup.c: packets with their next hops (fib.h): IPv4 first, then IPv6, each in its order. */
struct dp_routed {
	struct rte_mbuf *m[DP_VEC_SIZE];
	uint64_t nh[DP_VEC_SIZE];
	uint16_t n;
};
/* n <= DP_VEC_SIZE packets whose meta.family is set. */
void dp_lookup(const struct dp_fib *fib, struct rte_mbuf *const *m, uint16_t n,
	       struct dp_routed *out);

/* Takes the packets of the first one's SA out of a vector; both keep their order. */
static inline uint16_t dp_take_group(struct dp_vec *v, struct rte_mbuf *group[DP_VEC_SIZE])
{
	const void *sa = dp_meta(v->m[0])->sa;
	uint16_t n = 0, rest = 0;

	for (uint16_t i = 0; i < v->n; i++) {
		if (dp_meta(v->m[i])->sa == sa)
			group[n++] = v->m[i];
		else
			v->m[rest++] = v->m[i];
	}
	v->n = rest;
	return n;
}

/* classify.c: frames from a port -> w->encap, w->decap, w->to_linux */
void dp_classify(struct dp_worker *w, unsigned port, struct rte_mbuf **m, uint16_t n);
/* Checks an IP packet's header, cuts trailing bytes, sets meta.family. A drop reason, or 0 = fine. */
unsigned dp_ip_check(struct rte_mbuf *m);

/* To the mirror TAP of the port it came from, with the Ethernet header that it came with. */
void dp_to_mirror(struct dp_worker *w, struct rte_mbuf *m);
/* RFC 3948: `udp` has at least its header; true if it is ESP, not IKE, a keepalive or else. */
bool dp_udp_is_esp(const uint8_t *udp, uint32_t size);

/* encap.c: w->encap -> adjacency -> w->tx */
void dp_encap(struct dp_worker *w);
/* The first tunnel of a group by which this worker (NULL: the manager) can send, or DP_TUNNEL_NONE. */
uint32_t dp_group_pick(const struct dp *dp, const struct dp_worker *w, uint32_t group);
/* A packet for a tunnel: into w->encap if we send by this tunnel, else to the worker that owns it. */
void dp_into_tunnel(struct dp_worker *w, struct rte_mbuf *m, uint32_t tunnel);

/* decap.c: w->decap -> dp_forward() */
void dp_decap(struct dp_worker *w);

/* forward.c: inner packets that came out of tunnels */
void dp_forward(struct dp_worker *w, struct rte_mbuf **m, uint16_t n);
/* Puts an Ethernet header for a neighbour in front and queues; false if it is not resolved. */
bool dp_send_to_neigh(struct dp_worker *w, struct rte_mbuf *m, uint32_t neigh);

/* worker.c */
void dp_tx(struct dp_worker *w, unsigned port, struct rte_mbuf *m);
void dp_to_linux(struct dp_worker *w, struct rte_mbuf *m, enum dp_kind kind);
void dp_handoff(struct dp_worker *w, unsigned owner, struct rte_mbuf *m, enum dp_kind kind);

#define DP_MAX_FRAGMENTS 8
/*
 * fragment.c: copies an IPv4 packet without options into pieces of at most `mtu` bytes. Returns how
 * many, 0 if it cannot be cut so, or -1 without memory. `m` stays the caller's.
 */
int dp_fragment_v4(struct rte_mempool *pool, struct rte_mbuf *m, uint32_t mtu,
		   struct rte_mbuf *pieces[DP_MAX_FRAGMENTS]);

/* mss.c: lowers the MSS option of a TCP SYN to what `mtu` allows. */
void dp_mss_clamp(uint8_t *ip, uint32_t size, uint32_t mtu);

/* icmp.c: tells the sender of `m` (IP header at its data pointer, still whole) what went wrong. */
void dp_icmp_too_big(struct dp_worker *w, struct rte_mbuf *m, uint32_t mtu);
void dp_icmp_ttl(struct dp_worker *w, struct rte_mbuf *m);

#endif
