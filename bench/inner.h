/* SPDX-License-Identifier: Apache-2.0 */
/*
 * inner: the packets of a benchmark's hosts: UDP over IPv4 or IPv6, checksums and all. What stands in one follows
 * from its size and addresses, so that whoever sees it at the other end knows whether it is as it was.
 */
#ifndef BENCH_INNER_H
#define BENCH_INNER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/addr.h"

#define INNER_MAX 2048u

struct inner {
	uint8_t pattern[INNER_MAX]; /* of which every payload is the beginning */
	uint32_t sums[INNER_MAX];   /* of payloads of these sizes; 0: not known yet */
};

/* `size` bytes, IP header and all. Both addresses are of one family. */
void inner_build(struct inner *in, uint8_t *at, uint32_t size, const struct ip_addr *src,
		 const struct ip_addr *dst);

/* Whether such a packet came from one network for another and is as it was but for one hop. */
bool inner_same(struct inner *in, const uint8_t *ip, uint32_t size, const struct ip_prefix *src,
		const struct ip_prefix *dst);

#endif
