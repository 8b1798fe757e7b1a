/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Each burst AES-GCM against OpenSSL and ipsec-mb: every length, every alignment, bursts of many keys
 * and sizes with bad packets among them, all in memory that ends at a page that cannot be touched.
 */
#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>
#include "util.h"

#define HEAD       16u /* ESP header and IV */
#define ARENA      (20u << 12)
#define N_KEYS     12u
#define N_MANY     900u
#define SIZE_LIMIT 65536u

static const struct esp_backend *ours; /* the one that is tested */
static const struct esp_backend *const others[] = {&esp_backend_openssl, &esp_backend_ipsec_mb};
#define N_OTHERS 2u

static const struct suite_row rows[] = {
	{ESP_ENCR_AES_GCM_16, 128, 0}, {ESP_ENCR_AES_GCM_16, 192, 0}, {ESP_ENCR_AES_GCM_16, 256, 0},
	{ESP_ENCR_AES_GCM_12, 256, 0}, {ESP_ENCR_AES_GCM_8, 128, 0},  {ESP_ENCR_AES_GCM_12, 192, 0},
};
#define N_ROWS (sizeof(rows) / sizeof(rows[0]))

struct keys {
	struct esp_suite suite;
	struct esp_key *ours, *others[N_OTHERS];
};

static void *ctx, *other_ctx[N_OTHERS];
static void *open_ctx; /* knows nothing of the keys that were used to seal */
static uint8_t *arena; /* between two guard pages */

static int setup(void **state)
{
	uint8_t *m;

	ctx = ours->ctx_new();
	open_ctx = ours->ctx_new();
	for (size_t i = 0; i < N_OTHERS; i++) {
		other_ctx[i] = others[i]->ctx_new();
		assert_non_null(other_ctx[i]);
	}
	m = mmap(NULL, ARENA + 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_true(m != MAP_FAILED);
	assert_int_equal(mprotect(m, 4096, PROT_NONE), 0);
	assert_int_equal(mprotect(m + 4096 + ARENA, 4096, PROT_NONE), 0);
	arena = m + 4096;
	return 0;
}

static int teardown(void **state)
{
	ours->ctx_free(ctx);
	ours->ctx_free(open_ctx);
	for (size_t i = 0; i < N_OTHERS; i++)
		others[i]->ctx_free(other_ctx[i]);
	munmap(arena - 4096, ARENA + 8192);
	return 0;
}

static void keys_init(struct keys *k, const struct suite_row *row, bool esn, struct rng *r)
{
	uint8_t key[ESP_ENCR_KEY_MAX];

	k->suite = suite_of(row);
	rng_fill(r, key, sizeof(key));
	k->ours = ours->key_new(ctx, &k->suite, esn, key, NULL);
	assert_non_null(k->ours);
	for (size_t i = 0; i < N_OTHERS; i++) {
		k->others[i] = others[i]->key_new(other_ctx[i], &k->suite, esn, key, NULL);
		assert_non_null(k->others[i]);
	}
}

static void keys_fini(struct keys *k)
{
	ours->key_free(k->ours);
	for (size_t i = 0; i < N_OTHERS; i++)
		others[i]->key_free(k->others[i]);
}

/* Sealed alone as the others seal it; opened; and refused with one bit changed. */
static void check_at(const struct keys *k, uint8_t *at, uint32_t payload, struct rng *r)
{
	static uint8_t plain[HEAD + SIZE_LIMIT], want[HEAD + SIZE_LIMIT + 16];
	const uint32_t text = HEAD + payload, size = text + k->suite.icv_size;
	struct esp_job j = {.payload_size = payload, .seq_hi = (uint32_t)rng_next(r)};

	rng_fill(r, plain, text);
	for (size_t i = 0; i < N_OTHERS; i++) {
		uint8_t got[16];

		memcpy(got, want + text, k->suite.icv_size);
		memcpy(want, plain, text);
		j.key = k->others[i];
		j.esp = want;
		others[i]->seal(other_ctx[i], &j, 1);
		assert_true(j.ok);
		if (i)
			assert_memory_equal(got, want + text, k->suite.icv_size);
	}
	memcpy(at, plain, text);
	memset(at + text, 0, k->suite.icv_size);
	j.key = k->ours;
	j.esp = at;
	j.ok = false;
	ours->seal(ctx, &j, 1);
	assert_true(j.ok);
	assert_memory_equal(at, want, size);
	j.ok = false;
	ours->open(ctx, &j, 1);
	assert_true(j.ok);
	assert_memory_equal(at, plain, text);
	assert_memory_equal(at + text, want + text, k->suite.icv_size);
	memcpy(at, want, text);
	at[rng_below(r, size)] ^= (uint8_t)(1u << rng_below(r, 8));
	ours->open(ctx, &j, 1);
	assert_false(j.ok);
}

/* Every length up to 2048 and some beyond: at the end of memory, then at its start. */
static void test_lengths(void **state)
{
	struct rng r = {.s = 11};

	for (size_t i = 0; i < N_ROWS; i++) {
		struct keys k;

		keys_init(&k, &rows[i], i & 1, &r);
		for (uint32_t n = 1; n <= 9000; n += n < 2048 ? 1 : 1 + rng_below(&r, 300)) {
			const uint32_t size = HEAD + n + k.suite.icv_size;

			/* more than half of the time is the others' */
			if (n > 512 && (n + i) % 3 != 0)
				continue;
			check_at(&k, arena + ARENA - size, n, &r);
			check_at(&k, arena, n, &r);
		}
		keys_fini(&k);
	}
}

static void test_alignments(void **state)
{
	struct rng r = {.s = 12};
	struct keys k;

	keys_init(&k, &rows[2], false, &r);
	for (uint32_t a = 0; a < 64; a++)
		for (uint32_t n = 4; n <= 1600; n += 4 + rng_below(&r, 60))
			check_at(&k, arena + 4096 + a, n, &r);
	keys_fini(&k);
}

/* The largest, and what is refused without being touched. */
static void test_limits(void **state)
{
	static const uint32_t sizes[] = {0, SIZE_LIMIT + 1, SIZE_LIMIT + 4, UINT32_MAX - 3,
					 1u << 31};
	struct rng r = {.s = 13};
	struct keys k;

	keys_init(&k, &rows[2], true, &r);
	check_at(&k, arena, SIZE_LIMIT, &r);
	check_at(&k, arena, SIZE_LIMIT - 1, &r);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		struct esp_job j[3];

		for (int open = 0; open < 2; open++) {
			for (size_t n = 0; n < 3; n++)
				j[n] = (struct esp_job){
					.key = k.ours, .esp = arena + 512 * n, .payload_size = 100};
			if (open)
				ours->seal(ctx, j, 3);
			j[1].esp = arena + ARENA;
			j[1].payload_size = sizes[i];
			j[1].ok = true;
			if (open)
				ours->open(ctx, j, 3);
			else
				ours->seal(ctx, j, 3);
			assert_true(j[0].ok && j[2].ok);
			assert_false(j[1].ok);
		}
	}
	ours->seal(ctx, NULL, 0);
	ours->open(ctx, NULL, 0);
	keys_fini(&k);
}

