/* SPDX-License-Identifier: Apache-2.0 */
/*
 * aead_vaes_keys: expanded keys of the burst AES-GCM.
 *
 * An expanded key fills two dozen cache lines. Where there are more SAs than fit the CPU's caches each
 * packet would wait for most of them; so they are used only while most keys come back soon.
 *
 * Where several packets follow each other with a key that is not at hand, it is expanded once for all of them, from the
 * one line that is not computed, into memory of the thread's that the nearest caches have. It is wiped when they are done.
 */
#include "base/secret.h"

#if defined(__x86_64__)
#include "esp/aead_vaes_simd.h"

#define CHUNKS (VAES_POWERS * VAES_BLOCK / VAES_CHUNK)

static_assert(VAES_POWERS % 4 == 0, "powers fill chunks");
static_assert(offsetof(struct esp_key, h) == VAES_CHUNK, "what is not computed is one line");

/* The powers from H^4 to H^1 are there; all others, and the middles, are computed from them. */
INLINE void powers(struct esp_key *k)
{
	__m512i v = load(k->h[VAES_POWERS - 4]);
	const __m512i h4 = _mm512_broadcast_i32x4(_mm512_castsi512_si128(v));

	_mm512_store_si512(k->mid[VAES_POWERS - 4], middles(v, _mm512_setzero_si512()));
	for (unsigned i = 2; i <= CHUNKS; i++) {
		const __m512i next = multiply_lanes(v, h4);

		_mm512_store_si512(k->h[VAES_POWERS - 4 * i], next);
		_mm512_store_si512(k->mid[VAES_POWERS - 4 * i], middles(next, v));
		v = next;
	}
}

/*
 * Four keys of one length, side by side. `n_chunks`: of powers, four each, that the copies get; twice as many are
 * there after each multiplication by the highest.
 */
INLINE void copy_four(struct esp_key *to, const struct vaes_loan *loans, unsigned n_chunks,
		      unsigned n_rounds)
{
	const __m512i zero = _mm512_setzero_si512();
	__m512i line[VAES_QUAD], v[4], rk[2], keys[16], h[4], nonce;

#pragma GCC unroll 4
	for (unsigned p = 0; p < VAES_QUAD; p++) {
		line[p] = load(loans[p].key->raw);
		_mm512_store_si512(to[p].raw, line[p]);
	}
	transpose(v, line);
	rk[0] = v[0];
	rk[1] = v[1];
	/* of the fourth block the first word is the salt */
	nonce = _mm512_mask_xor_epi32(v[0], 0x1111, v[0], v[3]);
	h[3] = v[2];
	h[2] = square_lanes(h[3]);
	h[1] = multiply_lanes(h[3], h[2]);
	h[0] = square_lanes(h[2]);
	transpose(h, h);
	keys[0] = v[0];
#pragma GCC unroll 15
	for (unsigned r = 1; r < 16; r++)
		keys[r] = r <= n_rounds ? round_key(rk, r, n_rounds) : zero;
#pragma GCC unroll 4
	for (unsigned r = 0; r < 16; r += 4) {
		transpose(v, keys + r);
#pragma GCC unroll 4
		for (unsigned p = 0; p < VAES_QUAD; p++)
			_mm512_store_si512(to[p].rk[r], v[p]);
	}
#pragma GCC unroll 4
	for (unsigned p = 0; p < VAES_QUAD; p++) {
		_mm_store_si128((void *)to[p].nonce, lane(nonce, p));
		_mm512_store_si512(to[p].h[VAES_POWERS - 4], h[p]);
		_mm512_store_si512(to[p].mid[VAES_POWERS - 4], middles(h[p], zero));
	}
	for (unsigned i = 2, step = 1; i <= n_chunks; i++) {
		if (i > 2 * step)
			step *= 2;
#pragma GCC unroll 4
		for (unsigned p = 0; p < VAES_QUAD; p++) {
			uint8_t(*const at)[VAES_BLOCK] = to[p].h + VAES_POWERS;
			const __m512i next = multiply_lanes(load(at - 4 * (i - step)),
							    load_block(at - 4 * step));

			_mm512_store_si512(at - 4 * i, next);
			_mm512_store_si512(to[p].mid[VAES_POWERS - 4 * i],
					   middles(next, load(at - 4 * (i - 1))));
		}
	}
}

VAES_512 static __attribute__((noinline)) void
copy_128(struct esp_key *to, const struct vaes_loan *loans, unsigned n_chunks)
{
	copy_four(to, loans, n_chunks, 10);
}

VAES_512 static __attribute__((noinline)) void
copy_256(struct esp_key *to, const struct vaes_loan *loans, unsigned n_chunks)
{
	copy_four(to, loans, n_chunks, 14);
}

/* Chunks of powers that packets of this size meet; the last block of text meets H^2. */
static unsigned chunks_of(uint32_t size)
{
	const uint32_t blocks =
		((size < VAES_PAYLOAD_MAX ? size : VAES_PAYLOAD_MAX) + 2 * VAES_BLOCK - 1) /
		VAES_BLOCK;

	return blocks + 1 >= VAES_POWERS ? CHUNKS : (blocks + 4) / 4;
}

