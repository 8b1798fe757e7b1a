/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Verdicts that are remembered: at every moment, and after every change, the same as those that are
 * made anew.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "tests/pki/maker.h"

#define CA_USE "critical,keyCertSign,cRLSign"

static EVP_PKEY *k_root, *k_sub, *k_leaf;
static struct made root, sub, leaf, sub_later; /* sub_later: the same name and key, from tomorrow */
static struct pki_key *key;                    /* the leaf's */
static struct pki_certs *anchors;

static int setup(void **state)
{
	char text[PKI_TEXT_SIZE];
	struct sb why = sb_of(text, sizeof(text));
	const struct made *list[] = {&root};
	struct recipe s = {
		.subject = "CN=Sub", .issuer = &root, .basic = "critical,CA:TRUE", .use = CA_USE};
	struct bytes pem;

	s.key = k_sub = key_ec("P-256");
	k_root = key_ec("P-256");
	k_leaf = key_ec("P-256");
	root = make_cert(&(struct recipe){.subject = "CN=Root",
					  .key = k_root,
					  .basic = "critical,CA:TRUE",
					  .from = NOW - YEAR,
					  .until = NOW + 40 * DAY,
					  .use = CA_USE});
	s.from = NOW - 30 * DAY;
	s.until = NOW + 20 * DAY;
	sub = make_cert(&s);
	s.from = NOW + DAY;
	s.until = NOW + 50 * DAY;
	s.serial = 77;
	sub_later = make_cert(&s);
	leaf = make_cert(&(struct recipe){.subject = "CN=Site",
					  .key = k_leaf,
					  .issuer = &sub,
					  .from = NOW - 10 * DAY,
					  .until = NOW + 30 * DAY,
					  .use = "digitalSignature",
					  .san = "DNS:a.example"});
	pem = key_pem(k_leaf, NULL);
	key = pki_key_parse(pem.data, pem.size, &why);
	free(pem.data);
	anchors = parsed(list, 1);
	return key ? 0 : -1;
}

static int teardown(void **state)
{
	made_free(&root);
	made_free(&sub);
	made_free(&sub_later);
	made_free(&leaf);
	pki_key_free(key);
	pki_certs_free(anchors);
	EVP_PKEY_free(k_root);
	EVP_PKEY_free(k_sub);
	EVP_PKEY_free(k_leaf);
	return 0;
}

/* -------------------------------------------------------------- an attempt */

/* What a peer comes with; what is NULL does not come. */
struct visit {
	struct pki_trust trust;
	const struct made *sent[3];
	const struct bytes *sent_crl, *sent_ocsp;
	const char *name; /* NULL: a.example */
	bool forged;
};

static bool visit(struct pki_cache *c, const struct visit *v, int64_t *until)
{
	static const struct pki_span octets = {(const uint8_t *)"octets", 6};
	char text[2 * PKI_TEXT_SIZE];
	struct sb why = sb_of(text, sizeof(text));
	const char *name = v->name ? v->name : "a.example";
	const struct pki_id id = {PKI_ID_FQDN, {(const uint8_t *)name, strlen(name)}};
	struct pki_trust trust = v->trust;
	struct pki_offer offers[6];
	struct pki_proof proof = {.octets = octets};
	uint8_t auth[PKI_SIG_MAX];
	size_t n = 0;

	trust.anchors = trust.anchors ? trust.anchors : anchors;
	trust.now = trust.now ? trust.now : NOW;
	trust.set = trust.set ? trust.set : 1;
	for (size_t i = 0; i < 3 && v->sent[i]; i++)
		offers[n++] = (struct pki_offer){PKI_ENCODING_X509,
						 {v->sent[i]->der.data, v->sent[i]->der.size}};
	if (v->sent_crl)
		offers[n++] = (struct pki_offer){PKI_ENCODING_CRL,
						 {v->sent_crl->data, v->sent_crl->size}};
	if (v->sent_ocsp)
		offers[n++] = (struct pki_offer){PKI_ENCODING_OCSP,
						 {v->sent_ocsp->data, v->sent_ocsp->size}};
	proof.auth =
		(struct pki_span){auth, pki_sign(key, &(struct pki_takes){.hashes = PKI_HASHES},
						 octets, auth, &proof.method, &why)};
	auth[proof.auth.size - 1] ^= v->forged;
	return pki_verify_auth(c, &trust, offers, n, &id, &proof, until, &why);
}

static bool comes(struct pki_cache *c, struct visit v)
{
	int64_t until;

	return visit(c, &v, &until);
}

static struct visit good(void)
{
	return (struct visit){.sent = {&leaf, &sub}};
}

/* ------------------------------------------------------------------- cases */

