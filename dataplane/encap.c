/* SPDX-License-Identifier: Apache-2.0 */
/*
 * encap: inner packets into their tunnels. Grouped by outbound SA, so that ESP sees bursts of one
 * SA; then the next hop's Ethernet header and out. A packet for which a tunnel has no SA, or the
 * peer no neighbour, never leaves in clear.
 *
 * A worker that has an SA of its own for a tunnel (RFC 9611) sends by it what it meets; a worker
 * without one hands the packet to the tunnel's owner, for the common SA.
 */
#include "dataplane/pipeline.h"

#include "dataplane/dp.h"

uint32_t dp_group_pick(const struct dp *dp, const struct dp_worker *w, uint32_t group)
{
	const struct dp_group_hot *g =
		__atomic_load_n(&dp->tunnels.groups[group], __ATOMIC_ACQUIRE);

	for (uint32_t i = 0; g && i < g->n; i++) {
		const uint32_t t = g->tunnels[i];

		if (__atomic_load_n(&dp->tunnels.hot[t].current, __ATOMIC_ACQUIRE) ||
		    (w && __atomic_load_n(&w->out[t], __ATOMIC_ACQUIRE)))
			return t;
	}
	return DP_TUNNEL_NONE;
}

void dp_into_tunnel(struct dp_worker *w, struct rte_mbuf *m, uint32_t tunnel)
{
	struct dp_meta *meta = dp_meta(m);

	meta->tunnel = tunnel;
	meta->common = !__atomic_load_n(&w->out[tunnel], __ATOMIC_ACQUIRE);
	if (meta->common)
		dp_handoff(w, tunnel % w->dp->n_workers, m, DP_PKT_ENCAP);
	else if (w->encap.n < DP_VEC_SIZE)
		w->encap.m[w->encap.n++] = m;
	else
		dp_handoff(w, w->index, m, DP_PKT_ENCAP);
}

