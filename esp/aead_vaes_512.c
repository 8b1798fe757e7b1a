/* SPDX-License-Identifier: Apache-2.0 */
/*
 * aead_vaes_512: the burst AES-GCM for CPUs with AVX-512, VAES and VPCLMULQDQ: which jobs of a burst go together.
 *
 * Packets of one key and size go four at a time by the fastest kernels (aead_vaes_quad.c), packets of several sizes or
 * keys by others of that file, those whose keys no cache has in lanes (aead_vaes_lanes.c), and what is left
 * by groups of chunks (aead_vaes_groups.c).
 */
#include "base/secret.h"

#if defined(__x86_64__)
#include "esp/aead_vaes_simd.h"

/* What decides how jobs are put together, of VAES_SLICE at once. */
struct shapes {
	__m512i size[VAES_SLICE / 16]; /* of their payload */
	__m512i shape;                 /* a byte for each; 0: not here */
	uint32_t there;                /* a bit for each shape but 0 */
};

/* Which jobs have keys of this length. */
INLINE uint64_t with_rounds(const struct esp_job *jobs, size_t n, unsigned n_rounds)
{
	uint64_t v = 0;

	for (size_t i = 0; i < n; i++)
		v |= (uint64_t)(jobs[i].key->n_rounds == n_rounds) << i;
	return v;
}

INLINE void shapes_of(struct shapes *v, const uint32_t *sizes, uint64_t which)
{
	__m512i there = _mm512_setzero_si512();
	__m128i bytes[VAES_SLICE / 16];

#pragma GCC unroll 4
	for (unsigned k = 0; k < VAES_SLICE / 16; k++) {
		const __m512i size =
			_mm512_maskz_loadu_epi32((__mmask16)(which >> 16 * k), &sizes[16 * k]);
		/* vaes_size_ok(), vaes_pairs() */
		const __mmask16 ok =
			_mm512_cmplt_epu32_mask(_mm512_sub_epi32(size, _mm512_set1_epi32(1)),
						_mm512_set1_epi32(VAES_PAYLOAD_MAX));
		const __m512i pairs = _mm512_srli_epi32(
			_mm512_add_epi32(size, _mm512_set1_epi32(VAES_BLOCK + 2 * VAES_CHUNK - 1)),
			7);
		const __m512i shape =
			_mm512_maskz_min_epu32(ok, pairs, _mm512_set1_epi32(VAES_SHAPES));

		v->size[k] = size;
		bytes[k] = _mm512_cvtepi32_epi8(shape);
		there = _mm512_or_si512(there, _mm512_sllv_epi32(_mm512_set1_epi32(1), shape));
	}
	v->shape = _mm512_inserti64x4(_mm512_castsi256_si512(_mm256_setr_m128i(bytes[0], bytes[1])),
				      _mm256_setr_m128i(bytes[2], bytes[3]), 1);
	v->there = (uint32_t)_mm512_reduce_or_epi32(there) & ~1u;
}

static_assert(2 * VAES_CHUNK == 1 << 7, "as shapes_of() says");

/* Which jobs have this size. */
INLINE uint64_t of_size(const struct shapes *v, uint32_t size)
{
	uint64_t m = 0;

#pragma GCC unroll 4
	for (unsigned k = 0; k < VAES_SLICE / 16; k++)
		m |= (uint64_t)_mm512_cmpeq_epi32_mask(v->size[k], _mm512_set1_epi32((int)size))
		     << 16 * k;
	return m;
}

/* Steps that a packet takes by groups, in quarters: ends of two chunks share one. */
INLINE uint32_t quarters_of(const struct esp_job *j)
{
	const uint32_t last = vaes_pairs(j) - 1;

	return last / VAES_PARTS * VAES_PARTS + (last % VAES_PARTS ? VAES_PARTS : 1);
}

static_assert(VAES_GROUP == 2 * VAES_PARTS, "a group has a pair for each part");

/*
 * Whether four packets take longer side by side, as long as the longest, than by groups: there a step takes 5/4 of
 * the time, and to begin and end that of one more.
 */
INLINE bool is_ragged(struct esp_job *const four[VAES_QUAD])
{
	uint32_t sum = 0;

	for (unsigned i = 0; i < VAES_QUAD; i++)
		sum += quarters_of(four[i]);
	return (sum + VAES_PARTS) * 5 < vaes_pairs(four[VAES_QUAD - 1]) * 4 * VAES_PARTS;
}

