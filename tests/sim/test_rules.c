/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rules of RFC 7296 for rekeys, IKE_AUTH and NAT that two gateways of one make could break together
 * without noticing: what is on the wire, and what a core does with messages that no gateway of ours
 * would send.
 */
#include <string.h>
#include "tests/sim/hand.h"
#include "tests/sim/liar.h"
#include "tests/sim/scenario.h"

static struct liar liar;

/* -------------------------------------------------------------------- rekeys */

static struct {
	unsigned deletes[2], on_old, rekeys_on_old;
	uint64_t old_spi;
} rekeying;

static bool watch_rekey(struct world *w, int from, const uint8_t *data, size_t size)
{
	const struct ike_header h = header_of(data, size);

	(void)w;
	if (h.flags & IKE_FLAG_RESPONSE)
		return false;
	if (h.exchange == IKE_INFORMATIONAL)
		rekeying.deletes[from]++;
	if (h.spi_i == rekeying.old_spi) {
		rekeying.on_old++;
		rekeying.rekeys_on_old += h.exchange == IKE_CREATE_CHILD_SA;
	}
	return false;
}

/* Requirements: RFC7296-2.8-maker-deletes, RFC7296-2.8-inherits, RFC7296-2.8-replaced */
static void who_deletes(void **state)
{
	(void)state;
	for (unsigned maker = 0; maker < 2; maker++) {
		struct world *w = connected_world(13 + maker);
		struct sim_count before;

		memset(&rekeying, 0, sizeof(rekeying));
		w->filter = watch_rekey;
		node_event(&w->node[maker], IKE_EV_REKEY_CHILD, 0);
		world_run(w, span_s(7));
		assert_int_equal(rekeying.deletes[maker], 1);
		assert_int_equal(rekeying.deletes[1 - maker], 0);

		memset(&rekeying, 0, sizeof(rekeying));
		before = count_sas(A, 0);
		rekeying.old_spi = before.spi_i;
		node_event(&w->node[maker], IKE_EV_REKEY_IKE, 0);
		/* Until the exchange is over both have wishes, which are for the new SA. */
		world_run(w, span_ms(5));
		node_event(A, IKE_EV_REKEY_CHILD, 0);
		node_event(B, IKE_EV_REKEY_CHILD, 0);
		must(w, count_sas(A, 0).spi_in == before.spi_in, "the child was not inherited");
		assert_int_not_equal(count_sas(A, 0).spi_i, before.spi_i);
		assert_int_equal(rekeying.deletes[maker], 1);
		assert_int_equal(rekeying.deletes[1 - maker], 0);
		/* The rekey itself and its deletion. */
		assert_int_equal(rekeying.on_old, 2);
		assert_int_equal(rekeying.rekeys_on_old, 1);
		world_run(w, span_s(30));
		must(w, settled(w), "not settled");
		assert_int_equal(rekeying.rekeys_on_old, 1);
		assert_int_not_equal(count_sas(A, 0).spi_in, before.spi_in);
		world_fini(w);
	}
}

static bool note_times(void *ctx, const struct ike_show_sa *s)
{
	struct mono *at = ctx;

	at[s->is_child] = s->rekey_at;
	return true;
}

/* Requirements: RFC7296-2.8-jitter */
static void jitter(void **state)
{
	struct mono at[2], least[2] = {MONO_NEVER, MONO_NEVER}, most[2] = {{0}, {0}};

	(void)state;
	for (uint64_t seed = 20; seed < 40; seed++) {
		struct world *w = connected_world(seed);

		ike_show_sas(A->ike, note_times, at);
		for (int i = 0; i < 2; i++) {
			least[i] = mono_min(least[i], at[i]);
			if (mono_before(most[i], at[i]))
				most[i] = at[i];
		}
		world_fini(w);
	}
	/* A margin of 270 s is stretched by up to as much again. */
	for (int i = 0; i < 2; i++)
		assert_true(mono_since(most[i], least[i]).ns > span_s(100).ns);
}

