/* SPDX-License-Identifier: Apache-2.0 */
/* algs: tables of the supported transforms. Whatever stands in no table cannot be negotiated. */
#include <string.h>
#include "ike/algs.h"
#include "base/sb.h"

static const struct ike_encr_desc encrs[] = {
	{.id = IKE_ENCR_AES_CBC, .name = "aes-cbc", .iv_size = 16, .block_size = 16},
	{.id = IKE_ENCR_AES_GCM_16,
	 .name = "aes-gcm-16",
	 .iv_size = 8,
	 .block_size = 1,
	 .icv_size = 16,
	 .salt_size = 4,
	 .aead = true},
};

static const struct ike_prf_desc prfs[] = {
	{IKE_PRF_HMAC_SHA2_256, "sha2-256", 32},
	{IKE_PRF_HMAC_SHA2_384, "sha2-384", 48},
	{IKE_PRF_HMAC_SHA2_512, "sha2-512", 64},
};

/* RFC 4868 2.1.1: the key is as long as the hash, 2.3: the ICV is half of it. */
static const struct ike_integ_desc integs[] = {
	{IKE_INTEG_HMAC_SHA2_256_128, "sha2-256", 32, 16},
	{IKE_INTEG_HMAC_SHA2_384_192, "sha2-384", 48, 24},
	{IKE_INTEG_HMAC_SHA2_512_256, "sha2-512", 64, 32},
};

/* ECP: a public value is x | y, the shared secret x alone (RFC 5903 7, 9). */
static const struct ike_dh_desc dhs[] = {
	{IKE_DH_MODP_2048, "14", "MODP 2048", 256, 256, 256},
	{IKE_DH_ECP_256, "19", "ECP 256", 64, 64, 32},
	{IKE_DH_ECP_384, "20", "ECP 384", 96, 96, 48},
	{IKE_DH_ECP_521, "21", "ECP 521", 132, 132, 66},
	{IKE_DH_CURVE25519, "31", "Curve25519", 32, 32, 32},
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
	return ike_encr_desc(encr) && (bits == 128 || bits == 256);
}

bool ike_suite_equal(const struct ike_suite *a, const struct ike_suite *b)
{
	return a->encr == b->encr && a->encr_key_bits == b->encr_key_bits && a->prf == b->prf &&
	       a->integ == b->integ && a->dh == b->dh && a->esn == b->esn &&
	       !memcmp(a->ake, b->ake, sizeof(a->ake));
}

size_t ike_suite_encr_key_size(const struct ike_suite *s)
{
	const struct ike_encr_desc *d = ike_encr_desc(s->encr);

	return d ? s->encr_key_bits / 8u + d->salt_size : 0;
}

void ike_encr_format(uint16_t encr, uint16_t key_bits, struct sb *out)
{
	char bits[8] = "";
	struct sb size = sb_of(bits, sizeof(bits));

	if (key_bits)
		sb_printf(&size, "%u-", key_bits);
	switch (encr) {
	case IKE_ENCR_AES_CBC: sb_printf(out, "aes-%scbc", bits); break;
	case IKE_ENCR_AES_GCM_16: sb_printf(out, "aes-%sgcm-16", bits); break;
	default:
		sb_printf(out, "encr-%u", encr);
		if (key_bits)
			sb_printf(out, "-%u", key_bits);
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
	if (s->esn == IKE_ESN_YES)
		sb_str(&out, "/esn");
	return buf;
}
