/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of the state machine and of routes between cores. */
#include "world.h"

#include <string.h>
#include "bgp/wire.h"

static struct world *pair(void)
{
	struct world *w = world_new();

	world_core(w, 0);
	world_core(w, 1);
	world_neighbor(w, 0, 1);
	world_neighbor(w, 1, 0);
	return w;
}

/* Both connect at once: one connection is left (RFC 4271 6.8), and it is up. */
static void test_comes_up(void **state)
{
	struct world *w = pair();

	world_own(w, 0, "10.1.0.0/16", world_path(w, 0, NULL, 0));
	world_own(w, 0, "2001:db8:1::/48", world_path(w, 0, NULL, 0));
	world_own(w, 1, "10.2.0.0/16", world_path(w, 1, (uint32_t[]){4200000001u}, 1));
	world_start(w);
	world_run(w, span_s(1));
	assert_int_equal(world_state(w, 0, 1), BGP_ESTABLISHED);
	assert_int_equal(world_state(w, 1, 0), BGP_ESTABLISHED);
	assert_int_equal(w->n_conns, 2);
	assert_int_equal(world_count(w, 1, 0), 2);
	assert_int_equal(world_count(w, 0, 1), 1);
	assert_int_equal(world_heard(w, 1, 0, "10.1.0.0/16")->path->facts.first_as, 65001);
	assert_int_equal(world_heard(w, 0, 1, "10.2.0.0/16")->path->facts.as_path_length, 2);
	assert_int_equal(world_heard(w, 0, 1, "10.2.0.0/16")->path->facts.origin_as, 4200000001u);
	assert_true(ip_equal(&world_heard(w, 1, 0, "10.1.0.0/16")->path->facts.next_hop,
			     &w->end[0].neighbors[0].local));
	assert_int_equal(world_heard(w, 1, 0, "2001:db8:1::/48")->path->facts.next_hop.family,
			 IP_V6);
	assert_int_equal(w->end[0].eors[0], 1);
	assert_int_equal(w->end[0].eors[1], 1);
	/* Keepalives hold it. */
	world_run(w, span_s(600));
	assert_int_equal(w->end[0].ups, 1);
	assert_int_equal(w->end[0].downs + w->end[1].downs, 0);
	world_free(w);
}

/* The same, byte by byte. */
static void test_bytewise(void **state)
{
	struct world *w = pair();

	w->chunk = 1;
	world_own(w, 0, "10.1.0.0/16", world_path(w, 0, NULL, 0));
	world_start(w);
	world_run(w, span_s(1));
	assert_non_null(world_heard(w, 1, 0, "10.1.0.0/16"));
	world_free(w);
}

static void test_hold_timer(void **state)
{
	struct world *w = pair();

	world_start(w);
	world_run(w, span_s(1));
	w->cut = true;
	world_run(w, span_s(31));
	assert_int_equal(w->end[0].downs, 1);
	assert_int_equal(w->end[1].downs, 1);
	assert_int_equal(world_show(w, 0, 1).faults[BGP_FAULT_HOLD], 1);
	assert_string_equal(world_show(w, 0, 1).last_error, "we sent hold timer expired (4/0)");
	w->cut = false;
	world_run(w, span_s(60));
	assert_int_equal(world_state(w, 0, 1), BGP_ESTABLISHED);
	world_free(w);
}

/* An operator's text reaches the other side (RFC 9003), and the session stays down. */
static void test_shutdown(void **state)
{
	struct world *w = pair();
	struct bgp_event ev = {.type = BGP_EV_STOP, .neighbor = 11};

	world_own(w, 0, "10.1.0.0/16", world_path(w, 0, NULL, 0));
	world_start(w);
	world_run(w, span_s(1));
	strcpy(ev.text, "maintenance \x1b[2J until 6");
	world_step(w, 0, ev);
	world_run(w, span_s(100));
	assert_int_equal(world_state(w, 0, 1), BGP_IDLE);
	assert_int_equal(world_count(w, 1, 0), 0);
	assert_true(world_event(w, 1, "bgp-notification-received"));
	world_step(w, 0, (struct bgp_event){.type = BGP_EV_START, .neighbor = 11});
	world_run(w, span_s(121));
	assert_int_equal(world_state(w, 0, 1), BGP_ESTABLISHED);
	assert_int_equal(world_count(w, 1, 0), 1);
	world_free(w);
}

