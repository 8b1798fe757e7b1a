/* SPDX-License-Identifier: Apache-2.0 */
/*
 * aead_ipsec_mb: packets protected by libipsec-mb, which chooses the best code for the CPU.
 *
 * GCM and GMAC go through the direct calls, which measure faster than jobs. CBC with HMAC goes
 * through the job manager, which works on many packets side by side: a burst is submitted whole,
 * then flushed. Jobs complete in any order; user_data leads back to the caller's job. They are
 * submitted without the library's checks, which cost 25 cycles a packet: all it would check is set
 * here, but for the length. (Handing it packets sorted by size was tried: 2 % at best.)
 * ChaCha20-Poly1305 has jobs, too, but each is complete as soon as it is submitted.
 */
#include <cpuid.h>
#include <intel-ipsec-mb.h>
#include "base/key_mem.h"
#include "base/secret.h"
#include "esp/aead_int.h"
#include "esp/cpu.h"

#define HMAC_BLOCK_MAX 128
#define HMAC_STATE_MAX 64
#define ROUND_KEYS     15

typedef void gcm_fn(const struct gcm_key_data *key, struct gcm_context_data *ctx, uint8_t *out,
		    const uint8_t *in, uint64_t size, const uint8_t *iv, const uint8_t *aad,
		    uint64_t aad_size, uint8_t *tag, uint64_t tag_size);

struct gmac_fns {
	aes_gmac_init_t init;
	aes_gmac_update_t update;
	aes_gmac_finalize_t finalize;
};

struct esp_key {
	/* GCM */
	gcm_fn *gcm_enc, *gcm_dec;
	uint8_t salt[AEAD_SALT_SIZE]; /* of the AEADs */
	/* all */
	uint8_t kind; /* enum esp_kind */
	bool esn;
	uint8_t icv_size;
	/* CBC and HMAC */
	uint8_t encr_key_size;
	IMB_HASH_ALG hash;
	/* GMAC */
	struct gmac_fns gmac;
	union {
		uint8_t chacha20[32];
		struct gcm_key_data gcm __attribute__((aligned(64)));
		struct {
			uint8_t enc[ROUND_KEYS * 16] __attribute__((aligned(16)));
			uint8_t dec[ROUND_KEYS * 16] __attribute__((aligned(16)));
			uint8_t ipad[HMAC_STATE_MAX] __attribute__((aligned(16)));
			uint8_t opad[HMAC_STATE_MAX] __attribute__((aligned(16)));
		} cbc;
	};
};

struct mb_ctx {
	IMB_MGR *mgr;
	/* Of ChaCha20-Poly1305, by job. */
	uint8_t nonce[ESP_BURST_MAX][AEAD_NONCE_SIZE];
	uint8_t aad[ESP_BURST_MAX][AEAD_AAD_MAX];
	/* Of opened packets: received and computed ICVs, by job. */
	uint8_t icv_received[ESP_BURST_MAX][ESP_ICV_MAX];
	uint8_t icv_computed[ESP_BURST_MAX][ESP_ICV_MAX];
};

static bool mb_supports(const struct esp_suite *s)
{
	struct esp_suite known;

	return esp_suite_init(&known, s->encr, s->encr_key_bits, s->integ);
}

static void mb_ctx_free(void *ctx)
{
	struct mb_ctx *c = ctx;

	if (!c)
		return;
	/* The manager's lanes hold round keys, hash states and pieces of packets. */
	key_mem_free(c->mgr);
	key_mem_free(c);
}

/* The library asks the CPU alone, and takes vectors that the operating system does not save, too. */
static void mgr_init(IMB_MGR *m)
{
	struct esp_cpu cpu;
	IMB_ARCH arch;

	esp_cpu_ask(&cpu);
	if ((cpu.first_ecx & bit_AVX) && (cpu.xcr0 & ESP_XCR0_AVX) != ESP_XCR0_AVX)
		init_mb_mgr_sse(m);
	else if ((cpu.ebx & bit_AVX512F) && (cpu.xcr0 & ESP_XCR0_AVX512) != ESP_XCR0_AVX512)
		init_mb_mgr_avx2(m);
	else
		init_mb_mgr_auto(m, &arch);
}

static void *mb_ctx_new(void)
{
	struct mb_ctx *c = key_mem_alloc(sizeof(*c));
	void *mgr;

	if (!c)
		return NULL;
	mgr = key_mem_alloc(imb_get_mb_mgr_size());
	if (!mgr)
		goto fail;
	c->mgr = imb_set_pointers_mb_mgr(mgr, 0, 1);
	mgr_init(c->mgr);
	if (imb_get_errno(c->mgr) != 0)
		goto fail;
	return c;
fail:
	mb_ctx_free(c);
	return NULL;
}

