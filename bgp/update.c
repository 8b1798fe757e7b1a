/* SPDX-License-Identifier: Apache-2.0 */
/*
 * update: what an UPDATE or ROUTE-REFRESH message does to the routes that a neighbour has announced.
 *
 * 1. The three fields must fit into the message, and every prefix must be readable: otherwise it is
 *    not known what to withdraw, and the session ends (RFC 7606 3 a, 5.3).
 * 2. The attributes lead to an outcome (attribute.c, RFC 7606).
 * 3. Withdrawn prefixes are withdrawn. New ones are announced; or withdrawn, if the outcome or the
 *    checks of this session's own say so: our AS in the path (RFC 4271 9), a next hop that is not on
 *    the tunnel, a leak (RFC 9234 5).
 */
#include "bgp/bgp_int.h"

#define WARN_PAUSE span_s(10)

static bool internal(const struct bgp_conn *c)
{
	return c->peer.as == c->neighbor->cfg.local_as;
}

static bool add_path(const struct bgp_conn *c, enum bgp_family f)
{
	return c->neighbor->cfg.add_path_receive && c->neighbor->families[f] &&
	       c->peer.add_path_sends[f];
}

static struct bgp_attr_context context_of(const struct bgp_conn *c)
{
	const struct bgp_neighbor *n = c->neighbor;
	struct bgp_attr_context x = {
		.internal = internal(c),
		.four_octet_as = c->peer.four_octet_as,
		.extended_next_hop = c->peer.extended_next_hop &&
				     n->cfg.next_hop[BGP_IPV6_UNICAST].family == IP_V6,
		.neighbor_as = c->peer.as,
	};

	for (int f = 0; f < BGP_N_FAMILIES; f++) {
		x.families[f] = n->families[f];
		x.add_path[f] = add_path(c, (enum bgp_family)f);
	}
	return x;
}

/* People hear of the first of many; the counters have them all. */
static bool may_warn(struct bgp_neighbor *n)
{
	if (!mono_reached(n->bgp->now, n->warn_at))
		return false;
	n->warn_at = mono_add(n->bgp->now, WARN_PAUSE);
	return true;
}

static void warn_malformed(struct bgp_conn *c, const char *what, uint8_t attribute,
			   struct bgp_out *out)
{
	if (may_warn(c->neighbor))
		bgp_event_add(out, c->neighbor, "bgp-update-malformed", LOG_LEVEL_WARN,
			      "an UPDATE with a malformed attribute of type %u: %s", attribute,
			      what);
}

static void warn_refused(struct bgp_conn *c, const char *what, struct rd nlri, enum bgp_family f,
			 const struct path_facts *facts, struct bgp_out *out)
{
	char prefix[IP_PREFIX_STRLEN], hop[IP_ADDR_STRLEN];
	struct path_nlri first;
	bool bad;

	if (bgp_nlri_next(&nlri, f, add_path(c, f), &first, &bad) && may_warn(c->neighbor))
		bgp_event_add(out, c->neighbor, "bgp-route-refused", LOG_LEVEL_WARN,
			      "%s: %s, next hop %s", what, ip_prefix_format(&first.prefix, prefix),
			      ip_format(&facts->next_hop, hop));
}

/* ------------------------------------------------------------ to the sink */

/* The next prefixes of a field that has been checked; 0: no more. */
static size_t next_batch(struct rd *r, enum bgp_family f, bool with_ids,
			 struct path_nlri batch[BGP_NLRI_BATCH])
{
	size_t n = 0;
	bool bad;

	while (n < BGP_NLRI_BATCH && bgp_nlri_next(r, f, with_ids, &batch[n], &bad))
		n++;
	return n;
}

