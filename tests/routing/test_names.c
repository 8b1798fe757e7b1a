/* SPDX-License-Identifier: Apache-2.0 */
/* Prefixes with other names at the peer: what is kept, told, shown, and taken back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "base/sb.h"
#include "routing/routing.h"

static char text[4096];
static struct sb said;

static struct ip_prefix prefix(const char *s)
{
	struct ip_prefix p;

	assert_true(ip_prefix_parse(s, &p));
	return p;
}

static struct path_nlri nlri(const char *s)
{
	return (struct path_nlri){.prefix = prefix(s)};
}

static bool advertise(void *ctx, uint32_t tunnel, const struct ip_prefix *p, struct path *path)
{
	char buf[IP_PREFIX_STRLEN];

	sb_printf(&said, "%u%c%s ", tunnel, path ? '+' : '-', ip_prefix_format(p, buf));
	return true;
}

struct world {
	struct path_store *paths;
	struct path *path;
	struct rt *rt;
	struct rt_out out;
	struct translation names[2];
	struct ip_prefix own, statics[3];
	struct rt_filter in;
	struct rt_connection_cfg c[2];
	struct rt_cfg cfg;
	struct mono now;
};

/* Two customers with 10.2.0.0/16; ours is 10.1.0.0/16 here and 100.99.0.0/16 there. */
static void begin(struct world *w)
{
	const struct rt_export ex = {.advertise = advertise};
	const struct path_facts f = {.as_path_length = 1, .first_as = 65001};

	*w = (struct world){.now = {1}};
	w->paths = path_store_new(1);
	w->path = path_intern(w->paths, &f, (const uint8_t *)"");
	w->rt = rt_new(w->paths, 1, &ex, NULL);
	w->own = prefix("10.1.0.0/16");
	w->in = (struct rt_filter){
		.prefix = prefix("10.2.0.0/16"), .min_len = 16, .max_len = 24, .permit = true};
	for (unsigned i = 0; i < 2; i++) {
		struct rt_connection_cfg *c = &w->c[i];
		struct rt_tunnel_cfg *t = &c->tunnels[0];

		*c = (struct rt_connection_cfg){
			.name = {(char)('a' + i)},
			.n_tunnels = 1,
			.cloudhub = true,
			.advertise = &w->own,
			.n_advertise = 1,
			.in = &w->in,
			.n_in = 1,
		};
		t->name[0] = (char)('t' + i);
		t->tunnel = i;
		t->n_translate = 2;
		t->translate[0] = (struct translation){
			.side = TRANSLATION_THEIRS,
			.here = prefix(i ? "100.65.0.0/16" : "100.64.0.0/16"),
			.there = prefix("10.2.0.0/16"),
		};
		t->translate[1] = (struct translation){
			.side = TRANSLATION_OURS,
			.here = prefix("10.1.0.0/16"),
			.there = prefix("100.99.0.0/16"),
		};
	}
	w->cfg = (struct rt_cfg){.connections = w->c, .n_connections = 2};
	said = sb_of(text, sizeof(text));
}

static void end(struct world *w)
{
	path_unref(w->paths, w->path);
	rt_out_fini(&w->out);
	rt_free(w->rt);
	path_store_free(w->paths);
}

static void configure(struct world *w)
{
	w->out.n = 0;
	assert_true(rt_configure(w->rt, &w->cfg, w->now, &w->out));
}

static void tick(struct world *w)
{
	const struct rt_event ev = {.type = RT_EV_TICK, .now = w->now};

	rt_step(w->rt, &ev, &w->out);
}

static void expect_told(struct world *w, const char *want)
{
	tick(w);
	assert_string_equal(said.buf, want);
	said = sb_of(text, sizeof(text));
}

/* "here<there" of each route, in order. */
static bool put_route(void *ctx, const struct rt_show_route *r)
{
	char here[IP_PREFIX_STRLEN], there[IP_PREFIX_STRLEN];

	sb_printf(ctx, "%s%s%s ", ip_prefix_format(&r->prefix, here),
		  r->there.addr.family != IP_NONE ? "<" : "",
		  r->there.addr.family != IP_NONE ? ip_prefix_format(&r->there, there) : "");
	return true;
}

static void expect_routes(struct world *w, const char *want)
{
	char buf[1024];
	struct sb s = sb_of(buf, sizeof(buf));

	tick(w);
	rt_show_routes(w->rt, put_route, &s);
	assert_string_equal(buf, want);
}

static unsigned resets(const struct world *w)
{
	unsigned bits = 0;

	for (size_t i = 0; i < w->out.n; i++)
		if (w->out.actions[i].type == RT_ACT_RESET)
			bits |= 1u << w->out.actions[i].reset.tunnel;
	return bits;
}

