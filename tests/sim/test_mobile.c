/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Gateways that move: MOBIKE (RFC 4555), and those who would like to be believed that they moved and
 * must not.
 */
#include <string.h>
#include "tests/sim/hand.h"
#include "tests/sim/liar.h"
#include "tests/sim/scenario.h"

static struct liar liar;

/* ---------------------------------------------------------------------- MOBIKE */

static const struct ip_addr elsewhere = {IP_V4, {192, 0, 2, 77}};
static const struct ip_addr b_second = {IP_V4, {198, 51, 100, 99}};

static void mobike(struct world *w)
{
	A->cfg[0].mobike = B->cfg[0].mobike = true;
}

static void move_a(struct world *w)
{
	A->addr = elsewhere;
	A->cfg[0].local = elsewhere;
	node_set_tunnel(A, 0);
}

static void initiator_moves(struct world *w)
{
	mobike(w);
	connect_pair(w);
	must(w, count_sas(A, 0).remote.port == 4500 && !count_sas(A, 0).natt, "not on 4500;");
	move_a(w);
	world_run(w, span_s(1));
	must(w, peer_is_at(B, &elsewhere), "not followed;");
	must(w, count(B, IKE_CNT_ADDRESS_UPDATED) == 1, "not counted;");
	must_flow(w);
	same_sas(w);
	/* RFC 4555 1.3: who began decides, whoever rekeyed in between. */
	node_event(B, IKE_EV_REKEY_IKE, 0);
	world_run(w, span_s(2));
	A->addr = A->cfg[0].local = ip_v4(192, 0, 2, 78);
	node_set_tunnel(A, 0);
	world_run(w, span_s(1));
	must_flow(w);
	same_sas(w);
}

static void by_event(struct world *w)
{
	struct ike_event ev = {.type = IKE_EV_ADDRESS_CHANGED};

	mobike(w);
	connect_pair(w);
	A->addr = elsewhere;
	ev.now = w->now;
	ev.address.addr = elsewhere;
	node_step(A, &ev);
	world_run(w, span_s(1));
	must_flow(w);
	same_sas(w);
}

/* Each datagram of the move is lost once; traffic is back within a few repetitions. */
static void move_with_loss(struct world *w)
{
	for (uint64_t lost = 1; lost <= 4; lost++) {
		world_fini(w);
		world_init(w, lost);
		mobike(w);
		connect_pair(w);
		w->drop_ike = w->n_ike + lost;
		move_a(w);
		world_run(w, span_s(4));
		must_flow(w);
		same_sas(w);
	}
}

static void moves_twice(struct world *w)
{
	mobike(w);
	connect_pair(w);
	w->faults.delay_us = 50000;
	for (uint8_t i = 0; i < 5; i++) {
		A->addr = A->cfg[0].local = ip_v4(192, 0, 2, (uint8_t)(100 + i));
		node_set_tunnel(A, 0);
		world_run(w, span_ms(30)); /* before the answer to the last move */
	}
	world_run(w, span_s(3));
	must(w, peer_is_at(B, &A->addr), "not where it is;");
	must_flow(w);
	same_sas(w);
}

static void responder_moves(struct world *w)
{
	mobike(w);
	connect_pair(w);
	B->addr = B->cfg[0].local = b_second;
	node_set_tunnel(B, 0);
	world_run(w, span_s(1));
	must(w, peer_is_at(A, &b_second), "not followed;");
	must_flow(w);
	same_sas(w);
}

static void without_mobike(struct world *w)
{
	A->cfg[0].mobike = true;
	B->cfg[0].remote = (struct ip_addr){0};
	connect_pair(w);
	must(w, count_sas(A, 0).remote.port == 4500, "not on 4500;");
	move_a(w);
	must(w, world_until(w, settled, span_s(60)), "not settled;");
	must(w, A->n_events[IKE_HAP_IKE_UP] == 2, "moved what cannot move;");
}

