/* SPDX-License-Identifier: Apache-2.0 */
/* Scenarios: one readable case each; the table at the end names them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "base/secret.h"
#include "tests/sim/world.h"

#define A (&w->node[0])
#define B (&w->node[1])

static void must(struct world *w, bool ok, const char *what)
{
	if (!ok || w->failure[0])
		fail_msg("seed %llu: %s %s", (unsigned long long)w->seed, what, w->failure);
}

static void must_settle(struct world *w, unsigned seconds)
{
	must(w, world_until(w, settled, span_s(seconds)), "not settled;");
}

static void connect_pair(struct world *w)
{
	must(w, world_start(w), "no start");
	must_settle(w, 10);
}

static uint64_t count(const struct sim_node *n, enum ike_counter c)
{
	return ike_counter_get(n->ike, c);
}

/* ------------------------------------------------------------------ happy path */

static void happy_path(struct world *w)
{
	connect_pair(w);
	world_run(w, span_s(2));
	must(w, A->n_esp_received > 300 && B->n_esp_received > 300, "no traffic");
	must(w, A->n_up[0] == 1 && A->n_down[0] == 0, "flapped");
}

static void peer_initiates(struct world *w)
{
	A->cfg[0].startup = IKE_STARTUP_ADD;
	B->cfg[0].startup = IKE_STARTUP_START;
	happy_path(w);
	must(w, !count_sas(A, 0).ike_initiator, "wrong role");
}

static void rekeys_keep_every_packet(struct world *w)
{
	connect_pair(w);
	for (int i = 0; i < 20; i++) {
		node_event(i & 1 ? B : A, IKE_EV_REKEY_CHILD, 0);
		world_run(w, span_ms(700));
		node_event(i & 2 ? B : A, IKE_EV_REKEY_IKE, 0);
		world_run(w, span_ms(700));
	}
	must_settle(w, 10);
	must(w, A->n_down[0] + B->n_down[0] == 0, "flapped");
	must(w, count(A, IKE_CNT_CHILD_REKEYED) >= 20 && count(A, IKE_CNT_IKE_REKEYED) >= 20,
	     "too few");
	must(w, A->n_esp_sent - B->n_esp_received <= 2, "packets lost");
	must(w, B->n_esp_sent - A->n_esp_received <= 2, "packets lost");
}

/* More children than there are slots, one after another. */
static void slots_come_back(struct world *w)
{
	w->esp_period_us = 20000;
	connect_pair(w);
	for (int i = 0; i < 3 * SIM_SLOTS; i++) {
		node_event(A, IKE_EV_REKEY_CHILD, 0);
		world_run(w, span_ms(1500));
	}
	must_settle(w, 10);
	must(w, count(A, IKE_CNT_CHILD_REKEYED) == 3 * SIM_SLOTS, "not every rekey succeeded");
	must(w, count(A, IKE_CNT_RESOURCES) + count(B, IKE_CNT_RESOURCES) == 0, "out of slots");
}

static void delete_from_each_side(struct world *w)
{
	A->cfg[0].startup = IKE_STARTUP_ADD;
	must(w, world_start(w), "no start");
	for (int i = 0; i < 2; i++) {
		node_event(A, IKE_EV_INITIATE, 0);
		must_settle(w, 10);
		node_event(A, IKE_EV_TERMINATE, 0);
		must(w, world_until(w, both_empty, span_s(10)), "not empty");
		node_event(A, IKE_EV_INITIATE, 0);
		must_settle(w, 10);
		A->cfg[0].startup =
			IKE_STARTUP_START; /* a change that sets, and then unsets, the will */
		node_set_tunnel(A, 0);
		A->cfg[0].startup = IKE_STARTUP_ADD;
		node_set_tunnel(A, 0);
		node_event(B, IKE_EV_TERMINATE, 0);
		must(w, world_until(w, both_empty, span_s(10)), "not empty");
	}
	world_run(w, span_s(120));
	must(w, both_empty(w), "came back");
}

/* ------------------------------------------------------------------------ loss */

/* The longest story that loses nothing by itself. */
static void whole_story(struct world *w)
{
	connect_pair(w);
	world_run(w, span_s(1));
	node_event(A, IKE_EV_REKEY_CHILD, 0);
	world_run(w, span_s(8));
	node_event(B, IKE_EV_REKEY_CHILD, 0);
	world_run(w, span_s(8));
	node_event(A, IKE_EV_REKEY_IKE, 0);
	world_run(w, span_s(8));
	node_event(B, IKE_EV_REKEY_IKE, 0);
	world_run(w, span_s(8));
	must_settle(w, 30);
}

