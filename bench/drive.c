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

#define WAITS    4096u /* some 100 microseconds */
#define TOGETHER 3000u /* cycles: within so many, all workers know when to begin */
#define LATE     2000u /* cycles: who begins so much later was kept from it */
#define GAP_US   50u   /* no round takes so long */

void drive_fail(struct run *r, const char *text)
{
	if (__atomic_exchange_n(&r->failed, 1, __ATOMIC_ACQ_REL) == 0 && text)
		snprintf(r->error, WORLD_ERROR, "%s", text);
}

bool drive_takes_part(const struct driver *d, unsigned batch)
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
void drive_begin_together(struct driver *d)
{
	struct run *r = d->run;
	uint64_t now;

	if (d->w->index == 0)
		__atomic_store_n(&r->begin, rte_rdtsc_precise() + TOGETHER, __ATOMIC_RELEASE);
	while (__atomic_load_n(&r->begin, __ATOMIC_ACQUIRE) == d->begun)
		wait_shortly(d);
	d->begun = __atomic_load_n(&r->begin, __ATOMIC_ACQUIRE);
	while ((now = rte_rdtsc_precise()) < d->begun)
		;
	d->late |= now - d->begun > LATE;
}

/* All threads meet; a machine that others use as well may run them one after the other. */
void drive_meet(struct driver *d)
{
	const uint32_t want = ++d->n_barriers * d->run->t->w->dp.n_workers;

	(void)__atomic_add_fetch(&d->run->at_barrier, 1, __ATOMIC_ACQ_REL);
	while ((int32_t)(__atomic_load_n(&d->run->at_barrier, __ATOMIC_ACQUIRE) - want) < 0)
		wait_shortly(d);
}

bool drive_make(struct driver *d, unsigned port, struct rte_mbuf **m, unsigned n)
{
	struct traffic *t = d->run->t;

	return port == WORLD_LAN ? traffic_plain(t, m, n, d->run->o->size, d->w->index)
				 : traffic_esp(t, m, n, d->run->o->size, d->w->index);
}

static void offer(struct driver *d, unsigned port, unsigned n)
{
	struct rte_mbuf *m[DRIVE_BATCH_MAX];
	struct rte_ring *to = NULL;

	/* The queue of the port that this worker polls. */
	for (unsigned q = 0; q < d->w->dp->n_workers; q++) {
		if (dp_port_polled_by(&d->w->dp->ports[port], q, d->w->index, d->w->dp->n_workers))
			to = d->run->t->w->rx[port][q];
	}
	if (!drive_make(d, port, m, n) || !traffic_scatter(d->run->t, m, n))
		drive_fail(d->run, "no packet could be made");
	else if (!to || rte_ring_sp_enqueue_bulk(to, (void **)m, n, NULL) != n)
		drive_fail(d->run, "a receive ring is full");
}

