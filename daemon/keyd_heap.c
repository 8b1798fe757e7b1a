/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/keyd_heap.h"

#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <openssl/crypto.h>

/* A key of P-256 takes 2 kB, one of RSA 2048 6 kB. The small size where little may be locked. */
#define SECURE_SIZE  (16u << 20)
#define SECURE_SMALL (4u << 20)
#define LIMIT_LOW    (64u << 20)
#define SECURE_BLOCK 32u

static struct {
	bool on;
	uintptr_t near; /* an address in the secure heap; 0: there is none */
} shelter;

static void *heap_malloc(size_t size, const char *file, int line)
{
	void *p = shelter.on ? CRYPTO_secure_malloc(size, file, line) : NULL;

	/* Where the secure heap is full, what lives on in it cannot be made, and says so. */
	return p ? p : malloc(size);
}

/* Far from the secure heap without a look at its lock: most of what is freed. */
static bool is_sheltered(const void *p)
{
	const uintptr_t at = (uintptr_t)p, near = shelter.near;

	return near && (at > near ? at - near : near - at) < SECURE_SIZE &&
	       CRYPTO_secure_allocated(p) == 1;
}

static size_t usable(void *p)
{
	return is_sheltered(p) ? CRYPTO_secure_actual_size(p) : malloc_usable_size(p);
}

static void heap_free(void *p, const char *file, int line)
{
	if (!p)
		return;
	if (is_sheltered(p)) {
		CRYPTO_secure_free(p, file, line); /* wipes */
		return;
	}
	explicit_bzero(p, malloc_usable_size(p));
	free(p);
}

static void *heap_realloc(void *p, size_t size, const char *file, int line)
{
	const size_t old = p ? usable(p) : 0;
	void *new;

	/* Never realloc(): it leaves the old copy behind. */
	if (size == 0) {
		heap_free(p, file, line);
		return NULL;
	}
	new = heap_malloc(size, file, line);
	if (!new)
		return NULL;
	if (p) {
		memcpy(new, p, old < size ? old : size);
		heap_free(p, file, line);
	}
	return new;
}

void keyd_heap_shelter(bool on)
{
	shelter.on = on && shelter.near;
}

static size_t secure_size(void)
{
	struct rlimit r;

	return getrlimit(RLIMIT_MEMLOCK, &r) == 0 && r.rlim_cur >= LIMIT_LOW ? SECURE_SIZE
									     : SECURE_SMALL;
}

bool keyd_heap_init(const char **problem)
{
	void *first;

	if (CRYPTO_set_mem_functions(heap_malloc, heap_realloc, heap_free) != 1) {
		*problem = "libcrypto was in use already";
		return false;
	}
	/* 2: it works, but some of its protection was not to be had. */
	if (CRYPTO_secure_malloc_init(secure_size(), SECURE_BLOCK) != 1) {
		*problem = "libcrypto's secure heap is not locked or guarded: raise LimitMEMLOCK";
		return false;
	}
	first = CRYPTO_secure_malloc(SECURE_BLOCK, NULL, 0);
	shelter.near = (uintptr_t)first;
	CRYPTO_secure_free(first, NULL, 0);
	return true;
}
