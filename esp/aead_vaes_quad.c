/* SPDX-License-Identifier: Apache-2.0 */
/*
 * aead_vaes_quad: AES-GCM over four packets at once.
 *
 * A step encrypts a pair of chunks of each packet: eight vectors are under way, no plan is looked up
 * but the four packets, and the sums of GHASH stay in registers from a packet's start to its end.
 * Sealing, a step hashes what the one before has encrypted, also when that belongs to the packets
 * before; opening, what it decrypts. The multiplications are spread over the rounds: the unit that does
 * them is as busy as those that do AES. The powers of H that a key keeps are enough for SEGMENT pairs;
 * then the sums are reduced, for the four packets at once, and multiplied as if they were added to the
 * first block of what follows. A packet that ends before the others goes on with nothing, and its sum is multiplied by one.
 *
 * Each kernel exists for packets of any keys and sizes, of one key, and of one key and size: the more
 * they have in common, the less is loaded.
 */
#include "base/secret.h"

#if defined(__x86_64__)
#include "esp/aead_vaes_simd.h"

#define PAIR_SIZE      (2 * VAES_CHUNK)
#define SEGMENT        4u /* pairs */
#define SEGMENT_BLOCKS (SEGMENT * PAIR_SIZE / VAES_BLOCK)
#define LANES          VAES_QUAD

/* What a kernel is for, constant in each. */
struct kind {
	bool seal;
	bool single;  /* one pair of chunks is all that there is of each packet */
	bool one_key; /* the packets have their key in common */
	bool same;    /* and their size, too */
	bool all;     /* all fours have the same ones */
};

/* Which of four; all are the first if they have their key and size in common. */
INLINE unsigned of(bool same, unsigned p)
{
	return same ? 0 : p;
}

/* What a step knows of its quad; in registers, whatever is written meanwhile. */
struct view {
	const struct esp_key *key[LANES];
	uint8_t *at[LANES];
	uint64_t bytes[2][LANES];
	const uint8_t *swap, *swap_first[LANES];
	__mmask16 seq_word[LANES];
	uint32_t seq_hi[LANES];
};

/* What a pair is to its packets. */
enum tail {
	TAIL_NONE,  /* whole chunks of each */
	TAIL_ENDED, /* the same, of each that has not ended: the others' go nowhere */
	TAIL_LAST,  /* perhaps the last, or a part of nothing */
};

/* Bytes of chunk i of a packet's pair t. */
INLINE uint64_t bytes_of(const struct vaes_quad *q, unsigned p, unsigned i, unsigned t, bool same)
{
	const uint64_t at_end = q->bytes[i][p];

	/* of one size they end together, and before no one asks */
	return same ? at_end : t < q->last[p] ? UINT64_MAX : t == q->last[p] ? at_end : 0;
}

INLINE void view_of(struct view *v, struct vaes_ctx *c, const struct vaes_quad *q,
		    const struct vaes_quad *q0, unsigned t, enum tail tail, struct kind kind)
{
	v->swap = c->swap;
#pragma GCC unroll 4
	for (unsigned p = 0; p < LANES; p++) {
		const unsigned k = of(kind.same, p);

		v->at[p] = q->esp[p] + (size_t)t * PAIR_SIZE;
		if (tail == TAIL_ENDED && t > q->last[p])
			v->at[p] = c->nobody_pair;
		v->key[p] = q0->key[of(kind.one_key, p)];
		v->bytes[0][p] = bytes_of(q0, k, 0, t, kind.same);
		v->bytes[1][p] = bytes_of(q0, k, 1, t, kind.same);
		v->swap_first[p] = v->key[p]->esn ? c->swap_esn : c->swap_first;
		v->seq_word[p] = v->key[p]->esn ? 4 : 0;
		v->seq_hi[p] = q->job[p]->seq_hi;
	}
}

