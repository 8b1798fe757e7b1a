/* SPDX-License-Identifier: Apache-2.0 */
/*
 * worker: one thread that polls its ports and rings, runs every packet to completion, and sleeps
 * when there is nothing to do. Everything here belongs to that thread but `in` and `stop`.
 */
#ifndef DATAPLANE_WORKER_H
#define DATAPLANE_WORKER_H

#include <stdbool.h>
#include <stdint.h>
#include <rte_ring.h>
#include "dataplane/counters.h"
#include "dataplane/drops.h"
#include "dataplane/gate.h"
#include "dataplane/packet.h"
#include "dataplane/random.h"
#include "dataplane/reassembly.h"
#include "esp/esp.h"
#include "twinbore/dp_stats.h"

struct dp;
struct dp_out;
struct dp_spread;

#define DP_WORKER_RING 1024u /* packets that others hand to a worker */

struct dp_worker_port {
	uint64_t rx_packets, rx_bytes, tx_packets, tx_bytes;
	bool apart; /* the destinations of the burst that came last were not all the same */
};

struct dp_worker {
	struct dp *dp;
	unsigned index;
	unsigned lcore;
	bool single;         /* there is no other worker */
	struct rte_ring *in; /* many producers: the manager and the other workers */
	/* By tunnel, atomic, the manager's: the SA by which this worker sends, its own (RFC 9611) or,
	 * for the tunnel's owner, the common one. NULL: packets are handed to the owner. */
	struct dp_out **out;
	uintptr_t *hops; /* by a group's place, atomic, the manager's: see hop.h */
	size_t hops_size;
	uint32_t last_place; /* of the group whose packet came last */
	struct esp_thread esp;
	struct dp_random random;
	struct dp_gate gate;
	struct dp_stats_worker *stats;   /* ours alone to write */
	struct dp_stats_sa *sas;         /* entries of the SAs that we own */
	struct dp_stats_tunnel *tunnels; /* see dp_count_tunnel() */
	struct dp_esp_vec encap;         /* inner packets with meta.tunnel */
	struct dp_esp_vec decap;         /* outer packets with meta.spi */
	struct dp_vec to_linux;          /* to be given to the manager */
	struct dp_tx_vec tx[DP_STATS_MAX_PORTS];
	struct dp_worker_port port[DP_STATS_MAX_PORTS];
	struct dp_counters counters;
	struct dp_spread *spread; /* bursts whose cryptography others may do; NULL: none */
	struct dp_reassembly *reassembly;
	uint32_t spi_tokens;     /* unknown SPIs that may still be told in this interval */
	uint32_t icmp_tokens;    /* errors that may still be sent in this interval */
	uint32_t too_big_tokens; /* "too big" from outside that may still be told in it */
	uint64_t interval;       /* TSC of the interval's begin */
	uint64_t interval_tsc;   /* its length */
	uint64_t last_busy;      /* TSC of the end of the last round that found packets */
};

/* The thread's main function; `arg` is its struct dp_worker. Returns 0 when told to stop. */
int dp_worker_main(void *arg);

/*
 * What that function consists of, for a program that drives a worker's thread itself: between enter
 * and leave the thread counts for RCU; a round polls each queue and ring once and runs what it finds
 * to completion. It returns how many packets that were.
 */
void dp_worker_enter(struct dp_worker *w);
uint16_t dp_worker_round(struct dp_worker *w);
void dp_worker_leave(struct dp_worker *w);

/* With the backends that the manager has chosen. */
bool dp_worker_init(struct dp_worker *w, struct dp *dp, unsigned index, unsigned lcore);
void dp_worker_fini(struct dp_worker *w);

static inline void dp_count(uint64_t *counter, uint64_t n)
{
	__atomic_store_n(counter, *counter + n, __ATOMIC_RELAXED);
}

/* A counter of a tunnel: several workers may send and receive, each by SAs of its own. */
static inline void dp_count_tunnel(const struct dp_worker *w, uint64_t *counter, uint64_t n)
{
	if (w->single)
		dp_count(counter, n);
	else
		(void)__atomic_fetch_add(counter, n, __ATOMIC_RELAXED);
}

static inline void dp_drop(struct dp_worker *w, struct rte_mbuf *m, unsigned reason)
{
	dp_count(&w->stats->drops[reason], 1);
	rte_pktmbuf_free(m);
}

#endif
