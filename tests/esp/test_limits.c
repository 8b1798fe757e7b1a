/* SPDX-License-Identifier: Apache-2.0 */
/* Lifetimes and the end of the sequence space, outbound and inbound. */
#include "util.h"

#define N_TRIES 12u
#define SIZE    100u

/* One line: a limit, and how many of twelve 100-byte packets pass; when the soft flag rises. */
static const struct limit_case {
	const char *name;
	bool esn;
	uint64_t first_seq, soft_packets, hard_packets, soft_bytes, hard_bytes;
	unsigned pass;
	unsigned soft_after; /* packets; 0 = never */
} out_cases[] = {
	{"none", false, 1, 0, 0, 0, 0, 12, 0},
	{"first sequence 0 means 1", false, 0, 0, 0, 0, 0, 12, 0},
	{"soft packets", false, 1, 5, 0, 0, 0, 12, 5},
	{"hard packets", false, 1, 5, 8, 0, 0, 8, 5},
	{"soft bytes", false, 1, 0, 0, 450, 0, 12, 5},
	{"hard bytes, exact", false, 1, 0, 0, 0, 800, 8, 0},
	{"hard bytes, within a packet", false, 1, 0, 0, 0, 899, 8, 0},
	{"hard bytes below one packet", false, 1, 0, 0, 0, 99, 0, 0},
	{"last number of 32 bits", false, 0xffffffff, 0, 0, 0, 0, 1, 1},
	{"ten numbers left", false, 0xfffffff6, 0, 0, 0, 0, 10, 1},
	{"space used up", false, 0x100000000, 0, 0, 0, 0, 0, 0},
	{"last eighth asks for a rekey", false, 0xdffffffe, 0, 0, 0, 0, 12, 3},
	{"ESN goes on", true, 0xfffffff6, 0, 0, 0, 0, 12, 0},
	{"ESN, last number", true, UINT64_MAX, 0, 0, 0, 0, 1, 1},
	{"ESN, three numbers left", true, UINT64_MAX - 2, 0, 0, 0, 0, 3, 1},
};

/* `verified`: as packets come that may go the short way. */
static void run_out(const struct limit_case *c, const struct suite_row *row, size_t burst,
		    bool verified)
{
	struct esp_sa_cfg cfg = cfg_of(row);
	static struct buf bufs[N_TRIES];
	struct esp_pkt pkts[N_TRIES];
	struct esp_out_state st;
	uint64_t expect_seq = c->first_seq ? c->first_seq : 1;
	struct pair p;

	cfg.esn = c->esn;
	cfg.first_seq = c->first_seq;
	cfg.soft_packets = c->soft_packets;
	cfg.hard_packets = c->hard_packets;
	cfg.soft_bytes = c->soft_bytes;
	cfg.hard_bytes = c->hard_bytes;
	pair_init(&p, &cfg, &esp_backend_openssl, &esp_backend_openssl);
	for (size_t i = 0; i < N_TRIES; i++) {
		buf_inner4(&bufs[i], SIZE);
		pkts[i] = bufs[i].pkt;
		pkts[i].inner_family = verified ? IP_V4 : 0;
	}
	for (size_t i = 0; i < N_TRIES; i += burst) {
		esp_encap(&p.out_thread, p.out, pkts + i, burst);
		esp_out_state(p.out, &st);
		if (burst == 1 && st.soft_reached != (c->soft_after && i + 1 >= c->soft_after) &&
		    c->pass)
			fail_msg("%s: soft flag after %zu", c->name, i + 1);
	}
	for (size_t i = 0; i < N_TRIES; i++) {
		if (i < c->pass) {
			const uint32_t lo = (uint32_t)expect_seq++;

			assert_drop(pkts[i].drop, ESP_DROP_OK);
			assert_int_equal(esp_get32(pkts[i].data + 24), lo);
		} else {
			/* Refused, and untouched: an ICMP error may still quote it. */
			assert_drop(pkts[i].drop, ESP_DROP_OUT_EXHAUSTED);
			assert_ptr_equal(pkts[i].data, bufs[i].mem + HEADROOM);
			assert_int_equal(pkts[i].size, SIZE);
			assert_int_equal(pkts[i].data[8], 64);
		}
	}
	esp_out_state(p.out, &st);
	assert_int_equal(st.packets, c->pass);
	assert_int_equal(st.bytes, c->pass * SIZE);
	assert_int_equal(st.next_seq, expect_seq);
	assert_int_equal(st.exhausted, c->pass < N_TRIES);
	pair_fini(&p);
}

