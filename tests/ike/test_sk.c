/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of the Encrypted payload: round trips, damage, padding, IVs, sizes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include "base/secret.h"
#include "ike/sk.h"
#include "tests/ike/util.h"

static const struct ike_suite suites[] = {
	{IKE_ENCR_AES_GCM_16, 128, IKE_PRF_HMAC_SHA2_256, 0, IKE_DH_ECP_256, 0},
	{IKE_ENCR_AES_GCM_16, 256, IKE_PRF_HMAC_SHA2_384, 0, IKE_DH_ECP_384, 0},
	{IKE_ENCR_AES_CBC, 128, IKE_PRF_HMAC_SHA2_256, IKE_INTEG_HMAC_SHA2_256_128, IKE_DH_ECP_256,
	 0},
	{IKE_ENCR_AES_CBC, 256, IKE_PRF_HMAC_SHA2_256, IKE_INTEG_HMAC_SHA2_384_192, IKE_DH_ECP_256,
	 0},
	{IKE_ENCR_AES_CBC, 256, IKE_PRF_HMAC_SHA2_512, IKE_INTEG_HMAC_SHA2_512_256, IKE_DH_ECP_256,
	 0},
	{IKE_ENCR_AES_CBC, 192, IKE_PRF_HMAC_SHA1, IKE_INTEG_HMAC_SHA1_96, IKE_DH_MODP_2048, 0},
	{IKE_ENCR_AES_GCM_16, 192, IKE_PRF_HMAC_SHA1, 0, IKE_DH_ECP_521, 0},
	{IKE_ENCR_AES_GCM_12, 256, IKE_PRF_HMAC_SHA2_256, 0, IKE_DH_CURVE448, 0},
	{IKE_ENCR_AES_GCM_8, 128, IKE_PRF_HMAC_SHA2_256, 0, IKE_DH_CURVE25519, 0},
	{IKE_ENCR_CHACHA20_POLY1305, 0, IKE_PRF_HMAC_SHA2_512, 0, IKE_DH_CURVE25519, 0},
};
#define N_SUITES (sizeof(suites) / sizeof(suites[0]))

struct keys {
	struct secret *e, *a;
	struct ike_sk_dir dir;
};

static struct keys keys_of(const struct ike_suite *s, uint64_t seed)
{
	const struct ike_integ_desc *integ = ike_integ_desc(s->integ);
	struct test_random r = {.state = seed};
	struct keys k = {.e = secret_new(ike_suite_encr_key_size(s)),
			 .a = integ ? secret_new(integ->key_size) : NULL};

	test_random(&r, secret_data_mut(k.e), secret_size(k.e));
	if (k.a)
		test_random(&r, secret_data_mut(k.a), secret_size(k.a));
	k.dir = (struct ike_sk_dir){k.e, k.a};
	return k;
}

static void keys_end(struct keys *k)
{
	secret_free(k->e);
	secret_free(k->a);
}

static struct test_random seeded;
static struct ike_crypto crypto;

static enum ike_err open_message(const struct ike_suite *s, struct ike_sk_dir k,
				 const uint8_t *data, size_t size, uint8_t *plain, struct rd *inner)
{
	struct ike_msg msg;
	const enum ike_err err = ike_msg_parse(data, size, &msg);

	return err != IKE_OK
		       ? err
		       : ike_sk_open(&crypto, s, k, data, size, &msg, plain, SAMPLE_MAX, inner);
}

/* Every suite, every size of content from nothing to a few blocks. */
static void round_trips(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_SUITES; i++) {
		struct keys k = keys_of(&suites[i], i);
		uint64_t counter = 0;

		for (size_t n = 0; n <= 100; n++) {
			const struct ike_header h =
				test_header(IKE_INFORMATIONAL, IKE_FLAG_RESPONSE, (uint32_t)n);
			uint8_t text[100], data[SAMPLE_MAX], plain[SAMPLE_MAX];
			struct ike_msg msg;
			struct rd inner;
			size_t size;

			test_random(&seeded, text, n);
			size = ike_sk_seal(&crypto, &suites[i], k.dir, &counter, &h,
					   n ? IKE_PL_VENDOR : 0, text, n, data, sizeof(data));
			assert_true(size > n);
			assert_int_equal(ike_msg_parse(data, size, &msg), IKE_OK);
			assert_int_equal(msg.present, IKE_HAS_SK);
			assert_int_equal(msg.sk_next_payload, n ? IKE_PL_VENDOR : 0);
			assert_int_equal(msg.h.message_id, n);
			assert_int_equal(ike_sk_open(&crypto, &suites[i], k.dir, data, size, &msg,
						     plain, sizeof(plain), &inner),
					 IKE_OK);
			assert_int_equal(inner.size, n);
			assert_memory_equal(inner.p, text, n);
		}
		keys_end(&k);
	}
}

