/* SPDX-License-Identifier: Apache-2.0 */
#include "pki/issue.h"

#include <stdlib.h>
#include <string.h>
#include <openssl/err.h>
#include "base/addr.h"
#include "base/secret.h"
#include "pki/pki_int.h"

/* -------------------------------------------------------------------- keys */

struct pki_key *pki_key_generate(const char *type, struct sb *why)
{
	static const struct {
		const char *type, *algorithm, *curve;
		size_t bits;
	} types[] = {
		{"ecdsa-p256", "EC", "P-256", 0}, {"ecdsa-p384", "EC", "P-384", 0},
		{"ecdsa-p521", "EC", "P-521", 0}, {"ed25519", "ED25519", NULL, 0},
		{"ed448", "ED448", NULL, 0},      {"rsa-3072", "RSA", NULL, 3072},
		{"rsa-4096", "RSA", NULL, 4096},
	};
	struct pki_key *k = calloc(1, sizeof(*k));
	uint8_t *spki = NULL;
	int n = 0;

	for (size_t i = 0; k && i < sizeof(types) / sizeof(types[0]); i++) {
		if (strcmp(types[i].type, type) != 0)
			continue;
		k->key = types[i].curve  ? EVP_PKEY_Q_keygen(NULL, NULL, "EC", types[i].curve)
			 : types[i].bits ? EVP_PKEY_Q_keygen(NULL, NULL, "RSA", types[i].bits)
					 : EVP_PKEY_Q_keygen(NULL, NULL, types[i].algorithm);
		if (k->key)
			n = i2d_PUBKEY(k->key, &spki);
		if (n > 0 && pki_span_copy(&k->spki, spki, (size_t)n)) {
			OPENSSL_free(spki);
			return k;
		}
		sb_str(why, "libcrypto cannot make such a key");
	}
	if (why->n == 0)
		sb_printf(why, "there is no key type \"%s\": %s", type, PKI_KEY_TYPES);
	OPENSSL_free(spki);
	pki_key_free(k);
	ERR_clear_error();
	return NULL;
}

/* Text of a PEM object into `out`; returns its size, or what it would need. */
static size_t put_pem(const char *label, struct pki_span der, char *out, size_t room)
{
	const size_t lines = (der.size + 47) / 48;
	const size_t need = 2 * (strlen(label) + 17) + 3 + (der.size + 2) / 3 * 4 + lines;
	struct sb s;

	if (need >= room)
		return need + 1;
	s = sb_of(out, room);
	sb_printf(&s, "-----BEGIN %s-----\n", label);
	for (size_t i = 0; i < der.size; i += 48) {
		const size_t n = der.size - i < 48 ? der.size - i : 48;
		char line[66];

		(void)EVP_EncodeBlock((uint8_t *)line, der.data + i, (int)n);
		sb_printf(&s, "%s\n", line);
		bytes_wipe(line, sizeof(line));
	}
	sb_printf(&s, "-----END %s-----\n", label);
	return s.truncated ? room : s.n;
}

char *pki_pem(const char *label, struct pki_span der, size_t *size)
{
	const size_t room = put_pem(label, der, NULL, 0) + 1;
	char *out = malloc(room);

	if (out)
		*size = put_pem(label, der, out, room);
	return out;
}

size_t pki_key_pem(const struct pki_key *k, char *out)
{
	PKCS8_PRIV_KEY_INFO *info = EVP_PKEY2PKCS8(k->key);
	uint8_t *der = NULL;
	const int n = info ? i2d_PKCS8_PRIV_KEY_INFO(info, &der) : 0;
	size_t size = 0;

	if (n > 0)
		size = put_pem("PRIVATE KEY", (struct pki_span){der, (size_t)n}, out,
			       PKI_KEY_PEM_MAX);
	OPENSSL_clear_free(der, n > 0 ? (size_t)n : 0);
	PKCS8_PRIV_KEY_INFO_free(info);
	ERR_clear_error();
	return size < PKI_KEY_PEM_MAX ? size : 0;
}

static const EVP_MD *digest_of(const EVP_PKEY *key)
{
	const int kind = EVP_PKEY_get_base_id(key);

	if (kind == EVP_PKEY_ED25519 || kind == EVP_PKEY_ED448)
		return NULL;
	return EVP_PKEY_get_security_bits(key) > 128 ? EVP_sha384() : EVP_sha256();
}

