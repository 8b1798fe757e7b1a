/* SPDX-License-Identifier: Apache-2.0 */
/* crypto_openssl_modp: groups of integers: RFC 7296 B, RFC 3526 and those of RFC 5114. */
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include "ike/crypto_openssl_int.h"

/* Safe primes with generator 2, but for `dhx`, whose generator spans a subgroup of order q. */
static const struct known {
	enum ike_dh id;
	BIGNUM *(*prime)(BIGNUM *out);
	const char *dhx; /* libcrypto's name */
	/*
	 * Bytes of a private value: twice the strength that RFC 3526 8 gives for the group, by its
	 * higher estimate; no group gets less than 256 bits.
	 */
	size_t private_size;
} known[] = {
	{IKE_DH_MODP_1024, BN_get_rfc2409_prime_1024, NULL, 32},
	{IKE_DH_MODP_1536, BN_get_rfc3526_prime_1536, NULL, 32},
	{IKE_DH_MODP_2048, BN_get_rfc3526_prime_2048, NULL, 40},
	{IKE_DH_MODP_3072, BN_get_rfc3526_prime_3072, NULL, 53},
	{IKE_DH_MODP_4096, BN_get_rfc3526_prime_4096, NULL, 60},
	{IKE_DH_MODP_6144, BN_get_rfc3526_prime_6144, NULL, 68},
	{IKE_DH_MODP_8192, BN_get_rfc3526_prime_8192, NULL, 78},
	{IKE_DH_MODP_1024_160, NULL, "dh_1024_160", 20},
	{IKE_DH_MODP_2048_224, NULL, "dh_2048_224", 28},
	{IKE_DH_MODP_2048_256, NULL, "dh_2048_256", 32},
};
#define N_KNOWN (sizeof(known) / sizeof(known[0]))

/* Public parameters, made once and then only read. */
static struct group {
	BIGNUM *p, *p_minus_1, *g, *q; /* q: NULL with a safe prime */
	BN_MONT_CTX *mont;
} groups[N_KNOWN];
static bool groups_ok;
static CRYPTO_ONCE once = CRYPTO_ONCE_STATIC_INIT;

static bool load_dhx(const char *name, struct group *g)
{
	OSSL_PARAM params[] = {
		OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, (char *)(uintptr_t)name, 0),
		OSSL_PARAM_END,
	};
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "DHX", NULL);
	EVP_PKEY *pkey = NULL;
	const bool ok = ctx && EVP_PKEY_fromdata_init(ctx) == 1 &&
			EVP_PKEY_fromdata(ctx, &pkey, EVP_PKEY_KEY_PARAMETERS, params) == 1 &&
			EVP_PKEY_get_bn_param(pkey, OSSL_PKEY_PARAM_FFC_P, &g->p) == 1 &&
			EVP_PKEY_get_bn_param(pkey, OSSL_PKEY_PARAM_FFC_Q, &g->q) == 1 &&
			EVP_PKEY_get_bn_param(pkey, OSSL_PKEY_PARAM_FFC_G, &g->g) == 1;

	EVP_PKEY_free(pkey);
	EVP_PKEY_CTX_free(ctx);
	return ok;
}

static bool load_group(const struct known *k, struct group *g, BN_CTX *bn)
{
	if (k->dhx) {
		if (!load_dhx(k->dhx, g))
			return false;
	} else {
		g->p = k->prime(NULL);
		g->g = BN_new();
		if (!g->p || !g->g || !BN_set_word(g->g, 2))
			return false;
	}
	g->p_minus_1 = BN_dup(g->p);
	g->mont = BN_MONT_CTX_new();
	return g->p_minus_1 && BN_sub_word(g->p_minus_1, 1) && g->mont &&
	       BN_MONT_CTX_set(g->mont, g->p, bn) == 1;
}

static void load(void)
{
	BN_CTX *bn = BN_CTX_new();

	groups_ok = bn != NULL;
	for (size_t i = 0; groups_ok && i < N_KNOWN; i++)
		groups_ok = load_group(&known[i], &groups[i], bn);
	BN_CTX_free(bn);
}

bool ike_openssl_modp_available(enum ike_dh method)
{
	(void)method;
	return CRYPTO_THREAD_run_once(&once, load) && groups_ok;
}

static size_t index_of(enum ike_dh id)
{
	size_t i = 0;

	while (known[i].id != id)
		i++;
	return i;
}

/* base^private mod p, left-padded with zeros to the size of p (RFC 7296 2.14, 3.4). */
static bool power(const struct group *g, const BIGNUM *base, const struct secret *private,
		  uint8_t *out, size_t size)
{
	BIGNUM *x = ike_openssl_private(private), *r = BN_new();
	BN_CTX *bn = BN_CTX_new();
	const bool ok = x && r && bn &&
			BN_mod_exp_mont_consttime(r, base, x, g->p, bn, g->mont) == 1 &&
			BN_bn2binpad(r, out, (int)size) == (int)size;

	BN_clear_free(x);
	BN_clear_free(r);
	BN_CTX_free(bn);
	return ok;
}

bool ike_openssl_modp_new(struct ike_openssl *o, struct ike_dh_key *key, uint8_t *public)
{
	const size_t i = index_of(key->desc->id);
	const struct group *g = &groups[i];

	key->private = secret_new(known[i].private_size);
	if (!key->private)
		return false;
	if (g->q ? !ike_openssl_private_below(o, g->q, key->private)
		 : !o->random(o->random_ctx, secret_data_mut(key->private), known[i].private_size))
		return false;
	return power(g, g->g, key->private, public, key->desc->public_size);
}

/* RFC 6989 2.2: y^q = 1 mod p, or y is outside the subgroup that the generator spans. */
static bool has_order_q(const struct group *g, const BIGNUM *y)
{
	BIGNUM *r = BN_new();
	BN_CTX *bn = BN_CTX_new();
	const bool ok =
		r && bn && BN_mod_exp_mont(r, y, g->q, g->p, bn, g->mont) == 1 && BN_is_one(r);

	BN_free(r);
	BN_CTX_free(bn);
	return ok;
}

bool ike_openssl_modp_shared(const struct ike_dh_key *key, const uint8_t *peer, uint8_t *shared)
{
	const struct group *g = &groups[index_of(key->desc->id)];
	BIGNUM *y = BN_bin2bn(peer, key->desc->public_size, NULL);
	/* RFC 6989 2.1: 1 < y < p - 1; of a safe prime that is all there is to check. */
	const bool ok = y && BN_cmp(y, BN_value_one()) > 0 && BN_cmp(y, g->p_minus_1) < 0 &&
			(!g->q || has_order_q(g, y)) &&
			power(g, y, key->private, shared, key->desc->shared_size);

	BN_free(y);
	return ok;
}
