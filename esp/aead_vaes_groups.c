/* SPDX-License-Identifier: Apache-2.0 */
/*
 * aead_vaes_groups: AES-GCM over groups of eight chunks, whichever packets these belong to.
 *
 * One step encrypts the counters of a group of eight chunks, round by round, and between the rounds
 * multiplies another group for GHASH. AES alone can fill the units that it runs on; eight vectors
 * hide its latency, and the multiplications, loads and stores go on beside it.
 *
 * Four packets at once are done faster by aead_vaes_quad.c; here go those that are left of a burst.
 */
#include "base/secret.h"

#if defined(__x86_64__)
#include "esp/aead_vaes_simd.h"

/* A chunk as GHASH reads it, the first with the high half of the number, which is not in the packet. */
INLINE __m512i hash_order(const struct vaes_ctx *c, const struct vaes_part *p, bool first,
			  __m512i text)
{
	__m512i x = _mm512_shuffle_epi8(text, load(first ? p->swap : c->swap));

	if (first)
		x = _mm512_mask_xor_epi32(x, p->seq_word, x, _mm512_set1_epi32((int)p->seq_hi));
	return x;
}

INLINE unsigned parts_of(enum vaes_kind kind)
{
	return kind == VAES_ENDS ? VAES_PARTS : 1;
}

/* Chunk i of a part: the text that is still to be encrypted or decrypted. */
INLINE __m512i text_of(const struct vaes_part *p, enum vaes_kind kind, unsigned i)
{
	return kind == VAES_BODY ? load(p->at + i * VAES_CHUNK)
				 : _mm512_maskz_loadu_epi8(p->bytes[i], p->at + i * VAES_CHUNK);
}

INLINE __m512i hash_input(const struct vaes_ctx *c, const struct vaes_group *g, enum vaes_kind kind,
			  unsigned i, bool seal)
{
	const unsigned each = VAES_GROUP / parts_of(kind);
	const struct vaes_part *p = &g->parts[i / each];

	return seal ? _mm512_load_si512(g->x[i])
		    : hash_order(c, p, i % each == 0, text_of(p, kind, i % each));
}

INLINE void store_sum(struct vaes_pkt *pkt, const struct sum *s)
{
	_mm512_store_si512(pkt->sum[0], s->lo);
	_mm512_store_si512(pkt->sum[1], s->mid);
	_mm512_store_si512(pkt->sum[2], s->hi);
}

/* Two chunks of a group. */
INLINE void hash_pair(const struct vaes_ctx *c, struct sum *s, const struct vaes_group *g,
		      enum vaes_kind kind, unsigned pair, bool seal)
{
	const unsigned each = VAES_GROUP / parts_of(kind), at = 2 * pair % each;
	const struct vaes_part *p = &g->parts[2 * pair / each];
	const uint8_t *h = p->h + at * VAES_CHUNK;
	__m512i a = hash_input(c, g, kind, 2 * pair, seal);

	if (at == 0) {
		s->lo = s->mid = s->hi = _mm512_setzero_si512();
		a = _mm512_xor_si512(a,
				     _mm512_zextsi128_si512(_mm_loadu_si128((const void *)p->z)));
	}
	multiply(s, a, hash_input(c, g, kind, 2 * pair + 1, seal), load(h), load(h + VAES_CHUNK),
		 load(h + VAES_MID_AT));
	if (at + 2 == each && kind == VAES_ENDS)
		store_sum(p->pkt, s);
}

/* The sum of the lanes, in the first. */
INLINE __m128i fold_one(__m512i v)
{
	const __m256i a =
		_mm256_xor_si256(_mm512_castsi512_si256(v), _mm512_extracti64x4_epi64(v, 1));

	return _mm_xor_si128(_mm256_castsi256_si128(a), _mm256_extracti128_si256(a, 1));
}

INLINE void hash_end(struct vaes_ctx *c, const struct sum *s, const struct vaes_group *g,
		     enum vaes_kind kind)
{
	struct vaes_pkt *pkt = g->parts[0].pkt;

	switch (kind) {
	case VAES_BODY: _mm_store_si128((void *)pkt->z, fold_one(reduce(s))); break;
	case VAES_END:
		store_sum(pkt, s);
		c->hashed[c->n_hashed++] = pkt;
		break;
	case VAES_ENDS:
		for (unsigned i = 0; i < g->n_parts; i++)
			c->hashed[c->n_hashed++] = g->parts[i].pkt;
		break;
	}
}

INLINE void counters(__m512i s[VAES_GROUP], const struct vaes_group *g, enum vaes_kind kind)
{
	const unsigned each = VAES_GROUP / parts_of(kind);
	__m512i base = _mm512_setzero_si512();

#pragma GCC unroll 8
	for (unsigned i = 0; i < VAES_GROUP; i++) {
		const struct vaes_part *p = &g->parts[i / each];

		if (i % each == 0)
			base = counter_base(p->esp, p->key);
		s[i] = _mm512_xor_si512(base, load(p->ctr + i % each * VAES_CHUNK));
	}
}

