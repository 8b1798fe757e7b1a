/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Scenarios of session resumption (RFC 5723): an IKE SA that both ends have lost is made again by a ticket,
 * and each way in which a ticket is no good. The table at the end names them.
 */
#include <string.h>
#include "ike/ike_int.h"
#include "tests/sim/hand.h"
#include "tests/sim/scenario.h"

static void tickets(struct world *w)
{
	for (int i = 0; i < SIM_NODES; i++) {
		w->node[i].cfg[0].resumption = true;
		w->node[i].cfg[0].dpd_interval = span_s(2);
		w->node[i].cfg[0].dpd_timeout = span_s(6);
	}
	B->cfg[0].dpd_action = IKE_DPD_CLEAR; /* A begins anew */
}

static struct ike_tunnel *tunnel_of(struct sim_node *n)
{
	return ike_tunnel_find(n->ike, 0);
}

/* Nothing passes until both have given the SA up. */
static void lose(struct world *w)
{
	w->faults.cut = true;
	world_run(w, span_s(9));
	must(w, !A->up[0] && !B->up[0], "still up");
	must(w, tunnel_of(A)->session || count_sas(A, 0).ike, "no ticket is kept");
}

static void connect_with_ticket(struct world *w)
{
	tickets(w);
	connect_pair(w);
	must(w, count(B, IKE_CNT_TICKET_GRANTED) == 1 && sa_of(A)->session, "no ticket");
}

static void settle_again(struct world *w, uint64_t resumed)
{
	w->faults.cut = false;
	must_settle(w, 90);
	must(w, count(A, IKE_CNT_RESUMED) == resumed && count(B, IKE_CNT_RESUMED) == resumed,
	     "resumed, or not, against the plan");
	must(w, sa_of(A)->session != NULL, "no new ticket");
}

/* Requirements: RFC5723-4.1-request, RFC5723-4.3.2-exchange, RFC5723-4.3.3-auth */
static void resumed(struct world *w)
{
	connect_with_ticket(w);
	for (unsigned i = 1; i <= 3; i++) {
		lose(w);
		settle_again(w, i);
	}
	must(w, count(B, IKE_CNT_TICKET_GRANTED) == 4, "not each time a new one");
	node_event(B, IKE_EV_REKEY_IKE, 0);
	world_run(w, span_s(2));
	must_settle(w, 10);
	must(w, count(B, IKE_CNT_TICKET_GRANTED) == 5, "none after a rekey");
	lose(w);
	settle_again(w, 4);
}

static void under_loss(struct world *w)
{
	connect_with_ticket(w);
	lose(w);
	w->faults = (struct sim_faults){.delay_us = 3000, .loss = 20, .duplicate = 40, .forge = 20};
	must_settle(w, 165);
}

/* Requirements: RFC7296-2.6-stateless */
static void with_cookie(struct world *w)
{
	tickets(w);
	B->limits.cookie_threshold = 0;
	B->limits.puzzles = true;
	connect_pair(w);
	lose(w);
	settle_again(w, 1);
	must(w, count(B, IKE_CNT_PUZZLE_SENT) == 1, "a puzzle for a ticket");
}

static void with_certificates(struct world *w)
{
	tickets(w);
	for (int i = 0; i < SIM_NODES; i++) {
		struct sim_node *n = &w->node[i];

		n->cfg[0].local_auth = n->cfg[0].remote_auth = IKE_AUTH_BY_CERTIFICATE;
		memcpy(n->pki.ca, "root", 5);
		memcpy(n->pki.trusts, "root", 5);
		memcpy(n->pki.key, i ? "key-b" : "key-a", 6);
		n->pki.valid_s = 200;
	}
	connect_pair(w);
	lose(w);
	/* Nobody signs any more: the proof is the ticket's. */
	A->pki.key[0] = B->pki.key[0] = '\0';
	settle_again(w, 1);
	/* And it ends when the certificates do. */
	must(w, !mono_is_never(sa_of(A)->auth_until) && !mono_is_never(sa_of(B)->auth_until),
	     "believed for ever");
	must(w, mono_since(sa_of(B)->auth_until, w->now).ns < span_s(195).ns, "believed longer");
}

