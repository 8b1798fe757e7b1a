/* SPDX-License-Identifier: Apache-2.0 */
/* sk: the Encrypted payload (RFC 7296 3.14, RFC 5282) and the Encrypted Fragment (RFC 7383 2.5). */
#ifndef IKE_SK_H
#define IKE_SK_H

#include "ike/keys.h"
#include "ike/msg.h"

/* One direction's keys: SK_e with its salt, SK_a (NULL with AEAD). */
struct ike_sk_dir {
	const struct secret *e, *a;
};

/* Which fragment of how many, from 1. */
struct ike_sk_part {
	uint16_t number, total;
};

/*
 * Builds a whole protected message: header `h` (next payload is set here), SK with the inner chain.
 * `iv_counter` is used and advanced for AEAD: never the same IV twice under one key (RFC 5282 3.1);
 * CBC draws its IV from crypto->random. Returns the message's size, 0 on failure.
 */
size_t ike_sk_seal(const struct ike_crypto *c, const struct ike_suite *suite, struct ike_sk_dir k,
		   uint64_t *iv_counter, const struct ike_header *h, uint8_t first_inner,
		   const uint8_t *inner, size_t inner_size, uint8_t *out, size_t out_size);

/* The same with an Encrypted Fragment payload. `first_inner` counts in fragment 1 alone. */
size_t ike_sk_seal_part(const struct ike_crypto *c, const struct ike_suite *suite,
			struct ike_sk_dir k, uint64_t *iv_counter, const struct ike_header *h,
			uint8_t first_inner, struct ike_sk_part part, const uint8_t *inner,
			size_t inner_size, uint8_t *out, size_t out_size);

/* The most inner bytes that a message of `size` bytes holds; 0 when none. */
size_t ike_sk_room(const struct ike_suite *suite, bool fragment, size_t size);
/* The size of a message with so many inner bytes; 0 for a suite that is not supported. */
size_t ike_sk_sealed_size(const struct ike_suite *suite, bool fragment, size_t inner_size);

/*
 * Authenticates and decrypts the SK or SKF payload of `data` (parsed into `msg`). The plaintext is written
 * to `plain` (plain_size >= size); on success *inner lends the inner chain within it. ICV first;
 * any padding value is accepted.
 */
enum ike_err ike_sk_open(const struct ike_crypto *c, const struct ike_suite *suite,
			 struct ike_sk_dir k, const uint8_t *data, size_t size,
			 const struct ike_msg *msg, uint8_t *plain, size_t plain_size,
			 struct rd *inner);

#endif
