/* SPDX-License-Identifier: Apache-2.0 */
/*
 * export: what each neighbour is to hear.
 *
 * - The connection's own networks (`advertise`), always.
 * - With `cloudhub`: the best routes of the table that the connection is associated with, but what came
 *   over the same connection, and what came by iBGP to an iBGP neighbour (RFC 4271 9.2).
 * - Aggregates of that table while a route within stands; `summary_only` keeps back what is within.
 * The filter and the limit of the connection apply to the last two, the limit to all.
 *
 * A neighbour whose session has come up, or whose configuration has changed, is fed bit by bit: a walk
 * through all entries. What changes meanwhile is told when it changes.
 */
#include <stdlib.h>
#include <string.h>
#include "base/sb.h"
#include "routing/rt_int.h"

bool rt_filter_permits(const struct rt_filter *f, size_t n, const struct ip_prefix *p)
{
	for (size_t i = 0; i < n; i++) {
		if (f[i].min_len == 0 && f[i].max_len == 0) {
			if (ip_prefix_equal(&f[i].prefix, p))
				return f[i].permit;
			continue;
		}
		if (p->len >= f[i].min_len && p->len <= f[i].max_len && p->len >= f[i].prefix.len &&
		    ip_prefix_contains(&f[i].prefix, &p->addr))
			return f[i].permit;
	}
	return n == 0;
}

/* ------------------------------------------------------------------- limit */

static size_t told_slot(const struct rt_told *s, const struct ip_prefix *p)
{
	uint64_t h, low;
	size_t i;

	memcpy(&h, p->addr.b, sizeof(h));
	memcpy(&low, p->addr.b + 8, sizeof(low));
	h = (h ^ p->len) * 0x9e3779b97f4a7c15u;
	h = (h ^ h >> 29 ^ low) * 0xbf58476d1ce4e5b9u;
	for (i = (size_t)(h >> 32) & (s->size - 1);
	     s->slots[i].addr.family != IP_NONE && !ip_prefix_equal(&s->slots[i], p);)
		i = (i + 1) & (s->size - 1);
	return i;
}

static bool told_has(const struct rt_told *s, const struct ip_prefix *p)
{
	return s->size && s->slots[told_slot(s, p)].addr.family != IP_NONE;
}

static bool told_add(struct rt_told *s, const struct ip_prefix *p)
{
	if (2 * s->n >= s->size) {
		struct rt_told grown = {.size = s->size ? 2 * s->size : 64};

		grown.slots = calloc(grown.size, sizeof(*grown.slots));
		if (!grown.slots)
			return false;
		for (size_t i = 0; i < s->size; i++) {
			if (s->slots[i].addr.family == IP_NONE)
				continue;
			grown.slots[told_slot(&grown, &s->slots[i])] = s->slots[i];
			grown.n++;
		}
		free(s->slots);
		*s = grown;
	}
	s->slots[told_slot(s, p)] = *p;
	s->n++;
	return true;
}

static void told_del(struct rt_told *s, const struct ip_prefix *p)
{
	size_t i = told_slot(s, p);

	s->slots[i].addr.family = IP_NONE;
	s->n--;
	/* What stands behind it may belong before it. */
	for (i = (i + 1) & (s->size - 1); s->slots[i].addr.family != IP_NONE;
	     i = (i + 1) & (s->size - 1)) {
		const struct ip_prefix moved = s->slots[i];

		s->slots[i].addr.family = IP_NONE;
		s->slots[told_slot(s, &moved)] = moved;
	}
}

/* ------------------------------------------------------------------ telling */

static void feed_start(struct rt *rt, struct rt_tunnel *t)
{
	t->feeding = true;
	t->feed_next = 0;
	rt->feeding = true;
}

/* False: the limit of advertised routes keeps it back. */
static bool within_limit(struct rt *rt, struct rt_tunnel *t, const struct rt_connection *c,
			 const struct ip_prefix *p, bool told)
{
	if (!c->max_advertised)
		return true;
	if (told_has(&t->told, p)) {
		if (told)
			return true;
		told_del(&t->told, p);
		/* There is room again for what was kept back. */
		if (t->suppressed && !t->feeding) {
			t->suppressed = false;
			feed_start(rt, t);
		}
		return true;
	}
	if (!told)
		return false;
	if (t->told.n < c->max_advertised && told_add(&t->told, p))
		return true;
	t->warn = t->warn || !t->suppressed;
	t->suppressed = true;
	rt->warnings = rt->warnings || t->warn;
	return false;
}

static void tell(struct rt *rt, struct rt_tunnel *t, const struct ip_prefix *p, struct path *path)
{
	const struct rt_connection *c = rt_connection_of(rt, t);
	struct ip_prefix there;

	/* A prefix that has the peer's name of another one cannot be told of at all. */
	if (!rt->ex.advertise || !c ||
	    translation_to_there(t->cfg.translate, t->cfg.n_translate, TRANSLATION_OURS, p,
				 &there) == TRANSLATION_TAKEN ||
	    !within_limit(rt, t, c, p, path != NULL))
		return;
	if (!rt->ex.advertise(rt->ex.ctx, t->cfg.tunnel, &there, path))
		trace(rt->tracer, LOG_LEVEL_ERROR, "%s export: out of memory", t->cfg.name);
}

