/* SPDX-License-Identifier: Apache-2.0 */
/* show: the routes, how they were chosen, and what would become of them, for people. */
#include <stdlib.h>
#include <string.h>
#include "routing/rt_int.h"

static void name_of(const struct rt *rt, uint32_t tunnel, char name[RT_NAME_SIZE])
{
	const struct rt_tunnel *t = rt_tunnel(rt, tunnel);
	const struct rt_connection *c = t ? rt_connection_of(rt, t) : NULL;

	memset(name, 0, RT_NAME_SIZE);
	if (c)
		memcpy(name, c->name, RT_NAME_SIZE);
}

/* A prefix as a tunnel's peer calls it, if otherwise than we do. */
static struct ip_prefix there_of(const struct rt *rt, uint32_t tunnel, const struct ip_prefix *here)
{
	const struct rt_tunnel *t = rt_tunnel(rt, tunnel);
	struct ip_prefix there;

	if (!t || translation_to_there(t->cfg.translate, t->cfg.n_translate, TRANSLATION_THEIRS,
				       here, &there) != TRANSLATION_DONE)
		there = (struct ip_prefix){.addr = {.family = IP_NONE}};
	return there;
}

static uint32_t carrier(const struct rt *rt, uint32_t group)
{
	return group < rt->n_groups_size ? rt->groups[group].active : RT_TUNNEL_NONE;
}

static void route_of(const struct rt *rt, struct rt_entry *e, struct rt_show_route *out)
{
	struct rt_candidate_slot *c;
	const bool local = e->first.source == RT_SOURCE_LOCAL;

	*out = (struct rt_show_route){
		.prefix = e->prefix,
		.table = e->table,
		.source = rt_source_name((enum rt_source)e->first.source),
		.group = e->group,
		.tunnel = carrier(rt, e->group),
		.path = e->first.path,
		.installed = local || (e->flags & RT_INSTALLED && e->told == e->group),
	};
	for (c = rt_candidate_first(rt, e); c; c = rt_candidate_next(rt, c))
		out->n_candidates += rt_candidate_alive(rt, e, c);
	out->stale = rt_learnt(&e->first) && rt_candidate_stale(rt, e, &e->first);
	if (e->group < rt->n_groups_size) {
		const struct rt_group *g = &rt->groups[e->group];

		memcpy(out->members, g->members, sizeof(out->members));
		out->n_members = g->n_members;
		out->n_sharing = g->n_members ? g->n_sharing : 0;
	}
	name_of(rt, out->tunnel != RT_TUNNEL_NONE ? out->tunnel : e->first.tunnel, out->connection);
	out->there = there_of(rt, out->tunnel != RT_TUNNEL_NONE ? out->tunnel : e->first.tunnel,
			      &e->prefix);
}

static bool shown(const struct rt *rt, const struct rt_entry *e)
{
	return e->flags & RT_LIVE && e->first.source != RT_SOURCE_EMPTY &&
	       rt_candidate_alive(rt, e, &e->first);
}

static int entry_order(const void *a, const void *b)
{
	const struct rt_entry *x = *(struct rt_entry *const *)a, *y = *(struct rt_entry *const *)b;

	if (x->table != y->table)
		return x->table < y->table ? -1 : 1;
	return rt_prefix_cmp(&x->prefix, &y->prefix);
}

void rt_show_routes(const struct rt *rt, bool (*fn)(void *ctx, const struct rt_show_route *r),
		    void *ctx)
{
	struct rt_entry **sorted = calloc(rt->entries.n_live + 1, sizeof(*sorted));
	struct rt_show_route show;
	size_t n = 0;

	for (uint32_t i = 0; sorted && i < rt->entries.n_used; i++)
		if (shown(rt, rt_entry(rt, i)))
			sorted[n++] = rt_entry(rt, i);
	if (n)
		qsort(sorted, n, sizeof(*sorted), entry_order);
	for (size_t i = 0; i < n; i++) {
		route_of(rt, sorted[i], &show);
		if (!fn(ctx, &show))
			break;
	}
	free(sorted);
}

/* The next entry of a page that may be shown, or NULL: the page is at its end, or was looked for
 * long enough. */
