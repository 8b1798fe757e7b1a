/* SPDX-License-Identifier: Apache-2.0 */
/* The anti-replay window against a naive model; inference of extended sequence numbers. */
#include <stdlib.h>
#include "util.h"

#define MODEL_SPAN (1u << 16)

/* Remembers every number that was ever accepted, relative to a base. */
struct model {
	uint64_t base, top;
	uint32_t window;
	bool *seen;
};

static enum esp_replay_verdict model_check(const struct model *m, uint64_t seq)
{
	if (seq > m->top)
		return ESP_REPLAY_FRESH;
	if (seq + m->window <= m->top)
		return ESP_REPLAY_LATE;
	return m->seen[seq - m->base] ? ESP_REPLAY_SEEN : ESP_REPLAY_FRESH;
}

static void sweep(uint32_t window, uint64_t base, struct rng *r, unsigned steps,
		  unsigned verdicts[3])
{
	uint64_t *bits = malloc(esp_replay_bits_size(window));
	struct model m = {.base = base, .top = base, .window = window};
	struct esp_replay w;

	assert_non_null(bits);
	m.seen = calloc(MODEL_SPAN, sizeof(bool));
	esp_replay_init(&w, window, true, bits);
	esp_replay_update(&w, bits, base);
	m.seen[0] = true;
	for (unsigned i = 0; i < steps; i++) {
		enum esp_replay_verdict got, want;
		uint64_t seq;

		/* Mostly near the top, sometimes around the far edge, seldom a jump ahead. */
		switch (rng_below(r, 16)) {
		case 0: seq = m.top + 1 + rng_below(r, 3 * window); break;
		case 1: seq = m.top + 1 + rng_below(r, 70); break;
		case 2:
		case 3: seq = m.top - window + rng_below(r, 5) - 2; break;
		case 4:
		case 5: seq = m.top - rng_below(r, 2 * window); break;
		case 6: seq = m.top + 1; break;
		default: seq = m.top - rng_below(r, window); break;
		}
		if (seq < base || seq > base + MODEL_SPAN)
			continue;
		if (seq - base >= MODEL_SPAN)
			break;
		got = esp_replay_check(&w, bits, seq);
		want = model_check(&m, seq);
		assert_int_equal(got, want);
		verdicts[got]++;
		/* Not every packet that looks fresh turns out to be authentic. */
		if (got == ESP_REPLAY_FRESH && rng_below(r, 8)) {
			esp_replay_update(&w, bits, seq);
			m.seen[seq - base] = true;
			if (seq > m.top)
				m.top = seq;
			assert_int_equal(w.top, m.top);
			assert_int_equal(esp_replay_check(&w, bits, seq), ESP_REPLAY_SEEN);
		}
	}
	free(m.seen);
	free(bits);
}

static void test_model(void **state)
{
	static const uint32_t windows[] = {64, 128, 192, 1024, 1088, 2048, 4032, 4096};
	struct rng r = {.s = 42};

	for (size_t i = 0; i < sizeof(windows) / sizeof(windows[0]); i++) {
		unsigned verdicts[3] = {0};

		for (int round = 0; round < 40; round++) {
			sweep(windows[i], 1 + rng_below(&r, 1000), &r, 1000, verdicts);
			sweep(windows[i], ((uint64_t)5 << 32) - rng_below(&r, 4096), &r, 1000,
			      verdicts);
		}
		/* The sweep has to meet each verdict often, or it proves little. */
		assert_true(verdicts[ESP_REPLAY_FRESH] > 1000);
		assert_true(verdicts[ESP_REPLAY_SEEN] > 1000);
		assert_true(verdicts[ESP_REPLAY_LATE] > 1000);
	}
}

