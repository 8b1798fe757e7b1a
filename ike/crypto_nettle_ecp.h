/* SPDX-License-Identifier: Apache-2.0 */
/* crypto_nettle_ecp: multiplication on secp384r1, for crypto_openssl_ecp.c. */
#ifndef IKE_CRYPTO_NETTLE_ECP_H
#define IKE_CRYPTO_NETTLE_ECP_H

#include <stdbool.h>
#include <stdint.h>
#include "base/secret.h"

#define IKE_NETTLE_P384_SIZE 48 /* bytes of a coordinate and of a private value, big-endian */

/* Once, before anything of GMP's is used in the process. */
void ike_nettle_load(void);
/*
 * private * peer (x | y; NULL: the generator). Writes x and, if `y_too`, y. False when the private value
 * is not in 1..order-1, or the peer's is no point of the curve.
 */
bool ike_nettle_p384(const struct secret *private, const uint8_t *peer, bool y_too, uint8_t *out);

#endif