static struct rt_entry *page_next(const struct rt *rt, struct rt_page *page, size_t *visits)
{
	while (page->next < rt->entries.n_used && *visits < page->max_visits) {
		struct rt_entry *e = rt_entry(rt, page->next++);

		++*visits;
		if (!shown(rt, e) || (page->one_table && e->table != page->table))
			continue;
		if (page->within.addr.family != IP_NONE &&
		    (e->prefix.addr.family != page->within.addr.family ||
		     e->prefix.len < page->within.len ||
		     !ip_prefix_contains(&page->within, &e->prefix.addr)))
			continue;
		return e;
	}
	return NULL;
}

static void page_end(const struct rt *rt, struct rt_page *page)
{
	if (page->next >= rt->entries.n_used)
		page->next = RT_PAGE_END;
}

void rt_show_page(const struct rt *rt, struct rt_page *page,
		  bool (*fn)(void *ctx, const struct rt_show_route *r), void *ctx)
{
	struct rt_show_route show;
	struct rt_entry *e;
	size_t visits = 0;

	while ((e = page_next(rt, page, &visits))) {
		route_of(rt, e, &show);
		if (!fn(ctx, &show))
			break;
	}
	page_end(rt, page);
}

bool rt_show_route(const struct rt *rt, uint16_t table, const struct ip_prefix *prefix,
		   struct rt_show_route *out)
{
	const uint32_t number = rt_rib_find(rt, table, prefix);

	if (number == RT_NONE || !shown(rt, rt_entry(rt, number)))
		return false;
	route_of(rt, rt_entry(rt, number), out);
	return true;
}

static void candidate_of(const struct rt *rt, const struct rt_entry *e,
			 const struct rt_candidate_slot *c, struct rt_candidate *out)
{
	const bool bgp = c->source == RT_SOURCE_BGP;

	*out = (struct rt_candidate){
		.source = (enum rt_source)c->source,
		.tunnel = c->tunnel,
		.path_id = c->path_id,
		.path = c->path,
		.there = there_of(rt, c->tunnel, &e->prefix),
		.local_pref = rt_local_pref(c),
		.med = rt_med(c),
		.stale = rt_candidate_stale(rt, e, c),
		.usable = c->tunnel == RT_TUNNEL_NONE ||
			  rt_member_usable(rt, c->tunnel | (bgp ? RT_MEMBER_BGP : 0)),
	};
	name_of(rt, c->tunnel, out->connection);
}

bool rt_explain(struct rt *rt, uint16_t table, const struct ip_prefix *prefix,
		bool (*fn)(void *ctx, const struct rt_candidate *c), void *ctx)
{
	const uint32_t number = rt_rib_find(rt, table, prefix);
	enum rt_decision_step decided;
	struct rt_candidate_slot *c;
	struct rt_candidate show;
	struct rt_entry *e;
	size_t n, n_ecmp;

	if (number == RT_NONE || !shown(rt, rt_entry(rt, number)))
		return false;
	e = rt_entry(rt, number);
	n = rt_order(rt, e, &n_ecmp, &decided);
	for (size_t i = 0; i < n; i++) {
		candidate_of(rt, e, rt->choices[i].c, &show);
		show.best = i == 0;
		show.step = i == 0 ? decided : rt->choices[i].step;
		if (!fn(ctx, &show))
			return true;
	}
	/* Within a local network: they never took part. */
	for (c = rt_candidate_first(rt, e); c; c = rt_candidate_next(rt, c)) {
		if (!rt_learnt(c) || !rt_candidate_alive(rt, e, c) || !rt_covered(rt, prefix))
			continue;
		candidate_of(rt, e, c, &show);
		show.step = RT_STEP_LOCAL;
		if (!fn(ctx, &show))
			return true;
	}
	return true;
}

