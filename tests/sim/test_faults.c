/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Faults that other implementations had with messages of a peer who holds the right keys: before it
 * has proven who it is, and afterwards. Whatever it says, nothing of it may be taken that should not
 * be, and both sides must find together again.
 */
#include <string.h>
#include "tests/sim/liar.h"
#include "tests/sim/scenario.h"

static struct liar liar;

static void finish(struct world *w, const char *what)
{
	w->filter = NULL;
	must(w, world_until(w, settled, span_s(165)), what);
	world_fini(w);
}

/* The SA that a half-done handshake has made. */
static struct ike_sa *young_sa(struct sim_node *n)
{
	struct ike_sa *sa = TAILQ_FIRST(&n->ike->half_open);

	return sa ? sa : TAILQ_FIRST(&ike_tunnel_find(n->ike, 0)->sas);
}

/* ------------------------------------------------------------ before IKE_AUTH */

static unsigned n_held;

static bool hold_auth(struct world *w, int from, const uint8_t *data, size_t size)
{
	(void)w;
	(void)size;
	(void)from;
	n_held += data[18] == IKE_AUTH;
	return data[18] == IKE_AUTH && !w->lies;
}

static bool is_held(struct world *w)
{
	(void)w;
	return n_held != 0;
}

/* What an impatient peer might ask for. */
static void content_of(unsigned which, struct liar_inner *in)
{
	static const uint8_t delete_ike[4] = {IKE_PROTO_IKE}, nonce[32] = {7};
	static const uint8_t contact[4] = {0, 0, IKE_N_INITIAL_CONTACT >> 8,
					   IKE_N_INITIAL_CONTACT & 255};
	struct ike_tunnel_cfg *cfg = &the_world.node[0].cfg[0];
	uint8_t buf[2000], public[32] = {9}, spi[8] = {1};
	struct ike_builder b;
	struct rd r;
	uint8_t type;

	in->n = 0;
	switch (which) {
	case 0: return;
	case 1: liar_add(in, IKE_PL_DELETE, 0, delete_ike, 4); return;
	case 2: liar_add(in, IKE_PL_NOTIFY, 0, contact, 4); return;
	default: break;
	}
	ike_build_open_inner(&b, buf, sizeof(buf));
	if (which == 3)
		ike_build_sa(&b, IKE_PROTO_IKE, spi, 8, &cfg->ike_algs, false, IKE_DH_NONE);
	else
		ike_build_sa(&b, IKE_PROTO_ESP, spi, 4, &cfg->esp_algs, false, IKE_DH_NONE);
	ike_build_nonce(&b, nonce, sizeof(nonce));
	ike_build_ke(&b, IKE_DH_CURVE25519, public, sizeof(public));
	if (which == 4) {
		ike_build_ts(&b, IKE_PL_TSI, cfg->local_ts, cfg->n_local_ts);
		ike_build_ts(&b, IKE_PL_TSR, cfg->remote_ts, cfg->n_remote_ts);
	}
	r = rd_of(buf, b.w.n);
	type = b.first;
	while (type != IKE_PL_NONE) {
		uint8_t next = 0, flags = 0;
		uint16_t size = 4;
		const uint8_t *body = NULL;

		assert_true(rd_u8(&r, &next) && rd_u8(&r, &flags) && rd_u16(&r, &size) &&
			    rd_bytes(&r, size - 4u, &body));
		liar_add(in, type, flags, body, size - 4u);
		type = next;
	}
}

/*
 * With the keys of IKE_SA_INIT, which anybody can agree on: each exchange type, request and response,
 * each side.
 */
