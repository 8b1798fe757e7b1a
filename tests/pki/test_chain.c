/* SPDX-License-Identifier: Apache-2.0 */
/* Chains: what is taken, and every way in which one must be refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "tests/pki/chain.h"

static void good_chains(void **state)
{
	int64_t until;
	struct made short_lived;

	assert_true(accepted((struct attempt){.anchor = &root, .sent = {&leaf, &sub}}));
	/* A root that the peer sends along is no harm, nor is any order of the rest. */
	assert_true(accepted((struct attempt){.anchor = &root, .sent = {&leaf, &root, &sub}}));
	/* The subordinate CA as anchor: the chain ends there. */
	assert_true(accepted((struct attempt){.anchor = &sub, .sent = {&leaf}}));
	assert_true(accepted((struct attempt){.anchor = &sub, .sent = {&leaf, &sub, &root}}));
	/* The peer's own certificate as anchor, sent or not (RFC 7296 3.6). */
	assert_true(accepted((struct attempt){.anchor = &leaf, .sent = {&leaf}}));
	assert_true(accepted((struct attempt){.anchor = &leaf}));

	short_lived = make_cert(&(struct recipe){.subject = "CN=short",
						 .key = k_leaf,
						 .issuer = &sub,
						 .until = NOW + 1000,
						 .san = SAN});
	assert_true(
		attempt(&(struct attempt){.anchor = &root, .sent = {&short_lived, &sub}}, &until));
	assert_int_equal(until, NOW + 1000);
	made_free(&short_lived);
}

static void no_path(void **state)
{
	struct made other, self, impostor_root, impostor;

	refused((struct attempt){.anchor = &root, .sent = {&leaf}}, "signed by CN=Sub, O=Test");
	refused((struct attempt){.anchor = &root}, "sent no certificate");
	/* A CA of the same name with another key vouches for nobody. */
	other = make_cert(&(struct recipe){
		.subject = "CN=Sub, O=Test", .key = k_leaf, .basic = "critical,CA:TRUE"});
	refused((struct attempt){.anchor = &other, .sent = {&leaf}}, "certificate of CN=Site A");
	self = make_cert(&(struct recipe){.subject = "CN=me", .key = k_leaf, .san = SAN});
	refused((struct attempt){.anchor = &root, .sent = {&self}}, "signed by itself");
	/* A whole chain of the attacker's, root included. */
	impostor_root = make_cert(&(struct recipe){.subject = "CN=Root, O=Test",
						   .key = k_leaf,
						   .basic = "critical,CA:TRUE",
						   .use = CA_USE});
	impostor = make_cert(&(struct recipe){
		.subject = "CN=me", .key = k_leaf, .issuer = &impostor_root, .san = SAN});
	refused((struct attempt){.anchor = &root, .sent = {&impostor, &impostor_root}},
		"the certificate of");
	made_free(&other);
	made_free(&self);
	made_free(&impostor);
	made_free(&impostor_root);
}

static void times(void **state)
{
	const struct attempt a = {.anchor = &root, .sent = {&leaf, &sub}};
	struct attempt b = a;

	b.now = NOW + YEAR - 1;
	assert_true(accepted(b));
	b.now = NOW + YEAR + 1;
	refused(b, "expired on 2028-01-15");
	b.now = NOW - YEAR - 1;
	refused(b, "is not valid before 2026-01-15");
}

