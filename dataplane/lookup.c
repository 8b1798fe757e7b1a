/* SPDX-License-Identifier: Apache-2.0 */
/* lookup: the FIB's answers for a burst of packets of both families. */
#include "dataplane/pipeline.h"

#include "dataplane/dp.h"

void dp_lookup(const struct dp_fib *fib, struct rte_mbuf *const *m, uint16_t n,
	       struct dp_routed *out)
{
	uint32_t dst4[DP_VEC_SIZE];
	uint8_t dst6[DP_VEC_SIZE][16];
	struct rte_mbuf *v6[DP_VEC_SIZE];
	uint16_t n4 = 0, n6 = 0;

	for (uint16_t i = 0; i < n; i++) {
		if (dp_meta(m[i])->family == 4) {
			dst4[n4] = dp_get32(dp_data(m[i]) + 16);
			out->m[n4++] = m[i];
		} else {
			memcpy(dst6[n6], dp_data(m[i]) + 24, 16);
			v6[n6++] = m[i];
		}
	}
	if (n4)
		(void)rte_fib_lookup_bulk(fib->v4, dst4, out->nh, n4);
	if (n6) {
		memcpy(out->m + n4, v6, n6 * sizeof(v6[0]));
		(void)rte_fib6_lookup_bulk(fib->v6, DP_FIB6_ADDR(dst6), out->nh + n4, n6);
	}
	out->n = n;
}
