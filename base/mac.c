/* SPDX-License-Identifier: Apache-2.0 */
/* mac: SipHash, as libsodium has it. See mac.h. */
#include "base/mac.h"

#include <assert.h>
#include <sodium.h>

static_assert(crypto_shorthash_siphashx24_KEYBYTES == MAC_KEY_SIZE, "the key");
static_assert(crypto_shorthash_siphashx24_BYTES == MAC_SIZE, "the value");

void mac_of(const uint8_t key[MAC_KEY_SIZE], const void *data, size_t size, uint8_t out[MAC_SIZE])
{
	(void)crypto_shorthash_siphashx24(out, data, size, key); /* cannot fail */
}
