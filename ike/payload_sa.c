/* SPDX-License-Identifier: Apache-2.0 */
/* payload_sa: Security Association: proposals, transforms, attributes (RFC 7296 3.3). */
#include "ike/payload.h"

#define LAST               0 /* "last substructure" of proposals and transforms */
#define MORE_PROPOSALS     2
#define MORE_TRANSFORMS    3
#define PROPOSAL_HEADER    8
#define TRANSFORM_HEADER   8
#define ATTRIBUTE_TV       0x8000
#define ATTRIBUTE_KEY_BITS 14

/* ------------------------------------------------------------------- parse */

static enum ike_err attributes_parse(struct rd r, struct ike_transform *t)
{
	bool seen = false;

	while (!rd_empty(&r)) {
		uint16_t type, value;

		if (!rd_u16(&r, &type) || !rd_u16(&r, &value))
			return IKE_ERR_TRUNCATED;
		/*
		 * RFC 7296 3.3.5: Key Length is the only attribute there is, and always of the
		 * short form. RFC 7296 3.3.6: a transform with any other is not chosen; nor is one
		 * whose key length is stated twice, or as 0.
		 */
		if (type == (ATTRIBUTE_TV | ATTRIBUTE_KEY_BITS) && !seen && value != 0) {
			t->key_bits = value;
			seen = true;
			continue;
		}
		t->unknown_attribute = true;
		if (!(type & ATTRIBUTE_TV) && !rd_skip(&r, value))
			return IKE_ERR_TRUNCATED;
	}
	return IKE_OK;
}

static enum ike_err transform_parse(struct rd *r, struct ike_proposal *p)
{
	struct ike_transform *t;
	uint8_t last, reserved;
	uint16_t size, id;
	struct rd attributes;

	if (p->n_transforms == IKE_WIRE_MAX_TRANSFORMS)
		return IKE_ERR_SYNTAX;
	t = &p->transforms[p->n_transforms];
	*t = (struct ike_transform){0};
	if (!rd_u8(r, &last) || !rd_u8(r, &reserved) || !rd_u16(r, &size) || !rd_u8(r, &t->type) ||
	    !rd_u8(r, &reserved) || !rd_u16(r, &id))
		return IKE_ERR_TRUNCATED;
	if (size < TRANSFORM_HEADER)
		return IKE_ERR_SYNTAX;
	if (!rd_sub(r, size - TRANSFORM_HEADER, &attributes))
		return IKE_ERR_TRUNCATED;
	if (last != (rd_empty(r) ? LAST : MORE_TRANSFORMS))
		return IKE_ERR_SYNTAX;
	t->id = id;
	p->n_transforms++;
	return attributes_parse(attributes, t);
}

static enum ike_err proposal_parse(struct rd *r, struct ike_sa_payload *sa)
{
	struct ike_proposal *p;
	uint8_t last, reserved, n_transforms;
	uint16_t size;
	struct rd body;

	if (sa->n_proposals == IKE_WIRE_MAX_PROPOSALS)
		return IKE_ERR_SYNTAX;
	p = &sa->proposals[sa->n_proposals];
	p->n_transforms = 0;
	if (!rd_u8(r, &last) || !rd_u8(r, &reserved) || !rd_u16(r, &size) ||
	    !rd_u8(r, &p->number) || !rd_u8(r, &p->protocol) || !rd_u8(r, &p->spi_size) ||
	    !rd_u8(r, &n_transforms))
		return IKE_ERR_TRUNCATED;
	if (size < PROPOSAL_HEADER)
		return IKE_ERR_SYNTAX;
	if (!rd_sub(r, size - PROPOSAL_HEADER, &body) || !rd_bytes(&body, p->spi_size, &p->spi))
		return IKE_ERR_TRUNCATED;
	if (last != (rd_empty(r) ? LAST : MORE_PROPOSALS))
		return IKE_ERR_SYNTAX;
	while (!rd_empty(&body)) {
		const enum ike_err err = transform_parse(&body, p);

		if (err != IKE_OK)
			return err;
	}
	if (p->n_transforms != n_transforms)
		return IKE_ERR_SYNTAX;
	sa->n_proposals++;
	return IKE_OK;
}

enum ike_err ike_sa_parse(uint8_t type, struct rd body, struct ike_msg *msg)
{
	(void)type;
	while (!rd_empty(&body)) {
		const enum ike_err err = proposal_parse(&body, &msg->sa);

		if (err != IKE_OK)
			return err;
	}
	return IKE_OK;
}

/* ------------------------------------------------------------------- build */

/*
 * Lists become proposals: an AEAD goes without integrity and others with it (RFC 7296 3.3), and a
 * responder that does not know a transform type refuses the whole proposal (3.3.6), so that additional
 * key exchanges need a proposal beside the one for peers without them. For PFS or not we keep to two
 * proposals as well, since not every peer knows the group NONE. In each proposal every combination is
 * meant.
 */
