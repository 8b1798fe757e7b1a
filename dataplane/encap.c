/* SPDX-License-Identifier: Apache-2.0 */
/*
 * encap: inner packets into their tunnels. They stay in the order of their arrival; those that follow
 * each other with one SA are a run, and are treated alike:
 *
 *   1. each run: what the tunnel's MTU has against a packet; the peer's names for its addresses, if the
 *      tunnel translates (translate.h); what ESP has against it; ESP's headers (esp_out_prepare)
 *   2. all packets at once: encryption
 *   3. each run: counters, the next hop's Ethernet header, and out
 *
 * Usual packets go a short way (quick.h), which reads one line of their SA: those that follow each other are
 * one run, whatever their SAs.
 *
 * A packet for which a tunnel has no SA, or the peer no neighbour, never leaves in clear.
 *
 * A worker that has an SA of its own for a tunnel (RFC 9611) sends by it what it meets; a worker
 * without one hands the packet to the tunnel's owner, for the common SA.
 */
#include "dataplane/pipeline.h"

#include <rte_udp.h>

#include "dataplane/dp.h"
#include "dataplane/flow.h"
#include "dataplane/hop.h"
#include "dataplane/l2.h"
#include "dataplane/spread.h"
#include "dataplane/translate.h"
#include "esp/quick.h"

#define V6_LEAST_MTU 1280u /* RFC 8200 5 */

static inline bool can_send(const struct dp *dp, const struct dp_worker *w, uint32_t tunnel)
{
	/* What a worker sends by is read next anyway. */
	return (w && __atomic_load_n(&w->out[tunnel], __ATOMIC_ACQUIRE)) ||
	       __atomic_load_n(&dp->tunnels.hot[tunnel].current, __ATOMIC_ACQUIRE);
}

uint32_t dp_group_pick(const struct dp *dp, const struct dp_worker *w, const struct dp_group_hot *g)
{
	for (uint32_t i = 0; g && i < g->n; i++) {
		if (can_send(dp, w, g->tunnels[i]))
			return g->tunnels[i];
	}
	return DP_TUNNEL_NONE;
}

uint32_t dp_group_share(const struct dp *dp, const struct dp_worker *w,
			const struct dp_group_hot *g, const uint8_t *ip, uint32_t size,
			uint8_t family)
{
	const uint64_t flow = dp_flow_hash(ip, size, family);
	uint32_t best = DP_TUNNEL_NONE;
	uint64_t most = 0;

	for (uint32_t i = 0; i < g->n_ecmp; i++) {
		const uint64_t weight = dp_flow_weight(flow, g->tunnels[i]);

		if ((best == DP_TUNNEL_NONE || weight > most) && can_send(dp, w, g->tunnels[i])) {
			best = g->tunnels[i];
			most = weight;
		}
	}
	return best != DP_TUNNEL_NONE ? best : dp_group_pick(dp, w, g);
}

/*
 * SAs of a burst lie apart in memory, each found by its group's hop, its key by the SA: step by step, for the
 * whole burst, what the next step reads. A burst for the group of the one before has it all at hand.
 */
void dp_group_fetch(struct dp_worker *w, const uint32_t *nh, uint16_t n)
{
	const struct dp_out *outs[DP_VEC_SIZE];
	uint32_t places[DP_VEC_SIZE];
	uint16_t n_places = 0, k = 0;

	for (uint16_t i = 0; i < n; i++) {
		if (dp_nh_kind(nh[i]) != DP_NH_GROUP || (i && nh[i] == nh[i - 1]))
			continue;
		places[n_places] = dp_nh_index(nh[i]);
		__builtin_prefetch(&w->hops[places[n_places++]]);
	}
	if (n_places == 0 || (n_places == 1 && places[0] == w->last_place))
		return;
	w->last_place = places[n_places - 1];
	for (uint16_t i = 0; i < n_places; i++) {
		const uintptr_t hop = dp_hop(w, places[i]);

		if (hop & DP_HOP_SHARED)
			__builtin_prefetch(dp_hop_group(hop));
		else if (hop && !(hop & DP_HOP_HAND))
			dp_out_fetch(outs[k++] = (const struct dp_out *)hop);
	}
	for (uint16_t i = 0; i < k; i++)
		esp_out_prefetch_key(&w->esp, dp_out_esp(outs[i]));
}

