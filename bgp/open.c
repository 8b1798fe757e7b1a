/* SPDX-License-Identifier: Apache-2.0 */
/*
 * open: the OPEN message (RFC 4271 4.2) with its capabilities (RFC 5492), as it is and in the
 * extended form of RFC 9072.
 *
 * A capability that is not known, or has an impossible length, is passed over: what was not
 * understood was not negotiated. Only what cannot be walked through at all refuses the OPEN.
 */
#include <string.h>
#include "bgp/bgp_int.h"

#define GR_RESTARTING    0x8000 /* RFC 4724 3 */
#define GR_NOTIFICATION  0x4000 /* RFC 8538 2 */
#define GR_TIME_MASK     0x0fff
#define GR_FORWARDING    0x80
#define ADD_PATH_RECEIVE 1 /* RFC 7911 4 */
#define ADD_PATH_SEND    2

/* ------------------------------------------------------------------ reading */

static void take_multiprotocol(struct rd r, struct bgp_open *o)
{
	enum bgp_family f;
	uint8_t reserved, safi;
	uint16_t afi;

	if (rd_u16(&r, &afi) && rd_u8(&r, &reserved) && rd_u8(&r, &safi) && rd_empty(&r) &&
	    bgp_family_of(afi, safi, &f))
		o->families[f] = true;
}

static void take_next_hop(struct rd r, struct bgp_open *o)
{
	uint16_t afi, safi, next_hop_afi;

	while (rd_u16(&r, &afi) && rd_u16(&r, &safi) && rd_u16(&r, &next_hop_afi))
		if (afi == BGP_AFI_IPV4 && safi == BGP_SAFI_UNICAST && next_hop_afi == BGP_AFI_IPV6)
			o->extended_next_hop = true;
}

static void take_graceful_restart(struct rd r, struct bgp_open *o)
{
	enum bgp_family f;
	uint16_t head, afi;
	uint8_t safi, flags;

	if (!rd_u16(&r, &head))
		return;
	/* RFC 4724 3: if there are several, the last one counts. */
	memset(o->gr_family, 0, sizeof(o->gr_family));
	memset(o->gr_forwarding, 0, sizeof(o->gr_forwarding));
	o->graceful_restart = true;
	o->restarting = head & GR_RESTARTING;
	o->graceful_notification = head & GR_NOTIFICATION;
	o->restart_s = head & GR_TIME_MASK;
	while (rd_u16(&r, &afi) && rd_u8(&r, &safi) && rd_u8(&r, &flags)) {
		if (!bgp_family_of(afi, safi, &f))
			continue;
		o->gr_family[f] = true;
		o->gr_forwarding[f] = flags & GR_FORWARDING;
	}
}

static void take_add_path(struct rd r, struct bgp_open *o)
{
	enum bgp_family f;
	uint16_t afi;
	uint8_t safi, what;

	while (rd_u16(&r, &afi) && rd_u8(&r, &safi) && rd_u8(&r, &what))
		if (bgp_family_of(afi, safi, &f) &&
		    (what == ADD_PATH_SEND || what == (ADD_PATH_SEND | ADD_PATH_RECEIVE)))
			o->add_path_sends[f] = true;
}

static void take_capability(uint8_t code, struct rd r, struct bgp_open *o)
{
	switch (code) {
	case BGP_CAP_MULTIPROTOCOL: take_multiprotocol(r, o); break;
	case BGP_CAP_ROUTE_REFRESH: o->route_refresh |= rd_empty(&r); break;
	case BGP_CAP_EXTENDED_NEXT_HOP: take_next_hop(r, o); break;
	case BGP_CAP_EXTENDED_MESSAGE: o->extended_messages |= rd_empty(&r); break;
	case BGP_CAP_ROLE: {
		uint8_t role;

		if (rd_u8(&r, &role) && rd_empty(&r))
			o->role = role;
		break;
	}
	case BGP_CAP_GRACEFUL_RESTART: take_graceful_restart(r, o); break;
	case BGP_CAP_FOUR_OCTET_AS: {
		uint32_t as;

		if (rd_u32(&r, &as) && rd_empty(&r)) {
			o->four_octet_as = true;
			o->as = as;
		}
		break;
	}
	case BGP_CAP_ADD_PATH: take_add_path(r, o); break;
	case BGP_CAP_ENHANCED_REFRESH: o->enhanced_refresh |= rd_empty(&r); break;
	default: break;
	}
}

