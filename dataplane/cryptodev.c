/* SPDX-License-Identifier: Apache-2.0 */
/* cryptodev: opens the crypto device and makes its sessions. See cryptodev.h. */
#define ALLOW_EXPERIMENTAL_API /* pools of sessions, in 22.11 */
#include "dataplane/cryptodev.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <rte_dev.h>
#include <rte_errno.h>
#include "base/log.h"
#include "dataplane/eal.h"
#include "esp/esp.h"

#define DESCRIPTORS 128u /* what a card wants at least; twice the largest burst */
#define PAGE        4096u
#define NONCE_SIZE  12u

struct dp_cryptodev dp_cryptodev;

bool dp_cryptodev_is_pci(const char *device)
{
	return isxdigit((unsigned char)device[0]) && strchr(device, ':') && !strchr(device, '_');
}

static bool attach(struct dp_cryptodev *d, const char *device, unsigned n_queues)
{
	const size_t name = strcspn(device, ",");
	char args[256];
	int id;

	snprintf(d->vdev, sizeof(d->vdev), "%.*s", (int)RTE_MIN(name, sizeof(d->vdev) - 1), device);
	if (dp_cryptodev_is_pci(device)) {
		/* Drivers name what they find: "0000:3d:01.0_qat_sym". */
		snprintf(d->vdev, sizeof(d->vdev), "%.40s_qat_sym", device);
		id = rte_cryptodev_get_dev_id(d->vdev);
		if (id < 0)
			id = rte_cryptodev_get_dev_id(device);
		d->vdev[0] = '\0';
	} else {
		snprintf(args, sizeof(args), "%.200s", device);
		if (!strstr(device, "max_nb_queue_pairs"))
			snprintf(args, sizeof(args), "%.200s,max_nb_queue_pairs=%u", device,
				 n_queues);
		if (rte_dev_probe(args) != 0) {
			d->vdev[0] = '\0';
			return false;
		}
		id = rte_cryptodev_get_dev_id(d->vdev);
	}
	if (id < 0)
		return false;
	d->id = (uint8_t)id;
	return true;
}

/* Keys stand there: not in swap, not in core dumps. */
static void hide(struct rte_mempool *pool, void *failed, struct rte_mempool_memhdr *mem,
		 unsigned index)
{
	const uintptr_t first = (uintptr_t)mem->addr & ~(uintptr_t)(PAGE - 1);
	const size_t size = RTE_ALIGN((uintptr_t)mem->addr + mem->len - first, PAGE);

	if (mlock((void *)first, size) != 0 || madvise((void *)first, size, MADV_DONTDUMP) != 0)
		*(bool *)failed = true;
}

bool dp_cryptodev_hide(struct rte_mempool *sessions)
{
	bool failed = false;

	rte_mempool_mem_iter(sessions, hide, &failed);
	if (failed)
		log_warn("the keys of %s cannot be locked in memory: %s", sessions->name,
			 strerror(errno));
	return !failed;
}

static bool make_pools(struct dp_cryptodev *d, unsigned n_threads, uint32_t max_sas)
{
	const unsigned size = rte_cryptodev_sym_get_private_session_size(d->id);
	/* The backend's self-test and its contexts have theirs beside the SAs. */
	const uint32_t n_sessions = DP_CRYPTODEV_SESSIONS * (max_sas + 16);
	const uint32_t n_ops = (n_threads + 4) * ESP_BURST_MAX;

	d->sessions = rte_cryptodev_sym_session_pool_create("dp-crypto-sessions", n_sessions, size,
							    0, 0, SOCKET_ID_ANY);
	d->ops = rte_crypto_op_pool_create("dp-crypto-ops", RTE_CRYPTO_OP_TYPE_SYMMETRIC, n_ops, 0,
					   sizeof(struct dp_crypto_private), SOCKET_ID_ANY);
	if (!d->sessions || !d->ops)
		return false;
	(void)dp_cryptodev_hide(d->sessions);
	return true;
}

static bool configure(struct dp_cryptodev *d, unsigned n_threads)
{
	struct rte_cryptodev_info info;
	struct rte_cryptodev_config conf = {
		.socket_id = SOCKET_ID_ANY,
		.ff_disable = RTE_CRYPTODEV_FF_ASYMMETRIC_CRYPTO | RTE_CRYPTODEV_FF_SECURITY,
	};
	const struct rte_cryptodev_qp_conf queue = {
		.nb_descriptors = DESCRIPTORS,
		.mp_session = d->sessions,
	};

	rte_cryptodev_info_get(d->id, &info);
	d->n_queues = (uint16_t)RTE_MIN(n_threads, info.max_nb_queue_pairs);
	d->n_queues = (uint16_t)RTE_MIN(d->n_queues, RTE_DIM(d->lock));
	conf.nb_queue_pairs = d->n_queues;
	if (d->n_queues == 0 || rte_cryptodev_configure(d->id, &conf) != 0)
		return false;
	for (uint16_t q = 0; q < d->n_queues; q++) {
		rte_spinlock_init(&d->lock[q]);
		if (rte_cryptodev_queue_pair_setup(d->id, q, &queue, rte_socket_id()) != 0)
			return false;
	}
	return rte_cryptodev_start(d->id) == 0;
}

