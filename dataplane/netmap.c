/* SPDX-License-Identifier: Apache-2.0 */
/* netmap: 1:1 translation of prefixes in an IP packet. See netmap.h. */
#include "dataplane/netmap.h"

#include <assert.h>
#include <string.h>

#define V4_HEADER  20u
#define V6_HEADER  40u
#define ICMP_QUOTE 8u /* where an ICMP error's packet begins */

#define PROTO_HOPOPTS  0
#define PROTO_ICMP     1
#define PROTO_TCP      6
#define PROTO_UDP      17
#define PROTO_DCCP     33
#define PROTO_ROUTING  43
#define PROTO_FRAGMENT 44
#define PROTO_AH       51
#define PROTO_ICMPV6   58
#define PROTO_DSTOPTS  60
#define PROTO_UDPLITE  136

/* ------------------------------------------------------------------- bytes */

static uint16_t get16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static void put16(uint8_t *p, uint16_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static uint64_t get64(const uint8_t *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v));
	return __builtin_bswap64(v);
}

static void put64(uint8_t *p, uint64_t v)
{
	v = __builtin_bswap64(v);
	memcpy(p, &v, sizeof(v));
}

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "get64() turns bytes round");

/* -------------------------------------------------------------------- sums */

/* One's complement addition. */
static uint16_t plus(uint16_t a, uint16_t b)
{
	const uint32_t s = (uint32_t)a + b;

	return (uint16_t)(s + (s >> 16));
}

static uint16_t difference(uint16_t from, uint16_t to)
{
	return plus(to, (uint16_t)~from);
}

/* RFC 1624 3, eqn. 3. */
static uint16_t adjusted(uint16_t checksum, uint16_t delta)
{
	return (uint16_t)~plus((uint16_t)~checksum, delta);
}

/* Writes a checksum that the sum it protects has grown by `delta` for; by what the field has grown. */
static uint16_t adjust(uint8_t *field, uint16_t delta, bool zero_is_none)
{
	const uint16_t old = get16(field);
	uint16_t new;

	/* RFC 768, RFC 6935 5: no checksum. */
	if (zero_is_none && old == 0)
		return 0;
	new = adjusted(old, delta);
	if (zero_is_none && new == 0)
		new = 0xffff;
	put16(field, new);
	return difference(old, new);
}

/* ------------------------------------------------------------------- rules */

static uint16_t words_of(const uint64_t v[2])
{
	uint16_t s = 0;

	for (unsigned i = 0; i < 8; i++)
		s = plus(s, (uint16_t)(v[i / 4] >> (48 - 16 * (i % 4))));
	return s;
}

static void load(const uint8_t *p, uint8_t family, uint64_t v[2])
{
	if (family == 4) {
		v[0] = (uint64_t)get16(p) << 48 | (uint64_t)get16(p + 2) << 32;
		v[1] = 0;
	} else {
		v[0] = get64(p);
		v[1] = get64(p + 8);
	}
}

static void store(uint8_t *p, uint8_t family, const uint64_t v[2])
{
	if (family == 4) {
		put16(p, (uint16_t)(v[0] >> 48));
		put16(p + 2, (uint16_t)(v[0] >> 32));
	} else {
		put64(p, v[0]);
		put64(p + 8, v[1]);
	}
}

static uint64_t upper(unsigned bits)
{
	return bits == 0 ? 0 : bits >= 64 ? UINT64_MAX : UINT64_MAX << (64 - bits);
}

static void add(struct netmap_rules *rules, const struct ip_prefix *from,
		const struct ip_prefix *to)
{
	struct netmap_rule *r = &rules->r[rules->n++];

	r->family = from->addr.family;
	r->mask[0] = upper(from->len);
	r->mask[1] = upper(from->len > 64 ? from->len - 64u : 0);
	load(from->addr.b, r->family, r->from);
	load(to->addr.b, r->family, r->to);
	r->delta = difference(words_of(r->from), words_of(r->to));
}

bool netmap_init(struct netmap *m, const struct translation *t, size_t n)
{
	memset(m, 0, sizeof(*m));
	if (n > NETMAP_MAX)
		return false;
	for (size_t i = 0; i < n; i++) {
		add(&m->to_here[t[i].side], &t[i].there, &t[i].here);
		add(&m->to_there[t[i].side], &t[i].here, &t[i].there);
	}
	return true;
}

/* An address' new name, before it is written. */
struct change {
	const struct netmap_rule *rule; /* NULL: none */
	uint64_t v[2];
};

