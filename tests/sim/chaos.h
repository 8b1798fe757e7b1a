/* SPDX-License-Identifier: Apache-2.0 */
/* chaos: what a seed does to two gateways. */
#ifndef SIM_CHAOS_H
#define SIM_CHAOS_H

#include "tests/sim/world.h"

void chaos_configure(struct world *w); /* before world_start() */
void chaos_command(
	struct world *w);        /* one command to a node, or a change of the network's faults */
void chaos_end(struct world *w); /* no more faults; what was stopped is started */

void chaos_bring_up(struct world *w); /* what is down: a command, so that it stays wanted */

#endif