/* Recipes of an end entity below `sub` that must be refused, and two that must not. */
/* Requirements: CVE-2017-11185 */
static void end_entities(void **state)
{
	EVP_PKEY *small = key_rsa(1024, 65537), *three = key_rsa(2048, 3),
		 *curve = key_ec("secp256k1");
	const struct {
		struct recipe r;
		const char *reason; /* NULL: good */
	} cases[] = {
		{{.extended_use = "serverAuth"}, NULL},
		{{.extended_use = "clientAuth,codeSigning"}, NULL},
		{{.extended_use = "1.3.6.1.5.5.8.2.2"}, NULL},
		{{.extended_use = "1.3.6.1.5.5.7.3.17"}, NULL},
		{{.extended_use = "anyExtendedKeyUsage"}, NULL},
		{{.extended_use = "critical,codeSigning"}, "is for other uses"},
		{{.extended_use = "OCSPSigning"}, "is for other uses"},
		{{.use = "digitalSignature"}, NULL},
		{{.use = "nonRepudiation"}, NULL},
		{{.use = "critical,keyEncipherment"}, "is not for signatures"},
		{{.use = "keyCertSign,cRLSign"}, "is not for signatures"},
		{{.extra_oid = "1.2.3.4.5"}, NULL},
		{{.extra_oid = "1.2.3.4.5", .extra_critical = true}, "critical extension"},
		{{.key = k_rsa_leaf}, NULL},
		{{.key = small}, "RSA key of 1024 bits"},
		/* CVE-2017-11185, CVE-2018-16151: exponents that make signatures forgeable. */
		{{.key = three}, "exponent"},
		{{.key = curve}, "another curve"},
		{{.md = EVP_sha1()}, "is signed with sha1"},
		{{.md = EVP_sha224()}, "is signed with sha224"},
		{{.md = EVP_sha512()}, NULL},
		{{.from = NOW - 2 * YEAR, .until = NOW - DAY}, "expired on 2027-01-14"},
		{{.from = NOW + DAY}, "is the clock right?"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct recipe r = cases[i].r;
		struct made m;

		r.subject = "CN=Site A";
		r.issuer = &sub;
		r.san = SAN;
		if (!r.key)
			r.key = k_leaf;
		m = make_cert(&r);
		if (cases[i].reason)
			refused((struct attempt){.anchor = &root, .sent = {&m, &sub}},
				cases[i].reason);
		else if (!accepted((struct attempt){.anchor = &root, .sent = {&m, &sub}}))
			fail_msg("case %zu", i);
		made_free(&m);
	}
	EVP_PKEY_free(small);
	EVP_PKEY_free(three);
	EVP_PKEY_free(curve);
}

/* What stands between anchor and end entity; refused whichever way libcrypto or a rule says it. */
static void authorities(void **state)
{
	const struct {
		struct recipe r;
		bool good;
	} cases[] = {
		{{.basic = "critical,CA:TRUE", .use = CA_USE}, true},
		{{.basic = "CA:TRUE"}, true},
		{{.basic = "critical,CA:TRUE", .extended_use = "serverAuth"}, true},
		{{.basic = NULL, .use = CA_USE}, false},
		{{.basic = "critical,CA:FALSE", .use = CA_USE}, false},
		{{.basic = NULL}, false},
		{{.basic = NULL, .version = 1}, false},
		{{.basic = "critical,CA:TRUE", .use = "digitalSignature"}, false},
		{{.basic = "critical,CA:TRUE", .extended_use = "codeSigning"}, false},
		{{.basic = "critical,CA:TRUE", .md = EVP_sha1()}, false},
		{{.basic = "critical,CA:TRUE", .until = NOW - DAY}, false},
		{{.basic = "critical,CA:TRUE", .from = NOW + DAY}, false},
		{{.basic = "critical,CA:TRUE", .extra_oid = "1.2.3.4", .extra_critical = true},
		 false},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct recipe r = cases[i].r;
		struct made ca, m;

		r.subject = "CN=Between";
		r.issuer = &root;
		r.key = k_sub;
		if (r.until)
			r.from = NOW - YEAR;
		ca = make_cert(&r);
		m = make_cert(&(struct recipe){
			.subject = "CN=x", .key = k_leaf, .issuer = &ca, .san = SAN});
		if (cases[i].good != accepted((struct attempt){.anchor = &root, .sent = {&m, &ca}}))
			fail_msg("case %zu", i);
		made_free(&ca);
		made_free(&m);
	}
}

static void path_length(void **state)
{
	/* sub has pathlen 0: a CA below it certifies nobody. */
	struct made deep = make_cert(&(struct recipe){.subject = "CN=Deep",
						      .key = k_rsa,
						      .issuer = &sub,
						      .basic = "critical,CA:TRUE",
						      .use = CA_USE});
	struct made m = make_cert(
		&(struct recipe){.subject = "CN=x", .key = k_leaf, .issuer = &deep, .san = SAN});

	refused((struct attempt){.anchor = &root, .sent = {&m, &deep, &sub}}, "pathLenConstraint");
	assert_true(accepted((struct attempt){.anchor = &deep, .sent = {&m}}));
	made_free(&deep);
	made_free(&m);
}

/* Requirements: PKI-name-constraints */
static void name_constraints(void **state)
{
	const struct {
		const char *constraints, *san, *id;
		bool good;
	} cases[] = {
		{"critical,permitted;DNS:example", "DNS:a.example", "a.example", true},
		{"critical,permitted;DNS:other.example", "DNS:a.example", "a.example", false},
		{"permitted;DNS:other.example", "DNS:a.example", "a.example", false},
		{"critical,excluded;DNS:a.example", "DNS:a.example", "a.example", false},
		{"critical,excluded;DNS:b.example", "DNS:a.example", "a.example", true},
		/* Every name counts, not only the one that is asked for. */
		{"critical,excluded;DNS:b.example", "DNS:a.example,DNS:b.example", "a.example",
		 false},
		{"critical,permitted;IP:10.0.0.0/255.0.0.0", "DNS:a.example,IP:192.0.2.1",
		 "a.example", false},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct made ca = make_cert(&(struct recipe){.subject = "CN=Narrow",
							    .key = k_sub,
							    .issuer = &root,
							    .basic = "critical,CA:TRUE",
							    .constraints = cases[i].constraints});
		struct made m = make_cert(&(struct recipe){
			.subject = "O=Test", .key = k_leaf, .issuer = &ca, .san = cases[i].san});
		const struct attempt a = {
			.anchor = &root, .sent = {&m, &ca}, .id = fqdn(cases[i].id)};

		if (cases[i].good)
			assert_true(accepted(a));
		else
			refused(a, "nameConstraints");
		made_free(&ca);
		made_free(&m);
	}
}

/* Requirements: CVE-2021-41990 */
static void pss_certificates(void **state)
{
	/* CVE-2021-41990: the salt's length comes from the certificate. */
	static const struct {
		int salt;
		bool good;
	} cases[] = {{32, true}, {20, false}, {64, false}};
	struct made ca = make_cert(&(struct recipe){
		.subject = "CN=RSA", .key = k_rsa, .basic = "critical,CA:TRUE", .pss_salt = 32});

	struct made m;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		m = make_cert(&(struct recipe){.subject = "CN=x",
					       .key = k_rsa_leaf,
					       .issuer = &ca,
					       .san = SAN,
					       .pss_salt = cases[i].salt});

		if (accepted((struct attempt){.anchor = &ca, .sent = {&m}}) != cases[i].good)
			fail_msg("salt %d", cases[i].salt);
		made_free(&m);
	}
	m = make_cert(&(struct recipe){
		.subject = "CN=x", .key = k_rsa_leaf, .issuer = &ca, .san = SAN, .md = EVP_md5()});
	refused((struct attempt){.anchor = &ca, .sent = {&m}}, "is signed with md5");
	made_free(&m);
	made_free(&ca);
}

