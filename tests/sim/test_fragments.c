/* SPDX-License-Identifier: Apache-2.0 */
/*
 * RFC 7383 between two cores: whole stories by small fragments over bad networks, and hostile
 * fragments from a peer that has the keys, one readable case for each rule.
 */
#include <stdlib.h>
#include <string.h>
#include "ike/ike_int.h"
#include "tests/sim/scenario.h"

#define SMALL 256 /* IP datagram: an IKE_AUTH with a shared key takes three or more */

static void long_identities(struct world *w, uint8_t size)
{
	for (int i = 0; i < 2; i++) {
		struct ike_tunnel_cfg *c = &w->node[i].cfg[0];

		c->local_id.size = c->remote_id.size = size;
		memset(c->local_id.data, 'a' + i, size);
		memset(c->remote_id.data, 'b' - i, size);
	}
}

static struct world *fresh(uint64_t seed, uint16_t a, uint16_t b)
{
	struct world *w = fresh_world(seed);

	w->esp_period_us = 20000;
	A->cfg[0].fragment_size = a;
	B->cfg[0].fragment_size = b;
	long_identities(w, 120);
	return w;
}

static void whole_story(struct world *w)
{
	must(w, world_until(w, settled, span_s(60)), "not settled");
	node_event(A, IKE_EV_REKEY_CHILD, 0);
	world_run(w, span_s(3));
	node_event(B, IKE_EV_REKEY_IKE, 0);
	world_run(w, span_s(3));
	node_event(B, IKE_EV_REKEY_CHILD, 0);
	world_run(w, span_s(14)); /* with a DPD exchange */
	must(w, world_until(w, settled, span_s(60)), "not settled after rekeys");
}

/* ------------------------------------------------------------------- all exchanges */

static struct {
	size_t longest, n_fragments, n_whole, init_fragments;
} seen;

static bool measure(struct world *w, int from, const uint8_t *data, size_t size)
{
	(void)w;
	(void)from;
	if (data[18] == IKE_SA_INIT) {
		seen.init_fragments += data[16] == IKE_PL_SKF;
	} else {
		if (size > seen.longest)
			seen.longest = size;
		seen.n_fragments += data[16] == IKE_PL_SKF;
		seen.n_whole += data[16] == IKE_PL_SK;
	}
	return false;
}

/* 2.5: what is longer goes in fragments, what fits goes whole; IKE_SA_INIT never (2.3). */
/* Requirements: RFC7383-2.3-init */
static void every_exchange(void **state)
{
	(void)state;
	for (uint64_t suite = 0; suite < 2; suite++) { /* AEAD, and CBC with its padding */
		struct world *w = fresh(1, SMALL, SMALL);

		if (suite)
			A->cfg[0].ike_algs.by_type[IKE_TRANSFORM_ENCR] =
				(struct ike_alg_list){1, {{IKE_ENCR_AES_CBC, 256}}};
		memset(&seen, 0, sizeof(seen));
		w->filter = measure;
		must(w, world_start(w), "no start");
		whole_story(w);
		assert_true(seen.longest <= SMALL - 28);
		assert_true(seen.longest > SMALL - 28 - 16);
		assert_true(seen.n_fragments >= 10);
		assert_true(seen.n_whole >= 2);
		assert_int_equal(seen.init_fragments, 0);
		assert_int_equal(A->n_down[0] + B->n_down[0], 0);
		assert_int_equal(count(A, IKE_CNT_TX_RETRANSMIT), 0);
		assert_int_equal(count(A, IKE_CNT_RX_FRAGMENT), 0);
		world_fini(w);
	}
}

/* 2.3: only where both said so; and the smaller of the two sizes after the first message. */
/* Requirements: RFC7383-2.3-both */
static void negotiation(void **state)
{
	static const struct {
		uint16_t a, b;
		bool any;
	} cases[] = {
		{0, SMALL, false}, {SMALL, 0, false}, {SMALL, 1280, true}, {1280, SMALL, true}};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct world *w = fresh(2, cases[i].a, cases[i].b);

		memset(&seen, 0, sizeof(seen));
		w->filter = measure;
		must(w, world_start(w), "no start");
		whole_story(w);
		assert_int_equal(seen.n_fragments > 0, cases[i].any);
		world_fini(w);
	}
}

/* --------------------------------------------------------------------- bad networks */