/* ----------------------------------------------------------------- sessions */

static enum rte_crypto_auth_algorithm hmac_of(uint16_t integ)
{
	switch (integ) {
	case ESP_INTEG_HMAC_SHA1_96: return RTE_CRYPTO_AUTH_SHA1_HMAC;
	case ESP_INTEG_HMAC_SHA2_256_128: return RTE_CRYPTO_AUTH_SHA256_HMAC;
	case ESP_INTEG_HMAC_SHA2_384_192: return RTE_CRYPTO_AUTH_SHA384_HMAC;
	default: return RTE_CRYPTO_AUTH_SHA512_HMAC;
	}
}

static struct rte_crypto_sym_xform aead_xform(const struct esp_suite *s, bool esn, bool seal,
					      const uint8_t *key)
{
	return (struct rte_crypto_sym_xform){
		.type = RTE_CRYPTO_SYM_XFORM_AEAD,
		.aead =
			{
				.op = seal ? RTE_CRYPTO_AEAD_OP_ENCRYPT
					   : RTE_CRYPTO_AEAD_OP_DECRYPT,
				.algo = s->kind == ESP_KIND_GCM ? RTE_CRYPTO_AEAD_AES_GCM
								: RTE_CRYPTO_AEAD_CHACHA20_POLY1305,
				.key = {.data = key, .length = s->encr_key_bits / 8u},
				.iv = {.offset = DP_CRYPTO_IV_OFFSET, .length = NONCE_SIZE},
				.digest_length = s->icv_size,
				.aad_length = esn ? 12 : 8,
			},
	};
}

static struct rte_crypto_sym_xform cbc_xform(const struct esp_suite *s, bool seal,
					     const uint8_t *key)
{
	return (struct rte_crypto_sym_xform){
		.type = RTE_CRYPTO_SYM_XFORM_CIPHER,
		.cipher =
			{
				.op = seal ? RTE_CRYPTO_CIPHER_OP_ENCRYPT
					   : RTE_CRYPTO_CIPHER_OP_DECRYPT,
				.algo = RTE_CRYPTO_CIPHER_AES_CBC,
				.key = {.data = key, .length = s->encr_key_bits / 8u},
				.iv = {.offset = DP_CRYPTO_IV_OFFSET, .length = ESP_IV_MAX},
			},
	};
}

/* Of a MAC; one with a nonce finds it where AEADs do. */
static struct rte_crypto_sym_xform mac_xform(const struct esp_suite *s, bool seal,
					     enum rte_crypto_auth_algorithm algo,
					     const uint8_t *key, uint16_t key_size,
					     uint16_t nonce_size)
{
	return (struct rte_crypto_sym_xform){
		.type = RTE_CRYPTO_SYM_XFORM_AUTH,
		.auth =
			{
				.op = seal ? RTE_CRYPTO_AUTH_OP_GENERATE
					   : RTE_CRYPTO_AUTH_OP_VERIFY,
				.algo = algo,
				.key = {.data = key, .length = key_size},
				.iv = {.offset = DP_CRYPTO_IV_OFFSET, .length = nonce_size},
				.digest_length = s->icv_size,
			},
	};
}

void *dp_cryptodev_session(const struct esp_suite *s, bool esn, bool seal, const uint8_t *encr_key,
			   const uint8_t *integ_key)
{
	struct rte_crypto_sym_xform first, second;

	switch ((enum esp_kind)s->kind) {
	case ESP_KIND_GCM:
	case ESP_KIND_CHACHA20_POLY1305: first = aead_xform(s, esn, seal, encr_key); break;
	case ESP_KIND_GMAC:
		first = mac_xform(s, seal, RTE_CRYPTO_AUTH_AES_GMAC, encr_key,
				  s->encr_key_bits / 8u, NONCE_SIZE);
		break;
	case ESP_KIND_CBC_HMAC:
		/* RFC 4303 3.3.2: encrypted first; 3.4.4.1: verified first. */
		first = cbc_xform(s, seal, encr_key);
		second = mac_xform(s, seal, hmac_of(s->integ), integ_key, s->integ_key_size, 0);
		if (seal) {
			first.next = &second;
		} else {
			second.next = &first;
			return rte_cryptodev_sym_session_create(dp_cryptodev.id, &second,
								dp_cryptodev.sessions);
		}
		break;
	}
	return rte_cryptodev_sym_session_create(dp_cryptodev.id, &first, dp_cryptodev.sessions);
}

void dp_cryptodev_session_free(void *session)
{
	if (session)
		(void)rte_cryptodev_sym_session_free(dp_cryptodev.id, session);
}

/* ------------------------------------------------------------ what it serves */

