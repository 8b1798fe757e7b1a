/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pool: items of one size, with numbers of four bytes that stay as long as the item does. They come
 * from the heap by thousands and never move, so that growing costs no copy and no pause.
 */
#include <stdlib.h>
#include <string.h>
#include "routing/rt_int.h"

void rt_pool_init(struct rt_pool *p, size_t item)
{
	*p = (struct rt_pool){.item = item, .free = RT_NONE};
}

void rt_pool_fini(struct rt_pool *p)
{
	for (size_t i = 0; i < p->n_slabs; i++)
		free(p->slabs[i]);
	free(p->slabs);
	rt_pool_init(p, p->item);
}

static bool grow(struct rt_pool *p)
{
	uint8_t *slab;

	if (p->n_slabs == p->slabs_size) {
		const size_t size = p->slabs_size ? 2 * p->slabs_size : 16;
		uint8_t **grown = realloc(p->slabs, size * sizeof(*grown));

		if (!grown)
			return false;
		p->slabs = grown;
		p->slabs_size = size;
	}
	/* Items of a line's size lie in one line. */
	slab = aligned_alloc(64, RT_SLAB * p->item);
	if (!slab)
		return false;
	p->slabs[p->n_slabs++] = slab;
	return true;
}

uint32_t rt_pool_take(struct rt_pool *p)
{
	uint32_t number = p->free;

	if (number != RT_NONE) {
		memcpy(&p->free, rt_pool_at(p, number), sizeof(p->free));
	} else {
		if (p->n_used == p->n_slabs * RT_SLAB &&
		    (p->n_used >= RT_NONE - RT_SLAB || !grow(p)))
			return RT_NONE;
		number = p->n_used++;
	}
	p->n_live++;
	memset(rt_pool_at(p, number), 0, p->item);
	return number;
}

void rt_pool_give(struct rt_pool *p, uint32_t number)
{
	memset(rt_pool_at(p, number), 0, p->item);
	memcpy(rt_pool_at(p, number), &p->free, sizeof(p->free));
	p->free = number;
	p->n_live--;
}

size_t rt_pool_bytes(const struct rt_pool *p)
{
	return p->n_slabs * RT_SLAB * p->item + p->slabs_size * sizeof(*p->slabs);
}
