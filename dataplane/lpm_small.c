/* SPDX-License-Identifier: Apache-2.0 */
/* lpm_small: nodes that are kept as runs of equal entries. See lpm.h. */
#include "dataplane/lpm.h"

#define WORD_BITS 64u
#define N_WORDS   (DP_LPM_ENTRIES / WORD_BITS)

bool dp_lpm_small_make(struct dp_lpm_node *node, const uint32_t entries[DP_LPM_ENTRIES])
{
	unsigned n = 0;
	uint32_t last = ~entries[0];

	for (unsigned w = 0; w < N_WORDS; w++) {
		const uint32_t *at = entries + w * WORD_BITS;
		uint64_t starts = 0;

		for (unsigned i = 0; i < WORD_BITS; i++) {
			starts |= (uint64_t)(at[i] != last) << i;
			last = at[i];
		}
		node->starts[w] = starts;
		node->before[w] = (uint8_t)n;
		for (; starts && n < DP_LPM_RUNS; starts &= starts - 1)
			node->values[n++] = at[__builtin_ctzll(starts)];
		if (starts)
			return false;
	}
	return true;
}

void dp_lpm_small_read(const struct dp_lpm_node *node, uint32_t entries[DP_LPM_ENTRIES])
{
	const uint32_t *next = node->values;
	uint32_t value = 0;

	for (unsigned e = 0; e < DP_LPM_ENTRIES; e++) {
		if (node->starts[e / WORD_BITS] >> (e % WORD_BITS) & 1)
			value = *next++;
		entries[e] = value;
	}
}
