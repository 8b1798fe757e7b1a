/* SPDX-License-Identifier: Apache-2.0 */
/* translate_route: connections for the routing core, and its actions for the dataplane. */
#include <string.h>
#include "daemon/translate.h"

static_assert(RT_NAME_SIZE == CONFIG_NAME_SIZE, "names are copied whole");
static_assert(RT_GROUP_TUNNELS <= DP_GROUP_MAX, "a group's tunnels are copied");
static_assert(RT_BATCH_MAX <= DP_ROUTES_MAX, "a batch is one message");

void translate_rt_connection(const struct config_connection *c, struct rt_connection_cfg *out)
{
	memset(out, 0, sizeof(*out));
	memcpy(out->name, c->name, sizeof(out->name));
	out->prefixes = c->static_routes;
	out->n_prefixes = c->n_static_routes;
	out->revert_hold = c->revert_hold;
	for (size_t i = 0; i < c->n_tunnels && i < RT_MAX_TUNNELS; i++) {
		const struct config_tunnel *from = &c->tunnels[i];
		struct rt_tunnel_cfg *to = &out->tunnels[out->n_tunnels++];

		memcpy(to->name, from->name, sizeof(to->name));
		static_assert(sizeof(to->ifname) == sizeof(from->interface), "copied whole");
		memcpy(to->ifname, from->interface, sizeof(to->ifname));
		to->tunnel = from->index;
		to->inside[0] = from->inside[0];
		to->inside[1] = from->inside[1];
	}
}

static void tunnel_set(const struct rt_tunnel_cfg *t, struct dp_tunnel *out)
{
	out->tunnel = t->tunnel;
	out->mtu = t->mtu;
	memcpy(out->name, t->name, sizeof(out->name));
	memcpy(out->ifname, t->ifname, sizeof(out->ifname));
	for (size_t i = 0; i < 2; i++) {
		out->inside[i] = translate_dp_addr(&t->inside[i].addr);
		out->inside_len[i] = t->inside[i].len;
	}
}

bool translate_dp_route(const struct rt_action *a, struct dp_msg *out)
{
	memset(out, 0, sizeof(*out));
	out->seq = a->request;
	switch (a->type) {
	case RT_ACT_TUNNEL_SET:
		out->type = DP_TUNNEL_SET;
		tunnel_set(&a->tunnel, &out->tunnel);
		return true;
	case RT_ACT_TUNNEL_DEL:
		out->type = DP_TUNNEL_DEL;
		out->tunnel.tunnel = a->tunnel.tunnel;
		return true;
	case RT_ACT_GROUP_SET:
		out->type = DP_GROUP_SET;
		out->group.group = a->group.group;
		out->group.n_tunnels = (uint32_t)a->group.n;
		for (size_t i = 0; i < a->group.n && i < DP_GROUP_MAX; i++)
			out->group.tunnels[i] = a->group.tunnels[i];
		out->group.n_ecmp = (uint32_t)a->group.n_ecmp;
		return true;
	case RT_ACT_GROUP_DEL:
		out->type = DP_GROUP_DEL;
		out->group.group = a->group.group;
		return true;
	case RT_ACT_SWITCHED:
	case RT_ACT_PREFER:
	case RT_ACT_REFRESH:
	case RT_ACT_WARNING: break;
	}
	return false;
}

static uint32_t group_of(uint32_t group)
{
	return group == RT_GROUP_NONE        ? DP_GROUP_WITHDRAW
	       : group == RT_GROUP_BLACKHOLE ? DP_GROUP_BLACKHOLE
					     : group;
}

void translate_dp_routes(const struct rt_route_op *ops, size_t n, uint32_t request,
			 struct dp_msg *out)
{
	/* The rest of the body is not read: no need to clear it for each batch. */
	memset(out, 0, offsetof(struct dp_msg, routes.entries));
	out->type = DP_ROUTES;
	out->seq = request;
	out->routes.n = (uint32_t)n;
	for (size_t i = 0; i < n; i++)
		out->routes.entries[i] = (struct dp_routes_entry){
			.prefix = translate_dp_addr(&ops[i].prefix.addr),
			.group = group_of(ops[i].group),
			.table = ops[i].table,
			.len = ops[i].prefix.len,
		};
}