INLINE void aes_round(__m512i s[VAES_GROUP], const struct vaes_group *g, unsigned r, bool many_keys,
		      bool last)
{
	__m512i k = load_block(g->parts[0].key->rk[r]);

#pragma GCC unroll 8
	for (unsigned i = 0; i < VAES_GROUP; i++) {
		if (many_keys && i && i % 2 == 0)
			k = load_block(g->parts[i / 2].key->rk[r]);
		s[i] = last ? _mm512_aesenclast_epi128(s[i], k) : _mm512_aesenc_epi128(s[i], k);
	}
}

INLINE void finish_chunk(const struct vaes_ctx *c, struct vaes_group *g, enum vaes_kind kind,
			 unsigned n, __m512i stream, bool seal)
{
	const unsigned each = VAES_GROUP / parts_of(kind), i = n % each;
	const struct vaes_part *p = &g->parts[n / each];
	uint8_t *at = p->at + i * VAES_CHUNK;
	const __m512i in = text_of(p, kind, i);
	__m512i out = _mm512_xor_si512(in, stream);

	if (i == 0) {
		const uint64_t text = p->text0;

		_mm_storeu_si128((void *)p->y0, _mm512_castsi512_si128(stream));
		_mm512_mask_storeu_epi8(at, text, out);
		out = _mm512_mask_mov_epi8(in, text, out);
	} else if (kind == VAES_BODY) {
		_mm512_storeu_si512(at, out);
	} else {
		const uint64_t text = p->bytes[i];

		_mm512_mask_storeu_epi8(at, text, out);
		out = _mm512_maskz_mov_epi8(text, out);
	}
	if (seal)
		_mm512_store_si512(g->x[n], hash_order(c, p, i == 0, out));
}

/* Encrypts a group, and hashes the one that waits; opening, these are the same. */
INLINE void step(struct vaes_ctx *c, struct vaes_group *g, enum vaes_kind kind, bool many_keys,
		 struct vaes_group *w, enum vaes_kind w_kind, bool seal)
{
	const unsigned n_rounds = g->parts[0].key->n_rounds;
	const __m512i zero = _mm512_setzero_si512();
	__m512i s[VAES_GROUP];
	struct sum sum = {zero, zero, zero};

