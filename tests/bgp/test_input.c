/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tests of malformed input by a scripted peer: every class of RFC 7606 has exactly its outcome, and
 * every fault of a header or an OPEN its NOTIFICATION. An honest neighbour stays up throughout.
 */
#include "world.h"

#include <stdlib.h>
#include <string.h>
#include "base/wr.h"
#include "bgp/wire.h"

#define N(a) (sizeof(a) / sizeof((a)[0]))

enum { US = 0, HONEST = 1, SCRIPT = 2 };

/* A message of `type` around `body`. */
static void send_message(struct world *w, unsigned conn, uint8_t type, const uint8_t *body,
			 size_t size)
{
	uint8_t bytes[BGP_EXTENDED_MAX];
	struct wr m = wr_of(bytes, sizeof(bytes));

	for (int i = 0; i < BGP_MARKER_SIZE; i++)
		wr_u8(&m, 0xff);
	wr_u16(&m, (uint16_t)(BGP_HEADER_SIZE + size));
	wr_u8(&m, type);
	wr_bytes(&m, body, size);
	assert_true(wr_ok(&m));
	script_send(w, conn, bytes, m.n);
	world_run(w, span_ms(10));
}

/* AS 65003, hold time 90, both families, four-octet ASes. */
static const uint8_t good_open[] = {
	4, 0xfd, 0xeb, 0, 90, 10, 0, 0, 99, 20, /* parameters */
	2, 18,   1,    4, 0,  1,  0, 1, 1,  4,  0, 2, 0, 1, 65, 4, 0, 0, 0xfd, 0xeb,
};

static struct world *world_with_script(void)
{
	struct world *w = world_new();

	world_core(w, US);
	world_core(w, HONEST);
	world_neighbor(w, US, HONEST);
	world_neighbor(w, US, SCRIPT)->passive = true;
	world_neighbor(w, HONEST, US);
	world_own(w, HONEST, "10.2.0.0/16", world_path(w, HONEST, NULL, 0));
	world_start(w);
	world_run(w, span_s(1));
	return w;
}

static unsigned handshake(struct world *w)
{
	const unsigned c = script_connect(w, SCRIPT, US);

	send_message(w, c, BGP_OPEN, good_open, sizeof(good_open));
	send_message(w, c, BGP_KEEPALIVE, NULL, 0);
	assert_int_equal(world_state(w, US, SCRIPT), BGP_ESTABLISHED);
	return c;
}

/* The honest session is as it was, and nothing else has changed. */
static void honest_is_up(struct world *w)
{
	world_run(w, span_ms(100));
	assert_int_equal(world_state(w, US, HONEST), BGP_ESTABLISHED);
	assert_int_equal(w->end[HONEST].downs, 0);
	assert_non_null(world_heard(w, US, HONEST, "10.2.0.0/16"));
}

/* The NOTIFICATION that came, past everything else; false: none. */
static bool notified(struct world *w, uint8_t *code, uint8_t *subcode)
{
	const uint8_t *body;
	size_t size;
	uint8_t type;

	while ((type = script_next(w, SCRIPT, &body, &size))) {
		if (type != BGP_NOTIFICATION)
			continue;
		*code = body[0];
		*subcode = body[1];
		return true;
	}
	return false;
}

/* ------------------------------------------------------------------ UPDATE */

enum expected {
	OK,       /* the route is there */
	DISCARD,  /* likewise, counted */
	WITHDRAW, /* the route that was there is gone, the session stands */
	RESET,
};

struct row {
	const char *what;
	enum expected expected;
	uint8_t subcode;     /* RESET: of an UPDATE message error */
	const char *without; /* left out of the good attributes: by letter, see below */
	uint8_t extra[40];
	size_t n_extra;
};

#define BYTES(...) {__VA_ARGS__}, sizeof((uint8_t[]){__VA_ARGS__})

