/* SPDX-License-Identifier: Apache-2.0 */
/* supervisor: the channel to the supervisor (include/twinbore/ipc.h): what it passes and wants. */
#ifndef DATAPLANE_SUPERVISOR_H
#define DATAPLANE_SUPERVISOR_H

#include <stdbool.h>

struct dp;

/* Blocks until IPC_START. False: the channel ended, IPC_STOP came, or what came was unusable. */
bool dp_supervisor_wait_start(struct dp *dp);
/* While running: false when it is time to end. */
bool dp_supervisor_read(struct dp *dp);
void dp_supervisor_ready(struct dp *dp);
/* Tells the supervisor and the log why there can be no dataplane. */
void dp_supervisor_fatal(struct dp *dp, const char *text);

#endif