INLINE __m512i quad_text(const struct view *v, unsigned p, unsigned i, bool last)
{
	const uint8_t *text = v->at[p] + i * VAES_CHUNK;

	return last ? _mm512_maskz_loadu_epi8(v->bytes[i][p], text) : load(text);
}

/* A chunk as GHASH reads it; the first one has the additional data where the header is. */
INLINE __m512i quad_order(const struct view *v, unsigned p, bool first, __m512i text)
{
	__m512i x;

	if (!first)
		return _mm512_shuffle_epi8(text, load(v->swap));
	x = _mm512_shuffle_epi8(text, load(v->swap_first[p]));
	return _mm512_mask_xor_epi32(x, v->seq_word[p], x, _mm512_set1_epi32((int)v->seq_hi[p]));
}

INLINE void sums_zero(struct sum acc[LANES])
{
#pragma GCC unroll 4
	for (unsigned p = 0; p < LANES; p++)
		acc[p].lo = acc[p].mid = acc[p].hi = _mm512_setzero_si512();
}

/* Where the powers of a quad's pair t are. */
struct place {
	const uint8_t *h[LANES]; /* of its first block */
};

INLINE void place_at(struct place *w, const struct vaes_ctx *c, const struct vaes_quad *q,
		     unsigned t, bool same)
{
#pragma GCC unroll 4
	for (unsigned p = 0; p < LANES; p++) {
		const uint8_t *h;

		if (p && same) {
			w->h[p] = w->h[0];
			continue;
		}
		/* a packet that has ended is multiplied by one, where a segment begins */
		h = t > q->last[p]               ? c->one_key.h[0]
		    : (t ^ q->last[p]) < SEGMENT ? q->h[p]
						 : q->key[p]->h[VAES_POWERS - SEGMENT_BLOCKS];
		w->h[p] = h + t % SEGMENT * PAIR_SIZE;
	}
}

/* Powers of a pair of chunks, and a packet's pair on its way into its sum. */
struct hashing {
	__m512i h[2], h_mid, a, b, mid;
};

INLINE void hash_powers(struct hashing *v, const uint8_t *h)
{
	v->h[0] = load(h);
	v->h[1] = load(h + VAES_CHUNK);
	v->h_mid = load(h + VAES_MID_AT);
}

/* Adds two products; what is the first of a packet's has nothing to be added to. */
INLINE void add_products(__m512i *sum, __m512i a, __m512i b, struct kind kind)
{
	*sum = kind.single ? _mm512_xor_si512(a, b) : xor3(*sum, a, b);
}

/* The four packets' twelve pieces of a pair's hash: two multiplications each. */
INLINE void hash_piece(struct vaes_ctx *c, const struct view *q, unsigned piece, bool first,
		       bool last, struct hashing *v, struct sum acc[LANES], const struct place *w,
		       struct kind kind)
{
	const unsigned p = piece / 3;
	struct sum *s = &acc[p];

	switch (piece % 3) {
	case 0:
		if (!kind.same)
			hash_powers(v, w->h[p]);
		v->a = kind.seal ? _mm512_load_si512(c->quad_x[2 * p])
				 : quad_order(q, p, first, quad_text(q, p, 0, last));
		v->b = kind.seal ? _mm512_load_si512(c->quad_x[2 * p + 1])
				 : quad_order(q, p, false, quad_text(q, p, 1, last));
		v->mid = _mm512_xor_si512(_mm512_unpacklo_epi64(v->a, v->b),
					  _mm512_unpackhi_epi64(v->a, v->b));
		add_products(&s->lo, _mm512_clmulepi64_epi128(v->a, v->h[0], 0x00),
			     _mm512_clmulepi64_epi128(v->b, v->h[1], 0x00), kind);
		break;
	case 1:
		add_products(&s->hi, _mm512_clmulepi64_epi128(v->a, v->h[0], 0x11),
			     _mm512_clmulepi64_epi128(v->b, v->h[1], 0x11), kind);
		break;
	default:
		add_products(&s->mid, _mm512_clmulepi64_epi128(v->mid, v->h_mid, 0x00),
			     _mm512_clmulepi64_epi128(v->mid, v->h_mid, 0x11), kind);
		break;
	}
}