static void other_path(struct world *w)
{
	mobike(w);
	B->also = b_second;
	B->cfg[0].more_local[0] = b_second;
	B->cfg[0].n_more_local = 1;
	connect_pair(w);
	B->addr_dead = true;
	world_run(w, span_s(30)); /* less than dpd_timeout */
	must(w, peer_is_at(A, &b_second), "not found;");
	must_flow(w);
	same_sas(w);
}

static void mobike_nat(struct world *w)
{
	net_use_nat(w);
	mobike(w);
	B->cfg[0].remote = (struct ip_addr){0};
	connect_pair(w);
	world_run(w, span_s(1));
	must(w, count_sas(B, 0).natt, "not encapsulated;");
	net_rebind_nat(w);
	world_run(w, span_s(8)); /* nobody follows ESP, so the initiator hears nothing, and asks */
	must(w, count_sas(B, 0).remote.port == w->nat_ports[1], "not updated;");
	must_flow(w);
	same_sas(w);
	/* An IKE SA that was rekeyed must find out anew how it is seen: the hash has its SPIs in it. */
	node_event(A, IKE_EV_REKEY_IKE, 0);
	world_run(w, span_s(2));
	net_rebind_nat(w);
	world_run(w, span_s(8));
	must(w, count_sas(B, 0).remote.port == w->nat_ports[1], "not updated after a rekey;");
	must_flow(w);
	same_sas(w);
}

/* Traffic goes on both ways, so that nothing else would ask. */
static void mobike_nat_ends(struct world *w)
{
	net_use_nat(w);
	mobike(w);
	B->cfg[0].remote = (struct ip_addr){0};
	w->esp_period_us = 20000;
	connect_pair(w);
	world_run(w, span_s(20));
	must(w, count_sas(A, 0).natt && count_sas(B, 0).natt, "not encapsulated;");
	w->nat_ends = true;
	world_run(w, span_s(200));
	must(w, !count_sas(A, 0).natt && !count_sas(B, 0).natt, "still encapsulated;");
	must(w, peer_is_at(B, &A->addr), "not at its own address;");
	must(w, count(A, IKE_CNT_DPD_SENT) <= 4, "more probes than needed;");
	same_sas(w);
}

/* ---------------------------------------------------- a source port for each flow */

static unsigned halves(const struct sim_node *n, bool ports_vary)
{
	unsigned found = 0;

	for (size_t i = 0; i < SIM_SLOTS; i++)
		found += (n->in[i].on && n->in[i].ports_vary == ports_vary) +
			 (n->out_half[i].on && n->out_half[i].ports_vary == ports_vary);
	return found;
}

static void must_vary(struct world *w, bool ports_vary)
{
	for (int i = 0; i < SIM_NODES; i++)
		must(w, halves(&w->node[i], ports_vary) >= 2 && !halves(&w->node[i], !ports_vary),
		     ports_vary ? "ports do not vary;" : "ports vary;");
	must(w,
	     count_sas(A, 0).ports_vary == ports_vary && count_sas(B, 0).ports_vary == ports_vary,
	     "shown otherwise;");
}

/* Agreed on once, it outlives rekeys and processes, and nobody takes a port for a move. */
static void ports_vary(struct world *w)
{
	A->cfg[0].encap = B->cfg[0].encap = IKE_ENCAP_FORCE;
	A->cfg[0].ports_vary = B->cfg[0].ports_vary = true;
	connect_pair(w);
	must_vary(w, true);
	node_event(A, IKE_EV_REKEY_CHILD, 0);
	world_run(w, span_s(10));
	node_event(B, IKE_EV_REKEY_IKE, 0);
	world_run(w, span_s(10));
	process_restart(B);
	world_run(w, span_s(10));
	node_event(B, IKE_EV_REKEY_CHILD, 0);
	world_run(w, span_s(20));
	must_vary(w, true);
	must_flow(w);
	must(w, !A->n_events[IKE_HAP_PEER_MOVED] && !B->n_events[IKE_HAP_PEER_MOVED],
	     "a port was followed;");
	must(w, count_sas(A, 0).remote.port == 4500 && count_sas(B, 0).remote.port == 4500,
	     "the peer is elsewhere;");
}

