/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of the IKE header: versions, lengths, exchange types, every short datagram. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include "tests/ike/util.h"

/* clang-format off */
static const struct {
	const char *name;
	const char *hex; /* spi_i spi_r next version exchange flags message-id length [rest] */
	enum ike_err want;
} cases[] = {
	{"plain",                "0123456789abcdef 0000000000000000 00 20 22 08 00000000 0000001c", IKE_OK},
	{"minor version 1",      "0123456789abcdef 0000000000000000 00 21 22 08 00000000 0000001c", IKE_OK},
	{"minor version 15",     "0123456789abcdef 0000000000000000 00 2f 25 08 00000000 0000001c", IKE_OK},
	{"all flag bits",        "0123456789abcdef 0000000000000000 00 20 22 ff 00000000 0000001c", IKE_OK},
	{"version 3.0",          "0123456789abcdef 0000000000000000 00 30 22 08 00000000 0000001c", IKE_ERR_VERSION},
	{"version 15.0",         "0123456789abcdef 0000000000000000 00 f0 22 08 00000000 0000001c", IKE_ERR_VERSION},
	{"version 3, bad length","0123456789abcdef 0000000000000000 00 30 22 08 00000000 00000000", IKE_ERR_VERSION},
	{"IKEv1 main mode",      "0123456789abcdef 0000000000000000 01 10 02 00 00000000 0000001c", IKE_ERR_IKEV1},
	{"version 0",            "0123456789abcdef 0000000000000000 00 00 22 08 00000000 0000001c", IKE_ERR_IKEV1},
	{"length short by one",  "0123456789abcdef 0000000000000000 00 20 22 08 00000000 0000001b", IKE_ERR_LENGTH},
	{"length long by one",   "0123456789abcdef 0000000000000000 00 20 22 08 00000000 0000001d", IKE_ERR_LENGTH},
	{"length 0",             "0123456789abcdef 0000000000000000 00 20 22 08 00000000 00000000", IKE_ERR_LENGTH},
	{"length 2^32-1",        "0123456789abcdef 0000000000000000 00 20 22 08 00000000 ffffffff", IKE_ERR_LENGTH},
	{"trailing byte",        "0123456789abcdef 0000000000000000 00 20 22 08 00000000 0000001c 00", IKE_ERR_LENGTH},
	{"exchange 0",           "0123456789abcdef 0000000000000000 00 20 00 08 00000000 0000001c", IKE_ERR_EXCHANGE},
	{"IKE_INTERMEDIATE",     "0123456789abcdef 0000000000000000 00 20 2b 08 00000000 0000001c", IKE_OK},
	{"IKE_FOLLOWUP_KE",      "0123456789abcdef 0000000000000000 00 20 2c 08 00000000 0000001c", IKE_OK},
	{"exchange 33",          "0123456789abcdef 0000000000000000 00 20 21 08 00000000 0000001c", IKE_ERR_EXCHANGE},
	{"exchange 39",          "0123456789abcdef 0000000000000000 00 20 27 08 00000000 0000001c", IKE_ERR_EXCHANGE},
	{"exchange 255",         "0123456789abcdef 0000000000000000 00 20 ff 08 00000000 0000001c", IKE_ERR_EXCHANGE},
	{"counted trailing byte","0123456789abcdef 0000000000000000 00 20 22 08 00000000 0000001d 00", IKE_OK},
};
/* clang-format on */

/* Requirements: RFC7296-2.5-minor */
static void header_cases(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint8_t data[64];
		const size_t size = unhex(cases[i].hex, data, sizeof(data));
		struct ike_header h;
		const enum ike_err err = ike_header_parse(data, size, &h);

		if (err != cases[i].want)
			fail_msg("%s: %s, want %s", cases[i].name, ike_err_desc(err)->name,
				 ike_err_desc(cases[i].want)->name);
		assert_int_equal(h.spi_i, 0x0123456789abcdef);
	}
}

/* Requirements: CVE-2013-4564 */
static void short_datagrams(void **state)
{
	uint8_t data[IKE_HEADER_SIZE];

	(void)state;
	unhex(cases[0].hex, data, sizeof(data));
	for (size_t size = 0; size < IKE_HEADER_SIZE; size++) {
		struct ike_header h = {.spi_i = 1};

		/* The length field may agree with the size: it is too short all the same. */
		data[27] = (uint8_t)size;
		assert_int_equal(ike_header_parse(data, size, &h), IKE_ERR_TRUNCATED);
		assert_int_equal(h.spi_i, 0);
	}
}

/* Requirements: RFC7296-2.5-major, RFC7296-2.5-minor */
static void all_versions_and_exchanges(void **state)
{
	uint8_t data[IKE_HEADER_SIZE];
	struct ike_header h;

	(void)state;
	unhex(cases[0].hex, data, sizeof(data));
	for (unsigned version = 0; version < 256; version++) {
		data[17] = (uint8_t)version;
		assert_int_equal(ike_header_parse(data, sizeof(data), &h),
				 version >> 4 == 2  ? IKE_OK
				 : version >> 4 < 2 ? IKE_ERR_IKEV1
						    : IKE_ERR_VERSION);
	}
	data[17] = 0x20;
	for (unsigned exchange = 0; exchange < 256; exchange++) {
		data[18] = (uint8_t)exchange;
		assert_int_equal(ike_header_parse(data, sizeof(data), &h),
				 (exchange >= 34 && exchange <= 38) || exchange == 43 ||
						 exchange == 44
					 ? IKE_OK
					 : IKE_ERR_EXCHANGE);
	}
}

static void header_round_trip(void **state)
{
	const struct ike_header h = {
		0x1122334455667788, 0x99aabbccddeeff00, 0, 0x20, IKE_INFORMATIONAL, 0x28,
		0xdeadbeef,         IKE_HEADER_SIZE};
	struct ike_header again;
	uint8_t data[IKE_HEADER_SIZE];
	struct wr w = wr_of(data, sizeof(data));

	(void)state;
	ike_header_build(&w, &h);
	assert_true(wr_ok(&w));
	assert_int_equal(w.n, IKE_HEADER_SIZE);
	assert_int_equal(ike_header_parse(data, sizeof(data), &again), IKE_OK);
	assert_true(h.spi_i == again.spi_i && h.spi_r == again.spi_r);
	assert_int_equal(again.next_payload, h.next_payload);
	assert_int_equal(again.version, h.version);
	assert_int_equal(again.exchange, h.exchange);
	assert_int_equal(again.flags, h.flags);
	assert_int_equal(again.message_id, h.message_id);
	assert_int_equal(again.length, h.length);
}

static void errors_have_words(void **state)
{
	(void)state;
	for (int e = 0; e < IKE_ERR_END; e++) {
		assert_non_null(ike_err_desc((enum ike_err)e)->name);
		assert_non_null(ike_err_text((enum ike_err)e));
		for (int f = 0; f < e; f++)
			assert_string_not_equal(ike_err_desc((enum ike_err)e)->name,
						ike_err_desc((enum ike_err)f)->name);
	}
	assert_string_equal(ike_err_desc(IKE_ERR_END)->name, "?");
	assert_string_equal(ike_exchange_name(IKE_SA_INIT), "IKE_SA_INIT");
	assert_string_equal(ike_payload_name(IKE_PL_SK), "SK");
	assert_string_equal(ike_payload_name(200), "?");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(header_cases),
		cmocka_unit_test(short_datagrams),
		cmocka_unit_test(all_versions_and_exchanges),
		cmocka_unit_test(header_round_trip),
		cmocka_unit_test(errors_have_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
