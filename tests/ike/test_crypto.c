/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of OpenSSL's primitives where vectors do not reach: bad public values, failure, repeatability. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <openssl/bn.h>
#include <openssl/evp.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include "base/secret.h"
#include "tests/ike/util.h"

static const enum ike_dh groups[] = {
	IKE_DH_MODP_1024,     IKE_DH_MODP_1536,  IKE_DH_MODP_2048,     IKE_DH_MODP_3072,
	IKE_DH_MODP_4096,     IKE_DH_MODP_6144,  IKE_DH_MODP_8192,     IKE_DH_ECP_256,
	IKE_DH_ECP_384,       IKE_DH_ECP_521,    IKE_DH_MODP_1024_160, IKE_DH_MODP_2048_224,
	IKE_DH_MODP_2048_256, IKE_DH_CURVE25519, IKE_DH_CURVE448,
};
#define N_GROUPS (sizeof(groups) / sizeof(groups[0]))

static bool is_zero(const uint8_t *p, size_t size)
{
	for (size_t i = 0; i < size; i++)
		if (p[i])
			return false;
	return true;
}

static void two_sides_agree(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_GROUPS; i++) {
		const struct ike_dh_desc *d = ike_dh_desc(groups[i]);

		for (uint64_t seed = 0; seed < (d->public_size > 512 ? 1 : 4); seed++) {
			uint8_t a[IKE_DH_MAX], b[IKE_DH_MAX], ab[IKE_DH_MAX], ba[IKE_DH_MAX];
			struct test_random ra, rb;
			const struct ike_crypto ca = test_crypto(&ra, seed),
						cb = test_crypto(&rb, ~seed);
			struct ike_dh_key *ka = ca.dh_new(ca.ctx, groups[i], a);
			struct ike_dh_key *kb = cb.dh_new(cb.ctx, groups[i], b);

			assert_non_null(ka);
			assert_non_null(kb);
			assert_memory_not_equal(a, b, d->public_size);
			assert_true(ca.dh_shared(ca.ctx, ka, b, d->public_size, ab));
			assert_true(cb.dh_shared(cb.ctx, kb, a, d->public_size, ba));
			assert_memory_equal(ab, ba, d->shared_size);
			assert_false(is_zero(ab, d->shared_size));
			ca.dh_free(ca.ctx, ka);
			cb.dh_free(cb.ctx, kb);
		}
	}
}

/* The same seed gives the same run; nothing else in the process takes part. */
static void repeatable(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_GROUPS; i++) {
		uint8_t a[IKE_DH_MAX], b[IKE_DH_MAX];
		struct test_random r;
		struct ike_crypto c = test_crypto(&r, 5);
		struct ike_dh_key *k = c.dh_new(c.ctx, groups[i], a);

		assert_non_null(k);
		c.dh_free(c.ctx, k);
		c = test_crypto(&r, 5);
		k = c.dh_new(c.ctx, groups[i], b);
		assert_non_null(k);
		assert_memory_equal(a, b, ike_dh_desc(groups[i])->public_size);
		c.dh_free(c.ctx, k);
	}
}

/* Lengths 0, n - 1, n + 1, twice and 64 KiB of each group are refused (CVE-2023-41913's kind). */
/* Requirements: CVE-2023-41913 */
static void public_value_sizes(void **state)
{
	uint8_t *peer = calloc(1, 65536);
	struct test_random r;
	const struct ike_crypto c = test_crypto(&r, 1);

	(void)state;
	assert_non_null(peer);
	for (size_t i = 0; i < N_GROUPS; i++) {
		const struct ike_dh_desc *d = ike_dh_desc(groups[i]);
		const size_t sizes[] = {
			0, 1, d->public_size - 1u, d->public_size + 1u, 2u * d->public_size, 65536};
		struct ike_dh_key *k = c.dh_new(c.ctx, groups[i], peer);

		assert_non_null(k);
		for (size_t s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++) {
			uint8_t shared[IKE_DH_MAX];

			memset(shared, 0xff, sizeof(shared));
			assert_false(c.dh_shared(c.ctx, k, peer, sizes[s], shared));
			assert_true(is_zero(shared, d->shared_size));
		}
		c.dh_free(c.ctx, k);
	}
	free(peer);
}

