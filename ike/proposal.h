/* SPDX-License-Identifier: Apache-2.0 */
/* proposal: choosing transforms (RFC 7296 2.7, 3.3). Pure functions over parsed payloads. */
#ifndef IKE_PROPOSAL_H
#define IKE_PROPOSAL_H

#include "ike/msg.h"

/*
 * Responder: the first of our suites that some proposal of the peer contains. `skip_dh` ignores
 * the DH transform (a CHILD_SA in IKE_AUTH). On success *out is complete (for ESP without PFS dh =
 * NONE) and *proposal lends the peer's proposal (number, SPI).
 */
enum ike_err ike_proposal_select(const struct ike_sa_payload *offer, uint8_t protocol,
				 const struct ike_suite *ours, size_t n_ours, bool skip_dh,
				 struct ike_suite *out, const struct ike_proposal **proposal);

/*
 * The same, but of our suites that differ in the group alone the one for which the peer's KE payload
 * serves is preferred, which saves the round trip of INVALID_KE_PAYLOAD (2.7, 1.3). `group` is that
 * of the payload, IKE_DH_NONE where there is none.
 */
enum ike_err ike_proposal_select_ke(const struct ike_sa_payload *offer, uint8_t protocol,
				    const struct ike_suite *ours, size_t n_ours, uint16_t group,
				    struct ike_suite *out, const struct ike_proposal **proposal);

/*
 * Initiator: the answer must hold exactly one proposal with exactly one transform of each type,
 * and it must be one of the suites that we offered (2.7, 3.3.6).
 */
enum ike_err ike_proposal_check(const struct ike_sa_payload *answer, uint8_t protocol,
				const struct ike_suite *offered, size_t n_offered, bool skip_dh,
				struct ike_suite *out, const struct ike_proposal **proposal);

/* For people: the closest offer and where it differs: "differs in DH: they 14, we 19,20". */
void ike_proposal_explain(const struct ike_sa_payload *offer, uint8_t protocol,
			  const struct ike_suite *ours, size_t n_ours, char *buf, size_t size);

#endif
