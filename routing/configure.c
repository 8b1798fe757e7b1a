/* SPDX-License-Identifier: Apache-2.0 */
/*
 * configure: the configuration by difference.
 *
 * Everything that may fail for lack of memory is made first; then what stands is changed. A tunnel that
 * is not configured any more stays until no group holds it, so that what it carries moves before it goes.
 */
#include <stdlib.h>
#include <string.h>
#include "routing/rt_int.h"

/* What rt_configure() makes before it changes anything. */
struct fresh {
	struct rt_connection *connections;
	size_t n_connections;
	struct rt_static *statics;
	size_t n_statics;
	struct ip_prefix *locals;
	struct rt_aggregate *aggregates;
};

bool rt_covered(const struct rt *rt, const struct ip_prefix *p)
{
	for (size_t i = 0; i < rt->n_locals; i++)
		if (rt->locals[i].addr.family == p->addr.family && p->len >= rt->locals[i].len &&
		    ip_prefix_contains(&rt->locals[i], &p->addr))
			return true;
	return false;
}

static void connection_fini(struct rt_connection *c)
{
	free(c->propagations);
	free(c->in);
	free(c->out);
	free(c->advertise);
}

static void connections_free(struct rt_connection *c, size_t n)
{
	for (size_t i = 0; i < n; i++)
		connection_fini(&c[i]);
	free(c);
}

/* A copy; an empty array becomes NULL. False: out of memory. */
static bool copy(void *to, const void *from, size_t n, size_t size)
{
	void *made = n ? malloc(n * size) : NULL;

	if (n && !made)
		return false;
	if (n)
		memcpy(made, from, n * size);
	memcpy(to, &made, sizeof(made));
	return true;
}

static int prefix_order(const void *a, const void *b)
{
	return rt_prefix_cmp(a, b);
}

static const struct rt_connection *connection_named(const struct rt_connection *c, size_t n,
						    const char *name)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(c[i].name, name) == 0)
			return &c[i];
	return NULL;
}

static bool connection_build(const struct rt_connection_cfg *cfg, struct rt_connection *c)
{
	const size_t n_tables = cfg->no_propagation ? 0 : cfg->n_propagations;
	const bool own_table = !cfg->no_propagation && !cfg->n_propagations;

	memcpy(c->name, cfg->name, sizeof(c->name));
	c->revert_hold = cfg->revert_hold;
	c->attachment = cfg->attachment;
	c->association = cfg->association;
	c->cloudhub = cfg->cloudhub;
	c->max_advertised = cfg->max_advertised;
	c->active = RT_NONE;
	c->group = RT_GROUP_NONE;
	c->n_tunnels = cfg->n_tunnels;
	for (size_t i = 0; i < cfg->n_tunnels; i++)
		c->tunnels[i] = cfg->tunnels[i].tunnel;
	c->n_propagations = own_table ? 1 : n_tables;
	c->n_in = cfg->n_in;
	c->n_out = cfg->n_out;
	c->n_advertise = cfg->n_advertise;
	if (!copy(&c->propagations, own_table ? &cfg->association : cfg->propagations,
		  c->n_propagations, sizeof(*c->propagations)) ||
	    !copy(&c->in, cfg->in, c->n_in, sizeof(*c->in)) ||
	    !copy(&c->out, cfg->out, c->n_out, sizeof(*c->out)) ||
	    !copy(&c->advertise, cfg->advertise, c->n_advertise, sizeof(*c->advertise)))
		return false;
	for (size_t i = 0; i < c->n_advertise; i++)
		c->advertise[i] = ip_prefix_network(&c->advertise[i]);
	if (c->n_advertise)
		qsort(c->advertise, c->n_advertise, sizeof(*c->advertise), prefix_order);
	return true;
}

/* ------------------------------------------------------------------ statics */

static int static_order(const void *a, const void *b)
{
	const struct rt_static *x = a, *y = b;
	const int c = rt_prefix_cmp(&x->prefix, &y->prefix);

	if (c)
		return c;
	if (x->table != y->table)
		return x->table < y->table ? -1 : 1;
	if (x->source != y->source)
		return x->source < y->source ? -1 : 1;
	return x->tunnel < y->tunnel ? -1 : x->tunnel > y->tunnel;
}

static size_t statics_count(const struct rt_cfg *cfg, const struct fresh *f)
{
	size_t n = cfg->n_statics * RT_MAX_TUNNELS + cfg->n_local * RT_MAX_TABLES;

	for (size_t i = 0; i < cfg->n_connections; i++)
		n += cfg->connections[i].n_prefixes * cfg->connections[i].n_tunnels *
		     (f->connections[i].n_propagations ? f->connections[i].n_propagations : 1);
	return n;
}

