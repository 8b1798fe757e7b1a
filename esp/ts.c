/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ts: traffic selectors over inner packets (RFC 4301 4.4.1.1, 7; RFC 7296 3.13.1).
 *
 * Ports: 0-65535 is ANY, 65535-0 is OPAQUE. A packet that shows no ports (a later fragment, a
 * protocol without ports) matches only these two (RFC 4301 7.1); OPAQUE matches nothing else.
 */
#include <stdlib.h>
#include "esp/inner.h"
#include "esp/ts.h"

static void split(const struct ip_addr *a, uint64_t out[2])
{
	if (a->family == IP_V4) {
		out[0] = esp_get32(a->b);
		out[1] = 0;
	} else {
		out[0] = esp_get64(a->b);
		out[1] = esp_get64(a->b + 8);
	}
}

static bool below(const uint64_t a[2], const uint64_t b[2])
{
	return a[0] < b[0] || (a[0] == b[0] && a[1] < b[1]);
}

static bool within(const uint64_t a[2], const uint64_t lo[2], const uint64_t hi[2])
{
	return !below(a, lo) && !below(hi, a);
}

static bool ports_any(uint16_t lo, uint16_t hi)
{
	return lo == 0 && hi == UINT16_MAX;
}

static bool ports_opaque(uint16_t lo, uint16_t hi)
{
	return lo == UINT16_MAX && hi == 0;
}

static bool addrs_all(uint8_t family, const uint64_t lo[2], const uint64_t hi[2])
{
	if (lo[0] || lo[1])
		return false;
	return family == IP_V4 ? hi[0] == UINT32_MAX : hi[0] == UINT64_MAX && hi[1] == UINT64_MAX;
}

static bool compile_one(struct esp_ts_range *r, const struct esp_ts *t, bool outbound)
{
	const struct ip_addr *src_lo = outbound ? &t->local_first : &t->remote_first;
	const struct ip_addr *src_hi = outbound ? &t->local_last : &t->remote_last;
	const struct ip_addr *dst_lo = outbound ? &t->remote_first : &t->local_first;
	const struct ip_addr *dst_hi = outbound ? &t->remote_last : &t->local_last;
	const uint8_t family = src_lo->family;

	if (family != IP_V4 && family != IP_V6)
		return false;
	if (src_hi->family != family || dst_lo->family != family || dst_hi->family != family)
		return false;
	*r = (struct esp_ts_range){
		.family = family,
		.protocol = t->protocol,
		.src_port_lo = outbound ? t->local_port_first : t->remote_port_first,
		.src_port_hi = outbound ? t->local_port_last : t->remote_port_last,
		.dst_port_lo = outbound ? t->remote_port_first : t->local_port_first,
		.dst_port_hi = outbound ? t->remote_port_last : t->local_port_last,
	};
	split(src_lo, r->src_lo);
	split(src_hi, r->src_hi);
	split(dst_lo, r->dst_lo);
	split(dst_hi, r->dst_hi);
	if (below(r->src_hi, r->src_lo) || below(r->dst_hi, r->dst_lo))
		return false;
	r->any_upper = t->protocol == 0 && ports_any(r->src_port_lo, r->src_port_hi) &&
		       ports_any(r->dst_port_lo, r->dst_port_hi);
	return true;
}

/* The common cases: any IPv4 packet, or one pair of IPv4 prefixes, whatever the protocol. */
static void compile_v4(struct esp_ts_set *out)
{
	const struct esp_ts_range *r = out->r;

	if (out->all_v4) {
		out->one_v4 = true;
		out->v4 = (struct esp_ts_v4){.src_span = UINT32_MAX, .dst_span = UINT32_MAX};
		return;
	}
	if (out->n != 1 || r->family != IP_V4 || !r->any_upper)
		return;
	out->one_v4 = true;
	out->v4 = (struct esp_ts_v4){
		.src_lo = (uint32_t)r->src_lo[0],
		.src_span = (uint32_t)(r->src_hi[0] - r->src_lo[0]),
		.dst_lo = (uint32_t)r->dst_lo[0],
		.dst_span = (uint32_t)(r->dst_hi[0] - r->dst_lo[0]),
	};
}

bool esp_ts_compile(struct esp_ts_set *out, const struct esp_ts *ts, size_t n, bool outbound)
{
	*out = (struct esp_ts_set){0};
	if (n > ESP_TS_MAX)
		return false;
	out->r = calloc(n ? n : 1, sizeof(*out->r));
	if (!out->r)
		return false;
	for (size_t i = 0; i < n; i++) {
		struct esp_ts_range *r = &out->r[i];

		if (!compile_one(r, &ts[i], outbound)) {
			esp_ts_fini(out);
			return false;
		}
		if (r->any_upper && addrs_all(r->family, r->src_lo, r->src_hi) &&
		    addrs_all(r->family, r->dst_lo, r->dst_hi)) {
			if (r->family == IP_V4)
				out->all_v4 = true;
			else
				out->all_v6 = true;
		}
	}
	out->n = (uint8_t)n;
	compile_v4(out);
	return true;
}

void esp_ts_fini(struct esp_ts_set *set)
{
	free(set->r);
	*set = (struct esp_ts_set){0};
}

static bool port_match(bool known, uint16_t port, uint16_t lo, uint16_t hi)
{
	if (ports_any(lo, hi))
		return true;
	return known ? port >= lo && port <= hi : ports_opaque(lo, hi);
}

static bool upper_match(const struct esp_ts_range *r, const struct esp_upper *u)
{
	if (r->protocol != 0 && (!u->protocol_known || u->protocol != r->protocol))
		return false;
	return port_match(u->has_ports, u->src_port, r->src_port_lo, r->src_port_hi) &&
	       port_match(u->has_ports, u->dst_port, r->dst_port_lo, r->dst_port_hi);
}

bool esp_ts_match_slow(const struct esp_ts_set *set, const uint8_t *inner, uint32_t total,
		       uint8_t family)
{
	uint64_t src[2] = {0}, dst[2] = {0};
	struct esp_upper upper;
	bool parsed = false;

	if (family == IP_V4) {
		src[0] = esp_get32(inner + 12);
		dst[0] = esp_get32(inner + 16);
	} else {
		src[0] = esp_get64(inner + 8);
		src[1] = esp_get64(inner + 16);
		dst[0] = esp_get64(inner + 24);
		dst[1] = esp_get64(inner + 32);
	}
	for (size_t i = 0; i < set->n; i++) {
		const struct esp_ts_range *r = &set->r[i];

		if (r->family != family || !within(src, r->src_lo, r->src_hi) ||
		    !within(dst, r->dst_lo, r->dst_hi))
			continue;
		if (r->any_upper)
			return true;
		if (!parsed) {
			esp_inner_upper(inner, total, &upper);
			parsed = true;
		}
		if (upper_match(r, &upper))
			return true;
	}
	return false;
}
