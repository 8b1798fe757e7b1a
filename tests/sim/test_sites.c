/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Random failovers: for each seed a minute of faults, commands and restarts around two sites, while their
 * hosts send; then peace, in which both tunnels must come to work and nothing is lost any more.
 *
 * TWINBORE_SEEDS says how many, from TWINBORE_FIRST_SEED; `--seed N` replays one and tells all.
 */
#include <stdlib.h>
#include <string.h>
#include "base/secret.h"
#include "tests/sim/sites.h"

#define DEFAULT_SEEDS 40
#define COMMANDS      24
#define PEACE         span_s(120)

/* Seeds that have found something. */
static const uint64_t past[] = {58, 382};
#define N_PAST (sizeof(past) / sizeof(past[0]))

static struct world w;
static struct sites s;

static uint64_t pick(uint64_t n)
{
	return rng_below(&w.rng, n);
}

static void draw(void)
{
	static const uint64_t intervals[] = {20, 50, 100};
	const struct mono_span hold = span_s(pick(2) ? 9 : 30);

	w.faults.delay_us = 200 + pick(5000);
	for (int i = 0; i < SIM_NODES; i++) {
		struct site *x = &s.site[i];

		x->cfg.bfd_interval = span_ms(intervals[pick(3)]);
		x->cfg.hold = hold;
		x->cfg.revert_hold = span_ms(200 + pick(4000));
		x->fib.delay_us = pick(3) ? 300 : pick(5000);
		if (pick(3) == 0) {
			w.node[i].cfg[0].child_lifetime = w.node[i].cfg[1].child_lifetime =
				span_s(12 + pick(30));
			w.node[i].cfg[0].rekey_margin = w.node[i].cfg[1].rekey_margin = span_s(4);
		}
	}
}

/* -------------------------------------------------------------------- trouble */

static void breaks(void)
{
	const uint32_t t = (uint32_t)pick(SITE_TUNNELS);
	struct sites_path *p = &s.path[t];

	/* Both at once show nothing, as a rule. */
	if ((s.path[1 - t].cut[0] || s.path[1 - t].cut[1]) && pick(4))
		sites_heal(&s);
	switch (pick(6)) {
	case 0:
	case 1: sites_cut(&s, t, true, true); break;
	case 2: sites_cut(&s, t, true, false); break;
	case 3: sites_cut(&s, t, false, true); break;
	case 4: p->loss = (unsigned)pick(25); break;
	default:
		p->delay_us = pick(15000);
		p->jitter_us = pick(8000);
		sites_disturb(&s); /* what is overtaken */
		break;
	}
}

static void restarts(int site)
{
	struct sim_node *n = &w.node[site];

	switch (pick(6)) {
	case 0: /* hands over to its successor: nothing is lost */
		if (n->ike)
			process_restart(n);
		break;
	case 1:
		if (!n->ike)
			break;
		process_end(n);
		sites_run(&s, span_ms(pick(2000)));
		process_restart(n);
		break;
	case 2:
	case 3:
		sites_end_route(&s, site);
		sites_run(&s, span_ms(pick(1000)));
		sites_start_route(&s, site);
		break;
	case 4: sites_restart_dataplane(&s, site); break;
	default:
		sites_power(&s, site, false);
		sites_run(&s, span_ms(pick(3000)));
		sites_power(&s, site, true);
		break;
	}
}

static void configures(int site)
{
	struct site *x = &s.site[site];

	switch (pick(3)) {
	case 0: x->cfg.second_net = !x->cfg.second_net; break;
	case 1: site_change_bfd(x, span_ms(20 + pick(80))); break;
	default: x->cfg.revert_hold = span_ms(200 + pick(4000)); break;
	}
	site_configure(x);
}