/* o ORIGIN, a AS_PATH, n NEXT_HOP */
static const struct row rows[] = {
	{"nothing more", OK, 0, "", {0}, 0},
	/* RFC 7606 3 d): mandatory ones */
	{"no ORIGIN", WITHDRAW, 0, "o", {0}, 0},
	{"no AS_PATH", WITHDRAW, 0, "a", {0}, 0},
	{"no NEXT_HOP", WITHDRAW, 0, "n", {0}, 0},
	/* 7.1 */
	{"ORIGIN of 2 bytes", WITHDRAW, 0, "o", BYTES(0x40, 1, 2, 0, 0)},
	{"ORIGIN of 0 bytes", WITHDRAW, 0, "o", BYTES(0x40, 1, 0)},
	{"ORIGIN 3", WITHDRAW, 0, "o", BYTES(0x40, 1, 1, 3)},
	{"ORIGIN optional", WITHDRAW, 0, "o", BYTES(0xc0, 1, 1, 0)},
	/* 7.2 */
	{"AS_PATH, empty segment", WITHDRAW, 0, "a", BYTES(0x40, 2, 2, 2, 0)},
	{"AS_PATH, segment too long", WITHDRAW, 0, "a", BYTES(0x40, 2, 6, 2, 2, 0, 0, 0xfd, 0xeb)},
	{"AS_PATH, a byte left", WITHDRAW, 0, "a", BYTES(0x40, 2, 7, 2, 1, 0, 0, 0xfd, 0xeb, 2)},
	{"AS_PATH, unknown segment", WITHDRAW, 0, "a", BYTES(0x40, 2, 6, 5, 1, 0, 0, 0xfd, 0xeb)},
	{"AS_PATH, confederation", WITHDRAW, 0, "a", BYTES(0x40, 2, 6, 3, 1, 0, 0, 0xfd, 0xeb)},
	{"AS_PATH with AS 0", WITHDRAW, 0, "a",
	 BYTES(0x40, 2, 10, 2, 2, 0, 0, 0xfd, 0xeb, 0, 0, 0, 0)},
	{"AS_PATH that does not begin with the peer", WITHDRAW, 0, "a",
	 BYTES(0x40, 2, 6, 2, 1, 0, 0, 0xfd, 0xec)},
	{"AS_PATH with our own AS", WITHDRAW, 0, "a",
	 BYTES(0x40, 2, 10, 2, 2, 0, 0, 0xfd, 0xeb, 0, 0, 0xfd, 0xe9)},
	{"AS_PATH, empty, from outside", WITHDRAW, 0, "a", BYTES(0x40, 2, 0)},
	{"AS_PATH in extended length", OK, 0, "a", BYTES(0x50, 2, 0, 6, 2, 1, 0, 0, 0xfd, 0xeb)},
	/* 7.3 */
	{"NEXT_HOP of 3 bytes", WITHDRAW, 0, "n", BYTES(0x40, 3, 3, 169, 254, 10)},
	{"NEXT_HOP of 16 bytes", WITHDRAW, 0, "n",
	 BYTES(0x40, 3, 16, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1)},
	{"NEXT_HOP 0.0.0.0", WITHDRAW, 0, "n", BYTES(0x40, 3, 4, 0, 0, 0, 0)},
	{"NEXT_HOP multicast", WITHDRAW, 0, "n", BYTES(0x40, 3, 4, 224, 0, 0, 1)},
	{"NEXT_HOP is ours", WITHDRAW, 0, "n", BYTES(0x40, 3, 4, 169, 254, 10, 1)},
	{"NEXT_HOP elsewhere", WITHDRAW, 0, "n", BYTES(0x40, 3, 4, 192, 0, 2, 1)},
	/* 7.4 */
	{"MED of 3 bytes", WITHDRAW, 0, "", BYTES(0x80, 4, 3, 0, 0, 1)},
	{"MED well-known", WITHDRAW, 0, "", BYTES(0x40, 4, 4, 0, 0, 0, 1)},
	/* 7.5: from outside it is ignored, however malformed */
	{"LOCAL_PREF from outside", DISCARD, 0, "", BYTES(0x40, 5, 4, 0, 0, 0, 1)},
	{"LOCAL_PREF from outside, of 3 bytes", DISCARD, 0, "", BYTES(0x40, 5, 3, 0, 0, 1)},
	/* 7.6, 7.7 */
	{"ATOMIC_AGGREGATE with a byte", DISCARD, 0, "", BYTES(0x40, 6, 1, 0)},
	{"AGGREGATOR of 6 bytes", DISCARD, 0, "", BYTES(0xc0, 7, 6, 0xfd, 0xeb, 10, 0, 0, 1)},
	{"AGGREGATOR of AS 0", DISCARD, 0, "", BYTES(0xc0, 7, 8, 0, 0, 0, 0, 10, 0, 0, 1)},
	{"AGGREGATOR", OK, 0, "", BYTES(0xc0, 7, 8, 0, 0, 0xfd, 0xeb, 10, 0, 0, 1)},
	/* 7.8 */
	{"COMMUNITIES of 3 bytes", WITHDRAW, 0, "", BYTES(0xc0, 8, 3, 1, 2, 3)},
	{"COMMUNITIES of 0 bytes", WITHDRAW, 0, "", BYTES(0xc0, 8, 0)},
	/* 7.9, 7.10 */
	{"ORIGINATOR_ID from outside", DISCARD, 0, "", BYTES(0x80, 9, 4, 10, 0, 0, 1)},
	{"CLUSTER_LIST from outside", DISCARD, 0, "", BYTES(0x80, 10, 4, 10, 0, 0, 1)},
	/* 7.11, 7.12, 3 g), 3 j) */
	{"MP_REACH of 2 bytes", RESET, 9, "", BYTES(0x80, 14, 2, 0, 2)},
	{"MP_REACH, next hop of 5 bytes", RESET, 9, "",
	 BYTES(0x80, 14, 10, 0, 2, 1, 5, 1, 2, 3, 4, 5, 0)},
	{"MP_REACH, next hop longer than the attribute", RESET, 9, "",
	 BYTES(0x80, 14, 6, 0, 2, 1, 32, 1, 0)},
	{"MP_REACH, prefix of 129 bits", RESET, 9, "",
	 BYTES(0x80, 14, 22, 0, 2, 1, 16, 0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 3, 0,
	       129)},
	{"MP_REACH of a family that was not negotiated", OK, 0, "",
	 BYTES(0x80, 14, 6, 0, 25, 70, 0, 0, 9)},
	{"MP_REACH twice", RESET, 1, "",
	 BYTES(0x80, 14, 6, 0, 25, 70, 0, 0, 9, 0x80, 14, 6, 0, 25, 70, 0, 0, 9)},
	{"MP_UNREACH of 2 bytes", RESET, 9, "", BYTES(0x80, 15, 2, 0, 2)},
	{"MP_UNREACH, prefix of 200 bits", RESET, 9, "", BYTES(0x80, 15, 4, 0, 2, 1, 200)},
	/* 3 g): the first counts */
	{"MED twice", DISCARD, 0, "", BYTES(0x80, 4, 4, 0, 0, 0, 1, 0x80, 4, 4, 0, 0, 0, 2)},
	/* 7.14, RFC 8092 6, RFC 9234 5 */
	{"extended communities of 7 bytes", WITHDRAW, 0, "",
	 BYTES(0xc0, 16, 7, 0, 2, 0, 0, 0, 0, 0)},
	{"large communities of 8 bytes", WITHDRAW, 0, "",
	 BYTES(0xc0, 32, 8, 0, 0, 0, 1, 0, 0, 0, 2)},
	{"Only-to-Customer of 3 bytes", WITHDRAW, 0, "", BYTES(0xc0, 35, 3, 0, 0, 1)},
	/* RFC 6793 6: between speakers that know four bytes */
	{"AS4_PATH", DISCARD, 0, "", BYTES(0xc0, 17, 6, 2, 1, 0, 0, 0xfd, 0xeb)},
	{"AS4_AGGREGATOR", DISCARD, 0, "", BYTES(0xc0, 18, 8, 0, 0, 0xfd, 0xeb, 10, 0, 0, 1)},
	/* RFC 4271 6.3, 9 */
	{"unknown, well-known", RESET, 2, "", BYTES(0x40, 99, 1, 7)},
	{"unknown, optional", OK, 0, "", BYTES(0x80, 99, 1, 7)},
	{"unknown, transitive", OK, 0, "", BYTES(0xc0, 99, 1, 7)},
	/* RFC 7606 4: the last attribute does not end where the list does */
	{"attribute longer than the list", WITHDRAW, 0, "", BYTES(0x80, 4, 40, 0)},
	{"two bytes left", WITHDRAW, 0, "", BYTES(0x80, 4)},
	{"extended length cut off", WITHDRAW, 0, "", BYTES(0x90, 4, 0)},
	/* 3 h): the strongest of several */
	{"discard and withdraw", WITHDRAW, 0, "", BYTES(0x40, 6, 1, 0, 0x80, 4, 3, 0, 0, 1)},
	{"withdraw and reset", RESET, 9, "", BYTES(0x80, 4, 3, 0, 0, 1, 0x80, 15, 2, 0, 2)},
};

