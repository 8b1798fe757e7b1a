/* SPDX-License-Identifier: Apache-2.0 */
/* rfc2544_rows: see rfc2544_rows.h; docs/benchmarking.md says what the fields mean. */
#include "bench/rfc2544_rows.h"

#include <stdio.h>

/* What is made of a row. */
struct figures {
	char size[16];
	double mpps, gbps;
	/* of the control */
	double gap_us, worst_gap_us, missing_percent, line_cycles;
};

static struct figures figures_of(const struct rfc2544_place *p, const struct rfc2544_row *row)
{
	const struct rfc2544_control *c = &row->control;
	struct figures f = {.size = "imix", .mpps = row->shown.r.offered_pps / 1e6};

	if (p->size != PKTGEN_IMIX)
		snprintf(f.size, sizeof(f.size), "%u", p->size);
	f.gbps = f.mpps * pktgen_mean(p->size) * 8 / 1e3;
	if (c->n) {
		f.gap_us = c->gap_us[c->n / 2];
		f.worst_gap_us = c->gap_us[c->n - 1];
		f.missing_percent = c->missing_us / c->whole_us * 100;
		f.line_cycles = c->line_cycles[c->n / 2];
	}
	return f;
}

static void print_object(const struct rfc2544_place *p, const struct rfc2544_row *row,
			 const struct figures *f)
{
	const struct pktgen_result *r = &row->shown.r;

	printf("{\"bench\": \"%s\", \"op\": \"%s\", \"suite\": \"%s\", \"ports\": \"%s\", "
	       "\"size\": \"%s\", \"n_sas\": 1, \"n_workers\": 1, \"load\": %.2f",
	       row->bench, p->op, p->suite, p->ports, f->size, row->load);
	printf(", \"mpps\": %.3f, \"gbps\": %.3f, \"sent\": %llu, \"lost\": %llu, "
	       "\"min_us\": %.2f, \"p50_us\": %.2f, \"p99_us\": %.2f, \"p999_us\": %.2f, "
	       "\"max_us\": %.2f, \"gap_us\": %.2f, \"generator_mpps\": %.3f",
	       f->mpps, f->gbps, (unsigned long long)r->sent, (unsigned long long)r->lost,
	       r->min_us, r->p50_us, r->p99_us, r->p999_us, r->max_us, row->shown.gap_us,
	       p->flood_pps / 1e6);
	if (p->line_cycles > 0)
		printf(", \"search_line_cycles\": %.2f, \"searches\": %u", p->line_cycles,
		       p->searches);
	if (row->n_trials)
		printf(", \"trials\": %u, \"trials_without_loss\": %u, \"lost_in_all\": %llu, "
		       "\"worst_p99_us\": %.2f, \"worst_max_us\": %.2f",
		       row->n_trials, row->n_lossless, (unsigned long long)row->lost,
		       row->worst_p99_us, row->worst_max_us);
	if (row->control.n)
		printf(", \"line_cycles\": %.2f, \"control_gap_us\": %.2f, "
		       "\"control_worst_gap_us\": %.2f, \"control_missing_percent\": %.2f",
		       f->line_cycles, f->gap_us, f->worst_gap_us, f->missing_percent);
	printf("}\n");
}

static void print_lines(const struct rfc2544_place *p, const struct rfc2544_row *row,
			const struct figures *f)
{
	const struct pktgen_result *r = &row->shown.r;

	printf("%-20s %-5s %5s B  load %4.0f %%  %7.3f Mpps %7.2f Gbit/s  lost %llu of %llu  us: "
	       "min %.1f p50 %.1f p99 %.1f p99.9 %.1f max %.1f, gap %.1f\n",
	       row->bench, p->op, f->size, row->load * 100, f->mpps, f->gbps,
	       (unsigned long long)r->lost, (unsigned long long)r->sent, r->min_us, r->p50_us,
	       r->p99_us, r->p999_us, r->max_us, row->shown.gap_us);
	if (row->n_trials)
		printf("  of %u trials %u without loss, %llu lost in all, worst p99 %.1f, worst "
		       "max "
		       "%.1f\n",
		       row->n_trials, row->n_lossless, (unsigned long long)row->lost,
		       row->worst_p99_us, row->worst_max_us);
	if (row->control.n)
		printf("  control: gap %.1f, worst %.1f, %.2f %% missing, %.1f cycles a line\n",
		       f->gap_us, f->worst_gap_us, f->missing_percent, f->line_cycles);
}

void rfc2544_print(bool json, const struct rfc2544_place *p, const struct rfc2544_row *row)
{
	const struct figures f = figures_of(p, row);

	if (json)
		print_object(p, row, &f);
	else
		print_lines(p, row, &f);
	fflush(stdout);
}
