/* SPDX-License-Identifier: Apache-2.0 */
/* certs: a list of certificates in the order of its file. */
#include <stdlib.h>
#include <string.h>
#include <openssl/err.h>
#include "pki/pki_int.h"

static bool take(void *ctx, const char *label, const uint8_t *der, size_t size, struct sb *why)
{
	struct pki_certs *c = ctx;
	const size_t n = (size_t)sk_X509_num(c->list);
	X509 *cert;

	if (label[0] != '\0' && strcmp(label, "CERTIFICATE") != 0 &&
	    strcmp(label, "X509 CERTIFICATE") != 0) {
		sb_str(why, "holds \"");
		sb_escaped(why, label, strlen(label));
		sb_str(why, "\" where certificates are wanted");
		return false;
	}
	cert = pki_x509(der, size);
	if (!cert) {
		sb_printf(why, "holds a certificate (number %zu) that cannot be decoded", n + 1);
		return false;
	}
	if (!pki_span_copy(&c->der[n], der, size) || sk_X509_push(c->list, cert) == 0) {
		X509_free(cert);
		sb_str(why, "cannot be read: out of memory");
		return false;
	}
	return true;
}

struct pki_certs *pki_certs_parse(const uint8_t *data, size_t size, struct sb *why)
{
	struct pki_certs *c = calloc(1, sizeof(*c));

	if (c)
		c->list = sk_X509_new_null();
	if (!c || !c->list) {
		free(c);
		sb_str(why, "cannot be read: out of memory");
		return NULL;
	}
	if (pki_objects(data, size, take, c, why)) {
		if (sk_X509_num(c->list) > 0)
			return c;
		sb_str(why, "holds no certificate");
	}
	pki_certs_free(c);
	return NULL;
}

void pki_certs_free(struct pki_certs *c)
{
	if (!c)
		return;
	for (size_t i = 0; i < PKI_LIST_MAX; i++)
		free((void *)c->der[i].data);
	sk_X509_pop_free(c->list, X509_free);
	free(c);
}

bool pki_certs_join(struct pki_certs **to, struct pki_certs *from)
{
	const size_t n = pki_certs_n(*to), more = pki_certs_n(from);

	if (!*to) {
		*to = from;
		return true;
	}
	if (n + more > PKI_LIST_MAX || sk_X509_reserve((*to)->list, (int)more) != 1)
		return false;
	for (size_t i = 0; i < more; i++) {
		(void)sk_X509_push((*to)->list, sk_X509_shift(from->list));
		(*to)->der[n + i] = from->der[i];
		from->der[i] = (struct pki_span){0};
	}
	pki_certs_free(from);
	return true;
}

size_t pki_certs_n(const struct pki_certs *c)
{
	return c ? (size_t)sk_X509_num(c->list) : 0;
}

static X509 *at(const struct pki_certs *c, size_t i)
{
	return sk_X509_value(c->list, (int)i);
}

struct pki_span pki_certs_der(const struct pki_certs *c, size_t i)
{
	return c->der[i];
}

bool pki_certs_is_root(const struct pki_certs *c, size_t i)
{
	return X509_NAME_cmp(X509_get_subject_name(at(c, i)), X509_get_issuer_name(at(c, i))) == 0;
}

bool pki_certs_is_ca(const struct pki_certs *c, size_t i)
{
	char text[PKI_TEXT_SIZE];
	struct sb why = sb_of(text, sizeof(text));

	return pki_rule_ca(at(c, i), &why);
}

/* RFC 7296 3.7: "the SHA-1 hash of the Subject Public Key Info element". */
static bool key_hash(X509 *cert, uint8_t out[PKI_HASH_SIZE])
{
	uint8_t *der = NULL;
	const int size = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(cert), &der);
	unsigned n = 0;
	const bool ok = size > 0 && EVP_Digest(der, (size_t)size, out, &n, EVP_sha1(), NULL) == 1 &&
			n == PKI_HASH_SIZE;

	OPENSSL_free(der);
	return ok;
}

bool pki_certs_key_hash(const struct pki_certs *c, size_t i, uint8_t out[PKI_HASH_SIZE])
{
	return key_hash(at(c, i), out);
}

void pki_certs_validity(const struct pki_certs *c, size_t i, int64_t *from, int64_t *until)
{
	if (!pki_time(X509_get0_notBefore(at(c, i)), from))
		*from = INT64_MAX;
	if (!pki_time(X509_get0_notAfter(at(c, i)), until))
		*until = 0;
}

void pki_certs_subject(const struct pki_certs *c, size_t i, struct sb *out)
{
	pki_name_text(X509_get_subject_name(at(c, i)), out);
}

static bool listed(X509 *cert, const uint8_t *cas, size_t n)
{
	uint8_t hash[PKI_HASH_SIZE];

	if (!key_hash(cert, hash))
		return false;
	for (size_t i = 0; i < n; i++) {
		if (memcmp(hash, cas + i * PKI_HASH_SIZE, PKI_HASH_SIZE) == 0)
			return true;
	}
	return false;
}

static X509 *issuer_in(const struct pki_certs *c, size_t first, X509 *cert)
{
	for (size_t i = first; i < pki_certs_n(c); i++) {
		if (at(c, i) != cert && X509_check_issued(at(c, i), cert) == X509_V_OK)
			return at(c, i);
	}
	return NULL;
}

bool pki_certs_under(const struct pki_certs *c, const struct pki_certs *anchors, const uint8_t *cas,
		     size_t n)
{
	X509 *cert = at(c, 0);

	for (size_t depth = 0; cert && depth < PKI_CHAIN_MAX; depth++) {
		X509 *issuer = issuer_in(c, 1, cert);

		if (!issuer)
			issuer = issuer_in(anchors, 0, cert);
		if (issuer && listed(issuer, cas, n))
			return true;
		cert = issuer;
	}
	return false;
}