struct part {
	const struct ike_algs *algs;
	uint8_t protocol;
	bool aead, with_dh, with_ake;
	uint16_t group; /* goes first */
};

static bool is_aead(const struct ike_alg *a)
{
	const struct ike_encr_desc *d = ike_encr_desc(a->id);

	return d && d->aead;
}

/* What stands in `part` of one type: its members in order, the group first where it is told. */
static size_t part_list(const struct part *part, uint8_t type, struct ike_alg out[IKE_MAX_ALGS])
{
	const struct ike_alg_list *l = &part->algs->by_type[type];
	size_t n = 0;

	for (unsigned pass = 0; pass < 2; pass++) {
		for (size_t i = 0; i < l->n; i++) {
			const bool first = type == IKE_TRANSFORM_DH && l->algs[i].id == part->group;

			if (first != (pass == 0))
				continue;
			if (type == IKE_TRANSFORM_ENCR
				    ? is_aead(&l->algs[i]) == part->aead
				    : type == IKE_TRANSFORM_ESN || l->algs[i].id != 0)
				out[n++] = l->algs[i];
		}
	}
	return n;
}

static bool offers_ake(const struct ike_algs *algs, unsigned i)
{
	const struct part all = {.algs = algs};
	struct ike_alg scratch[IKE_MAX_ALGS];

	return part_list(&all, (uint8_t)(IKE_TRANSFORM_ADDKE1 + i), scratch) > 0;
}

static bool may_lack(const struct ike_algs *algs, uint8_t type)
{
	return !algs->by_type[type].n || ike_algs_have(algs, type, 0, 0);
}

/* The transforms of a part, by type. Returns how many. */
#define PART_MAX (IKE_N_ALG_LISTS * (IKE_MAX_ALGS + 1))
static size_t part_transforms(const struct part *part, struct ike_transform out[PART_MAX])
{
	struct ike_alg list[IKE_MAX_ALGS];
	unsigned n_ake = 0;
	size_t n = 0;

	for (unsigned i = 0; i < IKE_MAX_AKE; i++)
		n_ake += offers_ake(part->algs, i);
	for (uint8_t type = 1; type < IKE_N_ALG_LISTS; type++) {
		const bool ake = type >= IKE_TRANSFORM_ADDKE1;
		size_t k;

		if ((type == IKE_TRANSFORM_PRF && part->protocol != IKE_PROTO_IKE) ||
		    (type == IKE_TRANSFORM_ESN && part->protocol == IKE_PROTO_IKE) ||
		    (type == IKE_TRANSFORM_INTEG && part->aead) ||
		    (type == IKE_TRANSFORM_DH && !part->with_dh) || (ake && !part->with_ake))
			continue;
		k = part_list(part, type, list);
		for (size_t i = 0; i < k; i++)
			out[n++] =
				(struct ike_transform){type, list[i].id, list[i].key_bits, false};
		/* RFC 9370 2.2.2: NONE makes one of several optional; all or nothing is said by
		 * another proposal without them. */
		if (ake && k && n_ake > 1 && may_lack(part->algs, type))
			out[n++] = (struct ike_transform){type, 0, 0, false};
	}
	return n;
}

static void transform_build(struct wr *w, uint8_t type, uint16_t id, uint16_t key_bits, bool last)
{
	const size_t start = w->n;
	size_t size_at;

	wr_u8(w, last ? LAST : MORE_TRANSFORMS);
	wr_u8(w, 0);
	size_at = wr_open16(w);
	wr_u8(w, type);
	wr_u8(w, 0);
	wr_u16(w, id);
	if (key_bits) {
		wr_u16(w, ATTRIBUTE_TV | ATTRIBUTE_KEY_BITS);
		wr_u16(w, key_bits);
	}
	wr_close16(w, size_at, start);
}

static void proposal_build(struct wr *w, uint8_t number, uint8_t protocol, const uint8_t *spi,
			   size_t spi_size, const struct ike_transform *t, size_t n, bool last)
{
	const size_t start = w->n;
	size_t size_at;

	wr_u8(w, last ? LAST : MORE_PROPOSALS);
	wr_u8(w, 0);
	size_at = wr_open16(w);
	wr_u8(w, number);
	wr_u8(w, protocol);
	wr_u8(w, (uint8_t)spi_size);
	wr_u8(w, (uint8_t)n);
	wr_bytes(w, spi, spi_size);
	for (size_t i = 0; i < n; i++)
		transform_build(w, t[i].type, t[i].id, t[i].key_bits, i + 1 == n);
	wr_close16(w, size_at, start);
}

#define MAX_PARTS 8

