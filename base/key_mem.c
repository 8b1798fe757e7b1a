/* SPDX-License-Identifier: Apache-2.0 */
/*
 * key_mem: chunks of locked memory cut into slots of one size. See key_mem.h.
 *
 * A chunk is aligned to its size, so that a slot's address leads to the chunk's head, which lies in
 * the same locked memory. What is larger than a few slots of a chunk has mappings of its own. One
 * empty chunk of each size is kept, so that use around its edge stays cheap.
 */
#include "base/key_mem.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <sanitizer/asan_interface.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/queue.h>
#include "base/log.h"
#include "base/secret.h"

#define CHUNK_SIZE  ((size_t)64 << 10)
#define REGION_SIZE ((size_t)2 << 20)  /* a huge page */
#define N_SINGLE    16u                /* chunks that are mapped one by one: few keys lock little */
#define SLOT_MAX    ((size_t)16 << 10) /* larger ones do not share */
#define SIZE_LIMIT  ((size_t)1 << 30)
#define N_WORDS     (CHUNK_SIZE / KEY_MEM_ALIGN / 64)
#define N_CLASSES   32u
#define PAGE_SIZE   ((size_t)4096)
#define MAGIC       0x6b65796d656d2121u

struct key_class;

struct chunk {
	uint64_t magic;
	LIST_ENTRY(chunk) open;  /* of its class, while it has a free slot */
	struct key_class *class; /* NULL: one large piece */
	size_t map_size, slot_size;
	uint32_t n_slots, n_used;
	uint64_t used[N_WORDS]; /* a bit for each slot */
};

#define HEAD_SIZE ((sizeof(struct chunk) + KEY_MEM_ALIGN - 1) & ~(size_t)(KEY_MEM_ALIGN - 1))

struct key_class {
	size_t slot_size;
	LIST_HEAD(, chunk) open; /* used ones first */
	struct chunk *spare;
};

static struct key_class classes[N_CLASSES];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static uint8_t *region, *region_end; /* what is left to be cut into chunks */
static size_t n_chunks;

/* For faults of this program, after which no memory can be trusted. */
static _Noreturn void fault(const char *what)
{
	log_error("fault of this program: memory of a key was %s", what);
	abort();
}

static uint8_t *slots_of(struct chunk *c)
{
	return (uint8_t *)c + HEAD_SIZE;
}

/* NULL: the piece was our parent's before a fork, and the kernel has wiped it with its chunk. */
static struct chunk *chunk_of(void *p)
{
	struct chunk *c = (void *)((uintptr_t)p & ~(CHUNK_SIZE - 1));

	if (c->magic == 0)
		return NULL;
	if (c->magic != MAGIC)
		fault("freed that is none");
	return c;
}

