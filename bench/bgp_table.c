/* SPDX-License-Identifier: Apache-2.0 */
/* bgp_table: see bgp_table.h. */
#include "bench/bgp_table.h"

#include <stdlib.h>
#include <string.h>
#include "base/wr.h"
#include "bgp/wire.h"

#define PREFIX_SEED 0x5851f42d4c957f2du
#define MESSAGE_MAX 4096u
#define N_CARRIERS  12u
#define N_TRANSIT   4000u
#define N_ORIGINS   75000u
#define RUN_MAX     6u /* prefixes next to each other that stay together */
#define ATTRS_MAX   512u

struct random {
	uint64_t x;
};

/* xorshift64* */
static uint32_t draw(struct random *r, uint32_t below)
{
	r->x ^= r->x >> 12;
	r->x ^= r->x << 25;
	r->x ^= r->x >> 27;
	return (uint32_t)((r->x * 0x2545f4914f6cdd1du >> 32) * below >> 32);
}

/* The smaller ones far more often. */
static uint32_t draw_low(struct random *r, uint32_t below)
{
	const uint64_t a = draw(r, below);

	return (uint32_t)(a * draw(r, below) / below * draw(r, below) / below);
}

struct share {
	uint16_t value, per_mille;
};

static uint16_t pick(struct random *r, const struct share *of)
{
	uint32_t at = draw(r, 1000);

	while (at >= of->per_mille) {
		at -= of->per_mille;
		of++;
	}
	return of->value;
}

/* ---------------------------------------------------------------- prefixes */

struct list {
	struct ip_prefix *p;
	uint32_t n, size;
};

static bool add(struct list *l, const uint8_t *bytes, bool v6, unsigned len)
{
	if (l->n == l->size)
		return false;
	l->p[l->n++] = (struct ip_prefix){
		.addr = ip_from_bytes(v6 ? IP_V6 : IP_V4, bytes),
		.len = (uint8_t)len,
	};
	return true;
}

static bool add4(struct list *l, uint32_t a, unsigned len)
{
	const uint8_t b[16] = {(uint8_t)(a >> 24), (uint8_t)(a >> 16), (uint8_t)(a >> 8),
			       (uint8_t)a};

	return add(l, b, false, len);
}

/* The first address from `a` on, aligned for the length, that is not special (RFC 6890). */
static uint64_t usable4(uint64_t a, unsigned len)
{
	static const struct {
		uint64_t first, last;
	} special[] = {
		{0x00000000, 0x00ffffff}, {0x0a000000, 0x0affffff}, {0x64400000, 0x647fffff},
		{0x7f000000, 0x7fffffff}, {0xa9fe0000, 0xa9feffff}, {0xac100000, 0xac1fffff},
		{0xc0000000, 0xc0ffffff}, {0xc6120000, 0xc613ffff}, {0xcb007100, 0xcb0071ff},
	};
	const uint64_t size = 1ull << (32 - len);

	a = (a + size - 1) & ~(size - 1);
	for (size_t i = 0; i < sizeof(special) / sizeof(special[0]); i++)
		if (a <= special[i].last && a + size > special[i].first)
			a = (special[i].last + size) & ~(size - 1);
	return a;
}

/* Blocks one after the other; within the larger ones some longer prefixes. */
static bool prefixes4(struct list *l, struct random *r)
{
	static const struct share blocks[] = {{24, 480}, {23, 110}, {22, 170}, {21, 75},
					      {20, 70},  {19, 50},  {18, 22},  {17, 10},
					      {16, 11},  {15, 1},   {14, 1}};
	uint64_t a = 0x01000000;

	while (l->n < l->size) {
		const unsigned len = pick(r, blocks);

		a = usable4(a, len);
		if (a >> 24 >= 224)
			return false;
		(void)add4(l, (uint32_t)a, len);
		if (len <= 22 && draw(r, 2)) {
			const uint32_t room = 1u << (24 - len);
			const uint32_t want = 1 + draw_low(r, room < 12 ? room : 12);

			for (uint32_t i = 0; i < want && i < room; i++) {
				/* Every (room / want)th /24: none of them twice. */
				const uint32_t at = (uint32_t)((uint64_t)room * i / want);

				if (!add4(l, (uint32_t)a + (at << 8), 24))
					break;
			}
		}
		a += 1ull << (32 - len);
	}
	return true;
}

