/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tests of netmap.c: each packet is built, translated, and compared with one that was built from the
 * addresses that it should have, every checksum computed anew.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "dataplane/netmap.h"
#include "tests/dataplane/maker.h"

#define ROUNDS 100000

/* --------------------------------------------------------------------- rules */

struct text_rule {
	enum translation_side side;
	const char *here, *there;
};

static const struct text_rule text_rules[] = {
	{TRANSLATION_THEIRS, "100.64.0.0/16", "10.0.0.0/16"},
	{TRANSLATION_THEIRS, "100.65.128.0/17", "10.7.0.0/17"},
	{TRANSLATION_THEIRS, "100.66.3.64/27", "10.9.9.32/27"},
	{TRANSLATION_THEIRS, "100.66.4.4/32", "10.9.8.7/32"},
	{TRANSLATION_THEIRS, "fd00:1:2:3::/64", "2001:db8:5:6::/64"},
	{TRANSLATION_THEIRS, "fd00:77:8000::/34", "2001:dff:4000::/34"},
	{TRANSLATION_THEIRS, "fd00::1:2:0:0/100", "2001::9:9:0:0/100"},
	{TRANSLATION_OURS, "10.0.0.0/16", "100.80.0.0/16"},
	{TRANSLATION_OURS, "2001:db8:5:6::/64", "fd00:aa::/64"},
};
#define N_RULES (sizeof(text_rules) / sizeof(text_rules[0]))

static struct translation rules[N_RULES];
static struct netmap map;

static int setup(void **state)
{
	for (size_t i = 0; i < N_RULES; i++) {
		rules[i].side = text_rules[i].side;
		if (!ip_prefix_parse(text_rules[i].here, &rules[i].here) ||
		    !ip_prefix_parse(text_rules[i].there, &rules[i].there))
			return -1;
	}
	return netmap_init(&map, rules, N_RULES) ? 0 : -1;
}

/* --------------------------------------------------------------------- cases */

static void show_difference(const char *what, const uint8_t *got, const uint8_t *want, size_t size)
{
	for (size_t i = 0; i < size; i++)
		if (got[i] != want[i])
			fail_msg("%s: byte %zu of %zu is %02x, not %02x", what, i, size, got[i],
				 want[i]);
}

/* `there` in the tunnel is `here` on our side, in both directions. */
struct both {
	const char *what;
	struct packet there, here;
};

static const struct packet quoted_there = {"100.80.1.2", "10.0.3.4", UDP, PLAIN, 30, NULL};
static const struct packet quoted_here = {"10.0.1.2", "100.64.3.4", UDP, PLAIN, 30, NULL};
static const struct packet quoted_tcp_there = {"100.80.1.2", "10.0.3.4", TCP, OPTIONS, 30, NULL};
static const struct packet quoted_tcp_here = {"10.0.1.2", "100.64.3.4", TCP, OPTIONS, 30, NULL};
static const struct packet quoted_unsummed_there = {"100.80.1.2", "10.0.3.4", UDP,
						    UDP_NO_SUM,   9,          NULL};
static const struct packet quoted_unsummed_here = {"10.0.1.2", "100.64.3.4", UDP, UDP_NO_SUM,
						   9,          NULL};
static const struct packet quoted_later_there = {"100.80.1.2", "10.0.3.4", TCP, LATER, 90, NULL};
static const struct packet quoted_later_here = {"10.0.1.2", "100.64.3.4", TCP, LATER, 90, NULL};
static const struct packet quoted_echo_there = {"100.80.1.2", "10.0.3.4", ECHO, PLAIN, 90, NULL};
static const struct packet quoted_echo_here = {"10.0.1.2", "100.64.3.4", ECHO, PLAIN, 90, NULL};
static const struct packet quoted6_there = {"fd00:aa::7", "2001:db8:5:6::8", TCP, OPTIONS, 100,
					    NULL};
static const struct packet quoted6_here = {
	"2001:db8:5:6::7", "fd00:1:2:3::8", TCP, OPTIONS, 100, NULL};
static const struct packet quoted6_echo_there = {"fd00:aa::7", "2001:db8:5:6::8", ECHO, PLAIN, 7,
						 NULL};
static const struct packet quoted6_echo_here = {
	"2001:db8:5:6::7", "fd00:1:2:3::8", ECHO, PLAIN, 7, NULL};

