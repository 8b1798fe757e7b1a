/* SPDX-License-Identifier: Apache-2.0 */
/* Echoes: when they are a failure, when it is over, and what is an answer. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>
#include "base/sum.h"
#include "routing/probe.h"

static struct mono at(unsigned ms)
{
	return (struct mono){UINT64_C(1000000000) + ms * UINT64_C(1000000)};
}

/* One turn: an echo, and its answer if `answered`. True if the state changed. */
static bool turn(struct probe *p, unsigned ms, bool answered)
{
	bool changed;

	assert_true(probe_due(p, at(ms)));
	changed = probe_tick(p, at(ms));
	assert_false(probe_due(p, at(ms + 99)));
	return (answered && probe_heard(p, p->sequence)) || changed;
}

static void hysteresis(void **state)
{
	struct probe p = {.sequence = 65535};

	probe_start(&p, span_ms(100), 3, at(0));
	assert_int_equal(p.state, PROBE_UNKNOWN);
	assert_true(turn(&p, 0, true));
	assert_int_equal(p.state, PROBE_WORKS);
	assert_int_equal(p.sequence, 0);
	/* Two are lost, one comes: no failure. */
	assert_false(turn(&p, 100, false) || turn(&p, 200, false) || turn(&p, 300, true));
	assert_false(turn(&p, 400, false) || turn(&p, 500, false) || turn(&p, 600, false));
	/* The third is judged when the fourth is due. */
	assert_true(turn(&p, 700, false));
	assert_int_equal(p.state, PROBE_FAILS);
	assert_false(turn(&p, 800, true) || turn(&p, 900, true) || turn(&p, 1000, false));
	assert_false(turn(&p, 1100, true) || turn(&p, 1200, true));
	assert_true(turn(&p, 1300, true));
	assert_int_equal(p.state, PROBE_WORKS);
	probe_stop(&p);
	assert_false(probe_due(&p, at(100000)));
	assert_int_equal(p.state, PROBE_UNKNOWN);
}

static void strange_answers(void **state)
{
	struct probe p = {.sequence = 7};

	probe_start(&p, span_ms(100), 1, at(0));
	assert_false(probe_heard(&p, 7)); /* before it was asked */
	(void)probe_tick(&p, at(0));
	assert_false(probe_heard(&p, 7)); /* of an earlier one */
	assert_true(probe_heard(&p, 8));
	assert_false(probe_heard(&p, 8)); /* twice */
}

static void packets(void **state)
{
	uint8_t b[PROBE_PACKET_SIZE];
	uint16_t sequence;

	probe_packet(false, 0x1234, 0x5678, b);
	assert_int_equal(b[0], 8);
	assert_int_equal(sum_finish(sum_add(0, b, sizeof(b))), 0);
	assert_false(probe_parse(false, 0x1234, b, sizeof(b), &sequence)); /* a request */
	b[0] = 0;
	assert_true(probe_parse(false, 0x1234, b, sizeof(b), &sequence));
	assert_int_equal(sequence, 0x5678);
	assert_false(probe_parse(false, 0x1235, b, sizeof(b), &sequence));
	for (size_t n = 0; n < sizeof(b); n++)
		assert_false(probe_parse(false, 0x1234, b, n, &sequence));
	probe_packet(true, 1, 2, b);
	assert_int_equal(b[0], 128);
	b[0] = 129;
	assert_true(probe_parse(true, 1, b, sizeof(b), &sequence));
	assert_false(probe_parse(false, 1, b, sizeof(b), &sequence));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hysteresis),
		cmocka_unit_test(strange_answers),
		cmocka_unit_test(packets),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
