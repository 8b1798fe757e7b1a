/* SPDX-License-Identifier: Apache-2.0 */
/*
 * group: nexthop groups, shared by all prefixes whose candidates stand in the same order of tunnels,
 * and which of a group's tunnels carries its traffic.
 *
 * 1. The active tunnel stays while it works and nothing better has proved itself.
 * 2. A tunnel before it in the group takes over once it has been up for its connection's revert_hold,
 *    so that a tunnel that comes and goes does not take the traffic with it.
 * 3. An active tunnel that went down, or is being drained, is replaced at once by the first that is up.
 * 4. A tunnel that is being drained comes after all others.
 *
 * What people are told of is one tunnel of each connection: the one that carries its prefixes, or most of
 * them, or would carry one where there are none.
 *
 * The dataplane is told of every tunnel that is up, the active one first: it falls back to the next by
 * itself when the first loses its outbound SA. A change of a tunnel costs a look at each group, of which
 * there are few (max_groups), and at no prefix.
 */
#include <stdlib.h>
#include <string.h>
#include "routing/rt_int.h"

#define GROUPS_MIN 64u

static uint32_t head_of(const uint32_t *key, size_t n, size_t n_ecmp)
{
	uint64_t h = n << 8 | n_ecmp;

	for (size_t i = 0; i < n; i++)
		h = (h ^ key[i]) * 0x9e3779b97f4a7c15u;
	return (uint32_t)(h >> 40) % RT_GROUP_HEADS;
}

/* A candidate of BGP counts while its session stands. */
static bool has_session(const struct rt_tunnel *t, uint32_t member)
{
	return !(member & RT_MEMBER_BGP) || (t->bgp_up && !t->hold_bgp);
}

/* RFC 4724 4.2: what is stale is still used while the neighbour restarts. */
static bool has_routes(const struct rt_tunnel *t, uint32_t member)
{
	return has_session(t, member) || t->family[0].kept || t->family[1].kept;
}

bool rt_member_usable(const struct rt *rt, uint32_t member)
{
	const struct rt_tunnel *t = rt_tunnel(rt, member & RT_MEMBER_TUNNEL);

	return t && t->up && has_routes(t, member);
}

static void group_set_dirty(struct rt *rt, struct rt_group *g)
{
	g->dirty = true;
	rt->groups_dirty = true;
}

/* Numbers are used again, lowest first. */
static uint32_t group_new(struct rt *rt)
{
	uint32_t i = 0;

	while (i < rt->n_groups_size && rt->groups[i].used)
		i++;
	if (i == rt->n_groups_size) {
		const uint32_t size = i ? 2 * i : GROUPS_MIN;
		struct rt_group *grown = realloc(rt->groups, size * sizeof(*grown));

		if (!grown)
			return RT_NONE;
		memset(grown + i, 0, (size - i) * sizeof(*grown));
		rt->groups = grown;
		rt->n_groups_size = size;
	}
	return i;
}

uint32_t rt_group_intern(struct rt *rt, const uint32_t *key, size_t n, size_t n_ecmp)
{
	uint32_t *head, i;
	struct rt_group *g;

	n_ecmp = n_ecmp ? n_ecmp : 1;
	/* Near the limit only the best tunnel counts: of such groups there are few. */
	if (rt->n_groups >= rt->max_groups / 4 * 3 && n > 1) {
		rt->warn_group_limit = true;
		n = n_ecmp = 1;
	}
	head = &rt->group_heads[head_of(key, n, n_ecmp)];
	for (i = *head; i != RT_NONE; i = rt->groups[i].next) {
		g = &rt->groups[i];
		if (g->n == n && g->n_ecmp == n_ecmp && memcmp(g->key, key, n * sizeof(*key)) == 0)
			return i;
	}
	i = rt->n_groups < rt->max_groups ? group_new(rt) : RT_NONE;
	if (i == RT_NONE) {
		rt->warn_group_limit = true;
		return RT_GROUP_NONE;
	}
	g = &rt->groups[i];
	*g = (struct rt_group){
		.used = true,
		.n = (uint8_t)n,
		.n_ecmp = (uint8_t)n_ecmp,
		.next = *head,
		.active = RT_NONE,
		.revert_at = MONO_NEVER,
	};
	memcpy(g->key, key, n * sizeof(*key));
	*head = i;
	rt->n_groups++;
	group_set_dirty(rt, g);
	return i;
}

