/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The routing core: prefixes, nexthop groups and the tunnels that carry them.
 *
 * Called by the route process, which turns tunnel states into events and actions into messages on
 * the fib ring. Everything in the dataplane that this core put there is known here, with the
 * request that last told it; after a restart of the dataplane the whole is told again.
 *
 * Invariants
 *   - A prefix stands in one route only: the first connection of the configuration that names it.
 *   - Changes are made before they are broken: tunnels, groups and routes are set before any is
 *     deleted; a prefix that moves between connections is changed, never removed in between.
 *   - A group's members are exactly the connection's tunnels that are up (select.c).
 * Non-goals here: liveness (IKE tells), the FIB itself (the dataplane's).
 */
#include <stdlib.h>
#include <string.h>
#include "routing/rt_int.h"

struct rt *rt_new(const struct tracer *tracer)
{
	struct rt *rt = calloc(1, sizeof(*rt));

	if (rt) {
		rt->tracer = tracer;
		rt->retry_at = MONO_NEVER;
	}
	return rt;
}

void rt_free(struct rt *rt)
{
	if (!rt)
		return;
	free(rt->connections);
	free(rt->routes);
	free(rt->pending);
	free(rt);
}

int rt_prefix_cmp(const struct ip_prefix *a, const struct ip_prefix *b)
{
	const int c = ip_cmp(&a->addr, &b->addr);

	return c ? c : (int)a->len - (int)b->len;
}

struct rt_tunnel *rt_tunnel_find(struct rt *rt, uint32_t tunnel, struct rt_connection **connection)
{
	for (size_t i = 0; i < rt->n_connections; i++) {
		struct rt_connection *c = &rt->connections[i];

		for (size_t j = 0; j < c->n_tunnels; j++) {
			if (c->tunnels[j].cfg.tunnel != tunnel)
				continue;
			if (connection)
				*connection = c;
			return &c->tunnels[j];
		}
	}
	return NULL;
}

struct rt_route *rt_route_find(const struct rt *rt, const struct ip_prefix *prefix)
{
	size_t low = 0, high = rt->n_routes;

	while (low < high) {
		const size_t mid = low + (high - low) / 2;
		const int c = rt_prefix_cmp(prefix, &rt->routes[mid].prefix);

		if (c == 0)
			return &rt->routes[mid];
		if (c < 0)
			high = mid;
		else
			low = mid + 1;
	}
	return NULL;
}

/* ----------------------------------------------------------- configuration */

static int route_order(const void *a, const void *b)
{
	const struct rt_route *x = a, *y = b;
	const int c = rt_prefix_cmp(&x->prefix, &y->prefix);

	if (c)
		return c;
	return x->connection < y->connection ? -1 : x->connection > y->connection;
}

/* The sorted table of a configuration; a prefix named twice belongs to the first connection. */
static bool routes_build(const struct rt_connection_cfg *cfgs, size_t n_cfgs,
			 struct rt_route **routes, size_t *n_routes)
{
	size_t n = 0, kept = 0;
	struct rt_route *r;

	for (size_t i = 0; i < n_cfgs; i++)
		n += cfgs[i].n_prefixes;
	r = calloc(n ? n : 1, sizeof(*r));
	if (!r)
		return false;
	n = 0;
	for (size_t i = 0; i < n_cfgs; i++)
		for (size_t j = 0; j < cfgs[i].n_prefixes; j++)
			r[n++] = (struct rt_route){
				.prefix = ip_prefix_network(&cfgs[i].prefixes[j]), .connection = i};
	qsort(r, n, sizeof(*r), route_order);
	for (size_t i = 0; i < n; i++)
		if (kept == 0 || rt_prefix_cmp(&r[kept - 1].prefix, &r[i].prefix) != 0)
			r[kept++] = r[i];
	*routes = r;
	*n_routes = kept;
	return true;
}

static const struct rt_connection *connection_named(const struct rt_connection *c, size_t n,
						    const char *name)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(c[i].name, name) == 0)
			return &c[i];
	return NULL;
}

static uint32_t group_free(const struct rt *rt, const struct rt_connection *fresh, size_t n_fresh)
{
	for (uint32_t group = 0;; group++) {
		bool used = false;

		for (size_t i = 0; i < rt->n_connections && !used; i++)
			used = rt->connections[i].group == group;
		for (size_t i = 0; i < n_fresh && !used; i++)
			used = fresh[i].group == group;
		if (!used)
			return group;
	}
}

