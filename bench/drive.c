/* SPDX-License-Identifier: Apache-2.0 */
/* drive: see drive.h. */
#include "bench/drive.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <rte_cycles.h>
#include <rte_launch.h>
#include "esp/esp_int.h"

#define BATCH_MAX 1024u
#define IP_SIZE   20u
#define QUARTER   4u
#define ABSENT                                                                                     \
	10000u /* a helper that needs longer than such a part of a second to go round does not run */
#define PUSH_OUT (4u << 20) /* larger than a CPU's own caches */

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
	uint64_t *cycles;  /* by batch, of all workers together; atomic */
	uint64_t *packets; /* the same: sent */
	uint64_t *crypto;  /* one worker's */
	bool *helped;      /* others helped with this batch, all the time */
	bool *absent;      /* or they did not run */
	uint64_t n_checked;
	char *error;
};

struct driver {
	struct run *run;
	struct dp_worker *w;
	uint32_t n_barriers;
	uint32_t n_emptied;
};

static uint64_t tsc(void)
{
	return rte_rdtsc_precise();
}

static void fail(struct run *r, const char *text)
{
	if (__atomic_exchange_n(&r->failed, 1, __ATOMIC_ACQ_REL) == 0 && text)
		snprintf(r->error, WORLD_ERROR, "%s", text);
}

/* All threads meet; a machine that others use as well may run them one after the other. */
static void meet(struct driver *d)
{
	const uint32_t want = ++d->n_barriers * d->run->t->w->dp.n_workers;

	(void)__atomic_add_fetch(&d->run->at_barrier, 1, __ATOMIC_ACQ_REL);
	while ((int32_t)(__atomic_load_n(&d->run->at_barrier, __ATOMIC_ACQUIRE) - want) < 0)
		(void)sched_yield();
}

static bool make(struct driver *d, unsigned port, struct rte_mbuf **m, unsigned n)
{
	struct traffic *t = d->run->t;

	return port == WORLD_LAN ? traffic_plain(t, m, n, d->run->o->size, d->w->index)
				 : traffic_esp(t, m, n, d->run->o->size, d->w->index);
}

static void offer(struct driver *d, unsigned port, unsigned n)
{
	struct rte_mbuf *m[BATCH_MAX];
	struct rte_ring *to = NULL;

	/* The queue of the port that this worker polls. */
	for (unsigned q = 0; q < d->w->dp->n_workers; q++) {
		if (dp_port_polled_by(&d->w->dp->ports[port], q, d->w->index, d->w->dp->n_workers))
			to = d->run->t->w->rx[port][q];
	}
	if (!make(d, port, m, n) || !traffic_scatter(d->run->t, m, n))
		fail(d->run, "no packet could be made");
	else if (!to || rte_ring_sp_enqueue_bulk(to, (void **)m, n, NULL) != n)
		fail(d->run, "a receive ring is full");
}

static void refill(struct driver *d)
{
	const struct drive_opts *o = d->run->o;
	const unsigned n = o->op == DRIVE_BOTH ? o->batch / 2 : o->batch;

	if (o->op != DRIVE_DECAP)
		offer(d, WORLD_LAN, n);
	if (o->op != DRIVE_ENCAP)
		offer(d, WORLD_WAN, n);
}

/* One worker alone: as many rounds as the batch needs. */
static uint64_t rounds_alone(struct driver *d)
{
	const uint64_t start = tsc();
	unsigned left = d->run->o->batch;

	for (unsigned n = 1; left && n; left -= n)
		n = dp_worker_round(d->w);
	return tsc() - start;
}

/* Several: packets that belong to another worker are done by that one, whenever they come. */
static uint64_t rounds_together(struct driver *d)
{
	const uint32_t want = ++d->n_emptied * d->run->t->w->dp.n_workers;
	bool emptied = false;
	uint64_t busy = 0;

	for (;;) {
		const bool last = __atomic_load_n(&d->run->emptied, __ATOMIC_ACQUIRE) >= want;
		const uint64_t start = rte_rdtsc();
		const uint16_t n = dp_worker_round(d->w);

		if (n) {
			busy += rte_rdtsc() - start;
			continue;
		}
		if (!emptied) {
			emptied = true;
			(void)__atomic_add_fetch(&d->run->emptied, 1, __ATOMIC_ACQ_REL);
		} else if (last) {
			return busy;
		} else {
			(void)sched_yield();
		}
	}
}

