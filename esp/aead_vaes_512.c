/* SPDX-License-Identifier: Apache-2.0 */
/*
 * aead_vaes_512: the steps of the burst AES-GCM for CPUs with AVX-512, VAES and VPCLMULQDQ.
 *
 * One step encrypts the counters of a group of eight chunks, round by round, and between the rounds
 * multiplies another group for GHASH. AES alone can fill the units that it runs on; eight vectors
 * hide its latency, and the multiplications, loads and stores go on beside it.
 */
#include "base/secret.h"
#include "esp/aead_vaes.h"

#if defined(__x86_64__)
#include <immintrin.h>

#define VAES_512                                                                                   \
	__attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,vaes,vpclmulqdq,aes,pclmul,"     \
			      "bmi,bmi2")))
#define INLINE VAES_512 static inline __attribute__((always_inline))

#define POLY_HIGH 0xc200000000000000u /* x^128 + x^127 + x^126 + x^121 + 1, reflected */

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
 * half is made zero by a multiple of the polynomial, whose low half is 1 and high half POLY_HIGH.
 */
INLINE __m512i reduce(const struct sum *s)
{
	const __m512i poly = _mm512_set1_epi64((long long)POLY_HIGH);
	const __m512i cross = xor3(s->lo, s->mid, s->hi);
	const __m512i a = xor3(cross, swap_halves(s->lo), _mm512_clmulepi64_epi128(s->lo, poly, 0));

	return xor3(s->hi, swap_halves(a), _mm512_clmulepi64_epi128(a, poly, 0));
}

/* The same in one lane, for keys. */
INLINE __m128i multiply_one(__m128i a, __m128i b)
{
	const __m512i x = _mm512_zextsi128_si512(a), y = _mm512_zextsi128_si512(b);
	const struct sum s = {
		.lo = _mm512_clmulepi64_epi128(x, y, 0x00),
		.hi = _mm512_clmulepi64_epi128(x, y, 0x11),
		.mid = _mm512_clmulepi64_epi128(_mm512_xor_si512(x, swap_halves(x)),
						_mm512_xor_si512(y, swap_halves(y)), 0x00),
	};

	return _mm512_castsi512_si128(reduce(&s));
}

