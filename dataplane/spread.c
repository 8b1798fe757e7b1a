/* SPDX-License-Identifier: Apache-2.0 */
/* spread: see spread.h. */
#include "dataplane/spread.h"

#include <stdlib.h>
#include <rte_pause.h>
#include "dataplane/dp.h"
#include "dataplane/pipeline.h"

/* Packets of a full burst. Whatever their size, help pays: docs/benchmarking.md. */
#define FULL_MIN   32u
#define STREAK_MIN 2u
#define KEEP_MIN   64u /* full bursts in an interval, for help to be wanted on */
#define WAITING    2u  /* items for each worker at hand that may wait to be begun */

bool dp_spread_init(struct dp_worker *w, struct dp_spread_all *all)
{
	struct dp_spread *s = aligned_alloc(RTE_CACHE_LINE_SIZE, sizeof(*s));
	struct dp_spread_item *items =
		aligned_alloc(RTE_CACHE_LINE_SIZE, DP_SPREAD_ITEMS * sizeof(*items));

	if (!s || !items) {
		free(s);
		free(items);
		return false;
	}
	memset(s, 0, sizeof(*s));
	memset(items, 0, DP_SPREAD_ITEMS * sizeof(*items));
	s->all = all;
	s->items = items;
	w->spread = s;
	return true;
}

void dp_spread_fini(struct dp_worker *w)
{
	if (w->spread)
		free(w->spread->items);
	free(w->spread);
	w->spread = NULL;
}

/* Whether every SA of a burst has keys that several threads may use at once. */
static bool keys_shared(const struct dp_worker *w, const struct dp_esp_vec *v, bool open)
{
	const void *last = NULL;

	for (uint16_t i = 0; i < v->n; i++) {
		const void *sa = v->sa[i];

		if (sa == last)
			continue;
		last = sa;
		if (!(open ? esp_in_keys_shared(&w->esp, dp_in_esp(sa))
			   : esp_out_keys_shared(&w->esp, dp_out_esp(sa))))
			return false;
	}
	return true;
}

static void stop_helping(struct dp_spread *s)
{
	if (s->helps)
		(void)__atomic_sub_fetch(&s->all->at_hand, 1, __ATOMIC_RELAXED);
	s->helps = false;
}

/* A full burst has come: a queue has formed. */
static void note_full(struct dp_spread *s)
{
	stop_helping(s);
	s->n_full++;
	if (s->streak < STREAK_MIN)
		s->streak++;
	if (s->wants || s->streak < STREAK_MIN)
		return;
	s->wants = true;
	(void)__atomic_add_fetch(&s->all->wanted, 1, __ATOMIC_RELAXED);
}

static uint32_t at_hand(const struct dp_spread *s)
{
	return __atomic_load_n(&s->all->at_hand, __ATOMIC_RELAXED);
}

struct dp_spread_item *dp_spread_take(struct dp_spread *s)
{
	uint64_t i = __atomic_load_n(&s->taken, __ATOMIC_ACQUIRE);

	do {
		if (i == __atomic_load_n(&s->put, __ATOMIC_ACQUIRE))
			return NULL;
	} while (!__atomic_compare_exchange_n(&s->taken, &i, i + 1, true, __ATOMIC_ACQ_REL,
					      __ATOMIC_ACQUIRE));
	return &s->items[i % DP_SPREAD_ITEMS];
}

static void run_jobs(struct dp_worker *w, struct dp_spread_item *item)
{
	if (item->open)
		esp_batch_open(&w->esp, &item->batch);
	else
		esp_batch_seal(&w->esp, &item->batch);
}

void dp_spread_do(struct dp_worker *w, struct dp_spread_item *item)
{
	if (!item->early)
		run_jobs(w, item);
	__atomic_store_n(&item->done, 1, __ATOMIC_RELEASE);
}

/* The oldest of our own that nobody has begun. */
static bool take_back(struct dp_worker *w)
{
	struct dp_spread_item *item = dp_spread_take(w->spread);

	if (!item)
		return false;
	dp_spread_do(w, item);
	dp_count(&w->stats->taken_back, 1);
	return true;
}

static bool end_one(struct dp_worker *w)
{
	struct dp_spread *s = w->spread;
	struct dp_spread_item *item = &s->items[s->ended % DP_SPREAD_ITEMS];

	if (!dp_spread_out(s) || !__atomic_load_n(&item->done, __ATOMIC_ACQUIRE))
		return false;
	item->end(w, item);
	s->ended++;
	return true;
}

