/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pki: who a key belongs to, and what it signed. Certificates (RFC 5280, RFC 4945), revocation,
 * identities and signature authentication (RFC 7427, RFC 8420, RFC 4754, RFC 7670) over libcrypto.
 *
 * keyd calls it with bytes that it was handed and with bytes that came from a peer; `twinbore pki`
 * calls it to make certificates. Bytes and a time go in, a verdict and a text come out.
 *
 * Invariants
 *   - No file, socket or clock: time is an argument, in seconds since 1970. Nothing is ever fetched,
 *     whatever a certificate points to [CVE-2022-40617].
 *   - What a peer sent is bounded in size and number before libcrypto sees it, and it is used for
 *     nothing before a chain to a configured anchor stands.
 *   - A verdict is `true` only where every check said yes; a library call that fails is a no.
 *   - Texts are for our operators and name no secret; a peer's bytes in them are escaped.
 * Non-goals: fetching, policies other than "any", proxy and attribute certificates, DSA.
 */
#ifndef PKI_PKI_H
#define PKI_PKI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/sb.h"

#define PKI_CERT_MAX  16384u     /* bytes of one certificate */
#define PKI_LIST_MAX  64u        /* certificates, CRLs or responses in one file */
#define PKI_FILE_MAX  (4u << 20) /* bytes of a file of them: CRLs grow */
#define PKI_CHAIN_MAX 8u         /* certificates from the end entity to the anchor */
#define PKI_SIG_MAX   1100u      /* AUTH data: RSA of 8192 bits and its AlgorithmIdentifier */
#define PKI_TEXT_SIZE 300u       /* what a text should have room for */
#define PKI_HASH_SIZE 20u

struct pki_span {
	const uint8_t *data;
	size_t size;
};

/* ---------------------------------------------------------------- lists (certs.c, crl.c, ocsp.c) */

struct pki_certs; /* certificates in the order of their file */
struct pki_crls;
struct pki_ocsps;

/*
 * PEM (one or more of the kind wanted, nothing else encoded between) or one DER. NULL with why: a
 * sentence's end such as "holds no certificate".
 */
struct pki_certs *pki_certs_parse(const uint8_t *data, size_t size, struct sb *why);
struct pki_crls *pki_crls_parse(const uint8_t *data, size_t size, struct sb *why);
struct pki_ocsps *pki_ocsps_parse(const uint8_t *data, size_t size, struct sb *why);
void pki_certs_free(struct pki_certs *c); /* NULL is fine, for all three */
void pki_crls_free(struct pki_crls *c);
void pki_ocsps_free(struct pki_ocsps *o);

/*
 * Moves the contents of `from` behind those of *to (NULL: nothing yet) and frees `from`. False, and
 * nothing moved, when more than PKI_LIST_MAX would stand there.
 */
bool pki_certs_join(struct pki_certs **to, struct pki_certs *from);
bool pki_crls_join(struct pki_crls **to, struct pki_crls *from);
bool pki_ocsps_join(struct pki_ocsps **to, struct pki_ocsps *from);

size_t pki_certs_n(const struct pki_certs *c); /* 0 for NULL */
/* DER of certificate `i`; lives as long as the list. */
struct pki_span pki_certs_der(const struct pki_certs *c, size_t i);
/* True for one that names itself as its issuer: no use to send it. */
bool pki_certs_is_root(const struct pki_certs *c, size_t i);
/* RFC 7296 3.7: SHA-1 of the SubjectPublicKeyInfo. */
bool pki_certs_key_hash(const struct pki_certs *c, size_t i, uint8_t out[PKI_HASH_SIZE]);
/* True if certificate `i` may certify others: what is configured as a CA should. */
bool pki_certs_is_ca(const struct pki_certs *c, size_t i);
/* Its times of validity, in seconds since 1970. */
void pki_certs_validity(const struct pki_certs *c, size_t i, int64_t *from, int64_t *until);
/* "CN=site-a, O=Example" */
void pki_certs_subject(const struct pki_certs *c, size_t i, struct sb *out);
/*
 * True if one of the `n` CAs (hashes as above) is among the issuers of certificate 0: a later
 * certificate of the list, or one of `anchors`.
 */
bool pki_certs_under(const struct pki_certs *c, const struct pki_certs *anchors, const uint8_t *cas,
		     size_t n);

