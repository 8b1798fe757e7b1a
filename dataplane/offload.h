/* SPDX-License-Identifier: Apache-2.0 */
/*
 * offload: what a port's device does for the workers, where it can. It is asked when the port starts,
 * and `show ports` tells the answer; where it cannot, the workers do the same themselves.
 *
 *   rss            spreads packets over the queues by addresses and ports, ESP by SPI
 *   rx-checksum    has verified the header's checksum of received IPv4
 *   tx-checksum    writes the UDP checksum of ESP in UDP over IPv6, which goes over the whole packet.
 *                  (That of IPv4 headers is known up to four fields: to tell a device about it costs
 *                  more than to write it.)
 *   spi-rules      brings an SA's packets to the worker that owns it, by a flow rule for its SPI
 *   inline-crypto  seals and opens ESP (nic_crypto.h), if the configuration says so
 */
#ifndef DATAPLANE_OFFLOAD_H
#define DATAPLANE_OFFLOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <rte_ethdev.h>
#include "config/config.h"

struct dp;
struct dp_in;
struct dp_port;
struct rte_flow;

#define DP_OFFLOADS(X)                                                                             \
	X(RSS, "rss")                                                                              \
	X(RX_CHECKSUM, "rx-checksum")                                                              \
	X(TX_CHECKSUM, "tx-checksum")                                                              \
	X(SPI_RULES, "spi-rules")                                                                  \
	X(INLINE_CRYPTO, "inline-crypto")

enum dp_offload {
#define X(name, text) DP_OFFLOAD_##name,
	DP_OFFLOADS(X)
#undef X
		DP_OFFLOAD_END,
};

enum dp_offload_state {
	DP_OFFLOAD_NOT_OFFERED,
	DP_OFFLOAD_OFF,        /* offered, but not wanted */
	DP_OFFLOAD_NOT_NEEDED, /* offered or not: one queue, or no IPv6 */
	DP_OFFLOAD_ON,
};

#define DP_ESP_FORMS 4u /* IPv4 or IPv6, native or in UDP */

struct dp_offloads {
	uint8_t state[DP_OFFLOAD_END]; /* enum dp_offload_state */
	/* The manager's from here on. */
	bool rule_for[DP_ESP_FORMS]; /* the device takes rules for this form of ESP */
	bool told;                   /* that it refuses rules */
	uint32_t n_rules, n_refused;
};

static inline bool dp_offload_on(const struct dp_offloads *o, enum dp_offload f)
{
	return o->state[f] == DP_OFFLOAD_ON;
}

const char *dp_offload_name(enum dp_offload f);
const char *dp_offload_state_name(enum dp_offload_state s);

/* Before the device is configured: writes into `conf` what it shall do on n_rxq queues. */
void dp_offload_configure(struct dp_offloads *o, const struct rte_eth_dev_info *info,
			  const struct config_port *cfg, uint16_t n_rxq, struct rte_eth_conf *conf);
/* The device runs: which flow rules does it take? */
void dp_offload_started(struct dp_port *p);

/* An inbound half's packets, which come in UDP or not, go to its owner's queue from now on; no longer. */
void dp_offload_steer(struct dp *dp, struct dp_in *in, bool udp);
void dp_offload_unsteer(struct dp *dp, struct dp_in *in);

/* A rule by which the device opens what has the SPI (nic_crypto.h), into a queue if it can do both; NULL: it
 * takes none. */
struct rte_flow *dp_offload_rule_open(const struct dp_port *p, bool v6, uint32_t spi,
				      uint16_t queue, void *session);
/* A queue of the port that the worker polls; n_rxq: there is none. */
uint16_t dp_offload_queue(const struct dp_port *p, unsigned worker, unsigned n_workers);

/* The port that has an address, or NULL. */
struct dp_port *dp_port_of_address(struct dp *dp, const struct ip_addr *a);

#endif
