/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hugepages: runs a benchmark in a process of its own, with 2 MiB pages that are reserved for it on
 * top of what is reserved already, if there is memory for them, and given back however it ends.
 */
#ifndef BENCH_HUGEPAGES_H
#define BENCH_HUGEPAGES_H

/* Nothing is reserved with mb = 0. Returns what `fn` returned, or 1 if it ended otherwise. */
int hugepages_run(unsigned mb, int (*fn)(void *arg), void *arg);

#endif