static void test_out(void **state)
{
	static const size_t bursts[] = {1, 3, 4, 12};

	for (size_t i = 0; i < sizeof(out_cases) / sizeof(out_cases[0]); i++)
		for (size_t k = 0; k < 4; k++) {
			run_out(&out_cases[i], &suite_rows[2], bursts[k], false);
			run_out(&out_cases[i], &suite_rows[2], bursts[k], true);
			run_out(&out_cases[i], &suite_rows[3], bursts[k], false);
		}
}

/* The short way counts to a limit that is far, in as many looks at it as it takes; and not beyond. */
static void test_out_far(void **state)
{
	static const struct {
		uint64_t soft_packets, hard_packets, soft_bytes, hard_bytes;
	} cases[] = {
		{66000, 67000, 0, 0},
		{0, 0, 6600050, 6700099},
		{66000, 0, 0, 6700000},
		{0, 67000, 6600000, 0},
	};
	const uint64_t soft = 66000, hard = 67000;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct esp_sa_cfg cfg = cfg_of(&suite_rows[2]);
		static struct buf b;
		struct esp_out_state st;
		struct pair p;

		cfg.soft_packets = cases[i].soft_packets;
		cfg.hard_packets = cases[i].hard_packets;
		cfg.soft_bytes = cases[i].soft_bytes;
		cfg.hard_bytes = cases[i].hard_bytes;
		pair_init(&p, &cfg, &esp_backend_openssl, &esp_backend_openssl);
		for (uint64_t n = 1; n <= hard + 2; n++) {
			struct esp_batch batch;

			buf_inner4(&b, SIZE);
			b.pkt.inner_family = IP_V4;
			esp_batch_init(&batch);
			/* Nobody looks at the ciphertext. */
			(void)esp_out_prepare(&p.out_thread, p.out, &b.pkt, 1, &batch);
			assert_drop(b.pkt.drop, n <= hard ? ESP_DROP_OK : ESP_DROP_OUT_EXHAUSTED);
			esp_out_state(p.out, &st);
			if (st.soft_reached != (n >= soft + (cases[i].soft_bytes % SIZE != 0)) ||
			    st.packets != (n < hard ? n : hard) || st.bytes != st.packets * SIZE)
				fail_msg("case %zu: packet %llu", i, (unsigned long long)n);
		}
		pair_fini(&p);
	}
}

static const struct in_case {
	const char *name;
	uint64_t soft_packets, hard_packets, soft_bytes, hard_bytes;
	unsigned pass, soft_after;
} in_cases[] = {
	{"none", 0, 0, 0, 0, 12, 0},        {"soft packets", 4, 0, 0, 0, 12, 4},
	{"hard packets", 4, 7, 0, 0, 7, 4}, {"soft bytes", 0, 0, 301, 0, 12, 4},
	{"hard bytes", 0, 0, 0, 700, 7, 0}, {"hard bytes within a packet", 0, 0, 0, 601, 7, 0},
};

static void run_in(const struct in_case *c, size_t burst)
{
	struct esp_sa_cfg cfg = cfg_of(&suite_rows[0]), mirror;
	static struct buf bufs[N_TRIES];
	struct esp_pkt pkts[N_TRIES];
	struct esp_in_state st;
	struct pair p;

	pair_init(&p, &cfg, &esp_backend_openssl, &esp_backend_ipsec_mb);
	esp_in_free(p.in);
	mirror = cfg_mirror(&cfg);
	mirror.soft_packets = c->soft_packets;
	mirror.hard_packets = c->hard_packets;
	mirror.soft_bytes = c->soft_bytes;
	mirror.hard_bytes = c->hard_bytes;
	p.in = esp_in_new(&p.in_thread, &mirror);
	for (size_t i = 0; i < N_TRIES; i++) {
		buf_inner4(&bufs[i], SIZE);
		assert_drop(encap_one(&p, &bufs[i]), ESP_DROP_OK);
		pkts[i] = bufs[i].pkt;
	}
	for (size_t i = 0; i < N_TRIES; i += burst) {
		esp_decap(&p.in_thread, p.in, pkts + i, burst);
		esp_in_state(p.in, &st);
		if (burst == 1 && st.soft_reached != (c->soft_after && i + 1 >= c->soft_after))
			fail_msg("%s: soft flag after %zu", c->name, i + 1);
	}
	for (size_t i = 0; i < N_TRIES; i++)
		assert_drop(pkts[i].drop, i < c->pass ? ESP_DROP_OK : ESP_DROP_IN_EXPIRED);
	assert_int_equal(st.packets, c->pass);
	assert_int_equal(st.bytes, c->pass * SIZE);
	assert_int_equal(st.expired, c->pass < N_TRIES);
	pair_fini(&p);
}

static void test_in(void **state)
{
	for (size_t i = 0; i < sizeof(in_cases) / sizeof(in_cases[0]); i++) {
		run_in(&in_cases[i], 1);
		run_in(&in_cases[i], 4);
		run_in(&in_cases[i], 12);
	}
}