/* Ends the oldest, whatever has to be done for it. */
static void push_one(struct dp_worker *w)
{
	while (!end_one(w))
		if (!take_back(w))
			rte_pause(); /* somebody is at it, and will not stop before it is done */
}

void dp_spread_drain(struct dp_worker *w)
{
	while (dp_spread_busy(w))
		push_one(w);
}

struct dp_spread_item *dp_spread_open(struct dp_worker *w, const struct dp_esp_vec *v, bool open)
{
	struct dp_spread *s = w->spread;
	const bool full = v->n >= FULL_MIN && keys_shared(w, v, open);
	struct dp_spread_item *item;

	if (unlikely(w->dp->inline_crypto || v->n == 0))
		return NULL; /* what a device seals has its order from the port's queue */
	if (full)
		note_full(s);
	if (!dp_spread_out(s) && (!full || at_hand(s) == 0))
		return NULL;
	while (s->put - s->ended == DP_SPREAD_ITEMS)
		push_one(w);
	item = &s->items[s->put % DP_SPREAD_ITEMS];
	item->open = open;
	return item;
}

/* A batch with keys that only its owner may use. */
static bool is_ours_alone(const struct dp_worker *w, const struct esp_batch *b)
{
	for (size_t a = 0; a < ESP_AEADS_MAX; a++)
		if (b->n[a] && !w->esp.aead[a].backend->keys_shared)
			return true;
	return false;
}

void dp_spread_put(struct dp_worker *w, struct dp_spread_item *item, const struct dp_esp_vec *v,
		   uint16_t n_runs, dp_spread_end_fn *end)
{
	struct dp_spread *s = w->spread;

	memcpy(item->v.m, v->m, v->n * sizeof(v->m[0]));
	memcpy(item->v.sa, v->sa, v->n * sizeof(v->sa[0]));
	memcpy(item->v.pkts, v->pkts, v->n * sizeof(v->pkts[0]));
	item->v.n = v->n;
	item->n_runs = n_runs;
	item->end = end;
	item->done = 0;
	item->early = is_ours_alone(w, &item->batch);
	if (unlikely(item->early))
		run_jobs(w, item);
	__atomic_store_n(&s->put, s->put + 1, __ATOMIC_RELEASE);
	dp_count(&w->stats->spread, 1);
	/* What the helpers do not keep up with is ours. */
	while (s->put - __atomic_load_n(&s->taken, __ATOMIC_RELAXED) > WAITING * at_hand(s) &&
	       take_back(w))
		;
}

unsigned dp_spread_round(struct dp_worker *w, bool idle)
{
	struct dp_spread *s = w->spread;
	const uint64_t before = s->ended;

	if (unlikely(dp_grace_asked(&w->dp->grace, w->index)))
		dp_spread_drain(w);
	else if (idle)
		(void)take_back(w);
	while (end_one(w))
		;
	/* Out of one tunnel and into another. */
	while (w->encap.n) {
		dp_encap(w);
		if (unlikely(dp_grace_asked(&w->dp->grace, w->index)))
			dp_spread_drain(w);
	}
	return (unsigned)(s->ended - before);
}

bool dp_spread_help(struct dp_worker *w)
{
	struct dp_spread *s = w->spread;
	const struct dp *dp = w->dp;

	s->streak = 0;
	if (__atomic_load_n(&s->all->wanted, __ATOMIC_RELAXED) == (s->wants ? 1u : 0u)) {
		stop_helping(s);
		return false;
	}
	if (!s->helps)
		(void)__atomic_add_fetch(&s->all->at_hand, 1, __ATOMIC_RELAXED);
	s->helps = true;
	for (unsigned i = 1; i < dp->n_workers; i++) {
		const struct dp_worker *owner = dp->workers[(w->index + i) % dp->n_workers];
		struct dp_spread_item *item = dp_spread_take(owner->spread);

		if (item) {
			dp_spread_do(w, item);
			dp_count(&w->stats->helped, 1);
			return true;
		}
	}
	return false;
}

void dp_spread_tick(struct dp_worker *w)
{
	struct dp_spread *s = w->spread;

	if (s->wants && s->n_full < KEEP_MIN) {
		s->wants = false;
		(void)__atomic_sub_fetch(&s->all->wanted, 1, __ATOMIC_RELAXED);
	}
	s->n_full = 0;
}

void dp_spread_leave(struct dp_worker *w)
{
	struct dp_spread *s = w->spread;

	do {
		dp_spread_drain(w);
		if (w->encap.n)
			dp_encap(w);
	} while (dp_spread_out(s));
	stop_helping(s);
	s->n_full = 0;
	dp_spread_tick(w);
}