static bool tunnel_cfg_equal(const struct rt_tunnel_cfg *a, const struct rt_tunnel_cfg *b)
{
	return strcmp(a->name, b->name) == 0 && a->tunnel == b->tunnel &&
	       strcmp(a->ifname, b->ifname) == 0 && ip_prefix_equal(&a->inside[0], &b->inside[0]) &&
	       ip_prefix_equal(&a->inside[1], &b->inside[1]) && a->mtu == b->mtu;
}

/* A connection as configured, with what is known of its namesake: group, states, what was told. */
static void connection_build(struct rt *rt, const struct rt_connection_cfg *cfg,
			     const struct rt_connection *fresh, size_t n_fresh,
			     struct rt_connection *out)
{
	const struct rt_connection *old =
		connection_named(rt->connections, rt->n_connections, cfg->name);

	memset(out, 0, sizeof(*out));
	memcpy(out->name, cfg->name, sizeof(out->name));
	out->revert_hold = cfg->revert_hold;
	out->n_tunnels = cfg->n_tunnels;
	out->active = RT_NONE;
	out->group = old ? old->group : group_free(rt, fresh, n_fresh);
	if (old) {
		memcpy(out->members, old->members, sizeof(out->members));
		out->n_members = old->n_members;
		out->told = old->told;
		out->dp = old->dp;
	}
	for (size_t i = 0; i < cfg->n_tunnels; i++) {
		const struct rt_tunnel *was = rt_tunnel_find(rt, cfg->tunnels[i].tunnel, NULL);
		struct rt_tunnel *t = &out->tunnels[i];

		if (was && strcmp(was->cfg.name, cfg->tunnels[i].name) == 0) {
			*t = *was;
			if (!tunnel_cfg_equal(&was->cfg, &cfg->tunnels[i]))
				t->dp = (struct rt_programmed){.request = 0};
			if (old && old->active == was->cfg.tunnel)
				out->active = old->active;
		}
		t->cfg = cfg->tunnels[i];
	}
}

/* Both tables are sorted: sets what is new or moved; `del` deletes what is gone instead. */
static void routes_diff(struct rt *rt, const struct rt_connection *old_connections,
			const struct rt_route *old, size_t n_old, bool del, struct rt_out *out)
{
	size_t i = 0, j = 0;

	while (i < n_old || j < rt->n_routes) {
		const int c = i == n_old ? 1
			      : j == rt->n_routes
				      ? -1
				      : rt_prefix_cmp(&old[i].prefix, &rt->routes[j].prefix);

		if (c < 0) {
			if (del)
				rt_plan_route_del(rt, &old[i], out);
			i++;
			continue;
		}
		if (!del) {
			struct rt_route *r = &rt->routes[j];

			if (c == 0 && old_connections[old[i].connection].group ==
					      rt->connections[r->connection].group)
				r->dp = old[i].dp;
			else
				rt_plan_route(rt, r, out);
		}
		i += c == 0;
		j++;
	}
}

bool rt_configure(struct rt *rt, const struct rt_connection_cfg *cfgs, size_t n, struct mono now,
		  struct rt_out *out)
{
	struct rt_connection *old = rt->connections, *fresh = calloc(n ? n : 1, sizeof(*fresh));
	struct rt_route *old_routes = rt->routes, *routes = NULL;
	const size_t n_old = rt->n_connections, n_old_routes = rt->n_routes;
	size_t n_routes = 0;

	if (!fresh || !routes_build(cfgs, n, &routes, &n_routes)) {
		free(fresh);
		return false;
	}
	for (size_t i = 0; i < n; i++)
		connection_build(rt, &cfgs[i], fresh, i, &fresh[i]);

	rt->connections = fresh;
	rt->n_connections = n;
	rt->routes = routes;
	rt->n_routes = n_routes;

	/* Make: tunnels, then the groups that name them, then the routes that name those. */
	for (size_t i = 0; i < n; i++)
		for (size_t j = 0; j < fresh[i].n_tunnels; j++)
			if (fresh[i].tunnels[j].dp.request == 0)
				rt_plan_tunnel(rt, &fresh[i].tunnels[j], out);
	for (size_t i = 0; i < n; i++)
		rt_select(rt, &fresh[i], now, "configuration", out);
	routes_diff(rt, old, old_routes, n_old_routes, false, out);