static void send_update(struct world *w, unsigned conn, const struct row *row)
{
	static const uint8_t origin[] = {0x40, 1, 1, 0};
	static const uint8_t as_path[] = {0x40, 2, 6, 2, 1, 0, 0, 0xfd, 0xeb};
	static const uint8_t next_hop[] = {0x40, 3, 4, 169, 254, 10, 3};
	uint8_t bytes[256];
	struct wr m = wr_of(bytes, sizeof(bytes));
	size_t at;

	wr_u16(&m, 0);
	at = wr_open16(&m);
	if (!strchr(row->without, 'o'))
		wr_bytes(&m, origin, sizeof(origin));
	if (!strchr(row->without, 'a'))
		wr_bytes(&m, as_path, sizeof(as_path));
	if (!strchr(row->without, 'n'))
		wr_bytes(&m, next_hop, sizeof(next_hop));
	wr_bytes(&m, row->extra, row->n_extra);
	wr_close16(&m, at, at + 2);
	wr_bytes(&m, (uint8_t[]){16, 10, 9}, 3);
	send_message(w, conn, BGP_UPDATE, bytes, m.n);
}

static uint64_t refused(const struct bgp_show_neighbor *s)
{
	return s->faults[BGP_FAULT_UPDATE_WITHDRAW] + s->faults[BGP_FAULT_NEXT_HOP] +
	       s->faults[BGP_FAULT_OWN_AS];
}

