/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sig_alg: what AUTH is made by, as AUTH data says it (RFC 7296 3.8, RFC 7427 3) and as peers announce
 * it before (RFC 7427 4, RFC 9593). Nothing here signs or verifies: that is the key holder's.
 */
#ifndef IKE_SIG_ALG_H
#define IKE_SIG_ALG_H

#include "ike/msg.h"

/* The numbers are kept by records of SAs: new ones go to the end. */
enum ike_auth_alg {
	IKE_AUTH_ALG_NONE,
	IKE_AUTH_ALG_PSK,
	IKE_AUTH_ALG_RSA_SHA1,
	IKE_AUTH_ALG_RSA_SHA2_256,
	IKE_AUTH_ALG_RSA_SHA2_384,
	IKE_AUTH_ALG_RSA_SHA2_512,
	IKE_AUTH_ALG_RSA_PSS,
	IKE_AUTH_ALG_ECDSA_SHA2_256,
	IKE_AUTH_ALG_ECDSA_SHA2_384,
	IKE_AUTH_ALG_ECDSA_SHA2_512,
	IKE_AUTH_ALG_ED25519,
	IKE_AUTH_ALG_ED448,
	IKE_AUTH_ALG_OTHER,
	IKE_AUTH_ALG_END,
};

const char *
ike_auth_alg_name(enum ike_auth_alg alg); /* "psk", "ecdsa-sha2-256", ...; "" for NONE */
/* From AUTH's method and data. */
enum ike_auth_alg ike_auth_alg_of(uint8_t method, struct rd auth);

/* Hash algorithms that we verify signatures with: SHA-1 is not among them. */
#define IKE_HASHES_OURS                                                                            \
	(IKE_HASH_BIT_SHA2_256 | IKE_HASH_BIT_SHA2_384 | IKE_HASH_BIT_SHA2_512 |                   \
	 IKE_HASH_BIT_IDENTITY)
/* SIGNATURE_HASH_ALGORITHMS as a mask of enum ike_hash_bit; 0: none that we know. */
uint16_t ike_hashes_parse(struct rd data);
void ike_build_hashes(struct ike_builder *b, uint16_t hashes);

/* SUPPORTED_AUTH_METHODS (RFC 9593): which methods the sender would believe. */
struct ike_announced {
	bool any;          /* the sender knows the extension */
	size_t size;       /* bytes of whole announcements, at most IKE_ANNOUNCED_MAX */
	uint32_t methods;  /* 1 << enum ike_auth_method; 0: none that we can read */
	uint16_t sig_algs; /* with method 14: 1 << enum ike_auth_alg */
};
bool ike_announced_parse(struct rd data, struct ike_announced *out);
/* `full`: with what makes the list long, and only some need. */
void ike_build_announced(struct ike_builder *b, bool psk, bool signature, bool full);

#endif
