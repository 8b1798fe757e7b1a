/* SPDX-License-Identifier: Apache-2.0 */
/*
 * aead_cryptodev: packets protected by a crypto device (cryptodev.h), behind esp/aead.h.
 *
 * A device works beside the processor: operations are enqueued and come back later, in any order
 * across sessions. Here a burst is given to it whole and waited for, so that the callers need to know
 * nothing of it; what is lost is the time of one burst's way to a card and back, not its throughput
 * by many workers. The packet's own bytes serve as the operation's mbuf, whose head is ours.
 *
 * A device that does not answer still owns the packets' memory and may write to it whenever it likes.
 * There is no going on from there: the process ends, its successor starts with a device that was
 * reset.
 */
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <rte_cycles.h>
#include <rte_malloc.h>
#include "base/key_mem.h"
#include "base/log.h"
#include "dataplane/cryptodev.h"
#include "esp/bytes.h"
#include "esp/esp.h"

#define HDR_SIZE    8u /* SPI and sequence number */
#define SALT_SIZE   4u
#define IV_SIZE     8u /* of all but CBC */
#define CBC_BLOCK   16u
#define SILENCE_S   2u /* how long a device may say nothing while it has work */
#define BOUNCE_SIZE (HDR_SIZE + 4 + IV_SIZE + 65536)

struct esp_key {
	void *seal, *open; /* sessions */
	uint8_t kind, icv_size;
	bool esn;
	uint8_t salt[SALT_SIZE];
};

struct ctx {
	uint16_t queue;
	uint64_t silence; /* cycles */
	uint8_t *bounce;  /* of GMAC with ESN, made when first needed */
	struct rte_crypto_op *ops[ESP_BURST_MAX];
	struct rte_mbuf mbufs[ESP_BURST_MAX];
};

static bool cd_supports(const struct esp_suite *s)
{
	const size_t i = esp_suite_index(s);

	return dp_cryptodev.open && i < ESP_N_SUITES && dp_cryptodev.served[i];
}

static void cd_ctx_free(void *ctx)
{
	struct ctx *c = ctx;

	if (!c)
		return;
	rte_mempool_put_bulk(dp_cryptodev.ops, (void **)c->ops, ESP_BURST_MAX);
	rte_free(c->bounce);
	rte_free(c);
}

static void *cd_ctx_new(void)
{
	struct dp_cryptodev *d = &dp_cryptodev;
	struct ctx *c = d->open ? rte_zmalloc("dp-crypto", sizeof(*c), RTE_CACHE_LINE_SIZE) : NULL;

	if (!c)
		return NULL;
	if (rte_crypto_op_bulk_alloc(d->ops, RTE_CRYPTO_OP_TYPE_SYMMETRIC, c->ops, ESP_BURST_MAX) !=
	    ESP_BURST_MAX) {
		rte_free(c);
		return NULL;
	}
	c->queue =
		(uint16_t)(__atomic_fetch_add(&d->next_queue, 1, __ATOMIC_RELAXED) % d->n_queues);
	c->silence = SILENCE_S * rte_get_tsc_hz();
	return c;
}

static void cd_key_free(struct esp_key *k)
{
	if (!k)
		return;
	dp_cryptodev_session_free(k->seal);
	dp_cryptodev_session_free(k->open);
	key_mem_free(k);
}

static struct esp_key *cd_key_new(void *ctx, const struct esp_suite *s, bool esn,
				  const uint8_t *encr_key, const uint8_t *integ_key)
{
	struct esp_key *k = cd_supports(s) ? key_mem_alloc(sizeof(*k)) : NULL;

	if (!k)
		return NULL;
	k->kind = s->kind;
	k->icv_size = s->icv_size;
	k->esn = esn;
	if (s->aead)
		memcpy(k->salt, encr_key + s->encr_key_bits / 8, SALT_SIZE);
	k->seal = dp_cryptodev_session(s, esn, true, encr_key, integ_key);
	k->open = dp_cryptodev_session(s, esn, false, encr_key, integ_key);
	if (!k->seal || !k->open) {
		cd_key_free(k);
		return NULL;
	}
	return k;
}

/* --------------------------------------------------------------- operations */

static struct dp_crypto_private *private_of(struct rte_crypto_op *op)
{
	return rte_crypto_op_ctod_offset(op, struct dp_crypto_private *, DP_CRYPTO_IV_OFFSET);
}