/* One line: with this top and window, does this number pass? */
static const struct edge {
	uint32_t window;
	uint64_t top, seq;
	enum esp_replay_verdict want;
} edges[] = {
	{64, 0, 0, ESP_REPLAY_SEEN},
	{64, 0, 1, ESP_REPLAY_FRESH},
	{64, 0, UINT32_MAX, ESP_REPLAY_FRESH},
	{64, 100, 100, ESP_REPLAY_SEEN},
	{64, 100, 101, ESP_REPLAY_FRESH},
	{64, 100, 99, ESP_REPLAY_FRESH},
	{64, 100, 37, ESP_REPLAY_FRESH},
	{64, 100, 36, ESP_REPLAY_LATE},
	{64, 100, 1, ESP_REPLAY_LATE},
	{64, 100, 0, ESP_REPLAY_SEEN},
	{4096, 5000, 905, ESP_REPLAY_FRESH},
	{4096, 5000, 904, ESP_REPLAY_LATE},
	{1024, 10, 1, ESP_REPLAY_FRESH},
	{1024, 10, 0, ESP_REPLAY_SEEN},
	{0, 100, 100, ESP_REPLAY_FRESH},
	{0, 100, 1, ESP_REPLAY_FRESH},
	{0, 100, 0, ESP_REPLAY_FRESH},
	{64, UINT64_MAX, UINT64_MAX, ESP_REPLAY_SEEN},
	{64, UINT64_MAX, UINT64_MAX - 63, ESP_REPLAY_FRESH},
	{64, UINT64_MAX, UINT64_MAX - 64, ESP_REPLAY_LATE},
};

static void test_edges(void **state)
{
	for (size_t i = 0; i < sizeof(edges) / sizeof(edges[0]); i++) {
		const struct edge *e = &edges[i];
		uint64_t *bits = malloc(esp_replay_bits_size(e->window));
		struct esp_replay w;

		assert_non_null(bits);
		esp_replay_init(&w, e->window, true, bits);
		if (e->top)
			esp_replay_update(&w, bits, e->top);
		if (esp_replay_check(&w, bits, e->seq) != e->want)
			fail_msg("edge %zu", i);
		free(bits);
	}
}

/* RFC 4303 A2.2: the high half by the window's position. */
static const struct infer_case {
	uint32_t window;
	uint64_t top;
	uint32_t lo;
	uint32_t want_hi;
} infer_cases[] = {
	/* a new SA: there is no subspace before the first */
	{64, 0, 1, 0},
	{64, 0, UINT32_MAX, 0},
	{1024, 5, 0xfffffff0, 0},
	/* case A: the window within one subspace */
	{64, 100, 101, 0},
	{64, 100, 37, 0},
	{64, 100, 36, 1},
	{64, 0xffffffff, 0xffffffff, 0},
	{64, 0xffffffff, 0xffffffc0, 0},
	{64, 0xffffffff, 0xffffffbf, 1},
	{64, 0xffffffff, 0, 1},
	{64, 0xffffffff, 5, 1},
	{64, 0xfffffff0, 0, 1},
	{64, 0x1ffffffff, 0, 2},
	/* case B: the window across the boundary */
	{64, 0x100000000, 0, 1},
	{64, 0x100000000, 0xffffffff, 0},
	{64, 0x100000000, 0xffffffc1, 0},
	{64, 0x100000000, 0xffffffc0, 1},
	{64, 0x10000003e, 0xffffffff, 0},
	{64, 0x10000003f, 0xffffffff, 1},
	{64, 0x10000003f, 0, 1},
	{4096, 0x300000ffe, 0xffffffff, 2},
	{4096, 0x300000fff, 0xffffffff, 3},
	{4096, 0x300000000, 0xfffff001, 2},
	{4096, 0x300000000, 0xfffff000, 3},
	/* the last subspace has no successor */
	{64, 0xffffffffffffffc0, 3, 0xffffffff},
	/* no window: the nearest */
	{0, 0x100000000, 0xffffffff, 0},
	{0, 0x100000000, 1, 1},
	{0, 0x1ffffffff, 0, 2},
	{0, 0x180000000, 0x7fffffff, 1},
	{0, 0x180000000, 0, 2},
};

static void test_infer(void **state)
{
	for (size_t i = 0; i < sizeof(infer_cases) / sizeof(infer_cases[0]); i++) {
		const struct infer_case *c = &infer_cases[i];
		uint64_t bits[128];
		struct esp_replay w;

		esp_replay_init(&w, c->window, true, bits);
		w.top = c->top;
		if (esp_replay_infer(&w, c->lo) != ((uint64_t)c->want_hi << 32 | c->lo))
			fail_msg("case %zu: high half %u", i,
				 (unsigned)(esp_replay_infer(&w, c->lo) >> 32));
		w.esn = false;
		assert_int_equal(esp_replay_infer(&w, c->lo), c->lo);
	}
}

