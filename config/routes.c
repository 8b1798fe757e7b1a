/* SPDX-License-Identifier: Apache-2.0 */
/*
 * routes: what must hold between the routes of a table, and what operators should know of them: a
 * prefix has one way out of a table, and where prefixes of several connections overlap, the longest
 * wins. O(n log n).
 */
#include "config/check.h"

#include <stdlib.h>
#include <string.h>

#define LINUX_TABLE_LOCAL 255u

struct route {
	size_t table;                      /* its place */
	struct ip_prefix prefix;           /* as on our side */
	const struct config_connection *c; /* NULL: a blackhole */
	const struct config_node *at;
	bool translated; /* it has another name in the tunnel */
};

struct routes {
	struct route *r;
	size_t n;
};

/* ------------------------------------------------------------------- names */

static const char *nearest_table(const struct config *c, const char *name)
{
	const char *names[CONFIG_TABLES_MAX];
	size_t i;

	for (i = 0; i < c->routing.n_tables; i++)
		names[i] = c->routing.tables[i].name;
	return config_nearest(name, names, i);
}

static void check_table_name(struct config_parse *p, const struct config_node *at, const char *name)
{
	const char *near;

	if (!at || !*name || config_table_by_name(p->config, name))
		return;
	near = nearest_table(p->config, name);
	if (near)
		config_error(&p->diag, at, "no route table is named '%s'; did you mean '%s'?", name,
			     near);
	else
		config_error(&p->diag, at,
			     "no route table is named '%s'; add it to 'tables' of "
			     "'routing'",
			     name);
}

static const struct config_node *item_of(const struct config_node *list, size_t i)
{
	const struct config_node *item = list ? list->first : NULL;

	while (item && i--)
		item = item->next;
	return item;
}

static void check_references(struct config_parse *p)
{
	const struct config_marks *m = p->marks;
	size_t i, j;

	for (i = 0; i < m->n_ports; i++)
		check_table_name(p, m->ports[i].route_table, m->ports[i].p->route_table);
	for (i = 0; i < m->n_connections; i++) {
		const struct config_connection_mark *k = &m->connections[i];

		check_table_name(p, k->route_table, k->c->route_table);
		for (j = 0; k->propagate_to && j < k->c->n_propagate_to; j++)
			check_table_name(p, item_of(k->propagate_to, j), k->c->propagate_to[j]);
	}
}

static void check_tables(struct config_parse *p)
{
	const struct config_routing *r = &p->config->routing;
	size_t i, j;

	for (i = 0; i < r->n_tables; i++) {
		if (!p->marks->tables || !p->marks->tables[i].name)
			continue;
		for (j = 0; j < i && strcmp(r->tables[j].name, r->tables[i].name) != 0; j++)
			;
		if (j < i)
			config_error(&p->diag, p->marks->tables[i].name,
				     "the name '%s' is used by the route table in line %u already",
				     r->tables[i].name, p->marks->tables[j].name->line);
	}
}

static const struct config_connection *
find_connection(struct config_parse *p, const struct config_node *item, const char *name)
{
	const struct config_connection *c = config_connection_by_name(p->config, name);
	const char **names, *near;
	size_t i;

	if (c || !*name)
		return c;
	names = calloc(p->config->n_connections + 1, sizeof(*names));
	for (i = 0; names && i < p->config->n_connections; i++)
		names[i] = p->config->connections[i].name;
	near = names ? config_nearest(name, names, i) : NULL;
	if (near)
		config_error(&p->diag, item, "no connection is named '%s'; did you mean '%s'?",
			     name, near);
	else
		config_error(&p->diag, item, "no connection is named '%s'", name);
	free(names);
	return NULL;
}

/* --------------------------------------------------------------- collection */

static size_t table_place(const struct config *c, const char *name)
{
	const struct config_table *t = config_table_by_name(c, name);

	return t ? (size_t)(t - c->routing.tables) : SIZE_MAX;
}

static size_t count(const struct config_parse *p)
{
	const struct config_routing *r = &p->config->routing;
	size_t i, n = 0;

	for (i = 0; i < r->n_tables; i++)
		n += r->tables[i].n_static_routes + r->tables[i].n_blackholes;
	for (i = 0; i < p->marks->n_connections; i++)
		n += p->marks->connections[i].c->n_static_routes *
		     p->marks->connections[i].c->n_propagate_to;
	return n;
}

static void collect_connections(const struct config_parse *p, struct routes *l)
{
	size_t i, j, k, table;

	for (i = 0; i < p->marks->n_connections; i++) {
		const struct config_connection_mark *m = &p->marks->connections[i];

		if (!m->routes)
			continue;
		for (j = 0; j < m->c->n_propagate_to; j++) {
			table = table_place(p->config, m->c->propagate_to[j]);
			for (k = 0; table != SIZE_MAX && k < m->c->n_static_routes; k++) {
				struct route r = {.table = table, .c = m->c, .at = m->routes};
				const enum translation_result result = translation_to_here(
					m->c->translations, m->c->n_translations,
					TRANSLATION_THEIRS, &m->c->static_routes[k], &r.prefix);

				r.translated = result == TRANSLATION_DONE;
				/* What is taken is told of by itself. */
				if (result != TRANSLATION_TAKEN)
					l->r[l->n++] = r;
			}
		}
	}
}