static bool prefixes6(struct list *l, struct random *r)
{
	static const struct share lengths[] = {{48, 640}, {47, 40}, {46, 50}, {45, 30},
					       {44, 120}, {42, 20}, {40, 100}};
	uint32_t provider = 0; /* 2a00::/32 and those after it */

	while (l->n < l->size) {
		uint8_t b[16] = {0x2a, (uint8_t)(provider >> 16), (uint8_t)(provider >> 8),
				 (uint8_t)provider};
		const uint32_t n = draw_low(r, 24);
		uint32_t at = 0;

		if (provider >> 24)
			return false;
		provider += 1 + draw(r, 8);
		if (!add(l, b, true, draw(r, 5) ? 32 : 36))
			break;
		for (uint32_t i = 0; i < n; i++) {
			const unsigned len = pick(r, lengths);
			const uint32_t size = 1u << (48 - len);

			at = (at + size) & ~(size - 1);
			b[4] = (uint8_t)(at >> 8);
			b[5] = (uint8_t)at;
			if (at >= 0x10000 || !add(l, b, true, len))
				break;
			at += (1 + draw(r, 3)) * size;
		}
	}
	return true;
}

/* Runs of neighbours are dealt anew, so that what shares attributes lies here and there. */
static bool deal(struct list *l, struct random *r)
{
	uint32_t *starts = calloc((size_t)l->n + 1, sizeof(*starts)), n = 0, k = 0;
	struct ip_prefix *dealt = calloc((size_t)l->n + 1, sizeof(*dealt));

	if (!starts || !dealt) {
		free(starts);
		free(dealt);
		return false;
	}
	for (uint32_t i = 0; i < l->n; i += 1 + draw_low(r, RUN_MAX))
		starts[n++] = i;
	for (uint32_t i = n; i-- > 1;) {
		const uint32_t j = draw(r, i + 1), swap = starts[i];

		starts[i] = starts[j];
		starts[j] = swap;
	}
	/* A run ends where another one begins: those are marked. */
	for (uint32_t i = 0; i < n; i++)
		l->p[starts[i]].addr.family |= 0x80;
	for (uint32_t i = 0; i < n; i++) {
		uint32_t j = starts[i];

		do {
			dealt[k] = l->p[j++];
			dealt[k++].addr.family &= 0x7f;
		} while (j < l->n && !(l->p[j].addr.family & 0x80));
	}
	free(starts);
	free(l->p);
	l->p = dealt;
	return true;
}

/* -------------------------------------------------------------- attributes */

static const uint32_t carriers[N_CARRIERS] = {3356, 1299, 174,  6939, 2914, 3257,
					      6453, 6461, 7018, 3491, 701,  1239};

struct attrs {
	uint8_t bytes[ATTRS_MAX];
	size_t size;
};

static void attribute(struct wr *w, uint8_t flags, uint8_t code, size_t size)
{
	wr_u8(w, flags);
	wr_u8(w, code);
	wr_u8(w, (uint8_t)size);
}

static void put_as_path(struct wr *w, struct random *r, uint32_t as, uint32_t carrier)
{
	static const struct share transit[] = {{0, 180}, {1, 430}, {2, 270}, {3, 90}, {4, 30}};
	static const struct share prepended[] = {{0, 880}, {1, 50}, {2, 40}, {4, 30}};
	uint32_t path[16], n = 0;
	const uint32_t origin = 1000 + draw_low(r, N_ORIGINS) * 5;

	path[n++] = as;
	path[n++] = carrier;
	for (unsigned k = pick(r, transit); k; k--)
		path[n++] = 20000 + draw_low(r, N_TRANSIT) * 3;
	for (unsigned k = 1u + pick(r, prepended); k; k--)
		path[n++] = origin;
	attribute(w, BGP_FLAG_TRANSITIVE, BGP_ATTR_AS_PATH, 2 + 4 * (size_t)n);
	wr_u8(w, BGP_SEGMENT_SEQUENCE);
	wr_u8(w, (uint8_t)n);
	for (uint32_t i = 0; i < n; i++)
		wr_u32(w, path[i]);
}

