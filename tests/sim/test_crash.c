/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Gateways that crash, vanish and come back: quick crash detection (RFC 6290), INVALID_SPI, DPD,
 * message ids after a failover (RFC 6311), and those who only say that somebody crashed.
 */
#include <string.h>
#include "tests/sim/hand.h"
#include "tests/sim/liar.h"
#include "tests/sim/scenario.h"

static struct liar liar;

/* -------------------------------------------------------------------------- QCD */

static void secrets(struct world *w)
{
	for (int i = 0; i < SIM_NODES; i++) {
		w->node[i].limits.has_qcd_secret = true;
		memset(w->node[i].limits.qcd_secret, 'a' + i, IKE_QCD_SECRET_SIZE);
	}
}

static void reboot(struct sim_node *n)
{
	node_power_off(n);
	node_power_on(n);
}

static void told_by_token(struct world *w)
{
	secrets(w);
	connect_pair(w);
	world_run(w, span_s(1));
	reboot(B); /* and waits for A, whose DPD would need 40 s */
	world_run(w, span_s(5));
	must(w, count(A, IKE_CNT_QCD_TAKEN) == 1 && count(B, IKE_CNT_QCD_SENT) == 1, "no token;");
	must(w, A->n_events[IKE_HAP_PEER_REBOOTED] == 1, "nobody said so;");
	must(w, world_until(w, settled, span_s(5)), "not settled;");
	/* The token of a rekeyed IKE SA is another one. */
	for (int i = 0; i < 2; i++) {
		node_event(i ? B : A, IKE_EV_REKEY_IKE, 0);
		world_run(w, span_s(2));
	}
	reboot(B);
	world_run(w, span_s(5));
	must(w, count(A, IKE_CNT_QCD_TAKEN) == 2, "no token after rekeys;");
	must(w, world_until(w, settled, span_s(5)), "not settled;");
}

static void another_secret(struct world *w)
{
	secrets(w);
	connect_pair(w);
	B->limits.qcd_secret[0] ^= 1;
	reboot(B);
	world_run(w, span_s(8));
	must(w, count(A, IKE_CNT_RX_QCD_BAD) >= 1 && count(A, IKE_CNT_QCD_TAKEN) == 0,
	     "believed a wrong token;");
	must(w, A->up[0], "ended by hearsay;");
	must(w, world_until(w, settled, span_s(60)), "not settled;");
}

static size_t unprotected(struct world *w, uint8_t *buf, size_t size, uint16_t type,
			  const uint8_t *token, size_t token_size)
{
	const struct sim_count c = count_sas(A, 0);
	const struct ike_header h = {.spi_i = c.spi_i,
				     .spi_r = c.spi_r,
				     .version = 0x20,
				     .exchange = IKE_INFORMATIONAL,
				     .flags = IKE_FLAG_RESPONSE};
	struct ike_builder b;

	ike_build_open(&b, buf, size, &h);
	add_notify(&b, type, NULL, 0);
	if (token_size)
		ike_build_notify(&b, IKE_PROTO_IKE, NULL, 0, IKE_N_QUICK_CRASH_DETECTION, token,
				 token_size);
	return ike_build_close(&b);
}

/* Who only has seen the SPIs: one probe in ten seconds is all that it can cause. */
static void forged_token(struct world *w)
{
	const struct ip_endpoint b_at = {ip_v4(198, 51, 100, 1), 500};
	uint8_t buf[256], token[130] = {0};

	secrets(w);
	w->esp_period_us = 0;
	connect_pair(w);
	world_run(w, span_s(3));
	for (size_t n = 0; n <= sizeof(token); n++) {
		const size_t size =
			unprotected(w, buf, sizeof(buf), IKE_N_INVALID_IKE_SPI, token, n);
		const size_t sent = hand_inject(A, b_at, buf, size);

		must(w, n == 0 ? sent > 0 : sent == 0, "more than one probe;");
	}
	must(w, count(A, IKE_CNT_QCD_TAKEN) == 0, "believed;");
	must(w, count(A, IKE_CNT_RX_QCD_BAD) == sizeof(token), "not counted;");
	world_run(w, span_s(1));
	same_sas(w);
}

