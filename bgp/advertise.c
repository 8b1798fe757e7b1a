/* SPDX-License-Identifier: Apache-2.0 */
/*
 * advertise: UPDATE messages out of what a neighbour is to be told (adj_out.c).
 *
 * A batch of waiting prefixes is sorted by attributes; each set of attributes is written once for
 * as many prefixes as a message holds. What RFC 4271 5.1 makes of a path on its way to this
 * neighbour is made here: next hop, our AS, MED, LOCAL_PREF, the Only-to-Customer attribute.
 */
#include <stdlib.h>
#include <string.h>
#include "bgp/bgp_int.h"

#define BATCH              1024
#define LOCAL_PREF_DEFAULT 100
#define EXT_NON_TRANSITIVE 0x40 /* RFC 4360 2 */

static bool external(const struct bgp_conn *c)
{
	return c->peer.as != c->neighbor->cfg.local_as;
}

static size_t message_max(const struct bgp_conn *c)
{
	/* RFC 8654 4: both have said so. */
	return c->neighbor->cfg.extended_messages && c->peer.extended_messages ? BGP_EXTENDED_MAX
									       : BGP_MESSAGE_MAX;
}

/* The next hop for a family; IP_NONE: none that this neighbour could use. */
static struct ip_addr next_hop_of(const struct bgp_conn *c, enum bgp_family f, const struct path *p)
{
	const struct bgp_neighbor_cfg *cfg = &c->neighbor->cfg;

	/* RFC 4271 5.1.3: within our AS it stays as it came, unless told otherwise. */
	if (!external(c) && !cfg->next_hop_self && p->facts.next_hop.family != IP_NONE)
		return p->facts.next_hop;
	if (cfg->next_hop[f].family != IP_NONE)
		return cfg->next_hop[f];
	/* RFC 8950 4 */
	if (f == BGP_IPV4_UNICAST && c->peer.extended_next_hop)
		return cfg->next_hop[BGP_IPV6_UNICAST];
	return (struct ip_addr){.family = IP_NONE};
}

static bool may_say(const struct bgp_conn *c, enum bgp_family f, const struct path *p)
{
	const uint8_t role = c->neighbor->cfg.role;

	if (!c->neighbor->families[f] || next_hop_of(c, f, p).family == IP_NONE)
		return false;
	if (path_has_community(p, BGP_COMMUNITY_NO_ADVERTISE))
		return false;
	if (!external(c))
		return true;
	if (path_has_community(p, BGP_COMMUNITY_NO_EXPORT) ||
	    path_has_community(p, BGP_COMMUNITY_NO_EXPORT_SUBCONFED))
		return false;
	/* It would refuse what has passed through it. */
	if (path_has_as(p, c->peer.as))
		return false;
	/* RFC 9234 5: what came from above or from the side goes down only. */
	return !(
		(p->facts.flags & PATH_HAS_OTC) &&
		(role == BGP_ROLE_CUSTOMER || role == BGP_ROLE_PEER || role == BGP_ROLE_RS_CLIENT));
}

/* --------------------------------------------------------------- attributes */

/* With RFC 4271 4.3's extended length where it is needed. */
static void put_attribute(struct wr *w, uint8_t flags, uint8_t code, const void *value, size_t size)
{
	wr_u8(w, size > UINT8_MAX ? flags | BGP_FLAG_EXTENDED : flags);
	wr_u8(w, code);
	if (size > UINT8_MAX)
		wr_u16(w, (uint16_t)size);
	else
		wr_u8(w, (uint8_t)size);
	wr_bytes(w, value, size);
}

static void put_u32(struct wr *w, uint8_t flags, uint8_t code, uint32_t v)
{
	const uint8_t b[4] = {(uint8_t)(v >> 24), (uint8_t)(v >> 16), (uint8_t)(v >> 8),
			      (uint8_t)v};

	put_attribute(w, flags, code, b, sizeof(b));
}

