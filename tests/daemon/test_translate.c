/* SPDX-License-Identifier: Apache-2.0 */
/* translate: identities, tunnels, traffic selectors, SAs and routes between configuration and cores. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "daemon/translate.h"

static struct ip_addr addr(const char *s)
{
	struct ip_addr a = {.family = IP_NONE};

	if (s[0])
		assert_true(ip_parse(s, &a));
	return a;
}

static void identities(void **state)
{
	static const struct {
		const char *text, *address;
		int type; /* 0: refused */
		const char *data;
		size_t size;
	} cases[] = {
		{"", "192.0.2.1", IKE_ID_IPV4_ADDR, "\xc0\x00\x02\x01", 4},
		{"", "2001:db8::1", IKE_ID_IPV6_ADDR, "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01",
		 16},
		{"", "", 0, NULL, 0},
		{"198.51.100.7", "192.0.2.1", IKE_ID_IPV4_ADDR, "\xc6\x33\x64\x07", 4},
		{"2001:db8::1", "192.0.2.1", IKE_ID_IPV6_ADDR,
		 "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01", 16},
		{"198.51.100.7", "", IKE_ID_IPV4_ADDR, "\xc6\x33\x64\x07", 4},
		{"gw.example.net", "192.0.2.1", IKE_ID_FQDN, "gw.example.net", 14},
		{"1.2.3", "192.0.2.1", IKE_ID_FQDN, "1.2.3", 5},
		{"gw@example.net", "", IKE_ID_RFC822_ADDR, "gw@example.net", 14},
		{"keyid:a@b", "", IKE_ID_KEY_ID, "a@b", 3},
		{"keyid:192.0.2.1", "", IKE_ID_KEY_ID, "192.0.2.1", 9},
		{"keyid:", "", 0, NULL, 0},
		{"fqdn:a@b", "", IKE_ID_FQDN, "a@b", 3},
		{"email:gw", "", IKE_ID_RFC822_ADDR, "gw", 2},
		{"ip:192.0.2.1", "", IKE_ID_IPV4_ADDR, "\300\0\2\1", 4},
		{"ip:gw", "", 0, NULL, 0},
		{"CN=gw", "", IKE_ID_DER_ASN1_DN,
		 "\x30\x0d\x31\x0b\x30\x09\x06\x03\x55\x04\x03\x0c\x02gw", 15},
		{"dn:CN=gw", "", IKE_ID_DER_ASN1_DN,
		 "\x30\x0d\x31\x0b\x30\x09\x06\x03\x55\x04\x03\x0c\x02gw", 15},
		{"dn:gw", "", 0, NULL, 0},
		{"dn:XX=gw", "", 0, NULL, 0},
		{"a=b@example.net", "", IKE_ID_RFC822_ADDR, "a=b@example.net", 15},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct ip_addr a = addr(cases[i].address);
		struct ike_id id;
		const bool ok = translate_id(cases[i].text, &a, &id);

		if (ok != (cases[i].type != 0))
			fail_msg("case %zu", i);
		if (!ok)
			continue;
		assert_int_equal(id.type, cases[i].type);
		assert_int_equal(id.size, cases[i].size);
		assert_memory_equal(id.data, cases[i].data, cases[i].size);
	}
}

static void identity_lengths(void **state)
{
	const struct ip_addr none = {.family = IP_NONE};
	char text[IKE_ID_MAX + 2];
	struct ike_id id;

	memset(text, 'x', sizeof(text));
	text[IKE_ID_MAX] = '\0';
	assert_true(translate_id(text, &none, &id));
	assert_int_equal(id.size, IKE_ID_MAX);
	text[IKE_ID_MAX] = 'x';
	text[IKE_ID_MAX + 1] = '\0';
	assert_false(translate_id(text, &none, &id));
}

/* ------------------------------------------------------- traffic selectors */

/* "first-last[:protocol:port-port]" or a prefix. */
static struct ike_ts ts(const char *s)
{
	struct ike_ts t = {.port_last = UINT16_MAX};
	char copy[120], *dash;
	struct ip_prefix p;
	unsigned protocol, first, last;
	char *rest;

