/* SPDX-License-Identifier: Apache-2.0 */
/* rfc2544: see rfc2544.h. */
#include "bench/rfc2544.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <rte_common.h>
#include <rte_cycles.h>
#include "bench/cpus.h"

#define RESOLUTION 0.01 /* of the rate */
#define LEAST      0.01 /* of the generator's speed: a throughput below that is none */
#define FLOOD      100000u
#define FLOODS     20u
#define FAITHFUL   0.97 /* of the wanted rate: less was the generator's fault */
#define BURST_MAX  65536u
#define REST_SHARE 4 /* a trial is followed by a rest of so many times less */
#define TRIALS_MAX 64u

/* A trial, and the longest time in which generator or worker did not look at its ports. */
struct trial {
	struct pktgen_result r;
	double gap_us;
};

/* What generator and worker missed while they only looked at the clock, in intervals between the trials. */
struct control {
	double gap_us[TRIALS_MAX]; /* the longest of each interval */
	double missing_us, whole_us;
	unsigned n;
};

/* What the trials of a row have besides the one it shows. */
struct others {
	unsigned n_trials, n_lossless;
	uint64_t lost;
	double worst_p99_us, worst_max_us;
	const struct control *control;
};

/* Who measures whom; what the generator makes at most, in packets a second. */
struct bench {
	struct pktgen *g;
	const struct dut *d;
	const struct rfc2544_opts *o;
	double flood_pps;
};