static struct ike_rank rank(const char *i, const char *r)
{
	return ike_rank_of((const uint8_t *)i, strlen(i), (const uint8_t *)r, strlen(r));
}

/* Requirements: RFC7296-2.8.1-lowest, RFC7296-2.8.2-lowest */
static void lowest_nonce(void **state)
{
	static const struct {
		const char *i1, *r1, *i2, *r2;
		int want;
	} cases[] = {
		{"a", "z", "b", "y", -1},
		{"z", "a", "y", "b", -1},
		{"m", "n", "o", "l", 1},
		{"\x80", "\xff", "\x7f", "\xff", 1}, /* octets have no sign */
		{"aa", "z", "a", "z", 1},            /* a beginning is lower, however long */
		{"a", "z", "ab", "z", -1},
		{"b", "z", "ab", "z", 1}, /* octet by octet before the length */
		{"abcdefghabcdefghabcdefghabcdefghX", "z", "abcdefghabcdefghabcdefghabcdefgh", "z",
		 1},
		{"same", "z", "z", "same", 0},
	};

	(void)state;
	for (size_t k = 0; k < sizeof(cases) / sizeof(cases[0]); k++) {
		const struct ike_rank a = rank(cases[k].i1, cases[k].r1),
				      b = rank(cases[k].i2, cases[k].r2);
		const int ab = ike_rank_cmp(&a, &b), ba = ike_rank_cmp(&b, &a);

		if ((ab > 0) - (ab < 0) != cases[k].want || (ba > 0) - (ba < 0) != -cases[k].want)
			fail_msg("case %zu", k);
	}
}

/* Both nodes know the nonces by what they have made: the surviving child is not the lowest one's. */
/* Requirements: RFC7296-2.8.1-lowest, RFC7296-2.8.2-lowest */
static void the_lowest_loses(void **state)
{
	(void)state;
	for (uint64_t seed = 40; seed < 52; seed++) {
		const bool ike = seed & 1;
		struct world *w = connected_world(seed);
		struct ike_rank rank_of[2];
		unsigned n = 0;
		bool won;

		/* With traffic, so that the responder knows that its child is in use. */
		w->esp_period_us = 5000;
		world_run(w, span_s(1));
		for (int i = 0; i < SIM_NODES; i++)
			node_event(&w->node[i], ike ? IKE_EV_REKEY_IKE : IKE_EV_REKEY_CHILD, 0);
		world_run(w, span_us(ike ? 2500 : 3500)); /* both exchanges are over */
		if (ike) {
			struct ike_sa *sa;

			TAILQ_FOREACH(sa, &ike_tunnel_find(A->ike, 0)->sas, entry)
			{
				if (!sa->rekeyed_by_us && !sa->rekeyed_by_peer && n < 2)
					rank_of[sa->initiator] = sa->rank, n++;
			}
		} else {
			struct ike_child *c;

			TAILQ_FOREACH(c, &ike_tunnel_find(A->ike, 0)->children, entry)
			{
				if (!c->rekeyed_by_us && !c->rekeyed_by_peer && n < 2)
					rank_of[c->initiator] = c->rank, n++;
			}
		}
		world_run(w, span_s(40));
		must(w, settled(w), "not settled");
		assert_int_equal(n, 2);
		won = ike ? count_sas(A, 0).ike_initiator : count_sas(A, 0).child_initiator;
		assert_int_equal(won, ike_rank_cmp(&rank_of[1], &rank_of[0]) > 0);
		world_fini(w);
	}
}

