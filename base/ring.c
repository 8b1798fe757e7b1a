/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ring: the two ends of a shared single-producer single-consumer ring. See ring.h.
 *
 * What each end trusts: its own struct ring_end, nothing else. Slot addresses come from the private
 * index and mask only, so that whatever the peer writes, at any moment, no access leaves the map.
 * The peer's index is read once per call and only ever used as a distance from our own: a distance
 * beyond n_slots cannot come from a peer that follows the rules, and breaks the ring for good.
 *
 * Order: the producer's release of `head` publishes the slot, the consumer's acquire of `head` sees
 * it; the consumer's release of `tail` publishes the wiped slot, the producer's acquire of `tail`
 * makes it ours again.
 */
#include "base/ring.h"

#include <string.h>

#define RING_MIN_SLOTS  2u
#define RING_MAX_SLOTS  65536u
#define RING_SLOT_ALIGN 64u
#define RING_SLOT_MAX   65536u

static bool shape_ok(uint32_t n_slots, uint32_t slot_size)
{
	return n_slots >= RING_MIN_SLOTS && n_slots <= RING_MAX_SLOTS &&
	       (n_slots & (n_slots - 1)) == 0 && slot_size >= RING_SLOT_ALIGN &&
	       slot_size <= RING_SLOT_MAX && slot_size % RING_SLOT_ALIGN == 0;
}

size_t ring_size(uint32_t n_slots, uint32_t slot_size)
{
	return sizeof(struct ring_header) + (size_t)n_slots * slot_size;
}

void ring_format(void *mem, uint32_t n_slots, uint32_t slot_size)
{
	struct ring_header *h = mem;

	h->version = RING_VERSION;
	h->n_slots = n_slots;
	h->slot_size = slot_size;
	h->head = 0;
	h->tail = 0;
	__atomic_store_n(&h->magic, RING_MAGIC, __ATOMIC_RELEASE);
}

static bool attach(struct ring_end *e, void *mem, size_t size, uint32_t n_slots, uint32_t slot_size)
{
	struct ring_header *h = mem;

	memset(e, 0, sizeof(*e));
	if (!mem || (uintptr_t)mem % RING_SLOT_ALIGN || !shape_ok(n_slots, slot_size) ||
	    size != ring_size(n_slots, slot_size))
		return false;
	if (__atomic_load_n(&h->magic, __ATOMIC_ACQUIRE) != RING_MAGIC ||
	    __atomic_load_n(&h->version, __ATOMIC_RELAXED) != RING_VERSION ||
	    __atomic_load_n(&h->n_slots, __ATOMIC_RELAXED) != n_slots ||
	    __atomic_load_n(&h->slot_size, __ATOMIC_RELAXED) != slot_size)
		return false;
	e->h = h;
	e->slots = (uint8_t *)mem + sizeof(*h);
	e->mask = n_slots - 1;
	e->slot_size = slot_size;
	return true;
}

/* Messages in the ring as this end sees it; marks the ring broken when that is impossible. */
static uint32_t distance(struct ring_end *e)
{
	uint32_t n;

	if (e->broken)
		return 0;
	if (e->producer)
		n = e->local - __atomic_load_n(&e->h->tail, __ATOMIC_ACQUIRE);
	else
		n = __atomic_load_n(&e->h->head, __ATOMIC_ACQUIRE) - e->local;
	if (n > e->mask + 1) {
		e->broken = true;
		return 0;
	}
	return n;
}

bool ring_attach_producer(struct ring_end *e, void *mem, size_t size, uint32_t n_slots,
			  uint32_t slot_size)
{
	if (!attach(e, mem, size, n_slots, slot_size))
		return false;
	e->producer = true;
	e->local = __atomic_load_n(&e->h->head, __ATOMIC_ACQUIRE);
	(void)distance(e);
	return !e->broken;
}

bool ring_attach_consumer(struct ring_end *e, void *mem, size_t size, uint32_t n_slots,
			  uint32_t slot_size)
{
	if (!attach(e, mem, size, n_slots, slot_size))
		return false;
	e->local = __atomic_load_n(&e->h->tail, __ATOMIC_ACQUIRE);
	(void)distance(e);
	return !e->broken;
}

static uint8_t *slot(const struct ring_end *e)
{
	return e->slots + (size_t)(e->local & e->mask) * e->slot_size;
}

bool ring_push(struct ring_end *e, const void *msg)
{
	const uint32_t n = distance(e);

	if (e->broken || n == e->mask + 1)
		return false;
	memcpy(slot(e), msg, e->slot_size);
	e->local++;
	__atomic_store_n(&e->h->head, e->local, __ATOMIC_RELEASE);
	return true;
}

bool ring_pop(struct ring_end *e, void *msg)
{
	uint8_t *p;

	if (distance(e) == 0)
		return false;
	p = slot(e);
	memcpy(msg, p, e->slot_size);
	/* From here on only the copy counts: the compiler may not read the slot again. */
	__asm__ volatile("" : : "r"(msg), "r"(p) : "memory");
	memset(p, 0, e->slot_size);
	e->local++;
	__atomic_store_n(&e->h->tail, e->local, __ATOMIC_RELEASE);
	return true;
}

uint32_t ring_count(struct ring_end *e)
{
	return distance(e);
}
