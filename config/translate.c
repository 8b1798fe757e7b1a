/* SPDX-License-Identifier: Apache-2.0 */
/*
 * translate: prefixes of a connection that go by other names in its tunnels. Selectors, static routes and
 * what the peer announces are in the tunnel's names, the peer's; all else is in ours.
 */
#include "config/check.h"

#include <stdlib.h>
#include "twinbore/dp_msg.h"

/* ------------------------------------------------------------------ reading */

static bool read_rule(struct config_parse *p, const struct config_node *item,
		      struct translation *out)
{
	struct config_translate_work w = {.at_theirs = NULL};
	const struct config_node *at_name;
	const struct ip_prefix *name;
	char a[IP_PREFIX_STRLEN], b[IP_PREFIX_STRLEN];

	if (!config_map_apply(p, &config_translate_map, item, true, &w))
		return false;
	if (!w.at_theirs == !w.at_ours) {
		config_error(
			&p->diag, item,
			"a line of 'translate' has either 'theirs', a network behind the peer, "
			"or 'ours', one behind this gateway");
		return false;
	}
	at_name = w.at_theirs ? w.at_theirs : w.at_ours;
	name = w.at_theirs ? &w.theirs : &w.ours;
	if (name->addr.family != w.as.addr.family || name->len != w.as.len) {
		config_error(&p->diag, w.at_as,
			     "%s and %s are not of one length and family: each address of the one "
			     "stands for one of the other",
			     ip_prefix_format(name, a), ip_prefix_format(&w.as, b));
		return false;
	}
	if (!name->len) {
		config_error(&p->diag, at_name,
			     "%s is every address: name the network that is to be "
			     "translated",
			     ip_prefix_format(name, a));
		return false;
	}
	if (ip_prefix_equal(name, &w.as)) {
		config_error(&p->diag, w.at_as, "%s is its own name already",
			     ip_prefix_format(name, a));
		return false;
	}
	*out = (struct translation){
		.side = w.at_theirs ? TRANSLATION_THEIRS : TRANSLATION_OURS,
		.here = w.at_theirs ? w.as : w.ours,
		.there = w.at_theirs ? w.theirs : w.as,
	};
	return true;
}

static const char *side_name(enum translation_side side)
{
	return side == TRANSLATION_THEIRS ? "theirs" : "ours";
}

/* A name has one meaning at each end. */
static bool check_unique(struct config_parse *p, const struct config_node *item,
			 const struct config_connection *c, const struct translation *t)
{
	char a[IP_PREFIX_STRLEN], b[IP_PREFIX_STRLEN];
	size_t i;

	for (i = 0; i < c->n_translations; i++) {
		const struct translation *u = &c->translations[i];
		const bool here = ip_prefix_overlaps(&u->here, &t->here);

		if (u->side != t->side || (!here && !ip_prefix_overlaps(&u->there, &t->there)))
			continue;
		config_error(&p->diag, item,
			     "%s overlaps %s of another line with '%s': an address has one name at "
			     "each end",
			     ip_prefix_format(here ? &t->here : &t->there, a),
			     ip_prefix_format(here ? &u->here : &u->there, b), side_name(t->side));
		return false;
	}
	return true;
}

void config_handle_translate(struct config_parse *p, const struct config_node *n, void *work)
{
	struct config_connection *c = &((struct config_connection_work *)work)->c;
	const struct config_node *item;
	struct translation t;

	/* An empty list says: nothing. */
	if (n->kind == CONFIG_NODE_LIST && !n->n)
		return;
	if (!config_is_list(p, n, DP_TRANSLATE_MAX))
		return;
	c->translations = calloc(n->n, sizeof(*c->translations));
	if (!c->translations) {
		config_error(&p->diag, n, "out of memory");
		return;
	}
	for (item = n->first; item; item = item->next)
		if (read_rule(p, item, &t) && check_unique(p, item, c, &t))
			c->translations[c->n_translations++] = t;
}

/* ----------------------------------------------------------------- cross checks */

/* The line of a rule: all were good, or nobody comes here. */
static const struct config_node *at_rule(const struct config_connection_mark *m, size_t i)
{
	const struct config_node *item = m->translate->first;

	while (i-- && item->next)
		item = item->next;
	return item;
}

static bool any_overlaps(const struct ip_prefix *x, size_t n, const struct ip_prefix *p)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (ip_prefix_overlaps(&x[i], p))
			return true;
	return false;
}

