/* SPDX-License-Identifier: Apache-2.0 */
/* translate_route: the configuration for the routing core, and its actions for the dataplane. */
#include <stdlib.h>
#include <string.h>
#include "daemon/translate.h"

static_assert(RT_NAME_SIZE == CONFIG_NAME_SIZE, "names are copied whole");
static_assert(RT_MAX_TABLES <= DP_MAX_TABLES, "tables are numbered alike");
static_assert(RT_GROUP_TUNNELS <= DP_GROUP_MAX, "a group's tunnels are copied");
static_assert(RT_BATCH_MAX <= DP_ROUTES_MAX, "a batch is one message");

/* The words of the configuration stand in the order of the core's. */
static_assert((int)CONFIG_ROLE_TRANSIT == (int)RT_ROLE_TRANSIT, "roles");
static_assert((int)CONFIG_ATTACH_PEERING == (int)RT_ATTACH_PEERING, "attachments");
static_assert(CONFIG_TABLES_MAX == RT_MAX_TABLES, "tables are numbered alike");

/* ------------------------------------------------------------ configuration */

/* Where the arrays of all connections stand. */
struct translate_rt {
	struct rt_connection_cfg *connections;
	struct rt_static_cfg *statics;
	struct rt_aggregate_cfg *aggregates;
	uint16_t *tables;
	struct rt_filter *filters;
};

static struct rt_filter *filters_of(const struct config_filter *from, size_t n,
				    struct rt_filter **room)
{
	struct rt_filter *out = *room;

	for (size_t i = 0; i < n; i++)
		out[i] = (struct rt_filter){
			.prefix = from[i].prefix,
			.min_len = from[i].min_len,
			.max_len = from[i].max_len,
			.permit = from[i].permit,
		};
	*room += n;
	return out;
}

static uint16_t table_of(const struct config *c, const char *name)
{
	const struct config_table *t = config_table_by_name(c, name);

	return t ? t->index : 0;
}

static void connection_of(const struct config *all, const struct config_connection *c,
			  uint16_t **tables, struct rt_filter **filters,
			  struct rt_connection_cfg *out)
{
	memcpy(out->name, c->name, sizeof(out->name));
	out->prefixes = c->static_routes;
	out->n_prefixes = c->n_static_routes;
	out->revert_hold = c->revert_hold;
	out->attachment = (enum rt_attachment)c->attachment;
	out->association = table_of(all, c->route_table);
	out->propagations = *tables;
	for (size_t i = 0; i < c->n_propagate_to; i++)
		*(*tables)++ = table_of(all, c->propagate_to[i]);
	out->n_propagations = c->n_propagate_to;
	out->no_propagation = c->n_propagate_to == 0;
	out->in = filters_of(c->filter_in, c->n_filter_in, filters);
	out->n_in = c->n_filter_in;
	out->out = filters_of(c->filter_out, c->n_filter_out, filters);
	out->n_out = c->n_filter_out;
	out->advertise = c->advertise;
	out->n_advertise = c->n_advertise;
	out->cloudhub = c->cloudhub;
	out->max_advertised = c->max_advertised;
	for (size_t i = 0; i < c->n_tunnels && i < RT_MAX_TUNNELS; i++) {
		const struct config_tunnel *from = &c->tunnels[i];
		struct rt_tunnel_cfg *to = &out->tunnels[out->n_tunnels++];

		memcpy(to->name, from->name, sizeof(to->name));
		static_assert(sizeof(to->ifname) == sizeof(from->interface), "copied whole");
		memcpy(to->ifname, from->interface, sizeof(to->ifname));
		to->ibgp = from->bgp.on && from->bgp.local_as == from->bgp.remote_as;
		to->by_linux = c->linux_import;
		to->tunnel = from->index;
		to->inside[0] = from->inside[0];
		to->inside[1] = from->inside[1];
		to->table = out->association;
		static_assert(RT_TRANSLATE_MAX == DP_TRANSLATE_MAX, "every rule is told");
		to->n_translate =
			c->n_translations < RT_TRANSLATE_MAX ? c->n_translations : RT_TRANSLATE_MAX;
		if (to->n_translate)
			memcpy(to->translate, c->translations,
			       to->n_translate * sizeof(to->translate[0]));
	}
}

static void tables_of(const struct config_routing *r, struct translate_rt *t, struct rt_cfg *out)
{
	for (size_t i = 0; i < r->n_tables; i++) {
		const struct config_table *table = &r->tables[i];

		for (size_t j = 0; j < table->n_static_routes; j++) {
			struct rt_static_cfg *to = &t->statics[out->n_statics++];

			to->table = table->index;
			to->prefix = table->static_routes[j].prefix;
			memcpy(to->connection, table->static_routes[j].connection,
			       sizeof(to->connection));
		}
		for (size_t j = 0; j < table->n_blackholes; j++)
			t->statics[out->n_statics++] = (struct rt_static_cfg){
				.table = table->index,
				.prefix = table->blackholes[j],
			};
		for (size_t j = 0; j < table->n_aggregates; j++)
			t->aggregates[out->n_aggregates++] = (struct rt_aggregate_cfg){
				.table = table->index,
				.prefix = table->aggregates[j].prefix,
				.summary_only = table->aggregates[j].summary_only,
			};
	}
}

