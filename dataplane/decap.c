/* SPDX-License-Identifier: Apache-2.0 */
/*
 * decap: ESP packets for our inbound SAs, grouped by SA; what is authentic goes on to dp_forward().
 * What the peer's packets tell (first one, limits, another address) is raised to the manager.
 */
#include "dataplane/pipeline.h"

#include "dataplane/dp.h"

static void drop_in(struct dp_worker *w, uint32_t tunnel, struct rte_mbuf *m, unsigned reason)
{
	dp_count(&w->tunnels[tunnel].in_dropped, 1);
	dp_drop(w, m, reason);
}

static void count(struct dp_worker *w, struct dp_in *in, uint64_t packets, uint64_t bytes)
{
	struct dp_stats_tunnel *t = &w->tunnels[in->tunnel];
	struct dp_stats_sa *s = &w->sas[in->slot];
	struct esp_in_state st;
	uint32_t bits = 0;

	esp_in_state(in->esp, &st);
	__atomic_store_n(&s->in_packets, st.packets, __ATOMIC_RELAXED);
	__atomic_store_n(&s->in_bytes, st.bytes, __ATOMIC_RELAXED);
	__atomic_store_n(&s->in_seq_high, st.seq_high, __ATOMIC_RELAXED);
	__atomic_store_n(&s->in_auth_failed, st.auth_failed, __ATOMIC_RELAXED);
	__atomic_store_n(&s->in_replayed, st.replayed, __ATOMIC_RELAXED);
	__atomic_store_n(&s->in_late, st.late, __ATOMIC_RELAXED);
	__atomic_store_n(&s->in_ts_mismatch, st.ts_mismatch, __ATOMIC_RELAXED);
	__atomic_store_n(&s->in_malformed, st.malformed, __ATOMIC_RELAXED);
	dp_count(&t->in_packets, packets);
	dp_count(&t->in_bytes, bytes);

	if (st.packets)
		bits |= DP_SA_EV_FIRST;
	if (st.soft_reached)
		bits |= DP_SA_EV_SOFT;
	if (st.expired)
		bits |= DP_SA_EV_HARD;
	if (bits & ~in->reported)
		dp_raise_in(w, in, bits);
	if (st.last_remote.addr.family != IP_NONE &&
	    !ip_endpoint_equal(&st.last_remote, &in->seen)) {
		in->seen = st.last_remote;
		dp_raise_in(w, in, DP_SA_EV_MOVED);
	}
}

static void decap_burst(struct dp_worker *w, struct dp_in *in, struct rte_mbuf **m, uint16_t n)
{
	struct esp_pkt pkts[DP_VEC_SIZE];
	uint64_t packets = 0, bytes = 0;
	uint16_t k = 0;

	for (uint16_t i = 0; i < n; i++) {
		pkts[i] = (struct esp_pkt){
			.data = dp_data(m[i]),
			.size = m[i]->pkt_len,
			.headroom = rte_pktmbuf_headroom(m[i]),
			.tailroom = rte_pktmbuf_tailroom(m[i]),
		};
	}
	(void)esp_decap(&w->esp, in->esp, pkts, n);
	for (uint16_t i = 0; i < n; i++) {
		struct dp_meta *meta = dp_meta(m[i]);

		if (pkts[i].drop != ESP_DROP_OK) {
			drop_in(w, in->tunnel, m[i], dp_drop_of_esp(pkts[i].drop));
			continue;
		}
		m[i]->data_off = (uint16_t)(pkts[i].data - (uint8_t *)m[i]->buf_addr);
		m[i]->pkt_len = pkts[i].size;
		m[i]->data_len = (uint16_t)pkts[i].size;
		meta->family = pkts[i].inner_family;
		meta->in_tunnel = 1;
		meta->from_tunnel = in->tunnel;
		meta->port = DP_NO_PORT;
		packets++;
		bytes += pkts[i].size;
		m[k++] = m[i];
	}
	count(w, in, packets, bytes);
	if (k)
		dp_forward(w, m, k);
}

/* Finds each packet's SA as it is now. */
static void find_sas(struct dp_worker *w, struct dp_vec *v)
{
	uint16_t n = 0;

	for (uint16_t i = 0; i < v->n; i++) {
		struct dp_meta *meta = dp_meta(v->m[i]);
		struct dp_in *in = dp_in_of(&w->dp->sas, meta->spi & DP_SLOT_MASK);

		/* The owner can only be another one if the slot was given to another tunnel since. */
		if (!in || in->spi != meta->spi || in->owner != w->index) {
			dp_drop(w, v->m[i], DP_DROP_UNKNOWN_SPI);
			continue;
		}
		meta->sa = in;
		v->m[n++] = v->m[i];
	}
	v->n = n;
}

void dp_decap(struct dp_worker *w)
{
	struct dp_vec *v = &w->decap;

	find_sas(w, v);
	while (v->n) {
		void *sa = dp_meta(v->m[0])->sa;
		struct rte_mbuf *group[DP_VEC_SIZE];
		const uint16_t n = dp_take_group(v, group);

		decap_burst(w, sa, group, n);
	}
}
