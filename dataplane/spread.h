/* SPDX-License-Identifier: Apache-2.0 */
/*
 * spread: the cryptography of one worker's bursts, done by others that have time.
 *
 * An SA half has one owner, so that a peer with one pair of SAs is one worker's matter. What must stay with the owner
 * are sequence numbers, replay window, counters and the order of packets; sealing and opening need a key and
 * nothing else. So a busy owner prepares bursts as ever, puts them into a queue, and any worker takes the oldest
 * that nobody has begun: one that has nothing else to do, or the owner itself. The owner ends them strictly in
 * the order in which it prepared them.
 *
 *	ended ... put: on their way, in the owner's array of items
 *	taken ... put: begun by nobody yet
 *
 * Invariants
 *   - Once a burst is in the queue, every later burst of the owner goes through it, too, or waits until it is empty:
 *     packets of an SA leave in the order of their numbers.
 *   - A helper touches an item, its packets and its keys between taking it and saying that it is done, and nothing
 *     else; it never waits for anybody, so that waiting for it ends. It only helps when it found nothing of its own.
 *   - An item ends only after somebody has taken it and said so, even if nothing was left to do: its place is another
 *     burst's then, and who came late to it would seal that one twice.
 *   - Items keep SA halves in use across rounds. The owner reports no quiescent state (grace.h) while it has any,
 *     and empties its queue as soon as somebody waits for one; so nothing is freed under them.
 *   - Nobody depends on a helper that sleeps: the owner takes back what nobody has begun when it has nothing else to do,
 *     or too much waits.
 *
 * Who asks and who helps: a worker whose bursts are full twice in a row wants help, until a whole interval
 * passes without. While anybody does, workers that find nothing stay awake and are at hand.
 */
#ifndef DATAPLANE_SPREAD_H
#define DATAPLANE_SPREAD_H

#include <stdbool.h>
#include <stdint.h>
#include <rte_common.h>
#include "dataplane/packet.h"
#include "dataplane/worker.h"

#define DP_SPREAD_ITEMS    16u /* of a worker; a power of two */
#define DP_SPREAD_RUN_SIZE 56u /* bytes that the phases may keep of a run, or of a packet */

struct dp_spread_item;

/* Ends a burst whose jobs are done: the phase behind the cryptography. */
typedef void dp_spread_end_fn(struct dp_worker *w, struct dp_spread_item *item);

/* A burst on its way. */
struct dp_spread_item {
	uint32_t done; /* atomic, by whoever took it: the jobs are */
	bool open;     /* decapsulation */
	bool early;    /* the owner did them beforehand: nobody else may use their keys */
	uint16_t n_runs;
	dp_spread_end_fn *end;
	uint8_t runs[DP_VEC_SIZE][DP_SPREAD_RUN_SIZE] __rte_aligned(8); /* what `end` wants */
	struct dp_esp_vec v;
	struct esp_batch batch;
} __rte_cache_aligned;

/* What all workers share. */
struct dp_spread_all {
	uint32_t wanted __rte_cache_aligned;  /* atomic: how many workers want help */
	uint32_t at_hand __rte_cache_aligned; /* atomic: how many look for work */
} __rte_cache_aligned;

/* A worker's. Counters of items only grow; one that is `i` stands at i % DP_SPREAD_ITEMS. */
struct dp_spread {
	uint64_t put __rte_cache_aligned;   /* atomic, the owner's */
	uint64_t taken __rte_cache_aligned; /* atomic, anybody's */
	uint64_t ended __rte_cache_aligned; /* from here on all is the owner's */
	struct dp_spread_all *all;
	struct dp_spread_item *items;
	uint32_t n_full; /* full bursts in this interval */
	uint8_t streak;  /* of full bursts, without a round that found nothing */
	bool wants, helps;
} __rte_cache_aligned;

/* For a worker; false: no memory. */
bool dp_spread_init(struct dp_worker *w, struct dp_spread_all *all);
void dp_spread_fini(struct dp_worker *w);

static inline bool dp_spread_out(const struct dp_spread *s)
{
	return s->ended != s->put;
}

/* Whether the worker has bursts on their way. */
static inline bool dp_spread_busy(const struct dp_worker *w)
{
	return w->spread && dp_spread_out(w->spread);
}

/* Whether it must stay awake: for its own bursts, or for somebody else's. */
static inline bool dp_spread_awake(const struct dp_worker *w)
{
	return w->spread && (dp_spread_out(w->spread) || w->spread->helps);
}

/*
 * Before a burst's phase 1: an item to prepare it into and to put, or NULL: it is to be done here, now. Bursts
 * on their way may end meanwhile, which may add to w->encap.
 */
struct dp_spread_item *dp_spread_open(struct dp_worker *w, const struct dp_esp_vec *v, bool open);
static inline struct dp_spread_item *dp_spread_item(struct dp_worker *w, const struct dp_esp_vec *v,
						    bool open)
{
	return likely(!w->spread) ? NULL : dp_spread_open(w, v, open);
}
/* After it. The packets in `v` are copied; runs and jobs are in the item. */
void dp_spread_put(struct dp_worker *w, struct dp_spread_item *item, const struct dp_esp_vec *v,
		   uint16_t n_runs, dp_spread_end_fn *end);

/* Ends everything that is on its way, in order: before an SA changes what its packets look like. */
void dp_spread_drain(struct dp_worker *w);

/* Once a round, if the worker is busy so: ends what is done. `idle`: the round found no packet. How many bursts. */
unsigned dp_spread_round(struct dp_worker *w, bool idle);
/* After a round that found nothing: does a burst of another worker. False: there was none. */
bool dp_spread_help(struct dp_worker *w);
/* Once an interval. */
void dp_spread_tick(struct dp_worker *w);
/* Before the thread ends. */
void dp_spread_leave(struct dp_worker *w);

/* What helping consists of. NULL: nothing waits. */
struct dp_spread_item *dp_spread_take(struct dp_spread *s);
void dp_spread_do(struct dp_worker *w, struct dp_spread_item *item);

#endif
