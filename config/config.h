/* SPDX-License-Identifier: Apache-2.0 */
/*
 * config: the gateway's configuration, from YAML text to one struct.
 *
 * Pure: text in, struct or errors out; no file is opened here. Every error has line, column, what
 * was wrong and what to do; an unknown key names the nearest known one. All errors of a text are
 * collected, up to a bound, not only the first. Secrets are never in the text: `psk_file` and the like name a
 * file that the supervisor opens for keyd.
 */
#ifndef CONFIG_CONFIG_H
#define CONFIG_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/addr.h"
#include "base/trace.h"
#include "base/mono.h"
#include "base/translation.h"

#define CONFIG_NAME_SIZE 32 /* with NUL; [A-Za-z0-9][A-Za-z0-9._-]* */
#define CONFIG_PATH_SIZE 256

enum config_hugepages {
	CONFIG_HUGEPAGES_AUTO,
	CONFIG_HUGEPAGES_REQUIRE,
	CONFIG_HUGEPAGES_OFF,
};

enum config_startup {
	CONFIG_STARTUP_START,
	CONFIG_STARTUP_ADD,
};

enum config_dpd_action {
	CONFIG_DPD_CLEAR,
	CONFIG_DPD_NONE,
	CONFIG_DPD_RESTART,
};

enum config_df {
	CONFIG_DF_COPY,
	CONFIG_DF_CLEAR,
	CONFIG_DF_SET,
};

enum config_auth {
	CONFIG_AUTH_PSK,
	CONFIG_AUTH_CERTIFICATE,
	CONFIG_AUTH_RAW_KEY,
};

enum config_ppk {
	CONFIG_PPK_NONE,
	CONFIG_PPK_PREFER,
	CONFIG_PPK_REQUIRE,
};

enum config_revocation {
	CONFIG_REVOCATION_RELAXED,
	CONFIG_REVOCATION_STRICT,
};

/* What a file is to the process that gets it: the key process, where nothing else stands. */
enum config_file_kind {
	CONFIG_FILE_PSK,
	CONFIG_FILE_PRIVATE_KEY,
	CONFIG_FILE_CERT,
	CONFIG_FILE_CA,
	CONFIG_FILE_CRL,
	CONFIG_FILE_OCSP,
	CONFIG_FILE_PEER_KEY,
	CONFIG_FILE_PPK,
	CONFIG_FILE_BGP_PASSWORD, /* to the route process */
};

/* Whether the cryptography of one SA is spread over workers. */
enum config_spread {
	CONFIG_SPREAD_AUTO,
	CONFIG_SPREAD_OFF,
};

enum config_offloads {
	CONFIG_OFFLOADS_AUTO,
	CONFIG_OFFLOADS_OFF,
	CONFIG_OFFLOADS_INLINE_CRYPTO, /* auto, and that */
};

struct config_port {
	char name[CONFIG_NAME_SIZE]; /* also the mirror TAP's name, hence at most 15 characters */
	bool is_pci;
	char device[CONFIG_PATH_SIZE]; /* "0000:3b:00.0" or "net_af_xdp,iface=eth1" */
	struct ip_prefix *addresses;   /* host bits set */
	size_t n_addresses;
	struct ip_addr gateway[2]; /* default gateways by this port: IPv4, IPv6; IP_NONE = none */
	uint32_t mtu;
	enum config_offloads offloads;
	char route_table[CONFIG_NAME_SIZE]; /* that its packets are looked up in */
};

#define CONFIG_ALGS_MAX 16

struct config_alg {
	uint16_t id;   /* IANA number */
	uint16_t bits; /* key size of a cipher that has several, else 0 */
};

struct config_alg_list { /* in order of preference */
	size_t n;
	struct config_alg algs[CONFIG_ALGS_MAX];
};

#define CONFIG_MORE_KE_MAX 3 /* additional key exchanges of one SA, with that of `pq` */

/* Additional key exchange by ML-KEM (RFC 9370). */
enum config_pq {
	CONFIG_PQ_OFF,
	CONFIG_PQ_PREFER,
	CONFIG_PQ_REQUIRE,
};