	snprintf(copy, sizeof(copy), "%s", s);
	rest = strchr(copy, '|');
	if (rest) {
		*rest++ = '\0';
		assert_int_equal(sscanf(rest, "%u:%u-%u", &protocol, &first, &last), 3);
		t.protocol = (uint8_t)protocol;
		t.port_first = (uint16_t)first;
		t.port_last = (uint16_t)last;
	}
	dash = strchr(copy, '-');
	if (dash) {
		*dash = '\0';
		t.first = addr(copy);
		t.last = addr(dash + 1);
	} else {
		assert_true(ip_prefix_parse(copy, &p));
		ip_prefix_range(&p, &t.first, &t.last);
	}
	return t;
}

static size_t ts_list(const char *text, struct ike_ts *out)
{
	char copy[400], *save;
	size_t n = 0;

	snprintf(copy, sizeof(copy), "%s", text);
	for (char *w = strtok_r(copy, " ", &save); w; w = strtok_r(NULL, " ", &save))
		out[n++] = ts(w);
	return n;
}

static void pairs(void **state)
{
	static const struct {
		const char *local, *remote;
		size_t n;
	} cases[] = {
		{"10.1.0.0/24", "10.2.0.0/24", 1},
		{"10.1.0.0/24", "2001:db8::/32", 0},
		{"10.1.0.0/24 2001:db8:1::/48", "10.2.0.0/24 2001:db8:2::/48", 2},
		{"10.1.0.0/24 10.3.0.0/24", "10.2.0.0/24 10.4.0.0/24", 4},
		{"10.1.0.0/24 10.3.0.0/24 10.5.0.0/24", "10.2.0.0/24 10.4.0.0/24 10.6.0.0/24", 9},
		/* Neighbours, overlaps and repetitions join. */
		{"10.1.0.0/24 10.1.1.0/24", "10.2.0.0/24", 1},
		{"10.1.1.0/24 10.1.0.0/24", "10.2.0.0/24", 1},
		{"10.1.0.0/24 10.1.0.0/16", "10.2.0.0/24 10.2.0.0/24", 1},
		{"10.0.0.0-10.0.0.9 10.0.0.20-10.0.0.29 10.0.0.10-10.0.0.19", "10.2.0.0/24", 1},
		{"10.0.0.0-10.0.0.9 10.0.0.11-10.0.0.19", "10.2.0.0/24", 2},
		{"2001:db8::/33 2001:db8:8000::/33", "::/0", 1},
		/* The very end of the address space does not wrap. */
		{"255.255.255.0/24 0.0.0.0/24", "0.0.0.0/0", 2},
		/* Other ports or protocols do not join; protocols must agree. */
		{"10.1.0.0/25|6:80-80 10.1.0.128/25|6:81-81", "10.2.0.0/24", 2},
		{"10.1.0.0/24|6:0-65535", "10.2.0.0/24|17:0-65535", 0},
		{"10.1.0.0/24|6:0-65535", "10.2.0.0/24|6:443-443", 1},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct ike_ts l[IKE_MAX_TS], r[IKE_MAX_TS];
		const size_t n_l = ts_list(cases[i].local, l), n_r = ts_list(cases[i].remote, r);

		if (translate_count_pairs(l, n_l, r, n_r) != cases[i].n)
			fail_msg("case %zu: %zu", i, translate_count_pairs(l, n_l, r, n_r));
	}
}

/* -------------------------------------------------------------------- SAs */

static struct ike_child_sa child(void)
{
	struct ike_child_sa c = {
		.slot = 5,
		.spi_in = 0xabc00005,
		.spi_out = 0x11223344,
		.tunnel = 2,
		.resource = 3,
		.suite = {.encr = 20, .encr_key_bits = 256, .esn = 1},
		.replay_window = 1024,
		.local = {addr("192.0.2.1"), 4500},
		.remote = {addr("198.51.100.1"), 40000},
		.soft_packets = 1,
		.hard_packets = 2,
		.soft_bytes = 3,
		.hard_bytes = 4,
	};

