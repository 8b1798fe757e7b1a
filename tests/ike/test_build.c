/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of the builders: what they write parses as it was meant; damage to it never gets through wrong. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include "tests/ike/util.h"

static void samples_parse(void **state)
{
	static const uint32_t want[] = {
		IKE_HAS_SA | IKE_HAS_KE | IKE_HAS_NONCE | IKE_HAS_VENDOR,
		IKE_HAS_SA | IKE_HAS_KE | IKE_HAS_NONCE | IKE_HAS_VENDOR,
		IKE_HAS_IDI | IKE_HAS_IDR | IKE_HAS_AUTH | IKE_HAS_SA | IKE_HAS_TSI | IKE_HAS_TSR,
		IKE_HAS_SA | IKE_HAS_NONCE | IKE_HAS_KE,
		0,
		IKE_HAS_CERT | IKE_HAS_CERTREQ | IKE_HAS_CP | IKE_HAS_EAP | IKE_HAS_VENDOR,
		IKE_HAS_SK,
		0,
	};
	uint8_t data[SAMPLE_MAX];
	struct ike_msg m;
	size_t n, size;

	(void)state;
	for (n = 0; (size = sample(n, data)) != 0; n++) {
		assert_int_equal(ike_msg_parse(data, size, &m), IKE_OK);
		assert_int_equal(m.present, want[n]);
		assert_int_equal(m.h.message_id, n);
		assert_true(rebuilds(&m));
	}
	assert_int_equal(n, sizeof(want) / sizeof(want[0]));
}

static void sample_contents(void **state)
{
	uint8_t data[SAMPLE_MAX];
	struct ike_msg m;

	(void)state;
	assert_int_equal(ike_msg_parse(data, sample(2, data), &m), IKE_OK);
	assert_int_equal(m.idi.type, IKE_ID_FQDN);
	assert_int_equal(m.idi.data.size, 14);
	assert_memory_equal(m.idi.data.p, "gw-a.example.n", 14);
	assert_int_equal(m.idi.body.size, 18); /* type, reserved and data: what AUTH covers */
	assert_ptr_equal(m.idi.body.p + 4, m.idi.data.p);
	assert_int_equal(m.idr.data.size, 16);
	assert_int_equal(m.auth.method, 2);
	assert_int_equal(m.auth.data.size, 48);
	assert_int_equal(m.tsi.n, 4);
	assert_int_equal(m.tsi.ts[1].port_last, 443);
	assert_int_equal(m.tsi.ts[1].protocol, 6);
	assert_int_equal(m.tsi.ts[3].last.b[4], 1);
	assert_non_null(ike_msg_notify(&m, IKE_N_INITIAL_CONTACT));

	assert_int_equal(ike_msg_parse(data, sample(3, data), &m), IKE_OK);
	assert_int_equal(m.sa.proposals[0].number, 2);
	assert_int_equal(m.sa.proposals[0].spi_size, 8);
	assert_int_equal(m.sa.proposals[0].spi[7], 8);
	assert_int_equal(m.ke.dh, IKE_DH_ECP_521);
	assert_int_equal(m.ke.data.size, 132);
	assert_int_equal(m.nonce.size, 48);

	assert_int_equal(ike_msg_parse(data, sample(4, data), &m), IKE_OK);
	assert_int_equal(m.n_deletes, 2);
	assert_int_equal(m.deletes[0].n_spis, 3);
	assert_int_equal(m.deletes[0].spis[11], 12);
	assert_int_equal(m.deletes[1].protocol, IKE_PROTO_IKE);
}

/* Each prefix of each sample, as it is and with the header's length made to agree. */
static void truncated_everywhere(void **state)
{
	uint8_t data[SAMPLE_MAX];
	struct ike_msg m;
	size_t size;

	(void)state;
	for (size_t n = 0; (size = sample(n, data)) != 0; n++) {
		for (size_t cut = 0; cut < size; cut++) {
			uint8_t *exact =
				malloc(cut + 1); /* at its end begins what must not be read */

			assert_non_null(exact);
			memcpy(exact, data, cut);
			assert_int_equal(ike_msg_parse(exact, cut, &m), cut < IKE_HEADER_SIZE
										? IKE_ERR_TRUNCATED
										: IKE_ERR_LENGTH);
			free(exact);
			if (cut < IKE_HEADER_SIZE)
				continue;
			exact = malloc(cut);
			assert_non_null(exact);
			memcpy(exact, data, cut);
			exact[24] = exact[25] = 0;
			exact[26] = (uint8_t)(cut >> 8);
			exact[27] = (uint8_t)cut;
			assert_int_equal(ike_msg_parse(exact, cut, &m), IKE_ERR_TRUNCATED);
			free(exact);
		}
	}
}

