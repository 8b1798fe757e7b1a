/* SPDX-License-Identifier: Apache-2.0 */
/* cpus: see cpus.h. */
#include "bench/cpus.h"

#include <sched.h>
#include <sys/resource.h>
#include <rte_cycles.h>

#define PRIORITY 20
#define LOOK     2000u /* cycles: a look takes some 20, what interrupts it more than this */

static cpu_set_t usable;

void cpus_init(void)
{
	CPU_ZERO(&usable);
	(void)sched_getaffinity(0, sizeof(usable), &usable);
}

unsigned cpus_count(void)
{
	return (unsigned)CPU_COUNT(&usable);
}

bool cpus_pin(unsigned i)
{
	cpu_set_t one;

	for (unsigned cpu = 0; cpu < CPU_SETSIZE; cpu++) {
		if (!CPU_ISSET(cpu, &usable) || i-- != 0)
			continue;
		CPU_ZERO(&one);
		CPU_SET(cpu, &one);
		return sched_setaffinity(0, sizeof(one), &one) == 0;
	}
	return false;
}

void cpus_realtime(bool on)
{
	const struct sched_param p = {.sched_priority = on ? PRIORITY : 0};

	(void)sched_setscheduler(0, on ? SCHED_FIFO : SCHED_OTHER, &p);
}

uint64_t cpus_preempted(void)
{
	struct rusage u;

	return getrusage(RUSAGE_THREAD, &u) == 0 ? (uint64_t)u.ru_nivcsw : 0;
}

struct cpus_gaps cpus_control(uint64_t cycles)
{
	struct cpus_gaps g = {0};
	uint64_t last = rte_rdtsc(), now = last;

	for (const uint64_t end = last + cycles; now < end; last = now) {
		now = rte_rdtsc();
		if (now - last < LOOK)
			continue;
		g.sum += now - last;
		g.longest = now - last > g.longest ? now - last : g.longest;
	}
	return g;
}
