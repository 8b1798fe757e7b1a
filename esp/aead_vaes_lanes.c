/* SPDX-License-Identifier: Apache-2.0 */
/*
 * aead_vaes_lanes: AES-GCM over four packets of any keys, each in a lane of all vectors.
 *
 * Vector i holds block i of four packets. A round key is the four keys' round keys, as expanding four
 * keys side by side yields them: each is used at once for all blocks, and what a packet needs of its key
 * is one line, whichever packets had it before. Text is transposed on its way in and out. GHASH, too,
 * is computed in lanes, from powers of the four keys' H that are computed for them.
 *
 * Packets of eight blocks or less, from the header on, are done in one step; sealing, it hashes the
 * four before. Longer ones go on, eight blocks a step, with round keys that the first step has kept, and
 * a step hashes what the one before has encrypted. Opening, each hashes its own. Four packets may differ
 * in size: a packet that has ended goes on with nothing, and its hash is left as it is.
 */
#include "base/secret.h"

#if defined(__x86_64__)
#include "esp/aead_vaes_simd.h"

#define LANES     VAES_QUAD
#define STEP      VAES_LANES_STEP
#define STEP_SIZE (STEP * VAES_BLOCK)

/* Keeps what is in memory there: the registers are for what changes. */
#define IN_MEMORY() __asm__ volatile("" ::: "memory")

/* As four_init() reads them: seq_hi with the size, four blocks of a key's line. */
static_assert(offsetof(struct esp_job, seq_hi) == offsetof(struct esp_job, payload_size) + 4,
	      "one word of 64 bits");
static_assert(
	offsetof(struct esp_key, raw) == 0 && offsetof(struct esp_key, h1) == 32 &&
		offsetof(struct esp_key, salt) == 48 && offsetof(struct esp_key, aad_bits) == 56,
	"two blocks of the key, H, and the rest: the salt in its first word, bits in its third");

/* Four packets: what a step knows of them. */
struct four {
	uint8_t *esp[LANES];
	uint32_t size[LANES];     /* from the header on */
	uint64_t bytes[2][LANES]; /* of a step in which packets may end, as masks */
	__m512i left;             /* the same, their number in each byte */
	__m512i rk[2];            /* the last two round keys */
	__m512i rest;             /* of the key's line: see struct esp_key */
	__m512i sizes;            /* first word: of the payload; second: seq_hi */
	__m512i base;             /* counters without their last word; round 0 is done */
	struct vaes_lanes *to;    /* what is hashed later */
};

INLINE void four_init(struct four *f, struct vaes_lanes *to, struct esp_job *const *jobs)
{
	__m512i line[LANES], v[4], payload;

	f->to = to;
	f->sizes = _mm512_setzero_si512();
#pragma GCC unroll 4
	for (unsigned p = 0; p < LANES; p++) {
		const struct esp_job *j = jobs[p];

		f->esp[p] = j->esp;
		f->size[p] = VAES_BLOCK + j->payload_size;
		f->sizes = _mm512_mask_broadcastq_epi64(
			f->sizes, (__mmask8)(3u << 2 * p),
			_mm_loadl_epi64((const void *)&j->payload_size));
		line[p] = load(j->key->raw);
	}
	transpose(v, line);
	f->rk[0] = v[0];
	f->rk[1] = v[1];
	f->rest = v[3];
	_mm512_store_si512(to->secret.h, v[2]);
	payload = _mm512_shuffle_epi32(f->sizes, _MM_PERM_AAAA);
	_mm512_store_si512(
		to->n,
		_mm512_srli_epi32(_mm512_add_epi32(payload, _mm512_set1_epi32(3 * VAES_BLOCK - 1)),
				  4));
	/* NIST SP 800-38D 7.1, 5.: bits of the additional data and of the text */
	_mm512_store_si512(
		to->lengths,
		_mm512_mask_mov_epi32(_mm512_maskz_slli_epi32(0x1111, payload, 3), 0x4444, v[3]));
}

