/* SPDX-License-Identifier: Apache-2.0 */
/* What a good text becomes: values, defaults, algorithms, numbers; and words that are near. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "base/sb.h"
#include "config/config.h"

#define EXAMPLES_MAX 16

static struct config *parse(const char *text)
{
	struct config_errors e;
	struct config *c = config_parse(text, strlen(text), &e);

	if (!c)
		print_error("%u:%u: %s\n", e.errors[0].line, e.errors[0].column, e.errors[0].text);
	assert_non_null(c);
	return c;
}

static char *read_file(const char *path, size_t *size)
{
	FILE *f = fopen(path, "re");
	char *text = malloc(1 << 20);

	assert_non_null(f);
	assert_non_null(text);
	*size = fread(text, 1, (1 << 20) - 1, f);
	text[*size] = 0;
	fclose(f);
	return text;
}

#define HEAD                                                                                       \
	"version: 1\n"                                                                             \
	"gateway: {name: g}\n"                                                                     \
	"ports: [{name: wan, device: {vdev: net_null}, addresses: [192.0.2.1/24]}]\n"

#define CONNECTION(name, n)                                                                        \
	"  - name: " name "\n"                                                                     \
	"    local_networks: [10.0.0.0/16]\n"                                                      \
	"    remote_networks: [10." n ".0.0/16]\n"                                                 \
	"    defaults: {psk_file: /" name "}\n"                                                    \
	"    tunnels:\n"                                                                           \
	"      - {name: " name "-1, local_address: 192.0.2.1, remote_address: 203.0.113." n "}\n"  \
	"      - {name: " name "-2, local_address: 192.0.2.1, remote_address: 198.51.100." n "}\n"

static void defaults(void **state)
{
	struct config *c = parse(HEAD "connections:\n" CONNECTION("a", "1"));
	const struct config_tunnel *t = &c->connections[0].tunnels[0];

	assert_string_equal(c->user, "twinbore");
	assert_string_equal(c->state_directory, "/var/lib/twinbore");
	assert_string_equal(c->control_socket, "/run/twinbore/control.sock");
	assert_string_equal(c->control_group, "");
	assert_int_equal(c->log_level, LOG_LEVEL_INFO);
	assert_int_equal(c->log_format, LOG_FORMAT_TEXT);
	assert_int_equal(c->n_workers, 1);
	assert_null(c->worker_cpus);
	assert_int_equal(c->hugepages, CONFIG_HUGEPAGES_AUTO);
	assert_int_equal(c->memory_mb, 256);
	assert_int_equal(c->max_sas, 4096);
	assert_int_equal(c->max_tunnels, 1024);
	assert_string_equal(c->aead_backend, "auto");
	assert_true(c->path_mtu_discovery);
	assert_int_equal(c->spread_crypto, CONFIG_SPREAD_AUTO);
	assert_string_equal(c->crypto_device, "");
	assert_int_equal(c->max_half_open, 1000);
	assert_int_equal(c->cookie_threshold, 100);
	assert_int_equal(c->puzzle_threshold, 500);
	assert_int_equal(c->max_half_open_source, 20);
	assert_int_equal(c->ports[0].mtu, 1500);
	assert_int_equal(c->ports[0].offloads, CONFIG_OFFLOADS_AUTO);
	assert_false(c->ports[0].is_pci);
	assert_string_equal(c->ports[0].device, "net_null");
	assert_int_equal(c->connections[0].n_static_routes, 1);
	assert_int_equal(c->connections[0].revert_hold.ns, span_s(3).ns);
	assert_int_equal(t->ike_lifetime.ns, span_s(8 * 3600).ns);
	assert_int_equal(t->child_lifetime.ns, span_s(3600).ns);
	assert_int_equal(t->rekey_margin.ns, span_s(270).ns);
	assert_int_equal(t->rekey_fuzz_percent, 100);
	assert_int_equal(t->replay_window, 1024);
	assert_int_equal(t->dpd_interval.ns, span_s(10).ns);
	assert_int_equal(t->dpd_timeout.ns, span_s(40).ns);
	assert_int_equal(t->dpd_action, CONFIG_DPD_RESTART);
	assert_int_equal(t->startup, CONFIG_STARTUP_START);
	assert_false(t->force_udp_encap);
	assert_false(t->udp_port_entropy);
	assert_true(t->fragmentation);
	assert_int_equal(t->fragment_size, 1280);
	assert_false(t->per_worker_sas);
	assert_int_equal(t->reauth.ns, 0);
	assert_true(t->mobike);
	assert_int_equal(t->n_additional, 0);
	assert_false(t->follow_redirect);
	assert_false(t->childless);
	assert_false(t->resumption);
	assert_int_equal(t->nat_keepalive.ns, span_s(20).ns);
	assert_int_equal(t->df, CONFIG_DF_COPY);
	assert_false(t->copy_dscp);
	config_free(c);
}

/* Every way to write a value, and a tunnel's own over the connection's. */
static void overrides(void **state)
{
	struct config *c = parse("version: 1\n"
				 "gateway: {name: g, user: u, control_group: ops, log: {level: "
				 "debug, format: json}}\n"
				 "dataplane: {cpus: [3, 1], hugepages: require, memory: 512, "
				 "aead_backend: cryptodev, crypto_device: crypto_aesni_mb, "
				 "spread_crypto: off, path_mtu_discovery: false}\n"
				 "ports:\n"
				 "  - name: wan\n"
				 "    device: {pci: \"0000:3B:00.1\"}\n"
				 "    addresses: [192.0.2.1/24, \"2001:db8::1/64\"]\n"
				 "    gateway: [\"fe80::1\", 192.0.2.254]\n"
				 "    mtu: 9000\n"
				 "    offloads: off\n"
				 "connections:\n"
				 "  - name: a\n"
				 "    tunnels:\n" /* before the defaults: the order is free */
				 "      - name: a-1\n"
				 "        local_address: 192.0.2.1\n"
				 "        remote_id: far.example.net\n"
				 "        esp: {lifetime: 20m}\n"
				 "        dpd: {timeout: 1m30s}\n"
				 "      - name: a-2\n"
				 "        local_address: \"2001:db8::1\"\n"
				 "        remote_address: \"2001:db8::2\"\n"
				 "        startup: add\n"
				 "        additional_addresses: []\n"
				 "        interface: in2\n"
				 "        inside_addresses: [\"fd00::1/126\", 169.254.1.1/30]\n"
				 "        esp: {df: set, copy_dscp: true, replay_window: 0}\n"
				 "    defaults:\n"
				 "      psk_file: /psk\n"
				 "      local_id: near.example.net\n"
				 "      esp: {lifetime: 30m, df: clear}\n"
				 "      dpd: {interval: 500ms, action: clear}\n"
				 "      rekey_fuzz: 0\n"
				 "      nat_keepalive: 0s\n"
				 "      udp_encapsulation: force\n"
				 "      udp_port_entropy: true\n"
				 "      fragmentation: false\n"
				 "      fragment_size: 576\n"
				 "      per_worker_sas: true\n"
				 "      reauth: 1d\n"
				 "      mobike: false\n"
				 "      additional_addresses: [\"2001:db8::1\"]\n"
				 "      redirect: follow\n"
				 "      childless: true\n"
				 "      resumption: true\n"
				 "    local_networks: [0.0.0.0/0]\n"
				 "    remote_networks: [0.0.0.0/0]\n"
				 "    static_routes: []\n"
				 "    revert_hold: 0s\n");
	const struct config_tunnel *t1 = &c->connections[0].tunnels[0];
	const struct config_tunnel *t2 = &c->connections[0].tunnels[1];

	assert_int_equal(c->log_level, LOG_LEVEL_DEBUG);
	assert_int_equal(c->log_format, LOG_FORMAT_JSON);
	assert_string_equal(c->control_group, "ops");
	assert_int_equal(c->n_workers, 2);
	assert_int_equal(c->worker_cpus[0], 3);
	assert_int_equal(c->worker_cpus[1], 1);
	assert_int_equal(c->hugepages, CONFIG_HUGEPAGES_REQUIRE);
	assert_false(c->path_mtu_discovery);
	assert_int_equal(c->spread_crypto, CONFIG_SPREAD_OFF);
	assert_string_equal(c->aead_backend, "cryptodev");
	assert_string_equal(c->crypto_device, "crypto_aesni_mb");
	assert_int_equal(c->ports[0].offloads, CONFIG_OFFLOADS_OFF);
	assert_true(c->ports[0].is_pci);
	assert_int_equal(c->ports[0].gateway[0].family, IP_V4);
	assert_int_equal(c->ports[0].gateway[1].family, IP_V6);
	assert_int_equal(c->ports[0].n_addresses, 2);
	assert_int_equal(c->connections[0].n_static_routes, 0);
	assert_int_equal(c->connections[0].revert_hold.ns, 0);

	assert_int_equal(t1->startup, CONFIG_STARTUP_ADD); /* nowhere to start to */
	assert_int_equal(t1->remote.family, IP_NONE);
	assert_string_equal(t1->local_id, "near.example.net");
	assert_string_equal(t1->remote_id, "far.example.net");
	assert_int_equal(t1->child_lifetime.ns, span_s(1200).ns);
	assert_int_equal(t1->rekey_margin.ns, span_s(270).ns);
	assert_int_equal(t1->df, CONFIG_DF_CLEAR);
	assert_int_equal(t1->dpd_interval.ns, span_ms(500).ns);
	assert_int_equal(t1->dpd_timeout.ns, span_s(90).ns);
	assert_int_equal(t1->dpd_action, CONFIG_DPD_CLEAR);
	assert_true(t1->force_udp_encap);
	assert_true(t1->udp_port_entropy);
	assert_false(t1->fragmentation);
	assert_int_equal(t1->fragment_size, 576);
	assert_true(t1->per_worker_sas);
	assert_int_equal(t1->reauth.ns, span_s(86400).ns);
	assert_false(t1->mobike);
	assert_int_equal(t1->n_additional, 1);
	assert_int_equal(t1->additional[0].family, IP_V6);
	assert_true(t1->follow_redirect);
	assert_true(t1->childless);
	assert_true(t1->resumption);
	assert_int_equal(t2->n_additional, 0);
	assert_int_equal(t1->nat_keepalive.ns, 0);
	assert_int_equal(t1->rekey_fuzz_percent, 0);

	assert_int_equal(t2->startup, CONFIG_STARTUP_ADD);
	assert_int_equal(t2->child_lifetime.ns, span_s(1800).ns);
	assert_int_equal(t2->dpd_timeout.ns, span_s(40).ns);
	assert_int_equal(t2->df, CONFIG_DF_SET);
	assert_true(t2->copy_dscp);
	assert_int_equal(t2->replay_window, 0);
	assert_int_equal(t2->inside[0].addr.family, IP_V4);
	assert_int_equal(t2->inside[0].len, 30);
	assert_int_equal(t2->inside[1].addr.family, IP_V6);
	assert_string_equal(t2->remote_id, "");
	config_free(c);
}

