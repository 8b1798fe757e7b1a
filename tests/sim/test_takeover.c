/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Somebody takes an IKE SA over from records that are older than what the peer has seen (RFC 6311),
 * with a dataplane that has nothing. The table at the end names the scenarios.
 */
#include <stdlib.h>
#include <string.h>
#include "ike/ike_int.h"
#include "tests/sim/liar.h"
#include "tests/sim/scenario.h"

static struct sim_record kept[SIM_NODES][SIM_RECORDS];
static size_t n_kept[SIM_NODES];

static void copy(struct sim_record *to, const struct sim_record *from, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		to[i] = from[i];
		to[i].data = malloc(from[i].size);
		if (!to[i].data)
			abort();
		memcpy(to[i].data, from[i].data, from[i].size);
	}
}

static void forget_kept(int i)
{
	while (n_kept[i])
		free(kept[i][--n_kept[i]].data);
}

static void keep(struct sim_node *n)
{
	forget_kept(n->index);
	copy(kept[n->index], n->records, n->n_records);
	n_kept[n->index] = n->n_records;
}

/* The latest records but those that were kept are lost, and so is the dataplane. */
static void take_over(struct sim_node *n)
{
	n->w->takeovers = true;
	process_end(n);
	dp_lose(n);
	process_forget_all(n);
	copy(n->records, kept[n->index], n_kept[n->index]);
	n->n_records = n_kept[n->index];
	n->stale = true;
	must(n->w, process_start(n), "no successor");
}

static struct ike_sa *ike_of(struct sim_node *n)
{
	return ike_tunnel_sa(ike_tunnel_find(n->ike, 0));
}

/* At least so many exchanges that leave the SAs as they are: each end probes when it hears nothing. */
static void exchanges(struct world *w, unsigned n)
{
	const uint32_t before = ike_of(A)->tx_mid + ike_of(B)->tx_mid;

	world_run(w, span_s(3 * n));
	must(w, ike_of(A)->tx_mid + ike_of(B)->tx_mid >= before + n, "no exchanges");
}

static void connect_probing(struct world *w)
{
	w->esp_period_us = 0;
	for (int i = 0; i < SIM_NODES; i++)
		w->node[i].cfg[0].dpd_interval = span_s(1);
	connect_pair(w);
}

/* The same IKE SA goes on, with ids that both ends share, and with children that are new. */
static void goes_on(struct world *w, uint64_t spi, unsigned seconds)
{
	struct ike_sa *a, *b;

	must_settle(w, seconds);
	world_run(w, span_s(20)); /* what one end holds for a duplicate is sorted out by then */
	must_settle(w, 1);
	a = ike_of(A);
	b = ike_of(B);
	must(w, a->spi_i == spi, "another IKE SA");
	world_run(w, span_s(10));
	must(w, a->tx_mid == b->rx_mid && b->tx_mid == a->rx_mid, "the ids differ");
	node_event(A, IKE_EV_REKEY_CHILD, 0);
	world_run(w, span_s(8));
	node_event(B, IKE_EV_REKEY_CHILD, 0);
	world_run(w, span_s(8));
	must_settle(w, 5);
	must(w, ike_of(A)->spi_i == spi, "did not last");
}

/* Requirements: RFC6311-5.1-higher, RFC6311-5.1-first */
static void either_side(struct world *w)
{
	for (unsigned i = 0; i < 16; i++) {
		struct sim_node *n = i & 1 ? B : A;
		uint64_t spi;

		world_fini(w);
		world_init(w, 6311 + i);
		connect_probing(w);
		world_run(w, span_s(1));
		keep(n);
		exchanges(w, i / 2);
		spi = ike_of(A)->spi_i;
		take_over(n);
		goes_on(w, spi, 10);
		must(w, count(n, IKE_CNT_SYNC_DONE) == 1, "not synchronised");
	}
}

static void again_and_again(struct world *w)
{
	uint64_t spi;

	connect_probing(w);
	keep(A);
	keep(B);
	spi = ike_of(A)->spi_i;
	for (int i = 0; i < 6; i++) {
		struct sim_node *n = i & 1 ? B : A;

		exchanges(w, 2);
		take_over(n);
		must_settle(w, 10);
		keep(n);
		keep(i & 1 ? A : B);
	}
	goes_on(w, spi, 10);
}

