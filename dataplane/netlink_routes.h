/* SPDX-License-Identifier: Apache-2.0 */
/*
 * netlink_routes: routes and their next hops in Linux's tables.
 *
 * Routes point at nexthop objects (Linux 5.3), which have numbers and are changed in place: a group's
 * change moves all routes that point at it at once, however many they are, and a route is never missing
 * meanwhile. Routes go in batches; Linux answers errors alone.
 */
#ifndef DATAPLANE_NETLINK_ROUTES_H
#define DATAPLANE_NETLINK_ROUTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/addr.h"

/* Numbers of our nexthop objects: nobody else in this network namespace should have one of these. */
#define DP_NLR_FIRST 0x54420000u
#define DP_NLR_LAST  0x5445ffffu

#define DP_NLR_BATCH      256u /* routes that Linux is told of at once */
#define DP_NLR_GROUP_MAX  8u
#define DP_NLR_ROUTE_SIZE 96u

struct mnl_socket;

struct dp_nlr {
	struct mnl_socket *sock;
	uint8_t protocol; /* of our routes: rtm_protocol */
	uint32_t metric;
	uint32_t first_seq, n; /* of the batch */
	size_t size;
	uint32_t cookies[DP_NLR_BATCH];
	uint8_t buf[DP_NLR_BATCH * DP_NLR_ROUTE_SIZE];
};

enum dp_nlr_op {
	DP_NLR_ADD,     /* EEXIST: there is another program's of the same metric */
	DP_NLR_REPLACE, /* of ours */
	DP_NLR_DELETE,
};

/* False with errno. */
bool dp_nlr_open(struct dp_nlr *r);
void dp_nlr_close(struct dp_nlr *r);

/* Makes or changes a next hop: an interface; nothing, which drops; several that share the traffic. A group
 * stays one. False with errno. */
bool dp_nlr_hop_dev(struct dp_nlr *r, uint32_t id, enum ip_family family, int ifindex);
bool dp_nlr_hop_blackhole(struct dp_nlr *r, uint32_t id, enum ip_family family);
bool dp_nlr_hop_group(struct dp_nlr *r, uint32_t id, const uint32_t *members, size_t n);
/* Routes that point at it go with it. */
bool dp_nlr_hop_del(struct dp_nlr *r, uint32_t id);
/* How many of ours there are. False with errno. */
bool dp_nlr_hops_count(struct dp_nlr *r, size_t *n);
/* Takes all of ours away, and the routes that point at them. */
bool dp_nlr_hops_sweep(struct dp_nlr *r);

/* Adds to the batch; there is room for DP_NLR_BATCH. */
void dp_nlr_route(struct dp_nlr *r, enum dp_nlr_op op, uint32_t table, const struct ip_prefix *p,
		  uint32_t hop, uint32_t cookie);
/* Sends the batch. `failed` is told of each that was refused, with an errno. */
void dp_nlr_flush(struct dp_nlr *r, void (*failed)(void *ctx, uint32_t cookie, int error),
		  void *ctx);

#endif
