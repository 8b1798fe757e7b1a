/* SPDX-License-Identifier: Apache-2.0 */
/*
 * crypto_openssl: the core's primitives on OpenSSL 3 (libcrypto). Algorithms are fetched once for
 * the process: a fetch takes locks and walks providers, which costs more than a short hash.
 * Diffie-Hellman has its own file, crypto_openssl_dh.c.
 */
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include "base/secret.h"
#include "ike/crypto_openssl_int.h"

/* Fetched by load(), then read only, for the life of the process. */
static struct {
	bool ok;
	EVP_MD *sha1, *sha256, *sha384, *sha512;
	EVP_CIPHER *cbc[3], *gcm[3]; /* by key size: 128, 192, 256 bits */
	EVP_CIPHER *chacha;
} algs;
static CRYPTO_ONCE algs_once = CRYPTO_ONCE_STATIC_INIT;

static void load(void)
{
	static const char *const cbc_names[] = {"AES-128-CBC", "AES-192-CBC", "AES-256-CBC"};
	static const char *const gcm_names[] = {"AES-128-GCM", "AES-192-GCM", "AES-256-GCM"};

	algs.sha1 = EVP_MD_fetch(NULL, "SHA1", NULL);
	algs.sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
	algs.sha384 = EVP_MD_fetch(NULL, "SHA384", NULL);
	algs.sha512 = EVP_MD_fetch(NULL, "SHA512", NULL);
	algs.chacha = EVP_CIPHER_fetch(NULL, "ChaCha20-Poly1305", NULL);
	algs.ok = algs.sha1 && algs.sha256 && algs.sha384 && algs.sha512 && algs.chacha;
	for (size_t i = 0; i < 3; i++) {
		algs.cbc[i] = EVP_CIPHER_fetch(NULL, cbc_names[i], NULL);
		algs.gcm[i] = EVP_CIPHER_fetch(NULL, gcm_names[i], NULL);
		algs.ok = algs.ok && algs.cbc[i] && algs.gcm[i];
	}
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

#define BLOCK_MAX 128 /* of SHA-384 and SHA-512 */

/*
 * RFC 2104: H(key ^ opad | H(key ^ ipad | in)), its first `out_size` bytes. On plain digests: for texts as
 * short as a handshake's, libcrypto's HMAC takes twice as long. A NULL digest fails.
 */
static bool hmac(const EVP_MD *digest, const uint8_t *key, size_t key_size,
		 const struct ike_iov *in, size_t n_in, uint8_t *out, size_t out_size)
{
	uint8_t block[BLOCK_MAX] = {0}, full[IKE_PRF_MAX];
	EVP_MD_CTX *md = EVP_MD_CTX_new();
	size_t size = 0;
	bool ok = md && digest;

	if (ok) {
		size = (size_t)EVP_MD_get_block_size(digest);
		if (key_size > size)
			ok = EVP_DigestInit_ex2(md, digest, NULL) == 1 &&
			     EVP_DigestUpdate(md, key, key_size) == 1 &&
			     EVP_DigestFinal_ex(md, block, NULL) == 1;
		else if (key_size)
			memcpy(block, key, key_size);
	}
	for (size_t i = 0; i < size; i++)
		block[i] ^= 0x36;
	ok = ok && EVP_DigestInit_ex2(md, digest, NULL) == 1 &&
	     EVP_DigestUpdate(md, block, size) == 1;
	for (size_t i = 0; ok && i < n_in; i++)
		ok = EVP_DigestUpdate(md, in[i].data, in[i].size) == 1;
	for (size_t i = 0; i < size; i++)
		block[i] ^= 0x36 ^ 0x5c;
	ok = ok && EVP_DigestFinal_ex(md, full, NULL) == 1 &&
	     EVP_DigestInit_ex2(md, digest, NULL) == 1 && EVP_DigestUpdate(md, block, size) == 1 &&
	     EVP_DigestUpdate(md, full, (size_t)EVP_MD_get_size(digest)) == 1 &&
	     EVP_DigestFinal_ex(md, full, NULL) == 1;
	EVP_MD_CTX_free(md);
	if (ok)
		memcpy(out, full, out_size);
	else
		bytes_wipe(out, out_size);
	bytes_wipe(full, sizeof(full));
	bytes_wipe(block, sizeof(block));
	return ok;
}

static bool prf(void *ctx, enum ike_prf id, const uint8_t *key, size_t key_size,
		const struct ike_iov *in, size_t n_in, uint8_t *out)
{
	(void)ctx;
	(void)loaded(); /* hmac() refuses a digest that is not there */
	switch (id) {
	case IKE_PRF_HMAC_SHA1: return hmac(algs.sha1, key, key_size, in, n_in, out, 20);
	case IKE_PRF_HMAC_SHA2_256: return hmac(algs.sha256, key, key_size, in, n_in, out, 32);
	case IKE_PRF_HMAC_SHA2_384: return hmac(algs.sha384, key, key_size, in, n_in, out, 48);
	case IKE_PRF_HMAC_SHA2_512: return hmac(algs.sha512, key, key_size, in, n_in, out, 64);
	case IKE_PRF_NONE: break;
	}
	return false;
}

static bool integ(void *ctx, enum ike_integ id, const uint8_t *key, const struct ike_iov *in,
		  size_t n_in, uint8_t *out)
{
	const struct ike_integ_desc *d = ike_integ_desc(id);

	(void)ctx;
	(void)loaded(); /* hmac() refuses a digest that is not there */
	switch (id) {
	case IKE_INTEG_HMAC_SHA1_96:
		return hmac(algs.sha1, key, d->key_size, in, n_in, out, d->icv_size);
	case IKE_INTEG_HMAC_SHA2_256_128:
		return hmac(algs.sha256, key, d->key_size, in, n_in, out, d->icv_size);
	case IKE_INTEG_HMAC_SHA2_384_192:
		return hmac(algs.sha384, key, d->key_size, in, n_in, out, d->icv_size);
	case IKE_INTEG_HMAC_SHA2_512_256:
		return hmac(algs.sha512, key, d->key_size, in, n_in, out, d->icv_size);
	case IKE_INTEG_NONE: break;
	}
	return false;
}

/* ----------------------------------------------------------------- ciphers */

/* Of three ciphers that differ in key size, the one for it, or NULL. */
static const EVP_CIPHER *by_key_size(EVP_CIPHER *const ciphers[3], size_t key_size)
{
	return key_size == 16 || key_size == 24 || key_size == 32 ? ciphers[key_size / 8 - 2]
								  : NULL;
}

static bool cbc(bool encrypt, const uint8_t *key, size_t key_size, const uint8_t iv[16],
		uint8_t *data, size_t size)
{
	const EVP_CIPHER *cipher = by_key_size(algs.cbc, key_size);
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

static const EVP_CIPHER *aead_cipher(enum ike_encr encr, size_t key_size)
{
	switch (encr) {
	case IKE_ENCR_AES_GCM_8:
	case IKE_ENCR_AES_GCM_12:
	case IKE_ENCR_AES_GCM_16: return by_key_size(algs.gcm, key_size);
	case IKE_ENCR_CHACHA20_POLY1305: return key_size == 32 ? algs.chacha : NULL;
	case IKE_ENCR_NONE:
	case IKE_ENCR_AES_CBC:
	case IKE_ENCR_NULL_AUTH_AES_GMAC: break;
	}
	return NULL;
}

/* `tag` is written when encrypting and checked when decrypting; `icv_size` bytes of it. */
static bool aead(bool encrypt, const EVP_CIPHER *cipher, const uint8_t *key,
		 const uint8_t nonce[12], const uint8_t *aad, size_t aad_size, uint8_t *data,
		 size_t size, uint8_t tag[16], int icv_size)
{
	EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
	int n = 0, last = 0, ignored = 0;
	/* 12 bytes is the default nonce size of AES-GCM and of ChaCha20-Poly1305. */
	bool ok = c && cipher && size <= INT_MAX && aad_size <= INT_MAX &&
		  EVP_CipherInit_ex2(c, cipher, key, nonce, encrypt, NULL) == 1;

	if (ok && !encrypt)
		ok = EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_SET_TAG, icv_size, tag) == 1;
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

static bool aead_seal(void *ctx, enum ike_encr encr, const uint8_t *key, size_t key_size,
		      const uint8_t nonce[12], const uint8_t *aad, size_t aad_size, uint8_t *data,
		      size_t size, uint8_t *tag)
{
	const struct ike_encr_desc *d = ike_encr_desc(encr);
	uint8_t full[16];

	(void)ctx;
	if (!d || !d->aead)
		return false;
	if (!loaded() || !aead(true, aead_cipher(encr, key_size), key, nonce, aad, aad_size, data,
			       size, full, d->icv_size)) {
		bytes_wipe(tag, d->icv_size);
		return false;
	}
	/* RFC 4106 6: a shorter ICV is the tag's first bytes. */
	memcpy(tag, full, d->icv_size);
	return true;
}

static bool aead_open(void *ctx, enum ike_encr encr, const uint8_t *key, size_t key_size,
		      const uint8_t nonce[12], const uint8_t *aad, size_t aad_size, uint8_t *data,
		      size_t size, const uint8_t *tag)
{
	const struct ike_encr_desc *d = ike_encr_desc(encr);
	uint8_t copy[16];

	(void)ctx;
	if (!d || !d->aead)
		return false;
	memcpy(copy, tag, d->icv_size);
	return loaded() && aead(false, aead_cipher(encr, key_size), key, nonce, aad, aad_size, data,
				size, copy, d->icv_size);
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
		.aead_seal = aead_seal,
		.aead_open = aead_open,
		.dh_new = ike_openssl_dh_new,
		.dh_shared = ike_openssl_dh_shared,
		.dh_free = ike_openssl_dh_free,
		.dh_save = ike_openssl_dh_save,
		.dh_load = ike_openssl_dh_load,
		.kem_encapsulate = ike_openssl_kem_encapsulate,
		.dh_available = ike_openssl_dh_available,
	};
}
