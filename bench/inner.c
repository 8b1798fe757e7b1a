/* SPDX-License-Identifier: Apache-2.0 */
/* inner: see inner.h. */
#include "bench/inner.h"

#include <string.h>
#include "base/sum.h"

#define IP4_SIZE    20u
#define IP6_SIZE    40u
#define UDP_SIZE    8u
#define PROTO_UDP   17
#define TTL         64
#define SENT_BY     1024
#define RECEIVED_BY 1025

static void put16(uint8_t *at, uint32_t v)
{
	at[0] = (uint8_t)(v >> 8);
	at[1] = (uint8_t)v;
}

static uint32_t payload_sum(struct inner *in, uint32_t size)
{
	if (!in->sums[size])
		in->sums[size] = sum_add(0, in->pattern, size);
	return in->sums[size];
}

static void build_ip(uint8_t *at, uint32_t size, const struct ip_addr *src,
		     const struct ip_addr *dst, uint8_t ttl)
{
	if (src->family == IP_V6) {
		memset(at, 0, 8);
		at[0] = 0x60;
		put16(at + 4, size - IP6_SIZE);
		at[6] = PROTO_UDP;
		at[7] = ttl;
		memcpy(at + 8, src->b, 16);
		memcpy(at + 24, dst->b, 16);
		return;
	}
	memset(at, 0, 12);
	at[0] = 0x45;
	put16(at + 2, size);
	at[6] = 0x40; /* don't fragment */
	at[8] = ttl;
	at[9] = PROTO_UDP;
	memcpy(at + 12, src->b, 4);
	memcpy(at + 16, dst->b, 4);
	put16(at + 10, sum_finish(sum_add(0, at, IP4_SIZE)));
}

static void build(struct inner *in, uint8_t *at, uint32_t size, const struct ip_addr *src,
		  const struct ip_addr *dst, uint8_t ttl)
{
	const uint32_t ip_head = src->family == IP_V6 ? IP6_SIZE : IP4_SIZE;
	const uint32_t n_addr = (uint32_t)ip_size(src), udp_size = size - ip_head;
	uint8_t *const udp = at + ip_head;
	uint32_t sum = PROTO_UDP + udp_size;

	build_ip(at, size, src, dst, ttl);
	put16(udp, SENT_BY);
	put16(udp + 2, RECEIVED_BY);
	put16(udp + 4, udp_size);
	put16(udp + 6, 0);
	memcpy(udp + UDP_SIZE, in->pattern, udp_size - UDP_SIZE);
	sum = sum_add(sum, src->b, n_addr);
	sum = sum_add(sum, dst->b, n_addr);
	sum = sum_finish(sum_add(sum, udp, UDP_SIZE) + payload_sum(in, udp_size - UDP_SIZE));
	put16(udp + 6, sum ? sum : 0xffff); /* RFC 768: 0 says that there is none */
}

void inner_build(struct inner *in, uint8_t *at, uint32_t size, const struct ip_addr *src,
		 const struct ip_addr *dst)
{
	build(in, at, size, src, dst, TTL);
}

bool inner_same(struct inner *in, const uint8_t *ip, uint32_t size, const struct ip_prefix *src,
		const struct ip_prefix *dst)
{
	const bool v6 = src->addr.family == IP_V6;
	const uint32_t n_addr = v6 ? 16 : 4, head = (v6 ? IP6_SIZE : IP4_SIZE) + UDP_SIZE;
	const uint8_t *const addrs = ip + (v6 ? 8 : 12);
	struct ip_addr a, b;
	uint8_t want[INNER_MAX];

	if (size < head || size > sizeof(want))
		return false;
	a = ip_from_bytes(src->addr.family, addrs);
	b = ip_from_bytes(src->addr.family, addrs + n_addr);
	build(in, want, size, &a, &b, TTL - 1);
	return memcmp(want, ip, size) == 0 && ip_prefix_contains(src, &a) &&
	       ip_prefix_contains(dst, &b);
}