static void identities(void **state)
{
	static const uint8_t v4[] = {192, 0, 2, 1}, v4_other[] = {192, 0, 2, 2};
	static const uint8_t v6[16] = {0x20, 0x01, 0x0d, 0xb8, [15] = 1};
	static const char with_nul[] = "a.example\0.attacker.example";
	uint8_t dn[256], dn_case[256], dn_other[256];
	struct sb why = sb_of(text, sizeof(text));
	const size_t n_dn = pki_dn_parse("CN=Site A, O=Test", dn, sizeof(dn), &why);
	const size_t n_case = pki_dn_parse("CN=SITE  a, O=test", dn_case, sizeof(dn_case), &why);
	const size_t n_other = pki_dn_parse("O=Test, CN=Site A", dn_other, sizeof(dn_other), &why);
#define TEXT(type, s)                                                                              \
	{                                                                                          \
		type,                                                                              \
		{                                                                                  \
			(const uint8_t *)(s), sizeof(s) - 1                                        \
		}                                                                                  \
	}
	const struct {
		struct pki_id id;
		bool good;
	} cases[] = {
		{TEXT(PKI_ID_FQDN, "a.example"), true},
		{TEXT(PKI_ID_FQDN, "A.EXAMPLE"), true},
		{TEXT(PKI_ID_FQDN, "b.example"), false},
		{TEXT(PKI_ID_FQDN, "xa.example"), false},
		{TEXT(PKI_ID_FQDN, "a.exampl"), false},
		{TEXT(PKI_ID_FQDN, "a.example."), false},
		{TEXT(PKI_ID_FQDN, ""), false},
		{TEXT(PKI_ID_FQDN, "*.example"), false},
		{TEXT(PKI_ID_FQDN, "Site A"), false}, /* the common name is no host */
		{TEXT(PKI_ID_FQDN, "192.0.2.1"), false},
		{{PKI_ID_FQDN, {(const uint8_t *)with_nul, sizeof(with_nul) - 1}}, false},
		{{PKI_ID_FQDN, {(const uint8_t *)with_nul, 10}}, false},
		{TEXT(PKI_ID_RFC822_ADDR, "User@a.example"), true},
		{TEXT(PKI_ID_RFC822_ADDR, "User@A.Example"), true},
		{TEXT(PKI_ID_RFC822_ADDR, "user@a.example"), false},
		{TEXT(PKI_ID_RFC822_ADDR, "a.example"), false},
		{{PKI_ID_IPV4_ADDR, {v4, 4}}, true},
		{{PKI_ID_IPV4_ADDR, {v4_other, 4}}, false},
		{{PKI_ID_IPV4_ADDR, {v4, 3}}, false},
		{{PKI_ID_IPV6_ADDR, {v6, 16}}, true},
		{{PKI_ID_IPV6_ADDR, {v6, 15}}, false},
		{{PKI_ID_DER_ASN1_DN, {dn, n_dn}}, true},
		{{PKI_ID_DER_ASN1_DN, {dn_case, n_case}}, true}, /* RFC 5280 7.1 */
		{{PKI_ID_DER_ASN1_DN, {dn_other, n_other}}, false},
		{{PKI_ID_DER_ASN1_DN, {dn, n_dn - 1}}, false},
		{{PKI_ID_DER_ASN1_DN, {dn, 0}}, false},
		{TEXT(11, "Site A"), false}, /* ID_KEY_ID is in no certificate */
		{TEXT(10, "Site A"), false},
	};

	assert_true(n_dn && n_case && n_other);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct attempt a = {
			.anchor = &root, .sent = {&leaf, &sub}, .id = cases[i].id};
		int64_t until;

		if (attempt(&a, &until) != cases[i].good)
			fail_msg("case %zu: %s", i, text);
	}
}

