/* SPDX-License-Identifier: Apache-2.0 */
/*
 * verify: AUTH data by a public key. libcrypto answers 1, 0 or an error below 0: only 1 is a yes
 * [CVE-2013-2944]. Its PKCS#1 v1.5 compares the whole encoded message and its ECDSA demands DER that
 * encodes back to the same bytes, so that no padding is lax [CVE-2018-16151]; PSS demands the salt
 * to be as long as the hash.
 */
#include <string.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include "pki/pki_int.h"

static bool verify_raw(EVP_PKEY *key, const struct pki_sigalg *alg, struct pki_span octets,
		       const uint8_t *sig, size_t size)
{
	EVP_MD_CTX *md = EVP_MD_CTX_new();
	EVP_PKEY_CTX *ctx = NULL;
	bool ok;

	ok = md && EVP_DigestVerifyInit(md, &ctx, pki_sigalg_md(alg), NULL, key) == 1 &&
	     pki_sigalg_params(alg, ctx) &&
	     EVP_DigestVerify(md, sig, size, octets.data, octets.size) == 1;
	EVP_MD_CTX_free(md);
	ERR_clear_error();
	return ok;
}

static bool refuse(struct sb *why, const char *text)
{
	sb_str(why, text);
	return false;
}

static const char wrong[] = "the signature is not by the key that the peer should have";

static bool verify_7427(EVP_PKEY *key, struct pki_span octets, struct pki_span auth, struct sb *why)
{
	const size_t head = auth.size > 0 ? 1 + (size_t)auth.data[0] : 0;
	struct pki_sigalg alg;

	if (auth.size == 0 || auth.size <= head)
		return refuse(why, "the AUTH data is too short for a signature");
	if (!pki_sigalg_parse(auth.data + 1, head - 1, &alg))
		return refuse(why, "the peer signed with an algorithm that is not taken: SHA-2 "
				   "with RSA or ECDSA, Ed25519 or Ed448 is wanted");
	if (!pki_sigalg_fits(&alg, key)) {
		sb_printf(why, "the peer signed with %s, but its key is %s", pki_sigalg_text(&alg),
			  pki_key_text(key));
		return false;
	}
	return verify_raw(key, &alg, octets, auth.data + head, auth.size - head) ||
	       refuse(why, wrong);
}

static bool verify_4754(EVP_PKEY *key, int curve, uint32_t hash, struct pki_span octets,
			struct pki_span auth, struct sb *why)
{
	const struct pki_sigalg alg = {PKI_ECDSA, hash};
	ECDSA_SIG *sig = NULL;
	BIGNUM *r, *s;
	uint8_t *der = NULL;
	size_t half;
	int n = 0;
	bool ok;

	if (EVP_PKEY_get_base_id(key) != EVP_PKEY_EC || pki_curve(key) != curve) {
		sb_printf(why,
			  "the peer signed with ECDSA on another curve than that of its key (%s)",
			  pki_key_text(key));
		return false;
	}
	half = ((size_t)EVP_PKEY_get_bits(key) + 7) / 8;
	if (auth.size != 2 * half)
		return refuse(why, "the ECDSA signature has a wrong length");
	sig = ECDSA_SIG_new();
	r = BN_bin2bn(auth.data, (int)half, NULL);
	s = BN_bin2bn(auth.data + half, (int)half, NULL);
	if (sig && r && s && ECDSA_SIG_set0(sig, r, s) == 1)
		r = s = NULL;
	if (sig && !r && !s)
		n = i2d_ECDSA_SIG(sig, &der);
	ok = n > 0 && verify_raw(key, &alg, octets, der, (size_t)n);
	BN_free(r);
	BN_free(s);
	ECDSA_SIG_free(sig);
	OPENSSL_free(der);
	return ok || refuse(why, wrong);
}

/* RFC 7296 3.8: PKCS#1 v1.5, the hash is not told: SHA-2 of peers that dare, SHA-1 if allowed. */
static bool verify_rsa(EVP_PKEY *key, bool sha1, struct pki_span octets, struct pki_span auth,
		       struct sb *why)
{
	static const uint32_t hashes[] = {PKI_HASH_SHA2_256, PKI_HASH_SHA2_384, PKI_HASH_SHA2_512,
					  PKI_HASH_SHA1};
	struct pki_sigalg alg = {.scheme = PKI_RSA_PKCS1};

	if (EVP_PKEY_get_base_id(key) != EVP_PKEY_RSA) {
		sb_printf(why, "the peer signed with RSA, but its key is %s", pki_key_text(key));
		return false;
	}
	for (size_t i = 0; i < sizeof(hashes) / sizeof(hashes[0]); i++) {
		alg.hash = hashes[i];
		if (!verify_raw(key, &alg, octets, auth.data, auth.size))
			continue;
		if (alg.hash == PKI_HASH_SHA1 && !sha1)
			return refuse(why,
				      "the peer signed with RSA and SHA-1, which is not "
				      "allowed: enable signature authentication (RFC 7427) there");
		return true;
	}
	return refuse(why, wrong);
}

bool pki_verify(const struct pki_pub *pub, uint32_t method, bool sha1, struct pki_span octets,
		struct pki_span auth, struct sb *why)
{
	switch (method) {
	case PKI_METHOD_DIGITAL_SIGNATURE: return verify_7427(pub->key, octets, auth, why);
	case PKI_METHOD_ECDSA_256:
		return verify_4754(pub->key, NID_X9_62_prime256v1, PKI_HASH_SHA2_256, octets, auth,
				   why);
	case PKI_METHOD_ECDSA_384:
		return verify_4754(pub->key, NID_secp384r1, PKI_HASH_SHA2_384, octets, auth, why);
	case PKI_METHOD_ECDSA_521:
		return verify_4754(pub->key, NID_secp521r1, PKI_HASH_SHA2_512, octets, auth, why);
	case PKI_METHOD_RSA: return verify_rsa(pub->key, sha1, octets, auth, why);
	default: break;
	}
	sb_printf(why, "the peer used authentication method %u, which is no signature that we know",
		  method);
	return false;
}