static bool take_capabilities(struct rd r, struct bgp_open *o, bool *any_family)
{
	uint8_t code, size;
	struct rd value;

	while (!rd_empty(&r)) {
		if (!rd_u8(&r, &code) || !rd_u8(&r, &size) || !rd_sub(&r, size, &value))
			return false;
		*any_family |= code == BGP_CAP_MULTIPROTOCOL;
		take_capability(code, value, o);
	}
	return true;
}

/* The optional parameters, whose lengths are of one byte, or by RFC 9072 2 of two. */
static bool parameters(struct rd *r, struct rd *out, bool *extended)
{
	uint8_t size, type;
	uint16_t extended_size;
	struct rd peek;

	*extended = false;
	if (!rd_u8(r, &size))
		return false;
	peek = *r;
	/* "If the value of the Non-Ext OP Type field is 255": whatever the length is, but not 0. */
	if (size != 0 && rd_u8(&peek, &type) && type == BGP_PARAMETER_EXTENDED) {
		*extended = true;
		*r = peek;
		return rd_u16(r, &extended_size) && rd_sub(r, extended_size, out) && rd_empty(r);
	}
	return rd_sub(r, size, out) && rd_empty(r);
}

static bool refuse(struct bgp_fault_report *report, uint8_t subcode)
{
	*report = bgp_report(BGP_ERR_OPEN, subcode);
	return false;
}

bool bgp_open_parse(struct rd r, struct bgp_open *out, struct bgp_fault_report *report)
{
	struct rd all, one;
	bool extended, any_family = false;
	uint8_t version, type, size8;
	uint16_t as, size;

	memset(out, 0, sizeof(*out));
	out->role = BGP_ROLE_NONE;
	if (!rd_u8(&r, &version) || !rd_u16(&r, &as) || !rd_u16(&r, &out->hold_s) ||
	    !rd_u32(&r, &out->id))
		return refuse(report, BGP_OPEN_UNSPECIFIC);
	if (version != BGP_VERSION) {
		refuse(report, BGP_OPEN_VERSION);
		/* RFC 4271 6.2: the version that we speak, in two bytes. */
		report->data[1] = BGP_VERSION;
		report->data_size = 2;
		return false;
	}
	out->as = as;
	if (!parameters(&r, &all, &extended))
		return refuse(report, BGP_OPEN_UNSPECIFIC);
	while (!rd_empty(&all)) {
		if (!rd_u8(&all, &type))
			return refuse(report, BGP_OPEN_UNSPECIFIC);
		if (extended) {
			if (!rd_u16(&all, &size))
				return refuse(report, BGP_OPEN_UNSPECIFIC);
		} else {
			if (!rd_u8(&all, &size8))
				return refuse(report, BGP_OPEN_UNSPECIFIC);
			size = size8;
		}
		if (!rd_sub(&all, size, &one))
			return refuse(report, BGP_OPEN_UNSPECIFIC);
		if (type != BGP_PARAMETER_CAPABILITIES)
			return refuse(report, BGP_OPEN_PARAMETER);
		if (!take_capabilities(one, out, &any_family))
			return refuse(report, BGP_OPEN_UNSPECIFIC);
	}
	/* RFC 4760 8: who does not say otherwise speaks of IPv4 unicast. */
	if (!any_family)
		out->families[BGP_IPV4_UNICAST] = true;
	/* RFC 4271 4.2, 6.2; RFC 6286 2.1; RFC 7607 2. */
	if (out->hold_s == 1 || out->hold_s == 2)
		return refuse(report, BGP_OPEN_HOLD_TIME);
	if (out->id == 0)
		return refuse(report, BGP_OPEN_IDENTIFIER);
	if (out->as == 0)
		return refuse(report, BGP_OPEN_PEER_AS);
	return true;
}

/* ------------------------------------------------------------------ writing */

static void put_capability(struct wr *w, uint8_t code, const void *value, uint8_t size)
{
	wr_u8(w, code);
	wr_u8(w, size);
	wr_bytes(w, value, size);
}