static void withdraw(struct bgp_conn *c, struct rd r, enum bgp_family f)
{
	struct bgp_neighbor *n = c->neighbor;
	const struct bgp_sink *sink = &n->bgp->sink;
	struct path_nlri batch[BGP_NLRI_BATCH];
	size_t k;

	while ((k = next_batch(&r, f, add_path(c, f), batch)))
		n->received[f] -= (uint32_t)sink->withdraw(sink->ctx, n->cfg.neighbor, batch, k);
}

/* RFC 4486 3: how the limit is told. False: the session has ended. */
static bool within_limit(struct bgp_conn *c, enum bgp_family f, struct bgp_out *out)
{
	struct bgp_neighbor *n = c->neighbor;
	const uint32_t max = n->cfg.prefixes[f].max, have = n->received[f];
	const uint32_t warn_at = (uint32_t)((uint64_t)max * n->cfg.prefixes[f].warn_percent / 100);
	struct bgp_fault_report report = bgp_report(BGP_ERR_CEASE, BGP_CEASE_PREFIX_LIMIT);
	struct wr w = wr_of(report.data, sizeof(report.data));

	if (max == 0)
		return true;
	if (warn_at && have >= warn_at && !n->warned[f]) {
		n->warned[f] = true;
		bgp_event_add(out, n, "bgp-prefix-warning", LOG_LEVEL_WARN,
			      "%u prefixes of the %u that may be announced", have, max);
	}
	if (have < warn_at)
		n->warned[f] = false;
	if (have <= max || n->cfg.prefixes[f].warn_only)
		return true;
	bgp_event_add(out, n, "bgp-prefix-limit", LOG_LEVEL_ERROR,
		      "more than %u prefixes: the session ends (bgp.max_prefixes)", max);
	bgp_family_put(&w, f);
	wr_u32(&w, max);
	report.data_size = w.n;
	bgp_fsm_fault(c, BGP_FAULT_PREFIX_LIMIT, &report, out);
	return false;
}

static bool announce(struct bgp_conn *c, struct rd r, enum bgp_family f, struct path *path,
		     struct bgp_out *out)
{
	struct bgp_neighbor *n = c->neighbor;
	const struct bgp_sink *sink = &n->bgp->sink;
	struct path_nlri batch[BGP_NLRI_BATCH];
	size_t k;

	while ((k = next_batch(&r, f, add_path(c, f), batch)))
		n->received[f] +=
			(uint32_t)sink->announce(sink->ctx, n->cfg.neighbor, batch, k, path);
	return within_limit(c, f, out);
}

/* --------------------------------------------------------------- the checks */

/* RFC 4271 5.1.3, 6.3: an eBGP next hop is on the network that we share, and not we. */
static bool next_hop_ok(const struct bgp_conn *c, const struct ip_addr *next_hop)
{
	const struct bgp_neighbor_cfg *cfg = &c->neighbor->cfg;

	if (!ip_is_unicast(next_hop) || ip_equal(next_hop, &cfg->local))
		return false;
	for (int f = 0; f < BGP_N_FAMILIES; f++)
		if (ip_equal(next_hop, &cfg->next_hop[f]))
			return false;
	if (internal(c) || cfg->multihop)
		return true;
	for (int i = 0; i < 2; i++)
		if (cfg->inside[i].addr.family == next_hop->family &&
		    ip_prefix_contains(&cfg->inside[i], next_hop))
			return true;
	return ip_equal(next_hop, &cfg->remote);
}

/* RFC 9234 5, on the way in. False: a leak. */
static bool only_to_customer(const struct bgp_conn *c, struct path_facts *f)
{
	if (internal(c))
		return true;
	switch (c->neighbor->cfg.role) {
	case BGP_ROLE_PROVIDER:
	case BGP_ROLE_RS: return !(f->flags & PATH_HAS_OTC);
	case BGP_ROLE_PEER:
		if ((f->flags & PATH_HAS_OTC) && f->otc != c->peer.as)
			return false;
		break;
	case BGP_ROLE_CUSTOMER:
	case BGP_ROLE_RS_CLIENT: break;
	default: return true;
	}
	if (!(f->flags & PATH_HAS_OTC)) {
		f->flags |= PATH_HAS_OTC;
		f->otc = c->peer.as;
	}
	return true;
}

