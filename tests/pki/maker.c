/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/pki/maker.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

static void need(bool ok)
{
	if (ok)
		return;
	ERR_print_errors_fp(stderr);
	abort();
}

EVP_PKEY *key_ec(const char *curve)
{
	EVP_PKEY *key = EVP_EC_gen(curve);

	need(key != NULL);
	return key;
}

EVP_PKEY *key_rsa(unsigned bits, unsigned long exponent)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
	BIGNUM *e = BN_new();
	EVP_PKEY *key = NULL;

	need(ctx && e && BN_set_word(e, exponent) && EVP_PKEY_keygen_init(ctx) == 1 &&
	     EVP_PKEY_CTX_set_rsa_keygen_bits(ctx, (int)bits) == 1 &&
	     EVP_PKEY_CTX_set1_rsa_keygen_pubexp(ctx, e) == 1 &&
	     /* libcrypto makes no such key of two primes. */
	     (exponent > 65536 || EVP_PKEY_CTX_set_rsa_keygen_primes(ctx, 3) == 1) &&
	     EVP_PKEY_generate(ctx, &key) == 1);
	BN_free(e);
	EVP_PKEY_CTX_free(ctx);
	return key;
}

EVP_PKEY *key_other(const char *name)
{
	EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, name);

	need(key != NULL);
	return key;
}

static X509_NAME *name_of(const char *text)
{
	char problem[PKI_TEXT_SIZE];
	struct sb why = sb_of(problem, sizeof(problem));
	uint8_t der[1024];
	const uint8_t *p = der;
	const size_t n = pki_dn_parse(text, der, sizeof(der), &why);
	X509_NAME *name;

	need(n > 0);
	name = d2i_X509_NAME(NULL, &p, (long)n);
	need(name != NULL);
	return name;
}

static X509_EXTENSION *extension(X509V3_CTX *ctx, int nid, const char *value)
{
	X509_EXTENSION *e = X509V3_EXT_nconf_nid(NULL, ctx, nid, value);

	need(e != NULL);
	return e;
}

static void add(X509 *cert, X509V3_CTX *ctx, int nid, const char *value)
{
	X509_EXTENSION *e;

	if (!value)
		return;
	e = extension(ctx, nid, value);
	need(X509_add_ext(cert, e, -1) == 1);
	X509_EXTENSION_free(e);
}

static void add_unknown(X509 *cert, const struct recipe *r)
{
	ASN1_OBJECT *object;
	ASN1_OCTET_STRING *data;
	X509_EXTENSION *e;

	if (!r->extra_oid)
		return;
	object = OBJ_txt2obj(r->extra_oid, 1);
	data = ASN1_OCTET_STRING_new();
	need(object && data && ASN1_OCTET_STRING_set(data, (const uint8_t *)"\x05\x00", 2));
	e = X509_EXTENSION_create_by_OBJ(NULL, object, r->extra_critical, data);
	need(e && X509_add_ext(cert, e, -1) == 1);
	X509_EXTENSION_free(e);
	ASN1_OCTET_STRING_free(data);
	ASN1_OBJECT_free(object);
}

static const EVP_MD *digest(EVP_PKEY *key, const EVP_MD *md)
{
	const int kind = EVP_PKEY_get_base_id(key);

	if (kind == EVP_PKEY_ED25519 || kind == EVP_PKEY_ED448)
		return NULL;
	return md ? md : EVP_sha256();
}

static void sign(X509 *cert, EVP_PKEY *key, const struct recipe *r)
{
	EVP_MD_CTX *md = EVP_MD_CTX_new();
	EVP_PKEY_CTX *ctx = NULL;

	need(md && EVP_DigestSignInit(md, &ctx, digest(key, r->md), NULL, key) == 1);
	if (r->pss_salt > 0)
		need(EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PSS_PADDING) == 1 &&
		     EVP_PKEY_CTX_set_rsa_pss_saltlen(ctx, r->pss_salt) == 1);
	need(X509_sign_ctx(cert, md) > 0);
	EVP_MD_CTX_free(md);
}

