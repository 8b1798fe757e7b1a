/* SPDX-License-Identifier: Apache-2.0 */
/*
 * slot: numbers for CHILD_SAs and SPIs. The low 20 bits of an ESP SPI are its slot, the rest is
 * random and not zero, so that the dataplane finds an SA by index and compare, SPIs 0..255 never
 * occur (RFC 4303 2.1), and a slot that serves again has another SPI.
 */
#include <stdlib.h>
#include "ike/ike_int.h"

#define SLOTS_MAX (1u << IKE_SLOT_BITS)

bool ike_slots_init(struct ike *ike)
{
	if (ike->limits.max_children > SLOTS_MAX)
		ike->limits.max_children = SLOTS_MAX;
	/* One more than none, so that a limit of 0 is an empty pool and not a failed allocation. */
	ike->slots = calloc(ike->limits.max_children + 1, sizeof(ike->slots[0]));
	ike->free_slots = calloc(ike->limits.max_children + 1, sizeof(ike->free_slots[0]));
	return ike->slots && ike->free_slots;
}

void ike_slots_fini(struct ike *ike)
{
	free(ike->slots);
	free(ike->free_slots);
}

bool ike_slot_alloc(struct ike *ike, uint32_t *slot, uint32_t *spi)
{
	const uint32_t max = ike->limits.max_children;
	uint16_t r;

	do {
		if (!ike_random(ike, &r, sizeof(r)))
			return false;
		r &= (1u << (32 - IKE_SLOT_BITS)) - 1;
	} while (r == 0);
	if (ike->n_fresh < max) {
		*slot = ike->n_fresh++;
	} else if (ike->n_free) {
		*slot = ike->free_slots[ike->free_head];
		ike->free_head = (ike->free_head + 1) % max;
		ike->n_free--;
	} else {
		ike_count(ike, IKE_CNT_RESOURCES);
		return false;
	}
	*spi = (uint32_t)r << IKE_SLOT_BITS | *slot;
	return true;
}

void ike_slot_free(struct ike *ike, uint32_t slot)
{
	const uint32_t max = ike->limits.max_children;

	ike->slots[slot] = NULL;
	ike->free_slots[(ike->free_head + ike->n_free) % max] = slot;
	ike->n_free++;
}

static bool bit(const uint8_t *bits, uint32_t i)
{
	return bits[i / 8] & 1 << i % 8;
}

void ike_slots_resume(struct ike *ike, const uint8_t *used, const uint8_t *rest)
{
	uint32_t n = ike->limits.max_children;

	while (n && !bit(used, n - 1) && !bit(rest, n - 1))
		n--;
	ike->n_fresh = n;
	ike->n_free = ike->free_head = 0;
	for (uint32_t slot = 0; slot < n; slot++) {
		if (!bit(used, slot) && !bit(rest, slot))
			ike->free_slots[ike->n_free++] = slot;
	}
	for (uint32_t slot = 0; slot < n; slot++) {
		if (!bit(used, slot) && bit(rest, slot))
			ike->free_slots[ike->n_free++] = slot;
	}
}

uint64_t ike_spi_new(struct ike *ike)
{
	uint64_t spi;

	do {
		if (!ike_random(ike, &spi, sizeof(spi)))
			return 0;
	} while (spi == 0 || ike_sa_find(ike, spi));
	return spi;
}
