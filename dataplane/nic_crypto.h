/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nic_crypto: ESP that a port's device seals as it sends and opens as it receives (rte_security, inline
 * crypto). Headers, padding, sequence numbers, anti-replay and selectors stay ours.
 *
 * AES-GCM with ICVs of 16 bytes, native ESP, no ESN, and what the device offers of that. Every SA has
 * its key in software as well: for packets that the device has not opened (fragments, another port), that
 * wait for a neighbour, are cut, or leave by another port. Sequence numbers, and with them nonces, are
 * given out in one place, whoever seals.
 *
 * What the device shall seal is plaintext until it has left: it goes to that device's queue and nowhere
 * else, and the session outlives every packet that may still stand there (NIC_CRYPTO_DRAIN_S).
 */
#ifndef DATAPLANE_NIC_CRYPTO_H
#define DATAPLANE_NIC_CRYPTO_H

#include <stdbool.h>
#include <stdint.h>
#include <rte_ethdev.h>
#include "base/mono.h"
#include "esp/esp.h"

struct dp;
struct dp_in;
struct dp_port;
struct rte_flow;
struct rte_mbuf;

#define NIC_CRYPTO_DRAIN_S 2
#define DP_NIC_SESSIONS    4096u /* in one device; devices have tables of 1,000 or so */

/* One direction of one SA in one device. */
struct dp_nic_session {
	void *ctx, *session;
	struct rte_flow *rule; /* inbound */
	uint16_t port_id;
	uint8_t port;      /* index */
	bool metadata;     /* the driver wants to see each packet that it shall seal */
	uint8_t l3_size;   /* of the outer IP header */
	uint64_t tx_flags; /* of mbufs that the device shall seal */
	struct dp_nic_session *next;
	struct mono end; /* when nothing can stand in the device any more */
};

/* What a port's device offers. */
struct dp_nic_crypto {
	void *ctx; /* NULL: no inline crypto in use */
	struct rte_mempool *sessions;
	bool key_bits[257];
	bool metadata;
};

/* Before the device is configured; adds to `conf` what it needs. */
void dp_nic_crypto_configure(struct dp_port *p, const struct rte_eth_dev_info *info,
			     uint32_t n_sessions, struct rte_eth_conf *conf);
void dp_nic_crypto_fini(struct dp_port *p);

/* The device of the SA's port shall seal or open its packets. NULL: it does not. */
struct dp_nic_session *dp_nic_seal_new(struct dp *dp, const struct esp_sa_cfg *cfg);
struct dp_nic_session *dp_nic_open_new(struct dp *dp, const struct esp_sa_cfg *cfg, uint32_t owner);
/* No packet is given to it from now on; it ends later. NULL is fine. */
void dp_nic_retire(struct dp *dp, struct dp_nic_session *s);
/* Ends what has been retired long enough, or (at the end) all. */
void dp_nic_tick(struct dp *dp, bool all);

/* Has the device opened it, whatever came out? */
bool dp_nic_saw(const struct rte_mbuf *m);
bool dp_nic_opened(const struct rte_mbuf *m);
/* The packet, whose outer IP header stands at its data pointer, leaves by the session's port alone. */
bool dp_nic_seal(const struct dp_nic_session *s, struct rte_mbuf *m);

#endif
