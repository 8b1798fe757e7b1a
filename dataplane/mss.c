/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mss: TCP hosts on both sides believe in their own link's MTU, and path MTU discovery fails
 * wherever somebody filters ICMP. Lowering the MSS of SYNs that pass makes TCP fit the tunnel.
 */
#include "dataplane/pipeline.h"

#define TCP_OFFSET_CHECKSUM 16
#define TCP_OPT_END         0
#define TCP_OPT_NOP         1
#define TCP_OPT_MSS         2
#define TCP_SYN             0x02

/* Finds the TCP header of an unfragmented packet without IPv6 extension headers, or NULL. */
static uint8_t *tcp_of(uint8_t *ip, uint32_t size, uint32_t *tcp_size, uint32_t *overhead)
{
	uint32_t at;

	if (size < 20)
		return NULL;
	if (ip[0] >> 4 == 4) {
		at = (ip[0] & 15u) * 4;
		if (ip[9] != IPPROTO_TCP || (dp_get16(ip + 6) & 0x3fff))
			return NULL;
		*overhead = 40;
	} else {
		at = 40;
		if (size < 40 || ip[6] != IPPROTO_TCP)
			return NULL;
		*overhead = 60;
	}
	if (at + 20 > size)
		return NULL;
	*tcp_size = size - at;
	return ip + at;
}

/* Changes a 16-bit field at an arbitrary offset and mends the checksum (RFC 1624). */
static void patch(uint8_t *tcp, uint32_t at, uint16_t value)
{
	const uint16_t old = dp_get16(tcp + at);
	/* A field at an odd offset adds its bytes swapped. */
	const bool odd = at & 1;
	const uint16_t a = odd ? (uint16_t)(old << 8 | old >> 8) : old;
	const uint16_t b = odd ? (uint16_t)(value << 8 | value >> 8) : value;
	uint32_t sum = (uint16_t)~dp_get16(tcp + TCP_OFFSET_CHECKSUM);

	sum += (uint16_t)~a;
	sum += b;
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	dp_put16(tcp + at, value);
	dp_put16(tcp + TCP_OFFSET_CHECKSUM, (uint16_t)~sum);
}

void dp_mss_clamp_tcp(uint8_t *ip, uint32_t size, uint32_t mtu)
{
	uint32_t tcp_size, overhead, end, at = 20;
	uint8_t *tcp = tcp_of(ip, size, &tcp_size, &overhead);

	if (!tcp || !(tcp[13] & TCP_SYN) || mtu <= overhead)
		return;
	end = (tcp[12] >> 4) * 4u;
	if (end > tcp_size)
		return;
	while (at < end && tcp[at] != TCP_OPT_END) {
		if (tcp[at] == TCP_OPT_NOP) {
			at++;
			continue;
		}
		if (at + 2 > end || tcp[at + 1] < 2 || at + tcp[at + 1] > end)
			return;
		if (tcp[at] == TCP_OPT_MSS && tcp[at + 1] == 4) {
			if (dp_get16(tcp + at + 2) > mtu - overhead)
				patch(tcp, at + 2, (uint16_t)(mtu - overhead));
			return;
		}
		at += tcp[at + 1];
	}
}
