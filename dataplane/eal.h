/* SPDX-License-Identifier: Apache-2.0 */
/* eal: starts DPDK's environment with arguments made from the configuration; its log is ours. */
#ifndef DATAPLANE_EAL_H
#define DATAPLANE_EAL_H

#include <stdbool.h>
#include <stddef.h>
#include "config/config.h"

/* False with a text in `error` that says what to do. *hugepages: what memory was taken. */
bool dp_eal_init(const struct config *c, bool *hugepages, char *error, size_t error_size);

/* Gives up privileges (privileges.h) in the thread that DPDK keeps for interrupts and alarms. */
bool dp_eal_privileges_drop(void);

/* The first thing that DPDK or libxdp complained of since dp_eal_clear_error(), for error texts; "" if nothing. */
const char *dp_eal_error(void);
void dp_eal_clear_error(void);

#endif