static const struct both boths[] = {
	{"TCP",
	 {"10.0.3.4", "100.80.1.2", TCP, 0, 100, 0},
	 {"100.64.3.4", "10.0.1.2", TCP, 0, 100, 0}},
	{"UDP",
	 {"10.0.3.4", "100.80.1.2", UDP, 0, 33, 0},
	 {"100.64.3.4", "10.0.1.2", UDP, 0, 33, 0}},
	{"UDP without a checksum",
	 {"10.0.3.4", "100.80.1.2", UDP, UDP_NO_SUM, 33, 0},
	 {"100.64.3.4", "10.0.1.2", UDP, UDP_NO_SUM, 33, 0}},
	{"UDP-Lite",
	 {"10.0.3.4", "100.80.1.2", UDPLITE, 0, 33, 0},
	 {"100.64.3.4", "10.0.1.2", UDPLITE, 0, 33, 0}},
	{"DCCP",
	 {"10.0.3.4", "100.80.1.2", DCCP, 0, 3, 0},
	 {"100.64.3.4", "10.0.1.2", DCCP, 0, 3, 0}},
	{"echo",
	 {"10.0.3.4", "100.80.1.2", ECHO, 0, 56, 0},
	 {"100.64.3.4", "10.0.1.2", ECHO, 0, 56, 0}},
	{"GRE",
	 {"10.0.3.4", "100.80.1.2", GRE, 0, 56, 0},
	 {"100.64.3.4", "10.0.1.2", GRE, 0, 56, 0}},
	{"the source alone",
	 {"10.0.3.4", "9.9.9.9", TCP, 0, 1, 0},
	 {"100.64.3.4", "9.9.9.9", TCP, 0, 1, 0}},
	{"the destination alone",
	 {"9.9.9.9", "100.80.0.0", UDP, 0, 1, 0},
	 {"9.9.9.9", "10.0.0.0", UDP, 0, 1, 0}},
	{"neither", {"9.9.9.9", "9.9.9.8", TCP, 0, 1, 0}, {"9.9.9.9", "9.9.9.8", TCP, 0, 1, 0}},
	{"/17",
	 {"10.7.127.255", "9.9.9.9", TCP, 0, 1, 0},
	 {"100.65.255.255", "9.9.9.9", TCP, 0, 1, 0}},
	{"beyond the /17",
	 {"10.7.128.0", "9.9.9.9", TCP, 0, 1, 0},
	 {"10.7.128.0", "9.9.9.9", TCP, 0, 1, 0}},
	{"/27", {"10.9.9.63", "9.9.9.9", TCP, 0, 1, 0}, {"100.66.3.95", "9.9.9.9", TCP, 0, 1, 0}},
	{"/32", {"10.9.8.7", "9.9.9.9", UDP, 0, 1, 0}, {"100.66.4.4", "9.9.9.9", UDP, 0, 1, 0}},
	{"options",
	 {"10.0.3.4", "100.80.1.2", TCP, OPTIONS, 8, 0},
	 {"100.64.3.4", "10.0.1.2", TCP, OPTIONS, 8, 0}},
	{"a first fragment",
	 {"10.0.3.4", "100.80.1.2", TCP, FIRST, 80, 0},
	 {"100.64.3.4", "10.0.1.2", TCP, FIRST, 80, 0}},
	{"IPv6 TCP",
	 {"2001:db8:5:6::8", "fd00:aa::7", TCP, 0, 99, 0},
	 {"fd00:1:2:3::8", "2001:db8:5:6::7", TCP, 0, 99, 0}},
	{"IPv6 UDP",
	 {"2001:db8:5:6::8", "fd00:aa::7", UDP, 0, 99, 0},
	 {"fd00:1:2:3::8", "2001:db8:5:6::7", UDP, 0, 99, 0}},
	{"IPv6 UDP without a checksum",
	 {"2001:db8:5:6::8", "fd00:aa::7", UDP, UDP_NO_SUM, 99, 0},
	 {"fd00:1:2:3::8", "2001:db8:5:6::7", UDP, UDP_NO_SUM, 99, 0}},
	{"IPv6 echo",
	 {"2001:db8:5:6::8", "fd00:aa::7", ECHO, 0, 99, 0},
	 {"fd00:1:2:3::8", "2001:db8:5:6::7", ECHO, 0, 99, 0}},
	{"IPv6 options",
	 {"2001:db8:5:6::8", "fd00:aa::7", TCP, OPTIONS, 9, 0},
	 {"fd00:1:2:3::8", "2001:db8:5:6::7", TCP, OPTIONS, 9, 0}},
	{"IPv6 first fragment",
	 {"2001:db8:5:6::8", "fd00:aa::7", ECHO, FIRST | OPTIONS, 9, 0},
	 {"fd00:1:2:3::8", "2001:db8:5:6::7", ECHO, FIRST | OPTIONS, 9, 0}},
	{"IPv6 routing header at its end",
	 {"2001:db8:5:6::8", "fd00:aa::7", UDP, ROUTING_DONE, 9, 0},
	 {"fd00:1:2:3::8", "2001:db8:5:6::7", UDP, ROUTING_DONE, 9, 0}},
	{"IPv6 /34",
	 {"2001:dff:7fff:9::8", "fd00:bb::7", TCP, 0, 9, 0},
	 {"fd00:77:bfff:9::8", "fd00:bb::7", TCP, 0, 9, 0}},
	{"IPv6 /100",
	 {"2001::9:9:fff:8", "fd00:bb::7", TCP, 0, 9, 0},
	 {"fd00::1:2:fff:8", "fd00:bb::7", TCP, 0, 9, 0}},
	{"error about UDP",
	 {"10.0.3.4", "100.80.1.2", ERROR, 0, 0, &quoted_there},
	 {"100.64.3.4", "10.0.1.2", ERROR, 0, 0, &quoted_here}},
	{"error from a router that keeps its name",
	 {"172.16.0.1", "100.80.1.2", ERROR, 0, 0, &quoted_tcp_there},
	 {"172.16.0.1", "10.0.1.2", ERROR, 0, 0, &quoted_tcp_here}},
	{"error that quotes eight bytes, without TCP's checksum",
	 {"10.0.3.4", "100.80.1.2", ERROR, 0, 36, &quoted_tcp_there},
	 {"100.64.3.4", "10.0.1.2", ERROR, 0, 36, &quoted_tcp_here}},
	{"error that quotes the checksum and no more",
	 {"10.0.3.4", "100.80.1.2", ERROR, 0, 46, &quoted_tcp_there},
	 {"100.64.3.4", "10.0.1.2", ERROR, 0, 46, &quoted_tcp_here}},
	{"error about UDP without a checksum",
	 {"10.0.3.4", "100.80.1.2", ERROR, 0, 0, &quoted_unsummed_there},
	 {"100.64.3.4", "10.0.1.2", ERROR, 0, 0, &quoted_unsummed_here}},
	{"error about a later fragment",
	 {"10.0.3.4", "100.80.1.2", ERROR, 0, 0, &quoted_later_there},
	 {"100.64.3.4", "10.0.1.2", ERROR, 0, 0, &quoted_later_here}},
	{"error about an echo",
	 {"10.0.3.4", "100.80.1.2", ERROR, OPTIONS, 0, &quoted_echo_there},
	 {"100.64.3.4", "10.0.1.2", ERROR, OPTIONS, 0, &quoted_echo_here}},
	{"error that quotes less than a header",
	 {"10.0.3.4", "100.80.1.2", ERROR, 0, 19, &quoted_there},
	 {"100.64.3.4", "10.0.1.2", ERROR, 0, 19, &quoted_there}},
	{"IPv6 error",
	 {"2001:db8:5:6::9", "fd00:aa::7", ERROR, 0, 0, &quoted6_there},
	 {"fd00:1:2:3::9", "2001:db8:5:6::7", ERROR, 0, 0, &quoted6_here}},
	{"IPv6 error about an echo",
	 {"2001:db8:5:6::9", "fd00:aa::7", ERROR, OPTIONS, 0, &quoted6_echo_there},
	 {"fd00:1:2:3::9", "2001:db8:5:6::7", ERROR, OPTIONS, 0, &quoted6_echo_here}},
	{"IPv6 error that quotes too little",
	 {"2001:db8:5:6::9", "fd00:aa::7", ERROR, 0, 60, &quoted6_there},
	 {"fd00:1:2:3::9", "2001:db8:5:6::7", ERROR, 0, 60, &quoted6_here}},
};
#define N_BOTHS (sizeof(boths) / sizeof(boths[0]))

