/* SPDX-License-Identifier: Apache-2.0 */
/* Scenarios: a dataplane and a configuration that change. The table at the end names them. */
#include <string.h>
#include "tests/sim/scenario.h"

static void dataplane_restart(struct world *w)
{
	for (int i = 0; i < 2; i++) {
		connect_pair(w);
		world_run(w, span_s(1));
		dp_restart(&w->node[i]);
		must(w, !w->node[i].up[0], "still up");
		must_settle(w, 20);
		must(w, A->n_events[IKE_HAP_IKE_UP] == 1, "another IKE SA");
		world_fini(w);
		world_init(w, 78);
	}
}

/* Wished for again and again while it is on its way, a child is made once. */
static void one_child_at_a_time(struct world *w)
{
	uint64_t before;

	connect_pair(w);
	before = count(A, IKE_CNT_CHILD_ESTABLISHED);
	w->faults.delay_us = 50000;
	dp_restart(A);
	for (int i = 0; i < 8; i++) {
		world_run(w, span_ms(20));
		node_event(A, IKE_EV_INITIATE, 0);
	}
	world_run(w, span_s(2));
	must_settle(w, 10);
	must(w, count(A, IKE_CNT_CHILD_ESTABLISHED) == before + 1, "more than one child");
}

static void dataplane_refuses(struct world *w)
{
	for (int i = 0; i < 4; i++) {
		struct sim_node *n = &w->node[i & 1];

		n->dp_fails = i < 2;
		must(w, world_start(w), "no start");
		must_settle(w, 60);
		if (i >= 2) { /* of a rekey: the old one stays */
			n->dp_fails = true;
			node_event(A, IKE_EV_REKEY_CHILD, 0);
			world_run(w, span_s(30));
			must(w, !n->dp_fails && A->n_down[0] + B->n_down[0] == 0, "flapped");
			must_settle(w, 30);
		}
		world_fini(w);
		world_init(w, (uint64_t)i + 80);
	}
}

static void removed_tunnel(struct world *w)
{
	connect_pair(w);
	node_remove_tunnel(A, 0);
	must(w, !A->up[0], "still up");
	world_run(w, span_s(2));
	must(w, both_empty(w), "not deleted");
	node_set_tunnel(A, 0);
	must_settle(w, 10);
}

/* In the middle of each message of a handshake: nothing of the old tunnel goes on. */
static void removed_while_connecting(struct world *w)
{
	for (unsigned gap = 0; gap < 8000; gap += 500) {
		world_fini(w);
		world_init(w, gap);
		B->limits.cookie_threshold = 0;
		must(w, world_start(w), "no start");
		world_run(w, span_us(gap));
		node_remove_tunnel(A, 0);
		if (gap % 1000) {
			world_run(w, span_s(100));
			must(w, both_empty(w), "a removed tunnel came back");
		}
		node_set_tunnel(A, 0);
		must_settle(w, 100);
	}
}

static void harmless_change(struct world *w)
{
	connect_pair(w);
	A->cfg[0].dpd_interval = span_s(3);
	A->cfg[0].esp_algs.by_type[IKE_TRANSFORM_ENCR].n = 1;
	node_set_tunnel(A, 0);
	world_run(w, span_s(5));
	must(w, A->n_down[0] == 0 && A->n_events[IKE_HAP_IKE_UP] == 1, "restarted");
}

static void change_that_restarts(struct world *w)
{
	connect_pair(w);
	A->cfg[0].local_ts[0].last = ip_v4(10, 1, 0, 127);
	node_set_tunnel(A, 0);
	must(w, !A->up[0], "not restarted");
	must_settle(w, 10);
	must(w, A->n_events[IKE_HAP_IKE_UP] == 2, "the same SA");
}

static const char *wanted_state;

static bool is_in(void *ctx, const struct ike_show_sa *s)
{
	if (!s->is_child && !strcmp(s->state, wanted_state))
		*(bool *)ctx = true;
	return true;
}

static bool b_is_in_it(struct world *w)
{
	bool found = false;

	ike_show_sas(B->ike, is_in, &found);
	return found;
}

/*
 * Whoever waits for an answer to IKE_AUTH when the other end's configuration changes is told, and
 * comes again at once. Requirements: RFC7296-2.21.2-answered
 */
static void change_while_the_peer_connects(struct world *w)
{
	static const char *const states[] = {"verifying", "signing", "installing"};

	for (size_t i = 0; i < 3; i++) {
		wanted_state = states[i];
		B->key_delay_us = B->dp_delay_us = 20000;
		must(w, world_start(w), "no start");
		must(w, world_until(w, b_is_in_it, span_s(5)), "never in that state");
		B->cfg[0].local_ts[0].last = ip_v4(10, 2, 0, 127);
		node_set_tunnel(B, 0);
		must_settle(w, 5);
		world_fini(w);
		world_init(w, (uint64_t)i + 90);
	}
}

static const struct scenario scenarios[] = {
	{"dataplane restart", dataplane_restart},
	{"one child at a time", one_child_at_a_time},
	{"the dataplane refuses", dataplane_refuses},
	{"a removed tunnel", removed_tunnel},
	{"a tunnel that is removed while it connects", removed_while_connecting},
	{"a change that SAs can live with", harmless_change},
	{"a change that they cannot", change_that_restarts},
	{"a change while the peer connects", change_while_the_peer_connects},
};

int main(int argc, char **argv)
{
	return run_scenarios("changes", scenarios, sizeof(scenarios) / sizeof(scenarios[0]), argc,
			     argv);
}