static void drop_out(struct dp_worker *w, uint32_t tunnel, struct rte_mbuf *m, unsigned reason)
{
	dp_count_tunnel(w, &w->tunnels[tunnel].out_dropped, 1);
	dp_drop(w, m, reason);
}

/* Cuts an IPv4 packet before encryption; the pieces come back to us by our own ring. */
static void fragment(struct dp_worker *w, struct rte_mbuf *m, uint32_t mtu)
{
	const struct dp_meta meta = *dp_meta(m);
	struct rte_mbuf *pieces[DP_MAX_FRAGMENTS];
	const int n = dp_fragment_v4(w->dp->pool, m, mtu, pieces);

	if (n <= 0) {
		drop_out(w, meta.tunnel, m, n == 0 ? DP_DROP_OUT_TOO_BIG : DP_DROP_NO_BUFFER);
		return;
	}
	dp_count(&w->stats->generated, (uint64_t)n - 1);
	for (int i = 0; i < n; i++) {
		*dp_meta(pieces[i]) = meta;
		dp_handoff(w, w->index, pieces[i], DP_PKT_ENCAP);
	}
	rte_pktmbuf_free(m);
}

/* Too big to be encapsulated (RFC 4301 8): fragments if allowed, else tells the sender. */
static void too_big(struct dp_worker *w, uint32_t tunnel, struct rte_mbuf *m, uint32_t mtu)
{
	const uint8_t *ip = dp_data(m);

	dp_meta(m)->tunnel = tunnel;
	if (dp_meta(m)->family == 4 && !(ip[6] & 0x40) && mtu >= 68) {
		fragment(w, m, mtu);
		return;
	}
	dp_icmp_too_big(w, m, mtu);
	drop_out(w, tunnel, m, DP_DROP_OUT_TOO_BIG);
}

/* After packets that went the longer way: only there a limit is met. */
static void count(struct dp_worker *w, struct dp_out *o)
{
	struct esp_out_state st;
	uint32_t bits = 0;

	esp_out_state(dp_out_esp(o), &st);
	dp_counters_note_out(&w->counters, o);
	if (st.soft_reached)
		bits |= DP_SA_EV_SOFT;
	if (st.exhausted)
		bits |= DP_SA_EV_HARD;
	if (bits & ~(uint32_t)o->reported)
		dp_raise_out(w, o, bits);
	o->near.odd &= (uint8_t)~DP_ODD_EVENTS;
	if (bits & ~(uint32_t)o->reported)
		o->near.odd |= DP_ODD_EVENTS;
}

/* Packets that follow each other and are treated alike, and what phase 1 found for phase 3. */
struct run {
	struct dp_out *o; /* NULL: they went the short way, each by its own SA */
	const struct esp_job *jobs;
	const struct dp_nic_session *nic; /* the port's device seals them, or NULL */
	uint16_t first, n;
	/* The short way: the frames are complete but for the ciphertext. */
	uint32_t bytes; /* in all of them */
	uint8_t port;   /* they leave by it */
};

/* A neighbour to which packets go the short way. */
struct way {
	uint16_t neigh;
	struct dp_l2 l2;
};

struct burst {
	struct run runs[DP_VEC_SIZE];
	struct esp_job *quick[DP_VEC_SIZE]; /* of the packets that went the short way */
};
static_assert(sizeof(struct burst) <= DP_VEC_SIZE * DP_SPREAD_RUN_SIZE, "a burst on its way");