/* Neither waits for the other to be first. */
static void both_at_once(struct world *w)
{
	uint64_t spi;

	connect_probing(w);
	keep(A);
	exchanges(w, 1);
	keep(B);
	exchanges(w, 2);
	spi = ike_of(A)->spi_i;
	take_over(A);
	take_over(B);
	goes_on(w, spi, 20);
}

static void each_message_lost(struct world *w)
{
	for (unsigned lost = 1; lost <= 8; lost++) {
		uint64_t spi;

		world_fini(w);
		world_init(w, lost);
		connect_probing(w);
		keep(A);
		exchanges(w, 2);
		spi = ike_of(A)->spi_i;
		w->drop_ike = w->n_ike + lost;
		take_over(A);
		goes_on(w, spi, 10);
	}
}

/* A process that ends before the answer leaves to its own successor that the ids are not known. */
static void ends_before_the_answer(struct world *w)
{
	uint64_t spi;

	connect_probing(w);
	keep(A);
	exchanges(w, 3);
	spi = ike_of(A)->spi_i;
	w->faults.cut = true;
	take_over(A);
	world_run(w, span_s(2));
	process_restart(A);
	world_run(w, span_s(2));
	must(w, ike_of(A)->resync.wanted, "took its ids for good");
	w->faults.cut = false;
	goes_on(w, spi, 20);
}

/* ---------------------------------------------------------------- what was on its way */

/* Each kind of request is in the record, and the peer's answer to it is not. */
static void in_an_exchange(struct world *w)
{
	static const struct {
		const char *what;
		enum ike_event_type command;
		bool same; /* the IKE SA is kept */
	} cases[] = {
		{"nothing to know", IKE_EV_INITIATE, true},
		{"child rekey", IKE_EV_REKEY_CHILD, false},
		{"IKE rekey", IKE_EV_REKEY_IKE, false},
	};

	for (size_t i = 0; i < 2 * sizeof(cases) / sizeof(cases[0]); i++) {
		const bool taken = i & 1; /* by the peer */
		uint64_t spi;

		world_fini(w);
		world_init(w, 100 + i);
		A->cfg[0].dpd_interval = span_s(20);
		connect_pair(w);
		world_run(w, span_s(2));
		w->faults.cut = true;
		if (cases[i / 2].command == IKE_EV_INITIATE)
			world_run(w, span_s(22)); /* a probe is due */
		else
			node_event(A, cases[i / 2].command, 0);
		world_run(w, span_ms(50));
		must(w, ike_of(A)->req.data, "nothing outstanding");
		keep(A);
		w->faults.cut = false;
		if (taken) {
			world_run(w, span_s(4));
			w->faults.cut = true;
		}
		spi = count_sas(A, 0).spi_i;
		take_over(A);
		w->faults.cut = false;
		must_settle(w, 100);
		if ((cases[i / 2].same || !taken) && cases[i / 2].command != IKE_EV_REKEY_IKE)
			must(w, ike_of(A)->spi_i == spi, cases[i / 2].what);
		world_run(w, span_s(60));
		must_settle(w, 5);
	}
}

static bool a_asks(struct world *w, enum ike_task task)
{
	for (int ms = 0; ms < 30000; ms++) {
		const struct ike_sa *sa = ike_of(A);

		if (sa && sa->req.data && sa->req.task == task)
			return true;
		world_run(w, span_ms(1));
	}
	return false;
}

/*
 * What the peer may have taken without our hearing of it, and which is no reason to end the IKE SA: a
 * probe, a notice, which is said again, and the Delete of a child, whose end is known without an answer.
 */
