/* SPDX-License-Identifier: Apache-2.0 */
/* chain: a root, a CA below it and a leaf, and attempts to be believed with them. */
#ifndef TESTS_PKI_CHAIN_H
#define TESTS_PKI_CHAIN_H

#include "tests/pki/maker.h"

#define CA_USE "critical,keyCertSign,cRLSign"
#define SAN    "DNS:a.example,IP:192.0.2.1,IP:2001:db8::1,email:User@a.example"

extern EVP_PKEY *k_root, *k_sub, *k_leaf, *k_rsa, *k_rsa_leaf;
extern struct made root, sub, leaf;  /* root <- sub <- leaf */
extern char text[2 * PKI_TEXT_SIZE]; /* the reason of the last refusal */

int chain_setup(void **state);
int chain_teardown(void **state);
struct pki_id fqdn(const char *name);

struct attempt {
	const struct made *anchor;
	const struct made *sent[4]; /* end entity first */
	struct pki_id id;           /* type 0: FQDN a.example */
	int64_t now;                /* 0: NOW */
	const struct bytes *crl, *ocsp, *sent_ocsp, *sent_crl;
	bool strict;
};

bool attempt(const struct attempt *a, int64_t *valid_until);
bool accepted(struct attempt a);
/* Refused, and the operator reads why. */
void refused(struct attempt a, const char *reason);

#endif
