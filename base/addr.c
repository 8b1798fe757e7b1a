/* SPDX-License-Identifier: Apache-2.0 */
/* addr: IP addresses, endpoints, prefixes and ranges. See addr.h. */
#include "base/addr.h"

#include <arpa/inet.h>
#include <string.h>

#include "base/sb.h"

#define GROUPS 8 /* of 16 bits in an IPv6 address */

struct ip_addr ip_v4(uint8_t a, uint8_t b, uint8_t c, uint8_t d)
{
	return (struct ip_addr){.family = IP_V4, .b = {a, b, c, d}};
}

struct ip_addr ip_from_bytes(enum ip_family family, const uint8_t *bytes)
{
	struct ip_addr a = {.family = (uint8_t)family};

	memcpy(a.b, bytes, ip_size(&a));
	return a;
}

size_t ip_size(const struct ip_addr *a)
{
	switch (a->family) {
	case IP_V4: return 4;
	case IP_V6: return 16;
	default: return 0;
	}
}

unsigned ip_bits(const struct ip_addr *a)
{
	return (unsigned)ip_size(a) * 8;
}

int ip_cmp(const struct ip_addr *a, const struct ip_addr *b)
{
	if (a->family != b->family)
		return a->family < b->family ? -1 : 1;
	return memcmp(a->b, b->b, ip_size(a));
}

bool ip_equal(const struct ip_addr *a, const struct ip_addr *b)
{
	return ip_cmp(a, b) == 0;
}

bool ip_is_unspecified(const struct ip_addr *a)
{
	static const uint8_t zero[16];

	return memcmp(a->b, zero, ip_size(a)) == 0;
}

bool ip_is_unicast(const struct ip_addr *a)
{
	static const uint8_t v6_loopback[16] = {[15] = 1};

	if (a->family == IP_V4)
		return a->b[0] != 0 && a->b[0] != 127 && a->b[0] < 224;
	return a->family == IP_V6 && !ip_is_unspecified(a) && a->b[0] != 0xff &&
	       memcmp(a->b, v6_loopback, sizeof(v6_loopback)) != 0;
}

bool ip_endpoint_equal(const struct ip_endpoint *a, const struct ip_endpoint *b)
{
	return a->port == b->port && ip_equal(&a->addr, &b->addr);
}

bool ip_parse(const char *s, struct ip_addr *out)
{
	struct ip_addr a = {0};

	/* inet_pton() takes neither names, white space, zones, leading zeros nor short forms. */
	if (inet_pton(AF_INET, s, a.b) == 1)
		a.family = IP_V4;
	else if (inet_pton(AF_INET6, s, a.b) == 1)
		a.family = IP_V6;
	else
		return false;
	*out = a;
	return true;
}

bool ip_prefix_parse(const char *s, struct ip_prefix *out)
{
	const char *slash = strchr(s, '/');
	char text[IP_ADDR_STRLEN];
	struct ip_prefix p;
	unsigned len = 0;
	const char *d;

	if (!slash || (size_t)(slash - s) >= sizeof(text))
		return false;
	memcpy(text, s, (size_t)(slash - s));
	text[slash - s] = '\0';
	if (!ip_parse(text, &p.addr))
		return false;
	for (d = slash + 1; *d >= '0' && *d <= '9' && d - slash <= 3; d++)
		len = len * 10 + (unsigned)(*d - '0');
	if (*d || d == slash + 1 || (slash[1] == '0' && slash[2]) || len > ip_bits(&p.addr))
		return false;
	p.len = (uint8_t)len;
	*out = p;
	return true;
}

static uint16_t group(const struct ip_addr *a, unsigned i)
{
	return (uint16_t)(a->b[2 * i] << 8 | a->b[2 * i + 1]);
}

static void format_v6(struct sb *s, const struct ip_addr *a)
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
	unsigned best = 0, best_n = 1; /* RFC 5952 4.2.2: a single zero group is not shortened */

	/* RFC 5952 5: a well-known prefix of embedded IPv4 shows it in dotted form. */
	if (memcmp(a->b, mapped, sizeof(mapped)) == 0) {
		sb_printf(s, "::ffff:%u.%u.%u.%u", a->b[12], a->b[13], a->b[14], a->b[15]);
		return;
	}
	/* RFC 5952 4.2.3: the longest run of zero groups is shortened, of equal ones the first. */
	for (unsigned i = 0; i < GROUPS; i++) {
		unsigned n = 0;

		while (i + n < GROUPS && group(a, i + n) == 0)
			n++;
		if (n > best_n) {
			best = i;
			best_n = n;
		}
		i += n;
	}
	for (unsigned i = 0; i < GROUPS; i++) {
		if (best_n > 1 && i == best) {
			sb_str(s, "::");
			i += best_n - 1;
			continue;
		}
		/* RFC 5952 4.1, 4.3: no leading zeros, lower case. */
		sb_printf(s, "%s%x", i && !(best_n > 1 && i == best + best_n) ? ":" : "",
			  group(a, i));
	}
}

