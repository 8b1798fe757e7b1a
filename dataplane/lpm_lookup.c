/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lpm_lookup: the readers' side of lpm.h. Each step is done for the whole burst, and fetches what the next
 * one reads, so that waits for memory overlap.
 */
#include "dataplane/lpm.h"

static inline uint32_t load(const uint32_t *p)
{
	return __atomic_load_n(p, __ATOMIC_ACQUIRE);
}

static inline unsigned first16(const uint32_t *ip4, const uint8_t (*ip6)[16], unsigned i)
{
	return ip6 ? (unsigned)ip6[i][0] << 8 | ip6[i][1] : ip4[i] >> 16;
}

static inline unsigned byte_at(const uint32_t *ip4, const uint8_t (*ip6)[16], unsigned i,
			       unsigned step)
{
	return ip6 ? ip6[i][3 + step] : ip4[i] & 255;
}

/* The entry of the node that `entry` says, or what matched so far (`last`) if there is nothing. */
static inline uint32_t step_down(const uint8_t *base, uint32_t entry, unsigned byte, uint32_t *last)
{
	struct dp_lpm_node *node = dp_lpm_child(base, entry);
	const uint32_t v = load(dp_lpm_value(node, entry & DP_LPM_SMALL, byte));
	uint32_t outer;

	if (v && !(v & DP_LPM_CHILD))
		return v;
	outer = load(&node->outer);
	*last = outer ? outer : *last;
	return v ? v : *last;
}

/* `begun`: the entries of the root have been read, and what they say fetched. */
static inline __attribute__((always_inline)) void
lookup(const struct dp_lpm *t, const struct dp_lpm *const *ts, const uint32_t *ip4,
       const uint8_t (*ip6)[16], uint32_t *values, unsigned n, bool begun)
{
	const uint8_t *base = (ts ? ts[0] : t)->mem->base;
	uint32_t last[DP_LPM_BURST]; /* what matched so far */
	uint8_t on[DP_LPM_BURST];    /* who is still on the way */
	unsigned n_on = 0;

	for (unsigned i = 0; i < n; i++) {
		const uint32_t first = ip6 ? dp_lpm_first6(ip6[i]) : ip4[i] >> 8;
		const uint32_t v = begun ? values[i] : load(&(ts ? ts[i] : t)->root[first]);

		values[i] = v;
		on[n_on] = (uint8_t)i;
		n_on += v >> 31;
	}
	for (unsigned j = 0; j < n_on; j++) {
		const unsigned i = on[j];

		last[i] = 0;
		if (!begun)
			__builtin_prefetch(dp_lpm_next(base, values[i], byte_at(ip4, ip6, i, 0)));
	}
	for (unsigned step = 0; n_on; step++) {
		unsigned k = 0;

		for (unsigned j = 0; j < n_on; j++) {
			const unsigned i = on[j];
			const uint32_t v =
				step_down(base, values[i], byte_at(ip4, ip6, i, step), &last[i]);

			values[i] = v;
			on[k] = (uint8_t)i;
			k += v >> 31;
		}
		n_on = k;
	}
	for (unsigned i = 0; i < n; i++) {
		if (!values[i])
			values[i] = load(&(ts ? ts[i] : t)->shorts[first16(ip4, ip6, i)]);
	}
}

void dp_lpm_lookup4(const struct dp_lpm *t, const uint32_t *ip, uint32_t *values, unsigned n)
{
	lookup(t, NULL, ip, NULL, values, n, false);
}

void dp_lpm_finish4(const struct dp_lpm *t, const uint32_t *ip, uint32_t *values, unsigned n)
{
	lookup(t, NULL, ip, NULL, values, n, true);
}

void dp_lpm_lookup6(const struct dp_lpm *t, const uint8_t (*ip)[16], uint32_t *values, unsigned n)
{
	lookup(t, NULL, NULL, ip, values, n, false);
}

void dp_lpm_each4(const struct dp_lpm *const *t, const uint32_t *ip, uint32_t *values, unsigned n)
{
	lookup(NULL, t, ip, NULL, values, n, false);
}

void dp_lpm_each6(const struct dp_lpm *const *t, const uint8_t (*ip)[16], uint32_t *values,
		  unsigned n)
{
	lookup(NULL, t, NULL, ip, values, n, false);
}