static void requests_that_are_no_loss(struct world *w)
{
	static const enum ike_task tasks[] = {IKE_TASK_DPD, IKE_TASK_NOTICE, IKE_TASK_DELETE_CHILD};

	for (size_t i = 0; i < 2 * sizeof(tasks) / sizeof(tasks[0]); i++) {
		const enum ike_task task = tasks[i / 2];
		const bool taken = i & 1; /* by the peer; its answer comes to our predecessor */
		struct ike_event ev = {.type = IKE_EV_REDIRECT};
		uint64_t spi;

		world_fini(w);
		world_init(w, 700 + i);
		w->esp_period_us = 0;
		A->cfg[0].dpd_interval = span_s(task == IKE_TASK_DPD ? 2 : 60);
		A->cfg[0].startup = IKE_STARTUP_ADD;
		must(w, world_start(w), "no start");
		node_event(B, IKE_EV_INITIATE, 0);
		must_settle(w, 10);
		world_run(w, span_s(3));
		if (task == IKE_TASK_NOTICE) {
			/* B is to go elsewhere, and says that it would: it does not get that far. */
			ike_of(A)->agreed.redirect = true;
			ev.now = w->now;
			ev.address.addr = ip_v4(198, 51, 100, 99);
			node_step(A, &ev);
		} else if (task == IKE_TASK_DELETE_CHILD) {
			node_event(A, IKE_EV_REKEY_CHILD, 0);
		}
		must(w, a_asks(w, task), "no such request");
		keep(A);
		spi = ike_of(A)->spi_i;
		if (taken)
			world_run(w, span_s(1));
		take_over(A);
		if (task == IKE_TASK_NOTICE)
			must(w, ike_of(A)->want_notice && ike_of(A)->notice_token,
			     "the notice is forgotten");
		world_run(w, span_s(20));
		must_settle(w, 20);
		must(w, ike_of(A)->spi_i == spi, "another IKE SA");
		must(w, !ike_of(A)->want_notice, "the notice is not said");
		must(w, count(A, IKE_CNT_SYNC_DONE) == 1, "not synchronised");
	}
}

/* The peer's request is in work when the record is made. */
static void in_the_peers_exchange(struct world *w)
{
	connect_pair(w);
	world_run(w, span_s(2));
	A->dp_delay_us = 500000;
	node_event(B, IKE_EV_REKEY_CHILD, 0);
	world_run(w, span_ms(100));
	must(w, ike_of(A)->busy, "not in work");
	keep(A);
	/* It was answered, and it was not. */
	world_run(w, span_s(8));
	take_over(A);
	A->dp_delay_us = 100;
	world_run(w, span_s(30));
	must_settle(w, 1);
	A->dp_delay_us = 500000;
	node_event(B, IKE_EV_REKEY_CHILD, 0);
	world_run(w, span_ms(100));
	must(w, ike_of(A)->busy, "not in work");
	keep(A);
	take_over(A);
	A->dp_delay_us = 100;
	must_settle(w, 30);
	must(w, count(B, IKE_CNT_TEMPORARY_FAILURE) > 0, "not told");
}

/* ------------------------------------------------------------------ who does not play along */

/* Requirements: RFC6311-5.1-first */
static void not_supported(struct world *w)
{
	uint64_t spi;

	connect_probing(w);
	spi = ike_of(A)->spi_i;
	ike_of(A)->agreed.sync = ike_of(B)->agreed.sync = false;
	exchanges(w, 1);
	keep(A);
	exchanges(w, 1);
	take_over(A);
	must_settle(w, 60);
	must(w, ike_of(A)->spi_i != spi, "went on with ids that it does not know");
}

/* The SA of the record is no more: the tunnel begins anew. */
static void too_old(struct world *w)
{
	connect_probing(w);
	keep(A);
	node_event(B, IKE_EV_REKEY_IKE, 0);
	world_run(w, span_s(10));
	take_over(A);
	must_settle(w, 120);
}

static void lie_in_sync(struct liar_inner *in, const void *arg)
{
	const unsigned kind = *(const unsigned *)arg;

	for (size_t i = 0; i < in->n; i++) {
		struct liar_payload *p = &in->p[i];

		if (p->type != IKE_PL_NOTIFY || p->body[2] != IKE_N_IKEV2_MESSAGE_ID_SYNC >> 8 ||
		    p->body[3] != (uint8_t)IKE_N_IKEV2_MESSAGE_ID_SYNC)
			continue;
		switch (kind) {
		case 0: p->body[4] ^= 1; break;               /* another nonce */
		case 1: p->size -= 4; break;                  /* short */
		case 2: p->size += 4; break;                  /* long */
		case 3: p->body[8] = 0x80; break;             /* out of range */
		case 4: memset(p->body + 12, 0xff, 4); break; /* likewise */
		case 5: p->body[3]++; break;                  /* another notify */
		case 6: memset(p->body + 8, 0, 8); break;     /* back to the beginning */
		default: break;
		}
	}
}

