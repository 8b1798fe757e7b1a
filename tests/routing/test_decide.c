/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The decision: two or more candidates of 10.0.0.0/8, which one wins, and the step that decided. Each
 * step has a row that goes the other way if the step is left out. Then random candidates: the order of
 * their arrival changes nothing, and the best is what a naive reading of the steps says.
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

#define ABSENT    UINT32_MAX
#define MAX_PATHS 4

struct world {
	struct path_store *paths;
	struct rt *rt;
	struct rt_out out;
};

struct given {
	uint32_t tunnel; /* 0: none */
	uint32_t local_pref, length, origin, med, first_as;
	bool shutdown;
	uint32_t path_id;
};

static struct ip_prefix prefix(const char *s)
{
	struct ip_prefix p;

	assert_true(ip_prefix_parse(s, &p));
	return p;
}

/*
 * Connections: a with tunnels 6 and 5 in this order, b with 3, c with 4 (iBGP), d with 7 (direct
 * connect), s with 8 and a static route.
 */
static void setup(struct world *w, enum rt_role role, bool ecmp, const char *fixed,
		  const char *local)
{
	struct ip_prefix statics[1], locals[1];
	struct rt_connection_cfg c[5] = {
		{.name = "a",
		 .tunnels = {{.name = "t6", .tunnel = 6}, {.name = "t5", .tunnel = 5}},
		 .n_tunnels = 2},
		{.name = "b", .tunnels = {{.name = "t3", .tunnel = 3}}, .n_tunnels = 1},
		{.name = "c",
		 .tunnels = {{.name = "t4", .tunnel = 4, .ibgp = true}},
		 .n_tunnels = 1},
		{.name = "d",
		 .tunnels = {{.name = "t7", .tunnel = 7}},
		 .n_tunnels = 1,
		 .attachment = RT_ATTACH_DIRECT_CONNECT},
		{.name = "s", .tunnels = {{.name = "t8", .tunnel = 8}}, .n_tunnels = 1},
	};
	struct rt_cfg cfg = {.role = role, .ecmp = ecmp, .connections = c, .n_connections = 5};

	if (fixed) {
		statics[0] = prefix(fixed);
		c[4].prefixes = statics;
		c[4].n_prefixes = 1;
	}
	if (local) {
		locals[0] = prefix(local);
		cfg.local = locals;
		cfg.n_local = 1;
	}
	w->out = (struct rt_out){0};
	w->paths = path_store_new(7);
	w->rt = rt_new(w->paths, 8, NULL, NULL);
	assert_non_null(w->rt);
	assert_true(rt_configure(w->rt, &cfg, (struct mono){1}, &w->out));
	for (uint32_t t = 3; t <= 8; t++) {
		const struct rt_event up = {.type = RT_EV_TUNNEL_UP, .now = {1}, .tunnel = t};

		rt_step(w->rt, &up, &w->out);
		rt_session_up(w->rt, t);
	}
}

static void teardown(struct world *w)
{
	rt_out_fini(&w->out);
	rt_free(w->rt);
	assert_int_equal(path_store_count(w->paths), 0);
	path_store_free(w->paths);
}

static void announce(struct world *w, const struct given *g)
{
	static const uint8_t shutdown[4] = {0xff, 0xff, 0, 0};
	struct path_nlri nlri = {.prefix = prefix("10.0.0.0/8"), .path_id = g->path_id};
	struct path_facts f = {
		.origin = (uint8_t)g->origin,
		.as_path_length = (uint16_t)g->length,
		.first_as = g->first_as,
	};
	struct path *p;

	if (g->local_pref != ABSENT) {
		f.flags |= PATH_HAS_LOCAL_PREF;
		f.local_pref = g->local_pref;
	}
	if (g->med != ABSENT) {
		f.flags |= PATH_HAS_MED;
		f.med = g->med;
	}
	if (g->shutdown)
		f.communities_size = 4;
	p = path_intern(w->paths, &f, shutdown);
	assert_non_null(p);
	(void)rt_announce(w->rt, g->tunnel, &nlri, 1, p);
	path_unref(w->paths, p);
}

struct told {
	struct rt_candidate c[16];
	size_t n;
};

static bool take(void *ctx, const struct rt_candidate *c)
{
	struct told *t = ctx;

	assert_true(t->n < 16);
	t->c[t->n++] = *c;
	return true;
}

#define VGW RT_ROLE_VIRTUAL_PRIVATE
#define TGW RT_ROLE_TRANSIT
#define CGW RT_ROLE_CUSTOMER
#define P(t, pref, len, org, m, as)                                                                \
	{                                                                                          \
		.tunnel = (t), .local_pref = (pref), .length = (len), .origin = (org), .med = (m), \
		.first_as = (as)                                                                   \
	}
#define X ABSENT