INLINE __m128i byte_order_128(void)
{
	return _mm_set_epi8(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
}

/* FIPS 197 5.2, for any length of key; SubWord by the AES unit, which has no table. */
INLINE uint32_t sub_word(uint32_t w)
{
	return (uint32_t)_mm_cvtsi128_si32(
		_mm_aeskeygenassist_si128(_mm_shuffle_epi32(_mm_cvtsi32_si128((int)w), 0x00), 0));
}

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

VAES_512 void vaes_512_key_init(struct esp_key *k, const uint8_t *key, unsigned bits)
{
	const __m128i swap = byte_order_128();
	__m128i h = _mm_setzero_si128(), power, carry;
	__m128i powers[VAES_POWERS + 1];

	k->n_rounds = (uint8_t)(bits / 32 + 6);
	expand((uint32_t *)(void *)k->rk, key, bits / 32, 4u * (k->n_rounds + 1u));
	for (unsigned i = 0; i < VAES_BLOCK; i++)
		k->nonce[i] = (uint8_t)(k->rk[0][i] ^ (i < AEAD_SALT_SIZE ? k->salt[i] : 0));

	h = _mm_load_si128((const void *)k->rk[0]);
	for (unsigned i = 1; i < k->n_rounds; i++)
		h = _mm_aesenc_si128(h, _mm_load_si128((const void *)k->rk[i]));
	h = _mm_aesenclast_si128(h, _mm_load_si128((const void *)k->rk[k->n_rounds]));
	h = _mm_shuffle_epi8(h, swap);
	/* Times X, which the reflected products lack: a shift, and the polynomial if a bit falls out. */
	carry = _mm_srai_epi32(_mm_shuffle_epi32(h, 0xff), 31);
	h = _mm_or_si128(_mm_slli_epi64(h, 1), _mm_srli_epi64(_mm_slli_si128(h, 8), 63));
	h = _mm_xor_si128(h, _mm_and_si128(carry, _mm_set_epi64x((long long)POLY_HIGH, 1)));

	power = h;
	powers[0] = _mm_setzero_si128();
	for (unsigned n = 1; n <= VAES_POWERS; n++) {
		powers[n] = power;
		_mm_storeu_si128((void *)k->h[VAES_POWERS - n], power);
		power = multiply_one(power, h);
	}
	for (unsigned n = 1; n <= VAES_POWERS; n++) {
		const __m128i a = powers[n], b = powers[n > 4 ? n - 4 : 0];

		_mm_storeu_si128((void *)k->mid[VAES_POWERS - n],
				 _mm_xor_si128(_mm_unpacklo_epi64(a, b), _mm_unpackhi_epi64(a, b)));
	}
	bytes_wipe(powers, sizeof(powers));
}

/* A chunk as GHASH reads it, with what is not in the packet: high half of the number, lengths. */
INLINE __m512i hash_order(const struct vaes_ctx *c, const struct vaes_piece *p, enum vaes_kind kind,
			  unsigned i, __m512i text)
{
	const bool first = kind == VAES_BODY ? i == 0 : i % 2 == 0;
	__m512i x = _mm512_shuffle_epi8(text, load(first ? p->swap : c->swap));
	__mmask8 len;

	if (first)
		x = _mm512_mask_xor_epi32(x, p->seq_lane, x, _mm512_set1_epi32((int)p->seq_hi));
	if (kind == VAES_BODY)
		return x;
	len = (__mmask8)(first ? p->len_lane : p->len_lane >> 8);
	x = _mm512_mask_xor_epi64(x, len, x, _mm512_set1_epi64((long long)p->text_bits));
	return _mm512_mask_xor_epi64(x, (__mmask8)(len << 1), x,
				     _mm512_set1_epi64((long long)p->key->aad_bits));
}

/* Chunk i of a group: the text that is still to be encrypted or decrypted. */
INLINE __m512i text_of(const struct vaes_piece *p, enum vaes_kind kind, unsigned i)
{
	if (kind == VAES_BODY)
		return load(p->at + i * VAES_CHUNK);
	return i % 2 == 0 ? _mm512_maskz_loadu_epi8(p->load0, p->at)
			  : _mm512_maskz_loadu_epi8(p->text1, p->at + VAES_CHUNK);
}

INLINE __m512i hash_input(const struct vaes_ctx *c, const struct vaes_group *g, enum vaes_kind kind,
			  unsigned i, bool seal)
{
	const struct vaes_piece *p = &g->pieces[kind == VAES_BODY ? 0 : i / 2];

	return seal ? _mm512_load_si512(g->x[i]) : hash_order(c, p, kind, i, text_of(p, kind, i));
}

/* Powers of H^4, one for all lanes: each lane is a polynomial of its own until the packet's end. */
INLINE void hash_body_pair(const struct vaes_ctx *c, struct sum *s, const struct vaes_group *g,
			   unsigned pair, bool seal)
{
	const struct vaes_piece *p = &g->pieces[0];
	const unsigned at = VAES_POWERS - 32 + 8 * pair;
	const __m512i b = hash_input(c, g, VAES_BODY, 2 * pair + 1, seal);
	__m512i a = hash_input(c, g, VAES_BODY, 2 * pair, seal);

	if (pair == 0)
		a = _mm512_xor_si512(a, load(p->z));
	multiply(s, a, b, load_block(p->key->h[at]), load_block(p->key->h[at + 4]),
		 load_block(p->key->mid[at]));
}

INLINE void hash_piece(const struct vaes_ctx *c, const struct vaes_group *g, unsigned pair,
		       bool seal)
{
	const struct vaes_piece *p = &g->pieces[pair];
	const __m512i a = hash_input(c, g, VAES_PIECE, 2 * pair, seal);
	const __m512i b = hash_input(c, g, VAES_PIECE, 2 * pair + 1, seal);
	struct sum s = {
		.lo = load(p->acc),
		.mid = load(p->acc + VAES_CHUNK),
		.hi = load(p->acc + 2 * VAES_CHUNK),
	};

	multiply(&s, _mm512_xor_si512(a, load(p->z)), b, load(p->h), load(p->h + VAES_CHUNK),
		 load(p->h + sizeof(p->key->h)));
	_mm512_store_si512(p->pkt->acc[0], s.lo);
	_mm512_store_si512(p->pkt->acc[1], s.mid);
	_mm512_store_si512(p->pkt->acc[2], s.hi);
}

/* What GHASH does after round r of a step. */
INLINE void hash_part(const struct vaes_ctx *c, struct sum *s, const struct vaes_group *g,
		      enum vaes_kind kind, unsigned r, bool seal)
{
	if (r % 2 == 0 || r > 7)
		return;
	if (kind == VAES_BODY)
		hash_body_pair(c, s, g, r / 2, seal);
	else
		hash_piece(c, g, r / 2, seal);
}

INLINE void hash_end(struct vaes_ctx *c, const struct sum *s, struct vaes_group *g,
		     enum vaes_kind kind)
{
	if (kind == VAES_BODY)
		_mm512_store_si512(g->pieces[0].pkt->z, reduce(s));
	else
		c->n_hashed += g->n_ends;
}

/* RFC 4106 4, NIST SP 800-38D 7.1: salt, IV, counter; round 0 is done with it. */
INLINE __m512i counter_base(const struct vaes_piece *p)
{
	const __m512i iv_only = _mm512_broadcast_i32x4(_mm_set_epi32(0, -1, -1, 0));

	/* what lies four bytes before the IV begins where the nonce does */
	return _mm512_ternarylogic_epi64(load_block(p->esp + ESP_HDR_SIZE - AEAD_SALT_SIZE),
					 iv_only, load_block(p->key->nonce),
					 0x6a /* (a & b) ^ c */);
}

INLINE void counters(__m512i s[VAES_GROUP], const struct vaes_group *g, enum vaes_kind kind)
{
	if (kind == VAES_BODY) {
		const __m512i base = counter_base(&g->pieces[0]);

#pragma GCC unroll 8
		for (unsigned i = 0; i < VAES_GROUP; i++)
			s[i] = _mm512_xor_si512(base, load(g->pieces[0].ctr + i * VAES_CHUNK));
	} else {
#pragma GCC unroll 4
		for (unsigned i = 0; i < VAES_PIECES; i++) {
			const struct vaes_piece *p = &g->pieces[i];
			const __m512i base = counter_base(p);

			s[2 * i] = _mm512_xor_si512(base, load(p->ctr));
			s[2 * i + 1] = _mm512_xor_si512(base, load(p->ctr + VAES_CHUNK));
		}
	}
}

INLINE void aes_round(__m512i s[VAES_GROUP], const struct vaes_group *g, unsigned r, bool many_keys,
		      bool last)
{
	__m512i k = load_block(g->pieces[0].key->rk[r]);

#pragma GCC unroll 8
	for (unsigned i = 0; i < VAES_GROUP; i++) {
		if (many_keys && i && i % 2 == 0)
			k = load_block(g->pieces[i / 2].key->rk[r]);
		s[i] = last ? _mm512_aesenclast_epi128(s[i], k) : _mm512_aesenc_epi128(s[i], k);
	}
}

INLINE void finish_chunk(const struct vaes_ctx *c, struct vaes_group *g, enum vaes_kind kind,
			 unsigned i, __m512i stream, bool seal)
{
	const struct vaes_piece *p = &g->pieces[kind == VAES_BODY ? 0 : i / 2];
	const bool masked = kind == VAES_PIECE || i == 0;
	const __m512i in = text_of(p, kind, i);
	const __m512i out = _mm512_xor_si512(in, stream);
	uint8_t *at = p->at + (kind == VAES_BODY ? i : i % 2) * VAES_CHUNK;
	const uint64_t text = kind == VAES_BODY || i % 2 == 0 ? p->text0 : p->text1;

	if (kind == VAES_BODY ? i == 0 : i % 2 == 0)
		_mm_storeu_si128((void *)p->y0, _mm512_castsi512_si128(stream));
	if (masked)
		_mm512_mask_storeu_epi8(at, text, out);
	else
		_mm512_storeu_si512(at, out);
	if (seal)
		_mm512_store_si512(g->x[i],
				   hash_order(c, p, kind, i,
					      masked ? _mm512_mask_mov_epi8(in, text, out) : out));
}

/* Encrypts a group, and hashes the one that waits; opening, these are the same. */
INLINE void step(struct vaes_ctx *c, struct vaes_group *g, enum vaes_kind kind, bool many_keys,
		 struct vaes_group *w, enum vaes_kind w_kind, bool seal)
{
	const unsigned n_rounds = g->pieces[0].key->n_rounds;
	__m512i s[VAES_GROUP];
	struct sum sum = {_mm512_setzero_si512(), _mm512_setzero_si512(), _mm512_setzero_si512()};

	counters(s, g, kind);
#pragma GCC unroll 9
	for (unsigned r = 1; r < 10; r++) {
		aes_round(s, g, r, many_keys, false);
		hash_part(c, &sum, w, w_kind, r, seal);
	}
	hash_end(c, &sum, w, w_kind);
	if (n_rounds > 10) {
		aes_round(s, g, 10, many_keys, false);
		aes_round(s, g, 11, many_keys, false);
	}
	if (n_rounds > 12) {
		aes_round(s, g, 12, many_keys, false);
		aes_round(s, g, 13, many_keys, false);
	}
	aes_round(s, g, n_rounds, many_keys, true);
#pragma GCC unroll 8
	for (unsigned i = 0; i < VAES_GROUP; i++)
		finish_chunk(c, g, kind, i, s[i], seal);
}

#define STEP VAES_512 static __attribute__((noinline)) void

STEP seal_body_body(struct vaes_ctx *c, struct vaes_group *g, struct vaes_group *w)
{
	step(c, g, VAES_BODY, false, w, VAES_BODY, true);
}

STEP seal_body_piece(struct vaes_ctx *c, struct vaes_group *g, struct vaes_group *w)
{
	step(c, g, VAES_BODY, false, w, VAES_PIECE, true);
}

STEP seal_piece_body(struct vaes_ctx *c, struct vaes_group *g, struct vaes_group *w)
{
	step(c, g, VAES_PIECE, false, w, VAES_BODY, true);
}

STEP seal_piece_piece(struct vaes_ctx *c, struct vaes_group *g, struct vaes_group *w)
{
	step(c, g, VAES_PIECE, false, w, VAES_PIECE, true);
}

STEP seal_pieces_body(struct vaes_ctx *c, struct vaes_group *g, struct vaes_group *w)
{
	step(c, g, VAES_PIECE, true, w, VAES_BODY, true);
}

STEP seal_pieces_piece(struct vaes_ctx *c, struct vaes_group *g, struct vaes_group *w)
{
	step(c, g, VAES_PIECE, true, w, VAES_PIECE, true);
}

STEP open_body(struct vaes_ctx *c, struct vaes_group *g)
{
	step(c, g, VAES_BODY, false, g, VAES_BODY, false);
}

STEP open_piece(struct vaes_ctx *c, struct vaes_group *g)
{
	step(c, g, VAES_PIECE, false, g, VAES_PIECE, false);
}

STEP open_pieces(struct vaes_ctx *c, struct vaes_group *g)
{
	step(c, g, VAES_PIECE, true, g, VAES_PIECE, false);
}

/* What waits at a burst's end. */
STEP hash_rest(struct vaes_ctx *c, struct vaes_group *w)
{
	struct sum sum = {_mm512_setzero_si512(), _mm512_setzero_si512(), _mm512_setzero_si512()};

	for (unsigned i = 0; i < VAES_PIECES; i++)
		hash_piece(c, w, i, true);
	hash_end(c, &sum, w, VAES_PIECE);
}

INLINE bool one_key(const struct vaes_group *g)
{
	const struct esp_key *k = g->pieces[0].key;

	return g->pieces[1].key == k && g->pieces[2].key == k && g->pieces[3].key == k;
}

/* Runs a group; returns the one that is free then. */
INLINE struct vaes_group *run_group(struct vaes_ctx *c, struct vaes_group *g, enum vaes_kind kind,
				    bool seal)
{
	struct vaes_group *w = c->waiting;
	const bool one = kind == VAES_BODY || one_key(g);

	g->kind = kind;
	if (!seal) {
		if (kind == VAES_BODY)
			open_body(c, g);
		else if (one)
			open_piece(c, g);
		else
			open_pieces(c, g);
		return g;
	}
	if (w->kind == VAES_BODY) {
		if (kind == VAES_BODY)
			seal_body_body(c, g, w);
		else if (one)
			seal_piece_body(c, g, w);
		else
			seal_pieces_body(c, g, w);
	} else {
		if (kind == VAES_BODY)
			seal_body_piece(c, g, w);
		else if (one)
			seal_piece_piece(c, g, w);
		else
			seal_pieces_piece(c, g, w);
	}
	c->waiting = g;
	return w;
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

/* ICVs of four packets, each in a lane. */
INLINE void finish_four(struct vaes_ctx *c, bool seal)
{
	const struct vaes_pkt *p = &c->pkts[c->n_done % VAES_PKTS];
	__m512i v[3][4], y0 = _mm512_setzero_si512(), icv, got = _mm512_setzero_si512();
	uint64_t bad, mask = 0;
	struct sum s;

#pragma GCC unroll 4
	for (unsigned i = 0; i < 4; i++) {
		const uint64_t bytes = p[i].icv_mask << 16 * i;

		v[0][i] = _mm512_load_si512(p[i].acc[0]);
		v[1][i] = _mm512_load_si512(p[i].acc[1]);
		v[2][i] = _mm512_load_si512(p[i].acc[2]);
		y0 = _mm512_mask_broadcast_i32x4(y0, (__mmask16)(0xfu << 4 * i),
						 _mm_load_si128((const void *)p[i].y0));
		if (!seal)
			got = _mm512_mask_loadu_epi8(got, bytes, p[i].icv - 16 * i);
		mask |= bytes;
	}
	s.lo = fold(v[0]);
	s.mid = fold(v[1]);
	s.hi = fold(v[2]);
	icv = _mm512_xor_si512(_mm512_shuffle_epi8(reduce(&s), load(c->swap)), y0);
	bad = seal ? 0 : _mm512_mask_cmpneq_epi8_mask(mask, icv, got);
#pragma GCC unroll 4
	for (unsigned i = 0; i < 4; i++) {
		if (seal)
			_mm512_mask_storeu_epi8(p[i].icv - 16 * i, p[i].icv_mask << 16 * i, icv);
		*p[i].ok = (bad >> 16 * i & 0xffff) == 0;
	}
	c->n_done += 4;
}

STEP finish_sealed(struct vaes_ctx *c)
{
	finish_four(c, true);
}

STEP finish_opened(struct vaes_ctx *c)
{
	finish_four(c, false);
}

INLINE uint64_t first_bytes(uint32_t n)
{
	return _bzhi_u64(UINT64_MAX, n < VAES_CHUNK ? n : VAES_CHUNK);
}

INLINE uint32_t less(uint32_t a, uint32_t b)
{
	return a > b ? a - b : 0;
}

INLINE void add_packet(struct vaes_ctx *c, struct esp_job *j, bool seal)
{
	const struct esp_key *k = j->key;
	struct vaes_pkt *pkt = &c->pkts[c->n_begun++ % VAES_PKTS];
	const uint32_t size = VAES_BLOCK + j->payload_size;
	/* additional data, text, lengths */
	uint32_t n_blocks = (size + VAES_BLOCK - 1) / VAES_BLOCK + 1;
	/* What is left has a power of H for each lane of the body's polynomials. */
	const uint32_t n_body = less(n_blocks, VAES_CHUNK / VAES_BLOCK) / VAES_BODY_BLOCKS;
	struct vaes_piece p = {
		.at = j->esp,
		.esp = j->esp,
		.key = k,
		.ctr = c->ctrs[0],
		.acc = c->nothing,
		.z = c->nothing,
		.swap = k->esn ? c->swap_esn : c->swap_first,
		.y0 = pkt->y0,
		.pkt = pkt,
		.text_bits = (uint64_t)j->payload_size * 8,
		.text0 = ~(uint64_t)0xffff,
		.seq_hi = j->seq_hi,
		.seq_lane = k->esn ? 4 : 0,
	};
	uint32_t left = size;

	pkt->icv = j->esp + size;
	pkt->icv_mask = k->icv_mask;
	pkt->ok = &j->ok;
	for (uint32_t i = 0; i < n_body; i++) {
		c->body->pieces[0] = p;
		c->body = run_group(c, c->body, VAES_BODY, seal);
		p.at += VAES_GROUP * VAES_CHUNK;
		p.ctr += VAES_GROUP * VAES_CHUNK;
		p.z = pkt->z;
		p.swap = c->swap;
		p.y0 = c->waste;
		p.text0 = UINT64_MAX;
		p.seq_lane = 0;
		left -= VAES_GROUP * VAES_CHUNK;
	}
	n_blocks -= n_body * VAES_BODY_BLOCKS;
	for (;;) {
		struct vaes_group *g = c->filling;
		const bool last = n_blocks <= 8;

		p.load0 = first_bytes(left);
		p.text0 &= p.load0;
		p.text1 = first_bytes(less(left, VAES_CHUNK));
		p.h = k->h[VAES_POWERS - n_blocks];
		p.len_lane = last ? (uint16_t)(1u << 2 * (n_blocks - 1)) : 0;
		g->pieces[g->n_pieces++] = p;
		g->n_ends += last;
		if (g->n_pieces == VAES_PIECES) {
			c->filling = run_group(c, g, VAES_PIECE, seal);
			c->filling->n_pieces = c->filling->n_ends = 0;
			while (c->n_hashed - c->n_done >= 4)
				seal ? finish_sealed(c) : finish_opened(c);
		}
		if (last)
			break;
		n_blocks -= 8;
		left = less(left, 2 * VAES_CHUNK);
		p.at += 2 * VAES_CHUNK;
		p.ctr += 2 * VAES_CHUNK;
		p.z = c->nothing;
		p.acc = pkt->acc[0];
		p.swap = c->swap;
		p.y0 = c->waste;
		p.text0 = UINT64_MAX;
		p.seq_lane = 0;
	}
}

/* Fills a group up with pieces of nobody's packet. */
INLINE void fill_up(struct vaes_ctx *c, struct vaes_group *g, const struct esp_key *key)
{
	for (unsigned i = g->n_pieces; i < VAES_PIECES; i++)
		g->pieces[i] = (struct vaes_piece){
			.at = c->waste,
			.esp = c->nothing,
			.key = key,
			.ctr = c->ctrs[0],
			.h = c->no_key.h[VAES_POWERS],
			.acc = c->nothing,
			.z = c->nothing,
			.swap = c->swap,
			.y0 = c->waste,
			.pkt = &c->nobody,
		};
}

/* Jobs whose keys have the same number of rounds. */
INLINE void run(struct vaes_ctx *c, struct esp_job *jobs, size_t n, unsigned n_rounds, bool seal)
{
	const struct esp_key *key = NULL;
	bool ok;

	c->n_begun = c->n_hashed = c->n_done = 0;
	c->filling->n_pieces = c->filling->n_ends = 0;
	c->waiting->kind = VAES_PIECE;
	c->waiting->n_pieces = c->waiting->n_ends = 0;
	fill_up(c, c->waiting, &c->no_key);
	for (size_t i = 0; i < n; i++) {
		if (jobs[i].key->n_rounds != n_rounds || !vaes_size_ok(&jobs[i]))
			continue;
		key = jobs[i].key;
		add_packet(c, &jobs[i], seal);
	}
	if (c->filling->n_pieces) {
		fill_up(c, c->filling, key);
		c->filling = run_group(c, c->filling, VAES_PIECE, seal);
	}
	if (seal)
		hash_rest(c, c->waiting);
	for (size_t i = c->n_begun; i % 4; i++) {
		struct vaes_pkt *p = &c->pkts[i % VAES_PKTS];

		p->icv = c->waste;
		p->icv_mask = 0;
		p->ok = &ok;
	}
	while (c->n_done < c->n_begun)
		seal ? finish_sealed(c) : finish_opened(c);
}

VAES_512 void vaes_512_seal(struct vaes_ctx *c, struct esp_job *jobs, size_t n, unsigned n_rounds)
{
	run(c, jobs, n, n_rounds, true);
}

VAES_512 void vaes_512_open(struct vaes_ctx *c, struct esp_job *jobs, size_t n, unsigned n_rounds)
{
	run(c, jobs, n, n_rounds, false);
}
#endif
