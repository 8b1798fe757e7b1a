/* SPDX-License-Identifier: Apache-2.0 */
/*
 * table_bench: what the manager's side costs: programming and looking up prefixes, the switch of a
 * nexthop group with many prefixes behind it or among many routes, and the rings that bring the messages.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>
#include <rte_cycles.h>
#include "base/log.h"
#include "base/ring.h"
#include "bench/hosts.h"
#include "bench/hugepages.h"
#include "bench/world.h"

#define MEMORY_MIN 256u
#define N_LOOKUPS  4000u /* bursts */
#define N_SWITCHES 500u
#define V6_SHARE   4u

static struct world w;
static bool json;

static double seconds(uint64_t cycles)
{
	return (double)cycles / (double)rte_get_tsc_hz();
}

static int by_value(const void *a, const void *b)
{
	const double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static void die(const char *what)
{
	fprintf(stderr, "table_bench: %s\n", what);
	exit(1);
}

static struct dp_route route_of(uint32_t p, bool v6, uint32_t group)
{
	const struct ip_prefix prefix = hosts_far_prefix(v6 ? IP_V6 : IP_V4, p);
	struct dp_route r = {
		.group = group, .prefix = {.family = prefix.addr.family}, .len = prefix.len};

	memcpy(r.prefix.b, prefix.addr.b, sizeof(r.prefix.b));
	return r;
}

/* Cycles per address of a burst's lookups of random addresses. */
static double lookups(uint32_t n, bool v6)
{
	static double v[N_LOOKUPS];
	const struct dp_lpm *t = dp_fib_lpm(&w.dp.fib, 0, v6 ? 6 : 4);
	uint64_t x = 88172645463325252u;
	uint32_t nh[DP_BURST];
	uint8_t ip6[DP_BURST][16];
	uint32_t ip4[DP_BURST];

	for (unsigned k = 0; k < N_LOOKUPS; k++) {
		uint64_t t0;

		for (unsigned i = 0; i < DP_BURST; i++) {
			struct ip_prefix p;

			x ^= x << 13;
			x ^= x >> 7;
			x ^= x << 17;
			p = hosts_far_prefix(v6 ? IP_V6 : IP_V4, (uint32_t)((x >> 32) * n >> 32));
			ip4[i] = dp_get32(p.addr.b);
			memcpy(ip6[i], p.addr.b, sizeof(ip6[i]));
		}
		t0 = rte_rdtsc_precise();
		if (v6)
			dp_lpm_lookup6(t, (const uint8_t(*)[16])ip6, nh, DP_BURST);
		else
			dp_lpm_lookup4(t, ip4, nh, DP_BURST);
		v[k] = (double)(rte_rdtsc_precise() - t0) / DP_BURST;
		for (unsigned i = 0; i < DP_BURST; i++) {
			if (dp_nh_kind(nh[i]) != DP_NH_GROUP)
				die("an address has no route");
		}
	}
	qsort(v, N_LOOKUPS, sizeof(v[0]), by_value);
	return v[N_LOOKUPS / 4];
}

/* Of this thread's own CPU time: others use the machine, too. */
static double cpu_seconds(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/* Seconds for all of them. */
static double program(uint32_t n, bool v6, bool add)
{
	const double t0 = cpu_seconds();

	for (uint32_t p = 0; p < n; p++) {
		const struct dp_route r = route_of(p, v6, 0);

		if ((add ? dp_route_set(&w.dp, &r) : dp_route_del(&w.dp, &r)) != DP_OK)
			die("a prefix was refused");
	}
	return cpu_seconds() - t0;
}

static void fib(uint32_t n, bool v6)
{
	const double add = program(n, v6, true), cycles = lookups(n, v6),
		     del = program(n, v6, false);

	if (json)
		printf("{\"bench\": \"fib\", \"family\": %d, \"n_prefixes\": %u, "
		       "\"lookup_cycles_per_packet\": %.1f, \"adds_per_second\": %.0f, "
		       "\"deletes_per_second\": %.0f}\n",
		       v6 ? 6 : 4, n, cycles, n / add, n / del);
	else
		printf("fib       IPv%d %8u prefixes: lookup %6.1f cycles, %9.0f added/s, %9.0f "
		       "deleted/s\n",
		       v6 ? 6 : 4, n, cycles, n / add, n / del);
}

/* A worker that runs rounds without sleeping, as a busy one does. */
static uint32_t stop;

static int spin(void *arg)
{
	struct dp_worker *worker = arg;

	dp_worker_enter(worker);
	while (!__atomic_load_n(&stop, __ATOMIC_ACQUIRE))
		(void)dp_worker_round(worker);
	dp_worker_leave(worker);
	return 0;
}

static void in_force(void *ctx, void *object, uint64_t arg)
{
	*(bool *)object = true;
}

/* From the message to the moment when every worker works by it. */
static double switch_group(uint32_t first)
{
	const struct dp_group g = {.group = 0, .n_tunnels = 2, .tunnels = {first, !first}};
	const uint64_t t0 = rte_rdtsc();
	bool done = false;

	if (dp_group_set(&w.dp, &g) != DP_OK)
		die("the group was refused");
	dp_grace_defer(&w.dp.grace, in_force, NULL, &done, 0);
	while (!done)
		dp_grace_run(&w.dp.grace);
	return seconds(rte_rdtsc() - t0) * 1e6;
}

static void failover(uint32_t n)
{
	static double v[N_SWITCHES];
	const uint64_t polls = w.dp.stats->workers[0].polls;

	(void)switch_group(0);
	(void)program(n, false, true);
	stop = 0;
	(void)rte_eal_remote_launch(spin, w.dp.workers[0], w.dp.workers[0]->lcore);
	while (__atomic_load_n(&w.dp.stats->workers[0].polls, __ATOMIC_ACQUIRE) == polls)
		rte_pause();
	for (unsigned i = 0; i < N_SWITCHES; i++)
		v[i] = switch_group(i & 1);
	__atomic_store_n(&stop, 1, __ATOMIC_RELEASE);
	world_wait(&w);
	(void)program(n, false, false);
	qsort(v, N_SWITCHES, sizeof(v[0]), by_value);
	if (json)
		printf("{\"bench\": \"failover\", \"n_prefixes\": %u, \"us_p25\": %.2f, "
		       "\"us_p50\": "
		       "%.2f, \"us_p99\": %.2f}\n",
		       n, v[N_SWITCHES / 4], v[N_SWITCHES / 2], v[N_SWITCHES * 99 / 100]);
	else
		printf("failover  %8u prefixes behind the group: in force after %.2f us (median "
		       "%.2f, p99 %.2f)\n",
		       n, v[N_SWITCHES / 4], v[N_SWITCHES / 2], v[N_SWITCHES * 99 / 100]);
}

static struct ring_end producer, consumer;

static void *consume(void *arg)
{
	static struct dp_msg m;
	const uint32_t n = *(const uint32_t *)arg;

	for (uint32_t i = 0; i < n;) {
		if (ring_pop(&consumer, &m))
			i++;
		else
			rte_pause();
	}
	return NULL;
}

static void ring(uint32_t n_messages)
{
	static struct dp_msg m = {.type = DP_ROUTE_SET};
	const size_t size = ring_size(DP_RING_SLOTS, DP_MSG_SIZE);
	uint8_t *mem = aligned_alloc(64, size);
	double one, two;
	pthread_t t;
	uint64_t t0;

	if (!mem)
		die("no memory");
	memset(mem, 0, size);
	ring_format(mem, DP_RING_SLOTS, DP_MSG_SIZE);
	if (!ring_attach_producer(&producer, mem, size, DP_RING_SLOTS, DP_MSG_SIZE) ||
	    !ring_attach_consumer(&consumer, mem, size, DP_RING_SLOTS, DP_MSG_SIZE))
		die("no ring");
	/* One thread: the work of both ends. */
	t0 = rte_rdtsc();
	for (uint32_t i = 0; i < n_messages / 10; i++) {
		(void)ring_push(&producer, &m);
		(void)ring_pop(&consumer, &m);
	}
	one = n_messages / 10 / seconds(rte_rdtsc() - t0);
	t0 = rte_rdtsc();
	if (pthread_create(&t, NULL, consume, &n_messages) != 0)
		die("no thread");
	for (uint32_t i = 0; i < n_messages;) {
		if (ring_push(&producer, &m))
			i++;
		else
			rte_pause();
	}
	(void)pthread_join(t, NULL);
	two = n_messages / seconds(rte_rdtsc() - t0);
	free(mem);
	if (json)
		printf("{\"bench\": \"ring\", \"message_bytes\": %u, \"messages_per_second\": "
		       "%.0f, "
		       "\"messages_per_second_one_thread\": %.0f}\n",
		       DP_MSG_SIZE, two, one);
	else
		printf("ring      messages of %u bytes: %.0f a second between two threads, %.0f by "
		       "one that does both ends\n",
		       DP_MSG_SIZE, two, one);
}

/* -------------------------------------------------------------------- feed */

#define WINDOW      64u /* batches without an answer, as the route process has at most */
#define GROUP_EVERY 50u /* batches between two changes of a group */

static struct shm request, event;
static struct ring_end to_dp, from_dp;

static void make_channel(void)
{
	const struct {
		struct shm *shm;
		uint32_t kind, slot_size;
	} rings[] = {{&request, IPC_RING_FIB, DP_MSG_SIZE},
		     {&event, IPC_RING_FIB_EVENT, DP_EVENT_SIZE}};
	char error[WORLD_ERROR];

	for (unsigned i = 0; i < 2; i++) {
		const size_t size = ring_size(DP_RING_SLOTS, rings[i].slot_size);
		const struct ipc_ring m = {.kind = rings[i].kind,
					   .n_slots = DP_RING_SLOTS,
					   .slot_size = rings[i].slot_size};

		if (!shm_create(rings[i].shm, "bench-feed", size))
			die("no memory for a ring");
		ring_format(rings[i].shm->map, DP_RING_SLOTS, rings[i].slot_size);
		if (!dp_rings_attach(&w.dp, &m, dup(rings[i].shm->fd),
				     eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), error, sizeof(error)))
			die(error);
	}
	if (!ring_attach_producer(&to_dp, request.map, ring_size(DP_RING_SLOTS, DP_MSG_SIZE),
				  DP_RING_SLOTS, DP_MSG_SIZE) ||
	    !ring_attach_consumer(&from_dp, event.map, ring_size(DP_RING_SLOTS, DP_EVENT_SIZE),
				  DP_RING_SLOTS, DP_EVENT_SIZE))
		die("no ring");
}

/* The next routes as one message. */
static uint32_t next_batch(struct dp_msg *m, uint32_t first, uint32_t n)
{
	const uint32_t some = RTE_MIN(n - first, DP_ROUTES_MAX);

	m->type = DP_ROUTES;
	m->routes.n = some;
	m->routes.zero = 0;
	for (uint32_t i = 0; i < some; i++) {
		const struct dp_route r = route_of(first + i, false, 0);

		m->routes.entries[i] =
			(struct dp_routes_entry){.prefix = r.prefix, .len = r.len, .group = 0};
	}
	return first + some;
}

/*
 * Routes as the route process sends them, with changes of a group among them: by the rings, the manager's
 * loop and its acknowledgements, while a worker runs. Both ends are this thread, whose CPU time counts: others
 * use the machine, too.
 */
static void feed(uint32_t n)
{
	static double waits[16384];
	static struct dp_msg m;
	uint32_t sent = 0, batches = 0, open = 0, seq = 0, n_waits = 0, group_seq = 0;
	uint64_t t0;
	struct dp_event ev;
	double cpu, wall, group_at = 0;

	stop = 0;
	(void)rte_eal_remote_launch(spin, w.dp.workers[0], w.dp.workers[0]->lcore);
	t0 = rte_rdtsc();
	cpu = cpu_seconds();
	while (sent < n || open) {
		while (sent < n && open < WINDOW) {
			if (!group_seq && batches % GROUP_EVERY == 0) {
				m.type = DP_GROUP_SET;
				m.group = (struct dp_group){.n_tunnels = 2,
							    .tunnels = {seq & 1, !(seq & 1)}};
				group_seq = ++seq;
				group_at = cpu_seconds();
			} else {
				sent = next_batch(&m, sent, n);
				batches++;
				seq++;
			}
			m.seq = seq;
			if (!ring_push(&to_dp, &m))
				die("the ring is full");
			open++;
		}
		dp_rings_poll(&w.dp);
		dp_grace_run(&w.dp.grace);
		while (ring_pop(&from_dp, &ev)) {
			if (ev.type != DP_EV_ACK || ev.ack.status != DP_OK)
				die("a message was refused");
			open--;
			if (ev.ack.seq != group_seq)
				continue;
			group_seq = 0;
			if (n_waits < sizeof(waits) / sizeof(waits[0]))
				waits[n_waits++] = (cpu_seconds() - group_at) * 1e3;
		}
	}
	cpu = cpu_seconds() - cpu;
	wall = seconds(rte_rdtsc() - t0);
	__atomic_store_n(&stop, 1, __ATOMIC_RELEASE);
	world_wait(&w);
	(void)program(n, false, false);
	qsort(waits, n_waits, sizeof(waits[0]), by_value);
	if (json)
		printf("{\"bench\": \"feed\", \"n_prefixes\": %u, \"cpu_seconds\": %.3f, "
		       "\"seconds\": %.3f, \"group_ms_p50\": %.3f, \"group_ms_p90\": %.3f}\n",
		       n, cpu, wall, waits[n_waits / 2], waits[n_waits * 9 / 10]);
	else
		printf("feed      %8u routes: %.3f s of CPU, %.3f s; a change of a group among "
		       "them "
		       "waits %.3f ms (p90 %.3f)\n",
		       n, cpu, wall, waits[n_waits / 2], waits[n_waits * 9 / 10]);
}

static void start(unsigned memory_mb)
{
	const struct world_opts o = {.n_workers = 1,
				     .max_sas = 16,
				     .max_tunnels = 16,
				     .memory_mb = memory_mb,
				     .backend = "auto"};
	char error[WORLD_ERROR];

	if (!world_start(&w, &o, error))
		die(error);
}

struct job {
	const char *what;
	uint32_t max;
	unsigned memory_mb;
};

static int measure(void *arg)
{
	const struct job *j = arg;

	start(j->memory_mb);
	if (strcmp(j->what, "ring") == 0)
		ring(j->max);
	if (strcmp(j->what, "feed") == 0)
		make_channel();
	for (uint32_t n = 1; n <= j->max; n *= 1000) {
		if (strcmp(j->what, "fib") == 0) {
			fib(n, false);
			fib(RTE_MIN(n, j->max / V6_SHARE), true);
		} else if (strcmp(j->what, "failover") == 0) {
			failover(n);
		} else if (strcmp(j->what, "feed") == 0) {
			feed(n);
		}
		fflush(stdout);
	}
	return 0;
}

int main(int argc, char **argv)
{
	struct job j = {.max = 1000000};

	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--json") == 0)
			json = true;
		else if (strncmp(argv[i], "--max=", 6) == 0)
			j.max = (uint32_t)atoi(argv[i] + 6);
		else
			j.what = argv[i];
	}
	if (!j.what || j.max < V6_SHARE ||
	    (strcmp(j.what, "fib") != 0 && strcmp(j.what, "ring") != 0 &&
	     strcmp(j.what, "failover") != 0 && strcmp(j.what, "feed") != 0)) {
		fprintf(stderr, "usage: table_bench fib|failover|feed|ring [--json] [--max=N]\n");
		return 2;
	}
	log_init("table_bench", LOG_LEVEL_WARN, LOG_FORMAT_TEXT);
	j.memory_mb = MEMORY_MIN;
	return hugepages_run(j.memory_mb, measure, &j);
}