static void put_families(struct wr *w, const struct bgp_neighbor *n)
{
	for (int f = 0; f < BGP_N_FAMILIES; f++) {
		if (!n->cfg.families[f])
			continue;
		wr_u8(w, BGP_CAP_MULTIPROTOCOL);
		wr_u8(w, 4);
		wr_u16(w, f == BGP_IPV4_UNICAST ? BGP_AFI_IPV4 : BGP_AFI_IPV6);
		wr_u8(w, 0);
		wr_u8(w, BGP_SAFI_UNICAST);
	}
}

static void put_graceful_restart(struct wr *w, const struct bgp_neighbor *n)
{
	const struct bgp *b = n->bgp;
	const uint64_t s = n->cfg.graceful_restart.ns / 1000000000;
	const bool restarting =
		b->restarting && !n->was_up && mono_before(b->now, b->restart_until);
	uint16_t head = (uint16_t)(s > GR_TIME_MASK ? GR_TIME_MASK : s) | GR_NOTIFICATION;
	uint8_t families = 0;

	for (int f = 0; f < BGP_N_FAMILIES; f++)
		families += n->cfg.families[f];
	if (restarting)
		head |= GR_RESTARTING;
	wr_u8(w, BGP_CAP_GRACEFUL_RESTART);
	wr_u8(w, (uint8_t)(2 + 4 * families));
	wr_u16(w, head);
	for (int f = 0; f < BGP_N_FAMILIES; f++) {
		if (!n->cfg.families[f])
			continue;
		bgp_family_put(w, (enum bgp_family)f);
		wr_u8(w, restarting ? GR_FORWARDING : 0);
	}
}

static void put_capabilities(struct wr *w, const struct bgp_neighbor *n)
{
	const struct bgp_neighbor_cfg *c = &n->cfg;
	struct wr as = wr_of((uint8_t[4]){0}, 4);

	put_families(w, n);
	put_capability(w, BGP_CAP_ROUTE_REFRESH, NULL, 0);
	put_capability(w, BGP_CAP_ENHANCED_REFRESH, NULL, 0);
	if (c->families[BGP_IPV4_UNICAST] && c->next_hop[BGP_IPV6_UNICAST].family == IP_V6)
		put_capability(w, BGP_CAP_EXTENDED_NEXT_HOP, (uint8_t[]){0, 1, 0, 1, 0, 2}, 6);
	if (c->extended_messages)
		put_capability(w, BGP_CAP_EXTENDED_MESSAGE, NULL, 0);
	if (c->role != BGP_ROLE_NONE)
		put_capability(w, BGP_CAP_ROLE, &c->role, 1);
	if (c->graceful_restart.ns)
		put_graceful_restart(w, n);
	wr_u32(&as, c->local_as);
	put_capability(w, BGP_CAP_FOUR_OCTET_AS, as.buf, 4);
	if (!c->add_path_receive)
		return;
	for (int f = 0; f < BGP_N_FAMILIES; f++) {
		if (!c->families[f])
			continue;
		wr_u8(w, BGP_CAP_ADD_PATH);
		wr_u8(w, 4);
		bgp_family_put(w, (enum bgp_family)f);
		wr_u8(w, ADD_PATH_RECEIVE);
	}
}

void bgp_open_build(struct wr *w, uint32_t id, const struct bgp_neighbor *n)
{
	const uint64_t hold_s = n->cfg.hold.ns / 1000000000;
	uint8_t bytes[255];
	struct wr caps = wr_of(bytes, sizeof(bytes) - 2);

	put_capabilities(&caps, n);
	wr_u8(w, BGP_VERSION);
	/* RFC 6793 4.1: who knows four bytes looks into the capability. */
	wr_u16(w, n->cfg.local_as > UINT16_MAX ? BGP_AS_TRANS : (uint16_t)n->cfg.local_as);
	wr_u16(w, (uint16_t)(hold_s > UINT16_MAX ? UINT16_MAX : hold_s));
	wr_u32(w, id);
	/* All our capabilities together are far from 253 bytes. */
	wr_u8(w, (uint8_t)(caps.n + 2));
	wr_u8(w, BGP_PARAMETER_CAPABILITIES);
	wr_u8(w, (uint8_t)caps.n);
	wr_bytes(w, caps.buf, caps.n);
}