/* What ESP refused, still as it was. */
static void refused(struct dp_worker *w, struct dp_out *o, struct rte_mbuf *m, enum esp_drop reason)
{
	/* Its SA has counted it, its tunnel shall not. */
	if (reason == ESP_DROP_OUT_CRYPTO) {
		o->told.packets++;
		o->told.bytes += m->pkt_len;
	}
	if (reason == ESP_DROP_OUT_TTL) {
		if (o->view.translates)
			dp_translate_undo(w, o->tunnel, m);
		dp_icmp_ttl(w, m);
		drop_out(w, o->tunnel, m, DP_DROP_TTL);
	} else {
		drop_out(w, o->tunnel, m, dp_drop_of_esp(reason));
	}
}

/* No next hop, or it has no address yet: then the manager holds the packet and asks Linux. */
static void unresolved(struct dp_worker *w, struct rte_mbuf *m, const struct dp_out *o)
{
	if (o->near.neigh == DP_NEAR_NONE) {
		drop_out(w, o->tunnel, m, DP_DROP_ADJACENCY);
		return;
	}
	dp_meta(m)->family = o->view.family;
	dp_meta(m)->neigh = o->near.neigh;
	dp_to_linux(w, m, DP_PKT_UNRESOLVED);
}

/* The port's device writes the UDP checksum (RFC 768) of what leaves as it is. */
static void leave_udp_sum(struct rte_mbuf *m)
{
	m->ol_flags |= RTE_MBUF_F_TX_IPV6 | RTE_MBUF_F_TX_UDP_CKSUM;
	m->l2_len = DP_ETH_SIZE;
	m->l3_len = sizeof(struct rte_ipv6_hdr);
}

/* Of what is cut we do: no device sees the datagram. */
static void write_udp_sum(struct rte_mbuf *m)
{
	const struct rte_ipv6_hdr *ip = rte_pktmbuf_mtod(m, const struct rte_ipv6_hdr *);
	struct rte_udp_hdr *udp =
		rte_pktmbuf_mtod_offset(m, struct rte_udp_hdr *, sizeof(struct rte_ipv6_hdr));

	udp->dgram_cksum = 0;
	udp->dgram_cksum = rte_ipv6_udptcp_cksum(ip, udp);
}

/*
 * An IPv6 packet that every link must carry, larger than the tunnel does: it is encapsulated all the same,
 * and the outer packet cut (RFC 2473 7.1 (b), RFC 8200 5). Rare, hence by itself.
 */
static void send_cut(struct dp_worker *w, struct dp_out *o, struct rte_mbuf *m, struct esp_pkt *p)
{
	const uint32_t outer_mtu = __atomic_load_n(&o->path, __ATOMIC_ACQUIRE)->outer_mtu;
	const struct dp_l2 l2 = dp_l2_of(w, dp_out_neigh(o));
	struct rte_mbuf *pieces[DP_MAX_FRAGMENTS] = {m};
	uint32_t id;
	int n = 1;

	dp_spread_drain(w); /* what has lower numbers goes first */
	if (o->view.translates && !dp_translate_out_one(w, o->tunnel, m, p))
		return;
	if (esp_encap(&w->esp, dp_out_esp(o), p, 1) != 1) {
		refused(w, o, m, p->drop);
		return;
	}
	dp_esp_done(m, p);
	count(w, o);
	if (o->view.udp_sum_left && m->pkt_len <= outer_mtu)
		leave_udp_sum(m);
	if (m->pkt_len > outer_mtu) {
		if (o->view.udp_sum_left)
			write_udp_sum(m);
		/* RFC 7739: nobody shall foresee it. */
		dp_random_fill(&w->random, (uint8_t *)&id, sizeof(id));
		n = dp_fragment_outer(w->dp->pool, m, outer_mtu, id, pieces);
		if (n <= 0) {
			drop_out(w, o->tunnel, m, DP_DROP_NO_BUFFER);
			return;
		}
		for (int i = 0; i < n; i++)
			*dp_meta(pieces[i]) = *dp_meta(m);
		dp_count(&w->stats->generated, (uint64_t)n - 1);
		rte_pktmbuf_free(m);
	}
	for (int i = 0; i < n; i++) {
		if (l2.resolved)
			dp_l2_send(w, pieces[i], &l2, o->view.family);
		else
			unresolved(w, pieces[i], o);
	}
}