static void test_attributes(void **state)
{
	for (size_t i = 0; i < N(rows); i++) {
		struct world *w = world_with_script();
		const unsigned c = handshake(w);
		struct bgp_show_neighbor s;
		uint8_t code, subcode;
		bool there, up;

		print_message("%s\n", rows[i].what);
		send_update(w, c, &rows[0]);
		assert_non_null(world_heard(w, US, SCRIPT, "10.9.0.0/16"));
		send_update(w, c, &rows[i]);
		s = world_show(w, US, SCRIPT);
		there = world_heard(w, US, SCRIPT, "10.9.0.0/16") != NULL;
		up = s.state == BGP_ESTABLISHED;
		switch (rows[i].expected) {
		case OK:
			assert_true(up && there);
			assert_int_equal(s.faults[BGP_FAULT_UPDATE_DISCARD] + refused(&s), 0);
			break;
		case DISCARD:
			assert_true(up && there);
			assert_int_equal(s.faults[BGP_FAULT_UPDATE_DISCARD], 1);
			break;
		case WITHDRAW:
			assert_true(up && !there);
			assert_int_equal(refused(&s), 1);
			assert_int_equal(s.received[BGP_IPV4_UNICAST], 0);
			break;
		case RESET:
			assert_true(!up && !there);
			assert_int_equal(s.faults[BGP_FAULT_UPDATE_RESET], 1);
			assert_true(notified(w, &code, &subcode));
			assert_int_equal(code, BGP_ERR_UPDATE);
			assert_int_equal(subcode, rows[i].subcode);
			assert_true(script_closed(w, c));
			break;
		}
		honest_is_up(w);
		world_free(w);
	}
}

