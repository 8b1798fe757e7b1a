/* SPDX-License-Identifier: Apache-2.0 */
/* Signature authentication: what we make, what we take, and what must not pass. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <openssl/rsa.h>
#include "tests/pki/maker.h"

enum { RSA2K, RSA4K, P256, P384, P521, ED25519, ED448, N_KEYS };
static struct {
	EVP_PKEY *raw;
	struct pki_key *key;
	struct pki_pub *pub;
} keys[N_KEYS];
static char text[PKI_TEXT_SIZE];
static const struct pki_span octets = {(const uint8_t *)"InitiatorSignedOctets", 21};

static int setup(void **state)
{
	keys[RSA2K].raw = key_rsa(2048, 65537);
	keys[RSA4K].raw = key_rsa(3200, 65537);
	keys[P256].raw = key_ec("P-256");
	keys[P384].raw = key_ec("P-384");
	keys[P521].raw = key_ec("P-521");
	keys[ED25519].raw = key_other("ED25519");
	keys[ED448].raw = key_other("ED448");
	for (int i = 0; i < N_KEYS; i++) {
		struct sb why = sb_of(text, sizeof(text));
		struct bytes private = key_pem(keys[i].raw, NULL), public = public_pem(keys[i].raw);

		keys[i].key = pki_key_parse(private.data, private.size, &why);
		keys[i].pub = pki_pub_parse(public.data, public.size, &why);
		free(private.data);
		free(public.data);
		if (!keys[i].key || !keys[i].pub)
			return -1;
	}
	return 0;
}

static int teardown(void **state)
{
	for (int i = 0; i < N_KEYS; i++) {
		EVP_PKEY_free(keys[i].raw);
		pki_key_free(keys[i].key);
		pki_pub_free(keys[i].pub);
	}
	return 0;
}

static bool verify(int key, uint32_t method, bool sha1, const uint8_t *auth, size_t size)
{
	/* Exactly as large: a sanitizer sees any read beyond. */
	uint8_t *copy = malloc(size ? size : 1);
	struct sb why = sb_of(text, sizeof(text));
	bool ok;

	memcpy(copy, auth, size);
	ok = pki_verify(keys[key].pub, method, sha1, octets, (struct pki_span){copy, size}, &why);
	assert_int_equal(!ok, text[0] != '\0');
	free(copy);
	return ok;
}

static size_t sign(int key, uint32_t hashes, bool sha1, uint8_t *auth, uint32_t *method)
{
	struct sb why = sb_of(text, sizeof(text));
	const size_t n =
		pki_sign(keys[key].key, &(struct pki_takes){.hashes = hashes, .sha1 = sha1}, octets,
			 auth, method, &why);

	assert_int_equal(n == 0, text[0] != '\0');
	return n;
}

/* The AlgorithmIdentifiers, byte by byte (RFC 7427 A.1, A.3, A.4; RFC 8420 A). */
#define SHA_OID(x)  "\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02" x
#define ECDSA(x)    "\x0c\x30\x0a\x06\x08\x2a\x86\x48\xce\x3d\x04\x03" x
#define PKCS1(x)    "\x0f\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01" x "\x05\x00"
#define ED25519_ALG "\x07\x30\x05\x06\x03\x2b\x65\x70"
#define ED448_ALG   "\x07\x30\x05\x06\x03\x2b\x65\x71"

