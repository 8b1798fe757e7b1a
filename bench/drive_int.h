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
#include "bench/lines.h"

#define DRIVE_BATCH_MAX 1024u
#define DRIVE_BUSY_MS   20u /* at real-time priority, then a rest */
#define DRIVE_RUN_UP_MS 300u
#define DRIVE_REST_US   10000u

/* With one_queue: what the other workers are to do. */
enum drive_task {
	DRIVE_GO_ROUND, /* nothing else */
	DRIVE_HELP,
	DRIVE_SEAL, /* packets of their own, by the bare AEAD */
	DRIVE_GIVE, /* lines.h */
};

/* The same, and whether they really run. All are atomic. */
struct helper {
	uint32_t wanted, doing; /* enum drive_task */
	uint32_t over;          /* they may end */
	uint64_t beat;          /* when one of them went round last */
	uint64_t gap;           /* the longest that took */
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
	double *lines;       /* by batch: what the first worker pays for a line of the second's */
	uint64_t *packets;   /* by batch, of all workers together: sent; atomic */
	uint64_t n_checked;
	uint64_t n_spread, n_helped; /* of the workers, before */
	struct lines shared_lines;
	char *error;
};

/* A worker's thread. */
struct driver {
	struct run *run;
	struct dp_worker *w;
	struct rte_mbuf *own[DP_BURST]; /* a helper's: what it seals */
	uint32_t n_barriers;
	uint32_t n_emptied;
	uint32_t n_waits;
	uint64_t begun; /* the last `begin` */
	bool late;
};

static inline unsigned n_workers_of(const struct run *r)
{
	return r->t->w->dp.n_workers;
}

/* Bursts that were put forward for other workers, and done by them, since the beginning. */
static inline uint64_t n_spread(const struct run *r)
{
	uint64_t n = 0;

	for (unsigned i = 0; i < n_workers_of(r); i++)
		n += r->t->w->dp.stats->workers[i].spread;
	return n;
}
static inline uint64_t n_helped(const struct run *r)
{
	uint64_t n = 0;

	for (unsigned i = 0; i < n_workers_of(r); i++)
		n += r->t->w->dp.stats->workers[i].helped;
	return n;
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

/* drive.c. All that fails ends the run, with the first text. */
void drive_fail(struct run *r, const char *text);
bool drive_takes_part(const struct driver *d, unsigned batch);
void drive_begin_together(struct driver *d);
void drive_meet(struct driver *d);
bool drive_make(struct driver *d, unsigned port, struct rte_mbuf **m, unsigned n);
void drive_refill(struct driver *d);                                  /* its receive rings */
unsigned drive_take(struct driver *d, unsigned port, unsigned batch); /* what was sent; its count */

/* drive_crypto.c: cycles of the AEAD alone on a batch of packets as they come. */
uint64_t drive_crypto(struct driver *d, unsigned batch);
/* The AEAD's work on some packets of ESP, of which n <= DRIVE_BATCH_MAX. */
struct drive_jobs {
	const struct esp_backend *backend;
	unsigned n;
	struct esp_job jobs[DRIVE_BATCH_MAX];
};
void drive_jobs_of(struct driver *d, struct rte_mbuf **m, unsigned n, bool open,
		   struct drive_jobs *out);
void drive_jobs_do(struct driver *d, struct drive_jobs *j, bool open);

/* drive_helped.c: all batches with one queue. */
void drive_helped(struct driver *d);

/* drive_figures.c: what all batches together say. */
void drive_evaluate(const struct run *r, struct drive_result *out);

#endif
