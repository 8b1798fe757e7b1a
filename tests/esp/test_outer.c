/* SPDX-License-Identifier: Apache-2.0 */
/* What the outer header takes from the inner one and the other way round: labels, ports, ECN, DSCP, DF, TTL. */
#include "base/sum.h"
#include "outer.h"

static const struct suite_row *const gcm = &suite_rows[2];

static void set_tos(uint8_t *p, uint8_t family, uint8_t tos)
{
	if (family == IP_V4) {
		p[1] = tos;
		inner4_checksum(p);
	} else {
		p[0] = (uint8_t)(0x60 | tos >> 4);
		p[1] = (uint8_t)((p[1] & 15) | tos << 4);
	}
}

/*
 * RFC 6437 3, RFC 6438 3: all packets of an SA have one label, whatever is inside; SAs have different ones,
 * in all bits.
 */
static void test_flow_label(void **state)
{
	uint32_t ones = 0, zeros = 0, last = 0;

	for (uint32_t spi = 0x1000; spi < 0x1000 + 64; spi++) {
		struct esp_sa_cfg cfg = cfg_outer(gcm, OUTER_V6);
		struct pair p;
		uint32_t label = 0;

		cfg.spi = spi;
		pair_init(&p, &cfg, &esp_backend_ipsec_mb, &esp_backend_openssl);
		for (uint32_t k = 0; k < 4; k++) {
			struct buf b;

			if (k % 2)
				buf_inner4(&b, 100 + k);
			else
				buf_inner6(&b, 100 + k);
			set_tos(b.pkt.data, k % 2 ? IP_V4 : IP_V6, (uint8_t)(k << 5));
			assert_drop(encap_one(&p, &b), ESP_DROP_OK);
			if (k)
				assert_int_equal(esp_get32(b.pkt.data) & FLOW_LABEL, label);
			label = esp_get32(b.pkt.data) & FLOW_LABEL;
			assert_int_not_equal(label, 0);
		}
		assert_int_not_equal(label, last);
		last = label;
		ones |= label;
		zeros |= ~label;
		pair_fini(&p);
	}
	assert_int_equal(ones & zeros & FLOW_LABEL, FLOW_LABEL);
}

/* A packet's own source port, in UDP only; the UDP checksum is as for any. */
static void test_source_port(void **state)
{
	static const int outers[] = {OUTER_V4_UDP, OUTER_V6_UDP, OUTER_V4};

	for (size_t i = 0; i < 3; i++) {
		struct esp_sa_cfg cfg = cfg_outer(gcm, outers[i]);
		struct pair p;

		pair_init(&p, &cfg, &esp_backend_ipsec_mb, &esp_backend_ipsec_mb);
		for (unsigned k = 0; k < 3; k++) {
			uint8_t mem[300];
			struct buf b = {.pkt = {.data = mem + HEADROOM,
						.size = 41,
						.headroom = HEADROOM,
						.tailroom = 80}};

			inner4_write(mem + HEADROOM, 41);
			b.pkt.source_port = k == 1 ? 51234 : 0;
			esp_encap(&p.out_thread, p.out, &b.pkt, 1);
			assert_drop(b.pkt.drop, ESP_DROP_OK);
			cfg.local.port = k == 1 ? 51234 : 4500;
			check_outer(&b, &cfg, k + 1, 0);
			b.pkt.esp_offset = 0;
			assert_int_equal(esp_decap(&p.in_thread, p.in, &b.pkt, 1), 1);
		}
		pair_fini(&p);
	}
}

/* A UDP checksum that comes to zero is sent as all ones, or it would mean "none" (RFC 768). */
static void test_udp6_zero_sum(void **state)
{
	const struct esp_sa_cfg cfg = cfg_outer(gcm, OUTER_V6_UDP);
	bool seen = false;
	struct pair p;

	pair_init(&p, &cfg, &esp_backend_ipsec_mb, &esp_backend_ipsec_mb);
	/* Ciphertext is as good as random: about one packet of 65,536 meets the case. */
	for (int i = 0; i < 2000000 && !seen; i++) {
		struct esp_pkt pkt;
		uint8_t mem[200];

		inner4_write(mem + HEADROOM, 20);
		pkt = (struct esp_pkt){
			.data = mem + HEADROOM, .size = 20, .headroom = HEADROOM, .tailroom = 52};
		esp_encap(&p.out_thread, p.out, &pkt, 1);
		assert_drop(pkt.drop, ESP_DROP_OK);
		assert_int_not_equal(esp_get16(pkt.data + 46), 0);
		seen = esp_get16(pkt.data + 46) == 0xffff;
	}
	assert_true(seen);
	pair_fini(&p);
}