/* RFC 4271 5.1.2 b): our AS in front, in the first sequence if there is room. */
static void prepended(struct wr *w, const struct bgp_conn *c, const struct path *p)
{
	const uint8_t *path = path_as_path(p);
	const size_t size = p->facts.as_path_size;
	const unsigned times = external(c) ? 1u + c->neighbor->cfg.prepend : 0;
	const bool join = size && path[0] == BGP_SEGMENT_SEQUENCE && path[1] + times <= UINT8_MAX;

	if (times) {
		wr_u8(w, BGP_SEGMENT_SEQUENCE);
		wr_u8(w, (uint8_t)(times + (join ? path[1] : 0)));
		for (unsigned i = 0; i < times; i++)
			wr_u32(w, c->neighbor->cfg.local_as);
		wr_bytes(w, path + (join ? 2 : 0), size - (join ? 2 : 0));
	} else {
		wr_bytes(w, path, size);
	}
}

/* RFC 6793 4.2.2: in two bytes. True if an AS did not fit. */
static bool narrowed(struct wr *w, struct rd r)
{
	bool lost = false;
	uint8_t type, count;
	struct rd ases;
	uint32_t as;

	while (rd_u8(&r, &type) && rd_u8(&r, &count) && rd_sub(&r, (size_t)count * 4, &ases)) {
		wr_u8(w, type);
		wr_u8(w, count);
		while (rd_u32(&ases, &as)) {
			lost |= as > UINT16_MAX;
			wr_u16(w, as > UINT16_MAX ? BGP_AS_TRANS : (uint16_t)as);
		}
	}
	return lost;
}

/* The path, and the four-byte one for later if a speaker of two bytes needs it. */
static void put_as_path(struct wr *w, const struct bgp_conn *c, struct rd path, bool *needs_as4)
{
	uint8_t bytes[BGP_MESSAGE_MAX];
	struct wr narrow = wr_of(bytes, sizeof(bytes));

	*needs_as4 = false;
	if (c->peer.four_octet_as) {
		put_attribute(w, BGP_FLAG_TRANSITIVE, BGP_ATTR_AS_PATH, path.p, path.size);
		return;
	}
	*needs_as4 = narrowed(&narrow, path);
	if (!wr_ok(&narrow))
		w->overflow = true;
	put_attribute(w, BGP_FLAG_TRANSITIVE, BGP_ATTR_AS_PATH, bytes, narrow.n);
}

static void put_aggregator(struct wr *w, const struct bgp_conn *c, const struct path_facts *f,
			   bool *needs_as4)
{
	struct wr v = wr_of((uint8_t[8]){0}, 8);

	*needs_as4 = false;
	if (c->peer.four_octet_as) {
		wr_u32(&v, f->aggregator_as);
	} else {
		*needs_as4 = f->aggregator_as > UINT16_MAX;
		wr_u16(&v, *needs_as4 ? BGP_AS_TRANS : (uint16_t)f->aggregator_as);
	}
	wr_u32(&v, f->aggregator_id);
	put_attribute(w, BGP_FLAG_OPTIONAL | BGP_FLAG_TRANSITIVE, BGP_ATTR_AGGREGATOR, v.buf, v.n);
}

static void put_communities(struct wr *w, const struct bgp_conn *c, const struct path *p)
{
	const size_t size = p->facts.communities_size;
	uint8_t bytes[BGP_MESSAGE_MAX];
	struct wr v = wr_of(bytes, sizeof(bytes));

	if (c->neighbor->cfg.graceful_shutdown) /* RFC 8326 4 */
		wr_u32(&v, BGP_COMMUNITY_GRACEFUL_SHUTDOWN);
	wr_bytes(&v, path_communities(p), size);
	if (!wr_ok(&v))
		w->overflow = true;
	if (v.n)
		put_attribute(w, BGP_FLAG_OPTIONAL | BGP_FLAG_TRANSITIVE, BGP_ATTR_COMMUNITIES,
			      bytes, v.n);
}