static void collect_tables(struct config_parse *p, struct routes *l)
{
	const struct config_routing *r = &p->config->routing;
	size_t i, j;

	for (i = 0; p->marks->tables && i < r->n_tables; i++) {
		const struct config_table_mark *m = &p->marks->tables[i];
		const struct config_table *t = &r->tables[i];
		const struct config_node *item = m->static_routes ? m->static_routes->first : NULL;

		for (j = 0; j < t->n_static_routes; j++, item = item->next) {
			const struct config_connection *c =
				find_connection(p, item, t->static_routes[j].connection);

			if (c && t->static_routes[j].prefix.addr.family != IP_NONE)
				l->r[l->n++] = (struct route){
					.table = i,
					.prefix = t->static_routes[j].prefix,
					.c = c,
					.at = item,
				};
		}
		for (j = 0; j < t->n_blackholes; j++)
			l->r[l->n++] = (struct route){
				.table = i,
				.prefix = t->blackholes[j],
				.at = m->blackholes,
			};
	}
}

/* Wider prefixes before those within. */
static int by_table_and_prefix(const void *va, const void *vb)
{
	const struct route *a = va, *b = vb;
	int d;

	if (a->table != b->table)
		return a->table < b->table ? -1 : 1;
	d = ip_cmp(&a->prefix.addr, &b->prefix.addr);
	if (d)
		return d;
	if (a->prefix.len != b->prefix.len)
		return a->prefix.len < b->prefix.len ? -1 : 1;
	if (a->at->line != b->at->line)
		return a->at->line < b->at->line ? -1 : 1;
	return (a->at->column > b->at->column) - (a->at->column < b->at->column);
}

/* ------------------------------------------------------------------ reports */

static void report_double(struct config_parse *p, const struct route *first,
			  const struct route *again)
{
	const char *table = p->config->routing.tables[again->table].name;
	const bool is_main = !strcmp(table, CONFIG_MAIN_TABLE);
	char buf[IP_PREFIX_STRLEN];
	struct sb *s = config_diag_error(&p->diag, again->at->line, again->at->column);

	sb_printf(s, "%s is ", ip_prefix_format(&again->prefix, buf));
	if (first->c)
		sb_printf(s, "routed into the connection '%s' already", first->c->name);
	else
		sb_printf(s, "a blackhole already (line %u)", first->at->line);
	if (!is_main)
		sb_printf(s, ", in the table '%s'", table);
	sb_str(s, !first->c || !again->c ? "; it is either a blackhole or has a connection"
		  : first->c == again->c
			  ? "; a prefix has one connection"
			  : "; a prefix has one connection, but 'translate' can give "
			    "another prefix to one of two equal networks");
}

/* 0.0.0.0/0 and ::/0 mean "what has no better route". */
static void report_overlap(struct config_parse *p, const struct route *outer,
			   const struct route *inner)
{
	char a[IP_PREFIX_STRLEN], b[IP_PREFIX_STRLEN];

	if (!outer->prefix.len || !outer->c || !inner->c || outer->c == inner->c)
		return;
	config_warning(&p->diag, inner->at,
		       "%s lies within %s of the connection '%s': what goes there takes the longer "
		       "prefix; 'translate' can give one of them another",
		       ip_prefix_format(&inner->prefix, a), ip_prefix_format(&outer->prefix, b),
		       outer->c->name);
}

/* Sorted, the prefixes that hold the present one are a stack. */
static void check_overlaps(struct config_parse *p, const struct routes *l)
{
	const struct route **stack = calloc(l->n + 1, sizeof(*stack));
	size_t i, depth = 0;

	if (!stack) {
		config_error_at(&p->diag, 0, 0, "out of memory");
		return;
	}
	for (i = 0; i < l->n; i++) {
		const struct route *r = &l->r[i];

		while (depth && (stack[depth - 1]->table != r->table ||
				 !ip_prefix_within(&stack[depth - 1]->prefix, &r->prefix)))
			depth--;
		if (depth && stack[depth - 1]->prefix.len == r->prefix.len) {
			report_double(p, stack[depth - 1], r);
			continue;
		}
		if (depth)
			report_overlap(p, stack[depth - 1], r);
		stack[depth++] = r;
	}
	free(stack);
}