static void put_communities(struct wr *w, struct random *r, uint32_t carrier)
{
	static const struct share own[] = {{0, 450}, {1, 230}, {2, 140}, {4, 110}, {8, 70}};
	/* Where the carrier learnt it: one of its cities, which determines some. */
	const uint32_t city = draw_low(r, 200), n_carrier = 2 + city % 4;
	const uint32_t n_own = pick(r, own), n = n_carrier + n_own;

	attribute(w, BGP_FLAG_OPTIONAL | BGP_FLAG_TRANSITIVE, BGP_ATTR_COMMUNITIES, 4 * (size_t)n);
	for (uint32_t i = 0; i < n_carrier; i++)
		wr_u32(w, carrier << 16 | (100 * i + city));
	for (uint32_t i = 0; i < n_own; i++)
		wr_u32(w, (1000 + draw_low(r, 60000)) << 16 | draw(r, 4000));
}

static void put_large_communities(struct wr *w, struct random *r)
{
	const uint32_t n = 1 + draw(r, 3);

	attribute(w, BGP_FLAG_OPTIONAL | BGP_FLAG_TRANSITIVE, BGP_ATTR_LARGE_COMMUNITIES,
		  12 * (size_t)n);
	for (uint32_t i = 0; i < n; i++) {
		wr_u32(w, 200000 + draw_low(r, 2000));
		wr_u32(w, i);
		wr_u32(w, draw(r, 1000));
	}
}

/* All but MP_REACH_NLRI. */
static struct attrs make_attrs(struct random *r, const struct bgp_table_opts *o, bool v6)
{
	const uint32_t carrier = carriers[draw_low(r, N_CARRIERS)];
	const uint8_t optional = BGP_FLAG_OPTIONAL | BGP_FLAG_TRANSITIVE;
	struct attrs a;
	struct wr w = wr_of(a.bytes, sizeof(a.bytes));

	attribute(&w, BGP_FLAG_TRANSITIVE, BGP_ATTR_ORIGIN, 1);
	wr_u8(&w, draw(r, 12) ? 0 : 2);
	put_as_path(&w, r, o->as, carrier);
	if (!v6) {
		attribute(&w, BGP_FLAG_TRANSITIVE, BGP_ATTR_NEXT_HOP, 4);
		wr_bytes(&w, o->next_hop[0].b, 4);
	}
	if (draw(r, 7) == 0) {
		attribute(&w, BGP_FLAG_OPTIONAL, BGP_ATTR_MED, 4);
		wr_u32(&w, draw(r, 200));
	}
	if (draw(r, 12) == 0) {
		attribute(&w, BGP_FLAG_TRANSITIVE, BGP_ATTR_ATOMIC_AGGREGATE, 0);
		attribute(&w, optional, BGP_ATTR_AGGREGATOR, 8);
		wr_u32(&w, 1000 + draw_low(r, N_ORIGINS) * 5);
		wr_u32(&w, 0x0b000001 + draw(r, 1000000));
	}
	if (draw(r, 10))
		put_communities(&w, r, carrier);
	if (draw(r, 25) == 0)
		put_large_communities(&w, r);
	a.size = w.n;
	return a;
}

/* ---------------------------------------------------------------- messages */

struct message {
	size_t start, attributes, reach; /* offsets of what is filled in at the end */
};

static struct message begin(struct wr *w)
{
	const struct message m = {.start = w->n};

	for (int i = 0; i < BGP_MARKER_SIZE; i++)
		wr_u8(w, 0xff);
	wr_u16(w, 0);
	wr_u8(w, BGP_UPDATE);
	return m;
}

static void end(struct wr *w, const struct message *m)
{
	wr_patch16(w, m->start + BGP_MARKER_SIZE, w->n - m->start);
}

static void put_nlri(struct wr *w, const struct ip_prefix *p)
{
	wr_u8(w, p->len);
	wr_bytes(w, p->addr.b, (p->len + 7u) / 8);
}

/* As many of the prefixes as one message holds; returns how many. */
static uint32_t announce(struct wr *w, const struct bgp_table_opts *o, const struct attrs *a,
			 const struct ip_prefix *p, uint32_t n, bool v6)
{
	struct message m = begin(w);
	uint32_t i = 0;

	wr_u16(w, 0);
	m.attributes = w->n;
	wr_u16(w, 0);
	if (v6) { /* RFC 7606 5.1: first */
		wr_u8(w, BGP_FLAG_OPTIONAL | BGP_FLAG_EXTENDED);
		wr_u8(w, BGP_ATTR_MP_REACH);
		m.reach = w->n;
		wr_u16(w, 0);
		wr_u16(w, BGP_AFI_IPV6);
		wr_u8(w, BGP_SAFI_UNICAST);
		wr_u8(w, 16);
		wr_bytes(w, o->next_hop[1].b, 16);
		wr_u8(w, 0);
	} else {
		wr_bytes(w, a->bytes, a->size);
		wr_patch16(w, m.attributes, w->n - m.attributes - 2);
	}
	while (i < n && w->n - m.start + 17 + (v6 ? a->size : 0) <= MESSAGE_MAX)
		put_nlri(w, &p[i++]);
	if (v6) {
		wr_patch16(w, m.reach, w->n - m.reach - 2);
		wr_bytes(w, a->bytes, a->size);
		wr_patch16(w, m.attributes, w->n - m.attributes - 2);
	}
	end(w, &m);
	return i;
}

