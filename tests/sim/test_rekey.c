/* SPDX-License-Identifier: Apache-2.0 */
/* Scenarios: SAs that succeed one another. The table at the end names them. */
#include <stdlib.h>
#include <string.h>
#include "ike/ike_int.h"
#include "tests/sim/liar.h"
#include "tests/sim/scenario.h"

/* Requirements: RFC7296-2.8-old-inbound */
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

/* Requirements: RFC7296-2.8-local */
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

/* ------------------------------------------- what rekeys of others broke on */

static const struct sim_faults weathers[] = {
	{.delay_us = 1000},
	{.delay_us = 1000, .loss = 20},
	{.delay_us = 500, .jitter_us = 20000},
	{.delay_us = 1000, .jitter_us = 3000, .duplicate = 50},
};
#define N_WEATHERS (sizeof(weathers) / sizeof(weathers[0]))

/* Each in fair weather and in loss, delay with reordering, and duplication. */
/* Requirements: REKEY-network */
static void in_each_weather(struct world *w, unsigned times,
			    void (*story)(struct world *w, unsigned k))
{
	for (size_t i = 0; i < N_WEATHERS; i++) {
		for (unsigned k = 0; k < times; k++) {
			world_fini(w);
			world_init(w, 1000 * i + k);
			connect_pair(w);
			w->faults = weathers[i];
			story(w, k);
			w->faults = weathers[0];
			world_run(w, span_s(20));
			must_settle(w, 100);
		}
	}
}

/* strongSwan #1896: a collision one of whose messages is lost must leave an outbound SA. */
static void collision_with_loss(struct world *w, unsigned k)
{
	w->drop_ike = w->n_ike + 1 + k;
	node_event(A, IKE_EV_REKEY_CHILD, 0);
	node_event(B, IKE_EV_REKEY_CHILD, 0);
	world_run(w, span_s(20));
	must(w, A->n_down[0] + B->n_down[0] == 0, "no outbound SA");
}

/* Requirements: REKEY-lost-packet */
static void outbound_after_collision(struct world *w)
{
	in_each_weather(w, 8, collision_with_loss);
}

/* strongSwan #2477: ours is refused by TS_UNACCEPTABLE, the peer's rekey of the same child succeeds. */
static void other_selectors(struct liar_inner *in, const void *arg)
{
	struct liar_payload *ts = liar_find(in, IKE_PL_TSI);

	(void)arg;
	/* 3.13.1: number, reserved; type, protocol, length, ports, first and last address. */
	if (ts)
		memset(ts->body + 12, 172, 8);
}

static void refused_while_peer_succeeds(struct world *w, unsigned k)
{
	struct liar l = {
		.from = 0, .exchange = IKE_CREATE_CHILD_SA, .times = 1, .edit = other_selectors};

	liar_install(w, &l);
	node_event(A, IKE_EV_REKEY_CHILD, 0);
	world_run(w, span_us(k * 400));
	node_event(B, IKE_EV_REKEY_CHILD, 0);
	world_run(w, span_s(30));
	w->filter = NULL;
	must(w, A->n_down[0] + B->n_down[0] == 0, "flapped");
}

/* Requirements: REKEY-ours-refused */
static void refused_in_a_collision(struct world *w)
{
	in_each_weather(w, 6, refused_while_peer_succeeds);
}

/* strongSwan #1458: a response and the Delete that follows it arrive in the other order. */
static void delete_overtakes(struct world *w, unsigned k)
{
	w->faults.jitter_us += 3000;
	w->faults.delay_us = 100;
	node_event(A, k & 1 ? IKE_EV_REKEY_CHILD : IKE_EV_REKEY_IKE, 0);
	world_run(w, span_us(300 + k * 100));
	dp_restart(B); /* deletes its children, the new one among them */
	world_run(w, span_s(30));
}

static struct {
	uint8_t data[IKE_MESSAGE_MAX];
	size_t size;
} held;

/* B's response to CREATE_CHILD_SA. */
static bool hold_response(struct world *w, int from, const uint8_t *data, size_t size)
{
	(void)w;
	if (from != 1 || data[18] != IKE_CREATE_CHILD_SA || !(data[19] & IKE_FLAG_RESPONSE))
		return false;
	memcpy(held.data, data, size);
	held.size = size;
	return true;
}

