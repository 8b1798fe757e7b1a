/* SPDX-License-Identifier: Apache-2.0 */
/*
 * aead_vaes_256_burst: the steps of AES-GCM on 256-bit vectors.
 *
 * A step encrypts the counters of a group, four chunks, round by round, eight vectors at once, and between
 * the rounds multiplies the group before for GHASH. Packets are cut into groups; what is left of one at the
 * end, a short packet as a whole, shares a group with that of another if it is two chunks at most.
 *
 * The powers of H that a key keeps are enough for the end of a packet; of what is before, each
 * group's sums are reduced and added to the first block of the next.
 */
#include "base/secret.h"

#if defined(__x86_64__)
#include "esp/aead_vaes_256.h"

#define VECTORS   (2 * Y_CHUNKS)
#define HALF_SIZE (Y_GROUP / 2)

/* Vectors of a part. */
INLINE unsigned n_vectors(bool two)
{
	return two ? VECTORS / 2 : VECTORS;
}

/* The vectors of a group on their way through the rounds. */
struct states {
	__m256i s[VECTORS];
	const struct esp_key *key[2];
};

INLINE void counters(struct states *v, const struct y_group *g, bool two)
{
#pragma GCC unroll 8
	for (unsigned i = 0; i < VECTORS; i++) {
		const struct y_packet *p = g->packet[i / n_vectors(two)];

		v->key[i / n_vectors(two)] = p->key;
		v->s[i] = _mm256_xor_si256(load(p->base),
					   load(p->ctr + i % n_vectors(two) * Y_VECTOR));
	}
}

INLINE void aes_round(struct states *v, unsigned r, bool two)
{
	__m256i k;

	/* Keys are loaded where they are used: fetched ahead they would take the products' registers. */
	__asm__ volatile("" ::: "memory");
	k = load_twice(v->key[0]->rk[r]);
#pragma GCC unroll 8
	for (unsigned i = 0; i < VECTORS; i++) {
		if (two && i == n_vectors(two))
			k = load_twice(v->key[1]->rk[r]);
		v->s[i] = _mm256_aesenc_epi128(v->s[i], k);
	}
}

/* A packet's chunks on their way into its sums. */
struct hashing {
	struct y_packet *packet;
	const uint8_t *h;
	__m256i a, b, sum[3];
};

INLINE void add_products(struct hashing *v, unsigned which, __m256i x, __m256i y)
{
	__m256i sum = _mm256_xor_si256(_mm256_xor_si256(v->sum[which], x), y);

	/* Not later: both products would have to be kept. */
	__asm__ volatile("" : "+x"(sum));
	v->sum[which] = sum;
}

INLINE void store_sums(const struct hashing *v)
{
	/* As a loop they would be copied by way of general registers. */
#pragma GCC unroll 3
	for (unsigned i = 0; i < 3; i++)
		store(v->packet->sum[i], v->sum[i]);
}

/* The four chunks' twelve pieces of a group's hash: two multiplications each. */
INLINE void hash_piece(struct hashing *v, const struct y_group *w, unsigned piece, bool two)
{
	const unsigned chunk = piece / 3, each = n_vectors(two) / 2, n = chunk % each;
	const uint8_t *h;
	__m256i m, k;

	if (piece % 3 == 0) {
		v->a = load(w->x[2 * chunk]);
		v->b = load(w->x[2 * chunk + 1]);
	}
	if (piece % 3 == 0 && n == 0) {
		v->packet = w->packet[chunk / each];
		v->h = w->h[chunk / each];
		v->a = _mm256_xor_si256(v->a, load(v->packet->add));
#pragma GCC unroll 3
		for (unsigned i = 0; i < 3; i++)
			v->sum[i] = load(v->packet->sum[i]);
	}
	h = v->h + n * Y_CHUNK;
	switch (piece % 3) {
	case 0:
		add_products(v, 0, _mm256_clmulepi64_epi128(v->a, load(h), 0x00),
			     _mm256_clmulepi64_epi128(v->b, load(h + Y_VECTOR), 0x00));
		break;
	case 1:
		add_products(v, 2, _mm256_clmulepi64_epi128(v->a, load(h), 0x11),
			     _mm256_clmulepi64_epi128(v->b, load(h + Y_VECTOR), 0x11));
		break;
	default:
		/* the middle products of both vectors side by side */
		m = _mm256_xor_si256(_mm256_unpacklo_epi64(v->a, v->b),
				     _mm256_unpackhi_epi64(v->a, v->b));
		k = load(h + Y_MID_AT);
		add_products(v, 1, _mm256_clmulepi64_epi128(m, k, 0x00),
			     _mm256_clmulepi64_epi128(m, k, 0x11));
		if (n + 1 == each)
			store_sums(v);
		break;
	}
}

