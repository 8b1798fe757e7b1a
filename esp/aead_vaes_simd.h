/* SPDX-License-Identifier: Apache-2.0 */
/* aead_vaes_simd: the arithmetic of AES-GCM on vectors of four blocks, for the kernels of aead_vaes. */
#ifndef ESP_AEAD_VAES_SIMD_H
#define ESP_AEAD_VAES_SIMD_H

#include "esp/aead_vaes.h"
#include <immintrin.h>

/* Sanitizers would make each of thousands of loads a call, and compiling take minutes; the tests put
 * guard pages around the packets instead. */
#define VAES_512                                                                                   \
	__attribute__((no_sanitize("address", "undefined"),                                        \
		       target("avx512f,avx512bw,avx512dq,avx512vl,vaes,vpclmulqdq,aes,pclmul,"     \
			      "bmi,bmi2,popcnt")))
#define INLINE VAES_512 static inline __attribute__((always_inline))

INLINE __m512i load(const void *p)
{
	return _mm512_loadu_si512(p);
}

INLINE __m512i load_block(const void *p)
{
	return _mm512_broadcast_i32x4(_mm_loadu_si128(p));
}

INLINE __m512i xor3(__m512i a, __m512i b, __m512i c)
{
	return _mm512_ternarylogic_epi64(a, b, c, 0x96);
}

INLINE __m512i swap_halves(__m512i a)
{
	return _mm512_shuffle_epi32(a, _MM_PERM_BADC);
}

/* The sum of products of two chunks, unreduced. */
struct sum {
	__m512i lo, mid, hi;
};

/*
 * Karatsuba: (a0 + a1 x)(h0 + h1 x), where x = X^64, needs a0 h0, a1 h1 and (a0 + a1)(h0 + h1), from
 * which reduce() takes the other two. The last are of both chunks side by side.
 */
INLINE void multiply(struct sum *s, __m512i a, __m512i b, __m512i ha, __m512i hb, __m512i mid)
{
	const __m512i m =
		_mm512_xor_si512(_mm512_unpacklo_epi64(a, b), _mm512_unpackhi_epi64(a, b));

	s->lo = xor3(s->lo, _mm512_clmulepi64_epi128(a, ha, 0x00),
		     _mm512_clmulepi64_epi128(b, hb, 0x00));
	s->hi = xor3(s->hi, _mm512_clmulepi64_epi128(a, ha, 0x11),
		     _mm512_clmulepi64_epi128(b, hb, 0x11));
	s->mid = xor3(s->mid, _mm512_clmulepi64_epi128(m, mid, 0x00),
		      _mm512_clmulepi64_epi128(m, mid, 0x11));
}

/*
 * Each lane modulo the polynomial, times X^-128, which the powers of H make up for: twice the low
 * half is made zero by a multiple of the polynomial, whose low half is 1 and high half VAES_POLY_HIGH.
 */
INLINE __m512i reduce(const struct sum *s)
{
	const __m512i poly = _mm512_set1_epi64((long long)VAES_POLY_HIGH);
	const __m512i cross = xor3(s->lo, s->mid, s->hi);
	const __m512i a = xor3(cross, swap_halves(s->lo), _mm512_clmulepi64_epi128(s->lo, poly, 0));

	return xor3(s->hi, swap_halves(a), _mm512_clmulepi64_epi128(a, poly, 0));
}

/* Lane i of vector j goes to lane j of vector i. */
INLINE void transpose(__m512i out[4], const __m512i v[4])
{
	const __m512i ab = _mm512_shuffle_i32x4(v[0], v[1], 0x44);
	const __m512i cd = _mm512_shuffle_i32x4(v[2], v[3], 0x44);
	const __m512i ef = _mm512_shuffle_i32x4(v[0], v[1], 0xee);
	const __m512i gh = _mm512_shuffle_i32x4(v[2], v[3], 0xee);

	out[0] = _mm512_shuffle_i32x4(ab, cd, 0x88);
	out[1] = _mm512_shuffle_i32x4(ab, cd, 0xdd);
	out[2] = _mm512_shuffle_i32x4(ef, gh, 0x88);
	out[3] = _mm512_shuffle_i32x4(ef, gh, 0xdd);
}

