/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tables: every key of the configuration, and the structs that hold a map's values together with
 * the places where they stand until all checks are done.
 */
#ifndef CONFIG_TABLES_H
#define CONFIG_TABLES_H

#include "config/schema.h"

/* A tunnel in work: its defaults, those of its connection, then its own keys laid over them. */
struct config_tunnel_work {
	struct config_tunnel t;
	const struct config_node *at_name, *at_local, *at_remote, *at_interface, *at_inside;
	const struct config_node *at_local_id, *at_remote_id, *at_psk_file, *at_startup;
	/* Authentication: read into `t` by config_auth_complete(). */
	enum config_auth auth;
	bool ppk_required;
	const struct config_node *at_psk_files, *at_local_auth, *at_remote_auth, *at_wildcard;
	const struct config_node *at_certificates, *at_private_key, *at_peer_key, *at_ca_files;
	const struct config_node *at_crl_files, *at_ocsp_file, *at_ppk, *at_ppk_id, *at_ppk_file;
	const struct config_node *at_ike, *at_ike_lifetime, *at_ike_more_ke, *at_esp_more_ke;
	const struct config_node *at_esp, *at_esp_lifetime, *at_pfs, *at_replay;
	const struct config_node *at_margin, *at_dpd, *at_dpd_interval, *at_dpd_timeout;
	const struct config_node *at_additional, *at_port_entropy;
	const struct config_node *at_bgp, *at_remote_as, *at_neighbor, *at_families;
	const struct config_node *at_bgp_password, *at_role_strict;
	const struct config_node *at_bfd, *at_bfd_interval, *at_failover_target;
	const struct config_node *at_bfd_neighbor, *at_bfd_ttl;
	const struct config_node *at_probe, *at_probe_address;
};

struct config_connection_work {
	struct config_connection c;
	const struct config_node *at_name, *at_local_networks, *at_remote_networks;
	const struct config_node *at_static_routes, *at_defaults, *at_tunnels;
	const struct config_node *at_route_table, *at_propagate_to, *at_filter_in, *at_advertise;
	const struct config_node *at_cloudhub, *at_max_advertised, *at_translate;
	const struct config_node *at_linux_import;
};

struct config_table_work {
	struct config_table t;
	const struct config_node *at_name, *at_static_routes, *at_blackholes, *at_linux_table;
};

/* An item of `static_routes`, of `aggregates`, of a filter. */
struct config_table_route_work {
	struct config_table_route r;
	const struct config_node *at_prefix, *at_connection;
};

struct config_aggregate_work {
	struct config_aggregate a;
	const struct config_node *at_prefix;
};

struct config_filter_work {
	struct ip_prefix permit, deny;
	unsigned ge, le;
	const struct config_node *at_permit, *at_deny, *at_ge, *at_le;
};

struct config_translate_work {
	struct ip_prefix theirs, ours, as;
	const struct config_node *at_theirs, *at_ours, *at_as;
};

struct config_port_work {
	struct config_port p;
	const struct config_node *at_name, *at_device, *at_addresses, *at_gateway, *at_mtu;
	const struct config_node *at_route_table;
};

struct config_device_work {
	char pci[CONFIG_PATH_SIZE], vdev[CONFIG_PATH_SIZE];
	const struct config_node *at_pci, *at_vdev;
};

struct config_root_work {
	struct config c;
	uint64_t version;
	size_t n_cpus;
	const struct config_node *at_workers, *at_cpus, *at_max_sas, *at_max_tunnels;
	const struct config_node *at_cookie, *at_half_open_source, *at_router_id;
	const struct config_node *at_ecmp, *at_routing_local, *at_linux_routes, *at_linux_table;
	const struct config_node *at_linux_import;
	const struct config_node *at_backend;
};

/* An item of `certificates`. */
struct config_certificate_work {
	char certificate[CONFIG_PATH_SIZE], private_key[CONFIG_PATH_SIZE];
	const struct config_node *at_certificate, *at_private_key;
};