/* The selectors are what the peer has agreed to, in its names. */
static void check_selectors(struct config_parse *p, const struct config_connection_mark *m)
{
	const struct config_connection *c = m->c;
	char a[IP_PREFIX_STRLEN], b[IP_PREFIX_STRLEN];
	size_t i;

	for (i = 0; i < c->n_translations; i++) {
		const struct translation *t = &c->translations[i];
		const bool theirs = t->side == TRANSLATION_THEIRS;
		const struct ip_prefix *x = theirs ? c->remote_networks : c->local_networks;
		const size_t n = theirs ? c->n_remote_networks : c->n_local_networks;
		const char *key = theirs ? "remote_networks" : "local_networks";

		if (!n || any_overlaps(x, n, &t->there))
			continue;
		ip_prefix_format(&t->there, a);
		ip_prefix_format(&t->here, b);
		if (any_overlaps(x, n, &t->here))
			config_error(&p->diag, at_rule(m, i),
				     "%s is called %s in the tunnel: '%s' has the names that the "
				     "peer uses, so write %s there",
				     b, a, key, a);
		else
			config_warning(&p->diag, at_rule(m, i),
				       "%s is in none of %s: packets with it match no traffic "
				       "selector and are dropped",
				       a, key);
	}
}

static void check_static_routes(struct config_parse *p, const struct config_connection_mark *m)
{
	const struct config_connection *c = m->c;
	char a[IP_PREFIX_STRLEN], b[IP_PREFIX_STRLEN], d[IP_PREFIX_STRLEN];
	struct ip_prefix here;
	size_t i, j;

	/* Those that are the remote networks are told of as such. */
	for (i = 0; m->routes && m->routes != m->remote_networks && i < c->n_static_routes; i++) {
		const struct ip_prefix *r = &c->static_routes[i];

		if (translation_to_here(c->translations, c->n_translations, TRANSLATION_THEIRS, r,
					&here) == TRANSLATION_TAKEN) {
			config_error(
				&p->diag, m->routes,
				"%s is the name of another network of the peer on our side, by "
				"'translate'; write that network as the peer calls it",
				ip_prefix_format(r, a));
			continue;
		}
		for (j = 0; j < c->n_translations; j++)
			if (c->translations[j].side == TRANSLATION_THEIRS && r->len &&
			    r->len < c->translations[j].there.len &&
			    ip_prefix_contains(r, &c->translations[j].there.addr))
				config_warning(&p->diag, m->routes,
					       "%s is wider than %s of 'translate', and keeps its "
					       "name: %s has no route by it; name both",
					       ip_prefix_format(r, a),
					       ip_prefix_format(&c->translations[j].there, b),
					       ip_prefix_format(&c->translations[j].here, d));
	}
}

static void check_advertised(struct config_parse *p, const struct config_connection_mark *m)
{
	const struct config_connection *c = m->c;
	char a[IP_PREFIX_STRLEN];
	struct ip_prefix there;
	size_t i;

	for (i = 0; m->advertise && i < c->n_advertise; i++)
		if (translation_to_there(c->translations, c->n_translations, TRANSLATION_OURS,
					 &c->advertise[i], &there) == TRANSLATION_TAKEN)
			config_error(&p->diag, m->advertise,
				     "%s is the peer's name of another network of ours, by "
				     "'translate'; write that network as it is called here",
				     ip_prefix_format(&c->advertise[i], a));
}

/* Routes of a table are ours. */
static void check_tables(struct config_parse *p)
{
	const struct config_routing *r = &p->config->routing;
	char a[IP_PREFIX_STRLEN], b[IP_PREFIX_STRLEN];
	struct ip_prefix there;
	size_t i, j;

	for (i = 0; p->marks->tables && i < r->n_tables; i++) {
		const struct config_node *list = p->marks->tables[i].static_routes;
		const struct config_node *item = list ? list->first : NULL;

		for (j = 0; item && j < r->tables[i].n_static_routes; j++, item = item->next) {
			const struct config_table_route *x = &r->tables[i].static_routes[j];
			const struct config_connection *c =
				config_connection_by_name(p->config, x->connection);

			if (!c || translation_to_there(c->translations, c->n_translations,
						       TRANSLATION_THEIRS, &x->prefix,
						       &there) != TRANSLATION_TAKEN)
				continue;
			(void)translation_to_here(c->translations, c->n_translations,
						  TRANSLATION_THEIRS, &x->prefix, &there);
			config_error(&p->diag, item,
				     "%s is how the peer of '%s' calls it; here it is %s",
				     ip_prefix_format(&x->prefix, a), c->name,
				     ip_prefix_format(&there, b));
		}
	}
}

