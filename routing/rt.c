/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The routing core: prefixes, nexthop groups and the tunnels that carry them.
 *
 * Called by the route process, which turns the states of tunnels and BGP sessions into events and calls,
 * and actions and routes into messages on the fib ring. Everything in the dataplane that this core put
 * there is known here, with the request that last told it; after a restart of the dataplane the whole is
 * told again.
 *
 * Where what is: configure.c the configuration, bgp.c what neighbours announce, rib.c prefixes and their
 * candidates, index.c how they are found, decide.c which is best, group.c which tunnel carries, program.c routes for the dataplane,
 * plan.c actions and their answers, export.c what neighbours are to hear, show.c for people.
 *
 * Invariants
 *   - A prefix's group names the tunnels of its candidates in the order of decide.c; whether a tunnel
 *     works is looked at in groups alone.
 *   - Changes are made before they are broken: tunnels, groups and routes are set before any is
 *     deleted; a group goes when no route in the dataplane names it; a tunnel when no group does.
 *   - No step does unbounded work for input from a neighbour.
 * Memory: 80 bytes a prefix with one candidate, 24 each further one; 120 bytes a group, of which there
 * are max_groups; 64 batches under way of 144 numbers each; the attributes are the path store's.
 * Non-goals here: liveness (IKE, BFD, BGP and probes tell), the FIB itself (the dataplane's).
 */
#include <stdlib.h>
#include <string.h>
#include "routing/rt_int.h"

struct rt *rt_new(struct path_store *paths, uint64_t seed, const struct rt_export *ex,
		  const struct tracer *tracer)
{
	struct rt *rt = calloc(1, sizeof(*rt));

	if (!rt)
		return NULL;
	rt->tracer = tracer;
	rt->paths = paths;
	if (ex)
		rt->ex = *ex;
	rt->seed[0] = seed | 1;
	rt->seed[1] = seed * 0xd1342543de82ef95u + 0x2545f4914f6cdd1du;
	rt->retry_at = rt->groups_at = MONO_NEVER;
	rt->max_groups = RT_GROUPS_MAX;
	rt->retry_first = RT_NONE;
	rt->why = "";
	memset(rt->group_heads, 0xff, sizeof(rt->group_heads));
	if (!rt_rib_init(rt)) {
		rt_free(rt);
		return NULL;
	}
	return rt;
}

void rt_free(struct rt *rt)
{
	if (!rt)
		return;
	rt_plan_forget(rt);
	rt_configure_fini(rt);
	for (uint32_t i = 0; i < rt->n_tunnels; i++) {
		if (rt->tunnels[i])
			free(rt->tunnels[i]->told.slots);
		free(rt->tunnels[i]);
	}
	free(rt->tunnels);
	free(rt->listeners);
	rt_rib_fini(rt);
	path_unref(rt->paths, rt->own_path);
	path_unref(rt->paths, rt->aggregate_path);
	free(rt->groups);
	free(rt->pending);
	free(rt);
}

struct rt_tunnel *rt_tunnel(const struct rt *rt, uint32_t tunnel)
{
	return tunnel < rt->n_tunnels ? rt->tunnels[tunnel] : NULL;
}

struct rt_connection *rt_connection_of(const struct rt *rt, const struct rt_tunnel *t)
{
	return t->connection < rt->n_connections ? &rt->connections[t->connection] : NULL;
}

/* ------------------------------------------------------------------ health */

static void health(struct rt *rt, struct rt_tunnel *t, struct mono now)
{
	const bool up = t->ike_up && !t->bfd_down && !t->probe_down;
	const bool suspect = t->ike_up && !up;

	if (t->suspect != suspect)
		rt_groups_touch(rt, t->cfg.tunnel);
	t->suspect = suspect;
	if (t->up == up)
		return;
	t->up = up;
	t->up_since = now;
	trace(rt->tracer, LOG_LEVEL_INFO, "%s tunnel: %s -> %s", t->cfg.name, up ? "down" : "up",
	      up ? "up" : "down");
	rt_groups_touch(rt, t->cfg.tunnel);
	rt->why = up ? "tunnel up" : "tunnel down";
}

/* The other tunnel is made to look better to the neighbour while this one is drained. */
static void drain(struct rt *rt, struct rt_tunnel *t, bool on, struct rt_out *out)
{
	const struct rt_connection *c = rt_connection_of(rt, t);

	if (t->draining == on || !c)
		return;
	t->draining = on;
	rt->why = on ? "drain" : "drain ended";
	trace(rt->tracer, LOG_LEVEL_INFO, "%s tunnel: %s", t->cfg.name, rt->why);
	rt_groups_touch(rt, t->cfg.tunnel);
	for (size_t i = 0; i < c->n_tunnels; i++)
		if (c->tunnels[i] != t->cfg.tunnel)
			rt_plan_prefer(c->tunnels[i], on, out);
}

static void bgp_down(struct rt *rt, struct rt_tunnel *t)
{
	t->bgp_up = t->hold_bgp = false;
	rt->why = "BGP down";
	rt_groups_touch(rt, t->cfg.tunnel);
	rt_export_down(rt, t);
}

static void tunnel_event(struct rt *rt, const struct rt_event *ev, struct rt_out *out)
{
	struct rt_tunnel *t = rt_tunnel(rt, ev->tunnel);

	if (!t)
		return;
	switch (ev->type) {
	case RT_EV_TUNNEL_UP: t->ike_up = true; break;
	case RT_EV_TUNNEL_DOWN: t->ike_up = false; break;
	case RT_EV_BFD_UP:
	case RT_EV_BFD_ADMIN: t->bfd_down = false; break;
	case RT_EV_BFD_DOWN: t->bfd_down = true; break;
	case RT_EV_PROBE_UP:
	case RT_EV_PROBE_NONE: t->probe_down = false; break;
	case RT_EV_PROBE_DOWN: t->probe_down = true; break;
	case RT_EV_BGP_UP: rt_session_up(rt, ev->tunnel); break;
	case RT_EV_BGP_DOWN: bgp_down(rt, t); break;
	case RT_EV_DRAIN: drain(rt, t, true, out); break;
	case RT_EV_UNDRAIN: drain(rt, t, false, out); break;
	case RT_EV_TICK:
	case RT_EV_DP_RESULT:
	case RT_EV_DP_RESTARTED: break;
	}
	health(rt, t, ev->now);
}

/* -------------------------------------------------------------------- work */

static void reprogram(struct rt *rt, bool only_failed, struct rt_out *out)
{
	for (uint32_t i = 0; i < rt->n_tunnels; i++)
		if (rt->tunnels[i] && !rt->tunnels[i]->leaving &&
		    (!only_failed || rt->tunnels[i]->dp.failed))
			rt_plan_tunnel(rt, rt->tunnels[i], out);
	for (uint32_t i = 0; i < rt->n_groups_size; i++)
		if (rt->groups[i].used && rt->groups[i].told && !rt->groups[i].dying &&
		    (!only_failed || rt->groups[i].dp.failed))
			rt_plan_group(rt, i, out);
}

static void restarted(struct rt *rt, struct rt_out *out)
{
	rt_plan_forget(rt);
	rt_program_restart(rt);
	/* Those that nothing points at were never told to this one. */
	for (uint32_t i = 0; i < rt->n_groups_size; i++)
		if (rt->groups[i].used && rt->groups[i].dying)
			rt->groups[i].told = false;
	reprogram(rt, false, out);
}

/* Tunnels that are not configured any more go when no group holds them. */
static void leave(struct rt *rt, struct rt_out *out)
{
	rt->leaving = false;
	for (uint32_t i = 0; i < rt->n_tunnels; i++) {
		struct rt_tunnel *t = rt->tunnels[i];

		if (!t || !t->leaving)
			continue;
		if (t->unswept || rt_groups_hold(rt, i)) {
			rt->leaving = true;
			continue;
		}
		if (t->dp.request)
			rt_plan_tunnel_del(rt, t, out);
		free(t);
		rt->tunnels[i] = NULL;
	}
}

void rt_work(struct rt *rt, struct mono now, struct rt_out *out)
{
	rt_groups_flush(rt, now, out);
	if (rt->leaving)
		leave(rt, out);
	if (rt->warnings || rt->warn_group_limit)
		rt_export_warnings(rt, out);
	if (rt->retry_first != RT_NONE)
		rt_plan_retry(rt, now);
}

static void tick(struct rt *rt, struct mono now, struct rt_out *out)
{
	if (mono_reached(now, rt->groups_at)) {
		rt->why = "preferred tunnel held";
		rt_groups_tick(rt, now);
	}
	if (mono_reached(now, rt->retry_at)) {
		rt->retry_at = MONO_NEVER;
		reprogram(rt, true, out);
		rt_program_retry(rt);
	}
	rt->passed = false;
	rt_sweep(rt, RT_WORK);
	rt_export_work(rt, RT_WORK);
}

void rt_step(struct rt *rt, const struct rt_event *ev, struct rt_out *out)
{
	switch (ev->type) {
	case RT_EV_TICK: tick(rt, ev->now, out); break;
	case RT_EV_TUNNEL_UP:
	case RT_EV_TUNNEL_DOWN:
	case RT_EV_BFD_UP:
	case RT_EV_BFD_DOWN:
	case RT_EV_BFD_ADMIN:
	case RT_EV_PROBE_UP:
	case RT_EV_PROBE_DOWN:
	case RT_EV_PROBE_NONE:
	case RT_EV_BGP_UP:
	case RT_EV_BGP_DOWN:
	case RT_EV_DRAIN:
	case RT_EV_UNDRAIN: tunnel_event(rt, ev, out); break;
	case RT_EV_DP_RESULT: rt_plan_result(rt, ev); break;
	case RT_EV_DP_RESTARTED: restarted(rt, out); break;
	}
	rt_work(rt, ev->now, out);
}

struct mono rt_deadline(const struct rt *rt)
{
	if (rt->groups_dirty || rt->sweep_left || rt->feeding || rt->warnings || rt->passed)
		return (struct mono){0};
	return mono_min(rt->retry_at, rt->groups_at);
}
