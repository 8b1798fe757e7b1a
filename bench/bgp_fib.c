/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bgp_fib: the dataplane's end of the fib rings: the manager of the product with its forwarding tables,
 * and a worker that forwards by them.
 *
 *	bgp_fib RING BELL RING BELL      (descriptors: requests, events)
 */
#include <stdio.h>
#include <stdlib.h>
#include <rte_launch.h>
#include "base/log.h"
#include "bench/world.h"
#include "dataplane/manager.h"

#define MEMORY_MB 512u

static struct world w;

static void die(const char *what)
{
	fprintf(stderr, "bgp_fib: %s\n", what);
	exit(1);
}

static void attach(uint32_t kind, uint32_t slot_size, const char *ring, const char *bell)
{
	const struct ipc_ring m = {.kind = kind, .n_slots = DP_RING_SLOTS, .slot_size = slot_size};
	char error[WORLD_ERROR];

	if (!dp_rings_attach(&w.dp, &m, atoi(ring), atoi(bell), error, sizeof(error)))
		die(error);
}

int main(int argc, char **argv)
{
	const struct world_opts o = {.n_workers = 1,
				     .max_sas = 16,
				     .max_tunnels = 16,
				     .memory_mb = MEMORY_MB,
				     .backend = "auto"};
	char error[WORLD_ERROR];

	if (argc != 5)
		die("it is started by bgp_receive --fib");
	log_init("bgp_fib", LOG_LEVEL_WARN, LOG_FORMAT_TEXT);
	if (!world_start(&w, &o, error))
		die(error);
	attach(IPC_RING_FIB, DP_MSG_SIZE, argv[1], argv[2]);
	attach(IPC_RING_FIB_EVENT, DP_EVENT_SIZE, argv[3], argv[4]);
	(void)rte_eal_remote_launch(dp_worker_main, w.dp.workers[0], w.dp.workers[0]->lcore);
	dp_manager_run(&w.dp);
	return 0;
}
