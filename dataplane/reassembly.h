/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reassembly: outer fragments of ESP, native or in UDP, are joined before they are decapsulated
 * (RFC 4303 3.4.1). Bounded: few packets at a time, few fragments each, one second.
 *
 * Fragments of UDP may be IKE's as well; what turns out not to be ESP goes to Linux as it came.
 *
 * DPDK's own rte_ip_frag would not do. Its key has no protocol for IPv4 (RFC 791 3.2 asks for it), so that
 * an ESP and an IKE datagram of one peer with one id would be mixed; it takes fragments for good, where
 * ours may turn out to be Linux's; what it gives up goes into a list of its own without a reason that
 * we could count; overlaps are not its business (RFC 5722: they end the packet); and what it joins is a chain
 * of segments, which would have to be copied into one for the ciphers all the same.
 */
#ifndef DATAPLANE_REASSEMBLY_H
#define DATAPLANE_REASSEMBLY_H

#include <stdbool.h>
#include <stdint.h>
#include <rte_mbuf.h>

struct dp_worker;

#define DP_REASSEMBLY_SLOTS 32
#define DP_REASSEMBLY_PARTS 24

struct dp_reassembly_slot {
	uint8_t family; /* 0: free */
	uint8_t protocol;
	uint8_t is_esp;   /* known to be ESP */
	uint8_t is_linux; /* known to be Linux's: further fragments go there at once */
	uint16_t n_parts;
	uint32_t id;
	uint8_t addresses[32]; /* source and destination, as in the header */
	uint32_t total;        /* bytes of the joined payload; 0: the last part is missing */
	uint32_t have;         /* bytes of payload in the parts */
	uint64_t since;        /* TSC */
	struct {
		struct rte_mbuf *m;
		uint32_t at, size; /* within the payload */
		uint16_t header;   /* bytes before the payload */
	} parts[DP_REASSEMBLY_PARTS];
};

struct dp_reassembly {
	struct dp_reassembly_slot slots[DP_REASSEMBLY_SLOTS];
	uint32_t n_used;
};

/*
 * Takes a fragment of protocol ESP or UDP for one of our addresses (IP header at its data pointer,
 * checked). Returns the joined packet when it is complete, else NULL.
 */
struct rte_mbuf *dp_reassemble(struct dp_worker *w, struct rte_mbuf *m);
/* Gives up what waits for more than a second. */
void dp_reassembly_expire(struct dp_worker *w, uint64_t now);
void dp_reassembly_fini(struct dp_worker *w);

#endif
