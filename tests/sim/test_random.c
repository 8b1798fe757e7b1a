/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Random worlds: for each seed two minutes of commands and faults, then peace. Throughout, the checks
 * of the world; in the end both sides hold the same SAs, one IKE SA and one child pair for each
 * tunnel, within 165 seconds. TWINBORE_SEEDS says how many; `--seed N` replays one and tells all.
 */
#include <stdlib.h>
#include <string.h>
#include "base/secret.h"
#include "tests/sim/world.h"

#define DEFAULT_SEEDS 200
#define TROUBLE       120 /* seconds */
#define PEACE         165

/* Seeds that have found something. */
static const uint64_t past[] = {2532, 11251, 11413, 11450, 21311, 31080, 3154, 50886};
#define N_PAST (sizeof(past) / sizeof(past[0]))

static struct world w;

static uint64_t pick(uint64_t n)
{
	return rng_below(&w.rng, n);
}

/* By a generator of its own, so that what past seeds have found stays what they do. */
static void draw_messages(void)
{
	static const uint16_t sizes[] = {0, 180, 256, 300, 576, 1280};
	struct rng r = {w.seed * 0x9e3779b97f4a7c15u + 3};

	for (int i = 0; i < SIM_NODES; i++) {
		for (size_t t = 0; t < SIM_TUNNELS; t++)
			w.node[i].cfg[t].fragment_size =
				sizes[rng_below(&r, sizeof(sizes) / sizeof(sizes[0]))];
	}
}

static void draw_configuration(void)
{
	const bool short_lives = pick(2), quick_dpd = pick(3) == 0;
	const bool use_nat = pick(4) == 0;
	const uint64_t starters = 1 + pick(3);

	for (int i = 0; i < SIM_NODES; i++) {
		struct sim_node *n = &w.node[i];
		struct ike_tunnel_cfg *c = &n->cfg[0];

		c->startup = starters >> i & 1 ? IKE_STARTUP_START : IKE_STARTUP_ADD;
		if (short_lives) {
			c->ike_lifetime = span_s(20 + pick(100));
			c->child_lifetime = span_s(10 + pick(60));
			c->rekey_margin = span_s(3 + pick(10));
		}
		if (quick_dpd) {
			c->dpd_interval = span_ms(500 + pick(2000));
			c->dpd_timeout = span_ms(c->dpd_interval.ns / 1000000 + 2000 + pick(5000));
		}
		n->dp_delay_us = pick(3) ? 200 : pick(200000);
		n->dp_jitter_us = n->dp_delay_us;
		n->key_delay_us = pick(5) ? 500 : pick(300000);
	}
	if (use_nat) {
		net_use_nat(&w);
		w.node[0].cfg[0].startup = IKE_STARTUP_START;
		w.node[1].cfg[0].startup = IKE_STARTUP_ADD;
		w.node[1].cfg[0].remote = (struct ip_addr){0};
	}
	if (pick(4) == 0) {
		for (int i = 0; i < SIM_NODES; i++) {
			struct sim_node *n = &w.node[i];

			n->n_tunnels = 2;
			n->cfg[1] = n->cfg[0];
			n->cfg[1].tunnel = 1;
			memcpy(n->cfg[1].name, "bore-2", 7);
			n->cfg[1].local_id.data[0] = n->cfg[1].remote_id.data[0] = 'h';
		}
	}
	if (pick(5) == 0)
		w.node[pick(2)].limits.cookie_threshold = 0;
	w.esp_period_us = 25000;
	draw_messages();
}

static void some_faults(void)
{
	w.faults = (struct sim_faults){.delay_us = 500 + pick(20000)};
	if (pick(2))
		w.faults.loss = (unsigned)pick(40);
	if (pick(2))
		w.faults.duplicate = (unsigned)pick(30);
	if (pick(2))
		w.faults.jitter_us = pick(200000);
	w.faults.cut = pick(12) == 0;
	w.faults.cut_one = pick(16) == 0;
}

