/* SPDX-License-Identifier: Apache-2.0 */
/*
 * crypto_openssl_kem: ML-KEM (FIPS 203) where libcrypto has it, from 3.5 on. It is looked for by name
 * at run time, so that one binary serves both; an older library has no such key type, and the methods
 * are not available.
 *
 * The private value that is kept is the seed d | z of FIPS 203 7.1, from which the pair is made again
 * when the ciphertext comes: 64 bytes of guarded memory, against kilobytes outside of it.
 */
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include "ike/crypto_openssl_int.h"

#define SEED_SIZE    64 /* d | z */
#define ENTROPY_SIZE 32 /* m of an encapsulation */

/* Names that the headers of 3.0 do not have yet. */
#define PARAM_SEED    "seed"
#define PARAM_ENTROPY "ikme"

static const char *const names[] = {"ML-KEM-512", "ML-KEM-768", "ML-KEM-1024"};
static bool found[3];
static CRYPTO_ONCE once = CRYPTO_ONCE_STATIC_INIT;

static void look(void)
{
	for (size_t i = 0; i < 3; i++) {
		EVP_KEYMGMT *m = EVP_KEYMGMT_fetch(NULL, names[i], NULL);
		EVP_KEM *k = m ? EVP_KEM_fetch(NULL, names[i], NULL) : NULL;

		found[i] = k != NULL;
		EVP_KEM_free(k);
		EVP_KEYMGMT_free(m);
	}
}

static size_t index_of(enum ike_dh method)
{
	return (size_t)(method - IKE_DH_ML_KEM_512);
}

bool ike_openssl_kem_available(enum ike_dh method)
{
	return CRYPTO_THREAD_run_once(&once, look) && found[index_of(method)];
}

static EVP_PKEY *pair_of(enum ike_dh method, const struct secret *seed)
{
	OSSL_PARAM params[] = {
		OSSL_PARAM_octet_string(PARAM_SEED, (void *)(uintptr_t)secret_data(seed),
					SEED_SIZE),
		OSSL_PARAM_END,
	};
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, names[index_of(method)], NULL);
	EVP_PKEY *pair = NULL;

	if (!ctx || EVP_PKEY_keygen_init(ctx) != 1 || EVP_PKEY_CTX_set_params(ctx, params) != 1 ||
	    EVP_PKEY_generate(ctx, &pair) != 1)
		pair = NULL;
	EVP_PKEY_CTX_free(ctx);
	return pair;
}

bool ike_openssl_kem_new(struct ike_openssl *o, struct ike_dh_key *key, uint8_t *public)
{
	size_t size = key->desc->public_size;
	EVP_PKEY *pair;
	bool ok;

	key->private = secret_new(SEED_SIZE);
	if (!key->private || !o->random(o->random_ctx, secret_data_mut(key->private), SEED_SIZE))
		return false;
	pair = pair_of(key->desc->id, key->private);
	ok = pair && EVP_PKEY_get_raw_public_key(pair, public, &size) == 1 &&
	     size == key->desc->public_size;
	EVP_PKEY_free(pair);
	return ok;
}

/* FIPS 203 6.3: a ciphertext that was tampered with gives another secret, not an error. */
bool ike_openssl_kem_shared(const struct ike_dh_key *key, const uint8_t *peer, uint8_t *shared)
{
	EVP_PKEY *pair = pair_of(key->desc->id, key->private);
	EVP_PKEY_CTX *ctx = pair ? EVP_PKEY_CTX_new_from_pkey(NULL, pair, NULL) : NULL;
	size_t size = key->desc->shared_size;
	const bool ok =
		ctx && EVP_PKEY_decapsulate_init(ctx, NULL) == 1 &&
		EVP_PKEY_decapsulate(ctx, shared, &size, peer, key->desc->response_size) == 1 &&
		size == key->desc->shared_size;

	EVP_PKEY_CTX_free(ctx);
	EVP_PKEY_free(pair);
	return ok;
}

static bool encapsulate(struct ike_openssl *o, const struct ike_dh_desc *d, const uint8_t *peer,
			uint8_t *ciphertext, uint8_t *shared)
{
	uint8_t entropy[ENTROPY_SIZE];
	OSSL_PARAM params[] = {
		OSSL_PARAM_octet_string(PARAM_ENTROPY, entropy, sizeof(entropy)),
		OSSL_PARAM_END,
	};
	size_t c_size = d->response_size, s_size = d->shared_size;
	EVP_PKEY_CTX *ctx = NULL;
	/* FIPS 203 7.2: an encapsulation key that is not reduced is refused on import. */
	EVP_PKEY *theirs = EVP_PKEY_new_raw_public_key_ex(NULL, names[index_of(d->id)], NULL, peer,
							  d->public_size);
	const bool ok = theirs && o->random(o->random_ctx, entropy, sizeof(entropy)) &&
			(ctx = EVP_PKEY_CTX_new_from_pkey(NULL, theirs, NULL)) &&
			EVP_PKEY_encapsulate_init(ctx, params) == 1 &&
			EVP_PKEY_encapsulate(ctx, ciphertext, &c_size, shared, &s_size) == 1 &&
			c_size == d->response_size && s_size == d->shared_size;

	bytes_wipe(entropy, sizeof(entropy));
	EVP_PKEY_CTX_free(ctx);
	EVP_PKEY_free(theirs);
	return ok;
}

bool ike_openssl_kem_encapsulate(void *ctx, enum ike_dh method, const uint8_t *peer,
				 size_t peer_size, uint8_t *ciphertext, uint8_t *shared)
{
	const struct ike_dh_desc *d = ike_dh_desc(method);

	if (!d || !d->kem)
		return false;
	/* draft-ietf-ipsecme-ikev2-mlkem 2.2: the size is looked at before anything else. */
	if (peer_size == d->public_size && ike_openssl_kem_available(method) &&
	    encapsulate(ctx, d, peer, ciphertext, shared))
		return true;
	bytes_wipe(ciphertext, d->response_size);
	bytes_wipe(shared, d->shared_size);
	return false;
}