static bool covers(const struct netmap_rule *r, const uint64_t prefix[2], const uint64_t v[2])
{
	return !(((v[0] & r->mask[0]) ^ prefix[0]) | ((v[1] & r->mask[1]) ^ prefix[1]));
}

/* False: the name is taken. */
static bool look_up(const struct netmap_rules *rules, const uint8_t *address, uint8_t family,
		    struct change *c)
{
	bool taken = false;

	c->rule = NULL;
	load(address, family, c->v);
	for (uint32_t i = 0; i < rules->n; i++) {
		const struct netmap_rule *r = &rules->r[i];

		if (r->family != family)
			continue;
		if (covers(r, r->from, c->v)) {
			c->rule = r;
			c->v[0] = (c->v[0] & ~r->mask[0]) | r->to[0];
			c->v[1] = (c->v[1] & ~r->mask[1]) | r->to[1];
			return true;
		}
		taken = taken || covers(r, r->to, c->v);
	}
	return !taken;
}

/* ------------------------------------------------------------ a packet's parts */

/* What a packet, or the beginning of one, has behind its IP header. */
struct upper {
	bool refused;  /* it cannot be translated, or cannot be looked into */
	size_t at;     /* of its transport header, 0: none, or in another fragment */
	uint8_t proto; /* of that */
	size_t sum;    /* of a checksum over the addresses, 0: there is none, or it is cut off */
	bool zero_is_none;
};

static void find_sum(struct upper *u, size_t size, uint8_t family)
{
	size_t offset = 0;

	switch (u->proto) {
	case PROTO_TCP: offset = 16; break;
	case PROTO_UDP:
		offset = 6;
		u->zero_is_none = true;
		break;
	case PROTO_DCCP:
	case PROTO_UDPLITE: offset = 6; break;
	case PROTO_ICMPV6: offset = family == 6 ? 2 : 0; break;
	/* RFC 4302 3.3.3.1: addresses are authenticated. */
	case PROTO_AH: u->refused = true; return;
	default: break;
	}
	if (!offset)
		return;
	u->sum = u->at + offset;
	/* A first fragment that small is refused as RFC 1858 3 has it. */
	if (u->sum + 2 > size) {
		u->sum = 0;
		u->refused = true;
	}
}

static struct upper find_upper_v4(const uint8_t *ip, size_t size)
{
	struct upper u = {.at = (ip[0] & 15u) * 4, .proto = ip[9]};

	if (get16(ip + 6) & 0x1fff)
		u.at = 0;
	else
		find_sum(&u, size, 4);
	return u;
}

static struct upper find_upper_v6(const uint8_t *ip, size_t size)
{
	struct upper u = {.at = V6_HEADER, .proto = ip[6]};

	for (;;) {
		const uint8_t *p = ip + u.at;
		const bool extension = u.proto == PROTO_HOPOPTS || u.proto == PROTO_ROUTING ||
				       u.proto == PROTO_FRAGMENT || u.proto == PROTO_DSTOPTS;

		if (!extension) {
			find_sum(&u, size, 6);
			return u;
		}
		/* RFC 8200 8.1: with segments left, the checksum is over another destination. */
		if (u.at + 8 > size || (u.proto == PROTO_ROUTING && p[3])) {
			u.refused = true;
			return u;
		}
		if (u.proto == PROTO_FRAGMENT && (get16(p + 2) & 0xfff8)) {
			u.at = 0;
			return u;
		}
		u.at += u.proto == PROTO_FRAGMENT ? 8 : 8u + p[1] * 8u;
		u.proto = p[0];
		if (u.at > size)
			u.at = size;
	}
}

static struct upper find_upper(const uint8_t *ip, size_t size, uint8_t family)
{
	return family == 4 ? find_upper_v4(ip, size) : find_upper_v6(ip, size);
}

/* The packet that an ICMP error quotes, as far as its header is whole; NULL: none. */
static uint8_t *quoted(uint8_t *ip, size_t size, uint8_t family, const struct upper *u)
{
	const uint8_t *icmp = ip + u->at;
	uint8_t *quote = ip + u->at + ICMP_QUOTE;
	size_t left;

	if (!u->at || u->proto != (family == 4 ? PROTO_ICMP : PROTO_ICMPV6) ||
	    u->at + ICMP_QUOTE > size)
		return NULL;
	/* RFC 792: unreachable, source quench, redirect, time exceeded, parameter problem; RFC 4443 2.1. */
	if (family == 4
		    ? icmp[0] != 3 && icmp[0] != 4 && icmp[0] != 5 && icmp[0] != 11 && icmp[0] != 12
		    : icmp[0] < 1 || icmp[0] > 4)
		return NULL;
	left = size - u->at - ICMP_QUOTE;
	if (family == 4)
		return left >= V4_HEADER && quote[0] >> 4 == 4 && (quote[0] & 15) >= 5 ? quote
										       : NULL;
	return left >= V6_HEADER && quote[0] >> 4 == 6 ? quote : NULL;
}

