/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dut: the device under test of rfc2544_bench, a gateway with one worker and one SA: in this process between
 * rings, or in a process of its own behind net_memif. Between trials its worker sleeps, so that it may have a
 * CPU for itself, at real-time priority, while there is one.
 */
#ifndef BENCH_DUT_H
#define BENCH_DUT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include "bench/lines.h"
#include "bench/world.h"

#define DUT_ERROR WORLD_ERROR

enum dut_mode {
	DUT_REST,
	DUT_WORK,
	DUT_CONTROL, /* only looks at the clock */
	DUT_END,
};

/* Seen by worker and generator, whichever processes they are in. */
struct dut_shared {
	uint32_t mode, at;  /* atomic: wanted by the generator; where the worker is */
	uint64_t longest;   /* the worker's: TSC between two looks, in the mode that ended last */
	uint64_t missing;   /* the same, DUT_CONTROL: the sum of all that are no mere look */
	struct lines lines; /* DUT_CONTROL: the worker writes them first */
};

struct dut {
	struct dut_shared *shared; /* NULL: a gateway that somebody else has set up */
	bool realtime;             /* generator and worker during a trial */
	uint16_t port[WORLD_PORTS];
	uint8_t mac[WORLD_PORTS][6]; /* the gateway's */
	struct rte_mempool *pool;
	pid_t pid; /* the gateway's, behind memif */
	char folder[64];
};

/* All of them: false with a text. What they leave ends with the process, but for dut_stop(). */
bool dut_by_rings(struct dut *d, const struct esp_suite *suite, unsigned memory_mb,
		  char error[DUT_ERROR]);
bool dut_by_memif(struct dut *d, const struct esp_suite *suite, unsigned memory_mb,
		  char error[DUT_ERROR]);
bool dut_by_devices(struct dut *d, const char *const devices[WORLD_PORTS], unsigned memory_mb,
		    char error[DUT_ERROR]);
void dut_stop(struct dut *d);

/* Around a trial: the worker is in that mode when begin returns; end tells what it missed. */
void dut_begin(const struct dut *d, enum dut_mode mode);
struct dut_gaps {
	double longest_us, missing_us;
} dut_end(const struct dut *d);

#endif
