/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tests of puzzles (RFC 8019 7.1.3). The cookie is the one of RFC 8019 4.4; the keys were found by
 * Python's hmac, which shares no code with us.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include "ike/puzzle.h"
#include "tests/ike/util.h"

static const char cookie_hex[] = "fdbcfa5a430d7201282358a2a034de0013cfe2ae";

static struct test_random random_state;

/* Requirements: RFC8019-7.1.3-puzzle */
static void known_solutions(void **state)
{
	static const struct {
		uint16_t prf;
		uint8_t bits; /* exactly so many of the least of the four */
		size_t key_size;
		const char *keys;
	} cases[] = {
		{IKE_PRF_HMAC_SHA1, 9, 4, "000002f70000097d00000d0900000d13"},
		{IKE_PRF_HMAC_SHA2_256, 11, 3, "0003040007360013470013a6"},
		{IKE_PRF_HMAC_SHA2_384, 8, 2, "00a200d2011a0204"},
		{IKE_PRF_HMAC_SHA2_512, 12, 8,
		 "0000000000002b4600000000000033670000000000003c4b0000000000004c57"},
	};
	const struct ike_crypto c = test_crypto(&random_state, 1);
	uint8_t cookie[64], keys[256], wrong[256];
	const struct rd s = rd_of(cookie, unhex(cookie_hex, cookie, sizeof(cookie)));

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const size_t size = unhex(cases[i].keys, keys, sizeof(keys));
		const size_t key = cases[i].key_size;
		const uint16_t prf = cases[i].prf;
		const uint8_t bits = cases[i].bits;

		assert_int_equal(size, 4 * key);
		assert_true(ike_puzzle_check(&c, prf, s, bits, rd_of(keys, size)));
		assert_true(ike_puzzle_check(&c, prf, s, 0, rd_of(keys, size)));
		assert_false(ike_puzzle_check(&c, prf, s, bits + 1, rd_of(keys, size)));
		assert_false(ike_puzzle_check(&c, prf, s, 255, rd_of(keys, size)));
		/* For this cookie only. */
		assert_false(ike_puzzle_check(&c, prf, rd_of(cookie, 19), bits, rd_of(keys, size)));
		/* Each key counts. */
		for (size_t at = 0; at < size; at++) {
			memcpy(wrong, keys, size);
			wrong[at] ^= 1;
			assert_false(ike_puzzle_check(&c, prf, s, bits, rd_of(wrong, size)));
		}
		/* Four, of one size, all different. */
		for (size_t n = 0; n < size; n++)
			assert_false(ike_puzzle_check(&c, prf, s, bits, rd_of(keys, n)));
		memcpy(wrong, keys, size);
		memcpy(wrong + 3 * key, wrong, key);
		assert_false(ike_puzzle_check(&c, prf, s, 0, rd_of(wrong, size)));
		assert_false(ike_puzzle_check(&c, IKE_PRF_NONE, s, 0, rd_of(keys, size)));
		assert_false(ike_puzzle_check(&c, 8 /* AES-CMAC */, s, 0, rd_of(keys, size)));
	}
	memset(wrong, 0, sizeof(wrong));
	for (size_t i = 0; i < sizeof(wrong); i += sizeof(wrong) / 4)
		wrong[i] = (uint8_t)i;
	assert_true(ike_puzzle_check(&c, IKE_PRF_HMAC_SHA2_256, s, 0, rd_of(wrong, sizeof(wrong))));
	uint8_t longer[260] = {0};
	for (size_t i = 0; i < 4; i++)
		longer[i * 65] = (uint8_t)i;
	assert_false(ike_puzzle_check(&c, IKE_PRF_HMAC_SHA2_256, s, 0, rd_of(longer, 260)));
}

