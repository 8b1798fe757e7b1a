/* SPDX-License-Identifier: Apache-2.0 */
/* crypto_mem: OpenSSL's allocator. See crypto_mem.h. */
#include "dataplane/crypto_mem.h"

#include <stddef.h>
#include <openssl/crypto.h>
#include "base/key_mem.h"

static void *take(size_t size, const char *file, int line)
{
	return key_mem_alloc(size);
}

static void *resize(void *p, size_t size, const char *file, int line)
{
	return key_mem_resize(p, size);
}

static void give(void *p, const char *file, int line)
{
	key_mem_free(p);
}

bool dp_crypto_mem_init(void)
{
	return CRYPTO_set_mem_functions(take, resize, give) == 1;
}