/* How many bytes each packet has of a step that begins at its block `at`. */
INLINE void bytes_set(struct four *f, uint32_t at, bool only)
{
	const __m512i zero = _mm512_setzero_si512();
	const __m512i size = _mm512_add_epi32(_mm512_shuffle_epi32(f->sizes, _MM_PERM_AAAA),
					      _mm512_set1_epi32(VAES_BLOCK));
	const uint32_t before = at * VAES_BLOCK;
	__m512i left = size;

	if (!only) {
		left = _mm512_max_epi32(_mm512_sub_epi32(size, _mm512_set1_epi32((int)before)),
					zero);
		left = _mm512_min_epi32(left, _mm512_set1_epi32(STEP_SIZE));
	}
	f->left = _mm512_shuffle_epi8(left, zero);
#pragma GCC unroll 4
	for (unsigned p = 0; p < LANES; p++) {
		uint32_t n = f->size[p];

		if (!only)
			n = n < before ? 0 : n - before < STEP_SIZE ? n - before : STEP_SIZE;
		f->bytes[0][p] = _bzhi_u64(UINT64_MAX, n);
		f->bytes[1][p] = _bzhi_u64(UINT64_MAX, n < VAES_CHUNK ? 0 : n - VAES_CHUNK);
	}
}

/* n blocks of each packet, `at` bytes from its header on. */
INLINE void text_load(__m512i x[STEP], const struct four *f, uint32_t at, unsigned n, bool whole)
{
#pragma GCC unroll 2
	for (unsigned i = 0; i < n; i += 4, at += VAES_CHUNK) {
		__m512i v[LANES];

#pragma GCC unroll 4
		for (unsigned p = 0; p < LANES; p++)
			v[p] = whole ? load(f->esp[p] + at)
				     : _mm512_maskz_loadu_epi8(f->bytes[i / 4][p], f->esp[p] + at);
		transpose(x + i, v);
	}
}

/* The first step leaves the header as it is. */
INLINE void text_store(const __m512i x[STEP], const struct four *f, uint32_t at, unsigned n,
		       bool first, bool whole)
{
#pragma GCC unroll 2
	for (unsigned i = 0; i < n; i += 4, at += VAES_CHUNK) {
		const uint64_t text = first && i == 0 ? ~(uint64_t)0xffff : UINT64_MAX;
		/* what is behind the last block is stored nowhere */
		const __m512i y[4] = {x[i], x[i + 1], x[i + (i + 2 < n ? 2 : 0)],
				      x[i + (i + 3 < n ? 3 : 0)]};
		__m512i v[LANES];

		transpose(v, y);
#pragma GCC unroll 4
		for (unsigned p = 0; p < LANES; p++) {
			if (whole && text == UINT64_MAX)
				_mm512_storeu_si512(f->esp[p] + at, v[p]);
			else
				_mm512_mask_storeu_epi8(f->esp[p] + at,
							whole ? text : text & f->bytes[i / 4][p],
							v[p]);
		}
	}
}

INLINE __m512i header_load(const struct four *f)
{
	__m512i v = _mm512_setzero_si512();

#pragma GCC unroll 4
	for (unsigned p = 0; p < LANES; p++)
		v = set_lane(v, p, f->esp[p]);
	return v;
}

/* RFC 4106 4, NIST SP 800-38D 7.1: salt and IV. */
INLINE __m512i base_of(const struct four *f, __m512i header)
{
	const __m512i iv = _mm512_maskz_shuffle_epi32(0x6666, header, _MM_PERM_ADCA);

	return _mm512_xor_si512(_mm512_mask_mov_epi32(iv, 0x1111, f->rest), f->rk[0]);
}

