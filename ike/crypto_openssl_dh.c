/* SPDX-License-Identifier: Apache-2.0 */
/*
 * crypto_openssl_dh: key agreement for IKE: MODP 2048 (RFC 3526), the NIST curves (RFC 5903) and
 * Curve25519 (RFC 8031). Private values come from the injected generator and live in guarded
 * memory; peers' values are checked before anything is computed with them (RFC 6989).
 */
#include <string.h>
#include <stdlib.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/objects.h>
#include <openssl/params.h>
#include "base/secret.h"
#include "ike/crypto_openssl_int.h"

#define MODP_PRIVATE_SIZE 40 /* 320 bits, the most that RFC 3526 8 asks for with group 14 */
#define X25519_SIZE       32
#define EC_PRIVATE_MAX    66

struct ike_dh_key {
	const struct ike_dh_desc *desc;
	struct secret *private;      /* MODP, ECP: big-endian; Curve25519: as RFC 7748 has it */
	uint8_t public[X25519_SIZE]; /* Curve25519 only */
};

/* Public parameters, made once and then only read. */
static struct {
	bool ok;
	BIGNUM *p, *p_minus_1, *two;
	BN_MONT_CTX *mont;
	EC_GROUP *ec[3];
} params;
static CRYPTO_ONCE params_once = CRYPTO_ONCE_STATIC_INIT;

static void load(void)
{
	BN_CTX *bn = BN_CTX_new();

	params.p = BN_get_rfc3526_prime_2048(NULL);
	params.p_minus_1 = params.p ? BN_dup(params.p) : NULL;
	params.two = BN_new();
	params.mont = BN_MONT_CTX_new();
	params.ec[0] = EC_GROUP_new_by_curve_name(NID_X9_62_prime256v1);
	params.ec[1] = EC_GROUP_new_by_curve_name(NID_secp384r1);
	params.ec[2] = EC_GROUP_new_by_curve_name(NID_secp521r1);
	params.ok = bn && params.p_minus_1 && BN_sub_word(params.p_minus_1, 1) && params.two &&
		    BN_set_word(params.two, 2) && params.mont &&
		    BN_MONT_CTX_set(params.mont, params.p, bn) && params.ec[0] && params.ec[1] &&
		    params.ec[2];
	BN_CTX_free(bn);
}

static bool loaded(void)
{
	return CRYPTO_THREAD_run_once(&params_once, load) && params.ok;
}

static BIGNUM *private_bn(const struct secret *s)
{
	BIGNUM *n = BN_bin2bn(secret_data(s), (int)secret_size(s), NULL);

	if (n)
		BN_set_flags(n, BN_FLG_CONSTTIME);
	return n;
}

/* ---------------------------------------------------------------- MODP 2048 */

/* base^private mod p, left-padded with zeros to the size of p (RFC 7296 2.14, 3.4). */
static bool modp_power(const BIGNUM *base, const struct secret *private, uint8_t *out, size_t size)
{
	BIGNUM *x = private_bn(private), *r = BN_new();
	BN_CTX *bn = BN_CTX_new();
	const bool ok = x && r && bn &&
			BN_mod_exp_mont_consttime(r, base, x, params.p, bn, params.mont) == 1 &&
			BN_bn2binpad(r, out, (int)size) == (int)size;

	BN_clear_free(x);
	BN_clear_free(r);
	BN_CTX_free(bn);
	return ok;
}

static bool modp_shared(const struct ike_dh_key *key, const uint8_t *peer, uint8_t *shared)
{
	BIGNUM *y = BN_bin2bn(peer, key->desc->public_size, NULL);
	/* RFC 6989 2.1: 1 < y < p - 1. p is a safe prime, so that this is all there is to check. */
	const bool ok = y && BN_cmp(y, BN_value_one()) > 0 && BN_cmp(y, params.p_minus_1) < 0 &&
			modp_power(y, key->private, shared, key->desc->shared_size);

	BN_free(y);
	return ok;
}

/* --------------------------------------------------------------------- ECP */

static const EC_GROUP *ec_group(enum ike_dh dh)
{
	return params.ec[dh - IKE_DH_ECP_256];
}

/* 1 <= private < n, from 64 bits more than n has, so that the bias is negligible (FIPS 186-5
 * A.2.1). */
