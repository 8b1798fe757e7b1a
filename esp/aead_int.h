/* SPDX-License-Identifier: Apache-2.0 */
/* aead_int: what the backends share. */
#ifndef ESP_AEAD_INT_H
#define ESP_AEAD_INT_H

#include <stdlib.h>
#include <string.h>
#include "esp/esp_int.h"

/* RFC 4106 4, RFC 4543 3.2, RFC 7634 2: the nonce is the salt and the packet's IV. */
#define AEAD_NONCE_SIZE 12u
#define AEAD_SALT_SIZE  4u
#define AEAD_IV_SIZE    8u
#define AEAD_AAD_MAX    12u
#define AEAD_CBC_BLOCK  16u

/* RFC 4106 5: SPI and sequence number; with ESN the 64-bit number. */
static inline void aead_aad_esn(uint8_t out[AEAD_AAD_MAX], const struct esp_job *j)
{
	memcpy(out, j->esp, 4);
	esp_put32(out + 4, j->seq_hi);
	memcpy(out + 8, j->esp + 4, 4);
}

/* Memory for a backend's trials. */
static inline void *aead_mem_new(const struct esp_backend *b, size_t size)
{
	return b->mem_new ? b->mem_new(size) : calloc(1, size);
}

static inline void aead_mem_free(const struct esp_backend *b, void *mem)
{
	if (b->mem_free)
		b->mem_free(mem);
	else
		free(mem);
}

/* The caller's promise, checked where a backend would write past the end otherwise. */
static inline bool aead_cbc_size_ok(const struct esp_job *j)
{
	return j->payload_size != 0 && j->payload_size % AEAD_CBC_BLOCK == 0;
}

static inline uint64_t aead_load64(const uint8_t *p)
{
	uint64_t v;

	memcpy(&v, p, 8);
	return v;
}

/* ICVs are 8, 12, 16, 24 or 32 bytes: never less than the one word that may overlap another. */
static inline bool aead_equal_ct(const uint8_t *a, const uint8_t *b, size_t size)
{
	uint64_t diff = aead_load64(a + size - 8) ^ aead_load64(b + size - 8);

	for (size_t i = 0; i + 8 < size; i += 8)
		diff |= aead_load64(a + i) ^ aead_load64(b + i);
	/* Keeps the compiler from turning the loop into one with an early exit. */
	__asm__("" : "+r"(diff));
	return diff == 0;
}

#endif
