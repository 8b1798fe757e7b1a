/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The stages of which esp_encap() and esp_decap() consist, as the dataplane uses them: packets of many
 * SAs in one batch; and what a caller promises who has verified inner headers.
 */
#include "util.h"

#define N 12u

static const struct suite_row gcm = {ESP_ENCR_AES_GCM_16, 256, ESP_INTEG_NONE};
static const struct suite_row gcm_8 = {ESP_ENCR_AES_GCM_8, 128, ESP_INTEG_NONE};
static const struct suite_row suites[] = {
	{ESP_ENCR_AES_GCM_16, 256, ESP_INTEG_NONE},
	{ESP_ENCR_CHACHA20_POLY1305, 256, ESP_INTEG_NONE},
	{ESP_ENCR_AES_CBC, 256, ESP_INTEG_HMAC_SHA2_256_128},
};
#define N_SUITES (sizeof(suites) / sizeof(suites[0]))

/* SAs of different suites: 0, 1, 2; each with an SPI of its own. One thread has all of their backends. */
static void pairs_init(struct pair *p)
{
	for (size_t i = 0; i < N_SUITES; i++) {
		struct esp_sa_cfg cfg = cfg_of(&suites[i]);

		cfg.spi += (uint32_t)i;
		pair_init(&p[i], &cfg, &esp_backend_openssl, &esp_backend_openssl);
	}
}

static void pairs_fini(struct pair *p)
{
	for (size_t i = 0; i < N_SUITES; i++)
		pair_fini(&p[i]);
}

/* Runs of a batch: which SA, how many packets. */
static const struct run {
	unsigned sa, n;
} runs[] = {{0, 2}, {1, 1}, {0, 1}, {2, 3}, {1, 2}, {0, 3}};
#define N_RUNS (sizeof(runs) / sizeof(runs[0]))

/* What several SAs prepare into one batch is sealed at once, and opened at once, each packet by its own
 * SA; sequence numbers go on from run to run. */
static void test_many_sas(void **state)
{
	static struct buf bufs[N], sent[N];
	struct pair p[N_SUITES];
	struct esp_pkt pkts[N];
	struct esp_batch batch;
	struct esp_job *jobs[N_RUNS];
	uint32_t next_seq[N_SUITES] = {1, 1, 1};
	size_t at = 0;

	pairs_init(p);
	for (size_t i = 0; i < N; i++) {
		if (i % 3 == 2)
			buf_inner6(&bufs[i], (uint32_t)(60 + 97 * i));
		else
			buf_inner4(&bufs[i], (uint32_t)(60 + 97 * i));
		buf_copy(&sent[i], &bufs[i]);
		pkts[i] = bufs[i].pkt;
	}
	esp_batch_init(&batch);
	for (size_t r = 0; r < N_RUNS; at += runs[r++].n)
		jobs[r] = esp_out_prepare(&p[0].out_thread, p[runs[r].sa].out, &pkts[at], runs[r].n,
					  &batch);
	assert_int_equal(at, N);
	assert_int_equal(batch.n[0], N);
	esp_batch_seal(&p[0].out_thread, &batch);
	at = 0;
	for (size_t r = 0; r < N_RUNS; at += runs[r++].n) {
		const unsigned sa = runs[r].sa;

		assert_int_equal(esp_out_finish(p[sa].out, &pkts[at], runs[r].n, jobs[r]),
				 runs[r].n);
		for (size_t i = at; i < at + runs[r].n; i++) {
			assert_int_equal(esp_get32(pkts[i].data + 20), p[sa].cfg.spi);
			assert_int_equal(esp_get32(pkts[i].data + 24), next_seq[sa]++);
		}
	}
	at = 0;
	esp_batch_init(&batch);
	for (size_t r = 0; r < N_RUNS; at += runs[r++].n)
		jobs[r] = esp_in_prepare(p[runs[r].sa].in, &pkts[at], runs[r].n, &batch);
	esp_batch_open(&p[0].in_thread, &batch);
	at = 0;
	for (size_t r = 0; r < N_RUNS; at += runs[r++].n)
		assert_int_equal(esp_in_accept(p[runs[r].sa].in, &pkts[at], runs[r].n, jobs[r]),
				 runs[r].n);
	for (size_t i = 0; i < N; i++) {
		const bool v4 = i % 3 != 2;

		assert_drop(pkts[i].drop, ESP_DROP_OK);
		assert_int_equal(pkts[i].inner_family, v4 ? 4 : 6);
		assert_int_equal(pkts[i].size, sent[i].pkt.size);
		assert_memory_equal(pkts[i].data + (v4 ? 20 : 40),
				    sent[i].pkt.data + (v4 ? 20 : 40),
				    pkts[i].size - (v4 ? 20 : 40));
	}
	pairs_fini(p);
}