static void test_in(void **state)
{
	for (size_t i = 0; i < N_BOTHS; i++) {
		uint8_t there[MAKER_ROOM], here[MAKER_ROOM], p[MAKER_ROOM];
		const size_t size = maker_build(&boths[i].there, there),
			     n = maker_build(&boths[i].here, here);
		const uint8_t family = there[0] >> 4;
		const enum netmap_result want =
			memcmp(there, here, size) != 0 ? NETMAP_DONE : NETMAP_UNTOUCHED;

		assert_int_equal(size, n);
		memcpy(p, there, size);
		if (netmap_in(&map, p, size, family) != want)
			fail_msg("%s: in", boths[i].what);
		show_difference(boths[i].what, p, here, size);
	}
}

static struct packet reversed(const struct packet *p)
{
	struct packet r = *p;

	r.source = p->destination;
	r.destination = p->source;
	return r;
}

static void test_out(void **state)
{
	for (size_t i = 0; i < N_BOTHS; i++) {
		struct packet t = reversed(&boths[i].there), h = reversed(&boths[i].here), qt, qh;
		uint8_t there[MAKER_ROOM], here[MAKER_ROOM], p[MAKER_ROOM];
		size_t size;

		if (t.quote) {
			qt = reversed(t.quote);
			qh = reversed(h.quote);
			t.quote = &qt;
			h.quote = &qh;
		}
		size = maker_build(&t, there);
		assert_int_equal(maker_build(&h, here), size);
		memcpy(p, here, size);
		if (netmap_out(&map, p, size, here[0] >> 4) == NETMAP_REFUSED)
			fail_msg("%s: out", boths[i].what);
		show_difference(boths[i].what, p, there, size);
		netmap_undo_out(&map, p, size, here[0] >> 4);
		show_difference(boths[i].what, p, here, size);
	}
}

