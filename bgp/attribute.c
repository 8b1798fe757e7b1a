/* SPDX-License-Identifier: Apache-2.0 */
/*
 * attribute: the path attributes of an UPDATE (RFC 4271 4.3, 5), each read by its row of a table,
 * and what a malformed one leads to: RFC 7606 7, with what later RFCs say of their own.
 *
 * Nothing here ends a session but what RFC 7606 leaves no other way for: multiprotocol attributes
 * that cannot be read, and a list of them in which one stands twice (3 g).
 */
#include <stdlib.h>
#include <string.h>
#include "bgp/bgp_int.h"

#define ANY_SIZE UINT16_MAX

/* Reading in progress. */
struct reading {
	const struct bgp_attr_context *c;
	struct bgp_attrs *out;
	/* Values that go into the parts at the end, in the order of struct path_facts. */
	struct rd as_path, communities, large_communities, ext_communities, cluster_list;
	/* RFC 6793: from a speaker that knows two bytes only. */
	struct rd as4_path;
	bool has_as4_path, has_as4_aggregator;
	uint32_t as4_aggregator_as, as4_aggregator_id;
	bool seen[256];
};

static void outcome(struct reading *x, enum bgp_outcome o, uint8_t attribute)
{
	if (x->out->outcome == BGP_OUTCOME_OK)
		x->out->bad_attribute = attribute;
	if (o > x->out->outcome) {
		x->out->outcome = o;
		x->out->bad_attribute = attribute;
	}
}

/* -------------------------------------------------- one function a row */

static bool read_origin(struct reading *x, struct rd r)
{
	uint8_t origin;

	if (!rd_u8(&r, &origin) || origin > PATH_ORIGIN_INCOMPLETE)
		return false;
	x->out->facts.origin = origin;
	x->out->has_origin = true;
	return true;
}

/* RFC 7606 7.2: known segments, none empty, none longer than what is there; RFC 7607: no AS 0. */
static bool as_path_ok(struct rd r, unsigned as_size)
{
	uint8_t type, count;
	struct rd ases;

	while (!rd_empty(&r)) {
		if (!rd_u8(&r, &type) || !rd_u8(&r, &count) || count == 0 ||
		    (type != BGP_SEGMENT_SET && type != BGP_SEGMENT_SEQUENCE) ||
		    !rd_sub(&r, (size_t)count * as_size, &ases))
			return false;
		while (!rd_empty(&ases)) {
			uint32_t as4;
			uint16_t as2;

			if (as_size == 4 ? !rd_u32(&ases, &as4) || as4 == 0
					 : !rd_u16(&ases, &as2) || as2 == 0)
				return false;
		}
	}
	return true;
}

static bool read_as_path(struct reading *x, struct rd r)
{
	if (!as_path_ok(r, x->c->four_octet_as ? 4 : 2))
		return false;
	x->as_path = r;
	x->out->has_as_path = true;
	return true;
}

static bool read_next_hop(struct reading *x, struct rd r)
{
	x->out->facts.next_hop = ip_from_bytes(IP_V4, r.p);
	x->out->has_next_hop = true;
	/* RFC 4271 6.3: a host's address. */
	return ip_is_unicast(&x->out->facts.next_hop);
}

static bool read_med(struct reading *x, struct rd r)
{
	x->out->facts.flags |= PATH_HAS_MED;
	return rd_u32(&r, &x->out->facts.med);
}

static bool read_local_pref(struct reading *x, struct rd r)
{
	x->out->facts.flags |= PATH_HAS_LOCAL_PREF;
	return rd_u32(&r, &x->out->facts.local_pref);
}

static bool read_atomic_aggregate(struct reading *x, struct rd r)
{
	x->out->facts.flags |= PATH_ATOMIC_AGGREGATE;
	return true;
}

static bool read_aggregator(struct reading *x, struct rd r)
{
	uint32_t as, id;
	uint16_t as2;

	if (x->c->four_octet_as) {
		if (!rd_u32(&r, &as))
			return false;
	} else {
		if (!rd_u16(&r, &as2))
			return false;
		as = as2;
	}
	/* RFC 7607 2 */
	if (!rd_u32(&r, &id) || !rd_empty(&r) || as == 0)
		return false;
	x->out->facts.flags |= PATH_HAS_AGGREGATOR;
	x->out->facts.aggregator_as = as;
	x->out->facts.aggregator_id = id;
	return true;
}

static bool read_communities(struct reading *x, struct rd r)
{
	x->communities = r;
	return true;
}

