/* SPDX-License-Identifier: Apache-2.0 */
/*
 * path: a hash table of attribute sets, chained through the sets themselves.
 *
 * Linear hashing: with each set one more bucket is split, so that no insertion waits for all the others to
 * be moved. Buckets stand in segments of 256, 256, 512, 1024 and so on, which never move.
 */
#include "base/path.h"

#include <stdlib.h>
#include <string.h>
#include "base/rd.h"
#include "base/sb.h"

#define BUCKETS_MIN_BITS 8
#define BUCKETS_MIN      (1u << BUCKETS_MIN_BITS)
#define SEGMENTS         (32 - BUCKETS_MIN_BITS + 1)

#define SEGMENT_SET 1 /* RFC 4271 4.3 b) */

struct path_store {
	struct path **segments[SEGMENTS];
	uint32_t n_buckets;
	size_t segments_bytes;
	size_t n;
	size_t bytes; /* of the sets */
	uint64_t seed;
};

static size_t parts_size(const struct path_facts *f)
{
	return (size_t)f->as_path_size + f->communities_size + f->large_communities_size +
	       f->ext_communities_size + f->cluster_list_size + f->unknown_size;
}

/* By words of eight bytes; the store's seed keeps a neighbour from choosing attributes that collide. */
static uint64_t mix(uint64_t h, const void *data, size_t size)
{
	const uint8_t *p = data;
	uint64_t word;

	for (; size >= 8; size -= 8, p += 8) {
		memcpy(&word, p, 8);
		h = (h ^ word) * 0x9e3779b97f4a7c15u;
		h ^= h >> 29;
	}
	word = size;
	if (size)
		memcpy((uint8_t *)&word + 1, p, size);
	h = (h ^ word) * 0x9e3779b97f4a7c15u;
	return h ^ h >> 32;
}

static unsigned segment_of(uint32_t bucket)
{
	return bucket < BUCKETS_MIN ? 0 : 32u - (unsigned)__builtin_clz(bucket) - BUCKETS_MIN_BITS;
}

static uint32_t segment_size(unsigned i)
{
	return i == 0 ? BUCKETS_MIN : BUCKETS_MIN << (i - 1);
}

static struct path **bucket_at(const struct path_store *s, uint32_t bucket)
{
	const unsigned i = segment_of(bucket);

	return &s->segments[i][i ? bucket - segment_size(i) : bucket];
}

static struct path **bucket_of(const struct path_store *s, uint32_t hash)
{
	/* `half` buckets were there when the present round of splitting began. */
	uint32_t half = 1u << (31 - __builtin_clz(s->n_buckets)), i;

	if (half == s->n_buckets)
		half /= 2;
	i = hash & (2 * half - 1);
	if (i >= s->n_buckets)
		i &= half - 1;
	return bucket_at(s, i);
}

static bool segment_add(struct path_store *s, unsigned i)
{
	if (s->segments[i])
		return true;
	s->segments[i] = calloc(segment_size(i), sizeof(struct path *));
	if (!s->segments[i])
		return false;
	s->segments_bytes += segment_size(i) * sizeof(struct path *);
	return true;
}

struct path_store *path_store_new(uint64_t seed)
{
	struct path_store *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->seed = seed;
	s->n_buckets = BUCKETS_MIN;
	if (!segment_add(s, 0)) {
		free(s);
		return NULL;
	}
	return s;
}

void path_store_free(struct path_store *s)
{
	if (!s)
		return;
	for (unsigned i = 0; i < SEGMENTS; i++)
		free(s->segments[i]);
	free(s);
}

size_t path_store_count(const struct path_store *s)
{
	return s->n;
}

size_t path_store_bytes(const struct path_store *s)
{
	return sizeof(*s) + s->segments_bytes + s->bytes;
}

/* One more bucket takes its share of the one that it splits. */
static void split(struct path_store *s)
{
	const uint32_t fresh = s->n_buckets;
	const uint32_t half = 1u << (31 - __builtin_clz(fresh));
	struct path **from, **to, *rest;

	if (fresh == UINT32_MAX || !segment_add(s, segment_of(fresh)))
		return; /* longer chains, nothing worse */
	from = bucket_at(s, fresh - half);
	to = bucket_at(s, fresh);
	s->n_buckets++;
	for (rest = *from, *from = NULL; rest;) {
		struct path *p = rest, **into = p->hash & half ? to : from;

		rest = p->next;
		p->next = *into;
		*into = p;
	}
}

struct path *path_intern(struct path_store *s, const struct path_facts *f, const uint8_t *bytes)
{
	const size_t size = parts_size(f);
	struct path_facts facts;
	struct path *p, **at;
	uint32_t hash;

