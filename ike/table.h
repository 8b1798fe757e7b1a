/* SPDX-License-Identifier: Apache-2.0 */
/*
 * table: an intrusive chained hash of 64-bit keys. A link is a member of the object that is found;
 * equal keys may stand side by side, the caller compares the rest.
 */
#ifndef IKE_TABLE_H
#define IKE_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ike_link {
	struct ike_link *next;
	uint64_t key;
	bool linked;
};

struct ike_table {
	struct ike_link **buckets;
	size_t n_buckets; /* a power of two */
	size_t n;
	uint64_t seed; /* keeps outsiders from choosing the bucket */
};

bool ike_table_init(struct ike_table *t, uint64_t seed);
void ike_table_fini(struct ike_table *t); /* leaves the objects alone */
void ike_table_put(struct ike_table *t, struct ike_link *link, uint64_t key);
void ike_table_remove(struct ike_table *t, struct ike_link *link); /* harmless if absent */
struct ike_link *ike_table_first(const struct ike_table *t, uint64_t key);
struct ike_link *ike_table_next(const struct ike_link *link); /* the next one with the same key */

#endif