	memset(c.key, 0x5a, sizeof(c.key));
	memset(c.integ_key, 0xa5, sizeof(c.integ_key));
	c.n_local_ts = ts_list("10.1.0.0/24", c.local_ts);
	c.n_remote_ts = ts_list("10.2.0.0/24|6:80-81", c.remote_ts);
	return c;
}

static void sa_halves(void **state)
{
	struct ike_child_sa c = child();
	struct config_tunnel t = {.df = CONFIG_DF_SET, .copy_dscp = true};
	struct dp_msg m;

	assert_true(translate_dp_sa(&c, false, NULL, &m));
	assert_int_equal(m.type, DP_SA_ADD_IN);
	assert_int_equal(m.sa.slot, 5);
	assert_int_equal(m.sa.spi, 0xabc00005);
	assert_int_equal(m.sa.tunnel, 2);
	assert_int_equal(m.sa.flags, DP_SA_ESN);
	assert_int_equal(m.sa.encr, 20);
	assert_int_equal(m.sa.encr_key_bits, 256);
	assert_int_equal(m.sa.replay_window, 1024);
	assert_int_equal(m.sa.first_seq, 1);
	assert_int_equal(m.sa.resource, 3);
	assert_int_equal(m.sa.soft_packets, 1);
	assert_int_equal(m.sa.hard_bytes, 4);
	assert_memory_equal(m.sa.encr_key, c.key, sizeof(c.key));
	assert_memory_equal(m.sa.integ_key, c.integ_key, sizeof(c.integ_key));
	/* Native ESP has no ports, whatever IKE runs on. */
	assert_int_equal(m.sa.local.port, 0);
	assert_int_equal(m.sa.remote.port, 0);
	assert_int_equal(m.sa.n_ts, 1);
	assert_int_equal(m.sa.ts[0].protocol, 6);
	assert_int_equal(m.sa.ts[0].remote_port_first, 80);
	assert_int_equal(m.sa.ts[0].local_port_last, 65535);
	assert_int_equal(m.sa.ts[0].remote_last.b[3], 255);

	c.udp_encap = c.ports_vary = true;
	c.suite.esn = 0;
	assert_true(translate_dp_sa(&c, true, &t, &m));
	assert_int_equal(m.type, DP_SA_ADD_OUT);
	assert_int_equal(m.sa.resource, 0);
	assert_int_equal(m.sa.spi, 0x11223344);
	assert_int_equal(m.sa.flags,
			 DP_SA_UDP_ENCAP | DP_SA_DF_SET | DP_SA_COPY_DSCP | DP_SA_PORT_ENTROPY);
	assert_int_equal(m.sa.local.port, 4500);
	assert_int_equal(m.sa.remote.port, 40000);
	assert_int_equal(m.sa.remote.addr.family, 4);
	assert_memory_equal(m.sa.remote.addr.b, "\xc6\x33\x64\x01\0\0\0\0\0\0\0\0\0\0\0\0", 16);

	translate_dp_peer(&c, &m);
	assert_int_equal(m.type, DP_SA_PEER);
	assert_int_equal(m.peer.slot, 5);
	assert_int_equal(m.peer.flags, DP_SA_UDP_ENCAP);
	assert_int_equal(m.peer.remote.port, 40000);
}

static void sa_with_many_pairs(void **state)
{
	struct ike_child_sa c = child();
	struct dp_msg m;

	c.n_local_ts = ts_list("10.1.0.0/24 10.3.0.0/24 10.5.0.0/24", c.local_ts);
	c.n_remote_ts = ts_list("10.2.0.0/24 10.4.0.0/24", c.remote_ts);
	assert_true(translate_dp_sa(&c, true, NULL, &m));
	assert_int_equal(m.sa.n_ts, 6);
	c.n_local_ts =
		ts_list("10.1.0.0/24 10.3.0.0/24 10.5.0.0/24 10.7.0.0/24 10.9.0.0/24 10.11.0.0/24",
			c.local_ts);
	c.n_remote_ts =
		ts_list("10.2.0.0/24 10.4.0.0/24 10.6.0.0/24 10.8.0.0/24 10.10.0.0/24 10.12.0.0/24",
			c.remote_ts);
	assert_true(translate_dp_sa(&c, true, NULL, &m));
	assert_int_equal(m.sa.n_ts, DP_MAX_TS);
	c.n_remote_ts = ts_list("2001:db8::/64", c.remote_ts);
	assert_false(translate_dp_sa(&c, true, NULL, &m));
	assert_int_equal(m.sa.n_ts, 0);
}