static void refused(enum ike_dh dh, const uint8_t *peer, bool ok)
{
	const struct ike_dh_desc *d = ike_dh_desc(dh);
	uint8_t public[IKE_DH_MAX], shared[IKE_DH_MAX];
	struct test_random r;
	const struct ike_crypto c = test_crypto(&r, 3);
	struct ike_dh_key *k = c.dh_new(c.ctx, dh, public);

	assert_non_null(k);
	memset(shared, 0xff, sizeof(shared));
	assert_int_equal(c.dh_shared(c.ctx, k, peer, d->public_size, shared), ok);
	if (!ok)
		assert_true(is_zero(shared, d->shared_size));
	c.dh_free(c.ctx, k);
}

/* ---- every group of integers */

static void group_numbers(enum ike_dh dh, BIGNUM **p, BIGNUM **g)
{
	static const struct {
		enum ike_dh dh;
		BIGNUM *(*prime)(BIGNUM *out);
		const char *name;
	} rows[] = {
		{IKE_DH_MODP_1024, BN_get_rfc2409_prime_1024, NULL},
		{IKE_DH_MODP_1536, BN_get_rfc3526_prime_1536, NULL},
		{IKE_DH_MODP_2048, BN_get_rfc3526_prime_2048, NULL},
		{IKE_DH_MODP_3072, BN_get_rfc3526_prime_3072, NULL},
		{IKE_DH_MODP_4096, BN_get_rfc3526_prime_4096, NULL},
		{IKE_DH_MODP_6144, BN_get_rfc3526_prime_6144, NULL},
		{IKE_DH_MODP_8192, BN_get_rfc3526_prime_8192, NULL},
		{IKE_DH_MODP_1024_160, NULL, "dh_1024_160"},
		{IKE_DH_MODP_2048_224, NULL, "dh_2048_224"},
		{IKE_DH_MODP_2048_256, NULL, "dh_2048_256"},
	};
	EVP_PKEY_CTX *ctx;
	EVP_PKEY *pkey = NULL;
	size_t i = 0;

	while (rows[i].dh != dh)
		i++;
	*p = *g = NULL;
	if (rows[i].prime) {
		*p = rows[i].prime(NULL);
		assert_true(*p && BN_dec2bn(g, "2"));
		return;
	}
	ctx = EVP_PKEY_CTX_new_from_name(NULL, "DHX", NULL);
	assert_true(ctx && EVP_PKEY_paramgen_init(ctx) == 1 &&
		    EVP_PKEY_CTX_set_group_name(ctx, rows[i].name) == 1 &&
		    EVP_PKEY_paramgen(ctx, &pkey) == 1 &&
		    EVP_PKEY_get_bn_param(pkey, "p", p) == 1 &&
		    EVP_PKEY_get_bn_param(pkey, "g", g) == 1);
	EVP_PKEY_free(pkey);
	EVP_PKEY_CTX_free(ctx);
}

/* p * sign + offset, sign 0 or 1 */
static void refused_number(enum ike_dh dh, const BIGNUM *p, int offset, bool ok)
{
	uint8_t peer[IKE_DH_MAX];
	BIGNUM *y = p ? BN_dup(p) : BN_new();

	assert_true(offset < 0 ? BN_sub_word(y, (BN_ULONG)-offset)
			       : BN_add_word(y, (BN_ULONG)offset));
	assert_true(BN_bn2binpad(y, peer, ike_dh_desc(dh)->public_size) > 0);
	refused(dh, peer, ok);
	BN_free(y);
}

/*
 * RFC 6989 2.1 (and CVE-2015-3240): 0, 1, p - 1, p and above are refused, their neighbours are not; of
 * the groups of RFC 5114 (2.2) nothing outside the subgroup is taken, whose generator is g.
 */
