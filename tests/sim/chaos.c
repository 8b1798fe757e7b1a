/* SPDX-License-Identifier: Apache-2.0 */
/* chaos: what a seed does to two gateways: faults and commands. */
#include <string.h>
#include "tests/sim/chaos.h"

static uint64_t pick(struct world *w, uint64_t n)
{
	return rng_below(&w->rng, n);
}

static void move(struct world *w)
{
	struct sim_node *n = &w->node[0];

	if (!w->roaming || rng_below(&w->moves, 5))
		return;
	n->addr = ip_v4(192, 0, 2, (uint8_t)(1 + rng_below(&w->moves, 200)));
	for (size_t t = 0; t < n->n_tunnels; t++) {
		n->cfg[t].local = n->addr;
		if (n->ike)
			node_set_tunnel(n, t);
	}
}

static void some_faults(struct world *w)
{
	w->faults = (struct sim_faults){.delay_us = 500 + pick(w, 20000)};
	if (pick(w, 2))
		w->faults.loss = (unsigned)pick(w, 40);
	if (pick(w, 2))
		w->faults.duplicate = (unsigned)pick(w, 30);
	if (pick(w, 2))
		w->faults.jitter_us = pick(w, 200000);
	if (pick(w, 2))
		w->faults.forge = (unsigned)pick(w, 30);
	w->faults.cut = pick(w, 12) == 0;
	w->faults.cut_one = pick(w, 16) == 0;
}

static void power_cycle(struct world *w, struct sim_node *n)
{
	node_power_off(n);
	if (pick(w, 2))
		world_run(w, span_ms(pick(w, 20000)));
	node_power_on(n);
}

/* The process ends; another takes up its records, here or on a gateway that stands by. */
static void restart(struct world *w, struct sim_node *n)
{
	switch (pick(w, 4)) {
	case 0: process_restart(n); break;
	case 1: n->crash_in = 1 + (unsigned)pick(w, 30); break;
	case 2:
		process_end(n);
		world_run(w, span_ms(pick(w, 10000)));
		process_restart(n);
		break;
	case 3: /* another machine: another clock, an empty dataplane */
		process_end(n);
		dp_lose(n);
		world_run(w, span_ms(pick(w, 3000)));
		n->clock_ahead_ns = n->clock_ahead_ns / 2 + pick(w, 1000) * 1000000000;
		process_restart(n);
		break;
	default: break;
	}
}

static void rekey_both(struct world *w, uint32_t t)
{
	const bool ike = pick(w, 2);

	node_event(&w->node[0], ike ? IKE_EV_REKEY_IKE : IKE_EV_REKEY_CHILD, t);
	if (pick(w, 3) == 0)
		world_run(w, span_us(pick(w, 30000)));
	node_event(&w->node[1], ike && pick(w, 2) ? IKE_EV_REKEY_IKE : IKE_EV_REKEY_CHILD, t);
}

void chaos_command(struct world *w)
{
	struct sim_node *n = &w->node[pick(w, 2)];
	const uint32_t t = (uint32_t)pick(w, n->n_tunnels);

	move(w);
	switch (pick(w, 18)) {
	case 0:
	case 1:
	case 2: node_event(n, IKE_EV_REKEY_CHILD, t); break;
	case 3:
	case 4: node_event(n, IKE_EV_REKEY_IKE, t); break;
	case 5:
	case 6: rekey_both(w, t); break;
	case 7: node_event(n, IKE_EV_INITIATE, t); break;
	case 8:
		if (pick(w, 3) == 0)
			node_event(n, IKE_EV_TERMINATE, t);
		break;
	case 9:
		if (n->ike)
			dp_restart(n);
		break;
	case 10:
		if (!n->off && pick(w, 3) == 0)
			power_cycle(w, n);
		break;
	case 11: net_rebind_nat(w); break;
	case 12: n->dp_fails = true; break;
	case 13: n->dp_deaf = !n->dp_deaf && pick(w, 4) == 0; break;
	case 14:
	case 15:
		if (n->ike)
			restart(w, n);
		break;
	default: some_faults(w); break;
	}
}

void chaos_end(struct world *w)
{
	w->faults = (struct sim_faults){.delay_us = 1000};
	for (int i = 0; i < SIM_NODES; i++) {
		struct sim_node *n = &w->node[i];

		n->dp_fails = n->dp_deaf = false;
		n->crash_in = 0;
		if (!n->ike || n->crashed) /* by the last command, and not replaced yet */
			process_restart(n);
	}
}

void chaos_bring_up(struct world *w)
{
	for (uint32_t t = 0; t < w->node[0].n_tunnels; t++) {
		if (!w->node[0].up[t])
			node_event(&w->node[0], IKE_EV_INITIATE, t);
	}
}
