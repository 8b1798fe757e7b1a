/* SPDX-License-Identifier: Apache-2.0 */
/* Traffic selectors over inner packets, outbound and inbound (RFC 4301 4.4.1.1, 7). */
#include <stdio.h>
#include "util.h"

/* "10.1.0.0-10.1.255.255 0-65535 > 10.2.0.0-10.2.255.255 80-80 6": local > remote, protocol. */
static struct esp_ts ts_parse(const char *s)
{
	char a[4][48];
	unsigned port[4], proto;
	struct esp_ts t;

	assert_int_equal(sscanf(s, "%47[^-]-%47s %u-%u > %47[^-]-%47s %u-%u %u", a[0], a[1],
				&port[0], &port[1], a[2], a[3], &port[2], &port[3], &proto),
			 9);
	assert_true(ip_parse(a[0], &t.local_first));
	assert_true(ip_parse(a[1], &t.local_last));
	assert_true(ip_parse(a[2], &t.remote_first));
	assert_true(ip_parse(a[3], &t.remote_last));
	t.local_port_first = (uint16_t)port[0];
	t.local_port_last = (uint16_t)port[1];
	t.remote_port_first = (uint16_t)port[2];
	t.remote_port_last = (uint16_t)port[3];
	t.protocol = (uint8_t)proto;
	return t;
}

/* What the packet is: kinds of inner packets that the tables name. */
enum kind {
	TCP_80,       /* 10.1.0.1:1000 > 10.2.0.2:80 */
	TCP_81,       /* to port 81 */
	UDP_80,       /* UDP */
	ICMP_ECHO,    /* type 8 code 0 */
	ICMP_ERROR,   /* type 3 code 4 */
	FRAG_FIRST,   /* TCP_80, more fragments follow */
	FRAG_LATER,   /* offset 185 */
	TCP_STUMP,    /* the packet ends after three bytes of TCP */
	OSPF,         /* a protocol without ports */
	OPTIONS_80,   /* TCP_80 behind IPv4 options */
	SRC_EDGE,     /* TCP_80 from 10.1.255.255 */
	SRC_OUTSIDE,  /* TCP_80 from 10.2.0.0 */
	V6_TCP_80,    /* fd00:1::1 > fd00:2::2 */
	V6_EXT_80,    /* behind hop-by-hop, destination options, routing */
	V6_FIRST,     /* fragment header, first */
	V6_LATER,     /* fragment header, later */
	V6_CHAIN_CUT, /* an extension header runs past the end */
	V6_MH,        /* mobility header, type 5 */
};

static void fix4(uint8_t *p)
{
	inner4_checksum(p);
}

static void make4(struct buf *b, uint8_t proto, uint16_t sport, uint16_t dport)
{
	buf_inner4(b, 60);
	b->pkt.data[9] = proto;
	esp_put16(b->pkt.data + 20, sport);
	esp_put16(b->pkt.data + 22, dport);
	fix4(b->pkt.data);
}

static void make6(struct buf *b, const uint8_t *headers, uint32_t size, uint8_t first)
{
	buf_inner6(b, 40 + size + 20);
	b->pkt.data[6] = first;
	if (size)
		memcpy(b->pkt.data + 40, headers, size);
	esp_put16(b->pkt.data + 40 + size, 1000);
	esp_put16(b->pkt.data + 42 + size, 80);
}