/* The sum of each vector's lanes: that of the first in lane 0, and so on. */
INLINE __m512i fold(const __m512i v[4])
{
	const __m512i ab = _mm512_xor_si512(_mm512_shuffle_i32x4(v[0], v[1], 0x44),
					    _mm512_shuffle_i32x4(v[0], v[1], 0xee));
	const __m512i cd = _mm512_xor_si512(_mm512_shuffle_i32x4(v[2], v[3], 0x44),
					    _mm512_shuffle_i32x4(v[2], v[3], 0xee));

	return _mm512_xor_si512(_mm512_shuffle_i32x4(ab, cd, 0x88),
				_mm512_shuffle_i32x4(ab, cd, 0xdd));
}

INLINE __m512i set_lane(__m512i v, unsigned i, const void *block)
{
	return _mm512_mask_broadcast_i32x4(v, (__mmask16)(0xfu << 4 * i), _mm_loadu_si128(block));
}

/* Lane `i`. The instruction takes its number from the code, which not every compiler finds in a loop. */
INLINE __m128i lane(__m512i v, unsigned i)
{
	switch (i) {
	case 0: return _mm512_castsi512_si128(v);
	case 1: return _mm512_extracti32x4_epi32(v, 1);
	case 2: return _mm512_extracti32x4_epi32(v, 2);
	default: return _mm512_extracti32x4_epi32(v, 3);
	}
}

/* Both halves added up, of a's powers and of the next lower b's. */
INLINE __m512i middles(__m512i a, __m512i b)
{
	return _mm512_xor_si512(_mm512_unpacklo_epi64(a, b), _mm512_unpackhi_epi64(a, b));
}

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

/* The same of a with itself: both halves' products with each other cancel out. */
INLINE __m512i square_lanes(__m512i a)
{
	const __m512i lo = _mm512_clmulepi64_epi128(a, a, 0x00);
	const __m512i hi = _mm512_clmulepi64_epi128(a, a, 0x11);
	const struct sum s = {.lo = lo, .hi = hi, .mid = _mm512_xor_si512(lo, hi)};

	return reduce(&s);
}

/*
 * FIPS 197 5.2, in every lane: the round key after `a`, `last` being the one that was made last. All
 * columns of the state hold the last word, so that ShiftRows changes nothing. Words are moved, not
 * bytes, wherever that is enough: what moves bytes keeps the units busy that do AES.
 */
INLINE __m512i next_round_key(__m512i a, __m512i last, bool rotate, uint32_t rcon)
{
	const __m512i rot_word = _mm512_set1_epi32(0x0c0f0e0d);
	const __m512i word = rotate ? _mm512_shuffle_epi8(last, rot_word)
				    : _mm512_shuffle_epi32(last, _MM_PERM_DDDD);
	const __m512i t = _mm512_aesenclast_epi128(word, _mm512_set1_epi32((int)rcon));

	a = _mm512_xor_si512(a, _mm512_maskz_shuffle_epi32(0xeeee, a, _MM_PERM_CBAA));
	return xor3(a, _mm512_maskz_shuffle_epi32(0xcccc, a, _MM_PERM_BAAA), t);
}

/* Round constant n, from 1 on: powers of X, of which AES-128 needs ten. */
INLINE uint32_t round_constant(unsigned n)
{
	return n <= 8 ? 1u << (n - 1) : n == 9 ? 0x1b : 0x36;
}

/* Each lane's round key r, one after the other from 1 on; rk[] has the last two. */
INLINE __m512i round_key(__m512i rk[2], unsigned r, unsigned n_rounds)
{
	const unsigned i = n_rounds == 14 ? r % 2 : 0;

	if (n_rounds == 10)
		rk[0] = next_round_key(rk[0], rk[0], true, round_constant(r));
	else if (r > 1)
		rk[i] = next_round_key(rk[i], rk[1 - i], i == 0,
				       i == 0 ? round_constant(r / 2) : 0);
	return rk[i];
}

/* RFC 4106 4, NIST SP 800-38D 7.1: salt, IV, counter; round 0 is done with it. */
INLINE __m512i counter_base(const uint8_t *esp, const struct esp_key *k)
{
	const __m512i iv_only = _mm512_broadcast_i32x4(_mm_set_epi32(0, -1, -1, 0));

	/* what lies four bytes before the IV begins where the nonce does */
	return _mm512_ternarylogic_epi64(load_block(esp + ESP_HDR_SIZE - AEAD_SALT_SIZE), iv_only,
					 load_block(k->nonce), 0x6a /* (a & b) ^ c */);
}

#endif