/* RFC 4360 6: what is not transitive ends with the AS. */
static void put_ext_communities(struct wr *w, const struct bgp_conn *c, const struct path *p)
{
	struct rd r = rd_of(path_ext_communities(p), p->facts.ext_communities_size);
	uint8_t kept[BGP_MESSAGE_MAX];
	struct wr v = wr_of(kept, sizeof(kept));
	const uint8_t *one;

	while (rd_bytes(&r, 8, &one))
		if (!external(c) || !(one[0] & EXT_NON_TRANSITIVE))
			wr_bytes(&v, one, 8);
	if (!wr_ok(&v))
		w->overflow = true;
	if (v.n)
		put_attribute(w, BGP_FLAG_OPTIONAL | BGP_FLAG_TRANSITIVE, BGP_ATTR_EXT_COMMUNITIES,
			      kept, v.n);
}

static void put_unknown(struct wr *w, const struct path *p)
{
	struct rd r = rd_of(path_unknown(p), p->facts.unknown_size), value;
	uint8_t flags, code;
	uint16_t size;

	while (rd_u8(&r, &flags) && rd_u8(&r, &code) && rd_u16(&r, &size) &&
	       rd_sub(&r, size, &value))
		put_attribute(w, flags, code, value.p, value.size);
}

static void put_med(struct wr *w, const struct bgp_conn *c, const struct path_facts *f)
{
	/* RFC 4271 5.1.4: another AS's is not passed on to a third. */
	if (c->neighbor->cfg.has_med)
		put_u32(w, BGP_FLAG_OPTIONAL, BGP_ATTR_MED, c->neighbor->cfg.med);
	else if (!external(c) && (f->flags & PATH_HAS_MED))
		put_u32(w, BGP_FLAG_OPTIONAL, BGP_ATTR_MED, f->med);
}

static void put_otc(struct wr *w, const struct bgp_conn *c, const struct path_facts *f)
{
	const uint8_t role = c->neighbor->cfg.role;
	const uint8_t flags = BGP_FLAG_OPTIONAL | BGP_FLAG_TRANSITIVE;

	if (f->flags & PATH_HAS_OTC)
		put_u32(w, flags, BGP_ATTR_OTC, f->otc);
	/* RFC 9234 5: towards a customer, a peer or a route server's client. */
	else if (external(c) &&
		 (role == BGP_ROLE_PROVIDER || role == BGP_ROLE_PEER || role == BGP_ROLE_RS))
		put_u32(w, flags, BGP_ATTR_OTC, c->neighbor->cfg.local_as);
}

/* Everything but MP_REACH_NLRI. */
static void put_attributes(struct wr *w, const struct bgp_conn *c, const struct path *p,
			   const struct ip_addr *next_hop)
{
	const struct path_facts *f = &p->facts;
	uint8_t bytes[BGP_MESSAGE_MAX];
	struct wr path = wr_of(bytes, sizeof(bytes));
	bool path4, aggregator4 = false;

	prepended(&path, c, p);
	if (!wr_ok(&path))
		w->overflow = true;
	put_attribute(w, BGP_FLAG_TRANSITIVE, BGP_ATTR_ORIGIN, &f->origin, 1);
	put_as_path(w, c, rd_of(bytes, path.n), &path4);
	if (next_hop->family == IP_V4)
		put_attribute(w, BGP_FLAG_TRANSITIVE, BGP_ATTR_NEXT_HOP, next_hop->b, 4);
	put_med(w, c, f);
	if (!external(c))
		put_u32(w, BGP_FLAG_TRANSITIVE, BGP_ATTR_LOCAL_PREF,
			f->flags & PATH_HAS_LOCAL_PREF ? f->local_pref : LOCAL_PREF_DEFAULT);
	if (f->flags & PATH_ATOMIC_AGGREGATE)
		put_attribute(w, BGP_FLAG_TRANSITIVE, BGP_ATTR_ATOMIC_AGGREGATE, NULL, 0);
	if (f->flags & PATH_HAS_AGGREGATOR)
		put_aggregator(w, c, f, &aggregator4);
	put_communities(w, c, p);
	put_ext_communities(w, c, p);
	if (path4)
		put_attribute(w, BGP_FLAG_OPTIONAL | BGP_FLAG_TRANSITIVE, BGP_ATTR_AS4_PATH, bytes,
			      path.n);
	if (aggregator4) {
		struct wr v = wr_of((uint8_t[8]){0}, 8);

		wr_u32(&v, f->aggregator_as);
		wr_u32(&v, f->aggregator_id);
		put_attribute(w, BGP_FLAG_OPTIONAL | BGP_FLAG_TRANSITIVE, BGP_ATTR_AS4_AGGREGATOR,
			      v.buf, v.n);
	}
	if (f->large_communities_size)
		put_attribute(w, BGP_FLAG_OPTIONAL | BGP_FLAG_TRANSITIVE,
			      BGP_ATTR_LARGE_COMMUNITIES, path_large_communities(p),
			      f->large_communities_size);
	put_otc(w, c, f);
	put_unknown(w, p);
}