/* Each datagram of the story in turn, so each fragment n of m of every message. */
static void each_fragment_lost(void **state)
{
	(void)state;
	for (uint64_t lost = 3; lost <= 24; lost++) {
		struct world *w = fresh(lost, SMALL, SMALL);

		w->drop_ike = lost;
		must(w, world_start(w), "no start");
		whole_story(w);
		assert_int_equal(count(A, IKE_CNT_IKE_ESTABLISHED), 1);
		assert_int_equal(A->n_down[0] + B->n_down[0], 0);
		world_fini(w);
	}
}

static void disorder(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 8; seed++) {
		struct world *w = fresh(seed, SMALL, SMALL);

		w->faults.duplicate = seed & 1 ? 100 : 30;
		w->faults.jitter_us = 80000;
		w->faults.loss = seed & 2 ? 15 : 0;
		must(w, world_start(w), "no start");
		must(w, world_until(w, both_up, span_s(60)), "not up");
		node_event(A, IKE_EV_REKEY_CHILD, 0);
		world_run(w, span_s(3));
		node_event(B, IKE_EV_REKEY_IKE, 0);
		world_run(w, span_s(20));
		w->faults.loss = w->faults.duplicate = 0;
		must(w, world_until(w, settled, span_s(165)), "not settled");
		world_fini(w);
	}
}

/* 2.5.2: a path that takes less than we thought is found by repeating in smaller fragments. */
static void narrow_path(void **state)
{
	static const struct {
		uint16_t a, b;
		size_t mtu;
	} cases[] = {
		{1280, 1280, 600},  /* unfragmented first */
		{2000, 2000, 600},  /* two steps down */
		{1280, 4000, 600},  /* the responder's response is too long for the path */
		{2000, 2000, 1000}, /* ends at 576 as well */
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct world *w = fresh(i, cases[i].a, cases[i].b);

		long_identities(w, 250);
		w->faults.mtu = cases[i].mtu;
		must(w, world_start(w), "no start");
		must(w, world_until(w, settled, span_s(16)), "not settled");
		assert_int_equal(count(A, IKE_CNT_IKE_ESTABLISHED), 1);
		/* What was learnt stays with the line. */
		node_event(A, IKE_EV_REKEY_IKE, 0);
		world_run(w, span_s(2));
		must(w, world_until(w, settled, span_s(10)), "not settled");
		world_fini(w);
	}
}

/* ------------------------------------------------------------------ a lying peer */

/* IKE_AUTH in fragments as A sends it, all of them kept from B. */
#define MAX_TAKEN 40
static struct taken {
	size_t n;
	size_t size[MAX_TAKEN];
	uint8_t data[MAX_TAKEN][2000];
	int from;
	bool response;
	uint8_t exchange;
} taken;

static bool take(struct world *w, int from, const uint8_t *data, size_t size)
{
	(void)w;
	if (from != taken.from || data[18] != taken.exchange ||
	    taken.response != !!(data[19] & IKE_FLAG_RESPONSE))
		return false;
	if (taken.n < MAX_TAKEN && size <= sizeof(taken.data[0])) {
		taken.size[taken.n] = size;
		memcpy(taken.data[taken.n++], data, size);
	}
	return true;
}

static bool enough_taken(struct world *w)
{
	(void)w;
	return taken.n >= (taken.response ? 2 : 3);
}

/* A world in which A's request of that exchange waits in `taken`. */
static struct world *held_back(uint16_t size)
{
	struct world *w = fresh(11, size, SMALL);

	w->esp_period_us = 0;
	memset(&taken, 0, sizeof(taken));
	taken.exchange = IKE_AUTH;
	w->filter = take;
	must(w, world_start(w), "no start");
	must(w, world_until(w, enough_taken, span_s(5)), "nothing sent");
	return w;
}

static struct ike_sa *sa_of(struct sim_node *n)
{
	struct ike_sa *sa = TAILQ_FIRST(&n->ike->half_open);
	struct ike_tunnel *t = ike_tunnel_find(n->ike, 0);

	return sa ? sa : TAILQ_FIRST(&t->sas);
}

