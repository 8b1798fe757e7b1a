/* SPDX-License-Identifier: Apache-2.0 */
/* lookup: the FIB's answers for a burst of packets of both families. */
#include "dataplane/pipeline.h"

#include "dataplane/dp.h"

static_assert(DP_VEC_SIZE <= DP_LPM_BURST, "a vector is looked up at once");

void dp_lookup(struct dp_ip_burst *b)
{
	if (b->v4.n)
		dp_lpm_lookup4(b->lpm4, b->dst4, b->v4.nh, b->v4.n);
	if (b->v6.n)
		dp_lpm_lookup6(b->lpm6, (const uint8_t(*)[16])b->dst6, b->v6.nh, b->v6.n);
}
