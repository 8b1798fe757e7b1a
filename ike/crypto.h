/* SPDX-License-Identifier: Apache-2.0 */
/*
 * crypto: the primitives that the core is given. The product's implementation is OpenSSL
 * (ike_crypto_openssl); simulations hand in deterministic randomness with the same primitives.
 * Every function returns false on failure and then leaves its outputs wiped.
 */
#ifndef IKE_CRYPTO_H
#define IKE_CRYPTO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "ike/algs.h"

struct ike_iov {
	const void *data;
	size_t size;
};

#define IKE_DH_SAVED_MAX 512

struct ike_dh_key; /* a private value; belongs to the implementation */

struct ike_crypto {
	void *ctx;

	bool (*random)(void *ctx, uint8_t *out, size_t size);

	/* SHA-1, for NAT_DETECTION_*_IP only (RFC 7296 2.23). out: 20 bytes. */
	bool (*sha1)(void *ctx, const struct ike_iov *in, size_t n_in, uint8_t out[20]);

	/* prf(key, in). out: the prf's size. */
	bool (*prf)(void *ctx, enum ike_prf prf, const uint8_t *key, size_t key_size,
		    const struct ike_iov *in, size_t n_in, uint8_t *out);

	/* Truncated MAC. out: icv_size bytes. key: key_size bytes. */
	bool (*integ)(void *ctx, enum ike_integ integ, const uint8_t *key, const struct ike_iov *in,
		      size_t n_in, uint8_t *out);

	/* AES-CBC in place, no padding; size is a multiple of 16. */
	bool (*cbc_encrypt)(void *ctx, const uint8_t *key, size_t key_size, const uint8_t iv[16],
			    uint8_t *data, size_t size);
	bool (*cbc_decrypt)(void *ctx, const uint8_t *key, size_t key_size, const uint8_t iv[16],
			    uint8_t *data, size_t size);

	/*
	 * Any AEAD in place: 12-byte nonce = salt | IV, tag of the cipher's icv_size, key without
	 * salt.
	 */
	bool (*aead_seal)(void *ctx, enum ike_encr encr, const uint8_t *key, size_t key_size,
			  const uint8_t nonce[12], const uint8_t *aad, size_t aad_size,
			  uint8_t *data, size_t size, uint8_t *tag);
	bool (*aead_open)(void *ctx, enum ike_encr encr, const uint8_t *key, size_t key_size,
			  const uint8_t nonce[12], const uint8_t *aad, size_t aad_size,
			  uint8_t *data, size_t size, const uint8_t *tag);

	/*
	 * A fresh key pair. public: the group's public_size bytes as KE payloads carry them (MODP:
	 * left-padded with zeros; ECP: x | y, RFC 5903 7; Curve25519, Curve448: little-endian u,
	 * RFC 8031 3.1).
	 */
	struct ike_dh_key *(*dh_new)(void *ctx, enum ike_dh dh, uint8_t *public);
	/*
	 * The shared secret, shared_size bytes (ECP: x only, RFC 5903 9). Refuses bad peer values:
	 * wrong size, MODP but 1 < y < p-1 (RFC 6989 2.1) or outside the subgroup (2.2), ECP point
	 * not on the curve (2.3), all-zero result of Curve25519 and Curve448 (RFC 8031 5).
	 */
	bool (*dh_shared)(void *ctx, struct ike_dh_key *key, const uint8_t *peer, size_t peer_size,
			  uint8_t *shared);
	void (*dh_free)(void *ctx, struct ike_dh_key *key); /* NULL is fine */
	/*
	 * A key pair as bytes, for a record of the exchange that it is part of: the size, 0 when `size`
	 * is too small (IKE_DH_SAVED_MAX is enough). As secret as the private value. And back; NULL:
	 * not what dh_save wrote.
	 */
	size_t (*dh_save)(void *ctx, const struct ike_dh_key *key, uint8_t *out, size_t size);
	struct ike_dh_key *(*dh_load)(void *ctx, enum ike_dh dh, const uint8_t *data, size_t size);

	/*
	 * Key encapsulation (ML-KEM, FIPS 203): the initiator uses dh_new (public: its encapsulation
	 * key) and dh_shared (peer: the ciphertext); the responder uses this, which checks the
	 * encapsulation key, writes the ciphertext (the desc's response_size) and the shared secret.
	 */
	bool (*kem_encapsulate)(void *ctx, enum ike_dh method, const uint8_t *peer,
				size_t peer_size, uint8_t *ciphertext, uint8_t *shared);
	/* What this machine's library offers, found at run time. */
	bool (*dh_available)(void *ctx, enum ike_dh method);
};

/*
 * Fills `out` with OpenSSL's primitives. `random` is used for everything random, private values
 * included, so that a caller with a deterministic one gets reproducible runs; NULL = libcrypto's.
 */
void ike_crypto_openssl(struct ike_crypto *out,
			bool (*random)(void *ctx, uint8_t *out, size_t size), void *ctx);

#endif
