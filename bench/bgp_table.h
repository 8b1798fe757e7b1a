/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bgp_table: a made-up Internet table as a neighbour would announce it: UPDATE messages, ready to be
 * sent.
 *
 * The shape is that of the default-free zone of 2025: of the IPv4 prefixes six in ten are /24, four in
 * ten lie within another one; paths of 2 to 8 ASes over a dozen large carriers and a few thousand smaller
 * ones, some prepended; communities mostly the carriers'; six to seven prefixes share their attributes,
 * which is one UPDATE: half of these have one or two prefixes, one in a hundred some hundred. They are
 * announced in the order of their attributes, not of their addresses.
 */
#ifndef BENCH_BGP_TABLE_H
#define BENCH_BGP_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/addr.h"

struct bgp_table_opts {
	uint32_t n[2]; /* prefixes of IPv4 and IPv6 */
	/* Which paths the prefixes have. The prefixes themselves are always the same. */
	uint64_t seed;
	uint32_t as; /* the neighbour's: every path begins with it */
	struct ip_addr next_hop[2];
};

struct bgp_table {
	uint8_t *announce; /* UPDATEs, then an End-of-RIB for each family */
	size_t announce_size;
	uint8_t *withdraw; /* UPDATEs that take everything back */
	size_t withdraw_size;
	uint32_t n_updates;
	uint32_t n_sets[2];       /* of attributes, as often as they change */
	struct ip_prefix last[2]; /* that are announced */
};

/* False: no memory, or more prefixes than the address space holds. */
bool bgp_table_make(const struct bgp_table_opts *o, struct bgp_table *t);
void bgp_table_free(struct bgp_table *t);

#endif
