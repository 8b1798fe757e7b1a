/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of OpenSSL's primitives where vectors do not reach: bad public values, failure, repeatability. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
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

/* RFC 6989 2.1 (and CVE-2015-3240): 0, 1, p - 1, p and above are refused, their neighbours are not. */
static void modp_values(void **state)
{
	static const uint8_t p_head[] = {0xff, 0xff, 0xff, 0xff, 0xff,
					 0xff, 0xff, 0xff, 0xc9, 0x0f};
	uint8_t peer[256] = {0}, p[256];
	size_t n;

	(void)state;
	/* The end of the modulus of RFC 3526 3: ... 15728E5A 8AACAA68 FFFFFFFF FFFFFFFF. */
	n = unhex("FFFFFFFFFFFFFFFFC90FDAA22168C234C4C6628B80DC1CD129024E088A67CC74020BBEA63B139B22"
		  "514A0879"
		  "8E3404DDEF9519B3CD3A431B302B0A6DF25F14374FE1356D6D51C245E485B576625E7EC6F44C42E9"
		  "A637ED6B"
		  "0BFF5CB6F406B7EDEE386BFB5A899FA5AE9F24117C4B1FE649286651ECE45B3DC2007CB8A163BF05"
		  "98DA4836"
		  "1C55D39A69163FA8FD24CF5F83655D23DCA3AD961C62F356208552BB9ED529077096966D670C354E"
		  "4ABC9804"
		  "F1746C08CA18217C32905E462E36CE3BE39E772C180E86039B2783A2EC07A28FB5C55DF06F4C52C9"
		  "DE2BCBF6"
		  "955817183995497CEA956AE515D2261898FA051015728E5A8AACAA68FFFFFFFFFFFFFFFF",
		  p, sizeof(p));
	assert_int_equal(n, 256);
	assert_memory_equal(p, p_head, sizeof(p_head));

	refused(IKE_DH_MODP_2048, peer, false); /* 0 */
	peer[255] = 1;
	refused(IKE_DH_MODP_2048, peer, false);
	peer[255] = 2;
	refused(IKE_DH_MODP_2048, peer, true);
	refused(IKE_DH_MODP_2048, p, false);
	p[255] = 0xfe; /* p - 1 */
	refused(IKE_DH_MODP_2048, p, false);
	p[255] = 0xfd; /* p - 2 */
	refused(IKE_DH_MODP_2048, p, true);
	memset(p, 0xff, sizeof(p)); /* above p */
	refused(IKE_DH_MODP_2048, p, false);
}

/* RFC 6989 2.3: points off the curve, coordinates at or above the prime, the point at infinity. */
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

/* RFC 8031 5, RFC 7748 6.1: points of small order give an all-zero secret. */
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
		cmocka_unit_test(curve25519_values),  cmocka_unit_test(random_failure),
		cmocka_unit_test(ecp_private_range),  cmocka_unit_test(default_random),
		cmocka_unit_test(sha1_pieces),        cmocka_unit_test(failures_wipe),
	};

	if (!secret_init())
		return 2;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