INLINE void quad_round(__m512i s[VAES_GROUP], const struct esp_key *const key[LANES], unsigned r,
		       bool one_key)
{
	__m512i k;

	/* Keys are loaded where they are used: fetched ahead they would take the sums' registers. */
	__asm__ volatile("" ::: "memory");
	k = load_block(key[0]->rk[r]);
#pragma GCC unroll 8
	for (unsigned i = 0; i < VAES_GROUP; i++) {
		if (!one_key && i && i % 2 == 0)
			k = load_block(key[i / 2]->rk[r]);
		s[i] = _mm512_aesenc_epi128(s[i], k);
	}
}

INLINE __m512i first_lanes(const __m512i s[VAES_GROUP])
{
	return _mm512_inserti64x4(
		_mm512_castsi256_si512(_mm256_inserti128_si256(_mm512_castsi512_si256(s[0]),
							       _mm512_castsi512_si128(s[2]), 1)),
		_mm256_inserti128_si256(_mm512_castsi512_si256(s[4]), _mm512_castsi512_si128(s[6]),
					1),
		1);
}

INLINE void sums_fold(struct sum *s, const struct sum acc[LANES])
{
	const __m512i lo[] = {acc[0].lo, acc[1].lo, acc[2].lo, acc[3].lo};
	const __m512i mid[] = {acc[0].mid, acc[1].mid, acc[2].mid, acc[3].mid};
	const __m512i hi[] = {acc[0].hi, acc[1].hi, acc[2].hi, acc[3].hi};

	s->lo = fold(lo);
	s->mid = fold(mid);
	s->hi = fold(hi);
}

/* The products of four packets' blocks. */
INLINE void sums_multiply(struct sum *s, __m512i a, __m512i h)
{
	s->lo = _mm512_clmulepi64_epi128(a, h, 0x00);
	s->hi = _mm512_clmulepi64_epi128(a, h, 0x11);
	s->mid = _mm512_clmulepi64_epi128(_mm512_xor_si512(a, swap_halves(a)),
					  _mm512_xor_si512(h, swap_halves(h)), 0x00);
}

INLINE void sums_add(struct sum *s, const uint8_t b[3][VAES_CHUNK])
{
	s->lo = _mm512_xor_si512(s->lo, _mm512_load_si512(b[0]));
	s->mid = _mm512_xor_si512(s->mid, _mm512_load_si512(b[1]));
	s->hi = _mm512_xor_si512(s->hi, _mm512_load_si512(b[2]));
}

INLINE void sums_store(uint8_t b[3][VAES_CHUNK], const struct sum *s)
{
	_mm512_store_si512(b[0], s->lo);
	_mm512_store_si512(b[1], s->mid);
	_mm512_store_si512(b[2], s->hi);
}

/* What four packets have so far: pair t is the next. */
INLINE void sums_of(struct sum *s, const struct vaes_ctx *c, unsigned t, struct sum acc[LANES])
{
	sums_fold(s, acc);
	if (t > SEGMENT)
		sums_add(s, c->quad_carry);
	sums_zero(acc);
}

/*
 * Before the first pair of a segment: what is before it belongs to its first block. Their product is not added
 * to the sums that steps are busy with, but when these are read the next time.
 */
INLINE void carry_at(struct vaes_ctx *c, unsigned t, struct sum acc[LANES], const struct place *w,
		     bool same)
{
	struct sum s;
	__m512i h;

	if (t % SEGMENT)
		return;
	sums_of(&s, c, t, acc);
	h = load_block(w->h[0]);
#pragma GCC unroll 4
	for (unsigned p = 1; p < LANES && !same; p++)
		h = set_lane(h, p, w->h[p]);
	sums_multiply(&s, reduce(&s), h);
	sums_store(c->quad_carry, &s);
}

