/* SPDX-License-Identifier: Apache-2.0 */
/* The arithmetic of overhead, by itself and against what encapsulation really makes. */
#include "util.h"

/* Largest inner packets for 1500 bytes outside: v4, v4 in UDP, v6, v6 in UDP. */
static const struct mtu_row {
	struct suite_row suite;
	uint32_t want[4];
} rows[] = {
	{{ESP_ENCR_AES_GCM_16, 128, 0}, {1446, 1438, 1426, 1418}},
	{{ESP_ENCR_AES_GCM_16, 256, 0}, {1446, 1438, 1426, 1418}},
	{{ESP_ENCR_AES_GCM_12, 256, 0}, {1450, 1442, 1430, 1422}},
	{{ESP_ENCR_AES_GCM_8, 128, 0}, {1454, 1446, 1434, 1426}},
	{{ESP_ENCR_NULL_AUTH_AES_GMAC, 256, 0}, {1446, 1438, 1426, 1418}},
	{{ESP_ENCR_CHACHA20_POLY1305, 256, 0}, {1446, 1438, 1426, 1418}},
	{{ESP_ENCR_AES_CBC, 128, ESP_INTEG_HMAC_SHA1_96}, {1438, 1422, 1422, 1406}},
	{{ESP_ENCR_AES_CBC, 256, ESP_INTEG_HMAC_SHA1_96}, {1438, 1422, 1422, 1406}},
	{{ESP_ENCR_AES_CBC, 128, ESP_INTEG_HMAC_SHA2_256_128}, {1438, 1422, 1406, 1406}},
	{{ESP_ENCR_AES_CBC, 256, ESP_INTEG_HMAC_SHA2_256_128}, {1438, 1422, 1406, 1406}},
	{{ESP_ENCR_AES_CBC, 256, ESP_INTEG_HMAC_SHA2_384_192}, {1422, 1422, 1406, 1390}},
	{{ESP_ENCR_AES_CBC, 128, ESP_INTEG_HMAC_SHA2_512_256}, {1422, 1406, 1390, 1390}},
};

static void test_table(void **state)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct esp_suite s = suite_of(&rows[i].suite);

		for (unsigned k = 0; k < 4; k++)
			assert_int_equal(esp_inner_mtu(&s, k & 2, k & 1, 1500), rows[i].want[k]);
	}
}

static void test_none_fits(void **state)
{
	for (size_t i = 0; i < n_suite_rows; i++) {
		const struct esp_suite s = suite_of(&suite_rows[i]);
		bool fits = false;

		/* Never shrinks as the path grows; zero until an IPv4 header fits. */
		for (uint32_t mtu = 0, last = 0; mtu < 2000; mtu++) {
			const uint32_t inner = esp_inner_mtu(&s, true, true, mtu);

			assert_true(inner >= last);
			assert_true(inner == 0 || inner >= 20);
			assert_true(inner < mtu || mtu == 0);
			last = inner;
			fits = fits || inner;
		}
		assert_true(fits);
	}
}

/* The largest that fits fits, and one byte more does not: by real packets. */
static void test_real(void **state)
{
	for (size_t i = 0; i < n_suite_rows; i++)
		for (unsigned k = 0; k < 4; k++)
			for (uint32_t mtu = 1270; mtu < 1310; mtu++) {
				struct esp_sa_cfg cfg = cfg_of(&suite_rows[i]);
				struct buf b;
				struct pair p;
				uint32_t inner;

				cfg.udp_encap = k & 1;
				if (k & 2) {
					assert_true(ip_parse("2001:db8::1", &cfg.local.addr));
					assert_true(ip_parse("2001:db8::2", &cfg.remote.addr));
				}
				if (mtu != 1270 && mtu != 1309 && i % 4)
					continue;
				pair_init(&p, &cfg, &esp_backend_openssl, &esp_backend_openssl);
				inner = esp_inner_mtu(&cfg.suite, k & 2, k & 1, mtu);
				buf_inner4(&b, inner);
				assert_drop(encap_one(&p, &b), ESP_DROP_OK);
				assert_true(b.pkt.size <= mtu);
				buf_inner4(&b, inner + 1);
				assert_drop(encap_one(&p, &b), ESP_DROP_OK);
				assert_true(b.pkt.size > mtu);
				pair_fini(&p);
			}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_table),
		cmocka_unit_test(test_none_fits),
		cmocka_unit_test(test_real),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
