/* SPDX-License-Identifier: Apache-2.0 */
/* drive: see drive.h. */
#include "bench/drive_int.h"

#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <rte_cycles.h>
#include <rte_launch.h>
#include "bench/cpus.h"
#include "esp/esp_int.h"

#define BATCH_MAX 1024u
#define IP_SIZE   20u
#define WAITS     4096u /* some 100 microseconds */
#define TOGETHER  3000u /* cycles: within so many, all workers know when to begin */
#define LATE      2000u /* cycles: who begins so much later was kept from it */
#define GAP_US    50u   /* no round takes so long */
#define BUSY_MS   20u   /* at real-time priority, then a rest */
#define REST_US   10000u
#define ABSENT                                                                                     \
	10000u /* a helper that needs longer than such a part of a second to go round does not run */
#define PUSH_OUT (4u << 20) /* larger than a CPU's own caches */

struct driver {
	struct run *run;
	struct dp_worker *w;
	uint32_t n_barriers;
	uint32_t n_emptied;
	uint32_t n_waits;
	uint64_t begun; /* the last `begin` */
	bool late;
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

static bool takes_part(const struct driver *d, unsigned batch)
{
	return !is_alone(d->run, batch) || d->w->index == alone_in(d->run, batch);
}

/* For other threads, which have CPUs of their own most of the time; if not, they get this one. */
static void wait_shortly(struct driver *d)
{
	if (++d->n_waits % WAITS)
		rte_pause();
	else
		(void)sched_yield();
}

/* All workers begin at one time. */
static void begin_together(struct driver *d)
{
	struct run *r = d->run;
	uint64_t now;

	if (d->w->index == 0)
		__atomic_store_n(&r->begin, rte_rdtsc() + TOGETHER, __ATOMIC_RELEASE);
	while (__atomic_load_n(&r->begin, __ATOMIC_ACQUIRE) == d->begun)
		wait_shortly(d);
	d->begun = __atomic_load_n(&r->begin, __ATOMIC_ACQUIRE);
	while ((now = rte_rdtsc_precise()) < d->begun)
		;
	d->late |= now - d->begun > LATE;
}

/* All threads meet; a machine that others use as well may run them one after the other. */
static void meet(struct driver *d)
{
	const uint32_t want = ++d->n_barriers * d->run->t->w->dp.n_workers;

	(void)__atomic_add_fetch(&d->run->at_barrier, 1, __ATOMIC_ACQ_REL);
	while ((int32_t)(__atomic_load_n(&d->run->at_barrier, __ATOMIC_ACQUIRE) - want) < 0)
		wait_shortly(d);
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

/*
 * Several: packets that belong to another worker are done by that one, whenever they come. From the common
 * beginning to the end of the last round that had packets.
 */
static uint64_t rounds_together(struct driver *d)
{
	const uint32_t want = ++d->n_emptied * n_workers_of(d->run);
	struct cpus_watch watch;
	bool emptied = false;
	uint64_t end;

	begin_together(d);
	watch = (struct cpus_watch){.last = d->begun};
	end = d->begun;
	for (;;) {
		const bool last = __atomic_load_n(&d->run->emptied, __ATOMIC_ACQUIRE) >= want;
		const uint16_t n = dp_worker_round(d->w);

		cpus_look(&watch, rte_rdtsc());
		if (n) {
			end = watch.last;
		} else if (!emptied) {
			emptied = true;
			(void)__atomic_add_fetch(&d->run->emptied, 1, __ATOMIC_ACQ_REL);
		} else if (last) {
			d->late |= watch.longest > rte_get_tsc_hz() / US_PER_S * GAP_US;
			return end - d->begun;
		} else {
			wait_shortly(d);
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
static uint64_t crypto(struct driver *d, struct rte_mbuf **m, unsigned n, bool open, bool together)
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

		const struct esp_in *in = open ? dp->sas.in[slot]->esp : NULL;
		const struct esp_out *out = open ? NULL : dp_out_esp(dp->sas.out[slot]);

		backend = open ? in->backend : out->backend;
		jobs[i] = job_of(ip, s, open ? in->line.key : out->line.key);
	}
	if (together)
		begin_together(d);
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

/* The AEAD alone on a batch of packets as they come, their SAs drawn anew as for the pipeline. */
static uint64_t crypto_batch(struct driver *d, unsigned batch, bool open)
{
	const bool one = n_workers_of(d->run) == 1 || d->run->o->one_queue;
	const bool together = !one && !is_alone(d->run, batch);
	const unsigned n = d->run->o->batch;
	struct rte_mbuf *m[BATCH_MAX];
	bool made = false;
	uint64_t sum = 0;

	/* Packets are drawn from one source of randomness: one thread after the other. */
	for (unsigned i = 0; i < n_workers_of(d->run) && !one; i++) {
		if (i == d->w->index && takes_part(d, batch))
			made = make(d, WORLD_WAN, m, n);
		meet(d);
	}
	if (one)
		made = make(d, WORLD_WAN, m, n);
	if (!takes_part(d, batch))
		return 0;
	if (made || together)
		sum = crypto(d, m, made ? n : 0, open, together);
	if (made)
		rte_pktmbuf_free_bulk(m, n);
	else
		fail(d->run, "no packet could be made");
	return sum;
}

static uint64_t crypto_of_op(struct driver *d, unsigned batch)
{
	switch (d->run->o->op) {
	case DRIVE_ENCAP: return crypto_batch(d, batch, false);
	case DRIVE_DECAP: return crypto_batch(d, batch, true);
	case DRIVE_BOTH: break;
	}
	return (crypto_batch(d, batch, false) + crypto_batch(d, batch, true)) / 2;
}

static void one_batch(struct driver *d, unsigned batch)
{
	struct run *r = d->run;
	const unsigned n_workers = n_workers_of(r);
	const uint64_t preempted = cpus_preempted();
	uint64_t *const mine = &r->cycles[batch * n_workers + d->w->index];

	d->late = false;
	for (unsigned i = 0; i < n_workers; i++) {
		if (i == d->w->index && takes_part(d, batch))
			refill(d);
		meet(d);
	}
	if (takes_part(d, batch))
		*mine = n_workers == 1 || is_alone(r, batch) ? rounds_alone(d) : rounds_together(d);
	meet(d);
	for (unsigned i = 0; i < n_workers; i++) {
		if (i == d->w->index)
			(void)__atomic_add_fetch(&r->packets[batch],
						 take(d, WORLD_LAN, batch) +
							 take(d, WORLD_WAN, batch),
						 __ATOMIC_RELAXED);
		meet(d);
	}
	r->crypto[batch * n_workers + d->w->index] = crypto_of_op(d, batch);
	if (n_workers > 1 && (d->late || cpus_preempted() != preempted))
		(void)__atomic_add_fetch(&r->disturbed[batch], 1, __ATOMIC_RELAXED);
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
		uint64_t now;

		while (__atomic_load_n(&d->run->rest, __ATOMIC_ACQUIRE)) {
			rte_delay_us_sleep(REST_US / 4);
			last = rte_rdtsc();
		}
		now = rte_rdtsc();

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
	const bool others = n_workers_of(r) > 1;
	const uint64_t limit = rte_get_tsc_hz() / ABSENT;

	refill(d);
	push_out();
	if (others)
		tell_helpers(d, !is_alone(r, batch));
	r->cycles[batch * n_workers_of(r)] = rounds_helped(d);
	r->disturbed[batch] =
		others &&
		(__atomic_load_n(&r->helper.gap, __ATOMIC_RELAXED) > limit ||
		 rte_rdtsc() - __atomic_load_n(&r->helper.beat, __ATOMIC_ACQUIRE) > limit);
	r->packets[batch] = take(d, WORLD_LAN, batch) + take(d, WORLD_WAN, batch);
	r->crypto[batch * n_workers_of(r)] = crypto_of_op(d, batch);
}

static void run_one_queue(struct driver *d)
{
	const uint64_t busy = rte_get_tsc_hz() / MS_PER_S * BUSY_MS;
	uint64_t since = rte_rdtsc();
	struct run *r = d->run;

	if (d->w->index != 0) {
		help(d);
		return;
	}
	for (unsigned i = 0; i < r->o->n_batches && !r->failed; i++) {
		one_batch_helped(d, i);
		if (n_workers_of(r) == 1 || rte_rdtsc() - since < busy)
			continue;
		__atomic_store_n(&r->rest, 1, __ATOMIC_RELEASE);
		rte_delay_us_sleep(REST_US);
		__atomic_store_n(&r->rest, 0, __ATOMIC_RELEASE);
		since = rte_rdtsc();
	}
	__atomic_store_n(&r->helper.over, 1, __ATOMIC_RELEASE);
}

/*
 * Every SA has had a packet before anything is timed: the first of each goes a longer way, and the manager, which
 * is told of it, is not here.
 */
static void warm_up(struct driver *d, unsigned port)
{
	struct traffic *t = d->run->t;
	void *news;

	t->in_turn = true;
	t->turn = 0;
	while (t->turn < t->o.n_sas && !d->run->failed) {
		offer(d, port, d->run->o->batch);
		(void)rounds_alone(d);
		(void)take(d, port == WORLD_LAN ? WORLD_WAN : WORLD_LAN, UINT_MAX);
		while (rte_ring_sc_dequeue(d->w->dp->sa_events, &news) == 0)
			continue;
	}
	t->in_turn = false;
}

static int driver_main(void *arg)
{
	struct driver *d = arg;
	struct run *r = d->run;
	const bool realtime = n_workers_of(r) > 1 && n_workers_of(r) <= cpus_count();
	const uint64_t busy = rte_get_tsc_hz() / MS_PER_S * BUSY_MS;
	uint64_t since = rte_rdtsc();

	if (realtime)
		(void)cpus_pin(d->w->index);
	cpus_realtime(realtime);
	dp_worker_enter(d->w);
	if (n_workers_of(r) == 1 && r->o->op != DRIVE_DECAP)
		warm_up(d, WORLD_LAN);
	if (n_workers_of(r) == 1 && r->o->op != DRIVE_ENCAP)
		warm_up(d, WORLD_WAN);
	if (r->o->one_queue) {
		run_one_queue(d);
		dp_worker_leave(d->w);
		cpus_realtime(false);
		return 0;
	}
	/* All threads see a failure, and the time for a rest, at the same place: the meetings keep them together. */
	for (unsigned i = 0; i < r->o->n_batches; i++) {
		one_batch(d, i);
		if (d->w->index == 0)
			__atomic_store_n(&r->rest, realtime && rte_rdtsc() - since > busy,
					 __ATOMIC_RELAXED);
		meet(d);
		if (__atomic_load_n(&r->failed, __ATOMIC_ACQUIRE))
			break;
		if (__atomic_load_n(&r->rest, __ATOMIC_RELAXED)) {
			rte_delay_us_sleep(REST_US);
			since = rte_rdtsc();
		}
		meet(d);
	}
	dp_worker_leave(d->w);
	cpus_realtime(false);
	return 0;
}

static bool all_came(struct run *r)
{
	const char *reason = "nothing counted";
	const uint64_t drops = world_drops(r->t->w, &reason);

	for (unsigned i = 0; i < r->o->n_batches; i++) {
		const uint64_t want = (uint64_t)r->o->batch *
				      (is_alone(r, i) || r->o->one_queue ? 1 : n_workers_of(r));

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

	r.cycles = calloc((size_t)o->n_batches * dp->n_workers, sizeof(*r.cycles));
	r.packets = calloc(o->n_batches, sizeof(*r.packets));
	r.crypto = calloc((size_t)o->n_batches * dp->n_workers, sizeof(*r.crypto));
	r.disturbed = calloc(o->n_batches, sizeof(*r.disturbed));
	if (!r.cycles || !r.packets || !r.crypto || !r.disturbed || o->batch > BATCH_MAX ||
	    o->batch % (2 * DP_BURST) != 0) {
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
		drive_evaluate(&r, result);
	free(r.cycles);
	free(r.packets);
	free(r.crypto);
	free(r.disturbed);
	return ok;
}