/* Whole bodies: lengths that do not fit, prefixes that cannot be read, ends of RIB. */
static void test_bodies(void **state)
{
	static const struct {
		const char *what;
		uint8_t subcode; /* 0: the session stands */
		uint8_t body[32];
		size_t size;
	} bodies[] = {
		{"end of RIB", 0, BYTES(0, 0, 0, 0)},
		{"end of RIB, IPv6", 0, BYTES(0, 0, 0, 6, 0x80, 15, 3, 0, 2, 1)},
		{"withdrawal of what is not there", 0, BYTES(0, 3, 16, 10, 77, 0, 0)},
		{"default route withdrawn", 0, BYTES(0, 1, 0, 0, 0)},
		{"withdrawn routes too long", 1, BYTES(0, 9, 16, 10, 77, 0, 0)},
		{"attributes too long", 1, BYTES(0, 0, 0, 9, 0x40, 1, 1, 0)},
		{"withdrawn prefix of 33 bits", 10, BYTES(0, 6, 33, 10, 0, 0, 0, 0, 0, 0)},
		{"withdrawn prefix cut off", 10, BYTES(0, 2, 24, 10, 0, 0)},
		/* CVE-2023-41358: routes without any attribute */
		{"NLRI without attributes", 0, BYTES(0, 0, 0, 0, 16, 10, 9)},
		{"prefix of 255 bits", 10, BYTES(0, 0, 0, 4, 0x40, 1, 1, 0, 255)},
		/* RFC 7606 5.2: what is malformed belongs to routes that cannot be told */
		{"malformed attribute and no route", 1, BYTES(0, 0, 0, 4, 0x40, 1, 1, 9)},
	};

	for (size_t i = 0; i < N(bodies); i++) {
		struct world *w = world_with_script();
		const unsigned c = handshake(w);
		uint8_t code, subcode;

		print_message("%s\n", bodies[i].what);
		send_message(w, c, BGP_UPDATE, bodies[i].body, bodies[i].size);
		assert_int_equal(world_state(w, US, SCRIPT) == BGP_ESTABLISHED,
				 bodies[i].subcode == 0);
		if (bodies[i].subcode) {
			assert_true(notified(w, &code, &subcode));
			assert_int_equal(code, BGP_ERR_UPDATE);
			assert_int_equal(subcode, bodies[i].subcode);
		}
		assert_int_equal(world_count(w, US, SCRIPT), 0);
		honest_is_up(w);
		world_free(w);
	}
}

/* ------------------------------------------------------- headers and OPEN */

static void test_headers(void **state)
{
	static const struct {
		const char *what;
		uint8_t code, subcode;
		uint8_t marker, length_hi, length_lo, type;
	} headers[] = {
		{"marker", 1, 1, 0xfe, 0, 19, 4},
		{"length 18", 1, 2, 0xff, 0, 18, 4},
		{"length 0", 1, 2, 0xff, 0, 0, 4},
		{"KEEPALIVE of 20 bytes", 1, 2, 0xff, 0, 20, 4},
		{"4097 bytes", 1, 2, 0xff, 0x10, 1, 2},
		{"UPDATE of 22 bytes", 1, 2, 0xff, 0, 22, 2},
		{"NOTIFICATION of 20 bytes", 1, 2, 0xff, 0, 20, 3},
		{"ROUTE-REFRESH of 22 bytes", 1, 2, 0xff, 0, 22, 5},
		{"type 0", 1, 3, 0xff, 0, 19, 0},
		{"type 6", 1, 3, 0xff, 0, 19, 6},
		{"OPEN again", 5, 3, 0xff, 0, 29, 1},
	};

	for (size_t i = 0; i < N(headers); i++) {
		struct world *w = world_with_script();
		const unsigned c = handshake(w);
		uint8_t bytes[64] = {0}, code, subcode;

		print_message("%s\n", headers[i].what);
		memset(bytes, 0xff, BGP_MARKER_SIZE);
		bytes[15] = headers[i].marker;
		bytes[16] = headers[i].length_hi;
		bytes[17] = headers[i].length_lo;
		bytes[18] = headers[i].type;
		script_send(w, c, bytes, 29);
		world_run(w, span_ms(10));
		assert_true(notified(w, &code, &subcode));
		assert_int_equal(code, headers[i].code);
		assert_int_equal(subcode, headers[i].subcode);
		assert_true(script_closed(w, c));
		honest_is_up(w);
		world_free(w);
	}
}