/* Requirements: CVE-2014-2338, CVE-2019-12312 */
static void nothing_before_auth(void **state)
{
	(void)state;
	for (int from = 0; from < SIM_NODES; from++) {
		struct world *w = quiet_world(1);
		struct sim_node *n = &w->node[1 - from];
		struct ike_sa *sa;
		uint64_t before, sent;

		n_held = 0;
		w->filter = hold_auth;
		must(w, world_start(w) && world_until(w, is_held, span_s(5)), "no handshake");
		sa = young_sa(n);
		assert_true(sa && sa->keys.ei);
		before = check_digest(n);
		sent = count(n, IKE_CNT_TX);
		w->lies = true;
		for (unsigned exchange = 0; exchange < 256; exchange++) {
			for (unsigned k = 0; k < 5 * 2 * 3; k++) {
				const struct ike_header h = {
					.spi_i = sa->spi_i,
					.spi_r = sa->spi_r,
					.version = IKE_VERSION_2,
					.exchange = (uint8_t)exchange,
					.flags = (uint8_t)((from ? 0 : IKE_FLAG_INITIATOR) |
							   (k & 1 ? IKE_FLAG_RESPONSE : 0)),
					.message_id = k / 2 % 3,
				};
				struct liar_inner in;

				/* Malformed ones of these two are the end of a handshake, in order. */
				if (exchange == IKE_SA_INIT || exchange == IKE_AUTH ||
				    exchange == IKE_INTERMEDIATE)
					continue;
				if (exchange > 45 && k % 7)
					continue;
				content_of(k / 6, &in);
				liar_speak(w, &liar, from, sa, &h, &in);
			}
			world_run(w, span_us(1100));
			if (check_digest(n) != before)
				fail_msg("exchange %u changes something", exchange);
			/* Not a word, but for the initiator's own repetitions. */
			assert_true(count(n, IKE_CNT_TX) - sent ==
				    (from ? count(n, IKE_CNT_TX_RETRANSMIT) : 0));
		}
		assert_int_equal(count(n, IKE_CNT_IKE_ESTABLISHED), 0);
		w->lies = false;
		finish(w, "the handshake does not go on");
	}
}

/* ------------------------------------------------------------ payloads missing */

/* The payloads of an exchange's message: bit n of a subset drops the nth. */
struct kind {
	uint8_t exchange;
	bool response;
	enum ike_event_type event; /* at A; TICK: the connection */
	uint8_t types[8];
};

static const struct kind kinds[] = {
	{IKE_SA_INIT, false, IKE_EV_TICK, {IKE_PL_SA, IKE_PL_KE, IKE_PL_NONCE, IKE_PL_NOTIFY}},
	{IKE_SA_INIT, true, IKE_EV_TICK, {IKE_PL_SA, IKE_PL_KE, IKE_PL_NONCE, IKE_PL_NOTIFY}},
	{IKE_AUTH,
	 false,
	 IKE_EV_TICK,
	 {IKE_PL_IDI, IKE_PL_AUTH, IKE_PL_SA, IKE_PL_TSI, IKE_PL_TSR, IKE_PL_IDR}},
	{IKE_AUTH, true, IKE_EV_TICK, {IKE_PL_IDR, IKE_PL_AUTH, IKE_PL_SA, IKE_PL_TSI, IKE_PL_TSR}},
	{IKE_CREATE_CHILD_SA,
	 false,
	 IKE_EV_REKEY_CHILD,
	 {IKE_PL_SA, IKE_PL_NONCE, IKE_PL_TSI, IKE_PL_TSR, IKE_PL_KE, IKE_PL_NOTIFY}},
	{IKE_CREATE_CHILD_SA,
	 true,
	 IKE_EV_REKEY_CHILD,
	 {IKE_PL_SA, IKE_PL_NONCE, IKE_PL_TSI, IKE_PL_TSR, IKE_PL_KE}},
	{IKE_CREATE_CHILD_SA, false, IKE_EV_REKEY_IKE, {IKE_PL_SA, IKE_PL_NONCE, IKE_PL_KE}},
	{IKE_CREATE_CHILD_SA, true, IKE_EV_REKEY_IKE, {IKE_PL_SA, IKE_PL_NONCE, IKE_PL_KE}},
	{IKE_INFORMATIONAL, false, IKE_EV_REKEY_CHILD, {IKE_PL_DELETE}},
	{IKE_INFORMATIONAL, true, IKE_EV_REKEY_CHILD, {IKE_PL_DELETE}},
};

struct subset {
	const struct kind *kind;
	unsigned drop;
};

static void drop_subset(struct liar_inner *in, const void *arg)
{
	const struct subset *s = arg;

	for (unsigned i = 0; i < sizeof(s->kind->types) && s->kind->types[i]; i++) {
		if (s->drop & 1u << i)
			liar_drop(in, s->kind->types[i]);
	}
}

/* Without these the other side must not take the message for what it was. */
static bool needed(const struct subset *s)
{
	const struct kind *k = s->kind;
	const unsigned n = k->exchange == IKE_AUTH                                      ? 2
			   : k->exchange == IKE_SA_INIT || k->event == IKE_EV_REKEY_IKE ? 3
			   : k->exchange == IKE_CREATE_CHILD_SA                         ? 4
											: 0;

	return s->drop & ((1u << n) - 1);
}

