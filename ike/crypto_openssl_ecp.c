/* SPDX-License-Identifier: Apache-2.0 */
/* crypto_openssl_ecp: the NIST curves (RFC 5903); what nettle multiplies faster is its part. */
#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/objects.h>
#include "ike/crypto_nettle_ecp.h"
#include "ike/crypto_openssl_int.h"

/* Public parameters, made once and then only read. */
static EC_GROUP *groups[3];
static CRYPTO_ONCE once = CRYPTO_ONCE_STATIC_INIT;

static void load(void)
{
	groups[0] = EC_GROUP_new_by_curve_name(NID_X9_62_prime256v1);
	groups[1] = EC_GROUP_new_by_curve_name(NID_secp384r1);
	groups[2] = EC_GROUP_new_by_curve_name(NID_secp521r1);
	ike_nettle_load();
}

bool ike_openssl_ecp_available(enum ike_dh method)
{
	(void)method;
	return CRYPTO_THREAD_run_once(&once, load) && groups[0] && groups[1] && groups[2];
}

static const EC_GROUP *group_of(const struct ike_dh_key *key)
{
	return groups[key->desc->id - IKE_DH_ECP_256];
}

/*
 * private * point (NULL: the generator). Writes x and, if `y_too`, y, each `size` bytes
 * (RFC 5903 7: public values are x | y; 9: the shared secret is x).
 */
static bool multiply(const EC_GROUP *group, const EC_POINT *point, const struct secret *private,
		     size_t size, bool y_too, uint8_t *out)
{
	BIGNUM *d = ike_openssl_private(private), *x = BN_new(), *y = BN_new();
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

bool ike_openssl_ecp_new(struct ike_openssl *o, struct ike_dh_key *key, uint8_t *public)
{
	const EC_GROUP *group = group_of(key);
	const size_t size = key->desc->shared_size;

	key->private = secret_new(size);
	if (!key->private ||
	    !ike_openssl_private_below(o, EC_GROUP_get0_order(group), key->private))
		return false;
	if (key->desc->id == IKE_DH_ECP_384)
		return ike_nettle_p384(key->private, NULL, true, public);
	return multiply(group, NULL, key->private, size, true, public);
}

static bool shared_openssl(const struct ike_dh_key *key, const uint8_t *peer, uint8_t *shared)
{
	const EC_GROUP *group = group_of(key);
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
			multiply(group, point, key->private, size, false, shared);

	BN_free(x);
	BN_free(y);
	BN_free(p);
	EC_POINT_free(point);
	BN_CTX_free(bn);
	return ok;
}

bool ike_openssl_ecp_shared(const struct ike_dh_key *key, const uint8_t *peer, uint8_t *shared)
{
	if (key->desc->id == IKE_DH_ECP_384)
		return ike_nettle_p384(key->private, peer, false, shared);
	return shared_openssl(key, peer, shared);
}
