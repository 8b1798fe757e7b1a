/* SPDX-License-Identifier: Apache-2.0 */
/* plan: actions for the dataplane, and the book of those that were not answered yet. */
#include <stdlib.h>
#include <string.h>
#include "base/array.h"
#include "routing/rt_int.h"

#define RETRY_DELAY span_s(5)

struct rt_action *rt_action_add(struct rt_out *out, enum rt_action_type type)
{
	struct rt_action *a = array_add(&out->actions, &out->n, &out->size, sizeof(*a), 64);

	if (!a) {
		out->overflow = true;
		return NULL;
	}
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

static uint32_t pending_add(struct rt *rt, struct rt_pending pending)
{
	if (!pending_room(rt))
		return 0;
	if (++rt->next_request == 0)
		rt->next_request = 1;
	pending.request = rt->next_request;
	rt->pending[rt->pending_last++] = pending;
	return pending.request;
}

static struct rt_action *request(struct rt *rt, struct rt_out *out, enum rt_action_type type,
				 struct rt_pending pending)
{
	struct rt_action *a;

	if (!pending_room(rt)) {
		out->overflow = true;
		return NULL;
	}
	a = rt_action_add(out, type);
	if (a)
		a->request = pending_add(rt, pending);
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

void rt_plan_group(struct rt *rt, uint32_t number, struct rt_out *out)
{
	struct rt_group *g = &rt->groups[number];
	struct rt_action *a = request(rt, out, RT_ACT_GROUP_SET,
				      (struct rt_pending){.kind = RT_KIND_GROUP, .number = number});

	told(&g->dp, a);
	g->told = true;
	if (!a)
		return;
	a->group.group = number;
	a->group.n = g->n_members;
	a->group.n_ecmp = g->n_sharing;
	/* What the best candidate is, they all go by. */
	a->group.by_linux = g->key[0] & RT_MEMBER_LINUX;
	memcpy(a->group.tunnels, g->members, sizeof(a->group.tunnels));
}

void rt_plan_group_del(struct rt *rt, uint32_t number, struct rt_out *out)
{
	struct rt_action *a =
		request(rt, out, RT_ACT_GROUP_DEL, (struct rt_pending){.kind = RT_KIND_GONE});

	if (a)
		a->group.group = number;
}

void rt_plan_switched(const struct rt_connection *c, uint32_t from, struct rt_out *out)
{
	struct rt_action *a = rt_action_add(out, RT_ACT_SWITCHED);

	if (!a)
		return;
	memcpy(a->switched.connection, c->name, sizeof(a->switched.connection));
	a->switched.from = from;
	a->switched.to = c->active;
}

void rt_plan_reset(uint32_t tunnel, struct rt_out *out)
{
	struct rt_action *a = rt_action_add(out, RT_ACT_RESET);

	if (a)
		a->reset.tunnel = tunnel;
}

void rt_plan_refresh(uint32_t tunnel, struct rt_out *out)
{
	struct rt_action *a = rt_action_add(out, RT_ACT_REFRESH);

	if (a)
		a->refresh.tunnel = tunnel;
}

void rt_plan_prefer(uint32_t tunnel, bool on, struct rt_out *out)
{
	struct rt_action *a = rt_action_add(out, RT_ACT_PREFER);

	if (!a)
		return;
	a->prefer.tunnel = tunnel;
	a->prefer.on = on;
}

uint32_t rt_plan_routes(struct rt *rt, uint32_t *entries, uint32_t n)
{
	const uint32_t id = pending_add(
		rt, (struct rt_pending){.kind = RT_KIND_ROUTES, .number = n, .entries = entries});

	rt->n_batches += id != 0;
	return id;
}

/* Whose request it was, unless that thing is gone or was told anew since. */
static struct rt_programmed *programmed_of(struct rt *rt, const struct rt_pending *p)
{
	struct rt_programmed *dp = NULL;
	struct rt_tunnel *t;

	switch (p->kind) {
	case RT_KIND_GONE:
	case RT_KIND_ROUTES: break;
	case RT_KIND_TUNNEL:
		t = rt_tunnel(rt, p->number);
		dp = t ? &t->dp : NULL;
		break;
	case RT_KIND_GROUP:
		if (p->number < rt->n_groups_size && rt->groups[p->number].used)
			dp = &rt->groups[p->number].dp;
		break;
	}
	return dp && dp->request == p->request ? dp : NULL;
}

static void forget(struct rt *rt, struct rt_pending *p)
{
	if (p->kind == RT_KIND_ROUTES && !p->done)
		rt->n_batches--;
	p->done = true;
	free(p->entries);
	p->entries = NULL;
}

void rt_plan_retry(struct rt *rt, struct mono now)
{
	if (mono_is_never(rt->retry_at))
		rt->retry_at = mono_add(now, RETRY_DELAY);
}

void rt_plan_result(struct rt *rt, const struct rt_event *ev)
{
	for (size_t i = rt->pending_first; i < rt->pending_last; i++) {
		struct rt_pending *p = &rt->pending[i];
		struct rt_programmed *dp;

		if (p->request != ev->request || p->done)
			continue;
		dp = programmed_of(rt, p);
		if (dp) {
			dp->installed = ev->ok;
			dp->failed = !ev->ok;
		}
		if (p->kind == RT_KIND_ROUTES)
			rt_program_result(rt, p, ev);
		/* One line a round, not one an object: a full table may refuse every route. */
		if (!ev->ok && mono_is_never(rt->retry_at) && p->kind != RT_KIND_GONE) {
			rt_plan_retry(rt, ev->now);
			trace(rt->tracer, LOG_LEVEL_WARN,
			      "routing program: the dataplane refused request %u; trying again",
			      ev->request);
		}
		forget(rt, p);
		break;
	}
	while (rt->pending_first < rt->pending_last && rt->pending[rt->pending_first].done)
		rt->pending_first++;
	if (rt->pending_first == rt->pending_last)
		rt->pending_first = rt->pending_last = 0;
}

void rt_plan_forget(struct rt *rt)
{
	for (size_t i = rt->pending_first; i < rt->pending_last; i++)
		forget(rt, &rt->pending[i]);
	rt->pending_first = rt->pending_last = 0;
}

bool rt_plan_answered(const struct rt *rt, uint32_t id)
{
	/* Numbers go round: less than half of them are ever under way. */
	return rt->pending_first == rt->pending_last ||
	       (int32_t)(rt->pending[rt->pending_first].request - id) > 0;
}

void rt_out_fini(struct rt_out *out)
{
	free(out->actions);
	memset(out, 0, sizeof(*out));
}