/* Packets that prepare refuses have no job; a job that fails takes only its own packet along. */
static void test_out_gaps(void **state)
{
	const struct esp_sa_cfg cfg = cfg_of(&gcm);
	static struct buf bufs[N], sent[N];
	struct esp_pkt pkts[N];
	struct esp_out_state st;
	struct esp_batch batch;
	struct esp_job *jobs;
	struct pair p;

	pair_init(&p, &cfg, &esp_backend_openssl, &esp_backend_openssl);
	for (size_t i = 0; i < N; i++) {
		buf_inner4(&bufs[i], 200);
		if (i % 4 == 1)
			bufs[i].pkt.data[10] ^= 1;
		buf_copy(&sent[i], &bufs[i]);
		pkts[i] = bufs[i].pkt;
	}
	esp_batch_init(&batch);
	jobs = esp_out_prepare(&p.out_thread, p.out, pkts, N, &batch);
	assert_int_equal(batch.n[0], N - 3);
	esp_batch_seal(&p.out_thread, &batch);
	jobs[3].ok = false; /* packet 4 */
	assert_int_equal(esp_out_finish(p.out, pkts, N, jobs), N - 4);
	for (size_t i = 0; i < N; i++) {
		if (i % 4 == 1) {
			assert_drop(pkts[i].drop, ESP_DROP_OUT_CHECKSUM);
			assert_memory_equal(bufs[i].mem, sent[i].mem, BUF_SIZE);
		} else {
			assert_drop(pkts[i].drop, i == 4 ? ESP_DROP_OUT_CRYPTO : ESP_DROP_OK);
		}
	}
	/* Its number is spent. */
	esp_out_state(p.out, &st);
	assert_int_equal(st.next_seq, 1 + N - 3);
	assert_int_equal(esp_get32(pkts[6].data + 24), 5);
	pair_fini(&p);
}

/* A packet twice in a batch, in two runs of its SA, passes once; a forged one takes only itself along. */
static void test_in_gaps(void **state)
{
	const struct esp_sa_cfg cfg = cfg_of(&gcm);
	static struct buf bufs[6];
	struct esp_pkt pkts[6];
	struct esp_batch batch;
	const struct esp_job *first, *second;
	struct esp_in_state st;
	struct pair p;

	pair_init(&p, &cfg, &esp_backend_openssl, &esp_backend_openssl);
	for (size_t i = 0; i < 4; i++) {
		buf_inner4(&bufs[i], 100);
		assert_drop(encap_one(&p, &bufs[i]), ESP_DROP_OK);
	}
	buf_copy(&bufs[4], &bufs[0]);
	buf_copy(&bufs[5], &bufs[1]);
	bufs[1].pkt.data[50] ^= 1;
	for (size_t i = 0; i < 6; i++)
		pkts[i] = bufs[i].pkt;
	pkts[2].size = 30; /* too short: no job */
	esp_batch_init(&batch);
	first = esp_in_prepare(p.in, &pkts[0], 3, &batch);
	second = esp_in_prepare(p.in, &pkts[3], 3, &batch);
	assert_int_equal(batch.n[0], 5);
	esp_batch_open(&p.in_thread, &batch);
	assert_int_equal(esp_in_accept(p.in, &pkts[0], 3, first), 1);
	assert_int_equal(esp_in_accept(p.in, &pkts[3], 3, second), 2);
	assert_drop(pkts[0].drop, ESP_DROP_OK);
	assert_drop(pkts[1].drop, ESP_DROP_IN_AUTH);
	assert_drop(pkts[2].drop, ESP_DROP_IN_TRUNCATED);
	assert_drop(pkts[3].drop, ESP_DROP_OK);
	assert_drop(pkts[4].drop, ESP_DROP_IN_REPLAYED);
	/* The forged copy has changed nothing: the true one passes. */
	assert_drop(pkts[5].drop, ESP_DROP_OK);
	esp_in_state(p.in, &st);
	assert_int_equal(st.packets, 3);
	assert_int_equal(st.bytes, 300);
	assert_int_equal(st.seq_high, 4);
	assert_int_equal(st.auth_failed, 1);
	assert_int_equal(st.replayed, 1);
	assert_int_equal(st.malformed, 1);
	pair_fini(&p);
}