/* The margin that nobody wrote follows short lifetimes. */
static void short_lifetimes(void **state)
{
	struct config *c = parse(HEAD "connections:\n"
				      "  - name: a\n"
				      "    local_networks: [10.0.0.0/16]\n"
				      "    remote_networks: [10.1.0.0/16]\n"
				      "    tunnels:\n"
				      "      - {name: t, local_address: 192.0.2.1, remote_address: "
				      "192.0.2.9, psk_file: /p, ike: {lifetime: 60s}, esp: "
				      "{lifetime: 20s}}\n");

	assert_int_equal(c->connections[0].tunnels[0].rekey_margin.ns, span_s(5).ns);
	config_free(c);
}

static void one_list(const struct config_alg_list *l, const char *wanted)
{
	char got[256] = "";
	size_t i, n = 0;

	for (i = 0; i < l->n; i++)
		n += (size_t)snprintf(got + n, sizeof(got) - n,
				      l->algs[i].bits ? "%s%u-%u" : "%s%u", i ? " " : "",
				      l->algs[i].id, l->algs[i].bits);
	assert_string_equal(got, wanted);
}

/* Lists in order of preference, as IANA numbers and key sizes; what is not written is the default. */
static void algorithms(void **state)
{
	struct config *c = parse(
		HEAD
		"connections:\n"
		"  - name: a\n"
		"    local_networks: [10.0.0.0/16]\n"
		"    remote_networks: [10.1.0.0/16]\n"
		"    tunnels:\n"
		"      - name: t\n"
		"        local_address: 192.0.2.1\n"
		"        remote_address: 192.0.2.9\n"
		"        psk_file: /p\n"
		"        ike: {encryption: [aes-128-gcm-16, aes-192-cbc, chacha20-poly1305, "
		"aes-256-gcm-8], integrity: [sha2-512, sha2-256], prf: [sha2-384, sha1], "
		"dh: [31, 14, 2, 5, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 32], pq: prefer, "
		"pq_kem: [ml-kem-1024, ml-kem-768, ml-kem-512], "
		"additional_key_exchanges: [[21, 15, none], 20]}\n"
		"        esp: {encryption: [aes-128-cbc, aes-256-gcm-12, aes-192-gmac], integrity: "
		"[sha2-384, sha1], pfs: [20, none, 32], esn: [false, true], pq: require, "
		"pq_kem: [ml-kem-512, ml-kem-1024]}\n"
		"      - {name: u, local_address: 192.0.2.1, remote_address: 192.0.2.8, psk_file: "
		"/q}\n");
	const struct config_tunnel *t = &c->connections[0].tunnels[0];

	one_list(&t->ike_encr, "20-128 12-192 28 18-256");
	one_list(&t->ike_integ, "14 12");
	one_list(&t->ike_prf, "6 2");
	one_list(&t->ike_dh, "31 14 2 5 15 16 17 18 19 20 21 22 23 24 32");
	one_list(&t->ike_kem, "37 36 35");
	assert_int_equal(t->pq, CONFIG_PQ_PREFER);
	one_list(&t->ike_more_ke[0], "21 15 0");
	one_list(&t->ike_more_ke[1], "20");
	one_list(&t->ike_more_ke[2], "");
	one_list(&t->esp_encr, "12-128 19-256 21-192");
	one_list(&t->esp_integ, "13 2");
	one_list(&t->esp_pfs, "20 0 32");
	one_list(&t->esp_esn, "0 1");
	one_list(&t->esp_kem, "35 37");
	assert_int_equal(t->esp_pq, CONFIG_PQ_REQUIRE);

	t = &c->connections[0].tunnels[1];
	one_list(&t->ike_encr, "20-256 20-128 12-256");
	one_list(&t->ike_integ, "13 12");
	one_list(&t->ike_prf, "6 5");
	one_list(&t->ike_dh, "31 20 19 14");
	one_list(&t->ike_kem, "36");
	assert_int_equal(t->pq, CONFIG_PQ_OFF);
	one_list(&t->ike_more_ke[0], "");
	one_list(&t->esp_encr, "20-256 20-128 12-256");
	one_list(&t->esp_integ, "13 12");
	one_list(&t->esp_pfs, "31 20 19 14");
	one_list(&t->esp_esn, "1 0");
	one_list(&t->esp_kem, "36");
	assert_int_equal(t->esp_pq, CONFIG_PQ_OFF);
	config_free(c);
}

