/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of flow.c: what is one flow, how evenly flows spread over tunnels, and which ones move. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include "dataplane/flow.h"

#define N_FLOWS 40000u

/* TCP, its ports last. */
static const uint8_t v4[] = {
	0x45, 0, 0, 40, 1, 2, 0, 0, 64, 6, 0, 0, 10, 1, 0, 9, 10, 2, 0, 9, 0x12, 0x34, 0, 80,
};

/* Destination options and a routing header in front of UDP. */
static const uint8_t v6[] = {
	0x60, 0,    0,    0,    0, 24, 60, 64,                         /* */
	0x20, 0x01, 0x0d, 0xb8, 0, 1,  0,  0,  0, 0, 0, 0, 0, 0, 0, 9, /* */
	0x20, 0x01, 0x0d, 0xb8, 0, 2,  0,  0,  0, 0, 0, 0, 0, 0, 0, 9, /* */
	43,   0,    1,    4,    0, 0,  0,  0,                          /* */
	17,   0,    0,    0,    0, 0,  0,  0,                          /* */
	0x12, 0x34, 0,    53,   0, 8,  0,  0,
};

struct change {
	const char *what;
	uint8_t at, value;
	bool other; /* another flow */
};

static void differ(const uint8_t *ip, uint32_t size, uint8_t family, const struct change *c,
		   size_t n)
{
	const uint64_t before = dp_flow_hash(ip, size, family);
	uint8_t copy[128];

	for (size_t i = 0; i < n; i++) {
		memcpy(copy, ip, size);
		copy[c[i].at] = c[i].value;
		if ((dp_flow_hash(copy, size, family) != before) != c[i].other)
			fail_msg("%s: %s flow", c[i].what, c[i].other ? "the same" : "another");
	}
}

static void test_names(void **state)
{
	static const struct change four[] = {
		{"source", 15, 10, true},
		{"destination", 16, 11, true},
		{"protocol", 9, 17, true},
		{"source port", 21, 0x35, true},
		{"port", 23, 81, true},
		{"identification", 4, 9, false},
		{"TTL", 8, 3, false},
		{"DSCP", 1, 0x28, false},
		{"do not fragment", 6, 0x40, false},
	};
	static const struct change six[] = {
		{"source", 23, 8, true},   {"destination", 39, 8, true}, {"port", 57, 0x35, true},
		{"protocol", 48, 6, true}, {"flow label", 3, 9, false},  {"hop limit", 7, 3, false},
		{"options", 52, 1, false},
	};

	differ(v4, sizeof(v4), 4, four, sizeof(four) / sizeof(four[0]));
	differ(v6, sizeof(v6), 6, six, sizeof(six) / sizeof(six[0]));
}

/* The first piece has ports, the others have payload there. */
static void test_fragments(void **state)
{
	uint8_t a[64], b[64];

	memcpy(a, v4, sizeof(v4));
	a[6] = 0x20;
	memcpy(b, a, sizeof(v4));
	b[6] = 0;
	b[7] = 185;
	memset(b + 20, 0x55, 4);
	assert_true(dp_flow_hash(a, sizeof(v4), 4) == dp_flow_hash(b, sizeof(v4), 4));
	b[19] = 8;
	assert_true(dp_flow_hash(a, sizeof(v4), 4) != dp_flow_hash(b, sizeof(v4), 4));

	memcpy(a, v6, sizeof(v6));
	a[40] = 44; /* behind the destination options */
	a[48] = 17;
	a[51] = 1;
	memcpy(b, a, sizeof(v6));
	b[48] = 60; /* the later pieces need not name the same */
	b[50] = 9;
	b[57] = 0x99;
	assert_true(dp_flow_hash(a, sizeof(v6), 6) == dp_flow_hash(b, sizeof(v6), 6));
	a[6] = b[6] = 44;
	assert_true(dp_flow_hash(a, sizeof(v6), 6) == dp_flow_hash(b, sizeof(v6), 6));
}