/* inner_family: the caller has verified the header. One line: a change to a 100-byte packet, and what
 * becomes of it with the promise and without. */
static const struct promise_case {
	const char *name;
	bool v6;
	uint32_t at;
	uint8_t value;
	bool mend; /* the checksum is right again */
	enum esp_drop with, without;
} promise_cases[] = {
	{"as it is", false, 0, 0x45, false, ESP_DROP_OK, ESP_DROP_OK},
	{"TOS and ECN", false, 1, 0xb9, true, ESP_DROP_OK, ESP_DROP_OK},
	{"don't fragment", false, 6, 0x40, true, ESP_DROP_OK, ESP_DROP_OK},
	{"TTL 1", false, 8, 1, true, ESP_DROP_OUT_TTL, ESP_DROP_OUT_TTL},
	{"TTL 0", false, 8, 0, true, ESP_DROP_OUT_TTL, ESP_DROP_OUT_TTL},
	{"outside the selectors", false, 16, 11, true, ESP_DROP_OUT_SELECTOR,
	 ESP_DROP_OUT_SELECTOR},
	/* It is the caller's word, and not looked at again. */
	{"checksum", false, 10, 0xee, false, ESP_DROP_OK, ESP_DROP_OUT_CHECKSUM},
	{"as it is, IPv6", true, 0, 0x60, false, ESP_DROP_OK, ESP_DROP_OK},
	{"traffic class, IPv6", true, 1, 0x20, false, ESP_DROP_OK, ESP_DROP_OK},
	{"hop limit 1, IPv6", true, 7, 1, false, ESP_DROP_OUT_TTL, ESP_DROP_OUT_TTL},
};

static enum esp_drop promise_run(const struct promise_case *c, const struct esp_sa_cfg *cfg,
				 bool promised, struct buf *b)
{
	enum esp_drop got;
	struct pair p;

	pair_init(&p, cfg, &esp_backend_openssl, &esp_backend_openssl);
	if (c->v6)
		buf_inner6(b, 100);
	else
		buf_inner4(b, 100);
	b->pkt.data[c->at] = c->value;
	if (c->mend)
		inner4_checksum(b->pkt.data);
	if (promised)
		b->pkt.inner_family = c->v6 ? IP_V6 : IP_V4;
	got = encap_one(&p, b);
	pair_fini(&p);
	return got;
}

static void test_promise(void **state)
{
	struct esp_sa_cfg cfg = cfg_of(&gcm);
	static struct buf with, without;

	buf_inner4(&with, 100);
	cfg.ts[0].remote_first = cfg.ts[0].remote_last = ip_from_bytes(IP_V4, with.pkt.data + 16);
	for (size_t i = 0; i < sizeof(promise_cases) / sizeof(promise_cases[0]); i++) {
		const struct promise_case *c = &promise_cases[i];
		const enum esp_drop a = promise_run(c, &cfg, true, &with);
		const enum esp_drop b = promise_run(c, &cfg, false, &without);

		if (a != c->with || b != c->without)
			fail_msg("%s: %s, and %s", c->name, esp_drop_name(a), esp_drop_name(b));
		if (a == ESP_DROP_OK && b == ESP_DROP_OK) {
			assert_int_equal(with.pkt.size, without.pkt.size);
			assert_memory_equal(with.pkt.data, without.pkt.data, with.pkt.size);
		}
	}
}

/* Whatever the header and the room around it, the promise changes nothing but what is looked at: each
 * value of the identification gives another checksum. */