static uint8_t get_tos(const uint8_t *p)
{
	return p[0] >> 4 == 4 ? p[1] : (uint8_t)(p[0] << 4 | p[1] >> 4);
}

/* RFC 6040 figure 4: inner, outer, what leaves; -1 = drop. 0 Not-ECT, 1 ECT(1), 2 ECT(0), 3 CE. */
static const int8_t ecn_rows[16][3] = {
	{0, 0, 0}, {0, 2, 0}, {0, 1, 0}, {0, 3, -1}, {2, 0, 2}, {2, 2, 2}, {2, 1, 1}, {2, 3, 3},
	{1, 0, 1}, {1, 2, 1}, {1, 1, 1}, {1, 3, 3},  {3, 0, 3}, {3, 2, 3}, {3, 1, 3}, {3, 3, 3},
};

static void ecn_case(enum outer outer, uint8_t family, const int8_t row[3], bool copy_dscp)
{
	struct esp_sa_cfg cfg = cfg_outer(gcm, outer);
	const uint8_t dscp = 46 << 2;
	struct buf b;
	struct pair p;

	cfg.copy_dscp = copy_dscp;
	pair_init(&p, &cfg, &esp_backend_ipsec_mb, &esp_backend_openssl);
	if (family == IP_V4)
		buf_inner4(&b, 100);
	else
		buf_inner6(&b, 100);
	set_tos(b.pkt.data, family, (uint8_t)(dscp | row[0]));
	assert_drop(encap_one(&p, &b), ESP_DROP_OK);
	/* in: copied, whatever DSCP does */
	check_outer(&b, &cfg, 1, (uint8_t)((copy_dscp ? dscp : 0) | row[0]));
	/* the way */
	set_tos(b.pkt.data, cfg.local.addr.family, (uint8_t)(0x14 | row[1]));
	if (row[2] < 0) {
		assert_drop(decap_one(&p, &b), ESP_DROP_IN_ECN);
	} else {
		assert_drop(decap_one(&p, &b), ESP_DROP_OK);
		assert_int_equal(get_tos(b.pkt.data), dscp | row[2]);
		if (family == IP_V4)
			assert_true(ip4_checksum_good(b.pkt.data));
		else
			assert_int_equal(esp_get32(b.pkt.data) & 0xfffff, 0);
	}
	pair_fini(&p);
}

static void test_ecn_dscp(void **state)
{
	for (size_t i = 0; i < 16; i++)
		for (enum outer o = OUTER_V4; o < OUTER_END; o++)
			for (int dscp = 0; dscp < 2; dscp++) {
				ecn_case(o, IP_V4, ecn_rows[i], dscp);
				ecn_case(o, IP_V6, ecn_rows[i], dscp);
			}
}

/* DF by configuration and by the inner packet; IPv4 id. IPv6 counts as "do not fragment". */
static const struct df_row {
	enum esp_df df;
	uint16_t inner_flags; /* IPv4; 1 = inner IPv6 */
	bool want;
} df_rows[] = {
	{ESP_DF_COPY, 0, false},      {ESP_DF_COPY, 0x4000, true},   {ESP_DF_COPY, 1, true},
	{ESP_DF_CLEAR, 0, false},     {ESP_DF_CLEAR, 0x4000, false}, {ESP_DF_CLEAR, 1, false},
	{ESP_DF_SET, 0, true},        {ESP_DF_SET, 0x4000, true},    {ESP_DF_SET, 1, true},
	{ESP_DF_COPY, 0x2000, false}, {ESP_DF_COPY, 0x00b9, false},
};