static bool make_room(const struct config *c, struct translate_rt *t)
{
	size_t statics = 0, aggregates = 0, tables = 0, filters = 0;

	for (size_t i = 0; i < c->routing.n_tables; i++) {
		statics += c->routing.tables[i].n_static_routes + c->routing.tables[i].n_blackholes;
		aggregates += c->routing.tables[i].n_aggregates;
	}
	for (size_t i = 0; i < c->n_connections; i++) {
		tables += c->connections[i].n_propagate_to;
		filters += c->connections[i].n_filter_in + c->connections[i].n_filter_out;
	}
	t->connections = calloc(c->n_connections + 1, sizeof(*t->connections));
	t->statics = calloc(statics + 1, sizeof(*t->statics));
	t->aggregates = calloc(aggregates + 1, sizeof(*t->aggregates));
	t->tables = calloc(tables + 1, sizeof(*t->tables));
	t->filters = calloc(filters + 1, sizeof(*t->filters));
	return t->connections && t->statics && t->aggregates && t->tables && t->filters;
}

struct translate_rt *translate_rt_new(const struct config *c, struct rt_cfg *out)
{
	struct translate_rt *t = calloc(1, sizeof(*t));
	struct rt_filter *filters;
	uint16_t *tables;

	if (!t || !make_room(c, t)) {
		translate_rt_free(t);
		return NULL;
	}
	*out = (struct rt_cfg){
		.role = (enum rt_role)c->routing.role,
		.ecmp = c->routing.ecmp,
		.connections = t->connections,
		.n_connections = c->n_connections,
		.local = c->routing.local_networks,
		.n_local = c->routing.n_local_networks,
		.statics = t->statics,
		.aggregates = t->aggregates,
		.max_groups = DP_MAX_GROUPS(c->max_tunnels),
	};
	for (size_t i = 0; i < c->n_ports; i++)
		out->ports_apart |= table_of(c, c->ports[i].route_table) != 0;
	tables = t->tables;
	filters = t->filters;
	for (size_t i = 0; i < c->n_connections; i++)
		connection_of(c, &c->connections[i], &tables, &filters, &t->connections[i]);
	tables_of(&c->routing, t, out);
	return t;
}

void translate_rt_free(struct translate_rt *t)
{
	if (!t)
		return;
	free(t->connections);
	free(t->statics);
	free(t->aggregates);
	free(t->tables);
	free(t->filters);
	free(t);
}

/* ------------------------------------------------------------------ actions */

static void tunnel_set(const struct rt_tunnel_cfg *t, struct dp_tunnel *out)
{
	out->tunnel = t->tunnel;
	out->mtu = t->mtu;
	out->table = t->table;
	memcpy(out->name, t->name, sizeof(out->name));
	memcpy(out->ifname, t->ifname, sizeof(out->ifname));
	for (size_t i = 0; i < 2; i++) {
		out->inside[i] = translate_dp_addr(&t->inside[i].addr);
		out->inside_len[i] = t->inside[i].len;
	}
	out->n_translate = (uint32_t)t->n_translate;
	for (size_t i = 0; i < t->n_translate && i < DP_TRANSLATE_MAX; i++)
		out->translate[i] = (struct dp_translation){
			.here = translate_dp_addr(&t->translate[i].here.addr),
			.there = translate_dp_addr(&t->translate[i].there.addr),
			.len = t->translate[i].here.len,
			.ours = t->translate[i].side == TRANSLATION_OURS,
		};
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
		/* The core says 1 where nothing is shared, of a group that nobody works in, too. */
		out->group.flags = a->group.by_linux ? DP_GROUP_BY_LINUX : 0u;
		out->group.n_ecmp = a->group.n_ecmp > 1 ? (uint32_t)a->group.n_ecmp : 0;
		return true;
	case RT_ACT_GROUP_DEL:
		out->type = DP_GROUP_DEL;
		out->group.group = a->group.group;
		return true;
	case RT_ACT_SWITCHED:
	case RT_ACT_PREFER:
	case RT_ACT_REFRESH:
	case RT_ACT_RESET:
	case RT_ACT_WARNING: break;
	}
	return false;
}

static uint32_t group_of(uint32_t group)
{
	return group == RT_GROUP_NONE        ? DP_GROUP_WITHDRAW
	       : group == RT_GROUP_BLACKHOLE ? DP_GROUP_BLACKHOLE
	       : group == RT_GROUP_LOCAL     ? DP_GROUP_LOCAL
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
