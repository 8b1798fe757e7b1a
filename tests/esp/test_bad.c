/* SPDX-License-Identifier: Apache-2.0 */
/* Bad packets inbound: garbage, truncation, bit flips, malformed payloads, bursts of all these. */
#include <stdlib.h>
#include "util.h"

/* Authentic payloads that are wrong inside: a line each. The trailer is the last two bytes. */
enum inner_kind {
	IN4,  /* a good IPv4 packet of 26 bytes */
	IN6,  /* a good IPv6 packet of 58 bytes */
	ZERO, /* zeros */
};

static const struct payload_row {
	const char *name;
	enum inner_kind kind;
	uint32_t size; /* whole payload */
	uint8_t pad, next;
	int16_t at, value; /* one byte changed before the checksum is made; at < 0 = none */
	bool spoil_sum;
	enum esp_drop drop;
	uint32_t inner_size;
} payload_rows[] = {
	{"good", IN4, 32, 4, 4, -1, 0, false, ESP_DROP_OK, 26},
	{"good, IPv6", IN6, 64, 4, 41, -1, 0, false, ESP_DROP_OK, 58},
	{"TFC padding", IN4, 64, 4, 4, -1, 0, false, ESP_DROP_OK, 26},
	{"TFC padding, IPv6", IN6, 128, 4, 41, -1, 0, false, ESP_DROP_OK, 58},
	{"pad 0 behind TFC padding", IN4, 64, 0, 4, -1, 0, false, ESP_DROP_OK, 26},
	{"pad 30 of 32 bytes: no inner packet", IN4, 32, 30, 4, -1, 0, false, ESP_DROP_IN_INNER},
	{"pad longer than the payload", IN4, 32, 31, 4, -1, 0, false, ESP_DROP_IN_PAD},
	{"pad 255", IN4, 32, 255, 4, -1, 0, false, ESP_DROP_IN_PAD},
	{"first pad byte wrong", IN4, 32, 4, 4, 26, 0, false, ESP_DROP_IN_PAD},
	{"last pad byte wrong", IN4, 32, 4, 4, 29, 9, false, ESP_DROP_IN_PAD},
	{"dummy", ZERO, 32, 4, 59, -1, 0, false, ESP_DROP_IN_DUMMY},
	{"next header TCP", IN4, 32, 4, 6, -1, 0, false, ESP_DROP_IN_NEXT_HEADER},
	{"next header 0", IN4, 32, 4, 0, -1, 0, false, ESP_DROP_IN_NEXT_HEADER},
	{"IPv4 inside, 41 said", IN4, 64, 4, 41, -1, 0, false, ESP_DROP_IN_INNER},
	{"IPv6 inside, 4 said", IN6, 64, 4, 4, -1, 0, false, ESP_DROP_IN_INNER},
	{"version 0", ZERO, 32, 4, 4, -1, 0, false, ESP_DROP_IN_INNER},
	{"version 5", IN4, 32, 4, 4, 0, 0x55, false, ESP_DROP_IN_INNER},
	{"inner longer than the payload", IN4, 32, 4, 4, 3, 27, false, ESP_DROP_IN_INNER},
	{"inner total length 19", IN4, 32, 4, 4, 3, 19, false, ESP_DROP_IN_INNER},
	{"inner total length 0", IN4, 32, 4, 4, 3, 0, false, ESP_DROP_IN_INNER},
	{"inner header only", IN4, 32, 4, 4, 3, 20, false, ESP_DROP_OK, 20},
	{"header length beyond total", IN4, 32, 4, 4, 0, 0x4f, false, ESP_DROP_IN_INNER},
	{"header checksum", IN4, 32, 4, 4, -1, 0, true, ESP_DROP_IN_INNER},
	{"IPv6 payload length beyond", IN6, 64, 4, 41, 5, 19, false, ESP_DROP_IN_INNER},
	{"IPv6 payload length 0", IN6, 64, 4, 41, 5, 0, false, ESP_DROP_OK, 40},
};