static void addresses(void **state)
{
	static const char *const texts[] = {"", "192.0.2.1", "2001:db8::1"};

	for (size_t i = 0; i < 3; i++) {
		const struct ip_addr a = addr(texts[i]);
		const struct dp_addr d = translate_dp_addr(&a);
		const struct ip_addr back = translate_ip_addr(&d);

		assert_true(ip_equal(&a, &back));
	}
	for (unsigned f = 0; f < 256; f++) {
		const struct dp_addr d = {.family = (uint8_t)f, .b = {1, 2, 3, 4}};

		assert_int_equal(translate_ip_addr(&d).family, f == 4 || f == 6 ? f : 0);
	}
}

/* ---------------------------------------------------------- configuration */

static const char text[] = "version: 1\n"
			   "gateway: {name: g, user: nobody}\n"
			   "ports:\n"
			   "  - name: wan\n"
			   "    device: {vdev: \"net_null0\"}\n"
			   "    addresses: [192.0.2.1/24, 192.0.2.2/24]\n"
			   "connections:\n"
			   "  - name: c\n"
			   "    local_networks: [10.1.0.0/24, 2001:db8:1::/64]\n"
			   "    remote_networks: [10.2.0.0/24, 2001:db8:2::/64]\n"
			   "    tunnels:\n"
			   "      - name: t1\n"
			   "        local_address: 192.0.2.1\n"
			   "        remote_address: 198.51.100.1\n"
			   "        remote_id: gw.example.net\n"
			   "        interface: inside-1\n"
			   "        inside_addresses: [169.254.10.2/30]\n"
			   "        psk_file: /x\n"
			   "        startup: add\n"
			   "        udp_encapsulation: force\n"
			   "        additional_addresses: [192.0.2.2]\n"
			   "        redirect: follow\n"
			   "        childless: true\n"
			   "        dpd: {interval: 7s, timeout: 21s, action: clear}\n"
			   "      - name: t2\n"
			   "        local_address: 192.0.2.1\n"
			   "        remote_address: 198.51.100.2\n"
			   "        mobike: false\n"
			   "        psk_file: /x\n";

static struct config *parse(const char *s)
{
	struct config_errors *e = calloc(1, sizeof(*e));
	struct config *c = config_parse(s, strlen(s), e);

	if (!c)
		fail_msg("%u: %s", e->errors[0].line, e->errors[0].text);
	assert_true(config_assign_indexes(c, NULL));
	free(e);
	return c;
}

/* The first of a list, with additional key exchanges of two groups and this `pq`. */
static uint16_t first_of_type(const struct config_tunnel *t, const struct config_connection *conn,
			      enum config_pq pq, uint8_t type)
{
	struct config_tunnel with = *t;
	struct ike_tunnel_cfg cfg;
	char why[256];

	with.pq = pq;
	with.ike_more_ke[0] = (struct config_alg_list){1, {{IKE_DH_ECP_384, 0}}};
	with.ike_more_ke[1] = (struct config_alg_list){1, {{IKE_DH_MODP_3072, 0}}};
	assert_true(translate_ike_tunnel(conn, &with, &cfg, why, sizeof(why)));
	return cfg.ike_algs.by_type[type].algs[0].id;
}