/* Requirements: RFC6311-5.1-higher, RFC6311-5.1-nonce */
static void liars(struct world *w)
{
	for (unsigned kind = 0; kind < 7; kind++) {
		static struct liar liar;
		uint32_t tx;
		uint64_t spi;

		world_fini(w);
		world_init(w, 500 + kind);
		connect_probing(w);
		keep(A);
		tx = ike_of(A)->tx_mid;
		exchanges(w, 2);
		spi = ike_of(A)->spi_i;
		liar = (struct liar){.from = 1,
				     .exchange = IKE_INFORMATIONAL,
				     .response = true,
				     .times = 1,
				     .edit = lie_in_sync,
				     .arg = &kind};
		liar_install(w, &liar);
		take_over(A);
		world_run(w, span_ms(100));
		must(w, liar.told == 1, "no lie");
		if (kind == 6) { /* what goes down is not followed */
			must(w, ike_of(A)->tx_mid >= tx && !ike_of(A)->resync.wanted, "went back");
		} else {
			must(w, ike_of(A)->resync.wanted && count(A, IKE_CNT_RX_SYNC) == 1,
			     "believed");
		}
		w->filter = NULL;
		if (kind == 6) {
			must_settle(w, 120); /* by another IKE SA */
			continue;
		}
		w->lies = false;
		goes_on(w, spi, 20);
	}
}

static struct {
	size_t n, size[64];
	uint8_t data[64][1500];
} tape;

static bool record_b(struct world *w, int from, const uint8_t *data, size_t size)
{
	(void)w;
	if (from == 1 && tape.n < 64 && size <= sizeof(tape.data[0])) {
		tape.size[tape.n] = size;
		memcpy(tape.data[tape.n++], data, size);
	}
	return false;
}

/* What the predecessor has dealt with is in its successor's window: nobody can play it again. */
static void replays(struct world *w)
{
	const struct ip_endpoint from = {B->addr, 500};
	uint64_t spi, digest;

	connect_probing(w);
	keep(A);
	tape.n = 0;
	w->filter = record_b;
	exchanges(w, 2);
	node_event(B, IKE_EV_REKEY_CHILD, 0);
	world_run(w, span_s(8));
	w->filter = NULL;
	spi = ike_of(A)->spi_i;
	w->faults.cut = true;
	take_over(A);
	digest = check_digest(A);
	for (size_t i = 0; i < tape.n; i++) {
		struct ike_event ev = {.type = IKE_EV_PACKET, .now = w->now};

		ev.packet.local = (struct ip_endpoint){A->addr, 500};
		ev.packet.remote = from;
		ev.packet.data = tape.data[i];
		ev.packet.size = tape.size[i];
		node_step(A, &ev);
	}
	must(w, tape.n > 4 && check_digest(A) == digest, "a replay had an effect");
	must(w, ike_of(A)->resync.wanted, "a replay made the ids equal");
	w->faults.cut = false;
	/* Nor does it go on with a child that the record does not have. */
	must_settle(w, 20);
	must(w, ike_of(A)->spi_i != spi, "with which children?");
}

static const struct scenario scenarios[] = {
	{"either side", either_side},
	{"again and again", again_and_again},
	{"both at once", both_at_once},
	{"each message lost", each_message_lost},
	{"ends before the answer", ends_before_the_answer},
	{"in an exchange", in_an_exchange},
	{"requests that are no loss", requests_that_are_no_loss},
	{"in the peer's exchange", in_the_peers_exchange},
	{"the peer does not support it", not_supported},
	{"too old", too_old},
	{"liars", liars},
	{"replays", replays},
};

int main(int argc, char **argv)
{
	const int failed = run_scenarios("takeover", scenarios,
					 sizeof(scenarios) / sizeof(scenarios[0]), argc, argv);

	forget_kept(0);
	forget_kept(1);
	return failed;
}