INLINE __m128i fold(const uint8_t *sum)
{
	return _mm_xor_si128(load_block(sum), load_block(sum + Y_BLOCK));
}

INLINE struct y_product sums_of(const struct y_packet *p)
{
	return (struct y_product){fold(p->sum[0]), fold(p->sum[1]), fold(p->sum[2])};
}

INLINE void sums_zero(struct y_packet *p)
{
#pragma GCC unroll 3
	for (unsigned i = 0; i < 3; i++)
		store(p->sum[i], _mm256_setzero_si256());
}

/* What is left of a packet: the lengths, the reduction, and the ICV, 8, 12 or 16 bytes of it. */
INLINE void finish(const struct y_ctx *c, const struct y_packet *p, bool seal)
{
	struct esp_job *j = p->job;
	const struct esp_key *k = j->key;
	uint8_t *at = j->esp + Y_BLOCK + j->payload_size;
	const size_t second = k->icv_size - 8u; /* the last eight bytes may overlap the first */
	const struct y_product bits =
		multiply(_mm_set_epi64x(k->aad_bits, (long long)j->payload_size * 8),
			 load_block(k->h[Y_POWERS - 1]));
	struct y_product s = sums_of(p);
	uint8_t icv[Y_BLOCK];
	__m128i v, there;

	s.lo = _mm_xor_si128(s.lo, bits.lo);
	s.mid = _mm_xor_si128(s.mid, bits.mid);
	s.hi = _mm_xor_si128(s.hi, bits.hi);
	v = _mm_shuffle_epi8(reduce(s), load_block(c->swap));
	v = _mm_xor_si128(v, load_block(p->y0[0]));
	_mm_storeu_si128((void *)icv, v);
	v = _mm_unpacklo_epi64(v, _mm_loadl_epi64((const void *)(icv + second)));
	if (seal) {
		_mm_storel_epi64((void *)at, v);
		_mm_storel_epi64((void *)(at + second), _mm_unpackhi_epi64(v, v));
		j->ok = true;
	} else {
		there = _mm_unpacklo_epi64(_mm_loadl_epi64((const void *)at),
					   _mm_loadl_epi64((const void *)(at + second)));
		v = _mm_xor_si128(v, there);
		j->ok = _mm_testz_si128(v, v);
	}
}

/* The first n bytes of a vector, less than all, by stores of whole blocks: before one that is incomplete is
 * another. */
INLINE void store_some(struct y_ctx *c, uint8_t *at, uint32_t n, __m256i v)
{
	store(c->out + Y_BLOCK, v);
	if (n > Y_BLOCK)
		_mm_storeu_si128((void *)at, _mm256_castsi256_si128(v));
	else
		_mm_storeu_si128((void *)c->out, load_block(at - Y_BLOCK));
	_mm_storeu_si128((void *)(at + n - Y_BLOCK), load_block(c->out + n));
}

INLINE __m256i hash_order(const struct y_ctx *c, __m256i v)
{
	return _mm256_shuffle_epi8(v, load(c->swap));
}

