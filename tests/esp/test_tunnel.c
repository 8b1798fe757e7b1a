/* SPDX-License-Identifier: Apache-2.0 */
/* Whole packets through encapsulation and decapsulation: round trips, and what is refused. */
#include <stdlib.h>
#include "outer.h"

static const struct suite_row *const gcm = &suite_rows[2];

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
