/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rib: prefixes by hash, and their candidates.
 *
 * Linear hashing: with each prefix one more bucket is split, so that no insertion costs more than
 * another. A prefix with one candidate takes 72 bytes and a bucket of 4; each further candidate 24.
 */
#include <stdlib.h>
#include <string.h>
#include "routing/rt_int.h"

#define BUCKETS_MIN 64u

int rt_prefix_cmp(const struct ip_prefix *a, const struct ip_prefix *b)
{
	const int c = ip_cmp(&a->addr, &b->addr);

	return c ? c : (int)a->len - (int)b->len;
}

static uint64_t mix(uint64_t a, uint64_t b)
{
	const unsigned __int128 p = (unsigned __int128)a * b;

	return (uint64_t)p ^ (uint64_t)(p >> 64);
}

static uint32_t hash(const struct rt *rt, uint16_t table, const struct ip_prefix *p)
{
	uint64_t high, low;

	memcpy(&high, p->addr.b, sizeof(high));
	memcpy(&low, p->addr.b + 8, sizeof(low));
	low ^= (uint64_t)p->addr.family << 56 ^ (uint64_t)p->len << 48 ^ (uint64_t)table << 32;
	return (uint32_t)mix(mix(high ^ rt->seed[0], low ^ rt->seed[1]), rt->seed[0] | 1);
}

static uint32_t *bucket(const struct rt *rt, uint32_t h)
{
	/* `half` buckets were there when the present round of splitting began. */
	uint32_t half = 1u << (31 - __builtin_clz(rt->n_buckets)), i;

	if (half == rt->n_buckets)
		half /= 2;
	i = h & (2 * half - 1);
	if (i >= rt->n_buckets)
		i &= half - 1;
	return rt_pool_at(&rt->buckets, i);
}

static bool bucket_add(struct rt *rt)
{
	const uint32_t i = rt_pool_take(&rt->buckets);

	if (i == RT_NONE)
		return false;
	*(uint32_t *)rt_pool_at(&rt->buckets, i) = RT_NONE;
	return true;
}

/* One more bucket takes its share of the one that it splits. */
static void split(struct rt *rt)
{
	const uint32_t fresh = rt->n_buckets;
	const uint32_t half = 1u << (31 - __builtin_clz(fresh));
	uint32_t *from = rt_pool_at(&rt->buckets, fresh - half), *to;
	uint32_t rest = *from;

	if (!bucket_add(rt))
		return; /* longer chains, nothing worse */
	to = rt_pool_at(&rt->buckets, fresh);
	rt->n_buckets++;
	*from = RT_NONE;
	while (rest != RT_NONE) {
		struct rt_entry *e = rt_entry(rt, rest);
		const uint32_t next = e->next;
		uint32_t *into = hash(rt, e->table, &e->prefix) & half ? to : from;

		e->next = *into;
		*into = rest;
		rest = next;
	}
}

bool rt_rib_init(struct rt *rt)
{
	rt_pool_init(&rt->entries, sizeof(struct rt_entry));
	rt_pool_init(&rt->more, sizeof(struct rt_candidate_slot));
	rt_pool_init(&rt->buckets, sizeof(uint32_t));
	while (rt->n_buckets < BUCKETS_MIN) {
		if (!bucket_add(rt))
			return false;
		rt->n_buckets++;
	}
	return true;
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
	rt_pool_fini(&rt->buckets);
	free(rt->choices);
}

uint32_t rt_rib_find(const struct rt *rt, uint16_t table, const struct ip_prefix *prefix)
{
	uint32_t i = *bucket(rt, hash(rt, table, prefix));

	while (i != RT_NONE) {
		const struct rt_entry *e = rt_entry(rt, i);

		if (e->table == table && ip_prefix_equal(&e->prefix, prefix))
			break;
		i = e->next;
	}
	return i;
}

uint32_t rt_rib_make(struct rt *rt, uint16_t table, const struct ip_prefix *prefix)
{
	uint32_t i = rt_rib_find(rt, table, prefix), *head;
	struct rt_entry *e;

	if (i != RT_NONE)
		return i;
	i = rt_pool_take(&rt->entries);
	if (i == RT_NONE)
		return RT_NONE;
	e = rt_entry(rt, i);
	e->prefix = *prefix;
	e->table = table;
	e->queue_next = RT_NONE;
	e->group = e->told = RT_GROUP_NONE;
	e->flags = RT_LIVE;
	e->first.source = RT_SOURCE_EMPTY;
	e->first.next = RT_NONE;
	head = bucket(rt, hash(rt, table, prefix));
	e->next = *head;
	*head = i;
	if (rt->entries.n_live > rt->n_buckets)
		split(rt);
	return i;
}

void rt_rib_release(struct rt *rt, uint32_t number)
{
	struct rt_entry *e = rt_entry(rt, number);
	uint32_t *at;

	if (e->first.source != RT_SOURCE_EMPTY || e->flags & RT_QUEUED ||
	    e->told != RT_GROUP_NONE || e->group != RT_GROUP_NONE)
		return;
	at = bucket(rt, hash(rt, e->table, &e->prefix));
	while (*at != number)
		at = &rt_entry(rt, *at)->next;
	*at = e->next;
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