/* Of the first DER response: for a CERT payload. */
struct pki_span pki_ocsps_der(const struct pki_ocsps *o, size_t i);
size_t pki_ocsps_n(const struct pki_ocsps *o);

/* "2026-01-31 23:59:59 UTC" */
void pki_time_text(int64_t time, struct sb *out);

/* -------------------------------------------------------------------------------- keys (key.c) */

struct pki_key; /* a private key: libcrypto's heap, in its secure part where that was set up */
struct pki_pub; /* a public key that satisfies the rules of size */

/* PEM (PKCS#8, PKCS#1, SEC1), not encrypted. */
struct pki_key *pki_key_parse(const uint8_t *data, size_t size, struct sb *why);
void pki_key_free(struct pki_key *k); /* wipes */
/* True if certificate 0 is for this key. */
bool pki_key_matches(const struct pki_key *k, const struct pki_certs *c);
/* DER SubjectPublicKeyInfo; lives as long as the key. */
struct pki_span pki_key_spki(const struct pki_key *k);
const char *pki_key_type(const struct pki_key *k); /* "RSA 3072", "ECDSA P-256", "Ed25519" */

/* PEM: PUBLIC KEY, or a certificate whose key is taken. */
struct pki_pub *pki_pub_parse(const uint8_t *data, size_t size, struct sb *why);
void pki_pub_free(struct pki_pub *p);
/* RFC 7670 3: compares with what a CERT payload of encoding 15 brought, in constant time. */
bool pki_pub_equal(const struct pki_pub *p, const uint8_t *spki, size_t size);

/* --------------------------------------------------------------------------- chains (chain.c) */

struct pki_trust {
	const struct pki_certs *anchors; /* each one is trusted by itself, subordinate or not */
	const struct pki_certs *intermediates; /* configured; NULL is fine, likewise below */
	const struct pki_crls *crls;
	const struct pki_ocsps *ocsps;
	bool revocation_strict; /* a certificate of unknown state is refused */
	int64_t now;
	/* A number that no other set of what stands above ever has; 0: no verdict is remembered. */
	uint64_t set;
};

/* What a peer sent, as it came; encodings that are not known are passed over. */
struct pki_offer {
	uint8_t encoding; /* IANA "IKEv2 Certificate Encodings" */
	struct pki_span data;
};
enum pki_encoding {
	PKI_ENCODING_X509 = 4,
	PKI_ENCODING_CRL = 7,
	PKI_ENCODING_OCSP = 14,
	PKI_ENCODING_RAW_KEY = 15,
};

/* An identity as its payload has it: type of RFC 7296 3.5 and data. */
struct pki_id {
	uint8_t type;
	struct pki_span data;
};
enum pki_id_type {
	PKI_ID_IPV4_ADDR = 1,
	PKI_ID_FQDN = 2,
	PKI_ID_RFC822_ADDR = 3,
	PKI_ID_IPV6_ADDR = 5,
	PKI_ID_DER_ASN1_DN = 9,
};

/*
 * Verifies the chain and that its end entity is `id`. True: *pub is its key, for the caller to free,
 * and *valid_until is when the first certificate of the chain ends. False: why, a whole sentence.
 */
bool pki_verify_peer(const struct pki_trust *trust, const struct pki_offer *offers, size_t n,
		     const struct pki_id *id, struct pki_pub **pub, int64_t *valid_until,
		     struct sb *why);

/* What a peer signed and how, as pki_verify() takes it. */
struct pki_proof {
	uint32_t method;
	bool sha1;
	struct pki_span octets, auth;
};

/* ---------------------------------------------------------------------- verdicts (cache.c) */

struct pki_cache; /* chains that were good */

/* Remembers at most `max` of them; NULL: out of memory. */
struct pki_cache *pki_cache_new(size_t max);
void pki_cache_free(struct pki_cache *c); /* NULL is fine, likewise below */
void pki_cache_flush(struct pki_cache *c);
size_t pki_cache_n(const struct pki_cache *c);
uint64_t pki_cache_hits(const struct pki_cache *c);

/*
 * pki_verify_peer(), then pki_verify() by the key of the chain. The chain of a peer that has proven
 * itself is remembered: while neither it nor the set, policy or identity changes, and no certificate,
 * CRL or OCSP response begins or ends, only the signature is verified the next time.
 */