static void loss_of_each_message(struct world *w)
{
	uint64_t n;

	w->esp_period_us = 20000;
	whole_story(w);
	n = w->n_ike;
	must(w, n >= 16, "too few messages");
	for (uint64_t lost = 1; lost <= n; lost++) {
		world_fini(w);
		world_init(w, lost);
		w->esp_period_us = 20000;
		w->drop_ike = lost;
		whole_story(w);
		must(w, A->n_down[0] + B->n_down[0] == 0, "flapped");
		must(w, count(A, IKE_CNT_TX_RETRANSMIT) + count(B, IKE_CNT_TX_RETRANSMIT) > 0,
		     "nothing was repeated");
	}
}

static void everything_twice(struct world *w)
{
	w->faults.duplicate = 100;
	w->faults.jitter_us = 2000;
	whole_story(w);
	must(w, A->n_down[0] + B->n_down[0] == 0, "flapped");
}

static void heavy_loss(struct world *w)
{
	w->faults.loss = 30;
	w->faults.jitter_us = 30000;
	w->faults.duplicate = 10;
	w->esp_period_us = 20000;
	must(w, world_start(w), "no start");
	for (int i = 0; i < 30; i++) {
		node_event(i & 1 ? A : B, i & 2 ? IKE_EV_REKEY_CHILD : IKE_EV_REKEY_IKE, 0);
		world_run(w, span_s(3));
	}
	w->faults.loss = 0;
	must_settle(w, 165);
}

/* ----------------------------------------------------------------- IKE_SA_INIT */

static void cookie(struct world *w)
{
	B->limits.cookie_threshold = 0;
	connect_pair(w);
	must(w, count(B, IKE_CNT_COOKIE_SENT) == 1, "no cookie");
	must(w, w->n_ike == 6, "more messages than needed");
}

static void invalid_ke(struct world *w)
{
	A->cfg[0].ike_algs.by_type[IKE_TRANSFORM_DH] =
		(struct ike_alg_list){2, {{IKE_DH_ECP_256, 0}, {IKE_DH_CURVE25519, 0}}};
	connect_pair(w);
	must(w, count(A, IKE_CNT_INVALID_KE) == 1, "no retry");
}

static void cookie_and_invalid_ke(struct world *w)
{
	B->limits.cookie_threshold = 0;
	invalid_ke(w);
	/* The cookie is kept over the retry: it is for Ni, SPIi and the address. */
	must(w, count(B, IKE_CNT_COOKIE_SENT) == 1, "asked twice");
}

/* Two groups that both accept, preferred differently: no round trip is spent on INVALID_KE_PAYLOAD. */
static void either_group(struct world *w)
{
	for (int i = 0; i < SIM_NODES; i++) {
		struct ike_tunnel_cfg *c = &w->node[i].cfg[0];

		c->ike_algs.by_type[IKE_TRANSFORM_ENCR] = c->esp_algs.by_type[IKE_TRANSFORM_ENCR] =
			(struct ike_alg_list){
				2, {{IKE_ENCR_AES_GCM_16, 256}, {IKE_ENCR_AES_GCM_16, 128}}};
		c->ike_algs.by_type[IKE_TRANSFORM_DH] = c->esp_algs.by_type[IKE_TRANSFORM_DH] =
			(struct ike_alg_list){2,
					      {{i ? IKE_DH_ECP_256 : IKE_DH_CURVE25519, 0},
					       {i ? IKE_DH_CURVE25519 : IKE_DH_ECP_256, 0}}};
	}
	connect_pair(w);
	must(w, w->n_ike == 4, "more messages than needed");
	must(w, count_sas(B, 0).ike_suite.dh == IKE_DH_CURVE25519, "not the initiator's group");
	for (int i = 0; i < 4; i++) {
		node_event(i & 1 ? A : B, IKE_EV_REKEY_CHILD, 0);
		world_run(w, span_s(7));
		node_event(i & 1 ? A : B, IKE_EV_REKEY_IKE, 0);
		world_run(w, span_s(2));
	}
	must_settle(w, 5);
	must(w, count(A, IKE_CNT_CHILD_REKEYED) == 4 && count(A, IKE_CNT_IKE_REKEYED) == 4,
	     "not rekeyed");
	must(w, count(A, IKE_CNT_INVALID_KE) + count(B, IKE_CNT_INVALID_KE) == 0, "a round trip");
	must(w,
	     count_sas(A, 0).ike_suite.encr_key_bits == 256 &&
		     count_sas(A, 0).esp_suite.encr_key_bits == 256,
	     "a worse cipher");
}