/* One worker receives it all, and others may help it: until the last packet is sent. */
static uint64_t rounds_helped(struct driver *d)
{
	const uint64_t start = tsc();
	unsigned left = d->run->o->batch;

	while (left || dp_spread_busy(d->w))
		left -= dp_worker_round(d->w);
	return tsc() - start;
}

static struct esp_job job_of(uint8_t *ip, const struct esp_suite *s, const struct esp_key *key)
{
	uint8_t *esp = ip + IP_SIZE;
	const uint32_t size = dp_get16(ip + 2) - IP_SIZE;

	return (struct esp_job){
		.key = key,
		.esp = esp,
		.payload_size = size - ESP_HDR_SIZE - s->iv_size - s->icv_size,
	};
}

/* The AEAD of a batch alone, in the pipeline's bursts: keys are those of the SAs in the dataplane. */
static uint64_t crypto(struct driver *d, struct rte_mbuf **m, unsigned n, bool open)
{
	const struct dp *dp = d->w->dp;
	const struct esp_suite *s = &d->run->t->o.suite;
	const struct esp_backend *backend = NULL;
	struct esp_job jobs[BATCH_MAX];
	uint64_t sum;
	void *ctx;

	for (unsigned i = 0; i < n; i++) {
		uint8_t *ip = dp_data(m[i]) + DP_ETH_SIZE;
		const uint32_t slot = dp_get32(ip + IP_SIZE) & DP_SLOT_MASK;

		backend = open ? dp->sas.in[slot]->esp->backend : dp->sas.out[slot]->esp->backend;
		jobs[i] = job_of(ip, s,
				 open ? dp->sas.in[slot]->esp->line.key : dp->sas.out[slot]->esp->key);
	}
	if (!backend)
		return 0;
	ctx = esp_thread_ctx(&d->w->esp, backend);
	sum = tsc();
	for (unsigned i = 0; i < n; i += DP_BURST) {
		const unsigned k = RTE_MIN(n - i, (unsigned)DP_BURST);

		if (open)
			backend->open(ctx, jobs + i, k);
		else
			backend->seal(ctx, jobs + i, k);
	}
	sum = tsc() - sum;
	for (unsigned i = 0; i < n; i++) {
		if (!jobs[i].ok)
			fail(d->run, "the AEAD alone refuses a packet");
	}
	return sum;
}

/* What a port sent by this worker's queue; its count. */
static unsigned take(struct driver *d, unsigned port, unsigned batch)
{
	struct run *r = d->run;
	struct rte_mbuf *m[BATCH_MAX];
	const unsigned n = rte_ring_sc_dequeue_burst(r->t->w->tx[port][d->w->index], (void **)m,
						     BATCH_MAX, NULL);
	char error[WORLD_ERROR];

	for (unsigned i = 0; i < n && batch < r->o->n_checked; i++) {
		if (!(port == WORLD_WAN ? traffic_check_esp(r->t, m[i], error)
					: traffic_check_plain(r->t, m[i], error)))
			fail(r, error);
		(void)__atomic_add_fetch(&r->n_checked, 1, __ATOMIC_RELAXED);
	}
	rte_pktmbuf_free_bulk(m, n);
	return n;
}

/*
 * The AEAD alone on a batch of packets as they come, their SAs drawn anew as for the pipeline; worker
 * 0 only, while the others wait.
 */
static uint64_t crypto_batch(struct driver *d, bool open)
{
	struct rte_mbuf *m[BATCH_MAX];
	uint64_t sum = 0;

	if (!make(d, WORLD_WAN, m, d->run->o->batch)) {
		fail(d->run, "no packet could be made");
		return 0;
	}
	sum = crypto(d, m, d->run->o->batch, open);
	rte_pktmbuf_free_bulk(m, d->run->o->batch);
	return sum;
}

static void crypto_of(struct driver *d, unsigned batch)
{
	struct run *r = d->run;

	switch (r->o->op) {
	case DRIVE_ENCAP: r->crypto[batch] = crypto_batch(d, false); break;
	case DRIVE_DECAP: r->crypto[batch] = crypto_batch(d, true); break;
	case DRIVE_BOTH:
		r->crypto[batch] = (crypto_batch(d, false) + crypto_batch(d, true)) / 2;
		break;
	}
}