/* Jobs of one length of key, the shortest first: in fours if that is faster, else by groups of chunks. */
INLINE void run_order(struct vaes_ctx *c, struct esp_job *const *order, size_t n, unsigned n_rounds,
		      bool seal)
{
	struct esp_job *rest[VAES_SLICE];
	size_t n_rest = 0;
	uint32_t fours = 0; /* a bit for each: moved they would be waited for */

	for (size_t i = 0; i < n; i += VAES_QUAD) {
		const size_t end = i + VAES_QUAD;

		if (end <= n && !is_ragged(&order[i]))
			fours |= 1u << i / VAES_QUAD;
		else
			for (size_t k = i; k < n && k < end; k++)
				rest[n_rest++] = order[k];
	}
	if (fours)
		vaes_512_quads(c, order, fours, n_rounds, !seal);
	if (n_rest)
		vaes_512_groups(c, rest, n_rest, seal);
}

#define SIZES_TRIED 4u

/* Of a run's jobs, those that go in fours of one size; its first sizes are looked for. Says which. */
INLINE uint64_t take_fours(struct vaes_ctx *c, struct vaes_fours *f, struct esp_job *jobs,
			   const struct shapes *v, uint64_t run)
{
	uint64_t taken = 0;

	for (unsigned i = 0; i < SIZES_TRIED && __builtin_popcountll(run) >= (int)VAES_QUAD; i++) {
		const uint64_t size = run & of_size(v, jobs[_tzcnt_u64(run)].payload_size);

		run &= ~size;
		if (__builtin_popcountll(size) >= (int)VAES_QUAD)
			taken |= size ^ vaes_512_fours_add(c, f, jobs, size);
	}
	return taken;
}

/*
 * Jobs of one length of key: first those that follow each other with one key and also have their size in common.
 * The others: the shortest first, in fours; the longest go as well alone. Each shape's
 * jobs are found by one comparison: to count them would be to wait for each count's last store.
 * Those of keys that are not at hand go in lanes; with 192 bits they are too rare to have code of their own.
 */
VAES_512 static __attribute__((noinline)) void run_mixed(struct vaes_ctx *c, struct esp_job *jobs,
							 const uint32_t *sizes, size_t n,
							 const struct vaes_runs *runs,
							 unsigned n_rounds, bool lanes, bool seal)
{
	const uint64_t all = _bzhi_u64(UINT64_MAX, (unsigned)n);
	const bool one_key = runs->n == 1;
	struct esp_job *places[VAES_QUAD - 1 + VAES_SLICE], **order = places + VAES_QUAD - 1;
	struct vaes_fours fours = {0, 0};
	size_t n_all = 0;
	uint64_t these;
	struct shapes v;

	shapes_of(&v, sizes, one_key ? all : with_rounds(jobs, n, n_rounds));
	these = _mm512_test_epi8_mask(v.shape, v.shape);
	for (uint64_t m = all & ~these; one_key && m; m = _blsr_u64(m))
		jobs[_tzcnt_u64(m)].ok = false;
	for (unsigned i = 0; i < runs->n; i++) {
		const unsigned first = runs->first[i], end = runs->first[i + 1];

		if (end - first >= VAES_QUAD)
			these ^= take_fours(c, &fours, jobs, &v,
					    these & _bzhi_u64(UINT64_MAX, end) &
						    ~_bzhi_u64(UINT64_MAX, first));
	}
	vaes_512_fours_run(c, &fours, n_rounds, !seal);
	for (; v.there && these; v.there = _blsr_u32(v.there)) {
		const __m512i shape = _mm512_set1_epi8((char)_tzcnt_u32(v.there));
		uint64_t m = these & _mm512_cmpeq_epi8_mask(v.shape, shape);

		for (; m; m = _blsr_u64(m))
			order[n_all++] = &jobs[_tzcnt_u64(m)];
	}
	if (n_all == 0)
		return;
	if (lanes && n_rounds != 12)
		vaes_512_lanes(c, order, n_all, n_rounds, !seal);
	else
		run_order(c, order, n_all, n_rounds, seal);
}

static_assert(sizeof(struct esp_job) == 32 && offsetof(struct esp_job, key) == 0,
	      "the keys of two jobs are the first words of a vector's halves");

/* The keys of eight jobs, of which `n` are there. */
INLINE __m512i keys_of(const struct esp_job *jobs, size_t n)
{
	const __m512i halves = _mm512_setr_epi64(0, 4, 8, 12, 0, 4, 8, 12);
	__m512i v[4];

#pragma GCC unroll 4
	for (unsigned i = 0; i < 4; i++)
		v[i] = _mm512_maskz_loadu_epi64(
			(__mmask8)_bzhi_u32(0xff, n < 2 * i ? 0 : 4 * (unsigned)(n - 2 * i)),
			jobs + 2 * i);
	return _mm512_inserti64x4(
		_mm512_permutex2var_epi64(v[0], halves, v[1]),
		_mm512_castsi512_si256(_mm512_permutex2var_epi64(v[2], halves, v[3])), 1);
}

