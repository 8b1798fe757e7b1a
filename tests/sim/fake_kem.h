/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fake_kem: something of ML-KEM's shape for tests on machines whose libcrypto has none. NOT a KEM:
 * who sees the messages can compute the secret. Sizes, roles and refusals are those of FIPS 203, so that
 * what RFC 9370 makes of it can be tested anywhere; everything else goes to the primitives beneath.
 */
#ifndef TESTS_SIM_FAKE_KEM_H
#define TESTS_SIM_FAKE_KEM_H

#include "ike/crypto.h"

/* Replaces what `c` does for ML-KEM. `c` was filled by ike_crypto_openssl(). */
void fake_kem(struct ike_crypto *c);

#endif