struct made make_cert(const struct recipe *r)
{
	static long serial = 1000;
	struct made m = {.cert = X509_new(), .key = r->key};
	X509 *issuer = r->issuer ? r->issuer->cert : m.cert;
	X509_NAME *name = name_of(r->subject);
	X509V3_CTX ctx;
	int n;

	need(m.cert && X509_set_version(m.cert, r->version ? r->version - 1 : 2) == 1 &&
	     ASN1_INTEGER_set(X509_get_serialNumber(m.cert), r->serial ? r->serial : serial++) ==
		     1 &&
	     X509_set_subject_name(m.cert, name) == 1 && X509_set_pubkey(m.cert, r->key) == 1 &&
	     X509_set_issuer_name(m.cert, X509_get_subject_name(issuer)) == 1 &&
	     ASN1_TIME_set(X509_getm_notBefore(m.cert), r->from ? r->from : NOW - YEAR) &&
	     ASN1_TIME_set(X509_getm_notAfter(m.cert), r->until ? r->until : NOW + YEAR));
	X509_NAME_free(name);
	X509V3_set_ctx(&ctx, issuer, m.cert, NULL, NULL, 0);
	add(m.cert, &ctx, NID_basic_constraints, r->basic);
	add(m.cert, &ctx, NID_key_usage, r->use);
	add(m.cert, &ctx, NID_ext_key_usage, r->extended_use);
	add(m.cert, &ctx, NID_subject_alt_name, r->san);
	add(m.cert, &ctx, NID_name_constraints, r->constraints);
	add(m.cert, &ctx, NID_crl_distribution_points, r->crl_points);
	add_unknown(m.cert, r);
	sign(m.cert, r->issuer ? r->issuer->key : r->key, r);
	n = i2d_X509(m.cert, &m.der.data);
	need(n > 0);
	m.der.size = (size_t)n;
	return m;
}

void made_free(struct made *m)
{
	X509_free(m->cert);
	OPENSSL_free(m->der.data);
	*m = (struct made){0};
}

static struct bytes bio_bytes(BIO *bio)
{
	char *data;
	const long size = BIO_get_mem_data(bio, &data);
	struct bytes b = {.data = malloc((size_t)size + 1), .size = (size_t)size};

	need(b.data != NULL);
	memcpy(b.data, data, b.size);
	b.data[b.size] = '\0';
	BIO_free(bio);
	return b;
}

struct bytes key_pem(EVP_PKEY *key, const char *passphrase)
{
	BIO *bio = BIO_new(BIO_s_mem());

	need(bio && PEM_write_bio_PKCS8PrivateKey(
			    bio, key, passphrase ? EVP_aes_128_cbc() : NULL, passphrase,
			    passphrase ? (int)strlen(passphrase) : 0, NULL, NULL) == 1);
	return bio_bytes(bio);
}

struct bytes public_pem(EVP_PKEY *key)
{
	BIO *bio = BIO_new(BIO_s_mem());

	need(bio && PEM_write_bio_PUBKEY(bio, key) == 1);
	return bio_bytes(bio);
}

struct bytes certs_pem(const struct made *const *list, size_t n)
{
	BIO *bio = BIO_new(BIO_s_mem());

	need(bio != NULL);
	for (size_t i = 0; i < n; i++)
		need(PEM_write_bio_X509(bio, list[i]->cert) == 1);
	return bio_bytes(bio);
}

struct bytes make_crl(const struct crl_recipe *r)
{
	X509_CRL *crl = X509_CRL_new();
	ASN1_TIME *t = ASN1_TIME_set(NULL, r->from ? r->from : NOW - DAY);
	struct bytes b = {0};
	int n;

