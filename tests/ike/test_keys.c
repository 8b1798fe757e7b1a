/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of key derivation where vectors do not reach: refusals, failures, what is left behind. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>
#include "ike/keys.h"
#include "tests/ike/util.h"

static struct test_random seeded;
static struct ike_crypto crypto;
static const uint8_t bytes[512] = {7};

static const struct ike_suite gcm = {IKE_ENCR_AES_GCM_16, 256, IKE_PRF_HMAC_SHA2_256, 0, 19, 0};

/* clang-format off */
static const struct {
	uint16_t prf;
	size_t ni, nr;
	enum ike_err want; /* RFC 7296 2.10: 16 to 256, and half the prf's key at least */
} nonces[] = {
	{5, 16, 16, IKE_OK},
	{5, 256, 256, IKE_OK},
	{5, 15, 32, IKE_ERR_NONCE},
	{5, 32, 15, IKE_ERR_NONCE},
	{5, 0, 32, IKE_ERR_NONCE},
	{5, 257, 32, IKE_ERR_NONCE},
	{5, 32, 257, IKE_ERR_NONCE},
	{6, 24, 24, IKE_OK},
	{6, 23, 24, IKE_ERR_NONCE},
	{6, 24, 23, IKE_ERR_NONCE},
	{7, 32, 32, IKE_OK},
	{7, 31, 32, IKE_ERR_NONCE},
	{7, 32, 31, IKE_ERR_NONCE},
};

static const struct {
	struct ike_suite s;
	enum ike_err want;
} suites[] = {
	{{20, 256, 5, 0, 19, 0}, IKE_OK},
	{{12, 128, 5, 12, 19, 0}, IKE_OK},
	{{20, 256, 5, 12, 19, 0}, IKE_ERR_NO_PROPOSAL}, /* AEAD with integrity */
	{{12, 128, 5, 0, 19, 0}, IKE_ERR_NO_PROPOSAL},  /* CBC without */
	{{12, 192, 5, 12, 19, 0}, IKE_OK},
	{{12, 160, 5, 12, 19, 0}, IKE_ERR_NO_PROPOSAL},
	{{28, 0, 5, 0, 19, 0}, IKE_OK},
	{{28, 256, 5, 0, 19, 0}, IKE_ERR_NO_PROPOSAL}, /* RFC 7634 4: no Key Length */
	{{20, 0, 5, 0, 19, 0}, IKE_ERR_NO_PROPOSAL},
	{{0, 0, 5, 12, 19, 0}, IKE_ERR_NO_PROPOSAL},
	{{12, 128, 5, 2, 19, 0}, IKE_OK},               /* HMAC-SHA1-96 */
	{{12, 128, 5, 1, 19, 0}, IKE_ERR_NO_PROPOSAL},  /* HMAC-MD5-96 */
	{{20, 256, 0, 0, 19, 0}, IKE_ERR_NO_PROPOSAL},  /* no prf */
	{{20, 256, 2, 0, 19, 0}, IKE_OK},               /* HMAC-SHA1 */
	{{20, 256, 1, 0, 19, 0}, IKE_ERR_NO_PROPOSAL},  /* HMAC-MD5 */
};
/* clang-format on */

static bool sa_empty(const struct ike_sa_keys *k)
{
	return !k->d && !k->ai && !k->ar && !k->ei && !k->er && !k->pi && !k->pr;
}

static bool child_empty(const struct ike_child_keys *k)
{
	return !k->ei && !k->ai && !k->er && !k->ar;
}

/* Requirements: RFC7296-2.10-nonce */
static void nonce_sizes(void **state)
{
	struct secret *d = secret_new(64);

	(void)state;
	for (size_t i = 0; i < sizeof(nonces) / sizeof(nonces[0]); i++) {
		const struct ike_nonces n = {rd_of(bytes, nonces[i].ni),
					     rd_of(bytes, nonces[i].nr)};
		const bool ok = nonces[i].want == IKE_OK;
		struct ike_suite s = gcm;
		struct ike_child_keys child;
		struct ike_sa_keys k;

		s.prf = nonces[i].prf;
		assert_int_equal(ike_keys_initial(&crypto, &s, &n, bytes, 32, 1, 2, &k),
				 nonces[i].want);
		assert_int_equal(sa_empty(&k), !ok);
		ike_sa_keys_free(&k);
		assert_int_equal(ike_keys_rekey(&crypto, IKE_PRF_HMAC_SHA2_256, d, &s, &n, bytes,
						32, 1, 2, &k),
				 nonces[i].want);
		assert_int_equal(sa_empty(&k), !ok);
		ike_sa_keys_free(&k);
		assert_int_equal(ike_keys_child(&crypto, (enum ike_prf)nonces[i].prf, d, &gcm, &n,
						NULL, 0, &child),
				 nonces[i].want);
		assert_int_equal(child_empty(&child), !ok);
		ike_child_keys_free(&child);
	}
	secret_free(d);
}

