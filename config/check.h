/* SPDX-License-Identifier: Apache-2.0 */
/*
 * check: what must hold between values that are right by themselves. Values that were reported
 * already are left out, so that one mistake makes one message.
 */
#ifndef CONFIG_CHECK_H
#define CONFIG_CHECK_H

#include "config/tables.h"

/* Where the things stand that cross checks compare; NULL where a key is missing or was wrong. */
struct config_marks {
	struct config_tunnel_mark {
		const struct config_tunnel *t;
		const struct config_connection *c;
		const struct config_node *map, *name, *local, *remote, *interface, *inside,
			*psk_file, *additional, *bgp, *probe_address;
	} * tunnels;
	size_t n_tunnels;
	struct config_connection_mark {
		struct config_connection *c;
		const struct config_node *map, *name,
			*routes; /* the list that the routes come from */
		const struct config_node *route_table, *propagate_to, *filter_in, *advertise;
		const struct config_node *cloudhub, *max_advertised, *translate;
		const struct config_node *local_networks, *remote_networks;
		const struct config_node *linux_import;
	} * connections;
	size_t n_connections;
	struct config_port_mark {
		const struct config_port *p;
		const struct config_node *map, *name, *device, *addresses, *route_table;
	} * ports;
	size_t n_ports;
	struct config_table_mark {
		const struct config_node *name, *static_routes, *blackholes, *linux_table;
	} * tables; /* as many as p->config->routing.n_tables */
	const struct config_node *ecmp, *routing_local, *linux_routes, *linux_table, *linux_import;
};

/* One map, when it was read. */
void config_check_port(struct config_parse *p, const struct config_port_work *w);
void config_check_connection(struct config_parse *p, const struct config_connection_work *w);
void config_check_tunnel(struct config_parse *p, const struct config_node *map,
			 const struct config_tunnel_work *w);
/* Everything together. */
void config_check_root(struct config_parse *p, const struct config_root_work *w);
void config_check_all(struct config_parse *p);
/* Tables, their routes, and what connections say of them (routes.c). */
void config_check_routes(struct config_parse *p);

/* translate.c: whether other names fit to all that uses them. */
void config_check_translations(struct config_parse *p);

/* routing.c: what depends on other maps, once all were read. */
void config_complete_routing(struct config_parse *p);

#endif
