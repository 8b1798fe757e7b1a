/* SPDX-License-Identifier: Apache-2.0 */
/* keys: key derivation (RFC 7296 2.13 to 2.18) and the AUTH octets (2.15). */
#ifndef IKE_KEYS_H
#define IKE_KEYS_H

#include "base/rd.h"
#include "base/secret.h"
#include "ike/crypto.h"
#include "ike/wire.h"

/* The seven keys of an IKE SA, in libsodium's guarded memory. */
struct ike_sa_keys {
	struct secret *d, *ai, *ar, *ei, *er, *pi,
		*pr; /* ei/er: key and salt; ai/ar: NULL with AEAD */
};
void ike_sa_keys_free(struct ike_sa_keys *k); /* leaves all NULL */

/* `further`: SK(1) | ... | SK(n), which follow the nonces in CREATE_CHILD_SA (RFC 9370 2.2.4). */
struct ike_nonces {
	struct rd ni, nr, further;
};

/* prf+ (2.13): `size` bytes at most 255 blocks. */
bool ike_prf_plus(const struct ike_crypto *c, enum ike_prf prf, const uint8_t *key, size_t key_size,
		  const struct ike_iov *seed, size_t n_seed, uint8_t *out, size_t size);

/* Initial SA: SKEYSEED = prf(Ni | Nr, g^ir) (2.14). */
enum ike_err ike_keys_initial(const struct ike_crypto *c, const struct ike_suite *suite,
			      const struct ike_nonces *n, const uint8_t *shared, size_t shared_size,
			      uint64_t spi_i, uint64_t spi_r, struct ike_sa_keys *out);
/* Rekeyed SA: SKEYSEED = prf_old(SK_d_old, g^ir | Ni | Nr), with the OLD prf (2.18). */
enum ike_err ike_keys_rekey(const struct ike_crypto *c, enum ike_prf old_prf,
			    const struct secret *old_d, const struct ike_suite *suite,
			    const struct ike_nonces *n, const uint8_t *shared, size_t shared_size,
			    uint64_t spi_i, uint64_t spi_r, struct ike_sa_keys *out);

/* Resumed SA: SKEYSEED = prf(SK_d_old, "Resumption" | Ni | Nr) (RFC 5723 5.1). */
enum ike_err ike_keys_resumed(const struct ike_crypto *c, const struct ike_suite *suite,
			      const struct secret *old_d, const struct ike_nonces *n,
			      uint64_t spi_i, uint64_t spi_r, struct ike_sa_keys *out);

/* KEYMAT of a CHILD_SA (2.17), initiator to responder first, encryption before integrity. */
struct ike_child_keys {
	struct secret *ei, *ai, *er, *ar; /* ei/er: key and salt; ai/ar NULL with AEAD */
};
void ike_child_keys_free(struct ike_child_keys *k);
/* shared: g^ir of a PFS exchange, or size 0. */
enum ike_err ike_keys_child(const struct ike_crypto *c, enum ike_prf prf, const struct secret *d,
			    const struct ike_suite *esp, const struct ike_nonces *n,
			    const uint8_t *shared, size_t shared_size, struct ike_child_keys *out);

/*
 * The octets that AUTH covers (2.15): the first message, the other side's nonce and
 * prf(SK_p, ID body), and IntAuth (RFC 9242 3.3.2), which is empty where there is none. Writes to out, at most size; returns bytes or 0. The message is without the
 * non-ESP marker.
 */
size_t ike_auth_octets(const struct ike_crypto *c, enum ike_prf prf, struct rd message,
		       struct rd other_nonce, const struct secret *sk_p, struct rd id_body,
		       struct rd int_auth, uint8_t *out, size_t size);
/* prf(prf(secret, "Key Pad for IKEv2"), octets): for the key process and the tests. */
bool ike_auth_psk(const struct ike_crypto *c, enum ike_prf prf, const uint8_t *psk, size_t psk_size,
		  const uint8_t *octets, size_t octets_size, uint8_t *out);

#endif
