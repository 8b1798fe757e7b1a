/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bgp: what neighbours announce, as candidates.
 *
 * Losing a neighbour's routes takes the same time however many there are: the neighbour's generation
 * goes on, and candidates of older ones do not count any more. A sweep through all entries, a bounded
 * part at each step, takes them away and decides anew. One sweep serves all neighbours that were lost
 * meanwhile.
 */
#include "routing/rt_int.h"

#define BUMPS_MAX 60000u /* generations that may be told apart before a sweep has to end */
#define FETCH     16u    /* prefixes whose memory is asked for ahead */

static struct rt_tunnel *neighbor(const struct rt *rt, uint32_t tunnel)
{
	struct rt_tunnel *t = rt_tunnel(rt, tunnel);

	return t && !t->leaving ? t : NULL;
}

static struct rt_candidate_slot *find(const struct rt *rt, struct rt_entry *e, uint32_t tunnel,
				      uint32_t path_id, size_t *n_of_tunnel)
{
	struct rt_candidate_slot *c, *found = NULL;

	*n_of_tunnel = 0;
	for (c = rt_candidate_first(rt, e); c; c = rt_candidate_next(rt, c)) {
		if (!rt_learnt(c) || c->tunnel != tunnel)
			continue;
		++*n_of_tunnel;
		if (c->path_id == path_id)
			found = c;
	}
	return found;
}

/* Not counted any more, and gone with the next decision. */
static void discount(struct rt *rt, struct rt_family *f, struct rt_entry *e,
		     const struct rt_candidate_slot *c)
{
	if (!rt_candidate_alive(rt, e, c))
		return;
	if (rt_candidate_stale(rt, e, c))
		f->n_stale--;
	else
		f->n_fresh--;
}

/* In one table. Returns true if it was not there; *refused: it could not be kept. */
static bool announce_one(struct rt *rt, struct rt_tunnel *t, uint16_t table,
			 const struct path_nlri *nlri, struct path *path, bool count, bool *refused)
{
	struct rt_family *f = &t->family[nlri->prefix.addr.family == IP_V6];
	const uint32_t number = rt_rib_make(rt, table, &nlri->prefix);
	struct rt_candidate_slot *c;
	struct rt_entry *e;
	bool fresh = true;
	size_t n;

	*refused = number == RT_NONE;
	if (*refused)
		return false;
	e = rt_entry(rt, number);
	c = find(rt, e, t->cfg.tunnel, nlri->path_id, &n);
	if (c) {
		struct path *old = c->path;

		fresh = !rt_candidate_alive(rt, e, c);
		if (count)
			discount(rt, f, e, c);
		c->path = path_ref(path);
		c->generation = f->generation;
		path_unref(rt->paths, old);
	} else {
		const struct rt_candidate_slot what = {
			.path = path,
			.tunnel = t->cfg.tunnel,
			.path_id = nlri->path_id,
			.generation = f->generation,
			.source = t->cfg.by_linux ? RT_SOURCE_LINUX : RT_SOURCE_BGP,
		};

		c = n < RT_PATHS_MAX ? rt_candidate_add(rt, e, &what) : NULL;
		*refused = !c;
		if (!c) {
			rt_rib_release(rt, number);
			return false;
		}
		path_ref(path);
	}
	if (count)
		f->n_fresh++;
	rt_decide(rt, number, c == &e->first);
	return fresh;
}

static bool withdraw_one(struct rt *rt, struct rt_tunnel *t, uint16_t table,
			 const struct path_nlri *nlri, bool count)
{
	const uint32_t number = rt_rib_find(rt, table, &nlri->prefix);
	struct rt_candidate_slot *c;
	struct rt_entry *e;
	bool there;
	size_t n;

	if (number == RT_NONE)
		return false;
	e = rt_entry(rt, number);
	c = find(rt, e, t->cfg.tunnel, nlri->path_id, &n);
	if (!c)
		return false;
	there = rt_candidate_alive(rt, e, c);
	if (count)
		discount(rt, &t->family[nlri->prefix.addr.family == IP_V6], e, c);
	rt_candidate_del(rt, e, c);
	rt_decide(rt, number, true);
	return there;
}

/* A prefix is two lines that are in no cache, when there are many: those of several come together. */
static void fetch(const struct rt *rt, uint16_t table, const struct path_nlri *nlri, size_t n)
{
	uint32_t hash[FETCH];

	n = n < FETCH ? n : FETCH;
	for (size_t i = 0; i < n; i++) {
		hash[i] = rt_index_hash(rt, table, &nlri[i].prefix);
		rt_index_fetch(rt, hash[i]);
	}
	for (size_t i = 0; i < n; i++)
		rt_index_fetch_entry(rt, hash[i]);
}

/* What the neighbour says, by our names; `room` holds it if need be. NULL: such a name is another network's. */
static const struct path_nlri *to_here(const struct rt_tunnel *t, const struct path_nlri *nlri,
				       struct path_nlri *room)
{
	if (!t->cfg.n_translate)
		return nlri;
	*room = *nlri;
	return translation_to_here(t->cfg.translate, t->cfg.n_translate, TRANSLATION_THEIRS,
				   &nlri->prefix, &room->prefix) == TRANSLATION_TAKEN
		       ? NULL
		       : room;
}

