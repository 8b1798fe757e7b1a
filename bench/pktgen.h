/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pktgen: a packet generator and sink in one thread, between two DPDK ports of any kind.
 *
 * A lane is a way through the gateway: in by one port, out by another. One lane, or two with a packet of
 * each in turn, are offered at a given rate. What goes in are UDP packets of one size, or of IMIX, each
 * with a number, or ESP with such packets inside (tape.h). What comes out is recognised by that number, or, if it
 * is ESP of one SA, native or in UDP 4500 over IPv4, by its sequence number, which counts the packets that the
 * gateway took; so a gateway can be measured by itself as well as a pair of them.
 */
#ifndef BENCH_PKTGEN_H
#define BENCH_PKTGEN_H

#include <stdbool.h>
#include <stdint.h>
#include <rte_mempool.h>
#include "bench/tape.h"

#define PKTGEN_BURST   32u
#define PKTGEN_LANES   2u
#define PKTGEN_TRACK   (1u << 20) /* packets under way at most; a power of two */
#define PKTGEN_BUCKETS 4096u
#define PKTGEN_IMIX    0u /* as a size: 7:4:1 of 64, 594 and 1518 bytes */

struct pktgen_flow {
	uint8_t dst_mac[6], src_mac[6];
	uint32_t src, dst; /* IPv4, host order; packet k goes to dst + (k mod n_hosts) * step */
	uint32_t n_hosts, step;
};

struct pktgen_lane {
	uint16_t tx_port, rx_port;
	struct pktgen_flow flow;
	struct tape *tape; /* what goes in is ESP; or NULL */
	uint64_t next;     /* number of the next packet */
	uint32_t seq_base; /* ESP comes out: sequence number of packet 0 */
	uint64_t *sent_at; /* PKTGEN_TRACK TSC values, by number of accepted packets */
};

struct pktgen {
	struct rte_mempool *pool;
	struct pktgen_lane lanes[PKTGEN_LANES];
	unsigned n_lanes;
	uint32_t size; /* inner IP bytes, or PKTGEN_IMIX */
};

struct pktgen_result {
	double offered_pps;            /* that was reached */
	uint64_t sent, received, lost; /* lost: not taken by the port among them */
	uint64_t unknown;              /* frames that are none of ours */
	double p50_us, p99_us, p999_us, max_us, min_us;
	double gap_us; /* the longest time between two looks at the ports */
};

/* False: no memory. */
bool pktgen_init(struct pktgen *g);
void pktgen_fini(struct pktgen *g);

/* The mean inner size. */
double pktgen_mean(uint32_t size);

/* Sends single packets by each lane until one comes back, and learns by what number; false: none does in
 * `seconds`. */
bool pktgen_probe(struct pktgen *g, double seconds);

/* Makes ready for a trial at `pps` for `seconds`, or of `n` packets when pps is 0: how many packets it
 * will have, which are fewer if the tapes hold no more. 0: they cannot be made. */
uint64_t pktgen_prepare(struct pktgen *g, double pps, double seconds, uint64_t n);

/* Sends `n` packets at `pps`, or as fast as it can when pps is 0; waits for the rest. */
void pktgen_trial(struct pktgen *g, double pps, uint64_t n, struct pktgen_result *r);

#endif
