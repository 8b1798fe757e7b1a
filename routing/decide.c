/* SPDX-License-Identifier: Apache-2.0 */
/*
 * decide: which candidates of a prefix are better than which, in the numbered steps of routing.h.
 *
 * At each step, of those that are still in, all go but the best (RFC 4271 9.1.2.2): a rule that does
 * not order every pair, as MED between different neighbouring ASes, still gives one answer whatever
 * the order of arrival. What is left in when the steps end is the best. The second is the best of the
 * rest, and so on: a nexthop group has them in this order.
 *
 *   1 LOCAL       our own networks win, over longer prefixes within them, too
 *   2 SOURCE      virtual private and customer gateway: direct connect, static, VPN by BGP;
 *                 transit gateway: static, direct connect, connect, VPN over a private link, VPN,
 *                 concentrator, peering
 *   3 LOCAL_PREF  missing: 100; a route in graceful shutdown: 0 (RFC 8326 3.2)
 *   4 AS_PATH     length
 *   5 ORIGIN
 *   6 MED         missing: 100; transit gateway: always, else between routes of one first AS only
 *   7 EBGP
 *   8 CONNECTION, 9 TUNNEL, 10 PATH_ID: as configured, so that the answer is stable
 */
#include <stdlib.h>
#include <string.h>
#include "routing/rt_int.h"

#define LOCAL_PREF_DEFAULT 100u
#define MED_DEFAULT        100u
#define GRACEFUL_SHUTDOWN  0xffff0000u /* RFC 8326 3.1 */

const char *rt_decision_step_name(enum rt_decision_step s)
{
	static const char *const names[] = {[RT_STEP_NONE] = "the only candidate",
#define X(name, text) [RT_STEP_##name] = (text),
					    RT_STEPS(X)
#undef X
	};

	return (size_t)s < sizeof(names) / sizeof(names[0]) ? names[s] : "?";
}

const char *rt_source_name(enum rt_source s)
{
	switch (s) {
	case RT_SOURCE_LOCAL: return "local";
	case RT_SOURCE_STATIC: return "static";
	case RT_SOURCE_BLACKHOLE: return "blackhole";
	case RT_SOURCE_BGP: return "bgp";
	case RT_SOURCE_LINUX: return "linux";
	}
	return "?";
}

static bool propagates(const struct rt *rt, const struct rt_tunnel *t, uint16_t table)
{
	const struct rt_connection *c = rt_connection_of(rt, t);

	for (size_t i = 0; c && i < c->n_propagations; i++)
		if (c->propagations[i] == table)
			return true;
	return false;
}

bool rt_candidate_stale(const struct rt *rt, const struct rt_entry *e,
			const struct rt_candidate_slot *c)
{
	const struct rt_tunnel *t = rt_learnt(c) ? rt_tunnel(rt, c->tunnel) : NULL;
	const struct rt_family *f = t ? &t->family[e->prefix.addr.family == IP_V6] : NULL;

	return f && f->kept && c->generation == (uint16_t)(f->generation - 1);
}

bool rt_candidate_alive(const struct rt *rt, const struct rt_entry *e,
			const struct rt_candidate_slot *c)
{
	const struct rt_tunnel *t;

	if (!rt_learnt(c))
		return true; /* the configuration takes them away itself */
	t = rt_tunnel(rt, c->tunnel);
	return t && !t->leaving && propagates(rt, t, e->table) &&
	       (t->family[e->prefix.addr.family == IP_V6].generation == c->generation ||
		rt_candidate_stale(rt, e, c));
}

uint32_t rt_local_pref(const struct rt_candidate_slot *c)
{
	if (!c->path)
		return LOCAL_PREF_DEFAULT;
	/* RFC 8326 4.2: the receiver lowers it to 0. */
	if (path_has_community(c->path, GRACEFUL_SHUTDOWN))
		return 0;
	return c->path->facts.flags & PATH_HAS_LOCAL_PREF ? c->path->facts.local_pref
							  : LOCAL_PREF_DEFAULT;
}

uint32_t rt_med(const struct rt_candidate_slot *c)
{
	return c->path && c->path->facts.flags & PATH_HAS_MED ? c->path->facts.med : MED_DEFAULT;
}

static uint32_t source_rank(const struct rt *rt, const struct rt_candidate_slot *c)
{
	static const uint8_t transit[] = {
		[RT_ATTACH_DIRECT_CONNECT] = 2, [RT_ATTACH_CONNECT] = 3,
		[RT_ATTACH_VPN_PRIVATE] = 4,    [RT_ATTACH_VPN] = 5,
		[RT_ATTACH_CONCENTRATOR] = 6,   [RT_ATTACH_PEERING] = 7,
	};
	const struct rt_tunnel *t = rt_tunnel(rt, c->tunnel);
	const struct rt_connection *of = t ? rt_connection_of(rt, t) : NULL;
	const enum rt_attachment a = of ? of->attachment : RT_ATTACH_VPN;

	if (c->source == RT_SOURCE_STATIC || c->source == RT_SOURCE_BLACKHOLE)
		return 1;
	if (rt->role == RT_ROLE_TRANSIT)
		return transit[a];
	return a == RT_ATTACH_DIRECT_CONNECT ? 0 : 2;
}

