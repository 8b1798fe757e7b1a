/* SPDX-License-Identifier: Apache-2.0 */
/*
 * crypto_nettle_ecp: ECP 384 on nettle, whose multiplication takes constant time and, beside the
 * libcrypto of Debian 12, less than half as long. GMP's memory is wiped when it is given back, since
 * scalars pass through it.
 */
#include <stdlib.h>
#include <string.h>
#include <gmp.h>
#include <nettle/ecc-curve.h>
#include <nettle/ecc.h>
#include "base/secret.h"
#include "ike/crypto_nettle_ecp.h"

/* GMP cannot report a lack of memory, and must not return. */
static void *take(size_t size)
{
	void *p = malloc(size);

	if (!p)
		abort();
	return p;
}

static void give(void *p, size_t size)
{
	bytes_wipe(p, size);
	free(p);
}

static void *change(void *p, size_t old_size, size_t new_size)
{
	void *q = take(new_size);

	memcpy(q, p, old_size < new_size ? old_size : new_size);
	give(p, old_size);
	return q;
}

void ike_nettle_load(void)
{
	mp_set_memory_functions(take, change, give);
}

static void put(const mpz_t n, size_t size, uint8_t *out)
{
	const size_t n_bytes = (mpz_sizeinbase(n, 2) + 7) / 8;

	memset(out, 0, size);
	if (mpz_sgn(n) != 0 && n_bytes <= size)
		mpz_export(out + size - n_bytes, NULL, 1, 1, 1, 0, n);
}

bool ike_nettle_p384(const struct secret *private, const uint8_t *peer, bool y_too, uint8_t *out)
{
	const struct ecc_curve *curve = nettle_get_secp_384r1();
	struct ecc_scalar scalar;
	struct ecc_point point;
	mpz_t x, y;
	bool ok;

	ecc_scalar_init(&scalar, curve);
	ecc_point_init(&point, curve);
	mpz_init2(x, 8 * IKE_NETTLE_P384_SIZE);
	mpz_init2(y, 8 * IKE_NETTLE_P384_SIZE);
	mpz_import(x, IKE_NETTLE_P384_SIZE, 1, 1, 1, 0, secret_data(private));
	ok = ecc_scalar_set(&scalar, x) == 1; /* 0 < private < order */
	if (ok && peer) {
		mpz_import(x, IKE_NETTLE_P384_SIZE, 1, 1, 1, 0, peer);
		mpz_import(y, IKE_NETTLE_P384_SIZE, 1, 1, 1, 0, peer + IKE_NETTLE_P384_SIZE);
		/* RFC 6989 2.3: coordinates below p, and on the curve. */
		ok = ecc_point_set(&point, x, y) == 1;
		if (ok)
			ecc_point_mul(&point, &scalar, &point);
	} else if (ok) {
		ecc_point_mul_g(&point, &scalar);
	}
	if (ok) {
		ecc_point_get(&point, x, y);
		put(x, IKE_NETTLE_P384_SIZE, out);
		if (y_too)
			put(y, IKE_NETTLE_P384_SIZE, out + IKE_NETTLE_P384_SIZE);
	}
	mpz_clear(x);
	mpz_clear(y);
	ecc_point_clear(&point);
	ecc_scalar_clear(&scalar);
	return ok;
}
