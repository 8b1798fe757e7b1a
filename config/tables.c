/* SPDX-License-Identifier: Apache-2.0 */
#include "config/tables.h"

#include <assert.h>
#include "twinbore/dp_msg.h"
#include "twinbore/dp_stats.h"

#define MS_S   1000ull
#define MS_MIN (60 * MS_S)
#define MS_H   (60 * MS_MIN)
#define MS_DAY (24 * MS_H)

#define N(array) (sizeof(array) / sizeof((array)[0]))
#define MAP(text, rows)                                                                            \
	{                                                                                          \
		.what = text, .keys = rows, .n = N(rows)                                           \
	}

static const char *const log_levels[] = {"error", "warn", "info", "debug", NULL};
static const char *const log_formats[] = {"text", "json", NULL};
static const char *const hugepages[] = {"auto", "require", "off", NULL};
static const char *const backends[] = {"auto",     "ipsec-mb",  "openssl", "vaes",
				       "vaes-256", "cryptodev", NULL};
static const char *const spreads[] = {"auto", "off", NULL};
static const char *const offloads[] = {"auto", "off", "inline-crypto", NULL};
static const char *const startups[] = {"start", "add", NULL};
static const char *const dpd_actions[] = {"clear", "none", "restart", NULL};
static const char *const dfs[] = {"copy", "clear", "set", NULL};
static const char *const pqs[] = {"off", "prefer", "require", NULL};
static const char *const auths[] = {"psk", "certificate", "raw-key", NULL};
static const char *const revocations[] = {"relaxed", "strict", NULL};
static const char *const encaps[] = {"auto", "force", NULL};
static const char *const bgp_roles[] = {"none",     "provider", "rs", "rs-client",
					"customer", "peer",     NULL};
static const char *const roles[] = {"customer-gateway", "virtual-private-gateway",
				    "transit-gateway", NULL};
static const char *const attachments[] = {
	"vpn", "direct-connect", "connect", "vpn-private", "concentrator", "peering", NULL};
static const char *const redirects[] = {"refuse", "follow", NULL};

/* The words stand in the order of their enums. */
static_assert(LOG_LEVEL_ERROR == 0 && LOG_LEVEL_DEBUG == 3, "log_levels");
static_assert(LOG_FORMAT_TEXT == 0 && LOG_FORMAT_JSON == 1, "log_formats");
static_assert(CONFIG_OFFLOADS_AUTO == 0 && CONFIG_OFFLOADS_INLINE_CRYPTO == 2, "offloads");
static_assert(CONFIG_SPREAD_AUTO == 0 && CONFIG_SPREAD_OFF == 1, "spreads");
static_assert(CONFIG_HUGEPAGES_AUTO == 0 && CONFIG_HUGEPAGES_OFF == 2, "hugepages");
static_assert(CONFIG_STARTUP_START == 0 && CONFIG_STARTUP_ADD == 1, "startups");
static_assert(CONFIG_DPD_CLEAR == 0 && CONFIG_DPD_RESTART == 2, "dpd_actions");
static_assert(CONFIG_AUTH_PSK == 0 && CONFIG_AUTH_RAW_KEY == 2, "auths");
static_assert(CONFIG_REVOCATION_RELAXED == 0 && CONFIG_REVOCATION_STRICT == 1, "revocations");
static_assert(CONFIG_BGP_ROLE_NONE == 0 && CONFIG_BGP_ROLE_PEER == 5, "bgp_roles");
static_assert(CONFIG_ROLE_CUSTOMER == 0 && CONFIG_ROLE_TRANSIT == 2, "roles");
static_assert(CONFIG_ATTACH_VPN == 0 && CONFIG_ATTACH_PEERING == 5, "attachments");
static_assert(CONFIG_DF_COPY == 0 && CONFIG_DF_SET == 2, "dfs");

/* ------------------------------------------------------------------ gateway */

#define ROOT(member) CONFIG_FIELD(struct config_root_work, member)
#define ROOT_AT(m)   .at = offsetof(struct config_root_work, m)

static const struct config_key log_keys[] = {
	{"level", CONFIG_WORD, .words = log_levels, .def = "info", ROOT(c.log_level)},
	{"format", CONFIG_WORD, .words = log_formats, .def = "text", ROOT(c.log_format)},
};
static const struct config_map log_map = MAP("'log'", log_keys);

