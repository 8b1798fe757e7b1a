/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fib: longest match for IPv4 and IPv6 on rte_fib and rte_fib6.
 *
 * The manager is the only writer; workers look up without locks. Several sources may claim the
 * same prefix: our own address, a route to a tunnel, a port's connected network, a neighbour. The
 * manager keeps all claims, and the table shows the strongest.
 */
#ifndef DATAPLANE_FIB_H
#define DATAPLANE_FIB_H

#include <stdbool.h>
#include <stdint.h>
#include <rte_fib.h>
#include <rte_fib6.h>
#include <rte_rcu_qsbr.h>
#include <rte_version.h>
#include "base/addr.h"

/* The 16 bytes of an IPv6 address, or an array of such, as rte_fib6 takes them: since DPDK 24.11 as a
 * struct with the same layout. */
#if RTE_VERSION >= RTE_VERSION_NUM(24, 11, 0, 0)
#define DP_FIB6_ADDR(bytes) ((const struct rte_ipv6_addr *)(const void *)(bytes))
#else
#define DP_FIB6_ADDR(bytes) (bytes)
#endif

enum dp_nh_kind {
	DP_NH_NONE = 0,
	DP_NH_LOCAL,     /* one of our addresses */
	DP_NH_GROUP,     /* index: group */
	DP_NH_BLACKHOLE, /* a route that drops */
	DP_NH_CONNECTED, /* index: port; the neighbour is not known yet */
	DP_NH_NEIGH,     /* index: neighbour */
};

/* Next hops are 31-bit values: kind above index. */
#define DP_NH_INDEX_BITS 27
#define DP_NH_INDEX_MASK ((1u << DP_NH_INDEX_BITS) - 1)

static inline uint32_t dp_nh(enum dp_nh_kind kind, uint32_t index)
{
	return (uint32_t)kind << DP_NH_INDEX_BITS | index;
}

static inline enum dp_nh_kind dp_nh_kind(uint64_t nh)
{
	return (enum dp_nh_kind)(nh >> DP_NH_INDEX_BITS);
}

static inline uint32_t dp_nh_index(uint64_t nh)
{
	return (uint32_t)nh & DP_NH_INDEX_MASK;
}

/* Who claims a prefix; the lower, the stronger. */
enum dp_fib_source {
	DP_FIB_LOCAL,
	DP_FIB_ROUTE,
	DP_FIB_CONNECTED,
	DP_FIB_NEIGH,
	DP_FIB_N_SOURCES,
};

struct dp_fib_entry;

struct dp_fib {
	struct rte_fib *v4;
	struct rte_fib6 *v6;
	struct dp_fib_entry **buckets; /* the manager's claims, hashed by prefix */
	uint32_t n_buckets;            /* a power of two */
	uint32_t n_entries;
	uint32_t n_routes; /* of DP_FIB_ROUTE */
	uint32_t max_routes;
	struct rte_rcu_qsbr *qsbr; /* borrowed */
	uint64_t freed; /* token of the last change that may have freed a table; 0: none */
};

/* Tables for about max_routes prefixes of each family. False: not enough memory. */
bool dp_fib_init(struct dp_fib *f, uint32_t max_routes, struct rte_rcu_qsbr *qsbr);
void dp_fib_fini(struct dp_fib *f);

/* Adds or changes a claim. False: the tables are full; nothing was changed. */
bool dp_fib_set(struct dp_fib *f, const struct ip_prefix *p, enum dp_fib_source source,
		uint32_t nh);
/* Withdraws a claim. False: there was none. */
bool dp_fib_clear(struct dp_fib *f, const struct ip_prefix *p, enum dp_fib_source source);
bool dp_fib_has(const struct dp_fib *f, const struct ip_prefix *p, enum dp_fib_source source);

/* For the manager's hash tables. */
uint32_t dp_addr_hash(const struct ip_addr *a, uint32_t seed);

/* Longest match of one address, for the manager. */
uint32_t dp_fib_lookup(const struct dp_fib *f, const struct ip_addr *a);

#endif
