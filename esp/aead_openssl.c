/* SPDX-License-Identifier: Apache-2.0 */
/*
 * aead_openssl: packets protected by OpenSSL's EVP: the reference, on every platform.
 *
 * Cipher and MAC contexts belong to the key and keep its schedule; a packet only sets its IV. So a
 * key serves one thread at a time, as an SA half does. Where OpenSSL keeps them is for the program to
 * say, once for all that OpenSSL allocates: the dataplane gives it key_mem.h's memory.
 */
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <stdlib.h>
#include "base/key_mem.h"
#include "esp/aead_int.h"

struct esp_key {
	EVP_CIPHER_CTX *enc, *dec;
	EVP_MAC_CTX *mac; /* NULL for an AEAD */
	uint8_t salt[AEAD_SALT_SIZE];
	uint8_t kind; /* enum esp_kind */
	uint8_t icv_size;
	bool aead, esn;
};

/* Fetched once per thread: an implicit fetch for each key would take a lock and a lookup. */
struct ssl_ctx {
	EVP_MAC *hmac;
};

static bool ssl_supports(const struct esp_suite *s)
{
	struct esp_suite known;

	return esp_suite_init(&known, s->encr, s->encr_key_bits, s->integ);
}

static void ssl_ctx_free(void *ctx)
{
	struct ssl_ctx *c = ctx;

	if (!c)
		return;
	EVP_MAC_free(c->hmac);
	free(c);
}

static void *ssl_ctx_new(void)
{
	struct ssl_ctx *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	c->hmac = EVP_MAC_fetch(NULL, "HMAC", NULL);
	if (!c->hmac) {
		ssl_ctx_free(c);
		return NULL;
	}
	return c;
}

static const EVP_CIPHER *cipher_of(const struct esp_suite *s)
{
	if (s->kind == ESP_KIND_CHACHA20_POLY1305)
		return EVP_chacha20_poly1305();
	switch (s->encr_key_bits) {
	case 128: return s->aead ? EVP_aes_128_gcm() : EVP_aes_128_cbc();
	case 192: return s->aead ? EVP_aes_192_gcm() : EVP_aes_192_cbc();
	default: return s->aead ? EVP_aes_256_gcm() : EVP_aes_256_cbc();
	}
}

/* Returns a constant; OSSL_PARAM wants it without const and does not write it. */
static char *digest_of(const struct esp_suite *s)
{
	static char sha1[] = "SHA1", sha256[] = "SHA256", sha384[] = "SHA384", sha512[] = "SHA512";

	switch (s->integ) {
	case ESP_INTEG_HMAC_SHA1_96: return sha1;
	case ESP_INTEG_HMAC_SHA2_256_128: return sha256;
	case ESP_INTEG_HMAC_SHA2_384_192: return sha384;
	default: return sha512;
	}
}

static bool cipher_init(EVP_CIPHER_CTX **out, const struct esp_suite *s, const uint8_t *key,
			bool encrypt)
{
	*out = EVP_CIPHER_CTX_new();
	return *out && EVP_CipherInit_ex(*out, cipher_of(s), NULL, key, NULL, encrypt) == 1 &&
	       EVP_CIPHER_CTX_set_padding(*out, 0) == 1;
}

static bool mac_init(struct esp_key *k, struct ssl_ctx *c, const struct esp_suite *s,
		     const uint8_t *key)
{
	OSSL_PARAM params[2] = {
		OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest_of(s), 0),
		OSSL_PARAM_construct_end(),
	};

	k->mac = EVP_MAC_CTX_new(c->hmac);
	return k->mac && EVP_MAC_init(k->mac, key, s->integ_key_size, params) == 1;
}

static void ssl_key_free(struct esp_key *k)
{
	if (!k)
		return;
	/* Each of these wipes what it holds. */
	EVP_CIPHER_CTX_free(k->enc);
	EVP_CIPHER_CTX_free(k->dec);
	EVP_MAC_CTX_free(k->mac);
	key_mem_free(k);
}

static struct esp_key *ssl_key_new(void *ctx, const struct esp_suite *s, bool esn,
				   const uint8_t *encr_key, const uint8_t *integ_key)
{
	struct esp_key *k;

	if (!ssl_supports(s))
		return NULL;
	k = key_mem_alloc(sizeof(*k));
	if (!k)
		return NULL;
	k->kind = s->kind;
	k->aead = s->aead;
	k->esn = esn;
	k->icv_size = s->icv_size;
	if (!cipher_init(&k->enc, s, encr_key, true) || !cipher_init(&k->dec, s, encr_key, false))
		goto fail;
	if (s->aead)
		memcpy(k->salt, encr_key + s->encr_key_bits / 8, sizeof(k->salt));
	else if (!mac_init(k, ctx, s, integ_key))
		goto fail;
	return k;
fail:
	ssl_key_free(k);
	return NULL;
}

