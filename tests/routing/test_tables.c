/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Route tables and what is shown of them: association and propagation, isolation until propagation is
 * enabled, blackholes, aggregates, stale routes, drains, what a tunnel's loss would do, and pages.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>
#include "base/sb.h"
#include "routing/routing.h"

#define RED  1
#define BLUE 2

struct world {
	struct path_store *paths;
	struct rt *rt;
	struct rt_out out;
	struct path *path;
	struct sb said;
	char text[4096];
};

static struct ip_prefix prefix(const char *s)
{
	struct ip_prefix p;

	assert_true(ip_prefix_parse(s, &p));
	return p;
}

static bool advertise(void *ctx, uint32_t tunnel, const struct ip_prefix *p, struct path *path)
{
	struct world *w = ctx;
	char buf[IP_PREFIX_STRLEN];

	sb_printf(&w->said, "%u%c%s ", tunnel, path ? '+' : '-', ip_prefix_format(p, buf));
	return true;
}

static void advertise_end(void *ctx, uint32_t tunnel, bool v6)
{
}

/* Answers everything, and gives every route to a dataplane that takes it. */
static void settle(struct world *w, uint64_t now)
{
	struct rt_route_op ops[RT_BATCH_MAX];
	struct rt_event ev = {.type = RT_EV_TICK, .now = {now}};
	uint32_t request;

	rt_step(w->rt, &ev, &w->out);
	for (int round = 0; round < 100; round++) {
		const size_t n = w->out.n;

		for (size_t i = 0; i < n; i++) {
			ev = (struct rt_event){.type = RT_EV_DP_RESULT,
					       .now = {now},
					       .request = w->out.actions[i].request,
					       .ok = true};
			if (ev.request)
				rt_step(w->rt, &ev, &w->out);
		}
		memmove(w->out.actions, w->out.actions + n,
			(w->out.n - n) * sizeof(*w->out.actions));
		w->out.n -= n;
		if (rt_next_routes(w->rt, ops, RT_BATCH_MAX, &request)) {
			ev = (struct rt_event){.type = RT_EV_DP_RESULT,
					       .now = {now},
					       .request = request,
					       .ok = true};
			rt_step(w->rt, &ev, &w->out);
		} else if (!w->out.n) {
			return;
		}
	}
	fail_msg("it does not settle");
}

static void event(struct world *w, enum rt_event_type type, uint32_t tunnel)
{
	const struct rt_event ev = {.type = type, .now = {5}, .tunnel = tunnel};

	rt_step(w->rt, &ev, &w->out);
	settle(w, 5);
}

static void configure(struct world *w, const struct rt_cfg *cfg)
{
	assert_true(rt_configure(w->rt, cfg, (struct mono){1}, &w->out));
	settle(w, 1);
}

static void setup(struct world *w, const struct rt_cfg *cfg)
{
	const struct rt_export ex = {
		.ctx = w, .advertise = advertise, .advertise_end = advertise_end};
	const struct path_facts f = {.as_path_length = 1, .first_as = 65001};

	memset(w, 0, sizeof(*w));
	w->said = sb_of(w->text, sizeof(w->text));
	w->paths = path_store_new(1);
	w->rt = rt_new(w->paths, 1, &ex, NULL);
	w->path = path_intern(w->paths, &f, (const uint8_t *)"");
	configure(w, cfg);
	for (size_t i = 0; i < cfg->n_connections; i++) {
		for (size_t j = 0; j < cfg->connections[i].n_tunnels; j++) {
			const uint32_t t = cfg->connections[i].tunnels[j].tunnel;
			const struct rt_event up = {
				.type = RT_EV_TUNNEL_UP, .now = {1}, .tunnel = t};

			rt_step(w->rt, &up, &w->out);
			rt_session_up(w->rt, t);
		}
	}
	settle(w, 2);
	w->said = sb_of(w->text, sizeof(w->text));
}

static void teardown(struct world *w)
{
	path_unref(w->paths, w->path);
	rt_out_fini(&w->out);
	rt_free(w->rt);
	assert_int_equal(path_store_count(w->paths), 0);
	path_store_free(w->paths);
}

static void announce(struct world *w, uint32_t tunnel, const char *s)
{
	const struct path_nlri nlri = {.prefix = prefix(s)};

	(void)rt_announce(w->rt, tunnel, &nlri, 1, w->path);
	settle(w, 3);
}