static void one_batch(struct driver *d, unsigned batch)
{
	struct run *r = d->run;
	const unsigned n_workers = r->t->w->dp.n_workers;
	uint64_t cycles;
	unsigned sent = 0;

	/* Packets are drawn from one source of randomness: one thread after the other. */
	for (unsigned i = 0; i < n_workers; i++) {
		if (i == d->w->index)
			refill(d);
		meet(d);
	}
	cycles = n_workers == 1 ? rounds_alone(d) : rounds_together(d);
	meet(d);
	for (unsigned i = 0; i < n_workers; i++) {
		if (i == d->w->index) {
			sent += take(d, WORLD_LAN, batch);
			sent += take(d, WORLD_WAN, batch);
		}
		meet(d);
	}
	(void)__atomic_add_fetch(&r->cycles[batch], cycles, __ATOMIC_RELAXED);
	(void)__atomic_add_fetch(&r->packets[batch], sent, __ATOMIC_RELAXED);
	if (d->w->index == 0)
		crypto_of(d, batch);
}

/*
 * Packets leave the caches of this CPU for the one that all share, where a NIC puts them: else the owner would have
 * near what a helper has to fetch from far away.
 */
static void push_out(void)
{
	static uint8_t others[PUSH_OUT] __rte_cache_aligned;

	for (size_t i = 0; i < sizeof(others); i += RTE_CACHE_LINE_SIZE)
		(void)__atomic_add_fetch(&others[i], 1, __ATOMIC_RELAXED);
}

/* The others, until all is over: look for work, or only go round. */
static void help(struct driver *d)
{
	struct helper *h = &d->run->helper;
	uint64_t last = rte_rdtsc();

	while (!__atomic_load_n(&h->over, __ATOMIC_ACQUIRE)) {
		const uint64_t now = rte_rdtsc();

		if (now - last > __atomic_load_n(&h->gap, __ATOMIC_RELAXED))
			__atomic_store_n(&h->gap, now - last, __ATOMIC_RELAXED);
		__atomic_store_n(&h->beat, last = now, __ATOMIC_RELEASE);
		if (__atomic_load_n(&h->wanted, __ATOMIC_ACQUIRE))
			(void)dp_worker_round(d->w);
		else
			dp_spread_leave(d->w);
	}
}

/* Until they do as they are told. */
static void tell_helpers(struct driver *d, bool wanted)
{
	struct helper *h = &d->run->helper;
	const uint64_t until = rte_rdtsc() + rte_get_tsc_hz() / ABSENT;
	const uint32_t *at_hand = &d->w->dp->spread.at_hand;

	__atomic_store_n(&h->wanted, wanted, __ATOMIC_RELEASE);
	while ((__atomic_load_n(at_hand, __ATOMIC_RELAXED) > 0) != wanted && rte_rdtsc() < until)
		;
	__atomic_store_n(&h->gap, 0, __ATOMIC_RELAXED);
}

/* All packets come to one worker, and every second batch the others help it. They never wait for each other. */
static void one_batch_helped(struct driver *d, unsigned batch)
{
	struct run *r = d->run;
	const bool others = r->t->w->dp.n_workers > 1;
	const uint64_t limit = rte_get_tsc_hz() / ABSENT;

	refill(d);
	push_out();
	if (others)
		tell_helpers(d, batch & 1);
	r->cycles[batch] = rounds_helped(d);
	r->helped[batch] = others && (batch & 1);
	r->absent[batch] =
		others &&
		(__atomic_load_n(&r->helper.gap, __ATOMIC_RELAXED) > limit ||
		 rte_rdtsc() - __atomic_load_n(&r->helper.beat, __ATOMIC_ACQUIRE) > limit);
	r->packets[batch] = take(d, WORLD_LAN, batch) + take(d, WORLD_WAN, batch);
	crypto_of(d, batch);
}

static void run_one_queue(struct driver *d)
{
	struct run *r = d->run;

	if (d->w->index != 0) {
		help(d);
		return;
	}
	for (unsigned i = 0; i < r->o->n_batches && !r->failed; i++)
		one_batch_helped(d, i);
	__atomic_store_n(&r->helper.over, 1, __ATOMIC_RELEASE);
}

static int driver_main(void *arg)
{
	struct driver *d = arg;

	dp_worker_enter(d->w);
	if (d->run->o->one_queue) {
		run_one_queue(d);
		dp_worker_leave(d->w);
		return 0;
	}
	/* All threads see a failure at the same place: the meetings keep them together. */
	for (unsigned i = 0; i < d->run->o->n_batches; i++) {
		one_batch(d, i);
		meet(d);
		if (__atomic_load_n(&d->run->failed, __ATOMIC_ACQUIRE))
			break;
		meet(d);
	}
	dp_worker_leave(d->w);
	return 0;
}

