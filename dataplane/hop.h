/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hop: what a worker does with the packets of a group, in one word: the end of the way from group to tunnel to
 * SA, each of which would be found in memory by the one before. The manager walks it whenever a
 * group, or what a worker sends by, changes.
 *
 *   0                  no SA, or no such group: as dp_group_pick() says, which is: dropped
 *   pointer            the SA's half by which this worker sends
 *   pointer | SHARED   the group, whose tunnels share its packets
 *   tunnel << 2 | HAND the tunnel's owner sends
 */
#ifndef DATAPLANE_HOP_H
#define DATAPLANE_HOP_H

#include <stdbool.h>
#include <stdint.h>
#include "dataplane/worker.h"

struct dp;
struct dp_group_hot;

#define DP_HOP_SHARED 1u
#define DP_HOP_HAND   2u
#define DP_HOP_KINDS  3u

static inline uintptr_t dp_hop(const struct dp_worker *w, uint32_t place)
{
	return __atomic_load_n(&w->hops[place], __ATOMIC_ACQUIRE);
}

static inline const struct dp_group_hot *dp_hop_group(uintptr_t hop)
{
	return (const struct dp_group_hot *)(hop & ~(uintptr_t)DP_HOP_KINDS);
}

/* A worker's, one for each place of a group. */
bool dp_hops_init(struct dp_worker *w, uint32_t n_places);
void dp_hops_fini(struct dp_worker *w);

/* For the manager: a group is another one, or the SAs of a tunnel are. */
void dp_hops_group(struct dp *dp, uint32_t place);
void dp_hops_tunnel(struct dp *dp, uint32_t tunnel);

#endif