bool pki_verify_auth(struct pki_cache *c, const struct pki_trust *trust,
		     const struct pki_offer *offers, size_t n, const struct pki_id *id,
		     const struct pki_proof *proof, int64_t *valid_until, struct sb *why);

/* ---------------------------------------------------------------------- identities (ident.c, dn.c) */

/* True if the certificate names the identity; false with why. */
bool pki_names(const struct pki_certs *c, size_t i, const struct pki_id *id, struct sb *why);
/* "CN=a.example, O=Example\, Inc., C=DE" to DER. Bytes written, or 0 with why. */
size_t pki_dn_parse(const char *text, uint8_t *out, size_t size, struct sb *why);
/* False (and the bytes in hex) if it is no distinguished name. */
bool pki_dn_format(const uint8_t *der, size_t size, struct sb *out);
/* True if both are distinguished names that RFC 5280 7.1 calls equal. */
bool pki_dn_equal(struct pki_span a, struct pki_span b);

/* ------------------------------------------------------------------ signatures (sign.c, verify.c) */

/* IANA "IKEv2 Authentication Method" */
enum pki_method {
	PKI_METHOD_RSA = 1,
	PKI_METHOD_ECDSA_256 = 9,
	PKI_METHOD_ECDSA_384 = 10,
	PKI_METHOD_ECDSA_521 = 11,
	PKI_METHOD_DIGITAL_SIGNATURE = 14,
};
/* 1 << IANA "IKEv2 Hash Algorithms" (RFC 7427, RFC 8420) */
enum pki_hash_bit {
	PKI_HASH_SHA1 = 1 << 1,
	PKI_HASH_SHA2_256 = 1 << 2,
	PKI_HASH_SHA2_384 = 1 << 3,
	PKI_HASH_SHA2_512 = 1 << 4,
	PKI_HASH_IDENTITY = 1 << 5,
};
/* What we announce and take. */
#define PKI_HASHES (PKI_HASH_SHA2_256 | PKI_HASH_SHA2_384 | PKI_HASH_SHA2_512 | PKI_HASH_IDENTITY)

/* How a signature is made; RFC 7427's AlgorithmIdentifiers name one together with a hash. */
enum pki_scheme {
	PKI_RSA_PKCS1,
	PKI_RSA_PSS,
	PKI_ECDSA,
	PKI_ED25519,
	PKI_ED448,
};
#define PKI_SCHEMES 5

/* What a peer believes, as far as it has said so. */
struct pki_takes {
	uint32_t hashes;  /* enum pki_hash_bit; 0: a peer without RFC 7427 */
	bool sha1;        /* method 1 with SHA-1 may be used where the peer knows nothing else */
	bool announced;   /* RFC 9593: what follows, and nothing else */
	uint32_t methods; /* 1 << enum pki_method, but for 14 */
	uint32_t algs[PKI_SCHEMES]; /* by method 14: hashes for each scheme */
};
/* True if an announcement for the CA with this number, from 1, counts. */
typedef bool pki_linked_fn(void *ctx, unsigned ca);
/* Adds SUPPORTED_AUTH_METHODS' content; empty: the peer announces nothing. Total. */
void pki_takes_announced(struct pki_takes *t, struct pki_span list, pki_linked_fn *linked,
			 void *ctx);
/* "ECDSA with SHA-256, Ed25519" */
void pki_announced_text(struct pki_span list, struct sb *out);
/* True if the key has a way to sign that the peer believes. */
bool pki_can_sign(const struct pki_key *key, const struct pki_takes *takes);
/*
 * Signs octets by the best means that the key and the peer allow. `auth` holds PKI_SIG_MAX bytes.
 * Returns the size of the AUTH data and sets *method, or 0 with why.
 */
size_t pki_sign(const struct pki_key *key, const struct pki_takes *takes, struct pki_span octets,
		uint8_t *auth, uint32_t *method, struct sb *why);
/* Checks AUTH data. `sha1`: method 1 with SHA-1 is good. */
bool pki_verify(const struct pki_pub *pub, uint32_t method, bool sha1, struct pki_span octets,
		struct pki_span auth, struct sb *why);

#endif
