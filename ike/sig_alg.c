/* SPDX-License-Identifier: Apache-2.0 */
#include "ike/sig_alg.h"

/* clang-format off */
static const uint8_t rsa_sha1[] = {0x30,0x0d,0x06,0x09,0x2a,0x86,0x48,0x86,0xf7,0x0d,0x01,0x01,0x05,0x05,0x00};
static const uint8_t rsa_sha256[] = {0x30,0x0d,0x06,0x09,0x2a,0x86,0x48,0x86,0xf7,0x0d,0x01,0x01,0x0b,0x05,0x00};
static const uint8_t rsa_sha384[] = {0x30,0x0d,0x06,0x09,0x2a,0x86,0x48,0x86,0xf7,0x0d,0x01,0x01,0x0c,0x05,0x00};
static const uint8_t rsa_sha512[] = {0x30,0x0d,0x06,0x09,0x2a,0x86,0x48,0x86,0xf7,0x0d,0x01,0x01,0x0d,0x05,0x00};
static const uint8_t ecdsa_sha256[] = {0x30,0x0a,0x06,0x08,0x2a,0x86,0x48,0xce,0x3d,0x04,0x03,0x02};
static const uint8_t ecdsa_sha384[] = {0x30,0x0a,0x06,0x08,0x2a,0x86,0x48,0xce,0x3d,0x04,0x03,0x03};
static const uint8_t ecdsa_sha512[] = {0x30,0x0a,0x06,0x08,0x2a,0x86,0x48,0xce,0x3d,0x04,0x03,0x04};
static const uint8_t ed25519[] = {0x30,0x05,0x06,0x03,0x2b,0x65,0x70};
static const uint8_t ed448[] = {0x30,0x05,0x06,0x03,0x2b,0x65,0x71};
/* RFC 7427 A.4.3: a salt as long as the hash. The parameters differ, so only the OID is compared. */
#define PSS_HASH(x) 0x30,0x0d,0x06,0x09,0x60,0x86,0x48,0x01,0x65,0x03,0x04,0x02,(x),0x05,0x00
#define PSS(hash, salt) { \
	0x30,0x41,0x06,0x09,0x2a,0x86,0x48,0x86,0xf7,0x0d,0x01,0x01,0x0a, \
	0x30,0x34,0xa0,0x0f,PSS_HASH(hash), \
	0xa1,0x1c,0x30,0x1a,0x06,0x09,0x2a,0x86,0x48,0x86,0xf7,0x0d,0x01,0x01,0x08,PSS_HASH(hash), \
	0xa2,0x03,0x02,0x01,(salt)}
static const uint8_t rsa_pss_sha256[] = PSS(1, 32);
static const uint8_t rsa_pss_sha384[] = PSS(2, 48);
static const uint8_t rsa_pss_sha512[] = PSS(3, 64);
/* clang-format on */

#define OID_AT 2 /* in an AlgorithmIdentifier shorter than 128 octets */

static const struct sig {
	enum ike_auth_alg alg;
	const uint8_t *der; /* AlgorithmIdentifier */
	uint8_t size;
	enum announced { NEVER, ALWAYS, IN_FULL } announced;
} sigs[] = {
	{IKE_AUTH_ALG_ECDSA_SHA2_256, ecdsa_sha256, sizeof(ecdsa_sha256), ALWAYS},
	{IKE_AUTH_ALG_ECDSA_SHA2_384, ecdsa_sha384, sizeof(ecdsa_sha384), ALWAYS},
	{IKE_AUTH_ALG_ECDSA_SHA2_512, ecdsa_sha512, sizeof(ecdsa_sha512), ALWAYS},
	{IKE_AUTH_ALG_ED25519, ed25519, sizeof(ed25519), ALWAYS},
	{IKE_AUTH_ALG_ED448, ed448, sizeof(ed448), ALWAYS},
	{IKE_AUTH_ALG_RSA_PSS, rsa_pss_sha256, sizeof(rsa_pss_sha256), ALWAYS},
	{IKE_AUTH_ALG_RSA_PSS, rsa_pss_sha384, sizeof(rsa_pss_sha384), IN_FULL},
	{IKE_AUTH_ALG_RSA_PSS, rsa_pss_sha512, sizeof(rsa_pss_sha512), IN_FULL},
	{IKE_AUTH_ALG_RSA_SHA2_256, rsa_sha256, sizeof(rsa_sha256), ALWAYS},
	{IKE_AUTH_ALG_RSA_SHA2_384, rsa_sha384, sizeof(rsa_sha384), ALWAYS},
	{IKE_AUTH_ALG_RSA_SHA2_512, rsa_sha512, sizeof(rsa_sha512), ALWAYS},
	{IKE_AUTH_ALG_RSA_SHA1, rsa_sha1, sizeof(rsa_sha1), NEVER},
};
#define N_SIGS (sizeof(sigs) / sizeof(sigs[0]))

const char *ike_auth_alg_name(enum ike_auth_alg alg)
{
	static const char *const names[IKE_AUTH_ALG_END] = {
		[IKE_AUTH_ALG_NONE] = "",
		[IKE_AUTH_ALG_PSK] = "psk",
		[IKE_AUTH_ALG_RSA_SHA1] = "rsa-sha1",
		[IKE_AUTH_ALG_RSA_SHA2_256] = "rsa-sha2-256",
		[IKE_AUTH_ALG_RSA_SHA2_384] = "rsa-sha2-384",
		[IKE_AUTH_ALG_RSA_SHA2_512] = "rsa-sha2-512",
		[IKE_AUTH_ALG_RSA_PSS] = "rsa-pss",
		[IKE_AUTH_ALG_ECDSA_SHA2_256] = "ecdsa-sha2-256",
		[IKE_AUTH_ALG_ECDSA_SHA2_384] = "ecdsa-sha2-384",
		[IKE_AUTH_ALG_ECDSA_SHA2_512] = "ecdsa-sha2-512",
		[IKE_AUTH_ALG_ED25519] = "ed25519",
		[IKE_AUTH_ALG_ED448] = "ed448",
		[IKE_AUTH_ALG_OTHER] = "signature",
	};

	return (unsigned)alg < IKE_AUTH_ALG_END ? names[alg] : "";
}

