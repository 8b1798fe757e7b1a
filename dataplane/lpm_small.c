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

/* The runs of a node that is being made. */
struct runs {
	unsigned n;
	uint16_t at[DP_LPM_RUNS + 2];
	uint32_t values[DP_LPM_RUNS + 2];
};

static void begin(struct runs *r, unsigned at, uint32_t value)
{
	if (r->n && r->values[r->n - 1] == value)
		return;
	r->at[r->n] = (uint16_t)at;
	r->values[r->n++] = value;
}

/* The first entry after this one that begins a run, or DP_LPM_ENTRIES. */
static unsigned next_start(const struct dp_lpm_node *n, unsigned slot)
{
	for (unsigned w = ++slot / WORD_BITS; w < N_WORDS; w++, slot = w * WORD_BITS) {
		const uint64_t starts = n->starts[w] >> (slot % WORD_BITS);

		if (starts)
			return slot + (unsigned)__builtin_ctzll(starts);
	}
	return DP_LPM_ENTRIES;
}

bool dp_lpm_small_change(struct dp_lpm_node *node, const struct dp_lpm_node *old, unsigned slot,
			 uint32_t value)
{
	struct runs r = {0};
	unsigned end;

	for (unsigned at = 0, i = 0; at < DP_LPM_ENTRIES; at = end, i++) {
		end = next_start(old, at);
		if (at < slot)
			begin(&r, at, old->values[i]);
		if (at <= slot && slot < end)
			begin(&r, slot, value);
		if (end > slot + 1)
			begin(&r, at > slot ? at : slot + 1, old->values[i]);
	}
	if (r.n > DP_LPM_RUNS)
		return false;
	for (unsigned i = 0; i < r.n; i++) {
		const unsigned word = r.at[i] / WORD_BITS;

		node->starts[word] |= UINT64_C(1) << (r.at[i] % WORD_BITS);
		node->values[i] = r.values[i];
		for (unsigned w = word + 1; w < N_WORDS; w++)
			node->before[w]++;
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