/* The last round, and the text of four whole chunks. */
INLINE void text_body(const struct y_ctx *c, struct y_group *g, struct states *v, unsigned n_rounds,
		      bool seal)
{
	const __m256i k = load_twice(v->key[0]->rk[n_rounds]);
	uint8_t *at = g->packet[0]->at;
	__m256i in;

#pragma GCC unroll 8
	for (unsigned i = 0; i < VECTORS; i++) {
		in = load(at + i * Y_VECTOR);
		v->s[i] = _mm256_aesenclast_epi128(v->s[i], _mm256_xor_si256(k, in));
		store(g->x[i], hash_order(c, seal ? v->s[i] : in));
	}
#pragma GCC unroll 8
	for (unsigned i = 0; i < VECTORS; i++)
		store(at + i * Y_VECTOR, v->s[i]);
}

/* n bytes of a vector, of which those that may be are text; returns what GHASH gets. Whole words are read: behind
 * the text is the ICV. */
INLINE __m256i text_some(struct y_ctx *c, uint8_t *at, uint32_t n, __m256i stream, __m256i may,
			 bool seal)
{
	const __m256i words = load(c->mask + Y_VECTOR - ((n + 3) & ~3u));
	const __m256i text = _mm256_and_si256(load(c->mask + Y_VECTOR - n), may);
	const __m256i in = _mm256_maskload_epi32((const void *)at, words);
	const __m256i out = _mm256_xor_si256(in, _mm256_and_si256(stream, text));

	if (n == Y_VECTOR)
		store(at, out);
	else
		store_some(c, at, n, out);
	return _mm256_and_si256(seal ? out : in, text);
}

/* The same for a packet that may begin here with its header, or end; its n vectors are those from `first` on. */
INLINE void text_of(struct y_ctx *c, struct y_group *g, const struct states *v, unsigned n_rounds,
		    unsigned first, unsigned n, bool seal)
{
	struct y_packet *p = g->packet[first / n];
	const __m256i k = load_twice(v->key[first / n]->rk[n_rounds]);
	const __m256i all = _mm256_set1_epi8(-1);
	const uint32_t size = p->size, later = p->later;
	uint8_t *at = p->at;
	__m256i x, in;

	x = _mm256_aesenclast_epi128(v->s[first], k);
	_mm_store_si128((void *)p->y0[later], _mm256_castsi256_si128(x));
	x = text_some(c, at, size < Y_VECTOR ? size : Y_VECTOR, x, load(c->text[later]), seal);
	store(g->x[first], hash_order(c, x));
#pragma GCC unroll 7
	for (unsigned i = 1; i < n; i++) {
		const uint32_t before = i * Y_VECTOR;

		x = _mm256_setzero_si256();
		if (size >= before + Y_VECTOR) {
			in = load(at + before);
			x = _mm256_aesenclast_epi128(v->s[first + i], _mm256_xor_si256(k, in));
			store(at + before, x);
			x = seal ? x : in;
		} else if (size > before) {
			x = _mm256_aesenclast_epi128(v->s[first + i], k);
			x = text_some(c, at + before, size - before, x, all, seal);
		}
		store(g->x[first + i], hash_order(c, x));
	}
}

/* Encrypts (or decrypts) a group, and hashes the one before. */
INLINE void step(struct y_ctx *c, struct y_group *g, const struct y_group *w, enum y_kind kind,
		 bool w_two, bool seal)
{
	const unsigned n_rounds = g->packet[0]->key->n_rounds;
	const bool two = kind == Y_TWO;
	struct hashing h;
	struct states v;

	counters(&v, g, two);
#pragma GCC unroll 9
	for (unsigned r = 1; r < 10; r++) {
		aes_round(&v, r, two);
		hash_piece(&h, w, r - 1, w_two);
	}
	if (n_rounds > 10) {
		aes_round(&v, 10, two);
		hash_piece(&h, w, 9, w_two);
		aes_round(&v, 11, two);
		hash_piece(&h, w, 10, w_two);
	} else {
		hash_piece(&h, w, 9, w_two);
		hash_piece(&h, w, 10, w_two);
	}
	if (n_rounds > 12) {
		aes_round(&v, 12, two);
		hash_piece(&h, w, 11, w_two);
		aes_round(&v, 13, two);
	} else {
		hash_piece(&h, w, 11, w_two);
	}
	if (kind == Y_BODY) {
		text_body(c, g, &v, n_rounds, seal);
		return;
	}
	text_of(c, g, &v, n_rounds, 0, n_vectors(two), seal);
	if (two)
		text_of(c, g, &v, n_rounds, n_vectors(two), n_vectors(two), seal);
}