/* Requirements: RFC6989-2.1-range, RFC6989-2.2-order, CVE-2015-3240 */
static void modp_values(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_GROUPS; i++) {
		const enum ike_dh dh = groups[i];
		const bool subgroup = dh >= IKE_DH_MODP_1024_160 && dh <= IKE_DH_MODP_2048_256;
		uint8_t peer[IKE_DH_MAX];
		BIGNUM *p, *g, *minus_g;

		if (!subgroup && dh > IKE_DH_MODP_8192)
			continue;
		group_numbers(dh, &p, &g);
		refused_number(dh, NULL, 0, false);
		refused_number(dh, NULL, 1, false);
		refused_number(dh, p, -1, false);
		refused_number(dh, p, 0, false);
		refused_number(dh, p, 1, false);
		memset(peer, 0xff, sizeof(peer));
		refused(dh, peer, false);
		refused_number(dh, NULL, 2, !subgroup);
		refused_number(dh, p, -2, !subgroup);
		refused_number(dh, g, 0, true);
		/* -g has the order 2q. */
		minus_g = BN_new();
		assert_true(minus_g && BN_sub(minus_g, p, g));
		refused_number(dh, minus_g, 0, !subgroup);
		BN_free(minus_g);
		BN_free(p);
		BN_free(g);
	}
}

/* RFC 6989 2.3: points off the curve, coordinates at or above the prime, the point at infinity. */
/* Requirements: RFC6989-2.3-curve */
static void ecp_values(void **state)
{
	static const enum ike_dh ecps[] = {IKE_DH_ECP_256, IKE_DH_ECP_384, IKE_DH_ECP_521};

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		const struct ike_dh_desc *d = ike_dh_desc(ecps[i]);
		uint8_t good[IKE_DH_MAX], bad[IKE_DH_MAX] = {0};
		struct test_random r;
		const struct ike_crypto c = test_crypto(&r, 99);
		struct ike_dh_key *k = c.dh_new(c.ctx, ecps[i], good);

		assert_non_null(k);
		c.dh_free(c.ctx, k);
		refused(ecps[i], good, true);
		refused(ecps[i], bad, false); /* 0, 0: "infinity" where it is written so */
		memset(bad, 0xff, d->public_size);
		refused(ecps[i], bad, false);
		for (size_t bit = 0; bit < 8u * d->public_size; bit += 41) {
			memcpy(bad, good, d->public_size);
			bad[bit / 8] ^= (uint8_t)(1 << bit % 8);
			refused(ecps[i], bad, false);
		}
		/* x and y swapped */
		memcpy(bad, good + d->shared_size, d->shared_size);
		memcpy(bad + d->shared_size, good, d->shared_size);
		refused(ecps[i], bad, false);
	}
}

/* x + p names the same point as x, and is refused all the same: one encoding for one value. */
static void ecp_not_reduced(void **state)
{
	/* P-521 has room above its prime p = 2^521 - 1 in 528 bits: add p to x. */
	uint8_t good[132], bad[132];
	struct test_random r;
	const struct ike_crypto c = test_crypto(&r, 4);
	struct ike_dh_key *k = c.dh_new(c.ctx, IKE_DH_ECP_521, good);
	unsigned carry = 0;

	(void)state;
	assert_non_null(k);
	memcpy(bad, good, sizeof(bad));
	for (size_t i = 66; i-- > 0;) {
		const unsigned sum = good[i] + (i == 0 ? 0x01u : 0xffu) + carry;

		bad[i] = (uint8_t)sum;
		carry = sum >> 8;
	}
	refused(IKE_DH_ECP_521, good, true);
	refused(IKE_DH_ECP_521, bad, false);
	c.dh_free(c.ctx, k);
}

