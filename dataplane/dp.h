/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dp: the whole of the dataplane process: what the manager owns and what workers read of it.
 */
#ifndef DATAPLANE_DP_H
#define DATAPLANE_DP_H

#include <stdbool.h>
#include <stdint.h>
#include <rte_mempool.h>
#include <rte_ring.h>
#include "base/mono.h"
#include "base/shm.h"
#include "config/config.h"
#include "dataplane/events.h"
#include "dataplane/fib.h"
#include "dataplane/grace.h"
#include "dataplane/linux_routes.h"
#include "dataplane/neigh.h"
#include "dataplane/netlink.h"
#include "dataplane/peers.h"
#include "dataplane/port.h"
#include "dataplane/ring_rx.h"
#include "dataplane/sa.h"
#include "dataplane/spread.h"
#include "dataplane/tunnel.h"
#include "dataplane/worker.h"

#define DP_LINUX_RING 2048u /* packets from workers to the manager */

struct dp {
	/* read by workers, fixed once they run */
	unsigned n_workers;
	unsigned n_ports;
	struct dp_worker *workers[DP_STATS_MAX_WORKERS];
	struct dp_port ports[DP_STATS_MAX_PORTS];
	bool ports_apart;     /* some are in another table than 0 */
	bool inline_crypto;   /* some port's device seals and opens */
	uint64_t port_secret; /* of source ports by flow */
	bool spreads;         /* one SA's cryptography is spread over workers */
	struct rte_mempool *pool;
	struct rte_ring *to_manager; /* packets, many producers */
	struct rte_ring *sa_events;  /* half << 32 | slot, many producers */
	int wake_fd;                 /* wakes the manager */
	uint32_t manager_sleeps;     /* atomic: the manager is or will be in epoll_wait() */
	uint32_t stop;               /* atomic: workers end */

	/* read by workers, written by the manager as each says */
	struct dp_fib fib;
	struct dp_neighs neighs;
	struct dp_tunnels tunnels;
	struct dp_sas sas;
	struct dp_peers *peers;      /* atomic; replaced as a whole */
	struct dp_spread_all spread; /* written by workers */
	struct dp_grace grace;

	/* the manager's */
	int channel; /* to the supervisor */
	int epoll_fd;
	struct config *config;
	struct dp_netlink netlink;
	struct dp_linux_routes linux_routes;
	struct dp_rings rings;
	struct dp_events events;
	struct shm stats_shm;
	struct dp_stats *stats;
	struct dp_stats_worker *mgr_stats;
	struct esp_thread esp;
	struct dp_random random;
	struct dp_nic_session *nic_retired;
	bool hugepages;
	bool routes_changed;
	bool learn_path_mtu;
	struct mono now;
};

static inline struct dp_stats_sa *dp_stats_sas(const struct dp *dp)
{
	return (struct dp_stats_sa *)((uint8_t *)dp->stats + dp->stats->sas_offset);
}

static inline struct dp_stats_tunnel *dp_stats_tunnels(const struct dp *dp)
{
	return (struct dp_stats_tunnel *)((uint8_t *)dp->stats + dp->stats->tunnels_offset);
}

/* The manager drops a packet. */
static inline void dp_mgr_drop(struct dp *dp, struct rte_mbuf *m, unsigned reason)
{
	dp_count(&dp->mgr_stats->drops[reason], 1);
	rte_pktmbuf_free(m);
}

/* Hands a packet to a worker; drops it when the worker's ring is full. */
static inline void dp_to_worker(struct dp *dp, unsigned worker, struct rte_mbuf *m)
{
	if (rte_ring_mp_enqueue(dp->workers[worker]->in, m) != 0)
		dp_mgr_drop(dp, m, DP_DROP_HANDOFF_FULL);
}

/* Wakes the manager if it sleeps. For workers, once a burst. */
void dp_wake(struct dp *dp);

#endif
