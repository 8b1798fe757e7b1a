/* SPDX-License-Identifier: Apache-2.0 */
/* Suites: every IKE and every ESP suite, in both roles, through a connection and rekeys of both. */
#include "tests/sim/scenario.h"

static const struct {
	uint16_t encr, bits, integ;
} ciphers[] = {
	{IKE_ENCR_AES_GCM_16, 128, IKE_INTEG_NONE},
	{IKE_ENCR_AES_GCM_16, 256, IKE_INTEG_NONE},
	{IKE_ENCR_AES_CBC, 128, IKE_INTEG_HMAC_SHA2_256_128},
	{IKE_ENCR_AES_CBC, 128, IKE_INTEG_HMAC_SHA2_384_192},
	{IKE_ENCR_AES_CBC, 128, IKE_INTEG_HMAC_SHA2_512_256},
	{IKE_ENCR_AES_CBC, 256, IKE_INTEG_HMAC_SHA2_256_128},
	{IKE_ENCR_AES_CBC, 256, IKE_INTEG_HMAC_SHA2_384_192},
	{IKE_ENCR_AES_CBC, 256, IKE_INTEG_HMAC_SHA2_512_256},
	{IKE_ENCR_AES_CBC, 192, IKE_INTEG_HMAC_SHA1_96},
	{IKE_ENCR_AES_GCM_16, 192, IKE_INTEG_NONE},
	{IKE_ENCR_AES_GCM_12, 256, IKE_INTEG_NONE},
	{IKE_ENCR_AES_GCM_8, 128, IKE_INTEG_NONE},
	{IKE_ENCR_CHACHA20_POLY1305, 0, IKE_INTEG_NONE},
};
#define N_CIPHERS (sizeof(ciphers) / sizeof(ciphers[0]))

static const uint16_t prfs[] = {IKE_PRF_HMAC_SHA2_256, IKE_PRF_HMAC_SHA2_384, IKE_PRF_HMAC_SHA2_512,
				IKE_PRF_HMAC_SHA1};
static const uint16_t groups[] = {
	IKE_DH_MODP_2048,     IKE_DH_ECP_256,       IKE_DH_ECP_384,       IKE_DH_ECP_521,
	IKE_DH_CURVE25519,    IKE_DH_CURVE448,      IKE_DH_MODP_1024,     IKE_DH_MODP_1536,
	IKE_DH_MODP_1024_160, IKE_DH_MODP_2048_224, IKE_DH_MODP_2048_256, IKE_DH_MODP_3072,
	IKE_DH_MODP_4096,     IKE_DH_MODP_6144,     IKE_DH_MODP_8192,
};
#define N_GROUPS (sizeof(groups) / sizeof(groups[0]))

/* Connects with exactly one suite each, rekeys from both sides, compares what was agreed. */
static void try(struct ike_suite ike, struct ike_suite esp, int initiator)
{
	struct world *w = fresh_world(ike.dh + ike.encr + esp.encr);
	char name[IKE_SUITE_STRLEN];
	struct sim_count c;

	w->esp_period_us = 50000;
	for (int i = 0; i < SIM_NODES; i++) {
		struct ike_tunnel_cfg *cfg = &w->node[i].cfg[0];

		cfg->ike_algs = ike_algs_of(&ike, 1);
		cfg->esp_algs = ike_algs_of(&esp, 1);
		cfg->startup = i == initiator ? IKE_STARTUP_START : IKE_STARTUP_ADD;
	}
	assert_true(world_start(w));
	if (!world_until(w, settled, span_s(5)))
		fail_msg("%s: not connected %s", ike_suite_format(&ike, name), w->failure);
	world_run(w, span_ms(200));
	node_event(&w->node[0], IKE_EV_REKEY_CHILD, 0);
	world_run(w, span_s(1));
	node_event(&w->node[1], IKE_EV_REKEY_IKE, 0);
	world_run(w, span_s(1));
	node_event(&w->node[1], IKE_EV_REKEY_CHILD, 0);
	world_run(w, span_s(6));
	if (!settled(w))
		fail_msg("%s: rekeys failed %s", ike_suite_format(&ike, name), w->failure);
	c = count_sas(&w->node[0], 0);
	assert_true(ike_suite_equal(&c.ike_suite, &ike));
	assert_true(ike_suite_equal(&c.esp_suite, &esp));
	assert_int_equal(ike_counter_get(w->node[0].ike, IKE_CNT_CHILD_REKEYED), 2);
	assert_int_equal(ike_counter_get(w->node[0].ike, IKE_CNT_IKE_REKEYED), 1);
	world_fini(w);
}

static const struct ike_suite plain_ike = {IKE_ENCR_AES_GCM_16, 256, IKE_PRF_HMAC_SHA2_256, 0,
					   IKE_DH_CURVE25519,   0};
static const struct ike_suite plain_esp = {IKE_ENCR_AES_GCM_16, 256, 0, 0, IKE_DH_NONE, IKE_ESN_NO};

static void ike_ciphers(void **state)
{
	(void)state;
	for (size_t c = 0; c < N_CIPHERS; c++) {
		for (size_t p = 0; p < 4; p++) {
			const struct ike_suite s = {ciphers[c].encr,  ciphers[c].bits,   prfs[p],
						    ciphers[c].integ, IKE_DH_CURVE25519, 0};

			try(s, plain_esp, 0);
			try(s, plain_esp, 1);
		}
	}
}

static void ike_groups(void **state)
{
	(void)state;
	for (size_t g = 0; g < N_GROUPS; g++) {
		struct ike_suite s = plain_ike;

		s.dh = groups[g];
		try(s, plain_esp, g % 2);
		if (ike_dh_desc(s.dh)->public_size <= 256)
			try(s, plain_esp, !(g % 2));
	}
}

static void esp_ciphers(void **state)
{
	(void)state;
	for (size_t c = 0; c < N_CIPHERS; c++) {
		for (uint16_t esn = 0; esn < 2; esn++) {
			const struct ike_suite s = {ciphers[c].encr,  ciphers[c].bits, 0,
						    ciphers[c].integ, IKE_DH_NONE,     esn};

			try(plain_ike, s, 0);
			try(plain_ike, s, 1);
		}
	}
}

/* No confidentiality, but a suite like others to IKE. */
static void gmac(void **state)
{
	const struct ike_suite s = {IKE_ENCR_NULL_AUTH_AES_GMAC, 256, 0, 0, IKE_DH_CURVE25519, 1};

	(void)state;
	try(plain_ike, s, 0);
}

static void esp_groups(void **state)
{
	(void)state;
	for (size_t g = 0; g < N_GROUPS; g++) {
		struct ike_suite s = plain_esp;

		/* The child of IKE_AUTH has no group of its own: only rekeys show this one. */
		s.dh = groups[g];
		try(plain_ike, s, g % 2);
	}
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ike_ciphers), cmocka_unit_test(ike_groups),
		cmocka_unit_test(esp_ciphers), cmocka_unit_test(gmac),
		cmocka_unit_test(esp_groups),
	};

	return run_group("suites", tests, sizeof(tests) / sizeof(tests[0]), argc, argv);
}