/* RFC 6290 9.2: nobody learns the token of an SA that stands. */
static void no_token_for_the_living(struct world *w)
{
	struct sim_count c;
	struct ip_endpoint a_at;
	uint8_t buf[256];

	secrets(w);
	w->esp_period_us = 0;
	connect_pair(w);
	c = count_sas(B, 0);
	a_at = (struct ip_endpoint){A->addr, 500};
	for (unsigned i = 0; i < 32; i++) {
		struct ike_header h = {.spi_i = i & 1 ? c.spi_i : 0x1111,
				       .spi_r = i & 2 ? c.spi_r : 0x2222,
				       .version = 0x20,
				       .exchange = i & 4 ? IKE_INFORMATIONAL : IKE_AUTH,
				       .flags = (uint8_t)((i & 8 ? IKE_FLAG_INITIATOR : 0) |
							  (i & 16 ? IKE_FLAG_RESPONSE : 0))};
		uint8_t body[40] = {0};
		struct wr out = wr_of(buf, sizeof(buf));
		size_t sent;

		h.next_payload = IKE_PL_SK;
		h.length = 28 + 4 + sizeof(body);
		ike_header_build(&out, &h);
		wr_u32(&out, 4 + sizeof(body));
		wr_bytes(&out, body, sizeof(body));
		sent = hand_inject(B, a_at, buf, out.n);
		/* Only for two SPIs that B knows nothing of, and in no answer to an answer. */
		must(w, (sent > 0) == ((i & 3) == 0 || ((i & 3) == 1)) || (i & 16) || sent == 0,
		     "a token too many;");
		must(w, !(i & 16) || sent == 0, "answered an answer;");
		must(w, !(i & 2) || sent == 0, "told of a living SA;");
		must(w, sent <= out.n + 8, "longer than the question;");
	}
	same_sas(w);
}

/* ----------------------------------------------------------- INVALID_SPI, black holes */

static void lost_child(struct world *w)
{
	struct ike_event ev = {.type = IKE_EV_UNKNOWN_ESP};
	const uint32_t spi = 0xabcdef01;

	connect_pair(w);
	world_run(w, span_s(3));
	ev.esp.local = (struct ip_endpoint){B->addr, 0};
	ev.esp.remote = (struct ip_endpoint){A->addr, 0};
	/* B's dataplane gets ESP of A that is nobody's, again and again. */
	ev.esp.spi = spi;
	for (int i = 0; i < 4; i++) {
		ev.now = w->now;
		node_step(B, &ev);
		world_run(w, span_ms(600));
	}
	must(w, count(B, IKE_CNT_INVALID_SPI_SENT) == 1, "not told;");
	must(w, A->n_down[0] == 0, "a child that A does not have;");
	/* And now one that A does have. */
	ev.esp.spi = count_sas(A, 0).spi_out;
	for (int i = 0; i < 4; i++) {
		ev.now = w->now;
		node_step(B, &ev);
		world_run(w, span_ms(600));
	}
	must(w, count(A, IKE_CNT_CHILD_ESTABLISHED) == 2, "not made anew;");
	must(w, world_until(w, settled, span_s(10)), "not settled;");
}

static void black_hole(struct world *w)
{
	uint64_t before;

	A->cfg[0].dpd_interval = span_s(20);
	connect_pair(w);
	world_run(w, span_s(3));
	w->faults.cut = true;
	before = count(A, IKE_CNT_DPD_SENT);
	world_run(w, span_s(6)); /* traffic goes out, none comes: a quarter of the interval */
	must(w, count(A, IKE_CNT_DPD_SENT) == before + 1, "no early probe;");
	w->faults.cut = false;
	world_run(w, span_s(3));
	must_flow(w);
	/* Without traffic nobody is in a hurry. */
	w->esp_period_us = 0;
	before = count(A, IKE_CNT_DPD_SENT);
	world_run(w, span_s(15));
	must(w, count(A, IKE_CNT_DPD_SENT) == before, "a probe for nothing;");
}

/* ----------------------------------------------------------- DPD, start-up, recovery */

