/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Several key exchanges (RFC 9370) between two cores: by IKE_INTERMEDIATE (RFC 9242) before IKE_AUTH,
 * by IKE_FOLLOWUP_KE after CREATE_CHILD_SA; with groups, and with a stand-in for a KEM, whose values
 * have the sizes of ML-KEM-768.
 */
#include <string.h>
#include "ike/ike_int.h"
#include "tests/sim/liar.h"
#include "tests/sim/scenario.h"

static void only(struct ike_algs *algs, uint8_t k, uint16_t method)
{
	algs->by_type[IKE_TRANSFORM_ADDKE1 + k].n = 0;
	ike_algs_add(algs, IKE_TRANSFORM_ADDKE1 + k, method, 0);
}

/* Each tunnel's suites with these additional methods, for IKE and ESP alike. */
static struct world *fresh(uint64_t seed, uint16_t one, uint16_t two, uint16_t three,
			   uint16_t datagram)
{
	struct world *w = fresh_world(seed);
	const uint16_t methods[] = {one, two, three};

	w->esp_period_us = 20000;
	for (int i = 0; i < SIM_NODES; i++) {
		struct ike_tunnel_cfg *c = &w->node[i].cfg[0];

		c->fragment_size = datagram;
		for (uint8_t k = 0; k < IKE_MAX_AKE; k++) {
			if (!methods[k])
				continue;
			only(&c->ike_algs, k, methods[k]);
			only(&c->esp_algs, k, methods[k]);
		}
	}
	return w;
}

/* ------------------------------------------------------------------------ stories */

static unsigned n_messages[256]; /* requests by exchange, without their repetitions */

static bool tally(struct world *w, int from, const uint8_t *data, size_t size)
{
	(void)w;
	(void)from;
	(void)size;
	if (!(data[19] & IKE_FLAG_RESPONSE) &&
	    (data[16] != IKE_PL_SKF || (data[32] == 0 && data[33] == 1)))
		n_messages[data[18]]++;
	return false;
}

static void whole_story(struct world *w)
{
	must(w, world_until(w, settled, span_s(60)), "not settled");
	node_event(A, IKE_EV_REKEY_CHILD, 0);
	world_run(w, span_s(3));
	node_event(B, IKE_EV_REKEY_IKE, 0);
	world_run(w, span_s(3));
	node_event(B, IKE_EV_REKEY_CHILD, 0);
	world_run(w, span_s(3));
	node_event(A, IKE_EV_REKEY_IKE, 0);
	world_run(w, span_s(3));
	must(w, world_until(w, settled, span_s(60)), "not settled after rekeys");
}

/* Makes an unknown status notify of INTERMEDIATE_EXCHANGE_SUPPORTED on the way. */
static bool silence(struct world *w, int from, const uint8_t *data, size_t size)
{
	uint8_t *p = (uint8_t *)(uintptr_t)data;

	(void)w;
	if (from != 0 || data[18] != IKE_SA_INIT)
		return false;
	for (size_t i = 28; i + 1 < size; i++) {
		if (p[i] << 8 == (IKE_N_INTERMEDIATE_EXCHANGE_SUPPORTED & 0xff00) &&
		    p[i + 1] == (IKE_N_INTERMEDIATE_EXCHANGE_SUPPORTED & 0xff))
			p[i] = 0xff;
	}
	return false;
}

/* RFC 9370 2.2.1: a peer that does not announce IKE_INTERMEDIATE gets a suite without, or none. */
static void not_announced(void **state)
{
	(void)state;
	for (int required = 0; required < 2; required++) {
		struct world *w = fresh(7, IKE_DH_ECP_256, 0, 0, 1280);
		struct ike_algs *b = &B->cfg[0].ike_algs;

		ike_algs_add(&A->cfg[0].ike_algs, IKE_TRANSFORM_ADDKE1, IKE_DH_NONE, 0);
		if (!required)
			ike_algs_add(b, IKE_TRANSFORM_ADDKE1, IKE_DH_NONE, 0);
		w->filter = silence;
		must(w, world_start(w), "no start");
		world_run(w, span_s(3));
		assert_int_equal(count(B, IKE_CNT_NO_PROPOSAL) > 0, required);
		/* What it chose then can be carried out: IKE_AUTH comes, and fails by the changed octets. */
		assert_int_equal(count(B, IKE_CNT_AUTH_FAILED) > 0, !required);
		world_fini(w);
	}
}