INLINE __m512i bits_of(const struct vaes_quad *q, unsigned p)
{
	return _mm512_zextsi128_si512(_mm_set_epi64x((long long)q->key[p]->aad_bits,
						     (long long)q->job[p]->payload_size * 8));
}

/* Where it stands what the four have in common. */
INLINE const struct vaes_quad *like(const struct vaes_quad *q, const struct vaes_quad *first,
				    struct kind kind)
{
	return kind.all ? first : q;
}

/* ICVs on their way: four steps, each on the result of the one before. */
struct finish {
	const struct vaes_quad *q; /* NULL: nothing to be finished */
	const struct vaes_quad *first;
	const uint8_t *y0;
	struct sum s;
	__m512i v;
};

/* The lengths: their product with H is added to the sums. */
INLINE void finish_sums(struct finish *f, const struct vaes_ctx *c, struct kind kind)
{
	const struct vaes_quad *q = f->q, *q0 = like(q, f->first, kind);
	__m512i h = _mm512_setzero_si512(), bits = h;

	if (kind.same) {
		h = load_block(q0->key[0]->h[VAES_POWERS - 1]);
		bits = _mm512_broadcast_i32x4(_mm512_castsi512_si128(bits_of(q0, 0)));
	} else {
#pragma GCC unroll 4
		for (unsigned p = 0; p < LANES; p++) {
			h = set_lane(h, p, q->key[p]->h[VAES_POWERS - 1]);
			bits = _mm512_mask_broadcast_i32x4(bits, (__mmask16)(0xfu << 4 * p),
							   _mm512_castsi512_si128(bits_of(q, p)));
		}
	}
	sums_multiply(&f->s, bits, h);
	sums_add(&f->s, c->quad_sum);
}

INLINE void finish_icvs(struct finish *f, const struct vaes_ctx *c, struct kind kind)
{
	const struct vaes_quad *q0 = like(f->q, f->first, kind);
	const __m512i icv = _mm512_xor_si512(_mm512_shuffle_epi8(f->v, load(c->swap)),
					     _mm512_load_si512(f->y0));

#pragma GCC unroll 4
	for (unsigned p = 0; p < LANES; p++) {
		struct esp_job *j = f->q->job[p];
		const __mmask8 words = (kind.same ? q0->key[0] : f->q->key[p])->icv_words;
		uint8_t *at =
			f->q->esp[p] + VAES_BLOCK + (kind.same ? q0->job[0] : j)->payload_size;
		__m128i x = lane(icv, p);

		/* Kept apart from the store: in one instruction they would touch all 16 bytes. */
		__asm__("" : "+v"(x));
		if (kind.seal) {
			_mm_mask_storeu_epi32(at, words, x);
			j->ok = true;
		} else {
			j->ok = _mm_mask_cmpneq_epi32_mask(words, x,
							   _mm_maskz_loadu_epi32(words, at)) == 0;
		}
	}
}

INLINE void finish_piece(struct finish *f, unsigned piece, const struct vaes_ctx *c,
			 struct kind kind)
{
	if (!f->q)
		return;
	switch (piece) {
	case 0: finish_sums(f, c, kind); break;
	case 1: f->v = reduce(&f->s); break;
	default: finish_icvs(f, c, kind); break;
	}
}

INLINE void finish_all(struct finish *f, const struct vaes_ctx *c, struct kind kind)
{
#pragma GCC unroll 3
	for (unsigned i = 0; i < 3; i++)
		finish_piece(f, i, c, kind);
	f->q = NULL;
}

/* A packet's end: what is left are the lengths and the reduction. */
INLINE void quad_end(struct vaes_ctx *c, struct finish *f, const struct vaes_quad *q, size_t i,
		     struct kind kind, struct sum acc[LANES])
{
	struct sum s;

