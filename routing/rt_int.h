/* SPDX-License-Identifier: Apache-2.0 */
/* rt_int: the structs behind routing.h. */
#ifndef ROUTING_RT_INT_H
#define ROUTING_RT_INT_H

#include "routing/routing.h"

#define RT_NONE UINT32_MAX

/* A thing that the dataplane was told of. */
struct rt_programmed {
	uint32_t request; /* of the last action about it */
	bool installed;   /* that action was acknowledged */
	bool failed;      /* that action was refused: told again at the next retry */
};

struct rt_tunnel {
	struct rt_tunnel_cfg cfg;
	bool up;
	struct mono up_since;
	struct rt_programmed dp;
};

struct rt_connection {
	char name[RT_NAME_SIZE];
	uint32_t group;
	struct mono_span revert_hold;
	struct rt_tunnel tunnels[RT_MAX_TUNNELS];
	size_t n_tunnels;
	uint32_t active;                  /* tunnel number, RT_NONE */
	uint32_t members[RT_MAX_TUNNELS]; /* as last told */
	size_t n_members;
	bool told; /* the group stands in the dataplane, maybe without members */
	struct rt_programmed dp;
};

struct rt_route {
	struct ip_prefix prefix;
	size_t connection; /* index into rt.connections */
	struct rt_programmed dp;
};

enum rt_kind {
	RT_KIND_GONE, /* a deletion: nothing to mark */
	RT_KIND_TUNNEL,
	RT_KIND_GROUP,
	RT_KIND_ROUTE,
};

/* A request under way. They are answered nearly in order, so a queue finds them at its front. */
struct rt_pending {
	uint32_t request;
	enum rt_kind kind;
	uint32_t number;         /* tunnel or group */
	struct ip_prefix prefix; /* route */
	bool done;
};

struct rt {
	const struct tracer *tracer;
	struct rt_connection *connections;
	size_t n_connections;
	struct rt_route *routes; /* sorted by prefix; each prefix once */
	size_t n_routes;
	struct rt_pending *pending; /* [first, last) of a growing array */
	size_t pending_first, pending_last, pending_size;
	uint32_t next_request;
	struct mono retry_at;
};

/* plan.c: actions about one thing, recorded as pending. */
void rt_plan_tunnel(struct rt *rt, struct rt_tunnel *t, struct rt_out *out);
void rt_plan_tunnel_del(struct rt *rt, const struct rt_tunnel *t, struct rt_out *out);
void rt_plan_group(struct rt *rt, struct rt_connection *c, struct rt_out *out);
void rt_plan_group_del(struct rt *rt, const struct rt_connection *c, struct rt_out *out);
void rt_plan_route(struct rt *rt, struct rt_route *r, struct rt_out *out);
void rt_plan_route_del(struct rt *rt, const struct rt_route *r, struct rt_out *out);
void rt_plan_switched(struct rt_connection *c, uint32_t from, struct rt_out *out);
/* The answer to a request. */
void rt_plan_result(struct rt *rt, uint32_t request, bool ok, struct mono now);

/* select.c: which tunnel of a connection is active; plans what changed. */
void rt_select(struct rt *rt, struct rt_connection *c, struct mono now, const char *why,
	       struct rt_out *out);
struct mono rt_select_deadline(const struct rt_connection *c);

/* rt.c */
struct rt_tunnel *rt_tunnel_find(struct rt *rt, uint32_t tunnel, struct rt_connection **connection);
struct rt_route *rt_route_find(const struct rt *rt, const struct ip_prefix *prefix);
int rt_prefix_cmp(const struct ip_prefix *a, const struct ip_prefix *b);

#endif