/* RFC 4106 5: SPI and sequence number; with ESN its high half between them. */
INLINE __m512i aad_of(const struct vaes_ctx *c, const struct four *f, __m512i header)
{
	const __m512i bit_of_96 = _mm512_set1_epi32(32); /* 64 has it not */
	const __mmask16 esn = _mm512_mask_test_epi32_mask(0x4444, f->rest, bit_of_96);
	__m512i x = _mm512_shuffle_epi8(header, load_block(c->swap_first));

	x = _mm512_mask_shuffle_epi32(x, (__mmask16)(esn >> 1), x, _MM_PERM_DDCA);
	return _mm512_mask_shuffle_epi32(x, esn, f->sizes, _MM_PERM_DBBA);
}

/* GHASH of four packets on its way. */
struct hashing {
	__m512i h[5];   /* powers of H, from 1 on */
	__m512i mid[5]; /* both halves added up: of this power and of the next lower */
	__m512i n, acc;
	struct sum s;
};

INLINE void hash_init(struct hashing *v, const struct vaes_lanes *w, unsigned n_powers)
{
	v->n = load(w->n);
	v->acc = _mm512_setzero_si512();
	v->h[1] = load(w->secret.h);
	v->h[2] = square_lanes(v->h[1]);
	if (n_powers == 4) {
		v->h[3] = multiply_lanes(v->h[1], v->h[2]);
		v->h[4] = square_lanes(v->h[2]);
	}
	v->mid[1] = middles(v->h[1], v->h[1]);
#pragma GCC unroll 4
	for (unsigned i = 2; i <= n_powers; i++)
		v->mid[i] = middles(v->h[i], v->h[i - 1]);
}

/*
 * Two blocks of a group of g, of which the first is the packets' block i: blocks q and q + 1 of it. Where a
 * packet has only k of the group, the last meets H as well; what is behind it is zero.
 */
INLINE void hash_multiply(struct hashing *v, const struct vaes_lanes *w, unsigned x, uint32_t i,
			  unsigned g, unsigned q, bool whole)
{
	__m512i a = load(w->x[x + q]), b = load(w->x[x + q + 1]);
	__m512i ha = v->h[g - q], hb = v->h[g - q - 1], mid = v->mid[g - q];

#pragma GCC unroll 3
	for (unsigned k = g - 1; k > q && !whole; k--) {
		const __mmask8 has_k =
			_mm512_cmpeq_epi64_mask(v->n, _mm512_set1_epi32((int)(i + k)));

		ha = _mm512_mask_mov_epi64(ha, has_k, v->h[k - q]);
		if (k - q > 1)
			hb = _mm512_mask_mov_epi64(hb, has_k, v->h[k - q - 1]);
		mid = _mm512_mask_mov_epi64(mid, has_k, v->mid[k - q]);
	}
	if (q == 0)
		a = _mm512_xor_si512(a, v->acc);
	multiply(&v->s, a, b, ha, hb, mid);
}

INLINE void hash_reduce(struct hashing *v, uint32_t i, bool whole)
{
	const __m512i zero = _mm512_setzero_si512();
	const __m512i sum = reduce(&v->s);
	const __mmask8 here = _mm512_cmpgt_epi64_mask(v->n, _mm512_set1_epi32((int)i));

	v->acc = whole ? sum : _mm512_mask_mov_epi64(v->acc, here, sum);
	v->s = (struct sum){zero, zero, zero};
}

/* Of short packets, two blocks at a time: three pieces more than there are blocks. */
INLINE void hash_short(struct hashing *v, const struct vaes_lanes *w, unsigned piece, unsigned n)
{
	const __m512i zero = _mm512_setzero_si512();
	const unsigned i = (piece - 1) & ~1u;

	if (piece == 0) {
		hash_init(v, w, 2);
		v->s = (struct sum){zero, zero, zero};
	} else if (piece > n + 2) {
		return;
	} else if (piece % 2) {
		hash_multiply(v, w, i, i, 2, 0, i == 0);
	} else {
		hash_reduce(v, i, i == 0);
	}
}