/* Requirements: RFC5723-4.3.2-nack */
static void restarted_responder(struct world *w)
{
	connect_with_ticket(w);
	lose(w);
	node_power_off(B);
	must(w, node_power_on(B), "no start");
	settle_again(w, 0);
	must(w, count(A, IKE_CNT_TICKET_REFUSED) == 1 && count(B, IKE_CNT_RX_TICKET) >= 1,
	     "not refused");
}

/* A process that goes on by records has its ticket still; that of the responder, its tickets no more. */
static void restarted_processes(struct world *w)
{
	connect_with_ticket(w);
	process_restart(A);
	world_run(w, span_s(1));
	lose(w);
	settle_again(w, 1);
	process_restart(B);
	world_run(w, span_s(1));
	lose(w);
	w->faults.cut = false;
	must_settle(w, 90);
	must(w, count(A, IKE_CNT_RESUMED) == 1, "a ticket of an earlier process");
}

static void silent_responder(struct world *w)
{
	connect_with_ticket(w);
	lose(w);
	/* It has forgotten that there is such an exchange. */
	B->cfg[0].resumption = false;
	node_set_tunnel(B, 0);
	w->faults.cut = false;
	must_settle(w, 90);
	must(w, count(A, IKE_CNT_RESUMED) == 0 && !sa_of(A)->session, "resumed");
}

static bool no_resumption(struct world *w, int from, const uint8_t *data, size_t size)
{
	(void)w;
	return from == 0 && size > 18 && data[18] == IKE_SESSION_RESUME;
}

/* Requirements: RFC5723-4.3.2-nack */
static void unknown_exchange(struct world *w)
{
	connect_with_ticket(w);
	lose(w);
	w->filter = no_resumption;
	settle_again(w, 0);
}

/* Whatever is wrong with it, a full exchange follows. */
/* Requirements: RFC5723-6.2-ends */
static void not_any_more(struct world *w)
{
	enum {
		CHANGED_HERE,
		CHANGED_THERE,
		RELOADED_HERE,
		RELOADED_THERE,
		TRUST,
		DELETED,
		EXPIRED,
		N,
	};

	for (int what = 0; what < N; what++) {
		const struct mono_span life = span_s(100);
		static const uint8_t cas[2][IKE_CA_SIZE] = {{1}, {2}};
		struct ike_event ev = {.type = IKE_EV_TRUST};

		world_fini(w);
		world_init(w, 60 + (unsigned)what);
		if (what == EXPIRED)
			A->cfg[0].ike_lifetime = B->cfg[0].ike_lifetime = life;
		connect_with_ticket(w);
		ev.now = node_now(B);
		ev.trust.cas = cas[0];
		ev.trust.n_cas = 1;
		if (what == TRUST)
			node_step(B, &ev);
		if (what == DELETED) {
			node_event(A, IKE_EV_TERMINATE, 0);
			must(w, world_until(w, both_empty, span_s(10)), "not down");
			must(w, !tunnel_of(A)->session, "kept after a Delete");
			must(w, tunnel_of(B)->ticket_floor == 1, "good after a Delete");
			continue;
		}
		lose(w);
		ev.now = node_now(B);
		ev.trust.cas = cas[1];
		if (what == CHANGED_HERE || what == CHANGED_THERE) {
			struct sim_node *n = what == CHANGED_HERE ? A : B;

			n->cfg[0].child_lifetime = span_s(3000);
			node_set_tunnel(n, 0);
		} else if (what == RELOADED_HERE) {
			node_event(A, IKE_EV_RELOADED, 0);
		} else if (what == RELOADED_THERE) {
			node_event(B, IKE_EV_RELOADED, 0);
		} else if (what == TRUST) {
			node_step(B, &ev);
		} else if (what == EXPIRED) {
			world_run(w, life);
		}
		settle_again(w, 0);
	}
}