static void test_promise_any(void **state)
{
	static const enum esp_df dfs[] = {ESP_DF_COPY, ESP_DF_CLEAR, ESP_DF_SET};
	static struct buf with, without;
	struct rng r = {.s = 77};

	for (unsigned k = 0; k < 6; k++) {
		struct esp_sa_cfg cfg = cfg_of(k % 2 ? &gcm_8 : &gcm);
		struct esp_out_state with_st, without_st;
		struct pair p, q;

		cfg.df = dfs[k / 2];
		cfg.copy_dscp = k % 2;
		cfg.esn = k / 2 == 1;
		pair_init(&p, &cfg, &esp_backend_openssl, &esp_backend_openssl);
		pair_init(&q, &cfg, &esp_backend_openssl, &esp_backend_openssl);
		for (uint32_t id = k; id < 65536; id += 6) {
			uint8_t *ip;

			buf_inner4(&with, 28 + rng_below(&r, 100));
			ip = with.pkt.data;
			ip[1] = (uint8_t)rng_next(&r);
			esp_put16(ip + 4, (uint16_t)id);
			ip[6] = (uint8_t)(rng_below(&r, 8) << 5);
			ip[8] = (uint8_t)rng_below(&r, rng_below(&r, 4) ? 256 : 3);
			inner4_checksum(ip);
			/* The checksum that TTL - 1 makes all ones, or zero (RFC 1624 3). */
			if (rng_below(&r, 8) == 0) {
				uint32_t other = id + esp_get16(ip + 10) + (uint16_t)~0xfeffu;

				other = (other & 0xffff) + (other >> 16);
				esp_put16(ip + 4, (uint16_t)(other + (other >> 16)));
				inner4_checksum(ip);
			}
			with.pkt.from_self = rng_below(&r, 8) == 0;
			if (rng_below(&r, 8) == 0)
				with.pkt.tailroom = rng_below(&r, 24);
			if (rng_below(&r, 8) == 0)
				with.pkt.headroom = 30 + rng_below(&r, 12);
			buf_copy(&without, &with);
			with.pkt.inner_family = IP_V4;
			assert_drop(encap_one(&p, &with), encap_one(&q, &without));
			assert_int_equal(with.pkt.size, without.pkt.size);
			assert_int_equal(with.pkt.headroom, without.pkt.headroom);
			assert_int_equal(with.pkt.tailroom, without.pkt.tailroom);
			assert_ptr_equal(with.pkt.data - with.mem, without.pkt.data - without.mem);
			assert_memory_equal(with.mem, without.mem, sizeof(with.mem));
		}
		esp_out_state(p.out, &with_st);
		esp_out_state(q.out, &without_st);
		assert_int_equal(with_st.packets, without_st.packets);
		assert_int_equal(with_st.bytes, without_st.bytes);
		assert_int_equal(with_st.next_seq, without_st.next_seq);
		pair_fini(&p);
		pair_fini(&q);
	}
}

/* Every length of padding, right, and wrong at each of its bytes. */
static void test_padding(void **state)
{
	const struct esp_sa_cfg cfg = cfg_of(&gcm);
	static uint8_t payload[28 + 3 + 2 + 255 + ESP_TRAILER_SIZE];
	static struct buf b;
	uint64_t seq = 1;
	struct pair p;

	pair_init(&p, &cfg, &esp_backend_openssl, &esp_backend_openssl);
	for (uint32_t pad = 0; pad <= 255; pad++) {
		const uint32_t inner = 28 + (256 - pad) % 4 + 2;
		const uint32_t size = inner + pad + ESP_TRAILER_SIZE;
		const uint32_t step = pad > 20 ? 7 : 1;

		for (uint32_t bad = 0; bad <= pad; bad += step) { /* 0: none */
			inner4_write(payload, inner);
			for (uint32_t i = 1; i <= pad; i++)
				payload[inner + i - 1] = (uint8_t)i;
			if (bad)
				payload[inner + bad - 1] ^= 0x10;
			payload[size - 2] = (uint8_t)pad;
			payload[size - 1] = ESP_PROTO_IPV4;
			craft(&b, &esp_backend_openssl, &cfg, seq++, payload, size);
			assert_drop(decap_one(&p, &b), bad ? ESP_DROP_IN_PAD : ESP_DROP_OK);
		}
	}
	pair_fini(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_many_sas), cmocka_unit_test(test_out_gaps),
		cmocka_unit_test(test_in_gaps),  cmocka_unit_test(test_promise),
		cmocka_unit_test(test_padding),  cmocka_unit_test(test_promise_any),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
