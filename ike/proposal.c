/* SPDX-License-Identifier: Apache-2.0 */
/*
 * proposal: which suite two sides have in common. A suite is chosen by looking, in one proposal,
 * for one transform of each type of our lists; how many others stand beside it does not matter to the
 * responder, and is an error to the initiator.
 */
#include <string.h>
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

bool ike_proposal_has(const struct ike_proposal *p, uint8_t type, uint16_t id, uint16_t key_bits)
{
	for (size_t i = 0; i < p->n_transforms; i++) {
		const struct ike_transform *t = &p->transforms[i];

		if (t->type == type && t->id == id && t->key_bits == key_bits &&
		    ike_transform_usable(t))
			return true;
	}
	return false;
}

bool ike_proposal_has_or_lacks(const struct ike_proposal *p, uint8_t type, uint16_t id)
{
	return ike_proposal_has(p, type, id, 0) || (id == 0 && !has_type(p, type));
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
		const uint8_t type = p->transforms[i].type;

		if (type == 0 || type > IKE_TRANSFORM_ADDKE7 ||
		    type == (protocol == IKE_PROTO_IKE ? IKE_TRANSFORM_ESN : IKE_TRANSFORM_PRF))
			return false;
	}
	return true;
}

/* ------------------------------------------------------------------ choice */

/* A search through one proposal. The places of what was chosen in our lists compare two results. */
struct choice {
	const struct ike_proposal *p;
	const struct ike_algs *ours;
	uint8_t protocol;
	bool skip_ke;
	struct ike_suite s;
	uint8_t rank[IKE_N_ALG_LISTS]; /* the weightiest type first */
};

/* An empty list of a type that may be left out stands for one with nothing but NONE. */
static size_t list_size(const struct ike_alg_list *l)
{
	return l->n ? l->n : 1;
}

static uint16_t list_id(const struct ike_alg_list *l, size_t i)
{
	return l->n ? l->algs[i].id : 0;
}

static bool choose_encr(struct choice *c)
{
	const struct ike_alg_list *encrs = &c->ours->by_type[IKE_TRANSFORM_ENCR];
	const struct ike_alg_list *integs = &c->ours->by_type[IKE_TRANSFORM_INTEG];

	for (uint8_t i = 0; i < encrs->n; i++) {
		const struct ike_alg *a = &encrs->algs[i];
		const struct ike_encr_desc *d = ike_encr_desc(a->id);

		if (!d || (d->esp_only && c->protocol == IKE_PROTO_IKE) ||
		    !ike_proposal_has(c->p, IKE_TRANSFORM_ENCR, a->id, a->key_bits))
			continue;
		c->s.encr = a->id;
		c->s.encr_key_bits = a->key_bits;
		c->rank[IKE_MAX_AKE] = i;
		/* RFC 7296 3.3.3: with a combined-mode cipher, NONE or no integrity at all. */
		if (d->aead) {
			c->s.integ = IKE_INTEG_NONE;
			c->rank[IKE_MAX_AKE + 1] = 0;
			if (ike_proposal_has_or_lacks(c->p, IKE_TRANSFORM_INTEG, IKE_INTEG_NONE))
				return true;
			continue;
		}
		for (uint8_t j = 0; j < integs->n; j++) {
			c->s.integ = integs->algs[j].id;
			c->rank[IKE_MAX_AKE + 1] = j;
			if (ike_integ_desc(c->s.integ) &&
			    ike_proposal_has(c->p, IKE_TRANSFORM_INTEG, c->s.integ, 0))
				return true;
		}
	}
	return false;
}