static const struct config_key gateway_keys[] = {
	{"name", CONFIG_NAME, .required = true, .hint = "'name: my-gateway'",
	 .max = CONFIG_NAME_SIZE - 1, ROOT(c.name)},
	{"user", CONFIG_NAME, .max = CONFIG_NAME_SIZE - 1, .def = "twinbore", ROOT(c.user)},
	{"state_directory", CONFIG_PATH, .def = "/var/lib/twinbore", ROOT(c.state_directory)},
	{"control_socket", CONFIG_PATH, .def = "/run/twinbore/control.sock",
	 ROOT(c.control_socket)},
	{"control_group", CONFIG_TEXT, ROOT(c.control_group)},
	{"log", CONFIG_MAP, .map = &log_map},
};
static const struct config_map gateway_map = MAP("'gateway'", gateway_keys);

static const struct config_key dataplane_keys[] = {
	{"workers", CONFIG_UINT, .min = 1, .max = DP_STATS_MAX_WORKERS, .def = "1",
	 ROOT(c.n_workers), ROOT_AT(at_workers)},
	{"cpus", CONFIG_CUSTOM, .handle = config_handle_cpus, ROOT_AT(at_cpus)},
	{"hugepages", CONFIG_WORD, .words = hugepages, .def = "auto", ROOT(c.hugepages)},
	{"memory", CONFIG_UINT, .min = 192, .max = 1048576, .def = "256", ROOT(c.memory_mb)},
	{"max_sas", CONFIG_UINT, .min = 16, .max = 1u << DP_SLOT_BITS, .def = "4096",
	 ROOT(c.max_sas), ROOT_AT(at_max_sas)},
	{"max_tunnels", CONFIG_UINT, .min = 2, .max = 1700, .def = "1024", ROOT(c.max_tunnels),
	 ROOT_AT(at_max_tunnels)},
	{"aead_backend", CONFIG_CUSTOM, .words = backends, .def = "auto",
	 .handle = config_handle_backend, ROOT(c.aead_backend), ROOT_AT(at_backend)},
	{"crypto_device", CONFIG_TEXT, ROOT(c.crypto_device)},
	{"spread_crypto", CONFIG_WORD, .words = spreads, .def = "auto", ROOT(c.spread_crypto)},
	{"path_mtu_discovery", CONFIG_BOOL, .def = "true", ROOT(c.path_mtu_discovery)},
};
static const struct config_map dataplane_map = MAP("'dataplane'", dataplane_keys);

static const struct config_key ike_global_keys[] = {
	{"max_half_open", CONFIG_UINT, .min = 1, .max = 1000000, .def = "1000",
	 ROOT(c.max_half_open)},
	{"cookie_threshold", CONFIG_UINT, .min = 0, .max = 1000000, .def = "100",
	 ROOT(c.cookie_threshold), ROOT_AT(at_cookie)},
	{"puzzle_threshold", CONFIG_UINT, .min = 0, .max = 1000000, .def = "500",
	 ROOT(c.puzzle_threshold)},
	{"max_half_open_per_source", CONFIG_UINT, .min = 1, .max = 1000000, .def = "20",
	 ROOT(c.max_half_open_source), ROOT_AT(at_half_open_source)},
};
static const struct config_map ike_global_map = MAP("'ike'", ike_global_keys);

static const struct config_key bgp_global_keys[] = {
	{"local_as", CONFIG_UINT, .min = 1, .max = UINT32_MAX - 1, ROOT(c.bgp_local_as)},
	{"router_id", CONFIG_ADDRESS, ROOT(c.bgp_router_id), ROOT_AT(at_router_id)},
};
static const struct config_map bgp_global_map = MAP("'bgp'", bgp_global_keys);
static const struct config_key linux_routes_keys[] = {
	{"table", CONFIG_UINT, .min = 1, .max = UINT32_MAX, ROOT(c.routing.linux_routes.table),
	 ROOT_AT(at_linux_table)},
	{"protocol", CONFIG_UINT, .min = 5, .max = 255, .def = "84",
	 ROOT(c.routing.linux_routes.protocol)},
	{"metric", CONFIG_UINT, .min = 1, .max = UINT32_MAX, .def = "512",
	 ROOT(c.routing.linux_routes.metric)},
	{"max_routes", CONFIG_UINT, .min = 1, .max = 4000000, .def = "100000",
	 ROOT(c.routing.linux_routes.max_routes)},
};
static const struct config_map linux_routes_map = MAP("'linux_routes'", linux_routes_keys);

static const struct config_key linux_import_keys[] = {
	{"table", CONFIG_UINT, .min = 1, .max = UINT32_MAX, .def = "254",
	 ROOT(c.routing.linux_import.table)},
	{"protocols", CONFIG_CUSTOM, .handle = config_handle_protocols, .required = true,
	 .hint = "'protocols: [bird]', or by numbers as in /etc/iproute2/rt_protos",
	 ROOT(c.routing.linux_import.protocols)},
};
static const struct config_map linux_import_map = MAP("'linux_import'", linux_import_keys);