	sums_of(&s, c, kind.single ? 1 : like(q, f->first, kind)->n_pairs, acc);
	sums_store(c->quad_sum, &s);
	f->q = q;
	f->y0 = c->quad_y0[i % 2];
}

/* Pair t of each packet; hashes that pair or, sealing, the one that waits in c->quad_x. */
INLINE void quad_step(struct vaes_ctx *c, const struct vaes_quad *q, unsigned t, bool first,
		      enum tail tail, struct sum acc[LANES], const struct place *w,
		      struct finish *f, const struct vaes_quad *q0, unsigned n_rounds, uint8_t *y0,
		      struct kind kind)
{
	const uint8_t *ctr = c->ctrs[0] + (size_t)t * PAIR_SIZE;
	const bool last = tail == TAIL_LAST;
	__m512i s[VAES_GROUP], in[VAES_GROUP];
	struct hashing v;
	struct view u;

	view_of(&u, c, q, q0, t, tail, kind);
#pragma GCC unroll 4
	for (unsigned p = 0; p < LANES; p++) {
		__m512i base;

		if (first) {
			base = counter_base(u.at[p], u.key[p]);
			if (!kind.single)
				_mm512_store_si512(c->quad_base[p], base);
		} else {
			base = _mm512_load_si512(c->quad_base[p]);
		}
		s[2 * p] = _mm512_xor_si512(base, load(ctr));
		s[2 * p + 1] = _mm512_xor_si512(base, load(ctr + VAES_CHUNK));
	}
	if (kind.same)
		hash_powers(&v, w->h[0]);
#define PIECE(n) hash_piece(c, &u, n, first, last, &v, acc, w, kind)
#pragma GCC unroll 9
	for (unsigned r = 1; r < 10; r++) {
		quad_round(s, u.key, r, kind.one_key);
		/* later by a round: what waits has only just been written */
		if (r > 1)
			PIECE(r - 2);
		if (f && r % 3 == 2)
			finish_piece(f, r / 3, c, kind);
	}
	if (n_rounds > 10) {
		quad_round(s, u.key, 10, kind.one_key);
		PIECE(8);
		quad_round(s, u.key, 11, kind.one_key);
		PIECE(9);
	} else {
		PIECE(8);
		PIECE(9);
	}
	if (n_rounds > 12) {
		quad_round(s, u.key, 12, kind.one_key);
		PIECE(10);
		quad_round(s, u.key, 13, kind.one_key);
	} else {
		PIECE(10);
	}
	PIECE(11);
#undef PIECE
	/* The text goes in with the last round's key. All is read before anything is written: a
	 * packet may lie where a CPU that compares only low bits of addresses expects another. */
#pragma GCC unroll 8
	for (unsigned i = 0; i < VAES_GROUP; i++) {
		const __m512i k = load_block(u.key[i / 2]->rk[n_rounds]);

		in[i] = quad_text(&u, i / 2, i % 2, last);
		s[i] = _mm512_aesenclast_epi128(s[i], _mm512_xor_si512(k, in[i]));
	}
	if (first) {
		const __m512i head[VAES_GROUP] = {in[0], in[0], in[2], in[2],
						  in[4], in[4], in[6], in[6]};

		_mm512_store_si512(y0, _mm512_xor_si512(first_lanes(s), first_lanes(head)));
	}
#pragma GCC unroll 8
	for (unsigned i = 0; i < VAES_GROUP; i++) {
		const unsigned p = i / 2;
		uint8_t *out = u.at[p] + i % 2 * VAES_CHUNK;
		uint64_t text = last ? u.bytes[i % 2][p] : UINT64_MAX;

		if (first && i % 2 == 0) {
			text &= ~(uint64_t)0xffff;
			_mm512_mask_storeu_epi8(out, text, s[i]);
			s[i] = _mm512_mask_mov_epi8(in[i], text, s[i]);
		} else if (last) {
			_mm512_mask_storeu_epi8(out, text, s[i]);
			s[i] = _mm512_maskz_mov_epi8(text, s[i]);
		} else {
			_mm512_storeu_si512(out, s[i]);
		}
		if (kind.seal)
			_mm512_store_si512(c->quad_x[i],
					   quad_order(&u, p, first && i % 2 == 0, s[i]));
	}
}

