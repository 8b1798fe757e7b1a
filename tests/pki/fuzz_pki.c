/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzz target of everything in pki/ that reads a peer's or an operator's bytes: never a crash, and
 * nothing is ever accepted that was not signed. The first byte chooses what the rest is.
 * corpus/pki is replayed by the unit tests.
 */
#include <stdlib.h>
#include <string.h>
#include "pki/pki.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A self-signed P-256 CA whose key nobody has. */
static const char anchor_pem[] =
	"-----BEGIN CERTIFICATE-----\n"
	"MIIBizCCATGgAwIBAgIUHkzjICR5IZj+lxkHG3XE7+6fACcwCgYIKoZIzj0EAwIw\n"
	"EjEQMA4GA1UEAwwHRnV6eiBDQTAgFw0yNjExMjExMTA0MjZaGA8yMTI2MTAyODEx\n"
	"MDQyNlowEjEQMA4GA1UEAwwHRnV6eiBDQTBZMBMGByqGSM49AgEGCCqGSM49AwEH\n"
	"A0IABG0pbGwXJRCpnXSjM0VnfcI1XUYPiaYKX/AcR0QgwbLKKvc8Ofqc7yNOVcCT\n"
	"NJy9rlwvNrY+anylgObH7S/721mjYzBhMB0GA1UdDgQWBBRICJ+cGto/eGgp/sM1\n"
	"lmlfYOXqczAfBgNVHSMEGDAWgBRICJ+cGto/eGgp/sM1lmlfYOXqczAPBgNVHRMB\n"
	"Af8EBTADAQH/MA4GA1UdDwEB/wQEAwIBBjAKBggqhkjOPQQDAgNIADBFAiEA5I5M\n"
	"0ab0nHb3gLysfbvB4FrDvSW+bE+35CljyQS+xSECIDxz1kiBKiXcOsa2c1XH7des\n"
	"Yb+DcbQVnCtJeV+ABp8O\n"
	"-----END CERTIFICATE-----\n";

static char text[2 * PKI_TEXT_SIZE];
static struct pki_certs *anchors;
static struct pki_pub *pub;

static void must(bool ok)
{
	if (!ok)
		abort();
}

static struct sb why(void)
{
	return sb_of(text, sizeof(text));
}

static void files(const uint8_t *data, size_t size)
{
	struct sb w = why();
	struct pki_certs *certs = pki_certs_parse(data, size, &w);
	struct pki_crls *crls;
	struct pki_ocsps *ocsps;
	struct pki_pub *p;
	uint8_t hash[PKI_HASH_SIZE];

	must((certs == NULL) == (text[0] != '\0'));
	for (size_t i = 0; i < pki_certs_n(certs); i++) {
		int64_t from, until;

		w = why();
		pki_certs_subject(certs, i, &w);
		pki_certs_validity(certs, i, &from, &until);
		(void)pki_certs_is_ca(certs, i);
		must(pki_certs_key_hash(certs, i, hash));
	}
	pki_certs_free(certs);
	w = why();
	crls = pki_crls_parse(data, size, &w);
	pki_crls_free(crls);
	w = why();
	ocsps = pki_ocsps_parse(data, size, &w);
	pki_ocsps_free(ocsps);
	w = why();
	p = pki_pub_parse(data, size, &w);
	pki_pub_free(p);
	w = why();
	pki_key_free(pki_key_parse(data, size, &w));
}

/* As CERT payloads: the input is cut at each "|||". */
static void chain(const uint8_t *data, size_t size)
{
	static const uint8_t encodings[] = {PKI_ENCODING_X509, PKI_ENCODING_X509, PKI_ENCODING_OCSP,
					    PKI_ENCODING_CRL};
	const struct pki_trust trust = {
		.anchors = anchors, .now = 1800000000, .revocation_strict = size & 1};
	const struct pki_id id = {PKI_ID_FQDN, {(const uint8_t *)"a.example", 9}};
	struct pki_offer offers[4];
	struct sb w = why();
	struct pki_pub *out;
	int64_t until;
	size_t n = 0;

	while (n < 4) {
		const uint8_t *cut = memmem(data, size, "|||", 3);
		const size_t part = cut ? (size_t)(cut - data) : size;

		offers[n] = (struct pki_offer){encodings[n], {data, part}};
		n++;
		if (!cut)
			break;
		data += part + 3;
		size -= part + 3;
	}
	/* Nobody has the anchor's key, and the anchor itself names nobody. */
	must(!pki_verify_peer(&trust, offers, n, &id, &out, &until, &w));
	must(out == NULL && text[0] != '\0');
}

static void names(const uint8_t *data, size_t size)
{
	uint8_t der[512];
	char *copy = malloc(size + 1), *again = malloc(4096);
	struct sb w = why(), s = sb_of(again, 4096);
	size_t n;

	must(copy && again);
	if (size > 0)
		memcpy(copy, data, size);
	copy[size] = '\0';
	(void)pki_dn_format(data, size, &s);
	must(!pki_dn_equal((struct pki_span){data, size}, (struct pki_span){data, size}) ||
	     size > 2);
	n = pki_dn_parse(copy, der, sizeof(der), &w);
	must((n == 0) == (text[0] != '\0'));
	if (n > 0) {
		uint8_t der2[512];

		/* What was understood is written so that it is understood again. */
		s = sb_of(again, 4096);
		must(pki_dn_format(der, n, &s) && !s.truncated);
		w = why();
		must(pki_dn_parse(again, der2, sizeof(der2), &w) == n && memcmp(der, der2, n) == 0);
	}
	free(copy);
	free(again);
}

static void signatures(const uint8_t *data, size_t size)
{
	const struct pki_span octets = {(const uint8_t *)"octets", 6};
	struct sb w = why();

	if (size == 0)
		return;
	must(!pki_verify(pub, data[0], true, octets, (struct pki_span){data + 1, size - 1}, &w));
	must(text[0] != '\0');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct sb w = why();

	if (!anchors) {
		anchors = pki_certs_parse((const uint8_t *)anchor_pem, strlen(anchor_pem), &w);
		pub = pki_pub_parse((const uint8_t *)anchor_pem, strlen(anchor_pem), &w);
		must(anchors && pub);
	}
	if (size == 0)
		return 0;
	switch (data[0] & 3) {
	case 0: files(data + 1, size - 1); break;
	case 1: chain(data + 1, size - 1); break;
	case 2: names(data + 1, size - 1); break;
	default: signatures(data + 1, size - 1); break;
	}
	return 0;
}