/* ------------------------------------------------------------------ messages */

static void send_update(struct bgp_conn *c, struct wr *w, struct bgp_out *out)
{
	c->neighbor->updates_out++;
	bgp_message_send(c, w, out);
}

static struct wr begin_update(struct bgp_conn *c)
{
	return bgp_message_begin(c->neighbor->bgp, message_max(c), BGP_UPDATE);
}

/* As many prefixes as the message holds; returns how many. */
static size_t put_prefixes(struct wr *w, struct bgp_told *const *told, size_t n)
{
	size_t i = 0;

	while (i < n && w->size - w->n >= bgp_nlri_size(&told[i]->prefix))
		bgp_nlri_put(w, &told[i++]->prefix);
	return i;
}

/* IPv4 prefixes with an IPv4 next hop, where RFC 4271 has them. Returns how many; 0: no room. */
static size_t announce_plain(struct bgp_conn *c, const struct wr *attributes,
			     struct bgp_told *const *told, size_t n, struct bgp_out *out)
{
	struct wr w = begin_update(c);
	size_t done;

	wr_u16(&w, 0);
	wr_u16(&w, (uint16_t)attributes->n);
	wr_bytes(&w, attributes->buf, attributes->n);
	done = wr_ok(&w) ? put_prefixes(&w, told, n) : 0;
	if (done)
		send_update(c, &w, out);
	return done;
}

/* RFC 4760 3; RFC 7606 5.1: it stands first. */
static size_t announce_mp(struct bgp_conn *c, enum bgp_family f, const struct ip_addr *next_hop,
			  const struct wr *attributes, struct bgp_told *const *told, size_t n,
			  struct bgp_out *out)
{
	struct wr w = begin_update(c);
	const size_t size = w.size;
	size_t all, value, done;

	wr_u16(&w, 0);
	all = wr_open16(&w);
	wr_u8(&w, BGP_FLAG_OPTIONAL | BGP_FLAG_EXTENDED);
	wr_u8(&w, BGP_ATTR_MP_REACH);
	value = wr_open16(&w);
	bgp_family_put(&w, f);
	wr_u8(&w, (uint8_t)ip_size(next_hop));
	wr_bytes(&w, next_hop->b, ip_size(next_hop));
	wr_u8(&w, 0);
	if (!wr_ok(&w) || w.size - w.n < attributes->n)
		return 0;
	w.size -= attributes->n; /* kept free for them */
	done = put_prefixes(&w, told, n);
	w.size = size;
	wr_close16(&w, value, value + 2);
	wr_bytes(&w, attributes->buf, attributes->n);
	wr_close16(&w, all, all + 2);
	if (done)
		send_update(c, &w, out);
	return done;
}