static void groups(void **state)
{
	static const struct {
		uint16_t ake[3];
		unsigned n;
	} cases[] = {
		{{IKE_DH_ECP_256, 0, 0}, 1},
		{{IKE_DH_ECP_256, IKE_DH_ECP_384, IKE_DH_MODP_2048}, 3},
		{{0, IKE_DH_MODP_2048, 0}, 1}, /* the transform types need not be without gaps */
		{{IKE_DH_MODP_2048, 0, IKE_DH_ECP_521}, 2},
		{{IKE_DH_CURVE448, IKE_DH_ECP_256, 0}, 2},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct world *w = fresh(i, cases[i].ake[0], cases[i].ake[1], cases[i].ake[2],
					i & 1 ? 256 : 1280);
		struct sim_count c;

		memset(n_messages, 0, sizeof(n_messages));
		w->filter = tally;
		must(w, world_start(w), "no start");
		whole_story(w);
		assert_int_equal(n_messages[IKE_INTERMEDIATE], cases[i].n);
		assert_int_equal(n_messages[IKE_FOLLOWUP_KE], 4 * cases[i].n);
		c = count_sas(A, 0);
		assert_memory_equal(c.ike_suite.ake, cases[i].ake, sizeof(cases[i].ake));
		assert_memory_equal(c.esp_suite.ake, cases[i].ake, sizeof(cases[i].ake));
		assert_int_equal(A->n_down[0] + B->n_down[0], 0);
		assert_int_equal(count(A, IKE_CNT_CHILD_REKEYED), 2);
		assert_int_equal(count(B, IKE_CNT_IKE_REKEYED), 2);
		assert_true(A->n_esp_sent - B->n_esp_received <= 2);
		world_fini(w);
	}
}

/* Values of 1,184 and 1,088 bytes, in fragments of several sizes and over a path of 600 bytes. */
static void kem(void **state)
{
	static const struct {
		uint16_t datagram;
		size_t mtu;
	} cases[] = {{1280, 0}, {576, 0}, {300, 0}, {1280, 600}};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct world *w =
			fresh(20 + i, IKE_DH_ML_KEM_768, IKE_DH_ECP_384, 0, cases[i].datagram);

		w->faults.mtu = cases[i].mtu;
		A->kem = B->kem = SIM_KEM_FAKE;
		must(w, world_start(w), "no start");
		whole_story(w);
		assert_int_equal(count(B, IKE_CNT_IKE_ESTABLISHED), 1);
		assert_int_equal(count_sas(A, 0).ike_suite.ake[0], IKE_DH_ML_KEM_768);
		world_fini(w);
	}
}

/* Every datagram in turn: each request and response, so also requests under keys of the past. */
static void each_lost(void **state)
{
	(void)state;
	for (uint64_t lost = 1; lost <= 34; lost++) {
		struct world *w =
			fresh(lost, IKE_DH_ECP_256, 0, IKE_DH_ECP_384, lost & 1 ? 256 : 1280);

		w->drop_ike = lost;
		must(w, world_start(w), "no start");
		whole_story(w);
		assert_int_equal(count(A, IKE_CNT_IKE_ESTABLISHED), 1);
		assert_int_equal(A->n_down[0] + B->n_down[0], 0);
		world_fini(w);
	}
}

static void bad_network(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 8; seed++) {
		struct world *w =
			fresh(seed, IKE_DH_ECP_256, IKE_DH_ECP_384, 0, seed & 1 ? 256 : 1280);

		w->faults.duplicate = seed & 2 ? 100 : 20;
		w->faults.jitter_us = 50000;
		w->faults.loss = seed & 4 ? 15 : 0;
		must(w, world_start(w), "no start");
		must(w, world_until(w, both_up, span_s(60)), "not up");
		for (int i = 0; i < 6; i++) {
			node_event(i & 1 ? A : B, i & 2 ? IKE_EV_REKEY_CHILD : IKE_EV_REKEY_IKE, 0);
			node_event(i & 1 ? B : A, i & 4 ? IKE_EV_REKEY_CHILD : IKE_EV_REKEY_IKE, 0);
			world_run(w, span_s(4));
		}
		w->faults.loss = w->faults.duplicate = 0;
		must(w, world_until(w, settled, span_s(165)), "not settled");
		world_fini(w);
	}
}

