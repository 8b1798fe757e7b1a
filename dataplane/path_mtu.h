/* SPDX-License-Identifier: Apache-2.0 */
/*
 * path_mtu: what routers outside tell of the way to a peer (RFC 1191, RFC 8201, RFC 4301 8.2).
 *
 * "Too big" is a message that anybody can forge, and one that is believed makes every packet of a tunnel
 * smaller. So it has to prove that its sender has seen a packet of ours: it quotes our outer addresses, the
 * SPI of an SA by which we send now, a sequence number that we have used lately, and a size that we may have
 * sent and that does not fit through what it claims (RFC 5927 7). Then the tunnel's path MTU is lowered,
 * never below what every IPv6 link (1280) or common IPv4 link (576) carries, and never raised: after ten
 * minutes without such a message it is forgotten, and the next packet of full size tries the way anew.
 *
 * It is the tunnel that learns, not the SA: the SA that a rekey brings goes the same way.
 *
 * Everything here is the manager's; workers see a new struct dp_path. The message itself goes on to Linux,
 * whose sockets (IKE's) learn from it, too.
 */
#ifndef DATAPLANE_PATH_MTU_H
#define DATAPLANE_PATH_MTU_H

#include <stdbool.h>
#include <stdint.h>
#include "base/addr.h"
#include "base/mono.h"

struct dp;

/* RFC 1191 6.3: ten minutes; RFC 8201 4: not before five have passed. */
#define DP_PATH_MTU_AGE span_s(600)

/* What a tunnel has learnt; for these endpoints alone. */
struct dp_path_mtu {
	uint32_t mtu; /* of outer packets; 0: nothing */
	struct ip_addr local, remote;
	struct mono expires;
};

/* Whether an ICMP message (from its header on) says "too big"; no more is known of it. */
bool dp_path_mtu_is_news(const uint8_t *icmp, uint32_t size, uint8_t family);

/* An IP packet (checked: its size is what its header says) with such a message for one of our addresses. */
void dp_path_mtu_heard(struct dp *dp, const uint8_t *ip, uint32_t size);
/* Forgets what is too old. */
void dp_path_mtu_tick(struct dp *dp);
/* Off: forgets everything and learns nothing. */
void dp_path_mtu_enable(struct dp *dp, bool on);

/* The MTU that the tunnel has learnt for the way between these addresses, or `mtu` if that is less. */
uint32_t dp_path_mtu_limit(const struct dp *dp, uint32_t tunnel, const struct ip_addr *local,
			   const struct ip_addr *remote, uint32_t mtu);

#endif
