/* SPDX-License-Identifier: Apache-2.0 */
/* routing: the `routing` section with its tables, and what connections say of their routes. */
#include "config/check.h"

#include <stdlib.h>
#include <string.h>

#define MAX_LOCAL      64    /* networks of ours: looked at for every prefix */
#define MAX_ROUTES     10000 /* of one table */
#define MAX_AGGREGATES 100   /* likewise; looked at for every prefix */
#define MAX_FILTER     1000
#define MAX_ADVERTISE  1000
#define MAX_PROTOCOLS  32

/* ------------------------------------------------------------ the section */

void config_handle_network(struct config_parse *p, const struct config_node *n, void *field)
{
	(void)config_get_prefix(p, n, true, field);
}

void config_handle_routing_local(struct config_parse *p, const struct config_node *n, void *work)
{
	struct config_routing *r = &((struct config_root_work *)work)->c.routing;

	if (n->kind == CONFIG_NODE_LIST && !n->n)
		return;
	(void)config_get_prefixes(p, n, true, MAX_LOCAL, &r->local_networks, &r->n_local_networks);
}

void config_handle_table_routes(struct config_parse *p, const struct config_node *n, void *work)
{
	struct config_table *t = &((struct config_table_work *)work)->t;
	const struct config_node *item;

	if (!config_is_list(p, n, MAX_ROUTES))
		return;
	t->static_routes = calloc(n->n, sizeof(*t->static_routes));
	if (!t->static_routes) {
		config_error(&p->diag, n, "out of memory");
		return;
	}
	for (item = n->first; item; item = item->next) {
		struct config_table_route_work w = {.at_prefix = NULL};

		/* What is wrong keeps its place: checks find the lines by it. */
		(void)config_map_apply(p, &config_table_route_map, item, true, &w);
		t->static_routes[t->n_static_routes++] = w.r;
	}
}

void config_handle_blackholes(struct config_parse *p, const struct config_node *n, void *work)
{
	struct config_table *t = &((struct config_table_work *)work)->t;

	(void)config_get_prefixes(p, n, true, MAX_ROUTES, &t->blackholes, &t->n_blackholes);
}

void config_handle_aggregates(struct config_parse *p, const struct config_node *n, void *work)
{
	struct config_table *t = &((struct config_table_work *)work)->t;
	const struct config_node *item;
	char buf[IP_PREFIX_STRLEN];
	size_t i;

	if (!config_is_list(p, n, MAX_AGGREGATES))
		return;
	t->aggregates = calloc(n->n, sizeof(*t->aggregates));
	if (!t->aggregates) {
		config_error(&p->diag, n, "out of memory");
		return;
	}
	for (item = n->first; item; item = item->next) {
		struct config_aggregate_work w = {.at_prefix = NULL};

		if (!config_map_apply(p, &config_aggregate_map, item, true, &w))
			continue;
		for (i = 0; i < t->n_aggregates; i++)
			if (ip_prefix_equal(&t->aggregates[i].prefix, &w.a.prefix))
				break;
		if (i < t->n_aggregates)
			config_error(&p->diag, w.at_prefix, "%s is in the list twice",
				     ip_prefix_format(&w.a.prefix, buf));
		else
			t->aggregates[t->n_aggregates++] = w.a;
	}
}

void config_handle_route_tables(struct config_parse *p, const struct config_node *n, void *work)
{
	struct config_routing *r = &((struct config_root_work *)work)->c.routing;
	const struct config_node *item;

	if (!config_is_list(p, n, CONFIG_TABLES_MAX - 1))
		return;
	/* And one for the main table, which may not be among them. */
	r->tables = calloc(n->n + 1, sizeof(*r->tables));
	p->marks->tables = calloc(n->n + 1, sizeof(*p->marks->tables));
	if (!r->tables || !p->marks->tables) {
		config_error(&p->diag, n, "out of memory");
		return;
	}
	for (item = n->first; item; item = item->next) {
		struct config_table_work w = {.at_name = NULL};

		(void)config_map_apply(p, &config_route_table_map, item, true, &w);
		p->marks->tables[r->n_tables] = (struct config_table_mark){
			.name = w.at_name,
			.static_routes = w.at_static_routes,
			.blackholes = w.at_blackholes,
			.linux_table = w.at_linux_table,
		};
		r->tables[r->n_tables++] = w.t;
	}
}

/* ----------------------------------------------------------- a connection */

