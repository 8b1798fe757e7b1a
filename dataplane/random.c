/* SPDX-License-Identifier: Apache-2.0 */
/* random: a generator for CBC initialisation vectors. See random.h. */
#include "dataplane/random.h"

#include <sodium.h>
#include <string.h>

void dp_random_init(struct dp_random *r)
{
	randombytes_buf(r->key, sizeof(r->key));
	r->used = sizeof(r->buf);
}

static void refill(struct dp_random *r)
{
	static const uint8_t nonce[crypto_stream_chacha20_NONCEBYTES];

	(void)crypto_stream_chacha20(r->buf, sizeof(r->buf), nonce, r->key);
	memcpy(r->key, r->buf, sizeof(r->key));
	sodium_memzero(r->buf, sizeof(r->key));
	r->used = sizeof(r->key);
}

void dp_random_fill(void *arg, uint8_t *out, size_t size)
{
	struct dp_random *r = arg;

	while (size > 0) {
		size_t n;

		if (r->used == sizeof(r->buf))
			refill(r);
		n = sizeof(r->buf) - r->used;
		if (n > size)
			n = size;
		memcpy(out, r->buf + r->used, n);
		memset(r->buf + r->used, 0, n);
		r->used += n;
		out += n;
		size -= n;
	}
}

void dp_random_wipe(struct dp_random *r)
{
	sodium_memzero(r, sizeof(*r));
}
