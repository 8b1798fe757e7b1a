/* SPDX-License-Identifier: Apache-2.0 */
/*
 * speaker_routes: what a test speaker has heard from its neighbour, and the telling of it: a line
 * for each thing that happens (speaker.c lists them).
 */
#ifndef TESTS_BGP_SPEAKER_ROUTES_H
#define TESTS_BGP_SPEAKER_ROUTES_H

#include "bgp/bgp.h"

struct route {
	struct path_nlri nlri;
	bool stale;
};

struct routes {
	struct route *all;
	size_t n, size;
	bool quiet; /* counted only */
	uint64_t n_announced, n_withdrawn;
};

/* The functions of a struct bgp_sink whose context begins with a struct routes. */
size_t routes_announce(void *ctx, uint32_t neighbor, const struct path_nlri *nlri, size_t n,
		       struct path *path);
size_t routes_withdraw(void *ctx, uint32_t neighbor, const struct path_nlri *nlri, size_t n);
void routes_stale(void *ctx, uint32_t neighbor, enum bgp_family f);
size_t routes_purge(void *ctx, uint32_t neighbor, enum bgp_family f, bool only_stale);
void routes_end_of_rib(void *ctx, uint32_t neighbor, enum bgp_family f);

#endif
