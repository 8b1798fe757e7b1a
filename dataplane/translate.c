/* SPDX-License-Identifier: Apache-2.0 */
/* translate: tunnels whose prefixes go by other names inside. See translate.h. */
#include "dataplane/translate.h"

#include <stdlib.h>
#include <string.h>
#include "dataplane/dp.h"
#include "dataplane/netmap.h"

static_assert(DP_TRANSLATE_MAX <= NETMAP_MAX, "every rule of a message");

/* ------------------------------------------------------------------ the manager */

static bool prefix_of(const struct dp_addr *a, uint8_t len, struct ip_prefix *out)
{
	out->len = len;
	return dp_addr_parse(a, false, &out->addr) && len > 0 && len <= ip_bits(&out->addr) &&
	       ip_prefix_is_canonical(out);
}

static bool rules_of(const struct dp_tunnel *m, struct translation out[DP_TRANSLATE_MAX])
{
	if (m->n_translate > DP_TRANSLATE_MAX)
		return false;
	for (uint32_t i = 0; i < m->n_translate; i++) {
		const struct dp_translation *t = &m->translate[i];

		if (t->ours > 1 || t->zero[0] || t->zero[1] ||
		    !prefix_of(&t->here, t->len, &out[i].here) ||
		    !prefix_of(&t->there, t->len, &out[i].there) ||
		    out[i].here.addr.family != out[i].there.addr.family)
			return false;
		out[i].side = t->ours ? TRANSLATION_OURS : TRANSLATION_THEIRS;
		for (uint32_t k = 0; k < i; k++) {
			if (out[k].side == out[i].side &&
			    (ip_prefix_overlaps(&out[k].here, &out[i].here) ||
			     ip_prefix_overlaps(&out[k].there, &out[i].there)))
				return false;
		}
	}
	return true;
}

bool dp_translate_valid(const struct dp_tunnel *m)
{
	struct translation t[DP_TRANSLATE_MAX];

	return rules_of(m, t);
}

static void free_later(void *ctx, void *object, uint64_t arg)
{
	free(object);
}

static void publish(struct dp *dp, uint32_t tunnel, struct netmap *map)
{
	struct dp_tunnels *t = &dp->tunnels;
	struct netmap *old;

	/* A tunnel is counted before it has rules, and while it does. */
	__atomic_store_n(&t->n_translated, t->n_translated + (map != NULL), __ATOMIC_RELEASE);
	old = __atomic_exchange_n(&t->hot[tunnel].netmap, map, __ATOMIC_ACQ_REL);
	__atomic_store_n(&t->n_translated, t->n_translated - (old != NULL), __ATOMIC_RELEASE);

	if (old)
		dp_grace_defer(&dp->grace, free_later, NULL, old, 0);
	if (old || map)
		dp_sas_republish(dp, tunnel);
}

bool dp_translate_set(struct dp *dp, const struct dp_tunnel *m)
{
	const struct dp_tunnel_info *info = &dp->tunnels.info[m->tunnel];
	struct translation t[DP_TRANSLATE_MAX], before[DP_TRANSLATE_MAX];
	struct netmap *map = NULL;

	if (!rules_of(m, t))
		return false;
	if (info->set && rules_of(&info->msg, before) &&
	    translation_equal(before, info->msg.n_translate, t, m->n_translate))
		return true;
	if (m->n_translate) {
		map = malloc(sizeof(*map));
		if (!map)
			return false;
		(void)netmap_init(map, t, m->n_translate);
	}
	publish(dp, m->tunnel, map);
	return true;
}

void dp_translate_clear(struct dp *dp, uint32_t tunnel)
{
	publish(dp, tunnel, NULL);
}

bool dp_translate_has(const struct dp *dp, uint32_t tunnel)
{
	return dp_translate_of(&dp->tunnels, tunnel) != NULL;
}

/* --------------------------------------------------------------------- packets */

int dp_translate_in(struct dp_worker *w, uint32_t tunnel, const struct netmap *map,
		    struct rte_mbuf *m, uint8_t family)
{
	switch (netmap_in(map, dp_data(m), m->pkt_len, family)) {
	case NETMAP_UNTOUCHED: return 0;
	case NETMAP_DONE: dp_count_tunnel(w, &w->tunnels[tunnel].in_translated, 1); return 1;
	case NETMAP_REFUSED: break;
	}
	dp_count_tunnel(w, &w->tunnels[tunnel].in_dropped, 1);
	dp_drop(w, m, DP_DROP_UNTRANSLATED_IN);
	return -1;
}

/* False: it was dropped. */
static bool out_one(struct dp_worker *w, uint32_t tunnel, const struct netmap *map,
		    struct rte_mbuf *m, const struct esp_pkt *p, uint32_t *n_done)
{
	switch (netmap_out(map, p->data, p->size, p->inner_family)) {
	case NETMAP_UNTOUCHED: return true;
	case NETMAP_DONE: ++*n_done; return true;
	case NETMAP_REFUSED: break;
	}
	dp_count_tunnel(w, &w->tunnels[tunnel].out_dropped, 1);
	dp_drop(w, m, DP_DROP_UNTRANSLATED_OUT);
	return false;
}

uint16_t dp_translate_out(struct dp_worker *w, uint32_t tunnel, uint16_t first, uint16_t n)
{
	const struct netmap *map = dp_translate_of(&w->dp->tunnels, tunnel);
	struct dp_esp_vec *v = &w->encap;
	uint16_t k = first;
	uint32_t n_done = 0;

	if (!map)
		return n;
	for (uint16_t i = first; i < first + n; i++) {
		if (!out_one(w, tunnel, map, v->m[i], &v->pkts[i], &n_done))
			continue;
		if (k != i) {
			v->pkts[k] = v->pkts[i];
			v->m[k] = v->m[i];
		}
		k++;
	}
	dp_count_tunnel(w, &w->tunnels[tunnel].out_translated, n_done);
	return (uint16_t)(k - first);
}

bool dp_translate_out_one(struct dp_worker *w, uint32_t tunnel, struct rte_mbuf *m,
			  struct esp_pkt *p)
{
	const struct netmap *map = dp_translate_of(&w->dp->tunnels, tunnel);
	uint32_t n_done = 0;

	if (map && !out_one(w, tunnel, map, m, p, &n_done))
		return false;
	dp_count_tunnel(w, &w->tunnels[tunnel].out_translated, n_done);
	return true;
}

void dp_translate_undo(const struct dp_worker *w, uint32_t tunnel, struct rte_mbuf *m)
{
	const struct netmap *map = dp_translate_of(&w->dp->tunnels, tunnel);

	if (map)
		netmap_undo_out(map, dp_data(m), m->pkt_len, dp_meta(m)->family);
}
