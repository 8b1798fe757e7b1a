/* SPDX-License-Identifier: Apache-2.0 */
/* dp_bench_rows: what dp_bench prints: a line of a table, or a JSON object, for each measurement. */
#ifndef BENCH_DP_BENCH_ROWS_H
#define BENCH_DP_BENCH_ROWS_H

#include "bench/drive.h"

/* What a row is of. */
struct dp_bench_place {
	struct traffic_opts traffic;
	uint32_t n_workers;
	const char *backend;
	bool hugepages;
};

void dp_bench_head(bool json);
void dp_bench_row(bool json, const struct dp_bench_place *p, const struct drive_opts *d,
		  const struct drive_result *r);

#endif
