/* SPDX-License-Identifier: Apache-2.0 */
/* Whole packets through encapsulation and decapsulation: round trips and every header field. */
#include <stdlib.h>
#include "base/sum.h"
#include "util.h"

static const struct suite_row *const gcm = &suite_rows[2];

#define FLOW_LABEL 0xfffffu

enum outer {
	OUTER_V4,
	OUTER_V4_UDP,
	OUTER_V6,
	OUTER_V6_UDP,
	OUTER_END,
};

static struct esp_sa_cfg cfg_outer(const struct suite_row *row, enum outer outer)
{
	struct esp_sa_cfg cfg = cfg_of(row);

	if (outer >= OUTER_V6) {
		assert_true(ip_parse("2001:db8::1", &cfg.local.addr));
		assert_true(ip_parse("2001:db8::2", &cfg.remote.addr));
	}
	if (outer & 1) {
		cfg.udp_encap = true;
		cfg.local.port = 4500;
		cfg.remote.port = 40001;
	}
	return cfg;
}

/* The outer header of a sealed packet, field by field. */
static void check_outer(const struct buf *b, const struct esp_sa_cfg *cfg, uint64_t seq,
			uint8_t tos)
{
	const uint8_t *p = b->pkt.data, *esp;
	const bool v6 = cfg->local.addr.family == IP_V6;
	uint32_t spi;

	if (v6) {
		/* version, traffic class; a flow label */
		assert_int_equal(esp_get32(p) >> 20, 0x600u | tos);
		assert_int_not_equal(esp_get32(p) & FLOW_LABEL, 0);
		assert_int_equal(esp_get16(p + 4), b->pkt.size - 40);
		assert_int_equal(p[6], cfg->udp_encap ? 17 : 50);
		assert_int_equal(p[7], 64);
		assert_memory_equal(p + 8, cfg->local.addr.b, 16);
		assert_memory_equal(p + 24, cfg->remote.addr.b, 16);
		esp = p + 40;
	} else {
		assert_int_equal(p[0], 0x45);
		assert_int_equal(p[1], tos);
		assert_int_equal(esp_get16(p + 2), b->pkt.size);
		assert_int_equal(p[8], 64);
		assert_int_equal(p[9], cfg->udp_encap ? 17 : 50);
		assert_true(ip4_checksum_good(p));
		assert_memory_equal(p + 12, cfg->local.addr.b, 4);
		assert_memory_equal(p + 16, cfg->remote.addr.b, 4);
		esp = p + 20;
	}
	if (cfg->udp_encap) {
		const uint32_t udp_size = b->pkt.size - (uint32_t)(esp - p);

		assert_int_equal(esp_get16(esp), cfg->local.port);
		assert_int_equal(esp_get16(esp + 2), cfg->remote.port);
		assert_int_equal(esp_get16(esp + 4), udp_size);
		if (v6) {
			uint32_t sum = sum_add(17 + udp_size, p + 8, 32);

			/* RFC 8200 8.1: with the pseudo header it adds up, and is not zero. */
			assert_int_not_equal(esp_get16(esp + 6), 0);
			assert_int_equal(sum_finish(sum_add(sum, esp, udp_size)), 0);
		} else {
			assert_int_equal(esp_get16(esp + 6), 0);
		}
		esp += 8;
	}
	assert_int_equal(esp_get32(esp), cfg->spi);
	assert_int_equal(esp_get32(esp + 4), (uint32_t)seq);
	assert_true(esp_peek_spi(p, b->pkt.size, &spi));
	assert_int_equal(spi, cfg->spi);
}

/* The inner packet after the trip: as it was, but for TTL and checksum. */
static void check_inner(const struct buf *b, const struct buf *sent, uint8_t family)
{
	uint8_t want[BUF_SIZE];
	const uint32_t size = sent->pkt.size;

	assert_int_equal(b->pkt.size, size);
	assert_int_equal(b->pkt.inner_family, family);
	memcpy(want, sent->pkt.data, size);
	if (family == IP_V4) {
		want[8]--;
		inner4_checksum(want);
	} else {
		want[7]--;
	}
	assert_memory_equal(b->pkt.data, want, size);
	assert_ptr_equal(b->pkt.data, b->mem + b->pkt.headroom);
	assert_int_equal(b->pkt.headroom + b->pkt.size + b->pkt.tailroom, BUF_SIZE);
}

