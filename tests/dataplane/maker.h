/* SPDX-License-Identifier: Apache-2.0 */
/* maker: IP packets from words, with every checksum that they should have. */
#ifndef TESTS_DATAPLANE_MAKER_H
#define TESTS_DATAPLANE_MAKER_H

#include <stddef.h>
#include <stdint.h>
#include "base/addr.h"

#define MAKER_ROOM 2048

enum transport {
	TCP = 6,
	UDP = 17,
	DCCP = 33,
	GRE = 47,
	AH = 51,
	OSPF = 89,
	UDPLITE = 136,
	ECHO = 256, /* of ICMP or ICMPv6 */
	ERROR,      /* likewise; quotes `quote` */
};

enum oddity {
	PLAIN = 0,
	UDP_NO_SUM = 1 << 0,
	OPTIONS = 1 << 1, /* IPv4 options; IPv6: hop-by-hop and destination options */
	FIRST = 1 << 2,   /* fragment */
	LATER = 1 << 3,
	ROUTING_DONE = 1 << 4, /* IPv6: no segment left */
	ROUTING_LEFT = 1 << 5,
};

struct packet {
	const char *source, *destination;
	enum transport transport;
	unsigned odd;
	size_t payload; /* bytes behind the transport header; ERROR: of the quote, 0: all of it */
	const struct packet *quote;
};

struct ip_addr maker_addr(const char *text);
/* Into `out`, which has MAKER_ROOM; returns its size. */
size_t maker_build(const struct packet *p, uint8_t *out);

#endif