static void make(struct buf *b, enum kind kind)
{
	static const uint8_t ext[] = {60, 0, 1, 4, 0, 0, 0, 0, 43, 0, 1, 4,
				      0,  0, 0, 0, 6, 0, 0, 0, 0,  0, 0, 0};
	static const uint8_t frag_first[] = {6, 0, 0, 1, 0, 0, 0, 7};
	static const uint8_t frag_later[] = {6, 0, 0, 8, 0, 0, 0, 7};
	static const uint8_t cut[] = {6, 200, 1, 4, 0, 0, 0, 0};
	static const uint8_t mh[] = {59, 0, 5, 0, 0, 0, 0, 0};
	uint8_t *p = b->mem + HEADROOM;

	switch (kind) {
	case TCP_80: make4(b, 6, 1000, 80); break;
	case TCP_81: make4(b, 6, 1000, 81); break;
	case UDP_80: make4(b, 17, 1000, 80); break;
	case ICMP_ECHO: make4(b, 1, 0x0800, 0); break;
	case ICMP_ERROR: make4(b, 1, 0x0304, 0); break;
	case FRAG_FIRST:
		make4(b, 6, 1000, 80);
		esp_put16(p + 6, 0x2000);
		fix4(p);
		break;
	case FRAG_LATER:
		make4(b, 6, 1000, 80);
		esp_put16(p + 6, 185);
		fix4(p);
		break;
	case TCP_STUMP:
		make4(b, 6, 1000, 80);
		b->pkt.size = 23;
		esp_put16(p + 2, 23);
		fix4(p);
		break;
	case OSPF: make4(b, 89, 1000, 80); break;
	case OPTIONS_80:
		make4(b, 6, 1000, 80);
		p[0] = 0x46;
		memset(p + 20, 1, 4);
		esp_put16(p + 24, 1000);
		esp_put16(p + 26, 80);
		fix4(p);
		break;
	case SRC_EDGE:
		make4(b, 6, 1000, 80);
		p[14] = p[15] = 255;
		fix4(p);
		break;
	case SRC_OUTSIDE:
		make4(b, 6, 1000, 80);
		p[13] = 2;
		p[14] = p[15] = 0;
		fix4(p);
		break;
	case V6_TCP_80: make6(b, NULL, 0, 6); break;
	case V6_EXT_80: make6(b, ext, sizeof(ext), 0); break;
	case V6_FIRST: make6(b, frag_first, sizeof(frag_first), 44); break;
	case V6_LATER: make6(b, frag_later, sizeof(frag_later), 44); break;
	case V6_CHAIN_CUT: make6(b, cut, sizeof(cut), 60); break;
	case V6_MH: make6(b, mh, sizeof(mh), 135); break;
	}
}

#define ALL4  "0.0.0.0-255.255.255.255 0-65535 > 0.0.0.0-255.255.255.255 0-65535 0"
#define NET   "10.1.0.0-10.1.255.255 "
#define PEER  "10.2.0.0-10.2.255.255 "
#define NET6  "fd00:1::-fd00:1:ffff:ffff:ffff:ffff:ffff:ffff "
#define PEER6 "fd00:2::-fd00:2:ffff:ffff:ffff:ffff:ffff:ffff "
#define ANY   "0-65535"
#define OPAQ  "65535-0"

