/* SPDX-License-Identifier: Apache-2.0 */
/* scenario: one readable case each, in a world of its own. */
#ifndef SIM_SCENARIO_H
#define SIM_SCENARIO_H

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include "tests/sim/world.h"

#define A (&w->node[0])
#define B (&w->node[1])

struct scenario {
	const char *name;
	void (*run)(struct world *w);
};

/* Each becomes a test of cmocka's; argv[1] filters. */
int run_scenarios(const char *group, const struct scenario *scenarios, size_t n, int argc,
		  char **argv);

/* Fails the test, with the world's own complaint. */
void must(struct world *w, bool ok, const char *what);
void must_settle(struct world *w, unsigned seconds);
void connect_pair(struct world *w);
uint64_t count(const struct sim_node *n, enum ike_counter c);

#endif