static void withdraw(struct world *w, uint32_t tunnel, const char *s)
{
	const struct path_nlri nlri = {.prefix = prefix(s)};

	(void)rt_withdraw(w->rt, tunnel, &nlri, 1);
	settle(w, 3);
}

/* The tunnel that a packet of the table to this address takes; -1: none, -2: a blackhole, -3: here. */
static int way(const struct world *w, uint16_t table, const char *to)
{
	struct rt_show_route r;
	struct ip_prefix p;
	struct ip_addr a;

	assert_true(ip_parse(to, &a));
	if (!rt_lookup(w->rt, table, &a, &p) || !rt_show_route(w->rt, table, &p, &r))
		return -1;
	if (r.group == RT_GROUP_BLACKHOLE)
		return -2;
	if (!strcmp(r.source, "local"))
		return -3;
	return (int)r.tunnel;
}

static uint32_t group_of(const struct world *w, uint16_t table, const struct ip_prefix *p)
{
	struct rt_show_route r;

	assert_true(rt_show_route(w->rt, table, p, &r));
	return r.group;
}

#define CONNECTION(n, t, table)                                                                    \
	{                                                                                          \
		.name = n, .tunnels = {{.name = "t" n, .tunnel = t}}, .n_tunnels = 1,              \
		.association = table, .cloudhub = true                                             \
	}

/* Two domains do not see each other until one propagates to the other; both need it to talk. */
static void isolation(void **state)
{
	static const uint16_t both[] = {RED, BLUE};
	const struct ip_prefix own = prefix("10.0.0.0/16"), fixed = prefix("10.3.0.0/16");
	struct rt_connection_cfg c[] = {CONNECTION("a", 1, RED), CONNECTION("b", 2, BLUE),
					CONNECTION("c", 3, BLUE)};
	struct rt_cfg cfg = {.role = RT_ROLE_TRANSIT,
			     .connections = c,
			     .n_connections = 3,
			     .local = &own,
			     .n_local = 1};
	struct world w;

	c[2].prefixes = &fixed;
	c[2].n_prefixes = 1;
	setup(&w, &cfg);
	announce(&w, 1, "10.1.0.0/16");
	announce(&w, 2, "10.2.0.0/16");
	assert_int_equal(way(&w, RED, "10.1.0.1"), 1);
	assert_int_equal(way(&w, RED, "10.2.0.1"), -1);
	assert_int_equal(way(&w, RED, "10.3.0.1"), -1);
	assert_int_equal(way(&w, BLUE, "10.1.0.1"), -1);
	assert_int_equal(way(&w, BLUE, "10.2.0.1"), 2);
	assert_int_equal(way(&w, BLUE, "10.3.0.1"), 3);
	assert_int_equal(way(&w, 0, "10.2.0.1"), -1);
	/* Ours is everywhere. */
	assert_int_equal(way(&w, RED, "10.0.7.1"), -3);
	assert_int_equal(way(&w, BLUE, "10.0.7.1"), -3);
	/* The main table has it by itself, but not where a port is in another one. */
	assert_int_equal(group_of(&w, 0, &own), RT_GROUP_NONE);
	assert_int_equal(group_of(&w, RED, &own), RT_GROUP_LOCAL);
	cfg.ports_apart = true;
	configure(&w, &cfg);
	settle(&w, 4);
	assert_int_equal(group_of(&w, 0, &own), RT_GROUP_LOCAL);
	cfg.ports_apart = false;
	/* What neighbours hear is of their own table. */
	assert_string_equal(strstr(w.text, "1+10.2") ? "leak" : "", "");
	assert_string_equal(strstr(w.text, "2+10.1") ? "leak" : "", "");
	assert_non_null(strstr(w.text, "3+10.2.0.0/16"));

	/* b's routes into both: RED finds it, but not the other way. */
	c[1].propagations = both;
	c[1].n_propagations = 2;
	w.said = sb_of(w.text, sizeof(w.text));
	configure(&w, &cfg);
	announce(&w, 2, "10.2.0.0/16"); /* the answer to the refresh that is asked for */
	assert_int_equal(way(&w, RED, "10.2.0.1"), 2);
	assert_int_equal(way(&w, RED, "10.3.0.1"), -1);
	assert_int_equal(way(&w, BLUE, "10.1.0.1"), -1);
	assert_non_null(strstr(w.text, "1+10.2.0.0/16"));
	c[0].propagations = both;
	c[0].n_propagations = 2;
	configure(&w, &cfg);
	announce(&w, 1, "10.1.0.0/16");
	assert_int_equal(way(&w, BLUE, "10.1.0.1"), 1);

	/* And back: what was propagated goes. */
	c[0].n_propagations = c[1].n_propagations = 0;
	w.said = sb_of(w.text, sizeof(w.text));
	configure(&w, &cfg);
	assert_int_equal(way(&w, RED, "10.2.0.1"), -1);
	assert_int_equal(way(&w, BLUE, "10.1.0.1"), -1);
	assert_int_equal(way(&w, BLUE, "10.2.0.1"), 2);
	assert_non_null(strstr(w.text, "1-10.2.0.0/16"));
	/* Into no table at all. */
	c[1].no_propagation = true;
	configure(&w, &cfg);
	assert_int_equal(way(&w, BLUE, "10.2.0.1"), -1);
	teardown(&w);
}