/* RFC 4724, RFC 8538: a peer that comes back keeps its routes in use; one that does not loses them. */
static void test_graceful_restart(void **state)
{
	struct world *w = pair();

	w->end[0].neighbors[0].graceful_restart = span_s(20);
	w->end[1].neighbors[0].graceful_restart = span_s(20);
	world_own(w, 0, "10.1.0.0/16", world_path(w, 0, NULL, 0));
	world_own(w, 0, "10.2.0.0/16", world_path(w, 0, NULL, 0));
	world_start(w);
	world_run(w, span_s(1));
	assert_int_equal(world_count(w, 1, 0), 2);

	w->end[0].n_own = 1; /* the second is gone after the restart */
	path_unref(w->end[0].paths, w->end[0].own[1].path);
	w->end[0].cfg.restarting = true;
	w->refuse = true;
	world_restart(w, 0);
	world_run(w, span_s(2));
	assert_int_equal(world_count(w, 1, 0), 2);
	assert_true(world_heard(w, 1, 0, "10.1.0.0/16")->stale);
	w->refuse = false;
	world_run(w, span_s(10));
	assert_int_equal(world_state(w, 1, 0), BGP_ESTABLISHED);
	assert_int_equal(world_count(w, 1, 0), 1);
	assert_false(world_heard(w, 1, 0, "10.1.0.0/16")->stale);

	w->refuse = true;
	world_restart(w, 0);
	world_run(w, span_s(15));
	assert_int_equal(world_count(w, 1, 0), 1);
	world_run(w, span_s(10));
	assert_int_equal(world_count(w, 1, 0), 0);
	assert_true(world_event(w, 1, "bgp-restart-timeout"));
	world_free(w);
}

/* Without having kept its forwarding state (F bit 0) a restarted peer's routes go at once. */
static void test_restart_without_state(void **state)
{
	struct world *w = pair();

	w->end[0].neighbors[0].graceful_restart = span_s(20);
	w->end[1].neighbors[0].graceful_restart = span_s(20);
	world_own(w, 0, "10.1.0.0/16", world_path(w, 0, NULL, 0));
	world_start(w);
	world_run(w, span_s(1));
	path_unref(w->end[0].paths, w->end[0].own[0].path);
	w->end[0].n_own = 0;
	world_restart(w, 0);
	world_run(w, span_ms(100));
	assert_int_equal(world_count(w, 1, 0), 0);
	world_free(w);
}

static void test_prefix_limit(void **state)
{
	struct world *w = pair();

	w->end[1].neighbors[0].prefixes[BGP_IPV4_UNICAST].max = 3;
	w->end[1].neighbors[0].prefixes[BGP_IPV4_UNICAST].warn_percent = 75;
	w->end[1].neighbors[0].prefixes[BGP_IPV4_UNICAST].restart = span_s(300);
	world_own(w, 0, "10.1.0.0/16", world_path(w, 0, NULL, 0));
	world_own(w, 0, "10.2.0.0/16", world_path(w, 0, NULL, 0));
	world_own(w, 0, "10.3.0.0/16", world_path(w, 0, NULL, 0));
	world_start(w);
	world_run(w, span_s(1));
	assert_int_equal(world_state(w, 1, 0), BGP_ESTABLISHED);
	assert_true(world_event(w, 1, "bgp-prefix-warning"));
	world_own(w, 0, "10.4.0.0/16", world_path(w, 0, NULL, 0));
	assert_true(
		bgp_advertise(w->end[0].core, 11, &w->end[0].own[3].prefix, w->end[0].own[3].path));
	world_run(w, span_s(1));
	assert_int_equal(world_state(w, 1, 0), BGP_IDLE);
	assert_true(world_event(w, 1, "bgp-prefix-limit"));
	assert_int_equal(world_count(w, 1, 0), 0);
	world_run(w, span_s(200));
	assert_int_equal(world_state(w, 1, 0), BGP_IDLE);
	world_free(w);
}

