/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sigalg: the AlgorithmIdentifiers of signature authentication (RFC 7427 Appendix A, RFC 8420
 * Appendix A), as bytes. One that came is compared with the few encodings that there are, and never
 * parsed: no parameter of it can be other than what RFC 7427 lists [CVE-2021-41990, CVE-2018-16151].
 */
#include <string.h>
#include <openssl/rsa.h>
#include "base/wr.h"
#include "pki/pki_int.h"

static const struct hash {
	uint32_t bit;
	uint8_t size;
	uint8_t oid_end;       /* of id-sha256 etc., 2.16.840.1.101.3.4.2.x */
	uint8_t rsa_oid_end;   /* of sha256WithRSAEncryption etc., 1.2.840.113549.1.1.x */
	uint8_t ecdsa_oid_end; /* of ecdsa-with-SHA256 etc., 1.2.840.10045.4.3.x */
	const char *rsa, *pss, *ecdsa;
} hashes[] = {
	{PKI_HASH_SHA2_256, 32, 1, 11, 2, "RSA PKCS#1 v1.5 with SHA-256", "RSASSA-PSS with SHA-256",
	 "ECDSA with SHA-256"},
	{PKI_HASH_SHA2_384, 48, 2, 12, 3, "RSA PKCS#1 v1.5 with SHA-384", "RSASSA-PSS with SHA-384",
	 "ECDSA with SHA-384"},
	{PKI_HASH_SHA2_512, 64, 3, 13, 4, "RSA PKCS#1 v1.5 with SHA-512", "RSASSA-PSS with SHA-512",
	 "ECDSA with SHA-512"},
};
#define N_HASHES (sizeof(hashes) / sizeof(hashes[0]))

static const struct hash *hash_of(uint32_t bit)
{
	for (size_t i = 0; i < N_HASHES; i++) {
		if (hashes[i].bit == bit)
			return &hashes[i];
	}
	return NULL;
}

/* What encoders of RSASSA-PSS-params differ in (RFC 4055 2.1, 3.1). */
struct pss_form {
	bool hash_null;     /* NULL for the hash's parameters, else absent */
	bool mgf_hash_null; /* likewise within the mask generation function */
	bool trailer;       /* the default trailer field written out */
};

static void put_hash(struct wr *w, const struct hash *h, bool null)
{
	const uint8_t head[] = {0x30, null ? 13 : 11, 0x06, 9,    0x60, 0x86,      0x48,
				0x01, 0x65,           0x03, 0x04, 0x02, h->oid_end};

	wr_bytes(w, head, sizeof(head));
	if (null)
		wr_bytes(w, (const uint8_t[]){0x05, 0x00}, 2);
}

static void put_pss(struct wr *w, const struct hash *h, struct pss_form f)
{
	static const uint8_t oid[] = {0x06, 9,    0x2a, 0x86, 0x48, 0x86,
				      0xf7, 0x0d, 0x01, 0x01, 0x0a};
	static const uint8_t mgf1[] = {0x06, 9,    0x2a, 0x86, 0x48, 0x86,
				       0xf7, 0x0d, 0x01, 0x01, 0x08};
	const uint8_t h_size = f.hash_null ? 15 : 13, m_size = f.mgf_hash_null ? 15 : 13;
	const uint8_t mgf_size = (uint8_t)(sizeof(mgf1) + m_size);
	const uint8_t params = (uint8_t)(2 + h_size + 4 + mgf_size + 5 + (f.trailer ? 5 : 0));

	wr_u8(w, 0x30);
	wr_u8(w, (uint8_t)(sizeof(oid) + 2 + params));
	wr_bytes(w, oid, sizeof(oid));
	wr_u8(w, 0x30);
	wr_u8(w, params);
	wr_u8(w, 0xa0);
	wr_u8(w, h_size);
	put_hash(w, h, f.hash_null);
	wr_u8(w, 0xa1);
	wr_u8(w, (uint8_t)(mgf_size + 2));
	wr_u8(w, 0x30);
	wr_u8(w, mgf_size);
	wr_bytes(w, mgf1, sizeof(mgf1));
	put_hash(w, h, f.mgf_hash_null);
	/* The salt is as long as the hash, always. */
	wr_bytes(w, (const uint8_t[]){0xa2, 3, 0x02, 1, h->size}, 5);
	if (f.trailer)
		wr_bytes(w, (const uint8_t[]){0xa3, 3, 0x02, 1, 1}, 5);
}