static void what_is_made(void **state)
{
	const uint32_t all = PKI_HASHES;
	const struct {
		int key;
		uint32_t hashes;
		uint32_t method; /* 0: nothing */
		size_t size;     /* 0: any */
		const char *alg;
		size_t alg_size;
	} cases[] = {
		{P256, all, 14, 0, ECDSA("\x02"), 13},
		{P384, all, 14, 0, ECDSA("\x03"), 13},
		{P521, all, 14, 0, ECDSA("\x04"), 13},
		{P521, PKI_HASH_SHA2_256, 14, 0, ECDSA("\x02"), 13},
		{P256, PKI_HASH_SHA2_512, 14, 0, ECDSA("\x04"), 13},
		{ED25519, all, 14, 8 + 64, ED25519_ALG, 8},
		{ED448, all, 14, 8 + 114, ED448_ALG, 8},
		{ED25519, all & ~(uint32_t)PKI_HASH_IDENTITY, 0, 0, NULL, 0},
		{P256, PKI_HASH_IDENTITY, 0, 0, NULL, 0},
		{P256, PKI_HASH_SHA1, 0, 0, NULL, 0},
		{RSA2K, all, 14, 68 + 256, "\x43\x30\x41", 3},
		{RSA4K, all, 14, 68 + 400, "\x43\x30\x41", 3},
		/* A peer without RFC 7427 (RFC 4754). */
		{P256, 0, 9, 64, NULL, 0},
		{P384, 0, 10, 96, NULL, 0},
		{P521, 0, 11, 132, NULL, 0},
		{RSA2K, 0, 0, 0, NULL, 0},
		{ED25519, 0, 0, 0, NULL, 0},
		/* Bits that nobody has assigned are no hash algorithm. */
		{P256, 1u << 9, 9, 64, NULL, 0},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint8_t auth[PKI_SIG_MAX];
		uint32_t method = 99;
		const size_t n = sign(cases[i].key, cases[i].hashes, false, auth, &method);

		if ((n > 0) != (cases[i].method > 0) || (n > 0 && method != cases[i].method) ||
		    (cases[i].size > 0 && n != cases[i].size) ||
		    (cases[i].alg && memcmp(auth, cases[i].alg, cases[i].alg_size) != 0))
			fail_msg("case %zu: method %u, %zu bytes: %s", i, method, n, text);
		if (n == 0)
			continue;
		assert_true(verify(cases[i].key, method, false, auth, n));
		/* Nobody else's key, no other method. */
		for (int k = 0; k < N_KEYS; k++)
			assert_int_equal(verify(k, method, false, auth, n), k == cases[i].key);
		for (uint32_t m = 0; m < 20; m++) {
			if (m != method)
				assert_false(verify(cases[i].key, m, true, auth, n));
		}
	}
}

/* Each byte of an AUTH of each kind, and each length. */
/* Requirements: CVE-2013-2944 */
static void every_byte_counts(void **state)
{
	for (int k = 0; k < N_KEYS; k++) {
		for (int legacy = 0; legacy < 2; legacy++) {
			uint8_t auth[PKI_SIG_MAX + 1];
			uint32_t method;
			const size_t n = sign(k, legacy ? 0 : PKI_HASHES, true, auth, &method);

			if (n == 0)
				continue;
			for (size_t i = 0; i < n; i++) {
				auth[i] ^= 1u << i % 8;
				if (verify(k, method, true, auth, n))
					fail_msg("key %d, byte %zu", k, i);
				auth[i] ^= 1u << i % 8;
				assert_false(verify(k, method, true, auth, i));
			}
			auth[n] = 0;
			assert_false(verify(k, method, true, auth, n + 1));
			assert_true(verify(k, method, true, auth, n));
		}
	}
}

/* AUTH by RSA as others would make it: with any padding, hash and salt. */
static size_t rsa_auth(const char *alg, size_t alg_size, const EVP_MD *md, int padding, int salt,
		       const EVP_MD *mgf, uint8_t *auth)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	EVP_PKEY_CTX *p;
	size_t n = PKI_SIG_MAX - alg_size;

	memcpy(auth, alg, alg_size);
	assert_int_equal(EVP_DigestSignInit(ctx, &p, md, NULL, keys[RSA2K].raw), 1);
	assert_int_equal(EVP_PKEY_CTX_set_rsa_padding(p, padding), 1);
	if (padding == RSA_PKCS1_PSS_PADDING) {
		assert_int_equal(EVP_PKEY_CTX_set_rsa_pss_saltlen(p, salt), 1);
		if (mgf)
			assert_int_equal(EVP_PKEY_CTX_set_rsa_mgf1_md(p, mgf), 1);
	}
	assert_int_equal(EVP_DigestSign(ctx, auth + alg_size, &n, octets.data, octets.size), 1);
	EVP_MD_CTX_free(ctx);
	return alg_size + n;
}