static void payload_make(const struct payload_row *r, uint8_t *p)
{
	const uint32_t body = r->size - 2;

	memset(p, 0, r->size);
	if (r->kind == IN4)
		inner4_write(p, 26);
	else if (r->kind == IN6)
		inner6_write(p, 58);
	for (uint32_t i = 0; i < r->pad && i < body; i++)
		if (r->pad <= body && body - r->pad + i >= 26)
			p[body - r->pad + i] = (uint8_t)(i + 1);
	/* padding that covers the whole payload */
	if (r->pad == body)
		for (uint32_t i = 0; i < body; i++)
			p[i] = (uint8_t)(i + 1);
	if (r->at >= 0) {
		p[r->at] = (uint8_t)r->value;
		if (r->kind == IN4 && r->at < 20 && (p[0] & 15) == 5)
			inner4_checksum(p);
	}
	if (r->spoil_sum)
		p[10] ^= 1;
	p[r->size - 2] = r->pad;
	p[r->size - 1] = r->next;
}

static void test_payloads(void **state)
{
	for (size_t i = 0; i < sizeof(payload_rows) / sizeof(payload_rows[0]); i++)
		for (size_t k = 0; k < n_suite_rows; k += 3) {
			const struct payload_row *r = &payload_rows[i];
			const struct esp_sa_cfg cfg = cfg_of(&suite_rows[k]);
			struct esp_in_state st;
			uint8_t payload[256];
			struct buf b;
			struct pair p;
			enum esp_drop got;

			pair_init(&p, &cfg, &esp_backend_openssl, &esp_backend_ipsec_mb);
			payload_make(r, payload);
			craft(&b, &esp_backend_openssl, &cfg, 1, payload, r->size);
			got = decap_one(&p, &b);
			if (got != r->drop)
				fail_msg("%s: %s", r->name, esp_drop_name(got));
			esp_in_state(p.in, &st);
			/* Authentic, so its number is used up, whatever is inside. */
			assert_int_equal(st.seq_high, 1);
			assert_int_equal(st.packets, got == ESP_DROP_OK);
			assert_int_equal(st.malformed,
					 got != ESP_DROP_OK && got != ESP_DROP_IN_DUMMY);
			if (got == ESP_DROP_OK) {
				assert_int_equal(b.pkt.size, r->inner_size);
				assert_int_equal(b.pkt.headroom + b.pkt.size + b.pkt.tailroom,
						 BUF_SIZE);
			}
			pair_fini(&p);
		}
}

/* An authentic packet without any payload has no trailer to read. */
static void test_empty_payload(void **state)
{
	const struct esp_sa_cfg cfg = cfg_of(&suite_rows[0]);
	struct buf b;
	struct pair p;

	pair_init(&p, &cfg, &esp_backend_ipsec_mb, &esp_backend_ipsec_mb);
	craft(&b, &esp_backend_ipsec_mb, &cfg, 1, NULL, 0);
	assert_drop(decap_one(&p, &b), ESP_DROP_IN_TRUNCATED);
	pair_fini(&p);
}

/* Every length and any bytes, in memory that ends at a guard page: refused, SA unchanged. */
static void test_garbage(void **state)
{
	struct rng r = {.s = 31};

	for (size_t i = 0; i < n_suite_rows; i++)
		for (size_t k = 0; esp_backends[k]; k++) {
			const struct esp_sa_cfg cfg = cfg_of(&suite_rows[i]);
			struct esp_in_state before, after;
			struct pair p;

			if (!backend_serves(esp_backends[k], &suite_rows[i]))
				continue;
			pair_init(&p, &cfg, esp_backends[k], esp_backends[k]);
			for (uint32_t size = 0; size <= 200; size++)
				for (int kind = 0; kind < 5; kind++) {
					struct guarded g;
					struct esp_pkt pkt;
					uint32_t spi;

					guarded_init(&g, size ? size : 1);
					rng_fill(&r, g.data, g.size);
					/* from noise to ever more plausible headers */
					if (kind >= 1 && size >= 20) {
						g.data[0] = 0x45;
						esp_put16(g.data + 2, (uint16_t)size);
						esp_put16(g.data + 6, 0);
						g.data[9] = kind == 2 ? 17 : 50;
						if (kind == 2 && size >= 28)
							esp_put16(g.data + 24,
								  (uint16_t)(size - 20));
					}
					if (kind >= 3 && size >= 40) {
						g.data[0] = 0x60;
						g.data[6] = kind == 4 ? 17 : 50;
						esp_put16(g.data + 4, (uint16_t)(size - 40));
						if (kind == 4 && size >= 48)
							esp_put16(g.data + 44,
								  (uint16_t)(size - 40));
					}
					esp_in_state(p.in, &before);
					pkt = (struct esp_pkt){.data = g.data, .size = size};
					(void)esp_peek_spi(pkt.data, pkt.size, &spi);
					assert_int_equal(esp_decap(&p.in_thread, p.in, &pkt, 1), 0);
					assert_int_not_equal(pkt.drop, ESP_DROP_OK);
					esp_in_state(p.in, &after);
					assert_int_equal(after.seq_high, before.seq_high);
					assert_int_equal(after.packets, 0);
					assert_true(ip_endpoint_equal(&after.last_remote,
								      &before.last_remote));
					/* and as something to be encapsulated */
					pkt = (struct esp_pkt){.data = g.data, .size = size};
					assert_int_equal(esp_encap(&p.out_thread, p.out, &pkt, 1),
							 0);
					guarded_fini(&g);
				}
			pair_fini(&p);
		}
}