	counters(s, g, kind);
#pragma GCC unroll 9
	for (unsigned r = 1; r < 10; r++) {
		aes_round(s, g, r, many_keys, false);
		if (r % 2 == 1 && r < 8)
			hash_pair(c, &sum, w, w_kind, r / 2, seal);
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

typedef void step_fn(struct vaes_ctx *c, struct vaes_group *g, struct vaes_group *w);

#define SEAL(name, kind, many_keys, w_kind)                                                        \
	VAES_512 static void name(struct vaes_ctx *c, struct vaes_group *g, struct vaes_group *w)  \
	{                                                                                          \
		step(c, g, kind, many_keys, w, w_kind, true);                                      \
	}
#define OPEN(name, kind, many_keys)                                                                \
	VAES_512 static void name(struct vaes_ctx *c, struct vaes_group *g, struct vaes_group *w)  \
	{                                                                                          \
		step(c, g, kind, many_keys, g, kind, false);                                       \
	}

SEAL(seal_body_body, VAES_BODY, false, VAES_BODY)
SEAL(seal_body_end, VAES_BODY, false, VAES_END)
SEAL(seal_body_ends, VAES_BODY, false, VAES_ENDS)
SEAL(seal_end_body, VAES_END, false, VAES_BODY)
SEAL(seal_end_end, VAES_END, false, VAES_END)
SEAL(seal_end_ends, VAES_END, false, VAES_ENDS)
SEAL(seal_ends_body, VAES_ENDS, false, VAES_BODY)
SEAL(seal_ends_end, VAES_ENDS, false, VAES_END)
SEAL(seal_ends_ends, VAES_ENDS, false, VAES_ENDS)
SEAL(seal_keys_body, VAES_ENDS, true, VAES_BODY)
SEAL(seal_keys_end, VAES_ENDS, true, VAES_END)
SEAL(seal_keys_ends, VAES_ENDS, true, VAES_ENDS)
OPEN(open_body, VAES_BODY, false)
OPEN(open_end, VAES_END, false)
OPEN(open_ends, VAES_ENDS, false)
OPEN(open_keys, VAES_ENDS, true)

/* By the kind of the group, 3 for ends of several keys, and by that of the one that waits. */
static step_fn *const seal_steps[4][3] = {
	[VAES_BODY] = {seal_body_body, seal_body_end, seal_body_ends},
	[VAES_END] = {seal_end_body, seal_end_end, seal_end_ends},
	[VAES_ENDS] = {seal_ends_body, seal_ends_end, seal_ends_ends},
	[VAES_ENDS + 1] = {seal_keys_body, seal_keys_end, seal_keys_ends},
};
static step_fn *const open_steps[4] = {open_body, open_end, open_ends, open_keys};

/* What waits at a burst's end, which is the end of a packet. */
VAES_512 static void hash_rest(struct vaes_ctx *c, struct vaes_group *w)
{
	const __m512i zero = _mm512_setzero_si512();
	struct sum sum = {zero, zero, zero};

	if (w->kind == VAES_END) {
		for (unsigned i = 0; i < VAES_GROUP / 2; i++)
			hash_pair(c, &sum, w, VAES_END, i, true);
		hash_end(c, &sum, w, VAES_END);
	} else {
		for (unsigned i = 0; i < VAES_GROUP / 2; i++)
			hash_pair(c, &sum, w, VAES_ENDS, i, true);
		hash_end(c, &sum, w, VAES_ENDS);
	}
}

/* ICVs of four packets, each in a lane. */
INLINE void finish_four(struct vaes_ctx *c, bool seal)
{
	const __m512i zero = _mm512_setzero_si512();
	__m512i v[3][4], y0 = zero, h = zero, bits = zero, icv;
	struct vaes_pkt *p[4];
	struct sum s;

	c->n_hashed -= 4;
#pragma GCC unroll 4
	for (unsigned i = 0; i < 4; i++) {
		p[i] = c->hashed[c->n_hashed + i];
		v[0][i] = _mm512_load_si512(p[i]->sum[0]);
		v[1][i] = _mm512_load_si512(p[i]->sum[1]);
		v[2][i] = _mm512_load_si512(p[i]->sum[2]);
		y0 = set_lane(y0, i, p[i]->y0);
		h = set_lane(h, i, p[i]->h1);
		bits = _mm512_mask_broadcast_i32x4(
			bits, (__mmask16)(0xfu << 4 * i),
			_mm_set_epi64x((long long)p[i]->bits[1], (long long)p[i]->bits[0]));
	}
	s.lo = _mm512_xor_si512(fold(v[0]), _mm512_clmulepi64_epi128(bits, h, 0x00));
	s.hi = _mm512_xor_si512(fold(v[2]), _mm512_clmulepi64_epi128(bits, h, 0x11));
	s.mid = _mm512_xor_si512(
		fold(v[1]), _mm512_clmulepi64_epi128(_mm512_xor_si512(bits, swap_halves(bits)),
						     _mm512_xor_si512(h, swap_halves(h)), 0x00));
	icv = _mm512_xor_si512(_mm512_shuffle_epi8(reduce(&s), load(c->swap)), y0);
#pragma GCC unroll 4
	for (unsigned i = 0; i < 4; i++) {
		__m128i x = lane(icv, i);

		/* Kept apart from the store: in one instruction they would touch all 16 bytes. */
		__asm__("" : "+v"(x));
		if (seal) {
			_mm_mask_storeu_epi32(p[i]->icv, p[i]->icv_words, x);
			*p[i]->ok = true;
		} else {
			*p[i]->ok = _mm_mask_cmpneq_epi32_mask(
					    p[i]->icv_words, x,
					    _mm_maskz_loadu_epi32(p[i]->icv_words, p[i]->icv)) == 0;
		}
		c->free[c->n_free++] = p[i];
	}
}

VAES_512 static __attribute__((noinline)) void finish_sealed(struct vaes_ctx *c)
{
	finish_four(c, true);
}

VAES_512 static __attribute__((noinline)) void finish_opened(struct vaes_ctx *c)
{
	finish_four(c, false);
}

/* Runs a group; returns the one that is free then. */
INLINE struct vaes_group *run_group(struct vaes_ctx *c, struct vaes_group *g, enum vaes_kind kind,
				    bool seal)
{
	struct vaes_group *w = c->waiting;
	const struct esp_key *k = g->parts[0].key;
	const bool many_keys = kind == VAES_ENDS && (g->parts[1].key != k || g->parts[2].key != k ||
						     g->parts[3].key != k);

	g->kind = kind;
	if (seal) {
		seal_steps[kind + many_keys][w->kind](c, g, w);
		c->waiting = g;
		g = w == &c->idle ? &c->groups[2] : w;
	} else {
		open_steps[kind + many_keys](c, g, g);
	}
	while (c->n_hashed >= 4)
		seal ? finish_sealed(c) : finish_opened(c);
	return g;
}

/* How many bytes each of eight chunks has, as masks. */
INLINE void set_bytes(uint64_t bytes[VAES_GROUP], uint32_t left)
{
	const __m512i before = _mm512_set_epi64(448, 384, 320, 256, 192, 128, 64, 0);
	const __m512i n = _mm512_max_epi64(_mm512_sub_epi64(_mm512_set1_epi64(left), before),
					   _mm512_setzero_si512());

	/* a shift by 64 or more gives zero, and so every bit */
	_mm512_storeu_si512(bytes, _mm512_add_epi64(_mm512_sllv_epi64(_mm512_set1_epi64(1), n),
						    _mm512_set1_epi64(-1)));
}

INLINE void add_packet(struct vaes_ctx *c, struct esp_job *j, bool seal)
{
	const struct esp_key *k = j->key;
	struct vaes_pkt *pkt = c->free[--c->n_free];
	const uint32_t size = VAES_BLOCK + j->payload_size;
	/* A packet's last chunk is never in its body. */
	const uint32_t n_body = (size - 1) / VAES_GROUP_SIZE;
	const uint32_t left = size - n_body * VAES_GROUP_SIZE;
	const bool small = left <= VAES_CHUNK * VAES_GROUP / VAES_PARTS;
	struct vaes_group *g;
	struct vaes_part *p;
	const uint8_t *swap = k->esn ? c->swap_esn : c->swap_first;
	const uint8_t *ctr = c->ctrs[0], *z = c->nothing;
	uint8_t *at = j->esp, *y0 = pkt->y0;
	uint64_t text0 = ~(uint64_t)0xffff;
	uint16_t seq_word = k->esn ? 4 : 0;

	pkt->bits[0] = (uint64_t)j->payload_size * 8;
	pkt->bits[1] = k->aad_bits;
	pkt->h1 = k->h[VAES_POWERS - 1];
	pkt->icv = j->esp + size;
	pkt->icv_words = k->icv_words;
	pkt->ok = &j->ok;
	for (uint32_t i = 0; i <= n_body; i++) {
		const bool body = i < n_body;

		g = body || !small ? c->one : c->filling;
		p = &g->parts[body || !small ? 0 : g->n_parts++];
		p->at = at;
		p->esp = j->esp;
		p->key = k;
		p->ctr = ctr;
		p->z = z;
		p->swap = swap;
		p->y0 = y0;
		p->pkt = pkt;
		p->text0 = text0;
		p->seq_hi = j->seq_hi;
		p->seq_word = seq_word;
		if (!body) {
			set_bytes(p->bytes, left);
			p->text0 &= p->bytes[0];
			/* the last block of text meets H^2, the lengths H^1 */
			p->h = k->h[VAES_POWERS - 1 - (left + VAES_BLOCK - 1) / VAES_BLOCK];
			break;
		}
		p->h = k->h[VAES_POWERS - VAES_GROUP_SIZE / VAES_BLOCK];
		c->one = run_group(c, g, VAES_BODY, seal);
		at += VAES_GROUP_SIZE;
		ctr += VAES_GROUP_SIZE;
		z = pkt->z;
		swap = c->swap;
		y0 = c->waste;
		text0 = UINT64_MAX;
		seq_word = 0;
	}
	if (!small) {
		c->one = run_group(c, c->one, VAES_END, seal);
	} else if (c->filling->n_parts == VAES_PARTS) {
		c->filling = run_group(c, c->filling, VAES_ENDS, seal);
		c->filling->n_parts = 0;
	}
}

/* Fills a group up with parts of nobody's packet. */
INLINE void fill_up(struct vaes_ctx *c, struct vaes_group *g, const struct esp_key *key)
{
	for (unsigned i = g->n_parts; i < VAES_PARTS; i++) {
		g->parts[i] = c->idle.parts[0];
		g->parts[i].key = key;
	}
}

VAES_512 void vaes_512_groups(struct vaes_ctx *c, struct esp_job *const *jobs, size_t n, bool seal)
{
	const struct esp_key *key = NULL;

	c->n_free = c->n_hashed = 0;
	for (unsigned i = 0; i < VAES_PKTS; i++)
		c->free[c->n_free++] = &c->pkts[i];
	c->filling = &c->groups[0];
	c->one = &c->groups[1];
	c->waiting = &c->idle;
	c->filling->n_parts = 0;
	for (size_t i = 0; i < n; i++) {
		key = jobs[i]->key;
		add_packet(c, jobs[i], seal);
	}
	if (c->filling->n_parts) {
		fill_up(c, c->filling, key);
		c->filling = run_group(c, c->filling, VAES_ENDS, seal);
	}
	if (seal)
		hash_rest(c, c->waiting);
	while (c->n_hashed) {
		while (c->n_hashed % 4)
			c->hashed[c->n_hashed++] = &c->nobody;
		seal ? finish_sealed(c) : finish_opened(c);
	}
}
#endif
