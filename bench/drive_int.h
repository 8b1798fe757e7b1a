/* SPDX-License-Identifier: Apache-2.0 */
/*
 * drive, inside: what its threads share, and the figures that are made of it.
 *
 * Several workers run side by side: each has a CPU of its own, at real-time priority if there are enough of
 * them, and all begin a batch at one time. A worker's figure is the time until it was done, or, where workers
 * have packets for each other, until the last of all was. In every other batch, where none needs another, they take
 * turns to work alone, so that one and several are compared in the same run. Batches in which a worker was kept
 * from its work do not count.
 */
#ifndef BENCH_DRIVE_INT_H
#define BENCH_DRIVE_INT_H

#include "bench/drive.h"

/* With one_queue: what the other workers are to do, and whether they really run. All are atomic. */
struct helper {
	uint32_t wanted; /* they shall help */
	uint32_t over;   /* they may end */
	uint64_t beat;   /* when one of them went round last */
	uint64_t gap;    /* the longest that took */
};

/* What the threads of a run share. */
struct run {
	struct traffic *t;
	const struct drive_opts *o;
	uint32_t at_barrier; /* atomic: how often threads came */
	uint32_t emptied;    /* atomic: how often a worker found its receive rings empty */
	uint32_t failed;     /* atomic */
	struct helper helper;
	uint32_t rest;       /* atomic: all take a rest */
	uint32_t *disturbed; /* by batch: workers that were kept from their work; atomic */
	uint64_t begin;      /* atomic: when all begin; another value each time */
	uint64_t *cycles;    /* by batch and worker */
	uint64_t *crypto;    /* the same */
	uint64_t *packets;   /* by batch, of all workers together: sent; atomic */
	uint64_t n_checked;
	char *error;
};

static inline unsigned n_workers_of(const struct run *r)
{
	return r->t->w->dp.n_workers;
}

/* Workers have no packets for each other, and may or may not run beside each other. */
static inline bool take_turns(const struct run *r)
{
	return n_workers_of(r) > 1 && (r->t->o.aligned || r->t->o.per_worker || r->o->one_queue);
}

static inline bool is_alone(const struct run *r, unsigned batch)
{
	return take_turns(r) && batch % 2 != 0;
}

/* The worker that works alone in such a batch. */
static inline unsigned alone_in(const struct run *r, unsigned batch)
{
	return r->o->one_queue ? 0 : batch / 2 % n_workers_of(r);
}

/* drive_figures.c: what all batches together say. */
void drive_evaluate(const struct run *r, struct drive_result *out);

#endif
