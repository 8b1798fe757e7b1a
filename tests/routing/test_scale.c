/* SPDX-License-Identifier: Apache-2.0 */
/*
 * 100,000 prefixes: configured, acknowledged, changed, and moved by one message. The bound on time
 * is generous; what it catches is a step that became quadratic, which would take minutes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "routing/routing.h"

#define N 100000u

static struct ip_prefix *prefixes(uint32_t from, uint32_t n)
{
	struct ip_prefix *p = calloc(n, sizeof(*p));

	assert_non_null(p);
	/* Every second /24 from 10.0.0.0, in reverse order. */
	for (uint32_t i = 0; i < n; i++) {
		const uint32_t a = 0x0a000000u + (from + n - 1 - i) * 512u;

		p[i].addr = ip_v4((uint8_t)(a >> 24), (uint8_t)(a >> 16), (uint8_t)(a >> 8), 0);
		p[i].len = 24;
	}
	return p;
}

static void answer(struct rt *rt, struct rt_out *out, bool backwards)
{
	struct rt_out none = {0};

	for (size_t i = 0; i < out->n; i++) {
		/* The last thousand, so that an answer out of order is seen, too. */
		const size_t k = backwards && i >= out->n - 1000 ? 2 * out->n - 1001 - i : i;
		const struct rt_event ev = {
			.type = RT_EV_DP_RESULT,
			.request = out->actions[k].request,
			.ok = true,
		};

		if (ev.request)
			rt_step(rt, &ev, &none);
	}
	assert_int_equal(none.n, 0);
	out->n = 0;
}

struct count {
	size_t n, installed;
};

static bool count(void *ctx, const struct rt_show_route *r)
{
	struct count *c = ctx;

	c->n++;
	c->installed += r->installed;
	return true;
}

static size_t count_type(const struct rt_out *out, enum rt_action_type type)
{
	size_t n = 0;

	for (size_t i = 0; i < out->n; i++)
		n += out->actions[i].type == type;
	return n;
}

static void configure(struct rt *rt, uint32_t from, struct rt_out *out)
{
	struct ip_prefix *p = prefixes(from, N);
	struct rt_connection_cfg cfg = {
		.name = "c",
		.n_tunnels = 2,
		.tunnels = {{.name = "t1", .tunnel = 1}, {.name = "t2", .tunnel = 2}},
		.prefixes = p,
		.n_prefixes = N,
		.revert_hold = span_s(3),
	};

	assert_true(rt_configure(rt, &cfg, 1, (struct mono){1}, out));
	free(p);
}

static void many_prefixes(void **state)
{
	struct rt *rt = rt_new(NULL);
	struct rt_out out = {0};
	struct rt_event ev = {.type = RT_EV_TUNNEL_UP, .now = {2}, .tunnel = 1};
	struct count c = {0};
	const struct mono start = mono_now();

	assert_non_null(rt);
	configure(rt, 0, &out);
	assert_int_equal(count_type(&out, RT_ACT_ROUTE_SET), N);
	answer(rt, &out, true);
	rt_show_routes(rt, count, &c);
	assert_int_equal(c.n, N);
	assert_int_equal(c.installed, N);

	/* Nothing but the group is touched by a tunnel's state. */
	rt_step(rt, &ev, &out);
	assert_int_equal(out.n, 2);
	assert_int_equal(out.actions[0].type, RT_ACT_GROUP_SET);
	answer(rt, &out, false);

	/* Ten go, ten come: twenty actions. */
	configure(rt, 10, &out);
	assert_int_equal(out.n, 20);
	assert_int_equal(count_type(&out, RT_ACT_ROUTE_DEL), 10);
	assert_int_equal(out.actions[19].type, RT_ACT_ROUTE_DEL);
	answer(rt, &out, false);

	ev.type = RT_EV_DP_RESTARTED;
	rt_step(rt, &ev, &out);
	assert_int_equal(count_type(&out, RT_ACT_ROUTE_SET), N);
	answer(rt, &out, false);
	assert_true(span_to_ms(mono_since(mono_now(), start)) < 5000);
	rt_out_fini(&out);
	rt_free(rt);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(many_prefixes)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