/* The path or the tunnel's MTU is another one than when the half was used last. */
static void look_at_path(struct dp_worker *w, struct dp_out *o)
{
	const struct dp_path *path;

	dp_spread_drain(w); /* what is on its way has the old one */
	dp_out_look(w->dp, o);
	path = __atomic_load_n(&o->path, __ATOMIC_ACQUIRE);
	if (path->version != o->path_version) {
		esp_out_set_peer(dp_out_esp(o), &path->local, &path->remote, path->udp);
		esp_out_leave_udp_sum(dp_out_esp(o), path->udp_sum_left);
		o->path_version = path->version;
	}
}

/*
 * Whether the port's device shall seal what goes this way. Never what has to wait for a neighbour: it would
 * wait as plaintext.
 */
static bool by_nic(const struct dp_worker *w, const struct dp_out *o)
{
	return unlikely(o->view.nic) && dp_l2_of(w, dp_out_neigh(o)).resolved;
}

/* A complete frame of what ESP has made. There is room for the header. */
static inline void write_frame(struct rte_mbuf *m, uint8_t *data, uint32_t size,
			       const struct dp_l2 *l2, uint16_t type)
{
	uint8_t *eth = data - DP_ETH_SIZE;

	dp_l2_write(eth, l2, type);
	dp_set_data(m, eth, size + DP_ETH_SIZE);
}

/*
 * Phase 1 of `n` packets of one SA, as far as they are usual, and of phase 3 all but sending: the headers' lines are
 * at hand. Returns how many they are.
 */
static inline __attribute__((always_inline)) uint16_t
prepare_quick_of(struct dp_worker *w, struct dp_out *o, const struct dp_l2 *l2, uint16_t first,
		 uint16_t n, struct esp_batch *batch, struct run *r, struct esp_job **jobs)
{
	const struct dp_esp_vec *v = &w->encap;
	struct esp_out_line *l = esp_out_line(dp_out_esp(o));
	struct esp_quick q = esp_quick_begin(l);
	size_t *n_jobs = &batch->n[l->flags & ESP_QUICK_AEAD];
	struct esp_job *job = &batch->jobs[l->flags & ESP_QUICK_AEAD][*n_jobs];
	const uint32_t mtu = o->near.mtu;
	uint32_t bytes = 0;
	uint16_t k;

	for (k = 0; k < n; k++, job++) {
		const struct esp_pkt *p = &v->pkts[first + k];
		uint32_t size;

		if (p->size > mtu || p->headroom < DP_ETH_SIZE + ESP_QUICK_PREFIX)
			break;
		size = esp_quick_prepare(&q, dp_out_esp(o), p, job);
		if (!size)
			break;
		dp_mss_clamp(p->data, 4, p->size, mtu);
		jobs[first + k] = job;
		write_frame(v->m[first + k], p->data - ESP_QUICK_PREFIX, size, l2, dp_l2_type(4));
		bytes += size + DP_ETH_SIZE;
	}
	esp_quick_end(&q, l, k);
	*n_jobs += k;
	r->bytes += bytes;
	dp_counters_note_out(&w->counters, o);
	return k;
}

/* The same, from r->first on, whatever their SAs, as long as they leave by one port. */
static uint16_t prepare_quick(struct dp_worker *w, struct run *r, struct esp_batch *batch,
			      struct esp_job **jobs)
{
	const struct dp_esp_vec *v = &w->encap;
	struct way way = {.neigh = DP_NEAR_NONE, .l2 = {.resolved = false}};
	uint16_t i, n, k;