/* All parts of an offer, the preferred ones first. */
static size_t parts_of(uint8_t protocol, const struct ike_algs *algs, bool skip_ke, uint16_t group,
		       struct part out[MAX_PARTS])
{
	const struct ike_alg_list *encr = &algs->by_type[IKE_TRANSFORM_ENCR];
	const struct ike_alg_list *dh = &algs->by_type[IKE_TRANSFORM_DH];
	const bool aead_first = encr->n && is_aead(&encr->algs[0]);
	const bool dh_first = group != IKE_DH_NONE || (dh->n && dh->algs[0].id != IKE_DH_NONE);
	bool ake = false, no_ake = true;
	size_t n = 0;

	for (unsigned i = 0; i < IKE_MAX_AKE; i++) {
		ake = ake || offers_ake(algs, i);
		no_ake = no_ake && may_lack(algs, (uint8_t)(IKE_TRANSFORM_ADDKE1 + i));
	}
	for (unsigned i = 0; i < MAX_PARTS; i++) {
		const struct part p = {
			.algs = algs,
			.protocol = protocol,
			.with_ake = !(i & 4),
			.aead = !(i & 2) == aead_first,
			.with_dh = !(i & 1) == dh_first,
			.group = group,
		};
		struct ike_alg scratch[IKE_MAX_ALGS];

		if (!part_list(&p, IKE_TRANSFORM_ENCR, scratch) ||
		    (!p.aead && !part_list(&p, IKE_TRANSFORM_INTEG, scratch)))
			continue;
		if (p.with_dh ? skip_ke || !part_list(&p, IKE_TRANSFORM_DH, scratch)
			      : !skip_ke && !may_lack(algs, IKE_TRANSFORM_DH))
			continue;
		if (p.with_ake ? skip_ke || !ake || !p.with_dh : !skip_ke && !no_ake)
			continue;
		out[n++] = p;
	}
	return n;
}

void ike_build_sa(struct ike_builder *b, uint8_t protocol, const uint8_t *spi, size_t spi_size,
		  const struct ike_algs *algs, bool skip_ke, uint16_t group)
{
	struct part parts[MAX_PARTS];
	const size_t n = parts_of(protocol, algs, skip_ke, group, parts);
	struct ike_transform t[PART_MAX];
	size_t at;

	if (n == 0 || spi_size > UINT8_MAX) {
		b->w.overflow = true;
		return;
	}
	at = ike_payload_open(b, IKE_PL_SA);
	for (size_t i = 0; i < n; i++)
		proposal_build(&b->w, (uint8_t)(i + 1), protocol, spi, spi_size, t,
			       part_transforms(&parts[i], t), i + 1 == n);
	ike_payload_close(b, at);
}

static size_t suite_transforms(uint8_t protocol, const struct ike_suite *s,
			       struct ike_transform out[PART_MAX])
{
	size_t n = 0;

	out[n++] = (struct ike_transform){IKE_TRANSFORM_ENCR, s->encr, s->encr_key_bits, false};
	if (protocol == IKE_PROTO_IKE)
		out[n++] = (struct ike_transform){IKE_TRANSFORM_PRF, s->prf, 0, false};
	/* RFC 7296 3.3.3: leaving out integrity or the group says the same as NONE. */
	if (s->integ != IKE_INTEG_NONE)
		out[n++] = (struct ike_transform){IKE_TRANSFORM_INTEG, s->integ, 0, false};
	if (s->dh != IKE_DH_NONE)
		out[n++] = (struct ike_transform){IKE_TRANSFORM_DH, s->dh, 0, false};
	if (protocol != IKE_PROTO_IKE)
		out[n++] = (struct ike_transform){IKE_TRANSFORM_ESN, s->esn, 0, false};
	for (uint8_t type = IKE_TRANSFORM_ADDKE1; type <= IKE_TRANSFORM_ADDKE7; type++) {
		const unsigned i = type - IKE_TRANSFORM_ADDKE1;
		const uint16_t method = i < IKE_MAX_AKE ? s->ake[i] : 0;

		if (method != IKE_DH_NONE || s->ake_none & 1u << i)
			out[n++] = (struct ike_transform){type, method, 0, false};
	}
	return n;
}

void ike_build_sa_chosen(struct ike_builder *b, uint8_t number, uint8_t protocol,
			 const uint8_t *spi, size_t spi_size, const struct ike_suite *suite)
{
	struct ike_transform t[PART_MAX];
	size_t at;

	if (spi_size > UINT8_MAX) {
		b->w.overflow = true;
		return;
	}
	at = ike_payload_open(b, IKE_PL_SA);
	proposal_build(&b->w, number, protocol, spi, spi_size, t,
		       suite_transforms(protocol, suite, t), true);
	ike_payload_close(b, at);
}
