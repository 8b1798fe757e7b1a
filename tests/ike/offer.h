/* SPDX-License-Identifier: Apache-2.0 */
/*
 * offer: both sides of a negotiation, written in words:
 *
 *	ours	aes-256-gcm-16 aes-256-cbc sha2-256 prf-sha2-384 prf-sha2-256 dh-20 dh-14
 *	offer	1 aes-256-gcm-16 aes-128-gcm-16 prf-sha2-384 dh-20 dh-19 ; 2 ...
 *
 * An offer goes through the wire: it is written as a payload and parsed. Special words in it:
 * ah, esp, ike (protocol of this proposal), spi=N (SPI size), bad-attr (the transform before gets an
 * attribute that nobody knows), bits=N (it gets that key length), type-T-I (any transform).
 */
#ifndef TESTS_IKE_OFFER_H
#define TESTS_IKE_OFFER_H

#include "ike/proposal.h"

#define IKE IKE_PROTO_IKE
#define ESP IKE_PROTO_ESP

#define BOTH  "aes-256-gcm-16 aes-256-cbc sha2-256 prf-sha2-384 prf-sha2-256 dh-20 dh-14"
#define GCM20 "aes-256-gcm-16 prf-sha2-384 dh-20"
#define CBC14 "aes-256-cbc sha2-256 prf-sha2-256 dh-14"

#define N_OF(a) (sizeof(a) / sizeof((a)[0]))

/* Our lists, in the words' order. ESP without the word for a group or ESN has none. */
struct ike_algs offer_algs(const char *text);
/* Through the wire, by a builder that can write what is wrong. */
void offer_parse(const char *text, uint8_t protocol, struct ike_msg *msg);
/* Through the wire, by the product's own builder. */
void offer_build(uint8_t protocol, const struct ike_algs *algs, bool skip_ke, uint16_t group,
		 struct ike_msg *msg);
/* What stands on the wire, in these words; "?" where none fits. */
void offer_format(const struct ike_sa_payload *sa, char *out, size_t size);

#endif
