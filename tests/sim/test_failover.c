/* SPDX-License-Identifier: Apache-2.0 */
/* Failovers of two sites, one at a time: how long nothing arrives, and what is lost. */
#include "tests/sim/scenario.h"
#include "tests/sim/sites.h"

static struct sites sites;
#define S (&sites)

static void begin(struct world *w)
{
	sites_init(S, w);
	must(w, sites_start(S), "no start");
	must(w, sites_until_ready(S, span_s(30)), "not ready");
	sites_run(S, span_s(5)); /* and the preferred one has taken over */
	sites_watch(S);
}

static void end(struct world *w)
{
	must(w, sites_until_ready(S, span_s(90)), "not ready again");
	sites_run(S, span_s(5));
	must(w, true, "");
	sites_fini(S);
}

static void nothing_lost(struct world *w)
{
	sites_run(S, span_ms(400)); /* until all is judged */
	must(w, S->n_lost[0] == 0 && S->n_lost[1] == 0, "packets lost");
}

/* BFD of 50 ms and three misses: less than 200 ms, either way and both. */
static void cut_silently(struct world *w)
{
	static const bool ways[][2] = {{true, true}, {true, false}, {false, true}};

	for (size_t i = 0; i < 3; i++) {
		begin(w);
		sites_cut(S, 0, ways[i][0], ways[i][1]);
		sites_run(S, span_s(1));
		for (int from = 0; from < SIM_NODES; from++) {
			must(w, S->longest[from].ns < 200000000, "not within 200 ms");
			must(w, !ways[i][1 - from] || S->longest[from].ns > 50000000,
			     "the cut was not felt");
		}
		sites_heal(S);
		end(w);
		world_fini(w);
		world_init(w, i + 200);
	}
}

/* What carries nothing may break. */
static void other_tunnel_cut(struct world *w)
{
	begin(w);
	sites_cut(S, 1, true, true);
	sites_run(S, span_s(20));
	nothing_lost(w);
	sites_heal(S);
	must(w, sites_until_ready(S, span_s(90)), "not ready again");
	sites_run(S, span_s(5));
	nothing_lost(w);
	end(w);
}

/* Back to the preferred one as well. */
static void drained(struct world *w)
{
	begin(w);
	for (int site = 0; site < SIM_NODES; site++) {
		site_rt(&S->site[site], RT_EV_DRAIN, 0);
		sites_run(S, span_s(2));
		site_rt(&S->site[site], RT_EV_UNDRAIN, 0);
		sites_run(S, span_s(4));
	}
	nothing_lost(w);
	end(w);
}

static void rekeyed_and_replaced(struct world *w)
{
	begin(w);
	for (int i = 0; i < 8; i++) {
		node_event(&w->node[i & 1], i & 2 ? IKE_EV_REKEY_IKE : IKE_EV_REKEY_CHILD, 0);
		sites_run(S, span_s(1));
	}
	sites_terminate(S, 0, 0);
	sites_run(S, span_s(1));
	node_event(&w->node[0], IKE_EV_INITIATE, 0);
	nothing_lost(w);
	end(w);
}

/* The SAs and the forwarding go on without the ike process; without the route process BFD is silent. */
static void processes_restart(struct world *w)
{
	begin(w);
	process_end(&w->node[1]);
	sites_run(S, span_s(2));
	process_restart(&w->node[1]);
	sites_run(S, span_s(1));
	nothing_lost(w);
	sites_end_route(S, 1);
	sites_run(S, span_ms(500));
	sites_start_route(S, 1);
	end(w);
}

/* A network that is taken back, and asked for still: nobody sends it back and forth. */
static void network_withdrawn(struct world *w)
{
	begin(w);
	for (int i = 0; i < 4; i++) {
		struct site *x = &S->site[i & 1];

		x->cfg.second_net = !x->cfg.second_net;
		site_configure(x);
		sites_run(S, span_s(2));
	}
	nothing_lost(w);
	end(w);
}

/* A group waits for a tunnel that has just come back to prove itself, and is not needed any more. */
static void group_goes_while_it_waits(struct world *w)
{
	begin(w);
	sites_cut(S, 1, true, true);
	sites_run(S, span_s(1));
	sites_heal(S);
	must(w, sites_until_ready(S, span_s(60)), "not ready again");
	site_rt(&S->site[0], RT_EV_DRAIN, 0); /* the other end is told to prefer that tunnel */
	sites_run(S, span_ms(300));
	site_rt(&S->site[0], RT_EV_UNDRAIN, 0);
	sites_run(S, span_s(4));
	end(w);
}

static const struct scenario scenarios[] = {
	{"cut silently", cut_silently},
	{"the other tunnel is cut", other_tunnel_cut},
	{"drained", drained},
	{"rekeyed and replaced", rekeyed_and_replaced},
	{"processes restart", processes_restart},
	{"a network is withdrawn", network_withdrawn},
	{"a group goes while it waits", group_goes_while_it_waits},
};

int main(int argc, char **argv)
{
	return run_scenarios("failover", scenarios, sizeof(scenarios) / sizeof(scenarios[0]), argc,
			     argv);
}