/* Gives B a datagram of A's; how many go out in answer. */
static unsigned give(struct world *w, const uint8_t *data, size_t size)
{
	struct ike_event ev = {.type = IKE_EV_PACKET, .now = w->now};
	uint8_t *exact = malloc(size);
	unsigned sent = 0;

	assert_non_null(exact);
	memcpy(exact, data, size);
	ev.packet.local = (struct ip_endpoint){B->addr, IKE_PORT};
	ev.packet.remote = (struct ip_endpoint){A->addr, IKE_PORT};
	ev.packet.data = exact;
	ev.packet.size = size;
	ike_step(B->ike, &ev, &B->out);
	for (size_t i = 0; i < B->out.n; i++)
		sent += B->out.actions[i].type == IKE_ACT_SEND;
	free(exact);
	/* Carries the actions out. */
	ev = (struct ike_event){.type = IKE_EV_TICK, .now = w->now};
	node_step(B, &ev);
	return sent;
}

/* An authentic fragment that says whatever we like. */
static size_t forge(struct world *w, uint32_t mid, uint8_t next, uint16_t number, uint16_t total,
		    const uint8_t *content, size_t size, uint8_t out[2000])
{
	static uint64_t iv = 1ull << 60;
	struct ike_sa *sa = sa_of(A);
	const struct ike_sk_dir k = ike_sa_tx_keys(sa);
	const size_t key_size = sa->suite.encr_key_bits / 8u, iv_at = 28 + 8;
	const struct ike_header h = {
		.spi_i = sa->spi_i,
		.spi_r = sa->spi_r,
		.next_payload = IKE_PL_SKF,
		.version = IKE_VERSION_2,
		.exchange = IKE_AUTH,
		.flags = IKE_FLAG_INITIATOR,
		.message_id = mid,
		.length = (uint32_t)(iv_at + 8 + size + 1 + 16),
	};
	struct wr o = wr_of(out, 2000);
	uint8_t nonce[12];

	ike_header_build(&o, &h);
	wr_u8(&o, next);
	wr_u8(&o, 0);
	wr_u16(&o, (uint16_t)(h.length - 28));
	wr_u16(&o, number);
	wr_u16(&o, total);
	wr_u64(&o, iv++);
	wr_bytes(&o, content, size);
	wr_zero(&o, 1 + 16);
	assert_true(wr_ok(&o));
	memcpy(nonce, secret_data(k.e) + key_size, 4);
	memcpy(nonce + 4, out + iv_at, 8);
	assert_true(sa->ike->crypto.aead_seal(
		sa->ike->crypto.ctx, (enum ike_encr)sa->suite.encr, secret_data(k.e), key_size,
		nonce, out, iv_at, out + iv_at + 8, size + 1, out + iv_at + 8 + size + 1));
	return h.length;
}

static unsigned give_forged(struct world *w, uint32_t mid, uint8_t next, uint16_t number,
			    uint16_t total, const void *content, size_t size)
{
	uint8_t data[2000];

	return give(w, data, forge(w, mid, next, number, total, content, size, data));
}

static size_t n_of_request(void)
{
	return (size_t)taken.data[0][34] << 8 | taken.data[0][35];
}

static void give_all(struct world *w)
{
	for (size_t i = 0; i < n_of_request(); i++)
		give(w, taken.data[i], taken.size[i]);
}

static void must_come_up(struct world *w)
{
	w->filter = NULL;
	must(w, world_until(w, settled, span_s(165)), "not settled");
	assert_int_equal(count(B, IKE_CNT_IKE_ESTABLISHED), 1);
	assert_int_equal(count(B, IKE_CNT_AUTH_FAILED), 0);
	world_fini(w);
}

/* 2.6: "verify authenticity", then store; a forged one neither completes nor displaces anything. */
/* Requirements: RFC7383-2.6-icv */
static void wrong_icv(void **state)
{
	struct world *w = held_back(SMALL);
	uint64_t refused;

	(void)state;
	for (size_t i = 0; i < n_of_request(); i++) {
		uint8_t bad[2000];

		memcpy(bad, taken.data[i], taken.size[i]);
		bad[taken.size[i] - 1] ^= 1;
		refused = count(B, IKE_CNT_RX_ICV);
		give(w, bad, taken.size[i]);
		assert_int_equal(count(B, IKE_CNT_RX_ICV), refused + 1);
		give(w, taken.data[i], taken.size[i]);
	}
	must_come_up(w);
}

/* 2.5: the numbers are covered by the ICV. */
static void renumbered(void **state)
{
	struct world *w = held_back(SMALL);
	uint8_t bad[2000];

	(void)state;
	memcpy(bad, taken.data[0], taken.size[0]);
	bad[33] = 2;
	give(w, bad, taken.size[0]);
	assert_int_equal(count(B, IKE_CNT_RX_ICV), 1);
	give_all(w);
	must_come_up(w);
}