/* Aligned, locked and hidden; NULL with errno. */
static void *map(size_t size, size_t align)
{
	const size_t whole = size + align;
	uint8_t *p = mmap(NULL, whole, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	size_t before;

	if (p == MAP_FAILED)
		return NULL;
	before = (align - ((uintptr_t)p & (align - 1))) & (align - 1);
	if (before)
		(void)munmap(p, before);
	(void)munmap(p + before + size, whole - before - size);
	p += before;
	/* Before the memory is there. Best effort: a kernel may have none. */
	if (align == REGION_SIZE)
		(void)madvise(p, size, MADV_HUGEPAGE);
	if (mlock(p, size) != 0 || madvise(p, size, MADV_DONTDUMP) != 0) {
		const int e = errno;

		(void)munmap(p, size);
		errno = e;
		return NULL;
	}
	/* Best effort: kernels before 4.14 refuse. */
	(void)madvise(p, size, MADV_WIPEONFORK);
	return p;
}

/* In a child after a fork: what is left of the region is not locked any more. */
static void forget_region(void)
{
	region = region_end = NULL;
}

/*
 * Where there are many keys, every packet's is on another page: huge pages keep their translations
 * within the CPU's reach.
 */
static void *map_chunk(void)
{
	static bool watched;
	uint8_t *p;

	if (n_chunks < N_SINGLE)
		return map(CHUNK_SIZE, CHUNK_SIZE);
	if (!watched && pthread_atfork(NULL, NULL, forget_region) == 0)
		watched = true;
	if (region == region_end && watched) {
		region = map(REGION_SIZE, REGION_SIZE);
		region_end = region ? region + REGION_SIZE : NULL;
	}
	/* The limit of locked memory may have room for a little more. */
	if (!region)
		return map(CHUNK_SIZE, CHUNK_SIZE);
	p = region;
	region += CHUNK_SIZE;
	return p;
}

static void unmap(struct chunk *c)
{
	const size_t size = c->map_size;

	ASAN_UNPOISON_MEMORY_REGION(c, size);
	bytes_wipe(c, size);
	(void)munmap(c, size);
}

/* Four sizes to each doubling. */
static size_t slot_size_of(size_t size)
{
	size_t step = KEY_MEM_ALIGN;

	if (size > 4 * KEY_MEM_ALIGN)
		step = ((size_t)1 << (63 - __builtin_clzll(size - 1))) / 4;
	return size ? (size + step - 1) & ~(step - 1) : KEY_MEM_ALIGN;
}

static struct key_class *class_of(size_t slot_size)
{
	for (size_t i = 0; i < N_CLASSES; i++) {
		if (classes[i].slot_size == 0)
			classes[i].slot_size = slot_size;
		if (classes[i].slot_size == slot_size)
			return &classes[i];
	}
	return NULL;
}

static struct chunk *chunk_new(struct key_class *class)
{
	struct chunk *c = map_chunk();

	if (!c)
		return NULL;
	n_chunks++;
	c->magic = MAGIC;
	c->class = class;
	c->map_size = CHUNK_SIZE;
	c->slot_size = class->slot_size;
	c->n_slots = (uint32_t)((CHUNK_SIZE - HEAD_SIZE) / class->slot_size);
	ASAN_POISON_MEMORY_REGION(slots_of(c), c->n_slots * c->slot_size);
	return c;
}

static void *take_slot(struct chunk *c)
{
	uint32_t i = 0;
	uint8_t *p;

	while (c->used[i] == UINT64_MAX)
		i++;
	i = i * 64 + (uint32_t)__builtin_ctzll(~c->used[i]);
	c->used[i / 64] |= (uint64_t)1 << i % 64;
	if (++c->n_used == c->n_slots)
		LIST_REMOVE(c, open);
	p = slots_of(c) + i * c->slot_size;
	ASAN_UNPOISON_MEMORY_REGION(p, c->slot_size);
	return p;
}

static void *alloc_small(struct key_class *class)
{
	struct chunk *c = LIST_FIRST(&class->open);

	/* The first call after a fork: all that were there are gone. */
	if (c && c->magic == 0) {
		LIST_INIT(&class->open);
		c = NULL;
	}
	if (class->spare && class->spare->magic == 0)
		class->spare = NULL;
	if (!c) {
		c = class->spare ? class->spare : chunk_new(class);
		if (!c)
			return NULL;
		class->spare = NULL;
		LIST_INSERT_HEAD(&class->open, c, open);
	}
	return take_slot(c);
}

static void *alloc_large(size_t size)
{
	const size_t map_size = (HEAD_SIZE + size + PAGE_SIZE - 1) & ~(PAGE_SIZE - 1);
	struct chunk *c = map(map_size, map_size < REGION_SIZE ? CHUNK_SIZE : REGION_SIZE);

	if (!c)
		return NULL;
	c->magic = MAGIC;
	c->map_size = map_size;
	c->slot_size = map_size - HEAD_SIZE;
	c->n_slots = c->n_used = 1;
	return slots_of(c);
}

void *key_mem_alloc(size_t size)
{
	struct key_class *class;
	void *p;

	if (size > SIZE_LIMIT) {
		errno = ENOMEM;
		return NULL;
	}
	if (size > SLOT_MAX)
		return alloc_large(size);
	(void)pthread_mutex_lock(&lock);
	class = class_of(slot_size_of(size));
	p = class ? alloc_small(class) : NULL;
	(void)pthread_mutex_unlock(&lock);
	return p;
}

/* Returns the chunk if it is to be unmapped. */
static struct chunk *free_slot(struct chunk *c, void *p)
{
	struct key_class *class = c->class;
	const size_t i = (size_t)((uint8_t *)p - slots_of(c)) / c->slot_size;

	if ((uint8_t *)p != slots_of(c) + i * c->slot_size || i >= c->n_slots)
		fault("freed in its middle");
	if (!(c->used[i / 64] >> i % 64 & 1))
		fault("freed twice");
	bytes_wipe(p, c->slot_size);
	ASAN_POISON_MEMORY_REGION(p, c->slot_size);
	c->used[i / 64] &= ~((uint64_t)1 << i % 64);
	if (c->n_used-- == c->n_slots)
		LIST_INSERT_HEAD(&class->open, c, open);
	if (c->n_used)
		return NULL;
	LIST_REMOVE(c, open);
	if (class->spare) {
		n_chunks--;
		return c;
	}
	class->spare = c;
	return NULL;
}

void key_mem_free(void *p)
{
	struct chunk *c;

	if (!p)
		return;
	c = chunk_of(p);
	if (c && c->class) {
		(void)pthread_mutex_lock(&lock);
		c = free_slot(c, p);
		(void)pthread_mutex_unlock(&lock);
	}
	if (c)
		unmap(c);
}

void *key_mem_resize(void *p, size_t size)
{
	struct chunk *c = p ? chunk_of(p) : NULL;
	size_t have;
	void *q;

	if (!c)
		return key_mem_alloc(size);
	have = c->slot_size;
	if (size <= have && slot_size_of(size) * 2 > have)
		return p;
	q = key_mem_alloc(size);
	if (!q)
		return NULL;
	memcpy(q, p, size < have ? size : have);
	key_mem_free(p);
	return q;
}