static void gcm_key_init(struct esp_key *k, IMB_MGR *m, const struct esp_suite *s,
			 const uint8_t *key)
{
	switch (s->encr_key_bits) {
	case 128:
		IMB_AES128_GCM_PRE(m, key, &k->gcm);
		k->gmac =
			(struct gmac_fns){m->gmac128_init, m->gmac128_update, m->gmac128_finalize};
		k->gcm_enc = m->gcm128_enc;
		k->gcm_dec = m->gcm128_dec;
		break;
	case 192:
		IMB_AES192_GCM_PRE(m, key, &k->gcm);
		k->gmac =
			(struct gmac_fns){m->gmac192_init, m->gmac192_update, m->gmac192_finalize};
		k->gcm_enc = m->gcm192_enc;
		k->gcm_dec = m->gcm192_dec;
		break;
	default:
		IMB_AES256_GCM_PRE(m, key, &k->gcm);
		k->gmac =
			(struct gmac_fns){m->gmac256_init, m->gmac256_update, m->gmac256_finalize};
		k->gcm_enc = m->gcm256_enc;
		k->gcm_dec = m->gcm256_dec;
		break;
	}
}

static void hash_block(IMB_MGR *m, uint16_t integ, const uint8_t *block, uint8_t *state)
{
	switch (integ) {
	case ESP_INTEG_HMAC_SHA1_96: IMB_SHA1_ONE_BLOCK(m, block, state); break;
	case ESP_INTEG_HMAC_SHA2_256_128: IMB_SHA256_ONE_BLOCK(m, block, state); break;
	case ESP_INTEG_HMAC_SHA2_384_192: IMB_SHA384_ONE_BLOCK(m, block, state); break;
	default: IMB_SHA512_ONE_BLOCK(m, block, state); break;
	}
}

/* RFC 2104 2: the hash states after the padded key's block, once per key. */
static void hmac_key_init(struct esp_key *k, IMB_MGR *m, const struct esp_suite *s,
			  const uint8_t *key)
{
	uint8_t block[HMAC_BLOCK_MAX];
	const bool short_block =
		s->integ == ESP_INTEG_HMAC_SHA1_96 || s->integ == ESP_INTEG_HMAC_SHA2_256_128;
	const size_t block_size = short_block ? 64 : 128;

	memset(block, 0x36, block_size);
	for (size_t i = 0; i < s->integ_key_size; i++)
		block[i] ^= key[i];
	hash_block(m, s->integ, block, k->cbc.ipad);
	for (size_t i = 0; i < block_size; i++)
		block[i] ^= 0x36 ^ 0x5c;
	hash_block(m, s->integ, block, k->cbc.opad);
	bytes_wipe(block, sizeof(block));
}

static void cbc_key_init(struct esp_key *k, IMB_MGR *m, const struct esp_suite *s,
			 const uint8_t *encr_key, const uint8_t *integ_key)
{
	switch (s->encr_key_bits) {
	case 128: IMB_AES_KEYEXP_128(m, encr_key, k->cbc.enc, k->cbc.dec); break;
	case 192: IMB_AES_KEYEXP_192(m, encr_key, k->cbc.enc, k->cbc.dec); break;
	default: IMB_AES_KEYEXP_256(m, encr_key, k->cbc.enc, k->cbc.dec); break;
	}
	k->encr_key_size = s->encr_key_size;
	switch (s->integ) {
	case ESP_INTEG_HMAC_SHA1_96: k->hash = IMB_AUTH_HMAC_SHA_1; break;
	case ESP_INTEG_HMAC_SHA2_256_128: k->hash = IMB_AUTH_HMAC_SHA_256; break;
	case ESP_INTEG_HMAC_SHA2_384_192: k->hash = IMB_AUTH_HMAC_SHA_384; break;
	default: k->hash = IMB_AUTH_HMAC_SHA_512; break;
	}
	hmac_key_init(k, m, s, integ_key);
}

static void mb_key_free(struct esp_key *k)
{
	if (!k)
		return;
	key_mem_free(k);
}

