/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include "ike/table.h"

#define FIRST_BUCKETS 64

/* The finaliser of MurmurHash3: every bit of the key reaches every bit of the result. */
static uint64_t mix(uint64_t x)
{
	x ^= x >> 33;
	x *= 0xff51afd7ed558ccdull;
	x ^= x >> 33;
	x *= 0xc4ceb9fe1a85ec53ull;
	x ^= x >> 33;
	return x;
}

static struct ike_link **bucket_of(const struct ike_table *t, uint64_t key)
{
	return &t->buckets[mix(key ^ t->seed) & (t->n_buckets - 1)];
}

bool ike_table_init(struct ike_table *t, uint64_t seed)
{
	*t = (struct ike_table){.seed = seed, .n_buckets = FIRST_BUCKETS};
	t->buckets = calloc(FIRST_BUCKETS, sizeof(t->buckets[0]));
	return t->buckets != NULL;
}

void ike_table_fini(struct ike_table *t)
{
	free(t->buckets);
	*t = (struct ike_table){0};
}

/* Without memory the table stays as it is, only slower. */
static void grow(struct ike_table *t)
{
	struct ike_link **old = t->buckets;
	const size_t n_old = t->n_buckets;
	struct ike_link **wider = calloc(n_old * 2, sizeof(wider[0]));

	if (!wider)
		return;
	t->buckets = wider;
	t->n_buckets = n_old * 2;
	for (size_t i = 0; i < n_old; i++) {
		struct ike_link *next;

		for (struct ike_link *l = old[i]; l; l = next) {
			struct ike_link **b = bucket_of(t, l->key);

			next = l->next;
			l->next = *b;
			*b = l;
		}
	}
	free(old);
}

void ike_table_put(struct ike_table *t, struct ike_link *link, uint64_t key)
{
	struct ike_link **b;

	ike_table_remove(t, link);
	if (t->n >= t->n_buckets * 2)
		grow(t);
	b = bucket_of(t, key);
	link->key = key;
	link->next = *b;
	link->linked = true;
	*b = link;
	t->n++;
}

void ike_table_remove(struct ike_table *t, struct ike_link *link)
{
	if (!link->linked)
		return;
	for (struct ike_link **p = bucket_of(t, link->key); *p; p = &(*p)->next) {
		if (*p != link)
			continue;
		*p = link->next;
		link->linked = false;
		t->n--;
		return;
	}
}

static struct ike_link *scan(struct ike_link *l, uint64_t key)
{
	while (l && l->key != key)
		l = l->next;
	return l;
}

struct ike_link *ike_table_first(const struct ike_table *t, uint64_t key)
{
	return scan(*bucket_of(t, key), key);
}

struct ike_link *ike_table_next(const struct ike_link *link)
{
	return scan(link->next, link->key);
}