/* Of an AlgorithmIdentifier: by its OID, whatever the parameters are. */
static enum ike_auth_alg alg_of(struct rd der)
{
	for (size_t i = 0; i < N_SIGS; i++) {
		const struct sig *s = &sigs[i];
		const size_t oid_size = 2u + s->der[OID_AT + 1];

		if (der.size >= OID_AT + oid_size && der.p[0] == 0x30 && der.p[1] < 0x80 &&
		    !memcmp(der.p + OID_AT, s->der + OID_AT, oid_size))
			return s->alg;
	}
	return IKE_AUTH_ALG_OTHER;
}

enum ike_auth_alg ike_auth_alg_of(uint8_t method, struct rd auth)
{
	struct rd der;
	uint8_t size;

	switch (method) {
	case IKE_AUTH_METHOD_SHARED_KEY: return IKE_AUTH_ALG_PSK;
	case IKE_AUTH_METHOD_RSA: return IKE_AUTH_ALG_RSA_SHA1;
	case IKE_AUTH_METHOD_ECDSA_256: return IKE_AUTH_ALG_ECDSA_SHA2_256;
	case IKE_AUTH_METHOD_ECDSA_384: return IKE_AUTH_ALG_ECDSA_SHA2_384;
	case IKE_AUTH_METHOD_ECDSA_521: return IKE_AUTH_ALG_ECDSA_SHA2_512;
	case IKE_AUTH_METHOD_DIGITAL_SIGNATURE:
		/* RFC 7427 3: its length in one octet, the AlgorithmIdentifier, the signature. */
		if (rd_u8(&auth, &size) && rd_sub(&auth, size, &der))
			return alg_of(der);
		break;
	default: break;
	}
	return IKE_AUTH_ALG_OTHER;
}

/* ------------------------------------------------- SIGNATURE_HASH_ALGORITHMS */

uint16_t ike_hashes_parse(struct rd data)
{
	uint16_t mask = 0, number;

	/* RFC 7427 4: 16-bit numbers; those that we do not know mean nothing to us. */
	while (rd_u16(&data, &number)) {
		if (number >= 1 && number <= 5)
			mask = (uint16_t)(mask | 1u << number);
	}
	return mask;
}

void ike_build_hashes(struct ike_builder *b, uint16_t hashes)
{
	uint8_t buf[32];
	struct wr w = wr_of(buf, sizeof(buf));

	for (uint16_t number = 1; number < 16; number++) {
		if (hashes & 1u << number)
			wr_u16(&w, number);
	}
	ike_build_notify(b, IKE_PROTO_NONE, NULL, 0, IKE_N_SIGNATURE_HASH_ALGORITHMS, buf, w.n);
}

/* ---------------------------------------------------- SUPPORTED_AUTH_METHODS */

bool ike_announced_parse(struct rd data, struct ike_announced *out)
{
	const struct rd all = data;

	/* RFC 9593 3.1: an empty one says that the list comes in IKE_INTERMEDIATE. */
	*out = (struct ike_announced){.any = true};
	while (!rd_empty(&data)) {
		uint8_t size, method, link;
		struct rd one;

		/* RFC 9593 3.2: Length counts its own octet; 2 and 3 octets, or more with an
		 * algorithm. */
		if (!rd_u8(&data, &size) || size < 2 || !rd_sub(&data, size - 1u, &one) ||
		    !rd_u8(&one, &method))
			return false;
		if (method == IKE_AUTH_METHOD_DIGITAL_SIGNATURE) {
			if (!rd_u8(&one, &link))
				return false;
			out->sig_algs = (uint16_t)(out->sig_algs | 1u << alg_of(one));
		}
		if (method < 32)
			out->methods |= 1u << method;
		if (all.size - data.size <= IKE_ANNOUNCED_MAX)
			out->size = all.size - data.size;
	}
	return true;
}

void ike_build_announced(struct ike_builder *b, bool psk, bool signature, bool full)
{
	uint8_t buf[400];
	struct wr w = wr_of(buf, sizeof(buf));

	if (psk) {
		wr_u8(&w, 2);
		wr_u8(&w, IKE_AUTH_METHOD_SHARED_KEY);
	}
	for (size_t i = 0; signature && i < N_SIGS; i++) {
		if (sigs[i].announced == NEVER || (sigs[i].announced == IN_FULL && !full))
			continue;
		wr_u8(&w, (uint8_t)(3 + sigs[i].size));
		wr_u8(&w, IKE_AUTH_METHOD_DIGITAL_SIGNATURE);
		wr_u8(&w, 0); /* Cert Link: for any trust anchor */
		wr_bytes(&w, sigs[i].der, sigs[i].size);
	}
	if (!wr_ok(&w))
		b->w.overflow = true;
	ike_build_notify(b, IKE_PROTO_NONE, NULL, 0, IKE_N_SUPPORTED_AUTH_METHODS, buf, w.n);
}