	for (i = r->first; i < v->n; i = (uint16_t)(i + k)) {
		struct dp_out *o = v->sa[i];
		const uint16_t quota = esp_out_line(dp_out_esp(o))->quota;

		if (dp_out_is_odd(o) || quota == 0)
			break;
		if (o->near.neigh != way.neigh)
			way = (struct way){.neigh = o->near.neigh,
					   .l2 = dp_l2_of(w, dp_out_neigh(o))};
		if (!way.l2.resolved || (i > r->first && way.l2.port != r->port))
			break;
		r->port = way.l2.port;
		n = dp_run_size(v, i);
		if (n == 1)
			k = prepare_quick_of(w, o, &way.l2, i, 1, batch, r, jobs);
		else
			k = prepare_quick_of(w, o, &way.l2, i, RTE_MIN(n, quota), batch, r, jobs);
		if (k < n)
			return (uint16_t)(i + k - r->first);
	}
	return (uint16_t)(i - r->first);
}

/* A source port for each inner flow, by which queues and paths are chosen on the way. */
static void choose_ports(struct dp_worker *w, const struct run *r)
{
	for (uint16_t i = r->first; i < r->first + r->n; i++) {
		struct esp_pkt *p = &w->encap.pkts[i];

		p->source_port = dp_flow_port(dp_flow_hash(p->data, p->size, p->inner_family),
					      w->dp->port_secret);
	}
}

/* Phase 1. Packets that are too big leave the run; the others move up. */
static void prepare_run(struct dp_worker *w, struct run *r, struct esp_batch *batch,
			struct esp_batch *nic)
{
	struct dp_esp_vec *v = &w->encap;
	struct dp_out *o = r->o;
	uint16_t k = r->first;
	uint32_t mtu;

	if (unlikely(__atomic_load_n(&o->near.stale, __ATOMIC_ACQUIRE)))
		look_at_path(w, o);
	if (unlikely(o->port_entropy))
		choose_ports(w, r);
	mtu = o->near.mtu;
	for (uint16_t i = r->first; i < r->first + r->n; i++) {
		struct esp_pkt *p = &v->pkts[i];

		(void)dp_dressed(v, i);
		if (unlikely(p->size > mtu)) {
			if (p->inner_family == 6 && p->size <= V6_LEAST_MTU)
				send_cut(w, o, v->m[i], p);
			else
				too_big(w, o->tunnel, v->m[i], mtu);
			continue;
		}
		dp_mss_clamp(p->data, p->inner_family, p->size, mtu);
		if (k != i) {
			v->pkts[k] = *p;
			v->m[k] = v->m[i];
		}
		k++;
	}
	r->n = (uint16_t)(k - r->first);
	if (unlikely(o->view.translates))
		r->n = dp_translate_out(w, o->tunnel, r->first, r->n);
	if (by_nic(w, o)) {
		r->nic = o->nic;
		batch = nic;
	}
	r->jobs = esp_out_prepare(&w->esp, dp_out_esp(o), &v->pkts[r->first], r->n, batch);
}

/* It is plaintext still: by this port, now, or not at all. */
static void send_by_nic(struct dp_worker *w, const struct run *r, struct rte_mbuf *m,
			const struct dp_l2 *l2)
{
	if (!l2->resolved || l2->port != r->nic->port)
		drop_out(w, r->o->tunnel, m, DP_DROP_ADJACENCY);
	else if (!dp_nic_seal(r->nic, m))
		drop_out(w, r->o->tunnel, m, dp_drop_of_esp(ESP_DROP_OUT_CRYPTO));
	else
		dp_l2_send(w, m, l2, r->o->view.family);
}

/* What the devices will seal is as good as sealed. */
static void trust_nic(struct esp_batch *nic)
{
	for (size_t a = 0; a < ESP_AEADS_MAX; a++)
		for (size_t i = 0; i < nic->n[a]; i++)
			nic->jobs[a][i].ok = true;
}

/* Puts the Ethernet header in front of what ESP has made, and queues. */
static inline void send_one(struct dp_worker *w, struct rte_mbuf *m, const struct esp_pkt *p,
			    const struct dp_l2 *l2, uint16_t type)
{
	if (unlikely(p->headroom < DP_ETH_SIZE)) {
		dp_drop(w, m, DP_DROP_NO_BUFFER);
		return;
	}
	write_frame(m, p->data, p->size, l2, type);
	dp_tx(w, l2->port, m);
}