static const struct config_key routing_keys[] = {
	{"role", CONFIG_WORD, .words = roles, .def = "customer-gateway", ROOT(c.routing.role)},
	{"ecmp", CONFIG_BOOL, ROOT(c.routing.ecmp), ROOT_AT(at_ecmp)},
	{"local_networks", CONFIG_CUSTOM, .handle = config_handle_routing_local,
	 ROOT_AT(at_routing_local)},
	{"tables", CONFIG_CUSTOM, .map = &config_route_table_map,
	 .handle = config_handle_route_tables},
	{"linux_routes", CONFIG_MAP, .map = &linux_routes_map, ROOT_AT(at_linux_routes)},
	{"linux_import", CONFIG_MAP, .map = &linux_import_map, ROOT_AT(at_linux_import)},
};
static const struct config_map routing_map = MAP("'routing'", routing_keys);

static const struct config_key root_keys[] = {
	{"version", CONFIG_UINT, .required = true, .hint = "'version: 1' at the top", .min = 1,
	 .max = 1, ROOT(version)},
	{"gateway", CONFIG_MAP, .required = true, .hint = "'gateway: {name: my-gateway}'",
	 .map = &gateway_map},
	{"dataplane", CONFIG_MAP, .map = &dataplane_map},
	{"ike", CONFIG_MAP, .map = &ike_global_map},
	{"bgp", CONFIG_MAP, .map = &bgp_global_map},
	{"routing", CONFIG_MAP, .map = &routing_map},
	{"ports", CONFIG_CUSTOM, .required = true,
	 .hint = "'ports:' with a list of the network interfaces", .map = &config_port_map,
	 .handle = config_handle_ports},
	{"connections", CONFIG_CUSTOM, .map = &config_connection_map,
	 .handle = config_handle_connections},
};
const struct config_map config_root_map = MAP("the configuration", root_keys);

/* -------------------------------------------------------------------- ports */

#define PORT(member) CONFIG_FIELD(struct config_port_work, p.member)
#define PORT_AT(m)   .at = offsetof(struct config_port_work, m)

static const struct config_key port_keys[] = {
	{"name", CONFIG_NAME, .required = true, .hint = "'name: wan'", .max = 15, PORT(name),
	 PORT_AT(at_name)},
	{"device", CONFIG_CUSTOM, .required = true,
	 .hint = "'device: {pci: \"0000:3b:00.0\"}' or 'device: {vdev: \"net_af_xdp,iface=eth0\"}'",
	 .map = &config_device_map, .handle = config_handle_device, PORT_AT(at_device)},
	{"addresses", CONFIG_CUSTOM, .required = true, .hint = "'addresses: [192.0.2.1/24]'",
	 .handle = config_handle_port_addresses, PORT_AT(at_addresses)},
	{"gateway", CONFIG_CUSTOM, .handle = config_handle_gateways, PORT(gateway),
	 PORT_AT(at_gateway)},
	{"mtu", CONFIG_UINT, .min = 576, .max = 9216, .def = "1500", PORT(mtu), PORT_AT(at_mtu)},
	{"offloads", CONFIG_WORD, .words = offloads, .def = "auto", PORT(offloads)},
	{"route_table", CONFIG_NAME, .max = CONFIG_NAME_SIZE - 1, .def = CONFIG_MAIN_TABLE,
	 PORT(route_table), PORT_AT(at_route_table)},
};
const struct config_map config_port_map = MAP("a port", port_keys);

static const struct config_key device_keys[] = {
	{"pci", CONFIG_TEXT, CONFIG_FIELD(struct config_device_work, pci),
	 .at = offsetof(struct config_device_work, at_pci)},
	{"vdev", CONFIG_TEXT, CONFIG_FIELD(struct config_device_work, vdev),
	 .at = offsetof(struct config_device_work, at_vdev)},
};
const struct config_map config_device_map = MAP("'device'", device_keys);

/* ------------------------------------------------------------------ tunnels */

#define TUNNEL(member) CONFIG_FIELD(struct config_tunnel_work, member)
#define TUNNEL_AT(m)   .at = offsetof(struct config_tunnel_work, m)

