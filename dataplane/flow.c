/* SPDX-License-Identifier: Apache-2.0 */
/* flow: the hash of a packet's flow. See flow.h. */
#include "dataplane/flow.h"

#include <netinet/in.h>
#include <string.h>

#define FRAG_MASK 0x3fffu /* more fragments, or an offset */
#define V4_SIZE   20u
#define V6_SIZE   40u
#define MAX_SKIPS 4 /* extension headers that are looked behind */

static uint64_t load64(const uint8_t *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static uint32_t load32(const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static uint64_t mix(uint64_t a, uint64_t b)
{
	const __uint128_t x = (__uint128_t)(a ^ UINT64_C(0xa0761d6478bd642f)) *
			      (b ^ UINT64_C(0xe7037ed1a0b428db));

	return (uint64_t)x ^ (uint64_t)(x >> 64);
}

/* Ports where the protocol has them, with its number; `rest` bytes are there. */
static uint64_t upper(const uint8_t *p, uint32_t rest, uint8_t protocol)
{
	switch (protocol) {
	case IPPROTO_TCP:
	case IPPROTO_UDP:
	case IPPROTO_SCTP:
	case IPPROTO_DCCP:
	case IPPROTO_UDPLITE:
		if (rest >= 4)
			return (uint64_t)protocol << 32 | load32(p);
		/* fall through */
	default: return (uint64_t)protocol << 32;
	}
}

static uint64_t upper_v4(const uint8_t *ip, uint32_t size)
{
	const uint32_t header = (ip[0] & 15u) * 4;

	if (((uint32_t)ip[6] << 8 | ip[7]) & FRAG_MASK)
		return 0;
	return upper(ip + header, size - header, ip[9]);
}

/* RFC 8200 4: behind the headers that may stand in every packet of a flow. */
static uint64_t upper_v6(const uint8_t *ip, uint32_t size)
{
	uint8_t protocol = ip[6];
	uint32_t at = V6_SIZE;

	for (int i = 0; i < MAX_SKIPS; i++) {
		if (protocol == IPPROTO_FRAGMENT)
			return 0;
		if (protocol != IPPROTO_HOPOPTS && protocol != IPPROTO_ROUTING &&
		    protocol != IPPROTO_DSTOPTS)
			break;
		if (at + 8 > size)
			return 0;
		protocol = ip[at];
		at += (ip[at + 1] + 1u) * 8;
		if (at > size)
			return 0;
	}
	return upper(ip + at, size - at, protocol);
}

uint64_t dp_flow_hash(const uint8_t *ip, uint32_t size, uint8_t family)
{
	if (family == 4)
		return mix(load64(ip + 12), upper_v4(ip, size));
	return mix(mix(load64(ip + 8), load64(ip + 16)),
		   mix(load64(ip + 24), load64(ip + 32)) ^ upper_v6(ip, size));
}