static const struct {
	enum rt_role role;
	const char *fixed, *local;
	struct given g[MAX_PATHS];
	uint32_t best; /* tunnel */
	enum rt_decision_step step;
} rows[] = {
	{CGW, NULL, NULL, {P(3, X, 1, 0, X, 1)}, 3, RT_STEP_NONE},
	/* Ours, exactly or around it. */
	{VGW, NULL, "10.0.0.0/8", {P(3, X, 1, 0, X, 1)}, X, RT_STEP_NONE},
	{VGW, "10.0.0.0/8", "10.0.0.0/8", {P(3, X, 1, 0, X, 1)}, X, RT_STEP_LOCAL},
	/* Static before VPN by BGP; direct connect before static, but not at a transit gateway. */
	{CGW, "10.0.0.0/8", NULL, {P(3, 500, 0, 0, 0, 1)}, 8, RT_STEP_SOURCE},
	{VGW, "10.0.0.0/8", NULL, {P(7, X, 9, 0, X, 1)}, 7, RT_STEP_SOURCE},
	{TGW, "10.0.0.0/8", NULL, {P(7, X, 1, 0, X, 1)}, 8, RT_STEP_SOURCE},
	{TGW, NULL, NULL, {P(3, 500, 1, 0, X, 1), P(7, X, 9, 0, X, 1)}, 7, RT_STEP_SOURCE},
	/* Local preference: 100 if missing, 0 in graceful shutdown (RFC 8326). */
	{CGW, NULL, NULL, {P(5, 101, 9, 0, X, 1), P(6, X, 1, 0, X, 1)}, 5, RT_STEP_LOCAL_PREF},
	{CGW, NULL, NULL, {P(5, X, 9, 0, X, 1), P(6, 99, 1, 0, X, 1)}, 5, RT_STEP_LOCAL_PREF},
	{CGW,
	 NULL,
	 NULL,
	 {P(5, X, 9, 0, X, 1),
	  {.tunnel = 6, .local_pref = 900, .length = 1, .med = X, .first_as = 1, .shutdown = true}},
	 5,
	 RT_STEP_LOCAL_PREF},
	{CGW, NULL, NULL, {P(5, X, 2, 2, 900, 1), P(6, X, 3, 0, 0, 1)}, 5, RT_STEP_AS_PATH},
	{CGW, NULL, NULL, {P(5, X, 2, 0, 900, 1), P(6, X, 2, 2, 0, 1)}, 5, RT_STEP_ORIGIN},
	/* MED: 100 if missing; between one first AS only, but always at a transit gateway. */
	{CGW, NULL, NULL, {P(5, X, 2, 0, 99, 1), P(6, X, 2, 0, X, 1)}, 5, RT_STEP_MED},
	{CGW, NULL, NULL, {P(5, X, 2, 0, X, 1), P(6, X, 2, 0, 101, 1)}, 5, RT_STEP_MED},
	{VGW, NULL, NULL, {P(5, X, 2, 0, 1, 1), P(6, X, 2, 0, 2, 2)}, 6, RT_STEP_TUNNEL},
	{TGW, NULL, NULL, {P(5, X, 2, 0, 1, 1), P(6, X, 2, 0, 2, 2)}, 5, RT_STEP_MED},
	/* Each pair says otherwise than the three: 6 is out by 5, so that 3 is left with 5. */
	{VGW,
	 NULL,
	 NULL,
	 {P(6, X, 2, 0, 2, 1), P(3, X, 2, 0, 0, 2), P(5, X, 2, 0, 1, 1)},
	 5,
	 RT_STEP_CONNECTION},
	{CGW, NULL, NULL, {P(4, X, 2, 0, X, 1), P(3, X, 2, 0, X, 1)}, 3, RT_STEP_EBGP},
	{CGW, NULL, NULL, {P(4, X, 2, 0, X, 1), P(7, X, 2, 0, X, 1)}, 7, RT_STEP_SOURCE},
	/* As configured: the connection, then its order of tunnels, not their numbers. */
	{CGW, NULL, NULL, {P(3, X, 2, 0, X, 1), P(5, X, 2, 0, X, 1)}, 5, RT_STEP_CONNECTION},
	{CGW, NULL, NULL, {P(5, X, 2, 0, X, 1), P(6, X, 2, 0, X, 1)}, 6, RT_STEP_TUNNEL},
};

static void each_step(void **state)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		for (int backwards = 0; backwards < 2; backwards++) {
			struct world w;
			struct told t = {.n = 0};
			const struct ip_prefix p = prefix("10.0.0.0/8");

			setup(&w, rows[i].role, false, rows[i].fixed, rows[i].local);
			for (int k = 0; k < MAX_PATHS; k++) {
				const struct given *g =
					&rows[i].g[backwards ? MAX_PATHS - 1 - k : k];

				if (g->tunnel)
					announce(&w, g);
			}
			assert_true(rt_explain(w.rt, 0, &p, take, &t));
			if (!t.c[0].best || t.c[0].tunnel != rows[i].best ||
			    t.c[0].step != rows[i].step)
				fail_msg("row %zu: tunnel %d by '%s'", i, (int)t.c[0].tunnel,
					 rt_decision_step_name(t.c[0].step));
			teardown(&w);
		}
	}
}

