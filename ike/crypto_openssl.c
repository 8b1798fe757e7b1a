/* SPDX-License-Identifier: Apache-2.0 */
/*
 * crypto_openssl: the core's primitives on OpenSSL 3 (libcrypto). Algorithms are fetched once for
 * the process: a fetch takes locks and walks providers, which costs more than a short HMAC.
 * Diffie-Hellman has its own file, crypto_openssl_dh.c.
 */
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/rand.h>
#include "base/secret.h"
#include "ike/crypto_openssl_int.h"

/* Fetched by load(), then read only, for the life of the process. */
static struct {
	bool ok;
	EVP_MAC *hmac;
	EVP_MD *sha1;
	EVP_CIPHER *cbc_128, *cbc_256, *gcm_128, *gcm_256;
} algs;
static CRYPTO_ONCE algs_once = CRYPTO_ONCE_STATIC_INIT;

static void load(void)
{
	algs.hmac = EVP_MAC_fetch(NULL, "HMAC", NULL);
	algs.sha1 = EVP_MD_fetch(NULL, "SHA1", NULL);
	algs.cbc_128 = EVP_CIPHER_fetch(NULL, "AES-128-CBC", NULL);
	algs.cbc_256 = EVP_CIPHER_fetch(NULL, "AES-256-CBC", NULL);
	algs.gcm_128 = EVP_CIPHER_fetch(NULL, "AES-128-GCM", NULL);
	algs.gcm_256 = EVP_CIPHER_fetch(NULL, "AES-256-GCM", NULL);
	algs.ok = algs.hmac && algs.sha1 && algs.cbc_128 && algs.cbc_256 && algs.gcm_128 &&
		  algs.gcm_256;
}

static bool loaded(void)
{
	return CRYPTO_THREAD_run_once(&algs_once, load) && algs.ok;
}

/* --------------------------------------------------------------- random, hash */

static bool random_libcrypto(void *ctx, uint8_t *out, size_t size)
{
	(void)ctx;
	if (size <= INT_MAX && RAND_priv_bytes(out, (int)size) == 1)
		return true;
	bytes_wipe(out, size);
	return false;
}

static bool random_injected(void *ctx, uint8_t *out, size_t size)
{
	const struct ike_openssl *o = ctx;

	if (o->random(o->random_ctx, out, size))
		return true;
	bytes_wipe(out, size);
	return false;
}

static bool sha1(void *ctx, const struct ike_iov *in, size_t n_in, uint8_t out[20])
{
	EVP_MD_CTX *md = EVP_MD_CTX_new();
	bool ok;

	(void)ctx;
	ok = md && loaded() && EVP_DigestInit_ex2(md, algs.sha1, NULL) == 1;
	for (size_t i = 0; ok && i < n_in; i++)
		ok = EVP_DigestUpdate(md, in[i].data, in[i].size) == 1;
	ok = ok && EVP_DigestFinal_ex(md, out, NULL) == 1;
	EVP_MD_CTX_free(md);
	if (!ok)
		bytes_wipe(out, 20);
	return ok;
}

/* HMAC over `in`, its first `out_size` bytes. */
static bool hmac(const char *digest, const uint8_t *key, size_t key_size, const struct ike_iov *in,
		 size_t n_in, uint8_t *out, size_t out_size)
{
	/* libcrypto only reads a digest's name, though the type says otherwise. */
	const OSSL_PARAM params[] = {
		OSSL_PARAM_utf8_string(OSSL_MAC_PARAM_DIGEST, (char *)(uintptr_t)digest,
				       strlen(digest)),
		OSSL_PARAM_END,
	};
	uint8_t full[IKE_PRF_MAX];
	EVP_MAC_CTX *mac = NULL;
	size_t size;
	bool ok;

	ok = loaded() && (mac = EVP_MAC_CTX_new(algs.hmac)) &&
	     /* A NULL key would mean "the key set before". */
	     EVP_MAC_init(mac, key ? key : (const uint8_t *)"", key_size, params) == 1;
	for (size_t i = 0; ok && i < n_in; i++)
		ok = EVP_MAC_update(mac, in[i].data, in[i].size) == 1;
	ok = ok && EVP_MAC_final(mac, full, &size, sizeof(full)) == 1 && size >= out_size;
	EVP_MAC_CTX_free(mac);
	if (ok)
		memcpy(out, full, out_size);
	else
		bytes_wipe(out, out_size);
	bytes_wipe(full, sizeof(full));
	return ok;
}

static bool prf(void *ctx, enum ike_prf id, const uint8_t *key, size_t key_size,
		const struct ike_iov *in, size_t n_in, uint8_t *out)
{
	(void)ctx;
	switch (id) {
	case IKE_PRF_HMAC_SHA2_256: return hmac("SHA256", key, key_size, in, n_in, out, 32);
	case IKE_PRF_HMAC_SHA2_384: return hmac("SHA384", key, key_size, in, n_in, out, 48);
	case IKE_PRF_HMAC_SHA2_512: return hmac("SHA512", key, key_size, in, n_in, out, 64);
	case IKE_PRF_NONE: break;
	}
	return false;
}