void drive_refill(struct driver *d)
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
	const uint64_t start = rte_rdtsc_precise();
	unsigned left = d->run->o->batch;

	for (unsigned n = 1; left && n; left -= n)
		n = dp_worker_round(d->w);
	return rte_rdtsc_precise() - start;
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

	drive_begin_together(d);
	watch = (struct cpus_watch){.last = d->begun};
	end = d->begun;
	for (;;) {
		const bool last = __atomic_load_n(&d->run->emptied, __ATOMIC_ACQUIRE) >= want;
		const uint16_t n = dp_worker_round(d->w);

		cpus_look(&watch, rte_rdtsc_precise());
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

/* What a port sent by this worker's queue; its count. */
unsigned drive_take(struct driver *d, unsigned port, unsigned batch)
{
	struct run *r = d->run;
	struct rte_mbuf *m[DRIVE_BATCH_MAX];
	const unsigned n = rte_ring_sc_dequeue_burst(r->t->w->tx[port][d->w->index], (void **)m,
						     DRIVE_BATCH_MAX, NULL);
	char error[WORLD_ERROR];

	for (unsigned i = 0; i < n && batch < r->o->n_checked; i++) {
		if (!(port == WORLD_WAN ? traffic_check_esp(r->t, m[i], error)
					: traffic_check_plain(r->t, m[i], error)))
			drive_fail(r, error);
		(void)__atomic_add_fetch(&r->n_checked, 1, __ATOMIC_RELAXED);
	}
	rte_pktmbuf_free_bulk(m, n);
	return n;
}

static void hand_over(struct driver *d, unsigned batch)
{
	struct run *r = d->run;

	drive_meet(d);
	if (d->w->index == 0)
		r->lines[batch] = lines_take(&r->shared_lines);
	else if (d->w->index == 1)
		lines_give(&r->shared_lines);
}

static void one_batch(struct driver *d, unsigned batch)
{
	struct run *r = d->run;
	const unsigned n_workers = n_workers_of(r);
	const uint64_t preempted = cpus_preempted();
	uint64_t *const mine = &r->cycles[batch * n_workers + d->w->index];

	d->late = false;
	for (unsigned i = 0; i < n_workers; i++) {
		if (i == d->w->index && drive_takes_part(d, batch))
			drive_refill(d);
		drive_meet(d);
	}
	if (drive_takes_part(d, batch))
		*mine = n_workers == 1 || is_alone(r, batch) ? rounds_alone(d) : rounds_together(d);
	drive_meet(d);
	for (unsigned i = 0; i < n_workers; i++) {
		if (i == d->w->index)
			(void)__atomic_add_fetch(&r->packets[batch],
						 drive_take(d, WORLD_LAN, batch) +
							 drive_take(d, WORLD_WAN, batch),
						 __ATOMIC_RELAXED);
		drive_meet(d);
	}
	r->crypto[batch * n_workers + d->w->index] = drive_crypto(d, batch);
	if (n_workers > 1)
		hand_over(d, batch);
	if (n_workers > 1 && (d->late || cpus_preempted() != preempted))
		(void)__atomic_add_fetch(&r->disturbed[batch], 1, __ATOMIC_RELAXED);
}

/* A batch that nobody times; the manager, which is told of each SA's first packet, is not here. */
static void pass_untimed(struct driver *d, unsigned port)
{
	void *news;

	offer(d, port, d->run->o->batch);
	(void)rounds_alone(d);
	(void)drive_take(d, port == WORLD_LAN ? WORLD_WAN : WORLD_LAN, UINT_MAX);
	while (rte_ring_sc_dequeue(d->w->dp->sa_events, &news) == 0)
		continue;
}

/* Every SA has had a packet before anything is timed: the first of each goes a longer way. */
static void warm_up(struct driver *d, unsigned port)
{
	struct traffic *t = d->run->t;

	t->in_turn = true;
	t->turn = 0;
	while (t->turn < t->o.n_sas && !d->run->failed)
		pass_untimed(d, port);
	t->in_turn = false;
}

/* A CPU that was idle, or has long not used its widest vectors, is slower for some tenths of a second. Once a process. */
static void run_up(struct driver *d, unsigned port)
{
	static uint64_t until;

	if (until == 0)
		until = rte_rdtsc() + rte_get_tsc_hz() / MS_PER_S * DRIVE_RUN_UP_MS;
	while (rte_rdtsc() < until && !d->run->failed)
		pass_untimed(d, port);
}

/* All threads see a failure, and the time for a rest, at the same place: the meetings keep them together. */
static void all_batches(struct driver *d, bool realtime)
{
	const uint64_t busy = rte_get_tsc_hz() / MS_PER_S * DRIVE_BUSY_MS;
	uint64_t since = rte_rdtsc();
	struct run *r = d->run;

	for (unsigned i = 0; i < r->o->n_batches; i++) {
		one_batch(d, i);
		if (d->w->index == 0)
			__atomic_store_n(&r->rest, realtime && rte_rdtsc() - since > busy,
					 __ATOMIC_RELAXED);
		drive_meet(d);
		if (__atomic_load_n(&r->failed, __ATOMIC_ACQUIRE))
			break;
		if (__atomic_load_n(&r->rest, __ATOMIC_RELAXED)) {
			rte_delay_us_sleep(DRIVE_REST_US);
			since = rte_rdtsc();
		}
		drive_meet(d);
	}
}

static int driver_main(void *arg)
{
	struct driver *d = arg;
	const unsigned n = n_workers_of(d->run);
	const bool realtime = n > 1 && n <= cpus_count();

	if (realtime)
		(void)cpus_pin(d->w->index);
	cpus_realtime(realtime);
	dp_worker_enter(d->w);
	if (n == 1 && d->run->o->op != DRIVE_DECAP)
		warm_up(d, WORLD_LAN);
	if (n == 1 && d->run->o->op != DRIVE_ENCAP)
		warm_up(d, WORLD_WAN);
	if (n == 1)
		run_up(d, d->run->o->op == DRIVE_DECAP ? WORLD_WAN : WORLD_LAN);
	if (d->run->o->one_queue)
		drive_helped(d);
	else
		all_batches(d, realtime);
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

/* What a helper seals; it can only help where threads may share a key. */
static bool give_own(struct driver *d, char *error)
{
	if (!drive_make(d, WORLD_WAN, d->own, DP_BURST)) {
		snprintf(error, WORLD_ERROR, "no packet could be made");
		return false;
	}
	if (esp_out_keys_shared(&d->w->esp, dp_out_esp(d->w->dp->sas.out[0])))
		return true;
	snprintf(error, WORLD_ERROR, "with this backend a key is one thread's: nobody can help");
	return false;
}

static bool make_drivers(struct driver *drivers, struct run *r)
{
	const struct dp *dp = &r->t->w->dp;

	for (unsigned i = 0; i < dp->n_workers; i++) {
		drivers[i] = (struct driver){.run = r, .w = dp->workers[i]};
		if (r->o->one_queue && i > 0 && !give_own(&drivers[i], r->error))
			return false;
	}
	return true;
}

static void run_drivers(struct driver *drivers, const struct run *r)
{
	const struct dp *dp = &r->t->w->dp;

	for (unsigned i = 0; i < dp->n_workers; i++)
		(void)rte_eal_remote_launch(driver_main, &drivers[i], dp->workers[i]->lcore);
	world_wait(r->t->w);
	for (unsigned i = 1; i < dp->n_workers && r->o->one_queue; i++)
		rte_pktmbuf_free_bulk(drivers[i].own, DP_BURST);
}

bool drive(struct traffic *t, const struct drive_opts *o, struct drive_result *result,
	   char error[WORLD_ERROR])
{
	static struct driver drivers[DP_STATS_MAX_WORKERS];
	const unsigned n_workers = t->w->dp.n_workers;
	static struct run r;
	bool ok = o->batch <= DRIVE_BATCH_MAX && o->batch % (2 * DP_BURST) == 0;

	r = (struct run){.t = t, .o = o, .error = error};
	r.n_spread = n_spread(&r);
	r.n_helped = n_helped(&r);
	r.cycles = calloc((size_t)o->n_batches * n_workers, sizeof(*r.cycles));
	r.packets = calloc(o->n_batches, sizeof(*r.packets));
	r.crypto = calloc((size_t)o->n_batches * n_workers, sizeof(*r.crypto));
	r.disturbed = calloc(o->n_batches, sizeof(*r.disturbed));
	r.lines = calloc(o->n_batches, sizeof(*r.lines));
	ok = ok && r.cycles && r.packets && r.crypto && r.disturbed && r.lines;
	snprintf(error, WORLD_ERROR, "no memory, or a batch that is too large or uneven");
	traffic_set_train(t, o->train);
	ok = ok && make_drivers(drivers, &r);
	if (ok) {
		run_drivers(drivers, &r);
		ok = !r.failed && all_came(&r);
	}
	if (ok)
		drive_evaluate(&r, result);
	free(r.cycles);
	free(r.packets);
	free(r.crypto);
	free(r.disturbed);
	free(r.lines);
	return ok;
}