/* Whatever the top, every number in the window and nearly 2^32 after it is inferred right. */
static void test_infer_inverse(void **state)
{
	struct rng r = {.s = 4711};

	for (int i = 0; i < 100000; i++) {
		const uint32_t window = 64u * (1 + rng_below(&r, 64));
		const uint64_t top =
			((uint64_t)(1 + rng_below(&r, 3)) << 32) +
			(rng_below(&r, 2) ? rng_below(&r, 8192) - 4096 : (uint32_t)rng_next(&r));
		const uint64_t low = top - window + 1;
		uint64_t seq = low + (rng_below(&r, 2) ? rng_below(&r, 2 * window)
						       : (uint32_t)rng_next(&r));
		uint64_t bits[128];
		struct esp_replay w;
		uint32_t lo;

		esp_replay_init(&w, window, true, bits);
		w.top = top;
		assert_int_equal(esp_replay_infer(&w, (uint32_t)seq), seq);
		/* Above the top's low half and up to this one, all are of its subspace; the next is not. */
		lo = esp_replay_newest_lo(&w);
		if ((uint32_t)seq > (uint32_t)top && (uint32_t)seq <= lo)
			assert_int_equal(esp_replay_infer(&w, (uint32_t)seq) >> 32, top >> 32);
		assert_int_equal(esp_replay_infer(&w, lo) >> 32, top >> 32);
		if (lo != UINT32_MAX)
			assert_int_equal(esp_replay_infer(&w, lo + 1) >> 32, (top >> 32) - 1);
	}
}

/* Packets over the 2^32 edge through the real transforms, out of order and doubled. */
static void edge_run(const struct suite_row *row, const struct esp_backend *b)
{
	struct esp_sa_cfg cfg = cfg_of(row);
	static struct buf bufs[128], copies[128];
	uint8_t order[128];
	struct rng r = {.s = 99};
	struct esp_in_state in;
	struct esp_out_state out;
	struct pair p;

	cfg.esn = true;
	cfg.first_seq = 0xffffffc0;
	cfg.replay_window = 128;
	pair_init(&p, &cfg, b, b);
	for (size_t i = 0; i < 128; i++) {
		order[i] = (uint8_t)i;
		buf_inner4(&bufs[i], 60 + (uint32_t)i);
		assert_drop(encap_one(&p, &bufs[i]), ESP_DROP_OK);
		buf_copy(&copies[i], &bufs[i]);
	}
	esp_out_state(p.out, &out);
	assert_int_equal(out.next_seq, 0x100000040);
	/* The first comes first: a new window knows no subspace but the first. */
	for (size_t i = 127; i > 1; i--) {
		const size_t k = 1 + rng_below(&r, (uint32_t)i);
		const uint8_t t = order[i];

		order[i] = order[k];
		order[k] = t;
	}
	for (size_t i = 0; i < 128; i++)
		assert_drop(decap_one(&p, &bufs[order[i]]), ESP_DROP_OK);
	for (size_t i = 0; i < 128; i++)
		assert_drop(decap_one(&p, &copies[order[i]]), ESP_DROP_IN_REPLAYED);
	esp_in_state(p.in, &in);
	assert_int_equal(in.seq_high, 0x10000003f);
	assert_int_equal(in.packets, 128);
	assert_int_equal(in.replayed, 128);
	pair_fini(&p);
}

static void test_esn_edge(void **state)
{
	for (size_t i = 0; i < n_suite_rows; i++)
		for (size_t k = 0; esp_backends[k]; k++)
			if (backend_serves(esp_backends[k], &suite_rows[i]))
				edge_run(&suite_rows[i], esp_backends[k]);
}

/* Two copies in one burst yield one packet, whatever stands between; late ones none. */
static void test_burst_duplicates(void **state)
{
	static struct buf bufs[40];
	struct esp_sa_cfg cfg = cfg_of(&suite_rows[0]);
	struct esp_pkt pkts[40];
	struct esp_in_state st;
	struct pair p;

	cfg.replay_window = 64;
	pair_init(&p, &cfg, &esp_backend_ipsec_mb, &esp_backend_openssl);
	for (size_t i = 0; i < 20; i++) {
		buf_inner4(&bufs[i], 100);
		assert_drop(encap_one(&p, &bufs[i]), ESP_DROP_OK);
		buf_copy(&bufs[39 - i], &bufs[i]);
	}
	for (size_t i = 0; i < 40; i++)
		pkts[i] = bufs[i].pkt;
	assert_int_equal(esp_decap(&p.in_thread, p.in, pkts, 40), 20);
	for (size_t i = 0; i < 40; i++)
		assert_drop(pkts[i].drop, i < 20 ? ESP_DROP_OK : ESP_DROP_IN_REPLAYED);
	esp_in_state(p.in, &st);
	assert_int_equal(st.replayed, 20);
	assert_int_equal(st.packets, 20);

	/* A burst may move the window so far that its own earlier numbers come too late. */
	for (size_t i = 0; i < 2; i++) {
		uint8_t payload[64] = {0};

		inner4_write(payload, 60);
		payload[60] = 1;
		payload[61] = 2;
		payload[62] = 2;
		payload[63] = ESP_PROTO_IPV4;
		craft(&bufs[i], &esp_backend_openssl, &cfg, i ? 21 : 200, payload, 64);
		pkts[i] = bufs[i].pkt;
	}
	assert_int_equal(esp_decap(&p.in_thread, p.in, pkts, 2), 1);
	assert_drop(pkts[0].drop, ESP_DROP_OK);
	assert_drop(pkts[1].drop, ESP_DROP_IN_LATE);
	esp_in_state(p.in, &st);
	assert_int_equal(st.late, 1);
	pair_fini(&p);
}

