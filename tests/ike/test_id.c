/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of identities: patterns, text, distinguished names; and of what announces signatures. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "ike/id.h"
#include "ike/sig_alg.h"
#include "tests/ike/util.h"

static struct ike_id id_of(uint8_t type, const char *text)
{
	struct ike_id id = {.type = type};
	size_t n;

	if (type == IKE_ID_DER_ASN1_DN) {
		assert_true(ike_dn_encode(text, id.data, sizeof(id.data), &n));
		id.size = (uint8_t)n;
	} else {
		id.size = (uint8_t)strlen(text);
		memcpy(id.data, text, id.size);
	}
	return id;
}

#define IP4   IKE_ID_IPV4_ADDR
#define FQDN  IKE_ID_FQDN
#define MAIL  IKE_ID_RFC822_ADDR
#define DN    IKE_ID_DER_ASN1_DN
#define KEYID IKE_ID_KEY_ID

/* clang-format off */
static const struct {
	uint8_t type;
	const char *they; /* say that they are */
	uint8_t want_type;
	const char *want;
	bool wildcard, matches;
} matches[] = {
	{FQDN, "gw.example.net", FQDN, "gw.example.net", false, true},
	{FQDN, "GW.Example.net", FQDN, "gw.example.net", false, true},
	{FQDN, "gw.example.ne",  FQDN, "gw.example.net", false, false},
	{FQDN, "gw.example.net.", FQDN, "gw.example.net", false, false},
	{FQDN, "gx.example.net", FQDN, "gw.example.net", false, false},
	{MAIL, "gw.example.net", FQDN, "gw.example.net", false, false},
	{KEYID, "gw.example.net", FQDN, "gw.example.net", false, false},
	{KEYID, "site-a", KEYID, "site-a", false, true},
	{KEYID, "Site-a", KEYID, "site-a", false, false},
	{MAIL, "vpn@Example.net", MAIL, "vpn@example.net", false, true},
	{IP4, "\1\2\3\4", IP4, "\1\2\3\4", false, true},
	{IP4, "\1\2\3\5", IP4, "\1\2\3\4", false, false},
	/* a star means nothing where the configuration does not say so */
	{FQDN, "a.example.net", FQDN, "*.example.net", false, false},
	{FQDN, "*.example.net", FQDN, "*.example.net", false, true},
	{FQDN, "*.example.net", FQDN, "a.example.net", true, false},
	{FQDN, "a.example.net", FQDN, "*.example.net", true, true},
	{FQDN, "A.EXAMPLE.net", FQDN, "*.example.net", true, true},
	{FQDN, "a.b.example.net", FQDN, "*.example.net", true, true},
	{FQDN, "example.net", FQDN, "*.example.net", true, false},
	{FQDN, ".example.net", FQDN, "*.example.net", true, false},
	{FQDN, "aexample.net", FQDN, "*.example.net", true, false},
	{FQDN, "a.example.net.evil", FQDN, "*.example.net", true, false},
	{MAIL, "a.example.net", FQDN, "*.example.net", true, false},
	{FQDN, "gw.example.net", FQDN, "gw.example.net", true, true},
	{MAIL, "a@example.net", MAIL, "*@example.net", true, true},
	{MAIL, "@example.net", MAIL, "*@example.net", true, false},
	{MAIL, "a@b.example.net", MAIL, "*@example.net", true, false},
	{KEYID, "any thing", 0, "", true, true},
	{IP4, "\1\2\3\4", 0, "", true, true},
	/* distinguished names */
	{DN, "C=DE, O=Example, CN=a", DN, "C=DE, O=Example, CN=a", false, true},
	{DN, "c=de, O=EXAMPLE, CN=A", DN, "C=DE, O=Example, CN=a", false, true},
	{DN, "C=DE, O=Example, CN=b", DN, "C=DE, O=Example, CN=a", false, false},
	{DN, "O=Example, C=DE, CN=a", DN, "C=DE, O=Example, CN=a", false, false},
	{DN, "C=DE, O=Example", DN, "C=DE, O=Example, CN=a", false, false},
	{DN, "C=DE, O=Example, CN=a, OU=x", DN, "C=DE, O=Example, CN=a", false, false},
	{DN, "C=DE, O=Example, OU=a", DN, "C=DE, O=Example, CN=a", false, false},
	{DN, "C=DE, O=Example, CN=a", DN, "C=DE, O=Example, CN=*", false, false},
	{DN, "C=DE, O=Example, CN=a", DN, "C=DE, O=Example, CN=*", true, true},
	{DN, "C=DE, O=Other, CN=a", DN, "C=DE, O=Example, CN=*", true, false},
	{DN, "C=DE, O=Example, CN=*", DN, "C=DE, O=Example, CN=a", true, false},
};
/* clang-format on */