enum config_bgp_role { /* RFC 9234 4.1: what we are to the neighbour */
		       CONFIG_BGP_ROLE_NONE,
		       CONFIG_BGP_ROLE_PROVIDER,
		       CONFIG_BGP_ROLE_RS,
		       CONFIG_BGP_ROLE_RS_CLIENT,
		       CONFIG_BGP_ROLE_CUSTOMER,
		       CONFIG_BGP_ROLE_PEER,
};

/* A tunnel's BGP neighbour (RFC 4271), at the other end of the inside network. */
struct config_bgp {
	bool on;
	uint32_t local_as, remote_as;
	struct ip_addr local, neighbor; /* inside addresses */
	struct mono_span hold_time, connect_retry;
	struct mono_span graceful_restart, stale_time; /* RFC 4724; 0: off */
	bool ipv4, ipv6;                               /* families that are exchanged */
	bool passive, ttl_security, extended_messages, add_path, next_hop_self;
	bool graceful_shutdown; /* RFC 8326 */
	uint32_t med;
	uint8_t prepend;
	enum config_bgp_role role;
	bool role_strict;
	uint32_t max_prefixes; /* of a family; 0: no limit */
	struct mono_span max_prefixes_restart;
};

struct config_bfd { /* RFC 5880 */
	bool on, passive;
	bool multihop; /* RFC 5883 */
	uint8_t min_ttl;
	struct ip_addr local,
		neighbor; /* inside addresses; multihop: the neighbor lies behind the peer */
	struct mono_span interval; /* both of sending and of receiving */
	uint8_t multiplier;
};

/* ICMP echoes through a tunnel, for peers that speak neither BFD nor BGP. */
struct config_probe {
	bool on;
	struct ip_addr local, address;
	struct mono_span interval;
	uint8_t failures;
};

#define CONFIG_MAX_FILES     32   /* of one tunnel */
#define CONFIG_PATHS_SIZE    2048 /* of all their names together */
#define CONFIG_ID_SIZE       256
#define CONFIG_PPK_ID_MAX    64
#define CONFIG_ADDRESSES_MAX 8 /* of one tunnel, beside local_address */

struct config_file {
	uint8_t kind;  /* enum config_file_kind */
	uint8_t index; /* among those of its kind; a private key has that of its certificate */
	uint16_t at;   /* of the name in `paths` */
	uint32_t line; /* where it stands, for messages */
};

struct config_tunnel {
	char name[CONFIG_NAME_SIZE];
	uint32_t index;               /* stable number, set by config_assign_indexes() */
	struct ip_addr local, remote; /* outside addresses; remote may be IP_NONE (startup: add) */
	char local_id[CONFIG_ID_SIZE], remote_id[CONFIG_ID_SIZE]; /* "" = the outside address */
	bool remote_id_wildcard;
	enum config_auth local_auth, remote_auth;
	enum config_revocation revocation;
	enum config_ppk ppk;
	char ppk_id[CONFIG_PPK_ID_MAX + 1];
	struct config_file files[CONFIG_MAX_FILES];
	size_t n_files;
	char paths[CONFIG_PATHS_SIZE];
	char interface[16];         /* inside TUN's name; default "tb<index>" */
	struct ip_prefix inside[2]; /* our inside addresses, IPv4 and IPv6; family IP_NONE = none */

	/* Any combination of the lists; integrity goes with ciphers that are no AEAD alone. */
	struct config_alg_list ike_encr, ike_integ, ike_prf, ike_dh, ike_kem;
	struct config_alg_list esp_encr, esp_integ, esp_pfs, esp_esn; /* esp_pfs 0: none */
	struct config_alg_list esp_kem;
	enum config_pq pq, esp_pq; /* whether ike_kem, esp_kem are used */
	/* Further key exchanges, in this order; the methods of each, where 0 is none; n = 0 at the end. */
	struct config_alg_list ike_more_ke[CONFIG_MORE_KE_MAX], esp_more_ke[CONFIG_MORE_KE_MAX];