static struct esp_key *mb_key_new(void *ctx, const struct esp_suite *s, bool esn,
				  const uint8_t *encr_key, const uint8_t *integ_key)
{
	struct mb_ctx *c = ctx;
	struct esp_key *k;

	if (!mb_supports(s))
		return NULL;
	k = key_mem_alloc(sizeof(*k));
	if (!k)
		return NULL;
	k->kind = s->kind;
	k->esn = esn;
	k->icv_size = s->icv_size;
	if (s->aead)
		memcpy(k->salt, encr_key + s->encr_key_bits / 8, sizeof(k->salt));
	switch ((enum esp_kind)s->kind) {
	case ESP_KIND_GCM:
	case ESP_KIND_GMAC: gcm_key_init(k, c->mgr, s, encr_key); break;
	case ESP_KIND_CHACHA20_POLY1305: memcpy(k->chacha20, encr_key, sizeof(k->chacha20)); break;
	case ESP_KIND_CBC_HMAC: cbc_key_init(k, c->mgr, s, encr_key, integ_key); break;
	}
	return k;
}

/* Sixteen bytes that are stored at once: the library reads them right back with one wide load,
 * which could not be served from several narrow stores in flight. */
typedef uint64_t two_words __attribute__((vector_size(16)));

static inline two_words gcm_nonce(const struct esp_job *j)
{
	uint32_t salt;
	uint64_t iv;

	memcpy(&salt, j->key->salt, 4);
	memcpy(&iv, j->esp + ESP_HDR_SIZE, 8);
	return (two_words){salt | iv << 32, iv >> 32};
}

/* Nonce and AAD of one packet; without ESN the AAD stands in the packet as it is. */
static inline const uint8_t *gcm_inputs(const struct esp_job *j, two_words *nonce, two_words *aad,
					size_t *aad_size)
{
	uint32_t spi, seq;

	*nonce = gcm_nonce(j);
	if (!j->key->esn) {
		*aad_size = ESP_HDR_SIZE;
		return j->esp;
	}
	memcpy(&spi, j->esp, 4);
	memcpy(&seq, j->esp + 4, 4);
	*aad = (two_words){spi | (uint64_t)__builtin_bswap32(j->seq_hi) << 32, seq};
	*aad_size = AEAD_AAD_MAX;
	return (const uint8_t *)aad;
}

static inline uint8_t *aead_text(const struct esp_job *j)
{
	return j->esp + ESP_HDR_SIZE + AEAD_IV_SIZE;
}

static inline void gcm_seal_one(struct esp_job *j)
{
	const struct esp_key *k = j->key;
	struct gcm_context_data gcm;
	two_words nonce, aad;
	uint8_t *text = aead_text(j);
	const uint8_t *a;
	size_t aad_size;

	a = gcm_inputs(j, &nonce, &aad, &aad_size);
	k->gcm_enc(&k->gcm, &gcm, text, text, j->payload_size, (const uint8_t *)&nonce, a, aad_size,
		   text + j->payload_size, k->icv_size);
	j->ok = true;
}

static inline void gcm_open_one(struct esp_job *j)
{
	const struct esp_key *k = j->key;
	struct gcm_context_data gcm;
	two_words nonce, aad;
	uint8_t icv[16], *text = aead_text(j);
	const uint8_t *a;
	size_t aad_size;

	a = gcm_inputs(j, &nonce, &aad, &aad_size);
	k->gcm_dec(&k->gcm, &gcm, text, text, j->payload_size, (const uint8_t *)&nonce, a, aad_size,
		   icv, k->icv_size);
	j->ok = aead_equal_ct(icv, text + j->payload_size, k->icv_size);
}

/*
 * RFC 4543 3.3: SPI, sequence number, IV and payload are all of them additional data. With ESN the
 * high half stands between the first two, which makes the first block of SPI, number and half of
 * the IV; the rest follows on in the packet.
 */
static void gmac_icv(const struct esp_job *j, uint8_t icv[16])
{
	const struct esp_key *k = j->key;
	const two_words nonce = gcm_nonce(j);
	struct gcm_context_data gmac;
	uint8_t first[16];

	k->gmac.init(&k->gcm, &gmac, (const uint8_t *)&nonce, AEAD_NONCE_SIZE);
	if (k->esn) {
		aead_aad_esn(first, j);
		memcpy(first + AEAD_AAD_MAX, j->esp + ESP_HDR_SIZE, 4);
		k->gmac.update(&k->gcm, &gmac, first, sizeof(first));
		k->gmac.update(&k->gcm, &gmac, j->esp + AEAD_AAD_MAX, 4 + j->payload_size);
	} else {
		k->gmac.update(&k->gcm, &gmac, j->esp,
			       ESP_HDR_SIZE + AEAD_IV_SIZE + j->payload_size);
	}
	k->gmac.finalize(&k->gcm, &gmac, icv, 16);
}