static bool path_has_own_as(const struct bgp_conn *c, const struct path *p)
{
	return path_has_as(p, c->neighbor->cfg.local_as);
}

/* The routes of one field: taken, or refused and thereby withdrawn. False: the session has ended. */
static bool take_routes(struct bgp_conn *c, struct bgp_attrs *a, struct rd nlri, enum bgp_family f,
			const struct ip_addr *next_hop, const struct ip_addr *link_local,
			struct bgp_out *out)
{
	struct bgp_neighbor *n = c->neighbor;
	struct path_facts facts = a->facts;
	const char *refused = NULL;
	enum bgp_fault fault = BGP_FAULT_END;
	struct path *path;
	bool ok = true;

	facts.next_hop = *next_hop;
	facts.next_hop_link_local = *link_local;
	if (!next_hop_ok(c, next_hop)) {
		fault = BGP_FAULT_NEXT_HOP;
		refused = "routes with a next hop that is not on the tunnel's inside network";
	} else if (!only_to_customer(c, &facts)) {
		fault = BGP_FAULT_OTC;
		refused = "routes that leaked: they were for customers only";
	}
	path = path_intern(n->bgp->paths, &facts, a->parts.buf);
	if (!path) {
		const struct bgp_fault_report report =
			bgp_report(BGP_ERR_CEASE, BGP_CEASE_RESOURCES);

		bgp_fsm_fault(c, BGP_FAULT_RESOURCES, &report, out);
		return false;
	}
	if (!refused && path_has_own_as(c, path)) {
		fault = BGP_FAULT_OWN_AS;
		refused = "routes with our own AS in their path";
	}
	if (refused) {
		n->faults[fault]++;
		warn_refused(c, refused, nlri, f, &facts, out);
		withdraw(c, nlri, f);
	} else {
		ok = announce(c, nlri, f, path, out);
	}
	path_unref(n->bgp->paths, path);
	return ok;
}

/* RFC 7606 3 d), RFC 4271 5.1.2: what a message with routes must have, and the first AS. */
static void check_mandatory(const struct bgp_conn *c, struct bgp_attrs *a, bool routes,
			    bool ipv4_routes)
{
	uint8_t missing = 0;

	if (!routes)
		return;
	if (internal(c) && !(a->facts.flags & PATH_HAS_LOCAL_PREF))
		missing = BGP_ATTR_LOCAL_PREF;
	if (ipv4_routes && !a->has_next_hop)
		missing = BGP_ATTR_NEXT_HOP;
	if (!a->has_as_path)
		missing = BGP_ATTR_AS_PATH;
	if (!a->has_origin)
		missing = BGP_ATTR_ORIGIN;
	/* RFC 4271 6.3; route servers do not add themselves (RFC 7947 2.2.2.1). */
	if (!missing && !internal(c) && a->facts.first_as != c->peer.as &&
	    c->neighbor->cfg.role != BGP_ROLE_RS_CLIENT)
		missing = BGP_ATTR_AS_PATH;
	if (!missing)
		return;
	if (a->outcome < BGP_OUTCOME_WITHDRAW) {
		a->outcome = BGP_OUTCOME_WITHDRAW;
		a->bad_attribute = missing;
	}
}

/* ------------------------------------------------------------------ UPDATE */

static bool end_session(struct bgp_conn *c, uint8_t subcode, struct bgp_out *out)
{
	const struct bgp_fault_report report = bgp_report(BGP_ERR_UPDATE, subcode);

	bgp_fsm_fault(c, BGP_FAULT_UPDATE_RESET, &report, out);
	return false;
}

