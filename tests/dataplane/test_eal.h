/* SPDX-License-Identifier: Apache-2.0 */
/* test_eal: DPDK's environment for a test: no hugepages, no cards, no files, no rights needed. */
#ifndef TESTS_DATAPLANE_TEST_EAL_H
#define TESTS_DATAPLANE_TEST_EAL_H

#include <stdbool.h>
#include <stdio.h>
#include <rte_eal.h>

/* `memory`: "-m96", in MiB. */
static inline bool test_eal_init_mb(const char *memory)
{
	static char args[][24] = {"test",           "--no-huge",      "--no-shconf", "--no-pci",
				  "--iova-mode=va", "--no-telemetry", "-m96",        "-l0",
				  "--log-level=*:1"};
	enum { N = sizeof(args) / sizeof(args[0]), MEMORY = 6 };
	static char *v[N + 1];

	snprintf(args[MEMORY], sizeof(args[MEMORY]), "%s", memory);
	for (int i = 0; i < N; i++)
		v[i] = args[i];
	return rte_eal_init(N, v) >= 0;
}

static inline bool test_eal_init(void)
{
	return test_eal_init_mb("-m96");
}

#endif