static void matching(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(matches) / sizeof(matches[0]); i++) {
		const struct ike_id they = id_of(matches[i].type, matches[i].they);
		const struct ike_id want = id_of(matches[i].want_type, matches[i].want);

		if (ike_id_matches(they.type, rd_of(they.data, they.size), &want,
				   matches[i].wildcard) != matches[i].matches)
			fail_msg("line %zu: '%s' and '%s'", i, matches[i].they, matches[i].want);
	}
}

/* The same name in other string types, as older CAs write it, and text cut by a NUL. */
static void other_encodings(void **state)
{
	/* SEQUENCE { SET { SEQUENCE { CN, value } } } */
	uint8_t printable[] = {0x30, 0x0e, 0x31, 0x0c, 0x30, 0x0a, 0x06, 0x03,
			       0x55, 0x04, 0x03, 0x13, 0x03, 'a',  '.',  'b'};
	uint8_t name[] = {'a', 0, 'b'}, other[] = {'a', 0, 'c'};
	const struct ike_id want = id_of(DN, "CN=A.B");
	struct ike_id id = {.type = FQDN, .size = 3};

	(void)state;
	assert_true(ike_id_equal(DN, rd_of(printable, sizeof(printable)), &want));
	printable[11] = 0x04; /* no string: compared bit by bit */
	assert_false(ike_id_equal(DN, rd_of(printable, sizeof(printable)), &want));
	memcpy(id.data, name, 3);
	assert_true(ike_id_equal(FQDN, rd_of(name, 3), &id));
	assert_false(ike_id_equal(FQDN, rd_of(other, 3), &id));
}

static void dn_text(void **state)
{
	static const struct {
		const char *text, *again; /* NULL: refused */
	} cases[] = {
		{"CN=gw", "CN=gw"},
		{"  C=DE ,O=Example Ltd , CN=gw a ", "C=DE, O=Example Ltd, CN=gw a"},
		{"O=Example\\, Inc., CN=x", "O=Example, Inc., CN=x"},
		{"DC=net, DC=example, UID=u, E=a@b.c", "DC=net, DC=example, UID=u, E=a@b.c"},
		{"emailAddress=a@b.c", "E=a@b.c"},
		{"", NULL},
		{"CN", NULL},
		{"CN=", NULL},
		{"CN=a,", NULL},
		{"XX=a", NULL},
		{"=a", NULL},
		{",CN=a", NULL},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint8_t der[200];
		char text[200];
		struct sb s = sb_of(text, sizeof(text));
		size_t n;

		if (ike_dn_encode(cases[i].text, der, sizeof(der), &n) != (cases[i].again != NULL))
			fail_msg("'%s'", cases[i].text);
		if (!cases[i].again)
			continue;
		assert_true(ike_dn_put(&s, rd_of(der, n)));
		assert_string_equal(text, cases[i].again);
	}
}

/* CVE-2013-6075: every type of identity, cut at every byte, and with every byte changed. */
/* Requirements: CVE-2013-6075 */
static void cut_everywhere(void **state)
{
	static const uint8_t types[] = {0, 1, 2, 3, 5, 9, 11, 13, 201};
	const struct ike_id dn = id_of(DN, "C=DE, O=Example, CN=gw.example.net");
	const struct ike_id wild = id_of(DN, "C=DE, O=*, CN=*"),
			    name = id_of(FQDN, "*.example.net");
	char text[300];

	(void)state;
	for (size_t i = 0; i < sizeof(types); i++) {
		for (size_t size = 0; size <= dn.size; size++) {
			uint8_t *exact = malloc(size + !size);
			struct sb s = sb_of(text, sizeof(text));

			assert_non_null(exact);
			memcpy(exact, dn.data, size);
			for (size_t bad = 0; bad <= size; bad++) {
				struct rd r = rd_of(exact, size);

				if (bad < size)
					exact[bad] ^= 0x5a;
				(void)ike_id_matches(types[i], r, &dn, false);
				(void)ike_id_matches(types[i], r, &wild, true);
				(void)ike_id_matches(types[i], r, &name, true);
				ike_id_put(&s, types[i], r);
				if (bad < size)
					exact[bad] ^= 0x5a;
			}
			if (types[i] == DN)
				assert_true(ike_id_equal(DN, rd_of(exact, size), &dn) ==
					    (size == dn.size));
			free(exact);
		}
	}
}