#define HASH_PIECES 9u

/* Of a step, whose first block is the packets' block `at`, four blocks at a time. */
INLINE void hash_long(struct hashing *v, const struct vaes_lanes *w, unsigned piece, uint32_t at,
		      bool whole)
{
	const unsigned x = piece < 4 ? 0 : 4;

	switch (piece) {
	case 0:
	case 4: hash_multiply(v, w, x, at + x, 4, 2, whole); break;
	case 1:
	case 5: hash_multiply(v, w, x, at + x, 4, 0, whole); break;
	case 3:
	case 7: hash_reduce(v, at + x, whole); break;
	default: break;
	}
}

/* What is in the place of block i for GHASH: the lengths behind a packet's last, where it is nothing else's. */
INLINE __m512i with_lengths(const struct vaes_lanes *w, __m512i x, uint32_t i)
{
	const __mmask8 here = _mm512_cmpeq_epi64_mask(load(w->n), _mm512_set1_epi32((int)i + 1));

	return _mm512_mask_mov_epi64(x, here, load(w->lengths));
}

/* What GHASH will read of a step's text: n blocks from the packets' block `at` on. */
INLINE void hash_later(const struct vaes_ctx *c, const struct four *f, const __m512i x[STEP],
		       uint32_t at, unsigned n, bool first, bool whole, bool open)
{
	const __m512i swap = load(c->swap);

#pragma GCC unroll 8
	for (unsigned b = first; b < n; b++) {
		__m512i v;

		if (whole || open)
			v = _mm512_shuffle_epi8(x[b], swap);
		else
			v = _mm512_maskz_shuffle_epi8(
				_mm512_cmpgt_epu8_mask(
					f->left,
					_mm512_add_epi8(swap,
							_mm512_set1_epi8((char)(b * VAES_BLOCK)))),
				x[b], swap);
		if (!whole)
			v = with_lengths(f->to, v, at + b);
		_mm512_store_si512(f->to->x[b], v);
	}
}

/* Text is read at once if it is to be hashed now; its lanes are kept then. */
INLINE void text_open(const struct vaes_ctx *c, const struct four *f, __m512i *header, uint32_t at,
		      unsigned n, bool first, bool whole)
{
	__m512i x[STEP];

	text_load(x, f, at * VAES_BLOCK, n, whole);
	hash_later(c, f, x, at, n, first, whole, true);
#pragma GCC unroll 8
	for (unsigned b = first; b < n; b++)
		_mm512_store_si512(f->to->text[b], x[b]);
	*header = x[0];
	IN_MEMORY();
}

/* The last round, with the text; of the first step's first block nothing is kept but what the ICV is encrypted with. */
INLINE void text_end(const struct vaes_ctx *c, const struct four *f, __m512i s[STEP], __m512i k,
		     uint32_t at, unsigned n, bool first, bool whole, bool open)
{
	__m512i x[STEP];

	if (!open)
		text_load(x, f, at * VAES_BLOCK, n, whole);
	if (first) {
		_mm512_store_si512(f->to->secret.y0, _mm512_aesenclast_epi128(s[0], k));
		s[0] = _mm512_setzero_si512();
	}
#pragma GCC unroll 8
	for (unsigned b = first; b < n; b++)
		s[b] = _mm512_aesenclast_epi128(
			s[b], _mm512_xor_si512(k, open ? load(f->to->text[b]) : x[b]));
	text_store(s, f, at * VAES_BLOCK, n, first, whole);
	if (!open)
		hash_later(c, f, s, at, n, first, whole, false);
}

INLINE void counters(const struct vaes_ctx *c, const struct four *f, __m512i s[STEP], uint32_t at,
		     unsigned n)
{
#pragma GCC unroll 8
	for (unsigned b = 0; b < n; b++)
		s[b] = _mm512_xor_si512(f->base, load_block(c->ctrs[at + b]));
}

