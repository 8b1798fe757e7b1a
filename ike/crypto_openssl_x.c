/* SPDX-License-Identifier: Apache-2.0 */
/*
 * crypto_openssl_x: Curve25519 and Curve448 (RFC 8031, RFC 7748). Curve25519 is what most handshakes
 * use: libsodium computes it without a context or an allocation, in less time than libcrypto.
 */
#include <string.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <sodium.h>
#include "ike/crypto_openssl_int.h"

#define X25519_SIZE crypto_scalarmult_curve25519_BYTES
#define X448_SIZE   56

/* -------------------------------------------------------------- Curve25519 */

bool ike_openssl_x25519_new(struct ike_openssl *o, struct ike_dh_key *key, uint8_t *public)
{
	key->private = secret_new(X25519_SIZE);
	return key->private &&
	       o->random(o->random_ctx, secret_data_mut(key->private), X25519_SIZE) &&
	       crypto_scalarmult_curve25519_base(public, secret_data(key->private)) == 0;
}

bool ike_openssl_x25519_shared(const struct ike_dh_key *key, const uint8_t *peer, uint8_t *shared)
{
	static const uint8_t zero[X25519_SIZE];

	/* RFC 8031 5: an all-zero result comes from a point of small order, and is refused. */
	return crypto_scalarmult_curve25519(shared, secret_data(key->private), peer) == 0 &&
	       !bytes_equal_ct(shared, zero, sizeof(zero));
}

/* ---------------------------------------------------------------- Curve448 */

static bool x448_found;
static CRYPTO_ONCE x448_once = CRYPTO_ONCE_STATIC_INIT;

static void x448_look(void)
{
	EVP_KEYMGMT *m = EVP_KEYMGMT_fetch(NULL, "X448", NULL);

	x448_found = m != NULL;
	EVP_KEYMGMT_free(m);
}

bool ike_openssl_x448_available(enum ike_dh method)
{
	(void)method;
	return CRYPTO_THREAD_run_once(&x448_once, x448_look) && x448_found;
}

bool ike_openssl_x448_new(struct ike_openssl *o, struct ike_dh_key *key, uint8_t *public)
{
	size_t size = X448_SIZE;
	EVP_PKEY *pkey;
	bool ok;

	key->private = secret_new(X448_SIZE);
	if (!key->private || !o->random(o->random_ctx, secret_data_mut(key->private), X448_SIZE))
		return false;
	pkey = EVP_PKEY_new_raw_private_key(EVP_PKEY_X448, NULL, secret_data(key->private),
					    X448_SIZE);
	ok = pkey && EVP_PKEY_get_raw_public_key(pkey, key->public, &size) == 1 &&
	     size == X448_SIZE;
	if (ok)
		memcpy(public, key->public, X448_SIZE);
	EVP_PKEY_free(pkey);
	return ok;
}

/* With both halves given libcrypto does not compute the public one again: half the time of derive. */
static EVP_PKEY *x448_pair(const struct ike_dh_key *key)
{
	OSSL_PARAM pair[] = {
		OSSL_PARAM_octet_string(OSSL_PKEY_PARAM_PRIV_KEY,
					(void *)(uintptr_t)secret_data(key->private), X448_SIZE),
		OSSL_PARAM_octet_string(OSSL_PKEY_PARAM_PUB_KEY, (void *)(uintptr_t)key->public,
					X448_SIZE),
		OSSL_PARAM_END,
	};
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "X448", NULL);
	EVP_PKEY *pkey = NULL;

	if (!ctx || EVP_PKEY_fromdata_init(ctx) != 1 ||
	    EVP_PKEY_fromdata(ctx, &pkey, EVP_PKEY_KEYPAIR, pair) != 1)
		pkey = NULL;
	EVP_PKEY_CTX_free(ctx);
	return pkey;
}

bool ike_openssl_x448_shared(const struct ike_dh_key *key, const uint8_t *peer, uint8_t *shared)
{
	static const uint8_t zero[X448_SIZE];
	EVP_PKEY *ours = x448_pair(key);
	EVP_PKEY *theirs = EVP_PKEY_new_raw_public_key(EVP_PKEY_X448, NULL, peer, X448_SIZE);
	EVP_PKEY_CTX *ctx = ours ? EVP_PKEY_CTX_new_from_pkey(NULL, ours, NULL) : NULL;
	size_t size = X448_SIZE;
	/* RFC 8031 5: an all-zero result is refused, whether libcrypto does so or not. */
	const bool ok = theirs && ctx && EVP_PKEY_derive_init(ctx) == 1 &&
			EVP_PKEY_derive_set_peer_ex(ctx, theirs, 0) == 1 &&
			EVP_PKEY_derive(ctx, shared, &size) == 1 && size == X448_SIZE &&
			!bytes_equal_ct(shared, zero, sizeof(zero));

	EVP_PKEY_CTX_free(ctx);
	EVP_PKEY_free(ours);
	EVP_PKEY_free(theirs);
	return ok;
}
