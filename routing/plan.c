/* SPDX-License-Identifier: Apache-2.0 */
/* plan: actions for the dataplane, and the book of those that were not answered yet. */
#include <stdlib.h>
#include <string.h>
#include "routing/rt_int.h"

#define RETRY_DELAY span_s(5)

static struct rt_action *action_add(struct rt_out *out, enum rt_action_type type)
{
	struct rt_action *a;

	if (out->n == out->size) {
		const size_t size = out->size ? 2 * out->size : 64;
		struct rt_action *grown = realloc(out->actions, size * sizeof(*grown));

		if (!grown) {
			out->overflow = true;
			return NULL;
		}
		out->actions = grown;
		out->size = size;
	}
	a = &out->actions[out->n++];
	memset(a, 0, sizeof(*a));
	a->type = type;
	return a;
}

/* Makes room at the end of the queue of pending requests. */
static bool pending_room(struct rt *rt)
{
	struct rt_pending *grown;
	size_t size;

	if (rt->pending_last < rt->pending_size)
		return true;
	if (rt->pending_first > rt->pending_size / 2) {
		const size_t n = rt->pending_last - rt->pending_first;

		memmove(rt->pending, rt->pending + rt->pending_first, n * sizeof(*rt->pending));
		rt->pending_first = 0;
		rt->pending_last = n;
		return true;
	}
	size = rt->pending_size ? 2 * rt->pending_size : 64;
	grown = realloc(rt->pending, size * sizeof(*grown));
	if (!grown)
		return false;
	rt->pending = grown;
	rt->pending_size = size;
	return true;
}

static struct rt_action *request(struct rt *rt, struct rt_out *out, enum rt_action_type type,
				 struct rt_pending pending)
{
	struct rt_action *a;

	if (!pending_room(rt)) {
		out->overflow = true;
		return NULL;
	}
	a = action_add(out, type);
	if (!a)
		return NULL;
	if (++rt->next_request == 0)
		rt->next_request = 1;
	a->request = pending.request = rt->next_request;
	rt->pending[rt->pending_last++] = pending;
	return a;
}

static void told(struct rt_programmed *dp, const struct rt_action *a)
{
	dp->request = a ? a->request : 0;
	dp->installed = false;
	dp->failed = !a;
}

void rt_plan_tunnel(struct rt *rt, struct rt_tunnel *t, struct rt_out *out)
{
	struct rt_action *a =
		request(rt, out, RT_ACT_TUNNEL_SET,
			(struct rt_pending){.kind = RT_KIND_TUNNEL, .number = t->cfg.tunnel});

	told(&t->dp, a);
	if (a)
		a->tunnel = t->cfg;
}

void rt_plan_tunnel_del(struct rt *rt, const struct rt_tunnel *t, struct rt_out *out)
{
	struct rt_action *a =
		request(rt, out, RT_ACT_TUNNEL_DEL, (struct rt_pending){.kind = RT_KIND_GONE});

	if (a)
		a->tunnel = t->cfg;
}

void rt_plan_group(struct rt *rt, struct rt_connection *c, struct rt_out *out)
{
	struct rt_action *a =
		request(rt, out, RT_ACT_GROUP_SET,
			(struct rt_pending){.kind = RT_KIND_GROUP, .number = c->group});

	told(&c->dp, a);
	c->told = true;
	if (!a)
		return;
	a->group.group = c->group;
	a->group.n = c->n_members;
	memcpy(a->group.tunnels, c->members, sizeof(a->group.tunnels));
}

void rt_plan_group_del(struct rt *rt, const struct rt_connection *c, struct rt_out *out)
{
	struct rt_action *a =
		request(rt, out, RT_ACT_GROUP_DEL, (struct rt_pending){.kind = RT_KIND_GONE});

	if (a)
		a->group.group = c->group;
}

void rt_plan_route(struct rt *rt, struct rt_route *r, struct rt_out *out)
{
	struct rt_action *a =
		request(rt, out, RT_ACT_ROUTE_SET,
			(struct rt_pending){.kind = RT_KIND_ROUTE, .prefix = r->prefix});

	told(&r->dp, a);
	if (!a)
		return;
	a->route.prefix = r->prefix;
	a->route.group = rt->connections[r->connection].group;
}

void rt_plan_route_del(struct rt *rt, const struct rt_route *r, struct rt_out *out)
{
	struct rt_action *a =
		request(rt, out, RT_ACT_ROUTE_DEL, (struct rt_pending){.kind = RT_KIND_GONE});

	if (a)
		a->route.prefix = r->prefix;
}

void rt_plan_switched(struct rt_connection *c, uint32_t from, struct rt_out *out)
{
	struct rt_action *a = action_add(out, RT_ACT_SWITCHED);

	if (!a)
		return;
	memcpy(a->switched.connection, c->name, sizeof(a->switched.connection));
	a->switched.from = from;
	a->switched.to = c->active;
}

/* Whose request it was, unless that thing is gone or was told anew since. */
static struct rt_programmed *programmed_of(struct rt *rt, const struct rt_pending *p)
{
	struct rt_programmed *dp = NULL;
	struct rt_route *r;
	struct rt_tunnel *t;

	switch (p->kind) {
	case RT_KIND_GONE: break;
	case RT_KIND_TUNNEL:
		t = rt_tunnel_find(rt, p->number, NULL);
		dp = t ? &t->dp : NULL;
		break;
	case RT_KIND_GROUP:
		for (size_t i = 0; i < rt->n_connections; i++)
			if (rt->connections[i].group == p->number)
				dp = &rt->connections[i].dp;
		break;
	case RT_KIND_ROUTE:
		r = rt_route_find(rt, &p->prefix);
		dp = r ? &r->dp : NULL;
		break;
	}
	return dp && dp->request == p->request ? dp : NULL;
}

void rt_plan_result(struct rt *rt, uint32_t request_id, bool ok, struct mono now)
{
	for (size_t i = rt->pending_first; i < rt->pending_last; i++) {
		struct rt_pending *p = &rt->pending[i];
		struct rt_programmed *dp;

		if (p->request != request_id || p->done)
			continue;
		dp = programmed_of(rt, p);
		p->done = true;
		if (dp) {
			dp->installed = ok;
			dp->failed = !ok;
		}
		/* One line a round, not one an object: a full table may refuse every route. */
		if (dp && !ok && mono_is_never(rt->retry_at)) {
			rt->retry_at = mono_add(now, RETRY_DELAY);
			trace(rt->tracer, LOG_LEVEL_WARN,
			      "routing program: the dataplane refused request %u; trying again",
			      request_id);
		}
		break;
	}
	while (rt->pending_first < rt->pending_last && rt->pending[rt->pending_first].done)
		rt->pending_first++;
	if (rt->pending_first == rt->pending_last)
		rt->pending_first = rt->pending_last = 0;
}

void rt_out_fini(struct rt_out *out)
{
	free(out->actions);
	memset(out, 0, sizeof(*out));
}
