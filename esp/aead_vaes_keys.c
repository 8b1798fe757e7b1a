/* SPDX-License-Identifier: Apache-2.0 */
/*
 * aead_vaes_keys: expanded keys of the burst AES-GCM.
 *
 * An expanded key fills two dozen cache lines. Where there are more SAs than fit the CPU's caches each
 * packet would wait for most of them; so they are used only while most keys come back soon.
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

VAES_512 bool vaes_keys_at_hand(struct vaes_ctx *c, const struct esp_job *jobs, size_t n)
{
	size_t n_known = 0;

	for (size_t i = 0; i < n; i++)
		n_known += c->lately[jobs[i].key->id % VAES_LATELY] == jobs[i].key->id;
	for (size_t i = 0; i < n; i++)
		c->lately[jobs[i].key->id % VAES_LATELY] = jobs[i].key->id;
	return n_known * 4 >= n * 3;
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