static bool choose_prf(struct choice *c)
{
	const struct ike_alg_list *l = &c->ours->by_type[IKE_TRANSFORM_PRF];

	c->s.prf = IKE_PRF_NONE;
	for (uint8_t i = 0; i < l->n && c->protocol == IKE_PROTO_IKE; i++) {
		c->s.prf = l->algs[i].id;
		c->rank[IKE_MAX_AKE + 2] = i;
		if (ike_prf_desc(c->s.prf) &&
		    ike_proposal_has(c->p, IKE_TRANSFORM_PRF, c->s.prf, 0))
			return true;
	}
	return c->protocol != IKE_PROTO_IKE;
}

static bool ake_uses(const struct ike_suite *s, uint16_t method)
{
	for (size_t i = 0; i < IKE_MAX_AKE; i++)
		if (s->ake[i] == method)
			return true;
	return false;
}

static bool ake_any(const struct ike_suite *s)
{
	for (size_t i = 0; i < IKE_MAX_AKE; i++)
		if (s->ake[i] != IKE_DH_NONE)
			return true;
	return false;
}

static bool choose_dh(struct choice *c)
{
	const struct ike_alg_list *l = &c->ours->by_type[IKE_TRANSFORM_DH];
	const bool ike = c->protocol == IKE_PROTO_IKE;

	c->s.dh = IKE_DH_NONE;
	c->rank[IKE_MAX_AKE + 3] = 0;
	if (c->skip_ke)
		return true;
	for (uint8_t i = 0; i < list_size(l); i++) {
		const uint16_t dh = list_id(l, i);

		c->s.dh = dh;
		c->rank[IKE_MAX_AKE + 3] = i;
		/* RFC 7296 3.3.3: DH is optional for ESP; NONE beside groups leaves the choice to
		 * us. */
		if (dh == IKE_DH_NONE ? !ike && !ake_any(&c->s) &&
						ike_proposal_has_or_lacks(c->p, IKE_TRANSFORM_DH, 0)
				      : ike_dh_desc(dh) && !ake_uses(&c->s, dh) &&
						ike_proposal_has(c->p, IKE_TRANSFORM_DH, dh, 0))
			return true;
	}
	return false;
}

static bool choose_esn(struct choice *c)
{
	const struct ike_alg_list *l = &c->ours->by_type[IKE_TRANSFORM_ESN];

	c->s.esn = IKE_ESN_NO;
	/* RFC 7296 3.3.3 has ESN mandatory; without it a peer can only mean 32-bit numbers. */
	for (uint8_t i = 0; i < list_size(l) && c->protocol != IKE_PROTO_IKE; i++) {
		c->s.esn = list_id(l, i);
		c->rank[IKE_MAX_AKE + 4] = i;
		if (ike_proposal_has_or_lacks(c->p, IKE_TRANSFORM_ESN, c->s.esn))
			return true;
	}
	return c->protocol == IKE_PROTO_IKE;
}

/*
 * Type ADDKE1 + i and those after it; the group, which must differ from all of them (RFC 9370 2.2.2),
 * comes last, so that what was chosen here is given up if it leaves none.
 */
static bool choose_ake(struct choice *c, unsigned i)
{
	const uint8_t type = (uint8_t)(IKE_TRANSFORM_ADDKE1 + i);
	const struct ike_alg_list *l;

	if (i == IKE_MAX_AKE)
		return choose_dh(c);
	l = &c->ours->by_type[type];
	for (uint8_t k = 0; k < list_size(l); k++) {
		const uint16_t method = list_id(l, k);

		c->s.ake[i] = IKE_DH_NONE;
		if (method == IKE_DH_NONE ? !ike_proposal_has_or_lacks(c->p, type, IKE_DH_NONE)
					  : !ike_dh_desc(method) || ake_uses(&c->s, method) ||
						    !ike_proposal_has(c->p, type, method, 0))
			continue;
		c->s.ake[i] = method;
		c->rank[i] = k;
		if (choose_ake(c, i + 1))
			return true;
		c->s.ake[i] = IKE_DH_NONE;
	}
	return false;
}