typedef void step_fn(struct y_ctx *c, struct y_group *g, const struct y_group *w);

#define STEP(name, kind, w_two, seal)                                                              \
	VAES_256 static void name(struct y_ctx *c, struct y_group *g, const struct y_group *w)     \
	{                                                                                          \
		step(c, g, w, kind, w_two, seal);                                                  \
	}

STEP(seal_body, Y_BODY, false, true)
STEP(seal_body_two, Y_BODY, true, true)
STEP(seal_one, Y_ONE, false, true)
STEP(seal_one_two, Y_ONE, true, true)
STEP(seal_two, Y_TWO, false, true)
STEP(seal_two_two, Y_TWO, true, true)
STEP(open_body, Y_BODY, false, false)
STEP(open_body_two, Y_BODY, true, false)
STEP(open_one, Y_ONE, false, false)
STEP(open_one_two, Y_ONE, true, false)
STEP(open_two, Y_TWO, false, false)
STEP(open_two_two, Y_TWO, true, false)

/* By what the group is, and by whether the one before is of two packets. */
static step_fn *const seal_steps[3][2] = {
	[Y_BODY] = {seal_body, seal_body_two},
	[Y_ONE] = {seal_one, seal_one_two},
	[Y_TWO] = {seal_two, seal_two_two},
};
static step_fn *const open_steps[3][2] = {
	[Y_BODY] = {open_body, open_body_two},
	[Y_ONE] = {open_one, open_one_two},
	[Y_TWO] = {open_two, open_two_two},
};

/* Where a burst is. */
struct row {
	struct y_ctx *c;
	struct y_group *g, *half, *w; /* free; with one packet's end, if has_half; the one before */
	struct y_packet *free[Y_PACKETS];
	unsigned n_free;
	bool has_half;
};

/* After a group has been hashed. */
INLINE void hashed(struct row *r, const struct y_group *w, bool seal)
{
	struct y_packet *p = w->packet[0];

	if (w->ends) {
		for (unsigned i = 0; i < (w->kind == Y_TWO ? 2 : 1); i++) {
			finish(r->c, w->packet[i], seal);
			r->free[r->n_free++] = w->packet[i];
		}
	} else if (w->carry) {
		store(p->add, _mm256_zextsi128_si256(reduce(sums_of(p))));
		sums_zero(p);
	} else {
		store(p->add, _mm256_setzero_si256());
	}
}

/* Returns a group that is free then. */
INLINE struct y_group *run_group(struct row *r, struct y_group *g, enum y_kind kind, bool seal)
{
	struct y_group *w = r->w;

	g->kind = kind;
	(seal ? seal_steps : open_steps)[kind][w->kind == Y_TWO](r->c, g, w);
	hashed(r, w, seal);
	r->w = g;
	return w == &r->c->idle ? &r->c->groups[2] : w;
}

/* RFC 4106 4, NIST SP 800-38D 7.1: salt, IV, counter; 5: the additional data. */
INLINE void packet_init(const struct y_ctx *c, struct y_packet *p, struct esp_job *j)
{
	const struct esp_key *k = j->key;
	const __m256i iv_only = _mm256_setr_epi32(0, -1, -1, 0, 0, -1, -1, 0);
	const uint64_t header = esp_get64(j->esp), spi = header & ~UINT64_C(0xffffffff);
	const uint64_t aad_hi = k->esn ? spi | j->seq_hi : header,
		       aad_lo = k->esn ? header << 32 : 0;

	p->job = j;
	p->key = k;
	p->at = j->esp;
	p->ctr = c->ctrs[0];
	p->later = 0;
	/* what lies four bytes before the IV begins where the nonce does */
	store(p->base,
	      _mm256_xor_si256(load_twice(k->nonce),
			       _mm256_and_si256(load_twice(j->esp + ESP_HDR_SIZE - AEAD_SALT_SIZE),
						iv_only)));
	store(p->add, _mm256_zextsi128_si256(_mm_set_epi64x((long long)aad_hi, (long long)aad_lo)));
	sums_zero(p);
}