static const struct config_key tunnel_ike_keys[] = {
	{"encryption", CONFIG_CUSTOM, .def = "[aes-256-gcm-16, aes-128-gcm-16, aes-256-cbc]",
	 .handle = config_handle_ike_encr, TUNNEL(t.ike_encr)},
	{"integrity", CONFIG_CUSTOM, .def = "[sha2-384, sha2-256]", .handle = config_handle_integ,
	 TUNNEL(t.ike_integ)},
	{"prf", CONFIG_CUSTOM, .def = "[sha2-384, sha2-256]", .handle = config_handle_prf,
	 TUNNEL(t.ike_prf)},
	{"dh", CONFIG_CUSTOM, .def = "[31, 20, 19, 14]", .handle = config_handle_dh,
	 TUNNEL(t.ike_dh)},
	{"pq", CONFIG_WORD, .words = pqs, .def = "off", TUNNEL(t.pq)},
	{"pq_kem", CONFIG_CUSTOM, .def = "[ml-kem-768]", .handle = config_handle_kem,
	 TUNNEL(t.ike_kem)},
	{"additional_key_exchanges", CONFIG_CUSTOM, .handle = config_handle_more_ke,
	 TUNNEL(t.ike_more_ke), TUNNEL_AT(at_ike_more_ke)},
	{"lifetime", CONFIG_DURATION, .min = 10 * MS_S, .max = 30 * MS_DAY, .def = "8h",
	 TUNNEL(t.ike_lifetime), TUNNEL_AT(at_ike_lifetime)},
};
static const struct config_map tunnel_ike_map = MAP("'ike' of a tunnel", tunnel_ike_keys);

static const struct config_key tunnel_esp_keys[] = {
	{"encryption", CONFIG_CUSTOM, .def = "[aes-256-gcm-16, aes-128-gcm-16, aes-256-cbc]",
	 .handle = config_handle_esp_encr, TUNNEL(t.esp_encr)},
	{"integrity", CONFIG_CUSTOM, .def = "[sha2-384, sha2-256]", .handle = config_handle_integ,
	 TUNNEL(t.esp_integ)},
	{"pfs", CONFIG_CUSTOM, .def = "[31, 20, 19, 14]", .handle = config_handle_pfs,
	 TUNNEL(t.esp_pfs), TUNNEL_AT(at_pfs)},
	{"esn", CONFIG_CUSTOM, .def = "[true, false]", .handle = config_handle_esn,
	 TUNNEL(t.esp_esn)},
	{"pq", CONFIG_WORD, .words = pqs, .def = "off", TUNNEL(t.esp_pq)},
	{"pq_kem", CONFIG_CUSTOM, .def = "[ml-kem-768]", .handle = config_handle_kem,
	 TUNNEL(t.esp_kem)},
	{"additional_key_exchanges", CONFIG_CUSTOM, .handle = config_handle_more_ke,
	 TUNNEL(t.esp_more_ke), TUNNEL_AT(at_esp_more_ke)},
	{"lifetime", CONFIG_DURATION, .min = 10 * MS_S, .max = 7 * MS_DAY, .def = "1h",
	 TUNNEL(t.child_lifetime), TUNNEL_AT(at_esp_lifetime)},
	{"replay_window", CONFIG_UINT, .min = 0, .max = 4096, .def = "1024",
	 TUNNEL(t.replay_window), TUNNEL_AT(at_replay)},
	{"df", CONFIG_WORD, .words = dfs, .def = "copy", TUNNEL(t.df)},
	{"copy_dscp", CONFIG_BOOL, .def = "false", TUNNEL(t.copy_dscp)},
};
static const struct config_map tunnel_esp_map = MAP("'esp'", tunnel_esp_keys);

static const struct config_key dpd_keys[] = {
	{"interval", CONFIG_DURATION, .min = 100, .max = MS_H, .def = "10s", TUNNEL(t.dpd_interval),
	 TUNNEL_AT(at_dpd_interval)},
	{"timeout", CONFIG_DURATION, .min = 200, .max = MS_DAY, .def = "40s", TUNNEL(t.dpd_timeout),
	 TUNNEL_AT(at_dpd_timeout)},
	{"action", CONFIG_WORD, .words = dpd_actions, .def = "restart", TUNNEL(t.dpd_action)},
};
static const struct config_map dpd_map = MAP("'dpd'", dpd_keys);

static const struct config_key certificate_keys[] = {
	{"certificate", CONFIG_PATH, .required = true,
	 .hint = "'certificate: /etc/twinbore/gw.crt'",
	 CONFIG_FIELD(struct config_certificate_work, certificate),
	 .at = offsetof(struct config_certificate_work, at_certificate)},
	{"private_key", CONFIG_PATH, .required = true,
	 .hint = "'private_key: /etc/twinbore/gw.key'",
	 CONFIG_FIELD(struct config_certificate_work, private_key),
	 .at = offsetof(struct config_certificate_work, at_private_key)},
};
const struct config_map config_certificate_map = MAP("a certificate", certificate_keys);

static const struct config_key ppk_keys[] = {
	{"id", CONFIG_TEXT, TUNNEL(t.ppk_id), TUNNEL_AT(at_ppk_id)},
	{"file", CONFIG_CUSTOM, .handle = config_handle_one_path, TUNNEL_AT(at_ppk_file)},
	{"required", CONFIG_BOOL, .def = "true", TUNNEL(ppk_required)},
};
static const struct config_map ppk_map = MAP("'ppk'", ppk_keys);