static uint32_t index_of(const struct config *c, const char *name)
{
	const struct config_connection *of = NULL;
	const struct config_tunnel *t = config_tunnel_by_name(c, name, &of);

	assert_non_null(t);
	assert_non_null(of);
	return t->index;
}

/* A number stays with its name; a number that was in use is not given to another at once. */
static void indexes(void **state)
{
	struct config *a = parse(HEAD "connections:\n" CONNECTION("a", "1") CONNECTION("b", "2"));
	struct config *b = parse(HEAD "connections:\n" CONNECTION("c", "3") CONNECTION("b", "2"));
	struct config *small = parse("dataplane: {max_tunnels: 4}\n" HEAD
				     "connections:\n" CONNECTION("c", "3") CONNECTION("d", "4"));

	assert_true(config_assign_indexes(a, NULL));
	assert_int_equal(index_of(a, "a-1"), 0);
	assert_int_equal(index_of(a, "b-2"), 3);
	assert_string_equal(a->connections[1].tunnels[1].interface, "tb3");
	assert_null(config_tunnel_by_name(a, "c-1", NULL));

	assert_true(config_assign_indexes(b, a));
	assert_int_equal(index_of(b, "b-1"), 2);
	assert_int_equal(index_of(b, "b-2"), 3);
	assert_int_equal(index_of(b, "c-1"), 4);
	assert_int_equal(index_of(b, "c-2"), 5);

	/* All four numbers are taken by names that go: there is no room for new ones. */
	assert_false(config_assign_indexes(small, a));
	assert_true(config_assign_indexes(small, NULL));
	config_free(a);
	config_free(b);
	config_free(small);
}

