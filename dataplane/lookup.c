/* SPDX-License-Identifier: Apache-2.0 */
/* lookup: the FIB's answers for a burst of packets of both families. */
#include "dataplane/pipeline.h"

#include "dataplane/dp.h"

void dp_lookup(const struct dp_fib *fib, struct dp_ip_burst *b)
{
	if (b->v4.n)
		(void)rte_fib_lookup_bulk(fib->v4, b->dst4, b->v4.nh, b->v4.n);
	if (b->v6.n)
		(void)rte_fib6_lookup_bulk(fib->v6, DP_FIB6_ADDR(b->dst6), b->v6.nh, b->v6.n);
}
