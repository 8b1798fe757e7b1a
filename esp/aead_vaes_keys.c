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
	static uint32_t n_keys;
	__m128i h, power;

	k->id = __atomic_add_fetch(&n_keys, 1, __ATOMIC_RELAXED);
	memcpy(k->raw, key, bits / 8);
	k->n_rounds = (uint8_t)(bits / 32 + 6);
	expand((uint32_t *)(void *)k->rk, key, bits / 32, 4u * (k->n_rounds + 1u));
	for (unsigned i = 0; i < VAES_BLOCK; i++)
		k->nonce[i] = (uint8_t)(k->rk[0][i] ^ (i < AEAD_SALT_SIZE ? k->salt[i] : 0));
	h = power = hash_key(k);
	_mm_store_si128((void *)k->h1, h);
	for (unsigned n = 1; n <= 4; n++) {
		_mm_storeu_si128((void *)k->h[VAES_POWERS - n], power);
		power = multiply_one(power, h);
	}
	powers(k);
}
#endif
