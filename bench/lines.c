/* SPDX-License-Identifier: Apache-2.0 */
/* lines: see lines.h. */
#include "bench/lines.h"

#include <stdbool.h>
#include <rte_common.h>
#include <rte_cycles.h>

#define ROUNDS  8u
#define WAIT_MS 2u

/* False: the counter is still less after a while. */
static bool wait_for(const uint32_t *counter, uint32_t value)
{
	const uint64_t until = rte_rdtsc() + rte_get_tsc_hz() / MS_PER_S * WAIT_MS;

	while ((int32_t)(__atomic_load_n(counter, __ATOMIC_ACQUIRE) - value) < 0)
		if (rte_rdtsc() > until)
			return false;
	return true;
}

void lines_give(struct lines *l)
{
	uint32_t round = __atomic_load_n(&l->read, __ATOMIC_ACQUIRE);
	const uint32_t end = round + ROUNDS;

	while (round != end && wait_for(&l->read, round)) {
		round++;
		for (unsigned i = 0; i < LINES_N; i++)
			*(volatile uint32_t *)l->bytes[i] = round;
		__atomic_store_n(&l->written, round, __ATOMIC_RELEASE);
	}
}

/* Cycles for all lines. */
static uint64_t read_all(const struct lines *l)
{
	const uint64_t start = rte_rdtsc_precise();

	for (unsigned i = 0; i < LINES_N; i++)
		(void)*(const volatile uint32_t *)l->bytes[i];
	return rte_rdtsc_precise() - start;
}

double lines_take(struct lines *l)
{
	uint32_t round = __atomic_load_n(&l->read, __ATOMIC_RELAXED);
	const uint32_t end = round + ROUNDS;
	uint64_t least = UINT64_MAX;

	while (round != end && wait_for(&l->written, round + 1)) {
		least = RTE_MIN(least, read_all(l));
		__atomic_store_n(&l->read, ++round, __ATOMIC_RELEASE);
	}
	return least == UINT64_MAX ? 0 : (double)least / LINES_N;
}
