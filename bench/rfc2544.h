/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rfc2544: the searches of RFC 2544 with pktgen: throughput (26.1), latency (26.2), loss rate (26.3),
 * back-to-back frames (26.4). A row each on standard output.
 */
#ifndef BENCH_RFC2544_H
#define BENCH_RFC2544_H

#include "bench/dut.h"
#include "bench/pktgen.h"

#define RFC2544_LOADS_MAX 8u

struct rfc2544_opts {
	bool json;
	double trial_s; /* RFC 2544 24 asks for 60 s */
	unsigned
		repeats; /* a rate counts when one of so many trials loses nothing: 1 on a quiet machine */
	unsigned trials; /* of latency and loss, for each load: the median is shown */
	double loads[RFC2544_LOADS_MAX]; /* of latency: parts of the throughput */
	unsigned n_loads;
	bool throughput, latency, loss, back_to_back;
	const char *op, *suite, *ports; /* for the rows */
};

/* Learns how packets come back. False: not one does in so many seconds. */
bool rfc2544_probe(struct pktgen *g, const struct dut *d, double seconds);

/* False: nothing came back. */
bool rfc2544(struct pktgen *g, const struct dut *d, const struct rfc2544_opts *o);

#endif
