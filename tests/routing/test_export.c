/* SPDX-License-Identifier: Apache-2.0 */
/* What neighbours hear: own networks, other sites' prefixes, never their own; filters and limits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "base/sb.h"
#include "routing/routing.h"

static char text[4096];
static struct sb said;

static bool advertise(void *ctx, uint32_t tunnel, const struct ip_prefix *p, struct path *path)
{
	char buf[IP_PREFIX_STRLEN];

	sb_printf(&said, "%u%c%s ", tunnel, path ? '+' : '-', ip_prefix_format(p, buf));
	return true;
}

static void advertise_end(void *ctx, uint32_t tunnel, bool v6)
{
	sb_printf(&said, "%u.%d ", tunnel, v6);
}

static void expect(struct rt *rt, struct rt_out *out, const char *want)
{
	const struct rt_event tick = {.type = RT_EV_TICK, .now = {5}};

	rt_step(rt, &tick, out);
	assert_string_equal(said.buf, want);
	said = sb_of(text, sizeof(text));
}

static struct path_nlri nlri(const char *s)
{
	struct path_nlri n = {.path_id = 0};

	assert_true(ip_prefix_parse(s, &n.prefix));
	return n;
}

static void cloudhub(void **state)
{
	const struct ip_prefix own = nlri("10.1.0.0/16").prefix;
	const struct rt_filter out[] = {
		{.prefix = nlri("10.9.0.0/16").prefix},
		{.prefix = nlri("0.0.0.0/0").prefix, .max_len = 32, .permit = true}};
	const struct rt_connection_cfg c[] = {
		{.name = "a",
		 .tunnels = {{.name = "t1", .tunnel = 1}},
		 .n_tunnels = 1,
		 .cloudhub = true},
		{.name = "b",
		 .tunnels = {{.name = "t2", .tunnel = 2}},
		 .n_tunnels = 1,
		 .cloudhub = true,
		 .advertise = &own,
		 .n_advertise = 1,
		 .out = out,
		 .n_out = 2,
		 .max_advertised = 2},
	};
	const struct rt_cfg cfg = {.connections = c, .n_connections = 2};
	const struct rt_export ex = {.advertise = advertise, .advertise_end = advertise_end};
	const struct path_nlri first = nlri("10.2.0.0/16"), second = nlri("10.3.0.0/16"),
			       filtered = nlri("10.9.0.0/16");
	const struct path_facts f = {.as_path_length = 1, .first_as = 65001};
	struct path_store *paths = path_store_new(1);
	struct rt *rt = rt_new(paths, 1, &ex, NULL);
	struct rt_out actions = {0};
	struct path *p = path_intern(paths, &f, (const uint8_t *)"");

	said = sb_of(text, sizeof(text));
	assert_true(rt_configure(rt, &cfg, (struct mono){1}, &actions));
	rt_session_up(rt, 1);
	rt_session_up(rt, 2);
	expect(rt, &actions, "2+10.1.0.0/16 1.0 1.1 2.0 2.1 ");
	/* To the other one, not back; the filter keeps one, the limit another. */
	assert_int_equal(rt_announce(rt, 1, &first, 1, p), 1);
	expect(rt, &actions, "1-10.2.0.0/16 2+10.2.0.0/16 ");
	assert_int_equal(rt_announce(rt, 1, &filtered, 1, p), 1);
	assert_int_equal(rt_announce(rt, 1, &second, 1, p), 1);
	actions.n = 0;
	expect(rt, &actions, "1-10.9.0.0/16 1-10.3.0.0/16 ");
	assert_int_equal(actions.actions[actions.n - 1].type, RT_ACT_WARNING);
	/* Room again: what was kept back follows. */
	assert_int_equal(rt_withdraw(rt, 1, &first, 1), 1);
	expect(rt, &actions, "1-10.2.0.0/16 2-10.2.0.0/16 2+10.3.0.0/16 ");
	path_unref(paths, p);
	rt_out_fini(&actions);
	rt_free(rt);
	path_store_free(paths);
}

/* Our own networks: table 0 has them by itself, another table has a route to them; a tunnel's table is told. */
static void own_networks(void **state)
{
	const struct ip_prefix own[] = {nlri("10.1.0.0/16").prefix};
	struct rt_connection_cfg c = {
		.name = "a",
		.tunnels = {{.name = "t1", .tunnel = 1, .table = 3}},
		.n_tunnels = 1,
		.association = 3,
	};
	const struct rt_cfg cfg = {
		.connections = &c, .n_connections = 1, .local = own, .n_local = 1};
	struct path_store *paths = path_store_new(1);
	struct rt *rt = rt_new(paths, 1, NULL, NULL);
	struct rt_route_op ops[8];
	struct rt_out out = {0};
	struct rt_event ev = {.type = RT_EV_TICK, .now = {2}};
	uint32_t request;

	assert_true(rt_configure(rt, &cfg, (struct mono){1}, &out));
	assert_int_equal(out.actions[0].type, RT_ACT_TUNNEL_SET);
	assert_int_equal(out.actions[0].tunnel.table, 3);
	rt_step(rt, &ev, &out);
	assert_int_equal(rt_next_routes(rt, ops, 8, &request), 1);
	assert_int_equal(ops[0].table, 3);
	assert_int_equal(ops[0].group, RT_GROUP_LOCAL);
	assert_true(ip_prefix_equal(&ops[0].prefix, &own[0]));
	/* Another table is another message. */
	out.n = 0;
	c.tunnels[0].table = c.association = 4;
	assert_true(rt_configure(rt, &cfg, (struct mono){3}, &out));
	assert_int_equal(out.actions[0].type, RT_ACT_TUNNEL_SET);
	assert_int_equal(out.actions[0].tunnel.table, 4);
	rt_out_fini(&out);
	rt_free(rt);
	path_store_free(paths);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(cloudhub),
					   cmocka_unit_test(own_networks)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
