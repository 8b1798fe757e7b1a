/* SPDX-License-Identifier: Apache-2.0 */
/*
 * aead_vaes_256: AES-GCM over bursts of packets, for CPUs whose vectors of 256 bits do AES, and that have no
 * AVX-512: AMD's Zen 3, Intel's clients since Alder Lake and servers of efficient cores.
 *
 * As in aead_vaes.c, eight vectors are always under way, here of two blocks each, and a packet is cut from its
 * ESP header on: the header and the IV stand where GHASH has the additional data, and counter mode
 * the block that encrypts the ICV. There are half as many registers, and none for masks: the sums of four packets
 * would not fit, so that packets go one after the other, or two at a time if they are short
 * (aead_vaes_256_burst.c), and nothing is sorted.
 *
 * Nothing here depends on a secret but the values themselves: no branch, no address (the counters'
 * table is indexed by position).
 */
#include "base/key_mem.h"
#include "base/secret.h"

#if defined(__x86_64__)
#include <cpuid.h>
#include "esp/aead_vaes_256.h"
#include "esp/cpu.h"

static void y_ctx_free(void *ctx)
{
	key_mem_free(ctx); /* key stream and pieces of packets are in it */
}

static void *y_ctx_new(void)
{
	struct y_ctx *c = vaes_cpu_has(bit_BMI | bit_AVX2 | bit_BMI2, ESP_XCR0_AVX)
				  ? key_mem_alloc(sizeof(*c))
				  : NULL;

	if (!c)
		return NULL;
	for (unsigned i = 0; i < Y_VECTOR; i++)
		c->swap[i] = (uint8_t)(15 - i % 16);
	memset(c->mask, 0xff, Y_VECTOR);
	memset(c->text[0] + Y_BLOCK, 0xff, 2 * Y_VECTOR - Y_BLOCK);
	for (uint32_t i = 0; i < Y_COUNTERS; i++)
		esp_put32(c->ctrs[i] + 12, i + 1);
	c->idle.kind = Y_ONE;
	c->idle.packet[0] = &c->nobody;
	c->idle.h[0] = c->no_key.h[0];
	return c;
}

VAES_256 static void y_key_init(struct esp_key *k, const uint8_t *key, unsigned bits)
{
	const uint8_t *salt = key + bits / 8;
	__m128i h, power, below[2] = {_mm_setzero_si128(), _mm_setzero_si128()};

	k->n_rounds = (uint8_t)vaes_round_keys(k->rk, key, bits);
	for (unsigned i = 0; i < Y_BLOCK; i++)
		k->nonce[i] = (uint8_t)(k->rk[0][i] ^ (i < AEAD_SALT_SIZE ? salt[i] : 0));
	vaes_hash_key(k->h[Y_POWERS - 1], (const void *)k->rk, k->n_rounds);
	h = power = load_block(k->h[Y_POWERS - 1]);
	for (unsigned n = 1; n <= Y_POWERS; n++) {
		const __m128i halves = _mm_xor_si128(power, swap_halves(power));

		_mm_store_si128((void *)k->h[Y_POWERS - n], power);
		_mm_store_si128((void *)k->mid[Y_POWERS - n],
				_mm_unpacklo_epi64(halves, below[n % 2]));
		below[n % 2] = halves;
		power = reduce(multiply(power, h));
	}
}

static struct esp_key *y_key_new(void *ctx, const struct esp_suite *s, bool esn,
				 const uint8_t *encr_key, const uint8_t *integ_key)
{
	struct esp_key *k = vaes_supports(s) ? key_mem_alloc(sizeof(*k)) : NULL;

	if (!k)
		return NULL;
	k->icv_size = s->icv_size;
	k->esn = esn;
	k->aad_bits = esn ? 96 : 64;
	y_key_init(k, encr_key, s->encr_key_bits);
	return k;
}

static void y_key_free(struct esp_key *k)
{
	key_mem_free(k);
}

static void y_seal(void *ctx, struct esp_job *jobs, size_t n)
{
	vaes_256_seal(ctx, jobs, n);
}

static void y_open(void *ctx, struct esp_job *jobs, size_t n)
{
	vaes_256_open(ctx, jobs, n);
}

/* What a short packet needs: the lowest powers, and the round keys. */
static void y_prefetch(const struct esp_key *k)
{
	__builtin_prefetch(k->h[Y_POWERS - 4]);
	__builtin_prefetch(k->h[Y_POWERS - 8]);
	__builtin_prefetch(k->mid[Y_POWERS - 4]);
	__builtin_prefetch(k->mid[Y_POWERS - 8]);
	for (unsigned i = 0; i < sizeof(k->rk); i += 64)
		__builtin_prefetch(k->rk[0] + i);
}

const struct esp_backend esp_backend_vaes_256 = {
	.name = "vaes-256",
	.supports = vaes_supports,
	.keys_shared = true,
	.ctx_new = y_ctx_new,
	.ctx_free = y_ctx_free,
	.key_new = y_key_new,
	.key_free = y_key_free,
	.seal = y_seal,
	.open = y_open,
	.prefetch = y_prefetch,
};
#endif