static bool read_originator_id(struct reading *x, struct rd r)
{
	x->out->facts.flags |= PATH_HAS_ORIGINATOR;
	return rd_u32(&r, &x->out->facts.originator_id);
}

static bool read_cluster_list(struct reading *x, struct rd r)
{
	x->cluster_list = r;
	return true;
}

/* RFC 4760 3, RFC 2545 3, RFC 8950 3. */
static bool reach_next_hop(struct reading *x, enum bgp_family f, struct rd r)
{
	struct bgp_attrs *out = x->out;
	const bool v6 = r.size == 16 || r.size == 32;

	if (r.size != 4 && !v6)
		return false;
	if (f == BGP_IPV6_UNICAST && !v6)
		return false;
	if (f == BGP_IPV4_UNICAST && v6 && !x->c->extended_next_hop)
		return false;
	out->reach_next_hop = ip_from_bytes(v6 ? IP_V6 : IP_V4, r.p);
	if (r.size == 32)
		out->reach_link_local = ip_from_bytes(IP_V6, r.p + 16);
	return true;
}

static bool read_reach(struct reading *x, struct rd r)
{
	struct bgp_attrs *out = x->out;
	enum bgp_family f;
	uint16_t afi;
	uint8_t safi, size, reserved;
	struct rd next_hop;

	out->any_reach = true;
	if (!rd_u16(&r, &afi) || !rd_u8(&r, &safi) || !rd_u8(&r, &size) ||
	    !rd_sub(&r, size, &next_hop) || !rd_u8(&r, &reserved))
		return false;
	/* RFC 4760 6, 8: what was not negotiated is not looked at. */
	if (!bgp_family_of(afi, safi, &f) || !x->c->families[f])
		return true;
	/* RFC 7606 5.3 and 7.11 */
	if (!reach_next_hop(x, f, next_hop) || !bgp_nlri_check(r, f, x->c->add_path[f]))
		return false;
	out->has_reach = true;
	out->reach_family = f;
	out->reach = r;
	return true;
}

static bool read_unreach(struct reading *x, struct rd r)
{
	struct bgp_attrs *out = x->out;
	enum bgp_family f;
	uint16_t afi;
	uint8_t safi;

	out->any_unreach = true;
	if (!rd_u16(&r, &afi) || !rd_u8(&r, &safi))
		return false;
	if (!bgp_family_of(afi, safi, &f) || !x->c->families[f])
		return true;
	if (!bgp_nlri_check(r, f, x->c->add_path[f]))
		return false;
	out->has_unreach = true;
	out->unreach_family = f;
	out->unreach = r;
	return true;
}

static bool read_ext_communities(struct reading *x, struct rd r)
{
	x->ext_communities = r;
	return true;
}

static bool read_as4_path(struct reading *x, struct rd r)
{
	if (!as_path_ok(r, 4))
		return false;
	x->as4_path = r;
	x->has_as4_path = true;
	return true;
}

static bool read_as4_aggregator(struct reading *x, struct rd r)
{
	x->has_as4_aggregator = true;
	return rd_u32(&r, &x->as4_aggregator_as) && rd_u32(&r, &x->as4_aggregator_id) &&
	       x->as4_aggregator_as != 0;
}

static bool read_large_communities(struct reading *x, struct rd r)
{
	x->large_communities = r;
	return true;
}

static bool read_otc(struct reading *x, struct rd r)
{
	x->out->facts.flags |= PATH_HAS_OTC;
	return rd_u32(&r, &x->out->facts.otc);
}

/* --------------------------------------------------------------- the table */

enum from {
	FROM_ALL,
	FROM_INTERNAL,  /* else discarded (RFC 7606 7.5, 7.9, 7.10) */
	FROM_TWO_OCTET, /* else discarded (RFC 6793 6) */
};

#define WELL_KNOWN          BGP_FLAG_TRANSITIVE
#define OPTIONAL            BGP_FLAG_OPTIONAL
#define OPTIONAL_TRANSITIVE (BGP_FLAG_OPTIONAL | BGP_FLAG_TRANSITIVE)

