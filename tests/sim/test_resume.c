/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A control process that ends, and another that takes up what it left. The dataplane goes on with
 * the SAs that it has; the peer must not notice more than it would of lost messages.
 */
#include <string.h>
#include "ike/record.h"
#include "ike/wire.h"
#include "tests/sim/scenario.h"

/* At rest: nobody outside notices, and the SAs are the same. */
static void at_rest(struct world *w)
{
	struct sim_count before, after;

	connect_pair(w);
	before = count_sas(A, 0);
	for (int i = 0; i < 10; i++) {
		world_run(w, span_ms(300));
		process_restart(i & 1 ? B : A);
		must_settle(w, 1);
	}
	world_run(w, span_s(60)); /* DPD exchanges on the restored SA */
	must_settle(w, 1);
	after = count_sas(A, 0);
	must(w, before.spi_i == after.spi_i && before.spi_in == after.spi_in, "other SAs");
	must(w, A->n_esp_excused == 0 && B->n_esp_excused == 0, "packets were lost");
}

/* The time goes on for an SA while nobody looks after it. */
static void while_down(struct world *w)
{
	for (int i = 0; i < SIM_NODES; i++) {
		w->node[i].cfg[0].child_lifetime = span_s(100);
		w->node[i].cfg[0].rekey_margin = span_s(10);
		w->node[i].cfg[0].dpd_interval = span_s(0);
	}
	connect_pair(w);
	process_end(A);
	world_run(w, span_s(30));
	must(w, process_start(A), "no new process");
	must_settle(w, 2);
	must(w, A->n_esp_excused == 0 && B->n_esp_excused == 0, "packets were lost");
	/* It was rekeyed when it would have been. */
	world_run(w, span_s(60));
	must(w,
	     ike_counter_get(A->ike, IKE_CNT_CHILD_REKEYED) == 1 &&
		     ike_counter_get(B->ike, IKE_CNT_CHILD_REKEYED) == 1,
	     "rekeyed at another time");
	/* Longer than the SA may live: it may carry nothing. */
	process_end(A);
	world_run(w, span_s(95));
	must(w, process_start(A), "no new process");
	must_settle(w, 5);
}

/* What the dataplane lost as well is made anew on the same IKE SA. */
static void with_the_dataplane(struct world *w)
{
	struct sim_count before, after;

	connect_pair(w);
	before = count_sas(A, 0);
	process_end(A);
	dp_clear(A);
	A->down_at[0] = w->now;
	world_run(w, span_ms(500));
	must(w, process_start(A), "no new process");
	must_settle(w, 5);
	after = count_sas(A, 0);
	must(w, before.spi_i == after.spi_i && before.spi_in != after.spi_in, "not a new child");
}

static bool rekeyed_by_a(struct world *w)
{
	return A->n_events[IKE_HAP_CHILD_REKEYED] == 1;
}

static bool no_delete(struct world *w, int from, const uint8_t *data, size_t size)
{
	(void)w;
	(void)size;
	return from == 0 && data[18] == IKE_INFORMATIONAL;
}

/* Nobody hears that the peer sends by the successor: the new process moves to it all the same. */
static void first_packet_while_down(struct world *w)
{
	connect_pair(w);
	w->filter = no_delete;
	node_event(A, IKE_EV_REKEY_CHILD, 0);
	must(w, world_until(w, rekeyed_by_a, span_s(5)), "not rekeyed");
	process_end(B);
	world_run(w, span_ms(500));
	must(w, process_start(B), "no new process");
	world_run(w, span_ms(50));
	must(w, B->out_half[B->current[0]].spi == A->in[A->current[0]].spi, "sends by the old one");
	w->filter = NULL;
	must_settle(w, 30);
}

static void configuration_changed(struct world *w)
{
	connect_pair(w);
	process_end(A);
	A->cfg[0].local_ts[0].last = ip_v4(10, 1, 0, 127);
	must(w, process_start(A), "no new process");
	must_settle(w, 10);
	must(w, B->n_down[0] == 1, "the old SAs stayed");
	/* And a tunnel that is gone: its halves are taken out. */
	process_end(A);
	A->n_tunnels = 0;
	must(w, process_start(A), "no new process");
	world_run(w, span_s(1));
	for (size_t i = 0; i < SIM_SLOTS; i++)
		must(w, !A->in[i].on && !A->out_half[i].on, "halves that nobody knows");
}

