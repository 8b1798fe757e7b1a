/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of dataplane/gate.h: floods of each kind, and who gets through them. The clock is the test's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "base/secret.h"
#include "config/config.h"
#include "dataplane/drops.h"
#include "dataplane/gate.h"
#include "dataplane/peers.h"
#include "dataplane/random.h"

#define HZ    UINT64_C(1000000000)
#define FLOOD 363000u /* a second */
#define SIZE  240u

static struct dp_random rng;
static struct dp_peers *peers;
static struct dp_gate gate;
static uint64_t now;

static const struct ip_addr peer = {IP_V4, {198, 51, 100, 1}};
static const struct ip_addr stranger = {IP_V6, {0x20, 1, 0xd, 0xb8}};

static int begin(void **state)
{
	now = 1000 * HZ;
	return dp_gate_init(&gate, HZ, 1, &rng) ? 0 : -1;
}

static int finish(void **state)
{
	dp_gate_fini(&gate);
	return 0;
}

static void message(uint8_t m[SIZE], uint64_t spi_i, uint64_t spi_r, uint8_t exchange,
		    uint8_t flags)
{
	memset(m, 0, SIZE);
	memcpy(m, &spi_i, 8);
	memcpy(m + 8, &spi_r, 8);
	m[16] = 33;
	m[17] = 0x20;
	m[18] = exchange;
	m[19] = flags;
}

static unsigned pass(const struct ip_addr *from, const uint8_t *m, size_t size)
{
	return dp_gate_pass(&gate, peers, from, m, size, now);
}

/* Whoever sends what nobody asked for, each from elsewhere, for `ms`. Returns how many got through. */
static unsigned flood(unsigned ms, uint64_t spi_r, uint8_t first_payload)
{
	const unsigned n = FLOOD / 1000 * ms;
	unsigned through = 0;
	uint8_t m[SIZE];

	for (unsigned i = 0; i < n; i++) {
		struct ip_addr from = {.family = IP_V4};
		uint64_t spi;

		dp_random_fill(&rng, from.b, 4);
		dp_random_fill(&rng, (uint8_t *)&spi, sizeof(spi));
		message(m, spi, spi_r, 34, 0x08);
		m[16] = first_payload;
		now += HZ / FLOOD;
		through += pass(&from, m, SIZE) == 0;
	}
	return through;
}

static void first_requests(void **state)
{
	uint8_t m[SIZE], cookie[SIZE];
	unsigned n;

	message(m, 7, 0, 34, 0x08);
	flood(100, 0, 33);
	assert_int_equal(pass(&peer, m, SIZE), 0); /* at once */
	assert_int_equal(pass(&stranger, m, SIZE), DP_DROP_IKE_FIRST);
	n = flood(500, 0, 33);
	assert_in_range(n, 4000, 6000); /* the rate, and those that only look like repetitions */
	assert_int_equal(pass(&stranger, m, SIZE), 0); /* repeated */
	memcpy(cookie, m, SIZE);
	cookie[16] = 41; /* N(COOKIE) first */
	cookie[28 + 6] = 16390 >> 8;
	cookie[28 + 7] = 16390 & 0xff;
	assert_int_equal(pass(&stranger, cookie, SIZE), 0);
	message(m, 7, 9, 35, 0x08); /* IKE_AUTH */
	assert_int_equal(pass(&stranger, m, SIZE), 0);
	message(m, 7, 0, 34, 0x20); /* a COOKIE or an error for us as initiator */
	assert_int_equal(pass(&stranger, m, SIZE), 0);
}

/* strongSwan repeats after 4 s: so long it is remembered, and not for ever. */
static void memory(void **state)
{
	uint8_t m[SIZE];
	unsigned early = 0, late = 0, later = 0;

	for (uint64_t i = 1; i <= 50; i++) {
		flood(100, 0, 33);
		message(m, i, 0, 34, 0x08);
		early += pass(&stranger, m, SIZE) == 0;
	}
	/* Of some ten thousand, one is taken for a repetition. */
	assert_in_range(early, 0, 2);
	/* All within the last 5 s; the rate of repetitions is not yet used up by those of the flood. */
	for (uint64_t i = 1; i <= 50; i++) {
		message(m, i, 0, 34, 0x08);
		late += pass(&stranger, m, SIZE) == 0;
	}
	assert_int_equal(late, 50);
	now += 11 * HZ;
	flood(100, 0, 33);
	for (uint64_t i = 1; i <= 50; i++) {
		message(m, i, 0, 34, 0x08);
		later += pass(&stranger, m, SIZE) == 0;
	}
	assert_in_range(later, 0, 3);
}

/* A flood of what looks like more than first requests has a rate of its own; so has what is no IKE. */
static void others(void **state)
{
	uint8_t m[SIZE];

	message(m, 7, 0, 34, 0x08);
	assert_in_range(flood(1000, 5, 33), 50000, 60000);
	assert_int_equal(pass(&stranger, m, SIZE), 0);
	assert_int_equal(pass(&peer, m, SIZE), 0);
	message(m, 7, 9, 35, 0x08);
	assert_int_equal(pass(&stranger, m, SIZE), DP_DROP_IKE_UNDER_WAY);
	assert_int_equal(pass(&peer, m, SIZE), 0);
	for (int i = 0; i < 5000; i++)
		(void)pass(&stranger, m, 5);
	assert_int_equal(pass(&stranger, m, 5), DP_DROP_IKE_FIRST);
	assert_int_equal(pass(&stranger, m, 0), DP_DROP_IKE_FIRST);
}

/* Who spoofs a peer's address takes that peer's rate, and nobody else's. */
static void in_the_name_of_a_peer(void **state)
{
	uint8_t m[SIZE];
	unsigned n = 0;

	for (uint64_t i = 0; i < FLOOD; i++) {
		message(m, i, i, 35, 0x08);
		now += HZ / FLOOD;
		n += pass(&peer, m, SIZE) == 0;
	}
	assert_in_range(n, 90000, 110000); /* those of peers, and those of all */
	message(m, 7, 0, 34, 0x08);
	assert_int_equal(pass(&stranger, m, SIZE), 0);
}

int main(void)
{
	static struct config_connection connection = {.n_tunnels = 2};
	static struct config config = {.connections = &connection, .n_connections = 1};
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(first_requests, begin, finish),
		cmocka_unit_test_setup_teardown(memory, begin, finish),
		cmocka_unit_test_setup_teardown(others, begin, finish),
		cmocka_unit_test_setup_teardown(in_the_name_of_a_peer, begin, finish),
	};
	int failed;

	connection.tunnels[0].remote = peer; /* the other one's is not known */
	if (!secret_init() || !(peers = dp_peers_of(&config)))
		return 1;
	dp_random_init(&rng);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	free(peers);
	return failed;
}