static void gmac_seal_one(struct esp_job *j)
{
	gmac_icv(j, aead_text(j) + j->payload_size);
	j->ok = true;
}

static void gmac_open_one(struct esp_job *j)
{
	uint8_t icv[16];

	gmac_icv(j, icv);
	j->ok = aead_equal_ct(icv, aead_text(j) + j->payload_size, sizeof(icv));
}

/* The fields that both directions share. */
static IMB_JOB *cbc_job(IMB_MGR *m, struct esp_job *j)
{
	const struct esp_key *k = j->key;
	const uint32_t head = ESP_HDR_SIZE + AEAD_CBC_BLOCK;
	IMB_JOB *q = IMB_GET_NEXT_JOB(m);

	q->enc_keys = k->cbc.enc;
	q->dec_keys = k->cbc.dec;
	q->key_len_in_bytes = k->encr_key_size;
	q->src = j->esp;
	q->dst = j->esp + head;
	q->cipher_start_src_offset_in_bytes = head;
	q->msg_len_to_cipher_in_bytes = j->payload_size;
	q->hash_start_src_offset_in_bytes = 0;
	/* RFC 4303 2.2.1: the high half is appended to what is hashed. It stands where the ICV
	 * will, and is not sent. */
	q->msg_len_to_hash_in_bytes = head + j->payload_size + (k->esn ? 4 : 0);
	q->iv = j->esp + ESP_HDR_SIZE;
	q->iv_len_in_bytes = AEAD_CBC_BLOCK;
	q->auth_tag_output_len_in_bytes = k->icv_size;
	q->u.HMAC._hashed_auth_key_xor_ipad = k->cbc.ipad;
	q->u.HMAC._hashed_auth_key_xor_opad = k->cbc.opad;
	q->cipher_mode = IMB_CIPHER_CBC;
	q->hash_alg = k->hash;
	q->user_data = j;
	return q;
}

static inline uint8_t *cbc_icv(const struct esp_job *j)
{
	return j->esp + ESP_HDR_SIZE + AEAD_CBC_BLOCK + j->payload_size;
}

static inline void job_done(IMB_JOB *q)
{
	struct esp_job *j;

	if (!q)
		return;
	j = q->user_data;
	j->ok = q->status == IMB_STATUS_COMPLETED;
}

static void chacha_run(struct mb_ctx *c, struct esp_job *jobs, size_t n, bool seal)
{
	IMB_JOB *q;

	for (size_t i = 0; i < n; i++) {
		struct esp_job *j = &jobs[i];
		const struct esp_key *k = j->key;
		uint8_t *text = aead_text(j);

		memcpy(c->nonce[i], k->salt, AEAD_SALT_SIZE);
		memcpy(c->nonce[i] + AEAD_SALT_SIZE, j->esp + ESP_HDR_SIZE, AEAD_IV_SIZE);
		if (k->esn)
			aead_aad_esn(c->aad[i], j);
		j->ok = false;
		q = IMB_GET_NEXT_JOB(c->mgr);
		q->cipher_mode = IMB_CIPHER_CHACHA20_POLY1305;
		q->hash_alg = IMB_AUTH_CHACHA20_POLY1305;
		q->cipher_direction = seal ? IMB_DIR_ENCRYPT : IMB_DIR_DECRYPT;
		q->chain_order = seal ? IMB_ORDER_CIPHER_HASH : IMB_ORDER_HASH_CIPHER;
		q->enc_keys = q->dec_keys = k->chacha20;
		q->key_len_in_bytes = sizeof(k->chacha20);
		q->src = q->dst = text;
		q->cipher_start_src_offset_in_bytes = q->hash_start_src_offset_in_bytes = 0;
		q->msg_len_to_cipher_in_bytes = q->msg_len_to_hash_in_bytes = j->payload_size;
		q->iv = c->nonce[i];
		q->iv_len_in_bytes = AEAD_NONCE_SIZE;
		q->u.CHACHA20_POLY1305.aad = k->esn ? c->aad[i] : j->esp;
		q->u.CHACHA20_POLY1305.aad_len_in_bytes = k->esn ? AEAD_AAD_MAX : ESP_HDR_SIZE;
		q->auth_tag_output = seal ? text + j->payload_size : c->icv_computed[i];
		q->auth_tag_output_len_in_bytes = k->icv_size;
		q->user_data = j;
		job_done(IMB_SUBMIT_JOB_NOCHECK(c->mgr));
	}
	while ((q = IMB_FLUSH_JOB(c->mgr)))
		job_done(q);
	for (size_t i = 0; i < n && !seal; i++)
		jobs[i].ok = jobs[i].ok && aead_equal_ct(c->icv_computed[i],
							 aead_text(&jobs[i]) + jobs[i].payload_size,
							 jobs[i].key->icv_size);
}