static void tunnel(void **state)
{
	struct config *c = parse(text);
	const struct config_connection *conn = &c->connections[0];
	struct ike_tunnel_cfg cfg, again;
	char why[256];

	assert_true(translate_ike_tunnel(conn, &conn->tunnels[0], &cfg, why, sizeof(why)));
	assert_string_equal(cfg.name, "t1");
	assert_int_equal(cfg.tunnel, conn->tunnels[0].index);
	assert_int_equal(cfg.local_id.type, IKE_ID_IPV4_ADDR);
	assert_int_equal(cfg.remote_id.type, IKE_ID_FQDN);
	assert_int_equal(cfg.startup, IKE_STARTUP_ADD);
	assert_int_equal(cfg.encap, IKE_ENCAP_FORCE);
	assert_int_equal(cfg.dpd_action, IKE_DPD_CLEAR);
	assert_true(cfg.mobike);
	assert_int_equal(cfg.n_more_local, 1);
	assert_true(ip_equal(&cfg.more_local[0], &conn->tunnels[0].additional[0]));
	assert_true(cfg.redirect);
	assert_true(cfg.childless);
	assert_int_equal(span_to_ms(cfg.dpd_interval), 7000);
	assert_int_equal(cfg.n_local_ts, 2);
	assert_int_equal(cfg.n_remote_ts, 2);
	assert_int_equal(cfg.local_ts[0].port_first, 0);
	assert_int_equal(cfg.local_ts[0].port_last, 65535);
	assert_int_equal(cfg.ike_algs.by_type[IKE_TRANSFORM_ENCR].n, conn->tunnels[0].ike_encr.n);
	assert_int_equal(cfg.esp_algs.by_type[IKE_TRANSFORM_ESN].n, conn->tunnels[0].esp_esn.n);
	assert_int_equal(cfg.ike_algs.by_type[IKE_TRANSFORM_ADDKE1].n, 0);

	/* RFC 9370: counted from that of `pq`, where there is one. */
	assert_int_equal(
		first_of_type(&conn->tunnels[0], conn, CONFIG_PQ_OFF, IKE_TRANSFORM_ADDKE1),
		IKE_DH_ECP_384);
	assert_int_equal(
		first_of_type(&conn->tunnels[0], conn, CONFIG_PQ_OFF, IKE_TRANSFORM_ADDKE1 + 1),
		IKE_DH_MODP_3072);
	assert_int_equal(
		first_of_type(&conn->tunnels[0], conn, CONFIG_PQ_REQUIRE, IKE_TRANSFORM_ADDKE1),
		IKE_DH_ML_KEM_768);
	assert_int_equal(
		first_of_type(&conn->tunnels[0], conn, CONFIG_PQ_REQUIRE, IKE_TRANSFORM_ADDKE1 + 1),
		IKE_DH_ECP_384);

	assert_true(translate_ike_tunnel(conn, &conn->tunnels[0], &again, why, sizeof(why)));
	assert_true(translate_ike_tunnel_equal(&cfg, &again));
	assert_true(translate_ike_tunnel(conn, &conn->tunnels[1], &again, why, sizeof(why)));
	assert_false(translate_ike_tunnel_equal(&cfg, &again));
	assert_false(again.mobike);
	assert_int_equal(again.n_more_local, 0);
	assert_false(again.redirect);
	assert_false(again.childless);
	assert_int_equal(again.startup, conn->tunnels[1].startup == CONFIG_STARTUP_START
						? IKE_STARTUP_START
						: IKE_STARTUP_ADD);
	config_free(c);
}

static void tunnel_with_too_many_networks(void **state)
{
	struct config *c = parse(text);
	struct config_connection conn = c->connections[0];
	struct ip_prefix many[IKE_MAX_TS + 1];
	struct ike_tunnel_cfg cfg;
	char why[256];

	for (size_t i = 0; i <= IKE_MAX_TS; i++)
		many[i] = (struct ip_prefix){ip_v4(10, (uint8_t)(2 * i), 0, 0), 24};
	conn.local_networks = many;
	conn.n_local_networks = IKE_MAX_TS + 1;
	assert_false(translate_ike_tunnel(&conn, &conn.tunnels[0], &cfg, why, sizeof(why)));
	assert_non_null(strstr(why, "connection 'c'"));
	conn.n_local_networks = 3;
	conn.remote_networks = many + 3;
	conn.n_remote_networks = 3;
	assert_true(translate_ike_tunnel(&conn, &conn.tunnels[0], &cfg, why, sizeof(why)));
	assert_true(ip_prefix_parse("2001:db8::/64", &many[0]));
	conn.n_local_networks = 1;
	assert_false(translate_ike_tunnel(&conn, &conn.tunnels[0], &cfg, why, sizeof(why)));
	assert_non_null(strstr(why, "0 pairs"));
	config_free(c);
}