static bool told(struct world *w)
{
	(void)w;
	return liar.told != 0;
}

static void one_subset(const struct subset *s)
{
	const struct kind *k = s->kind;
	const bool connecting = k->event == IKE_EV_TICK;
	struct world *w = quiet_world(100 + s->drop);
	struct sim_node *n = &w->node[k->response ? 0 : 1];
	const enum ike_counter done = connecting                     ? IKE_CNT_IKE_ESTABLISHED
				      : k->event == IKE_EV_REKEY_IKE ? IKE_CNT_IKE_REKEYED
								     : IKE_CNT_CHILD_REKEYED;
	char text[80];
	uint64_t before;

	snprintf(text, sizeof(text), "exchange %u %s, event %d, subset %u", k->exchange,
		 k->response ? "response" : "request", k->event, s->drop);
	liar = (struct liar){.from = k->response,
			     .exchange = k->exchange,
			     .response = k->response,
			     .times = connecting,
			     .edit = drop_subset,
			     .arg = s};
	liar_install(w, &liar);
	must(w, world_start(w), text);
	if (!connecting) {
		must(w, world_until(w, settled, span_s(10)), text);
		w->esp_period_us = 5000;
		world_run(w, span_s(1));
		w->esp_period_us = 0;
		liar.times = 1;
		node_event(A, k->event, 0);
	}
	before = count(n, done);
	must(w, world_until(w, told, span_s(10)), text);
	world_run(w, span_ms(8));
	if (needed(s) && count(n, done) != before)
		fail_msg("%s: taken all the same", text);
	world_run(w, span_ms(200));
	finish(w, text);
}

/* Requirements: CVE-2013-6467 */
static void each_subset_missing(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		for (unsigned drop = 1; drop < 1u << strnlen((const char *)kinds[i].types, 8);
		     drop++)
			one_subset(&(struct subset){&kinds[i], drop});
	}
}

/* ------------------------------------------------------------ payloads added */

struct addition {
	uint8_t type, flags;
	bool first;
};

static void add_payload(struct liar_inner *in, const void *arg)
{
	static const uint8_t body[20] = {0, 1, 2, 3};
	const struct addition *a = arg;

	liar_add(in, a->type, a->flags, body, sizeof(body));
	if (a->first && in->n > 1) {
		const struct liar_payload last = in->p[in->n - 1];

		memmove(&in->p[1], &in->p[0], (in->n - 1) * sizeof(in->p[0]));
		in->p[0] = last;
	}
}

static void one_addition(const struct kind *k, const struct addition *a)
{
	const bool unknown = a->type != 0 && (a->type < IKE_PL_SA || a->type > 60);
	struct world *w = quiet_world(1000 + a->type);
	struct sim_node *n = &w->node[k->response ? 0 : 1];
	const bool connecting = k->event == IKE_EV_TICK;
	uint64_t before;
	char text[80];

	snprintf(text, sizeof(text), "payload %u, flags %u in exchange %u %s", a->type, a->flags,
		 k->exchange, k->response ? "response" : "request");
	liar = (struct liar){.from = k->response,
			     .exchange = k->exchange,
			     .response = k->response,
			     .times = connecting,
			     .edit = add_payload,
			     .arg = a};
	liar_install(w, &liar);
	must(w, world_start(w), text);
	if (!connecting) {
		must(w, world_until(w, settled, span_s(10)), text);
		liar.times = 1;
		node_event(A, k->event, 0);
	}
	must(w, world_until(w, told, span_s(10)), text);
	before = count(n, IKE_CNT_RX_CRITICAL);
	world_run(w, span_ms(8));
	if (unknown && (count(n, IKE_CNT_RX_CRITICAL) != before) != !!a->flags)
		fail_msg("%s: RX_CRITICAL", text);
	if (unknown && a->flags && !k->response && k->exchange != IKE_SA_INIT) {
		const struct liar_payload *p =
			liar_notify(&liar.answer, IKE_N_UNSUPPORTED_CRITICAL_PAYLOAD);

		if (!liar.answered || !p || p->size < 5 || p->body[4] != a->type)
			fail_msg("%s: no UNSUPPORTED_CRITICAL_PAYLOAD with the type", text);
	}
	finish(w, text);
}

