/* SPDX-License-Identifier: Apache-2.0 */
/* algs: the IANA numbers and properties of the transforms that IKEv2 negotiates (RFC 7296 3.3). */
#ifndef IKE_ALGS_H
#define IKE_ALGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum ike_transform_type {
	IKE_TRANSFORM_ENCR = 1,
	IKE_TRANSFORM_PRF = 2,
	IKE_TRANSFORM_INTEG = 3,
	IKE_TRANSFORM_DH = 4, /* "Key Exchange Method" since RFC 9370 */
	IKE_TRANSFORM_ESN = 5,
};
#define IKE_N_TRANSFORM_TYPES 5
/* RFC 9370: additional key exchanges 1 to 7 are types 6 to 12, with the methods of type 4. */
#define IKE_TRANSFORM_ADDKE1 6
#define IKE_TRANSFORM_ADDKE7 12
#define IKE_MAX_AKE          3 /* additional key exchanges of one suite */

enum ike_encr {
	IKE_ENCR_NONE = 0,
	IKE_ENCR_AES_CBC = 12,   /* RFC 3602 */
	IKE_ENCR_AES_GCM_8 = 18, /* RFC 4106, RFC 5282 */
	IKE_ENCR_AES_GCM_12 = 19,
	IKE_ENCR_AES_GCM_16 = 20,
	IKE_ENCR_NULL_AUTH_AES_GMAC = 21, /* RFC 4543: ESP only, does not encrypt */
	IKE_ENCR_CHACHA20_POLY1305 = 28,  /* RFC 7634 */
};

enum ike_prf {
	IKE_PRF_NONE = 0,
	IKE_PRF_HMAC_SHA1 = 2,     /* RFC 2104 */
	IKE_PRF_HMAC_SHA2_256 = 5, /* RFC 4868 */
	IKE_PRF_HMAC_SHA2_384 = 6,
	IKE_PRF_HMAC_SHA2_512 = 7,
};

enum ike_integ {
	IKE_INTEG_NONE = 0,
	IKE_INTEG_HMAC_SHA1_96 = 2,       /* RFC 2404 */
	IKE_INTEG_HMAC_SHA2_256_128 = 12, /* RFC 4868 */
	IKE_INTEG_HMAC_SHA2_384_192 = 13,
	IKE_INTEG_HMAC_SHA2_512_256 = 14,
};

enum ike_dh {
	IKE_DH_NONE = 0,
	IKE_DH_MODP_1024 = 2, /* RFC 7296 B.2 */
	IKE_DH_MODP_1536 = 5, /* RFC 3526 */
	IKE_DH_MODP_2048 = 14,
	IKE_DH_MODP_3072 = 15,
	IKE_DH_MODP_4096 = 16,
	IKE_DH_MODP_6144 = 17,
	IKE_DH_MODP_8192 = 18,
	IKE_DH_ECP_256 = 19, /* RFC 5903 */
	IKE_DH_ECP_384 = 20,
	IKE_DH_ECP_521 = 21,
	IKE_DH_MODP_1024_160 = 22, /* RFC 5114: with a subgroup of the order's bits */
	IKE_DH_MODP_2048_224 = 23,
	IKE_DH_MODP_2048_256 = 24,
	IKE_DH_CURVE25519 = 31, /* RFC 8031 */
	IKE_DH_CURVE448 = 32,
	IKE_DH_ML_KEM_512 = 35, /* draft-ietf-ipsecme-ikev2-mlkem, FIPS 203 */
	IKE_DH_ML_KEM_768 = 36,
	IKE_DH_ML_KEM_1024 = 37,
};

enum ike_esn {
	IKE_ESN_NO = 0,
	IKE_ESN_YES = 1,
};

#define IKE_KEY_MAX    64 /* the longest single key: an HMAC-SHA2-512 key */
#define IKE_PRF_MAX    64 /* the longest prf output */
#define IKE_ICV_MAX    32
#define IKE_DH_MAX     1568 /* the longest public value or shared secret here (ML-KEM-1024) */
#define IKE_NONCE_MIN  16   /* RFC 7296 2.10 */
#define IKE_NONCE_MAX  256
#define IKE_NONCE_SIZE 32 /* ours */

/* Facts of one transform; a NULL from a look-up means "not supported". */
struct ike_encr_desc {
	enum ike_encr id;
	const char *
		name; /* "aes-gcm-16", "aes-cbc": with the key size, as configurations write them */
	uint16_t iv_size; /* bytes of IV on the wire */
	uint16_t
		block_size; /* padding granularity of the SK payload: 1 for AEAD (RFC 5282), 16 for CBC */
	uint16_t icv_size;  /* AEAD only, else 0 */
	uint16_t salt_size; /* AEAD only: implicit part of the nonce */
	uint16_t key_size;  /* bytes without salt where they are fixed; 0: Key Length says */
	bool aead;
	bool esp_only;
};