static bool keeps_it(struct world *w, int from, const uint8_t *data, size_t size)
{
	(void)w;
	if (from == 0 && size < sizeof(taken.data) && data[18] == IKE_SESSION_RESUME &&
	    !taken.size) {
		memcpy(taken.data, data, size);
		taken.size = size;
	}
	return false;
}

/* Requirements: RFC5723-4.3.1-once */
static void replayed(struct world *w)
{
	uint64_t spi;
	struct ike_msg m;

	taken.size = 0;
	w->filter = keeps_it;
	connect_with_ticket(w);
	lose(w);
	settle_again(w, 1);
	must(w, taken.size != 0, "nothing taken");
	spi = sa_of(B)->spi_r;
	world_run(w, span_s(40));
	taken.data[3] ^= 1; /* as a new one */
	hand_give(B, address_of(A), taken.data, taken.size);
	must(w, heard.n == 1 && heard.size <= taken.size, "no answer");
	assert_int_equal(ike_msg_parse(heard.data, heard.size, &m), IKE_OK);
	must(w, ike_msg_notify(&m, IKE_N_TICKET_NACK) != NULL && B->ike->n_half_open == 0,
	     "a ticket served twice");
	must(w, sa_of(B)->spi_r == spi, "the SA is another one");
}

/* Before it is used, a ticket that somebody has seen on the wire is worth a half-open SA and no more. */
/* Requirements: RFC5723-9-damaged */
static void stolen(struct world *w)
{
	B->limits.max_half_open_source = 1000;
	connect_with_ticket(w);
	lose(w);
	memset(&taken, 0, sizeof(taken));
	taken.exchange = IKE_SESSION_RESUME;
	w->filter = hand_take;
	w->faults.cut = false;
	must(w, world_until(w, hand_has_taken, span_s(12)), "nothing taken");
	for (size_t at = IKE_HEADER_SIZE; at < taken.size; at++) {
		uint8_t mutant[IKE_INIT_MAX];

		memcpy(mutant, taken.data, taken.size);
		mutant[at] ^= 0x40;
		hand_give(B, address_of(A), mutant, taken.size);
		must(w, heard.n <= 1 && (!heard.n || heard.size <= taken.size), "a long answer");
		must(w, count_sas(B, 0).live_ike == 0, "established");
	}
	hand_give(B, address_of(A), taken.data, taken.size);
	hand_give(B, address_of(A), taken.data, taken.size);
	must(w, heard.n == 1 && count(B, IKE_CNT_TX_RESPONSE_REPEAT) > 0, "not repeated");
	w->filter = NULL;
	settle_again(w, 1);
}

/* Without agreement of both there are none. */
static void not_configured(struct world *w)
{
	tickets(w);
	B->cfg[0].resumption = false;
	connect_pair(w);
	must(w, !sa_of(A)->session && count(B, IKE_CNT_TICKET_GRANTED) == 0, "granted");
	node_power_off(A);
	node_power_off(B);
	A->cfg[0].resumption = false;
	B->cfg[0].resumption = true;
	must(w, node_power_on(A) && node_power_on(B), "no start");
	must_settle(w, 20);
	must(w, !sa_of(A)->session && count(B, IKE_CNT_TICKET_GRANTED) == 0, "granted unasked");
}

static const struct scenario scenarios[] = {
	{"resumed", resumed},
	{"under loss, duplicates, forgeries", under_loss},
	{"with a cookie", with_cookie},
	{"with certificates that nobody can prove", with_certificates},
	{"a responder that has restarted", restarted_responder},
	{"processes that go on by records", restarted_processes},
	{"a responder that does not grant them any more", silent_responder},
	{"a responder that does not know the exchange", unknown_exchange},
	{"not good any more", not_any_more},
	{"a ticket that was used", replayed},
	{"a ticket that was seen", stolen},
	{"not configured", not_configured},
};

int main(int argc, char **argv)
{
	return run_scenarios("session", scenarios, sizeof(scenarios) / sizeof(scenarios[0]), argc,
			     argv);
}
