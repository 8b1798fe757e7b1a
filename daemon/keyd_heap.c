/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/keyd_heap.h"

#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <openssl/crypto.h>

#define SECURE_SIZE  (4u << 20) /* more than a thousand RSA keys */
#define SECURE_BLOCK 32u

static void *heap_malloc(size_t size, const char *file, int line)
{
	return malloc(size);
}

static void heap_free(void *p, const char *file, int line)
{
	if (!p)
		return;
	explicit_bzero(p, malloc_usable_size(p));
	free(p);
}

static void *heap_realloc(void *p, size_t size, const char *file, int line)
{
	const size_t old = p ? malloc_usable_size(p) : 0;
	void *new;

	/* Never realloc(): it leaves the old copy behind. */
	if (size == 0) {
		heap_free(p, file, line);
		return NULL;
	}
	new = malloc(size);
	if (!new)
		return NULL;
	if (p) {
		memcpy(new, p, old < size ? old : size);
		heap_free(p, file, line);
	}
	return new;
}

bool keyd_heap_init(const char **problem)
{
	if (CRYPTO_set_mem_functions(heap_malloc, heap_realloc, heap_free) != 1) {
		*problem = "libcrypto was in use already";
		return false;
	}
	/* 2: it works, but some of its protection was not to be had. */
	if (CRYPTO_secure_malloc_init(SECURE_SIZE, SECURE_BLOCK) != 1) {
		*problem = "libcrypto's secure heap is not locked or guarded: raise LimitMEMLOCK";
		return false;
	}
	return true;
}
