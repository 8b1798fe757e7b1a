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
#include "tests/pki/maker.h"

#define CA_USE "critical,keyCertSign,cRLSign"
#define SAN    "DNS:a.example,IP:192.0.2.1,IP:2001:db8::1,email:User@a.example"

static EVP_PKEY *k_root, *k_sub, *k_leaf, *k_rsa, *k_rsa_leaf;
static struct made root, sub, leaf; /* root <- sub <- leaf */
static char text[2 * PKI_TEXT_SIZE];

static struct pki_id fqdn(const char *name)
{
	return (struct pki_id){PKI_ID_FQDN, {(const uint8_t *)name, strlen(name)}};
}

static int setup(void **state)
{
	k_root = key_ec("P-384");
	k_sub = key_ec("P-256");
	k_leaf = key_ec("P-256");
	k_rsa = key_rsa(2048, 65537);
	k_rsa_leaf = key_rsa(2048, 65537);
	root = make_cert(&(struct recipe){.subject = "CN=Root, O=Test",
					  .key = k_root,
					  .basic = "critical,CA:TRUE",
					  .use = CA_USE});
	sub = make_cert(&(struct recipe){.subject = "CN=Sub, O=Test",
					 .key = k_sub,
					 .issuer = &root,
					 .basic = "critical,CA:TRUE,pathlen:0",
					 .use = CA_USE});
	leaf = make_cert(&(struct recipe){.subject = "CN=Site A, O=Test",
					  .key = k_leaf,
					  .issuer = &sub,
					  .use = "digitalSignature",
					  .san = SAN});
	return 0;
}

static int teardown(void **state)
{
	made_free(&root);
	made_free(&sub);
	made_free(&leaf);
	EVP_PKEY_free(k_root);
	EVP_PKEY_free(k_sub);
	EVP_PKEY_free(k_leaf);
	EVP_PKEY_free(k_rsa);
	EVP_PKEY_free(k_rsa_leaf);
	return 0;
}

struct attempt {
	const struct made *anchor;
	const struct made *sent[4]; /* end entity first */
	struct pki_id id;           /* type 0: FQDN a.example */
	int64_t now;                /* 0: NOW */
	const struct bytes *crl, *ocsp, *sent_ocsp, *sent_crl;
	bool strict;
};

static bool attempt(const struct attempt *a, int64_t *valid_until)
{
	struct sb why = sb_of(text, sizeof(text));
	struct pki_trust t = {.now = a->now ? a->now : NOW, .revocation_strict = a->strict};
	struct pki_certs *anchors = parsed(&a->anchor, 1);
	struct pki_crls *crls = NULL;
	struct pki_ocsps *ocsps = NULL;
	struct pki_offer offers[6];
	struct pki_id id = a->id.type ? a->id : fqdn("a.example");
	struct pki_pub *pub;
	size_t n = 0;
	bool ok;

	t.anchors = anchors;
	if (a->crl)
		t.crls = crls = pki_crls_parse(a->crl->data, a->crl->size, &why);
	if (a->ocsp)
		t.ocsps = ocsps = pki_ocsps_parse(a->ocsp->data, a->ocsp->size, &why);
	for (size_t i = 0; i < 4 && a->sent[i]; i++)
		offers[n++] = (struct pki_offer){PKI_ENCODING_X509,
						 {a->sent[i]->der.data, a->sent[i]->der.size}};
	if (a->sent_ocsp)
		offers[n++] = (struct pki_offer){PKI_ENCODING_OCSP,
						 {a->sent_ocsp->data, a->sent_ocsp->size}};
	if (a->sent_crl)
		offers[n++] = (struct pki_offer){PKI_ENCODING_CRL,
						 {a->sent_crl->data, a->sent_crl->size}};
	ok = pki_verify_peer(&t, offers, n, &id, &pub, valid_until, &why);
	/* A yes brings a key, a no a reason, and never both. */
	assert_int_equal(ok, pub != NULL);
	assert_int_equal(!ok, text[0] != '\0');
	pki_pub_free(pub);
	pki_certs_free(anchors);
	pki_crls_free(crls);
	pki_ocsps_free(ocsps);
	return ok;
}

static bool accepted(struct attempt a)
{
	int64_t until;
	const bool ok = attempt(&a, &until);

	if (!ok)
		print_message("# %s\n", text);
	return ok;
}