static const struct ts_case {
	const char *ts;
	enum kind kind;
	bool pass;
} cases[] = {
	{ALL4, TCP_80, true},
	{ALL4, FRAG_LATER, true},
	{ALL4, V6_TCP_80, false},
	{NET ANY " > " PEER ANY " 0", TCP_80, true},
	{NET ANY " > " PEER ANY " 0", SRC_EDGE, true},
	{NET ANY " > " PEER ANY " 0", SRC_OUTSIDE, false},
	{NET ANY " > " PEER ANY " 0", FRAG_LATER, true},
	{NET ANY " > " PEER ANY " 0", V6_TCP_80, false},
	{"10.1.0.1-10.1.0.1 " ANY " > 10.2.0.2-10.2.0.2 " ANY " 0", TCP_80, true},
	{"10.1.0.0-10.1.0.0 " ANY " > 10.2.0.2-10.2.0.2 " ANY " 0", TCP_80, false},
	{"10.1.0.1-10.1.0.1 " ANY " > 10.2.0.3-10.2.0.9 " ANY " 0", TCP_80, false},
	/* protocol alone: later fragments still name it */
	{NET ANY " > " PEER ANY " 6", TCP_80, true},
	{NET ANY " > " PEER ANY " 6", UDP_80, false},
	{NET ANY " > " PEER ANY " 6", FRAG_LATER, true},
	{NET ANY " > " PEER ANY " 89", OSPF, true},
	/* ports */
	{NET ANY " > " PEER "80-80 6", TCP_80, true},
	{NET ANY " > " PEER "80-80 6", TCP_81, false},
	{NET ANY " > " PEER "80-80 6", UDP_80, false},
	{NET ANY " > " PEER "80-80 0", UDP_80, true},
	{NET "1000-1000 > " PEER "80-81 6", TCP_81, true},
	{NET "1001-2000 > " PEER "80-81 6", TCP_80, false},
	{NET ANY " > " PEER "80-80 6", OPTIONS_80, true},
	{NET ANY " > " PEER "81-81 6", OPTIONS_80, false},
	/* RFC 4301 7: what shows no ports matches ANY and OPAQUE only */
	{NET ANY " > " PEER "80-80 6", FRAG_FIRST, true},
	{NET ANY " > " PEER "80-80 6", FRAG_LATER, false},
	{NET ANY " > " PEER "80-80 6", TCP_STUMP, false},
	{NET ANY " > " PEER "80-80 0", OSPF, false},
	{NET OPAQ " > " PEER OPAQ " 6", FRAG_LATER, true},
	{NET OPAQ " > " PEER OPAQ " 6", TCP_80, false},
	{NET OPAQ " > " PEER OPAQ " 6", FRAG_FIRST, false},
	{NET OPAQ " > " PEER OPAQ " 0", OSPF, true},
	/* ICMP: type and code */
	{NET "2048-2048 > " PEER ANY " 1", ICMP_ECHO, true},
	{NET "2048-2048 > " PEER "2048-2048 1", ICMP_ECHO, true},
	{NET "2048-2048 > " PEER ANY " 1", ICMP_ERROR, false},
	{NET "768-1023 > " PEER ANY " 1", ICMP_ERROR, true},
	/* IPv6 */
	{NET6 ANY " > " PEER6 ANY " 0", V6_TCP_80, true},
	{NET6 ANY " > " PEER6 ANY " 0", TCP_80, false},
	{NET6 ANY " > " PEER6 ANY " 0", V6_CHAIN_CUT, true},
	{PEER6 ANY " > " NET6 ANY " 0", V6_TCP_80, false},
	{"fd00:1::1-fd00:1::1 " ANY " > " PEER6 ANY " 0", V6_TCP_80, true},
	{"fd00:1::2-fd00:1::3 " ANY " > " PEER6 ANY " 0", V6_TCP_80, false},
	{"fd00:1::-fd00:1:: " ANY " > " PEER6 ANY " 0", V6_TCP_80, false},
	{"fd00::ffff-fd00:1:0:0:1:: " ANY " > " PEER6 ANY " 0", V6_TCP_80, true},
	{NET6 ANY " > " PEER6 "80-80 6", V6_TCP_80, true},
	{NET6 ANY " > " PEER6 "80-80 6", V6_EXT_80, true},
	{NET6 ANY " > " PEER6 "81-81 6", V6_EXT_80, false},
	{NET6 ANY " > " PEER6 "80-80 6", V6_FIRST, true},
	{NET6 ANY " > " PEER6 "80-80 6", V6_LATER, false},
	{NET6 ANY " > " PEER6 ANY " 6", V6_LATER, true},
	{NET6 OPAQ " > " PEER6 OPAQ " 6", V6_LATER, true},
	{NET6 ANY " > " PEER6 ANY " 6", V6_CHAIN_CUT, false},
	{NET6 "1280-1280 > " PEER6 ANY " 135", V6_MH, true},
	{NET6 "1536-1536 > " PEER6 ANY " 135", V6_MH, false},
};