/* RFC 8031 5, RFC 7748 6.2: likewise of Curve448: 0, 1, p - 1, p, p + 1. */
/* Requirements: RFC7748-6-zero */
static void curve448_values(void **state)
{
	uint8_t peer[56] = {5};

	(void)state;
	refused(IKE_DH_CURVE448, peer, true);
	peer[0] = 0;
	refused(IKE_DH_CURVE448, peer, false);
	peer[0] = 1;
	refused(IKE_DH_CURVE448, peer, false);
	memset(peer, 0xff, sizeof(peer)); /* p = 2^448 - 2^224 - 1 */
	peer[28] = 0xfe;
	refused(IKE_DH_CURVE448, peer, false);
	peer[0] = 0xfe;
	refused(IKE_DH_CURVE448, peer, false);
	memset(peer, 0, 28); /* p + 1 = 2^448 - 2^224 */
	memset(peer + 28, 0xff, 28);
	refused(IKE_DH_CURVE448, peer, false);
}

/* RFC 8031 5, RFC 7748 6.1: points of small order give an all-zero secret. */
/* Requirements: RFC7748-6-zero */
static void curve25519_values(void **state)
{
	static const char *const small[] = {
		"0000000000000000000000000000000000000000000000000000000000000000",
		"0100000000000000000000000000000000000000000000000000000000000000",
		"e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
		"5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
		"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
	};
	uint8_t peer[32] = {9};

	(void)state;
	refused(IKE_DH_CURVE25519, peer, true);
	for (size_t i = 0; i < sizeof(small) / sizeof(small[0]); i++) {
		unhex(small[i], peer, sizeof(peer));
		refused(IKE_DH_CURVE25519, peer, false);
		/* RFC 7748 5: the top bit is ignored. */
		peer[31] |= 0x80;
		refused(IKE_DH_CURVE25519, peer, false);
	}
}

/* libsodium and libcrypto compute the same, wherever both can. */
static void two_libraries(void **state)
{
	struct test_random r;
	const struct ike_crypto c = test_crypto(&r, 77);

	(void)state;
	for (unsigned i = 0; i < 64; i++) {
		uint8_t ours[32], theirs[32], secret[32], want[32], sk[32], out[300], aad[20];
		uint8_t key[32], nonce[12], text[300], boxed[316], tag[16];
		struct ike_dh_key *k = c.dh_new(c.ctx, IKE_DH_CURVE25519, ours);
		unsigned long long n;
		EVP_PKEY *a, *b;
		EVP_PKEY_CTX *ctx;
		size_t size = 32;

		test_random(&r, sk, sizeof(sk));
		a = EVP_PKEY_new_raw_private_key(EVP_PKEY_X25519, NULL, sk, 32);
		assert_int_equal(EVP_PKEY_get_raw_public_key(a, theirs, &size), 1);
		b = EVP_PKEY_new_raw_public_key(EVP_PKEY_X25519, NULL, ours, 32);
		ctx = EVP_PKEY_CTX_new(a, NULL);
		assert_true(EVP_PKEY_derive_init(ctx) == 1 &&
			    EVP_PKEY_derive_set_peer(ctx, b) == 1 &&
			    EVP_PKEY_derive(ctx, want, &size) == 1);
		assert_true(c.dh_shared(c.ctx, k, theirs, 32, secret));
		assert_memory_equal(secret, want, 32);
		EVP_PKEY_CTX_free(ctx);
		EVP_PKEY_free(a);
		EVP_PKEY_free(b);
		c.dh_free(c.ctx, k);

		test_random(&r, key, sizeof(key));
		test_random(&r, nonce, sizeof(nonce));
		test_random(&r, aad, sizeof(aad));
		test_random(&r, text, sizeof(text));
		memcpy(out, text, sizeof(text));
		assert_true(c.aead_seal(c.ctx, IKE_ENCR_CHACHA20_POLY1305, key, 32, nonce, aad,
					i % 20, out, 4 * i, tag));
		crypto_aead_chacha20poly1305_ietf_encrypt(boxed, &n, text, 4 * i, aad, i % 20, NULL,
							  nonce, key);
		assert_memory_equal(out, boxed, 4 * i);
		assert_memory_equal(tag, boxed + 4 * i, 16);
	}
}

