/* SPDX-License-Identifier: Apache-2.0 */
/* proposal_explain: why nothing was chosen, for the person who has to compare two configurations.
 */
#include "base/sb.h"
#include "ike/proposal_int.h"

static const char *type_name(uint8_t type)
{
	static const char *const names[] = {
		[IKE_TRANSFORM_ENCR] = "encryption", [IKE_TRANSFORM_PRF] = "PRF",
		[IKE_TRANSFORM_INTEG] = "integrity", [IKE_TRANSFORM_DH] = "DH",
		[IKE_TRANSFORM_ESN] = "ESN",
	};

	return type >= 1 && type <= IKE_N_TRANSFORM_TYPES ? names[type] : "?";
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
	case IKE_TRANSFORM_DH: name = id == IKE_DH_NONE ? "none" : NULL; break;
	case IKE_TRANSFORM_ESN:
		name = id == IKE_ESN_YES ? "yes" : id == IKE_ESN_NO ? "no" : NULL;
		break;
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
		return id == 3    ? "3des"
		       : id == 18 ? "aes-gcm-8"
		       : id == 19 ? "aes-gcm-12"
		       : id == 28 ? "chacha20-poly1305"
				  : NULL;
	if (type == IKE_TRANSFORM_PRF)
		return id == 1 ? "md5" : id == 2 ? "sha1" : NULL;
	if (type == IKE_TRANSFORM_INTEG)
		return id == 1 ? "md5" : id == 2 ? "sha1" : NULL;
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

static uint16_t suite_value(const struct ike_suite *s, uint8_t type)
{
	switch ((enum ike_transform_type)type) {
	case IKE_TRANSFORM_ENCR: return s->encr;
	case IKE_TRANSFORM_PRF: return s->prf;
	case IKE_TRANSFORM_INTEG: return s->integ;
	case IKE_TRANSFORM_DH: return s->dh;
	case IKE_TRANSFORM_ESN: return s->esn;
	}
	return 0;
}

/* Each of our values of one type once, in our order. */
static void ours_format(const struct ike_suite *ours, size_t n, uint8_t type, struct sb *out)
{
	for (size_t i = 0; i < n; i++) {
		const uint16_t bits = type == IKE_TRANSFORM_ENCR ? ours[i].encr_key_bits : 0;
		bool known = false;

		for (size_t j = 0; j < i && !known; j++)
			known = suite_value(&ours[j], type) == suite_value(&ours[i], type) &&
				(type != IKE_TRANSFORM_ENCR || ours[j].encr_key_bits == bits);
		if (known)
			continue;
		if (i)
			sb_str(out, ",");
		value_format(type, suite_value(&ours[i], type), bits, out);
	}
}

static unsigned n_differences(const struct ike_proposal *p, uint8_t protocol,
			      const struct ike_suite *s)
{
	unsigned n = 0;

	for (uint8_t type = 1; type <= IKE_N_TRANSFORM_TYPES; type++)
		n += !ike_proposal_has(p, protocol, type, s);
	return n;
}

static void unknown_types_format(const struct ike_proposal *p, struct sb *out)
{
	for (size_t i = 0; i < p->n_transforms; i++)
		if (p->transforms[i].type == 0 || p->transforms[i].type > IKE_N_TRANSFORM_TYPES) {
			sb_printf(out, "it holds transform type %u, which is not supported here",
				  p->transforms[i].type);
			return;
		}
	sb_str(out, "its SPI or its set of transform types is not valid for the protocol");
}

void ike_proposal_explain(const struct ike_sa_payload *offer, uint8_t protocol,
			  const struct ike_suite *ours, size_t n_ours, char *buf, size_t size)
{
	const struct ike_proposal *closest = NULL;
	const struct ike_suite *suite = NULL;
	struct sb out = sb_of(buf, size);
	unsigned least = UINT8_MAX;
	const char *separator = "";

	for (size_t i = 0; i < n_ours; i++) {
		for (size_t j = 0; j < offer->n_proposals; j++) {
			const struct ike_proposal *p = &offer->proposals[j];
			unsigned n;

			if (p->protocol != protocol)
				continue;
			/* One that is broken as a whole is the closest only if there is no other.
			 */
			n = n_differences(p, protocol, &ours[i]) +
			    (ike_proposal_frame_ok(p, protocol) ? 0 : IKE_N_TRANSFORM_TYPES + 1);
			if (n < least) {
				least = n;
				closest = p;
				suite = &ours[i];
			}
		}
	}
	if (!closest) {
		sb_printf(&out, "none of the %zu offers is for %s", offer->n_proposals,
			  protocol == IKE_PROTO_IKE ? "IKE" : "ESP");
		return;
	}
	sb_printf(&out, "closest offer %u: ", closest->number);
	if (!ike_proposal_frame_ok(closest, protocol)) {
		unknown_types_format(closest, &out);
		return;
	}
	if (least == 0) {
		sb_str(&out, "no difference");
		return;
	}
	sb_str(&out, "differs in ");
	for (uint8_t type = 1; type <= IKE_N_TRANSFORM_TYPES; type++) {
		if (ike_proposal_has(closest, protocol, type, suite))
			continue;
		sb_str(&out, separator);
		separator = "; ";
		sb_printf(&out, "%s: they ", type_name(type));
		theirs_format(closest, type, &out);
		sb_str(&out, ", we ");
		ours_format(ours, n_ours, type, &out);
	}
}
