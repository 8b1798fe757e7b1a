/* SPDX-License-Identifier: Apache-2.0 */
/*
 * secret: key material in libsodium's guarded memory. See secret.h.
 *
 * A guarded region costs four mappings, a locked page and half a dozen system calls, so small
 * secrets share one: a slab is a region cut into slots of one size class. A larger secret has a
 * slab of one slot to itself, its bytes flush with the end of the region, so that reading or
 * writing past them hits the guard page at once. In a shared slab each secret is followed by a
 * canary instead, checked when it is freed; under AddressSanitizer everything but the bytes of
 * live secrets is poisoned.
 *
 * All bookkeeping (struct slab with its handles, struct secret) is ordinary memory: no overflow of
 * a secret can reach it, and it holds no key. Only a mark stands in the region, before the slots:
 * the kernel clears it, with the rest, in a forked child, which so learns that the slab is gone.
 *
 * Nothing here is thread-safe: the processes that hold secrets have one thread.
 */
#include "base/secret.h"

#include <errno.h>
#include <sanitizer/asan_interface.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/queue.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/log.h"

#define SECRET_ALIGN 16u
#define SECRET_MAX   (4u << 20)
#define CANARY_SIZE  16u
#define MARK_SIZE    SECRET_ALIGN
#define MARK_LIVE    0x5ec2e7a11fe5afe5u
/* With libsodium's own 16 bytes before it, four whole pages. */
#define SLAB_SIZE ((16u << 10) - 16)

struct secret {
	struct slab *slab;
	struct secret *next_free;
	uint8_t *slot;
	uint32_t size;
	bool used;
};

struct slab {
	LIST_ENTRY(slab) open;
	struct size_class *class; /* NULL: for one large secret */
	uint8_t *memory;          /* guarded: the mark, then the slots */
	size_t memory_size;
	size_t slot_size;
	struct secret *free;
	uint32_t n_used;
	uint32_t n_secrets;
	struct secret secrets[]; /* handles of the slots, in their order */
};

struct size_class {
	uint32_t max;           /* bytes of the largest secret */
	LIST_HEAD(, slab) open; /* slabs with both free and used slots */
	struct slab *spare;     /* an empty slab, so that use around its edge stays cheap */
};

/* A key of 256 bits or less; one with a salt or of 512 bits; what MODP and P-521 need. */
static struct size_class classes[] = {{.max = 32}, {.max = 64}, {.max = 128}};

static uint8_t canary[CANARY_SIZE];
static const char *why = "none";

/* For faults of this program, after which no memory can be trusted. */
static _Noreturn void fault(const char *what)
{
	log_error("fault of this program: a secret was %s", what);
	abort();
}

static size_t aligned(size_t size)
{
	return (size + SECRET_ALIGN - 1) & ~(size_t)(SECRET_ALIGN - 1);
}

