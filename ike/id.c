/* SPDX-License-Identifier: Apache-2.0 */
#include "ike/id.h"

static bool same_text(const uint8_t *a, const uint8_t *b, size_t size)
{
	return !strncasecmp((const char *)a, (const char *)b, size);
}

static bool has_nul(struct rd data)
{
	return data.size && memchr(data.p, 0, data.size);
}

bool ike_id_equal(uint8_t type, struct rd data, const struct ike_id *id)
{
	if (type != id->type)
		return false;
	if (type == IKE_ID_DER_ASN1_DN)
		return ike_dn_matches(data, rd_of(id->data, id->size), false);
	if (data.size != id->size)
		return false;
	/* A NUL would end the comparison of text. */
	if ((type == IKE_ID_FQDN || type == IKE_ID_RFC822_ADDR) && !has_nul(data))
		return same_text(data.p, id->data, data.size);
	return !memcmp(data.p, id->data, data.size);
}

bool ike_id_matches(uint8_t type, struct rd data, const struct ike_id *id, bool wildcard)
{
	size_t tail;

	if (!wildcard)
		return ike_id_equal(type, data, id);
	if (id->type == IKE_ID_NONE)
		return data.size > 0;
	if (type != id->type)
		return false;
	if (type == IKE_ID_DER_ASN1_DN)
		return ike_dn_matches(data, rd_of(id->data, id->size), true);
	if ((type != IKE_ID_FQDN && type != IKE_ID_RFC822_ADDR) || id->size < 2 ||
	    id->data[0] != '*')
		return ike_id_equal(type, data, id);
	tail = id->size - 1u; /* ".x.y" or "@x.y" */
	return !has_nul(data) && data.size > tail && data.p[0] != '.' && data.p[0] != '@' &&
	       same_text(data.p + data.size - tail, id->data + 1, tail);
}

static const char *type_name(uint8_t type)
{
	switch (type) {
	case IKE_ID_IPV4_ADDR:
	case IKE_ID_IPV6_ADDR: return "ip";
	case IKE_ID_FQDN: return "fqdn";
	case IKE_ID_RFC822_ADDR: return "email";
	case IKE_ID_DER_ASN1_DN: return "dn";
	case IKE_ID_KEY_ID: return "keyid";
	default: return NULL;
	}
}

static bool printable(struct rd data)
{
	for (size_t i = 0; i < data.size; i++) {
		if (data.p[i] < 0x20 || data.p[i] > 0x7e)
			return false;
	}
	return true;
}

void ike_id_put(struct sb *s, uint8_t type, struct rd data)
{
	const char *name = type_name(type);
	char buf[IP_ADDR_STRLEN];
	struct ip_addr a;

	if (type == IKE_ID_NONE) {
		sb_str(s, "anybody");
		return;
	}
	if (name)
		sb_printf(s, "%s:", name);
	else
		sb_printf(s, "type-%u:", type);
	if ((type == IKE_ID_IPV4_ADDR && data.size == 4) ||
	    (type == IKE_ID_IPV6_ADDR && data.size == 16)) {
		a = ip_from_bytes(data.size == 4 ? IP_V4 : IP_V6, data.p);
		sb_str(s, ip_format(&a, buf));
	} else if (type == IKE_ID_DER_ASN1_DN && ike_dn_put(s, data)) {
		return;
	} else if (type == IKE_ID_FQDN || type == IKE_ID_RFC822_ADDR ||
		   (type == IKE_ID_KEY_ID && printable(data))) {
		sb_escaped(s, data.p, data.size < 100 ? data.size : 100);
	} else {
		sb_str(s, "#");
		sb_hex(s, data.p, data.size < 32 ? data.size : 32);
	}
}
