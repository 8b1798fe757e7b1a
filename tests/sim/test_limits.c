/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Limits: what a core does when it runs out of something, and how much those who have proven nothing
 * may make it say.
 */
#include <string.h>
#include "ike/ike_int.h"
#include "tests/sim/scenario.h"

/* ------------------------------------------------------------------ out of room */

/* The one datagram that the filter took out. */
static struct {
	int from;
	uint8_t exchange;
	bool response;
	size_t size;
	uint8_t data[IKE_MESSAGE_MAX];
} taken;

static bool take(struct world *w, int from, const uint8_t *data, size_t size)
{
	(void)w;
	if (taken.size || from != taken.from || data[18] != taken.exchange ||
	    !!(data[19] & IKE_FLAG_RESPONSE) != taken.response)
		return false;
	memcpy(taken.data, data, size);
	taken.size = size;
	return true;
}

static bool has_taken(struct world *w)
{
	(void)w;
	return taken.size;
}

static struct ike_event event_of_taken(struct world *w)
{
	struct ike_event ev = {.type = IKE_EV_PACKET, .now = w->now};

	ev.packet.local = (struct ip_endpoint){w->node[1 - taken.from].addr, IKE_PORT};
	ev.packet.remote = (struct ip_endpoint){w->node[taken.from].addr, IKE_PORT};
	ev.packet.data = taken.data;
	ev.packet.size = taken.size;
	return ev;
}

/* Every action says what it claims to: AUTH without octets would be a signature over nothing. */
static void whole(const struct ike_out *out)
{
	for (size_t i = 0; i < out->n; i++) {
		const struct ike_action *a = &out->actions[i];

		if (a->type == IKE_ACT_AUTH_SIGN || a->type == IKE_ACT_AUTH_VERIFY) {
			assert_non_null(a->auth.octets);
			assert_int_not_equal(a->auth.octets_size, 0);
			assert_true(a->auth.auth || !a->auth.auth_size);
		}
		if (a->type == IKE_ACT_SEND)
			assert_non_null(a->send.data);
	}
}

/* An exchange that needs octets to be signed or verified, with so much room; whether it sufficed. */
static bool without_room(int from, uint8_t exchange, bool response, size_t room)
{
	struct world *w = fresh_world(3);
	struct sim_node *n;
	struct ike_event ev;
	bool enough;

	w->esp_period_us = 0;
	memset(&taken, 0, sizeof(taken));
	taken.from = from;
	taken.exchange = exchange;
	taken.response = response;
	w->filter = take;
	must(w, world_start(w), "no start");
	must(w, world_until(w, has_taken, span_s(5)), "nothing sent");
	n = &w->node[1 - from];
	ev = event_of_taken(w);
	n->out.n_bytes = sizeof(n->out.bytes) - room;
	ike_step(n->ike, &ev, &n->out);
	whole(&n->out);
	enough = count(n, IKE_CNT_ACTION_OVERFLOW) == 0;
	assert_int_equal(count_sas(n, 0).ike, enough);
	ike_out_reset(&n->out);
	node_power_off(n); /* its counter would fail the world */
	must(w, node_power_on(n), "no start");
	must(w, world_until(w, settled, span_s(165)), "not settled");
	world_fini(w);
	return enough;
}

static void no_room_for_octets(void **state)
{
	unsigned enough = 0, n = 0;

	(void)state;
	for (size_t room = 0; room < 700; room += 25, n += 3) {
		enough += without_room(1, IKE_SA_INIT, true, room); /* to sign */
		enough += without_room(0, IKE_AUTH, false, room);   /* to verify */
		enough += without_room(1, IKE_AUTH, true, room);
	}
	assert_true(enough > n / 4 && enough < n);
}

/* ------------------------------------------------------------------------ IKEv1 */

/* A first Main Mode message: declined, and said so, but only of a peer's address and not too often. */
/* Requirements: RFC7296-2.5-version-1 */
static void ikev1(void **state)
{
	struct world *w = fresh_world(5);
	uint8_t main_mode[60] = {1, 2, 3,        4,           5,        6,
				 7, 8, [16] = 1, [17] = 0x10, [18] = 2, [27] = 60};
	struct ike_event ev = {.type = IKE_EV_PACKET};
	unsigned sent = 0;

	(void)state;
	w->esp_period_us = 0;
	A->cfg[0].startup = IKE_STARTUP_ADD;
	must(w, world_start(w), "no start");
	ev.now = w->now;
	ev.packet.local = (struct ip_endpoint){B->addr, IKE_PORT};
	ev.packet.data = main_mode;
	ev.packet.size = sizeof(main_mode);
	for (unsigned i = 0; i < 100; i++) {
		ev.packet.remote = (struct ip_endpoint){i & 1 ? A->addr : ip_v4(10, 9, 8, 7), 500};
		main_mode[17] = i % 3 ? 0x10 : 0;
		ike_step(B->ike, &ev, &B->out);
		for (size_t k = 0; k < B->out.n; k++)
			sent += B->out.actions[k].type == IKE_ACT_SEND;
		ev.type = IKE_EV_TICK;
		node_step(B, &ev); /* carries the actions out */
		ev.type = IKE_EV_PACKET;
	}
	assert_int_equal(sent, 0);
	assert_int_equal(count(B, IKE_CNT_RX_IKEV1), 100);
	assert_in_range(B->n_events[IKE_HAP_IKEV1_DECLINED], 1, 10);
	assert_non_null(strstr(B->last_event[IKE_HAP_IKEV1_DECLINED], "192.0.2.1"));
	assert_int_equal(count_sas(B, 0).ike, 0);
	world_fini(w);
}