static bool integ(void *ctx, enum ike_integ id, const uint8_t *key, const struct ike_iov *in,
		  size_t n_in, uint8_t *out)
{
	const struct ike_integ_desc *d = ike_integ_desc(id);

	(void)ctx;
	switch (id) {
	case IKE_INTEG_HMAC_SHA2_256_128:
		return hmac("SHA256", key, d->key_size, in, n_in, out, d->icv_size);
	case IKE_INTEG_HMAC_SHA2_384_192:
		return hmac("SHA384", key, d->key_size, in, n_in, out, d->icv_size);
	case IKE_INTEG_HMAC_SHA2_512_256:
		return hmac("SHA512", key, d->key_size, in, n_in, out, d->icv_size);
	case IKE_INTEG_NONE: break;
	}
	return false;
}

/* ----------------------------------------------------------------- ciphers */

static bool cbc(bool encrypt, const uint8_t *key, size_t key_size, const uint8_t iv[16],
		uint8_t *data, size_t size)
{
	const EVP_CIPHER *cipher = key_size == 16   ? algs.cbc_128
				   : key_size == 32 ? algs.cbc_256
						    : NULL;
	EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
	int n = 0, last = 0;
	const bool ok = c && cipher && size <= INT_MAX && size % 16 == 0 &&
			EVP_CipherInit_ex2(c, cipher, key, iv, encrypt, NULL) == 1 &&
			EVP_CIPHER_CTX_set_padding(c, 0) == 1 &&
			EVP_CipherUpdate(c, data, &n, data, (int)size) == 1 &&
			EVP_CipherFinal_ex(c, data + n, &last) == 1 && (size_t)(n + last) == size;

	EVP_CIPHER_CTX_free(c);
	if (!ok)
		bytes_wipe(data, size);
	return ok;
}

static bool cbc_encrypt(void *ctx, const uint8_t *key, size_t key_size, const uint8_t iv[16],
			uint8_t *data, size_t size)
{
	(void)ctx;
	return loaded() && cbc(true, key, key_size, iv, data, size);
}

static bool cbc_decrypt(void *ctx, const uint8_t *key, size_t key_size, const uint8_t iv[16],
			uint8_t *data, size_t size)
{
	(void)ctx;
	return loaded() && cbc(false, key, key_size, iv, data, size);
}

/* `tag` is written when encrypting and checked when decrypting. */
static bool gcm(bool encrypt, const uint8_t *key, size_t key_size, const uint8_t nonce[12],
		const uint8_t *aad, size_t aad_size, uint8_t *data, size_t size, uint8_t tag[16])
{
	const EVP_CIPHER *cipher = key_size == 16   ? algs.gcm_128
				   : key_size == 32 ? algs.gcm_256
						    : NULL;
	EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
	int n = 0, last = 0, ignored = 0;
	/* 12 bytes is the default nonce size of AES-GCM. */
	bool ok = c && cipher && size <= INT_MAX && aad_size <= INT_MAX &&
		  EVP_CipherInit_ex2(c, cipher, key, nonce, encrypt, NULL) == 1;

	if (ok && !encrypt)
		ok = EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_SET_TAG, 16, tag) == 1;
	if (ok && aad_size)
		ok = EVP_CipherUpdate(c, NULL, &ignored, aad, (int)aad_size) == 1;
	if (ok && size)
		ok = EVP_CipherUpdate(c, data, &n, data, (int)size) == 1;
	ok = ok && EVP_CipherFinal_ex(c, data + n, &last) == 1 && (size_t)(n + last) == size;
	if (ok && encrypt)
		ok = EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_GET_TAG, 16, tag) == 1;
	EVP_CIPHER_CTX_free(c);
	if (!ok)
		bytes_wipe(data, size);
	return ok;
}

static bool gcm_seal(void *ctx, const uint8_t *key, size_t key_size, const uint8_t nonce[12],
		     const uint8_t *aad, size_t aad_size, uint8_t *data, size_t size,
		     uint8_t tag[16])
{
	(void)ctx;
	if (loaded() && gcm(true, key, key_size, nonce, aad, aad_size, data, size, tag))
		return true;
	bytes_wipe(tag, 16);
	return false;
}

static bool gcm_open(void *ctx, const uint8_t *key, size_t key_size, const uint8_t nonce[12],
		     const uint8_t *aad, size_t aad_size, uint8_t *data, size_t size,
		     const uint8_t tag[16])
{
	uint8_t copy[16];

	(void)ctx;
	memcpy(copy, tag, sizeof(copy));
	return loaded() && gcm(false, key, key_size, nonce, aad, aad_size, data, size, copy);
}

/* ------------------------------------------------------------------- set-up */

void ike_crypto_openssl(struct ike_crypto *out,
			bool (*random)(void *ctx, uint8_t *out, size_t size), void *ctx)
{
	/*
	 * ops get one context, and both the injected generator and its own context are needed
	 * behind it. Pairs are few (one in the product, one a node in simulations) and kept in a
	 * list that lives as long as the process, so that an ike_crypto can be copied and dropped
	 * freely.
	 */
	*out = (struct ike_crypto){
		.ctx = ike_openssl_ctx(random ? random : random_libcrypto, ctx),
		.random = random_injected,
		.sha1 = sha1,
		.prf = prf,
		.integ = integ,
		.cbc_encrypt = cbc_encrypt,
		.cbc_decrypt = cbc_decrypt,
		.gcm_seal = gcm_seal,
		.gcm_open = gcm_open,
		.dh_new = ike_openssl_dh_new,
		.dh_shared = ike_openssl_dh_shared,
		.dh_free = ike_openssl_dh_free,
	};
}
