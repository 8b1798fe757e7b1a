/* SPDX-License-Identifier: Apache-2.0 */
/* Scenarios: a peer that is silent, has forgotten, or moves. The table at the end names them. */
#include <string.h>
#include "tests/sim/scenario.h"

static bool note_phase(void *ctx, const struct ike_show_tunnel *t)
{
	*(const char **)ctx = t->phase;
	return t->tunnel != 0;
}

static const char *phase(const struct sim_node *n)
{
	const char *phase = "none";

	ike_show_tunnels(n->ike, note_phase, &phase);
	return phase;
}

static bool a_down(struct world *w)
{
	return !A->up[0];
}

static void dpd_times(struct world *w, uint64_t interval_ms, uint64_t timeout_ms)
{
	struct mono cut;
	uint64_t took;

	A->cfg[0].dpd_interval = span_ms(interval_ms);
	A->cfg[0].dpd_timeout = span_ms(timeout_ms);
	connect_pair(w);
	world_run(w, span_s(5));
	must(w, A->up[0], "down without a reason");
	w->faults.cut = true;
	cut = w->now;
	must(w, world_until(w, a_down, span_ms(timeout_ms * 2 + 1000)), "not noticed");
	took = span_to_ms(mono_since(w->now, cut));
	must(w, took <= timeout_ms + 110 && took + interval_ms + 110 >= timeout_ms,
	     "at the wrong time");
	must(w, count(A, IKE_CNT_DPD_SENT) > 0 && count(A, IKE_CNT_TX_RETRANSMIT) >= 3,
	     "too few probes");
}

static void dpd_timeout(struct world *w)
{
	dpd_times(w, 10000, 40000);
	w->faults.cut = false;
	must_settle(w, 165);
}

static void dpd_subsecond(struct world *w)
{
	dpd_times(w, 100, 400);
	w->faults.cut = false;
	must_settle(w, 165);
}

static void dpd_one_way(struct world *w)
{
	connect_pair(w);
	w->faults.cut_one = true; /* B hears nothing, A hears B's ESP */
	world_run(w, span_s(120));
	must(w, !B->up[0], "B did not notice");
	w->faults.cut_one = false;
	must_settle(w, 165);
}

static void dpd_clear(struct world *w)
{
	A->cfg[0].dpd_action = B->cfg[0].dpd_action = IKE_DPD_CLEAR;
	connect_pair(w);
	w->faults.cut = true;
	world_run(w, span_s(60));
	must(w, !A->up[0] && count_sas(A, 0).ike == 0, "not cleared");
	w->faults.cut = false;
	world_run(w, span_s(60));
	must(w, !A->up[0], "came back by itself");
	node_event(A, IKE_EV_INITIATE, 0);
	must_settle(w, 60);
}

static void dpd_none(struct world *w)
{
	A->cfg[0].dpd_action = B->cfg[0].dpd_action = IKE_DPD_NONE;
	connect_pair(w);
	w->faults.cut = true;
	world_run(w, span_s(200));
	must(w, A->n_events[IKE_HAP_DPD_TIMEOUT] == 1 && A->n_down[0] == 0, "not only reported");
	w->faults.cut = false;
	must_settle(w, 60);
	must(w, A->n_events[IKE_HAP_IKE_UP] == 1, "not the same SA");
}

static void idle_sends_only_probes(struct world *w)
{
	w->esp_period_us = 0;
	connect_pair(w);
	world_run(w, span_s(100));
	must(w, count(A, IKE_CNT_DPD_SENT) + count(B, IKE_CNT_DPD_SENT) >= 8, "not watched");
	must(w, w->n_ike < 60, "too much");
	must(w, A->up[0] && A->n_keepalive == 0, "keepalives without a NAT");
}

/* Requirements: RFC7296-2.4-initial-contact */
static void peer_reboot(struct world *w)
{
	/* Who loses power comes back as initiator, and later as responder. */
	for (int i = 0; i < 2; i++) {
		connect_pair(w);
		node_power_off(&w->node[i]);
		world_run(w, span_s(3));
		must(w, node_power_on(&w->node[i]), "no start");
		must_settle(w, i ? 165 : 15);
		world_fini(w);
		world_init(w, 77);
	}
}

static void behind_nat(struct world *w)
{
	net_use_nat(w);
	B->cfg[0].remote = (struct ip_addr){0};
}

/* Requirements: RFC7296-2.23-port */
static void nat(struct world *w)
{
	struct sim_count a, b;

	behind_nat(w);
	connect_pair(w);
	a = count_sas(A, 0);
	b = count_sas(B, 0);
	must(w, a.natt && b.natt && a.remote.port == 4500 && b.remote.port == w->nat_ports[1],
	     "no NAT-T");
	world_run(w, span_s(2));
	must(w, A->n_esp_received > 300 && B->n_esp_received > 300, "no traffic");
	node_event(B, IKE_EV_REKEY_IKE, 0);
	node_event(A, IKE_EV_REKEY_CHILD, 0);
	world_run(w, span_s(10));
	must_settle(w, 10);
	w->esp_period_us = 0;
	A->cfg[0].dpd_interval = span_s(1000);
	B->cfg[0].dpd_interval = span_s(1000);
	node_set_tunnel(A, 0);
	node_set_tunnel(B, 0);
	world_run(w, span_s(200));
	must(w, A->n_keepalive >= 8 && A->n_keepalive <= 11 && B->n_keepalive == 0, "keepalives");
}