/* A later fragment has the same bytes behind its IP header, whatever they look like. */
static void test_later_fragments(void **state)
{
	static const struct packet later[][2] = {
		{{"10.0.3.4", "100.80.1.2", TCP, LATER, 80, 0},
		 {"100.64.3.4", "10.0.1.2", TCP, LATER, 80, 0}},
		{{"10.0.3.4", "100.80.1.2", ERROR, LATER, 0, &quoted_there},
		 {"100.64.3.4", "10.0.1.2", ERROR, LATER, 0, &quoted_there}},
		{{"2001:db8:5:6::8", "fd00:aa::7", TCP, LATER, 99, 0},
		 {"fd00:1:2:3::8", "2001:db8:5:6::7", TCP, LATER, 99, 0}},
	};

	for (size_t i = 0; i < sizeof(later) / sizeof(later[0]); i++) {
		uint8_t there[MAKER_ROOM], here[MAKER_ROOM];
		const size_t size = maker_build(&later[i][0], there);
		const size_t header = there[0] >> 4 == 4 ? 20 : 48;
		uint8_t body[MAKER_ROOM];

		assert_int_equal(maker_build(&later[i][1], here), size);
		memcpy(body, there + header, size - header);
		assert_int_equal(netmap_in(&map, there, size, there[0] >> 4), NETMAP_DONE);
		show_difference("header", there, here, header);
		show_difference("body", there + header, body, size - header);
	}
}

struct refusal {
	const char *what;
	bool out;
	struct packet p;
	size_t size; /* 0: all */
};

static const struct packet quoted_taken = {"10.0.1.2", "10.0.3.4", UDP, PLAIN, 30, NULL};

