/* SPDX-License-Identifier: Apache-2.0 */
/* Gateways that are sent elsewhere (RFC 5685), and IKE SAs without a child (RFC 6023). */
#include <string.h>
#include "tests/sim/hand.h"
#include "tests/sim/scenario.h"

static const struct ip_addr b_second = {IP_V4, {198, 51, 100, 99}};

/* --------------------------------------------------------------------- redirect */

/* B has two addresses, each with a tunnel for A. */
static void two_gateways(struct world *w)
{
	B->also = b_second;
	B->n_tunnels = 2;
	B->cfg[1] = B->cfg[0];
	B->cfg[1].tunnel = 1;
	memcpy(B->cfg[1].name, "bore-2", 7);
	B->cfg[1].local = b_second;
	w->esp_period_us = 0;
}

static bool at_second(struct world *w)
{
	return A->up[0] && B->up[1] && !B->up[0];
}

static void redirect(struct world *w, const struct ip_addr *to)
{
	struct ike_event ev = {.type = IKE_EV_REDIRECT, .now = w->now};

	ev.address.addr = *to;
	node_step(B, &ev);
}

static void sent_away(struct world *w)
{
	A->cfg[0].redirect = true;
	two_gateways(w);
	must(w, world_start(w), "no start;");
	must(w, world_until(w, both_up, span_s(5)), "not up;");
	redirect(w, &b_second);
	must(w, world_until(w, at_second, span_s(5)), "not gone;");
	must(w, count(A, IKE_CNT_REDIRECTED) == 1, "not counted;");
	/* When that one is lost it comes back, and is sent away before anything else. */
	node_event(A, IKE_EV_TERMINATE, 0);
	world_run(w, span_s(2));
	must(w, !A->up[0], "still up;");
	A->cfg[0].local_ts[0].last = ip_v4(10, 1, 0, 254); /* a change that forgets the gateway */
	node_set_tunnel(A, 0);
	node_event(A, IKE_EV_INITIATE, 0);
	must(w, world_until(w, at_second, span_s(5)), "not gone again;");
	must(w, count(A, IKE_CNT_REDIRECTED) == 2, "not sent away again;");
}

static void begin_at_first(struct world *w)
{
	A->cfg[0].redirect = true;
	A->cfg[0].startup = IKE_STARTUP_ADD;
	two_gateways(w);
	must(w, world_start(w), "no start;");
	redirect(w, &b_second);
}

/* Requirements: RFC5685-3-init, RFC5685-3-nonce */
static void sent_away_in_init(struct world *w)
{
	const uint64_t before = w->n_ike;

	begin_at_first(w);
	node_event(A, IKE_EV_INITIATE, 0);
	world_run(w, span_s(1));
	must(w, at_second(w), "not there;");
	must(w, count(B, IKE_CNT_REDIRECT_SENT) == 1, "not in IKE_SA_INIT;");
	must(w, count(A, IKE_CNT_REDIRECTED) == 1, "not followed;");
	must(w, w->n_ike == before + 6, "more than three exchanges;");
	/* Until it is told otherwise. */
	redirect(w, &(struct ip_addr){0});
	node_event(A, IKE_EV_TERMINATE, 0);
	world_run(w, span_s(2));
	A->cfg[0].local_ts[0].last = ip_v4(10, 1, 0, 254);
	node_set_tunnel(A, 0);
	node_event(A, IKE_EV_INITIATE, 0);
	must(w, world_until(w, both_up, span_s(5)), "not back;");
}

/* Where it takes IKE_AUTH to know who it is, or who says that it comes from there. */
static void not_sent_away_in_init(struct world *w)
{
	for (unsigned i = 0; i < 4; i++) {
		world_fini(w);
		world_init(w, 5685 + i);
		begin_at_first(w);
		if (i == 0) { /* another tunnel of these addresses stays */
			B->cfg[1].local = B->addr;
			B->cfg[1].remote_id.data[0] ^= 1;
			node_set_tunnel(B, 1);
		} else if (i == 1) { /* it was sent here from there */
			ike_tunnel_find(A->ike, 0)->redirected_from = b_second;
		} else if (i == 2) { /* it does not follow */
			A->cfg[0].redirect = false;
			node_set_tunnel(A, 0);
		} else { /* here is where it is to go to */
			redirect(w, &B->addr);
		}
		node_event(A, IKE_EV_INITIATE, 0);
		world_run(w, span_s(3));
		must(w, count(B, IKE_CNT_REDIRECT_SENT) == 0, "in IKE_SA_INIT;");
		must(w, count(A, IKE_CNT_REDIRECTED) == (i < 2), "not in IKE_AUTH;");
		must(w, i != 1 || at_second(w), "not there;");
		must(w, i != 2 || both_up(w), "not here;");
	}
}

