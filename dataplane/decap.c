/* SPDX-License-Identifier: Apache-2.0 */
/*
 * decap: ESP packets for our inbound SAs. They stay in the order of their arrival; those that follow
 * each other with one SA are a run, and are treated alike:
 *
 *   0. all packets: their SAs, found together; another worker's are handed over
 *   1. each run: what ESP refuses without cryptography (esp_in_prepare)
 *   2. all packets at once: decryption
 *   3. each run: what is authentic, fresh and within the SA's selectors (esp_in_accept); counters; the
 *      names that our side has for its addresses, if the tunnel translates (translate.h)
 *   4. all of that goes on to dp_forward()
 *
 * What the peer's packets tell (first one, limits, another address) is raised to the manager.
 */
#include "dataplane/pipeline.h"

#include "dataplane/dp.h"
#include "dataplane/spread.h"
#include "dataplane/translate.h"

static void drop_in(struct dp_worker *w, uint32_t tunnel, struct rte_mbuf *m, unsigned reason)
{
	dp_count_tunnel(w, &w->tunnels[tunnel].in_dropped, 1);
	dp_drop(w, m, reason);
}

/* What is new of a half besides its counters. */
static void raise_news(struct dp_worker *w, struct dp_in *in)
{
	struct esp_in_state st;
	uint32_t bits = 0;

	esp_in_state(dp_in_esp(in), &st);
	if (st.packets)
		bits |= DP_SA_EV_FIRST;
	if (st.soft_reached)
		bits |= DP_SA_EV_SOFT;
	if (st.expired)
		bits |= DP_SA_EV_HARD;
	if (bits & ~(uint32_t)dp_in_room(in)->reported)
		dp_raise_in(w, in, bits);
	/* A port that each flow has another of is no NAT's mapping (RFC 7296 2.23). */
	if (in->ports_vary)
		st.last_remote.port = in->seen.port;
	if (st.last_remote.addr.family != IP_NONE &&
	    !ip_endpoint_equal(&st.last_remote, &in->seen)) {
		in->seen = st.last_remote;
		dp_raise_in(w, in, DP_SA_EV_MOVED);
	}
	/* Not while there is no room for events. */
	if (ip_endpoint_equal(&st.last_remote, &in->seen))
		esp_in_moved_told(dp_in_esp(in));
}

static inline void count(struct dp_worker *w, struct dp_in *in)
{
	dp_counters_note_in(&w->counters, in);
	if (likely(!esp_in_news(dp_in_esp(in)) && (dp_in_room(in)->reported & DP_SA_EV_FIRST)))
		return;
	/* Without room the next burst tries again; where many wait, what is read in vain are their cold lines. */
	if (!rte_ring_full(w->dp->sa_events))
		raise_news(w, in);
}

/* Packets of one SA that follow each other. */
struct run {
	struct dp_in *in;
	struct esp_job *jobs;
	uint16_t first, n;
	bool by_nic; /* the port's device has opened them, or tried to */
};
static_assert(sizeof(struct run) <= DP_SPREAD_RUN_SIZE, "a run of a burst on its way");

static void unknown_spi(struct dp_worker *w, struct rte_mbuf *m)
{
	if (w->spi_tokens == 0) {
		dp_drop(w, m, DP_DROP_UNKNOWN_SPI);
		return;
	}
	w->spi_tokens--;
	dp_count(&w->stats->drops[DP_DROP_UNKNOWN_SPI], 1);
	dp_to_linux(w, m, DP_PKT_UNKNOWN_SPI);
}

/* Phase 0 for a burst of one SA that is ours. False: it is another one. */
static bool find_one_sa(struct dp_worker *w)
{
	struct dp_esp_vec *v = &w->decap;
	const uint32_t spi = v->spi[0];
	struct dp_in *in;
	uint32_t differ = 0;

	for (uint16_t i = 1; i < v->n; i++)
		differ |= v->spi[i] ^ spi;
	if (differ)
		return false;
	in = dp_in_of(&w->dp->sas, spi & DP_SLOT_MASK);
	if (!in || dp_in_room(in)->spi != spi || dp_in_room(in)->owner != w->index)
		return false;
	for (uint16_t i = 0; i < v->n; i++)
		v->sa[i] = in;
	return true;
}

/*
 * Phase 0 for any other burst: each packet's SA. SAs that alternate lie apart in memory: each step fetches, for the whole
 * burst, what the next one reads.
 */
static void find_each_sa(struct dp_worker *w)
{
	struct dp_esp_vec *v = &w->decap;
	const struct dp_sas *sas = &w->dp->sas;
	uint16_t n = 0;

	for (uint16_t i = 0; i < v->n; i++) {
		if ((v->spi[i] & DP_SLOT_MASK) < sas->max)
			__builtin_prefetch(&sas->in[v->spi[i] & DP_SLOT_MASK]);
	}
	for (uint16_t i = 0; i < v->n; i++) {
		v->sa[i] = dp_in_of(sas, v->spi[i] & DP_SLOT_MASK);
		if (v->sa[i])
			dp_in_fetch(v->sa[i]);
	}
	for (uint16_t i = 0; i < v->n; i++) {
		const struct dp_in *in = v->sa[i];

		if (unlikely(!in || dp_in_room(in)->spi != v->spi[i])) {
			struct rte_mbuf *m = dp_dressed(v, i);

			dp_meta(m)->spi = v->spi[i];
			unknown_spi(w, m);
			continue;
		}
		if (unlikely(dp_in_room(in)->owner != w->index)) {
			dp_handoff(w, dp_in_room(in)->owner, dp_dressed(v, i), DP_PKT_DECAP);
			continue;
		}
		if (n != i) {
			v->pkts[n] = v->pkts[i];
			v->m[n] = v->m[i];
			v->sa[n] = v->sa[i];
		}
		n++;
	}
	v->n = n;
}