	need(crl && t && X509_CRL_set_version(crl, 1) == 1 &&
	     X509_CRL_set_issuer_name(crl, X509_get_subject_name(r->issuer->cert)) == 1 &&
	     X509_CRL_set1_lastUpdate(crl, t) == 1);
	need(ASN1_TIME_set(t, r->until ? r->until : NOW + DAY) &&
	     X509_CRL_set1_nextUpdate(crl, t) == 1);
	if (r->revoked) {
		X509_REVOKED *entry = X509_REVOKED_new();
		ASN1_ENUMERATED *reason = ASN1_ENUMERATED_new();

		need(entry && reason && ASN1_TIME_set(t, NOW - DAY) &&
		     X509_REVOKED_set_serialNumber(entry,
						   X509_get_serialNumber(r->revoked->cert)) == 1 &&
		     X509_REVOKED_set_revocationDate(entry, t) == 1 &&
		     ASN1_ENUMERATED_set(reason, CRL_REASON_KEY_COMPROMISE) == 1 &&
		     X509_REVOKED_add1_ext_i2d(entry, NID_crl_reason, reason, 0, 0) == 1 &&
		     X509_CRL_add0_revoked(crl, entry) == 1);
		ASN1_ENUMERATED_free(reason);
	}
	ASN1_TIME_free(t);
	if (r->idp) {
		X509V3_CTX ctx;
		X509_EXTENSION *e;

		X509V3_set_ctx(&ctx, r->issuer->cert, NULL, NULL, crl, 0);
		e = extension(&ctx, NID_issuing_distribution_point, r->idp);
		need(X509_CRL_add_ext(crl, e, -1) == 1);
		X509_EXTENSION_free(e);
	}
	if (r->delta) {
		ASN1_INTEGER *base = ASN1_INTEGER_new();

		need(base && ASN1_INTEGER_set(base, 1) == 1 &&
		     X509_CRL_add1_ext_i2d(crl, NID_delta_crl, base, 1, 0) == 1);
		ASN1_INTEGER_free(base);
	}
	need(X509_CRL_sign(crl, r->signer ? r->signer : r->issuer->key,
			   digest(r->issuer->key, r->md)) > 0);
	n = i2d_X509_CRL(crl, &b.data);
	need(n > 0);
	b.size = (size_t)n;
	X509_CRL_free(crl);
	return b;
}

struct bytes make_ocsp(const struct ocsp_recipe *r)
{
	const struct made *signer = r->signer ? r->signer : r->issuer;
	OCSP_BASICRESP *basic = OCSP_BASICRESP_new();
	OCSP_CERTID *id = OCSP_cert_to_id(EVP_sha1(), r->subject->cert, r->issuer->cert);
	ASN1_TIME *from = ASN1_TIME_set(NULL, r->from ? r->from : NOW - DAY);
	ASN1_TIME *until = r->until ? ASN1_TIME_set(NULL, r->until) : NULL;
	ASN1_TIME *revoked =
		r->status == V_OCSP_CERTSTATUS_REVOKED ? ASN1_TIME_set(NULL, NOW - DAY) : NULL;
	OCSP_RESPONSE *response;
	struct bytes b = {0};
	int n;

	need(basic && id && from &&
	     OCSP_basic_add1_status(basic, id, r->status, CRL_REASON_SUPERSEDED, revoked, from,
				    until) != NULL &&
	     OCSP_basic_sign(basic, signer->cert, signer->key, digest(signer->key, r->md), NULL,
			     r->signer ? 0 : OCSP_NOCERTS) == 1);
	response = OCSP_response_create(OCSP_RESPONSE_STATUS_SUCCESSFUL, basic);
	need(response != NULL);
	n = i2d_OCSP_RESPONSE(response, &b.data);
	need(n > 0);
	b.size = (size_t)n;
	OCSP_RESPONSE_free(response);
	OCSP_BASICRESP_free(basic);
	OCSP_CERTID_free(id);
	ASN1_TIME_free(from);
	ASN1_TIME_free(until);
	ASN1_TIME_free(revoked);
	return b;
}

struct pki_certs *parsed(const struct made *const *list, size_t n)
{
	char text[PKI_TEXT_SIZE];
	struct sb why = sb_of(text, sizeof(text));
	struct bytes pem = certs_pem(list, n);
	struct pki_certs *c = pki_certs_parse(pem.data, pem.size, &why);

	if (!c)
		fprintf(stderr, "%s\n", text);
	need(c != NULL);
	free(pem.data);
	return c;
}
