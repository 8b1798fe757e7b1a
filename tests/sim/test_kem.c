/* SPDX-License-Identifier: Apache-2.0 */
/* Additional key exchanges where ML-KEM is not there, and the stand-in that tests them where it is. */
#include <string.h>
#include "tests/sim/fake_kem.h"
#include "tests/sim/scenario.h"

static const enum ike_dh methods[] = {IKE_DH_ML_KEM_512, IKE_DH_ML_KEM_768, IKE_DH_ML_KEM_1024};

/* The stand-in, and where libcrypto has ML-KEM that as well: same sizes, same refusals. */
static void both_sides_agree(struct ike_crypto *c)
{
	for (size_t i = 0; i < 3; i++) {
		const struct ike_dh_desc *d = ike_dh_desc(methods[i]);
		static uint8_t ek[IKE_DH_MAX + 1], ct[IKE_DH_MAX + 1];
		uint8_t ours[32], theirs[32], saved[IKE_DH_SAVED_MAX];
		struct ike_dh_key *key = c->dh_new(c->ctx, methods[i], ek), *again;
		size_t size;

		assert_non_null(key);
		assert_true(c->kem_encapsulate(c->ctx, methods[i], ek, d->public_size, ct, theirs));
		assert_true(c->dh_shared(c->ctx, key, ct, d->response_size, ours));
		assert_memory_equal(ours, theirs, 32);
		/* A record's key is the same key. */
		size = c->dh_save(c->ctx, key, saved, sizeof(saved));
		again = c->dh_load(c->ctx, methods[i], saved, size);
		assert_non_null(again);
		assert_true(c->dh_shared(c->ctx, again, ct, d->response_size, ours));
		assert_memory_equal(ours, theirs, 32);
		c->dh_free(c->ctx, again);
		/* FIPS 203 6.3: implicit rejection. */
		ct[d->response_size - 1] ^= 1;
		assert_true(c->dh_shared(c->ctx, key, ct, d->response_size, ours));
		assert_memory_not_equal(ours, theirs, 32);
		/* Sizes: n - 1, n + 1, 0 (draft-ietf-ipsecme-ikev2-mlkem 2.2). */
		assert_false(c->dh_shared(c->ctx, key, ct, d->response_size - 1u, ours));
		assert_false(c->dh_shared(c->ctx, key, ct, d->response_size + 1u, ours));
		assert_false(c->dh_shared(c->ctx, key, ct, 0, ours));
		assert_false(c->kem_encapsulate(c->ctx, methods[i], ek, d->public_size - 1u, ct,
						theirs));
		assert_false(c->kem_encapsulate(c->ctx, methods[i], ek, d->public_size + 1u, ct,
						theirs));
		assert_false(c->kem_encapsulate(c->ctx, methods[i], ek, 0, ct, theirs));
		/* FIPS 203 7.2: a key whose coefficients are not reduced. */
		memset(ek, 0xff, 96);
		assert_false(
			c->kem_encapsulate(c->ctx, methods[i], ek, d->public_size, ct, theirs));
		c->dh_free(c->ctx, key);
	}
}

static void stand_in(void **state)
{
	struct rng rng = {5};
	struct ike_crypto c;

	(void)state;
	ike_crypto_openssl(&c, rng_fill, &rng);
	fake_kem(&c);
	both_sides_agree(&c);
}

static void the_librarys(void **state)
{
	struct rng rng = {6};
	struct ike_crypto c;
	uint8_t ek[IKE_DH_MAX], ct[IKE_DH_MAX], shared[32];

	(void)state;
	ike_crypto_openssl(&c, rng_fill, &rng);
	if (c.dh_available(c.ctx, IKE_DH_ML_KEM_768)) {
		both_sides_agree(&c);
		return;
	}
	for (size_t i = 0; i < 3; i++) {
		assert_null(c.dh_new(c.ctx, methods[i], ek));
		assert_false(c.kem_encapsulate(c.ctx, methods[i], ek,
					       ike_dh_desc(methods[i])->public_size, ct, shared));
	}
	/* A group is no KEM. */
	assert_false(c.kem_encapsulate(c.ctx, IKE_DH_CURVE25519, ek, 32, ct, shared));
}

/* ------------------------------------------------------------- not available */

static void want_kem(struct sim_node *n, bool require)
{
	n->kem = SIM_KEM_NONE;
	n->cfg[0].ike_algs.by_type[IKE_TRANSFORM_ADDKE1] =
		(struct ike_alg_list){require ? 1 : 2, {{IKE_DH_ML_KEM_768, 0}, {IKE_DH_NONE, 0}}};
}

static bool take_reason(void *ctx, const struct ike_show_tunnel *t)
{
	memcpy(ctx, t->reason, sizeof(t->reason));
	return true;
}

static void preferred_without(void **state)
{
	struct world *w = fresh_world(11);

	(void)state;
	want_kem(&w->node[0], false);
	want_kem(&w->node[1], false);
	assert_true(world_start(w));
	assert_true(world_until(w, settled, span_s(5)));
	assert_int_equal(count_sas(&w->node[0], 0).ike_suite.ake[0], IKE_DH_NONE);
	assert_int_equal(w->n_ike, 4);
	world_fini(w);
}

static void required_without(void **state)
{
	/* As initiator and as responder. */
	for (int side = 0; side < 2; side++) {
		struct world *w = fresh_world(12);
		struct sim_node *n = &w->node[side];
		char reason[IKE_TEXT_SIZE] = "";

		(void)state;
		want_kem(n, true);
		assert_true(world_start(w));
		world_run(w, span_s(20));
		assert_false(w->node[0].up[0] || w->node[1].up[0]);
		if (side == 0) {
			ike_show_tunnels(n->ike, take_reason, reason);
			assert_non_null(strstr(reason, "libcrypto has no ML-KEM"));
			assert_int_equal(w->n_ike, 0);
		} else {
			assert_non_null(strstr(n->last_event[IKE_HAP_NO_PROPOSAL],
					       "libcrypto has no ML-KEM"));
		}
		world_fini(w);
	}
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(stand_in),
		cmocka_unit_test(the_librarys),
		cmocka_unit_test(preferred_without),
		cmocka_unit_test(required_without),
	};

	return run_group("kem", tests, sizeof(tests) / sizeof(tests[0]), argc, argv);
}