bool secret_init(void)
{
	if (sodium_init() < 0) {
		why = "libsodium could not start: the system's random generator does not answer";
		return false;
	}
	if (sodium_is_zero(canary, sizeof(canary)))
		randombytes_buf(canary, sizeof(canary));
	return true;
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

/* Locked, guarded, zeroed. NULL with the reason in `why`. */
static uint8_t *guarded_new(size_t size)
{
	uint8_t *p = sodium_malloc(size);

	if (!p) {
		why = "out of memory for keys (or of memory maps: see vm.max_map_count)";
		return NULL;
	}
	/* sodium_malloc() tries to lock but does not tell; ask again, which is harmless. */
	if (sodium_mlock(p, size) != 0) {
		const int e = errno;

		sodium_free(p);
		why = "cannot lock memory for keys: raise the limit of locked memory "
		      "(RLIMIT_MEMLOCK, systemd's LimitMEMLOCK=) or grant CAP_IPC_LOCK";
		errno = e;
		return NULL;
	}
	wipe_on_fork(p, size);
	memset(p, 0, size);
	return p;
}

static struct slab *slab_new(struct size_class *class, size_t slot_size, uint32_t n)
{
	const size_t memory_size = MARK_SIZE + n * slot_size;
	struct slab *slab = calloc(1, sizeof(*slab) + n * sizeof(slab->secrets[0]));

	if (!slab) {
		why = "out of memory for keys";
		return NULL;
	}
	slab->memory = guarded_new(memory_size);
	if (!slab->memory) {
		const int e = errno;

		free(slab);
		errno = e;
		return NULL;
	}
	memcpy(slab->memory, &(uint64_t){MARK_LIVE}, sizeof(uint64_t));
	ASAN_POISON_MEMORY_REGION(slab->memory + MARK_SIZE, n * slot_size);
	slab->class = class;
	slab->memory_size = memory_size;
	slab->slot_size = slot_size;
	slab->n_secrets = n;
	for (uint32_t i = n; i-- > 0;) {
		struct secret *s = &slab->secrets[i];

		s->slab = slab;
		s->slot = slab->memory + MARK_SIZE + i * slot_size;
		s->next_free = slab->free;
		slab->free = s;
	}
	return slab;
}

static void slab_free(struct slab *slab)
{
	ASAN_UNPOISON_MEMORY_REGION(slab->memory, slab->memory_size);
	sodium_free(slab->memory); /* wipes */
	/* A handle freed twice is then likely to be noticed even here. */
	bytes_wipe(slab, sizeof(*slab) + slab->n_secrets * sizeof(slab->secrets[0]));
	free(slab);
}

/* In a forked child the kernel has wiped the slab, libsodium's canary included: hands off. */
static bool slab_gone(const struct slab *slab)
{
	return sodium_is_zero(slab->memory, sizeof(uint64_t));
}

/* A slab of the class with a free slot, on its list. */
static struct slab *slab_open(struct size_class *class)
{
	struct slab *slab = LIST_FIRST(&class->open);

	if (!slab)
		slab = class->spare;
	if (slab && slab_gone(slab)) { /* then all are: the first call after a fork */
		LIST_INIT(&class->open);
		class->spare = slab = NULL;
	}
	if (!slab) {
		const size_t slot_size = class->max + CANARY_SIZE;

		slab = slab_new(class, slot_size, (SLAB_SIZE - MARK_SIZE) / slot_size);
	}
	if (slab && slab->n_used == 0) {
		class->spare = NULL;
		LIST_INSERT_HEAD(&class->open, slab, open);
	}
	return slab;
}

/* The slab has lost its last secret. */
static void slab_retire(struct slab *slab)
{
	struct size_class *class = slab->class;

	LIST_REMOVE(slab, open);
	if (class->spare)
		slab_free(slab);
	else
		class->spare = slab;
}

/* NULL: too large to share a slab. */
static struct size_class *class_of(size_t size)
{
	for (size_t i = 0; i < sizeof(classes) / sizeof(classes[0]); i++)
		if (size <= classes[i].max)
			return &classes[i];
	return NULL;
}

/* Where the bytes stand in the slot: at its start, or, of a large one, flush with its end. */
static uint8_t *bytes_of(const struct secret *s)
{
	return s->slab->class ? s->slot : s->slot + s->slab->slot_size - s->size;
}

struct secret *secret_new(size_t size)
{
	struct size_class *class = class_of(size);
	struct slab *slab;
	struct secret *s;

	if (size > SECRET_MAX) {
		why = "a secret of more than 4 MiB was asked for";
		errno = EINVAL;
		return NULL;
	}
	slab = class ? slab_open(class) : slab_new(NULL, aligned(size), 1);
	if (!slab)
		return NULL;
	s = slab->free;
	slab->free = s->next_free;
	slab->n_used++;
	if (class && !slab->free)
		LIST_REMOVE(slab, open);
	s->size = (uint32_t)size;
	s->used = true;

	/* The slot is zero: from the start, or from the last secret_free(). */
	ASAN_UNPOISON_MEMORY_REGION(s->slot, slab->slot_size);
	if (class) {
		if (!sodium_is_zero(s->slot, slab->slot_size))
			fault("written after it was freed");
		memcpy(s->slot + size, canary, CANARY_SIZE);
		ASAN_POISON_MEMORY_REGION(s->slot + size, slab->slot_size - size);
	}
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
	struct slab *slab;

	if (!s)
		return;
	if (!s->used)
		fault("freed twice");
	slab = s->slab;
	if (slab_gone(slab))
		return;
	if (!slab->class) {
		slab_free(slab);
		return;
	}
	ASAN_UNPOISON_MEMORY_REGION(s->slot, slab->slot_size);
	if (!bytes_equal_ct(s->slot + s->size, canary, CANARY_SIZE))
		fault("written past its end");
	bytes_wipe(s->slot, slab->slot_size);
	ASAN_POISON_MEMORY_REGION(s->slot, slab->slot_size);
	s->used = false;
	if (!slab->free)
		LIST_INSERT_HEAD(&slab->class->open, slab, open);
	s->next_free = slab->free;
	slab->free = s;
	if (--slab->n_used == 0)
		slab_retire(slab);
}

size_t secret_size(const struct secret *s)
{
	return s && !slab_gone(s->slab) ? s->size : 0;
}

const uint8_t *secret_data(const struct secret *s)
{
	return bytes_of(s);
}

uint8_t *secret_data_mut(struct secret *s)
{
	return bytes_of(s);
}

bool secret_equal(const struct secret *a, const struct secret *b)
{
	if (!a || !b || secret_size(a) != secret_size(b))
		return false;
	return bytes_equal_ct(secret_data(a), secret_data(b), secret_size(a));
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
