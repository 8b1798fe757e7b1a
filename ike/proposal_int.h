/* SPDX-License-Identifier: Apache-2.0 */
/* proposal_int: the questions that choosing and explaining both ask of a proposal. */
#ifndef IKE_PROPOSAL_INT_H
#define IKE_PROPOSAL_INT_H

#include "ike/proposal.h"

/* Known attributes only, key length present exactly where it belongs. */
bool ike_transform_usable(const struct ike_transform *t);
/* Protocol, SPI size and the set of transform types are such that a suite may be chosen from it. */
bool ike_proposal_frame_ok(const struct ike_proposal *p, uint8_t protocol);
bool ike_proposal_has(const struct ike_proposal *p, uint8_t type, uint16_t id, uint16_t key_bits);
/* The same where leaving the type out says the same as its value 0. */
bool ike_proposal_has_or_lacks(const struct ike_proposal *p, uint8_t type, uint16_t id);

#endif
