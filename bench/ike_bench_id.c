/* SPDX-License-Identifier: Apache-2.0 */
/* ike_bench_id: the key process of the benchmark: certificates, signatures. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include "bench/ike_bench.h"
#include "pki/issue.h"

static struct identity identities[2]; /* hub, sites */

static void no_pki(const char *why)
{
	fprintf(stderr, "ike_bench: %s\n", why);
	exit(1);
}

static struct pki_certs *issue(const char *name, const char *san, const struct pki_key *key,
			       const struct pki_key *ca_key, const struct pki_certs *ca)
{
	static uint8_t serial[PKI_SERIAL_SIZE] = {1};
	const struct pki_request request = {
		.subject = name,
		.key = key,
		.san = san,
		.ca = !ca,
		.from = time(NULL) - 3600,
		.until = time(NULL) + 86400,
		.serial = serial,
		.issuer_key = ca_key,
		.issuer = ca,
	};
	char text[PKI_TEXT_SIZE];
	struct sb why = sb_of(text, sizeof(text));
	struct pki_certs *cert = NULL;
	struct pki_span der;

	serial[PKI_SERIAL_SIZE - 1]++;
	if (pki_issue(&request, &der, &why)) {
		cert = pki_certs_parse(der.data, der.size, &why);
		free((void *)(uintptr_t)der.data);
	}
	if (!cert)
		no_pki(text);
	return cert;
}

void bench_identities_make(void)
{
	char text[PKI_TEXT_SIZE];
	struct sb why = sb_of(text, sizeof(text));
	struct pki_key *ca_key = pki_key_generate("ecdsa-p256", &why);
	struct pki_certs *ca = ca_key ? issue("CN=ca", NULL, ca_key, NULL, NULL) : NULL;

	for (int i = 0; i < 2; i++) {
		struct identity *id = &identities[i];

		id->key = pki_key_generate("ecdsa-p256", &why);
		if (!ca || !id->key)
			no_pki(text);
		id->cas = ca;
		id->cert = issue(i ? "CN=site" : "CN=hub",
				 i ? "dns:site.bench.example" : "dns:hub.bench.example", id->key,
				 ca_key, ca);
	}
	pki_key_free(ca_key);
}

const struct identity *bench_identity(bool site)
{
	return &identities[site];
}

void bench_sign(const struct end *e, const struct ike_action *act, struct answer *a)
{
	const struct pki_span octets = {act->auth.octets, act->auth.octets_size};
	const struct pki_span der = pki_certs_der(e->own.cert, 0);
	char text[PKI_TEXT_SIZE];
	struct sb why = sb_of(text, sizeof(text));
	uint32_t method = 0;

	a->auth_size = pki_sign(e->own.key, &(struct pki_takes){.hashes = act->auth.hashes}, octets,
				a->auth, &method, &why);
	a->ok = a->auth_size > 0;
	a->method = (uint8_t)method;
	a->cert = (struct ike_cert){IKE_CERT_X509_SIGNATURE, der.data, der.size};
}

void bench_verify(const struct end *e, const struct ike_action *act, struct answer *a)
{
	const struct pki_span octets = {act->auth.octets, act->auth.octets_size};
	const struct pki_trust trust = {.anchors = e->own.cas, .now = time(NULL), .set = 1};
	const struct pki_proof proof = {
		act->auth.method, false, octets, {act->auth.auth, act->auth.auth_size}};
	const struct pki_id id = {act->auth.id.type, {act->auth.id.data, act->auth.id.size}};
	struct pki_offer offers[IKE_MAX_CERTS];
	char text[PKI_TEXT_SIZE];
	struct sb why = sb_of(text, sizeof(text));
	int64_t until;

	for (size_t i = 0; i < act->auth.n_certs; i++)
		offers[i] = (struct pki_offer){
			act->auth.certs[i].encoding,
			{act->auth.certs[i].data, act->auth.certs[i].size},
		};
	a->ok = pki_verify_auth(e->own.verdicts, &trust, offers, act->auth.n_certs, &id, &proof,
				&until, &why);
}