static void routes(void **state)
{
	struct config *c = parse(text);
	struct rt_cfg all;
	struct translate_rt *t = translate_rt_new(c, &all);
	struct rt_connection_cfg cfg;
	struct rt_action a = {.type = RT_ACT_TUNNEL_SET, .request = 7};
	struct rt_route_op ops[4];
	struct dp_msg m;

	assert_non_null(t);
	assert_int_equal(all.n_connections, 1);
	cfg = all.connections[0];
	assert_string_equal(cfg.name, "c");
	assert_int_equal(cfg.n_tunnels, 2);
	assert_string_equal(cfg.tunnels[0].ifname, "inside-1");
	assert_int_equal(cfg.n_prefixes, 2);
	assert_int_equal(span_to_ms(cfg.revert_hold), 3000);

	a.tunnel = cfg.tunnels[0];
	assert_true(translate_dp_route(&a, &m));
	assert_int_equal(m.type, DP_TUNNEL_SET);
	assert_int_equal(m.seq, 7);
	assert_string_equal(m.tunnel.name, "t1");
	assert_string_equal(m.tunnel.ifname, "inside-1");
	assert_int_equal(m.tunnel.inside[0].family, 4);
	assert_int_equal(m.tunnel.inside_len[0], 30);
	assert_int_equal(m.tunnel.inside[1].family, 0);
	assert_int_equal(m.tunnel.table, 0);
	a.tunnel.table = 5;
	assert_true(translate_dp_route(&a, &m));
	assert_int_equal(m.tunnel.table, 5);

	assert_int_equal(m.tunnel.n_translate, 0);
	/* Names: of ours, then of theirs. */
	a.tunnel.n_translate = 2;
	for (size_t i = 0; i < 2; i++) {
		struct translation *rule = &a.tunnel.translate[i];

		rule->side = i ? TRANSLATION_THEIRS : TRANSLATION_OURS;
		assert_true(ip_prefix_parse(i ? "100.64.0.0/16" : "fd00::/64", &rule->here));
		assert_true(ip_prefix_parse(i ? "10.0.0.0/16" : "fd01::/64", &rule->there));
	}
	assert_true(translate_dp_route(&a, &m));
	assert_int_equal(m.tunnel.n_translate, 2);
	assert_int_equal(m.tunnel.translate[0].ours, 1);
	assert_int_equal(m.tunnel.translate[0].len, 64);
	assert_int_equal(m.tunnel.translate[0].there.b[1], 1);
	assert_int_equal(m.tunnel.translate[1].ours, 0);
	assert_int_equal(m.tunnel.translate[1].len, 16);
	assert_int_equal(m.tunnel.translate[1].here.b[0], 100);
	assert_int_equal(m.tunnel.translate[1].there.b[0], 10);

	a = (struct rt_action){.type = RT_ACT_GROUP_SET, .request = 8};
	a.group.group = 3;
	a.group.n = 2;
	a.group.tunnels[0] = 9;
	a.group.tunnels[1] = 4;
	a.group.n_ecmp = 2;
	assert_true(translate_dp_route(&a, &m));
	assert_int_equal(m.type, DP_GROUP_SET);
	assert_int_equal(m.group.group, 3);
	assert_int_equal(m.group.n_tunnels, 2);
	assert_int_equal(m.group.tunnels[0], 9);
	assert_int_equal(m.group.tunnels[1], 4);
	assert_int_equal(m.group.n_ecmp, 2);
	/* The core says 1 of a group in which no tunnel works: more than its members is malformed. */
	a.group.n = 0;
	a.group.n_ecmp = 1;
	assert_true(translate_dp_route(&a, &m));
	assert_int_equal(m.group.n_tunnels, 0);
	assert_int_equal(m.group.n_ecmp, 0);

	ops[0] = (struct rt_route_op){.prefix = cfg.prefixes[1], .table = 2, .group = 3};
	ops[1] = (struct rt_route_op){.prefix = cfg.prefixes[0], .group = RT_GROUP_NONE};
	ops[2] = (struct rt_route_op){.prefix = cfg.prefixes[0], .group = RT_GROUP_BLACKHOLE};
	ops[3] = (struct rt_route_op){
		.prefix = cfg.prefixes[0], .table = 2, .group = RT_GROUP_LOCAL};
	memset(&m, 0xee, sizeof(m));
	translate_dp_routes(ops, 4, 9, &m);
	assert_int_equal(m.type, DP_ROUTES);
	assert_int_equal(m.seq, 9);
	assert_int_equal(m.routes.n, 4);
	assert_int_equal(m.routes.zero, 0);
	assert_int_equal(m.routes.entries[0].table, 2);
	assert_int_equal(m.routes.entries[0].group, 3);
	assert_int_equal(m.routes.entries[0].len, 64);
	assert_int_equal(m.routes.entries[0].zero, 0);
	assert_int_equal(m.routes.entries[0].prefix.family, 6);
	assert_int_equal(m.routes.entries[1].group, DP_GROUP_WITHDRAW);
	assert_int_equal(m.routes.entries[2].group, DP_GROUP_BLACKHOLE);
	assert_int_equal(m.routes.entries[3].group, DP_GROUP_LOCAL);

	a.type = RT_ACT_SWITCHED;
	assert_false(translate_dp_route(&a, &m));
	translate_rt_free(t);
	config_free(c);
}

