/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sign: AUTH data by a private key. With a peer that announced hash algorithms (RFC 7427), method 14;
 * with any other, what RFC 7296 and RFC 4754 have: ECDSA with the curve's hash, RSA with SHA-1. With one
 * that announced what it believes (RFC 9593), nothing but that.
 */
#include <string.h>
#include <openssl/err.h>
#include <openssl/ecdsa.h>
#include "base/secret.h"
#include "pki/pki_int.h"

static size_t sign_raw(EVP_PKEY *key, const struct pki_sigalg *alg, struct pki_span octets,
		       uint8_t *out, size_t room)
{
	EVP_MD_CTX *md = EVP_MD_CTX_new();
	EVP_PKEY_CTX *ctx = NULL;
	size_t n = room;
	bool ok;

	ok = md && EVP_DigestSignInit(md, &ctx, pki_sigalg_md(alg), NULL, key) == 1 &&
	     pki_sigalg_params(alg, ctx) &&
	     EVP_DigestSign(md, out, &n, octets.data, octets.size) == 1;
	EVP_MD_CTX_free(md);
	ERR_clear_error();
	return ok ? n : 0;
}

/* The first hash of an order of preference that the peer takes too; 0: none. */
static uint32_t choose_hash(const struct pki_takes *t, enum pki_scheme scheme, uint32_t best)
{
	static const uint32_t order[] = {PKI_HASH_SHA2_256, PKI_HASH_SHA2_384, PKI_HASH_SHA2_512};
	const uint32_t hashes = t->hashes & (t->announced ? t->algs[scheme] : UINT32_MAX);

	if (hashes & best)
		return best;
	for (size_t i = 0; i < sizeof(order) / sizeof(order[0]); i++) {
		if (hashes & order[i])
			return order[i];
	}
	return 0;
}

/* RFC 7427 3 and 8: a hash as strong as the key. False: there is no way by method 14. */
static bool choose(const EVP_PKEY *key, const struct pki_takes *t, struct pki_sigalg *alg)
{
	const int kind = EVP_PKEY_get_base_id(key), bits = EVP_PKEY_get_bits(key);
	uint32_t best;

	switch (kind) {
	case EVP_PKEY_RSA:
	case EVP_PKEY_RSA_PSS:
		best = bits > 3072 ? PKI_HASH_SHA2_384 : PKI_HASH_SHA2_256;
		/* RFC 8247 3.2: RSASSA-PSS is what everybody must have. */
		alg->scheme = PKI_RSA_PSS;
		alg->hash = choose_hash(t, alg->scheme, best);
		if (alg->hash || kind == EVP_PKEY_RSA_PSS || !t->announced)
			break;
		alg->scheme = PKI_RSA_PKCS1;
		alg->hash = choose_hash(t, alg->scheme, best);
		break;
	case EVP_PKEY_EC:
		alg->scheme = PKI_ECDSA;
		alg->hash = choose_hash(t, alg->scheme,
					bits <= 256   ? PKI_HASH_SHA2_256
					: bits <= 384 ? PKI_HASH_SHA2_384
						      : PKI_HASH_SHA2_512);
		break;
	default:
		alg->scheme = kind == EVP_PKEY_ED25519 ? PKI_ED25519 : PKI_ED448;
		/* RFC 8420 2: EdDSA only when the identity hash was announced. */
		alg->hash = t->hashes & (t->announced ? t->algs[alg->scheme] : UINT32_MAX) &
			    PKI_HASH_IDENTITY;
		break;
	}
	return alg->hash != 0;
}

/* The method that such a key had before RFC 7427; 0: none. */
static uint32_t legacy_method(const EVP_PKEY *key)
{
	switch (EVP_PKEY_get_base_id(key)) {
	case EVP_PKEY_RSA: return PKI_METHOD_RSA;
	case EVP_PKEY_EC:
		return EVP_PKEY_get_bits(key) <= 256   ? PKI_METHOD_ECDSA_256
		       : EVP_PKEY_get_bits(key) <= 384 ? PKI_METHOD_ECDSA_384
						       : PKI_METHOD_ECDSA_521;
	default: return 0;
	}
}

static bool knows_7427(const struct pki_takes *t)
{
	return (t->hashes & (PKI_HASHES | PKI_HASH_SHA1)) != 0;
}