static void check_local(struct config_parse *p, const struct routes *l)
{
	const struct config_routing *r = &p->config->routing;
	char a[IP_PREFIX_STRLEN], b[IP_PREFIX_STRLEN];
	size_t i, j;

	for (i = 0; i < l->n; i++)
		for (j = 0; j < r->n_local_networks; j++)
			if (!l->r[i].translated &&
			    ip_prefix_within(&r->local_networks[j], &l->r[i].prefix))
				config_warning(&p->diag, l->r[i].at,
					       "%s lies within our own network %s, which always "
					       "wins: nothing is sent there; 'translate' can give "
					       "it another prefix",
					       ip_prefix_format(&l->r[i].prefix, a),
					       ip_prefix_format(&r->local_networks[j], b));
}

/* What the peer would send to us is to match a traffic selector. */
static void check_advertised(struct config_parse *p, const struct config_connection_mark *m)
{
	char buf[IP_PREFIX_STRLEN];
	struct ip_prefix there;
	size_t i, j;

	for (i = 0; m->advertise && i < m->c->n_advertise; i++) {
		if (translation_to_there(m->c->translations, m->c->n_translations, TRANSLATION_OURS,
					 &m->c->advertise[i], &there) == TRANSLATION_TAKEN)
			continue; /* told of by itself */
		for (j = 0; j < m->c->n_local_networks; j++)
			if (ip_prefix_within(&m->c->local_networks[j], &there))
				break;
		if (j == m->c->n_local_networks)
			config_warning(&p->diag, m->advertise,
				       "%s is not within local_networks: packets to it match no "
				       "traffic selector and are dropped",
				       ip_prefix_format(&there, buf));
	}
}

/* Tables of Linux: each has the routes of one table of ours. */
static void check_linux_tables(struct config_parse *p)
{
	const struct config_routing *r = &p->config->routing;
	const struct config_marks *m = p->marks;
	bool any = false;
	size_t i, j;

	for (i = 0; i < r->n_tables; i++) {
		const uint32_t table = r->tables[i].linux_table;
		const struct config_node *at = m->tables ? m->tables[i].linux_table : NULL;

		at = at ? at : m->linux_table ? m->linux_table : m->linux_routes;
		if (!table || !at)
			continue;
		any = true;
		if (!r->linux_routes.on)
			config_error(
				&p->diag, at,
				"'linux_table' is of no use without 'linux_routes' of 'routing'");
		if (table == LINUX_TABLE_LOCAL)
			config_error(&p->diag, at, "the table %u is Linux's own; choose another",
				     table);
		for (j = 0; j < i && r->tables[j].linux_table != table; j++)
			;
		if (j < i)
			config_error(&p->diag, at,
				     "the table %u of Linux has the routes of '%s' already", table,
				     r->tables[j].name);
	}
	if (m->linux_routes && !any)
		config_error(&p->diag, m->linux_routes,
			     "'linux_routes' names no table of Linux; add 'table: 100'");
}

static void check_linux_import(struct config_parse *p)
{
	const struct config_routing *r = &p->config->routing;
	const struct config_marks *m = p->marks;
	bool any = false;
	size_t i, j;

	for (i = 0; i < m->n_connections; i++) {
		const struct config_connection_mark *k = &m->connections[i];

		if (!k->c->linux_import)
			continue;
		any = true;
		if (!r->linux_import.on)
			config_error(&p->diag, k->linux_import,
				     "whose routes? Add 'linux_import: {protocols: [bird]}' to "
				     "'routing'");
		for (j = 0; j < k->c->n_tunnels; j++)
			if (k->c->tunnels[j].bgp.on)
				config_error(
					&p->diag, k->linux_import,
					"the tunnel '%s' has 'bgp': its routes come from there; "
					"leave one of them out",
					k->c->tunnels[j].name);
	}
	if (m->linux_import && !any)
		config_warning(
			&p->diag, m->linux_import,
			"no connection has 'linux_import: true': nothing is learnt from Linux");
	i = r->linux_routes.protocol;
	if (m->linux_import && r->linux_routes.on && r->linux_import.protocols[i / 8] >> i % 8 & 1)
		config_error(&p->diag, m->linux_import,
			     "%zu is the protocol of our own routes ('linux_routes')", i);
}

void config_check_routes(struct config_parse *p)
{
	struct routes l = {.r = calloc(count(p) + 1, sizeof(*l.r))};
	size_t i;

	if (!l.r) {
		config_error_at(&p->diag, 0, 0, "out of memory");
		return;
	}
	check_tables(p);
	check_linux_tables(p);
	check_linux_import(p);
	check_references(p);
	collect_connections(p, &l);
	collect_tables(p, &l);
	qsort(l.r, l.n, sizeof(*l.r), by_table_and_prefix);
	check_overlaps(p, &l);
	check_local(p, &l);
	for (i = 0; i < p->marks->n_connections; i++)
		check_advertised(p, &p->marks->connections[i]);
	if (p->marks->ecmp && p->config->routing.ecmp &&
	    p->config->routing.role != CONFIG_ROLE_TRANSIT)
		config_warning(&p->diag, p->marks->ecmp,
			       "only a transit-gateway shares traffic between equal paths: 'ecmp' "
			       "has no effect here");
	free(l.r);
}