/* -------------------------------------------------------------------- names */

static bool host_ok(const char *s)
{
	const size_t n = strlen(s);

	if (n == 0 || n > 253 || s[0] == '.' || s[n - 1] == '.' || strstr(s, ".."))
		return false;
	for (size_t i = 0; i < n; i++) {
		if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._",
			    s[i]))
			return false;
	}
	return true;
}

static bool mail_ok(const char *s)
{
	const char *at = strchr(s, '@');

	if (!at || at == s || strchr(at + 1, '@') || !host_ok(at + 1))
		return false;
	for (const char *p = s; p < at; p++) {
		if (*p <= 0x20 || *p >= 0x7f)
			return false;
	}
	return true;
}

static bool push_name(GENERAL_NAMES *names, int type, const void *data, size_t size)
{
	GENERAL_NAME *n = GENERAL_NAME_new();
	ASN1_STRING *s =
		ASN1_STRING_type_new(type == GEN_IPADD ? V_ASN1_OCTET_STRING : V_ASN1_IA5STRING);

	if (n && s && ASN1_STRING_set(s, data, (int)size) == 1 &&
	    sk_GENERAL_NAME_push(names, n) > 0) {
		GENERAL_NAME_set0_value(n, type, s);
		return true;
	}
	GENERAL_NAME_free(n);
	ASN1_STRING_free(s);
	return false;
}

static bool one_name(GENERAL_NAMES *names, const char *text, struct sb *why)
{
	const char *value = strchr(text, ':');
	struct ip_addr ip;

	value = value ? value + 1 : text;
	if (strncmp(text, "dns:", 4) == 0 && host_ok(value))
		return push_name(names, GEN_DNS, value, strlen(value));
	if (strncmp(text, "email:", 6) == 0 && mail_ok(value))
		return push_name(names, GEN_EMAIL, value, strlen(value));
	if (strncmp(text, "ip:", 3) == 0 && ip_parse(value, &ip))
		return push_name(names, GEN_IPADD, ip.b, ip_size(&ip));
	sb_str(why, "\"");
	sb_escaped(why, text, strlen(text));
	sb_str(why,
	       "\" is no name: dns:HOST, ip:ADDRESS and email:USER@HOST are, without wildcards");
	return false;
}

static GENERAL_NAMES *parse_san(const char *san, struct sb *why)
{
	GENERAL_NAMES *names = sk_GENERAL_NAME_new_null();
	char *copy = strdup(san), *rest = copy;
	bool ok = names && copy;

	while (ok && rest) {
		char *comma = strchr(rest, ',');

		if (comma)
			*comma = '\0';
		ok = one_name(names, rest, why);
		rest = comma ? comma + 1 : NULL;
	}
	free(copy);
	if (ok)
		return names;
	GENERAL_NAMES_free(names);
	return NULL;
}

/* -------------------------------------------------------------- certificates */

static bool add(X509 *cert, X509V3_CTX *ctx, int nid, const char *value)
{
	X509_EXTENSION *e = X509V3_EXT_nconf_nid(NULL, ctx, nid, value);
	const bool ok = e && X509_add_ext(cert, e, -1) == 1;

	X509_EXTENSION_free(e);
	return ok;
}

static bool add_extensions(X509 *cert, X509 *issuer, const struct pki_request *r)
{
	X509V3_CTX ctx;

	X509V3_set_ctx(&ctx, issuer, cert, NULL, NULL, 0);
	if (!add(cert, &ctx, NID_subject_key_identifier, "hash") ||
	    !add(cert, &ctx, NID_authority_key_identifier, "keyid:always"))
		return false;
	if (r->ca)
		return add(cert, &ctx, NID_basic_constraints, "critical,CA:TRUE,pathlen:0") &&
		       add(cert, &ctx, NID_key_usage, "critical,keyCertSign,cRLSign");
	/* RFC 4945 5.1.3: signatures; ipsecIKE, and what other vendors look for. */
	return add(cert, &ctx, NID_basic_constraints, "critical,CA:FALSE") &&
	       add(cert, &ctx, NID_key_usage, "critical,digitalSignature") &&
	       add(cert, &ctx, NID_ext_key_usage, "serverAuth,clientAuth,1.3.6.1.5.5.7.3.17");
}