static void something(struct world *w, unsigned what)
{
	switch (what) {
	case 0: node_event(A, IKE_EV_REKEY_CHILD, 0); break;
	case 1: node_event(B, IKE_EV_REKEY_CHILD, 0); break;
	case 2: node_event(A, IKE_EV_REKEY_IKE, 0); break;
	case 3: node_event(B, IKE_EV_REKEY_IKE, 0); break;
	case 4:
		node_event(A, IKE_EV_REKEY_CHILD, 0);
		node_event(B, IKE_EV_REKEY_CHILD, 0);
		break;
	case 5:
		node_event(A, IKE_EV_REKEY_IKE, 0);
		node_event(B, IKE_EV_REKEY_IKE, 0);
		break;
	case 6: dp_restart(A); break;
	case 7:
		node_event(A, IKE_EV_TERMINATE, 0);
		world_run(w, span_ms(20));
		node_event(A, IKE_EV_INITIATE, 0);
		break;
	default: break;
	}
}
#define N_THINGS 8

/* Before each action of each exchange in turn; the network is slow enough for the two to overlap. */
static void at_each_action(struct world *w)
{
	for (unsigned what = 0; what < N_THINGS; what++) {
		for (int node = 0; node < SIM_NODES; node++) {
			for (unsigned action = 1; action <= 28; action++) {
				world_init(w, 1000 + action);
				w->faults.delay_us = 5000;
				connect_pair(w);
				w->node[node].crash_in = action;
				something(w, what);
				world_run(w, span_s(1));
				if (!world_until(w, settled, span_s(60))) {
					fail_world(w, "not settled");
					fail_msg("thing %u, node %d, action %u: %s", what, node,
						 action, w->failure);
				}
				world_run(w, span_s(15));
				must_settle(w, 60);
				world_fini(w);
			}
		}
	}
}

static bool b_has_answered(struct world *w)
{
	return ike_counter_get(B->ike, IKE_CNT_IKE_REKEYED) == 1;
}

/* A request that was on its way is answered once, whoever sends it; likewise the response. */
/* Requirements: RFC7296-2.1-same-bytes, RFC7296-2.3-cached */
static void bit_identical(struct world *w)
{
	connect_pair(w);
	w->faults.cut = true;
	node_event(A, IKE_EV_REKEY_IKE, 0);
	for (int i = 0; i < 5; i++) {
		world_run(w, span_ms(200));
		process_restart(A);
	}
	w->faults.cut = false;
	w->drop_ike = w->n_ike + 2; /* the answer; B has to repeat it */
	must(w, world_until(w, b_has_answered, span_s(20)), "not answered");
	world_run(w, span_ms(100));
	process_restart(B);
	world_run(w, span_s(5));
	must_settle(w, 40);
	must(w, ike_counter_get(B->ike, IKE_CNT_TX_RESPONSE_REPEAT) == 1, "not repeated");
	must(w, ike_counter_get(A->ike, IKE_CNT_IKE_REKEYED) == 1, "not by the saved request");
}

/* ------------------------------------------------------------ damaged records */

/* A core that waits for records, with the tunnel of node A. */
static struct ike *waiting_core(struct world *w)
{
	struct ike_crypto c;
	struct ike *ike;

	ike_crypto_openssl(&c, rng_fill, &A->rng);
	ike = ike_new(&A->limits, &c, NULL);
	assert_non_null(ike);
	assert_true(ike_resume(ike));
	assert_true(ike_tunnel_set(ike, &A->cfg[0], w->now, &A->out));
	return ike;
}

/* Any answer is fine, but what is taken must be sound enough to live with. */
static enum ike_load try_record(struct world *w, const uint8_t *data, size_t size)
{
	struct ike_event ev = {.type = IKE_EV_DP_INVENTORY, .now = w->now};
	struct ike *ike = waiting_core(w);
	const enum ike_load result = ike_load(ike, data, size, span_s(1), w->now);

	ev.inventory.last = true;
	ike_step(ike, &ev, &A->out);
	ike_out_reset(&A->out);
	ev.type = IKE_EV_TICK;
	ev.now = mono_add(w->now, span_s(1000));
	ike_step(ike, &ev, &A->out);
	ike_out_reset(&A->out);
	ike_free(ike);
	return result;
}

