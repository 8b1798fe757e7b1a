/* SPDX-License-Identifier: Apache-2.0 */
/* crypto_openssl_int: what the files of the OpenSSL implementation share. */
#ifndef IKE_CRYPTO_OPENSSL_INT_H
#define IKE_CRYPTO_OPENSSL_INT_H

#include <openssl/bn.h>
#include "base/secret.h"
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

#define IKE_X_MAX 56 /* public values of Curve25519 and Curve448 */

struct ike_dh_key {
	const struct ike_dh_desc *desc;
	/* MODP, ECP: big-endian; curves: as RFC 7748 has it; ML-KEM: the seed d | z (FIPS 203). */
	struct secret *private;
	uint8_t public[IKE_X_MAX]; /* Curve448 only */
};

/* ---- crypto_openssl_dh.c: the ops */
struct ike_dh_key *ike_openssl_dh_new(void *ctx, enum ike_dh dh, uint8_t *public);
bool ike_openssl_dh_shared(void *ctx, struct ike_dh_key *key, const uint8_t *peer, size_t peer_size,
			   uint8_t *shared);
void ike_openssl_dh_free(void *ctx, struct ike_dh_key *key);
size_t ike_openssl_dh_save(void *ctx, const struct ike_dh_key *key, uint8_t *out, size_t size);
struct ike_dh_key *ike_openssl_dh_load(void *ctx, enum ike_dh dh, const uint8_t *data, size_t size);
bool ike_openssl_dh_available(void *ctx, enum ike_dh method);
/* A private value as a number; every operation on it takes constant time. */
BIGNUM *ike_openssl_private(const struct secret *s);
/* 1 <= *out < order, as many bytes as `out` has. */
bool ike_openssl_private_below(struct ike_openssl *o, const BIGNUM *order, struct secret *out);

/*
 * One kind of method each. _new draws the private value and writes the public one; _shared has a peer
 * value of the right size. What they wrote before they failed is wiped by the caller.
 */
bool ike_openssl_modp_available(enum ike_dh method);
bool ike_openssl_modp_new(struct ike_openssl *o, struct ike_dh_key *key, uint8_t *public);
bool ike_openssl_modp_shared(const struct ike_dh_key *key, const uint8_t *peer, uint8_t *shared);

bool ike_openssl_ecp_available(enum ike_dh method);
bool ike_openssl_ecp_new(struct ike_openssl *o, struct ike_dh_key *key, uint8_t *public);
bool ike_openssl_ecp_shared(const struct ike_dh_key *key, const uint8_t *peer, uint8_t *shared);

bool ike_openssl_x25519_new(struct ike_openssl *o, struct ike_dh_key *key, uint8_t *public);
bool ike_openssl_x25519_shared(const struct ike_dh_key *key, const uint8_t *peer, uint8_t *shared);
bool ike_openssl_x448_available(enum ike_dh method);
bool ike_openssl_x448_new(struct ike_openssl *o, struct ike_dh_key *key, uint8_t *public);
bool ike_openssl_x448_shared(const struct ike_dh_key *key, const uint8_t *peer, uint8_t *shared);

bool ike_openssl_kem_available(enum ike_dh method);
bool ike_openssl_kem_new(struct ike_openssl *o, struct ike_dh_key *key, uint8_t *public);
bool ike_openssl_kem_shared(const struct ike_dh_key *key, const uint8_t *peer, uint8_t *shared);
bool ike_openssl_kem_encapsulate(void *ctx, enum ike_dh method, const uint8_t *peer,
				 size_t peer_size, uint8_t *ciphertext, uint8_t *shared);

#endif
