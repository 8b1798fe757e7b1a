/* SPDX-License-Identifier: Apache-2.0 */
/* fib: the forwarding tables and the claims in them. See fib.h. */
#include "dataplane/fib.h"

#include <stdlib.h>
#include <string.h>
#include <rte_jhash.h>

#define SPACE (UINT64_C(4) << 30) /* addresses, not memory: tables take what they need of it */

uint32_t dp_addr_hash(const struct ip_addr *a, uint32_t seed)
{
	uint32_t words[4];

	memcpy(words, a->b, sizeof(words));
	return rte_jhash_32b(words, 4, seed << 8 | a->family);
}

/* Nobody looks at it any more. */
static void table_free(void *ctx, void *object, uint64_t arg)
{
	struct dp_fib_table *t = object;

	dp_lpm_fini(&t->v4);
	dp_lpm_fini(&t->v6);
	free(t);
}

/* Everybody looks at the first one, which most have alone. */
static struct dp_fib_table *table_new(struct dp_fib *f, bool first)
{
	struct dp_fib_table *t = calloc(1, sizeof(*t));

	if (!t)
		return NULL;
	if (!dp_lpm_init(&t->v4, &f->mem, first) || !dp_lpm_init(&t->v6, &f->mem, first)) {
		table_free(f, t, 0);
		return NULL;
	}
	return t;
}

static bool is_empty(const struct dp_fib_table *t)
{
	return t->v4.n == 0 && t->v6.n == 0;
}

static void table_drop(struct dp_fib *f, uint16_t table)
{
	struct dp_fib_table *t = f->tables[table];

	__atomic_store_n(&f->tables[table], NULL, __ATOMIC_RELEASE);
	f->n_tables--;
	dp_grace_defer(f->grace, table_free, f, t, 0);
}

bool dp_fib_init(struct dp_fib *f, uint32_t max_routes, struct dp_grace *grace)
{
	memset(f, 0, sizeof(*f));
	f->max_routes = max_routes;
	f->grace = grace;
	if (!dp_lpm_mem_init(&f->mem, SPACE, grace->qsbr) ||
	    !dp_lpm_init(&f->none, &f->mem, false) || !(f->tables[0] = table_new(f, true))) {
		dp_fib_fini(f);
		return false;
	}
	f->n_tables = 1;
	return true;
}

void dp_fib_fini(struct dp_fib *f)
{
	for (uint32_t i = 0; i <= DP_FIB_PORTS; i++) {
		if (f->tables[i])
			table_free(f, f->tables[i], 0);
	}
	dp_lpm_fini(&f->none);
	dp_lpm_mem_fini(&f->mem);
	memset(f, 0, sizeof(*f));
}

static struct dp_lpm *lpm_of(struct dp_fib_table *t, const struct ip_prefix *p)
{
	return p->addr.family == IP_V4 ? &t->v4 : &t->v6;
}

bool dp_fib_set(struct dp_fib *f, uint16_t table, const struct ip_prefix *p,
		enum dp_fib_source source, uint32_t nh)
{
	struct dp_fib_table *t = f->tables[table];
	uint32_t before;

	if (!t) {
		t = table_new(f, false);
		if (!t)
			return false;
		__atomic_store_n(&f->tables[table], t, __ATOMIC_RELEASE);
		f->n_tables++;
	}
	if (!dp_lpm_set(lpm_of(t, p), p, source, nh, &before)) {
		if (table && is_empty(t))
			table_drop(f, table);
		return false;
	}
	f->n_routes += source == DP_FIB_ROUTE && !before;
	return true;
}

bool dp_fib_clear(struct dp_fib *f, uint16_t table, const struct ip_prefix *p,
		  enum dp_fib_source source, bool *there)
{
	struct dp_fib_table *t = f->tables[table];
	uint32_t before;

	*there = false;
	if (!t)
		return true;
	if (!dp_lpm_clear(lpm_of(t, p), p, source, &before))
		return false;
	*there = before;
	f->n_routes -= source == DP_FIB_ROUTE && before;
	if (table && is_empty(t))
		table_drop(f, table);
	return true;
}

void dp_fib_walk(const struct dp_fib *f, uint16_t table, enum dp_fib_source source, dp_lpm_fn *fn,
		 void *ctx)
{
	const struct dp_fib_table *t = f->tables[table];

	if (!t)
		return;
	dp_lpm_walk(&t->v4, IP_V4, source, fn, ctx);
	dp_lpm_walk(&t->v6, IP_V6, source, fn, ctx);
}

bool dp_fib_has(const struct dp_fib *f, uint16_t table, const struct ip_prefix *p,
		enum dp_fib_source source)
{
	struct dp_fib_table *t = f->tables[table];

	return t && dp_lpm_get(lpm_of(t, p), p, source);
}

uint32_t dp_fib_lookup(const struct dp_fib *f, uint16_t table, const struct ip_addr *a)
{
	const struct dp_lpm *t = dp_fib_lpm(f, table, a->family);
	uint8_t ip6[1][16];
	uint32_t nh, ip4;

	if (a->family == IP_V4) {
		ip4 = (uint32_t)a->b[0] << 24 | (uint32_t)a->b[1] << 16 | (uint32_t)a->b[2] << 8 |
		      a->b[3];
		dp_lpm_lookup4(t, &ip4, &nh, 1);
	} else {
		memcpy(ip6[0], a->b, sizeof(ip6[0]));
		dp_lpm_lookup6(t, (const uint8_t(*)[16])ip6, &nh, 1);
	}
	return nh;
}