/* RFC 4106 6: a shorter tag is the long one's beginning, and no bit of it may differ. */
static void short_tags(void **state)
{
	static const enum ike_encr encrs[] = {IKE_ENCR_AES_GCM_8, IKE_ENCR_AES_GCM_12};
	struct test_random r;
	const struct ike_crypto c = test_crypto(&r, 1);
	const uint8_t key[32] = {1}, nonce[12] = {2};

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		const size_t size = ike_encr_desc(encrs[i])->icv_size;
		uint8_t data[40] = {3}, full_data[40] = {3}, tag[17], full[16];

		assert_int_equal(size, i ? 12 : 8);
		memset(tag, 0xee, sizeof(tag));
		assert_true(c.aead_seal(c.ctx, encrs[i], key, 32, nonce, key, 9, data, 40, tag));
		assert_true(c.aead_seal(c.ctx, IKE_ENCR_AES_GCM_16, key, 32, nonce, key, 9,
					full_data, 40, full));
		assert_memory_equal(data, full_data, 40);
		assert_memory_equal(tag, full, size);
		assert_int_equal(tag[size], 0xee);
		for (size_t bit = 0; bit < 8 * size; bit++) {
			memcpy(data, full_data, 40);
			tag[bit / 8] ^= (uint8_t)(1 << bit % 8);
			assert_false(c.aead_open(c.ctx, encrs[i], key, 32, nonce, key, 9, data, 40,
						 tag));
			tag[bit / 8] ^= (uint8_t)(1 << bit % 8);
		}
		memcpy(data, full_data, 40);
		assert_true(c.aead_open(c.ctx, encrs[i], key, 32, nonce, key, 9, data, 40, tag));
	}
	/* AES-GMAC encrypts nothing: IKE has no use for it. */
	assert_false(c.aead_seal(c.ctx, IKE_ENCR_NULL_AUTH_AES_GMAC, key, 32, nonce, NULL, 0,
				 (uint8_t[16]){0}, 16, (uint8_t[16]){0}));
}

/* CVE-2014-9221: every group number there is; nothing but the known ones makes a key. */
/* Requirements: CVE-2014-9221 */
static void all_group_numbers(void **state)
{
	struct test_random r;
	const struct ike_crypto c = test_crypto(&r, 1);
	static uint8_t public[IKE_DH_MAX];
	unsigned n = 0;

	(void)state;
	for (unsigned dh = 0; dh < 65536; dh++) {
		struct ike_dh_key *k;

		if (dh && ike_dh_desc((uint16_t)dh) && ike_dh_desc((uint16_t)dh)->public_size > 256)
			continue; /* slow, and had above */
		k = c.dh_new(c.ctx, (enum ike_dh)dh, public);
		n += k != NULL;
		assert_true(!k || ike_dh_desc((uint16_t)dh));
		c.dh_free(c.ctx, k);
	}
	assert_int_equal(n, 11);
}

static bool random_fails(void *ctx, uint8_t *out, size_t size)
{
	(void)ctx;
	memset(out, 0x77, size);
	return false;
}

static bool random_zero(void *ctx, uint8_t *out, size_t size)
{
	(void)ctx;
	memset(out, 0, size);
	return true;
}

static void random_failure(void **state)
{
	struct ike_crypto c;
	uint8_t out[IKE_DH_MAX];

	(void)state;
	ike_crypto_openssl(&c, random_fails, NULL);
	memset(out, 0xff, sizeof(out));
	assert_false(c.random(c.ctx, out, 16));
	assert_true(is_zero(out, 16));
	for (size_t i = 0; i < N_GROUPS; i++) {
		memset(out, 0xff, sizeof(out));
		assert_null(c.dh_new(c.ctx, groups[i], out));
		assert_true(is_zero(out, ike_dh_desc(groups[i])->public_size));
	}
	assert_null(c.dh_new(c.ctx, IKE_DH_NONE, out));
	assert_null(c.dh_new(c.ctx, (enum ike_dh)1, out));
	c.dh_free(c.ctx, NULL);
}

