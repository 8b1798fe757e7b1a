/* SPDX-License-Identifier: Apache-2.0 */
/* reassembly: joins outer fragments by copying; this is no fast path. See reassembly.h. */
#include "dataplane/reassembly.h"

#include <rte_cycles.h>
#include "base/sum.h"
#include "dataplane/dp.h"
#include "dataplane/pipeline.h"

#define V6_HEADER    40u
#define V6_FRAG      8u /* the fragment header */
#define MORE_V4      0x2000u
#define OFFSET_V4    0x1fffu
#define LIFETIME_S   1
#define MAX_DATAGRAM 65535u

/* One fragment, taken apart. */
struct part {
	uint32_t id, at, size;
	uint16_t header;
	uint8_t protocol;
	bool last;
	const uint8_t *addresses;
	uint32_t addresses_size;
};

static void parse(struct rte_mbuf *m, struct part *p)
{
	const uint8_t *ip = dp_data(m);

	if (dp_meta(m)->family == 4) {
		const uint16_t field = dp_get16(ip + 6);

		p->header = (uint16_t)((ip[0] & 15u) * 4);
		p->id = dp_get16(ip + 4);
		p->at = (field & OFFSET_V4) * 8u;
		p->last = !(field & MORE_V4);
		p->protocol = ip[9];
		p->addresses = ip + 12;
		p->addresses_size = 8;
	} else {
		const uint16_t field = dp_get16(ip + V6_HEADER + 2);

		p->header = V6_HEADER + V6_FRAG;
		p->id = dp_get32(ip + V6_HEADER + 4);
		p->at = field & ~7u;
		p->last = !(field & 1);
		p->protocol = ip[V6_HEADER];
		p->addresses = ip + 8;
		p->addresses_size = 32;
	}
	p->size = m->pkt_len - p->header;
}

/* Lets go of what a slot holds: ESP is dropped, the rest is Linux's. */
static void release(struct dp_worker *w, struct dp_reassembly_slot *s, unsigned reason)
{
	for (uint16_t i = 0; i < s->n_parts; i++) {
		if (s->is_esp)
			dp_drop(w, s->parts[i].m, reason);
		else
			dp_to_mirror(w, s->parts[i].m);
	}
	s->n_parts = 0;
}

static void free_slot(struct dp_worker *w, struct dp_reassembly_slot *s)
{
	s->family = 0;
	w->reassembly->n_used--;
}

static struct dp_reassembly_slot *find(struct dp_worker *w, uint8_t family, const struct part *p)
{
	struct dp_reassembly *r = w->reassembly;
	struct dp_reassembly_slot *spare = NULL, *oldest = &r->slots[0];

	for (unsigned i = 0; i < DP_REASSEMBLY_SLOTS; i++) {
		struct dp_reassembly_slot *s = &r->slots[i];

		if (s->family == family && s->id == p->id && s->protocol == p->protocol &&
		    memcmp(s->addresses, p->addresses, p->addresses_size) == 0)
			return s;
		if (!s->family)
			spare = s;
		else if (s->since < oldest->since)
			oldest = s;
	}
	if (!spare) {
		release(w, oldest, DP_DROP_REASSEMBLY);
		free_slot(w, oldest);
		spare = oldest;
	}
	memset(spare, 0, sizeof(*spare));
	spare->family = family;
	spare->id = p->id;
	spare->protocol = p->protocol;
	spare->is_esp = p->protocol == DP_PROTO_ESP;
	spare->since = rte_rdtsc();
	memcpy(spare->addresses, p->addresses, p->addresses_size);
	r->n_used++;
	return spare;
}

/* False if the part contradicts the others (RFC 5722: overlaps end the whole packet). */
static bool fits(const struct dp_reassembly_slot *s, const struct part *p)
{
	const uint32_t end = p->at + p->size;

	if (p->size == 0 || (!p->last && p->size % 8) || end > MAX_DATAGRAM ||
	    s->n_parts == DP_REASSEMBLY_PARTS || (s->total && (p->last || end > s->total)))
		return false;
	for (uint16_t i = 0; i < s->n_parts; i++) {
		if (p->at < s->parts[i].at + s->parts[i].size && s->parts[i].at < end)
			return false;
		if (p->last && s->parts[i].at + s->parts[i].size > end)
			return false;
	}
	return true;
}