static void format(struct sb *s, const struct ip_addr *a)
{
	switch (a->family) {
	case IP_V4: sb_printf(s, "%u.%u.%u.%u", a->b[0], a->b[1], a->b[2], a->b[3]); break;
	case IP_V6: format_v6(s, a); break;
	default: sb_str(s, "none"); break;
	}
}

const char *ip_format(const struct ip_addr *a, char buf[IP_ADDR_STRLEN])
{
	struct sb s = sb_of(buf, IP_ADDR_STRLEN);

	format(&s, a);
	return buf;
}

const char *ip_endpoint_format(const struct ip_endpoint *e, char buf[IP_ENDPOINT_STRLEN])
{
	struct sb s = sb_of(buf, IP_ENDPOINT_STRLEN);

	if (e->addr.family == IP_V6)
		sb_str(&s, "["); /* RFC 5952 6 */
	format(&s, &e->addr);
	sb_printf(&s, "%s:%u", e->addr.family == IP_V6 ? "]" : "", e->port);
	return buf;
}

const char *ip_prefix_format(const struct ip_prefix *p, char buf[IP_PREFIX_STRLEN])
{
	struct sb s = sb_of(buf, IP_PREFIX_STRLEN);

	format(&s, &p->addr);
	sb_printf(&s, "/%u", p->len);
	return buf;
}

/* Bits of byte i that belong to the network part. */
static uint8_t mask_byte(unsigned len, size_t i)
{
	const unsigned before = (unsigned)i * 8;

	if (len >= before + 8)
		return 0xff;
	return len <= before ? 0 : (uint8_t)(0xff << (8 - (len - before)));
}

bool ip_prefix_equal(const struct ip_prefix *a, const struct ip_prefix *b)
{
	return a->len == b->len && ip_equal(&a->addr, &b->addr);
}

static bool same_network(const struct ip_addr *a, const struct ip_addr *b, unsigned len)
{
	if (a->family != b->family || !ip_size(a))
		return false;
	for (size_t i = 0; i < ip_size(a); i++)
		if ((a->b[i] ^ b->b[i]) & mask_byte(len, i))
			return false;
	return true;
}

bool ip_prefix_contains(const struct ip_prefix *p, const struct ip_addr *a)
{
	return same_network(&p->addr, a, p->len);
}

bool ip_prefix_within(const struct ip_prefix *outer, const struct ip_prefix *inner)
{
	return outer->len <= inner->len && ip_prefix_contains(outer, &inner->addr);
}

bool ip_prefix_overlaps(const struct ip_prefix *a, const struct ip_prefix *b)
{
	return same_network(&a->addr, &b->addr, a->len < b->len ? a->len : b->len);
}

bool ip_prefix_is_canonical(const struct ip_prefix *p)
{
	const struct ip_prefix net = ip_prefix_network(p);

	return ip_equal(&net.addr, &p->addr);
}

struct ip_prefix ip_prefix_network(const struct ip_prefix *p)
{
	struct ip_prefix net = *p;

	for (size_t i = 0; i < ip_size(&p->addr); i++)
		net.addr.b[i] &= mask_byte(p->len, i);
	return net;
}

void ip_prefix_range(const struct ip_prefix *p, struct ip_addr *first, struct ip_addr *last)
{
	const struct ip_prefix net = ip_prefix_network(p);

	*first = *last = net.addr;
	for (size_t i = 0; i < ip_size(&p->addr); i++)
		last->b[i] |= (uint8_t)~mask_byte(p->len, i);
}

bool ip_range_to_prefix(const struct ip_addr *first, const struct ip_addr *last,
			struct ip_prefix *out)
{
	struct ip_prefix p = {.addr = *first};
	struct ip_addr lo, hi;

	if (first->family != last->family || !ip_size(first))
		return false;
	while (p.len < ip_bits(first)) {
		const unsigned bit = 7 - p.len % 8;

		if (((first->b[p.len / 8] ^ last->b[p.len / 8]) >> bit) & 1)
			break;
		p.len++;
	}
	ip_prefix_range(&p, &lo, &hi);
	if (!ip_equal(&lo, first) || !ip_equal(&hi, last))
		return false;
	*out = p;
	return true;
}
