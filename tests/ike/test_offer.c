/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of what we offer: as few proposals as say it, all of it and nothing else; and of its answers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "ike/proposal_int.h"
#include "tests/ike/offer.h"
#include "tests/ike/util.h"

/* Lists become as few proposals as can say the same (RFC 7296 3.3, RFC 9370 2.2.2). */
static void offer_cases(void **state)
{
	/* clang-format off */
	static const struct {
		uint8_t protocol;
		bool skip_ke;
		uint16_t group;
		const char *ours, *want;
	} offers[] = {
		{IKE, 0, 0, BOTH, "1 aes-256-gcm-16 prf-sha2-384 prf-sha2-256 dh-20 dh-14;"
				  "2 aes-256-cbc prf-sha2-384 prf-sha2-256 sha2-256 dh-20 dh-14"},
		{IKE, 0, 14, GCM20 " dh-14", "1 aes-256-gcm-16 prf-sha2-384 dh-14 dh-20"},
		{IKE, 0, 19, GCM20 " dh-14", "1 aes-256-gcm-16 prf-sha2-384 dh-20 dh-14"},
		{IKE, 0, 0, "aes-128-cbc aes-256-gcm-16 sha2-256 prf-sha2-256 dh-19",
		 "1 aes-128-cbc prf-sha2-256 sha2-256 dh-19;2 aes-256-gcm-16 prf-sha2-256 dh-19"},
		/* An offer of CBC needs integrity. */
		{IKE, 0, 0, "aes-256-cbc " GCM20, "1 aes-256-gcm-16 prf-sha2-384 dh-20"},
		/* ML-KEM required, preferred, two of three optional */
		{IKE, 0, 0, GCM20 " ke1-768", "1 aes-256-gcm-16 prf-sha2-384 dh-20 ke1-768"},
		{IKE, 0, 0, GCM20 " ke1-768 no-ke1",
		 "1 aes-256-gcm-16 prf-sha2-384 dh-20 ke1-768;2 aes-256-gcm-16 prf-sha2-384 dh-20"},
		{IKE, 0, 0, GCM20 " ke1-768 ke2-1024 no-ke2 ke3-32 no-ke3",
		 "1 aes-256-gcm-16 prf-sha2-384 dh-20 ke1-768 ke2-1024 no-ke2 ke3-32 no-ke3"},
		{IKE, 0, 0, BOTH " ke1-768 no-ke1",
		 "1 aes-256-gcm-16 prf-sha2-384 prf-sha2-256 dh-20 dh-14 ke1-768;"
		 "2 aes-256-cbc prf-sha2-384 prf-sha2-256 sha2-256 dh-20 dh-14 ke1-768;"
		 "3 aes-256-gcm-16 prf-sha2-384 prf-sha2-256 dh-20 dh-14;"
		 "4 aes-256-cbc prf-sha2-384 prf-sha2-256 sha2-256 dh-20 dh-14"},
		{ESP, 0, 0, "aes-256-gcm-16 dh-20 esn no-esn", "1 aes-256-gcm-16 dh-20 esn no-esn"},
		{ESP, 0, 0, "aes-256-gcm-16 dh-20 no-dh esn", "1 aes-256-gcm-16 dh-20 esn;2 aes-256-gcm-16 esn"},
		{ESP, 0, 0, "aes-256-gcm-16 no-dh dh-20 esn", "1 aes-256-gcm-16 esn;2 aes-256-gcm-16 dh-20 esn"},
		{ESP, 1, 0, "aes-256-gcm-16 no-dh dh-20 esn ke1-768", "1 aes-256-gcm-16 esn"},
		{ESP, 0, 20, "aes-256-gcm-16 dh-20 dh-31 no-dh esn ke1-768 no-ke1",
		 "1 aes-256-gcm-16 dh-20 dh-31 esn ke1-768;2 aes-256-gcm-16 dh-20 dh-31 esn;3 aes-256-gcm-16 esn"},
		{ESP, 0, 0, "gmac chacha aes-256-gcm-8 no-esn", "1 gmac chacha aes-256-gcm-8 no-esn"},
	};
	/* clang-format on */
	static struct ike_msg msg;

	(void)state;
	for (size_t i = 0; i < N_OF(offers); i++) {
		const struct ike_algs ours = offer_algs(offers[i].ours);
		char text[1024];

		offer_build(offers[i].protocol, &ours, offers[i].skip_ke, offers[i].group, &msg);
		offer_format(&msg.sa, text, sizeof(text));
		assert_string_equal(text, offers[i].want);
		if (offers[i].protocol == ESP)
			assert_int_equal(msg.sa.proposals[0].spi[3], 4);
	}
}

