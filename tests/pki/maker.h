/* SPDX-License-Identifier: Apache-2.0 */
/* maker: certificates, lists and responses as the tests want them, faulty ones too. */
#ifndef TESTS_PKI_MAKER_H
#define TESTS_PKI_MAKER_H

#include <openssl/evp.h>
#include <openssl/ocsp.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include "pki/pki.h"

#define NOW  1800000000 /* 2027-01-15 */
#define DAY  86400
#define YEAR (365 * DAY)

struct bytes {
	uint8_t *data;
	size_t size;
};

struct made {
	X509 *cert;
	EVP_PKEY *key; /* borrowed */
	struct bytes der;
};

struct recipe {
	const char *subject; /* text of pki_dn_parse */
	EVP_PKEY *key;
	const struct made *issuer; /* NULL: itself */
	int64_t from, until;       /* 0: a year around NOW */
	const char *basic;         /* "critical,CA:TRUE"; NULL: no extension; likewise below */
	const char *use, *extended_use, *san, *constraints, *crl_points;
	const char *extra_oid; /* an unknown extension */
	bool extra_critical;
	const EVP_MD *md; /* NULL: SHA-256, none for EdDSA */
	int pss_salt;     /* >0: RSASSA-PSS */
	int version;      /* 0: 3 */
	long serial;
};

EVP_PKEY *key_ec(const char *curve);
EVP_PKEY *key_rsa(unsigned bits, unsigned long exponent);
EVP_PKEY *key_other(const char *name); /* "ED25519" */

struct made make_cert(const struct recipe *r);
void made_free(struct made *m);
/* PEM of a key, of certificates. The caller frees data. */
struct bytes key_pem(EVP_PKEY *key, const char *passphrase);
struct bytes public_pem(EVP_PKEY *key);
struct bytes certs_pem(const struct made *const *list, size_t n);

struct crl_recipe {
	const struct made *issuer;
	EVP_PKEY *signer; /* NULL: the issuer's */
	int64_t from, until;
	const struct made *revoked;
	const char *idp; /* issuingDistributionPoint, as of openssl.cnf */
	const EVP_MD *md;
	bool delta;
};
struct bytes make_crl(const struct crl_recipe *r);

struct ocsp_recipe {
	const struct made *subject, *issuer;
	const struct made *signer; /* NULL: the issuer */
	int status;                /* V_OCSP_CERTSTATUS_* */
	int64_t from, until;       /* until 0: no nextUpdate */
	const EVP_MD *md;
};
struct bytes make_ocsp(const struct ocsp_recipe *r);

struct pki_certs *parsed(const struct made *const *list, size_t n);

#endif