/*
 * RFC 5723 5.1, computed by Python's hmac: SK_d | SK_ei | SK_er | SK_pi | SK_pr.
 *
 * Requirements: RFC5723-5.1-keys
 */
static void resumed_keys(void **state)
{
	static const char want_hex[] =
		"03c93227fcd44a532a1d614641c4a5c94bdd7ef2d7a1c86fd9e327d7e77fa679"
		"5f6cb5315aeac5d68dd0491ecd41920799242a8a61dbd2825bef62421dfbe9f0"
		"01f1548cdd442ff16b0a2503a3108da00bf656089201507cfaaa1cdbbf7a8bac"
		"6b46b3845141c8628596a524a6334037dce0f11a836c691094a67a5c386a73fc"
		"8739561e559ca58a1c5292574d5c5fbd219d7e005b88abd8565aaa5026749a29"
		"ac9266db1d9fc133";
	struct ike_suite s = {IKE_ENCR_AES_GCM_16, 256, IKE_PRF_HMAC_SHA2_256, 0, 31, 0};
	uint8_t want[3 * 32 + 2 * 36], old[32], ni[32], nr[32];
	const struct ike_nonces n = {rd_of(ni, 32), rd_of(nr, 32)};
	struct ike_sa_keys k;
	struct secret *d;

	(void)state;
	for (uint8_t i = 0; i < 32; i++) {
		old[i] = i;
		ni[i] = (uint8_t)(64 + i);
		nr[i] = (uint8_t)(128 + i);
	}
	assert_int_equal(unhex(want_hex, want, sizeof(want)), sizeof(want));
	d = secret_from(old, sizeof(old));
	assert_int_equal(
		ike_keys_resumed(&crypto, &s, d, &n, 0x0102030405060708, 0x1112131415161718, &k),
		IKE_OK);
	assert_memory_equal(secret_data(k.d), want, 32);
	assert_memory_equal(secret_data(k.ei), want + 32, 36);
	assert_memory_equal(secret_data(k.er), want + 68, 36);
	assert_memory_equal(secret_data(k.pi), want + 104, 32);
	assert_memory_equal(secret_data(k.pr), want + 136, 32);
	ike_sa_keys_free(&k);
	secret_free(d);
}

static void suite_shapes(void **state)
{
	const struct ike_nonces n = {rd_of(bytes, 32), rd_of(bytes, 32)};

	(void)state;
	for (size_t i = 0; i < sizeof(suites) / sizeof(suites[0]); i++) {
		const struct ike_suite *s = &suites[i].s;
		struct ike_sa_keys k;

		assert_int_equal(ike_keys_initial(&crypto, s, &n, bytes, 32, 1, 2, &k),
				 suites[i].want);
		assert_int_equal(sa_empty(&k), suites[i].want != IKE_OK);
		if (suites[i].want == IKE_OK) {
			assert_int_equal(secret_size(k.d), ike_prf_desc(s->prf)->size);
			assert_int_equal(secret_size(k.pr), ike_prf_desc(s->prf)->size);
			assert_int_equal(secret_size(k.ei), ike_suite_encr_key_size(s));
			assert_int_equal(secret_size(k.ai),
					 s->integ ? ike_integ_desc(s->integ)->key_size : 0);
			/* Nothing is used in both directions. */
			assert_false(secret_equal(k.ei, k.er));
			assert_false(secret_equal(k.pi, k.pr));
		}
		ike_sa_keys_free(&k);
	}
}

/* A prf that works a number of times and then fails. */
static unsigned n_left;
static bool failing_prf(void *ctx, enum ike_prf prf, const uint8_t *key, size_t key_size,
			const struct ike_iov *in, size_t n_in, uint8_t *out)
{
	if (n_left == 0)
		return false;
	n_left--;
	return crypto.prf(ctx, prf, key, key_size, in, n_in, out);
}

