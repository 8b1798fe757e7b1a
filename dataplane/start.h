/* SPDX-License-Identifier: Apache-2.0 */
/*
 * start: makes what a dataplane consists of from its configuration, in this order: backend, DPDK's
 * environment (eal.h), tables, workers, ports. Each says in `error` what was wrong and what to do.
 */
#ifndef DATAPLANE_START_H
#define DATAPLANE_START_H

#include <stdbool.h>

struct dp;
struct dp_port;

#define DP_START_ERROR_SIZE 512 /* what `error` holds */

/* The AEAD backends of this machine, the one that the configuration prefers first. */
bool dp_start_backend(struct dp *dp, char *error);
/* Packets and tables, for as much as the configured memory holds. */
bool dp_start_tables(struct dp *dp, char *error);
bool dp_start_workers(struct dp *dp, char *error);
/* All ports with their mirrors. */
bool dp_start_ports(struct dp *dp, char *error);
/* The Linux side of a port that stands: link, addresses, gateways. */
bool dp_start_mirror(struct dp *dp, const struct dp_port *p, char *error);
/* Routes in Linux's tables: what an earlier process left there goes. */
void dp_start_linux_routes(struct dp *dp);
/* After the workers have ended; copes with a start that went half way. */
void dp_start_undo(struct dp *dp);

#endif