/* Whatever was chosen, a tunnel that somebody wants is there again when the network is. */
static void all_actions(struct world *w)
{
	static const enum ike_dpd_action actions[] = {IKE_DPD_CLEAR, IKE_DPD_NONE, IKE_DPD_RESTART};

	for (unsigned i = 0; i < 18; i++) {
		const enum ike_dpd_action action = actions[i % 3];
		const bool a_starts = i / 3 % 2 == 0, long_cut = i / 6 == 1, reboots = i / 6 == 2;
		bool back;

		world_fini(w);
		world_init(w, i + 1);
		A->cfg[0].dpd_action = action;
		B->cfg[0].dpd_action = IKE_DPD_CLEAR;
		A->cfg[0].startup = a_starts ? IKE_STARTUP_START : IKE_STARTUP_ADD;
		must(w, world_start(w), "no start;");
		node_event(A, IKE_EV_INITIATE, 0);
		must(w, world_until(w, settled, span_s(5)), "not up;");
		w->faults.cut = true;
		if (reboots)
			reboot(B);
		world_run(w, span_s(long_cut || reboots ? 700 : 15));
		w->faults.cut = false;
		back = world_until(w, settled, span_s(90));
		if (back != (action == IKE_DPD_RESTART || (!long_cut && !reboots)))
			fail_msg("action %d, start %d, cut %d, reboot %d: %d %s", action, a_starts,
				 long_cut, reboots, back, w->failure);
		if (back)
			continue;
		/* Cleared or only reported: a command brings it back at once. */
		if (action == IKE_DPD_NONE) {
			node_event(A, IKE_EV_TERMINATE, 0);
			world_run(w, span_s(40));
		}
		node_event(A, IKE_EV_INITIATE, 0);
		must(w, world_until(w, settled, span_s(15)), "not brought back;");
	}
}

/* For ever, a minute and a quarter apart at most, and at once when told. */
static void never_gives_up(struct world *w)
{
	w->faults.cut = true;
	w->esp_period_us = 0;
	must(w, world_start(w), "no start;");
	world_run(w, span_s(4 * 3600));
	must(w, count(A, IKE_CNT_TX) > 6 * 4 * 3600 / 110, "slower than that;");
	w->faults.cut = false;
	must(w, world_until(w, settled, span_s(110)), "not settled;");
	w->faults.cut = true;
	world_run(w, span_s(3600));
	w->faults.cut = false;
	node_event(A, IKE_EV_TERMINATE, 0);
	world_run(w, span_s(1));
	node_event(A, IKE_EV_INITIATE, 0);
	must(w, world_until(w, settled, span_s(2)), "not at once;");
}

/* ------------------------------------------------- message ids after a failover */

static struct ike_sa *ike_of(struct sim_node *n)
{
	return ike_tunnel_sa(ike_tunnel_find(n->ike, 0));
}

/* As A's successor: IKEV2_MESSAGE_ID_SYNC with these ids. What B answers stands in `liar.answer`. */
static bool synchronise(struct world *w, uint32_t nonce, uint32_t send, uint32_t expected,
			size_t size)
{
	struct ike_sa *to = ike_of(B);
	const struct ike_header h = {.spi_i = to->spi_i,
				     .spi_r = to->spi_r,
				     .version = IKE_VERSION_2,
				     .exchange = IKE_INFORMATIONAL,
				     .flags = IKE_FLAG_INITIATOR};
	uint8_t body[4 + 12] = {0, 0, IKE_N_IKEV2_MESSAGE_ID_SYNC >> 8,
				IKE_N_IKEV2_MESSAGE_ID_SYNC & 0xff};
	struct liar_inner in = {0};
	struct wr wr = wr_of(body + 4, 12);

	wr_u32(&wr, nonce);
	wr_u32(&wr, send);
	wr_u32(&wr, expected);
	liar_add(&in, IKE_PL_NOTIFY, 0, body, 4 + size);
	liar = (struct liar){.from = 0, .exchange = IKE_INFORMATIONAL, .told = 1, .asked = true};
	liar_install(w, &liar);
	liar_speak(w, &liar, 0, to, &h, &in);
	world_run(w, span_ms(200));
	w->filter = NULL;
	return liar.answered;
}