static void no_ike_proposal(struct world *w)
{
	B->cfg[0].ike_algs.by_type[IKE_TRANSFORM_PRF] =
		(struct ike_alg_list){1, {{IKE_PRF_HMAC_SHA2_512, 0}}};
	must(w, world_start(w), "no start");
	world_run(w, span_s(20));
	must(w, !A->up[0] && A->n_events[IKE_HAP_NO_PROPOSAL] && B->n_events[IKE_HAP_NO_PROPOSAL],
	     "nobody said so");
	must(w, strstr(B->last_event[IKE_HAP_NO_PROPOSAL], "differs") != NULL, "no explanation");
}

static void no_configured_peer(struct world *w)
{
	B->cfg[0].remote = ip_v4(192, 0, 2, 99);
	must(w, world_start(w), "no start");
	world_run(w, span_s(100));
	must(w, count(B, IKE_CNT_RX_NO_PEER) > 5, "not counted");
	must(w, count(B, IKE_CNT_TX) == 0, "answered a stranger");
	B->cfg[0].remote = A->addr;
	node_set_tunnel(B, 0);
	must_settle(w, 80);
}

/* -------------------------------------------------------------------- IKE_AUTH */

static void wrong_psk(struct world *w)
{
	memcpy(B->psk, "wrong", 6);
	must(w, world_start(w), "no start");
	world_run(w, span_s(20));
	must(w, !A->up[0] && !B->up[0] && A->n_esp_sent == 0, "up");
	must(w, A->n_events[IKE_HAP_AUTH_FAILED] && B->n_events[IKE_HAP_AUTH_FAILED],
	     "nobody said so");
	memcpy(B->psk, A->psk, sizeof(B->psk));
	must_settle(w, 80);
}

static void wrong_identity(struct world *w)
{
	A->cfg[0].local_id.data[0] = 'x';
	must(w, world_start(w), "no start");
	world_run(w, span_s(20));
	must(w, !A->up[0] && !B->up[0], "up");
	must(w, A->n_events[IKE_HAP_AUTH_FAILED] && B->n_events[IKE_HAP_AUTH_FAILED],
	     "nobody said so");
	/* A responder that says it is somebody else than it was asked for. */
	A->cfg[0].local_id.data[0] = 'g';
	A->cfg[0].remote_id.data[0] = 'y';
	node_set_tunnel(A, 0);
	world_run(w, span_s(20));
	must(w, !A->up[0] && !B->up[0], "up");
}

static void child_refused_keeps_ike_sa(struct world *w)
{
	B->cfg[0].esp_algs.by_type[IKE_TRANSFORM_ENCR] =
		(struct ike_alg_list){1, {{IKE_ENCR_AES_CBC, 256}}};
	B->cfg[0].esp_algs.by_type[IKE_TRANSFORM_INTEG] =
		(struct ike_alg_list){1, {{IKE_INTEG_HMAC_SHA2_256_128, 0}}};
	must(w, world_start(w), "no start");
	world_run(w, span_s(20));
	must(w, count_sas(A, 0).live_ike == 1 && count_sas(A, 0).child == 0, "no IKE SA");
	must(w, A->n_events[IKE_HAP_NO_PROPOSAL] > 1, "the child was not tried again");
	B->cfg[0].esp_algs = A->cfg[0].esp_algs;
	node_set_tunnel(B, 0);
	must_settle(w, 130);
	must(w, A->n_events[IKE_HAP_IKE_UP] == 1, "another IKE SA");
}

static void ts_mismatch(struct world *w)
{
	B->cfg[0].local_ts[0].first = ip_v4(10, 9, 0, 0);
	B->cfg[0].local_ts[0].last = ip_v4(10, 9, 0, 255);
	must(w, world_start(w), "no start");
	world_run(w, span_s(20));
	must(w,
	     !A->up[0] && A->n_events[IKE_HAP_TS_UNACCEPTABLE] &&
		     B->n_events[IKE_HAP_TS_UNACCEPTABLE],
	     "nobody said so");
	must(w, strstr(B->last_event[IKE_HAP_TS_UNACCEPTABLE], "10.9.0.0") != NULL,
	     "no explanation");
}

static void ts_narrowed(struct world *w)
{
	B->cfg[0].local_ts[0].last = ip_v4(10, 2, 0, 127);
	connect_pair(w);
	node_event(B, IKE_EV_REKEY_CHILD, 0);
	world_run(w, span_s(8));
	node_event(A, IKE_EV_REKEY_CHILD, 0);
	world_run(w, span_s(8));
	must_settle(w, 1);
}

/* ------------------------------------------------------------------ collisions */

