/* SPDX-License-Identifier: Apache-2.0 */
/* hugepages: 2 MiB pages of the kernel's, reserved for a run on top of what is reserved already. */
#ifndef BENCH_HUGEPAGES_H
#define BENCH_HUGEPAGES_H

#include <stdbool.h>

struct hugepages {
	long n_added;
};

/* False: none were added (no right to, or less than twice as much memory is free). */
bool hugepages_reserve(struct hugepages *h, unsigned mb);
void hugepages_release(struct hugepages *h);

#endif
