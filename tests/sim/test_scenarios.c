/* SPDX-License-Identifier: Apache-2.0 */
/* Scenarios: how two gateways come up, and why they do not. The table at the end names them. */
#include <string.h>
#include "tests/sim/liar.h"
#include "tests/sim/scenario.h"

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

/* Requirements: REKEY-one-side, SIM-same-sas */
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

/* Requirements: SIM-same-sas, REKEY-network */
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

/* Requirements: RFC7296-2.6-kept */
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

/* Requirements: RFC7296-2.21.2-child */
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

/* ------------------------------------------------------------------ single pairs */

static bool narrow_minded; /* B refuses whatever is not one pair of addresses */
static unsigned n_refused;

/* B's answer with SA and TS in place of which stands SINGLE_PAIR_REQUIRED. */
static void require_pair(struct liar_inner *in, const void *arg)
{
	static const uint8_t notify[] = {0, 0, IKE_N_SINGLE_PAIR_REQUIRED >> 8,
					 IKE_N_SINGLE_PAIR_REQUIRED & 0xff};
	const struct liar_payload *ts = liar_find(in, IKE_PL_TSI);

	(void)arg;
	/* Selectors follow a header of 4 octets; addresses stand 8 octets into the first. */
	if (!narrow_minded || !ts ||
	    (ts->body[0] == 1 && !memcmp(ts->body + 4 + 8, ts->body + 4 + 12, 4)))
		return;
	n_refused++;
	liar_drop(in, IKE_PL_SA);
	liar_drop(in, IKE_PL_TSI);
	liar_drop(in, IKE_PL_TSR);
	liar_add(in, IKE_PL_NOTIFY, 0, notify, sizeof(notify));
}

static void add_host(struct ike_ts *ts, size_t *n, struct ip_addr a)
{
	ts[*n] = ts[0];
	ts[*n].first = ts[*n].last = a;
	(*n)++;
}

/* Requirements: RFC7296-2.9-single-pair */
static void single_pair(struct world *w)
{
	static struct liar liar;

	for (int hosts = 0; hosts < 2; hosts++) {
		struct ike_tunnel_cfg *a = &A->cfg[0], *b = &B->cfg[0];

		if (hosts) {
			add_host(a->local_ts, &a->n_local_ts, ip_v4(10, 9, 0, 1));
			add_host(a->remote_ts, &a->n_remote_ts, ip_v4(10, 9, 1, 1));
			add_host(b->local_ts, &b->n_local_ts, ip_v4(10, 9, 1, 1));
			add_host(b->remote_ts, &b->n_remote_ts, ip_v4(10, 9, 0, 1));
		}
		/* B has no children of its own: what it has made, A does not get. */
		w->esp_period_us = 0;
		liar = (struct liar){.from = 1,
				     .exchange = IKE_AUTH,
				     .response = true,
				     .times = 1,
				     .edit = require_pair};
		narrow_minded = true;
		n_refused = 0;
		liar_install(w, &liar);
		must(w, world_start(w), "no start");
		world_run(w, span_ms(300));
		must(w, n_refused == 1 && !A->up[0], "not refused");
		must(w, A->n_events[IKE_HAP_TS_UNACCEPTABLE] == 1, "nobody said so");
		must(w,
		     strstr(A->last_event[IKE_HAP_TS_UNACCEPTABLE],
			    hosts ? "is tried" : "ours are networks") != NULL,
		     "no explanation");
		w->filter = NULL;
		world_run(w, span_s(8));
		must(w, ike_tunnel_find(A->ike, 0)->single_pair == hosts, "wrong offer");
		if (hosts) {
			const struct ike_child *c = ike_tunnel_find(A->ike, 0)->current;

			must(w, c && c->n_local_ts == 1 && c->n_remote_ts == 1, "not narrowed");
			must(w,
			     ip_equal(&c->local_ts[0].last, &a->local_ts[1].last) &&
				     ip_equal(&c->remote_ts[0].first, &a->remote_ts[1].first),
			     "another pair");
		}
		world_fini(w);
		world_init(w, 29);
	}
}

/* The same in CREATE_CHILD_SA: the IKE SA is asked again, for the pair. */
static void single_pair_in_create_child(struct world *w)
{
	static struct liar liar;
	struct ike_tunnel_cfg *a = &A->cfg[0], *b = &B->cfg[0];
	const struct ike_child *c;

	add_host(a->local_ts, &a->n_local_ts, ip_v4(10, 9, 0, 1));
	add_host(a->remote_ts, &a->n_remote_ts, ip_v4(10, 9, 1, 1));
	add_host(b->local_ts, &b->n_local_ts, ip_v4(10, 9, 1, 1));
	add_host(b->remote_ts, &b->n_remote_ts, ip_v4(10, 9, 0, 1));
	a->childless = true;
	w->esp_period_us = 0;
	liar = (struct liar){.from = 1,
			     .exchange = IKE_CREATE_CHILD_SA,
			     .response = true,
			     .times = 1,
			     .edit = require_pair};
	narrow_minded = true;
	n_refused = 0;
	liar_install(w, &liar);
	must(w, world_start(w), "no start");
	world_run(w, span_ms(300));
	must(w, n_refused == 1 && !A->up[0], "not refused");
	w->filter = NULL;
	world_run(w, span_s(8));
	must(w, ike_tunnel_find(A->ike, 0)->single_pair, "not narrowed");
	c = ike_tunnel_find(A->ike, 0)->current;
	must(w, A->up[0] && c && c->n_local_ts == 1 && c->n_remote_ts == 1, "no child of a pair");
	must(w, ip_equal(&c->local_ts[0].last, &a->local_ts[1].last), "another pair");
	must(w, A->n_events[IKE_HAP_IKE_UP] == 1, "another IKE SA");
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

static void dataplane_is_slow(struct world *w)
{
	A->dp_delay_us = B->dp_delay_us = 300000;
	A->dp_jitter_us = B->dp_jitter_us = 900000;
	whole_story(w);
	must(w, A->n_down[0] + B->n_down[0] == 0, "flapped");
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

static const struct scenario scenarios[] = {
	{"happy path", happy_path},
	{"the peer initiates", peer_initiates},
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
	{"single pairs are required", single_pair},
	{"single pairs are required, in CREATE_CHILD_SA", single_pair_in_create_child},
	{"both initiate at once", both_initiate},
	{"the dataplane is slow", dataplane_is_slow},
	{"two tunnels between the same addresses", two_tunnels},
};

int main(int argc, char **argv)
{
	return run_scenarios("scenarios", scenarios, sizeof(scenarios) / sizeof(scenarios[0]), argc,
			     argv);
}