/* Tables, filters and what else the configuration says of routes reaches the core as it was written. */
static void routing(void **state)
{
	static const char head[] =
		"version: 1\n"
		"gateway: {name: g}\n"
		"ports: [{name: wan, device: {vdev: net_null}, addresses: [192.0.2.1/24]}]\n"
		"routing:\n"
		"  role: transit-gateway\n"
		"  local_networks: [10.0.0.0/16]\n"
		"  tables:\n"
		"    - name: blue\n"
		"      static_routes: [{prefix: 10.8.0.0/16, connection: b}]\n"
		"      blackholes: [10.66.0.0/16]\n"
		"    - name: main\n"
		"      aggregates: [{prefix: 10.0.0.0/8, summary_only: true}]\n"
		"connections:\n"
		"  - {name: a, local_networks: [0.0.0.0/0], remote_networks: [10.1.0.0/16],\n"
		"     tunnels: [{name: a1, local_address: 192.0.2.1, remote_address: 192.0.2.5,\n"
		"                psk_file: /a}]}\n"
		"  - {name: b, local_networks: [0.0.0.0/0], remote_networks: [0.0.0.0/0],\n"
		"     static_routes: [], route_table: blue, propagate_to: [main, blue],\n"
		"     attachment: connect, cloudhub: false, max_advertised: 9,\n"
		"     advertise: [10.0.1.0/24], filters: {in: [{deny: 10.9.0.0/16, ge: 20},\n"
		"     {permit: 10.0.0.0/8, le: 24}, {permit: 0.0.0.0/0}],\n"
		"     out: [{permit: 10.1.0.0/16}]},\n"
		"     tunnels: [{name: b1, local_address: 192.0.2.1, remote_address: 192.0.2.6,\n"
		"                psk_file: /b}]}\n"
		"  - {name: n, local_networks: [0.0.0.0/0], remote_networks: [10.7.0.0/16],\n"
		"     propagate_to: [],\n"
		"     tunnels: [{name: n1, local_address: 192.0.2.1, remote_address: 192.0.2.7,\n"
		"                psk_file: /n}]}\n";
	struct config *c = parse(head);
	const struct rt_connection_cfg *a, *b, *n;
	struct translate_rt *t;
	struct rt_cfg cfg;
	char buf[IP_PREFIX_STRLEN];

	t = translate_rt_new(c, &cfg);
	assert_non_null(t);
	a = &cfg.connections[0];
	b = &cfg.connections[1];
	n = &cfg.connections[2];
	assert_int_equal(cfg.role, RT_ROLE_TRANSIT);
	assert_true(cfg.ecmp);
	assert_int_equal(cfg.n_local, 1);
	assert_string_equal(ip_prefix_format(&cfg.local[0], buf), "10.0.0.0/16");
	assert_int_equal(cfg.n_statics, 2);
	assert_int_equal(cfg.statics[0].table, 1);
	assert_string_equal(cfg.statics[0].connection, "b");
	assert_string_equal(ip_prefix_format(&cfg.statics[0].prefix, buf), "10.8.0.0/16");
	assert_int_equal(cfg.statics[1].table, 1);
	assert_string_equal(cfg.statics[1].connection, "");
	assert_string_equal(ip_prefix_format(&cfg.statics[1].prefix, buf), "10.66.0.0/16");
	assert_int_equal(cfg.n_aggregates, 1);
	assert_int_equal(cfg.aggregates[0].table, 0);
	assert_true(cfg.aggregates[0].summary_only);

	/* A connection's tunnels are in its table. */
	assert_int_equal(b->association, 1);
	assert_int_equal(b->tunnels[0].table, 1);
	assert_int_equal(a->tunnels[0].table, 0);
	/* What nobody wrote. */
	assert_int_equal(a->association, 0);
	assert_int_equal(a->n_propagations, 1);
	assert_int_equal(a->propagations[0], 0);
	assert_false(a->no_propagation);
	assert_int_equal(a->attachment, RT_ATTACH_VPN);
	assert_true(a->cloudhub);
	assert_int_equal(a->max_advertised, 5000);
	assert_int_equal(a->n_advertise, 1);
	assert_string_equal(ip_prefix_format(&a->advertise[0], buf), "10.0.0.0/16");
	assert_int_equal(a->n_in, 1);
	assert_string_equal(ip_prefix_format(&a->in[0].prefix, buf), "10.1.0.0/16");
	assert_int_equal(a->in[0].min_len, 16);
	assert_int_equal(a->in[0].max_len, 32);
	assert_true(a->in[0].permit);
	assert_int_equal(a->n_out, 0);

	assert_int_equal(b->association, 1);
	assert_int_equal(b->n_propagations, 2);
	assert_int_equal(b->propagations[0], 0);
	assert_int_equal(b->propagations[1], 1);
	assert_int_equal(b->n_prefixes, 0);
	assert_int_equal(b->attachment, RT_ATTACH_CONNECT);
	assert_false(b->cloudhub);
	assert_int_equal(b->max_advertised, 9);
	assert_int_equal(b->n_advertise, 1);
	assert_string_equal(ip_prefix_format(&b->advertise[0], buf), "10.0.1.0/24");
	assert_int_equal(b->n_in, 3);
	assert_false(b->in[0].permit);
	assert_int_equal(b->in[0].min_len, 20);
	assert_int_equal(b->in[0].max_len, 32);
	assert_int_equal(b->in[1].min_len, 8);
	assert_int_equal(b->in[1].max_len, 24);
	/* The default route alone. */
	assert_true(b->in[2].permit);
	assert_int_equal(b->in[2].min_len, 0);
	assert_int_equal(b->in[2].max_len, 0);
	assert_int_equal(b->n_out, 1);

	assert_true(n->no_propagation);
	assert_int_equal(n->n_propagations, 0);
	translate_rt_free(t);
	config_free(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(identities),
		cmocka_unit_test(identity_lengths),
		cmocka_unit_test(pairs),
		cmocka_unit_test(sa_halves),
		cmocka_unit_test(sa_with_many_pairs),
		cmocka_unit_test(addresses),
		cmocka_unit_test(tunnel),
		cmocka_unit_test(tunnel_with_too_many_networks),
		cmocka_unit_test(routes),
		cmocka_unit_test(routing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