static void simultaneous(struct world *w, enum ike_event_type what)
{
	bool seen[2] = {false, false};

	for (uint64_t seed = 1; seed <= 12; seed++) {
		struct sim_count c;

		world_fini(w);
		world_init(w, seed);
		w->drop_ike = seed > 6 ? 4 + seed - 6 : 0;
		connect_pair(w);
		world_run(w, span_s(1));
		node_event(A, what, 0);
		node_event(B, what, 0);
		world_run(w, span_s(20));
		must_settle(w, 30);
		must(w, A->n_down[0] + B->n_down[0] == 0, "flapped");
		must(w, A->n_esp_sent - B->n_esp_received <= 2, "packets lost");
		must(w, B->n_esp_sent - A->n_esp_received <= 2, "packets lost");
		c = count_sas(A, 0);
		seen[what == IKE_EV_REKEY_CHILD ? c.child_initiator : c.ike_initiator] = true;
	}
	must(w, seen[0] && seen[1], "only one side ever won");
}

static void simultaneous_child_rekey(struct world *w)
{
	simultaneous(w, IKE_EV_REKEY_CHILD);
}

static void simultaneous_ike_rekey(struct world *w)
{
	simultaneous(w, IKE_EV_REKEY_IKE);
}

static void child_against_ike_rekey(struct world *w)
{
	for (unsigned gap = 0; gap < 4000; gap += 250) {
		world_fini(w);
		world_init(w, gap);
		connect_pair(w);
		world_run(w, span_s(1));
		node_event(A, IKE_EV_REKEY_CHILD, 0);
		world_run(w, span_us(gap));
		node_event(B, IKE_EV_REKEY_IKE, 0);
		world_run(w, span_s(20));
		must_settle(w, 30);
		must(w, count(A, IKE_CNT_CHILD_REKEYED) && count(A, IKE_CNT_IKE_REKEYED),
		     "given up");
		must(w, A->n_down[0] + B->n_down[0] == 0, "flapped");
	}
}

static void rekey_storm(struct world *w)
{
	w->faults.jitter_us = 5000;
	connect_pair(w);
	for (int i = 0; i < 200; i++) {
		node_event(i & 1 ? A : B, i % 3 ? IKE_EV_REKEY_CHILD : IKE_EV_REKEY_IKE, 0);
		world_run(w, span_ms(13 + i % 50));
	}
	must_settle(w, 60);
	must(w, A->n_down[0] + B->n_down[0] == 0, "flapped");
}

static void rekey_against_delete(struct world *w)
{
	for (unsigned gap = 0; gap < 6000; gap += 500) {
		world_fini(w);
		world_init(w, gap);
		connect_pair(w);
		world_run(w, span_s(1));
		node_event(A, IKE_EV_REKEY_CHILD, 0);
		world_run(w, span_us(gap));
		dp_restart(B); /* B deletes its children and makes a new one */
		must_settle(w, 60);
	}
}

static void both_initiate(struct world *w)
{
	for (unsigned gap = 0; gap < 12000; gap += 400) {
		world_fini(w);
		world_init(w, 1000 + gap);
		w->drop_ike = gap % 800 ? gap / 800 : 0;
		A->cfg[0].startup = B->cfg[0].startup = IKE_STARTUP_START;
		must(w, node_power_on(B), "no start");
		world_run(w, span_us(gap));
		must(w, node_power_on(A), "no start");
		must(w, world_until(w, both_up, span_s(20)), "not up");
		world_run(w, span_s(30));
		must_settle(w, 10);
		must(w, A->n_down[0] + B->n_down[0] == 0, "flapped");
	}
}

/* ------------------------------------------------------------------------- DPD */

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

/* ------------------------------------------------------------------------- NAT */

static void behind_nat(struct world *w)
{
	net_use_nat(w);
	B->cfg[0].remote = (struct ip_addr){0};
}

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

/* ------------------------------------------------------------------- dataplane */

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

static void dataplane_is_slow(struct world *w)
{
	A->dp_delay_us = B->dp_delay_us = 300000;
	A->dp_jitter_us = B->dp_jitter_us = 900000;
	whole_story(w);
	must(w, A->n_down[0] + B->n_down[0] == 0, "flapped");
}

/* --------------------------------------------------------------- configuration */

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

static void two_tunnels(struct world *w)
{
	for (int i = 0; i < 2; i++) {
		struct sim_node *n = &w->node[i];

		n->cfg[1] = n->cfg[0];
		n->cfg[1].tunnel = 1;
		memcpy(n->cfg[1].name, "bore-2", 7);
		n->cfg[1].local_id.data[0] = 'h';
		n->cfg[1].remote_id.data[0] = 'h';
		n->n_tunnels = 2;
	}
	connect_pair(w);
	node_event(A, IKE_EV_REKEY_CHILD, 1);
	node_event(B, IKE_EV_REKEY_IKE, 0);
	world_run(w, span_s(10));
	must_settle(w, 10);
	node_remove_tunnel(B, 0);
	world_run(w, span_s(2));
	must(w, B->up[1] && A->up[1] && !A->up[0], "the other one suffered");
}

