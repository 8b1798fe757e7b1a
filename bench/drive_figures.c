/* SPDX-License-Identifier: Apache-2.0 */
/* drive_figures: of what the threads of drive.c have noted, by batch and worker. */
#include <stdlib.h>
#include <rte_common.h>
#include "bench/drive_int.h"

#define QUARTER 4u

static int by_value(const void *a, const void *b)
{
	const double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

/* Of which batches a figure is. */
enum kind {
	TOGETHER_ALL, /* until the last worker was done */
	TOGETHER_ONE, /* as long as one worker was busy */
	ALONE,
};

static bool is_of(const struct run *r, unsigned batch, enum kind kind, unsigned worker)
{
	if (kind != ALONE)
		return !is_alone(r, batch);
	return is_alone(r, batch) && worker == alone_in(r, batch);
}

/* Cycles of one worker for a packet, in such a batch. */
static double figure_of(const struct run *r, const uint64_t *v, unsigned batch, enum kind kind,
			unsigned worker)
{
	const unsigned n = n_workers_of(r);
	uint64_t longest = 0;

	if (kind != TOGETHER_ALL)
		return (double)v[batch * n + worker] / r->o->batch;
	for (unsigned i = 0; i < n; i++)
		longest = RTE_MAX(longest, v[batch * n + i]);
	return (double)longest * n / (double)r->packets[batch];
}

/* The 1/`part` quantile of those that were not disturbed, or, if there are none, of all; 0: no memory. */
static double quantile(const struct run *r, const uint64_t *v, enum kind kind, unsigned worker,
		       unsigned part)
{
	double *of = calloc(r->o->n_batches, sizeof(*of)), result = 0;
	bool any = false;
	unsigned n = 0;

	for (unsigned i = 0; i < r->o->n_batches; i++)
		any |= is_of(r, i, kind, worker) && !r->disturbed[i];
	for (unsigned i = 0; of && i < r->o->n_batches; i++) {
		if (is_of(r, i, kind, worker) && !(any && r->disturbed[i]))
			of[n++] = figure_of(r, v, i, kind, worker);
	}
	if (n) {
		qsort(of, n, sizeof(*of), by_value);
		result = of[n / part];
	}
	free(of);
	return result;
}

/* The mean by rate of all workers that have packets: CPUs are not equally fast at all times. */
static double mean(const struct run *r, const uint64_t *v, enum kind kind, unsigned part)
{
	const unsigned n = r->o->one_queue ? 1 : n_workers_of(r);
	double rate = 0;

	for (unsigned i = 0; i < n; i++)
		rate += 1 / quantile(r, v, kind, i, part);
	return n / rate;
}

/* The median of the batches in which both came to it; 0: in none. */
static double line_cycles(const struct run *r)
{
	unsigned n = 0;

	for (unsigned i = 0; i < r->o->n_batches; i++)
		if (r->lines[i] > 0)
			r->lines[n++] = r->lines[i];
	qsort(r->lines, n, sizeof(*r->lines), by_value);
	return n ? r->lines[n / 2] : 0;
}

void drive_evaluate(const struct run *r, struct drive_result *out)
{
	const bool own = n_workers_of(r) == 1 || take_turns(r);

	*out = (struct drive_result){.n_checked = r->n_checked, .n_batches = r->o->n_batches};
	for (unsigned i = 0; i < r->o->n_batches; i++) {
		out->n_packets += r->packets[i];
		out->n_disturbed += r->disturbed[i] != 0;
	}
	out->n_spread = n_spread(r) - r->n_spread;
	out->n_helped = n_helped(r) - r->n_helped;
	out->cycles = own ? mean(r, r->cycles, TOGETHER_ONE, QUARTER)
			  : quantile(r, r->cycles, TOGETHER_ALL, 0, QUARTER);
	out->cycles_p50 = own ? mean(r, r->cycles, TOGETHER_ONE, 2)
			      : quantile(r, r->cycles, TOGETHER_ALL, 0, 2);
	out->crypto = mean(r, r->crypto, TOGETHER_ONE, QUARTER);
	if (n_workers_of(r) > 1)
		out->line_cycles = line_cycles(r);
	if (take_turns(r)) {
		out->cycles_alone = mean(r, r->cycles, ALONE, QUARTER);
		out->crypto_alone = mean(r, r->crypto, ALONE, QUARTER);
	}
}
