/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ring.h: memory layout of a single-producer single-consumer ring between two processes.
 *
 * One ring carries messages one way. It lives in a memfd sealed with F_SEAL_SHRINK | F_SEAL_GROW |
 * F_SEAL_SEAL and is passed by SCM_RIGHTS together with an eventfd, the doorbell, which the
 * producer writes after pushing. Indexes run free over 32 bits; slot = index & (n_slots - 1).
 * `head` is written by the producer only, `tail` by the consumer only. Neither end trusts the other.
 */
#ifndef TWINBORE_RING_H
#define TWINBORE_RING_H

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#define RING_MAGIC   0x54425247u /* "TBRG" */
#define RING_VERSION 1u

struct ring_header {
	uint32_t magic;
	uint32_t version;
	uint32_t n_slots;
	uint32_t slot_size;
	uint8_t pad0[48];
	uint32_t head; /* next slot to be written; atomic, release by the producer */
	uint8_t pad1[60];
	uint32_t tail; /* next slot to be read; atomic, release by the consumer */
	uint8_t pad2[60];
	/* slots follow */
};

static_assert(sizeof(struct ring_header) == 192, "ring layout");
static_assert(offsetof(struct ring_header, head) == 64, "ring layout");
static_assert(offsetof(struct ring_header, tail) == 128, "ring layout");

#endif