/* A method of RFC 7296 or RFC 4754: with who knows no other, or has announced it. */
static bool legacy(const EVP_PKEY *key, const struct pki_takes *t)
{
	const uint32_t method = legacy_method(key);

	return method && (method != PKI_METHOD_RSA || t->sha1) &&
	       (t->announced ? t->methods >> method & 1 : !knows_7427(t));
}

/* RFC 7427 3: length of the AlgorithmIdentifier, itself, the signature. */
static size_t sign_7427(EVP_PKEY *key, const struct pki_sigalg *alg, struct pki_span octets,
			uint8_t *auth)
{
	const size_t head = 1 + pki_sigalg_build(alg, auth + 1);
	const size_t n = sign_raw(key, alg, octets, auth + head, PKI_SIG_MAX - head);

	auth[0] = (uint8_t)(head - 1);
	return head > 1 && n > 0 ? head + n : 0;
}

/* RFC 4754 7: r and s, each as long as the curve's order. */
static size_t sign_4754(EVP_PKEY *key, struct pki_span octets, uint8_t *auth, uint32_t *method)
{
	const int half = (EVP_PKEY_get_bits(key) + 7) / 8;
	struct pki_sigalg alg = {.scheme = PKI_ECDSA};
	uint8_t der[160];
	const uint8_t *p = der;
	ECDSA_SIG *sig = NULL;
	size_t n;
	bool ok;

	*method = legacy_method(key);
	alg.hash = *method == PKI_METHOD_ECDSA_256   ? PKI_HASH_SHA2_256
		   : *method == PKI_METHOD_ECDSA_384 ? PKI_HASH_SHA2_384
						     : PKI_HASH_SHA2_512;
	n = sign_raw(key, &alg, octets, der, sizeof(der));
	if (n > 0)
		sig = d2i_ECDSA_SIG(NULL, &p, (long)n);
	ok = sig && BN_bn2binpad(ECDSA_SIG_get0_r(sig), auth, half) == half &&
	     BN_bn2binpad(ECDSA_SIG_get0_s(sig), auth + half, half) == half;
	ECDSA_SIG_free(sig);
	return ok ? 2 * (size_t)half : 0;
}

static size_t sign_legacy(EVP_PKEY *key, bool sha1, struct pki_span octets, uint8_t *auth,
			  uint32_t *method, struct sb *why)
{
	const struct pki_sigalg rsa_sha1 = {PKI_RSA_PKCS1, PKI_HASH_SHA1};

	switch (EVP_PKEY_get_base_id(key)) {
	case EVP_PKEY_EC: return sign_4754(key, octets, auth, method);
	case EVP_PKEY_RSA:
		if (sha1) {
			*method = PKI_METHOD_RSA;
			return sign_raw(key, &rsa_sha1, octets, auth, PKI_SIG_MAX);
		}
		sb_str(why, "the peer knows no signature authentication (RFC 7427), and RSA "
			    "without it means SHA-1: use an ECDSA key");
		return 0;
	default:
		sb_printf(why,
			  "the peer knows no signature authentication (RFC 7427), which %s "
			  "needs: use an ECDSA key",
			  pki_key_text(key));
		return 0;
	}
}

bool pki_can_sign(const struct pki_key *key, const struct pki_takes *takes)
{
	struct pki_sigalg alg;

	return choose(key->key, takes, &alg) || legacy(key->key, takes);
}

size_t pki_sign(const struct pki_key *key, const struct pki_takes *takes, struct pki_span octets,
		uint8_t *auth, uint32_t *method, struct sb *why)
{
	struct pki_sigalg alg;
	size_t n;

	if (choose(key->key, takes, &alg)) {
		*method = PKI_METHOD_DIGITAL_SIGNATURE;
		n = sign_7427(key->key, &alg, octets, auth);
	} else if (legacy(key->key, takes) || (!takes->announced && !knows_7427(takes))) {
		n = sign_legacy(key->key, takes->sha1, octets, auth, method, why);
	} else {
		sb_printf(why, "the peer takes no %s that our %s key can sign with",
			  takes->announced ? "algorithm" : "hash algorithm",
			  pki_key_text(key->key));
		return 0;
	}
	if (n == 0 && why->n == 0)
		sb_printf(why, "our %s key cannot sign", pki_key_text(key->key));
	return n;
}
