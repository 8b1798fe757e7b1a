/* SPDX-License-Identifier: Apache-2.0 */
/* nlri: prefixes as messages carry them (RFC 4271 4.3, RFC 4760 5, RFC 7911 3), and families. */
#include <string.h>
#include "bgp/bgp_int.h"

bool bgp_family_of(uint16_t afi, uint8_t safi, enum bgp_family *out)
{
	if (safi != BGP_SAFI_UNICAST || (afi != BGP_AFI_IPV4 && afi != BGP_AFI_IPV6))
		return false;
	*out = afi == BGP_AFI_IPV4 ? BGP_IPV4_UNICAST : BGP_IPV6_UNICAST;
	return true;
}

void bgp_family_put(struct wr *w, enum bgp_family f)
{
	wr_u16(w, f == BGP_IPV4_UNICAST ? BGP_AFI_IPV4 : BGP_AFI_IPV6);
	wr_u8(w, BGP_SAFI_UNICAST);
}

bool bgp_nlri_next(struct rd *r, enum bgp_family f, bool add_path, struct path_nlri *out, bool *bad)
{
	const uint8_t max = f == BGP_IPV4_UNICAST ? 32 : 128;
	const uint8_t *bytes;
	size_t size;
	uint8_t bits;

	*bad = false;
	if (rd_empty(r))
		return false;
	*bad = true;
	out->path_id = 0;
	if ((add_path && !rd_u32(r, &out->path_id)) || !rd_u8(r, &bits) || bits > max)
		return false;
	size = (bits + 7u) / 8;
	if (!rd_bytes(r, size, &bytes))
		return false;
	memset(&out->prefix, 0, sizeof(out->prefix));
	out->prefix.addr.family = f == BGP_IPV4_UNICAST ? IP_V4 : IP_V6;
	out->prefix.len = bits;
	memcpy(out->prefix.addr.b, bytes, size);
	/* RFC 4271 4.3: "the value of trailing bits is irrelevant". */
	if (bits % 8)
		out->prefix.addr.b[size - 1] &= (uint8_t)(0xff00 >> bits % 8);
	*bad = false;
	return true;
}

bool bgp_nlri_check(struct rd r, enum bgp_family f, bool add_path)
{
	struct path_nlri one;
	bool bad;

	while (bgp_nlri_next(&r, f, add_path, &one, &bad))
		;
	return !bad;
}

size_t bgp_nlri_size(const struct ip_prefix *p)
{
	return 1 + (p->len + 7u) / 8;
}

void bgp_nlri_put(struct wr *w, const struct ip_prefix *p)
{
	wr_u8(w, p->len);
	wr_bytes(w, p->addr.b, (p->len + 7u) / 8);
}