/* No bit of a protected message can change, none of its bytes be left out or added. */
/* Requirements: RFC7296-3.14-icv-first */
static void damage_is_found(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_SUITES; i++) {
		struct keys k = keys_of(&suites[i], i);
		const struct ike_header h = test_header(IKE_CREATE_CHILD_SA, IKE_FLAG_INITIATOR, 9);
		const uint8_t text[] = {0, 0, 0, 20, 1,  2,  3,  4,  5,  6,
					7, 8, 9, 10, 11, 12, 13, 14, 15, 16};
		uint8_t data[256], plain[SAMPLE_MAX];
		uint64_t counter = 7;
		struct rd inner;
		const size_t size =
			ike_sk_seal(&crypto, &suites[i], k.dir, &counter, &h, IKE_PL_NONCE, text,
				    sizeof(text), data, sizeof(data));

		assert_true(size != 0);
		for (size_t bit = 0; bit < 8 * size; bit++) {
			data[bit / 8] ^= (uint8_t)(1 << bit % 8);
			memset(plain, 0, sizeof(plain));
			assert_int_not_equal(
				open_message(&suites[i], k.dir, data, size, plain, &inner), IKE_OK);
			/* Nothing that was not authenticated leaves. */
			for (size_t b = 0; b < sizeof(plain); b++)
				assert_int_equal(plain[b], 0);
			data[bit / 8] ^= (uint8_t)(1 << bit % 8);
		}
		for (size_t cut = 0; cut < size; cut++) {
			uint8_t *exact = malloc(cut + 1);

			assert_non_null(exact);
			memcpy(exact, data, cut);
			if (cut >= IKE_HEADER_SIZE + 4) {
				/* Lengths that agree with the cut: only cryptography is left to object. */
				exact[27] = (uint8_t)cut;
				exact[31] = (uint8_t)(cut - IKE_HEADER_SIZE);
			}
			assert_int_not_equal(
				open_message(&suites[i], k.dir, exact, cut, plain, &inner), IKE_OK);
			free(exact);
		}
		assert_int_equal(open_message(&suites[i], k.dir, data, size, plain, &inner),
				 IKE_OK);
		keys_end(&k);
	}
}

static void wrong_keys(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_SUITES; i++) {
		struct keys k = keys_of(&suites[i], i), other = keys_of(&suites[i], 1000 + i);
		const struct ike_header h = test_header(IKE_AUTH, IKE_FLAG_INITIATOR, 1);
		const struct ike_sk_dir mixed = {other.e, k.a};
		uint8_t data[256], plain[SAMPLE_MAX];
		uint64_t counter = 0;
		struct rd inner;
		const size_t size = ike_sk_seal(&crypto, &suites[i], k.dir, &counter, &h, 0, NULL,
						0, data, sizeof(data));

		assert_int_equal(open_message(&suites[i], other.dir, data, size, plain, &inner),
				 IKE_ERR_ICV);
		/* The right integrity key with a wrong encryption key gives noise, whose pad may be anything. */
		if (k.a)
			assert_int_not_equal(
				open_message(&suites[i], mixed, data, size, plain, &inner),
				IKE_ERR_ICV);
		/* Keys of another suite's size are our own mistake, found before anything is computed. */
		for (size_t j = 0; j < N_SUITES; j++)
			if (ike_suite_encr_key_size(&suites[j]) !=
			    ike_suite_encr_key_size(&suites[i]))
				assert_int_equal(
					open_message(&suites[j], k.dir, data, size, plain, &inner),
					IKE_ERR_CRYPTO);
		keys_end(&k);
		keys_end(&other);
	}
}

/* RFC 5282 3.1: one IV, one use. */
/* Requirements: SIM-iv-once */
static void aead_counter(void **state)
{
	struct keys k = keys_of(&suites[1], 1);
	const struct ike_header h = test_header(IKE_INFORMATIONAL, 0, 1);
	uint64_t counter = 0x0102030405060708;
	uint8_t data[256];

	(void)state;
	assert_int_not_equal(ike_sk_seal(&crypto, &suites[1], k.dir, &counter, &h, 0, NULL, 0, data,
					 sizeof(data)),
			     0);
	assert_memory_equal(data + 32, "\1\2\3\4\5\6\7\10", 8);
	assert_int_equal(counter, 0x0102030405060709);
	counter = UINT64_MAX - 1;
	assert_int_not_equal(ike_sk_seal(&crypto, &suites[1], k.dir, &counter, &h, 0, NULL, 0, data,
					 sizeof(data)),
			     0);
	assert_int_equal(ike_sk_seal(&crypto, &suites[1], k.dir, &counter, &h, 0, NULL, 0, data,
				     sizeof(data)),
			 0);
	assert_int_equal(counter, UINT64_MAX);
	keys_end(&k);
}