/* 2.6: "considered a replay and MUST be silently discarded". */
static void replayed(void **state)
{
	struct world *w = held_back(SMALL);

	(void)state;
	for (unsigned i = 0; i < 100; i++)
		assert_int_equal(give(w, taken.data[0], taken.size[0]), 0);
	assert_int_equal(count(B, IKE_CNT_RX_FRAGMENT), 99);
	assert_int_equal(B->ike->half_open_bytes > 0, 1);
	assert_true(B->ike->half_open_bytes < SMALL);
	give_all(w);
	assert_int_equal(B->ike->half_open_bytes, 0);
	must_come_up(w);
}

/* 2.5: 1 <= number <= total, whoever says it. */
static unsigned n_opened;
static struct ike_crypto true_crypto;

static bool counted_open(void *ctx, enum ike_encr encr, const uint8_t *key, size_t key_size,
			 const uint8_t nonce[12], const uint8_t *aad, size_t aad_size,
			 uint8_t *data, size_t size, const uint8_t *tag)
{
	n_opened++;
	return true_crypto.aead_open(ctx, encr, key, key_size, nonce, aad, aad_size, data, size,
				     tag);
}

/* Each fragment is decrypted once, and what comes again costs nothing but a look at its header. */
/* Requirements: CVE-2016-10396 */
static void work_is_bounded(void **state)
{
	struct world *w = held_back(SMALL);

	(void)state;
	true_crypto = B->ike->crypto;
	B->ike->crypto.aead_open = counted_open;
	n_opened = 0;
	for (uint16_t i = 1; i < IKE_FRAGMENTS_TAKEN; i++) {
		for (unsigned again = 0; again < 20; again++)
			give_forged(w, 1, IKE_PL_IDI, i, IKE_FRAGMENTS_TAKEN, "abc", 3);
	}
	assert_int_equal(n_opened, IKE_FRAGMENTS_TAKEN - 1);
	give_forged(w, 1, IKE_PL_IDI, 1, IKE_FRAGMENTS_TAKEN + 1, "abc", 3);
	assert_int_equal(n_opened, IKE_FRAGMENTS_TAKEN - 1);
	w->filter = NULL;
	must(w, world_until(w, settled, span_s(165)), "not settled");
	world_fini(w);
}

/* Requirements: RFC7383-2.5-numbers */
static void impossible_numbers(void **state)
{
	static const uint16_t cases[][2] = {{0, 0},
					    {0, 3},
					    {4, 3},
					    {65535, 3},
					    {1, 0},
					    {1, 65535},
					    {1, IKE_FRAGMENTS_TAKEN + 1}};
	struct world *w = held_back(SMALL);

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		give_forged(w, 1, IKE_PL_IDI, cases[i][0], cases[i][1], "abc", 3);
		assert_null(sa_of(B)->rx_request);
	}
	give_all(w);
	must_come_up(w);
}

/* 2.6: a larger total starts anew, a smaller one is of the past. */
/* Requirements: RFC7383-2.6-totals */
static void totals(void **state)
{
	struct world *w = held_back(SMALL);
	const uint16_t n = (uint16_t)n_of_request();
	uint64_t refused;

	(void)state;
	give(w, taken.data[0], taken.size[0]);
	refused = count(B, IKE_CNT_RX_FRAGMENT);
	give_forged(w, 1, IKE_PL_IDI, 1, (uint16_t)(n - 1), "abc", 3);
	assert_int_equal(count(B, IKE_CNT_RX_FRAGMENT), refused + 1);
	/* A larger one: what came before is gone, and the smaller total is what is stale now. */
	give_forged(w, 1, IKE_PL_IDI, 2, (uint16_t)(n + 1), "abc", 3);
	assert_int_equal(B->ike->half_open_bytes, 3);
	for (size_t i = 0; i < n; i++)
		give(w, taken.data[i], taken.size[i]);
	assert_int_equal(B->ike->half_open_bytes, 3);
	assert_int_equal(sa_of(B)->rx_mid, 1);
	/* Time heals it: what is never completed goes, and the peer is still repeating. */
	w->filter = NULL;
	must(w, world_until(w, settled, span_s(165)), "not settled");
	world_fini(w);
}

