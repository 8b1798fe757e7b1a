/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ike_store: the records of the IKE SAs, in memory that outlives the ike process.
 *
 * The supervisor makes the memory (a sealed memfd, locked, out of core dumps) and hands it to each
 * ike process in turn; it never looks inside, and no other process gets it. One process at a time
 * writes. Its death, at whatever instruction, leaves the records as they were before or after the
 * change in hand, never between: new records go to free blocks first, then a journal says what is to
 * be exchanged, then the entries change, then the journal is cleared. Whoever attaches carries out a
 * journal that was written to its end, and wipes what belongs to nobody.
 *
 * What stands in the memory is checked as if a stranger had written it: indexes, lengths, chains,
 * and a checksum of each record. A record that fails is one that is not there, and counted.
 */
#ifndef DAEMON_IKE_STORE_H
#define DAEMON_IKE_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/mono.h"

#define IKE_STORE_BLOCK   1024u /* bytes; a record is a chain of them */
#define IKE_STORE_CHANGES 256u  /* records in one change */
#define IKE_STORE_SUM     16u

struct ike_store_head;

/* A record that is being put in, or one that stands. */
struct ike_store_item {
	uint64_t spi;
	uint64_t at_ns; /* CLOCK_MONOTONIC, which all processes share */
	uint32_t tunnel;
	uint32_t head; /* its first block */
	uint32_t size; /* bytes; 0: none, forget it */
	uint32_t zero;
	uint8_t sum[IKE_STORE_SUM];
};

struct ike_store {
	struct ike_store_head *h; /* NULL: there is no memory, nothing is kept */
	struct ike_store_item *entries;
	uint32_t *next; /* by block */
	uint8_t *blocks;
	uint32_t n_entries, n_blocks; /* our own copies */
	/* Ours alone, made anew by each process. */
	uint32_t *free_blocks; /* a stack */
	uint32_t n_free;
	uint32_t *bucket, *chain; /* SPI to entry */
	uint32_t *free_entries;
	uint32_t n_free_entries;
	uint32_t n_damaged; /* at the attaching */
	struct ike_store_item change[IKE_STORE_CHANGES];
	uint32_t n_change;
	bool failed; /* the change in hand found no room */
};

/* Bytes that the records of so many tunnels want. */
size_t ike_store_size(uint32_t max_tunnels);

/*
 * Takes up what stands in `mem` (zeroed: nothing yet), which stays the caller's. False when the memory
 * is too small or ours is short; then nothing can be kept. What is of another layout is wiped.
 */
bool ike_store_attach(struct ike_store *s, void *mem, size_t size);
void ike_store_detach(struct ike_store *s); /* the records stay */

/* A change: any number of put and forget, then commit. All of it is kept, or nothing of it. */
void ike_store_put(struct ike_store *s, uint64_t spi, uint32_t tunnel, const void *data,
		   size_t size, struct mono now);
void ike_store_forget(struct ike_store *s, uint64_t spi);
/*
 * False: there was no room. Then every record that the change names is forgotten instead: an old one
 * would say what is no longer so.
 */
bool ike_store_commit(struct ike_store *s);

/* Calls `fn` with each record; the bytes are a copy that is wiped after the call. */
void ike_store_each(struct ike_store *s, size_t max_size,
		    void (*fn)(void *ctx, const struct ike_store_item *item, const uint8_t *data),
		    void *ctx);
void ike_store_clear(struct ike_store *s); /* forgets all */
uint32_t ike_store_count(const struct ike_store *s);

/*
 * How many processes in a row took the records up and did not get to say that they live with them. One
 * that makes every process die must not do so for ever.
 */
uint32_t ike_store_attempts(const struct ike_store *s);
void ike_store_attempt(struct ike_store *s);
void ike_store_survived(struct ike_store *s);

#endif