static void unused(struct rt *rt, struct rt_group *g)
{
	if (g->n_wanted || g->n_told)
		return;
	g->dying = true;
	g->mark = rt->next_request;
	rt->groups_dying = true;
}

void rt_group_want(struct rt *rt, uint32_t group, bool more)
{
	struct rt_group *g;

	if (group >= RT_GROUP_LOCAL)
		return;
	g = &rt->groups[group];
	g->n_wanted += more ? 1 : (size_t)-1;
	g->dying = false;
	if (more && !g->told)
		group_set_dirty(rt, g);
	unused(rt, g);
}

void rt_group_tell(struct rt *rt, uint32_t group, bool more)
{
	struct rt_group *g;

	if (group >= RT_GROUP_LOCAL)
		return;
	g = &rt->groups[group];
	g->n_told += more ? 1 : (size_t)-1;
	g->dying = false;
	rt->told_changed = true;
	unused(rt, g);
}

void rt_groups_outlive(struct rt *rt)
{
	for (uint32_t i = 0; i < rt->n_groups_size; i++)
		if (rt->groups[i].used && rt->groups[i].dying)
			rt->groups[i].mark = rt->next_request;
}

static bool holds(const struct rt_group *g, uint32_t tunnel)
{
	for (size_t i = 0; i < g->n; i++)
		if ((g->key[i] & RT_MEMBER_TUNNEL) == tunnel)
			return true;
	return false;
}

bool rt_groups_hold(const struct rt *rt, uint32_t tunnel)
{
	for (uint32_t i = 0; i < rt->n_groups_size; i++)
		if (rt->groups[i].used && holds(&rt->groups[i], tunnel))
			return true;
	return false;
}

void rt_groups_touch(struct rt *rt, uint32_t tunnel)
{
	for (uint32_t i = 0; i < rt->n_groups_size; i++)
		if (rt->groups[i].used && holds(&rt->groups[i], tunnel))
			group_set_dirty(rt, &rt->groups[i]);
}

void rt_groups_touch_all(struct rt *rt)
{
	for (uint32_t i = 0; i < rt->n_groups_size; i++)
		if (rt->groups[i].used)
			group_set_dirty(rt, &rt->groups[i]);
}

void rt_groups_tick(struct rt *rt, struct mono now)
{
	/* The group that it was about may be gone: then the next time is looked for all the same. */
	rt->groups_dirty = true;
	for (uint32_t i = 0; i < rt->n_groups_size; i++)
		if (rt->groups[i].used && mono_reached(now, rt->groups[i].revert_at))
			group_set_dirty(rt, &rt->groups[i]);
}

/* --------------------------------------------------------------- selection */

enum rank {
	RANK_WORKS,
	RANK_STALE, /* its neighbour is silent: it restarts, or the path is cut */
	RANK_DRAINING,
	RANK_SUSPECT, /* IKE has it up; BFD or a probe says that it does not work */
	RANK_END,
};

static enum rank rank_of(const struct rt *rt, uint32_t member)
{
	const struct rt_tunnel *t = rt_tunnel(rt, member & RT_MEMBER_TUNNEL);

	if (rt_member_usable(rt, member))
		return t->draining              ? RANK_DRAINING
		       : has_session(t, member) ? RANK_WORKS
						: RANK_STALE;
	return t && t->suspect && has_routes(t, member) ? RANK_SUSPECT : RANK_END;
}