static void build_header(uint8_t *out, const struct dp_reassembly_slot *s, uint16_t header)
{
	if (s->family == 4) {
		dp_put16(out + 2, (uint16_t)(header + s->total));
		dp_put16(out + 6, 0);
		dp_put16(out + 10, 0);
		dp_put16(out + 10, sum_finish(sum_add(0, out, header)));
	} else {
		dp_put16(out + 4, (uint16_t)s->total);
		out[6] = s->protocol;
	}
}

/* Copies all parts into one packet. NULL if it is larger than a buffer. */
static struct rte_mbuf *join(struct dp_worker *w, struct dp_reassembly_slot *s)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(w->dp->pool);
	uint16_t first = 0, header;
	uint8_t *out = NULL;

	while (first < s->n_parts && s->parts[first].at != 0)
		first++;
	/* IPv6 loses its fragment header. */
	header = s->family == 4 ? s->parts[first].header : V6_HEADER;
	if (m && header + s->total <= rte_pktmbuf_tailroom(m))
		out = (uint8_t *)rte_pktmbuf_append(m, (uint16_t)(header + s->total));
	if (!out) {
		rte_pktmbuf_free(m);
		return NULL;
	}
	memcpy(out, dp_data(s->parts[first].m), header);
	for (uint16_t i = 0; i < s->n_parts; i++)
		memcpy(out + header + s->parts[i].at, dp_data(s->parts[i].m) + s->parts[i].header,
		       s->parts[i].size);
	build_header(out, s, header);
	*dp_meta(m) =
		(struct dp_meta){.port = dp_meta(s->parts[first].m)->port, .family = s->family};
	return m;
}

/* Complete: one packet came of n. The parts are counted, so that the sums stay right. */
static struct rte_mbuf *finish(struct dp_worker *w, struct dp_reassembly_slot *s)
{
	struct rte_mbuf *m = join(w, s);

	release(w, s, m ? DP_DROP_REASSEMBLED : DP_DROP_REASSEMBLY);
	if (m)
		dp_count(&w->stats->generated, 1);
	free_slot(w, s);
	return m;
}

struct rte_mbuf *dp_reassemble(struct dp_worker *w, struct rte_mbuf *m)
{
	const uint8_t family = dp_meta(m)->family;
	struct dp_reassembly_slot *s;
	struct part p;

	parse(m, &p);
	s = find(w, family, &p);
	if (!s->is_linux && !fits(s, &p)) {
		/* What comes late of it finds a slot that has nothing: it will expire. */
		release(w, s, DP_DROP_REASSEMBLY);
		s->have = s->total = 0;
		if (s->is_esp) {
			dp_drop(w, m, DP_DROP_REASSEMBLY);
			return NULL;
		}
		s->is_linux = 1;
	}
	if (p.at == 0 && p.protocol == IPPROTO_UDP && !s->is_linux) {
		s->is_esp = dp_udp_is_esp(dp_data(m) + p.header, p.size);
		s->is_linux = !s->is_esp;
		if (s->is_linux)
			release(w, s, 0);
	}
	if (s->is_linux) {
		dp_to_mirror(w, m);
		return NULL;
	}
	s->parts[s->n_parts].m = m;
	s->parts[s->n_parts].at = p.at;
	s->parts[s->n_parts].size = p.size;
	s->parts[s->n_parts++].header = p.header;
	s->have += p.size;
	if (p.last)
		s->total = p.at + p.size;
	return s->total && s->have == s->total ? finish(w, s) : NULL;
}

void dp_reassembly_expire(struct dp_worker *w, uint64_t now)
{
	const uint64_t lifetime = rte_get_tsc_hz() * LIFETIME_S;

	if (w->reassembly->n_used == 0)
		return;
	for (unsigned i = 0; i < DP_REASSEMBLY_SLOTS; i++) {
		struct dp_reassembly_slot *s = &w->reassembly->slots[i];

		if (s->family && now - s->since > lifetime) {
			release(w, s, DP_DROP_REASSEMBLY);
			free_slot(w, s);
		}
	}
}

void dp_reassembly_fini(struct dp_worker *w)
{
	for (unsigned i = 0; w->reassembly && i < DP_REASSEMBLY_SLOTS; i++) {
		struct dp_reassembly_slot *s = &w->reassembly->slots[i];

		for (uint16_t k = 0; k < s->n_parts; k++)
			dp_drop(w, s->parts[k].m, DP_DROP_SHUTDOWN);
	}
	free(w->reassembly);
}