/* No (key, IV) twice: each number once, over drops of every kind in between. */
static void test_no_reuse(void **state)
{
	struct esp_sa_cfg cfg = cfg_of(&suite_rows[0]);
	struct rng r = {.s = 5};
	uint64_t next = 1;
	struct pair p;

	pair_init(&p, &cfg, &esp_backend_ipsec_mb, &esp_backend_ipsec_mb);
	for (int i = 0; i < 2000; i++) {
		static struct buf bufs[8];
		struct esp_pkt pkts[8];
		const size_t n = 1 + rng_below(&r, 8);

		for (size_t k = 0; k < n; k++) {
			buf_inner4(&bufs[k], 40 + rng_below(&r, 200));
			switch (rng_below(&r, 6)) {
			case 0: bufs[k].pkt.data[0] = 0x55; break;
			case 1: bufs[k].pkt.size = 30; break;
			case 2: bufs[k].pkt.headroom = 35; break;
			default: break;
			}
			pkts[k] = bufs[k].pkt;
		}
		esp_encap(&p.out_thread, p.out, pkts, n);
		for (size_t k = 0; k < n; k++) {
			if (pkts[k].drop != ESP_DROP_OK)
				continue;
			assert_int_equal(esp_get32(pkts[k].data + 24), next);
			assert_int_equal(esp_get64(pkts[k].data + 28), next);
			next++;
		}
	}
	assert_true(next > 1000);
	pair_fini(&p);
}

/* With ESN the nonce has all 64 bits, or it would repeat after 2^32 packets. */
static void test_esn_nonce(void **state)
{
	struct esp_sa_cfg cfg = cfg_of(&suite_rows[0]);
	struct pair p;
	struct buf b;

	cfg.esn = true;
	cfg.first_seq = 0xffffffff;
	pair_init(&p, &cfg, &esp_backend_ipsec_mb, &esp_backend_ipsec_mb);
	for (uint64_t seq = 0xffffffff; seq < 0x100000002; seq++) {
		buf_inner4(&b, 100);
		assert_drop(encap_one(&p, &b), ESP_DROP_OK);
		assert_int_equal(esp_get32(b.pkt.data + 24), (uint32_t)seq);
		assert_int_equal(esp_get64(b.pkt.data + 28), seq);
	}
	pair_fini(&p);
}

/* New endpoints leave keys and sequence alone. */
static void test_set_peer(void **state)
{
	struct esp_sa_cfg cfg = cfg_of(&suite_rows[0]);
	const struct ip_endpoint local = {ip_v4(203, 0, 113, 1), 4500};
	const struct ip_endpoint remote = {ip_v4(203, 0, 113, 9), 61000};
	const struct ip_endpoint other_family = {{.family = IP_V6}, 4500};
	struct esp_in_state st;
	struct buf b;
	struct pair p;

	pair_init(&p, &cfg, &esp_backend_openssl, &esp_backend_ipsec_mb);
	buf_inner4(&b, 100);
	assert_drop(encap_one(&p, &b), ESP_DROP_OK);
	assert_drop(decap_one(&p, &b), ESP_DROP_OK);
	esp_out_set_peer(p.out, &local, &remote, true);
	/* nonsense changes nothing */
	esp_out_set_peer(p.out, &local, &other_family, true);
	buf_inner4(&b, 100);
	assert_drop(encap_one(&p, &b), ESP_DROP_OK);
	assert_int_equal(b.pkt.data[9], ESP_PROTO_UDP);
	assert_int_equal(esp_get16(b.pkt.data + 22), 61000);
	assert_int_equal(esp_get32(b.pkt.data + 32), 2);
	assert_drop(decap_one(&p, &b), ESP_DROP_OK);
	esp_in_state(p.in, &st);
	assert_true(ip_endpoint_equal(&st.last_remote, &local));
	assert_true(ip_endpoint_equal(&st.last_local, &remote));
	/* and back to native */
	esp_out_set_peer(p.out, &cfg.local, &cfg.remote, false);
	buf_inner4(&b, 100);
	assert_drop(encap_one(&p, &b), ESP_DROP_OK);
	assert_int_equal(b.pkt.data[9], ESP_PROTO_ESP);
	assert_int_equal(esp_get32(b.pkt.data + 24), 3);
	assert_drop(decap_one(&p, &b), ESP_DROP_OK);
	esp_in_state(p.in, &st);
	assert_true(ip_endpoint_equal(&st.last_remote, &cfg.local));
	pair_fini(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_out),       cmocka_unit_test(test_out_far),
		cmocka_unit_test(test_in),        cmocka_unit_test(test_no_reuse),
		cmocka_unit_test(test_esn_nonce), cmocka_unit_test(test_set_peer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