static bool ec_private(struct ike_openssl *o, const EC_GROUP *group, struct secret *out)
{
	uint8_t wide[EC_PRIVATE_MAX + 8];
	const size_t size = secret_size(out);
	BIGNUM *x = NULL, *n_minus_1 = NULL;
	BN_CTX *bn = BN_CTX_secure_new();
	bool ok = false;

	if (!bn || !o->random(o->random_ctx, wide, size + 8))
		goto out;
	x = BN_bin2bn(wide, (int)(size + 8), NULL);
	n_minus_1 = BN_dup(EC_GROUP_get0_order(group));
	if (!x || !n_minus_1 || !BN_sub_word(n_minus_1, 1))
		goto out;
	BN_set_flags(x, BN_FLG_CONSTTIME);
	ok = BN_mod(x, x, n_minus_1, bn) == 1 && BN_add_word(x, 1) == 1 &&
	     BN_bn2binpad(x, secret_data_mut(out), (int)size) == (int)size;
out:
	bytes_wipe(wide, sizeof(wide));
	BN_clear_free(x);
	BN_free(n_minus_1);
	BN_CTX_free(bn);
	return ok;
}

/*
 * private * point (NULL: the generator). Writes x and, if `y_too`, y, each `size` bytes
 * (RFC 5903 7: public values are x | y; 9: the shared secret is x).
 */
static bool ec_multiply(const EC_GROUP *group, const EC_POINT *point, const struct secret *private,
			size_t size, bool y_too, uint8_t *out)
{
	BIGNUM *d = private_bn(private), *x = BN_new(), *y = BN_new();
	EC_POINT *r = EC_POINT_new(group);
	BN_CTX *bn = BN_CTX_new();
	/* The affine coordinates of the point at infinity do not exist: that is an error, too. */
	const bool ok =
		d && x && y && r && bn &&
		EC_POINT_mul(group, r, point ? NULL : d, point, point ? d : NULL, bn) == 1 &&
		EC_POINT_get_affine_coordinates(group, r, x, y, bn) == 1 &&
		BN_bn2binpad(x, out, (int)size) == (int)size &&
		(!y_too || BN_bn2binpad(y, out + size, (int)size) == (int)size);

	BN_clear_free(d);
	BN_clear_free(x);
	BN_clear_free(y);
	EC_POINT_clear_free(r);
	BN_CTX_free(bn);
	return ok;
}

static bool ec_shared(const struct ike_dh_key *key, const uint8_t *peer, uint8_t *shared)
{
	const EC_GROUP *group = ec_group(key->desc->id);
	const size_t size = key->desc->shared_size;
	BIGNUM *x = BN_bin2bn(peer, (int)size, NULL), *y = BN_bin2bn(peer + size, (int)size, NULL);
	BIGNUM *p = BN_new();
	EC_POINT *point = EC_POINT_new(group);
	BN_CTX *bn = BN_CTX_new();
	/* RFC 6989 2.3: coordinates in 0..p-1 and on the curve (which setting them checks). */
	const bool ok = x && y && p && point && bn &&
			EC_GROUP_get_curve(group, p, NULL, NULL, bn) == 1 && BN_cmp(x, p) < 0 &&
			BN_cmp(y, p) < 0 &&
			EC_POINT_set_affine_coordinates(group, point, x, y, bn) == 1 &&
			EC_POINT_is_on_curve(group, point, bn) == 1 &&
			ec_multiply(group, point, key->private, size, false, shared);

	BN_free(x);
	BN_free(y);
	BN_free(p);
	EC_POINT_free(point);
	BN_CTX_free(bn);
	return ok;
}

/* -------------------------------------------------------------- Curve25519 */

static bool x25519_public(struct ike_dh_key *key, uint8_t *out)
{
	EVP_PKEY *pkey = EVP_PKEY_new_raw_private_key(EVP_PKEY_X25519, NULL,
						      secret_data(key->private), X25519_SIZE);
	size_t size = X25519_SIZE;
	const bool ok = pkey && EVP_PKEY_get_raw_public_key(pkey, key->public, &size) == 1 &&
			size == X25519_SIZE;

	if (ok)
		memcpy(out, key->public, X25519_SIZE);
	EVP_PKEY_free(pkey);
	return ok;
}