static void test_opens(void **state)
{
	static const struct {
		const char *what;
		int subcode; /* -1: accepted */
		uint8_t body[64];
		size_t size;
	} opens[] = {
		{"as it should be", -1, BYTES(4, 0xfd, 0xeb, 0, 90, 10, 0, 0, 99, 0)},
		{"version 3", 1, BYTES(3, 0xfd, 0xeb, 0, 90, 10, 0, 0, 99, 0)},
		{"another AS", 2, BYTES(4, 0xfd, 0xec, 0, 90, 10, 0, 0, 99, 0)},
		{"AS 0", 2, BYTES(4, 0, 0, 0, 90, 10, 0, 0, 99, 0)},
		{"AS 0 in the capability", 2,
		 BYTES(4, 0xfd, 0xeb, 0, 90, 10, 0, 0, 99, 8, 2, 6, 65, 4, 0, 0, 0, 0)},
		{"identifier 0", 3, BYTES(4, 0xfd, 0xeb, 0, 90, 0, 0, 0, 0, 0)},
		{"unknown parameter", 4, BYTES(4, 0xfd, 0xeb, 0, 90, 10, 0, 0, 99, 3, 1, 1, 0)},
		{"hold time 1", 6, BYTES(4, 0xfd, 0xeb, 0, 1, 10, 0, 0, 99, 0)},
		{"hold time 2", 6, BYTES(4, 0xfd, 0xeb, 0, 2, 10, 0, 0, 99, 0)},
		{"hold time 0", -1, BYTES(4, 0xfd, 0xeb, 0, 0, 10, 0, 0, 99, 0)},
		{"parameters longer than the message", 0,
		 BYTES(4, 0xfd, 0xeb, 0, 90, 10, 0, 0, 99, 9, 2, 0)},
		{"parameters shorter than the message", 0,
		 BYTES(4, 0xfd, 0xeb, 0, 90, 10, 0, 0, 99, 0, 2, 0)},
		{"parameter cut off", 0, BYTES(4, 0xfd, 0xeb, 0, 90, 10, 0, 0, 99, 2, 2, 5)},
		{"capability cut off", 0, BYTES(4, 0xfd, 0xeb, 0, 90, 10, 0, 0, 99, 4, 2, 2, 1, 4)},
		/* What cannot be understood was not negotiated. */
		{"capabilities of impossible lengths", -1,
		 BYTES(4, 0xfd, 0xeb, 0, 90, 10, 0, 0, 99, 17, 2, 15, 2, 1, 0, 64, 1, 0, 65, 2, 0,
		       1, 69, 3, 0, 1, 1)},
		{"no family of ours", 7,
		 BYTES(4, 0xfd, 0xeb, 0, 90, 10, 0, 0, 99, 8, 2, 6, 1, 4, 0, 25, 0, 70)},
		/* RFC 9072 2; CVE-2022-40302 and its kin */
		{"extended parameters", -1,
		 BYTES(4, 0xfd, 0xeb, 0, 90, 10, 0, 0, 99, 255, 255, 0, 9, 2, 0, 6, 1, 4, 0, 1, 0,
		       1)},
		{"extended, length of the form 8", -1,
		 BYTES(4, 0xfd, 0xeb, 0, 90, 10, 0, 0, 99, 8, 255, 0, 0)},
		{"extended, without a length", 0,
		 BYTES(4, 0xfd, 0xeb, 0, 90, 10, 0, 0, 99, 255, 255)},
		{"extended, longer than the message", 0,
		 BYTES(4, 0xfd, 0xeb, 0, 90, 10, 0, 0, 99, 255, 255, 0, 9, 2, 0)},
		{"extended, parameter header cut off", 0,
		 BYTES(4, 0xfd, 0xeb, 0, 90, 10, 0, 0, 99, 255, 255, 0, 2, 2, 0)},
	};

	for (size_t i = 0; i < N(opens); i++) {
		struct world *w = world_with_script();
		const unsigned c = script_connect(w, SCRIPT, US);
		uint8_t code, subcode;

		print_message("%s\n", opens[i].what);
		send_message(w, c, BGP_OPEN, opens[i].body, opens[i].size);
		if (opens[i].subcode < 0) {
			assert_int_equal(world_state(w, US, SCRIPT), BGP_OPEN_CONFIRM);
		} else {
			assert_true(notified(w, &code, &subcode));
			assert_int_equal(code, BGP_ERR_OPEN);
			assert_int_equal(subcode, opens[i].subcode);
			assert_true(script_closed(w, c));
		}
		honest_is_up(w);
		world_free(w);
	}
}