/* A valid packet cut at every byte, and with every bit flipped, is refused; then it passes. */
static void truncate_and_flip(const struct suite_row *row, bool udp, bool v6,
			      const struct esp_backend *b)
{
	struct esp_sa_cfg cfg = cfg_of(row);
	struct esp_in_state st;
	struct buf good, bad;
	struct pair p;
	uint32_t refused = 0, esp_at;

	cfg.udp_encap = udp;
	cfg.esn = true;
	cfg.local.port = cfg.remote.port = 4500;
	if (v6) {
		assert_true(ip_parse("2001:db8::1", &cfg.local.addr));
		assert_true(ip_parse("2001:db8::2", &cfg.remote.addr));
	}
	esp_at = (v6 ? 40 : 20) + (udp ? 8 : 0);
	pair_init(&p, &cfg, b, b);
	buf_inner4(&good, 61);
	assert_drop(encap_one(&p, &good), ESP_DROP_OK);
	for (uint32_t size = 0; size < good.pkt.size; size++) {
		buf_copy(&bad, &good);
		bad.pkt.size = size;
		assert_int_not_equal(decap_one(&p, &bad), ESP_DROP_OK);
		/* with lengths that agree: only the ICV tells */
		buf_copy(&bad, &good);
		bad.pkt.size = size;
		if (size < esp_at)
			continue;
		if (v6)
			esp_put16(bad.pkt.data + 4, (uint16_t)(size - 40));
		else
			esp_put16(bad.pkt.data + 2, (uint16_t)size);
		if (udp)
			esp_put16(bad.pkt.data + esp_at - 4, (uint16_t)(size - esp_at + 8));
		assert_int_not_equal(decap_one(&p, &bad), ESP_DROP_OK);
	}
	for (uint32_t bit = esp_at * 8; bit < good.pkt.size * 8; bit++) {
		buf_copy(&bad, &good);
		bad.pkt.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
		/* the sequence number 0, too, is refused: as replayed */
		assert_int_not_equal(decap_one(&p, &bad), ESP_DROP_OK);
		refused++;
	}
	esp_in_state(p.in, &st);
	assert_int_equal(st.packets, 0);
	assert_int_equal(st.seq_high, 0);
	assert_int_equal(st.late, 0);
	assert_true(st.auth_failed >= refused - 1);
	assert_drop(decap_one(&p, &good), ESP_DROP_OK);
	pair_fini(&p);
}

static void test_truncate_and_flip(void **state)
{
	for (size_t i = 0; i < n_suite_rows; i++)
		for (int k = 0; k < 4; k++) {
			truncate_and_flip(&suite_rows[i], k & 1, k & 2, &esp_backend_ipsec_mb);
			if (k == 0)
				truncate_and_flip(&suite_rows[i], false, false,
						  &esp_backend_openssl);
		}
}

/* A flipped bit of the outer header may be refused or not matter; the inner packet never changes. */
static void test_outer_flips(void **state)
{
	const struct esp_sa_cfg cfg = cfg_of(&suite_rows[0]);
	struct buf good, bad, plain;
	struct pair p;

	for (uint32_t bit = 0; bit < 20 * 8; bit++) {
		enum esp_drop got;

		pair_init(&p, &cfg, &esp_backend_ipsec_mb, &esp_backend_ipsec_mb);
		buf_inner4(&good, 61);
		assert_drop(encap_one(&p, &good), ESP_DROP_OK);
		buf_copy(&bad, &good);
		bad.pkt.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
		got = decap_one(&p, &bad);
		if (got == ESP_DROP_OK) {
			buf_copy(&plain, &good);
			pair_fini(&p);
			pair_init(&p, &cfg, &esp_backend_openssl, &esp_backend_openssl);
			assert_drop(decap_one(&p, &plain), ESP_DROP_OK);
			assert_int_equal(bad.pkt.size, plain.pkt.size);
			assert_memory_equal(bad.pkt.data, plain.pkt.data, plain.pkt.size);
		}
		pair_fini(&p);
	}
}