static void damaged(struct world *w)
{
	uint8_t copy[IKE_RECORD_MAX];
	const struct sim_record *r;
	unsigned taken = 0;

	connect_pair(w);
	w->faults.cut = true;
	node_event(A, IKE_EV_REKEY_CHILD, 0); /* so that a request is in the record */
	world_run(w, span_ms(1));
	must(w, A->n_records == 1, "not one record");
	r = &A->records[0];
	assert_true(r->size < sizeof(copy));
	assert_int_equal(try_record(w, r->data, r->size), IKE_LOAD_OK);
	for (size_t n = 0; n < r->size; n++) {
		memcpy(copy, r->data, n);
		/* Whole sections may be missing from a record that is whole. */
		if (try_record(w, copy, n) == IKE_LOAD_OK)
			taken++;
	}
	assert_in_range(taken, 0, 3);
	for (unsigned i = 0; i < 3000; i++) {
		const size_t n = 1 + rng_below(&w->rng, 3);

		memcpy(copy, r->data, r->size);
		for (size_t k = 0; k < n; k++)
			copy[rng_below(&w->rng, r->size)] = (uint8_t)rng_u64(&w->rng);
		try_record(w, copy, r->size);
	}
}

static void refusals(struct world *w)
{
	struct ike *ike;
	const struct sim_record *r;

	connect_pair(w);
	r = &A->records[0];
	ike = waiting_core(w);
	assert_int_equal(ike_load(ike, r->data, r->size, span_s(0), w->now), IKE_LOAD_OK);
	assert_int_equal(ike_load(ike, r->data, r->size, span_s(0), w->now), IKE_LOAD_CLASH);
	assert_false(ike_resume(ike)); /* tunnels exist */
	ike_free(ike);
	A->cfg[0].tunnel = 1;
	ike = waiting_core(w);
	assert_int_equal(ike_load(ike, r->data, r->size, span_s(0), w->now), IKE_LOAD_NO_TUNNEL);
	ike_free(ike);
	A->cfg[0].tunnel = 0;
	A->limits.max_children = 0;
	ike = waiting_core(w);
	assert_int_equal(ike_load(ike, r->data, r->size, span_s(0), w->now), IKE_LOAD_RESOURCES);
	ike_free(ike);
	A->limits.max_children = SIM_SLOTS;
}

/* Sections of a later version are passed over, and so are later fields. */
static void later_versions(struct world *w)
{
	uint8_t copy[IKE_RECORD_MAX];
	const struct sim_record *r;
	struct wr out = wr_of(copy, sizeof(copy));

	connect_pair(w);
	r = &A->records[0];
	wr_bytes(&out, r->data, IKE_RECORD_HEADER);
	for (size_t at = IKE_RECORD_HEADER; at < r->size;) {
		const uint8_t *s = r->data + at;
		const uint32_t size =
			(uint32_t)s[2] << 24 | (uint32_t)s[3] << 16 | (uint32_t)s[4] << 8 | s[5];

		wr_u16(&out, 999);
		wr_u32(&out, 5);
		wr_bytes(&out, "later", 5);
		wr_bytes(&out, s, 2);
		wr_u32(&out, size + 7);
		wr_bytes(&out, s + 6, size);
		wr_bytes(&out, "a field", 7);
		at += 6 + size;
	}
	assert_true(wr_ok(&out));
	assert_int_equal(try_record(w, copy, out.n), IKE_LOAD_OK);
	copy[5]++; /* the format itself is another */
	assert_int_equal(try_record(w, copy, out.n), IKE_LOAD_MALFORMED);
}

/* ----------------------------------------------------------------------- table */

static const struct scenario scenarios[] = {
	{"at rest", at_rest},
	{"time goes on", while_down},
	{"with the dataplane", with_the_dataplane},
	{"a first packet while down", first_packet_while_down},
	{"the configuration changed", configuration_changed},
	{"before each action", at_each_action},
	{"requests and responses are the same", bit_identical},
	{"damaged records", damaged},
	{"refused records", refusals},
	{"records of later versions", later_versions},
};

int main(int argc, char **argv)
{
	return run_scenarios("resume", scenarios, sizeof(scenarios) / sizeof(scenarios[0]), argc,
			     argv);
}