#define PSS_HEAD "\x43\x30\x41\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0a\x30\x34"
#define PSS_BODY(hash, mgf_hash, salt)                                                             \
	"\xa0\x0f\x30\x0d" SHA_OID(                                                                \
		hash) "\x05\x00"                                                                   \
		      "\xa1\x1c\x30\x1a\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x08"               \
		      "\x30\x0d" SHA_OID(mgf_hash) "\x05\x00\xa2\x03\x02\x01" salt

/* Requirements: CVE-2018-16151, CVE-2021-41990 */
static void rsa_as_others_make_it(void **state)
{
#define ALG(s) s, sizeof(s) - 1
	/* The same without NULL for the hashes' parameters (RFC 4055 2.1), with the trailer field. */
	static const char no_null[] =
		"\x3f\x30\x3d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0a\x30\x30"
		"\xa0\x0d\x30\x0b" SHA_OID("\x01") "\xa1\x1a\x30\x18\x06\x09\x2a\x86\x48\x86\xf7"
						   "\x0d\x01\x01\x08\x30\x0b" SHA_OID(
							   "\x01") "\xa2\x03\x02\x01\x20";
	static const char trailer[] =
		"\x48\x30\x46\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0a\x30\x39" PSS_BODY(
			"\x01", "\x01", "\x20") "\xa3\x03\x02\x01\x01";
	static const char wrong_trailer[] =
		"\x48\x30\x46\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0a\x30\x39" PSS_BODY(
			"\x01", "\x01", "\x20") "\xa3\x03\x02\x01\x02";
	const struct {
		const char *alg;
		size_t alg_size;
		const EVP_MD *md;
		int padding, salt;
		const EVP_MD *mgf;
		bool good;
	} cases[] = {
		{ALG(PSS_HEAD PSS_BODY("\x01", "\x01", "\x20")), EVP_sha256(), 6, 32, NULL, true},
		{ALG(PSS_HEAD PSS_BODY("\x02", "\x02", "\x30")), EVP_sha384(), 6, 48, NULL, true},
		{ALG(PSS_HEAD PSS_BODY("\x03", "\x03", "\x40")), EVP_sha512(), 6, 64, NULL, true},
		{ALG(no_null), EVP_sha256(), 6, 32, NULL, true},
		{ALG(trailer), EVP_sha256(), 6, 32, NULL, true},
		{ALG(wrong_trailer), EVP_sha256(), 6, 32, NULL, false},
		/* CVE-2021-41990, CVE-2018-16151: another salt, in the parameters or not. */
		{ALG(PSS_HEAD PSS_BODY("\x01", "\x01", "\x20")), EVP_sha256(), 6, 20, NULL, false},
		{ALG(PSS_HEAD PSS_BODY("\x01", "\x01", "\x20")), EVP_sha256(), 6, 0, NULL, false},
		{ALG(PSS_HEAD PSS_BODY("\x01", "\x01", "\x14")), EVP_sha256(), 6, 20, NULL, false},
		{ALG(PSS_HEAD PSS_BODY("\x01", "\x01", "\xff")), EVP_sha256(), 6, 32, NULL, false},
		{ALG(PSS_HEAD PSS_BODY("\x01", "\x02", "\x20")), EVP_sha256(), 6, 32, EVP_sha384(),
		 false},
		{ALG(PSS_HEAD PSS_BODY("\x01", "\x01", "\x20")), EVP_sha256(), 6, 32, EVP_sha1(),
		 false},
		/* Defaults: SHA-1 (RFC 7427 A.4.1). */
		{ALG("\x0f\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0a\x30\x00"),
		 EVP_sha1(), 6, 20, NULL, false},
		{ALG(PKCS1("\x0b")), EVP_sha256(), 1, 0, NULL, true},
		{ALG(PKCS1("\x0c")), EVP_sha384(), 1, 0, NULL, true},
		{ALG(PKCS1("\x0d")), EVP_sha512(), 1, 0, NULL, true},
		{ALG(PKCS1("\x05")), EVP_sha1(), 1, 0, NULL, false},
		{ALG(PKCS1("\x0b")), EVP_sha512(), 1, 0, NULL, false},
		{ALG(PKCS1("\x0b")), EVP_sha256(), 6, 32, NULL, false},
		{ALG("\x0d\x30\x0b\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0b"), EVP_sha256(), 1,
		 0, NULL, false},
		{ALG(ECDSA("\x02")), EVP_sha256(), 1, 0, NULL, false},
	};

	assert_int_equal(RSA_PKCS1_PADDING, 1);
	assert_int_equal(RSA_PKCS1_PSS_PADDING, 6);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint8_t auth[PKI_SIG_MAX];
		const size_t n = rsa_auth(cases[i].alg, cases[i].alg_size, cases[i].md,
					  cases[i].padding, cases[i].salt, cases[i].mgf, auth);

		if (verify(RSA2K, PKI_METHOD_DIGITAL_SIGNATURE, true, auth, n) != cases[i].good)
			fail_msg("case %zu: %s", i, text);
	}
