/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fake_kem: seed -> encapsulation key = stream(seed) | check of it; ciphertext = m | stream(m, key);
 * secret = prf(m, key). A ciphertext that was changed gives another secret (implicit rejection, FIPS 203
 * 6.3), an encapsulation key that was changed is refused (7.2).
 */
#include "tests/sim/fake_kem.h"
#include <stdlib.h>
#include <string.h>
#include "ike/crypto_openssl_int.h"

#define SEED_SIZE  64
#define BLOCK      32
#define LARGEST_EK 1568

static struct ike_crypto real; /* its functions are the same for every context */

static bool block(void *ctx, const uint8_t *key, size_t key_size, const void *data, size_t size,
		  uint8_t out[BLOCK])
{
	const struct ike_iov in = {data, size};

	return real.prf(ctx, IKE_PRF_HMAC_SHA2_256, key, key_size, &in, 1, out);
}

static bool stream(void *ctx, const uint8_t *key, size_t key_size, uint8_t *out, size_t size)
{
	uint8_t one[BLOCK];

	for (uint32_t n = 0; size; n++) {
		const size_t part = size < BLOCK ? size : BLOCK;

		if (!block(ctx, key, key_size, &n, sizeof(n), one))
			return false;
		memcpy(out, one, part);
		out += part;
		size -= part;
	}
	return true;
}

static bool encapsulation_key(void *ctx, const struct ike_dh_key *key, uint8_t *ek)
{
	const size_t body = key->desc->public_size - BLOCK;

	return stream(ctx, secret_data(key->private), SEED_SIZE, ek, body) &&
	       block(ctx, (const uint8_t *)"check", 5, ek, body, ek + body);
}

static bool from_m(void *ctx, const struct ike_dh_desc *d, const uint8_t m[BLOCK],
		   const uint8_t *ek, uint8_t *ciphertext, uint8_t *shared)
{
	uint8_t key[2 * BLOCK];

	memcpy(key, m, BLOCK);
	memcpy(key + BLOCK, ek + d->public_size - BLOCK, BLOCK);
	memcpy(ciphertext, m, BLOCK);
	return stream(ctx, key, sizeof(key), ciphertext + BLOCK, d->response_size - BLOCK) &&
	       block(ctx, key, sizeof(key), "shared", 6, shared);
}

static bool is_kem(enum ike_dh dh)
{
	const struct ike_dh_desc *d = ike_dh_desc(dh);

	return d && d->kem;
}

static struct ike_dh_key *dh_new(void *ctx, enum ike_dh dh, uint8_t *public)
{
	struct ike_dh_key *key;

	if (!is_kem(dh))
		return real.dh_new(ctx, dh, public);
	key = calloc(1, sizeof(*key));
	if (key) {
		key->desc = ike_dh_desc(dh);
		key->private = secret_new(SEED_SIZE);
	}
	if (!key || !key->private || !real.random(ctx, secret_data_mut(key->private), SEED_SIZE) ||
	    !encapsulation_key(ctx, key, public)) {
		real.dh_free(ctx, key);
		return NULL;
	}
	return key;
}

static bool dh_shared(void *ctx, struct ike_dh_key *key, const uint8_t *peer, size_t peer_size,
		      uint8_t *shared)
{
	uint8_t ek[LARGEST_EK], again[LARGEST_EK];
	const struct ike_dh_desc *d = key->desc;

	if (!d->kem)
		return real.dh_shared(ctx, key, peer, peer_size, shared);
	if (peer_size != d->response_size || !encapsulation_key(ctx, key, ek) ||
	    !from_m(ctx, d, peer, ek, again, shared)) {
		memset(shared, 0, d->shared_size);
		return false;
	}
	if (memcmp(again, peer, peer_size) != 0)
		return block(ctx, secret_data(key->private), SEED_SIZE, peer, peer_size, shared);
	return true;
}

static bool kem_encapsulate(void *ctx, enum ike_dh method, const uint8_t *peer, size_t peer_size,
			    uint8_t *ciphertext, uint8_t *shared)
{
	const struct ike_dh_desc *d = ike_dh_desc(method);
	uint8_t m[BLOCK], check[BLOCK];

	if (!d || !d->kem)
		return false;
	if (peer_size == d->public_size &&
	    block(ctx, (const uint8_t *)"check", 5, peer, peer_size - BLOCK, check) &&
	    !memcmp(check, peer + peer_size - BLOCK, BLOCK) && real.random(ctx, m, sizeof(m)) &&
	    from_m(ctx, d, m, peer, ciphertext, shared))
		return true;
	memset(ciphertext, 0, d->response_size);
	memset(shared, 0, d->shared_size);
	return false;
}

static struct ike_dh_key *dh_load(void *ctx, enum ike_dh dh, const uint8_t *data, size_t size)
{
	uint8_t unused[LARGEST_EK];
	struct ike_dh_key *key;

	if (!is_kem(dh))
		return real.dh_load(ctx, dh, data, size);
	key = size == sizeof(key->public) + SEED_SIZE ? dh_new(ctx, dh, unused) : NULL;
	if (key)
		memcpy(secret_data_mut(key->private), data + sizeof(key->public), SEED_SIZE);
	return key;
}

static bool dh_available(void *ctx, enum ike_dh method)
{
	return is_kem(method) || real.dh_available(ctx, method);
}

void fake_kem(struct ike_crypto *c)
{
	real = *c;
	c->dh_new = dh_new;
	c->dh_shared = dh_shared;
	c->dh_load = dh_load;
	c->kem_encapsulate = kem_encapsulate;
	c->dh_available = dh_available;
}