/* Whether four jobs or more follow each other with one key. */
INLINE bool has_trains(const struct esp_job *jobs, size_t n)
{
	__m512i before = _mm512_setzero_si512();
	uint64_t first = 0; /* where a run begins */

	for (size_t i = 0; i < n; i += 8) {
		const __m512i keys = keys_of(jobs + i, n - i);

		first |= (uint64_t)_mm512_cmpneq_epi64_mask(keys,
							    _mm512_alignr_epi64(keys, before, 7))
			 << i;
		before = keys;
	}
	/* three others that begin none are there */
	return n >= VAES_QUAD &&
	       _bzhi_u64(~(first >> 1 | first >> 2 | first >> 3), (unsigned)(n - (VAES_QUAD - 1)));
}

static_assert(VAES_QUAD == 4, "as has_trains() says");

INLINE void runs_of(struct vaes_runs *r, const struct esp_job *jobs, size_t n)
{
	const struct esp_key *key = jobs[0].key;

	r->first[0] = 0;
	r->n = 1;
	for (size_t i = 1; i < n; i++) {
		r->first[r->n] = (uint8_t)i;
		r->n += jobs[i].key != key;
		key = jobs[i].key;
	}
	r->first[r->n] = (uint8_t)n;
}

/* Jobs of several keys, those of one length together: usually there is but one. */
VAES_512 static __attribute__((noinline)) void run_keys(struct vaes_ctx *c, struct esp_job *jobs,
							const uint32_t *sizes, size_t n, bool seal)
{
	const bool trains = has_trains(jobs, n);
	struct vaes_runs runs;
	unsigned lengths = 0;
	uint32_t size = 0;
	bool lanes;

	runs.n = 0;
	if (trains) {
		runs_of(&runs, jobs, n);
		for (unsigned i = 0; i < runs.n; i++)
			lengths |= 1u << jobs[runs.first[i]].key->n_rounds;
		for (size_t i = 0; i < n; i++) {
			jobs[i].ok = false;
			size = sizes[i] > size ? sizes[i] : size;
		}
		lanes = !vaes_keys_lend(c, jobs, &runs, size);
	} else {
		lanes = !vaes_keys_at_hand(c, jobs, n);
		for (size_t i = 0; i < n; i++) {
			jobs[i].ok = false;
			lengths |= 1u << jobs[i].key->n_rounds;
		}
	}
	for (unsigned n_rounds = 10; n_rounds <= 14; n_rounds += 2)
		if (lengths & 1u << n_rounds)
			run_mixed(c, jobs, sizes, n, &runs, n_rounds, lanes, seal);
	if (trains)
		vaes_keys_return(c, jobs);
}

/* The first of these jobs, as many as go together; says how many. */
VAES_512 static size_t run_slice(struct vaes_ctx *c, struct esp_job *jobs, size_t n, bool seal)
{
	const struct esp_key *key = jobs[0].key;
	const uint32_t size = jobs[0].payload_size;
	uintptr_t keys_differ = 0;
	uint32_t sizes_differ = 0;
	uint32_t sizes[VAES_SLICE] __attribute__((aligned(64)));
	size_t done = 0;

	n = n < VAES_SLICE ? n : VAES_SLICE;
	for (size_t i = 0; i < n; i++) {
		sizes[i] = jobs[i].payload_size;
		sizes_differ |= sizes[i] ^ size;
		keys_differ |= (uintptr_t)jobs[i].key ^ (uintptr_t)key;
	}
	if (keys_differ) {
		run_keys(c, jobs, sizes, n, seal);
		return n;
	}
	if (sizes_differ == 0 && n >= VAES_QUAD && vaes_size_ok(&jobs[0])) {
		done = n / VAES_QUAD * VAES_QUAD;
		vaes_512_quads_same(c, jobs, n / VAES_QUAD, !seal);
	}
	if (done < n) {
		const struct vaes_runs one = {.first = {0, (uint8_t)(n - done)}, .n = 1};

		run_mixed(c, jobs + done, sizes + done, n - done, &one, key->n_rounds, false, seal);
	}
	return n;
}

INLINE void run(struct vaes_ctx *c, struct esp_job *jobs, size_t n, bool seal)
{
	for (size_t i = 0; i < n;)
		i += run_slice(c, jobs + i, n - i, seal);
}

VAES_512 void vaes_512_seal(struct vaes_ctx *c, struct esp_job *jobs, size_t n)
{
	run(c, jobs, n, true);
}

VAES_512 void vaes_512_open(struct vaes_ctx *c, struct esp_job *jobs, size_t n)
{
	run(c, jobs, n, false);
}
#endif
