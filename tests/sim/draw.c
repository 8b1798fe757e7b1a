/* SPDX-License-Identifier: Apache-2.0 */
/*
 * draw: the configuration that a seed gives two gateways. What later features brought is drawn by generators of
 * its own, so that what seeds have found stays what they do.
 */
#include <stdio.h>
#include <string.h>
#include "tests/sim/chaos.h"

static uint64_t pick(struct world *w, uint64_t n)
{
	return rng_below(&w->rng, n);
}

static const struct ike_suite ike_suites[] = {
	{IKE_ENCR_AES_GCM_16, 256, IKE_PRF_HMAC_SHA2_384, 0, IKE_DH_CURVE25519, 0, {0}},
	{IKE_ENCR_AES_GCM_16, 128, IKE_PRF_HMAC_SHA2_256, 0, IKE_DH_ECP_256, 0, {0}},
	{IKE_ENCR_AES_CBC,
	 256,
	 IKE_PRF_HMAC_SHA2_256,
	 IKE_INTEG_HMAC_SHA2_256_128,
	 IKE_DH_CURVE25519,
	 0,
	 {0}},
	{IKE_ENCR_AES_CBC,
	 128,
	 IKE_PRF_HMAC_SHA2_512,
	 IKE_INTEG_HMAC_SHA2_512_256,
	 IKE_DH_CURVE25519,
	 0,
	 {0}},
};

static const struct ike_suite esp_suites[] = {
	{IKE_ENCR_AES_GCM_16, 256, 0, 0, IKE_DH_CURVE25519, IKE_ESN_YES, {0}},
	{IKE_ENCR_AES_GCM_16, 128, 0, 0, IKE_DH_NONE, IKE_ESN_NO, {0}},
	{IKE_ENCR_AES_CBC, 256, 0, IKE_INTEG_HMAC_SHA2_256_128, IKE_DH_NONE, IKE_ESN_YES, {0}},
	{IKE_ENCR_AES_CBC, 128, 0, IKE_INTEG_HMAC_SHA2_384_192, IKE_DH_ECP_256, IKE_ESN_NO, {0}},
};
#define N_SUITES (sizeof(ike_suites) / sizeof(ike_suites[0]))

/* Each end has two of them, in its own order, and one in common. */
static void draw_suites(struct world *w)
{
	const size_t ike = pick(w, N_SUITES), esp = pick(w, N_SUITES);

	for (int i = 0; i < SIM_NODES; i++) {
		struct ike_tunnel_cfg *c = &w->node[i].cfg[0];
		const bool first = pick(w, 2);
		struct ike_suite ours[2];

		ours[!first] = ike_suites[ike];
		ours[first] = ike_suites[pick(w, N_SUITES)];
		c->ike_algs = ike_algs_of(ours, 2);
		ours[!first] = esp_suites[esp];
		ours[first] = esp_suites[pick(w, N_SUITES)];
		c->esp_algs = ike_algs_of(ours, 2);
	}
}

static void draw_timing(struct world *w, struct sim_node *n, bool short_lives, bool quick_dpd)
{
	struct ike_tunnel_cfg *c = &n->cfg[0];

	if (short_lives) {
		c->ike_lifetime = span_s(20 + pick(w, 100));
		c->child_lifetime = span_s(10 + pick(w, 60));
		c->rekey_margin = span_s(3 + pick(w, 10));
	}
	if (quick_dpd) {
		c->dpd_interval = span_ms(500 + pick(w, 2000));
		c->dpd_timeout = span_ms(c->dpd_interval.ns / 1000000 + 2000 + pick(w, 5000));
	}
	n->dp_delay_us = pick(w, 3) ? 200 : pick(w, 200000);
	n->dp_jitter_us = n->dp_delay_us;
	n->key_delay_us = pick(w, 5) ? 500 : pick(w, 300000);
	if (pick(w, 3) == 0)
		n->clock_ahead_ns = pick(w, 1000000) * 1000000000;
	if (pick(w, 3) == 0)
		n->clock_fast_ppm = (unsigned)pick(w, 1000);
}

static void second_tunnel(struct sim_node *n)
{
	n->n_tunnels = 2;
	n->cfg[1] = n->cfg[0];
	n->cfg[1].tunnel = 1;
	memcpy(n->cfg[1].name, "bore-2", 7);
	n->cfg[1].local_id.data[0] = n->cfg[1].remote_id.data[0] = 'h';
}

