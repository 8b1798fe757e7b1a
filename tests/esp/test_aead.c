/* SPDX-License-Identifier: Apache-2.0 */
/* The AEAD backends against each other: every suite, size and alignment; bursts; suites. */
#include <stdlib.h>
#include "util.h"

static const struct suite_case {
	uint16_t encr, bits, integ;
	bool ok;
	uint8_t iv, icv, align, encr_key, salt, integ_key;
	const char *name;
} suite_cases[] = {
	{20, 128, 0, true, 8, 16, 4, 20, 4, 0, "aes-128-gcm-16"},
	{20, 192, 0, true, 8, 16, 4, 28, 4, 0, "aes-192-gcm-16"},
	{20, 256, 0, true, 8, 16, 4, 36, 4, 0, "aes-256-gcm-16"},
	{12, 128, 12, true, 16, 16, 16, 16, 0, 32, "aes-128-cbc/sha2-256"},
	{12, 256, 13, true, 16, 24, 16, 32, 0, 48, "aes-256-cbc/sha2-384"},
	{12, 256, 14, true, 16, 32, 16, 32, 0, 64, "aes-256-cbc/sha2-512"},
	{18, 128, 0, true, 8, 8, 4, 20, 4, 0, "aes-128-gcm-8"},
	{18, 256, 0, true, 8, 8, 4, 36, 4, 0, "aes-256-gcm-8"},
	{19, 192, 0, true, 8, 12, 4, 28, 4, 0, "aes-192-gcm-12"},
	{21, 128, 0, true, 8, 16, 4, 20, 4, 0, "aes-128-gmac"},
	{21, 256, 0, true, 8, 16, 4, 36, 4, 0, "aes-256-gmac"},
	{28, 256, 0, true, 8, 16, 4, 36, 4, 0, "chacha20-poly1305"},
	{28, 0, 0, true, 8, 16, 4, 36, 4, 0, "chacha20-poly1305"},
	{12, 128, 2, true, 16, 12, 16, 16, 0, 20, "aes-128-cbc/sha1"},
	/* an AEAD with integrity, CBC without, unknown numbers and lengths */
	{20, 128, 12, false},
	{20, 0, 0, false},
	{20, 64, 0, false},
	{20, 512, 0, false},
	{12, 128, 0, false},
	{12, 128, 1, false},
	{12, 129, 12, false},
	{12, 128, 15, false},
	{12, 0, 12, false},
	{11, 0, 12, false},
	{0, 0, 0, false},
	{17, 128, 0, false},
	{22, 128, 0, false},
	{18, 128, 2, false},
	{19, 0, 0, false},
	{21, 256, 12, false},
	{21, 0, 0, false},
	{21, 257, 0, false},
	{28, 128, 0, false},
	{28, 512, 0, false},
	{28, 256, 2, false},
	{284, 256, 0, false},
	{65535, 256, 0, false},
};

static void test_suites(void **state)
{
	for (size_t i = 0; i < sizeof(suite_cases) / sizeof(suite_cases[0]); i++) {
		const struct suite_case *c = &suite_cases[i];
		char name[ESP_SUITE_STRLEN];
		struct esp_suite s;

		assert_int_equal(esp_suite_init(&s, c->encr, c->bits, c->integ), c->ok);
		if (!c->ok)
			continue;
		assert_int_equal(s.iv_size, c->iv);
		assert_int_equal(s.icv_size, c->icv);
		assert_int_equal(s.align, c->align);
		assert_int_equal(s.encr_key_size, c->encr_key);
		assert_int_equal(s.salt_size, c->salt);
		assert_int_equal(s.integ_key_size, c->integ_key);
		assert_int_equal(s.aead, c->encr != 12);
		assert_string_equal(esp_suite_format(&s, name), c->name);
	}
}

static void test_backends(void **state)
{
	assert_ptr_equal(esp_backend_by_name("ipsec-mb"), &esp_backend_ipsec_mb);
	assert_ptr_equal(esp_backend_by_name("openssl"), &esp_backend_openssl);
	assert_null(esp_backend_by_name("none"));
#if defined(__x86_64__)
	assert_ptr_equal(esp_backend_by_name("vaes"), &esp_backend_vaes);
	assert_ptr_equal(esp_backends[0], &esp_backend_vaes);
	assert_ptr_equal(esp_backends[1], &esp_backend_ipsec_mb);
#endif
}

static uint64_t ticks;