static size_t build(const struct pki_sigalg *alg, struct pss_form f, uint8_t out[PKI_SIGALG_MAX])
{
	const struct hash *h = hash_of(alg->hash);
	struct wr w = wr_of(out, PKI_SIGALG_MAX);

	switch (alg->scheme) {
	case PKI_RSA_PKCS1:
		if (h)
			wr_bytes(&w,
				 (const uint8_t[]){0x30, 13, 0x06, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7,
						   0x0d, 0x01, 0x01, h->rsa_oid_end, 0x05, 0x00},
				 15);
		break;
	case PKI_RSA_PSS:
		if (h)
			put_pss(&w, h, f);
		break;
	case PKI_ECDSA:
		if (h)
			wr_bytes(&w,
				 (const uint8_t[]){0x30, 10, 0x06, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d,
						   0x04, 0x03, h->ecdsa_oid_end},
				 12);
		break;
	case PKI_ED25519:
		wr_bytes(&w, (const uint8_t[]){0x30, 5, 0x06, 3, 0x2b, 0x65, 0x70}, 7);
		break;
	case PKI_ED448:
		wr_bytes(&w, (const uint8_t[]){0x30, 5, 0x06, 3, 0x2b, 0x65, 0x71}, 7);
		break;
	}
	return wr_ok(&w) ? w.n : 0;
}

size_t pki_sigalg_build(const struct pki_sigalg *alg, uint8_t out[PKI_SIGALG_MAX])
{
	return build(alg, (struct pss_form){.hash_null = true, .mgf_hash_null = true}, out);
}

static bool is(const uint8_t *data, size_t size, const struct pki_sigalg *alg, struct pss_form f)
{
	uint8_t mine[PKI_SIGALG_MAX];
	const size_t n = build(alg, f, mine);

	return n == size && memcmp(mine, data, n) == 0;
}

bool pki_sigalg_parse(const uint8_t *data, size_t size, struct pki_sigalg *out)
{
	static const enum pki_scheme hashed[] = {PKI_RSA_PKCS1, PKI_RSA_PSS, PKI_ECDSA};
	static const enum pki_scheme eddsa[] = {PKI_ED25519, PKI_ED448};

	for (size_t i = 0; i < 2; i++) {
		*out = (struct pki_sigalg){eddsa[i], PKI_HASH_IDENTITY};
		if (is(data, size, out, (struct pss_form){0}))
			return true;
	}
	for (size_t i = 0; i < sizeof(hashed) / sizeof(hashed[0]); i++) {
		for (size_t k = 0; k < N_HASHES; k++) {
			*out = (struct pki_sigalg){hashed[i], hashes[k].bit};
			for (unsigned form = 0; form < (hashed[i] == PKI_RSA_PSS ? 8 : 1); form++) {
				if (is(data, size, out,
				       (struct pss_form){form & 1, form & 2, form & 4}))
					return true;
			}
		}
	}
	return false;
}

const EVP_MD *pki_sigalg_md(const struct pki_sigalg *alg)
{
	switch (alg->hash) {
	case PKI_HASH_SHA1: return EVP_sha1();
	case PKI_HASH_SHA2_256: return EVP_sha256();
	case PKI_HASH_SHA2_384: return EVP_sha384();
	case PKI_HASH_SHA2_512: return EVP_sha512();
	default: return NULL;
	}
}

const char *pki_sigalg_text(const struct pki_sigalg *alg)
{
	const struct hash *h = hash_of(alg->hash);

	switch (alg->scheme) {
	case PKI_RSA_PKCS1: return h ? h->rsa : "RSA PKCS#1 v1.5 with SHA-1";
	case PKI_RSA_PSS: return h ? h->pss : "RSASSA-PSS";
	case PKI_ECDSA: return h ? h->ecdsa : "ECDSA";
	case PKI_ED25519: return "Ed25519";
	case PKI_ED448: return "Ed448";
	}
	return "unknown";
}

bool pki_sigalg_fits(const struct pki_sigalg *alg, const EVP_PKEY *key)
{
	const int kind = EVP_PKEY_get_base_id(key);

	switch (alg->scheme) {
	case PKI_RSA_PKCS1: return kind == EVP_PKEY_RSA;
	case PKI_RSA_PSS: return kind == EVP_PKEY_RSA || kind == EVP_PKEY_RSA_PSS;
	case PKI_ECDSA: return kind == EVP_PKEY_EC;
	case PKI_ED25519: return kind == EVP_PKEY_ED25519;
	case PKI_ED448: return kind == EVP_PKEY_ED448;
	}
	return false;
}

bool pki_sigalg_params(const struct pki_sigalg *alg, EVP_PKEY_CTX *ctx)
{
	switch (alg->scheme) {
	case PKI_RSA_PKCS1: return EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PADDING) == 1;
	case PKI_RSA_PSS:
		return EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PSS_PADDING) == 1 &&
		       EVP_PKEY_CTX_set_rsa_mgf1_md(ctx, pki_sigalg_md(alg)) == 1 &&
		       EVP_PKEY_CTX_set_rsa_pss_saltlen(ctx, RSA_PSS_SALTLEN_DIGEST) == 1;
	case PKI_ECDSA:
	case PKI_ED25519:
	case PKI_ED448: return true;
	}
	return false;
}