static void found_solutions(void **state)
{
	const struct ike_crypto c = test_crypto(&random_state, 1);
	uint8_t cookie[64];
	const struct rd s = rd_of(cookie, unhex(cookie_hex, cookie, sizeof(cookie)));
	const struct ike_puzzle_ask ask = {IKE_PRF_HMAC_SHA2_256, 9};
	enum ike_puzzle_state result = IKE_PUZZLE_MORE;
	struct ike_puzzle p;
	unsigned slices = 0;

	(void)state;
	assert_true(ike_puzzle_begin(&ask, s, &p));
	while (result == IKE_PUZZLE_MORE) {
		result = ike_puzzle_work(&c, &p, 100);
		slices++;
		assert_true(p.n_tried <= slices * 100);
	}
	assert_int_equal(result, IKE_PUZZLE_SOLVED);
	assert_true(slices > 5);
	assert_true(ike_puzzle_check(&c, ask.prf, s, ask.bits, rd_of(p.keys, sizeof(p.keys))));
}

static unsigned n_prfs;

static bool never_zero(void *ctx, enum ike_prf prf, const uint8_t *key, size_t key_size,
		       const struct ike_iov *in, size_t n_in, uint8_t *out)
{
	n_prfs++;
	memset(out, 0xff, ike_prf_desc(prf)->size);
	return true;
}

/* Requirements: RFC8019-7.1.2-bound */
static void no_end_of_work(void **state)
{
	struct ike_crypto c = test_crypto(&random_state, 1);
	enum ike_puzzle_state result = IKE_PUZZLE_MORE;
	uint8_t cookie[80] = {0};
	struct ike_puzzle p;

	(void)state;
	c.prf = never_zero;
	for (unsigned bits = 0; bits < 256; bits++) {
		const struct ike_puzzle_ask ask = {IKE_PRF_HMAC_SHA2_512, (uint8_t)bits};

		assert_int_equal(ike_puzzle_begin(&ask, rd_of(cookie, 64), &p),
				 bits <= IKE_PUZZLE_BITS_MAX);
		assert_false(ike_puzzle_begin(&ask, rd_of(cookie, 0), &p));
		assert_false(ike_puzzle_begin(&ask, rd_of(cookie, 65), &p));
	}
	for (unsigned prf = 0; prf < 65536; prf++) {
		const struct ike_puzzle_ask ask = {(uint16_t)prf, 1};

		assert_int_equal(ike_puzzle_begin(&ask, rd_of(cookie, 1), &p),
				 ike_prf_desc((uint16_t)prf) != NULL);
	}
	assert_true(ike_puzzle_begin(&(struct ike_puzzle_ask){IKE_PRF_HMAC_SHA1, 1},
				     rd_of(cookie, 64), &p));
	while (result == IKE_PUZZLE_MORE) {
		const unsigned before = n_prfs;

		result = ike_puzzle_work(&c, &p, 100000);
		assert_true(n_prfs - before <= 100000);
	}
	assert_int_equal(result, IKE_PUZZLE_TOO_HARD);
	assert_int_equal(n_prfs, IKE_PUZZLE_TRIES);
}

static void wire(void **state)
{
	const struct ike_puzzle_ask ask = {IKE_PRF_HMAC_SHA2_384, 17};
	struct ike_puzzle_ask back;
	uint8_t data[IKE_PUZZLE_ASK_SIZE + 1];

	(void)state;
	ike_puzzle_write(&ask, data);
	assert_memory_equal(data, ((uint8_t[]){0, 6, 17}), 3);
	assert_true(ike_puzzle_parse(rd_of(data, 3), &back));
	assert_true(back.prf == ask.prf && back.bits == ask.bits);
	for (size_t n = 0; n < 5; n++)
		assert_int_equal(ike_puzzle_parse(rd_of(data, n), &back), n == 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(known_solutions),
		cmocka_unit_test(found_solutions),
		cmocka_unit_test(no_end_of_work),
		cmocka_unit_test(wire),
	};

	return cmocka_run_group_tests_name("puzzle", tests, NULL, NULL);
}