/* Phase 3 of packets that went the short way. `sealed`: every job is done. */
static void send_quick(struct dp_worker *w, const struct dp_esp_vec *v, const struct run *r,
		       struct esp_job *const *jobs, bool sealed)
{
	if (likely(sealed)) {
		dp_tx_all(w, r->port, &v->m[r->first], r->n, r->bytes);
		return;
	}
	for (uint16_t i = r->first; i < r->first + r->n; i++) {
		struct rte_mbuf *m = v->m[i];

		if (jobs[i]->ok) {
			dp_tx(w, r->port, m);
			continue;
		}
		m->pkt_len = v->pkts[i].size; /* as it was */
		refused(w, v->sa[i], m, ESP_DROP_OUT_CRYPTO);
	}
}

/* Phase 3 of packets that went the longer way. */
static void send_run(struct dp_worker *w, struct dp_esp_vec *v, const struct run *r)
{
	struct dp_out *o = r->o;
	const struct dp_l2 l2 = dp_l2_of(w, dp_out_neigh(o));

	(void)esp_out_finish(dp_out_esp(o), &v->pkts[r->first], r->n, r->jobs);
	for (uint16_t i = r->first; i < r->first + r->n; i++) {
		const struct esp_pkt *p = &v->pkts[i];
		struct rte_mbuf *m = v->m[i];

		if (p->drop != ESP_DROP_OK) {
			refused(w, o, m, p->drop);
			continue;
		}
		if (unlikely(o->view.udp_sum_left))
			leave_udp_sum(m);
		if (likely(l2.resolved && !r->nic)) {
			send_one(w, m, p, &l2, dp_l2_type(o->view.family));
			continue;
		}
		dp_esp_done(m, p);
		if (r->nic)
			send_by_nic(w, r, m, &l2);
		else
			unresolved(w, m, o);
	}
	count(w, o);
}

static void send_runs(struct dp_worker *w, struct dp_esp_vec *v, const struct burst *b,
		      uint16_t n_runs, const struct esp_batch *batch)
{
	const bool sealed = esp_batch_all_ok(batch);

	for (uint16_t i = 0; i < n_runs; i++) {
		if (b->runs[i].o)
			send_run(w, v, &b->runs[i]);
		else
			send_quick(w, v, &b->runs[i], b->quick, sealed);
	}
}

/* Phase 3 of a burst of which another worker may have done the second. */
static void send_item(struct dp_worker *w, struct dp_spread_item *item)
{
	send_runs(w, &item->v, (const struct burst *)item->runs, item->n_runs, &item->batch);
}

void dp_encap(struct dp_worker *w)
{
	struct dp_esp_vec *v = &w->encap;
	struct dp_spread_item *item = dp_spread_item(w, v, false);
	struct burst here, *b = item ? (struct burst *)item->runs : &here;
	struct esp_batch own, nic, *batch = item ? &item->batch : &own;
	uint16_t n_runs = 0;

	esp_batch_init(batch);
	if (w->dp->inline_crypto)
		esp_batch_init(&nic);
	for (uint16_t i = 0, n; i < v->n; i = (uint16_t)(i + n)) {
		struct run *r = &b->runs[n_runs++];

		*r = (struct run){.first = i};
		n = r->n = prepare_quick(w, r, batch, b->quick);
		if (n)
			continue;
		n = r->n = dp_run_size(v, i);
		r->o = v->sa[i];
		prepare_run(w, r, batch, &nic);
	}
	if (unlikely(item != NULL)) {
		dp_spread_put(w, item, v, n_runs, send_item);
		v->n = v->n_bare = 0;
		return;
	}
	esp_batch_seal(&w->esp, batch);
	if (w->dp->inline_crypto)
		trust_nic(&nic);
	/* What comes up from here on, such as an ICMP error, is for the next round. */
	v->n = v->n_bare = 0;
	send_runs(w, v, b, n_runs, batch);
}

