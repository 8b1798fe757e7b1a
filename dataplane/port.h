/* SPDX-License-Identifier: Apache-2.0 */
/*
 * port: a DPDK port and its mirror TAP, through which Linux keeps ARP, ND, ICMP and IKE.
 *
 * The port is started by the manager before the workers run and stopped after they have ended.
 * Frames leave it through a worker; the mirror TAP belongs to the manager alone.
 */
#ifndef DATAPLANE_PORT_H
#define DATAPLANE_PORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <rte_ether.h>
#include <rte_mempool.h>
#include <rte_spinlock.h>
#include "config/config.h"
#include "dataplane/fib.h"
#include "dataplane/nic_crypto.h"
#include "dataplane/offload.h"
#include "dataplane/tap.h"
#include "twinbore/dp_stats.h"

#define DP_PORT_RING    2048 /* descriptors per queue that are asked for */
#define DP_DEVNAME_SIZE 64

struct dp_port {
	unsigned index;
	uint16_t id; /* of rte_ethdev */
	uint16_t n_rxq, n_txq;
	uint16_t mtu;
	uint16_t table; /* that what comes in is looked up in; its networks stand there */
	bool tx_shared; /* fewer transmit queues than workers: lock[queue] is taken */
	bool started;
	struct rte_ether_addr mac;
	rte_spinlock_t lock[DP_STATS_MAX_WORKERS];
	struct dp_offloads offloads;
	struct dp_nic_crypto nic_crypto;
	const struct config_port *cfg;
	char driver[32];
	char vdev[DP_DEVNAME_SIZE]; /* name of a device that we attached, or "" */
	char host_if[16];           /* the Linux interface below it, or "" */
	struct dp_tap mirror;
	uint64_t to_linux, from_linux; /* the manager's */
	bool link_up;
};

/* Bytes of an mbuf's data room that serve every port of the configuration. */
uint16_t dp_port_data_room(const struct config *c);

/*
 * Attaches the device, starts the port with its queues and creates the mirror TAP. False with a
 * text in `error` that says what was wrong and what to do. Its table is set before.
 */
bool dp_port_init(struct dp_port *p, unsigned index, const struct config_port *cfg,
		  unsigned n_workers, struct rte_mempool *pool, char *error, size_t error_size);
/* The same for a device that is open already: index, id and cfg are set, the mirror's fd is -1. */
bool dp_port_start(struct dp_port *p, unsigned n_workers, struct rte_mempool *pool, char *error,
		   size_t error_size);
/* Stops and detaches; harmless on a port that was not initialised. */
void dp_port_fini(struct dp_port *p);

struct dp;

/* A prefix of the port's networks, in its table and wherever those of all ports are: claimed, or not any
 * more. False: no memory. */
bool dp_port_claim(struct dp *dp, unsigned port, const struct ip_prefix *p,
		   enum dp_fib_source source, uint32_t nh);
bool dp_port_unclaim(struct dp *dp, unsigned port, const struct ip_prefix *p,
		     enum dp_fib_source source);

/* The workers that poll and feed queue numbers of this port. */
static inline bool dp_port_polled_by(const struct dp_port *p, unsigned queue, unsigned worker,
				     unsigned n_workers)
{
	return (p->index + queue) % n_workers == worker;
}

#endif
