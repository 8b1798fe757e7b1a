/* SPDX-License-Identifier: Apache-2.0 */
/* Authentication that ends (RFC 4478), and the new one before that. */
#include <string.h>
#include "ike/wire.h"
#include "tests/sim/scenario.h"

static void nothing_lost(struct world *w)
{
	must(w, A->n_down[0] + B->n_down[0] == 0, "flapped");
	must(w, A->n_esp_sent - B->n_esp_received <= 2, "packets lost");
	must(w, B->n_esp_sent - A->n_esp_received <= 2, "packets lost");
}

/* The new IKE SA with its child first, then the end of the old one; again and again. */
static void make_before_break(struct world *w)
{
	w->esp_period_us = 20000;
	A->cfg[0].reauth = span_s(1800);
	connect_pair(w);
	world_run(w, span_s(3 * 1800));
	must(w, A->n_events[IKE_HAP_IKE_REAUTH] >= 3, "not often enough");
	must(w, count(A, IKE_CNT_IKE_ESTABLISHED) == A->n_events[IKE_HAP_IKE_REAUTH] + 1,
	     "not each made one");
	must_settle(w, 30);
	nothing_lost(w);
}

/* The responder says how long, the initiator does it. Requirements: RFC4478-3-lifetime */
static void responder_grants(struct world *w)
{
	w->esp_period_us = 20000;
	B->cfg[0].reauth = span_s(1200);
	connect_pair(w);
	world_run(w, span_s(3 * 1200));
	must(w, A->n_events[IKE_HAP_IKE_REAUTH] >= 3 && B->n_events[IKE_HAP_IKE_REAUTH] == 0,
	     "not by the initiator");
	must_settle(w, 30);
	nothing_lost(w);
}

static bool no_init(struct world *w, int from, const uint8_t *data, size_t size)
{
	(void)w;
	(void)from;
	return size > 18 && data[18] == IKE_SA_INIT;
}

/* An initiator that does not, or cannot: nothing is believed for longer, at either end. */
static void ends_in_time(struct world *w)
{
	B->cfg[0].reauth = span_s(900);
	A->cfg[0].startup = IKE_STARTUP_ADD;
	must(w, world_start(w), "no start");
	node_event(A, IKE_EV_INITIATE, 0);
	must_settle(w, 10);
	w->filter = no_init;
	world_run(w, span_s(880));
	must(w, A->up[0] && B->up[0], "ended too early");
	must(w, A->n_events[IKE_HAP_IKE_REAUTH] >= 2, "was not tried again");
	world_run(w, span_s(60));
	must(w, both_down(w), "outlived its authentication");
	w->filter = NULL;
	must_settle(w, 165);
}

/* The end stays where it was. Requirements: RFC4478-3-end */
static void rekeys_do_not_prolong(struct world *w)
{
	B->cfg[0].reauth = span_s(900);
	connect_pair(w);
	w->filter = no_init;
	for (int i = 0; i < 8; i++) {
		world_run(w, span_s(100));
		node_event(i & 1 ? B : A, IKE_EV_REKEY_IKE, 0);
	}
	must(w, A->up[0] && B->up[0], "ended too early");
	world_run(w, span_s(140));
	must(w, both_down(w), "outlived its authentication");
	w->filter = NULL;
	must_settle(w, 165);
}

/* A wrong key at the new attempt leaves the old IKE SA alone until its end. */
static void refused(struct world *w)
{
	B->cfg[0].reauth = span_s(900);
	connect_pair(w);
	strcpy(A->psk, "another");
	world_run(w, span_s(880));
	must(w, A->up[0] && B->up[0], "ended too early");
	must(w, A->n_events[IKE_HAP_AUTH_FAILED] > 0, "was not tried");
	world_run(w, span_s(60));
	must(w, both_down(w), "outlived its authentication");
	strcpy(A->psk, B->psk);
	must_settle(w, 165);
}

/* Over a restart of either process, and while both ends rekey. */
static void in_bad_weather(struct world *w)
{
	w->esp_period_us = 50000;
	A->cfg[0].reauth = span_s(900);
	B->cfg[0].reauth = span_s(600);
	A->cfg[0].rekey_margin = B->cfg[0].rekey_margin = span_s(120);
	w->faults.loss = 5;
	w->faults.jitter_us = 20000;
	connect_pair(w);
	for (int i = 0; i < 40; i++) {
		world_run(w, span_s(61));
		node_event(i & 1 ? A : B, i & 2 ? IKE_EV_REKEY_IKE : IKE_EV_REKEY_CHILD, 0);
		if (i % 5 == 0)
			process_restart(i & 4 ? A : B);
	}
	w->faults.loss = 0;
	must(w, A->n_events[IKE_HAP_IKE_REAUTH] >= 3, "not often enough");
	must_settle(w, 165);
}

/* INITIAL_CONTACT would end the old SA at the peer at once (RFC 7296 2.4): no message of A has it. */
static void loss_of_each_message(struct world *w)
{
	for (uint64_t lost = 5; lost < 14; lost++) {
		world_fini(w);
		world_init(w, lost);
		w->esp_period_us = 20000;
		A->cfg[0].reauth = span_s(400);
		A->cfg[0].dpd_interval = B->cfg[0].dpd_interval = span_s(1000);
		w->drop_ike = lost;
		connect_pair(w);
		world_run(w, span_s(600));
		must(w, A->n_events[IKE_HAP_IKE_REAUTH] >= 1, "not done");
		must_settle(w, 30);
		nothing_lost(w);
	}
}

static const struct scenario scenarios[] = {
	{"make before break", make_before_break},
	{"the responder grants a time", responder_grants},
	{"ends in time", ends_in_time},
	{"rekeys do not prolong it", rekeys_do_not_prolong},
	{"refused", refused},
	{"in bad weather", in_bad_weather},
	{"loss of each message", loss_of_each_message},
};

int main(int argc, char **argv)
{
	return run_scenarios("reauth", scenarios, sizeof(scenarios) / sizeof(scenarios[0]), argc,
			     argv);
}