	struct mono_span ike_lifetime, child_lifetime, rekey_margin;
	struct mono_span reauth; /* 0 = never */
	unsigned rekey_fuzz_percent;
	uint16_t replay_window;
	struct mono_span dpd_interval, dpd_timeout;
	enum config_dpd_action dpd_action;
	enum config_startup startup;
	bool force_udp_encap;
	bool udp_port_entropy; /* a source port for each inner flow; only with force_udp_encap */
	bool mobike;           /* RFC 4555 */
	struct ip_addr additional[CONFIG_ADDRESSES_MAX]; /* further local addresses for it */
	size_t n_additional;
	bool follow_redirect; /* RFC 5685 */
	bool resumption;      /* RFC 5723 */
	bool childless;       /* RFC 6023: of what we initiate */
	struct mono_span nat_keepalive;
	bool fragmentation;
	uint16_t fragment_size; /* of an IP datagram that carries IKE */
	bool per_worker_sas;
	enum config_df df;
	bool copy_dscp;
	struct config_bgp bgp;
	struct config_bfd bfd;
	struct config_probe probe;
	struct mono_span failover_target; /* 0: none */
	unsigned line;                    /* where it stands, for messages */
};

/* Of the gateway (AWS's terms): how it chooses between routes, and what is usual for it. */
enum config_role {
	CONFIG_ROLE_CUSTOMER,
	CONFIG_ROLE_VIRTUAL_PRIVATE,
	CONFIG_ROLE_TRANSIT,
};

/* What stands at the other end of a connection. */
enum config_attachment {
	CONFIG_ATTACH_VPN,
	CONFIG_ATTACH_DIRECT_CONNECT,
	CONFIG_ATTACH_CONNECT,
	CONFIG_ATTACH_VPN_PRIVATE,
	CONFIG_ATTACH_CONCENTRATOR,
	CONFIG_ATTACH_PEERING,
};

#define CONFIG_MAIN_TABLE "main" /* always there, number 0 */
#define CONFIG_TABLES_MAX 256    /* the main one among them */

struct config_table_route {
	struct ip_prefix prefix;
	char connection[CONFIG_NAME_SIZE];
};

struct config_aggregate {
	struct ip_prefix prefix;
	bool summary_only;
};

struct config_table {
	char name[CONFIG_NAME_SIZE];
	uint16_t index;       /* stable number, set by config_assign_indexes() */
	uint32_t linux_table; /* of Linux, that its routes are written to; 0: none */
	struct config_table_route *static_routes;
	struct ip_prefix *blackholes;
	struct config_aggregate *aggregates;
	size_t n_static_routes, n_blackholes, n_aggregates;
};

/* Routes that are written into tables of Linux, so that other programs see them. */
struct config_linux_routes {
	bool on;
	uint32_t table; /* of the main table, where that does not name it itself; 0: none */
	uint8_t protocol;
	uint32_t metric, max_routes;
};

/* Where connections with `linux_import` learn what another daemon knows. */
struct config_linux_import {
	bool on;
	uint32_t table;        /* of Linux */
	uint8_t protocols[32]; /* rtm_protocol: a bit each, from the lowest of the first byte on */
};

struct config_routing {
	enum config_role role;
	bool ecmp;
	struct ip_prefix *local_networks; /* ours: no route leads away from there */
	size_t n_local_networks;
	struct config_table *tables; /* the main one always among them */
	size_t n_tables;
	struct config_linux_routes linux_routes;
	struct config_linux_import linux_import;
};

/* Of prefixes within `prefix` those whose lengths are from min_len to max_len; both 0: it alone. */
struct config_filter {
	struct ip_prefix prefix;
	uint8_t min_len, max_len;
	bool permit;
};

struct config_connection {
	char name[CONFIG_NAME_SIZE];
	struct ip_prefix *local_networks, *remote_networks; /* traffic selectors */
	size_t n_local_networks, n_remote_networks;
	/* Prefixes behind the peer; default: remote_networks, or none where BGP tells them. */
	struct ip_prefix *static_routes;
	size_t n_static_routes;
	struct config_tunnel tunnels[2]; /* one or two; order = preference */
	size_t n_tunnels;
	struct mono_span
		revert_hold; /* a preferred tunnel is up this long before it takes over again */
	char route_table[CONFIG_NAME_SIZE];           /* that its packets are looked up in */
	char (*propagate_to)[CONFIG_NAME_SIZE];       /* tables that its routes go into */
	size_t n_propagate_to;                        /* 0: into none */
	struct config_filter *filter_in, *filter_out; /* the first that matches decides */
	size_t n_filter_in, n_filter_out;             /* 0: everything passes */
	struct ip_prefix *advertise;                  /* own networks that its neighbours hear of */
	size_t n_advertise;
	bool cloudhub;           /* its neighbours hear of what the other connections' announce */
	uint32_t max_advertised; /* prefixes, to each neighbour; 0: no limit */
	enum config_attachment attachment;
	/* Selectors, static_routes and filter_in have the names of the tunnel; all else those of our side. */
	struct translation *translations;
	size_t n_translations;
	bool linux_import; /* its routes are those that Linux has over its tunnels' interfaces */
	unsigned line;
};