static void command(void)
{
	const int site = (int)pick(SIM_NODES);
	const uint32_t t = (uint32_t)pick(SITE_TUNNELS);
	struct sim_node *n = &w.node[site];
	struct bgp_event ev = {.type = pick(2) ? BGP_EV_RESET : BGP_EV_REFRESH, .neighbor = t};

	switch (pick(14)) {
	case 0:
	case 1:
	case 2: breaks(); break;
	case 3:
	case 4: sites_heal(&s); break;
	case 5:
	case 6: restarts(site); break;
	case 7: configures(site); break;
	case 8: site_rt(&s.site[site], RT_EV_DRAIN, t); break;
	case 9: site_rt(&s.site[site], RT_EV_UNDRAIN, t); break;
	case 10: site_bgp_step(&s.site[site], &ev); break;
	case 11: node_event(n, IKE_EV_REKEY_CHILD, t); break;
	case 12: node_event(n, IKE_EV_REKEY_IKE, t); break;
	default:
		if (pick(2))
			sites_terminate(&s, site, t);
		else
			node_event(n, IKE_EV_INITIATE, t);
		break;
	}
}

static void end_of_trouble(void)
{
	sites_heal(&s);
	for (uint32_t t = 0; t < SITE_TUNNELS; t++) {
		s.path[t].delay_us = s.path[t].jitter_us = 0;
		for (int i = 0; i < SIM_NODES; i++)
			site_rt(&s.site[i], RT_EV_UNDRAIN, t);
		node_event(&w.node[0], IKE_EV_INITIATE, t);
	}
}

static void tell(void)
{
	for (int i = 0; i < SIM_NODES; i++) {
		for (uint32_t t = 0; t < SITE_TUNNELS; t++) {
			const struct site_tunnel *x = &s.site[i].t[t];
			const struct ip_addr to = ip_v4(10, (uint8_t)(2 - i), 0, 9);

			fprintf(stderr,
				"%c tunnel %u: ike %d, route heard %d, bfd %d, bgp %d, fib %d\n",
				'A' + i, t, w.node[i].up[t], x->up, x->bfd, x->established,
				fib_offers(&s.site[i], &to, t));
		}
	}
	fprintf(stderr, "%llu packets judged, lost %llu and %llu\n",
		(unsigned long long)s.n_checked, (unsigned long long)s.n_lost[0],
		(unsigned long long)s.n_lost[1]);
}

static bool run_seed(uint64_t seed, bool verbose)
{
	world_init(&w, seed);
	w.verbose = verbose;
	sites_init(&s, &w);
	draw();
	if (!sites_start(&s))
		return false;
	sites_until_ready(&s, span_s(pick(20)));
	for (unsigned i = 0; i < COMMANDS && !w.failure[0]; i++) {
		sites_run(&s, span_ms(pick(4) ? pick(3000) : pick(100)));
		command();
	}
	if (verbose)
		fprintf(stderr, "%10.3f peace\n", (double)w.now.ns / 1e9);
	end_of_trouble();
	if (!sites_until_ready(&s, PEACE))
		fail_world(&w, "a path that nothing disturbs does not work");
	sites_run(&s, span_s(6));
	if (verbose)
		tell();
	sites_fini(&s);
	world_fini(&w);
	return !w.failure[0];
}

int main(int argc, char **argv)
{
	const char *env = getenv("TWINBORE_SEEDS");
	const uint64_t n = env ? strtoull(env, NULL, 0) : DEFAULT_SEEDS;
	uint64_t first, failed = 0;

	env = getenv("TWINBORE_FIRST_SEED");
	first = env ? strtoull(env, NULL, 0) : 1;
	if (!secret_init())
		return 1;
	if (argc == 3 && strcmp(argv[1], "--seed") == 0) {
		const bool ok = run_seed(strtoull(argv[2], NULL, 0), true);

		printf("seed %s: %s\n", argv[2], ok ? "ok" : w.failure);
		return !ok;
	}
	printf("1..%llu\n", (unsigned long long)(n + N_PAST));
	for (uint64_t i = 0; i < n + N_PAST; i++) {
		const uint64_t seed = i < n ? first + i : past[i - n];
		const bool ok = run_seed(seed, false);

		printf("%s %llu - seed %llu%s%s\n", ok ? "ok" : "not ok", (unsigned long long)i + 1,
		       (unsigned long long)seed, ok ? "" : ": ", ok ? "" : w.failure);
		if (!ok)
			printf("# replay: %s --seed %llu\n", argv[0], (unsigned long long)seed);
		failed += !ok;
		fflush(stdout);
	}
	return failed != 0;
}