static size_t withdraw_some(struct bgp_conn *c, enum bgp_family f, struct bgp_told *const *told,
			    size_t n, struct bgp_out *out)
{
	struct wr w = begin_update(c);
	size_t done, all, value;

	if (!wr_ok(&w))
		return n; /* no memory: the caller's out says so already, or will */
	all = wr_open16(&w);
	if (f == BGP_IPV4_UNICAST) {
		w.size -= 2;
		done = put_prefixes(&w, told, n);
		w.size += 2;
		wr_close16(&w, all, all + 2);
		wr_u16(&w, 0);
	} else {
		all = wr_open16(&w);
		wr_u8(&w, BGP_FLAG_OPTIONAL | BGP_FLAG_EXTENDED);
		wr_u8(&w, BGP_ATTR_MP_UNREACH);
		value = wr_open16(&w);
		bgp_family_put(&w, f);
		done = put_prefixes(&w, told, n);
		wr_close16(&w, value, value + 2);
		wr_close16(&w, all, all + 2);
	}
	send_update(c, &w, out);
	return done;
}

/* Prefixes of one family with the same path. */
static void announce_group(struct bgp_conn *c, enum bgp_family f, struct bgp_told *const *told,
			   size_t n, struct bgp_out *out)
{
	struct bgp_neighbor *nb = c->neighbor;
	const struct ip_addr next_hop = next_hop_of(c, f, told[0]->path);
	uint8_t bytes[BGP_MESSAGE_MAX];
	struct wr attributes = wr_of(bytes, sizeof(bytes));
	size_t done = 0;

	put_attributes(&attributes, c, told[0]->path, &next_hop);
	while (wr_ok(&attributes) && done < n) {
		const size_t k =
			f == BGP_IPV4_UNICAST && next_hop.family == IP_V4
				? announce_plain(c, &attributes, told + done, n - done, out)
				: announce_mp(c, f, &next_hop, &attributes, told + done, n - done,
					      out);

		if (k == 0)
			break;
		for (size_t i = 0; i < k; i++)
			told[done + i]->said = true;
		done += k;
	}
	if (done == n)
		return;
	/* What was said before and is no longer so is taken back. */
	for (size_t i = done; i < n; i++) {
		if (told[i]->said)
			(void)withdraw_some(c, f, &told[i], 1, out);
		told[i]->said = false;
	}
	bgp_event_add(out, nb, "bgp-route-unsaid", LOG_LEVEL_WARN,
		      "%zu prefixes were not announced: their attributes do not fit into a message",
		      n - done);
}

static int by_path(const void *x, const void *y)
{
	const struct bgp_told *a = *(struct bgp_told *const *)x, *b = *(struct bgp_told *const *)y;

	if (a->prefix.addr.family != b->prefix.addr.family)
		return (int)a->prefix.addr.family - (int)b->prefix.addr.family;
	if (a->path != b->path)
		return a->path < b->path ? -1 : 1;
	return 0;
}

static void withdraw_all(struct bgp_conn *c, struct bgp_told **told, size_t n, struct bgp_out *out)
{
	qsort(told, n, sizeof(*told), by_path);
	for (size_t i = 0; i < n;) {
		const enum bgp_family f = bgp_family_of_prefix(&told[i]->prefix);
		size_t k = 1;

		while (i + k < n && bgp_family_of_prefix(&told[i + k]->prefix) == f)
			k++;
		i += withdraw_some(c, f, told + i, k, out);
	}
}

static void announce_all(struct bgp_conn *c, struct bgp_told **told, size_t n, struct bgp_out *out)
{
	qsort(told, n, sizeof(*told), by_path);
	for (size_t i = 0, k; i < n; i += k) {
		for (k = 1; i + k < n && by_path(&told[i], &told[i + k]) == 0; k++)
			;
		announce_group(c, bgp_family_of_prefix(&told[i]->prefix), told + i, k, out);
	}
}

