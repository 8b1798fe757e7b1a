/* SPDX-License-Identifier: Apache-2.0 */
/* payload_ts: Traffic Selector, initiator's and responder's (RFC 7296 3.13). */
#include "ike/payload.h"
#include "ike/ts.h"

#define TS_IPV4_RANGE 7
#define TS_IPV6_RANGE 8
#define TS_HEADER     4 /* type, protocol, length */

static enum ike_err selector_parse(struct rd *r, struct ike_ts_payload *out)
{
	struct ike_ts ts = {0};
	const uint8_t *first, *last;
	enum ip_family family;
	uint8_t type;
	uint16_t size;
	size_t address_size;
	struct rd body;

	if (!rd_u8(r, &type) || !rd_u8(r, &ts.protocol) || !rd_u16(r, &size))
		return IKE_ERR_TRUNCATED;
	if (size < TS_HEADER)
		return IKE_ERR_SYNTAX;
	if (!rd_sub(r, size - TS_HEADER, &body))
		return IKE_ERR_TRUNCATED;
	if (type != TS_IPV4_RANGE && type != TS_IPV6_RANGE) {
		out->n_skipped++;
		return IKE_OK;
	}
	family = type == TS_IPV4_RANGE ? IP_V4 : IP_V6;
	address_size = family == IP_V4 ? 4 : 16;
	if (!rd_u16(&body, &ts.port_first) || !rd_u16(&body, &ts.port_last) ||
	    !rd_bytes(&body, address_size, &first) || !rd_bytes(&body, address_size, &last))
		return IKE_ERR_TRUNCATED;
	if (!rd_empty(&body))
		return IKE_ERR_SYNTAX;
	ts.first = ip_from_bytes(family, first);
	ts.last = ip_from_bytes(family, last);
	if (memcmp(first, last, address_size) > 0)
		return IKE_ERR_SYNTAX;
	/* RFC 7296 3.13.1: only the pair 65535, 0 (OPAQUE) may run backwards. */
	if (ts.port_first > ts.port_last && !ike_ts_is_opaque(&ts))
		return IKE_ERR_SYNTAX;
	/* Narrowing may leave selectors out (2.9), so that those beyond our bound cost nothing but
	 * reach. */
	if (out->n == IKE_WIRE_MAX_TS)
		out->n_skipped++;
	else
		out->ts[out->n++] = ts;
	return IKE_OK;
}

enum ike_err ike_ts_parse(uint8_t type, struct rd body, struct ike_msg *msg)
{
	struct ike_ts_payload *out = type == IKE_PL_TSI ? &msg->tsi : &msg->tsr;
	uint8_t n;

	if (!rd_u8(&body, &n) || !rd_skip(&body, 3))
		return IKE_ERR_TRUNCATED;
	/* A list of nothing selects nothing. */
	if (n == 0)
		return IKE_ERR_SYNTAX;
	for (; n > 0; n--) {
		const enum ike_err err = selector_parse(&body, out);

		if (err != IKE_OK)
			return err;
	}
	return rd_empty(&body) ? IKE_OK : IKE_ERR_SYNTAX;
}

void ike_build_ts(struct ike_builder *b, uint8_t payload_type, const struct ike_ts *ts, size_t n)
{
	const size_t at = ike_payload_open(b, payload_type);

	if (n == 0 || n > UINT8_MAX)
		b->w.overflow = true;
	wr_u8(&b->w, (uint8_t)n);
	wr_zero(&b->w, 3);
	for (size_t i = 0; i < n; i++) {
		const size_t start = b->w.n, address_size = ip_size(&ts[i].first);
		size_t size_at;

		wr_u8(&b->w, ts[i].first.family == IP_V4 ? TS_IPV4_RANGE : TS_IPV6_RANGE);
		wr_u8(&b->w, ts[i].protocol);
		size_at = wr_open16(&b->w);
		wr_u16(&b->w, ts[i].port_first);
		wr_u16(&b->w, ts[i].port_last);
		wr_bytes(&b->w, ts[i].first.b, address_size);
		wr_bytes(&b->w, ts[i].last.b, address_size);
		wr_close16(&b->w, size_at, start);
	}
	ike_payload_close(b, at);
}