INLINE void aes_round(__m512i s[STEP], __m512i k, unsigned n)
{
#pragma GCC unroll 8
	for (unsigned b = 0; b < n; b++)
		s[b] = _mm512_aesenc_epi128(s[b], k);
}

/* Which words of each lane are the packet's ICV. */
INLINE __mmask16 icv_words(struct esp_job *const *jobs)
{
	unsigned words = 0;

#pragma GCC unroll 4
	for (unsigned p = 0; p < LANES; p++)
		words |= (unsigned)jobs[p]->key->icv_words << 4 * p;
	return (__mmask16)words;
}

/* The ICVs that came with the packets. To be read before anything is written near them. */
INLINE void icv_load(const struct four *f, struct esp_job *const *jobs)
{
	const __mmask16 words = icv_words(jobs);
	__m512i v = _mm512_setzero_si512();

#pragma GCC unroll 4
	for (unsigned p = 0; p < LANES; p++)
		v = _mm512_mask_loadu_epi32(v, words & (__mmask16)(0xfu << 4 * p),
					    f->esp[p] + f->size[p] - p * VAES_BLOCK);
	_mm512_store_si512(f->to->icv, v);
}

/* The ICVs are there, or what they ought to be. */
INLINE void finish(const struct vaes_ctx *c, const struct vaes_lanes *w,
		   struct esp_job *const *jobs, __m512i sum, bool open)
{
	const __m512i icv =
		_mm512_xor_si512(_mm512_shuffle_epi8(sum, load(c->swap)), load(w->secret.y0));
	unsigned wrong = 0;

	if (open)
		wrong = _mm512_mask_cmpneq_epi32_mask(icv_words(jobs), icv, load(w->icv));
#pragma GCC unroll 4
	for (unsigned p = 0; p < LANES; p++) {
		struct esp_job *j = jobs[p];

		if (!open) {
			__m128i x = lane(icv, p);

			/* Kept apart from the store: in one instruction they would touch all 16 bytes. */
			__asm__("" : "+v"(x));
			_mm_mask_storeu_epi32(j->esp + VAES_BLOCK + j->payload_size,
					      j->key->icv_words, x);
		}
		j->ok = !(wrong >> 4 * p & 0xf);
	}
}

/* Four packets of n blocks at most. Sealing: hashes those before, if there are. */
INLINE void short_step(struct vaes_ctx *c, struct vaes_lanes *to, struct esp_job *const *jobs,
		       const struct vaes_lanes *w, unsigned n, unsigned n_rounds, bool hash,
		       bool open)
{
	const __m512i zero = _mm512_setzero_si512();
	__m512i s[STEP], header;
	struct hashing v;
	struct four f;

	four_init(&f, to, jobs);
	bytes_set(&f, 0, true);
	if (open) {
		text_open(c, &f, &header, 0, n, true, false);
		icv_load(&f, jobs);
	} else {
		header = header_load(&f);
	}
	_mm512_store_si512(to->x[0], aad_of(c, &f, header));
	_mm512_store_si512(to->x[n], with_lengths(to, zero, n));
	_mm512_store_si512(to->x[n + 1], zero);
	f.base = base_of(&f, header);
	counters(c, &f, s, 0, n);
#pragma GCC unroll 13
	for (unsigned r = 1; r < n_rounds; r++) {
		aes_round(s, round_key(f.rk, r, n_rounds), n);
		if (hash)
			hash_short(&v, w, r - 1, n);
	}
	for (unsigned i = n_rounds - 1; i < n + 3 && hash; i++)
		hash_short(&v, w, i, n);
	text_end(c, &f, s, round_key(f.rk, n_rounds, n_rounds), 0, n, true, false, open);
	if (hash)
		finish(c, w, open ? jobs : jobs - LANES, v.acc, open);
}

