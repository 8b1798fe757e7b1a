/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lpm_mem: the memory of longest-match tables: blocks of whole cache lines that workers read, named by
 * the number of their first line; and what the manager alone keeps about each.
 *
 * There is one for all tables. It is address space of which only what is used takes memory, in
 * hugepages where the kernel gives them, so that nobody has to say beforehand how many routes there will
 * be. A block that is given back may still be read: it is used again after a grace period. The manager
 * does not wait for that.
 */
#ifndef DATAPLANE_LPM_MEM_H
#define DATAPLANE_LPM_MEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DP_LPM_LINE      64u
#define DP_LPM_MAX_LINES 17u /* of a block */

struct rte_rcu_qsbr;
struct dp_lpm_keep;

/* Blocks that were given back: first line << 8 | lines. */
struct dp_lpm_retired {
	uint64_t *blocks;
	size_t n, size;
};

struct dp_lpm_mem {
	uint8_t *base; /* read by workers */
	uint64_t size; /* bytes of address space */
	uint32_t n_lines;
	uint32_t n_touched;                  /* lines that were in use ever; the first never is */
	uint32_t n_busy;                     /* lines in use */
	uint32_t free[DP_LPM_MAX_LINES + 1]; /* by size: the first free block, or 0 */
	struct rte_rcu_qsbr *qsbr;           /* borrowed */
	/* Given back since, and before, the grace period that has begun. */
	struct dp_lpm_retired open, closed;
	uint64_t token; /* of the closed ones */
	struct dp_lpm_keep **keeps;
	uint32_t n_keeps, keep_free;
};

/* Address space of zeros that takes memory where it is written, on a border of hugepages; NULL: no room. */
void *dp_lpm_space(uint64_t size);

/* False: no memory. */
bool dp_lpm_mem_init(struct dp_lpm_mem *m, uint64_t size, struct rte_rcu_qsbr *qsbr);
void dp_lpm_mem_fini(struct dp_lpm_mem *m);

static inline void *dp_lpm_block(const struct dp_lpm_mem *m, uint32_t block)
{
	return m->base + (uint64_t)block * DP_LPM_LINE;
}

/* 0: no room. `must`: to take something away: what is kept in reserve for that may be used, and readers
 * are waited for. */
uint32_t dp_lpm_alloc(struct dp_lpm_mem *m, unsigned lines, bool must);
/* Nobody finds the block any more. */
void dp_lpm_retire(struct dp_lpm_mem *m, uint32_t block, unsigned lines);
/* The same of one that nobody has ever found. */
void dp_lpm_unused(struct dp_lpm_mem *m, uint32_t block, unsigned lines);

/* Claims for the prefixes that end in a node, sorted: prefix within the node << 40 | source << 32 | value. */
struct dp_lpm_claims {
	union {
		uint64_t one;   /* size == 0 */
		uint64_t *many; /* allocated */
	};
	uint32_t n, size;
};

/* What the manager keeps of a node. */
struct dp_lpm_keep {
	struct dp_lpm_claims claims;
	uint32_t block; /* 0: it is a part of the root */
	uint32_t
		parent; /* another of these; 0: it is a part of the root; of a free one: the next */
	uint16_t slot;  /* in the parent, or in the root */
	uint16_t n_children;
};

#define DP_LPM_KEEP_CHUNK 4096u

static inline struct dp_lpm_keep *dp_lpm_keep(const struct dp_lpm_mem *m, uint32_t i)
{
	return &m->keeps[i / DP_LPM_KEEP_CHUNK][i % DP_LPM_KEEP_CHUNK];
}

/* Zeroed; 0: no memory. */
uint32_t dp_lpm_keep_new(struct dp_lpm_mem *m);
void dp_lpm_keep_free(struct dp_lpm_mem *m, uint32_t i);

#endif