static uint64_t fake_clock(void)
{
	return ticks += 7;
}

static void test_time(void **state)
{
	const struct esp_suite gcm = suite_of(&suite_rows[0]), cbc = suite_of(&suite_rows[3]);

	assert_int_equal(esp_backend_time(&esp_backend_ipsec_mb, &gcm, fake_clock), 7);
	assert_int_equal(esp_backend_time(&esp_backend_ipsec_mb, &cbc, fake_clock), 7);
	assert_true(esp_backend_time(&esp_backend_vaes, &cbc, fake_clock) == UINT64_MAX);
}

struct side {
	const struct esp_backend *b;
	void *ctx;
	struct esp_key *key;
};

static void side_init(struct side *s, const struct esp_backend *b, const struct esp_suite *suite,
		      bool esn)
{
	s->b = b;
	s->ctx = b->ctx_new();
	assert_non_null(s->ctx);
	assert_true(b->supports(suite));
	s->key = b->key_new(s->ctx, suite, esn, test_encr_key, test_integ_key);
	assert_non_null(s->key);
}

static void side_fini(struct side *s)
{
	s->b->key_free(s->key);
	s->b->ctx_free(s->ctx);
}

/* The same packet sealed by both is the same bytes, and each opens it. Exact memory around. */
static void cross(const struct esp_suite *s, bool esn, uint32_t payload, struct side *x,
		  struct side *y, struct rng *r)
{
	const uint32_t head = 8u + s->iv_size, size = head + payload + s->icv_size;
	struct guarded gx, gy;
	struct esp_job jx, jy;
	uint8_t plain[2200];

	guarded_init(&gx, size);
	guarded_init(&gy, size);
	rng_fill(r, plain, head + payload);
	memcpy(gx.data, plain, head + payload);
	memcpy(gy.data, plain, head + payload);
	jx = (struct esp_job){.key = x->key, .esp = gx.data, .payload_size = payload, .seq_hi = 9};
	jy = (struct esp_job){.key = y->key, .esp = gy.data, .payload_size = payload, .seq_hi = 9};
	x->b->seal(x->ctx, &jx, 1);
	y->b->seal(y->ctx, &jy, 1);
	assert_true(jx.ok && jy.ok);
	assert_memory_equal(gx.data, gy.data, size);
	if (s->kind == ESP_KIND_GMAC)
		assert_memory_equal(gx.data + head, plain + head, payload);
	else
		assert_memory_not_equal(gx.data + head, plain + head, payload);
	jx.key = y->key;
	jy.key = x->key;
	y->b->open(y->ctx, &jx, 1);
	x->b->open(x->ctx, &jy, 1);
	assert_true(jx.ok && jy.ok);
	assert_memory_equal(gx.data, plain, head + payload);
	assert_memory_equal(gy.data, plain, head + payload);
	guarded_fini(&gx);
	guarded_fini(&gy);
}

static void test_cross(void **state)
{
	struct rng r = {.s = 1};

	for (size_t i = 0; i < n_suite_rows; i++) {
		const struct esp_suite s = suite_of(&suite_rows[i]);

		for (int esn = 0; esn < 2; esn++) {
			struct side x, y;

			side_init(&x, &esp_backend_ipsec_mb, &s, esn);
			side_init(&y, &esp_backend_openssl, &s, esn);
			for (uint32_t size = s.align; size <= 2032; size += s.align)
				cross(&s, esn, size, &x, &y, &r);
			side_fini(&x);
			side_fini(&y);
		}
	}
}

#define SLOT 512u