static const struct config_key tunnel_bgp_keys[] = {
	{"remote_as", CONFIG_UINT, .min = 1, .max = UINT32_MAX - 1, TUNNEL(t.bgp.remote_as),
	 TUNNEL_AT(at_remote_as)},
	{"local_as", CONFIG_UINT, .min = 1, .max = UINT32_MAX - 1, TUNNEL(t.bgp.local_as)},
	{"neighbor", CONFIG_ADDRESS, TUNNEL(t.bgp.neighbor), TUNNEL_AT(at_neighbor)},
	{"families", CONFIG_CUSTOM, .handle = config_handle_families, TUNNEL_AT(at_families)},
	{"passive", CONFIG_BOOL, .def = "false", TUNNEL(t.bgp.passive)},
	{"password_file", CONFIG_CUSTOM, .handle = config_handle_one_path,
	 TUNNEL_AT(at_bgp_password)},
	{"ttl_security", CONFIG_BOOL, .def = "false", TUNNEL(t.bgp.ttl_security)},
	{"hold_time", CONFIG_DURATION, .zero_ok = true, .min = 3 * MS_S, .max = 65535 * MS_S,
	 .def = "30s", TUNNEL(t.bgp.hold_time)},
	{"connect_retry", CONFIG_DURATION, .min = MS_S, .max = MS_H, .def = "10s",
	 TUNNEL(t.bgp.connect_retry)},
	{"graceful_restart", CONFIG_DURATION, .zero_ok = true, .min = MS_S, .max = 4095 * MS_S,
	 .def = "2m", TUNNEL(t.bgp.graceful_restart)},
	{"stale_time", CONFIG_DURATION, .min = MS_S, .max = MS_H, .def = "5m",
	 TUNNEL(t.bgp.stale_time)},
	{"max_prefixes", CONFIG_UINT, .min = 0, .max = 10000000, .def = "10000",
	 TUNNEL(t.bgp.max_prefixes)},
	{"max_prefixes_restart", CONFIG_DURATION, .zero_ok = true, .min = MS_S, .max = MS_DAY,
	 .def = "15m", TUNNEL(t.bgp.max_prefixes_restart)},
	{"med", CONFIG_UINT, .min = 0, .max = UINT32_MAX, .def = "100", TUNNEL(t.bgp.med)},
	{"prepend", CONFIG_UINT, .min = 0, .max = 10, .def = "0", TUNNEL(t.bgp.prepend)},
	{"next_hop_self", CONFIG_BOOL, .def = "true", TUNNEL(t.bgp.next_hop_self)},
	{"extended_messages", CONFIG_BOOL, .def = "true", TUNNEL(t.bgp.extended_messages)},
	{"add_path", CONFIG_BOOL, .def = "false", TUNNEL(t.bgp.add_path)},
	{"role", CONFIG_WORD, .words = bgp_roles, .def = "none", TUNNEL(t.bgp.role)},
	{"role_strict", CONFIG_BOOL, .def = "false", TUNNEL(t.bgp.role_strict),
	 TUNNEL_AT(at_role_strict)},
	{"graceful_shutdown", CONFIG_BOOL, .def = "false", TUNNEL(t.bgp.graceful_shutdown)},
};
static const struct config_map tunnel_bgp_map = MAP("'bgp' of a tunnel", tunnel_bgp_keys);

static const struct config_key bfd_keys[] = {
	{"interval", CONFIG_DURATION, .min = 5, .max = 60 * MS_S, .def = "300ms",
	 TUNNEL(t.bfd.interval), TUNNEL_AT(at_bfd_interval)},
	{"multiplier", CONFIG_UINT, .min = 1, .max = 50, .def = "3", TUNNEL(t.bfd.multiplier)},
	{"passive", CONFIG_BOOL, .def = "false", TUNNEL(t.bfd.passive)},
	{"multihop", CONFIG_BOOL, .def = "false", TUNNEL(t.bfd.multihop)},
	{"neighbor", CONFIG_ADDRESS, TUNNEL(t.bfd.neighbor), TUNNEL_AT(at_bfd_neighbor)},
	{"min_ttl", CONFIG_UINT, .min = 1, .max = 255, .def = "1", TUNNEL(t.bfd.min_ttl),
	 TUNNEL_AT(at_bfd_ttl)},
};
static const struct config_map bfd_map = MAP("'bfd'", bfd_keys);

static const struct config_key probe_keys[] = {
	{"interval", CONFIG_DURATION, .min = 20, .max = 60 * MS_S, .def = "1s",
	 TUNNEL(t.probe.interval)},
	{"failures", CONFIG_UINT, .min = 1, .max = 50, .def = "3", TUNNEL(t.probe.failures)},
	{"address", CONFIG_ADDRESS, TUNNEL(t.probe.address), TUNNEL_AT(at_probe_address)},
};
static const struct config_map probe_map = MAP("'probe'", probe_keys);