static void known_again(void **state)
{
	struct pki_cache *c = pki_cache_new(8);
	struct visit v = good();

	assert_true(comes(c, v));
	assert_int_equal(pki_cache_hits(c), 0);
	for (int i = 0; i < 5; i++) {
		int64_t until = 0;

		assert_true(visit(c, &v, &until));
		assert_int_equal(until, NOW + 20 * DAY);
	}
	assert_int_equal(pki_cache_hits(c), 5);
	assert_int_equal(pki_cache_n(c), 1);
	/* Nothing is remembered without a number of the set, or without a cache. */
	assert_true(comes(NULL, v));
	pki_cache_free(c);
}

/* Whoever has seen a chain and not its key changes nothing, before and after. */
static void only_with_its_key(void **state)
{
	struct pki_cache *c = pki_cache_new(8);
	struct visit v = good();

	v.forged = true;
	assert_false(comes(c, v));
	assert_int_equal(pki_cache_n(c), 0);
	v.forged = false;
	assert_true(comes(c, v));
	v.forged = true;
	assert_false(comes(c, v));
	assert_int_equal(pki_cache_hits(c), 1);
	v.forged = false;
	assert_true(comes(c, v));
	pki_cache_free(c);
}

/* Whatever the verdict hangs on makes it another one. */
static void each_change_counts(void **state)
{
	struct pki_cache *c = pki_cache_new(8);
	struct made other = leaf;
	struct visit v = good();

	assert_true(comes(c, v));
	v.name = "b.example"; /* another identity */
	assert_false(comes(c, v));
	v = good();
	v.trust.set = 2; /* another configuration, which has a policy */
	v.trust.revocation_strict = true;
	assert_false(comes(c, v));
	v.trust.set = 1; /* the policy alone */
	assert_false(comes(c, v));
	/* Each byte of what was sent. */
	other.der.data = malloc(leaf.der.size);
	for (size_t i = 0; i < leaf.der.size; i++) {
		memcpy(other.der.data, leaf.der.data, leaf.der.size);
		other.der.data[i] ^= 1;
		v = (struct visit){.sent = {&other, &sub}};
		if (comes(c, v))
			fail_msg("byte %zu", i);
	}
	free(other.der.data);
	v = (struct visit){.sent = {&leaf}}; /* a certificate less */
	assert_false(comes(c, v));
	v = (struct visit){.sent = {&sub, &leaf}};
	assert_false(comes(c, v));
	assert_int_equal(pki_cache_hits(c), 0);
	assert_int_equal(pki_cache_n(c), 1);
	assert_true(comes(c, good()));
	assert_int_equal(pki_cache_hits(c), 1);
	pki_cache_free(c);
}

static void revoked(void **state)
{
	struct pki_cache *c = pki_cache_new(8);
	struct bytes der = make_crl(&(struct crl_recipe){
		.issuer = &sub, .revoked = &leaf, .from = NOW - DAY, .until = NOW + DAY});
	char text[PKI_TEXT_SIZE];
	struct sb why = sb_of(text, sizeof(text));
	struct pki_crls *crls = pki_crls_parse(der.data, der.size, &why);
	struct visit v = good();

	assert_non_null(crls);
	assert_true(comes(c, v));
	/* A list of the configuration makes a set of its own; one that is sent is part of the key. */
	v.trust.crls = crls;
	v.trust.set = 2;
	assert_false(comes(c, v));
	v = good();
	v.sent_crl = &der;
	assert_false(comes(c, v));
	assert_false(comes(c, v));
	assert_int_equal(pki_cache_n(c), 1);
	pki_crls_free(crls);
	OPENSSL_free(der.data);
	pki_cache_free(c);
}

static void bounded(void **state)
{
	struct pki_cache *c = pki_cache_new(4), *none = pki_cache_new(0);
	struct visit v = good();

	for (uint64_t set = 1; set <= 10; set++) {
		v.trust.set = set;
		assert_true(comes(c, v));
		assert_true(comes(none, v));
		assert_int_equal(pki_cache_n(c), set < 4 ? set : 4);
	}
	assert_int_equal(pki_cache_n(none), 0);
	/* The one that was not used for the longest time makes room: 7 is used, 8 goes. */
	v.trust.set = 7;
	assert_true(comes(c, v));
	v.trust.set = 11;
	assert_true(comes(c, v));
	assert_int_equal(pki_cache_hits(c), 1);
	v.trust.set = 7;
	assert_true(comes(c, v));
	assert_int_equal(pki_cache_hits(c), 2);
	v.trust.set = 8;
	assert_true(comes(c, v));
	assert_int_equal(pki_cache_hits(c), 2);
	pki_cache_flush(c);
	assert_int_equal(pki_cache_n(c), 0);
	v.trust.set = 7;
	assert_true(comes(c, v));
	assert_int_equal(pki_cache_hits(c), 2);
	pki_cache_free(c);
	pki_cache_free(none);
}

/* ------------------------------------------------------------------- times */

/* Days; each is tried to the second, and a second before. */
static const int64_t moments[] = {-11, -10, -9, -8, -7, -6, -5, -4, -3, -2, -1, 0,  1,  2,
				  3,   4,   5,  6,  7,  8,  9,  10, 19, 20, 21, 29, 30, 31};
