/* SPDX-License-Identifier: Apache-2.0 */
/*
 * world: the dataplane inside a benchmark's process: a real EAL, the product's own tables, workers
 * and handlers, and two ports ("lan", "wan") whose other ends are rings in our hands, or memif sockets
 * for another process.
 *
 * Linux's side of the ports stands in a network namespace that ends with the process. Their neighbours are
 * hosts on the lan, and on the wan the next hop to all peers (hosts.h).
 */
#ifndef BENCH_WORLD_H
#define BENCH_WORLD_H

#include <stdbool.h>
#include <stdint.h>
#include <rte_ring.h>
#include "dataplane/dp.h"

#define WORLD_LAN   0u
#define WORLD_WAN   1u
#define WORLD_PORTS 2u
#define WORLD_MTU   1700u /* holds the largest packet of IMIX in any tunnel */
#define WORLD_RING  4096u
#define WORLD_ERROR 512u

struct world_opts {
	unsigned n_workers;
	uint32_t max_sas;
	uint32_t max_tunnels;
	unsigned memory_mb;
	const char *backend;
	bool no_hugepages; /* even if some are free */
	bool spread;       /* workers do each other's cryptography */
	bool v6;           /* ports and neighbours have addresses of IPv6, too */
	const char *
		memif; /* a folder for sockets: the ports' other ends are another process; or NULL */
};

struct world {
	struct dp dp;
	struct rte_ring *rx[WORLD_PORTS][DP_STATS_MAX_WORKERS];
	struct rte_ring *tx[WORLD_PORTS][DP_STATS_MAX_WORKERS];
};

/* Once in a process; what it leaves ends with it. False with a text in `error`. */
bool world_start(struct world *w, const struct world_opts *o, char error[WORLD_ERROR]);

/* Until what was launched on the workers' CPUs has ended; asleep meanwhile, unlike rte_eal_mp_wait_lcore(). */
void world_wait(const struct world *w);

/* The sum of what all workers and the manager dropped, and the name of a reason among them. */
uint64_t world_drops(const struct world *w, const char **reason);

#endif
