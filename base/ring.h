/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ring: the two ends of a single-producer single-consumer ring whose layout is
 * include/twinbore/ring.h. Each end keeps its own index privately and treats what it reads of the
 * other's as hostile: an index that is out of range marks the ring broken, and nothing is read.
 * The consumer copies a slot once, then validates the copy (no double fetch), then wipes the slot.
 */
#ifndef BASE_RING_H
#define BASE_RING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "twinbore/ring.h"

struct ring_end {
	struct ring_header *h; /* shared */
	uint8_t *slots;        /* shared */
	uint32_t mask;         /* private copy of n_slots - 1 */
	uint32_t slot_size;    /* private copy */
	uint32_t local;        /* our own index */
	bool producer;         /* which end this is */
	bool broken;           /* the other end broke the rules; stays set */
};

/* Bytes for a ring of n_slots (a power of two, 2..65536) of slot_size (a multiple of 64). */
size_t ring_size(uint32_t n_slots, uint32_t slot_size);
/* Writes a fresh header. `mem` is zeroed and ring_size() long. */
void ring_format(void *mem, uint32_t n_slots, uint32_t slot_size);
/* Checks magic, version and that the header says exactly this shape. */
bool ring_attach_producer(struct ring_end *e, void *mem, size_t size, uint32_t n_slots,
			  uint32_t slot_size);
bool ring_attach_consumer(struct ring_end *e, void *mem, size_t size, uint32_t n_slots,
			  uint32_t slot_size);

/* Copies one message of exactly slot_size bytes in. False when full (or broken). */
bool ring_push(struct ring_end *e, const void *msg);
/* Copies one message out and wipes its slot. False when empty (or broken). */
bool ring_pop(struct ring_end *e, void *msg);
/* Messages that wait, as this end sees it. */
uint32_t ring_count(struct ring_end *e);

#endif
