/* SPDX-License-Identifier: Apache-2.0 */
/* fib: the forwarding tables and the claims behind them. See fib.h. */
#include "dataplane/fib.h"

#include <stdlib.h>
#include <string.h>
#include <rte_errno.h>
#include <rte_jhash.h>
#include <rte_memory.h>

#define FIB_MIN_BUCKETS 1024u

struct dp_fib_entry {
	struct dp_fib_entry *next;
	struct ip_prefix prefix;
	uint32_t nh[DP_FIB_N_SOURCES]; /* 0 = no claim */
};

uint32_t dp_addr_hash(const struct ip_addr *a, uint32_t seed)
{
	uint32_t words[4];

	memcpy(words, a->b, sizeof(words));
	return rte_jhash_32b(words, 4, seed << 8 | a->family);
}

static uint32_t hash(const struct ip_prefix *p)
{
	return dp_addr_hash(&p->addr, p->len);
}

static struct dp_fib_entry **find(const struct dp_fib *f, const struct ip_prefix *p)
{
	struct dp_fib_entry **e = &f->buckets[hash(p) & (f->n_buckets - 1)];

	while (*e && !ip_prefix_equal(&(*e)->prefix, p))
		e = &(*e)->next;
	return e;
}

/* The strongest claim, or 0. */
static uint32_t effective(const struct dp_fib_entry *e)
{
	for (unsigned i = 0; i < DP_FIB_N_SOURCES; i++) {
		if (e->nh[i])
			return e->nh[i];
	}
	return 0;
}

static uint32_t v4_of(const struct ip_addr *a)
{
	return (uint32_t)a->b[0] << 24 | (uint32_t)a->b[1] << 16 | (uint32_t)a->b[2] << 8 | a->b[3];
}

/*
 * Shows the value of a prefix in the table; 0 removes it. Removing frees second-level tables, which
 * DPDK 22.11 gives to the next prefix at once, while a worker may be half way through the old one:
 * what adds waits for what removed, which is a worker's round at most.
 */
static bool program(struct dp_fib *f, const struct ip_prefix *p, uint32_t before, uint32_t nh)
{
	int rc;

	if (nh && f->freed) {
		(void)rte_rcu_qsbr_check(f->qsbr, f->freed, true);
		f->freed = 0;
	}
	if (p->addr.family == IP_V4)
		rc = nh ? rte_fib_add(f->v4, v4_of(&p->addr), p->len, nh)
			: rte_fib_delete(f->v4, v4_of(&p->addr), p->len);
	else
		rc = nh ? rte_fib6_add(f->v6, DP_FIB6_ADDR(p->addr.b), p->len, nh)
			: rte_fib6_delete(f->v6, DP_FIB6_ADDR(p->addr.b), p->len);
	if (before)
		f->freed = rte_rcu_qsbr_start(f->qsbr);
	return rc == 0;
}

static void grow(struct dp_fib *f)
{
	const uint32_t n = f->n_buckets * 2;
	struct dp_fib_entry **buckets = calloc(n, sizeof(*buckets));

	if (!buckets)
		return; /* longer chains, nothing worse */
	for (uint32_t i = 0; i < f->n_buckets; i++) {
		while (f->buckets[i]) {
			struct dp_fib_entry *e = f->buckets[i];
			struct dp_fib_entry **to = &buckets[hash(&e->prefix) & (n - 1)];

			f->buckets[i] = e->next;
			e->next = *to;
			*to = e;
		}
	}
	free(f->buckets);
	f->buckets = buckets;
	f->n_buckets = n;
}