/* Refused, and the operator reads why. */
static void refused(struct attempt a, const char *reason)
{
	int64_t until;

	if (attempt(&a, &until))
		fail_msg("accepted, wanted: %s", reason);
	if (!strstr(text, reason))
		fail_msg("reason \"%s\" has no \"%s\"", text, reason);
}

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

static void revocation_lists(void **state)
{
	struct made ca = make_cert(&(struct recipe){.subject = "CN=No CRLs",
						    .key = k_sub,
						    .basic = "critical,CA:TRUE",
						    .use = "keyCertSign"});
	struct made below = make_cert(
		&(struct recipe){.subject = "CN=x", .key = k_leaf, .issuer = &ca, .san = SAN});
	struct made pointed = make_cert(&(struct recipe){.subject = "CN=x",
							 .key = k_leaf,
							 .issuer = &sub,
							 .san = SAN,
							 .crl_points = "URI:http://crl.example/1"});
	const struct {
		struct crl_recipe r;
		const struct made *leaf;
		const char *relaxed, *strict; /* reasons; NULL: good */
	} cases[] = {
		{{.issuer = &sub}, &leaf, NULL, NULL},
		{{.issuer = &sub, .revoked = &leaf}, &leaf, "key compromise", "was revoked on"},
		{{.issuer = &sub, .revoked = &sub}, &leaf, NULL, NULL},
		/* Stale: revoked stays revoked, silence is no news. */
		{{.issuer = &sub, .until = NOW - 1}, &leaf, NULL, "newest CRL ended on 2027-01-15"},
		{{.issuer = &sub, .until = NOW - 1, .revoked = &leaf},
		 &leaf,
		 "was revoked",
		 "was revoked"},
		{{.issuer = &sub, .from = NOW + 10}, &leaf, NULL, "no CRL of its CA"},
		/* Signed by somebody else, in whose name ever. */
		{{.issuer = &sub, .signer = k_leaf, .revoked = &leaf},
		 &leaf,
		 NULL,
		 "no CRL of its CA"},
		{{.issuer = &root, .revoked = &leaf}, &leaf, NULL, "no CRL of its CA"},
		{{.issuer = &sub, .md = EVP_sha1(), .revoked = &leaf},
		 &leaf,
		 NULL,
		 "no CRL of its CA"},
		{{.issuer = &ca, .revoked = &below}, &below, NULL, "no CRL of its CA"},
		/* A part of the certificates only. */
		{{.issuer = &sub, .idp = "critical,onlyuser:TRUE"}, &leaf, NULL, NULL},
		{{.issuer = &sub, .idp = "critical,onlyCA:TRUE"}, &leaf, NULL, "no CRL of its CA"},
		{{.issuer = &sub, .idp = "critical,onlyCA:TRUE", .revoked = &leaf},
		 &leaf,
		 "was revoked",
		 "was revoked"},
		{{.issuer = &sub, .idp = "critical,indirectCRL:TRUE"},
		 &leaf,
		 NULL,
		 "no CRL of its CA"},
		{{.issuer = &sub, .idp = "critical,fullname:URI:http://crl.example/1"},
		 &leaf,
		 NULL,
		 "no CRL of its CA"},
		{{.issuer = &sub, .idp = "critical,fullname:URI:http://crl.example/1"},
		 &pointed,
		 NULL,
		 NULL},
		{{.issuer = &sub, .idp = "critical,fullname:URI:http://crl.example/2"},
		 &pointed,
		 NULL,
		 "no CRL of its CA"},
		{{.issuer = &sub, .delta = true}, &leaf, NULL, "no CRL of its CA"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct crl_recipe r = cases[i].r;
		const bool own = cases[i].leaf == &below;
		struct bytes crl;

		crl = make_crl(&r);
		for (int sent = 0; sent < 2; sent++) {
			struct attempt a = {.anchor = own ? &ca : &sub,
					    .sent = {cases[i].leaf},
					    .crl = sent ? NULL : &crl,
					    .sent_crl = sent ? &crl : NULL};

			if (cases[i].relaxed)
				refused(a, cases[i].relaxed);
			else if (!accepted(a))
				fail_msg("case %zu relaxed", i);
			a.strict = true;
			if (cases[i].strict)
				refused(a, cases[i].strict);
			else if (!accepted(a))
				fail_msg("case %zu strict", i);
		}
		OPENSSL_free(crl.data);
	}
	made_free(&ca);
	made_free(&below);
	made_free(&pointed);
}

/* Every certificate below the anchor is judged: a revoked subordinate CA takes its children along. */
static void revoked_authority(void **state)
{
	struct bytes crl = make_crl(&(struct crl_recipe){.issuer = &root, .revoked = &sub});

	refused((struct attempt){.anchor = &root, .sent = {&leaf, &sub}, .crl = &crl},
		"certificate of CN=Sub, O=Test was revoked");
	assert_true(accepted((struct attempt){.anchor = &sub, .sent = {&leaf}, .crl = &crl}));
	OPENSSL_free(crl.data);
}

static void ocsp_responses(void **state)
{
	struct made responder = make_cert(&(struct recipe){.subject = "CN=Responder",
							   .key = k_rsa,
							   .issuer = &sub,
							   .extended_use = "OCSPSigning"});
	struct made plain = make_cert(
		&(struct recipe){.subject = "CN=Responder", .key = k_rsa, .issuer = &sub});
	struct made expired = make_cert(&(struct recipe){.subject = "CN=Responder",
							 .key = k_rsa,
							 .issuer = &sub,
							 .until = NOW - 1,
							 .extended_use = "OCSPSigning"});
	struct made stranger = make_cert(&(struct recipe){.subject = "CN=Responder",
							  .key = k_rsa,
							  .issuer = &root,
							  .extended_use = "OCSPSigning"});
	const struct {
		struct ocsp_recipe r;
		const char *relaxed, *strict;
	} cases[] = {
		{{.until = NOW + DAY}, NULL, NULL},
		{{.until = NOW + DAY, .signer = &responder}, NULL, NULL},
		{{.until = NOW + DAY, .status = V_OCSP_CERTSTATUS_REVOKED},
		 "superseded, by OCSP",
		 "was revoked"},
		{{.until = NOW + DAY, .status = V_OCSP_CERTSTATUS_REVOKED, .signer = &responder},
		 "was revoked",
		 "was revoked"},
		{{.until = NOW + DAY, .status = V_OCSP_CERTSTATUS_UNKNOWN}, NULL, "may be revoked"},
		{{.until = NOW - 1}, NULL, "has ended"},
		{{.until = 0}, NULL, "may be revoked"},
		{{.from = NOW + 10, .until = NOW + DAY}, NULL, "may be revoked"},
		/* RFC 6960 4.2.2.2: not for OCSP, not of this CA, not valid. */
		{{.until = NOW + DAY, .signer = &plain}, NULL, "may be revoked"},
		{{.until = NOW + DAY, .signer = &expired}, NULL, "may be revoked"},
		{{.until = NOW + DAY, .signer = &stranger}, NULL, "may be revoked"},
		{{.until = NOW + DAY, .subject = &sub}, NULL, "may be revoked"},
		{{.until = NOW + DAY, .md = EVP_sha1()}, NULL, "may be revoked"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct ocsp_recipe r = cases[i].r;
		struct bytes ocsp;

		r.issuer = &sub;
		if (!r.subject)
			r.subject = &leaf;
		ocsp = make_ocsp(&r);
		for (int sent = 0; sent < 2; sent++) {
			struct attempt a = {.anchor = &sub,
					    .sent = {&leaf},
					    .ocsp = sent ? NULL : &ocsp,
					    .sent_ocsp = sent ? &ocsp : NULL};

			if (cases[i].relaxed)
				refused(a, cases[i].relaxed);
			else if (!accepted(a))
				fail_msg("case %zu relaxed", i);
			a.strict = true;
			if (cases[i].strict)
				refused(a, cases[i].strict);
			else if (!accepted(a))
				fail_msg("case %zu strict", i);
		}
		OPENSSL_free(ocsp.data);
	}
	made_free(&responder);
	made_free(&plain);
	made_free(&expired);
	made_free(&stranger);
}

static void strict_without_sources(void **state)
{
	refused((struct attempt){.anchor = &sub, .sent = {&leaf}, .strict = true},
		"neither a CRL nor an OCSP response");
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
		cmocka_unit_test(revocation_lists),
		cmocka_unit_test(revoked_authority),
		cmocka_unit_test(ocsp_responses),
		cmocka_unit_test(strict_without_sources),
		cmocka_unit_test(damaged),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