/* What esp_decap() itself refuses by shape, before any key is used. */
static void test_shapes(void **state)
{
	struct esp_sa_cfg cfg = cfg_of(&suite_rows[0]);
	struct esp_in_state st;
	uint8_t bytes[100] = {0};
	struct buf b;
	struct pair p;

	pair_init(&p, &cfg, &esp_backend_openssl, &esp_backend_openssl);
	buf_inner4(&b, 61);
	assert_drop(encap_one(&p, &b), ESP_DROP_OK);
	/* fragments must not come here */
	esp_put16(b.pkt.data + 6, 0x2000);
	assert_drop(decap_one(&p, &b), ESP_DROP_IN_TRUNCATED);
	esp_put16(b.pkt.data + 6, 1);
	assert_drop(decap_one(&p, &b), ESP_DROP_IN_TRUNCATED);
	esp_put16(b.pkt.data + 6, 0);
	/* neither ESP nor UDP */
	b.pkt.data[9] = 6;
	assert_drop(decap_one(&p, &b), ESP_DROP_IN_TRUNCATED);
	b.pkt.data[9] = 50;
	/* a payload that is no multiple of four */
	esp_put16(b.pkt.data + 2, (uint16_t)(b.pkt.size - 1));
	assert_drop(decap_one(&p, &b), ESP_DROP_IN_ALIGNMENT);
	/* link padding behind the outer packet is no part of it; IPv4 options are skipped */
	esp_put16(b.pkt.data + 2, (uint16_t)b.pkt.size);
	memcpy(bytes, b.pkt.data, 20);
	memmove(b.pkt.data - 8, b.pkt.data, 20);
	b.pkt.data -= 8;
	b.pkt.headroom -= 8;
	memset(b.pkt.data + 20, 1, 8);
	b.pkt.size += 8;
	b.pkt.data[0] = 0x47;
	esp_put16(b.pkt.data + 2, (uint16_t)b.pkt.size);
	b.pkt.size += 9;
	b.pkt.tailroom -= 9;
	assert_drop(decap_one(&p, &b), ESP_DROP_OK);
	assert_int_equal(b.pkt.size, 61);
	assert_int_equal(b.pkt.headroom + b.pkt.size + b.pkt.tailroom, BUF_SIZE);
	esp_in_state(p.in, &st);
	assert_int_equal(st.malformed, 4);
	pair_fini(&p);
}

/* The UDP length may be less than what IP carries (RFC 768), never more. */
static void test_udp_length(void **state)
{
	struct esp_sa_cfg cfg = cfg_of(&suite_rows[0]);
	struct buf b, copy;
	struct pair p;

	cfg.udp_encap = true;
	pair_init(&p, &cfg, &esp_backend_openssl, &esp_backend_openssl);
	buf_inner4(&b, 61);
	assert_drop(encap_one(&p, &b), ESP_DROP_OK);
	buf_copy(&copy, &b);
	esp_put16(copy.pkt.data + 24, (uint16_t)(b.pkt.size - 20 + 1));
	assert_drop(decap_one(&p, &copy), ESP_DROP_IN_TRUNCATED);
	esp_put16(copy.pkt.data + 24, 7);
	assert_drop(decap_one(&p, &copy), ESP_DROP_IN_TRUNCATED);
	/* UDP checksum: any value is accepted (RFC 3948 2.1) */
	buf_copy(&copy, &b);
	copy.pkt.size += 4;
	copy.pkt.tailroom -= 4;
	esp_put16(copy.pkt.data + 2, (uint16_t)copy.pkt.size);
	esp_put16(copy.pkt.data + 26, 0xbeef);
	assert_drop(decap_one(&p, &copy), ESP_DROP_OK);
	pair_fini(&p);
}