/* A neighbour's changed preference is told without the session falling. */
static void test_drain(void **state)
{
	struct world *w = pair();

	w->end[0].neighbors[0].has_med = true;
	w->end[0].neighbors[0].med = 100;
	world_own(w, 0, "10.1.0.0/16", world_path(w, 0, NULL, 0));
	world_start(w);
	world_run(w, span_s(1));
	assert_int_equal(world_heard(w, 1, 0, "10.1.0.0/16")->path->facts.med, 100);
	w->end[0].neighbors[0].med = 200;
	w->end[0].neighbors[0].graceful_shutdown = true;
	w->end[0].neighbors[0].prepend = 2;
	world_configure(w, 0);
	world_run(w, span_s(1));
	assert_int_equal(world_heard(w, 1, 0, "10.1.0.0/16")->path->facts.med, 200);
	assert_int_equal(world_heard(w, 1, 0, "10.1.0.0/16")->path->facts.as_path_length, 3);
	assert_true(path_has_community(world_heard(w, 1, 0, "10.1.0.0/16")->path,
				       BGP_COMMUNITY_GRACEFUL_SHUTDOWN));
	assert_int_equal(w->end[0].downs, 0);
	world_free(w);
}

/* RFC 2918, RFC 7313. */
static void test_refresh(void **state)
{
	struct world *w = pair();

	world_own(w, 0, "10.1.0.0/16", world_path(w, 0, NULL, 0));
	world_start(w);
	world_run(w, span_s(1));
	w->end[1].routes[0].stale = false;
	world_step(w, 1, (struct bgp_event){.type = BGP_EV_REFRESH, .neighbor = 10});
	world_run(w, span_s(1));
	assert_int_equal(world_count(w, 1, 0), 1);
	assert_false(w->end[1].routes[0].stale);
	assert_int_equal(world_show(w, 1, 0).updates_in, 4); /* two ends of RIB, twice the route */
	world_free(w);
}

/* Withdrawn before it was said: nothing is said. */
static void test_coalescing(void **state)
{
	struct world *w = pair();
	const struct ip_prefix p = {ip_v4(10, 9, 0, 0), 16};
	struct path *path = world_path(w, 0, NULL, 0);
	uint64_t before;

	world_start(w);
	world_run(w, span_s(1));
	before = world_show(w, 0, 1).updates_out;
	assert_true(bgp_advertise(w->end[0].core, 11, &p, path));
	assert_true(bgp_advertise(w->end[0].core, 11, &p, NULL));
	world_run(w, span_s(1));
	assert_int_equal(world_show(w, 0, 1).updates_out, before);
	assert_true(bgp_advertise(w->end[0].core, 11, &p, path));
	world_run(w, span_s(1));
	assert_int_equal(world_count(w, 1, 0), 1);
	assert_true(bgp_advertise(w->end[0].core, 11, &p, NULL));
	world_run(w, span_s(1));
	assert_int_equal(world_count(w, 1, 0), 0);
	path_unref(w->end[0].paths, path);
	world_free(w);
}

/* 4,000 prefixes with one set of attributes are packed, not said one by one. */
static void test_packing(void **state)
{
	struct world *w = pair();
	struct path *path = world_path(w, 0, NULL, 0);
	uint64_t before;

	world_start(w);
	world_run(w, span_s(1));
	before = world_show(w, 0, 1).updates_out;
	for (unsigned i = 0; i < 4000; i++) {
		const struct ip_prefix p = {ip_v4(10, (uint8_t)(i >> 8), (uint8_t)i, 0), 24};

		assert_true(bgp_advertise(w->end[0].core, 11, &p, path));
	}
	world_run(w, span_s(1));
	assert_int_equal(world_count(w, 1, 0), 4000);
	assert_true(world_show(w, 0, 1).updates_out - before <= 8);
	path_unref(w->end[0].paths, path);
	world_free(w);
}

