/* SPDX-License-Identifier: Apache-2.0 */
/*
 * aead_vaes_keys: expanded keys of the burst AES-GCM.
 *
 * An expanded key fills two dozen cache lines. Where there are more SAs than fit the CPU's caches each
 * packet would wait for most of them; so a key that was not used lately is expanded anew, from the two
 * lines that hold the key itself and the lowest powers of H, into memory that every burst uses again.
 * Four keys go together, and of the powers as many are computed as their packets need.
 */
#include "base/secret.h"

#if defined(__x86_64__)
#include "esp/aead_vaes_simd.h"

#define LANES  VAES_QUAD
#define CHUNKS (VAES_POWERS * VAES_BLOCK / VAES_CHUNK)

/* How many packets after its last use a key is still in the first-level cache, and in the second-level one. */
#define YOUNG 256u
#define OLD   2048u

static_assert(VAES_POWERS % 4 == 0, "powers fill chunks");
static_assert(offsetof(struct esp_key, nonce) % VAES_CHUNK == 0 &&
		      offsetof(struct esp_key, mid) - offsetof(struct esp_key, nonce) == VAES_CHUNK,
	      "what is not computed from others is one line");

/* Products of each lane. */
INLINE __m512i multiply_lanes(__m512i a, __m512i b)
{
	const struct sum s = {
		.lo = _mm512_clmulepi64_epi128(a, b, 0x00),
		.hi = _mm512_clmulepi64_epi128(a, b, 0x11),
		.mid = _mm512_clmulepi64_epi128(_mm512_xor_si512(a, swap_halves(a)),
						_mm512_xor_si512(b, swap_halves(b)), 0x00),
	};

	return reduce(&s);
}

/* Both halves added up, of a's powers and of the next lower b's. */
INLINE __m512i middles(__m512i a, __m512i b)
{
	return _mm512_xor_si512(_mm512_unpacklo_epi64(a, b), _mm512_unpackhi_epi64(a, b));
}

/* The powers from H^4 to H^1 are there; those of `n` chunks, and the middles, are computed from them. */
INLINE void powers(struct esp_key *const to[LANES], const struct esp_key *const from[LANES],
		   unsigned n)
{
	__m512i v[LANES], h4[LANES];

#pragma GCC unroll 4
	for (unsigned p = 0; p < LANES; p++) {
		v[p] = load(from[p]->h[VAES_POWERS - 4]);
		h4[p] = _mm512_broadcast_i32x4(_mm512_castsi512_si128(v[p]));
		_mm512_store_si512(to[p]->h[VAES_POWERS - 4], v[p]);
		_mm512_store_si512(to[p]->mid[VAES_POWERS - 4],
				   middles(v[p], _mm512_setzero_si512()));
	}
	for (unsigned i = 2; i <= n; i++) {
#pragma GCC unroll 4
		for (unsigned p = 0; p < LANES; p++) {
			const __m512i next = multiply_lanes(v[p], h4[p]);

			_mm512_store_si512(to[p]->h[VAES_POWERS - 4 * i], next);
			_mm512_store_si512(to[p]->mid[VAES_POWERS - 4 * i], middles(next, v[p]));
			v[p] = next;
		}
	}
}

/* From four round keys with a key in each lane to four keys' round keys. */
INLINE void store_round_keys(struct esp_key *const to[LANES], unsigned r, const __m512i k[4])
{
	const __m512i ab = _mm512_shuffle_i32x4(k[0], k[1], 0x44);
	const __m512i cd = _mm512_shuffle_i32x4(k[2], k[3], 0x44);
	const __m512i ef = _mm512_shuffle_i32x4(k[0], k[1], 0xee);
	const __m512i gh = _mm512_shuffle_i32x4(k[2], k[3], 0xee);

	_mm512_store_si512(to[0]->rk[r], _mm512_shuffle_i32x4(ab, cd, 0x88));
	_mm512_store_si512(to[1]->rk[r], _mm512_shuffle_i32x4(ab, cd, 0xdd));
	_mm512_store_si512(to[2]->rk[r], _mm512_shuffle_i32x4(ef, gh, 0x88));
	_mm512_store_si512(to[3]->rk[r], _mm512_shuffle_i32x4(ef, gh, 0xdd));
}

/*
 * FIPS 197 5.2, in every lane: the round key after `a`, `last` being the one that was made last. All
 * columns of the state hold the last word, so that ShiftRows changes nothing.
 */
INLINE __m512i next_round_key(__m512i a, __m512i last, bool rotate, uint32_t rcon)
{
	const __m512i word = _mm512_set1_epi32(rotate ? 0x0c0f0e0d : 0x0f0e0d0c);
	const __m512i t = _mm512_aesenclast_epi128(_mm512_shuffle_epi8(last, word),
						   _mm512_set1_epi32((int)rcon));

	a = _mm512_xor_si512(a, _mm512_bslli_epi128(a, 4));
	return xor3(a, _mm512_bslli_epi128(a, 8), t);
}

