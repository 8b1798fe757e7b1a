/* SPDX-License-Identifier: Apache-2.0 */
/* util: what the tests of the wire half share: hex, a repeatable generator, sample messages. */
#ifndef TESTS_IKE_UTIL_H
#define TESTS_IKE_UTIL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "ike/crypto.h"
#include "ike/msg.h"

/* Decodes hex (spaces are skipped) and returns the number of bytes; the test fails on anything else. */
size_t unhex(const char *hex, uint8_t *out, size_t size);

/* A repeatable generator for ike_crypto_openssl(): the state is one counter. */
struct test_random {
	uint64_t state;
};
bool test_random(void *ctx, uint8_t *out, size_t size);

/* OpenSSL's primitives over a generator that starts at `seed`. */
struct ike_crypto test_crypto(struct test_random *r, uint64_t seed);

/* A header for messages of one exchange. */
struct ike_header test_header(uint8_t exchange, uint8_t flags, uint32_t message_id);

/* Messages in the clear that hold every payload there is. `n` from 0; returns the size, 0 = no more. */
#define SAMPLE_MAX 3000
size_t sample(size_t n, uint8_t out[SAMPLE_MAX]);

/*
 * Rebuilds what was parsed with the product's builders into a chain without a header, and parses
 * it again; true if both say the same. SA payloads are compared by what can be chosen from them.
 */
bool rebuilds(const struct ike_msg *msg);

#endif