static bool own_network(const struct rt_connection *c, const struct ip_prefix *p)
{
	size_t low = 0, high = c->n_advertise;

	while (low < high) {
		const size_t mid = low + (high - low) / 2;
		const int order = rt_prefix_cmp(p, &c->advertise[mid]);

		if (order == 0)
			return true;
		if (order < 0)
			high = mid;
		else
			low = mid + 1;
	}
	return false;
}

/* A more specific one. */
static bool within(const struct ip_prefix *outer, const struct ip_prefix *p)
{
	return p->len > outer->len && ip_prefix_within(outer, p);
}

static const struct rt_aggregate *aggregate_at(const struct rt *rt, uint16_t table,
					       const struct ip_prefix *p)
{
	for (size_t i = 0; i < rt->n_aggregates; i++)
		if (rt->aggregates[i].cfg.table == table && rt->aggregates[i].n_within &&
		    ip_prefix_equal(&rt->aggregates[i].cfg.prefix, p))
			return &rt->aggregates[i];
	return NULL;
}

static bool summarised(const struct rt *rt, uint16_t table, const struct ip_prefix *p)
{
	for (size_t i = 0; i < rt->n_aggregates; i++)
		if (rt->aggregates[i].cfg.summary_only && rt->aggregates[i].cfg.table == table &&
		    within(&rt->aggregates[i].cfg.prefix, p))
			return true;
	return false;
}

/* What the neighbour may hear of the best candidate; NULL: nothing. */
static struct path *may_hear(struct rt *rt, const struct rt_tunnel *t,
			     const struct rt_connection *c, const struct rt_entry *e)
{
	const struct rt_tunnel *from;

	if (!c->cloudhub || !e || e->group >= RT_GROUP_LOCAL ||
	    e->first.source == RT_SOURCE_EMPTY || !rt_candidate_alive(rt, e, &e->first))
		return NULL;
	from = rt_tunnel(rt, e->first.tunnel);
	/* Never back to where it came from; RFC 4271 9.2: never from iBGP to iBGP. */
	if (!from || from->connection == t->connection)
		return NULL;
	if (e->first.source == RT_SOURCE_BGP && from->cfg.ibgp && t->cfg.ibgp)
		return NULL;
	if (summarised(rt, e->table, &e->prefix))
		return NULL;
	return rt_learnt(&e->first) ? e->first.path : rt->own_path;
}

/* Whatever is known of the prefix, as the neighbour is to hear it now. */
static void tell_prefix(struct rt *rt, struct rt_tunnel *t, const struct ip_prefix *p,
			const struct rt_entry *e)
{
	const struct rt_connection *c = rt_connection_of(rt, t);
	struct path *path;

	if (!c)
		return;
	if (own_network(c, p)) {
		tell(rt, t, p, rt->own_path);
		return;
	}
	path = aggregate_at(rt, c->association, p) ? rt->aggregate_path : may_hear(rt, t, c, e);
	if (path && !rt_filter_permits(c->out, c->n_out, p))
		path = NULL;
	tell(rt, t, p, path);
}

void rt_export_prefix(struct rt *rt, struct rt_tunnel *t, const struct ip_prefix *p)
{
	const struct rt_connection *c = rt_connection_of(rt, t);
	const uint32_t number = c ? rt_rib_find(rt, c->association, p) : RT_NONE;

	if (t->session)
		tell_prefix(rt, t, p, number == RT_NONE ? NULL : rt_entry(rt, number));
}

/* Who hears of changes: kept as a list, since most gateways have none. */
void rt_export_listeners(struct rt *rt)
{
	rt->n_listeners = 0;
	for (uint32_t i = 0; i < rt->n_tunnels; i++) {
		const struct rt_tunnel *t = rt->tunnels[i];
		const struct rt_connection *c = t ? rt_connection_of(rt, t) : NULL;

		if (c && t->session && c->cloudhub)
			rt->listeners[rt->n_listeners++] = i;
	}
}

static bool listens(const struct rt *rt, const struct rt_tunnel *t, uint16_t table)
{
	return rt_connection_of(rt, t)->association == table;
}

void rt_export_entry(struct rt *rt, struct rt_entry *e)
{
	for (size_t i = 0; i < rt->n_listeners; i++) {
		struct rt_tunnel *t = rt->tunnels[rt->listeners[i]];

		if (listens(rt, t, e->table))
			tell_prefix(rt, t, &e->prefix, e);
	}
}

/* -------------------------------------------------------------- aggregates */

static void aggregate_tell(struct rt *rt, const struct rt_aggregate *a)
{
	for (size_t i = 0; i < rt->n_listeners; i++) {
		struct rt_tunnel *t = rt->tunnels[rt->listeners[i]];

		if (listens(rt, t, a->cfg.table))
			rt_export_prefix(rt, t, &a->cfg.prefix);
	}
}