#define N_MOMENTS (sizeof(moments) / sizeof(moments[0]))

/* Any two moments one after the other: the second verdict is as if the first had never been. */
static void same_at_all_times(const struct visit *like, const char *what)
{
	struct pki_cache *none = pki_cache_new(0);
	bool fresh[2 * N_MOMENTS];
	int64_t times[2 * N_MOMENTS];
	unsigned yes = 0;
	uint64_t hits = 0;

	for (size_t i = 0; i < 2 * N_MOMENTS; i++) {
		struct visit v = *like;

		v.trust.now = times[i] = NOW + moments[i / 2] * DAY + (int64_t)(i % 2) - 1;
		fresh[i] = comes(none, v);
		yes += fresh[i];
	}
	assert_true(yes > 0 && yes < 2 * N_MOMENTS);
	for (size_t i = 0; i < 2 * N_MOMENTS; i++) {
		if (!fresh[i])
			continue;
		for (size_t k = 0; k < 2 * N_MOMENTS; k++) {
			struct pki_cache *c;
			struct visit v = *like;
			uint64_t hit;

			/* Across each moment, and some of the others: all pairs would take long. */
			if ((i * 7 + k) % 19 != 0 && k != i + 1 && i != k + 1)
				continue;
			c = pki_cache_new(2);
			v.trust.now = times[i];
			(void)comes(c, v);
			v.trust.now = times[k];
			if (comes(c, v) != fresh[k])
				fail_msg("%s: at %lld after %lld", what,
					 (long long)(times[k] - NOW), (long long)(times[i] - NOW));
			hit = pki_cache_hits(c);
			hits += hit;
			assert_true(!hit || fresh[k]);
			pki_cache_free(c);
		}
	}
	assert_true(hits > 0);
	pki_cache_free(none);
}

static void certificates_end(void **state)
{
	struct visit v = good();

	same_at_all_times(&v, "two certificates");
	v.sent[2] = &sub_later; /* takes over when the other one ends */
	same_at_all_times(&v, "another subordinate CA");
}

static void lists_end(void **state)
{
	struct made responder = make_cert(&(struct recipe){.subject = "CN=Responder",
							   .key = k_root,
							   .issuer = &sub,
							   .from = NOW - 4 * DAY,
							   .until = NOW + 4 * DAY,
							   .extended_use = "OCSPSigning"});
	struct bytes of_leaf = make_crl(&(struct crl_recipe){
		.issuer = &sub, .from = NOW - 3 * DAY, .until = NOW + 3 * DAY});
	struct bytes of_sub = make_crl(&(struct crl_recipe){
		.issuer = &root, .from = NOW - 6 * DAY, .until = NOW + 6 * DAY});
	struct bytes ocsp = make_ocsp(&(struct ocsp_recipe){
		.subject = &leaf, .issuer = &sub, .from = NOW - 5 * DAY, .until = NOW + 5 * DAY});
	struct bytes delegated = make_ocsp(&(struct ocsp_recipe){.subject = &leaf,
								 .issuer = &sub,
								 .signer = &responder,
								 .from = NOW - 5 * DAY,
								 .until = NOW + 5 * DAY});
	struct bytes no = make_ocsp(&(struct ocsp_recipe){.subject = &leaf,
							  .issuer = &sub,
							  .signer = &responder,
							  .status = V_OCSP_CERTSTATUS_REVOKED,
							  .from = NOW - 5 * DAY,
							  .until = NOW + 5 * DAY});
	char text[PKI_TEXT_SIZE];
	struct sb why = sb_of(text, sizeof(text));
	struct pki_crls *crls = pki_crls_parse(of_sub.data, of_sub.size, &why);
	struct visit v = good();

	v.trust.revocation_strict = true;
	v.trust.crls = crls;
	v.sent_crl = &of_leaf;
	same_at_all_times(&v, "lists");
	v.sent_crl = NULL;
	v.sent_ocsp = &ocsp;
	same_at_all_times(&v, "a list and a response");
	v.sent_ocsp = &delegated;
	same_at_all_times(&v, "a response of a responder");
	/* Believed while its responder's certificate is valid: that is when the verdict turns. */
	v = good();
	v.sent_ocsp = &no;
	same_at_all_times(&v, "a revocation by a responder");
	pki_crls_free(crls);
	OPENSSL_free(of_leaf.data);
	OPENSSL_free(of_sub.data);
	OPENSSL_free(ocsp.data);
	OPENSSL_free(delegated.data);
	OPENSSL_free(no.data);
	made_free(&responder);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(known_again),
		cmocka_unit_test(only_with_its_key),
		cmocka_unit_test(each_change_counts),
		cmocka_unit_test(revoked),
		cmocka_unit_test(bounded),
		cmocka_unit_test(certificates_end),
		cmocka_unit_test(lists_end),
	};

	return cmocka_run_group_tests_name("pki-cache", tests, setup, teardown);
}
