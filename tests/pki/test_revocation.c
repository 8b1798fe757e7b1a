/* SPDX-License-Identifier: Apache-2.0 */
/* Certificates that were revoked, as CRLs and OCSP responses say, and those of which nothing is known. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "tests/pki/chain.h"

/* Reasons without and with strict revocation, or NULL: good. `i`: of the case. */
static void judged(struct attempt a, const char *relaxed, const char *strict, size_t i)
{
	a.strict = false;
	if (relaxed)
		refused(a, relaxed);
	else if (!accepted(a))
		fail_msg("case %zu relaxed", i);
	a.strict = true;
	if (strict)
		refused(a, strict);
	else if (!accepted(a))
		fail_msg("case %zu strict", i);
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

			judged(a, cases[i].relaxed, cases[i].strict, i);
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

			judged(a, cases[i].relaxed, cases[i].strict, i);
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(revocation_lists),
		cmocka_unit_test(revoked_authority),
		cmocka_unit_test(ocsp_responses),
		cmocka_unit_test(strict_without_sources),
	};

	return cmocka_run_group_tests(tests, chain_setup, chain_teardown);
}