void rt_aggregate_count(struct rt *rt, struct rt_entry *e, bool counts)
{
	if (!rt->n_aggregates || counts == ((e->flags & RT_AGGREGATED) != 0))
		return;
	e->flags = (uint8_t)(counts ? e->flags | RT_AGGREGATED : e->flags & ~RT_AGGREGATED);
	for (size_t i = 0; i < rt->n_aggregates; i++) {
		struct rt_aggregate *a = &rt->aggregates[i];

		if (a->cfg.table != e->table || !within(&a->cfg.prefix, &e->prefix))
			continue;
		a->n_within += counts ? 1 : (size_t)-1;
		if (a->n_within == (counts ? 1 : 0))
			aggregate_tell(rt, a);
	}
}

void rt_aggregates_recount(struct rt *rt)
{
	for (size_t i = 0; i < rt->n_aggregates; i++)
		rt->aggregates[i].n_within = 0;
	for (uint32_t i = 0; i < rt->entries.n_used; i++) {
		struct rt_entry *e = rt_entry(rt, i);

		if (!(e->flags & RT_LIVE))
			continue;
		e->flags &= (uint8_t)~RT_AGGREGATED;
		rt_aggregate_count(rt, e, e->group < RT_GROUP_LOCAL);
	}
}

/* ----------------------------------------------------------------- feeding */

void rt_export_feed(struct rt *rt, struct rt_tunnel *t, bool end)
{
	const struct rt_connection *c = rt_connection_of(rt, t);

	if (!c)
		return;
	if (!t->session)
		t->heard = c->association;
	t->session = true;
	rt_export_listeners(rt);
	t->end_owed = t->end_owed || end;
	feed_start(rt, t);
	for (size_t i = 0; i < c->n_advertise; i++)
		rt_export_prefix(rt, t, &c->advertise[i]);
	for (size_t i = 0; i < rt->n_aggregates; i++)
		if (rt->aggregates[i].cfg.table == c->association)
			rt_export_prefix(rt, t, &rt->aggregates[i].cfg.prefix);
}

void rt_export_down(struct rt *rt, struct rt_tunnel *t)
{
	free(t->told.slots);
	t->told = (struct rt_told){.n = 0};
	t->session = t->feeding = t->end_owed = t->suppressed = t->warn = false;
	rt_export_listeners(rt);
}

static size_t feed(struct rt *rt, struct rt_tunnel *t, size_t max)
{
	const struct rt_connection *c = rt_connection_of(rt, t);

	for (; max && t->feed_next < rt->entries.n_used; max--, t->feed_next++) {
		struct rt_entry *e = rt_entry(rt, t->feed_next);

		if (!(e->flags & RT_LIVE))
			continue;
		if (e->table == c->association)
			tell_prefix(rt, t, &e->prefix, e);
		else if (e->table == t->heard)
			rt_export_prefix(rt, t, &e->prefix);
	}
	if (t->feed_next < rt->entries.n_used)
		return 0;
	t->feeding = false;
	t->heard = c->association;
	if (t->end_owed && rt->ex.advertise_end) {
		rt->ex.advertise_end(rt->ex.ctx, t->cfg.tunnel, false);
		rt->ex.advertise_end(rt->ex.ctx, t->cfg.tunnel, true);
	}
	t->end_owed = false;
	return max;
}

void rt_export_work(struct rt *rt, size_t max)
{
	if (!rt->feeding)
		return;
	rt->feeding = false;
	for (uint32_t i = 0; i < rt->n_tunnels; i++) {
		struct rt_tunnel *t = rt->tunnels[i];

		if (!t || !t->feeding)
			continue;
		if (max)
			max = feed(rt, t, max);
		rt->feeding = rt->feeding || t->feeding;
	}
}

void rt_export_warnings(struct rt *rt, struct rt_out *out)
{
	for (uint32_t i = 0; rt->warnings && i < rt->n_tunnels; i++) {
		struct rt_tunnel *t = rt->tunnels[i];
		const struct rt_connection *c = t && t->warn ? rt_connection_of(rt, t) : NULL;
		struct rt_action *a = c ? rt_action_add(out, RT_ACT_WARNING) : NULL;

		struct sb text;

		if (!a)
			continue;
		text = sb_of(a->warning.text, sizeof(a->warning.text));
		t->warn = false;
		a->warning.name = "advertise-limit";
		a->warning.tunnel = t->cfg.tunnel;
		sb_printf(&text,
			  "tunnel '%s': more than %u routes are to be advertised: the others are "
			  "kept "
			  "back; summarise them or raise max_advertised",
			  t->cfg.name, c->max_advertised);
	}
	rt->warnings = false;
	if (rt->warn_group_limit && !rt->group_limit_warned) {
		struct rt_action *a = rt_action_add(out, RT_ACT_WARNING);

		struct sb text;

		if (!a)
			return;
		text = sb_of(a->warning.text, sizeof(a->warning.text));
		rt->group_limit_warned = true;
		a->warning.name = "group-limit";
		a->warning.tunnel = RT_TUNNEL_NONE;
		sb_printf(&text,
			  "prefixes reach more orders of tunnels than the dataplane keeps groups "
			  "(%u): "
			  "further ones have no backup",
			  rt->max_groups);
	}
}