static const struct refusal refusals[] = {
	{"a source with a name of ours for another",
	 false,
	 {"100.64.3.4", "9.9.9.9", TCP, 0, 9, 0},
	 0},
	{"our real address", false, {"9.9.9.9", "10.0.1.2", TCP, 0, 9, 0}, 0},
	{"the peer's real address", true, {"9.9.9.9", "10.0.3.4", TCP, 0, 9, 0}, 0},
	{"a source with a name that is another's there",
	 true,
	 {"100.80.1.2", "9.9.9.9", TCP, 0, 9, 0},
	 0},
	{"a quote with our real address",
	 false,
	 {"10.0.3.4", "100.80.1.2", ERROR, 0, 0, &quoted_taken},
	 0},
	{"TCP cut before its checksum", false, {"10.0.3.4", "9.9.9.9", TCP, 0, 0, 0}, 20 + 17},
	{"a tiny first fragment", false, {"10.0.3.4", "9.9.9.9", TCP, FIRST, 0, 0}, 20 + 8},
	{"UDP cut", false, {"10.0.3.4", "9.9.9.9", UDP, 0, 0, 0}, 20 + 7},
	{"authenticated addresses", false, {"10.0.3.4", "9.9.9.9", AH, 0, 9, 0}, 0},
	{"IPv6 routing header with a segment left",
	 false,
	 {"2001:db8:5:6::8", "fd00:bb::7", UDP, ROUTING_LEFT, 9, 0},
	 0},
	{"IPv6 extension cut",
	 false,
	 {"2001:db8:5:6::8", "fd00:bb::7", UDP, OPTIONS, 9, 0},
	 40 + 7},
	{"IPv6 within the options",
	 false,
	 {"2001:db8:5:6::8", "fd00:bb::7", UDP, OPTIONS, 9, 0},
	 40 + 12},
	{"no IPv4 header", false, {"10.0.3.4", "9.9.9.9", UDP, 0, 0, 0}, 19},
	{"no IPv6 header", false, {"2001:db8:5:6::8", "fd00:bb::7", UDP, 0, 9, 0}, 39},
};

static void test_refused(void **state)
{
	for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
		const struct refusal *r = &refusals[i];
		uint8_t p[MAKER_ROOM], before[MAKER_ROOM], *exact;
		size_t size = maker_build(&r->p, p);
		enum netmap_result got;

		size = r->size ? r->size : size;
		exact = malloc(size); /* so that a byte too far is found */
		assert_non_null(exact);
		memcpy(exact, p, size);
		memcpy(before, p, size);
		got = (r->out ? netmap_out : netmap_in)(&map, exact, size, before[0] >> 4);
		if (got != NETMAP_REFUSED)
			fail_msg("%s: %d", r->what, got);
		show_difference(r->what, exact, before, size);
		free(exact);
	}
}

/* What is cut but has no name to be changed is not ours to judge. */
static void test_untouched(void **state)
{
	const struct packet p = {"9.9.9.9", "9.9.9.8", TCP, 0, 0, 0};
	uint8_t bytes[MAKER_ROOM];

	assert_int_equal(maker_build(&p, bytes), 40);
	assert_int_equal(netmap_in(&map, bytes, 30, 4), NETMAP_UNTOUCHED);
	assert_int_equal(netmap_out(&map, bytes, 30, 4), NETMAP_UNTOUCHED);
}

/* A checksum that was wrong stays wrong: the receiver is to see the damage. */
static void test_damage_stays(void **state)
{
	const struct packet p = {"10.0.3.4", "100.80.1.2", TCP, 0, 100, 0};
	const struct packet q = {"100.64.3.4", "10.0.1.2", TCP, 0, 100, 0};
	uint8_t bytes[MAKER_ROOM], want[MAKER_ROOM];
	const size_t size = maker_build(&p, bytes);

	(void)maker_build(&q, want);
	bytes[size - 1] ^= 0x10;
	want[size - 1] ^= 0x10;
	assert_int_equal(netmap_in(&map, bytes, size, 4), NETMAP_DONE);
	show_difference("damaged", bytes, want, size);
}

/* ------------------------------------------------------------------ at random */

static uint64_t seed = 0x9e3779b97f4a7c15u;

static uint32_t draw(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (uint32_t)(seed >> 32);
}

/* Any host within a rule's prefix at one end; or, now and then, one that no rule knows. */
static struct ip_addr draw_address(unsigned family, enum translation_side side, bool here)
{
	struct ip_addr a = {.family = (uint8_t)family};
	const struct translation *t;

	for (size_t i = 0; i < ip_size(&a); i++)
		a.b[i] = (uint8_t)draw();
	if (draw() % 5 == 0) {
		a.b[0] = 0x3f; /* of neither */
		return a;
	}
	do
		t = &rules[draw() % N_RULES];
	while (t->side != side || t->here.addr.family != family);
	for (unsigned i = 0; i < t->here.len; i++) {
		const uint8_t bit = (uint8_t)(0x80 >> i % 8);
		const struct ip_addr *p = here ? &t->here.addr : &t->there.addr;

		a.b[i / 8] = (uint8_t)((a.b[i / 8] & ~bit) | (p->b[i / 8] & bit));
	}
	return a;
}