/* RFC 6608: what comes too early. */
static void test_unexpected(void **state)
{
	static const struct {
		uint8_t type;
		bool after_open;
		uint8_t subcode;
	} all[] = {
		{BGP_KEEPALIVE, false, 1},
		{BGP_UPDATE, false, 1},
		{BGP_UPDATE, true, 2},
		{BGP_ROUTE_REFRESH, true, 2},
	};

	for (size_t i = 0; i < N(all); i++) {
		struct world *w = world_with_script();
		const unsigned c = script_connect(w, SCRIPT, US);
		uint8_t code, subcode;

		if (all[i].after_open)
			send_message(w, c, BGP_OPEN, good_open, sizeof(good_open));
		send_message(w, c, all[i].type, (uint8_t[4]){0},
			     all[i].type == BGP_KEEPALIVE ? 0 : 4);
		assert_true(notified(w, &code, &subcode));
		assert_int_equal(code, BGP_ERR_FSM);
		assert_int_equal(subcode, all[i].subcode);
		honest_is_up(w);
		world_free(w);
	}
}

/* RFC 6793 4.2.3: a speaker of two bytes; its AS_TRANS gives way to what stands in AS4_PATH. */
static void test_two_octets(void **state)
{
	static const uint8_t open[] = {4, 0xfd, 0xeb, 0, 90, 10, 0, 0, 99, 0};
	static const uint8_t update[] = {
		0,    0,  0, 32,  0x40, 1,    1,    0,          /* ORIGIN */
		0x40, 2,  6, 2,   2,    0xfd, 0xeb, 0x5b, 0xa0, /* 65003 AS_TRANS */
		0x40, 3,  4, 169, 254,  10,   3,                /* NEXT_HOP */
		0xc0, 17, 6, 2,   1,    0xfa, 0x56, 0xea, 0x01, /* AS4_PATH: 4200000001 */
		0x80, 4,  0,                                    /* cut off: see below */
	};
	struct world *w = world_with_script();
	const unsigned c = script_connect(w, SCRIPT, US);
	uint8_t body[64];
	char text[64];
	const uint8_t *sent;
	size_t size;
	uint8_t type;

	send_message(w, c, BGP_OPEN, open, sizeof(open));
	send_message(w, c, BGP_KEEPALIVE, NULL, 0);
	memcpy(body, update, 4 + 29);
	body[3] = 29;
	memcpy(body + 33, (uint8_t[]){16, 10, 9}, 3);
	send_message(w, c, BGP_UPDATE, body, 36);
	assert_non_null(world_heard(w, US, SCRIPT, "10.9.0.0/16"));
	assert_string_equal(path_as_path_format(world_heard(w, US, SCRIPT, "10.9.0.0/16")->path,
						text, sizeof(text)),
			    "65003 4200000001");
	/* And towards it: AS_TRANS, with AS4_PATH beside. */
	while (script_next(w, SCRIPT, &sent, &size))
		;
	{
		const struct ip_prefix p = {ip_v4(10, 50, 0, 0), 16};
		struct path *path = world_path(w, US, (uint32_t[]){4200000009u}, 1);

		assert_true(bgp_advertise(w->end[US].core, 10 + SCRIPT, &p, path));
		path_unref(w->end[US].paths, path);
	}
	world_run(w, span_ms(10));
	type = script_next(w, SCRIPT, &sent, &size);
	assert_int_equal(type, BGP_UPDATE);
	assert_non_null(
		memmem(sent, size, (uint8_t[]){0x40, 2, 6, 2, 2, 0xfd, 0xe9, 0x5b, 0xa0}, 9));
	assert_non_null(memmem(
		sent, size,
		(uint8_t[]){0xc0, 17, 10, 2, 2, 0, 0, 0xfd, 0xe9, 0xfa, 0x56, 0xea, 0x09}, 13));
	world_free(w);
}

