/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lpm: longest match for one family, with one writer and readers that never wait.
 *
 * The first 24 bits of an address are an index into the root, each further byte is one into a node. An
 * entry is a value, a node for the next byte, or nothing. Prefixes of 17 to 24 bits are written into all
 * entries of the root that no longer prefix takes, longer ones likewise into a node. A node knows, by
 * `outer`, what its entry in the node above would say if it were not there. Where all of that says nothing, a
 * table of the first 16 bits has the prefixes up to 16. So a prefix changes at most 65536 words, usually
 * one, however many prefixes lie below it.
 *
 * The root is address space: what no prefix touches takes no memory. A node of few runs of equal entries
 * takes one line (DP_LPM_SMALL): a bit for each entry that begins a run, and the runs' values. That is
 * how it begins; one that has had more runs takes 17 lines as long as it stands.
 *
 * Whatever the writer changes under readers' eyes it changes by the store of one word.
 *
 * Several sources may claim a prefix; the lowest number counts. Values are 30 bits, and not 0.
 */
#ifndef DATAPLANE_LPM_H
#define DATAPLANE_LPM_H

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>
#include "base/addr.h"
#include "dataplane/lpm_mem.h"

#define DP_LPM_SHORT_BITS 16u
#define DP_LPM_SHORT_SIZE (1u << DP_LPM_SHORT_BITS)
#define DP_LPM_ROOT_BITS  24u
#define DP_LPM_ROOT_BYTES ((UINT64_C(1) << DP_LPM_ROOT_BITS) * 4)
#define DP_LPM_ENTRIES    256u       /* of a node */
#define DP_LPM_CHILD      (1u << 31) /* of an entry: the rest is a node's block */
#define DP_LPM_SMALL      (1u << 30) /* of such an entry: the node is a line */
#define DP_LPM_RUNS       5u         /* of a small node, at most */
#define DP_LPM_LINES      (1 + DP_LPM_ENTRIES * 4 / DP_LPM_LINE) /* of one that is not small */
#define DP_LPM_BURST      64u
#define DP_LPM_LARGE      16384u /* claims */

/* What readers see of a node. It is followed by its entries, atomic, unless it is small. */
struct dp_lpm_node {
	uint64_t starts
		[4]; /* small: a bit for each entry that begins a run; the first always does */
	uint8_t before[4];            /* small: runs that begin in the words before */
	uint32_t outer;               /* atomic */
	uint32_t keep;                /* the manager's */
	uint32_t values[DP_LPM_RUNS]; /* small: atomic */
};
static_assert(sizeof(struct dp_lpm_node) == DP_LPM_LINE, "a node begins with one line");
static_assert(DP_LPM_LINES <= DP_LPM_MAX_LINES, "nodes are blocks");

struct dp_lpm {
	uint32_t *root;   /* entries, atomic */
	uint32_t *shorts; /* atomic; of prefixes up to 16 bits, by the first 16 of an address */
	struct dp_lpm_mem *mem;
	/* The manager's. */
	uint8_t *lengths; /* + 1, of the prefixes in `shorts` */
	uint32_t *keeps;  /* by the first 16 bits: of prefixes of 17 to 24, and nodes below */
	struct dp_lpm_claims claims; /* for prefixes up to 16 bits */
	uint32_t n;                  /* claims in all; atomic */
	bool huge;                   /* the root asks for hugepages */
};

/* `huge`: the root asks for hugepages from the beginning, else when there are many prefixes. False: no
 * memory. */
bool dp_lpm_init(struct dp_lpm *t, struct dp_lpm_mem *mem, bool huge);
/* Without readers: its nodes go, too. */
void dp_lpm_fini(struct dp_lpm *t);

/* Adds or changes a claim for a canonical prefix. `before`: its value, or 0. False: no memory; nothing was
 * changed. */
bool dp_lpm_set(struct dp_lpm *t, const struct ip_prefix *p, unsigned source, uint32_t value,
		uint32_t *before);
/* Withdraws a claim, if there is one; `before` as above. False: no memory; nothing was changed. */
bool dp_lpm_clear(struct dp_lpm *t, const struct ip_prefix *p, unsigned source, uint32_t *before);
/* The value that a source claims for exactly this prefix, or 0. */
uint32_t dp_lpm_get(const struct dp_lpm *t, const struct ip_prefix *p, unsigned source);