static void test_df(void **state)
{
	for (size_t i = 0; i < sizeof(df_rows) / sizeof(df_rows[0]); i++) {
		const struct df_row *r = &df_rows[i];
		struct esp_sa_cfg cfg = cfg_of(gcm);
		uint16_t ids[3];
		struct pair p;

		cfg.df = r->df;
		pair_init(&p, &cfg, &esp_backend_ipsec_mb, &esp_backend_openssl);
		for (int k = 0; k < 3; k++) {
			struct buf b;

			if (r->inner_flags == 1) {
				buf_inner6(&b, 100);
			} else {
				buf_inner4(&b, 100);
				esp_put16(b.pkt.data + 6, r->inner_flags);
				inner4_checksum(b.pkt.data);
			}
			assert_drop(encap_one(&p, &b), ESP_DROP_OK);
			/* Fragment offset and "more" are the inner packet's own affair. */
			assert_int_equal(esp_get16(b.pkt.data + 6), r->want ? 0x4000 : 0);
			assert_true(ip4_checksum_good(b.pkt.data));
			ids[k] = esp_get16(b.pkt.data + 4);
			assert_drop(decap_one(&p, &b), ESP_DROP_OK);
			if (r->inner_flags != 1)
				assert_int_equal(esp_get16(b.pkt.data + 6), r->inner_flags);
		}
		/* RFC 6864: what may be fragmented has an id of its own. */
		if (r->want)
			assert_int_equal(ids[0] | ids[1] | ids[2], 0);
		else
			assert_true(ids[0] != ids[1] && ids[1] != ids[2] && ids[0] != ids[2]);
		pair_fini(&p);
	}
}

/* TTL in, forwarded or ours, TTL out; 0 = refused. */
static const struct ttl_row {
	uint8_t ttl;
	bool from_self;
	enum esp_drop drop;
	uint8_t want;
} ttl_rows[] = {
	{64, false, ESP_DROP_OK, 63}, {2, false, ESP_DROP_OK, 1},     {1, false, ESP_DROP_OUT_TTL},
	{0, false, ESP_DROP_OUT_TTL}, {255, false, ESP_DROP_OK, 254}, {255, true, ESP_DROP_OK, 255},
	{1, true, ESP_DROP_OK, 1},
};

static void test_ttl(void **state)
{
	for (size_t i = 0; i < sizeof(ttl_rows) / sizeof(ttl_rows[0]); i++)
		for (int v6 = 0; v6 < 2; v6++) {
			const struct ttl_row *r = &ttl_rows[i];
			const struct esp_sa_cfg cfg = cfg_of(gcm);
			const int at = v6 ? 7 : 8;
			struct buf b, sent;
			struct pair p;

			pair_init(&p, &cfg, &esp_backend_ipsec_mb, &esp_backend_openssl);
			if (v6)
				buf_inner6(&b, 100);
			else
				buf_inner4(&b, 100);
			b.pkt.data[at] = r->ttl;
			if (!v6)
				inner4_checksum(b.pkt.data);
			b.pkt.from_self = r->from_self;
			buf_copy(&sent, &b);
			assert_drop(encap_one(&p, &b), r->drop);
			if (r->drop != ESP_DROP_OK) {
				assert_memory_equal(b.mem, sent.mem, BUF_SIZE);
			} else {
				assert_drop(decap_one(&p, &b), ESP_DROP_OK);
				assert_int_equal(b.pkt.data[at], r->want);
				if (!v6)
					assert_true(ip4_checksum_good(b.pkt.data));
			}
			pair_fini(&p);
		}
}

/* Every checksum value of the inner header survives the incremental update. */
static void test_ttl_checksum(void **state)
{
	const struct esp_sa_cfg cfg = cfg_of(gcm);
	struct pair p;

	pair_init(&p, &cfg, &esp_backend_ipsec_mb, &esp_backend_ipsec_mb);
	for (uint32_t id = 0; id < 65536; id += 13) {
		struct buf b;

		buf_inner4(&b, 20);
		esp_put16(b.pkt.data + 4, (uint16_t)id);
		b.pkt.data[8] = (uint8_t)(2 + id % 254);
		inner4_checksum(b.pkt.data);
		assert_drop(encap_one(&p, &b), ESP_DROP_OK);
		assert_true(ip4_checksum_good(b.pkt.data));
		assert_drop(decap_one(&p, &b), ESP_DROP_OK);
		assert_true(ip4_checksum_good(b.pkt.data));
	}
	pair_fini(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_flow_label),   cmocka_unit_test(test_udp6_zero_sum),
		cmocka_unit_test(test_source_port),  cmocka_unit_test(test_ecn_dscp),
		cmocka_unit_test(test_df),           cmocka_unit_test(test_ttl),
		cmocka_unit_test(test_ttl_checksum),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
