/* SPDX-License-Identifier: Apache-2.0 */
/*
 * path: BGP path attributes (RFC 4271 5) as shared, immutable values.
 *
 * A full table names a few hundred thousand distinct sets of attributes for a million prefixes: a
 * set is kept once, counted, and compared by its address. The BGP core makes them out of UPDATE
 * messages, the routing core chooses between them and hands them back for other peers; neither
 * knows the other. A static or connected route has none.
 *
 * One thread owns a store and everything in it. Numbers are in host byte order; AS_PATH,
 * communities and unknown attributes are kept as they stand in a message between speakers with
 * four-octet AS numbers (RFC 6793), already checked.
 */
#ifndef BASE_PATH_H
#define BASE_PATH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/addr.h"

#define PATH_BYTES_MAX 65535u /* of all variable parts together */

enum path_origin {
	PATH_ORIGIN_IGP = 0,
	PATH_ORIGIN_EGP = 1,
	PATH_ORIGIN_INCOMPLETE = 2,
};

enum path_flags {
	PATH_HAS_MED = 1 << 0,
	PATH_HAS_LOCAL_PREF = 1 << 1,
	PATH_ATOMIC_AGGREGATE = 1 << 2,
	PATH_HAS_AGGREGATOR = 1 << 3,
	PATH_HAS_OTC = 1 << 4,        /* RFC 9234 5 */
	PATH_HAS_ORIGINATOR = 1 << 5, /* RFC 4456 8 */
};

/* What path_intern() takes and struct path begins with. */
struct path_facts {
	uint8_t origin;          /* enum path_origin */
	uint8_t flags;           /* enum path_flags */
	uint16_t as_path_length; /* as the decision counts it: RFC 4271 9.1.2.2, RFC 5065 5.3 */
	uint32_t first_as;       /* the neighbour's, 0 if the path is empty or begins with a set */
	uint32_t origin_as;      /* the last one, 0 likewise */
	uint32_t med, local_pref, otc;
	uint32_t aggregator_as;
	uint32_t aggregator_id; /* of the aggregator, an IPv4 address in host byte order */
	uint32_t originator_id;
	struct ip_addr next_hop;            /* global */
	struct ip_addr next_hop_link_local; /* RFC 2545 3; family IP_NONE: absent */
	/* Sizes in bytes of the parts, in the order in which they follow in `bytes`. */
	uint16_t as_path_size;           /* segments: type, count, count x 4 bytes */
	uint16_t communities_size;       /* RFC 1997: 4 bytes each, sorted, no duplicates */
	uint16_t large_communities_size; /* RFC 8092: 12 bytes each, likewise */
	uint16_t ext_communities_size;   /* RFC 4360: 8 bytes each, likewise */
	uint16_t cluster_list_size;      /* RFC 4456: 4 bytes each */
	uint16_t unknown_size; /* transitive ones: flags, type, length in 2 bytes, value */
};

struct path {
	struct path_facts facts;
	uint32_t refs;
	uint32_t hash;
	struct path *next; /* the store's */
	uint8_t bytes[];   /* the parts, one after the other */
};

/* What stands in a message beside attributes: a prefix without host bits. */
struct path_nlri {
	struct ip_prefix prefix;
	uint32_t path_id; /* RFC 7911, 0 without */
};

struct path_store;
/* seed: unpredictable, so that nobody can choose sets that collide in the table. */
struct path_store *path_store_new(uint64_t seed);
/* Everything must have been released. */
void path_store_free(struct path_store *s);
size_t path_store_count(const struct path_store *s);
/* Bytes of memory that the store and its sets take. */
size_t path_store_bytes(const struct path_store *s);

/*
 * The one set that is equal, with one more reference: the caller releases it. `bytes`: the parts.
 * NULL: out of memory, or the parts are more than PATH_BYTES_MAX.
 */
struct path *path_intern(struct path_store *s, const struct path_facts *f, const uint8_t *bytes);
/* Takes another reference. */
static inline struct path *path_ref(struct path *p)
{
	p->refs++;
	return p;
}
void path_unref(struct path_store *s, struct path *p); /* NULL is harmless */

/* The parts. */
const uint8_t *path_as_path(const struct path *p);
const uint8_t *path_communities(const struct path *p);
const uint8_t *path_large_communities(const struct path *p);
const uint8_t *path_ext_communities(const struct path *p);
const uint8_t *path_cluster_list(const struct path *p);
const uint8_t *path_unknown(const struct path *p);

bool path_has_as(const struct path *p, uint32_t as);               /* anywhere in the AS_PATH */
bool path_has_community(const struct path *p, uint32_t community); /* RFC 1997 */
/* "65001 65002 {65003 65004}" (RFC 5396 asplain); cut to fit. Returns buf. */
const char *path_as_path_format(const struct path *p, char *buf, size_t size);

#endif