/* Whether no packet ends with pair t, nor any that has ended meets a one: then it does not matter what is
 * multiplied for it. */
INLINE bool none_ends(const struct vaes_quad *q, unsigned t)
{
	return t < 64 && t % SEGMENT && !(q->ends >> t & 1);
}

INLINE void quads_seal(struct vaes_ctx *c, const struct vaes_quad *q, size_t n, unsigned n_rounds,
		       struct kind kind)
{
	struct place w;
	struct finish f = {.first = q};
	struct sum acc[LANES];
	struct hashing v;

	for (unsigned p = 0; p < LANES; p++)
		w.h[p] = c->no_key.h[0];
	sums_zero(acc);
	for (size_t i = 0; i < n; i++, q++) {
		const struct vaes_quad *const q0 = like(q, f.first, kind);
		uint8_t *y0 = c->quad_y0[i % 2];
		unsigned t;

		quad_step(c, q, 0, true, kind.single || !kind.same ? TAIL_LAST : TAIL_NONE, acc, &w,
			  kind.single ? &f : NULL, q0, n_rounds, y0, kind);
		if (i)
			quad_end(c, &f, q - 1, i - 1, kind, acc);
		place_at(&w, c, q0, 0, kind.same);
		if (kind.single)
			continue;
		finish_all(&f, c, kind);
		for (t = 1; t < q0->n_whole; t++) {
			quad_step(c, q, t, false, TAIL_NONE, acc, &w, NULL, q0, n_rounds, y0, kind);
			place_at(&w, c, q0, t, kind.same);
			carry_at(c, t, acc, &w, kind.same);
		}
		for (; t < q0->n_pairs; t++) {
			if (!kind.same && none_ends(q, t))
				quad_step(c, q, t, false, TAIL_ENDED, acc, &w, NULL, q0, n_rounds,
					  y0, kind);
			else
				quad_step(c, q, t, false, TAIL_LAST, acc, &w, NULL, q0, n_rounds,
					  y0, kind);
			place_at(&w, c, q0, t, kind.same);
			carry_at(c, t, acc, &w, kind.same);
		}
	}
	finish_all(&f, c, kind);
	if (kind.same)
		hash_powers(&v, w.h[0]);
#pragma GCC unroll 12
	for (unsigned i = 0; i < 3 * LANES; i++)
		hash_piece(c, NULL, i, false, false, &v, acc, &w, kind);
	quad_end(c, &f, q - 1, n - 1, kind, acc);
	finish_all(&f, c, kind);
}

INLINE void quads_open(struct vaes_ctx *c, const struct vaes_quad *q, size_t n, unsigned n_rounds,
		       struct kind kind)
{
	struct place w;
	struct finish f = {.first = q};
	struct sum acc[LANES];

	sums_zero(acc);
	for (size_t i = 0; i < n; i++, q++) {
		const struct vaes_quad *const q0 = like(q, f.first, kind);
		uint8_t *y0 = c->quad_y0[i % 2];
		unsigned t;

		place_at(&w, c, q0, 0, kind.same);
		quad_step(c, q, 0, true, kind.single || !kind.same ? TAIL_LAST : TAIL_NONE, acc, &w,
			  &f, q0, n_rounds, y0, kind);
		for (t = 1; !kind.single && t < q0->n_whole; t++) {
			place_at(&w, c, q0, t, kind.same);
			carry_at(c, t, acc, &w, kind.same);
			quad_step(c, q, t, false, TAIL_NONE, acc, &w, NULL, q0, n_rounds, y0, kind);
		}
		for (; !kind.single && t < q0->n_pairs; t++) {
			place_at(&w, c, q0, t, kind.same);
			carry_at(c, t, acc, &w, kind.same);
			if (!kind.same && none_ends(q, t))
				quad_step(c, q, t, false, TAIL_ENDED, acc, &w, NULL, q0, n_rounds,
					  y0, kind);
			else
				quad_step(c, q, t, false, TAIL_LAST, acc, &w, NULL, q0, n_rounds,
					  y0, kind);
		}
		quad_end(c, &f, q, i, kind, acc);
	}
	finish_all(&f, c, kind);
}