static void trip(const struct suite_row *row, enum outer outer, uint8_t family,
		 const struct esp_backend *sealer, const struct esp_backend *opener)
{
	const struct esp_sa_cfg cfg = cfg_outer(row, outer);
	struct esp_in_state st;
	struct buf b, sent;
	struct pair p;
	uint64_t seq = 1;

	pair_init(&p, &cfg, sealer, opener);
	for (uint32_t size = family == IP_V4 ? 20 : 40; size <= 2000; size += size < 150 ? 1 : 37) {
		if (family == IP_V4)
			buf_inner4(&b, size);
		else
			buf_inner6(&b, size);
		buf_copy(&sent, &b);
		assert_drop(encap_one(&p, &b), ESP_DROP_OK);
		assert_ptr_equal(b.pkt.data, b.mem + b.pkt.headroom);
		assert_int_equal(b.pkt.headroom + b.pkt.size + b.pkt.tailroom, BUF_SIZE);
		check_outer(&b, &cfg, seq++, 0);
		assert_drop(decap_one(&p, &b), ESP_DROP_OK);
		check_inner(&b, &sent, family);
	}
	esp_in_state(p.in, &st);
	assert_true(ip_endpoint_equal(&st.last_remote, &cfg.local));
	assert_true(ip_endpoint_equal(&st.last_local, &cfg.remote));
	assert_int_equal(st.packets, seq - 1);
	pair_fini(&p);
}

static void test_round_trips(void **state)
{
	for (size_t i = 0; i < n_suite_rows; i++)
		for (enum outer o = OUTER_V4; o < OUTER_END; o++) {
			trip(&suite_rows[i], o, IP_V4, &esp_backend_ipsec_mb, &esp_backend_openssl);
			trip(&suite_rows[i], o, IP_V4, &esp_backend_openssl, &esp_backend_ipsec_mb);
			trip(&suite_rows[i], o, IP_V6, &esp_backend_ipsec_mb,
			     &esp_backend_ipsec_mb);
		}
}

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

/* What encapsulation refuses, and that it leaves it alone. */
static const struct refuse_row {
	const char *name;
	uint8_t at, value; /* one byte of an inner IPv4 packet of 100 bytes */
	bool fix_checksum;
	uint32_t size; /* 0 = 100 */
	enum esp_drop drop;
} refuse_rows[] = {
	{"as it is", 8, 64, true, 0, ESP_DROP_OK},
	{"no bytes", 8, 64, true, UINT32_MAX, ESP_DROP_OUT_TRUNCATED},
	{"version 5", 0, 0x55, true, 0, ESP_DROP_OUT_NOT_IP},
	{"version 0", 0, 0x05, true, 0, ESP_DROP_OUT_NOT_IP},
	{"header length 16", 0, 0x44, false, 0, ESP_DROP_OUT_NOT_IP},
	{"header length 0", 0, 0x40, false, 0, ESP_DROP_OUT_NOT_IP},
	{"19 bytes", 8, 64, true, 19, ESP_DROP_OUT_TRUNCATED},
	{"1 byte", 8, 64, true, 1, ESP_DROP_OUT_TRUNCATED},
	{"99 of 100 bytes", 8, 64, true, 99, ESP_DROP_OUT_TRUNCATED},
	{"total length 101", 3, 101, true, 0, ESP_DROP_OUT_TRUNCATED},
	{"total length 19", 3, 19, true, 0, ESP_DROP_OUT_TRUNCATED},
	{"total length 0", 3, 0, true, 0, ESP_DROP_OUT_TRUNCATED},
	{"total length 20", 3, 20, true, 0, ESP_DROP_OK},
	{"total length above 64 K", 2, 255, true, 0, ESP_DROP_OUT_TRUNCATED},
	{"bad checksum", 9, 6, false, 0, ESP_DROP_OUT_CHECKSUM},
	{"IPv6 version on IPv4 bytes", 0, 0x65, false, 0, ESP_DROP_OUT_TRUNCATED},
};

