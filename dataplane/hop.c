/* SPDX-License-Identifier: Apache-2.0 */
/* hop: see hop.h. */
#include "dataplane/hop.h"

#include <sys/mman.h>
#include "dataplane/dp.h"

bool dp_hops_init(struct dp_worker *w, uint32_t n_places)
{
	w->hops_size = n_places * sizeof(*w->hops);
	w->hops = dp_lpm_space(w->hops_size);
	return w->hops;
}

void dp_hops_fini(struct dp_worker *w)
{
	if (w->hops)
		(void)munmap(w->hops, w->hops_size);
}

static uintptr_t hop_of(const struct dp *dp, const struct dp_worker *w, uint32_t place)
{
	const struct dp_group_hot *g = dp_group_of(&dp->tunnels, place);

	if (g && g->n_ecmp)
		return (uintptr_t)g | DP_HOP_SHARED;
	for (uint32_t i = 0; g && i < g->n; i++) {
		struct dp_out *o = w->out[g->tunnels[i]];

		if (o)
			return (uintptr_t)o;
		if (dp->tunnels.hot[g->tunnels[i]].current)
			return (uintptr_t)g->tunnels[i] << 2 | DP_HOP_HAND;
	}
	return 0;
}

void dp_hops_group(struct dp *dp, uint32_t place)
{
	for (unsigned i = 0; i < dp->n_workers; i++) {
		struct dp_worker *w = dp->workers[i];
		const uintptr_t hop = hop_of(dp, w, place);

		if (w->hops[place] != hop)
			__atomic_store_n(&w->hops[place], hop, __ATOMIC_RELEASE);
	}
}

void dp_hops_tunnel(struct dp *dp, uint32_t tunnel)
{
	const struct dp_group_link *l;

	LIST_FOREACH(l, &dp->tunnels.info[tunnel].groups, of_tunnel)
	dp_hops_group(dp, l->place);
}