static int by_value(const void *a, const void *b)
{
	const double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static int by_p99(const void *a, const void *b)
{
	return by_value(&((const struct trial *)a)->r.p99_us, &((const struct trial *)b)->r.p99_us);
}

static int by_loss(const void *a, const void *b)
{
	const struct pktgen_result *x = &((const struct trial *)a)->r,
				   *y = &((const struct trial *)b)->r;

	return x->lost < y->lost ? -1 : x->lost > y->lost;
}

static void row(const struct bench *b, const char *bench, double load, const struct trial *t,
		const struct others *more)
{
	const struct rfc2544_opts *o = b->o;
	const struct pktgen *g = b->g;
	const struct pktgen_result *r = &t->r;
	const double mpps = r->offered_pps / 1e6, gbps = mpps * pktgen_mean(g->size) * 8 / 1e3;
	char size[16] = "imix";

	if (g->size != PKTGEN_IMIX)
		snprintf(size, sizeof(size), "%u", g->size);
	if (o->json) {
		printf("{\"bench\": \"%s\", \"op\": \"%s\", \"suite\": \"%s\", \"ports\": \"%s\", "
		       "\"size\": \"%s\", \"n_sas\": 1, \"n_workers\": 1, "
		       "\"load\": %.2f, \"mpps\": %.3f, \"gbps\": %.3f, \"sent\": %llu, "
		       "\"lost\": %llu, \"min_us\": %.2f, \"p50_us\": %.2f, \"p99_us\": %.2f, "
		       "\"p999_us\": %.2f, \"max_us\": %.2f, \"gap_us\": %.2f, \"generator_mpps\": "
		       "%.3f",
		       bench, o->op, o->suite, o->ports, size, load, mpps, gbps,
		       (unsigned long long)r->sent, (unsigned long long)r->lost, r->min_us,
		       r->p50_us, r->p99_us, r->p999_us, r->max_us, t->gap_us, b->flood_pps / 1e6);
		if (more)
			printf(", \"trials\": %u, \"trials_without_loss\": %u, \"lost_in_all\": "
			       "%llu, \"worst_p99_us\": %.2f, \"worst_max_us\": %.2f",
			       more->n_trials, more->n_lossless, (unsigned long long)more->lost,
			       more->worst_p99_us, more->worst_max_us);
		if (more && more->control->n)
			printf(", \"control_gap_us\": %.2f, \"control_worst_gap_us\": %.2f, "
			       "\"control_missing_percent\": %.2f",
			       more->control->gap_us[more->control->n / 2],
			       more->control->gap_us[more->control->n - 1],
			       more->control->missing_us / more->control->whole_us * 100);
		printf("}\n");
	} else {
		printf("%-20s %-5s %5s B  load %4.0f %%  %7.3f Mpps %7.2f Gbit/s  lost %llu of "
		       "%llu "
		       " us: min %.1f p50 %.1f p99 %.1f p99.9 %.1f max %.1f, gap %.1f\n",
		       bench, o->op, size, load * 100, mpps, gbps, (unsigned long long)r->lost,
		       (unsigned long long)r->sent, r->min_us, r->p50_us, r->p99_us, r->p999_us,
		       r->max_us, t->gap_us);
		if (more)
			printf("  of %u trials %u without loss, %llu lost in all, worst p99 %.1f, "
			       "worst "
			       "max %.1f",
			       more->n_trials, more->n_lossless, (unsigned long long)more->lost,
			       more->worst_p99_us, more->worst_max_us);
		if (more && more->control->n)
			printf("; control: gap %.1f, worst %.1f, %.2f %% missing",
			       more->control->gap_us[more->control->n / 2],
			       more->control->gap_us[more->control->n - 1],
			       more->control->missing_us / more->control->whole_us * 100);
		if (more)
			printf("\n");
	}
	fflush(stdout);
}

/* For others, who want to be on these CPUs, too. */
static void rest(const struct bench *b)
{
	rte_delay_us_sleep((unsigned)(b->o->trial_s * US_PER_S / REST_SHARE));
}

/* At `pps`, or `n` packets as fast as possible. False: its packets cannot be made. */
static bool trial(const struct bench *b, double pps, uint64_t n, struct trial *t)
{
	*t = (struct trial){0};
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
static void control(const struct bench *b, struct control *c)
{
	const double hz = (double)rte_get_tsc_hz();
	struct cpus_gaps mine;
	struct dut_gaps theirs;

	if (!b->d->shared || c->n == TRIALS_MAX)
		return;
	dut_begin(b->d, DUT_CONTROL);
	mine = cpus_control((uint64_t)(b->o->trial_s * hz));
	theirs = dut_end(b->d);
	c->gap_us[c->n++] = RTE_MAX((double)mine.longest * 1e6 / hz, theirs.longest_us);
	c->missing_us += (double)mine.sum * 1e6 / hz + theirs.missing_us;
	c->whole_us += 2 * b->o->trial_s * 1e6;
	rest(b);
}

/* The best of some trials: what another user of the machine spoils is tried again. */
static bool passes(const struct bench *b, double pps, struct trial *t)
{
	for (unsigned i = 0; i < b->o->repeats; i++) {
		if (trial(b, pps, 0, t) && t->r.lost == 0 && t->r.offered_pps >= pps * FAITHFUL)
			return true;
	}
	return false;
}

/* 26.1: the highest rate at which nothing is lost. Negative: nothing came back at any. */
static double search(struct bench *b, struct trial *best)
{
	struct trial t = {0};
	double low = 0, high, least;

	/* A worker without a CPU for the whole time gets another chance. */
	for (unsigned i = 0; i < FLOODS && t.r.received == 0; i++) {
		if (!trial(b, 0, FLOOD, &t))
			return -1;
	}
	if (t.r.received == 0)
		return -1;
	b->flood_pps = high = t.r.offered_pps;
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
static void several(const struct bench *b, const char *name, double most, double load,
		    int (*order)(const void *a, const void *b))
{
	struct trial all[TRIALS_MAX];
	struct control c = {0};
	struct others more = {.control = &c};

	for (unsigned i = 0; i < b->o->trials; i++) {
		struct trial *t = &all[more.n_trials];

		if (!trial(b, most * load, 0, t))
			continue;
		more.n_trials++;
		more.n_lossless += t->r.lost == 0;
		more.lost += t->r.lost;
		more.worst_p99_us = RTE_MAX(more.worst_p99_us, t->r.p99_us);
		more.worst_max_us = RTE_MAX(more.worst_max_us, t->r.max_us);
		control(b, &c);
	}
	if (more.n_trials == 0)
		return;
	qsort(all, more.n_trials, sizeof(all[0]), order);
	qsort(c.gap_us, c.n, sizeof(c.gap_us[0]), by_value);
	row(b, name, load, &all[more.n_trials / 2], &more);
}

/* 26.4: the longest burst at the generator's full speed of which nothing is lost. */
static void back_to_back(const struct bench *b)
{
	struct trial t, best = {0};
	uint64_t low = 0, high = BURST_MAX;

	while (high - low > 1 + low / 100) {
		const uint64_t middle = (low + high + 1) / 2;
		bool all = false;

		for (unsigned i = 0; i < b->o->repeats && !all; i++)
			all = trial(b, 0, middle, &t) && t.r.lost == 0;
		if (all) {
			low = middle;
			best = t;
		} else {
			high = middle;
		}
	}
	row(b, "rfc2544-back-to-back", 1, &best, NULL);
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

bool rfc2544(struct pktgen *g, const struct dut *d, const struct rfc2544_opts *o)
{
	static const double loads[] = {0.1, 0.5, 0.8, 1.0}, beyond[] = {0.9, 1.0, 1.1, 1.2};
	struct bench b = {.g = g, .d = d, .o = o};
	struct trial t = {0};
	const double most = search(&b, &t);

	if (most < 0)
		return false;
	if (o->throughput)
		row(&b, "rfc2544-throughput", 1, &t, NULL);
	for (unsigned i = 0; i < RTE_DIM(loads) && o->latency && most > 0; i++)
		several(&b, "rfc2544-latency", most, loads[i], by_p99);
	for (unsigned i = 0; i < RTE_DIM(beyond) && o->loss && most > 0; i++)
		several(&b, "rfc2544-loss", most, beyond[i], by_loss);
	if (o->back_to_back)
		back_to_back(&b);
	return true;
}
