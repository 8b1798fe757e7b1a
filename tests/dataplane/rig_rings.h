/* SPDX-License-Identifier: Apache-2.0 */
/* rig_rings: port 0 of the rig as a pair of rings for each worker: its frames come and go by a test's hands. */
#ifndef TESTS_DATAPLANE_RIG_RINGS_H
#define TESTS_DATAPLANE_RIG_RINGS_H

#include "rig.h"

#define RIG_RINGS_TX 2048u /* frames that a worker may send before the test takes them */

extern struct rte_ring *rig_tx[RIG_WORKERS];

/* After rig_start(). False: no memory. */
bool rig_rings_start(void);

#endif
