/* SPDX-License-Identifier: Apache-2.0 */
/* SAs of single workers (RFC 9611): how they come, live beside the common one, and go. */
#include "tests/sim/scenario.h"

static unsigned expected;

static bool as_expected(struct world *w)
{
	return settled_with(w, expected);
}

static void must_have(struct world *w, unsigned n_children, unsigned seconds)
{
	expected = n_children;
	must(w, world_until(w, as_expected, span_s(seconds)), "not settled;");
	world_run(w, span_s(1)); /* who answered switches with the first packet */
	must(w, as_expected(w), "not settled any more;");
}

static void use(struct world *w, unsigned n_a, unsigned n_b)
{
	A->n_workers = n_a;
	B->n_workers = n_b;
	A->cfg[0].per_resource = B->cfg[0].per_resource = true;
	A->limits.max_children = B->limits.max_children = SIM_SLOTS;
}

static unsigned own_slots(const struct sim_node *n)
{
	unsigned mine = 0;

	for (unsigned i = 0; i < n->n_workers; i++)
		mine += n->own[0][i] != SIM_NONE;
	return mine;
}

/* RFC 9611 3: the first child is common, then comes one for each worker, with an SPI of its own. */
static void one_for_each_worker(struct world *w)
{
	use(w, 2, 2);
	must(w, world_start(w), "no start");
	must_have(w, 3, 10);
	world_run(w, span_s(10));
	must_have(w, 3, 1);
	must(w, own_slots(A) == 2 && own_slots(B) == 2, "a worker has none of its own");
	for (int i = 0; i < SIM_NODES; i++) {
		const struct sim_node *n = &w->node[i];
		const uint32_t x = n->out_half[n->own[0][0]].spi, y = n->out_half[n->own[0][1]].spi;

		must(w,
		     x != y && x != n->out_half[n->current[0]].spi &&
			     y != n->out_half[n->current[0]].spi,
		     "two workers send by one SA");
		must(w, n->n_own_sent > 1000, "they are not used");
	}
	must(w, A->n_esp_sent - B->n_esp_received <= 4, "packets lost");
}

/* Nothing is done where one end does not say so. Requirements: RFC9611-3-both */
static void not_without_the_peer(struct world *w)
{
	for (int i = 0; i < 2; i++) {
		use(w, 2, 2);
		w->node[i].cfg[0].per_resource = false;
		must(w, world_start(w), "no start");
		must_have(w, 1, 10);
		world_run(w, span_s(20));
		must_have(w, 1, 1);
		world_fini(w);
		world_init(w, w->seed);
	}
}

/* RFC 7296 2.8: who answers sends by the common one until the other surely receives on the new one. */
static void slow_to_install(struct world *w)
{
	uint64_t lost; /* before the common one stood at both ends */

	use(w, 2, 2);
	A->dp_delay_us = 150000;
	must(w, world_start(w), "no start");
	must(w, world_until(w, both_up, span_s(5)), "not up");
	lost = B->n_esp_sent - A->n_esp_received;
	must_have(w, 3, 10);
	world_run(w, span_s(10));
	must(w, own_slots(A) == 2 && own_slots(B) == 2, "a worker has none of its own");
	must(w, B->n_esp_sent - A->n_esp_received <= lost + 4, "packets lost");
}

/* Inbound halves that are decrypted by a worker, 0: by the tunnel's owner. */
static unsigned receivers(const struct sim_node *n, uint32_t resource)
{
	unsigned k = 0;

	for (size_t i = 0; i < sizeof(n->in) / sizeof(n->in[0]); i++)
		k += n->in[i].on && n->in[i].owner == resource;
	return k;
}

/* Who has fewer resources receives on the others. Requirements: RFC9611-4-fewer */
static void different_numbers(struct world *w)
{
	use(w, 4, 2);
	must(w, world_start(w), "no start");
	must_have(w, 5, 10);
	must(w, own_slots(A) == 4 && own_slots(B) == 2, "wrong workers");
	/* What the other one has more is spread over our workers; nobody's is the common one alone. */
	must(w, receivers(B, 0) == 1 && receivers(B, 1) >= 1 && receivers(B, 2) >= 1,
	     "one worker decrypts it all");
	must(w, receivers(A, 0) == 1 && receivers(A, 1) == 1 && receivers(A, 4) == 1,
	     "not each its own");
	world_run(w, span_s(10));
	must_have(w, 5, 1);
}

/* The responder makes what the initiator has no wish for. */
static void responder_has_more(struct world *w)
{
	use(w, 1, 3);
	must(w, world_start(w), "no start");
	must_have(w, 4, 12);
	must(w, own_slots(A) == 0 && own_slots(B) == 3, "wrong workers");
	must(w, A->n_esp_sent - B->n_esp_received <= 4, "packets lost");
}