static bool answered_with(uint32_t nonce, uint32_t send, uint32_t expected)
{
	const struct liar_payload *p = liar_notify(&liar.answer, IKE_N_IKEV2_MESSAGE_ID_SYNC);
	uint8_t body[12];
	struct wr wr = wr_of(body, sizeof(body));

	wr_u32(&wr, nonce);
	wr_u32(&wr, send);
	wr_u32(&wr, expected);
	return p && p->size == 4 + 12 && !memcmp(p->body + 4, body, 12);
}

static void message_ids(struct world *w)
{
	struct ike_sa *a, *b;
	uint32_t tx, rx;

	w->esp_period_us = 0;
	connect_pair(w);
	world_run(w, span_s(1));
	a = ike_of(A);
	b = ike_of(B);
	must(w, a->agreed.sync && b->agreed.sync, "not agreed;");
	tx = b->tx_mid;
	rx = b->rx_mid;
	/* A successor that knows less: it is told. Of which it learnt, B has nothing to change. */
	must(w, synchronise(w, 7, 0, 0, 12) && answered_with(7, tx, rx), "not told;");
	must(w, b->tx_mid == tx && b->rx_mid == rx, "back;");
	/* One that is ahead, to be safe: B follows. */
	must(w, synchronise(w, 8, rx + 10, tx + 3, 12) && answered_with(8, tx + 3, rx + 10),
	     "not followed;");
	must(w, b->tx_mid == tx + 3 && b->rx_mid == rx + 10, "other ids;");
	a->tx_mid = rx + 10;
	a->rx_mid = tx + 3;
	node_event(A, IKE_EV_REKEY_CHILD, 0);
	world_run(w, span_s(2));
	node_event(B, IKE_EV_REKEY_CHILD, 0);
	world_run(w, span_s(2));
	must(w, count(A, IKE_CNT_CHILD_REKEYED) >= 2, "no exchange after it;");
	/* What was recorded comes again: answered, and nothing changes. */
	tx = b->tx_mid;
	rx = b->rx_mid;
	must(w, synchronise(w, 8, 12, 3, 12) && answered_with(8, tx, rx), "not repeated;");
	must(w, b->tx_mid == tx && b->rx_mid == rx, "a replay changed something;");
	/* Out of range, of a wrong length: not a word. */
	must(w, !synchronise(w, 9, 0x80000000u, 0, 12) && !synchronise(w, 9, 0, UINT32_MAX, 12),
	     "out of range;");
	must(w, count(B, IKE_CNT_RX_SYNC) == 2, "not counted;");
	must(w, !synchronise(w, 9, rx, tx, 8) && !synchronise(w, 9, rx, tx, 4), "short;");
	must(w, b->tx_mid == tx && b->rx_mid == rx, "changed by malformed ones;");
	/* An IKE SA that a rekey made begins at 0, and can do it as well. */
	node_event(A, IKE_EV_REKEY_IKE, 0);
	world_run(w, span_s(2));
	b = ike_of(B);
	must(w, b->rx_mid < 3 && b->agreed.sync, "not a new one;");
	must(w, synchronise(w, 10, 5, 6, 12) && answered_with(10, 6, 5), "not on the new one;");
	ike_of(A)->tx_mid = 5;
	ike_of(A)->rx_mid = 6;
	node_event(B, IKE_EV_REKEY_IKE, 0);
	world_run(w, span_s(2));
	same_sas(w);
}

static const struct scenario scenarios[] = {
	{"message ids after a failover (RFC 6311 5.1)", message_ids},
	{"QCD: a reboot is told by a token (RFC 6290)", told_by_token},
	{"QCD: another secret is not believed", another_secret},
	{"QCD: a forged token", forged_token},
	{"QCD: no token of an SA that stands (9.2)", no_token_for_the_living},
	{"INVALID_SPI: a child that the peer has lost", lost_child},
	{"a black hole is looked into early", black_hole},
	{"DPD actions and start-up", all_actions},
	{"never gives up", never_gives_up},
};

int main(int argc, char **argv)
{
	return run_scenarios("crash", scenarios, sizeof(scenarios) / sizeof(scenarios[0]), argc,
			     argv);
}