/* Bursts of random sizes over mixed suites, some packets spoilt: only these fail, each alone. */
static void burst(const struct esp_backend *b, struct rng *r)
{
	static uint8_t mem[ESP_BURST_MAX][SLOT], plain[ESP_BURST_MAX][SLOT];
	struct esp_key *keys[N_SUITE_ROWS];
	void *ctx = b->ctx_new();
	size_t n_sides = 0;
	struct esp_job jobs[ESP_BURST_MAX];
	struct esp_suite suites[N_SUITE_ROWS];
	bool bad[ESP_BURST_MAX];
	uint8_t which[ESP_BURST_MAX];
	const size_t n = 1 + rng_below(r, ESP_BURST_MAX);

	for (size_t i = 0; i < n_suite_rows; i++) {
		if (!backend_serves(b, &suite_rows[i]))
			continue;
		suites[n_sides] = suite_of(&suite_rows[i]);
		/* one context for all keys */
		keys[n_sides] =
			b->key_new(ctx, &suites[n_sides], i & 1, test_encr_key, test_integ_key);
		assert_non_null(keys[n_sides++]);
	}
	for (size_t i = 0; i < n; i++) {
		const struct esp_suite *s;

		which[i] = (uint8_t)rng_below(r, (uint32_t)n_sides);
		s = &suites[which[i]];
		jobs[i] = (struct esp_job){
			.key = keys[which[i]],
			.esp = mem[i],
			.payload_size = s->align * (1 + rng_below(r, 400u / s->align)),
			.seq_hi = 3,
		};
		rng_fill(r, mem[i], SLOT);
		memcpy(plain[i], mem[i], SLOT);
	}
	b->seal(ctx, jobs, n);
	for (size_t i = 0; i < n; i++) {
		const struct esp_suite *s = &suites[which[i]];
		const uint32_t size = 8u + s->iv_size + jobs[i].payload_size + s->icv_size;

		assert_true(jobs[i].ok);
		assert_memory_equal(mem[i] + size, plain[i] + size, SLOT - size);
		bad[i] = rng_below(r, 4) == 0;
		if (bad[i])
			mem[i][rng_below(r, size)] ^= (uint8_t)(1u << rng_below(r, 8));
	}
	b->open(ctx, jobs, n);
	for (size_t i = 0; i < n; i++) {
		const struct esp_suite *s = &suites[which[i]];
		const uint32_t size = 8u + s->iv_size + jobs[i].payload_size;

		assert_int_equal(jobs[i].ok, !bad[i]);
		if (!bad[i])
			assert_memory_equal(mem[i], plain[i], size);
		assert_memory_equal(mem[i] + size + s->icv_size, plain[i] + size + s->icv_size,
				    SLOT - size - s->icv_size);
	}
	for (size_t i = 0; i < n_sides; i++)
		b->key_free(keys[i]);
	b->ctx_free(ctx);
}

static void test_bursts(void **state)
{
	struct rng r = {.s = 77};

	for (size_t i = 0; esp_backends[i]; i++)
		for (int k = 0; backend_works(esp_backends[i]) && k < 40; k++)
			burst(esp_backends[i], &r);
}

/* A payload that is no whole number of blocks fails, alone, instead of running past its end. */
static void test_bad_sizes(void **state)
{
	static const uint32_t sizes[] = {0, 1, 15, 17, 31, 100};
	const struct esp_suite s = suite_of(&suite_rows[3]);

	for (size_t i = 0; esp_backends[i]; i++)
		for (size_t k = 0; backend_serves(esp_backends[i], &suite_rows[3]) &&
				   k < sizeof(sizes) / sizeof(sizes[0]);
		     k++)
			for (int open = 0; open < 2; open++) {
				uint8_t mem[3][256] = {0};
				struct esp_job jobs[3];
				struct side x;

				side_init(&x, esp_backends[i], &s, false);
				for (int n = 0; n < 3; n++)
					jobs[n] = (struct esp_job){
						.key = x.key, .esp = mem[n], .payload_size = 64};
				x.b->seal(x.ctx, jobs, 3);
				jobs[1].payload_size = sizes[k];
				if (open)
					x.b->open(x.ctx, jobs, 3);
				else
					x.b->seal(x.ctx, jobs, 3);
				assert_true(jobs[0].ok && jobs[2].ok);
				assert_false(jobs[1].ok);
				side_fini(&x);
			}
}

static void test_unsupported(void **state)
{
	struct esp_suite s = {.encr = 99, .encr_key_bits = 256};

	for (size_t i = 0; esp_backends[i]; i++) {
		void *ctx;

		if (!backend_works(esp_backends[i]))
			continue;
		ctx = esp_backends[i]->ctx_new();
		assert_non_null(ctx);
		assert_false(esp_backends[i]->supports(&s));
		assert_null(esp_backends[i]->key_new(ctx, &s, false, test_encr_key, NULL));
		esp_backends[i]->key_free(NULL);
		esp_backends[i]->ctx_free(ctx);
		esp_backends[i]->ctx_free(NULL);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_suites),      cmocka_unit_test(test_backends),
		cmocka_unit_test(test_time),        cmocka_unit_test(test_cross),
		cmocka_unit_test(test_bursts),      cmocka_unit_test(test_bad_sizes),
		cmocka_unit_test(test_unsupported),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
