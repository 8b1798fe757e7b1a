/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/pki/chain.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

EVP_PKEY *k_root, *k_sub, *k_leaf, *k_rsa, *k_rsa_leaf;
struct made root, sub, leaf;
char text[2 * PKI_TEXT_SIZE];

struct pki_id fqdn(const char *name)
{
	return (struct pki_id){PKI_ID_FQDN, {(const uint8_t *)name, strlen(name)}};
}

int chain_setup(void **state)
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

int chain_teardown(void **state)
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

bool attempt(const struct attempt *a, int64_t *valid_until)
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

bool accepted(struct attempt a)
{
	int64_t until;
	const bool ok = attempt(&a, &until);

	if (!ok)
		print_message("# %s\n", text);
	return ok;
}

void refused(struct attempt a, const char *reason)
{
	int64_t until;

	if (attempt(&a, &until))
		fail_msg("accepted, wanted: %s", reason);
	if (!strstr(text, reason))
		fail_msg("reason \"%s\" has no \"%s\"", text, reason);
}