/* Both announce one network; each has it under a name of its own, and the other hears that. */
static void test_announced(void **state)
{
	const struct path_nlri some[] = {nlri("10.2.0.0/16"), nlri("10.2.3.0/24")};
	struct world w;

	begin(&w);
	configure(&w);
	rt_session_up(w.rt, 0);
	rt_session_up(w.rt, 1);
	expect_told(&w, "0+100.99.0.0/16 1+100.99.0.0/16 ");
	assert_int_equal(rt_announce(w.rt, 0, some, 2, w.path), 2);
	expect_told(&w, "0-100.64.0.0/16 1+100.64.0.0/16 0-100.64.3.0/24 1+100.64.3.0/24 ");
	assert_int_equal(rt_announce(w.rt, 0, some, 2, w.path), 0);
	assert_int_equal(rt_announce(w.rt, 1, some, 1, w.path), 1);
	expect_routes(&w, "100.64.0.0/16<10.2.0.0/16 100.64.3.0/24<10.2.3.0/24 "
			  "100.65.0.0/16<10.2.0.0/16 ");
	assert_int_equal(rt_withdraw(w.rt, 0, some, 2), 2);
	assert_int_equal(rt_withdraw(w.rt, 0, some, 2), 0);
	expect_routes(&w, "100.65.0.0/16<10.2.0.0/16 ");
	end(&w);
}

/* The filter looks at what was said; a name that is another network's here is not accepted at all. */
static void test_refused(void **state)
{
	const struct path_nlri some[] = {nlri("100.64.7.0/24"), nlri("10.9.0.0/16"),
					 nlri("0.0.0.0/0")};
	struct rt_show_tunnel show;
	struct world w;

	begin(&w);
	configure(&w);
	rt_session_up(w.rt, 0);
	assert_int_equal(rt_announce(w.rt, 0, some, 2, w.path), 0);
	assert_true(rt_show_tunnel(w.rt, 0, &show));
	assert_int_equal(show.refused, 2);
	w.in = (struct rt_filter){.prefix = prefix("0.0.0.0/0"), .max_len = 32, .permit = true};
	configure(&w);
	assert_int_equal(rt_announce(w.rt, 0, some, 3, w.path), 2);
	assert_int_equal(rt_withdraw(w.rt, 0, some, 1), 0);
	expect_routes(&w, "0.0.0.0/0 10.9.0.0/16 ");
	end(&w);
}

/* Of what the others have, nothing is told by a name that means something else at the neighbour. */
static void test_taken_there(void **state)
{
	const struct path_nlri some[] = {nlri("100.99.5.0/24"), nlri("10.1.5.0/24")};
	struct world w;

	begin(&w);
	w.in = (struct rt_filter){.prefix = prefix("0.0.0.0/0"), .max_len = 32, .permit = true};
	w.c[1].tunnels[0].n_translate = 0;
	configure(&w);
	rt_session_up(w.rt, 0);
	expect_told(&w, "0+100.99.0.0/16 ");
	assert_int_equal(rt_announce(w.rt, 1, some, 2, w.path), 2);
	expect_told(&w, "0+100.99.5.0/24 "); /* which is 10.1.5.0/24 */
	end(&w);
}

static void test_statics(void **state)
{
	struct world w;

	begin(&w);
	w.statics[0] = prefix("10.2.0.0/17");
	w.statics[1] = prefix("100.64.0.0/24"); /* that name is taken */
	w.statics[2] = prefix("10.7.0.0/16");
	w.c[0].prefixes = w.statics;
	w.c[0].n_prefixes = 3;
	w.c[1].prefixes = w.statics;
	w.c[1].n_prefixes = 1;
	configure(&w);
	expect_routes(&w, "10.7.0.0/16 100.64.0.0/17<10.2.0.0/17 100.65.0.0/17<10.2.0.0/17 ");
	end(&w);
}

/* Other rules: static routes have other names at once, a session starts anew; equal ones change nothing. */
static void test_changed(void **state)
{
	const struct path_nlri some = nlri("10.2.3.0/24");
	struct world w;

	begin(&w);
	w.statics[0] = prefix("10.2.0.0/17");
	w.c[0].prefixes = w.statics;
	w.c[0].n_prefixes = 1;
	configure(&w);
	rt_session_up(w.rt, 0);
	rt_session_up(w.rt, 1);
	assert_int_equal(rt_announce(w.rt, 0, &some, 1, w.path), 1);
	assert_int_equal(rt_announce(w.rt, 1, &some, 1, w.path), 1);
	configure(&w);
	assert_int_equal(resets(&w), 0);
	expect_routes(&w, "100.64.0.0/17<10.2.0.0/17 100.64.3.0/24<10.2.3.0/24 "
			  "100.65.3.0/24<10.2.3.0/24 ");
	w.c[0].tunnels[0].n_translate = 0;
	configure(&w);
	assert_int_equal(resets(&w), 1);
	assert_int_equal(w.out.actions[0].type, RT_ACT_TUNNEL_SET);
	assert_int_equal(w.out.actions[0].tunnel.n_translate, 0);
	expect_routes(&w, "10.2.0.0/17 100.65.3.0/24<10.2.3.0/24 ");
	configure(&w);
	assert_int_equal(resets(&w), 0);
	end(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_announced),   cmocka_unit_test(test_refused),
		cmocka_unit_test(test_taken_there), cmocka_unit_test(test_statics),
		cmocka_unit_test(test_changed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
