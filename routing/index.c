/* SPDX-License-Identifier: Apache-2.0 */
/*
 * index: the numbers of entries by the hash of table and prefix.
 *
 * Linear hashing with buckets of one cache line: each holds seven hashes with their entries' numbers, and
 * whole hashes tell entries apart, so that a prefix that is not there is found out with one line from
 * memory, and nothing but buckets is read when one is split in two. When buckets hold five entries on the
 * average one more is split, so that no insertion costs more than another. What does not fit goes to
 * a chained bucket.
 */
#include <string.h>
#include "routing/rt_int.h"

#define BUCKETS_MIN 64u
#define LOAD        5u /* entries of a bucket, on the average */

static uint64_t mix(uint64_t a, uint64_t b)
{
	const unsigned __int128 p = (unsigned __int128)a * b;

	return (uint64_t)p ^ (uint64_t)(p >> 64);
}

uint32_t rt_index_hash(const struct rt *rt, uint16_t table, const struct ip_prefix *p)
{
	uint64_t high, low;

	memcpy(&high, p->addr.b, sizeof(high));
	memcpy(&low, p->addr.b + 8, sizeof(low));
	low ^= (uint64_t)p->addr.family << 56 ^ (uint64_t)p->len << 48 ^ (uint64_t)table << 32;
	return (uint32_t)mix(mix(high ^ rt->seed[0], low ^ rt->seed[1]), rt->seed[0] | 1);
}

static struct rt_bucket *bucket_at(const struct rt_pool *p, uint32_t number)
{
	return rt_pool_at(p, number);
}

static struct rt_bucket *home(const struct rt *rt, uint32_t h)
{
	/* `half` buckets were there when the present round of splitting began. */
	uint32_t half = 1u << (31 - __builtin_clz(rt->n_buckets)), i;

	if (half == rt->n_buckets)
		half /= 2;
	i = h & (2 * half - 1);
	if (i >= rt->n_buckets)
		i &= half - 1;
	return bucket_at(&rt->buckets, i);
}

static struct rt_bucket *chained(const struct rt *rt, const struct rt_bucket *b)
{
	return b->next == RT_NONE ? NULL : bucket_at(&rt->chained, b->next);
}

static bool bucket_add(struct rt *rt)
{
	const uint32_t i = rt_pool_take(&rt->buckets);

	if (i == RT_NONE)
		return false;
	bucket_at(&rt->buckets, i)->next = RT_NONE;
	rt->n_buckets++;
	return true;
}

/* The chain behind a bucket, empty, is given back. */
static void unchain(struct rt *rt, struct rt_bucket *b)
{
	uint32_t i = b->next;

	b->next = RT_NONE;
	while (i != RT_NONE) {
		const uint32_t next = bucket_at(&rt->chained, i)->next;

		rt_pool_give(&rt->chained, i);
		i = next;
	}
}

/* Room for so many, all at once: what is split cannot be left half-way. */
static bool chain(struct rt *rt, struct rt_bucket *b, uint32_t n)
{
	struct rt_bucket *last = b;

	for (uint32_t room = RT_BUCKET; room < n; room += RT_BUCKET) {
		last->next = rt_pool_take(&rt->chained);
		if (last->next == RT_NONE) {
			unchain(rt, b);
			return false;
		}
		last = bucket_at(&rt->chained, last->next);
		last->next = RT_NONE;
	}
	return true;
}

static uint32_t count(const struct rt *rt, const struct rt_bucket *b, uint32_t bit)
{
	uint32_t n = 0;

	for (; b; b = chained(rt, b))
		for (uint32_t i = 0; i < b->n; i++)
			n += (b->hash[i] & bit) != 0;
	return n;
}

/* One more bucket takes its share of the one that it splits. */
static void split(struct rt *rt)
{
	const uint32_t fresh = rt->n_buckets;
	const uint32_t half = 1u << (31 - __builtin_clz(fresh));
	struct rt_bucket *from = bucket_at(&rt->buckets, fresh - half), *to, *at = from, *next;

	if (!bucket_add(rt))
		return; /* longer chains, nothing worse */
	to = bucket_at(&rt->buckets, fresh);
	if (!chain(rt, to, count(rt, from, half))) {
		rt_pool_give(&rt->buckets, fresh); /* the next one that is taken */
		rt->n_buckets--;
		return;
	}
	/* What stays moves up to where something went: `at` never passes `b`. */
	for (struct rt_bucket *b = from; b; b = next) {
		const uint32_t n = b->n;

		next = chained(rt, b);
		b->n = 0;
		for (uint32_t i = 0; i < n; i++) {
			const uint32_t h = b->hash[i], number = b->number[i];
			struct rt_bucket **into = h & half ? &to : &at;

			if ((*into)->n == RT_BUCKET)
				*into = chained(rt, *into);
			(*into)->hash[(*into)->n] = h;
			(*into)->number[(*into)->n++] = number;
		}
	}
	unchain(rt, at);
}

uint32_t rt_index_find(const struct rt *rt, uint32_t h, uint16_t table,
		       const struct ip_prefix *prefix)
{
	for (const struct rt_bucket *b = home(rt, h); b; b = chained(rt, b)) {
		for (uint32_t i = 0; i < b->n; i++) {
			const struct rt_entry *e;

			if (b->hash[i] != h)
				continue;
			e = rt_entry(rt, b->number[i]);
			if (e->table == table && memcmp(&e->prefix, prefix, sizeof(*prefix)) == 0)
				return b->number[i];
		}
	}
	return RT_NONE;
}

bool rt_index_add(struct rt *rt, uint32_t h, uint32_t number)
{
	struct rt_bucket *b = home(rt, h), *next;

	for (; b->n == RT_BUCKET; b = next) {
		next = chained(rt, b);
		if (!next && !chain(rt, b, RT_BUCKET + 1))
			return false;
		next = chained(rt, b);
	}
	b->hash[b->n] = h;
	b->number[b->n++] = number;
	if (rt->entries.n_live > LOAD * rt->n_buckets)
		split(rt);
	return true;
}

void rt_index_del(struct rt *rt, uint32_t h, uint32_t number)
{
	struct rt_bucket *first = home(rt, h), *before = NULL, *last = first;

	for (; last->next != RT_NONE; last = chained(rt, last))
		before = last;
	for (struct rt_bucket *b = first; b; b = chained(rt, b)) {
		for (uint32_t i = 0; i < b->n; i++) {
			if (b->number[i] != number)
				continue;
			/* The last one of the chain takes its place. */
			last->n--;
			b->hash[i] = last->hash[last->n];
			b->number[i] = last->number[last->n];
			/* A chained bucket is never empty. */
			if (last->n == 0 && before)
				unchain(rt, before);
			return;
		}
	}
}

void rt_index_fetch(const struct rt *rt, uint32_t h)
{
	__builtin_prefetch(home(rt, h));
}

void rt_index_fetch_entry(const struct rt *rt, uint32_t h)
{
	const struct rt_bucket *b = home(rt, h);

	for (uint32_t i = 0; i < b->n; i++)
		if (b->hash[i] == h)
			__builtin_prefetch(rt_entry(rt, b->number[i]));
}

bool rt_index_init(struct rt *rt)
{
	rt_pool_init(&rt->buckets, sizeof(struct rt_bucket));
	rt_pool_init(&rt->chained, sizeof(struct rt_bucket));
	while (rt->n_buckets < BUCKETS_MIN)
		if (!bucket_add(rt))
			return false;
	return true;
}

void rt_index_fini(struct rt *rt)
{
	rt_pool_fini(&rt->buckets);
	rt_pool_fini(&rt->chained);
}