	/* Break: in the reverse order. */
	routes_diff(rt, old, old_routes, n_old_routes, true, out);
	for (size_t i = 0; i < n_old; i++)
		if (!connection_named(fresh, n, old[i].name))
			rt_plan_group_del(rt, &old[i], out);
	for (size_t i = 0; i < n_old; i++)
		for (size_t j = 0; j < old[i].n_tunnels; j++)
			if (!rt_tunnel_find(rt, old[i].tunnels[j].cfg.tunnel, NULL))
				rt_plan_tunnel_del(rt, &old[i].tunnels[j], out);

	free(old);
	free(old_routes);
	return !out->overflow;
}

/* ------------------------------------------------------------------ events */

static void reprogram(struct rt *rt, bool only_failed, struct rt_out *out)
{
	for (size_t i = 0; i < rt->n_connections; i++)
		for (size_t j = 0; j < rt->connections[i].n_tunnels; j++)
			if (!only_failed || rt->connections[i].tunnels[j].dp.failed)
				rt_plan_tunnel(rt, &rt->connections[i].tunnels[j], out);
	for (size_t i = 0; i < rt->n_connections; i++)
		if (!only_failed || rt->connections[i].dp.failed)
			rt_plan_group(rt, &rt->connections[i], out);
	for (size_t i = 0; i < rt->n_routes; i++)
		if (!only_failed || rt->routes[i].dp.failed)
			rt_plan_route(rt, &rt->routes[i], out);
}

static void tunnel_state(struct rt *rt, uint32_t tunnel, bool up, struct mono now,
			 struct rt_out *out)
{
	struct rt_connection *c;
	struct rt_tunnel *t = rt_tunnel_find(rt, tunnel, &c);

	if (!t || t->up == up)
		return;
	t->up = up;
	t->up_since = now;
	trace(rt->tracer, LOG_LEVEL_INFO, "%s tunnel: %s -> %s", t->cfg.name, up ? "down" : "up",
	      up ? "up" : "down");
	rt_select(rt, c, now, up ? "tunnel up" : "tunnel down", out);
}

static void tick(struct rt *rt, struct mono now, struct rt_out *out)
{
	for (size_t i = 0; i < rt->n_connections; i++)
		if (mono_reached(now, rt_select_deadline(&rt->connections[i])))
			rt_select(rt, &rt->connections[i], now, "preferred tunnel held", out);
	if (mono_reached(now, rt->retry_at)) {
		rt->retry_at = MONO_NEVER;
		reprogram(rt, true, out);
	}
}

void rt_step(struct rt *rt, const struct rt_event *ev, struct rt_out *out)
{
	switch (ev->type) {
	case RT_EV_TICK: tick(rt, ev->now, out); break;
	case RT_EV_TUNNEL_UP: tunnel_state(rt, ev->tunnel, true, ev->now, out); break;
	case RT_EV_TUNNEL_DOWN: tunnel_state(rt, ev->tunnel, false, ev->now, out); break;
	case RT_EV_DP_RESULT: rt_plan_result(rt, ev->request, ev->ok, ev->now); break;
	case RT_EV_DP_RESTARTED:
		rt->pending_first = rt->pending_last = 0;
		reprogram(rt, false, out);
		break;
	}
}

struct mono rt_deadline(const struct rt *rt)
{
	struct mono at = rt->retry_at;

	for (size_t i = 0; i < rt->n_connections; i++)
		at = mono_min(at, rt_select_deadline(&rt->connections[i]));
	return at;
}

void rt_show_routes(const struct rt *rt, bool (*fn)(void *ctx, const struct rt_show_route *r),
		    void *ctx)
{
	for (size_t i = 0; i < rt->n_routes; i++) {
		const struct rt_route *r = &rt->routes[i];
		const struct rt_connection *c = &rt->connections[r->connection];
		struct rt_show_route show = {
			.prefix = r->prefix,
			.source = "static",
			.group = c->group,
			.tunnel = c->active,
			.installed = r->dp.installed,
		};

		memcpy(show.connection, c->name, sizeof(show.connection));
		if (!fn(ctx, &show))
			return;
	}
}
