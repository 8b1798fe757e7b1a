/* SPDX-License-Identifier: Apache-2.0 */
/*
 * linux_routes: what the routes of the FIB look like in tables of Linux, where the configuration wants
 * them there, so that other programs see them and Linux itself sends by them.
 *
 * The manager tells every change of a route, a group and an inside interface; routes wait here and are
 * written a bounded number at a time. A group is a nexthop object (netlink_routes.h), whose members are
 * the tunnels' inside interfaces; a group that no tunnel carries drops. Routes are Linux's only as long
 * as the interfaces are there, which end with this process.
 */
#ifndef DATAPLANE_LINUX_ROUTES_H
#define DATAPLANE_LINUX_ROUTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/addr.h"
#include "base/mono.h"
#include "dataplane/netlink_routes.h"
#include "twinbore/dp_msg.h"

struct dp;
struct config;

struct dp_linux_route {
	struct ip_prefix prefix;
	uint16_t table; /* ours */
	bool live, queued;
	uint32_t want, told; /* next hops of the FIB; 0: none */
	uint32_t next;       /* of the bucket, or of the free ones */
	uint32_t queue_next;
};

struct dp_linux_routes {
	bool on;
	bool told_limit, told_foreign, lacking;
	bool audit, anew; /* whether all is there is to be looked at; it is not */
	uint32_t max_routes;
	uint32_t tables[DP_MAX_TABLES]; /* Linux's, by ours; 0: none */
	struct ip_addr *peers; /* sorted; what leads to them stays out of Linux's main table */
	size_t n_peers;

	struct dp_linux_route *routes;
	size_t n_used, size;
	uint32_t free, *buckets;
	uint32_t n_buckets, n_live;
	uint32_t queue_first, queue_last, n_queued;
	uint32_t n_written,
		n_refused; /* in Linux's tables; another program's stands in their place */
	uint32_t n_hops;   /* nexthop objects that we made */

	/* Made in Linux, by family: tunnels, groups by their place; routes there that point at a group. */
	bool (*tunnels)[2], (*groups)[2], blackholes[2];
	uint32_t (*pointing)[2];
	struct mono audit_at, retry_at, refill_at;
	struct dp_nlr nl;
};

/* Takes away what an earlier process has left. */
void dp_linux_routes_sweep(struct dp *dp);
/* At start and after a reload: with the numbers of tables that stand in the configuration. */
void dp_linux_routes_configure(struct dp *dp, const struct config *c);
void dp_linux_routes_fini(struct dp *dp);

/* The FIB's route is this from now on; 0: none. */
void dp_linux_route(struct dp *dp, uint16_t table, const struct ip_prefix *p, uint32_t nh);
/* The group at a place has changed or gone. */
void dp_linux_routes_group(struct dp *dp, uint32_t place);
/* A tunnel's inside interface has come, or is about to go. */
void dp_linux_routes_tunnel(struct dp *dp, uint32_t tunnel, bool comes);
/* Links or others' routes have changed: whether all of ours is there is looked at soon. */
void dp_linux_routes_heard(struct dp *dp);
/* Does a bounded part of what waits. True: there is more. */
bool dp_linux_routes_run(struct dp *dp);

#endif