/* An IDi payload of each type, cut at every byte of its body. */
/* Requirements: CVE-2013-6075 */
static void payload_cut(void **state)
{
	static const uint8_t types[] = {1, 2, 3, 5, 9, 11};
	static const size_t sizes[] = {4, 9, 9, 16, 40, 9};

	(void)state;
	for (size_t i = 0; i < sizeof(types); i++) {
		for (size_t size = 0; size <= 4 + sizes[i]; size++) {
			uint8_t *chain = calloc(1, 4 + size);
			struct ike_msg m = {0};
			enum ike_err err;

			assert_non_null(chain);
			chain[3] = (uint8_t)(4 + size);
			if (size)
				chain[4] = types[i];
			err = ike_msg_parse_inner(IKE_PL_IDI, rd_of(chain, 4 + size), &m);
			if (size < 5)
				assert_int_equal(err, IKE_ERR_TRUNCATED);
			else if (size < 4 + sizes[i] && (types[i] == 1 || types[i] == 5))
				assert_int_equal(err, IKE_ERR_SYNTAX);
			else
				assert_int_equal(err, IKE_OK);
			free(chain);
		}
	}
}

/* Requirements: RFC9593-3.2-parse */
static void announcements(void **state)
{
	uint8_t buf[512];
	struct ike_announced a;
	struct ike_msg m = {0};
	struct ike_builder b;
	uint8_t first;
	size_t size;

	(void)state;
	ike_build_open_inner(&b, buf, sizeof(buf));
	ike_build_announced(&b, true, true, true);
	ike_build_hashes(&b, IKE_HASHES_OURS);
	assert_true(ike_build_close_inner(&b, &size, &first));
	assert_int_equal(ike_msg_parse_inner(first, rd_of(buf, size), &m), IKE_OK);
	assert_int_equal(m.n_notifies, 2);
	assert_true(ike_announced_parse(m.notifies[0].data, &a));
	assert_true(a.any);
	assert_int_equal(a.methods, 1u << IKE_AUTH_METHOD_SHARED_KEY |
					    1u << IKE_AUTH_METHOD_DIGITAL_SIGNATURE);
	assert_int_equal(a.sig_algs,
			 1u << IKE_AUTH_ALG_RSA_SHA2_256 | 1u << IKE_AUTH_ALG_RSA_SHA2_384 |
				 1u << IKE_AUTH_ALG_RSA_SHA2_512 | 1u << IKE_AUTH_ALG_RSA_PSS |
				 1u << IKE_AUTH_ALG_ECDSA_SHA2_256 |
				 1u << IKE_AUTH_ALG_ECDSA_SHA2_384 |
				 1u << IKE_AUTH_ALG_ECDSA_SHA2_512 | 1u << IKE_AUTH_ALG_ED25519 |
				 1u << IKE_AUTH_ALG_ED448);
	assert_int_equal(ike_hashes_parse(m.notifies[1].data), IKE_HASHES_OURS);
	/* Cut anywhere it is malformed or shorter, never read beyond. */
	for (size_t cut = 0; cut < m.notifies[0].data.size; cut++) {
		uint8_t *exact = malloc(cut + !cut);

		assert_non_null(exact);
		memcpy(exact, m.notifies[0].data.p, cut);
		(void)ike_announced_parse(rd_of(exact, cut), &a);
		(void)ike_auth_alg_of(14, rd_of(exact, cut));
		free(exact);
	}
	assert_false(ike_announced_parse(rd_of("\0", 1), &a));
	assert_false(ike_announced_parse(rd_of("\1\2", 2), &a));
	assert_false(ike_announced_parse(rd_of("\2\16", 2), &a)); /* 14 without a Cert Link */
	assert_true(ike_announced_parse(rd_of("\2\310", 2), &a)); /* a method we do not know */
	assert_int_equal(a.methods, 0);
	assert_int_equal(a.size, 2);
	assert_true(ike_announced_parse(rd_of("", 0), &a)); /* to come in IKE_INTERMEDIATE */
	assert_true(a.any && a.size == 0);
}

static void algorithm_names(void **state)
{
	static const uint8_t ed[] = {7, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 1, 2, 3};

	(void)state;
	assert_string_equal(ike_auth_alg_name(ike_auth_alg_of(14, rd_of(ed, sizeof(ed)))),
			    "ed25519");
	assert_string_equal(ike_auth_alg_name(ike_auth_alg_of(14, rd_of(ed, 3))), "signature");
	assert_string_equal(ike_auth_alg_name(ike_auth_alg_of(2, rd_of(ed, 3))), "psk");
	assert_string_equal(ike_auth_alg_name(ike_auth_alg_of(9, rd_of(ed, 3))), "ecdsa-sha2-256");
	assert_string_equal(ike_auth_alg_name(IKE_AUTH_ALG_NONE), "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(matching),        cmocka_unit_test(other_encodings),
		cmocka_unit_test(dn_text),         cmocka_unit_test(cut_everywhere),
		cmocka_unit_test(payload_cut),     cmocka_unit_test(announcements),
		cmocka_unit_test(algorithm_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