static const char *name_there(const char *here, enum translation_side side, char *buf)
{
	struct ip_prefix p = {.addr = maker_addr(here)}, q;

	p.len = (uint8_t)ip_bits(&p.addr);
	assert_int_not_equal(translation_to_there(rules, N_RULES, side, &p, &q), TRANSLATION_TAKEN);
	return ip_format(&q.addr, buf);
}

/* Against the naive model of translation.c, all checksums anew; and back again. */
static void test_random(void **state)
{
	static const enum transport kinds[] = {TCP, UDP, UDPLITE, DCCP, ECHO, GRE, ERROR};

	for (unsigned i = 0; i < ROUNDS; i++) {
		const unsigned family = draw() % 2 ? IP_V4 : IP_V6;
		const enum transport quoted[] = {TCP, UDP, ECHO, GRE};
		char text[8][IP_ADDR_STRLEN];
		struct ip_addr ours = draw_address(family, TRANSLATION_OURS, true);
		struct ip_addr theirs = draw_address(family, TRANSLATION_THEIRS, true);
		struct packet h = {
			.source = ip_format(&ours, text[0]),
			.destination = ip_format(&theirs, text[1]),
			.transport = kinds[draw() % 7],
			.odd = draw() & (UDP_NO_SUM | OPTIONS | FIRST),
			.payload = draw() % 120,
		};
		struct packet qh = {
			.source = h.destination,
			.destination = h.source,
			.transport = quoted[draw() % 4],
			.odd = draw() & (UDP_NO_SUM | OPTIONS | FIRST),
			.payload = draw() % 120,
		};
		struct packet t = h, qt = qh;
		uint8_t here[MAKER_ROOM], there[MAKER_ROOM], p[MAKER_ROOM];
		size_t size;

		t.source = name_there(h.source, TRANSLATION_OURS, text[2]);
		t.destination = name_there(h.destination, TRANSLATION_THEIRS, text[3]);
		qt.source = t.destination;
		qt.destination = t.source;
		h.quote = &qh;
		t.quote = &qt;
		/* Of a quote at least its header, and no half of a checksum. */
		if (h.transport == ERROR)
			h.payload = t.payload = h.payload < 40 ? 0 : h.payload & ~(size_t)1;
		size = maker_build(&h, here);
		assert_int_equal(maker_build(&t, there), size);
		memcpy(p, here, size);
		if (netmap_out(&map, p, size, (uint8_t)family) == NETMAP_REFUSED)
			fail_msg("round %u: refused", i);
		show_difference("out", p, there, size);
		netmap_undo_out(&map, p, size, (uint8_t)family);
		show_difference("undone", p, here, size);
	}
}

/* Anything at all: nothing beyond the packet is read or written, and what is refused is left alone. */
static void test_noise(void **state)
{
	for (unsigned i = 0; i < ROUNDS; i++) {
		const unsigned family = draw() % 2 ? IP_V4 : IP_V6;
		const size_t size = draw() % 160 + 1;
		uint8_t *p = malloc(size), before[160];
		const struct ip_addr s = draw_address(family, TRANSLATION_THEIRS, false);
		static const uint8_t protos[] = {0, 1, 6, 17, 43, 44, 58, 60, 51, 136};
		enum netmap_result got;

		assert_non_null(p);
		for (size_t k = 0; k < size; k++)
			p[k] = (uint8_t)draw();
		p[0] = (uint8_t)((family == IP_V4 ? 0x40 : 0x60) | (p[0] & 15));
		if (family == IP_V4 && (p[0] & 15) < 5)
			p[0] = 0x45;
		if (size >= 40) {
			memcpy(p + (family == IP_V4 ? 12 : 8), s.b, ip_size(&s));
			p[family == IP_V4 ? 9 : 6] = protos[draw() % sizeof(protos)];
			if (family == IP_V4)
				p[6] = p[7] = 0;
		}
		memcpy(before, p, size);
		got = (draw() % 2 ? netmap_in : netmap_out)(&map, p, size, (uint8_t)family);
		if (got != NETMAP_DONE)
			show_difference("noise", p, before, size);
		free(p);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_in),
		cmocka_unit_test(test_out),
		cmocka_unit_test(test_later_fragments),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_untouched),
		cmocka_unit_test(test_damage_stays),
		cmocka_unit_test(test_random),
		cmocka_unit_test(test_noise),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
