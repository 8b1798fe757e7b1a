/* SPDX-License-Identifier: Apache-2.0 */
/* A crypto device behind the interface of the AEAD backends: DEVICE is one of DPDK's in software. */
#include "../esp/aead_checks.h"
#include <stdio.h>
#include "base/secret.h"
#include "dataplane/aeads.h"
#include "dataplane/cryptodev.h"
#include "test_eal.h"

#define N_THREADS 2u
#define MAX_SAS   64u

static const struct esp_backend *const backend = &dp_backend_cryptodev;

static int start(void **state)
{
	char error[256] = "";

	if (!secret_init() || !test_eal_init())
		return -1;
	if (dp_cryptodev_open(DEVICE, N_THREADS, MAX_SAS, error, sizeof(error)))
		return 0;
	fprintf(stderr, "%s\n", error);
	return -1;
}

static int stop(void **state)
{
	dp_cryptodev_close();
	return rte_eal_cleanup();
}

static bool serves(uint16_t encr, uint16_t bits, uint16_t integ)
{
	struct esp_suite s;

	assert_true(esp_suite_init(&s, encr, bits, integ));
	return backend->supports(&s);
}

/* What these drivers are known to do, so that nothing below passes because nothing is offered. */
static void test_suites(void **state)
{
	const bool gcm_only = strcmp(DEVICE, "crypto_aesni_gcm") == 0;

	assert_true(serves(ESP_ENCR_AES_GCM_16, 128, 0));
	assert_true(serves(ESP_ENCR_AES_GCM_16, 256, 0));
	assert_true(serves(ESP_ENCR_NULL_AUTH_AES_GMAC, 256, 0));
	assert_int_equal(serves(ESP_ENCR_AES_CBC, 128, ESP_INTEG_HMAC_SHA1_96), !gcm_only);
	assert_int_equal(serves(ESP_ENCR_AES_CBC, 256, ESP_INTEG_HMAC_SHA2_512_256), !gcm_only);
	assert_int_equal(serves(ESP_ENCR_CHACHA20_POLY1305, 256, 0),
			 strcmp(DEVICE, "crypto_aesni_mb") == 0);
}

static void test_self(void **state)
{
	assert_true(esp_backend_self_test(backend));
}

static void test_cross(void **state)
{
	struct rng r = {.s = 5};

	check_cross(backend, &esp_backend_openssl, 2032, 7, &r);
	check_cross(backend, &esp_backend_ipsec_mb, 256, 1, &r);
}

static void test_bursts(void **state)
{
	struct rng r = {.s = 6};

	for (int k = 0; k < 40; k++)
		check_burst(backend, &r);
}

static void test_bad(void **state)
{
	check_bad_sizes(backend);
	check_unsupported(backend);
}

/* More than a device's queue takes at once, and more contexts than it has queues. */
static void test_many(void **state)
{
	enum { N = 3 * ESP_BURST_MAX + 1, SIZE = 256 };
	static uint8_t mem[N][SIZE];
	struct esp_job jobs[N];
	void *ctx[5];
	struct esp_suite s;
	struct esp_key *key;

	assert_true(esp_suite_init(&s, ESP_ENCR_AES_GCM_16, 256, 0));
	for (size_t i = 0; i < 5; i++) {
		ctx[i] = backend->ctx_new();
		assert_non_null(ctx[i]);
	}
	key = backend->key_new(ctx[0], &s, false, test_encr_key, NULL);
	assert_non_null(key);
	for (size_t i = 0; i < N; i++)
		jobs[i] = (struct esp_job){.key = key, .esp = mem[i], .payload_size = 128};
	backend->seal(ctx[4], jobs, N);
	mem[70][40] ^= 1;
	backend->open(ctx[1], jobs, N);
	for (size_t i = 0; i < N; i++)
		assert_int_equal(jobs[i].ok, i != 70);
	backend->key_free(key);
	for (size_t i = 0; i < 5; i++)
		backend->ctx_free(ctx[i]);
}

/* Sessions run out one day: then there is no key, and each that is freed makes room again. */
static void test_sessions(void **state)
{
	enum { N = 4096 };
	static struct esp_key *keys[N];
	struct esp_suite s;
	void *ctx = backend->ctx_new();
	size_t n[2] = {0, 0};

	assert_true(esp_suite_init(&s, ESP_ENCR_AES_GCM_16, 128, 0));
	for (int round = 0; round < 2; round++) {
		while (n[round] < N &&
		       (keys[n[round]] = backend->key_new(ctx, &s, true, test_encr_key, NULL)))
			n[round]++;
		for (size_t i = 0; i < n[round]; i++)
			backend->key_free(keys[i]);
	}
	assert_in_range(n[0], 2 * MAX_SAS, N - 1);
	assert_int_equal(n[0], n[1]);
	backend->ctx_free(ctx);
}

/* In a thread's list it serves what it is wanted for, and the others the rest. */
static void test_pick(void **state)
{
	static struct esp_thread t, like;

	assert_false(dp_aeads_pick(&t, "none"));
	assert_true(dp_aeads_pick(&t, "cryptodev"));
	for (size_t i = 0; i < ESP_N_SUITES; i++) {
		const struct esp_suite s = esp_suite_at(i);
		const char *name = dp_aeads_name(&t, &s);

		assert_int_equal(strcmp(name, "cryptodev") == 0, backend->supports(&s));
		assert_string_not_equal(name, "");
	}
	assert_true(dp_aeads_init(&like, &t));
	assert_ptr_equal(like.aead[0].backend, backend);
	assert_memory_equal(like.chosen, t.chosen, sizeof(t.chosen));
	dp_aeads_fini(&like);
	dp_aeads_fini(&t);
	/* By time: whatever is chosen serves. */
	assert_true(dp_aeads_pick(&t, "auto"));
	for (size_t i = 0; i < ESP_N_SUITES; i++) {
		const struct esp_suite s = esp_suite_at(i);

		assert_true(t.chosen[i] > 0);
		assert_true(t.aead[t.chosen[i] - 1].backend->supports(&s));
	}
	dp_aeads_fini(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_suites),   cmocka_unit_test(test_self),
		cmocka_unit_test(test_cross),    cmocka_unit_test(test_bursts),
		cmocka_unit_test(test_bad),      cmocka_unit_test(test_many),
		cmocka_unit_test(test_sessions), cmocka_unit_test(test_pick),
	};

	return cmocka_run_group_tests(tests, start, stop);
}