	if (size > PATH_BYTES_MAX)
		return NULL;
	/* Member by member, so that padding never tells equal sets apart. */
	memset(&facts, 0, sizeof(facts));
	facts.origin = f->origin;
	facts.flags = f->flags;
	facts.as_path_length = f->as_path_length;
	facts.first_as = f->first_as;
	facts.origin_as = f->origin_as;
	facts.med = f->flags & PATH_HAS_MED ? f->med : 0;
	facts.local_pref = f->flags & PATH_HAS_LOCAL_PREF ? f->local_pref : 0;
	facts.otc = f->flags & PATH_HAS_OTC ? f->otc : 0;
	facts.aggregator_as = f->flags & PATH_HAS_AGGREGATOR ? f->aggregator_as : 0;
	facts.aggregator_id = f->flags & PATH_HAS_AGGREGATOR ? f->aggregator_id : 0;
	facts.originator_id = f->flags & PATH_HAS_ORIGINATOR ? f->originator_id : 0;
	facts.next_hop = f->next_hop;
	facts.next_hop_link_local = f->next_hop_link_local;
	facts.as_path_size = f->as_path_size;
	facts.communities_size = f->communities_size;
	facts.large_communities_size = f->large_communities_size;
	facts.ext_communities_size = f->ext_communities_size;
	facts.cluster_list_size = f->cluster_list_size;
	facts.unknown_size = f->unknown_size;

	hash = (uint32_t)mix(mix(s->seed, &facts, sizeof(facts)), bytes, size);
	for (p = *bucket_of(s, hash); p; p = p->next) {
		if (p->hash == hash && memcmp(&p->facts, &facts, sizeof(facts)) == 0 &&
		    (size == 0 || memcmp(p->bytes, bytes, size) == 0))
			return path_ref(p);
	}
	p = malloc(sizeof(*p) + size);
	if (!p)
		return NULL;
	memcpy(&p->facts, &facts, sizeof(facts)); /* with its padding */
	p->refs = 1;
	p->hash = hash;
	if (size)
		memcpy(p->bytes, bytes, size);
	if (s->n >= s->n_buckets)
		split(s);
	at = bucket_of(s, hash);
	p->next = *at;
	*at = p;
	s->n++;
	s->bytes += sizeof(*p) + size;
	return p;
}

void path_unref(struct path_store *s, struct path *p)
{
	struct path **at;

	if (!p || --p->refs)
		return;
	at = bucket_of(s, p->hash);
	while (*at != p)
		at = &(*at)->next;
	*at = p->next;
	s->n--;
	s->bytes -= sizeof(*p) + parts_size(&p->facts);
	free(p);
}

const uint8_t *path_as_path(const struct path *p)
{
	return p->bytes;
}

const uint8_t *path_communities(const struct path *p)
{
	return path_as_path(p) + p->facts.as_path_size;
}

const uint8_t *path_large_communities(const struct path *p)
{
	return path_communities(p) + p->facts.communities_size;
}

const uint8_t *path_ext_communities(const struct path *p)
{
	return path_large_communities(p) + p->facts.large_communities_size;
}

const uint8_t *path_cluster_list(const struct path *p)
{
	return path_ext_communities(p) + p->facts.ext_communities_size;
}

const uint8_t *path_unknown(const struct path *p)
{
	return path_cluster_list(p) + p->facts.cluster_list_size;
}

/* The next segment; false at the end, or where the bytes are no AS_PATH. */
static bool segment(struct rd *r, uint8_t *type, struct rd *ases)
{
	uint8_t count;

	return rd_u8(r, type) && rd_u8(r, &count) && rd_sub(r, (size_t)count * 4, ases);
}

bool path_has_as(const struct path *p, uint32_t as)
{
	struct rd r = rd_of(path_as_path(p), p->facts.as_path_size), ases;
	uint32_t one;
	uint8_t type;

	while (segment(&r, &type, &ases))
		while (rd_u32(&ases, &one))
			if (one == as)
				return true;
	return false;
}

bool path_has_community(const struct path *p, uint32_t community)
{
	struct rd r = rd_of(path_communities(p), p->facts.communities_size);
	uint32_t one;

	while (rd_u32(&r, &one))
		if (one == community)
			return true;
	return false;
}

const char *path_as_path_format(const struct path *p, char *buf, size_t size)
{
	struct rd r = rd_of(path_as_path(p), p->facts.as_path_size), ases;
	struct sb s = sb_of(buf, size);
	const char *space = "";
	uint32_t one;
	uint8_t type;

	while (segment(&r, &type, &ases)) {
		const bool set = type == SEGMENT_SET;

		if (set) {
			sb_printf(&s, "%s{", space);
			space = "";
		}
		while (rd_u32(&ases, &one)) {
			sb_printf(&s, "%s%u", space, one);
			space = " ";
		}
		if (set)
			sb_str(&s, "}");
		space = " ";
	}
	return buf;
}
