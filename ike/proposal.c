/* SPDX-License-Identifier: Apache-2.0 */
/*
 * proposal: which suite two sides have in common. A suite is chosen by looking, in one proposal,
 * for one transform of each of its types; how many others stand beside it does not matter to the
 * responder, and is an error to the initiator.
 */
#include "ike/proposal.h"
#include "ike/proposal_int.h"

bool ike_transform_usable(const struct ike_transform *t)
{
	/* RFC 7296 3.3.6: a transform with an attribute that we do not know is not chosen. */
	if (t->unknown_attribute)
		return false;
	/* RFC 7296 3.3.5: Key Length is mandatory for AES, and forbidden where the size is fixed.
	 */
	if (t->type == IKE_TRANSFORM_ENCR && t->id != IKE_ENCR_NONE)
		return ike_encr_key_bits_ok((enum ike_encr)t->id, t->key_bits);
	return t->key_bits == 0;
}

static bool has_type(const struct ike_proposal *p, uint8_t type)
{
	for (size_t i = 0; i < p->n_transforms; i++)
		if (p->transforms[i].type == type)
			return true;
	return false;
}

static bool has(const struct ike_proposal *p, uint8_t type, uint16_t id, uint16_t key_bits)
{
	for (size_t i = 0; i < p->n_transforms; i++) {
		const struct ike_transform *t = &p->transforms[i];

		if (t->type == type && t->id == id && t->key_bits == key_bits &&
		    ike_transform_usable(t))
			return true;
	}
	return false;
}

/* For types where leaving the transform out says the same as its value 0. */
static bool has_or_none(const struct ike_proposal *p, uint8_t type, uint16_t id)
{
	return has(p, type, id, 0) || (id == 0 && !has_type(p, type));
}

bool ike_proposal_frame_ok(const struct ike_proposal *p, uint8_t protocol)
{
	if (p->protocol != protocol)
		return false;
	/* RFC 7296 3.3.1: 4 octets of SPI for AH and ESP; for IKE 8 in a rekey and none before. */
	if (protocol == IKE_PROTO_IKE ? p->spi_size != 0 && p->spi_size != IKE_SPI_SIZE
				      : p->spi_size != IKE_ESP_SPI_SIZE)
		return false;
	/* RFC 7296 3.3.6: a proposal with a transform type that we do not know is not chosen. */
	for (size_t i = 0; i < p->n_transforms; i++) {
		switch (p->transforms[i].type) {
		case IKE_TRANSFORM_ENCR:
		case IKE_TRANSFORM_INTEG:
		case IKE_TRANSFORM_DH: break;
		case IKE_TRANSFORM_PRF:
			if (protocol != IKE_PROTO_IKE)
				return false;
			break;
		case IKE_TRANSFORM_ESN:
			if (protocol == IKE_PROTO_IKE)
				return false;
			break;
		default: return false;
		}
	}
	return true;
}

bool ike_proposal_has(const struct ike_proposal *p, uint8_t protocol, uint8_t type,
		      const struct ike_suite *s)
{
	const struct ike_encr_desc *encr = ike_encr_desc(s->encr);
	const bool ike = protocol == IKE_PROTO_IKE;

	/* A suite of ours that lacks what its protocol needs is never chosen, whatever is offered. */
	switch ((enum ike_transform_type)type) {
	case IKE_TRANSFORM_ENCR: return encr && has(p, type, s->encr, s->encr_key_bits);
	case IKE_TRANSFORM_PRF: return !ike || (ike_prf_desc(s->prf) && has(p, type, s->prf, 0));
	/* RFC 7296 3.3.3: with a combined-mode cipher, NONE or no integrity transform at all. */
	case IKE_TRANSFORM_INTEG:
		return encr && encr->aead == (s->integ == IKE_INTEG_NONE) &&
		       has_or_none(p, type, s->integ);
	/* RFC 7296 3.3.3: DH is optional for ESP; NONE beside groups leaves the choice to us. */
	case IKE_TRANSFORM_DH:
		return ike ? ike_dh_desc(s->dh) && has(p, type, s->dh, 0)
			   : has_or_none(p, type, s->dh);
	/* RFC 7296 3.3.3 has ESN mandatory; without it a peer can only mean 32-bit numbers. */
	case IKE_TRANSFORM_ESN: return ike || has_or_none(p, type, s->esn);
	}
	return false;
}

static bool contains(const struct ike_proposal *p, uint8_t protocol, const struct ike_suite *s,
		     bool skip_dh)
{
	if (!ike_proposal_frame_ok(p, protocol))
		return false;
	for (uint8_t type = 1; type <= IKE_N_TRANSFORM_TYPES; type++) {
		if (type == IKE_TRANSFORM_DH && skip_dh)
			continue;
		if (!ike_proposal_has(p, protocol, type, s))
			return false;
	}
	return true;
}

enum ike_err ike_proposal_select(const struct ike_sa_payload *offer, uint8_t protocol,
				 const struct ike_suite *ours, size_t n_ours, bool skip_dh,
				 struct ike_suite *out, const struct ike_proposal **proposal)
{
	for (size_t i = 0; i < n_ours; i++) {
		for (size_t j = 0; j < offer->n_proposals; j++) {
			if (!contains(&offer->proposals[j], protocol, &ours[i], skip_dh))
				continue;
			*out = ours[i];
			if (skip_dh)
				out->dh = IKE_DH_NONE;
			*proposal = &offer->proposals[j];
			return IKE_OK;
		}
	}
	return IKE_ERR_NO_PROPOSAL;
}

enum ike_err ike_proposal_select_ke(const struct ike_sa_payload *offer, uint8_t protocol,
				    const struct ike_suite *ours, size_t n_ours, uint16_t group,
				    struct ike_suite *out, const struct ike_proposal **proposal)
{
	const enum ike_err err =
		ike_proposal_select(offer, protocol, ours, n_ours, false, out, proposal);
	struct ike_suite wish, found;

	if (err != IKE_OK || group == IKE_DH_NONE || out->dh == group)
		return err;
	wish = *out;
	wish.dh = group;
	for (size_t i = 0; i < n_ours; i++) {
		if (ike_suite_equal(&ours[i], &wish) &&
		    ike_proposal_select(offer, protocol, &wish, 1, false, &found, proposal) ==
			    IKE_OK)
			*out = found;
	}
	return IKE_OK;
}

enum ike_err ike_proposal_check(const struct ike_sa_payload *answer, uint8_t protocol,
				const struct ike_suite *offered, size_t n_offered, bool skip_dh,
				struct ike_suite *out, const struct ike_proposal **proposal)
{
	const struct ike_proposal *p = &answer->proposals[0];
	bool seen[IKE_N_TRANSFORM_TYPES + 1] = {false};

	/* RFC 7296 2.7: the answer is one proposal with one transform of each type. */
	if (answer->n_proposals != 1 || !ike_proposal_frame_ok(p, protocol))
		return IKE_ERR_NO_PROPOSAL;
	for (size_t i = 0; i < p->n_transforms; i++) {
		const struct ike_transform *t = &p->transforms[i];

		if (seen[t->type])
			return IKE_ERR_NO_PROPOSAL;
		seen[t->type] = true;
		/* RFC 7296 1.2: the first CHILD_SA has no exchange of its own, hence no group. */
		if (skip_dh && t->type == IKE_TRANSFORM_DH && t->id != IKE_DH_NONE)
			return IKE_ERR_NO_PROPOSAL;
	}
	return ike_proposal_select(answer, protocol, offered, n_offered, skip_dh, out, proposal);
}