/* Requirements: RFC7296-2.9.2-rekey */
static void rekey_keeps_its_width(void **state)
{
	struct world *w = quiet_world(52);
	const struct ike_child *c;

	(void)state;
	/* A asks for less than B has: the child is narrowed. Then A has it all again. */
	A->cfg[0].local_ts[0].last = ip_v4(10, 1, 0, 127);
	must(w, world_start(w) && world_until(w, settled, span_s(10)), "not connected");
	for (int i = 0; i < 4; i++) {
		node_event(&w->node[i & 1], IKE_EV_REKEY_CHILD, 0);
		world_run(w, span_s(8));
		for (int k = 0; k < SIM_NODES; k++) {
			struct sim_node *n = &w->node[k];
			const struct ike_ts *ts;

			c = TAILQ_FIRST(&ike_tunnel_find(n->ike, 0)->children);
			ts = k ? &c->remote_ts[0] : &c->local_ts[0];
			assert_true(ip_equal(&ts->first, &A->cfg[0].local_ts[0].first));
			assert_true(ip_equal(&ts->last, &A->cfg[0].local_ts[0].last));
		}
	}
	world_fini(w);
}

/* --------------------------------------------------------------------- IKE_AUTH */

static struct {
	size_t size;
	uint8_t data[IKE_MESSAGE_MAX];
} last_init;

static bool keep_last_init(struct world *w, int from, const uint8_t *data, size_t size)
{
	if (data[18] == IKE_SA_INIT && from == 0) {
		memcpy(last_init.data, data, size);
		last_init.size = size;
	}
	return hand_take(w, from, data, size);
}

/* Requirements: RFC7296-2.15-last-request */
static void auth_covers_the_last_request(void **state)
{
	struct world *w = quiet_world(53);
	struct ike_event ev = {.type = IKE_EV_PACKET};
	bool verified = false;

	(void)state;
	A->cfg[0].ike_algs.by_type[IKE_TRANSFORM_DH] =
		(struct ike_alg_list){2, {{IKE_DH_ECP_256, 0}, {IKE_DH_CURVE25519, 0}}};
	B->limits.cookie_threshold = 0;
	B->cfg[0].encap = IKE_ENCAP_FORCE; /* so that port 4500 and its marker are in use as well */
	taken = (struct hand_taken){.from = 0, .exchange = IKE_AUTH};
	w->filter = keep_last_init;
	must(w, world_start(w) && world_until(w, hand_has_taken, span_s(5)), "nothing was sent");
	ev.now = w->now;
	ev.packet.local = (struct ip_endpoint){B->addr, IKE_PORT_NATT};
	ev.packet.remote = (struct ip_endpoint){A->addr, IKE_PORT_NATT};
	ev.packet.data = taken.data;
	ev.packet.size = taken.size;
	ike_step(B->ike, &ev, &B->out);
	for (size_t i = 0; i < B->out.n; i++) {
		const struct ike_action *a = &B->out.actions[i];

		if (a->type != IKE_ACT_AUTH_VERIFY)
			continue;
		verified = true;
		assert_true(a->auth.octets_size > last_init.size);
		assert_memory_equal(a->auth.octets, last_init.data, last_init.size);
		/* It is the one with the cookie and the second group. */
		assert_int_equal(last_init.data[16], IKE_PL_NOTIFY);
	}
	assert_true(verified);
	ike_out_reset(&B->out);
	world_fini(w);
}

static struct {
	struct mono asked, answered;
	size_t size;
	struct liar_inner content;
} refusal;

static bool time_it(struct world *w, int from, const uint8_t *data, size_t size)
{
	if (data[18] != IKE_AUTH)
		return false;
	if (from == 0) {
		refusal.asked = w->now;
		return false;
	}
	refusal.answered = w->now;
	refusal.size = size;
	return true;
}

static bool was_refused(struct world *w)
{
	(void)w;
	return refusal.size != 0;
}

static void wrong_key(struct world *w)
{
	memcpy(A->psk, "wrong", 6);
}

static void wrong_name(struct world *w)
{
	A->cfg[0].local_id.data[3] = 'x';
}

static void wrong_type_of_name(struct world *w)
{
	A->cfg[0].local_id.type = IKE_ID_KEY_ID;
}