#define TABLES(list)                                                                               \
	parse(HEAD "routing: {tables: [" list "]}\nconnections:\n" CONNECTION("a", "1"))

static uint16_t table_number(const struct config *c, const char *name)
{
	const struct config_table *t = config_table_by_name(c, name);

	assert_non_null(t);
	assert_ptr_equal(config_table_by_index(c, t->index), t);
	return t->index;
}

/* A table keeps its number as long as it keeps its name, wherever it stands. */
static void table_numbers(void **state)
{
	struct config *c = TABLES("{name: blue}, {name: red}, {name: main}, {name: green}"), *next;

	assert_true(config_assign_indexes(c, NULL));
	assert_int_equal(table_number(c, "main"), 0);
	assert_int_equal(table_number(c, "blue"), 1);
	assert_int_equal(table_number(c, "red"), 2);
	assert_int_equal(table_number(c, "green"), 3);
	assert_null(config_table_by_name(c, "yellow"));

	next = TABLES("{name: yellow}, {name: green}, {name: red}");
	assert_true(config_assign_indexes(next, c));
	config_free(c);
	assert_int_equal(table_number(next, "main"), 0);
	assert_int_equal(table_number(next, "red"), 2);
	assert_int_equal(table_number(next, "green"), 3);
	/* Not that of the one which goes at the same moment. */
	assert_int_equal(table_number(next, "yellow"), 4);

	c = TABLES("{name: blue}");
	assert_true(config_assign_indexes(c, next));
	assert_int_equal(table_number(c, "blue"), 1);
	config_free(c);
	config_free(next);
}