static void end_of_rib(struct bgp_conn *c, enum bgp_family f)
{
	struct bgp_neighbor *n = c->neighbor;
	const struct bgp_sink *sink = &n->bgp->sink;

	c->ended[f] = true;
	/* RFC 4724 4.2: what was not said again is gone. */
	if (n->stale[f])
		bgp_fsm_purge(n, f, true);
	sink->end_of_rib(sink->ctx, n->cfg.neighbor, f);
}

static void judge(struct bgp_conn *c, const struct bgp_attrs *a, struct bgp_out *out)
{
	struct bgp_neighbor *n = c->neighbor;

	switch (a->outcome) {
	case BGP_OUTCOME_OK:
	case BGP_OUTCOME_RESET: break;
	case BGP_OUTCOME_DISCARD:
		n->faults[BGP_FAULT_UPDATE_DISCARD]++;
		warn_malformed(c, "the attribute was ignored (RFC 7606)", a->bad_attribute, out);
		break;
	case BGP_OUTCOME_WITHDRAW:
		n->faults[BGP_FAULT_UPDATE_WITHDRAW]++;
		warn_malformed(c, "its routes were treated as withdrawn (RFC 7606)",
			       a->bad_attribute, out);
		break;
	}
}

bool bgp_update_receive(struct bgp_conn *c, struct rd body, struct bgp_out *out)
{
	struct bgp_neighbor *n = c->neighbor;
	const struct bgp_attr_context x = context_of(c);
	const bool v4 = n->families[BGP_IPV4_UNICAST];
	const bool v4_ids = x.add_path[BGP_IPV4_UNICAST];
	static const struct ip_addr none = {.family = IP_NONE};
	struct rd withdrawn, attributes;
	struct bgp_attrs a;
	uint16_t size;
	bool routes;

	n->updates_in++;
	if (!rd_u16(&body, &size) || !rd_sub(&body, size, &withdrawn) || !rd_u16(&body, &size) ||
	    !rd_sub(&body, size, &attributes))
		return end_session(c, BGP_UPDATE_MALFORMED_LIST, out);
	if (!bgp_nlri_check(withdrawn, BGP_IPV4_UNICAST, v4_ids) ||
	    !bgp_nlri_check(body, BGP_IPV4_UNICAST, v4_ids))
		return end_session(c, BGP_UPDATE_NETWORK, out);
	if (rd_empty(&withdrawn) && rd_empty(&attributes) && rd_empty(&body)) {
		if (v4)
			end_of_rib(c, BGP_IPV4_UNICAST);
		return true;
	}
	bgp_attrs_parse(attributes, &x, n->bgp->parts, &a);
	routes = !rd_empty(&body) || (a.has_reach && !rd_empty(&a.reach));
	check_mandatory(c, &a, routes, !rd_empty(&body));
	/* RFC 7606 5.2: a fault, and no route that it could be about: which one was meant is lost. */
	if (a.outcome == BGP_OUTCOME_WITHDRAW && a.any_other && rd_empty(&body) && !a.any_reach) {
		a.outcome = BGP_OUTCOME_RESET;
		a.report = bgp_report(BGP_ERR_UPDATE, BGP_UPDATE_MALFORMED_LIST);
	}
	judge(c, &a, out);
	if (a.outcome == BGP_OUTCOME_RESET) {
		bgp_fsm_fault(c, BGP_FAULT_UPDATE_RESET, &a.report, out);
		return false;
	}
	if (v4)
		withdraw(c, withdrawn, BGP_IPV4_UNICAST);
	if (a.has_unreach) {
		withdraw(c, a.unreach, a.unreach_family);
		/* RFC 4724 2 */
		if (rd_empty(&a.unreach) && !a.any_other && rd_empty(&withdrawn) && !routes)
			end_of_rib(c, a.unreach_family);
	}
	if (a.outcome == BGP_OUTCOME_WITHDRAW) {
		if (v4)
			withdraw(c, body, BGP_IPV4_UNICAST);
		if (a.has_reach)
			withdraw(c, a.reach, a.reach_family);
		return true;
	}
	if (v4 && !rd_empty(&body) &&
	    !take_routes(c, &a, body, BGP_IPV4_UNICAST, &a.facts.next_hop, &none, out))
		return false;
	if (a.has_reach && !rd_empty(&a.reach) &&
	    !take_routes(c, &a, a.reach, a.reach_family, &a.reach_next_hop, &a.reach_link_local,
			 out))
		return false;
	return true;
}