/* 2.5: the first payload's type is fragment 1's to say, whatever arrives first. */
static void next_payload_order(bool backwards)
{
	struct world *w = held_back(SMALL);
	uint8_t plain[2000];
	struct ike_msg m;
	struct rd inner;
	struct wr all = wr_of(plain, sizeof(plain));

	for (size_t i = 0; i < n_of_request(); i++) {
		uint8_t piece[2000];

		assert_int_equal(ike_msg_parse(taken.data[i], taken.size[i], &m), IKE_OK);
		assert_int_equal(m.sk_next_payload, i ? IKE_PL_NONE : IKE_PL_IDI);
		assert_int_equal(ike_sk_open(&A->ike->crypto, &sa_of(A)->suite,
					     ike_sa_tx_keys(sa_of(A)), taken.data[i], taken.size[i],
					     &m, piece, sizeof(piece), &inner),
				 IKE_OK);
		wr_bytes(&all, inner.p, inner.size);
	}
	for (int i = 0; i < 3; i++) {
		static const uint8_t says[] = {IKE_PL_IDI, IKE_PL_EAP, IKE_PL_DELETE};
		const int n = backwards ? 2 - i : i;

		give_forged(w, 1, says[n], (uint16_t)(n + 1), 3, plain + 100 * n,
			    n == 2 ? all.n - 200 : 100);
	}
	assert_int_equal(sa_of(B)->state, IKE_ST_VERIFY);
	must_come_up(w);
}

/* Requirements: RFC7383-2.5-next-payload */
static void next_payload(void **state)
{
	(void)state;
	next_payload_order(false);
	next_payload_order(true);
}

/* Bounds: bytes of one message, time. */
/* Requirements: CVE-2026-12413 */
static void bounded(void **state)
{
	struct world *w = held_back(SMALL);
	static const uint8_t junk[1500];

	(void)state;
	for (uint16_t i = 1; i <= 11; i++)
		give_forged(w, 1, IKE_PL_IDI, i, 20, junk, sizeof(junk));
	assert_true(B->ike->half_open_bytes == 0 || B->ike->half_open_bytes <= IKE_MESSAGE_MAX);
	for (uint16_t i = 12; i <= 20; i++)
		give_forged(w, 1, IKE_PL_IDI, i, 20, junk, sizeof(junk));
	assert_true(B->ike->half_open_bytes <= IKE_MESSAGE_MAX);
	assert_true(count(B, IKE_CNT_RX_FRAGMENT) >= 1);
	node_power_off(A);
	world_run(w, span_s(40));
	assert_int_equal(B->ike->half_open_bytes, 0);
	assert_int_equal(count_sas(B, 0).ike, 0);
	node_power_on(A);
	must_come_up(w);
}

/* 2.6: what does not become complete in time is discarded, on an SA that stands as well. */
static void lifetime(void **state)
{
	struct world *w = fresh(12, SMALL, SMALL);
	uint8_t data[2000];
	struct ike_sa *sa;
	size_t size;

	(void)state;
	must(w, world_start(w), "no start");
	must(w, world_until(w, settled, span_s(5)), "not settled");
	sa = sa_of(B);
	size = forge(w, sa->rx_mid, IKE_PL_NOTIFY, 1, 2, (const uint8_t *)"x", 1, data);
	give(w, data, size);
	assert_non_null(sa->rx_request);
	A->cfg[0].dpd_interval = B->cfg[0].dpd_interval = span_s(60);
	world_run(w, span_s(31));
	assert_non_null(sa->rx_request);
	world_run(w, span_s(1));
	assert_null(sa->rx_request);
	assert_int_equal(count(B, IKE_CNT_RX_REASSEMBLY_TIMEOUT), 1);
	world_fini(w);
}

/* 2.6.1: fragment 1 of a request that was answered brings the same response; others nothing. */
/* Requirements: RFC7383-2.6.1-first */
static void repeated_request(void **state)
{
	struct world *w = held_back(SMALL);
	struct taken request = taken, first;
	size_t n = n_of_request(), answers;

	(void)state;
	taken = (struct taken){.exchange = IKE_AUTH, .response = true, .from = 1};
	for (size_t i = 0; i < n; i++)
		give(w, request.data[i], request.size[i]);
	must(w, world_until(w, enough_taken, span_s(1)), "no response");
	first = taken;
	answers = first.n;
	taken.n = 0;
	for (size_t i = 1; i < n; i++)
		assert_int_equal(give(w, request.data[i], request.size[i]), 0);
	assert_int_equal(taken.n, 0);
	assert_int_equal(give(w, request.data[0], request.size[0]), answers);
	assert_int_equal(taken.n, answers);
	for (size_t i = 0; i < answers; i++) {
		assert_int_equal(taken.size[i], first.size[i]);
		assert_memory_equal(taken.data[i], first.data[i], first.size[i]);
	}
	must_come_up(w);
}

