/* SPDX-License-Identifier: Apache-2.0 */
/* aead_vaes_256: what the two parts of the AES-GCM on 256-bit vectors share. See aead_vaes_256.c for the idea. */
#ifndef ESP_AEAD_VAES_256_H
#define ESP_AEAD_VAES_256_H

#include <stddef.h>
#include "esp/aead_int.h"
#include "esp/aead_vaes_setup.h"
#include <immintrin.h>

#define Y_BLOCK       16u
#define Y_VECTOR      32u
#define Y_CHUNK       64u /* four blocks: two vectors */
#define Y_CHUNKS      4u  /* in a group */
#define Y_GROUP       (Y_CHUNKS * Y_CHUNK)
#define Y_PACKETS     8u  /* on their way at once, at most */
#define Y_POWERS      68u /* of H that a key keeps */
#define Y_PAYLOAD_MAX 65536u
#define Y_COUNTERS    ((Y_PAYLOAD_MAX + Y_GROUP) / Y_BLOCK)

/* Sanitizers would make each load a call; the tests put guard pages around the packets instead. */
#define VAES_256                                                                                   \
	__attribute__((no_sanitize("address", "undefined"),                                        \
		       target("avx2,vaes,vpclmulqdq,aes,pclmul,bmi,bmi2")))
#define INLINE VAES_256 static inline __attribute__((always_inline))

/*
 * An expanded key. Powers of H are in descending order, so that those of any chunk are one piece,
 * whatever its place in the packet; what is read beyond H^1 meets zeros only.
 */
struct esp_key {
	uint8_t h[Y_POWERS][Y_BLOCK] __attribute__((aligned(64)));
	/* Both halves of a power added up, for Karatsuba's middle product: of H^n and of H^(n-2). */
	uint8_t mid[Y_POWERS][Y_BLOCK];
	uint8_t nonce[Y_BLOCK]; /* the salt, and round 0 */
	uint8_t rk[15][Y_BLOCK];
	uint8_t n_rounds, icv_size, aad_bits;
	bool esn;
};

#define Y_MID_AT (offsetof(struct esp_key, mid) - offsetof(struct esp_key, h))

/* A packet on its way. */
struct y_packet {
	uint8_t sum[3][Y_VECTOR]; /* GHASH, unreduced: low, middle and high products */
	uint8_t add
		[Y_VECTOR]; /* to the next vector for GHASH: additional data, or what came before */
	uint8_t base[Y_VECTOR]; /* salt and IV, round 0 done, twice */
	uint8_t y0[2][Y_BLOCK]; /* what the ICV is encrypted with; the other is never read */
	struct esp_job *job;
	const struct esp_key *key;
	/* what is in the group that is encrypted next: */
	uint8_t *at;
	const uint8_t *ctr; /* counters from its first block on */
	uint32_t size;
	uint32_t later; /* 0: the packet begins here, with its header; else 1 */
} __attribute__((aligned(32)));

enum y_kind {
	Y_BODY, /* four whole chunks of a packet, not the first */
	Y_ONE,  /* four chunks of a packet: perhaps with its header, or incomplete */
	Y_TWO,  /* two chunks each of two packets, the same */
};

struct y_group {
	uint8_t x[2 * Y_CHUNKS][Y_VECTOR]; /* ciphertext as GHASH reads it */
	struct y_packet *packet[2];
	const uint8_t *h[2]; /* power of the first block of each */
	enum y_kind kind;
	bool ends, carry; /* the packets end; what was hashed goes reduced to the next group */
} __attribute__((aligned(32)));

struct y_ctx {
	struct y_group groups[3], idle; /* `idle`: of nobody's packet */
	struct y_packet packets[Y_PACKETS], nobody;
	uint8_t out[Y_BLOCK + Y_VECTOR]; /* an incomplete vector, and what is before */
	uint8_t swap[Y_VECTOR];          /* bytes of a block reversed */
	uint8_t mask[2 * Y_VECTOR];      /* ones, then zeros */
	uint8_t text[2][Y_VECTOR];       /* zeros for a block, then ones; ones */
	struct esp_key no_key;
	uint8_t ctrs[Y_COUNTERS][Y_BLOCK];
} __attribute__((aligned(64)));

INLINE __m256i load(const void *p)
{
	return _mm256_loadu_si256(p);
}

INLINE void store(void *p, __m256i v)
{
	_mm256_storeu_si256(p, v);
}

INLINE __m128i load_block(const void *p)
{
	return _mm_loadu_si128(p);
}

/* The same block twice. */
INLINE __m256i load_twice(const void *p)
{
	return _mm256_broadcastsi128_si256(load_block(p));
}

INLINE __m128i swap_halves(__m128i a)
{
	return _mm_shuffle_epi32(a, 0x4e);
}

/* An unreduced product, by Karatsuba: (a0 + a1 x)(b0 + b1 x), where x = X^64. */
struct y_product {
	__m128i lo, mid, hi; /* a0 b0, (a0 + a1)(b0 + b1), a1 b1 */
};

INLINE struct y_product multiply(__m128i a, __m128i b)
{
	return (struct y_product){
		.lo = _mm_clmulepi64_si128(a, b, 0x00),
		.mid = _mm_clmulepi64_si128(_mm_xor_si128(a, swap_halves(a)),
					    _mm_xor_si128(b, swap_halves(b)), 0x00),
		.hi = _mm_clmulepi64_si128(a, b, 0x11),
	};
}

/*
 * Modulo the polynomial, times X^-128, which the powers of H make up for: twice the low half is made
 * zero by a multiple of the polynomial, whose low half is 1 and high half VAES_POLY_HIGH.
 */
INLINE __m128i reduce(struct y_product p)
{
	const __m128i poly = _mm_set1_epi64x((long long)VAES_POLY_HIGH);
	__m128i a = _mm_xor_si128(_mm_xor_si128(p.lo, p.mid), p.hi);

	a = _mm_xor_si128(a, swap_halves(p.lo));
	a = _mm_xor_si128(a, _mm_clmulepi64_si128(p.lo, poly, 0x00));
	return _mm_xor_si128(_mm_xor_si128(p.hi, swap_halves(a)),
			     _mm_clmulepi64_si128(a, poly, 0x00));
}

/* aead_vaes_256_burst.c: the jobs of a burst. */
void vaes_256_seal(struct y_ctx *c, struct esp_job *jobs, size_t n);
void vaes_256_open(struct y_ctx *c, struct esp_job *jobs, size_t n);

#endif