/* What the peer says of its side, by our names. False: here that name is another network's. */
static bool static_name(const struct rt_connection_cfg *cfg, const struct ip_prefix *there,
			struct ip_prefix *here)
{
	const struct rt_tunnel_cfg *t = &cfg->tunnels[0];

	return translation_to_here(t->translate, t->n_translate, TRANSLATION_THEIRS, there, here) !=
	       TRANSLATION_TAKEN;
}

static void statics_of(struct fresh *f, const struct rt_connection *c, uint16_t table,
		       const struct ip_prefix *prefix)
{
	for (size_t i = 0; i < c->n_tunnels; i++)
		f->statics[f->n_statics++] = (struct rt_static){
			.prefix = ip_prefix_network(prefix),
			.table = table,
			.source = RT_SOURCE_STATIC,
			.tunnel = c->tunnels[i],
		};
}

/* Tables that anybody looks at have our own networks. */
static void locals_build(const struct rt_cfg *cfg, struct fresh *f)
{
	bool used[RT_MAX_TABLES] = {[0] = true};

	for (size_t i = 0; i < f->n_connections; i++) {
		used[f->connections[i].association % RT_MAX_TABLES] = true;
		for (size_t k = 0; k < f->connections[i].n_propagations; k++)
			used[f->connections[i].propagations[k] % RT_MAX_TABLES] = true;
	}
	for (size_t i = 0; i < cfg->n_local; i++) {
		f->locals[i] = ip_prefix_network(&cfg->local[i]);
		for (uint16_t table = 0; table < RT_MAX_TABLES; table++)
			if (used[table])
				f->statics[f->n_statics++] = (struct rt_static){
					.prefix = f->locals[i],
					.table = table,
					.source = RT_SOURCE_LOCAL,
					.tunnel = RT_TUNNEL_NONE,
				};
	}
}

static bool statics_build(const struct rt_cfg *cfg, struct fresh *f)
{
	size_t kept = 0;

	f->statics = calloc(statics_count(cfg, f) + 1, sizeof(*f->statics));
	f->locals = calloc(cfg->n_local + 1, sizeof(*f->locals));
	if (!f->statics || !f->locals)
		return false;
	for (size_t i = 0; i < cfg->n_connections; i++) {
		const struct rt_connection_cfg *from = &cfg->connections[i];
		const struct rt_connection *c = &f->connections[i];

		for (size_t j = 0; j < from->n_prefixes; j++) {
			struct ip_prefix here;

			if (!static_name(from, &from->prefixes[j], &here))
				continue;
			for (size_t k = 0; k < c->n_propagations; k++)
				statics_of(f, c, c->propagations[k], &here);
		}
	}
	for (size_t i = 0; i < cfg->n_statics; i++) {
		const struct rt_static_cfg *s = &cfg->statics[i];
		const struct rt_connection *c =
			connection_named(f->connections, f->n_connections, s->connection);

		if (c)
			statics_of(f, c, s->table, &s->prefix);
		else if (!s->connection[0])
			f->statics[f->n_statics++] = (struct rt_static){
				.prefix = ip_prefix_network(&s->prefix),
				.table = s->table,
				.source = RT_SOURCE_BLACKHOLE,
				.tunnel = RT_TUNNEL_NONE,
			};
	}
	locals_build(cfg, f);
	if (f->n_statics)
		qsort(f->statics, f->n_statics, sizeof(*f->statics), static_order);
	for (size_t i = 0; i < f->n_statics; i++)
		if (kept == 0 || static_order(&f->statics[kept - 1], &f->statics[i]) != 0)
			f->statics[kept++] = f->statics[i];
	f->n_statics = kept;
	return true;
}

static bool static_add(struct rt *rt, const struct rt_static *s, uint32_t *number)
{
	const struct rt_candidate_slot what = {.source = s->source, .tunnel = s->tunnel};

	*number = rt_rib_make(rt, s->table, &s->prefix);
	return *number != RT_NONE && rt_candidate_add(rt, rt_entry(rt, *number), &what);
}

static void static_del(struct rt *rt, const struct rt_static *s)
{
	const uint32_t number = rt_rib_find(rt, s->table, &s->prefix);
	struct rt_candidate_slot *c;

	if (number == RT_NONE)
		return;
	for (c = rt_candidate_first(rt, rt_entry(rt, number)); c; c = rt_candidate_next(rt, c)) {
		if (c->source == s->source && c->tunnel == s->tunnel) {
			rt_candidate_del(rt, rt_entry(rt, number), c);
			break;
		}
	}
}

