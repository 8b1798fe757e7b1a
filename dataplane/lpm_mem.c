/* SPDX-License-Identifier: Apache-2.0 */
/* lpm_mem: blocks of cache lines and their reuse. See lpm_mem.h. */
#include "dataplane/lpm_mem.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <rte_rcu_qsbr.h>

#define PAGE        (UINT64_C(2) << 20)
#define LEAST       (UINT64_C(32) << 20)
#define RESERVE     (256u * DP_LPM_MAX_LINES) /* lines for what takes away */
#define CLOSE_AT    256u                      /* blocks given back before a grace period is begun */
#define RETIRED_MIN 1024u
#define MAX_CHUNKS  4096u

void *dp_lpm_space(uint64_t size)
{
	uint8_t *map = mmap(NULL, size + PAGE, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	uint8_t *at;

	if (map == MAP_FAILED)
		return NULL;
	at = RTE_PTR_ALIGN_CEIL(map, PAGE);
	if (at != map)
		(void)munmap(map, (size_t)(at - map));
	(void)munmap(at + size, (size_t)(map + PAGE - at));
	(void)madvise(at, size, MADV_DONTDUMP);
	return at;
}

bool dp_lpm_mem_init(struct dp_lpm_mem *m, uint64_t size, struct rte_rcu_qsbr *qsbr)
{
	memset(m, 0, sizeof(*m));
	m->qsbr = qsbr;
	/* Where the kernel counts address space as memory, it is less. */
	for (m->size = RTE_ALIGN_CEIL(size, PAGE); !m->base && m->size >= LEAST; m->size /= 2)
		m->base = dp_lpm_space(m->size);
	m->size = m->base ? m->size * 2 : 0;
	m->keeps = calloc(MAX_CHUNKS, sizeof(struct dp_lpm_keep *));
	if (!m->base || !m->keeps) {
		dp_lpm_mem_fini(m);
		return false;
	}
	(void)madvise(m->base, m->size, MADV_HUGEPAGE);
	m->n_lines = (uint32_t)(m->size / DP_LPM_LINE);
	m->n_touched = 1;
	return true;
}

void dp_lpm_mem_fini(struct dp_lpm_mem *m)
{
	if (m->base)
		(void)munmap(m->base, m->size);
	for (uint32_t i = 0; m->keeps && i < MAX_CHUNKS; i++)
		free(m->keeps[i]);
	free(m->keeps);
	free(m->open.blocks);
	free(m->closed.blocks);
	memset(m, 0, sizeof(*m));
}

/* ------------------------------------------------------------------ blocks */

static void put_free(struct dp_lpm_mem *m, uint32_t block, unsigned lines)
{
	uint32_t *at = dp_lpm_block(m, block);

	*at = m->free[lines];
	m->free[lines] = block;
}

static uint32_t take_free(struct dp_lpm_mem *m, unsigned lines)
{
	const uint32_t block = m->free[lines];
	const uint32_t *at = dp_lpm_block(m, block);

	if (block)
		m->free[lines] = *at;
	return block;
}

static void reuse(struct dp_lpm_mem *m, struct dp_lpm_retired *r)
{
	for (size_t i = 0; i < r->n; i++) {
		const unsigned lines = (unsigned)(r->blocks[i] & 255);

		put_free(m, (uint32_t)(r->blocks[i] >> 8), lines);
		m->n_busy -= lines;
	}
	r->n = 0;
}

/* Takes up what no reader can hold any more. */
static void reclaim(struct dp_lpm_mem *m, bool wait)
{
	for (int i = 0; i < (wait ? 2 : 1); i++) {
		const struct dp_lpm_retired empty = m->closed;

		if (m->closed.n && rte_rcu_qsbr_check(m->qsbr, m->token, wait) != 1)
			return;
		reuse(m, &m->closed);
		m->closed = m->open;
		m->open = empty;
		m->open.n = 0;
		m->token = rte_rcu_qsbr_start(m->qsbr);
	}
}

static uint32_t take(struct dp_lpm_mem *m, unsigned lines, uint32_t limit)
{
	uint32_t block = take_free(m, lines);

	if (!block && m->n_touched + lines <= limit) {
		block = m->n_touched;
		m->n_touched += lines;
	}
	/* Nothing of this size is left: a piece of a larger one. */
	for (unsigned larger = lines + 1; !block && larger <= DP_LPM_MAX_LINES; larger++) {
		block = take_free(m, larger);
		if (block)
			put_free(m, block + lines, larger - lines);
	}
	return block;
}

uint32_t dp_lpm_alloc(struct dp_lpm_mem *m, unsigned lines, bool must)
{
	const uint32_t limit = must ? m->n_lines : m->n_lines - RESERVE;
	uint32_t block;

	if (m->open.n >= CLOSE_AT)
		reclaim(m, false);
	block = take(m, lines, limit);
	if (!block) {
		reclaim(m, true);
		block = take(m, lines, limit);
	}
	if (block)
		m->n_busy += lines;
	return block;
}

void dp_lpm_unused(struct dp_lpm_mem *m, uint32_t block, unsigned lines)
{
	m->n_busy -= lines;
	put_free(m, block, lines);
}

void dp_lpm_retire(struct dp_lpm_mem *m, uint32_t block, unsigned lines)
{
	struct dp_lpm_retired *r = &m->open;

	if (r->n == r->size) {
		const size_t size = r->size ? 2 * r->size : RETIRED_MIN;
		uint64_t *grown = realloc(r->blocks, size * sizeof(*grown));

		if (!grown) {
			/* No memory to remember it: wait for all readers instead. */
			rte_rcu_qsbr_synchronize(m->qsbr, RTE_QSBR_THRID_INVALID);
			dp_lpm_unused(m, block, lines);
			return;
		}
		r->blocks = grown;
		r->size = size;
	}
	r->blocks[r->n++] = (uint64_t)block << 8 | lines;
}

/* ------------------------------------------------- what the manager keeps */

uint32_t dp_lpm_keep_new(struct dp_lpm_mem *m)
{
	uint32_t i = m->keep_free;
	struct dp_lpm_keep **chunk;

	if (i) {
		m->keep_free = dp_lpm_keep(m, i)->parent;
		memset(dp_lpm_keep(m, i), 0, sizeof(struct dp_lpm_keep));
		return i;
	}
	i = m->n_keeps ? m->n_keeps : 1;
	if (i / DP_LPM_KEEP_CHUNK >= MAX_CHUNKS)
		return 0;
	chunk = &m->keeps[i / DP_LPM_KEEP_CHUNK];
	if (!*chunk)
		*chunk = calloc(DP_LPM_KEEP_CHUNK, sizeof(**chunk));
	if (!*chunk)
		return 0;
	m->n_keeps = i + 1;
	return i;
}

void dp_lpm_keep_free(struct dp_lpm_mem *m, uint32_t i)
{
	struct dp_lpm_keep *k = dp_lpm_keep(m, i);

	if (k->claims.size)
		free(k->claims.many);
	memset(k, 0, sizeof(*k));
	k->parent = m->keep_free;
	m->keep_free = i;
}