INLINE void lanes_short(struct vaes_ctx *c, struct esp_job *const *jobs, size_t n_fours, unsigned n,
			unsigned n_rounds, bool open)
{
	struct vaes_lanes *to = &c->lanes[0], *w = &c->lanes[1];
	struct hashing v;

	if (open) {
		for (size_t i = 0; i < n_fours; i++, jobs += LANES)
			short_step(c, to, jobs, to, n, n_rounds, true, true);
		return;
	}
	short_step(c, to, jobs, to, n, n_rounds, false, false);
	for (size_t i = 1; i < n_fours; i++) {
		struct vaes_lanes *before = to;

		to = w;
		w = before;
		jobs += LANES;
		short_step(c, to, jobs, w, n, n_rounds, true, false);
	}
#pragma GCC unroll 11
	for (unsigned i = 0; i < n + 3; i++)
		hash_short(&v, to, i, n);
	finish(c, to, jobs, v.acc, false);
}

/* Of a long packet's first step, which keeps it, or of a later one. */
INLINE __m512i step_key(struct vaes_ctx *c, struct four *f, unsigned r, unsigned n_rounds,
			bool first)
{
	__m512i k;

	if (!first)
		return load(c->lanes_rk[r]);
	k = round_key(f->rk, r, n_rounds);
	_mm512_store_si512(c->lanes_rk[r], k);
	return k;
}

/* The packets' blocks from `at` on; sealing, hashes those before. */
INLINE void long_step(struct vaes_ctx *c, struct four *f, struct hashing *v, uint32_t at,
		      unsigned n_rounds, bool first, bool whole, bool open)
{
	const uint32_t hash_at = open ? at : at - STEP;
	__m512i s[STEP], header, k;

	if (!whole)
		bytes_set(f, at, false);
	if (open)
		text_open(c, f, &header, at, STEP, first, whole);
	else if (first)
		header = header_load(f);
	if (first) {
		_mm512_store_si512(f->to->x[0], aad_of(c, f, header));
		f->base = base_of(f, header);
	}
	counters(c, f, s, at, STEP);
#pragma GCC unroll 13
	for (unsigned r = 1; r < n_rounds; r++) {
		aes_round(s, step_key(c, f, r, n_rounds, first), STEP);
		if (open || !first)
			hash_long(v, f->to, r - 1, hash_at, whole);
	}
	k = step_key(c, f, n_rounds, n_rounds, first);
	text_end(c, f, s, k, at, STEP, first, whole, open);
}

/* Four packets of more than a step. */
INLINE void lanes_long(struct vaes_ctx *c, struct esp_job *const *jobs, unsigned n_rounds,
		       bool open)
{
	const __m512i zero = _mm512_setzero_si512();
	struct vaes_lanes *to = &c->lanes[0];
	uint32_t shortest, longest, at;
	struct hashing v;
	struct four f;

	four_init(&f, to, jobs);
	hash_init(&v, to, 4);
	if (open)
		icv_load(&f, jobs);
	v.s = (struct sum){zero, zero, zero};
	shortest = longest = f.size[0];
	for (unsigned p = 1; p < LANES; p++) {
		shortest = f.size[p] < shortest ? f.size[p] : shortest;
		longest = f.size[p] > longest ? f.size[p] : longest;
	}
	if (shortest >= STEP_SIZE)
		long_step(c, &f, &v, 0, n_rounds, true, true, open);
	else
		long_step(c, &f, &v, 0, n_rounds, true, false, open);
	for (at = STEP; (at + STEP) * VAES_BLOCK <= shortest; at += STEP)
		long_step(c, &f, &v, at, n_rounds, false, true, open);
	for (; at * VAES_BLOCK < longest; at += STEP)
		long_step(c, &f, &v, at, n_rounds, false, false, open);
#pragma GCC unroll 9
	for (unsigned i = 0; i < HASH_PIECES && !open; i++)
		hash_long(&v, to, i, at - STEP, false);
	/* lengths that are all of a step */
	_mm512_store_si512(to->x[0], with_lengths(to, zero, at));
	_mm512_store_si512(to->x[1], zero);
	hash_multiply(&v, to, 0, at, 2, 0, false);
	hash_reduce(&v, at, false);
	finish(c, to, jobs, v.acc, open);
}

