/* SPDX-License-Identifier: Apache-2.0 */
/*
 * key: private keys to sign with and public keys to verify by.
 *
 * A private key lives in libcrypto's memory: its numbers in the secure heap (locked, not dumped,
 * wiped) if the process has set one up. Where passing copies and what signing leaves behind go is
 * the process' to say: see daemon/keyd_heap.h.
 */
#include <stdlib.h>
#include <string.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include "pki/pki_int.h"

static bool spki_of(EVP_PKEY *key, struct pki_span *out)
{
	uint8_t *der = NULL;
	const int size = i2d_PUBKEY(key, &der);
	const bool ok = size > 0 && pki_span_copy(out, der, (size_t)size);

	OPENSSL_free(der);
	return ok;
}

/* There is nobody to ask. */
static int no_passphrase(char *buf, int size, int rwflag, void *asked)
{
	*(bool *)asked = true;
	return -1;
}

struct pki_key *pki_key_parse(const uint8_t *data, size_t size, struct sb *why)
{
	bool encrypted = false;
	struct pki_key *k = NULL;
	EVP_PKEY *key = NULL;
	BIO *bio;

	if (size == 0 || size > PKI_CERT_MAX) {
		sb_printf(why, size ? "is larger than %u bytes" : "is empty", PKI_CERT_MAX);
		return NULL;
	}
	bio = BIO_new_mem_buf(data, (int)size);
	if (bio)
		key = PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, &encrypted);
	BIO_free(bio);
	ERR_clear_error();
	if (!key) {
		sb_str(why, encrypted ? "is encrypted, and a gateway has nobody to ask for the "
					"passphrase: decrypt it with `openssl pkey`"
				      : "holds no private key in PEM form");
		return NULL;
	}
	if (!pki_rule_key(key, why))
		goto out;
	k = calloc(1, sizeof(*k));
	if (!k || !spki_of(key, &k->spki)) {
		sb_str(why, "cannot be read: out of memory");
		free(k);
		k = NULL;
		goto out;
	}
	k->key = key;
	key = NULL;
out:
	EVP_PKEY_free(key);
	return k;
}

void pki_key_free(struct pki_key *k)
{
	if (!k)
		return;
	EVP_PKEY_free(k->key);
	free((void *)k->spki.data);
	free(k);
}

bool pki_key_matches(const struct pki_key *k, const struct pki_certs *c)
{
	X509 *cert = sk_X509_value(c->list, 0);
	EVP_PKEY *pub = cert ? X509_get0_pubkey(cert) : NULL;
	const bool same = pub && EVP_PKEY_eq(k->key, pub) == 1;

	ERR_clear_error();
	return same;
}

struct pki_span pki_key_spki(const struct pki_key *k)
{
	return k->spki;
}

const char *pki_key_type(const struct pki_key *k)
{
	return pki_key_text(k->key);
}

/* ------------------------------------------------------------------ public */

struct pki_pub *pki_pub_from(EVP_PKEY *key, struct sb *why)
{
	struct pki_pub *p;

	if (!pki_rule_key(key, why))
		return NULL;
	p = calloc(1, sizeof(*p));
	if (!p) {
		sb_str(why, "cannot be read: out of memory");
		return NULL;
	}
	EVP_PKEY_up_ref(key);
	p->key = key;
	return p;
}

static bool take_public(void *ctx, const char *label, const uint8_t *der, size_t size,
			struct sb *why)
{
	struct pki_pub **out = ctx;
	const bool is_cert = strcmp(label, "CERTIFICATE") == 0;
	const uint8_t *p = der;
	EVP_PKEY *key = NULL;
	X509 *cert;

	if (*out) {
		sb_str(why, "holds more than one key");
		return false;
	}
	if (is_cert) {
		cert = pki_x509(der, size);
		key = cert ? X509_get_pubkey(cert) : NULL;
		X509_free(cert);
	} else if (size <= PKI_CERT_MAX && (label[0] == '\0' || strcmp(label, "PUBLIC KEY") == 0)) {
		key = d2i_PUBKEY(NULL, &p, (long)size);
		if (p != der + size) {
			EVP_PKEY_free(key);
			key = NULL;
		}
	}
	ERR_clear_error();
	if (key)
		*out = pki_pub_from(key, why);
	else
		sb_str(why, "holds no public key in PEM form (PUBLIC KEY or CERTIFICATE)");
	if (*out && !spki_of(key, &(*out)->spki)) {
		pki_pub_free(*out);
		*out = NULL;
		sb_str(why, "cannot be read: out of memory");
	}
	EVP_PKEY_free(key);
	return *out != NULL;
}

struct pki_pub *pki_pub_parse(const uint8_t *data, size_t size, struct sb *why)
{
	struct pki_pub *p = NULL;

	if (pki_objects(data, size, take_public, &p, why)) {
		if (p)
			return p;
		sb_str(why, "holds no public key");
	}
	pki_pub_free(p);
	return NULL;
}

void pki_pub_free(struct pki_pub *p)
{
	if (!p)
		return;
	EVP_PKEY_free(p->key);
	free((void *)p->spki.data);
	free(p);
}

bool pki_pub_equal(const struct pki_pub *p, const uint8_t *spki, size_t size)
{
	return size == p->spki.size && CRYPTO_memcmp(p->spki.data, spki, size) == 0;
}