/* Devices see virtual addresses (--iova-mode=va). */
static rte_iova_t iova(const void *p)
{
	return (rte_iova_t)(uintptr_t)p;
}

static void mbuf_set(struct rte_mbuf *m, uint8_t *data, uint32_t size)
{
	m->buf_addr = data;
	m->buf_iova = iova(data);
	m->buf_len = (uint16_t)RTE_MIN(size, UINT16_MAX);
	m->data_len = m->buf_len;
	m->pkt_len = size;
	m->data_off = 0;
	m->nb_segs = 1;
	m->next = NULL;
	rte_mbuf_refcnt_set(m, 1);
}

static void nonce_set(struct dp_crypto_private *p, const struct esp_job *j)
{
	memcpy(p->iv, j->key->salt, SALT_SIZE);
	memcpy(p->iv + SALT_SIZE, j->esp + HDR_SIZE, IV_SIZE);
}

static void aead_set(struct rte_crypto_op *op, const struct esp_job *j)
{
	struct dp_crypto_private *p = private_of(op);
	const uint32_t head = HDR_SIZE + IV_SIZE;

	nonce_set(p, j);
	memcpy(p->aad, j->esp, HDR_SIZE);
	if (j->key->esn) {
		/* RFC 4106 5, RFC 7634 2.1: the 64-bit number. */
		esp_put32(p->aad + 4, j->seq_hi);
		memcpy(p->aad + 8, j->esp + 4, 4);
	}
	op->sym->aead.data.offset = head;
	op->sym->aead.data.length = j->payload_size;
	op->sym->aead.digest.data = j->esp + head + j->payload_size;
	op->sym->aead.digest.phys_addr = iova(op->sym->aead.digest.data);
	op->sym->aead.aad.data = p->aad;
	op->sym->aead.aad.phys_addr = iova(p->aad);
}

static void auth_set(struct rte_crypto_op *op, uint32_t size, uint8_t *icv)
{
	op->sym->auth.data.offset = 0;
	op->sym->auth.data.length = size;
	op->sym->auth.digest.data = icv;
	op->sym->auth.digest.phys_addr = iova(icv);
}

static void cbc_set(struct rte_crypto_op *op, struct esp_job *j, bool seal)
{
	struct dp_crypto_private *p = private_of(op);
	const uint32_t head = HDR_SIZE + CBC_BLOCK, size = head + j->payload_size;
	uint8_t *icv = j->esp + size;

	memcpy(p->iv, j->esp + HDR_SIZE, CBC_BLOCK);
	op->sym->cipher.data.offset = head;
	op->sym->cipher.data.length = j->payload_size;
	if (!j->key->esn) {
		auth_set(op, size, icv);
		return;
	}
	/* RFC 4303 2.2.1: the high half is hashed where the ICV stands, which is elsewhere then. */
	if (!seal)
		memcpy(p->icv, icv, j->key->icv_size);
	esp_put32(icv, j->seq_hi);
	auth_set(op, size + 4, p->icv);
}

/* RFC 4543 3.3: with ESN the high half stands within what is authenticated, but not in the packet. */
static uint32_t gmac_bounce(struct ctx *c, const struct esp_job *j)
{
	uint8_t *b = c->bounce;

	memcpy(b, j->esp, 4);
	esp_put32(b + 4, j->seq_hi);
	memcpy(b + HDR_SIZE, j->esp + 4, 4 + IV_SIZE + j->payload_size);
	return HDR_SIZE + 4 + IV_SIZE + j->payload_size;
}

static bool bounces(const struct esp_job *j)
{
	return j->key->kind == ESP_KIND_GMAC && j->key->esn;
}