typedef void lanes_fn(struct vaes_ctx *c, struct esp_job *const *jobs, size_t n_fours);

#define SHORT(name, n, n_rounds, open)                                                             \
	VAES_512 static void name(struct vaes_ctx *c, struct esp_job *const *jobs, size_t n_fours) \
	{                                                                                          \
		lanes_short(c, jobs, n_fours, n, n_rounds, open);                                  \
	}
#define LONG(name, n_rounds, open)                                                                 \
	VAES_512 static void name(struct vaes_ctx *c, struct esp_job *const *jobs, size_t n_fours) \
	{                                                                                          \
		for (; n_fours; n_fours--, jobs += LANES)                                          \
			lanes_long(c, jobs, n_rounds, open);                                       \
	}

SHORT(seal_128_4, 4, 10, false)
SHORT(seal_128_6, 6, 10, false)
SHORT(seal_128_8, 8, 10, false)
SHORT(seal_256_4, 4, 14, false)
SHORT(seal_256_6, 6, 14, false)
SHORT(seal_256_8, 8, 14, false)
SHORT(open_128_4, 4, 10, true)
SHORT(open_128_6, 6, 10, true)
SHORT(open_128_8, 8, 10, true)
SHORT(open_256_4, 4, 14, true)
SHORT(open_256_6, 6, 14, true)
SHORT(open_256_8, 8, 14, true)
LONG(seal_128_long, 10, false)
LONG(seal_256_long, 14, false)
LONG(open_128_long, 10, true)
LONG(open_256_long, 14, true)

/* By pairs of blocks of the longest: 2 at least, 5 for all that are longer than a step. */
#define N_LENGTHS 6u

static lanes_fn *const lanes_fns[2][2][N_LENGTHS] = {
	{{NULL, seal_128_4, seal_128_4, seal_128_6, seal_128_8, seal_128_long},
	 {NULL, seal_256_4, seal_256_4, seal_256_6, seal_256_8, seal_256_long}},
	{{NULL, open_128_4, open_128_4, open_128_6, open_128_8, open_128_long},
	 {NULL, open_256_4, open_256_4, open_256_6, open_256_8, open_256_long}},
};

INLINE uint32_t length_of(struct esp_job *const *jobs)
{
	uint32_t max = 0;

#pragma GCC unroll 4
	for (unsigned p = 0; p < LANES; p++)
		max = jobs[p]->payload_size > max ? jobs[p]->payload_size : max;
	max = (max + 3 * VAES_BLOCK - 1) / (2 * VAES_BLOCK);
	return max < N_LENGTHS ? max : N_LENGTHS - 1;
}

VAES_512 void vaes_512_lanes(struct vaes_ctx *c, struct esp_job **jobs, size_t n, unsigned n_rounds,
			     bool open)
{
	size_t n_fours;

	/* the longer four packets are, the less is wasted where all are somebody's */
	for (; n % LANES; n++)
		*--jobs = &c->no_job;
	n_fours = n / LANES;
	for (size_t i = 0, end; i < n_fours; i = end) {
		const uint32_t length = length_of(jobs + i * LANES);

		end = i + 1;
		while (end < n_fours && length_of(jobs + end * LANES) == length)
			end++;
		lanes_fns[open][n_rounds == 14][length](c, jobs + i * LANES, end - i);
	}
	for (unsigned i = 0; i < 2; i++)
		bytes_wipe(&c->lanes[i].secret, sizeof(c->lanes[i].secret));
	bytes_wipe(c->lanes_rk, sizeof(c->lanes_rk));
}
#endif
