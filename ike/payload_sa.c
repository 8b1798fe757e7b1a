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

/* The choices of one proposal: each list is a set, and every combination of them is on offer. */
#define MAX_CHOICES 32
struct choices {
	size_t n;
	uint16_t id[MAX_CHOICES];
	uint16_t key_bits[MAX_CHOICES];
};

struct group {
	struct choices by_type[IKE_N_TRANSFORM_TYPES + 1]; /* by enum ike_transform_type */
};

static bool choices_have(const struct choices *c, uint16_t id, uint16_t key_bits)
{
	for (size_t i = 0; i < c->n; i++)
		if (c->id[i] == id && c->key_bits[i] == key_bits)
			return true;
	return false;
}

static bool choices_equal(const struct choices *a, const struct choices *b)
{
	if (a->n != b->n)
		return false;
	for (size_t i = 0; i < a->n; i++)
		if (!choices_have(b, a->id[i], a->key_bits[i]))
			return false;
	return true;
}

static void choices_add(struct choices *c, uint16_t id, uint16_t key_bits)
{
	if (choices_have(c, id, key_bits) || c->n == MAX_CHOICES)
		return;
	c->id[c->n] = id;
	c->key_bits[c->n] = key_bits;
	c->n++;
}

static struct group group_of(uint8_t protocol, const struct ike_suite *s)
{
	struct group g = {0};

	choices_add(&g.by_type[IKE_TRANSFORM_ENCR], s->encr, s->encr_key_bits);
	if (protocol == IKE_PROTO_IKE)
		choices_add(&g.by_type[IKE_TRANSFORM_PRF], s->prf, 0);
	/*
	 * RFC 7296 3.3.3, 3.3: combined-mode ciphers go without integrity. An absent list cannot be
	 * merged with a present one, which keeps AEAD and others in separate proposals.
	 */
	if (s->integ != IKE_INTEG_NONE)
		choices_add(&g.by_type[IKE_TRANSFORM_INTEG], s->integ, 0);
	if (s->dh != IKE_DH_NONE)
		choices_add(&g.by_type[IKE_TRANSFORM_DH], s->dh, 0);
	if (protocol != IKE_PROTO_IKE)
		choices_add(&g.by_type[IKE_TRANSFORM_ESN], s->esn, 0);
	return g;
}

/*
 * Merges b into a if they differ in one type at most and both have choices there: then the merged
 * proposal offers exactly the combinations of both, never one that we did not mean.
 */
static bool group_merge(struct group *a, const struct group *b)
{
	int differs = 0;

	for (int type = 1; type <= IKE_N_TRANSFORM_TYPES; type++) {
		if (choices_equal(&a->by_type[type], &b->by_type[type]))
			continue;
		if (differs || a->by_type[type].n == 0 || b->by_type[type].n == 0 ||
		    a->by_type[type].n + b->by_type[type].n > MAX_CHOICES)
			return false;
		differs = type;
	}
	if (differs)
		for (size_t i = 0; i < b->by_type[differs].n; i++)
			choices_add(&a->by_type[differs], b->by_type[differs].id[i],
				    b->by_type[differs].key_bits[i]);
	return true;
}

/* One pass over all pairs; the first of a pair keeps its place, so that preference is kept. */
static bool groups_merge(struct group *groups, size_t *n)
{
	bool merged = false;

	for (size_t i = 0; i < *n; i++) {
		for (size_t j = i + 1; j < *n;) {
			if (!group_merge(&groups[i], &groups[j])) {
				j++;
				continue;
			}
			memmove(&groups[j], &groups[j + 1], (*n - j - 1) * sizeof(groups[0]));
			--*n;
			merged = true;
		}
	}
	return merged;
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
			   size_t spi_size, const struct group *g, bool last)
{
	const size_t start = w->n;
	size_t size_at, n = 0, left;

	for (int type = 1; type <= IKE_N_TRANSFORM_TYPES; type++)
		n += g->by_type[type].n;
	left = n;
	wr_u8(w, last ? LAST : MORE_PROPOSALS);
	wr_u8(w, 0);
	size_at = wr_open16(w);
	wr_u8(w, number);
	wr_u8(w, protocol);
	wr_u8(w, (uint8_t)spi_size);
	wr_u8(w, (uint8_t)n);
	wr_bytes(w, spi, spi_size);
	for (int type = 1; type <= IKE_N_TRANSFORM_TYPES; type++) {
		const struct choices *c = &g->by_type[type];

		for (size_t i = 0; i < c->n; i++)
			transform_build(w, (uint8_t)type, c->id[i], c->key_bits[i], --left == 0);
	}
	wr_close16(w, size_at, start);
}

void ike_build_sa(struct ike_builder *b, uint8_t protocol, const uint8_t *spi, size_t spi_size,
		  const struct ike_suite *suites, size_t n_suites)
{
	struct group groups[IKE_WIRE_MAX_PROPOSALS];
	size_t n = 0, at;

	if (n_suites == 0 || n_suites > IKE_WIRE_MAX_PROPOSALS || spi_size > UINT8_MAX) {
		b->w.overflow = true;
		return;
	}
	for (; n < n_suites; n++)
		groups[n] = group_of(protocol, &suites[n]);
	while (groups_merge(groups, &n))
		;
	at = ike_payload_open(b, IKE_PL_SA);
	for (size_t i = 0; i < n; i++)
		proposal_build(&b->w, (uint8_t)(i + 1), protocol, spi, spi_size, &groups[i],
			       i + 1 == n);
	ike_payload_close(b, at);
}

void ike_build_sa_chosen(struct ike_builder *b, uint8_t number, uint8_t protocol,
			 const uint8_t *spi, size_t spi_size, const struct ike_suite *suite)
{
	const struct group g = group_of(protocol, suite);
	size_t at;

	if (spi_size > UINT8_MAX) {
		b->w.overflow = true;
		return;
	}
	at = ike_payload_open(b, IKE_PL_SA);
	proposal_build(&b->w, number, protocol, spi, spi_size, &g, true);
	ike_payload_close(b, at);
}