/* The lower, the better. MED is not here: it does not compare every pair. */
static uint64_t key(const struct rt *rt, const struct rt_candidate_slot *c, enum rt_decision_step s)
{
	const struct rt_tunnel *t = rt_tunnel(rt, c->tunnel);

	switch (s) {
	case RT_STEP_LOCAL: return c->source != RT_SOURCE_LOCAL;
	case RT_STEP_SOURCE: return source_rank(rt, c);
	case RT_STEP_LOCAL_PREF: return UINT32_MAX - rt_local_pref(c);
	case RT_STEP_AS_PATH: return c->path ? c->path->facts.as_path_length : 0;
	case RT_STEP_ORIGIN: return c->path ? c->path->facts.origin : 0;
	case RT_STEP_EBGP: return t && c->source == RT_SOURCE_BGP && t->cfg.ibgp;
	case RT_STEP_CONNECTION: return t ? t->connection : RT_NONE;
	case RT_STEP_TUNNEL: return t ? t->order : 0;
	case RT_STEP_PATH_ID: return c->path_id;
	case RT_STEP_MED:
	case RT_STEP_NONE:
	case RT_STEP_END: break;
	}
	return 0;
}

static int med_order(const void *a, const void *b)
{
	const struct rt_candidate_slot *x = ((const struct rt_choice *)a)->c;
	const struct rt_candidate_slot *y = ((const struct rt_choice *)b)->c;
	const uint32_t as_x = x->path ? x->path->facts.first_as : 0;
	const uint32_t as_y = y->path ? y->path->facts.first_as : 0;

	if (as_x != as_y)
		return as_x < as_y ? -1 : 1;
	return rt_med(x) < rt_med(y) ? -1 : rt_med(x) > rt_med(y);
}

/* Puts out ch[i]: it goes behind those that are still in. */
static size_t put_out(struct rt_choice *ch, size_t i, size_t n, enum rt_decision_step s)
{
	const struct rt_choice swap = ch[n - 1];

	ch[n - 1] = ch[i];
	ch[n - 1].out = s;
	if (i != n - 1)
		ch[i] = swap;
	return n - 1;
}

/* RFC 4271 9.1.2.2 c: out goes what another one of the same neighbouring AS is better than. */
static size_t step_med(const struct rt *rt, struct rt_choice *ch, size_t n)
{
	size_t left = n, first = n;

	qsort(ch, n, sizeof(*ch), med_order);
	if (rt->role == RT_ROLE_TRANSIT) {
		uint32_t best = UINT32_MAX;

		for (size_t i = 0; i < n; i++)
			best = rt_med(ch[i].c) < best ? rt_med(ch[i].c) : best;
		for (size_t i = n; i-- > 0;)
			if (rt_med(ch[i].c) > best)
				left = put_out(ch, i, left, RT_STEP_MED);
		return left;
	}
	/* Backwards through runs of one AS, the lowest MED first in each. */
	for (size_t i = n; i-- > 0;) {
		const uint32_t as = ch[i].c->path ? ch[i].c->path->facts.first_as : 0;

		if (first > i)
			for (first = i; first > 0 && ch[first - 1].c->path &&
					ch[first - 1].c->path->facts.first_as == as;)
				first--;
		if (rt_med(ch[i].c) > rt_med(ch[first].c))
			left = put_out(ch, i, left, RT_STEP_MED);
	}
	return left;
}

static size_t step_key(const struct rt *rt, struct rt_choice *ch, size_t n, enum rt_decision_step s)
{
	uint64_t best = UINT64_MAX;
	size_t left = n;

	for (size_t i = 0; i < n; i++) {
		const uint64_t k = key(rt, ch[i].c, s);

		best = k < best ? k : best;
	}
	for (size_t i = n; i-- > 0;)
		if (key(rt, ch[i].c, s) != best)
			left = put_out(ch, i, left, s);
	return left;
}

/*
 * From a step on: the best to the front, those behind it in groups by the step at which they went, the
 * latest first, which are the better ones. Returns the step that decided.
 */
static enum rt_decision_step best_first(const struct rt *rt, struct rt_choice *ch, size_t n,
					enum rt_decision_step from)
{
	enum rt_decision_step decided = RT_STEP_NONE;

	for (enum rt_decision_step s = from; s < RT_STEP_END && n > 1; s++) {
		const size_t left = s == RT_STEP_MED ? step_med(rt, ch, n) : step_key(rt, ch, n, s);

		if (left < n)
			decided = s;
		n = left;
	}
	return decided;
}

static bool choices_room(struct rt *rt, size_t n)
{
	struct rt_choice *grown;

	if (n <= rt->choices_size)
		return true;
	grown = realloc(rt->choices, 2 * n * sizeof(*grown));
	if (!grown)
		return false;
	rt->choices = grown;
	rt->choices_size = 2 * n;
	return true;
}

/*
 * How many of the first share the traffic: paths by BGP alone, that nothing but our own order of
 * tunnels tells apart, and of one neighbouring AS. Brings them to the front.
 */
