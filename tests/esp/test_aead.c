/* SPDX-License-Identifier: Apache-2.0 */
/* The AEAD backends against each other: every suite, size and alignment; bursts; suites. */
#include <stdlib.h>
#include "aead_checks.h"

static const struct suite_case {
	uint16_t encr, bits, integ;
	bool ok;
	uint8_t iv, icv, align, encr_key, salt, integ_key;
	const char *name;
} suite_cases[] = {
	{20, 128, 0, true, 8, 16, 4, 20, 4, 0, "aes-128-gcm-16"},
	{20, 192, 0, true, 8, 16, 4, 28, 4, 0, "aes-192-gcm-16"},
	{20, 256, 0, true, 8, 16, 4, 36, 4, 0, "aes-256-gcm-16"},
	{12, 128, 12, true, 16, 16, 16, 16, 0, 32, "aes-128-cbc/sha2-256"},
	{12, 256, 13, true, 16, 24, 16, 32, 0, 48, "aes-256-cbc/sha2-384"},
	{12, 256, 14, true, 16, 32, 16, 32, 0, 64, "aes-256-cbc/sha2-512"},
	{18, 128, 0, true, 8, 8, 4, 20, 4, 0, "aes-128-gcm-8"},
	{18, 256, 0, true, 8, 8, 4, 36, 4, 0, "aes-256-gcm-8"},
	{19, 192, 0, true, 8, 12, 4, 28, 4, 0, "aes-192-gcm-12"},
	{21, 128, 0, true, 8, 16, 4, 20, 4, 0, "aes-128-gmac"},
	{21, 256, 0, true, 8, 16, 4, 36, 4, 0, "aes-256-gmac"},
	{28, 256, 0, true, 8, 16, 4, 36, 4, 0, "chacha20-poly1305"},
	{28, 0, 0, true, 8, 16, 4, 36, 4, 0, "chacha20-poly1305"},
	{12, 128, 2, true, 16, 12, 16, 16, 0, 20, "aes-128-cbc/sha1"},
	/* an AEAD with integrity, CBC without, unknown numbers and lengths */
	{20, 128, 12, false},
	{20, 0, 0, false},
	{20, 64, 0, false},
	{20, 512, 0, false},
	{12, 128, 0, false},
	{12, 128, 1, false},
	{12, 129, 12, false},
	{12, 128, 15, false},
	{12, 0, 12, false},
	{11, 0, 12, false},
	{0, 0, 0, false},
	{17, 128, 0, false},
	{22, 128, 0, false},
	{18, 128, 2, false},
	{19, 0, 0, false},
	{21, 256, 12, false},
	{21, 0, 0, false},
	{21, 257, 0, false},
	{28, 128, 0, false},
	{28, 512, 0, false},
	{28, 256, 2, false},
	{284, 256, 0, false},
	{65535, 256, 0, false},
};

static void test_suites(void **state)
{
	for (size_t i = 0; i < sizeof(suite_cases) / sizeof(suite_cases[0]); i++) {
		const struct suite_case *c = &suite_cases[i];
		char name[ESP_SUITE_STRLEN];
		struct esp_suite s;

		assert_int_equal(esp_suite_init(&s, c->encr, c->bits, c->integ), c->ok);
		if (!c->ok)
			continue;
		assert_int_equal(s.iv_size, c->iv);
		assert_int_equal(s.icv_size, c->icv);
		assert_int_equal(s.align, c->align);
		assert_int_equal(s.encr_key_size, c->encr_key);
		assert_int_equal(s.salt_size, c->salt);
		assert_int_equal(s.integ_key_size, c->integ_key);
		assert_int_equal(s.aead, c->encr != 12);
		assert_string_equal(esp_suite_format(&s, name), c->name);
	}
}

static void test_backends(void **state)
{
	assert_ptr_equal(esp_backend_by_name("ipsec-mb"), &esp_backend_ipsec_mb);
	assert_ptr_equal(esp_backend_by_name("openssl"), &esp_backend_openssl);
	assert_null(esp_backend_by_name("none"));
#if defined(__x86_64__)
	assert_ptr_equal(esp_backend_by_name("vaes"), &esp_backend_vaes);
	assert_ptr_equal(esp_backends[0], &esp_backend_vaes);
	assert_ptr_equal(esp_backends[1], &esp_backend_vaes_256);
	assert_ptr_equal(esp_backends[2], &esp_backend_ipsec_mb);
#endif
}

static uint64_t ticks;

static uint64_t fake_clock(void)
{
	return ticks += 7;
}

static void test_time(void **state)
{
	const struct esp_suite gcm = suite_of(&suite_rows[0]), cbc = suite_of(&suite_rows[3]);

	assert_int_equal(esp_backend_time(&esp_backend_ipsec_mb, &gcm, fake_clock, 0), 7);
	assert_int_equal(esp_backend_time(&esp_backend_ipsec_mb, &cbc, fake_clock, 7), 7);
	assert_true(esp_backend_time(&esp_backend_vaes, &cbc, fake_clock, 7) == UINT64_MAX);
}

/* Every backend against OpenSSL. */
static void test_cross(void **state)
{
	struct rng r = {.s = 1};

	for (size_t i = 0; esp_backends[i]; i++)
		if (esp_backends[i] != &esp_backend_openssl && backend_works(esp_backends[i]))
			check_cross(esp_backends[i], &esp_backend_openssl, 2032, 1, &r);
}

static void test_bursts(void **state)
{
	struct rng r = {.s = 77};

	for (size_t i = 0; esp_backends[i]; i++)
		for (int k = 0; backend_works(esp_backends[i]) && k < 40; k++)
			check_burst(esp_backends[i], &r);
}

static void test_bad_sizes(void **state)
{
	for (size_t i = 0; esp_backends[i]; i++)
		check_bad_sizes(esp_backends[i]);
}

static void test_unsupported(void **state)
{
	for (size_t i = 0; esp_backends[i]; i++)
		if (backend_works(esp_backends[i]))
			check_unsupported(esp_backends[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_suites),      cmocka_unit_test(test_backends),
		cmocka_unit_test(test_time),        cmocka_unit_test(test_cross),
		cmocka_unit_test(test_bursts),      cmocka_unit_test(test_bad_sizes),
		cmocka_unit_test(test_unsupported),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