/* ------------------------------------------------------------- no way to answer */

/* RFC 5282 3.1: the counter of IVs is used up, so that nothing can be sealed any more. */
static void nothing_can_be_sealed(enum ike_event_type what)
{
	struct world *w = fresh_world(4);
	struct ike_sa *sa;

	w->esp_period_us = 0;
	must(w, world_start(w) && world_until(w, settled, span_s(10)), "no start");
	world_run(w, span_s(5));
	sa = ike_tunnel_sa(ike_tunnel_find(B->ike, 0));
	sa->iv_counter = UINT64_MAX;
	if (what == IKE_EV_TICK)
		world_run(w, span_s(6)); /* until the next DPD request of A */
	else
		node_event(A, what, 0);
	world_run(w, span_ms(100));
	must(w, count(B, IKE_CNT_RESOURCES) > 0, "not counted");
	must(w, count_sas(B, 0).live_ike == 0, "an SA that answers nothing");
	must(w, world_until(w, settled, span_s(90)), "not settled");
	world_fini(w);
}

static void no_response(void **state)
{
	(void)state;
	nothing_can_be_sealed(IKE_EV_REKEY_CHILD);
	nothing_can_be_sealed(IKE_EV_REKEY_IKE);
	nothing_can_be_sealed(IKE_EV_TICK);
}

/* -------------------------------------------------------------------- strangers */

struct talk {
	unsigned lines, events, replies;
	size_t bytes;
};

static void hear(void *ctx, enum log_level level, const char *text)
{
	(void)text;
	if (level <= LOG_LEVEL_INFO)
		((struct talk *)ctx)->lines++;
}

/* A responder that knows one peer, and that peer's first message. */
static struct talk talk;

static void responder(struct world *w)
{
	world_init(w, 5);
	w->esp_period_us = 0;
	memset(&taken, 0, sizeof(taken));
	taken.exchange = IKE_SA_INIT;
	w->filter = take;
	must(w, world_start(w) && world_until(w, has_taken, span_s(5)), "no start");
	node_power_off(A);
	node_power_off(B);
	B->tracer = (struct tracer){&talk, hear};
	memset(&talk, 0, sizeof(talk));
}

static void say(struct world *w, const uint8_t *data, size_t size, uint32_t host)
{
	struct ike_event ev = event_of_taken(w);

	ev.packet.data = data;
	ev.packet.size = size;
	if (host)
		ev.packet.remote.addr =
			ip_v4(10, (uint8_t)(host >> 16), (uint8_t)(host >> 8), (uint8_t)host);
	ike_step(B->ike, &ev, &B->out);
	for (size_t i = 0; i < B->out.n; i++) {
		const struct ike_action *a = &B->out.actions[i];

		talk.events += a->type == IKE_ACT_EVENT;
		if (a->type != IKE_ACT_SEND)
			continue;
		talk.replies++;
		talk.bytes += a->send.size;
		if (size < 100)
			assert_true(a->send.size <= size);
	}
	ike_out_reset(&B->out);
}

/* The same message `n` times in a second, each time as if it were new. */
static void flood(struct world *w, const uint8_t *data, size_t size, unsigned n)
{
	uint8_t copy[IKE_MESSAGE_MAX];

	memcpy(copy, data, size);
	for (unsigned i = 0; i < n; i++) {
		memcpy(copy + 1, &i, sizeof(i));
		say(w, copy, size, 0);
		w->now = mono_add(w->now, span_us(1000000 / n));
	}
}

static void no_common_proposal(struct world *w)
{
	B->cfg[0].ike_algs.by_type[IKE_TRANSFORM_PRF] =
		(struct ike_alg_list){1, {{IKE_PRF_HMAC_SHA2_512, 0}}};
	must(w, node_power_on(B), "no start");
}

static void another_group(struct world *w)
{
	B->cfg[0].ike_algs = A->cfg[0].ike_algs;
	for (size_t i = 28; i + 2 < taken.size; i++) { /* the KE payload's group, and only that */
		const uint8_t *p = taken.data + i;

		if (p[0] == IKE_PL_NONCE && p[2] == 0 && p[3] == 40 && p[5] == 31)
			taken.data[i + 5] = 19;
	}
	must(w, node_power_on(B), "no start");
}

