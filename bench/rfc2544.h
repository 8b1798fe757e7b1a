/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rfc2544: the searches of RFC 2544 with pktgen: throughput (26.1), latency (26.2), loss rate (26.3),
 * back-to-back frames (26.4). A row each on standard output.
 */
#ifndef BENCH_RFC2544_H
#define BENCH_RFC2544_H

#include "bench/pktgen.h"

struct rfc2544_opts {
	bool json;
	double trial_s;  /* RFC 2544 24 asks for 60 s */
	double most_pps; /* no trial is faster: the line, or 0 */
	unsigned
		repeats; /* a rate counts when one of so many trials loses nothing: 1 on a quiet machine */
	bool throughput, latency, loss, back_to_back;
	const char *suite, *ports;
};

/* False: not one packet came back. */
bool rfc2544(struct pktgen *g, const struct rfc2544_opts *o);

#endif