/* All numbers are in use, and all names are new. */
static void full_tables(void **state)
{
	char text[20000];
	struct config *c[2];

	for (size_t round = 0; round < 2; round++) {
		struct config_errors e;
		struct sb s = sb_of(text, sizeof(text));
		bool seen[CONFIG_TABLES_MAX] = {false};

		sb_str(&s, HEAD "routing: {tables: [");
		for (size_t i = 1; i < CONFIG_TABLES_MAX; i++)
			sb_printf(&s, "{name: t%zu-%zu},", round, i);
		sb_str(&s, "]}\nconnections:\n" CONNECTION("a", "1"));
		c[round] = config_parse(text, strlen(text), &e);
		assert_non_null(c[round]);
		assert_true(config_assign_indexes(c[round], round ? c[0] : NULL));
		assert_int_equal(c[round]->routing.n_tables, CONFIG_TABLES_MAX);
		for (size_t i = 0; i < CONFIG_TABLES_MAX; i++) {
			assert_false(seen[c[round]->routing.tables[i].index]);
			seen[c[round]->routing.tables[i].index] = true;
		}
	}
	config_free(c[0]);
	config_free(c[1]);
}

/* What is usual for a gateway follows its role; what is written goes first. */
static void roles(void **state)
{
	static const struct {
		const char *role;
		bool ecmp, cloudhub;
		uint32_t max_advertised;
	} cases[] = {
		{"customer-gateway", false, false, 0},
		{"virtual-private-gateway", false, true, 1000},
		{"transit-gateway", true, true, 5000},
	};
	char text[4096];

	for (size_t i = 0; i < 3; i++) {
		struct sb s = sb_of(text, sizeof(text));
		struct config *c;

		/* The section may stand behind the connections. */
		sb_printf(&s, HEAD "connections:\n" CONNECTION("a", "1") "routing: {role: %s}\n",
			  cases[i].role);
		c = parse(text);
		assert_int_equal(c->routing.role, i);
		assert_int_equal(c->routing.ecmp, cases[i].ecmp);
		assert_int_equal(c->connections[0].cloudhub, cases[i].cloudhub);
		assert_int_equal(c->connections[0].max_advertised, cases[i].max_advertised);
		assert_int_equal(c->connections[0].n_advertise, 1);
		assert_string_equal(c->connections[0].route_table, "main");
		assert_string_equal(c->connections[0].propagate_to[0], "main");
		assert_int_equal(c->connections[0].n_filter_in, 1);
		config_free(c);
	}
}