/* Each claim of a source, in no order. `fn` may not change the table. */
typedef void dp_lpm_fn(void *ctx, const struct ip_prefix *p, uint32_t value);
void dp_lpm_walk(const struct dp_lpm *t, enum ip_family family, unsigned source, dp_lpm_fn *fn,
		 void *ctx);

/* For both sides: where an entry of a node has its value. */
static inline uint32_t *dp_lpm_small_value(struct dp_lpm_node *node, unsigned slot)
{
	const uint64_t upto = (UINT64_C(2) << (slot & 63)) - 1;
	const unsigned word = slot >> 6;

	return &node->values[node->before[word] +
			     (unsigned)__builtin_popcountll(node->starts[word] & upto) - 1];
}

static inline uint32_t *dp_lpm_value(struct dp_lpm_node *node, bool small, unsigned slot)
{
	return small ? dp_lpm_small_value(node, slot) : (uint32_t *)(node + 1) + slot;
}

/* The node that an entry says, and what a lookup reads first of it. */
static inline struct dp_lpm_node *dp_lpm_child(const uint8_t *base, uint32_t entry)
{
	const uint64_t block = entry & ~(DP_LPM_CHILD | DP_LPM_SMALL);

	return (struct dp_lpm_node *)(uintptr_t)(base + block * DP_LPM_LINE);
}

static inline const uint8_t *dp_lpm_next(const uint8_t *base, uint32_t entry, unsigned slot)
{
	const uint8_t *node = (const uint8_t *)dp_lpm_child(base, entry);

	return entry & DP_LPM_SMALL ? node : node + DP_LPM_LINE + 4 * slot;
}

/* lpm_small.c: makes of a node one with these entries; false: they have too many runs. */
bool dp_lpm_small_make(struct dp_lpm_node *node, const uint32_t entries[DP_LPM_ENTRIES]);
/* Likewise of one that is zero but for what is not its entries: those of `old`, and one that is another. */
bool dp_lpm_small_change(struct dp_lpm_node *node, const struct dp_lpm_node *old, unsigned slot,
			 uint32_t value);
void dp_lpm_small_read(const struct dp_lpm_node *node, uint32_t entries[DP_LPM_ENTRIES]);

/* lpm_lookup.c: longest matches of at most DP_LPM_BURST addresses; 0: none. IPv4 as numbers. */
void dp_lpm_lookup4(const struct dp_lpm *t, const uint32_t *ip, uint32_t *values, unsigned n);
void dp_lpm_lookup6(const struct dp_lpm *t, const uint8_t (*ip)[16], uint32_t *values, unsigned n);
/* The same with a table for each address, all in one memory. */
void dp_lpm_each4(const struct dp_lpm *const *t, const uint32_t *ip, uint32_t *values, unsigned n);
void dp_lpm_each6(const struct dp_lpm *const *t, const uint8_t (*ip)[16], uint32_t *values,
		  unsigned n);

/* The same; `values` are at first what dp_lpm_root4() says of the addresses. */
void dp_lpm_finish4(const struct dp_lpm *t, const uint32_t *ip, uint32_t *values, unsigned n);

static inline uint32_t dp_lpm_first6(const uint8_t ip[16])
{
	return (uint32_t)ip[0] << 16 | (uint32_t)ip[1] << 8 | ip[2];
}

/* It does not fit into the nearest caches. */
static inline bool dp_lpm_is_large(const struct dp_lpm *t)
{
	return __atomic_load_n(&t->n, __ATOMIC_RELAXED) >= DP_LPM_LARGE;
}

/* Ahead of a lookup: fetches what it will read first. */
static inline void dp_lpm_fetch4(const struct dp_lpm *t, uint32_t ip)
{
	__builtin_prefetch(&t->root[ip >> 8]);
}

/* The first step of a lookup: fetches what the second one reads, if there is one. */
static inline uint32_t dp_lpm_root4(const struct dp_lpm *t, uint32_t ip)
{
	const uint32_t *entry = &t->root[ip >> 8];
	const uint32_t v = __atomic_load_n(entry, __ATOMIC_ACQUIRE);

	/* Without a branch, which nobody could predict. */
	__builtin_prefetch(v & DP_LPM_CHILD ? dp_lpm_next(t->mem->base, v, ip & 255)
					    : (const uint8_t *)entry);
	return v;
}

static inline void dp_lpm_fetch6(const struct dp_lpm *t, const uint8_t ip[16])
{
	__builtin_prefetch(&t->root[dp_lpm_first6(ip)]);
}

#endif