static X509_NAME *subject(const char *text, struct sb *why)
{
	uint8_t der[2048];
	const uint8_t *p = der;
	char problem[PKI_TEXT_SIZE];
	struct sb s = sb_of(problem, sizeof(problem));
	const size_t n = pki_dn_parse(text, der, sizeof(der), &s);

	if (n > 0)
		return d2i_X509_NAME(NULL, &p, (long)n);
	sb_str(why, "the name \"");
	sb_escaped(why, text, strlen(text));
	sb_printf(why, "\" %s", problem);
	return NULL;
}

static bool set_serial(ASN1_INTEGER *to, const uint8_t *serial, size_t size)
{
	BIGNUM *n = BN_bin2bn(serial, (int)size, NULL);
	const bool ok = n && BN_to_ASN1_INTEGER(n, to) != NULL;

	BN_free(n);
	return ok;
}

static bool fill(X509 *cert, const struct pki_request *r, const X509_NAME *name, X509 *issuer,
		 struct sb *why)
{
	GENERAL_NAMES *names = NULL;
	bool ok;

	if (r->san) {
		names = parse_san(r->san, why);
		if (!names)
			return false;
	}
	ok = X509_set_version(cert, 2) == 1 &&
	     set_serial(X509_get_serialNumber(cert), r->serial, PKI_SERIAL_SIZE) &&
	     X509_set_subject_name(cert, name) == 1 &&
	     X509_set_issuer_name(cert, X509_get_subject_name(issuer)) == 1 &&
	     X509_set_pubkey(cert, r->key->key) == 1 &&
	     ASN1_TIME_set(X509_getm_notBefore(cert), (time_t)r->from) &&
	     ASN1_TIME_set(X509_getm_notAfter(cert), (time_t)r->until) &&
	     add_extensions(cert, issuer, r) &&
	     (!names || X509_add1_ext_i2d(cert, NID_subject_alt_name, names, 0, 0) == 1);
	GENERAL_NAMES_free(names);
	return ok;
}

bool pki_issue(const struct pki_request *r, struct pki_span *der, struct sb *why)
{
	EVP_PKEY *signer = r->issuer_key ? r->issuer_key->key : r->key->key;
	X509_NAME *name = subject(r->subject, why);
	X509 *cert = X509_new();
	uint8_t *out = NULL;
	int n = 0;
	bool ok;

	ok = name && cert &&
	     fill(cert, r, name, r->issuer ? sk_X509_value(r->issuer->list, 0) : cert, why) &&
	     X509_sign(cert, signer, digest_of(signer)) > 0 && (n = i2d_X509(cert, &out)) > 0 &&
	     (size_t)n <= PKI_CERT_MAX && pki_span_copy(der, out, (size_t)n);
	if (!ok && why->n == 0)
		sb_str(why, "libcrypto cannot make the certificate");
	OPENSSL_free(out);
	X509_free(cert);
	X509_NAME_free(name);
	ERR_clear_error();
	return ok;
}

bool pki_issued_by(const struct pki_certs *c, const struct pki_certs *ca)
{
	X509 *cert = sk_X509_value(c->list, 0), *issuer = sk_X509_value(ca->list, 0);
	const bool ok = X509_check_issued(issuer, cert) == X509_V_OK &&
			X509_verify(cert, X509_get0_pubkey(issuer)) == 1;

	ERR_clear_error();
	return ok;
}

size_t pki_serial(const struct pki_certs *c, uint8_t *out, size_t size)
{
	BIGNUM *n = ASN1_INTEGER_to_BN(X509_get_serialNumber(sk_X509_value(c->list, 0)), NULL);
	size_t bytes = 0;

	if (n && !BN_is_negative(n) && (size_t)BN_num_bytes(n) <= size)
		bytes = (size_t)BN_bn2bin(n, out);
	BN_free(n);
	return bytes;
}

/* --------------------------------------------------------------------- lists */

