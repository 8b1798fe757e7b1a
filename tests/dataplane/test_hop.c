/* SPDX-License-Identifier: Apache-2.0 */
/* What workers find instead of group, tunnel and SA (hop.h), and what becomes of what SAs count (counters.h). */
#include "rig.h"

#include "dataplane/counters.h"
#include "dataplane/hop.h"

#define GROUP 3u

static uintptr_t hop(unsigned worker)
{
	return dp_hop(rig.workers[worker], GROUP);
}

static uintptr_t hand(uint32_t tunnel)
{
	return (uintptr_t)tunnel << 2 | DP_HOP_HAND;
}

static uintptr_t sa(uint32_t slot)
{
	assert_non_null(rig.sas.out[slot]);
	return (uintptr_t)rig.sas.out[slot];
}

static void set_group(uint32_t n, uint32_t n_ecmp)
{
	const struct dp_group g = {
		.group = GROUP, .n_tunnels = n, .n_ecmp = n_ecmp, .tunnels = {1, 2, 1}};

	assert_int_equal(dp_group_set(&rig, &g), DP_OK);
}

static void switch_to(uint32_t tunnel, uint32_t slot, uint32_t resource)
{
	const struct dp_sa_ref ref = {.slot = slot, .tunnel = tunnel, .resource = resource};

	assert_int_equal(dp_sa_switch(&rig, &ref), DP_OK);
}

/* Tunnel 1 is the second worker's, tunnel 2 the first one's. */
static void follows(void **state)
{
	const struct dp_group del = {.group = GROUP};

	assert_true(hop(0) == 0 && hop(1) == 0);
	set_group(3, 0);
	assert_true(hop(0) == 0 && hop(1) == 0);
	rig_add_out(6, 2, 0);
	assert_true(hop(0) == sa(6) && hop(1) == hand(2));
	rig_add_out(5, 1, 0);
	assert_true(hop(0) == hand(1) && hop(1) == sa(5));
	/* A rekey, and what is old goes. */
	rig_add_out(7, 1, 0);
	assert_true(hop(0) == hand(1) && hop(1) == sa(7));
	rig_del(5);
	assert_true(hop(1) == sa(7));
	/* RFC 9611: the first worker gets an SA of its own. */
	rig_add_out(5, 1, 0);
	switch_to(1, 7, 0);
	rig_del(5);
	rig_add_out(8, 2, 0);
	assert_true(hop(0) == hand(1) && hop(1) == sa(7));
	/* Tunnel 1 goes down, then 2. */
	switch_to(1, DP_SLOT_NONE, 0);
	assert_true(hop(0) == sa(8) && hop(1) == hand(2));
	rig_del(8);
	assert_true(hop(0) == 0 && hop(1) == 0);
	switch_to(2, 6, 0);
	assert_true(hop(0) == sa(6));
	/* Both share, or there is but one. */
	set_group(2, 2);
	assert_true(hop(0) == ((uintptr_t)rig.tunnels.groups[GROUP] | DP_HOP_SHARED));
	assert_true(hop(1) == hop(0));
	set_group(1, 0);
	assert_true(hop(0) == 0);
	switch_to(1, 7, 0);
	assert_true(hop(0) == hand(1) && hop(1) == sa(7));
	assert_int_equal(dp_group_del(&rig, &del), DP_OK);
	assert_true(hop(0) == 0 && hop(1) == 0);
	/* No group is left to follow. */
	rig_del(6);
	rig_del(7);
	assert_true(LIST_EMPTY(&rig.tunnels.info[1].groups));
	assert_true(LIST_EMPTY(&rig.tunnels.info[2].groups));
}

static const struct dp_stats_sa *told(uint32_t slot)
{
	return &dp_stats_sas(&rig)[slot];
}

static uint64_t tunnel_sent(uint32_t tunnel)
{
	return dp_stats_tunnels(&rig)[tunnel].out_packets;
}

static void sends(uint32_t tunnel, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		struct rte_mbuf *m = rig_encap(rig_inner(100), tunnel);

		assert_non_null(m);
		rte_pktmbuf_free(m);
	}
}

/* Of the first worker's tunnels 0, 2 and 4. */
static void counts(void **state)
{
	struct dp_worker *w = rig.workers[0];
	const uint64_t before = tunnel_sent(2);

	rig_add_out(5, 2, 0);
	rig_add_out(6, 0, 0);
	rig_add_out(7, 4, 0);
	/* Few are told at once. */
	sends(2, 3);
	assert_int_equal(told(5)->out_packets, 0);
	dp_counters_round(w, 3);
	assert_int_equal(told(5)->out_packets, 3);
	assert_int_equal(told(5)->out_bytes, 300);
	assert_int_equal(told(5)->out_seq, 4);
	assert_int_equal(tunnel_sent(2), before + 3);
	assert_int_equal(w->counters.n, 0);
	/* Several, when it is time. */
	sends(2, 2);
	sends(0, 1);
	sends(4, 1);
	assert_int_equal(w->counters.n, 3);
	dp_counters_round(w, 4);
	assert_int_equal(told(5)->out_packets, 3);
	w->stats->busy_cycles += w->counters.step_tsc;
	dp_counters_round(w, 4);
	assert_int_equal(told(5)->out_packets, 5);
	assert_int_equal(told(7)->out_packets, 1);
	assert_int_equal(tunnel_sent(2), before + 5);
	/* Or when there is nothing else to do. */
	sends(2, 1);
	sends(0, 1);
	sends(4, 1);
	dp_counters_round(w, 0);
	assert_int_equal(told(6)->out_packets, 2);
	assert_int_equal(tunnel_sent(2), before + 6);
	/* What goes before it has told counts for its tunnel; the next one in its slot begins anew. */
	sends(2, 1);
	sends(0, 1);
	sends(4, 1);
	rig_del(5);
	assert_int_equal(tunnel_sent(2), before + 7);
	assert_int_equal(told(5)->out_packets, 7);
	rig_add_out(5, 2, 0);
	assert_int_equal(told(5)->out_packets, 0);
	dp_counters_round(w, 0);
	assert_int_equal(w->counters.n, 0);
	assert_int_equal(told(5)->out_packets, 0);
	assert_int_equal(tunnel_sent(2), before + 7);
	rig_del(5);
	rig_del(6);
	rig_del(7);
}

static int start(void **state)
{
	return rig_start() ? 0 : -1;
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(follows), cmocka_unit_test(counts)};

	return cmocka_run_group_tests(tests, start, NULL);
}