/*
 * The tunnels that work, in order; those whose session is down after them (where a neighbour restarts, it
 * does so on all of them); those that are being drained last. Where none works, those that are
 * suspect: the peer's control process may have restarted while its dataplane goes on (RFC 5882 4.3.2), and
 * what is sent in vain would have been dropped.
 */
static size_t usable(const struct rt *rt, const struct rt_group *g, uint32_t without, uint32_t *out,
		     size_t *n_sharing)
{
	size_t n = 0, works = 0;

	*n_sharing = 0;
	for (int rank = RANK_WORKS; rank < RANK_END && !(rank == RANK_SUSPECT && n > 0); rank++) {
		const bool share = rank == RANK_WORKS || (rank == RANK_STALE && works == 0);

		for (size_t i = 0; i < g->n; i++) {
			const uint32_t tunnel = g->key[i] & RT_MEMBER_TUNNEL;

			if (tunnel == without || (int)rank_of(rt, g->key[i]) != rank)
				continue;
			out[n++] = tunnel;
			if (share && i < g->n_ecmp)
				*n_sharing = n;
		}
		if (rank == RANK_WORKS)
			works = n;
	}
	return n;
}

static struct mono proven_at(const struct rt *rt, uint32_t tunnel)
{
	const struct rt_tunnel *t = rt_tunnel(rt, tunnel);
	const struct rt_connection *c = rt_connection_of(rt, t);

	return c ? mono_add(t->up_since, c->revert_hold) : t->up_since;
}

static uint32_t choose(const struct rt *rt, const struct rt_group *g, const uint32_t *tunnels,
		       size_t n, struct mono now)
{
	uint32_t active = RT_NONE;

	if (n == 0)
		return RT_NONE;
	for (size_t i = 0; i < n; i++)
		if (tunnels[i] == g->active)
			active = g->active;
	/* Who asked for a drain wants it now. */
	if (active != RT_NONE && rt_tunnel(rt, active)->draining)
		active = RT_NONE;
	for (size_t i = 0; i < n && !rt_tunnel(rt, tunnels[i])->draining; i++)
		if (tunnels[i] == active || mono_reached(now, proven_at(rt, tunnels[i])))
			return tunnels[i];
	return active != RT_NONE ? active : tunnels[0];
}

static void select_active(struct rt *rt, uint32_t number, struct mono now, struct rt_out *out)
{
	struct rt_group *g = &rt->groups[number];
	uint32_t members[RT_GROUP_TUNNELS] = {0};
	size_t n_sharing, n = usable(rt, g, RT_NONE, members, &n_sharing);
	const uint32_t active = n_sharing > 1 ? members[0] : choose(rt, g, members, n, now);

	g->revert_at = MONO_NEVER;
	for (size_t i = 0; i < n; i++) {
		if (members[i] == active) {
			memmove(members + 1, members, i * sizeof(*members));
			members[0] = active;
			break;
		}
		if (!rt_tunnel(rt, members[i])->draining)
			g->revert_at = mono_min(g->revert_at, proven_at(rt, members[i]));
	}
	g->active = active;
	n_sharing = n_sharing > 1 ? n_sharing : 1;
	if (g->told && n == g->n_members && n_sharing == g->n_sharing &&
	    memcmp(members, g->members, sizeof(members)) == 0)
		return;
	memcpy(g->members, members, sizeof(members));
	g->n_members = (uint8_t)n;
	g->n_sharing = (uint8_t)n_sharing;
	rt_plan_group(rt, number, out);
}

static const char *tunnel_name(const struct rt *rt, uint32_t tunnel)
{
	const struct rt_tunnel *t = rt_tunnel(rt, tunnel);

	return t ? t->cfg.name : "none";
}

static void count_carried(struct rt *rt)
{
	for (uint32_t i = 0; i < rt->n_tunnels; i++)
		if (rt->tunnels[i])
			rt->tunnels[i]->n_carried = 0;
	for (uint32_t i = 0; i < rt->n_groups_size; i++) {
		const struct rt_group *g = &rt->groups[i];
		struct rt_tunnel *t = g->used ? rt_tunnel(rt, g->active) : NULL;

		if (t)
			t->n_carried += g->n_told;
	}
}