static void some_command(void)
{
	struct sim_node *n = &w.node[pick(2)];
	const uint32_t t = (uint32_t)pick(n->n_tunnels);

	switch (pick(16)) {
	case 0:
	case 1:
	case 2: node_event(n, IKE_EV_REKEY_CHILD, t); break;
	case 3:
	case 4: node_event(n, IKE_EV_REKEY_IKE, t); break;
	case 5:
		node_event(&w.node[0], IKE_EV_REKEY_CHILD, t);
		node_event(&w.node[1], IKE_EV_REKEY_CHILD, t);
		break;
	case 6:
		node_event(&w.node[0], IKE_EV_REKEY_IKE, t);
		node_event(&w.node[1], pick(2) ? IKE_EV_REKEY_IKE : IKE_EV_REKEY_CHILD, t);
		break;
	case 7: node_event(n, IKE_EV_INITIATE, t); break;
	case 8:
		if (pick(3) == 0)
			node_event(n, IKE_EV_TERMINATE, t);
		break;
	case 9:
		if (!n->off)
			dp_restart(n);
		break;
	case 10:
		if (!n->off && pick(3) == 0) {
			node_power_off(n);
			if (pick(2))
				world_run(&w, span_ms(pick(20000)));
			node_power_on(n);
		}
		break;
	case 11: net_rebind_nat(&w); break;
	case 12: n->dp_fails = true; break;
	case 13: n->dp_deaf = !n->dp_deaf && pick(4) == 0; break;
	default: some_faults(); break;
	}
}

static bool tell(void *ctx, const struct ike_show_sa *s)
{
	if (s->is_child)
		fprintf(stderr, "%c child t%u %s in %08x out %08x%s%s\n", *(char *)ctx, s->tunnel,
			s->state, s->spi_in, s->spi_out, s->current_out ? " current" : "",
			s->initiator ? " ours" : "");
	else
		fprintf(stderr, "%c ike t%u %s %016llx %016llx%s\n", *(char *)ctx, s->tunnel,
			s->state, (unsigned long long)s->spi_i, (unsigned long long)s->spi_r,
			s->initiator ? " ours" : "");
	return true;
}

static bool tell_tunnel(void *ctx, const struct ike_show_tunnel *t)
{
	fprintf(stderr, "%c tunnel %s %s %s (%s)\n", *(char *)ctx, t->name, t->up ? "up" : "down",
		t->phase, t->reason);
	return true;
}

static void tell_all(void)
{
	for (int i = 0; i < SIM_NODES; i++) {
		char name = (char)('A' + i);

		if (!w.node[i].ike)
			continue;
		ike_show_tunnels(w.node[i].ike, tell_tunnel, &name);
		ike_show_sas(w.node[i].ike, tell, &name);
	}
}

static bool run_seed(uint64_t seed, bool verbose)
{
	struct mono end;

	world_init(&w, seed);
	w.verbose = verbose;
	draw_configuration();
	if (!world_start(&w))
		return false;
	end = mono_add(w.now, span_s(TROUBLE));
	while (mono_before(w.now, end) && !w.failure[0]) {
		world_run(&w, span_ms(pick(4) ? pick(3000) : pick(20)));
		some_command();
	}
	/* Peace. */
	if (verbose)
		fprintf(stderr, "%10.3f peace\n", (double)w.now.ns / 1e9);
	w.faults = (struct sim_faults){.delay_us = 1000};
	for (int i = 0; i < SIM_NODES; i++)
		w.node[i].dp_fails = w.node[i].dp_deaf = false;
	for (uint32_t t = 0; t < w.node[0].n_tunnels; t++)
		node_event(&w.node[0], IKE_EV_INITIATE, t);
	if (!world_until(&w, settled, span_s(PEACE)))
		fail_world(&w, "not settled");
	if (verbose && w.failure[0])
		tell_all();
	return !w.failure[0];
}

int main(int argc, char **argv)
{
	const char *env = getenv("TWINBORE_SEEDS");
	const uint64_t n = env ? strtoull(env, NULL, 0) : DEFAULT_SEEDS;
	unsigned failed = 0;

	if (!secret_init())
		return 1;
	if (argc == 3 && !strcmp(argv[1], "--seed")) {
		const bool ok = run_seed(strtoull(argv[2], NULL, 0), true);

		printf("seed %s: %s\n", argv[2], ok ? "ok" : w.failure);
		world_fini(&w);
		return !ok;
	}
	printf("1..%llu\n", (unsigned long long)n + N_PAST);
	for (uint64_t i = 1; i <= n + N_PAST; i++) {
		const uint64_t seed = i <= n ? i : past[i - n - 1];
		const bool ok = run_seed(seed, false);

		printf("%s %llu - seed %llu%s%s\n", ok ? "ok" : "not ok", (unsigned long long)i,
		       (unsigned long long)seed, ok ? "" : ": ", ok ? "" : w.failure);
		failed += !ok;
		world_fini(&w);
	}
	return failed != 0;
}
