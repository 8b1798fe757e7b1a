/* SPDX-License-Identifier: Apache-2.0 */
/*
 * drive: workers' rounds under the stop watch, and the AEAD alone on the same packets.
 *
 * A batch of frames is put on the receive rings (not timed), every worker runs rounds until all of
 * it is sent (timed), what was sent is taken and checked (not timed). Batches of the pipeline and of
 * the bare AEAD take turns. All figures are cycles of the time stamp counter.
 */
#ifndef BENCH_DRIVE_H
#define BENCH_DRIVE_H

#include "bench/traffic.h"

enum drive_op {
	DRIVE_ENCAP,
	DRIVE_DECAP,
	DRIVE_BOTH, /* half of each batch comes in by either port */
};

struct drive_opts {
	enum drive_op op;
	uint32_t size;  /* inner bytes, or TRAFFIC_IMIX */
	unsigned train; /* packets that follow each other to one prefix */
	unsigned batch; /* frames for each worker: a multiple of twice a burst */
	unsigned n_batches;
	unsigned n_checked; /* the first batches, packet by packet */
	bool one_queue;     /* all packets come to the first worker, and the others help it */
};

struct drive_result {
	double cycles; /* of one worker per packet: the lower quartile of the batches; one_queue: until all are sent */
	double cycles_p50;
	double crypto; /* the same of the AEAD alone */
	/* Several workers that need no other: of one, while the others did nothing; else 0. */
	double cycles_alone, crypto_alone;
	double line_cycles; /* several: what it costs to read a line that another has written */
	uint64_t n_packets, n_checked;
	uint64_t n_spread, n_helped; /* bursts put forward for others, and done by them */
	unsigned n_batches;
	unsigned
		n_disturbed; /* in which one of several workers was kept from its work: they do not count */
};

/* False with a text: a packet did not come out, or not as it should. */
bool drive(struct traffic *t, const struct drive_opts *o, struct drive_result *r,
	   char error[WORLD_ERROR]);

#endif