/* The first rows are a tunnel's own; the others may stand in `defaults` too. */
#define N_TUNNEL_ONLY 4
static const struct config_key tunnel_keys[] = {
	{"name", CONFIG_NAME, .required = true, .hint = "'name: site-b-1'",
	 .max = CONFIG_NAME_SIZE - 1, TUNNEL(t.name), TUNNEL_AT(at_name)},
	{"remote_address", CONFIG_ADDRESS, TUNNEL(t.remote), TUNNEL_AT(at_remote)},
	{"interface", CONFIG_NAME, .max = 15, TUNNEL(t.interface), TUNNEL_AT(at_interface)},
	{"inside_addresses", CONFIG_CUSTOM, .handle = config_handle_inside, TUNNEL(t.inside),
	 TUNNEL_AT(at_inside)},

	{"local_address", CONFIG_ADDRESS, .required = true,
	 .hint = "'local_address:' with an address of a port", TUNNEL(t.local),
	 TUNNEL_AT(at_local)},
	{"local_id", CONFIG_CUSTOM, .handle = config_handle_id, TUNNEL(t.local_id),
	 TUNNEL_AT(at_local_id)},
	{"remote_id", CONFIG_CUSTOM, .handle = config_handle_id, TUNNEL(t.remote_id),
	 TUNNEL_AT(at_remote_id)},
	{"remote_id_wildcard", CONFIG_BOOL, .def = "false", TUNNEL(t.remote_id_wildcard),
	 TUNNEL_AT(at_wildcard)},
	{"auth", CONFIG_WORD, .words = auths, .def = "psk", TUNNEL(auth)},
	{"local_auth", CONFIG_WORD, .words = auths, TUNNEL(t.local_auth), TUNNEL_AT(at_local_auth)},
	{"remote_auth", CONFIG_WORD, .words = auths, TUNNEL(t.remote_auth),
	 TUNNEL_AT(at_remote_auth)},
	{"psk_file", CONFIG_CUSTOM, .handle = config_handle_one_path, TUNNEL_AT(at_psk_file)},
	{"psk_files", CONFIG_CUSTOM, .handle = config_handle_paths, TUNNEL_AT(at_psk_files)},
	{"certificates", CONFIG_CUSTOM, .map = &config_certificate_map,
	 .handle = config_handle_certificates, TUNNEL_AT(at_certificates)},
	{"private_key", CONFIG_CUSTOM, .handle = config_handle_one_path, TUNNEL_AT(at_private_key)},
	{"peer_public_key", CONFIG_CUSTOM, .handle = config_handle_one_path,
	 TUNNEL_AT(at_peer_key)},
	{"ca_files", CONFIG_CUSTOM, .handle = config_handle_paths, TUNNEL_AT(at_ca_files)},
	{"crl_files", CONFIG_CUSTOM, .handle = config_handle_paths, TUNNEL_AT(at_crl_files)},
	{"ocsp_file", CONFIG_CUSTOM, .handle = config_handle_one_path, TUNNEL_AT(at_ocsp_file)},
	{"revocation", CONFIG_WORD, .words = revocations, .def = "relaxed", TUNNEL(t.revocation)},
	{"ppk", CONFIG_MAP, .map = &ppk_map, TUNNEL_AT(at_ppk)},
	{"startup", CONFIG_WORD, .words = startups, TUNNEL(t.startup), TUNNEL_AT(at_startup)},
	{"ike", CONFIG_MAP, .map = &tunnel_ike_map, TUNNEL_AT(at_ike)},
	{"esp", CONFIG_MAP, .map = &tunnel_esp_map, TUNNEL_AT(at_esp)},
	{"rekey_margin", CONFIG_DURATION, .min = MS_S, .max = MS_DAY, TUNNEL(t.rekey_margin),
	 TUNNEL_AT(at_margin)},
	{"rekey_fuzz", CONFIG_UINT, .min = 0, .max = 100, .def = "100",
	 TUNNEL(t.rekey_fuzz_percent)},
	{"dpd", CONFIG_MAP, .map = &dpd_map, TUNNEL_AT(at_dpd)},
	{"reauth", CONFIG_DURATION, .zero_ok = true, .min = 5 * 60 * MS_S, .max = 30 * MS_DAY,
	 .def = "0s", TUNNEL(t.reauth)},
	{"nat_keepalive", CONFIG_DURATION, .zero_ok = true, .min = MS_S, .max = MS_H, .def = "20s",
	 TUNNEL(t.nat_keepalive)},
	{"fragmentation", CONFIG_BOOL, .def = "true", TUNNEL(t.fragmentation)},
	{"fragment_size", CONFIG_UINT, .min = 256, .max = 9000, .def = "1280",
	 TUNNEL(t.fragment_size)},
	{"udp_encapsulation", CONFIG_WORD, .words = encaps, .def = "auto",
	 TUNNEL(t.force_udp_encap)},
	{"udp_port_entropy", CONFIG_BOOL, .def = "false", TUNNEL(t.udp_port_entropy),
	 TUNNEL_AT(at_port_entropy)},
	{"per_worker_sas", CONFIG_BOOL, .def = "false", TUNNEL(t.per_worker_sas)},
	{"mobike", CONFIG_BOOL, .def = "true", TUNNEL(t.mobike)},
	{"additional_addresses", CONFIG_CUSTOM, .handle = config_handle_additional,
	 TUNNEL_AT(at_additional)},
	{"redirect", CONFIG_WORD, .words = redirects, .def = "refuse", TUNNEL(t.follow_redirect)},
	{"resumption", CONFIG_BOOL, .def = "false", TUNNEL(t.resumption)},
	{"childless", CONFIG_BOOL, .def = "false", TUNNEL(t.childless)},
	{"bgp", CONFIG_MAP, .map = &tunnel_bgp_map, TUNNEL_AT(at_bgp)},
	{"bfd", CONFIG_MAP, .map = &bfd_map, TUNNEL_AT(at_bfd)},
	{"probe", CONFIG_MAP, .map = &probe_map, TUNNEL_AT(at_probe)},
	{"failover_target", CONFIG_DURATION, .min = 30, .max = 60 * MS_S, TUNNEL(t.failover_target),
	 TUNNEL_AT(at_failover_target)},
};
static_assert(N(tunnel_keys) <= CONFIG_KEYS_MAX, "the map with the most keys");
const struct config_map config_tunnel_map = MAP("a tunnel", tunnel_keys);
const struct config_map config_defaults_map = {
	.what = "'defaults'",
	.keys = tunnel_keys + N_TUNNEL_ONLY,
	.n = N(tunnel_keys) - N_TUNNEL_ONLY,
};