/* One end alone has it, either of them, or it is behind a NAT. */
static void ports_stay(struct world *w)
{
	for (int i = 0; i < 3; i++) {
		world_fini(w);
		world_init(w, 42);
		A->cfg[0].encap = B->cfg[0].encap = IKE_ENCAP_FORCE;
		A->cfg[0].ports_vary = i != 1;
		B->cfg[0].ports_vary = i != 0;
		if (i == 2) {
			net_use_nat(w);
			B->cfg[0].remote = (struct ip_addr){0};
		}
		connect_pair(w);
		world_run(w, span_s(10));
		must_vary(w, false);
		must_flow(w);
	}
}

/* ------------------------------------------------------------- MOBIKE, with liars */

#define MAX_RECORDED 64
static struct recorded {
	int from;
	size_t size;
	uint8_t data[512];
} record[MAX_RECORDED];
static size_t n_recorded;

static bool keep(struct world *w, int from, const uint8_t *data, size_t size)
{
	(void)w;
	if (n_recorded < MAX_RECORDED && size <= sizeof(record[0].data)) {
		record[n_recorded].from = from;
		record[n_recorded].size = size;
		memcpy(record[n_recorded++].data, data, size);
	}
	return false;
}

static void replayed_update(struct world *w)
{
	const struct ip_endpoint thief = {ip_v4(203, 0, 113, 66), 4500};

	mobike(w);
	connect_pair(w);
	w->filter = keep;
	n_recorded = 0;
	move_a(w);
	world_run(w, span_s(1));
	w->filter = NULL;
	must(w, n_recorded >= 4, "no move;");
	for (size_t i = 0; i < n_recorded; i++) {
		if (record[i].from == 0)
			hand_inject(B, thief, record[i].data, record[i].size);
	}
	must(w, peer_is_at(B, &elsewhere), "followed the thief;");
	must(w, count(B, IKE_CNT_ADDRESS_UPDATED) == 1, "updated again;");
	must_flow(w);
	same_sas(w);
}

static void edit_cookie2(struct liar_inner *in, const void *arg)
{
	for (size_t i = 0; i < in->n; i++) {
		struct liar_payload *p = &in->p[i];

		if (p->type == IKE_PL_NOTIFY && p->body[2] == IKE_N_COOKIE2 >> 8 &&
		    p->body[3] == (uint8_t)IKE_N_COOKIE2)
			p->body[p->size - 1] ^= 1;
	}
	if (arg)
		in->n = 0;
}

/* The wrong cookie, or none: the address is not proven, and the IKE SA ends (RFC 4555 3.7). */
static void wrong_cookie2(struct world *w)
{
	static const bool none = true;

	for (int i = 0; i < 2; i++) {
		mobike(w);
		connect_pair(w);
		liar = (struct liar){.from = 0,
				     .exchange = IKE_INFORMATIONAL,
				     .response = true,
				     .times = 1,
				     .edit = edit_cookie2,
				     .arg = i ? &none : NULL};
		liar_install(w, &liar);
		move_a(w);
		world_run(w, span_ms(200));
		must(w, liar.told == 1, "no lie;");
		must(w, count(B, IKE_CNT_RX_COOKIE2) == 1 && !B->up[0], "believed;");
		w->filter = NULL;
		world_fini(w);
		world_init(w, 5);
	}
}

static void ask(struct world *w, const struct ike_builder *b)
{
	liar = (struct liar){.from = 0, .exchange = IKE_INFORMATIONAL};
	must(w, liar_ask(w, &liar, 0, IKE_INFORMATIONAL, b), "no answer;");
}

