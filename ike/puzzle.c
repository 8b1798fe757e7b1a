/* SPDX-License-Identifier: Apache-2.0 */
/* puzzle: asking, solving and checking (RFC 8019 7.1.3, 8.1, 8.2). */
#include "base/wr.h"
#include "ike/puzzle.h"

bool ike_puzzle_parse(struct rd data, struct ike_puzzle_ask *out)
{
	return rd_u16(&data, &out->prf) && rd_u8(&data, &out->bits) && rd_empty(&data);
}

void ike_puzzle_write(const struct ike_puzzle_ask *ask, uint8_t out[IKE_PUZZLE_ASK_SIZE])
{
	struct wr w = wr_of(out, IKE_PUZZLE_ASK_SIZE);

	wr_u16(&w, ask->prf);
	wr_u8(&w, ask->bits);
}

/* Zero bits at the end of `data`. */
static unsigned zero_bits(const uint8_t *data, size_t size)
{
	unsigned n = 0;

	while (size && data[size - 1] == 0) {
		n += 8;
		size--;
	}
	for (unsigned bit = 0; size && bit < 8 && !(data[size - 1] & 1u << bit); bit++)
		n++;
	return n;
}

static bool fits(const struct ike_crypto *c, uint16_t prf, struct rd s, uint8_t bits,
		 const uint8_t *key, size_t key_size)
{
	const struct ike_prf_desc *d = ike_prf_desc(prf);
	const struct ike_iov in = {s.p, s.size};
	uint8_t out[IKE_PRF_MAX];

	return d && c->prf(c->ctx, d->id, key, key_size, &in, 1, out) &&
	       zero_bits(out, d->size) >= bits;
}

bool ike_puzzle_check(const struct ike_crypto *c, uint16_t prf, struct rd s, uint8_t bits,
		      struct rd solution)
{
	const size_t size = solution.size / IKE_PUZZLE_KEYS;

	/* RFC 8019 7.1.3: four keys of one size ... */
	if (!size || size > IKE_PUZZLE_KEY_MAX || solution.size % IKE_PUZZLE_KEYS != 0)
		return false;
	/* ... that differ from each other. */
	for (size_t i = 0; i < IKE_PUZZLE_KEYS; i++) {
		for (size_t k = 0; k < i; k++) {
			if (!memcmp(solution.p + i * size, solution.p + k * size, size))
				return false;
		}
	}
	for (size_t i = 0; i < IKE_PUZZLE_KEYS; i++) {
		if (!fits(c, prf, s, bits, solution.p + i * size, size))
			return false;
	}
	return true;
}

bool ike_puzzle_begin(const struct ike_puzzle_ask *ask, struct rd s, struct ike_puzzle *out)
{
	*out = (struct ike_puzzle){
		.prf = ask->prf,
		.bits = ask->bits ? ask->bits : IKE_PUZZLE_ANY,
		.s_size = s.size,
	};
	if (out->bits > IKE_PUZZLE_BITS_MAX || !ike_prf_desc(ask->prf) || !s.size ||
	    s.size > sizeof(out->s))
		return false;
	memcpy(out->s, s.p, s.size);
	return true;
}

enum ike_puzzle_state ike_puzzle_work(const struct ike_crypto *c, struct ike_puzzle *p, unsigned n)
{
	while (n--) {
		uint8_t *key = p->keys + p->n_found * IKE_PUZZLE_KEY_SIZE;
		struct wr w = wr_of(key, IKE_PUZZLE_KEY_SIZE);

		if (p->n_tried == IKE_PUZZLE_TRIES)
			return IKE_PUZZLE_TOO_HARD;
		wr_u64(&w, p->n_tried++);
		if (fits(c, p->prf, rd_of(p->s, p->s_size), p->bits, key, IKE_PUZZLE_KEY_SIZE) &&
		    ++p->n_found == IKE_PUZZLE_KEYS)
			return IKE_PUZZLE_SOLVED;
	}
	return IKE_PUZZLE_MORE;
}
