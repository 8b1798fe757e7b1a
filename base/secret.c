/* SPDX-License-Identifier: Apache-2.0 */
/*
 * secret: key material in libsodium's guarded memory. See secret.h.
 *
 * One allocation holds a small header and the bytes, the bytes flush with its end, so that reading
 * or writing past them hits the guard page at once. The pages are locked, left out of core dumps
 * and, where the kernel can, wiped in a forked child: there the secret has size 0.
 */
#include "base/secret.h"

#include <errno.h>
#include <sodium.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#define SECRET_ALIGN 16u
#define SECRET_MAX   (1u << 20)
#define SECRET_LIVE  0x5ec2e7a11fe5afe5u

struct secret {
	uint64_t live; /* SECRET_LIVE, or 0 in a child that the kernel wiped it for */
	size_t size;
};

static _Atomic(const char *) why = "none";

static size_t total_of(size_t size)
{
	return (sizeof(struct secret) + size + SECRET_ALIGN - 1) & ~(size_t)(SECRET_ALIGN - 1);
}

bool secret_init(void)
{
	if (sodium_init() >= 0)
		return true;
	why = "libsodium could not start: the system's random generator does not answer";
	return false;
}

const char *secret_error(void)
{
	return why;
}

static void wipe_on_fork(void *p, size_t size)
{
	const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
	const uintptr_t first = (uintptr_t)p & ~(page - 1);

	/* Best effort: kernels before 4.14 refuse. */
	(void)madvise((void *)first, (uintptr_t)p + size - first, MADV_WIPEONFORK);
}

struct secret *secret_new(size_t size)
{
	const size_t total = total_of(size);
	struct secret *s;

	if (size > SECRET_MAX) {
		why = "a secret of more than 1 MiB was asked for";
		errno = EINVAL;
		return NULL;
	}
	s = sodium_malloc(total);
	if (!s) {
		why = "out of memory for keys (or of memory maps: see vm.max_map_count)";
		return NULL;
	}
	/* sodium_malloc() tries to lock but does not tell; ask again, which is harmless. */
	if (sodium_mlock(s, total) != 0) {
		const int e = errno;

		sodium_free(s);
		why = "cannot lock memory for keys: raise the limit of locked memory "
		      "(RLIMIT_MEMLOCK, systemd's LimitMEMLOCK=) or grant CAP_IPC_LOCK";
		errno = e;
		return NULL;
	}
	wipe_on_fork(s, total);
	memset(s, 0, total);
	s->live = SECRET_LIVE;
	s->size = size;
	return s;
}

struct secret *secret_from(const void *data, size_t size)
{
	struct secret *s = secret_new(size);

	if (s && size)
		memcpy(secret_data_mut(s), data, size);
	return s;
}

struct secret *secret_clone(const struct secret *s)
{
	return s ? secret_from(secret_data(s), secret_size(s)) : NULL;
}

void secret_free(struct secret *s)
{
	/* In a forked child the kernel has wiped the pages, libsodium's canary included. */
	if (!s || s->live != SECRET_LIVE)
		return;
	sodium_free(s);
}

size_t secret_size(const struct secret *s)
{
	return s ? s->size : 0;
}

const uint8_t *secret_data(const struct secret *s)
{
	return (const uint8_t *)s + total_of(s->size) - s->size;
}

uint8_t *secret_data_mut(struct secret *s)
{
	return (uint8_t *)s + total_of(s->size) - s->size;
}

bool secret_equal(const struct secret *a, const struct secret *b)
{
	if (!a || !b || a->size != b->size)
		return false;
	return bytes_equal_ct(secret_data(a), secret_data(b), a->size);
}

bool bytes_equal_ct(const void *a, const void *b, size_t size)
{
	return size == 0 || sodium_memcmp(a, b, size) == 0;
}

void bytes_wipe(void *data, size_t size)
{
	if (size)
		sodium_memzero(data, size);
}

void random_bytes_fill(void *out, size_t size)
{
	randombytes_buf(out, size);
}

bool process_harden_memory(void)
{
	const struct rlimit none = {0, 0};

	return setrlimit(RLIMIT_CORE, &none) == 0 && prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == 0;
}