static const struct row {
	uint8_t code, flags;
	enum from from;
	uint16_t size;     /* ANY_SIZE: the function sees to it */
	uint16_t multiple; /* of it, and not nothing; 0: exactly `size` */
	enum bgp_outcome malformed;
	bool (*read)(struct reading *x, struct rd r);
} rows[] = {
	/* RFC 7606 7.1 to 7.10 */
	{BGP_ATTR_ORIGIN, WELL_KNOWN, FROM_ALL, 1, 0, BGP_OUTCOME_WITHDRAW, read_origin},
	{BGP_ATTR_AS_PATH, WELL_KNOWN, FROM_ALL, ANY_SIZE, 0, BGP_OUTCOME_WITHDRAW, read_as_path},
	{BGP_ATTR_NEXT_HOP, WELL_KNOWN, FROM_ALL, 4, 0, BGP_OUTCOME_WITHDRAW, read_next_hop},
	{BGP_ATTR_MED, OPTIONAL, FROM_ALL, 4, 0, BGP_OUTCOME_WITHDRAW, read_med},
	{BGP_ATTR_LOCAL_PREF, WELL_KNOWN, FROM_INTERNAL, 4, 0, BGP_OUTCOME_WITHDRAW,
	 read_local_pref},
	{BGP_ATTR_ATOMIC_AGGREGATE, WELL_KNOWN, FROM_ALL, 0, 0, BGP_OUTCOME_DISCARD,
	 read_atomic_aggregate},
	{BGP_ATTR_AGGREGATOR, OPTIONAL_TRANSITIVE, FROM_ALL, ANY_SIZE, 0, BGP_OUTCOME_DISCARD,
	 read_aggregator},
	{BGP_ATTR_COMMUNITIES, OPTIONAL_TRANSITIVE, FROM_ALL, ANY_SIZE, 4, BGP_OUTCOME_WITHDRAW,
	 read_communities},
	{BGP_ATTR_ORIGINATOR_ID, OPTIONAL, FROM_INTERNAL, 4, 0, BGP_OUTCOME_WITHDRAW,
	 read_originator_id},
	{BGP_ATTR_CLUSTER_LIST, OPTIONAL, FROM_INTERNAL, ANY_SIZE, 4, BGP_OUTCOME_WITHDRAW,
	 read_cluster_list},
	/* 7.11, 7.12 */
	{BGP_ATTR_MP_REACH, OPTIONAL, FROM_ALL, ANY_SIZE, 0, BGP_OUTCOME_RESET, read_reach},
	{BGP_ATTR_MP_UNREACH, OPTIONAL, FROM_ALL, ANY_SIZE, 0, BGP_OUTCOME_RESET, read_unreach},
	/* 7.14 */
	{BGP_ATTR_EXT_COMMUNITIES, OPTIONAL_TRANSITIVE, FROM_ALL, ANY_SIZE, 8, BGP_OUTCOME_WITHDRAW,
	 read_ext_communities},
	/* RFC 6793 6 */
	{BGP_ATTR_AS4_PATH, OPTIONAL_TRANSITIVE, FROM_TWO_OCTET, ANY_SIZE, 0, BGP_OUTCOME_DISCARD,
	 read_as4_path},
	{BGP_ATTR_AS4_AGGREGATOR, OPTIONAL_TRANSITIVE, FROM_TWO_OCTET, 8, 0, BGP_OUTCOME_DISCARD,
	 read_as4_aggregator},
	/* RFC 8092 6 */
	{BGP_ATTR_LARGE_COMMUNITIES, OPTIONAL_TRANSITIVE, FROM_ALL, ANY_SIZE, 12,
	 BGP_OUTCOME_WITHDRAW, read_large_communities},
	/* RFC 9234 5 */
	{BGP_ATTR_OTC, OPTIONAL_TRANSITIVE, FROM_ALL, 4, 0, BGP_OUTCOME_WITHDRAW, read_otc},
};

static const struct row *row_of(uint8_t code)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (rows[i].code == code)
			return &rows[i];
	return NULL;
}

static bool size_ok(const struct row *row, size_t size)
{
	if (row->multiple)
		return size != 0 && size % row->multiple == 0;
	return row->size == ANY_SIZE || row->size == size;
}

static bool wanted(const struct row *row, const struct bgp_attr_context *c)
{
	switch (row->from) {
	case FROM_ALL: return true;
	case FROM_INTERNAL: return c->internal;
	case FROM_TWO_OCTET: return !c->four_octet_as;
	}
	return true;
}

static void take_known(struct reading *x, const struct row *row, uint8_t flags, struct rd value)
{
	const struct path_facts before = x->out->facts;

	if (!wanted(row, x->c)) {
		outcome(x, BGP_OUTCOME_DISCARD, row->code);
		return;
	}
	/* RFC 7606 3 c): flags that it cannot have. A multiprotocol one still says what to withdraw. */
	if ((flags & (BGP_FLAG_OPTIONAL | BGP_FLAG_TRANSITIVE)) != row->flags) {
		outcome(x, BGP_OUTCOME_WITHDRAW, row->code);
		if (row->malformed != BGP_OUTCOME_RESET)
			return;
	}
	if (size_ok(row, value.size) && row->read(x, value))
		return;
	x->out->facts = before;
	outcome(x, row->malformed, row->code);
	if (row->malformed == BGP_OUTCOME_RESET)
		x->out->report = bgp_report(BGP_ERR_UPDATE, BGP_UPDATE_OPTIONAL_ATTRIBUTE);
}

