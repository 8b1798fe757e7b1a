/* SPDX-License-Identifier: Apache-2.0 */
/* grace: deferred work on rte_rcu_qsbr. See grace.h. */
#include "dataplane/grace.h"

#include <stdlib.h>
#include <string.h>
#include <rte_malloc.h>

#define GRACE_MIN 256u

bool dp_grace_init(struct dp_grace *g, unsigned n_workers)
{
	memset(g, 0, sizeof(*g));
	g->qsbr = rte_zmalloc("dp-rcu", rte_rcu_qsbr_get_memsize(n_workers), RTE_CACHE_LINE_SIZE);
	g->items = calloc(GRACE_MIN, sizeof(*g->items));
	g->size = GRACE_MIN;
	if (!g->qsbr || !g->items || rte_rcu_qsbr_init(g->qsbr, n_workers) != 0) {
		dp_grace_fini(g);
		return false;
	}
	return true;
}

void dp_grace_fini(struct dp_grace *g)
{
	rte_free(g->qsbr);
	free(g->items);
	memset(g, 0, sizeof(*g));
}

static bool grow(struct dp_grace *g)
{
	struct dp_grace_item *items = calloc(g->size * 2, sizeof(*items));

	if (!items)
		return false;
	for (size_t i = 0; i < g->n; i++)
		items[i] = g->items[(g->head + i) & (g->size - 1)];
	free(g->items);
	g->items = items;
	g->size *= 2;
	g->head = 0;
	return true;
}

static void pop(struct dp_grace *g)
{
	const struct dp_grace_item item = g->items[g->head];

	g->head = (g->head + 1) & (g->size - 1);
	g->n--;
	item.fn(item.ctx, item.object, item.arg);
}

void dp_grace_defer(struct dp_grace *g, dp_grace_fn *fn, void *ctx, void *object, uint64_t arg)
{
	const uint64_t token = rte_rcu_qsbr_start(g->qsbr);

	if (g->n == g->size && !grow(g)) {
		(void)rte_rcu_qsbr_check(g->qsbr, token, true);
		while (g->n)
			pop(g);
		fn(ctx, object, arg);
		return;
	}
	g->items[(g->head + g->n) & (g->size - 1)] = (struct dp_grace_item){
		.token = token, .fn = fn, .ctx = ctx, .object = object, .arg = arg};
	g->n++;
}

void dp_grace_run(struct dp_grace *g)
{
	while (g->n && rte_rcu_qsbr_check(g->qsbr, g->items[g->head].token, false) == 1)
		pop(g);
}

void dp_grace_drain(struct dp_grace *g)
{
	while (g->n)
		pop(g);
}

bool dp_grace_waiting(const struct dp_grace *g)
{
	return g->n > 0;
}
