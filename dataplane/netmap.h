/* SPDX-License-Identifier: Apache-2.0 */
/*
 * netmap: 1:1 translation of prefixes in an IP packet, both ways, without any state: host bits are kept
 * (RFC 2663 4.1.1 for whole prefixes). Pure: bytes in, bytes out.
 *
 * "here" is how our side names an address, "there" how the peer does, in the tunnel. Each rule belongs to
 * one side, the peer's hosts or ours; an address that no rule of its side covers keeps its name. One that
 * carries a name which, on the other side of the gateway, stands for another host is refused: a name means
 * one host at each end.
 *
 * Checksums are updated by the difference (RFC 1624 eqn. 3), so that a packet that was damaged before
 * stays so: IPv4's header, TCP, UDP, UDP-Lite, DCCP, ICMPv6. IPv6 addresses are not made neutral to
 * checksums (RFC 6296 is for another purpose): hosts would not keep their bits. An ICMP error quotes a
 * packet of the other direction: its addresses and checksums are translated likewise, as far as there.
 */
#ifndef DATAPLANE_NETMAP_H
#define DATAPLANE_NETMAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/translation.h"

#define NETMAP_MAX 16 /* rules */

/* Addresses as two words, IPv4 in the first one's upper half. */
struct netmap_rule {
	uint64_t mask[2], from[2], to[2];
	uint16_t delta; /* what a one's complement sum over the address grows by, host byte order */
	uint8_t family;
};

/* Of one side, one direction. */
struct netmap_rules {
	uint32_t n;
	struct netmap_rule r[NETMAP_MAX];
};

struct netmap {
	struct netmap_rules to_here[2], to_there[2]; /* by enum translation_side */
};

/* Rules that are canonical and of equal lengths (translation.h). False: too many. */
bool netmap_init(struct netmap *m, const struct translation *t, size_t n);

enum netmap_result {
	NETMAP_UNTOUCHED,
	NETMAP_DONE,
	/* Nothing was changed: an address is taken, or what has to be changed is not in the packet. */
	NETMAP_REFUSED,
};

/*
 * `ip`: a whole packet, checked as far as its IP header and length go. Out of the tunnel: the peer's names
 * become ours; into the tunnel: ours become the peer's.
 */
enum netmap_result netmap_in(const struct netmap *m, uint8_t *ip, size_t size, uint8_t family);
enum netmap_result netmap_out(const struct netmap *m, uint8_t *ip, size_t size, uint8_t family);
/* What netmap_out() has done, undone. */
void netmap_undo_out(const struct netmap *m, uint8_t *ip, size_t size, uint8_t family);

#endif
