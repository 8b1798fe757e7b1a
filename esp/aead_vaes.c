/* SPDX-License-Identifier: Apache-2.0 */
/*
 * aead_vaes: AES-GCM over bursts of packets, for CPUs whose vectors do AES.
 *
 * A library that protects one packet after the other waits most of a short packet's time: ten to
 * fourteen rounds, each on the result of the one before, then as many multiplications. Here eight
 * vectors of four blocks are always under way, whatever packets they belong to.
 *
 * A packet is cut into chunks of four blocks from its ESP header on: the header and the IV stand where
 * GHASH has the additional data, and counter mode the block that encrypts the ICV. Four packets go
 * together, two chunks of each at a time (aead_vaes_quad.c): bursts are sorted by size, so that four
 * are nearly equally long (aead_vaes_512.c). What does not fill a four is cut in groups of eight chunks
 * (aead_vaes_groups.c): whole groups are a packet's body; the rest, the last chunk always with it, goes
 * in pieces of two, from one packet or from four.
 *
 * With more SAs than the caches have room for, each packet has a key that no cache has: then four packets
 * go together with a key in each lane, expanded on the way (aead_vaes_lanes.c). Where at least four follow each other
 * with one key, it is expanded for them first (aead_vaes_keys.c).
 *
 * Nothing here depends on a secret but the values themselves: no branch, no address (the counters'
 * table is indexed by position).
 */
#include "base/key_mem.h"
#include "base/secret.h"
#include "esp/aead_vaes.h"

#if defined(__x86_64__)
#include <cpuid.h>
#include "esp/cpu.h"

#define EBX_AVX512 (bit_BMI | bit_BMI2 | bit_AVX512F | bit_AVX512DQ | bit_AVX512BW | bit_AVX512VL)

static void vaes_ctx_free(void *ctx)
{
	key_mem_free(ctx); /* keystream and pieces of packets are in it */
}

static void swap_init(struct vaes_ctx *c)
{
	for (unsigned i = 0; i < VAES_CHUNK; i++)
		c->swap[i] = c->swap_first[i] = c->swap_esn[i] = (uint8_t)(15 - i % 16);
	/* The first block is the additional data: the header's eight bytes, then zero; with ESN
	 * (RFC 4106 5) a gap for the high half between SPI and number. 0x80 gives zero. */
	memset(c->swap_first, 0x80, 8);
	memset(c->swap_esn, 0x80, 12);
	for (unsigned i = 0; i < 4; i++)
		c->swap_esn[7 - i] = (uint8_t)(4 + i);
}

/* Four parts of nobody's packet. */
static void idle_init(struct vaes_ctx *c)
{
	c->no_job = (struct esp_job){.key = &c->no_key, .esp = c->nobody_pair};
	c->nobody.icv = c->waste;
	c->nobody.h1 = c->nothing;
	c->nobody.ok = &c->nobody_ok;
	c->idle.kind = VAES_ENDS;
	for (unsigned i = 0; i < VAES_PARTS; i++)
		c->idle.parts[i] = (struct vaes_part){
			.at = c->waste,
			.esp = c->nothing,
			.key = &c->no_key,
			.ctr = c->ctrs[0],
			.h = c->no_key.h[0],
			.z = c->nothing,
			.swap = c->swap,
			.y0 = c->waste,
			.pkt = &c->nobody,
		};
}

static void *vaes_ctx_new(void)
{
	struct vaes_ctx *c =
		vaes_cpu_has(EBX_AVX512, ESP_XCR0_AVX512) ? key_mem_alloc(sizeof(*c)) : NULL;

	if (!c)
		return NULL;
	swap_init(c);
	vaes_512_ctx_init(c);
	for (uint32_t i = 0; i < VAES_CTRS; i++)
		esp_put32(c->ctrs[i] + 12, i + 1);
	idle_init(c);
	return c;
}

static struct esp_key *vaes_key_new(void *ctx, const struct esp_suite *s, bool esn,
				    const uint8_t *encr_key, const uint8_t *integ_key)
{
	struct esp_key *k;

	if (!vaes_supports(s))
		return NULL;
	k = key_mem_alloc(sizeof(*k));
	if (!k)
		return NULL;
	memcpy(k->salt, encr_key + s->encr_key_bits / 8, sizeof(k->salt));
	k->icv_words = (uint8_t)((1u << s->icv_size / 4) - 1);
	k->esn = esn;
	k->aad_bits = esn ? 96 : 64;
	vaes_512_key_init(k, encr_key, s->encr_key_bits);
	return k;
}

static void vaes_key_free(struct esp_key *k)
{
	key_mem_free(k);
}

static void vaes_seal(void *ctx, struct esp_job *jobs, size_t n)
{
	vaes_512_seal(ctx, jobs, n);
}

static void vaes_open(void *ctx, struct esp_job *jobs, size_t n)
{
	vaes_512_open(ctx, jobs, n);
}

/* What of a key is not computed from the rest: see aead_vaes_keys.c. */
static void vaes_prefetch(const struct esp_key *k)
{
	__builtin_prefetch(k);
}

const struct esp_backend esp_backend_vaes = {
	.name = "vaes",
	.supports = vaes_supports,
	.keys_shared = true,
	.ctx_new = vaes_ctx_new,
	.ctx_free = vaes_ctx_free,
	.key_new = vaes_key_new,
	.key_free = vaes_key_free,
	.seal = vaes_seal,
	.open = vaes_open,
	.prefetch = vaes_prefetch,
};
#endif
