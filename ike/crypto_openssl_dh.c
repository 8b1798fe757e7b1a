/* SPDX-License-Identifier: Apache-2.0 */
/*
 * crypto_openssl_dh: key exchange for IKE, whatever the method: who computes it, and what holds for
 * all. Private values come from the injected generator and live in guarded memory; peers' values
 * are checked before anything is computed with them (RFC 6989), their size here.
 */
#include <stdlib.h>
#include <string.h>
#include "ike/crypto_openssl_int.h"

BIGNUM *ike_openssl_private(const struct secret *s)
{
	BIGNUM *n = BN_bin2bn(secret_data(s), (int)secret_size(s), NULL);

	if (n)
		BN_set_flags(n, BN_FLG_CONSTTIME);
	return n;
}

#define PRIVATE_MAX 66 /* ECP 521 */

/* From 64 bits more than the order has, so that the bias is negligible (FIPS 186-5 A.2.1). */
bool ike_openssl_private_below(struct ike_openssl *o, const BIGNUM *order, struct secret *out)
{
	uint8_t wide[PRIVATE_MAX + 8];
	const size_t size = secret_size(out);
	BIGNUM *x = NULL, *order_minus_1 = NULL;
	BN_CTX *bn = BN_CTX_secure_new();
	bool ok = false;

	if (!bn || size > PRIVATE_MAX || !o->random(o->random_ctx, wide, size + 8))
		goto out;
	x = BN_bin2bn(wide, (int)(size + 8), NULL);
	order_minus_1 = BN_dup(order);
	if (!x || !order_minus_1 || !BN_sub_word(order_minus_1, 1))
		goto out;
	BN_set_flags(x, BN_FLG_CONSTTIME);
	ok = BN_mod(x, x, order_minus_1, bn) == 1 && BN_add_word(x, 1) == 1 &&
	     BN_bn2binpad(x, secret_data_mut(out), (int)size) == (int)size;
out:
	bytes_wipe(wide, sizeof(wide));
	BN_clear_free(x);
	BN_free(order_minus_1);
	BN_CTX_free(bn);
	return ok;
}

/* ------------------------------------------------------------------- methods */

/* One kind of computation, which several methods share. */
struct kind {
	bool (*available)(enum ike_dh method);
	bool (*generate)(struct ike_openssl *o, struct ike_dh_key *key, uint8_t *public);
	bool (*derive)(const struct ike_dh_key *key, const uint8_t *peer, uint8_t *shared);
};

static bool always(enum ike_dh method)
{
	(void)method;
	return true;
}

static const struct kind modp = {ike_openssl_modp_available, ike_openssl_modp_new,
				 ike_openssl_modp_shared};
static const struct kind ecp = {ike_openssl_ecp_available, ike_openssl_ecp_new,
				ike_openssl_ecp_shared};
static const struct kind x25519 = {always, ike_openssl_x25519_new, ike_openssl_x25519_shared};
static const struct kind x448 = {ike_openssl_x448_available, ike_openssl_x448_new,
				 ike_openssl_x448_shared};
static const struct kind kem = {ike_openssl_kem_available, ike_openssl_kem_new,
				ike_openssl_kem_shared};

static const struct kind *const kinds[] = {
	[IKE_DH_MODP_1024] = &modp,     [IKE_DH_MODP_1536] = &modp,
	[IKE_DH_MODP_2048] = &modp,     [IKE_DH_MODP_3072] = &modp,
	[IKE_DH_MODP_4096] = &modp,     [IKE_DH_MODP_6144] = &modp,
	[IKE_DH_MODP_8192] = &modp,     [IKE_DH_ECP_256] = &ecp,
	[IKE_DH_ECP_384] = &ecp,        [IKE_DH_ECP_521] = &ecp,
	[IKE_DH_MODP_1024_160] = &modp, [IKE_DH_MODP_2048_224] = &modp,
	[IKE_DH_MODP_2048_256] = &modp, [IKE_DH_CURVE25519] = &x25519,
	[IKE_DH_CURVE448] = &x448,      [IKE_DH_ML_KEM_512] = &kem,
	[IKE_DH_ML_KEM_768] = &kem,     [IKE_DH_ML_KEM_1024] = &kem,
};

static const struct kind *kind_of(enum ike_dh method)
{
	return (size_t)method < sizeof(kinds) / sizeof(kinds[0]) ? kinds[method] : NULL;
}

bool ike_openssl_dh_available(void *ctx, enum ike_dh method)
{
	const struct kind *k = kind_of(method);

	(void)ctx;
	return k && k->available(method);
}

/* ---------------------------------------------------------------------- keys */

void ike_openssl_dh_free(void *ctx, struct ike_dh_key *key)
{
	(void)ctx;
	if (!key)
		return;
	secret_free(key->private);
	free(key);
}

/* The private value, and what of the public one is kept beside it. */
size_t ike_openssl_dh_save(void *ctx, const struct ike_dh_key *key, uint8_t *out, size_t size)
{
	const size_t n = secret_size(key->private);

	(void)ctx;
	if (size < sizeof(key->public) || size - sizeof(key->public) < n)
		return 0;
	memcpy(out, key->public, sizeof(key->public));
	memcpy(out + sizeof(key->public), secret_data(key->private), n);
	return sizeof(key->public) + n;
}

struct ike_dh_key *ike_openssl_dh_load(void *ctx, enum ike_dh dh, const uint8_t *data, size_t size)
{
	const struct ike_dh_desc *desc = ike_dh_desc(dh);
	uint8_t *unused = desc ? malloc(desc->public_size) : NULL;
	/* A fresh pair tells how long a private value of this method is. */
	struct ike_dh_key *key = unused ? ike_openssl_dh_new(ctx, dh, unused) : NULL;

	free(unused);
	if (!key)
		return NULL;
	if (size != sizeof(key->public) + secret_size(key->private)) {
		ike_openssl_dh_free(ctx, key);
		return NULL;
	}
	memcpy(key->public, data, sizeof(key->public));
	memcpy(secret_data_mut(key->private), data + sizeof(key->public),
	       secret_size(key->private));
	return key;
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
	if (!key || !ike_openssl_dh_available(ctx, dh) ||
	    !kind_of(dh)->generate(ctx, key, public)) {
		ike_openssl_dh_free(ctx, key);
		bytes_wipe(public, desc->public_size);
		return NULL;
	}
	return key;
}

bool ike_openssl_dh_shared(void *ctx, struct ike_dh_key *key, const uint8_t *peer, size_t peer_size,
			   uint8_t *shared)
{
	const struct ike_dh_desc *d = key->desc;
	/* RFC 7296 3.4, RFC 5903 7, RFC 8031 3.1: a public value has one size only. */
	const bool ok = peer_size == d->response_size && kind_of(d->id)->derive(key, peer, shared);

	(void)ctx;
	if (!ok)
		bytes_wipe(shared, d->shared_size);
	return ok;
}