static void another_is_wanted(struct world *w)
{
	A->cfg[0].remote_id.data[3] = 'x';
}

/* Requirements: RFC7296-2.21.2-uniform */
static void refusals_are_alike(void **state)
{
	static void (*const wrong[])(struct world *) = {wrong_key, wrong_name, wrong_type_of_name,
							another_is_wanted};
	uint64_t took = 0;
	size_t size = 0;

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		struct world *w = quiet_world(54);

		memset(&refusal, 0, sizeof(refusal));
		wrong[i](w);
		w->filter = time_it;
		must(w, world_start(w) && world_until(w, was_refused, span_s(5)), "not refused");
		if (i == 0) {
			took = mono_since(refusal.answered, refusal.asked).ns;
			size = refusal.size;
		}
		if (mono_since(refusal.answered, refusal.asked).ns != took || refusal.size != size)
			fail_msg("refusal %zu differs in %s", i,
				 refusal.size != size ? "size" : "time");
		world_fini(w);
	}
	assert_true(took > span_ms(1).ns); /* the keys were asked each time */
}

/* -------------------------------------------------------------------------- NAT */

static void more_sources(struct liar_inner *in, const void *arg)
{
	const bool right_one = arg != NULL;
	struct liar_payload own = {0};

	for (size_t i = 0; i < in->n; i++) {
		struct liar_payload *p = &in->p[i];

		if (p->type == IKE_PL_NOTIFY &&
		    (p->body[2] << 8 | p->body[3]) == IKE_N_NAT_DETECTION_SOURCE_IP) {
			own = *p;
			if (!right_one)
				p->body[10] ^= 1;
			break;
		}
	}
	assert_true(own.size);
	for (uint8_t i = 1; i < 4; i++) {
		struct liar_payload other = own;

		other.body[8] ^= i;
		liar_add(in, other.type, other.flags, other.body, other.size);
	}
}

/* Requirements: RFC7296-2.23-several */
static void several_sources(void **state)
{
	(void)state;
	for (int right_one = 0; right_one < 2; right_one++) {
		struct world *w = quiet_world(55);

		liar = (struct liar){.from = 0,
				     .exchange = IKE_SA_INIT,
				     .times = 1,
				     .edit = more_sources,
				     .arg = right_one ? w : NULL};
		liar_install(w, &liar);
		must(w, world_start(w), "no start");
		world_run(w, span_us(1500));
		assert_int_equal(B->ike->n_half_open, 1);
		assert_int_equal(sa_of(B)->remote_nat, !right_one);
		world_fini(w);
	}
}

/* Requirements: RFC7296-2.23-reply */
static void replies_go_back(void **state)
{
	struct world *w = quiet_world(56);
	struct ip_endpoint odd;

	(void)state;
	hand_hold(w, 0, IKE_SA_INIT, false);
	odd = (struct ip_endpoint){A->addr, 40001};
	hand_give(B, odd, taken.data, taken.size);
	assert_int_equal(heard.n, 1);
	assert_true(ip_endpoint_equal(&heard.remote, &odd));
	/* The repetition comes from elsewhere, and is answered there. */
	odd.port = 40002;
	hand_give(B, odd, taken.data, taken.size);
	assert_true(heard.n == 1 && ip_endpoint_equal(&heard.remote, &odd));
	world_fini(w);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(who_deletes),
		cmocka_unit_test(jitter),
		cmocka_unit_test(lowest_nonce),
		cmocka_unit_test(the_lowest_loses),
		cmocka_unit_test(rekey_keeps_its_width),
		cmocka_unit_test(auth_covers_the_last_request),
		cmocka_unit_test(refusals_are_alike),
		cmocka_unit_test(several_sources),
		cmocka_unit_test(replies_go_back),
	};

	return run_group("rules", tests, sizeof(tests) / sizeof(tests[0]), argc, argv);
}
