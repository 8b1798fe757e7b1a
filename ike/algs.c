/* SPDX-License-Identifier: Apache-2.0 */
/* algs: tables of the supported transforms. Whatever stands in no table cannot be negotiated. */
#include <string.h>
#include "ike/algs.h"
#include "base/sb.h"

/* RFC 4106 5, RFC 5282 3, RFC 4543 3.1, RFC 7634 2: eight bytes of IV after four of salt. */
#define AEAD_OF(id_, name_, icv_)                                                                  \
	.id = id_, .name = name_, .iv_size = 8, .block_size = 1, .icv_size = icv_, .salt_size = 4, \
	.aead = true

static const struct ike_encr_desc encrs[] = {
	{.id = IKE_ENCR_AES_CBC, .name = "aes-cbc", .iv_size = 16, .block_size = 16},
	{AEAD_OF(IKE_ENCR_AES_GCM_8, "aes-gcm-8", 8)},
	{AEAD_OF(IKE_ENCR_AES_GCM_12, "aes-gcm-12", 12)},
	{AEAD_OF(IKE_ENCR_AES_GCM_16, "aes-gcm-16", 16)},
	{AEAD_OF(IKE_ENCR_NULL_AUTH_AES_GMAC, "aes-gmac", 16), .esp_only = true},
	{AEAD_OF(IKE_ENCR_CHACHA20_POLY1305, "chacha20-poly1305", 16), .key_size = 32},
};

static const struct ike_prf_desc prfs[] = {
	{IKE_PRF_HMAC_SHA1, "sha1", 20},
	{IKE_PRF_HMAC_SHA2_256, "sha2-256", 32},
	{IKE_PRF_HMAC_SHA2_384, "sha2-384", 48},
	{IKE_PRF_HMAC_SHA2_512, "sha2-512", 64},
};

/* RFC 4868 2.1.1: the key is as long as the hash, 2.3: the ICV is half of it. */
static const struct ike_integ_desc integs[] = {
	{IKE_INTEG_HMAC_SHA1_96, "sha1", 20, 12}, /* RFC 2404 */
	{IKE_INTEG_HMAC_SHA2_256_128, "sha2-256", 32, 16},
	{IKE_INTEG_HMAC_SHA2_384_192, "sha2-384", 48, 24},
	{IKE_INTEG_HMAC_SHA2_512_256, "sha2-512", 64, 32},
};

/*
 * ECP: a public value is x | y, the shared secret x alone (RFC 5903 7, 9). ML-KEM: the initiator
 * sends an encapsulation key, the responder a ciphertext (draft-ietf-ipsecme-ikev2-mlkem 2.2).
 */
static const struct ike_dh_desc dhs[] = {
	{IKE_DH_MODP_1024, "2", "MODP 1024", 128, 128, 128, false},
	{IKE_DH_MODP_1536, "5", "MODP 1536", 192, 192, 192, false},
	{IKE_DH_MODP_2048, "14", "MODP 2048", 256, 256, 256, false},
	{IKE_DH_MODP_3072, "15", "MODP 3072", 384, 384, 384, false},
	{IKE_DH_MODP_4096, "16", "MODP 4096", 512, 512, 512, false},
	{IKE_DH_MODP_6144, "17", "MODP 6144", 768, 768, 768, false},
	{IKE_DH_MODP_8192, "18", "MODP 8192", 1024, 1024, 1024, false},
	{IKE_DH_ECP_256, "19", "ECP 256", 64, 64, 32, false},
	{IKE_DH_ECP_384, "20", "ECP 384", 96, 96, 48, false},
	{IKE_DH_ECP_521, "21", "ECP 521", 132, 132, 66, false},
	{IKE_DH_MODP_1024_160, "22", "MODP 1024, order of 160 bits", 128, 128, 128, false},
	{IKE_DH_MODP_2048_224, "23", "MODP 2048, order of 224 bits", 256, 256, 256, false},
	{IKE_DH_MODP_2048_256, "24", "MODP 2048, order of 256 bits", 256, 256, 256, false},
	{IKE_DH_CURVE25519, "31", "Curve25519", 32, 32, 32, false},
	{IKE_DH_CURVE448, "32", "Curve448", 56, 56, 56, false},
	{IKE_DH_ML_KEM_512, "ml-kem-512", "ML-KEM-512", 800, 768, 32, true},
	{IKE_DH_ML_KEM_768, "ml-kem-768", "ML-KEM-768", 1184, 1088, 32, true},
	{IKE_DH_ML_KEM_1024, "ml-kem-1024", "ML-KEM-1024", 1568, 1568, 32, true},
};

