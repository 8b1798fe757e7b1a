/* SPDX-License-Identifier: Apache-2.0 */
/* rfc2544_rows: what rfc2544_bench prints: a line or two of a table, or a JSON object, for each row. */
#ifndef BENCH_RFC2544_ROWS_H
#define BENCH_RFC2544_ROWS_H

#include "bench/pktgen.h"

#define RFC2544_TRIALS_MAX 64u

/* A trial, and the longest time in which generator or worker did not look at its ports. */
struct rfc2544_trial {
	struct pktgen_result r;
	double gap_us;
};

/* What the machine did in intervals between the trials in which generator and worker only looked at it. */
struct rfc2544_control {
	double gap_us[RFC2544_TRIALS_MAX]; /* the longest of each interval */
	double line_cycles
		[RFC2544_TRIALS_MAX]; /* the generator's for a line that the worker has written */
	double missing_us, whole_us;
	unsigned n;
};

struct rfc2544_row {
	const char *bench;
	double load;
	struct rfc2544_trial shown;
	/* What the trials of the row have besides the one it shows; 0: there is but one. */
	unsigned n_trials, n_lossless;
	uint64_t lost;
	double worst_p99_us, worst_max_us;
	struct rfc2544_control control; /* its values sorted */
};

/* What all rows of a size have in common. */
struct rfc2544_place {
	const char *op, *suite, *ports;
	uint32_t size;
	double flood_pps;   /* what the generator makes at most */
	double line_cycles; /* when the throughput was searched */
	unsigned searches;  /* how often that was, as the machine became another one */
};

void rfc2544_print(bool json, const struct rfc2544_place *p, const struct rfc2544_row *row);

#endif
