/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ts: a traffic selector is a box: an address range, a port range and a protocol. Protocol 0 is
 * any; ports 65535 to 0 are OPAQUE (RFC 7296 3.13.1): traffic whose ports cannot be seen, which
 * lies within "any port" and within nothing else.
 */
#include "ike/ts.h"
#include "base/sb.h"

#define PROTOCOL_ANY 0

bool ike_ts_is_opaque(const struct ike_ts *ts)
{
	return ts->port_first == UINT16_MAX && ts->port_last == 0;
}

static bool any_port(const struct ike_ts *ts)
{
	return ts->port_first == 0 && ts->port_last == UINT16_MAX;
}

static bool ts_equal(const struct ike_ts *a, const struct ike_ts *b)
{
	return ip_equal(&a->first, &b->first) && ip_equal(&a->last, &b->last) &&
	       a->port_first == b->port_first && a->port_last == b->port_last &&
	       a->protocol == b->protocol;
}

struct ike_ts ike_ts_from_prefix(const struct ip_prefix *p)
{
	struct ike_ts ts = {.port_last = UINT16_MAX, .protocol = PROTOCOL_ANY};

	ip_prefix_range(p, &ts.first, &ts.last);
	return ts;
}

bool ike_ts_contains(const struct ike_ts *outer, const struct ike_ts *inner)
{
	if (outer->first.family != inner->first.family ||
	    ip_cmp(&outer->first, &inner->first) > 0 || ip_cmp(&outer->last, &inner->last) < 0)
		return false;
	if (outer->protocol != PROTOCOL_ANY && outer->protocol != inner->protocol)
		return false;
	if (any_port(outer))
		return true;
	if (ike_ts_is_opaque(outer) || ike_ts_is_opaque(inner))
		return ike_ts_is_opaque(outer) && ike_ts_is_opaque(inner);
	return outer->port_first <= inner->port_first && outer->port_last >= inner->port_last;
}

static bool ports_intersect(const struct ike_ts *a, const struct ike_ts *b, struct ike_ts *out)
{
	const struct ike_ts *narrow = any_port(a) ? b : a;

	if (any_port(a) || any_port(b) || (ike_ts_is_opaque(a) && ike_ts_is_opaque(b))) {
		out->port_first = narrow->port_first;
		out->port_last = narrow->port_last;
		return true;
	}
	if (ike_ts_is_opaque(a) || ike_ts_is_opaque(b))
		return false;
	out->port_first = a->port_first > b->port_first ? a->port_first : b->port_first;
	out->port_last = a->port_last < b->port_last ? a->port_last : b->port_last;
	return out->port_first <= out->port_last;
}

bool ike_ts_intersect(const struct ike_ts *a, const struct ike_ts *b, struct ike_ts *out)
{
	struct ike_ts ts;

	if (a->first.family != b->first.family)
		return false;
	if (a->protocol != b->protocol && a->protocol != PROTOCOL_ANY &&
	    b->protocol != PROTOCOL_ANY)
		return false;
	ts.protocol = a->protocol != PROTOCOL_ANY ? a->protocol : b->protocol;
	ts.first = ip_cmp(&a->first, &b->first) > 0 ? a->first : b->first;
	ts.last = ip_cmp(&a->last, &b->last) < 0 ? a->last : b->last;
	if (ip_cmp(&ts.first, &ts.last) > 0 || !ports_intersect(a, b, &ts))
		return false;
	*out = ts;
	return true;
}

size_t ike_ts_narrow(const struct ike_ts *a, size_t n_a, const struct ike_ts *b, size_t n_b,
		     struct ike_ts *out, size_t max)
{
	size_t n = 0;

	for (size_t i = 0; i < n_a; i++) {
		for (size_t j = 0; j < n_b && n < max; j++) {
			bool known = false;
			struct ike_ts ts;

			if (!ike_ts_intersect(&a[i], &b[j], &ts))
				continue;
			for (size_t k = 0; k < n && !known; k++)
				known = ts_equal(&out[k], &ts);
			if (!known)
				out[n++] = ts;
		}
	}
	return n;
}

bool ike_ts_subset(const struct ike_ts *inner, size_t n_inner, const struct ike_ts *outer,
		   size_t n_outer)
{
	for (size_t i = 0; i < n_inner; i++) {
		bool inside = false;

		for (size_t j = 0; j < n_outer && !inside; j++)
			inside = ike_ts_contains(&outer[j], &inner[i]);
		if (!inside)
			return false;
	}
	return true;
}

const char *ike_ts_format(const struct ike_ts *ts, char buf[IKE_TS_STRLEN])
{
	struct sb out = sb_of(buf, IKE_TS_STRLEN);
	char text[IP_PREFIX_STRLEN];
	struct ip_prefix prefix;

	if (ip_range_to_prefix(&ts->first, &ts->last, &prefix)) {
		sb_str(&out, ip_prefix_format(&prefix, text));
	} else {
		sb_str(&out, ip_format(&ts->first, text));
		sb_str(&out, "-");
		sb_str(&out, ip_format(&ts->last, text));
	}
	if (ts->protocol == PROTOCOL_ANY && any_port(ts))
		return buf;
	sb_str(&out, "[");
	if (ts->protocol == PROTOCOL_ANY)
		sb_str(&out, "any");
	else
		sb_printf(&out, "%u", ts->protocol);
	if (ike_ts_is_opaque(ts))
		sb_str(&out, "/opaque");
	else if (ts->port_first == ts->port_last)
		sb_printf(&out, "/%u", ts->port_first);
	else if (!any_port(ts))
		sb_printf(&out, "/%u-%u", ts->port_first, ts->port_last);
	sb_str(&out, "]");
	return buf;
}
