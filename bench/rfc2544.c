/* SPDX-License-Identifier: Apache-2.0 */
/* rfc2544: see rfc2544.h. */
#include "bench/rfc2544.h"

#include <stdlib.h>
#include <rte_common.h>
#include <rte_cycles.h>
#include "bench/cpus.h"
#include "bench/rfc2544_rows.h"

#define RESOLUTION 0.01 /* of the rate */
#define LEAST      0.01 /* of the generator's speed: a throughput below that is none */
#define FLOOD      100000u
#define FLOODS     20u
#define FAITHFUL   0.97 /* of the wanted rate: less was the generator's fault */
#define BURST_MAX  65536u
#define REST_SHARE 4 /* a trial is followed by a rest of so many times less */
#define SEARCHES   3u
#define MOVED      1.5 /* a line that costs so many times as much, or less: the CPUs lie elsewhere */

/* Who measures whom. */
struct bench {
	struct pktgen *g;
	const struct dut *d;
	const struct rfc2544_opts *o;
	struct rfc2544_place place;
};

static int by_value(const void *a, const void *b)
{
	const double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static int by_p99(const void *a, const void *b)
{
	return by_value(&((const struct rfc2544_trial *)a)->r.p99_us,
			&((const struct rfc2544_trial *)b)->r.p99_us);
}

static int by_loss(const void *a, const void *b)
{
	const struct pktgen_result *x = &((const struct rfc2544_trial *)a)->r,
				   *y = &((const struct rfc2544_trial *)b)->r;

	return x->lost < y->lost ? -1 : x->lost > y->lost;
}

/* For others, who want to be on these CPUs, too. */
static void rest(const struct bench *b)
{
	rte_delay_us_sleep((unsigned)(b->o->trial_s * US_PER_S / REST_SHARE));
}

/* At `pps`, or `n` packets as fast as possible. False: its packets cannot be made. */
static bool trial(const struct bench *b, double pps, uint64_t n, struct rfc2544_trial *t)
{
	*t = (struct rfc2544_trial){0};
	n = pktgen_prepare(b->g, pps, b->o->trial_s, n);
	if (n == 0)
		return false;
	dut_begin(b->d, DUT_WORK);
	pktgen_trial(b->g, pps, n, &t->r);
	t->gap_us = RTE_MAX(t->r.gap_us, dut_end(b->d).longest_us);
	rest(b);
	return true;
}

/* An interval as long as a trial in which both threads only look at the clock. */
static void control(const struct bench *b, struct rfc2544_control *c)
{
	const double hz = (double)rte_get_tsc_hz();
	struct dut_shared *shared = b->d->shared;
	struct cpus_gaps mine;
	struct dut_gaps theirs;

	if (!shared || c->n == RFC2544_TRIALS_MAX)
		return;
	dut_begin(b->d, DUT_CONTROL);
	c->line_cycles[c->n] = lines_take(&shared->lines);
	mine = cpus_control((uint64_t)(b->o->trial_s * hz));
	theirs = dut_end(b->d);
	c->gap_us[c->n++] = RTE_MAX((double)mine.longest * 1e6 / hz, theirs.longest_us);
	c->missing_us += (double)mine.sum * 1e6 / hz + theirs.missing_us;
	c->whole_us += 2 * b->o->trial_s * 1e6;
	rest(b);
}

/* The best of some trials: what another user of the machine spoils is tried again. */
static bool passes(const struct bench *b, double pps, struct rfc2544_trial *t)
{
	for (unsigned i = 0; i < b->o->repeats; i++) {
		if (trial(b, pps, 0, t) && t->r.lost == 0 && t->r.offered_pps >= pps * FAITHFUL)
			return true;
	}
	return false;
}

/* 26.1: the highest rate at which nothing is lost. Negative: nothing came back at any. */
static double search(struct bench *b, struct rfc2544_trial *best)
{
	struct rfc2544_trial t = {0};
	double low = 0, high, least;

	/* A worker without a CPU for the whole time gets another chance. */
	for (unsigned i = 0; i < FLOODS && t.r.received == 0; i++) {
		if (!trial(b, 0, FLOOD, &t))
			return -1;
	}
	if (t.r.received == 0)
		return -1;
	b->place.flood_pps = high = t.r.offered_pps;
	least = high * LEAST;
	while (high - low > high * RESOLUTION && high > least) {
		const double middle = (low + high) / 2;

		if (passes(b, middle, &t)) {
			low = middle;
			*best = t;
		} else {
			high = middle;
		}
	}
	return low;
}

/* 26.2, 26.3: several trials at a rate, of which the median is shown, with what the others had. */
static bool several(const struct bench *b, const char *name, double most, double load,
		    int (*order)(const void *a, const void *b), struct rfc2544_row *row)
{
	struct rfc2544_trial all[RFC2544_TRIALS_MAX];

	*row = (struct rfc2544_row){.bench = name, .load = load};
	for (unsigned i = 0; i < b->o->trials; i++) {
		struct rfc2544_trial *t = &all[row->n_trials];

		if (!trial(b, most * load, 0, t))
			continue;
		row->n_trials++;
		row->n_lossless += t->r.lost == 0;
		row->lost += t->r.lost;
		row->worst_p99_us = RTE_MAX(row->worst_p99_us, t->r.p99_us);
		row->worst_max_us = RTE_MAX(row->worst_max_us, t->r.max_us);
		control(b, &row->control);
	}
	if (row->n_trials == 0)
		return false;
	qsort(all, row->n_trials, sizeof(all[0]), order);
	qsort(row->control.gap_us, row->control.n, sizeof(double), by_value);
	qsort(row->control.line_cycles, row->control.n, sizeof(double), by_value);
	row->shown = all[row->n_trials / 2];
	return true;
}

/* 26.4: the longest burst at the generator's full speed of which nothing is lost. */
static void back_to_back(const struct bench *b, struct rfc2544_row *row)
{
	struct rfc2544_trial t;
	uint64_t low = 0, high = BURST_MAX;

	*row = (struct rfc2544_row){.bench = "rfc2544-back-to-back", .load = 1};
	while (high - low > 1 + low / 100) {
		const uint64_t middle = (low + high + 1) / 2;
		bool all = false;

		for (unsigned i = 0; i < b->o->repeats && !all; i++)
			all = trial(b, 0, middle, &t) && t.r.lost == 0;
		if (all) {
			low = middle;
			row->shown = t;
		} else {
			high = middle;
		}
	}
}

bool rfc2544_probe(struct pktgen *g, const struct dut *d, double seconds)
{
	bool found;

	dut_begin(d, DUT_WORK);
	cpus_realtime(false); /* it may take long */
	found = pktgen_probe(g, seconds);
	(void)dut_end(d);
	return found;
}

/* What it costs now to hand a line over; 0: nobody knows. */
static double line_cycles(const struct bench *b)
{
	struct rfc2544_control c = {0};

	control(b, &c);
	return c.n ? c.line_cycles[0] : 0;
}

static bool is_other(double before, double now)
{
	return now > 0 && (now > before * MOVED || before > now * MOVED);
}

/* Virtual CPUs are moved: what was searched is another machine's throughput then. */
static bool has_moved(const struct bench *b, const struct rfc2544_row *rows, int n)
{
	const double before = b->place.line_cycles;
	bool moved = false;

	for (int i = 0; i < n && before > 0; i++) {
		const struct rfc2544_control *c = &rows[i].control;

		moved |= c->n && is_other(before, c->line_cycles[c->n / 2]);
	}
	return moved || (before > 0 && is_other(before, line_cycles(b)));
}

/* All rows of a size: how many. Negative: nothing came back. */
static int measure(struct bench *b, struct rfc2544_row *rows)
{
	static const double beyond[] = {0.9, 1.0, 1.1, 1.2};
	const struct rfc2544_opts *o = b->o;
	struct rfc2544_trial t = {0};
	double most;
	int n = 0;

	b->place.line_cycles = line_cycles(b);
	most = search(b, &t);
	if (most < 0)
		return -1;
	if (o->throughput)
		rows[n++] =
			(struct rfc2544_row){.bench = "rfc2544-throughput", .load = 1, .shown = t};
	for (unsigned i = 0; i < o->n_loads && o->latency && most > 0; i++)
		n += several(b, "rfc2544-latency", most, o->loads[i], by_p99, &rows[n]);
	for (unsigned i = 0; i < RTE_DIM(beyond) && o->loss && most > 0; i++)
		n += several(b, "rfc2544-loss", most, beyond[i], by_loss, &rows[n]);
	if (o->back_to_back)
		back_to_back(b, &rows[n++]);
	return n;
}

bool rfc2544(struct pktgen *g, const struct dut *d, const struct rfc2544_opts *o)
{
	static struct rfc2544_row rows[2 + RFC2544_LOADS_MAX + 4];
	struct bench b = {
		.g = g,
		.d = d,
		.o = o,
		.place = {.op = o->op, .suite = o->suite, .ports = o->ports, .size = g->size}};
	int n;

	do {
		b.place.searches++;
		n = measure(&b, rows);
		if (n < 0)
			return false;
	} while (has_moved(&b, rows, n) && b.place.searches < SEARCHES);
	for (int i = 0; i < n; i++)
		rfc2544_print(o->json, &b.place, &rows[i]);
	return true;
}