static bool random_fails(void *ctx, uint8_t *out, size_t size)
{
	(void)ctx;
	memset(out, 0x77, size);
	return false;
}

/* CBC's IVs come from the generator, and nothing is sent without one. */
static void cbc_ivs(void **state)
{
	struct keys k = keys_of(&suites[2], 1);
	const struct ike_header h = test_header(IKE_INFORMATIONAL, 0, 1);
	uint8_t first[256], second[256];
	struct ike_crypto c;
	uint64_t counter = 0;
	size_t size;

	(void)state;
	size = ike_sk_seal(&crypto, &suites[2], k.dir, &counter, &h, 0, NULL, 0, first,
			   sizeof(first));
	assert_int_equal(size, 28 + 4 + 16 + 16 + 16);
	assert_int_equal(ike_sk_seal(&crypto, &suites[2], k.dir, &counter, &h, 0, NULL, 0, second,
				     sizeof(second)),
			 size);
	assert_memory_not_equal(first + 32, second + 32, 16);
	assert_memory_not_equal(first + 48, second + 48, 16);
	ike_crypto_openssl(&c, random_fails, NULL);
	memset(second, 0, sizeof(second));
	assert_int_equal(ike_sk_seal(&c, &suites[2], k.dir, &counter, &h, 0, NULL, 0, second,
				     sizeof(second)),
			 0);
	for (size_t i = 0; i < size; i++)
		assert_int_equal(second[i], 0);
	keys_end(&k);
}

/* Seals any plaintext, padding and pad length included, the way a careless peer would. */
static size_t seal_raw(const struct ike_suite *s, const struct keys *k, const uint8_t *text,
		       size_t n, uint8_t *out)
{
	const struct ike_encr_desc *encr = ike_encr_desc(s->encr);
	const struct ike_integ_desc *integ = ike_integ_desc(s->integ);
	const size_t icv = encr->aead ? encr->icv_size : integ->icv_size,
		     size = 32 + encr->iv_size + n + icv;
	struct ike_header h = test_header(IKE_INFORMATIONAL, IKE_FLAG_RESPONSE, 1);
	struct wr w = wr_of(out, SAMPLE_MAX);
	uint8_t nonce[12];

	h.next_payload = IKE_PL_SK;
	h.length = (uint32_t)size;
	ike_header_build(&w, &h);
	wr_u16(&w, 0);
	wr_u16(&w, (uint16_t)(size - 28));
	wr_zero(&w, encr->iv_size);
	wr_bytes(&w, text, n);
	assert_true(wr_ok(&w));
	if (encr->aead) {
		memcpy(nonce, secret_data(k->e) + ike_suite_key_bits(s) / 8, 4);
		memset(nonce + 4, 0, 8);
		assert_true(crypto.aead_seal(crypto.ctx, encr->id, secret_data(k->e),
					     ike_suite_key_bits(s) / 8, nonce, out, 32, out + 40, n,
					     out + 40 + n));
	} else {
		const struct ike_iov in = {out, size - icv};

		if (n % 16 == 0)
			assert_true(crypto.cbc_encrypt(crypto.ctx, secret_data(k->e),
						       s->encr_key_bits / 8, out + 32, out + 48,
						       n));
		assert_true(crypto.integ(crypto.ctx, (enum ike_integ)s->integ, secret_data(k->a),
					 &in, 1, out + size - icv));
	}
	return size;
}

/* Requirements: RFC7296-3.14-padding */
static void padding(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_SUITES; i++) {
		struct keys k = keys_of(&suites[i], i);

		/* Any pad length that the text can hold, and every one that it cannot. */
		for (unsigned pad = 0; pad < 256; pad++) {
			uint8_t text[64], data[SAMPLE_MAX], plain[SAMPLE_MAX];
			struct rd inner;
			enum ike_err err;

			memset(text, 0xee, sizeof(text));
			text[63] = (uint8_t)pad;
			err = open_message(&suites[i], k.dir, data,
					   seal_raw(&suites[i], &k, text, sizeof(text), data),
					   plain, &inner);
			assert_int_equal(err, pad <= 63 ? IKE_OK : IKE_ERR_PADDING);
			assert_int_equal(inner.size, pad <= 63 ? 63 - pad : 0);
		}
		keys_end(&k);
	}
}