/* Requirements: RFC7296-2.23-follow */
static void nat_rebinding(struct world *w)
{
	behind_nat(w);
	connect_pair(w);
	world_run(w, span_s(1));
	net_rebind_nat(w); /* ESP of A shows B the new port */
	world_run(w, span_s(1));
	must(w, B->n_events[IKE_HAP_PEER_MOVED] == 1, "not followed");
	must(w, count_sas(B, 0).remote.port == w->nat_ports[1], "not followed");
	w->esp_period_us = 0;
	net_rebind_nat(w); /* without traffic the next DPD request does */
	world_run(w, span_s(30));
	must(w, B->n_events[IKE_HAP_PEER_MOVED] == 2, "not followed by IKE");
	w->esp_period_us = 5000;
	must_settle(w, 5);
	must(w, A->n_down[0] + B->n_down[0] == 0, "flapped");
}

static void forced_encapsulation(struct world *w)
{
	B->cfg[0].encap = IKE_ENCAP_FORCE;
	connect_pair(w);
	must(w, count_sas(A, 0).natt && count_sas(B, 0).natt, "not encapsulated");
	world_run(w, span_s(1));
	must(w, A->n_esp_received > 100, "no traffic");
}

static void no_nat_stays_on_500(struct world *w)
{
	connect_pair(w);
	must(w, !count_sas(A, 0).natt && count_sas(A, 0).remote.port == 500, "moved");
}

/* ------------------------------------------------------------------ who comes back */

/* B deletes what A has brought up: with `add` A waits for B, with `start` it comes back. */
static void peer_deletes(struct world *w)
{
	static const struct {
		enum ike_startup startup;
		bool comes_back;
	} cases[] = {{IKE_STARTUP_ADD, false}, {IKE_STARTUP_START, true}};

	for (size_t i = 0; i < 2; i++) {
		A->cfg[0].startup = cases[i].startup;
		must(w, world_start(w), "no start");
		node_event(A, IKE_EV_INITIATE, 0);
		must_settle(w, 10);
		/* Not by a rekey's Delete. */
		node_event(B, IKE_EV_REKEY_IKE, 0);
		world_run(w, span_s(8));
		must(w, A->up[0] && count(B, IKE_CNT_IKE_REKEYED) == 1, "not rekeyed");
		node_event(B, IKE_EV_TERMINATE, 0);
		world_run(w, span_s(90));
		must(w, A->up[0] == cases[i].comes_back, "waits for the wrong one");
		node_event(B, IKE_EV_INITIATE, 0);
		must_settle(w, 30);
		/* A dead peer is another matter: that is what dpd_action is for. */
		node_power_off(B);
		world_run(w, span_s(60));
		must(w, node_power_on(B), "no start");
		must_settle(w, 120);
		world_fini(w);
		world_init(w, 78);
	}
}

/* `down` in each moment of the handshake, on either side, and with a peer that answers no more. */
static void down_in_handshake(struct world *w)
{
	for (unsigned at = 0; at < 3600; at += 200) {
		for (unsigned cut = 0; cut < 2; cut++) {
			world_fini(w);
			world_init(w, at);
			A->cfg[0].startup = IKE_STARTUP_ADD;
			w->esp_period_us = 50000;
			A->key_delay_us = B->key_delay_us = 300;
			must(w, world_start(w), "no start");
			node_event(A, IKE_EV_INITIATE, 0);
			world_run(w, span_us(at * 2));
			w->faults.cut = cut;
			node_event(A, IKE_EV_TERMINATE, 0);
			must(w, strcmp(phase(A), "connecting") && strcmp(phase(A), "up"),
			     "goes on");
			world_run(w, span_s(8)); /* what it brought up lingers */
			must(w, !A->up[0] && A->n_up[0] <= 1, "is up");
			must(w, cut || both_empty(w), "the peer was not told");
			world_run(w, span_s(40));
			must(w, count_sas(A, 0).ike == 0, "something is left");
			must(w, !strcmp(phase(A), "down"), "not down");
			must(w, cut || both_empty(w), "it came back");
			w->faults.cut = false;
			node_event(A, IKE_EV_INITIATE, 0);
			must_settle(w, 60);
		}
	}
}

static const struct scenario scenarios[] = {
	{"DPD timeout, restart", dpd_timeout},
	{"DPD below a second", dpd_subsecond},
	{"one direction is cut", dpd_one_way},
	{"DPD action clear", dpd_clear},
	{"DPD action none", dpd_none},
	{"an idle tunnel sends probes only", idle_sends_only_probes},
	{"peer reboot", peer_reboot},
	{"NAT", nat},
	{"NAT rebinding", nat_rebinding},
	{"forced encapsulation", forced_encapsulation},
	{"without a NAT port 500", no_nat_stays_on_500},
	{"the peer deletes", peer_deletes},
	{"down in a handshake", down_in_handshake},
};

int main(int argc, char **argv)
{
	return run_scenarios("peer", scenarios, sizeof(scenarios) / sizeof(scenarios[0]), argc,
			     argv);
}