/* With both halves given libcrypto does not compute the public one again: half the time of derive. */
static EVP_PKEY *x25519_pair(const struct ike_dh_key *key)
{
	OSSL_PARAM pair[] = {
		OSSL_PARAM_octet_string(OSSL_PKEY_PARAM_PRIV_KEY,
					(void *)(uintptr_t)secret_data(key->private), X25519_SIZE),
		OSSL_PARAM_octet_string(OSSL_PKEY_PARAM_PUB_KEY, (void *)(uintptr_t)key->public,
					X25519_SIZE),
		OSSL_PARAM_END,
	};
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "X25519", NULL);
	EVP_PKEY *pkey = NULL;

	if (!ctx || EVP_PKEY_fromdata_init(ctx) != 1 ||
	    EVP_PKEY_fromdata(ctx, &pkey, EVP_PKEY_KEYPAIR, pair) != 1)
		pkey = NULL;
	EVP_PKEY_CTX_free(ctx);
	return pkey;
}

static bool x25519_shared(const struct ike_dh_key *key, const uint8_t *peer, uint8_t *shared)
{
	static const uint8_t zero[X25519_SIZE];
	EVP_PKEY *ours = x25519_pair(key);
	EVP_PKEY *theirs = EVP_PKEY_new_raw_public_key(EVP_PKEY_X25519, NULL, peer, X25519_SIZE);
	EVP_PKEY_CTX *ctx = ours ? EVP_PKEY_CTX_new_from_pkey(NULL, ours, NULL) : NULL;
	size_t size = X25519_SIZE;
	/* RFC 8031 5: an all-zero result comes from a point of small order, and is refused. */
	const bool ok = theirs && ctx && EVP_PKEY_derive_init(ctx) == 1 &&
			EVP_PKEY_derive_set_peer_ex(ctx, theirs, 0) == 1 &&
			EVP_PKEY_derive(ctx, shared, &size) == 1 && size == X25519_SIZE &&
			!bytes_equal_ct(shared, zero, sizeof(zero));

	EVP_PKEY_CTX_free(ctx);
	EVP_PKEY_free(ours);
	EVP_PKEY_free(theirs);
	return ok;
}

/* --------------------------------------------------------------------- ops */

void ike_openssl_dh_free(void *ctx, struct ike_dh_key *key)
{
	(void)ctx;
	if (!key)
		return;
	secret_free(key->private);
	free(key);
}

static bool generate(struct ike_openssl *o, struct ike_dh_key *key, uint8_t *public)
{
	const size_t size = key->desc->public_size;

	switch (key->desc->id) {
	case IKE_DH_MODP_2048:
		key->private = secret_new(MODP_PRIVATE_SIZE);
		return key->private &&
		       o->random(o->random_ctx, secret_data_mut(key->private), MODP_PRIVATE_SIZE) &&
		       modp_power(params.two, key->private, public, size);
	case IKE_DH_ECP_256:
	case IKE_DH_ECP_384:
	case IKE_DH_ECP_521:
		key->private = secret_new(size / 2);
		return key->private && ec_private(o, ec_group(key->desc->id), key->private) &&
		       ec_multiply(ec_group(key->desc->id), NULL, key->private, size / 2, true,
				   public);
	case IKE_DH_CURVE25519:
		key->private = secret_new(X25519_SIZE);
		return key->private &&
		       o->random(o->random_ctx, secret_data_mut(key->private), X25519_SIZE) &&
		       x25519_public(key, public);
	case IKE_DH_NONE: break;
	}
	return false;
}

struct ike_dh_key *ike_openssl_dh_new(void *ctx, enum ike_dh dh, uint8_t *public)
{
	const struct ike_dh_desc *desc = ike_dh_desc(dh);
	struct ike_dh_key *key;

	if (!desc)
		return NULL;
	key = calloc(1, sizeof(*key));
	if (key)
		key->desc = desc;
	if (!key || !loaded() || !generate(ctx, key, public)) {
		ike_openssl_dh_free(ctx, key);
		bytes_wipe(public, desc->public_size);
		return NULL;
	}
	return key;
}

bool ike_openssl_dh_shared(void *ctx, struct ike_dh_key *key, const uint8_t *peer, size_t peer_size,
			   uint8_t *shared)
{
	bool ok = false;

	(void)ctx;
	/* RFC 7296 3.4, RFC 5903 7, RFC 8031 3.1: a public value has one size only. */
	if (peer_size == key->desc->public_size) {
		switch (key->desc->id) {
		case IKE_DH_MODP_2048: ok = modp_shared(key, peer, shared); break;
		case IKE_DH_ECP_256:
		case IKE_DH_ECP_384:
		case IKE_DH_ECP_521: ok = ec_shared(key, peer, shared); break;
		case IKE_DH_CURVE25519: ok = x25519_shared(key, peer, shared); break;
		case IKE_DH_NONE: break;
		}
	}
	if (!ok)
		bytes_wipe(shared, key->desc->shared_size);
	return ok;
}