/* It stays the same one until another carries twice as much: who follows it is not told of every prefix. */
static uint32_t carrier_of(const struct rt *rt, const struct rt_connection *c)
{
	const struct rt_tunnel *t, *best = NULL, *now = NULL;

	for (size_t i = 0; i < c->n_tunnels; i++) {
		t = rt_tunnel(rt, c->tunnels[i]);
		if (!t)
			continue;
		if (!best || t->n_carried > best->n_carried)
			best = t;
		if (c->tunnels[i] == c->active)
			now = t;
	}
	if (!best || best->n_carried == 0)
		return c->group < rt->n_groups_size ? rt->groups[c->group].active : RT_NONE;
	return now && 2 * now->n_carried > best->n_carried ? c->active : best->cfg.tunnel;
}

static void tell_switched(struct rt *rt, struct rt_out *out)
{
	rt->told_changed = false;
	count_carried(rt);
	for (size_t i = 0; i < rt->n_connections; i++) {
		struct rt_connection *c = &rt->connections[i];
		const uint32_t from = c->active, to = carrier_of(rt, c);

		if (from == to)
			continue;
		c->active = to;
		trace(rt->tracer, LOG_LEVEL_INFO, "%s switch: %s -> %s (%s)", c->name,
		      tunnel_name(rt, from), tunnel_name(rt, to), rt->why);
		rt_plan_switched(c, from, out);
	}
}

static void bury(struct rt *rt, uint32_t number, struct rt_out *out)
{
	struct rt_group *g = &rt->groups[number];
	uint32_t *at = &rt->group_heads[head_of(g->key, g->n, g->n_ecmp)];

	while (*at != number)
		at = &rt->groups[*at].next;
	*at = g->next;
	if (g->told)
		rt_plan_group_del(rt, number, out);
	memset(g, 0, sizeof(*g));
	rt->n_groups--;
}

void rt_groups_flush(struct rt *rt, struct mono now, struct rt_out *out)
{
	bool dying = false;

	if (rt->groups_dirty) {
		rt->groups_dirty = false;
		for (uint32_t i = 0; i < rt->n_groups_size; i++) {
			struct rt_group *g = &rt->groups[i];

			if (!g->used || !g->dirty)
				continue;
			if (g->dying && !g->told) {
				g->revert_at = MONO_NEVER;
				continue; /* until somebody wants it again */
			}
			g->dirty = false;
			select_active(rt, i, now, out);
		}
		tell_switched(rt, out);
		rt->groups_at = MONO_NEVER;
		for (uint32_t i = 0; i < rt->n_groups_size; i++)
			if (rt->groups[i].used)
				rt->groups_at = mono_min(rt->groups_at, rt->groups[i].revert_at);
	} else if (rt->told_changed && !rt->n_waiting) {
		/* At the end of many changes, not at each of them. */
		rt->why = "prefixes moved";
		tell_switched(rt, out);
	}
	if (!rt->groups_dying)
		return;
	/* A group's number may go to another one only when no route names it in the dataplane. */
	for (uint32_t i = 0; i < rt->n_groups_size; i++) {
		const struct rt_group *g = &rt->groups[i];

		if (!g->used || !g->dying)
			continue;
		if (!rt->n_unknown && rt_plan_answered(rt, g->mark))
			bury(rt, i, out);
		else
			dying = true;
	}
	rt->groups_dying = dying;
}

uint32_t rt_group_without(const struct rt *rt, const struct rt_group *g, uint32_t tunnel)
{
	uint32_t members[RT_GROUP_TUNNELS];
	size_t n_sharing;

	return usable(rt, g, tunnel, members, &n_sharing) ? members[0] : RT_NONE;
}
