/* SPDX-License-Identifier: Apache-2.0 */
/* fragment: cuts IPv4 packets that may be cut (RFC 791 2.3) before they are encrypted. */
#include "dataplane/pipeline.h"

#include "base/sum.h"

#define V4_HEADER 20u
#define MORE      0x2000u
#define OFFSET    0x1fffu
#define FRAG_UNIT 8u

int dp_fragment_v4(struct rte_mempool *pool, struct rte_mbuf *m, uint32_t mtu,
		   struct rte_mbuf *pieces[DP_MAX_FRAGMENTS])
{
	const uint8_t *ip = dp_data(m);
	const uint32_t size = m->pkt_len - V4_HEADER;
	const uint32_t step = mtu > V4_HEADER ? (mtu - V4_HEADER) & ~(FRAG_UNIT - 1) : 0;
	const uint16_t flags = dp_get16(ip + 6);
	uint32_t n = 0;

	if (step == 0 || (size + step - 1) / step > DP_MAX_FRAGMENTS)
		return 0;
	for (uint32_t at = 0; at < size; at += step, n++) {
		const uint32_t part = RTE_MIN(step, size - at);
		const bool last = at + part == size;
		uint8_t *p;

		pieces[n] = rte_pktmbuf_alloc(pool);
		p = pieces[n]
			    ? (uint8_t *)rte_pktmbuf_append(pieces[n], (uint16_t)(V4_HEADER + part))
			    : NULL;
		if (!p) {
			rte_pktmbuf_free_bulk(pieces, pieces[n] ? n + 1 : n);
			return -1;
		}
		memcpy(p, ip, V4_HEADER);
		memcpy(p + V4_HEADER, ip + V4_HEADER + at, part);
		dp_put16(p + 2, (uint16_t)(V4_HEADER + part));
		/* A piece of a piece goes on where that one stood. */
		dp_put16(p + 6,
			 (uint16_t)((flags & ~(MORE | OFFSET)) | (last ? flags & MORE : MORE) |
				    ((flags & OFFSET) + at / FRAG_UNIT)));
		dp_put16(p + 10, 0);
		dp_put16(p + 10, sum_finish(sum_add(0, p, V4_HEADER)));
	}
	return (int)n;
}
