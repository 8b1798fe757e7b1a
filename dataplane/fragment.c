/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fragment: cuts IPv4 packets that may be cut (RFC 791 2.3) before they are encrypted, and outer packets
 * when there is no other way.
 */
#include "dataplane/pipeline.h"

#include "base/sum.h"

#define V4_HEADER     20u
#define V4_HEADER_MAX 60u
#define MORE          0x2000u
#define OFFSET        0x1fffu
#define FRAG_UNIT     8u
#define DONT_FRAGMENT 0x4000u
#define V6_HEADER     40u
#define V6_FRAG       8u
#define OPT_END       0
#define OPT_NOP       1
#define OPT_COPIED    0x80

/* The header of all fragments but the first: RFC 791 3.1, only options with the copied flag are in it.
 * Returns its size, or 0 if the options make no sense. */
static uint32_t later_header(const uint8_t *ip, uint32_t header, uint8_t out[V4_HEADER_MAX])
{
	uint32_t size = V4_HEADER;

	memset(out, OPT_END, V4_HEADER_MAX);
	memcpy(out, ip, V4_HEADER);
	for (uint32_t at = V4_HEADER; at < header && ip[at] != OPT_END;) {
		if (ip[at] == OPT_NOP) {
			at++;
			continue;
		}
		if (at + 2 > header || ip[at + 1] < 2 || at + ip[at + 1] > header)
			return 0;
		if (ip[at] & OPT_COPIED) {
			memcpy(out + size, ip + at, ip[at + 1]);
			size += ip[at + 1];
		}
		at += ip[at + 1];
	}
	size = (size + 3) & ~3u;
	out[0] = (uint8_t)(0x40 | size / 4);
	return size;
}

int dp_fragment_v4(struct rte_mempool *pool, struct rte_mbuf *m, uint32_t mtu,
		   struct rte_mbuf *pieces[DP_MAX_FRAGMENTS])
{
	const uint8_t *ip = dp_data(m);
	const uint32_t first = (ip[0] & 15u) * 4;
	const uint32_t size = m->pkt_len - first;
	/* By the first header, which is the largest. */
	const uint32_t step = mtu > first ? (mtu - first) & ~(FRAG_UNIT - 1) : 0;
	const uint16_t flags = dp_get16(ip + 6);
	uint8_t later[V4_HEADER_MAX];
	const uint32_t rest = later_header(ip, first, later);
	uint32_t n = 0;

	if (rest == 0 || step == 0 || (size + step - 1) / step > DP_MAX_FRAGMENTS)
		return 0;
	for (uint32_t at = 0; at < size; at += step, n++) {
		const uint32_t part = RTE_MIN(step, size - at);
		const uint32_t header = at ? rest : first;
		const bool last = at + part == size;
		uint8_t *p;

		pieces[n] = rte_pktmbuf_alloc(pool);
		p = pieces[n] ? (uint8_t *)rte_pktmbuf_append(pieces[n], (uint16_t)(header + part))
			      : NULL;
		if (!p) {
			rte_pktmbuf_free_bulk(pieces, pieces[n] ? n + 1 : n);
			return -1;
		}
		memcpy(p, at ? later : ip, header);
		memcpy(p + header, ip + first + at, part);
		dp_put16(p + 2, (uint16_t)(header + part));
		/* A piece of a piece goes on where that one stood. */
		dp_put16(p + 6,
			 (uint16_t)((flags & ~(MORE | OFFSET)) | (last ? flags & MORE : MORE) |
				    ((flags & OFFSET) + at / FRAG_UNIT)));
		dp_put16(p + 10, 0);
		dp_put16(p + 10, sum_finish(sum_add(0, p, header)));
	}
	return (int)n;
}

/* RFC 8200 4.5. Our outer packets have no extension headers. */
static int fragment_v6(struct rte_mempool *pool, struct rte_mbuf *m, uint32_t mtu, uint32_t id,
		       struct rte_mbuf *pieces[DP_MAX_FRAGMENTS])
{
	const uint8_t *ip = dp_data(m);
	const uint32_t head = V6_HEADER + V6_FRAG, size = m->pkt_len - V6_HEADER;
	const uint32_t step = mtu > head ? (mtu - head) & ~(FRAG_UNIT - 1) : 0;
	uint32_t n = 0;

	if (step == 0 || (size + step - 1) / step > DP_MAX_FRAGMENTS)
		return 0;
	for (uint32_t at = 0; at < size; at += step, n++) {
		const uint32_t part = RTE_MIN(step, size - at);
		uint8_t *p;

		pieces[n] = rte_pktmbuf_alloc(pool);
		p = pieces[n] ? (uint8_t *)rte_pktmbuf_append(pieces[n], (uint16_t)(head + part))
			      : NULL;
		if (!p) {
			rte_pktmbuf_free_bulk(pieces, pieces[n] ? n + 1 : n);
			return -1;
		}
		memcpy(p, ip, V6_HEADER);
		dp_put16(p + 4, (uint16_t)(V6_FRAG + part));
		p[6] = IPPROTO_FRAGMENT;
		p[V6_HEADER] = ip[6];
		p[V6_HEADER + 1] = 0;
		dp_put16(p + V6_HEADER + 2, (uint16_t)(at | (at + part < size ? 1 : 0)));
		dp_put16(p + V6_HEADER + 4, (uint16_t)(id >> 16));
		dp_put16(p + V6_HEADER + 6, (uint16_t)id);
		memcpy(p + head, ip + V6_HEADER + at, part);
	}
	return (int)n;
}

int dp_fragment_outer(struct rte_mempool *pool, struct rte_mbuf *m, uint32_t mtu, uint32_t id,
		      struct rte_mbuf *pieces[DP_MAX_FRAGMENTS])
{
	uint8_t *ip = dp_data(m);

	if (ip[0] >> 4 == 6)
		return fragment_v6(pool, m, mtu, id, pieces);
	/* Pieces may be cut again; whoever is told otherwise would have to drop them. */
	dp_put16(ip + 4, (uint16_t)id);
	dp_put16(ip + 6, (uint16_t)(dp_get16(ip + 6) & ~DONT_FRAGMENT));
	return dp_fragment_v4(pool, m, mtu, pieces);
}