/* What another daemon has put into Linux's table is announced without a session, and known by it. */
static void by_linux(void **state)
{
	struct rt_connection_cfg c[] = {CONNECTION("a", 1, RED), CONNECTION("b", 2, RED)};
	struct rt_cfg cfg = {.role = RT_ROLE_TRANSIT, .connections = c, .n_connections = 2};
	const struct ip_prefix p = prefix("10.1.0.0/16");
	struct rt_show_route r;
	struct world w;

	c[0].tunnels[0].by_linux = true;
	setup(&w, &cfg);
	event(&w, RT_EV_BGP_DOWN, 1);
	announce(&w, 1, "10.1.0.0/16");
	assert_true(rt_show_route(w.rt, RED, &p, &r));
	assert_string_equal(r.source, "linux");
	assert_int_equal(r.tunnel, 1);
	/* Another's by BGP comes second, and other neighbours hear of the first. */
	announce(&w, 2, "10.1.0.0/16");
	assert_int_equal(way(&w, RED, "10.1.0.1"), 1);
	assert_non_null(strstr(w.text, "2+10.1.0.0/16"));
	/* Read anew: what has not come again goes. */
	rt_stale(w.rt, 1, false);
	assert_int_equal(way(&w, RED, "10.1.0.1"), 1);
	(void)rt_purge(w.rt, 1, false, true);
	settle(&w, 5);
	assert_int_equal(way(&w, RED, "10.1.0.1"), 2);
	/* By BGP from now on. */
	announce(&w, 1, "10.1.0.0/16");
	c[0].tunnels[0].by_linux = false;
	configure(&w, &cfg);
	settle(&w, 6);
	assert_int_equal(way(&w, RED, "10.1.0.1"), 2);
	teardown(&w);
}

static void statics_of_tables(void **state)
{
	const struct rt_connection_cfg c[] = {CONNECTION("a", 1, RED), CONNECTION("b", 2, BLUE)};
	const struct rt_static_cfg s[] = {
		{.table = RED, .prefix = prefix("0.0.0.0/0"), .connection = "b"},
		{.table = RED, .prefix = prefix("10.6.0.0/16")},
		{.table = BLUE, .prefix = prefix("10.6.6.0/24"), .connection = "a"},
		{.table = BLUE, .prefix = prefix("10.7.0.0/16"), .connection = "unknown"},
	};
	const struct rt_cfg cfg = {.role = RT_ROLE_TRANSIT,
				   .connections = c,
				   .n_connections = 2,
				   .statics = s,
				   .n_statics = 4};
	struct world w;

	setup(&w, &cfg);
	assert_int_equal(way(&w, RED, "192.0.2.1"), 2);
	assert_int_equal(way(&w, RED, "10.6.6.1"), -2);
	assert_int_equal(way(&w, BLUE, "10.6.6.1"), 1);
	assert_int_equal(way(&w, BLUE, "10.6.7.1"), -1);
	assert_int_equal(way(&w, BLUE, "10.7.0.1"), -1);
	/* A longer one of BGP within the blackhole is a way out of it. */
	announce(&w, 1, "10.6.1.0/24");
	assert_int_equal(way(&w, RED, "10.6.1.1"), 1);
	assert_int_equal(way(&w, RED, "10.6.2.1"), -2);
	teardown(&w);
}