/* What is on the wire offers the combinations of our lists and no other, for random lists. */
static void offers_say_what_we_mean(void **state)
{
	static const struct ike_alg pool[IKE_N_ALG_LISTS][4] = {
		[IKE_TRANSFORM_ENCR] = {{20, 128}, {12, 256}, {28, 0}, {12, 192}},
		[IKE_TRANSFORM_PRF] = {{5, 0}, {6, 0}, {7, 0}, {2, 0}},
		[IKE_TRANSFORM_INTEG] = {{12, 0}, {13, 0}, {2, 0}, {14, 0}},
		[IKE_TRANSFORM_DH] = {{14, 0}, {31, 0}, {20, 0}, {36, 0}},
		[IKE_TRANSFORM_ADDKE1] = {{0, 0}, {36, 0}, {20, 0}, {37, 0}},
		[IKE_TRANSFORM_ADDKE1 + 1] = {{0, 0}, {36, 0}, {37, 0}, {31, 0}},
	};
	static struct ike_msg msg;
	struct test_random r = {.state = 7};
	unsigned n_meant = 0, n_refused = 0;

	(void)state;
	for (int round = 0; round < 400; round++) {
		struct ike_algs ours = {0};
		uint8_t bytes[IKE_N_ALG_LISTS];

		test_random(&r, bytes, sizeof(bytes));
		for (uint8_t type = 1; type < IKE_N_ALG_LISTS; type++)
			for (unsigned i = 0; i < 4; i++)
				if (pool[type][0].id + pool[type][1].id &&
				    (bytes[type] >> i & 1 ||
				     (i == 0 && !(bytes[type] & 15) && type <= 4)))
					assert_true(ike_algs_add(&ours, type, pool[type][i].id,
								 pool[type][i].key_bits));
		offer_build(IKE, &ours, false, 0, &msg);
		for (unsigned c = 0; c < 4096; c++) {
			const struct ike_alg *encr = &pool[1][c & 3];
			const bool aead = ike_encr_desc(encr->id)->aead;
			const struct ike_suite s = {
				.encr = encr->id,
				.encr_key_bits = encr->key_bits,
				.prf = pool[2][c >> 2 & 3].id,
				.integ = aead ? 0 : pool[3][c >> 4 & 3].id,
				.dh = pool[4][c >> 6 & 3].id,
				.ake = {pool[6][c >> 8 & 3].id, pool[7][c >> 10 & 3].id},
			};
			const bool twice =
				(s.ake[0] && (s.ake[0] == s.ake[1] || s.ake[0] == s.dh)) ||
				(s.ake[1] && s.ake[1] == s.dh);
			const bool meant = ike_algs_permit(&ours, &s) && !twice;
			const struct ike_algs one = ike_algs_of(&s, 1);
			const struct ike_proposal *p;
			struct ike_suite out;

			assert_int_equal(ike_proposal_select(&msg.sa, IKE, &one, false, &out, &p),
					 meant ? IKE_OK : IKE_ERR_NO_PROPOSAL);
			if (meant)
				assert_true(ike_suite_equal(&out, &s));
			n_meant += meant;
			n_refused += !meant;
		}
		for (size_t i = 0; i < msg.sa.n_proposals; i++)
			assert_int_equal(msg.sa.proposals[i].number, i + 1);
	}
	assert_true(n_meant > 1000 && n_refused > 1000);
}