/* What a group has to know of a packet; n: the power of H that its first block meets. */
INLINE void place(struct y_group *g, unsigned i, struct y_packet *p, uint32_t size, uint32_t n)
{
	g->packet[i] = p;
	g->h[i] = p->key->h[Y_POWERS - n];
	p->size = size;
}

INLINE void add_packet(struct row *r, struct esp_job *j, bool seal)
{
	struct y_packet *p = r->free[--r->n_free];
	uint32_t left = Y_BLOCK + j->payload_size, n = (left + Y_BLOCK - 1) / Y_BLOCK + 1;

	packet_init(r->c, p, j);
	for (enum y_kind kind = Y_ONE; left > Y_GROUP; left -= Y_GROUP, n -= Y_GROUP / Y_BLOCK) {
		/* Powers for all that follows, or for this group alone. */
		r->g->carry = n > Y_POWERS;
		r->g->ends = false;
		place(r->g, 0, p, Y_GROUP, r->g->carry ? Y_GROUP / Y_BLOCK : n);
		r->g = run_group(r, r->g, kind, seal);
		p->at += Y_GROUP;
		p->ctr += Y_GROUP;
		p->later = 1;
		kind = Y_BODY;
	}
	if (left > HALF_SIZE) {
		r->g->ends = true;
		place(r->g, 0, p, left, n);
		r->g = run_group(r, r->g, Y_ONE, seal);
		return;
	}
	place(r->half, r->has_half, p, left, n);
	if (r->has_half) {
		r->half->ends = true;
		r->half = run_group(r, r->half, Y_TWO, seal);
	}
	r->has_half = !r->has_half;
}

VAES_256 static void hash_rest(const struct y_group *w)
{
	struct hashing h;

	if (w->kind == Y_TWO) {
#pragma GCC unroll 12
		for (unsigned i = 0; i < 3 * Y_CHUNKS; i++)
			hash_piece(&h, w, i, true);
	} else {
#pragma GCC unroll 12
		for (unsigned i = 0; i < 3 * Y_CHUNKS; i++)
			hash_piece(&h, w, i, false);
	}
}

/* The promise of a job's size, and that its blocks have counters. */
INLINE bool size_ok(const struct esp_job *j)
{
	return j->payload_size != 0 && j->payload_size <= Y_PAYLOAD_MAX;
}

/* Jobs whose keys have this number of rounds. */
INLINE void run_row(struct y_ctx *c, struct esp_job *jobs, size_t n, unsigned n_rounds, bool seal)
{
	struct row r = {.c = c, .g = &c->groups[0], .half = &c->groups[1], .w = &c->idle};

	for (; r.n_free < Y_PACKETS; r.n_free++)
		r.free[r.n_free] = &c->packets[r.n_free];
	for (size_t i = 0; i < n; i++)
		if (jobs[i].key->n_rounds == n_rounds && size_ok(&jobs[i]))
			add_packet(&r, &jobs[i], seal);
	if (r.has_half) {
		r.half->ends = true;
		(void)run_group(&r, r.half, Y_ONE, seal);
	}
	hash_rest(r.w);
	hashed(&r, r.w, seal);
}

INLINE void run(struct y_ctx *c, struct esp_job *jobs, size_t n, bool seal)
{
	unsigned lengths = 0;

	for (size_t i = 0; i < n; i++) {
		jobs[i].ok = false;
		lengths |= 1u << jobs[i].key->n_rounds;
	}
	for (unsigned n_rounds = 10; n_rounds <= 14; n_rounds += 2)
		if (lengths & 1u << n_rounds)
			run_row(c, jobs, n, n_rounds, seal);
}

VAES_256 void vaes_256_seal(struct y_ctx *c, struct esp_job *jobs, size_t n)
{
	run(c, jobs, n, true);
}

VAES_256 void vaes_256_open(struct y_ctx *c, struct esp_job *jobs, size_t n)
{
	run(c, jobs, n, false);
}
#endif