static int by_value(const void *a, const void *b)
{
	const double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static void evaluate(const struct run *r, struct drive_result *out)
{
	const unsigned n = r->o->n_batches;
	const bool helped = r->o->one_queue && r->t->w->dp.n_workers > 1;
	double *v = calloc(n, sizeof(*v)), *c = calloc(n, sizeof(*c)),
	       *alone = calloc(n, sizeof(*alone));
	unsigned k = 0, n_alone = 0;

	*out = (struct drive_result){.n_checked = r->n_checked};
	for (unsigned i = 0; i < r->t->w->dp.n_workers; i++) {
		out->n_spread += r->t->w->dp.stats->workers[i].spread;
		out->n_helped += r->t->w->dp.stats->workers[i].helped;
	}
	for (unsigned i = 0; v && c && alone && i < n; i++) {
		const double cycles = (double)r->cycles[i] / (double)r->packets[i];

		out->n_packets += r->packets[i];
		c[i] = (double)r->crypto[i] / (double)r->o->batch;
		if (r->absent[i])
			continue;
		if (r->helped[i] == helped)
			v[k++] = cycles;
		else
			alone[n_alone++] = cycles;
	}
	if (k) {
		qsort(v, k, sizeof(*v), by_value);
		qsort(c, n, sizeof(*c), by_value);
		out->cycles = v[k / QUARTER];
		out->cycles_p50 = v[k / 2];
		out->crypto = c[n / QUARTER];
	}
	if (n_alone) {
		qsort(alone, n_alone, sizeof(*alone), by_value);
		out->alone = alone[n_alone / QUARTER];
	}
	out->n_used = k;
	free(alone);
	free(v);
	free(c);
}

static bool all_came(struct run *r)
{
	const uint64_t want = (uint64_t)r->o->batch * (r->o->one_queue ? 1 : r->t->w->dp.n_workers);
	const char *reason = "nothing counted";
	const uint64_t drops = world_drops(r->t->w, &reason);

	for (unsigned i = 0; i < r->o->n_batches; i++) {
		if (r->packets[i] == want && drops == 0)
			continue;
		snprintf(r->error, WORLD_ERROR,
			 "batch %u: %llu of %llu packets came out; %llu dropped in all (%s)", i,
			 (unsigned long long)r->packets[i], (unsigned long long)want,
			 (unsigned long long)drops, reason);
		return false;
	}
	return true;
}

bool drive(struct traffic *t, const struct drive_opts *o, struct drive_result *result,
	   char error[WORLD_ERROR])
{
	static struct driver drivers[DP_STATS_MAX_WORKERS];
	struct run r = {.t = t, .o = o, .error = error};
	struct dp *dp = &t->w->dp;
	bool ok;

	r.cycles = calloc(o->n_batches, sizeof(*r.cycles));
	r.packets = calloc(o->n_batches, sizeof(*r.packets));
	r.crypto = calloc(o->n_batches, sizeof(*r.crypto));
	r.helped = calloc(o->n_batches, sizeof(*r.helped));
	r.absent = calloc(o->n_batches, sizeof(*r.absent));
	if (!r.cycles || !r.packets || !r.crypto || !r.helped || !r.absent ||
	    o->batch > BATCH_MAX || o->batch % (2 * DP_BURST) != 0) {
		snprintf(error, WORLD_ERROR, "no memory, or a batch that is too large or uneven");
		return false;
	}
	for (unsigned i = 0; i < dp->n_workers; i++) {
		drivers[i] = (struct driver){.run = &r, .w = dp->workers[i]};
		(void)rte_eal_remote_launch(driver_main, &drivers[i], dp->workers[i]->lcore);
	}
	rte_eal_mp_wait_lcore();
	ok = !r.failed && all_came(&r);
	if (ok)
		evaluate(&r, result);
	if (ok && result->n_used == 0) {
		snprintf(error, WORLD_ERROR,
			 "the other workers never ran while one was measured: the machine is too "
			 "busy");
		ok = false;
	}
	free(r.cycles);
	free(r.packets);
	free(r.crypto);
	free(r.helped);
	free(r.absent);
	return ok;
}