static size_t equals(const struct rt *rt, struct rt_choice *ch, size_t n)
{
	size_t equal = 1;

	if (!rt->ecmp || rt->role != RT_ROLE_TRANSIT || !rt_learnt(ch[0].c))
		return 1;
	for (size_t i = 1; i < n && i < RT_GROUP_TUNNELS; i++) {
		const struct rt_choice it = ch[i];

		if (it.step < RT_STEP_CONNECTION ||
		    it.c->path->facts.first_as != ch[0].c->path->facts.first_as)
			continue;
		memmove(ch + equal + 1, ch + equal, (i - equal) * sizeof(*ch));
		ch[equal++] = it;
	}
	return equal;
}

size_t rt_order(struct rt *rt, struct rt_entry *e, size_t *n_ecmp, enum rt_decision_step *decided)
{
	const bool covered = rt_covered(rt, &e->prefix);
	struct rt_candidate_slot *c;
	struct rt_choice *ch;
	size_t n = 0;

	*n_ecmp = 1;
	*decided = RT_STEP_NONE;
	for (c = rt_candidate_first(rt, e); c; c = rt_candidate_next(rt, c)) {
		if (!rt_candidate_alive(rt, e, c) || (covered && rt_learnt(c)))
			continue;
		if (!choices_room(rt, n + 1))
			break;
		rt->choices[n++] = (struct rt_choice){.c = c};
	}
	ch = rt->choices;
	if (n < 2)
		return n;
	*decided = best_first(rt, ch, n, RT_STEP_NONE + 1);
	for (size_t i = 1; i < n; i++)
		ch[i].step = ch[i].out;
	/* Beyond what a group holds the order is of no use. */
	for (size_t i = 1; i + 1 < n && i < RT_GROUP_TUNNELS + 1; i++) {
		size_t m = 1;

		while (i + m < n && ch[i + m].step == ch[i].step && ch[i + m].out == ch[i].out)
			m++;
		if (m > 1)
			(void)best_first(rt, ch + i, m, ch[i].out);
	}
	*n_ecmp = equals(rt, ch, n);
	return n;
}

/* ------------------------------------------------------------ consequences */

/* The nexthop group for the candidates in order. */
static uint32_t group_for(struct rt *rt, uint16_t table, const struct rt_choice *ch, size_t n,
			  size_t n_ecmp)
{
	uint32_t members[RT_GROUP_TUNNELS];
	size_t n_members = 0, sharing = 0;

	if (n == 0)
		return RT_GROUP_NONE;
	/* In table 0 the dataplane has them by itself, while all ports are there. */
	if (ch[0].c->source == RT_SOURCE_LOCAL)
		return table || rt->ports_apart ? RT_GROUP_LOCAL : RT_GROUP_NONE;
	if (ch[0].c->source == RT_SOURCE_BLACKHOLE)
		return RT_GROUP_BLACKHOLE;
	for (size_t i = 0; i < n && n_members < RT_GROUP_TUNNELS; i++) {
		const struct rt_candidate_slot *c = ch[i].c;
		bool there = false;

		if (c->source == RT_SOURCE_BLACKHOLE)
			break; /* nothing behind it is ever reached */
		for (size_t j = 0; j < n_members && !there; j++)
			there = (members[j] & RT_MEMBER_TUNNEL) == c->tunnel;
		if (!there)
			members[n_members++] =
				c->tunnel | (c->source == RT_SOURCE_BGP     ? RT_MEMBER_BGP
					     : c->source == RT_SOURCE_LINUX ? RT_MEMBER_LINUX
									    : 0);
		if (i + 1 == n_ecmp)
			sharing = n_members;
	}
	return rt_group_intern(rt, members, n_members, sharing);
}

void rt_decide(struct rt *rt, uint32_t number, bool changed)
{
	struct rt_entry *e = rt_entry(rt, number);
	const struct rt_candidate_slot was = e->first;
	const uint32_t before = e->group;
	enum rt_decision_step decided;
	struct rt_candidate_slot *c;
	size_t n, n_ecmp;

	/* What was purged goes. */
	for (c = rt_candidate_first(rt, e); c;) {
		if (rt_candidate_alive(rt, e, c)) {
			c = rt_candidate_next(rt, c);
		} else {
			rt_candidate_del(rt, e, c);
			c = rt_candidate_first(rt, e);
		}
	}
	n = rt_order(rt, e, &n_ecmp, &decided);
	e->group = group_for(rt, e->table, rt->choices, n, n_ecmp);
	if (n)
		rt_candidate_lead(rt, e, rt->choices[0].c);
	if (e->group != before) {
		rt_group_want(rt, e->group, true);
		rt_group_want(rt, before, false);
		rt_program_queue(rt, number);
	}
	rt_aggregate_count(rt, e, e->group < RT_GROUP_LOCAL);
	changed = changed || (e->group == RT_GROUP_NONE) != (before == RT_GROUP_NONE) ||
		  e->first.path != was.path || e->first.tunnel != was.tunnel ||
		  e->first.source != was.source;
	if (changed)
		rt_export_entry(rt, e);
	rt_rib_release(rt, number);
}
