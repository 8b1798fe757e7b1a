/* SPDX-License-Identifier: Apache-2.0 */
/*
 * routing: which tunnel carries a prefix, as a sans-IO core: (event, now) -> actions.
 *
 * Every connection has one nexthop group; prefixes point at groups; a tunnel's loss changes the
 * group, however many prefixes stand behind it. The plan is make-before-break: a group gains its
 * new first member before it loses the old one.
 *
 * Here: static prefixes and the state of tunnels as IKE reports it, with hysteresis on the way
 * back up. BGP, BFD and route tables join as further sources of candidates.
 */
#ifndef ROUTING_ROUTING_H
#define ROUTING_ROUTING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/addr.h"
#include "base/mono.h"
#include "base/trace.h"

#define RT_NAME_SIZE   32
#define RT_MAX_TUNNELS 2 /* of one connection */

struct rt_tunnel_cfg {
	char name[RT_NAME_SIZE];
	uint32_t tunnel;
	char ifname[16];
	struct ip_prefix inside[2];
	uint32_t mtu; /* 0 = the dataplane computes it */
};

struct rt_connection_cfg {
	char name[RT_NAME_SIZE];
	struct rt_tunnel_cfg tunnels[RT_MAX_TUNNELS]; /* in order of preference */
	size_t n_tunnels;
	const struct ip_prefix *prefixes; /* static; copied */
	size_t n_prefixes;
	struct mono_span
		revert_hold; /* a preferred tunnel must be up this long to take traffic back */
};

enum rt_event_type {
	RT_EV_TICK,
	RT_EV_TUNNEL_UP,
	RT_EV_TUNNEL_DOWN,
	RT_EV_DP_RESULT,    /* answers an action's `request` */
	RT_EV_DP_RESTARTED, /* program everything again */
};

struct rt_event {
	enum rt_event_type type;
	struct mono now;
	uint32_t tunnel;  /* TUNNEL_* */
	uint32_t request; /* DP_RESULT */
	bool ok;          /* DP_RESULT */
};

enum rt_action_type {
	RT_ACT_TUNNEL_SET,
	RT_ACT_TUNNEL_DEL,
	RT_ACT_GROUP_SET,
	RT_ACT_GROUP_DEL,
	RT_ACT_ROUTE_SET,
	RT_ACT_ROUTE_DEL,
	RT_ACT_SWITCHED, /* for people: the connection's traffic moved; from may be UINT32_MAX */
};

struct rt_action {
	enum rt_action_type type;
	uint32_t request; /* every dataplane action wants an answer */
	union {
		struct rt_tunnel_cfg tunnel;
		struct {
			uint32_t group;
			size_t n;
			uint32_t tunnels[RT_MAX_TUNNELS];
		} group;
		struct {
			struct ip_prefix prefix;
			uint32_t group;
		} route;
		struct {
			char connection[RT_NAME_SIZE];
			uint32_t from, to; /* tunnels; UINT32_MAX = none */
		} switched;
	};
};

/* A growing array that the caller owns; a large plan may take many ring slots. */
struct rt_out {
	struct rt_action *actions;
	size_t n, size;
	bool overflow; /* out of memory: the plan is incomplete and must be made again */
};
void rt_out_fini(struct rt_out *out);

struct rt;
struct rt *rt_new(const struct tracer *tracer);
void rt_free(struct rt *rt);
/* Replaces the whole configuration by difference: what is equal is left untouched. */
bool rt_configure(struct rt *rt, const struct rt_connection_cfg *connections, size_t n,
		  struct mono now, struct rt_out *out);
void rt_step(struct rt *rt, const struct rt_event *ev, struct rt_out *out);
struct mono rt_deadline(const struct rt *rt);

struct rt_show_route {
	struct ip_prefix prefix;
	char connection[RT_NAME_SIZE];
	const char *source; /* "static" */
	uint32_t group;
	uint32_t tunnel; /* that carries it now; UINT32_MAX = none: dropped and counted */
	bool installed;  /* acknowledged by the dataplane */
};
void rt_show_routes(const struct rt *rt, bool (*fn)(void *ctx, const struct rt_show_route *r),
		    void *ctx);

#endif