void config_handle_propagate_to(struct config_parse *p, const struct config_node *n, void *work)
{
	struct config_connection *c = &((struct config_connection_work *)work)->c;
	const struct config_node *item;
	char name[CONFIG_NAME_SIZE];
	size_t i;

	/* An empty list says: into none. */
	if ((n->kind == CONFIG_NODE_LIST && !n->n) || !config_is_list(p, n, CONFIG_TABLES_MAX))
		return;
	c->propagate_to = calloc(n->n, sizeof(*c->propagate_to));
	if (!c->propagate_to) {
		config_error(&p->diag, n, "out of memory");
		return;
	}
	for (item = n->first; item; item = item->next) {
		if (!config_get_name(p, item, CONFIG_NAME_SIZE - 1, name, sizeof(name)))
			continue;
		for (i = 0; i < c->n_propagate_to && strcmp(c->propagate_to[i], name) != 0; i++)
			;
		if (i < c->n_propagate_to)
			config_error(&p->diag, item, "'%s' is in the list twice", name);
		else
			memcpy(c->propagate_to[c->n_propagate_to++], name, sizeof(name));
	}
}

void config_handle_advertise(struct config_parse *p, const struct config_node *n, void *work)
{
	struct config_connection *c = &((struct config_connection_work *)work)->c;

	/* An empty list says: nothing. */
	if (n->kind == CONFIG_NODE_LIST && !n->n)
		return;
	(void)config_get_prefixes(p, n, true, MAX_ADVERTISE, &c->advertise, &c->n_advertise);
}

/* One line: which lengths of prefixes within it matches. */
static bool read_filter(struct config_parse *p, const struct config_node *item,
			struct config_filter *out)
{
	struct config_filter_work w = {.at_permit = NULL};
	unsigned bits;

	if (!config_map_apply(p, &config_filter_map, item, true, &w))
		return false;
	if (!w.at_permit == !w.at_deny) {
		config_error(&p->diag, item,
			     "a filter's line has either 'permit: 10.0.0.0/8' or 'deny: "
			     "10.0.0.0/8'");
		return false;
	}
	*out = (struct config_filter){
		.prefix = w.at_permit ? w.permit : w.deny,
		.permit = w.at_permit != NULL,
	};
	bits = ip_bits(&out->prefix.addr);
	if (w.at_ge && (w.ge < out->prefix.len || w.ge > bits)) {
		config_error(&p->diag, w.at_ge,
			     "'ge' is from the prefix's own length to the longest: %u to %u",
			     out->prefix.len, bits);
		return false;
	}
	if (w.at_le && (w.le < (w.at_ge ? w.ge : out->prefix.len) || w.le > bits)) {
		config_error(&p->diag, w.at_le, "'le' is from %s to the longest: %u to %u",
			     w.at_ge ? "'ge'" : "the prefix's own length",
			     w.at_ge ? w.ge : out->prefix.len, bits);
		return false;
	}
	if (w.at_ge || w.at_le) {
		out->min_len = (uint8_t)(w.at_ge ? w.ge : out->prefix.len);
		out->max_len = (uint8_t)(w.at_le ? w.le : bits);
	}
	return true;
}

static void read_filters(struct config_parse *p, const struct config_node *n,
			 struct config_filter **out, size_t *n_out)
{
	const struct config_node *item;

	if (!config_is_list(p, n, MAX_FILTER))
		return;
	*out = calloc(n->n, sizeof(**out));
	if (!*out) {
		config_error(&p->diag, n, "out of memory");
		return;
	}
	for (item = n->first; item; item = item->next)
		if (read_filter(p, item, &(*out)[*n_out]))
			++*n_out;
}

void config_handle_filter_in(struct config_parse *p, const struct config_node *n, void *work)
{
	struct config_connection *c = &((struct config_connection_work *)work)->c;

	read_filters(p, n, &c->filter_in, &c->n_filter_in);
}

void config_handle_filter_out(struct config_parse *p, const struct config_node *n, void *work)
{
	struct config_connection *c = &((struct config_connection_work *)work)->c;

	read_filters(p, n, &c->filter_out, &c->n_filter_out);
}

/* By name or number: who wrote a route. */
void config_handle_protocols(struct config_parse *p, const struct config_node *n, void *field)
{
	/* /etc/iproute2/rt_protos, and what FRR adds. */
	static const struct {
		const char *name;
		uint8_t number;
	} known[] = {
		{"static", 4}, {"zebra", 11}, {"bird", 12}, {"babel", 42},  {"bgp", 186},
		{"isis", 187}, {"ospf", 188}, {"rip", 189}, {"eigrp", 192},
	};
	static const char *const words[] = {"static", "zebra", "bird", "babel", "bgp",
					    "isis",   "ospf",  "rip",  "eigrp", NULL};
	uint8_t *bits = field;
	const struct config_node *item;

	if (!config_is_list(p, n, MAX_PROTOCOLS))
		return;
	for (item = n->first; item; item = item->next) {
		uint64_t number;
		unsigned w;

		if (item->kind == CONFIG_NODE_SCALAR && item->text[0] >= '0' &&
		    item->text[0] <= '9') {
			if (!config_get_uint(p, item, 4, 255, &number))
				continue;
		} else if (config_get_word(p, item, words, &w)) {
			number = known[w].number;
		} else {
			continue;
		}
		bits[number / 8] |= (uint8_t)(1u << number % 8);
	}
}