/* ----------------------------------------------------------- ROUTE-REFRESH */

static void refresh_begins(struct bgp_conn *c, enum bgp_family f)
{
	struct bgp_neighbor *n = c->neighbor;
	const struct bgp_sink *sink = &n->bgp->sink;

	/* RFC 7313 4: what the peer announced before it restarted is not to be marked twice. */
	if (c->peer.graceful_restart && !c->ended[f]) {
		n->faults[BGP_FAULT_REFRESH]++;
		return;
	}
	c->refreshing[f] = true;
	sink->stale(sink->ctx, n->cfg.neighbor, f);
}

static void refresh_ends(struct bgp_conn *c, enum bgp_family f)
{
	struct bgp_neighbor *n = c->neighbor;

	/* What is stale for another reason is not this end's. */
	if (!c->refreshing[f]) {
		n->faults[BGP_FAULT_REFRESH]++;
		return;
	}
	c->refreshing[f] = false;
	bgp_fsm_purge(n, f, true);
}

bool bgp_refresh_receive(struct bgp_conn *c, struct rd body, struct bgp_out *out)
{
	struct bgp_neighbor *n = c->neighbor;
	const size_t size = body.size;
	enum bgp_family f;
	uint16_t afi;
	uint8_t subtype, safi;

	if (!rd_u16(&body, &afi) || !rd_u8(&body, &subtype) || !rd_u8(&body, &safi))
		return true; /* cannot be: the header's length was checked */
	/* RFC 7313 5: only of the two new kinds. */
	if ((subtype == BGP_REFRESH_BEGIN || subtype == BGP_REFRESH_END) && size != 4) {
		struct bgp_fault_report report = bgp_report(BGP_ERR_REFRESH, 1);
		struct wr w = wr_of(report.data, sizeof(report.data));

		/* "The Data field MUST contain the complete ROUTE-REFRESH message." */
		for (int i = 0; i < BGP_MARKER_SIZE; i++)
			wr_u8(&w, 0xff);
		wr_u16(&w, (uint16_t)(BGP_HEADER_SIZE + size));
		wr_u8(&w, BGP_ROUTE_REFRESH);
		wr_u16(&w, afi);
		wr_u8(&w, subtype);
		wr_u8(&w, safi);
		wr_bytes(&w, body.p,
			 body.size < sizeof(report.data) - w.n ? body.size
							       : sizeof(report.data) - w.n);
		report.data_size = w.n;
		bgp_fsm_fault(c, BGP_FAULT_REFRESH, &report, out);
		return false;
	}
	/* RFC 2918 4, RFC 7313 4.2: what was not negotiated, or is not known, is passed over; a filter
	 * (RFC 5291) never was negotiated. */
	if (!bgp_family_of(afi, safi, &f) || !n->families[f] || size != 4) {
		n->faults[BGP_FAULT_REFRESH]++;
		return true;
	}
	switch (subtype) {
	case BGP_REFRESH_REQUEST:
		if (c->peer.enhanced_refresh)
			n->adj_out.refresh[f] = true;
		else
			bgp_adj_out_again(&n->adj_out, f);
		break;
	case BGP_REFRESH_BEGIN: refresh_begins(c, f); break;
	case BGP_REFRESH_END: refresh_ends(c, f); break;
	default: n->faults[BGP_FAULT_REFRESH]++; break;
	}
	return true;
}
