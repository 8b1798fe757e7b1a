/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rules: what one key, one signature algorithm and one certificate must be, whoever signed it.
 * libcrypto's own checks while it builds a chain come on top.
 */
#include <string.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/rsa.h>
#include "pki/pki_int.h"

#define RSA_BITS_MIN 2048
#define RSA_BITS_MAX 8192 /* a verification with more keeps the process busy for others */
#define RSA_E_MIN    65537ul

int pki_curve(const EVP_PKEY *key)
{
	char name[40];
	size_t size = 0;

	if (EVP_PKEY_get_base_id(key) != EVP_PKEY_EC ||
	    EVP_PKEY_get_group_name(key, name, sizeof(name), &size) != 1)
		return 0;
	return OBJ_sn2nid(name);
}

const char *pki_key_text(const EVP_PKEY *key)
{
	switch (EVP_PKEY_get_base_id(key)) {
	case EVP_PKEY_RSA:
	case EVP_PKEY_RSA_PSS: return "RSA";
	case EVP_PKEY_ED25519: return "Ed25519";
	case EVP_PKEY_ED448: return "Ed448";
	default: break;
	}
	switch (pki_curve(key)) {
	case NID_X9_62_prime256v1: return "ECDSA P-256";
	case NID_secp384r1: return "ECDSA P-384";
	case NID_secp521r1: return "ECDSA P-521";
	default: return "unknown";
	}
}

static bool rule_rsa(EVP_PKEY *key, struct sb *why)
{
	const int bits = EVP_PKEY_get_bits(key);
	BIGNUM *e = NULL;
	bool ok;

	if (bits < RSA_BITS_MIN || bits > RSA_BITS_MAX) {
		sb_printf(why, "has an RSA key of %d bits; %d to %d are taken", bits, RSA_BITS_MIN,
			  RSA_BITS_MAX);
		return false;
	}
	/* Small or even exponents let anyone forge or fail in odd ways [CVE-2017-11185, CVE-2018-16151]. */
	ok = EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_RSA_E, &e) == 1 && BN_is_odd(e) &&
	     BN_num_bits(e) <= 64 && (BN_num_bits(e) > 32 || BN_get_word(e) >= RSA_E_MIN);
	BN_free(e);
	if (!ok)
		sb_str(why, "has an RSA key whose exponent is even, below 65537 or beyond 64 bits");
	return ok;
}

/* Parameters written out can be anybody's curve with the name of none [CVE-2020-0601]. */
static bool explicit_curve(const EVP_PKEY *key)
{
	int from_parameters = 0;

	return EVP_PKEY_get_int_param(key, OSSL_PKEY_PARAM_EC_DECODED_FROM_EXPLICIT_PARAMS,
				      &from_parameters) == 1 &&
	       from_parameters != 0;
}

bool pki_rule_key(EVP_PKEY *key, struct sb *why)
{
	switch (EVP_PKEY_get_base_id(key)) {
	case EVP_PKEY_RSA:
	case EVP_PKEY_RSA_PSS: return rule_rsa(key, why);
	case EVP_PKEY_ED25519:
	case EVP_PKEY_ED448: return true;
	case EVP_PKEY_EC:
		switch (explicit_curve(key) ? NID_undef : pki_curve(key)) {
		case NID_X9_62_prime256v1:
		case NID_secp384r1:
		case NID_secp521r1: return true;
		default: break;
		}
		sb_str(why,
		       "has an ECDSA key on another curve than P-256, P-384 and P-521 by name");
		return false;
	default:
		sb_str(why, "has a key that is neither RSA, ECDSA, Ed25519 nor Ed448");
		return false;
	}
}

bool pki_rule_signature(int signature_nid, int digest_nid, struct sb *why)
{
	switch (signature_nid) {
	case EVP_PKEY_ED25519:
	case EVP_PKEY_ED448: return true;
	case EVP_PKEY_RSA:
	case EVP_PKEY_RSA_PSS:
	case EVP_PKEY_EC:
		if (digest_nid == NID_sha256 || digest_nid == NID_sha384 ||
		    digest_nid == NID_sha512)
			return true;
		break;
	default: break;
	}
	sb_printf(why,
		  "is signed with %s and %s; SHA-2 with RSA or ECDSA, Ed25519 or Ed448 is wanted",
		  digest_nid == NID_undef ? "an unknown hash" : OBJ_nid2ln(digest_nid),
		  signature_nid == NID_undef ? "an unknown algorithm" : OBJ_nid2ln(signature_nid));
	return false;
}

