/* SPDX-License-Identifier: Apache-2.0 */
/* crypto_openssl_int: what the files of the OpenSSL implementation share. */
#ifndef IKE_CRYPTO_OPENSSL_INT_H
#define IKE_CRYPTO_OPENSSL_INT_H

#include "ike/crypto.h"

/* The context of the ops: where randomness comes from. */
struct ike_openssl {
	bool (*random)(void *ctx, uint8_t *out, size_t size);
	void *random_ctx;
	struct ike_openssl *next;
};

/* The one context for this pair. Never NULL: without memory, one whose generator fails. */
struct ike_openssl *ike_openssl_ctx(bool (*random)(void *ctx, uint8_t *out, size_t size),
				    void *ctx);

struct ike_dh_key *ike_openssl_dh_new(void *ctx, enum ike_dh dh, uint8_t *public);
bool ike_openssl_dh_shared(void *ctx, struct ike_dh_key *key, const uint8_t *peer, size_t peer_size,
			   uint8_t *shared);
void ike_openssl_dh_free(void *ctx, struct ike_dh_key *key);

#endif