/* Each is rekeyed for itself, from either side, and no packet is lost. */
static void rekeys(struct world *w)
{
	use(w, 2, 3);
	must(w, world_start(w), "no start");
	must_have(w, 4, 12);
	for (int i = 0; i < 12; i++) {
		node_event(i & 1 ? B : A, IKE_EV_REKEY_CHILD, 0);
		world_run(w, span_ms(1500));
		if (i % 3 == 0)
			node_event(i & 2 ? B : A, IKE_EV_REKEY_IKE, 0);
		world_run(w, span_ms(700));
	}
	must_have(w, 4, 60);
	must(w, own_slots(A) == 2 && own_slots(B) == 3, "a worker has lost its own");
	must(w, ike_counter_get(A->ike, IKE_CNT_CHILD_REKEYED) >= 4 * 12, "too few rekeys");
	must(w, A->n_down[0] + B->n_down[0] == 0, "flapped");
	must(w, A->n_esp_sent - B->n_esp_received <= 6, "packets lost");
	must(w, B->n_esp_sent - A->n_esp_received <= 6, "packets lost");
}

/* Both ends at once, for every child. */
static void rekey_collisions(struct world *w)
{
	use(w, 2, 2);
	must(w, world_start(w), "no start");
	must_have(w, 3, 12);
	for (int i = 0; i < 6; i++) {
		node_event(A, IKE_EV_REKEY_CHILD, 0);
		node_event(B, IKE_EV_REKEY_CHILD, 0);
		world_run(w, span_s(5));
	}
	must_have(w, 3, 90);
	must(w, own_slots(A) == 2 && own_slots(B) == 2, "a worker has lost its own");
	must(w, A->n_down[0] + B->n_down[0] == 0, "flapped");
}

/* Node 0's second request for a child and those after it are lost for a second. */
static bool only_the_first(struct world *w, int from, const uint8_t *data, size_t size)
{
	unsigned *n = w->filter_ctx;

	(void)size;
	return from == 0 && data[18] == 36 && !(data[19] & 0x20) && ++*n > 1 &&
	       w->now.ns < 2000000000;
}

static bool b_established(struct world *w)
{
	return B->n_events[IKE_HAP_IKE_UP];
}

/* Who has no use for what it asked for only receives on it, and has no more to say about it. */
static void peer_only_receives(struct world *w)
{
	unsigned n = 0;

	use(w, 2, 1);
	/* Both ask for the common one at once. */
	A->cfg[0].childless = B->cfg[0].childless = true;
	w->faults.delay_us = 20000;
	w->filter = only_the_first;
	w->filter_ctx = &n;
	must(w, world_start(w), "no start");
	must(w, world_until(w, b_established, span_s(10)), "not established");
	node_event(B, IKE_EV_INITIATE, 0);
	world_run(w, span_s(150));
	must(w, own_slots(A) == 2 && own_slots(B) == 0, "a worker has none of its own");
}

/* Nothing reaches B once A has answered its first request for a worker's child. */
static bool after_the_answer(struct world *w, int from, const uint8_t *data, size_t size)
{
	unsigned *answers = w->filter_ctx;

	(void)size;
	return from == 0 && data[18] == 36 && data[19] & 0x20 && ++*answers > 1;
}

static bool refused(struct world *w)
{
	return !B->dp_fails;
}

/* What came to nothing is what the peer hears of first: it must not take silence for success. */
static void refused_and_cut(struct world *w)
{
	unsigned answers = 0;

	use(w, 2, 2);
	A->cfg[0].startup = IKE_STARTUP_ADD;
	B->cfg[0].startup = IKE_STARTUP_START;
	A->cfg[0].dpd_interval = B->cfg[0].dpd_interval = span_s(100);
	w->filter = after_the_answer;
	w->filter_ctx = &answers;
	must(w, world_start(w), "no start");
	must(w, world_until(w, both_up, span_s(10)), "not up");
	B->dp_fails = true;
	must(w, world_until(w, refused, span_s(10)), "not refused");
	world_run(w, span_s(28));
	must(w, both_up(w), "down");
	w->filter = NULL;
	must_have(w, 3, 60);
}

static bool a_hears_nothing(struct world *w, int from, const uint8_t *data, size_t size)
{
	(void)w;
	(void)data;
	(void)size;
	return from == 1;
}

static bool reauthenticated(struct world *w)
{
	return A->n_events[IKE_HAP_IKE_UP] == 2;
}

