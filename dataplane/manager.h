/* SPDX-License-Identifier: Apache-2.0 */
/*
 * manager: the thread that does everything that is not forwarding: messages, Linux's packets,
 * neighbours, events and counters. It sleeps in epoll_wait() and never waits for a worker.
 */
#ifndef DATAPLANE_MANAGER_H
#define DATAPLANE_MANAGER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct dp;

enum dp_watch {
	DP_WATCH_CHANNEL,
	DP_WATCH_SIGNAL,
	DP_WATCH_WAKE,
	DP_WATCH_BELL, /* index: enum dp_channel_kind */
	DP_WATCH_NETLINK,
	DP_WATCH_MIRROR, /* index: port */
	DP_WATCH_TUN,    /* index: tunnel */
};

bool dp_watch_add(struct dp *dp, int fd, enum dp_watch what, uint32_t index);
void dp_watch_del(struct dp *dp, int fd);

/* Runs until the supervisor says stop or goes away. */
void dp_manager_run(struct dp *dp);

/* linux.c: packets between the manager, workers and Linux. */
void dp_linux_from_mirror(struct dp *dp, uint32_t port);
void dp_linux_from_tun(struct dp *dp, uint32_t tunnel);
/* Takes what workers handed over. True if there may be more. */
bool dp_linux_take(struct dp *dp);

#endif