/* A strange header is not read beyond its packet (for the sanitizer), whatever it claims. */
static void test_short(void **state)
{
	for (uint32_t size = 20; size <= sizeof(v4); size++) {
		uint8_t exact[64];

		memcpy(exact + sizeof(exact) - size, v4, size);
		(void)dp_flow_hash(exact + sizeof(exact) - size, size, 4);
	}
	for (uint32_t size = 40; size <= sizeof(v6); size++)
		for (unsigned length = 0; length < 256; length++) {
			uint8_t exact[64];

			memcpy(exact + sizeof(exact) - size, v6, size);
			if (size > 41)
				exact[sizeof(exact) - size + 41] = (uint8_t)length;
			(void)dp_flow_hash(exact + sizeof(exact) - size, size, 6);
		}
}

static unsigned choose(uint64_t flow, const uint32_t *tunnels, unsigned n, unsigned without)
{
	unsigned best = n;
	uint64_t most = 0;

	for (unsigned i = 0; i < n; i++) {
		const uint64_t weight = dp_flow_weight(flow, tunnels[i]);

		if (i != without && (best == n || weight > most)) {
			best = i;
			most = weight;
		}
	}
	return best;
}

static uint64_t flow_of(uint32_t i)
{
	uint8_t ip[sizeof(v4)];

	/* As a host opens them: one port after the other, then the next host. */
	memcpy(ip, v4, sizeof(v4));
	ip[15] = (uint8_t)(i >> 12);
	ip[20] = (uint8_t)(0x80 | (i >> 8 & 15));
	ip[21] = (uint8_t)i;
	return dp_flow_hash(ip, sizeof(v4), 4);
}

/* Neighbouring and distant tunnel numbers, two to eight: each within 5 % of its share. */
static void test_even(void **state)
{
	static const uint32_t sets[][8] = {
		{0, 1, 2, 3, 4, 5, 6, 7},
		{8, 16, 24, 32, 40, 48, 56, 64},
		{5, 70000, 99999, 3, 524288, 1, 12, 4096},
	};

	for (unsigned s = 0; s < 3; s++)
		for (unsigned n = 2; n <= 8; n++) {
			unsigned count[8] = {0};

			for (uint32_t i = 0; i < N_FLOWS; i++)
				count[choose(flow_of(i), sets[s], n, 8)]++;
			for (unsigned i = 0; i < n; i++) {
				if (count[i] * n > N_FLOWS * 105 / 100 ||
				    count[i] * n < N_FLOWS * 95 / 100)
					fail_msg("set %u: tunnel %u of %u has %u of %u", s, i, n,
						 count[i], N_FLOWS);
			}
		}
}

/* Without a tunnel its flows go to the others, evenly, and no other flow moves. */
static void test_resilient(void **state)
{
	static const uint32_t tunnels[] = {3, 4, 5, 6, 7};
	unsigned moved[5] = {0}, lost = 0;

	for (uint32_t i = 0; i < N_FLOWS; i++) {
		const unsigned before = choose(flow_of(i), tunnels, 5, 5);
		const unsigned after = choose(flow_of(i), tunnels, 5, 2);

		if (before != 2) {
			assert_int_equal(after, before);
			continue;
		}
		lost++;
		moved[after]++;
	}
	for (unsigned i = 0; i < 5; i++) {
		if (i != 2)
			assert_in_range(moved[i] * 4, lost * 90 / 100, lost * 110 / 100);
	}
}

/* One port for a flow, all ports by many, and another set of them by another secret. */
static void ports(void **state)
{
	static bool seen[1u << 14];
	unsigned n = 0, same = 0;

	for (uint64_t flow = 0; flow < 100000; flow++) {
		const uint16_t port = dp_flow_port(flow * 0x9e3779b97f4a7c15, 77);

		assert_true(port >= DP_FLOW_PORT_FIRST);
		n += !seen[port - DP_FLOW_PORT_FIRST];
		seen[port - DP_FLOW_PORT_FIRST] = true;
		assert_int_equal(dp_flow_port(flow * 0x9e3779b97f4a7c15, 77), port);
		same += dp_flow_port(flow * 0x9e3779b97f4a7c15, 0x123456789abcdef) == port;
	}
	assert_true(n > 16000);
	assert_true(same < 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),     cmocka_unit_test(test_fragments),
		cmocka_unit_test(test_short),     cmocka_unit_test(test_even),
		cmocka_unit_test(test_resilient), cmocka_unit_test(ports),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