static bool claims(uint8_t id, const struct esp_suite *s)
{
	const uint16_t key_size = s->encr_key_bits / 8u;
	const struct rte_cryptodev_sym_capability_idx cbc = {
		.type = RTE_CRYPTO_SYM_XFORM_CIPHER, .algo.cipher = RTE_CRYPTO_CIPHER_AES_CBC};
	const struct rte_cryptodev_sym_capability_idx hmac = {.type = RTE_CRYPTO_SYM_XFORM_AUTH,
							      .algo.auth = hmac_of(s->integ)};
	const struct rte_cryptodev_sym_capability_idx gmac = {
		.type = RTE_CRYPTO_SYM_XFORM_AUTH, .algo.auth = RTE_CRYPTO_AUTH_AES_GMAC};
	const struct rte_cryptodev_sym_capability_idx aead = {
		.type = RTE_CRYPTO_SYM_XFORM_AEAD,
		.algo.aead = s->kind == ESP_KIND_GCM ? RTE_CRYPTO_AEAD_AES_GCM
						     : RTE_CRYPTO_AEAD_CHACHA20_POLY1305};
	const struct rte_cryptodev_symmetric_capability *c, *c2;

	switch ((enum esp_kind)s->kind) {
	case ESP_KIND_CBC_HMAC:
		c = rte_cryptodev_sym_capability_get(id, &cbc);
		c2 = rte_cryptodev_sym_capability_get(id, &hmac);
		return c && c2 &&
		       rte_cryptodev_sym_capability_check_cipher(c, key_size, ESP_IV_MAX) == 0 &&
		       rte_cryptodev_sym_capability_check_auth(c2, s->integ_key_size, s->icv_size,
							       0) == 0;
	case ESP_KIND_GMAC:
		c = rte_cryptodev_sym_capability_get(id, &gmac);
		return c && rte_cryptodev_sym_capability_check_auth(c, key_size, s->icv_size,
								    NONCE_SIZE) == 0;
	case ESP_KIND_GCM:
	case ESP_KIND_CHACHA20_POLY1305: break;
	}
	c = rte_cryptodev_sym_capability_get(id, &aead);
	return c &&
	       rte_cryptodev_sym_capability_check_aead(c, key_size, s->icv_size, 8, NONCE_SIZE) ==
		       0 &&
	       rte_cryptodev_sym_capability_check_aead(c, key_size, s->icv_size, 12, NONCE_SIZE) ==
		       0;
}

/* Whether it takes what it claims to take. */
static bool takes(const struct esp_suite *s)
{
	static const uint8_t key[64];
	bool ok = true;

	for (unsigned i = 0; ok && i < 4; i++) {
		void *session = dp_cryptodev_session(s, i & 1, i & 2, key, key);

		ok = session;
		dp_cryptodev_session_free(session);
	}
	return ok;
}

static unsigned find_served(struct dp_cryptodev *d)
{
	unsigned n = 0;

	for (size_t i = 0; i < ESP_N_SUITES; i++) {
		const struct esp_suite s = esp_suite_at(i);

		d->served[i] = claims(d->id, &s) && takes(&s);
		n += d->served[i];
	}
	return n;
}

bool dp_cryptodev_open(const char *device, unsigned n_threads, uint32_t max_sas, char *error,
		       size_t error_size)
{
	struct dp_cryptodev *d = &dp_cryptodev;
	const char *why = NULL;
	unsigned n = 0;

	dp_eal_clear_error();
	if (!attach(d, device, n_threads))
		why = "DPDK finds no such device: see `lspci -D` or the drivers' names "
		      "(crypto_aesni_mb, crypto_openssl); a card must be bound to vfio-pci";
	else if (!make_pools(d, n_threads, max_sas))
		why = "not enough memory for its keys: raise dataplane.memory or lower "
		      "dataplane.max_sas";
	else if (!configure(d, n_threads))
		why = "it does not start";
	else if ((n = find_served(d)) == 0)
		why = "it serves no algorithm of ESP";
	if (why) {
		snprintf(error, error_size, "crypto device \"%s\": %s%s%s%s", device, why,
			 dp_eal_error()[0] ? " (" : "", dp_eal_error(),
			 dp_eal_error()[0] ? ")" : "");
		dp_cryptodev_close();
		return false;
	}
	d->open = true;
	log_info("crypto device %s: %u of %u suites, %u queue pair%s", device, n, ESP_N_SUITES,
		 d->n_queues, d->n_queues == 1 ? "" : "s");
	return true;
}

void dp_cryptodev_close(void)
{
	struct dp_cryptodev *d = &dp_cryptodev;

	if (d->n_queues) {
		rte_cryptodev_stop(d->id);
		(void)rte_cryptodev_close(d->id);
	}
	if (d->vdev[0])
		(void)rte_eal_hotplug_remove("vdev", d->vdev);
	rte_mempool_free(d->sessions);
	rte_mempool_free(d->ops);
	memset(d, 0, sizeof(*d));
}