static uint32_t random_payload(struct rng *r)
{
	switch (rng_below(r, 8)) {
	case 0: return 4 * (1 + rng_below(r, 2300));
	case 1: return 1400 + 4 * rng_below(r, 30);
	case 2: return 512 - 16 - 20 + 4 * rng_below(r, 12);
	case 3: return 1 + rng_below(r, 200);
	default: return 4 * (1 + rng_below(r, 40));
	}
}

/*
 * Mixed keys and sizes (or all of one), packed one behind the other, often up to the end of memory; some
 * spoilt. Each fares as it would alone.
 */
static void burst_of(const struct keys *keys, size_t n_keys, uint32_t payload, size_t n,
		     size_t train, struct rng *r)
{
	static uint8_t plain[ARENA];
	struct esp_job j[ESP_BURST_MAX];
	const struct keys *of[ESP_BURST_MAX];
	bool bad[ESP_BURST_MAX];
	size_t used = 0, end = 0;

	rng_fill(r, plain, ARENA);
	memcpy(arena, plain, ARENA);
	for (size_t i = 0; i < n; i++) {
		uint32_t size;

		of[i] = i % train ? of[i - 1] : &keys[rng_below(r, (uint32_t)n_keys)];
		j[i] = (struct esp_job){
			.key = of[i]->ours,
			.payload_size = payload ? payload : random_payload(r),
			.seq_hi = (uint32_t)rng_next(r),
		};
		used += rng_below(r, 3) ? rng_below(r, 70) : 0;
		size = HEAD + j[i].payload_size + of[i]->suite.icv_size;
		j[i].esp = arena + used;
		if (used + size > ARENA)
			n = i;
		else
			end = used += size;
	}
	if (rng_below(r, 2))
		for (size_t i = 0; i < n; i++)
			j[i].esp += ARENA - end;
	ours->seal(ctx, j, n);
	for (size_t i = 0; i < n; i++) {
		const size_t at = (size_t)(j[i].esp - arena);
		const struct esp_key *key = j[i].key;
		const size_t which = rng_below(r, 8) == 0;
		uint8_t *esp = j[i].esp;

		assert_true(j[i].ok);
		bad[i] = rng_below(r, 4) == 0;
		/* the same by another backend, in the copy */
		j[i].key = of[i]->others[which];
		j[i].esp = plain + at;
		others[which]->seal(other_ctx[which], &j[i], 1);
		j[i].key = key;
		j[i].esp = esp;
	}
	assert_memory_equal(arena, plain, ARENA);
	for (size_t i = 0; i < n; i++) {
		const uint32_t size = HEAD + j[i].payload_size + of[i]->suite.icv_size;

		if (bad[i])
			j[i].esp[rng_below(r, size)] ^= (uint8_t)(1u << rng_below(r, 8));
	}
	ours->open(open_ctx, j, n);
	for (size_t i = 0; i < n; i++) {
		const size_t at = (size_t)(j[i].esp - arena);
		struct esp_job o = j[i];

		assert_int_equal(j[i].ok, !bad[i]);
		o.key = of[i]->others[0];
		o.esp = plain + at;
		others[0]->open(other_ctx[0], &o, 1);
		assert_true(o.ok);
		if (bad[i])
			memcpy(j[i].esp, o.esp, HEAD + o.payload_size + of[i]->suite.icv_size);
	}
	/* nothing was written between the packets either */
	assert_memory_equal(arena, plain, ARENA);
}