/* An aggregate stands while there is a route within; summary_only holds back what is. */
static void aggregates(void **state)
{
	const struct rt_connection_cfg c[] = {CONNECTION("a", 1, 0), CONNECTION("b", 2, 0)};
	struct rt_aggregate_cfg aggregate = {.prefix = prefix("10.0.0.0/8")};
	const struct rt_cfg cfg = {
		.connections = c, .n_connections = 2, .aggregates = &aggregate, .n_aggregates = 1};
	struct world w;

	setup(&w, &cfg);
	announce(&w, 1, "10.1.0.0/16");
	assert_non_null(strstr(w.text, "2+10.0.0.0/8"));
	assert_non_null(strstr(w.text, "2+10.1.0.0/16"));
	w.said = sb_of(w.text, sizeof(w.text));
	announce(&w, 1, "10.2.0.0/16");
	withdraw(&w, 1, "10.1.0.0/16");
	assert_null(strstr(w.text, "2-10.0.0.0/8"));
	withdraw(&w, 1, "10.2.0.0/16");
	assert_non_null(strstr(w.text, "2-10.0.0.0/8"));

	aggregate.summary_only = true;
	configure(&w, &cfg);
	w.said = sb_of(w.text, sizeof(w.text));
	announce(&w, 1, "10.3.0.0/16");
	announce(&w, 1, "172.16.0.0/12");
	assert_non_null(strstr(w.text, "2+10.0.0.0/8"));
	assert_null(strstr(w.text, "2+10.3.0.0/16"));
	assert_non_null(strstr(w.text, "2+172.16.0.0/12"));
	teardown(&w);
}

/* RFC 4724: stale routes carry on, until they are announced anew or purged. */
static void stale(void **state)
{
	const struct rt_connection_cfg c[] = {CONNECTION("a", 1, 0), CONNECTION("b", 2, 0)};
	const struct rt_cfg cfg = {.connections = c, .n_connections = 2};
	struct rt_show_tunnel t;
	struct rt_show_route r;
	struct ip_prefix p = prefix("10.1.0.0/16");
	struct world w;

	setup(&w, &cfg);
	announce(&w, 1, "10.1.0.0/16");
	announce(&w, 1, "10.2.0.0/16");
	rt_stale(w.rt, 1, false);
	settle(&w, 4);
	assert_true(rt_show_route(w.rt, 0, &p, &r));
	assert_true(r.stale);
	assert_int_equal(r.tunnel, 1);
	assert_true(rt_show_tunnel(w.rt, 1, &t));
	assert_int_equal(t.stale[0], 2);
	/* The session they came by has fallen, and the tunnel carries them all the same. */
	event(&w, RT_EV_BGP_DOWN, 1);
	assert_int_equal(way(&w, 0, "10.1.0.1"), 1);
	event(&w, RT_EV_BGP_UP, 1);
	announce(&w, 1, "10.1.0.0/16");
	assert_true(rt_show_route(w.rt, 0, &p, &r));
	assert_false(r.stale);
	assert_int_equal(rt_purge(w.rt, 1, false, true), 1);
	settle(&w, 4);
	assert_int_equal(way(&w, 0, "10.1.0.1"), 1);
	assert_int_equal(way(&w, 0, "10.2.0.1"), -1);
	assert_true(rt_show_tunnel(w.rt, 1, &t));
	assert_int_equal(t.stale[0], 0);
	assert_int_equal(t.accepted[0], 1);
	teardown(&w);
}

struct moves {
	size_t moved, lost;
	uint32_t to;
};

static bool count(void *ctx, const struct rt_what_if *i)
{
	struct moves *m = ctx;

	if (i->to == RT_TUNNEL_NONE)
		m->lost += i->n_prefixes;
	else
		m->moved += i->n_prefixes;
	m->to = i->to;
	return true;
}