/* Fragment sizes and additional key exchanges. */
static void draw_messages(struct world *w)
{
	static const uint16_t sizes[] = {0, 180, 256, 300, 576, 1280};
	struct rng r = {w->seed * 0x9e3779b97f4a7c15u + 3};
	const uint64_t additional = rng_below(&r, 3);
	const uint8_t type = (uint8_t)(IKE_TRANSFORM_ADDKE1 + rng_below(&r, IKE_MAX_AKE));

	for (int i = 0; i < SIM_NODES; i++) {
		struct ike_tunnel_cfg *c = &w->node[i].cfg[0];

		c->fragment_size = sizes[rng_below(&r, sizeof(sizes) / sizeof(sizes[0]))];
		if (!additional)
			continue;
		w->node[i].kem = SIM_KEM_FAKE;
		c->ike_algs.by_type[type].n = c->esp_algs.by_type[type].n = 0;
		ike_algs_add(&c->ike_algs, type, IKE_DH_ML_KEM_512, 0);
		ike_algs_add(&c->esp_algs, type, IKE_DH_ML_KEM_512, 0);
		/* RFC 9370 2.2.2: there are none without a first one. */
		if (ike_algs_have(&c->esp_algs, IKE_TRANSFORM_DH, IKE_DH_NONE, 0) ||
		    (additional == 2 && rng_below(&r, 2)))
			ike_algs_add(&c->esp_algs, type, IKE_DH_NONE, 0);
	}
}

/*
 * In a third of the worlds node 0 moves from address to address, with MOBIKE and without; in half of
 * them the ends tell each other's reboots by tokens.
 */
static void draw_mobility(struct world *w)
{
	w->moves = (struct rng){w->seed * 0xd1342543de82ef95u + 5};
	w->roaming = rng_below(&w->moves, 3) == 0;
	for (int i = 0; i < SIM_NODES; i++) {
		struct sim_node *n = &w->node[i];
		const bool mobike = rng_below(&w->moves, 3) > 0;

		n->limits.has_qcd_secret = w->seed & 1;
		n->limits.qcd_secret[0] = (uint8_t)(i + 1);
		for (size_t t = 0; t < n->n_tunnels && w->roaming; t++) {
			n->cfg[t].mobike = mobike;
			n->cfg[t].childless = rng_below(&w->moves, 4) == 0;
			n->cfg[t].startup = i ? IKE_STARTUP_ADD : IKE_STARTUP_START;
			if (i)
				n->cfg[t].remote = (struct ip_addr){0};
		}
	}
}

/* What node `from` proves who it is by, and the other one takes. */
static void draw_proof(struct world *w, struct rng *r, int from)
{
	struct sim_node *n = &w->node[from], *other = &w->node[1 - from];
	const enum ike_auth_kind kind =
		rng_below(r, 3) ? IKE_AUTH_BY_CERTIFICATE : IKE_AUTH_BY_RAW_KEY;

	for (size_t t = 0; t < SIM_TUNNELS; t++)
		n->cfg[t].local_auth = other->cfg[t].remote_auth = kind;
	snprintf(n->pki.ca, sizeof(n->pki.ca), "root-%d", from);
	snprintf(n->pki.key, sizeof(n->pki.key), "key-%d", from);
	snprintf(other->pki.trusts, sizeof(other->pki.trusts), "%s",
		 kind == IKE_AUTH_BY_RAW_KEY ? n->pki.key : n->pki.ca);
	n->pki.n_chain = (unsigned)rng_below(r, IKE_MAX_CERTS);
	if (rng_below(r, 4) == 0)
		other->pki.valid_s = 30 + rng_below(r, 120);
}

/* The same for all tunnels of a node that has the newer key, and none of the other one. */
static void draw_shared_keys(struct world *w, struct rng *r)
{
	struct sim_node *ahead = &w->node[rng_below(r, SIM_NODES)];

	memcpy(ahead->psk_old, ahead->psk, sizeof(ahead->psk_old));
	snprintf(ahead->psk, sizeof(ahead->psk), "the key of tomorrow");
	for (size_t t = 0; t < SIM_TUNNELS; t++)
		ahead->cfg[t].n_psks = 2;
}