static void another_version(struct world *w)
{
	taken.data[17] = 0x30;
	must(w, node_power_on(B), "no start");
}

static void cookies(struct world *w)
{
	B->limits.cookie_threshold = 0;
	must(w, node_power_on(B), "no start");
}

static void half_open(struct world *w)
{
	must(w, node_power_on(B), "no start");
}

/* Requirements: RFC7296-2.5-major, SIM-bounded, CVE-2016-5361 */
static void strangers_are_answered_little(void **state)
{
	struct world *w = &the_world;
	static const struct {
		const char *name;
		void (*prepare)(struct world *w);
		enum ike_counter counter;
		unsigned replies; /* at most */
	} cases[] = {
		{"NO_PROPOSAL_CHOSEN", no_common_proposal, IKE_CNT_NO_PROPOSAL, 250},
		{"INVALID_KE_PAYLOAD", another_group, IKE_CNT_INVALID_KE, 250},
		{"INVALID_MAJOR_VERSION", another_version, IKE_CNT_RX_VERSION, 250},
		/* Needs no state and is shorter than what it answers: a real peer may be among them. */
		{"COOKIE", cookies, IKE_CNT_COOKIE_SENT, 3000},
		{"half-open", half_open, IKE_CNT_RX_HALF_OPEN_LIMIT, 20},
	};

	(void)state;
	for (size_t k = 0; k < sizeof(cases) / sizeof(cases[0]); k++) {
		responder(w);
		cases[k].prepare(w);
		flood(w, taken.data, taken.size, 3000);
		if (count(B, cases[k].counter) < 2980)
			fail_msg("%s: %llu counted", cases[k].name,
				 (unsigned long long)count(B, cases[k].counter));
		if (talk.replies > cases[k].replies || !talk.replies ||
		    talk.bytes > 3000 * taken.size)
			fail_msg("%s: %u replies", cases[k].name, talk.replies);
		if (talk.events > 11 || talk.lines > 11)
			fail_msg("%s: %u events, %u lines", cases[k].name, talk.events, talk.lines);
		/* Later an honest one is answered again. */
		w->now = mono_add(w->now, span_s(60));
		node_tick(B);
		memset(&talk, 0, sizeof(talk));
		say(w, taken.data, taken.size, 0);
		if (talk.replies != 1)
			fail_msg("%s: nothing said later", cases[k].name);
		node_power_off(B);
		world_fini(w);
	}
}

/* RFC 7296 2.1: a repetition is answered alike, but no source address may be drowned by it. */
/* Requirements: CVE-2016-5361 */
static void repetitions(void **state)
{
	struct world *w = &the_world;

	(void)state;
	responder(w);
	must(w, node_power_on(B), "no start");
	for (unsigned i = 0; i < 3000; i++)
		say(w, taken.data, taken.size, 0);
	assert_true(talk.bytes <= 3000 * taken.size || talk.replies <= 250);
	assert_true(talk.lines <= 11 && talk.events <= 11);
	node_power_off(B);
	world_fini(w);
}

/* Who has done a key exchange has proven nothing yet: IKE_AUTH with a wrong key, or wrong networks. */
static void unauthenticated_peers(bool networks)
{
	struct world *w = fresh_world(6);
	unsigned events = 0;

	w->esp_period_us = 0;
	memcpy(A->psk, "wrong", 6);
	if (networks)
		A->cfg[0].remote_ts[0].first = A->cfg[0].remote_ts[0].last = ip_v4(10, 77, 0, 1);
	B->limits.cookie_threshold = 1;
	B->tracer = (struct tracer){&talk, hear};
	memset(&talk, 0, sizeof(talk));
	must(w, world_start(w), "no start");
	for (unsigned i = 0; i < 200; i++) {
		world_run(w, span_ms(50));
		node_power_off(A);
		must(w, node_power_on(A), "no start");
	}
	for (int e = 0; e < IKE_HAP_END; e++)
		events += B->n_events[e];
	if (count(B, IKE_CNT_AUTH_FAILED) < 150 || events > 23 || talk.lines > 23)
		fail_msg("%llu failed, %u events, %u lines",
			 (unsigned long long)count(B, IKE_CNT_AUTH_FAILED), events, talk.lines);
	must(w, B->n_events[IKE_HAP_TS_UNACCEPTABLE] == 0, "believed before it was proven");
	must(w, B->n_events[IKE_HAP_COOKIES_ON] <= 1, "cookies flap");
	world_fini(w);
}

/* Requirements: SIM-bounded */
static void wrong_keys(void **state)
{
	(void)state;
	unauthenticated_peers(false);
	unauthenticated_peers(true);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ikev1),       cmocka_unit_test(no_room_for_octets),
		cmocka_unit_test(no_response), cmocka_unit_test(strangers_are_answered_little),
		cmocka_unit_test(repetitions), cmocka_unit_test(wrong_keys),
	};

	return run_group("limits", tests, sizeof(tests) / sizeof(tests[0]), argc, argv);
}
