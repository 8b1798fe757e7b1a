/* SPDX-License-Identifier: Apache-2.0 */
/* proposal_explain: why nothing was chosen, for the person who has to compare two configurations.
 */
#include "base/sb.h"
#include "ike/proposal_int.h"

static const char *type_name(uint8_t type)
{
	static const char *const names[IKE_N_ALG_LISTS] = {
		[IKE_TRANSFORM_ENCR] = "encryption",
		[IKE_TRANSFORM_PRF] = "PRF",
		[IKE_TRANSFORM_INTEG] = "integrity",
		[IKE_TRANSFORM_DH] = "DH",
		[IKE_TRANSFORM_ESN] = "ESN",
		[IKE_TRANSFORM_ADDKE1] = "additional key exchange 1",
		[IKE_TRANSFORM_ADDKE1 + 1] = "additional key exchange 2",
		[IKE_TRANSFORM_ADDKE1 + 2] = "additional key exchange 3",
	};

	return names[type];
}

static void value_format(uint8_t type, uint16_t id, uint16_t key_bits, struct sb *out)
{
	const char *name = NULL;

	switch ((enum ike_transform_type)type) {
	case IKE_TRANSFORM_ENCR: ike_encr_format(id, key_bits, out); return;
	case IKE_TRANSFORM_PRF: name = ike_prf_desc(id) ? ike_prf_desc(id)->name : NULL; break;
	case IKE_TRANSFORM_INTEG:
		name = ike_integ_desc(id) ? ike_integ_desc(id)->name : id == 0 ? "none" : NULL;
		break;
	case IKE_TRANSFORM_ESN:
		name = id == IKE_ESN_YES ? "yes" : id == IKE_ESN_NO ? "no" : NULL;
		break;
	case IKE_TRANSFORM_DH:
	default: name = id == IKE_DH_NONE ? "none" : ike_dh_desc(id) ? ike_dh_desc(id)->name : NULL;
	}
	if (name)
		sb_str(out, name);
	else
		sb_printf(out, "%u", id);
}

/* The numbers that peers still send and people know by name. */
static const char *legacy_name(uint8_t type, uint16_t id)
{
	if (type == IKE_TRANSFORM_ENCR)
		return id == 2 ? "des" : id == 3 ? "3des" : id == 11 ? "null" : NULL;
	if (type == IKE_TRANSFORM_PRF)
		return id == 1 ? "md5" : id == 4 ? "aes-xcbc" : id == 8 ? "aes-cmac" : NULL;
	if (type == IKE_TRANSFORM_INTEG)
		return id == 1 ? "md5" : id == 5 ? "aes-xcbc" : id == 8 ? "aes-cmac" : NULL;
	return NULL;
}

static void theirs_format(const struct ike_proposal *p, uint8_t type, struct sb *out)
{
	bool any = false;

	for (size_t i = 0; i < p->n_transforms; i++) {
		const struct ike_transform *t = &p->transforms[i];
		const char *legacy = legacy_name(type, t->id);

		if (t->type != type)
			continue;
		if (any)
			sb_str(out, ",");
		any = true;
		if (legacy) {
			sb_str(out, legacy);
			if (t->key_bits)
				sb_printf(out, "-%u", t->key_bits);
		} else {
			value_format(type, t->id, t->key_bits, out);
		}
		if (t->unknown_attribute)
			sb_str(out, "(unknown attribute)");
		else if (!ike_transform_usable(t) && !legacy && type == IKE_TRANSFORM_ENCR &&
			 ike_encr_desc(t->id))
			sb_str(out, "(bad key length)");
	}
	if (!any)
		sb_str(out, "none");
}

/* Ours of one type, in our order; with an AEAD there is no integrity. */
static void ours_format(const struct ike_algs *ours, uint8_t type, bool aead, struct sb *out)
{
	const struct ike_alg_list *l = &ours->by_type[type];

	if (!l->n || (type == IKE_TRANSFORM_INTEG && aead)) {
		value_format(type, 0, 0, out);
		return;
	}
	for (size_t i = 0; i < l->n; i++) {
		if (i)
			sb_str(out, ",");
		value_format(type, l->algs[i].id, l->algs[i].key_bits, out);
	}
}