/* Even the worst generator cannot make a private value of 0 on a curve. */
static void ecp_private_range(void **state)
{
	struct ike_crypto c;
	uint8_t out[IKE_DH_MAX];

	(void)state;
	ike_crypto_openssl(&c, random_zero, NULL);
	for (enum ike_dh dh = IKE_DH_ECP_256; dh <= IKE_DH_ECP_521; dh++) {
		struct ike_dh_key *k = c.dh_new(c.ctx, dh, out);

		assert_non_null(k); /* 0 reduces to 1: the generator itself */
		c.dh_free(c.ctx, k);
	}
}

/* Without a generator of the caller's, libcrypto's. */
static void default_random(void **state)
{
	struct ike_crypto c;
	uint8_t a[32], b[32];

	(void)state;
	ike_crypto_openssl(&c, NULL, NULL);
	assert_true(c.random(c.ctx, a, sizeof(a)) && c.random(c.ctx, b, sizeof(b)));
	assert_memory_not_equal(a, b, sizeof(a));
	assert_true(c.random(c.ctx, a, 0));
}

/* FIPS 180-4: SHA-1("abc"), in pieces. */
static void sha1_pieces(void **state)
{
	const struct ike_iov in[] = {{"a", 1}, {"", 0}, {"bc", 2}};
	struct test_random r;
	const struct ike_crypto c = test_crypto(&r, 1);
	uint8_t out[20], want[20];

	(void)state;
	unhex("a9993e364706816aba3e25717850c26c9cd0d89d", want, sizeof(want));
	assert_true(c.sha1(c.ctx, in, 3, out));
	assert_memory_equal(out, want, sizeof(out));
	unhex("da39a3ee5e6b4b0d3255bfef95601890afd80709", want, sizeof(want));
	assert_true(c.sha1(c.ctx, NULL, 0, out));
	assert_memory_equal(out, want, sizeof(out));
}

/* What fails leaves zeros, not half-made text. */
static void failures_wipe(void **state)
{
	struct test_random r;
	const struct ike_crypto c = test_crypto(&r, 1);
	const uint8_t key[32] = {1}, iv[16] = {2}, zero[48] = {0};
	uint8_t data[48], tag[16], out[IKE_PRF_MAX];

	(void)state;
	memset(data, 0xaa, sizeof(data));
	assert_true(c.aead_seal(c.ctx, IKE_ENCR_AES_GCM_16, key, 32, iv, NULL, 0, data,
				sizeof(data), tag));
	tag[0] ^= 1;
	assert_false(c.aead_open(c.ctx, IKE_ENCR_AES_GCM_16, key, 32, iv, NULL, 0, data,
				 sizeof(data), tag));
	assert_memory_equal(data, zero, sizeof(data));
	memset(data, 0xaa, sizeof(data));
	assert_false(c.aead_seal(c.ctx, IKE_ENCR_AES_GCM_16, key, 20, iv, NULL, 0, data,
				 sizeof(data), tag));
	assert_memory_equal(data, zero, sizeof(data));
	assert_memory_equal(tag, zero, sizeof(tag));
	memset(data, 0xaa, sizeof(data));
	assert_false(c.cbc_encrypt(c.ctx, key, 32, iv, data, 17));
	assert_memory_equal(data, zero, 17);
	memset(out, 0xaa, sizeof(out));
	assert_false(c.prf(c.ctx, IKE_PRF_NONE, key, 32, NULL, 0, out));
	assert_false(c.integ(c.ctx, IKE_INTEG_NONE, key, NULL, 0, out));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(two_sides_agree),    cmocka_unit_test(repeatable),
		cmocka_unit_test(public_value_sizes), cmocka_unit_test(modp_values),
		cmocka_unit_test(ecp_values),         cmocka_unit_test(ecp_not_reduced),
		cmocka_unit_test(curve448_values),    cmocka_unit_test(two_libraries),
		cmocka_unit_test(short_tags),         cmocka_unit_test(all_group_numbers),
		cmocka_unit_test(curve25519_values),  cmocka_unit_test(random_failure),
		cmocka_unit_test(ecp_private_range),  cmocka_unit_test(default_random),
		cmocka_unit_test(sha1_pieces),        cmocka_unit_test(failures_wipe),
	};

	if (!secret_init())
		return 2;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