/* Authentic, but of a size that no plaintext has. */
static void odd_sizes(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_SUITES; i++) {
		struct keys k = keys_of(&suites[i], i);
		const uint8_t text[64] = {0};

		for (size_t n = 0; n <= 33; n++) {
			uint8_t data[SAMPLE_MAX], plain[SAMPLE_MAX];
			struct rd inner;
			const enum ike_err err = open_message(
				&suites[i], k.dir, data, seal_raw(&suites[i], &k, text, n, data),
				plain, &inner);

			if (n == 0)
				assert_int_equal(err, IKE_ERR_TRUNCATED);
			else if (suites[i].encr != IKE_ENCR_AES_CBC || n % 16 == 0)
				assert_int_equal(err, IKE_OK);
			else
				assert_int_equal(err, IKE_ERR_SYNTAX);
		}
		keys_end(&k);
	}
}

static void room(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_SUITES; i++) {
		struct keys k = keys_of(&suites[i], i);
		const struct ike_header h = test_header(IKE_INFORMATIONAL, 0, 1);
		const uint8_t text[40] = {0};
		uint8_t big[256], plain[256];
		uint64_t counter = 0;
		struct ike_msg msg;
		struct rd inner;
		const size_t size =
			ike_sk_seal(&crypto, &suites[i], k.dir, &counter, &h, IKE_PL_VENDOR, text,
				    sizeof(text), big, sizeof(big));

		for (size_t n = 0; n <= size; n++) {
			uint8_t *exact = malloc(n + 1);

			assert_non_null(exact);
			assert_int_equal(ike_sk_seal(&crypto, &suites[i], k.dir, &counter, &h,
						     IKE_PL_VENDOR, text, sizeof(text), exact, n),
					 n == size ? size : 0);
			free(exact);
		}
		assert_int_equal(ike_msg_parse(big, size, &msg), IKE_OK);
		assert_int_equal(
			ike_sk_open(&crypto, &suites[i], k.dir, big, size, &msg, plain, 40, &inner),
			IKE_ERR_RESOURCES);
		msg.present = 0;
		assert_int_equal(ike_sk_open(&crypto, &suites[i], k.dir, big, size, &msg, plain,
					     sizeof(plain), &inner),
				 IKE_ERR_MISSING);
		keys_end(&k);
	}
}

/* Suites that must not protect anything. */
static void impossible_suites(void **state)
{
	static const struct ike_suite bad[] = {
		{IKE_ENCR_NONE, 0, 5, IKE_INTEG_HMAC_SHA2_256_128, 19, 0},
		{IKE_ENCR_AES_CBC, 128, 5, IKE_INTEG_NONE, 19, 0},
		{IKE_ENCR_AES_CBC, 160, 5, IKE_INTEG_HMAC_SHA2_256_128, 19, 0},
		{IKE_ENCR_AES_GCM_16, 0, 5, IKE_INTEG_NONE, 19, 0},
		{IKE_ENCR_CHACHA20_POLY1305, 256, 5, IKE_INTEG_NONE, 19, 0},
		{IKE_ENCR_NULL_AUTH_AES_GMAC, 128, 5, IKE_INTEG_NONE, 19, 0},
		{IKE_ENCR_AES_GCM_16, 128, 5, IKE_INTEG_HMAC_SHA2_256_128, 19, 0},
		{3, 192, 5, IKE_INTEG_HMAC_SHA2_256_128, 19, 0},
	};
	struct keys k = keys_of(&suites[2], 1);
	const struct ike_header h = test_header(IKE_INFORMATIONAL, 0, 1);
	uint64_t counter = 0;
	uint8_t data[256];

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(ike_sk_seal(&crypto, &bad[i], k.dir, &counter, &h, 0, NULL, 0,
					     data, sizeof(data)),
				 0);
	assert_int_equal(counter, 0);
	keys_end(&k);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(round_trips),       cmocka_unit_test(damage_is_found),
		cmocka_unit_test(wrong_keys),        cmocka_unit_test(aead_counter),
		cmocka_unit_test(cbc_ivs),           cmocka_unit_test(padding),
		cmocka_unit_test(odd_sizes),         cmocka_unit_test(room),
		cmocka_unit_test(impossible_suites),
	};

	if (!secret_init())
		return 2;
	crypto = test_crypto(&seeded, 42);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