/* RFC 9370 2.2.4 with RFC 7296 2.8: both begin at once, at every distance between the two. */
static void collisions(void **state)
{
	static const enum ike_event_type what[][2] = {
		{IKE_EV_REKEY_CHILD, IKE_EV_REKEY_CHILD},
		{IKE_EV_REKEY_IKE, IKE_EV_REKEY_IKE},
		{IKE_EV_REKEY_CHILD, IKE_EV_REKEY_IKE},
	};

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		for (unsigned apart = 0; apart <= 9; apart++) {
			struct world *w = fresh(apart, IKE_DH_ECP_256, IKE_DH_ECP_384, 0, 1280);

			must(w, world_start(w), "no start");
			must(w, world_until(w, settled, span_s(10)), "not settled");
			world_run(w, span_s(2));
			node_event(A, what[i][0], 0);
			world_run(w, span_us(apart * 700));
			node_event(B, what[i][1], 0);
			world_run(w, span_s(30));
			must(w, world_until(w, settled, span_s(60)), "not settled");
			assert_int_equal(A->n_down[0] + B->n_down[0], 0);
			assert_null(TAILQ_FIRST(&ike_tunnel_find(A->ike, 0)->sas)->follow);
			world_fini(w);
		}
	}
}

/* One end wants more than the other has: without where it may, not at all where it must. */
static void one_sided(void **state)
{
	struct world *w;

	(void)state;
	for (int must_have = 0; must_have < 2; must_have++) {
		w = fresh(30, 0, 0, 0, 1280);
		only(&A->cfg[0].ike_algs, 0, IKE_DH_ECP_256);
		if (!must_have)
			ike_algs_add(&A->cfg[0].ike_algs, IKE_TRANSFORM_ADDKE1, IKE_DH_NONE, 0);
		must(w, world_start(w), "no start");
		assert_int_equal(world_until(w, settled, span_s(10)), !must_have);
		assert_int_equal(w->failure[0], 0);
		world_fini(w);
	}
}

/* -------------------------------------------------------------------- lying peers */

static bool no_notify(struct world *w, int from, const uint8_t *data, size_t size)
{
	(void)w;
	(void)from;
	(void)data;
	(void)size;
	return false;
}

static struct ike_sa *sa_of(struct sim_node *n)
{
	struct ike_sa *sa = TAILQ_FIRST(&n->ike->half_open);

	return sa ? sa : TAILQ_FIRST(&ike_tunnel_find(n->ike, 0)->sas);
}

/* IntAuth covers both directions: who changes a byte of it is not believed (RFC 9242 3.3.2). */
static bool corrupt_chain(struct world *w, int from, const uint8_t *data, size_t size)
{
	(void)size;
	if (from == 0 && data[18] == IKE_AUTH && sa_of(B)->hs)
		((uint8_t *)w->filter_ctx)[0] ^= 1;
	return false;
}

static void int_auth_is_checked(void **state)
{
	(void)state;
	for (int which = 0; which < 2; which++) {
		struct world *w = fresh(40, IKE_DH_ECP_256, 0, 0, 1280);
		unsigned i;

		must(w, world_start(w), "no start");
		w->filter = corrupt_chain;
		/* B's memory of what was said stands for messages that were not the same. */
		for (i = 0; i < 1000 && !(sa_of(B) && sa_of(B)->hs && sa_of(B)->hs->n_intermediate);
		     i++)
			world_run(w, span_us(100));
		assert_true(i < 1000);
		w->filter_ctx = which ? sa_of(B)->hs->int_auth_r : sa_of(B)->hs->int_auth_i;
		world_run(w, span_ms(20));
		assert_true(count(B, IKE_CNT_AUTH_FAILED) > 0);
		w->filter = no_notify;
		world_fini(w);
	}
}

