/* SPDX-License-Identifier: Apache-2.0 */
/* rfc2544: see rfc2544.h. */
#include "bench/rfc2544.h"

#include <stdio.h>
#include <rte_common.h>

#define RESOLUTION 0.01 /* of the rate */
#define LEAST      0.01 /* of the generator's speed: a throughput below that is none */
#define FLOOD      100000u
#define FAITHFUL   0.97 /* of the wanted rate: less was the generator's fault */
#define BURST_MAX  65536u

static void row(const struct rfc2544_opts *o, const struct pktgen *g, const char *bench,
		double load, const struct pktgen_result *r)
{
	const double mpps = r->offered_pps / 1e6, gbps = mpps * pktgen_mean(g->size) * 8 / 1e3;
	char size[16] = "imix";

	if (g->size != PKTGEN_IMIX)
		snprintf(size, sizeof(size), "%u", g->size);
	if (o->json)
		printf("{\"bench\": \"%s\", \"suite\": \"%s\", \"ports\": \"%s\", "
		       "\"size\": \"%s\", \"n_sas\": 1, \"n_workers\": 1, "
		       "\"load\": %.2f, \"mpps\": %.3f, \"gbps\": %.3f, \"sent\": %llu, "
		       "\"lost\": %llu, \"min_us\": %.2f, \"p50_us\": %.2f, \"p99_us\": %.2f, "
		       "\"p999_us\": %.2f, \"max_us\": %.2f}\n",
		       bench, o->suite, o->ports, size, load, mpps, gbps,
		       (unsigned long long)r->sent, (unsigned long long)r->lost, r->min_us,
		       r->p50_us, r->p99_us, r->p999_us, r->max_us);
	else
		printf("%-20s %5s B  load %4.0f %%  %7.3f Mpps %7.2f Gbit/s  lost %llu of %llu  "
		       "us: min %.1f p50 %.1f p99 %.1f p99.9 %.1f max %.1f\n",
		       bench, size, load * 100, mpps, gbps, (unsigned long long)r->lost,
		       (unsigned long long)r->sent, r->min_us, r->p50_us, r->p99_us, r->p999_us,
		       r->max_us);
	fflush(stdout);
}

/* The best of some trials: what another user of the machine spoils is tried again. */
static bool passes(struct pktgen *g, const struct rfc2544_opts *o, double pps,
		   struct pktgen_result *r)
{
	for (unsigned i = 0; i < o->repeats; i++) {
		pktgen_trial(g, pps, o->trial_s, 0, r);
		if (r->lost == 0 && r->offered_pps >= pps * FAITHFUL)
			return true;
	}
	return false;
}

/* 26.1: the highest rate at which nothing is lost. Negative: nothing came back at any. */
static double search(struct pktgen *g, const struct rfc2544_opts *o, struct pktgen_result *best)
{
	struct pktgen_result r;
	double low = 0, high, least;

	pktgen_trial(g, 0, 0, FLOOD, &r);
	if (r.received == 0)
		return -1;
	high = r.offered_pps;
	least = high * LEAST;
	if (o->most_pps > 0 && high > o->most_pps)
		high = o->most_pps;
	while (high - low > high * RESOLUTION && high > least) {
		const double middle = (low + high) / 2;

		if (passes(g, o, middle, &r)) {
			low = middle;
			*best = r;
		} else {
			high = middle;
		}
	}
	return low;
}

/* 26.4: the longest burst at the generator's full speed of which nothing is lost. */
static void back_to_back(struct pktgen *g, const struct rfc2544_opts *o)
{
	struct pktgen_result r, best = {0};
	uint64_t low = 0, high = BURST_MAX;

	while (high - low > 1 + low / 100) {
		const uint64_t middle = (low + high + 1) / 2;
		bool all = false;

		for (unsigned i = 0; i < o->repeats && !all; i++) {
			pktgen_trial(g, 0, 0, middle, &r);
			all = r.lost == 0;
		}
		if (all) {
			low = middle;
			best = r;
		} else {
			high = middle;
		}
	}
	row(o, g, "rfc2544-back-to-back", 1, &best);
}

bool rfc2544(struct pktgen *g, const struct rfc2544_opts *o)
{
	static const double loads[] = {0.1, 0.5, 0.8, 1.0}, beyond[] = {0.9, 1.0, 1.1, 1.2};
	struct pktgen_result r = {0};
	const double most = search(g, o, &r);

	if (most < 0)
		return false;
	if (o->throughput)
		row(o, g, "rfc2544-throughput", 1, &r);
	for (unsigned i = 0; i < RTE_DIM(loads) && o->latency; i++) {
		(void)passes(g, o, most * loads[i], &r);
		row(o, g, "rfc2544-latency", loads[i], &r);
	}
	for (unsigned i = 0; i < RTE_DIM(beyond) && o->loss; i++) {
		pktgen_trial(g, most * beyond[i], o->trial_s, 0, &r);
		row(o, g, "rfc2544-loss", beyond[i], &r);
	}
	if (o->back_to_back)
		back_to_back(g, o);
	return true;
}