static void does_not_follow(struct world *w)
{
	two_gateways(w);
	must(w, world_start(w), "no start;");
	must(w, world_until(w, both_up, span_s(5)), "not up;");
	redirect(w, &b_second);
	world_run(w, span_s(60));
	must(w, A->up[0] && B->up[0] && A->n_down[0] == 0, "followed;");
	must(w, strstr(B->last_event[IKE_HAP_REDIRECTED], "does not support"), "B does not say;");
}

/* Requirements: RFC5685-7-loops */
static void in_circles(struct world *w)
{
	const struct ip_addr first = B->addr;
	struct ike_event ev = {.type = IKE_EV_REDIRECT};

	A->cfg[0].redirect = true;
	two_gateways(w);
	must(w, world_start(w), "no start;");
	must(w, world_until(w, both_up, span_s(5)), "not up;");
	ev.address.tunnel = 1;
	ev.address.addr = first;
	ev.now = w->now;
	node_step(B, &ev);
	redirect(w, &b_second);
	world_run(w, span_s(200));
	must(w, count(A, IKE_CNT_REDIRECTED) == 5, "not five times;");
	must(w, A->n_events[IKE_HAP_REDIRECT_REFUSED] >= 1, "nobody said so;");
}

/* REDIRECT in IKE_SA_INIT, which anybody can send who has seen the request, and others cannot. */
/* Requirements: RFC5685-3-nonce */
static void redirect_in_init(struct world *w)
{
	static const struct {
		const char *what;
		uint8_t type, size;
		bool right_nonce, followed;
	} cases[] = {
		{"without our nonce", 1, 4, false, false}, {"by name", 3, 4, true, false},
		{"no such kind", 9, 4, true, false},       {"short address", 1, 3, true, false},
		{"IPv6 from IPv4", 2, 16, true, false},    {"as it should be", 1, 4, true, true},
	};
	const struct ip_endpoint b_at = {B->addr, 500};

	A->cfg[0].redirect = true;
	w->faults.cut = true;
	must(w, world_start(w), "no start;");
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct ike_tunnel *t = ike_tunnel_find(A->ike, 0);
		struct ike_sa *sa = TAILQ_FIRST(&t->sas);
		const struct ike_header h = {.spi_i = sa->spi_i,
					     .version = 0x20,
					     .exchange = IKE_SA_INIT,
					     .flags = IKE_FLAG_RESPONSE};
		uint8_t data[64], buf[256];
		struct wr out = wr_of(data, sizeof(data));
		struct ike_builder b;

		wr_u8(&out, cases[i].type);
		wr_u8(&out, cases[i].size);
		wr_bytes(&out, b_second.b, cases[i].size);
		wr_bytes(&out, sa->hs->ni, 31);
		wr_u8(&out, sa->hs->ni[31] ^ !cases[i].right_nonce);
		ike_build_open(&b, buf, sizeof(buf), &h);
		add_notify(&b, IKE_N_REDIRECT, data, out.n);
		hand_inject(A, b_at, buf, ike_build_close(&b));
		if ((count(A, IKE_CNT_REDIRECTED) == 1) != cases[i].followed)
			fail_msg("%s", cases[i].what);
	}
	must(w, ip_equal(&ike_tunnel_find(A->ike, 0)->gateway, &b_second), "to where?");
	/* Nobody is there: back to the one that is configured. */
	world_run(w, span_s(45));
	w->faults.cut = false;
	must(w, world_until(w, settled, span_s(80)), "not settled;");
}

/* -------------------------------------------------------------------- childless */

static void childless(struct world *w)
{
	A->cfg[0].childless = true;
	connect_pair(w);
	must(w, w->n_ike == 6, "not by CREATE_CHILD_SA;");
	must_flow(w);
	same_sas(w);
}

static const struct scenario scenarios[] = {
	{"redirect: over the SA and in IKE_AUTH (RFC 5685)", sent_away},
	{"redirect: in IKE_SA_INIT at once (3)", sent_away_in_init},
	{"redirect: not before IKE_AUTH (3)", not_sent_away_in_init},
	{"redirect: not where it is not configured", does_not_follow},
	{"redirect: in circles (7)", in_circles},
	{"redirect: in IKE_SA_INIT (3)", redirect_in_init},
	{"childless (RFC 6023)", childless},
};

int main(int argc, char **argv)
{
	return run_scenarios("redirect", scenarios, sizeof(scenarios) / sizeof(scenarios[0]), argc,
			     argv);
}