/* RFC 4271 5, 9: carried on, marked as not understood by everybody on its way. */
static void take_unknown(struct reading *x, uint8_t code, uint8_t flags, struct rd value)
{
	struct wr *w = &x->out->parts;

	if (!(flags & BGP_FLAG_OPTIONAL)) {
		/* RFC 4271 6.3: what is well-known must be known; RFC 7606 leaves that as it is. */
		outcome(x, BGP_OUTCOME_RESET, code);
		x->out->report = bgp_report(BGP_ERR_UPDATE, BGP_UPDATE_UNRECOGNIZED_WELL_KNOWN);
		x->out->report.data[0] = flags;
		x->out->report.data[1] = code;
		x->out->report.data_size = 2;
		return;
	}
	if (!(flags & BGP_FLAG_TRANSITIVE))
		return;
	wr_u8(w, (uint8_t)((flags & ~BGP_FLAG_EXTENDED) | BGP_FLAG_PARTIAL));
	wr_u8(w, code);
	wr_u16(w, (uint16_t)value.size);
	wr_bytes(w, value.p, value.size);
}

static void take(struct reading *x, uint8_t code, uint8_t flags, struct rd value)
{
	const struct row *row = row_of(code);

	/* RFC 7606 3 g): the first counts; of the multiprotocol ones there cannot be two. */
	if (x->seen[code]) {
		if (code == BGP_ATTR_MP_REACH || code == BGP_ATTR_MP_UNREACH) {
			outcome(x, BGP_OUTCOME_RESET, code);
			x->out->report = bgp_report(BGP_ERR_UPDATE, BGP_UPDATE_MALFORMED_LIST);
		} else {
			outcome(x, BGP_OUTCOME_DISCARD, code);
		}
		return;
	}
	x->seen[code] = true;
	x->out->any_other |= code != BGP_ATTR_MP_UNREACH;
	if (row)
		take_known(x, row, flags, value);
	else
		take_unknown(x, code, flags, value);
}

/* -------------------------------------------------- from values to parts */

static int compare_items(const void *a, const void *b, void *size)
{
	return memcmp(a, b, *(size_t *)size);
}

/* Sorted, each once: equal sets are equal bytes. Returns the size. */
static uint16_t put_set(struct wr *w, struct rd r, size_t item)
{
	uint8_t *p = wr_reserve(w, r.size);
	size_t n = r.size / item, kept = 0;

	if (!p || n == 0)
		return 0;
	memcpy(p, r.p, r.size);
	qsort_r(p, n, item, compare_items, &item);
	for (size_t i = 0; i < n; i++)
		if (kept == 0 || memcmp(p + (kept - 1) * item, p + i * item, item) != 0)
			memmove(p + kept++ * item, p + i * item, item);
	w->n -= (n - kept) * item;
	return (uint16_t)(kept * item);
}

static void put_ases(struct wr *w, struct rd ases, bool two_octets)
{
	uint32_t as4;
	uint16_t as2;

	if (two_octets)
		while (rd_u16(&ases, &as2))
			wr_u32(w, as2);
	else
		while (rd_u32(&ases, &as4))
			wr_u32(w, as4);
}

/* RFC 4271 9.1.2.2 a): a set counts as one. */
static unsigned path_length(struct rd r, unsigned as_size)
{
	unsigned n = 0;
	uint8_t type, count;

	while (rd_u8(&r, &type) && rd_u8(&r, &count) && rd_skip(&r, (size_t)count * as_size))
		n += type == BGP_SEGMENT_SET ? 1 : count;
	return n;
}

/* The first `keep` ASes of a checked path, in four bytes each. */
static void put_path(struct wr *w, struct rd r, bool two_octets, unsigned keep)
{
	const unsigned as_size = two_octets ? 2 : 4;
	uint8_t type, count;
	struct rd ases, part;

	while (keep && rd_u8(&r, &type) && rd_u8(&r, &count) &&
	       rd_sub(&r, (size_t)count * as_size, &ases)) {
		if (type == BGP_SEGMENT_SEQUENCE && count > keep)
			count = (uint8_t)keep;
		keep -= type == BGP_SEGMENT_SET ? 1 : count;
		if (!rd_sub(&ases, (size_t)count * as_size, &part))
			return;
		wr_u8(w, type);
		wr_u8(w, count);
		put_ases(w, part, two_octets);
	}
}