/* Requirements: CVE-2015-3991, RFC7296-2.5-critical */
static void each_payload_type(void **state)
{
	/* One of each exchange; the wire form of all of them is tested with the parsers. */
	static const size_t which[] = {0, 2, 4, 8, 9};

	(void)state;
	for (unsigned type = 0; type < 256; type++) {
		const size_t i = which[type % 5];

		/* Every type in one exchange, those that mean something in all of them. */
		for (size_t k = 0; k < sizeof(which) / sizeof(which[0]); k++) {
			const bool all = type >= IKE_PL_SA && type <= 56;
			const struct addition a = {(uint8_t)type, type / 5 & 1 ? 0 : 0x80,
						   type & 1};

			if (all || which[k] == i)
				one_addition(&kinds[which[k]], &a);
		}
	}
}

/* ----------------------------------------------------- after authentication */

/* A child that replaces another, as REKEY_SA puts it. */
static uint16_t ask_to_rekey(struct world *w, uint8_t protocol, size_t spi_size, uint32_t spi)
{
	static const uint8_t public[32] = {9};
	static uint8_t nonce[32];
	const struct ike_tunnel_cfg *cfg = &A->cfg[0];
	uint8_t buf[IKE_MESSAGE_MAX], old[8] = {0}, ours[4] = {0x12, 0x34, 0x56, 0x78};
	const struct liar_payload *p;
	struct wr o = wr_of(old, sizeof(old));
	struct ike_builder b;

	wr_u32(&o, spi);
	nonce[0]++;
	ike_build_open_inner(&b, buf, sizeof(buf));
	ike_build_notify(&b, protocol, old, spi_size, IKE_N_REKEY_SA, NULL, 0);
	ike_build_sa(&b, IKE_PROTO_ESP, ours, 4, &cfg->esp_algs, false, IKE_DH_NONE);
	ike_build_nonce(&b, nonce, sizeof(nonce));
	ike_build_ke(&b, IKE_DH_CURVE25519, public, sizeof(public));
	ike_build_ts(&b, IKE_PL_TSI, cfg->local_ts, cfg->n_local_ts);
	ike_build_ts(&b, IKE_PL_TSR, cfg->remote_ts, cfg->n_remote_ts);
	must(w, liar_ask(w, &liar, 0, IKE_CREATE_CHILD_SA, &b), "no answer");
	if (liar_find(&liar.answer, IKE_PL_SA))
		return 0;
	p = liar_find(&liar.answer, IKE_PL_NOTIFY);
	assert_non_null(p);
	return (uint16_t)(p->body[2] << 8 | p->body[3]);
}

/* Requirements: CVE-2023-38710, RFC7296-2.25-not-found */
static void rekey_of_anything(void **state)
{
	static const uint8_t protocols[] = {0, IKE_PROTO_IKE, 2, IKE_PROTO_ESP, 4, 255};
	static const size_t sizes[] = {0, 4, 8};

	(void)state;
	for (size_t k = 0; k < sizeof(protocols) * 3 * 2; k++) {
		const uint8_t protocol = protocols[k / 6];
		const size_t size = sizes[k / 2 % 3];
		const bool known = k & 1, sound = protocol == IKE_PROTO_ESP && size == 4;
		struct world *w = connected_world(2000 + k);
		uint16_t answer;

		answer = ask_to_rekey(w, protocol, size,
				      known ? count_sas(A, 0).spi_in : 0xdeadbeef);
		if (sound && known)
			assert_int_equal(answer, 0);
		else if (sound)
			assert_int_equal(answer, IKE_N_CHILD_SA_NOT_FOUND);
		else if (answer == 0)
			fail_msg("protocol %u, SPI of %zu: taken for a rekey", protocol, size);
		assert_true(count_sas(B, 0).child <= 2);
		node_power_off(A); /* what the liar has agreed on nobody else knows */
		must(w, node_power_on(A), "no start");
		finish(w, "not settled");
	}
}

struct damage {
	uint8_t type;
	size_t cut; /* SIZE_MAX: change a byte instead */
	size_t at;
	uint8_t to;
};