static void set_key(struct esp_job *jobs, const struct vaes_loan *l, const struct esp_key *key)
{
	for (unsigned i = l->first; i < l->end; i++)
		jobs[i].key = key;
}

/* Four at a time: the last ones may be copied twice. */
static void lend(struct vaes_ctx *c, struct esp_job *jobs, unsigned n_rounds)
{
	for (; c->n_loans % VAES_QUAD; c->n_loans++)
		c->loans[c->n_loans] = c->loans[c->n_loans - 1];
	for (unsigned i = 0; i < c->n_loans; i += VAES_QUAD)
		(n_rounds == 10 ? copy_128 : copy_256)(&c->lent[i], &c->loans[i], c->lent_chunks);
	for (unsigned i = 0; i < c->n_loans; i++)
		set_key(jobs, &c->loans[i], &c->lent[i]);
}

VAES_512 bool vaes_keys_at_hand(struct vaes_ctx *c, const struct esp_job *jobs, size_t n)
{
	size_t n_known = 0;

	for (size_t i = 0; i < n; i++)
		n_known += c->lately[jobs[i].key->id % VAES_LATELY] == jobs[i].key->id;
	for (size_t i = 0; i < n; i++)
		c->lately[jobs[i].key->id % VAES_LATELY] = jobs[i].key->id;
	return n_known * 4 >= n * 3;
}

VAES_512 bool vaes_keys_lend(struct vaes_ctx *c, struct esp_job *jobs, const struct vaes_runs *runs,
			     uint32_t size)
{
	unsigned n_rounds = 0, n_known = 0;

	c->n_loans = 0;
	for (unsigned i = 0; i < runs->n; i++) {
		const unsigned first = runs->first[i], n = runs->first[i + 1] - first;
		const struct esp_key *k = jobs[first].key;
		uint32_t *const place = &c->lately[k->id % VAES_LATELY];
		bool known = *place == k->id;

		*place = k->id;
		if (!known && n >= VAES_QUAD && k->n_rounds != 12 &&
		    (n_rounds == 0 || n_rounds == k->n_rounds)) {
			n_rounds = k->n_rounds;
			c->loans[c->n_loans++] = (struct vaes_loan){
				.key = k, .first = (uint8_t)first, .end = (uint8_t)(first + n)};
			known = true;
		}
		n_known += known ? n : 0;
	}
	c->lent_chunks = chunks_of(size);
	lend(c, jobs, n_rounds);
	return n_known * 4 >= runs->first[runs->n] * 3u;
}

/* As bytes_wipe(), of whole vectors. */
INLINE void wipe(uint8_t *at, size_t n_chunks)
{
	for (size_t i = 0; i < n_chunks; i++)
		_mm512_store_si512(at + i * VAES_CHUNK, _mm512_setzero_si512());
	__asm__ volatile("" ::"r"(at) : "memory");
}

VAES_512 void vaes_keys_return(struct vaes_ctx *c, struct esp_job *jobs)
{
	const unsigned from = VAES_POWERS - 4 * c->lent_chunks;

	for (unsigned i = 0; i < c->n_loans; i++) {
		struct esp_key *k = &c->lent[i];

		set_key(jobs, &c->loans[i], c->loans[i].key);
		wipe(k->raw, 1);
		wipe(k->h[from], c->lent_chunks);
		wipe(k->mid[from], c->lent_chunks);
		wipe(k->rk[0], (sizeof(*k) - offsetof(struct esp_key, rk)) / VAES_CHUNK);
	}
}

VAES_512 void vaes_512_ctx_init(struct vaes_ctx *c)
{
	/* 1 as powers are kept: times X */
	const __m128i one = _mm_set_epi64x((long long)VAES_POLY_HIGH, 1);

	_mm_storeu_si128((void *)c->one_key.h[0], one);
	_mm_storel_epi64((void *)c->one_key.mid[0], _mm_xor_si128(one, _mm_srli_si128(one, 8)));
}

INLINE __m128i multiply_one(__m128i a, __m128i b)
{
	return _mm512_castsi512_si128(
		multiply_lanes(_mm512_zextsi128_si512(a), _mm512_zextsi128_si512(b)));
}

VAES_512 void vaes_512_key_init(struct esp_key *k, const uint8_t *key, unsigned bits)
{
	static uint32_t n_keys;
	__m128i h, power;

	k->id = __atomic_add_fetch(&n_keys, 1, __ATOMIC_RELAXED);
	memcpy(k->raw, key, bits / 8);
	k->n_rounds = (uint8_t)vaes_round_keys(k->rk, key, bits);
	for (unsigned i = 0; i < VAES_BLOCK; i++)
		k->nonce[i] = (uint8_t)(k->rk[0][i] ^ (i < AEAD_SALT_SIZE ? k->salt[i] : 0));
	vaes_hash_key(k->h1, (const void *)k->rk, k->n_rounds);
	h = power = _mm_load_si128((const void *)k->h1);
	for (unsigned n = 1; n <= 4; n++) {
		_mm_storeu_si128((void *)k->h[VAES_POWERS - n], power);
		power = multiply_one(power, h);
	}
	powers(k);
}
#endif