bool dp_fib_init(struct dp_fib *f, uint32_t max_routes, struct rte_rcu_qsbr *qsbr)
{
	struct rte_fib_conf v4 = {
		.type = RTE_FIB_DIR24_8,
		.default_nh = 0,
		.max_routes = (int)max_routes,
		.dir24_8 = {.nh_sz = RTE_FIB_DIR24_8_4B,
			    .num_tbl8 = RTE_MAX(max_routes / 4, 1024u)},
	};
	struct rte_fib6_conf v6 = {
		.type = RTE_FIB6_TRIE,
		.default_nh = 0,
		.max_routes = (int)max_routes,
		.trie = {.nh_sz = RTE_FIB6_TRIE_4B, .num_tbl8 = RTE_MAX(max_routes, 4096u)},
	};

	memset(f, 0, sizeof(*f));
	f->max_routes = max_routes;
	f->qsbr = qsbr;
	f->n_buckets = FIB_MIN_BUCKETS;
	f->buckets = calloc(f->n_buckets, sizeof(struct dp_fib_entry *));
	f->v4 = rte_fib_create("dp4", SOCKET_ID_ANY, &v4);
	f->v6 = rte_fib6_create("dp6", SOCKET_ID_ANY, &v6);
	if (!f->buckets || !f->v4 || !f->v6) {
		dp_fib_fini(f);
		return false;
	}
	return true;
}

void dp_fib_fini(struct dp_fib *f)
{
	for (uint32_t i = 0; f->buckets && i < f->n_buckets; i++) {
		while (f->buckets[i]) {
			struct dp_fib_entry *e = f->buckets[i];

			f->buckets[i] = e->next;
			free(e);
		}
	}
	free(f->buckets);
	rte_fib_free(f->v4);
	rte_fib6_free(f->v6);
	memset(f, 0, sizeof(*f));
}

bool dp_fib_set(struct dp_fib *f, const struct ip_prefix *p, enum dp_fib_source source, uint32_t nh)
{
	struct dp_fib_entry **at = find(f, p);
	struct dp_fib_entry *e = *at;
	const bool fresh = !e;
	uint32_t before, old;

	if (fresh) {
		e = calloc(1, sizeof(*e));
		if (!e)
			return false;
		e->prefix = *p;
	}
	before = effective(e);
	old = e->nh[source];
	e->nh[source] = nh;
	if (effective(e) != before && !program(f, p, before, effective(e))) {
		e->nh[source] = old;
		if (fresh)
			free(e);
		return false;
	}
	if (source == DP_FIB_ROUTE && !old)
		f->n_routes++;
	if (fresh) {
		*at = e;
		if (++f->n_entries > f->n_buckets)
			grow(f);
	}
	return true;
}

bool dp_fib_clear(struct dp_fib *f, const struct ip_prefix *p, enum dp_fib_source source)
{
	struct dp_fib_entry **at = find(f, p);
	struct dp_fib_entry *e = *at;
	uint32_t before;

	if (!e || !e->nh[source])
		return false;
	before = effective(e);
	e->nh[source] = 0;
	if (source == DP_FIB_ROUTE)
		f->n_routes--;
	/* Taking away needs no room, so that it cannot fail; a weaker claim only changes a value. */
	if (effective(e) != before)
		(void)program(f, p, before, effective(e));
	if (!effective(e)) {
		*at = e->next;
		f->n_entries--;
		free(e);
	}
	return true;
}

bool dp_fib_has(const struct dp_fib *f, const struct ip_prefix *p, enum dp_fib_source source)
{
	const struct dp_fib_entry *e = *find(f, p);

	return e && e->nh[source];
}

uint32_t dp_fib_lookup(const struct dp_fib *f, const struct ip_addr *a)
{
	uint64_t nh = 0;

	if (a->family == IP_V4) {
		uint32_t ip = v4_of(a);

		rte_fib_lookup_bulk(f->v4, &ip, &nh, 1);
	} else {
		uint8_t ip[1][RTE_FIB6_IPV6_ADDR_SIZE];

		memcpy(ip[0], a->b, sizeof(ip[0]));
		rte_fib6_lookup_bulk(f->v6, DP_FIB6_ADDR(ip), &nh, 1);
	}
	return (uint32_t)nh;
}