static void failure_leaves_nothing(void **state)
{
	const struct ike_nonces n = {rd_of(bytes, 32), rd_of(bytes, 32)};
	struct ike_crypto c = crypto;
	struct secret *d = secret_new(32);
	unsigned n_calls;
	enum ike_err err;

	(void)state;
	c.prf = failing_prf;
	for (n_calls = 0, err = IKE_ERR_CRYPTO; err != IKE_OK; n_calls++) {
		struct ike_sa_keys k;

		n_left = n_calls;
		err = ike_keys_initial(&c, &gcm, &n, bytes, 32, 1, 2, &k);
		assert_true(err == IKE_OK || err == IKE_ERR_CRYPTO);
		assert_int_equal(sa_empty(&k), err != IKE_OK);
		ike_sa_keys_free(&k);
	}
	/* SKEYSEED, then 3 * 32 + 2 * 36 bytes of prf+ in blocks of 32; one more to get here. */
	assert_int_equal(n_calls, 1 + 6 + 1);
	for (n_calls = 0, err = IKE_ERR_CRYPTO; err != IKE_OK; n_calls++) {
		struct ike_child_keys k;

		n_left = n_calls;
		err = ike_keys_child(&c, IKE_PRF_HMAC_SHA2_256, d, &gcm, &n, NULL, 0, &k);
		assert_int_equal(child_empty(&k), err != IKE_OK);
		ike_child_keys_free(&k);
	}
	assert_int_equal(n_calls, 3 + 1);
	secret_free(d);
}

static void prf_plus_bounds(void **state)
{
	static uint8_t out[255 * 32 + 1];
	const struct ike_iov seed[] = {{bytes, 1}, {bytes, 2}, {bytes, 3}, {bytes, 4}, {bytes, 5}};

	(void)state;
	assert_true(
		ike_prf_plus(&crypto, IKE_PRF_HMAC_SHA2_256, bytes, 32, seed, 4, out, 255 * 32));
	memset(out, 0xaa, sizeof(out));
	/* RFC 7296 2.13: not defined beyond 255 blocks. */
	assert_false(
		ike_prf_plus(&crypto, IKE_PRF_HMAC_SHA2_256, bytes, 32, seed, 4, out, sizeof(out)));
	for (size_t i = 0; i < sizeof(out); i++)
		assert_int_equal(out[i], 0);
	assert_false(ike_prf_plus(&crypto, IKE_PRF_HMAC_SHA2_256, bytes, 32, seed, 5, out, 32));
	assert_false(ike_prf_plus(&crypto, IKE_PRF_NONE, bytes, 32, seed, 4, out, 32));
	assert_true(ike_prf_plus(&crypto, IKE_PRF_HMAC_SHA2_256, bytes, 32, seed, 4, out, 0));
}

/* The keys depend on everything that they should, SPIs and their order included. */
/* Requirements: RFC7296-2.14-keys */
static void everything_counts(void **state)
{
	const uint8_t other[32] = {8};
	const struct ike_nonces n = {rd_of(bytes, 32), rd_of(bytes, 32)};
	const struct ike_nonces ni = {rd_of(other, 32), rd_of(bytes, 32)};
	const struct ike_nonces nr = {rd_of(bytes, 32), rd_of(other, 32)};
	const struct {
		const struct ike_nonces *n;
		const uint8_t *shared;
		uint64_t spi_i, spi_r;
	} inputs[] = {
		{&n, bytes, 1, 2},
		{&ni, bytes, 1, 2},
		{&nr, bytes, 1, 2},
		{&n, other, 1, 2},
		{&n, bytes, 2, 1},
		{&n, bytes, 1, 3},
		{&n, bytes, 1 + (1ull << 63), 2},
	};
	struct ike_sa_keys k[7];

	(void)state;
	for (size_t i = 0; i < 7; i++) {
		assert_int_equal(ike_keys_initial(&crypto, &gcm, inputs[i].n, inputs[i].shared, 32,
						  inputs[i].spi_i, inputs[i].spi_r, &k[i]),
				 IKE_OK);
		for (size_t j = 0; j < i; j++)
			assert_false(secret_equal(k[i].ei, k[j].ei));
	}
	for (size_t i = 0; i < 7; i++)
		ike_sa_keys_free(&k[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nonce_sizes),     cmocka_unit_test(suite_shapes),
		cmocka_unit_test(resumed_keys),    cmocka_unit_test(failure_leaves_nothing),
		cmocka_unit_test(prf_plus_bounds), cmocka_unit_test(everything_counts),
	};

	if (!secret_init())
		return 2;
	crypto = test_crypto(&seeded, 3);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