static void redecide(struct rt *rt, const struct rt_static *s)
{
	const uint32_t number = rt_rib_find(rt, s->table, &s->prefix);

	if (number != RT_NONE)
		rt_decide(rt, number, true);
}

/* Both are sorted. A prefix is decided once its candidates of both are right: make before break. */
static bool statics_diff(struct rt *rt, const struct rt_static *old, size_t n_old)
{
	size_t i = 0, j = 0;
	bool ok = true;
	uint32_t number;

	while (i < n_old || j < rt->n_statics) {
		const int c = i == n_old           ? 1
			      : j == rt->n_statics ? -1
						   : static_order(&old[i], &rt->statics[j]);

		if (c < 0)
			static_del(rt, &old[i]);
		else if (c > 0)
			ok = static_add(rt, &rt->statics[j], &number) && ok;
		i += c <= 0;
		j += c >= 0;
	}
	for (j = 0; j < rt->n_statics; j++)
		redecide(rt, &rt->statics[j]);
	for (i = 0; i < n_old; i++)
		redecide(rt, &old[i]);
	return ok;
}

/* ------------------------------------------------------------------ tunnels */

static bool tunnel_cfg_equal(const struct rt_tunnel_cfg *a, const struct rt_tunnel_cfg *b)
{
	return strcmp(a->name, b->name) == 0 && a->tunnel == b->tunnel &&
	       strcmp(a->ifname, b->ifname) == 0 && ip_prefix_equal(&a->inside[0], &b->inside[0]) &&
	       ip_prefix_equal(&a->inside[1], &b->inside[1]) && a->mtu == b->mtu &&
	       a->table == b->table &&
	       translation_equal(a->translate, a->n_translate, b->translate, b->n_translate);
}

/* Room for tunnels that are new; they count for nothing until they are placed. */
static bool tunnels_make(struct rt *rt, const struct rt_cfg *cfg)
{
	uint32_t n = rt->n_tunnels;

	for (size_t i = 0; i < cfg->n_connections; i++) {
		for (size_t j = 0; j < cfg->connections[i].n_tunnels; j++) {
			const uint32_t tunnel = cfg->connections[i].tunnels[j].tunnel;

			if (tunnel >= RT_MAX_TUNNEL)
				return false;
			n = tunnel + 1 > n ? tunnel + 1 : n;
		}
	}
	if (n > rt->n_tunnels) {
		struct rt_tunnel **grown = realloc(rt->tunnels, n * sizeof(struct rt_tunnel *));
		uint32_t *listeners;

		if (!grown)
			return false;
		rt->tunnels = grown;
		listeners = realloc(rt->listeners, n * sizeof(*listeners));
		if (!listeners)
			return false;
		rt->listeners = listeners;
		memset(grown + rt->n_tunnels, 0, (n - rt->n_tunnels) * sizeof(*grown));
		rt->n_tunnels = n;
	}
	for (size_t i = 0; i < cfg->n_connections; i++) {
		for (size_t j = 0; j < cfg->connections[i].n_tunnels; j++) {
			struct rt_tunnel **t = &rt->tunnels[cfg->connections[i].tunnels[j].tunnel];

			if (*t)
				continue;
			*t = calloc(1, sizeof(**t));
			if (!*t)
				return false;
			(*t)->connection = RT_NONE;
			(*t)->leaving = true;
		}
	}
	return true;
}

static void tunnel_place(struct rt *rt, const struct rt_tunnel_cfg *cfg, uint32_t connection,
			 uint8_t order)
{
	struct rt_tunnel *t = rt->tunnels[cfg->tunnel];

	if (strcmp(t->cfg.name, cfg->name) != 0) {
		/* The number went to another tunnel. */
		rt_bgp_drop(rt, t);
		rt_export_down(rt, t);
		t->ike_up = t->bfd_down = t->probe_down = t->bgp_up = t->draining = t->up = false;
		t->suspect = false;
		t->dp.request = 0;
	} else if (t->cfg.by_linux != cfg->by_linux) {
		rt_bgp_drop(rt, t);
	} else if (!tunnel_cfg_equal(&t->cfg, cfg)) {
		t->dp.request = 0;
		if (!translation_equal(t->cfg.translate, t->cfg.n_translate, cfg->translate,
				       cfg->n_translate)) {
			/* What it announced, and what it heard, meant something else. */
			rt_bgp_drop(rt, t);
			t->renamed = t->session || t->bgp_up;
		}
	}
	t->cfg = *cfg;
	t->connection = connection;
	t->order = order;
	t->leaving = false;
}