static void test_refused(void **state)
{
	for (size_t i = 0; i < sizeof(refuse_rows) / sizeof(refuse_rows[0]); i++) {
		const struct refuse_row *r = &refuse_rows[i];
		const struct esp_sa_cfg cfg = cfg_of(gcm);
		struct esp_out_state st;
		struct buf b, sent;
		struct pair p;
		enum esp_drop got;

		pair_init(&p, &cfg, &esp_backend_ipsec_mb, &esp_backend_openssl);
		buf_inner4(&b, 100);
		/* an IPv6 length that cannot be met, for the last row */
		b.pkt.data[4] = 0x12;
		b.pkt.data[r->at] = r->value;
		if (r->fix_checksum)
			inner4_checksum(b.pkt.data);
		if (r->size)
			b.pkt.size = r->size == UINT32_MAX ? 0 : r->size;
		buf_copy(&sent, &b);
		got = encap_one(&p, &b);
		if (got != r->drop)
			fail_msg("%s: %s", r->name, esp_drop_name(got));
		if (got != ESP_DROP_OK)
			assert_memory_equal(b.mem, sent.mem, BUF_SIZE);
		esp_out_state(p.out, &st);
		assert_int_equal(st.next_seq, got == ESP_DROP_OK ? 2 : 1);
		pair_fini(&p);
	}
}

static void test_refused_v6(void **state)
{
	const struct esp_sa_cfg cfg = cfg_of(gcm);
	struct pair p;
	struct buf b;

	pair_init(&p, &cfg, &esp_backend_ipsec_mb, &esp_backend_openssl);
	buf_inner6(&b, 40);
	b.pkt.data[6] = 59;
	assert_drop(encap_one(&p, &b), ESP_DROP_OK); /* a header and nothing else */
	buf_inner6(&b, 60);
	b.pkt.size = 59;
	assert_drop(encap_one(&p, &b), ESP_DROP_OUT_TRUNCATED);
	buf_inner6(&b, 60);
	b.pkt.size = 39;
	assert_drop(encap_one(&p, &b), ESP_DROP_OUT_TRUNCATED);
	/* RFC 2675: a jumbogram has length 0 and a hop-by-hop header */
	buf_inner6(&b, 60);
	esp_put16(b.pkt.data + 4, 0);
	b.pkt.data[6] = 0;
	assert_drop(encap_one(&p, &b), ESP_DROP_OUT_TRUNCATED);
	pair_fini(&p);
}

/* Link padding behind the inner packet does not travel, but serves as room. */
static void test_link_padding(void **state)
{
	const struct esp_sa_cfg cfg = cfg_of(gcm);
	struct buf b, sent;
	struct pair p;

	pair_init(&p, &cfg, &esp_backend_ipsec_mb, &esp_backend_openssl);
	buf_inner4(&b, 28);
	buf_copy(&sent, &b);
	b.pkt.size = 46;
	b.pkt.tailroom = 0;
	memset(b.pkt.data + 28, 0xab, 18);
	/* 28 + 2 bytes, padded to 32, and 16 of ICV: two more than there are */
	assert_drop(encap_one(&p, &b), ESP_DROP_OUT_NO_ROOM);
	b.pkt.tailroom = 2;
	assert_drop(encap_one(&p, &b), ESP_DROP_OK);
	assert_int_equal(b.pkt.size, 36 + 32 + 16);
	assert_int_equal(b.pkt.tailroom, 0);
	b.pkt.tailroom = BUF_SIZE - b.pkt.size - b.pkt.headroom;
	assert_drop(decap_one(&p, &b), ESP_DROP_OK);
	check_inner(&b, &sent, IP_V4);
	pair_fini(&p);
}

/* The largest outer packets. */
static void test_too_big(void **state)
{
	for (enum outer o = OUTER_V4; o < OUTER_END; o++) {
		const struct esp_sa_cfg cfg = cfg_outer(gcm, o);
		const uint32_t max = esp_inner_mtu(&cfg.suite, o >= OUTER_V6, o & 1,
						   o >= OUTER_V6 ? 65535 + 40 : 65535);
		const uint32_t room = 66000;
		uint8_t *mem = malloc(room);
		struct pair p;

		assert_non_null(mem);
		pair_init(&p, &cfg, &esp_backend_ipsec_mb, &esp_backend_ipsec_mb);
		for (uint32_t size = max - 2; size <= 65535; size++) {
			struct esp_pkt pkt = {
				.data = mem + 100,
				.size = size,
				.headroom = 100,
				.tailroom = room - 100 - size,
			};

			if (size > max + 4 && size < 65530)
				continue;
			inner4_write(mem + 100, size);
			esp_encap(&p.out_thread, p.out, &pkt, 1);
			assert_drop(pkt.drop, size <= max ? ESP_DROP_OK : ESP_DROP_OUT_TOO_BIG);
			if (size > max)
				continue;
			esp_decap(&p.in_thread, p.in, &pkt, 1);
			assert_drop(pkt.drop, ESP_DROP_OK);
			assert_int_equal(pkt.size, size);
		}
		pair_fini(&p);
		free(mem);
	}
}