/* RFC 7296 2.23: each form is received, whichever the SA sends in. */
/* Requirements: RFC7296-2.23-both-forms */
static void test_both_forms(void **state)
{
	struct esp_sa_cfg cfg[2] = {cfg_of(&suite_rows[0]), cfg_of(&suite_rows[0])};
	struct pair p[2];
	struct buf b;

	cfg[1].udp_encap = true;
	for (int i = 0; i < 2; i++)
		pair_init(&p[i], &cfg[i], &esp_backend_openssl, &esp_backend_openssl);
	for (int i = 0; i < 2; i++) {
		buf_inner4(&b, 61);
		assert_drop(encap_one(&p[i], &b), ESP_DROP_OK);
		assert_int_equal(b.pkt.data[9], i ? ESP_PROTO_UDP : 50);
		assert_drop(decap_one(&p[1 - i], &b), ESP_DROP_OK);
		assert_int_equal(b.pkt.size, 61);
	}
	for (int i = 0; i < 2; i++)
		pair_fini(&p[i]);
}

/* Outer packet as hex would be long-winded: proto, ESP bytes, and whether there is an SPI. */
static void test_peek(void **state)
{
	static const struct {
		const char *name;
		uint8_t version, proto;
		uint16_t frag;
		uint32_t spi;
		uint32_t size; /* after the IP header */
		bool want;
	} rows[] = {
		{"ESP", 4, 50, 0, 0x1000, 40, true},
		{"ESP, least", 4, 50, 0, 0x1000, 8, true},
		{"ESP, too short", 4, 50, 0, 0x1000, 7, false},
		{"ESP, SPI 0", 4, 50, 0, 0, 40, false},
		{"ESP, DF", 4, 50, 0x4000, 0x1000, 40, true},
		{"fragment, first", 4, 50, 0x2000, 0x1000, 40, false},
		{"fragment, later", 4, 50, 0x0007, 0x1000, 40, false},
		{"UDP", 4, 17, 0, 0x1000, 40, true},
		{"UDP, IKE", 4, 17, 0, 0, 40, false},
		{"UDP, keepalive", 4, 17, 0, 0xff000000, 9, false},
		{"UDP, too short", 4, 17, 0, 0x1000, 15, false},
		{"TCP", 4, 6, 0, 0x1000, 40, false},
		{"AH", 4, 51, 0, 0x1000, 40, false},
		{"ESP over v6", 6, 50, 0, 0x1000, 40, true},
		{"UDP over v6", 6, 17, 0, 0x1000, 40, true},
		{"IKE over v6", 6, 17, 0, 0, 40, false},
		{"fragment header", 6, 44, 0, 0x1000, 40, false},
		{"version 5", 5, 50, 0, 0x1000, 40, false},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const uint32_t ip = rows[i].version == 6 ? 40 : 20;
		uint8_t p[128] = {0};
		uint32_t spi = 7;

		p[0] = (uint8_t)(rows[i].version << 4 | (rows[i].version == 6 ? 0 : 5));
		if (rows[i].version == 6) {
			esp_put16(p + 4, (uint16_t)rows[i].size);
			p[6] = rows[i].proto;
		} else {
			esp_put16(p + 2, (uint16_t)(ip + rows[i].size));
			esp_put16(p + 6, rows[i].frag);
			p[9] = rows[i].proto;
		}
		if (rows[i].proto == 17) {
			esp_put16(p + ip + 4, (uint16_t)rows[i].size);
			esp_put32(p + ip + 8, rows[i].spi);
		} else {
			esp_put32(p + ip, rows[i].spi);
		}
		if (esp_peek_spi(p, ip + rows[i].size, &spi) != rows[i].want)
			fail_msg("%s", rows[i].name);
		assert_int_equal(spi, rows[i].want ? rows[i].spi : 7);
	}
}