/* RFC 9234: roles that do not fit refuse the session; a leak is refused. */
static void test_roles(void **state)
{
	struct world *w = pair();

	w->end[0].neighbors[0].role = BGP_ROLE_PROVIDER;
	w->end[1].neighbors[0].role = BGP_ROLE_PEER;
	world_start(w);
	world_run(w, span_s(10));
	assert_int_not_equal(world_state(w, 0, 1), BGP_ESTABLISHED);
	w->end[1].neighbors[0].role = BGP_ROLE_CUSTOMER;
	world_own(w, 0, "10.1.0.0/16", world_path(w, 0, NULL, 0));
	world_configure(w, 1);
	world_run(w, span_s(121));
	assert_int_equal(world_state(w, 0, 1), BGP_ESTABLISHED);
	assert_int_equal(world_heard(w, 1, 0, "10.1.0.0/16")->path->facts.otc, 65001);
	world_free(w);
}

/* Our own AS in the path: refused and counted. */
static void test_own_as(void **state)
{
	struct world *w = pair();

	world_own(w, 0, "10.1.0.0/16", world_path(w, 0, (uint32_t[]){65009}, 1));
	world_own(w, 0, "10.3.0.0/16", world_path(w, 0, (uint32_t[]){65002}, 1));
	world_start(w);
	world_run(w, span_s(1));
	/* Both are said, and AS 65002 takes one: its own AS is a loop (RFC 4271 9.1.2). */
	assert_int_equal(world_count(w, 1, 0), 1);
	assert_int_equal(world_show(w, 0, 1).advertised[0], 2);
	world_free(w);
}

/* A reader that stands still is given up (RFC 9687). */
static void test_send_hold(void **state)
{
	struct world *w = pair();

	w->end[0].neighbors[0].hold = w->end[1].neighbors[0].hold = span_s(0);
	w->end[0].neighbors[0].send_hold = span_s(100);
	world_start(w);
	world_run(w, span_s(1));
	assert_int_equal(world_state(w, 0, 1), BGP_ESTABLISHED);
	w->cut = true;
	world_own(w, 0, "10.1.0.0/16", world_path(w, 0, NULL, 0));
	assert_true(
		bgp_advertise(w->end[0].core, 11, &w->end[0].own[0].prefix, w->end[0].own[0].path));
	world_run(w, span_s(101));
	assert_int_equal(world_show(w, 0, 1).faults[BGP_FAULT_SEND_HOLD], 1);
	world_free(w);
}

/* The tunnel goes and comes: routes go at once, without graceful restart; if it was BFD, soon. */
static void link_down(bool by_bfd)
{
	struct world *w = pair();

	w->end[0].neighbors[0].graceful_restart = span_s(20);
	w->end[1].neighbors[0].graceful_restart = span_s(20);
	world_own(w, 0, "10.1.0.0/16", world_path(w, 0, NULL, 0));
	world_start(w);
	world_run(w, span_s(1));
	world_step(w, 1,
		   (struct bgp_event){.type = BGP_EV_LINK_DOWN, .neighbor = 10, .by_bfd = by_bfd});
	assert_int_equal(world_count(w, 1, 0), by_bfd ? 1 : 0);
	assert_int_equal(world_state(w, 1, 0), BGP_IDLE);
	world_run(w, span_s(10));
	assert_int_equal(world_count(w, 1, 0), 0);
	world_step(w, 1, (struct bgp_event){.type = BGP_EV_START, .neighbor = 10});
	world_run(w, span_s(1));
	assert_int_equal(world_state(w, 1, 0), BGP_ESTABLISHED);
	world_free(w);
}

static void test_link_down(void **state)
{
	link_down(false);
	link_down(true);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_comes_up),
		cmocka_unit_test(test_bytewise),
		cmocka_unit_test(test_hold_timer),
		cmocka_unit_test(test_shutdown),
		cmocka_unit_test(test_graceful_restart),
		cmocka_unit_test(test_restart_without_state),
		cmocka_unit_test(test_prefix_limit),
		cmocka_unit_test(test_drain),
		cmocka_unit_test(test_refresh),
		cmocka_unit_test(test_coalescing),
		cmocka_unit_test(test_packing),
		cmocka_unit_test(test_roles),
		cmocka_unit_test(test_own_as),
		cmocka_unit_test(test_send_hold),
		cmocka_unit_test(test_link_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