/* Each single bit of each sample: an error, or a message that rebuilds. */
static void every_bit_flipped(void **state)
{
	uint8_t data[SAMPLE_MAX];
	struct ike_msg m;
	size_t size, n_ok = 0, n_refused = 0;

	(void)state;
	for (size_t n = 0; (size = sample(n, data)) != 0; n++) {
		uint8_t *exact = malloc(size);

		assert_non_null(exact);
		memcpy(exact, data, size);
		for (size_t bit = 0; bit < 8 * size; bit++) {
			exact[bit / 8] ^= (uint8_t)(1 << bit % 8);
			if (ike_msg_parse(exact, size, &m) == IKE_OK) {
				/* SA payloads are the costly part, and bits of KE are all alike. */
				if (bit % 8 == 0)
					assert_true(rebuilds(&m));
				n_ok++;
			} else {
				n_refused++;
			}
			exact[bit / 8] ^= (uint8_t)(1 << bit % 8);
		}
		assert_memory_equal(exact, data, size);
		free(exact);
	}
	assert_true(n_ok > 1000 && n_refused > 1000);
}

/* A builder that runs out of room says so at the end, at every size. */
static void overflow_everywhere(void **state)
{
	static const struct ike_suite suite = {IKE_ENCR_AES_GCM_16, 256, IKE_PRF_HMAC_SHA2_256, 0,
					       IKE_DH_ECP_256,      0};
	const struct ike_header h = test_header(IKE_SA_INIT, IKE_FLAG_INITIATOR, 0);
	const struct ike_algs algs = ike_algs_of(&suite, 1);
	const uint8_t bytes[64] = {0};
	size_t need = 0;

	(void)state;
	for (size_t size = 256; size-- > 0;) {
		uint8_t *buf = malloc(size + 1);
		struct ike_builder b;
		size_t n;

		assert_non_null(buf);
		ike_build_open(&b, buf, size, &h);
		ike_build_sa(&b, IKE_PROTO_IKE, NULL, 0, &algs, false, IKE_DH_NONE);
		ike_build_ke(&b, IKE_DH_ECP_256, bytes, 64);
		ike_build_nonce(&b, bytes, 32);
		n = ike_build_close(&b);
		if (need == 0)
			need = n;
		assert_int_equal(n, size >= need ? need : 0);
		free(buf);
	}
	assert_true(need > 150);
}

/* Lengths of payloads are 16 bits wide, and a UDP datagram is not longer either. */
static void too_long(void **state)
{
	static uint8_t data[70000], buf[140000];
	const struct ike_algs nothing = {0};
	const struct ike_header h = test_header(IKE_SA_INIT, IKE_FLAG_INITIATOR, 0);
	struct ike_builder b;

	(void)state;
	ike_build_open(&b, buf, sizeof(buf), &h);
	ike_build_vendor(&b, data, 65535 - 28 - 4);
	assert_int_equal(ike_build_close(&b), 65535);
	ike_build_open(&b, buf, sizeof(buf), &h);
	ike_build_vendor(&b, data, 65535 - 28 - 4 + 1);
	assert_int_equal(ike_build_close(&b), 0);
	ike_build_open(&b, buf, sizeof(buf), &h);
	ike_build_vendor(&b, data, 70000);
	assert_int_equal(ike_build_close(&b), 0);
	ike_build_open(&b, buf, sizeof(buf), &h);
	ike_build_sa(&b, IKE_PROTO_IKE, NULL, 0, &nothing, false, IKE_DH_NONE);
	assert_int_equal(ike_build_close(&b), 0);
}

static void inner_chain(void **state)
{
	struct ike_builder b;
	uint8_t buf[64], first;
	size_t size;

	(void)state;
	ike_build_open_inner(&b, buf, sizeof(buf));
	assert_true(ike_build_close_inner(&b, &size, &first));
	assert_int_equal(size, 0);
	assert_int_equal(first, IKE_PL_NONE);

	ike_build_open_inner(&b, buf, sizeof(buf));
	ike_build_delete(&b, IKE_PROTO_IKE, 0, NULL, 0);
	ike_build_vendor(&b, "x", 1);
	assert_true(ike_build_close_inner(&b, &size, &first));
	assert_int_equal(size, 8 + 5);
	assert_int_equal(first, IKE_PL_DELETE);
	assert_int_equal(buf[0], IKE_PL_VENDOR);

	ike_build_open_inner(&b, buf, 7);
	ike_build_delete(&b, IKE_PROTO_IKE, 0, NULL, 0);
	assert_false(ike_build_close_inner(&b, &size, &first));
	assert_int_equal(size, 0);
	assert_int_equal(first, IKE_PL_NONE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(samples_parse),
		cmocka_unit_test(sample_contents),
		cmocka_unit_test(truncated_everywhere),
		cmocka_unit_test(every_bit_flipped),
		cmocka_unit_test(overflow_everywhere),
		cmocka_unit_test(inner_chain),
		cmocka_unit_test(too_long),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