/* Bursts of good and bad: each packet fares as it would alone. */
static void mixed_burst(const struct suite_row *row, const struct esp_backend *b, struct rng *r)
{
	const struct esp_sa_cfg cfg = cfg_of(row);
	static struct buf bufs[ESP_BURST_MAX], sent[ESP_BURST_MAX];
	struct esp_pkt pkts[ESP_BURST_MAX];
	bool bad[ESP_BURST_MAX];
	struct esp_in_state st;
	size_t n_bad = 0, n = 1 + rng_below(r, ESP_BURST_MAX);
	struct pair p;

	pair_init(&p, &cfg, b, b);
	for (size_t i = 0; i < n; i++) {
		buf_inner4(&bufs[i], 20 + rng_below(r, 1400));
		buf_copy(&sent[i], &bufs[i]);
		sent[i].pkt.data[8]--;
		inner4_checksum(sent[i].pkt.data);
		bad[i] = rng_below(r, 3) == 0;
		if (bad[i])
			bufs[i].pkt.data[rng_below(r, 2) ? 0 : 3] ^= 0x30;
		pkts[i] = bufs[i].pkt;
		n_bad += bad[i];
	}
	assert_int_equal(esp_encap(&p.out_thread, p.out, pkts, n), n - n_bad);
	for (size_t i = 0; i < n; i++) {
		assert_int_equal(pkts[i].drop != ESP_DROP_OK, bad[i]);
		if (bad[i])
			pkts[i].size = 0; /* garbage in the next burst */
		else if (rng_below(r, 3) == 0) {
			/* beyond the outer header, where everything is authenticated */
			pkts[i].data[20 + rng_below(r, pkts[i].size - 20)] ^= 0x10;
			bad[i] = true;
			n_bad++;
		}
	}
	assert_int_equal(esp_decap(&p.in_thread, p.in, pkts, n), n - n_bad);
	for (size_t i = 0; i < n; i++) {
		assert_int_equal(pkts[i].drop != ESP_DROP_OK, bad[i]);
		if (bad[i])
			continue;
		assert_int_equal(pkts[i].size, sent[i].pkt.size);
		assert_memory_equal(pkts[i].data, sent[i].pkt.data, sent[i].pkt.size);
	}
	esp_in_state(p.in, &st);
	assert_int_equal(st.packets, n - n_bad);
	assert_int_equal(st.packets + st.auth_failed + st.malformed + st.late + st.replayed, n);
	pair_fini(&p);
}

static void test_mixed_bursts(void **state)
{
	struct rng r = {.s = 1234};

	for (size_t i = 0; i < n_suite_rows; i++)
		for (size_t k = 0; esp_backends[k]; k++)
			for (int round = 0;
			     backend_serves(esp_backends[k], &suite_rows[i]) && round < 20; round++)
				mixed_burst(&suite_rows[i], esp_backends[k], &r);
}

/* The wrong key, salt, SPI or mode opens nothing. */
static void test_wrong_key(void **state)
{
	for (size_t i = 0; i < n_suite_rows; i++)
		for (int kind = 0; kind < 5; kind++) {
			struct esp_sa_cfg cfg = cfg_of(&suite_rows[i]), other;
			uint8_t key[36], integ[64];
			struct buf b;
			struct pair p;

			memcpy(key, test_encr_key, sizeof(key));
			memcpy(integ, test_integ_key, sizeof(integ));
			pair_init(&p, &cfg, &esp_backend_openssl, &esp_backend_ipsec_mb);
			esp_in_free(p.in);
			other = cfg_mirror(&cfg);
			other.encr_key = key;
			other.integ_key = integ;
			switch (kind) {
			case 0: break;
			case 1: key[0] ^= 1; break;
			case 2: key[cfg.suite.encr_key_size - 1] ^= 1; break;
			case 3: integ[cfg.suite.integ_key_size - 1 + cfg.suite.aead] ^= 1; break;
			default: other.esn = true; break;
			}
			p.in = esp_in_new(&p.in_thread, &other);
			assert_non_null(p.in);
			buf_inner4(&b, 100);
			assert_drop(encap_one(&p, &b), ESP_DROP_OK);
			if (kind == 0 || (kind == 3 && cfg.suite.aead))
				assert_drop(decap_one(&p, &b), ESP_DROP_OK);
			else if ((kind == 1 || kind == 2) && !cfg.suite.aead)
				/* authentic, but decrypted to noise */
				assert_int_not_equal(decap_one(&p, &b), ESP_DROP_OK);
			else
				assert_drop(decap_one(&p, &b), ESP_DROP_IN_AUTH);
			pair_fini(&p);
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_payloads),    cmocka_unit_test(test_empty_payload),
		cmocka_unit_test(test_garbage),     cmocka_unit_test(test_truncate_and_flip),
		cmocka_unit_test(test_outer_flips), cmocka_unit_test(test_shapes),
		cmocka_unit_test(test_udp_length),  cmocka_unit_test(test_both_forms),
		cmocka_unit_test(test_peek),        cmocka_unit_test(test_mixed_bursts),
		cmocka_unit_test(test_wrong_key),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
