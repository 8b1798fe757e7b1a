/* SPDX-License-Identifier: Apache-2.0 */
/*
 * replay: the anti-replay window of an inbound SA half, and the inference of the high half of
 * extended sequence numbers.
 *
 * The bitmap is a ring of 64-bit words addressed by sequence / 64 (the idea of RFC 6479): moving
 * the window clears whole words instead of shifting bits. It holds at least one word more than the
 * window needs, so that the word of the top never shares its bits with the window's far end.
 */
#include "esp/replay.h"

#include <string.h>

static uint32_t replay_words(uint32_t window)
{
	uint32_t n = 2;

	while (n < window / 64 + 1)
		n *= 2;
	return n;
}

size_t esp_replay_bits_size(uint32_t window)
{
	return replay_words(window) * sizeof(uint64_t);
}

void esp_replay_init(struct esp_replay *r, uint32_t window, bool esn, uint64_t *bits)
{
	*r = (struct esp_replay){
		.window = (uint16_t)window,
		.mask = (uint8_t)(replay_words(window) - 1),
		.esn = esn,
	};
	memset(bits, 0, esp_replay_bits_size(window));
}

/* The words that come into use; all of them if the jump is that wide. */
void esp_replay_clear(uint64_t *bits, uint32_t mask, uint64_t top, uint64_t seq)
{
	uint64_t word = seq >> 6;
	uint64_t n = word - (top >> 6);

	if (n > (uint64_t)mask + 1)
		n = (uint64_t)mask + 1;
	for (; n; n--, word--)
		bits[word & mask] = 0;
}