static void lifetimes(struct world *w)
{
	for (int i = 0; i < 2; i++) {
		w->node[i].cfg[0].ike_lifetime = span_s(100);
		w->node[i].cfg[0].child_lifetime = span_s(40);
		w->node[i].cfg[0].rekey_margin = span_s(10);
	}
	w->esp_period_us = 20000;
	connect_pair(w);
	world_run(w, span_s(1000));
	must(w, A->n_down[0] + B->n_down[0] == 0, "flapped");
	must(w, count(A, IKE_CNT_CHILD_REKEYED) >= 25 && count(A, IKE_CNT_IKE_REKEYED) >= 9,
	     "too few");
	must_settle(w, 20);
}

static void margin_beyond_lifetime(struct world *w)
{
	for (int i = 0; i < 2; i++) {
		w->node[i].cfg[0].child_lifetime = span_s(60);
		w->node[i].cfg[0].rekey_margin = span_s(500);
	}
	w->esp_period_us = 20000;
	connect_pair(w);
	world_run(w, span_s(600));
	must(w, A->n_down[0] == 0 && count(A, IKE_CNT_CHILD_REKEYED) <= 20, "rekeyed wildly");
	must_settle(w, 20);
}

/* ----------------------------------------------------------------------- table */

static const struct scenario {
	const char *name;
	void (*run)(struct world *w);
} scenarios[] = {
	{"happy path", happy_path},
	{"the peer initiates", peer_initiates},
	{"rekeys from both sides lose no packet", rekeys_keep_every_packet},
	{"slots come back", slots_come_back},
	{"delete from each side", delete_from_each_side},
	{"loss of each message in turn", loss_of_each_message},
	{"every datagram twice", everything_twice},
	{"30 % loss, reordering, rekeys", heavy_loss},
	{"cookie", cookie},
	{"INVALID_KE_PAYLOAD", invalid_ke},
	{"cookie and INVALID_KE_PAYLOAD", cookie_and_invalid_ke},
	{"either of two groups will do", either_group},
	{"no IKE proposal in common", no_ike_proposal},
	{"an unknown peer gets no answer", no_configured_peer},
	{"wrong pre-shared key", wrong_psk},
	{"wrong identities", wrong_identity},
	{"a refused child keeps the IKE SA", child_refused_keeps_ike_sa},
	{"traffic selectors do not meet", ts_mismatch},
	{"traffic selectors are narrowed", ts_narrowed},
	{"simultaneous child rekey, each winner", simultaneous_child_rekey},
	{"simultaneous IKE rekey, each winner", simultaneous_ike_rekey},
	{"child rekey against IKE rekey", child_against_ike_rekey},
	{"rekey storm", rekey_storm},
	{"rekey against delete", rekey_against_delete},
	{"both initiate at once", both_initiate},
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
	{"dataplane restart", dataplane_restart},
	{"one child at a time", one_child_at_a_time},
	{"the dataplane refuses", dataplane_refuses},
	{"the dataplane is slow", dataplane_is_slow},
	{"a removed tunnel", removed_tunnel},
	{"a change that SAs can live with", harmless_change},
	{"a change that they cannot", change_that_restarts},
	{"two tunnels between the same addresses", two_tunnels},
	{"lifetimes", lifetimes},
	{"margin beyond the lifetime", margin_beyond_lifetime},
};
#define N_SCENARIOS (sizeof(scenarios) / sizeof(scenarios[0]))

static struct world the_world;

static void run(void **state)
{
	const struct scenario *s = *state;

	world_init(&the_world, 42);
	the_world.verbose = getenv("SIM_VERBOSE") != NULL;
	s->run(&the_world);
	must(&the_world, true, s->name);
}

static int clean_up(void **state)
{
	(void)state;
	world_fini(&the_world);
	return 0;
}

int main(int argc, char **argv)
{
	struct CMUnitTest tests[N_SCENARIOS];

	if (!secret_init())
		return 1;
	for (size_t i = 0; i < N_SCENARIOS; i++)
		tests[i] = (struct CMUnitTest){scenarios[i].name, run, NULL, clean_up,
					       (void *)(uintptr_t)&scenarios[i]};
	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests_name("sim", tests, NULL, NULL);
}