static uint32_t withdraw(struct wr *w, const struct ip_prefix *p, uint32_t n, bool v6)
{
	struct message m = begin(w);
	uint32_t i = 0;

	m.attributes = w->n; /* the withdrawn routes' length, for IPv4 */
	wr_u16(w, 0);
	if (v6) {
		m.attributes = w->n;
		wr_u16(w, 0);
		wr_u8(w, BGP_FLAG_OPTIONAL | BGP_FLAG_EXTENDED);
		wr_u8(w, BGP_ATTR_MP_UNREACH);
		m.reach = w->n;
		wr_u16(w, 0);
		wr_u16(w, BGP_AFI_IPV6);
		wr_u8(w, BGP_SAFI_UNICAST);
	}
	while (i < n && w->n - m.start + 19 <= MESSAGE_MAX)
		put_nlri(w, &p[i++]);
	if (v6)
		wr_patch16(w, m.reach, w->n - m.reach - 2);
	wr_patch16(w, m.attributes, w->n - m.attributes - 2);
	if (!v6)
		wr_u16(w, 0);
	end(w, &m);
	return i;
}

static bool family(const struct bgp_table_opts *o, bool v6, struct wr *up, struct wr *down,
		   struct bgp_table *t)
{
	static const struct share shared[] = {{1, 350}, {2, 180}, {3, 110}, {4, 80}, {6, 90},
					      {9, 90},  {16, 60}, {30, 30}, {90, 7}, {500, 3}};
	struct random r = {PREFIX_SEED + v6}, paths = {o->seed * 2 + 1 + PREFIX_SEED};
	struct list l = {.size = o->n[v6]};
	bool ok;

	l.p = calloc((size_t)l.size + 1, sizeof(*l.p));
	ok = l.p && (v6 ? prefixes6(&l, &r) : prefixes4(&l, &r)) && deal(&l, &r);
	for (uint32_t i = 0; ok && i < l.n;) {
		const struct attrs a = make_attrs(&paths, o, v6);
		/* The same prefixes stay together whatever their paths are. */
		uint32_t n = pick(&r, shared);

		n = n < l.n - i ? n : l.n - i;
		t->n_sets[v6]++;
		while (n) {
			const uint32_t k = announce(up, o, &a, &l.p[i], n, v6);

			t->n_updates++;
			i += k;
			n -= k;
		}
	}
	for (uint32_t i = 0; ok && i < l.n;)
		i += withdraw(down, &l.p[i], l.n - i, v6);
	if (ok && l.n)
		t->last[v6] = l.p[l.n - 1];
	free(l.p);
	return ok;
}

/* RFC 4724 2 */
static void end_of_rib(struct wr *w)
{
	(void)withdraw(w, NULL, 0, false);
	(void)withdraw(w, NULL, 0, true);
}

bool bgp_table_make(const struct bgp_table_opts *o, struct bgp_table *t)
{
	/* Each prefix may be the only one of its message; what is not used is never touched. */
	const size_t size = MESSAGE_MAX + ((size_t)o->n[0] + o->n[1]) * ATTRS_MAX;
	struct wr up, down;
	bool ok;

	*t = (struct bgp_table){.announce = malloc(size), .withdraw = malloc(size)};
	if (!t->announce || !t->withdraw) {
		bgp_table_free(t);
		return false;
	}
	up = wr_of(t->announce, size);
	down = wr_of(t->withdraw, size);
	ok = family(o, false, &up, &down, t) && family(o, true, &up, &down, t);
	end_of_rib(&up);
	t->announce_size = up.n;
	t->withdraw_size = down.n;
	if (ok && wr_ok(&up) && wr_ok(&down))
		return true;
	bgp_table_free(t);
	return false;
}

void bgp_table_free(struct bgp_table *t)
{
	free(t->announce);
	free(t->withdraw);
	memset(t, 0, sizeof(*t));
}