/* ------------------------------------------------------------- route tables */

#define TABLE(member) CONFIG_FIELD(struct config_table_work, t.member)
#define TABLE_AT(m)   .at = offsetof(struct config_table_work, m)

static const struct config_key table_route_keys[] = {
	{"prefix", CONFIG_CUSTOM, .required = true, .hint = "'prefix: 10.2.0.0/16'",
	 .handle = config_handle_network, CONFIG_FIELD(struct config_table_route_work, r.prefix),
	 .at = offsetof(struct config_table_route_work, at_prefix)},
	{"connection", CONFIG_NAME, .required = true,
	 .hint = "'connection:' with the name of the one that it leads into",
	 .max = CONFIG_NAME_SIZE - 1, CONFIG_FIELD(struct config_table_route_work, r.connection),
	 .at = offsetof(struct config_table_route_work, at_connection)},
};
const struct config_map config_table_route_map = MAP("a static route", table_route_keys);

static const struct config_key aggregate_keys[] = {
	{"prefix", CONFIG_CUSTOM, .required = true, .hint = "'prefix: 10.0.0.0/8'",
	 .handle = config_handle_network, CONFIG_FIELD(struct config_aggregate_work, a.prefix),
	 .at = offsetof(struct config_aggregate_work, at_prefix)},
	{"summary_only", CONFIG_BOOL, .def = "false",
	 CONFIG_FIELD(struct config_aggregate_work, a.summary_only)},
};
const struct config_map config_aggregate_map = MAP("an aggregate", aggregate_keys);

static const struct config_key route_table_keys[] = {
	{"name", CONFIG_NAME, .required = true, .hint = "'name: production'",
	 .max = CONFIG_NAME_SIZE - 1, TABLE(name), TABLE_AT(at_name)},
	{"static_routes", CONFIG_CUSTOM, .map = &config_table_route_map,
	 .handle = config_handle_table_routes, TABLE_AT(at_static_routes)},
	{"blackholes", CONFIG_CUSTOM, .handle = config_handle_blackholes, TABLE_AT(at_blackholes)},
	{"aggregates", CONFIG_CUSTOM, .map = &config_aggregate_map,
	 .handle = config_handle_aggregates},
	{"linux_table", CONFIG_UINT, .min = 1, .max = UINT32_MAX, TABLE(linux_table),
	 TABLE_AT(at_linux_table)},
};
const struct config_map config_route_table_map = MAP("a route table", route_table_keys);

#define FILTER(member) CONFIG_FIELD(struct config_filter_work, member)
#define FILTER_AT(m)   .at = offsetof(struct config_filter_work, m)