static void burst(const struct keys *keys, size_t n_keys, uint32_t payload, struct rng *r)
{
	burst_of(keys, n_keys, payload, 1 + rng_below(r, payload ? 13 : ESP_BURST_MAX), 1, r);
}

static void test_bursts(void **state)
{
	struct rng r = {.s = 14};
	struct keys keys[N_KEYS];

	for (size_t i = 0; i < N_KEYS; i++)
		keys_init(&keys[i], &rows[i % N_ROWS], i / N_ROWS, &r);
	for (int round = 0; round < 300; round++) {
		const size_t n_keys = 1 + rng_below(&r, N_KEYS);

		burst(keys, n_keys, 0, &r);
		/* runs of one suite: nothing to sort out */
		burst(&keys[rng_below(&r, N_KEYS)], 1, 0, &r);
	}
	for (size_t i = 0; i < N_KEYS; i++)
		keys_fini(&keys[i]);
}

/* Bursts of packets of one size, of one key or of two: every size of small ones, many of the others. */
static void test_alike(void **state)
{
	struct rng r = {.s = 15};
	struct keys keys[N_KEYS];

	for (size_t i = 0; i < N_KEYS; i++)
		keys_init(&keys[i], &rows[i % N_ROWS], i / N_ROWS, &r);
	for (uint32_t n = 1; n <= 5000; n += n < 300 ? 1 : 1 + rng_below(&r, 9)) {
		burst(&keys[n % N_KEYS], 1, n, &r);
		burst(&keys[n % (N_KEYS - 1)], 2, n, &r);
	}
	for (size_t i = 0; i < N_KEYS; i++)
		keys_fini(&keys[i]);
}

/*
 * More keys than are remembered as used lately: they are expanded for their packets, each of which has a lane
 * of its own. Every size of small packets, many of the others, and bursts of mixed ones.
 */
static void test_many_keys(void **state)
{
	static struct keys keys[N_MANY];
	struct rng r = {.s = 16};

	for (size_t i = 0; i < N_MANY; i++)
		keys_init(&keys[i], &rows[i % N_ROWS], i / N_ROWS % 2, &r);
	for (uint32_t n = 1; n <= 5000; n += n < 300 ? 1 : 1 + rng_below(&r, 90))
		burst(keys, N_MANY, n, &r);
	burst(keys, N_MANY, 36000, &r);
	for (int round = 0; round < 150; round++) {
		burst(keys, N_MANY, 0, &r);
		/* trains of packets of some keys */
		burst(&keys[rng_below(&r, N_MANY - 3)], 3, 0, &r);
	}
	for (size_t i = 0; i < N_MANY; i++)
		keys_fini(&keys[i]);
}

/*
 * Packets that follow each other with one key, of sizes in common or not: their keys are expanded for the burst,
 * those of one length at a time, or are at hand, as the second time.
 */
static void test_trains(void **state)
{
	static struct keys keys[N_MANY];
	struct rng r = {.s = 18};

	for (size_t i = 0; i < N_MANY; i++)
		keys_init(&keys[i], &rows[i % N_ROWS], i / N_ROWS % 2, &r);
	for (uint32_t n = 1; n <= 2048; n += n < 150 ? 1 : 1 + rng_below(&r, 60))
		burst_of(keys, N_MANY, n, 24 + rng_below(&r, 16), 4 + rng_below(&r, 7), &r);
	for (int round = 0; round < 60; round++) {
		const size_t first = rng_below(&r, N_MANY - 6), train = 2 + rng_below(&r, 15);

		burst_of(keys, N_MANY, 0, 1 + rng_below(&r, ESP_BURST_MAX), train, &r);
		burst_of(&keys[first], 6, 0, ESP_BURST_MAX, train, &r);
		burst_of(&keys[first], 6, 52, ESP_BURST_MAX, train, &r);
	}
	for (size_t i = 0; i < N_MANY; i++)
		keys_fini(&keys[i]);
}

