/* SPDX-License-Identifier: Apache-2.0 */
/*
 * issue: what a small CA makes: keys, certificates for gateways as RFC 4945 and pki/rules.c want
 * them, revocation lists. Serial numbers and times are arguments.
 */
#ifndef PKI_ISSUE_H
#define PKI_ISSUE_H

#include "pki/pki.h"

#define PKI_SERIAL_SIZE 16u
#define PKI_KEY_PEM_MAX 8192u
#define PKI_KEY_TYPES   "ecdsa-p256, ecdsa-p384, ecdsa-p521, ed25519, ed448, rsa-3072 or rsa-4096"

/* NULL with why, a whole sentence. */
struct pki_key *pki_key_generate(const char *type, struct sb *why);
/* PKCS#8 in PEM form into `out` of PKI_KEY_PEM_MAX; the caller wipes it. Its size, or 0. */
size_t pki_key_pem(const struct pki_key *k, char *out);
/* PEM of anything; the caller frees it. NULL: no memory. */
char *pki_pem(const char *label, struct pki_span der, size_t *size);

struct pki_request {
	const char *subject;       /* text of pki_dn_parse */
	const struct pki_key *key; /* of the subject */
	const char *san;           /* "dns:a.example,ip:192.0.2.1,email:x@a.example"; NULL: none */
	bool ca;
	int64_t from, until;
	const uint8_t *serial; /* PKI_SERIAL_SIZE bytes, the first between 1 and 127 */
	/* NULL: the certificate signs itself. */
	const struct pki_key *issuer_key;
	const struct pki_certs *issuer;
};
/* DER, for the caller to free. False with why, a whole sentence. */
bool pki_issue(const struct pki_request *r, struct pki_span *der, struct sb *why);
/* True if certificate 0 of `c` is issued and signed by certificate 0 of `ca`. */
bool pki_issued_by(const struct pki_certs *c, const struct pki_certs *ca);
/* Serial number of certificate 0; its size, or 0 when it is longer than `size` or negative. */
size_t pki_serial(const struct pki_certs *c, uint8_t *out, size_t size);

struct pki_revocation {
	uint8_t serial[20];
	size_t serial_size;
	int64_t when;
	int reason; /* RFC 5280 5.3.1; -1: none given */
};
struct pki_list_request {
	const struct pki_key *key;
	const struct pki_certs *issuer;
	uint64_t number; /* higher each time */
	int64_t from, until;
	const struct pki_revocation *revoked;
	size_t n_revoked;
};
bool pki_make_crl(const struct pki_list_request *r, struct pki_span *der, struct sb *why);

/* "keyCompromise" to its number; -1 for "unspecified", -2 when it is none. */
int pki_reason_parse(const char *text);
#define PKI_REASONS                                                                                \
	"unspecified, keyCompromise, CACompromise, affiliationChanged, superseded, "               \
	"cessationOfOperation, certificateHold or privilegeWithdrawn"

#endif