/* Connection after connection of a peer that lies leaves the honest session alone. */
static void test_many_lies(void **state)
{
	struct world *w = world_with_script();

	for (unsigned i = 0; i < 62; i++) {
		const unsigned c = script_connect(w, SCRIPT, US);

		if (i % 3)
			send_message(w, c, BGP_OPEN, good_open, sizeof(good_open));
		if (i % 3 == 2) {
			send_message(w, c, BGP_KEEPALIVE, NULL, 0);
			send_update(w, c, &rows[1 + i % (N(rows) - 1)]);
		}
		script_send(w, c, "garbage garbage garbage", 23);
		world_run(w, span_ms(20));
	}
	honest_is_up(w);
	assert_int_equal(world_count(w, US, SCRIPT), 0);
	world_free(w);
}

#define LIARS 100

/* A hundred neighbours, each of which says everything that is malformed, one after the other. */
static void test_many_liars(void **state)
{
	struct world *w = world_new();
	unsigned conn[LIARS];

	world_core(w, US);
	world_core(w, HONEST);
	world_neighbor(w, US, HONEST);
	world_neighbor(w, HONEST, US);
	for (unsigned i = 0; i < LIARS; i++) {
		struct bgp_neighbor_cfg *c = world_neighbor(w, US, SCRIPT + i);

		c->passive = true;
		c->remote_as = 65001 + SCRIPT; /* that of the OPEN */
	}
	world_own(w, HONEST, "10.2.0.0/16", world_path(w, HONEST, NULL, 0));
	world_start(w);
	world_run(w, span_s(1));
	for (unsigned round = 0; round < 3; round++) {
		for (unsigned i = 0; i < LIARS; i++) {
			conn[i] = script_connect(w, SCRIPT + i, US);
			send_message(w, conn[i], BGP_OPEN, good_open, sizeof(good_open));
			send_message(w, conn[i], BGP_KEEPALIVE, NULL, 0);
		}
		for (unsigned k = 0; k < N(rows); k++) {
			for (unsigned i = 0; i < LIARS; i++)
				send_update(w, conn[i], &rows[(k + i) % N(rows)]);
		}
		for (unsigned i = 0; i < LIARS; i++)
			script_send(w, conn[i], "garbage garbage garbage", 23);
		honest_is_up(w);
		/* Longer than the pauses after a failure, and than the hold time. */
		world_run(w, span_s(100));
	}
	honest_is_up(w);
	for (unsigned i = 0; i < LIARS; i++) {
		assert_true(world_show(w, US, SCRIPT + i).flaps > 0);
		assert_int_equal(world_count(w, US, SCRIPT + i), 0);
	}
	world_free(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_attributes), cmocka_unit_test(test_bodies),
		cmocka_unit_test(test_headers),    cmocka_unit_test(test_opens),
		cmocka_unit_test(test_unexpected), cmocka_unit_test(test_two_octets),
		cmocka_unit_test(test_many_lies),  cmocka_unit_test(test_many_liars),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