static inline void append(struct dp_worker *w, struct rte_mbuf *m, struct dp_out *o, uint8_t family,
			  bool originated)
{
	struct dp_esp_vec *v = &w->encap;
	struct esp_pkt *p = &v->pkts[v->n];

	dp_esp_pkt(m, p);
	p->inner_family = family;
	p->from_self = originated;
	v->sa[v->n] = o;
	v->m[v->n++] = m;
}

static void hand_over(struct dp_worker *w, struct rte_mbuf *m, unsigned worker, uint32_t tunnel,
		      bool common)
{
	dp_meta(m)->tunnel = tunnel;
	dp_meta(m)->common = common;
	dp_handoff(w, worker, m, DP_PKT_ENCAP);
}

static void into_sa(struct dp_worker *w, struct rte_mbuf *const *m, uint16_t n, struct dp_out *o,
		    uint8_t family, bool originated)
{
	for (uint16_t i = 0; i < n; i++) {
		if (likely(w->encap.n < DP_VEC_SIZE))
			append(w, m[i], o, family, originated);
		else
			hand_over(w, m[i], w->index, o->tunnel, false);
	}
}

void dp_into_tunnel(struct dp_worker *w, struct rte_mbuf *const *m, uint16_t n, uint32_t tunnel,
		    uint8_t family, bool originated)
{
	struct dp_out *o = __atomic_load_n(&w->out[tunnel], __ATOMIC_ACQUIRE);

	if (o) {
		into_sa(w, m, n, o, family, originated);
		return;
	}
	for (uint16_t i = 0; i < n; i++)
		hand_over(w, m[i], tunnel % w->dp->n_workers, tunnel, true);
}

bool dp_into_sa_bare(struct dp_worker *w, const struct dp_ip_vec *b, uint16_t first, uint16_t n,
		     struct dp_out *o)
{
	struct dp_esp_vec *v = &w->encap;

	if (v->n_bare != v->n || v->n + n > DP_VEC_SIZE)
		return false;
	for (uint16_t i = first; i < first + n; i++, v->n++) {
		struct rte_mbuf *m = b->m[i];
		const uint32_t at = (uint32_t)(b->ip[i] - (uint8_t *)m->buf_addr);

		v->pkts[v->n] = (struct esp_pkt){
			.data = b->ip[i],
			.size = b->size[i],
			.headroom = at,
			.tailroom = m->buf_len - at - b->size[i],
			.inner_family = IP_V4,
		};
		v->sa[v->n] = o;
		v->m[v->n] = m;
	}
	v->n_bare = v->n;
	return true;
}

/*
 * The SA by which a packet leaves: as it is now, a hand-off may have taken longer than the last one
 * lived. Never one that another worker owns: two writers would use a sequence number twice.
 */
static struct dp_out *find_sa(const struct dp_worker *w, const struct dp_meta *meta)
{
	struct dp_out *o = NULL;

	if (meta->common)
		o = __atomic_load_n(&w->dp->tunnels.hot[meta->tunnel].current, __ATOMIC_ACQUIRE);
	if (!o)
		o = __atomic_load_n(&w->out[meta->tunnel], __ATOMIC_ACQUIRE);
	return o && o->owner == w->index ? o : NULL;
}

void dp_encap_handed(struct dp_worker *w, struct rte_mbuf *m)
{
	struct dp_meta *meta = dp_meta(m);
	const unsigned owner = meta->tunnel % w->dp->n_workers;
	struct dp_out *o = find_sa(w, meta);

	if (o) {
		append(w, m, o, meta->family, meta->originated);
	} else if (owner == w->index) {
		drop_out(w, meta->tunnel, m, DP_DROP_NO_TUNNEL);
	} else {
		/* Our SA of this tunnel went while the packet was on its way. */
		meta->common = 1;
		dp_handoff(w, owner, m, DP_PKT_ENCAP);
	}
}
