/* SPDX-License-Identifier: Apache-2.0 */
/* connections: the `connections` list with its tunnels and what they share. */
#include "config/check.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include "twinbore/dp_msg.h"

#define MAX_SELECTORS   6 /* what the ike core carries: IKE_MAX_TS */
#define MAX_ROUTES      10000
#define MAX_CONNECTIONS 1700 /* as many as there can be tunnels */

static_assert(MAX_SELECTORS * MAX_SELECTORS == DP_MAX_TS, "every pair fits into one SA");

void config_handle_local_networks(struct config_parse *p, const struct config_node *n, void *work)
{
	struct config_connection *c = &((struct config_connection_work *)work)->c;

	(void)config_get_prefixes(p, n, true, MAX_SELECTORS, &c->local_networks,
				  &c->n_local_networks);
}

void config_handle_remote_networks(struct config_parse *p, const struct config_node *n, void *work)
{
	struct config_connection *c = &((struct config_connection_work *)work)->c;

	(void)config_get_prefixes(p, n, true, MAX_SELECTORS, &c->remote_networks,
				  &c->n_remote_networks);
}

void config_handle_static_routes(struct config_parse *p, const struct config_node *n, void *work)
{
	struct config_connection *c = &((struct config_connection_work *)work)->c;

	/* An empty list says: no static routes. */
	if (n->kind == CONFIG_NODE_LIST && !n->n)
		return;
	(void)config_get_prefixes(p, n, true, MAX_ROUTES, &c->static_routes, &c->n_static_routes);
}

/* `tunnels` may stand before `defaults`: both are read when the whole map is known. */
void config_handle_later(struct config_parse *p, const struct config_node *n, void *field)
{
}

void config_handle_inside(struct config_parse *p, const struct config_node *n, void *field)
{
	struct ip_prefix *out = field;
	const struct config_node *item;
	struct ip_prefix x;
	size_t i;

	if (!config_is_list(p, n, 2))
		return;
	for (item = n->first; item; item = item->next) {
		if (!config_get_prefix(p, item, false, &x))
			continue;
		i = x.addr.family == IP_V6;
		if (out[i].addr.family != IP_NONE)
			config_error(&p->diag, item,
				     "a second IPv%u inside address; one is allowed",
				     (unsigned)x.addr.family);
		else
			out[i] = x;
	}
}

void config_handle_additional(struct config_parse *p, const struct config_node *n, void *work)
{
	struct config_tunnel *t = &((struct config_tunnel_work *)work)->t;
	const struct config_node *item;
	char buf[IP_ADDR_STRLEN];
	struct ip_addr a;
	size_t i;

	t->n_additional = 0; /* those of `defaults` are not added to */
	memset(t->additional, 0, sizeof(t->additional));
	/* An empty list says: none, whatever stands in `defaults`. */
	if (n->kind == CONFIG_NODE_LIST && !n->n)
		return;
	if (!config_is_list(p, n, CONFIG_ADDRESSES_MAX))
		return;
	for (item = n->first; item; item = item->next) {
		if (!config_get_address(p, item, &a))
			continue;
		for (i = 0; i < t->n_additional && !ip_equal(&t->additional[i], &a); i++)
			;
		if (i < t->n_additional)
			config_error(&p->diag, item, "%s is in the list twice", ip_format(&a, buf));
		else
			t->additional[t->n_additional++] = a;
	}
}

/* What the keys of a tunnel do not say by themselves. */
static void complete_tunnel(struct config_tunnel_work *w)
{
	const uint64_t ike = w->t.ike_lifetime.ns, child = w->t.child_lifetime.ns;
	const uint64_t quarter = (ike < child ? ike : child) / 4;

	if (!w->at_startup)
		w->t.startup =
			w->t.remote.family == IP_NONE ? CONFIG_STARTUP_ADD : CONFIG_STARTUP_START;
	if (!w->at_margin)
		w->t.rekey_margin = quarter < span_s(270).ns ? span_ns(quarter) : span_s(270);
}

static void report_missing(struct config_parse *p, const struct config_node *map, const char *name)
{
	size_t i;

	for (i = 0; i < config_tunnel_map.n; i++)
		if (!strcmp(config_tunnel_map.keys[i].name, name))
			config_map_report_missing(p, &config_tunnel_map, map,
						  &config_tunnel_map.keys[i]);
}

static bool read_tunnel(struct config_parse *p, const struct config_node *item,
			const struct config_connection *c,
			const struct config_tunnel_work *defaults, bool defaults_ok,
			struct config_tunnel_work *w)
{
	bool ok;

	memcpy(w, defaults, sizeof(*w)); /* padding too: tunnels are compared whole */
	w->t.line = item->line;
	ok = config_map_apply(p, &config_tunnel_map, item, false, w);
	if (item->kind != CONFIG_NODE_MAP)
		return false;
	if (!w->at_name)
		report_missing(p, item, "name");
	if (!w->at_local)
		report_missing(p, item, "local_address");
	ok = config_auth_complete(p, item, w, ok && defaults_ok) && ok && w->at_name &&
	     w->at_local && defaults_ok;
	if (!ok)
		return false;
	complete_tunnel(w);
	return config_bgp_complete(p, item, c, w);
}