#define N_OF(a) (sizeof(a) / sizeof((a)[0]))

const struct ike_encr_desc *ike_encr_desc(uint16_t id)
{
	for (size_t i = 0; i < N_OF(encrs); i++)
		if (encrs[i].id == id)
			return &encrs[i];
	return NULL;
}

const struct ike_prf_desc *ike_prf_desc(uint16_t id)
{
	for (size_t i = 0; i < N_OF(prfs); i++)
		if (prfs[i].id == id)
			return &prfs[i];
	return NULL;
}

const struct ike_integ_desc *ike_integ_desc(uint16_t id)
{
	for (size_t i = 0; i < N_OF(integs); i++)
		if (integs[i].id == id)
			return &integs[i];
	return NULL;
}

const struct ike_dh_desc *ike_dh_desc(uint16_t id)
{
	for (size_t i = 0; i < N_OF(dhs); i++)
		if (dhs[i].id == id)
			return &dhs[i];
	return NULL;
}

bool ike_encr_key_bits_ok(enum ike_encr encr, uint16_t bits)
{
	const struct ike_encr_desc *d = ike_encr_desc(encr);

	if (!d)
		return false;
	return d->key_size ? bits == 0 : bits == 128 || bits == 192 || bits == 256;
}

bool ike_suite_equal(const struct ike_suite *a, const struct ike_suite *b)
{
	return a->encr == b->encr && a->encr_key_bits == b->encr_key_bits && a->prf == b->prf &&
	       a->integ == b->integ && a->dh == b->dh && a->esn == b->esn &&
	       !memcmp(a->ake, b->ake, sizeof(a->ake));
}

/* ------------------------------------------------------------------- lists */

bool ike_algs_have(const struct ike_algs *algs, uint8_t type, uint16_t id, uint16_t key_bits)
{
	const struct ike_alg_list *l = &algs->by_type[type];

	for (size_t i = 0; i < l->n; i++)
		if (l->algs[i].id == id && l->algs[i].key_bits == key_bits)
			return true;
	return false;
}

bool ike_algs_add(struct ike_algs *algs, uint8_t type, uint16_t id, uint16_t key_bits)
{
	struct ike_alg_list *l = &algs->by_type[type];

	if (ike_algs_have(algs, type, id, key_bits))
		return true;
	if (l->n == IKE_MAX_ALGS)
		return false;
	l->algs[l->n++] = (struct ike_alg){id, key_bits};
	return true;
}

struct ike_algs ike_algs_of(const struct ike_suite *suites, size_t n)
{
	struct ike_algs out = {0};

	for (const struct ike_suite *s = suites; s < suites + n; s++) {
		(void)ike_algs_add(&out, IKE_TRANSFORM_ENCR, s->encr, s->encr_key_bits);
		if (s->prf != IKE_PRF_NONE)
			(void)ike_algs_add(&out, IKE_TRANSFORM_PRF, s->prf, 0);
		if (s->integ != IKE_INTEG_NONE)
			(void)ike_algs_add(&out, IKE_TRANSFORM_INTEG, s->integ, 0);
		(void)ike_algs_add(&out, IKE_TRANSFORM_DH, s->dh, 0);
		(void)ike_algs_add(&out, IKE_TRANSFORM_ESN, s->esn, 0);
		for (uint8_t i = 0; i < IKE_MAX_AKE; i++)
			(void)ike_algs_add(&out, IKE_TRANSFORM_ADDKE1 + i, s->ake[i], 0);
	}
	return out;
}

uint16_t ike_algs_first_dh(const struct ike_algs *algs)
{
	const struct ike_alg_list *l = &algs->by_type[IKE_TRANSFORM_DH];

	return l->n ? l->algs[0].id : IKE_DH_NONE;
}

static bool has_or_may_lack(const struct ike_algs *algs, uint8_t type, uint16_t id)
{
	return ike_algs_have(algs, type, id, 0) || (id == 0 && algs->by_type[type].n == 0);
}

