/* SPDX-License-Identifier: Apache-2.0 */
/*
 * drive_helped: all packets come to the first worker, and in every second batch the others do what they can of its
 * cryptography. Likewise with the bare AEAD: in every second batch the others seal packets of their own meanwhile, which
 * tells what two threads get out of this machine. They never wait for each other.
 */
#include <rte_cycles.h>
#include "bench/drive_int.h"
#include "esp/esp_int.h"

/* A helper that needs longer than such a part of a second to go round does not run. */
#define ABSENT   10000u
#define PUSH_OUT (4u << 20) /* larger than a CPU's own caches */

/* Until the last packet is sent. */
static uint64_t rounds_helped(struct driver *d)
{
	const uint64_t start = rte_rdtsc_precise();
	unsigned left = d->run->o->batch;

	while (left || dp_spread_busy(d->w))
		left -= dp_worker_round(d->w);
	return rte_rdtsc_precise() - start;
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

/* `anew`: it was told just now. */
static void go_round(struct driver *d, enum drive_task task, bool anew, struct drive_jobs *own)
{
	if (task == DRIVE_HELP) {
		(void)dp_worker_round(d->w);
		return;
	}
	dp_spread_leave(d->w);
	if (task == DRIVE_SEAL)
		drive_jobs_do(d, own, false);
	else if (task == DRIVE_GIVE && anew && d->w->index == 1)
		lines_give(&d->run->shared_lines);
}

/* The others, until all is over. */
static void help(struct driver *d)
{
	struct helper *h = &d->run->helper;
	enum drive_task before = DRIVE_GO_ROUND;
	struct drive_jobs own;
	uint64_t last;

	drive_jobs_of(d, d->own, DP_BURST, false, &own);
	last = rte_rdtsc();
	while (!__atomic_load_n(&h->over, __ATOMIC_ACQUIRE)) {
		const enum drive_task task = __atomic_load_n(&h->wanted, __ATOMIC_ACQUIRE);
		uint64_t now;

		while (__atomic_load_n(&d->run->rest, __ATOMIC_ACQUIRE)) {
			rte_delay_us_sleep(DRIVE_REST_US / 4);
			last = rte_rdtsc();
		}
		now = rte_rdtsc();
		if (now - last > __atomic_load_n(&h->gap, __ATOMIC_RELAXED))
			__atomic_store_n(&h->gap, now - last, __ATOMIC_RELAXED);
		__atomic_store_n(&h->beat, last = now, __ATOMIC_RELEASE);
		__atomic_store_n(&h->doing, task, __ATOMIC_RELEASE);
		go_round(d, task, task != before, &own);
		before = task;
	}
}

/* Until they do as they are told, and, if they are to help, the dataplane knows of it. */
static void tell_helpers(struct driver *d, enum drive_task task)
{
	struct helper *h = &d->run->helper;
	const uint64_t until = rte_rdtsc() + rte_get_tsc_hz() / ABSENT;
	const uint32_t *at_hand = &d->w->dp->spread.at_hand;

	if (n_workers_of(d->run) == 1)
		return;
	__atomic_store_n(&h->wanted, task, __ATOMIC_RELEASE);
	while ((__atomic_load_n(&h->doing, __ATOMIC_ACQUIRE) != task ||
		(__atomic_load_n(at_hand, __ATOMIC_RELAXED) > 0) != (task == DRIVE_HELP)) &&
	       rte_rdtsc() < until)
		;
	__atomic_store_n(&h->gap, 0, __ATOMIC_RELAXED);
}

/* Whether a helper did not run since it was told. Its clock may be ahead of what was read here a moment ago. */
static bool was_absent(const struct driver *d)
{
	const struct helper *h = &d->run->helper;
	const uint64_t limit = rte_get_tsc_hz() / ABSENT;
	const uint64_t beat = __atomic_load_n(&h->beat, __ATOMIC_ACQUIRE), now = rte_rdtsc();

	return n_workers_of(d->run) > 1 &&
	       (__atomic_load_n(&h->gap, __ATOMIC_RELAXED) > limit || now > beat + limit);
}

static void one_batch(struct driver *d, unsigned batch)
{
	struct run *r = d->run;
	const bool alone = is_alone(r, batch);

	drive_refill(d);
	push_out();
	tell_helpers(d, alone ? DRIVE_GO_ROUND : DRIVE_HELP);
	r->cycles[batch * n_workers_of(r)] = rounds_helped(d);
	r->disturbed[batch] = was_absent(d);
	r->packets[batch] = drive_take(d, WORLD_LAN, batch) + drive_take(d, WORLD_WAN, batch);
	tell_helpers(d, alone ? DRIVE_GO_ROUND : DRIVE_SEAL);
	r->crypto[batch * n_workers_of(r)] = drive_crypto(d, batch);
	r->disturbed[batch] |= was_absent(d);
	if (n_workers_of(r) > 1) {
		tell_helpers(d, DRIVE_GIVE);
		r->lines[batch] = lines_take(&r->shared_lines);
	}
}

/* All batches, on the worker that gets the packets. */
static void receive(struct driver *d)
{
	const uint64_t busy = rte_get_tsc_hz() / MS_PER_S * DRIVE_BUSY_MS;
	uint64_t since = rte_rdtsc();
	struct run *r = d->run;

	for (unsigned i = 0; i < r->o->n_batches && !r->failed; i++) {
		one_batch(d, i);
		if (rte_rdtsc() - since < busy)
			continue;
		__atomic_store_n(&r->rest, 1, __ATOMIC_RELEASE);
		rte_delay_us_sleep(DRIVE_REST_US);
		__atomic_store_n(&r->rest, 0, __ATOMIC_RELEASE);
		since = rte_rdtsc();
	}
	__atomic_store_n(&r->helper.over, 1, __ATOMIC_RELEASE);
}

void drive_helped(struct driver *d)
{
	if (d->w->index == 0)
		receive(d);
	else
		help(d);
}