/* RFC 6793 4.2.3: the path as it was before a speaker of two bytes wrote AS_TRANS into it. */
static void put_merged_path(struct reading *x)
{
	struct wr *w = &x->out->parts;
	const unsigned length = path_length(x->as_path, 2);
	const unsigned length4 = x->has_as4_path ? path_length(x->as4_path, 4) : 0;
	const bool trust = !(x->out->facts.flags & PATH_HAS_AGGREGATOR) || !x->has_as4_aggregator ||
			   x->out->facts.aggregator_as == BGP_AS_TRANS;

	if (!x->has_as4_path || !trust || length < length4) {
		put_path(w, x->as_path, true, UINT32_MAX);
		return;
	}
	put_path(w, x->as_path, true, length - length4);
	put_path(w, x->as4_path, false, UINT32_MAX);
}

static void path_facts_of(struct rd r, struct path_facts *f)
{
	uint8_t type, count;
	struct rd ases;
	bool first = true;
	uint32_t as;

	f->as_path_length = (uint16_t)path_length(r, 4);
	while (rd_u8(&r, &type) && rd_u8(&r, &count) && rd_sub(&r, (size_t)count * 4, &ases)) {
		f->origin_as = 0;
		while (rd_u32(&ases, &as)) {
			if (first && type == BGP_SEGMENT_SEQUENCE)
				f->first_as = as;
			first = false;
			f->origin_as = type == BGP_SEGMENT_SEQUENCE ? as : 0;
		}
	}
}

static void build_parts(struct reading *x)
{
	struct bgp_attrs *out = x->out;
	struct path_facts *f = &out->facts;
	uint8_t *unknown = NULL;
	const size_t unknown_size = out->parts.n;

	/* The unknown ones were written first and stand last. */
	if (unknown_size) {
		unknown = malloc(unknown_size);
		if (!unknown) {
			out->parts.overflow = true;
			return;
		}
		memcpy(unknown, out->parts.buf, unknown_size);
		out->parts.n = 0;
	}
	if (x->c->four_octet_as)
		wr_bytes(&out->parts, x->as_path.p, x->as_path.size);
	else
		put_merged_path(x);
	if (x->has_as4_aggregator && f->aggregator_as == BGP_AS_TRANS) {
		f->aggregator_as = x->as4_aggregator_as;
		f->aggregator_id = x->as4_aggregator_id;
	}
	f->as_path_size = (uint16_t)out->parts.n;
	path_facts_of(rd_of(out->parts.buf, out->parts.n), f);
	f->communities_size = put_set(&out->parts, x->communities, 4);
	f->large_communities_size = put_set(&out->parts, x->large_communities, 12);
	f->ext_communities_size = put_set(&out->parts, x->ext_communities, 8);
	f->cluster_list_size = (uint16_t)x->cluster_list.size;
	wr_bytes(&out->parts, x->cluster_list.p, x->cluster_list.size);
	f->unknown_size = (uint16_t)unknown_size;
	wr_bytes(&out->parts, unknown, unknown_size);
	free(unknown);
}

void bgp_attrs_parse(struct rd r, const struct bgp_attr_context *c, uint8_t *parts,
		     struct bgp_attrs *out)
{
	struct reading x = {.c = c, .out = out};

	memset(out, 0, sizeof(*out));
	out->parts = wr_of(parts, PATH_BYTES_MAX);
	while (!rd_empty(&r)) {
		uint8_t flags, code, size8;
		uint16_t size;
		struct rd value;

		if (!rd_u8(&r, &flags) || !rd_u8(&r, &code))
			goto overrun;
		if (flags & BGP_FLAG_EXTENDED) {
			if (!rd_u16(&r, &size))
				goto overrun;
		} else {
			if (!rd_u8(&r, &size8))
				goto overrun;
			size = size8;
		}
		if (!rd_sub(&r, size, &value))
			goto overrun;
		take(&x, code, flags, value);
		continue;
	overrun:
		/* RFC 7606 4: where the list ends is known from the message, its last attribute is not. */
		outcome(&x, BGP_OUTCOME_WITHDRAW, 0);
		break;
	}
	build_parts(&x);
	/* Without memory nothing can be kept of it. */
	if (!wr_ok(&out->parts))
		outcome(&x, BGP_OUTCOME_WITHDRAW, 0);
}
