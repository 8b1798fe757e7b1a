/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Random worlds: for each seed two minutes of commands and faults, then peace. Throughout, the checks
 * of the world; in the end both sides hold the same SAs, one IKE SA and one child pair for each
 * tunnel, within 165 seconds; and when both are told to end them, nothing is left. Every 150th seed
 * lives for a day.
 *
 * TWINBORE_SEEDS says how many, from TWINBORE_FIRST_SEED, one process a CPU; `--seed N` replays one and tells all.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/secret.h"
#include "tests/sim/chaos.h"

#define TROUBLE     120 /* seconds */
#define PEACE       165
#define LONG_EVERY  150
#define DAY         86400
#define MAX_WORKERS 64

/* Seeds that have found something. */
static const uint64_t past[] = {93,    262,   663,   1500,  4050,  377,   1659,  6575,  7503,
				7991,  8249,  8337,  24711, 31243, 31386, 41517, 41638, 42016,
				42925, 43906, 50024, 60900, 64466, 80232, 81466, 81750};
#define N_PAST (sizeof(past) / sizeof(past[0]))

static struct world w;

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

		fprintf(stderr, "%c workers %u%s\n", name, w.node[i].n_workers,
			w.node[i].cfg[0].per_resource ? ", SAs of their own" : "");

		if (!w.node[i].ike)
			continue;
		ike_show_tunnels(w.node[i].ike, tell_tunnel, &name);
		ike_show_sas(w.node[i].ike, tell, &name);
	}
}

static bool nothing_left(struct world *world)
{
	for (int i = 0; i < SIM_NODES; i++) {
		const struct sim_node *n = &world->node[i];

		if (n->n_records || n->n_dp_pending)
			return false;
		for (uint32_t t = 0; t < n->n_tunnels; t++) {
			const struct sim_count c = count_sas(&world->node[i], t);

			if (c.ike || c.child)
				return false;
		}
		for (size_t s = 0; s < SIM_SLOTS; s++) {
			if (n->in[s].on || n->out_half[s].on)
				return false;
		}
	}
	return true;
}

static void trouble(bool is_long)
{
	const struct mono end = mono_add(w.now, span_s(is_long ? DAY : TROUBLE));

	if (is_long)
		w.esp_period_us = 2000000;
	while (mono_before(w.now, end) && !w.failure[0]) {
		uint64_t pause =
			rng_below(&w.rng, 4) ? rng_below(&w.rng, 3000) : rng_below(&w.rng, 20);

		/* A long life is mostly quiet. */
		if (is_long && rng_below(&w.rng, 3) == 0)
			pause = rng_below(&w.rng, 1800000);
		world_run(&w, span_ms(pause));
		chaos_command(&w);
	}
}

/* Requirements: SIM-same-sas, SIM-iv-once, SIM-unauthenticated, SIM-hard-lifetime */
static bool run_seed(uint64_t seed, bool verbose)
{
	bool ok = false;

	world_init(&w, seed);
	w.verbose = verbose;
	chaos_configure(&w);
	if (!world_start(&w))
		return false;
	trouble(seed % LONG_EVERY == 0);
	if (verbose)
		fprintf(stderr, "%10.3f peace\n", (double)w.now.ns / 1e9);
	chaos_end(&w);
	/* One end may find only now that the other has gone, and be told to forget the tunnel. */
	for (unsigned i = 0; i < PEACE / 55; i++) {
		chaos_bring_up(&w);
		w.was_settled = 0;
		ok = ok || world_until(&w, settled_as_configured, span_s(55));
	}
	if (!ok)
		fail_world(&w, "not settled");
	for (int i = 0; i < SIM_NODES && !w.failure[0]; i++) {
		for (uint32_t t = 0; t < w.node[i].n_tunnels; t++)
			node_event(&w.node[i], IKE_EV_TERMINATE, t);
	}
	if (!w.failure[0] && !world_until(&w, nothing_left, span_s(60)))
		fail_world(&w, "something is left after all has ended");
	if (verbose && w.failure[0])
		tell_all();
	return !w.failure[0];
}

/* ------------------------------------------------------------------- workers */

struct result {
	uint64_t i;
	bool ok;
	char failure[sizeof(w.failure)];
};

static uint64_t first_seed, n_seeds;

static uint64_t seed_of(uint64_t i)
{
	return i <= n_seeds ? first_seed + i - 1 : past[i - n_seeds - 1];
}

/* Takes every `step`th seed from `first`. */
static void work(int out, uint64_t first, uint64_t step)
{
	if (!secret_init())
		_exit(1);
	for (uint64_t i = first; i <= n_seeds + N_PAST; i += step) {
		struct result r = {.i = i};

		r.ok = run_seed(seed_of(i), false);
		memcpy(r.failure, w.failure, sizeof(r.failure));
		world_fini(&w);
		if (write(out, &r, sizeof(r)) != sizeof(r))
			_exit(1);
	}
	exit(0); /* so that leaks are reported */
}

static bool start_workers(unsigned n, int out)
{
	for (unsigned i = 0; i < n; i++) {
		const pid_t pid = fork();

		if (pid < 0)
			return false;
		if (pid == 0)
			work(out, i + 1, n);
	}
	return true;
}

static unsigned report(int in, const char *program)
{
	unsigned failed = 0;
	struct result r;

	while (read(in, &r, sizeof(r)) == sizeof(r)) {
		const unsigned long long seed = seed_of(r.i);

		/* Without the test's number: they come as the processes end, not in order. */
		printf("%s - seed %llu%s%s\n", r.ok ? "ok" : "not ok", seed, r.ok ? "" : ": ",
		       r.ok ? "" : r.failure);
		if (!r.ok)
			printf("# replay: %s --seed %llu\n", program, seed);
		failed += !r.ok;
		fflush(stdout);
	}
	return failed;
}

static int run_all(const char *program)
{
	const long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	const unsigned n = cpus < 1 ? 1 : cpus > MAX_WORKERS ? MAX_WORKERS : (unsigned)cpus;
	unsigned failed;
	int ends[2], status;

	printf("1..%llu\n", (unsigned long long)n_seeds + N_PAST);
	fflush(stdout);
	if (pipe(ends) != 0 || !start_workers(n, ends[1]))
		return 1;
	close(ends[1]);
	failed = report(ends[0], program);
	while (wait(&status) > 0)
		failed += !WIFEXITED(status) || WEXITSTATUS(status) != 0;
	return failed != 0;
}

int main(int argc, char **argv)
{
	const char *env = getenv("TWINBORE_SEEDS");
	bool ok;

	n_seeds = env ? strtoull(env, NULL, 0) : DEFAULT_SEEDS;
	env = getenv("TWINBORE_FIRST_SEED");
	first_seed = env ? strtoull(env, NULL, 0) : 1;
	if (argc != 3 || strcmp(argv[1], "--seed") != 0)
		return run_all(argv[0]);
	if (!secret_init())
		return 1;
	ok = run_seed(strtoull(argv[2], NULL, 0), true);
	printf("seed %s: %s\n", argv[2], ok ? "ok" : w.failure);
	world_fini(&w);
	return !ok;
}
