/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rib: prefixes and their candidates. A prefix with one candidate takes a cache line, and some 16 bytes of
 * the index; each further candidate 24.
 */
#include <stdlib.h>
#include <string.h>
#include "routing/rt_int.h"

int rt_prefix_cmp(const struct ip_prefix *a, const struct ip_prefix *b)
{
	const int c = ip_cmp(&a->addr, &b->addr);

	return c ? c : (int)a->len - (int)b->len;
}

bool rt_rib_init(struct rt *rt)
{
	rt_pool_init(&rt->entries, sizeof(struct rt_entry));
	rt_pool_init(&rt->more, sizeof(struct rt_candidate_slot));
	return rt_index_init(rt);
}

void rt_rib_fini(struct rt *rt)
{
	for (uint32_t i = 0; i < rt->entries.n_used; i++) {
		struct rt_entry *e = rt_entry(rt, i);
		struct rt_candidate_slot *c;

		if (!(e->flags & RT_LIVE))
			continue;
		for (c = rt_candidate_first(rt, e); c; c = rt_candidate_next(rt, c))
			path_unref(rt->paths, c->path);
	}
	rt_pool_fini(&rt->entries);
	rt_pool_fini(&rt->more);
	rt_index_fini(rt);
	free(rt->choices);
}

uint32_t rt_rib_find(const struct rt *rt, uint16_t table, const struct ip_prefix *prefix)
{
	return rt_index_find(rt, rt_index_hash(rt, table, prefix), table, prefix);
}

uint32_t rt_rib_make(struct rt *rt, uint16_t table, const struct ip_prefix *prefix)
{
	const uint32_t h = rt_index_hash(rt, table, prefix);
	uint32_t i = rt_index_find(rt, h, table, prefix);
	struct rt_entry *e;

	if (i != RT_NONE)
		return i;
	i = rt_pool_take(&rt->entries);
	if (i == RT_NONE)
		return RT_NONE;
	if (!rt_index_add(rt, h, i)) {
		rt_pool_give(&rt->entries, i);
		return RT_NONE;
	}
	e = rt_entry(rt, i);
	e->prefix = *prefix;
	e->table = table;
	e->queue_next = RT_NONE;
	e->group = e->told = RT_GROUP_NONE;
	e->flags = RT_LIVE;
	e->first.source = RT_SOURCE_EMPTY;
	e->first.next = RT_NONE;
	return i;
}

void rt_rib_release(struct rt *rt, uint32_t number)
{
	const struct rt_entry *e = rt_entry(rt, number);

	if (e->first.source != RT_SOURCE_EMPTY || e->flags & RT_QUEUED ||
	    e->told != RT_GROUP_NONE || e->group != RT_GROUP_NONE)
		return;
	rt_index_del(rt, rt_index_hash(rt, e->table, &e->prefix), number);
	rt_pool_give(&rt->entries, number);
}

/* -------------------------------------------------------------- candidates */

struct rt_candidate_slot *rt_candidate_first(const struct rt *rt, struct rt_entry *e)
{
	return e->first.source == RT_SOURCE_EMPTY ? NULL : &e->first;
}

struct rt_candidate_slot *rt_candidate_next(const struct rt *rt, struct rt_candidate_slot *c)
{
	return c->next == RT_NONE ? NULL : rt_pool_at(&rt->more, c->next);
}

struct rt_candidate_slot *rt_candidate_add(struct rt *rt, struct rt_entry *e,
					   const struct rt_candidate_slot *what)
{
	struct rt_candidate_slot *c = &e->first;
	uint32_t next = RT_NONE;

	if (c->source != RT_SOURCE_EMPTY) {
		const uint32_t i = rt_pool_take(&rt->more);

		if (i == RT_NONE)
			return NULL;
		next = c->next;
		c->next = i;
		c = rt_pool_at(&rt->more, i);
	}
	*c = *what;
	c->next = next;
	rt->n_candidates++;
	return c;
}

void rt_candidate_del(struct rt *rt, struct rt_entry *e, struct rt_candidate_slot *c)
{
	path_unref(rt->paths, c->path);
	rt->n_candidates--;
	if (c == &e->first) {
		const uint32_t i = c->next;

		if (i == RT_NONE) {
			*c = (struct rt_candidate_slot){.source = RT_SOURCE_EMPTY, .next = RT_NONE};
			return;
		}
		memcpy(c, rt_pool_at(&rt->more, i), sizeof(*c));
		rt_pool_give(&rt->more, i);
		return;
	}
	for (struct rt_candidate_slot *before = &e->first; before;
	     before = rt_candidate_next(rt, before)) {
		const uint32_t i = before->next;

		if (i == RT_NONE || rt_pool_at(&rt->more, i) != (void *)c)
			continue;
		before->next = c->next;
		rt_pool_give(&rt->more, i);
		return;
	}
}

void rt_candidate_lead(struct rt *rt, struct rt_entry *e, struct rt_candidate_slot *c)
{
	const struct rt_candidate_slot was = e->first, is = *c;

	if (c == &e->first)
		return;
	e->first = is;
	e->first.next = was.next;
	*c = was;
	c->next = is.next;
}