static void test_table(void **state)
{
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct esp_sa_cfg cfg = cfg_of(&suite_rows[0]), open_cfg;
		struct esp_in_state st;
		struct buf b, sent;
		struct pair narrow, open;
		enum esp_drop got;

		open_cfg = cfg;
		cfg.n_ts = 1;
		cfg.ts[0] = ts_parse(cases[i].ts);
		pair_init(&narrow, &cfg, &esp_backend_openssl, &esp_backend_openssl);
		pair_init(&open, &open_cfg, &esp_backend_openssl, &esp_backend_openssl);
		make(&b, cases[i].kind);
		buf_copy(&sent, &b);
		/* outbound */
		got = encap_one(&narrow, &b);
		if (got != (cases[i].pass ? ESP_DROP_OK : ESP_DROP_OUT_SELECTOR))
			fail_msg("out %zu: %s: %s", i, cases[i].ts, esp_drop_name(got));
		/* inbound, from a peer that does not check */
		assert_drop(encap_one(&open, &sent), ESP_DROP_OK);
		got = decap_one(&narrow, &sent);
		if (got != (cases[i].pass ? ESP_DROP_OK : ESP_DROP_IN_SELECTOR))
			fail_msg("in %zu: %s: %s", i, cases[i].ts, esp_drop_name(got));
		esp_in_state(narrow.in, &st);
		assert_int_equal(st.ts_mismatch, !cases[i].pass);
		assert_int_equal(st.seq_high, 1); /* authentic all the same */
		pair_fini(&narrow);
		pair_fini(&open);
	}
}

/* Several selectors: any may match; with none nothing passes. */
static void test_sets(void **state)
{
	struct esp_sa_cfg cfg = cfg_of(&suite_rows[0]);
	struct buf b;
	struct pair p;

	cfg.n_ts = 3;
	cfg.ts[0] = ts_parse(NET ANY " > " PEER "81-81 6");
	cfg.ts[1] = ts_parse(NET6 ANY " > " PEER6 ANY " 0");
	cfg.ts[2] = ts_parse(NET ANY " > " PEER "80-80 6");
	pair_init(&p, &cfg, &esp_backend_openssl, &esp_backend_openssl);
	make(&b, TCP_80);
	assert_drop(encap_one(&p, &b), ESP_DROP_OK);
	make(&b, TCP_81);
	assert_drop(encap_one(&p, &b), ESP_DROP_OK);
	make(&b, V6_MH);
	assert_drop(encap_one(&p, &b), ESP_DROP_OK);
	make(&b, UDP_80);
	assert_drop(encap_one(&p, &b), ESP_DROP_OUT_SELECTOR);
	pair_fini(&p);

	cfg.n_ts = 0;
	pair_init(&p, &cfg, &esp_backend_openssl, &esp_backend_openssl);
	make(&b, TCP_80);
	assert_drop(encap_one(&p, &b), ESP_DROP_OUT_SELECTOR);
	pair_fini(&p);
}

/* Selectors that make no sense make no SA. */
static void test_refused(void **state)
{
	static const char *const bad[] = {
		"10.1.0.1-10.1.0.0 " ANY " > " PEER ANY " 0",
		NET ANY " > " PEER6 ANY " 0",
		"10.1.0.0-fd00:: " ANY " > " PEER ANY " 0",
		"fd00::1-fd00:: " ANY " > " PEER6 ANY " 0",
	};
	struct esp_thread t;

	thread_init(&t, &esp_backend_openssl);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct esp_sa_cfg cfg = cfg_of(&suite_rows[0]);

		cfg.ts[1] = ts_parse(bad[i]);
		assert_null(esp_out_new(&t, &cfg));
		assert_null(esp_in_new(&t, &cfg));
	}
	thread_fini(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_table),
		cmocka_unit_test(test_sets),
		cmocka_unit_test(test_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