/* The whole message between its own fragments: it counts once. */
static void mixed(void **state)
{
	struct world *w = held_back(SMALL);
	uint8_t plain[2000], msg[2000];
	uint64_t iv = 1ull << 61;
	struct wr all = wr_of(plain, sizeof(plain));
	struct ike_header h;
	size_t size;

	(void)state;
	for (size_t i = 0; i < n_of_request(); i++) {
		uint8_t piece[2000];
		struct ike_msg m;
		struct rd inner;

		assert_int_equal(ike_msg_parse(taken.data[i], taken.size[i], &m), IKE_OK);
		assert_int_equal(ike_sk_open(&A->ike->crypto, &sa_of(A)->suite,
					     ike_sa_tx_keys(sa_of(A)), taken.data[i], taken.size[i],
					     &m, piece, sizeof(piece), &inner),
				 IKE_OK);
		wr_bytes(&all, inner.p, inner.size);
	}
	assert_int_equal(ike_header_parse(taken.data[0], taken.size[0], &h), IKE_OK);
	size = ike_sk_seal(&A->ike->crypto, &sa_of(A)->suite, ike_sa_tx_keys(sa_of(A)), &iv, &h,
			   IKE_PL_IDI, plain, all.n, msg, sizeof(msg));
	give(w, taken.data[0], taken.size[0]);
	give(w, msg, size);
	for (size_t i = 1; i < n_of_request(); i++)
		give(w, taken.data[i], taken.size[i]);
	give(w, msg, size);
	must_come_up(w);
}

/* Message ids that are not due, and an SA that did not agree to fragments. */
static void not_wanted(void **state)
{
	static const uint32_t mids[] = {0, 2, 3, UINT32_MAX};
	struct world *w = held_back(SMALL);

	(void)state;
	for (size_t i = 0; i < sizeof(mids) / sizeof(mids[0]); i++) {
		give_forged(w, mids[i], IKE_PL_IDI, 1, 3, "abc", 3);
		give_forged(w, mids[i], IKE_PL_IDI, 2, 3, "abc", 3);
		assert_null(sa_of(B)->rx_request);
	}
	sa_of(B)->fragment_size = 0;
	give(w, taken.data[0], taken.size[0]);
	assert_null(sa_of(B)->rx_request);
	assert_int_equal(count(B, IKE_CNT_RX_STATE), 1);
	sa_of(B)->fragment_size = SMALL;
	give_all(w);
	must_come_up(w);
}

/* 2.3, 2.5: IKE_SA_INIT is not protected, so it has no fragments. */
/* Requirements: RFC7383-2.3-init */
static void init_in_fragments(void **state)
{
	struct world *w = held_back(SMALL);
	uint8_t data[2000];
	size_t size = forge(w, 0, IKE_PL_SA, 1, 1, (const uint8_t *)"abc", 3, data);

	(void)state;
	memset(data + 8, 0, 8);
	data[18] = IKE_SA_INIT;
	data[0] ^= 1;
	assert_int_equal(give(w, data, size), 0);
	assert_int_equal(count(B, IKE_CNT_RX_SYNTAX), 1);
	give_all(w);
	must_come_up(w);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_exchange),
		cmocka_unit_test(negotiation),
		cmocka_unit_test(each_fragment_lost),
		cmocka_unit_test(disorder),
		cmocka_unit_test(narrow_path),
		cmocka_unit_test(wrong_icv),
		cmocka_unit_test(renumbered),
		cmocka_unit_test(replayed),
		cmocka_unit_test(work_is_bounded),
		cmocka_unit_test(impossible_numbers),
		cmocka_unit_test(totals),
		cmocka_unit_test(next_payload),
		cmocka_unit_test(bounded),
		cmocka_unit_test(lifetime),
		cmocka_unit_test(repeated_request),
		cmocka_unit_test(mixed),
		cmocka_unit_test(not_wanted),
		cmocka_unit_test(init_in_fragments),
	};

	return run_group("fragments", tests, sizeof(tests) / sizeof(tests[0]), argc, argv);
}
