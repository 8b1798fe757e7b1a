/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The configuration's way from text to struct, in four steps, each in its own file:
 *
 *	tree.c      YAML text -> bounded tree of nodes with their places
 *	schema.c    tree -> structs, led by the tables of tables.c (scalars in scalar.c, lists in
 *	            ports.c, connections.c, routing.c and algorithms.c)
 *	check.c     what must hold between the values of one map
 *	unique.c    what must hold between maps (routes.c: between routes)
 *
 * Called by the supervisor before it starts or reloads anything, by each process on the text that
 * the supervisor hands it, and by `twinbore check`. Every step reports into one collection of
 * errors (diag.c) and goes on as far as it can, so that one run shows all mistakes.
 *
 * Invariants: no allocation is larger than a constant times the text; the same text gives the same
 * struct; nothing outside the text (files, interfaces, time) is looked at.
 * Non-goals: YAML beyond maps, lists and scalars (aliases, tags, merge keys: see tree.h).
 */
#include "config/config.h"

#include <stdlib.h>
#include <string.h>
#include "config/check.h"

static void free_content(struct config *c)
{
	size_t i;

	for (i = 0; i < c->n_ports; i++)
		free(c->ports[i].addresses);
	for (i = 0; i < c->n_connections; i++) {
		free(c->connections[i].local_networks);
		free(c->connections[i].remote_networks);
		free(c->connections[i].static_routes);
		free(c->connections[i].propagate_to);
		free(c->connections[i].filter_in);
		free(c->connections[i].filter_out);
		free(c->connections[i].advertise);
		free(c->connections[i].translations);
	}
	for (i = 0; i < c->routing.n_tables; i++) {
		free(c->routing.tables[i].static_routes);
		free(c->routing.tables[i].blackholes);
		free(c->routing.tables[i].aggregates);
	}
	free(c->routing.tables);
	free(c->routing.local_networks);
	free(c->ports);
	free(c->connections);
	free(c->worker_cpus);
}

void config_free(struct config *c)
{
	if (!c)
		return;
	free_content(c);
	free(c);
}

static void read_root(struct config_parse *p, const struct config_node *root,
		      struct config_root_work *w)
{
	config_map_defaults(p, &config_root_map, w);
	(void)config_map_apply(p, &config_root_map, root, true, w);
	if (w->at_cpus && !w->at_workers)
		w->c.n_workers = (unsigned)w->n_cpus;
	config_bgp_complete_root(p, w);
	p->marks->ecmp = w->at_ecmp;
	p->marks->routing_local = w->at_routing_local;
	p->marks->linux_routes = w->at_linux_routes;
	p->marks->linux_table = w->at_linux_table;
	p->marks->linux_import = w->at_linux_import;
	config_complete_routing(p);
	config_check_root(p, w);
	config_check_all(p);
}

struct config *config_parse(const char *text, size_t size, struct config_errors *errors)
{
	struct config_marks marks = {.n_tunnels = 0};
	struct config_root_work w = {.version = 0};
	struct config_parse p = {.config = &w.c, .marks = &marks};
	const struct config_node *root;
	struct config *c = NULL;

	config_diag_init(&p.diag, errors);
	p.tree = config_tree_new();
	if (!p.tree) {
		config_error_at(&p.diag, 0, 0, "out of memory");
		goto out;
	}
	root = config_tree_parse(p.tree, text, size, &p.diag);
	if (!root)
		goto out;
	read_root(&p, root, &w);
	if (errors->n)
		goto out;
	c = malloc(sizeof(*c));
	if (c)
		*c = w.c;
	else
		config_error_at(&p.diag, 0, 0, "out of memory");
out:
	config_diag_finish(&p.diag);
	if (!c)
		free_content(&w.c);
	free(marks.tunnels);
	free(marks.connections);
	free(marks.ports);
	free(marks.tables);
	config_tree_free(p.tree);
	return c;
}

const struct config_tunnel *config_tunnel_by_name(const struct config *c, const char *name,
						  const struct config_connection **connection)
{
	size_t i, j;

	for (i = 0; i < c->n_connections; i++) {
		for (j = 0; j < c->connections[i].n_tunnels; j++) {
			if (strcmp(c->connections[i].tunnels[j].name, name) != 0)
				continue;
			if (connection)
				*connection = &c->connections[i];
			return &c->connections[i].tunnels[j];
		}
	}
	return NULL;
}

const struct config_connection *config_connection_by_name(const struct config *c, const char *name)
{
	size_t i;

	for (i = 0; i < c->n_connections; i++)
		if (!strcmp(c->connections[i].name, name))
			return &c->connections[i];
	return NULL;
}

const struct config_table *config_table_by_name(const struct config *c, const char *name)
{
	size_t i;

	for (i = 0; i < c->routing.n_tables; i++)
		if (!strcmp(c->routing.tables[i].name, name))
			return &c->routing.tables[i];
	return NULL;
}

const struct config_table *config_table_by_index(const struct config *c, uint16_t index)
{
	size_t i;

	for (i = 0; i < c->routing.n_tables; i++)
		if (c->routing.tables[i].index == index)
			return &c->routing.tables[i];
	return NULL;
}
