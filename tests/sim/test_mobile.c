/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Gateways that move, crash, and are sent elsewhere: MOBIKE (RFC 4555), quick crash detection
 * (RFC 6290), redirection (RFC 5685), IKE SAs without a child (RFC 6023), and those who would like
 * to be believed about such things and must not.
 */
#include <string.h>
#include "tests/sim/liar.h"
#include "tests/sim/scenario.h"

static struct liar liar;

/* Where `n` has its peer. */
static bool peer_is_at(struct sim_node *n, const struct ip_addr *where)
{
	const struct sim_count c = count_sas(n, 0);

	return ip_equal(&c.remote.addr, where);
}

/* Traffic passes both ways, and did not stop for good. */
static void must_flow(struct world *w)
{
	const uint64_t a = A->n_esp_received, b = B->n_esp_received;

	world_run(w, span_s(1));
	must(w, A->n_esp_received >= a + 150 && B->n_esp_received >= b + 150, "no traffic;");
}

static void same_sas(struct world *w)
{
	must(w, A->n_down[0] + B->n_down[0] == 0, "flapped;");
	must(w, A->n_events[IKE_HAP_IKE_UP] == 1 && B->n_events[IKE_HAP_IKE_UP] == 1, "other SAs;");
	must(w, world_until(w, settled, span_s(5)), "not settled;");
}

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

static bool measure(struct world *w, int from, const uint8_t *data, size_t size)
{
	(void)from;
	(void)data;
	*(size_t *)w->filter_ctx += size;
	return true;
}

/* From anywhere, as if by somebody on the way. Returns the bytes that go out in answer. */
static size_t inject(struct sim_node *n, struct ip_endpoint from, const uint8_t *data, size_t size)
{
	struct ike_event ev = {.type = IKE_EV_PACKET, .now = n->w->now};
	size_t sent = 0;

	ev.packet.local = (struct ip_endpoint){n->addr, 4500};
	ev.packet.remote = from;
	ev.packet.data = data;
	ev.packet.size = size;
	n->w->filter = measure;
	n->w->filter_ctx = &sent;
	node_step(n, &ev);
	n->w->filter = NULL;
	return sent;
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
			inject(B, thief, record[i].data, record[i].size);
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

static void open_inner(struct ike_builder *b, uint8_t *buf, size_t size)
{
	ike_build_open_inner(b, buf, size);
}

static void add(struct ike_builder *b, uint16_t type, const void *data, size_t size)
{
	ike_build_notify(b, IKE_PROTO_NONE, NULL, 0, type, data, size);
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
		open_inner(&b, buf, sizeof(buf));
		add(&b, IKE_N_UPDATE_SA_ADDRESSES, NULL, 0);
		data[3] = i == 1 ? 9 : 1;
		add(&b, IKE_N_NO_NATS_ALLOWED, data, i == 2 ? 11 : 12);
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
	open_inner(&b, buf, sizeof(buf));
	add(&b, IKE_N_UPDATE_SA_ADDRESSES, NULL, 0);
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

		open_inner(&b, buf, sizeof(buf));
		add(&b, IKE_N_COOKIE2, cookie, size);
		ask(w, &b);
		p = liar_notify(&liar.answer, IKE_N_COOKIE2);
		must(w, (p != NULL) == (size >= 8 && size <= 64), "length;");
		must(w, !p || (p->size == 4 + size && !memcmp(p->body + 4, cookie, size)),
		     "not as it was;");
		w->filter = NULL;
	}
}

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
	add(&b, type, NULL, 0);
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
		const size_t sent = inject(A, b_at, buf, size);

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
		sent = inject(B, a_at, buf, out.n);
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
	/* When that one is lost it comes back, and is sent away in IKE_AUTH. */
	node_event(A, IKE_EV_TERMINATE, 0);
	world_run(w, span_s(2));
	must(w, !A->up[0], "still up;");
	A->cfg[0].local_ts[0].last = ip_v4(10, 1, 0, 254); /* a change that forgets the gateway */
	node_set_tunnel(A, 0);
	node_event(A, IKE_EV_INITIATE, 0);
	must(w, world_until(w, at_second, span_s(5)), "not gone again;");
	must(w, count(A, IKE_CNT_REDIRECTED) == 2, "not by IKE_AUTH;");
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
		add(&b, IKE_N_REDIRECT, data, out.n);
		inject(A, b_at, buf, ike_build_close(&b));
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

/* ------------------------------------------------------------------------- table */

static const struct scenario scenarios[] = {
	{"message ids after a failover (RFC 6311 5.1)", message_ids},
	{"MOBIKE: the initiator moves (RFC 4555 3.5)", initiator_moves},
	{"MOBIKE: an event says so", by_event},
	{"MOBIKE: each message of a move is lost", move_with_loss},
	{"MOBIKE: it moves again before it was answered", moves_twice},
	{"MOBIKE: the responder moves (3.6)", responder_moves},
	{"MOBIKE: only one end has it", without_mobike},
	{"MOBIKE: another path is found (3.10)", other_path},
	{"MOBIKE: a NAT maps anew (3.8)", mobike_nat},
	{"MOBIKE: a replayed update from elsewhere", replayed_update},
	{"MOBIKE: wrong COOKIE2 (3.7)", wrong_cookie2},
	{"MOBIKE: NO_NATS_ALLOWED (3.9)", nat_not_allowed},
	{"MOBIKE: UNACCEPTABLE_ADDRESSES (3.5)", unacceptable},
	{"MOBIKE: COOKIE2 is echoed (3.7)", cookie2_is_echoed},
	{"QCD: a reboot is told by a token (RFC 6290)", told_by_token},
	{"QCD: another secret is not believed", another_secret},
	{"QCD: a forged token", forged_token},
	{"QCD: no token of an SA that stands (9.2)", no_token_for_the_living},
	{"INVALID_SPI: a child that the peer has lost", lost_child},
	{"a black hole is looked into early", black_hole},
	{"redirect: over the SA and in IKE_AUTH (RFC 5685)", sent_away},
	{"redirect: not where it is not configured", does_not_follow},
	{"redirect: in circles (6)", in_circles},
	{"redirect: in IKE_SA_INIT (3)", redirect_in_init},
	{"childless (RFC 6023)", childless},
	{"DPD actions and start-up", all_actions},
	{"never gives up", never_gives_up},
};

int main(int argc, char **argv)
{
	return run_scenarios("mobile", scenarios, sizeof(scenarios) / sizeof(scenarios[0]), argc,
			     argv);
}
