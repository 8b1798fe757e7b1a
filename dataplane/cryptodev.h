/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cryptodev: the crypto device that the configuration names: a card (Intel QAT and its like), or one
 * of DPDK's own drivers in software (crypto_aesni_mb). One for the process, open for its life.
 *
 * Threads have queue pairs by turns; where the device has fewer of them, threads share one, under its
 * lock. Sessions, which hold keys, come from a pool that is locked and left out of core dumps. What a
 * driver keeps by itself (a software driver: lanes with round keys; a card: its own memory) is the
 * driver's.
 */
#ifndef DATAPLANE_CRYPTODEV_H
#define DATAPLANE_CRYPTODEV_H

#include <stdbool.h>
#include <stdint.h>
#include <rte_cryptodev.h>
#include <rte_spinlock.h>
#include "esp/aead.h"
#include "twinbore/dp_stats.h"

#define DP_CRYPTODEV_SESSIONS 4u /* of an SA: two halves, each with one for either direction */

/* Where an operation's own data stand, which the device reads and writes. */
struct dp_crypto_private {
	uint8_t iv[16];
	uint8_t aad[32]; /* some devices read whole blocks */
	uint8_t icv[ESP_ICV_MAX];
	struct esp_job *job;
};
#define DP_CRYPTO_IV_OFFSET                                                                        \
	((uint16_t)(sizeof(struct rte_crypto_op) + sizeof(struct rte_crypto_sym_op)))

struct dp_cryptodev {
	bool open;
	uint8_t id;
	uint16_t n_queues;
	uint16_t next_queue; /* for the next context */
	bool served[ESP_N_SUITES];
	struct rte_mempool *sessions, *ops;
	char vdev[64]; /* name of a device that we attached, or "" */
	rte_spinlock_t lock[DP_STATS_MAX_WORKERS];
};
extern struct dp_cryptodev dp_cryptodev;

bool dp_cryptodev_is_pci(const char *device);

/*
 * Opens the device: a PCI address or a driver with arguments. `max_sas` SAs have room. False with a
 * text in `error`. After EAL, before any thread asks for a context.
 */
bool dp_cryptodev_open(const char *device, unsigned n_threads, uint32_t max_sas, char *error,
		       size_t error_size);
void dp_cryptodev_close(void);

/* Keeps a pool of sessions, which hold keys, out of swap and core dumps; warns where it cannot. */
bool dp_cryptodev_hide(struct rte_mempool *sessions);

/* A session for one direction of a key, NULL: the device refuses it. */
void *dp_cryptodev_session(const struct esp_suite *s, bool esn, bool seal, const uint8_t *encr_key,
			   const uint8_t *integ_key);
void dp_cryptodev_session_free(void *session);

/* "cryptodev": serves while a device is open, what the device serves. */
extern const struct esp_backend dp_backend_cryptodev;

#endif