/* IKE_AUTH before the key exchanges that were agreed on are done (RFC 9370 2.2.2). */
static void auth_too_early(void **state)
{
	struct world *w = fresh(41, 0, 0, 0, 1280);

	(void)state;
	must(w, world_start(w), "no start");
	while (!TAILQ_FIRST(&B->ike->half_open))
		world_run(w, span_us(100));
	/* As if A had agreed to more than it does. */
	sa_of(B)->suite.ake[0] = IKE_DH_ECP_256;
	world_run(w, span_ms(50));
	assert_int_equal(count(B, IKE_CNT_RX_SYNTAX), 1);
	assert_int_equal(count(B, IKE_CNT_IKE_ESTABLISHED), 0);
	must(w, world_until(w, settled, span_s(165)), "not settled");
	world_fini(w);
}

static bool ask_followup(struct world *w, struct liar *l, const uint8_t *link, size_t size)
{
	uint8_t buf[600], value[IKE_DH_MAX];
	struct ike_dh_key *key;
	struct ike_builder b;
	size_t n;

	key = ike_ke_new(A->ike, IKE_DH_ECP_256, value, &n);
	A->ike->crypto.dh_free(A->ike->crypto.ctx, key);
	ike_build_open_inner(&b, buf, sizeof(buf));
	ike_build_ke(&b, IKE_DH_ECP_256, value, n);
	if (link)
		ike_build_notify(&b, 0, NULL, 0, IKE_N_ADDITIONAL_KEY_EXCHANGE, link, size);
	return liar_ask(w, l, 0, IKE_FOLLOWUP_KE, &b);
}

/* RFC 9370 2.2.4: STATE_NOT_FOUND for what was never begun, and for a link that is not ours. */
static void unknown_state(void **state)
{
	static const uint8_t link[40] = {1, 2, 3};
	struct world *w = fresh(42, IKE_DH_ECP_256, 0, 0, 1280);
	struct liar liar;

	(void)state;
	must(w, world_start(w), "no start");
	must(w, world_until(w, settled, span_s(10)), "not settled");
	assert_true(ask_followup(w, &liar, link, 16));
	assert_non_null(liar_notify(&liar.answer, IKE_N_STATE_NOT_FOUND));
	assert_true(ask_followup(w, &liar, link, 40));
	assert_non_null(liar_notify(&liar.answer, IKE_N_STATE_NOT_FOUND));
	assert_true(ask_followup(w, &liar, NULL, 0));
	assert_non_null(liar_notify(&liar.answer, IKE_N_STATE_NOT_FOUND));
	w->filter = NULL;
	whole_story(w);
	world_fini(w);
}

static bool drop_followup(struct world *w, int from, const uint8_t *data, size_t size)
{
	(void)w;
	(void)from;
	(void)size;
	return data[18] == IKE_FOLLOWUP_KE;
}

/* A responder's state ends with time, and its slot and SPI with it. */
static void given_up(void **state)
{
	struct world *w = fresh(43, IKE_DH_ECP_256, 0, 0, 1280);
	struct ike_sa *sa;
	uint32_t free_before;

	(void)state;
	must(w, world_start(w), "no start");
	must(w, world_until(w, settled, span_s(10)), "not settled");
	A->cfg[0].dpd_action = IKE_DPD_NONE;
	node_set_tunnel(A, 0);
	free_before = B->ike->n_free + (SIM_SLOTS - B->ike->n_fresh);
	w->filter = drop_followup;
	node_event(A, IKE_EV_REKEY_CHILD, 0);
	world_run(w, span_s(1));
	sa = sa_of(B);
	assert_non_null(sa->follow);
	world_run(w, span_s(32));
	assert_null(sa_of(B)->follow);
	assert_int_equal(B->ike->n_free + (SIM_SLOTS - B->ike->n_fresh), free_before);
	w->filter = NULL;
	must(w, world_until(w, settled, span_s(165)), "not settled");
	world_fini(w);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(not_announced),
		cmocka_unit_test(groups),
		cmocka_unit_test(kem),
		cmocka_unit_test(each_lost),
		cmocka_unit_test(bad_network),
		cmocka_unit_test(collisions),
		cmocka_unit_test(one_sided),
		cmocka_unit_test(int_auth_is_checked),
		cmocka_unit_test(auth_too_early),
		cmocka_unit_test(unknown_state),
		cmocka_unit_test(given_up),
	};

	return run_group("additional", tests, sizeof(tests) / sizeof(tests[0]), argc, argv);
}
