/* SPDX-License-Identifier: Apache-2.0 */
/* lookup: the FIB's answers for a burst of packets of both families. */
#include "dataplane/pipeline.h"

#include "dataplane/dp.h"

static_assert(DP_VEC_SIZE <= DP_LPM_BURST, "a vector is looked up at once");

/* Whether all IPv4 packets have one destination, as those from one peer have. */
static bool one_dst4(const struct dp_ip_burst *b)
{
	const uint16_t n = b->v4.n;
	uint32_t differ = 0;

	if (b->dst4[n - 1] != b->dst4[0])
		return false;
	/* To the end: so it is done four at a time. */
	for (uint16_t i = 0; i < n; i++)
		differ |= b->dst4[i] ^ b->dst4[0];
	return differ == 0;
}

void dp_lookup(struct dp_ip_burst *b)
{
	b->apart = b->v4.n && !one_dst4(b);
	if (b->begun) {
		dp_lpm_finish4(b->lpm4, b->dst4, b->v4.nh, b->v4.n);
	} else if (b->apart) {
		dp_lpm_lookup4(b->lpm4, b->dst4, b->v4.nh, b->v4.n);
	} else if (b->v4.n) {
		const uint16_t n = b->v4.n;
		uint32_t nh;

		dp_lpm_lookup4(b->lpm4, b->dst4, &nh, 1);
		for (uint16_t i = 0; i < n; i++)
			b->v4.nh[i] = nh;
	}
	if (b->v6.n)
		dp_lpm_lookup6(b->lpm6, (const uint8_t(*)[16])b->dst6, b->v6.nh, b->v6.n);
}

/* What comes out of a tunnel that nobody has set finds nothing. */
static void tables_of(const struct dp *dp, const struct dp_ip_vec *v, const struct dp_lpm **t)
{
	for (uint16_t i = 0; i < v->n; i++) {
		const uint32_t table = v->from[i] == DP_TUNNEL_NONE
					       ? dp_meta(v->m[i])->table
					       : __atomic_load_n(&dp->tunnels.hot[v->from[i]].table,
								 __ATOMIC_ACQUIRE);

		t[i] = table < DP_MAX_TABLES ? dp_fib_lpm(&dp->fib, (uint16_t)table, v->family)
					     : &dp->fib.none;
	}
}

void dp_lookup_each(const struct dp *dp, struct dp_ip_burst *b)
{
	const struct dp_lpm *t[DP_VEC_SIZE];

	if (b->v4.n) {
		tables_of(dp, &b->v4, t);
		dp_lpm_each4(t, b->dst4, b->v4.nh, b->v4.n);
	}
	if (b->v6.n) {
		tables_of(dp, &b->v6, t);
		dp_lpm_each6(t, (const uint8_t(*)[16])b->dst6, b->v6.nh, b->v6.n);
	}
}
