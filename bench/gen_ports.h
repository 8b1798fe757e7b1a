/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gen_ports: DPDK's environment of a generator that is a process of its own, with two ports of any kind:
 * NICs by their PCI addresses, or virtual devices.
 */
#ifndef BENCH_GEN_PORTS_H
#define BENCH_GEN_PORTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <rte_mempool.h>

#define GEN_PORTS      2u
#define GEN_PORT_RING  2048u
#define GEN_PORT_MTU   1600u
#define GEN_PORT_ERROR 256u

struct gen_ports {
	uint16_t id[GEN_PORTS];
	struct rte_mempool *pool;
};

/* In hugepages if so many are free. `devices`: "0000:3b:00.0", or "net_memif0,role=client,socket=...". False with a text. */
bool gen_ports_start(struct gen_ports *p, const char *const devices[GEN_PORTS], unsigned memory_mb,
		     char error[GEN_PORT_ERROR]);

/* False: within so many seconds not every link is up. */
bool gen_ports_up(const struct gen_ports *p, double seconds);

#endif