static void damage_ts(struct liar_inner *in, const void *arg)
{
	const struct damage *d = arg;
	struct liar_payload *p = liar_find(in, d->type);

	assert_non_null(p);
	if (d->cut != SIZE_MAX)
		p->size = d->cut;
	else if (p->body[d->at] == d->to)
		p->body[d->at]++;
	else
		p->body[d->at] = d->to;
}

static void one_damage(const struct damage *d, uint8_t exchange)
{
	struct world *w = quiet_world(3000);
	const bool connecting = exchange == IKE_AUTH;
	uint64_t before;

	liar = (struct liar){
		.from = 0, .exchange = exchange, .times = connecting, .edit = damage_ts, .arg = d};
	liar_install(w, &liar);
	must(w, world_start(w), "no start");
	if (!connecting) {
		must(w, world_until(w, settled, span_s(10)), "not connected");
		liar.times = 1;
		node_event(A, IKE_EV_REKEY_CHILD, 0);
	}
	before = count(B, IKE_CNT_CHILD_REKEYED) + count(B, IKE_CNT_CHILD_ESTABLISHED);
	must(w, world_until(w, told, span_s(5)), "not told");
	world_run(w, span_ms(8));
	assert_true(liar.answered);
	if (d->cut != SIZE_MAX) {
		assert_non_null(liar_notify(&liar.answer, IKE_N_INVALID_SYNTAX));
		assert_int_equal(count(B, IKE_CNT_CHILD_REKEYED) +
					 count(B, IKE_CNT_CHILD_ESTABLISHED),
				 before);
	}
	finish(w, "not settled");
}

/* Requirements: CVE-2023-23009 */
static void malformed_selectors(void **state)
{
	static const uint8_t exchanges[] = {IKE_AUTH, IKE_CREATE_CHILD_SA};

	(void)state;
	/* number, reserved; type, protocol, length, ports, two addresses: 20 bytes */
	for (size_t i = 0; i < 2 * 2 * 20; i++) {
		const uint8_t type = i & 2 ? IKE_PL_TSR : IKE_PL_TSI;

		one_damage(&(struct damage){type, i / 4, 0, 0}, exchanges[i & 1]);
		one_damage(&(struct damage){type, SIZE_MAX, i / 4, i & 4 ? 0xff : 0},
			   exchanges[i & 1]);
	}
}

/* ------------------------------------------------------------------- deletes */

static void keep_payloads(struct liar_inner *in, const void *arg)
{
	*(struct liar_inner *)(uintptr_t)arg = *in;
}

/* Requirements: RFC7296-3.11-ike, RFC7296-3.11-spis */
static void what_deletes_say(void **state)
{
	static struct liar_inner seen;
	struct world *w = connected_world(4000);
	const uint32_t inbound = count_sas(A, 0).spi_in;
	const struct liar_payload *p;

	(void)state;
	liar = (struct liar){.from = 0,
			     .exchange = IKE_INFORMATIONAL,
			     .times = 1,
			     .edit = keep_payloads,
			     .arg = &seen};
	liar_install(w, &liar);
	node_event(A, IKE_EV_REKEY_CHILD, 0);
	must(w, world_until(w, told, span_s(10)), "no Delete");
	p = liar_find(&seen, IKE_PL_DELETE);
	assert_true(p && p->size == 8);
	assert_memory_equal(p->body, ((const uint8_t[]){IKE_PROTO_ESP, 4, 0, 1}), 4);
	assert_int_equal((uint32_t)p->body[4] << 24 | (uint32_t)p->body[5] << 16 |
				 (uint32_t)p->body[6] << 8 | p->body[7],
			 inbound);
	w->filter = NULL;
	world_run(w, span_s(10));

	liar.told = 0;
	liar.times = 1;
	liar_install(w, &liar);
	node_event(A, IKE_EV_TERMINATE, 0);
	must(w, world_until(w, told, span_s(10)), "no Delete");
	p = liar_find(&seen, IKE_PL_DELETE);
	assert_true(p && p->size == 4);
	assert_memory_equal(p->body, ((const uint8_t[]){IKE_PROTO_IKE, 0, 0, 0}), 4);
	world_fini(w);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_before_auth), cmocka_unit_test(each_subset_missing),
		cmocka_unit_test(each_payload_type),   cmocka_unit_test(rekey_of_anything),
		cmocka_unit_test(malformed_selectors), cmocka_unit_test(what_deletes_say),
	};

	return run_group("faults", tests, sizeof(tests) / sizeof(tests[0]), argc, argv);
}
