/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/dataplane/maker.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <string.h>
#include <cmocka.h>
#include "base/sum.h"

static uint16_t get16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static void put16(uint8_t *p, unsigned v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

struct ip_addr maker_addr(const char *text)
{
	struct ip_addr a;

	if (!ip_parse(text, &a))
		fail_msg("%s", text);
	return a;
}

static uint32_t pseudo(const struct ip_addr *s, const struct ip_addr *d, unsigned proto,
		       size_t size)
{
	const uint8_t tail[4] = {0, (uint8_t)proto, (uint8_t)(size >> 8), (uint8_t)size};
	uint32_t sum = sum_add(0, s->b, ip_size(s));

	sum = sum_add(sum, d->b, ip_size(d));
	return sum_add(sum, tail, sizeof(tail));
}

/* Returns the protocol's number. */
static unsigned put_transport(const struct packet *p, uint8_t *out, size_t *size)
{
	const struct ip_addr s = maker_addr(p->source), d = maker_addr(p->destination);
	const bool v4 = s.family == IP_V4;
	unsigned proto = p->transport, sum_at = 0;
	bool with_pseudo = true;
	size_t header = 20, n;

	memset(out, 0, MAKER_ROOM / 2);
	switch (p->transport) {
	case TCP:
		out[12] = 0x50;
		sum_at = 16;
		break;
	case UDP:
	case UDPLITE:
		header = 8;
		sum_at = 6;
		break;
	case DCCP:
		header = 16;
		sum_at = 6;
		break;
	case ECHO:
	case ERROR:
		proto = v4 ? 1 : 58;
		with_pseudo = !v4;
		header = 8;
		sum_at = 2;
		out[0] = p->transport == ECHO ? (v4 ? 8 : 128) : (v4 ? 3 : 2);
		break;
	case GRE:
	case AH:
	case OSPF: break;
	}
	n = header;
	if (p->transport == ERROR) {
		uint8_t whole[MAKER_ROOM];
		const size_t all = maker_build(p->quote, whole);
		const size_t part = p->payload && p->payload < all ? p->payload : all;

		memcpy(out + n, whole, part);
		n += part;
	} else {
		if (p->transport != ECHO)
			put16(out + 2, 443);
		for (size_t i = 0; i < p->payload; i++)
			out[n++] = (uint8_t)(i * 7 + p->payload);
		if (p->transport == UDP)
			put16(out + 4, (unsigned)n);
	}
	*size = n;
	if (!sum_at || p->odd & LATER || (p->transport == UDP && p->odd & UDP_NO_SUM))
		return proto;
	put16(out + sum_at,
	      sum_finish(sum_add(with_pseudo ? pseudo(&s, &d, proto, n) : 0, out, n)));
	if (p->transport == UDP && get16(out + sum_at) == 0)
		put16(out + sum_at, 0xffff);
	return proto;
}

static size_t put_extension(uint8_t *out, uint8_t *next, uint8_t type, const uint8_t *bytes,
			    size_t size)
{
	memcpy(out, bytes, size);
	out[0] = *next;
	*next = type;
	return size;
}

static size_t build_v6(const struct packet *p, uint8_t *out)
{
	static const uint8_t options[16] = {0, 1, 1, 12}, fragment[8] = {0, 0, 0, 1, 1, 2, 3, 4},
			     later[8] = {0, 0, 0, 0x59, 1, 2, 3, 4}, routing[24] = {0, 2, 4, 0},
			     left[24] = {0, 2, 4, 1};
	const struct ip_addr s = maker_addr(p->source), d = maker_addr(p->destination);
	uint8_t body[MAKER_ROOM], chain[MAKER_ROOM];
	size_t size, n = 0;
	uint8_t next;

	next = (uint8_t)put_transport(p, body, &size);
	/* From the last header to the first, each in front of the others. */
	for (unsigned i = 0; i < 4; i++) {
		const uint8_t *what = NULL;
		size_t bytes = 0;
		uint8_t type = 0;

		if (i == 0 && p->odd & OPTIONS) {
			what = options, bytes = 16, type = 60;
		} else if (i == 1 && p->odd & (FIRST | LATER)) {
			what = p->odd & FIRST ? fragment : later, bytes = 8, type = 44;
		} else if (i == 2 && p->odd & (ROUTING_DONE | ROUTING_LEFT)) {
			what = p->odd & ROUTING_LEFT ? left : routing, bytes = 24, type = 43;
		} else if (i == 3 && p->odd & OPTIONS) {
			what = options, bytes = 16, type = 0;
		}
		if (!what)
			continue;
		memmove(chain + bytes, chain, n);
		n += put_extension(chain, &next, type, what, bytes);
	}
	memset(out, 0, 40);
	out[0] = 0x60;
	put16(out + 4, (unsigned)(n + size));
	out[6] = next;
	out[7] = 61;
	memcpy(out + 8, s.b, 16);
	memcpy(out + 24, d.b, 16);
	memcpy(out + 40, chain, n);
	memcpy(out + 40 + n, body, size);
	return 40 + n + size;
}

static size_t build_v4(const struct packet *p, uint8_t *out)
{
	const struct ip_addr s = maker_addr(p->source), d = maker_addr(p->destination);
	const size_t header = p->odd & OPTIONS ? 28 : 20;
	size_t size;

	memset(out, 0, header);
	out[9] = (uint8_t)put_transport(p, out + header, &size);
	out[0] = (uint8_t)(0x40 | header / 4);
	put16(out + 2, (unsigned)(header + size));
	put16(out + 4, 0x1234);
	put16(out + 6, p->odd & FIRST ? 0x2000 : p->odd & LATER ? 0x000b : 0x4000);
	out[8] = 61;
	memcpy(out + 12, s.b, 4);
	memcpy(out + 16, d.b, 4);
	if (header > 20)
		out[20] = 0x94; /* router alert */
	put16(out + 10, sum_finish(sum_add(0, out, header)));
	return header + size;
}

size_t maker_build(const struct packet *p, uint8_t *out)
{
	return maker_addr(p->source).family == IP_V4 ? build_v4(p, out) : build_v6(p, out);
}