/* The memory of runs that are not alone. */
static void fetch_runs(struct dp_worker *w, const struct run *runs, uint16_t n)
{
	for (uint16_t i = 0; i < n; i++)
		esp_in_prefetch_key(&w->esp, dp_in_esp(runs[i].in));
}

/* The packets of a run that go on together: all by the port's device, or all by us. */
static uint16_t split_by_nic(const struct dp_esp_vec *v, struct run *r)
{
	uint16_t n = 1;

	r->by_nic = r->in->nic && dp_nic_saw(v->m[r->first]);
	while (n < r->n && (r->in->nic && dp_nic_saw(v->m[r->first + n])) == r->by_nic)
		n++;
	r->n = n;
	return n;
}

/* Phase 2 of what the port's device had: its verdict on each. */
static void ask_nic(const struct dp_esp_vec *v, const struct run *r)
{
	struct esp_job *job = r->jobs;

	for (uint16_t i = r->first; r->by_nic && i < r->first + r->n; i++)
		if (v->pkts[i].drop == ESP_DROP_OK)
			(job++)->ok = dp_nic_opened(v->m[i]);
}

/* Phase 3 of packets that have passed ESP, or not, and of those that the tunnel translates. */
static void accept_each(struct dp_worker *w, const struct dp_esp_vec *v, const struct run *r,
			uint32_t tunnel, const struct netmap *map, struct dp_ip_burst *out)
{
	for (uint16_t i = r->first; i < r->first + r->n; i++) {
		const struct esp_pkt *p = &v->pkts[i];
		struct rte_mbuf *m = v->m[i];

		if (p->drop != ESP_DROP_OK) {
			drop_in(w, tunnel, m, dp_drop_of_esp(p->drop));
			continue;
		}
		if (map) {
			dp_esp_done(m, p);
			if (dp_translate_in(w, tunnel, map, m, p->inner_family) < 0)
				continue;
		}
		dp_ip_burst_add_inner(out, m, p->data, p->size, p->inner_family, tunnel);
	}
}

/* Phase 3. Adds to `out` what goes on. */
static void accept_run(struct dp_worker *w, struct dp_esp_vec *v, const struct run *r,
		       struct dp_ip_burst *out)
{
	const uint32_t tunnel = dp_in_room(r->in)->tunnel;
	const struct netmap *map = dp_translate_of(&w->dp->tunnels, tunnel);
	const size_t n_ok = esp_in_accept(dp_in_esp(r->in), &v->pkts[r->first], r->n, r->jobs);

	count(w, r->in);
	if (unlikely(n_ok != r->n || map)) {
		accept_each(w, v, r, tunnel, map, out);
		return;
	}
	for (uint16_t i = r->first; i < r->first + r->n; i++) {
		const struct esp_pkt *p = &v->pkts[i];

		dp_ip_burst_add_inner(out, v->m[i], p->data, p->size, p->inner_family, tunnel);
	}
}

/* Phases 3 and 4. */
static void accept_runs(struct dp_worker *w, struct dp_esp_vec *v, const struct run *runs,
			uint16_t n_runs)
{
	struct dp_ip_burst out;

	dp_ip_burst_init(&out, &w->dp->fib, 0);
	for (uint16_t i = 0; i < n_runs; i++)
		accept_run(w, v, &runs[i], &out);
	v->n = v->n_bare = 0;
	dp_forward(w, &out);
}

/* The same of a burst of which another worker may have done the second. */
static void accept_item(struct dp_worker *w, struct dp_spread_item *item)
{
	accept_runs(w, &item->v, (const struct run *)item->runs, item->n_runs);
}

/* Packets that follow each other with one SA, which are all of them if `one` says so. */
static uint16_t find_runs(struct dp_worker *w, bool one, struct run *runs)
{
	const struct dp_esp_vec *v = &w->decap;
	uint16_t n_runs = 0;

	for (uint16_t i = 0, n; i < v->n; i = (uint16_t)(i + n)) {
		struct run *r = &runs[n_runs++];

		n = one ? v->n : dp_run_size(v, i);
		*r = (struct run){.in = v->sa[i], .first = i, .n = n};
		if (w->dp->inline_crypto)
			n = split_by_nic(v, r);
	}
	if (n_runs > 1)
		fetch_runs(w, runs, n_runs);
	return n_runs;
}

void dp_decap(struct dp_worker *w)
{
	struct dp_esp_vec *v = &w->decap;
	const bool one = !w->dp->inline_crypto && find_one_sa(w);
	struct dp_spread_item *item;
	struct run here[DP_VEC_SIZE], *runs = here;
	struct esp_batch own, nic, *batch = &own;
	uint16_t n_runs;

	if (!one)
		find_each_sa(w);
	item = dp_spread_item(w, v, true);
	if (item) {
		runs = (struct run *)item->runs;
		batch = &item->batch;
	}
	esp_batch_init(batch);
	if (w->dp->inline_crypto)
		esp_batch_init(&nic);
	n_runs = find_runs(w, one, runs);
	for (uint16_t i = 0; i < n_runs; i++) {
		struct run *r = &runs[i];

		r->jobs = esp_in_prepare(dp_in_esp(r->in), &v->pkts[r->first], r->n,
					 r->by_nic ? &nic : batch);
	}
	if (unlikely(item != NULL)) {
		dp_spread_put(w, item, v, n_runs, accept_item);
		v->n = v->n_bare = 0;
		return;
	}
	esp_batch_open(&w->esp, batch);
	if (w->dp->inline_crypto)
		for (uint16_t i = 0; i < n_runs; i++)
			ask_nic(v, &runs[i]);
	accept_runs(w, v, runs, n_runs);
}