static void cbc_seal(struct mb_ctx *c, struct esp_job *jobs, size_t n)
{
	IMB_JOB *q;

	for (size_t i = 0; i < n; i++) {
		uint8_t *icv = cbc_icv(&jobs[i]);

		jobs[i].ok = false;
		if (!aead_cbc_size_ok(&jobs[i]))
			continue;
		if (jobs[i].key->esn)
			esp_put32(icv, jobs[i].seq_hi);
		q = cbc_job(c->mgr, &jobs[i]);
		q->cipher_direction = IMB_DIR_ENCRYPT;
		q->chain_order = IMB_ORDER_CIPHER_HASH;
		q->auth_tag_output = icv;
		job_done(IMB_SUBMIT_JOB_NOCHECK(c->mgr));
	}
	while ((q = IMB_FLUSH_JOB(c->mgr)))
		job_done(q);
}

static void cbc_open(struct mb_ctx *c, struct esp_job *jobs, size_t n)
{
	IMB_JOB *q;

	for (size_t i = 0; i < n; i++) {
		const uint8_t icv_size = jobs[i].key->icv_size;
		uint8_t *icv = cbc_icv(&jobs[i]);

		jobs[i].ok = false;
		if (!aead_cbc_size_ok(&jobs[i]))
			continue;
		memcpy(c->icv_received[i], icv, icv_size);
		if (jobs[i].key->esn)
			esp_put32(icv, jobs[i].seq_hi);
		q = cbc_job(c->mgr, &jobs[i]);
		q->cipher_direction = IMB_DIR_DECRYPT;
		q->chain_order = IMB_ORDER_HASH_CIPHER;
		q->auth_tag_output = c->icv_computed[i];
		job_done(IMB_SUBMIT_JOB_NOCHECK(c->mgr));
	}
	while ((q = IMB_FLUSH_JOB(c->mgr)))
		job_done(q);
	for (size_t i = 0; i < n; i++)
		jobs[i].ok = jobs[i].ok && aead_equal_ct(c->icv_received[i], c->icv_computed[i],
							 jobs[i].key->icv_size);
}

/* How many jobs from `first` on are of its kind, no more than a context has room for. */
static size_t run_size(const struct esp_job *jobs, size_t n, size_t first)
{
	size_t last = first + 1;

	while (last < n && jobs[last].key->kind == jobs[first].key->kind &&
	       last - first < ESP_BURST_MAX)
		last++;
	return last - first;
}

/* A burst may mix keys: runs of one kind go together. */
static inline void mb_run(struct mb_ctx *c, struct esp_job *jobs, size_t n, bool seal)
{
	size_t first = 0;

	while (first < n) {
		struct esp_job *j = &jobs[first];
		size_t size = 1;

		switch ((enum esp_kind)j->key->kind) {
		case ESP_KIND_GCM: seal ? gcm_seal_one(j) : gcm_open_one(j); break;
		case ESP_KIND_GMAC: seal ? gmac_seal_one(j) : gmac_open_one(j); break;
		case ESP_KIND_CHACHA20_POLY1305:
			size = run_size(jobs, n, first);
			chacha_run(c, j, size, seal);
			break;
		case ESP_KIND_CBC_HMAC:
			size = run_size(jobs, n, first);
			seal ? cbc_seal(c, j, size) : cbc_open(c, j, size);
			break;
		}
		first += size;
	}
}

static void mb_seal(void *ctx, struct esp_job *jobs, size_t n)
{
	mb_run(ctx, jobs, n, true);
}

static void mb_open(void *ctx, struct esp_job *jobs, size_t n)
{
	mb_run(ctx, jobs, n, false);
}

const struct esp_backend esp_backend_ipsec_mb = {
	.name = "ipsec-mb",
	.supports = mb_supports,
	.keys_shared = true,
	.ctx_new = mb_ctx_new,
	.ctx_free = mb_ctx_free,
	.key_new = mb_key_new,
	.key_free = mb_key_free,
	.seal = mb_seal,
	.open = mb_open,
};