static const struct translation *rule_with(const struct config_connection *c,
					   const struct ip_addr *a, enum translation_side side)
{
	size_t i;

	for (i = 0; i < c->n_translations; i++)
		if (c->translations[i].side == side &&
		    (ip_prefix_contains(&c->translations[i].here, a) ||
		     ip_prefix_contains(&c->translations[i].there, a)))
			return &c->translations[i];
	return NULL;
}

/* Both ends must call the tunnel's own addresses alike. */
static void check_inside(struct config_parse *p, const struct config_tunnel_mark *m)
{
	const struct config_tunnel *t = m->t;
	const struct {
		const struct ip_addr *a;
		enum translation_side side;
		const struct config_node *at;
	} all[] = {
		{&t->inside[0].addr, TRANSLATION_OURS, m->inside},
		{&t->inside[1].addr, TRANSLATION_OURS, m->inside},
		{&t->bgp.neighbor, TRANSLATION_THEIRS, m->bgp},
		{&t->bfd.neighbor, TRANSLATION_THEIRS, t->bfd.multihop ? NULL : m->inside},
	};
	char a[IP_ADDR_STRLEN];
	size_t i;

	for (i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		if (all[i].at && all[i].a->family != IP_NONE &&
		    rule_with(m->c, all[i].a, all[i].side)) {
			config_error(&p->diag, all[i].at,
				     "the inside address %s lies within a prefix of 'translate': "
				     "both ends must call it alike",
				     ip_format(all[i].a, a));
			return;
		}
}

static void check_probe(struct config_parse *p, const struct config_tunnel_mark *m)
{
	const struct ip_prefix host = {
		.addr = m->t->probe.address,
		.len = (uint8_t)ip_bits(&m->t->probe.address),
	};
	const struct config_connection *c = m->c;
	char a[IP_ADDR_STRLEN], b[IP_ADDR_STRLEN];
	struct ip_prefix other;

	if (!m->probe_address || !m->t->probe.on || host.addr.family == IP_NONE ||
	    translation_to_there(c->translations, c->n_translations, TRANSLATION_THEIRS, &host,
				 &other) != TRANSLATION_TAKEN)
		return;
	(void)translation_to_here(c->translations, c->n_translations, TRANSLATION_THEIRS, &host,
				  &other);
	config_error(&p->diag, m->probe_address,
		     "%s is how the peer calls it; here it is %s, by 'translate'",
		     ip_format(&host.addr, a), ip_format(&other.addr, b));
}

/* What is said here to be the peer's must not be ours. */
static void check_local(struct config_parse *p, const struct config_connection_mark *m)
{
	const struct config_routing *r = &p->config->routing;
	char a[IP_PREFIX_STRLEN], b[IP_PREFIX_STRLEN];
	size_t i, j;

	for (i = 0; i < m->c->n_translations; i++)
		for (j = 0; j < r->n_local_networks; j++)
			if (m->c->translations[i].side == TRANSLATION_THEIRS &&
			    ip_prefix_overlaps(&r->local_networks[j], &m->c->translations[i].here))
				config_error(&p->diag, at_rule(m, i),
					     "%s overlaps our own network %s: choose one that "
					     "nobody uses on this side",
					     ip_prefix_format(&m->c->translations[i].here, a),
					     ip_prefix_format(&r->local_networks[j], b));
}

void config_check_translations(struct config_parse *p)
{
	const struct config_marks *m = p->marks;
	size_t i;

	for (i = 0; i < m->n_connections; i++) {
		if (!m->connections[i].translate ||
		    m->connections[i].c->n_translations != m->connections[i].translate->n)
			continue; /* reported */
		check_selectors(p, &m->connections[i]);
		check_static_routes(p, &m->connections[i]);
		check_advertised(p, &m->connections[i]);
		check_local(p, &m->connections[i]);
	}
	for (i = 0; i < m->n_tunnels; i++) {
		check_inside(p, &m->tunnels[i]);
		check_probe(p, &m->tunnels[i]);
	}
	check_tables(p);
}
