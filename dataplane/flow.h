/* SPDX-License-Identifier: Apache-2.0 */
/*
 * flow: which flow a packet belongs to, and which of several tunnels carries it.
 *
 * A flow is what two addresses, a protocol and two ports name. A fragment has no ports but in its first
 * piece, so that fragments go by addresses alone: all pieces of a packet go the same way.
 *
 * Among n tunnels a flow takes the one for which a hash of both is the highest (rendezvous hashing).
 * Nothing is remembered: when a tunnel goes, only the flows that it carried move, evenly to the others,
 * and they return when it does; the order in which tunnels are named says nothing.
 */
#ifndef DATAPLANE_FLOW_H
#define DATAPLANE_FLOW_H

#include <stdint.h>

/* Of a checked IP packet of `size` bytes; `family` is 4 or 6. */
uint64_t dp_flow_hash(const uint8_t *ip, uint32_t size, uint8_t family);

/* How much a flow wants a tunnel. */
static inline uint64_t dp_flow_weight(uint64_t flow, uint32_t tunnel)
{
	const __uint128_t x = (__uint128_t)(flow ^ tunnel * UINT64_C(0x9e3779b97f4a7c15)) *
			      UINT64_C(0xe7037ed1a0b428db);

	return (uint64_t)x ^ (uint64_t)(x >> 64);
}

#define DP_FLOW_PORT_FIRST 49152u /* RFC 6335 6: dynamic ports, as many as 14 bits say */

/* The source port of a flow: by a secret, so that it tells nothing of addresses and ports. */
static inline uint16_t dp_flow_port(uint64_t flow, uint64_t secret)
{
	const __uint128_t x = (__uint128_t)(flow ^ secret) * UINT64_C(0xe7037ed1a0b428db);

	return (uint16_t)(DP_FLOW_PORT_FIRST | (((uint64_t)x ^ (uint64_t)(x >> 64)) >> 50));
}

#endif
