/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cpus: CPUs for the threads of a benchmark, and what the machine takes away from them. A virtual CPU is
 * taken away without a word: the time between two looks at the clock tells, and so it is compared with that of
 * a thread that does nothing but look (the control).
 */
#ifndef BENCH_CPUS_H
#define BENCH_CPUS_H

#include <stdbool.h>
#include <stdint.h>

/* Before DPDK starts, which moves threads: remembers the CPUs that the process may use. */
void cpus_init(void);
unsigned cpus_count(void);

/* The calling thread gets the i-th of them for itself; false, without a change, if there are not so many. */
bool cpus_pin(unsigned i);

/* The calling thread at real-time priority, for bursts of work that are much shorter than a second: the
 * kernel leaves a twentieth of each second to others, in one piece. */
void cpus_realtime(bool on);

/* How often the kernel has given the calling thread's CPU to others. */
uint64_t cpus_preempted(void);

/* The longest time between two looks. */
struct cpus_watch {
	uint64_t last, longest; /* TSC */
};
static inline void cpus_look(struct cpus_watch *w, uint64_t now)
{
	if (now - w->last > w->longest)
		w->longest = now - w->last;
	w->last = now;
}

/* What is missing of an interval in which the calling thread only looked. */
struct cpus_gaps {
	uint64_t longest; /* TSC */
	uint64_t sum;     /* of the gaps that are no mere look */
};
struct cpus_gaps cpus_control(uint64_t cycles);

#endif