/* ----------------------------------------------------------------- translation */

/* The rules by which a packet's source and destination are named. */
struct names {
	const struct netmap_rules *source, *destination;
};

/* Both addresses; by how much a sum over them has grown. */
static uint16_t write_addresses(uint8_t *ip, uint8_t family, const struct change *source,
				const struct change *destination)
{
	uint8_t *at = ip + (family == 4 ? 12 : 8);
	uint16_t delta = 0;

	if (source->rule) {
		store(at, family, source->v);
		delta = source->rule->delta;
	}
	if (destination->rule) {
		store(at + (family == 4 ? 4 : 16), family, destination->v);
		delta = plus(delta, destination->rule->delta);
	}
	return delta;
}

static bool look_up_both(const struct names *names, const uint8_t *ip, uint8_t family,
			 struct change *source, struct change *destination)
{
	const uint8_t *at = ip + (family == 4 ? 12 : 8);

	return look_up(names->source, at, family, source) &&
	       look_up(names->destination, at + (family == 4 ? 4 : 16), family, destination);
}

/* A quoted packet that went the other way; by how much a sum over it has grown. */
static uint16_t write_quote(uint8_t *ip, size_t size, uint8_t family, const struct change *source,
			    const struct change *destination)
{
	const struct upper u = find_upper(ip, size, family);
	const uint16_t delta = write_addresses(ip, family, source, destination);
	uint16_t grown = delta;

	if (family == 4)
		grown = plus(grown, adjust(ip + 10, delta, false));
	if (u.sum)
		grown = plus(grown, adjust(ip + u.sum, delta, u.zero_is_none));
	return grown;
}

static enum netmap_result translate(const struct names *names, uint8_t *ip, size_t size,
				    uint8_t family)
{
	const struct names back = {.source = names->destination, .destination = names->source};
	struct change source, destination, q_source = {.rule = NULL},
					   q_destination = {.rule = NULL};
	struct upper u;
	uint8_t *quote;
	uint16_t delta;

	/* 1. Everything that may be refused. */
	if (size < (family == 4 ? V4_HEADER : V6_HEADER) ||
	    !look_up_both(names, ip, family, &source, &destination))
		return NETMAP_REFUSED;
	u = find_upper(ip, size, family);
	quote = quoted(ip, size, family, &u);
	if (quote && !look_up_both(&back, quote, family, &q_source, &q_destination))
		return NETMAP_REFUSED;
	if (!source.rule && !destination.rule && !q_source.rule && !q_destination.rule)
		return NETMAP_UNTOUCHED;
	if (u.refused)
		return NETMAP_REFUSED;

	/* 2. The IP header. */
	delta = write_addresses(ip, family, &source, &destination);
	if (family == 4)
		(void)adjust(ip + 10, delta, false);

	/* 3. What an error quotes is in ICMP's sum, in which IPv4's addresses are not. */
	if (quote) {
		const uint16_t grown = write_quote(quote, size - (size_t)(quote - ip), family,
						   &q_source, &q_destination);

		delta = family == 4 ? grown : plus(delta, grown);
		(void)adjust(ip + u.at + 2, delta, false);
	} else if (u.sum) {
		(void)adjust(ip + u.sum, delta, u.zero_is_none);
	}
	return NETMAP_DONE;
}

enum netmap_result netmap_in(const struct netmap *m, uint8_t *ip, size_t size, uint8_t family)
{
	const struct names names = {
		.source = &m->to_here[TRANSLATION_THEIRS],
		.destination = &m->to_here[TRANSLATION_OURS],
	};

	return translate(&names, ip, size, family);
}

enum netmap_result netmap_out(const struct netmap *m, uint8_t *ip, size_t size, uint8_t family)
{
	const struct names names = {
		.source = &m->to_there[TRANSLATION_OURS],
		.destination = &m->to_there[TRANSLATION_THEIRS],
	};

	return translate(&names, ip, size, family);
}

void netmap_undo_out(const struct netmap *m, uint8_t *ip, size_t size, uint8_t family)
{
	const struct names names = {
		.source = &m->to_here[TRANSLATION_OURS],
		.destination = &m->to_here[TRANSLATION_THEIRS],
	};

	(void)translate(&names, ip, size, family);
}