static const uint8_t rcons[] = {0x01, 0x02, 0x04, 0x08, 0x10, 0x20, 0x40, 0x80, 0x1b, 0x36};

INLINE void round_keys_128(struct esp_key *const to[LANES], __m512i a)
{
	__m512i k[4] = {a};

#pragma GCC unroll 11
	for (unsigned i = 1; i < 11; i++) {
		a = k[i % 4] = next_round_key(a, a, true, rcons[i - 1]);
		if (i % 4 == 3 || i == 10)
			store_round_keys(to, i & ~3u, k);
	}
}

INLINE void round_keys_256(struct esp_key *const to[LANES], __m512i a, __m512i b)
{
	__m512i k[4] = {a, b};

#pragma GCC unroll 8
	for (unsigned i = 1; i < 8; i++) {
		a = k[2 * i % 4] = next_round_key(a, b, true, rcons[i - 1]);
		if (i < 7)
			b = k[2 * i % 4 + 1] = next_round_key(b, a, false, 0);
		if (i % 2 == 1)
			store_round_keys(to, (2 * i) & ~3u, k);
	}
}

INLINE __m512i from_lanes(const struct esp_key *const from[LANES], unsigned at)
{
	__m512i v = _mm512_setzero_si512();

#pragma GCC unroll 4
	for (unsigned p = 0; p < LANES; p++)
		v = set_lane(v, p, from[p]->raw + at);
	return v;
}

/* Four keys of one length, with the powers of `n` chunks. */
VAES_512 static void unpack(struct esp_key *const to[LANES],
			    const struct esp_key *const from[LANES], unsigned n)
{
#pragma GCC unroll 4
	for (unsigned p = 0; p < LANES; p++)
		_mm512_store_si512(to[p]->nonce, load(from[p]->nonce));
	if (from[0]->n_rounds == 14)
		round_keys_256(to, from_lanes(from, 0), from_lanes(from, VAES_BLOCK));
	else
		round_keys_128(to, from_lanes(from, 0));
	powers(to, from, n);
}

/* Chunks of powers for a packet: its blocks from the header on, and that of the lengths. */
static inline unsigned chunks_of(const struct esp_job *j)
{
	const uint32_t n = (j->payload_size / VAES_BLOCK + 3 + 3) / 4;

	return n < CHUNKS ? n : CHUNKS;
}

/* How many packets ago the thread used the key. Keys are the caller's to use, `used` is ours. */
static inline uint32_t age_of(const struct vaes_ctx *c, const struct esp_key *k)
{
	uint32_t *used = (uint32_t *)(uintptr_t)&k->used;
	const uint32_t age = c->n_jobs - __atomic_load_n(used, __ATOMIC_RELAXED);

	__atomic_store_n(used, c->n_jobs, __ATOMIC_RELAXED);
	return age;
}

/*
 * Which runs of jobs have cold keys, all of the first one's length; their number. As long as most keys
 * come back soon enough to be in a cache, 0.
 */
static size_t find_cold(struct vaes_ctx *c, const struct esp_job *jobs, size_t n,
			struct vaes_cold *cold)
{
	size_t n_cold = 0, n_old = 0, n_runs = 0, end;

	for (size_t i = 0; i < n; i = end) {
		const struct esp_key *k = jobs[i].key;
		const uint32_t age = age_of(c, k);
		unsigned chunks = chunks_of(&jobs[i]);

		for (end = i + 1; end < n && jobs[end].key == k; end++)
			chunks = chunks_of(&jobs[end]) > chunks ? chunks_of(&jobs[end]) : chunks;
		n_runs++;
		n_old += age > OLD;
		/* keys of 192 bits are too rare to have code of their own */
		if (age <= YOUNG || k->n_rounds == 12 ||
		    (n_cold && k->n_rounds != cold[0].key->n_rounds))
			continue;
		cold[n_cold++] = (struct vaes_cold){
			.key = k,
			.first = (uint8_t)i,
			.n = (uint8_t)(end - i),
			.chunks = (uint8_t)chunks,
		};
	}
	c->n_jobs += (uint32_t)n;
	return n_old * 4 >= n_runs ? n_cold : 0;
}

VAES_512 size_t vaes_512_keys_borrow(struct vaes_ctx *c, struct esp_job *jobs, size_t n,
				     struct vaes_cold cold[VAES_SLICE_KEYS])
{
	const size_t n_cold = find_cold(c, jobs, n, cold);