bool ike_algs_permit(const struct ike_algs *algs, const struct ike_suite *s)
{
	const struct ike_encr_desc *encr = ike_encr_desc(s->encr);

	if (!encr || !ike_algs_have(algs, IKE_TRANSFORM_ENCR, s->encr, s->encr_key_bits))
		return false;
	if (encr->aead ? s->integ != IKE_INTEG_NONE
		       : s->integ == IKE_INTEG_NONE ||
				 !ike_algs_have(algs, IKE_TRANSFORM_INTEG, s->integ, 0))
		return false;
	for (uint8_t i = 0; i < IKE_MAX_AKE; i++)
		if (!has_or_may_lack(algs, IKE_TRANSFORM_ADDKE1 + i, s->ake[i]))
			return false;
	return has_or_may_lack(algs, IKE_TRANSFORM_PRF, s->prf) &&
	       has_or_may_lack(algs, IKE_TRANSFORM_DH, s->dh) &&
	       has_or_may_lack(algs, IKE_TRANSFORM_ESN, s->esn);
}

/* ------------------------------------------------------------------ suites */

size_t ike_suite_encr_key_size(const struct ike_suite *s)
{
	const struct ike_encr_desc *d = ike_encr_desc(s->encr);

	return d ? ike_suite_key_bits(s) / 8u + d->salt_size : 0;
}

uint16_t ike_suite_key_bits(const struct ike_suite *s)
{
	const struct ike_encr_desc *d = ike_encr_desc(s->encr);

	return d && d->key_size ? (uint16_t)(d->key_size * 8u) : s->encr_key_bits;
}

void ike_encr_format(uint16_t encr, uint16_t key_bits, struct sb *out)
{
	char bits[8] = "";
	struct sb size = sb_of(bits, sizeof(bits));

	if (key_bits)
		sb_printf(&size, "%u-", key_bits);
	switch (encr) {
	case IKE_ENCR_AES_CBC: sb_printf(out, "aes-%scbc", bits); break;
	case IKE_ENCR_AES_GCM_8: sb_printf(out, "aes-%sgcm-8", bits); break;
	case IKE_ENCR_AES_GCM_12: sb_printf(out, "aes-%sgcm-12", bits); break;
	case IKE_ENCR_AES_GCM_16: sb_printf(out, "aes-%sgcm-16", bits); break;
	case IKE_ENCR_NULL_AUTH_AES_GMAC: sb_printf(out, "aes-%sgmac", bits); break;
	default:
		if (encr == IKE_ENCR_CHACHA20_POLY1305)
			sb_str(out, "chacha20-poly1305");
		else
			sb_printf(out, "encr-%u", encr);
		if (key_bits)
			sb_printf(out, "-%u", key_bits);
	}
}

static void ake_format(const struct ike_suite *s, struct sb *out)
{
	for (unsigned i = 0; i < IKE_MAX_AKE; i++) {
		const struct ike_dh_desc *d = ike_dh_desc(s->ake[i]);

		if (s->ake[i] == IKE_DH_NONE)
			continue;
		if (d)
			sb_printf(out, "/ke%u-%s", i + 1, d->name);
		else
			sb_printf(out, "/ke%u-%u", i + 1, s->ake[i]);
	}
}

const char *ike_suite_format(const struct ike_suite *s, char buf[IKE_SUITE_STRLEN])
{
	const struct ike_integ_desc *integ = ike_integ_desc(s->integ);
	const struct ike_prf_desc *prf = ike_prf_desc(s->prf);
	struct sb out = sb_of(buf, IKE_SUITE_STRLEN);

	ike_encr_format(s->encr, s->encr_key_bits, &out);
	if (integ)
		sb_printf(&out, "/%s", integ->name);
	else if (s->integ != IKE_INTEG_NONE)
		sb_printf(&out, "/integ-%u", s->integ);
	if (prf)
		sb_printf(&out, "/prf-%s", prf->name);
	else if (s->prf != IKE_PRF_NONE)
		sb_printf(&out, "/prf-%u", s->prf);
	if (s->dh != IKE_DH_NONE)
		sb_printf(&out, "/dh-%u", s->dh);
	ake_format(s, &out);
	if (s->esn == IKE_ESN_YES)
		sb_str(&out, "/esn");
	return buf;
}