/* What is deleted before it was made is not made. */
/* Requirements: REKEY-out-of-order */
static void deleted_before_it_was_made(struct world *w)
{
	struct ike_event ev = {.type = IKE_EV_PACKET};
	uint64_t made;

	connect_pair(w);
	w->filter = hold_response;
	node_event(A, IKE_EV_REKEY_CHILD, 0);
	world_run(w, span_ms(5));
	must(w, held.size != 0, "no response");
	w->filter = NULL;
	dp_restart(B);             /* deletes its children one by one */
	world_run(w, span_ms(10)); /* and makes a new one */
	w->faults.cut = true;
	ev.now = node_now(A);
	ev.packet.local = (struct ip_endpoint){A->addr, 500};
	ev.packet.remote = (struct ip_endpoint){B->addr, 500};
	ev.packet.data = held.data;
	ev.packet.size = held.size;
	made = count(A, IKE_CNT_CHILD_ESTABLISHED) + count(A, IKE_CNT_CHILD_REKEYED);
	node_step(A, &ev);
	world_run(w, span_ms(20));
	must(w, count(A, IKE_CNT_CHILD_ESTABLISHED) + count(A, IKE_CNT_CHILD_REKEYED) == made,
	     "a child that the peer has deleted");
	w->faults.cut = false;
	must_settle(w, 60);
}

/* Requirements: REKEY-out-of-order */
static void response_after_delete(struct world *w)
{
	deleted_before_it_was_made(w);

	in_each_weather(w, 16, delete_overtakes);
}

/* strongSwan #2945: the peer rekeys the same child a second time. */
static uint16_t ask_to_rekey(struct world *w, struct liar *l, uint32_t spi_of_a)
{
	static const uint8_t public[32] = {9};
	const struct ike_tunnel_cfg *cfg = &A->cfg[0];
	uint8_t buf[IKE_MESSAGE_MAX], spi[4], nonce[32];
	struct wr spi_w = wr_of(spi, sizeof(spi));
	const struct liar_payload *notify;
	struct ike_builder b;

	rng_fill(&w->rng, nonce, sizeof(nonce));
	wr_u32(&spi_w, spi_of_a);
	ike_build_open_inner(&b, buf, sizeof(buf));
	ike_build_notify(&b, IKE_PROTO_ESP, spi, 4, IKE_N_REKEY_SA, NULL, 0);
	spi[0] ^= 0x40;
	ike_build_sa(&b, IKE_PROTO_ESP, spi, 4, &cfg->esp_algs, false, IKE_DH_NONE);
	ike_build_nonce(&b, nonce, sizeof(nonce));
	ike_build_ke(&b, IKE_DH_CURVE25519, public, sizeof(public));
	ike_build_ts(&b, IKE_PL_TSI, cfg->local_ts, cfg->n_local_ts);
	ike_build_ts(&b, IKE_PL_TSR, cfg->remote_ts, cfg->n_remote_ts);
	must(w, liar_ask(w, l, 0, IKE_CREATE_CHILD_SA, &b), "no answer");
	notify = liar_find(&l->answer, IKE_PL_SA) ? NULL : liar_find(&l->answer, IKE_PL_NOTIFY);
	return notify ? (uint16_t)(notify->body[2] << 8 | notify->body[3]) : 0;
}

/* Requirements: REKEY-twice */
static void same_child_twice(struct world *w)
{
	static struct liar l;
	uint32_t spi;

	w->esp_period_us = 0;
	connect_pair(w);
	spi = count_sas(A, 0).spi_in;
	must(w, ask_to_rekey(w, &l, spi) == 0, "the first rekey is refused");
	world_run(w, span_ms(50));
	for (int i = 0; i < 3; i++) {
		must(w, ask_to_rekey(w, &l, spi) == IKE_N_TEMPORARY_FAILURE,
		     "a child was rekeyed twice"); /* RFC 7296 2.25.1 */
		world_run(w, span_ms(50));
	}
	must(w, count_sas(B, 0).child == 2, "not the old one and the new one");
}

/* libreswan #1044: both ends rekey all the time; it stays at a few SAs, and ends when they stop. */
static void storm(struct world *w, unsigned k)
{
	for (unsigned i = 0; i < 60; i++) {
		node_event((i + k) & 1 ? A : B, i % 3 ? IKE_EV_REKEY_CHILD : IKE_EV_REKEY_IKE, 0);
		world_run(w, span_ms(13 + i % 50));
		must(w, count_sas(A, 0).child <= 10 && count_sas(B, 0).child <= 10, "too many");
	}
	world_run(w, span_s(40));
	must(w, count(A, IKE_CNT_CHILD_REKEYED) <= 60, "rekeys by themselves");
}

/* Requirements: REKEY-storm */
static void storm_ends(struct world *w)
{
	in_each_weather(w, 2, storm);
}

/* libreswan #2184: a child stands on one side only, after the exchange that ended it was cut. */
static void cut_in_the_middle(struct world *w, unsigned k)
{
	node_event(k & 1 ? A : B, k & 2 ? IKE_EV_REKEY_IKE : IKE_EV_REKEY_CHILD, 0);
	world_run(w, span_us(500 * k));
	w->faults.cut = true;
	world_run(w, span_s(12));
	w->faults.cut = false;
	world_run(w, span_s(10));
}

