/* SPDX-License-Identifier: Apache-2.0 */
/*
 * grace: what the manager must not do before every worker has passed a quiescent state: free
 * memory that a worker may still look at, or tell a producer that its change is in force.
 *
 * The manager never waits: it appends here and goes on; dp_grace_run() does what is due. Things
 * are done in the order in which they were appended. Sleeping workers are offline and delay nothing.
 */
#ifndef DATAPLANE_GRACE_H
#define DATAPLANE_GRACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <rte_rcu_qsbr.h>

typedef void dp_grace_fn(void *ctx, void *object, uint64_t arg);

struct dp_grace_item {
	uint64_t token;
	dp_grace_fn *fn;
	void *ctx;
	void *object;
	uint64_t arg;
};

struct dp_grace {
	struct rte_rcu_qsbr *qsbr;
	struct dp_grace_item *items; /* a circle of `size`, a power of two */
	size_t size, head, n;
};

bool dp_grace_init(struct dp_grace *g, unsigned n_workers);
/* After the workers have ended: does everything that waits, whatever its token. */
void dp_grace_drain(struct dp_grace *g);
void dp_grace_fini(struct dp_grace *g);

/* Does `fn` after a grace period. If there is no memory to remember it, it waits and does it now. */
void dp_grace_defer(struct dp_grace *g, dp_grace_fn *fn, void *ctx, void *object, uint64_t arg);
void dp_grace_run(struct dp_grace *g);
/* Whether somebody waits for a worker's quiescent state. */
static inline bool dp_grace_asked(const struct dp_grace *g, unsigned worker)
{
	return __atomic_load_n(&g->qsbr->token, __ATOMIC_ACQUIRE) !=
	       __atomic_load_n(&g->qsbr->qsbr_cnt[worker].cnt, __ATOMIC_RELAXED);
}
bool dp_grace_waiting(const struct dp_grace *g);

#endif