struct ike_prf_desc {
	enum ike_prf id;
	const char *name; /* "sha2-256" */
	uint16_t size;    /* bytes of key and output */
};

struct ike_integ_desc {
	enum ike_integ id;
	const char *name; /* "sha2-256" */
	uint16_t key_size;
	uint16_t icv_size;
};

struct ike_dh_desc {
	enum ike_dh id;
	const char *name;  /* "14", "19", ... as configurations write them */
	const char *title; /* "MODP 2048", "ECP 256", "Curve25519", "ML-KEM-768" */
	uint16_t public_size;
	uint16_t
		response_size; /* of the responder's value: public_size but for a KEM's ciphertext */
	uint16_t shared_size;
	bool kem;
};

const struct ike_encr_desc *ike_encr_desc(uint16_t id);
const struct ike_prf_desc *ike_prf_desc(uint16_t id);
const struct ike_integ_desc *ike_integ_desc(uint16_t id);
const struct ike_dh_desc *ike_dh_desc(uint16_t id);

/*
 * What the Key Length attribute may say, 0 = it is absent: 128, 192 and 256 for AES, nothing for a
 * cipher whose key has one size (RFC 7296 3.3.5).
 */
bool ike_encr_key_bits_ok(enum ike_encr encr, uint16_t bits);

/* One negotiated choice. For ESP, prf is IKE_PRF_NONE and dh is the PFS group or IKE_DH_NONE. */
struct ike_suite {
	uint16_t encr;
	uint16_t encr_key_bits;
	uint16_t prf;
	uint16_t integ; /* IKE_INTEG_NONE with an AEAD */
	uint16_t dh;
	uint16_t esn;              /* ESP only */
	uint16_t ake[IKE_MAX_AKE]; /* RFC 9370: the method of ADDKE1 and so on, 0 = none */
	/*
	 * The proposal that it was chosen from offers NONE in type ADDKE1 + i: bit i. The answer has
	 * to name it, as one transform of each type; no difference between suites.
	 */
	uint8_t ake_none;
};

bool ike_suite_equal(const struct ike_suite *a, const struct ike_suite *b);

/*
 * What one side offers and accepts, a list in order of preference for each transform type. Any
 * combination will do, with these limits: an AEAD goes without integrity, another cipher with one of
 * the list; no key exchange method stands twice in one suite (RFC 9370 2.2.2); where DH is NONE there
 * are no additional key exchanges. In a list of DH or ADDKE the value NONE says that it may be left
 * out; so does an empty list.
 */
#define IKE_MAX_ALGS    16
#define IKE_N_ALG_LISTS (IKE_TRANSFORM_ADDKE1 + IKE_MAX_AKE)

struct ike_alg {
	uint16_t id;
	uint16_t key_bits; /* ENCR: what the Key Length attribute says, 0 = absent */
};

struct ike_alg_list {
	uint16_t n;
	struct ike_alg algs[IKE_MAX_ALGS];
};

struct ike_algs {
	struct ike_alg_list by_type[IKE_N_ALG_LISTS]; /* by enum ike_transform_type; 0 is unused */
};

/* At the list's end, unless it is there already. False if the list is full. */
bool ike_algs_add(struct ike_algs *algs, uint8_t type, uint16_t id, uint16_t key_bits);
/* Every value of some suites, each list in the order in which they first have them. */
struct ike_algs ike_algs_of(const struct ike_suite *suites, size_t n);
bool ike_algs_have(const struct ike_algs *algs, uint8_t type, uint16_t id, uint16_t key_bits);
/* The preferred group, IKE_DH_NONE where there is none. */
uint16_t ike_algs_first_dh(const struct ike_algs *algs);
/* The suite is one of the combinations. */
bool ike_algs_permit(const struct ike_algs *algs, const struct ike_suite *s);
/* Bytes of ESP/IKE encryption key material, salt included. */
size_t ike_suite_encr_key_size(const struct ike_suite *s);
/* Bits of the cipher's key, whether Key Length says them or not. */
uint16_t ike_suite_key_bits(const struct ike_suite *s);
/* "aes-256-gcm-16/prf-sha2-384/dh-20/ke1-ml-kem-768"; `buf` holds IKE_SUITE_STRLEN. */
#define IKE_SUITE_STRLEN 128
const char *ike_suite_format(const struct ike_suite *s, char buf[IKE_SUITE_STRLEN]);
/* Appends "aes-256-gcm-16", or "encr-7" for what is not supported. */
struct sb;
void ike_encr_format(uint16_t encr, uint16_t key_bits, struct sb *out);

#endif