static void nearest(void **state)
{
	static const char *const words[] = {"status", "show", "up", "down", "encryption"};
	static const struct {
		const char *word, *near;
	} cases[] = {
		{"status", "status"},
		{"stauts", "status"},
		{"statsu", "status"},
		{"shwo", "show"},
		{"dwon", "down"},
		{"u", "up"},
		{"p", "up"},
		{"encyption", "encryption"},
		{"encrpytoin", "encryption"},
		{"xyz", NULL},
		{"", NULL},
		{"dn", NULL},
		{"decryption", "encryption"},
	};
	char huge[400];
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const char *got = config_nearest(cases[i].word, words, 5);

		if ((got == NULL) != (cases[i].near == NULL) || (got && strcmp(got, cases[i].near)))
			fail_msg("'%s' is near '%s', not '%s'", cases[i].word,
				 cases[i].near ? cases[i].near : "(none)", got ? got : "(none)");
	}
	memset(huge, 'a', sizeof(huge));
	huge[sizeof(huge) - 1] = 0;
	assert_null(config_nearest(huge, words, 5));
	assert_null(config_nearest("status", words, 0));
}

/* A bound on the number of errors, and a word about the others. */
static void many_errors(void **state)
{
	char text[4096] = "version: 1\n";
	struct config_errors e;
	size_t i;

	for (i = 0; i < 50; i++)
		snprintf(text + strlen(text), sizeof(text) - strlen(text), "zzz%zu: 1\n", i);
	assert_null(config_parse(text, strlen(text), &e));
	assert_int_equal(e.n, CONFIG_MAX_ERRORS);
	assert_int_equal(e.errors[0].line, 2);
	assert_string_equal(e.errors[CONFIG_MAX_ERRORS - 1].text,
			    "too many errors: 33 more; correct these first");
}

/* Sizes that only an attack, or a mistake, has. */
static void bombs(void **state)
{
	const size_t size = 5u << 20;
	char *text = malloc(size);
	struct config_errors e;
	size_t i;

	assert_non_null(text);
	memset(text, 'a', size);
	assert_null(config_parse(text, size, &e));
	assert_string_equal(e.errors[0].text, "the text is longer than 4 MiB");
	for (i = 0; i + 2 < size; i += 2)
		memcpy(text + i, "[]", 2);
	memcpy(text, "[ ", 2);
	for (i = 2; i + 2 < size; i += 2)
		memcpy(text + i, "a,", 2);
	assert_null(config_parse(text, 4u << 20, &e));
	assert_string_equal(e.errors[0].text, "the text has more than 400000 values");
	memset(text, '{', size);
	assert_null(config_parse(text, 4u << 20, &e));
	assert_int_equal(e.n, 1);
	memset(text, ' ', size);
	assert_null(config_parse(text, 4u << 20, &e));
	for (i = 0; i < size; i++)
		text[i] = "- "[i % 2];
	assert_null(config_parse(text, 4u << 20, &e));
	free(text);
}

/* What we tell people to begin with must be right, and must not need excuses. */
static void examples(void **state)
{
	char names[2048];
	char *rest = names, *path;
	size_t n = 0;

	snprintf(names, sizeof(names), "%s", getenv("CONFIG_EXAMPLES"));
	while ((path = strsep(&rest, ":"))) {
		struct config_errors e;
		struct config *c;
		size_t size;
		char *text = read_file(path, &size);

		c = config_parse(text, size, &e);
		if (e.n || e.n_warnings)
			print_error("%s:%u: %s\n", path,
				    e.n ? e.errors[0].line : e.warnings[0].line,
				    e.n ? e.errors[0].text : e.warnings[0].text);
		assert_non_null(c);
		assert_int_equal(e.n_warnings, 0);
		config_free(c);
		free(text);
		n++;
	}
	assert_true(n >= 3);
}