static void nat_not_allowed(struct world *w)
{
	/* RFC 4555 3.9: source, destination, ports. The liar speaks from port 500 to port 500. */
	uint8_t data[12] = {192, 0, 2, 1, 198, 51, 100, 1, 1, 0xf4, 1, 0xf4}, buf[128];
	struct ike_builder b;

	mobike(w);
	w->esp_period_us = 0;
	connect_pair(w);
	for (unsigned i = 0; i < 3; i++) {
		ike_build_open_inner(&b, buf, sizeof(buf));
		add_notify(&b, IKE_N_UPDATE_SA_ADDRESSES, NULL, 0);
		data[3] = i == 1 ? 9 : 1;
		add_notify(&b, IKE_N_NO_NATS_ALLOWED, data, i == 2 ? 11 : 12);
		ask(w, &b);
		must(w,
		     (liar_notify(&liar.answer, IKE_N_UNEXPECTED_NAT_DETECTED) != NULL) == (i > 0),
		     "wrong answer;");
		w->filter = NULL;
	}
	must(w, count(B, IKE_CNT_ADDRESS_UPDATED) == 1, "moved in spite of it;");
}

static void unacceptable(struct world *w)
{
	uint8_t buf[64];
	struct ike_builder b;

	mobike(w);
	w->esp_period_us = 0;
	B->also = b_second; /* leads there, but is none of the tunnel's */
	connect_pair(w);
	B->addr = b_second;
	B->also = ip_v4(198, 51, 100, 1);
	ike_build_open_inner(&b, buf, sizeof(buf));
	add_notify(&b, IKE_N_UPDATE_SA_ADDRESSES, NULL, 0);
	ask(w, &b);
	must(w, liar_notify(&liar.answer, IKE_N_UNACCEPTABLE_ADDRESSES) != NULL, "accepted;");
	must(w, B->n_events[IKE_HAP_ADDRESS_REFUSED] == 1, "nobody said so;");
	must(w, count_sas(B, 0).remote.port == 4500, "moved;");
	w->filter = NULL;
}

static void cookie2_is_echoed(struct world *w)
{
	uint8_t cookie[70] = {1, 2, 3}, buf[128];
	struct ike_builder b;

	mobike(w);
	w->esp_period_us = 0;
	connect_pair(w);
	for (size_t size = 6; size < 68; size += 2) {
		const struct liar_payload *p;

		ike_build_open_inner(&b, buf, sizeof(buf));
		add_notify(&b, IKE_N_COOKIE2, cookie, size);
		ask(w, &b);
		p = liar_notify(&liar.answer, IKE_N_COOKIE2);
		must(w, (p != NULL) == (size >= 8 && size <= 64), "length;");
		must(w, !p || (p->size == 4 + size && !memcmp(p->body + 4, cookie, size)),
		     "not as it was;");
		w->filter = NULL;
	}
}

static const struct scenario scenarios[] = {
	{"MOBIKE: the initiator moves (RFC 4555 3.5)", initiator_moves},
	{"MOBIKE: an event says so", by_event},
	{"MOBIKE: each message of a move is lost", move_with_loss},
	{"MOBIKE: it moves again before it was answered", moves_twice},
	{"MOBIKE: the responder moves (3.6)", responder_moves},
	{"MOBIKE: only one end has it", without_mobike},
	{"MOBIKE: another path is found (3.10)", other_path},
	{"MOBIKE: a NAT maps anew (3.8)", mobike_nat},
	{"MOBIKE: a NAT goes (3.8)", mobike_nat_ends},
	{"a source port for each flow: both ends want it", ports_vary},
	{"a source port for each flow: one wants it, or is behind a NAT", ports_stay},
	{"MOBIKE: a replayed update from elsewhere", replayed_update},
	{"MOBIKE: wrong COOKIE2 (3.7)", wrong_cookie2},
	{"MOBIKE: NO_NATS_ALLOWED (3.9)", nat_not_allowed},
	{"MOBIKE: UNACCEPTABLE_ADDRESSES (3.5)", unacceptable},
	{"MOBIKE: COOKIE2 is echoed (3.7)", cookie2_is_echoed},
};

int main(int argc, char **argv)
{
	return run_scenarios("mobile", scenarios, sizeof(scenarios) / sizeof(scenarios[0]), argc,
			     argv);
}