static void drop_out(struct dp_worker *w, uint32_t tunnel, struct rte_mbuf *m, unsigned reason)
{
	dp_count_out(w, &w->tunnels[tunnel].out_dropped, 1);
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
static void too_big(struct dp_worker *w, struct rte_mbuf *m, uint32_t mtu)
{
	const uint8_t *ip = dp_data(m);

	if (dp_meta(m)->family == 4 && !(ip[6] & 0x40) && (ip[0] & 15) == 5 && mtu >= 68) {
		fragment(w, m, mtu);
		return;
	}
	dp_icmp_too_big(w, m, mtu);
	drop_out(w, dp_meta(m)->tunnel, m, DP_DROP_OUT_TOO_BIG);
}

/* The outer packet on its way; without a neighbour the manager holds it and asks Linux. */
static void send_outer(struct dp_worker *w, struct rte_mbuf *m, const struct dp_path *path)
{
	if (path->neigh == DP_NEIGH_NONE) {
		drop_out(w, dp_meta(m)->tunnel, m, DP_DROP_ADJACENCY);
		return;
	}
	if (dp_send_to_neigh(w, m, path->neigh))
		return;
	dp_meta(m)->neigh = path->neigh;
	dp_to_linux(w, m, DP_PKT_UNRESOLVED);
}

static void count(struct dp_worker *w, struct dp_out *o, uint64_t packets, uint64_t bytes)
{
	struct dp_stats_tunnel *t = &w->tunnels[o->tunnel];
	struct dp_stats_sa *s = &w->sas[o->slot];
	struct esp_out_state st;
	uint32_t bits = 0;

	esp_out_state(o->esp, &st);
	__atomic_store_n(&s->out_packets, st.packets, __ATOMIC_RELAXED);
	__atomic_store_n(&s->out_bytes, st.bytes, __ATOMIC_RELAXED);
	__atomic_store_n(&s->out_seq, st.next_seq, __ATOMIC_RELAXED);
	dp_count_out(w, &t->out_packets, packets);
	dp_count_out(w, &t->out_bytes, bytes);
	if (st.soft_reached)
		bits |= DP_SA_EV_SOFT;
	if (st.exhausted)
		bits |= DP_SA_EV_HARD;
	if (bits & ~o->reported)
		dp_raise_out(w, o, bits);
}

static void encap_burst(struct dp_worker *w, struct dp_out *o, struct rte_mbuf **m, uint16_t n)
{
	const struct dp_path *path = __atomic_load_n(&o->path, __ATOMIC_ACQUIRE);
	const uint32_t limit =
		__atomic_load_n(&w->dp->tunnels.hot[o->tunnel].mtu, __ATOMIC_RELAXED);
	const uint32_t mtu = limit && limit < path->mtu ? limit : path->mtu;
	struct esp_pkt pkts[DP_VEC_SIZE];
	uint64_t packets = 0, bytes = 0;
	uint16_t k = 0;

	if (path->version != o->path_version) {
		esp_out_set_peer(o->esp, &path->local, &path->remote, path->udp);
		o->path_version = path->version;
	}
	for (uint16_t i = 0; i < n; i++) {
		const uint8_t *ip = dp_data(m[i]);
		const uint8_t ttl = dp_meta(m[i])->family == 4 ? ip[8] : ip[7];

		if (m[i]->pkt_len > mtu) {
			too_big(w, m[i], mtu);
			continue;
		}
		if (!dp_meta(m[i])->originated && ttl <= 1) {
			dp_icmp_ttl(w, m[i]);
			drop_out(w, o->tunnel, m[i], DP_DROP_TTL);
			continue;
		}
		dp_mss_clamp(dp_data(m[i]), m[i]->pkt_len, mtu);
		pkts[k] = (struct esp_pkt){
			.data = dp_data(m[i]),
			.size = m[i]->pkt_len,
			.headroom = rte_pktmbuf_headroom(m[i]),
			.tailroom = rte_pktmbuf_tailroom(m[i]),
			.from_self = dp_meta(m[i])->originated,
		};
		m[k++] = m[i];
	}
	if (k == 0)
		return;
	(void)esp_encap(&w->esp, o->esp, pkts, k);
	for (uint16_t i = 0; i < k; i++) {
		if (pkts[i].drop != ESP_DROP_OK) {
			drop_out(w, o->tunnel, m[i], dp_drop_of_esp(pkts[i].drop));
			continue;
		}
		packets++;
		bytes += m[i]->pkt_len;
		m[i]->data_off = (uint16_t)(pkts[i].data - (uint8_t *)m[i]->buf_addr);
		m[i]->pkt_len = pkts[i].size;
		m[i]->data_len = (uint16_t)pkts[i].size;
		dp_meta(m[i])->family = path->remote.addr.family;
		send_outer(w, m[i], path);
	}
	count(w, o, packets, bytes);
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

/* Our SA of this tunnel went while the packet was on its way. */
static void sa_gone(struct dp_worker *w, struct rte_mbuf *m)
{
	struct dp_meta *meta = dp_meta(m);
	const unsigned owner = meta->tunnel % w->dp->n_workers;

	if (owner == w->index) {
		drop_out(w, meta->tunnel, m, DP_DROP_NO_TUNNEL);
		return;
	}
	meta->common = 1;
	dp_handoff(w, owner, m, DP_PKT_ENCAP);
}

static void find_sas(struct dp_worker *w, struct dp_vec *v)
{
	uint16_t n = 0;

	for (uint16_t i = 0; i < v->n; i++) {
		struct dp_meta *meta = dp_meta(v->m[i]);

		meta->sa = find_sa(w, meta);
		if (meta->sa)
			v->m[n++] = v->m[i];
		else
			sa_gone(w, v->m[i]);
	}
	v->n = n;
}

void dp_encap(struct dp_worker *w)
{
	struct dp_vec *v = &w->encap;

	find_sas(w, v);
	while (v->n) {
		void *sa = dp_meta(v->m[0])->sa;
		struct rte_mbuf *group[DP_VEC_SIZE];
		const uint16_t n = dp_take_group(v, group);

		encap_burst(w, sa, group, n);
	}
}
