/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lines: what it costs to read memory that another CPU has just written. Packets that go from one thread to
 * another pay it for each of their cache lines. It is the machine's: two virtual CPUs may be neighbours behind one cache
 * now, and far from each other a second later, and nobody tells.
 */
#ifndef BENCH_LINES_H
#define BENCH_LINES_H

#include <stdint.h>

#define LINES_N    1536u /* those of 64 packets of 1420 bytes */
#define LINES_SIZE 64u

/* Shared by the two threads; zeroed. */
struct lines {
	uint8_t bytes[LINES_N][LINES_SIZE] __attribute__((aligned(LINES_SIZE)));
	uint32_t written, read; /* atomic: how often */
};

/* One thread gives, the other takes, both at the same time; neither waits for long if the other does not come. */
void lines_give(struct lines *l);
/* Cycles of the time stamp counter for a line: the least of some rounds. 0: nobody gave. */
double lines_take(struct lines *l);

#endif
