/* SPDX-License-Identifier: Apache-2.0 */
/*
 * select: which tunnel of a connection carries its traffic.
 *
 * 1. The active tunnel stays while it is up and nothing better has proved itself.
 * 2. A tunnel before it in the order of preference takes over once it has been up for revert_hold,
 *    so that a tunnel that comes and goes does not take the traffic with it.
 * 3. An active tunnel that went down is replaced at once by the first that is up.
 *
 * The group always lists every tunnel that is up, the active one first: the dataplane falls back
 * to the next by itself when the first loses its outbound SA.
 */
#include <string.h>
#include "routing/rt_int.h"

static const char *tunnel_name(const struct rt_connection *c, uint32_t tunnel)
{
	for (size_t i = 0; i < c->n_tunnels; i++)
		if (c->tunnels[i].cfg.tunnel == tunnel)
			return c->tunnels[i].cfg.name;
	return "none";
}

static uint32_t choose(const struct rt_connection *c, struct mono now)
{
	uint32_t first_up = RT_NONE;

	for (size_t i = 0; i < c->n_tunnels; i++) {
		const struct rt_tunnel *t = &c->tunnels[i];

		if (!t->up)
			continue;
		if (t->cfg.tunnel == c->active)
			return c->active;
		if (first_up == RT_NONE)
			first_up = t->cfg.tunnel;
		if (mono_reached(now, mono_add(t->up_since, c->revert_hold)))
			return t->cfg.tunnel;
	}
	/* No tunnel in order is active or proven: keep the active one if it is up further down. */
	for (size_t i = 0; i < c->n_tunnels; i++)
		if (c->tunnels[i].up && c->tunnels[i].cfg.tunnel == c->active)
			return c->active;
	return first_up;
}

void rt_select(struct rt *rt, struct rt_connection *c, struct mono now, const char *why,
	       struct rt_out *out)
{
	const uint32_t from = c->active;
	uint32_t members[RT_MAX_TUNNELS] = {0};
	size_t n = 0;

	c->active = choose(c, now);
	if (c->active != RT_NONE)
		members[n++] = c->active;
	for (size_t i = 0; i < c->n_tunnels; i++)
		if (c->tunnels[i].up && c->tunnels[i].cfg.tunnel != c->active)
			members[n++] = c->tunnels[i].cfg.tunnel;

	if (!c->told || n != c->n_members || memcmp(members, c->members, sizeof(members)) != 0) {
		memcpy(c->members, members, sizeof(members));
		c->n_members = n;
		rt_plan_group(rt, c, out);
	}
	if (c->active != from) {
		trace(rt->tracer, LOG_LEVEL_INFO, "%s switch: %s -> %s (%s)", c->name,
		      tunnel_name(c, from), tunnel_name(c, c->active), why);
		rt_plan_switched(c, from, out);
	}
}

struct mono rt_select_deadline(const struct rt_connection *c)
{
	struct mono at = MONO_NEVER;

	for (size_t i = 0; i < c->n_tunnels && c->tunnels[i].cfg.tunnel != c->active; i++)
		if (c->tunnels[i].up)
			at = mono_min(at, mono_add(c->tunnels[i].up_since, c->revert_hold));
	return at;
}