static bool aead_run(const struct esp_job *j, EVP_CIPHER_CTX *c, bool seal)
{
	const struct esp_key *k = j->key;
	uint8_t nonce[AEAD_NONCE_SIZE], aad[AEAD_AAD_MAX];
	uint8_t *iv = j->esp + ESP_HDR_SIZE;
	uint8_t *text = iv + AEAD_IV_SIZE;
	uint8_t *icv = text + j->payload_size;
	const int size = (int)j->payload_size;
	int len, aad_size = ESP_HDR_SIZE;

	memcpy(nonce, k->salt, AEAD_SALT_SIZE);
	memcpy(nonce + AEAD_SALT_SIZE, iv, AEAD_IV_SIZE);
	if (k->esn) {
		aead_aad_esn(aad, j);
		aad_size = AEAD_AAD_MAX;
	} else {
		memcpy(aad, j->esp, ESP_HDR_SIZE);
	}
	if (EVP_CipherInit_ex(c, NULL, NULL, NULL, nonce, -1) != 1)
		return false;
	if (!seal && EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_SET_TAG, k->icv_size, icv) != 1)
		return false;
	if (EVP_CipherUpdate(c, NULL, &len, aad, aad_size) != 1)
		return false;
	if (k->kind == ESP_KIND_GMAC) {
		/* RFC 4543 3.3: the IV and the payload are additional data, nothing is encrypted. */
		if (EVP_CipherUpdate(c, NULL, &len, iv, (int)AEAD_IV_SIZE + size) != 1)
			return false;
	} else if (EVP_CipherUpdate(c, text, &len, text, size) != 1 || len != size) {
		return false;
	}
	/* Opening, this is where the ICV is compared, in constant time. No block is left to write. */
	if (EVP_CipherFinal_ex(c, nonce, &len) != 1)
		return false;
	return !seal || EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_GET_TAG, k->icv_size, icv) == 1;
}

static bool cbc_cipher(const struct esp_job *j, EVP_CIPHER_CTX *c)
{
	uint8_t *text = j->esp + ESP_HDR_SIZE + AEAD_CBC_BLOCK;
	const int size = (int)j->payload_size;
	int len;

	return EVP_CipherInit_ex(c, NULL, NULL, NULL, j->esp + ESP_HDR_SIZE, -1) == 1 &&
	       EVP_CipherUpdate(c, text, &len, text, size) == 1 && len == size;
}

static bool hmac(const struct esp_job *j, uint8_t out[64])
{
	const struct esp_key *k = j->key;
	uint8_t hi[4];
	size_t len;

	/* Without a key: starts anew with the one it has. */
	if (EVP_MAC_init(k->mac, NULL, 0, NULL) != 1 ||
	    EVP_MAC_update(k->mac, j->esp, ESP_HDR_SIZE + AEAD_CBC_BLOCK + j->payload_size) != 1)
		return false;
	if (k->esn) {
		/* RFC 4303 2.2.1: hashed, not sent. */
		esp_put32(hi, j->seq_hi);
		if (EVP_MAC_update(k->mac, hi, sizeof(hi)) != 1)
			return false;
	}
	return EVP_MAC_final(k->mac, out, &len, 64) == 1 && len >= k->icv_size;
}

static bool cbc_seal_one(const struct esp_job *j)
{
	uint8_t mac[64];

	if (!aead_cbc_size_ok(j) || !cbc_cipher(j, j->key->enc) || !hmac(j, mac))
		return false;
	memcpy(j->esp + ESP_HDR_SIZE + AEAD_CBC_BLOCK + j->payload_size, mac, j->key->icv_size);
	return true;
}

static bool cbc_open_one(const struct esp_job *j)
{
	const uint8_t *icv = j->esp + ESP_HDR_SIZE + AEAD_CBC_BLOCK + j->payload_size;
	uint8_t mac[64];

	/* RFC 4303 3.4.4.1: the ICV first. */
	return aead_cbc_size_ok(j) && hmac(j, mac) && aead_equal_ct(mac, icv, j->key->icv_size) &&
	       cbc_cipher(j, j->key->dec);
}

static void ssl_seal(void *ctx, struct esp_job *jobs, size_t n)
{
	for (size_t i = 0; i < n; i++)
		jobs[i].ok = jobs[i].key->aead ? aead_run(&jobs[i], jobs[i].key->enc, true)
					       : cbc_seal_one(&jobs[i]);
}

static void ssl_open(void *ctx, struct esp_job *jobs, size_t n)
{
	for (size_t i = 0; i < n; i++)
		jobs[i].ok = jobs[i].key->aead ? aead_run(&jobs[i], jobs[i].key->dec, false)
					       : cbc_open_one(&jobs[i]);
}

const struct esp_backend esp_backend_openssl = {
	.name = "openssl",
	.supports = ssl_supports,
	.ctx_new = ssl_ctx_new,
	.ctx_free = ssl_ctx_free,
	.key_new = ssl_key_new,
	.key_free = ssl_key_free,
	.seal = ssl_seal,
	.open = ssl_open,
};
