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
#define V6_HEADER           40u
#define MAX_EXTENSIONS      8u

/* Where the upper layer begins, behind the extension headers that a SYN may have; 0: not found. What
 * AH (51) protects is left alone. */
static uint32_t skip_extensions(const uint8_t *ip, uint32_t size)
{
	uint32_t at = V6_HEADER;
	uint8_t next = ip[6];

	for (unsigned i = 0; i < MAX_EXTENSIONS && next != IPPROTO_TCP; i++) {
		if (size - at < 8)
			return 0;
		switch (next) {
		case IPPROTO_HOPOPTS:
		case IPPROTO_ROUTING:
		case IPPROTO_DSTOPTS:
			next = ip[at];
			at += (ip[at + 1] + 1u) * 8;
			break;
		case IPPROTO_FRAGMENT:
			/* Only the first piece has the header. */
			if (dp_get16(ip + at + 2) & 0xfff8)
				return 0;
			next = ip[at];
			at += 8;
			break;
		default: return 0;
		}
		if (at > size)
			return 0;
	}
	return next == IPPROTO_TCP ? at : 0;
}

/* Finds the TCP header, in an unfragmented packet or the first of its fragments, or NULL. */
static uint8_t *tcp_of(uint8_t *ip, uint32_t size, uint32_t *tcp_size, uint32_t *overhead)
{
	uint32_t at;

	if (size < 20)
		return NULL;
	if (ip[0] >> 4 == 4) {
		at = (ip[0] & 15u) * 4;
		if (ip[9] != IPPROTO_TCP || (dp_get16(ip + 6) & 0x1fff))
			return NULL;
		*overhead = 40;
	} else {
		at = size < V6_HEADER ? 0 : skip_extensions(ip, size);
		if (at == 0)
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