static size_t n_opened;

static void open_counting(void *ctx, struct esp_job *jobs, size_t n)
{
	n_opened += n;
	esp_backend_openssl.open(ctx, jobs, n);
}

/* RFC 4303 3.4.3: what is known to be a duplicate or late costs no cryptography. */
static void test_cheap_refusal(void **state)
{
	struct esp_sa_cfg cfg = cfg_of(&suite_rows[3]);
	struct esp_backend counting = esp_backend_openssl;
	struct buf b, copy;
	struct pair p;

	counting.open = open_counting;
	n_opened = 0;
	pair_init(&p, &cfg, &esp_backend_openssl, &counting);
	buf_inner4(&b, 100);
	assert_drop(encap_one(&p, &b), ESP_DROP_OK);
	buf_copy(&copy, &b);
	assert_drop(decap_one(&p, &b), ESP_DROP_OK);
	assert_int_equal(n_opened, 1);
	assert_drop(decap_one(&p, &copy), ESP_DROP_IN_REPLAYED);
	p.in->line.replay.top += 5000;
	assert_drop(decap_one(&p, &copy), ESP_DROP_IN_LATE);
	assert_int_equal(n_opened, 1);
	pair_fini(&p);
}

/* Forged packets ahead of the window must not move it. */
static void test_forged_ahead(void **state)
{
	struct esp_sa_cfg cfg = cfg_of(&suite_rows[0]);
	struct buf b, forged;
	struct esp_in_state st;
	struct pair p;

	pair_init(&p, &cfg, &esp_backend_openssl, &esp_backend_ipsec_mb);
	buf_inner4(&b, 64);
	assert_drop(encap_one(&p, &b), ESP_DROP_OK);
	buf_copy(&forged, &b);
	esp_put32(forged.pkt.data + 24, 1000000);
	forged.pkt.data[12] ^= 1; /* from another address */
	assert_drop(decap_one(&p, &forged), ESP_DROP_IN_AUTH);
	esp_in_state(p.in, &st);
	assert_int_equal(st.seq_high, 0);
	assert_int_equal(st.auth_failed, 1);
	assert_true(ip_equal(&st.last_remote.addr, &cfg.local.addr));
	assert_drop(decap_one(&p, &b), ESP_DROP_OK);
	pair_fini(&p);
}

/* Rounded up to words; out of range is clamped. */
static void test_window_sizes(void **state)
{
	static const struct {
		uint16_t cfg;
		uint32_t window;
	} cases[] = {{0, 0},       {1, 64},      {63, 64},     {64, 64},     {65, 128},
		     {1000, 1024}, {4095, 4096}, {4096, 4096}, {65535, 4096}};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct esp_sa_cfg cfg = cfg_of(&suite_rows[0]);
		struct esp_thread t;
		struct esp_in *in;

		thread_init(&t, &esp_backend_openssl);
		cfg.replay_window = cases[i].cfg;
		in = esp_in_new(&t, &cfg);
		assert_non_null(in);
		assert_int_equal(in->line.replay.window, cases[i].window);
		esp_in_free(in);
		thread_fini(&t);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_model),         cmocka_unit_test(test_edges),
		cmocka_unit_test(test_infer),         cmocka_unit_test(test_infer_inverse),
		cmocka_unit_test(test_esn_edge),      cmocka_unit_test(test_burst_duplicates),
		cmocka_unit_test(test_cheap_refusal), cmocka_unit_test(test_forged_ahead),
		cmocka_unit_test(test_window_sizes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