static void mark_tunnel(struct config_parse *p, const struct config_connection *c,
			const struct config_tunnel *t, const struct config_node *item,
			const struct config_tunnel_work *w)
{
	p->marks->tunnels[p->marks->n_tunnels++] = (struct config_tunnel_mark){
		.t = t,
		.c = c,
		.map = item,
		.name = w->at_name,
		.local = w->at_local,
		.remote = w->at_remote,
		.interface = w->at_interface,
		.inside = w->at_inside,
		.psk_file = w->at_psk_file ? w->at_psk_file : w->at_psk_files,
		.additional = w->at_additional,
		.bgp = w->at_bgp,
		.probe_address = w->at_probe_address,
	};
}

static void read_tunnels(struct config_parse *p, const struct config_connection_work *cw,
			 const struct config_tunnel_work *builtin, struct config_connection *c)
{
	struct config_tunnel_work defaults, w;
	const struct config_node *item;
	bool defaults_ok = true;

	memcpy(&defaults, builtin, sizeof(defaults));
	if (cw->at_defaults)
		defaults_ok = config_map_apply(p, &config_defaults_map, cw->at_defaults, false,
					       &defaults);
	if (!cw->at_tunnels || !config_is_list(p, cw->at_tunnels, 2))
		return;
	if (cw->at_tunnels->n == 1)
		config_warning(&p->diag, cw->at_tunnels,
			       "one tunnel only: traffic stops while it is down; add a second");
	for (item = cw->at_tunnels->first; item; item = item->next) {
		struct config_tunnel *t = &c->tunnels[c->n_tunnels];

		if (read_tunnel(p, item, c, &defaults, defaults_ok, &w))
			config_check_tunnel(p, item, &w);
		memcpy(t, &w.t, sizeof(*t));
		c->n_tunnels++;
		mark_tunnel(p, c, t, item, &w);
	}
}

static bool speaks_bgp(const struct config_connection *c)
{
	for (size_t i = 0; i < c->n_tunnels; i++) {
		if (c->tunnels[i].bgp.on)
			return true;
	}
	return false;
}

static bool copy_routes(struct config_connection *c)
{
	if (!c->n_remote_networks)
		return true;
	c->static_routes = calloc(c->n_remote_networks, sizeof(*c->static_routes));
	if (!c->static_routes)
		return false;
	c->n_static_routes = c->n_remote_networks;
	memcpy(c->static_routes, c->remote_networks,
	       c->n_remote_networks * sizeof(*c->static_routes));
	return true;
}

static void read_connection(struct config_parse *p, const struct config_node *item,
			    const struct config_tunnel_work *builtin, struct config_connection *c)
{
	struct config_connection_work w = {.at_name = NULL};
	bool ok;

	config_map_defaults(p, &config_connection_map, &w);
	w.c.line = item->line;
	ok = config_map_apply(p, &config_connection_map, item, true, &w);
	*c = w.c;
	read_tunnels(p, &w, builtin, c);
	if (!w.at_static_routes && !speaks_bgp(c) && !c->linux_import && !copy_routes(c)) {
		config_error(&p->diag, item, "out of memory");
		return;
	}
	w.c = *c;
	if (ok)
		config_check_connection(p, &w);
	p->marks->connections[p->marks->n_connections++] = (struct config_connection_mark){
		.c = c,
		.map = item,
		.name = w.at_name,
		.routes = w.at_static_routes ? w.at_static_routes : w.at_remote_networks,
		.route_table = w.at_route_table,
		.propagate_to = w.at_propagate_to,
		.filter_in = w.at_filter_in,
		.advertise = w.at_advertise,
		.cloudhub = w.at_cloudhub,
		.max_advertised = w.at_max_advertised,
		.translate = w.at_translate,
		.local_networks = w.at_local_networks,
		.remote_networks = w.at_remote_networks,
		.linux_import = w.at_linux_import,
	};
}

void config_handle_connections(struct config_parse *p, const struct config_node *n, void *field)
{
	struct config_marks *marks = p->marks;
	struct config_tunnel_work builtin;
	const struct config_node *item;
	size_t i = 0;

	/* A gateway may stand without connections until the first is added. */
	if (n->kind == CONFIG_NODE_LIST && !n->n)
		return;
	if (!config_is_list(p, n, MAX_CONNECTIONS))
		return;
	p->config->connections = calloc(n->n, sizeof(*p->config->connections));
	marks->connections = calloc(n->n, sizeof(*marks->connections));
	marks->tunnels = calloc(n->n * 2, sizeof(*marks->tunnels));
	if (!p->config->connections || !marks->connections || !marks->tunnels) {
		config_error(&p->diag, n, "out of memory");
		return;
	}
	memset(&builtin, 0, sizeof(builtin));
	config_map_defaults(p, &config_defaults_map, &builtin);
	for (item = n->first; item; item = item->next, i++) {
		p->config->n_connections = i + 1;
		read_connection(p, item, &builtin, &p->config->connections[i]);
	}
}