/* A new IKE SA takes over: no worker sends by what the peer may have deleted already. */
static void replaced_and_unanswered(struct world *w)
{
	use(w, 2, 2);
	w->esp_period_us = 20000;
	A->cfg[0].reauth = span_s(120);
	A->cfg[0].dpd_interval = B->cfg[0].dpd_interval = span_s(100);
	must(w, world_start(w), "no start");
	must_have(w, 3, 10);
	must(w, world_until(w, reauthenticated, span_s(120)), "not made anew");
	w->filter = a_hears_nothing;
	world_run(w, span_s(15));
	w->filter = NULL;
	world_run(w, span_s(60));
	must(w, own_slots(A) == 2 && own_slots(B) == 2, "a worker has none of its own");
	must(w, A->n_down[0] + B->n_down[0] == 0, "flapped");
}

/* It stops for this IKE SA; nothing else suffers. Requirements: RFC9611-4-enough */
static void peer_says_enough(struct world *w)
{
	use(w, 4, 4);
	B->limits.max_children = 3; /* its slots: NO_ADDITIONAL_SAS for the rest */
	must(w, world_start(w), "no start");
	must_have(w, 3, 10);
	world_run(w, span_s(60));
	must_have(w, 3, 1);
	must(w, A->n_down[0] + B->n_down[0] == 0, "flapped");
	must(w, ike_counter_get(A->ike, IKE_CNT_NO_PROPOSAL) == 0, "reported as a failure");
}

static void dataplane_restarts(struct world *w)
{
	use(w, 2, 2);
	must(w, world_start(w), "no start");
	must_have(w, 3, 10);
	dp_restart(A);
	world_run(w, span_s(1));
	must_have(w, 3, 150);
	dp_restart(B);
	world_run(w, span_s(1));
	must_have(w, 3, 150);
	must(w, own_slots(A) == 2 && own_slots(B) == 2, "a worker has lost its own");
}

/* A new process finds each worker's SA, and nothing is made anew. */
static void process_restarts(struct world *w)
{
	use(w, 2, 3);
	must(w, world_start(w), "no start");
	must_have(w, 4, 12);
	for (int i = 0; i < 4; i++) {
		process_restart(i & 1 ? B : A);
		world_run(w, span_s(8));
		must_have(w, 4, 5);
	}
	must(w, own_slots(A) == 2 && own_slots(B) == 3, "a worker has lost its own");
	node_event(A, IKE_EV_REKEY_CHILD, 0);
	world_run(w, span_s(8));
	must_have(w, 4, 30);
}

static void lossy(struct world *w)
{
	const uint64_t seed = w->seed;

	for (uint64_t i = 0; i < 12; i++) {
		world_fini(w);
		world_init(w, seed + i);
		w->esp_period_us = 20000;
		use(w, 2 + i % 3, 2 + i % 2);
		w->faults.jitter_us = 30000;
		w->faults.loss = 10;
		must(w, world_start(w), "no start");
		for (int j = 0; j < 8; j++) {
			world_run(w, span_s(10));
			node_event(j & 1 ? B : A, j & 2 ? IKE_EV_REKEY_IKE : IKE_EV_REKEY_CHILD, 0);
			if (i % 4 == 3)
				process_restart(j & 1 ? A : B);
		}
		w->faults.loss = 0;
		world_run(w, span_s(200));
		must(w, w->node[0].up[0] && w->node[1].up[0], "down");
		must(w, own_slots(A) == A->n_workers && own_slots(B) == B->n_workers,
		     "a worker has none of its own");
	}
}

static void ends(struct world *w)
{
	use(w, 3, 3);
	A->cfg[0].startup = IKE_STARTUP_ADD;
	must(w, world_start(w), "no start");
	node_event(A, IKE_EV_INITIATE, 0);
	must_have(w, 4, 10);
	node_event(A, IKE_EV_TERMINATE, 0);
	must(w, world_until(w, both_empty, span_s(10)), "not empty");
}

static const struct scenario scenarios[] = {
	{"one for each worker", one_for_each_worker},
	{"not without the peer", not_without_the_peer},
	{"different numbers", different_numbers},
	{"slow to install", slow_to_install},
	{"responder has more", responder_has_more},
	{"rekeys", rekeys},
	{"rekey collisions", rekey_collisions},
	{"peer only receives", peer_only_receives},
	{"refused and cut", refused_and_cut},
	{"replaced and unanswered", replaced_and_unanswered},
	{"peer says enough", peer_says_enough},
	{"dataplane restarts", dataplane_restarts},
	{"process restarts", process_restarts},
	{"lossy", lossy},
	{"ends", ends},
};

int main(int argc, char **argv)
{
	return run_scenarios("resources", scenarios, sizeof(scenarios) / sizeof(scenarios[0]), argc,
			     argv);
}