/* What would become of the traffic is what becomes of it. */
static void what_if_and_drain(void **state)
{
	const struct ip_prefix p[] = {prefix("10.1.0.0/16"), prefix("10.2.0.0/16")};
	const struct rt_connection_cfg c[] = {
		{.name = "a",
		 .tunnels = {{.name = "t1", .tunnel = 1}, {.name = "t2", .tunnel = 2}},
		 .n_tunnels = 2,
		 .prefixes = p,
		 .n_prefixes = 2},
		CONNECTION("b", 3, 0),
	};
	const struct rt_cfg cfg = {.connections = c, .n_connections = 2};
	struct moves m = {.moved = 0};
	struct rt_show_tunnel t;
	struct world w;

	setup(&w, &cfg);
	announce(&w, 3, "10.9.0.0/16");
	announce(&w, 1, "10.9.0.0/16");
	assert_int_equal(way(&w, 0, "10.1.0.1"), 1);
	rt_what_if(w.rt, 1, count, &m);
	assert_int_equal(m.moved, 3);
	assert_int_equal(m.lost, 0);
	m = (struct moves){.moved = 0};
	rt_what_if(w.rt, 2, count, &m);
	assert_int_equal(m.moved + m.lost, 0);

	event(&w, RT_EV_DRAIN, 1);
	assert_int_equal(way(&w, 0, "10.1.0.1"), 2);
	assert_int_equal(way(&w, 0, "10.9.0.1"), 3);
	assert_true(rt_show_tunnel(w.rt, 1, &t));
	assert_true(t.draining && t.up);
	/* The last resort. */
	m = (struct moves){.moved = 0};
	rt_what_if(w.rt, 2, count, &m);
	assert_int_equal(m.moved, 2);
	assert_int_equal(m.to, 1);
	event(&w, RT_EV_TUNNEL_DOWN, 2);
	assert_int_equal(way(&w, 0, "10.1.0.1"), 1);
	m = (struct moves){.moved = 0};
	rt_what_if(w.rt, 1, count, &m);
	assert_int_equal(m.moved, 0);
	assert_int_equal(m.lost, 2);
	event(&w, RT_EV_UNDRAIN, 1);
	assert_int_equal(way(&w, 0, "10.9.0.1"), 1);
	teardown(&w);
}

static bool take(void *ctx, const struct rt_show_route *r)
{
	bool *seen = ctx;
	const unsigned i = (unsigned)r->prefix.addr.b[1] << 8 | r->prefix.addr.b[2];

	assert_false(seen[i]);
	seen[i] = true;
	return i % 7 != 0; /* a page of any size */
}

static bool take_received(void *ctx, const struct ip_prefix *p, const struct rt_candidate *c)
{
	++*(size_t *)ctx;
	assert_int_equal(c->tunnel, 1);
	return false;
}

/* Every route is on one page, however small the pages are. */
static void pages(void **state)
{
	static bool seen[65536];
	const uint16_t both[] = {0, RED};
	struct rt_connection_cfg c[] = {CONNECTION("a", 1, 0), CONNECTION("b", 2, RED)};
	const struct rt_cfg cfg = {.connections = c, .n_connections = 2};
	struct rt_page page = {.max_visits = 100, .one_table = true};
	size_t n = 0, n_pages = 0;
	char text[32];
	struct world w;

	c[0].propagations = both;
	c[0].n_propagations = 2;
	setup(&w, &cfg);
	for (unsigned i = 0; i < 1000; i++) {
		snprintf(text, sizeof(text), "10.%u.%u.0/24", i >> 8, i & 255);
		announce(&w, 1, text);
	}
	announce(&w, 2, "11.0.0.0/8");
	memset(seen, 0, sizeof(seen));
	for (; page.next != RT_PAGE_END; n_pages++)
		rt_show_page(w.rt, &page, take, seen);
	for (size_t i = 0; i < 65536; i++)
		n += seen[i];
	assert_int_equal(n, 1000);
	assert_in_range(n_pages, 140, 200);

	/* Within. */
	page = (struct rt_page){.max_visits = 3000,
				.within = prefix("10.1.0.0/16"),
				.table = RED,
				.one_table = true};
	memset(seen, 0, sizeof(seen));
	while (page.next != RT_PAGE_END)
		rt_show_page(w.rt, &page, take, seen);
	n = 0;
	for (size_t i = 0; i < 65536; i++)
		n += seen[i];
	assert_int_equal(n, 256);

	/* Of one neighbour; in two tables, but once. */
	page = (struct rt_page){.max_visits = 500};
	n = 0;
	while (page.next != RT_PAGE_END)
		rt_show_received(w.rt, 1, &page, take_received, &n);
	assert_int_equal(n, 1000);
	page = (struct rt_page){.max_visits = 500};
	rt_show_received(w.rt, 77, &page, take_received, &n);
	assert_int_equal(page.next, RT_PAGE_END);
	teardown(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(isolation),
		cmocka_unit_test(by_linux),
		cmocka_unit_test(statics_of_tables),
		cmocka_unit_test(aggregates),
		cmocka_unit_test(stale),
		cmocka_unit_test(what_if_and_drain),
		cmocka_unit_test(pages),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