/* Some value of our list can be had from the proposal, by ciphers that are AEADs or are not. */
static bool agrees(const struct ike_proposal *p, uint8_t protocol, const struct ike_algs *ours,
		   uint8_t type, bool aead)
{
	const struct ike_alg_list *l = &ours->by_type[type];
	const bool ike = protocol == IKE_PROTO_IKE;

	if ((type == IKE_TRANSFORM_PRF && !ike) || (type == IKE_TRANSFORM_ESN && ike))
		return true;
	if (type == IKE_TRANSFORM_INTEG && aead)
		return ike_proposal_has_or_lacks(p, type, IKE_INTEG_NONE);
	for (size_t i = 0; i < l->n; i++) {
		const struct ike_alg *a = &l->algs[i];
		const struct ike_encr_desc *d = ike_encr_desc(a->id);

		if (type == IKE_TRANSFORM_ENCR && (!d || d->aead != aead))
			continue;
		if (ike_proposal_has(p, type, a->id, a->key_bits) ||
		    (type >= IKE_TRANSFORM_DH && a->id == 0 &&
		     ike_proposal_has_or_lacks(p, type, 0)))
			return true;
	}
	return l->n == 0 && type >= IKE_TRANSFORM_DH && ike_proposal_has_or_lacks(p, type, 0);
}

/* Another kind of cipher takes integrity with it or leaves it out: that is no difference of its own. */
static bool integ_follows(const struct ike_proposal *p, uint8_t protocol,
			  const struct ike_algs *ours, bool aead)
{
	return !agrees(p, protocol, ours, IKE_TRANSFORM_ENCR, aead) &&
	       agrees(p, protocol, ours, IKE_TRANSFORM_INTEG, !aead);
}

static bool differs(const struct ike_proposal *p, uint8_t protocol, const struct ike_algs *ours,
		    uint8_t type, bool aead)
{
	return !agrees(p, protocol, ours, type, aead) &&
	       !(type == IKE_TRANSFORM_INTEG && integ_follows(p, protocol, ours, aead));
}

static unsigned n_differences(const struct ike_proposal *p, uint8_t protocol,
			      const struct ike_algs *ours, bool aead)
{
	unsigned n = 0;

	for (uint8_t type = 1; type < IKE_N_ALG_LISTS; type++)
		n += differs(p, protocol, ours, type, aead);
	return n;
}

static bool have_kind(const struct ike_algs *ours, bool aead)
{
	const struct ike_alg_list *l = &ours->by_type[IKE_TRANSFORM_ENCR];

	for (size_t i = 0; i < l->n; i++) {
		const struct ike_encr_desc *d = ike_encr_desc(l->algs[i].id);

		if (d && d->aead == aead)
			return true;
	}
	return false;
}

static void unknown_types_format(const struct ike_proposal *p, struct sb *out)
{
	for (size_t i = 0; i < p->n_transforms; i++)
		if (p->transforms[i].type == 0 || p->transforms[i].type > IKE_TRANSFORM_ADDKE7) {
			sb_printf(out, "it holds transform type %u, which is not supported here",
				  p->transforms[i].type);
			return;
		}
	sb_str(out, "its SPI or its set of transform types is not valid for the protocol");
}

/* The offer with the fewest differences; *aead: by our AEADs or by our other ciphers. */
static const struct ike_proposal *find_closest(const struct ike_sa_payload *offer, uint8_t protocol,
					       const struct ike_algs *ours, bool *aead,
					       unsigned *least)
{
	const struct ike_proposal *closest = NULL;

	*least = UINT8_MAX;
	*aead = true;
	for (size_t i = 0; i < 2 * offer->n_proposals; i++) {
		const struct ike_proposal *p = &offer->proposals[i / 2];
		unsigned n;

		if (p->protocol != protocol || !have_kind(ours, i % 2 == 0))
			continue;
		/* One that is broken as a whole is the closest only if there is no other. */
		n = n_differences(p, protocol, ours, i % 2 == 0) +
		    (ike_proposal_frame_ok(p, protocol) ? 0 : IKE_N_ALG_LISTS);
		if (n < *least) {
			*least = n;
			closest = p;
			*aead = i % 2 == 0;
		}
	}
	return closest;
}

