/* SPDX-License-Identifier: Apache-2.0 */
/*
 * adj_out: what a neighbour has been told (RFC 4271 3.2, Adj-RIB-Out), by prefix, and what it is to
 * be told next, in order. A prefix that changes while it waits is said once, as it is then; one
 * that comes and goes unsaid is never said.
 */
#include <stdlib.h>
#include <string.h>
#include "bgp/bgp_int.h"

#define BUCKETS_MIN 16u

static uint32_t hash(const struct ip_prefix *p)
{
	uint64_t hi, lo;

	memcpy(&hi, p->addr.b, 8);
	memcpy(&lo, p->addr.b + 8, 8);
	hi = (hi ^ p->len) * 0x9e3779b97f4a7c15u;
	hi = (hi ^ hi >> 29 ^ lo) * 0xbf58476d1ce4e5b9u;
	return (uint32_t)(hi >> 32);
}

void bgp_adj_out_init(struct bgp_adj_out *a)
{
	memset(a, 0, sizeof(*a));
	a->last = &a->first;
}

void bgp_adj_out_clear(struct bgp *b, struct bgp_adj_out *a)
{
	for (size_t i = 0; i < a->n_buckets; i++) {
		while (a->buckets[i]) {
			struct bgp_told *t = a->buckets[i];

			a->buckets[i] = t->next;
			path_unref(b->paths, t->path);
			free(t);
		}
	}
	free(a->buckets);
	bgp_adj_out_init(a);
}

static void grow(struct bgp_adj_out *a)
{
	const size_t n = a->n_buckets ? 2 * a->n_buckets : BUCKETS_MIN;
	struct bgp_told **buckets = calloc(n, sizeof(*buckets));

	if (!buckets)
		return; /* longer chains; the first time bgp_adj_out_set() fails */
	for (size_t i = 0; i < a->n_buckets; i++) {
		while (a->buckets[i]) {
			struct bgp_told *t = a->buckets[i];
			struct bgp_told **to = &buckets[hash(&t->prefix) & (n - 1)];

			a->buckets[i] = t->next;
			t->next = *to;
			*to = t;
		}
	}
	free(a->buckets);
	a->buckets = buckets;
	a->n_buckets = n;
}

static void wait_turn(struct bgp_adj_out *a, struct bgp_told *t)
{
	if (t->pending)
		return;
	t->pending = true;
	t->next_pending = NULL;
	*a->last = t;
	a->last = &t->next_pending;
}

bool bgp_adj_out_set(struct bgp *b, struct bgp_adj_out *a, const struct ip_prefix *p,
		     struct path *path)
{
	const enum bgp_family f = bgp_family_of_prefix(p);
	struct bgp_told *t;

	if (a->n >= a->n_buckets)
		grow(a);
	if (a->n_buckets == 0)
		return false;
	t = a->buckets[hash(p) & (a->n_buckets - 1)];
	while (t && !ip_prefix_equal(&t->prefix, p))
		t = t->next;
	if (!t && !path)
		return true;
	if (!t) {
		struct bgp_told **at = &a->buckets[hash(p) & (a->n_buckets - 1)];

		t = calloc(1, sizeof(*t));
		if (!t)
			return false;
		t->prefix = *p;
		t->next = *at;
		*at = t;
		a->n++;
	} else if (t->path == path) {
		return true;
	}
	a->count[f] += (path != NULL) - (t->path != NULL);
	path_unref(b->paths, t->path);
	t->path = path ? path_ref(path) : NULL;
	wait_turn(a, t);
	return true;
}

struct bgp_told *bgp_adj_out_next(struct bgp_adj_out *a)
{
	struct bgp_told *t = a->first;

	if (!t)
		return NULL;
	a->first = t->next_pending;
	if (!a->first)
		a->last = &a->first;
	t->pending = false;
	return t;
}

void bgp_adj_out_drop(struct bgp *b, struct bgp_adj_out *a, struct bgp_told *t)
{
	struct bgp_told **at = &a->buckets[hash(&t->prefix) & (a->n_buckets - 1)];

	while (*at != t)
		at = &(*at)->next;
	*at = t->next;
	a->n--;
	path_unref(b->paths, t->path);
	free(t);
}

void bgp_adj_out_again(struct bgp_adj_out *a, enum bgp_family f)
{
	for (size_t i = 0; i < a->n_buckets; i++)
		for (struct bgp_told *t = a->buckets[i]; t; t = t->next)
			if (bgp_family_of_prefix(&t->prefix) == f)
				wait_turn(a, t);
}

bool bgp_adj_out_due(const struct bgp_adj_out *a)
{
	bool due = a->first != NULL;

	for (int f = 0; f < BGP_N_FAMILIES; f++)
		due |= a->end[f] || a->refreshing[f] || (a->refresh[f] && a->ended[f]);
	return due;
}

/* A bucket is shown whole. When there come to be twice as many, what stood in one of those that were
 * shown may stand in one that was not; never the other way. */
bool bgp_show_advertised(const struct bgp *b, uint32_t neighbor, size_t *next,
			 bool (*fn)(void *ctx, const struct ip_prefix *prefix,
				    const struct path *path),
			 void *ctx)
{
	const struct bgp_neighbor *n = bgp_neighbor_of(b, neighbor);
	bool more = n != NULL;

	while (more && *next < n->adj_out.n_buckets) {
		for (const struct bgp_told *t = n->adj_out.buckets[(*next)++]; t; t = t->next)
			if (t->path && t->said)
				more = fn(ctx, &t->prefix, t->path) && more;
	}
	return n && *next < n->adj_out.n_buckets;
}