typedef void quads_fn(struct vaes_ctx *c, const struct vaes_quad *q, size_t n, unsigned n_rounds);

#define QUADS(name, fn, ...)                                                                       \
	VAES_512 static void name(struct vaes_ctx *c, const struct vaes_quad *q, size_t n,         \
				  unsigned n_rounds)                                               \
	{                                                                                          \
		fn(c, q, n, n_rounds, (struct kind){__VA_ARGS__});                                 \
	}

QUADS(seal_short_all, quads_seal, .seal = true, .single = true, .one_key = true, .same = true,
      .all = true)
QUADS(seal_short_same, quads_seal, .seal = true, .single = true, .one_key = true, .same = true)
QUADS(seal_short_key, quads_seal, .seal = true, .single = true, .one_key = true)
QUADS(seal_short, quads_seal, .seal = true, .single = true)
QUADS(seal_long_all, quads_seal, .seal = true, .one_key = true, .same = true, .all = true)
QUADS(seal_long_same, quads_seal, .seal = true, .one_key = true, .same = true)
QUADS(seal_long_key, quads_seal, .seal = true, .one_key = true)
QUADS(seal_long, quads_seal, .seal = true)
QUADS(open_short_all, quads_open, .single = true, .one_key = true, .same = true, .all = true)
QUADS(open_short_same, quads_open, .single = true, .one_key = true, .same = true)
QUADS(open_short_key, quads_open, .single = true, .one_key = true)
QUADS(open_short, quads_open, .single = true)
QUADS(open_long_all, quads_open, .one_key = true, .same = true, .all = true)
QUADS(open_long_same, quads_open, .one_key = true, .same = true)
QUADS(open_long_key, quads_open, .one_key = true)
QUADS(open_long, quads_open, .seal = false)

/* What the packets have in common: nothing, the key, those of each four key and size, all of them both. */
enum alike {
	ALIKE_NONE,
	ALIKE_KEY,
	ALIKE_FOURS,
	ALIKE_ALL,
};

static quads_fn *const quads_fns[2][2][4] = {
	{{seal_long, seal_long_key, seal_long_same, seal_long_all},
	 {seal_short, seal_short_key, seal_short_same, seal_short_all}},
	{{open_long, open_long_key, open_long_same, open_long_all},
	 {open_short, open_short_key, open_short_same, open_short_all}},
};

INLINE void quad_set(struct vaes_quad *q, unsigned p, const struct esp_job *j)
{
	const uint32_t size = VAES_BLOCK + j->payload_size;
	const uint32_t left = (size - 1) % PAIR_SIZE + 1;
	const uint32_t in_segment = (size - 1) % (SEGMENT * PAIR_SIZE) + 1;

	q->key[p] = j->key;
	/* the last block of text meets H^2, the lengths H^1 */
	q->h[p] = j->key->h[VAES_POWERS - 1 - (in_segment + VAES_BLOCK - 1) / VAES_BLOCK];
	q->bytes[0][p] = _bzhi_u64(UINT64_MAX, left);
	q->bytes[1][p] = _bzhi_u64(UINT64_MAX, left > VAES_CHUNK ? left - VAES_CHUNK : 0);
	q->last[p] = (size - 1) / PAIR_SIZE;
}