/* Each offer's answer comes back to the suite, whatever is chosen: what is NONE is said as such. */
static void answers_come_back(void **state)
{
	static struct ike_msg msg, answer;
	const struct ike_algs theirs = offer_algs(
		"aes-256-gcm-16 prf-sha2-256 dh-31 dh-20 ke1-768 ke1-20 no-ke1 ke2-1024 no-ke2 "
		"ke3-32 no-ke3");
	static const char *const ours[] = {
		"aes-256-gcm-16 prf-sha2-256 dh-31 no-ke1 no-ke2 no-ke3",
		"aes-256-gcm-16 prf-sha2-256 dh-31 ke1-768",
		"aes-256-gcm-16 prf-sha2-256 dh-31 ke2-1024",
		"aes-256-gcm-16 prf-sha2-256 dh-20 ke1-20 ke1-768 ke3-32",
		"aes-256-gcm-16 prf-sha2-256 dh-20 dh-31 ke1-20 ke2-1024 ke3-32",
	};
	static const char *const want[] = {
		"aes-256-gcm-16/prf-sha2-256/dh-31",
		"aes-256-gcm-16/prf-sha2-256/dh-31/ke1-ml-kem-768",
		"aes-256-gcm-16/prf-sha2-256/dh-31/ke2-ml-kem-1024",
		"aes-256-gcm-16/prf-sha2-256/dh-20/ke1-ml-kem-768/ke3-32",
		"aes-256-gcm-16/prf-sha2-256/dh-31/ke1-20/ke2-ml-kem-1024/ke3-32",
	};

	(void)state;
	offer_build(IKE, &theirs, false, 0, &msg);
	for (size_t i = 0; i < N_OF(ours); i++) {
		const struct ike_algs a = offer_algs(ours[i]);
		const struct ike_proposal *p, *q;
		struct ike_suite s, back;
		char text[IKE_SUITE_STRLEN];
		uint8_t buf[256], first;
		struct ike_builder b;
		size_t size, n = 0;

		assert_int_equal(ike_proposal_select(&msg.sa, IKE, &a, false, &s, &p), IKE_OK);
		assert_string_equal(ike_suite_format(&s, text), want[i]);
		ike_build_open_inner(&b, buf, sizeof(buf));
		ike_build_sa_chosen(&b, p->number, IKE, NULL, 0, &s);
		assert_true(ike_build_close_inner(&b, &size, &first));
		memset(&answer, 0, sizeof(answer));
		assert_int_equal(ike_msg_parse_inner(first, rd_of(buf, size), &answer), IKE_OK);
		/* RFC 7296 3.3.6: one transform of each type of the proposal that was chosen. */
		for (uint8_t type = 1; type <= 12; type++) {
			size_t n_offered = 0, n_answered = 0;

			for (size_t t = 0; t < p->n_transforms; t++)
				n_offered += p->transforms[t].type == type;
			for (size_t t = 0; t < answer.sa.proposals[0].n_transforms; t++)
				n_answered += answer.sa.proposals[0].transforms[t].type == type;
			assert_int_equal(n_answered, n_offered > 0);
			n += n_answered;
		}
		assert_int_equal(n, answer.sa.proposals[0].n_transforms);
		assert_int_equal(ike_proposal_check(&answer.sa, IKE, &theirs, false, &back, &q),
				 IKE_OK);
		assert_true(ike_suite_equal(&back, &s));
	}
}

/* CVE-2016-5391's field: an offer and an answer without any one of the types that it needs. */
/* Requirements: CVE-2016-5391 */
static void each_type_missing(void **state)
{
	static const struct {
		uint8_t protocol;
		const char *ours;
		uint32_t needed; /* types, as bits */
	} cases[] = {
		{IKE, GCM20, 1 << 1 | 1 << 2 | 1 << 4},
		{IKE, CBC14, 1 << 1 | 1 << 2 | 1 << 3 | 1 << 4},
		{IKE, CBC14 " ke1-768", 1 << 1 | 1 << 2 | 1 << 3 | 1 << 4 | 1 << 6},
		{ESP, "aes-256-gcm-16 dh-20 esn", 1 << 1 | 1 << 4 | 1 << 5},
		{ESP, "aes-256-cbc sha2-256 dh-20 esn ke1-768",
		 1 << 1 | 1 << 3 | 1 << 4 | 1 << 5 | 1 << 6},
	};
	static struct ike_msg msg;

	(void)state;
	for (size_t i = 0; i < N_OF(cases); i++) {
		const struct ike_algs ours = offer_algs(cases[i].ours);

		for (uint8_t type = 0; type <= 8; type++) {
			const bool ok = !(cases[i].needed >> type & 1);
			const struct ike_proposal *p;
			struct ike_proposal *o = &msg.sa.proposals[0];
			struct ike_suite s;
			struct ike_difference diff;
			uint8_t n = 0;

			offer_build(cases[i].protocol, &ours, false, 0, &msg);
			for (uint8_t t = 0; t < o->n_transforms; t++)
				if (o->transforms[t].type != type)
					o->transforms[n++] = o->transforms[t];
			o->n_transforms = n;
			assert_int_equal(ike_proposal_select(&msg.sa, cases[i].protocol, &ours,
							     false, &s, &p) == IKE_OK,
					 ok);
			assert_int_equal(ike_proposal_check(&msg.sa, cases[i].protocol, &ours,
							    false, &s, &p) == IKE_OK,
					 ok);
			ike_proposal_compare(&msg.sa, cases[i].protocol, &ours, &diff);
			assert_int_equal(strstr(diff.text, "no difference") != NULL, ok);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(offer_cases),
		cmocka_unit_test(offers_say_what_we_mean),
		cmocka_unit_test(answers_come_back),
		cmocka_unit_test(each_type_missing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
