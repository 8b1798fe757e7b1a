/* SPDX-License-Identifier: Apache-2.0 */
/* scenario: what the files of scenarios share. */
#include <stdlib.h>
#include "base/secret.h"
#include "tests/sim/scenario.h"

#define MAX_SCENARIOS 64

struct world the_world;

struct world *fresh_world(uint64_t seed)
{
	world_init(&the_world, seed);
	the_world.verbose = getenv("SIM_VERBOSE") != NULL;
	return &the_world;
}

struct world *quiet_world(uint64_t seed)
{
	struct world *w = fresh_world(seed);

	w->esp_period_us = 0;
	return w;
}

struct world *connected_world(uint64_t seed)
{
	struct world *w = quiet_world(seed);

	connect_pair(w);
	world_run(w, span_s(1));
	return w;
}

void must(struct world *w, bool ok, const char *what)
{
	if (!ok || w->failure[0])
		fail_msg("seed %llu: %s %s", (unsigned long long)w->seed, what, w->failure);
}

void must_settle(struct world *w, unsigned seconds)
{
	must(w, world_until(w, settled, span_s(seconds)), "not settled;");
}

void connect_pair(struct world *w)
{
	must(w, world_start(w), "no start");
	must_settle(w, 10);
}

uint64_t count(const struct sim_node *n, enum ike_counter c)
{
	return ike_counter_get(n->ike, c);
}

bool peer_is_at(struct sim_node *n, const struct ip_addr *where)
{
	const struct sim_count c = count_sas(n, 0);

	return ip_equal(&c.remote.addr, where);
}

void must_flow(struct world *w)
{
	const uint64_t a = A->n_esp_received, b = B->n_esp_received;

	world_run(w, span_s(1));
	must(w, A->n_esp_received >= a + 150 && B->n_esp_received >= b + 150, "no traffic;");
}

void same_sas(struct world *w)
{
	must(w, A->n_down[0] + B->n_down[0] == 0, "flapped;");
	must(w, A->n_events[IKE_HAP_IKE_UP] == 1 && B->n_events[IKE_HAP_IKE_UP] == 1, "other SAs;");
	must(w, world_until(w, settled, span_s(5)), "not settled;");
}

static void run(void **state)
{
	const struct scenario *s = *state;

	s->run(fresh_world(42));
	must(&the_world, true, s->name);
}

static int clean_up(void **state)
{
	(void)state;
	world_fini(&the_world);
	return 0;
}

int run_group(const char *group, const struct CMUnitTest *tests, size_t n, int argc, char **argv)
{
	if (!secret_init())
		return 1;
	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return _cmocka_run_group_tests(group, tests, n, NULL, NULL);
}

int run_scenarios(const char *group, const struct scenario *scenarios, size_t n, int argc,
		  char **argv)
{
	struct CMUnitTest tests[MAX_SCENARIOS];

	if (n > MAX_SCENARIOS)
		return 1;
	for (size_t i = 0; i < n; i++)
		tests[i] = (struct CMUnitTest){scenarios[i].name, run, NULL, clean_up,
					       (void *)(uintptr_t)&scenarios[i]};
	return run_group(group, tests, n, argc, argv);
}
