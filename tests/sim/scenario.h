/* SPDX-License-Identifier: Apache-2.0 */
/* scenario: one readable case each, in a world of its own; and what all files of them need. */
#ifndef SIM_SCENARIO_H
#define SIM_SCENARIO_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "tests/sim/world.h"

#define A (&w->node[0])
#define B (&w->node[1])

struct scenario {
	const char *name;
	void (*run)(struct world *w);
};

/* Each becomes a test of cmocka's, in a world with seed 42; argv[1] filters. */
int run_scenarios(const char *group, const struct scenario *scenarios, size_t n, int argc,
		  char **argv);

int run_group(const char *group, const struct CMUnitTest *tests, size_t n, int argc, char **argv);

/* The one world of a test program, for tests that make their own: world_fini() ends it. */
extern struct world the_world;
struct world *fresh_world(uint64_t seed);
struct world *quiet_world(uint64_t seed);     /* without ESP */
struct world *connected_world(uint64_t seed); /* quiet, and up for a second */

/* Fails the test, with the world's own complaint. */
void must(struct world *w, bool ok, const char *what);
void must_settle(struct world *w, unsigned seconds);
void connect_pair(struct world *w);
uint64_t count(const struct sim_node *n, enum ike_counter c);
/* Where `n` has its peer. */
bool peer_is_at(struct sim_node *n, const struct ip_addr *where);
/* Traffic passes both ways, and did not stop for good. */
void must_flow(struct world *w);
/* All that was made first still stands. */
void same_sas(struct world *w);

#endif