/* -------------------------------------------------------------- completion */

static bool have_main_table(struct config_routing *r)
{
	size_t i;

	for (i = 0; i < r->n_tables; i++)
		if (!strcmp(r->tables[i].name, CONFIG_MAIN_TABLE))
			return true;
	if (!r->tables)
		r->tables = calloc(1, sizeof(*r->tables));
	if (!r->tables)
		return false;
	strcpy(r->tables[r->n_tables++].name, CONFIG_MAIN_TABLE);
	return true;
}

/*
 * RFC 8212 3: what an eBGP neighbour announces counts only by a policy that somebody wrote. Nothing
 * beyond the remote networks could be sent to it anyway: no traffic selector would match.
 */
static bool default_filter_in(struct config_connection *c)
{
	size_t i;

	if (!c->n_remote_networks)
		return true;
	c->filter_in = calloc(c->n_remote_networks, sizeof(*c->filter_in));
	if (!c->filter_in)
		return false;
	for (i = 0; i < c->n_remote_networks; i++) {
		const struct ip_prefix *x = &c->remote_networks[i];
		const unsigned bits = ip_bits(&x->addr);

		c->filter_in[c->n_filter_in++] = (struct config_filter){
			.prefix = *x,
			.min_len = x->len,
			.max_len = (uint8_t)bits,
			.permit = true,
		};
	}
	return true;
}

/* Our own networks: those of the gateway, or those of the selectors that name any. */
static bool default_advertise(const struct config_routing *r, struct config_connection *c)
{
	const bool own = r->n_local_networks == 0;
	const struct ip_prefix *x = own ? c->local_networks : r->local_networks;
	const size_t n = own ? c->n_local_networks : r->n_local_networks;
	size_t i;

	if (!n)
		return true;
	c->advertise = calloc(n, sizeof(*c->advertise));
	if (!c->advertise)
		return false;
	for (i = 0; i < n; i++) {
		struct ip_prefix name = x[i];

		/* Selectors have the peer's names. */
		if (own && (!x[i].len || translation_to_here(c->translations, c->n_translations,
							     TRANSLATION_OURS, &x[i],
							     &name) == TRANSLATION_TAKEN))
			continue;
		c->advertise[c->n_advertise++] = name;
	}
	return true;
}

static bool default_propagation(struct config_connection *c)
{
	c->propagate_to = calloc(1, sizeof(*c->propagate_to));
	if (!c->propagate_to)
		return false;
	memcpy(c->propagate_to[c->n_propagate_to++], c->route_table, sizeof(c->route_table));
	return true;
}

static void complete_linux_routes(struct config_parse *p, struct config_routing *r)
{
	struct config_table *t = NULL;
	size_t i;

	r->linux_routes.on = p->marks->linux_routes != NULL;
	r->linux_import.on = p->marks->linux_import != NULL;
	for (i = 0; i < r->n_tables; i++)
		if (!strcmp(r->tables[i].name, CONFIG_MAIN_TABLE))
			t = &r->tables[i];
	if (t && !t->linux_table)
		t->linux_table = r->linux_routes.table;
}

void config_complete_routing(struct config_parse *p)
{
	/* Prefixes that such a gateway advertises at most: AWS's numbers. */
	static const uint32_t limits[] = {
		[CONFIG_ROLE_CUSTOMER] = 0,
		[CONFIG_ROLE_VIRTUAL_PRIVATE] = 1000,
		[CONFIG_ROLE_TRANSIT] = 5000,
	};
	struct config_routing *r = &p->config->routing;
	const struct config_marks *m = p->marks;
	bool ok = have_main_table(r);
	size_t i;

	complete_linux_routes(p, r);
	if (!m->ecmp)
		r->ecmp = r->role == CONFIG_ROLE_TRANSIT;
	for (i = 0; i < m->n_connections; i++) {
		const struct config_connection_mark *k = &m->connections[i];

		if (!k->cloudhub)
			k->c->cloudhub = r->role != CONFIG_ROLE_CUSTOMER;
		if (!k->max_advertised)
			k->c->max_advertised = limits[r->role];
		if (!k->propagate_to)
			ok = default_propagation(k->c) && ok;
		if (!k->filter_in)
			ok = default_filter_in(k->c) && ok;
		if (!k->advertise)
			ok = default_advertise(r, k->c) && ok;
	}
	if (!ok)
		config_error_at(&p->diag, 0, 0, "out of memory");
}