void rt_show_received(const struct rt *rt, uint32_t tunnel, struct rt_page *page,
		      bool (*fn)(void *ctx, const struct ip_prefix *prefix,
				 const struct rt_candidate *c),
		      void *ctx)
{
	const struct rt_tunnel *t = rt_tunnel(rt, tunnel);
	const struct rt_connection *from = t ? rt_connection_of(rt, t) : NULL;
	struct rt_candidate_slot *c;
	struct rt_candidate show;
	struct rt_entry *e;
	size_t visits = 0;
	bool more = from && from->n_propagations;

	if (!more)
		page->next = RT_PAGE_END;
	while (more && (e = page_next(rt, page, &visits))) {
		if (e->table != from->propagations[0])
			continue;
		/* All of one prefix, also when that is more than was asked for. */
		for (c = rt_candidate_first(rt, e); c; c = rt_candidate_next(rt, c)) {
			if (!rt_learnt(c) || c->tunnel != tunnel || !rt_candidate_alive(rt, e, c))
				continue;
			candidate_of(rt, e, c, &show);
			show.best = c == &e->first;
			more = fn(ctx, &e->prefix, &show) && more;
		}
	}
	page_end(rt, page);
}

bool rt_lookup(const struct rt *rt, uint16_t table, const struct ip_addr *a,
	       struct ip_prefix *prefix)
{
	for (int len = (int)ip_bits(a); len >= 0; len--) {
		const struct ip_prefix p = {.addr = *a, .len = (uint8_t)len};
		uint32_t number;

		*prefix = ip_prefix_network(&p);
		number = rt_rib_find(rt, table, prefix);
		if (number != RT_NONE && shown(rt, rt_entry(rt, number)) &&
		    (rt_entry(rt, number)->group != RT_GROUP_NONE ||
		     rt_entry(rt, number)->first.source == RT_SOURCE_LOCAL))
			return true;
	}
	return false;
}

/* Traffic goes by this tunnel now, alone or with others. */
static bool carries(const struct rt_group *g, uint32_t tunnel)
{
	for (size_t i = 0; g->n_sharing > 1 && i < g->n_sharing && i < g->n_members; i++)
		if (g->members[i] == tunnel)
			return true;
	return g->active == tunnel;
}

void rt_what_if(const struct rt *rt, uint32_t tunnel,
		bool (*fn)(void *ctx, const struct rt_what_if *w), void *ctx)
{
	for (uint32_t i = 0; i < rt->n_groups_size; i++) {
		const struct rt_group *g = &rt->groups[i];
		struct rt_what_if w = {.group = i, .n_prefixes = g->n_told};

		if (!g->used || !g->n_told || !carries(g, tunnel))
			continue;
		w.from = tunnel;
		w.to = rt_group_without(rt, g, tunnel);
		if (!fn(ctx, &w))
			return;
	}
}

bool rt_show_tunnel(const struct rt *rt, uint32_t tunnel, struct rt_show_tunnel *out)
{
	const struct rt_tunnel *t = rt_tunnel(rt, tunnel);

	if (!t || t->leaving)
		return false;
	*out = (struct rt_show_tunnel){
		.up = t->up,
		.ike_up = t->ike_up,
		.bfd_down = t->bfd_down,
		.probe_down = t->probe_down,
		.bgp_up = t->bgp_up,
		.draining = t->draining,
		.refused = t->n_refused,
		.advertised = (uint32_t)t->told.n,
	};
	for (size_t i = 0; i < 2; i++) {
		out->accepted[i] = t->family[i].n_fresh + t->family[i].n_stale;
		out->stale[i] = t->family[i].n_stale;
	}
	return true;
}

void rt_show_connections(const struct rt *rt,
			 bool (*fn)(void *ctx, const char *connection, uint32_t tunnel), void *ctx)
{
	for (size_t i = 0; i < rt->n_connections; i++)
		if (!fn(ctx, rt->connections[i].name, rt->connections[i].active))
			return;
}

void rt_show_stats(const struct rt *rt, struct rt_show_stats *out)
{
	*out = (struct rt_show_stats){
		.n_prefixes = rt->entries.n_live,
		.n_candidates = rt->n_candidates,
		.n_groups = rt->n_groups,
		.n_waiting = rt->n_waiting,
		.n_refused = rt->n_refused,
		.bytes = rt_pool_bytes(&rt->entries) + rt_pool_bytes(&rt->more) +
			 rt_pool_bytes(&rt->buckets) + rt_pool_bytes(&rt->chained),
	};
	for (size_t i = rt->pending_first; i < rt->pending_last; i++)
		if (rt->pending[i].kind == RT_KIND_ROUTES && !rt->pending[i].done)
			out->n_unanswered += rt->pending[i].number;
}
