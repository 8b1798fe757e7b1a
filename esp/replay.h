/* SPDX-License-Identifier: Apache-2.0 */
/* replay: the window (RFC 4303 3.4.3, Appendix A2). */
#ifndef ESP_REPLAY_H
#define ESP_REPLAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct esp_replay {
	uint64_t top;    /* highest authentic sequence number */
	uint16_t window; /* packets; 0 = no check */
	uint8_t mask;    /* words of the bitmap - 1 */
	bool esn;
} __attribute__((packed, aligned(4))); /* without a gap behind it */

enum esp_replay_verdict {
	ESP_REPLAY_FRESH,
	ESP_REPLAY_SEEN,
	ESP_REPLAY_LATE,
};

/* The bitmap is kept by the caller: mask + 1 words, indexed by sequence / 64. */
size_t esp_replay_bits_size(uint32_t window); /* bytes */
void esp_replay_init(struct esp_replay *r, uint32_t window, bool esn, uint64_t *bits);
/* The top moves into another word of the bitmap. */
void esp_replay_clear(uint64_t *bits, uint32_t mask, uint64_t top, uint64_t seq);

/* Without a window any number might be legitimate; the nearest to the highest seen is assumed. */
#define ESP_REPLAY_INFER_UNCHECKED (1u << 31)

/* RFC 4303 A2.2: which 2^32 subspace does this low half lie in? Names as there. */
static inline uint64_t esp_replay_infer_esn(const struct esp_replay *r, uint32_t seq_lo)
{
	const uint32_t w = r->window ? (uint32_t)r->window : ESP_REPLAY_INFER_UNCHECKED;
	const uint32_t tl = (uint32_t)r->top;
	const uint32_t bl = tl - (w - 1); /* modulo 2^32 */
	uint32_t th = (uint32_t)(r->top >> 32);

	if (tl >= w - 1) {
		/* Case A: the window lies within one subspace. In the last one nothing follows. */
		if (seq_lo < bl && th != UINT32_MAX)
			th++;
	} else {
		/* Case B: it spans two. Before the first subspace there is none. */
		if (seq_lo >= bl && th != 0)
			th--;
	}
	return (uint64_t)th << 32 | seq_lo;
}

/* The whole number of which a packet shows the low half. */
static inline uint64_t esp_replay_infer(const struct esp_replay *r, uint32_t seq_lo)
{
	return r->esn ? esp_replay_infer_esn(r, seq_lo) : seq_lo;
}

/* The low half up to which those above the top's are in its subspace: newer than all before. */
static inline uint32_t esp_replay_newest_lo(const struct esp_replay *r)
{
	const uint32_t w = r->window ? (uint32_t)r->window : ESP_REPLAY_INFER_UNCHECKED;
	const uint32_t tl = (uint32_t)r->top;

	/* The window spans two subspaces (case B): what is at its beginning is of the one before. */
	return r->esn && tl < w - 1 && r->top >> 32 ? tl - w : UINT32_MAX;
}

static inline enum esp_replay_verdict esp_replay_check(const struct esp_replay *r,
						       const uint64_t *bits, uint64_t seq)
{
	/* The usual packet is newer than all before it; zero is not. */
	if (seq > r->top || r->window == 0)
		return ESP_REPLAY_FRESH;
	/* RFC 4303 3.3.3: the first packet's number is 1. */
	if (seq == 0)
		return ESP_REPLAY_SEEN;
	if (r->top - seq >= r->window)
		return ESP_REPLAY_LATE;
	if (bits[(seq >> 6) & r->mask] >> (seq & 63) & 1)
		return ESP_REPLAY_SEEN;
	return ESP_REPLAY_FRESH;
}

/* Only what check calls FRESH. */
static inline void esp_replay_update(struct esp_replay *r, uint64_t *bits, uint64_t seq)
{
	if (seq > r->top) {
		if (seq >> 6 != r->top >> 6)
			esp_replay_clear(bits, r->mask, r->top, seq);
		r->top = seq;
	}
	bits[(seq >> 6) & r->mask] |= (uint64_t)1 << (seq & 63);
}

#endif