/* RFC 9370 2.2.2: what is left out of the types that were offered is named as NONE in the answer. */
static bool note_none(struct choice *c)
{
	for (uint8_t type = IKE_TRANSFORM_ADDKE1; type <= IKE_TRANSFORM_ADDKE7; type++) {
		const unsigned i = type - IKE_TRANSFORM_ADDKE1;

		if (!has_type(c->p, type) || (i < IKE_MAX_AKE && c->s.ake[i] != IKE_DH_NONE))
			continue;
		if (!ike_proposal_has(c->p, type, IKE_DH_NONE, 0))
			return false;
		c->s.ake_none |= (uint8_t)(1u << i);
	}
	return true;
}

static bool choose(struct choice *c)
{
	if (!ike_proposal_frame_ok(c->p, c->protocol) || !choose_encr(c) || !choose_prf(c) ||
	    !choose_esn(c))
		return false;
	return c->skip_ke ? choose_dh(c) : choose_ake(c, 0) && note_none(c);
}

enum ike_err ike_proposal_select(const struct ike_sa_payload *offer, uint8_t protocol,
				 const struct ike_algs *ours, bool skip_ke, struct ike_suite *out,
				 const struct ike_proposal **proposal)
{
	enum ike_err err = IKE_ERR_NO_PROPOSAL;
	uint8_t best[IKE_N_ALG_LISTS];

	for (size_t i = 0; i < offer->n_proposals; i++) {
		struct choice c = {.p = &offer->proposals[i],
				   .ours = ours,
				   .protocol = protocol,
				   .skip_ke = skip_ke};

		if (!choose(&c) || (err == IKE_OK && memcmp(c.rank, best, sizeof(best)) >= 0))
			continue;
		memcpy(best, c.rank, sizeof(best));
		*out = c.s;
		*proposal = c.p;
		err = IKE_OK;
	}
	return err;
}

enum ike_err ike_proposal_select_ke(const struct ike_sa_payload *offer, uint8_t protocol,
				    const struct ike_algs *ours, uint16_t group,
				    struct ike_suite *out, const struct ike_proposal **proposal)
{
	const enum ike_err err = ike_proposal_select(offer, protocol, ours, false, out, proposal);
	const struct ike_proposal *p;
	struct ike_algs wish;
	struct ike_suite s;

	if (err != IKE_OK || group == IKE_DH_NONE || out->dh == group ||
	    !ike_algs_have(ours, IKE_TRANSFORM_DH, group, 0))
		return err;
	s = *out;
	s.dh = group;
	wish = ike_algs_of(&s, 1);
	if (ike_proposal_select(offer, protocol, &wish, false, &s, &p) == IKE_OK) {
		*out = s;
		*proposal = p;
	}
	return IKE_OK;
}

enum ike_err ike_proposal_check(const struct ike_sa_payload *answer, uint8_t protocol,
				const struct ike_algs *offered, bool skip_ke, struct ike_suite *out,
				const struct ike_proposal **proposal)
{
	const struct ike_proposal *p = &answer->proposals[0];
	bool seen[IKE_TRANSFORM_ADDKE7 + 1] = {false};

	/* RFC 7296 2.7: the answer is one proposal with one transform of each type. */
	if (answer->n_proposals != 1 || !ike_proposal_frame_ok(p, protocol))
		return IKE_ERR_NO_PROPOSAL;
	for (size_t i = 0; i < p->n_transforms; i++) {
		const struct ike_transform *t = &p->transforms[i];

		if (seen[t->type])
			return IKE_ERR_NO_PROPOSAL;
		seen[t->type] = true;
		/* RFC 7296 1.2: the first CHILD_SA has no exchange of its own, hence no group. */
		if (skip_ke && t->id != IKE_DH_NONE &&
		    (t->type == IKE_TRANSFORM_DH || t->type >= IKE_TRANSFORM_ADDKE1))
			return IKE_ERR_NO_PROPOSAL;
	}
	return ike_proposal_select(answer, protocol, offered, skip_ke, out, proposal);
}
