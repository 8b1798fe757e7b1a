/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A million prefixes from one neighbour, 100,000 static ones: memory for each, and that no step is more
 * than its share of work. The bounds on time are generous; what they catch is a step that became
 * quadratic, which would take minutes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "routing/routing.h"

#define N_STATIC   100000u
#define N_BGP      1000000u
#define PER_UPDATE 200u

static struct path_store *paths;

/* Every second /24 from 1.0.0.0. */
static struct ip_prefix nth(uint32_t i)
{
	const uint32_t a = 0x01000000u + i * 512u;

	return (struct ip_prefix){
		.addr = ip_v4((uint8_t)(a >> 24), (uint8_t)(a >> 16), (uint8_t)(a >> 8), 0),
		.len = 24,
	};
}

/* Sends and answers until nothing is left. Returns the number of routes. */
static size_t settle(struct rt *rt, struct rt_out *out)
{
	struct rt_route_op ops[RT_BATCH_MAX];
	struct rt_event ev = {.type = RT_EV_DP_RESULT, .now = {10}, .ok = true};
	const struct rt_event tick = {.type = RT_EV_TICK, .now = {10}};
	struct rt_show_stats stats;
	size_t n, all = 0;

	do {
		for (size_t i = 0; i < out->n; i++) {
			ev.request = out->actions[i].request;
			if (ev.request)
				rt_step(rt, &ev, out);
		}
		out->n = 0;
		n = rt_next_routes(rt, ops, RT_BATCH_MAX, &ev.request);
		rt_show_stats(rt, &stats);
		assert_int_equal(stats.n_unanswered, n);
		if (n)
			rt_step(rt, &ev, out);
		if (mono_reached(tick.now, rt_deadline(rt)))
			rt_step(rt, &tick, out);
		all += n;
	} while (n || out->n || mono_reached(tick.now, rt_deadline(rt)));
	rt_show_stats(rt, &stats);
	assert_int_equal(stats.n_waiting + stats.n_unanswered, 0);
	return all;
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

static void configure(struct rt *rt, uint32_t from, uint32_t n, struct rt_out *out)
{
	struct ip_prefix *p = calloc(n + 1, sizeof(*p));
	struct rt_connection_cfg c = {
		.name = "c",
		.n_tunnels = 2,
		.tunnels = {{.name = "t1", .tunnel = 1}, {.name = "t2", .tunnel = 2}},
		.prefixes = p,
		.n_prefixes = n,
		.revert_hold = span_s(3),
	};
	const struct rt_cfg cfg = {.connections = &c, .n_connections = 1};

	assert_non_null(p);
	for (uint32_t i = 0; i < n; i++)
		p[i] = nth(from + n - 1 - i);
	assert_true(rt_configure(rt, &cfg, (struct mono){1}, out));
	free(p);
}

static void static_prefixes(void **state)
{
	struct rt *rt;
	struct rt_out out = {0};
	struct rt_event ev = {.type = RT_EV_TUNNEL_UP, .now = {2}, .tunnel = 1};
	struct count c = {0};
	const struct mono start = mono_now();

	paths = path_store_new(1);
	rt = rt_new(paths, 2, NULL, NULL);
	assert_non_null(rt);
	configure(rt, 0, N_STATIC, &out);
	assert_int_equal(settle(rt, &out), N_STATIC);
	rt_show_routes(rt, count, &c);
	assert_int_equal(c.n, N_STATIC);
	assert_int_equal(c.installed, N_STATIC);

	/* Nothing but the group is touched by a tunnel's state. */
	rt_step(rt, &ev, &out);
	assert_int_equal(out.n, 2);
	assert_int_equal(out.actions[0].type, RT_ACT_GROUP_SET);
	assert_int_equal(settle(rt, &out), 0);

	/* Ten go, ten come. */
	configure(rt, 10, N_STATIC, &out);
	assert_int_equal(settle(rt, &out), 20);

	ev.type = RT_EV_DP_RESTARTED;
	rt_step(rt, &ev, &out);
	assert_int_equal(settle(rt, &out), N_STATIC);
	assert_true(span_to_ms(mono_since(mono_now(), start)) < 20000);
	rt_out_fini(&out);
	rt_free(rt);
	path_store_free(paths);
}

static void announce(struct rt *rt, uint32_t tunnel, uint32_t n)
{
	struct path_nlri nlri[PER_UPDATE];
	struct path_facts f = {.first_as = 65001, .as_path_length = 2};
	static const uint8_t none[1];

	for (uint32_t i = 0; i < n; i += PER_UPDATE) {
		struct path *p;

		f.med = i; /* few prefixes share their attributes */
		p = path_intern(paths, &f, none);
		for (uint32_t j = 0; j < PER_UPDATE; j++)
			nlri[j] = (struct path_nlri){.prefix = nth(i + j)};
		assert_int_equal(rt_announce(rt, tunnel, nlri, PER_UPDATE, p), PER_UPDATE);
		path_unref(paths, p);
	}
}

static double ms_since(struct mono start)
{
	return (double)mono_since(mono_now(), start).ns / 1e6;
}

static void bgp_prefixes(void **state)
{
	struct rt *rt;
	struct rt_out out = {0};
	struct rt_event ev = {.type = RT_EV_TUNNEL_UP, .now = {2}};
	struct rt_show_stats stats;
	struct mono start;
	double ms;

	paths = path_store_new(1);
	rt = rt_new(paths, 2, NULL, NULL);
	assert_non_null(rt);
	configure(rt, 0, 0, &out);
	for (ev.tunnel = 1; ev.tunnel <= 2; ev.tunnel++) {
		rt_step(rt, &ev, &out);
		rt_session_up(rt, ev.tunnel);
	}
	start = mono_now();
	announce(rt, 1, N_BGP);
	ms = ms_since(start);
	rt_show_stats(rt, &stats);
	print_message("# one candidate: %zu bytes a prefix, %.0f ns\n", stats.bytes / N_BGP, ms);
	assert_true(stats.bytes / N_BGP <= 80);
	start = mono_now();
	assert_int_equal(settle(rt, &out), N_BGP);
	print_message("# programmed: %.0f ns each\n", ms_since(start));

	start = mono_now();
	announce(rt, 2, N_BGP);
	rt_show_stats(rt, &stats);
	print_message("# two candidates: %zu bytes a prefix, %.0f ns\n", stats.bytes / N_BGP,
		      ms_since(start));
	assert_true(stats.bytes / N_BGP <= 106);
	assert_int_equal(settle(rt, &out), N_BGP);

	/* A tunnel's loss: one group, whatever stands behind it. */
	ev = (struct rt_event){.type = RT_EV_BFD_DOWN, .now = {3}, .tunnel = 1};
	start = mono_now();
	rt_step(rt, &ev, &out);
	ms = ms_since(start);
	print_message("# a tunnel's loss: %.0f us, %zu actions\n", ms * 1000, out.n);
	assert_true(out.n <= 6);
	assert_int_equal(out.actions[0].type, RT_ACT_GROUP_SET);

	/* Then its session's: at once, the rest in steps. */
	start = mono_now();
	assert_int_equal(rt_purge(rt, 1, false, false), 0);
	ev.type = RT_EV_BGP_DOWN;
	rt_step(rt, &ev, &out);
	print_message("# its routes: %.0f us\n", ms_since(start) * 1000);
	start = mono_now();
	assert_int_equal(settle(rt, &out), N_BGP);
	print_message("# swept and programmed: %.0f ms\n", ms_since(start));
	rt_show_stats(rt, &stats);
	assert_int_equal(stats.n_candidates, N_BGP);

	assert_int_equal(rt_purge(rt, 2, false, false), 0);
	assert_int_equal(settle(rt, &out), N_BGP);
	rt_show_stats(rt, &stats);
	assert_int_equal(stats.n_prefixes, 0);
	assert_int_equal(path_store_count(paths), 2);
	rt_out_fini(&out);
	rt_free(rt);
	assert_int_equal(path_store_count(paths), 0);
	path_store_free(paths);
}

/* While the ring takes nothing a session comes and falls: what is no news any more is passed over, a
 * bounded part in a call. */
static void news_that_aged(void **state)
{
	struct rt_route_op ops[RT_BATCH_MAX];
	struct rt_event ev = {.type = RT_EV_TUNNEL_UP, .now = {2}, .tunnel = 1};
	const struct rt_event tick = {.type = RT_EV_TICK, .now = {3}};
	struct rt_show_stats stats;
	struct rt_out out = {0};
	struct rt *rt;

	paths = path_store_new(1);
	rt = rt_new(paths, 2, NULL, NULL);
	assert_non_null(rt);
	configure(rt, 0, 0, &out);
	rt_step(rt, &ev, &out);
	rt_session_up(rt, 1);
	announce(rt, 1, N_STATIC);
	rt_step(rt, &tick, &out);
	assert_int_equal(rt_routes_waiting(rt), N_STATIC);
	assert_int_equal(rt_purge(rt, 1, false, false), 0);
	while (mono_reached(tick.now, rt_deadline(rt)))
		rt_step(rt, &tick, &out);
	for (size_t left = N_STATIC, now; left; left = now) {
		assert_int_equal(rt_next_routes(rt, ops, RT_BATCH_MAX, &ev.request), 0);
		now = rt_routes_waiting(rt);
		assert_true(now < left && left - now <= N_STATIC / 10);
		/* The caller asks again. */
		assert_true(mono_reached(tick.now, rt_deadline(rt)) == (now != 0));
		rt_step(rt, &tick, &out);
	}
	rt_show_stats(rt, &stats);
	assert_int_equal(stats.n_prefixes, 0);
	assert_int_equal(settle(rt, &out), 0);
	rt_out_fini(&out);
	rt_free(rt);
	path_store_free(paths);
}

/* Prefixes come and go at random: those that are there are found, the others are not. */
static void come_and_go(void **state)
{
	enum { N = 5000 };
	static bool there[N];
	struct rt_event ev = {.type = RT_EV_TUNNEL_UP, .now = {2}, .tunnel = 1};
	const struct path_facts f = {.first_as = 65001};
	static const uint8_t none[1];
	struct rt_out out = {0};
	struct rt_show_stats stats;
	uint64_t x = 88172645463325252u;
	size_t n = 0;
	struct rt *rt;
	struct path *p;

	paths = path_store_new(1);
	rt = rt_new(paths, 2, NULL, NULL);
	assert_non_null(rt);
	configure(rt, 0, 0, &out);
	rt_step(rt, &ev, &out);
	rt_session_up(rt, 1);
	p = path_intern(paths, &f, none);
	for (unsigned round = 0; round < 100000; round++) {
		struct path_nlri nlri = {0};
		uint32_t i;

		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		/* It grows for a while, then it shrinks, and so on. */
		i = (uint32_t)(x % N);
		nlri.prefix = nth(i);
		if ((x >> 32) % 8 < (round / 20000 % 2 ? 2 : 6)) {
			assert_int_equal(rt_announce(rt, 1, &nlri, 1, p), !there[i]);
			n += !there[i];
			there[i] = true;
		} else {
			assert_int_equal(rt_withdraw(rt, 1, &nlri, 1), there[i]);
			n -= there[i];
			there[i] = false;
		}
		if (round % 100 == 0)
			(void)settle(rt, &out);
	}
	(void)settle(rt, &out);
	rt_show_stats(rt, &stats);
	assert_int_equal(stats.n_prefixes, n);
	for (uint32_t i = 0; i < N; i++) {
		const struct ip_prefix prefix = nth(i);
		struct rt_show_route r;

		assert_int_equal(rt_show_route(rt, 0, &prefix, &r), there[i]);
	}
	path_unref(paths, p);
	rt_out_fini(&out);
	rt_free(rt);
	path_store_free(paths);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(static_prefixes),
		cmocka_unit_test(bgp_prefixes),
		cmocka_unit_test(news_that_aged),
		cmocka_unit_test(come_and_go),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
