/* SPDX-License-Identifier: Apache-2.0 */
/* pki_int: what the files of pki/ share. */
#ifndef PKI_PKI_INT_H
#define PKI_PKI_INT_H

#include <openssl/evp.h>
#include <openssl/ocsp.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include "pki/pki.h"

struct pki_certs {
	STACK_OF(X509) * list;
	struct pki_span der[PKI_LIST_MAX]; /* owned */
};

struct pki_crls {
	STACK_OF(X509_CRL) * list;
};

struct pki_ocsps {
	size_t n;
	OCSP_BASICRESP *basic[PKI_LIST_MAX];
	struct pki_span der[PKI_LIST_MAX]; /* owned */
};

struct pki_key {
	EVP_PKEY *key;
	struct pki_span spki; /* owned */
};

struct pki_pub {
	EVP_PKEY *key;
	struct pki_span spki; /* owned; empty for the key of a chain */
};

/* How long a verdict stays what it is: from <= now < until. */
struct pki_window {
	int64_t from, until;
};
#define PKI_WINDOW_ALWAYS ((struct pki_window){INT64_MIN, INT64_MAX})
/* A moment at which something that was looked at begins or ends to count. */
void pki_window_cut(struct pki_window *w, int64_t now, int64_t moment);

/* ------------------------------------------------------------------------------ objects (pem.c) */

/* One object of a file: its PEM label, "" where the file is DER. False ends the walk. */
typedef bool pki_object_fn(void *ctx, const char *label, const uint8_t *der, size_t size,
			   struct sb *why);
/*
 * Walks over a file's objects: PEM or one DER. False with why: when there is none, when one cannot
 * be decoded or is too large, or when the function says so.
 */
bool pki_objects(const uint8_t *data, size_t size, pki_object_fn *fn, void *ctx, struct sb *why);
bool pki_span_copy(struct pki_span *to, const uint8_t *data, size_t size);

/* One certificate, whole: nothing may follow it. NULL if it is none. */
X509 *pki_x509(const uint8_t *der, size_t size);
X509_CRL *pki_x509_crl(const uint8_t *der, size_t size);
OCSP_BASICRESP *pki_ocsp_basic(const uint8_t *der, size_t size);

/* Seconds since 1970; false if it is not a time. */
bool pki_time(const ASN1_TIME *t, int64_t *out);
void pki_name_text(const X509_NAME *name, struct sb *out);
/* "certificate of CN=a" */
void pki_cert_text(X509 *cert, struct sb *out);

/* -------------------------------------------------------------------------------- rules (rules.c) */

/* Sizes, curves and exponent of a public key. False with why, a sentence's end. */
bool pki_rule_key(EVP_PKEY *key, struct sb *why);
/* The algorithm by which something is signed: SHA-2 with RSA or ECDSA, or EdDSA. */
bool pki_rule_signature(int signature_nid, int digest_nid, struct sb *why);
/* What a certificate must be as end entity, or as CA with `below` CAs between it and the former. */
bool pki_rule_end_entity(X509 *cert, struct sb *why);
bool pki_rule_ca(X509 *cert, struct sb *why);
/* With a reference of its own to the key, without a SubjectPublicKeyInfo to compare. */
struct pki_pub *pki_pub_from(EVP_PKEY *key, struct sb *why);

/* --------------------------------------------------------------------------- revocation */

enum pki_revoked {
	PKI_REVOKED_UNKNOWN, /* nothing fresh tells */
	PKI_REVOKED_GOOD,
	PKI_REVOKED,
};
/*
 * `text`: for UNKNOWN why nothing of what there is tells, for PKI_REVOKED when and why. `window` is
 * cut by every time that was compared with `now`.
 */
enum pki_revoked pki_crl_state(const struct pki_crls *crls, X509 *cert, X509 *issuer, int64_t now,
			       struct pki_window *window, struct sb *text);
enum pki_revoked pki_ocsp_state(const struct pki_ocsps *ocsps, X509 *cert, X509 *issuer,
				int64_t now, struct pki_window *window, struct sb *text);
const char *pki_reason_text(int reason); /* of RFC 5280 5.3.1 */

/* pki_verify_peer(), and how long a yes holds (chain.c). */
bool pki_verify_chain(const struct pki_trust *trust, const struct pki_offer *offers, size_t n,
		      const struct pki_id *id, struct pki_pub **pub, int64_t *valid_until,
		      struct pki_window *window, struct sb *why);

/* True if the certificate names the identity. */
bool pki_x509_names(X509 *cert, const struct pki_id *id, struct sb *why);

/* ---------------------------------------------------------------------- algorithms (sigalg.c) */

struct pki_sigalg {
	enum pki_scheme scheme;
	uint32_t hash; /* enum pki_hash_bit */
};

#define PKI_SIGALG_MAX 80u /* bytes of the longest AlgorithmIdentifier below */

/* Writes the AlgorithmIdentifier; returns its size. */
size_t pki_sigalg_build(const struct pki_sigalg *alg, uint8_t out[PKI_SIGALG_MAX]);
/* False for anything but the encodings of RFC 7427 Appendix A and RFC 8420 A that we take. */
bool pki_sigalg_parse(const uint8_t *data, size_t size, struct pki_sigalg *out);
/* NULL for EdDSA. */
const EVP_MD *pki_sigalg_md(const struct pki_sigalg *alg);
const char *pki_sigalg_text(const struct pki_sigalg *alg); /* "RSASSA-PSS with SHA-256" */
/* True if a key of this kind makes such signatures. */
bool pki_sigalg_fits(const struct pki_sigalg *alg, const EVP_PKEY *key);
/* Sets up an EVP_MD_CTX's parameters: padding and salt. */
bool pki_sigalg_params(const struct pki_sigalg *alg, EVP_PKEY_CTX *ctx);

/* EVP_PKEY_* base number with RSA-PSS as RSA; nid of the curve for EC keys or 0. */
int pki_curve(const EVP_PKEY *key);
const char *pki_key_text(const EVP_PKEY *key);

#endif