/* Exactly the rooms that are needed, in memory that ends where they end; one byte less is refused. */
static void test_rooms(void **state)
{
	for (size_t i = 0; i < n_suite_rows; i++)
		for (enum outer o = OUTER_V4; o < OUTER_END; o++)
			for (size_t k = 0; esp_backends[k]; k++) {
				const struct esp_sa_cfg cfg = cfg_outer(&suite_rows[i], o);
				const uint32_t size = 61, align = cfg.suite.align;
				const uint32_t head = (o >= OUTER_V6 ? 40 : 20) + (o & 1 ? 8 : 0) +
						      8 + cfg.suite.iv_size;
				const uint32_t tail = (size + 2 + align - 1) / align * align -
						      size + cfg.suite.icv_size;
				struct guarded g;
				struct esp_pkt pkt;
				struct pair p;

				if (!backend_serves(esp_backends[k], &suite_rows[i]))
					continue;
				pair_init(&p, &cfg, esp_backends[k], esp_backends[k]);
				guarded_init(&g, head + size + tail);
				for (int less = 0; less < 3; less++) {
					pkt = (struct esp_pkt){
						.data = g.data + head,
						.size = size,
						.headroom = head - (less == 1),
						.tailroom = tail - (less == 2),
					};
					inner4_write(pkt.data, size);
					esp_encap(&p.out_thread, p.out, &pkt, 1);
					assert_drop(pkt.drop,
						    less ? ESP_DROP_OUT_NO_ROOM : ESP_DROP_OK);
					if (less)
						continue;
					assert_int_equal(pkt.headroom | pkt.tailroom, 0);
					assert_ptr_equal(pkt.data, g.data);
					esp_decap(&p.in_thread, p.in, &pkt, 1);
					assert_drop(pkt.drop, ESP_DROP_OK);
				}
				guarded_fini(&g);
				pair_fini(&p);
			}
}

/* CBC IVs are the injected random bytes, fresh for each packet. */
static void test_cbc_iv(void **state)
{
	const struct esp_sa_cfg cfg = cfg_of(&suite_rows[3]);
	static struct buf bufs[ESP_BURST_MAX];
	struct esp_pkt pkts[ESP_BURST_MAX];
	uint8_t want[16 * ESP_BURST_MAX];
	struct rng r = {.s = 0x5eed};
	struct esp_thread mute;
	struct pair p;

	pair_init(&p, &cfg, &esp_backend_ipsec_mb, &esp_backend_openssl);
	for (size_t i = 0; i < ESP_BURST_MAX; i++) {
		buf_inner4(&bufs[i], 100);
		pkts[i] = bufs[i].pkt;
	}
	assert_int_equal(esp_encap(&p.out_thread, p.out, pkts, ESP_BURST_MAX), ESP_BURST_MAX);
	rng_fill(&r, want, sizeof(want));
	for (size_t i = 0; i < ESP_BURST_MAX; i++)
		assert_memory_equal(pkts[i].data + 28, want + 16 * i, 16);
	/* Without a source there is no such SA. */
	mute = p.out_thread;
	mute.random = NULL;
	assert_null(esp_out_new(&mute, &cfg));
	pair_fini(&p);
}

static bool supports_no_chacha(const struct esp_suite *s)
{
	return s->kind != ESP_KIND_CHACHA20_POLY1305 && esp_backend_ipsec_mb.supports(s);
}

static bool supports_none(const struct esp_suite *s)
{
	return false;
}

