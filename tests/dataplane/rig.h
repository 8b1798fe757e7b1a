/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rig: workers and the manager's tables in a test's own thread, with ports whose device is simulated:
 * it says of itself what the test wants, remembers what it is told, and never sees a packet but by
 * the test's hands. Linked with --wrap for each function of DPDK and of Linux that is played here.
 *
 * Two workers; port 0 ("wan") has 192.0.2.1 and 2001:db8::1, the next hop is resolved.
 */
#ifndef TESTS_DATAPLANE_RIG_H
#define TESTS_DATAPLANE_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <rte_flow.h>
#include "dataplane/dp.h"
#include "dataplane/pipeline.h"

#define RIG_WORKERS   2u
#define RIG_MAX_RULES 8u
#define RIG_ID        0x2001u /* number of the port's device */

/* A flow rule as the device was told it. */
struct rte_flow {
	bool used;
	bool v6, udp;
	uint32_t spi;
	int queue; /* -1: none */
	void *session;
};

struct rig_device {
	bool takes[2][2]; /* rules for IPv4 or IPv6, native or in UDP */
	unsigned room;    /* for rules */
	struct rte_flow rules[RIG_MAX_RULES];
	unsigned n_rules;
	void *security; /* its context, or NULL */
};
extern struct rig_device rig_device;

extern struct dp rig;

/* Starts EAL and the tables; false: no memory. */
bool rig_start(void);
/* The same for bursts: a backend of the AEAD, so many packets, and workers that help each other. */
bool rig_start_bursts(const char *backend, unsigned n_mbufs);

struct rte_mbuf *rig_packet(const void *data, uint32_t size);
unsigned rig_free_mbufs(void);

enum { RIG_V6 = 1, RIG_UDP = 2, RIG_ESN = 4 };
/* An SA of a tunnel, its peer being ourselves: both halves have one key and one SPI. */
void rig_add_in(uint32_t slot, uint32_t tunnel, unsigned flags);
void rig_add_out(uint32_t slot, uint32_t tunnel, unsigned flags);
void rig_del(uint32_t slot);
uint32_t rig_spi(uint32_t slot);

/* An inner IPv4 packet from 10.1.0.9 to 10.2.0.9. */
struct rte_mbuf *rig_inner(uint32_t size);
/* Through encapsulation by the tunnel's owner. The frame that would leave, or NULL. */
struct rte_mbuf *rig_encap(struct rte_mbuf *inner, uint32_t tunnel);
/* A frame into the worker that owns the tunnel; what comes out for the inside, or NULL. */
struct rte_mbuf *rig_decap(struct rte_mbuf *frame, uint32_t tunnel);
uint64_t rig_drops(unsigned reason);

#endif