#undef ALG
}

/* Method 1 says no hash: SHA-1 only where it is allowed. */
static void method_1(void **state)
{
	const struct {
		const EVP_MD *md;
		bool sha1, good;
	} cases[] = {
		{EVP_sha256(), false, true}, {EVP_sha384(), false, true},
		{EVP_sha512(), false, true}, {EVP_sha1(), false, false},
		{EVP_sha1(), true, true},    {EVP_md5(), true, false},
		{EVP_sha224(), true, false},
	};
	uint8_t auth[PKI_SIG_MAX];
	uint32_t method;
	size_t n;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		n = rsa_auth("", 0, cases[i].md, RSA_PKCS1_PADDING, 0, NULL, auth);
		assert_int_equal(verify(RSA2K, PKI_METHOD_RSA, cases[i].sha1, auth, n),
				 cases[i].good);
	}
	n = sign(RSA2K, 0, true, auth, &method);
	assert_int_equal(method, PKI_METHOD_RSA);
	assert_true(verify(RSA2K, method, true, auth, n));
}

/* A block that only begins like PKCS#1 v1.5, signed with the true key. */
/* Requirements: CVE-2018-16151, CVE-2026-14957 */
static void lax_padding(void **state)
{
	/* CVE-2018-16151, CVE-2026-14957: garbage after the hash, short padding, NULL left out. */
	static const uint8_t info[] = {0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01,
				       0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00, 0x04, 0x20};
	static const uint8_t info_no_null[] = {0x30, 0x2f, 0x30, 0x0b, 0x06, 0x09, 0x60, 0x86, 0x48,
					       0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x04, 0x20};
	uint8_t hash[32], block[256];
	unsigned hash_size = 0;

	assert_int_equal(EVP_Digest(octets.data, octets.size, hash, &hash_size, EVP_sha256(), NULL),
			 1);
	for (int form = 0; form < 5; form++) {
		const bool no_null = form == 3;
		const uint8_t *head = no_null ? info_no_null : info;
		const size_t head_size = no_null ? sizeof(info_no_null) : sizeof(info);
		/* Padding: up to the hash's end at the block's end, or short with garbage behind. */
		const size_t pad = form == 1 || form == 4 ? 8 : sizeof(block) - 3 - head_size - 32;
		uint8_t full[16 + 256];
		EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(keys[RSA2K].raw, NULL);
		size_t n = 256;

		memset(block, form == 4 ? 0 : 0x5a, sizeof(block));
		block[0] = 0;
		block[1] = form == 2 ? 2 : 1;
		memset(block + 2, 0xff, pad);
		block[2 + pad] = 0;
		memcpy(block + 3 + pad, head, head_size);
		memcpy(block + 3 + pad + head_size, hash, 32);
		memcpy(full, PKCS1("\x0b"), 16);
		assert_int_equal(EVP_PKEY_sign_init(ctx), 1);
		assert_int_equal(EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_NO_PADDING), 1);
		assert_int_equal(EVP_PKEY_sign(ctx, full + 16, &n, block, sizeof(block)), 1);
		EVP_PKEY_CTX_free(ctx);
		/* Form 0 is the proper one: the test itself works. */
		assert_int_equal(verify(RSA2K, PKI_METHOD_DIGITAL_SIGNATURE, false, full, 16 + n),
				 form == 0);
	}
}