extern const struct config_map config_root_map;
extern const struct config_map config_port_map;
extern const struct config_map config_device_map;
extern const struct config_map config_certificate_map;
extern const struct config_map config_connection_map;
extern const struct config_map config_route_table_map;
extern const struct config_map config_table_route_map;
extern const struct config_map config_aggregate_map;
extern const struct config_map config_filter_map;
extern const struct config_map config_translate_map;
extern const struct config_map config_defaults_map; /* into config_tunnel_work */
extern const struct config_map config_tunnel_map;   /* into config_tunnel_work */

/* Rows of the tables that are more than one scalar. `work`: the whole struct of the map. */
void config_handle_backend(struct config_parse *p, const struct config_node *n, void *field);
void config_handle_cpus(struct config_parse *p, const struct config_node *n, void *field);
void config_handle_ports(struct config_parse *p, const struct config_node *n, void *field);
void config_handle_device(struct config_parse *p, const struct config_node *n, void *work);
void config_handle_port_addresses(struct config_parse *p, const struct config_node *n, void *work);
void config_handle_gateways(struct config_parse *p, const struct config_node *n, void *field);
void config_handle_connections(struct config_parse *p, const struct config_node *n, void *field);
void config_handle_local_networks(struct config_parse *p, const struct config_node *n, void *work);
void config_handle_remote_networks(struct config_parse *p, const struct config_node *n, void *work);
void config_handle_static_routes(struct config_parse *p, const struct config_node *n, void *work);
void config_handle_network(struct config_parse *p, const struct config_node *n, void *field);
void config_handle_routing_local(struct config_parse *p, const struct config_node *n, void *work);
void config_handle_route_tables(struct config_parse *p, const struct config_node *n, void *work);
void config_handle_table_routes(struct config_parse *p, const struct config_node *n, void *work);
void config_handle_blackholes(struct config_parse *p, const struct config_node *n, void *work);
void config_handle_aggregates(struct config_parse *p, const struct config_node *n, void *work);
void config_handle_propagate_to(struct config_parse *p, const struct config_node *n, void *work);
void config_handle_filter_in(struct config_parse *p, const struct config_node *n, void *work);
void config_handle_filter_out(struct config_parse *p, const struct config_node *n, void *work);
void config_handle_translate(struct config_parse *p, const struct config_node *n, void *work);
void config_handle_advertise(struct config_parse *p, const struct config_node *n, void *work);
void config_handle_protocols(struct config_parse *p, const struct config_node *n, void *field);
void config_handle_later(struct config_parse *p, const struct config_node *n, void *field);
void config_handle_inside(struct config_parse *p, const struct config_node *n, void *field);
void config_handle_additional(struct config_parse *p, const struct config_node *n, void *work);
void config_handle_ike_encr(struct config_parse *p, const struct config_node *n, void *field);
void config_handle_esp_encr(struct config_parse *p, const struct config_node *n, void *field);
void config_handle_id(struct config_parse *p, const struct config_node *n, void *field);
void config_handle_paths(struct config_parse *p, const struct config_node *n, void *field);
void config_handle_one_path(struct config_parse *p, const struct config_node *n, void *field);
void config_handle_certificates(struct config_parse *p, const struct config_node *n, void *field);
void config_handle_integ(struct config_parse *p, const struct config_node *n, void *field);
void config_handle_prf(struct config_parse *p, const struct config_node *n, void *field);
void config_handle_dh(struct config_parse *p, const struct config_node *n, void *field);
void config_handle_more_ke(struct config_parse *p, const struct config_node *n, void *field);
void config_handle_kem(struct config_parse *p, const struct config_node *n, void *field);
void config_handle_pfs(struct config_parse *p, const struct config_node *n, void *field);
void config_handle_families(struct config_parse *p, const struct config_node *n, void *work);
void config_handle_esn(struct config_parse *p, const struct config_node *n, void *field);

/* Gathers a tunnel's files and, if all went well so far, says what its authentication lacks. */
bool config_auth_complete(struct config_parse *p, const struct config_node *at,
			  struct config_tunnel_work *w, bool good);

/* What a tunnel's `bgp`, `bfd`, `probe` and `failover_target` do not say by themselves; false when reported. */
bool config_bgp_complete(struct config_parse *p, const struct config_node *at,
			 const struct config_connection *c, struct config_tunnel_work *w);
/* What the gateway's `bgp` gives to its tunnels. */
void config_bgp_complete_root(struct config_parse *p, struct config_root_work *w);

#endif
