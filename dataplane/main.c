/* SPDX-License-Identifier: Apache-2.0 */
/*
 * twinbore-dp: the process that moves packets.
 *
 * The supervisor starts it with a channel on descriptor IPC_CHANNEL_FD and passes the rest through
 * it: configuration, rings to the ike and route processes, memory for the counters. Keys come by
 * ring; nothing is read from files, no port is opened but those configured.
 *
 * Threads: this one becomes the manager (manager.c): messages, Linux's packets, neighbours,
 * counters; each worker (worker.c) runs packets to completion. Tables are written by the manager
 * alone and read by workers without locks; what is taken out of a table is freed after a grace
 * period (grace.c). An SA half and its sequence numbers belong to one worker, tunnel % workers, so
 * that packets of a tunnel stay in order; other workers hand packets over.
 *
 * Invariants
 *   - No packet for a tunnel's route leaves a port in clear, whatever is missing: SA, neighbour,
 *     tunnel, memory.
 *   - Every packet is sent, given to Linux, or counted under one name.
 *   - A message from a ring is checked in full before anything is changed, and acknowledged only
 *     after every worker works by the change.
 *
 * Not here: IKE, routing decisions, ESP's format (esp/), policy beyond an SA's selectors.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>
#include <rte_eal.h>
#include <rte_launch.h>
#include <rte_lcore.h>
#include "base/log.h"
#include "base/secret.h"
#include "dataplane/crypto_mem.h"
#include "dataplane/dp.h"
#include "dataplane/eal.h"
#include "dataplane/manager.h"
#include "dataplane/privileges.h"
#include "dataplane/start.h"
#include "dataplane/stats.h"
#include "dataplane/supervisor.h"
#include "twinbore/ipc.h"

static struct dp dp;

static bool init_watches(char *error)
{
	sigset_t set;
	int fd;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	(void)pthread_sigmask(SIG_BLOCK, &set, NULL);
	fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	dp.wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (fd < 0 || dp.wake_fd < 0 || !dp_netlink_init(&dp.netlink) ||
	    !dp_watch_add(&dp, fd, DP_WATCH_SIGNAL, 0) ||
	    !dp_watch_add(&dp, dp.wake_fd, DP_WATCH_WAKE, 0) ||
	    !dp_watch_add(&dp, dp.channel, DP_WATCH_CHANNEL, 0) ||
	    !dp_watch_add(&dp, dp_netlink_fd(&dp.netlink), DP_WATCH_NETLINK, 0)) {
		snprintf(error, DP_START_ERROR_SIZE, "cannot set up the manager: %s",
			 strerror(errno));
		return false;
	}
	return true;
}

/* Devices are open: from here on only packets come in. Workers give up theirs when they start. */
static bool harden(char *error)
{
	if (process_harden_memory() && dp_privileges_drop() && dp_eal_privileges_drop())
		return true;
	snprintf(error, DP_START_ERROR_SIZE, "cannot give up privileges: %s", strerror(errno));
	return false;
}

static bool start(char *error)
{
	dp.n_workers = dp.config->n_workers;
	if (dp.n_workers == 0 || dp.n_workers > DP_STATS_MAX_WORKERS) {
		snprintf(error, DP_START_ERROR_SIZE, "dataplane.workers must be 1 to %u",
			 DP_STATS_MAX_WORKERS);
		return false;
	}
	return init_watches(error) &&
	       dp_eal_init(dp.config, &dp.hugepages, error, DP_START_ERROR_SIZE) &&
	       dp_start_backend(&dp, error) && dp_start_tables(&dp, error) &&
	       dp_start_workers(&dp, error) && dp_start_ports(&dp, error) && harden(error);
}

static void run(void)
{
	dp_stats_publish(&dp);
	dp_start_linux_routes(&dp);
	for (unsigned i = 0; i < dp.n_workers; i++)
		(void)rte_eal_remote_launch(dp_worker_main, dp.workers[i], dp.workers[i]->lcore);
	log_info("%u port%s, %u worker%s, %s", dp.n_ports, dp.n_ports == 1 ? "" : "s", dp.n_workers,
		 dp.n_workers == 1 ? "" : "s", dp.hugepages ? "hugepages" : "no hugepages");
	dp_supervisor_ready(&dp);
	dp_manager_run(&dp);
	__atomic_store_n(&dp.stop, 1, __ATOMIC_RELEASE);
	rte_eal_mp_wait_lcore();
	dp_stats_tick(&dp);
}

int main(void)
{
	char error[DP_START_ERROR_SIZE] = "";
	bool started;

	log_init("dp", LOG_LEVEL_INFO, LOG_FORMAT_TEXT);
	if (fcntl(IPC_CHANNEL_FD, F_GETFD) < 0) {
		fprintf(stderr, "twinbore-dp is started by twinbored, not by hand\n");
		return 2;
	}
	(void)fcntl(IPC_CHANNEL_FD, F_SETFD, FD_CLOEXEC);
	dp.channel = IPC_CHANNEL_FD;
	dp.now = mono_now();
	dp.epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (!dp_crypto_mem_init()) {
		log_error("fault of this program: OpenSSL was used before its memory was chosen");
		return EXIT_FAILURE;
	}
	if (!secret_init() || dp.epoll_fd < 0 || !dp_rings_init(&dp.rings)) {
		log_error("not enough memory to start");
		return EXIT_FAILURE;
	}
	dp_random_init(&dp.random);
	if (!dp_supervisor_wait_start(&dp))
		return EXIT_FAILURE;
	started = start(error);
	if (started)
		run();
	else
		dp_supervisor_fatal(&dp, error);
	dp_start_undo(&dp);
	return started ? EXIT_SUCCESS : EXIT_FAILURE;
}
