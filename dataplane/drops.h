/* SPDX-License-Identifier: Apache-2.0 */
/*
 * drops: why the dataplane lets a packet disappear. ESP's reasons come first, then our own; every
 * packet that is freed without having been sent or given to Linux adds one to exactly one of them.
 */
#ifndef DATAPLANE_DROPS_H
#define DATAPLANE_DROPS_H

#include "esp/esp.h"
#include "twinbore/dp_stats.h"

#define DP_DROPS(X)                                                                                \
	/* at the port */                                                                          \
	X(BAD_FRAME, "bad-frame")                                                                  \
	X(SCATTERED, "frame-larger-than-buffer")                                                   \
	X(OTHER_MAC, "not-our-mac")                                                                \
	X(BAD_IP_HEADER, "bad-ip-header")                                                          \
	X(BAD_IP_CHECKSUM, "bad-ip-checksum")                                                      \
	/* for one of our addresses */                                                             \
	X(NAT_KEEPALIVE, "nat-keepalive")                                                          \
	/* parts that became one packet, which counts as generated */                              \
	X(REASSEMBLED, "outer-reassembled")                                                        \
	X(REASSEMBLY, "outer-reassembly-failed")                                                   \
	X(UNKNOWN_SPI, "unknown-spi")                                                              \
	/* beyond what the gate lets through to the ike process */                                 \
	X(IKE_FIRST, "ike-first-request-rate")                                                     \
	X(IKE_UNDER_WAY, "ike-message-rate")                                                       \
	/* on the way into a tunnel */                                                             \
	X(NOT_PROTECTED, "not-protected")                                                          \
	X(BLACKHOLE, "blackhole")                                                                  \
	X(NO_TUNNEL, "no-tunnel")                                                                  \
	X(HAIRPIN, "hairpin")                                                                      \
	/* its name is taken at the other end, or a checksum over it is not in the packet */       \
	X(UNTRANSLATED_OUT, "not-translatable-out")                                                \
	X(OUT_TOO_BIG, "too-big-for-tunnel")                                                       \
	X(ADJACENCY, "adjacency-unresolved")                                                       \
	/* on the way out of a tunnel */                                                           \
	X(UNTRANSLATED_IN, "not-translatable-in")                                                  \
	X(NO_ROUTE, "no-route")                                                                    \
	X(TTL, "ttl-expired")                                                                      \
	X(TOO_BIG, "too-big-for-port")                                                             \
	X(NO_INSIDE, "no-inside-interface")                                                        \
	/* neighbours */                                                                           \
	X(HOLD_FULL, "hold-queue-full")                                                            \
	X(HOLD_TIMEOUT, "neighbour-unreachable")                                                   \
	/* Linux and between threads */                                                            \
	X(LINUX_QUEUE, "to-linux-queue-full")                                                      \
	X(LINUX_WRITE, "to-linux-refused")                                                         \
	X(LINUX_BAD, "from-linux-malformed")                                                       \
	X(HANDOFF_FULL, "handoff-queue-full")                                                      \
	X(NO_BUFFER, "no-buffer")                                                                  \
	X(TX_FULL, "tx-full")                                                                      \
	X(SHUTDOWN, "shutdown")

#define DP_N_ESP_DROPS (ESP_DROP_END - 1) /* OK is none */

enum dp_drop {
	DP_DROP_FIRST = DP_N_ESP_DROPS - 1,
#define X(name, text) DP_DROP_##name,
	DP_DROPS(X)
#undef X
		DP_DROP_END,
};

/* The counter of a reason that ESP gave. */
static inline unsigned dp_drop_of_esp(enum esp_drop d)
{
	return (unsigned)d - 1;
}

/*
 * What is counted besides, behind the drops: news about packets that go on all the same.
 * Of ICMP messages "too big" from outside (path_mtu.h): by what was made of them.
 */
#define DP_NOTES(X)                                                                                \
	X(PATH_MTU_LEARNT, "path-mtu-lowered")                                                     \
	X(PATH_MTU_KNOWN, "path-mtu-not-lower")                                                    \
	X(PATH_MTU_UNPROVEN, "path-mtu-unproven")                                                  \
	X(PATH_MTU_IMPLAUSIBLE, "path-mtu-implausible")                                            \
	X(PATH_MTU_OFF, "path-mtu-off")                                                            \
	X(PATH_MTU_RATE, "path-mtu-rate")

enum dp_note {
	DP_NOTE_FIRST = DP_DROP_END - 1,
#define X(name, text) DP_NOTE_##name,
	DP_NOTES(X)
#undef X
		DP_NOTE_END,
};
static_assert(DP_NOTE_END <= DP_STATS_MAX_REASONS, "room for every reason");

/* Of drops and notes. */
const char *dp_drop_name(unsigned reason);

#endif