/* Requirements: REKEY-one-side */
static void no_child_on_one_side(struct world *w)
{
	in_each_weather(w, 16, cut_in_the_middle);
}

/*
 * VPP 7e6ffba6, f0ff20d4: something is left behind by each rekey. TWINBORE_REKEYS says how many, for
 * a long run under LeakSanitizer; the slots are far fewer.
 */
/* Requirements: REKEY-leak */
static void nothing_accumulates(struct world *w)
{
	const char *env = getenv("TWINBORE_REKEYS");
	const unsigned long n = env ? strtoul(env, NULL, 0) : 500;

	w->esp_period_us = 50000;
	connect_pair(w);
	for (unsigned long i = 0; i < n; i++) {
		node_event(i & 1 ? A : B, i % 10 ? IKE_EV_REKEY_CHILD : IKE_EV_REKEY_IKE, 0);
		world_run(w, span_ms(100));
		w->n_keys = 0; /* a table that is as small as it needs to be */
	}
	must_settle(w, 10);
	must(w, A->n_down[0] + B->n_down[0] == 0, "flapped");
	must(w, count(A, IKE_CNT_CHILD_REKEYED) + count(A, IKE_CNT_IKE_REKEYED) + 5 >= n,
	     "fewer rekeys than asked for");
	must(w, A->n_records == 1 && B->n_records == 1, "records are left");
}

/* Half of what is configured. */
static void halve(struct ike_ts *ts)
{
	ts->last.b[3] = 127;
}

/* Requirements: RFC7296-2.9.2-rekey */
static void a_rekey_does_not_narrow(struct world *w)
{
	struct ike_tunnel *t;
	struct sim_count before, after;

	connect_pair(w);
	world_run(w, span_s(5));
	before = count_sas(A, 0);
	t = ike_tunnel_find(B->ike, 0);
	halve(&t->cfg.local_ts[0]);
	/* A responder that would have to narrow refuses, and the old child goes on. */
	node_event(A, IKE_EV_REKEY_CHILD, 0);
	world_run(w, span_ms(500));
	must(w, count(B, IKE_CNT_TS_UNACCEPTABLE) == 1, "narrowed by the responder");
	must(w, B->n_events[IKE_HAP_CHILD_REKEYED] == 0, "rekeyed");
	/* One that narrows all the same is not followed; what it believes to have is deleted. */
	halve(&TAILQ_FIRST(&t->children)->local_ts[0]);
	node_event(A, IKE_EV_REKEY_CHILD, 0);
	world_run(w, span_s(2));
	must(w, A->n_events[IKE_HAP_CHILD_REKEYED] == 0, "a narrower child was accepted");
	after = count_sas(A, 0);
	must(w, after.live_child == 1 && after.spi_in == before.spi_in, "the old one went");
	must(w, A->n_down[0] + B->n_down[0] == 0, "flapped");
	t->cfg.local_ts[0].last.b[3] = 255;
	node_event(A, IKE_EV_REKEY_CHILD, 0);
	world_run(w, span_s(20)); /* B refuses for as long as the narrower one lingers */
	must_settle(w, 60);
	must(w, A->n_events[IKE_HAP_CHILD_REKEYED] > 0, "not rekeyed when it could be");
}

static const struct scenario scenarios[] = {
	{"a rekey does not narrow", a_rekey_does_not_narrow},
	{"rekeys from both sides lose no packet", rekeys_keep_every_packet},
	{"slots come back", slots_come_back},
	{"delete from each side", delete_from_each_side},
	{"simultaneous child rekey, each winner", simultaneous_child_rekey},
	{"simultaneous IKE rekey, each winner", simultaneous_ike_rekey},
	{"child rekey against IKE rekey", child_against_ike_rekey},
	{"rekey storm", rekey_storm},
	{"rekey against delete", rekey_against_delete},
	{"lifetimes", lifetimes},
	{"margin beyond the lifetime", margin_beyond_lifetime},
	{"a collision with a loss leaves an outbound SA", outbound_after_collision},
	{"ours is refused while the peer's succeeds", refused_in_a_collision},
	{"a Delete overtakes the response", response_after_delete},
	{"the same child is rekeyed twice", same_child_twice},
	{"a storm of rekeys ends", storm_ends},
	{"no child is left on one side", no_child_on_one_side},
	{"nothing accumulates", nothing_accumulates},
};

int main(int argc, char **argv)
{
	return run_scenarios("rekey", scenarios, sizeof(scenarios) / sizeof(scenarios[0]), argc,
			     argv);
}