static void draw_ppk(struct world *w, struct rng *r)
{
	static const uint8_t id[] = {'p', 'p', 'k', '-', '1'};

	for (int i = 0; i < SIM_NODES; i++) {
		struct sim_node *n = &w->node[i];
		const enum ike_ppk_use use = rng_below(r, 2) ? IKE_PPK_REQUIRE : IKE_PPK_PREFER;

		snprintf(n->ppk, sizeof(n->ppk), "post-quantum");
		for (size_t t = 0; t < SIM_TUNNELS; t++) {
			n->cfg[t].ppk = use;
			n->cfg[t].ppk_id_size = sizeof(id);
			memcpy(n->cfg[t].ppk_id, id, sizeof(id));
		}
	}
}

/*
 * A third proves by certificates or raw keys, of one side or both; some are in the middle of the change of
 * a shared key; some mix a PPK in.
 */
static void draw_auth(struct world *w)
{
	struct rng r = {w->seed * 0xda942042e4dd58b5u + 7};

	switch (rng_below(&r, 9)) {
	case 0: draw_proof(w, &r, 0); break;
	case 1: draw_proof(w, &r, 1); break;
	case 2:
		draw_proof(w, &r, 0);
		draw_proof(w, &r, 1);
		break;
	case 3: draw_shared_keys(w, &r); break;
	default: break;
	}
	if (rng_below(&r, 6) == 0)
		draw_ppk(w, &r);
}

/* In an eighth of the worlds each worker has SAs of its own, if the other end agrees. */
static void draw_workers(struct world *w)
{
	struct rng r = {w->seed * 0xaef17502108ef2d9u + 11};

	if (rng_below(&r, 8))
		return;
	for (int i = 0; i < SIM_NODES; i++) {
		struct sim_node *n = &w->node[i];
		const bool wants = rng_below(&r, 8) > 0;

		n->n_workers = 1 + (unsigned)rng_below(&r, SIM_WORKERS);
		for (size_t t = 0; t < SIM_TUNNELS; t++)
			n->cfg[t].per_resource = wants;
	}
}

/* In a quarter of the worlds an IKE SA that was lost is resumed, if both ends would; in some a peer has to solve puzzles. */
static void draw_sessions(struct world *w)
{
	struct rng r = {w->seed * 0x9fb21c651e98df25u + 13};
	const bool tickets = rng_below(&r, 4) == 0;

	for (int i = 0; i < SIM_NODES; i++) {
		struct sim_node *n = &w->node[i];

		for (size_t t = 0; t < SIM_TUNNELS; t++)
			n->cfg[t].resumption = tickets && rng_below(&r, 8);
		n->limits.puzzles = rng_below(&r, 16) == 0;
	}
	for (int i = 0; i < SIM_NODES; i++)
		for (size_t t = 0; t < SIM_TUNNELS; t++)
			w->node[i].cfg[t].ports_vary = rng_below(&r, 4) != 0;
}

void chaos_configure(struct world *w)
{
	const bool short_lives = pick(w, 2), quick_dpd = pick(w, 3) == 0;
	const uint64_t starters = 1 + pick(w, 3);

	if (pick(w, 2))
		draw_suites(w);
	draw_messages(w);
	for (int i = 0; i < SIM_NODES; i++) {
		struct ike_tunnel_cfg *c = &w->node[i].cfg[0];

		c->startup = starters >> i & 1 ? IKE_STARTUP_START : IKE_STARTUP_ADD;
		draw_timing(w, &w->node[i], short_lives, quick_dpd);
		if (pick(w, 8) == 0)
			c->encap = IKE_ENCAP_FORCE;
		if (pick(w, 4) == 0)
			c->dpd_action = short_lives && pick(w, 2) ? IKE_DPD_NONE : IKE_DPD_CLEAR;
	}
	if (pick(w, 4) == 0) {
		net_use_nat(w);
		w->node[0].cfg[0].startup = IKE_STARTUP_START;
		w->node[1].cfg[0].startup = IKE_STARTUP_ADD;
		w->node[1].cfg[0].remote = (struct ip_addr){0};
	}
	if (pick(w, 4) == 0) {
		for (int i = 0; i < SIM_NODES; i++)
			second_tunnel(&w->node[i]);
	}
	if (pick(w, 5) == 0)
		w->node[pick(w, 2)].limits.cookie_threshold = 0;
	w->esp_period_us = 25000;
	draw_mobility(w);
	draw_auth(w);
	draw_workers(w);
	draw_sessions(w);
}