static void tunnels_place(struct rt *rt, const struct rt_cfg *cfg)
{
	for (uint32_t i = 0; i < rt->n_tunnels; i++) {
		if (rt->tunnels[i]) {
			rt->tunnels[i]->connection = RT_NONE;
			rt->tunnels[i]->leaving = true;
		}
	}
	for (size_t i = 0; i < cfg->n_connections; i++)
		for (size_t j = 0; j < cfg->connections[i].n_tunnels; j++)
			tunnel_place(rt, &cfg->connections[i].tunnels[j], (uint32_t)i, (uint8_t)j);
	for (uint32_t i = 0; i < rt->n_tunnels; i++) {
		struct rt_tunnel *t = rt->tunnels[i];

		if (!t || !t->leaving)
			continue;
		rt_bgp_drop(rt, t);
		rt_export_down(rt, t);
		t->bgp_up = false;
		rt->leaving = true;
	}
}

/* ------------------------------------------------------------------ changes */

static bool filters_equal(const struct rt_filter *a, size_t n_a, const struct rt_filter *b,
			  size_t n_b)
{
	if (n_a != n_b)
		return false;
	for (size_t i = 0; i < n_a; i++)
		if (!ip_prefix_equal(&a[i].prefix, &b[i].prefix) || a[i].min_len != b[i].min_len ||
		    a[i].max_len != b[i].max_len || a[i].permit != b[i].permit)
			return false;
	return true;
}

/* Routes that were not kept are needed now; what is kept too many the sweep finds. */
static bool must_refresh(const struct rt_connection *was, const struct rt_connection *c)
{
	if (!filters_equal(was->in, was->n_in, c->in, c->n_in))
		return true;
	return was->n_propagations != c->n_propagations ||
	       (c->n_propagations && memcmp(was->propagations, c->propagations,
					    c->n_propagations * sizeof(*c->propagations)) != 0);
}

static bool export_changed(const struct rt_connection *was, const struct rt_connection *c)
{
	if (was->association != c->association || was->cloudhub != c->cloudhub ||
	    was->max_advertised != c->max_advertised || was->n_advertise != c->n_advertise ||
	    !filters_equal(was->out, was->n_out, c->out, c->n_out))
		return true;
	for (size_t i = 0; i < c->n_advertise; i++)
		if (!ip_prefix_equal(&was->advertise[i], &c->advertise[i]))
			return true;
	return false;
}

static void connection_changed(struct rt *rt, const struct rt_connection *was,
			       const struct rt_connection *c, bool all, struct rt_out *out)
{
	for (size_t i = 0; i < c->n_tunnels; i++) {
		struct rt_tunnel *t = rt_tunnel(rt, c->tunnels[i]);

		if (t->renamed)
			continue;
		if (t->bgp_up && must_refresh(was, c))
			rt_plan_refresh(c->tunnels[i], out);
		if (!t->session || (!all && !export_changed(was, c)))
			continue;
		/* Counted anew: what was told is told or taken back by the walk. */
		for (size_t j = 0; j < was->n_advertise; j++)
			rt_export_prefix(rt, t, &was->advertise[j]);
		rt_export_feed(rt, t, false);
	}
}

static void reset_renamed(struct rt *rt, struct rt_out *out)
{
	for (uint32_t i = 0; i < rt->n_tunnels; i++) {
		struct rt_tunnel *t = rt->tunnels[i];

		if (!t || !t->renamed)
			continue;
		t->renamed = false;
		if (!t->leaving)
			rt_plan_reset(i, out);
	}
}

static bool aggregates_equal(const struct rt *rt, const struct rt_cfg *cfg)
{
	if (rt->n_aggregates != cfg->n_aggregates)
		return false;
	for (size_t i = 0; i < cfg->n_aggregates; i++)
		if (!ip_prefix_equal(&rt->aggregates[i].cfg.prefix, &cfg->aggregates[i].prefix) ||
		    rt->aggregates[i].cfg.table != cfg->aggregates[i].table ||
		    rt->aggregates[i].cfg.summary_only != cfg->aggregates[i].summary_only)
			return false;
	return true;
}

static bool build(struct rt *rt, const struct rt_cfg *cfg, struct fresh *f)
{
	f->connections = calloc(cfg->n_connections + 1, sizeof(*f->connections));
	f->aggregates = calloc(cfg->n_aggregates + 1, sizeof(*f->aggregates));
	if (!f->connections || !f->aggregates)
		return false;
	f->n_connections = cfg->n_connections;
	for (size_t i = 0; i < cfg->n_connections; i++)
		if (!connection_build(&cfg->connections[i], &f->connections[i]))
			return false;
	for (size_t i = 0; i < cfg->n_aggregates; i++) {
		f->aggregates[i].cfg = cfg->aggregates[i];
		f->aggregates[i].cfg.prefix = ip_prefix_network(&cfg->aggregates[i].prefix);
	}
	return statics_build(cfg, f) && tunnels_make(rt, cfg);
}