/* Which of two is better by the steps below MED, in plain words; all have one first AS. */
static bool better(const struct given *a, const struct given *b)
{
	static const uint32_t order[] = {[6] = 0, [5] = 1, [3] = 2, [4] = 3};
	const uint32_t pa = a->shutdown ? 0 : a->local_pref == ABSENT ? 100 : a->local_pref;
	const uint32_t pb = b->shutdown ? 0 : b->local_pref == ABSENT ? 100 : b->local_pref;
	const uint32_t ma = a->med == ABSENT ? 100 : a->med, mb = b->med == ABSENT ? 100 : b->med;

	if (pa != pb)
		return pa > pb;
	if (a->length != b->length)
		return a->length < b->length;
	if (a->origin != b->origin)
		return a->origin < b->origin;
	if (ma != mb)
		return ma < mb;
	if ((a->tunnel == 4) != (b->tunnel == 4))
		return b->tunnel == 4;
	if (a->tunnel != b->tunnel)
		return order[a->tunnel] < order[b->tunnel];
	return a->path_id < b->path_id;
}

/* Announced, changed and withdrawn at random: at each moment the whole order is the model's. */
static void against_a_model(void **state)
{
	struct given known[4][3] = {0};
	const struct ip_prefix p = prefix("10.0.0.0/8");
	struct world w;

	srand(1);
	setup(&w, CGW, false, NULL, NULL);
	for (int round = 0; round < 3000; round++) {
		struct given *g = &known[rand() % 4][rand() % 3], *sorted[12], *swap;
		struct told t = {.n = 0};
		size_t n = 0;

		if (g->tunnel && rand() % 3 == 0) {
			const struct path_nlri nlri = {.prefix = p, .path_id = g->path_id};

			assert_int_equal(rt_withdraw(w.rt, g->tunnel, &nlri, 1), 1);
			g->tunnel = 0;
		} else {
			const size_t at = (size_t)(g - &known[0][0]);

			*g = (struct given){
				.tunnel = 3 + (uint32_t)at / 3,
				.path_id = (uint32_t)at % 3,
				.local_pref = rand() % 2 ? ABSENT : 99 + (uint32_t)rand() % 3,
				.length = 1 + (uint32_t)rand() % 2,
				.origin = (uint32_t)rand() % 2,
				.med = rand() % 2 ? ABSENT : 99 + (uint32_t)rand() % 3,
				.first_as = 1,
				.shutdown = rand() % 8 == 0,
			};
			announce(&w, g);
		}
		for (int i = 0; i < 12; i++)
			if (known[i / 3][i % 3].tunnel)
				sorted[n++] = &known[i / 3][i % 3];
		for (size_t i = 0; i < n; i++)
			for (size_t j = i + 1; j < n; j++)
				if (better(sorted[j], sorted[i])) {
					swap = sorted[i];
					sorted[i] = sorted[j];
					sorted[j] = swap;
				}
		assert_true(rt_explain(w.rt, 0, &p, take, &t) == (n > 0));
		assert_int_equal(t.n, n);
		for (size_t i = 0; i < n && i < 8; i++) {
			assert_int_equal(t.c[i].tunnel, sorted[i]->tunnel);
			assert_int_equal(t.c[i].path_id, sorted[i]->path_id);
		}
	}
	teardown(&w);
}

/* Equal paths of one AS share; a longer one stands behind as backup. */
static void sharing(void **state)
{
	static const struct given g[] = {P(3, X, 1, 0, X, 1), P(6, X, 1, 0, X, 1),
					 P(5, X, 1, 0, X, 2), P(4, X, 2, 0, X, 1)};
	const struct rt_event tick = {.type = RT_EV_TICK, .now = {2}};
	const struct rt_action *a;
	struct world w;

	setup(&w, TGW, true, NULL, NULL);
	w.out.n = 0;
	for (size_t i = 0; i < 4; i++)
		announce(&w, &g[i]);
	rt_step(w.rt, &tick, &w.out);
	a = &w.out.actions[w.out.n - 1];
	assert_int_equal(a->type, RT_ACT_GROUP_SET);
	assert_int_equal(a->group.n, 4);
	assert_int_equal(a->group.n_ecmp, 2);
	assert_int_equal(a->group.tunnels[0], 6);
	assert_int_equal(a->group.tunnels[1], 3);
	assert_int_equal(a->group.tunnels[2], 5);
	assert_int_equal(a->group.tunnels[3], 4);
	teardown(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_step),
		cmocka_unit_test(against_a_model),
		cmocka_unit_test(sharing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