/* A suite that a thread's first backend does not have is served by the second, the others not. */
static void test_second_backend(void **state)
{
	struct esp_backend first = esp_backend_ipsec_mb;
	struct pair p;

	first.supports = supports_no_chacha;
	for (size_t i = 0; i < n_suite_rows; i++) {
		const struct esp_sa_cfg cfg = cfg_of(&suite_rows[i]);
		const bool chacha = cfg.suite.kind == ESP_KIND_CHACHA20_POLY1305;
		const struct esp_sa_cfg mirror = cfg_mirror(&cfg);
		struct buf b;

		thread_init(&p.out_thread, &first);
		thread_init(&p.in_thread, &esp_backend_ipsec_mb);
		p.out = esp_out_new(&p.out_thread, &cfg);
		if (chacha) {
			assert_null(p.out);
			assert_null(esp_in_new(&p.out_thread, &cfg));
		}
		esp_out_free(p.out);
		p.out_thread.aead[1] =
			(struct esp_aead){&esp_backend_openssl, esp_backend_openssl.ctx_new()};
		p.out = esp_out_new(&p.out_thread, &cfg);
		p.in = esp_in_new(&p.in_thread, &mirror);
		assert_non_null(p.out);
		assert_ptr_equal(p.out->backend, chacha ? &esp_backend_openssl : &first);
		buf_inner4(&b, 100);
		assert_drop(encap_one(&p, &b), ESP_DROP_OK);
		assert_drop(decap_one(&p, &b), ESP_DROP_OK);
		/* and as a receiver */
		esp_in_free(p.in);
		p.in = esp_in_new(&p.out_thread, &mirror);
		assert_ptr_equal(p.in->backend, chacha ? &esp_backend_openssl : &first);
		buf_inner4(&b, 100);
		assert_drop(encap_one(&p, &b), ESP_DROP_OK);
		esp_decap(&p.out_thread, p.in, &b.pkt, 1);
		assert_drop(b.pkt.drop, ESP_DROP_OK);
		pair_fini(&p);
	}
	/* Neither has it. */
	thread_init(&p.out_thread, &first);
	first.supports = supports_none;
	p.out_thread.aead[1] = (struct esp_aead){&first, first.ctx_new()};
	assert_null(esp_out_new(&p.out_thread, &(struct esp_sa_cfg){0}));
	thread_fini(&p.out_thread);
}

/* Outer endpoints of different families, or none, make no SA. */
static void test_endpoints_refused(void **state)
{
	struct esp_sa_cfg cfg = cfg_of(gcm);
	struct esp_thread t;

	thread_init(&t, &esp_backend_openssl);
	assert_true(ip_parse("2001:db8::1", &cfg.local.addr));
	assert_null(esp_out_new(&t, &cfg));
	cfg.local.addr.family = cfg.remote.addr.family = IP_NONE;
	assert_null(esp_out_new(&t, &cfg));
	cfg = cfg_of(gcm);
	cfg.n_ts = ESP_TS_MAX + 1;
	assert_null(esp_out_new(&t, &cfg));
	assert_null(esp_in_new(&t, &cfg));
	cfg = cfg_of(gcm);
	cfg.suite.encr = 99;
	assert_null(esp_out_new(&t, &cfg));
	assert_null(esp_in_new(&t, &cfg));
	esp_out_free(NULL);
	esp_in_free(NULL);
	thread_fini(&t);
}

static void test_drop_names(void **state)
{
	assert_string_equal(esp_drop_name(ESP_DROP_OK), "ok");
	assert_string_equal(esp_drop_name(ESP_DROP_IN_AUTH), "esp-in-integrity-failed");
	for (int i = 0; i < ESP_DROP_END; i++) {
		const char *name = esp_drop_name((enum esp_drop)i);

		assert_true(i == 0 || strncmp(name, "esp-", 4) == 0);
		assert_true(strlen(name) < 40); /* as the shared counters hold them */
	}
	assert_string_equal(esp_drop_name(ESP_DROP_END), "esp-unknown");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trips),
		cmocka_unit_test(test_flow_label),
		cmocka_unit_test(test_udp6_zero_sum),
		cmocka_unit_test(test_source_port),
		cmocka_unit_test(test_ecn_dscp),
		cmocka_unit_test(test_df),
		cmocka_unit_test(test_ttl),
		cmocka_unit_test(test_ttl_checksum),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_refused_v6),
		cmocka_unit_test(test_link_padding),
		cmocka_unit_test(test_too_big),
		cmocka_unit_test(test_rooms),
		cmocka_unit_test(test_cbc_iv),
		cmocka_unit_test(test_second_backend),
		cmocka_unit_test(test_endpoints_refused),
		cmocka_unit_test(test_drop_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