static bool rule_common(X509 *cert, struct sb *why)
{
	EVP_PKEY *key = X509_get0_pubkey(cert);
	const uint32_t flags = X509_get_extension_flags(cert);

	ERR_clear_error();
	if (!key) {
		sb_str(why, "has a public key that cannot be decoded");
		return false;
	}
	if (flags & EXFLAG_INVALID) {
		sb_str(why, "has an extension that cannot be decoded or stands there twice");
		return false;
	}
	/* RFC 5280 4.2: a critical extension that is not understood. */
	if (flags & EXFLAG_CRITICAL) {
		sb_str(why, "has a critical extension that is not understood");
		return false;
	}
	return pki_rule_key(key, why);
}

/*
 * RFC 4945 5.1.3.12: without the extension any use is fine. Of the uses that CAs write into
 * certificates for gateways, any one of these.
 */
static bool rule_extended_use(X509 *cert, struct sb *why)
{
	static const char *const good[] = {
		"2.5.29.37.0",        /* anyExtendedKeyUsage */
		"1.3.6.1.5.5.7.3.17", /* id-kp-ipsecIKE */
		"1.3.6.1.5.5.8.2.2",  /* iKEIntermediate */
		"1.3.6.1.5.5.7.3.1",  /* serverAuth */
		"1.3.6.1.5.5.7.3.2",  /* clientAuth */
	};
	int critical = 0;
	EXTENDED_KEY_USAGE *uses = X509_get_ext_d2i(cert, NID_ext_key_usage, &critical, NULL);
	bool ok = !uses && critical == -1;

	for (int i = 0; !ok && uses && i < sk_ASN1_OBJECT_num(uses); i++) {
		char oid[64];

		if (OBJ_obj2txt(oid, sizeof(oid), sk_ASN1_OBJECT_value(uses, i), 1) <= 0)
			continue;
		for (size_t k = 0; k < sizeof(good) / sizeof(good[0]); k++)
			ok |= strcmp(oid, good[k]) == 0;
	}
	sk_ASN1_OBJECT_pop_free(uses, ASN1_OBJECT_free);
	if (!ok)
		sb_str(why, "is for other uses: its extendedKeyUsage names neither ipsecIKE, "
			    "serverAuth, clientAuth, iKEIntermediate nor any use");
	return ok;
}

bool pki_rule_end_entity(X509 *cert, struct sb *why)
{
	if (!rule_common(cert, why))
		return false;
	/* RFC 4945 5.1.3.2: digitalSignature or nonRepudiation, where keyUsage is there. */
	if ((X509_get_extension_flags(cert) & EXFLAG_KUSAGE) &&
	    !(X509_get_key_usage(cert) & (KU_DIGITAL_SIGNATURE | KU_NON_REPUDIATION))) {
		sb_str(why, "is not for signatures: its keyUsage has neither digitalSignature nor "
			    "nonRepudiation");
		return false;
	}
	return rule_extended_use(cert, why);
}

bool pki_rule_ca(X509 *cert, struct sb *why)
{
	const uint32_t flags = X509_get_extension_flags(cert);

	if (!rule_common(cert, why))
		return false;
	/* RFC 5280 6.1.4 (k): basicConstraints with cA, and (n): keyCertSign. */
	if (!(flags & EXFLAG_BCONS) || !(flags & EXFLAG_CA)) {
		sb_str(why, "is not a CA's: its basicConstraints do not say so");
		return false;
	}
	if ((flags & EXFLAG_KUSAGE) && !(X509_get_key_usage(cert) & KU_KEY_CERT_SIGN)) {
		sb_str(why, "may not certify others: its keyUsage has no keyCertSign");
		return false;
	}
	return rule_extended_use(cert, why);
}