	for (size_t i = 0; i < n_cold; i += LANES) {
		const struct esp_key *from[LANES];
		struct esp_key *to[LANES];
		unsigned chunks = 0;

		for (size_t p = 0; p < LANES; p++) {
			/* what is left over goes with the last one, done once more */
			const size_t at = i + p < n_cold ? i + p : n_cold - 1;

			from[p] = cold[at].key;
			to[p] = &c->unpacked[at];
			chunks = cold[at].chunks > chunks ? cold[at].chunks : chunks;
		}
		unpack(to, from, chunks);
	}
	for (size_t i = 0; i < n_cold; i++)
		for (size_t k = cold[i].first; k < (size_t)cold[i].first + cold[i].n; k++)
			jobs[k].key = &c->unpacked[i];
	return n_cold;
}

void vaes_512_keys_return(struct esp_job *jobs, const struct vaes_cold *cold, size_t n_cold)
{
	for (size_t i = 0; i < n_cold; i++)
		for (size_t k = cold[i].first; k < (size_t)cold[i].first + cold[i].n; k++)
			jobs[k].key = cold[i].key;
}

/* SubWord by the AES unit, which has no table. */
INLINE uint32_t sub_word(uint32_t w)
{
	return (uint32_t)_mm_cvtsi128_si32(
		_mm_aeskeygenassist_si128(_mm_shuffle_epi32(_mm_cvtsi32_si128((int)w), 0x00), 0));
}

/* FIPS 197 5.2, for any length of key. */
VAES_512 static void expand(uint32_t *w, const uint8_t *key, unsigned n_key, unsigned n_words)
{
	uint32_t rcon = 1;

	memcpy(w, key, 4 * n_key);
	for (unsigned i = n_key; i < n_words; i++) {
		uint32_t t = w[i - 1];

		if (i % n_key == 0) {
			/* RotWord in the order of bytes of this CPU */
			t = sub_word(t);
			t = (t >> 8 | t << 24) ^ rcon;
			rcon = rcon << 1 ^ (rcon >> 7) * 0x11bu;
		} else if (n_key == 8 && i % 8 == 4) {
			t = sub_word(t);
		}
		w[i] = w[i - n_key] ^ t;
	}
}

VAES_512 void vaes_512_ctx_init(struct vaes_ctx *c)
{
	/* 1 as powers are kept: times X */
	const __m128i one = _mm_set_epi64x((long long)POLY_HIGH, 1);

	_mm_storeu_si128((void *)c->one_key.h[0], one);
	_mm_storel_epi64((void *)c->one_key.mid[0], _mm_xor_si128(one, _mm_srli_si128(one, 8)));
}

INLINE __m128i multiply_one(__m128i a, __m128i b)
{
	return _mm512_castsi512_si128(
		multiply_lanes(_mm512_zextsi128_si512(a), _mm512_zextsi128_si512(b)));
}

/* H (NIST SP 800-38D 7.1, 1.) as powers are kept. */
INLINE __m128i hash_key(const struct esp_key *k)
{
	const __m128i swap = _mm_set_epi8(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
	__m128i h = _mm_load_si128((const void *)k->rk[0]), carry;

	for (unsigned i = 1; i < k->n_rounds; i++)
		h = _mm_aesenc_si128(h, _mm_load_si128((const void *)k->rk[i]));
	h = _mm_aesenclast_si128(h, _mm_load_si128((const void *)k->rk[k->n_rounds]));
	h = _mm_shuffle_epi8(h, swap);
	/* Times X, which the reflected products lack: a shift, and the polynomial if a bit falls out. */
	carry = _mm_srai_epi32(_mm_shuffle_epi32(h, 0xff), 31);
	h = _mm_or_si128(_mm_slli_epi64(h, 1), _mm_srli_epi64(_mm_slli_si128(h, 8), 63));
	return _mm_xor_si128(h, _mm_and_si128(carry, _mm_set_epi64x((long long)POLY_HIGH, 1)));
}

VAES_512 void vaes_512_key_init(struct esp_key *k, const uint8_t *key, unsigned bits)
{
	struct esp_key *const to[LANES] = {k, k, k, k};
	const struct esp_key *const from[LANES] = {k, k, k, k};
	__m128i h, power;

	memcpy(k->raw, key, bits / 8);
	k->n_rounds = (uint8_t)(bits / 32 + 6);
	expand((uint32_t *)(void *)k->rk, key, bits / 32, 4u * (k->n_rounds + 1u));
	for (unsigned i = 0; i < VAES_BLOCK; i++)
		k->nonce[i] = (uint8_t)(k->rk[0][i] ^ (i < AEAD_SALT_SIZE ? k->salt[i] : 0));
	h = power = hash_key(k);
	for (unsigned n = 1; n <= 4; n++) {
		_mm_storeu_si128((void *)k->h[VAES_POWERS - n], power);
		power = multiply_one(power, h);
	}
	powers(to, from, CHUNKS);
}
#endif