VAES_512 void vaes_512_quads(struct vaes_ctx *c, struct esp_job *const *jobs, uint32_t fours,
			     unsigned n_rounds, bool open)
{
	const struct esp_key *const key = jobs[0]->key;
	enum alike alike = ALIKE_KEY;
	size_t n_quads = 0, n_short = 0;

	for (; fours; fours = _blsr_u32(fours)) {
		struct vaes_quad *q = &c->quads[n_quads++];
		struct esp_job *const *four = &jobs[_tzcnt_u32(fours) * LANES];

		q->n_pairs = 0;
		q->n_whole = UINT32_MAX;
		q->ends = 0;
#pragma GCC unroll 4
		for (unsigned p = 0; p < LANES; p++) {
			struct esp_job *j = four[p];

			q->job[p] = j;
			q->esp[p] = j->esp;
			quad_set(q, p, j);
			alike = j->key == key ? alike : ALIKE_NONE;
			q->ends |= UINT64_C(1) << q->last[p] % 64;
			q->n_whole = q->last[p] < q->n_whole ? q->last[p] : q->n_whole;
			q->n_pairs = q->last[p] + 1 > q->n_pairs ? q->last[p] + 1 : q->n_pairs;
		}
		n_short += q->n_pairs == 1;
	}
	/* the shortest are the first */
	if (n_short)
		quads_fns[open][true][alike](c, c->quads, n_short, n_rounds);
	if (n_short < n_quads)
		quads_fns[open][false][alike](c, c->quads + n_short, n_quads - n_short, n_rounds);
}

/* The first job says what four have in common. */
INLINE void quad_like(struct vaes_quad *q, const struct esp_job *first)
{
	quad_set(q, 0, first);
	q->n_whole = q->last[0];
	q->n_pairs = q->last[0] + 1;
}

INLINE void quad_put(struct vaes_quad *q, unsigned p, struct esp_job *j)
{
	q->job[p] = j;
	q->esp[p] = j->esp;
}

VAES_512 void vaes_512_quads_same(struct vaes_ctx *c, struct esp_job *jobs, size_t n_quads,
				  bool open)
{
	const struct vaes_quad *q = c->quads;

	quad_like(c->quads, jobs);
	for (size_t i = 0; i < n_quads; i++) {
#pragma GCC unroll 4
		for (unsigned p = 0; p < LANES; p++)
			quad_put(&c->quads[i], p, jobs++);
	}
	quads_fns[open][q->n_pairs == 1][ALIKE_ALL](c, q, n_quads, q->key[0]->n_rounds);
}

VAES_512 uint64_t vaes_512_fours_add(struct vaes_ctx *c, struct vaes_fours *f, struct esp_job *jobs,
				     uint64_t which)
{
	struct esp_job *const first = &jobs[_tzcnt_u64(which)];
	const unsigned n = (unsigned)__builtin_popcountll(which) / LANES;
	const bool is_short = vaes_pairs(first) == 1;
	struct vaes_quad *q = c->quads + f->n_short;

	if (is_short)
		f->n_short += n;
	else
		q = &c->quads[VAES_QUADS - (f->n_long += n)];
	for (unsigned i = 0; i < n; i++, q++) {
		quad_like(q, first);
#pragma GCC unroll 4
		for (unsigned p = 0; p < LANES; p++, which = _blsr_u64(which))
			quad_put(q, p, &jobs[_tzcnt_u64(which)]);
	}
	return which;
}

VAES_512 void vaes_512_fours_run(struct vaes_ctx *c, const struct vaes_fours *f, unsigned n_rounds,
				 bool open)
{
	if (f->n_short)
		quads_fns[open][true][ALIKE_FOURS](c, c->quads, f->n_short, n_rounds);
	if (f->n_long)
		quads_fns[open][false][ALIKE_FOURS](c, &c->quads[VAES_QUADS - f->n_long], f->n_long,
						    n_rounds);
}
#endif
