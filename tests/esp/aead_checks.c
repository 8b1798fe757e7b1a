/* SPDX-License-Identifier: Apache-2.0 */
/* aead_checks: what every AEAD backend must do. See aead_checks.h. */
#include "aead_checks.h"

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

	assert_true(size <= sizeof(plain));
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

void check_cross(const struct esp_backend *b, const struct esp_backend *other, uint32_t max,
		 uint32_t step, struct rng *r)
{
	for (size_t i = 0; i < n_suite_rows; i++) {
		const struct esp_suite s = suite_of(&suite_rows[i]);

		for (int esn = 0; b->supports(&s) && esn < 2; esn++) {
			struct side x, y;

			side_init(&x, b, &s, esn);
			side_init(&y, other, &s, esn);
			for (uint32_t size = s.align; size <= max; size += step * s.align)
				cross(&s, esn, size, &x, &y, r);
			side_fini(&x);
			side_fini(&y);
		}
	}
}

#define SLOT 512u

void check_burst(const struct esp_backend *b, struct rng *r)
{
	static uint8_t room[ESP_BURST_MAX][SLOT + 16], plain[ESP_BURST_MAX][SLOT];
	struct esp_key *keys[N_SUITE_ROWS];
	void *ctx = b->ctx_new();
	size_t n_sides = 0;
	struct esp_job jobs[ESP_BURST_MAX];
	struct esp_suite suites[N_SUITE_ROWS];
	bool bad[ESP_BURST_MAX];
	uint8_t which[ESP_BURST_MAX], *mem[ESP_BURST_MAX];
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

		mem[i] = room[i] + rng_below(r, 16);
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

void check_bad_sizes(const struct esp_backend *b)
{
	static const uint32_t sizes[] = {0, 1, 15, 17, 31, 100};
	const struct esp_suite s = suite_of(&suite_rows[3]);

	for (size_t k = 0;
	     backend_serves(b, &suite_rows[3]) && k < 2 * sizeof(sizes) / sizeof(sizes[0]); k++) {
		const bool open = k & 1;
		uint8_t mem[3][256] = {0};
		struct esp_job jobs[3];
		struct side x;

		side_init(&x, b, &s, false);
		for (int n = 0; n < 3; n++)
			jobs[n] = (struct esp_job){.key = x.key, .esp = mem[n], .payload_size = 64};
		b->seal(x.ctx, jobs, 3);
		jobs[1].payload_size = sizes[k / 2];
		if (open)
			b->open(x.ctx, jobs, 3);
		else
			b->seal(x.ctx, jobs, 3);
		assert_true(jobs[0].ok && jobs[2].ok);
		assert_false(jobs[1].ok);
		side_fini(&x);
	}
}

void check_unsupported(const struct esp_backend *b)
{
	const struct esp_suite s = {.encr = 99, .encr_key_bits = 256};
	void *ctx = b->ctx_new();

	assert_non_null(ctx);
	assert_false(b->supports(&s));
	assert_null(b->key_new(ctx, &s, false, test_encr_key, NULL));
	b->key_free(NULL);
	b->ctx_free(ctx);
	b->ctx_free(NULL);
}