static const struct {
	const char *text;
	int number;
} reasons[] = {
	{"unspecified", -1},
	{"keyCompromise", CRL_REASON_KEY_COMPROMISE},
	{"CACompromise", CRL_REASON_CA_COMPROMISE},
	{"affiliationChanged", CRL_REASON_AFFILIATION_CHANGED},
	{"superseded", CRL_REASON_SUPERSEDED},
	{"cessationOfOperation", CRL_REASON_CESSATION_OF_OPERATION},
	{"certificateHold", CRL_REASON_CERTIFICATE_HOLD},
	{"privilegeWithdrawn", CRL_REASON_PRIVILEGE_WITHDRAWN},
};

int pki_reason_parse(const char *text)
{
	for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++) {
		if (strcasecmp(reasons[i].text, text) == 0)
			return reasons[i].number;
	}
	return -2;
}

static bool add_revoked(X509_CRL *crl, const struct pki_revocation *r)
{
	X509_REVOKED *entry = X509_REVOKED_new();
	ASN1_INTEGER *serial = ASN1_INTEGER_new();
	ASN1_ENUMERATED *reason = ASN1_ENUMERATED_new();
	ASN1_TIME *when = ASN1_TIME_set(NULL, (time_t)r->when);
	bool ok;

	ok = entry && serial && reason && when && set_serial(serial, r->serial, r->serial_size) &&
	     X509_REVOKED_set_serialNumber(entry, serial) == 1 &&
	     X509_REVOKED_set_revocationDate(entry, when) == 1;
	/* RFC 5280 5.3.1: no reason is said by its absence. */
	if (ok && r->reason >= 0)
		ok = ASN1_ENUMERATED_set(reason, r->reason) == 1 &&
		     X509_REVOKED_add1_ext_i2d(entry, NID_crl_reason, reason, 0, 0) == 1;
	if (ok && X509_CRL_add0_revoked(crl, entry) == 1)
		entry = NULL;
	else
		ok = false;
	X509_REVOKED_free(entry);
	ASN1_INTEGER_free(serial);
	ASN1_ENUMERATED_free(reason);
	ASN1_TIME_free(when);
	return ok;
}

static bool add_crl_extensions(X509_CRL *crl, X509 *issuer, uint64_t number)
{
	ASN1_INTEGER *n = ASN1_INTEGER_new();
	X509_EXTENSION *e;
	X509V3_CTX ctx;
	bool ok;

	X509V3_set_ctx(&ctx, issuer, NULL, NULL, crl, 0);
	e = X509V3_EXT_nconf_nid(NULL, &ctx, NID_authority_key_identifier, "keyid:always");
	ok = n && e && X509_CRL_add_ext(crl, e, -1) == 1 &&
	     ASN1_INTEGER_set_uint64(n, number) == 1 &&
	     X509_CRL_add1_ext_i2d(crl, NID_crl_number, n, 0, 0) == 1;
	X509_EXTENSION_free(e);
	ASN1_INTEGER_free(n);
	return ok;
}

bool pki_make_crl(const struct pki_list_request *r, struct pki_span *der, struct sb *why)
{
	X509 *issuer = sk_X509_value(r->issuer->list, 0);
	X509_CRL *crl = X509_CRL_new();
	ASN1_TIME *from = ASN1_TIME_set(NULL, (time_t)r->from);
	ASN1_TIME *until = ASN1_TIME_set(NULL, (time_t)r->until);
	uint8_t *out = NULL;
	int n = 0;
	bool ok;

	ok = crl && from && until && X509_CRL_set_version(crl, 1) == 1 &&
	     X509_CRL_set_issuer_name(crl, X509_get_subject_name(issuer)) == 1 &&
	     X509_CRL_set1_lastUpdate(crl, from) == 1 && X509_CRL_set1_nextUpdate(crl, until) == 1;
	for (size_t i = 0; ok && i < r->n_revoked; i++)
		ok = add_revoked(crl, &r->revoked[i]);
	ok = ok && X509_CRL_sort(crl) == 1 && add_crl_extensions(crl, issuer, r->number) &&
	     X509_CRL_sign(crl, r->key->key, digest_of(r->key->key)) > 0 &&
	     (n = i2d_X509_CRL(crl, &out)) > 0 && pki_span_copy(der, out, (size_t)n);
	if (!ok)
		sb_str(why, "libcrypto cannot make the revocation list");
	OPENSSL_free(out);
	ASN1_TIME_free(from);
	ASN1_TIME_free(until);
	X509_CRL_free(crl);
	ERR_clear_error();
	return ok;
}