static void run_batch(struct bgp_conn *c, struct bgp_out *out)
{
	struct bgp_neighbor *n = c->neighbor;
	struct bgp_told *announced[BATCH], *withdrawn[BATCH], *gone[BATCH];
	size_t n_announced = 0, n_withdrawn = 0, n_gone = 0;
	struct bgp_told *t;

	while (n_announced < BATCH && n_withdrawn < BATCH && n_gone < BATCH &&
	       (t = bgp_adj_out_next(&n->adj_out))) {
		const enum bgp_family f = bgp_family_of_prefix(&t->prefix);

		if (t->path && may_say(c, f, t->path)) {
			announced[n_announced++] = t;
			continue;
		}
		if (t->said) {
			withdrawn[n_withdrawn++] = t;
			t->said = false;
		}
		if (!t->path)
			gone[n_gone++] = t;
	}
	withdraw_all(c, withdrawn, n_withdrawn, out);
	for (size_t i = 0; i < n_gone; i++)
		bgp_adj_out_drop(n->bgp, &n->adj_out, gone[i]);
	announce_all(c, announced, n_announced, out);
}

static void send_refresh(struct bgp_conn *c, enum bgp_family f, uint8_t subtype,
			 struct bgp_out *out)
{
	struct wr w = bgp_message_begin(c->neighbor->bgp, BGP_ROUTE_REFRESH_MIN, BGP_ROUTE_REFRESH);

	wr_u16(&w, f == BGP_IPV4_UNICAST ? BGP_AFI_IPV4 : BGP_AFI_IPV6);
	wr_u8(&w, subtype);
	wr_u8(&w, BGP_SAFI_UNICAST);
	bgp_message_send(c, &w, out);
}

void bgp_refresh_request(struct bgp_conn *c, enum bgp_family f, struct bgp_out *out)
{
	if (c->peer.route_refresh && c->neighbor->families[f])
		send_refresh(c, f, BGP_REFRESH_REQUEST, out);
}

/* RFC 4724 2: an UPDATE without anything, of the family. */
static void send_end_of_rib(struct bgp_conn *c, enum bgp_family f, struct bgp_out *out)
{
	struct wr w = begin_update(c);

	wr_u16(&w, 0);
	if (f == BGP_IPV4_UNICAST) {
		wr_u16(&w, 0);
	} else {
		wr_u16(&w, 6);
		wr_u8(&w, BGP_FLAG_OPTIONAL);
		wr_u8(&w, BGP_ATTR_MP_UNREACH);
		wr_u8(&w, 3);
		bgp_family_put(&w, f);
	}
	send_update(c, &w, out);
}

/* RFC 7313 4: no BoRR before the End-of-RIB; and one refresh after the other. */
static void begin_refreshes(struct bgp_conn *c, struct bgp_out *out)
{
	struct bgp_adj_out *a = &c->neighbor->adj_out;

	for (int f = 0; f < BGP_N_FAMILIES; f++) {
		if (!a->refresh[f] || !a->ended[f] || a->refreshing[f])
			continue;
		a->refresh[f] = false;
		a->refreshing[f] = true;
		send_refresh(c, (enum bgp_family)f, BGP_REFRESH_BEGIN, out);
		bgp_adj_out_again(a, (enum bgp_family)f);
	}
}

void bgp_advertise_run(struct bgp_neighbor *n, struct bgp_out *out)
{
	struct bgp_conn *c = n->up;
	struct bgp_adj_out *a = &n->adj_out;

	if (!c)
		return;
	begin_refreshes(c, out);
	while (a->first && c->unsent < BGP_UNSENT_MAX && !out->overflow)
		run_batch(c, out);
	for (int f = 0; f < BGP_N_FAMILIES && !a->first; f++) {
		if (a->refreshing[f])
			send_refresh(c, (enum bgp_family)f, BGP_REFRESH_END, out);
		a->refreshing[f] = false;
		if (!a->end[f])
			continue;
		send_end_of_rib(c, (enum bgp_family)f, out);
		a->end[f] = false;
		a->ended[f] = true;
	}
}