/* r and s of 0, of the order and beyond; a signature of all zeros (CVE-2022-21449 elsewhere). */
/* Requirements: CVE-2013-2944 */
static void degenerate_ecdsa(void **state)
{
	static const uint8_t order[32] = {0xff, 0xff, 0xff, 0xff, 0x00, 0x00, 0x00, 0x00,
					  0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
					  0xbc, 0xe6, 0xfa, 0xad, 0xa7, 0x17, 0x9e, 0x84,
					  0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51};
	uint8_t sig[64] = {0};

	assert_false(verify(P256, PKI_METHOD_ECDSA_256, false, sig, 64));
	memcpy(sig, order, 32);
	memcpy(sig + 32, order, 32);
	assert_false(verify(P256, PKI_METHOD_ECDSA_256, false, sig, 64));
	memset(sig, 0xff, 64);
	assert_false(verify(P256, PKI_METHOD_ECDSA_256, false, sig, 64));
	memset(sig, 0, 64);
	sig[31] = sig[63] = 1;
	assert_false(verify(P256, PKI_METHOD_ECDSA_256, false, sig, 64));
}

static void keys_that_are_refused(void **state)
{
	EVP_PKEY *small = key_rsa(1024, 65537), *three = key_rsa(2048, 3),
		 *curve = key_ec("secp256k1");
	struct bytes encrypted = key_pem(keys[P256].raw, "secret"), b;
	struct sb why = sb_of(text, sizeof(text));

	b = key_pem(small, NULL);
	assert_null(pki_key_parse(b.data, b.size, &why));
	assert_non_null(strstr(text, "1024 bits"));
	free(b.data);
	why = sb_of(text, sizeof(text));
	b = public_pem(three);
	assert_null(pki_pub_parse(b.data, b.size, &why));
	assert_non_null(strstr(text, "exponent"));
	free(b.data);
	why = sb_of(text, sizeof(text));
	b = key_pem(curve, NULL);
	assert_null(pki_key_parse(b.data, b.size, &why));
	assert_non_null(strstr(text, "another curve"));
	free(b.data);
	why = sb_of(text, sizeof(text));
	assert_null(pki_key_parse(encrypted.data, encrypted.size, &why));
	assert_non_null(strstr(text, "is encrypted"));
	free(encrypted.data);
	why = sb_of(text, sizeof(text));
	assert_null(pki_key_parse((const uint8_t *)"nothing", 7, &why));
	assert_non_null(strstr(text, "no private key"));
	EVP_PKEY_free(small);
	EVP_PKEY_free(three);
	EVP_PKEY_free(curve);
}

static void raw_keys(void **state)
{
	for (int i = 0; i < N_KEYS; i++) {
		const struct pki_span spki = pki_key_spki(keys[i].key);

		for (int k = 0; k < N_KEYS; k++)
			assert_int_equal(pki_pub_equal(keys[k].pub, spki.data, spki.size), i == k);
		assert_false(pki_pub_equal(keys[i].pub, spki.data, spki.size - 1));
		assert_false(pki_pub_equal(keys[i].pub, spki.data, 0));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_made),          cmocka_unit_test(every_byte_counts),
		cmocka_unit_test(rsa_as_others_make_it), cmocka_unit_test(method_1),
		cmocka_unit_test(lax_padding),           cmocka_unit_test(degenerate_ecdsa),
		cmocka_unit_test(keys_that_are_refused), cmocka_unit_test(raw_keys),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