#define BGP_TUNNEL                                                                                 \
	"    local_networks: [0.0.0.0/0, \"::/0\"]\n"                                              \
	"    remote_networks: [0.0.0.0/0, \"::/0\"]\n"                                             \
	"    tunnels:\n"                                                                           \
	"      - name: a-1\n"                                                                      \
	"        local_address: 192.0.2.1\n"                                                       \
	"        remote_address: 203.0.113.1\n"                                                    \
	"        psk_file: /psk\n"

static void bgp_of_tunnels(void **state)
{
	struct config *c =
		parse(HEAD "bgp: {local_as: 65000}\n"
			   "connections:\n"
			   "  - name: a\n" BGP_TUNNEL
			   "        inside_addresses: [169.254.10.2/30, \"fd00::2/126\"]\n"
			   "        bgp: {remote_as: 4200000000, password_file: /md5}\n"
			   "        failover_target: 150ms\n"
			   "      - name: a-2\n"
			   "        local_address: 192.0.2.1\n"
			   "        remote_address: 203.0.113.2\n"
			   "        psk_file: /psk\n"
			   "        inside_addresses: [\"fd00:1::/127\"]\n"
			   "        bgp: {remote_as: 65000, med: 0, prepend: 2, role: peer,\n"
			   "              hold_time: 0s, graceful_restart: 0s, passive: true}\n"
			   "        bfd: {multiplier: 5, passive: true}\n");
	const struct config_tunnel *t1 = &c->connections[0].tunnels[0];
	const struct config_tunnel *t2 = &c->connections[0].tunnels[1];
	const struct ip_addr peer4 = ip_v4(169, 254, 10, 1);
	const char *by;

	assert_true(ip_equal(&c->bgp_router_id,
			     &(struct ip_addr){.family = IP_V4, .b = {192, 0, 2, 1}}));
	assert_int_equal(c->connections[0].n_static_routes, 0);
	assert_true(t1->bgp.on && t1->bfd.on && t1->bgp.ipv4 && t1->bgp.ipv6);
	assert_int_equal(t1->bgp.local_as, 65000);
	assert_int_equal(t1->bgp.remote_as, 4200000000u);
	assert_true(ip_equal(&t1->bgp.neighbor, &peer4));
	assert_true(ip_equal(&t1->bgp.local, &t1->inside[0].addr));
	assert_true(ip_equal(&t1->bfd.neighbor, &peer4));
	assert_int_equal(t1->bgp.hold_time.ns, span_s(30).ns);
	assert_int_equal(t1->bgp.max_prefixes, 10000);
	assert_int_equal(t1->bgp.med, 100);
	assert_int_equal(config_n_files(t1, CONFIG_FILE_BGP_PASSWORD), 1);
	/* The target less what the rest takes, by three. */
	assert_int_equal(t1->bfd.interval.ns, span_ms(46).ns);
	assert_int_equal(config_failover_worst(t1, &by).ns, span_ms(148).ns);
	assert_string_equal(by, "BFD");

	assert_true(t2->bgp.ipv6 && !t2->bgp.ipv4);
	assert_int_equal(t2->bgp.neighbor.b[15], 1);
	assert_true(t2->bgp.passive);
	assert_int_equal(t2->bgp.med, 0);
	assert_int_equal(t2->bgp.prepend, 2);
	assert_int_equal(t2->bgp.role, CONFIG_BGP_ROLE_PEER);
	assert_int_equal(t2->bgp.graceful_restart.ns, 0);
	assert_int_equal(config_failover_worst(t2, &by).ns, span_ms(1510).ns);
	config_free(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(defaults),        cmocka_unit_test(overrides),
		cmocka_unit_test(short_lifetimes), cmocka_unit_test(algorithms),
		cmocka_unit_test(indexes),         cmocka_unit_test(nearest),
		cmocka_unit_test(many_errors),     cmocka_unit_test(bombs),
		cmocka_unit_test(examples),        cmocka_unit_test(table_numbers),
		cmocka_unit_test(full_tables),     cmocka_unit_test(roles),
		cmocka_unit_test(bgp_of_tunnels),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
