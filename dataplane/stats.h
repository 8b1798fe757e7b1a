/* SPDX-License-Identifier: Apache-2.0 */
/* stats: the counters that everybody may read (include/twinbore/dp_stats.h), kept up to date. */
#ifndef DATAPLANE_STATS_H
#define DATAPLANE_STATS_H

#include <stdbool.h>
#include "twinbore/dp_stats.h"

struct dp;

/* Maps and formats the counters. False: the map has another size than the configuration asks. */
bool dp_stats_attach(struct dp *dp, int fd, uint64_t size);
/* Facts that are known once everything runs. */
void dp_stats_publish(struct dp *dp);
/* Copies what others count: ports, queues, tables. */
void dp_stats_tick(struct dp *dp);

#endif