static struct path *attributes(struct rt *rt, const struct rt_cfg *cfg, bool aggregate)
{
	struct path_facts facts = {.origin = PATH_ORIGIN_IGP};
	static const uint8_t none[1];

	if (aggregate) {
		/* RFC 4271 5.1.6, 5.1.7. */
		facts.flags = PATH_ATOMIC_AGGREGATE;
		if (cfg->local_as) {
			facts.flags |= PATH_HAS_AGGREGATOR;
			facts.aggregator_as = cfg->local_as;
			facts.aggregator_id = cfg->id;
		}
	}
	return path_intern(rt->paths, &facts, none);
}

static void fresh_fini(struct fresh *f)
{
	connections_free(f->connections, f->n_connections);
	free(f->statics);
	free(f->locals);
	free(f->aggregates);
}

void rt_configure_fini(struct rt *rt)
{
	connections_free(rt->connections, rt->n_connections);
	free(rt->statics);
	free(rt->locals);
	free(rt->aggregates);
}

bool rt_configure(struct rt *rt, const struct rt_cfg *cfg, struct mono now, struct rt_out *out)
{
	const bool aggregates_changed = !aggregates_equal(rt, cfg);
	struct path *own = attributes(rt, cfg, false), *aggregate = attributes(rt, cfg, true);
	struct fresh f = {.n_connections = 0};
	struct rt_static *old_statics;
	struct rt_connection *old;
	size_t n_old, n_old_statics;
	bool ok = true;

	if (!own || !aggregate || !build(rt, cfg, &f)) {
		path_unref(rt->paths, own);
		path_unref(rt->paths, aggregate);
		fresh_fini(&f);
		return false;
	}
	path_unref(rt->paths, rt->own_path);
	path_unref(rt->paths, rt->aggregate_path);
	rt->own_path = own;
	rt->aggregate_path = aggregate;
	rt->role = cfg->role;
	rt->ecmp = cfg->ecmp;
	rt->ports_apart = cfg->ports_apart;
	rt->max_groups = cfg->max_groups ? cfg->max_groups : RT_GROUPS_MAX;
	free(rt->locals);
	rt->locals = f.locals;
	rt->n_locals = cfg->n_local;
	free(rt->aggregates);
	rt->aggregates = f.aggregates;
	rt->n_aggregates = cfg->n_aggregates;
	old = rt->connections;
	n_old = rt->n_connections;
	rt->connections = f.connections;
	rt->n_connections = f.n_connections;
	old_statics = rt->statics;
	n_old_statics = rt->n_statics;
	rt->statics = f.statics;
	rt->n_statics = f.n_statics;
	rt->why = "configuration";

	/* Make: tunnels, then the groups that name them; the routes that name those are pulled. */
	tunnels_place(rt, cfg);
	rt_export_listeners(rt);
	for (uint32_t i = 0; i < rt->n_tunnels; i++)
		if (rt->tunnels[i] && !rt->tunnels[i]->leaving && rt->tunnels[i]->dp.request == 0)
			rt_plan_tunnel(rt, rt->tunnels[i], out);
	for (size_t i = 0; i < rt->n_connections; i++) {
		struct rt_connection *c = &rt->connections[i];
		const struct rt_connection *was = connection_named(old, n_old, c->name);

		c->active = was ? was->active : RT_NONE;
		c->group = rt_group_intern(rt, c->tunnels, c->n_tunnels, 1);
		rt_group_want(rt, c->group, true);
	}
	ok = statics_diff(rt, old_statics, n_old_statics);
	if (aggregates_changed)
		rt_aggregates_recount(rt);
	for (size_t i = 0; i < rt->n_connections; i++) {
		const struct rt_connection *was =
			connection_named(old, n_old, rt->connections[i].name);

		if (was)
			connection_changed(rt, was, &rt->connections[i], aggregates_changed, out);
	}
	reset_renamed(rt, out);
	/* Orders may have changed everywhere; what was propagated into tables may not be any more. */
	rt_sweep_start(rt);
	rt_sweep(rt, RT_WORK);
	/* Break. */
	for (size_t i = 0; i < n_old; i++)
		rt_group_want(rt, old[i].group, false);
	connections_free(old, n_old);
	free(old_statics);
	rt_work(rt, now, out);
	return ok && !out->overflow;
}