static void names_in_certificates(void **state)
{
	const struct {
		const char *subject, *san, *id;
		bool good;
	} cases[] = {
		{"CN=a.example", NULL, "a.example", false},    /* no fallback to the common name */
		{"CN=x", "DNS:*.example", "a.example", false}, /* RFC 4945 3.1.2 */
		{"CN=x", "DNS:*.example", "*.example", false},
		{"CN=x", "DNS:b.example,DNS:a.example", "a.example", true},
		{"CN=x", "URI:a.example", "a.example", false},
		{"CN=x", "email:a.example", "a.example", false},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct made m = make_cert(&(struct recipe){.subject = cases[i].subject,
							   .key = k_leaf,
							   .issuer = &sub,
							   .san = cases[i].san});
		const struct attempt a = {
			.anchor = &root, .sent = {&m, &sub}, .id = fqdn(cases[i].id)};

		if (cases[i].good)
			assert_true(accepted(a));
		else
			refused(a, "does not name the identity");
		made_free(&m);
	}
}

/* Truncated at every byte, and with every bit wrong: never a crash, never accepted. */
/* Requirements: PKI-damaged */
static void damaged(void **state)
{
	struct made bad = {.der = {.data = malloc(leaf.der.size), .size = leaf.der.size}};
	int64_t until;

	for (size_t n = 0; n < leaf.der.size; n++) {
		/* Exactly as large: a sanitizer sees any read beyond. */
		uint8_t *copy = malloc(n ? n : 1);
		struct made cut = {.der = {copy, n}};

		memcpy(copy, leaf.der.data, n);
		assert_false(attempt(&(struct attempt){.anchor = &sub, .sent = {&cut}}, &until));
		assert_false(
			attempt(&(struct attempt){.anchor = &root, .sent = {&leaf, &cut}}, &until));
		free(copy);
	}
	for (size_t bit = 0; bit < 8 * leaf.der.size; bit++) {
		memcpy(bad.der.data, leaf.der.data, leaf.der.size);
		bad.der.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
		if (attempt(&(struct attempt){.anchor = &sub, .sent = {&bad}}, &until))
			fail_msg("accepted with bit %zu wrong", bit);
	}
	free(bad.der.data);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(good_chains),
		cmocka_unit_test(no_path),
		cmocka_unit_test(times),
		cmocka_unit_test(end_entities),
		cmocka_unit_test(authorities),
		cmocka_unit_test(path_length),
		cmocka_unit_test(name_constraints),
		cmocka_unit_test(pss_certificates),
		cmocka_unit_test(identities),
		cmocka_unit_test(names_in_certificates),
		cmocka_unit_test(damaged),
	};

	return cmocka_run_group_tests(tests, chain_setup, chain_teardown);
}
