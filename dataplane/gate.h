/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gate: how much IKE a worker lets through to Linux, and whose first. Behind it stand a queue, a TAP, a
 * socket and one process, which together do a small part of what a line can bring; whatever is
 * lost there is lost without regard to whom it came from.
 *
 * What a datagram is shows in its header alone:
 *   - of a peer: from an address that the configuration names;
 *   - under way: of an exchange that was answered before (a responder's SPI, a response, a COOKIE);
 *   - a first request: IKE_SA_INIT from anywhere, which costs its sender nothing.
 * Each has a rate of its own, so that none can use up another's. A first request beyond the rate of
 * strangers is dropped, but remembered for some seconds; an honest peer repeats it, and repetitions have
 * a rate of their own again. A flood that never repeats itself takes nothing of that; so whoever
 * is honest gets through by his second datagram at the latest.
 *
 * Remembered is a few bits in a filter (a generation lasts 5 to 10 seconds), set at places that a
 * secret key determines.
 */
#ifndef DATAPLANE_GATE_H
#define DATAPLANE_GATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/addr.h"
#include "base/mac.h"

struct dp_random;
struct dp_peers;

enum dp_gate_class {
	DP_GATE_PEER,
	DP_GATE_UNDER_WAY,
	DP_GATE_STRANGER,
	DP_GATE_REPEATED,
	DP_GATE_END,
};

/* A worker's. Times in TSC cycles. */
struct dp_gate {
	uint64_t cost[DP_GATE_END]; /* of one datagram */
	uint64_t full_at[DP_GATE_END];
	uint64_t burst, generation;
	uint64_t since; /* the younger filter is in use */
	uint64_t *seen[2];
	unsigned younger;
	bool noted[2]; /* there is something in it */
	uint8_t key[MAC_KEY_SIZE];
};

/* For one of `n_workers`. False: no memory. */
bool dp_gate_init(struct dp_gate *g, uint64_t tsc_hz, unsigned n_workers, struct dp_random *random);
void dp_gate_fini(struct dp_gate *g);

/* A message of IKE, without the marker of port 4500. 0, or the reason for which it is to be dropped. */
unsigned dp_gate_pass(struct dp_gate *g, const struct dp_peers *peers, const struct ip_addr *from,
		      const uint8_t *ike, size_t size, uint64_t tsc);

#endif