/* What cannot be given to the device fails by itself. */
static bool op_set(struct ctx *c, unsigned i, struct esp_job *j, bool seal)
{
	struct rte_crypto_op *op = c->ops[i];
	struct dp_crypto_private *p = private_of(op);
	const struct esp_key *k = j->key;
	const uint32_t head = HDR_SIZE + (k->kind == ESP_KIND_CBC_HMAC ? CBC_BLOCK : IV_SIZE);
	uint32_t size = head + j->payload_size + k->icv_size;
	uint8_t *data = j->esp;

	j->ok = false;
	if (size > UINT16_MAX || (k->kind == ESP_KIND_CBC_HMAC &&
				  (j->payload_size == 0 || j->payload_size % CBC_BLOCK != 0)))
		return false;
	if (bounces(j)) {
		if (!c->bounce)
			c->bounce = rte_malloc("dp-crypto", BOUNCE_SIZE, 0);
		if (!c->bounce)
			return false;
		size = gmac_bounce(c, j);
		data = c->bounce;
	}
	op->status = RTE_CRYPTO_OP_STATUS_NOT_PROCESSED;
	op->sess_type = RTE_CRYPTO_OP_WITH_SESSION;
	op->sym->session = seal ? k->seal : k->open;
	op->sym->m_src = &c->mbufs[i];
	op->sym->m_dst = NULL;
	p->job = j;
	mbuf_set(&c->mbufs[i], data, size);
	switch ((enum esp_kind)k->kind) {
	case ESP_KIND_GCM:
	case ESP_KIND_CHACHA20_POLY1305: aead_set(op, j); break;
	case ESP_KIND_CBC_HMAC: cbc_set(op, j, seal); break;
	case ESP_KIND_GMAC:
		nonce_set(p, j);
		auth_set(op, bounces(j) ? size : head + j->payload_size,
			 j->esp + head + j->payload_size);
		break;
	}
	return true;
}

static void op_done(struct rte_crypto_op *op, bool seal)
{
	struct dp_crypto_private *p = private_of(op);
	struct esp_job *j = p->job;

	j->ok = op->status == RTE_CRYPTO_OP_STATUS_SUCCESS;
	if (seal && j->key->esn && j->key->kind == ESP_KIND_CBC_HMAC)
		memcpy(j->esp + HDR_SIZE + CBC_BLOCK + j->payload_size, p->icv, j->key->icv_size);
}

static _Noreturn void silent(void)
{
	log_error("the crypto device has not answered for %u s: this process ends, so that it is "
		  "started with the device reset",
		  SILENCE_S);
	_exit(EXIT_FAILURE);
}

static void exchange(struct ctx *c, unsigned n, bool seal)
{
	const struct dp_cryptodev *d = &dp_cryptodev;
	struct rte_crypto_op *back[ESP_BURST_MAX];
	unsigned sent = 0, done = 0;
	uint64_t heard = rte_rdtsc();

	while (done < n) {
		unsigned k = 0;

		if (sent < n) {
			k = rte_cryptodev_enqueue_burst(d->id, c->queue, &c->ops[sent],
							(uint16_t)(n - sent));
			sent += k;
		}
		/* A device that has nothing to do and takes nothing refuses this operation. */
		if (sent < n && k == 0 && sent == done) {
			sent++;
			done++;
			continue;
		}
		k = rte_cryptodev_dequeue_burst(d->id, c->queue, back, ESP_BURST_MAX);
		for (unsigned i = 0; i < k; i++)
			op_done(back[i], seal);
		done += k;
		if (k)
			heard = rte_rdtsc();
		else if (rte_rdtsc() - heard > c->silence)
			silent();
	}
}

static void run(struct ctx *c, struct esp_job *jobs, size_t n_jobs, bool seal)
{
	unsigned n = 0;

	rte_spinlock_lock(&dp_cryptodev.lock[c->queue]);
	for (size_t i = 0; i < n_jobs; i++) {
		/* There is one place to bounce from. */
		if (n == ESP_BURST_MAX || (n && bounces(&jobs[i]))) {
			exchange(c, n, seal);
			n = 0;
		}
		n += op_set(c, n, &jobs[i], seal);
		if (n && bounces(&jobs[i])) {
			exchange(c, n, seal);
			n = 0;
		}
	}
	exchange(c, n, seal);
	rte_spinlock_unlock(&dp_cryptodev.lock[c->queue]);
}

static void cd_seal(void *ctx, struct esp_job *jobs, size_t n)
{
	run(ctx, jobs, n, true);
}

static void cd_open(void *ctx, struct esp_job *jobs, size_t n)
{
	run(ctx, jobs, n, false);
}

/* What a card can reach: the stack and the heap it cannot. */
static void *cd_mem_new(size_t size)
{
	return rte_zmalloc("dp-crypto", size, RTE_CACHE_LINE_SIZE);
}

const struct esp_backend dp_backend_cryptodev = {
	.name = "cryptodev",
	.supports = cd_supports,
	.ctx_new = cd_ctx_new,
	.ctx_free = cd_ctx_free,
	.key_new = cd_key_new,
	.key_free = cd_key_free,
	.seal = cd_seal,
	.open = cd_open,
	.mem_new = cd_mem_new,
	.mem_free = rte_free,
};