/*
 * What a job has of its own is its own: of four packets of four keys, sizes and kinds each in turn is spoilt,
 * and fails alone; with one packet less, what fills up its lane harms nobody.
 */
static void test_neighbours(void **state)
{
	static const uint32_t sizes[][4] = {
		{1, 48, 16, 47},     {44, 68, 80, 81},      {112, 113, 97, 1},
		{112, 128, 240, 16}, {580, 1424, 100, 596}, {2048 - 16, 4, 2047, 4000},
	};
	struct rng r = {.s = 17};

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		for (uint32_t n = 2; n <= 4; n++) {
			for (uint32_t bad = 0; bad <= n; bad++) {
				struct keys k[4];
				struct esp_job j[4];

				for (uint32_t p = 0; p < n; p++) {
					/* keys of 256 bits with each size of an ICV */
					const struct suite_row row = {
						(uint16_t)(ESP_ENCR_AES_GCM_8 + (p + i) % 3),
						i % 2 ? 256 : 128, 0};

					keys_init(&k[p], &row, (p + n) % 2, &r);
					j[p] = (struct esp_job){.key = k[p].ours,
								.esp = arena + p * 5003,
								.payload_size = sizes[i][p],
								.seq_hi = (uint32_t)rng_next(&r)};
				}
				ours->seal(ctx, j, n);
				for (uint32_t p = 0; p < n; p++) {
					const uint32_t size =
						HEAD + sizes[i][p] + k[p].suite.icv_size;

					assert_true(j[p].ok);
					j[p].ok = p == bad;
					if (p == bad)
						j[p].esp[size - 1 - rng_below(&r, size)] ^= 0x10;
				}
				ours->open(open_ctx, j, n);
				for (uint32_t p = 0; p < n; p++) {
					assert_int_equal(j[p].ok, p != bad);
					keys_fini(&k[p]);
				}
			}
		}
	}
}

#define N_SHARED 24u
#define SHARED   1536u

/* One burst, always the same. */
static void seal_shared(void *own, const struct esp_key *key, uint8_t to[N_SHARED][SHARED])
{
	struct rng r = {.s = 31};
	struct esp_job j[N_SHARED];

	for (unsigned i = 0; i < N_SHARED; i++) {
		rng_fill(&r, to[i], SHARED);
		j[i] = (struct esp_job){
			.key = key, .esp = to[i], .payload_size = 4 + 4 * rng_below(&r, 370)};
	}
	ours->seal(own, j, N_SHARED);
}

struct sealer {
	pthread_t thread;
	const struct esp_key *key;
	const void *want;
	uint8_t got[N_SHARED][SHARED];
	bool same;
};

static void *seal_often(void *arg)
{
	struct sealer *s = arg;
	void *own = ours->ctx_new();

	s->same = own;
	for (unsigned i = 0; i < 100 && s->same; i++) {
		seal_shared(own, s->key, s->got);
		s->same = memcmp(s->got, s->want, sizeof(s->got)) == 0;
	}
	if (own)
		ours->ctx_free(own);
	return NULL;
}

/* Threads, each with its own context, use one key at the same time. */
static void test_shared(void **state)
{
	static uint8_t want[N_SHARED][SHARED];
	static struct sealer sealers[2];
	struct rng r = {.s = 9};
	struct keys k;

	assert_true(ours->keys_shared);
	keys_init(&k, &rows[2], false, &r);
	seal_shared(ctx, k.ours, want);
	for (size_t i = 0; i < 2; i++) {
		sealers[i] = (struct sealer){.key = k.ours, .want = want};
		assert_int_equal(pthread_create(&sealers[i].thread, NULL, seal_often, &sealers[i]),
				 0);
	}
	for (size_t i = 0; i < 2; i++) {
		(void)pthread_join(sealers[i].thread, NULL);
		assert_true(sealers[i].same);
	}
	keys_fini(&k);
}

/* Its argument is the backend's name. */
int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lengths),    cmocka_unit_test(test_alignments),
		cmocka_unit_test(test_limits),     cmocka_unit_test(test_bursts),
		cmocka_unit_test(test_alike),      cmocka_unit_test(test_many_keys),
		cmocka_unit_test(test_neighbours), cmocka_unit_test(test_trains),
		cmocka_unit_test(test_shared),
	};

	if (argc != 2 || !(ours = esp_backend_by_name(argv[1])))
		return 2;
	if (!backend_works(ours))
		return 77; /* skipped: this CPU lacks the instructions */
	return cmocka_run_group_tests(tests, setup, teardown);
}
