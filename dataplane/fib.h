/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fib: the route tables: what becomes of a packet, by its destination, in each of them (lpm.h).
 *
 * The manager is the only writer; workers look up without locks. Several sources may claim the
 * same prefix: our own address, a route to a tunnel, a port's connected network, a neighbour. The
 * table shows the strongest.
 *
 * A table exists while there are claims in it; table 0 always does. It takes memory as its prefixes need.
 */
#ifndef DATAPLANE_FIB_H
#define DATAPLANE_FIB_H

#include <stdbool.h>
#include <stdint.h>
#include "base/addr.h"
#include "dataplane/grace.h"
#include "dataplane/lpm.h"
#include "twinbore/dp_msg.h"

enum dp_nh_kind {
	DP_NH_NONE = 0,
	DP_NH_LOCAL,     /* one of our addresses */
	DP_NH_GROUP,     /* index: group */
	DP_NH_BLACKHOLE, /* a route that drops */
	DP_NH_CONNECTED, /* index: port; the neighbour is not known yet */
	DP_NH_NEIGH,     /* index: neighbour */
	DP_NH_PORTS, /* in another table than 0: what table 0 says, if that is one of our networks */
};

/* Next hops are 30-bit values: kind above index. */
#define DP_NH_INDEX_BITS 27
#define DP_NH_INDEX_MASK ((1u << DP_NH_INDEX_BITS) - 1)

static inline uint32_t dp_nh(enum dp_nh_kind kind, uint32_t index)
{
	return (uint32_t)kind << DP_NH_INDEX_BITS | index;
}

static inline enum dp_nh_kind dp_nh_kind(uint32_t nh)
{
	return (enum dp_nh_kind)(nh >> DP_NH_INDEX_BITS);
}

static inline uint32_t dp_nh_index(uint32_t nh)
{
	return nh & DP_NH_INDEX_MASK;
}

/* Who claims a prefix; the lower, the stronger. */
enum dp_fib_source {
	DP_FIB_LOCAL,
	DP_FIB_ROUTE,
	DP_FIB_CONNECTED,
	DP_FIB_NEIGH,
	DP_FIB_N_SOURCES,
};

/* The networks of all ports, where some are in another table than 0. */
#define DP_FIB_PORTS DP_MAX_TABLES

struct dp_fib_table {
	struct dp_lpm v4, v6;
};

struct dp_fib {
	struct dp_lpm_mem mem;
	struct dp_fib_table *tables[DP_MAX_TABLES + 1]; /* atomic; NULL: empty; DP_FIB_PORTS last */
	struct dp_lpm none;                             /* of an empty one */
	struct dp_grace *grace;                         /* borrowed */
	uint32_t n_tables;
	uint32_t n_routes; /* of DP_FIB_ROUTE, in all tables */
	uint32_t max_routes;
};

/* False: not enough memory. */
bool dp_fib_init(struct dp_fib *f, uint32_t max_routes, struct dp_grace *grace);
void dp_fib_fini(struct dp_fib *f);

/* Adds or changes a claim. False: there is no memory; nothing was changed. Tables are below DP_MAX_TABLES
 * or DP_FIB_PORTS, here and in what follows. */
bool dp_fib_set(struct dp_fib *f, uint16_t table, const struct ip_prefix *p,
		enum dp_fib_source source, uint32_t nh);
/* Withdraws a claim; `there`: whether there was one. False as above. */
bool dp_fib_clear(struct dp_fib *f, uint16_t table, const struct ip_prefix *p,
		  enum dp_fib_source source, bool *there);
bool dp_fib_has(const struct dp_fib *f, uint16_t table, const struct ip_prefix *p,
		enum dp_fib_source source);

/* Each claim of a source in a table, in no order. `fn` may not change it. */
void dp_fib_walk(const struct dp_fib *f, uint16_t table, enum dp_fib_source source, dp_lpm_fn *fn,
		 void *ctx);

/* For the manager's hash tables. */
uint32_t dp_addr_hash(const struct ip_addr *a, uint32_t seed);

/* A family's part of a table; for workers, too. */
static inline const struct dp_lpm *dp_fib_lpm(const struct dp_fib *f, uint16_t table,
					      uint8_t family)
{
	const struct dp_fib_table *t = __atomic_load_n(&f->tables[table], __ATOMIC_ACQUIRE);

	return !t ? &f->none : family == 4 ? &t->v4 : &t->v6;
}

/* Longest match of one address. */
uint32_t dp_fib_lookup(const struct dp_fib *f, uint16_t table, const struct ip_addr *a);

#endif