/* The first of their values that a configuration of ours can name; "" if there is none. */
static void nameable(const struct ike_proposal *p, uint8_t type, struct sb *out)
{
	for (size_t i = 0; i < p->n_transforms && out->n == 0; i++) {
		const struct ike_transform *t = &p->transforms[i];
		const bool known = type == IKE_TRANSFORM_ENCR    ? ike_encr_desc(t->id) != NULL
				   : type == IKE_TRANSFORM_PRF   ? ike_prf_desc(t->id) != NULL
				   : type == IKE_TRANSFORM_INTEG ? ike_integ_desc(t->id) != NULL
				   : type == IKE_TRANSFORM_DH    ? ike_dh_desc(t->id) != NULL
								 : false;

		if (t->type == type && known && ike_transform_usable(t))
			value_format(type, t->id, t->key_bits, out);
	}
}

void ike_proposal_compare(const struct ike_sa_payload *offer, uint8_t protocol,
			  const struct ike_algs *ours, struct ike_difference *out)
{
	struct sb text = sb_of(out->text, sizeof(out->text));
	struct sb add = sb_of(out->add, sizeof(out->add));
	const char *separator = "";
	unsigned least;
	bool aead;
	const struct ike_proposal *closest = find_closest(offer, protocol, ours, &aead, &least);

	out->only_type = 0;
	if (!closest) {
		sb_printf(&text, "none of the %zu offers is for %s", offer->n_proposals,
			  protocol == IKE_PROTO_IKE ? "IKE" : "ESP");
		return;
	}
	sb_printf(&text, "closest offer %u: ", closest->number);
	if (!ike_proposal_frame_ok(closest, protocol)) {
		unknown_types_format(closest, &text);
		return;
	}
	if (least == 0) {
		sb_str(&text, "no difference");
		return;
	}
	sb_str(&text, "differs in ");
	for (uint8_t type = 1; type < IKE_N_ALG_LISTS; type++) {
		if (!differs(closest, protocol, ours, type, aead))
			continue;
		sb_str(&text, separator);
		separator = "; ";
		sb_printf(&text, "%s: they ", type_name(type));
		theirs_format(closest, type, &text);
		sb_str(&text, ", we ");
		ours_format(ours, type, aead, &text);
		if (least == 1) {
			out->only_type = type;
			nameable(closest, type, &add);
		}
	}
}

void ike_proposal_put_ours(uint8_t protocol, const struct ike_algs *ours, struct sb *out)
{
	const char *separator = "";

	for (uint8_t type = 1; type < IKE_N_ALG_LISTS; type++) {
		if (!ours->by_type[type].n ||
		    (type == IKE_TRANSFORM_PRF && protocol != IKE_PROTO_IKE) ||
		    (type == IKE_TRANSFORM_ESN && protocol == IKE_PROTO_IKE))
			continue;
		sb_printf(out, "%s%s ", separator, type_name(type));
		ours_format(ours, type, false, out);
		separator = "; ";
	}
}

void ike_proposal_put_theirs(const struct ike_sa_payload *offer, struct sb *out)
{
	for (size_t i = 0; i < offer->n_proposals; i++) {
		const struct ike_proposal *p = &offer->proposals[i];
		const char *separator = "";

		sb_printf(out, "%s%u: ", i ? " | " : "", p->number);
		for (uint8_t type = 1; type < IKE_N_ALG_LISTS; type++) {
			bool there = false;

			for (size_t j = 0; j < p->n_transforms; j++)
				there = there || p->transforms[j].type == type;
			if (!there)
				continue;
			sb_printf(out, "%s%s ", separator, type_name(type));
			theirs_format(p, type, out);
			separator = "; ";
		}
	}
}

const char *ike_proposal_config_key(uint8_t protocol, uint8_t type)
{
	const bool ike = protocol == IKE_PROTO_IKE;

	switch (type) {
	case IKE_TRANSFORM_ENCR: return ike ? "ike.encryption" : "esp.encryption";
	case IKE_TRANSFORM_PRF: return "ike.prf";
	case IKE_TRANSFORM_INTEG: return ike ? "ike.integrity" : "esp.integrity";
	case IKE_TRANSFORM_DH: return ike ? "ike.dh" : "esp.pfs";
	case IKE_TRANSFORM_ESN: return "esp.esn";
	default: return NULL; /* 'pq' or 'additional_key_exchanges': the peer may count otherwise */
	}
}