static const struct config_key filter_keys[] = {
	{"permit", CONFIG_CUSTOM, .handle = config_handle_network, FILTER(permit),
	 FILTER_AT(at_permit)},
	{"deny", CONFIG_CUSTOM, .handle = config_handle_network, FILTER(deny), FILTER_AT(at_deny)},
	{"ge", CONFIG_UINT, .min = 0, .max = 128, FILTER(ge), FILTER_AT(at_ge)},
	{"le", CONFIG_UINT, .min = 0, .max = 128, FILTER(le), FILTER_AT(at_le)},
};
const struct config_map config_filter_map = MAP("a filter's line", filter_keys);

#define TRANSLATE(member) CONFIG_FIELD(struct config_translate_work, member)
#define TRANSLATE_AT(m)   .at = offsetof(struct config_translate_work, m)

static const struct config_key translate_keys[] = {
	{"theirs", CONFIG_CUSTOM, .handle = config_handle_network, TRANSLATE(theirs),
	 TRANSLATE_AT(at_theirs)},
	{"ours", CONFIG_CUSTOM, .handle = config_handle_network, TRANSLATE(ours),
	 TRANSLATE_AT(at_ours)},
	{"as", CONFIG_CUSTOM, .required = true, .hint = "'as: 100.64.0.0/16', its other name",
	 .handle = config_handle_network, TRANSLATE(as), TRANSLATE_AT(at_as)},
};
const struct config_map config_translate_map = MAP("a line of 'translate'", translate_keys);

/* -------------------------------------------------------------- connections */

#define CONN(member) CONFIG_FIELD(struct config_connection_work, c.member)
#define CONN_AT(m)   .at = offsetof(struct config_connection_work, m)

static const struct config_key filters_keys[] = {
	{"in", CONFIG_CUSTOM, .map = &config_filter_map, .handle = config_handle_filter_in,
	 CONN_AT(at_filter_in)},
	{"out", CONFIG_CUSTOM, .map = &config_filter_map, .handle = config_handle_filter_out},
};
static const struct config_map filters_map = MAP("'filters'", filters_keys);

static const struct config_key connection_keys[] = {
	{"name", CONFIG_NAME, .required = true, .hint = "'name: site-b'",
	 .max = CONFIG_NAME_SIZE - 1, CONN(name), CONN_AT(at_name)},
	{"local_networks", CONFIG_CUSTOM, .required = true,
	 .hint = "'local_networks: [10.1.0.0/24]', the networks behind this gateway",
	 .handle = config_handle_local_networks, CONN_AT(at_local_networks)},
	{"remote_networks", CONFIG_CUSTOM, .required = true,
	 .hint = "'remote_networks: [10.2.0.0/24]', the networks behind the peer",
	 .handle = config_handle_remote_networks, CONN_AT(at_remote_networks)},
	{"static_routes", CONFIG_CUSTOM, .handle = config_handle_static_routes,
	 CONN_AT(at_static_routes)},
	{"revert_hold", CONFIG_DURATION, .zero_ok = true, .min = 100, .max = MS_H, .def = "3s",
	 CONN(revert_hold)},
	{"route_table", CONFIG_NAME, .max = CONFIG_NAME_SIZE - 1, .def = CONFIG_MAIN_TABLE,
	 CONN(route_table), CONN_AT(at_route_table)},
	{"propagate_to", CONFIG_CUSTOM, .handle = config_handle_propagate_to,
	 CONN_AT(at_propagate_to)},
	{"attachment", CONFIG_WORD, .words = attachments, .def = "vpn", CONN(attachment)},
	{"advertise", CONFIG_CUSTOM, .handle = config_handle_advertise, CONN_AT(at_advertise)},
	{"cloudhub", CONFIG_BOOL, CONN(cloudhub), CONN_AT(at_cloudhub)},
	{"max_advertised", CONFIG_UINT, .min = 0, .max = 10000000, CONN(max_advertised),
	 CONN_AT(at_max_advertised)},
	{"filters", CONFIG_MAP, .map = &filters_map},
	{"translate", CONFIG_CUSTOM, .map = &config_translate_map,
	 .handle = config_handle_translate, CONN_AT(at_translate)},
	{"linux_import", CONFIG_BOOL, .def = "false", CONN(linux_import), CONN_AT(at_linux_import)},
	{"defaults", CONFIG_CUSTOM, .map = &config_defaults_map, .handle = config_handle_later,
	 CONN_AT(at_defaults)},
	{"tunnels", CONFIG_CUSTOM, .required = true,
	 .hint = "'tunnels:' with a list of two tunnels", .map = &config_tunnel_map,
	 .handle = config_handle_later, CONN_AT(at_tunnels)},
};
const struct config_map config_connection_map = MAP("a connection", connection_keys);