size_t rt_withdraw(struct rt *rt, uint32_t tunnel, const struct path_nlri *nlri, size_t n)
{
	struct rt_tunnel *t = neighbor(rt, tunnel);
	const struct rt_connection *c = t ? rt_connection_of(rt, t) : NULL;
	size_t there = 0;

	for (size_t k = 0; c && k < c->n_propagations; k++) {
		for (size_t i = 0; i < n; i++) {
			struct path_nlri room;
			const struct path_nlri *here = to_here(t, &nlri[i], &room);

			if (i % FETCH == 0 && n > 1)
				fetch(rt, c->propagations[k], &nlri[i], n - i);
			there += here && withdraw_one(rt, t, c->propagations[k], here, k == 0) &&
				 k == 0;
		}
	}
	return there;
}

size_t rt_announce(struct rt *rt, uint32_t tunnel, const struct path_nlri *nlri, size_t n,
		   struct path *path)
{
	struct rt_tunnel *t = neighbor(rt, tunnel);
	const struct rt_connection *c = t ? rt_connection_of(rt, t) : NULL;
	size_t fresh = 0;

	for (size_t i = 0; c && i < n; i++) {
		struct path_nlri room;
		const struct path_nlri *here;
		bool refused = false;

		if (i % FETCH == 0 && n > 1 && c->n_propagations)
			fetch(rt, c->propagations[0], &nlri[i], n - i);
		if (!rt_filter_permits(c->in, c->n_in, &nlri[i].prefix)) {
			/* What it announced before it announces no more. */
			(void)rt_withdraw(rt, tunnel, &nlri[i], 1);
			t->n_refused++;
			continue;
		}
		here = to_here(t, &nlri[i], &room);
		refused = !here;
		for (size_t k = 0; k < c->n_propagations && !refused; k++)
			fresh += announce_one(rt, t, c->propagations[k], here, path, k == 0,
					      &refused) &&
				 k == 0;
		t->n_refused += refused;
	}
	return fresh;
}

/* ------------------------------------------------------------- generations */

void rt_sweep_start(struct rt *rt)
{
	rt->sweep_left = rt->entries.n_used;
}

static void swept(struct rt *rt)
{
	for (uint32_t i = 0; i < rt->n_tunnels; i++) {
		struct rt_tunnel *t = rt->tunnels[i];

		if (!t)
			continue;
		t->unswept = false;
		t->family[0].bumps = t->family[1].bumps = 0;
		if (t->hold_bgp) {
			t->hold_bgp = false;
			rt_groups_touch(rt, i);
		}
	}
}

void rt_sweep(struct rt *rt, size_t max)
{
	if (!rt->sweep_left)
		return;
	for (; rt->sweep_left && max; rt->sweep_left--, max--) {
		if (rt->sweep_next >= rt->entries.n_used)
			rt->sweep_next = 0;
		if (rt_entry(rt, rt->sweep_next)->flags & RT_LIVE)
			rt_decide(rt, rt->sweep_next, false);
		rt->sweep_next++;
	}
	if (!rt->sweep_left)
		swept(rt);
}

static void bump(struct rt *rt, struct rt_family *f)
{
	if (++f->bumps >= BUMPS_MAX)
		rt_sweep(rt, SIZE_MAX);
	f->generation++;
	rt_sweep_start(rt);
}

void rt_stale(struct rt *rt, uint32_t tunnel, bool v6)
{
	struct rt_tunnel *t = neighbor(rt, tunnel);
	struct rt_family *f;

	if (!t)
		return;
	/* RFC 4724 4.2: what was stale already goes. */
	f = &t->family[v6];
	bump(rt, f);
	f->kept = true;
	f->n_stale = f->n_fresh;
	f->n_fresh = 0;
	rt_groups_touch(rt, tunnel);
}

static void purge(struct rt *rt, struct rt_tunnel *t, bool v6, bool only_stale)
{
	struct rt_family *f = &t->family[v6];
	const bool was_kept = f->kept;

	if (only_stale && !was_kept)
		return;
	f->kept = false;
	f->n_stale = 0;
	if (only_stale) {
		rt_sweep_start(rt);
	} else if (f->n_fresh || was_kept) {
		bump(rt, f);
		f->n_fresh = 0;
		t->unswept = true;
	}
	if (was_kept)
		rt_groups_touch(rt, t->cfg.tunnel);
}

size_t rt_purge(struct rt *rt, uint32_t tunnel, bool v6, bool only_stale)
{
	struct rt_tunnel *t = neighbor(rt, tunnel);

	if (!t)
		return 0;
	purge(rt, t, v6, only_stale);
	return t->family[v6].n_fresh;
}

void rt_bgp_drop(struct rt *rt, struct rt_tunnel *t)
{
	purge(rt, t, false, false);
	purge(rt, t, true, false);
}

void rt_end_of_rib(struct rt *rt, uint32_t tunnel, bool v6)
{
	const struct rt_tunnel *t = neighbor(rt, tunnel);

	if (t)
		trace(rt->tracer, LOG_LEVEL_DEBUG, "%s routes: all of IPv%d announced, %zu kept",
		      t->cfg.name, v6 ? 6 : 4, t->family[v6].n_fresh);
}

void rt_session_up(struct rt *rt, uint32_t tunnel)
{
	struct rt_tunnel *t = neighbor(rt, tunnel);

	if (!t)
		return;
	t->bgp_up = true;
	/* Prefixes that still point here by what was lost must not be taken for announced. */
	t->hold_bgp = t->unswept && rt->sweep_left;
	rt_groups_touch(rt, tunnel);
	if (!t->session)
		rt_export_feed(rt, t, true);
}