struct config {
	char name[CONFIG_NAME_SIZE];
	char user[CONFIG_NAME_SIZE];            /* the account of the unprivileged processes */
	char state_directory[CONFIG_PATH_SIZE]; /* what outlives the gateway's processes */
	char control_socket[108];
	char control_group[CONFIG_NAME_SIZE]; /* may use the socket; "" = root only */
	enum log_level log_level;
	enum log_format log_format;

	unsigned n_workers;
	int *worker_cpus; /* n_workers of them, or NULL: chosen */
	enum config_hugepages hugepages;
	unsigned memory_mb;
	uint32_t max_sas, max_tunnels;
	char aead_backend[16];   /* "auto", or a backend's name */
	char crypto_device[128]; /* PCI address or driver; "" = none */
	enum config_spread spread_crypto;
	bool path_mtu_discovery;

	struct config_routing routing;

	/* ike */
	uint32_t max_half_open, cookie_threshold, puzzle_threshold, max_half_open_source;

	/* bgp */
	uint32_t bgp_local_as;
	struct ip_addr bgp_router_id; /* IPv4; IP_NONE where nobody speaks BGP */

	struct config_port *ports;
	size_t n_ports;
	struct config_connection *connections;
	size_t n_connections;
};

struct config_error {
	unsigned line, column; /* from 1; 0 = the text as a whole */
	char text[240];        /* what was wrong and what to do */
};

#define CONFIG_MAX_ERRORS 20

struct config_errors {
	size_t n;
	size_t n_warnings;
	struct config_error errors[CONFIG_MAX_ERRORS];
	struct config_error
		warnings[CONFIG_MAX_ERRORS]; /* e.g. weak algorithms, overlapping prefixes */
};

/* NULL with errors->n > 0 when the text is not a valid configuration. */
struct config *config_parse(const char *text, size_t size, struct config_errors *errors);
void config_free(struct config *c);

/*
 * Gives every tunnel and every route table its number: names in `old` keep theirs, new ones take the
 * lowest that neither uses. `old` may be NULL. False if max_tunnels is too small.
 */
bool config_assign_indexes(struct config *c, const struct config *old);
/* Gives a tunnel its number, and its interface the name that follows from it where it has none. */
void config_tunnel_number(struct config_tunnel *t, uint32_t index);
const struct config_tunnel *config_tunnel_by_name(const struct config *c, const char *name,
						  const struct config_connection **connection);
const struct config_connection *config_connection_by_name(const struct config *c, const char *name);
/* NULL: there is none. */
const struct config_table *config_table_by_name(const struct config *c, const char *name);
const struct config_table *config_table_by_index(const struct config *c, uint16_t index);

/* The name of a tunnel's file, and how many it has of a kind. */
const char *config_file_path(const struct config_tunnel *t, const struct config_file *f);
size_t config_n_files(const struct config_tunnel *t, enum config_file_kind kind);

/*
 * How long it takes at most until traffic leaves a tunnel that went silent, with these timers; `by`
 * (may be NULL): what notices.
 */
struct mono_span config_failover_worst(const struct config_tunnel *t, const char **by);

/* "250ms", "10s", "1h30m"; `buf` holds CONFIG_DURATION_STRLEN. */
#define CONFIG_DURATION_STRLEN 32
const char *config_duration_format(struct mono_span d, char buf[CONFIG_DURATION_STRLEN]);

/* The nearest of `n` words to `word` within a small edit distance, or NULL. */
const char *config_nearest(const char *word, const char *const *words, size_t n);

#endif
