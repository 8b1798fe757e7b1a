/* SPDX-License-Identifier: Apache-2.0 */
/* proposal: choosing transforms (RFC 7296 2.7, 3.3). Pure functions over parsed payloads. */
#ifndef IKE_PROPOSAL_H
#define IKE_PROPOSAL_H

#include "ike/msg.h"

/*
 * Responder: the best combination of ours that some proposal of the peer contains. What comes first in
 * our lists is better; additional key exchanges weigh most, then encryption, integrity, PRF, DH, ESN.
 * `skip_ke` ignores key exchanges (a CHILD_SA in IKE_AUTH). On success *out is complete (for ESP
 * without PFS dh = NONE) and *proposal lends the peer's proposal (number, SPI).
 */
enum ike_err ike_proposal_select(const struct ike_sa_payload *offer, uint8_t protocol,
				 const struct ike_algs *ours, bool skip_ke, struct ike_suite *out,
				 const struct ike_proposal **proposal);

/*
 * The same, but of our groups the one for which the peer's KE payload serves is preferred where nothing
 * else changes by it, which saves the round trip of INVALID_KE_PAYLOAD (2.7, 1.3). `group` is that
 * of the payload, IKE_DH_NONE where there is none.
 */
enum ike_err ike_proposal_select_ke(const struct ike_sa_payload *offer, uint8_t protocol,
				    const struct ike_algs *ours, uint16_t group,
				    struct ike_suite *out, const struct ike_proposal **proposal);

/*
 * Initiator: the answer must hold exactly one proposal with exactly one transform of each type,
 * and it must be one of the combinations that we offered (2.7, 3.3.6).
 */
enum ike_err ike_proposal_check(const struct ike_sa_payload *answer, uint8_t protocol,
				const struct ike_algs *offered, bool skip_ke, struct ike_suite *out,
				const struct ike_proposal **proposal);

/* How the closest offer differs from what we take. */
struct ike_difference {
	char text[200];    /* "closest offer 1: differs in DH: they 14, we 19,20" */
	uint8_t only_type; /* the one transform type that differs, 0 where it is not one */
	char add[64];      /* a value of theirs for our list of that type; "" if we know none */
};
void ike_proposal_compare(const struct ike_sa_payload *offer, uint8_t protocol,
			  const struct ike_algs *ours, struct ike_difference *out);
/* Both sides in the words of configurations: "encryption aes-256-gcm-16; PRF sha2-384; DH 31". */
struct sb;
void ike_proposal_put_ours(uint8_t protocol, const struct ike_algs *ours, struct sb *out);
void ike_proposal_put_theirs(const struct ike_sa_payload *offer, struct sb *out);
/* The key of a tunnel's configuration that lists this type's values: "ike.dh"; NULL: none. */
const char *ike_proposal_config_key(uint8_t protocol, uint8_t type);

#endif
